# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing a role without the peer: taking over, staying, stepping down, and what is lost by it."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import alone, errors
from ansible_collections.zfsops.zrep.plugins.module_utils._core.alone import plan_step_down, plan_takeover
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import Observed
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE, State
from ansible_collections.zfsops.zrep.plugins.module_utils._core.steps import Mark, Rollback
from ansible_collections.zfsops.zrep.plugins.module_utils._core.swapping import MoveGoal

from .builders import (
    FS,
    HOST,
    MIRRORED,
    MODERN,
    NOW,
    OLD,
    PEER_FS,
    PEER_HOST,
    as_old,
    dataset,
    demoted,
    later,
    marked,
    master,
    own,
    replica,
    sent,
    shorts,
    side,
    taken_over,
    time_of,
)

TAKE = MoveGoal("master", NOW)
STEP_DOWN = MoveGoal("replica", NOW)
PRESERVE = dataclasses.replace(STEP_DOWN, diverged="preserve")
DISCARD = dataclasses.replace(STEP_DOWN, diverged="discard")


def seen(found, features=MODERN, **more):
    """What a host sees that does not ask the other one."""
    host = HOST if found.name == FS else PEER_HOST
    return Observed("zrep", host, found.name, found, features_here=features, **more)


def actions(plan):
    assert {step.side for step in plan.steps} <= {HERE}
    assert plan.before == State(plan.before.here, None, unknown=True)
    return [step.action for step in plan.steps]


def step_of(plan, kind):
    (found,) = [step for step in plan.steps if isinstance(step, kind)]
    return found


def values(found, names):
    return {name: found.local(name) for name in names}


# Taking over


@pytest.mark.acceptance(48)
def test_case_48_a_replica_becomes_master_alone():
    plan = plan_takeover(seen(replica(*sent(0, 1))), TAKE)
    assert actions(plan) == ["inherit", "set", "mount"]
    after = plan.after.here
    assert values(after, MIRRORED) == MIRRORED
    assert side(after, PEER_HOST).is_master
    assert side(after, PEER_HOST).promoted == NOW
    assert after.source("readonly") != "local"
    assert after.snapshots == replica(*sent(0, 1)).snapshots


def test_what_decides_a_takeover_is_the_role():
    plan = plan_takeover(seen(replica(*sent(0))), TAKE)
    assert [step.decisive for step in plan.steps] == [False, True, False]


@pytest.mark.acceptance(55)
def test_case_55_a_fresh_replica_gets_a_mark_before_it_becomes_master():
    """The script marked the first snapshot on the master only; without a mark nothing could be sent back."""
    plan = plan_takeover(seen(replica(own(0))), TAKE)
    assert actions(plan) == ["mark_sent", "inherit", "set", "mount"]
    mark = step_of(plan, Mark)
    assert (mark.target, mark.sent) == (f"{PEER_FS}@{own(0)}", time_of(own(0)))
    assert marked(plan.after.here) == [own(0)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((own(0), own(1)), [own(1)]),
        ((own(0), own(1), "daily"), [own(1)]),
        ((*sent(0), own(1)), [own(0)]),
        (("daily",), []),
        ((), []),
    ],
)
def test_only_a_side_without_any_mark_gets_one(words, expected):
    plan = plan_takeover(seen(replica(*words)), TAKE)
    assert marked(plan.after.here) == expected
    assert side(plan.after.here, PEER_HOST).is_master


def test_a_takeover_that_died_goes_on():
    first = plan_takeover(seen(replica(own(0))), TAKE)
    for done in range(len(first.steps) + 1):
        state = dataclasses.replace(first, steps=first.steps[:done]).after
        again = plan_takeover(seen(later(seen(state.here), state).here), TAKE)
        assert marked(again.after.here) == [own(0)]
        assert values(again.after.here, MIRRORED) == MIRRORED
        assert len(again.steps) == len(first.steps) - done


@pytest.mark.acceptance(54)
@pytest.mark.parametrize("found", [master(*sent(0)), taken_over(*sent(0))])
def test_case_54_a_takeover_on_a_master_changes_nothing(found):
    plan = plan_takeover(seen(found), TAKE)
    assert plan.steps == ()
    assert plan.after.here.local("zrep:dest-fs") == (PEER_FS if found.name == FS else FS)


def test_a_master_that_a_move_left_frozen_becomes_writable_and_keeps_its_peer():
    found = master(*sent(0), properties={"readonly": "on", "mounted": "no"})
    plan = plan_takeover(seen(found), TAKE)
    assert actions(plan) == ["inherit", "mount"]
    assert side(plan.after.here).peer == side(found).peer


def test_a_master_that_names_the_other_side_as_source_names_itself_again():
    found = master(*sent(0), properties=dict(MIRRORED, readonly="on"))
    plan = alone.plan_stay(seen(found))
    record = {"zrep:src-fs": FS, "zrep:src-host": HOST, "zrep:dest-fs": PEER_FS, "zrep:dest-host": PEER_HOST}
    assert actions(plan) == ["set", "inherit"]
    assert values(plan.after.here, record) == record


def test_a_former_master_can_take_over_again():
    plan = plan_takeover(seen(demoted(*sent(0))), TAKE)
    assert actions(plan) == ["inherit", "set"]
    assert side(plan.after.here).is_source


def test_a_takeover_below_a_filesystem_that_is_readonly():
    plan = plan_takeover(seen(replica(*sent(0)), readonly_above=frozenset([HERE])), TAKE)
    assert plan.after.here.local("readonly") == "off"


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (None, errors.NotFound),
        (dataset(PEER_FS), errors.NotPaired),
        (replica(properties={"zrep:src-host": "-x"}), errors.BadProperty),
    ],
)
def test_what_is_no_pair_has_no_role(found, kind):
    with pytest.raises(kind):
        plan_takeover(Observed("zrep", PEER_HOST, PEER_FS, found), TAKE)


def test_a_mark_that_is_nonsense_stops_a_takeover():
    """Otherwise it could not be told whether a mark is missing."""
    found = replica(own(0))
    bad = dataclasses.replace(found.snapshots[0], bad_mark="tomorrow")
    with pytest.raises(errors.BadProperty):
        plan_takeover(seen(dataclasses.replace(found, snapshots=(bad,))), TAKE)


def test_a_replica_stays_what_it_is():
    assert alone.plan_stay(seen(replica(*sent(0)))).steps == ()


# What is lost


def test_the_loss_is_all_that_came_after_the_newest_snapshot():
    found = replica(own(0) + "*", own(1) + "*+10", own(2) + "*+30", "daily+1000")
    lost = alone.loss(seen(found), time_of(own(2)) + 90)
    assert lost == {
        "snapshot": own(2),
        "since": time_of(own(2)),
        "since_iso": "2020-09-13T12:28:40Z",
        "age_seconds": 90,
        "usual_bytes_per_sync": 20,
    }
    text = alone.loss_text(side(found, PEER_HOST), lost)
    assert f"written on {HOST}:{FS} after 2020-09-13T12:28:40Z ({own(2)}, 90 seconds ago)" in text
    assert f"is not in {PEER_HOST}:{PEER_FS}" in text
    assert f"only {HOST} knows, the last syncs brought 20 bytes each" in text


def test_a_loss_of_which_nothing_more_is_known():
    found = replica(*sent(0))
    lost = alone.loss(seen(found), time_of(own(0)) - 5)
    assert (lost["age_seconds"], lost["usual_bytes_per_sync"]) == (0, None)
    assert alone.loss_text(side(found, PEER_HOST), lost).endswith(f"only {HOST} knows")
    unknown = alone.loss(seen(as_old(replica(own(0), own(1) + "+5"))), NOW)
    assert unknown["usual_bytes_per_sync"] is None


def test_nothing_is_known_about_a_replica_without_snapshots():
    assert alone.loss(seen(replica("daily")), NOW) is None


# Stepping down


@pytest.mark.parametrize("goal", [STEP_DOWN, PRESERVE, DISCARD])
def test_a_master_that_never_sent_anything_does_not_step_down(goal):
    with pytest.raises(errors.NoCommonSnapshot) as caught:
        plan_step_down(seen(master(own(0))), goal, None)
    assert caught.value.left == "nothing was changed"


@pytest.mark.parametrize(("words", "written"), [((), 7), ((own(1) + "+5",), 0), (("daily+5",), 0)])
def test_what_the_peer_may_not_have_is_not_given_up_unasked(words, written):
    with pytest.raises(errors.Diverged) as caught:
        plan_step_down(seen(master(*sent(0), *words, written=written)), STEP_DOWN, None)
    assert f"since {own(0)}" in caught.value.message
    assert f"{PEER_HOST}:{PEER_FS}" in caught.value.message
    assert "diverged=preserve" in caught.value.hint
    assert "diverged=discard" in caught.value.hint


@pytest.mark.parametrize("goal", [STEP_DOWN, PRESERVE, DISCARD])
def test_a_master_with_nothing_of_its_own_steps_down(goal):
    plan = plan_step_down(seen(master(*sent(0, 1), written=0)), goal, None)
    assert actions(plan) == ["set", "set", "inherit"]
    assert values(plan.after.here, MIRRORED) == MIRRORED
    assert side(plan.after.here).readonly
    assert not side(plan.after.here).is_master


def test_discarding_rolls_back_to_what_was_sent_last():
    plan = plan_step_down(seen(master(*sent(0, 1), own(2) + "+5", "daily", written=7)), DISCARD, None)
    assert actions(plan) == ["set", "rollback", "set", "inherit"]
    step = step_of(plan, Rollback)
    assert (step.target, step.loses, step.decisive) == (f"{FS}@{own(1)}", (own(2), "daily"), True)
    assert shorts(plan.after.here) == [own(0), own(1)]


def test_discarding_what_was_only_written_rolls_back_as_well():
    plan = plan_step_down(seen(master(*sent(0), written=7)), DISCARD, None)
    assert (step_of(plan, Rollback).target, step_of(plan, Rollback).loses) == (f"{FS}@{own(0)}", ())


def test_preserving_goes_before_rolling_back():
    found = master(*sent(0), own(1) + "+5", written=7)
    plan, name = alone.plan_preserve_alone(seen(found), PRESERVE, {"pool1": dataset("pool1")})
    assert name == f"{FS}_preserved_{own(0)}"
    assert actions(plan) == ["set", "snapshot", "preserve", "preserve"]
    frozen = later(seen(found), plan.after).here
    with pytest.raises(errors.InUse):
        plan_step_down(seen(frozen), PRESERVE, dataset(name, own(1)), [])
    kept = dataclasses.replace(dataset(name), snapshots=frozen.snapshots[1:])
    begun = [plan.steps[0].undo]
    second = plan_step_down(seen(frozen), PRESERVE, kept, begun)
    assert actions(second) == ["rollback", "set", "inherit"]
    assert second.begun == tuple(begun)


def test_a_copy_that_lacks_something_is_no_reason_to_roll_back():
    found = master(*sent(0), own(1) + "+5", written=0)
    with pytest.raises(errors.InUse):
        plan_step_down(seen(found), PRESERVE, None, [])
    with pytest.raises(errors.InUse):
        plan_step_down(seen(found), PRESERVE, dataset("pool1/kept", own(1) + "=other"), [])


def test_an_old_zfs_freezes_by_a_remount_here_too():
    plan = plan_step_down(seen(as_old(master(*sent(0), written=0)), OLD), DISCARD, None)
    assert actions(plan)[:2] == ["set", "remount"]


@pytest.mark.parametrize("goal", [STEP_DOWN, PRESERVE, DISCARD])
def test_a_replica_has_nothing_to_step_down_from(goal):
    assert plan_step_down(seen(replica(*sent(0))), goal, None).steps == ()


def test_a_stepping_down_that_died_goes_on():
    found = master(*sent(0), own(1) + "+5", written=7)
    plan = plan_step_down(seen(found), DISCARD, None)
    for done in range(len(plan.steps) + 1):
        state = dataclasses.replace(plan, steps=plan.steps[:done]).after
        again = plan_step_down(seen(state.here), DISCARD, None)
        assert not side(again.after.here).is_master
        assert side(again.after.here).readonly
        assert shorts(again.after.here) == [own(0)]
        assert values(again.after.here, MIRRORED) == MIRRORED
