# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs are made: properties, names, identity. Numbers are those of the behaviour reference's acceptance cases."""

from __future__ import annotations

import time

import pytest

from tests.lab import Host, HostSpec, Lab
from tests.system import script
from tests.system.pairs import Pair, dump, guids, local, make_pair, marks, snapshots, value
from tests.system.product import zrep_info, zrep_pair, zrep_snapshot, zrep_sync

pytestmark = pytest.mark.system
CONFIGURATION = ("src-fs", "src-host", "dest-fs", "dest-host", "savecount")


def configuration(host: Host, dataset: str, tag: str = "zrep") -> dict[str, str]:
    return {name: value(host, dataset, f"{tag}:{name}") for name in CONFIGURATION}


@pytest.mark.acceptance(1)
def test_case_01_the_master_after_init(fresh, host1: Host, host2: Host) -> None:
    """A has local src-fs=a, src-host=<short A>, dest-fs=b, dest-host as typed, savecount=5, master=yes, and
    a@zrep_000000 has local sent = epoch seconds."""
    before = int(time.time())
    pair = make_pair(fresh, host1, host2)
    wanted = {"src-fs": pair.fs, "src-host": "host1", "dest-fs": pair.dest, "dest-host": "host2", "savecount": "5"}
    assert {name: local(host1, pair.fs, f"zrep:{name}") for name in CONFIGURATION} == wanted
    assert local(host1, pair.fs, "zrep:master") == "yes"
    assert pair.on_a() == ["zrep_000000"]
    assert before <= int(marks(host1, pair.fs)["zrep_000000"]) <= time.time()


@pytest.mark.acceptance(1)
def test_case_01_dest_host_is_recorded_as_typed(fresh, lab: Lab, host1: Host, host2: Host) -> None:
    for number, spelling in enumerate(("root@host2", host2.address)):
        pair = make_pair(fresh, host1, host2, f"fs{number}", peer_host=spelling)
        assert local(host1, pair.fs, "zrep:dest-host") == spelling
        assert value(host2, pair.dest, "zrep:dest-host") == spelling
        again = zrep_pair(host1, filesystem=pair.fs, peer_host=spelling, peer_filesystem=pair.dest)
        assert not again.changed


@pytest.mark.both
@pytest.mark.acceptance(2)
def test_case_02_the_replica_after_init(fresh, host1: Host, host2: Host) -> None:
    """B has the same five values (local or received), no local master, readonly=on, is not mounted, has
    b@zrep_000000."""
    pair = make_pair(fresh, host1, host2)
    assert configuration(host2, pair.dest) == configuration(host1, pair.fs)
    assert local(host2, pair.dest, "zrep:master") is None
    assert value(host2, pair.dest, "readonly") == "on"
    assert value(host2, pair.dest, "mounted") == "no"
    assert guids(host2, pair.dest) == guids(host1, pair.fs)
    assert pair.on_b() == ["zrep_000000"]


@pytest.mark.acceptance(3)
def test_case_03_the_script_syncs_a_pair_of_ours(fresh, host1: Host, host2: Host) -> None:
    """When the script on A syncs, then it succeeds and both sides hold zrep_000001 with equal sent."""
    pair = make_pair(fresh, host1, host2)
    pair.write("more")
    script.sync(pair)
    assert pair.on_b() == ["zrep_000000", "zrep_000001"]
    pair.assert_same()


@pytest.mark.acceptance(4)
def test_case_04_a_pair_of_the_script_is_taken_over_and_given_back(fresh, host1: Host, host2: Host) -> None:
    """Given a pair initialised by the script, when we sync, then the next serial follows the script's last one and
    the script can sync next."""
    pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))
    pair.write()
    script.init(pair)
    pair.write("two")
    pair.sync()
    assert pair.on_b() == ["zrep_000000", "zrep_000001"]
    pair.write("three")
    script.sync(pair)
    assert pair.on_b() == ["zrep_000000", "zrep_000001", "zrep_000002"]
    pair.write("four")
    pair.sync()
    assert pair.on_a()[-1] == "zrep_000003"
    pair.assert_same()


@pytest.mark.acceptance(4)
def test_case_04_state_present_accepts_a_pair_of_the_script_as_it_stands(fresh, host1: Host, host2: Host) -> None:
    pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))
    script.init(pair)
    script.sync(pair)
    before = pair.dump()
    result = zrep_pair(host1, filesystem=pair.fs, peer_host="host2", peer_filesystem=pair.dest)
    assert not result.failed, result["msg"]
    assert not result.changed
    assert pair.dump() == before


@pytest.mark.acceptance(5)
def test_case_05_serials_are_hexadecimal(fresh, host1: Host, host2: Host) -> None:
    """Given snapshots ...09, when the next is made, then it is ...0a (lower case, six digits)."""
    pair = make_pair(fresh, host1, host2)
    host1.zfs("snapshot", f"{pair.fs}@zrep_000009")
    assert zrep_snapshot(host1, filesystem=pair.fs)["snapshots"] == [f"{pair.fs}@zrep_00000a"]
    host1.zfs("snapshot", f"{pair.fs}@zrep_0000ff")
    assert zrep_snapshot(host1, filesystem=pair.fs)["snapshots"] == [f"{pair.fs}@zrep_000100"]


@pytest.mark.acceptance(6)
def test_case_06_an_unsent_snapshot_keeps_its_serial(fresh, host1: Host, host2: Host) -> None:
    """Given the latest snapshot is zrep_00000c_unsent, when the next is made, then it is zrep_00000d."""
    pair = make_pair(fresh, host1, host2)
    host1.zfs("snapshot", f"{pair.fs}@zrep_00000c_unsent")
    assert zrep_snapshot(host1, filesystem=pair.fs)["snapshots"] == [f"{pair.fs}@zrep_00000d"]


@pytest.mark.acceptance(8)
def test_case_08_children_are_no_pairs(fresh, host1: Host, host2: Host) -> None:
    """Given a child that inherits zrep:*, then it is neither listed as a pair nor considered master."""
    pair = make_pair(fresh, host1, host2)
    host1.zfs("create", f"{pair.fs}/child")
    assert [found["filesystem"] for found in zrep_info(host1)["pairs"]] == [pair.fs]
    told = zrep_info(host1, filesystem=f"{pair.fs}/child")["pairs"][0]
    assert told["role"] == "none"
    assert [problem["code"] for problem in told["problems"]] == ["not_paired"]
    assert {target for _host, _action, target in zrep_sync(host1, filesystem="all").actions} == {
        f"{pair.fs}@zrep_000001",
        f"{pair.dest}@zrep_000001",
    }
    assert zrep_sync(host1, filesystem=f"{pair.fs}/child").code == "not_paired"


@pytest.mark.acceptance(8)
def test_case_08_a_child_can_be_a_pair_of_its_own(fresh, host1: Host, host2: Host) -> None:
    pair = make_pair(fresh, host1, host2)
    host1.zfs("create", f"{pair.fs}/child")
    other = Pair(host1, f"{pair.fs}/child", host2, fresh.name(host2, "child-copy"))
    result = zrep_pair(host1, filesystem=other.fs, peer_host="host2", peer_filesystem=other.dest)
    assert not result.failed, result["msg"]
    assert local(host1, other.fs, "zrep:src-fs") == other.fs
    for one in (pair, other):
        one.write("more")
    assert not zrep_sync(host1, filesystem="all").failed
    pair.assert_same()
    other.assert_same()


@pytest.mark.acceptance(9)
def test_case_09_savecount_from_the_environment(fresh, host1: Host, host2: Host) -> None:
    """Given ZREP_SAVE_COUNT=9 at init, then savecount=9 on both sides."""
    source, copy = fresh.create(host1), fresh.name(host2)
    options = {"filesystem": source, "peer_host": "host2", "peer_filesystem": copy}
    assert not zrep_pair(host1, env={"ZREP_SAVE_COUNT": "9"}, **options).failed
    assert local(host1, source, "zrep:savecount") == "9"
    assert value(host2, copy, "zrep:savecount") == "9"
    # It is for new pairs: a count that somebody chose stays.
    assert not zrep_pair(host1, env={"ZREP_SAVE_COUNT": "3"}, **options).changed


@pytest.mark.acceptance(10)
def test_case_10_another_name_for_this_host(fresh, host1: Host, host2: Host) -> None:
    """Given ZREP_SRC_HOST=x, then src-host=x, and `sync all` with the same setting includes the dataset."""
    pair = make_pair(fresh, host1, host2, src_host="x")
    assert local(host1, pair.fs, "zrep:src-host") == "x"
    assert value(host2, pair.dest, "zrep:src-host") == "x"
    with_option = zrep_sync(host1, filesystem="all", src_host="x")
    with_environment = zrep_sync(host1, filesystem="all", env={"ZREP_SRC_HOST": "x"})
    for result in (with_option, with_environment):
        assert [item["filesystem"] for item in result["pairs"]] == [pair.fs]
    assert pair.on_b()[-1] == "zrep_000002"
    without = zrep_sync(host1, filesystem="all")
    assert not without.failed
    assert without["pairs"] == []


@pytest.mark.acceptance(11)
def test_case_11_a_tag_is_a_name_space(fresh, host1: Host, host2: Host) -> None:
    """Given a dataset registered with tag zrep-dc, then properties are zrep-dc:*, snapshots @zrep-dc_hhhhhh, and no
    default-tag verb sees it."""
    pair = make_pair(fresh, host1, host2, tag="zrep-dc")
    assert configuration(host1, pair.fs, "zrep-dc")["dest-fs"] == pair.dest
    assert set(configuration(host1, pair.fs).values()) == {"-"}
    assert pair.on_a() == pair.on_b() == ["zrep-dc_000000"]
    assert zrep_info(host1)["pairs"] == []
    assert zrep_sync(host1, filesystem="all")["pairs"] == []
    assert zrep_sync(host1, filesystem=pair.fs).code == "not_paired"
    assert zrep_snapshot(host1, filesystem=pair.fs).code == "not_paired"
    assert zrep_snapshot(host1, filesystem=pair.fs, state="expired").code == "not_paired"
    assert not zrep_pair(host1, filesystem=pair.fs, state="absent", force=True).changed
    assert len(zrep_info(host1, env={"ZREPTAG": "zrep-dc"})["pairs"]) == 1
    assert not pair.sync().failed


@pytest.mark.acceptance(12)
def test_case_12_the_identity_is_the_short_name(fresh, host2: Host) -> None:
    """Given uname -n = h.example.org, then the identity used is h."""
    with Lab() as other:
        long, peer = other.add_hosts([HostSpec("h.example.org", "pool1"), HostSpec("peer", "pool2")])
        long.zfs("create", "pool1/fs")
        made = zrep_pair(long, filesystem="pool1/fs", peer_host="peer", peer_filesystem="pool2/copy")
        assert not made.failed, made["msg"]
        assert local(long, "pool1/fs", "zrep:src-host") == "h"
        assert value(peer, "pool2/copy", "zrep:src-host") == "h"
        assert [found["filesystem"] for found in zrep_sync(long, filesystem="all")["pairs"]] == ["pool1/fs"]


@pytest.mark.both
def test_making_a_pair_twice_changes_nothing_the_second_time(fresh, host1: Host, host2: Host) -> None:
    pair = make_pair(fresh, host1, host2, savecount=3, peer_savecount=7, peer_properties={"compression": "on"})
    before = dump(host1, host2)
    again = zrep_pair(
        host1,
        filesystem=pair.fs,
        peer_host="host2",
        peer_filesystem=pair.dest,
        savecount=3,
        peer_savecount=7,
        peer_properties={"compression": "on"},
    )
    assert (again.changed, again.actions, again["diff"]) == (False, [], [])
    assert dump(host1, host2) == before


def test_a_pair_on_one_host_needs_no_ssh(fresh, host1: Host) -> None:
    source, copy = fresh.create(host1), fresh.name(host1, "copy")
    with host1.trace() as seen:
        made = zrep_pair(host1, filesystem=source, peer_host="localhost", peer_filesystem=copy)
        assert not made.failed, made["msg"]
        assert not zrep_sync(host1, filesystem=source).failed
    assert seen.connections == []
    assert snapshots(host1, copy) == snapshots(host1, source) == ["zrep_000000", "zrep_000001"]


def test_a_chain_and_two_destinations_by_tags(fresh, host1: Host, host2: Host) -> None:
    first = make_pair(fresh, host1, host2)
    second = Pair(host1, first.fs, host2, fresh.name(host2, "second"), "second")
    made = zrep_pair(host1, filesystem=second.fs, peer_host="host2", peer_filesystem=second.dest, tag="second")
    assert not made.failed, made["msg"]
    for pair in (first, second, first, second):
        pair.write(f"for {pair.tag}")
        pair.sync()
        pair.assert_same()
    assert not [name for name in second.on_b() if name.startswith("zrep_")]
