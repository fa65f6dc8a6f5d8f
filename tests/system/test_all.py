# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All pairs of a host at once: one that fails does not stop the others."""

from __future__ import annotations

import pytest

from tests.lab import Host
from tests.system.pairs import FAIL, Pair, dump, ready_pair
from tests.system.product import zrep_info, zrep_snapshot, zrep_sync

pytestmark = pytest.mark.system


@pytest.fixture
def three(fresh, host1: Host, host2: Host) -> list[Pair]:
    """Three pairs, each with something new to send."""
    pairs = [ready_pair(fresh, host1, host2, base) for base in ("one", "two", "three")]
    for pair in pairs:
        pair.write("more")
    return pairs


@pytest.mark.acceptance(24)
@pytest.mark.parametrize(
    "why", ["replica gone", "replica diverged", "receive fails", "nonsense here", "nonsense there"]
)
@pytest.mark.parametrize("parallel", [1, 3])
def test_case_24_the_second_of_three_fails(three: list[Pair], why: str, parallel: int) -> None:
    """Given `sync all` on a host mastering three datasets, (+) when the second fails, then the third is still synced
    and the status is 1."""
    first, second, third = sorted(three, key=lambda pair: pair.fs)
    host1, host2 = first.a, first.b
    if why == "replica gone":
        host2.zfs("destroy", "-r", second.dest)
    elif why == "replica diverged":
        host2.zfs("rollback", f"{second.dest}@zrep_000000")
        host2.zfs("rename", f"{second.dest}@zrep_000000", f"{second.dest}@other")
        host2.zfs("destroy", f"{second.dest}@other")
    elif why == "receive fails":
        # Whichever comes second; the executor may start them in any order.
        host2.intercept(f'[ "$3" = {second.dest} ] || exec /run/lab/real/zfs "$@"; {FAIL}', n=2, verbs=("receive",))
    elif why == "nonsense here":
        host1.zfs("set", "zrep:dest-fs=-x y", second.fs)
    else:
        host2.zfs("set", "zrep:src-host=;", second.dest)
    result = zrep_sync(host1, filesystem="all", parallel=parallel)
    host2.clear_faults()
    if why == "receive fails" and not result.failed:
        pytest.skip("another stream was the second one this time")
    assert result.failed
    assert [item["filesystem"] for item in result["failed_filesystems"]] == [second.fs]
    assert second.fs in result["msg"] or second.dest in result["msg"]
    assert first.fs not in result["msg"]
    for pair in (first, third):
        pair.assert_same()
        assert pair.on_b() == ["zrep_000000", "zrep_000001"]
        assert {action for _host, action, target in result.actions if target == f"{pair.fs}@zrep_000001"} == {
            "snapshot",
            "send",
            "mark_sent",
        }
    assert {item["filesystem"] for item in result["pairs"]} >= {first.fs, third.fs}


def test_two_failures_are_both_named(three: list[Pair]) -> None:
    for pair in three[:2]:
        pair.b.zfs("destroy", "-r", pair.dest)
    result = zrep_sync(three[0].a, filesystem="all")
    assert {item["filesystem"] for item in result["failed_filesystems"]} == {three[0].fs, three[1].fs}
    assert all(pair.dest in result["msg"] for pair in three[:2])
    three[2].assert_same()


def test_the_message_names_the_filesystems_here(three: list[Pair]) -> None:
    three[0].b.zfs("destroy", "-r", three[0].dest)
    assert three[0].fs in zrep_sync(three[0].a, filesystem="all")["msg"]


def test_one_peer_of_two_is_away(three: list[Pair]) -> None:
    """The others are synced; the peer that is away is asked once."""
    away, *rest = three
    away.a.zfs("set", "zrep:dest-host=root@192.0.2.1", away.fs)
    result = zrep_sync(away.a, filesystem="all", ssh="ssh -o ConnectTimeout=1")
    assert result.code == "unreachable"
    for pair in rest:
        pair.assert_same()


def test_several_by_name_of_which_one_does_not_exist(three: list[Pair], fresh) -> None:
    missing = fresh.name(three[0].a, "missing")
    result = zrep_sync(three[0].a, filesystem=[three[0].fs, missing, three[1].fs])
    assert [item["filesystem"] for item in result["failed_filesystems"]] == [missing]
    three[0].assert_same()
    three[1].assert_same()


@pytest.mark.parametrize("check", [False, True])
def test_all_on_a_host_without_pairs_says_so(fresh, host1: Host, host2: Host, check: bool) -> None:
    fresh.create(host1)
    before = dump(host1, host2)
    for result in (
        zrep_sync(host1, filesystem="all", check=check),
        zrep_snapshot(host1, filesystem="all", check=check),
        zrep_snapshot(host1, filesystem="all", state="expired", check=check),
    ):
        assert not result.failed
        assert not result.changed
        assert result["pairs"] == []
        assert "host1" in result["notes"][0]
    assert zrep_info(host1)["pairs"] == []
    assert dump(host1, host2) == before


def test_all_on_a_host_without_pools(lab) -> None:
    bare = lab.hosts.get("bare") or lab.add_host("bare")
    assert zrep_sync(bare, filesystem="all")["notes"]
    assert zrep_info(bare)["pairs"] == []


def test_snapshots_of_all_are_taken_and_expired(three: list[Pair]) -> None:
    taken = zrep_snapshot(three[0].a, filesystem="all")
    assert sorted(taken["snapshots"]) == sorted(f"{pair.fs}@zrep_000001" for pair in three)
    zrep_sync(three[0].a, filesystem="all")
    for pair in three:
        pair.a.zfs("set", "zrep:savecount=1", pair.fs)
    expired = zrep_snapshot(three[0].a, filesystem="all", state="expired")
    assert not expired.failed
    assert [pair.on_a() for pair in three] == [["zrep_000002"]] * 3
