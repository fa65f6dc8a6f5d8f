# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of both sides written into one."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors
from ansible_collections.zfsops.zrep.plugins.module_utils._core.configuring import plan_configure
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import LOCAL, RECEIVED, Endpoint

from .builders import (
    FS,
    HOST,
    MODERN,
    OLD,
    PEER,
    PEER_FS,
    PEER_HOST,
    actions,
    dataset,
    master,
    observed,
    observed_from_replica,
    own,
    replica,
    sent,
)

ELSEWHERE = Endpoint("root@elsewhere.example.org", "tank/copy")


def alone(found):
    return observed(found, None, asked=False)


def configure(seen, peer=ELSEWHERE, is_destination=False, force=False, default=5):
    return plan_configure(seen, peer, is_destination, force, default)


def names(found):
    return [found.value(f"zrep:{name}") for name in ("src-fs", "src-host", "dest-fs", "dest-host")]


@pytest.mark.acceptance(60)
def test_case_60_the_names_change_and_nothing_else():
    seen = alone(master(*sent(0, 1), savecount="9"))
    plan = configure(seen)
    assert actions(plan) == [("here", "set")]
    assert names(plan.after.here) == [FS, HOST, "tank/copy", "root@elsewhere.example.org"]
    touched = {name for step in plan.steps for name, _value in step.values}
    assert touched == {"zrep:dest-fs", "zrep:dest-host"}
    assert plan.after.here.snapshots == seen.here.snapshots
    assert plan.warnings == ()


def test_the_destination_names_itself_last():
    seen = dataclasses.replace(observed_from_replica(replica(*sent(0))), asked=False)
    plan = configure(seen, is_destination=True)
    assert names(plan.after.here) == ["tank/copy", "root@elsewhere.example.org", PEER_FS, PEER_HOST]
    assert plan.warnings == ()


def test_a_second_time_there_is_nothing_to_do():
    seen = alone(master(*sent(0)))
    assert configure(seen, PEER).steps == ()
    there = dataclasses.replace(observed_from_replica(replica(*sent(0))), asked=False)
    assert there.here.source("zrep:dest-fs") == RECEIVED
    assert configure(there, Endpoint(HOST, FS), is_destination=True).steps == ()


@pytest.mark.parametrize(
    ("there", "after"),
    [("9", "9"), ("1", "1"), (None, "7"), ("0", "7"), ("-1", "7"), ("many", "7"), ("", "7"), ("9" * 10, "7")],
)
def test_the_savecount_is_kept_if_it_is_one(there, after):
    found = master(*sent(0), properties={"zrep:savecount": there})
    plan = configure(alone(found), default=7)
    assert plan.after.here.local("zrep:savecount") == after
    written = {name for step in plan.steps for name, _value in step.values}
    assert ("zrep:savecount" in written) == (there != after)


def test_what_a_child_inherits_becomes_its_own():
    inherited = {
        f"zrep:{name}": (value, "inherited")
        for name, value in {
            "src-fs": FS,
            "src-host": HOST,
            "dest-fs": PEER_FS,
            "dest-host": PEER_HOST,
            "savecount": "3",
            "master": "yes",
        }.items()
    }
    plan = configure(alone(dataset(FS, own(0), properties=inherited)), PEER)
    after = plan.after.here
    assert {name: after.source(name) for name in inherited} == dict(
        dict.fromkeys(inherited, LOCAL), **{"zrep:master": "inherited"}
    )
    assert after.local("zrep:savecount") == "3"


@pytest.mark.parametrize("words", [(), ("daily-1",), ("zrep_abcdef-mine",), ("zrep_dc_000000",)])
def test_without_a_snapshot_of_the_pair_it_has_to_be_forced(words):
    seen = alone(dataset(FS, *words))
    with pytest.raises(errors.NotFound) as caught:
        configure(seen)
    assert "force=true" in caught.value.hint
    assert caught.value.left == "nothing was changed"
    assert names(configure(seen, force=True).after.here)[0] == FS


def test_a_filesystem_that_does_not_exist_cannot_be_forced():
    with pytest.raises(errors.NotFound):
        configure(alone(None), force=True)


@pytest.mark.parametrize("host", [HOST, "localhost", f"root@{HOST}.example.org"])
@pytest.mark.parametrize("is_destination", [False, True])
def test_a_filesystem_is_not_its_own_replica(host, is_destination):
    seen = alone(master(*sent(0)))
    with pytest.raises(errors.BadInput):
        configure(seen, Endpoint(host, FS), is_destination, force=True)
    assert configure(seen, Endpoint(host, "pool1/other"), is_destination).steps


def test_a_role_that_does_not_fit_and_a_destination_that_can_be_written_are_told():
    told = configure(alone(master(*sent(0))), is_destination=True).warnings
    assert len(told) == 1
    assert f"zfs inherit zrep:master {FS}" in told[0]
    writable = replica(*sent(0), properties={"readonly": ("off", "default")})
    seen = dataclasses.replace(observed_from_replica(writable), asked=False)
    told = configure(seen, is_destination=True).warnings
    assert [f"zfs set readonly=on {PEER_FS}" in text for text in told] == [True]


@pytest.mark.parametrize("features", [MODERN, OLD])
def test_half_of_it_is_taken_back(features):
    (step,) = configure(alone(dataset(FS, own(0), properties={"zrep:src-fs": "old"}))).steps
    undone = [" ".join(command) for command in step.undo.commands((), features)]
    assert undone[0] == f"zfs set zrep:src-fs=old {FS}"
    assert set(undone[1:]) == {
        f"zfs inherit zrep:{name} {FS}" for name in ("src-host", "dest-fs", "dest-host", "savecount")
    }
