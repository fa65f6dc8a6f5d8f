# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that change the shape of a tree, or several of its datasets at once. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from . import zfs
from .model import Dataset, Features
from .state import State
from .steps import Step


@dataclasses.dataclass(frozen=True)
class RenameDataset(Step):
    """Rename a dataset of a tree with all that is below it.

    :param aside: the new name is outside of the tree.
    :param mounted: it is mounted, which a dataset that is renamed below a read-only one cannot be at its new place.
    """

    action = "rename_dataset"
    new_name: str = ""
    aside: bool = False
    mounted: bool = False

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        before = [zfs.unmount(self.target)] if self.mounted else []
        return [*before, zfs.rename(self.target, self.new_name)]

    def apply(self, state: State) -> State:
        root = state.side(self.side)
        if root is None:
            return state
        found = [self._renamed(child) for child in root.children]
        children = sorted((child for child in found if child is not None), key=lambda child: child.name)
        return state.replace(self.side, dataclasses.replace(root, children=tuple(children)))

    def _renamed(self, child: Dataset) -> Dataset | None:
        if child.name != self.target and not child.name.startswith(self.target + "/"):
            return child
        if self.aside:
            return None
        name = self.new_name + child.name[len(self.target) :]
        snapshots = tuple(dataclasses.replace(found, dataset=name) for found in child.snapshots)
        return dataclasses.replace(child, name=name, snapshots=snapshots)

    def describe(self) -> str:
        return f"rename {self.target} with all that is below it to {self.new_name}"
