# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a request. Pure.

A request is one line that was made for a shell, and none ever sees it. Two kinds of hosts ask: ours quote each word as
shlex.quote does, the script quotes nothing. Whatever else a shell would make something of is refused.
"""

from __future__ import annotations

import re

LIMIT = 128 * 1024
"""Characters; no program gets a longer string in its environment (execve(2), MAX_ARG_STRLEN)."""

_PLAIN = r"[A-Za-z0-9_@%+=:,./-]+"
_QUOTED = r"'[^']*'"
# How shlex.quote writes a single quote.
_QUOTE = '"\'"'
_WORD = re.compile(rf"(?:{_PLAIN}|{_QUOTED}|{_QUOTE})+")
_PIECE = re.compile(rf"{_PLAIN}|{_QUOTED}|{_QUOTE}")
# Of a text that shlex.quote would have quoted, nothing but line breaks and tabs is unseen.
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Refused(Exception):
    """Something is not admitted; the text says why."""


def split(line: str) -> list[str]:
    """The words of a request; raises Refused."""
    if len(line) > LIMIT:
        raise Refused("it is too long")
    if _UNSEEN.search(line):
        raise Refused("it has control characters")
    found = []
    at = 0
    while at < len(line):
        if line[at] == " ":
            at += 1
            continue
        word = _WORD.match(line, at)
        if word is None or (word.end() < len(line) and line[word.end()] != " "):
            raise Refused(f"{line[word.end() if word else at]!r} is not admitted outside of quotes")
        found.append("".join(_bare(piece) for piece in _PIECE.findall(word[0])))
        at = word.end()
    if not found:
        raise Refused("there is nothing to run: a shell is not admitted")
    return found


def _bare(piece: str) -> str:
    return piece[1:-1] if piece[0] in "'\"" else piece
