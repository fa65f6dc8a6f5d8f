# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single snapshots of a pair: taken, expired, recorded as sent. Pure."""

from __future__ import annotations

from . import names, trees
from .errors import BadInput, NoCommonSnapshot, NotFound
from .model import Observed, Side, Snapshot
from .plan import Plan
from .retention import plan_expiry
from .roles import check_master, check_paired, check_replica
from .state import HERE, PEER, State
from .steps import Mark, SetProperties, Step, TakeSnapshot, Unmark


def plan_take(seen: Observed, short: str | None, only_if_changed: bool, source: bool = False) -> Plan:
    """Take the next snapshot of the pair, or the named one if it does not exist.

    :param source: it is enough to be named as the source, as in a pair whose first copy is made by hand.
    """
    here = check_paired(seen)
    if not (source and here.is_source):
        here = check_master(seen)
    state = State(seen.here, seen.there, unknown=not seen.asked)
    newest = here.own_snapshots[-1] if here.own_snapshots else None
    if short is not None and here.by_short(short) is not None:
        return Plan(seen.filesystem, state, skipped=f"{short} exists")
    if only_if_changed and newest is not None and trees.unsent(here, newest) == 0:
        return Plan(seen.filesystem, state, skipped=f"nothing was written since {newest.short}")
    target = f"{here.filesystem}@{short or here.next_short}"
    return Plan(seen.filesystem, state, (TakeSnapshot(HERE, target, "as asked for", recursive=here.recursive),))


def plan_expire(seen: Observed) -> Plan:
    """Bring this side to its savecount, and the other one too if this is the master and the peer was asked."""
    here = check_paired(seen)
    here.check_marks()
    there = check_replica(here, seen) if here.is_master and seen.asked else None
    state = State(seen.here, seen.there, unknown=not seen.asked)
    steps, warnings = plan_expiry(state, here, there)
    return Plan(seen.filesystem, state, tuple(steps), tuple(warnings))


def plan_sent(seen: Observed, short: str, now: int) -> Plan:
    """Record a snapshot as the last one that the receiver confirmed, on both sides or, if the peer was not asked, here.

    What it completes is a replication made by hand: the side that the pair names as its source becomes the master.
    """
    here = check_paired(seen)
    if names.parse_snapshot(seen.tag, short) is None:
        raise BadInput(
            f"snapshot {short!r} is not named as one of this pair, such as {names.snapshot_name(seen.tag, 1)}",
            host=here.host,
            dataset=here.filesystem,
        )
    wanted = here.by_short(short)
    if wanted is None:
        raise NotFound(f"has no snapshot {short}", host=here.host, dataset=here.filesystem, left="nothing was changed")
    why = f"{short} is to be the last one sent"
    steps: list[Step] = []
    sent = wanted.sent or now
    there = seen.side_there
    if seen.asked:
        there, held = _holder(wanted, here, there, seen)
        sent = wanted.sent or held.sent or now
        steps += _marks(PEER, held, there, sent, why)
    steps += _marks(HERE, wanted, here, sent, why)
    if here.is_source and not here.is_master and not (there is not None and there.is_master):
        steps.append(
            SetProperties(
                HERE,
                here.filesystem,
                "the pair is complete",
                values=((names.property_name(seen.tag, "master"), "yes"),),
            )
        )
    return Plan(seen.filesystem, State(seen.here, seen.there, unknown=not seen.asked), tuple(steps))


def _holder(wanted: Snapshot, here: Side, there: Side | None, seen: Observed) -> tuple[Side, Snapshot]:
    """The other side and its copy of a snapshot."""
    found = there.by_guid(wanted.guid) if there is not None else None
    if there is None or found is None:
        raise NoCommonSnapshot(
            f"does not hold {wanted.short} of {here.host}:{here.filesystem}",
            host=seen.peer_host,
            dataset=seen.peer_filesystem,
            left="nothing was changed",
            hint="zrep_info check_peer=true shows what both sides hold",
        )
    return there, found


def _marks(which: str, wanted: Snapshot, side: Side, sent: int, why: str) -> list[Step]:
    steps: list[Step] = []
    later = tuple(found.short for found in side.after(wanted) if found.sent is not None or found.bad_mark is not None)
    if later:
        steps.append(Unmark(which, side.filesystem, why, tag=side.tag, shorts=later))
    if wanted.sent is None:
        steps.append(Mark(which, wanted.name, why, tag=side.tag, sent=sent))
    return steps
