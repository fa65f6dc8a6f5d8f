# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receives that were interrupted: completed where that is right, given up where they would only be in the way."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import alone, errors, execute, moving, pulling
from ansible_collections.zfsops.zrep.plugins.module_utils._core.creating import PairGoal
from ansible_collections.zfsops.zrep.plugins.module_utils._core.pairing import plan_absent, plan_present
from ansible_collections.zfsops.zrep.plugins.module_utils._core.partial import Abandon, Resume
from ansible_collections.zfsops.zrep.plugins.module_utils._core.shell import Completed
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE, PEER
from ansible_collections.zfsops.zrep.plugins.module_utils._core.streams import Send
from ansible_collections.zfsops.zrep.plugins.module_utils._core.swapping import MoveGoal
from ansible_collections.zfsops.zrep.plugins.module_utils._core.syncing import SyncGoal, plan_rewind, plan_sync

from . import builders
from .builders import (
    FS,
    HOST,
    MODERN,
    NOW,
    OLD,
    PEER_FS,
    PEER_HOST,
    SETTINGS,
    actions,
    dataset,
    later,
    marked,
    master,
    observed,
    own,
    replica,
    seen_at,
    sent,
    shorts,
    time_of,
)
from .recorder import Recorder, Streams, carry_out, work
from .tokens import text, token

GOAL = SyncGoal(NOW)
RESUMED = [(HERE, "resume"), (PEER, "mark_sent"), (HERE, "mark_sent")]
TRANSFER = [(HERE, "snapshot"), (HERE, "send"), (PEER, "mark_sent"), (HERE, "mark_sent")]
NEXT = token(own(1), own(0))


def sync(here, there, settings=SETTINGS, features=MODERN, **options):
    return plan_sync(observed(here, there, features=features), dataclasses.replace(GOAL, **options), settings)


def only(plan, kind):
    (found,) = [step for step in plan.steps if isinstance(step, kind)]
    return found


def streams_of(plan):
    return [step for step in plan.steps if isinstance(step, Send)]


# Going on


@pytest.mark.acceptance(30)
def test_case_30_an_interrupted_receive_is_completed_before_anything_new_is_sent():
    plan = sync(master(*sent(0), own(1)), replica(*sent(0), properties=NEXT))
    assert actions(plan) == RESUMED + TRANSFER
    rest, new = streams_of(plan)
    assert (rest.target, rest.base, rest.destination) == (f"{FS}@{own(1)}", f"{FS}@{own(0)}", PEER_FS)
    assert rest.commands((), MODERN) == [
        ("zfs", "send", "-t", text(own(1), own(0))),
        ("zfs", "receive", "-u", "-s", PEER_FS),
    ]
    assert (new.target, new.base) == (f"{FS}@{own(2)}", f"{FS}@{own(1)}")
    assert marked(plan.after.here) == marked(plan.after.there) == [own(0), own(1), own(2)]
    assert plan.after.there.value("receive_resume_token") is None


@pytest.mark.acceptance(30)
def test_case_30_only_what_the_replica_holds_is_marked():
    plan = sync(master(*sent(0), own(1), own(2)), replica(*sent(0), properties=NEXT), send_only=True)
    first = [step for step in plan.steps[:3] if step.action == "mark_sent"]
    assert [mark.target for mark in first] == [f"{PEER_FS}@{own(1)}", f"{FS}@{own(1)}"]
    assert {mark.sent for mark in first} == {time_of(own(1))}


def test_one_that_was_interrupted_among_several_goes_on_where_the_replica_ends():
    here = master(*sent(0), own(1), own(2), own(3))
    plan = sync(here, replica(*sent(0), own(1), properties=token(own(2), own(1))), send_only=True)
    rest, more = streams_of(plan)
    assert (rest.target, more.base, more.target) == (f"{FS}@{own(2)}", f"{FS}@{own(2)}", f"{FS}@{own(3)}")
    assert marked(plan.after.there) == [own(0), own(1), own(2), own(3)]


def test_a_snapshot_of_another_tool_is_completed_and_not_marked():
    plan = sync(master(*sent(0), "daily", own(1)), replica(*sent(0), properties=token("daily", own(0))))
    assert actions(plan) == RESUMED[:1] + TRANSFER
    assert "daily" in shorts(plan.after.there)
    assert "daily" not in marked(plan.after.there)


def test_one_that_was_renamed_as_unsent_gets_its_name_back():
    here = master(*sent(0), f"{own(1)}_unsent={own(1)}")
    plan = sync(here, replica(*sent(0), properties=NEXT))
    assert actions(plan) == [(HERE, "rename"), *RESUMED, *TRANSFER]
    assert marked(plan.after.here) == marked(plan.after.there) == [own(0), own(1), own(2)]


def test_force_goes_back_to_the_base_and_on_from_there():
    plan = sync(master(*sent(0), own(1)), replica(*sent(0), "mine+9", properties=NEXT), force=True)
    assert actions(plan) == [(PEER, "rollback"), *RESUMED, *TRANSFER]
    assert shorts(plan.after.there) == [own(0), own(1), own(2)]


def test_nothing_written_since_only_moves_the_marks_of_what_was_completed():
    plan = sync(master(*sent(0), own(1), written=0), replica(*sent(0), properties=NEXT), only_if_changed=True)
    assert actions(plan) == RESUMED + TRANSFER[2:]


def test_flags_of_a_stream_that_goes_on():
    settings = dataclasses.replace(SETTINGS, resume_options=("-c",), send_options=("-L",))
    plan = sync(master(*sent(0), own(1)), replica(*sent(0), properties=NEXT), settings)
    assert only(plan, Resume).commands((), MODERN)[0] == ("zfs", "send", "-c", "-t", text(own(1), own(0)))


@pytest.mark.parametrize(
    ("resume", "features", "kept"), [(True, MODERN, True), (False, MODERN, False), (True, OLD, False)]
)
def test_receivers_keep_what_arrives_where_both_can(resume, features, kept):
    plan = sync(master(*sent(0)), replica(*sent(0)), dataclasses.replace(SETTINGS, resume=resume), features)
    assert ("-s" in only(plan, Send).commands((), features)[1]) is kept


# Giving up

RAW = dataclasses.replace(SETTINGS, send_options=("-w",))
STUCK = {
    "what was sent is gone": (master(*sent(0)), NEXT, SETTINGS, "does not have the snapshot"),
    "a token of nonsense": (
        master(*sent(0), own(1)),
        {"receive_resume_token": ("1-a-b-$(reboot)", "none")},
        SETTINGS,
        "cannot be understood",
    ),
    "another base": (master(*sent(0), own(1), own(2)), token(own(2), own(1)), SETTINGS, "does not start where"),
    "a full stream": (master(*sent(0), own(1)), token(own(1)), SETTINGS, "does not start where"),
    "it is there already": (master(*sent(0), own(1)), token(own(0), own(0)), SETTINGS, "is older than"),
    "switched off": (master(*sent(0), own(1)), NEXT, dataclasses.replace(SETTINGS, resume=False), "resume=false"),
    "another tool's": (
        master(*sent(0), "daily"),
        token("daily", own(0)),
        dataclasses.replace(SETTINGS, intermediates=False),
        "no snapshot of this pair",
    ),
    "not raw": (master(*sent(0), own(1)), NEXT, RAW, "not raw"),
    "its name is taken": (
        master(*sent(0), f"{own(1)}_unsent=x", own(1)),
        token("x", own(0)),
        SETTINGS,
        "has a name that is given up",
    ),
}


@pytest.mark.parametrize("case", STUCK.values(), ids=STUCK.keys())
def test_what_cannot_be_completed_is_given_up_with_a_reason(case):
    here, left, settings, why = case
    plan = sync(here, replica(*sent(0), properties=left), settings)
    assert actions(plan)[:1] == [(PEER, "abandon")]
    assert not any(isinstance(step, Resume) for step in plan.steps)
    given_up = only(plan, Abandon)
    assert given_up.commands((), MODERN) == [("zfs", "receive", "-A", PEER_FS)]
    assert why in given_up.warning(plan.before)
    assert f"{PEER_HOST}:{PEER_FS}" in given_up.warning(plan.before)
    assert plan.after.there.snapshots[-1].sent == NOW


def test_a_raw_token_is_completed_where_raw_streams_are_asked_for():
    plan = sync(master(*sent(0), own(1)), replica(*sent(0), properties=token(own(1), own(0), raw=True)), RAW)
    assert actions(plan) == RESUMED + TRANSFER


def test_a_sender_that_cannot_go_on_gives_up():
    seen = observed(master(*sent(0), own(1)), replica(*sent(0), properties=NEXT), features_here=OLD)
    plan = plan_sync(seen, GOAL, SETTINGS)
    assert actions(plan) == [(PEER, "abandon"), *TRANSFER]


def test_a_replica_that_goes_back_gives_up():
    seen = observed(master(*sent(0, 1), own(2)), replica(*sent(0, 1), properties=token(own(2), own(1))))
    assert actions(plan_rewind(seen, own(0), False)) == [(HERE, "unmark_sent"), (PEER, "abandon"), (PEER, "rollback")]


# Pulling, moving


def test_a_pull_goes_on():
    seen = seen_at(PEER_HOST, master(*sent(0), own(1)), replica(*sent(0), properties=NEXT))
    plan = pulling.plan_refresh(seen, GOAL, SETTINGS)
    assert actions(plan) == [
        (PEER, "resume"),
        (HERE, "mark_sent"),
        (PEER, "mark_sent"),
        (PEER, "snapshot"),
        (PEER, "send"),
        (HERE, "mark_sent"),
        (PEER, "mark_sent"),
    ]


def test_a_move_sends_the_rest_before_it_freezes():
    seen = seen_at(HOST, master(*sent(0), own(1)), replica(*sent(0), properties=NEXT))
    plan = moving.plan_catch_up(seen, MoveGoal("replica", NOW), SETTINGS)
    assert actions(plan) == [*RESUMED, (HERE, "set"), *TRANSFER]


def test_a_master_that_once_received_gives_that_up():
    seen = seen_at(HOST, master(*sent(0, 1), properties=NEXT), replica(*sent(0, 1)))
    plan = moving.plan_catch_up(seen, MoveGoal("replica", NOW), SETTINGS)
    assert actions(plan)[:2] == [(HERE, "abandon"), (HERE, "set")]


def test_a_replica_that_takes_over_gives_up_last_and_cannot_fail_by_that():
    seen = seen_at(PEER_HOST, master(*sent(0), own(1)), replica(*sent(0), properties=NEXT))
    plan = alone.plan_takeover(seen, MoveGoal("master", NOW))
    assert actions(plan)[-1] == (HERE, "abandon")
    assert plan.steps[-1].optional


# Creating


def present(seen, settings=SETTINGS, **options):
    return plan_present(seen, PairGoal(builders.PEER, NOW, **options), settings)


def begun(words=(), **left):
    """What a first full copy has left that was interrupted, on both sides."""
    here = dataset(FS, *(words or (own(0),)), properties=builders.registration())
    copy = replica(properties=left or token(own(0)))
    return observed(here, copy)


def test_a_first_copy_goes_on():
    plan = present(begun())
    assert actions(plan) == [*RESUMED, (HERE, "set")]
    sending, receiving = only(plan, Resume).commands((), MODERN)
    assert sending == ("zfs", "send", "-t", text(own(0)))
    # Some properties only come when all is there.
    assert "-s" in receiving
    assert "readonly=on" in receiving
    assert receiving[4:6] == ("-x", "mountpoint")
    assert shorts(plan.after.there) == [own(0)]
    assert plan.after.here.local("zrep:master") == "yes"


def test_a_first_copy_of_a_pair_that_is_made_again_goes_on():
    seen = begun()
    seen = dataclasses.replace(seen, here=master(*sent(0), own(1)), there=replica(properties=token(own(1))))
    plan = present(seen)
    assert actions(plan)[:1] == [(HERE, "resume")]
    assert shorts(plan.after.there) == [own(1)]


@pytest.mark.parametrize("left", [token("gone"), token(own(0), own(1)), {"receive_resume_token": ("1-x", "none")}])
def test_a_first_copy_of_ours_that_cannot_go_on_begins_again(left):
    plan = present(begun(**left))
    assert actions(plan)[:2] == [(PEER, "abandon"), (HERE, "send")]
    assert only(plan, Abandon).whole
    assert shorts(plan.after.there) == [own(0)]


def test_what_somebody_else_has_begun_is_left_alone():
    seen = dataclasses.replace(begun(), there=dataset(PEER_FS, properties=token("gone")))
    with pytest.raises(errors.Exists) as caught:
        present(seen)
    assert f"zfs receive -A {PEER_FS}" in caught.value.hint
    plan = present(seen, force=True)
    assert actions(plan)[:2] == [(PEER, "move_aside"), (HERE, "send")]


def test_a_sync_of_a_pair_that_is_made_again_names_the_call():
    with pytest.raises(errors.NoCommonSnapshot) as caught:
        sync(master(*sent(0), own(1)), replica(properties=token(own(1))))
    assert "state=present goes on" in caught.value.hint


@pytest.mark.parametrize("word", [own(1), "weekly"])
def test_an_adoption_goes_on(word):
    here = dataset(FS, "daily", word, properties=builders.registration())
    plan = present(observed(here, dataset(PEER_FS, "daily", properties=token(word, "daily"))), adopt="newest")
    assert [step.action for step in streams_of(plan)] == (["resume"] if word == own(1) else ["resume", "send"])
    newest = own(1) if word == own(1) else own(0)
    assert shorts(plan.after.there)[-1] == newest
    assert marked(plan.after.there) == marked(plan.after.here) == [newest]
    assert plan.after.here.local("zrep:master") == "yes"


def test_nothing_is_adopted_into_which_somebody_sends():
    seen = observed(dataset(FS, "daily"), dataset(PEER_FS, "daily", properties=token("later", "daily")))
    with pytest.raises(errors.PartialReceive):
        present(seen, adopt="newest")


def test_a_pair_that_is_taken_apart_leaves_nothing_half():
    seen = observed(master(*sent(0), own(1)), replica(*sent(0), properties=NEXT))
    assert (PEER, "abandon") in actions(plan_absent(seen, False))
    plan = plan_absent(begun(), False)
    assert [step.action for step in plan.steps if step.side == PEER] == ["abandon"]
    assert plan.after.there is None


@pytest.mark.parametrize("seen", [begun(), begun(**token("gone"))])
def test_a_creation_can_be_repeated_wherever_it_was_killed(seen):
    plan = present(seen)
    for done in range(len(plan.steps) + 1):
        state = plan.before
        for step in plan.steps[:done]:
            state = step.apply(state)
        after = present(later(seen, state)).after
        assert after.here.local("zrep:master") == "yes"
        assert shorts(after.there) == [own(0)]
        assert after.there.snapshots[-1].sent == after.here.snapshots[-1].sent


# Carrying out


@pytest.fixture
def streams(monkeypatch):
    found = Streams()
    monkeypatch.setattr(execute, "run_stream", found.run)
    return found


class Receiver(Recorder):
    """Says that it kept what had arrived."""

    def run(self, argv):
        done = super().run(argv)
        return Completed(0, text(own(1), own(0)) + "\t-\n", "") if "receive_resume_token" in argv else done


def steps_of(**options):
    return list(sync(master(*sent(0)), replica(*sent(0)), **options).steps)


def cut(said="cannot receive: checksum mismatch or incomplete stream"):
    return errors.TransferFailed(said, argv=(), status=1, stderr=said)


@pytest.mark.parametrize("receiver", [Receiver, Recorder])
def test_a_snapshot_of_which_something_was_kept_is_not_taken_back(streams, receiver):
    here, peer = Recorder(HOST, streams.log), receiver(PEER_HOST, streams.log)
    streams.failing[f"{FS}@{own(1)}"] = cut()
    (done,) = carry_out(here, work(peer, *steps_of()))
    renamed = ("zfs", "rename") in [entry[1:3] for entry in streams.log]
    assert renamed is (receiver is Recorder)
    assert ("the next run goes on from there" in done.error.left) is (receiver is Receiver)


def test_nobody_is_asked_where_nothing_is_kept(streams):
    here, peer = Recorder(HOST, streams.log), Receiver(PEER_HOST, streams.log)
    streams.failing[f"{FS}@{own(1)}"] = cut()
    carry_out(here, work(peer, *steps_of(settings=dataclasses.replace(SETTINGS, resume=False))))
    assert not any("receive_resume_token" in entry for entry in streams.log)


REFUSED = "cannot receive resume stream: kernel modules must be upgraded to receive this stream."


@pytest.mark.parametrize(
    ("said", "given_up"),
    [
        (REFUSED, True),
        ("cannot resume send: 'p/a@b' used in the initial send no longer exists", True),
        ("cannot receive resume stream: checksum mismatch or incomplete stream", False),
        ("cannot receive resume stream: out of space", False),
    ],
)
def test_what_zfs_itself_refuses_to_complete_blocks_nobody_for_long(streams, said, given_up):
    here, peer = Recorder(HOST, streams.log), Receiver(PEER_HOST, streams.log)
    steps = sync(master(*sent(0), own(1)), replica(*sent(0), properties=NEXT)).steps
    streams.failing[f"{FS}@{own(1)}"] = cut(said)
    (done,) = carry_out(here, work(peer, *steps))
    assert ((PEER_HOST, "zfs", "receive", "-A", PEER_FS) in streams.log) is given_up
    assert bool(done.warnings) is given_up
    assert ("from its start" in done.error.left) is given_up


def test_a_receive_that_is_still_at_work_is_named(streams):
    here, peer = Recorder(HOST, streams.log), Receiver(PEER_HOST, streams.log)
    steps = sync(master(*sent(0), own(1)), replica(*sent(0), properties=NEXT)).steps
    streams.failing[f"{FS}@{own(1)}"] = errors.PartialReceive("contains partially-complete state")
    (done,) = carry_out(here, work(peer, *steps))
    assert "still at work" in done.error.hint
    assert not any("-A" in entry for entry in streams.log)
