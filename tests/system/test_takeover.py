# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A replica becomes the master without its peer, and what happens when the old master is back.

Numbers are those of the behaviour reference's acceptance cases.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab import Host
from tests.system import script
from tests.system.moves import (
    assert_works,
    done,
    live,
    make_master,
    mounted,
    move,
    readonly,
    record,
    turned,
    writable,
)
from tests.system.pairs import Pair, dump, files, guids, local, make_pair, ready_pair
from tests.system.product import Result, zrep_info, zrep_sync

pytestmark = pytest.mark.system

LOST = "ssh -o ConnectTimeout=1"


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair that was synced once, with something that was not sent yet."""
    made = ready_pair(fresh, host1, host2)
    made.write("sent\n", "sent")
    made.sync()
    made.write("never sent\n", "last")
    return made


def take_over(pair: Pair, **options: Any) -> Result:
    """Make B the master by force, which is expected to go well."""
    return done(make_master(pair, "b", "b", force=True, **options))


def assert_taken_over(pair: Pair) -> None:
    """Case 8.4 on B."""
    wanted = {"src-fs": pair.dest, "src-host": "host2", "dest-fs": pair.fs, "dest-host": "host1"}
    assert record(pair.b, pair.dest, pair.tag) == {**wanted, "savecount": "5", "master": "yes"}
    assert not readonly(pair.b, pair.dest)
    assert mounted(pair.b, pair.dest)
    assert writable(pair.b, pair.dest)


def lasting(host: Host, dataset: str) -> tuple[Any, ...]:
    """What of a side outlives a power cut."""
    return record(host, dataset), guids(host, dataset), files(host, f"{dataset}@{list(guids(host, dataset))[-1]}")


@pytest.mark.both
@pytest.mark.acceptance(48)
def test_case_48_the_master_is_dead(pair: Pair) -> None:
    """Given N with A down, when `takeover -L b` runs on B, then 8.4; A untouched."""
    on_a, on_b = lasting(pair.a, pair.fs), guids(pair.b, pair.dest)
    pair.a.kill()
    result = take_over(pair)
    assert result["pair"]["role"] == "master"
    assert_taken_over(pair)
    assert guids(pair.b, pair.dest) == on_b
    assert pair.b.read_file(f"/{pair.dest}/sent") == "sent\n"
    assert not take_over(pair).changed
    pair.a.boot()
    assert lasting(pair.a, pair.fs) == on_a


@pytest.mark.acceptance(48)
def test_case_48_nobody_is_asked(pair: Pair) -> None:
    """Also where A is well: not a connection is made, and nothing changes there."""
    before = dump(pair.a)
    with pair.a.trace() as seen:
        result = take_over(pair)
    assert seen.connections == seen.processes == []
    assert {host for host, _action, _target in result.actions} == {"host2"}
    assert dump(pair.a) == before


def test_it_leaves_what_the_script_would_leave(pair: Pair, fresh) -> None:
    other = ready_pair(fresh, pair.a, pair.b, "other")
    script.takeover_alone(other)
    take_over(pair)
    theirs = {name: text.replace("other", "fs") for name, text in record(other.b, other.dest).items()}
    assert record(pair.b, pair.dest) == theirs
    assert readonly(pair.b, pair.dest) == readonly(other.b, other.dest)


def test_what_is_missing_is_told(pair: Pair) -> None:
    created = int(pair.b.zfs("get", "-Hp", "-o", "value", "creation", f"{pair.dest}@zrep_000001"))
    checked = done(make_master(pair, "b", "b", force=True, check=True))
    result = take_over(pair)
    for told in (checked, result):
        loss = told["loss"]
        assert (loss["snapshot"], loss["since"]) == ("zrep_000001", created)
        assert loss["since_iso"].endswith("Z")
        assert 0 <= loss["age_seconds"] < 60
        (warning,) = told["warnings"]
        assert f"host1:{pair.fs}" in str(warning)
        assert "zrep_000001" in str(warning)
    assert take_over(pair)["loss"] is None


@pytest.mark.acceptance(54)
@pytest.mark.parametrize("at", ["a", "b"])
def test_case_54_on_a_master_it_keeps_its_peer(pair: Pair, at: str) -> None:
    """(+) Given `takeover -L` on a master, then dest-* still names the real peer."""
    if at == "b":
        take_over(pair)
    before = dump(pair.a, pair.b)
    for _attempt in range(2):
        assert not done(make_master(pair, at, at, force=True)).changed
    assert dump(pair.a, pair.b) == before
    if at == "b":
        assert_taken_over(pair)


@pytest.mark.acceptance(54)
@pytest.mark.parametrize(
    "step",
    [
        "no master here",
        "writable there",
        # Not after "src-fs there": that record cannot be told from one of a pair with equal names.
        "src-host there",
        "dest-fs there",
        "dest-host there",
    ],
)
def test_case_54_half_way_through_a_swap_it_never_names_itself(pair: Pair, step: str) -> None:
    """What a side that does not know its peer any more may do is to refuse."""
    script.failover(pair, dies_after=step)
    before = dump(pair.a, pair.b)
    result = make_master(pair, "b", "b", force=True)
    if result.failed:
        assert dump(pair.a, pair.b) == before
    else:
        assert_taken_over(pair)


@pytest.mark.acceptance(55)
@pytest.mark.parametrize("made", ["by zrep_pair", "by the script"])
def test_case_55_right_after_the_creation(fresh, host1: Host, host2: Host, made: str) -> None:
    """Given init only (no sync), (+) when B takes over by force, then B can sync back to A."""
    if made == "by the script":
        pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))
        script.init(pair)
        assert pair.marks()[1] == {}
    else:
        pair = make_pair(fresh, host1, host2)
    take_over(pair)
    assert_taken_over(pair)
    assert set(pair.marks()[1]) == {"zrep_000000"}
    after = turned(pair)
    after.write("written on B\n", "b")
    # The script on A would do the same with failover -L.
    done(make_master(pair, "b", "a", diverged="discard"))
    script.sync(after)
    after.assert_same()
    assert_works(after)


# -- the old master is back ------------------------------------------------------------------------------------


def problems(host: Host, dataset: str) -> dict[str, str]:
    """The codes of the problems that zrep_info sees with a side and its peer, and where each of them is."""
    (found,) = zrep_info(host, filesystem=dataset, check_peer=True)["pairs"]
    return {problem["code"]: problem["host"] for problem in found["problems"]}


def assert_two_masters(pair: Pair) -> None:
    """Both are told by every report, and the schedule of neither changes anything on the other."""
    before = pair.dump()
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        for options in ({}, {"force": True}):
            result = zrep_sync(host, filesystem="all", **options)
            assert result.code == "split_brain"
            assert dataset in result["msg"]
        told = problems(host, dataset)
        assert told.keys() == {"split_brain", "superseded", "diverged"}
        assert told["superseded"] == "host1"
    for master, at in (("a", "a"), ("b", "a"), ("a", "b"), ("b", "b")):
        refused = make_master(pair, master, at)
        assert refused.code == "split_brain"
        assert pair.fs in refused["msg"]
        assert pair.dest in refused["msg"]
        assert "zrep_000001" in refused["msg"]
    assert pair.dump() == before
    with pytest.raises(script.ScriptFailed, match="split brain"):
        script.sync(pair)


def test_two_masters_leave_each_other_alone(pair: Pair) -> None:
    take_over(pair)
    pair.b.write_file(f"/{pair.dest}/b", "written on B\n")
    assert_two_masters(pair)


@pytest.mark.parametrize("first", ["A first", "B first", "both"])
def test_a_superseded_master_comes_back(pair: Pair, first: str) -> None:
    """In whatever order the two hosts are back after all were off: its schedule changes nothing on the new one."""
    pair.a.kill()
    take_over(pair)
    pair.b.write_file(f"/{pair.dest}/b", "written on B\n")
    pair.b.run(["sync", f"/{pair.dest}/b"])
    pair.b.zfs("set", "my:commit=1", pair.dest)
    if first != "B first":
        pair.b.kill()
    pair.a.boot()
    if first == "A first":
        before = dump(pair.a)
        refused = zrep_sync(pair.a, filesystem="all", ssh=LOST)
        assert refused.code == "unreachable"
        assert dump(pair.a) == before
    if not pair.b.running:
        pair.b.boot()
    written = live(pair.b, pair.dest)
    before = pair.dump()
    assert zrep_sync(pair.a, filesystem="all").code == "split_brain"
    assert zrep_sync(pair.b, filesystem="all").code == "split_brain"
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        told = problems(host, dataset)
        assert "split_brain" in told
        assert told["superseded"] == "host1"
    assert pair.dump() == before
    assert live(pair.b, pair.dest) == written
    assert "/b\n" in written


def test_a_planned_move_after_a_forced_one(pair: Pair) -> None:
    """Once it is settled, everything is as after any other move."""
    take_over(pair)
    done(make_master(pair, "b", "a", diverged="discard"))
    assert local(pair.a, pair.fs, "zrep:master") is None
    back = move(turned(pair), "b")
    assert writable(pair.a, pair.fs)
    assert_works(back)
    script.sync(script.failover(back))
