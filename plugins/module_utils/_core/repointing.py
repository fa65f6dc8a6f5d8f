# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Giving a destination of an old master to the new one, after a move under another tag. Pure.

Three hosts have a say: the old master, which sends to the destination under a tag of its own; the new master, which has
what the old one had; the destination. A stream to the destination needs a base that the new master has too. If the
newest that the destination holds is not known to it, the old master sends one increment more, up to a snapshot that
both masters hold. So the destination only ever moves forward, and nothing on it is rolled back.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import names
from .creating import NEWEST, PairGoal, adopt
from .encryption import next_options
from .errors import BadInput, BadProperty, Diverged, NoCommonSnapshot, NotFound, PairedElsewhere, SplitBrain
from .model import LOCAL, RECEIVED, Endpoint, Features, Observed, Side, Snapshot, newest_common
from .others import adopting, is_sender
from .pairing import plan_absent
from .plan import predict
from .roles import UNTOUCHED, check_replica
from .settings import Settings
from .state import HERE, PEER, State
from .steps import Destroy, Inherit, Restore, SetProperties, Step
from .streams import Send
from .syncing import check_room, find_base


@dataclasses.dataclass(frozen=True)
class Three:
    """The three datasets under the tag of the destination.

    :param old: the old master; None if it was not asked.
    :param masters: the names under which the two masters are known.
    :param place: the destination as the new master is to record it.
    :param dest: None if there is no such dataset.
    """

    new: Side
    old: Side | None
    place: Endpoint
    dest: Side | None
    masters: tuple[Endpoint, ...]
    features_new: Features
    features_dest: Features


@dataclasses.dataclass(frozen=True)
class Repointing:
    """The steps in their order. Each group has its own two hosts.

    :param bridge: from the old master (here) to the destination (peer).
    :param register: on the new master (here) and the destination (peer), with all that is sent.
    :param release: on the old master (here): it does not send any more.
    :param take: on the new master (here): it does now.
    :param forget: on the old master (here): what is left of its record.
    """

    bridge: tuple[Step, ...] = ()
    register: tuple[Step, ...] = ()
    release: tuple[Step, ...] = ()
    take: tuple[Step, ...] = ()
    forget: tuple[Step, ...] = ()


def plan_repoint(three: Three, now: int, settings: Settings) -> Repointing:
    """The steps that give a destination to the new master; raises what stands against it."""
    release, forget = _retire(three.old)
    if _points(three):
        return Repointing(release=release, forget=forget)
    dest = _check(three)
    try:
        return _plan(three, dest, now, settings, release, forget)
    except (Diverged, NoCommonSnapshot) as error:
        call = adopting(three.new.endpoint, three.place, three.new.tag)
        if isinstance(error, Diverged):
            what = "rolls it back to what both have, and tells in check mode what goes"
        else:
            call, what = call.replace(" adopt=newest", ""), "makes it anew in full, and moves aside what is there"
        error.hint = f"{call} force=true on {three.new.host} {what}"
        raise


def _plan(
    three: Three,
    dest: Side,
    now: int,
    settings: Settings,
    release: tuple[Step, ...],
    forget: tuple[Step, ...],
) -> Repointing:
    bridge = _bridge(three, dest, settings)
    led = bridge[0] if bridge else None
    state = predict(State(three.old.dataset if three.old else None, dest.dataset), bridge)
    dest = dataclasses.replace(dest, dataset=state.there or dest.dataset)
    seen = Observed(
        three.new.tag,
        three.new.identity,
        three.new.filesystem,
        three.new.dataset,
        three.place.host,
        three.place.filesystem,
        dest.dataset,
        asked=True,
        features_here=three.features_new,
        features_there=three.features_dest,
    )
    count = _savecount(three.old) or _savecount(dest)
    goal = PairGoal(three.place, now, count, _savecount(dest), adopt=NEWEST)
    steps = [_undoable(step, dest) for step in adopt(three.new, seen, goal, settings)]
    master = names.property_name(three.new.tag, "master")
    take = tuple(step for step in steps if isinstance(step, SetProperties) and step.values == ((master, "yes"),))
    register = [step for step in steps if step not in take]
    if isinstance(led, Send) and any(isinstance(step, Send) for step in register):
        register.append(_tidy(led, dest))
    return Repointing(bridge, tuple(register), release, take, forget)


def _points(three: Three) -> bool:
    """Whether the new master and the destination say so of each other."""
    new, dest = three.new, three.dest
    if dest is None or not new.is_master or not new.is_source:
        return False
    found = new.destination
    if found.filesystem != three.place.filesystem or not names.same_host(found.host, three.place.host):
        return False
    try:
        seen = Observed(
            new.tag, new.identity, new.filesystem, new.dataset, found.host, found.filesystem, dest.dataset, asked=True
        )
        return check_replica(new, seen).names_peer
    except (PairedElsewhere, BadProperty):
        return False


def _retire(old: Side | None) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Steps that take the old master out of its pair: first its role, and in the end its record."""
    if old is None or not is_sender(old):
        return (), ()
    master = names.property_name(old.tag, "master")
    release: tuple[Step, ...] = ()
    dataset = old.dataset
    if dataset.local(master) is not None:
        undo = SetProperties(HERE, old.filesystem, "the new one could not take it", values=((master, "yes"),))
        release = (Inherit(HERE, old.filesystem, "another one sends from now on", undo=undo, properties=(master,)),)
        dataset = predict(State(dataset, None), release).here or dataset
    seen = Observed(old.tag, old.identity, old.filesystem, dataset)
    return release, plan_absent(seen, force=False).steps


def _check(three: Three) -> Side:
    """The destination if it may be given to the new master."""
    new, old, dest, place = three.new, three.old, three.dest, three.place
    if dest is None:
        raise NotFound(
            "the destination does not exist",
            host=place.host,
            dataset=place.filesystem,
            left=UNTOUCHED,
            hint=f"zrep_pair on {new.host} makes it anew, with a full copy",
        )
    if dest.is_master:
        raise SplitBrain(
            f"is itself a master under the tag {dest.tag}",
            host=dest.host,
            dataset=dest.filesystem,
            left=UNTOUCHED,
            hint=f"if {new.host} is to be the only one: zrep_failover role=replica there first",
        )
    if new.is_master and not (new.destination.filesystem == place.filesystem):
        raise PairedElsewhere(
            f"is the master of {new.destination} under the tag {new.tag} already",
            host=new.host,
            dataset=new.filesystem,
            left=UNTOUCHED,
            hint="one tag has one destination; remove that pair with state=absent first",
        )
    if dest.names_peer and not _is_source_of(dest, three.masters):
        raise PairedElsewhere(
            f"is the replica of {dest.source} under the tag {dest.tag}, not of {old.endpoint if old else new.endpoint}",
            host=dest.host,
            dataset=dest.filesystem,
            left=UNTOUCHED,
            hint="zrep_info there shows who sends to it; if nobody does, zrep_pair adopt=newest takes it over",
        )
    dest.check_marks()
    return dest


def _is_source_of(dest: Side, masters: t.Sequence[Endpoint]) -> bool:
    """Whether a destination names one of the two masters, in whatever words.

    A run that died can leave it with the host of one and the filesystem of the other, where zfs sets them one by one.
    """
    found = dest.source
    hosts = [name.host for name in masters]
    named = any(names.same_host(found.host, host) for host in hosts) or dest.source_name in hosts
    return named and found.filesystem in [name.filesystem for name in masters]


def _bridge(three: Three, dest: Side, settings: Settings) -> tuple[Step, ...]:
    """What the old master has to send, so that the destination ends at a snapshot that the new master has too."""
    new, old = three.new, three.old
    shared = newest_common(new, dest)
    own = dest.after(shared.there) if shared else dest.snapshots
    if old is None or (shared is not None and not any(found.written != 0 for found in own)):
        return ()
    common = find_base(old, dest, force=False)
    taken = {found.short for found in dest.snapshots}
    targets = [found for found in old.after(common.here) if new.by_guid(found.guid)]
    free = [found for found in targets if found.short not in taken]
    if not free:
        raise _ahead(three, dest, common.there, targets)
    check_room(old, dest, common.here)
    return (
        Send(
            HERE,
            free[-1].name,
            f"{new.host}:{new.filesystem} has it too, and nothing that {dest.host} has now",
            base=common.here.name,
            destination=dest.filesystem,
            options=next_options(old, dest, common.here, settings.send_options),
        ),
    )


def _ahead(three: Three, dest: Side, newest: Snapshot, targets: t.Sequence[Snapshot]) -> Diverged:
    """The error that the destination has more than the new master, or that its names stand in the way."""
    if targets:
        why = "has snapshots of its own with the names {}".format(", ".join(found.short for found in targets))
    else:
        why = (
            f"has {newest.short}, and neither it nor anything later is on {three.new.host}:{three.new.filesystem}: it "
            "is ahead"
        )
    return Diverged(why, host=dest.host, dataset=dest.filesystem, left=UNTOUCHED)


def _undoable(step: Step, dest: Side) -> Step:
    """A step of an adoption; what it writes at the destination can be taken back as well."""
    if isinstance(step, SetProperties) and step.side == PEER and step.undo is None:
        dataset = dest.dataset
        before = tuple(
            # A received value comes back as a local one: zfs would hide it.
            (name, dataset.value(name) if dataset.source(name) in (LOCAL, RECEIVED) else None)
            for name, _value in step.values
        )
        undo = Restore(PEER, dest.filesystem, "it could not be given to the new master", values=before)
        return dataclasses.replace(step, undo=undo)
    return step


def _tidy(led: Send, dest: Side) -> Step:
    """Take away what was only sent to lead from one master to the other."""
    short = names.split_snapshot(led.target)[1]
    return Destroy(PEER, dest.filesystem, "it only led from one master to the other", shorts=(short,), optional=True)


def _savecount(side: Side | None) -> int | None:
    if side is None or side.dataset.value(names.property_name(side.tag, "savecount")) is None:
        return None
    try:
        return side.savecount
    except BadProperty:
        return None


def check_not_one_of_them(place: Endpoint, sides: t.Iterable[Endpoint], tag: str) -> None:
    """Refuse a destination that is one of the two sides of the move."""
    for side in sides:
        if side.filesystem == place.filesystem and names.same_host(side.host, place.host):
            raise BadInput(
                f"is itself the destination of the tag {tag}, so it cannot be sent to from there",
                host=side.host,
                dataset=side.filesystem,
                left=UNTOUCHED,
                hint=f"under the tag {tag} there is: zrep_failover filesystem={side.filesystem} role=master",
            )
