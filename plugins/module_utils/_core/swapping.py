# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ends of a move, and the steps that swap their roles. Pure.

The old master is always demoted first: for a moment nobody is master, never both. Each side's record is written in an
order in which, one property at a time, it always still or already names the other side (see ``Side.peer``), so that a
swap that died in between is completed from either end. With a modern zfs each record is one transaction.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import names
from .errors import BadInput, BadProperty, NotFound, NotPaired, PairedElsewhere
from .freezing import READONLY, Mount
from .model import RECEIVED, Endpoint, Features, Observed, Side
from .roles import UNTOUCHED, check_paired, master_lost
from .state import HERE, PEER
from .steps import Inherit, Restore, SetProperties, Step

MOUNTPOINT = "mountpoint"
MASTER, REPLICA = "master", "replica"
REFUSE, PRESERVE, DISCARD = "refuse", "preserve", "discard"

# The name of the peer is in the other pair of properties while one is written. What is turned back goes the other way.
_DEMOTION = ("src-fs", "src-host", "dest-fs", "dest-host")
_PROMOTION = ("dest-fs", "dest-host", "src-fs", "src-host")


@dataclasses.dataclass(frozen=True)
class MoveGoal:
    """The role that this host is to have.

    :param role: MASTER or REPLICA.
    :param now: the time of the run in epoch seconds.
    :param diverged: what becomes of what the side that is to be replica has of its own: REFUSE, PRESERVE or DISCARD.
    :param preserve_as: the dataset that it is preserved in; empty for a name made from the filesystem's.
    :param base: a side that steps down alone goes back to this snapshot; empty for the last one sent.
    """

    role: str
    now: int
    diverged: str = REFUSE
    preserve_as: str = ""
    base: str = ""


@dataclasses.dataclass(frozen=True)
class End:
    """One side of a pair in a move.

    :param at: on which host it is, HERE or PEER.
    :param known_peer: the other host by the name under which this side knows it.
    :param readonly_above: it would inherit ``readonly=on``.
    :param occupied: paths on its host that hold something already.
    """

    side: Side
    at: str
    features: Features
    known_peer: str
    readonly_above: bool = False
    occupied: frozenset[str] = frozenset()

    def name(self, short: str) -> str:
        return names.property_name(self.side.tag, short)


class Ends(t.NamedTuple):
    """Both sides, by what they are to become: the master and its replica."""

    new: End
    old: End


def ends(seen: Observed, goal: MoveGoal) -> Ends:
    """The two ends of a move; raises what shows that they are no pair."""
    here, there = check_paired(seen), seen.side_there
    if there is None:
        raise NotFound(
            "the other side of the pair does not exist",
            host=seen.peer_host,
            dataset=seen.peer_filesystem,
            left=UNTOUCHED,
            hint="zrep_pair here makes it anew" if here.is_master else master_lost(here.filesystem),
        )
    if not there.names_peer:
        raise NotPaired(
            f"is not registered as the other side of {here.host}:{here.filesystem}",
            host=there.host,
            dataset=there.filesystem,
            left=UNTOUCHED,
            hint="zrep_pair on the master completes it",
        )
    known = _known_peer(there, here)
    if known is None:
        raise PairedElsewhere(
            f"is paired with {there.source} and {there.destination}, not with {here.host}:{here.filesystem}",
            host=there.host,
            dataset=there.filesystem,
            left=UNTOUCHED,
            hint="zrep_info on both hosts shows who is whose; remove the half that is wrong with "
            "zrep_pair state=absent local_only=true",
        )
    if there.recursive and not here.recursive:
        error = here.bad_property("recursive", "-", f"{there.host} says that all that is below belongs to the pair")
        error.hint = "have both sides agree: zrep_pair on the master with recursive=true or recursive=false"
        raise error
    first = End(here, HERE, seen.features_here, seen.peer_host, HERE in seen.readonly_above, seen.occupied)
    second = End(there, PEER, seen.features_there, known, PEER in seen.readonly_above, seen.occupied)
    return Ends(first, second) if goal.role == MASTER else Ends(second, first)


def _known_peer(side: Side, other: Side) -> str | None:
    """The name under which a side knows the host of the other one; None if it is paired with somebody else.

    A swap that died, in the script's order too, leaves a record that is half turned round: it names nothing but the two
    sides of the pair, but not always both of them.
    """
    filesystems = {side.filesystem, other.filesystem}
    own, theirs = _names_of(side), _names_of(other)
    if side.source_name and _is_one_of(side.source_name, theirs):
        theirs.insert(0, side.source.host)
    if not {side.source.filesystem, side.destination.filesystem} <= filesystems:
        return None
    hosts = [side.source.host, side.destination.host]
    if not all(_is_one_of(host, own + theirs) for host in hosts):
        return None
    peer = _whole_peer(side)
    if peer is not None and peer.filesystem == other.filesystem and _is_one_of(peer.host, theirs):
        return peer.host
    # As the other side has it from when the pair was made, or as that calls itself.
    found = [host for host in hosts if _is_one_of(host, theirs) and host not in own]
    return (found or theirs[-1:])[0]


def _names_of(side: Side) -> list[str]:
    """The names that a side's host goes by: its own, that of its connection, and that in its record."""
    found = [side.identity, side.host]
    peer = _whole_peer(side)
    if peer is not None:
        own = side.destination if peer == side.source else side.source
        if own.filesystem == side.filesystem:
            found.append(own.host)
    return [name for name in found if name]


def _whole_peer(side: Side) -> Endpoint | None:
    try:
        return side.peer
    except BadProperty:
        return None


def _is_one_of(host: str, known: t.Iterable[str]) -> bool:
    return any(names.same_host(host, name) for name in known)


def swap(found: Ends, now: int) -> list[Step]:
    """Exchange the roles, the old master first."""
    return demote(found.old, found.new.side.endpoint) + promote(found.new, found.old.side.filesystem, now)


def demote(end: End, master: Endpoint) -> list[Step]:
    """Make a side the replica of a filesystem at its peer. It is frozen already.

    :param master: the peer as it records itself.
    """
    record = _record(Endpoint(end.known_peer, master.filesystem), end.side.endpoint)
    order = _DEMOTION if end.side.is_master else _PROMOTION[::-1]
    values = {name: record[name] for name in order}
    if not names.same_host(end.known_peer, master.host):
        values["src-name"] = master.host
    steps = _write(end, values, "its peer becomes the master")
    if end.side.dataset.local(end.name("master")) is not None:
        undo = SetProperties(end.at, end.side.filesystem, _UNDONE, lasting=True, values=((end.name("master"), "yes"),))
        steps.append(
            Inherit(
                end.at, end.side.filesystem, "it is the master no more", undo=undo, properties=(end.name("master"),)
            )
        )
    return steps


def promote(end: End, replica: str, now: int) -> list[Step]:
    """Make a side the master of a filesystem at its peer. Setting ``master`` is what decides the move."""
    record = _record(end.side.endpoint, Endpoint(end.known_peer, replica))
    steps = thaw(end) + put_in_place(end)
    values = dict({name: record[name] for name in _PROMOTION}, promoted=str(now))
    why = "it becomes the master"
    if end.features.modern:
        steps += _write(end, dict(values, master="yes"), why, decisive=True)
    else:
        # One property a command: what decides is a step of its own, so that what leads to it can be taken back.
        steps += _write(end, values, why)
        steps += _write(end, {"master": "yes"}, why, decisive=True)
    return steps + mount(end)


def wrong_places(side: Side) -> list[Side]:
    """The datasets of a side that are not where they are to be while it is the master."""
    found = [side, *side.members]
    return [one for one in found if one.place and one.dataset.value(MOUNTPOINT) != one.place]


def put_in_place(end: End) -> list[Step]:
    """Give a side that becomes the master the mountpoints of the old one, where the pair keeps them."""
    steps: list[Step] = []
    for side in wrong_places(end.side):
        if side.place not in end.occupied:
            before = side.dataset.local(MOUNTPOINT)
            undo = Restore(end.at, side.filesystem, _UNDONE, values=((MOUNTPOINT, before),), lasting=True)
            why = "the pair keeps its mountpoints"
            steps.append(SetProperties(end.at, side.filesystem, why, undo=undo, values=((MOUNTPOINT, side.place),)))
    return steps


def thaw(end: End) -> list[Step]:
    """Make a side writable if it was made a replica or frozen."""
    if not end.side.readonly:
        return []
    target = end.side.filesystem
    before = "on" if end.side.frozen else None
    undo = Restore(end.at, target, _UNDONE, values=((READONLY, before),), lasting=True)
    if end.readonly_above or not end.side.frozen:
        why = "a master is writable, and it would inherit readonly=on"
        return [SetProperties(end.at, target, why, undo=undo, values=((READONLY, "off"),))]
    return [Inherit(end.at, target, "a master is writable", undo=undo, properties=(READONLY,))]


def mount(end: End) -> list[Step]:
    """Mount a side if it can be, and what is below it as it would be at boot."""
    wanted = [side for side in end.side.members if side.dataset.value("canmount") == "on"]
    return [
        Mount(end.at, side.filesystem, "a master is in use", perhaps=bool(wrong_places(end.side)))
        for side in (end.side, *wanted)
        if side.mountable and not side.mounted
    ]


def keep_master(end: End, replica: str) -> list[Step]:
    """Complete a side that is the master already: its record, writable, mounted."""
    side = end.side
    right = (
        side.source.filesystem == side.filesystem
        and side.source.host != end.known_peer
        and side.destination == Endpoint(end.known_peer, replica)
    )
    record = _record(side.endpoint, Endpoint(end.known_peer, replica))
    steps = [] if right else _write(end, {name: record[name] for name in _DEMOTION[::-1]}, "it is the master")
    return steps + thaw(end) + mount(end)


def keep_replica(end: End, master: Endpoint) -> list[Step]:
    """Complete the record of a side that is no master.

    :param master: the peer as it records itself.
    """
    side = end.side
    named = names.same_host(end.known_peer, master.host) or side.source_name == master.host
    source = Endpoint(end.known_peer, master.filesystem)
    right = named and side.source == source and side.destination.filesystem == side.filesystem
    return [] if right and side.dataset.local(end.name("master")) is None else demote(end, master)


def check_goal(goal: MoveGoal, force: bool) -> None:
    """Refuse wishes that contradict each other; raises BadInput."""
    if goal.role not in (MASTER, REPLICA):
        raise BadInput(f"role {goal.role!r} cannot be used: expected {MASTER} or {REPLICA}")
    if goal.diverged not in (REFUSE, PRESERVE, DISCARD):
        raise BadInput(f"diverged {goal.diverged!r} cannot be used: expected {REFUSE}, {PRESERVE} or {DISCARD}")
    if goal.preserve_as:
        names.check_dataset(goal.preserve_as, "preserve_as")
        if goal.diverged != PRESERVE:
            raise BadInput(f"preserve_as is given, but diverged is {goal.diverged}", hint="say diverged=preserve")
    if goal.base:
        names.check_snapshot(goal.base)
    if force and goal.role == MASTER and goal.diverged != REFUSE:
        raise BadInput(
            f"diverged={goal.diverged} does not fit role=master force=true, which does not contact the peer",
            left=UNTOUCHED,
            hint="leave it out; say it when the old master is back, in the call that makes it a replica",
        )


_UNDONE = "the move could not be completed"


def _record(source: Endpoint, destination: Endpoint) -> dict[str, str]:
    return {
        "src-fs": source.filesystem,
        "src-host": source.host,
        "dest-fs": destination.filesystem,
        "dest-host": destination.host,
    }


def _write(end: End, wanted: t.Mapping[str, str], why: str, decisive: bool = False) -> list[Step]:
    """Set what is different, in the order given."""
    local = end.side.dataset.local
    missing = {end.name(name): value for name, value in wanted.items() if local(end.name(name)) != value}
    if not missing:
        return []
    before = tuple((name, _kept(end, name)) for name in reversed(list(missing)))
    undo = Restore(end.at, end.side.filesystem, _UNDONE, values=before, lasting=True)
    target = end.side.filesystem
    return [SetProperties(end.at, target, why, undo=undo, decisive=decisive, values=tuple(missing.items()))]


def _kept(end: End, name: str) -> str | None:
    """What a property is given back: a received value as a local one, since zfs would hide it. Not so for a role."""
    dataset = end.side.dataset
    received = dataset.source(name) == RECEIVED and name != end.name("master")
    return dataset.value(name) if received else dataset.local(name)
