# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb drill: prove on a clone that a side could take over."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import time
import typing as t

from .._core import names, run_drill
from .._core.drilling import Clone, clone_name
from .._core.errors import Busy, ZrepError
from .._core.locks import Lock
from .context import Context

PASSED, FAILED = "passed", "failed"
DIRECTORY = "ZREP_DRILL_DIRECTORY"
TURN_SECONDS = 60
"""How long a drill that is over waits for whoever works on the filesystem at that moment."""
GRACE_SECONDS = 10
"""How long a check may take to end once it was told to."""


def drill(context: Context) -> int:
    """Clone, mount, check, remove the clone, record the result."""
    filesystem, *command = context.request.operands
    name = clone_name(names.check_dataset(filesystem), context.request.values.get("clone"))
    work = _Drill(context, filesystem, name, command)
    if context.request.dry:
        return work.rehearse()
    settings = context.settings
    # The lock on the filesystem itself is free while the check runs, so that syncs go on.
    lock = Lock(settings.rundir, f"drill-{settings.tag}", name, settings.identity)
    try:
        return work.run()
    finally:
        lock.release()


class _Drill:
    """One drill on its way."""

    def __init__(self, context: Context, filesystem: str, name: str, command: t.Sequence[str]) -> None:
        self._context = context
        self._filesystem = filesystem
        self._name = name
        self._command = command
        self._snapshot: str | None = None
        self._began = time.monotonic()

    def rehearse(self) -> int:
        """Say what would be done."""
        answer = self._context.voice.answer
        old = run_drill.drilled(self._context.settings, self._filesystem, self._name, None, None, None, dry=True)
        status = self._context.finish(old.result(True))
        if old.existed is None:
            made = self._cloned(dry=True)
            status = self._context.finish(made.result(True))
        else:
            answer(f"would make {self._name} anew, of the newest snapshot")
        if self._command:
            answer("would run {} with the clone's directory".format(" ".join(self._command)))
        answer(f"would destroy {self._name} again and record the result")
        return status

    def run(self) -> int:
        try:
            clone = self._begin()
            if clone is None:
                return 1
            passed = self._check(clone)
        except (SystemExit, KeyboardInterrupt):
            self._end_early()
            raise
        status = self._end(PASSED if passed else FAILED)
        return status if passed else 1

    # Beginning

    def _begin(self) -> Clone | None:
        """Have a fresh clone; None if there is none, which was told then."""
        old = run_drill.drilled(self._context.settings, self._filesystem, self._name, None, None, None)
        if self._tell(old):
            return None
        if old.existed is not None:
            self._context.voice.note(f"{self._name} was left behind by a drill that was killed; it is removed")
        made = self._cloned()
        if self._tell(made) or made.clone is None:
            return None
        self._snapshot = made.clone.snapshot.short
        self._context.voice.tell(f"{self._filesystem}: {self._snapshot} is cloned to {_place(made.clone)}")
        return made.clone

    def _cloned(self, dry: bool = False) -> run_drill.Drilled:
        mountpoint = self._context.request.values.get("mountpoint")
        return run_drill.cloned(self._context.settings, self._filesystem, self._name, None, mountpoint, dry)

    def _tell(self, drilled: run_drill.Drilled) -> int:
        """Tell what went wrong; the exit status."""
        result = drilled.result(False)
        return self._context.finish(result if self._context.voice.debug else dict(result, actions=[]))

    # Checking

    def _check(self, clone: Clone) -> bool:
        self._began = time.monotonic()
        if not self._command:
            return self._is_readable(clone)
        try:
            status = _run([*self._command, _place(clone)], dict(os.environ, **{DIRECTORY: _place(clone)}))
        except OSError as error:
            self._context.voice.fail(f"{self._command[0]!r} cannot be run: {error.strerror or error}")
            return False
        if status:
            how = f"was ended by signal {-status}" if status < 0 else f"ended with exit status {status}"
            self._context.voice.fail(f"{self._command[0]!r} {how}")
        return status == 0

    def _is_readable(self, clone: Clone) -> bool:
        if clone.mountpoint is None:
            return True  # A volume. What it holds only its user can tell.
        try:
            os.listdir(clone.mountpoint)
        except OSError as error:
            self._context.voice.fail(f"{clone.mountpoint} cannot be read: {error.strerror or error}")
            return False
        return True

    # Ending

    def _end(self, result: str) -> int:
        """Remove the clone and record what became of it; the exit status."""
        seconds = math.ceil(time.monotonic() - self._began)
        status = self._tell(self._in_turn(lambda: self._drilled(result, seconds)))
        if not status:
            self._context.voice.tell(f"{self._filesystem}: the drill {result} after {seconds} s")
        return status

    def _end_early(self) -> None:
        """The same where we are told to stop, which is what the exit status is to say."""
        try:
            self._end(FAILED)
        except ZrepError as error:
            self._context.voice.fail(str(error))

    def _drilled(self, result: str, seconds: int) -> run_drill.Drilled:
        settings = self._context.settings
        return run_drill.drilled(settings, self._filesystem, self._name, self._snapshot, result, seconds)

    def _in_turn(self, call: t.Callable[[], run_drill.Drilled]) -> run_drill.Drilled:
        """Make a call once nobody else works on the filesystem; raises Busy if that does not end."""
        until = time.monotonic() + TURN_SECONDS
        while True:
            try:
                return call()
            except Busy:
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)


def _place(clone: Clone) -> str:
    """Where a check finds what was cloned."""
    return clone.mountpoint or f"/dev/zvol/{clone.name}"


def _run(argv: t.Sequence[str], environment: t.Mapping[str, str]) -> int:
    """Run a program to its end; its status, negative for a signal. Raises OSError if it cannot be started."""
    # In a session of its own, so that all it has started can be ended with it: nothing may keep the clone in use.
    process = subprocess.Popen(  # pylint: disable=ansible-bad-function
        list(argv), stdin=subprocess.DEVNULL, env=dict(environment), start_new_session=True
    )
    try:
        return process.wait()
    except BaseException:
        _stop(process)
        raise


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it has started."""
    _signal(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
    _signal(process.pid, signal.SIGKILL)
    process.wait()


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(OSError):  # Nobody is left.
        os.killpg(group, number)
