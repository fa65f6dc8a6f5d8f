# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A planned move of the master role: what has to be right before, the last sync, the proof, the swap. Pure.

It is planned twice. The first plan freezes the old master and sends what is left; it can be taken back whole. Then
both sides are looked at again, and only what they show then is proof enough for the second plan, which swaps the roles.
"""

from __future__ import annotations

import functools
import typing as t

from . import trees
from .encryption import check_key
from .errors import Busy, Diverged, Exists, InUse, NoCommonSnapshot, NotReady, PoolFull, ZrepError
from .freezing import freeze
from .model import Common, Observed, Side, newest_base, newest_common
from .partial import give_up, is_partial, recover
from .plan import Plan, predict
from .roles import UNTOUCHED
from .settings import Settings
from .state import State
from .steps import Step
from .swapping import End, Ends, MoveGoal, ends, swap, wrong_places
from .syncing import at, check_below, check_room, complete_record, end_of, find_base, push


def plan_catch_up(seen: Observed, goal: MoveGoal, settings: Settings) -> Plan:
    """Freeze the old master and bring the replica up to it; raises everything that stands against the move."""
    found = ends(seen, goal)
    raise_all(preflight(found), found.old.side)
    old, new = found.old.side, found.new.side
    common = find_base(old, new, force=False)
    before = State(seen.here, seen.there)
    below = check_below(old, new, force=False)
    whole = trees.arrived(below, common)
    # The rest of what was interrupted goes first: production need not wait for that.
    left = recover(old, new, common.here, settings, found.old.features, found.old.at)
    steps: list[Step] = [*give_up(old, found.old.at, "a master receives nothing"), *left.given_up]
    if left.resumed and whole:
        steps += complete_record(old, common, found.old.at)
    steps += left.resumed
    steps += freeze(old, found.old.at, found.old.features, "nothing may be written after the last sync")
    if left.resumed or not _is_level(found, common, below):
        if not left.resumed and whole:
            steps += complete_record(old, common, found.old.at)
        then = predict(before, steps)
        sender, receiver = at(old, then, found.old.at), at(new, then, found.new.at)
        steps += push(sender, receiver, end_of(sender, receiver, common), goal.now, settings, found.old.at, False)
    return Plan(seen.filesystem, before, tuple(steps), tuple(trees.remarks(steps)))


def _is_level(found: Ends, common: Common, below: trees.Match) -> bool:
    """Whether an earlier run froze the old master and sent everything, so that nothing is left to send."""
    old, new = found.old.side, found.new.side
    level = _ends_level(old, new, common) and trees.in_shape(below, old, new)
    for branch in below.branches:
        if branch.receiver is None or branch.common is None:
            return False
        level = level and _ends_level(branch.sender, branch.receiver, branch.common)
    return level and old.frozen and common.here.sent is not None


def _ends_level(old: Side, new: Side, common: Common) -> bool:
    newest = bool(old.snapshots) and old.snapshots[-1].guid == new.snapshots[-1].guid == common.here.guid
    return newest and old.dataset.written == 0


def plan_swap(seen: Observed, goal: MoveGoal, begun: t.Sequence[Step]) -> Plan:
    """Swap the roles of two sides that are proven to be equal; raises what is missing to the proof.

    :param begun: what is to be taken back if it fails.
    """
    found = ends(seen, goal)
    check_equal(found)
    return Plan(seen.filesystem, State(seen.here, seen.there), tuple(swap(found, goal.now)), begun=tuple(begun))


def check_equal(found: Ends) -> None:
    """Raise what shows that the new master does not have all that the old one has, or that this can still change."""
    old, new = found.old.side, found.new.side
    _check_same(old, new)
    if not old.recursive:
        return
    below = trees.match(old, new)
    for branch in below.branches:
        if branch.receiver is None or branch.receiver.filesystem != trees.moved_to(branch.sender, old, new):
            raise Busy(
                "appeared below the pair during the move",
                host=branch.sender.host,
                dataset=branch.sender.filesystem,
                hint="run it again",
            )
        _check_same(branch.sender, branch.receiver)


def _check_same(old: Side, new: Side) -> None:
    if not old.readonly:
        raise InUse(
            "is still writable although readonly was set", host=old.host, dataset=old.filesystem, hint="run it again"
        )
    common = newest_common(old, new)
    if common is None:
        raise NoCommonSnapshot("lost the common snapshot during the move", host=new.host, dataset=new.filesystem)
    for side, base in ((old, common.here), (new, common.there)):
        later = [snapshot for snapshot in side.after(base) if snapshot.written != 0]
        if later:
            raise Busy(
                "snapshots were taken during the move: {}".format(", ".join(snapshot.short for snapshot in later)),
                host=side.host,
                dataset=side.filesystem,
                hint="run it again",
            )
        if side.dataset.written:
            raise InUse(
                f"was written to during the move: {side.dataset.written} bytes",
                host=side.host,
                dataset=side.filesystem,
                hint="stop what writes there and run it again",
            )


# What has to be right before


def preflight(found: Ends) -> list[ZrepError]:
    """Everything that stands against a planned move, so that all of it can be put right at once."""
    old, new = found.old.side, found.new.side
    checks: tuple[t.Callable[[], t.Any], ...] = (
        old.check_marks,
        new.check_marks,
        lambda: _check_base(old, new),
        lambda: check_key(new),
        lambda: _check_transfer(old, new),
        lambda: _check_way_back(old),
        lambda: trees.check_tree(old),
        lambda: _check_places(found.new),
    )
    branches = trees.match(old, new).branches if old.recursive else []
    both = [(branch.sender, branch.receiver) for branch in branches if branch.receiver is not None]
    return [
        *_failures(checks),
        *_failures([functools.partial(_check_base, *pair) for pair in both]),
        *_failures([functools.partial(check_key, receiver) for _sender, receiver in both]),
    ]


def preflight_alone(side: Side) -> list[ZrepError]:
    """What stands against a planned move on one side, where the other could not be asked."""
    return list(_failures((side.check_marks,)))


def raise_all(problems: t.Sequence[ZrepError], side: Side) -> None:
    """Raise one problem as it is, several as one error about a side that has them all."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise NotReady(problems, side.host, side.filesystem)


def _failures(checks: t.Iterable[t.Callable[[], t.Any]]) -> t.Iterator[ZrepError]:
    for check in checks:
        try:
            check()
        except ZrepError as error:
            yield error


def _check_places(new: End) -> None:
    """Refuse to mount the new master over what its host has at that path."""
    taken = [side for side in wrong_places(new.side) if side.place in new.occupied]
    if taken:
        raise Exists(
            "is to be mounted at {}, where its host has something already".format(
                ", ".join(side.place for side in taken)
            ),
            host=new.side.host,
            dataset=taken[0].filesystem,
            left=UNTOUCHED,
            hint="move that away, or have each side keep its own mountpoint: zrep_pair keep_mountpoint=false",
        )


def _check_base(old: Side, new: Side) -> None:
    try:
        find_base(old, new, force=False)
    except Diverged as error:
        error.hint = (
            f"zrep_failover filesystem={new.filesystem} role=replica on {new.host} brings it back to what "
            f"{old.host} sent, with diverged=preserve to keep what it has of its own, or diverged=discard to lose it"
        )
        raise


def _check_transfer(old: Side, new: Side) -> None:
    common = newest_base(old, new)
    # What has arrived of an interrupted stream takes room already, so the sum says nothing.
    if common is not None and not is_partial(new):
        check_room(old, new, common.here)


def _check_way_back(old: Side) -> None:
    """Refuse where the new master could send nothing back, not even what changes its peer's role."""
    if old.dataset.number("available") == 0:
        raise PoolFull(
            "its pool is full, so it could not become a replica: it takes neither properties nor snapshots",
            host=old.host,
            dataset=old.filesystem,
            left=UNTOUCHED,
            hint="make room there",
        )
