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
    dataset = state.side(side)
    if dataset is None or dataset.name != target:
        return state
    values = dict(dataset.properties)
    for name, value in properties.items():
        values[name] = Property("-", "none") if value is None else Property(value, LOCAL)
    return state.replace(side, dataclasses.replace(dataset, properties=values))


def with_snapshots(state: State, side: str, change: t.Callable[[tuple[Snapshot, ...]], t.Iterable[Snapshot]]) -> State:
    dataset = state.side(side)
    if dataset is None:
        return state
    return state.replace(side, dataclasses.replace(dataset, snapshots=tuple(change(dataset.snapshots))))


def unwritten(state: State, side: str) -> State:
    """The state with nothing written on one side since its newest snapshot."""
    dataset = state.side(side)
    if dataset is None:
        return state
    zero = {name: Property("0", "none") for name in ("written", "unique") if dataset.number(name) is not None}
    return state.replace(side, dataclasses.replace(dataset, properties={**dataset.properties, **zero}))
