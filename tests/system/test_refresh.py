# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulling with ``zrep refresh``.

On the master's host no zrep is needed. Numbers are those of the behaviour reference's cases.
"""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from tests.lab import Host, Lab
from tests.system import script
from tests.system.command import fails, install, ok, remove, start
from tests.system.layouts import cannot_connect, destroy
from tests.system.pairs import FAIL, Pair, held, ready_pair, snapshots
from tests.system.test_budgets import counted

pytestmark = pytest.mark.system


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair with something new to send; there is no zrep on the master's host."""
    made = ready_pair(fresh, host1, host2)
    remove(host1)
    made.write("more")
    return made


# -- what it does ---------------------------------------------------------------------------------------------


@pytest.mark.both
@pytest.mark.acceptance(34)
def test_case_34_pulled_recorded_and_expired_on_both_sides(pair: Pair) -> None:
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        host.zfs("set", "zrep:savecount=1", dataset)
    with cannot_connect(pair.a):
        said = ok(pair.b, "refresh", pair.dest)
    assert said.out == ""
    assert f"{pair.a.name}: snapshot {pair.fs}@zrep_000001" in said.err
    pair.assert_same()
    assert pair.on_a() == pair.on_b() == ["zrep_000001"]
    assert pair.marks()[0] == pair.marks()[1]


def test_what_it_costs(lab: Lab, pair: Pair) -> None:
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        host.zfs("set", "zrep:savecount=2", dataset)
    ok(pair.b, "refresh", pair.dest)
    pair.write("most")
    with counted(lab) as cost:
        ok(pair.b, "refresh", pair.dest)
    assert pair.on_a() == pair.on_b() == ["zrep_000001", "zrep_000002"]
    assert cost.zfs <= 9, cost.commands
    assert cost.connections == 1


@pytest.mark.parametrize("tag", ["zrep", "dc"])
def test_taking_turns_with_pushes_and_with_the_script(fresh, host1: Host, host2: Host, tag: str) -> None:
    pair = ready_pair(fresh, host1, host2, tag=tag)
    install(host1)
    for number in range(6):
        pair.write(f"{number}\n")
        if number % 3 == 0:
            ok(host2, "-t", tag, "refresh", pair.dest)
        elif number % 3 == 1:
            script.refresh(pair)
        else:
            script.sync(pair)
        pair.assert_same()


def test_nothing_is_expired_if_that_is_wanted(pair: Pair) -> None:
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        host.zfs("set", "zrep:savecount=1", dataset)
    ok(pair.b, "refresh", pair.dest, env={"ZREP_SKIP_EXPIRE": "1"})
    assert pair.on_a() == pair.on_b() == ["zrep_000000", "zrep_000001"]


def test_within_one_host_nothing_is_connected_to(lab: Lab, fresh, host1: Host) -> None:
    pair = Pair(host1, fresh.create(host1), host1, fresh.name(host1, "copy"))
    ok(host1, "init", pair.fs, "localhost", pair.dest)
    pair.write("new\n")
    with counted(lab) as cost:
        ok(host1, "refresh", pair.dest)
    assert cost.connections == 0
    pair.assert_same()
    host1.zfs("set", "zrep:src-host=localhost", pair.dest)
    pair.write("newer\n")
    ok(host1, "refresh", pair.dest)
    pair.assert_same()
    assert pair.on_b() == ["zrep_000000", "zrep_000001", "zrep_000002"]


def test_a_plan_is_printed_and_nothing_is_done(pair: Pair) -> None:
    before = pair.dump()
    said = ok(pair.b, "refresh", "--dry-run", pair.dest)
    assert f"would {pair.a.name}: snapshot {pair.fs}@zrep_000001" in said.out
    assert ok(pair.b, "refresh", "--dry-run", "--json", pair.dest).json["changed"]
    assert pair.dump() == before


def test_force_overwrites_what_the_replica_has_of_its_own(pair: Pair) -> None:
    pair.b.run(f"zfs set readonly=off {pair.dest} && zfs mount {pair.dest} && echo x >/{pair.dest}/own")
    pair.b.zfs("snapshot", f"{pair.dest}@own")
    before = pair.dump()
    said = fails(pair.b, "refresh", pair.dest)
    assert "-f overwrites" in said.err
    assert pair.dump() == before
    ok(pair.b, "refresh", "-f", pair.dest)
    pair.assert_same()
    kept = [name for name in pair.b.zfs("list", "-H", "-o", "name").split() if "_preserved_" in name]
    assert ["own" in snapshots(pair.b, name) for name in kept] == [True]


# -- what stands against it -----------------------------------------------------------------------------------


@pytest.mark.acceptance(36)
def test_case_36_refused_on_a_master(pair: Pair) -> None:
    before = pair.dump()
    with pair.b.trace() as trace:
        said = fails(pair.a, "refresh", pair.fs)
    assert trace.connections == []
    assert "zrep sync" in said.err
    assert fails(pair.a, "refresh", "--json", pair.fs).json["failed_filesystems"][0]["code"] == "wrong_role"
    assert pair.dump() == before


def test_two_masters_are_refused(pair: Pair) -> None:
    ok(pair.b, "takeover", "-L", pair.dest)
    before = pair.dump()
    fails(pair.b, "refresh", pair.dest)
    fails(pair.a, "refresh", pair.fs)
    assert pair.dump() == before


def test_a_master_that_is_away_or_does_not_know_us(pair: Pair) -> None:
    before = pair.dump()
    pair.a.stop_sshd()
    said = fails(pair.b, "refresh", pair.dest)
    pair.a.start_sshd()
    assert pair.a.name in said.err
    assert pair.dump() == before
    pair.a.zfs("set", f"zrep:dest-fs={pair.dest}-other", pair.fs)
    said = fails(pair.b, "refresh", "--json", pair.dest)
    assert said.json["failed_filesystems"][0]["code"] == "paired_elsewhere"
    destroy(pair.a, pair.fs)
    said = fails(pair.b, "refresh", "--json", pair.dest)
    assert said.json["failed_filesystems"][0]["code"] == "not_found"


def test_whoever_works_on_either_side_keeps_it_off(pair: Pair) -> None:
    with held(pair.b, verbs=("receive",)) as hold:
        first = start(pair.b, "refresh", pair.dest)
        hold.wait()
        for host, verb, dataset in ((pair.b, "refresh", pair.dest), (pair.a, "sync", pair.fs)):
            said = fails(host, verb, dataset)
            assert "another process" in said.err
        hold.go()
        assert first.wait().status == 0
    pair.assert_same()
    pair.write("new\n")
    with held(pair.b, verbs=("receive",)) as hold:
        first = start(pair.a, "sync", pair.fs)
        hold.wait()
        said = fails(pair.b, "refresh", pair.dest)
        assert f"{pair.a.name}:{pair.fs}" in said.err
        hold.go()
        assert first.wait().status == 0
    assert pair.on_b() == ["zrep_000000", "zrep_000001", "zrep_000002"]


@pytest.mark.parametrize("which", ["a", "b"])
def test_the_script_works_on_one_side(pair: Pair, which: str) -> None:
    host, dataset = (pair.a, pair.fs) if which == "a" else (pair.b, pair.dest)
    sleeper = host.popen("echo $$; exec sleep 1000", stdout=subprocess.PIPE, text=True)
    try:
        pid = sleeper.stdout.readline().strip()
        host.zfs("set", f"zrep:lock-pid={pid}", dataset)
        host.zfs("set", "zrep:lock-time=20990101000000", dataset)
        before = pair.dump()
        said = fails(pair.b, "refresh", pair.dest)
        assert pid in said.err
        assert pair.dump() == before
    finally:
        os.killpg(sleeper.pid, signal.SIGKILL)
        sleeper.wait()
    ok(pair.b, "refresh", pair.dest)
    pair.assert_same()


@pytest.mark.acceptance(37)
@pytest.mark.parametrize("rename", ["yes", "no"])
def test_case_37_a_receive_that_fails(pair: Pair, rename: str) -> None:
    """(+) Given a failing receive in refresh, then A's last sent is unchanged and the next refresh succeeds."""
    pair.b.intercept(FAIL, verbs=("receive",))
    fails(pair.b, "refresh", pair.dest, env={"ZREP_RENAME_UNSENT": rename})
    pair.b.clear_faults()
    assert set(pair.marks()[0]) == {"zrep_000000"}
    assert pair.on_a() == ["zrep_000000"] + ["zrep_000001_unsent"] * (rename == "yes")
    ok(pair.b, "refresh", pair.dest)
    pair.assert_same()


def test_what_travelled_through_filters(pair: Pair) -> None:
    filters = {"ZREP_OUTFILTER": "gzip -1 | tee /tmp/passed", "ZREP_INFILTER": "gzip -d"}
    ok(pair.b, "refresh", pair.dest, env=filters)
    pair.assert_same()
    pair.a.run("gzip -t </tmp/passed")
