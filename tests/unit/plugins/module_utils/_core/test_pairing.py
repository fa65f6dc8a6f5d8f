# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs: made, adopted, mended, pointed elsewhere, taken apart."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import LOCAL, Endpoint
from ansible_collections.zfsops.zrep.plugins.module_utils._core.pairing import PairGoal, plan_absent, plan_present
from ansible_collections.zfsops.zrep.plugins.module_utils._core.plan import predict
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE, State
from ansible_collections.zfsops.zrep.plugins.module_utils._core.steps import (
    MoveAside,
    SetProperties,
    TakeSnapshot,
)
from ansible_collections.zfsops.zrep.plugins.module_utils._core.streams import Send
from ansible_collections.zfsops.zrep.plugins.module_utils._core.syncing import SyncGoal, plan_sync

from .builders import (
    FS,
    HOST,
    MODERN,
    NOW,
    OLD,
    PEER,
    PEER_FS,
    PEER_HOST,
    ROOM,
    SETTINGS,
    SIZE,
    actions,
    dataset,
    guid_of,
    later,
    marked,
    master,
    observed,
    observed_from_replica,
    own,
    registration,
    replica,
    sent,
    shorts,
    side,
)

THERE = "peer"
GOAL = PairGoal(PEER, NOW)
FEATURES = pytest.mark.parametrize("features", [MODERN, OLD], ids=["modern", "old"])


def goal(**options):
    return dataclasses.replace(GOAL, **options)


def present(seen, **options):
    return plan_present(seen, goal(**options), SETTINGS)


def is_pair(state):
    """Whether a state is a complete pair with this host as its master, in sync and both sides marked alike."""
    here, there = side(state.here), side(state.there, PEER_HOST)
    last = here.last_sent
    return (
        here.is_master
        and here.is_source
        and not there.is_master
        and there.registered
        and there.readonly
        and (here.destination, there.source) == (PEER, Endpoint(HOST, FS))
        and there.destination == PEER
        and here.savecount > 0
        and there.savecount > 0
        and last is not None
        and there.snapshots[-1].guid == last.guid
        and there.last_sent is not None
        and there.last_sent.sent == last.sent
    )


def after_undo(plan, done):
    """The state when the step after ``done`` others failed and what was begun was taken back."""
    state = predict(plan.before, plan.steps[:done])
    undo = []
    for step in plan.steps[:done]:
        undo = [] if isinstance(step, Send) else undo + ([step.undo] if step.undo else [])
    return predict(state, reversed(undo))


def our_properties(found, tag="zrep"):
    return {
        name: value
        for name, value in found.properties.items()
        if name.startswith(tag + ":") and value.value != "-" and value.source == LOCAL
    }


# Making


@pytest.mark.acceptance(1, 2)
@FEATURES
def test_case_01_and_02_a_new_pair(features):
    plan = present(observed(dataset(FS), features=features))
    assert is_pair(plan.after)
    here, there = plan.after.here, plan.after.there
    expected = {"src-fs": FS, "src-host": HOST, "dest-fs": PEER_FS, "dest-host": PEER_HOST, "savecount": "5"}
    for name, value in expected.items():
        assert here.local("zrep:" + name) == value
        assert there.value("zrep:" + name) == value
    assert here.local("zrep:master") == "yes"
    assert there.local("zrep:master") is None
    assert there.value("readonly") == "on"
    assert shorts(here) == shorts(there) == [own(0)]
    assert here.snapshots[0].sent == NOW


@pytest.mark.parametrize(("features_here", "features_there"), [(OLD, MODERN), (MODERN, OLD)], ids=["old", "modern"])
def test_a_new_pair_of_an_old_and_a_modern_zfs(features_here, features_there):
    plan = present(observed(dataset(FS), features_here=features_here, features_there=features_there))
    assert is_pair(plan.after)
    assert plan.after.there.value("readonly") == "on"
    assert plan.after.there.value("zrep:dest-host") == PEER_HOST


@FEATURES
def test_master_comes_last(features):
    plan = present(observed(dataset(FS), features=features))
    assert plan.steps[-1].values == (("zrep:master", "yes"),)
    assert not any("zrep:master" in dict(getattr(step, "values", ())) for step in plan.steps[:-1])


def test_with_a_modern_zfs_the_replica_is_one_from_its_first_moment():
    plan = present(observed(dataset(FS)))
    assert actions(plan) == [
        (HERE, "set"),
        (HERE, "snapshot"),
        (HERE, "send"),
        (THERE, "mark_sent"),
        (HERE, "mark_sent"),
        (HERE, "set"),
    ]
    sending, receiving = plan.steps[2].commands((), MODERN)
    assert sending == ("zfs", "send", "-p", f"{FS}@{own(0)}")
    assert "readonly=on" in receiving
    assert "zrep:dest-fs=" + PEER_FS in receiving
    assert receiving[3:6] == ("-s", "-x", "mountpoint")
    assert "-F" not in receiving


def test_with_an_old_zfs_the_replica_is_set_up_afterwards():
    plan = present(observed(dataset(FS), features=OLD))
    assert actions(plan)[2:4] == [(HERE, "send"), (THERE, "set")]
    sending, receiving = plan.steps[2].commands((), OLD)
    assert sending == ("zfs", "send", f"{FS}@{own(0)}")
    assert receiving == ("zfs", "receive", "-u", PEER_FS)


@pytest.mark.acceptance(31)
def test_case_31_a_volume_has_no_mountpoint_to_leave_out():
    plan = present(observed(dataset(FS, kind="volume")))
    dummy, receiving = plan.steps[2].commands((), MODERN)
    assert "-x" not in receiving


@pytest.mark.acceptance(9)
@FEATURES
def test_case_09_savecounts_at_creation(features):
    plan = present(observed(dataset(FS), features=features), savecount=9)
    assert plan.after.here.value("zrep:savecount") == plan.after.there.value("zrep:savecount") == "9"
    plan = present(observed(dataset(FS), features=features), savecount=9, peer_savecount=2)
    assert (side(plan.after.here).savecount, side(plan.after.there).savecount) == (9, 2)
    plan = present(observed(dataset(FS), features=features), default_savecount=3)
    assert (side(plan.after.here).savecount, side(plan.after.there).savecount) == (3, 3)


@pytest.mark.acceptance(10)
def test_case_10_the_identity_is_recorded_as_the_source():
    plan = present(dataclasses.replace(observed(dataset(FS)), identity="x"))
    assert plan.after.here.local("zrep:src-host") == "x"


@pytest.mark.acceptance(11)
def test_case_11_a_tag_of_its_own():
    plan = present(observed(dataset(FS), tag="zrep-dc"))
    assert plan.after.here.local("zrep-dc:master") == "yes"
    assert shorts(plan.after.there) == ["zrep-dc_000000"]
    assert our_properties(plan.after.here, "zrep") == {}


@FEATURES
def test_properties_of_the_new_replica(features):
    values = {"compression": "lz4"}, {"quota": "1G"}
    plan = present(observed(dataset(FS), features=features), create_properties=values[0], peer_properties=values[1])
    assert plan.after.there.value("compression") == "lz4"
    assert plan.after.there.value("quota") == "1G"


def test_serials_go_on_where_snapshots_of_the_tag_are():
    plan = present(observed(dataset(FS, own(7), "daily")))
    assert shorts(plan.after.there) == [own(8)]


@FEATURES
@pytest.mark.parametrize("options", [{}, {"savecount": 3, "peer_savecount": 4, "peer_properties": {"quota": "1G"}}])
def test_made_twice_changes_nothing(features, options):
    seen = observed(dataset(FS), features=features)
    again = present(later(seen, present(seen, **options).after), **options)
    assert again.steps == ()


def test_a_filesystem_that_is_not_there():
    with pytest.raises(errors.NotFound):
        present(observed(None))


def test_no_filesystem_is_its_own_replica():
    with pytest.raises(errors.BadInput):
        present(observed(dataset(FS)), peer=Endpoint(HOST, FS))


@pytest.mark.acceptance(57)
@pytest.mark.parametrize("there", [dataset(PEER_FS), dataset(PEER_FS, "daily"), replica(*sent(0))])
def test_case_57_an_existing_destination_is_refused(there):
    with pytest.raises(errors.Exists) as caught:
        present(observed(dataset(FS), there))
    assert caught.value.left == "nothing was changed"
    assert (caught.value.host, caught.value.dataset) == (PEER_HOST, PEER_FS)


@pytest.mark.acceptance(58)
def test_case_58_force_moves_the_destination_aside_whole():
    plan = present(observed(dataset(FS), dataset(PEER_FS, "daily")), force=True)
    (aside,) = [step for step in plan.steps if isinstance(step, MoveAside)]
    assert (aside.side, aside.target) == (THERE, PEER_FS)
    assert str(NOW) in aside.new_name
    assert not any(step.action in ("destroy", "rollback") for step in plan.steps)
    assert aside.undo.commands((), MODERN) == [("zfs", "rename", aside.new_name, PEER_FS)]
    assert is_pair(plan.after)


@pytest.mark.parametrize("force", [False, True])
def test_a_master_is_never_a_destination(force):
    with pytest.raises(errors.Exists):
        present(observed(dataset(FS), replica(properties={"zrep:master": "yes"})), force=force)


def test_a_pool_is_not_moved_aside():
    there = dataset("pool2")
    with pytest.raises(errors.Exists):
        present(observed(dataset(FS), there), peer=Endpoint(PEER_HOST, "pool2"), force=True)


def test_a_parent_that_is_not_there():
    seen = dataclasses.replace(observed(dataset(FS)), there_parent=None)
    with pytest.raises(errors.NotFound) as caught:
        present(seen)
    assert caught.value.dataset == "pool2"


def test_no_room_for_the_first_copy():
    for room, fits in ((SIZE - 1, False), (SIZE, True), (ROOM, True)):
        seen = observed(dataset(FS), parent=dataset("pool2", properties={"available": str(room)}))
        if fits:
            assert is_pair(present(seen).after)
        else:
            with pytest.raises(errors.PoolFull):
                present(seen)


# Half-born


@FEATURES
@pytest.mark.parametrize("there", [None, dataset(PEER_FS, "daily")], ids=["free", "moved aside"])
def test_a_creation_that_was_killed_goes_on_from_every_step(features, there):
    seen = observed(dataset(FS, "daily-here"), there, features=features)
    options = {"force": there is not None, "peer_properties": {"quota": "1G"}}
    plan = present(seen, **options)
    for done in range(len(plan.steps) + 1):
        state = predict(plan.before, plan.steps[:done])
        again = present(later(seen, state), **options)
        assert is_pair(again.after), f"after step {done}"
        assert again.after.there.value("quota") == "1G"
        # The first copy is not sent twice, and no second first snapshot is made.
        assert len(again.after.there.snapshots) == 1
        assert sum(isinstance(step, Send) for step in (*plan.steps[:done], *again.steps)) == 1


@FEATURES
def test_properties_of_creation_reach_a_replica_whose_creation_was_killed(features):
    seen = observed(dataset(FS), features=features)
    options = {"create_properties": {"compression": "lz4"}}
    plan = present(seen, **options)
    for done in range(len(plan.steps) + 1):
        again = present(later(seen, predict(plan.before, plan.steps[:done])), **options)
        assert again.after.there.value("compression") == "lz4", f"after step {done}"


@FEATURES
def test_a_creation_that_fails_leaves_nothing_behind(features):
    seen = observed(dataset(FS), dataset(PEER_FS, "daily"), features=features)
    plan = present(seen, force=True)
    sending = next(number for number, step in enumerate(plan.steps) if isinstance(step, Send))
    for done in range(sending + 1):
        state = after_undo(plan, done)
        assert our_properties(state.here) == {}
        assert state.here.snapshots == seen.here.snapshots


def test_what_the_script_left_half_done_is_completed():
    """State "transfer done" of its initialisation: all is there but the mark and the master flag."""
    here = master(own(0), properties={"zrep:master": None})
    plan = present(observed(here, replica(own(0))))
    assert actions(plan) == [(THERE, "mark_sent"), (HERE, "mark_sent"), (HERE, "set")]
    assert is_pair(plan.after)


def test_a_half_born_pair_is_told_from_a_foreign_destination():
    here = master(own(0), properties={"zrep:master": None})
    with pytest.raises(errors.Exists):
        present(observed(here, dataset(PEER_FS, "daily")))


# Adopting


@FEATURES
def test_adopt_the_newest(features):
    here, there = dataset(FS, "daily-1", "daily-2", "daily-3"), dataset(PEER_FS, "daily-1", "daily-2")
    plan = present(observed(here, there, features=features), adopt="newest")
    assert is_pair(plan.after)
    assert plan.after.there.value("zrep:savecount") == "5"
    (send,) = [step for step in plan.steps if isinstance(step, Send)]
    assert send.base == f"{FS}@daily-2"


def test_adopt_by_name():
    here, there = dataset(FS, "daily-1", "daily-2"), dataset(PEER_FS, "daily-1", "daily-2")
    assert is_pair(present(observed(here, there), adopt="daily-2").after)


@pytest.mark.parametrize("name", ["daily-1", "daily-3", "nosuch"])
def test_adopt_what_is_not_the_newest_common(name):
    here, there = dataset(FS, "daily-1", "daily-2", "daily-3"), dataset(PEER_FS, "daily-1", "daily-2")
    with pytest.raises(errors.NoCommonSnapshot) as caught:
        present(observed(here, there), adopt=name)
    assert "daily-2" in caught.value.message + caught.value.hint
    assert caught.value.left == "nothing was changed"


def test_adopt_nothing():
    with pytest.raises(errors.NotFound):
        present(observed(dataset(FS, "daily")), adopt="newest")
    with pytest.raises(errors.NoCommonSnapshot):
        present(observed(dataset(FS, "daily"), dataset(PEER_FS, "daily=another")), adopt="newest")


def test_adopt_a_master():
    there = replica(*sent(0), properties={"zrep:master": "yes"})
    with pytest.raises(errors.SplitBrain):
        present(observed(dataset(FS, own(0)), there), adopt="newest")


def test_adopt_snapshots_of_ours_without_sending():
    """So it is after a pair was taken apart: the snapshots are on both sides, without marks."""
    plan = present(observed(dataset(FS, own(0), own(1)), dataset(PEER_FS, own(0), own(1))), adopt="newest")
    assert not any(isinstance(step, Send) for step in plan.steps)
    assert is_pair(plan.after)
    assert marked(plan.after.here) == [own(1)]


def test_adopt_what_diverged_needs_force():
    here, there = dataset(FS, "daily-1"), dataset(PEER_FS, "daily-1", "mine+9")
    with pytest.raises(errors.Diverged):
        present(observed(here, there), adopt="newest")
    plan = present(observed(here, there), adopt="newest", force=True)
    assert (THERE, "rollback") in actions(plan)
    assert is_pair(plan.after)


def test_adopting_twice_changes_nothing():
    seen = observed(dataset(FS, "daily"), dataset(PEER_FS, "daily"))
    plan = present(seen, adopt="newest")
    assert present(later(seen, plan.after), adopt="newest").steps == ()


@pytest.mark.parametrize("adopt", ["newest", "daily"])
def test_an_adoption_that_was_killed_goes_on_from_every_step(adopt):
    seen = observed(dataset(FS, "daily"), dataset(PEER_FS, "daily"))
    plan = present(seen, adopt=adopt)
    for done in range(len(plan.steps) + 1):
        state = predict(plan.before, plan.steps[:done])
        again = present(later(seen, state), adopt=adopt)
        assert is_pair(again.after), f"after step {done}"


# Mending


def test_a_sound_pair_needs_nothing():
    assert present(observed(master(*sent(0)), replica(*sent(0)))).steps == ()
    assert present(observed(master(*sent(0)), replica(*sent(0))), savecount=5).steps == ()


@pytest.mark.parametrize(
    "broken",
    [
        {"readonly": ("off", "default")},
        {"zrep:dest-host": "another-name"},
        {"zrep:savecount": None},
        {"zrep:src-host": None},
        dict.fromkeys(registration()),
    ],
)
def test_a_replica_is_mended(broken):
    plan = present(observed(master(*sent(0)), replica(*sent(0), properties=broken)))
    assert all(isinstance(step, SetProperties) and step.side == THERE for step in plan.steps)
    assert plan.steps
    assert is_pair(plan.after)


def test_savecounts_are_changed_on_each_side():
    plan = present(observed(master(*sent(0)), replica(*sent(0))), savecount=7, peer_savecount=2)
    assert (side(plan.after.here).savecount, side(plan.after.there).savecount) == (7, 2)
    assert actions(plan) == [(HERE, "set"), (THERE, "set")]


@pytest.mark.acceptance(60)
def test_case_60_savecounts_are_kept_if_nobody_asks():
    plan = present(observed(master(*sent(0), savecount="7"), replica(*sent(0), savecount="3")))
    assert plan.steps == ()


def test_sizes_are_compared_as_numbers():
    there = replica(*sent(0), properties={"quota": "1073741824"})
    assert present(observed(master(*sent(0)), there), peer_properties={"quota": "1G"}).steps == ()
    assert present(observed(master(*sent(0)), there), peer_properties={"quota": "1048576k"}).steps == ()
    assert present(observed(master(*sent(0)), there), peer_properties={"quota": "2G"}).steps != ()


def test_another_spelling_of_the_peer_is_no_change():
    for spelling in ("hostb.example.org", "root@hostb", "192.0.2.2"):
        seen = observed(master(*sent(0)), replica(*sent(0)))
        assert present(seen, peer=Endpoint(spelling, PEER_FS)).steps == ()


def test_from_the_replica_the_same_pair_is_there():
    seen = observed_from_replica(replica(*sent(0)), master(*sent(0)))
    assert plan_present(seen, PairGoal(Endpoint(HOST, FS), NOW), SETTINGS).steps == ()
    plan = plan_present(seen, PairGoal(Endpoint(HOST, FS), NOW, savecount=2, peer_savecount=7), SETTINGS)
    assert (side(plan.after.here).savecount, side(plan.after.there).savecount) == (2, 7)


def test_a_lost_replica_is_made_anew():
    seen = observed(master(*sent(0, 1)))
    plan = present(seen)
    assert is_pair(plan.after)
    assert shorts(plan.after.there) == [own(2)]
    assert present(later(seen, plan.after)).steps == ()


@FEATURES
def test_a_lost_replica_that_is_made_anew_from_every_step(features):
    """What is made may lack its marks; the next sync completes them."""
    seen = observed(master(*sent(0, 1)), features=features)
    plan = present(seen)
    for done in range(len(plan.steps) + 1):
        again = present(later(seen, predict(plan.before, plan.steps[:done])))
        synced = plan_sync(later(seen, again.after), SyncGoal(NOW + 60), SETTINGS)
        assert is_pair(synced.after), f"after step {done}"


def test_no_master_on_either_side():
    here = replica(*sent(0))
    there = master(*sent(0), properties={"zrep:master": None, "zrep:src-fs": PEER_FS, "zrep:src-host": PEER_HOST})
    with pytest.raises(errors.WrongRole):
        plan_present(observed_from_replica(here, there), PairGoal(Endpoint(HOST, FS), NOW), SETTINGS)


def test_two_masters():
    with pytest.raises(errors.SplitBrain):
        present(observed(master(*sent(0)), replica(*sent(0), properties={"zrep:master": "yes"})))


# Another peer


def other(*words):
    """A dataset elsewhere, to which the replica was copied with all its properties."""
    found = replica(*words)
    return dataclasses.replace(found, name="pool9/copy")


ELSEWHERE = Endpoint("hostc", "pool9/copy")


def seen_elsewhere(here, there):
    return observed(here, there, peer_host=ELSEWHERE.host, peer_filesystem=ELSEWHERE.filesystem)


def test_a_pair_with_somebody_else_is_refused():
    with pytest.raises(errors.PairedElsewhere) as caught:
        present(seen_elsewhere(master(*sent(0)), None), peer=ELSEWHERE)
    assert caught.value.left == "nothing was changed"


@pytest.mark.parametrize("there", [dataset(ELSEWHERE.filesystem, own(0)), other(*sent(0))], ids=["bare", "registered"])
def test_a_replica_that_moved_is_adopted(there):
    seen = seen_elsewhere(master(*sent(0)), there)
    plan = present(seen, peer=ELSEWHERE, adopt="newest")
    here, there = side(plan.after.here), side(plan.after.there, "hostc")
    assert here.destination == there.destination == ELSEWHERE
    assert there.source == Endpoint(HOST, FS)
    assert here.last_sent.guid == there.snapshots[-1].guid == guid_of(own(0))
    assert present(later(seen, plan.after), peer=ELSEWHERE, adopt="newest").steps == ()


@pytest.mark.parametrize("there", [dataset(ELSEWHERE.filesystem, own(0)), other(*sent(0))], ids=["bare", "registered"])
def test_pointing_a_pair_elsewhere_goes_on_from_every_step(there):
    seen = seen_elsewhere(master(*sent(0)), there)
    options = {"peer": ELSEWHERE, "adopt": "newest"}
    plan = present(seen, **options)
    for done in range(len(plan.steps) + 1):
        again = present(later(seen, predict(plan.before, plan.steps[:done])), **options)
        found = side(again.after.there, "hostc")
        assert (found.source, found.destination) == (Endpoint(HOST, FS), ELSEWHERE), f"after step {done}"
        assert found.readonly


@pytest.mark.parametrize(
    ("here", "there", "options"),
    [
        (master(*sent(0)), other(*sent(0)), {"peer": ELSEWHERE, "adopt": "newest"}),
        (master(*sent(0)), None, {"savecount": 7}),
    ],
    ids=["pointed elsewhere", "made anew"],
)
def test_what_failed_before_the_stream_leaves_a_pair_as_it_was(here, there, options):
    seen = seen_elsewhere(here, there) if there else observed(here)
    plan = present(seen, **options)
    kinds = [isinstance(step, Send) for step in plan.steps]
    for done in range(kinds.index(True) + 1 if any(kinds) else len(plan.steps)):
        state = after_undo(plan, done)
        assert our_properties(state.here) == our_properties(here), f"step {done + 1} failed"


def test_the_replica_of_somebody_else_can_be_adopted_as_the_refusal_says():
    seen = observed(master(*sent(0)), replica(*sent(0), properties={"zrep:src-host": "hostc"}))
    with pytest.raises(errors.PairedElsewhere) as caught:
        present(seen)
    assert "adopt=newest" in caught.value.hint
    assert is_pair(present(seen, adopt="newest").after)


# Taking apart


@pytest.mark.acceptance(61)
def test_case_61_a_pair_is_taken_apart_and_its_data_stay():
    seen = observed(
        master(*sent(0), "daily", properties={"other:master": "yes"}),
        replica(*sent(0), properties={"other:dest-fs": ("x", "received")}),
    )
    plan = plan_absent(seen, False)
    for before, after in ((seen.here, plan.after.here), (seen.there, plan.after.there)):
        assert our_properties(after) == {}
        assert side(after).role == "none"
        assert shorts(after) == shorts(before)
        assert marked(after) == []
        assert after.value("readonly") == before.value("readonly")
    assert plan.after.here.local("other:master") == "yes"
    assert plan.after.there.value("other:dest-fs") == "x"
    assert not any(step.action == "destroy" for step in plan.steps)


@pytest.mark.acceptance(61)
def test_case_61_with_force_only_snapshots_of_the_tag_go():
    words = [*sent(0, 1), own(2) + "_unsent", "daily", "zrep_abcdef-mine", "zrep_dc_000001"]
    plan = plan_absent(observed(master(*words), replica(*words)), True)
    for after in (plan.after.here, plan.after.there):
        assert shorts(after) == ["daily", "zrep_abcdef-mine", "zrep_dc_000001"]


@pytest.mark.parametrize("force", [False, True])
def test_taken_apart_twice_changes_nothing(force):
    seen = observed(master(*sent(0)), replica(*sent(0)))
    assert plan_absent(later(seen, plan_absent(seen, force).after), force).steps == ()


def test_nothing_there_to_take_apart():
    assert plan_absent(observed(None), False).steps == ()
    assert plan_absent(observed(dataset(FS), dataset(PEER_FS)), True).steps == ()


@pytest.mark.acceptance(61)
def test_case_61_the_other_side_is_left_alone_unless_it_was_seen():
    plan = plan_absent(observed(master(*sent(0)), None, asked=False), True)
    assert {step.side for step in plan.steps} == {HERE}


def test_a_peer_that_belongs_to_another_pair_is_left_alone():
    there = replica(*sent(0), properties={"zrep:src-fs": "pool7/x", "zrep:dest-fs": "pool7/y"})
    plan = plan_absent(observed(master(*sent(0)), there), True)
    assert {step.side for step in plan.steps} == {HERE}


def test_a_received_property_goes_as_well():
    plan = plan_absent(observed(dataset(FS), replica(*sent(0))), False)
    assert side(plan.after.there).role == "none"


def test_marks_that_are_nonsense_go_as_well():
    here = master(own(0))
    bad = dataclasses.replace(here.snapshots[0], bad_mark="x")
    plan = plan_absent(observed(dataclasses.replace(here, snapshots=(bad,))), False)
    assert any(step.action == "unmark_sent" for step in plan.steps)


@pytest.mark.parametrize("force", [False, True])
def test_taking_apart_goes_on_from_every_step(force):
    """The peer can only be found while this side still names it, so what names it goes last."""
    seen = observed(master(*sent(0)), replica(*sent(0)))
    plan = plan_absent(seen, force)
    for done in range(len(plan.steps)):
        state = predict(plan.before, plan.steps[:done])
        assert side(state.here).registered or not side(state.there).registered, f"after step {done}"


def test_steps_before_the_stream_know_how_to_be_taken_back():
    for seen, options in (
        (observed(dataset(FS)), {}),
        (observed(dataset(FS), dataset(PEER_FS)), {"force": True}),
        (observed(dataset(FS, "daily"), dataset(PEER_FS, "daily")), {"adopt": "newest"}),
    ):
        for step in present(seen, **options).steps:
            if isinstance(step, Send):
                break
            if isinstance(step, (TakeSnapshot, MoveAside)) or step.side == HERE:
                assert step.undo is not None


def test_a_plan_shows_the_pair_before_it():
    seen = observed(dataset(FS))
    assert present(seen).before == State(seen.here, seen.there)
