# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A filesystem with several destinations, each under a tag of its own: how the tests make them."""

from __future__ import annotations

from tests.lab import Host, Lab
from tests.system.pairs import Pair, files, guids
from tests.system.product import zrep_pair


def third_host(lab: Lab) -> Host:
    """host3 with pool3, which the lab has from the first test on that wants it."""
    return lab.hosts["host3"] if "host3" in lab.hosts else lab.add_host("host3", pool="pool3")


def second(fresh, first: Pair, host: Host, tag: str = "dr", base: str = "second") -> Pair:
    """Make another pair of a pair's filesystem, under another tag, with zrep_pair."""
    pair = Pair(first.a, first.fs, host, fresh.name(host, base), tag)
    result = zrep_pair(pair.a, filesystem=pair.fs, peer_host=host.name, peer_filesystem=pair.dest, tag=tag)
    assert not result.failed, result["msg"]
    return pair


def of_tag(names: list[str], tag: str) -> list[str]:
    """The names that are those of a tag's snapshots."""
    return [name for name in names if name.startswith(f"{tag}_")]


def in_sync(pair: Pair) -> None:
    """The newest snapshot of the pair's tag is on both sides, with the same mark and content; what others took since
    may follow it."""
    here, there = guids(pair.a, pair.fs), guids(pair.b, pair.dest)
    last = of_tag(list(here), pair.tag)[-1]
    assert of_tag(list(there), pair.tag)[-1] == last
    assert here[last] == there[last]
    own, other = pair.marks()
    assert own[last] == other[last]
    assert files(pair.a, f"{pair.fs}@{last}") == files(pair.b, f"{pair.dest}@{last}")
