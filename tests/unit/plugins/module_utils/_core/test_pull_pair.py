# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs that the replica's host makes: what the master's host would plan, carried out from the other end."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors
from ansible_collections.zfsops.zrep.plugins.module_utils._core.mirror import flipped, mirrored
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import Endpoint
from ansible_collections.zfsops.zrep.plugins.module_utils._core.pairing import PairGoal
from ansible_collections.zfsops.zrep.plugins.module_utils._core.plan import Plan, predict
from ansible_collections.zfsops.zrep.plugins.module_utils._core.run_pull_pair import plan_pulled
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE, PEER, State
from ansible_collections.zfsops.zrep.plugins.module_utils._core.steps import Destroy, MoveAside, TakeSnapshot
from ansible_collections.zfsops.zrep.plugins.module_utils._core.streams import Send

from .builders import (
    FS,
    HOST,
    MODERN,
    NOW,
    OLD,
    PEER_FS,
    PEER_HOST,
    SETTINGS,
    actions,
    dataset,
    demoted,
    later,
    marked,
    master,
    observed_from_replica,
    own,
    replica,
    sent,
    taken_over,
)

GOAL = PairGoal(Endpoint(HOST, FS), NOW)
SERVER = dataclasses.replace(SETTINGS, identity=PEER_HOST)
FEATURES = pytest.mark.parametrize("features", [MODERN, OLD], ids=["modern", "old"])


def seen_by_server(here, there, features=MODERN, **more):
    seen = observed_from_replica(here, there)
    return dataclasses.replace(
        seen, features_here=features, features_there=features, **dict({"identity_there": HOST}, **more)
    )


def plan(here, there, features=MODERN, peer_host=HOST, **options):
    seen = seen_by_server(here, there, features, peer_host=peer_host)
    return plan_pulled(seen, dataclasses.replace(GOAL, **options), SERVER, dataset("pool2"))


def record(found):
    return {name[5:]: value.value for name, value in found.properties.items() if name.startswith("zrep:")}


# Seen from the other end


def test_what_is_mirrored_twice_is_what_it_was():
    seen = seen_by_server(replica(own(0)), master(own(0)), readonly_above=frozenset((HERE,)))
    other = mirrored(seen)
    assert (other.identity, other.filesystem, other.peer_host, other.peer_filesystem) == (HOST, FS, PEER_HOST, PEER_FS)
    assert (other.here, other.there) == (seen.there, seen.here)
    assert other.readonly_above == {PEER}
    assert mirrored(other) == seen


def test_nobody_guesses_what_the_other_host_calls_itself():
    with pytest.raises(ValueError, match="name"):
        mirrored(seen_by_server(replica(), master(), identity_there=""))


def test_steps_change_sides_with_what_takes_them_back():
    seen = seen_by_server(replica(own(0)), master(own(0)))
    take = TakeSnapshot(HERE, f"{FS}@x", "", undo=Destroy(HERE, FS, "", shorts=("x",)))
    found = flipped(Plan(FS, State(seen.there, seen.here), (take,), begun=(take.undo,)), seen)
    assert [step.side for step in (*found.steps, found.steps[0].undo, *found.begun)] == [PEER] * 3
    assert (found.filesystem, found.before) == (PEER_FS, State(seen.here, seen.there))


# Making


@FEATURES
def test_the_first_copy_is_fetched_and_the_role_comes_last(features):
    found = plan(None, dataset(FS), features)
    assert [pair for pair in actions(found) if pair != (HERE, "set")] == [
        (PEER, "set"),
        (PEER, "snapshot"),
        (PEER, "send"),
        (HERE, "mark_sent"),
        (PEER, "mark_sent"),
        (PEER, "set"),
    ]
    expected = {"src-fs": FS, "src-host": HOST, "dest-fs": PEER_FS, "dest-host": PEER_HOST, "savecount": "5"}
    assert record(found.after.there) == dict(expected, master="yes")
    assert record(found.after.here) == expected
    assert found.after.here.value("readonly") == "on"
    assert marked(found.after.here) == marked(found.after.there) == [own(0)]


@pytest.mark.parametrize(
    ("called", "also"), [("hosta.example.org", {}), ("10.0.0.1", {}), ("production", {"src-name": HOST})]
)
def test_the_server_records_how_it_reaches_its_client(called, also):
    found = plan(None, dataset(FS), peer_host=called)
    assert record(found.after.there)["src-host"] == HOST
    theirs = record(found.after.here)
    assert {name: theirs[name] for name in theirs if name in ("src-host", "src-name")} == {"src-host": called, **also}
    again = dataclasses.replace(GOAL, peer=Endpoint(called, FS))
    seen = later(seen_by_server(None, None, peer_host=called), found.after)
    assert plan_pulled(seen, again, SERVER).steps == ()


def test_another_spelling_of_the_same_host_is_no_change():
    made = plan(None, dataset(FS), peer_host="hosta.example.org").after
    seen = later(seen_by_server(None, None, peer_host="root@hosta"), made)
    assert plan_pulled(seen, dataclasses.replace(GOAL, peer=Endpoint("root@hosta", FS)), SERVER).steps == ()


@FEATURES
@pytest.mark.parametrize("adopt", [None, "newest"])
def test_it_can_die_after_every_step(features, adopt):
    """And the same call again completes it."""
    common = ["daily+9"] if adopt else []
    here = dataset(PEER_FS, *common) if adopt else None
    there = dataset(FS, *common)
    options = dataclasses.replace(GOAL, adopt=adopt)
    seen = seen_by_server(here, there, features)
    whole = plan_pulled(seen, options, SERVER, dataset("pool2"))
    assert len(whole.steps) >= 6
    for end in range(len(whole.steps) + 1):
        now = later(seen, predict(whole.before, whole.steps[:end]))
        again = plan_pulled(now, options, SERVER, dataset("pool2"))
        done = later(now, again.after)
        assert record(done.there)["master"] == "yes"
        assert "master" not in record(done.here)
        assert done.here.snapshots[-1].guid == done.there.snapshots[-1].guid
        assert marked(done.here) == marked(done.there) != []
        assert plan_pulled(done, options, SERVER).steps == ()


def test_counts_are_of_this_side_and_the_other_one():
    found = plan(None, dataset(FS), savecount=9, peer_savecount=3).after
    assert (record(found.here)["savecount"], record(found.there)["savecount"]) == ("9", "3")
    found = plan(None, dataset(FS), savecount=9).after
    assert (record(found.here)["savecount"], record(found.there)["savecount"]) == ("9", "9")


def test_what_is_in_the_way_stays_unless_that_is_forced():
    with pytest.raises(errors.Exists) as caught:
        plan(dataset(PEER_FS, "old"), dataset(FS))
    assert caught.value.host == PEER_HOST
    found = plan(dataset(PEER_FS, "old"), dataset(FS), force=True)
    (aside,) = [step for step in found.steps if isinstance(step, MoveAside)]
    assert (aside.side, aside.undo.side, aside.target) == (HERE, HERE, PEER_FS)


def test_what_stands_against_it_is_said_of_the_right_host():
    with pytest.raises(errors.NotFound) as caught:
        plan(None, None)
    assert (caught.value.host, caught.value.dataset) == (HOST, FS)
    seen = seen_by_server(None, dataset(FS))
    with pytest.raises(errors.NotFound) as caught:
        plan_pulled(seen, GOAL, SERVER, None)
    assert (caught.value.host, caught.value.dataset) == (PEER_HOST, "pool2")
    with pytest.raises(errors.PairedElsewhere) as caught:
        plan(None, master(*sent(0), properties={"zrep:dest-host": "hostc"}), peer_host="production")
    assert caught.value.host == "production"


# Mending


def test_a_pair_that_exists_is_left_alone():
    assert plan(replica(*sent(0)), master(*sent(0))).steps == ()


def test_a_replica_that_was_lost_is_fetched_anew():
    found = plan(None, master(*sent(0)))
    (send,) = [step for step in found.steps if isinstance(step, Send)]
    assert (send.side, send.base, send.target) == (PEER, "", f"{FS}@{own(1)}")


def test_a_record_that_was_lost_on_the_server_is_made_good():
    bare = dataset(PEER_FS, *sent(0), properties={"readonly": "on"})
    found = plan(bare, master(*sent(0)))
    assert set(actions(found)) == {(HERE, "set")}
    assert record(found.after.here)["src-host"] == HOST


def test_a_client_that_was_lost_is_said_how_to_bring_back():
    with pytest.raises(errors.NotFound) as caught:
        plan(replica(*sent(0)), None)
    assert "role=master force=true" in caught.value.hint


def test_where_the_server_is_the_master_by_now_it_sends():
    assert plan(taken_over(*sent(0)), demoted(*sent(0))).steps == ()
    seen = dataclasses.replace(seen_by_server(taken_over(*sent(0)), None), there_parent=dataset("pool1"))
    found = plan_pulled(seen, GOAL, SERVER)
    (send,) = [step for step in found.steps if isinstance(step, Send)]
    assert (send.side, send.destination) == (HERE, FS)


def test_two_masters_are_nothing_to_mend():
    with pytest.raises(errors.SplitBrain):
        plan(taken_over(*sent(0)), master(*sent(0)))
