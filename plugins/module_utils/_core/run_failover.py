# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verb: give this host the role of master or of replica."""

from __future__ import annotations

import contextlib
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
from .attending import SILENCE_SECONDS
from .encryption import warn_locked
from .errors import BadInput, Busy, Diverged, InUse, SplitBrain, Unreachable, ZrepError
from .execute import Work
from .freezing import is_freezing
from .guard import Guard, not_held
from .locks import check_script_lock
from .model import Dataset, Observed, Side, Snapshot, newest_common
from .moving import plan_catch_up, plan_swap, preflight_alone, raise_all
from .outcome import Outcome, joined
from .partial import Abandon, Resume
from .plan import Plan
from .returning import candidates, follows, in_doubt, plan_preserve, plan_return
from .roles import UNTOUCHED, check_paired
from .run_others import Destination, check_others, find_others, follow_up, sides_of
from .session import Session
from .settings import Settings
from .sight import Sight
from .state import HERE
from .steps import Step
from .swapping import MASTER, PRESERVE, REFUSE, End, MoveGoal, check_goal, ends
from .trees import parts

Following = t.Callable[[t.Sequence[Step], t.Optional[Dataset]], Plan]
"""Plans what follows: gets what takes back the first plan, and the copy that it made."""


class Moved(t.NamedTuple):
    """What became of a move.

    :param loss: what is missing after a takeover without the peer, None if nothing is known to be.
    :param preserved: the dataset that holds what a side had of its own.
    :param others: the destinations of the filesystem under other tags.
    """

    outcome: Outcome
    loss: dict[str, t.Any] | None
    preserved: str | None
    others: t.Sequence[Destination] = ()


def failover(
    settings: Settings,
    filesystem: str,
    role: str,
    force: bool = False,
    diverged: str = REFUSE,
    preserve_as: str = "",
    peer_identity: str = "",
    peer_host: str = "",
    base: str = "",
    alone: bool = False,
    dry: bool = False,
    repoint: t.Sequence[str] = (),
) -> Moved:
    """Give this host a role in a pair; raises what stands against it before anything is changed.

    :param force: do it without the peer: become master at once, or step down if it does not answer.
    :param peer_identity: the name under which the peer records itself, where that is not its host name.
    :param peer_host: the name to reach the peer by, and to record it by, where that is not the recorded one.
    :param base: step down at this snapshot, whatever the peer has.
    :param alone: step down although the peer answers and is no master: for a move that is made one host at a time.
    :param repoint: tags of other destinations that are to follow the new master.
    """
    names.check_dataset(filesystem)
    check_others(repoint, settings.tag)
    if repoint and not dry:
        # What stands against it is to be known before the move.
        said = (settings, filesystem, role, force, diverged, preserve_as, peer_identity, peer_host, base, alone)
        for found in failover(*said, dry=True, repoint=repoint).outcome.errors:
            found.error.left = UNTOUCHED
            raise found.error
    for name, what in ((peer_identity, "peer_src_host"), (peer_host, "peer_host")):
        if name:
            names.check_host(name, what)
    with Session(settings, dry) as session, contextlib.ExitStack() as stack:
        goal = MoveGoal(role, session.now, diverged, preserve_as, base)
        check_goal(goal, force)
        session.lock(filesystem)
        sight = Sight(session, filesystem, peer_identity, peer_host)
        moved = _Move(session, stack, sight, goal, force, alone).go()
        if moved.outcome.errors:
            return moved
        sides = sides_of(sight.seen, goal, dry)
        others = find_others(sight.seen, sides, session.here, sight.peer, repoint)
    # The locks of this tag are let go of: others have their own.
    return moved._replace(others=follow_up(settings, sight.seen, others, sides, repoint, moved.outcome, dry))


class _Move:
    """One move on its way."""

    def __init__(
        self,
        session: Session,
        stack: contextlib.ExitStack,
        sight: Sight,
        goal: MoveGoal,
        force: bool,
        alone: bool = False,
    ) -> None:
        self._session = session
        self._stack = stack
        self._sight = sight
        self._goal = goal
        self._force = force
        self._alone = alone
        self._works: list[Work] = []
        self._warnings: list[str] = []
        self._loss: dict[str, t.Any] | None = None
        self._preserved: str | None = None
        self._peer_guard: Guard | None = None

    def go(self) -> Moved:
        side = check_paired(self._sight.seen)
        check_script_lock(side)
        if self._force and self._goal.role == MASTER:
            self._take_over(side)
        elif self._goal.base and side.is_master:
            self._step_down()
        else:
            self._with_or_without_peer(side)
        return Moved(self._outcome(), self._loss, self._preserved)

    def _with_or_without_peer(self, side: Side) -> None:
        try:
            self._reach_peer()
            self._sight.both()
        except Unreachable as error:
            self._without_peer(side, error)
            return
        self._sight.check_script_lock_there()
        try:
            self._with_peer()
        except (SplitBrain, Diverged) as error:
            found = divergence(self._session, self._sight.seen)
            if found is not None:
                error.message = f"{error.message}; {found.text()}"
                error.details["divergence"] = found.facts()
            raise

    # Without the peer

    def _take_over(self, side: Side) -> None:
        self._check_peer_is_known(side)
        if not side.is_master:
            self._loss = loss(self._sight.seen, self._goal.now)
            if self._loss is not None:
                self._warnings.append(loss_text(side, self._loss))
            self._warnings += [warn_locked(found) for found in (side, *side.members) if found.locked]
        self._ask_above(side, HERE)
        self._act(plan_takeover(self._sight.seen, self._goal))

    def _check_peer_is_known(self, side: Side) -> None:
        """Refuse a record that names this host as the peer, where the filesystem of that name does not exist here."""
        peer = side.peer
        if peer.host != side.identity or self._sight.datasets(HERE, [peer.filesystem]):
            return
        error = side.bad_property("dest-host", peer.host, f"there is no {peer.filesystem} on this host")
        error.hint = "a move of the master died here; the other host still knows both: run zrep_failover there"
        raise error

    def _without_peer(self, side: Side, error: Unreachable) -> None:
        seen = self._sight.seen
        if side.is_master == (self._goal.role == MASTER):
            self._warnings.append(f"{seen.peer_host} could not be asked whether it agrees: {error.message}")
            self._ask_above(side, HERE)
            self._act(plan_stay(self._sight.seen))
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
            lost = loss(self._sight.seen, self._goal.now)
            known = f": {loss_text(side, lost)}" if lost else ""
            yield f"if {peer.host} is dead, force=true makes this side the master without it{known}"
        else:
            yield "force=true steps down without it"

    def _step_down(self) -> None:
        self._session.settle([self._sight.seen.filesystem])
        end = this_end(self._sight.here_again())
        base = step_down_base(end, self._goal)
        self._give_up(end, base, plan_preserve_alone, plan_step_down, self._sight.here_again)

    # With the peer

    def _with_peer(self) -> None:
        found = ends(self._sight.seen, self._goal)
        if in_doubt(found):
            # What ZFS says about bytes written lags behind, and here it decides what may be given up.
            found = ends(self._sight.settled(), self._goal)
        old = found.old
        if self._force and old.at == HERE and old.side.is_master and not found.new.side.is_master:
            if self._alone:
                self._step_down()
                return
            raise BadInput(
                f"{found.new.side.host} answers and is the replica: stepping down alone would leave nobody master",
                host=old.side.host,
                dataset=old.side.filesystem,
                left=UNTOUCHED,
                hint="leave force out, then the roles are swapped",
            )
        self._ask_above(found.new.side, found.new.at)
        if follows(found):
            self._follow(old, found.new.side)
        else:
            self._hand_over(old)

    def _hand_over(self, old: End) -> None:
        plan = plan_catch_up(self._sight.seen, self._goal, self._session.settings)
        if not self._session.dry:
            self._session.check_way(self._sight.seen, plan)
        guard = self._guard_of(old)
        if guard is not None and old.side.is_master:
            guard.arm(old.side, old.features)

        def swap(begun: t.Sequence[Step], dummy: Dataset | None) -> Plan:
            found = plan_swap(self._sight.both_again(), self._goal, begun)
            if guard is not None:
                guard.disarm()
            return found

        self._then(plan, swap, old)
        if self._works[-1].error is not None:
            _tell_how_it_stands(self._works[-1], old, guard)

    def _follow(self, old: End, new: Side) -> None:
        common = newest_common(old.side, new)
        base = common.here if common else None
        self._give_up(old, base, plan_preserve, plan_return, self._sight.both_again)

    def _give_up(
        self,
        old: End,
        base: Snapshot | None,
        preserve: t.Callable[[Observed, MoveGoal, t.Mapping[str, Dataset]], tuple[Plan, str]],
        go: t.Callable[[Observed, MoveGoal, Dataset | None, t.Sequence[Step] | None], Plan],
        look_again: t.Callable[[], Observed],
    ) -> None:
        """Carry out a plan by which a side loses what it has of its own, preserved before if that is wanted."""
        seen, goal = self._sight.seen, self._goal
        other_side = None if seen.there is None or not seen.asked else self._other_of(old)
        own = base is not None and any(part.has_own for part in parts(old.side, base, other_side))
        if goal.diverged != PRESERVE or base is None or not own:
            self._act(go(seen, goal, None, None), old)
            return
        tried = candidates(old.side, base, goal)
        trees = tried if old.side.recursive else []
        copies = self._sight.datasets(old.at, [*tried, names.parent_of(tried[0])], trees)
        plan, self._preserved = preserve(seen, goal, copies)
        self._then(plan, lambda begun, copy: go(look_again(), goal, copy, begun), old)

    def _other_of(self, end: End) -> Side | None:
        return self._sight.seen.side_there if end.at == HERE else self._sight.seen.side_here

    def _ask_above(self, side: Side, at: str) -> None:
        """Where a side is to become writable, find out what it takes."""
        if side.readonly:
            self._sight.ask_above(at)
        if not side.is_master:
            self._sight.ask_places(at)
            self._warnings += [
                f"{path} holds something already, so nothing is mounted there"
                for path in sorted(self._sight.seen.occupied)
            ]

    # Guarding

    def _reach_peer(self) -> None:
        peer, seen = self._sight.peer, self._sight.seen
        if self._session.dry:
            peer.connect()
            return
        guard = self._peer_guard = self._stack.enter_context(Guard(peer, seen.tag, seen.peer_filesystem))
        self._sight.host_name = guard.host_name
        if not guard.held:
            self._warnings.append(not_held(peer.host, seen.peer_filesystem))

    def _guard_of(self, old: End) -> Guard | None:
        """The guard of the side that is to be frozen."""
        if self._session.dry or old.at != HERE:
            return self._peer_guard
        filesystem = old.side.filesystem
        keep = self._session.descriptors(filesystem)
        return self._stack.enter_context(Guard(self._session.here, old.side.tag, filesystem, lock=False, keep=keep))

    # Doing

    def _act(self, plan: Plan, frozen: End | None = None) -> Work:
        """Carry out a plan; what went wrong is in its work.

        :param frozen: the side that the plan freezes, if it does.
        """
        work = self._session.carry_out([(self._sight.seen, plan)])[0]
        self._works.append(work)
        if self._session.dry:
            self._sight.pretend(plan)
        if work.error is not None and frozen is not None and is_freezing(work.next_of_plan):
            self._name_holders(work, frozen)
        return work

    def _then(self, plan: Plan, following: Following, old: End) -> None:
        """Carry out a plan, then the one that follows from what is seen after it."""
        work = self._act(plan, old)
        if work.error is not None:
            self._preserved = None
            return
        try:
            then = following(work.undo, self._sight.copy(old.at, self._preserved))
        except ZrepError as error:
            self._session.take_back(work, error)
            return
        work.undo = []
        self._act(then, old)

    def _name_holders(self, work: Work, frozen: End) -> None:
        """Say who has files open that keep a side from being frozen."""
        error = t.cast(ZrepError, work.error)
        if isinstance(error, Unreachable):
            return
        found = holders(self._sight.shell(frozen.at), frozen.side)
        if found or "busy" in error.message:
            work.error = _in_use(frozen.side, found, error)

    def _outcome(self) -> Outcome:
        outcome = Outcome(self._goal.now)
        if self._works:
            work = joined(self._works)
            work.warnings += self._warnings
            outcome.done = [(self._sight.seen, work)]
        return outcome


def _in_use(side: Side, holders_found: t.Sequence[str], error: ZrepError) -> InUse:
    """The error that somebody keeps a side from being frozen, whether it is known who."""
    if holders_found:
        why = "processes have files open there: {}".format("; ".join(holders_found))
        hint = "stop them, or what starts them, and run it again"
    else:
        place = side.dataset.value("mountpoint") or ""
        why = error.message
        hint = (
            "no process was seen that has files open there; find out who uses it, be it a container, a mount inside or "
            f"an export (as root on {side.host}: fuser -vm {place}, findmnt -R {place}), end that, and run it again"
        )
    found = InUse(
        f"cannot be made read-only: {why}", host=side.host, dataset=side.filesystem, left=error.left, hint=hint
    )
    found.details["holders"] = list(holders_found)
    return found


def _tell_how_it_stands(work: Work, old: End, guard: Guard | None) -> None:
    """Complete the error of a move that failed by what it means for production."""
    error = t.cast(ZrepError, work.error)
    if isinstance(error, Busy) or any(step.decisive for step in work.done):
        return
    place = f"{old.side.host}:{old.side.filesystem}"
    stands = work.next_of_plan
    untouched = isinstance(stands, (Resume, Abandon)) and not any(is_freezing(step) for step in work.done)
    if untouched or any(step.lasting and step.target == old.side.filesystem for step in work.done):
        state = f"production is as before: {place} is the master and writable"
    elif guard is not None and guard.armed:
        state = f"the guard on {old.side.host} makes {place}, still the master, writable in {SILENCE_SECONDS} seconds"
    else:
        state = f"the same call goes on; role=master on {place}, which may still be read-only, makes it writable"
    error.left = "; ".join(filter(None, [state, error.left]))
