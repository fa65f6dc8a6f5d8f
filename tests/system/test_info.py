# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What zrep_info tells, and that it changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.lab import Host
from tests.system.pairs import Pair, dump, guids, ready_pair
from tests.system.product import zrep_info, zrep_snapshot

pytestmark = pytest.mark.system


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    return ready_pair(fresh, host1, host2)


def told(host: Host, **options: object) -> dict:
    """What is told about the only pair of a host."""
    result = zrep_info(host, **options)
    assert not result.failed, result["msg"]
    assert not result.changed
    (found,) = result["pairs"]
    assert result["problems"] == len(found["problems"])
    assert found["healthy"] == (not found["problems"])
    return found


def codes(found: dict) -> set[str]:
    return {problem["code"] for problem in found["problems"]}


def test_both_sides_of_a_healthy_pair(pair: Pair) -> None:
    pair.sync()
    before = pair.dump()
    master, replica = told(pair.a, check_peer=True), told(pair.b, check_peer=True)
    assert pair.dump() == before
    assert (master["role"], replica["role"]) == ("master", "replica")
    assert (master["filesystem"], master["peer_host"], master["peer_filesystem"]) == (pair.fs, "host2", pair.dest)
    assert (replica["filesystem"], replica["peer_host"], replica["peer_filesystem"]) == (pair.dest, "host1", pair.fs)
    assert (master["readonly"], replica["readonly"]) == (False, True)
    assert (master["mounted"], replica["mounted"]) == (True, False)
    for found in (master, replica):
        assert found["healthy"], found["problems"]
        assert found["peer_reachable"]
        assert found["savecount"] == 5
        assert found["last_snapshot"] == "zrep_000001"
        assert found["last_sync"] == int(pair.marks()[0]["zrep_000001"])
        assert found["peer"]["common_snapshot"]["name"] == "zrep_000001"
        assert found["busy"] is False
    assert {item["name"]: item["guid"] for item in master["snapshots"]} == guids(pair.a, pair.fs)
    assert master["snapshots"][1]["sent"] == master["last_sync"]


def test_what_was_not_sent_yet(pair: Pair) -> None:
    pair.a.zfs("set", "my:commit=1", pair.fs)
    assert told(pair.a)["unsent_bytes"] == 0
    pair.a.run(f"head -c 1000000 /dev/urandom >/{pair.fs}/big")
    # The numbers of zfs-fuse lag behind by a transaction group, which this ends.
    pair.a.zfs("set", "my:commit=2", pair.fs)
    found = told(pair.a)
    assert 1000000 <= found["unsent_bytes"] < 1500000
    assert found["unsent_snapshots"] == []
    zrep_snapshot(pair.a, filesystem=pair.fs)
    assert told(pair.a)["unsent_snapshots"] == ["zrep_000001"]
    pair.sync()
    pair.a.zfs("set", "my:commit=3", pair.fs)
    found = told(pair.a)
    assert (found["unsent_bytes"], found["unsent_snapshots"]) == (0, [])


def test_lag_and_its_limit(pair: Pair) -> None:
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        host.zfs("set", f"zrep:sent={int(time.time()) - 1000}", f"{dataset}@zrep_000000")
    for host in (pair.a, pair.b):
        found = told(host, max_lag=900)
        assert 1000 <= found["lag_seconds"] < 1100
        assert codes(found) == {"lag"}
        assert told(host, max_lag=5000)["healthy"]
        assert told(host)["healthy"]
    assert zrep_info(pair.a, max_lag=-1).code == "bad_input"


def make_readonly(pair: Pair) -> None:
    # zfs-fuse shows a mounted filesystem as it is mounted, whatever the property says.
    pair.a.zfs("unmount", pair.fs)
    pair.a.zfs("set", "readonly=on", pair.fs)


BENT: dict[str, tuple[str, bool, Callable[[Pair], object]]] = {
    # What is done: the problem's code, whether it is seen without asking the peer, how.
    "master readonly": ("master_readonly", True, make_readonly),
    "count": ("bad_property", True, lambda pair: pair.a.zfs("set", "zrep:savecount=many", pair.fs)),
    "mark": ("bad_property", True, lambda pair: pair.a.zfs("set", "zrep:sent=yesterday", f"{pair.fs}@zrep_000000")),
    "source": ("wrong_source", True, lambda pair: pair.a.zfs("set", "zrep:src-host=other", pair.fs)),
    "never sent": ("never_synced", True, lambda pair: pair.a.zfs("inherit", "zrep:sent", f"{pair.fs}@zrep_000000")),
    "replica writable": ("replica_writable", False, lambda pair: pair.b.zfs("set", "readonly=off", pair.dest)),
    "both master": ("split_brain", False, lambda pair: pair.b.zfs("set", "zrep:master=yes", pair.dest)),
    "another's": ("paired_elsewhere", False, lambda pair: pair.b.zfs("set", "zrep:src-fs=pool9/x", pair.dest)),
    "count there": ("bad_property", False, lambda pair: pair.b.zfs("set", "zrep:savecount=-3", pair.dest)),
    "host there": ("bad_property", False, lambda pair: pair.b.zfs("set", "zrep:src-host=a b", pair.dest)),
    "replica gone": ("peer_missing", False, lambda pair: pair.b.zfs("destroy", "-r", pair.dest)),
    "no master": ("no_master", False, lambda pair: pair.a.zfs("inherit", "zrep:master", pair.fs)),
}


@pytest.mark.parametrize("what", BENT)
def test_problems_and_their_codes(pair: Pair, what: str) -> None:
    code, seen_without_peer, bend = BENT[what]
    bend(pair)
    before = pair.dump()
    alone, together = told(pair.a), told(pair.a, check_peer=True)
    assert pair.dump() == before
    assert (code in codes(alone)) == seen_without_peer
    assert code in codes(together)
    for problem in together["problems"]:
        assert problem["severity"] in ("error", "warning")
        assert problem["message"]


def test_the_same_snapshot_by_another_name(pair: Pair) -> None:
    """check_peer compares by GUID."""
    pair.b.zfs("rename", f"{pair.dest}@zrep_000000", f"{pair.dest}@x")
    found = told(pair.a, check_peer=True)
    assert found["healthy"], found["problems"]
    assert found["peer"]["common_snapshot"]["peer_name"] == "x"


def test_names_alone_are_nothing_in_common(pair: Pair) -> None:
    """check_peer compares by GUID."""
    pair.b.zfs("destroy", f"{pair.dest}@zrep_000000")
    pair.b.zfs("snapshot", f"{pair.dest}@zrep_000000")
    assert told(pair.a)["healthy"]
    found = told(pair.a, check_peer=True)
    assert "no_common_snapshot" in codes(found)
    assert found["peer"]["common_snapshot"] is None


def test_split_brain_says_what_each_side_has(pair: Pair) -> None:
    pair.b.zfs("set", "zrep:master=yes", pair.dest)
    pair.a.zfs("snapshot", f"{pair.fs}@only-here")
    for name in ("only-there", "only-there-too"):
        pair.b.zfs("snapshot", f"{pair.dest}@{name}")
    found = told(pair.a, check_peer=True)
    assert codes(found) == {"split_brain", "diverged"}
    common = found["peer"]["common_snapshot"]
    assert (common["name"], common["later_here"]) == ("zrep_000000", ["only-here"])
    assert common["later_there"] == ["only-there", "only-there-too"]


def test_a_peer_that_is_away_is_a_problem_and_no_failure(pair: Pair) -> None:
    pair.b.stop_sshd()
    found = told(pair.a, check_peer=True)
    assert found["peer_reachable"] is False
    assert found["peer"] is None
    assert codes(found) == {"unreachable"}
    assert "host2" in found["problems"][0]["message"]
    assert told(pair.a)["healthy"]


def test_several_and_unknown_filesystems(pair: Pair, fresh) -> None:
    other = ready_pair(fresh, pair.a, pair.b, "other")
    plain, missing = fresh.create(pair.a, "plain"), fresh.name(pair.a, "missing")
    everything = zrep_info(pair.a, check_peer=True)["pairs"]
    assert {found["filesystem"] for found in everything} == {pair.fs, other.fs}
    result = zrep_info(pair.a, filesystem=[pair.fs, plain, missing], check_peer=True)
    assert not result.failed
    assert [sorted(codes(found)) for found in result["pairs"]] == [[], ["not_paired"], ["not_found"]]
    assert [found["role"] for found in result["pairs"]] == ["master", "none", "none"]
    assert zrep_info(pair.a, all=True, filesystem=[pair.fs]).code == "bad_input"


def test_nonsense_in_one_pair_does_not_hide_the_others(pair: Pair, fresh) -> None:
    other = ready_pair(fresh, pair.a, pair.b, "other")
    pair.a.zfs("set", "zrep:dest-fs=$(reboot)", pair.fs)
    pair.b.zfs("set", "zrep:src-fs=;;", pair.dest)
    before = dump(pair.a, pair.b)
    result = zrep_info(pair.a, check_peer=True)
    found = {item["filesystem"]: item for item in result["pairs"]}
    assert codes(found[pair.fs]) == {"bad_property"}
    assert found[other.fs]["healthy"]
    assert dump(pair.a, pair.b) == before
