# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshots have had their time. Pure.

Only snapshots of the pair's own tag are ever candidates. A master keeps the last one sent, all that is newer, and as
many older ones as make up its savecount; a replica keeps its newest ones and always the base that it shares with the
master, for without it nothing incremental could ever arrive again.
"""

from __future__ import annotations

import typing as t

from . import trees
from .model import Side, Snapshot, newest_common
from .state import HERE, PEER, State
from .steps import Destroy, Step


class Expiry(t.NamedTuple):
    """What to destroy on one side, and what had its time but is held by somebody."""

    destroy: tuple[Snapshot, ...]
    held: tuple[Snapshot, ...]


def expired(side: Side, protected: frozenset[int] = frozenset()) -> Expiry:
    """The snapshots of a side that its savecount does not cover.

    :param protected: GUIDs that must stay whatever the count says.
    :raises BadProperty: the savecount of this side is nonsense; nothing may be destroyed then.
    """
    keep = side.savecount
    candidates = list(side.own_snapshots)
    if side.is_master:
        last = side.last_sent
        if last is None:
            return Expiry((), ())
        candidates = [found for found in candidates if found.createtxg < last.createtxg]
        keep -= 1
    surplus = candidates[:-keep] if keep else candidates
    surplus = [found for found in surplus if found.guid not in protected]
    return Expiry(
        tuple(found for found in surplus if not found.holds), tuple(found for found in surplus if found.holds)
    )


def plan_expiry(state: State, here: Side, there: Side | None, phase: int = 0) -> tuple[list[Step], list[str]]:
    """Steps that bring both sides, or this one alone, to their savecounts; and warnings about what had to stay.

    :param state: the pair at that point of the plan; ``here`` and ``there`` lend their names and roles.
    """
    steps: list[Step] = []
    warnings: list[str] = []
    sides = {HERE: _at(here, state, HERE), PEER: _at(there, state, PEER) if there else None}
    master, replica = sides[HERE], sides[PEER]
    protected = frozenset(_bases(master, replica)) if master and replica else frozenset()
    recursive = here.recursive
    for number, (which, side) in enumerate(((PEER, sides[PEER]), (HERE, sides[HERE]))):
        if side is None:
            continue
        found = expired(side, protected)
        if found.destroy:
            steps.append(
                Destroy(
                    which,
                    side.filesystem,
                    f"savecount {side.savecount}",
                    phase=phase + number,
                    optional=True,
                    recursive=recursive,
                    shorts=tuple(snapshot.short for snapshot in found.destroy),
                )
            )
        warnings += [
            f"{side.host}:{snapshot.name} has had its time but is held, so it was kept" for snapshot in found.held
        ]
    return steps, warnings


def _bases(here: Side, there: Side) -> t.Iterator[int]:
    """GUIDs of the root's snapshots under whose names something of the pair has its newest common one."""
    base = newest_common(here, there)
    if base is not None:
        yield base.here.guid
    for branch in trees.match(here, there).branches:
        same = here.by_short(branch.common.here.short) if branch.common else None
        if same is not None:
            yield same.guid


def _at(side: Side, state: State, which: str) -> Side | None:
    dataset = state.side(which)
    return None if dataset is None else Side(side.host, side.identity, side.tag, dataset)
