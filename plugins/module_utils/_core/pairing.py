# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making, adopting, mending and unmaking a pair: from two observed sides and a goal to steps. Pure.

The order of a creation is that of the script, so that it can take over at every point: configuration here, the
stream, configuration there, marks, and ``master`` last. What a killed creation left is told from the pools alone:
the configuration names this host as the source and nobody is master.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import names
from .errors import (
    BadInput,
    Exists,
    NoCommonSnapshot,
    NotFound,
    PairedElsewhere,
    PoolFull,
    SplitBrain,
    WrongRole,
)
from .model import LOCAL, RECEIVED, USER_PROPERTIES, Endpoint, Observed, Side, Snapshot, newest_common
from .plan import (
    HERE,
    PEER,
    Destroy,
    Inherit,
    Mark,
    MoveAside,
    MoveBack,
    Plan,
    Rollback,
    Send,
    SetProperties,
    State,
    Step,
    TakeSnapshot,
    Unmark,
)
from .settings import Settings
from .syncing import check_master, check_replica, find_base, send_steps

NEWEST = "newest"


@dataclasses.dataclass(frozen=True)
class PairGoal:
    """The pair that is to be.

    :param now: the time of the run in epoch seconds.
    :param savecount: snapshots to keep here, None to leave it as it is.
    :param peer_savecount: snapshots to keep there, None for the same as here.
    :param default_savecount: what a new pair gets if nobody says otherwise.
    :param adopt: build on data that the peer already has: a snapshot's short name, or ``newest``.
    :param force: make room at the destination by moving what is there aside.
    :param create_properties: properties that the replica gets when it is made.
    :param peer_properties: properties that the replica always has.
    """

    peer: Endpoint
    now: int
    savecount: int | None = None
    peer_savecount: int | None = None
    default_savecount: int = 5
    adopt: str | None = None
    force: bool = False
    create_properties: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    peer_properties: t.Mapping[str, str] = dataclasses.field(default_factory=dict)


def plan_present(seen: Observed, goal: PairGoal, settings: Settings) -> Plan:
    """The steps that make the pair as wanted; raises what stands against it."""
    here = seen.side_here
    if here is None:
        raise NotFound(
            "no such filesystem or volume", host=seen.identity, dataset=seen.filesystem, left="nothing was changed"
        )
    if Endpoint(here.identity, here.filesystem) == goal.peer:
        raise BadInput("a filesystem cannot be its own replica", host=here.host, dataset=here.filesystem)
    state = State(seen.here, seen.there)
    if not here.registered or _is_unborn(here, seen):
        return Plan(
            seen.filesystem,
            state,
            tuple(_adopt(here, seen, goal, settings) if goal.adopt else _create(here, seen, goal, settings)),
        )
    if not _same_peer(here, goal.peer):
        if goal.adopt and here.is_master:
            return Plan(seen.filesystem, state, tuple(_adopt(here, seen, goal, settings)))
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


def _same_peer(here: Side, peer: Endpoint) -> bool:
    return here.peer.filesystem == peer.filesystem and names.same_host(here.peer.host, peer.host)


# Creating


def _create(here: Side, seen: Observed, goal: PairGoal, settings: Settings) -> t.Iterator[Step]:
    there = seen.side_there
    half = _half_born(here, there)
    if half is None:
        _check_destination(here, seen, goal)
    yield from _register(here, goal, HERE)
    if half is not None and there is not None:
        yield from _finish_replica(here, there, goal)
        yield from _finish(here, goal, half[0].name, half[1].name, half)
        return
    aside = f"{goal.peer.filesystem}_replaced_{goal.now}"
    if there is not None:
        yield _move_aside(goal, aside)
    target, take = _first_snapshot(here)
    if take is not None:
        yield take
    arrived = f"{goal.peer.filesystem}@{names.split_snapshot(target)[1]}"
    carried = dict({"readonly": "on"}, **goal.create_properties)
    carried.update(goal.peer_properties)
    carried.update(_registration_there(here, goal, None))
    yield Send(
        HERE,
        target,
        "the first full copy",
        destination=goal.peer.filesystem,
        options=settings.send_options,
        **_properties_with_stream(here, seen, carried),
    )
    if not seen.features_there.modern:
        yield SetProperties(PEER, goal.peer.filesystem, "makes it the replica", values=tuple(carried.items()))
    yield from _finish(here, goal, target, arrived, None)


def _half_born(here: Side, there: Side | None) -> tuple[Snapshot, Snapshot] | None:
    """The first snapshot on both sides, if a creation of this pair got that far."""
    if there is None or not here.registered or there.is_master:
        return None
    own = [found for found in here.own_snapshots if there.by_guid(found.guid)]
    if not own or len(there.own_snapshots) != len(there.snapshots):
        return None
    first = t.cast(Snapshot, there.by_guid(own[-1].guid))
    return (own[-1], first) if there.snapshots[-1].guid == first.guid else None


def _check_destination(here: Side, seen: Observed, goal: PairGoal) -> None:
    there, parent = seen.side_there, seen.there_parent
    left = "nothing was changed"
    if there is not None and there.is_master:
        raise Exists(
            "is itself the master of a pair and cannot become a replica",
            host=goal.peer.host,
            dataset=there.filesystem,
            left=left,
            hint="name another destination",
        )
    if there is not None and not goal.force:
        raise Exists(
            "the destination exists",
            host=goal.peer.host,
            dataset=there.filesystem,
            left=left,
            hint="name another destination; or adopt=newest builds on the data that is there; "
            "or force=true moves it aside under another name",
        )
    if there is not None and not names.parent_of(there.filesystem):
        raise Exists(
            "the destination is a whole pool, which cannot be moved aside",
            host=goal.peer.host,
            dataset=there.filesystem,
            left=left,
            hint="name a dataset in it",
        )
    pool = parent if there is None else there.dataset
    if pool is None:
        raise NotFound(
            f"does not exist, so {goal.peer.filesystem} cannot be made in it",
            host=goal.peer.host,
            dataset=names.parent_of(goal.peer.filesystem) or goal.peer.filesystem,
            left=left,
            hint="create it there first, or name another destination",
        )
    need, room = here.dataset.number("referenced"), pool.number("available")
    if need is not None and room is not None and need > room:
        raise PoolFull(
            f"has {room} bytes free, the first copy of {here.host}:{here.filesystem} needs {need}",
            host=goal.peer.host,
            dataset=pool.name,
            left=left,
            hint="make room there or name another destination",
        )


def _register(here: Side, goal: PairGoal, side: str) -> t.Iterator[Step]:
    """Write the configuration on this side, as far as it is not there."""
    wanted = _configuration(here, goal)
    wanted["savecount"] = str(goal.savecount or _kept_savecount(here) or goal.default_savecount)
    values = {names.property_name(here.tag, name): value for name, value in wanted.items()}
    missing = {name: value for name, value in values.items() if here.dataset.local(name) != value}
    if missing:
        undo = Inherit(side, here.filesystem, "the pair could not be made", properties=tuple(missing))
        yield SetProperties(side, here.filesystem, "registers the pair", values=tuple(missing.items()), undo=undo)


def _kept_savecount(here: Side) -> int | None:
    full = names.property_name(here.tag, "savecount")
    return here.savecount if here.dataset.local(full) is not None else None


def _configuration(here: Side, goal: PairGoal) -> dict[str, str]:
    return {
        "src-fs": here.filesystem,
        "src-host": here.identity,
        "dest-fs": goal.peer.filesystem,
        "dest-host": goal.peer.host,
    }


def _move_aside(goal: PairGoal, aside: str) -> Step:
    why = "force was given: it makes room for the replica, nothing of it is lost"
    undo = MoveBack(PEER, goal.peer.filesystem, "the pair could not be made", old_name=aside)
    return MoveAside(PEER, goal.peer.filesystem, why, new_name=aside, undo=undo)


def _first_snapshot(here: Side) -> tuple[str, Step | None]:
    """The snapshot to start from: what a killed creation left, or a new one."""
    if here.registered and here.own_snapshots and here.last_sent is None:
        return here.own_snapshots[-1].name, None
    target = f"{here.filesystem}@{here.next_short}"
    undo = Destroy(HERE, here.filesystem, "the pair could not be made", shorts=(here.next_short,))
    return target, TakeSnapshot(HERE, target, "the first state to send", undo=undo)


def _properties_with_stream(here: Side, seen: Observed, carried: t.Mapping[str, str]) -> dict[str, t.Any]:
    """What goes to the replica together with the data, where its zfs can.

    The source's own properties go along as they do with the script, but for the place of its mount: a replica must
    never be mounted over something of its host. (A volume has none, and zfs refuses to exclude it there.)
    """
    if not (seen.features_here.modern and seen.features_there.modern):
        return {}
    exclude = ("mountpoint",) if here.dataset.type == "filesystem" else ()
    return {"with_properties": True, "exclude": exclude, "set_there": tuple(carried.items())}


def _registration_there(here: Side, goal: PairGoal, there: Side | None) -> dict[str, str]:
    """The configuration that the peer is to have."""
    wanted = {names.property_name(here.tag, name): value for name, value in _configuration(here, goal).items()}
    count = goal.peer_savecount or goal.savecount
    if count is None and (there is None or there.dataset.value(names.property_name(here.tag, "savecount")) is None):
        count = goal.default_savecount
    if count is not None:
        wanted[names.property_name(here.tag, "savecount")] = str(count)
    return wanted


def _register_there(here: Side, goal: PairGoal, values: t.Mapping[str, str], there: Side) -> t.Iterator[Step]:
    """Write the configuration and other values on the peer, as far as they are not there."""
    wanted = dict(_registration_there(here, goal, there), **values)
    missing = {name: value for name, value in wanted.items() if not _same_value(there.dataset.value(name), value)}
    if missing:
        yield SetProperties(PEER, goal.peer.filesystem, "makes it the replica", values=tuple(missing.items()))


def _finish_replica(here: Side, there: Side, goal: PairGoal) -> t.Iterator[Step]:
    carried = dict({"readonly": "on"}, **goal.peer_properties)
    yield from _register_there(here, goal, carried, there)


def _finish(
    here: Side, goal: PairGoal, target: str, arrived: str, known: tuple[Snapshot, Snapshot] | None
) -> t.Iterator[Step]:
    why = f"{goal.peer} confirmed it"
    sent = (known[0].sent or known[1].sent if known else None) or goal.now
    if known is None or known[1].sent is None:
        yield Mark(PEER, arrived, why, tag=here.tag, sent=sent)
    if known is None or known[0].sent is None:
        yield Mark(HERE, target, why, tag=here.tag, sent=sent)
    yield from _become_master(here)


def _become_master(here: Side) -> t.Iterator[Step]:
    if not here.is_master:
        yield SetProperties(
            HERE, here.filesystem, "the pair is complete", values=((names.property_name(here.tag, "master"), "yes"),)
        )


# Adopting


def _adopt(here: Side, seen: Observed, goal: PairGoal, settings: Settings) -> t.Iterator[Step]:
    """Build on a replication that somebody else made: the same GUID on both sides is all the proof there is."""
    there = seen.side_there
    if there is None:
        raise NotFound(
            "there is nothing to adopt",
            host=goal.peer.host,
            dataset=goal.peer.filesystem,
            left="nothing was changed",
            hint="without adopt a full copy is made",
        )
    if there.is_master:
        raise SplitBrain(
            "is itself the master of a pair", host=goal.peer.host, dataset=there.filesystem, left="nothing was changed"
        )
    common = find_base(here, there, goal.force)
    if goal.adopt != NEWEST and common.here.short != goal.adopt:
        named = here.by_short(goal.adopt or "")
        if named is None or there.by_guid(named.guid) is None:
            raise NoCommonSnapshot(
                f"snapshot {goal.adopt} is not on both sides",
                host=here.host,
                dataset=here.filesystem,
                left="nothing was changed",
                hint=f"the newest that is on both is {common.here.short}",
            )
        raise NoCommonSnapshot(
            f"snapshot {goal.adopt} is on both sides, but {common.here.short} is newer",
            host=here.host,
            dataset=here.filesystem,
            left="nothing was changed",
            hint=f"adopt={common.here.short} takes that",
        )
    yield from _register(here, goal, HERE)
    if goal.force and there.after(common.there):
        yield Rollback(
            PEER,
            common.there.name,
            "force was given: what it has of its own is thrown away",
            loses=tuple(found.short for found in there.after(common.there)),
        )
    yield from _register_there(here, goal, dict({"readonly": "on"}, **goal.peer_properties), there)
    ours = names.parse_snapshot(here.tag, common.here.short)
    if ours and not ours.unsent and common.here.short == common.there.short:
        yield from _finish(here, goal, common.here.name, common.there.name, (common.here, common.there))
        return
    target = f"{here.filesystem}@{here.next_short}"
    undo = Destroy(HERE, here.filesystem, "the pair could not be made", shorts=(here.next_short,))
    yield TakeSnapshot(HERE, target, "the first state of the pair", undo=undo)
    yield from send_steps(here, there, common.here, target, goal.now, settings)
    yield from _become_master(here)


# Mending


def _mend(here: Side, seen: Observed, goal: PairGoal, settings: Settings) -> t.Iterator[Step]:
    """Bring an existing pair to what was asked for, whichever side is master now."""
    there = seen.side_there
    if here.is_master:
        if there is None:
            yield from _create(here, seen, goal, settings)
            return
        check_master(seen)
        if newest_common(here, check_replica(here, seen)) is None and goal.force:
            yield from _create(here, seen, goal, settings)
            return
        find_base(here, there, force=True)
    elif there is None or not there.is_master:
        raise WrongRole(
            "neither side of the pair is master",
            host=here.host,
            dataset=here.filesystem,
            left="nothing was changed",
            hint="zrep_failover role=master makes one",
        )
    yield from _set_where_different(here, HERE, _savecount(here.tag, goal.savecount))
    values = _savecount(here.tag, goal.peer_savecount or goal.savecount)
    if here.is_master:
        values.update({"readonly": "on"}, **goal.peer_properties)
        yield from _register_there(here, _as_recorded(goal, here), values, there)
    else:
        yield from _set_where_different(there, PEER, values)


def _as_recorded(goal: PairGoal, here: Side) -> PairGoal:
    """The goal with the peer's name as the pair has it: another spelling of the same host is no change."""
    return dataclasses.replace(goal, peer=here.peer)


def _savecount(tag: str, count: int | None) -> dict[str, str]:
    return {} if count is None else {names.property_name(tag, "savecount"): str(count)}


def _set_where_different(side: Side, which: str, wanted: t.Mapping[str, str]) -> t.Iterator[Step]:
    different = {name: value for name, value in wanted.items() if not _same_value(side.dataset.value(name), value)}
    if different:
        yield SetProperties(which, side.filesystem, "as asked for", values=tuple(different.items()))


_UNITS = {"K": 1, "M": 2, "G": 3, "T": 4, "P": 5}


def _same_value(found: str | None, wanted: str) -> bool:
    """Whether a property has a value, sizes compared as numbers: zfs shows 10485760 for 10M."""
    if found == wanted:
        return True
    number = wanted[:-1] if wanted[-1:].upper() in _UNITS else ""
    return number.isdigit() and found == str(int(number) * 1024 ** _UNITS[wanted[-1].upper()])


# Unmaking


def plan_absent(seen: Observed, force: bool) -> Plan:
    """The steps that take a pair apart and leave the data.

    :param force: destroy the pair's snapshots too.
    """
    steps: list[Step] = []
    if seen.side_here is not None:
        steps += _unmake(seen.side_here, HERE, force)
    there = seen.side_there
    if there is not None and there.registered and _belongs(there, seen):
        steps += _unmake(there, PEER, force)
    return Plan(seen.filesystem, State(seen.here, seen.there, unknown=not seen.asked), tuple(steps))


def _belongs(there: Side, seen: Observed) -> bool:
    """Whether the peer's registration is the other half of this one."""
    return seen.filesystem in (there.source.filesystem, there.destination.filesystem)


def _unmake(side: Side, which: str, force: bool) -> t.Iterator[Step]:
    why = "the pair is removed"
    own = side.own_snapshots
    if force and own:
        yield Destroy(
            which,
            side.filesystem,
            "force was given: the pair's snapshots go with it",
            shorts=tuple(found.short for found in own),
        )
    elif side.last_sent is not None:
        marked = tuple(found.short for found in side.snapshots if found.sent is not None)
        yield Unmark(which, side.filesystem, why, tag=side.tag, shorts=marked)
    if _registered_properties(side):
        yield Inherit(which, side.filesystem, why, properties=_registered_properties(side))


def _registered_properties(side: Side) -> tuple[str, ...]:
    """The pair's properties that a dataset has of its own, the role first."""
    order = (names.property_name(side.tag, name) for name in ("master", *USER_PROPERTIES))
    return tuple(name for name in dict.fromkeys(order) if side.dataset.source(name) in (LOCAL, RECEIVED))
