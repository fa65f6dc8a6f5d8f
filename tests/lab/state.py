# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on disk about a lab: enough to use it, and to remove it, from any other process."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .errors import LabError
from .processes import ProcessId

# Only root may write in /run: nobody else can prepare a name there. ZFSOPS_LAB_DIR puts it elsewhere.
DEFAULT_DIRECTORY = "/run/zfsops-lab"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


@dataclass
class HostState:
    """A host as it was asked for, and its first process while it runs."""

    index: int
    pool: str | None
    pool_size: int
    systemd: bool
    trust: bool
    cgroup: str | None = None
    kind: str = "zfs-fuse"
    init: ProcessId | None = None


@dataclass
class LabState:
    """A lab. ``owner`` is the process whose end ends the lab; None once it stands on its own (`up`)."""

    name: str
    owner: ProcessId | None
    holder: ProcessId | None = None
    subnet: int | None = None
    hosts: dict[str, HostState] = field(default_factory=dict)

    @property
    def directory(self) -> Path:
        """The lab's directory on the machine (mode 0700)."""
        return base_directory() / self.name

    def save(self) -> None:
        """Write it, whole or not at all."""
        path = self.directory / "state.json"
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        os.replace(temporary, path)

    def stale(self) -> bool:
        """Whether nobody can use it any more: its owner or its own first process is gone."""
        if self.owner is not None:
            return not self.owner.alive()
        return self.holder is None or not self.holder.alive()


def base_directory() -> Path:
    """Where the directories of all labs of this machine are."""
    return Path(os.environ.get("ZFSOPS_LAB_DIR", DEFAULT_DIRECTORY))


def create(name: str, owner: ProcessId) -> LabState:
    """Claim a lab name. LabError if it is malformed or taken."""
    if not NAME.fullmatch(name):
        raise LabError(f"lab name {name!r}: letters, digits, - and _ only, at most 40")
    state = LabState(name, owner)
    while True:
        base_directory().mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            state.directory.mkdir(mode=0o700)
        except FileExistsError:
            raise LabError(
                f"a lab named {name} exists: take it down first (down --name {name}) or choose another name"
            ) from None
        except FileNotFoundError:
            continue  # the last other lab went meanwhile and took the common directory with it
        state.save()
        return state


def load(name: str) -> LabState:
    """Read a lab. LabError if there is none of that name."""
    path = base_directory() / name / "state.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LabError(f"no lab named {name} is up (python3 -m tests.lab up --name {name} makes one)") from None
    hosts = {key: HostState(**{**value, "init": _process(value["init"])}) for key, value in data["hosts"].items()}
    return LabState(data["name"], _process(data["owner"]), _process(data["holder"]), data["subnet"], hosts)


def names() -> list[str]:
    """Names of all labs that have left a state, sorted."""
    return sorted(path.parent.name for path in base_directory().glob("*/state.json"))


def _process(value: dict[str, int] | None) -> ProcessId | None:
    return None if value is None else ProcessId(**value)
