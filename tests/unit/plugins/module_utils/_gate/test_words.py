# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a request."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.zfsops.zrep.plugins.module_utils._gate.words import LIMIT, Refused, split

WORDS = st.lists(st.text(st.characters(blacklist_categories=("Cc", "Cs")), max_size=20), min_size=1, max_size=6)


@given(WORDS)
def test_what_our_end_quotes_is_read_as_it_was(words):
    assert split(" ".join(map(shlex.quote, words))) == words


@given(st.text(st.sampled_from("zfs-/@a'\" \\$`;|&<>(){}[]*?!#~\n\t=,")))
def test_what_is_read_is_what_a_shell_would_read(line):
    try:
        found = split(line)
    except Refused:
        return
    assert found == shlex.split(line)


@pytest.mark.parametrize("line", ["zfs get -H  all a/b", " zfs list a/b "])
def test_the_script_quotes_nothing(line):
    assert split(line) == line.split()


@pytest.mark.parametrize(
    "line",
    [
        "",
        " ",
        "a;b",
        "a b;",
        "a|b",
        "a&",
        "$(a)",
        "`a`",
        "a>b",
        "'a",
        '"a"',
        "a\\b",
        "a\nb",
        "a\tb",
        "*",
        "~",
        "{a,b}",
        "#a",
        "a\x7fb",
    ],
)
def test_anything_else_is_refused(line):
    with pytest.raises(Refused):
        split(line)


def test_what_is_too_long_is_refused():
    with pytest.raises(Refused):
        split("a" * (LIMIT + 1))
