# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was observed: datasets, snapshots, the two sides of a pair. Pure and frozen.

A planner works on these values only. Identity of snapshots is the GUID, their order is createtxg; a name tells a
person what a snapshot is and decides nothing. Only properties of source *local* make roles, locks and marks: with
recursive streams a replica holds ``master=yes`` as *received* and is no master.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import names
from .errors import BadInput, BadProperty

LOCAL = "local"
RECEIVED = "received"
INHERITED = "inherited"
ASKED = "asked"
"""Not of ZFS: the caller of this run said so, and no dataset has recorded it yet."""

CONFIGURATION = ("src-fs", "src-host", "dest-fs", "dest-host", "savecount")
"""The properties that register a pair, in the order in which the script writes them."""
USER_PROPERTIES = (
    *CONFIGURATION,
    "src-name",
    "recursive",
    "exclude",
    "hold",
    "mountpoint",
    "master",
    "promoted",
    "lock-pid",
    "lock-time",
    "lastsent",
    "lastsenttime",
    "sent",
    "drill",
)
ALL = "all"
NONE = "none"
"""For nothing, since a property cannot be set to an empty value."""
PRESERVED_FROM = "preserved-from"
"""On a dataset that preserves what a side had of its own, and on no pair: the snapshot since which it had it."""


class Property(t.NamedTuple):
    """The value of one property and where it comes from: local, received, inherited, default or none."""

    value: str
    source: str


class Endpoint(t.NamedTuple):
    """A dataset on a host."""

    host: str
    filesystem: str

    def __str__(self) -> str:
        return f"{self.host}:{self.filesystem}"


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """One snapshot. Times are epoch seconds, sizes are bytes; ``None`` means that ZFS could not tell.

    :param sent: when the receiver confirmed it, None if it did not.
    :param written: bytes written between the snapshot before and this one.
    :param holds: how many holds keep it from being destroyed.
    :param bad_mark: what stands in place of the time of ``sent`` if that is nonsense.
    :param bookmark: it is only a bookmark: where a stream can start, and nothing else.
    :param ivset: what its encryption made of it, None without encryption: equal for copies by raw streams only.
    """

    dataset: str
    short: str
    guid: int
    createtxg: int
    creation: int
    sent: int | None = None
    written: int | None = None
    holds: int = 0
    bad_mark: str | None = None
    bookmark: bool = False
    ivset: int | None = None

    @property
    def name(self) -> str:
        return "{}{}{}".format(self.dataset, "#" if self.bookmark else "@", self.short)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A filesystem or volume with its snapshots and bookmarks, oldest first, as one host showed it.

    :param children: all datasets below it, parents first, where they were looked at: those of a tree that is a pair.
    """

    name: str
    type: str
    guid: int
    properties: t.Mapping[str, Property]
    snapshots: tuple[Snapshot, ...] = ()
    bookmarks: tuple[Snapshot, ...] = ()
    children: tuple[Dataset, ...] = ()

    def as_tree(self, tag: str) -> Dataset:
        """This dataset taken for the root of a tree, whatever it says."""
        asked = {names.property_name(tag, "recursive"): Property("yes", ASKED)}
        return dataclasses.replace(self, properties={**self.properties, **asked})

    def find(self, name: str) -> Dataset | None:
        """This dataset or the one of that name below it."""
        return next((found for found in (self, *self.children) if found.name == name), None)

    def put(self, member: Dataset) -> Dataset:
        """This dataset with one of its tree, or itself, replaced or added."""
        if member.name == self.name:
            return member
        others = [found for found in self.children if found.name != member.name]
        return dataclasses.replace(self, children=tuple(sorted([*others, member], key=lambda found: found.name)))

    def value(self, name: str) -> str | None:
        """The value of a property whatever its source, None if it is not set or not known here."""
        found = self.properties.get(name)
        return None if found is None or found.value == "-" or found.source == ASKED else found.value

    def number(self, name: str) -> int | None:
        """The value of a numeric property in bytes or as a plain number, None if ZFS could not tell."""
        return names.parse_number(self.value(name))

    def source(self, name: str) -> str:
        found = self.properties.get(name)
        return found.source if found else "none"

    def local(self, name: str) -> str | None:
        """The value of a property if it was set here."""
        return self.value(name) if self.source(name) == LOCAL else None

    @property
    def written(self) -> int | None:
        """Bytes written since the newest snapshot; None if there is none or ZFS cannot tell.

        Versions before the property ``written`` have the same number under the hidden name ``unique``.
        """
        if not self.snapshots:
            return None
        found = self.number("written")
        return self.number("unique") if found is None else found


@dataclasses.dataclass(frozen=True)
class Side:
    """One dataset seen as one side of a pair with this tag.

    :param host: how people call the host.
    :param identity: the short name under which the host records itself in properties.
    """

    host: str
    identity: str
    tag: str
    dataset: Dataset

    @property
    def filesystem(self) -> str:
        return self.dataset.name

    def _own(self, name: str) -> str | None:
        """One of our properties, unless it is merely inherited: children of a pair are no pairs."""
        full = names.property_name(self.tag, name)
        return self.dataset.value(full) if self.dataset.source(full) in (LOCAL, RECEIVED) else None

    @property
    def registered(self) -> bool:
        return self._own("dest-fs") is not None

    @property
    def names_peer(self) -> bool:
        """Whether this side says, in whatever words, who the other one is."""
        return self.registered and None not in (self._own(name) for name in CONFIGURATION[:4])

    @property
    def is_master(self) -> bool:
        return self.dataset.local(names.property_name(self.tag, "master")) == "yes"

    @property
    def recursive(self) -> bool:
        """Whether everything below belongs to the pair too."""
        full = names.property_name(self.tag, "recursive")
        return self._own("recursive") == "yes" or self.dataset.source(full) == ASKED

    @property
    def holding(self) -> bool:
        """Whether the pair holds the snapshot that both sides share last."""
        return self._own("hold") == "yes"

    @property
    def excluded(self) -> tuple[str, ...]:
        """The properties of the master that are not to go to the replica, or ALL."""
        return tuple(name for name in (self._own("exclude") or "").split(",") if name not in ("", NONE))

    @property
    def place(self) -> str:
        """Where this dataset is to be mounted while its side is the master, empty for where it is."""
        found = self._own("mountpoint") or ""
        return found if found.startswith("/") else ""

    @property
    def below(self) -> tuple[Side, ...]:
        """The datasets below it as far as they were looked at, parents first; none has a record of its own."""
        return tuple(dataclasses.replace(self, dataset=found) for found in self.dataset.children)

    @property
    def members(self) -> tuple[Side, ...]:
        """The datasets below it that belong to the pair."""
        return self.below if self.recursive else ()

    @property
    def role(self) -> str:
        if self.is_master:
            return "master"
        return "replica" if self.registered else "none"

    @property
    def source(self) -> Endpoint:
        """The master of the pair as this side records it; raises BadProperty if that is nonsense."""
        return self._endpoint("src-host", "src-fs")

    @property
    def source_name(self) -> str:
        """The name under which the master records itself, where this side had to record another one to reach it by."""
        return self.dataset.local(names.property_name(self.tag, "src-name")) or ""

    @property
    def destination(self) -> Endpoint:
        """The replica of the pair as this side records it; raises BadProperty if that is nonsense."""
        return self._endpoint("dest-host", "dest-fs")

    @property
    def endpoint(self) -> Endpoint:
        """This side as it records itself."""
        return Endpoint(self.identity, self.filesystem)

    @property
    def is_source(self) -> bool:
        """Whether the recorded master is this very dataset, which is so on a master and while a pair is being made."""
        return self.registered and self.source == self.endpoint

    @property
    def peer(self) -> Endpoint:
        """The other side, also while the roles are being swapped one property at a time.

        In the order in which ``swapping.py`` writes them, one of the two names is always still or already the peer's.
        In the script's order a side can end up with two of its own; then BadProperty is raised.
        """
        source, destination = self.source, self.destination
        if source == destination == self.endpoint:
            error = self.bad_property("dest-fs", destination.filesystem, "source and destination are this very side")
            error.hint = "a move of the master died here; the other host still knows both: run zrep_failover there"
            raise error
        if source == self.endpoint:
            return destination
        if destination == self.endpoint:
            return source
        if self.is_master:
            swapped = destination.filesystem == self.filesystem != source.filesystem
            return source if swapped else destination
        swapped = source.filesystem == self.filesystem != destination.filesystem
        return destination if swapped else source

    def _endpoint(self, host: str, filesystem: str) -> Endpoint:
        return Endpoint(self._checked(host, names.check_host), self._checked(filesystem, names.check_dataset))

    def _checked(self, name: str, check: t.Callable[[str, str], str]) -> str:
        full = names.property_name(self.tag, name)
        value = self._own(name) or ""
        try:
            return check(value, full)
        except BadInput as error:
            raise self.bad_property(name, value, error.message) from None

    @property
    def savecount(self) -> int:
        """How many snapshots this side keeps; raises BadProperty if the property is nonsense.

        Inherited values count, as they do for the script.
        """
        value = self.dataset.value(names.property_name(self.tag, "savecount")) or ""
        try:
            return names.check_savecount(value)
        except BadInput as error:
            raise self.bad_property("savecount", value, error.message) from None

    def check_savecount(self) -> None:
        """Raise BadProperty if the savecount is nonsense."""
        _count = self.savecount

    def check_marks(self) -> None:
        """Raise BadProperty if the mark of a snapshot is nonsense: the newest that was sent cannot be told then."""
        for found in self.snapshots:
            if found.bad_mark is not None:
                error = self.bad_property("sent", found.bad_mark, "it is no time in epoch seconds")
                error.dataset = found.name
                error.hint = f"take it away with: zfs inherit {self.tag}:sent {found.name}"
                raise error

    def bad_property(self, name: str, value: str, why: str) -> BadProperty:
        full = names.property_name(self.tag, name)
        shown = value if len(value) <= 60 else value[:57] + "..."
        return BadProperty(
            f"property {full} holds {shown!r}: {why}",
            host=self.host,
            dataset=self.filesystem,
            left="nothing was changed",
            hint=f"put it right there with: zfs set {full}=VALUE {self.filesystem}",
        )

    @property
    def lock_pid(self) -> int | None:
        """The process that holds the script's lock on this dataset, alive or not."""
        return names.parse_number(self.dataset.local(names.property_name(self.tag, "lock-pid"))) or None

    @property
    def lock_time(self) -> str | None:
        return self.dataset.local(names.property_name(self.tag, "lock-time"))

    @property
    def readonly(self) -> bool:
        """Whether nothing can be written to it.

        What a mount shows where that differs from the property has the source *temporary*. A fuse mount knows no
        ``ro`` and so always shows ``off`` where the property says ``on``; it is read-only nevertheless.
        """
        found = self.dataset.properties.get("readonly", Property("off", "default"))
        fuse = "written" not in self.dataset.properties
        return found.value == "on" or (fuse and found == Property("off", "temporary"))

    @property
    def frozen(self) -> bool:
        """Whether readonly is on for this very dataset, as set by whoever made it a replica."""
        return self.readonly and self.dataset.source("readonly") in (LOCAL, "temporary")

    @property
    def promoted(self) -> int:
        """When this side was made the master, in epoch seconds; 0 if that is not recorded."""
        return names.parse_number(self.dataset.local(names.property_name(self.tag, "promoted"))) or 0

    @property
    def encrypted(self) -> bool:
        return self.dataset.value("keystatus") is not None

    @property
    def locked(self) -> bool:
        """Whether it is encrypted and its key is not loaded: it can be sent raw and received, but not be mounted."""
        return self.dataset.value("keystatus") == "unavailable"

    @property
    def mounted(self) -> bool:
        return self.dataset.value("mounted") == "yes"

    @property
    def mountable(self) -> bool:
        """Whether ``zfs mount`` can mount it: a filesystem with a place of its own (zfsprops(7), canmount)."""
        return (
            self.dataset.type == "filesystem"
            and not self.locked
            and self.dataset.value("canmount") != "off"
            and self.dataset.value("mountpoint") not in ("none", "legacy")
        )

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """All snapshots of the dataset, whoever made them, oldest first."""
        return self.dataset.snapshots

    @property
    def own_snapshots(self) -> tuple[Snapshot, ...]:
        """The snapshots of this tag, sent or not, oldest first."""
        return tuple(found for found in self.snapshots if names.parse_snapshot(self.tag, found.short))

    @property
    def last_sent(self) -> Snapshot | None:
        """The newest snapshot that the receiver confirmed."""
        marked = [found for found in self.snapshots if found.sent is not None]
        return marked[-1] if marked else None

    @property
    def next_short(self) -> str:
        """The short name of the snapshot that would be made next."""
        # A bookmark of this name says that the peer may have a snapshot of it.
        sides = (self, *self.members)
        taken = (found.short for side in sides for found in (*side.snapshots, *side.dataset.bookmarks))
        return names.snapshot_name(self.tag, names.next_serial(self.tag, taken))

    def by_guid(self, guid: int) -> Snapshot | None:
        return next((found for found in self.snapshots if found.guid == guid), None)

    def by_short(self, short: str) -> Snapshot | None:
        return next((found for found in self.snapshots if found.short == short), None)

    def after(self, snapshot: Snapshot) -> tuple[Snapshot, ...]:
        """The snapshots newer than one of this side."""
        return tuple(found for found in self.snapshots if found.createtxg > snapshot.createtxg)


@dataclasses.dataclass(frozen=True)
class Common:
    """The newest snapshot that both sides hold, as each of them shows it."""

    here: Snapshot
    there: Snapshot


def newest_common(here: Side, there: Side) -> Common | None:
    """The newest snapshot with the same GUID on both sides, in the order of ``here``."""
    by_guid = {found.guid: found for found in there.snapshots}
    for found in reversed(here.snapshots):
        if found.guid in by_guid:
            return Common(found, by_guid[found.guid])
    return None


def newest_base(here: Side, there: Side) -> Common | None:
    """The newest snapshot of ``there`` that a stream from ``here`` can start from, be it only a bookmark here."""
    common = newest_common(here, there)
    by_guid = {found.guid: found for found in there.snapshots}
    for found in reversed(here.dataset.bookmarks):
        if found.guid in by_guid and (common is None or found.createtxg > common.here.createtxg):
            return Common(found, by_guid[found.guid])
    return common


def unsent_bytes(side: Side, base: Snapshot | None) -> int | None:
    """Bytes written since a snapshot of this side, None if ZFS cannot tell.

    The property ``written`` counts from the snapshot before; the sum over all that came later is what a sync moves.
    """
    if base is None:
        return None
    parts = [found.written for found in side.after(base)] + [side.dataset.written]
    return None if any(part is None for part in parts) else sum(part for part in parts if part is not None)


@dataclasses.dataclass(frozen=True)
class Features:
    """What a host's zfs can do, as its own answers showed.

    :param properties: the optional native properties that it knows.
    :param version: of the loaded kernel module, for people; empty where there is none, as with zfs-fuse, or not known.
    """

    properties: frozenset[str] = frozenset()
    version: str = dataclasses.field(default="", compare=False)

    @property
    def modern(self) -> bool:
        """OpenZFS from 0.7 on (2017): many snapshots, properties or destroyed snapshots in one command, ``receive -o``.

        All of these came to OpenZFS before the property ``receive_resume_token`` or together with it.
        """
        return "receive_resume_token" in self.properties


@dataclasses.dataclass(frozen=True)
class Observed:
    """All that a planner is told about a pair.

    :param identity: the name under which this host records itself.
    :param here: the dataset on this host, None if it does not exist.
    :param peer_host: the other host as recorded or as asked for.
    :param peer_filesystem: the dataset there, by name.
    :param there: the dataset there, None if it does not exist.
    :param there_parent: the dataset above it, asked for where something may have to be created.
    :param asked: whether the peer was asked; if not, ``there`` says nothing.
    :param identity_there: the name under which the peer records itself, empty if it was not asked for.
    :param occupied: paths on the host of the side that becomes the master that hold something already.
    :param readonly_above: the sides (HERE, PEER) that would inherit ``readonly=on``, as far as that was asked.
    """

    tag: str
    identity: str
    filesystem: str
    here: Dataset | None
    peer_host: str = ""
    peer_filesystem: str = ""
    there: Dataset | None = None
    there_parent: Dataset | None = None
    asked: bool = False
    features_here: Features = Features()
    features_there: Features = Features()
    identity_there: str = ""
    readonly_above: frozenset[str] = frozenset()
    occupied: frozenset[str] = frozenset()

    @property
    def side_here(self) -> Side | None:
        return None if self.here is None else Side(self.identity, self.identity, self.tag, self.here)

    @property
    def side_there(self) -> Side | None:
        return None if self.there is None else Side(self.peer_host, self.identity_there, self.tag, self.there)
