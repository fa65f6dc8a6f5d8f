# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several destinations of one filesystem, each under a tag of its own: none disturbs another.

Numbers are those of the behaviour reference's acceptance cases.
"""

from __future__ import annotations

import pytest

from tests.lab import Host, Lab
from tests.system.moves import done, make_master, record
from tests.system.pairs import Pair, held, local, make_pair, marks, own_properties, refused, snapshots
from tests.system.product import start_module, zrep_pair, zrep_snapshot, zrep_sync
from tests.system.several import in_sync, of_tag, second, third_host

pytestmark = pytest.mark.system


@pytest.fixture
def host3(lab: Lab, fresh) -> Host:
    return third_host(lab)


@pytest.fixture(params=["zrep", "near"])
def both(fresh, host1: Host, host2: Host, host3: Host, request: pytest.FixtureRequest) -> tuple[Pair, Pair]:
    """A filesystem with two destinations on two hosts; the first has the default tag, or one of its own."""
    first = make_pair(fresh, host1, host2, tag=request.param)
    return first, second(fresh, first, host3)


def test_a_second_destination_changes_nothing_of_the_first(both: tuple[Pair, Pair]) -> None:
    first, other = both
    assert first.on_b() == [f"{first.tag}_000000"]
    assert other.on_b() == ["dr_000000"]
    assert first.on_a() == [f"{first.tag}_000000", "dr_000000"]
    for pair in both:
        foreign = both[1] if pair is first else first
        # Nothing of the other pair is at this one's destination, least of all a role.
        assert own_properties(pair.b, pair.dest, foreign.tag) == []
        assert record(pair.a, pair.fs, pair.tag)["master"] == "yes"
        assert set(marks(pair.a, pair.fs, pair.tag)) == {f"{pair.tag}_000000"}
    assert not zrep_pair(
        first.a, filesystem=first.fs, peer_host=first.b.name, peer_filesystem=first.dest, tag=first.tag
    ).changed


@pytest.mark.acceptance(15)
def test_case_15_streams_of_a_custom_tag_bring_nothing_of_others(both: tuple[Pair, Pair]) -> None:
    """Given a custom tag, then the send is incremental `-i` and other tags' snapshots do not arrive."""
    first, other = both
    for number in range(3):
        first.write(f"{number}\n")
        for pair in both:
            pair.sync()
            in_sync(pair)
    assert of_tag(other.on_b(), "dr") == other.on_b()
    if first.tag != "zrep":
        assert of_tag(first.on_b(), first.tag) == first.on_b()
    else:
        # The default tag takes all that lies between along, as the script does.
        assert of_tag(first.on_b(), "dr") == ["dr_000000", "dr_000001", "dr_000002"]


@pytest.mark.acceptance(11)
def test_case_11_each_tag_sees_its_own(both: tuple[Pair, Pair]) -> None:
    """Given a dataset registered with tag `zrep-dc`, then properties are `zrep-dc:*`, snapshots `@zrep-dc_hhhhhh`, and
    no default-tag verb sees it."""
    first, other = both
    first.write("more")
    before = other.dump()["host3"]
    assert zrep_sync(first.a, filesystem="all", tag=first.tag).changed
    assert other.dump()["host3"] == before
    assert of_tag(first.on_a(), "dr") == ["dr_000000"]


@pytest.mark.acceptance(42)
def test_case_42_expiry_of_one_spares_the_other(both: tuple[Pair, Pair]) -> None:
    """Given foreign snapshots (`@daily-1`, other tags), then expiry never destroys them."""
    first, other = both
    for number in range(3):
        first.write(f"{number}\n")
        other.sync()
    for number in range(8):
        first.write(f"again {number}\n")
        first.sync()
    dr = [f"dr_{number:06x}" for number in range(4)]
    assert of_tag(first.on_a(), "dr") == dr
    assert other.on_b() == dr
    assert len(of_tag(first.on_a(), first.tag)) == len(of_tag(first.on_b(), first.tag)) == 5
    other.sync()
    in_sync(other)


def test_both_at_the_same_time(both: tuple[Pair, Pair]) -> None:
    """Real processes side by side, time and again: none fails, and each sends once what it took."""
    first = both[0]
    for number in range(4):
        first.write(f"{number}\n")
        running = [
            start_module(pair.a, "zrep_sync", {"filesystem": pair.fs, "tag": pair.tag, "expire": number > 1})
            for pair in both
        ]
        for process in running:
            result = process.result()
            assert not result.failed, result["msg"]
            assert [action for _host, action, _target in result.actions].count("send") == 1
    for pair in both:
        in_sync(pair)
        assert of_tag(pair.on_a(), pair.tag)[-1] == f"{pair.tag}_000004"


@pytest.mark.parametrize("where", ["on the way", "at the end"])
def test_locks_are_each_tags_own(both: tuple[Pair, Pair], where: str) -> None:
    """While one holds its lock, be it ours or the script's, the other works."""
    first, other = both
    first.write("more")
    with held(first.b, verbs=("receive",) if where == "on the way" else ("set",)) as hold:
        options = {"filesystem": first.fs, "tag": first.tag, "script_locks": "always"}
        running = start_module(first.a, "zrep_sync", options)
        hold.wait()
        assert local(first.a, first.fs, f"{first.tag}:lock-pid")
        assert first.try_sync().code == "busy"
        other.sync(script_locks="always")
        assert local(first.a, first.fs, "dr:lock-pid") is None
        assert local(first.a, first.fs, f"{first.tag}:lock-pid")
        hold.go()
        assert not running.result().failed
    for pair in both:
        in_sync(pair)


@pytest.mark.parametrize("gone", [0, 1])
@pytest.mark.parametrize("force", [False, True], ids=["", "with its snapshots"])
def test_one_goes_and_the_other_stays(both: tuple[Pair, Pair], gone: int, force: bool) -> None:
    pair, other = both[gone], both[1 - gone]
    for each in both:
        each.write(f"for {each.tag}\n")
        each.sync()
    kept, there = record(other.a, other.fs, other.tag), other.dump()[other.b.name]
    names = of_tag(other.on_a(), other.tag), marks(other.a, other.fs, other.tag)
    done(zrep_pair(pair.a, filesystem=pair.fs, tag=pair.tag, state="absent", force=force))
    assert own_properties(pair.a, pair.fs, pair.tag) == own_properties(pair.b, pair.dest, pair.tag) == []
    assert record(other.a, other.fs, other.tag) == kept
    assert (of_tag(other.on_a(), other.tag), marks(other.a, other.fs, other.tag)) == names
    assert other.dump()[other.b.name] == there
    other.write("it goes on\n")
    other.sync()
    in_sync(other)


def test_two_destinations_on_one_host(fresh, host1: Host, host2: Host) -> None:
    first = make_pair(fresh, host1, host2)
    other = second(fresh, first, host2)
    first.write("more")
    running = [start_module(host1, "zrep_sync", {"filesystem": pair.fs, "tag": pair.tag}) for pair in (first, other)]
    for process in running:
        assert not process.result().failed
    for pair in (first, other):
        in_sync(pair)
    assert of_tag(other.on_b(), "dr") == other.on_b() == ["dr_000000", "dr_000001"]


# -- what would take snapshots of the other along ---------------------------------------------------------------


def test_going_back_on_both_sides_refuses_to_take_the_others_snapshots_along(both: tuple[Pair, Pair]) -> None:
    first, other = both
    first.sync()
    other.sync()
    wanted = {"filesystem": first.fs, "tag": first.tag, "state": "rolled_back", "snapshot": f"{first.tag}_000001"}
    refused(first, lambda: zrep_snapshot(first.a, **wanted), "diverged", "dr_000001")
    forced = done(zrep_snapshot(first.a, **wanted, force=True))
    assert any("dr_000001" in step["what"] for step in forced["actions"])
    # The other pair notices, and says so.
    assert other.try_sync().code == "diverged"


def test_a_return_says_which_snapshots_of_the_other_go(both: tuple[Pair, Pair]) -> None:
    """An old master that comes back is rolled back; what the other tag has sent since is in the plan, and preserved."""
    first, other = both
    first.sync()
    done(make_master(first, "b", "b", force=True))
    other.write("written on the old master\n", "late")
    other.sync()
    assert make_master(first, "b", "a").code == "split_brain"
    foreseen = make_master(first, "b", "a", diverged="preserve", check=True)
    assert any("dr_000001" in step["what"] for step in foreseen["actions"] if step["action"] == "rollback")
    result = done(make_master(first, "b", "a", diverged="preserve"))
    assert "dr_000001" in snapshots(first.a, result["preserved"])
    assert "dr_000001" not in first.on_a()
    assert other.on_b()[-1] == "dr_000001"
    # Only the name of the tag tells the new master of the other destination; the old one knows it.
    assert [found["tag"] for found in result["other_destinations"]] == ["dr"]
    assert other.try_sync().code == "diverged"
