# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pools on files of a host: make, throw away, fill."""

from __future__ import annotations

from collections.abc import Callable
from subprocess import CompletedProcess

from .errors import LabError
from .processes import wait_until

# Where a host has the real programs: never counted and never intercepted, even while a trace is on.
REAL = "/run/lab/real/"
# A dataset whose reservation leaves nothing for the others.
FILLER = "lab-fill"

_DESTROY = f"""\
error=$({REAL}zpool destroy -f "$1" 2>&1) && exit
echo "$error" >&2
case $error in *busy*|*"no such pool"*) ;; *) exit 1 ;; esac
"""
_CREATE = f"""\
truncate -s 0 "/disks/$1" && truncate -s "$2" "/disks/$1" && {REAL}zpool create -f "$1" "/disks/$1"
"""

Run = Callable[..., CompletedProcess]


def create(run: Run, pool: str, size: int) -> None:
    """Make a pool on a sparse file of ``size`` bytes; what the file held is lost."""
    run(["sh", "-c", _CREATE, "sh", pool, str(size)])


def recreate(run: Run, pool: str, size: int) -> None:
    """Throw a pool away with all that is in it, holds and mounts included, and make it anew."""
    # fuse lets go of a file system a moment after it was unmounted; until then the pool is busy.
    wait_until(lambda: "busy" not in run(["sh", "-c", _DESTROY, "sh", pool]).stderr, f"{pool} is destroyed")
    create(run, pool, size)


def fill(zfs: Callable[..., str], run: Run, pool: str, leave: int) -> None:
    """Reserve what is available but ``leave`` bytes. LabError if there is less than that."""
    free(run, pool)
    get = ("get", "-Hpo", "value")
    available = int(zfs(*get, "available", pool))
    if leave >= available:
        raise LabError(f"{pool} has only {available} bytes available")
    filler = f"{pool}/{FILLER}"
    zfs("create", "-o", "mountpoint=none", filler)
    # What the filler itself uses is part of its reservation.
    reserve = int(zfs(*get, "available", pool)) + int(zfs(*get, "used", filler)) - leave
    zfs("set", f"reservation={reserve}", filler)


def free(run: Run, pool: str) -> None:
    """Undo ``fill``; nothing to do if the pool is not filled."""
    run([f"{REAL}zfs", "destroy", f"{pool}/{FILLER}"], check=False)
