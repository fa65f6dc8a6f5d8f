# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may work on a pair. Nothing here waits for time to pass: commands are held until the test lets them go.

Numbers are those of the behaviour reference's acceptance cases.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab import Host
from tests.system import script
from tests.system.pairs import Pair, guids, held, kill_module, local, ready_pair
from tests.system.product import start_module, zrep_info, zrep_pair, zrep_snapshot, zrep_sync

pytestmark = pytest.mark.system


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair with something new to send."""
    made = ready_pair(fresh, host1, host2)
    made.write("more")
    return made


@contextmanager
def script_lock(pair: Pair) -> Iterator[str]:
    """A living process of the master's host holds the script's lock on the pair; its number."""
    sleeper = pair.a.popen("echo $$; exec sleep 1000", stdout=subprocess.PIPE, text=True)
    try:
        pid = sleeper.stdout.readline().strip()
        pair.a.zfs("set", f"zrep:lock-pid={pid}", pair.fs)
        pair.a.zfs("set", "zrep:lock-time=20990101000000", pair.fs)
        yield pid
    finally:
        os.killpg(sleeper.pid, signal.SIGKILL)
        sleeper.wait()


def set_age(pair: Pair, seconds: int) -> None:
    """Have the last sync be so long ago."""
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        host.zfs("set", f"zrep:sent={int(time.time()) - seconds}", f"{dataset}@zrep_000000")


def test_of_two_syncs_at_once_one_works_and_the_other_refuses(pair: Pair) -> None:
    with held(pair.b, verbs=("receive",)) as hold:
        first = start_module(pair.a, "zrep_sync", {"filesystem": pair.fs})
        hold.wait()
        # The stream that runs holds what it sends and lets go of it, so only what a sync would change is compared.
        before = guids(pair.a, pair.fs), pair.marks()
        second = pair.try_sync()
        assert second.code == "busy"
        assert "nothing was changed" in second["msg"].lower()
        assert (guids(pair.a, pair.fs), pair.marks()) == before
        for other in (
            zrep_snapshot(pair.a, filesystem=pair.fs),
            zrep_snapshot(pair.a, filesystem=pair.fs, state="expired"),
            zrep_pair(pair.a, filesystem=pair.fs, state="absent", local_only=True),
        ):
            assert other.code == "busy"
        # Looking is always possible, and another tag is another pair.
        assert not zrep_info(pair.a).failed
        assert pair.try_sync(tag="other").code == "not_paired"
        assert not pair.try_sync(check=True).failed
        hold.go()
        assert not first.result().failed
    pair.assert_same()
    assert pair.on_b() == ["zrep_000000", "zrep_000001"]


@pytest.mark.acceptance(25)
def test_case_25_busy_and_young_is_skipped(pair: Pair, fresh) -> None:
    """Given a busy dataset and -q 60 with last sync 10 s ago, then status 0 with a note; (+) other datasets are still
    processed."""
    other = ready_pair(fresh, pair.a, pair.b, "other")
    other.write("more")
    set_age(pair, 10)
    with held(pair.b, verbs=("receive",)) as hold:
        first = start_module(pair.a, "zrep_sync", {"filesystem": pair.fs})
        hold.wait()
        for targets in ("all", [pair.fs, other.fs]):
            result = zrep_sync(pair.a, filesystem=targets, skip_busy=60)
            assert not result.failed, result["msg"]
            assert any(pair.fs in note for note in result["notes"])
            assert {target for _host, _action, target in result.actions if target.startswith(pair.fs)} == set()
            other.assert_same()
        hold.go()
        assert not first.result().failed
    assert other.on_b() == ["zrep_000000", "zrep_000001", "zrep_000002"]


@pytest.mark.acceptance(26)
def test_case_26_busy_and_old_is_an_error(pair: Pair, fresh) -> None:
    """Given a busy dataset and last sync 100 s ago with -q 60, then status 1. `-q 29` is refused."""
    other = ready_pair(fresh, pair.a, pair.b, "other")
    set_age(pair, 100)
    with held(pair.b, verbs=("receive",)) as hold:
        first = start_module(pair.a, "zrep_sync", {"filesystem": pair.fs})
        hold.wait()
        result = zrep_sync(pair.a, filesystem="all", skip_busy=60)
        assert result.code == "busy"
        assert [item["filesystem"] for item in result["failed_filesystems"]] == [pair.fs]
        other.assert_same()
        hold.go()
        assert not first.result().failed
    before = pair.dump()
    assert pair.try_sync(skip_busy=29).code == "bad_input"
    assert pair.dump() == before
    assert not pair.try_sync(skip_busy=30).failed


@pytest.mark.acceptance(70)
@pytest.mark.slow
def test_case_70_eight_at_once_on_eight(fresh, host1: Host, host2: Host) -> None:
    """Given eight parallel syncs of different datasets, (+) then none fails because of locking."""
    pairs = [ready_pair(fresh, host1, host2, f"fs{number}") for number in range(8)]
    for pair in pairs:
        pair.write("more")
    running = [start_module(host1, "zrep_sync", {"filesystem": pair.fs}) for pair in pairs]
    for process in running:
        result = process.result()
        assert not result.failed, result["msg"]
    for pair in pairs:
        pair.assert_same()
        assert pair.on_b() == ["zrep_000000", "zrep_000001"]


def test_eight_streams_of_one_run(fresh, host1: Host, host2: Host) -> None:
    pairs = [ready_pair(fresh, host1, host2, f"fs{number}") for number in range(4)]
    for pair in pairs:
        pair.write("more")
    result = zrep_sync(host1, filesystem="all", parallel=8)
    assert not result.failed, result["msg"]
    for pair in pairs:
        pair.assert_same()


@pytest.mark.parametrize("script_locks", [False, True])
def test_a_lock_left_by_a_killed_run_needs_nobody(pair: Pair, script_locks: bool) -> None:
    options = {"filesystem": pair.fs, "script_locks": script_locks}
    with held(pair.a, verbs=("snapshot",), then="exit 1") as hold:
        kill_module(start_module(pair.a, "zrep_sync", options), hold)
    owner = local(pair.a, pair.fs, "zrep:lock-pid")
    assert (owner is not None) == script_locks
    if owner:
        # Dead is who was waited for, here by the first process of the host.
        pair.a.run(f"while kill -0 {owner} 2>/dev/null; do :; done")
    result = zrep_sync(pair.a, **options)
    assert not result.failed, result["msg"]
    pair.assert_same()
    if script_locks:
        assert local(pair.a, pair.fs, "zrep:lock-pid") is None


def test_a_stream_that_outlives_its_killed_module_keeps_the_lock(pair: Pair) -> None:
    """Only the module dies; what it started still sends. Nobody may work on the pair meanwhile."""
    # More than a pipe holds, so that the sender cannot end.
    pair.a.run(f"head -c 8000000 /dev/urandom >/{pair.fs}/big && sync /{pair.fs}/big")
    with held(pair.b, verbs=("receive",)) as hold:
        running = start_module(pair.a, "zrep_sync", {"filesystem": pair.fs})
        hold.wait()
        pair.a.run("kill -9 $(pgrep -of 'module_server.py zrep_sync')")
        assert pair.try_sync().code == "busy"
        hold.go()
        running.wait()
    pair.a.run("while pgrep -f '[z]fs receive' >/dev/null; do :; done")
    pair.sync()
    pair.assert_same()


@pytest.mark.acceptance(66)
def test_case_66_a_live_lock_of_the_script_is_respected(pair: Pair) -> None:
    """Given the script holds zrep:lock-pid of a live process, then our operation on that dataset refuses."""
    with script_lock(pair) as pid:
        before = pair.dump()
        for result in (
            pair.try_sync(),
            zrep_snapshot(pair.a, filesystem=pair.fs),
            zrep_snapshot(pair.a, filesystem=pair.fs, state="expired"),
            zrep_pair(pair.a, filesystem=pair.fs, state="absent"),
            zrep_pair(pair.a, filesystem=pair.fs, peer_host="host2", peer_filesystem=pair.dest),
        ):
            assert result.code == "busy"
            assert pid in result["msg"]
        assert pair.dump() == before
        assert zrep_info(pair.a)["pairs"][0]["busy"] is True


@pytest.mark.acceptance(25)
@pytest.mark.parametrize("targets", ["all", "by name"])
def test_case_25_busy_with_the_script_is_skipped_too(pair: Pair, targets: str) -> None:
    set_age(pair, 10)
    with script_lock(pair):
        result = zrep_sync(pair.a, filesystem="all" if targets == "all" else pair.fs, skip_busy=60)
        assert not result.failed, result["msg"]
        assert [pair.fs in note for note in result["notes"]] == [True]
        assert result.actions == []


@pytest.mark.acceptance(67)
def test_case_67_a_lock_of_a_dead_process_is_no_lock(pair: Pair) -> None:
    """Given zrep:lock-pid of a dead process, then we take over."""
    pair.a.zfs("set", "zrep:lock-pid=4194000", pair.fs)
    pair.a.zfs("set", "zrep:lock-time=20200101000000", pair.fs)
    pair.sync()
    pair.assert_same()


def test_a_lock_of_a_number_that_was_given_out_again_is_no_lock(pair: Pair) -> None:
    """The process lives, but is younger than the lock: the one that took it died in a crash or a reboot."""
    pair.a.zfs("set", "zrep:lock-pid=1", pair.fs)
    pair.a.zfs("set", "zrep:lock-time=20200101000000", pair.fs)
    pair.sync()


@pytest.mark.acceptance(68)
def test_case_68_the_script_sees_our_lock(pair: Pair) -> None:
    """Given we hold the lock, then the script's sync on that dataset refuses (live PID, local property), and after we
    finish both lock properties are gone."""
    with held(pair.b, verbs=("receive",)) as hold:
        running = start_module(pair.a, "zrep_sync", {"filesystem": pair.fs, "script_locks": True})
        hold.wait()
        with pytest.raises(script.ScriptFailed, match="locked"):
            script.sync(pair)
        hold.go()
        assert not running.result().failed
    assert local(pair.a, pair.fs, "zrep:lock-pid") is None
    assert local(pair.a, pair.fs, "zrep:lock-time") is None
    script.sync(pair)
