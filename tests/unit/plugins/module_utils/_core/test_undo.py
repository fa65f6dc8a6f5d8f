# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking back: what a plan that ends early undoes, and what it must leave as it is."""

from __future__ import annotations

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors, execute
from ansible_collections.zfsops.zrep.plugins.module_utils._core.execute import Executor
from ansible_collections.zfsops.zrep.plugins.module_utils._core.freezing import Mount, Remount
from ansible_collections.zfsops.zrep.plugins.module_utils._core.moving import plan_catch_up, plan_swap
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE, PEER
from ansible_collections.zfsops.zrep.plugins.module_utils._core.steps import (
    Mark,
    RenameSnapshot,
    Restore,
    Rollback,
    SetProperties,
    TakeSnapshot,
)
from ansible_collections.zfsops.zrep.plugins.module_utils._core.streams import Send
from ansible_collections.zfsops.zrep.plugins.module_utils._core.swapping import MoveGoal

from .builders import FS, HOST, MODERN, NOW, OLD, PEER_HOST, SETTINGS, later, master, replica, seen_at, sent
from .recorder import Recorder, Streams, carry_out, work

DENIED = "cannot set property: permission denied"
IN_DOUBT = [errors.Unreachable("is gone", host=PEER_HOST), errors.LinkLost("broke", host=PEER_HOST)]

THAW = Restore(HERE, "p/a", "", lasting=True, values=(("readonly", None),))
FORGET = Restore(HERE, "p/a", "", lasting=True, values=(("src", "a"),))
UNDECIDE = Restore(PEER, "q/a", "", lasting=True, values=(("master", None),))

FREEZE = SetProperties(HERE, "p/a", "", undo=THAW, values=(("readonly", "on"),))
TAKE = TakeSnapshot(HERE, "p/a@new", "", undo=RenameSnapshot(HERE, "p/a@new", "", new_short="new_unsent"))
SEND = Send(HERE, "p/a@new", "", base="p/a@old", destination="q/a")
MARK = Mark(HERE, "p/a@new", "", sent=5)
RECORD = SetProperties(HERE, "p/a", "", undo=FORGET, values=(("src", "b"),))
DECIDE = SetProperties(PEER, "q/a", "", undo=UNDECIDE, decisive=True, values=(("master", "yes"),))
MOVE = (FREEZE, TAKE, SEND, MARK, RECORD, DECIDE, Mount(PEER, "q/a", ""))

THAWED = (HOST, "zfs", "inherit", "readonly", "p/a")
RENAMED = (HOST, "zfs", "rename", "p/a@new", "p/a@new_unsent")
FORGOTTEN = (HOST, "zfs", "set", "src=a", "p/a")
UNDECIDED = (PEER_HOST, "zfs", "inherit", "master", "q/a")


@pytest.fixture
def streams(monkeypatch):
    found = Streams()
    monkeypatch.setattr(execute, "run_stream", found.run)
    monkeypatch.setattr(execute, "BUSY_PAUSE_SECONDS", 0)
    return found


@pytest.fixture
def hosts(streams):
    return Recorder(HOST, streams.log), Recorder(PEER_HOST, streams.log)


def run_until(hosts, streams, words, said, steps=MOVE, **more):
    """Carry out steps of which one fails; returns the work, and what was done after the failure."""
    here, peer = hosts
    if words == "stream":
        streams.failing["p/a@new"] = said if isinstance(said, BaseException) else errors.Diverged(said)
    else:
        here.failing[words] = peer.failing[words] = said
    found = work(peer, *steps, **more)
    carry_out(here, found)
    assert found.error is not None
    return found, after(words, streams.log)


def after(words, log):
    """What was done after a command with these words."""
    failed = next(number for number, entry in enumerate(log) if words in " ".join(entry))
    return log[failed + 1 :]


# What fails for sure


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("snapshot", [THAWED]),
        ("stream", [RENAMED, THAWED]),
        ("sent=5", [THAWED]),
        ("src=b", [FORGOTTEN, THAWED]),
        ("master=yes", [UNDECIDED, FORGOTTEN, THAWED]),
    ],
)
def test_the_last_begun_is_the_first_taken_back(hosts, streams, words, expected):
    """Of what only prepared for the data nothing, once that has arrived; what must not stay goes back all the same."""
    done, rest = run_until(hosts, streams, words, DENIED)
    assert rest == expected
    assert done.error.left.startswith("what was begun was taken back: ")
    assert "restore readonly of p/a" in done.error.left
    assert [step.action for step in done.done[-len(expected) :]] == [
        "rename" if entry == RENAMED else "restore" for entry in expected
    ]


def test_past_what_decides_nothing_is_taken_back(hosts, streams):
    done, rest = run_until(hosts, streams, "mount", "cannot mount: directory is not empty")
    assert rest == []
    assert done.error.left == "what decides is done; the same call again does what is left to do"


@pytest.mark.parametrize("said", ["cannot rollback: snapshot has dependent clones", "cannot rollback: out of space"])
def test_a_rollback_that_is_refused_leaves_the_filesystem_writable(hosts, streams, said):
    steps = (FREEZE, Rollback(HERE, "p/a@old", "", decisive=True, loses=("new",)), RECORD)
    dummy, rest = run_until(hosts, streams, "rollback", said, steps)
    assert rest == [THAWED]


def test_after_a_rollback_the_filesystem_stays_frozen(hosts, streams):
    steps = (FREEZE, Rollback(HERE, "p/a@old", "", decisive=True, loses=("new",)), RECORD)
    dummy, rest = run_until(hosts, streams, "src=b", DENIED, steps)
    assert rest == [FORGOTTEN]


# What may have happened all the same


@pytest.mark.parametrize("error", IN_DOUBT)
@pytest.mark.parametrize(
    ("words", "expected"),
    [("snapshot", [THAWED]), ("stream", [THAWED]), ("sent=5", [THAWED]), ("src=b", [FORGOTTEN, THAWED])],
)
def test_in_doubt_only_what_must_not_stay_is_taken_back(hosts, streams, error, words, expected):
    dummy, rest = run_until(hosts, streams, words, error)
    assert rest == expected


@pytest.mark.parametrize("error", IN_DOUBT)
def test_if_it_is_not_known_what_was_decided_nothing_is_taken_back(hosts, streams, error):
    done, rest = run_until(hosts, streams, "master=yes", error)
    assert rest == []
    assert done.error is error


def test_what_can_be_done_here_is_done_though_the_peer_is_gone(hosts, streams):
    here, peer = hosts
    gone = errors.Unreachable("is gone", host=PEER_HOST)
    theirs = Restore(PEER, "q/a", "", lasting=True, values=(("y", None),))
    steps = (
        FREEZE,
        SetProperties(PEER, "q/a", "", undo=theirs, values=(("y", "1"),)),
        SetProperties(PEER, "q/a", "", undo=UNDECIDE, values=(("z", "1"),)),
    )
    peer.failing.update({"z=1": gone, "inherit": gone})
    (done,) = carry_out(here, work(peer, *steps))
    assert streams.log[-1] == THAWED
    assert [entry[2] for entry in streams.log if entry[0] == PEER_HOST] == ["set", "set", "inherit"]
    assert "could not restore y of q/a (is gone)" in done.error.left
    assert "could not restore master of q/a (is gone)" in done.error.left


# Told to stop


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("snapshot", [THAWED]),
        ("stream", [THAWED]),
        ("sent=5", [THAWED]),
        ("src=b", [FORGOTTEN, THAWED]),
        ("master=yes", []),
        ("mount", []),
    ],
)
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_who_is_told_to_stop_takes_back_what_must_not_stay(hosts, streams, kind, words, expected):
    with pytest.raises(kind):
        run_until(hosts, streams, words, kind())
    assert after(words, streams.log) == expected


# What an earlier plan has begun


@pytest.mark.parametrize(
    ("words", "expected"), [("src=b", [FORGOTTEN, THAWED]), ("master=yes", [UNDECIDED, FORGOTTEN, THAWED])]
)
def test_what_the_plan_before_has_begun_is_taken_back_last(hosts, streams, words, expected):
    here, peer = hosts
    found = work(peer, RECORD, DECIDE, begun=(THAW,))
    here.failing[words] = peer.failing[words] = DENIED
    carry_out(here, found)
    assert streams.log[-len(expected) :] == expected


def test_a_plan_that_went_well_can_be_taken_back_for_what_was_found_after_it(hosts, streams):
    here, peer = hosts
    (done,) = carry_out(here, work(peer, *MOVE[:4]))
    assert done.undo == [THAW]
    Executor(here, 1).fail(done, errors.InUse("was written to"))
    assert streams.log[-1] == THAWED
    assert isinstance(done.error, errors.InUse)
    assert "taken back" in done.error.left


def test_a_plan_after_its_decision_has_nothing_to_take_back(hosts, streams):
    (done,) = carry_out(hosts[0], work(hosts[1], *MOVE[:6], begun=(THAW,)))
    assert done.undo == []


# Patience


class Busy(Recorder):
    """Is busy for the first times that it is told something."""

    def __init__(self, host, log, words, times):
        super().__init__(host, log, {words: "cannot unmount '/p/a': pool or dataset is busy"})
        self.words, self.times = words, times

    def run(self, argv):
        if self.words in " ".join(argv):
            self.times -= 1
            if self.times < 0:
                self.failing.clear()
        return super().run(argv)


REMOUNT = Remount(HERE, "p/a", "")


def told(streams, words):
    """How often a host was told something."""
    return sum(words in " ".join(entry) for entry in streams.log)


def test_what_is_busy_for_a_moment_is_tried_again(streams):
    here = Busy(HOST, streams.log, "zfs unmount", REMOUNT.patience)
    (done,) = carry_out(here, work(None, FREEZE, REMOUNT, features=OLD))
    assert done.error is None
    assert told(streams, "zfs unmount") == 1 + REMOUNT.patience


def test_what_stays_busy_is_given_up_and_taken_back(streams):
    here = Busy(HOST, streams.log, "zfs unmount", 100)
    (done,) = carry_out(here, work(None, FREEZE, REMOUNT, features=OLD))
    assert "busy" in done.error.message
    assert told(streams, "zfs unmount") == 1 + REMOUNT.patience
    assert streams.log[-1] == THAWED


@pytest.mark.parametrize(("words", "said"), [("zfs unmount", "permission denied"), ("zfs set", "dataset is busy")])
def test_what_is_refused_or_has_no_patience_is_tried_once(hosts, streams, words, said):
    here, dummy = hosts
    here.failing[words] = f"cannot do it: {said}"
    carry_out(here, work(None, FREEZE, REMOUNT))
    assert told(streams, words) == 1


def test_taking_back_is_patient(streams):
    here = Busy(HOST, streams.log, "inherit", execute.UNDO_ATTEMPTS)
    here.failing["src=b"] = DENIED
    (done,) = carry_out(here, work(None, FREEZE, RECORD))
    assert streams.log[-1] == THAWED
    assert "could not" not in done.error.left


# A real move


def swapped(features):
    seen = seen_at(HOST, master(*sent(0)), replica(*sent(0)), features)
    first = plan_catch_up(seen, MoveGoal("replica", NOW), SETTINGS)
    begun = [step.undo for step in first.steps if step.undo is not None and step.undo.lasting]
    return plan_swap(later(seen, first.after), MoveGoal("replica", NOW), begun)


@pytest.mark.parametrize("features", [MODERN, OLD], ids=["modern", "old"])
@pytest.mark.parametrize(
    ("host", "refused"),
    [
        (HOST, "zrep:src-fs="),
        (HOST, "zrep:dest-host="),
        (HOST, "inherit zrep:master"),
        (PEER_HOST, "inherit readonly"),
        (PEER_HOST, "zrep:master=yes"),
    ],
)
def test_a_swap_that_is_refused_leaves_production_as_it_was(hosts, streams, features, host, refused):
    here, peer = hosts
    (here if host == HOST else peer).failing[refused] = "cannot do it: permission denied"
    plan = swapped(features)
    found = work(peer, *plan.steps, begun=plan.begun, features=features)
    carry_out(here, found)
    assert isinstance(found.error, errors.Denied)
    assert streams.log[-1] == (HOST, "zfs", "inherit", "readonly", FS)
    demoted = (HOST, "zfs", "inherit", "zrep:master", FS) in streams.log
    assert ((HOST, "zfs", "set", "zrep:master=yes", FS) in streams.log) == demoted
