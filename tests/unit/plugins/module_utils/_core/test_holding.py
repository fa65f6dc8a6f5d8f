# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds on the snapshot that both sides share last: where they go on, and where they have to come off."""

from __future__ import annotations

import dataclasses

from ansible_collections.zfsops.zrep.plugins.module_utils._core.creating import PairGoal
from ansible_collections.zfsops.zrep.plugins.module_utils._core.pairing import plan_absent, plan_present
from ansible_collections.zfsops.zrep.plugins.module_utils._core.plan import predict
from ansible_collections.zfsops.zrep.plugins.module_utils._core.rewinding import plan_roll_back
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import State
from ansible_collections.zfsops.zrep.plugins.module_utils._core.syncing import SyncGoal, plan_sync

from .builders import HOST, MODERN, NOW, PEER, SETTINGS, later, master, own, replica, seen_at, sent, shorts

HOLDING = {"zrep:hold": ("yes", "local")}


def pair(numbers, held, properties=None):
    record = HOLDING if properties is None else properties
    made = [make(*sent(*numbers), properties=record) for make in (master, replica)]
    return seen_at(HOST, *(with_holds(one, *held) for one in made), MODERN)


def with_holds(found, *numbers):
    names = {own(number) for number in numbers}
    made = tuple(dataclasses.replace(one, holds=int(one.short in names)) for one in found.snapshots)
    return dataclasses.replace(found, snapshots=made)


def held(seen):
    return [[one.short for one in side.snapshots if one.holds] for side in (seen.here, seen.there)]


def after(seen, plan):
    return later(seen, predict(State(seen.here, seen.there), plan.steps))


def kinds(plan):
    return [step.action for step in plan.steps if step.action in ("hold", "release")]


def test_the_hold_goes_on_with_each_sync_and_four_commands_do_it():
    seen = pair((0, 1), (1,))
    plan = plan_sync(seen, SyncGoal(NOW), SETTINGS)
    found = after(seen, plan)
    assert held(found) == [[own(2)], [own(2)]]
    assert kinds(plan) == ["hold", "release"] * 2
    assert sum(len(step.commands((), MODERN)) for step in plan.steps if step.action in ("hold", "release")) == 4


def test_without_the_record_nothing_is_held():
    assert kinds(plan_sync(pair((0, 1), (), {}), SyncGoal(NOW), SETTINGS)) == []


def test_what_a_run_that_died_left_is_released_by_the_next():
    seen = pair((0, 1, 2), (0, 1, 2))
    assert held(after(seen, plan_sync(seen, SyncGoal(NOW), SETTINGS))) == [[own(3)], [own(3)]]


def test_what_was_released_can_expire_in_the_same_run():
    seen = pair((0, 1), (1,), dict(HOLDING, **{"zrep:savecount": ("1", "local")}))
    assert shorts(after(seen, plan_sync(seen, SyncGoal(NOW), SETTINGS)).there) == [own(2)]


def test_it_is_switched_on_and_off():
    seen = pair((0, 1), (), {})
    on = after(seen, plan_present(seen, PairGoal(PEER, NOW, hold=True), SETTINGS))
    assert held(on) == [[own(1)], [own(1)]]
    assert not plan_present(on, PairGoal(PEER, NOW, hold=True), SETTINGS).steps
    assert not plan_present(on, PairGoal(PEER, NOW), SETTINGS).steps
    plan = plan_present(on, PairGoal(PEER, NOW, hold=False), SETTINGS)
    # Released first: a run that dies in between still knows that it holds.
    assert [step.action for step in plan.steps] == ["release", "release", "set", "set"]
    off = after(on, plan)
    assert held(off) == [[], []]
    assert not plan_present(off, PairGoal(PEER, NOW, hold=False), SETTINGS).steps


def test_it_does_not_outlive_the_pair():
    seen = pair((0, 1), (1,))
    for force in (False, True):
        found = after(seen, plan_absent(seen, force))
        assert held(found) == [[], []]
        assert found.here.local("zrep:hold") is None


def test_going_back_past_it_releases_it_first():
    seen = pair((0, 1, 2), (2,))
    plan = plan_roll_back(seen, own(1), False, NOW)
    assert held(after(seen, plan)) == [[own(1)], [own(1)]]
    for which in {step.side for step in plan.steps}:
        order = [step.action for step in plan.steps if step.side == which and step.action in ("release", "rollback")]
        assert order == ["release", "rollback"]
