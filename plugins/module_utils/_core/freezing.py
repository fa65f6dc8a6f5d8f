# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that take a filesystem out of its users' hands, or put it into them. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from . import zfs
from .model import Features, Side
from .state import State, with_properties
from .steps import Inherit, Restore, SetProperties, Step

READONLY = "readonly"


@dataclasses.dataclass(frozen=True)
class Remount(Step):
    """Unmount and mount again, children included: where zfs cannot, this takes open files away from their writers."""

    action = "remount"
    patience = 4

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        return [zfs.remount(self.target)]

    def apply(self, state: State) -> State:
        return state


@dataclasses.dataclass(frozen=True)
class Mount(Step):
    """Mount a filesystem.

    :param perhaps: a step before may have done it.
    """

    action = "mount"
    delegable = False
    perhaps: bool = False

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        return [zfs.mount_if_needed(self.target) if self.perhaps else zfs.mount(self.target)]

    def apply(self, state: State) -> State:
        return with_properties(state, self.side, self.target, {"mounted": "yes"})


def freeze(side: Side, which: str, features: Features, why: str) -> list[Step]:
    """Steps after which nothing can be written to a side any more. They fail while somebody has a file open for that.

    A modern zfs refuses to remount a filesystem that has writers. On an old one a file that is open can still be
    written, so it is unmounted for a moment, which fails while any file is open.
    """
    before = "on" if side.frozen else side.dataset.local(READONLY)
    # A master that an earlier move left frozen is made writable again; a replica stays as it was.
    restored = None if before == "on" and side.is_master else before
    why_back = "the move could not be completed"
    undo = Restore(which, side.filesystem, why_back, lasting=True, values=((READONLY, restored),))
    steps: list[Step] = [SetProperties(which, side.filesystem, why, undo=undo, values=((READONLY, "on"),))]
    remounted = "files that are open must not be written any more"
    if side.mounted and not features.modern:
        steps.append(Remount(which, side.filesystem, remounted))
    for member in side.members:
        if member.dataset.local(READONLY) == "off":
            undo = Restore(which, member.filesystem, why_back, lasting=True, values=((READONLY, "off"),))
            steps.append(Inherit(which, member.filesystem, why, undo=undo, properties=(READONLY,)))
        # What has a place of its own is not remounted with the root.
        if member.mounted and not features.modern and member.dataset.local("mountpoint") is not None:
            steps.append(Remount(which, member.filesystem, remounted))
    return steps


def is_freezing(step: Step | None) -> bool:
    """Whether a step takes a filesystem out of its users' hands."""
    return isinstance(step, Remount) or (isinstance(step, SetProperties) and step.values == ((READONLY, "on"),))
