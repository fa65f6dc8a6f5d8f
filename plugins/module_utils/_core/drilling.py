# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill: prove on a clone that a side could take over, and keep a record of it. Pure.

The clone says whose it is in a property of its own (``TAG:drill-of``). Only what says so, and is a clone of the very
filesystem, is ever destroyed here.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import names, zfs
from .encryption import check_drill
from .errors import BadInput, Exists, NotFound
from .model import LOCAL, Dataset, Features, Observed, Side, Snapshot
from .plan import Plan
from .roles import UNTOUCHED, check_paired
from .state import HERE, State
from .steps import SetProperties, Step

RESULTS = ("passed", "failed")
SUFFIX = "_drill"
"""What the name of a filesystem's clone ends with by default."""
MORE = ("mountpoint", "origin")
"""What has to be known of a clone beyond the usual."""
NOWHERE = ("none", "legacy")
"""Values of ``mountpoint`` with which zfs mounts nothing."""
BUSY_ATTEMPTS = 20


class DrillRecord(t.NamedTuple):
    """What became of a drill, as the filesystem remembers it.

    :param time: when it was recorded, in epoch seconds.
    :param result: one of RESULTS.
    :param seconds: how long the check took.
    :param snapshot: the short name of the snapshot that was tried.
    """

    time: int
    result: str
    seconds: int
    snapshot: str

    def __str__(self) -> str:
        return " ".join(str(part) for part in self)


def parse_record(text: str | None) -> DrillRecord | None:
    """The record in a property, None if there is none or it is nonsense."""
    words = (text or "").split(" ")
    if len(words) != 4 or words[1] not in RESULTS:
        return None
    time, seconds = names.parse_number(words[0]), names.parse_number(words[2])
    if time is None or time > zfs.LATEST or seconds is None or seconds > zfs.LATEST:
        return None
    try:
        return DrillRecord(time, words[1], seconds, names.check_snapshot(words[3]))
    except BadInput:
        return None


def last_drill(side: Side) -> DrillRecord | None:
    """The record of the last drill on a side."""
    return parse_record(side.dataset.local(names.property_name(side.tag, "drill")))


class Clone(t.NamedTuple):
    """The clone of a drill as it is or would be.

    :param mountpoint: None for a volume.
    """

    name: str
    snapshot: Snapshot
    mountpoint: str | None


# Steps


@dataclasses.dataclass(frozen=True)
class MakeClone(Step):
    """Clone a snapshot. It is not mounted yet, so that a clone that cannot be mounted is known and taken back."""

    action = "clone"
    snapshot: str = ""
    values: tuple[tuple[str, str], ...] = ()

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        return [zfs.clone(self.snapshot, self.target, dict(self.values))]

    def apply(self, state: State) -> State:
        return state

    def describe(self) -> str:
        return f"clone {self.snapshot} as {self.target}"


@dataclasses.dataclass(frozen=True)
class MountClone(Step):
    """Mount a clone now, but not when the host boots: a drill that was forgotten stays out of the way."""

    action = "mount"

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        return [*zfs.set_properties({"canmount": "noauto"}, [self.target], features), zfs.mount(self.target)]

    def apply(self, state: State) -> State:
        return state


@dataclasses.dataclass(frozen=True)
class DestroyClone(Step):
    """Destroy a clone that was made for a drill, and nothing that hangs on it."""

    action = "destroy_clone"
    # On some systems a filesystem is busy for a moment after its last user went.
    patience = BUSY_ATTEMPTS

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        return [zfs.destroy_dataset(self.target)]

    def apply(self, state: State) -> State:
        return state


# Making the clone


def clone_name(filesystem: str, wanted: str | None) -> str:
    """The checked name of the clone; raises BadInput."""
    name = names.check_dataset(wanted or filesystem + SUFFIX, "clone")
    if names.pool_of(name) != names.pool_of(filesystem):
        raise BadInput(f"clone {name!r} cannot be made: a clone is in the pool of its filesystem, {filesystem}")
    if name == filesystem or name.startswith(filesystem + "/"):
        raise BadInput(f"clone {name!r} cannot be made: it has to be outside the replicated filesystem {filesystem}")
    return name


def check_mountpoint(path: str) -> str:
    """Return where the clone is to be mounted if it can be; raises BadInput."""
    if not path.startswith("/") or not path.strip("/") or not path.isprintable():
        raise BadInput(f"mountpoint {path!r} cannot be used: expected an absolute path")
    return path


def plan_cloned(
    seen: Observed, name: str, short: str | None, mountpoint: str | None, found: Dataset | None, above: Dataset | None
) -> tuple[Plan, Clone]:
    """Have a writable, mounted clone; returns the clone as well. Raises what stands against it.

    :param short: the snapshot to clone, None for the newest one that was sent.
    :param mountpoint: where to mount it, None for the place that it inherits.
    :param found: what exists under the clone's name.
    :param above: the dataset above the clone.
    """
    side = check_paired(seen)
    wanted = _snapshot(side, short)
    check_drill(side)
    if mountpoint and side.dataset.type == "volume":
        raise BadInput("mountpoint is given, but this is a volume", host=side.host, dataset=side.filesystem)
    if found is None:
        place = _place(side, name, mountpoint, above)
        steps = _make(side, name, wanted, mountpoint)
    else:
        _check_same(side, wanted, found)
        place = None if found.type == "volume" else mountpoint or found.value("mountpoint")
        steps = _complete(found, mountpoint)
    return Plan(seen.filesystem, _state(seen), tuple(steps)), Clone(name, wanted, place)


def _snapshot(side: Side, short: str | None) -> Snapshot:
    """The snapshot that is asked for, or that a takeover now would start from."""
    if short is not None:
        found = side.by_short(short)
        missing = f"has no snapshot {short}"
    else:
        found = side.last_sent or (side.own_snapshots[-1] if side.own_snapshots else None)
        missing = "has no snapshot of the pair yet"
    if found is None:
        raise NotFound(missing, host=side.host, dataset=side.filesystem, left=UNTOUCHED)
    return found


def _place(side: Side, name: str, mountpoint: str | None, above: Dataset | None) -> str | None:
    """Where a clone that is not there yet will be mounted; raises if that is nowhere."""
    if above is None:
        raise NotFound(
            f"does not exist, so {name} cannot be made in it",
            host=side.host,
            dataset=names.parent_of(name) or name,
            left=UNTOUCHED,
            hint="give another name as clone",
        )
    if side.dataset.type == "volume" or mountpoint:
        return mountpoint
    inherited = above.value("mountpoint") or "none"
    if inherited in NOWHERE:
        raise BadInput(
            f"has mountpoint={inherited}, so {name} would not be mounted",
            host=side.host,
            dataset=above.name,
            left=UNTOUCHED,
            hint="say where to mount it with mountpoint",
        )
    return inherited.rstrip("/") + "/" + name.rpartition("/")[2]


def _make(side: Side, name: str, wanted: Snapshot, mountpoint: str | None) -> t.Iterator[Step]:
    why = "a drill works on a clone"
    values = {names.property_name(side.tag, "drill-of"): side.filesystem, "readonly": "off"}
    volume = side.dataset.type == "volume"
    if not volume:
        # Some versions mount a clone with canmount=noauto at once, others do not; none mounts one with off.
        values["canmount"] = "off"
    if mountpoint:
        values["mountpoint"] = mountpoint
    undo = DestroyClone(HERE, name, "the drill could not be begun")
    yield MakeClone(HERE, name, why, undo=undo, snapshot=wanted.name, values=tuple(values.items()))
    if not volume:
        yield MountClone(HERE, name, why)


def _complete(found: Dataset, mountpoint: str | None) -> t.Iterator[Step]:
    """What is missing of a clone, for example after a run that died."""
    if found.type == "volume":
        return
    if mountpoint and found.value("mountpoint") != mountpoint:
        yield SetProperties(HERE, found.name, "as asked for", values=(("mountpoint", mountpoint),))
    if found.value("mounted") != "yes":
        yield MountClone(HERE, found.name, "a drill works on a clone")


# Telling whose a dataset is


def _origin(side: Side, found: Dataset) -> str | None:
    """The short name of the snapshot of this filesystem that a drill's clone was made from; None if it is none."""
    whose = found.properties.get(names.property_name(side.tag, "drill-of"))
    dataset, short = names.split_snapshot(found.value("origin") or "")
    ours = whose is not None and whose.source == LOCAL and whose.value == side.filesystem
    return short if ours and short and dataset == side.filesystem else None


def _check_same(side: Side, wanted: Snapshot, found: Dataset) -> None:
    short = _origin(side, found)
    if short is None:
        raise _not_ours(side, found, "give another name as clone")
    if short != wanted.short:
        raise Exists(
            f"is a drill's clone of {short} already, not of {wanted.short}",
            host=side.host,
            dataset=found.name,
            left=UNTOUCHED,
            hint="end that drill with state=drilled, or give another name as clone",
        )


def _not_ours(side: Side, found: Dataset, hint: str) -> Exists:
    drill_of = names.property_name(side.tag, "drill-of")
    return Exists(
        "is no clone of a drill with {}: it is a {} {}, its property {} {}".format(
            side.filesystem,
            found.type,
            "cloned from {}".format(found.value("origin")) if found.value("origin") else "that is no clone",
            drill_of,
            f"is {found.value(drill_of)!r}, {found.source(drill_of)}" if found.value(drill_of) else "is not set",
        ),
        host=side.host,
        dataset=found.name,
        left=UNTOUCHED,
        hint=hint,
    )


# Ending the drill


def plan_drilled(
    seen: Observed, name: str, short: str | None, result: tuple[str, int] | None, found: Dataset | None, now: int
) -> tuple[Plan, DrillRecord | None]:
    """Remove the clone and record what became of the drill; returns the record. Raises what stands against it.

    :param short: the snapshot that was tried, None for that of the clone.
    :param result: what the check came to and how many seconds it took; None to record nothing.
    :param found: what exists under the clone's name.
    """
    side = check_paired(seen)
    steps: list[Step] = []
    if found is not None:
        tried = _check_removable(side, short, found)
        # First, since it needs no room: where a pool is full, a property cannot be set.
        steps.append(DestroyClone(HERE, name, "the drill is over"))
    elif result and not _told(last_drill(side), result, short):
        tried = short or _snapshot(side, None).short
    else:
        return Plan(seen.filesystem, _state(seen)), None
    record = None
    if result:
        record = DrillRecord(now, *result, tried)
        values = ((names.property_name(side.tag, "drill"), str(record)),)
        steps.append(SetProperties(HERE, side.filesystem, "the drill's record", values=values))
    return Plan(seen.filesystem, _state(seen), tuple(steps)), record


def _told(last: DrillRecord | None, result: tuple[str, int], short: str | None) -> bool:
    """Whether a drill whose clone is gone was recorded by an earlier run."""
    return last is not None and (last.result, last.seconds) == result and short in (None, last.snapshot)


def _check_removable(side: Side, short: str | None, found: Dataset) -> str:
    """The short name of the snapshot of a clone that may be destroyed."""
    tried = _origin(side, found)
    if tried is None:
        raise _not_ours(side, found, "nothing but a drill's clone is destroyed here; give its name as clone")
    if short not in (None, tried):
        raise Exists(
            f"is a drill's clone of {tried}, not of {short}", host=side.host, dataset=found.name, left=UNTOUCHED
        )
    if found.snapshots:
        raise Exists(
            "has snapshots of its own: {}".format(", ".join(snapshot.short for snapshot in found.snapshots)),
            host=side.host,
            dataset=found.name,
            left=UNTOUCHED,
            hint="destroy them if nobody needs them, then run the same call again",
        )
    return tried


def _state(seen: Observed) -> State:
    return State(seen.here, None, unknown=True)
