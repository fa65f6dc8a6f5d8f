# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clone of a drill and the record that stays: what is made, what is never destroyed, what is remembered."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors, report
from ansible_collections.zfsops.zrep.plugins.module_utils._core.drilling import (
    RESULTS,
    DrillRecord,
    check_mountpoint,
    clone_name,
    last_drill,
    parse_record,
    plan_cloned,
    plan_drilled,
)
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import Property

from .builders import (
    FS,
    MODERN,
    NOW,
    OLD,
    PEER_FS,
    PEER_HOST,
    TAG,
    actions,
    dataset,
    master,
    observed,
    observed_from_replica,
    own,
    replica,
    sent,
    shorts,
    side,
)

HERE = "here"
CLONE = f"{PEER_FS}_drill"
POOL = dataset("pool2", properties={"mountpoint": "/pool2"})


def alone(found):
    """What the host of the replica sees of it alone."""
    return dataclasses.replace(observed_from_replica(found), asked=False)


def drill_clone(short="zrep_000001", *words, **properties):
    """A clone as a drill makes it."""
    values = {
        "origin": (f"{PEER_FS}@{short}", "none"),
        "zrep:drill-of": PEER_FS,
        "mountpoint": (f"/{CLONE}", "default"),
        "canmount": "noauto",
        "mounted": ("yes", "none"),
    }
    values.update({"zrep:drill-of" if name == "drill_of" else name: value for name, value in properties.items()})
    return dataset(CLONE, *words, properties=values)


def begin(seen, short=None, mountpoint=None, found=None, above=POOL):
    return plan_cloned(seen, CLONE, short, mountpoint, found, above)


def end(seen, result=("passed", 7), short=None, found=None, now=NOW):
    return plan_drilled(seen, CLONE, short, result, found, now)


def commands(plan, features=MODERN):
    return [" ".join(command) for step in plan.steps for command in step.commands((), features)]


# Making the clone


def test_the_newest_snapshot_that_was_sent_is_cloned_and_mounted():
    plan, clone = begin(alone(replica(*sent(0, 1), own(2))))
    assert commands(plan) == [
        f"zfs clone -o zrep:drill-of={PEER_FS} -o readonly=off -o canmount=off {PEER_FS}@{own(1)} {CLONE}",
        f"zfs set canmount=noauto {CLONE}",
        f"zfs mount {CLONE}",
    ]
    assert (clone.name, clone.snapshot.short, clone.mountpoint) == (CLONE, own(1), f"/{CLONE}")
    assert plan.after == plan.before


def test_without_a_mark_it_is_the_newest_of_the_pair():
    assert begin(alone(replica(own(0), own(1), "daily")))[1].snapshot.short == own(1)


def test_a_named_snapshot_may_be_any():
    assert begin(alone(replica(*sent(0), "daily")), short="daily")[1].snapshot.short == "daily"
    with pytest.raises(errors.NotFound):
        begin(alone(replica(*sent(0))), short="daily")
    with pytest.raises(errors.NotFound):
        begin(alone(replica("daily")))


def test_a_master_is_drilled_like_a_replica():
    plan, clone = plan_cloned(observed(master(*sent(0)), asked=False), f"{FS}_drill", None, None, None, POOL)
    assert actions(plan) == [(HERE, "clone"), (HERE, "mount")]
    assert clone.snapshot.name == f"{FS}@{own(0)}"


def test_a_clone_that_cannot_be_mounted_is_taken_back_by_itself():
    make, mount = begin(alone(replica(*sent(0))))[0].steps
    assert make.undo.commands((), MODERN) == [("zfs", "destroy", CLONE)]
    assert not make.repeatable  # A dataset that somebody else made under the name must never be taken back.
    assert mount.undo is None


def test_a_mountpoint_that_is_asked_for():
    plan, clone = begin(alone(replica(*sent(0))), mountpoint="/mnt/drill")
    assert "-o mountpoint=/mnt/drill " in commands(plan)[0]
    assert clone.mountpoint == "/mnt/drill"


@pytest.mark.parametrize(("above", "place"), [("/", f"/{CLONE}"), ("/srv", f"/srv/{CLONE}")])
def test_a_mountpoint_that_is_inherited(above, place):
    parent = dataset("pool2", properties={"mountpoint": above})
    assert begin(alone(replica(*sent(0))), above=parent)[1].mountpoint == place.replace("pool2/", "")


@pytest.mark.parametrize("mountpoint", ["none", "legacy", None])
def test_where_none_is_inherited_it_has_to_be_said(mountpoint):
    parent = dataset("pool2", properties={"mountpoint": mountpoint})
    with pytest.raises(errors.BadInput) as caught:
        begin(alone(replica(*sent(0))), above=parent)
    assert "mountpoint" in caught.value.hint
    assert begin(alone(replica(*sent(0))), mountpoint="/mnt", above=parent)[0].steps


def test_the_dataset_above_has_to_exist():
    with pytest.raises(errors.NotFound) as caught:
        begin(alone(replica(*sent(0))), above=None)
    assert caught.value.dataset == "pool2"


def test_a_volume_is_mounted_nowhere():
    seen = alone(replica(*sent(0), kind="volume"))
    plan, clone = begin(seen)
    assert commands(plan) == [f"zfs clone -o zrep:drill-of={PEER_FS} -o readonly=off {PEER_FS}@{own(0)} {CLONE}"]
    assert clone.mountpoint is None
    made = dataclasses.replace(drill_clone(own(0)), type="volume")
    assert begin(seen, found=made)[0].steps == ()
    with pytest.raises(errors.BadInput):
        begin(seen, mountpoint="/mnt")


def test_what_is_there_already_is_not_made_again():
    seen = alone(replica(*sent(0, 1)))
    plan, clone = begin(seen, found=drill_clone())
    assert plan.steps == ()
    assert (clone.snapshot.short, clone.mountpoint) == (own(1), f"/{CLONE}")
    assert begin(seen, found=drill_clone(), above=None)[0].steps == ()


@pytest.mark.parametrize("left", [{"canmount": "off", "mounted": ("no", "none")}, {"mounted": ("no", "none")}])
def test_what_a_run_that_died_left_is_completed(left):
    plan, _clone = begin(alone(replica(*sent(0, 1))), found=drill_clone(**left))
    assert actions(plan) == [(HERE, "mount")]


def test_an_old_zfs_takes_the_same_commands():
    found = begin(alone(replica(*sent(0))))[0]
    assert commands(found, OLD) == commands(found, MODERN)


def test_a_mountpoint_is_changed_in_place():
    seen = alone(replica(*sent(0, 1)))
    plan, clone = begin(seen, mountpoint="/mnt/other", found=drill_clone())
    assert commands(plan) == [f"zfs set mountpoint=/mnt/other {CLONE}"]
    assert clone.mountpoint == "/mnt/other"
    assert begin(seen, mountpoint="/mnt/other", found=drill_clone(mountpoint="/mnt/other"))[0].steps == ()


def test_a_clone_of_another_snapshot_is_in_the_way():
    with pytest.raises(errors.Exists) as caught:
        begin(alone(replica(*sent(0, 1))), found=drill_clone(own(0)))
    assert own(0) in str(caught.value)
    assert begin(alone(replica(*sent(0, 1))), short=own(0), found=drill_clone(own(0)))[0].steps == ()


@pytest.mark.parametrize("name", [FS, f"{FS}/x", "pool9/x", "x@y", "-x", f"{FS}/../x"])
def test_names_that_no_clone_may_have(name):
    with pytest.raises(errors.BadInput):
        clone_name(FS, name)


def test_the_name_of_the_clone():
    assert clone_name(FS, None) == f"{FS}_drill"
    assert clone_name(FS, "pool1/other/deep") == "pool1/other/deep"
    with pytest.raises(errors.BadInput):
        clone_name("pool1", None)


@pytest.mark.parametrize("path", ["", "/", "//", "mnt", "-o", "/mnt\n", "/mnt\tx"])
def test_paths_that_are_no_mountpoint(path):
    with pytest.raises(errors.BadInput):
        check_mountpoint(path)


# Whose a dataset is

FOREIGN = {
    "no clone": {"origin": ("-", "none")},
    "clone of another filesystem": {"origin": ("pool2/other@zrep_000001", "none")},
    "clone of a child": {"origin": (f"{PEER_FS}/child@zrep_000001", "none")},
    "origin is no snapshot": {"origin": (PEER_FS, "none")},
    "without the mark": {"drill_of": None},
    "a drill with another": {"drill_of": "pool2/other"},
    "inherits the mark": {"drill_of": (PEER_FS, "inherited")},
    "received the mark": {"drill_of": (PEER_FS, "received")},
}


@pytest.mark.parametrize("properties", FOREIGN.values(), ids=FOREIGN)
def test_what_is_not_the_drills_own_is_neither_taken_for_it_nor_destroyed(properties):
    seen = alone(replica(*sent(0, 1)))
    found = drill_clone(**properties)
    for plan in (
        lambda: begin(seen, found=found),
        lambda: end(seen, found=found),
        lambda: end(seen, None, found=found),
    ):
        with pytest.raises(errors.Exists) as caught:
            plan()
        assert "no clone of a drill" in caught.value.message
        assert caught.value.left == "nothing was changed"


@given(
    origin=st.sampled_from(["-", f"{PEER_FS}@{own(1)}", f"{PEER_FS}x@{own(1)}", f"pool2@{own(1)}", PEER_FS]),
    mark=st.sampled_from(["-", PEER_FS, PEER_FS + "x", "pool2"]),
    source=st.sampled_from(["local", "inherited", "received", "default", "none"]),
    words=st.sampled_from([(), ("found",)]),
    result=st.sampled_from([None, ("passed", 1)]),
)
def test_only_a_marked_clone_of_this_filesystem_is_ever_destroyed(origin, mark, source, words, result):
    found = drill_clone(own(1), *words, origin=(origin, "none"), drill_of=(mark, source))
    ours = origin == f"{PEER_FS}@{own(1)}" and (mark, source) == (PEER_FS, "local") and not words
    try:
        plan, _record = end(alone(replica(*sent(0, 1))), result, found=found)
    except errors.Exists:
        assert not ours
    else:
        assert ours
        assert commands(plan)[0] == f"zfs destroy {CLONE}"


# Ending the drill


def test_the_clone_goes_first_and_then_the_record_is_written():
    seen = alone(replica(*sent(0, 1)))
    plan, record = end(seen, ("failed", 12), found=drill_clone(own(0)))
    assert commands(plan) == [f"zfs destroy {CLONE}", f"zfs set zrep:drill={NOW} failed 12 {own(0)} {PEER_FS}"]
    assert record == DrillRecord(NOW, "failed", 12, own(0))
    assert last_drill(side(plan.after.here, PEER_HOST)) == record
    assert shorts(plan.after.here) == shorts(seen.here)


def test_busy_for_a_moment_is_no_reason_to_give_up():
    assert end(alone(replica(*sent(0, 1))), found=drill_clone())[0].steps[0].patience > 5


def test_without_a_result_nothing_is_recorded():
    plan, record = end(alone(replica(*sent(0, 1))), None, found=drill_clone())
    assert (actions(plan), record) == ([(HERE, "destroy_clone")], None)
    assert end(alone(replica(*sent(0, 1))), None)[0].steps == ()


def test_a_clone_that_is_gone_needs_only_the_record():
    seen = alone(replica(*sent(0, 1)))
    assert end(seen)[1] == DrillRecord(NOW, "passed", 7, own(1))
    assert end(seen, short="gone-too")[1].snapshot == "gone-too"


def test_the_same_record_is_not_written_again():
    seen = alone(replica(*sent(0, 1), properties={"zrep:drill": f"{NOW - 9} passed 7 {own(0)}"}))
    assert end(seen)[0].steps == ()
    assert end(seen, short=own(0))[0].steps == ()
    for other in ({"result": ("failed", 7)}, {"result": ("passed", 8)}, {"short": own(1)}):
        assert actions(end(seen, **other)[0]) == [(HERE, "set")]
    assert actions(end(seen, found=drill_clone())[0]) == [(HERE, "destroy_clone"), (HERE, "set")]


def test_every_drill_that_was_cut_off_is_ended_by_the_same_call():
    before = replica(*sent(0, 1))
    whole, record = end(alone(before), short=own(1), found=drill_clone())
    for done in range(len(whole.steps) + 1):
        state = whole.before
        for step in itertools.islice(whole.steps, done):
            state = step.apply(state)
        rest, _record = end(alone(state.here), short=own(1), found=None if done else drill_clone(), now=NOW + 60)
        assert len(rest.steps) == len(whole.steps) - done
        last = last_drill(side(rest.after.here, PEER_HOST))
        assert last._replace(time=0) == record._replace(time=0)


def test_a_clone_that_holds_something_is_left():
    with pytest.raises(errors.Exists) as caught:
        end(alone(replica(*sent(0, 1))), found=drill_clone(own(1), "found-something"))
    assert "found-something" in str(caught.value)


def test_the_wrong_snapshot_is_told():
    with pytest.raises(errors.Exists):
        end(alone(replica(*sent(0, 1))), short=own(0), found=drill_clone(own(1)))


def test_only_a_pair_has_drills():
    for seen in (alone(dataset(PEER_FS, *sent(0))), alone(None)):
        with pytest.raises((errors.NotPaired, errors.NotFound)):
            begin(seen)
        with pytest.raises((errors.NotPaired, errors.NotFound)):
            end(seen)


# The record


@given(
    time=st.integers(0, 10**11 - 1),
    result=st.sampled_from(RESULTS),
    seconds=st.integers(0, 10**9),
    short=st.sampled_from([own(0), "daily", "a.b:c-d"]),
)
def test_a_record_is_read_as_it_was_written(time, result, seconds, short):
    record = DrillRecord(time, result, seconds, short)
    assert parse_record(str(record)) == record


@given(st.text(max_size=40) | st.none())
def test_anything_may_stand_in_the_property(text):
    found = parse_record(text)
    assert found is None or str(found).split(" ")[1] in RESULTS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "passed",
        "1 passed 2",
        "1 passed 2 snap more",
        "x passed 2 snap",
        "1 passed x snap",
        "1 maybe 2 snap",
        "1 passed 2 -snap",
        "1 passed 2 a/b",
        "-1 passed 2 snap",
        "9" * 15 + " passed 2 snap",
        "1 passed " + "9" * 15 + " snap",
        "1  passed 2",
    ],
)
def test_nonsense_is_no_record(text):
    assert parse_record(text) is None


def test_a_record_that_came_from_the_other_side_is_not_ours():
    text = f"{NOW} passed 7 {own(0)}"
    assert last_drill(side(replica(properties={"zrep:drill": text}))) is not None
    for source in ("received", "inherited"):
        assert last_drill(side(replica(properties={"zrep:drill": (text, source)}))) is None


def test_facts_tell_the_last_drill():
    found = replica(*sent(0), properties={"zrep:drill": f"{NOW} failed 7 {own(0)}"})
    assert report.side_facts(side(found), NOW)["drill"] == {
        "time": NOW,
        "time_iso": "2023-11-14T22:13:20Z",
        "result": "failed",
        "seconds": 7,
        "snapshot": own(0),
    }
    assert report.side_facts(side(replica()), NOW)["drill"] is None


def test_the_difference_shows_a_record_without_its_time():
    seen = alone(replica(*sent(0)))
    plan, _record = end(seen)
    (difference,) = report.difference(seen, plan.before, plan.after)
    assert difference["after"][f"{TAG}:drill"] == f"passed 7 {own(0)}"
    strange = dataclasses.replace(seen.here, properties={**seen.here.properties, "zrep:drill": Property("x", "local")})
    shown = report.difference(seen, plan.before, dataclasses.replace(plan.before, here=strange))
    assert shown[0]["after"]["zrep:drill"] == "x"
