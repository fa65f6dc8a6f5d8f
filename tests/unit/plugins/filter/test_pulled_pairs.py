# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs with ``direction: pull``: who works for them, who is asked about the other side, what is told."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.zfsops.zrep.plugins.filter.moves import moves
from ansible_collections.zfsops.zrep.plugins.filter.sides import sides
from ansible_collections.zfsops.zrep.plugins.filter.status_table import status_table
from ansible_collections.zfsops.zrep.plugins.filter.syncs import syncs

from .test_moves import HERE, PAIR, THERE, seen

PULLED = dict(PAIR, direction="pull")
"""host2 is the backup server of host1."""


def plan(kind, found, **more):
    (move,) = moves([PULLED], found, kind, **more)
    return move


def work(host, found, *pairs):
    return syncs(pairs, host, found.get(host, []))


NO_OPTIONS = {"compress": None, "buffer": None, "rate_limit": None}


def group(direction, side, tag="zrep"):
    return {**NO_OPTIONS, "tag": tag, "direction": direction, "filesystems": [side["filesystem"]]}


# Syncing


def test_the_server_does_what_is_to_be_done():
    assert work("host1", seen(), PULLED) == []
    assert work("host2", seen(), PULLED) == [group("pull", THERE)]
    swapped = seen("replica", "master")
    assert work("host1", swapped, PULLED) == []
    assert work("host2", swapped, PULLED) == [group("push", THERE)]


def test_of_other_pairs_the_master_pushes():
    assert work("host1", seen(), PAIR) == [group("push", HERE)]
    assert work("host2", seen(), PAIR) == []
    assert work("host2", seen("replica", "master"), dict(PAIR, direction="push")) == [group("push", THERE)]


def test_what_is_no_pair_yet_is_not_synced():
    assert work("host2", seen("none", "none"), PULLED, PAIR) == []
    assert work("host2", {}, PULLED) == []
    assert work("host2", seen(tag="dc"), PULLED) == []


def test_one_call_for_each_tag_and_direction():
    other = dict(THERE, filesystem="pool2/other")
    pairs = [PULLED, dict(PAIR, tag="dc"), dict(PULLED, replica=other), PULLED]
    facts = [
        {"filesystem": "pool2/prodfs", "tag": "zrep", "role": "replica"},
        {"filesystem": "pool2/other", "tag": "zrep", "role": "replica"},
        {"filesystem": "pool2/prodfs", "tag": "dc", "role": "master"},
    ]
    assert syncs(pairs, "host2", facts) == [
        {**NO_OPTIONS, "tag": "zrep", "direction": "pull", "filesystems": ["pool2/prodfs", "pool2/other"]},
        group("push", THERE, "dc"),
    ]


def test_pairs_whose_streams_go_alike_share_a_call():
    other = dict(THERE, filesystem="pool2/other")
    pairs = [PULLED, dict(PULLED, replica=other, compress="zstd", rate_limit="20M")]
    facts = [{"filesystem": side["filesystem"], "tag": "zrep", "role": "replica"} for side in (THERE, other)]
    assert syncs(pairs, "host2", facts) == [
        group("pull", THERE),
        {**group("pull", other), "compress": "zstd", "rate_limit": "20M"},
    ]


def test_within_one_host_only_the_replica_is_worked_on():
    pair = dict(PULLED, master=dict(HERE, host="host2"))
    facts = [{**side, "tag": "zrep", "role": role} for side, role in ((HERE, "master"), (THERE, "replica"))]
    assert syncs([pair], "host2", facts) == [group("pull", THERE)]


@pytest.mark.parametrize("pairs", [None, [None], [{}]])
def test_nonsense_is_refused(pairs):
    with pytest.raises(AnsibleFilterError):
        syncs(pairs, "host1", [])


# Looking


def test_the_client_is_not_asked_about_the_server():
    assert [found["reaches"] for found in sides([PULLED, PAIR], "host1")] == [False, True]
    assert [found["reaches"] for found in sides([PULLED, PAIR], "host2")] == [True]


def told(role, codes, asked):
    this, other = (HERE, THERE) if role == "master" else (THERE, HERE)
    facts = {
        "role": role,
        "tag": "zrep",
        **this,
        "peer_host": other["host"],
        "peer_filesystem": other["filesystem"],
        "problems": [{"code": code, "message": f"{code} on {this['host']}"} for code in codes],
    }
    return dict(facts, peer_reachable=True) if asked else facts


def test_what_only_the_server_could_find_out_is_told():
    lines = status_table([told("master", ["lag"], False), told("replica", ["lag", "diverged"], True)])
    assert lines[1].endswith("lag, diverged")
    assert lines[2:] == ["! lag on host1", "! diverged on host2"]


def test_a_master_that_asked_its_peer_says_all():
    lines = status_table([told("master", [], True), told("replica", ["unreachable"], True)])
    assert len(lines) == 2
    assert lines[1].endswith("ok")


# Moving


def test_a_planned_move_is_made_on_the_server_whichever_way_it_goes():
    there = plan("failover", seen())
    assert there["call"] == dict(THERE, role="master", force=False)
    assert (there["new"], there["needed"]) == (THERE, True)
    back = plan("failover", seen("replica", "master"))
    assert back["call"] == dict(THERE, role="replica", force=False)
    assert (back["new"], back["needed"], back["sync"]) == (HERE, True, dict(THERE, direction="pull"))
    assert [hook["host"] for hook in back["hooks"]] == ["host2", "host1"]


def test_nothing_is_needed_where_both_are_what_they_are_to_be():
    assert not plan("failover", seen(), to="host1")["needed"]
    assert plan("failover", seen("replica", "replica"), to="host1")["needed"]
    assert not plan("failback", seen("replica", "master"))["needed"]


def test_a_client_returns_by_a_call_on_the_server():
    move = plan("failback", seen("master", "master", host2=5))
    assert move["call"] == dict(THERE, role="master", force=False)
    assert (move["old"], move["new"], move["needed"]) == (HERE, THERE, True)
    assert move["sync"] == dict(THERE, direction="push")
    assert move["hooks"] == [dict(HERE, before="master", after="replica")]


def test_the_server_returns_by_itself_and_pulls():
    move = plan("failback", seen("master", "master"), to="host1")
    assert move["call"] == dict(THERE, role="replica", force=False)
    assert move["sync"] == dict(THERE, direction="pull")


def test_a_takeover_is_the_survivors_own_business():
    assert plan("takeover", seen())["call"] == dict(THERE, role="master", force=True)
    assert plan("takeover", seen("replica", None), to="host1")["call"] == dict(HERE, role="master", force=True)
