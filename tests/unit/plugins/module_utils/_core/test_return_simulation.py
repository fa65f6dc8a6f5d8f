# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takeovers, returns and stepping down that die anywhere: the same wish gets there, and nothing is lost unasked."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors
from ansible_collections.zfsops.zrep.plugins.module_utils._core.syncing import SyncGoal, plan_sync

from .builders import (
    FS,
    HOST,
    MIRRORED,
    MODERN,
    OLD,
    PEER_FS,
    PEER_HOST,
    SETTINGS,
    demoted,
    marked,
    master,
    own,
    replica,
    seen_at,
    sent,
    shorts,
)
from .moves import (
    split,
    versions,
)
from .stage import Stage

PRESERVE, DISCARD = {"diverged": "preserve"}, {"diverged": "discard"}
KEPT = f"{FS}_preserved_{own(1)}"

RETURN = [(HOST, "replica"), (PEER_HOST, "master")]
OWN = {
    "written": ((), 50),
    "a snapshot": ((own(2) + "+7",), 0),
    "snapshots": ((own(2) + "+7", "daily+3", own(3)), 0),
    "snapshots and written": ((own(2) + "+7", "daily+3"), 50),
}
with_content = pytest.mark.parametrize(("mine", "written"), OWN.values(), ids=OWN.keys())


NEWEST = own(1)


def follows(found, host=HOST, base=NEWEST):
    """The first host follows the second one, by increments and without a full copy."""
    other = PEER_HOST if host == HOST else HOST
    assert found.masters() == [other]
    assert found.side(host).frozen
    assert not found.side(other).readonly
    assert found.side(host).peer == found.side(other).endpoint
    assert found.side(other).peer == found.side(host).endpoint
    assert found.side(other).is_source
    assert shorts(found.on[host])[-1] == base
    assert found.on[host].written == 0
    seen = seen_at(other, found.on[HOST], found.on[PEER_HOST], found.features)
    after = plan_sync(seen, SyncGoal(found.now, expire=False), SETTINGS).after
    assert after.here.snapshots[-1].guid == after.there.snapshots[-1].guid


def marked_as_preserved(copy):
    """It says what it preserves, so it can be told from everything else."""
    told = {name: copy.local(name) for name in ("readonly", "zrep:preserved-from")}
    return told == {"readonly": "on", "zrep:preserved-from": f"{FS}@{own(1)}"}


def everywhere(make, call, again, check, **options):
    """Kill a call before each moment, and check what another one makes of it."""
    whole = make()
    whole.call(*call, **options)
    check(whole)
    for end in range(whole.moments):
        found = make()
        assert found.killed(*call, end, **options)
        found.call(*again, **options)
        check(found)


# Taking over


@pytest.mark.acceptance(48)
@versions
@pytest.mark.parametrize("words", [sent(0, 1), [own(0)]], ids=["synced", "fresh"])
def test_case_48_a_takeover_is_completed_wherever_it_was_killed(features, words):
    def make():
        return Stage(master(*sent(0, 1)), replica(*words), features, forced=True, apart=True)

    def check(found):
        assert found.masters() == [HOST, PEER_HOST]
        assert found.on[HOST] == make().on[HOST]
        assert {name: found.on[PEER_HOST].local(name) for name in MIRRORED} == MIRRORED
        assert not found.side(PEER_HOST).readonly
        assert found.side(PEER_HOST).mounted
        assert marked(found.on[PEER_HOST]) == [word.rstrip("*") for word in words]
        assert found.given_up == []

    everywhere(make, (PEER_HOST, "master"), (PEER_HOST, "master"), check, force=True)


@versions
def test_of_two_masters_no_sync_moves_anything(features):
    found = split(features=features)
    for host in (HOST, PEER_HOST):
        with pytest.raises(errors.SplitBrain):
            plan_sync(seen_at(host, found.on[HOST], found.on[PEER_HOST]), SyncGoal(found.now), SETTINGS)


# Coming back


@pytest.mark.acceptance(49)
@versions
@with_content
@pytest.mark.parametrize("call", RETURN)
def test_case_49_what_an_old_master_has_of_its_own_is_preserved(features, mine, written, call):
    """Every snapshot that goes is in the copy, whichever call died where, and there is one copy."""
    before = split(mine, written, features).kept(HOST)

    def check(found):
        follows(found)
        assert found.given_up == []
        assert before <= found.kept(HOST)
        assert set(found.others[HOST]) == {"pool1", KEPT}
        assert marked_as_preserved(found.others[HOST][KEPT])
        kept = found.others[HOST][KEPT].snapshots
        assert [one.short.partition("_preserved_")[0] for one in kept[len(mine) :]] == (["zrep"] if written else [])

    for again in RETURN:
        everywhere(lambda: split(mine, written, features), call, again, check, **PRESERVE)


@pytest.mark.acceptance(49)
@versions
@with_content
@pytest.mark.parametrize("call", RETURN)
def test_case_49_what_is_discarded_is_gone_and_nothing_else(features, mine, written, call):
    def check(found):
        follows(found)
        lost = [word.partition("+")[0] for word in mine]
        assert [one for one in found.given_up if isinstance(one, str)] == lost
        assert set(found.others[HOST]) == {"pool1"}

    for again in RETURN:
        everywhere(lambda: split(mine, written, features), call, again, check, **DISCARD)


@versions
@with_content
@pytest.mark.parametrize("call", RETURN)
def test_nothing_is_given_up_unasked(features, mine, written, call):
    found = split(mine, written, features)
    before = dict(found.on)
    with pytest.raises(errors.SplitBrain) as caught:
        found.call(*call)
    assert found.on == before
    divergence = caught.value.details["divergence"]
    assert divergence["common_snapshot"] == own(1)
    here = divergence["here" if call[0] == HOST else "there"]
    assert (here["host"], here["snapshots"]) == (HOST, [word.partition("+")[0] for word in mine])


@versions
@with_content
def test_the_other_one_can_be_the_winner(features, mine, written):
    """The side that took over follows the one that was away; what the winner has is not touched."""

    def make():
        found = split(mine, written, features)
        copy = found.on[PEER_HOST]
        theirs = replica(*sent(0, 1), own(2) + "=theirs+9").snapshots[-1:]
        found.on[PEER_HOST] = dataclasses.replace(copy, snapshots=copy.snapshots + theirs)
        return found

    before = make()

    def check(found):
        follows(found, PEER_HOST)
        assert found.on[HOST].snapshots == before.on[HOST].snapshots
        assert before.kept(PEER_HOST) <= found.kept(PEER_HOST)
        assert found.given_up == []

    for again in ((HOST, "master"), (PEER_HOST, "replica")):
        everywhere(make, (HOST, "master"), again, check, **PRESERVE)


@versions
def test_a_replica_that_was_only_modified_is_put_right(features):
    def make():
        return Stage(master(*sent(0, 1)), replica(*sent(0, 1), "mine+9", written=5), features)

    def preserved(found):
        follows(found, PEER_HOST)
        assert found.on[HOST] == make().on[HOST]
        assert found.given_up == []
        assert set(found.others[PEER_HOST]) == {"pool2", f"{PEER_FS}_preserved_{own(1)}"}

    def discarded(found):
        follows(found, PEER_HOST)
        assert found.on[HOST] == make().on[HOST]
        assert found.given_up == ["mine", 5]

    for again in ((HOST, "master"), (PEER_HOST, "replica")):
        everywhere(make, (PEER_HOST, "replica"), again, preserved, **PRESERVE)
        everywhere(make, (PEER_HOST, "replica"), again, discarded, **DISCARD)
    with pytest.raises(errors.Diverged):
        make().call(PEER_HOST, "replica")


@versions
@pytest.mark.parametrize(("role", "winner"), [("master", HOST), ("replica", PEER_HOST)])
def test_where_nobody_is_master_the_one_who_is_told_becomes_it(features, role, winner):
    def make():
        return Stage(demoted(*sent(0, 1)), replica(*sent(0, 1)), features)

    def check(found):
        follows(found, PEER_HOST if winner == HOST else HOST, found.on[PEER_HOST].snapshots[-1].short)
        assert found.given_up == []

    everywhere(make, (HOST, role), (HOST, role), check)
    everywhere(make, (HOST, role), (PEER_HOST, "replica" if role == "master" else "master"), check)


def test_where_nobody_is_master_a_move_that_dies_makes_no_replica_writable():
    def make():
        return Stage(demoted(*sent(0, 1)), replica(*sent(0, 1)), guards=True)

    whole = make()
    whole.call(HOST, "master")
    for end in range(whole.moments):
        found = make()
        assert found.killed(HOST, "master", end)
        assert found.side(PEER_HOST).readonly


@versions
def test_where_nobody_is_master_what_both_have_is_kept(features):
    def make():
        production = demoted(*sent(0, 1), "mine+9")
        return Stage(production, replica(*sent(0, 1), "theirs+3"), features)

    before = make()

    def check(found):
        follows(found)
        assert before.kept(HOST) <= found.kept(HOST)
        assert before.kept(PEER_HOST) <= found.kept(PEER_HOST)
        assert found.given_up == []

    for again in RETURN:
        everywhere(make, (HOST, "replica"), again, check, **PRESERVE)


# Stepping down alone


@versions
@with_content
def test_a_master_that_is_cut_off_steps_down_and_keeps_what_it_has(features, mine, written):
    def make():
        return Stage(master(*sent(0, 1), *mine, written=written), replica(*sent(0, 1)), features, apart=True)

    before = make()

    def preserved(found):
        stepped_down(found)
        assert found.given_up == []
        assert before.kept(HOST) <= found.kept(HOST)

    def stepped_down(found):
        assert found.masters() == []
        assert found.side(HOST).frozen
        assert {name: found.on[HOST].local(name) for name in MIRRORED} == MIRRORED
        assert shorts(found.on[HOST]) == [own(0), own(1)]
        assert found.on[HOST].written == 0
        assert found.on[PEER_HOST] == before.on[PEER_HOST]

    call = (HOST, "replica")
    everywhere(make, call, call, preserved, force=True, **PRESERVE)
    everywhere(make, call, call, stepped_down, force=True, **DISCARD)
    with pytest.raises(errors.Diverged):
        make().call(*call, force=True)


# All of it


@given(
    st.sampled_from(list(OWN.values())),
    st.sampled_from([MODERN, OLD]),
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(RETURN), st.integers(0, 20)), max_size=3),
    st.sampled_from(RETURN),
)
def test_a_return_gets_there_whatever_died_before(content, features, guards, calls, last):
    found = split(*content, features, guards)
    before = found.kept(HOST)
    for call, end in calls:
        found.killed(*call, end, **PRESERVE)
    found.call(*last, **PRESERVE)
    follows(found)
    assert found.given_up == []
    assert before <= found.kept(HOST)
