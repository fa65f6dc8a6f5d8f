# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A move of one tag knows of the filesystem's other destinations, and can give them to the new master."""

from __future__ import annotations

import re

import pytest

from tests.lab import Host, Lab
from tests.system.layouts import destroy
from tests.system.moves import assert_in_place, daily, done, make_master, record, start_move, turned, writable
from tests.system.pairs import Pair, dump, held, kill_module, make_pair, own_properties
from tests.system.product import Result, zrep_info, zrep_pair, zrep_sync
from tests.system.several import in_sync, of_tag, second, third_host

pytestmark = pytest.mark.system

Both = tuple[Pair, Pair]

HOSTS = ("host3", "host2", "host1")
SLOW = pytest.mark.slow
BOTH_ENDS = pytest.mark.parametrize("at", ["a", "b"])


@pytest.fixture
def host3(lab: Lab, fresh) -> Host:
    return third_host(lab)


def two(fresh, host1: Host, host2: Host, host3: Host, tag: str = "zrep", other: str = "dr", base: str = "fs") -> Both:
    """A filesystem with two destinations, with something at each that the other does not have."""
    first = make_pair(fresh, host1, host2, base, tag=tag)
    also = second(fresh, first, host3, other, f"{base}-second")
    for number in range(2):
        for pair in (first, also):
            pair.write(f"for {pair.tag}\n", f"{pair.tag}-{number}")
            pair.sync()
    first.write("never sent before\n", "last")
    return first, also


@pytest.fixture
def both(fresh, host1: Host, host2: Host, host3: Host) -> Both:
    return two(fresh, host1, host2, host3)


def told(result: Result) -> list[str]:
    """What was done and why, without the time of the promotion."""
    return [re.sub(r"promoted=\d+", "promoted", "{host}: {what}: {why}".format(**step)) for step in result["actions"]]


def given(first: Pair, other: Pair) -> Pair:
    """The other pair as it is when it has the new master of the first."""
    return Pair(first.b, first.dest, other.b, other.dest, other.tag)


def assert_given(first: Pair, other: Pair) -> None:
    """The destination of the other pair has the new master of the first; the old one claims nothing of it, and it goes
    on incrementally: nothing that the destination had is gone."""
    after = given(first, other)
    assert_in_place(turned(first))
    wanted = {"src-fs": after.fs, "src-host": after.a.name, "dest-fs": after.dest, "dest-host": after.b.name}
    for host, dataset in ((after.a, after.fs), (after.b, after.dest)):
        found = record(host, dataset, after.tag)
        assert {name: found[name] for name in wanted} == wanted
        assert found["savecount"] == "5"
    assert record(after.a, after.fs, after.tag)["master"] == "yes"
    assert "master" not in record(after.b, after.dest, after.tag)
    assert own_properties(first.a, first.fs, after.tag) == []
    assert not writable(after.b, after.dest)
    before = after.on_b()
    after.write("by the new master\n", "new")
    result = after.sync(expire=False)
    assert sum(action == "send" for _host, action, _target in result.actions) == 1
    in_sync(after)
    assert after.on_b()[:-1] == before
    shown = zrep_info(after.a, filesystem=after.fs, tag=after.tag, check_peer=True)["pairs"][0]
    assert shown["healthy"], shown["problems"]
    back = turned(first)
    back.sync()
    in_sync(back)


@BOTH_ENDS
def test_a_planned_move_tells_of_the_others(both: Both, at: str) -> None:
    first, other = both
    kept = record(other.a, other.fs, "dr"), record(other.b, other.dest, "dr")
    result = done(make_master(first, "b", at))
    assert result["other_destinations"] == [
        {
            "tag": "dr",
            "host": "host3",
            "filesystem": other.dest,
            "master_host": "host1",
            "master_filesystem": other.fs,
            "follows": False,
            "repointed": False,
        }
    ]
    (warning,) = map(str, result["warnings"])
    assert f"host1:{first.fs} still is what is sent to host3:{other.dest} under the tag dr" in warning
    assert f"zrep_failover filesystem={first.dest} role=master repoint=dr on host2" in warning
    assert (record(other.a, other.fs, "dr"), record(other.b, other.dest, "dr")) == kept
    # Told once, and shown always.
    again = done(make_master(first, "b", at))
    assert not again.changed
    assert again.get("warnings", []) == []
    assert again["other_destinations"] == result["other_destinations"]
    # What the warning says: it goes on with what the old master gets from the new one.
    after = turned(first)
    after.write("written on the new master\n", "new")
    after.sync()
    other.sync()
    in_sync(other)


@BOTH_ENDS
@pytest.mark.parametrize(
    "tags",
    [("zrep", "dr"), pytest.param(("dr", "zrep"), marks=SLOW), pytest.param(("near", "dr"), marks=SLOW)],
    ids="-".join,
)
def test_a_planned_move_that_takes_the_other_along(
    fresh, host1: Host, host2: Host, host3: Host, tags: tuple[str, str], at: str
) -> None:
    """Whichever of the tags has streams with what lies between; check mode says what is done."""
    first, other = two(fresh, host1, host2, host3, *tags)
    before = dump(host1, host2, host3)
    foreseen = done(make_master(first, "b", at, repoint=[other.tag], check=True))
    assert dump(host1, host2, host3) == before
    had = other.on_b()
    result = done(make_master(first, "b", at, repoint=[other.tag]))
    assert told(foreseen) == told(result)
    assert result.get("warnings", []) == []
    assert result["pair"]["tag"] == first.tag
    (found,) = result["other_destinations"]
    assert found == {
        "tag": other.tag,
        "host": "host3",
        "filesystem": other.dest,
        "master_host": "host2",
        "master_filesystem": first.dest,
        "follows": True,
        "repointed": True,
    }
    assert other.on_b()[: len(had)] == had
    if other.tag != "zrep":
        assert of_tag(other.on_b(), other.tag) == other.on_b()
    before = dump(host1, host2, host3)
    again = done(make_master(first, "b", at, repoint=[other.tag]))
    assert not again.changed
    assert again["diff"] == []
    assert again["other_destinations"] == [{**found, "repointed": False}]
    assert dump(host1, host2, host3) == before
    assert_given(first, other)


def test_and_back_again(both: Both) -> None:
    first, other = both
    done(make_master(first, "b", "b", repoint=["dr"]))
    moved = turned(first)
    moved.write("on host2\n", "there")
    given(first, other).sync()
    done(make_master(moved, "b", "b", repoint=["dr"]))
    assert_given(moved, given(first, other))


@BOTH_ENDS
def test_later_than_the_move(both: Both, at: str) -> None:
    """When the move is long over, and the pair went on since."""
    first, other = both
    after = turned(first)
    done(make_master(first, "b", "b"))
    for number in range(7):
        after.write(f"{number}\n", "since")
        after.sync()
    result = done(make_master(first, "b", at, repoint=["dr"]))
    assert result["other_destinations"][0]["repointed"]
    assert_given(first, other)


def test_destinations_on_the_hosts_of_the_pair(fresh, host1: Host, host2: Host) -> None:
    """A destination beside the new master, and one beside the old one."""
    first = make_pair(fresh, host1, host2)
    beside_new, beside_old = second(fresh, first, host2, "bn", "bn"), second(fresh, first, host1, "bo", "bo")
    first.write("more")
    for pair in (beside_new, beside_old):
        pair.sync()
    done(make_master(first, "b", "b", repoint=["bn", "bo"]))
    for pair in (beside_new, beside_old):
        assert own_properties(host1, first.fs, pair.tag) == []
        after = given(first, pair)
        after.write(f"for {pair.tag}\n", pair.tag)
        after.sync()
        in_sync(after)


# -- refused ----------------------------------------------------------------------------------------------------


def refuses(first: Pair, other: Pair, code: str, *words: str, **options) -> None:
    """A move that is to take the other destination along is refused, and nothing was changed anywhere."""
    hosts = {first.a, first.b, other.b}
    before = dump(*hosts)
    result = make_master(first, "b", "b", repoint=[other.tag], **options)
    assert result.code == code, result["msg"]
    assert not result.changed
    for word in words:
        assert word in result["msg"]
    assert dump(*hosts) == before


def test_refused_before_the_move(both: Both) -> None:
    first, other = both
    refuses(first, Pair(other.a, other.fs, other.b, other.dest, "nosuch"), "not_paired", "'nosuch'", "zrep_pair")
    refuses(first, Pair(other.a, other.fs, other.b, other.dest, "No Tag"), "bad_input")
    refuses(first, first, "bad_input", "the tag of the move itself")
    other.b.zfs("snapshot", f"{other.dest}@before")
    other.b.zfs("set", "readonly=off", other.dest)
    other.b.zfs("mount", other.dest)
    other.b.write_file(f"/{other.dest}/file", "written at the destination\n")
    other.b.zfs("unmount", other.dest)
    refuses(first, other, "diverged", "adopt=newest force=true on host2")


def test_refused_if_it_is_not_there_or_has_another_master(both: Both) -> None:
    first, other = both
    other.b.zfs("set", "dr:src-host=elsewhere", other.dest)
    refuses(first, other, "paired_elsewhere", "elsewhere")
    other.b.zfs("set", "dr:master=yes", other.dest)
    refuses(first, other, "split_brain")
    destroy(other.b, other.dest)
    refuses(first, other, "not_found", "the destination does not exist")


def test_refused_if_it_shares_nothing(both: Both) -> None:
    """A full copy is not made unasked, and its size is told."""
    first, other = both
    destroy(other.b, other.dest)
    other.b.zfs("create", other.dest)
    other.b.zfs("snapshot", f"{other.dest}@dr_000001")
    refuses(first, other, "no_common_snapshot", "it would move about", "moves aside")


@pytest.mark.slow
def test_a_host_that_is_away(both: Both) -> None:
    first, other = both
    other.b.cut()
    try:
        refused = make_master(first, "b", "b", repoint=["dr"])
        assert refused.code == "unreachable"
        assert not refused.changed
        assert_in_place(first)
    finally:
        other.b.mend()
    done(make_master(first, "b", "b", repoint=["dr"]))
    assert_given(first, other)


# -- the old master is dead -------------------------------------------------------------------------------------


def test_a_takeover_tells_what_it_can_know(both: Both) -> None:
    """The old master is not asked. Its snapshots that came along tell the tag; what has to be called tells the rest."""
    first, other = both
    first.sync()
    first.a.kill()
    result = done(make_master(first, "b", "b", force=True))
    (found,) = result["other_destinations"]
    assert (found["tag"], found["host"], found["follows"]) == ("dr", None, False)
    (note,) = result["notes"]
    call = f"zrep_pair filesystem={first.dest} peer_host=HOST peer_filesystem=FILESYSTEM tag=dr adopt=newest"
    assert call in note
    options = {"filesystem": first.dest, "peer_host": "host3", "peer_filesystem": other.dest, "tag": "dr"}
    done(zrep_pair(first.b, **options, adopt="newest"))
    after = given(first, other)
    after.write("by the new master\n", "new")
    after.sync()
    in_sync(after)
    # The old one comes back, still thinking that it sends there.
    first.a.boot()
    assert zrep_sync(first.a, filesystem=first.fs, tag="dr").code == "paired_elsewhere"
    done(make_master(first, "b", "a", diverged="discard"))
    result = done(make_master(first, "b", "b", repoint=["dr"]))
    assert {host for host, _action, _target in result.actions} == {"host1"}
    assert own_properties(first.a, first.fs, "dr") == []


def test_a_destination_that_is_ahead_of_the_new_master(both: Both) -> None:
    """It has what the dead one sent last. That is given up by name only."""
    first, other = both
    first.write("sent to the other one only\n", "late")
    other.sync()
    done(make_master(first, "b", "b", force=True))
    done(make_master(first, "b", "a", diverged="preserve"))
    before = dump(first.a, first.b, other.b)
    refused = make_master(first, "b", "b", repoint=["dr"])
    assert refused.code in ("diverged", "no_common_snapshot"), refused["msg"]
    assert f"peer_filesystem={other.dest} tag=dr adopt=newest force=true on host2" in refused["msg"]
    assert dump(first.a, first.b, other.b) == before
    options = {"filesystem": first.dest, "peer_host": "host3", "peer_filesystem": other.dest, "tag": "dr"}
    forced = done(zrep_pair(first.b, **options, adopt="newest", force=True))
    assert any("dr_000003" in step["what"] for step in forced["actions"] if step["action"] == "rollback")
    done(make_master(first, "b", "b", repoint=["dr"]))
    assert_given(first, other)


# -- killed -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("victim", "tags"), daily([(host, tags) for tags in (("zrep", "dr"), ("near", "dr")) for host in HOSTS], 6)
)
def test_killed_anywhere_the_same_call_goes_on(
    fresh, host1: Host, host2: Host, host3: Host, victim: str, tags: tuple[str, str]
) -> None:
    """After each command by which one of the hosts is changed for the other tag, and to the end."""
    host = {found.name: found for found in (host1, host2, host3)}[victim]
    for n in range(1, 40):
        first, other = two(fresh, host1, host2, host3, *tags, base=f"fs{n}")
        done(make_master(first, "b", "b"))
        with held(host, n=n, when="after") as hold:
            running = start_move(first, "b", "b", repoint=["dr"])
            while not (host.intercepted() or running.ended):
                pass
            if not host.intercepted():
                done(running.result())
                assert n > 1
                return
            kill_module(running, hold)
        done(make_master(first, "b", "b", repoint=["dr"]))
        assert_given(first, other)
        destroy(host1, first.fs)
        destroy(host2, first.dest)
        destroy(host3, other.dest)
    raise AssertionError("it never came to its end")
