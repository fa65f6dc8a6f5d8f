# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planned moves that die before any change or look: whatever is called then, the pair gets where it was told to.

What holds at each moment (never two masters, never both sides writable) is checked by the stage after every change.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .builders import (
    HOST,
    MODERN,
    OLD,
    replica,
    sent,
)
from .moves import (
    ALIAS,
    CALLED_OFF,
    CALLS,
    GIVEN,
    GIVEN_BACK,
    MISTAKEN,
    NAMINGS,
    PLAIN,
    TAKEN,
    check_roles,
    check_sync,
    failures,
    from_either_end,
    moments,
    namings,
    pair,
    versions,
    winner,
)


@versions
@namings
@from_either_end
def test_a_move_is_completed_wherever_it_was_killed(naming, features, call):
    for again in (GIVEN, TAKEN):
        assert failures(lambda: pair(naming, features), call, again, naming) == {}


@pytest.mark.acceptance(53)
@versions
@namings
@from_either_end
def test_case_53_a_move_is_called_off_wherever_it_was_killed(naming, features, call):
    for again in (CALLED_OFF, GIVEN_BACK):
        assert failures(lambda: pair(naming, features), call, again, naming) == {}


@versions
@pytest.mark.parametrize("naming", MISTAKEN.values(), ids=MISTAKEN.keys())
@from_either_end
def test_a_master_that_calls_its_peer_by_another_name_is_not_mistaken_for_it(naming, features, call):
    for again in CALLS:
        assert failures(lambda: pair(naming, features), call, again, naming) == {}


@pytest.mark.parametrize("naming", MISTAKEN.values(), ids=MISTAKEN.keys())
def test_such_a_pair_is_completed_on_the_host_of_its_old_master(naming):
    for again in (GIVEN, CALLED_OFF):
        assert failures(lambda: pair(naming), GIVEN, again, naming) == {}


@versions
@from_either_end
def test_what_a_guard_has_thawed_is_moved_and_called_off_too(features, call):
    for again in CALLS:
        assert failures(lambda: pair(PLAIN, features, guards=True), call, again, PLAIN) == {}


@from_either_end
def test_a_guard_gives_production_back_until_the_swap_begins(call):
    """Killed at any moment before that, the old master can be written as before."""
    thawed = []
    for end in moments(pair, call):
        stage = pair(guards=True)
        assert stage.killed(*call, end)
        thawed.append(not stage.side(HOST).readonly)
    assert thawed == sorted(thawed, reverse=True)
    assert thawed.count(False) == 5


@versions
def test_a_move_back_is_completed_wherever_it_was_killed(features):
    """The records were written by a move then, not by whoever made the pair."""

    def moved():
        stage = pair(PLAIN, features)
        stage.call(*TAKEN)
        return stage

    for call in (CALLED_OFF, GIVEN_BACK):
        for again in CALLS:
            assert failures(moved, call, again, PLAIN) == {}


WRITABLE = {"readonly": ("off", "default")}


@pytest.mark.parametrize(
    ("copy", "features"),
    [
        (replica(*sent(0)), MODERN),
        (replica(*sent(0)), OLD),
        (replica(*sent(0), properties=WRITABLE), MODERN),
        (replica(*sent(0), properties=WRITABLE), OLD),
        (replica(*sent(0), "empty"), MODERN),
    ],
)
def test_a_replica_that_is_behind_or_not_quite_as_it_should_be(copy, features):
    for call in (GIVEN, TAKEN):
        assert failures(lambda: pair(PLAIN, features, copy=copy), call, call, PLAIN) == {}


killed = st.tuples(st.sampled_from(CALLS), st.integers(0, 24))


def chain(stage, naming, calls, last):
    """Calls of which each may die, and one that does not."""
    for call, end in calls:
        stage.killed(*call, end)
    stage.call(*last)
    check_roles(stage, naming, winner(last))
    check_sync(stage, winner(last))


@given(
    st.sampled_from([*NAMINGS.values(), *MISTAKEN.values()]),
    st.sampled_from([MODERN, OLD]),
    st.booleans(),
    st.lists(killed, max_size=4),
    st.sampled_from(CALLS),
)
def test_the_last_call_wins_whatever_died_before(naming, features, guards, calls, last):
    chain(pair(naming, features, guards), naming, calls, last)


@from_either_end
def test_a_move_between_hosts_that_go_by_aliases_is_completed_or_called_off(call):
    for again in CALLS:
        assert failures(lambda: pair(ALIAS), call, again, ALIAS) == {}


def test_an_old_zfs_that_dies_while_a_move_is_called_off():
    """One property at a time, and other names on both sides."""

    def died(end):
        stage = pair(PLAIN, OLD)
        assert stage.killed(*TAKEN, end)
        return stage

    for end in moments(lambda: pair(PLAIN, OLD), TAKEN):
        for again in moments(lambda end=end: died(end), CALLED_OFF):
            stage = died(end)
            stage.killed(*CALLED_OFF, again)
            stage.call(*CALLED_OFF)
            check_roles(stage, PLAIN, winner(CALLED_OFF))
            check_sync(stage, winner(CALLED_OFF))
