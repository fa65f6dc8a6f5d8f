# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out plans: the steps of many filesystems share commands, streams run side by side, one failure stops one plan.

The order of steps within a plan is never changed. Between plans there is none: of all the steps that are next, those
of the lowest phase go first, and those of one group go together.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import queue
import time
import typing as t

from . import zfs
from .delegated import is_left_out, took_effect
from .errors import LinkLost, NotFound, Unreachable, ZrepError
from .leftovers import explain, host_of_receiver, kept, useless
from .model import Features
from .plan import Plan
from .shell import Children, Shell
from .state import HERE, PEER
from .steps import Step
from .streams import Send
from .transfer import DIRECT, Way, run_stream

PATIENCE_SECONDS = 10
"""How long a stream that is through waits for the others of its phase before it is recorded without them."""

UNDO_ATTEMPTS = 20
BUSY_PAUSE_SECONDS = 0.5


@dataclasses.dataclass
class Work:
    """One plan on its way.

    :param peer: the shell of the pair's other host; None where the plan has no steps there.
    :param keep: descriptors of locks that a running stream inherits.
    :param way: how its streams go from host to host.
    :param done: the steps that were carried out, undone ones included.
    :param error: what ended it early.
    :param streamed: for how many seconds its streams ran.
    """

    plan: Plan
    peer: Shell | None
    features_here: Features
    features_there: Features
    keep: tuple[int, ...] = ()
    done: list[Step] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    error: ZrepError | None = None
    position: int = 0
    undo: list[Step] = dataclasses.field(default_factory=list)
    way: Way = DIRECT
    streamed: float = 0.0

    def __post_init__(self) -> None:
        self.undo = [*self.plan.begun, *self.undo]

    @property
    def next_of_plan(self) -> Step | None:
        """The step that the plan stands at."""
        return self.plan.steps[self.position] if self.position < len(self.plan.steps) else None

    @property
    def next(self) -> Step | None:
        """The step to carry out next, None if there is none or something failed."""
        return self.next_of_plan if self.error is None else None

    def group(self) -> t.Hashable:
        step = t.cast(Step, self.next)
        return (step.group, None if step.side == HERE else id(self.peer))

    def passed(self, step: Step) -> None:
        """Record that the next step was carried out."""
        self.done.append(step)
        self.position += 1
        if step.decisive:
            self.undo = []
        elif step.delivers:
            self.undo = [undo for undo in self.undo if undo.lasting]
        elif step.undo is not None:
            self.undo.append(step.undo)


class Executor:
    """Carries out plans. One for each run; ``carry_out`` returns when every plan is through or has failed.

    :param parallel: how many streams may run at a time.
    """

    def __init__(self, here: Shell, parallel: int) -> None:
        self._here = here
        self._parallel = parallel
        self._children = Children()
        # Side by side, streams would share the speed of one connection: each has its own, and hands it to the next one.
        self._lanes: queue.SimpleQueue[int] = queue.SimpleQueue()
        for lane in range(1, parallel + 1):
            self._lanes.put(lane)

    def carry_out(self, works: t.Sequence[Work]) -> None:
        streams: dict[concurrent.futures.Future[None], Work] = {}
        with concurrent.futures.ThreadPoolExecutor(max_workers=self._parallel) as pool:
            try:
                while True:
                    busy = [id(work) for work in streams.values()]
                    ready = [work for work in works if work.next is not None and id(work) not in busy]
                    if ready:
                        self._advance(_together(ready), pool, streams)
                    elif streams:
                        self._collect(streams)
                    else:
                        return
            except BaseException:
                # Told to stop: the threads only end when their programs do.
                for future in streams:
                    future.cancel()
                self._children.stop()
                for work in works:
                    self._take_all_back(work, certain=False)
                raise

    def _advance(
        self, group: list[Work], pool: concurrent.futures.Executor, streams: dict[concurrent.futures.Future[None], Work]
    ) -> None:
        if not isinstance(group[0].next, Send):
            self._run_group(group)
            return
        alone = len(group) == 1 or self._parallel == 1
        for work in group:
            streams[pool.submit(self._stream, work, alone)] = work

    def _stream(self, work: Work, alone: bool) -> None:
        lane = 0 if alone else self._lanes.get()
        began = time.monotonic()
        try:
            peer = t.cast(Shell, work.peer)
            step = t.cast(Send, work.next)
            run_stream(step, self._here, peer, _common(work), lane, work.keep, self._children, work.way)
        finally:
            work.streamed += time.monotonic() - began
            if not alone:
                self._lanes.put(lane)

    def _collect(self, streams: dict[concurrent.futures.Future[None], Work]) -> None:
        """Wait for streams to end; those that did go on without the slow ones after a while."""
        ended: set[concurrent.futures.Future[None]] = set()
        while not ended:
            ended, _dummy = concurrent.futures.wait(streams, timeout=PATIENCE_SECONDS)
        for future in ended:
            work = streams.pop(future)
            try:
                future.result()
            except ZrepError as error:
                self._fail_stream(work, error)
            else:
                work.passed(t.cast(Step, work.next))

    def _run_group(self, group: list[Work]) -> None:
        """Carry out the next steps of several plans in shared commands; if they cannot be shared, each by itself."""
        first = group[0]
        steps = [t.cast(Step, work.next) for work in group]
        commands = steps[0].commands(steps[1:], self._features(first, steps[0]))
        shared = len(group) == 1 or len(commands) == 1 or steps[0].repeatable
        error = self._run_patiently(first, commands, steps[0], steps[0].patience) if shared else None
        if shared and error is None:
            for work, step in zip(group, steps):
                work.passed(step)
        elif len(group) > 1 and not isinstance(error, Unreachable):
            for work in group:
                self._run_group([work])
        elif error is not None and is_left_out(steps[0], error):
            self._run_parts(first, steps[0], error)
        elif error is not None:
            for work in group:
                self.fail(work, error)

    def _run_parts(self, work: Work, step: Step, error: ZrepError) -> None:
        """Do what can be done of a step that may fail, and warn about the rest."""
        parts = step.split()
        for part in parts:
            failed = error if len(parts) == 1 else self._run(work, part.commands((), self._features(work, part)), part)
            if failed is None:
                work.done.append(part)
            elif not isinstance(failed, NotFound):  # What is gone was destroyed by the first attempt.
                work.warnings.append(f"could not {part.describe()}: {failed}")
        work.position += 1

    def _run(self, work: Work, commands: t.Iterable[zfs.Argv], step: Step) -> ZrepError | None:
        shell = self._here if step.side == HERE else t.cast(Shell, work.peer)
        for argv in commands:
            try:
                done = shell.run(argv)
                to_do = took_effect(shell, argv, done) if done.status else ""
                if to_do is None:
                    return zfs.failure(argv, done.status, done.err, shell.host, step.target)
                if to_do:
                    work.warnings.append(to_do)
            except ZrepError as error:
                return error
        return None

    def _run_patiently(self, work: Work, commands: t.Sequence[zfs.Argv], step: Step, attempts: int) -> ZrepError | None:
        """Run commands, again after a while if something was busy: what was mounted or read a moment ago can be."""
        failed = self._run(work, commands, step)
        for _attempt in range(attempts):
            if failed is None or "busy" not in failed.message:
                break
            time.sleep(BUSY_PAUSE_SECONDS)
            failed = self._run(work, commands, step)
        return failed

    def _features(self, work: Work, step: Step) -> Features:
        return work.features_here if step.side == HERE else work.features_there

    def _fail_stream(self, work: Work, error: ZrepError) -> None:
        """End a plan whose stream failed. What prepared for it stays if the receiver kept what had arrived."""
        step = t.cast(Send, work.next)
        receiver = host_of_receiver(step, self._here, t.cast(Shell, work.peer))
        explain(error)
        stuck = useless(step, error, receiver.host)
        if stuck is not None and self._take_back(work, stuck) is None:
            work.done.append(stuck)
            work.warnings.append(stuck.warning(work.plan.before))
            error.left = "the interrupted receive was given up, so that the next run sends the snapshot from its start"
        elif kept(step, error, receiver):
            self.fail(work, error, kept=True)
            return
        self.fail(work, error)

    def fail(self, work: Work, error: ZrepError, kept: bool = False) -> None:
        """End a plan, and take back what is pointless without the step that failed.

        :param kept: the next run goes on from what the step has reached.
        """
        work.error = error
        certain = not kept and not isinstance(error, (LinkLost, Unreachable))
        if kept:
            error.left = "; ".join(
                filter(None, [error.left, "what has arrived is kept, and the next run goes on from there"])
            )
        undone, stuck = self._take_all_back(work, certain)
        if stuck:
            error.left = "; ".join(filter(None, [error.left, *stuck]))
        elif not error.left and (certain or undone):
            error.left = _left(work, undone)

    def _take_all_back(self, work: Work, certain: bool) -> tuple[list[str], list[str]]:
        """Take back what was begun; returns what was, and what could not be.

        :param certain: the step that ended it surely failed. Where the link broke, or we were told to stop, it may have
            happened all the same. Then only that is taken back which must not stay, and nothing if the step was the one
            that decides: the next run sees what came of it.
        """
        step = work.next_of_plan
        undo = list(work.undo)
        if step is not None and step.repeatable and step.undo is not None:
            # It may have done part of its work, and taking that back does no harm if it did none.
            undo.append(step.undo)
        if not certain:
            undo = [] if step is not None and step.decisive else [found for found in undo if found.lasting]
        undone, stuck = [], []
        lost: ZrepError | None = None
        for found in reversed(undo):
            # A peer that is gone is not tried again for each step: what can be done here must not wait for that.
            failed = lost if lost is not None and found.side == PEER else self._take_back(work, found)
            if failed is None:
                work.done.append(found)
                undone.append(found.describe())
                continue
            stuck.append(f"could not {found.describe()} ({failed.message})")
            if isinstance(failed, Unreachable):
                lost = failed
        return undone, stuck

    def _take_back(self, work: Work, step: Step) -> ZrepError | None:
        """Carry out an undo step, with patience."""
        return self._run_patiently(work, step.commands((), self._features(work, step)), step, UNDO_ATTEMPTS)


def _left(work: Work, undone: list[str]) -> str:
    """What a plan that failed has changed."""
    if undone:
        return "what was begun was taken back: {}".format(", ".join(undone))
    if any(step.decisive for step in work.done):
        return "what decides is done; the same call again does what is left to do"
    if any(isinstance(step, Send) for step in work.done):
        return "the data has arrived; the next run does what is left to do"
    return "" if work.done else "nothing was changed"


def _together(ready: list[Work]) -> list[Work]:
    """The plans that go on with the next command."""
    first = min(ready, key=lambda work: t.cast(Step, work.next).phase)
    group = first.group()
    return [work for work in ready if work.group() == group]


def _common(work: Work) -> Features:
    """What both ends of a stream can do."""
    return Features(work.features_here.properties & work.features_there.properties)
