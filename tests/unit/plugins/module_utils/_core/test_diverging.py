# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What two sides have of their own: reading ``zfs diff``, the facts, and the sentences for people."""

from __future__ import annotations

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core.diverging import (
    FILES_LIMIT,
    FILES_SHOWN,
    Changes,
    Divergence,
    FileChange,
    Listing,
    parse_diff,
)
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import newest_common

from .builders import FS, HOST, PEER_FS, PEER_HOST, as_old, master, own, sent, side, taken_over, time_of

MOUNTPOINT = "/pool1/data"
TIME = 1650000000


def row(kind, path, *more, what="F", time=f"{TIME}.123456789"):
    """A row as ``zfs diff -FHt`` prints it."""
    return "\t".join((time, kind, what, path, *more)) + "\n"


def parsed(text, mountpoint=MOUNTPOINT):
    return [(found.kind, found.path) for found in parse_diff(text, mountpoint).files]


def listing(*words, complete=True, time=TIME):
    """Changed files, each as KIND PATH."""
    return Listing(tuple(FileChange(word.split()[1], word.split()[0], time) for word in words), complete=complete)


# Reading


def test_each_kind_of_change():
    text = row("+", "/pool1/data/new") + row("-", "/pool1/data/a/gone") + row("M", "/pool1/data/b")
    assert parsed(text) == [("added", "new"), ("removed", "a/gone"), ("changed", "b")]
    assert parse_diff(text, MOUNTPOINT).files[0].time == TIME


def test_a_file_that_was_renamed_is_told_by_its_new_name():
    assert parsed(row("R", "/pool1/data/old", "/pool1/data/new")) == [("renamed", "new")]


def test_a_directory_is_told_if_it_came_or_went_but_not_if_its_content_did():
    text = "".join(row(kind, f"/pool1/data/{number}", what="/") for number, kind in enumerate("M+-"))
    text += row("R", "/pool1/data/3", "/pool1/data/4", what="/") + row("M", "/pool1/data/", what="/")
    assert parsed(text) == [("added", "1"), ("removed", "2"), ("renamed", "4")]


@pytest.mark.parametrize("what", ["F", "@", "|", "=", "B", "C", ">", "P", "?"])
def test_all_that_is_no_directory_is_a_file(what):
    assert parsed(row("M", "/pool1/data/x", what=what)) == [("changed", "x")]


@pytest.mark.parametrize(
    ("printed", "path"),
    [
        ("with\\0040space", "with space"),
        ("with\\040space", "with space"),
        ("caf\\0303\\0251", "caf\u00e9"),
        ("\\0360\\0237\\0220\\0247", "\U0001f427"),
        ("back\\0134slash", "back\\slash"),
        ("line\\0012break\\0011tab", "line\nbreak\ttab"),
        ("digits\\00407", "digits 7"),
        ("caf\u00e9", "caf\u00e9"),
        ("no\\0377utf8", "no\\0377utf8"),
        ("too\\0777much", "too\\0777much"),
        ("100%", "100%"),
    ],
)
def test_unusual_characters_are_read_back(printed, path):
    assert parsed(row("M", f"/pool1/data/{printed}")) == [("changed", path)]


def test_a_mount_point_is_taken_off_whatever_is_in_it():
    assert parsed(row("M", "/my\\0040data/a/b"), "/my data") == [("changed", "a/b")]
    assert parsed(row("M", "/a"), "/") == [("changed", "a")]
    assert parsed(row("M", "/pool1/data/a"), "/pool1/data/") == [("changed", "a")]


def test_what_lies_elsewhere_keeps_its_path():
    assert parsed(row("M", "/pool1/database/a")) == [("changed", "/pool1/database/a")]
    assert parsed(row("M", "/pool1/data/a"), "") == [("changed", "pool1/data/a")]


@pytest.mark.parametrize(
    "line",
    ["", "nonsense", "1650000000.1\tX\tF\t/pool1/data/a", "M\tF\t/pool1/data/a", "x\tM\tF\t/pool1/data/a", "1.1\tM\tF"],
)
def test_what_is_no_row_is_left_out(line):
    assert parsed(line + "\n" + row("M", "/pool1/data/b")) == [("changed", "b")]


def test_a_file_whose_number_of_links_changed():
    assert parsed(row("M", "/pool1/data/a", "(+1)")) == [("changed", "a")]


@pytest.mark.parametrize(("rows", "complete"), [(0, True), (FILES_LIMIT - 1, True), (FILES_LIMIT, False)])
def test_a_listing_that_was_cut_off_is_not_complete(rows, complete):
    found = parse_diff("".join(row("+", f"/pool1/data/{number}") for number in range(rows)), MOUNTPOINT)
    assert len(found.files) == rows
    assert found.complete is complete


# Facts


def divergence(mine, theirs):
    here = side(master(*sent(0), own(1) + "+5", "daily", written=7))
    there = side(taken_over(*sent(0), own(1) + "=theirs+3", written=0), PEER_HOST)
    common = newest_common(here, there)
    return Divergence(common, Changes(here, common.here, mine), Changes(there, common.there, theirs))


def test_the_facts_about_both_sides():
    facts = divergence(listing("added a", "changed b"), Listing(None, "it is not mounted")).facts()
    assert facts["common_snapshot"] == own(0)
    assert facts["common_created"] == time_of(own(0))
    assert facts["common_created_iso"] == "2020-09-13T12:26:40Z"
    assert facts["changed_on_both"] is None
    assert facts["here"] == {
        "host": HOST,
        "filesystem": FS,
        "snapshots": [own(1), "daily"],
        "bytes": 12,
        "changed_below": [],
        "last_written": TIME,
        "last_written_iso": "2022-04-15T05:20:00Z",
        "promoted_iso": None,
        "files": ["added a", "changed b"],
        "files_complete": True,
        "files_unknown_because": "",
    }
    there = facts["there"]
    assert (there["host"], there["filesystem"], there["bytes"]) == (PEER_HOST, PEER_FS, 3)
    assert (there["files"], there["files_unknown_because"]) == (None, "it is not mounted")
    assert there["promoted_iso"] == "2022-04-15T05:20:00Z"


def test_when_a_side_was_last_written():
    here = side(master(*sent(0), own(1) + "+5", own(2)))

    def last(files):
        return Changes(here, here.snapshots[0], files).last_written

    assert last(listing()) == time_of(own(1))
    assert last(listing("changed a", time=5)) == time_of(own(1))
    assert last(listing("changed a")) == TIME
    assert last(Listing(None)) == time_of(own(1))
    assert Changes(here, here.snapshots[1], listing()).last_written is None


def test_what_zfs_cannot_tell_is_none():
    here = side(as_old(master(*sent(0), own(1), written=7)))
    facts = Changes(here, here.snapshots[0], Listing(None, "this version of zfs has no diff")).facts()
    assert (facts["bytes"], facts["last_written"], facts["last_written_iso"]) == (None, None, None)


def test_files_that_changed_on_both():
    def both(mine, theirs):
        return divergence(mine, theirs).both

    assert both(listing("changed b", "added a"), listing("removed a", "changed b", "added c")) == ["a", "b"]
    assert both(listing("added a"), listing("added b")) == []
    assert both(Listing(None), listing()) is None
    assert both(listing(), Listing(None)) is None


# Text


def test_the_text_tells_both_sides_and_what_they_have_in_common():
    text = divergence(listing("added a", "changed b"), listing("changed b")).text()
    assert text == (
        f"the newest common snapshot is {own(0)} of 2020-09-13T12:26:40Z; "
        f"{HOST}:{FS} has 2 later snapshots ({own(1)}, daily), 12 bytes written, last written 2022-04-15T05:20:00Z, "
        "2 files changed: added a, changed b; "
        f"{PEER_HOST}:{PEER_FS} has 1 later snapshot ({own(1)}), 3 bytes written, last written 2022-04-15T05:20:00Z, "
        "1 file changed: changed b; "
        "changed on both: b"
    )


def test_the_text_about_a_side_with_nothing_of_its_own():
    found = side(master(*sent(0), written=0))
    assert Changes(found, found.snapshots[0], listing()).text() == (
        f"{HOST}:{FS} has 0 later snapshots, 0 bytes written, 0 files changed"
    )


def test_the_text_where_files_cannot_be_told():
    found = divergence(listing("added a"), Listing(None, "it is not mounted"))
    assert "which files changed cannot be told (it is not mounted)" in found.text()
    assert "on both" not in found.text()
    assert divergence(listing("added a"), listing("added b")).text().endswith("no file changed on both")


def test_many_files_are_counted_and_some_are_named():
    words = [f"added {number}" for number in range(FILES_SHOWN + 3)]
    text = divergence(listing(*words, complete=False), listing()).text()
    assert f"at least {FILES_SHOWN + 3} files changed: added 0, " in text
    assert f"added {FILES_SHOWN - 1} and 3 more;" in text
    exact = divergence(listing(*words[:FILES_SHOWN]), listing()).text()
    assert f" {FILES_SHOWN} files changed: added 0, " in exact
    assert "more" not in exact
