# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a request to what is run. Nothing is run here."""

from __future__ import annotations

import typing as t

from .._core.observe import ASK_VERSION
from .rules import Rules
from .words import Refused, split
from .zfs_requests import Argv, Ask, Gatekeeper

HARMLESS: tuple[Argv, ...] = (("uname", "-n"), ASK_VERSION)
"""What says who the host is, and which zfs it has."""


def admit(line: str, rules: Rules, ask: Ask) -> list[Argv]:
    """The commands that are run for a request, one after the other; raises Refused.

    :param ask: runs a zfs command that only looks, where a request cannot be judged without.
    """
    words = split(line)
    keeper = Gatekeeper(rules, ask)
    if words[0] == "zfs":
        return keeper.admit(words)
    if words[0] == "zrep":
        from . import script_requests

        return script_requests.admit(words, rules, keeper)
    if words[0] == "sh":
        from .texts import Texts

        return Texts(rules, keeper).admit(words)
    if words[:2] == ["zpool", "sync"]:
        return [_sync(words, rules)]
    if tuple(words) in HARMLESS:
        return [tuple(words)]
    raise Refused(f"{words[0][:80]!r} is not admitted")


def _sync(words: t.Sequence[str], rules: Rules) -> Argv:
    """What was written so far is to be in the numbers that zfs shows: changes nothing, but makes the pools work."""
    pools = {pair.filesystem.split("/")[0] for pair in rules.pairs}
    if not words[2:] or not set(words[2:]) <= pools:
        raise Refused("'zpool sync' is admitted for the pools of this key's filesystems")
    return ("zpool", "sync", *words[2:])
