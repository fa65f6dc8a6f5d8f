# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shells and streams that run nothing and keep what they were told, and plans to carry out with them."""

from __future__ import annotations

import threading

from ansible_collections.zfsops.zrep.plugins.module_utils._core.execute import Executor, Work
from ansible_collections.zfsops.zrep.plugins.module_utils._core.plan import Plan
from ansible_collections.zfsops.zrep.plugins.module_utils._core.shell import Completed, Shell
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import State

from .builders import MODERN


class Recorder(Shell):
    """Runs nothing: keeps what it was told, and fails where it was told to.

    :param log: what all shells of a test were told, in order.
    :param failing: maps words of a command to what zfs would say.
    """

    def __init__(self, host, log, failing=None):
        super().__init__(host)
        self.log = log
        self.failing = failing or {}

    def run(self, argv):
        self.log.append((self.host, *argv))
        for words, said in self.failing.items():
            if words in " ".join(argv):
                if isinstance(said, BaseException):
                    raise said
                return Completed(1, "", said)
        return Completed(0, "", "")


class Streams:
    def __init__(self):
        self.log = []
        self.failing = {}
        self.done = []
        self.together = None
        self.guard = threading.Lock()
        self.lanes = []
        self.shared = False

    def run(self, step, here, peer, features, lane, keep, children, way):
        self.done.append((step.target, lane, keep, features))
        self.log.append((here.host, "stream", step.target))
        with self.guard:
            self.shared = self.shared or lane in self.lanes
            self.lanes.append(lane)
        try:
            if self.together is not None:
                self.together.wait()
        finally:
            with self.guard:
                self.lanes.remove(lane)
        if step.target in self.failing:
            raise self.failing[step.target]


def work(peer, *steps, name="p/a", features=MODERN, begun=(), **more):
    return Work(Plan(name, State(None, None), tuple(steps), begun=tuple(begun)), peer, features, features, **more)


def carry_out(here, *works, parallel=1):
    Executor(here, parallel).carry_out(works)
    return works
