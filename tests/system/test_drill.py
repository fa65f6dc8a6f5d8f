# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills: a clone of what was replicated, made and removed without touching the pair, and the record that stays."""

from __future__ import annotations

import json
import time

import pytest

from tests.lab import Host
from tests.system.pairs import Pair, dump, exists, held, kill_module, local, ready_pair, snapshots, value
from tests.system.product import Result, run_module, start_module, zrep_info, zrep_snapshot

pytestmark = pytest.mark.system


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    made = ready_pair(fresh, host1, host2)
    made.write("second\n")
    made.sync()
    return made


def clone(pair: Pair) -> str:
    return f"{pair.dest}_drill"


def begin(pair: Pair, **options: object) -> Result:
    return zrep_snapshot(pair.b, **{"filesystem": pair.dest, "state": "cloned", **options})


def end(pair: Pair, **options: object) -> Result:
    return zrep_snapshot(pair.b, **{"filesystem": pair.dest, "state": "drilled", **options})


def good(result: Result) -> Result:
    assert not result.failed, result["msg"]
    return result


def record(pair: Pair) -> dict | None:
    return zrep_info(pair.b, filesystem=pair.dest)["pairs"][0]["drill"]


# Making the clone


def test_the_clone_is_of_the_newest_replicated_snapshot_mounted_and_writable(pair: Pair) -> None:
    made = good(begin(pair))
    assert made.changed
    assert made["clone"]["name"] == clone(pair)
    assert made["clone"]["mountpoint"] == f"/{clone(pair)}"
    assert made["clone"]["snapshot"] == "zrep_000001"
    assert made["clone"]["snapshot_created_iso"].endswith("Z")
    assert value(pair.b, clone(pair), "origin") == f"{pair.dest}@zrep_000001"
    assert local(pair.b, clone(pair), "zrep:drill-of") == pair.dest
    assert pair.b.read_file(f"/{clone(pair)}/file") == "second\n"
    pair.b.write_file(f"/{clone(pair)}/file", "written in the drill")
    assert files_of_replica(pair) == "second\n"


def files_of_replica(pair: Pair) -> str:
    pair.b.run(["zfs", "mount", pair.dest], check=False)
    return pair.b.read_file(f"/{pair.dest}/file")


def test_a_forgotten_clone_is_not_mounted_when_the_host_boots(pair: Pair) -> None:
    good(begin(pair))
    pair.b.kill()
    pair.b.boot()
    assert value(pair.b, clone(pair), "mounted") == "no"
    again = good(begin(pair))
    assert again.actions == [("host2", "mount", clone(pair))]
    assert pair.b.read_file(f"/{clone(pair)}/file") == "second\n"


@pytest.mark.parametrize(
    "options",
    [{}, {"snapshot": "zrep_000000"}, {"clone": "pool2/rehearsal"}, {"mountpoint": "/mnt/rehearsal"}],
    ids=["defaults", "snapshot", "clone", "mountpoint"],
)
def test_begun_twice_changes_nothing_and_check_mode_told_so(pair: Pair, options: dict) -> None:
    before = dump(pair.a, pair.b)
    request = {"filesystem": pair.dest, "state": "cloned", **options}
    checked = good(run_module(pair.b, "zrep_snapshot", request, check=True))
    assert dump(pair.a, pair.b) == before
    made = good(run_module(pair.b, "zrep_snapshot", request))
    for result in (checked, made):
        result["pairs"] = [dict(found, lag_seconds=0) for found in result["pairs"]]  # Time has passed.
    for key in ("changed", "actions", "diff", "clone", "pairs"):
        assert checked[key] == made[key], key
    assert made["diff"][0]["before"] == {}
    assert made["diff"][0]["after"]["origin"] == f"{pair.dest}@{options.get('snapshot', 'zrep_000001')}"
    shown = dict(line.split("\t") for line in properties(pair.b, made["clone"]["name"]))
    assert shown["mountpoint"] == made["clone"]["mountpoint"] == options.get("mountpoint", shown["mountpoint"])
    assert shown["mounted"] == "yes"
    after = dump(pair.a, pair.b)
    again = good(run_module(pair.b, "zrep_snapshot", request))
    assert not again.changed
    assert again["diff"] == []
    assert again["clone"] == made["clone"]
    assert dump(pair.a, pair.b) == after


def properties(host: Host, dataset: str) -> list[str]:
    return host.zfs("get", "-Hp", "-o", "property,value", "mounted,mountpoint", dataset).splitlines()


def test_a_clone_moves_to_the_mountpoint_that_is_asked_for(pair: Pair) -> None:
    good(begin(pair))
    moved = good(begin(pair, mountpoint="/mnt/elsewhere"))
    assert moved.actions == [("host2", "set", clone(pair))]
    assert pair.b.read_file("/mnt/elsewhere/file") == "second\n"


def test_a_master_can_be_drilled_too(pair: Pair) -> None:
    made = good(zrep_snapshot(pair.a, filesystem=pair.fs, state="cloned"))
    assert pair.a.read_file(f"{made['clone']['mountpoint']}/file") == "second\n"
    good(zrep_snapshot(pair.a, filesystem=pair.fs, state="drilled", result="passed", seconds=1))
    assert not exists(pair.a, f"{pair.fs}_drill")
    assert zrep_info(pair.a, filesystem=pair.fs)["pairs"][0]["drill"]["result"] == "passed"


def test_without_a_mark_the_newest_snapshot_of_the_pair_is_taken(pair: Pair) -> None:
    for short in snapshots(pair.b, pair.dest):
        pair.b.zfs("inherit", "zrep:sent", f"{pair.dest}@{short}")
    assert good(begin(pair))["clone"]["snapshot"] == "zrep_000001"


def test_the_peer_is_not_needed(pair: Pair) -> None:
    pair.a.kill()
    good(begin(pair))
    good(end(pair, result="passed", seconds=3))
    assert record(pair)["result"] == "passed"


# What stands against the clone


def test_a_name_that_is_taken_is_left_alone(pair: Pair) -> None:
    pair.b.zfs("create", clone(pair))
    pair.b.write_file(f"/{clone(pair)}/mine", "mine")
    before = dump(pair.a, pair.b)
    for refused in (begin(pair), end(pair, result="passed", seconds=1), end(pair)):
        assert refused.code == "exists"
        assert "no clone of a drill" in refused["msg"]
    assert dump(pair.a, pair.b) == before


def somebody_elses_clone(pair: Pair) -> None:
    pair.b.zfs("clone", f"{pair.dest}@zrep_000001", clone(pair))


def clone_of_another_filesystem(pair: Pair) -> None:
    pair.b.zfs("create", "pool2/other")
    pair.b.zfs("snapshot", "pool2/other@zrep_000001")
    pair.b.zfs("clone", "-o", f"zrep:drill-of={pair.dest}", "pool2/other@zrep_000001", clone(pair))


def clone_of_a_drill_with_another(pair: Pair) -> None:
    pair.b.zfs("clone", "-o", "zrep:drill-of=pool2/other", f"{pair.dest}@zrep_000001", clone(pair))


def clone_that_only_inherits_the_mark(pair: Pair) -> None:
    pair.b.zfs("set", f"zrep:drill-of={pair.dest}", "pool2")
    pair.b.zfs("clone", f"{pair.dest}@zrep_000001", clone(pair))


def clone_that_was_promoted(pair: Pair) -> None:
    good(begin(pair))
    pair.b.zfs("promote", clone(pair))


@pytest.mark.parametrize(
    "make",
    [
        somebody_elses_clone,
        clone_of_another_filesystem,
        clone_of_a_drill_with_another,
        clone_that_only_inherits_the_mark,
        clone_that_was_promoted,
    ],
)
def test_nothing_but_the_drills_own_clone_is_destroyed(pair: Pair, make) -> None:
    make(pair)
    before = dump(pair.a, pair.b)
    refused = end(pair, result="passed", seconds=1)
    assert refused.code == "exists"
    assert refused["error"]["left"] == "nothing was changed"
    assert (
        run_module(pair.b, "zrep_snapshot", {"filesystem": pair.dest, "state": "drilled"}, check=True).code == "exists"
    )
    assert dump(pair.a, pair.b) == before


def test_a_clone_with_snapshots_is_not_destroyed(pair: Pair) -> None:
    good(begin(pair))
    pair.b.zfs("snapshot", f"{clone(pair)}@found-something")
    before = dump(pair.a, pair.b)
    refused = end(pair, result="passed", seconds=1)
    assert refused.code == "exists"
    assert "found-something" in refused["msg"]
    assert dump(pair.a, pair.b) == before


def test_a_clone_with_children_is_not_destroyed(pair: Pair) -> None:
    good(begin(pair))
    pair.b.zfs("create", f"{clone(pair)}/child")
    before = dump(pair.a, pair.b)
    refused = end(pair, result="passed", seconds=1)
    assert refused.code == "command_failed"
    assert "children" in refused["msg"]
    assert "below the clone" in refused["error"]["hint"]
    assert dump(pair.a, pair.b) == before


def test_a_clone_of_another_snapshot_is_no_match(pair: Pair) -> None:
    good(begin(pair, snapshot="zrep_000000"))
    before = dump(pair.a, pair.b)
    assert begin(pair).code == "exists"
    assert end(pair, snapshot="zrep_000001").code == "exists"
    assert dump(pair.a, pair.b) == before


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"snapshot": "zrep_00000f"}, "not_found"),
        ({"clone": "pool2/no/such/parent"}, "not_found"),
        ({"clone": "pool9/drill"}, "bad_input"),
        ({"clone": "pool2@drill"}, "bad_input"),
        ({"mountpoint": "relative"}, "bad_input"),
        ({"filesystem": ["pool2/a", "pool2/b"]}, "bad_input"),
        ({"filesystem": "all"}, "bad_input"),
        ({"filesystem": "pool2"}, "bad_input"),
        ({"filesystem": "pool2/none"}, "not_found"),
        ({"result": "passed", "seconds": 1}, "bad_input"),
        ({"state": "drilled", "mountpoint": "/mnt"}, "bad_input"),
        ({"state": "drilled", "result": "passed", "seconds": -1}, "bad_input"),
        ({"state": "present", "clone": "pool2/x"}, "bad_input"),
    ],
)
def test_what_cannot_be_done_is_refused(pair: Pair, options: dict, code: str) -> None:
    before = dump(pair.a, pair.b)
    assert begin(pair, **options).code == code
    assert dump(pair.a, pair.b) == before


def test_inside_the_replica_is_no_place_for_a_clone(pair: Pair) -> None:
    assert begin(pair, clone=f"{pair.dest}/drill").code == "bad_input"


def test_where_nothing_would_be_mounted_a_mountpoint_is_asked_for(pair: Pair) -> None:
    pair.b.zfs("set", "mountpoint=none", "pool2")
    before = dump(pair.a, pair.b)
    refused = begin(pair)
    assert refused.code == "bad_input"
    assert "mountpoint" in refused["error"]["hint"]
    assert dump(pair.a, pair.b) == before
    assert good(begin(pair, mountpoint="/mnt/drill"))["clone"]["mountpoint"] == "/mnt/drill"
    assert pair.b.read_file("/mnt/drill/file") == "second\n"


def test_a_clone_that_cannot_be_mounted_is_taken_back(pair: Pair) -> None:
    pair.b.run("mkdir -p /mnt/full && touch /mnt/full/file")
    before = dump(pair.a, pair.b)
    refused = begin(pair, mountpoint="/mnt/full")
    assert refused.code == "command_failed"
    assert "taken back" in refused["error"]["left"]
    assert refused.get("clone") is None
    assert dump(pair.a, pair.b) == before


def test_a_run_that_died_before_it_mounted_is_completed(pair: Pair) -> None:
    with held(pair.b, verbs=("set",), then="exit 1") as hold:
        kill_module(start_module(pair.b, "zrep_snapshot", {"filesystem": pair.dest, "state": "cloned"}), hold)
    assert value(pair.b, clone(pair), "mounted") == "no"
    good(begin(pair))
    assert pair.b.read_file(f"/{clone(pair)}/file") == "second\n"


def test_a_run_that_died_before_it_recorded_is_completed(pair: Pair) -> None:
    good(begin(pair))
    request = {"filesystem": pair.dest, "state": "drilled", "result": "failed", "seconds": 5}
    with held(pair.b, verbs=("set",), then="exit 1") as hold:
        kill_module(start_module(pair.b, "zrep_snapshot", request), hold)
    assert not exists(pair.b, clone(pair))
    assert record(pair) is None
    good(run_module(pair.b, "zrep_snapshot", request))
    assert record(pair)["result"] == "failed"


# While it exists


def test_syncs_go_on_and_expiry_leaves_the_cloned_snapshot(pair: Pair) -> None:
    pair.b.zfs("set", "zrep:savecount=1", pair.dest)
    pair.sync()
    good(begin(pair))
    cloned = snapshots(pair.b, pair.dest)[-1]
    pair.write("third\n")
    synced = pair.sync()
    assert f"could not destroy {pair.dest}@{cloned}" in json.dumps(synced["warnings"])
    assert snapshots(pair.b, pair.dest) == [cloned, "zrep_000003"]
    assert pair.b.read_file(f"/{clone(pair)}/file") == "second\n"
    good(end(pair, result="passed", seconds=1))
    assert record(pair)["snapshot"] == cloned
    pair.sync()
    assert snapshots(pair.b, pair.dest) == ["zrep_000004"]
    pair.assert_same()


# Ending the drill


@pytest.mark.parametrize("result", ["passed", "failed"])
def test_the_clone_goes_and_the_record_stays(pair: Pair, result: str) -> None:
    good(begin(pair))
    before = int(time.time())
    done = good(end(pair, result=result, seconds=42))
    assert not exists(pair.b, clone(pair))
    found = record(pair)
    assert before <= found.pop("time") <= int(time.time())
    assert found.pop("time_iso").startswith("20")
    assert found == {"result": result, "seconds": 42, "snapshot": "zrep_000001"}
    assert done["pairs"][0]["drill"]["seconds"] == 42
    assert snapshots(pair.b, pair.dest) == ["zrep_000000", "zrep_000001"]
    pair.write("third\n")
    pair.sync()
    pair.assert_same()
    assert record(pair)["seconds"] == 42


def test_ended_twice_changes_nothing_and_check_mode_told_so(pair: Pair) -> None:
    good(begin(pair))
    request = {"filesystem": pair.dest, "state": "drilled", "result": "passed", "seconds": 7}
    before = dump(pair.a, pair.b)
    checked = good(run_module(pair.b, "zrep_snapshot", request, check=True))
    assert dump(pair.a, pair.b) == before
    done = good(run_module(pair.b, "zrep_snapshot", request))
    assert checked["diff"] == done["diff"]
    assert [step[1:] for step in checked.actions] == [step[1:] for step in done.actions]
    assert done.actions == [("host2", "destroy_clone", clone(pair)), ("host2", "set", pair.dest)]
    assert {item["before_header"] for item in done["diff"]} == {f"host2:{pair.dest}", f"host2:{clone(pair)}"}
    assert done["diff"][0]["after"]["zrep:drill"] == "passed 7 zrep_000001"
    after = dump(pair.a, pair.b)
    assert not good(run_module(pair.b, "zrep_snapshot", request)).changed
    assert dump(pair.a, pair.b) == after


def test_the_next_drill_replaces_the_record(pair: Pair) -> None:
    good(begin(pair))
    good(end(pair, result="failed", seconds=1))
    first = record(pair)
    time.sleep(1.1)
    good(begin(pair))
    again = good(end(pair, result="failed", seconds=1))
    assert again.changed
    assert record(pair)["time"] > first["time"]


def test_without_a_result_only_the_clone_goes(pair: Pair) -> None:
    good(begin(pair))
    assert good(end(pair)).actions == [("host2", "destroy_clone", clone(pair))]
    assert record(pair) is None
    assert not good(end(pair)).changed


def test_where_the_clone_is_gone_the_record_is_written(pair: Pair) -> None:
    assert good(end(pair, result="failed", seconds=3, snapshot="zrep_000000")).actions == [("host2", "set", pair.dest)]
    assert record(pair)["snapshot"] == "zrep_000000"
    good(end(pair, result="passed", seconds=3))
    assert record(pair)["snapshot"] == "zrep_000001"


def test_a_clone_that_is_busy_for_a_moment_goes(pair: Pair) -> None:
    good(begin(pair))
    user = pair.b.popen(f"cd /{clone(pair)} && exec sleep 3")
    good(end(pair, result="passed", seconds=1))
    assert user.wait(10) == 0
    assert not exists(pair.b, clone(pair))


def test_a_clone_that_stays_busy_is_told(pair: Pair) -> None:
    good(begin(pair))
    user = pair.b.popen(f"cd /{clone(pair)} && exec sleep 300")
    refused = end(pair, result="passed", seconds=1)
    user.kill()
    assert refused.code == "command_failed"
    assert "what still uses the clone" in refused["error"]["hint"]
    assert record(pair) is None


def test_a_record_that_is_nonsense_is_none(pair: Pair) -> None:
    for text in ("x", "1 passed x zrep_000001", "1 maybe 2 zrep_000001", "9" * 30 + " passed 1 zrep_000001"):
        pair.b.zfs("set", f"zrep:drill={text}", pair.dest)
        assert record(pair) is None
    good(end(pair, result="passed", seconds=1))
    assert record(pair)["result"] == "passed"


def test_another_tag_has_a_record_of_its_own(fresh, host1: Host, host2: Host) -> None:
    other = ready_pair(fresh, host1, host2, tag="dc")
    good(begin(other, tag="dc"))
    assert local(host2, clone(other), "dc:drill-of") == other.dest
    good(end(other, tag="dc", result="passed", seconds=5))
    assert local(host2, other.dest, "dc:drill").endswith(" passed 5 dc_000000")
    assert local(host2, other.dest, "zrep:drill") is None
