# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verb: give this host the role of master or of replica."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from . import names
from .alone import (
    loss,
    loss_text,
    plan_preserve_alone,
    plan_stay,
    plan_step_down,
    plan_takeover,
    step_down_base,
    this_end,
)
from .asking import divergence, holders
from .errors import BadInput, Busy, Diverged, InUse, SplitBrain, Unreachable, ZrepError
from .execute import Work
from .guard import SILENCE_SECONDS, Guard
from .locks import check_script_lock
from .model import Dataset, Observed, Side, newest_common
from .moving import plan_catch_up, plan_swap, preflight_alone, raise_all
from .outcome import Outcome
from .plan import Plan
from .returning import candidates, follows, has_own, in_doubt, plan_preserve, plan_return
from .roles import UNTOUCHED, check_paired
from .session import Session, with_recorded_peer
from .settings import Settings
from .shell import Shell
from .state import HERE
from .streams import Copy
from .swapping import MASTER, PRESERVE, REFUSE, End, MoveGoal, check_goal, ends

MORE = ("canmount", "mountpoint")


class Moved(t.NamedTuple):
    """What became of a move.

    :param loss: what is missing after a takeover without the peer, None if nothing is known to be.
    :param preserved: the dataset that holds what a side had of its own.
    """

    outcome: Outcome
    loss: dict[str, t.Any] | None
    preserved: str | None


def failover(
    settings: Settings,
    filesystem: str,
    role: str,
    force: bool = False,
    diverged: str = REFUSE,
    preserve_as: str = "",
    peer_identity: str = "",
    dry: bool = False,
) -> Moved:
    """Give this host a role in a pair; raises what stands against it before anything is changed.

    :param force: do it without the peer: become master at once, or step down if it does not answer.
    :param peer_identity: the name under which the peer records itself, where that is not its host name.
    """
    names.check_dataset(filesystem)
    if peer_identity:
        names.check_host(peer_identity, "peer_src_host")
    with Session(settings, dry) as session, contextlib.ExitStack() as stack:
        goal = MoveGoal(role, session.now, diverged, preserve_as)
        check_goal(goal, force)
        session.lock(filesystem)
        return _Move(session, stack, filesystem, goal, force, peer_identity).go()


class _Move:
    """One move on its way."""

    def __init__(
        self,
        session: Session,
        stack: contextlib.ExitStack,
        filesystem: str,
        goal: MoveGoal,
        force: bool,
        peer_identity: str,
    ) -> None:
        self._session = session
        self._stack = stack
        self._filesystem = filesystem
        self._goal = goal
        self._force = force
        self._peer_identity = peer_identity
        self._seen = self._look_here()
        self._works: list[Work] = []
        self._warnings: list[str] = []
        self._loss: dict[str, t.Any] | None = None
        self._preserved: str | None = None
        self._peer_guard: Guard | None = None

    def go(self) -> Moved:
        side = check_paired(self._seen)
        check_script_lock(side)
        self._seen = with_recorded_peer(self._seen)
        if self._force and self._goal.role == MASTER:
            self._take_over(side)
        else:
            self._with_or_without_peer(side)
        return Moved(self._outcome(), self._loss, self._preserved)

    def _with_or_without_peer(self, side: Side) -> None:
        try:
            self._reach_peer()
            seen = self._look()
        except Unreachable as error:
            self._without_peer(side, error)
            return
        try:
            self._with_peer(seen)
        except (SplitBrain, Diverged) as error:
            self._explain(error)
            raise

    # Without the peer

    def _take_over(self, side: Side) -> None:
        if not side.is_master:
            self._loss = loss(self._seen, self._goal.now)
            if self._loss is not None:
                self._warnings.append(loss_text(side, self._loss))
        self._act(plan_takeover(self._seen, self._goal))

    def _without_peer(self, side: Side, error: Unreachable) -> None:
        if side.is_master == (self._goal.role == MASTER):
            self._warnings.append(f"{self._seen.peer_host} could not be asked whether it agrees: {error.message}")
            self._act(plan_stay(self._seen))
        elif self._force:
            self._step_down()
        else:
            error.left = error.left or UNTOUCHED
            error.hint = "; or ".join([error.hint, *self._ways_out(side)])
            raise_all([error, *preflight_alone(side)], side)

    def _ways_out(self, side: Side) -> t.Iterator[str]:
        peer = side.peer
        role = "replica" if self._goal.role == MASTER else MASTER
        yield (
            f"if only {peer.host} can connect to this host, run there: "
            f"zrep_failover filesystem={peer.filesystem} role={role}"
        )
        if self._goal.role == MASTER:
            lost = loss(self._seen, self._goal.now)
            known = f": {loss_text(side, lost)}" if lost else ""
            yield f"if {peer.host} is dead, force=true makes this side the master without it{known}"
        else:
            yield "force=true steps down without it"

    def _step_down(self) -> None:
        self._session.settle([self._filesystem])
        self._seen = self._look_here_again()
        end = this_end(self._seen)
        base = step_down_base(end, self._goal)
        if self._goal.diverged != PRESERVE or not has_own(end.side, base):
            self._act(plan_step_down(self._seen, self._goal, None))
            return
        copies = self._copies(self._session.here, candidates(end.side, base, self._goal))
        plan, self._preserved = plan_preserve_alone(self._seen, self._goal, copies)
        self._then(plan, lambda begun, copy: plan_step_down(self._look_here_again(), self._goal, copy, begun), end)

    # With the peer

    def _with_peer(self, seen: Observed) -> None:
        found = ends(seen, self._goal)
        if in_doubt(found):
            # What ZFS says about bytes written lags behind, and here it decides what may be given up.
            self._session.settle_pair(seen)
            seen = self._look(again=True)
            found = ends(seen, self._goal)
        if self._force and found.old.at == HERE and found.old.side.is_master and not found.new.side.is_master:
            raise BadInput(
                f"{seen.peer_host} answers and is the replica: stepping down alone would leave nobody master",
                host=self._session.settings.identity,
                dataset=self._filesystem,
                left=UNTOUCHED,
                hint="leave force out, then the roles are swapped",
            )
        if follows(found):
            self._follow(found.old)
        else:
            self._hand_over(found.old)

    def _hand_over(self, old: End) -> None:
        plan = plan_catch_up(self._seen, self._goal, self._session.settings)
        guard = self._guard_of(old)
        if guard is not None:
            guard.arm(old.side)

        def swap(begun: t.Sequence[t.Any], dummy: Dataset | None) -> Plan:
            found = plan_swap(self._look(), self._goal, begun)
            if guard is not None:
                guard.disarm()
            return found

        self._then(plan, swap, old)
        if self._works[-1].error is not None:
            self._tell_how_it_stands(self._works[-1], old, guard)

    def _tell_how_it_stands(self, work: Work, old: End, guard: Guard | None) -> None:
        """Complete the error of a move that failed by what it means for production."""
        error = t.cast(ZrepError, work.error)
        if any(step.decisive for step in work.done):
            return
        place = f"{old.side.host}:{old.side.filesystem}"
        thawed = [step for step in work.done if step.lasting and step.target == old.side.filesystem]
        if thawed:
            state = f"{place} is the master and writable, as before"
        elif guard is not None and guard.armed:
            state = f"{place} is still the master; the guard on it makes it writable within {SILENCE_SECONDS} seconds"
        else:
            state = f"{place} may still be read-only: the same call goes on, role=master on it makes it writable"
        error.left = "; ".join(filter(None, [state, error.left]))

    def _follow(self, old: End) -> None:
        found = ends(self._seen, self._goal)
        common = newest_common(found.old.side, found.new.side)
        if self._goal.diverged != PRESERVE or common is None or not has_own(old.side, common.here):
            self._act(plan_return(self._seen, self._goal, None), old)
            return
        shell = self._session.here if old.at == HERE else self._session.peer(self._seen.peer_host)
        copies = self._copies(shell, candidates(old.side, common.here, self._goal))
        plan, self._preserved = plan_preserve(self._seen, self._goal, copies)
        self._then(plan, lambda begun, copy: plan_return(self._look(), self._goal, copy, begun), old)

    # Looking

    def _look_here(self) -> Observed:
        return self._session.look_here([self._filesystem], MORE)[self._filesystem]

    def _look_here_again(self) -> Observed:
        if self._works and self._session.dry:
            return self._predicted()
        seen = self._look_here()
        return dataclasses.replace(seen, peer_host=self._seen.peer_host, peer_filesystem=self._seen.peer_filesystem)

    def _look(self, again: bool = False) -> Observed:
        """Both sides as they are now, or as they would be."""
        if self._works and self._session.dry:
            return self._predicted()
        if self._works or again:
            self._seen = self._look_here_again()
        seen = self._session.look_there([self._seen], more=MORE)[0]
        self._seen = dataclasses.replace(seen, identity_there=self._identity_there(seen))
        there = self._seen.side_there
        if there is not None and not self._works:
            self._check_script_lock_there(there)
        return self._seen

    def _predicted(self) -> Observed:
        after = self._works[-1].plan.after
        return dataclasses.replace(self._seen, here=after.here, there=after.there)

    def _copies(self, shell: Shell, tried: t.Sequence[str]) -> dict[str, Dataset]:
        wanted = [*tried, names.parent_of(tried[0])]
        return self._session.look_at(shell, [name for name in wanted if name])

    def _identity_there(self, seen: Observed) -> str:
        """The name under which the peer records itself: as it does where it is the master, else its host name."""
        there = seen.side_there
        own = there.source if there is not None and there.is_master else None
        if self._peer_identity:
            return self._peer_identity
        if own is not None and there is not None and own.filesystem == there.filesystem and own.host != seen.identity:
            return own.host
        return names.short_host(self._peer_name())

    def _peer_name(self) -> str:
        if self._peer_guard is not None and self._peer_guard.host_name:
            return self._peer_guard.host_name
        done = self._session.peer(self._seen.peer_host).run(("uname", "-n"))
        name = done.out.strip() if done.status == 0 else ""
        return names.check_host(name, "the name of the peer") if name else self._seen.peer_host

    def _check_script_lock_there(self, there: Side) -> None:
        pid = there.lock_pid
        if pid is None or self._session.peer(self._seen.peer_host).run(("sh", "-c", f"kill -0 {pid}")).status:
            return
        raise Busy(
            f"process {pid} holds the lock property {there.tag}:lock-pid",
            host=there.host,
            dataset=there.filesystem,
            left=UNTOUCHED,
            hint="try again when it is done",
        )

    # Guarding

    def _reach_peer(self) -> None:
        peer = self._session.peer(self._seen.peer_host)
        if self._session.dry:
            peer.connect()
            return
        guard = Guard(peer, self._seen.tag, self._seen.peer_filesystem)
        self._peer_guard = self._stack.enter_context(guard)
        if not guard.held:
            self._warnings.append(
                f"{peer.host} could not lock {self._seen.peer_filesystem} for us, "
                "so nothing keeps a run there from getting in between"
            )

    def _guard_of(self, old: End) -> Guard | None:
        """The guard of the side that is to be frozen."""
        if self._session.dry or old.at != HERE:
            return self._peer_guard
        keep = self._session.descriptors(self._filesystem)
        guard = Guard(self._session.here, self._seen.tag, self._filesystem, lock=False, keep=keep)
        return self._stack.enter_context(guard)

    # Doing

    def _act(self, plan: Plan, frozen: End | None = None) -> Work:
        """Carry out a plan; what went wrong is in its work.

        :param frozen: the side that the plan freezes, if it does.
        """
        work = self._session.carry_out([(self._seen, plan)])[0]
        self._works.append(work)
        if work.error is not None and frozen is not None:
            self._name_holders(work, frozen)
        return work

    def _then(self, plan: Plan, following: t.Callable[[t.Sequence[t.Any], Dataset | None], Plan], old: End) -> None:
        """Carry out a plan, then the one that follows from what is seen after it."""
        work = self._act(plan, old)
        if work.error is not None:
            self._preserved = None
            return
        try:
            then = following(work.undo, self._copy(plan, old))
        except ZrepError as error:
            self._session.take_back(work, error)
            return
        work.undo = []
        self._act(then, old)

    def _copy(self, plan: Plan, old: End) -> Dataset | None:
        """The dataset that a plan copied to, as it is now or would be."""
        if self._preserved is None:
            return None
        if self._session.dry:
            side = plan.after.side(old.at)
            return Dataset(self._preserved, "filesystem", 0, {}, side.snapshots if side else ())
        shell = self._session.here if old.at == HERE else self._session.peer(self._seen.peer_host)
        return self._session.look_at(shell, [self._preserved]).get(self._preserved)

    def _name_holders(self, work: Work, frozen: End) -> None:
        step = work.next_of_plan
        error = work.error
        if step is None or step.action not in ("set", "remount") or error is None or isinstance(error, Unreachable):
            return
        if step.action == "set" and "readonly" not in dict(getattr(step, "values", ())):
            return
        shell = self._session.here if frozen.at == HERE else self._session.peer(self._seen.peer_host)
        found = holders(shell, frozen.side)
        work.error = InUse(
            "cannot be made read-only: {}".format(
                "processes have files open there: {}".format("; ".join(found)) if found else error.message
            ),
            host=shell.host,
            dataset=frozen.side.filesystem,
            left=error.left,
            hint="stop them, or what starts them, and run it again",
        )
        work.error.details["holders"] = found

    def _explain(self, error: ZrepError) -> None:
        found = divergence(self._session, self._seen)
        if found is not None:
            error.message = f"{error.message}; {found.text()}"
            error.details["divergence"] = found.facts()

    def _outcome(self) -> Outcome:
        outcome = Outcome(self._goal.now)
        if self._works:
            outcome.done = [(self._seen, _joined(self._works))]
            outcome.done[0][1].warnings.extend(self._warnings)
        if self._preserved and not any(isinstance(step, Copy) for work in self._works for step in work.plan.steps):
            outcome.notes.append(f"{self._preserved} holds what was preserved by an earlier run")
        return outcome


def _joined(works: t.Sequence[Work]) -> Work:
    """Several plans of one move as one, for the report."""
    first, last = works[0], works[-1]
    steps = tuple(step for work in works for step in work.plan.steps)
    plan = Plan(first.plan.filesystem, first.plan.before, steps, skipped=last.plan.skipped)
    joined = Work(plan, first.peer, first.features_here, first.features_there)
    joined.done = [step for work in works for step in work.done]
    joined.warnings = [warning for work in works for warning in work.warnings]
    joined.error = next((work.error for work in works if work.error is not None), None)
    return joined
