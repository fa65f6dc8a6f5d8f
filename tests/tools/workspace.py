# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the checks run: a copy of the collection, a home directory and a PATH that nothing else disturbs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
DIST = BUILD / "dist"
HOME = BUILD / "home"
ENV_SH = str(ROOT / "tests/tools/env.sh")

SUPPORTED = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")

# For developers only, and of a Python that sanity would not compile.
NOT_IN_COPY = (".ci/", ".github/", "tests/demo/", "tests/lab/", "tests/system/", "tests/tools/")

# ansible-test looks for one of these, by the version of ansible-core, before it fetches get-pip.py from a
# host that many networks do not reach. The pip that comes with each Python does as well.
GET_PIP_NAMES = ("get_pip_23_1_2.py", "get_pip_24_2.py", "get_pip_25_2.py")
GET_PIP = """\
import subprocess, sys
# In a process of its own, because it makes pip forget the settings of the machine.
subprocess.run([sys.executable, "-m", "ensurepip"], check=True)
sys.argv = ["pip", "install"] + [a for a in sys.argv[1:] if a not in ("--no-setuptools", "--no-wheel")]
from pip._internal.cli.main import main
sys.exit(main())
"""


def prepare() -> None:
    subprocess.run([ENV_SH, "live"], check=True)
    for old in (BUILD / "tree", DIST):
        shutil.rmtree(old, ignore_errors=True)
    cache = HOME / ".ansible/test/cache"
    cache.mkdir(parents=True, exist_ok=True)
    for name in GET_PIP_NAMES:
        (cache / name).write_text(GET_PIP)
    # What a developer set up for pip (a mirror, a proxy) holds here too.
    for shared in (".cache/pip", ".config/pip", ".pip"):
        link, target = HOME / shared, Path.home() / shared
        if target.is_dir() and not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)


def pythons() -> dict[str, str]:
    listed = subprocess.run([ENV_SH, "pythons"], check=True, capture_output=True, text=True).stdout
    return dict(line.split(maxsplit=1) for line in listed.splitlines())


def search_path(interpreters: Iterable[str]) -> str:
    """PATH with each Python of the machine, and without shims, which look like Pythons and may not work."""
    found = [os.path.dirname(interpreter) for interpreter in interpreters]
    inherited = [d for d in os.environ.get("PATH", os.defpath).split(":") if not d.endswith("/shims")]
    return ":".join(dict.fromkeys([*reversed(found), *inherited]))


def variables(path: str, venv: str | None, private_home: bool) -> dict[str, str]:
    foreign = ("ANSIBLE_", "PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    if venv:
        path = f"{ROOT / '.venv' / venv / 'bin'}:{path}"
    if private_home:
        kept["HOME"] = str(HOME)
    return {**kept, "PATH": path, "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"}


def venv_minor(venv: str | None) -> str:
    """The Python of a virtual environment as ansible-test names it, such as 3.12."""
    libraries = sorted((ROOT / ".venv" / (venv or "none") / "lib").glob("python3.*"))
    return libraries[0].name.removeprefix("python") if libraries else ""


def copy_collection(tree: Path) -> Path:
    """What git knows or would add, copied to where Ansible expects it: ansible-test refuses a symlink."""
    target = tree / "ansible_collections/zfsops/zrep"
    list_files = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(list_files, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    target.mkdir(parents=True)
    for name in filter(None, names):
        if name.startswith(NOT_IN_COPY) or not (ROOT / name).exists():
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    for arguments in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *arguments], cwd=target, check=True)
    return target
