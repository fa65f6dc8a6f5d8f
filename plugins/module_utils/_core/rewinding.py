# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking both sides of a pair back to a snapshot that both hold. Pure.

The replica goes first: if the run dies before the master's turn, the next sync brings the replica forward again and
nothing is lost but the wish.
"""

from __future__ import annotations

import typing as t

from . import names, trees
from .errors import Diverged, NotFound
from .holding import back_to, hold
from .model import Observed, Side, Snapshot
from .partial import give_up
from .plan import Plan
from .roles import UNTOUCHED, no_master, split_brain
from .state import State
from .steps import Mark, Step, Unmark
from .swapping import MASTER, End, MoveGoal, ends


def plan_roll_back(seen: Observed, short: str, force: bool, now: int) -> Plan:
    """The steps that bring both sides back to a snapshot; everything newer is given up.

    :param short: its name.
    :param force: also give up newer snapshots that are not the pair's own.
    """
    master, replica = _by_role(seen, now)
    wanted, held = _common(master.side, replica.side, short)
    if not force:
        for side, base in ((master.side, wanted), (replica.side, held)):
            _check_foreign(side, base)
    why = f"the pair is to stand at {short}"
    steps: list[Step] = []
    # A mark that outlived its snapshot at the other end would be a lie, so the marks go first.
    marked = tuple(found.short for found in master.side.after(wanted) if found.sent is not None)
    if marked:
        steps.append(Unmark(master.at, master.side.filesystem, why, tag=seen.tag, shorts=marked))
    for end, base in ((replica, held), (master, wanted)):
        later = end.side.after(base)
        if later or end.side.dataset.written != 0:
            steps += give_up(end.side, end.at, why)
            steps += back_to(end.side, end.side, end.at, base, why)
    for branch in trees.match(master.side, replica.side).branches if master.side.recursive else ():
        steps += _branch_back(branch, (replica, master), short, force, why)
    if names.parse_snapshot(seen.tag, wanted.short):
        sent = wanted.sent or held.sent or now
        for end, base in ((replica, held), (master, wanted)):
            steps += _recorded(end, base, sent, master.side.holding)
    return Plan(seen.filesystem, State(seen.here, seen.there), tuple(steps))


def _recorded(end: End, base: Snapshot, sent: int, holding: bool) -> t.Iterator[Step]:
    """Record on one side that both have a snapshot, and hold it."""
    if base.sent is None:
        yield Mark(end.at, base.name, "both sides hold it", tag=end.side.tag, sent=sent)
    if holding and not base.holds:
        yield hold(end.side, end.at, base.name)


def _branch_back(branch: trees.Branch, at: tuple[End, End], short: str, force: bool, why: str) -> t.Iterator[Step]:
    """Take a dataset below the pair back too. What did not exist then, or is not on both sides, stays as it is."""
    wanted = branch.sender.by_short(short)
    held = branch.receiver.by_guid(wanted.guid) if wanted and branch.receiver else None
    if wanted is None or held is None or branch.receiver is None:
        return
    replica, master = at
    for end, side, base in ((replica, branch.receiver, held), (master, branch.sender, wanted)):
        if not force:
            _check_foreign(side, base)
        later = side.after(base)
        if later or side.dataset.written != 0:
            yield from back_to(side, end.side, end.at, base, why)


def _by_role(seen: Observed, now: int) -> tuple[End, End]:
    """The master and the replica; raises unless there is one of each."""
    first, second = ends(seen, MoveGoal(MASTER, now))
    if first.side.is_master and second.side.is_master:
        raise split_brain(first.side, second.side, "settle it with zrep_failover first")
    if first.side.is_master == second.side.is_master:
        raise no_master(first.side)
    return (first, second) if first.side.is_master else (second, first)


def _common(master: Side, replica: Side, short: str) -> tuple[Snapshot, Snapshot]:
    wanted = master.by_short(short)
    held = replica.by_guid(wanted.guid) if wanted else None
    if wanted is not None and held is not None:
        return wanted, held
    lacking, has = (master, replica.by_short(short) is not None) if wanted is None else (replica, True)
    raise NotFound(
        "has no snapshot {}{}".format(short, ", only the other side has one" if has else ""),
        host=lacking.host,
        dataset=lacking.filesystem,
        left=UNTOUCHED,
        hint="both sides hold: {}".format(", ".join(_shared(master, replica)) or "none"),
    )


def _shared(master: Side, replica: Side) -> t.Iterator[str]:
    return (found.short for found in master.snapshots if replica.by_guid(found.guid))


def _check_foreign(side: Side, base: Snapshot) -> None:
    """Refuse to take snapshots along that others made, for instance for another replica."""
    foreign = [found.short for found in side.after(base) if not names.parse_snapshot(side.tag, found.short)]
    if foreign:
        raise Diverged(
            "has newer snapshots that are not the pair's own and would go as well: {}".format(", ".join(foreign)),
            host=side.host,
            dataset=side.filesystem,
            left=UNTOUCHED,
            hint="force=true gives them up",
        )
