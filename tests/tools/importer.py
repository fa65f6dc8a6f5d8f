# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do what Galaxy does with an upload; a warning of it is a failure: importer.py FILE."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

# ansible-test has steps of its own, with more versions than the importer would choose.
SETTINGS = """\
[galaxy-importer]
CHECK_REQUIRED_TAGS = True
RUN_ANSIBLE_DOC = True
RUN_ANSIBLE_LINT = True
RUN_ANSIBLE_TEST = False
"""


def main(artefact: str) -> int:
    with tempfile.TemporaryDirectory() as directory:
        settings = Path(directory, "galaxy-importer.cfg")
        settings.write_text(SETTINGS)
        done = subprocess.run(
            [sys.executable, "-m", "galaxy_importer.main", artefact],
            cwd=directory,
            env={**os.environ, "GALAXY_IMPORTER_CONFIG": str(settings)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    print(done.stdout)
    complaints = [line for line in done.stdout.splitlines() if line.startswith(("WARNING", "ERROR"))]
    print(f"{len(complaints)} complaints")
    return done.returncode or bool(complaints)


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
