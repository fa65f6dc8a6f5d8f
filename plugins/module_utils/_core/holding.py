# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds on the snapshot that both sides share last, for pairs that want them: nobody can destroy it by mistake. Pure.

A hold has a name (zfs-hold(8)); ours is that of the tag with ``:base``. ZFS tells how many holds a snapshot has and not
whose they are, so a hold that is there already, or that is not ours to release, is no error.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import names, zfs
from .model import Features, Side, Snapshot
from .state import State, with_snapshots
from .steps import Rollback, Step


def hold_name(tag: str) -> str:
    """The name of our holds."""
    return f"{tag}:base"


@dataclasses.dataclass(frozen=True)
class Hold(Step):
    """Keep a snapshot from being destroyed.

    :param recursive: those of the same name of all datasets below it too.
    """

    action = "hold"
    repeatable = True
    tag: str = names.DEFAULT_TAG
    recursive: bool = False

    @property
    def group(self) -> t.Hashable:
        return (self.action, self.side, self.tag, self.recursive)

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        return zfs.hold(hold_name(self.tag), [self.target, *(step.target for step in also)], self.recursive)

    def apply(self, state: State) -> State:
        dataset, short = names.split_snapshot(self.target)
        return _count(state, self.side, dataset, (short,), 1, self.recursive)


@dataclasses.dataclass(frozen=True)
class Release(Step):
    """Take our holds off snapshots of one dataset.

    :param recursive: those of the same names of all datasets below it too.
    """

    action = "release"
    repeatable = True
    tag: str = names.DEFAULT_TAG
    shorts: tuple[str, ...] = ()
    recursive: bool = False

    @property
    def group(self) -> t.Hashable:
        return (self.action, self.side, self.tag, self.recursive)

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        steps = [step for step in (self, *also) if isinstance(step, Release)]
        targets = [f"{step.target}@{short}" for step in steps for short in step.shorts]
        return zfs.release(hold_name(self.tag), targets, self.recursive)

    def apply(self, state: State) -> State:
        return _count(state, self.side, self.target, self.shorts, -1, self.recursive)

    def describe(self) -> str:
        return "release {}@{}".format(self.target, ",".join(self.shorts))


def _count(state: State, side: str, dataset: str, shorts: t.Collection[str], more: int, recursive: bool) -> State:
    def change(before: tuple[Snapshot, ...]) -> t.Iterable[Snapshot]:
        return [
            dataclasses.replace(found, holds=max(0, found.holds + more)) if found.short in shorts else found
            for found in before
        ]

    return with_snapshots(state, side, dataset, change, recursive)


def hold(side: Side, which: str, target: str, phase: int = 0) -> Step:
    """Hold a snapshot of a side. A failure is a warning: what it protects from may never happen.

    :param target: its full name.
    """
    why = "both sides have it, and the pair holds it"
    return Hold(which, target, why, phase=phase, optional=True, tag=side.tag, recursive=side.recursive)


def release(side: Side, which: str, why: str, phase: int = 0, keep: str = "") -> list[Step]:
    """Release what we may have held on a side.

    :param keep: but for the snapshot of this name.
    """
    shorts = tuple(found.short for found in side.own_snapshots if found.holds and found.short != keep)
    if not shorts:
        return []
    return [
        Release(
            which, side.filesystem, why, phase, optional=True, tag=side.tag, shorts=shorts, recursive=side.recursive
        )
    ]


def move_on(here: Side, there: Side, which: str, peer: str, short: str, phase: int = 0) -> t.Iterator[Step]:
    """Hold what both sides share now, and release what they shared before, where the pair wants that.

    :param which: on which host the first side is, and ``peer`` the other.
    :param short: the snapshot that both share.
    """
    if not here.holding:
        return
    for side, at in ((here, which), (there, peer)):
        held = side.by_short(short)
        if held is None or not held.holds:
            yield hold(side, at, f"{side.filesystem}@{short}", phase)
        yield from release(side, at, f"{short} is held now", phase, keep=short)


def back_to(side: Side, root: Side, which: str, base: Snapshot, why: str, **more: t.Any) -> t.Iterator[Step]:
    """Roll a side, or a dataset below it, back to a snapshot, past what the pair holds.

    :param root: the side itself, which has the record of the pair.
    """
    later = side.after(base)
    held = tuple(found.short for found in later if found.holds and names.parse_snapshot(side.tag, found.short))
    if held and root.holding:
        yield Release(which, side.filesystem, why, more.get("phase", 0), tag=side.tag, shorts=held)
    yield Rollback(which, base.name, why, loses=tuple(found.short for found in later), **more)
