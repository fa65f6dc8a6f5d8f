# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verb: bring replicas of this host up to date by pulling. Only this host connects to the others."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from . import journal, names
from .errors import ZrepError
from .guard import held_by_another, not_held
from .keeping import Keeper, tell_what_differs
from .locks import check_script_lock, check_script_lock_there
from .mirror import flipped, mirrored
from .model import Observed
from .outcome import Outcome, Refused, plan_each
from .overwriting import check_diverged
from .plan import Plan
from .pulling import check_receiver, check_sender, plan_refresh
from .remote_locks import RemoteLocks
from .run_sync import candidates, check_targets, excuse_busy, in_order, part_fresh
from .session import Session, by_peer, replicas, with_recorded_peer
from .settings import Settings
from .state import HERE
from .swapping import PRESERVE
from .syncing import SyncGoal, plan_rewind


def pull(
    settings: Settings,
    targets: t.Sequence[str],
    everything: bool,
    options: t.Mapping[str, t.Any],
    skip_busy: int | None = None,
    dry: bool = False,
    only: bool = False,
) -> Outcome:
    """Have masters take snapshots and pull them. What stands against one filesystem is in the outcome.

    :param targets: filesystems of this host, or ``FS@SNAP`` to roll one back to a snapshot.
    :param everything: all that this host is the replica of, instead of targets.
    :param options: the fields of SyncGoal but for the time.
    :param skip_busy: seconds since the last sync for which a filesystem that somebody else works on is no error.
    :param only: leave out filesystems whose replica is the other side, without a word.
    """
    wanted = check_targets(targets)
    with Session(settings, dry) as session, contextlib.ExitStack() as stack:
        goal = SyncGoal(session.now, **options)
        check_diverged(goal.diverged, goal.force)
        outcome = Outcome(session.now)
        pairs = candidates(session, list(wanted), everything, False, outcome, replicas)
        pairs = [seen for seen in pairs if not (only and seen.side_here is not None and seen.side_here.is_master)]
        if everything and not pairs and not outcome.refused:
            outcome.note_no_replica(settings)

        def planner(seen: Observed) -> Plan:
            short = wanted.get(seen.filesystem)
            return _plan_rewind(seen, short, goal.force) if short else plan_refresh(seen, goal, settings)

        fresh, stale = part_fresh(_usable(pairs, outcome), wanted, goal)
        plans = [(seen, plan_refresh(seen, goal, settings)) for seen in fresh]
        warnings: dict[str, str] = {}
        preserve = goal.force and goal.diverged == PRESERVE
        keeper = Keeper(session, preserve, HERE)
        for group in by_peer(stale):
            seen_there = _look_there(session, stack, group, goal.only_if_changed, outcome, warnings)
            planned = plan_each(seen_there, planner, outcome)
            careful = [seen for seen, dummy in planned if preserve or wanted.get(seen.filesystem)]
            plans += keeper.plan_seen(careful, planner, wanted, outcome)
            plans += [(seen, plan) for seen, plan in planned if seen not in careful]
        works = [keeper.complete(seen, work) for (seen, dummy), work in zip(plans, session.carry_out(plans))]
        for work in works:
            work.warnings += [warnings[work.plan.filesystem]] if work.plan.filesystem in warnings else []
        outcome.done = in_order(zip([seen for seen, dummy in plans], works), pairs)
        tell_what_differs(session, outcome, HERE)
        outcome.preserved = [kept._asdict() for kept in keeper.kept]
        excuse_busy(outcome, goal, skip_busy)
        outcome.notes += [f"{seen.filesystem}: {plan.skipped}" for seen, plan in plans if plan.skipped]
        if not dry:
            journal.note(settings, outcome, "replica")
        return outcome


def _usable(pairs: t.Iterable[Observed], outcome: Outcome) -> t.Iterator[Observed]:
    """Pairs that this host may pull, with the name of the master's host; the others land among the refused."""
    for seen in pairs:
        try:
            check_script_lock(check_receiver(seen))
            yield with_recorded_peer(seen)
        except ZrepError as error:
            outcome.refused.append(Refused(seen, error))


def _look_there(
    session: Session,
    stack: contextlib.ExitStack,
    group: list[Observed],
    settle: bool,
    outcome: Outcome,
    warnings: dict[str, str],
) -> list[Observed]:
    """Keep other runs off the masters on one host, and look at them; those that are busy land among the refused."""
    try:
        busy, host_name = hold_there(session, stack, group, warnings)
        outcome.refused += [
            Refused(seen, held_by_another(seen.peer_host, seen.peer_filesystem))
            for seen in group
            if seen.peer_filesystem in busy
        ]
        free = [seen for seen in group if seen.peer_filesystem not in busy]
        if not free:
            return []
        if settle:
            session.settle_there(free[0].peer_host, [seen.peer_filesystem for seen in free])
        seen_there = session.look_there(free)
    except ZrepError as error:
        left = [seen for seen in group if not any(found.seen is seen for found in outcome.refused)]
        outcome.refused += [Refused(seen, error) for seen in left]
        return []
    usable = []
    for seen in seen_there:
        try:
            check_script_lock_there(seen.side_there, session.peer(seen.peer_host))
        except ZrepError as error:
            outcome.refused.append(Refused(seen, error))
        else:
            usable.append(dataclasses.replace(seen, identity_there=names.short_host(host_name)))
    return usable


def hold_there(
    session: Session, stack: contextlib.ExitStack, group: t.Sequence[Observed], warnings: dict[str, str]
) -> tuple[set[str], str]:
    """Keep other runs off the other sides of pairs with one host until the end; a dry session need not.

    :param warnings: gets what is to be said of pairs, by filesystem, where that could not be done.
    :returns: the filesystems there that somebody else works on, and what the host calls itself.
    """
    host = group[0].peer_host
    peer = session.peer(host)
    if session.dry:
        return set(), ""
    locks = stack.enter_context(RemoteLocks(peer, session.settings.tag, [seen.peer_filesystem for seen in group]))
    if not locks.held:
        warnings.update((seen.filesystem, not_held(host, seen.peer_filesystem)) for seen in group)
    return locks.busy, locks.host_name


def _plan_rewind(seen: Observed, short: str, force: bool) -> Plan:
    """Roll this replica back to a snapshot, so that the next pull starts from there; the master keeps everything."""
    there = check_sender(check_receiver(seen), seen)
    # The master is what it says, under whatever name.
    known = dataclasses.replace(seen, identity_there=there.source.host)
    return flipped(plan_rewind(mirrored(known), short, force), seen)
