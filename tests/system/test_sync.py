# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replicas are brought up to date. Numbers are those of the behaviour reference's acceptance cases."""

from __future__ import annotations

import time

import pytest

from tests.lab import Host
from tests.system import script
from tests.system.pairs import Pair, dump, guids, local, marks, ready_pair, value
from tests.system.product import zrep_info, zrep_pair, zrep_snapshot, zrep_sync

pytestmark = pytest.mark.system


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair that was just made."""
    return ready_pair(fresh, host1, host2)


@pytest.mark.both
@pytest.mark.acceptance(13)
def test_case_13_the_next_snapshot_is_sent_and_marked(pair: Pair) -> None:
    """Given n sent, when sync runs with new data, then B gets n+1, both marked with the same sent, and the number is
    not later than the end of the send."""
    pair.sync()
    pair.write("new data")
    before = int(time.time())
    result = pair.sync()
    after = time.time()
    assert pair.on_a() == pair.on_b() == ["zrep_000000", "zrep_000001", "zrep_000002"]
    here, there = pair.marks()
    assert here == there
    assert before <= int(here["zrep_000002"]) <= after
    pair.assert_same()
    assert result.changed
    assert result["pairs"][0]["last_snapshot"] == "zrep_000002"
    assert result["pairs"][0]["last_sync"] == int(here["zrep_000002"])


@pytest.mark.acceptance(14)
@pytest.mark.parametrize("by", ["us", "the script"])
def test_case_14_send_only_carries_what_was_taken_before(pair: Pair, by: str) -> None:
    """Given two unsent snapshots after n (snaponly twice), when synconly runs with the default tag, then both arrive on
    B and only the last is marked."""
    for text in ("one", "two"):
        pair.write(text)
        if by == "us":
            assert zrep_snapshot(pair.a, filesystem=pair.fs).changed
        else:
            script.snaponly(pair)
    pair.sync(send_only=True)
    assert pair.on_b() == ["zrep_000000", "zrep_000001", "zrep_000002"]
    assert set(pair.marks()[0]) == set(pair.marks()[1]) == {"zrep_000000", "zrep_000002"}
    pair.assert_same()


@pytest.mark.acceptance(15)
def test_case_15_a_custom_tag_sends_nothing_between(fresh, host1: Host, host2: Host) -> None:
    """Given a custom tag, then the send is incremental -i and other tags' snapshots do not arrive."""
    pair = ready_pair(fresh, host1, host2, tag="dc")
    host1.zfs("snapshot", f"{pair.fs}@zrep_000007")
    host1.zfs("snapshot", f"{pair.fs}@daily-1")
    with host1.trace() as seen:
        pair.sync()
    assert [argv[2] for argv in seen.processes if argv[1] == "send"] == ["-i"]
    assert pair.on_b() == ["dc_000000", "dc_000001"]
    host1.zfs("snapshot", f"{pair.fs}@daily-2")
    pair.sync(intermediates=True)
    assert pair.on_b() == ["dc_000000", "dc_000001", "daily-2", "dc_000002"]


def test_the_default_tag_carries_the_snapshots_between(pair: Pair) -> None:
    pair.a.zfs("snapshot", f"{pair.fs}@daily-1")
    pair.sync()
    assert pair.on_b() == ["zrep_000000", "daily-1", "zrep_000001"]
    pair.a.zfs("snapshot", f"{pair.fs}@daily-2")
    pair.sync(intermediates=False)
    assert pair.on_b() == ["zrep_000000", "daily-1", "zrep_000001", "zrep_000002"]


@pytest.mark.acceptance(16)
def test_case_16_nothing_to_send_still_expires(pair: Pair) -> None:
    """Given latest = last sent, when synconly runs, then nothing is sent, status 0, expiry still runs."""
    for _number in range(2):
        pair.sync()
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        host.zfs("set", "zrep:savecount=1", dataset)
    result = pair.sync(send_only=True)
    assert {action for _host, action, _target in result.actions} == {"destroy"}
    assert pair.on_a() == pair.on_b() == ["zrep_000002"]
    assert not pair.sync(send_only=True).changed


@pytest.mark.both
@pytest.mark.acceptance(27)
def test_case_27_without_change_only_the_mark_moves(pair: Pair) -> None:
    """Given -c and no change since last sent, then no new snapshot and the sent of the last sent snapshot moves; (+) on
    both sides."""
    pair.write("something")
    pair.sync()
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        host.zfs("set", "zrep:sent=1000000000", f"{dataset}@zrep_000001")
    result = pair.sync(only_if_changed=True)
    assert [action for _host, action, _target in result.actions] == ["mark_sent", "mark_sent"]
    assert pair.on_b() == ["zrep_000000", "zrep_000001"]
    here, there = pair.marks()
    assert here == there
    assert int(here["zrep_000001"]) > 1000000000


@pytest.mark.acceptance(27)
def test_case_27_where_zfs_cannot_tell_it_syncs(pair: Pair) -> None:
    """Since zfs-fuse counts what was written from the newest snapshot of anybody, not from ours."""
    pair.write("something")
    pair.a.zfs("snapshot", f"{pair.fs}@daily-1")
    pair.sync(only_if_changed=True)
    assert pair.on_b() == ["zrep_000000", "daily-1", "zrep_000001"]
    pair.assert_same()


@pytest.mark.acceptance(27)
def test_case_27_a_change_is_synced_at_once(pair: Pair) -> None:
    """However short ago it was written: the numbers of zfs lag behind, the module does not."""
    for text in ("one", "two"):
        pair.write(text)
        pair.sync(only_if_changed=True)
        pair.assert_same()
    assert pair.on_b() == ["zrep_000000", "zrep_000001", "zrep_000002"]


@pytest.mark.acceptance(28)
def test_case_28_only_the_master_pushes(pair: Pair) -> None:
    """Given the local dataset is not master, then sync status 1 and nothing changes."""
    before = pair.dump()
    refused = zrep_sync(pair.b, filesystem=pair.dest)
    assert refused.code == "wrong_role"
    assert "host1" in refused["msg"]
    assert pair.dump() == before
    everything = zrep_sync(pair.b, filesystem="all")
    assert not everything.failed
    assert everything["notes"]
    assert pair.dump() == before


@pytest.mark.acceptance(23)
def test_case_23_a_modified_replica_needs_force(pair: Pair) -> None:
    """Given B modified, then sync fails without -f and succeeds with -f."""
    pair.sync()
    pair.b.zfs("set", "readonly=off", pair.dest)
    pair.b.zfs("mount", pair.dest)
    pair.b.write_file(f"/{pair.dest}/own", "own")
    pair.b.zfs("unmount", pair.dest)
    pair.b.zfs("set", "readonly=on", pair.dest)
    pair.write("more")
    before = pair.dump()
    refused = pair.try_sync()
    assert refused.code == "diverged"
    assert "force" in refused["msg"]
    assert pair.dump() == before
    pair.sync(force=True)
    pair.assert_same()


@pytest.mark.acceptance(23)
def test_case_23_with_a_snapshot_of_its_own(pair: Pair) -> None:
    pair.b.zfs("set", "readonly=off", pair.dest)
    pair.b.zfs("mount", pair.dest)
    pair.b.write_file(f"/{pair.dest}/own", "own")
    pair.b.zfs("unmount", pair.dest)
    pair.b.zfs("snapshot", f"{pair.dest}@own")
    before = pair.dump()
    refused = pair.try_sync()
    assert refused.code == "diverged"
    assert pair.dump() == before
    result = pair.sync(force=True)
    assert [step["what"] for step in result["actions"] if step["action"] == "rollback"] == [
        f"roll back to {pair.dest}@zrep_000000, with it goes own"
    ]
    pair.assert_same()


@pytest.mark.acceptance(29)
def test_case_29_the_replica_is_rolled_back(pair: Pair) -> None:
    """Given `sync a@zrep_000001` with 1..3 sent, then B is rolled back to 1, A keeps 1..3 with sent removed from 2 and
    3, and a following sync brings B to 4."""
    for text in ("one", "two", "three"):
        pair.write(text)
        pair.sync()
    result = zrep_sync(pair.a, filesystem=f"{pair.fs}@zrep_000001")
    assert not result.failed, result["msg"]
    assert pair.on_b() == ["zrep_000000", "zrep_000001"]
    assert pair.on_a() == [f"zrep_00000{number}" for number in range(4)]
    assert set(pair.marks()[0]) == {"zrep_000000", "zrep_000001"}
    assert not zrep_sync(pair.a, filesystem=f"{pair.fs}@zrep_000001").changed
    pair.sync()
    assert pair.on_b()[-1] == "zrep_000004"
    pair.assert_same()


@pytest.mark.acceptance(29)
def test_case_29_what_only_the_replica_has_needs_force(pair: Pair) -> None:
    pair.sync()
    pair.b.zfs("snapshot", f"{pair.dest}@own")
    before = pair.dump()
    assert zrep_sync(pair.a, filesystem=f"{pair.fs}@zrep_000000").code == "diverged"
    assert zrep_sync(pair.a, filesystem=f"{pair.fs}@zrep_000009").code == "not_found"
    assert pair.dump() == before
    assert not zrep_sync(pair.a, filesystem=f"{pair.fs}@zrep_000000", force=True).failed
    assert pair.on_b() == ["zrep_000000"]


def test_max_age_leaves_a_young_replica_alone(pair: Pair) -> None:
    pair.write("more")
    before = pair.dump()
    result = pair.sync(max_age=3600)
    assert not result.changed
    assert result["notes"]
    assert pair.dump() == before
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        host.zfs("set", f"zrep:sent={int(time.time()) - 3600}", f"{dataset}@zrep_000000")
    assert pair.sync(max_age=3600).changed
    assert not pair.sync(max_age=3600).changed
    assert pair.sync(max_age=0).changed


def test_a_replica_with_another_name_for_its_source(pair: Pair) -> None:
    """Spellings of one host that differ, as after a role swap, do not stop a sync."""
    pair.b.zfs("set", "zrep:src-host=host1.example.org", pair.dest)
    pair.sync()
    pair.b.zfs("set", "zrep:src-host=third", pair.dest)
    before = pair.dump()
    assert pair.try_sync().code == "paired_elsewhere"
    assert pair.dump() == before


def test_marks_of_the_script_without_properties_on_snapshots(pair: Pair) -> None:
    """A replica that never got a mark, as after the script's init, is no obstacle."""
    pair.b.zfs("inherit", "zrep:sent", f"{pair.dest}@zrep_000000")
    pair.write("more")
    pair.sync()
    assert marks(pair.b, pair.dest) == marks(pair.a, pair.fs)


def test_several_by_name_and_a_name_twice(fresh, host1: Host, host2: Host) -> None:
    pairs = [ready_pair(fresh, host1, host2, base) for base in ("one", "two")]
    result = zrep_sync(host1, filesystem=[pair.fs for pair in pairs], parallel=2)
    assert not result.failed, result["msg"]
    assert [item["filesystem"] for item in result["pairs"]] == [pair.fs for pair in pairs]
    for pair in pairs:
        pair.assert_same()
    before = dump(host1, host2)
    assert zrep_sync(host1, filesystem=[pairs[0].fs, pairs[0].fs]).code == "bad_input"
    assert dump(host1, host2) == before


def test_a_tagged_pair_beside_the_default(pair: Pair, fresh) -> None:
    """A failing pair of one tag does not touch the other tag's."""
    other = Pair(pair.a, pair.fs, pair.b, fresh.name(pair.b, "second"), "second")
    assert not zrep_pair(pair.a, filesystem=pair.fs, peer_host="host2", peer_filesystem=other.dest, tag="second").failed
    pair.b.zfs("destroy", "-r", other.dest)
    assert other.try_sync().failed
    pair.sync()
    assert value(pair.b, pair.dest, "second:dest-fs") == "-"
    assert local(pair.a, pair.fs, "second:master") == "yes"
    assert list(guids(pair.a, pair.fs))[-1] == "zrep_000001"
    assert zrep_info(pair.a, tag="second", check_peer=True)["problems"] > 0


def test_a_mark_on_the_filesystem_itself_marks_no_snapshot(pair: Pair) -> None:
    """Snapshots inherit it; only a mark of their own counts."""
    pair.sync()
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        host.zfs("set", "zrep:sent=1999999999", dataset)
    pair.a.zfs("snapshot", f"{pair.fs}@zrep_000002")
    assert pair.sync(max_age=1000000000)["notes"]
    found = zrep_info(pair.a)["pairs"][0]
    assert found["last_snapshot"] == "zrep_000001"
    assert found["unsent_snapshots"] == ["zrep_000002"]
    pair.sync()
    pair.assert_same()
