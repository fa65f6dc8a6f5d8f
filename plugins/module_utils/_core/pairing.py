# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs as they are declared: made if need be, mended if they exist, taken apart. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from . import names, trees
from .bookmarks import drop
from .creating import NEWEST, PairGoal, adopt, create, register_there, registered_properties, same_value
from .errors import BadProperty, PairedElsewhere
from .holding import hold, release
from .model import INHERITED, Common, Endpoint, Observed, Side, newest_base
from .partial import give_up, is_unborn
from .plan import Plan
from .roles import check_exists, check_master, check_not_itself, check_replica, no_master
from .settings import Settings
from .state import HERE, PEER, State
from .steps import Destroy, Inherit, SetProperties, Step, Unmark
from .syncing import check_below, complete_record, find_base

__all__ = ["NEWEST", "PairGoal", "belongs_above", "plan_absent", "plan_present"]


def plan_present(seen: Observed, goal: PairGoal, settings: Settings) -> Plan:
    """The steps that make the pair as wanted; raises what stands against it."""
    here = check_exists(seen)
    check_not_itself(here, goal.peer)
    state = State(seen.here, seen.there)
    if not here.registered or _is_unborn(here, seen):
        make = adopt if goal.adopt else create
        return Plan(seen.filesystem, state, tuple(make(here, seen, goal, settings)))
    same = _same_peer(here, goal.peer)
    if goal.adopt and here.is_master and not (same and _is_our_replica(here, seen)):
        return Plan(seen.filesystem, state, tuple(adopt(here, seen, goal, settings)))
    if not same:
        raise PairedElsewhere(
            f"is already paired with {here.peer}, not with {goal.peer}",
            host=here.host,
            dataset=here.filesystem,
            left="nothing was changed",
            hint="if the replica has moved there, adopt=newest points the pair to it; otherwise use another tag, "
            "or remove the pair with state=absent first",
        )
    return Plan(seen.filesystem, state, tuple(_mend(here, seen, goal, settings)))


def _is_unborn(here: Side, seen: Observed) -> bool:
    """Whether a creation from here began and did not end."""
    there = seen.side_there
    return here.is_source and not here.is_master and not (there is not None and there.is_master)


def _is_our_replica(here: Side, seen: Observed) -> bool:
    """Whether the other side is there and says of itself that it is the replica of this one."""
    if seen.there is None:
        return True  # Nothing that could be adopted.
    try:
        return check_replica(here, seen).registered
    except (PairedElsewhere, BadProperty):
        return False


def _same_peer(here: Side, peer: Endpoint) -> bool:
    return here.peer.filesystem == peer.filesystem and names.same_host(here.peer.host, peer.host)


# Mending


def _mend(here: Side, seen: Observed, goal: PairGoal, settings: Settings) -> t.Iterator[Step]:
    """Bring an existing pair to what was asked for, whichever side is master now."""
    there = seen.side_there
    if here.is_master:
        if there is None or is_unborn(there):
            yield from create(here, seen, goal, settings)
            return
        check_master(seen)
        if newest_base(here, check_replica(here, seen)) is None and goal.force:
            yield from create(here, seen, goal, settings)
            return
        common = find_base(here, there, force=True)
    elif there is None or not there.is_master:
        raise no_master(here)
    else:
        _check_mutual(here, there)
    _check_counts(here, there, goal)
    trees.check_tree(goal.recorded(here))
    if goal.hold is False:
        yield from _let_go(here, there)
    wanted = dict(_savecount(here.tag, goal.savecount), **goal.manner(here, here))
    yield from _set_where_different(here, HERE, wanted)
    values = dict(_savecount(here.tag, goal.peer_savecount or goal.savecount), **goal.manner(here, there))
    if here.is_master:
        values.update({"readonly": "on"}, **goal.peer_properties)
        yield from register_there(here, _as_recorded(goal, here), values, there)
        if trees.arrived(check_below(here, there, force=True), common):
            yield from complete_record(here, common)
        if goal.hold:
            yield from _hold_on(goal.recorded(here), there, common)
    else:
        yield from _set_where_different(there, PEER, values)


def _hold_on(here: Side, there: Side, common: Common) -> t.Iterator[Step]:
    """Hold what both sides share, of a pair that exists already."""
    if common.here.bookmark or common.here.short != common.there.short:
        return
    for side, which, found in ((here, HERE, common.here), (there, PEER, common.there)):
        if not found.holds:
            yield hold(here, which, f"{side.filesystem}@{found.short}")


def _let_go(here: Side, there: Side) -> t.Iterator[Step]:
    for side, which in ((here, HERE), (there, PEER)):
        if side.holding:
            yield from release(side, which, "the pair is not to hold it any more")


def _check_mutual(here: Side, there: Side) -> None:
    """Refuse where the master at the other end has another replica."""
    found = there.destination
    if found.filesystem != here.filesystem or not names.same_host(found.host, here.identity):
        raise PairedElsewhere(
            f"is the master of {found}, not of {here.host}:{here.filesystem}",
            host=there.host,
            dataset=there.filesystem,
            left="nothing was changed",
            hint="remove this half with state=absent local_only=true, or repair the pair on the master",
        )


def _check_counts(here: Side, there: Side, goal: PairGoal) -> None:
    """Refuse a count that is nonsense where nobody says what it should be."""
    full = names.property_name(here.tag, "savecount")
    if goal.savecount is None:
        here.check_savecount()
        # A count that is missing is made good.
        if goal.peer_savecount is None and there.dataset.value(full) is not None:
            there.check_savecount()


def _as_recorded(goal: PairGoal, here: Side) -> PairGoal:
    """The goal with the peer's name as the pair has it: another spelling of the same host is no change."""
    return dataclasses.replace(goal, peer=here.peer)


def _savecount(tag: str, count: int | None) -> dict[str, str]:
    return {} if count is None else {names.property_name(tag, "savecount"): str(count)}


def _set_where_different(side: Side, which: str, wanted: t.Mapping[str, str]) -> t.Iterator[Step]:
    different = {name: value for name, value in wanted.items() if not same_value(side.dataset.value(name), value)}
    if different:
        yield SetProperties(which, side.filesystem, "as asked for", values=tuple(different.items()))


# Unmaking


def belongs_above(side: Side) -> bool:
    """Whether a dataset is part of the pair of one above it and has no record of its own, not even half of one."""
    record = [names.property_name(side.tag, name) for name in ("dest-fs", "dest-host", "src-fs", "src-host", "master")]
    return side.dataset.source(record[0]) == INHERITED and not set(record).intersection(registered_properties(side))


def plan_absent(seen: Observed, force: bool, more: t.Sequence[str] = ()) -> Plan:
    """The steps that take a pair apart and leave the data.

    :param force: destroy the pair's snapshots too.
    :param more: further properties of the tag that this side has of its own, whoever set them.
    """
    steps: list[Step] = []
    there = seen.side_there
    # The peer can only be found while this side still names it.
    if there is not None and there.registered and _belongs(there, seen):
        steps += _unmake(there, PEER, force)
    if seen.side_here is not None:
        steps += _unmake(seen.side_here, HERE, force, more)
    return Plan(seen.filesystem, State(seen.here, seen.there, unknown=not seen.asked), tuple(steps))


def _belongs(there: Side, seen: Observed) -> bool:
    """Whether the peer's registration is the other half of this one."""
    return seen.filesystem in (there.source.filesystem, there.destination.filesystem)


def _unmake(side: Side, which: str, force: bool, more: t.Sequence[str] = ()) -> t.Iterator[Step]:
    why = "the pair is removed"
    own = side.own_snapshots
    yield from give_up(side, which, why)
    if is_unborn(side):
        return
    if side.holding:
        yield from release(side, which, why)
    if force and own:
        yield Destroy(
            which,
            side.filesystem,
            "force was given: the pair's snapshots go with it",
            shorts=tuple(found.short for found in own),
            recursive=side.recursive,
        )
    gone = own if force else ()
    marked = [found for found in side.snapshots if found.sent is not None or found.bad_mark is not None]
    shorts = tuple(found.short for found in marked if found not in gone)
    if shorts:
        yield Unmark(which, side.filesystem, why, tag=side.tag, shorts=shorts)
    yield from drop(side, which, why)
    known = registered_properties(side)
    # What names the other side goes last.
    properties = tuple(name for name in more if name not in known) + known
    for member in side.members:
        if member.place:
            name = names.property_name(side.tag, "mountpoint")
            yield Inherit(which, member.filesystem, why, properties=(name,))
    if properties:
        yield Inherit(which, side.filesystem, why, properties=properties)
