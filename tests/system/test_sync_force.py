# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forced syncs over a replica that somebody wrote to: what it had is in a dataset beside it, unless it is given up."""

from __future__ import annotations

import pytest

from tests.lab import Host
from tests.system.pairs import FAIL, Pair, exists, files, local, ready_pair, snapshots, value
from tests.system.product import zrep_sync

pytestmark = pytest.mark.system


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair that was synced, then the replica was written to, and so was the master."""
    made = ready_pair(fresh, host1, host2)
    made.write("sent\n", "sent")
    made.sync()
    made.b.zfs("set", "readonly=off", made.dest)
    made.b.zfs("mount", made.dest)
    made.b.write_file(f"/{made.dest}/own", "own\n")
    made.write("new\n", "new")
    return made


def copy_of(pair: Pair, base: str = "zrep_000001") -> str:
    return f"{pair.dest}_preserved_{base}"


def settle(pair: Pair) -> None:
    """What was written is in the numbers that zfs shows only after a transaction group."""
    pair.b.zfs("inherit", "zrep:settle", pair.dest)


def test_the_refusal_has_the_facts(pair: Pair) -> None:
    settle(pair)
    before = pair.dump()
    refused = pair.try_sync()
    assert refused.code == "diverged"
    facts = refused["error"]["divergence"]["there"]
    assert (facts["host"], facts["filesystem"], facts["snapshots"]) == (pair.b.name, pair.dest, [])
    assert facts["bytes"] > 0
    for word in ("force=true", "diverged=discard", str(facts["bytes"]), "no diff"):
        assert word in refused["msg"]
    assert pair.dump() == before
    assert pair.try_sync(diverged="discard").code == "bad_input"


@pytest.mark.both
def test_what_the_replica_has_is_preserved_then_overwritten(pair: Pair) -> None:
    pair.b.zfs("snapshot", f"{pair.dest}@daily")
    pair.b.write_file(f"/{pair.dest}/later", "later\n")
    predicted = pair.try_sync(force=True, _ansible_check_mode=True)
    result = pair.sync(force=True)
    copy = copy_of(pair)
    assert result["preserved"] == [{"filesystem": pair.fs, "host": pair.b.name, "name": copy}]
    assert predicted["preserved"] == result["preserved"]
    assert [step["action"] for step in predicted["actions"]] == [step["action"] for step in result["actions"]]
    pair.assert_same()
    kept = files(pair.b, f"{copy}@{snapshots(pair.b, copy)[-1]}")
    assert [name in kept for name in ("own", "later", "sent", "new")] == [True, True, True, False]
    assert "daily" in snapshots(pair.b, copy)
    assert local(pair.b, copy, "zrep:preserved-from") == f"{pair.dest}@zrep_000001"
    assert value(pair.b, pair.dest, "readonly") in ("on", "off")
    assert pair.on_b() == ["zrep_000000", "zrep_000001", "zrep_000002"]
    again = pair.sync(force=True)
    assert again["preserved"] == []


def test_discard_gives_it_up(pair: Pair) -> None:
    result = pair.sync(force=True, diverged="discard")
    assert result["preserved"] == []
    assert not exists(pair.b, copy_of(pair))
    pair.assert_same()


def test_without_room_nothing_is_changed(fresh, pair: Pair) -> None:
    pair.b.run(f"head -c 3000000 /dev/urandom >/{pair.dest}/big")
    settle(pair)
    other = fresh.create(pair.b, "other")
    pair.b.zfs("set", f"reservation={int(value(pair.b, pair.b.pool, 'available')) - 1000000}", other)
    before = pair.dump()
    refused = pair.try_sync(force=True)
    assert refused.code == "pool_full"
    assert "diverged=discard" in refused["msg"]
    assert pair.dump() == before


@pytest.mark.parametrize("command", ["send", "rollback"])
def test_a_run_that_fails_loses_nothing_and_the_next_goes_on(pair: Pair, command: str) -> None:
    pair.b.intercept(FAIL, verbs=(command,))
    failed = pair.try_sync(force=True)
    pair.b.clear_faults()
    assert failed.failed
    assert pair.b.read_file(f"/{pair.dest}/own") == "own\n"
    pair.sync(force=True)
    pair.assert_same()
    copy = copy_of(pair)
    assert "own" in files(pair.b, f"{copy}@{snapshots(pair.b, copy)[-1]}")


def test_going_back_preserves_as_well(pair: Pair) -> None:
    target = f"{pair.fs}@zrep_000000"
    before = pair.dump()
    assert zrep_sync(pair.a, filesystem=target).code == "diverged"
    assert pair.dump() == before
    result = zrep_sync(pair.a, filesystem=target, force=True)
    assert not result.failed, result["msg"]
    copy = copy_of(pair, "zrep_000000")
    assert result["preserved"][0]["name"] == copy
    assert "own" in files(pair.b, f"{copy}@{snapshots(pair.b, copy)[-1]}")
    assert pair.on_b() == ["zrep_000000"]
    pair.sync()
    pair.assert_same()
