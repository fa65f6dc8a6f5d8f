# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a pair, one code for each."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors
from ansible_collections.zfsops.zrep.plugins.module_utils._core.health import problems
from ansible_collections.zfsops.zrep.plugins.module_utils._core.syncing import SyncGoal, plan_sync

from .builders import (
    FS,
    HOST,
    NOW,
    PEER_HOST,
    SETTINGS,
    dataset,
    later,
    master,
    observed,
    observed_from_replica,
    own,
    replica,
    sent,
    time_of,
)

MASTER_NO_MORE = {"zrep:master": None}
SECOND_MASTER = {"zrep:master": "yes"}


def codes(seen, **options):
    return [problem.code for problem in problems(seen, NOW, **options)]


def only(seen, **options):
    (found,) = problems(seen, NOW, **options)
    return found


def alone(found):
    return observed(found, None, asked=False)


def test_a_healthy_pair_has_none():
    assert codes(observed(master(*sent(0, 1)), replica(*sent(0, 1)))) == []
    assert codes(observed_from_replica(replica(*sent(0, 1)), master(*sent(0, 1)))) == []
    assert codes(alone(master(*sent(0)))) == []


def test_a_pair_after_a_sync_has_none():
    seen = observed(master(*sent(0), own(1)), replica(*sent(0)))
    plan = plan_sync(seen, SyncGoal(NOW), SETTINGS)
    assert codes(later(seen, plan.after), max_lag=60) == []


def test_not_found():
    found = only(observed(None))
    assert (found.code, found.severity, found.host) == ("not_found", "error", HOST)


def test_not_paired():
    assert only(observed(dataset(FS))).code == "not_paired"


@pytest.mark.parametrize("name", ["src-fs", "src-host", "dest-host", "savecount"])
def test_bad_property(name):
    found = only(alone(master(*sent(0), properties={"zrep:" + name: "a b"})))
    assert (found.code, found.severity) == ("bad_property", "error")
    assert "zrep:" + name in found.message


def test_every_bad_property_is_named_once():
    found = problems(alone(master(*sent(0), properties={"zrep:src-fs": "a b", "zrep:savecount": "x"})), NOW)
    assert [problem.code for problem in found] == ["bad_property", "bad_property"]


def test_bad_property_over_there():
    found = only(observed(master(*sent(0)), replica(*sent(0), properties={"zrep:savecount": "x"})))
    assert (found.code, found.host) == ("bad_property", PEER_HOST)


def test_a_mark_that_is_nonsense():
    here = master(*sent(0))
    bad = dataclasses.replace(here.snapshots[0], sent=None, bad_mark="x")
    assert "bad_property" in codes(alone(dataclasses.replace(here, snapshots=(bad,))))


def test_wrong_source():
    assert "wrong_source" in codes(alone(master(*sent(0), properties={"zrep:src-host": "elsewhere"})))


def test_master_readonly():
    found = only(alone(master(*sent(0), properties={"readonly": "on"})))
    assert (found.code, found.severity) == ("master_readonly", "warning")


def test_replica_writable():
    writable = replica(*sent(0), properties={"readonly": ("off", "default")})
    from_master = only(observed(master(*sent(0)), writable))
    from_replica = only(observed_from_replica(writable, master(*sent(0))))
    for found in (from_master, from_replica):
        assert (found.code, found.severity, found.host) == ("replica_writable", "warning", PEER_HOST)


def test_never_synced():
    assert only(alone(master(own(0)))).code == "never_synced"


def test_lag():
    age = NOW - time_of(own(0))
    assert codes(alone(master(*sent(0))), max_lag=age) == []
    assert only(alone(master(*sent(0))), max_lag=age - 1).code == "lag"


def test_unreachable():
    error = errors.Unreachable("cannot be reached", host=PEER_HOST, hint="try again")
    found = only(alone(master(*sent(0))), unreachable=error)
    assert (found.code, found.host, found.hint) == ("unreachable", PEER_HOST, "try again")


def test_peer_missing():
    found = only(observed(master(*sent(0))))
    assert (found.code, found.host) == ("peer_missing", PEER_HOST)


def test_split_brain_says_what_each_side_has():
    here = master(*sent(0), own(1), written=11)
    there = replica(*sent(0), own(1) + "=another", own(2), properties=SECOND_MASTER, written=22)
    for seen in (observed(here, there),):
        found = problems(seen, NOW)
        assert [problem.code for problem in found] == ["split_brain", "diverged", "replica_writable"][: len(found)]
        text = found[1].message
        for part in (own(0), "1 later snapshot", "2 later snapshots", "11 bytes", "22 bytes"):
            assert part in text


def test_split_brain_without_anything_in_common():
    there = replica(own(0) + "=another", properties=SECOND_MASTER)
    assert codes(observed(master(*sent(0)), there)) == ["split_brain"]


def test_no_master():
    assert "no_master" in codes(
        observed(
            master(*sent(0), properties=dict(MASTER_NO_MORE, readonly="on")),
            replica(*sent(0)),
        )
    )


def test_paired_elsewhere():
    there = replica(*sent(0), properties={"zrep:src-fs": "pool7/other"})
    assert codes(observed(master(*sent(0)), there)) == ["paired_elsewhere"]


@pytest.mark.parametrize("look", [observed, lambda here, there: observed_from_replica(there, here)])
def test_no_common_snapshot(look):
    assert "no_common_snapshot" in codes(look(master(*sent(0)), replica(own(0) + "=another*")))


@pytest.mark.parametrize("look", [observed, lambda here, there: observed_from_replica(there, here)])
def test_diverged(look):
    assert codes(look(master(*sent(0)), replica(*sent(0), written=1))) == ["diverged"]
    assert codes(look(master(*sent(0)), replica(*sent(0), "mine+1"))) == ["diverged"]


def test_problems_as_facts():
    facts = only(observed(master(*sent(0)))).facts()
    assert set(facts) == {"code", "severity", "host", "message", "hint"}
    assert all(isinstance(value, str) for value in facts.values())
