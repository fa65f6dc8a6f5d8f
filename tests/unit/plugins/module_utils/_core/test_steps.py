# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps: what each runs, and the state that each leads to."""

from __future__ import annotations

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import plan, steps, streams
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE, PEER, State

from .builders import FS, MODERN, OLD, PEER_FS, dataset, guid_of, marked, master, own, replica, sent, shorts

THERE = PEER


def test_take_a_snapshot():
    step = steps.TakeSnapshot(HERE, f"{FS}@new", "why")
    other = steps.TakeSnapshot(HERE, "pool1/b@new", "why")
    assert step.commands((other,), MODERN) == [("zfs", "snapshot", f"{FS}@new", "pool1/b@new")]
    after = step.apply(State(master(own(0), written=9), None)).here
    assert shorts(after) == [own(0), "new"]
    assert after.written == 0
    assert after.snapshots[1].guid not in (after.snapshots[0].guid, 0)
    assert step.group == other.group


def test_set_and_inherit():
    step = steps.SetProperties(HERE, FS, "why", values=(("a", "1"), ("b", "2")))
    assert step.commands((), MODERN) == [("zfs", "set", "a=1", "b=2", FS)]
    assert len(step.commands((), OLD)) == 2
    state = step.apply(State(master(), replica()))
    assert state.here.local("a") == "1"
    assert state.there.local("a") is None
    back = steps.Inherit(HERE, FS, "why", properties=("a",))
    assert back.commands((), MODERN) == [("zfs", "inherit", "a", FS)]
    assert back.apply(state).here.value("a") is None
    assert back.apply(state).here.local("b") == "2"


def test_mark_and_unmark():
    step = steps.Mark(THERE, f"{PEER_FS}@{own(1)}", "why", tag="zrep", sent=77)
    assert step.commands((), MODERN) == [("zfs", "set", "zrep:sent=77", f"{PEER_FS}@{own(1)}")]
    state = step.apply(State(None, replica(own(0), own(1))))
    assert [found.sent for found in state.there.snapshots] == [None, 77]
    back = steps.Unmark(THERE, PEER_FS, "why", tag="zrep", shorts=(own(1),))
    assert back.commands((), MODERN) == [("zfs", "inherit", "zrep:sent", f"{PEER_FS}@{own(1)}")]
    assert marked(back.apply(state).there) == []


def test_destroy_and_its_parts():
    step = steps.Destroy(HERE, FS, "why", shorts=(own(0), own(1)))
    assert step.commands((), MODERN) == [("zfs", "destroy", f"{FS}@{own(0)},{own(1)}")]
    assert shorts(step.apply(State(master(own(0), "daily", own(1)), None)).here) == ["daily"]
    assert [part.shorts for part in step.split()] == [(own(0),), (own(1),)]


def test_rename_a_snapshot():
    step = steps.RenameSnapshot(HERE, f"{FS}@a", "why", new_short="b")
    assert step.commands((), MODERN) == [("zfs", "rename", f"{FS}@a", f"{FS}@b")]
    after = step.apply(State(master("a"), None)).here
    assert after.snapshots[0].name == f"{FS}@b"
    assert after.snapshots[0].guid == guid_of("a")


def test_move_aside_and_back():
    step = steps.MoveAside(THERE, PEER_FS, "why", new_name="pool2/old")
    assert step.commands((), MODERN) == [("zfs", "rename", PEER_FS, "pool2/old")]
    assert step.apply(State(master(), replica())) == State(master(), None)
    back = steps.MoveBack(THERE, PEER_FS, "why", old_name="pool2/old")
    assert back.commands((), MODERN) == [("zfs", "rename", "pool2/old", PEER_FS)]


def test_rollback():
    step = steps.Rollback(THERE, f"{PEER_FS}@{own(0)}", "why", loses=(own(1),))
    assert step.commands((), MODERN) == [("zfs", "rollback", "-r", f"{PEER_FS}@{own(0)}")]
    assert shorts(step.apply(State(None, replica(own(0), own(1)))).there) == [own(0)]
    assert own(1) in step.describe()


@pytest.mark.parametrize(
    ("intermediates", "arrived"),
    [(True, [own(0), "daily", own(1)]), (False, [own(0), own(1)])],
)
def test_an_incremental_send(intermediates, arrived):
    step = streams.Send(
        HERE,
        f"{FS}@{own(1)}",
        "why",
        base=f"{FS}@{own(0)}",
        destination=PEER_FS,
        intermediates=intermediates,
        options=("-c",),
    )
    sending, receiving = step.commands((), MODERN)
    flag = "-I" if intermediates else "-i"
    assert sending == ("zfs", "send", "-c", flag, f"{FS}@{own(0)}", f"{FS}@{own(1)}")
    assert receiving == ("zfs", "receive", "-u", PEER_FS)
    after = step.apply(State(master(*sent(0), "daily", own(1)), replica(*sent(0)))).there
    assert shorts(after) == arrived
    assert after.snapshots[-1].guid == guid_of(own(1))
    assert marked(after) == [own(0)]


def test_a_full_send():
    step = streams.Send(
        HERE,
        f"{FS}@{own(0)}",
        "why",
        destination=PEER_FS,
        with_properties=True,
        exclude=("mountpoint",),
        set_there=(("readonly", "on"),),
    )
    sending, receiving = step.commands((), MODERN)
    assert sending == ("zfs", "send", "-p", f"{FS}@{own(0)}")
    assert receiving == ("zfs", "receive", "-u", "-x", "mountpoint", "-o", "readonly=on", PEER_FS)
    after = step.apply(State(master("daily", own(0)), None)).there
    assert (after.name, after.value("readonly"), shorts(after)) == (PEER_FS, "on", [own(0)])


def test_groups_keep_apart_what_may_not_share_a_command():
    def mark(number, where=HERE, sent=1):
        return steps.Mark(where, f"p@{number}", "why", tag="zrep", sent=sent)

    assert mark(1).group == mark(2).group
    assert mark(1).group != mark(1, where=THERE).group
    assert mark(1).group != mark(1, sent=2).group
    assert steps.Rollback(HERE, "p@1", "why").group != steps.Rollback(HERE, "p@2", "why").group


def test_prediction_is_the_steps_one_after_another():
    taken = (
        steps.TakeSnapshot(HERE, f"{FS}@{own(1)}", "why"),
        streams.Send(HERE, f"{FS}@{own(1)}", "why", base=f"{FS}@{own(0)}", destination=PEER_FS),
        steps.Mark(HERE, f"{FS}@{own(1)}", "why", sent=5),
    )
    before = State(master(*sent(0)), replica(*sent(0)))
    after = plan.Plan(FS, before, taken).after
    assert marked(after.here) == [own(0), own(1)]
    assert shorts(after.there) == [own(0), own(1)]
    assert before.here == master(*sent(0))


def test_a_step_on_nothing_changes_nothing():
    empty = State(None, None)
    for step in (
        steps.TakeSnapshot(HERE, "p@1", "why"),
        steps.SetProperties(HERE, "p", "why", values=(("a", "1"),)),
        steps.Mark(HERE, "p@1", "why"),
        steps.Destroy(HERE, "p", "why", shorts=("1",)),
        streams.Send(HERE, "p@1", "why", destination="q"),
    ):
        assert step.apply(empty) == empty


def test_every_step_can_say_what_it_does():
    kinds = [
        kind
        for kind in vars(steps).values()
        if isinstance(kind, type) and issubclass(kind, steps.Step) and kind is not steps.Step
    ]
    for kind in kinds:
        step = kind(HERE, f"{FS}@{own(0)}", "why")
        assert FS in step.describe()
        assert kind.action
    assert len({kind.action for kind in kinds}) == len(kinds)


def test_properties_of_a_dataset_are_not_shared_between_states():
    before = State(dataset(FS), None)
    steps.SetProperties(HERE, FS, "why", values=(("a", "1"),)).apply(before)
    assert before.here.value("a") is None
