# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs that exist in some form already: adopted, re-pointed, mended, removed."""

from __future__ import annotations

import pytest

from tests.lab import Host
from tests.system import script
from tests.system.pairs import Pair, dump, exists, guids, local, make_pair, marks, snapshots, value
from tests.system.product import zrep_info, zrep_pair, zrep_snapshot, zrep_sync

pytestmark = pytest.mark.system


@pytest.fixture
def by_hand(fresh, host1: Host, host2: Host) -> Pair:
    """A replication that was made without us: one common snapshot, @base."""
    pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))
    pair.write()
    host1.zfs("snapshot", f"{pair.fs}@base")
    host1.run(f"zfs send {pair.fs}@base | ssh host2 zfs receive -u {pair.dest}")
    return pair


def present(pair: Pair, **options: object):
    return zrep_pair(pair.a, filesystem=pair.fs, peer_host=pair.b.name, peer_filesystem=pair.dest, **options)


@pytest.mark.parametrize("adopt", ["newest", "base"])
def test_adopt_sends_only_what_is_new(by_hand: Pair, host1: Host, host2: Host, adopt: str) -> None:
    result = present(by_hand, adopt=adopt)
    assert not result.failed, result["msg"]
    assert [step["what"] for step in result["actions"] if step["action"] == "send"] == [
        f"send {by_hand.fs}@zrep_000000 from base to {by_hand.dest}"
    ]
    assert by_hand.on_b() == ["base", "zrep_000000"]
    assert value(host2, by_hand.dest, "readonly") == "on"
    by_hand.assert_same()
    assert not present(by_hand, adopt=adopt).changed
    assert not present(by_hand).changed
    by_hand.sync()


def test_adopt_of_something_else_is_refused(by_hand: Pair, fresh, host1: Host, host2: Host) -> None:
    other = fresh.create(host2, "other")
    host2.zfs("snapshot", f"{other}@base")
    before = dump(host1, host2)
    by_name_only = zrep_pair(host1, filesystem=by_hand.fs, peer_host="host2", peer_filesystem=other, adopt="base")
    assert by_name_only.code == "no_common_snapshot"
    assert present(by_hand, adopt="daily").code == "no_common_snapshot"
    missing = zrep_pair(
        host1, filesystem=by_hand.fs, peer_host="host2", peer_filesystem=fresh.name(host2, "none"), adopt="newest"
    )
    assert missing.code == "not_found"
    assert dump(host1, host2) == before


def test_adopt_of_an_older_snapshot_names_the_newer(by_hand: Pair, host1: Host, host2: Host) -> None:
    host1.zfs("snapshot", f"{by_hand.fs}@later")
    host1.run(f"zfs send -i base {by_hand.fs}@later | ssh host2 zfs receive {by_hand.dest}")
    refused = present(by_hand, adopt="base")
    assert refused.code == "no_common_snapshot"
    assert "later" in refused["msg"]
    assert not present(by_hand, adopt="later").failed


def test_adopt_with_own_snapshots_on_the_replica_needs_force(by_hand: Pair, host1: Host, host2: Host) -> None:
    host2.zfs("mount", by_hand.dest)
    host2.write_file(f"/{by_hand.dest}/own", "own")
    host2.zfs("snapshot", f"{by_hand.dest}@own")
    before = dump(host1, host2)
    refused = present(by_hand, adopt="newest")
    assert refused.code == "diverged"
    assert "own" in refused["msg"]
    assert dump(host1, host2) == before
    forced = present(by_hand, adopt="newest", force=True)
    assert not forced.failed, forced["msg"]
    by_hand.assert_same()


def test_adopt_a_master_is_refused(fresh, host1: Host, host2: Host) -> None:
    pair = make_pair(fresh, host1, host2)
    host2.zfs("set", "zrep:master=yes", pair.dest)
    zrep_pair(host1, filesystem=pair.fs, state="absent", local_only=True)
    before = dump(host1, host2)
    assert present(pair, adopt="newest").code == "split_brain"
    assert dump(host1, host2) == before


@pytest.mark.acceptance(60)
def test_case_60_a_pair_is_pointed_to_a_moved_replica(fresh, host1: Host, host2: Host) -> None:
    """Given `changeconfig`, then the four role properties change, snapshots and master do not; (+) savecount is
    kept."""
    pair = make_pair(fresh, host1, host2, savecount=7, peer_savecount=3)
    pair.sync()
    moved = Pair(host1, pair.fs, host2, fresh.name(host2, "moved"))
    host2.zfs("rename", pair.dest, moved.dest)
    before = guids(host1, pair.fs), marks(host1, pair.fs)
    refused = present(moved)
    assert refused.code == "paired_elsewhere"
    assert "adopt" in refused["msg"]
    result = present(moved, adopt="newest")
    assert not result.failed, result["msg"]
    for host, dataset in ((host1, moved.fs), (host2, moved.dest)):
        assert value(host, dataset, "zrep:dest-fs") == moved.dest
        assert value(host, dataset, "zrep:dest-host") == "host2"
        assert value(host, dataset, "zrep:src-fs") == moved.fs
    assert local(host1, moved.fs, "zrep:master") == "yes"
    assert local(host2, moved.dest, "zrep:master") is None
    assert (guids(host1, pair.fs), marks(host1, pair.fs)) == before
    assert (local(host1, moved.fs, "zrep:savecount"), value(host2, moved.dest, "zrep:savecount")) == ("7", "3")
    assert not present(moved, adopt="newest").changed
    moved.write("more")
    moved.sync()
    moved.assert_same()


def test_another_peer_is_refused(fresh, host1: Host, host2: Host) -> None:
    pair = make_pair(fresh, host1, host2)
    before = dump(host1, host2)
    elsewhere = zrep_pair(host1, filesystem=pair.fs, peer_host="host2", peer_filesystem=fresh.name(host2, "elsewhere"))
    assert elsewhere.code == "paired_elsewhere"
    assert dump(host1, host2) == before


def test_what_was_changed_by_hand_is_mended(fresh, host1: Host, host2: Host) -> None:
    pair = make_pair(fresh, host1, host2, peer_properties={"quota": "100M"})
    host2.zfs("set", "readonly=off", pair.dest)
    host2.zfs("set", "quota=none", pair.dest)
    for name in ("src-host", "savecount", "dest-fs"):
        host2.zfs("inherit", f"zrep:{name}", pair.dest)
    result = present(pair, peer_properties={"quota": "100M"}, savecount=4)
    assert not result.failed, result["msg"]
    assert value(host2, pair.dest, "readonly") == "on"
    assert value(host2, pair.dest, "quota") == str(100 * 1024 * 1024)
    assert value(host2, pair.dest, "zrep:src-host") == "host1"
    assert value(host2, pair.dest, "zrep:dest-fs") == pair.dest
    assert (local(host1, pair.fs, "zrep:savecount"), value(host2, pair.dest, "zrep:savecount")) == ("4", "4")
    assert not present(pair, peer_properties={"quota": "100M"}, savecount=4).changed


def test_create_properties_are_for_the_creation_only(fresh, host1: Host, host2: Host) -> None:
    pair = make_pair(fresh, host1, host2, create_properties={"compression": "on", "my:note": "a b"})
    assert (value(host2, pair.dest, "compression"), value(host2, pair.dest, "my:note")) == ("on", "a b")
    host2.zfs("set", "compression=off", pair.dest)
    assert not present(pair, create_properties={"compression": "on", "my:note": "a b"}).changed


def test_the_replica_host_can_check_the_pair(fresh, host1: Host, host2: Host) -> None:
    """After a failover the playbook still runs on the host that it always ran on."""
    pair = make_pair(fresh, host1, host2)
    result = zrep_pair(host2, filesystem=pair.dest, peer_host="host1", peer_filesystem=pair.fs)
    assert not result.failed, result["msg"]
    assert not result.changed
    assert result["pair"]["role"] == "replica"
    assert zrep_pair(host2, filesystem=pair.dest, peer_host="host1", peer_filesystem=pair.fs, savecount=2).changed
    assert (value(host1, pair.fs, "zrep:savecount"), value(host2, pair.dest, "zrep:savecount")) == ("2", "2")


@pytest.mark.acceptance(61)
def test_case_61_the_half_of_a_pair_here_is_removed(fresh, host1: Host, host2: Host) -> None:
    """Given `clear -f a`, then no snapshot @TAG_hhhhhh and no TAG:* local property remains on A, data and readonly
    unchanged, B untouched; (+) other tags and foreign names survive."""
    pair = make_pair(fresh, host1, host2)
    pair.sync()
    foreign = ["daily-1", "zrep_dc_000000", "zrep_abcdef-mine", "other_000000"]
    for short in foreign:
        host1.zfs("snapshot", f"{pair.fs}@{short}")
    host1.zfs("set", "xzrep:bar=kept", pair.fs)
    host1.zfs("set", "other:master=yes", pair.fs)
    replica = dump(host2)
    result = zrep_pair(host1, filesystem=pair.fs, state="absent", local_only=True, force=True)
    assert not result.failed, result["msg"]
    assert snapshots(host1, pair.fs) == foreign
    names = host1.zfs("get", "-H", "-s", "local", "-o", "property", "all", pair.fs).split()
    assert [name for name in names if name.startswith("zrep:")] == []
    assert local(host1, pair.fs, "xzrep:bar") == "kept"
    assert local(host1, pair.fs, "other:master") == "yes"
    assert host1.read_file(f"/{pair.fs}/file") == "text\n"
    assert value(host1, pair.fs, "readonly") == "off"
    assert dump(host2) == replica
    assert not zrep_pair(host1, filesystem=pair.fs, state="absent", local_only=True, force=True).changed


def test_absent_takes_both_halves_and_leaves_data_and_snapshots(fresh, host1: Host, host2: Host) -> None:
    pair = make_pair(fresh, host1, host2)
    pair.sync()
    names = pair.on_a()
    result = zrep_pair(host1, filesystem=pair.fs, state="absent")
    assert not result.failed, result["msg"]
    assert pair.on_a() == pair.on_b() == names
    assert pair.marks() == ({}, {})
    assert zrep_info(host1)["pairs"] == zrep_info(host2)["pairs"] == []
    assert value(host2, pair.dest, "readonly") == "on"
    assert not zrep_pair(host1, filesystem=pair.fs, state="absent").changed
    # And the way back, without sending it all again.
    again = present(pair, adopt="newest")
    assert not again.failed, again["msg"]
    assert len([step for step in again["actions"] if step["action"] == "send"]) == 0
    pair.sync()
    pair.assert_same()


def test_absent_of_a_filesystem_that_does_not_exist_is_so(fresh, host1: Host) -> None:
    assert not zrep_pair(host1, filesystem=fresh.name(host1, "none"), state="absent").changed


def test_absent_from_the_replica(fresh, host1: Host, host2: Host) -> None:
    pair = make_pair(fresh, host1, host2)
    assert zrep_pair(host2, filesystem=pair.dest, state="absent", force=True).changed
    assert zrep_info(host1)["pairs"] == zrep_info(host2)["pairs"] == []
    assert exists(host1, pair.fs)
    assert exists(host2, pair.dest)
    assert pair.on_a() == pair.on_b() == []


@pytest.mark.acceptance(59)
def test_case_59_existing_data_by_hand_then_recorded_as_sent(by_hand: Pair, host1: Host, host2: Host) -> None:
    """The master is set on A by sentsync (the part of case 59 that needs no pull)."""
    host1.zfs("snapshot", f"{by_hand.fs}@zrep_000001")
    host1.run(f"zfs send -i base {by_hand.fs}@zrep_000001 | ssh host2 zfs receive {by_hand.dest}")
    for host, dataset in ((host1, by_hand.fs), (host2, by_hand.dest)):
        for name, text in {
            "src-fs": by_hand.fs,
            "src-host": "host1",
            "dest-fs": by_hand.dest,
            "dest-host": "host2",
            "savecount": "5",
        }.items():
            host.zfs("set", f"zrep:{name}={text}", dataset)
    assert zrep_sync(host1, filesystem=by_hand.fs).code == "wrong_role"
    result = zrep_snapshot(host1, filesystem=by_hand.fs, state="sent", snapshot="zrep_000001")
    assert not result.failed, result["msg"]
    assert local(host1, by_hand.fs, "zrep:master") == "yes"
    script.sync(by_hand)
    by_hand.sync()
    by_hand.assert_same()
