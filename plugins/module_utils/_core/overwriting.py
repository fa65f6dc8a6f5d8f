# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a replica has of its own when a forced sync overwrites it: since when, and how it is preserved first. Pure."""

from __future__ import annotations

import typing as t

from .errors import BadInput
from .model import Dataset, Observed, Side, Snapshot, newest_base
from .plan import Plan
from .returning import plan_copy
from .state import PEER, State
from .swapping import DISCARD, PRESERVE, REPLICA, End, MoveGoal
from .trees import parts


def check_diverged(diverged: str, force: bool) -> None:
    """Raise BadInput for a choice that there is not, or that says to lose something without ``force``."""
    if diverged not in (PRESERVE, DISCARD):
        raise BadInput(f"diverged {diverged!r} cannot be used: expected {PRESERVE} or {DISCARD}")
    if diverged == DISCARD and not force:
        raise BadInput("diverged=discard is given without force=true", hint="leave it out, or say both")


def own_since(seen: Observed, short: str = "") -> Snapshot | None:
    """The snapshot of the replica since which it has content that would be lost, None if nothing would be.

    :param short: the snapshot that it is to go back to; empty for the newest that both sides hold.
    """
    here, there = seen.side_here, seen.side_there
    if here is None or there is None:
        return None
    if not short:
        common = newest_base(here, there)
        own = common is not None and any(part.has_own for part in parts(there, common.there, here))
        return common.there if common is not None and own else None
    wanted = here.by_short(short)
    held = there.by_guid(wanted.guid) if wanted is not None else None
    if held is None:
        return None
    return held if only_here(there, held, here) or there.dataset.written else None


def only_here(side: Side, base: Snapshot, other: Side) -> list[Snapshot]:
    """The snapshots of a side since a snapshot of it that the other side does not have."""
    return [found for found in side.after(base) if other.by_guid(found.guid) is None]


def plan_keep(seen: Observed, base: Snapshot, now: int, copies: t.Mapping[str, Dataset]) -> tuple[Plan, str]:
    """Make the replica read-only and copy what it has since a snapshot; returns the name of the copy as well.

    :param copies: the datasets that exist under the names that are tried, and the one above them.
    """
    end, goal = _end(seen), keep_goal(now)
    why = "nothing may be written while it is preserved"
    whole = parts(end.side, base, seen.side_here)
    steps, name = plan_copy(end, whole, goal, copies, why)
    return Plan(seen.filesystem, State(seen.here, seen.there), tuple(steps)), name


def keep_goal(now: int) -> MoveGoal:
    """What names the copy, in the terms of a move."""
    return MoveGoal(REPLICA, now, PRESERVE)


def _end(seen: Observed) -> End:
    return End(t.cast(Side, seen.side_there), PEER, seen.features_there, seen.identity)
