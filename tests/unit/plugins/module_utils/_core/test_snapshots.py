# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single snapshots: taken, expired, recorded as sent."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors
from ansible_collections.zfsops.zrep.plugins.module_utils._core.snapshots import plan_expire, plan_sent, plan_take
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE

from .builders import (
    FS,
    NOW,
    PEER_FS,
    actions,
    dataset,
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


def alone(found):
    return observed(found, None, asked=False)


# Taking


@pytest.mark.acceptance(5)
def test_case_05_the_next_snapshot_is_taken():
    plan = plan_take(alone(master(*sent(9))), None, False)
    assert [step.target for step in plan.steps] == [f"{FS}@zrep_00000a"]
    assert marked(plan.after.here) == [own(9)]


@pytest.mark.parametrize("short", ["before-upgrade", own(3)])
def test_a_named_snapshot_is_taken_once(short):
    seen = alone(master(*sent(0)))
    plan = plan_take(seen, short, False)
    assert shorts(plan.after.here) == [own(0), short]
    again = plan_take(later(seen, plan.after), short, False)
    assert again.steps == ()
    assert short in again.skipped


def test_without_a_change_none_is_taken():
    assert plan_take(alone(master(*sent(0), written=0)), None, True).steps == ()
    assert plan_take(alone(master(*sent(0), written=1)), None, True).steps != ()
    assert plan_take(alone(master(*sent(0), "daily+1", written=0)), None, True).steps != ()
    assert plan_take(alone(master(*sent(0), properties={"written": "-"})), None, True).steps != ()
    assert plan_take(alone(master(written=0)), None, True).steps != ()


def test_only_a_master_takes_snapshots():
    with pytest.raises(errors.WrongRole):
        plan_take(observed_from_replica(replica(*sent(0))), None, False)
    with pytest.raises(errors.NotPaired):
        plan_take(alone(dataset(FS)), None, False)
    with pytest.raises(errors.NotFound):
        plan_take(alone(None), None, False)


@pytest.mark.acceptance(32)
def test_case_32_a_source_takes_them_before_it_is_marked_as_master():
    """So the script wants it; a side that names another one as the source takes none."""
    here = master(*sent(0), properties={"zrep:master": None})
    assert shorts(plan_take(alone(here), None, False, source=True).after.here) == [own(0), own(1)]
    with pytest.raises(errors.WrongRole):
        plan_take(alone(here), None, False)
    with pytest.raises(errors.WrongRole):
        plan_take(observed_from_replica(replica(*sent(0))), None, False, source=True)


# Expiring


@pytest.mark.acceptance(39)
def test_case_39_a_master_expires_both_sides():
    seen = observed(master(*sent(0, 1, 2, 3), savecount="3"), replica(*sent(0, 1, 2, 3), savecount="2"))
    plan = plan_expire(seen)
    assert (len(shorts(plan.after.here)), len(shorts(plan.after.there))) == (3, 2)
    assert plan_expire(later(seen, plan.after)).steps == ()


def test_a_master_alone_expires_this_side():
    plan = plan_expire(alone(master(*sent(0, 1, 2), savecount="1")))
    assert actions(plan) == [(HERE, "destroy")]


def test_a_replica_expires_itself():
    plan = plan_expire(dataclasses.replace(observed_from_replica(replica(*sent(0, 1, 2), savecount="1")), asked=False))
    assert actions(plan) == [(HERE, "destroy")]
    assert shorts(plan.after.here) == [own(2)]


def test_two_masters_expire_nothing():
    with pytest.raises(errors.SplitBrain):
        plan_expire(observed(master(*sent(0, 1)), replica(*sent(0, 1), properties={"zrep:master": "yes"})))


def test_a_mark_that_is_nonsense_expires_nothing():
    here = master(*sent(0, 1), savecount="1")
    bad = dataclasses.replace(here.snapshots[1], sent=None, bad_mark="x")
    with pytest.raises(errors.BadProperty):
        plan_expire(alone(dataclasses.replace(here, snapshots=(here.snapshots[0], bad))))


def test_what_is_no_pair_expires_nothing():
    with pytest.raises(errors.NotPaired):
        plan_expire(alone(dataset(FS, *sent(0, 1))))


# Recording


@pytest.mark.acceptance(59)
def test_case_59_a_replication_made_by_hand_is_completed():
    here = master(own(1), properties={"zrep:master": None})
    seen = observed(here, dataset(PEER_FS, own(1)))
    plan = plan_sent(seen, own(1), NOW)
    assert actions(plan) == [(THERE, "mark_sent"), (HERE, "mark_sent"), (HERE, "set")]
    assert plan.after.here.local("zrep:master") == "yes"
    assert plan.after.here.snapshots[0].sent == plan.after.there.snapshots[0].sent == NOW
    assert plan_sent(later(seen, plan.after), own(1), NOW + 60).steps == ()


@pytest.mark.acceptance(59)
def test_case_59_local_only_asks_nobody():
    plan = plan_sent(alone(master(own(1), properties={"zrep:master": None})), own(1), NOW)
    assert actions(plan) == [(HERE, "mark_sent"), (HERE, "set")]


def test_an_older_snapshot_becomes_the_last_sent():
    plan = plan_sent(observed(master(*sent(0, 1, 2)), replica(*sent(0, 1, 2))), own(1), NOW)
    assert marked(plan.after.here) == marked(plan.after.there) == [own(0), own(1)]
    assert plan.after.here.snapshots[1].sent == time_of(own(1))


def test_both_sides_get_the_time_that_one_has():
    plan = plan_sent(observed(master(own(0)), replica(*sent(0))), own(0), NOW)
    assert plan.after.here.snapshots[0].sent == time_of(own(0))


def test_a_replica_does_not_become_master_by_recording():
    plan = plan_sent(observed_from_replica(replica(own(0)), master(own(0))), own(0), NOW)
    assert (HERE, "set") not in actions(plan)
    alone_there = dataclasses.replace(observed_from_replica(replica(own(0))), asked=False)
    assert (HERE, "set") not in actions(plan_sent(alone_there, own(0), NOW))


def test_no_second_master_comes_from_recording():
    here = master(own(0), properties={"zrep:master": None})
    plan = plan_sent(observed(here, replica(own(0), properties={"zrep:master": "yes"})), own(0), NOW)
    assert (HERE, "set") not in actions(plan)


def test_what_cannot_be_recorded():
    seen = observed(master(own(0), "daily"), replica(own(0) + "=another"))
    with pytest.raises(errors.BadInput):
        plan_sent(seen, "daily", NOW)
    with pytest.raises(errors.NotFound):
        plan_sent(seen, own(5), NOW)
    with pytest.raises(errors.NoCommonSnapshot):
        plan_sent(seen, own(0), NOW)
    with pytest.raises(errors.NoCommonSnapshot):
        plan_sent(observed(master(own(0))), own(0), NOW)
    with pytest.raises(errors.NotPaired):
        plan_sent(observed(dataset(FS, own(0)), replica(own(0))), own(0), NOW)
