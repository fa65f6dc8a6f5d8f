# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a move means for other destinations of its filesystem: they are found, told, and can follow the new master."""

from __future__ import annotations

import typing as t

from . import names, zfs
from .errors import BadInput, ZrepError
from .model import Endpoint, Observed, Side
from .others import Destination, Found, candidates, left_behind, out_of_reach, read, two_masters
from .outcome import Outcome, Refused
from .roles import UNTOUCHED
from .run_repoint import Place, repoint
from .settings import Settings
from .shell import Shell
from .swapping import MASTER, MoveGoal, ends

__all__ = ["Destination", "Sides", "check_others", "find_others", "follow_up", "sides_of"]


def check_others(tags: t.Sequence[str], tag: str) -> None:
    """Refuse nonsense among the tags of other destinations; raises BadInput."""
    for found in tags:
        names.check_tag(found)
        if found == tag:
            raise BadInput(f"repoint names {tag!r}, which is the tag of the move itself", left=UNTOUCHED)


class Sides(t.NamedTuple):
    """The two sides of a move that is through, or would be."""

    new: Place
    old: Place


def sides_of(seen: Observed, goal: MoveGoal, dry: bool) -> Sides:
    """The two sides, by what they are after the move."""
    here = Endpoint(seen.identity, seen.filesystem)
    there = Endpoint(seen.identity_there or names.short_host(seen.peer_host), seen.peer_filesystem)
    mine = Place(here, _known_there(seen, goal), seen.identity, seen.here if dry else None)
    theirs = Place(there, seen.peer_host, seen.peer_host if seen.asked else "", seen.there if dry else None)
    if goal.role == MASTER:
        return Sides(mine._replace(known_as=seen.identity), theirs)
    return Sides(theirs._replace(known_as=there.host), mine)


def _known_there(seen: Observed, goal: MoveGoal) -> str:
    """This host as the peer knows it."""
    try:
        return next(end.known_peer for end in ends(seen, goal) if end.at != "here")
    except ZrepError:
        return seen.identity


def find_others(seen: Observed, sides: Sides, here: Shell, peer: Shell, wanted: t.Sequence[str]) -> Others:
    """Ask both sides, as far as the peer was asked before, what they are under other tags."""
    found = Others(sides)
    for side, shell in ((seen.side_here, here), (seen.side_there, peer)):
        if side is None or (shell is peer and not seen.asked):
            continue
        tags = candidates(side, wanted)
        if not tags:
            continue
        argv = zfs.get_records(tags, side.filesystem)
        try:
            done = shell.run(argv)
            if done.status:
                raise zfs.failure(argv, done.status, done.err, shell.host, side.filesystem)
            seen_there = read(side, tags, zfs.parse_records(done.out, tags, shell.host))
        except ZrepError as error:
            found.warnings.append(f"which other destinations {side.filesystem} has could not be found out: {error}")
            continue
        found.add(side, tags, seen_there)
    return found


class Others:
    """What the two sides are under other tags."""

    def __init__(self, sides: Sides) -> None:
        self._sides = sides
        self._of: dict[Endpoint, Found] = {}
        self._tags: dict[Endpoint, list[str]] = {}
        self.warnings: list[str] = []

    def add(self, side: Side, tags: list[str], found: Found) -> None:
        place = Endpoint(side.host, side.filesystem)
        self._of[place], self._tags[place] = found, tags

    def _found(self, place: Place) -> Found:
        return self._of.get(_as_seen(place), Found({}, {}, {}))

    def destinations(self) -> list[Destination]:
        """The other destinations as they are without further doing."""
        new, old = self._sides
        mine, theirs = self._found(new), self._found(old)
        found = {tag: Destination(tag, new.endpoint, place, follows=True) for tag, place in mine.destinations.items()}
        for tag, place in theirs.destinations.items():
            found.setdefault(tag, Destination(tag, old.endpoint, place))
        if not old.reached_as:
            for tag in self._tags.get(_as_seen(new), ()):
                if tag not in mine.sources:
                    found.setdefault(tag, Destination(tag, old.endpoint, mine.elsewhere.get(tag)))
        return list(found.values())

    def told(self, destinations: t.Iterable[Destination]) -> tuple[list[str], list[str]]:
        """Warnings, and notes about what is only likely."""
        new, old = self._sides.new.endpoint, self._sides.old.endpoint
        warnings, notes = list(self.warnings), t.cast("list[str]", [])
        for found in destinations:
            if found.follows:
                continue
            if self._sides.old.reached_as and found.place is not None:
                warnings.append(left_behind(found.tag, found.place, old, new))
            else:
                (warnings if found.place else notes).append(out_of_reach(found.tag, found.place, old, new))
        for place in self._sides:
            for tag, source in self._found(place).sources.items():
                warnings.append(two_masters(tag, source, new, place.endpoint))
        return warnings, notes


def _as_seen(place: Place) -> Endpoint:
    return Endpoint(place.reached_as or place.endpoint.host, place.endpoint.filesystem)


def follow_up(
    settings: Settings,
    seen: Observed,
    others: Others,
    sides: Sides,
    wanted: t.Sequence[str],
    outcome: Outcome,
    dry: bool,
) -> list[Destination]:
    """Give destinations to the new master as far as that is wished, and tell of all; what fails is in the outcome.

    :param wanted: tags.
    """
    found = {destination.tag: destination for destination in others.destinations()}
    moved = any(work.plan.steps for _seen, work in outcome.done)
    for tag in wanted:
        try:
            done = repoint(settings, sides.new, sides.old, tag, dry)
        except ZrepError as error:
            outcome.refused.append(Refused(seen, _after(error, moved, settings.tag)))
            continue
        outcome.more += done.works
        if outcome.done:
            outcome.done[0][1].warnings.extend(done.warnings)
        if done.error is not None:
            outcome.refused.append(Refused(seen, _after(done.error, moved, settings.tag)))
            continue
        found[tag] = Destination(tag, sides.new.endpoint, done.place, follows=True, repointed=bool(done.works))
    if moved or others.warnings:
        warnings, notes = others.told(found.values())
        if outcome.done:
            outcome.done[0][1].warnings.extend(warnings)
        outcome.notes += notes
    return list(found.values())


def _after(error: ZrepError, moved: bool, tag: str) -> ZrepError:
    """An error of what came after a move."""
    if moved:
        error.left = "; ".join(filter(None, [f"the move of the tag {tag} itself is through", error.left]))
    return error
