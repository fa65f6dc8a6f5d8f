# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole trees: ``-R`` with a filesystem that has none below it, and with one that has."""

from __future__ import annotations

import pytest

from tests.lab import Host
from tests.system.command import fails, ok
from tests.system.moves import assert_in_place
from tests.system.pairs import Pair, exists, ready_pair

pytestmark = pytest.mark.system


def test_a_tree_without_branches_is_a_filesystem(fresh, host1: Host, host2: Host) -> None:
    pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))
    ok(host1, "-R", "init", pair.fs, host2.name, pair.dest)
    pair.write("new\n")
    ok(host1, "-R", "sync", "all")
    pair.assert_same()
    assert ok(host1, "-R", "snaponly", pair.fs).out == f"{pair.fs}@zrep_000002\n"
    ok(host1, "synconly", "-R", pair.fs)
    ok(host1, "expire", "-R")
    ok(host2, "refresh", "-R", pair.dest, env={"ZREP_R": "-R"})
    ok(host2, "-R", "takeover", pair.dest)
    ok(host2, "-R", "failover", pair.dest)
    assert_in_place(pair)
    pair.assert_same()


TREES = [
    ("a", "init {fs}/child {b} {dest}-child"),
    ("a", "sync {fs}"),
    ("a", "sync {other} {fs}"),
    ("a", "sync all"),
    ("a", "synconly {fs}"),
    ("a", "snaponly {fs}"),
    ("a", "snaponly all"),
    ("a", "expire"),
    ("a", "expire all"),
    ("a", "expire {fs}"),
    ("a", "failover {fs}"),
    ("a", "failover -L {fs}"),
    ("a", "_refreshpull {fs}@zrep_000000"),
    ("b", "refresh {dest}"),
    ("b", "takeover {dest}"),
]


def test_a_tree_is_refused_before_anything_is_done(fresh, host1: Host, host2: Host) -> None:
    """Also where only the master has branches, which its replica could not show."""
    pair, other = (ready_pair(fresh, host1, host2, base) for base in ("tree", "other"))
    host1.zfs("create", "-p", f"{pair.fs}/child/grandchild")
    pair.write("new\n")
    before = pair.dump()
    for which, line in TREES:
        host = pair.a if which == "a" else pair.b
        words = line.format(fs=pair.fs, dest=pair.dest, b=host2.name, other=other.fs).split()
        said = fails(host, "-R", *words)
        assert said.out == "", line
        assert f"{pair.fs}/child/grandchild" in said.err, line
    fails(host1, "sync", pair.fs, env={"ZREP_R": "-R"})
    assert pair.dump() == before
    ok(host1, "-R", "sync", other.fs)
    ok(host1, "sync", pair.fs)
    assert not exists(host2, f"{pair.dest}/child")
