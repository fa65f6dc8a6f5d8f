# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an interrupted receive has left: the rest of its stream is sent, or it is given up. Pure.

As long as it is there the dataset receives nothing else. Whether it can be completed is decided by what its token asks
for: a snapshot of the sending side, by GUID, from the very one at which the receiving side ends. Nobody can read what
has arrived of a snapshot that is not complete, so that giving it up costs the time to send it again.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import names, zfs
from .encryption import asks_for_raw, goes_raw
from .model import Features, Property, Side, Snapshot
from .resuming import Token, read_token
from .settings import Settings
from .state import HERE, State
from .steps import Mark, RenameSnapshot, Step
from .streams import Send, other

TOKEN = "receive_resume_token"


@dataclasses.dataclass(frozen=True)
class Resume(Send):
    """Send what is missing of a snapshot whose receive was interrupted.

    :param token: what the receiver says.
    """

    action = "resume"
    token: str = ""

    @property
    def raw(self) -> bool:
        token = read_token(self.token)
        return token is not None and token.raw

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        return [
            zfs.resume(self.token, self.options),
            zfs.receive(self.destination, dict(self.set_there), self.exclude, resumable=True),
        ]

    def apply(self, state: State) -> State:
        return _without_token(super().apply(state), other(self.side), self.destination)

    def describe(self) -> str:
        since = f" from {names.split_snapshot(self.base)[1]}" if self.base else " in full"
        return f"send the rest of {self.target}{since} to {self.destination}"


@dataclasses.dataclass(frozen=True)
class Abandon(Step):
    """Give up what an interrupted receive has left in a dataset.

    :param target: the dataset.
    :param host: where that is, for people.
    :param whole: there is nothing else in it, so the dataset goes as well.
    """

    action = "abandon"
    patience = 4
    host: str = ""
    whole: bool = False

    def commands(self, also: t.Sequence[Step], features: Features) -> list[zfs.Argv]:
        return [zfs.abandon(self.target)]

    def apply(self, state: State) -> State:
        root = state.side(self.side)
        if not self.whole or root is None:
            return _without_token(state, self.side, self.target)
        if root.name == self.target:
            return state.replace(self.side, None)
        left = tuple(child for child in root.children if child.name != self.target)
        return state.replace(self.side, dataclasses.replace(root, children=left))

    def warning(self, before: State) -> str:
        """What people should know: something that had been moved was given up."""
        root = before.side(self.side)
        dataset = root.find(self.target) if root else None
        used = dataset.number("referenced") if dataset is not None and self.whole else None
        size = "" if used is None else f" with {used} bytes"
        return f"{self.host}:{self.target}: gave up a receive{size} that was interrupted and blocked others: {self.why}"

    def describe(self) -> str:
        return f"give up the interrupted receive of {self.target}"


def _without_token(state: State, side: str, target: str) -> State:
    root = state.side(side)
    dataset = root.find(target) if root else None
    if root is None or dataset is None or dataset.value(TOKEN) is None:
        return state
    properties = dict(dataset.properties, **{TOKEN: Property("-", "none")})
    return state.replace(side, root.put(dataclasses.replace(dataset, properties=properties)))


class Recovery(t.NamedTuple):
    """The steps that an interrupted receive calls for.

    :param given_up: give it up, where it cannot be completed.
    :param resumed: complete it and record that.
    """

    given_up: tuple[Step, ...] = ()
    resumed: tuple[Step, ...] = ()


def is_partial(side: Side | None) -> bool:
    """Whether a receive into a dataset was interrupted."""
    return side is not None and side.dataset.value(TOKEN) is not None


def is_unborn(side: Side | None) -> bool:
    """Whether a dataset is nothing but what the interrupted receive of a first full copy has left."""
    return side is not None and is_partial(side) and not side.snapshots


def give_up(side: Side, which: str, why: str, optional: bool = False) -> tuple[Step, ...]:
    """Steps that free a side from an interrupted receive, none where there is none."""
    if not is_partial(side):
        return ()
    return (Abandon(which, side.filesystem, why, host=side.host, whole=is_unborn(side), optional=optional),)


def recover(
    sender: Side,
    receiver: Side,
    base: Snapshot,
    settings: Settings,
    features: Features,
    which: str = HERE,
) -> Recovery:
    """What to do about an interrupted receive of an increment.

    :param base: the newest common snapshot, on the sending side.
    :param features: of the sending side.
    :param which: which of the two hosts that is.
    """
    if not is_partial(receiver):
        return Recovery()
    found = wanted(sender, receiver, base, settings, features)
    if isinstance(found, str):
        return Recovery(give_up(receiver, other(which), found))
    return Recovery(resumed=tuple(_complete(sender, receiver, base, found, settings, which)))


def wanted(
    sender: Side, receiver: Side, base: Snapshot | None, settings: Settings, features: Features
) -> Snapshot | str:
    """The snapshot of the sender that an interrupted receive is to be completed with; else why it cannot be.

    :param base: the snapshot at which the receiver ends, on the sending side; None if it has none.
    """
    token = read_token(receiver.dataset.value(TOKEN) or "")
    if not settings.resume:
        return "resume=false was given"
    if not features.modern:
        return f"zfs on {sender.host} cannot go on with it"
    if token is None:
        return "what it waits for cannot be understood"
    target = sender.by_guid(token.target)
    if target is None:
        return f"{sender.host}:{sender.filesystem} does not have the snapshot that it is part of"
    return _objection(sender, receiver, target, token, base, settings) or target


def _objection(
    sender: Side, receiver: Side, target: Snapshot, token: Token, base: Snapshot | None, settings: Settings
) -> str:
    """What stands against sending the rest of a snapshot, empty for nothing."""
    if token.base != (base.guid if base else None):
        return f"it is part of {target.short}, but does not start where the replica ends"
    if base is not None and target.createtxg <= base.createtxg:
        return f"{target.short} is older than {base.short}, which the replica has"
    own = names.parse_snapshot(sender.tag, target.short)
    if own is None and (base is None or not settings.intermediates):
        return f"{target.short} is no snapshot of this pair"
    if own is not None and own.unsent and sender.by_short(_plain(target)) is not None:
        return f"{target.short} has a name that is given up"
    # The token decides how the stream is written, and its receiver says it: data must not leave in the clear by that.
    raw = goes_raw(sender, receiver, base)
    if (raw or asks_for_raw(settings.send_options)) and not token.raw:
        return f"its stream of {target.short} is not raw, and raw ones are {'used' if raw else 'asked for'}"
    if sender.encrypted and token.raw and not raw:
        return f"its stream of {target.short} is raw, and the replica came by plain ones"
    return ""


def _plain(found: Snapshot) -> str:
    return found.short[: -len(names.UNSENT)] if found.short.endswith(names.UNSENT) else found.short


def _complete(
    sender: Side, receiver: Side, base: Snapshot, target: Snapshot, settings: Settings, which: str
) -> t.Iterator[Step]:
    own = names.parse_snapshot(sender.tag, target.short)
    short = target.short
    if own is not None and own.unsent:
        short = _plain(target)
        why = "the rest of it is sent after all"
        yield RenameSnapshot(which, target.name, why, new_short=short, recursive=sender.recursive)
    name = f"{sender.filesystem}@{short}"
    yield rest(receiver, name, settings, which, base=base.name)
    if own is None:
        return
    why = f"{receiver.host}:{receiver.filesystem} confirmed it"
    # What counts is how old the data is, not when the rest of it came.
    arrived = f"{receiver.filesystem}@{short}"
    yield Mark(other(which), arrived, why, tag=sender.tag, sent=target.creation)
    yield Mark(which, name, why, tag=sender.tag, sent=target.creation)


def rest(receiver: Side, target: str, settings: Settings, which: str = HERE, **more: t.Any) -> Resume:
    """The step that sends what is missing of a snapshot.

    :param target: its name on the sending side.
    :param more: further fields of the stream that was interrupted.
    """
    return Resume(
        which,
        target,
        "its receive was interrupted and goes on from there",
        destination=receiver.filesystem,
        options=settings.resume_options,
        resumable=True,
        token=receiver.dataset.value(TOKEN) or "",
        **more,
    )
