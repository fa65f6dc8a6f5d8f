# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A planned move: what stands against it, the steps from either end, the proof, and what it costs."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors, moving
from ansible_collections.zfsops.zrep.plugins.module_utils._core.moving import plan_catch_up, plan_swap
from ansible_collections.zfsops.zrep.plugins.module_utils._core.streams import Send
from ansible_collections.zfsops.zrep.plugins.module_utils._core.swapping import MoveGoal, ends

from .builders import (
    FS,
    HOST,
    MODERN,
    NOW,
    OLD,
    PEER_FS,
    PEER_HOST,
    SETTINGS,
    as_old,
    later,
    marked,
    master,
    own,
    places,
    replica,
    seen_at,
    sent,
    shorts,
    side,
)
from .tokens import token

BUDGET = 16
"""How many zfs processes a planned move may take."""
LOOKS = 5
"""Both sides before, both sides after the freeze, and whether the new master would inherit readonly=on."""

GIVEN, TAKEN = (HOST, "replica"), (PEER_HOST, "master")
ends_of_a_move = pytest.mark.parametrize(("host", "role"), [GIVEN, TAKEN], ids=["given away", "taken"])

CATCH_UP = [
    (HOST, "set"),
    (HOST, "snapshot"),
    (HOST, "send"),
    (PEER_HOST, "mark_sent"),
    (HOST, "mark_sent"),
]
SWAP = [
    (HOST, "set"),
    (HOST, "inherit"),
    (PEER_HOST, "inherit"),
    (PEER_HOST, "set"),
    (PEER_HOST, "mount"),
]


def catch_up(host, role, production, copy, features=MODERN):
    seen = seen_at(host, production, copy, features)
    return seen, plan_catch_up(seen, MoveGoal(role, NOW), SETTINGS)


def swap(host, role, production, copy, features=MODERN, begun=()):
    return plan_swap(seen_at(host, production, copy, features), MoveGoal(role, NOW), begun)


def both_plans(host, role, production, copy, features=MODERN):
    seen, first = catch_up(host, role, production, copy, features)
    return first, plan_swap(later(seen, first.after), MoveGoal(role, NOW), [])


# The steps


@ends_of_a_move
def test_the_old_master_is_frozen_and_its_last_state_sent_whoever_calls(host, role):
    dummy, plan = catch_up(host, role, master(*sent(0, 1)), replica(*sent(0, 1)))
    assert places(host, plan.steps) == CATCH_UP
    freeze, take, send, *dummy = plan.steps
    assert freeze.values == (("readonly", "on"),)
    assert take.target == f"{FS}@{own(2)}"
    assert (send.base, send.destination) == (f"{FS}@{own(1)}", PEER_FS)
    assert plan.filesystem == (FS if host == HOST else PEER_FS)


@ends_of_a_move
def test_the_old_master_is_demoted_before_the_new_one_is_promoted(host, role):
    dummy, plan = both_plans(host, role, master(*sent(0, 1)), replica(*sent(0, 1)))
    assert places(host, plan.steps) == SWAP
    demoted, dropped, thawed, promoted, dummy = plan.steps
    assert [name for name, dummy in demoted.values] == [
        "zrep:src-fs",
        "zrep:src-host",
        "zrep:dest-fs",
        "zrep:dest-host",
    ]
    assert dropped.properties == ("zrep:master",)
    assert thawed.properties == ("readonly",)
    assert promoted.values[-1] == ("zrep:master", "yes")
    assert [step.decisive for step in plan.steps] == [False, False, False, True, False]


@ends_of_a_move
def test_an_old_zfs_takes_more_steps_in_the_same_order(host, role):
    plans = both_plans(host, role, as_old(master(*sent(0))), as_old(replica(*sent(0))), OLD)
    first, second = plans
    assert places(host, first.steps) == [CATCH_UP[0], (HOST, "remount"), *CATCH_UP[1:]]
    assert places(host, second.steps) == [*SWAP[:4], (PEER_HOST, "set"), SWAP[4]]


@ends_of_a_move
def test_both_sides_hold_the_last_snapshot_and_agree_on_it(host, role):
    first, dummy = both_plans(host, role, master(*sent(0, 1)), replica(*sent(0, 1)))
    production, copy = (first.after.here, first.after.there) if host == HOST else (first.after.there, first.after.here)
    assert shorts(production) == shorts(copy) == [own(0), own(1), own(2)]
    assert marked(production) == marked(copy) == [own(0), own(1), own(2)]
    assert production.snapshots[-1].guid == copy.snapshots[-1].guid
    assert production.snapshots[-1].sent == copy.snapshots[-1].sent == NOW


@ends_of_a_move
def test_a_planned_move_keeps_to_its_budget(host, role):
    plans = both_plans(host, role, master(*sent(0, 1)), replica(*sent(0, 1)))
    commands = [argv for plan in plans for step in plan.steps for argv in step.commands((), MODERN)]
    assert [argv[0] for argv in commands] == ["zfs"] * 11
    assert sum(isinstance(step, Send) for plan in plans for step in plan.steps) == 1
    assert len(commands) + LOOKS == BUDGET


def test_what_a_died_move_has_frozen_and_sent_is_not_sent_again():
    first, dummy = both_plans(*GIVEN, master(*sent(0)), replica(*sent(0)))
    seen = later(seen_at(HOST, master(*sent(0)), replica(*sent(0))), first.after)
    again = plan_catch_up(seen, MoveGoal("replica", NOW + 60), SETTINGS)
    assert places(HOST, again.steps) == CATCH_UP[:1]


@pytest.mark.parametrize(
    "production",
    [
        master(*sent(0), written=0),
        master(*sent(0), properties={"readonly": "on"}),
        master(own(0), written=0, properties={"readonly": "on"}),
        master(*sent(0), "daily", written=0, properties={"readonly": "on"}),
        master(*sent(0), written=0, properties={"readonly": ("on", "inherited")}),
    ],
    ids=["writable", "written", "unmarked", "a snapshot more", "frozen by another"],
)
def test_what_is_not_proven_to_be_level_is_sent(production):
    dummy, plan = catch_up(*GIVEN, production, replica(own(0)))
    assert (HOST, "send") in places(HOST, plan.steps)


def test_what_arrived_without_a_mark_is_recorded_before_more_is_sent():
    dummy, plan = catch_up(*TAKEN, master(*sent(0), own(1)), replica(*sent(0), own(1)))
    assert places(PEER_HOST, plan.steps) == [
        (HOST, "set"),
        (PEER_HOST, "mark_sent"),
        (HOST, "mark_sent"),
        *CATCH_UP[1:],
    ]


def test_what_takes_back_the_first_plan_is_kept_for_the_second():
    first, dummy = both_plans(*GIVEN, master(*sent(0)), replica(*sent(0)))
    thaw = first.steps[0].undo
    frozen = later(seen_at(HOST, master(*sent(0)), replica(*sent(0))), first.after)
    assert plan_swap(frozen, MoveGoal("replica", NOW), [thaw]).begun == (thaw,)


# Before


def with_bad_mark(found):
    bad = dataclasses.replace(found.snapshots[0], sent=None, bad_mark="tomorrow")
    return dataclasses.replace(found, snapshots=(bad, *found.snapshots[1:]))


GOOD = (master(*sent(0, 1)), replica(*sent(0, 1)))
PROBLEMS = {
    "bad mark here": (with_bad_mark(GOOD[0]), GOOD[1], errors.BadProperty, f"{FS}@{own(0)}"),
    "bad mark there": (GOOD[0], with_bad_mark(GOOD[1]), errors.BadProperty, f"{PEER_FS}@{own(0)}"),
    "nothing in common": (GOOD[0], replica("other"), errors.NoCommonSnapshot, FS),
    "a snapshot of its own": (GOOD[0], replica(*sent(0), "mine+9"), errors.Diverged, PEER_FS),
    "written there": (GOOD[0], replica(*sent(0), written=5), errors.Diverged, PEER_FS),
    "no room there": (GOOD[0], replica(*sent(0), properties={"available": "10"}), errors.PoolFull, PEER_FS),
    "no way back": (master(*sent(0), properties={"available": "0"}), GOOD[1], errors.PoolFull, FS),
}


@ends_of_a_move
@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_each_problem_alone_is_raised_as_it_is(host, role, problem):
    production, copy, kind, place = problem
    with pytest.raises(errors.ZrepError) as caught:
        catch_up(host, role, production, copy)
    assert caught.value.__class__ is kind
    assert caught.value.dataset == place
    assert caught.value.host == (HOST if place.startswith(FS) else PEER_HOST)
    assert caught.value.left == "nothing was changed"
    assert caught.value.hint


@ends_of_a_move
def test_all_problems_are_told_at_once(host, role):
    production = master(*sent(0), properties={"available": "0"})
    copy = with_bad_mark(replica(*sent(0), "mine+9", properties={"available": "10"}))
    with pytest.raises(errors.NotReady) as caught:
        catch_up(host, role, production, copy)
    kinds = [found["code"] for found in caught.value.details["problems"]]
    assert kinds == ["bad_property", "diverged", "pool_full", "pool_full"]
    assert (caught.value.host, caught.value.dataset) == (HOST, FS)
    assert "4 things stand against" in caught.value.message
    for number, found in enumerate(caught.value.details["problems"], 1):
        assert f"({number}) {found['host']}:{found['dataset']}: {found['message']}" in caught.value.message
        assert f"({number}) {found['hint']}" in caught.value.hint


@ends_of_a_move
@pytest.mark.parametrize(
    ("production", "copy"),
    [
        GOOD,
        (GOOD[0], replica(*sent(0, 1), "empty", written=0)),
        (GOOD[0], replica(*sent(0, 1), properties={"available": "4096"})),
        (GOOD[0], replica(*sent(0, 1), properties={"readonly": ("off", "default")})),
        (master(*sent(0), properties={"available": "1"}), GOOD[1]),
        (master(*sent(0), properties=token(own(1), own(0))), GOOD[1]),
        (GOOD[0], replica(*sent(0), properties=token(own(1), own(0)))),
    ],
    ids=[
        "a good pair",
        "an empty snapshot there",
        "just room enough",
        "a writable replica",
        "some room here",
        "a partial receive here",
        "one there",
    ],
)
def test_nothing_else_stands_against_a_move(host, role, production, copy):
    found = ends(seen_at(host, production, copy), MoveGoal(role, NOW))
    assert moving.preflight(found) == []
    catch_up(host, role, production, copy)


def test_the_hint_about_a_diverged_replica_names_the_call():
    with pytest.raises(errors.Diverged) as caught:
        catch_up(*GIVEN, GOOD[0], replica(*sent(0), "mine+9"))
    assert f"zrep_failover filesystem={PEER_FS} role=replica on {PEER_HOST}" in caught.value.hint
    assert "diverged=preserve" in caught.value.hint
    assert "force" not in caught.value.hint


def test_one_side_alone_is_looked_at_where_the_other_is_away():
    assert moving.preflight_alone(side(GOOD[0])) == []
    found = moving.preflight_alone(side(with_bad_mark(master(*sent(0)))))
    assert [problem.code for problem in found] == ["bad_property"]


# The proof


FROZEN = {"readonly": "on"}


def frozen(*words, written=0, **more):
    return master(*words, written=written, properties=dict(FROZEN, **more))


@ends_of_a_move
@pytest.mark.parametrize(
    ("production", "copy", "kind", "said"),
    [
        (master(*sent(0), written=0), replica(*sent(0)), errors.InUse, "still writable"),
        (frozen(*sent(0), readonly=("off", "temporary")), replica(*sent(0)), errors.InUse, "still writable"),
        (frozen(*sent(0)), replica(own(0) + "=other"), errors.NoCommonSnapshot, "lost the common snapshot"),
        (frozen(*sent(0), own(1) + "+4"), replica(*sent(0), own(1) + "=other+4"), errors.Busy, own(1)),
        (frozen(*sent(0), "daily+4"), replica(*sent(0)), errors.Busy, "daily"),
        (frozen(*sent(0)), replica(*sent(0), "mine+4"), errors.Busy, "mine"),
        (frozen(*sent(0), written=7), replica(*sent(0)), errors.InUse, "7 bytes"),
        (frozen(*sent(0)), replica(*sent(0), written=7), errors.InUse, "7 bytes"),
    ],
)
def test_nothing_is_swapped_without_proof(host, role, production, copy, kind, said):
    with pytest.raises(errors.ZrepError) as caught:
        swap(host, role, production, copy)
    assert caught.value.__class__ is kind
    assert said in caught.value.message


@ends_of_a_move
@pytest.mark.parametrize(
    ("production", "copy"),
    [
        (frozen(*sent(0), "daily"), replica(*sent(0))),
        (frozen(*sent(0)), replica(*sent(0), "mine")),
        (frozen(*sent(0), "daily"), replica(*sent(0), "mine")),
        (frozen(own(0)), replica(own(0))),
    ],
)
def test_empty_snapshots_of_others_do_no_harm(host, role, production, copy):
    assert places(host, swap(host, role, production, copy).steps) == SWAP


def test_a_fuse_mount_that_cannot_show_it_is_readonly_nevertheless():
    production = as_old(frozen(*sent(0), readonly=("off", "temporary")))
    assert swap(*GIVEN, production, as_old(replica(*sent(0))), OLD).steps


def test_an_old_zfs_cannot_tell_an_empty_snapshot_so_it_is_no_proof():
    with pytest.raises(errors.Busy):
        swap(*GIVEN, as_old(frozen(*sent(0), "daily")), as_old(replica(*sent(0))), OLD)


def test_a_volume_is_moved_without_mounting():
    copy = replica(*sent(0), kind="volume")
    plan = swap(*GIVEN, dataclasses.replace(frozen(*sent(0)), type="volume"), copy)
    assert places(HOST, plan.steps) == SWAP[:4]
