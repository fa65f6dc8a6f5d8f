# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many zfs processes and ssh connections the usual work costs: the budgets of the design, counted on both hosts.

All counts are in the steady state: what the zfs of a host can do is asked once and remembered. zfs-fuse takes one
snapshot, destroys one snapshot and sets one property in a command; where that costs more than on a current zfs, the
test says so and adds just that.
"""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from tests.lab import Host, Lab, Trace
from tests.system.pairs import Pair, ready_pair
from tests.system.product import zrep_failover, zrep_info, zrep_sync

pytestmark = pytest.mark.system


class Cost:
    """What ran on both hosts."""

    def __init__(self) -> None:
        self.traces: list[Trace] = []

    @property
    def commands(self) -> list[list[str]]:
        return [argv for trace in self.traces for argv in trace.processes]

    def count(self, verb: str) -> int:
        return sum(argv[1] == verb for argv in self.commands)

    @property
    def zfs(self) -> int:
        return len(self.commands)

    @property
    def connections(self) -> int:
        return sum(len(trace.connections) for trace in self.traces)


@contextmanager
def counted(lab: Lab):
    cost = Cost()
    with lab.trace() as traces:
        yield cost
        kept = list(traces.values())
    cost.traces = kept


@pytest.fixture
def pairs(fresh, host1: Host, host2: Host) -> list[Pair]:
    """Four pairs in the steady state, with something to send and one snapshot to expire on each side."""
    made = [ready_pair(fresh, host1, host2, f"fs{number}") for number in range(4)]
    for pair in made:
        for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
            host.zfs("set", "zrep:savecount=2", dataset)
    assert not zrep_sync(host1, filesystem="all").failed
    for pair in made:
        pair.write("more")
    return made


@pytest.mark.both
def test_one_incremental_sync_with_expiry(lab: Lab, pairs: list[Pair]) -> None:
    with counted(lab) as cost:
        result = pairs[0].sync()
    does = {"snapshot", "send", "mark_sent", "destroy"}
    modern = pairs[0].a.state.kind == "openzfs"
    assert {action for _host, action, _target in result.actions} == does | ({"drop_bookmark"} if modern else set())
    # The bookmark of the snapshot that was sent before goes.
    assert cost.zfs <= 9 + (1 if modern else 0), cost.commands
    assert cost.connections == 1


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_sync_of_several(lab: Lab, pairs: list[Pair], parallel: int) -> None:
    number = len(pairs)
    with counted(lab) as cost:
        result = zrep_sync(pairs[0].a, filesystem="all", parallel=parallel)
    assert not result.failed, result["msg"]
    # A snapshot command and a destroying command of each filesystem on each side, where a current zfs needs one of each
    # for all filesystems of a pool, respectively one for each filesystem.
    only_old = cost.count("snapshot") - 1
    assert only_old == number - 1
    assert cost.zfs - only_old <= 4 * number + 6, cost.commands
    assert cost.connections <= 1 + parallel
    for pair in pairs:
        pair.assert_same()


def test_nothing_to_do(lab: Lab, pairs: list[Pair]) -> None:
    zrep_sync(pairs[0].a, filesystem="all")
    with counted(lab) as cost:
        result = zrep_sync(pairs[0].a, filesystem="all", max_age=3600)
    assert not result.changed
    assert cost.zfs <= 4, cost.commands
    assert cost.connections <= 1


def test_nothing_written(lab: Lab, pairs: list[Pair]) -> None:
    """The marks move on both sides: looking twice, marking twice, and what it takes to have exact numbers."""
    pairs[0].sync()
    with counted(lab) as cost:
        result = pairs[0].sync(only_if_changed=True)
    assert [action for _host, action, _target in result.actions] == ["mark_sent", "mark_sent"]
    # zfs-fuse has no `zpool sync`: an `inherit` of nothing commits what was written.
    assert cost.count("inherit") == 1
    assert cost.zfs - 1 <= 4, cost.commands
    assert cost.connections == 1


def test_the_status_of_all_on_both_sides(lab: Lab, pairs: list[Pair]) -> None:
    with counted(lab) as cost:
        found = zrep_info(pairs[0].a, check_peer=True)["pairs"]
    assert len(found) == len(pairs)
    assert all(pair["peer_reachable"] for pair in found)
    assert cost.zfs == 2, cost.commands
    assert cost.connections == 1


def test_the_status_of_one_side_needs_no_connection(lab: Lab, pairs: list[Pair]) -> None:
    with counted(lab) as cost:
        zrep_info(pairs[0].a)
    assert cost.zfs == 1
    assert cost.connections == 0


def test_a_refusal_is_cheap(lab: Lab, pairs: list[Pair]) -> None:
    pairs[0].b.zfs("set", "zrep:master=yes", pairs[0].dest)
    with counted(lab) as cost:
        assert pairs[0].try_sync().code == "split_brain"
    assert [argv[1] for argv in cost.commands] == ["get", "get"]
    assert cost.connections == 1


def test_locks_that_the_script_sees_cost_six_more(lab: Lab, pairs: list[Pair]) -> None:
    """Who has the lock, ours, what there is now, whether it still is ours, and off with its two properties."""
    with counted(lab) as cost:
        pairs[0].sync(script_locks="always")
    assert cost.count("inherit") == 2
    # A current zfs sets both in one command.
    assert cost.zfs - 1 <= 9 + 6, cost.commands
    assert cost.connections == 1


def test_checking_costs_no_more_than_looking(lab: Lab, pairs: list[Pair]) -> None:
    with counted(lab) as cost:
        zrep_sync(pairs[0].a, filesystem="all", check=True)
    assert {argv[1] for argv in cost.commands} == {"get"}
    assert cost.zfs == 2
    assert cost.connections == 1


@pytest.mark.both
@pytest.mark.parametrize("at", ["a", "b"])
def test_a_planned_move(lab: Lab, pairs: list[Pair], at: str) -> None:
    pair = pairs[0]
    host, dataset, role = (pair.a, pair.fs, "replica") if at == "a" else (pair.b, pair.dest, "master")
    zrep_info(host, check_peer=True)
    with counted(lab) as cost:
        result = zrep_failover(host, filesystem=dataset, role=role)
    assert not result.failed, result["msg"]
    # A current zfs sets each side's record in one command, and refuses by itself where somebody writes. zfs-fuse takes
    # one command for each of four properties here and of six there, and a remount finds out whether somebody writes.
    # For that, and for the guard, it is asked what is mounted below.
    if pair.a.state.kind == "openzfs":
        assert cost.zfs <= 16, cost.commands
    else:
        assert (cost.count("list"), cost.count("unmount"), cost.count("mount")) == (2, 1, 2)
        only_old = (4 - 1) + (6 - 1) + cost.count("unmount") + 1 + cost.count("list")
        assert cost.zfs - only_old == 16, cost.commands
        assert cost.zfs == 28
    assert cost.connections == 1


@pytest.mark.parametrize("at", ["a", "b"])
def test_a_move_with_nothing_to_do(lab: Lab, pairs: list[Pair], at: str) -> None:
    pair = pairs[0]
    host, dataset, role = (pair.a, pair.fs, "master") if at == "a" else (pair.b, pair.dest, "replica")
    zrep_info(host, check_peer=True)
    with counted(lab) as cost:
        assert not zrep_failover(host, filesystem=dataset, role=role).changed
    assert [argv[1] for argv in cost.commands] == ["get", "get"]
    assert cost.connections == 1


def test_a_takeover(lab: Lab, pairs: list[Pair]) -> None:
    pair = pairs[0]
    zrep_info(pair.b)
    with counted(lab) as cost:
        assert not zrep_failover(pair.b, filesystem=pair.dest, role="master", force=True).failed
    # Looking, what would be inherited, writable, the record (one command but for zfs-fuse), mounted.
    assert cost.zfs - (6 - 1) == 5, cost.commands
    assert cost.connections == 0
