# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Going back on both sides: to which snapshots, in what order, and what is refused."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import newest_common
from ansible_collections.zfsops.zrep.plugins.module_utils._core.plan import predict
from ansible_collections.zfsops.zrep.plugins.module_utils._core.report import pair_facts
from ansible_collections.zfsops.zrep.plugins.module_utils._core.rewinding import plan_roll_back
from ansible_collections.zfsops.zrep.plugins.module_utils._core.steps import Mark, Rollback, Unmark
from ansible_collections.zfsops.zrep.plugins.module_utils._core.syncing import SyncGoal, plan_sync

from .builders import (
    FS,
    HOST,
    NOW,
    PEER_FS,
    PEER_HOST,
    SETTINGS,
    dataset,
    demoted,
    later,
    marked,
    master,
    own,
    places,
    replica,
    seen_at,
    sent,
    shorts,
    taken_over,
    time_of,
)

either_host = pytest.mark.parametrize("host", [HOST, PEER_HOST])
UNDATED, BACK_THERE, BACK_HERE = (HOST, "unmark_sent"), (PEER_HOST, "rollback"), (HOST, "rollback")


WANTED = own(1)


def roll_back(host, production, copy, short=WANTED, force=False):
    return plan_roll_back(seen_at(host, production, copy), short, force, NOW)


def after(host, plan):
    """The master and the replica at the end."""
    return (plan.after.here, plan.after.there) if host == HOST else (plan.after.there, plan.after.here)


def of(kind, plan):
    return [step for step in plan.steps if isinstance(step, kind)]


@either_host
def test_the_marks_go_first_then_the_replica_then_the_master(host):
    plan = roll_back(host, master(*sent(0, 1, 2, 3)), replica(*sent(0, 1, 2, 3)))
    assert places(host, plan.steps) == [UNDATED, BACK_THERE, BACK_HERE]
    assert plan.steps[0].shorts == (own(2), own(3))
    assert [step.target for step in of(Rollback, plan)] == [f"{PEER_FS}@{own(1)}", f"{FS}@{own(1)}"]
    for found in after(host, plan):
        assert shorts(found) == [own(0), own(1)]
        assert marked(found) == [own(0), own(1)]


@either_host
def test_what_goes_is_named_for_each_side(host):
    plan = roll_back(host, master(*sent(0, 1, 2), own(3)), replica(*sent(0, 1), own(2)))
    loses = dict(zip([step.target.partition("@")[0] for step in of(Rollback, plan)], of(Rollback, plan)))
    assert loses[FS].loses == (own(2), own(3))
    assert loses[PEER_FS].loses == (own(2),)


@either_host
def test_a_side_is_found_by_guid(host):
    plan = roll_back(host, master(*sent(0), f"mine={own(1)}", *sent(2)), replica(*sent(0), own(1), own(2)), "mine")
    assert [step.target for step in of(Rollback, plan)] == [f"{PEER_FS}@{own(1)}", f"{FS}@mine"]


@either_host
def test_what_was_only_written_goes_too(host):
    plan = roll_back(host, master(*sent(0, 1), written=7), replica(*sent(0, 1), written=3))
    assert places(host, plan.steps) == [BACK_THERE, BACK_HERE]


@either_host
def test_what_stands_there_already_is_left_alone(host):
    assert roll_back(host, master(*sent(0, 1), written=0), replica(*sent(0, 1))).steps == ()
    behind = roll_back(host, master(*sent(0, 1, 2)), replica(*sent(0, 1)))
    assert places(host, behind.steps) == [UNDATED, BACK_HERE]


@either_host
def test_a_roll_back_that_died_goes_on_and_a_sync_follows_it(host):
    seen = seen_at(host, master(*sent(0), own(1), *sent(2)), replica(*sent(0), own(1), own(2)))
    plan = plan_roll_back(seen, own(1), False, NOW)
    for done in range(len(plan.steps) + 1):
        died = later(seen, predict(plan.before, plan.steps[:done]))
        again = plan_roll_back(died, own(1), False, NOW + 60)
        production, copy = after(host, again)
        assert shorts(production) == shorts(copy) == [own(0), own(1)]
        assert marked(production) == marked(copy) == [own(0), own(1)]
        assert production.snapshots[-1].sent == copy.snapshots[-1].sent
        assert (
            places(host, plan_sync(seen_at(HOST, production, copy), SyncGoal(NOW), SETTINGS).steps)[0][1] == "snapshot"
        )


def test_a_run_that_died_between_the_sides_lost_only_the_wish():
    """The replica went first, so the next sync brings it forward again."""
    seen = seen_at(HOST, master(*sent(0, 1, 2)), replica(*sent(0, 1, 2)))
    plan = plan_roll_back(seen, own(1), False, NOW)
    died = later(seen, predict(plan.before, plan.steps[:2]))
    synced = plan_sync(died, SyncGoal(NOW, expire=False), SETTINGS).after
    assert shorts(synced.there) == [own(0), own(1), own(2), own(3)]


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        (own(1), own(1), {(FS, NOW), (PEER_FS, NOW)}),
        (own(1) + "*", own(1), {(PEER_FS, time_of(own(1)))}),
        (own(1), own(1) + "*", {(FS, time_of(own(1)))}),
        (own(1) + "*", own(1) + "*", set()),
    ],
)
def test_both_sides_are_marked_alike(mine, theirs, expected):
    plan = roll_back(HOST, master(*sent(0), mine, written=0), replica(*sent(0), theirs))
    assert {(step.target.partition("@")[0], step.sent) for step in of(Mark, plan)} == expected


def test_a_snapshot_that_is_not_the_pairs_own_is_not_marked():
    plan = roll_back(HOST, master(*sent(0), "daily", *sent(1)), replica(*sent(0), "daily", *sent(1)), "daily")
    assert of(Mark, plan) == []
    assert [step.shorts for step in of(Unmark, plan)] == [(own(1),)]


def test_what_was_never_sent_has_no_mark_to_lose():
    plan = roll_back(HOST, master(*sent(0, 1), own(2)), replica(*sent(0, 1)))
    assert of(Unmark, plan) == []


def test_what_went_is_not_reported_as_unsent():
    seen = seen_at(HOST, master(*sent(0, 1, 2), written=7), replica(*sent(0, 1, 2)))
    plan = plan_roll_back(seen, own(1), False, NOW)
    assert pair_facts(seen, NOW, plan.after)["unsent_bytes"] == 0


# Refusals


@either_host
@pytest.mark.parametrize("where", [HOST, PEER_HOST])
def test_snapshots_of_others_only_go_if_that_was_said(host, where):
    mine = master(*sent(0, 1), *(["daily", "zrep_000001-mine"] if where == HOST else []))
    theirs = replica(*sent(0, 1), *(["daily", "zrep_000001-mine"] if where == PEER_HOST else []))
    with pytest.raises(errors.Diverged) as caught:
        roll_back(host, mine, theirs)
    assert "daily, zrep_000001-mine" in caught.value.message
    assert caught.value.host == where
    assert "force" in caught.value.hint
    forced = roll_back(host, mine, theirs, force=True)
    assert [shorts(found) for found in after(host, forced)] == [[own(0), own(1)]] * 2


def test_older_snapshots_of_others_are_no_obstacle():
    production, copy = after(HOST, roll_back(HOST, master("daily", *sent(1, 2)), replica(*sent(1, 2))))
    assert (shorts(production), shorts(copy)) == (["daily", own(1)], [own(1)])


@either_host
@pytest.mark.parametrize(
    ("production", "copy", "lacking", "said"),
    [
        (master(*sent(0, 1)), replica(*sent(0)), PEER_HOST, "only the other side has one"),
        (master(*sent(0)), replica(*sent(0, 1)), HOST, "only the other side has one"),
        (master(*sent(0)), replica(*sent(0)), HOST, f"has no snapshot {own(1)}"),
        (master(*sent(0, 1)), replica(*sent(0), own(1) + "=other"), PEER_HOST, "only the other side has one"),
    ],
)
def test_a_snapshot_that_not_both_hold(host, production, copy, lacking, said):
    with pytest.raises(errors.NotFound) as caught:
        roll_back(host, production, copy)
    assert said in caught.value.message
    assert caught.value.host == lacking
    assert caught.value.hint == f"both sides hold: {own(0)}"


def test_nothing_to_go_back_to():
    with pytest.raises(errors.NotFound) as caught:
        roll_back(HOST, master("a"), replica("b"))
    assert caught.value.hint == "both sides hold: none"


@either_host
def test_two_masters_are_settled_first(host):
    with pytest.raises(errors.SplitBrain):
        roll_back(host, master(*sent(0, 1)), taken_over(*sent(0, 1)))


@either_host
def test_without_a_master_there_is_no_order(host):
    with pytest.raises(errors.WrongRole):
        roll_back(host, demoted(*sent(0, 1)), replica(*sent(0, 1)))


@pytest.mark.parametrize(("there", "kind"), [(None, errors.NotFound), (dataset(PEER_FS), errors.NotPaired)])
def test_no_pair(there, kind):
    seen = dataclasses.replace(seen_at(HOST, master(*sent(0, 1)), replica(*sent(0, 1))), there=there)
    with pytest.raises(kind):
        plan_roll_back(seen, own(1), True, NOW)


def test_after_a_roll_back_both_end_with_the_same():
    """Also where the replica had something that the master never had."""
    copy = replica(*sent(0, 1), own(2) + "=theirs+9")
    plan = roll_back(HOST, master(*sent(0, 1, 2)), copy)
    seen = later(seen_at(HOST, master(), replica()), plan.after)
    base = newest_common(seen.side_here, seen.side_there)
    assert (base.here.short, base.there.short) == (own(1), own(1))
    assert seen.side_here.after(base.here) == seen.side_there.after(base.there) == ()
