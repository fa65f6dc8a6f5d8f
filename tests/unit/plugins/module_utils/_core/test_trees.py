# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees: who belongs to whom below two roots, and how the replica gets into the master's shape."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors, trees
from ansible_collections.zfsops.zrep.plugins.module_utils._core.branches import RenameDataset
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import newest_common
from ansible_collections.zfsops.zrep.plugins.module_utils._core.pairing import PairGoal, plan_present
from ansible_collections.zfsops.zrep.plugins.module_utils._core.plan import predict
from ansible_collections.zfsops.zrep.plugins.module_utils._core.streams import Send
from ansible_collections.zfsops.zrep.plugins.module_utils._core.syncing import SyncGoal, plan_sync

from .builders import (
    FS,
    MODERN,
    NOW,
    OLD,
    PEER,
    PEER_FS,
    SETTINGS,
    TREE,
    as_old,
    below,
    dataset,
    later,
    master,
    observed,
    own,
    replica,
    sent,
    side,
    with_below,
)

GOAL = SyncGoal(NOW)


def seen(here, there, features=MODERN):
    return observed(
        with_below(master(*sent(0), properties=TREE), **here),
        with_below(replica(*sent(0), properties=TREE), **there),
        features=features,
    )


def plan(here, there, goal=GOAL):
    return plan_sync(seen(here, there), goal, SETTINGS)


def streams(found):
    """Target, base and destination of each stream, without the names of the roots."""
    return [
        (step.target[len(FS) :], step.base.partition("@")[2], step.destination[len(PEER_FS) :])
        for step in found.steps
        if isinstance(step, Send)
    ]


def renames(found):
    return [
        (step.target[len(PEER_FS) :], step.new_name[len(PEER_FS) :])
        for step in found.steps
        if isinstance(step, RenameDataset)
    ]


ZERO = [own(0)]
NEW = own(1)


def test_all_are_snapshotted_at_once_and_the_root_goes_last():
    found = plan({"a": ZERO, "a_b": ZERO}, {"a": ZERO, "a_b": ZERO})
    assert found.steps[0].recursive
    assert streams(found) == [
        (f"/a@{NEW}", own(0), "/a"),
        (f"/a/b@{NEW}", own(0), "/a/b"),
        (f"@{NEW}", own(0), ""),
    ]


def test_what_is_new_comes_in_full_below_what_it_is_in():
    found = plan({"a": [], "a_b": []}, {})
    assert streams(found) == [(f"/a@{NEW}", "", "/a"), (f"/a/b@{NEW}", "", "/a/b"), (f"@{NEW}", own(0), "")]
    assert all(
        step.exclude == ("mountpoint", "readonly") for step in found.steps if isinstance(step, Send) and not step.base
    )


def test_what_lags_starts_where_it_stands():
    found = plan({"a": ["daily", own(0)]}, {"a": ["daily"]})
    assert streams(found)[0] == (f"/a@{NEW}", "daily", "/a")


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        ({"new": [f"{own(0)}=1"]}, {"old": [f"{own(0)}=1"]}, [("/old", "/new")]),
        (
            {"b": [f"{own(0)}=1"], "b_x": [f"{own(0)}=2"]},
            {"a": [f"{own(0)}=1"], "a_x": [f"{own(0)}=2"]},
            [("/a", "/b")],
        ),
        ({"n": [], "n_c": [f"{own(0)}=1"]}, {"c": [f"{own(0)}=1"]}, [("/c", "/n/c")]),
        (
            {"a": [f"{own(0)}=2"], "b": [f"{own(0)}=1"]},
            {"a": [f"{own(0)}=1"], "b": [f"{own(0)}=2"]},
            [("/a", f"/a_moving_{NOW}"), ("/b", "/a"), (f"/a_moving_{NOW}", "/b")],
        ),
        ({}, {"gone": ZERO}, [("/gone", f"_removed_{NOW}_gone")]),
        ({}, {"gone": ZERO, "gone_x": ZERO}, [("/gone", f"_removed_{NOW}_gone")]),
        ({}, {"mine": ["by-hand"]}, []),
        ({"a": [f"{own(0)}=new"]}, {"a": [f"{own(0)}=old"]}, [("/a", f"_replaced_{NOW}_a")]),
        ({"a": []}, {"a": ["by-hand"]}, [("/a", f"_replaced_{NOW}_a")]),
    ],
    ids=[
        "renamed",
        "with children",
        "into a new one",
        "swapped",
        "removed",
        "removed with children",
        "a stranger",
        "made anew",
        "a stranger in the way",
    ],
)
def test_the_shape_follows_the_master(here, there, expected):
    assert renames(plan(here, there)) == expected


def test_what_is_moved_aside_says_what_it_was_and_cannot_be_mounted_or_written():
    found = plan({}, {"gone": ZERO})
    (marks,) = [dict(step.values) for step in found.steps if step.target == f"{PEER_FS}/gone" and step.action == "set"]
    assert marks == {"readonly": "on", "canmount": "noauto", "zrep:preserved-from": f"{PEER_FS}/gone@{own(0)}"}
    (warning,) = found.warnings
    assert f"{PEER_FS}_removed_{NOW}_gone" in warning


def test_below_a_whole_pool_nothing_can_be_moved_aside():
    pool = dataclasses.replace(replica(*sent(0), properties=TREE), name="pool2")
    with pytest.raises(errors.Diverged) as caught:
        trees.bring(
            side(master(*sent(0), properties=TREE)), side(pool.put(below(pool, "gone", own(0)))), NEW, NOW, SETTINGS
        )
    assert caught.value.left == "nothing was changed"


def test_a_dataset_below_that_was_written_to_is_refused_without_force():
    there = with_below(replica(*sent(0), properties=TREE))
    there = there.put(below(there, "a", own(0), written=5))
    known = observed(with_below(master(*sent(0), properties=TREE), a=ZERO), there)
    with pytest.raises(errors.Diverged) as caught:
        plan_sync(known, GOAL, SETTINGS)
    assert caught.value.dataset == f"{PEER_FS}/a"


def test_a_pair_of_the_same_tag_inside_is_refused():
    root = master(*sent(0), properties=TREE)
    inner = dataclasses.replace(master(*sent(0)), name=f"{FS}/inner")
    with pytest.raises(errors.PairedElsewhere) as caught:
        plan_sync(observed(root.put(inner), replica(*sent(0), properties=TREE)), GOAL, SETTINGS)
    assert caught.value.dataset == f"{FS}/inner"


def test_a_root_that_is_ahead_of_what_is_below_is_not_recorded_as_whole():
    """As a stream of the script leaves it that broke off: the root has arrived, and what is below has not."""
    here = with_below(master(*sent(0), own(1), properties=TREE), a=[own(0), own(1)])
    there = with_below(replica(*sent(0), own(1), properties=TREE), a=[own(0)])
    found = plan_sync(observed(here, there), GOAL, SETTINGS)
    assert [step.target for step in found.steps if step.action == "mark_sent"] == [
        f"{PEER_FS}@{own(2)}",
        f"{FS}@{own(2)}",
    ]


def test_no_name_is_taken_that_something_below_has():
    here = with_below(master(*sent(0), properties=TREE), a=[own(0), own(7)])
    found = plan_sync(observed(here, with_below(replica(*sent(0), properties=TREE), a=ZERO)), GOAL, SETTINGS)
    assert found.steps[0].target == f"{FS}@{own(8)}"


@pytest.mark.parametrize("changed", ["written", "new", "nothing"])
def test_a_change_below_is_a_change(changed):
    here = master(*sent(0), written=0, properties=TREE)
    here = here.put(below(here, "a", own(0), written=9 if changed == "written" else 0))
    if changed == "new":
        here = here.put(below(here, "b"))
    there = with_below(replica(*sent(0), properties=TREE), a=ZERO)
    found = plan_sync(observed(here, there), dataclasses.replace(GOAL, only_if_changed=True), SETTINGS)
    assert bool(streams(found)) == (changed != "nothing")


def test_without_the_record_only_the_root_is_sent():
    here = with_below(master(*sent(0)), a=ZERO)
    found = plan_sync(observed(here, replica(*sent(0))), GOAL, SETTINGS)
    assert streams(found) == [(f"@{NEW}", own(0), "")]


def test_what_a_call_says_is_remembered_on_both_sides():
    here, there = (found.as_tree("zrep") for found in (master(*sent(0)), replica(*sent(0))))
    found = plan_sync(observed(here, there), GOAL, SETTINGS)
    set_on = [step.target for step in found.steps if dict(getattr(step, "values", ())) == TREE]
    assert set_on == [FS, PEER_FS]


# Whatever was there before


NAMES = ["a", "b", "c", "a_x", "a_y", "b_x"]


@st.composite
def shapes(draw):
    """Two trees that may have anything to do with each other. Each dataset of one side is known by a number."""

    def tree():
        numbers = draw(st.permutations(range(8)))
        chosen = [name for name in NAMES if draw(st.booleans())]
        kept = [name for name in chosen if "_" not in name or name.partition("_")[0] in chosen]
        return {name: [f"{own(0)}={number}"] for name, number in zip(kept, numbers)}

    return tree(), tree()


@given(shapes(), st.sampled_from([MODERN, OLD]))
def test_every_shape_gets_into_the_masters_and_loses_nothing(found, features):
    here, there = found
    start = seen(here, there, features)
    known = plan_sync(start, GOAL, SETTINGS)
    for cut in range(len(known.steps) + 1):
        state = predict(known.before, known.steps[:cut])
        again = later(start, state)
        rest = plan_sync(again, dataclasses.replace(GOAL, now=NOW + 1), SETTINGS)
        end = rest.after
        relative = [child.name[len(FS) :] for child in end.here.children]
        assert [child.name[len(PEER_FS) :] for child in end.there.children] == relative
        for child in end.here.children:
            other = end.there.find(PEER_FS + child.name[len(FS) :])
            common = newest_common(side(child), side(other))
            assert common is not None
            assert common.here == child.snapshots[-1]
    kept = {word for words in here.values() for word in words}
    places = {f"{PEER_FS}/{name.replace('_', '/')}": words[0] for name, words in there.items()}
    for step in known.steps:
        if isinstance(step, RenameDataset):
            places = {_moved(place, step): word for place, word in places.items()}
    assert len(places) == len(there)
    assert {word for place, word in places.items() if place.startswith(PEER_FS + "/")} <= kept


def _moved(place, step):
    below = place == step.target or place.startswith(step.target + "/")
    return step.new_name + place[len(step.target) :] if below else place


# Making one


def make(here, there=None, features=MODERN, **more):
    goal = PairGoal(PEER, NOW, recursive=True, **more)
    return plan_present(observed(here, there, features=features), goal, SETTINGS)


FRESH = dataset(FS, "daily")


@pytest.mark.parametrize("features", [MODERN, OLD])
def test_a_new_tree_is_sent_root_first_and_master_comes_last(features):
    start = with_below(FRESH if features is MODERN else as_old(FRESH), a=[], a_b=[])
    found = make(start, features=features)
    assert [destination for _target, _base, destination in streams(found)] == ["", "/a", "/a/b"]
    assert dict(found.steps[-1].values) == {"zrep:master": "yes"}
    record = found.after.there.properties["zrep:recursive"].value, found.after.here.properties["zrep:recursive"].value
    assert record == ("yes", "yes")


@pytest.mark.parametrize("features", [MODERN, OLD])
def test_the_making_of_a_tree_goes_on_wherever_it_died(features):
    start = with_below(FRESH, a=[], a_b=[])
    whole = make(start, features=features)
    for cut in range(len(whole.steps) + 1):
        state = later(observed(start), predict(whole.before, whole.steps[:cut]))
        # Children are looked at as soon as a side says that it is a tree, and this call says it anyway.
        again = make(state.here, state.there, features=features)
        end = again.after
        assert side(end.here).is_master
        assert [child.name[len(PEER_FS) :] for child in end.there.children] == ["/a", "/a/b"]
        assert make(later(observed(start), end).here, later(observed(start), end).there, features=features).steps == ()
