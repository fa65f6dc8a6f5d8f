# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resume tokens as a receiver says them, made for snapshots of the builders."""

from __future__ import annotations

import struct
import zlib

from .builders import guid_of

UINT64, STRING, BOOLEAN = 8, 9, 1


def pair(name, kind, value, order="<"):
    label = name.encode() + b"\0"
    label += b"\0" * (-len(label) % 8)
    body = struct.pack(f"{order}HHII", len(name) + 1, 0, int(kind != BOOLEAN), kind) + label + value
    return struct.pack(f"{order}I", len(body) + 4) + body


def number(name, value, order="<"):
    return pair(name, UINT64, struct.pack(f"{order}Q", value), order)


def packed(*pairs, order="<", header=None):
    start = bytes([0, int(order == "<"), 0, 0]) if header is None else header
    return start + struct.pack(f"{order}II", 0, 1) + b"".join(pairs) + bytes(4)


def encoded(content, size=None):
    length = len(content) if size is None else size
    return f"1-c4d8b9ed4-{length:x}-{zlib.compress(content).hex()}"


def text(target, base=None, raw=False, order="<"):
    """The token of an interrupted stream of a snapshot, both by what identifies them."""
    found = [number("fromguid", guid_of(base), order)] if base else []
    found += [number("object", 2, order), number("offset", 4096, order), number("toguid", guid_of(target), order)]
    found += [pair("rawok", BOOLEAN, b"", order)] if raw else []
    found.append(pair("toname", STRING, b"pool1/data@any\0\0", order))
    return encoded(packed(*found, order=order))


def token(target, base=None, **more):
    """The same as a property."""
    return {"receive_resume_token": (text(target, base, **more), "none")}
