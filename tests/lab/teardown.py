# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove a lab, from whatever state it is in and from whatever process."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from pathlib import Path

from . import network, state
from .errors import LabError
from .processes import run, wait_until
from .state import LabState

CGROUP_PREFIX = "zfsops-lab-"


def teardown(lab: LabState) -> None:
    """Leave nothing of a lab: processes, mounts, network, control groups, files. May be called again."""
    for socket in (lab.directory / "cp").glob("*"):
        # Ansible's warm connections: processes of the machine, which nobody else would end.
        run(["ssh", "-F", "/dev/null", "-o", f"ControlPath={socket}", "-O", "exit", "lab"], check=False)
    if lab.holder is not None:
        # The first process of the lab's pid namespace, in which all hosts' are nested: the kernel ends them
        # with it, and with them go their namespaces, mounts, and the tmpfs that held their files and pools.
        lab.holder.kill()
    if lab.subnet is not None:
        network.release(lab.subnet)
    for host in lab.hosts.values():
        if host.cgroup is not None:
            wait_until(functools.partial(_remove_cgroup, Path(host.cgroup)), f"{host.cgroup} is empty")
    shutil.rmtree(lab.directory, ignore_errors=True)
    with contextlib.suppress(OSError):
        state.base_directory().rmdir()  # fails while other labs are there


def clean_stale() -> list[str]:
    """Remove the labs whose processes are gone; their names."""
    removed = []
    for name in state.names():
        try:
            lab = state.load(name)
        except (LabError, ValueError):
            continue  # removed, or being made, at this moment
        if lab.stale():
            teardown(lab)
            removed.append(name)
    return removed


def cgroup2_mount() -> Path:
    """Where the machine has its unified control groups. LabError if nowhere."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            fields = line.split()
            if fields[2] == "cgroup2":
                return Path(fields[1])
    raise LabError("a systemd host needs a cgroup2 mount on the machine, and there is none")


def _remove_cgroup(path: Path) -> bool:
    """Remove a control group with those below it; whether it is gone (processes that are ending keep it a
    moment).
    """
    for directory, _subdirectories, _files in os.walk(path, topdown=False):
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            pass
        except OSError:
            return False
    return not path.exists()
