# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of the zrep command for campaigns, which disturb them as they do calls of modules."""

from __future__ import annotations

import signal

from tests.system import command
from tests.system.campaign import Call
from tests.system.product import Result, Running


class Line(Call):
    """One call of the zrep command: a verb, and the filesystem that is its operand."""

    def run(self) -> Result:
        return _told(command.zrep(self.host, *self._words))

    def start(self) -> Running:
        return _RunningLine(command.start(self.host, *self._words))

    @property
    def _words(self) -> tuple[str, ...]:
        return self.module, "--json", self.options["filesystem"]


class _RunningLine(Running):
    """A line that was started, as if it were a module."""

    def __init__(self, running: command.RunningCommand) -> None:
        self.host = running.host
        self._running = running

    def result(self, timeout: float = 60) -> Result:
        return _told(self._running.wait(timeout))

    def wait(self, timeout: float = 60) -> None:
        self._running.wait(timeout)

    @property
    def ended(self) -> bool:
        return self._running.ended

    def signal(self, number: int = signal.SIGKILL) -> None:
        self._running.signal(number)


def _told(said: command.Said) -> Result:
    return Result(said.json, failed=said.status != 0, msg=said.err)
