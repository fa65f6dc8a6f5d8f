# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Datasets in which a move preserved what one side had of its own: known by their mark, and destroyed. Pure.

A dataset says what it preserves in a property of its own (``TAG:preserved-from``). Only what says so is ever destroyed
here, and only if nothing but its own snapshots hangs on it.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from . import names, zfs
from .drilling import BUSY_ATTEMPTS
from .errors import BadInput, Exists, InUse, PairedElsewhere, ZrepError
from .freezing import Mount
from .model import Dataset, Features, Observed
from .plan import Plan
from .report import iso
from .roles import UNTOUCHED
from .state import HERE, State
from .steps import Destroy, Step

MARK = "preserved-from"
"""The name of the property; its value is the snapshot after which the preserved content begins."""
ORIGIN = "origin"


class Preserved(t.NamedTuple):
    """A dataset that preserves what a filesystem had of its own.

    :param source: the filesystem.
    """

    dataset: Dataset
    source: str

    @property
    def created(self) -> int:
        return self.dataset.number("creation") or 0

    def facts(self, host: str, now: int) -> dict[str, t.Any]:
        """What people and programs are told about it."""
        return {
            "name": self.dataset.name,
            "source": f"{host}:{self.source}",
            "created": self.created,
            "created_iso": iso(self.created),
            "age_seconds": max(now - self.created, 0),
            "used": self.dataset.number("used"),
        }


def find_preserved(
    datasets: t.Mapping[str, Dataset], tag: str, wanted: t.Collection[str], created_before: int
) -> list[Preserved]:
    """Those that preserve something, oldest first.

    :param datasets: all of a host.
    :param wanted: filesystems that were preserved from, or the datasets themselves; none for all.
    """
    found = []
    for dataset in datasets.values():
        source = _source(dataset, tag)
        if source and (not wanted or source in wanted or dataset.name in wanted):
            found.append(Preserved(dataset, source))
    return sorted((item for item in found if item.created <= created_before), key=lambda item: item.created)


def _source(dataset: Dataset, tag: str) -> str:
    """The filesystem that a dataset preserves something of, empty if it does not say so in the words of a move."""
    source, short = names.split_snapshot(dataset.local(names.property_name(tag, MARK)) or "")
    try:
        names.check_snapshot(short)
        return names.check_dataset(source)
    except BadInput:
        return ""


# Steps


@dataclasses.dataclass(frozen=True)
class Unmount(Step):
    action = "unmount"
    patience = 4

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        return [zfs.unmount(self.target)]

    def apply(self, state: State) -> State:
        return state


@dataclasses.dataclass(frozen=True)
class DestroyPreserved(Step):
    """Destroy a dataset whose snapshots are gone, and nothing that hangs on it."""

    action = "destroy_preserved"
    # On some systems a filesystem is busy for a moment after it was unmounted.
    patience = BUSY_ATTEMPTS

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        return [zfs.destroy_dataset(self.target)]

    def apply(self, state: State) -> State:
        return state.replace(self.side, None)

    def describe(self) -> str:
        return f"destroy {self.target}"


# Destroying


def plan_prune(seen: Observed, item: Preserved, datasets: t.Mapping[str, Dataset], own: t.Collection[str]) -> Plan:
    """Destroy a preserved dataset with its snapshots; raises what stands against it.

    :param datasets: all of this host.
    :param own: the names of all properties that the dataset has of its own.
    """
    dataset = item.dataset
    _check_alone(seen, dataset, datasets, own)
    why = f"what it preserves of {item.source} is given up"
    steps: list[Step] = []
    if dataset.value("mounted") == "yes":
        # First, so that nothing is lost where somebody still looks at it.
        back = Mount(HERE, dataset.name, "it could not be destroyed")
        steps.append(Unmount(HERE, dataset.name, why, undo=back))
    if dataset.snapshots:
        steps.append(Destroy(HERE, dataset.name, why, shorts=tuple(found.short for found in dataset.snapshots)))
    steps.append(DestroyPreserved(HERE, dataset.name, why))
    left = _left_behind(item, datasets.get(item.source), seen.tag)
    if left:
        steps.append(Destroy(HERE, item.source, "it was only taken to preserve that", shorts=left, optional=True))
    return Plan(seen.filesystem, State(seen.here, None, unknown=True), tuple(steps))


def _check_alone(seen: Observed, dataset: Dataset, datasets: t.Mapping[str, Dataset], own: t.Collection[str]) -> None:
    inside = f"{dataset.name}/"
    snapshots = f"{dataset.name}@"
    paired = sorted(name for name in own if name.endswith(":dest-fs"))
    children = sorted(name for name in datasets if name.startswith(inside))
    clones = sorted(name for name, other in datasets.items() if (other.value(ORIGIN) or "").startswith(snapshots))
    held = [found.short for found in dataset.snapshots if found.holds]
    mark = names.property_name(seen.tag, MARK)
    problem: ZrepError | None = None
    if paired:
        problem = PairedElsewhere(f"preserves something, but is one side of a pair by now: it has {paired[0]}")
        problem.hint = f"if it is to stay, take the mark off it: zfs inherit {mark} {dataset.name}"
    elif children:
        problem = Exists("has others below it: {}".format(", ".join(children)), hint="see to them first")
    elif clones:
        problem = Exists("has clones: {}".format(", ".join(clones)))
        problem.hint = f"destroy them if nobody needs them, or make them stand alone: zfs promote {clones[0]}"
    elif held:
        problem = InUse("has snapshots with holds: {}".format(", ".join(held)))
        problem.hint = f"see who holds them: zfs holds {dataset.name}@{held[0]}"
    if problem is not None:
        problem.host, problem.dataset, problem.left = seen.identity, dataset.name, UNTOUCHED
        raise problem


def _left_behind(item: Preserved, source: Dataset | None, tag: str) -> tuple[str, ...]:
    """Snapshots of the filesystem itself that a move took in order to preserve them, and then did not go on.

    The same GUID in the preserved dataset is the proof. One that was sent, or that anybody holds, is more than that.
    """
    kept = {found.guid for found in item.dataset.snapshots}
    name = re.compile(re.escape(tag) + r"_preserved_[0-9]+\Z")
    return tuple(
        found.short
        for found in (source.snapshots if source else ())
        if found.guid in kept and name.match(found.short) and found.sent is None and not found.holds
    )
