# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script's global lock: a file with the number of the process that is about to take the lock on a filesystem.

The script never removes one that is not its own, and ends at once when it reads one without a number. So ours comes
into being with its number in it, is held as shortly as possible, and what a dead process left is removed by us.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
import time
import typing as t

from . import names
from .errors import BadLock, Busy
from .locks import lives

NAME = "zrep.lock"
POLL_SECONDS = 0.1
WRITING_SECONDS = 2
"""How long a file without a number may be one that the script has made and not yet written to."""

_UNTOUCHED = "nothing was changed"


class Found(t.NamedTuple):
    """A lock file as it was read.

    :param inode: device and inode, which tell it from one that took its place.
    :param changed: epoch seconds.
    """

    inode: tuple[int, int]
    changed: float
    content: bytes

    @property
    def pid(self) -> int | None:
        return names.parse_number(self.content.decode("latin-1").strip()) or None

    @property
    def left_by_the_dead(self) -> bool:
        # Our own number in a file that is not ours was given out again.
        return self.pid is not None and (self.pid == os.getpid() or not lives(self.pid, self.changed))

    @property
    def holder(self) -> str:
        return f"process {self.pid}" if self.pid else f"somebody who left {self.content[:20]!r} instead of his number"


@contextlib.contextmanager
def global_lock(rundir: str, seconds: int, host: str) -> t.Iterator[None]:
    """Hold the lock. A process that was killed while it held it is recovered from by our next one, not by the script.

    :param rundir: where the script keeps it.
    :param seconds: how long to wait for one that a living process holds.
    :raises Busy: that was too short.
    :raises BadLock: the file or its directory cannot be used.
    """
    path = os.path.join(rundir, NAME)
    with _new_file(rundir, host) as file:
        try:
            _write_number(file, rundir, host)
            _Waiting(path, seconds, host).put_in_place(file.name)
            yield
        finally:
            # Whenever a signal ended the wait: what is there under either name and is ours goes. As long as ours is
            # open no other file can have its inode.
            for name in (file.name, path):
                if _inode_at(name) == _inode(os.fstat(file.fileno())):
                    os.unlink(name)


def _new_file(rundir: str, host: str) -> tempfile._TemporaryFileWrapper[bytes]:
    try:
        return tempfile.NamedTemporaryFile(buffering=0, prefix=f".{NAME}-", dir=rundir, delete=False)
    except OSError as error:
        raise _unusable(rundir, host, error) from None


def _write_number(file: tempfile._TemporaryFileWrapper[bytes], rundir: str, host: str) -> None:
    try:
        file.write(b"%d\n" % os.getpid())
        # The script runs as the same user or as another one; a number is no secret.
        os.fchmod(file.fileno(), 0o644)
    except OSError as error:
        raise _unusable(rundir, host, error) from None


def _unusable(rundir: str, host: str, error: OSError) -> BadLock:
    return BadLock(
        f"no lock can be made in {rundir}, where the script keeps its own: {error.strerror}",
        host=host,
        left=_UNTOUCHED,
        hint="make room for it, or set ZREP_RUNDIR to the directory that the script uses",
    )


class _Waiting:
    """The wait for one lock."""

    def __init__(self, path: str, seconds: int, host: str) -> None:
        self._path = path
        self._seconds = seconds
        self._host = host
        self._began = time.monotonic()
        self._watched: Found | None = None
        self._watched_since = self._began

    def put_in_place(self, prepared: str) -> None:
        """Give the file that was prepared the lock's name as soon as nobody else has it."""
        while True:
            try:
                # Unlike rename it replaces nothing, not even a link that leads nowhere.
                os.link(prepared, self._path)
            except FileExistsError:
                pass
            else:
                os.unlink(prepared)
                return
            found = self._read()
            if found is None or (self._is_stale(found) and self._remove(found)):
                continue
            if time.monotonic() - self._began >= self._patience(found):
                raise self._busy(found)
            time.sleep(POLL_SECONDS)

    def _patience(self, found: Found) -> float:
        return self._seconds if found.pid else max(self._seconds, WRITING_SECONDS)

    def _is_stale(self, found: Found) -> bool:
        if found != self._watched:
            self._watched, self._watched_since = found, time.monotonic()
        if found.pid is not None:
            return found.left_by_the_dead
        return time.monotonic() - self._watched_since >= self._patience(found)

    def _read(self) -> Found | None:
        """The lock that is there, None if there is none any more."""
        descriptor = self._open()
        if descriptor is None:
            return None
        with os.fdopen(descriptor, "rb") as file:
            return _read(file)

    def _open(self) -> int | None:
        try:
            # A pipe would have us wait for its writer.
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._bad(f"cannot be read: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self._bad("is no file")
        return descriptor

    def _remove(self, found: Found) -> bool:
        """Remove a lock that nobody holds any more; False if somebody else is about to.

        Of several that found it, each could remove the lock that the one before has already taken anew. So it is
        removed by whoever holds the kernel's lock on that very file, and only while it still has the name.
        """
        descriptor = self._open()
        if descriptor is None:
            return True
        with os.fdopen(descriptor, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
            if _read(file) == found and _inode_at(self._path) == found.inode:
                self._unlink()
        return True

    def _unlink(self) -> None:
        try:
            os.unlink(self._path)
        except OSError as error:
            raise self._bad(f"was left by a process that is dead, and cannot be removed: {error.strerror}") from None

    def _bad(self, why: str) -> BadLock:
        return BadLock(
            f"the script's lock {self._path} {why}",
            host=self._host,
            left=_UNTOUCHED,
            hint=f"see what it is, and remove it: rm {self._path}",
        )

    def _busy(self, found: Found) -> Busy:
        return Busy(
            f"{found.holder} holds the script's lock {self._path}, for more than {self._seconds} seconds now",
            host=self._host,
            left=_UNTOUCHED,
            hint=f"try again when it is done; if it is no zrep, remove the lock: rm {self._path}",
        )


def _read(file: t.IO[bytes]) -> Found:
    found = os.fstat(file.fileno())
    return Found(_inode(found), found.st_mtime, file.read(64))


def _inode(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _inode_at(path: str) -> tuple[int, int] | None:
    try:
        return _inode(os.lstat(path))
    except OSError:
        return None
