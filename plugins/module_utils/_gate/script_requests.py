# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which calls of zrep are admitted: those that the script makes on the other host of a pair."""

from __future__ import annotations

import re
import typing as t

from .._core import names
from .rules import MOVE, RECEIVE, SEND, Pair, Rules
from .words import Refused
from .zfs_requests import Argv, Gatekeeper


class Call(t.NamedTuple):
    """How a verb may be said.

    :param grants: one of them is needed.
    :param words: what may stand after it: flags, and what its operands look like.
    """

    grants: tuple[str, ...]
    words: tuple[tuple[str, ...], ...]


_FILESYSTEM, _SNAPSHOT, _TOKEN, _MARK = "FILESYSTEM", "SNAPSHOT", "TOKEN", "MARK"
CALLS: dict[str, Call] = {
    "expire": Call((RECEIVE, SEND, MOVE), ((_FILESYSTEM,), ("-L", _FILESYSTEM))),
    "snaponly": Call((SEND, MOVE), ((_FILESYSTEM,),)),
    "_refreshpull": Call((SEND, MOVE), ((_SNAPSHOT,), (_SNAPSHOT, _TOKEN))),
    "_refreshcomplete": Call((SEND, MOVE), ((_SNAPSHOT, _MARK),)),
    "takeover": Call((MOVE,), (("-L", _FILESYSTEM),)),
    "failover": Call((MOVE,), ((_FILESYSTEM,),)),
}


def admit(argv: t.Sequence[str], rules: Rules, keeper: Gatekeeper) -> list[Argv]:
    """The call that is run; raises Refused."""
    tag, recursive, rest = _globals(argv[1:])
    verb, *words = rest or [""]
    call = CALLS.get(verb)
    if call is None:
        raise Refused(f"'zrep {verb[:40]}' is not admitted")
    form = next((form for form in call.words if len(form) == len(words) and _flags(form) == _flags(words)), None)
    if form is None:
        raise Refused(f"this form of 'zrep {verb}' is not admitted")
    pair = None
    for kind, word in zip(form, words):
        if kind in (_FILESYSTEM, _SNAPSHOT):
            pair = _pair(word, kind, tag, rules, keeper, call.grants)
        elif kind == _TOKEN:
            keeper.check_token(word)
        elif kind == _MARK and not re.match(rf"{re.escape(tag)}:sent=[0-9]{{1,20}}\Z", word, re.ASCII):
            raise Refused(f"'{word[:120]}' is not admitted")
    if verb == "takeover" and pair:
        keeper.check_mount(pair.filesystem)
    if recursive and not (pair and pair.recursive):
        raise Refused("-R is not admitted: what is below is not on the list of this key")
    globals_ = ("-R",) if recursive else ()
    return [(rules.zrep or "zrep", "-t", tag, *globals_, verb, *words)]


def _globals(words: t.Sequence[str]) -> tuple[str, bool, list[str]]:
    """The tag, whether it is for a tree, and the rest. The script says them repeatedly, in any order."""
    rest = list(words)
    tags, recursive = set(), False
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        if word == "-t" and rest:
            tags.add(rest.pop(0))
        elif word == "-R":
            recursive = True
        elif word != "-D":
            raise Refused(f"{word[:40]!r} is not admitted")
    if len(tags) > 1:
        raise Refused("there are several tags")
    return (tags or {names.DEFAULT_TAG}).pop(), recursive, rest


def _flags(words: t.Sequence[str]) -> list[str]:
    return [word for word in words if word.startswith("-")]


def _pair(word: str, kind: str, tag: str, rules: Rules, keeper: Gatekeeper, grants: t.Sequence[str]) -> Pair:
    keeper.of(word, *grants)
    filesystem, short = names.split_snapshot(word)
    for pair in rules.pairs:
        if (pair.filesystem, pair.tag) == (filesystem, tag) and pair.may(*grants):
            if "#" in word or (kind == _SNAPSHOT) != bool(short):
                raise Refused(f"{word[:300]} is not what the verb needs")
            return pair
    raise Refused(f"{word[:300]} is not on the list of this key under the tag {tag[:64]}")
