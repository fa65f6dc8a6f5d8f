# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sync: what stands against it, and the steps that it takes."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors
from ansible_collections.zfsops.zrep.plugins.module_utils._core.plan import predict
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE
from ansible_collections.zfsops.zrep.plugins.module_utils._core.steps import (
    Destroy,
    Mark,
    RenameSnapshot,
    Rollback,
    TakeSnapshot,
    Unmark,
)
from ansible_collections.zfsops.zrep.plugins.module_utils._core.streams import Send
from ansible_collections.zfsops.zrep.plugins.module_utils._core.syncing import SyncGoal, plan_rewind, plan_sync

from .builders import (
    FS,
    NOW,
    PEER_FS,
    PEER_HOST,
    SETTINGS,
    actions,
    dataset,
    guid_of,
    later,
    marked,
    master,
    observed,
    observed_from_replica,
    own,
    replica,
    sent,
    shorts,
    time_of,
)

THERE = "peer"
GOAL = SyncGoal(NOW)
TRANSFER = [(HERE, "snapshot"), (HERE, "send"), (THERE, "mark_sent"), (HERE, "mark_sent")]


def goal(**options):
    return dataclasses.replace(GOAL, **options)


def sync(here, there, settings=SETTINGS, seen=None, **options):
    return plan_sync(seen or observed(here, there), goal(**options), settings)


def step_of(plan, kind):
    (found,) = [step for step in plan.steps if isinstance(step, kind)]
    return found


def in_sync(plan):
    """Whether the predicted end is a pair in which the replica ends where the master was last sent, both marked."""
    here, there = plan.after.here, plan.after.there
    ours = [found for found in here.snapshots if found.sent is not None][-1]
    theirs = there.snapshots[-1]
    return ours.guid == theirs.guid and ours.sent == theirs.sent


# The plain case


@pytest.mark.acceptance(13)
def test_case_13_new_data_is_sent_and_marked_alike_on_both_sides():
    plan = sync(master(*sent(0, 1)), replica(*sent(0, 1)))
    assert actions(plan) == TRANSFER
    send = step_of(plan, Send)
    assert (send.base, send.target, send.destination) == (f"{FS}@{own(1)}", f"{FS}@{own(2)}", PEER_FS)
    marks = [step for step in plan.steps if isinstance(step, Mark)]
    assert [(mark.target, mark.sent) for mark in marks] == [(f"{PEER_FS}@{own(2)}", NOW), (f"{FS}@{own(2)}", NOW)]
    assert in_sync(plan)


@pytest.mark.acceptance(14)
def test_case_14_send_only_sends_all_and_marks_the_last():
    plan = sync(master(*sent(0), own(1), own(2)), replica(*sent(0)), send_only=True)
    assert actions(plan) == TRANSFER[1:]
    assert shorts(plan.after.there) == [own(0), own(1), own(2)]
    assert marked(plan.after.here) == marked(plan.after.there) == [own(0), own(2)]


@pytest.mark.acceptance(15)
def test_case_15_a_custom_tag_sends_no_intermediate_snapshots():
    settings = dataclasses.replace(SETTINGS, tag="dc", intermediates=False)
    words = ["dc_000000*", "zrep_000000", "daily"]
    seen = observed(master(*words, tag="dc"), replica("dc_000000*", tag="dc"), tag="dc")
    plan = sync(None, None, settings, seen)
    sending, dummy = step_of(plan, Send).commands((), seen.features_here)
    assert "-i" in sending
    assert "-I" not in sending
    assert shorts(plan.after.there) == ["dc_000000", "dc_000001"]


@pytest.mark.acceptance(16)
def test_case_16_send_only_with_nothing_to_send_still_expires():
    plan = sync(master(*sent(0, 1), savecount="1"), replica(*sent(0, 1), savecount="1"), send_only=True)
    assert actions(plan) == [(THERE, "destroy"), (HERE, "destroy")]
    assert shorts(plan.after.here) == shorts(plan.after.there) == [own(1)]


def test_intermediate_snapshots_go_along_with_the_default_tag():
    plan = sync(master(*sent(0), "daily"), replica(*sent(0)))
    assert shorts(plan.after.there) == [own(0), "daily", own(1)]


def test_options_of_send_reach_the_command():
    plan = sync(master(*sent(0)), replica(*sent(0)), dataclasses.replace(SETTINGS, send_options=("-c", "-L")))
    sending, dummy = step_of(plan, Send).commands((), observed(None).features_here)
    assert sending[:4] == ("zfs", "send", "-c", "-L")


def test_a_replica_without_configuration_may_receive():
    """So it is after the script's backup server was set up by hand."""
    there = dataset(PEER_FS, *sent(0))
    assert actions(sync(master(*sent(0)), there)) == TRANSFER


def test_a_pair_that_was_only_initialised_by_the_script():
    """It marks the first snapshot on the master only."""
    plan = sync(master(*sent(0)), replica(own(0)))
    assert actions(plan) == [(THERE, "mark_sent"), *TRANSFER]
    assert marked(plan.after.there) == [own(0), own(1)]


# What stands against it


def refused(kind, here, there, **options):
    with pytest.raises(kind) as caught:
        sync(here, there, **options)
    assert caught.value.left.startswith("nothing was changed")
    return caught.value


@pytest.mark.acceptance(17)
@pytest.mark.parametrize("force", [False, True])
def test_case_17_two_masters_are_refused(force):
    there = replica(*sent(0), properties={"zrep:master": "yes"})
    refused(errors.SplitBrain, master(*sent(0)), there, force=force)


@pytest.mark.acceptance(7)
def test_case_07_a_received_master_flag_on_the_replica_is_none():
    there = replica(*sent(0), properties={"zrep:master": ("yes", "received")})
    assert actions(sync(master(*sent(0)), there)) == TRANSFER


@pytest.mark.acceptance(28)
def test_case_28_only_the_master_pushes():
    with pytest.raises(errors.WrongRole) as caught:
        plan_sync(observed_from_replica(replica(*sent(0)), master(*sent(0))), GOAL, SETTINGS)
    assert caught.value.host == PEER_HOST


def test_a_filesystem_that_is_not_there():
    refused(errors.NotFound, None, replica())


def test_a_filesystem_that_is_no_pair():
    refused(errors.NotPaired, dataset(FS), replica())


def test_a_master_that_names_another_source():
    refused(errors.WrongRole, master(*sent(0), properties={"zrep:src-host": "elsewhere"}), replica(*sent(0)))
    refused(errors.WrongRole, master(*sent(0), properties={"zrep:src-fs": "pool1/other"}), replica(*sent(0)))


def test_a_replica_that_is_not_there():
    error = refused(errors.NotFound, master(*sent(0)), None)
    assert (error.host, error.dataset) == (PEER_HOST, PEER_FS)


@pytest.mark.parametrize(
    "properties",
    [
        {"zrep:src-fs": "pool1/other"},
        {"zrep:src-host": "hostc"},
    ],
)
def test_the_replica_of_somebody_else(properties):
    refused(errors.PairedElsewhere, master(*sent(0)), replica(*sent(0), properties=properties))


def test_another_spelling_of_this_host_is_this_host():
    for spelling in ("hosta.example.org", "192.0.2.1", "HOSTA"):
        there = replica(*sent(0), properties={"zrep:src-host": spelling})
        assert actions(sync(master(*sent(0)), there)) == TRANSFER


def test_a_replica_that_says_it_is_another():
    there = replica(*sent(0), properties={"zrep:dest-fs": "pool2/other"})
    refused(errors.BadProperty, master(*sent(0)), there)


def test_nothing_in_common():
    refused(errors.NoCommonSnapshot, master(*sent(0)), replica(own(0) + "=another"))
    refused(errors.NoCommonSnapshot, master(*sent(0)), replica())
    refused(errors.NoCommonSnapshot, master(), replica(*sent(0)), force=True)


@pytest.mark.acceptance(23)
def test_case_23_a_modified_replica_needs_force():
    here, there = master(*sent(0, 1)), replica(*sent(0, 1), written=512)
    error = refused(errors.Diverged, here, there)
    assert (error.host, error.dataset) == (PEER_HOST, PEER_FS)
    assert "512" in error.message
    plan = sync(here, there, force=True)
    assert actions(plan) == [(THERE, "rollback"), *TRANSFER]
    assert step_of(plan, Rollback).target == f"{PEER_FS}@{own(1)}"
    assert in_sync(plan)


@pytest.mark.acceptance(23)
def test_case_23_snapshots_of_the_replica_with_content_need_force():
    here, there = master(*sent(0)), replica(*sent(0), "mine+512", "more")
    error = refused(errors.Diverged, here, there)
    assert "mine" in error.message
    plan = sync(here, there, force=True)
    assert step_of(plan, Rollback).loses == ("mine", "more")
    assert shorts(plan.after.there) == [own(0), own(1)]


def test_snapshots_of_the_replica_whose_size_is_unknown_need_force():
    there = replica(*sent(0), "mine")
    unknown = dataclasses.replace(there.snapshots[-1], written=None)
    refused(errors.Diverged, master(*sent(0)), dataclasses.replace(there, snapshots=(there.snapshots[0], unknown)))


def test_empty_snapshots_of_the_replica_do_no_harm():
    plan = sync(master(*sent(0)), replica(*sent(0), "mine"))
    assert actions(plan) == TRANSFER
    assert shorts(plan.after.there) == [own(0), "mine", own(1)]


@pytest.mark.acceptance(18)
def test_case_18_no_room_is_found_before_anything_is_done():
    here = master(*sent(0), written=5000)
    refused(errors.PoolFull, here, replica(*sent(0), properties={"available": "4999"}))
    assert actions(sync(here, replica(*sent(0), properties={"available": "5000"}))) == TRANSFER


def test_room_that_is_unknown_is_no_reason():
    assert actions(sync(master(*sent(0)), replica(*sent(0), properties={"available": "-"}))) == TRANSFER


@pytest.mark.acceptance(43)
@pytest.mark.parametrize("savecount", ["0", "", "many"])
@pytest.mark.parametrize("which", [HERE, THERE])
def test_case_43_a_bad_savecount_is_found_before_anything_is_done(which, savecount):
    bad = {which: savecount}
    here = master(*sent(0), savecount=bad.get(HERE, "5"))
    there = replica(*sent(0), savecount=bad.get(THERE, "5"))
    refused(errors.BadProperty, here, there)
    assert actions(sync(here, there, expire=False)) == TRANSFER


@pytest.mark.parametrize("which", [HERE, THERE])
def test_a_mark_that_is_nonsense_is_found(which):
    sides = {HERE: master(*sent(0)), THERE: replica(*sent(0))}
    bad = dataclasses.replace(sides[which].snapshots[0], sent=None, bad_mark="x")
    sides[which] = dataclasses.replace(sides[which], snapshots=(bad,))
    refused(errors.BadProperty, sides[HERE], sides[THERE])


# Failing on the way


@pytest.mark.acceptance(19)
def test_case_19_what_could_not_be_sent_is_renamed_or_destroyed():
    plan = sync(master(*sent(0)), replica(*sent(0)))
    take = step_of(plan, TakeSnapshot)
    assert isinstance(take.undo, RenameSnapshot)
    assert take.undo.new_name == f"{FS}@{own(1)}_unsent"
    failed = take.undo.apply(take.apply(plan.before))
    assert shorts(failed.here) == [own(0), own(1) + "_unsent"]
    assert marked(failed.here) == [own(0)]

    plan = sync(master(*sent(0)), replica(*sent(0)), dataclasses.replace(SETTINGS, rename_unsent=False))
    take = step_of(plan, TakeSnapshot)
    assert take.undo == Destroy(HERE, FS, take.undo.why, shorts=(own(1),))
    assert take.undo.apply(take.apply(plan.before)).here.snapshots == plan.before.here.snapshots


@pytest.mark.acceptance(20)
def test_case_20_an_unsent_snapshot_travels_with_the_next():
    plan = sync(master(*sent(0), own(1) + "_unsent"), replica(*sent(0)))
    assert actions(plan) == TRANSFER
    assert shorts(plan.after.there) == [own(0), own(1) + "_unsent", own(2)]
    assert marked(plan.after.there) == [own(0), own(2)]


@pytest.mark.acceptance(21)
def test_case_21_what_arrived_under_another_name_is_recognised_by_its_guid():
    here = master(*sent(0, 1), "zrep_000002_unsent=zrep_000002")
    plan = sync(here, replica(*sent(0, 1), own(2)))
    assert actions(plan) == [(HERE, "rename"), (THERE, "mark_sent"), (HERE, "mark_sent"), *TRANSFER]
    assert step_of(plan, RenameSnapshot).new_name == f"{FS}@{own(2)}"
    assert step_of(plan, Send).base == f"{FS}@{own(2)}"
    assert marked(plan.after.here) == marked(plan.after.there) == [own(0), own(1), own(2), own(3)]
    times = {found.short: found.sent for found in plan.after.here.snapshots}
    assert times == {found.short: found.sent for found in plan.after.there.snapshots}


@pytest.mark.acceptance(22)
@pytest.mark.parametrize("marks", [0, 1])
def test_case_22_a_crash_before_the_marks_is_recovered(marks):
    words = ["dc_000000*", "dc_000001"]
    settings = dataclasses.replace(SETTINGS, tag="dc", intermediates=False)
    there = replica(words[0], words[1] + "*" * marks, tag="dc")
    plan = sync(None, None, settings, observed(master(*words, tag="dc"), there, tag="dc"))
    assert marked(plan.after.here) == marked(plan.after.there) == ["dc_000000", "dc_000001", "dc_000002"]
    assert in_sync(plan)


def test_a_lost_record_takes_the_time_of_the_side_that_has_it():
    plan = sync(master(*sent(0), own(1)), replica(*sent(0, 1)))
    first = plan.steps[0]
    assert (first.side, first.target, first.sent) == (HERE, f"{FS}@{own(1)}", time_of(own(1)))


def test_a_lost_record_of_both_sides_takes_the_time_of_the_snapshot():
    here = master(*sent(0), own(1))
    plan = sync(here, replica(*sent(0), own(1)))
    assert {step.sent for step in plan.steps[:2]} == {here.snapshots[1].creation}


def test_a_base_that_is_not_ours_is_not_marked():
    plan = sync(master(*sent(0), "daily"), replica(*sent(0), "daily"))
    assert actions(plan) == TRANSFER
    assert step_of(plan, Send).base == f"{FS}@daily"


def test_a_name_that_is_taken_here_is_not_given_twice():
    here = master(*sent(0), own(1) + "=another", "zrep_000001_unsent=zrep_000001")
    plan = sync(here, replica(*sent(0), own(1)))
    assert not any(isinstance(step, RenameSnapshot) for step in plan.steps)
    assert in_sync(plan)


@pytest.mark.acceptance(23)
def test_case_23_force_does_not_skip_the_lost_record():
    plan = sync(master(*sent(0), own(1)), replica(*sent(0), own(1), written=1), force=True)
    assert actions(plan)[:3] == [(THERE, "mark_sent"), (HERE, "mark_sent"), (THERE, "rollback")]
    assert in_sync(plan)


# When there is little to do


def test_max_age_asks_nobody():
    here = master(*sent(0))
    last = here.snapshots[-1].sent
    seen = observed(here, None, asked=False)
    plan = plan_sync(seen, SyncGoal(last + 59, max_age=60), SETTINGS)
    assert plan.steps == ()
    assert plan.skipped
    with pytest.raises(errors.NotFound):
        plan_sync(seen, SyncGoal(last + 60, max_age=60), SETTINGS)


def test_a_last_sync_in_the_future_is_not_fresh():
    here = master(*sent(0))
    plan = sync(here, replica(*sent(0)), now=here.snapshots[-1].sent - 1, max_age=60)
    assert actions(plan) == TRANSFER


def test_max_age_of_nothing_that_was_ever_sent():
    assert (HERE, "send") in actions(sync(master(own(0)), replica(own(0)), max_age=60))


def test_a_lost_record_may_be_fresh_enough():
    here, there = master(*sent(0), own(1)), replica(*sent(0, 1))
    plan = sync(here, there, now=time_of(own(1)) + 5, max_age=30)
    assert actions(plan) == [(HERE, "mark_sent")]


@pytest.mark.acceptance(27)
def test_case_27_without_a_change_only_the_marks_move():
    plan = sync(master(*sent(0, 1), written=0), replica(*sent(0, 1)), only_if_changed=True)
    assert actions(plan) == [(THERE, "mark_sent"), (HERE, "mark_sent")]
    for found in (plan.after.here, plan.after.there):
        assert shorts(found) == [own(0), own(1)]
        assert found.snapshots[-1].sent == NOW
        assert found.snapshots[0].sent == time_of(own(0))


@pytest.mark.parametrize(
    "here",
    [
        master(*sent(0, 1), written=1),
        master(*sent(0, 1), "daily+1", written=0),
        master(*sent(0, 1), properties={"written": "-"}),
    ],
)
def test_anything_written_is_a_change(here):
    plan = sync(here, replica(*sent(0, 1)), only_if_changed=True)
    assert actions(plan) == TRANSFER


def test_an_unmarked_base_is_a_reason_to_sync():
    plan = sync(master("daily", written=0), replica("daily"), only_if_changed=True)
    assert actions(plan) == TRANSFER


def test_without_expiry_nothing_is_destroyed():
    here, there = master(*sent(*range(9)), savecount="1"), replica(*sent(*range(9)), savecount="1")
    assert actions(sync(here, there, expire=False)) == TRANSFER


def test_a_held_snapshot_is_kept_with_a_warning():
    here = master(own(0) + "*!", *sent(1), savecount="1")
    plan = sync(here, replica(*sent(0, 1), savecount="1"))
    assert own(0) in shorts(plan.after.here)
    assert any(own(0) in warning and "held" in warning for warning in plan.warnings)


# Rolling a replica back


@pytest.mark.acceptance(29)
def test_case_29_a_replica_is_rolled_back_and_goes_on_from_there():
    seen = observed(master(*sent(1, 2, 3)), replica(*sent(1, 2, 3)))
    plan = plan_rewind(seen, own(1), False)
    assert step_of(plan, Rollback).target == f"{PEER_FS}@{own(1)}"
    assert step_of(plan, Unmark).shorts == (own(2), own(3))
    assert shorts(plan.after.there) == [own(1)]
    assert shorts(plan.after.here) == [own(1), own(2), own(3)]
    assert marked(plan.after.here) == [own(1)]
    following = plan_sync(later(seen, plan.after), GOAL, SETTINGS)
    assert shorts(following.after.there) == [own(1), own(2), own(3), own(4)]
    assert in_sync(following)


def test_a_replica_that_stands_there_needs_nothing():
    assert plan_rewind(observed(master(*sent(1)), replica(*sent(1))), own(1), False).steps == ()


def test_rolling_back_again_changes_nothing():
    seen = observed(master(*sent(1, 2)), replica(*sent(1, 2)))
    plan = plan_rewind(seen, own(1), False)
    assert plan_rewind(later(seen, plan.after), own(1), False).steps == ()


@pytest.mark.acceptance(29)
def test_case_29_a_rewind_that_is_killed_leaves_no_mark_that_is_untrue():
    """A mark above what the replica holds would make a sync with max_age believe that all is well."""
    seen = observed(master(*sent(1, 2)), replica(*sent(1, 2)))
    plan = plan_rewind(seen, own(1), False)
    for done in range(len(plan.steps) + 1):
        state = predict(plan.before, plan.steps[:done])
        assert marked(state.here)[-1] in shorts(state.there), f"after step {done}"
        assert plan_rewind(later(seen, state), own(1), False).after == plan.after


def test_a_snapshot_that_is_not_on_both_sides():
    for short in (own(1), own(2), "nosuch"):
        with pytest.raises(errors.NotFound):
            plan_rewind(observed(master(*sent(0), own(1)), replica(*sent(0), own(2))), short, False)


def test_an_equal_name_is_not_enough():
    seen = observed(master(*sent(0, 1)), replica(*sent(0), own(1) + "=another"))
    with pytest.raises(errors.NotFound):
        plan_rewind(seen, own(1), True)


def test_later_snapshots_that_only_the_replica_has_need_force():
    seen = observed(master(*sent(0, 1)), replica(*sent(0, 1), "mine"))
    with pytest.raises(errors.Diverged):
        plan_rewind(seen, own(0), False)
    assert step_of(plan_rewind(seen, own(0), True), Rollback).loses == (own(1), "mine")


@pytest.mark.acceptance(28)
def test_case_28_only_the_master_rolls_a_replica_back():
    with pytest.raises(errors.WrongRole):
        plan_rewind(observed_from_replica(replica(*sent(0)), master(*sent(0))), own(0), False)
    with pytest.raises(errors.SplitBrain):
        plan_rewind(observed(master(*sent(0)), replica(*sent(0), properties={"zrep:master": "yes"})), own(0), True)


def test_guids_in_these_tests_are_not_by_chance():
    assert guid_of(own(0)) != guid_of(own(1))
