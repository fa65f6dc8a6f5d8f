# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens of receives that were interrupted, which say where a sender goes on (zfs-send(8), ``-t``). Pure.

The receiver says them. ``zfs send -t`` sends whatever they ask for, so they are read before: a version, a checksum, the
length, and the properties of the stream as a packed name-value list (libnvpair), compressed and in hexadecimal.
"""

from __future__ import annotations

import re
import struct
import typing as t
import zlib

from . import zfs
from .errors import BadInput

LIMIT = 65536
"""No token comes near that: a version number, a checksum, a length, and a few properties packed, all hexadecimal."""

_TOKEN = re.compile(r"[0-9a-f][0-9a-f-]*\Z")
_PARTS = re.compile(r"1-[0-9a-f]{1,16}-([0-9a-f]{1,8})-((?:[0-9a-f]{2})+)\Z")
_NAME = re.compile(r"^\s*toname = (\S+)\s*$", re.MULTILINE)

_HEADER = 12
"""Bytes before the first pair: the encoding with its byte order, a version, flags."""
_ORDERS = {b"\0\0": ">", b"\0\1": "<"}
"""The native encoding, in the order of bytes of the host that it comes from."""
_UINT64 = 8


class Token(t.NamedTuple):
    """What a token asks for.

    :param target: the GUID of the snapshot that is sent.
    :param base: the GUID of the one from which the stream starts, None for a full stream.
    :param raw: the stream carries encrypted blocks as they are.
    """

    target: int
    base: int | None
    raw: bool


def check_token(token: str) -> str:
    """Return a resume token if it can be one; raise BadInput otherwise. The other host says it."""
    if len(token) > LIMIT or not _TOKEN.match(token):
        raise BadInput(f"{token[:80]!r} is no resume token", left="nothing was sent")
    return token


def read_token(text: str) -> Token | None:
    """What a token asks for, None if it cannot be understood."""
    parts = _PARTS.match(text) if len(text) <= LIMIT else None
    if parts is None:
        return None
    size = int(parts.group(1), 16)
    unpacker = zlib.decompressobj()
    try:
        packed = unpacker.decompress(bytes.fromhex(parts.group(2)), LIMIT)
        values = _unpack(packed) if len(packed) == size and unpacker.eof and not unpacker.unused_data else {}
    except (zlib.error, struct.error, ValueError, KeyError):
        return None
    target, base = values.get("toguid"), values.get("fromguid")
    if not isinstance(target, int) or (base is None and "fromguid" in values):
        return None
    return Token(target, base or None, "rawok" in values)


def _unpack(packed: bytes) -> dict[str, int | None]:
    """The pairs of a packed list: numbers of 64 bits by name, anything else as None."""
    order = _ORDERS[packed[:2]]
    found: dict[str, int | None] = {}
    start = _HEADER
    while True:
        (size,) = struct.unpack_from(f"{order}I", packed, start)
        if size == 0:
            return found
        length, _reserved, _count, kind = struct.unpack_from(f"{order}HHII", packed, start + 4)
        after = start + 16 + (length + 7) // 8 * 8
        if length == 0 or after > start + size:
            raise ValueError("longer than it says")
        name = packed[start + 16 : start + 16 + length - 1].decode("ascii")
        if name in found:
            raise ValueError("said twice")
        found[name] = struct.unpack_from(f"{order}Q", packed, after)[0] if kind == _UINT64 else None
        start += size


def explain(token: str) -> zfs.Argv:
    """Ask what a token belongs to; sends nothing."""
    return ("zfs", "send", "-n", "-v", "-t", token)


def snapshot_of(said: str) -> str | None:
    """The snapshot that a token belongs to, in what zfs said about it."""
    found = _NAME.search(said)
    return found.group(1) if found else None
