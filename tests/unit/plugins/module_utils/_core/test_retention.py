# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshots have had their time, and which never do."""

from __future__ import annotations

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import BadProperty
from ansible_collections.zfsops.zrep.plugins.module_utils._core.retention import expired, plan_expiry
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE, State
from ansible_collections.zfsops.zrep.plugins.module_utils._core.steps import Destroy
from ansible_collections.zfsops.zrep.plugins.module_utils._core.syncing import SyncGoal, plan_sync

from .builders import (
    FS,
    NOW,
    PEER_HOST,
    SETTINGS,
    guid_of,
    master,
    observed,
    own,
    replica,
    sent,
    shorts,
    side,
)

THERE = "peer"


def gone(found, protected=(), host=None):
    return [snapshot.short for snapshot in expired(side(found, host or "h"), frozenset(protected)).destroy]


def expiry(here, there):
    steps, warnings = plan_expiry(State(here, there), side(here), side(there, PEER_HOST) if there else None)
    return {step.side: list(step.shorts) for step in steps}, warnings


@pytest.mark.acceptance(38)
def test_case_38_after_a_sync_both_sides_keep_the_last_five():
    words = sent(*range(10))
    plan = plan_sync(observed(master(*words), replica(*words)), SyncGoal(NOW), SETTINGS)
    kept = [own(serial) for serial in range(6, 11)]
    assert shorts(plan.after.here) == shorts(plan.after.there) == kept


@pytest.mark.acceptance(39)
def test_case_39_each_side_has_a_count_of_its_own():
    words = sent(*range(6))
    plan = plan_sync(observed(master(*words, savecount="3"), replica(*words, savecount="2")), SyncGoal(NOW), SETTINGS)
    assert shorts(plan.after.here) == [own(serial) for serial in (4, 5, 6)]
    assert shorts(plan.after.there) == [own(serial) for serial in (5, 6)]


@pytest.mark.acceptance(40)
def test_case_40_unsent_snapshots_are_kept_above_the_count():
    found = master(*sent(0, 1, 2), own(3), own(4), own(5) + "_unsent", savecount="2")
    assert gone(found) == [own(0)]
    assert gone(master(*sent(0, 1, 2), own(3), own(4), savecount="1")) == [own(0), own(1)]


@pytest.mark.acceptance(41)
def test_case_41_the_last_sent_is_kept_however_old():
    assert gone(master(*sent(0), *[own(serial) for serial in range(1, 20)], savecount="1")) == []


@pytest.mark.acceptance(42)
def test_case_42_foreign_snapshots_are_never_destroyed():
    words = ["daily-1*", "zrep_dc_000001*", "zrep-000001", "zrep_abcdef-mine*", "zrep_00001"]
    assert gone(master(*words, *sent(1, 2, 3), savecount="1")) == [own(1), own(2)]
    assert gone(replica(*words, *sent(1, 2, 3), savecount="1")) == [own(1), own(2)]


@pytest.mark.acceptance(43)
@pytest.mark.parametrize("savecount", ["0", "", "text", "-1"])
@pytest.mark.parametrize("build", [master, replica])
def test_case_43_a_bad_savecount_destroys_nothing(build, savecount):
    with pytest.raises(BadProperty):
        expired(side(build(*sent(*range(9)), savecount=savecount)))


@pytest.mark.acceptance(43)
@pytest.mark.parametrize("bad", [HERE, THERE])
def test_case_43_a_bad_savecount_on_one_side_destroys_nothing_on_either(bad):
    here = master(*sent(*range(9)), savecount="0" if bad == HERE else "1")
    there = replica(*sent(*range(9)), savecount="0" if bad == THERE else "1")
    with pytest.raises(BadProperty):
        expiry(here, there)


@pytest.mark.parametrize(("savecount", "kept"), [("1", 1), ("2", 2), ("5", 5), ("9", 6), ("6", 6)])
@pytest.mark.parametrize("build", [master, replica])
def test_a_count_is_what_is_kept(build, savecount, kept):
    found = build(*sent(*range(6)), savecount=savecount)
    assert len(shorts(found)) - len(gone(found)) == kept


def test_the_oldest_go():
    # By time: the serial has grown a digit in between.
    assert gone(replica("zrep_ffffff*", "zrep_1000000*", savecount="1")) == ["zrep_ffffff"]


def test_a_master_that_was_never_sent_keeps_all():
    assert gone(master(*[own(serial) for serial in range(9)], savecount="1")) == []


def test_unsent_snapshots_expire_once_a_later_one_was_sent():
    assert gone(master(own(0) + "_unsent", *sent(1, 2), savecount="2")) == [own(0) + "_unsent"]


def test_held_snapshots_are_kept_and_named():
    found, warnings = expiry(
        master(own(0) + "*!", *sent(1, 2), savecount="1"), replica(own(0) + "*!", *sent(1, 2), savecount="1")
    )
    assert found == {HERE: [own(1)], THERE: [own(1)]}
    assert len(warnings) == 2
    assert all(own(0) in warning for warning in warnings)


def test_what_is_protected_is_neither_destroyed_nor_held():
    found = expired(side(replica(*sent(0, 1, 2), savecount="1")), frozenset([guid_of(own(0))]))
    assert [snapshot.short for snapshot in found.destroy] == [own(1)]
    assert found.held == ()


def test_the_common_base_is_kept_on_both_sides():
    here = master(*sent(0), own(1), own(2), savecount="1")
    there = replica(own(0), own(7) + "=mine", own(8) + "=other", savecount="1")
    assert expiry(here, there)[0] == {THERE: [own(7)]}


def test_the_base_is_kept_on_a_master_that_was_marked_by_hand():
    """The mark says more than is true; the GUIDs do not."""
    here = master(*sent(0, 1, 2, 3), savecount="1")
    assert expiry(here, replica(own(1)))[0] == {HERE: [own(0), own(2)]}


def test_steps_of_expiry_may_fail_without_harm():
    here = master(*sent(0, 1), savecount="1")
    steps, dummy = plan_expiry(State(here, None), side(here), None)
    assert steps == [Destroy(HERE, FS, steps[0].why, shorts=(own(0),))]
    assert all(step.optional for step in steps)
    assert "savecount 1" in steps[0].why


def test_a_side_that_has_nothing_surplus_needs_no_step():
    assert expiry(master(*sent(0)), replica(*sent(0))) == ({}, [])
