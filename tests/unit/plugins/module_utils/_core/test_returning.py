# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Following a master that is there already: what may be given up, how it is preserved, and the steps."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors, returning, trees
from ansible_collections.zfsops.zrep.plugins.module_utils._core.returning import plan_preserve, plan_return
from ansible_collections.zfsops.zrep.plugins.module_utils._core.steps import TakeSnapshot
from ansible_collections.zfsops.zrep.plugins.module_utils._core.streams import Copy
from ansible_collections.zfsops.zrep.plugins.module_utils._core.swapping import MoveGoal, ends

from .builders import (
    FS,
    HOST,
    MODERN,
    NOW,
    OLD,
    PEER_FS,
    PEER_HOST,
    as_old,
    dataset,
    demoted,
    master,
    own,
    places,
    replica,
    seen_at,
    sent,
    side,
    taken_over,
)

GOAL = MoveGoal("replica", NOW)
PRESERVE = dataclasses.replace(GOAL, diverged="preserve")
DISCARD = dataclasses.replace(GOAL, diverged="discard")
KEPT = f"{FS}_preserved_{own(0)}"
BASE, MARKED = f"{FS}@{own(0)}", "zrep:preserved-from"
MARK = {"readonly": "on", MARKED: BASE}
POOL = dataset("pool1")


def split(*mine, written=0, theirs=(), features=MODERN, **more):
    """Two masters, as the older one sees them: what it has of its own since snapshot 0, and the other's."""
    return seen_at(HOST, master(*sent(0), *mine, written=written), taken_over(*sent(0), *theirs), features, **more)


def follow(seen, goal=GOAL, copy=None, begun=None):
    return plan_return(seen, goal, copy, begun)


def copies_of(seen, goal=PRESERVE, **found):
    """The datasets under the names that could be chosen, and the one above them."""
    return plan_preserve(seen, goal, dict({"pool1": POOL}, **{KEPT + name: value for name, value in found.items()}))


def step_of(plan, kind):
    (found,) = [step for step in plan.steps if isinstance(step, kind)]
    return found


# Who has something of his own


@pytest.mark.parametrize(
    ("words", "written", "expected"),
    [((), 0, False), ((), 1, True), ((own(1),), 0, False), ((own(1) + "+1",), 0, True), (("daily+1",), 0, True)],
)
def test_content_of_its_own(words, written, expected):
    found = side(master(*sent(0), *words, written=written))
    assert trees.has_own(found, found.snapshots[0]) is expected


def test_what_zfs_cannot_tell_counts_as_content():
    found = side(as_old(master(*sent(0), own(1), written=0)))
    assert trees.has_own(found, found.snapshots[0])
    unknown = side(master(*sent(0), properties={"written": "-"}))
    assert trees.has_own(unknown, unknown.snapshots[0])


@pytest.mark.parametrize(
    ("production", "copy", "follows", "in_doubt"),
    [
        (master(*sent(0)), replica(*sent(0)), (False, True), (False, False)),
        (
            master(*sent(0)),
            replica(*sent(0), properties={"readonly": ("off", "default")}),
            (False, True),
            (False, True),
        ),
        (master(*sent(0)), replica(*sent(0), "mine+3"), (False, True), (False, False)),
        (master(*sent(0)), taken_over(*sent(0)), (True, True), (True, True)),
        (demoted(*sent(0)), replica(*sent(0)), (False, False), (True, True)),
        (demoted(*sent(0)), replica(*sent(0), written=3), (True, False), (True, True)),
        (demoted("mine"), replica("theirs"), (False, False), (True, True)),
    ],
    ids=[
        "a healthy pair",
        "a writable replica",
        "a modified replica",
        "two masters",
        "no master",
        "no master, written to",
        "strangers",
    ],
)
def test_when_a_side_only_has_to_follow(production, copy, follows, in_doubt):
    """Asked for both directions: the first host follows the second, and the other way round."""
    seen = seen_at(HOST, production, copy)
    found = [ends(seen, MoveGoal(role, NOW)) for role in ("replica", "master")]
    assert tuple(returning.follows(one) for one in found) == follows
    assert tuple(returning.in_doubt(one) for one in found) == in_doubt


# What is refused


def check(seen, goal=GOAL):
    return returning.check_divergence(ends(seen, goal), goal)[0].base


@pytest.mark.parametrize("goal", [GOAL, PRESERVE, DISCARD])
def test_without_a_common_snapshot_nothing_helps(goal):
    with pytest.raises(errors.NoCommonSnapshot) as caught:
        check(seen_at(HOST, master("mine"), taken_over("theirs")), goal)
    assert (caught.value.host, caught.value.dataset) == (HOST, FS)
    assert f"zrep_pair on {PEER_HOST}" in caught.value.hint


def test_of_two_masters_none_is_chosen_for_the_user():
    with pytest.raises(errors.SplitBrain) as caught:
        check(split())
    hint = caught.value.hint
    assert (caught.value.host, caught.value.dataset, caught.value.left) == (HOST, FS, "nothing was changed")
    assert f"{PEER_HOST}:{PEER_FS} are master" in caught.value.message
    assert f"If {PEER_HOST} is: zrep_failover filesystem={FS} role=replica on {HOST}" in hint
    assert f"If {HOST} is: the same with filesystem={PEER_FS} on {PEER_HOST}" in hint
    assert "diverged=preserve" in hint
    assert "diverged=discard" in hint


def test_a_replica_that_was_written_to_is_not_rolled_back_unasked():
    seen = seen_at(PEER_HOST, master(*sent(0, 1)), replica(*sent(0), "mine+9"))
    with pytest.raises(errors.Diverged) as caught:
        check(seen)
    assert (caught.value.host, caught.value.dataset) == (PEER_HOST, PEER_FS)
    assert f"since {own(0)}" in caught.value.message
    assert f"filesystem={PEER_FS} role=replica on {PEER_HOST}" in caught.value.hint


@pytest.mark.parametrize("goal", [PRESERVE, DISCARD])
def test_who_says_what_becomes_of_it_is_told_the_base(goal):
    assert check(split(own(1) + "+5", written=9), goal).short == own(0)
    assert check(split(), goal).short == own(0)


def test_a_replica_with_nothing_of_its_own_needs_no_word():
    assert check(seen_at(PEER_HOST, master(*sent(0, 1)), replica(*sent(0), "empty"))).short == own(0)


# The preserved dataset


def test_the_names_that_are_tried():
    seen = split(own(1) + "+5")
    base = check(seen, PRESERVE)
    found = returning.candidates(seen.side_here, base, PRESERVE)
    assert found == [KEPT] + [f"{KEPT}_{number}" for number in range(2, 10)]
    asked = dataclasses.replace(PRESERVE, preserve_as="pool1/mine")
    assert returning.candidates(seen.side_here, base, asked) == ["pool1/mine"]


def test_a_name_that_is_taken_is_passed_over():
    others = dataset(KEPT, "theirs")
    empty = dataset(KEPT + "_2")
    plan, name = copies_of(split(own(1) + "+5"), **{"": others, "_2": empty})
    assert name == KEPT + "_3"
    assert step_of(plan, Copy).copy == name


def begun_copy(*words, told=None):
    """A copy that a run began, and what it says of itself."""
    return dataset(KEPT, *words, properties=dict({"mounted": "no"}, **(MARK if told is None else told)))


def test_a_copy_that_a_run_began_is_known_by_its_guids():
    """Its name alone proves nothing, and another run's copy with more in it is not continued."""
    begun = begun_copy(f"renamed={own(1)}")
    plan, name = copies_of(split(own(1) + "+5", "daily+1"), **{"": begun})
    assert name == KEPT
    step = step_of(plan, Copy)
    assert (step.base, step.target, step.new) == (f"{FS}@{own(1)}", f"{FS}@daily", False)
    more = begun_copy(own(1), "theirs")
    assert copies_of(split(own(1) + "+5"), **{"": more})[1] == KEPT + "_2"


def test_a_copy_that_is_complete_is_not_made_again():
    plan, name = copies_of(split(own(1) + "+5"), **{"": begun_copy(own(1))})
    assert name == KEPT
    assert places(HOST, plan.steps) == [(HOST, "set")]


@pytest.mark.parametrize(
    "told", [{}, dict(MARK, **{MARKED: f"{FS}@{own(1)}"}), dict(MARK, **{MARKED: (BASE, "inherited")})]
)
def test_a_copy_that_does_not_say_so_itself_is_somebody_elses(told):
    """A modern zfs makes none without the mark."""
    assert copies_of(split(own(1) + "+5"), **{"": begun_copy(own(1), told=told)})[1] == KEPT + "_2"


@pytest.mark.parametrize("told", [{}, {"readonly": "on"}])
def test_an_old_zfs_may_have_been_killed_before_it_could_mark_a_copy(told):
    plan, name = copies_of(split(own(1) + "+5", features=OLD), **{"": begun_copy(own(1), told=told)})
    assert name == KEPT
    step = plan.steps[-1]
    assert step.target == KEPT
    assert dict(told, **dict(step.values)) == MARK


def test_a_preserved_dataset_is_no_pair():
    found = side(begun_copy(own(1)))
    assert not found.registered
    assert found.role == "none"


def test_a_name_that_was_asked_for_is_used_or_refused():
    asked = dataclasses.replace(PRESERVE, preserve_as="pool1/mine")
    seen = split(own(1) + "+5")
    assert plan_preserve(seen, asked, {"pool1": POOL})[1] == "pool1/mine"
    with pytest.raises(errors.Exists) as caught:
        plan_preserve(seen, asked, {"pool1": POOL, "pool1/mine": dataset("pool1/mine", "theirs")})
    assert (caught.value.host, caught.value.dataset) == (HOST, "pool1/mine")
    assert "preserve_as" in caught.value.hint


def test_all_names_may_be_taken():
    taken = {name: dataset(KEPT + name) for name in ("", *(f"_{number}" for number in range(2, 10)))}
    with pytest.raises(errors.Exists) as caught:
        copies_of(split(own(1) + "+5"), **taken)
    assert KEPT + "_9" in caught.value.message


@pytest.mark.parametrize(
    ("preserve_as", "known", "kind"),
    [
        ("pool1/nosuch/mine", {}, errors.NotFound),
        ("pool9/mine", {"pool9": dataset("pool9")}, errors.Exists),
        ("pool1/mine", {"pool1": dataset("pool1", properties={"available": "13"})}, errors.PoolFull),
    ],
    ids=["nothing above", "another pool", "no room"],
)
def test_where_a_copy_cannot_be_made(preserve_as, known, kind):
    asked = dataclasses.replace(PRESERVE, preserve_as=preserve_as)
    with pytest.raises(kind) as caught:
        plan_preserve(split(own(1) + "+5", written=9), asked, known)
    assert caught.value.left == "nothing was changed"
    assert caught.value.hint


@pytest.mark.parametrize(("room", "features", "fits"), [(14, MODERN, True), (14, OLD, False), (50000, OLD, True)])
def test_a_copy_costs_the_difference_or_the_whole(room, features, fits):
    above = {"pool1": dataset("pool1", properties={"available": str(room)})}
    seen = split(own(1) + "+5", written=9, features=features)
    if fits:
        assert plan_preserve(seen, PRESERVE, above)[1] == KEPT
    else:
        with pytest.raises(errors.PoolFull):
            plan_preserve(seen, PRESERVE, above)


def chain(*mine, written=0, features=MODERN, **existing):
    plan, dummy = copies_of(split(*mine, written=written, features=features), **existing)
    return [
        (step.base.partition("@")[2], step.target.partition("@")[2], step.new)
        for step in plan.steps
        if isinstance(step, Copy)
    ]


def test_the_first_snapshot_starts_the_copy_and_the_rest_follows():
    assert chain(own(1) + "+5") == [(own(0), own(1), True)]
    assert chain(own(1) + "+5", "daily+1") == [(own(0), own(1), True), (own(1), "daily", False)]
    assert chain(own(1) + "+5", own(2), "daily") == [(own(0), own(1), True), (own(1), "daily", False)]


def test_an_old_zfs_copies_snapshot_by_snapshot():
    """There a stream of several that is killed keeps them busy."""
    words = (own(1) + "+5", own(2), "daily")
    rest = [(own(1), own(2), False), (own(2), "daily", False)]
    assert chain(*words, features=OLD) == [(own(0), own(1), True), *rest]
    assert chain(*words, features=OLD, **{"": begun_copy(own(1))}) == rest
    assert chain(*words, features=OLD, **{"": begun_copy(own(1), own(2))}) == rest[1:]
    assert chain(*words, features=OLD, **{"": begun_copy(own(1), own(2), "daily")}) == []


def test_what_is_not_in_a_snapshot_yet_gets_one():
    last = f"zrep_preserved_{NOW}"
    assert chain() == chain(written=7) == [(own(0), last, True)]
    assert chain(own(1) + "+5", written=7) == [(own(0), own(1), True), (own(1), last, False)]


def test_a_call_within_the_second_of_one_that_failed_takes_a_free_name():
    """What that one took is copied as well; it is newer content only if it was written to since."""
    taken = [f"zrep_preserved_{NOW}+5", f"zrep_preserved_{NOW + 1}+5"]
    known = [word.partition("+")[0] for word in taken]
    found = chain(*taken, written=7, features=OLD)
    assert [target for base, target, new in found] == [*known, f"zrep_preserved_{NOW + 2}"]
    assert [target for base, target, new in chain(*taken, features=OLD)] == known


def test_the_side_is_frozen_before_anything_is_copied():
    plan, dummy = copies_of(split(own(1) + "+5", written=7))
    assert places(HOST, plan.steps) == [(HOST, "set"), (HOST, "snapshot"), (HOST, "preserve"), (HOST, "preserve")]
    first = plan.steps[2]
    assert dict(first.values) == MARK
    assert isinstance(plan.steps[1], TakeSnapshot)
