# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making a side follow a master that is there already: after a forced takeover, or a swap that died. Pure.

What the side has of its own since the newest common snapshot is only given up if the caller said so. To preserve it, it
is copied into a dataset of its own first; both are looked at again, and only if every snapshot is there by its
GUID is the side rolled back.
"""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

from . import names
from .branches import RenameDataset
from .encryption import copy_options
from .errors import Diverged, Exists, InUse, NoCommonSnapshot, NotFound, PoolFull
from .freezing import freeze
from .holding import back_to
from .model import PRESERVED_FROM, Dataset, Observed, Side, Snapshot, newest_common, unsent_bytes
from .partial import give_up
from .plan import Plan
from .roles import UNTOUCHED, split_brain
from .state import State
from .steps import SetProperties, Step, TakeSnapshot
from .streams import Copy
from .swapping import DISCARD, REFUSE, End, Ends, MoveGoal, ends, keep_master, keep_replica, promote
from .trees import Part, parts

CANDIDATES = 9
"""How many names are tried for the dataset that preserves what a side had of its own."""


def follows(found: Ends) -> bool:
    """Whether the old side has nothing to hand over, so that it only has to follow the new one."""
    old, new = found.old.side, found.new.side
    if new.is_master or old.is_master:
        return new.is_master
    common = newest_common(old, new)
    return common is not None and any(part.has_own for part in parts(new, common.there, old))


def in_doubt(found: Ends) -> bool:
    """Whether it matters to the byte who has what: there are two masters, or none, or a replica that can be written."""
    old, new = found.old.side, found.new.side
    return old.is_master == new.is_master or (new.is_master and not old.readonly)


def check_divergence(found: Ends, goal: MoveGoal) -> list[Part]:
    """The old side with the snapshots that the two have in common; raises if something may not be given up."""
    old, new = found.old.side, found.new.side
    common = newest_common(old, new)
    if common is None:
        raise NoCommonSnapshot(
            f"shares no snapshot with {new.host}:{new.filesystem}, so it cannot follow it without a new full copy, "
            "which would move about {} bytes".format(new.dataset.number("referenced") or 0),
            host=old.host,
            dataset=old.filesystem,
            left=UNTOUCHED,
            hint=f"rename it if it matters, then run zrep_pair on {new.host}",
        )
    whole = parts(old, common.here, new)
    if goal.diverged != REFUSE:
        return whole
    hint = (
        f"decide who is right. If {new.host} is: zrep_failover filesystem={old.filesystem} role=replica on {old.host}, "
        "with diverged=preserve to keep what only it has in a dataset of its own, or diverged=discard to lose it. "
        f"If {old.host} is: the same with filesystem={new.filesystem} on {new.host}"
    )
    if old.is_master and new.is_master:
        raise split_brain(old, new, hint)
    own = [part.side.filesystem for part in whole if part.has_own]
    if own:
        below = "" if own == [old.filesystem] else ": {}".format(", ".join(own))
        raise Diverged(
            f"has content of its own since {common.here.short}, the newest snapshot that it shares with "
            f"{new.host}:{new.filesystem}{below}",
            host=old.host,
            dataset=old.filesystem,
            left=UNTOUCHED,
            hint=hint,
        )
    return whole


# Preserving


def candidates(old: Side, base: Snapshot, goal: MoveGoal) -> list[str]:
    """Names for the dataset that preserves what a side has of its own since a snapshot, the best first."""
    if goal.preserve_as:
        return [goal.preserve_as]
    name = f"{old.filesystem}_preserved_{base.short}"
    return [name] + [f"{name}_{number}" for number in range(2, CANDIDATES + 1)]


def plan_preserve(seen: Observed, goal: MoveGoal, copies: t.Mapping[str, Dataset]) -> tuple[Plan, str]:
    """Freeze the old side and copy what it has of its own; returns the name of the copy as well.

    :param copies: the datasets that exist under the candidates' names, and the one above them.
    """
    found = ends(seen, goal)
    steps, name = plan_copy(found.old, check_divergence(found, goal), goal, copies)
    return Plan(seen.filesystem, State(seen.here, seen.there), tuple(steps)), name


def plan_copy(
    end: End,
    whole: t.Sequence[Part],
    goal: MoveGoal,
    copies: t.Mapping[str, Dataset],
    why: str = "it is to follow its peer",
) -> tuple[list[Step], str]:
    """Freeze a side and copy what it has of its own; returns the steps and the name of the copy.

    Of a tree that is a tree again: what has something of its own, with all that is above it. A dataset of which the
    other side has nothing is moved there as it is.

    :param why: why it is frozen.
    """
    side, base = whole[0].side, t.cast(Snapshot, whole[0].base)
    name, existing = _choose(end, base, goal, copies)
    _check_room(end, whole, name, copies)
    steps = freeze(side, end.at, end.features, why)
    wanted = [part for part in whole if part.has_own] or [whole[0]]
    moved: list[str] = []
    for part in whole:
        of, place = part.side, name + part.below(side.filesystem)
        if any(of.filesystem.startswith(above + "/") for above in moved):
            continue
        if part.base is None:
            moved.append(of.filesystem)
            alone = "the other side has nothing of it"
            steps.append(RenameDataset(end.at, of.filesystem, alone, new_name=place, aside=True, mounted=of.mounted))
        elif any((found.side.filesystem + "/").startswith(of.filesystem + "/") for found in wanted):
            member = dataclasses.replace(end, side=of)
            steps += _copy_part(member, part.base, goal, place, existing.find(place) if existing else None)
    return steps, name


def _copy_part(end: End, base: Snapshot, goal: MoveGoal, name: str, existing: Dataset | None) -> t.Iterator[Step]:
    side = end.side
    own = [snapshot.name for snapshot in side.after(base)]
    if side.dataset.written != 0 or not own:
        own.append(f"{side.filesystem}@{_free_short(side, goal.now)}")
        yield TakeSnapshot(end.at, own[-1], "what it has of its own is preserved")
    yield from _copies(end, base, own, name, existing)


def _free_short(side: Side, now: int) -> str:
    """The name of a snapshot to take; a call that failed in this very second may have taken one."""
    shorts = (f"{side.tag}_preserved_{time}" for time in itertools.count(now))
    return next(short for short in shorts if side.by_short(short) is None)


def _choose(end: End, base: Snapshot, goal: MoveGoal, copies: t.Mapping[str, Dataset]) -> tuple[str, Dataset | None]:
    """The name of the copy, and the copy itself where a run that died has begun it."""
    old = end.side
    tried = candidates(old, base, goal)
    for name in tried:
        found = copies.get(name)
        if found is None or _has_begun(end, base, found):
            return name, found
    raise Exists(
        "the name for the preserved dataset is taken: {}".format(", ".join(tried)),
        host=old.host,
        dataset=tried[0],
        left=UNTOUCHED,
        hint="give another name as preserve_as",
    )


def _has_begun(end: End, base: Snapshot, found: Dataset) -> bool:
    """Whether a dataset is a copy that a run made which died, with nothing in it that is not to be copied."""
    own = {snapshot.guid for snapshot in end.side.after(base)}
    mark = found.local(end.name(PRESERVED_FROM))
    # Where the mark comes with the first stream, what has none is somebody else's.
    marked = mark == base.name or (mark is None and not end.features.modern)
    return marked and bool(found.snapshots) and own.issuperset(snapshot.guid for snapshot in found.snapshots)


def _check_room(end: End, whole: t.Sequence[Part], name: str, copies: t.Mapping[str, Dataset]) -> None:
    above = copies.get(names.parent_of(name))
    if above is None:
        raise NotFound(
            f"does not exist, so {name} cannot be made in it",
            host=end.side.host,
            dataset=names.parent_of(name) or name,
            left=UNTOUCHED,
            hint="give another name as preserve_as",
        )
    if names.pool_of(name) != names.pool_of(end.side.filesystem):
        raise Exists(
            "a preserved dataset shares its blocks with the filesystem, so it must be in the same pool",
            host=end.side.host,
            dataset=name,
            left=UNTOUCHED,
            hint=f"give a name in {names.pool_of(end.side.filesystem)} as preserve_as",
        )
    sizes = [
        unsent_bytes(part.side, part.base) if end.features.modern else part.side.dataset.number("referenced")
        for part in whole
        if part.base is not None and (part.has_own or part is whole[0])
    ]
    need, room = sum(size or 0 for size in sizes), above.number("available")
    if room is not None and need > room:
        raise PoolFull(
            f"has {room} bytes free, preserving needs {need}",
            host=end.side.host,
            dataset=above.name,
            left=UNTOUCHED,
            hint="make room there, or give up what it has of its own with diverged=discard",
        )


def _copies(end: End, base: Snapshot, own: t.Sequence[str], name: str, existing: Dataset | None) -> t.Iterator[Step]:
    """Copy a chain of snapshots, or what is missing of it: the first starts the copy, the rest follow."""
    why = "it is only given up here"
    options = copy_options(end.side)
    done = 0
    values = {"readonly": "on", end.name(PRESERVED_FROM): base.name}
    if existing is None:
        yield Copy(end.at, own[0], why, base=base.name, copy=name, values=tuple(values.items()), options=options)
        done = 1
    else:
        missing = tuple((key, value) for key, value in values.items() if existing.local(key) != value)
        if missing:
            yield SetProperties(end.at, name, "it says what it preserves", values=missing)
        newest = end.side.by_guid(existing.snapshots[-1].guid)
        done = own.index(newest.name) + 1 if newest else 0
    if not end.features.modern:
        # Old versions keep snapshots busy for ever if a stream of several of them is killed.
        for base_name, target in zip(own[done - 1 :], own[done:]):
            yield Copy(end.at, target, why, base=base_name, copy=name, new=False, options=options)
    elif done < len(own):
        yield Copy(end.at, own[-1], why, base=own[done - 1], copy=name, new=False, options=options)


# Following


def plan_return(seen: Observed, goal: MoveGoal, copy: Dataset | None, begun: t.Sequence[Step] | None = None) -> Plan:
    """Make the old side follow the new one, and the new one a complete master; raises what stands against it.

    :param copy: the dataset that preserves what the old side has of its own, where that is wanted.
    :param begun: what is to be taken back if it fails; None if the old side is not frozen yet.
    """
    found = ends(seen, goal)
    old, new = found.old, found.new
    steps = go_back(old, check_divergence(found, goal), goal, copy, frozen=begun is not None)
    steps += keep_replica(old, new.side.endpoint)
    if new.side.is_master:
        steps += keep_master(new, old.side.filesystem)
    else:
        steps += promote(new, old.side.filesystem, goal.now)
    return Plan(seen.filesystem, State(seen.here, seen.there), tuple(steps), begun=tuple(begun or ()))


def go_back(end: End, whole: t.Sequence[Part], goal: MoveGoal, copy: Dataset | None, frozen: bool) -> list[Step]:
    """Freeze a side and take it back to a snapshot; raises if what it has of its own may not be given up."""
    side = end.side
    own = any(part.has_own for part in whole)
    if goal.diverged != DISCARD:
        check_all_preserved(whole, copy)
    steps: list[Step] = []
    if not frozen and (own or side.is_master or not side.readonly):
        steps += freeze(side, end.at, end.features, "it is to follow its peer")
    for part in whole:
        later = part.side.after(part.base) if part.base is not None else ()
        if part.base is not None and (part.has_own or (later and side.is_master)):
            why = f"diverged={goal.diverged}" if part.has_own else "nothing of its own is in them"
            steps += give_up(part.side, end.at, "it goes back to what its peer has")
            steps += back_to(part.side, side, end.at, part.base, why, decisive=True)
    return steps


def check_all_preserved(whole: t.Sequence[Part], copy: Dataset | None) -> None:
    """Raise unless all that a side, or what is below it, has of its own is in the copy."""
    for part in whole:
        if part.has_own:
            place = copy.find(copy.name + part.below(whole[0].side.filesystem)) if copy else None
            check_preserved(part.side, part.base, place)


def check_preserved(old: Side, base: Snapshot | None, copy: Dataset | None) -> None:
    """Raise unless every snapshot that will be rolled back is in the copy, and nothing was written since the last."""
    kept = {snapshot.guid for snapshot in copy.snapshots} if copy else set()
    later = old.after(base) if base is not None else old.snapshots
    missing = [snapshot.short for snapshot in later if snapshot.guid not in kept]
    if missing or old.dataset.written != 0:
        raise InUse(
            "changed while it was being preserved: {}".format(
                ", ".join(missing) or f"{old.dataset.written} bytes were written"
            ),
            host=old.host,
            dataset=old.filesystem,
            left=f"what was copied is in {copy.name}" if copy else "",
            hint="stop what writes there and run it again",
        )
