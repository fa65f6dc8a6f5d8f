# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refreshes on the stage: what is looked at and held, in which order, and dying at every moment."""

from __future__ import annotations

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors

from .builders import FS, HOST, PEER_FS, PEER_HOST, Naming, marked, master, named, replica, sent
from .moves import NAMINGS, versions
from .stage import Killed, Stage


def pulled(stage):
    """Both sides end at the same snapshot, marked alike, and nobody's role is another one."""
    here, there = stage.side(PEER_HOST), stage.side(HOST)
    assert here.snapshots[-1].guid == there.snapshots[-1].guid == there.last_sent.guid
    assert here.last_sent.guid == there.last_sent.guid
    assert here.last_sent.sent == there.last_sent.sent
    assert stage.masters() == [HOST]
    assert stage.given_up == []


@versions
@pytest.mark.parametrize("naming", NAMINGS.values(), ids=NAMINGS.keys())
def test_every_moment_at_which_it_can_die(features, naming):
    def make():
        return Stage(*named(naming, master(*sent(0, 1), savecount="2"), replica(*sent(0, 1), savecount="2")), features)

    whole = make()
    whole.refresh(PEER_HOST)
    pulled(whole)
    assert whole.moments >= 8
    for end in range(whole.moments):
        stage = make()
        with pytest.raises(Killed):
            stage.refresh(PEER_HOST, end)
        stage.refresh(PEER_HOST)
        pulled(stage)


@pytest.mark.acceptance(36)
def test_case_36_a_master_is_refused_without_a_word_to_the_other_side():
    stage = Stage(master(*sent(0)), replica(*sent(0)), apart=True)
    with pytest.raises(errors.WrongRole):
        stage.refresh(HOST)
    assert stage.moments == 1


def test_a_plan_changes_nothing():
    stage = Stage(master(*sent(0)), replica(*sent(0)))
    outcome = stage.refresh(PEER_HOST, dry=True)
    assert outcome.result(True)["changed"]
    assert marked(stage.on[PEER_HOST]) == marked(stage.on[HOST]) == ["zrep_000000"]
    assert stage.moments == 2


def test_a_master_that_is_away():
    stage = Stage(master(*sent(0)), replica(*sent(0)), apart=True)
    with pytest.raises(errors.Unreachable):
        stage.refresh(PEER_HOST)


def test_settings_and_force_reach_the_plan():
    stage = Stage(master(*sent(0)), replica(*sent(0), "mine+5", written=7), forced=True)
    with pytest.raises(errors.Diverged):
        stage.refresh(PEER_HOST)
    stage.refresh(PEER_HOST, force=True, diverged="discard")
    assert stage.given_up == ["mine", 7]


def test_within_one_host():
    """Where the record calls the master's host by our own name, everything is done here."""
    naming = Naming(FS, PEER_FS, "localhost", HOST)
    production, copy = named(naming, master(*sent(0)), replica(*sent(0)))
    stage = Stage(production, copy)
    stage.refresh(PEER_HOST)
    pulled(stage)
