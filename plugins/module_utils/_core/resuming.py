# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens of receives that were interrupted, which say where a sender goes on (zfs-send(8), ``-t``). Pure."""

from __future__ import annotations

import re

from . import zfs
from .errors import BadInput

LIMIT = 65536
"""No token comes near that: a version number, a checksum, a length, and a few properties packed, all hexadecimal."""

_TOKEN = re.compile(r"[0-9a-f][0-9a-f-]*\Z")
_NAME = re.compile(r"^\s*toname = (\S+)\s*$", re.MULTILINE)


def check_token(token: str) -> str:
    """Return a resume token if it can be one; raise BadInput otherwise. The other host says it."""
    if len(token) > LIMIT or not _TOKEN.match(token):
        raise BadInput(f"{token[:80]!r} is no resume token", left="nothing was sent")
    return token


def resume(token: str) -> zfs.Argv:
    """Go on with the stream that a token belongs to."""
    return ("zfs", "send", "-t", token)


def explain(token: str) -> zfs.Argv:
    """Ask what a token belongs to; sends nothing."""
    return ("zfs", "send", "-n", "-v", "-t", token)


def snapshot_of(said: str) -> str | None:
    """The snapshot that a token belongs to, in what zfs said about it."""
    found = _NAME.search(said)
    return found.group(1) if found else None
