# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out plans: order, shared commands, taking back, failures of one among many."""

from __future__ import annotations

import threading

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors, execute
from ansible_collections.zfsops.zrep.plugins.module_utils._core.shell import Completed
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE
from ansible_collections.zfsops.zrep.plugins.module_utils._core.steps import (
    Destroy,
    Inherit,
    Mark,
    RenameSnapshot,
    SetProperties,
    TakeSnapshot,
)
from ansible_collections.zfsops.zrep.plugins.module_utils._core.streams import Send

from .builders import HOST, MODERN, OLD, PEER_HOST
from .recorder import Recorder, Streams, carry_out, work

THERE = "peer"
TAKE, SEND, MARK_THERE, MARK_HERE, EXPIRE = range(5)


class Disk(Recorder):
    """A recorder that knows which snapshots there are, since doing a thing twice is an error for zfs."""

    def __init__(self, host, log, failing=None, snapshots=()):
        super().__init__(host, log, failing)
        self.snapshots = set(snapshots)

    def run(self, argv):
        done = super().run(argv)
        if done.status:
            return done
        verb, targets = argv[1], argv[2:]
        if verb == "snapshot":
            taken = [target for target in targets if target in self.snapshots]
            if taken:
                return Completed(1, "", f"cannot create snapshot '{taken[0]}': dataset already exists")
            self.snapshots.update(targets)
        if verb == "destroy":
            dataset, dummy, shorts = targets[0].partition("@")
            wanted = {f"{dataset}@{short}" for short in shorts.split(",")}
            if not wanted & self.snapshots:
                return Completed(1, "", "could not find any snapshots to destroy; check snapshot names.")
            self.snapshots -= wanted
        return done


@pytest.fixture
def streams(monkeypatch):
    """Streams are recorded, and fail with the error that stands in ``failing`` for their target."""
    found = Streams()
    monkeypatch.setattr(execute, "run_stream", found.run)
    return found


def sync_steps(fs, rename=True, expire=()):
    new = f"{fs}@new"
    undo = RenameSnapshot(HERE, new, "", new_short="new_unsent") if rename else Destroy(HERE, fs, "", shorts=("new",))
    steps = [
        TakeSnapshot(HERE, new, "", phase=TAKE, undo=undo),
        Send(HERE, new, "", phase=SEND, base=f"{fs}@old", destination="q/" + fs),
        Mark(THERE, f"q/{fs}@new", "", phase=MARK_THERE, sent=5),
        Mark(HERE, new, "", phase=MARK_HERE, sent=5),
    ]
    if expire:
        steps.append(Destroy(HERE, fs, "", phase=EXPIRE, optional=True, shorts=tuple(expire)))
    return steps


@pytest.fixture
def hosts(streams):
    return Recorder(HOST, streams.log), Recorder(PEER_HOST, streams.log)


def test_steps_are_carried_out_in_order(hosts, streams):
    here, peer = hosts
    (done,) = carry_out(here, work(peer, *sync_steps("p/a", expire=["old"])))
    assert streams.log == [
        (HOST, "zfs", "snapshot", "p/a@new"),
        (HOST, "stream", "p/a@new"),
        (PEER_HOST, "zfs", "set", "zrep:sent=5", "q/p/a@new"),
        (HOST, "zfs", "set", "zrep:sent=5", "p/a@new"),
        (HOST, "zfs", "destroy", "p/a@old"),
    ]
    assert done.done == list(done.plan.steps)
    assert done.error is None
    assert done.warnings == []


def test_nothing_to_do_runs_nothing(hosts, streams):
    carry_out(hosts[0], work(None), work(None))
    assert streams.log == []


def test_plans_share_commands_but_not_streams(hosts, streams):
    here, peer = hosts
    works = [work(peer, *sync_steps(fs, expire=["old"]), name=fs) for fs in ("p/a", "p/b", "p/c")]
    carry_out(here, *works)
    assert [entry for entry in streams.log if entry[1] != "stream"] == [
        (HOST, "zfs", "snapshot", "p/a@new", "p/b@new", "p/c@new"),
        (PEER_HOST, "zfs", "set", "zrep:sent=5", "q/p/a@new", "q/p/b@new", "q/p/c@new"),
        (HOST, "zfs", "set", "zrep:sent=5", "p/a@new", "p/b@new", "p/c@new"),
        (HOST, "zfs", "destroy", "p/a@old"),
        (HOST, "zfs", "destroy", "p/b@old"),
        (HOST, "zfs", "destroy", "p/c@old"),
    ]
    assert sorted(target for target, *dummy in streams.done) == ["p/a@new", "p/b@new", "p/c@new"]
    assert all(found.error is None and len(found.done) == 5 for found in works)


def test_peers_do_not_share_commands(hosts, streams):
    here, peer = hosts
    other = Recorder("hostc", streams.log)
    carry_out(here, work(peer, *sync_steps("p/a")), work(other, *sync_steps("p/b"), name="p/b"))
    marks = [entry for entry in streams.log if entry[0] != HOST]
    assert sorted(entry[0] for entry in marks) == [PEER_HOST, "hostc"]


def test_a_stream_by_itself_shares_the_connection_of_the_commands(hosts, streams):
    here, peer = hosts
    carry_out(here, *[work(peer, *sync_steps(fs), name=fs, keep=(7,)) for fs in ("p/a", "p/b")])
    assert {lane for dummy, lane, *more in streams.done} == {0}
    assert {keep for dummy, lane, keep, features in streams.done} == {(7,)}


def test_streams_side_by_side_have_connections_of_their_own(hosts, streams):
    here, peer = hosts
    streams.together = threading.Barrier(2)
    carry_out(here, *[work(peer, *sync_steps(fs), name=fs) for fs in ("p/a", "p/b", "p/c", "p/d")], parallel=2)
    assert not streams.shared
    assert {lane for dummy, lane, *more in streams.done} <= {1, 2}
    assert len(streams.done) == 4


def test_a_stream_can_do_what_both_ends_can(hosts, streams):
    here, peer = hosts
    found = work(peer, *sync_steps("p/a"))
    found.features_there = OLD
    carry_out(here, found)
    assert not streams.done[0][3].modern


# Failures


@pytest.mark.acceptance(19)
@pytest.mark.parametrize("rename", [True, False])
def test_case_19_what_could_not_be_sent_is_taken_back(hosts, streams, rename):
    here, peer = hosts
    streams.failing["p/a@new"] = errors.Diverged("has been modified")
    (done,) = carry_out(here, work(peer, *sync_steps("p/a", rename)))
    taken_back = ("rename", "p/a@new", "p/a@new_unsent") if rename else ("destroy", "p/a@new")
    assert streams.log[2:] == [(HOST, "zfs", *taken_back)]
    assert isinstance(done.error, errors.Diverged)
    assert done.error.left
    assert [step.action for step in done.done] == ["snapshot", taken_back[0]]


@pytest.mark.parametrize("kind", [errors.LinkLost, errors.Unreachable])
def test_in_doubt_nothing_is_taken_back(hosts, streams, kind):
    here, peer = hosts
    streams.failing["p/a@new"] = kind("broke")
    (done,) = carry_out(here, work(peer, *sync_steps("p/a")))
    assert len(streams.log) == 2
    assert isinstance(done.error, kind)
    assert [step.action for step in done.done] == ["snapshot"]


def test_past_the_stream_nothing_is_taken_back(hosts, streams):
    here, peer = hosts
    peer.failing["set"] = "cannot set property for 'q/p/a@new': permission denied"
    (done,) = carry_out(here, work(peer, *sync_steps("p/a")))
    assert [step.action for step in done.done] == ["snapshot", "send"]
    assert isinstance(done.error, errors.Denied)
    assert done.error.host == PEER_HOST
    assert streams.log[-1][0] == PEER_HOST


def test_the_last_begun_is_the_first_taken_back(hosts, streams):
    here, peer = hosts
    steps = [
        SetProperties(HERE, "p/a", "", values=(("x", "1"),), undo=Inherit(HERE, "p/a", "", properties=("x",))),
        *sync_steps("p/a", rename=False),
    ]
    streams.failing["p/a@new"] = errors.PoolFull("is full")
    carry_out(here, work(peer, *steps))
    assert streams.log[3:] == [(HOST, "zfs", "destroy", "p/a@new"), (HOST, "zfs", "inherit", "x", "p/a")]


def test_what_could_not_be_taken_back_is_said_and_the_rest_is(hosts, streams, monkeypatch):
    here, peer = hosts
    monkeypatch.setattr(execute, "BUSY_PAUSE_SECONDS", 0)
    steps = [
        SetProperties(HERE, "p/a", "", values=(("x", "1"),), undo=Inherit(HERE, "p/a", "", properties=("x",))),
        *sync_steps("p/a"),
    ]
    streams.failing["p/a@new"] = errors.PoolFull("is full")
    here.failing["rename"] = "cannot rename: dataset is busy"
    (done,) = carry_out(here, work(peer, *steps))
    assert "busy" in done.error.left
    assert isinstance(done.error, errors.PoolFull)
    assert streams.log[-1] == (HOST, "zfs", "inherit", "x", "p/a")
    assert [entry[2] for entry in streams.log].count("rename") == 1 + execute.UNDO_ATTEMPTS


def test_a_step_that_failed_half_way_is_taken_back_too(hosts, streams):
    """An old zfs sets one property a command, so the first may be set when the second is refused."""
    here, peer = hosts
    here.failing["b=2"] = "cannot set property for 'p/a': permission denied"
    undo = Inherit(HERE, "p/a", "", properties=("a", "b"))
    step = SetProperties(HERE, "p/a", "", values=(("a", "1"), ("b", "2")), undo=undo)
    (done,) = carry_out(here, work(peer, step, features=OLD))
    assert isinstance(done.error, errors.Denied)
    assert streams.log[-2:] == [(HOST, "zfs", "inherit", "a", "p/a"), (HOST, "zfs", "inherit", "b", "p/a")]


@pytest.mark.acceptance(24)
@pytest.mark.parametrize("parallel", [1, 2])
def test_case_24_a_stream_that_fails_does_not_stop_the_others(hosts, streams, parallel):
    here, peer = hosts
    streams.failing["p/b@new"] = errors.Diverged("has been modified")
    works = [work(peer, *sync_steps(fs), name=fs) for fs in ("p/a", "p/b", "p/c")]
    carry_out(here, *works, parallel=parallel)
    assert [found.error is None for found in works] == [True, False, True]
    assert [len(found.done) for found in works] == [4, 2, 4]
    marks = [entry for entry in streams.log if entry[2] == "set"]
    assert {word for entry in marks for word in entry if "p/b" in word} == set()


@pytest.mark.acceptance(24)
def test_case_24_a_shared_command_that_fails_is_done_for_each(streams):
    here = Disk(HOST, streams.log, {"p/b@new": "cannot create snapshot 'p/b@new': out of space"})
    peer = Recorder(PEER_HOST, streams.log)
    works = [work(peer, *sync_steps(fs), name=fs) for fs in ("p/a", "p/b", "p/c")]
    carry_out(here, *works)
    assert [type(found.error) for found in works] == [type(None), errors.PoolFull, type(None)]
    assert here.snapshots == {"p/a@new", "p/c@new"}


@pytest.mark.acceptance(24)
@pytest.mark.parametrize("features", [MODERN, OLD], ids=["modern", "old"])
def test_case_24_what_was_done_before_a_shared_step_failed_is_not_done_twice(streams, features):
    """One command a pool, or one a snapshot with an old zfs: the first may have been through."""
    here = Disk(HOST, streams.log, {"p2/b@new": "cannot create snapshot 'p2/b@new': out of space"})
    peer = Recorder(PEER_HOST, streams.log)
    works = [work(peer, *sync_steps(fs), name=fs, features=features) for fs in ("p1/a", "p2/b")]
    carry_out(here, *works)
    assert [type(found.error) for found in works] == [type(None), errors.PoolFull]


def test_an_optional_step_that_fails_is_a_warning(streams):
    here = Disk(HOST, streams.log, {"p/a@1": "cannot destroy snapshot p/a@1: it's being held."}, ["p/a@1", "p/a@2"])
    (done,) = carry_out(here, work(None, Destroy(HERE, "p/a", "", optional=True, shorts=("1", "2"))))
    assert done.error is None
    assert here.snapshots == {"p/a@1"}
    (warning,) = done.warnings
    assert "p/a@1" in warning
    assert "held" in warning


def test_the_parts_of_an_optional_step_that_were_done_are_reported(streams):
    """Otherwise a run that destroyed a snapshot would say that it changed nothing."""
    here = Disk(HOST, streams.log, {"p/a@1": "cannot destroy snapshot p/a@1: it's being held."}, ["p/a@1", "p/a@2"])
    (done,) = carry_out(here, work(None, Destroy(HERE, "p/a", "", optional=True, shorts=("1", "2"))))
    assert [step.shorts for step in done.done] == [("2",)]


def test_an_optional_step_of_one_does_not_make_warnings_for_others(streams):
    held = {"p/b@old": "cannot destroy snapshot p/b@old: it's being held."}
    here = Disk(HOST, streams.log, held, ["p/a@old", "p/b@old", "p/c@old"])
    works = [work(None, Destroy(HERE, fs, "", optional=True, shorts=("old",)), name=fs) for fs in ("p/a", "p/b", "p/c")]
    carry_out(here, *works)
    assert here.snapshots == {"p/b@old"}
    assert [len(found.warnings) for found in works] == [0, 1, 0]
    assert [len(found.done) for found in works] == [1, 0, 1]


def test_a_plan_goes_on_after_an_optional_step(hosts, streams):
    here, dummy = hosts
    here.failing["destroy"] = "cannot destroy: dataset is busy"
    steps = [
        Destroy(HERE, "p/a", "", optional=True, shorts=("1",)),
        SetProperties(HERE, "p/a", "", values=(("x", "1"),)),
    ]
    (done,) = carry_out(here, work(None, *steps))
    assert done.done == steps[1:]
    assert done.error is None


def test_a_peer_that_went_away_ends_all_plans_with_it(hosts, streams):
    here, peer = hosts
    peer.failing["set"] = errors.Unreachable("is gone", host=PEER_HOST)
    works = [work(peer, *sync_steps(fs), name=fs) for fs in ("p/a", "p/b")]
    carry_out(here, *works)
    assert all(isinstance(found.error, errors.Unreachable) for found in works)
    assert all([step.action for step in found.done] == ["snapshot", "send"] for found in works)


def test_a_bug_is_not_swallowed(hosts, streams):
    here, peer = hosts
    streams.failing["p/a@new"] = KeyError("bug")
    with pytest.raises(KeyError):
        carry_out(here, work(peer, *sync_steps("p/a")))
