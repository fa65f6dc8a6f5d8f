# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Freezing and mounting: what it takes on which version, and what gives a filesystem back."""

from __future__ import annotations

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import zfs
from ansible_collections.zfsops.zrep.plugins.module_utils._core.freezing import Mount, Remount, freeze, is_freezing
from ansible_collections.zfsops.zrep.plugins.module_utils._core.plan import predict
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE, PEER, State
from ansible_collections.zfsops.zrep.plugins.module_utils._core.steps import Inherit, Mark, SetProperties

from .builders import FS, HOST, MODERN, OLD, PEER_FS, PEER_HOST, master, own, replica, sent, side


def frozen_by(found, host=HOST, features=MODERN):
    return freeze(side(found, host), HERE, features, "why")


def commands(steps, features):
    return [argv for step in steps for argv in step.commands((), features)]


def test_a_modern_zfs_takes_one_command():
    assert commands(frozen_by(master()), MODERN) == [("zfs", "set", "readonly=on", FS)]


def test_an_old_zfs_takes_open_files_away_by_a_remount():
    steps = frozen_by(master(), features=OLD)
    readonly, remount = commands(steps, OLD)
    assert readonly == ("zfs", "set", "readonly=on", FS)
    assert remount == zfs.remount(FS)
    assert steps[1].patience > 0


def test_what_is_not_mounted_is_not_remounted():
    assert len(frozen_by(master(properties={"mounted": "no"}), features=OLD)) == 1


@pytest.mark.parametrize("features", [MODERN, OLD], ids=["modern", "old"])
def test_a_filesystem_that_was_frozen_is_readonly(features):
    after = predict(State(master(), None), frozen_by(master(), features=features)).here
    assert side(after).readonly
    assert side(after).frozen
    assert side(after).mounted


@pytest.mark.parametrize(
    ("before", "restored"),
    [(("off", "default"), None), (("off", "local"), "off"), (("on", "inherited"), None), (("on", "local"), None)],
)
def test_it_is_given_back_as_writable_as_it_was(before, restored):
    """What a run that died has frozen is writable again."""
    found = master(properties={"readonly": before})
    (step,) = frozen_by(found)
    assert step.undo.lasting
    assert step.undo.values == (("readonly", restored),)
    back = predict(State(found, None), [step, step.undo]).here
    assert back.local("readonly") == restored


def test_a_replica_is_not_given_to_writers():
    found = replica(*sent(0), own(1) + "+9")
    (step,) = frozen_by(found, PEER_HOST)
    assert side(predict(State(found, None), [step, step.undo]).here, PEER_HOST).readonly


def test_which_steps_freeze():
    assert is_freezing(frozen_by(master())[0])
    assert is_freezing(Remount(HERE, FS, "why"))
    assert not is_freezing(None)
    for step in (
        SetProperties(HERE, FS, "why", values=(("readonly", "off"),)),
        SetProperties(HERE, FS, "why", values=(("readonly", "on"), ("zrep:src-fs", FS))),
        Inherit(HERE, FS, "why", properties=("readonly",)),
        Mark(HERE, f"{FS}@{own(0)}", "why"),
        Mount(HERE, FS, "why"),
    ):
        assert not is_freezing(step)


def test_mounting():
    step = Mount(PEER, PEER_FS, "why")
    assert step.commands((), MODERN) == [("zfs", "mount", PEER_FS)]
    after = step.apply(State(master(), replica()))
    assert side(after.there, PEER_HOST).mounted
    assert after.here == master()


@pytest.mark.parametrize("step", [Mount(HERE, FS, "why"), Remount(HERE, FS, "why")])
def test_each_says_what_it_does(step):
    assert step.describe() == f"{step.action} {FS}"
