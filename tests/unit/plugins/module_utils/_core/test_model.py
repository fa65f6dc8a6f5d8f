# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was observed: roles by source, marks, bases, bytes."""

from __future__ import annotations

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import BadProperty
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import (
    Endpoint,
    Features,
    Property,
    newest_common,
    unsent_bytes,
)

from .builders import (
    FS,
    HOST,
    MODERN,
    OLD,
    PEER,
    PEER_FS,
    PEER_HOST,
    dataset,
    guid_of,
    master,
    observed,
    own,
    replica,
    sent,
    side,
    snapshots,
)


def test_roles():
    assert side(master()).role == "master"
    assert side(replica(), PEER_HOST).role == "replica"
    assert side(dataset(FS)).role == "none"


@pytest.mark.acceptance(7)
@pytest.mark.parametrize("source", ["received", "inherited", "default"])
def test_case_07_only_a_local_master_is_master(source):
    found = side(replica(properties={"zrep:master": ("yes", source)}), PEER_HOST)
    assert not found.is_master
    assert found.role == "replica"


@pytest.mark.parametrize("value", ["no", "YES", "y", "-", ""])
def test_only_yes_is_master(value):
    assert not side(master(properties={"zrep:master": value})).is_master


@pytest.mark.acceptance(8)
def test_case_08_a_child_that_inherits_is_no_pair():
    values = {"zrep:" + name: (value, "inherited") for name, value in (("dest-fs", "x"), ("src-fs", "y"))}
    values["zrep:master"] = ("yes", "inherited")
    child = side(dataset(FS + "/child", properties=values))
    assert not child.registered
    assert not child.is_master
    assert not child.is_source
    assert child.role == "none"


@pytest.mark.acceptance(2)
@pytest.mark.parametrize("source", ["local", "received"])
def test_case_02_a_replica_is_registered_whichever_way_its_properties_came(source):
    found = side(replica(properties={"zrep:dest-fs": (PEER_FS, source)}), PEER_HOST)
    assert found.registered
    assert found.peer == Endpoint(HOST, FS)


@pytest.mark.acceptance(11)
def test_case_11_another_tag_sees_nothing():
    found = side(master(*sent(1)), tag="zrep-dc")
    assert found.role == "none"
    assert found.own_snapshots == ()
    assert side(master("zrep-dc_000001*", tag="zrep-dc"), tag="zrep-dc").role == "master"


def test_peers():
    assert side(master()).peer == PEER
    assert side(replica(), PEER_HOST).peer == Endpoint(HOST, FS)
    unborn = side(master(properties={"zrep:master": None}))
    assert unborn.is_source
    assert unborn.peer == PEER


@pytest.mark.acceptance(10)
def test_case_10_the_source_is_compared_with_the_identity():
    found = master(properties={"zrep:src-host": "x"})
    assert side(found, "x").is_source
    assert not side(found).is_source


@pytest.mark.parametrize("name", ["src-fs", "src-host", "dest-fs", "dest-host"])
@pytest.mark.parametrize("value", ["-x", "a b", "$(id)", "a;b", "a@b@c", "pool/fs@snap\n", "\u00e9"])
def test_nonsense_in_the_configuration_is_found(name, value):
    found = side(master(properties={"zrep:" + name: value}))
    with pytest.raises(BadProperty) as caught:
        found.source, found.destination  # noqa: B018
    assert "zrep:" + name in caught.value.message
    assert (caught.value.host, caught.value.dataset) == (HOST, FS)


@pytest.mark.parametrize("name", ["src-fs", "src-host", "dest-host"])
def test_a_configuration_with_gaps_is_found(name):
    found = side(master(properties={"zrep:" + name: None}))
    with pytest.raises(BadProperty):
        found.source, found.destination  # noqa: B018


@pytest.mark.acceptance(43)
@pytest.mark.parametrize("value", ["0", "", "-", "many", "-3", "1.5", None])
def test_case_43_nonsense_as_savecount_is_found(value):
    with pytest.raises(BadProperty):
        side(master(properties={"zrep:savecount": value})).savecount  # noqa: B018


@pytest.mark.parametrize("source", ["local", "received", "inherited"])
def test_a_savecount_counts_whatever_its_source(source):
    assert side(master(properties={"zrep:savecount": ("9", source)})).savecount == 9


def test_a_long_value_is_not_shown_in_full():
    with pytest.raises(BadProperty) as caught:
        side(master(properties={"zrep:savecount": "x" * 5000})).savecount  # noqa: B018
    assert len(caught.value.message) < 500


def test_the_last_sent_is_the_newest_that_is_marked():
    assert side(master()).last_sent is None
    assert side(master(own(0), own(1))).last_sent is None
    assert side(master(*sent(0, 1), own(2), "daily")).last_sent.short == own(1)


def test_order_is_time_and_not_name():
    found = side(master("zrep_ffffff*", "zrep_1000000*"))
    assert found.last_sent.short == "zrep_1000000"
    assert found.next_short == "zrep_1000001"


@pytest.mark.acceptance(5, 6)
def test_case_05_and_06_the_next_name():
    assert side(master(*sent(9))).next_short == "zrep_00000a"
    assert side(master(*sent(0xB), "zrep_00000c_unsent")).next_short == "zrep_00000d"
    assert side(dataset(FS, "daily")).next_short == "zrep_000000"


def test_marks_that_are_nonsense_are_found():
    found = side(master(*sent(0)))
    found.check_marks()
    bad = snapshots(FS, own(0))[0].__class__(FS, own(1), 5, 200, 0, bad_mark="tomorrow")
    broken = side(master().__class__(FS, "filesystem", 1, found.dataset.properties, (bad,)))
    with pytest.raises(BadProperty) as caught:
        broken.check_marks()
    assert caught.value.dataset == f"{FS}@{own(1)}"
    assert "zfs inherit zrep:sent" in caught.value.hint


def test_own_snapshots_are_those_of_the_tag():
    found = side(master(own(0), "daily", "zrep_abcdef-mine", "zrep_dc_000001", "zrep_000001_unsent"))
    assert [snapshot.short for snapshot in found.own_snapshots] == [own(0), "zrep_000001_unsent"]


def test_the_newest_common_is_found_by_guid():
    here = side(master(own(0), own(1), own(2)))
    there = side(replica(own(0), "renamed=" + own(1), own(2) + "=another"), PEER_HOST)
    common = newest_common(here, there)
    assert (common.here.short, common.there.short) == (own(1), "renamed")


def test_equal_names_are_nothing_in_common():
    assert newest_common(side(master(own(0))), side(replica(own(0) + "=another"), PEER_HOST)) is None


def test_unsent_bytes():
    found = side(master(own(0), own(1) + "+30", own(2) + "+5", written=7))
    assert unsent_bytes(found, found.by_short(own(2))) == 7
    assert unsent_bytes(found, found.by_short(own(0))) == 42
    assert unsent_bytes(found, None) is None


def test_bytes_that_zfs_cannot_tell_are_none_and_not_zero():
    found = side(master(own(0), properties={"written": "-"}))
    assert unsent_bytes(found, found.snapshots[0]) is None


def test_unique_stands_in_for_written():
    found = master(own(0), properties={"written": None, "unique": "12"})
    assert found.written == 12
    assert dataset(FS, properties={"unique": "12"}).written is None


def test_after_and_lookups():
    found = side(master(own(0), own(1), own(2)))
    assert [snapshot.short for snapshot in found.after(found.snapshots[0])] == [own(1), own(2)]
    assert found.by_guid(guid_of(own(1))).short == own(1)
    assert found.by_guid(1) is None
    assert found.by_short("nosuch") is None


def test_values_and_sources():
    found = dataset(FS, properties={"a": ("1", "local"), "b": ("2", "received"), "c": ("-", "none"), "d": "x"})
    assert (found.value("a"), found.value("b"), found.value("c"), found.value("nosuch")) == ("1", "2", None, None)
    assert (found.local("a"), found.local("b")) == ("1", None)
    assert (found.number("a"), found.number("d"), found.number("nosuch")) == (1, None, None)
    assert (found.source("b"), found.source("nosuch")) == ("received", "none")
    assert found.properties["a"] == Property("1", "local")


@pytest.mark.parametrize(
    ("value", "pid"),
    [("123", 123), ("-5", None), ("x", None), (None, None), ("\u00b2", None), ("9" * 5000, None)],
    ids=["number", "negative", "text", "none", "superscript", "5000 digits"],
)
def test_lock_properties(value, pid):
    assert side(master(properties={"zrep:lock-pid": value})).lock_pid == pid


@pytest.mark.parametrize("source", ["received", "inherited"])
def test_a_lock_that_came_with_a_stream_is_none(source):
    values = {"zrep:lock-pid": ("123", source), "zrep:lock-time": ("20260101000000", source)}
    found = side(replica(properties=values), PEER_HOST)
    assert (found.lock_pid, found.lock_time) == (None, None)


def test_features():
    assert MODERN.modern
    assert not OLD.modern
    assert not Features().modern


def test_observed_sides():
    seen = observed(master(), replica())
    assert (seen.side_here.host, seen.side_here.identity) == (HOST, HOST)
    assert (seen.side_there.host, seen.side_there.filesystem) == (PEER_HOST, PEER_FS)
    assert observed(None).side_here is None
    assert observed(master()).side_there is None
    assert str(PEER) == f"{PEER_HOST}:{PEER_FS}"
