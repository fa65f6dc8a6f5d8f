# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that move data: between the two hosts of a pair, or within one of them. Pure."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from . import names, zfs
from .encryption import asks_for_raw
from .model import LOCAL, Dataset, Features, Property
from .state import HERE, PEER, State
from .steps import Step


@dataclasses.dataclass(frozen=True)
class Send(Step):
    """Move a snapshot from one host to the other.

    :param side: which side sends.
    :param target: the snapshot on that side.
    :param base: the snapshot on that side from which the stream starts, empty for a full stream.
    :param destination: the dataset on the other side.
    :param with_properties: the source's own properties go along.
    :param exclude: but for these.
    :param set_there: properties that the receiving dataset gets with the stream.
    :param resumable: where both ends can, the receiver keeps what has arrived if it is interrupted.
    """

    action = "send"
    delivers = True
    base: str = ""
    destination: str = ""
    intermediates: bool = False
    with_properties: bool = False
    options: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    set_there: tuple[tuple[str, str], ...] = ()
    resumable: bool = dataclasses.field(default=False, compare=False)

    @property
    def group(self) -> t.Hashable:
        return (self.action, self.side)

    @property
    def raw(self) -> bool:
        """Whether encrypted blocks go as they are, so that the copies have the IV sets of what is sent."""
        return asks_for_raw(self.options)

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        """The sending and the receiving command, to be joined by a pipe."""
        return [
            zfs.send(self.target, self.base or None, self.intermediates, self.with_properties, self.options),
            zfs.receive(self.destination, dict(self.set_there), self.exclude, self.resumable and features.modern),
        ]

    def apply(self, state: State) -> State:
        sending, root = state.side(self.side), state.side(other(self.side))
        name, short = names.split_snapshot(self.target)
        source = sending.find(name) if sending else None
        if source is None:
            return state
        shorts = [found.short for found in source.snapshots]
        start = (
            shorts.index(names.split_snapshot(self.base)[1]) + 1
            if self.base and self.intermediates
            else shorts.index(short)
        )
        arrived = source.snapshots[start : shorts.index(short) + 1]
        there = (root.find(self.destination) if root else None) or Dataset(
            self.destination,
            source.type,
            0,
            {"readonly": Property("off", "default"), "mounted": Property("no", "none")},
        )
        txg = there.snapshots[-1].createtxg if there.snapshots else 0
        copies = tuple(
            dataclasses.replace(
                found,
                dataset=self.destination,
                createtxg=txg + index + 1,
                sent=None,
                holds=0,
                ivset=found.ivset if self.raw else None,
            )
            for index, found in enumerate(arrived)
        )
        properties = dict(there.properties, **{name: Property(value, LOCAL) for name, value in self.set_there})
        after = dataclasses.replace(there, snapshots=there.snapshots + copies, properties=properties)
        return state.replace(other(self.side), root.put(after) if root else after)

    def describe(self) -> str:
        since = " from {}".format(re.split("[@#]", self.base)[1]) if self.base else " in full"
        return f"send {self.target}{since} to {self.destination}"


@dataclasses.dataclass(frozen=True)
class Copy(Step):
    """Copy snapshots of a dataset into another one of the same host, which is no part of the pair.

    Where zfs can, the new dataset starts as a clone of the base, so that it costs what differs from that.

    :param target: the newest snapshot to copy.
    :param base: the snapshot from which the stream starts: the origin of a new copy, what an older one ends with.
    :param copy: the name of the copy.
    :param new: the copy does not exist yet.
    :param values: properties of a new copy.
    :param options: how the stream is written.
    """

    action = "preserve"
    base: str = ""
    copy: str = ""
    new: bool = True
    values: tuple[tuple[str, str], ...] = ()
    options: tuple[str, ...] = ()

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        if not self.new:
            return [zfs.copy(self.target, self.base, self.copy, None, features.modern, self.options)]
        if features.modern:
            values = dict({"origin": self.base}, **dict(self.values))
            return [zfs.copy(self.target, self.base, self.copy, values, options=self.options)]
        return [zfs.copy(self.target, None, self.copy), *zfs.set_properties(dict(self.values), [self.copy], features)]

    def apply(self, state: State) -> State:
        return state

    def describe(self) -> str:
        return f"copy what {self.target} has since {names.split_snapshot(self.base)[1]} to {self.copy}"


def other(side: str) -> str:
    """The other one of the two sides."""
    return PEER if side == HERE else HERE
