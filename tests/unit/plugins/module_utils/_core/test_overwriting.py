# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a forced sync preserves of a replica: all that the master does not have, and nothing without need."""

from __future__ import annotations

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors
from ansible_collections.zfsops.zrep.plugins.module_utils._core.overwriting import check_diverged, own_since, plan_keep
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import PEER
from ansible_collections.zfsops.zrep.plugins.module_utils._core.streams import Copy

from .builders import HOST, MODERN, NOW, OLD, PEER_FS, dataset, master, own, replica, seen_at, sent

POOL2 = dataset("pool2")


def seen(here, there, features=MODERN):
    return seen_at(HOST, here, there, features)


@pytest.fixture
def here():
    return master(*sent(0, 1))


@pytest.mark.parametrize(
    ("words", "written", "since"),
    [
        ([], 0, None),
        (["idle"], 0, None),
        ([], 5, own(1)),
        (["mine+5"], 0, own(1)),
        (["mine+5", "idle"], 3, own(1)),
    ],
)
def test_what_a_replica_has_of_its_own(here, words, written, since):
    found = own_since(seen(here, replica(*sent(0, 1), *words, written=written)))
    assert (found.short if found else None) == since


def test_without_a_common_snapshot_or_a_side_there_is_nothing_to_tell(here):
    assert own_since(seen(here, replica("other+7", written=3))) is None
    assert own_since(seen(here, None)) is None


@pytest.mark.parametrize(
    ("words", "written", "preserved"), [([], 0, False), (["idle"], 0, True), ([], 5, True), (["mine+5"], 0, True)]
)
def test_a_replica_that_goes_back_loses_what_the_master_does_not_have(here, words, written, preserved):
    found = own_since(seen(here, replica(*sent(0, 1), *words, written=written)), own(0))
    assert (found.short if found else None) == (own(0) if preserved else None)
    assert own_since(seen(here, replica(*sent(0), written=5)), own(7)) is None


@pytest.mark.parametrize("features", [MODERN, OLD])
def test_it_is_frozen_snapshotted_and_copied_where_it_is(here, features):
    there = replica(*sent(0, 1), "mine+5", written=7, properties={"readonly": ("off", "local")})
    pair = seen(here, there, features)
    plan, name = plan_keep(pair, own_since(pair), NOW, {"pool2": POOL2})
    assert name == f"{PEER_FS}_preserved_{own(1)}"
    assert {step.side for step in plan.steps} == {PEER}
    assert [step.action for step in plan.steps] == ["set", "snapshot", "preserve", "preserve"]
    copies = [step for step in plan.steps if isinstance(step, Copy)]
    assert [step.target for step in copies] == [f"{PEER_FS}@mine", f"{PEER_FS}@zrep_preserved_{NOW}"]
    assert plan.after.there.value("readonly") == "on"


def test_without_room_it_is_refused_with_what_gives_it_up(here):
    there = replica(*sent(0, 1), written=7)
    pair = seen(here, there)
    with pytest.raises(errors.PoolFull) as caught:
        plan_keep(pair, own_since(pair), NOW, {"pool2": dataset("pool2", properties={"available": "6"})})
    assert "diverged=discard" in caught.value.hint
    assert caught.value.left == "nothing was changed"


def test_to_lose_something_is_said_twice():
    check_diverged("preserve", False)
    check_diverged("discard", True)
    for choice, force in (("discard", False), ("refuse", True)):
        with pytest.raises(errors.BadInput):
            check_diverged(choice, force)
