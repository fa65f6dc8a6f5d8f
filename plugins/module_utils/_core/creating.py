# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making a pair, with a first full copy or on what is there already. Pure.

The order of a creation is that of the script, so that it can take over at every point: configuration here, the
stream, configuration there, marks, and ``master`` last. What a killed creation left is told from the pools alone:
the configuration names this host as the source and nobody is master.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import names, trees
from .encryption import KEYSTATUS, first_options, knows_encryption
from .errors import BadProperty, Diverged, Exists, NoCommonSnapshot, NotFound, PartialReceive, PoolFull, SplitBrain
from .holding import hold
from .model import (
    ALL,
    LOCAL,
    NONE,
    RECEIVED,
    USER_PROPERTIES,
    Common,
    Dataset,
    Endpoint,
    Observed,
    Property,
    Side,
    Snapshot,
)
from .partial import give_up, is_unborn, recover, rest, wanted
from .settings import Settings
from .state import HERE, PEER
from .steps import (
    Destroy,
    Inherit,
    Mark,
    MoveAside,
    MoveBack,
    Restore,
    Rollback,
    SetProperties,
    Step,
    TakeSnapshot,
)
from .streams import Send
from .syncing import check_below, find_base, roll_tree_back, send_steps

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
    :param reached_by: how the replica calls the master's host, where only the replica connects and so has to know.
    :param recursive: whether all that is below belongs to the pair; None to leave it as it is.
    :param exclude: properties of the master that are not to go to the replica; None to leave it as it is.
    :param hold: the snapshot that both sides share last is held; None to leave it as it is.
    :param keep_mountpoint: whichever side is the master is mounted at the same place; None to leave it as it is.
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
    reached_by: str = ""
    recursive: bool | None = None
    exclude: tuple[str, ...] | None = None
    hold: bool | None = None
    keep_mountpoint: bool | None = None

    def manner(self, here: Side, side: Side) -> dict[str, str]:
        """What a side is to record of how the pair replicates; what is as ever and always was so needs no record.

        :param here: the master.
        """
        found = {}
        if self.recursive or (self.recursive is not None and side.recursive):
            found["recursive"] = "yes" if self.recursive else "no"
        if self.exclude or (self.exclude is not None and side.excluded):
            found["exclude"] = ",".join(self.exclude) or NONE
        if self.hold or (self.hold is not None and side.holding):
            found["hold"] = "yes" if self.hold else "no"
        place = here.dataset.value("mountpoint") or ""
        if self.keep_mountpoint and place.startswith("/"):
            found["mountpoint"] = place
        elif self.keep_mountpoint is False and side.place:
            found["mountpoint"] = NONE
        return {names.property_name(here.tag, name): value for name, value in found.items()}

    def recorded(self, here: Side) -> Side:
        """The master as it will be once it has recorded that."""
        wanted = {name: Property(value, LOCAL) for name, value in self.manner(here, here).items()}
        properties = {**here.dataset.properties, **wanted}
        return dataclasses.replace(here, dataset=dataclasses.replace(here.dataset, properties=properties))


def create(here: Side, seen: Observed, goal: PairGoal, settings: Settings) -> t.Iterator[Step]:
    """Make the replica with a first full copy, or complete what a creation that died has left."""
    there = seen.side_there
    begun = _begun(here, seen, settings) if is_unborn(there) else None
    if isinstance(begun, Snapshot) and there is not None:
        yield from _register(here, goal)
        yield from _go_on(here, there, begun, seen, goal, settings)
        return
    if there is not None and isinstance(begun, str) and _is_ours(here, there):
        yield from give_up(there, PEER, begun)
        there, seen = None, dataclasses.replace(seen, there=None)
    half = _half_born(here, there)
    tree = goal.recorded(here)
    trees.check_tree(tree)
    if half is None:
        _check_destination(tree, seen, goal)
    yield from _register(here, goal)
    if half is not None and there is not None:
        yield from trees.bring(tree, there, half[0].short, goal.now, settings, taken=True)
        yield from _finish_replica(here, there, goal)
        yield from _finish(here, goal, half[0].name, half[1].name, half)
        return
    aside = f"{goal.peer.filesystem}_replaced_{goal.now}"
    if there is not None:
        yield _move_aside(goal, aside)
    target, take = _first_snapshot(tree)
    if take is not None:
        yield take
    arrived = f"{goal.peer.filesystem}@{names.split_snapshot(target)[1]}"
    carried = _carried(here, goal)
    yield Send(
        HERE,
        target,
        "the first full copy",
        destination=goal.peer.filesystem,
        options=_options(tree, seen, settings),
        resumable=settings.resume,
        **_properties_with_stream(tree, seen, carried),
    )
    # Below a root that can be written to, nothing is received: it could be mounted and changed before its time.
    if not seen.features_there.modern:
        yield SetProperties(PEER, goal.peer.filesystem, "makes it the replica", values=tuple(carried.items()))
    short = names.split_snapshot(target)[1]
    yield from trees.bring(tree, _unborn(seen, goal), short, goal.now, settings, taken=take is None)
    yield from _finish(here, goal, target, arrived, None)
    if there is not None and registered_properties(there):
        yield Inherit(
            PEER, aside, "what was moved aside is no replica any more", properties=registered_properties(there)
        )


def _options(here: Side, seen: Observed, settings: Settings) -> tuple[str, ...]:
    """How the first full stream of the root is written."""
    knows = knows_encryption(seen.features_there.properties)
    return first_options(here, settings.send_options, knows, seen.peer_host, seen.peer_filesystem)


def _unborn(seen: Observed, goal: PairGoal) -> Side:
    """The replica as it is right after its root has arrived: with nothing below."""
    known = {
        name: Property("-", "none")
        for name in ("receive_resume_token", KEYSTATUS)
        if name in seen.features_there.properties
    }
    return Side(goal.peer.host, "", seen.tag, Dataset(goal.peer.filesystem, "filesystem", 0, known))


def _carried(here: Side, goal: PairGoal) -> dict[str, str]:
    """What a replica that is made gets for properties."""
    carried = dict({"readonly": "on"}, **goal.create_properties)
    carried.update(goal.peer_properties)
    carried.update(_registration_there(here, goal, None))
    return carried


def _begun(here: Side, seen: Observed, settings: Settings) -> Snapshot | str:
    """The snapshot of which a first full copy was interrupted; else why that cannot go on."""
    there = seen.side_there
    if there is None or there.is_master:
        return "it belongs to a master"
    return wanted(here, there, None, settings, seen.features_here)


def _is_ours(here: Side, there: Side) -> bool:
    """Whether what an interrupted receive has left says that it was to become the replica of this very dataset."""
    try:
        return there.registered and not there.is_master and there.source == here.endpoint
    except BadProperty:
        return False


def _go_on(
    here: Side, there: Side, target: Snapshot, seen: Observed, goal: PairGoal, settings: Settings
) -> t.Iterator[Step]:
    """Complete a first full copy that was interrupted. Some properties only come when all of it is there."""
    tree = goal.recorded(here)
    how = _properties_with_stream(tree, seen, _carried(here, goal))
    how.pop("with_properties", None)
    yield rest(there, target.name, settings, **how)
    yield from trees.bring(tree, _unborn(seen, goal), target.short, goal.now, settings, taken=True)
    yield from _finish(here, goal, target.name, f"{there.filesystem}@{target.short}", None)


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
            hint=_ways_out(there),
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
    sizes = [side.dataset.number("referenced") for side in (here, *here.members)]
    need, room = sum(size or 0 for size in sizes), pool.number("available")
    if room is not None and need > room:
        raise PoolFull(
            f"has {room} bytes free, the first copy of {here.host}:{here.filesystem} needs {need}",
            host=goal.peer.host,
            dataset=pool.name,
            left=left,
            hint="make room there or name another destination",
        )


_FORCED = "or force=true moves it aside under another name"


def _ways_out(there: Side) -> str:
    if is_unborn(there):
        what = "it holds nothing but what an interrupted receive of something else has left"
        return f"{what}, which is given up with: zfs receive -A {there.filesystem}; {_FORCED}"
    return f"name another destination; or adopt=newest builds on the data that is there; {_FORCED}"


def _register(here: Side, goal: PairGoal) -> t.Iterator[Step]:
    """Write the configuration on this side, as far as it is not there."""
    wanted = _configuration(here, goal)
    wanted["savecount"] = str(goal.savecount or _kept_savecount(here) or goal.default_savecount)
    values = {names.property_name(here.tag, name): value for name, value in wanted.items()}
    values.update(goal.manner(here, here))
    missing = {name: value for name, value in values.items() if here.dataset.local(name) != value}
    if missing:
        before = tuple((name, here.dataset.local(name)) for name in missing)
        undo = Restore(HERE, here.filesystem, "the pair could not be made", values=before)
        yield SetProperties(HERE, here.filesystem, "registers the pair", values=tuple(missing.items()), undo=undo)


def _as_here(goal: PairGoal, here: Side) -> PairGoal:
    """The goal for the peer, which is to record what the master does."""
    known = goal.recorded(here)
    return dataclasses.replace(
        goal, recursive=known.recursive, exclude=known.excluded, hold=known.holding, keep_mountpoint=bool(known.place)
    )


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
    why = "the pair could not be made"
    undo = Destroy(HERE, here.filesystem, why, shorts=(here.next_short,), recursive=here.recursive)
    return target, TakeSnapshot(HERE, target, "the first state to send", undo=undo, recursive=here.recursive)


def _properties_with_stream(here: Side, seen: Observed, carried: t.Mapping[str, str]) -> dict[str, t.Any]:
    """What goes to the replica together with the data, where its zfs can.

    The source's own properties go along as they do with the script, but for the place of its mount: a replica must
    never be mounted over something of its host. (A volume has none, and zfs refuses to exclude it there.)
    """
    if not seen.features_there.modern:
        return {}
    if not seen.features_here.modern:
        # What the stream of an old version would carry cannot be chosen; what is set there can.
        return {"set_there": tuple(carried.items())}
    exclude: tuple[str, ...] = ("mountpoint",) if here.dataset.type == "filesystem" else ()
    if ALL in here.excluded:
        return {"set_there": tuple(carried.items())}
    # What is set there is no matter of the stream.
    exclude += tuple(name for name in here.excluded if name not in exclude and name not in carried)
    return {"with_properties": True, "exclude": exclude, "set_there": tuple(carried.items())}


def _registration_there(here: Side, goal: PairGoal, there: Side | None) -> dict[str, str]:
    """The configuration that the peer is to have."""
    record = _configuration(here, goal)
    if goal.reached_by:
        record["src-host"] = goal.reached_by
        if not names.same_host(goal.reached_by, here.identity):
            record["src-name"] = here.identity
    wanted = {names.property_name(here.tag, name): value for name, value in record.items()}
    wanted.update(_as_here(goal, here).manner(here, there or here))
    count = goal.peer_savecount or goal.savecount
    if count is None and (there is None or there.dataset.value(names.property_name(here.tag, "savecount")) is None):
        count = goal.default_savecount
    if count is not None:
        wanted[names.property_name(here.tag, "savecount")] = str(count)
    return wanted


def register_there(here: Side, goal: PairGoal, values: t.Mapping[str, str], there: Side) -> t.Iterator[Step]:
    """Write the configuration and other values on the peer, as far as they are not there."""
    wanted = dict(_registration_there(here, goal, there), **values)
    missing = {name: value for name, value in wanted.items() if not same_value(there.dataset.value(name), value)}
    if there.readonly and wanted.get("readonly") == "on":
        missing.pop("readonly", None)  # Where it is mounted, a fuse mount hides the property.
    if missing:
        yield SetProperties(PEER, goal.peer.filesystem, "makes it the replica", values=tuple(missing.items()))


def _finish_replica(here: Side, there: Side, goal: PairGoal) -> t.Iterator[Step]:
    carried = dict({"readonly": "on"}, **goal.create_properties)
    carried.update(goal.peer_properties)
    yield from register_there(here, goal, carried, there)


def _finish(
    here: Side, goal: PairGoal, target: str, arrived: str, known: tuple[Snapshot, Snapshot] | None
) -> t.Iterator[Step]:
    why = f"{goal.peer} confirmed it"
    sent = (known[0].sent or known[1].sent if known else None) or goal.now
    if known is None or known[1].sent is None:
        yield Mark(PEER, arrived, why, tag=here.tag, sent=sent)
    if known is None or known[0].sent is None:
        yield Mark(HERE, target, why, tag=here.tag, sent=sent, bookmark=True)
    if goal.recorded(here).holding:
        for which, name, held in ((PEER, arrived, known and known[1]), (HERE, target, known and known[0])):
            if not (held and held.holds):
                yield hold(here, which, name)
    yield from _become_master(here)


def _become_master(here: Side) -> t.Iterator[Step]:
    if not here.is_master:
        yield SetProperties(
            HERE, here.filesystem, "the pair is complete", values=((names.property_name(here.tag, "master"), "yes"),)
        )


def adopt(here: Side, seen: Observed, goal: PairGoal, settings: Settings) -> t.Iterator[Step]:
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
    common = _adopted_base(here, there, goal.force)
    _check_adopted(here, there, common, goal.adopt or NEWEST)
    tree = goal.recorded(here)
    below = check_below(tree, there, goal.force)
    left = recover(here, there, common.here, settings, seen.features_here)
    if left.given_up and not _is_ours(here, there):
        raise PartialReceive(
            "a receive was interrupted there and blocks every other one",
            host=goal.peer.host,
            dataset=there.filesystem,
            left="nothing was changed",
            hint=f"let whoever began it resume it, or give it up with: zfs receive -A {there.filesystem}",
        )
    yield from _register(here, goal)
    yield from left.given_up
    if goal.force:
        for step in roll_tree_back(there, common, below):
            if not isinstance(step, Rollback) or step.loses:
                yield step
    yield from register_there(here, goal, dict({"readonly": "on"}, **goal.peer_properties), there)
    base = common.here
    if left.resumed:
        yield from left.resumed
        (short,) = (names.split_snapshot(step.target)[1] for step in left.resumed if isinstance(step, Send))
        if names.parse_snapshot(here.tag, short) and not tree.recursive:
            yield from _become_master(here)
            return
        base = here.by_short(short) or base
    ours = names.parse_snapshot(here.tag, common.here.short) if not left.resumed else None
    whole = trees.arrived(below, common)
    if ours and not ours.unsent and common.here.short == common.there.short and whole:
        yield from _finish(here, goal, common.here.name, common.there.name, (common.here, common.there))
        return
    short = _next_of_both(tree, there)
    target = f"{here.filesystem}@{short}"
    why = "the pair could not be made"
    undo = Destroy(HERE, here.filesystem, why, shorts=(short,), recursive=tree.recursive)
    yield TakeSnapshot(HERE, target, "the first state of the pair", undo=undo, recursive=tree.recursive)
    yield from trees.bring(tree, there, short, goal.now, settings)
    yield from send_steps(tree, there, base, target, goal.now, settings)
    yield from _become_master(here)


def _next_of_both(here: Side, there: Side) -> str:
    """The short name of a snapshot that neither side has: the other one may have been the replica of somebody else."""
    shorts = [found.short for side in (here, *here.members, there) for found in side.snapshots]
    return names.snapshot_name(here.tag, names.next_serial(here.tag, shorts))


def _adopted_base(here: Side, there: Side, force: bool) -> Common:
    try:
        return find_base(here, there, force)
    except Diverged as error:
        error.hint = "force=true throws it away; rename or send it elsewhere first if it matters"
        raise


def _check_adopted(here: Side, there: Side, common: Common, wanted: str) -> None:
    """Refuse to adopt from a snapshot that is not the newest common one, unless we made that in a run that died."""
    if wanted in (NEWEST, common.here.short):
        return
    named = here.by_short(wanted)
    if named is None or there.by_guid(named.guid) is None:
        raise NoCommonSnapshot(
            f"snapshot {wanted} is not on both sides",
            host=here.host,
            dataset=here.filesystem,
            left="nothing was changed",
            hint=f"the newest that is on both is {common.here.short}",
        )
    if names.parse_snapshot(here.tag, common.here.short) is None:
        raise NoCommonSnapshot(
            f"snapshot {wanted} is on both sides, but {common.here.short} is newer",
            host=here.host,
            dataset=here.filesystem,
            left="nothing was changed",
            hint=f"adopt={common.here.short} takes that",
        )


def registered_properties(side: Side) -> tuple[str, ...]:
    """The pair's properties that a dataset has of its own: the role first, what names the other side last."""
    naming = ("src-host", "src-fs", "dest-host", "dest-fs")
    order = ["master", *(name for name in USER_PROPERTIES if name not in naming), *naming]
    full = (names.property_name(side.tag, name) for name in order)
    return tuple(name for name in dict.fromkeys(full) if side.dataset.source(name) in (LOCAL, RECEIVED))


_UNITS = {"K": 1, "M": 2, "G": 3, "T": 4, "P": 5}


def same_value(found: str | None, wanted: str) -> bool:
    """Whether a property has a value, sizes compared as numbers: zfs shows 10485760 for 10M."""
    if found == wanted:
        return True
    number = wanted[:-1] if wanted[-1:].upper() in _UNITS else ""
    return names.parse_number(number) is not None and found == str(int(number) * 1024 ** _UNITS[wanted[-1].upper()])
