# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a pair, observed or predicted, and what can become of it. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from .model import LOCAL, Dataset, Property, Snapshot

HERE = "here"
PEER = "peer"


@dataclasses.dataclass(frozen=True)
class State:
    """The two datasets of a pair as observed or as predicted; None where there is none.

    :param unknown: the peer was not asked, so its dataset is not known at all.
    """

    here: Dataset | None
    there: Dataset | None
    unknown: bool = False

    def side(self, side: str) -> Dataset | None:
        return self.here if side == HERE else self.there

    def replace(self, side: str, dataset: Dataset | None) -> State:
        if side == HERE:
            return dataclasses.replace(self, here=dataset)
        return dataclasses.replace(self, there=dataset)


def with_properties(state: State, side: str, target: str, properties: t.Mapping[str, str | None]) -> State:
    """The state with properties of the target dataset set to a local value or, with None, taken away."""
    root = state.side(side)
    dataset = root.find(target) if root else None
    if root is None or dataset is None:
        return state
    values = dict(dataset.properties)
    for name, value in properties.items():
        values[name] = Property("-", "none") if value is None else Property(value, LOCAL)
    root = root.put(dataclasses.replace(dataset, properties=values))
    if "readonly" in properties:
        root = _inherited(root, target, "readonly", properties["readonly"])
    return state.replace(side, root)


def _inherited(root: Dataset, above: str, name: str, value: str | None) -> Dataset:
    """The datasets with what those below one inherit from it, as far as none in between has a value of its own."""
    apart = [found.name for found in root.children if found.local(name) is not None]
    for found in root.children:
        own = any(f"{found.name}/".startswith(f"{place}/") for place in apart if place.startswith(f"{above}/"))
        if found.name.startswith(f"{above}/") and not own:
            new = Property("-", "none") if value is None else Property(value, f"inherited from {above}")
            root = root.put(dataclasses.replace(found, properties={**found.properties, name: new}))
    return root


Change = t.Callable[[t.Tuple[Snapshot, ...]], t.Iterable[Snapshot]]


def with_snapshots(state: State, side: str, target: str, change: Change, recursive: bool = False) -> State:
    """The state with other snapshots of the target dataset and, if so asked, of all those below it."""
    root = state.side(side)
    if root is None:
        return state
    for found in (root, *root.children):
        if found.name == target or (recursive and found.name.startswith(target + "/")):
            root = root.put(dataclasses.replace(found, snapshots=tuple(change(found.snapshots))))
    return state.replace(side, root)


def unwritten(state: State, side: str, target: str) -> State:
    """The state with nothing written to the target dataset since its newest snapshot."""
    root = state.side(side)
    dataset = root.find(target) if root else None
    if root is None or dataset is None:
        return state
    zero = {name: Property("0", "none") for name in ("written", "unique") if dataset.number(name) is not None}
    return state.replace(side, root.put(dataclasses.replace(dataset, properties={**dataset.properties, **zero})))
