# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs that hold the snapshot which both sides share last."""

from __future__ import annotations

import pytest

from tests.lab import Host
from tests.system.command import install, ok
from tests.system.moves import done, make_master, move, turned
from tests.system.pairs import Pair, exists, local, make_pair, snapshots, value
from tests.system.product import zrep_info, zrep_pair, zrep_snapshot

pytestmark = pytest.mark.system


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    pair = make_pair(fresh, host1, host2, savecount=2)
    declare(pair, True)
    return pair


def declare(pair: Pair, hold: bool | None):
    options = {} if hold is None else {"hold": hold}
    return done(zrep_pair(pair.a, filesystem=pair.fs, peer_host=pair.b.name, peer_filesystem=pair.dest, **options))


def held(host: Host, dataset: str) -> list[str]:
    """The snapshots of a dataset with holds."""
    lines = host.zfs("get", "-Hp", "-r", "-d", "1", "-o", "name,value", "userrefs", dataset)
    counts = dict(line.split("\t") for line in lines.splitlines())
    return [short for short in snapshots(host, dataset) if counts[f"{dataset}@{short}"] != "0"]


def both_hold(pair: Pair, *shorts: str) -> bool:
    return held(pair.a, pair.fs) == held(pair.b, pair.dest) == list(shorts)


def test_the_base_cannot_be_destroyed_and_the_hold_goes_on(pair: Pair) -> None:
    base = pair.on_a()[-1]
    assert both_hold(pair, base)
    assert not declare(pair, True).changed
    assert not declare(pair, None).changed
    assert zrep_info(pair.a, filesystem=[pair.fs])["pairs"][0]["hold"]
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        assert host.run(["zfs", "destroy", f"{dataset}@{base}"], check=False).returncode != 0
        assert exists(host, f"{dataset}@{base}")
    for _time in range(3):
        pair.write(f"{_time}\n")
        pair.sync()
        assert both_hold(pair, pair.on_a()[-1])
    # What is released expires; savecount=2.
    assert len(pair.on_b()) == 2


def test_it_costs_four_processes(pair: Pair) -> None:
    def count() -> int:
        pair.write()
        with pair.a.lab.trace() as traces:
            pair.sync()
            found = traces
        return sum(len(trace.processes) for trace in found.values())

    pair.sync()
    with_holds = count()
    declare(pair, False)
    pair.sync()
    assert with_holds == count() + 4


def test_holds_of_others_stay(pair: Pair) -> None:
    base = pair.on_a()[-1]
    pair.a.zfs("hold", "mine", f"{pair.fs}@{base}")
    pair.write()
    pair.sync()
    assert held(pair.a, pair.fs) == [base, pair.on_a()[-1]]
    assert held(pair.b, pair.dest) == [pair.on_b()[-1]]
    pair.a.zfs("release", "mine", f"{pair.fs}@{base}")


def test_switched_off_or_taken_apart_nothing_is_held(pair: Pair) -> None:
    assert declare(pair, False).changed
    assert both_hold(pair)
    assert not declare(pair, False).changed
    declare(pair, True)
    assert zrep_pair(pair.a, filesystem=pair.fs, state="absent").changed
    assert both_hold(pair)
    assert local(pair.a, pair.fs, "zrep:hold") is None
    assert value(pair.b, pair.dest, "zrep:hold") == "-"


@pytest.mark.both
def test_moves_go_back_and_forth_with_it(pair: Pair) -> None:
    now = move(pair)
    assert both_hold(pair, pair.on_a()[-1])
    now.write("there\n")
    now.sync()
    assert both_hold(pair, pair.on_a()[-1])
    assert move(now, at="b") == pair
    # After a takeover the old master returns past what it had.
    pair.write("lost\n")
    done(make_master(pair, "b", "b", force=True))
    done(make_master(pair, "b", "a", diverged="discard"))
    now = turned(pair)
    now.write("new\n")
    now.sync()
    assert both_hold(pair, now.on_a()[-1])


def test_both_go_back_past_it(pair: Pair) -> None:
    first = pair.on_a()[-1]
    pair.write("later\n")
    pair.sync()
    done(zrep_snapshot(pair.a, filesystem=pair.fs, state="rolled_back", snapshot=first))
    assert both_hold(pair, first)
    pair.sync()
    pair.assert_same()


@pytest.fixture
def tree(fresh, host1: Host, host2: Host) -> tuple[Pair, Pair]:
    """A tree that is held, and the filesystem below it."""
    root = fresh.create(host1, "tree")
    host1.zfs("create", f"{root}/child")
    dest = fresh.name(host2, "copy")
    options = {"peer_host": host2.name, "peer_filesystem": dest, "recursive": True, "hold": True}
    done(zrep_pair(host1, filesystem=root, **options))
    return Pair(host1, root, host2, dest), Pair(host1, f"{root}/child", host2, f"{dest}/child")


@pytest.mark.both
def test_a_tree_is_held_as_a_whole(tree: tuple[Pair, Pair]) -> None:
    pair, child = tree
    for _time in range(2):
        pair.sync()
        assert both_hold(pair, pair.on_a()[-1])
        assert both_hold(child, pair.on_a()[-1])
    done(zrep_pair(pair.a, filesystem=pair.fs, state="absent", force=True))
    assert not child.on_b()


@pytest.mark.both
def test_a_tree_goes_back_past_it(tree: tuple[Pair, Pair]) -> None:
    pair, child = tree
    first = pair.on_a()[-1]
    child.write("later\n")
    pair.sync()
    assert both_hold(child, pair.on_a()[-1])
    done(zrep_snapshot(pair.a, filesystem=pair.fs, state="rolled_back", snapshot=first))
    assert both_hold(pair, first)
    assert both_hold(child, first)


@pytest.mark.both
def test_clear_leaves_neither_holds_nor_bookmarks(pair: Pair) -> None:
    for host in (pair.a, pair.b):
        install(host)
    pair.write()
    pair.sync()
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        ok(host, "clear", "-f", dataset)
        assert held(host, dataset) == []
        assert "#" not in host.run(f"zfs list -H -t all -o name -r {dataset} || zfs list -H -o name").stdout
