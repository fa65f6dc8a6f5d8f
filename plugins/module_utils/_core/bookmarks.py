# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bookmarks of what was sent last: a base that remains when somebody destroys the snapshot. Pure.

Each sync makes one with the mark of the snapshot on the sending side, of the same name, and then destroys those before
it. It is known by a name of the tag, as its snapshots are.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import names, zfs
from .model import Features, Side, Snapshot
from .state import State
from .steps import Step


def own_bookmarks(side: Side) -> tuple[Snapshot, ...]:
    """The bookmarks of the tag, oldest first."""
    return tuple(found for found in side.dataset.bookmarks if names.parse_snapshot(side.tag, found.short))


@dataclasses.dataclass(frozen=True)
class DropBookmarks(Step):
    """Destroy bookmarks of one dataset; no data hangs on them."""

    action = "drop_bookmark"
    shorts: tuple[str, ...] = ()

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        return [zfs.destroy_bookmark(f"{self.target}#{short}") for short in self.shorts]

    def apply(self, state: State) -> State:
        dataset = state.side(self.side)
        if dataset is None:
            return state
        left = tuple(found for found in dataset.bookmarks if found.short not in self.shorts)
        return state.replace(self.side, dataclasses.replace(dataset, bookmarks=left))

    def split(self) -> tuple[Step, ...]:
        return tuple(dataclasses.replace(self, shorts=(short,)) for short in self.shorts)

    def describe(self) -> str:
        return "destroy the bookmark {}#{}".format(self.target, ",".join(self.shorts))


def drop(side: Side, which: str, why: str, phase: int = 0, keep: str = "") -> list[Step]:
    """Destroy the bookmarks of the tag.

    :param which: on which host the side is.
    :param keep: but for the one of this name.
    """
    shorts = tuple(found.short for found in own_bookmarks(side) if found.short != keep)
    return [DropBookmarks(which, side.filesystem, why, phase=phase, optional=True, shorts=shorts)] if shorts else []
