# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves that are not disturbed: where they lead, that they are done once, what they say, and what they refuse."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import LOCAL, Property

from . import stage as stage_of_moves
from .builders import (
    FS,
    HOST,
    NOW,
    PEER_FS,
    PEER_HOST,
    dataset,
    marked,
    master,
    other_host,
    own,
    replica,
    sent,
    shorts,
)
from .moves import (
    ALIAS,
    CALLED_OFF,
    CALLS,
    GIVEN,
    GIVEN_BACK,
    PLAIN,
    TAKEN,
    check_marks,
    check_roles,
    check_sync,
    from_either_end,
    namings,
    pair,
    split,
    versions,
    winner,
)
from .stage import Stage

PRESERVE, DISCARD = {"diverged": "preserve"}, {"diverged": "discard"}
KEPT = f"{FS}_preserved_{own(1)}"

# Moved


@pytest.mark.acceptance(46, 56)
@versions
@from_either_end
def test_case_46_and_56_at_the_end_both_sides_say_the_same(features, call):
    """What the script leaves: the four names turned round on both sides, one master, the other one read-only."""
    stage = pair(PLAIN, features)
    stage.call(*call)
    record = {"src-fs": PEER_FS, "src-host": PEER_HOST, "dest-fs": FS, "dest-host": HOST}
    for host, role, readonly in ((HOST, None, "on"), (PEER_HOST, "yes", None)):
        found = stage.on[host]
        assert {name: found.local("zrep:" + name) for name in record} == record
        assert found.value("zrep:master") == role
        assert found.local("readonly") == readonly
        assert stage.side(host).mounted
    assert (
        shorts(stage.on[HOST]) == shorts(stage.on[PEER_HOST]) == marked(stage.on[HOST]) == marked(stage.on[PEER_HOST])
    )
    check_marks(stage)


@versions
@namings
@from_either_end
def test_a_pair_is_moved_there_and_back(naming, features, call):
    there_and_back(pair(naming, features), naming, call)


@pytest.mark.xfail(strict=True, reason="once it was replica and master, no record of its own has its alias any more")
@from_either_end
def test_a_pair_with_an_alias_is_moved_there_and_back(call):
    there_and_back(pair(ALIAS), ALIAS, call)


def there_and_back(stage, naming, call):
    for wanted in (call, CALLED_OFF, GIVEN, GIVEN_BACK, TAKEN):
        stage.call(*wanted)
        check_roles(stage, naming, winner(wanted))
        check_sync(stage, winner(wanted))


@versions
@namings
@pytest.mark.parametrize("call", CALLS)
def test_the_second_call_changes_nothing(naming, features, call):
    stage = pair(naming, features)
    stage.call(*call)
    before = dict(stage.on)
    work = stage.call(*call).outcome.done[0][1]
    assert work.done == []
    assert stage.on == before


@versions
@from_either_end
def test_check_mode_says_what_a_run_does_and_does_nothing(features, call):
    stage = pair(PLAIN, features)
    before = dict(stage.on)
    predicted = stage.call(*call, dry=True).outcome.done[0][1].plan
    assert stage.on == before
    done = stage.call(*call).outcome.done[0][1].done
    assert [(step.side, step.describe()) for step in done] == [
        (step.side, step.describe().replace(str(NOW + 60), str(NOW + 120))) for step in predicted.steps
    ]


def test_a_new_master_below_a_filesystem_that_is_readonly_can_be_written():
    for call in (GIVEN, TAKEN):
        stage = pair()
        stage.others[PEER_HOST]["pool2"] = dataset("pool2", properties={"readonly": "on"})
        stage.call(*call)
        check_roles(stage, PLAIN, PEER_HOST)
        assert stage.on[PEER_HOST].properties["readonly"] == Property("off", LOCAL)


def test_a_new_master_that_was_only_readonly_as_the_filesystem_above_it_is_can_be_written():
    stage = pair(copy=replica(*sent(0, 1), properties={"readonly": ("on", "inherited")}))
    stage.others[PEER_HOST]["pool2"] = dataset("pool2", properties={"readonly": "on"})
    stage.call(*TAKEN)
    check_roles(stage, PLAIN, PEER_HOST)


# Refused


@from_either_end
def test_a_move_without_the_peer_is_refused_and_says_what_to_do(call):
    stage = pair()
    stage.apart = True
    before = dict(stage.on)
    with pytest.raises(errors.Unreachable) as caught:
        stage.call(*call)
    assert stage.on == before
    peer = other_host(call[0])
    role = "master" if call == GIVEN else "replica"
    assert caught.value.left == "nothing was changed"
    assert f"run there: zrep_failover filesystem={stage.on[peer].name} role={role}" in caught.value.hint
    assert "force=true" in caught.value.hint


@pytest.mark.parametrize("call", [CALLED_OFF, GIVEN_BACK])
def test_who_has_the_role_that_he_is_to_have_needs_no_peer(call):
    stage = pair()
    stage.apart = True
    before = dict(stage.on)
    work = stage.call(*call).outcome.done[0][1]
    assert work.done == []
    assert "could not be asked" in work.warnings[0]
    assert stage.on == before


def test_what_was_written_after_the_last_sync_stops_the_swap():
    """Somebody takes a snapshot of the replica while it is brought up to date."""
    stage = pair()

    def meddle(host, step, change=stage.change):
        change(host, step)
        if step.action == "send":
            copy = stage.on[PEER_HOST]
            stage.on[PEER_HOST] = dataclasses.replace(
                copy, properties=dict(copy.properties, written=Property("9", "-"))
            )

    stage.change = meddle
    work = stage.call(*GIVEN).outcome.done[0][1]
    assert isinstance(work.error, errors.InUse)
    assert "9 bytes" in work.error.message
    assert stage.masters() == [HOST]
    assert not stage.side(HOST).readonly


@pytest.mark.parametrize(
    ("armed", "promise"),
    [(True, "makes hosta:pool1/data, still the master, writable"), (False, "may still be read-only")],
)
def test_what_the_guard_will_do_is_only_promised_where_it_was_not_told_to_let_go(monkeypatch, armed, promise):
    """The link broke while it was told, so nothing could be taken back either."""

    def silent(guard):
        guard._thaw = guard._thaw if armed else None
        raise errors.Unreachable("the guard does not answer", host=HOST)

    monkeypatch.setattr(stage_of_moves._Guard, "disarm", silent)
    monkeypatch.setattr(stage_of_moves._Session, "take_back", lambda self, work, error: setattr(work, "error", error))
    work = pair().call(*TAKEN).outcome.done[0][1]
    assert isinstance(work.error, errors.Unreachable)
    assert promise in work.error.left


# Without the peer, and after it


def test_a_takeover_says_what_is_missing_and_asks_nobody():
    found = Stage(master(*sent(0, 1)), replica(*sent(0, 1)), forced=True, apart=True)
    moved = found.call(PEER_HOST, "master", force=True)
    assert moved.loss["snapshot"] == own(1)
    (warning,) = moved.outcome.done[0][1].warnings
    assert f"is not in {PEER_HOST}:{PEER_FS}" in warning
    again = found.call(PEER_HOST, "master", force=True)
    assert again.loss is None
    assert again.outcome.done[0][1].done == []


@versions
@pytest.mark.parametrize("guards", [False, True])
def test_a_preserved_copy_is_named_in_the_answer(features, guards):
    found = split((own(2) + "+7",), 50, features, guards)
    assert found.call(HOST, "replica", **PRESERVE).preserved == KEPT
    assert found.call(HOST, "replica", **PRESERVE).preserved is None


def test_what_comes_up_while_the_rest_is_preserved_is_not_given_up():
    """Somebody takes a snapshot between the copy and the rollback: it is not in the copy."""
    found = split((own(2) + "+7",))

    def meddle(host, step, change=found.change):
        change(host, step)
        if step.action == "preserve":
            late = master(*sent(0, 1), own(2), "late").snapshots[-1:]
            found.on[HOST] = dataclasses.replace(found.on[HOST], snapshots=found.on[HOST].snapshots + late)

    found.change = meddle
    work = found.call(HOST, "replica", **PRESERVE).outcome.done[0][1]
    assert isinstance(work.error, errors.InUse)
    assert shorts(found.on[HOST]) == [own(0), own(1), own(2), "late"]
    assert found.side(HOST).is_master
    assert not found.side(HOST).readonly


def test_who_can_be_asked_is_not_passed_over():
    """Otherwise nobody would be master."""
    found = Stage(master(*sent(0, 1)), replica(*sent(0, 1)))
    before = dict(found.on)
    with pytest.raises(errors.BadInput):
        found.call(HOST, "replica", force=True, **DISCARD)
    assert found.on == before
