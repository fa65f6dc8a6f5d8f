# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bookmarks of what was sent last: made with the mark, a base without the snapshot, gone with the pair."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import zfs
from ansible_collections.zfsops.zrep.plugins.module_utils._core.bookmarks import DropBookmarks, own_bookmarks
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import newest_base
from ansible_collections.zfsops.zrep.plugins.module_utils._core.pairing import plan_absent
from ansible_collections.zfsops.zrep.plugins.module_utils._core.steps import Mark
from ansible_collections.zfsops.zrep.plugins.module_utils._core.streams import Send
from ansible_collections.zfsops.zrep.plugins.module_utils._core.syncing import SyncGoal, plan_sync

from .builders import (
    FS,
    HOST,
    MODERN,
    NOW,
    OLD,
    PEER_FS,
    SETTINGS,
    TAG,
    dataset,
    master,
    own,
    replica,
    seen_at,
    sent,
    snapshots,
)


def bookmarked(found, *words):
    """The dataset with bookmarks, each at the place that its snapshot would have among those of the words."""
    marks = {mark.short: dataclasses.replace(mark, bookmark=True, sent=None) for mark in snapshots(found.name, *words)}
    return dataclasses.replace(found, bookmarks=tuple(marks.values()))


def planned(here, there, settings=SETTINGS):
    return plan_sync(seen_at(HOST, here, there), SyncGoal(NOW), settings)


def sends(plan):
    return [(step.base, step.target, step.intermediates) for step in plan.steps if isinstance(step, Send)]


LAST = own(1)


def lost(*left, marks=(LAST,)):
    """A master whose snapshots are gone but for some, with bookmarks of serials."""
    every = [*sent(0, 1), "mid+5", "late+5"]
    whole = master(*every)
    kept = tuple(found for found in whole.snapshots if found.short in left)
    places = tuple(found for found in bookmarked(whole, *every).bookmarks if found.short in marks)
    return dataclasses.replace(whole, snapshots=kept, bookmarks=places)


def test_a_bookmark_is_a_base():
    plan = planned(lost(), replica(*sent(0, 1)))
    # Its name is not used again, since the replica has a snapshot of it.
    assert sends(plan) == [(f"{FS}#{own(1)}", f"{FS}@{own(2)}", False)]


def test_from_a_bookmark_the_snapshots_between_take_a_second_stream():
    there = replica(*sent(0, 1))
    assert sends(planned(lost("mid", "late"), there)) == [
        (f"{FS}#{own(1)}", f"{FS}@mid", False),
        (f"{FS}@mid", f"{FS}@{own(2)}", True),
    ]
    once = dataclasses.replace(SETTINGS, intermediates=False)
    assert sends(planned(lost("mid"), there, once)) == [(f"{FS}#{own(1)}", f"{FS}@{own(2)}", False)]


@pytest.mark.parametrize(("left", "base"), [((), f"{FS}#{own(1)}"), ((own(0),), f"{FS}#{own(1)}")])
def test_the_newest_of_snapshots_and_bookmarks_is_the_base(left, base):
    pair = seen_at(HOST, lost(*left), replica(*sent(0, 1)))
    assert newest_base(pair.side_here, pair.side_there).here.name == base


def test_a_snapshot_that_is_there_is_better_than_its_bookmark():
    pair = seen_at(HOST, bookmarked(master(*sent(0, 1)), *sent(0, 1)), replica(*sent(0, 1)))
    assert newest_base(pair.side_here, pair.side_there).here.name == f"{FS}@{own(1)}"


def test_each_sync_makes_one_with_the_mark_and_drops_those_before():
    here = bookmarked(master(*sent(0, 1)), "daily", own(0), own(1), "other_000001")
    plan = planned(here, replica(*sent(0, 1)))
    made = [step.target for step in plan.steps if isinstance(step, Mark) and step.bookmark]
    assert made == [f"{FS}@{own(2)}"]
    dropped = next(step for step in plan.steps if isinstance(step, DropBookmarks))
    assert dropped.commands((), MODERN) == [("zfs", "destroy", f"{FS}#{own(number)}") for number in (0, 1)]
    assert dropped.optional
    assert [found.short for found in plan.after.here.bookmarks] == ["daily", "other_000001"]


def test_where_zfs_has_none_a_mark_is_a_mark():
    mark = Mark("here", f"{FS}@{own(1)}", "", tag=TAG, sent=5, bookmark=True)
    assert mark.commands((), OLD) == [("zfs", "set", "zrep:sent=5", f"{FS}@{own(1)}")]
    (argv,) = mark.commands((), MODERN)
    assert argv[3:] == ("sh", "pool1", "zrep:sent", "5", f"{FS}@{own(1)}")


def test_the_commands_of_many_are_one_for_each_pool():
    commands = zfs.mark_and_bookmark("zrep:sent", "5", ["a/x@1", "b/x@1", "a/y@1"])
    assert [argv[4:] for argv in commands] == [
        ("a", "zrep:sent", "5", "a/x@1", "a/y@1"),
        ("b", "zrep:sent", "5", "b/x@1"),
    ]


@pytest.mark.parametrize("force", [True, False])
def test_none_outlives_the_pair(force):
    here = bookmarked(master(*sent(0, 1)), "daily", own(1))
    there = bookmarked(replica(*sent(0, 1)), own(0))
    plan = plan_absent(seen_at(HOST, here, there), force)
    dropped = [step.describe() for step in plan.steps if isinstance(step, DropBookmarks)]
    assert dropped == [f"destroy the bookmark {PEER_FS}#{own(0)}", f"destroy the bookmark {FS}#{own(1)}"]
    assert [found.short for found in plan.after.here.bookmarks] == ["daily"]


def test_they_are_read_from_the_same_answer():
    names = ("type", "guid", "createtxg", "creation", "zrep:sent")
    rows = {
        FS: ("filesystem", "1", "5", "1600000000", "-"),
        f"{FS}@{own(0)}": ("snapshot", "7", "9", "1600000001", "-"),
        f"{FS}#{own(0)}": ("bookmark", "7", "9", "1600000001", "-"),
    }
    lines = [f"{name}\t{prop}\t{text}\t-\n" for name, row in rows.items() for prop, text in zip(names, row)]
    found = zfs.parse_get("".join(lines), names, TAG, HOST)[FS]
    assert [(mark.name, mark.guid, mark.createtxg) for mark in found.bookmarks] == [(f"{FS}#{own(0)}", 7, 9)]
    side = dataclasses.replace(seen_at(HOST, found, dataset(PEER_FS)).side_here)
    assert own_bookmarks(side) == found.bookmarks
