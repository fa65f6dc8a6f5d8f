# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps: the changes that there are, each with its commands, its effect and its wording. Pure.

A step knows three things about itself: the commands that carry it out, the state that it leads to, and the line
that reports it. Since the state is computed and not run, check mode and diff mode show exactly what a run does.
"""

from __future__ import annotations

import dataclasses
import typing as t
import zlib

from . import names, zfs
from .model import Dataset, Features, Snapshot
from .state import State, unwritten, with_properties, with_snapshots


@dataclasses.dataclass(frozen=True)
class Step:
    """One change to one dataset.

    :param side: HERE or PEER.
    :param target: the dataset or snapshot that is changed.
    :param why: the reason, for people.
    :param phase: steps of one phase of many plans are carried out together.
    :param undo: what takes it back if a later step fails before the plan is past its point of no return.
    :param lasting: of an undo: it is still to be done if data has arrived meanwhile, or if the link is lost.
    :param decisive: the point of no return. What came before is not taken back after it, nor if its outcome is unknown.
    :param optional: a failure is a warning and the plan goes on.
    """

    action: t.ClassVar[str] = ""
    repeatable: t.ClassVar[bool] = False
    """Whether the commands may be run once more after some of them went well and others did not."""
    delivers: t.ClassVar[bool] = False
    """Whether it moves data: what only prepared for that is not taken back after it."""
    patience: t.ClassVar[int] = 0
    """How often it is tried again where something is busy, which on some systems it is a moment after it was used."""
    delegable: t.ClassVar[bool] = True
    """Whether a user who is not root can be allowed to do it; if not, its refusal is a warning and the plan goes on."""
    side: str
    target: str
    why: str
    phase: int = dataclasses.field(default=0, compare=False)
    undo: Step | None = dataclasses.field(default=None, compare=False)
    optional: bool = dataclasses.field(default=False, compare=False)
    lasting: bool = dataclasses.field(default=False, compare=False)
    decisive: bool = dataclasses.field(default=False, compare=False)

    @property
    def group(self) -> t.Hashable:
        """Steps with equal groups may share commands."""
        return (self.action, self.side, self.target)

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        """The commands that carry out this step together with others of its group."""
        raise NotImplementedError

    def apply(self, state: State) -> State:
        """The state after this step."""
        raise NotImplementedError

    def split(self) -> tuple[Step, ...]:
        """The smallest steps that make up this one, for when it fails as a whole."""
        return (self,)

    def describe(self) -> str:
        """What is done, as a person would say it."""
        return "{} {}".format(self.action.replace("_", " "), self.target)


def _targets(step: Step, also: t.Sequence[Step]) -> list[str]:
    return [step.target] + [other.target for other in also]


@dataclasses.dataclass(frozen=True)
class TakeSnapshot(Step):
    """Take a snapshot.

    :param recursive: of all datasets below too, in the same moment.
    """

    action = "snapshot"
    recursive: bool = False

    @property
    def group(self) -> t.Hashable:
        return (self.action, self.side, names.pool_of(self.target), self.recursive)

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        return zfs.snapshot(_targets(self, also), features, self.recursive)

    def apply(self, state: State) -> State:
        target, short = names.split_snapshot(self.target)
        root = state.side(self.side)
        for dataset in (root, *(root.children if self.recursive else ())) if root else ():
            state = self._taken(state, dataset, short) if self.recursive or dataset.name == target else state
        return state

    def _taken(self, state: State, dataset: Dataset, short: str) -> State:
        def change(before: tuple[Snapshot, ...]) -> t.Iterable[Snapshot]:
            txg = before[-1].createtxg + 1 if before else 1
            # The real GUID is not known before; any that no snapshot has will do to tell it from the others.
            guid = -(zlib.crc32(dataset.name.encode()) << 32 | txg)
            return (*before, Snapshot(dataset.name, short, guid, txg, 0, written=dataset.number("written")))

        return with_snapshots(unwritten(state, self.side, dataset.name), self.side, dataset.name, change)


@dataclasses.dataclass(frozen=True)
class SetProperties(Step):
    """Set properties of a filesystem or volume."""

    action = "set"
    repeatable = True
    values: tuple[tuple[str, str], ...] = ()

    @property
    def group(self) -> t.Hashable:
        return (self.action, self.side, self.values)

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        return zfs.set_properties(dict(self.values), _targets(self, also), features)

    def apply(self, state: State) -> State:
        return with_properties(state, self.side, self.target, dict(self.values))

    def describe(self) -> str:
        return "set {} on {}".format(" ".join("{}={}".format(*pair) for pair in self.values), self.target)


@dataclasses.dataclass(frozen=True)
class Inherit(Step):
    """Take properties off a dataset."""

    action = "inherit"
    repeatable = True
    properties: tuple[str, ...] = ()

    @property
    def group(self) -> t.Hashable:
        return (self.action, self.side, self.properties)

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        return zfs.inherit(self.properties, _targets(self, also))

    def apply(self, state: State) -> State:
        return with_properties(state, self.side, self.target, dict.fromkeys(self.properties))

    def describe(self) -> str:
        return "take {} off {}".format(" ".join(self.properties), self.target)


@dataclasses.dataclass(frozen=True)
class Restore(Step):
    """Give properties back the local values that they had, or none."""

    action = "restore"
    repeatable = True
    values: tuple[tuple[str, str | None], ...] = ()

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        old = {name: value for name, value in self.values if value is not None}
        commands = zfs.set_properties(old, [self.target], features) if old else []
        return commands + zfs.inherit([name for name, value in self.values if value is None], [self.target])

    def apply(self, state: State) -> State:
        return with_properties(state, self.side, self.target, dict(self.values))

    def describe(self) -> str:
        return "restore {} of {}".format(" ".join(name for name, _value in self.values), self.target)


@dataclasses.dataclass(frozen=True)
class Mark(Step):
    """Record that a snapshot is held by the receiver, with the time for which that is true."""

    action = "mark_sent"
    repeatable = True
    tag: str = names.DEFAULT_TAG
    sent: int = 0
    bookmark: bool = dataclasses.field(default=False, compare=False)
    """Also make a bookmark of it, where zfs has them: a base that remains when the snapshot is destroyed."""

    @property
    def group(self) -> t.Hashable:
        return (self.action, self.side, self.tag, self.sent, self.bookmark)

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        name = names.property_name(self.tag, "sent")
        if self.bookmark and features.modern:
            return zfs.mark_and_bookmark(name, str(self.sent), _targets(self, also))
        return zfs.set_properties({name: str(self.sent)}, _targets(self, also), features)

    def apply(self, state: State) -> State:
        return with_snapshots(
            state,
            self.side,
            names.split_snapshot(self.target)[0],
            lambda before: [
                dataclasses.replace(found, sent=self.sent) if found.name == self.target else found for found in before
            ],
        )


@dataclasses.dataclass(frozen=True)
class Unmark(Step):
    """Take the mark off snapshots that the receiver does not hold any more."""

    action = "unmark_sent"
    repeatable = True
    tag: str = names.DEFAULT_TAG
    shorts: tuple[str, ...] = ()

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        targets = [f"{self.target}@{short}" for short in self.shorts]
        return zfs.inherit((names.property_name(self.tag, "sent"),), targets)

    def apply(self, state: State) -> State:
        return with_snapshots(
            state,
            self.side,
            self.target,
            lambda before: [
                dataclasses.replace(found, sent=None) if found.short in self.shorts else found for found in before
            ],
        )

    def describe(self) -> str:
        return "take the sent mark off {}@{}".format(self.target, ",".join(self.shorts))


@dataclasses.dataclass(frozen=True)
class Destroy(Step):
    """Destroy snapshots of one dataset.

    :param recursive: those of the same names of all datasets below it too.
    """

    action = "destroy"
    shorts: tuple[str, ...] = ()
    recursive: bool = False

    @property
    def group(self) -> t.Hashable:
        return (self.action, self.side, self.recursive)

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        steps = [step for step in (self, *tuple(also)) if isinstance(step, Destroy)]
        targets = [f"{step.target}@{short}" for step in steps for short in step.shorts]
        return zfs.destroy_snapshots(targets, features, self.recursive)

    def apply(self, state: State) -> State:
        return with_snapshots(
            state,
            self.side,
            self.target,
            lambda before: [found for found in before if found.short not in self.shorts],
            self.recursive,
        )

    def split(self) -> tuple[Step, ...]:
        return tuple(dataclasses.replace(self, shorts=(short,)) for short in self.shorts)

    def describe(self) -> str:
        below = " and below" if self.recursive else ""
        return "destroy {}@{}{}".format(self.target, ",".join(self.shorts), below)


@dataclasses.dataclass(frozen=True)
class RenameSnapshot(Step):
    """Rename a snapshot.

    :param recursive: those of the same name of all datasets below too.
    """

    action = "rename"
    new_short: str = ""
    recursive: bool = False

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        return [zfs.rename(self.target, self.new_name, self.recursive)]

    @property
    def new_name(self) -> str:
        return f"{names.split_snapshot(self.target)[0]}@{self.new_short}"

    def apply(self, state: State) -> State:
        target, short = names.split_snapshot(self.target)
        return with_snapshots(
            state,
            self.side,
            target,
            lambda before: [
                dataclasses.replace(found, short=self.new_short) if found.short == short else found for found in before
            ],
            self.recursive,
        )

    def describe(self) -> str:
        return f"rename {self.target} to {self.new_name}"


@dataclasses.dataclass(frozen=True)
class MoveAside(Step):
    """Rename a whole dataset, so that its name is free and nothing of it is lost."""

    action = "move_aside"
    new_name: str = ""

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        return [zfs.rename(self.target, self.new_name)]

    def apply(self, state: State) -> State:
        return state.replace(self.side, None)

    def describe(self) -> str:
        return f"rename {self.target} with all that it contains to {self.new_name}"


@dataclasses.dataclass(frozen=True)
class MoveBack(Step):
    """Take a MoveAside back."""

    action = "move_back"
    old_name: str = ""

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        return [zfs.rename(self.old_name, self.target)]

    def apply(self, state: State) -> State:
        return state

    def describe(self) -> str:
        return f"rename {self.old_name} back to {self.target}"


@dataclasses.dataclass(frozen=True)
class Rollback(Step):
    """Throw away what a side has of its own since a snapshot.

    :param loses: the later snapshots that go with it.
    """

    action = "rollback"
    patience = 4
    loses: tuple[str, ...] = ()

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        return [zfs.rollback(self.target)]

    def apply(self, state: State) -> State:
        short = names.split_snapshot(self.target)[1]

        def change(before: tuple[Snapshot, ...]) -> t.Iterable[Snapshot]:
            kept = [found.short for found in before].index(short) + 1
            return before[:kept]

        target = names.split_snapshot(self.target)[0]
        return with_snapshots(unwritten(state, self.side, target), self.side, target, change)

    def describe(self) -> str:
        lost = ", with it goes {}".format(",".join(self.loses)) if self.loses else ""
        return f"roll back to {self.target}{lost}"
