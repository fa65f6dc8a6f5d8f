# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who the other side is while a record is written one property at a time, with names of every kind."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import swapping
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import Endpoint, Side
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE, State
from ansible_collections.zfsops.zrep.plugins.module_utils._core.steps import Inherit, Restore, SetProperties
from ansible_collections.zfsops.zrep.plugins.module_utils._core.swapping import End

from .builders import (
    FS,
    HOST,
    NOW,
    OLD,
    PEER_FS,
    PEER_HOST,
    Naming,
    master,
    named,
    replica,
    sent,
)

NAMINGS = {
    "plain": Naming(),
    "one name for both": Naming(FS, FS),
    "full name": Naming(replica_as="hostb.example.org"),
    "full name, one name for both": Naming(FS, FS, "hostb.example.org"),
    "full names": Naming(FS, FS, "hostb.example.org", "hosta.example.org"),
    "addresses": Naming(FS, PEER_FS, "10.0.0.2", "10.0.0.1"),
    "addresses, one name for both": Naming(FS, FS, "fd00::2", "fd00::1"),
    "user": Naming(FS, FS, "zrep@hostb", "hosta"),
    "alias": Naming(FS, PEER_FS, "standby"),
    "aliases": Naming(FS, PEER_FS, "standby", "production"),
    "aliases, one name for both": Naming(FS, FS, "standby", "production"),
}

namings = pytest.mark.parametrize("naming", NAMINGS.values(), ids=NAMINGS.keys())


def pair_of(naming):
    return named(naming, master(*sent(0)), replica(*sent(0)))


def end(host, found, known_peer):
    return End(Side(host, host, "zrep", found), HERE, OLD, known_peer)


def one_by_one(found, steps):
    """The dataset after each single property that steps set or take away, the untouched one first."""
    state = State(found, None)
    yield state.here
    for step in steps:
        if isinstance(step, Inherit):
            parts = [dataclasses.replace(step, properties=(name,)) for name in step.properties]
        elif isinstance(step, (SetProperties, Restore)):
            parts = [dataclasses.replace(step, values=(pair,)) for pair in step.values]
        else:
            parts = [step]
        for part in parts:
            state = part.apply(state)
            yield state.here


def always_names(peer, host, states):
    found = [Side(host, host, "zrep", state).peer for state in states]
    assert set(found) == {peer}


def demotion(naming, found):
    return swapping.demote(end(HOST, found, naming.replica_as), Endpoint(PEER_HOST, naming.peer_fs))


def promotion(naming, found):
    return swapping.promote(end(PEER_HOST, found, naming.master_as), naming.fs, NOW)


def written(steps):
    """The short names of the properties that steps set, in order."""
    return [name.partition(":")[2] for step in steps if isinstance(step, SetProperties) for name, dummy in step.values]


@namings
def test_a_master_that_is_demoted_always_names_its_peer(naming):
    production, dummy = pair_of(naming)
    states = list(one_by_one(production, demotion(naming, production)))
    always_names(Endpoint(naming.replica_as, naming.peer_fs), HOST, states)
    assert states[-1].local("zrep:master") is None


@namings
@pytest.mark.parametrize("source", ["local", "received"])
def test_a_replica_that_is_promoted_always_names_its_peer(naming, source):
    dummy, copy = pair_of(naming)
    properties = {
        name: value._replace(source=source) if name.startswith("zrep:") else value
        for name, value in copy.properties.items()
    }
    copy = dataclasses.replace(copy, properties=properties)
    states = list(one_by_one(copy, promotion(naming, copy)))
    always_names(Endpoint(naming.master_as, naming.fs), PEER_HOST, states)
    assert states[-1].local("zrep:master") == "yes"


def test_the_orders_go_over_all_four_names():
    """Otherwise the two above would prove nothing."""
    production, copy = pair_of(Naming())
    assert written(demotion(Naming(), production)) == ["src-fs", "src-host", "dest-fs", "dest-host"]
    assert written(promotion(Naming(), copy)) == ["dest-fs", "dest-host", "src-fs", "src-host", "promoted", "master"]


@namings
def test_the_peer_is_the_same_after_both_moves(naming):
    """There and back again: the record of a former master is written in the order of a replica."""
    production, copy = pair_of(naming)
    *dummy, demoted = one_by_one(production, demotion(naming, production))
    *dummy, promoted = one_by_one(copy, promotion(naming, copy))
    back = swapping.promote(end(HOST, demoted, naming.replica_as), naming.peer_fs, NOW)
    always_names(Endpoint(naming.replica_as, naming.peer_fs), HOST, one_by_one(demoted, back))
    down = swapping.demote(end(PEER_HOST, promoted, naming.master_as), Endpoint(HOST, naming.fs))
    always_names(Endpoint(naming.master_as, naming.fs), PEER_HOST, one_by_one(promoted, down))


@pytest.mark.parametrize("naming", [Naming(FS, PEER_FS, "localhost"), Naming(FS, PEER_FS, HOST)])
def test_two_filesystems_of_one_host(naming):
    production, copy = pair_of(naming)
    peer = Endpoint(naming.replica_as, naming.peer_fs)
    always_names(peer, HOST, one_by_one(production, demotion(naming, production)))
    up = swapping.promote(end(HOST, copy, HOST), naming.fs, NOW)
    always_names(Endpoint(HOST, naming.fs), HOST, one_by_one(copy, up))


@pytest.mark.parametrize("naming", [NAMINGS["plain"], NAMINGS["addresses"], NAMINGS["alias"]])
def test_a_master_that_keeps_its_role_always_names_its_peer(naming):
    """A swap is called off wherever it stands, and that is cut short as well."""
    production, dummy = pair_of(naming)
    peer = Endpoint(naming.replica_as, naming.peer_fs)
    for half in list(one_by_one(production, demotion(naming, production)[:1])):
        kept = swapping.keep_master(end(HOST, half, naming.replica_as), naming.peer_fs)
        always_names(peer, HOST, one_by_one(half, kept))


@pytest.mark.parametrize("naming", [NAMINGS["plain"], NAMINGS["addresses"], NAMINGS["alias"]])
def test_a_replica_that_is_no_master_after_all_always_names_its_peer(naming):
    """It was half promoted when the old master was made the master again."""
    dummy, copy = pair_of(naming)
    for half in list(one_by_one(copy, promotion(naming, copy)))[:-1]:
        down = swapping.demote(end(PEER_HOST, half, naming.master_as), Endpoint(HOST, naming.fs))
        always_names(Endpoint(naming.master_as, naming.fs), PEER_HOST, one_by_one(half, down))


@pytest.mark.parametrize("naming", [NAMINGS["plain"], NAMINGS["one name for both"]])
def test_a_record_that_is_taken_back_always_names_the_peer(naming):
    """Taking back can be cut short like anything else."""
    production, dummy = pair_of(naming)
    (record, *dummy) = demotion(naming, production)
    after = record.apply(State(production, None)).here
    always_names(Endpoint(naming.replica_as, naming.peer_fs), HOST, one_by_one(after, [record.undo]))
