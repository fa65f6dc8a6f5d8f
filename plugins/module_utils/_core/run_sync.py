# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verb: bring replicas up to date by pushing from this host."""

from __future__ import annotations

import time
import typing as t

from . import journal, names
from .errors import BadInput, Busy, ZrepError
from .execute import Work
from .keeping import Keeper, tell_what_differs
from .locks import check_script_lock
from .model import Observed
from .outcome import Outcome, Refused, plan_pairs
from .overwriting import check_diverged
from .plan import Plan
from .roles import check_master
from .session import Session, is_replica, masters, registered, with_recorded_peer
from .settings import Settings
from .swapping import PRESERVE
from .syncing import SyncGoal, is_fresh, plan_rewind, plan_sync


def sync(
    settings: Settings,
    targets: t.Sequence[str],
    everything: bool,
    options: t.Mapping[str, t.Any],
    skip_busy: int | None = None,
    dry: bool = False,
    only: bool = False,
) -> Outcome:
    """Push. What stands against one filesystem is in the outcome, so that the others go on.

    :param targets: filesystems, or ``FS@SNAP`` to roll a replica back to a snapshot.
    :param everything: all that this host is master of, instead of targets.
    :param options: the fields of SyncGoal but for the time.
    :param skip_busy: seconds since the last sync for which a filesystem that somebody else works on is no error.
    :param only: leave out filesystems whose master is the other side, without a word.
    """
    wanted = check_targets(targets)
    with Session(settings, dry) as session:
        goal = SyncGoal(session.now, **options)
        check_diverged(goal.diverged, goal.force)
        outcome = Outcome(session.now)
        pairs = candidates(session, list(wanted), everything, goal.only_if_changed, outcome)
        pairs = [seen for seen in pairs if not (only and is_replica(seen))]
        if everything and not pairs and not outcome.refused:
            outcome.note_no_master(settings)

        def planner(seen: Observed) -> Plan:
            short = wanted.get(seen.filesystem)
            return plan_rewind(seen, short, goal.force) if short else plan_sync(seen, goal, settings)

        fresh, stale = part_fresh(_usable(pairs, outcome), wanted, goal)
        plans = [(seen, plan_sync(seen, goal, settings)) for seen in fresh]
        preserve = goal.force and goal.diverged == PRESERVE
        keeper = Keeper(session, preserve)
        # What a replica loses by going back was perhaps written a moment ago, and no stream would find it out.
        careful = [seen for seen in stale if preserve or wanted.get(seen.filesystem)]
        plans += keeper.plan_pairs(careful, planner, wanted, outcome)
        plans += plan_pairs(session, [seen for seen in stale if seen not in careful], planner, outcome)
        works = zip([seen for seen, dummy in plans], session.carry_out(plans))
        outcome.done += [(seen, keeper.complete(seen, work)) for seen, work in works]
        outcome.done = in_order(outcome.done, pairs)
        tell_what_differs(session, outcome)
        outcome.preserved = [kept._asdict() for kept in keeper.kept]
        excuse_busy(outcome, goal, skip_busy)
        outcome.notes += [f"{seen.filesystem}: {plan.skipped}" for seen, plan in plans if plan.skipped]
        if not dry:
            journal.note(settings, outcome, "master")
        return outcome


def check_targets(targets: t.Sequence[str]) -> dict[str, str]:
    """Filesystems with the snapshot that each is to go back to, empty for none; raises BadInput."""
    wanted = dict(names.split_snapshot(target) for target in targets)
    if len(wanted) != len(targets):
        raise BadInput("a filesystem is named twice in {}".format(", ".join(targets)))
    for filesystem, short in wanted.items():
        names.check_dataset(filesystem)
        if short:
            names.check_snapshot(short)
    return wanted


def part_fresh(
    pairs: t.Iterable[Observed], wanted: t.Mapping[str, str], goal: SyncGoal
) -> tuple[list[Observed], list[Observed]]:
    """Those whose last sync is young enough, so that the peer need not be asked; and the others."""
    fresh: list[Observed] = []
    stale: list[Observed] = []
    for seen in pairs:
        side = seen.side_here
        done = not wanted.get(seen.filesystem) and side is not None and is_fresh(side, goal)
        (fresh if done else stale).append(seen)
    return fresh, stale


def candidates(
    session: Session,
    filesystems: list[str],
    everything: bool,
    settle: bool,
    outcome: Outcome,
    choose: t.Callable[[t.Iterable[Observed]], list[Observed]] = masters,
) -> list[Observed]:
    """Lock and look at what is to be synced. Those that are busy land among the refused.

    :param settle: have zfs show all that was written up to now.
    :param choose: which of all pairs of this host are meant by everything.
    """
    began = time.monotonic_ns()
    if everything:
        settled = settle and session.settle(None)
        seen = session.look_here(None)
        filesystems = [pair.filesystem for pair in choose(registered(seen.values()))]
        stale = _lock_all(session, filesystems, seen, outcome, began)
        if settle and not settled:
            stale = [name for name in filesystems if name not in _busy(outcome)]
            session.settle(stale)
        if stale:
            seen.update(session.look_here(stale))
    else:
        refused: dict[str, Busy] = {}
        for name in filesystems:
            try:
                session.lock(name)
            except Busy as error:
                refused[name] = error
        if settle:
            session.settle([name for name in filesystems if name not in refused])
        seen = session.look_here(filesystems)
        outcome.refused += [Refused(seen[name], error) for name, error in refused.items()]
    return [seen[name] for name in filesystems if name not in _busy(outcome)]


def _lock_all(
    session: Session, filesystems: list[str], seen: t.Mapping[str, Observed], outcome: Outcome, began: int
) -> list[str]:
    """Lock filesystems that were seen already; returns those that somebody worked on in between."""
    stale = []
    for name in filesystems:
        try:
            lock = session.lock(name)
        except Busy as error:
            outcome.refused.append(Refused(seen[name], error))
        else:
            if lock is not None and lock.used_since(began):
                stale.append(name)
    return stale


def _busy(outcome: Outcome) -> set[str]:
    return {refused.seen.filesystem for refused in outcome.refused if isinstance(refused.error, Busy)}


def _usable(pairs: t.Iterable[Observed], outcome: Outcome) -> t.Iterator[Observed]:
    """Pairs that this host may push, with the name of the peer; the others land among the refused."""
    for seen in pairs:
        try:
            check_script_lock(check_master(seen))
            yield with_recorded_peer(seen)
        except ZrepError as error:
            outcome.refused.append(Refused(seen, error))


def excuse_busy(outcome: Outcome, goal: SyncGoal, skip_busy: int | None) -> None:
    """Turn busy filesystems whose last sync is young enough from errors into notes."""
    for refused in outcome.errors:
        side = refused.seen.side_here
        last = side.last_sent if side else None
        if skip_busy is None or not isinstance(refused.error, Busy) or last is None:
            continue
        if goal.now - (last.sent or 0) <= skip_busy:
            outcome.forget(refused)
            outcome.notes.append(
                f"{refused.seen.filesystem}: skipped, {refused.error.message}; "
                f"its last sync is {goal.now - (last.sent or 0)} seconds old"
            )


def in_order(done: t.Iterable[tuple[Observed, Work]], pairs: t.Sequence[Observed]) -> list[tuple[Observed, Work]]:
    """What was done in the order in which it was asked for."""
    order = {seen.filesystem: number for number, seen in enumerate(pairs)}
    return sorted(done, key=lambda pair: order.get(pair[0].filesystem, 0))
