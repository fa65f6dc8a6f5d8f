# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the zrep command: one executable file from the collection's own code.

It is a zip archive after a line that names the interpreter, as the module zipapp of the standard library makes and
Python runs it (docs.python.org, "zipapp": "The Python Zip Application Archive Format"). Same input, same bytes: files
go in by name, uncompressed, without their times.

    python3 plugins/plugin_utils/executable.py build/zrep
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

INTERPRETER = "/usr/bin/env python3"
PACKAGE = "zfsops_zrep"
PLUGINS = Path(__file__).resolve().parents[1]
ROOMS = ("_core", "_command", "_gate")
# The face of the core towards Ansible, which a host need not have.
LEFT_OUT = ("_core/module.py",)
START = f"from {PACKAGE}._command.entry import start\n\nstart()\n"
YEAR_ONE = (1980, 1, 1, 0, 0, 0)


def members(source: Path) -> dict[str, bytes]:
    """The files of the archive by name."""
    found = {"__main__.py": START.encode(), f"{PACKAGE}/__init__.py": b""}
    for room in ROOMS:
        for path in (source / room).glob("*.py"):
            name = f"{room}/{path.name}"
            if name not in LEFT_OUT:
                found[f"{PACKAGE}/{name}"] = path.read_bytes()
    return found


def pack(files: dict[str, bytes]) -> bytes:
    """The executable."""
    packed = io.BytesIO()
    packed.write(f"#!{INTERPRETER}\n".encode())
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, YEAR_ONE)
            entry.create_system = 3  # Unix, wherever it is built.
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return packed.getvalue()


def build(target: Path, source: Path = PLUGINS / "module_utils") -> None:
    """Write the executable; whoever runs the old one at that moment is not disturbed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
        file.write(pack(members(source)))
    os.chmod(file.name, 0o755)
    os.replace(file.name, target)


def build_more(command: Path) -> None:
    """Write what the command says about itself beside it: completion for bash and the manual page."""
    for suffix, verb in ((".bash", "completion"), (".8", "manual")):
        said = subprocess.run([sys.executable, "-I", str(command), verb], check=True, stdout=subprocess.PIPE)
        command.with_name(command.name + suffix).write_bytes(said.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the zrep command.")
    parser.add_argument("target", type=Path, help="the file to write")
    parser.add_argument("--more", action="store_true", help="write TARGET.bash and TARGET.8 too")
    arguments = parser.parse_args()
    build(arguments.target)
    if arguments.more:
        build_more(arguments.target)


if __name__ == "__main__":
    main()
