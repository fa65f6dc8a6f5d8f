# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may work on a pair.

Our own lock is the kernel's (flock(2) on a file in the run directory): death releases it, whatever killed us. The
sending program of a stream inherits it, so it lives as long as that has something to send. Each user has files of their
own; where root and another user work on the same pair, root has made a file for both. The script's lock is two
properties with a process number; it is always respected while that process lives.
"""

from __future__ import annotations

import calendar
import contextlib
import fcntl
import json
import os
import time
import typing as t

from .errors import Busy
from .model import Side
from .shell import Shell

SHARED = "/var/lib/zrep-locks"
"""Where root has made files for filesystems that another user works on as well (role ``trust``). Nobody else can write
to the directory itself, so that no link lies in wait there for root."""


def file_name(tag: str, filesystem: str) -> str:
    """The file of a lock."""
    return "lock-{}-{}".format(tag, filesystem.replace("/", "%"))


class Lock:
    """The lock on one filesystem of this host under one tag. Raises Busy if somebody else has it."""

    def __init__(self, rundir: str, tag: str, filesystem: str, host: str) -> None:
        self.filesystem = filesystem
        self.descriptor = _open(rundir, file_name(tag, filesystem))
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = self._read().get("pid")
            os.close(self.descriptor)
            raise Busy(
                "another process{} works on it".format(f" ({holder})" if holder else ""),
                host=host,
                dataset=filesystem,
                left="nothing was changed",
                hint="try again when it is done",
            ) from None
        self._finished = self._read().get("finished", 0)
        self._write({"pid": os.getpid()})

    def used_since(self, moment: int) -> bool:
        """Whether somebody finished work under this lock after a moment of the monotonic clock, in nanoseconds."""
        return isinstance(self._finished, int) and self._finished >= moment

    def release(self) -> None:
        self._write({"finished": time.monotonic_ns()})
        os.close(self.descriptor)

    def _read(self) -> dict[str, t.Any]:
        try:
            found = json.loads(os.pread(self.descriptor, 4096, 0) or b"{}")
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, content: dict[str, t.Any]) -> None:
        data = json.dumps(content).encode()
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, data, 0)


def _open(rundir: str, name: str) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    with contextlib.suppress(OSError):
        return os.open(os.path.join(SHARED, name), flags)
    return os.open(os.path.join(rundir, name), flags | os.O_CREAT, 0o600)


def check_script_lock(side: Side) -> None:
    """Raise Busy while a process of the script holds its lock on this side, which must be on this host."""
    pid = side.lock_pid
    if pid is not None and holds_lock(pid, side.lock_time):
        raise held_by_script(side.tag, side.host, side.filesystem, pid)


def check_script_lock_there(side: Side | None, shell: Shell) -> None:
    """The same for a side on another host, which is only asked where the property is set."""
    pid = side.lock_pid if side else None
    if side is not None and pid is not None and _lives_there(pid, side.lock_time, shell):
        raise held_by_script(side.tag, side.host, side.filesystem, pid)


def holds_lock(pid: int, since: str | None) -> bool:
    """Whether another process than this one holds a lock of the script on this host.

    :param since: the property lock-time.
    """
    return pid != os.getpid() and lives(pid, _moment(since, time.mktime))


def held_by_script(tag: str, host: str, filesystem: str, pid: int) -> Busy:
    """The error that a process of the script works on a side."""
    return Busy(
        f"process {pid} holds the lock property {tag}:lock-pid",
        host=host,
        dataset=filesystem,
        left="nothing was changed",
        hint=f"try again when it is done; if it is no zrep, take the lock off with: zfs inherit {tag}:lock-pid "
        f"{filesystem}",
    )


def lock_time(now: int) -> str:
    """A time as the script writes it: local time, without separators."""
    return time.strftime(_LOCK_TIME, time.localtime(now))


def lives(pid: int, taken: float | None) -> bool:
    """Whether a process of this host lives that is old enough to be the one that took a lock at that time.

    :param taken: epoch seconds, None if that is not known.
    """
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass  # It lives and belongs to another user.
    except (OSError, OverflowError):
        return False
    try:
        state, started = _process(pid)
    except (ValueError, OSError, IndexError):
        return True
    # A zombie does nothing any more. A number that was given out again, after a crash or a reboot, belongs to a younger
    # process than the one that took the lock.
    return state != "Z" and (taken is None or started <= taken + 2)


def _moment(text: str | None, seconds: t.Callable[[time.struct_time], float]) -> float | None:
    """A time as the script writes it as a number, None if it is nonsense."""
    try:
        return seconds(time.strptime(text or "", _LOCK_TIME))
    except (ValueError, OverflowError):
        return None


def _process(pid: int) -> tuple[str, float]:
    """The state of a process, and when it began in epoch seconds (proc(5): fields 3 and 22 of stat)."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    with open("/proc/stat", encoding="utf-8") as file:
        boot = next(int(line.split()[1]) for line in file if line.startswith("btime "))
    return fields[0], boot + int(fields[19]) / os.sysconf("SC_CLK_TCK")


# Not every ps knows the age of a process; who is not allowed to signal it can still see it in the list.
_ASK = "ps -o stat= -o etimes= -p {0} 2>/dev/null && exec date +{1}; kill -0 {0}"


def ask(pid: int) -> tuple[str, ...]:
    """Ask a host whether a process lives, in which state and since when."""
    return ("sh", "-c", _ASK.format(pid, _LOCK_TIME))


def _lives_there(pid: int, since: str | None, shell: Shell) -> bool:
    """The same as ``lives`` on another host."""
    done = shell.run(ask(pid))
    words = done.out.split()
    if done.status or len(words) != 3 or not words[1].isdigit():
        return done.status == 0
    state, age, now = words
    # Both are the local time of that host, so that its clock and its zone do not matter.
    held = _difference(now, since)
    return not state.startswith("Z") and (held is None or int(age) + _HOUR_OF_SUMMER >= held)


def _difference(now: str, since: str | None) -> float | None:
    later, earlier = _moment(now, calendar.timegm), _moment(since, calendar.timegm)
    return None if later is None or earlier is None else later - earlier


_HOUR_OF_SUMMER = 3600 + 2
"""By how much the clock of a host may have been put forward since the lock was taken."""
_LOCK_TIME = "%Y%m%d%H%M%S"
