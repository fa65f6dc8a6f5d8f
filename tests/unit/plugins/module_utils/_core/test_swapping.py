# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ends of a move: which is which, what each records, what takes it back."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors, swapping
from ansible_collections.zfsops.zrep.plugins.module_utils._core.freezing import Mount
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import LOCAL, Endpoint, Property
from ansible_collections.zfsops.zrep.plugins.module_utils._core.plan import predict
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE, PEER, State
from ansible_collections.zfsops.zrep.plugins.module_utils._core.steps import Inherit, SetProperties
from ansible_collections.zfsops.zrep.plugins.module_utils._core.swapping import End, MoveGoal

from .builders import (
    FS,
    HOST,
    MODERN,
    NOW,
    OLD,
    PEER_FS,
    PEER_HOST,
    Naming,
    dataset,
    master,
    named,
    replica,
    seen_at,
    sent,
    side,
)

PLAIN = Naming()
ADDRESSES = Naming(FS, PEER_FS, "10.0.0.2", "10.0.0.1")
ALIAS = Naming(FS, PEER_FS, "standby")
TO_PEER = MoveGoal("replica", NOW)

versions = pytest.mark.parametrize("features", [MODERN, OLD], ids=["modern", "old"])


def pair_of(naming=PLAIN):
    return named(naming, master(*sent(0)), replica(*sent(0)))


def end(host, found, known_peer, features=OLD, **more):
    return End(side(found, host), HERE, features, known_peer, **more)


def demotion(found, known_peer=PEER_HOST):
    return swapping.demote(end(HOST, found, known_peer), Endpoint(PEER_HOST, PEER_FS))


def promotion(found, features=MODERN):
    return swapping.promote(end(PEER_HOST, found, HOST, features), FS, NOW)


def after(found, steps):
    return predict(State(found, None), steps).here


# The ends


@pytest.mark.parametrize("role", ["master", "replica"])
@pytest.mark.parametrize("host", [HOST, PEER_HOST])
def test_the_ends_are_told_by_what_they_are_to_become(host, role):
    found = swapping.ends(seen_at(host, *pair_of(ADDRESSES)), MoveGoal(role, NOW))
    mine = found.new if role == "master" else found.old
    assert mine.at == HERE
    assert mine.side.host == host
    assert (found.new.at == PEER) == (role == "replica")
    known = {one.side.filesystem: one.known_peer for one in found}
    assert known == {FS: "10.0.0.2", PEER_FS: "10.0.0.1"}


def test_each_end_has_what_its_own_zfs_can_do():
    seen = seen_at(HOST, *pair_of(), features=MODERN, features_there=OLD, readonly_above=frozenset([PEER]))
    found = swapping.ends(seen, TO_PEER)
    assert (found.old.features, found.new.features) == (MODERN, OLD)
    assert (found.old.readonly_above, found.new.readonly_above) == (False, True)


@pytest.mark.parametrize(
    ("there", "kind", "said"),
    [
        (None, errors.NotFound, "does not exist"),
        (dataset(PEER_FS), errors.NotPaired, "not registered"),
        (replica(properties={"zrep:src-host": None}), errors.NotPaired, "not registered"),
        (replica(properties={"zrep:src-fs": "pool1/other"}), errors.PairedElsewhere, "hosta:pool1/other"),
        (replica(properties={"zrep:src-host": "hostc"}), errors.PairedElsewhere, "hostc:pool1/data"),
        (replica(properties={"zrep:src-host": "-x"}), errors.BadProperty, "src-host"),
    ],
)
def test_what_is_no_pair_is_not_moved(there, kind, said):
    seen = dataclasses.replace(seen_at(HOST, *pair_of()), there=there)
    with pytest.raises(kind) as caught:
        swapping.ends(seen, TO_PEER)
    assert said in caught.value.message
    assert (caught.value.host, caught.value.dataset) == (PEER_HOST, PEER_FS)
    assert caught.value.left == "nothing was changed"
    assert caught.value.hint


def test_a_replica_that_its_master_knows_by_an_alias_can_be_made_the_master_on_its_own_host():
    swapping.ends(seen_at(PEER_HOST, *pair_of(ALIAS)), MoveGoal("master", NOW))


# Records


@pytest.mark.acceptance(46, 56)
@versions
def test_case_46_and_56_both_sides_record_the_same_names_the_other_way_round(features):
    found = swapping.ends(seen_at(HOST, *pair_of(), features=features), TO_PEER)
    end_state = predict(State(found.old.side.dataset, found.new.side.dataset), swapping.swap(found, NOW))
    record = {"src-fs": PEER_FS, "src-host": PEER_HOST, "dest-fs": FS, "dest-host": HOST}
    assert {name: end_state.here.local("zrep:" + name) for name in record} == record
    assert {name: end_state.there.local("zrep:" + name) for name in record} == record
    assert end_state.here.value("zrep:master") is None
    assert end_state.there.local("zrep:master") == "yes"
    assert end_state.there.local("zrep:promoted") == str(NOW)
    assert end_state.there.source("readonly") != LOCAL


@pytest.mark.parametrize(
    ("known", "recorded"), [("standby", PEER_HOST), ("hostb.example.org", None), ("fd00::2", None)]
)
def test_a_master_that_is_reached_by_an_alias_is_recorded_by_its_own_name_too(known, recorded):
    production, dummy = pair_of(Naming(replica_as=known))
    demoted = after(production, demotion(production, known))
    assert demoted.local("zrep:src-host") == known
    assert demoted.local("zrep:src-name") == recorded


def test_what_is_right_already_is_not_written():
    production, copy = pair_of()
    demoted = after(production, demotion(production))
    assert demotion(demoted) == []
    assert swapping.keep_replica(end(HOST, demoted, PEER_HOST), Endpoint(PEER_HOST, PEER_FS)) == []
    assert swapping.keep_master(end(HOST, production, PEER_HOST), PEER_FS) == []
    assert swapping.keep_replica(end(PEER_HOST, copy, HOST), Endpoint(HOST, FS)) == []


def test_only_what_is_missing_of_a_record_is_written():
    production, dummy = pair_of()
    half = after(production, [SetProperties(HERE, FS, "", values=(("zrep:src-fs", PEER_FS),))])
    (step, dummy) = demotion(half)
    assert [name for name, dummy in step.values] == ["zrep:src-host", "zrep:dest-fs", "zrep:dest-host"]
    (back,) = swapping.keep_master(end(HOST, half, PEER_HOST), PEER_FS)
    assert back.values == (("zrep:src-fs", FS),)


def test_a_frozen_master_that_keeps_its_role_is_thawed_and_mounted():
    found = master(*sent(0), properties={"readonly": "on", "mounted": "no"})
    assert [type(step) for step in swapping.keep_master(end(HOST, found, PEER_HOST), PEER_FS)] == [Inherit, Mount]


@pytest.mark.parametrize(
    "properties",
    [{"zrep:master": "yes"}, {"zrep:src-fs": "pool1/old"}, {"zrep:src-host": "10.0.0.1"}, {"zrep:dest-fs": "pool2/x"}],
)
def test_a_replica_whose_record_is_not_right_is_completed(properties):
    found = replica(*sent(0), properties=properties)
    kept = after(found, swapping.keep_replica(end(PEER_HOST, found, HOST), Endpoint(HOST, FS)))
    record = {"src-fs": FS, "src-host": HOST, "dest-fs": PEER_FS, "dest-host": PEER_HOST, "master": None}
    assert {name: kept.value("zrep:" + name) for name in record} == record


def test_a_received_name_is_written_as_a_local_one():
    """The other way round the script would not find it."""
    promoted = after(pair_of()[1], promotion(pair_of()[1]))
    assert {promoted.source("zrep:" + name) for name in ("src-fs", "src-host", "dest-fs", "dest-host")} == {LOCAL}


def test_what_decides_is_one_command_or_a_step_of_its_own():
    dummy, copy = pair_of()
    for features, properties in ((MODERN, 6), (OLD, 1)):
        (decisive,) = [step for step in promotion(copy, features) if step.decisive]
        assert len(decisive.values) == properties
        assert len(decisive.commands((), features)) == 1
        assert decisive.values[-1] == ("zrep:master", "yes")


def test_a_new_master_becomes_writable_before_and_is_mounted_after():
    assert [type(step) for step in promotion(pair_of()[1])] == [Inherit, SetProperties, Mount]
    in_use = replica(properties={"mounted": "yes", "readonly": ("off", "default")})
    assert [type(step) for step in promotion(in_use)] == [SetProperties]


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("filesystem", {"canmount": "off"}),
        ("filesystem", {"mountpoint": "none"}),
        ("filesystem", {"mountpoint": "legacy"}),
        ("volume", {}),
    ],
)
def test_what_cannot_be_mounted_is_not(kind, properties):
    assert swapping.mount(end(PEER_HOST, replica(properties=properties, kind=kind), HOST)) == []


def test_a_filesystem_below_one_that_is_readonly_gets_a_value_of_its_own():
    (step,) = swapping.thaw(end(PEER_HOST, replica(), HOST, readonly_above=True))
    assert step.values == (("readonly", "off"),)
    assert step.undo.values == (("readonly", "on"),)
    assert swapping.thaw(end(HOST, master(), PEER_HOST, readonly_above=True)) == []


def test_a_value_that_is_not_its_own_is_overruled():
    (step,) = swapping.thaw(end(PEER_HOST, replica(properties={"readonly": ("on", "inherited")}), HOST))
    assert (step.action, step.values, step.undo.values) == ("set", (("readonly", "off"),), (("readonly", None),))


# Taking it back


@versions
def test_a_swap_is_taken_back_wherever_it_ends_before_what_decides_it(features):
    production = master(*sent(0), properties={"readonly": "on"})
    copy = replica(*sent(0))
    mine = {name: Property(value.value, LOCAL) for name, value in copy.properties.items() if ":" in name}
    before = State(production, dataclasses.replace(copy, properties=dict(copy.properties, **mine)))
    steps = swapping.swap(swapping.ends(seen_at(HOST, before.here, before.there, features), TO_PEER), NOW)
    decides = [step.decisive for step in steps].index(True)
    assert decides >= 3
    for done in range(decides + 1):
        undo = [step.undo for step in steps[:done]]
        assert all(step.lasting for step in undo)
        back = predict(predict(before, steps[:done]), reversed(undo))
        assert own_values(back.here) == own_values(before.here)
        assert own_values(back.there) == own_values(before.there)


def own_values(found):
    """What a dataset has of our properties and of readonly, where it was set there."""
    return {name: found.local(name) for name in found.properties if found.local(name) is not None}


def test_taking_a_promotion_back_leaves_a_received_registration():
    dummy, copy = pair_of()
    (decisive,) = [step for step in promotion(copy) if step.decisive]
    assert side(after(copy, [decisive, decisive.undo]), PEER_HOST).registered


# Wishes


@pytest.mark.parametrize(
    ("goal", "force"),
    [
        (MoveGoal("none", NOW), False),
        (MoveGoal("master", NOW, "keep"), False),
        (MoveGoal("replica", NOW, "refuse", "pool1/kept"), False),
        (MoveGoal("replica", NOW, "discard", "pool1/kept"), False),
        (MoveGoal("replica", NOW, "preserve", "pool1/a b"), False),
        (MoveGoal("replica", NOW, "preserve", "-x"), False),
        (MoveGoal("master", NOW, "preserve"), True),
        (MoveGoal("master", NOW, "discard"), True),
    ],
)
def test_wishes_that_contradict_each_other_are_refused(goal, force):
    with pytest.raises(errors.BadInput):
        swapping.check_goal(goal, force)


@pytest.mark.parametrize("role", ["master", "replica"])
@pytest.mark.parametrize(("diverged", "preserve_as"), [("refuse", ""), ("discard", ""), ("preserve", "pool1/kept")])
def test_wishes_that_make_sense_are_not(role, diverged, preserve_as):
    swapping.check_goal(MoveGoal(role, NOW, diverged, preserve_as), False)
    swapping.check_goal(MoveGoal("replica", NOW, diverged, preserve_as), True)
