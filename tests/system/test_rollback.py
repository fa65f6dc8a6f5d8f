# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both sides of a pair go back to a snapshot, from either end, and the pair works on at once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab import Host
from tests.system import script
from tests.system.moves import assert_in_place, assert_works, daily, done, live, make_master, move, side
from tests.system.pairs import FAIL, Pair, files, guids, ready_pair
from tests.system.product import Result, zrep_snapshot

pytestmark = pytest.mark.system

BOTH_ENDS = pytest.mark.parametrize("at", ["a", "b"])
ENDS = [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]
KEPT = ["zrep_000000", "zrep_000001"]


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair that was synced twice, with something that was not sent yet."""
    made = ready_pair(fresh, host1, host2)
    for text in ("one", "two"):
        made.write(text, "file")
        made.sync()
    made.write("never sent", "file")
    return made


def roll_back(pair: Pair, at: str, snapshot: str = "zrep_000001", **options: Any) -> Result:
    host, dataset = side(pair, at)
    return zrep_snapshot(host, filesystem=dataset, state="rolled_back", snapshot=snapshot, tag=pair.tag, **options)


def assert_back(pair: Pair) -> None:
    """Both sides are where they were when the first sync had gone through."""
    assert pair.on_a() == pair.on_b() == KEPT
    here, there = pair.marks()
    assert here == there
    assert set(here) == set(KEPT)
    assert pair.a.read_file(f"/{pair.fs}/file") == "one"


@BOTH_ENDS
def test_both_sides_go_back(pair: Pair, at: str) -> None:
    had = guids(pair.a, pair.fs)
    result = done(roll_back(pair, at))
    assert_back(pair)
    assert guids(pair.a, pair.fs) == guids(pair.b, pair.dest) == {short: had[short] for short in KEPT}
    gone = [step["what"] for step in result["actions"] if step["action"] == "rollback"]
    assert [what.partition("goes ")[2] for what in gone] == ["zrep_000002", "zrep_000002"]
    # The replica first: if it ends there, the next sync brings it forward again.
    assert [host for host, action, _target in result.actions if action == "rollback"] == ["host2", "host1"]
    before = pair.dump()
    for again in "ab":
        assert not done(roll_back(pair, again)).changed
        assert pair.dump() == before
    assert_in_place(pair)
    assert_works(pair)
    assert pair.on_b() == [*KEPT, "zrep_000002"]


@BOTH_ENDS
def test_the_script_syncs_on(pair: Pair, at: str) -> None:
    done(roll_back(pair, at))
    pair.write("after", "file")
    script.sync(pair)
    pair.assert_same()
    assert pair.on_b() == [*KEPT, "zrep_000002"]
    assert_in_place(script.failover(pair))


def test_after_a_move(pair: Pair) -> None:
    """On the sides as they are then."""
    after = move(pair)
    after.write("on B", "file")
    after.sync()
    done(roll_back(after, "a"))
    assert_back(after)
    assert_works(after)


@BOTH_ENDS
def test_what_was_written_last_goes_too(pair: Pair, at: str) -> None:
    """However short ago: the numbers of zfs lag behind, the module does not."""
    pair.sync()
    newest = pair.on_a()[-1]
    content = files(pair.a, f"{pair.fs}@{newest}")
    pair.write("a moment ago", "file")
    assert done(roll_back(pair, at, newest)).changed
    assert live(pair.a, pair.fs) == content
    assert_works(pair)


@pytest.mark.parametrize(("at", "where"), daily(ENDS, 3))
def test_snapshots_of_others_need_force(pair: Pair, at: str, where: str) -> None:
    host, dataset = side(pair, where)
    host.zfs("snapshot", f"{dataset}@daily-1")
    before = pair.dump()
    refused = roll_back(pair, at)
    assert refused.code == "diverged"
    assert "daily-1" in refused["msg"]
    assert f"{host.name}:{dataset}" in refused["msg"]
    assert pair.dump() == before
    done(roll_back(pair, at, force=True))
    assert_back(pair)
    assert_works(pair)


def test_to_a_snapshot_of_others(pair: Pair) -> None:
    pair.a.zfs("snapshot", f"{pair.fs}@daily-1")
    pair.sync()
    pair.write("more", "file")
    pair.sync()
    done(roll_back(pair, "b", "daily-1"))
    assert pair.on_a() == pair.on_b() == [*KEPT, "zrep_000002", "daily-1"]
    assert pair.a.read_file(f"/{pair.fs}/file") == "never sent"
    assert_works(pair)


@BOTH_ENDS
def test_to_one_that_only_went_along(pair: Pair, at: str) -> None:
    """It was never marked, so without a mark on both sides the script would not know where to go on from."""
    done(zrep_snapshot(pair.a, filesystem=pair.fs))
    pair.sync()
    assert set(pair.marks()[0]) == {*KEPT, "zrep_000002", "zrep_000004"}
    done(roll_back(pair, at, "zrep_000003"))
    here, there = pair.marks()
    assert here == there
    assert "zrep_000003" in here
    script.sync(pair)
    pair.assert_same()


@BOTH_ENDS
def test_a_snapshot_that_not_both_have(pair: Pair, at: str) -> None:
    pair.a.zfs("snapshot", f"{pair.fs}@only-here")
    pair.b.zfs("snapshot", f"{pair.dest}@only-there")
    for host, dataset in (side(pair, "a"), side(pair, "b")):
        host.zfs("snapshot", f"{dataset}@same-name")
    before = pair.dump()
    for name in ("only-here", "only-there", "same-name", "nowhere"):
        for force in (False, True):
            refused = roll_back(pair, at, name, force=force)
            assert refused.code == "not_found"
            assert name in refused["msg"]
            assert "zrep_000000, zrep_000001, zrep_000002" in refused["msg"]
    assert pair.dump() == before


@pytest.mark.parametrize("masters", ["two", "none"])
def test_only_where_there_is_one_master(pair: Pair, masters: str) -> None:
    if masters == "two":
        pair.b.zfs("set", "zrep:master=yes", pair.dest)
    else:
        pair.a.zfs("inherit", "zrep:master", pair.fs)
    before = pair.dump()
    for at in "ab":
        refused = roll_back(pair, at)
        assert refused.code == ("split_brain" if masters == "two" else "wrong_role")
        assert "zrep_failover" in refused["msg"]
    assert pair.dump() == before


def test_options_that_do_not_fit(pair: Pair) -> None:
    before = pair.dump()
    assert roll_back(pair, "a", local_only=True).code == "bad_input"
    assert zrep_snapshot(pair.a, filesystem=[pair.fs, pair.fs], state="rolled_back", snapshot="x").code == "bad_input"
    assert zrep_snapshot(pair.a, filesystem=pair.fs, force=True).code == "bad_input"
    assert zrep_snapshot(pair.a, filesystem=pair.fs, state="rolled_back").failed
    pair.b.stop_sshd()
    assert roll_back(pair, "a").code == "unreachable"
    pair.b.start_sshd()
    assert pair.dump() == before


@pytest.mark.parametrize(("at", "which"), daily(ENDS, 3))
def test_one_that_fails_half_way_is_completed(pair: Pair, at: str, which: str) -> None:
    host = side(pair, which)[0]
    host.intercept(FAIL, verbs=("rollback",))
    failed = roll_back(pair, at)
    host.clear_faults()
    assert failed.failed
    assert live(pair.a, pair.fs)
    done(roll_back(pair, at))
    assert_back(pair)
    assert_works(pair)


def test_one_that_fails_half_way_costs_nothing_if_it_is_left(pair: Pair) -> None:
    """The master still has all, so the next sync brings the replica forward again."""
    content = live(pair.a, pair.fs)
    pair.a.intercept(FAIL, verbs=("rollback",))
    assert roll_back(pair, "b").failed
    pair.a.clear_faults()
    assert live(pair.a, pair.fs) == content
    assert pair.on_b() == KEPT
    pair.sync()
    pair.assert_same()


def test_a_clone_keeps_its_snapshot(pair: Pair) -> None:
    pair.a.zfs("clone", f"{pair.fs}@zrep_000002", f"{pair.fs}-clone")
    content = live(pair.a, pair.fs)
    for force in (False, True):
        assert f"{pair.fs}-clone" in roll_back(pair, "a", force=force)["msg"]
    assert live(pair.a, pair.fs) == content
    pair.sync()
    pair.assert_same()
    assert not make_master(pair, "a", "a").changed
