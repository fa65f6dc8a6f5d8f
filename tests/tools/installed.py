# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the artefact, keep only what Ansible may rely on, and use each part of it: installed.py FILE."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NAME = "zfsops.zrep"
# An installed collection has to work with only these left (the rules for collections in the ansible package).
KEPT = {"meta", "plugins", "roles", "playbooks"}


class Installed:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.collection = path / "ansible_collections" / NAME.replace(".", "/")

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        settings = {
            "ANSIBLE_COLLECTIONS_PATH": str(self.path),
            "ANSIBLE_HOME": str(self.path / "home"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_REMOTE_TMP": str(self.path / "tmp"),
        }
        return subprocess.run(
            command,
            env={**os.environ, **settings},
            cwd=self.path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def install(self, artefact: str) -> None:
        command = ["ansible-galaxy", "collection", "install", "--no-deps", "-p", str(self.path), artefact]
        done = self.call(*command)
        expect(done.returncode == 0, "install", done)
        for entry in self.collection.iterdir():
            if entry.name not in KEPT:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def check_module(self, module: str) -> None:
        done = self.call("ansible-doc", "-t", "module", f"{NAME}.{module}")
        expect(done.returncode == 0 and not done.stderr, f"documentation of {module}", done)
        # No module has this option. That it complains of its arguments itself shows that all that it imports is there.
        done = self.call("ansible", "localhost", "-m", f"{NAME}.{module}", "-a", "no_such_option=1")
        expect(
            re.search("Unsupported parameters|missing required arguments", done.stdout) is not None,
            f"call of {module}",
            done,
        )

    def check_playbook(self, playbook: str) -> None:
        done = self.call("ansible-playbook", "-i", "localhost,", "--syntax-check", f"{NAME}.{playbook}")
        expect(done.returncode == 0, f"syntax of playbook {playbook}", done)


def expect(ok: bool, what: str, done: subprocess.CompletedProcess[str]) -> None:
    print(f"{'ok' if ok else 'FAILED'}: {what}", flush=True)
    if not ok:
        sys.exit(f"{done.stdout}{done.stderr}")


def main(artefact: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        installed = Installed(Path(directory))
        installed.install(artefact)
        for file in sorted((installed.collection / "plugins/modules").glob("*.py")):
            installed.check_module(file.stem)
        for file in sorted((installed.collection / "playbooks").glob("*.yml")):
            installed.check_playbook(file.stem)


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
