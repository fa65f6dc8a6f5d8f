# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has to do what in a move, from what is declared and what was seen; and what is said about it."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.zfsops.zrep.plugins.filter.moves import moves
from ansible_collections.zfsops.zrep.plugins.filter.moves_told import moves_told

PAIR = {
    "name": "prodfs",
    "master": {"host": "host1", "filesystem": "pool1/prodfs"},
    "replica": {"host": "host2", "filesystem": "pool2/prodfs"},
}
HERE = {"host": "host1", "filesystem": "pool1/prodfs"}
THERE = {"host": "host2", "filesystem": "pool2/prodfs"}


def seen(one="master", other="replica", tag="zrep", **promoted):
    """What both hosts show; None for one that was not looked at."""
    found = {}
    for side, role in ((HERE, one), (THERE, other)):
        if role is not None:
            moment = promoted.get(side["host"])
            found[side["host"]] = [{"filesystem": side["filesystem"], "tag": tag, "role": role, "promoted": moment}]
    return found


def plan(kind, found, **more):
    (move,) = moves([PAIR], found, kind, **more)
    return move


# Several destinations


OFFSITE = {"name": "offsite", "tag": "dr", "master": HERE, "replica": {"host": "host3", "filesystem": "pool3/prodfs"}}


def seen_of_both():
    found = seen()
    found["host1"].append({"filesystem": "pool1/prodfs", "tag": "dr", "role": "master", "promoted": None})
    found["host3"] = [{"filesystem": "pool3/prodfs", "tag": "dr", "role": "replica", "promoted": None}]
    return found


def test_two_destinations_of_a_filesystem_do_not_both_become_masters():
    found = moves([PAIR, OFFSITE], seen_of_both(), "failover")
    assert all("several masters" in move["refused"] for move in found)
    assert "offsite" in found[0]["refused"]
    assert moves([OFFSITE], seen_of_both(), "failover")[0]["refused"] == ""
    chosen = moves([PAIR, OFFSITE], seen_of_both(), "failover", to="host2")
    assert [bool(move["refused"]) for move in chosen] == [False, True]
    assert [move["refused"] for move in moves([PAIR, OFFSITE], seen_of_both(), "failback")] == ["", ""]


def test_other_destinations_are_told():
    other = {"tag": "dr", "host": "host3", "filesystem": "fs", "master_host": "host1", "follows": False}
    entry = {"name": "prodfs", "result": "moved", "old_master": "a", "new_master": "b", "others": [other]}
    assert moves_told([entry])[1] == "    ! the tag dr still goes from host1 to host3:fs; zrep_repoint has it follow"
    entry["others"] = [dict(other, follows=True, master_host="host2")]
    assert moves_told([entry])[1] == "    the tag dr goes from host2 to host3:fs"


# Planned


def test_the_replica_becomes_the_master():
    move = plan("failover", seen())
    assert (move["old"], move["new"], move["needed"], move["refused"]) == (HERE, THERE, True, "")
    assert move["call"] == dict(THERE, role="master", force=False)
    assert move["hooks"] == [
        dict(HERE, before="master", after="replica"),
        dict(THERE, before="replica", after="master"),
    ]
    assert "from host1:pool1/prodfs to host2:pool2/prodfs" in move["deed"]


def test_roles_that_were_swapped_move_the_other_way():
    move = plan("failover", seen("replica", "master"))
    assert (move["old"], move["new"]) == (THERE, HERE)
    assert [hook["host"] for hook in move["hooks"]] == ["host2", "host1"]


def test_the_host_that_is_named_is_the_master_in_the_end():
    assert plan("failover", seen(), to="host2")["needed"] is True
    move = plan("failover", seen(), to="host1")
    assert (move["needed"], move["call"]["host"], move["call"]["role"]) == (False, "host1", "master")
    assert plan("failover", seen(), to={"prodfs": "host2"})["new"] == THERE
    assert plan("failover", seen(), to={"other": "host1"})["new"] == THERE
    assert plan("failover", seen(), to="")["new"] == THERE
    assert "host3" in plan("failover", seen(), to="host3")["refused"]


def test_a_move_that_ended_half_way_needs_a_word():
    assert "zrep_to" in plan("failover", seen("replica", "replica"))["refused"]
    move = plan("failover", seen("replica", "replica"), to="host1")
    assert (move["refused"], move["needed"], move["call"]["host"]) == ("", True, "host1")


def test_two_masters_are_no_planned_move():
    for to in (None, "host1", "host2"):
        assert "failback" in plan("failover", seen("master", "master"), to=to)["refused"]


@pytest.mark.parametrize("found", [seen(None), seen(other=None), {}])
def test_both_hosts_have_to_be_there(found):
    refused = plan("failover", found)["refused"]
    assert "takeover" in refused
    assert refused.startswith("prodfs: ")


def test_what_is_no_pair_is_not_moved():
    for kind in ("failover", "failback"):
        refused = plan(kind, seen(other="none"))["refused"]
        assert "belongs to no pair" in refused
        assert "takeover" not in refused


def test_another_tag_is_another_pair():
    assert plan("failover", seen(tag="dc"))["refused"]
    (move,) = moves([dict(PAIR, tag="dc")], seen(tag="dc"), "failover")
    assert (move["tag"], move["refused"]) == ("dc", "")


# Without the old master


def test_the_declared_replica_takes_over():
    move = plan("takeover", seen(None), hosts=["host1", "host2"])
    assert move["call"] == dict(THERE, role="master", force=True)
    assert move["hooks"] == [dict(THERE, before="replica", after="master")]
    assert (move["old"], move["needed"]) == (HERE, True)


def test_the_host_that_is_left_takes_over():
    for more in ({"hosts": ["host1"]}, {"to": "host1", "hosts": ["host1", "host2"]}):
        assert plan("takeover", seen("replica", None), **more)["call"]["host"] == "host1"


def test_who_is_master_already_has_nothing_to_do():
    assert plan("takeover", seen(None, "master"))["needed"] is False


def test_where_nothing_was_seen_yet_it_is_known_whom_to_ask():
    move = plan("takeover", {})
    assert move["call"]["host"] == "host2"
    assert "zrep_to" in move["refused"]
    assert "zrep_to" not in plan("takeover", {}, to="host2")["refused"]
    assert "belongs to no pair" in plan("takeover", seen(None, "none"))["refused"]


# Back again


@pytest.mark.parametrize(
    ("promoted", "stays"),
    [
        ({}, THERE),
        ({"host2": 5}, THERE),
        ({"host1": 5}, HERE),
        ({"host1": 5, "host2": 6}, THERE),
        ({"host1": 6, "host2": 5}, HERE),
    ],
)
def test_of_two_masters_the_younger_one_stays(promoted, stays):
    move = plan("failback", seen("master", "master", **promoted))
    returns = HERE if stays == THERE else THERE
    assert (move["new"], move["old"], move["needed"]) == (stays, returns, True)
    assert move["call"] == dict(returns, role="replica", force=False)
    assert move["hooks"] == [dict(returns, before="master", after="replica")]


def test_the_one_to_stay_can_be_named():
    assert plan("failback", seen("master", "master", host2=5), to="host1")["new"] == HERE
    assert "not the master" in plan("failback", seen(), to="host2")["refused"]


def test_who_has_returned_already_needs_no_hooks():
    move = plan("failback", seen("replica", "master"))
    assert (move["new"], move["old"], move["needed"]) == (THERE, HERE, False)


def test_nobody_returns_to_nobody():
    assert "zrep_to" in plan("failback", seen("replica", "replica"))["refused"]
    assert "host2" in plan("failback", seen(other=None))["refused"]


# Drills


def test_the_replica_is_drilled_wherever_it_is():
    assert plan("drill", seen())["host"] == "host2"
    assert plan("drill", seen("replica", "master"))["host"] == "host1"
    assert plan("drill", seen(None))["filesystem"] == "pool2/prodfs"
    assert plan("drill", seen("replica", "replica"))["host"] == "host2"


def test_no_replica_no_drill():
    assert "host1:pool1/prodfs is master" in plan("drill", seen(other=None))["refused"]
    assert "not within reach" in plan("drill", {})["refused"]


# Of all kinds


def test_what_a_pair_declares_comes_along():
    (move,) = moves([dict(PAIR, before={"master": "x"}, after={}, drill_check="y")], seen(), "failover")
    assert (move["before"], move["after"], move["drill_check"]) == ({"master": "x"}, {}, "y")
    assert plan("failover", seen())["before"] is None


def test_pairs_keep_their_order():
    pairs = [dict(PAIR, name=name) for name in ("b", "a", "c")]
    assert [move["name"] for move in moves(pairs, seen(), "failover")] == ["b", "a", "c"]


@pytest.mark.parametrize("pairs", [None, 5, ["x"], [{}], [dict(PAIR, master=None)]])
def test_nonsense_is_refused(pairs):
    with pytest.raises(AnsibleFilterError):
        moves(pairs, {}, "failover")
    with pytest.raises(AnsibleFilterError):
        moves([PAIR], {}, "failsafe")


# What is said

MOVED = {
    "name": "prodfs",
    "tag": "zrep",
    "kind": "failover",
    "result": "moved",
    "old_master": "host1:pool1/prodfs",
    "new_master": "host2:pool2/prodfs",
    "master": "host2:pool2/prodfs",
    "seconds": {"before": 0.5, "move": 2.0, "after": 1.5},
    "loss": None,
    "preserved": None,
    "failures": [],
    "check_mode": False,
}


def test_a_move_is_told_in_a_line():
    assert moves_told([MOVED]) == [
        "prodfs: moved from host1:pool1/prodfs to host2:pool2/prodfs in 4.0 s (before 0.5 s, move 2.0 s, after 1.5 s)"
    ]
    assert "nothing was changed" in moves_told([dict(MOVED, check_mode=True)])[0]
    unchanged = dict(MOVED, result="unchanged", seconds={"before": None, "move": 2.0, "after": None})
    assert moves_told([unchanged]) == ["prodfs: host2:pool2/prodfs is the master already in 2.0 s"]


def test_loss_and_what_was_preserved_are_told():
    loss = {"since_iso": "2026-11-22T21:34:35Z", "snapshot": "zrep_00002a", "age_seconds": 77}
    line = moves_told([dict(MOVED, result="taken over", loss=loss)])[1]
    assert all(word in line for word in ("host1:pool1/prodfs", "2026-11-22T21:34:35Z", "zrep_00002a", "77 s"))
    assert "pool1/kept" in moves_told([dict(MOVED, result="returned", preserved="pool1/kept")])[1]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"master": "host1:pool1/prodfs"}, "nothing was moved: host1:pool1/prodfs is still the master"),
        ({"master": "host2:pool2/prodfs"}, "host2:pool2/prodfs is the master now"),
        ({"master": None}, "nobody is known to be the master"),
        ({"kind": "takeover"}, "host2:pool2/prodfs did not take over"),
        ({"kind": "failback"}, "host1:pool1/prodfs did not return"),
    ],
)
def test_after_a_failure_it_is_said_how_things_stand(more, said):
    lines = moves_told([dict(MOVED, result="failed", failures=["no room"], **more)])
    assert lines[0].startswith("prodfs: FAILED")
    assert lines[1] == "    ! no room"
    assert said in lines[2]


def test_drills_are_told():
    drill = {"name": "prodfs", "result": "passed", "replica": "host2:pool2/prodfs", "snapshot": "zrep_00002a"}
    assert moves_told([dict(drill, seconds={"check": 7})]) == [
        "prodfs: the drill on host2:pool2/prodfs with zrep_00002a passed in 7.0 s"
    ]
    assert moves_told([dict(drill, result="failed", failures=["bad"])]) == ["prodfs: FAILED", "    ! bad"]


def test_nothing_is_told_as_nothing():
    assert moves_told([]) == ["no pairs"]
    assert moves_told([{"name": "x", "result": "not tried"}]) == ["x: left alone, because an earlier pair failed"]
    for nonsense in (None, [1], [{}], [{"name": "x", "result": "what"}]):
        with pytest.raises(AnsibleFilterError):
            moves_told(nonsense)
