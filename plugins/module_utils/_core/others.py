# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other destinations of a filesystem, each under a tag of its own, that a move of the master finds. Pure.

A tag is known by its snapshots, which a look shows anyway: one that has a pair on the filesystem has at least the last
that was sent. Only where there are such snapshots anybody is asked what the filesystem is under that tag.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import names
from .errors import BadProperty
from .model import LOCAL, Dataset, Endpoint, Property, Side

LIMIT = 50
"""How many tags are asked about: what others call their snapshots can look like any number of tags."""


def candidates(side: Side, wanted: t.Iterable[str] = ()) -> list[str]:
    """The tags under which a side may be in other pairs.

    :param wanted: tags that somebody named.
    """
    found = names.other_tags(side.tag, (snapshot.short for snapshot in side.snapshots))
    return list(dict.fromkeys([*wanted, *found]))[:LIMIT]


@dataclasses.dataclass(frozen=True)
class Destination:
    """Somewhere that a filesystem is sent to under another tag.

    :param source: who sends there, as far as that is known.
    :param place: where that is; None if only the tag is known.
    :param follows: it has the new master as its own, or will have in a moment.
    :param repointed: this very call made it so.
    """

    tag: str
    source: Endpoint
    place: Endpoint | None
    follows: bool = False
    repointed: bool = False

    def facts(self) -> dict[str, t.Any]:
        return {
            "tag": self.tag,
            "host": self.place.host if self.place else None,
            "filesystem": self.place.filesystem if self.place else None,
            "master_host": self.source.host,
            "master_filesystem": self.source.filesystem,
            "follows": self.follows,
            "repointed": self.repointed,
        }


class Found(t.NamedTuple):
    """What a side is under other tags.

    :param destinations: where it is sent to.
    :param sources: what it is itself a replica of, by tag.
    :param elsewhere: destinations of somebody else that came here with his properties, by tag.
    """

    destinations: dict[str, Endpoint]
    sources: dict[str, Endpoint]
    elsewhere: dict[str, Endpoint]


def read(side: Side, tags: t.Iterable[str], properties: t.Mapping[str, Property]) -> Found:
    """What a side is under other tags, from its records; one that makes no sense is left out.

    :param side: the side under the tag of the move, which lends its names.
    """
    found = Found({}, {}, {})
    for tag in tags:
        other = Side(side.host, side.identity, tag, Dataset(side.filesystem, "", 0, properties))
        try:
            _sort(other, found)
        except BadProperty:
            continue
    return found


def _sort(side: Side, found: Found) -> None:
    if not side.registered:
        return
    if is_sender(side):
        found.destinations[side.tag] = side.destination
    elif side.destination.filesystem == side.filesystem and names.same_host(side.destination.host, side.identity):
        found.sources[side.tag] = side.source
    elif side.dataset.source(names.property_name(side.tag, "dest-fs")) != LOCAL:
        found.elsewhere[side.tag] = side.destination


def is_sender(side: Side) -> bool:
    """Whether a side is, or was a moment ago, what is sent to the destination that it names.

    A run that died has left less than a whole record here, of which the name of the destination goes last.
    """
    if side.is_master:
        return True
    if side.dataset.local(names.property_name(side.tag, "dest-fs")) is None:
        return False
    try:
        return side.is_source
    except BadProperty:
        own = ("src-fs", "src-host")
        return any(side.dataset.local(names.property_name(side.tag, name)) is None for name in own)


# Telling


def left_behind(tag: str, place: Endpoint, old: Endpoint, new: Endpoint) -> str:
    """What it means that a destination still has the old master, and what is to be done."""
    return (
        f"{old} still is what is sent to {place} under the tag {tag}, but is a replica itself now: what arrives there "
        f"is only what {new} sent to {old} before. To have {new} send it: zrep_failover filesystem={new.filesystem} "
        f"role=master repoint={tag} on {new.host}"
    )


def out_of_reach(tag: str, place: Endpoint | None, old: Endpoint, new: Endpoint) -> str:
    """What it means that a destination's master was not contacted, and what is to be done."""
    if place is None:
        what = f"there are snapshots of the tag {tag} here: if {old} has another destination under it, that"
    else:
        what = f"{place}, the destination of {old} under the tag {tag},"
    return f"{what} gets nothing new without {old}. To have {new} send it: {adopting(new, place, tag)} on {new.host}"


def adopting(new: Endpoint, place: Endpoint | None, tag: str) -> str:
    """The call that makes a pair of a master and a destination that has its data already."""
    host, filesystem = place or ("HOST", "FILESYSTEM")
    return f"zrep_pair filesystem={new.filesystem} peer_host={host} peer_filesystem={filesystem} tag={tag} adopt=newest"


def two_masters(tag: str, source: Endpoint, new: Endpoint, side: Endpoint) -> str:
    """What it means that a side of a move is a replica under another tag."""
    if side == new:
        return (
            f"{side} is also a replica of {source} under the tag {tag}; as a master it is written to, so that nothing "
            f"of {source} can arrive there any more"
        )
    return (
        f"{side}, whose master role {new} has now, is itself a replica of {source} under the tag {tag}: {new} and "
        f"{source} are two copies that can both be written"
    )
