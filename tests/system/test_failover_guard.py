# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A move that cannot be completed leaves production at work: it fails, its link breaks, it is killed, somebody writes.

Commands are held until the test lets them go; where the guard of a move is what helps, the tests wait for its deed.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.lab import Host
from tests.lab.processes import wait_until
from tests.system.moves import (
    LINK_GONE,
    assert_in_place,
    assert_works,
    daily,
    done,
    live,
    make_master,
    move,
    record,
    side,
    start_move,
    turned,
    writable,
    writing,
)
from tests.system.pairs import FAIL, Pair, guids, held, kill_module, local, ready_pair
from tests.system.product import Result, start_module, zrep_info, zrep_pair, zrep_snapshot, zrep_sync

pytestmark = pytest.mark.system

BOTH_ENDS = pytest.mark.parametrize("at", ["a", "b"])
QUICK = "ssh -o ServerAliveInterval=1 -o ServerAliveCountMax=1 -o ConnectTimeout=1"
GUARD_SECONDS = 30  # After so long a guard that heard nothing from its move has done its work.


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair with something new to send."""
    made = ready_pair(fresh, host1, host2)
    made.write("never sent before\n", "last")
    return made


# Which command fails, and on which side: on zfs-fuse a command sets one property.
STEPS: dict[str, tuple[str, dict[str, Any]]] = {
    "readonly": ("a", {"verbs": ("set",)}),
    "unmount": ("a", {"verbs": ("unmount",)}),
    "mount": ("a", {"verbs": ("mount",)}),
    "snapshot": ("a", {"verbs": ("snapshot",)}),
    "receive": ("b", {"verbs": ("receive",)}),
    "mark there": ("b", {"verbs": ("set",)}),
    "mark here": ("a", {"verbs": ("set",), "n": 2}),
    "second look here": ("a", {"verbs": ("get",), "n": 2}),
    # In between it is asked what it would inherit.
    "second look there": ("b", {"verbs": ("get",), "n": 3}),
    "record here": ("a", {"verbs": ("set",), "n": 4}),
    "no master here": ("a", {"verbs": ("inherit",)}),
    "writable there": ("b", {"verbs": ("inherit",)}),
    "record there": ("b", {"verbs": ("set",), "n": 4}),
    "master there": ("b", {"verbs": ("set",), "n": 7}),
}
TO_BE_KILLED = ("readonly", "mount", "snapshot", "receive", "mark here", "second look here")
"""What comes before the roles are swapped."""


def at_step(pair: Pair, step: str) -> tuple[Host, dict[str, Any]]:
    """The host on which a step is done, and which of its commands that is."""
    which, command = STEPS[step]
    if "get" in command["verbs"]:
        # The first look at a host asks twice: what its zfs can do is not remembered yet.
        for host, dataset in (side(pair, "a"), side(pair, "b")):
            zrep_info(host, filesystem=dataset, check_peer=True)
    return side(pair, which)[0], command


def assert_taken_back(pair: Pair, content: str, result: Result) -> None:
    """A move failed, and says that A is the master, writable, with all its files, which is so."""
    assert result.failed
    assert f"host1:{pair.fs} is the master and writable" in result["msg"]
    assert live(pair.a, pair.fs) == content
    assert_in_place(pair)


def assert_as_before(pair: Pair, content: str) -> None:
    """A is the master, writable with all its files, and nobody holds it."""
    assert live(pair.a, pair.fs) == content
    assert_in_place(pair)
    wait_until(lambda: pair.try_sync().code != "busy", "the filesystem is free", GUARD_SECONDS)
    assert_works(pair)


@pytest.mark.parametrize("step", daily(STEPS, 3))
def test_a_step_fails(pair: Pair, step: str) -> None:
    """Then all before it is taken back, whichever host the call was made on."""
    host, command = at_step(pair, step)
    content = live(pair.a, pair.fs)
    for at in "ab":
        host.intercept(FAIL if step == "receive" else "exit 1", **command)
        result = make_master(pair, "b", at)
        assert host.intercepted()
        host.clear_faults()
        assert_taken_back(pair, content, result)
    assert_works(pair)


@BOTH_ENDS
def test_the_pool_of_the_new_master_is_full(pair: Pair, at: str) -> None:
    content = live(pair.a, pair.fs)
    pair.b.fill_pool()
    result = make_master(pair, "b", at)
    assert result.code == "pool_full"
    assert "host2" in result["msg"]
    pair.b.free_pool()
    assert_taken_back(pair, content, result)
    assert_in_place(move(pair))


def test_the_new_master_cannot_be_mounted(pair: Pair) -> None:
    """It is the master then, and the same call does what is left to do."""
    pair.b.intercept("exit 1", verbs=("mount",))
    result = make_master(pair, "b", "b")
    pair.b.clear_faults()
    assert result.failed
    assert "the same call" in result["msg"]
    assert local(pair.b, pair.dest, "zrep:master") == "yes"
    assert not writable(pair.a, pair.fs)
    done(make_master(pair, "b", "b"))
    assert_in_place(turned(pair))


# -- the link is lost ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "step"),
    daily(
        [("a", step) for step in ("receive", "mark there", "second look there", "writable there")]
        + [("b", step) for step in ("readonly", "mount", "snapshot", "mark here", "second look here")]
    ),
)
def test_the_link_is_lost(pair: Pair, at: str, step: str) -> None:
    """For good, at once, by whichever side lost the other."""
    host, command = at_step(pair, step)
    content = live(pair.a, pair.fs)
    host.intercept(LINK_GONE, **command)
    result = make_master(pair, "b", at)
    assert result.code in ("unreachable", "link_lost")
    assert local(pair.a, pair.fs, "zrep:master") == "yes"
    if at == "b":
        assert "guard" in result["msg"]
        assert "writable" in result["msg"]
        wait_until(lambda: writable(pair.a, pair.fs), "A is writable again", GUARD_SECONDS)
    else:
        assert "is the master and writable" in result["msg"]
    assert writable(pair.a, pair.fs)
    host.clear_faults()
    host.start_sshd()
    if step == "writable there":
        # Whether that command had an effect nobody can know any more: the replica may be one that can be written.
        done(make_master(pair, "a", at))
    assert_as_before(pair, content)


@pytest.mark.slow
@BOTH_ENDS
def test_the_other_end_falls_silent(pair: Pair, at: str) -> None:
    """Nobody closes a connection: each end has to find out by itself that it is alone."""
    content = live(pair.a, pair.fs)
    with held(pair.a, verbs=("snapshot",)) as hold:
        running = start_move(pair, "b", at, ssh=QUICK)
        hold.wait()
        pair.b.cut()
        hold.go()
        result = running.result()
    assert result.code in ("unreachable", "link_lost")
    assert "writable" in result["msg"]
    wait_until(lambda: writable(pair.a, pair.fs), "A is writable again", GUARD_SECONDS if at == "b" else 0.1)
    assert live(pair.a, pair.fs) == content
    pair.b.mend()
    assert_as_before(pair, content)


@pytest.mark.parametrize("wanted", ["a", "b"])
def test_the_link_is_lost_during_the_swap(pair: Pair, wanted: str) -> None:
    """Nobody knows then how far it got: there is one master at most, and the next call decides, either way."""
    pair.a.intercept(LINK_GONE, verbs=("set",), n=4)
    assert make_master(pair, "b", "b").code == "unreachable"
    pair.a.clear_faults()
    pair.a.start_sshd()
    assert local(pair.b, pair.dest, "zrep:master") is None
    assert not writable(pair.b, pair.dest)
    done(make_master(pair, wanted, wanted))
    after = pair if wanted == "a" else turned(pair)
    assert_in_place(after)
    assert_works(after)


# -- the move is killed ----------------------------------------------------------------------------------------


@BOTH_ENDS
@pytest.mark.parametrize("step", daily(TO_BE_KILLED, 3))
def test_a_move_that_is_killed(pair: Pair, at: str, step: str) -> None:
    """Before the roles are swapped: A gets writable by itself, wherever the move was started."""
    host, command = at_step(pair, step)
    content = live(pair.a, pair.fs)
    with held(host, **command, then="exit 1") as hold:
        kill_module(start_move(pair, "b", at), hold)
        wait_until(lambda: writable(pair.a, pair.fs), "A is writable again", GUARD_SECONDS)
        wait_until(lambda: pair.try_sync().code != "busy", "the filesystem is free", GUARD_SECONDS)
    assert_as_before(pair, content)


# -- somebody uses it ------------------------------------------------------------------------------------------


@BOTH_ENDS
def test_open_files_are_not_taken_away_from_their_writers(pair: Pair, at: str) -> None:
    log = f"/{pair.fs}/log"
    with writing(pair.a, log) as writer:
        writer.write("before")
        result = make_master(pair, "b", at)
        assert result.code == "in_use"
        assert result["error"]["holders"] == [f"{writer.pid} (sh) {log}"]
        assert f"{writer.pid} (sh) {log}" in result["msg"]
        writer.write("after")
        assert pair.a.read_file(log) == "before\nafter\n"
        assert_taken_back(pair, live(pair.a, pair.fs), result)
        assert_works(pair)
        writer.write("and on")
    assert_in_place(move(pair, at))
    assert pair.b.read_file(f"/{pair.dest}/log") == "before\nafter\nand on\n"


@BOTH_ENDS
def test_who_stands_in_it_is_named_too(pair: Pair, at: str) -> None:
    pair.a.run(f"mkdir /{pair.fs}/inside")
    process = pair.a.popen(f"cd /{pair.fs}/inside && echo $$ && exec sleep 1000", stdout=subprocess.PIPE, text=True)
    try:
        pid = process.stdout.readline().strip()
        result = make_master(pair, "b", at)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert result.code == "in_use"
    assert result["error"]["holders"] == [f"{pid} (sleep) /{pair.fs}/inside"]
    assert_taken_back(pair, live(pair.a, pair.fs), result)


# -- one at a time ---------------------------------------------------------------------------------------------


def assert_busy(*results: Result) -> None:
    for result in results:
        assert result.code == "busy", result
        assert "nothing was changed" in result["msg"].lower()


def taken_by_others(pair: Pair) -> tuple[object, ...]:
    """What nobody may change while a move runs; that move itself stands still."""
    return [(record(*side(pair, which)), guids(*side(pair, which))) for which in "ab"], pair.marks()


@BOTH_ENDS
@pytest.mark.parametrize("step", ["snapshot", "receive"])
def test_nobody_gets_into_a_move(pair: Pair, at: str, step: str) -> None:
    host, command = at_step(pair, step)
    with held(host, **command) as hold:
        running = start_move(pair, "b", at)
        hold.wait()
        before = taken_by_others(pair)
        assert_busy(
            pair.try_sync(),
            zrep_snapshot(pair.a, filesystem=pair.fs),
            zrep_snapshot(pair.b, filesystem=pair.dest, state="expired", local_only=True),
            zrep_pair(pair.a, filesystem=pair.fs, state="absent", local_only=True),
            *(make_master(pair, master, end) for master in "ab" for end in "ab"),
            make_master(pair, "b", "b", force=True),
            make_master(pair, "b", "a", force=True),
        )
        assert [zrep_sync(pair.a, filesystem="all", skip_busy=60).code, zrep_info(pair.a).failed] == ["", False]
        assert taken_by_others(pair) == before
        hold.go()
        done(running.result())
    assert_in_place(turned(pair))


def test_a_move_does_not_get_into_a_sync(pair: Pair) -> None:
    with held(pair.b, verbs=("receive",)) as hold:
        running = start_module(pair.a, "zrep_sync", {"filesystem": pair.fs})
        hold.wait()
        before = taken_by_others(pair)
        assert_busy(*(make_master(pair, master, end) for master in "ab" for end in "ab"))
        assert_busy(zrep_snapshot(pair.b, filesystem=pair.dest, state="rolled_back", snapshot="zrep_000000"))
        assert taken_by_others(pair) == before
        assert writable(pair.a, pair.fs)
        hold.go()
        done(running.result())
    assert_works(pair)


@contextmanager
def script_lock(host: Host, dataset: str) -> Iterator[str]:
    """A living process of a host holds the script's lock on a dataset; its number."""
    process = host.popen("echo $$; exec sleep 1000", stdout=subprocess.PIPE, text=True)
    try:
        pid = process.stdout.readline().strip()
        host.zfs("set", f"zrep:lock-pid={pid}", dataset)
        yield pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        # Dead is who was waited for, here by the first process of the host.
        host.run(f"while kill -0 {pid} 2>/dev/null; do :; done")


@pytest.mark.parametrize("where", ["a", "b"])
def test_the_script_is_respected_on_either_host(pair: Pair, where: str) -> None:
    with script_lock(*side(pair, where)) as pid:
        before = pair.dump()
        for result in (make_master(pair, "b", "a"), make_master(pair, "b", "b")):
            assert_busy(result)
            assert pid in result["msg"]
        assert pair.dump() == before
    move(pair)


def test_two_moves_at_once_never_make_two_masters(pair: Pair) -> None:
    """From both ends, with nothing that holds them back: one gets through, or none."""
    for wishes in 2 * ((("b", "a"), ("b", "b")), (("a", "a"), ("b", "b"))):
        running = [start_move(pair, master, at) for master, at in wishes]
        assert {process.result().code for process in running} <= {"", "busy"}
        masters = [local(*side(pair, which), "zrep:master") for which in "ab"]
        assert sorted(masters, key=str) == [None, "yes"]
        # Whoever is refused lets go at once.
        wait_until(lambda: make_master(pair, "a", "a").code != "busy", "A is the master again", GUARD_SECONDS)
        assert_in_place(pair)
