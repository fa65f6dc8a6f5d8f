# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing the role of this side while the peer is not asked or does not answer. Pure.

What is done here is done to this side alone. A side that makes itself the master this way records when it did, so that
the other one can be told as superseded once it is back.
"""

from __future__ import annotations

import typing as t

from .errors import Diverged, NoCommonSnapshot, NotFound
from .model import Dataset, Observed, Side, Snapshot
from .partial import give_up
from .plan import Plan
from .report import iso
from .returning import go_back, plan_copy
from .roles import UNTOUCHED, check_paired
from .state import HERE, State
from .steps import Mark, Step
from .swapping import REFUSE, End, MoveGoal, demote, keep_master, promote
from .trees import parts


def this_end(seen: Observed) -> End:
    """This side as one end of a move."""
    here = check_paired(seen)
    here.check_marks()
    known = seen.peer_host or here.peer.host
    return End(here, HERE, seen.features_here, known, HERE in seen.readonly_above, seen.occupied)


def plan_takeover(seen: Observed, goal: MoveGoal) -> Plan:
    """Become the master alone."""
    end = this_end(seen)
    if end.side.is_master:
        return plan_stay(seen)
    steps: list[Step] = []
    newest = end.side.own_snapshots[-1] if end.side.own_snapshots else None
    if end.side.last_sent is None and newest is not None:
        # It came from the peer, so the peer has it. Without a mark the script could never sync from here.
        why = "it is the newest that the peer is known to have"
        steps.append(Mark(HERE, newest.name, why, tag=seen.tag, sent=newest.creation))
    steps += promote(end, end.side.peer.filesystem, goal.now)
    # It does not keep this side from being the master, so it does not matter if that fails.
    steps += give_up(end.side, HERE, "this side is the master now", optional=True)
    return Plan(seen.filesystem, _state(seen), tuple(steps))


def plan_stay(seen: Observed) -> Plan:
    """Complete this side in the role that it has: a master that a move left frozen becomes writable again."""
    end = this_end(seen)
    steps = keep_master(end, end.side.peer.filesystem) if end.side.is_master else []
    return Plan(seen.filesystem, _state(seen), tuple(steps))


def loss(seen: Observed, now: int) -> dict[str, t.Any] | None:
    """What is missing on a replica that becomes master alone: all that was written elsewhere since its newest snapshot.

    How much that is only the peer knows. What the last syncs brought says what to expect.
    """
    side = check_paired(seen)
    newest = side.own_snapshots[-1] if side.own_snapshots else None
    if newest is None:
        return None
    sizes = [found.written for found in side.own_snapshots[1:] if found.written is not None]
    return {
        "snapshot": newest.short,
        "since": newest.creation,
        "since_iso": iso(newest.creation),
        "age_seconds": max(now - newest.creation, 0),
        "usual_bytes_per_sync": sum(sizes) // len(sizes) if sizes else None,
    }


def loss_text(side: Side, lost: t.Mapping[str, t.Any]) -> str:
    """The same for people."""
    usual = lost["usual_bytes_per_sync"]
    return (
        "what was written on {} after {} ({}, {} seconds ago) is not in {}:{}; how much that is only {} knows{}".format(
            side.peer,
            lost["since_iso"],
            lost["snapshot"],
            lost["age_seconds"],
            side.host,
            side.filesystem,
            side.peer.host,
            "" if usual is None else f", the last syncs brought {usual} bytes each",
        )
    )


# Stepping down


def step_down_base(end: End, goal: MoveGoal) -> Snapshot:
    """The snapshot to go back to: the newest that the peer is known to have, unless an older one is wanted.

    Raises if what came after it may not be given up.
    """
    side = end.side
    base = _wanted(side, goal.base) if goal.base else side.last_sent
    if base is None:
        raise NoCommonSnapshot(
            "no snapshot is recorded as sent, so nothing is known to be at the peer",
            host=side.host,
            dataset=side.filesystem,
            left=UNTOUCHED,
            hint="wait until the peer answers",
        )
    if goal.diverged == REFUSE and any(part.has_own for part in parts(side, base)):
        raise Diverged(
            f"has content of its own since {base.short}, the newest snapshot that {side.peer} is known to have",
            host=side.host,
            dataset=side.filesystem,
            left=UNTOUCHED,
            hint="diverged=preserve keeps it in a dataset of its own, diverged=discard throws it away",
        )
    return base


def _wanted(side: Side, short: str) -> Snapshot:
    found = side.by_short(short)
    if found is None or found.sent is None:
        raise NotFound(
            f"has no snapshot {short}" if found is None else f"{short} is not recorded as sent",
            host=side.host,
            dataset=side.filesystem,
            left=UNTOUCHED,
            hint=f"zfs list -t snapshot {side.filesystem}",
        )
    return found


def plan_preserve_alone(seen: Observed, goal: MoveGoal, copies: t.Mapping[str, Dataset]) -> tuple[Plan, str]:
    """Freeze this side and copy what it has of its own since the last sync; returns the name of the copy as well."""
    end = this_end(seen)
    steps, name = plan_copy(end, parts(end.side, step_down_base(end, goal)), goal, copies)
    return Plan(seen.filesystem, _state(seen), tuple(steps)), name


def plan_step_down(seen: Observed, goal: MoveGoal, copy: Dataset | None, begun: t.Sequence[Step] | None = None) -> Plan:
    """Become a replica alone, at the newest snapshot that the peer is known to have."""
    end = this_end(seen)
    if not end.side.is_master:
        return Plan(seen.filesystem, _state(seen))
    whole = parts(end.side, step_down_base(end, goal))
    steps = go_back(end, whole, goal, copy, frozen=begun is not None)
    steps += demote(end, end.side.peer)
    return Plan(seen.filesystem, _state(seen), tuple(steps), begun=tuple(begun or ()))


def _state(seen: Observed) -> State:
    return State(seen.here, None, unknown=True)
