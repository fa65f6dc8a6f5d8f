# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Following: the proof that nothing is lost, and the steps that make a side a replica of a master that is there."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors
from ansible_collections.zfsops.zrep.plugins.module_utils._core.returning import plan_return
from ansible_collections.zfsops.zrep.plugins.module_utils._core.steps import Rollback, SetProperties
from ansible_collections.zfsops.zrep.plugins.module_utils._core.swapping import MoveGoal

from .builders import (
    FS,
    HOST,
    NOW,
    PEER_FS,
    PEER_HOST,
    dataset,
    demoted,
    later,
    master,
    own,
    places,
    replica,
    seen_at,
    sent,
    shorts,
    side,
    taken_over,
)

GOAL = MoveGoal("replica", NOW)
PRESERVE = dataclasses.replace(GOAL, diverged="preserve")
DISCARD = dataclasses.replace(GOAL, diverged="discard")
KEPT = "pool1/kept"
BEGUN = [SetProperties("here", FS, "thaw", values=(("readonly", "off"),))]

FROZEN, ROLLED_BACK = (HOST, "set"), (HOST, "rollback")
DEMOTED = [(HOST, "set"), (HOST, "inherit")]
PROMOTED = [(PEER_HOST, "inherit"), (PEER_HOST, "set"), (PEER_HOST, "mount")]


def two_masters(*mine, written=0, **more):
    return seen_at(HOST, master(*sent(0), *mine, written=written, **more), taken_over(*sent(0), own(1) + "=theirs+3"))


def rollback_of(plan):
    (found,) = [step for step in plan.steps if isinstance(step, Rollback)]
    return found


# Proof


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (None, own(1)),
        (dataset(KEPT), own(1)),
        (dataset(KEPT, own(1)), "daily"),
        (dataset(KEPT, "daily"), own(1)),
        (dataset(KEPT, own(1) + "=other", "daily"), own(1)),
    ],
    ids=["no copy", "an empty one", "the first", "the last", "one of the name with another GUID"],
)
def test_a_snapshot_that_is_not_in_the_copy_is_not_rolled_back(kept, said):
    with pytest.raises(errors.InUse) as caught:
        plan_return(two_masters(own(1) + "+5", "daily"), PRESERVE, kept, BEGUN)
    assert said in caught.value.message
    assert (caught.value.host, caught.value.dataset) == (HOST, FS)
    assert caught.value.left == (f"what was copied is in {KEPT}" if kept else "")


def test_what_was_written_after_the_copy_is_not_rolled_back():
    with pytest.raises(errors.InUse) as caught:
        plan_return(two_masters(own(1) + "+5", written=9), PRESERVE, dataset(KEPT, own(1)), BEGUN)
    assert "9 bytes" in caught.value.message


def test_a_snapshot_is_known_by_its_guid_wherever_it_is_and_whatever_its_name():
    kept = dataset(KEPT, f"renamed={own(1)}", "daily", "more")
    assert plan_return(two_masters(own(1) + "+5", "daily"), PRESERVE, kept, BEGUN).steps


def test_without_anything_of_its_own_no_copy_is_asked_for():
    assert plan_return(two_masters(), PRESERVE, None).steps
    assert plan_return(two_masters("empty"), PRESERVE, None).steps


# Two masters


@pytest.mark.acceptance(49)
def test_case_49_an_old_master_whose_content_was_preserved_follows():
    seen = two_masters(own(1) + "+5", "daily")
    plan = plan_return(seen, PRESERVE, dataset(KEPT, own(1), "daily"), BEGUN)
    assert places(HOST, plan.steps) == [ROLLED_BACK, *DEMOTED]
    assert plan.begun == tuple(BEGUN)
    step = rollback_of(plan)
    assert (step.target, step.loses, step.decisive) == (f"{FS}@{own(0)}", (own(1), "daily"), True)


@pytest.mark.acceptance(49)
def test_case_49_an_old_master_whose_content_is_discarded_follows():
    plan = plan_return(two_masters(own(1) + "+5", written=9), DISCARD, None)
    assert places(HOST, plan.steps) == [FROZEN, ROLLED_BACK, *DEMOTED]
    assert plan.steps[0].values == (("readonly", "on"),)
    assert rollback_of(plan).loses == (own(1),)
    assert "diverged=discard" in rollback_of(plan).why


def test_the_base_is_the_same_snapshot_whatever_it_is_called():
    seen = seen_at(HOST, master(f"mine={own(0)}*", own(1) + "+5"), taken_over(*sent(0)))
    assert rollback_of(plan_return(seen, DISCARD, None)).target == f"{FS}@mine"


@pytest.mark.parametrize("host", [HOST, PEER_HOST])
def test_either_host_can_be_told_and_the_winner_is_left_alone(host):
    seen = two_masters(own(1) + "+5")
    seen = seen_at(host, seen.here, seen.there)
    goal = dataclasses.replace(DISCARD, role="replica" if host == HOST else "master")
    plan = plan_return(seen, goal, None)
    assert places(host, plan.steps) == [FROZEN, ROLLED_BACK, *DEMOTED]
    after = plan.after
    loser, winner = (after.here, after.there) if host == HOST else (after.there, after.here)
    assert shorts(loser) == [own(0)]
    assert winner == taken_over(*sent(0), own(1) + "=theirs+3")
    assert side(loser).readonly
    assert not side(loser).is_master
    assert side(loser).source == side(winner, PEER_HOST).endpoint
    assert side(loser).destination == side(loser).endpoint


def test_the_other_side_can_be_made_the_loser():
    seen = two_masters(own(1) + "+5")
    plan = plan_return(seen, dataclasses.replace(DISCARD, role="master"), None)
    assert places(HOST, plan.steps) == [
        (PEER_HOST, "set"),
        (PEER_HOST, "rollback"),
        (PEER_HOST, "set"),
        (PEER_HOST, "inherit"),
    ]
    assert side(plan.after.here).is_master
    assert plan.after.here == seen.here


def test_an_old_master_with_nothing_of_its_own_is_not_rolled_back():
    assert places(HOST, plan_return(two_masters(), DISCARD, None).steps) == [FROZEN, *DEMOTED]


def test_empty_snapshots_of_an_old_master_are_told_and_go():
    step = rollback_of(plan_return(two_masters("empty"), PRESERVE, None))
    assert step.loses == ("empty",)
    assert "nothing of its own" in step.why


def test_what_a_returned_master_needs_no_more_is_not_done_again():
    plan = plan_return(two_masters(own(1) + "+5"), DISCARD, None)
    again = plan_return(later(two_masters(), plan.after), GOAL, None)
    assert again.steps == ()


# One master


def test_a_replica_that_was_only_modified_is_rolled_back_and_keeps_its_role():
    seen = seen_at(PEER_HOST, master(*sent(0, 1)), replica(*sent(0), "mine+9"))
    plan = plan_return(seen, DISCARD, None)
    assert places(PEER_HOST, plan.steps) == [(PEER_HOST, "set"), (PEER_HOST, "rollback")]
    assert plan.after.there == seen.there
    preserved = plan_return(seen, PRESERVE, dataset("pool2/kept", "mine"), [])
    assert places(PEER_HOST, preserved.steps) == [(PEER_HOST, "rollback")]


def test_a_replica_that_can_be_written_is_frozen():
    seen = seen_at(PEER_HOST, master(*sent(0)), replica(*sent(0), properties={"readonly": ("off", "default")}))
    assert places(PEER_HOST, plan_return(seen, GOAL, None).steps) == [(PEER_HOST, "set")]


def test_a_replica_with_an_empty_snapshot_keeps_it():
    seen = seen_at(PEER_HOST, master(*sent(0, 1)), replica(*sent(0), "empty"))
    assert plan_return(seen, GOAL, None).steps == ()


def test_a_move_that_ended_after_it_was_decided_is_completed():
    """The new master is master, and not mounted yet; the old one follows it already."""
    copy = taken_over(*sent(0), properties={"mounted": "no"})
    seen = seen_at(HOST, demoted(*sent(0)), copy)
    assert places(HOST, plan_return(seen, GOAL, None).steps) == [(PEER_HOST, "mount")]


def test_a_master_that_is_still_frozen_becomes_writable():
    copy = taken_over(*sent(0), properties={"readonly": "on"})
    plan = plan_return(seen_at(HOST, demoted(*sent(0)), copy), GOAL, None)
    assert places(HOST, plan.steps) == [(PEER_HOST, "inherit")]


# No master


def test_where_neither_is_master_the_one_that_was_written_to_becomes_it():
    seen = seen_at(HOST, demoted(*sent(0)), replica(*sent(0), written=3))
    plan = plan_return(seen, GOAL, None)
    assert places(HOST, plan.steps) == PROMOTED
    assert side(plan.after.there, PEER_HOST).is_master
    assert plan.after.here == seen.here


def test_where_neither_is_master_what_the_old_one_has_is_not_given_up_unasked():
    seen = seen_at(HOST, demoted(*sent(0), "mine+9"), replica(*sent(0), written=3))
    with pytest.raises(errors.Diverged):
        plan_return(seen, GOAL, None)
    plan = plan_return(seen, DISCARD, None)
    assert places(HOST, plan.steps) == [FROZEN, ROLLED_BACK, *PROMOTED]
    kept = plan_return(seen, PRESERVE, dataset(KEPT, "mine"), [])
    assert places(HOST, kept.steps) == [ROLLED_BACK, *PROMOTED]


def test_two_masters_are_never_made_of_none():
    seen = seen_at(HOST, demoted(*sent(0), "mine+9"), replica(*sent(0), written=3))
    plan = plan_return(seen, DISCARD, None)
    for done in range(len(plan.steps) + 1):
        after = dataclasses.replace(plan, steps=plan.steps[:done]).after
        assert not (side(after.here).is_master and side(after.there, PEER_HOST).is_master)
        assert side(after.here).readonly or side(after.there, PEER_HOST).readonly


def test_the_other_direction_of_the_same_state():
    seen = seen_at(HOST, demoted(*sent(0)), replica(*sent(0), written=3))
    plan = plan_return(seen, dataclasses.replace(DISCARD, role="master"), None)
    assert rollback_of(plan).target == f"{PEER_FS}@{own(0)}"
    assert side(plan.after.here).is_master
