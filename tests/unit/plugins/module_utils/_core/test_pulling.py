# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulling: what stands against it, the steps that it takes, and that it can die anywhere."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import newest_common
from ansible_collections.zfsops.zrep.plugins.module_utils._core.pulling import plan_refresh
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE, State
from ansible_collections.zfsops.zrep.plugins.module_utils._core.steps import Destroy, Rollback
from ansible_collections.zfsops.zrep.plugins.module_utils._core.streams import Send
from ansible_collections.zfsops.zrep.plugins.module_utils._core.syncing import SyncGoal

from .builders import (
    FS,
    HOST,
    MIRRORED,
    NOW,
    PEER_FS,
    PEER_HOST,
    SETTINGS,
    Naming,
    actions,
    dataset,
    later,
    marked,
    master,
    named,
    observed_from_replica,
    own,
    replica,
    sent,
    shorts,
    taken_over,
)
from .moves import ALIAS, MISTAKEN, NAMINGS
from .test_plan_simulation import failed_streams, in_step, keeps_the_base, pairs, prefixes, throws_nothing_away

THERE = "peer"
GOAL = SyncGoal(NOW)
TRANSFER = [(THERE, "snapshot"), (THERE, "send"), (HERE, "mark_sent"), (THERE, "mark_sent")]


def refresh(here, there, settings=SETTINGS, **options):
    return plan_refresh(observed_from_replica(here, there), dataclasses.replace(GOAL, **options), settings)


def turned_record(**more):
    """What a former master records once the replica took its role."""
    return dict(MIRRORED, **{"zrep:master": None}, **more)


# The plain case


@pytest.mark.acceptance(34)
def test_case_34_the_master_takes_a_snapshot_and_both_sides_record_that_it_arrived():
    plan = refresh(replica(*sent(0, 1)), master(*sent(0, 1)))
    assert actions(plan) == TRANSFER
    (send,) = [step for step in plan.steps if isinstance(step, Send)]
    assert (send.base, send.target, send.destination) == (f"{FS}@{own(1)}", f"{FS}@{own(2)}", PEER_FS)
    assert marked(plan.after.here) == marked(plan.after.there) == [own(0), own(1), own(2)]
    assert plan.after.here.snapshots[-1].sent == plan.after.there.snapshots[-1].sent == NOW
    assert plan.warnings == ()


@pytest.mark.acceptance(34)
def test_case_34_each_side_expires_by_its_own_savecount():
    plan = refresh(replica(*sent(0, 1, 2), savecount="2"), master(*sent(0, 1, 2), savecount="3"))
    assert (len(shorts(plan.after.here)), len(shorts(plan.after.there))) == (2, 3)
    kept = refresh(replica(*sent(0, 1, 2), savecount="1"), master(*sent(0, 1, 2), savecount="1"), expire=False)
    assert not any(isinstance(step, Destroy) for step in kept.steps)


def test_what_is_held_is_kept_on_both_sides():
    plan = refresh(
        replica(own(0) + "*!", *sent(1), savecount="1"),
        master(own(0) + "*!", *sent(1), savecount="1"),
    )
    assert shorts(plan.after.here) == shorts(plan.after.there) == [own(0), own(2)]
    assert len(plan.warnings) == 2


@pytest.mark.acceptance(37)
def test_case_37_a_stream_that_failed_leaves_the_last_one_sent_and_the_next_run_gets_through():
    seen = observed_from_replica(replica(*sent(0)), master(*sent(0)))
    plan = plan_refresh(seen, GOAL, SETTINGS)
    (state,) = failed_streams(plan)
    assert marked(state.there) == [own(0)]
    assert shorts(state.there) == [own(0), own(1) + "_unsent"]
    again = plan_refresh(later(seen, state), GOAL, SETTINGS)
    assert marked(again.after.there) == marked(again.after.here) == [own(0), own(2)]
    assert shorts(again.after.here) == [own(0), own(1) + "_unsent", own(2)]


def test_a_snapshot_that_could_not_be_sent_is_destroyed_if_that_is_wanted():
    seen = observed_from_replica(replica(*sent(0)), master(*sent(0)))
    plan = plan_refresh(seen, GOAL, dataclasses.replace(SETTINGS, rename_unsent=False))
    (state,) = failed_streams(plan)
    assert shorts(state.there) == [own(0)]


@pytest.mark.parametrize("word", [own(1), f"{own(1)}_unsent={own(1)}"])
def test_what_arrived_without_a_record_is_recorded(word):
    plan = refresh(replica(*sent(0), own(1)), master(*sent(0), word))
    assert marked(plan.after.here) == marked(plan.after.there) == [own(0), own(1), own(2)]
    (send,) = [step for step in plan.steps if isinstance(step, Send)]
    assert send.base == f"{FS}@{own(1)}"


def test_force_throws_away_what_this_replica_has_of_its_own():
    here = replica(*sent(0), "mine+5", written=7)
    with pytest.raises(errors.Diverged) as caught:
        refresh(here, master(*sent(0)))
    assert caught.value.host == PEER_HOST
    plan = refresh(here, master(*sent(0)), force=True)
    (rollback,) = [step for step in plan.steps if isinstance(step, Rollback)]
    assert (rollback.side, rollback.target, rollback.loses) == (HERE, f"{PEER_FS}@{own(0)}", ("mine",))
    assert shorts(plan.after.here) == [own(0), own(1)]


@pytest.mark.acceptance(59)
def test_case_59_a_source_that_is_not_marked_as_master_yet():
    """So it is while a pair is made by hand; it goes on with a word about that."""
    plan = refresh(replica(own(1)), master(own(1), properties={"zrep:master": None}))
    assert actions(plan)[-4:] == TRANSFER
    assert FS in plan.warnings[0]


# What stands against it


@pytest.mark.acceptance(36)
@pytest.mark.parametrize(
    "here",
    [
        replica(*sent(0), properties={"zrep:master": "yes"}),
        taken_over(*sent(0)),
        replica(*sent(0), properties={"zrep:src-fs": PEER_FS, "zrep:src-host": PEER_HOST}),
    ],
)
def test_case_36_not_on_a_master(here):
    with pytest.raises(errors.WrongRole) as caught:
        refresh(here, master(*sent(0)))
    assert (caught.value.host, caught.value.dataset) == (PEER_HOST, PEER_FS)


def test_not_without_a_pair():
    with pytest.raises(errors.NotPaired):
        refresh(dataset(PEER_FS, *sent(0)), master(*sent(0)))
    with pytest.raises(errors.NotFound):
        refresh(None, master(*sent(0)))
    with pytest.raises(errors.NotFound) as caught:
        refresh(replica(*sent(0)), None)
    assert (caught.value.host, caught.value.dataset) == (HOST, FS)
    with pytest.raises(errors.NotPaired) as caught:
        refresh(replica(*sent(0)), dataset(FS, *sent(0)))
    assert (caught.value.host, caught.value.dataset) == (HOST, FS)


@pytest.mark.parametrize("more", [{"zrep:dest-fs": "pool2/other"}, {"zrep:src-fs": "pool3/x"}])
def test_not_from_somebody_elses_master(more):
    with pytest.raises(errors.PairedElsewhere):
        refresh(replica(*sent(0)), master(*sent(0), properties=more))


def test_not_from_the_master_of_a_namesake_on_another_host():
    with pytest.raises(errors.WrongRole):
        refresh(replica(*sent(0)), master(*sent(0), properties={"zrep:dest-host": "hostc"}))


def test_not_from_a_master_that_gave_its_role_away():
    with pytest.raises(errors.WrongRole) as caught:
        refresh(replica(*sent(0)), master(*sent(0), properties=turned_record()))
    assert "neither side" in str(caught.value)


@pytest.mark.parametrize("naming", [Naming(), Naming(FS, FS)])
@pytest.mark.parametrize("done", [1, 2, 3, 4])
def test_not_from_a_master_that_is_giving_its_role_away(naming, done):
    """Its record is turned one property at a time; where both filesystems have one name the first changes nothing."""
    production, copy = named(naming, master(*sent(0)), replica(*sent(0)))
    order = ("src-fs", "src-host", "dest-fs", "dest-host")
    turned = {"src-fs": naming.peer_fs, "src-host": PEER_HOST, "dest-fs": naming.fs, "dest-host": HOST}
    record = {f"zrep:{name}": turned[name] for name in order[:done]}
    changed = {
        name: found._replace(value=record[name]) if name in record else found
        for name, found in production.properties.items()
    }
    production = dataclasses.replace(production, properties=changed)
    seen = dataclasses.replace(
        observed_from_replica(copy, production), filesystem=copy.name, peer_filesystem=production.name
    )
    if naming.fs == naming.peer_fs and done == 1:
        assert plan_refresh(seen, GOAL, SETTINGS).steps
        return
    with pytest.raises(errors.WrongRole):
        plan_refresh(seen, GOAL, SETTINGS)


def test_not_without_a_common_snapshot_nor_without_room():
    with pytest.raises(errors.NoCommonSnapshot) as caught:
        refresh(replica(own(0) + "=another"), master(*sent(0)))
    assert "role=replica force=true" in caught.value.hint
    with pytest.raises(errors.PoolFull) as caught:
        refresh(replica(*sent(0), properties={"available": "10"}), master(*sent(0), written=1000))
    assert caught.value.host == PEER_HOST


def test_not_by_marks_that_are_nonsense():
    def spoilt(found):
        bad = dataclasses.replace(found.snapshots[0], sent=None, bad_mark="x")
        return dataclasses.replace(found, snapshots=(bad,))

    for here, there in ((spoilt(replica(own(0))), master(*sent(0))), (replica(*sent(0)), spoilt(master(own(0))))):
        with pytest.raises(errors.BadProperty):
            refresh(here, there)


@pytest.mark.parametrize("naming", [*NAMINGS.values(), *MISTAKEN.values(), ALIAS])
def test_whatever_the_hosts_call_each_other(naming):
    production, copy = named(naming, master(*sent(0)), replica(*sent(0)))
    seen = observed_from_replica(copy, production)
    seen = dataclasses.replace(seen, filesystem=copy.name, peer_filesystem=production.name, peer_host=naming.master_as)
    assert actions(plan_refresh(seen, GOAL, SETTINGS)) == TRANSFER


def test_a_master_that_knows_this_host_by_its_own_name_only():
    """As it is after its administrator corrected the record there."""
    there = master(*sent(0), properties={"zrep:dest-host": PEER_HOST})
    assert actions(refresh(replica(*sent(0), properties={"zrep:dest-host": "standby"}), there)) == TRANSFER


# Dying anywhere


def turned_round(seen):
    """The same pair as the host of its replica sees it."""
    return dataclasses.replace(
        observed_from_replica(seen.there, seen.here),
        features_here=seen.features_there,
        features_there=seen.features_here,
    )


def check_in_step(state):
    in_step(State(state.there, state.here))


@given(pairs())
def test_a_refresh_can_be_repeated_wherever_it_was_killed(found):
    seen = turned_round(found)
    for state in prefixes(plan_refresh(seen, GOAL, SETTINGS)):
        check_in_step(plan_refresh(later(seen, state), dataclasses.replace(GOAL, now=NOW + 60), SETTINGS).after)


@given(pairs())
def test_a_refresh_can_be_repeated_after_its_stream_failed(found):
    seen = turned_round(found)
    for settings in (SETTINGS, dataclasses.replace(SETTINGS, rename_unsent=False)):
        for state in failed_streams(plan_refresh(seen, GOAL, settings)):
            check_in_step(plan_refresh(later(seen, state), dataclasses.replace(GOAL, now=NOW + 60), settings).after)


@given(pairs())
def test_a_refresh_without_force_throws_nothing_away(found):
    plan = plan_refresh(turned_round(found), GOAL, SETTINGS)
    throws_nothing_away(plan)
    keeps_the_base(plan)


@given(pairs(theirs=True))
def test_what_this_replica_has_of_its_own_is_kept_or_named(found):
    seen = turned_round(found)
    base = newest_common(seen.side_there, seen.side_here)
    own_ones = seen.side_here.after(base.there)
    harmless = not seen.here.written and all(one.written == 0 for one in own_ones)
    try:
        plan = plan_refresh(seen, GOAL, SETTINGS)
    except errors.Diverged:
        assert not harmless
    else:
        assert harmless
        throws_nothing_away(plan)
    forced = plan_refresh(seen, dataclasses.replace(GOAL, force=True), SETTINGS)
    (rollback,) = [step for step in forced.steps if isinstance(step, Rollback)]
    assert set(rollback.loses) == {one.short for one in own_ones}
    for state in prefixes(forced):
        again = plan_refresh(later(seen, state), dataclasses.replace(GOAL, now=NOW + 60, force=True), SETTINGS)
        check_in_step(again.after)


# What is good enough, and what is sent


def test_a_replica_that_is_young_enough_needs_no_word_from_its_master():
    here = replica(*sent(0))
    seen = dataclasses.replace(observed_from_replica(here), asked=False)
    goal = dataclasses.replace(GOAL, max_age=NOW - here.snapshots[0].sent + 1)
    plan = plan_refresh(seen, goal, SETTINGS)
    assert (plan.steps, plan.before.unknown) == ((), True)
    assert "younger" in plan.skipped
    older = dataclasses.replace(goal, max_age=goal.max_age - 1)
    with pytest.raises(errors.NotFound):
        plan_refresh(seen, older, SETTINGS)


def test_without_changes_only_the_marks_move_the_replicas_first():
    plan = refresh(replica(*sent(0)), master(*sent(0), written=0), only_if_changed=True)
    assert actions(plan) == [(HERE, "mark_sent"), (THERE, "mark_sent")]
    assert plan.after.here.snapshots[-1].sent == plan.after.there.snapshots[-1].sent == NOW
    assert actions(refresh(replica(*sent(0)), master(*sent(0), written=1), only_if_changed=True)) == TRANSFER


def test_what_is_there_already_is_sent():
    plan = refresh(replica(*sent(0)), master(*sent(0), own(1), own(2)), send_only=True)
    assert actions(plan) == TRANSFER[1:]
    assert marked(plan.after.here) == [own(0), own(2)]
    assert refresh(replica(*sent(0)), master(*sent(0)), send_only=True).steps == ()
