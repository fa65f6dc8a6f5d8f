# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading of what zfs writes for people."""

from __future__ import annotations

from ansible_collections.zfsops.zrep.plugins.module_utils._core import tables

A, B = "pool1/a", "pool1/a/b"


def table(*rows):
    return "".join("\t".join(row) + "\n" for row in rows)


def test_properties_of_several_datasets():
    text = table((A, "quota", "10G"), (A, "zrep:master", "yes"), (B, "quota", "1G"))
    assert tables.own_values(text, [B, A]) == {A: {"quota": "10G", "zrep:master": "yes"}, B: {"quota": "1G"}}


def test_a_dataset_without_properties_is_there():
    assert tables.own_values("", [A]) == {A: {}}


def test_a_value_with_line_breaks_and_tabs():
    text = table((A, "my:note", "one\n\ntwo\tthree"), (A, "quota", "10G"))
    assert tables.own_values(text, [A]) == {A: {"my:note": "one\n\ntwo\tthree", "quota": "10G"}}


def test_a_value_cannot_add_rows_to_a_dataset_before_it():
    text = table((A, "quota", "10G"), (B, "my:note", f"x\n{A}\tquota\t99G"), (B, "quota", "1G"))
    assert tables.own_values(text, [A, B])[A] == {"quota": "10G"}


def test_a_value_cannot_pretend_to_be_a_dataset_that_was_not_asked_for():
    text = table((A, "my:note", "x\npool9/z\tquota\t99G"))
    assert list(tables.own_values(text, [A])) == [A]


def test_snapshots_are_of_the_dataset_and_all_below():
    rows = [(f"{A}@x", "Mon"), (f"{B}@y", "Tue"), ("pool1/ab@z", "Wed")]
    found = tables.snapshots_below(table(*rows), [A, B, "pool1/ab", "pool1/none"])
    assert found == {A: rows[:2], B: rows[1:2], "pool1/ab": rows[2:], "pool1/none": []}
