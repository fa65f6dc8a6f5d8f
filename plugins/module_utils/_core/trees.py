# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees: the datasets below the root of a pair that belong to it. Pure.

All of them are snapshotted in one moment, under one name. Each has a stream of its own, from the newest snapshot that
both sides hold of it, by GUID: so one that is new, lagging, renamed or interrupted concerns no other. In a sync the
root goes last: a replica whose root has a snapshot has it of everything below too, and only the root is marked.

What the master does not have any more is never destroyed on the replica, but moved aside, out of the tree.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import names
from .branches import RenameDataset
from .encryption import first_options, knows_encryption, next_options
from .errors import Diverged, PairedElsewhere
from .model import ALL, ASKED, PRESERVED_FROM, Common, Features, Side, Snapshot, newest_common, unsent_bytes
from .partial import TOKEN, give_up, is_partial, is_unborn, rest, wanted
from .roles import UNTOUCHED
from .settings import Settings
from .state import HERE
from .steps import SetProperties, Step
from .streams import Send, other

READONLY = "readonly"
SEND_PHASE = 2
"""Where the steps of a tree stand among the phases of a sync."""


@dataclasses.dataclass(frozen=True)
class Branch:
    """A dataset below the sender's root, and what the receiver has of it.

    :param receiver: under whatever name; None if it has nothing of it.
    :param common: the newest snapshot that both hold of it, as the sender and the receiver show it.
    """

    sender: Side
    receiver: Side | None = None
    common: Common | None = None


Along = t.Dict[str, t.Any]
"""What goes along with a first stream: fields of Send."""


class Match(t.NamedTuple):
    """What belongs together below two roots, parents first, and what only the receiver has."""

    branches: list[Branch]
    rest: list[Side]


def match(sender: Side, receiver: Side) -> Match:
    """Find by GUID what belongs together below two roots; a name decides nothing but what is tried first."""
    left = {found.filesystem: found for found in receiver.below}
    known: dict[str, Side] = {}
    for member in sender.members:
        same = left.get(moved_to(member, sender, receiver))
        if same is not None and newest_common(member, same):
            known[member.filesystem] = left.pop(same.filesystem)
    branches = []
    for member in sender.members:
        found = known.get(member.filesystem) or _akin(member, left.values())
        if found is None:
            branches.append(Branch(member))
            continue
        left.pop(found.filesystem, None)
        branches.append(Branch(member, found, newest_common(member, found)))
    return Match(branches, list(left.values()))


def _akin(member: Side, others: t.Iterable[Side]) -> Side | None:
    return next((found for found in others if newest_common(member, found)), None)


def moved_to(member: Side, root: Side, other_root: Side) -> str:
    """The name that a dataset below one root has below the other one."""
    return other_root.filesystem + member.filesystem[len(root.filesystem) :]


def check_tree(root: Side) -> None:
    """Refuse a tree with another pair of the same tag in it: their snapshots could not be told apart."""
    for member in root.members:
        if member.registered:
            raise PairedElsewhere(
                f"is below {root.filesystem}, a tree that is to be replicated, and is a pair of its own with the tag "
                f"{root.tag!r}",
                host=root.host,
                dataset=member.filesystem,
                left=UNTOUCHED,
                hint="give one of the two another tag, or replicate the tree without recursive",
            )


def arrived(found: Match, common: Common) -> bool:
    """Whether all of a tree that the sender snapshotted with its root is at the receiver, as the root is."""
    for branch in found.branches:
        there, held = branch.receiver, branch.sender.by_short(common.here.short)
        if held is not None and (there is None or there.by_guid(held.guid) is None):
            return False
    return True


def in_shape(found: Match, sender: Side, receiver: Side) -> bool:
    """Whether both trees consist of the same datasets under the same names."""
    named = all(
        branch.receiver is not None and branch.receiver.filesystem == moved_to(branch.sender, sender, receiver)
        for branch in found.branches
    )
    return named and not any(side.own_snapshots for side in found.rest)


def unsent(root: Side, base: Snapshot | None) -> int | None:
    """Bytes written to a tree since a snapshot of its root, None if ZFS cannot tell."""
    sizes = [part.size for part in parts(root, base)] if base is not None else [None]
    return None if None in sizes else sum(size or 0 for size in sizes)


# Bringing the receiver up to date


def bring(
    sender: Side,
    receiver: Side,
    short: str,
    now: int,
    settings: Settings,
    which: str = HERE,
    taken: bool = False,
) -> list[Step]:
    """Bring what is below the receiver's root to a snapshot of the tree, and into the same shape.

    :param which: which of the two hosts sends.
    :param taken: the snapshot exists already, though maybe not of everything that exists now.
    """
    if not sender.recursive:
        return []
    shape = _Shape(match(sender, receiver), receiver, now, other(which))
    along = all(TOKEN in side.dataset.properties for side in (sender, receiver))
    steps: list[Step] = []
    for branch in shape.found.branches:
        if taken and branch.sender.by_short(short) is None:
            continue
        place = moved_to(branch.sender, sender, receiver)
        steps += shape.clear(branch, place)
        more = new_member(branch.sender, sender.excluded, bool(sender.place)) if along else {}
        steps += _stream(branch, shape.at(branch, place), place, short, settings, which, more, receiver)
    return steps + shape.set_aside_the_rest()


def _stream(
    branch: Branch,
    there: Side | None,
    destination: str,
    short: str,
    settings: Settings,
    which: str,
    new: Along,
    root: Side,
) -> list[Step]:
    """Send what is missing of one dataset: the rest of an interrupted stream first.

    :param there: what the receiver has under the name by then.
    :param root: the receiver's root.
    """
    steps: list[Step] = []
    # The rest of a stream goes as the replica came up to there, so what follows it is decided by the same snapshot.
    began = base = branch.common.here if branch.common else None
    if is_partial(there) and there is not None:
        found = wanted_rest(branch.sender, there, base, settings)
        if isinstance(found, str):
            steps += give_up(there, other(which), found)
        else:
            more = {key: value for key, value in new.items() if key != "with_properties"} if base is None else {}
            start = base.name if base is not None else ""
            steps.append(rest(there, found.name, settings, which, base=start, phase=SEND_PHASE, **more))
            base = found
    held = branch.sender.by_short(short)
    if base is not None and held is not None and held.createtxg <= base.createtxg:
        return steps
    if began is not None and there is not None:
        options = next_options(branch.sender, there, began, settings.send_options)
    else:
        known = knows_encryption(root.dataset.properties)
        options = first_options(branch.sender, settings.send_options, known, root.host, destination)
    send = Send(
        which,
        f"{branch.sender.filesystem}@{short}",
        f"the replica ends at {base.short}" if base else "it is new below the pair",
        phase=SEND_PHASE,
        base=base.name if base else "",
        destination=destination,
        intermediates=settings.intermediates,
        options=options,
        resumable=settings.resume,
        **({} if base else new),
    )
    return [*steps, send]


def wanted_rest(sender: Side, receiver: Side, base: Snapshot | None, settings: Settings) -> Snapshot | str:
    """The snapshot to complete an interrupted receive with; else why it cannot be."""
    known = frozenset(name for name in (TOKEN,) if name in sender.dataset.properties)
    found = wanted(sender, receiver, base, settings, Features(known))
    if isinstance(found, Snapshot) and found.short.endswith(names.UNSENT):
        return f"{found.short} has a name that is given up"
    return found


def new_member(side: Side, excluded: t.Sequence[str], placed: bool) -> Along:
    """What goes along with the first stream of a dataset below a root, where zfs can.

    Its own properties do, but for the place of its mount, which on the replica must be below that of the root, and for
    what would make it writable there.

    :param excluded: what is not to go along.
    :param placed: the replica records where it is to be mounted once it is the master.
    """
    exclude = ["mountpoint"] if side.dataset.type == "filesystem" else []
    if side.dataset.local(READONLY) != "on":
        exclude.append(READONLY)
    set_there = tuple(place_of(side).items()) if placed else ()
    if ALL in excluded:
        return {"set_there": set_there}
    exclude += [name for name in excluded if name not in exclude]
    return {"with_properties": True, "exclude": tuple(exclude), "set_there": set_there}


def place_of(side: Side) -> dict[str, str]:
    """The record of where a dataset is mounted, if it has a place of its own."""
    place = side.dataset.local("mountpoint") or ""
    return {names.property_name(side.tag, "mountpoint"): place} if place.startswith("/") else {}


class _Shape:
    """The names below the receiver's root while they change."""

    def __init__(self, found: Match, receiver: Side, now: int, at: str) -> None:
        self.found = found
        self._root = receiver
        self._now = now
        self._at = at
        self._names = {side.filesystem: side.filesystem for side in receiver.below}
        """The present name of each dataset by the one that it was seen under."""
        self._unmounted: set[str] = set()
        self._partners = {branch.receiver.filesystem for branch in found.branches if branch.receiver is not None}

    def _side(self, seen: str) -> Side:
        return next(found for found in self._root.below if found.filesystem == seen)

    def at(self, branch: Branch, wanted: str) -> Side | None:
        """What is to be received into, under the name that it has by then."""
        seen = branch.receiver.filesystem if branch.receiver else wanted
        side = next((found for found in self._root.below if found.filesystem == seen), None)
        if side is None or (branch.receiver is None and not is_unborn(side)):
            return None
        return dataclasses.replace(side, dataset=dataclasses.replace(side.dataset, name=wanted))

    def clear(self, branch: Branch, wanted: str) -> list[Step]:
        """Give a dataset its name, and whatever has that name another one."""
        seen = branch.receiver.filesystem if branch.receiver else ""
        if seen and self._names[seen] == wanted:
            return []
        steps: list[Step] = []
        occupant = next((old for old, name in self._names.items() if name == wanted), None)
        if occupant in self._partners:
            why = "another dataset gets its name"
            steps.append(self._rename(wanted, f"{wanted}_moving_{self._now}", why))
        elif occupant is not None and not is_unborn(self._side(occupant)):
            why = "the master has another dataset of this name now; nothing of the old one is lost"
            steps += self._set_aside(occupant, "replaced", why)
        if seen:
            steps.append(self._rename(self._names[seen], wanted, "it was renamed on the master"))
        return steps

    def set_aside_the_rest(self) -> list[Step]:
        """Move out of the tree what once came from the master and is not there any more."""
        steps: list[Step] = []
        for side in self.found.rest:
            gone = self._names[side.filesystem]
            if side.own_snapshots and gone.startswith(self._root.filesystem + "/"):
                why = "the master does not have it any more; nothing of it is lost"
                steps += self._set_aside(side.filesystem, "removed", why)
        return steps

    def _set_aside(self, seen: str, word: str, why: str) -> list[Step]:
        name = self._names[seen]
        if not names.parent_of(self._root.filesystem):
            raise Diverged(
                f"{why}, but below a whole pool there is no place to move it to",
                host=self._root.host,
                dataset=name,
                left=UNTOUCHED,
                hint="rename it there, and let the pair have a dataset of its own as its replica",
            )
        below = name[len(self._root.filesystem) + 1 :].replace("/", "_")
        side = self._side(seen)
        values = {READONLY: "on"}
        if side.dataset.type == "filesystem":
            values["canmount"] = "noauto"
        if side.snapshots:
            values[names.property_name(side.tag, PRESERVED_FROM)] = f"{name}@{side.snapshots[-1].short}"
        return [
            # The marks first: what died after the renaming would lie there unprotected.
            SetProperties(self._at, name, why, phase=SEND_PHASE, values=tuple(values.items())),
            self._rename(name, f"{self._root.filesystem}_{word}_{self._now}_{below}", why, aside=True),
        ]

    def _rename(self, old: str, new: str, why: str, aside: bool = False) -> Step:
        mounted = False
        for seen, name in self._names.items():
            if name == old:
                mounted = self._side(seen).mounted and old not in self._unmounted
            if name == old or name.startswith(old + "/"):
                self._names[seen] = new + name[len(old) :]
                self._unmounted.add(self._names[seen])
        return RenameDataset(self._at, old, why, phase=SEND_PHASE, new_name=new, aside=aside, mounted=mounted)


def remarks(steps: t.Iterable[Step]) -> list[str]:
    """What people should know about a tree whose shape changes."""
    return [
        f"{step.target} was moved aside as {step.new_name}: {step.why}"
        for step in steps
        if isinstance(step, RenameDataset) and step.aside
    ]


# Memory


def remember(side: Side, which: str) -> list[Step]:
    """Write down with a side that all that is below it belongs to the pair."""
    name = names.property_name(side.tag, "recursive")
    if side.recursive and side.dataset.source(name) != ASKED:
        return []
    return [SetProperties(which, side.filesystem, "all that is below belongs to the pair", values=((name, "yes"),))]


# What a side has of its own


class Part(t.NamedTuple):
    """A dataset of a tree, or its root.

    :param base: the snapshot of it that the other side has too, None if it has nothing of it.
    """

    side: Side
    base: Snapshot | None

    @property
    def has_own(self) -> bool:
        """Whether it has content of its own, as far as ZFS can tell."""
        return self.base is None or has_own(self.side, self.base)

    @property
    def size(self) -> int | None:
        """How many bytes that are, None if ZFS cannot tell."""
        return unsent_bytes(self.side, self.base) if self.base else self.side.dataset.number("referenced")

    def below(self, root: str) -> str:
        """What its name has more than that of its root."""
        return self.side.filesystem[len(root) :]


def has_own(side: Side, base: Snapshot) -> bool:
    """Whether a side has content of its own since a snapshot, as far as ZFS can tell."""
    return any(found.written != 0 for found in side.after(base)) or side.dataset.written != 0


def parts(side: Side, base: Snapshot, other_side: Side | None = None) -> list[Part]:
    """A root and what is below it, parents first, each with its newest snapshot that the other side has too.

    :param base: the root's.
    :param other_side: None if it cannot be asked: then what was snapshotted together counts.
    """
    root = Part(side, base)
    if other_side is None:
        return [root, *(Part(member, member.by_short(base.short)) for member in side.members)]
    below = match(side, other_side).branches if side.recursive else []
    return [root, *(Part(found.sender, found.common.here if found.common else None) for found in below)]
