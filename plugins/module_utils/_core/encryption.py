# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the streams of an encrypted dataset go raw, which the replica decides for good. Pure.

A raw stream carries the blocks as they are encrypted on disk: neither side needs the key. A plain one carries them
decrypted. A replica that came one way can only go on that way. Which one that was is told by the IV set (``ivsetguid``)
of the snapshot that both sides share: a raw stream keeps it, a plain one does not.
"""

from __future__ import annotations

import typing as t

from .errors import BadInput, KeyAbsent, Raw
from .model import Side, Snapshot
from .roles import UNTOUCHED

RAW = "-w"
KEYSTATUS = "keystatus"


def knows_encryption(properties: t.Container[str]) -> bool:
    """Whether a zfs that has these properties knows encryption."""
    return KEYSTATUS in properties


def asks_for_raw(options: tuple[str, ...]) -> bool:
    """Whether options of ``zfs send`` ask for a raw stream."""
    return any(word == "--raw" or (not word.startswith("--") and "w" in word) for word in options)


def first_options(sender: Side, options: tuple[str, ...], known: bool, host: str, filesystem: str) -> tuple[str, ...]:
    """The options of a first full stream: raw where the source is encrypted; raises Raw.

    :param known: the zfs of the receiver knows encryption.
    :param host: of the receiver, and the filesystem that it gets, for the error.
    """
    if not sender.encrypted:
        return options
    if not known:
        raise Raw(
            f"its zfs knows no encryption, and {sender.host}:{sender.filesystem} is encrypted",
            host=host,
            dataset=filesystem,
            left=UNTOUCHED,
            hint="if the replica may be readable by whoever has that host, make a first copy there with zfs send "
            "without -w, then adopt=newest goes on from it",
        )
    return _raw(options)


def _raw(options: tuple[str, ...]) -> tuple[str, ...]:
    return options if asks_for_raw(options) else (*options, RAW)


def goes_raw(sender: Side, receiver: Side, base: Snapshot | None) -> bool:
    """Whether the stream from a base, or the first one without a base, has to be raw."""
    if base is None or not sender.encrypted:
        return sender.encrypted
    held = receiver.by_guid(base.guid)
    return held is not None and base.ivset is not None and base.ivset == held.ivset


def next_options(here: Side, there: Side, base: Snapshot, options: tuple[str, ...]) -> tuple[str, ...]:
    """The options of a stream from a base: raw if the replica has that by a raw stream.

    :param here: the sending side.
    :raises BadInput: raw was asked for, and would be mixed with plain.
    :raises KeyAbsent: it has to be plain, and a key that this takes is not loaded.
    """
    if goes_raw(here, there, base):
        return _raw(options)
    if here.encrypted and asks_for_raw(options):
        raise BadInput(
            "raw streams are asked for, but this replica was made by plain ones, which do not mix",
            host=there.host,
            dataset=there.filesystem,
            left=UNTOUCHED,
            hint="leave that option of zfs send -w out; a new replica would be raw by itself",
        )
    for side, verb in ((here, "sent"), (there, "received")):
        _check_loaded(side, f"and a stream that is not raw can only be {verb} with it")
    return options


def served_options(sender: Side, options: tuple[str, ...]) -> tuple[str, ...]:
    """The options of a stream for a replica that cannot be looked at: as asked for; raises KeyAbsent.

    How the replica came is not known here, and a guess could mix raw with plain.
    """
    if not asks_for_raw(options):
        for side in (sender, *sender.members):
            otherwise = "; or if the replica came raw, have ZREP_SEND_FLAGS=-w there"
            _check_loaded(side, "and a stream that is not raw can only be sent with it", otherwise, "nothing was sent")
    return options


def copy_options(sender: Side) -> tuple[str, ...]:
    """The options of a stream within a host: raw needs no key, and a clone of the base shares its IV set."""
    return (RAW,) if sender.encrypted else ()


def check_drill(side: Side) -> None:
    """Raise KeyAbsent for a side of which no clone could be mounted."""
    _check_loaded(side, "so a clone of it could not be used", "; then drill again")


def check_key(side: Side) -> None:
    """Raise KeyAbsent for a side that cannot be mounted when it becomes the master."""
    otherwise = "; or force=true makes it the master without its peer and not mounted"
    _check_loaded(side, "so it could not be mounted as the master", otherwise)


def _check_loaded(side: Side, why: str, otherwise: str = "", left: str = UNTOUCHED) -> None:
    """Raise KeyAbsent for a side whose key is not loaded, with the call that loads it, and what else would do."""
    if side.locked:
        raise KeyAbsent(
            f"its key is not loaded, {why}",
            host=side.host,
            dataset=side.filesystem,
            left=left,
            hint=f"run there: zfs load-key {side.filesystem}{otherwise}",
        )


def warn_locked(side: Side) -> str:
    """What to know about a side that was made the master without its key."""
    return (
        f"{side.host}:{side.filesystem} is encrypted and its key is not loaded, so it is not mounted; it takes: "
        f"zfs load-key {side.filesystem} && zfs mount {side.filesystem}"
    )
