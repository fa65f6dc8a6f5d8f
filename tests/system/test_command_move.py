# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failover and takeover in the words of the command. Numbers are those of the behaviour reference's cases."""

from __future__ import annotations

import pytest

from tests.lab import Host
from tests.system import script
from tests.system.command import fails, ok, remove
from tests.system.moves import assert_in_place, assert_works, live, record, turned
from tests.system.pairs import Pair, exists, local, ready_pair, snapshots, value

pytestmark = pytest.mark.system


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair with something that was not sent yet."""
    made = ready_pair(fresh, host1, host2)
    made.write("never sent before\n", "last")
    return made


def split(pair: Pair) -> Pair:
    """Have the replica taken over alone, as if the master's host were dead, which it is not; the new pair."""
    ok(pair.a, "sync", pair.fs)
    pair.write("only on the old master\n", "old")
    ok(pair.b, "takeover", "-L", pair.dest)
    return turned(pair)


@pytest.mark.acceptance(46, 50)
def test_cases_46_and_50_there_and_back(pair: Pair) -> None:
    content = live(pair.a, pair.fs)
    said = ok(pair.a, "failover", pair.fs)
    assert said.out == ""
    assert_in_place(turned(pair))
    assert live(pair.b, pair.dest) == content
    again = ok(pair.a, "failover", pair.fs)
    assert "nothing to do" in again.err
    ok(pair.b, "failover", pair.dest)
    assert_in_place(pair)
    assert live(pair.a, pair.fs) == content
    assert local(pair.a, pair.fs, "readonly") is None


def test_a_planned_takeover_from_the_other_end(pair: Pair) -> None:
    ok(pair.b, "takeover", pair.dest)
    assert_in_place(turned(pair))
    assert_works(turned(pair))


def test_the_other_side_by_another_name(pair: Pair) -> None:
    """HOST is where the other side is reached and how it is recorded from then on."""
    address = pair.b.address
    ok(pair.a, "failover", pair.fs, address)
    assert record(pair.a, pair.fs)["src-host"] == address
    assert local(pair.b, pair.dest, "zrep:master") == "yes"
    assert_works(turned(pair))


@pytest.mark.acceptance(48, 49)
def test_cases_48_and_49_takeover_alone_and_the_old_master_accepts_it(pair: Pair) -> None:
    """Nothing of what the old master had of its own is lost: it is in a dataset beside it."""
    now = split(pair)
    assert local(pair.a, pair.fs, "zrep:master") == "yes"
    fails(pair.a, "sync", pair.fs)
    fails(pair.b, "sync", pair.dest)
    said = ok(pair.a, "failover", "-L", pair.fs)
    kept = f"{pair.fs}_preserved_zrep_000001"
    assert kept in said.err
    assert not exists(pair.a, f"{pair.fs}/old")
    pair.a.run(f"zfs set readonly=off {kept}; zfs mount {kept} || true")
    assert pair.a.read_file(f"/{kept}/old") == "only on the old master\n"
    assert value(pair.a, pair.fs, "readonly") in ("on", "off")
    ok(pair.b, "sync", pair.dest)
    now.assert_same()
    assert_in_place(now)


def test_what_the_old_master_has_is_thrown_away_only_if_asked(pair: Pair) -> None:
    now = split(pair)
    ok(pair.a, "failover", "-L", pair.fs, "--discard")
    assert not exists(pair.a, f"{pair.fs}_preserved_zrep_000001")
    ok(pair.b, "sync", pair.dest)
    now.assert_same()


def test_a_split_brain_is_refused_with_its_facts(pair: Pair) -> None:
    split(pair)
    before = pair.dump()
    said = fails(pair.a, "failover", pair.fs)
    assert "--preserve" in said.err
    assert "zrep_000001" in said.err
    assert "diverged=" not in said.err
    fails(pair.a, "failover", "-L", "--preserve", "--discard", pair.fs)
    assert pair.dump() == before


def test_one_host_at_a_time_as_the_script_does_it(pair: Pair) -> None:
    """`failover -L` on a master whose replica is well, then `takeover -L` there: what was not sent is kept."""
    ok(pair.a, "sync", pair.fs)
    ok(pair.a, "failover", "-L", pair.fs)
    assert local(pair.a, pair.fs, "zrep:master") is None
    assert local(pair.b, pair.dest, "zrep:master") is None
    ok(pair.b, "takeover", "-L", pair.dest)
    assert_in_place(turned(pair))
    assert_works(turned(pair))


def test_stepping_down_at_a_snapshot(pair: Pair) -> None:
    for text in "12":
        pair.write(text, "file")
        ok(pair.a, "sync", pair.fs)
    ok(pair.b, "takeover", "-L", pair.dest)
    fails(pair.a, "failover", f"{pair.fs}@zrep_000001")
    fails(pair.a, "failover", "-L", f"{pair.fs}@zrep_00000f")
    ok(pair.a, "failover", "-L", "--discard", f"{pair.fs}@zrep_000001")
    assert snapshots(pair.a, pair.fs) == ["zrep_000000", "zrep_000001"]
    ok(pair.b, "sync", pair.dest)
    turned(pair).assert_same()


@pytest.mark.acceptance(54)
def test_case_54_takeover_alone_on_a_master(pair: Pair) -> None:
    """(+) Given takeover -L on a master, then dest-* still names the real peer."""
    ok(pair.a, "takeover", "-L", pair.fs)
    assert record(pair.a, pair.fs)["dest-host"] == pair.b.name
    assert record(pair.a, pair.fs)["dest-fs"] == pair.dest
    assert_works(pair)


@pytest.mark.acceptance(51)
def test_case_51_the_other_side_is_away(pair: Pair) -> None:
    """(+) Given B unreachable, when failover runs on A, then A is still writable, master and unlocked, status 1."""
    pair.a.cut(pair.b)
    said = fails(pair.a, "failover", pair.fs)
    assert "-L" in said.err
    pair.a.mend()
    assert_in_place(pair)
    assert_works(pair)


@pytest.mark.acceptance(52)
def test_case_52_no_zrep_at_the_other_end(pair: Pair) -> None:
    """(+) Given `zrep` missing on B, when failover runs on A: it is not needed there."""
    remove(pair.b)
    ok(pair.a, "failover", pair.fs)
    assert_in_place(turned(pair))


def test_a_pair_that_the_script_moved(pair: Pair) -> None:
    script.sync(pair)
    script.failover(pair)
    ok(pair.b, "sync", pair.dest)
    ok(pair.b, "failover", pair.dest)
    assert_in_place(pair)
    script.failover(pair)
    ok(pair.a, "takeover", pair.fs)
    assert_in_place(pair)


def test_preserved_datasets_are_listed_and_pruned(pair: Pair) -> None:
    split(pair)
    ok(pair.a, "failover", "-L", pair.fs)
    kept = f"{pair.fs}_preserved_zrep_000001"
    assert kept in ok(pair.a, "prune-preserved").out
    assert exists(pair.a, kept)
    ok(pair.a, "prune-preserved", "-f", "--older-than", "1")
    assert exists(pair.a, kept)
    ok(pair.a, "prune-preserved", "-f")
    assert not exists(pair.a, kept)
    assert exists(pair.a, pair.fs)
