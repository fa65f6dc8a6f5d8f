# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold the script's lock on filesystems of this host while we work, so that the script keeps off.

That is two properties, each of which costs a commit of its pool. So they are written only where a script can be
around, and only once there is something to do.
"""

from __future__ import annotations

import copy
import functools
import os
import time
import typing as t
import zipfile

from . import names, zfs
from .errors import BadLock, Busy, NotFound, ZrepError
from .globallock import NAME, global_lock
from .locks import held_by_script, holds_lock, lock_time
from .model import USER_PROPERTIES, Features, Observed, Side
from .settings import ALWAYS, AUTO, Settings
from .shell import Shell, search_path

AT_ONCE = 10
"""How many filesystems are locked in one go: each costs a commit, and the script gives up after ten seconds."""

PROGRAM = "zrep"
_OURS = "zfsops_zrep/_core/__init__.py"


def script_is_around(settings: Settings) -> bool:
    """Whether a script may work on this host: one is found where programs are, or is taking a lock right now."""
    places = [os.path.join(folder, PROGRAM) for folder in search_path()] + settings.script_path.split()[:1]
    return os.path.lexists(os.path.join(settings.script_rundir, NAME)) or any(
        os.path.isabs(path) and os.path.isfile(path) and os.access(path, os.X_OK) and not is_ours(path)
        for path in places
    )


def is_ours(path: str) -> bool:
    """Whether a program of that name is the command that is built from this code."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _OURS in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


class ScriptLocks:
    """The script's locks that one run of ours holds.

    :param shell: this host.
    """

    def __init__(self, settings: Settings, shell: Shell) -> None:
        self._settings = settings
        self._shell = shell
        self._held: dict[str, None] = {}

    @functools.cached_property
    def wanted(self) -> bool:
        """Whether they are to be taken at all."""
        chosen = self._settings.lock_properties
        return chosen == ALWAYS or (chosen == AUTO and script_is_around(self._settings))

    def holds(self, filesystem: str) -> bool:
        return filesystem in self._held

    def take(self, filesystems: t.Iterable[str], features: Features) -> dict[str, ZrepError]:
        """Take the locks that are not held yet; returns what stands against those that could not be had."""
        refused: dict[str, ZrepError] = {}
        missing = [name for name in filesystems if name not in self._held]
        for start in range(0, len(missing), AT_ONCE):
            try:
                refused.update(self._take(missing[start : start + AT_ONCE], features))
            except (Busy, BadLock) as error:
                refused.update((name, _about(error, name)) for name in missing[start:])
                break
        return refused

    def _take(self, filesystems: t.Sequence[str], features: Features) -> dict[str, ZrepError]:
        """Take some; one by one if that fails, so that one of them does not stop the others."""
        refused: dict[str, ZrepError] = {}
        try:
            with global_lock(self._settings.script_rundir, self._settings.lock_retry, self._settings.identity):
                return self._take_together(filesystems, features)
        except (Busy, BadLock):
            raise
        except ZrepError as error:
            if len(filesystems) == 1:
                return {filesystems[0]: _about(error, filesystems[0])}
            for name in filesystems:
                refused.update(self._take([name], features))
        return refused

    def _take_together(self, filesystems: t.Sequence[str], features: Features) -> dict[str, ZrepError]:
        settings = self._settings
        refused: dict[str, ZrepError] = {}
        free = []
        for name, (pid, since) in self._owners(filesystems).items():
            if pid is not None and holds_lock(pid, since):
                refused[name] = held_by_script(settings.tag, settings.identity, name, pid)
            else:
                free.append(name)
        self._held.update(dict.fromkeys(free))
        # The time first: one by one, a number of ours must not stand beside the time of one that is dead.
        values = {"lock-time": lock_time(int(time.time())), "lock-pid": str(os.getpid())}
        own = {names.property_name(settings.tag, name): value for name, value in values.items()}
        self._run(zfs.set_properties(own, free, features))
        return refused

    def check_kept(self, before: Observed, now: Observed) -> Busy | None:
        """What stands against going on with what was seen of a filesystem before its lock was taken."""
        here = now.side_here
        if here is None or here.lock_pid != os.getpid():
            self._held.pop(before.filesystem, None)
        if here is not None and here.lock_pid not in (None, os.getpid()):
            return held_by_script(before.tag, before.identity, before.filesystem, here.lock_pid or 0)
        if _trace(here) == _trace(before.side_here):
            return None
        return Busy(
            "somebody else, probably the script, has worked on it in this very moment",
            host=before.identity,
            dataset=before.filesystem,
            left="nothing was changed",
            hint="run it again",
        )

    def lost(self) -> dict[str, int]:
        """Filesystems on which somebody has put his lock in place of ours, with his number; they are his now.

        A process of the script that saw no lock before ours was there, and then waited for its global one, does that.
        """
        try:
            owners = self._owners(list(self._held))
        except ZrepError:
            return {}
        found = {name: pid for name, (pid, dummy) in owners.items() if pid is not None and pid != os.getpid()}
        for name in found:
            del self._held[name]
        return found

    def release(self) -> None:
        """Take off what is still ours. What cannot be is no lock any more when this process has ended."""
        properties = [names.property_name(self._settings.tag, name) for name in ("lock-time", "lock-pid")]
        for argv in zfs.inherit(properties, list(self._held)):
            try:
                self._shell.run(argv)
            except ZrepError:
                return
        self._held.clear()

    def _owners(self, filesystems: t.Sequence[str]) -> dict[str, tuple[int | None, str | None]]:
        text = self._run(zfs.get_locks(self._settings.tag, filesystems))
        found = zfs.parse_locks(text, self._settings.tag, self._shell.host)
        for name in filesystems:
            if name not in found:
                raise NotFound("no such filesystem or volume", host=self._shell.host, dataset=name)
        return found

    def _run(self, commands: t.Iterable[zfs.Argv]) -> str:
        said = ""
        for argv in commands:
            done = self._shell.run(argv)
            if done.status:
                raise zfs.failure(argv, done.status, done.err, self._shell.host)
            said += done.out
        return said


def _about(error: ZrepError, filesystem: str) -> ZrepError:
    """The same error for another filesystem."""
    found = copy.copy(error)
    found.dataset = filesystem
    return found


def _trace(side: Side | None) -> object:
    """All of a side that a run of the script changes, but for its lock: equal traces mean that none was there."""
    if side is None:
        return None
    kept = [names.property_name(side.tag, name) for name in USER_PROPERTIES if name not in ("lock-pid", "lock-time")]
    own = [(found.short, found.guid, found.sent) for found in side.own_snapshots]
    return own, [side.dataset.local(name) for name in kept]
