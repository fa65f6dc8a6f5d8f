# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script and we on one host: its lock properties, its global lock, and when we write them ourselves.

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

from tests.lab import Host, Lab
from tests.system import command, script
from tests.system.pairs import Held, Pair, held, kill_module, local, ready_pair
from tests.system.product import Running, start_module, zrep_failover, zrep_info, zrep_pair, zrep_snapshot

pytestmark = pytest.mark.system

GLOBAL = "/var/run/zrep.lock"
DEAD = "4194000"
PID, TIME = "zrep:lock-pid", "zrep:lock-time"


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Iterator[Pair]:
    """A pair with something new to send, on hosts whose zfs is known, so that each run asks it as often."""
    made = ready_pair(fresh, host1, host2)
    made.write("more")
    zrep_info(host1, check_peer=True)
    yield made
    if host1.running:
        host1.run(f"rm -f {GLOBAL} /usr/local/sbin/zrep")


@contextmanager
def living(host: Host) -> Iterator[str]:
    """A process of a host that lives; its number."""
    sleeper = host.popen("echo $$; exec sleep 1000", stdout=subprocess.PIPE, text=True)
    try:
        yield sleeper.stdout.readline().strip()
    finally:
        os.killpg(sleeper.pid, signal.SIGKILL)
        sleeper.wait()


@contextmanager
def locked(host: Host, dataset: str, pid: str | None = None) -> Iterator[str]:
    """The script's lock is on a dataset, held by this process or else by one that lives; its number."""
    with living(host) as sleeper:
        owner = pid or sleeper
        stamp = host.run(["date", "+%Y%m%d%H%M%S"]).stdout.strip()
        host.zfs("set", f"{PID}={owner}", dataset)
        host.zfs("set", f"{TIME}={stamp}", dataset)
        yield owner


def install_script(host: Host) -> None:
    """Put a program on the PATH that could be the script."""
    host.write_file("/usr/local/sbin/zrep", "#!/bin/sh\n", 0o755)


def there(host: Host, path: str) -> bool:
    return host.run(["test", "-e", path], check=False).returncode == 0


def identity(host: Host, path: str) -> str:
    """What tells a file from another one in its place, and from itself after a change."""
    return host.run(["stat", "-c", "%i %h %s %a %y %z", path]).stdout


def locks_written(lab: Lab, pair: Pair, **options: object) -> int:
    """Sync, and count the commands that write the number of a process."""
    with lab.trace() as traces:
        result = pair.try_sync(**options)
        assert not result.failed, result["msg"]
        found = list(traces.values())
    return sum(any(word.startswith(f"{PID}=") for word in argv) for trace in found for argv in trace.processes)


# When they are written


@pytest.mark.acceptance(68)
def test_case_68_the_script_on_this_host_sees_our_lock(lab: Lab, pair: Pair) -> None:
    assert locks_written(lab, pair) == 0
    install_script(pair.a)
    assert locks_written(lab, pair) == 1
    assert locks_written(lab, pair, script_locks="never") == 0
    assert locks_written(lab, pair, check=True) == 0
    pair.assert_same()


def test_a_script_on_the_other_host_is_none_here(lab: Lab, pair: Pair) -> None:
    try:
        install_script(pair.b)
        assert locks_written(lab, pair) == 0
    finally:
        pair.b.run("rm /usr/local/sbin/zrep")


def test_our_own_command_is_not_taken_for_the_script(lab: Lab, pair: Pair) -> None:
    command.install(pair.a)
    assert there(pair.a, command.PATH)
    assert locks_written(lab, pair) == 0
    assert locks_written(lab, pair, script_locks="always") == 1


def test_a_script_that_is_at_work_is_noticed(lab: Lab, pair: Pair) -> None:
    pair.a.write_file(GLOBAL, f"{DEAD}\n")
    assert locks_written(lab, pair) == 1
    assert not there(pair.a, GLOBAL)
    assert locks_written(lab, pair) == 0


def test_where_there_is_nothing_to_do_no_lock_is_written(lab: Lab, pair: Pair) -> None:
    pair.sync()
    assert locks_written(lab, pair, script_locks="always", max_age=3600) == 0


# 66 and 67: theirs


@pytest.mark.acceptance(66)
def test_case_66_a_live_lock_on_the_replica_is_respected_too(pair: Pair) -> None:
    """Given the script holds zrep:lock-pid of a live process, then our operation on that dataset refuses. Here it
    works on the replica, which the script itself would not notice."""
    with locked(pair.b, pair.dest) as pid:
        before = pair.dump()
        for result in (
            pair.try_sync(),
            pair.try_sync(check=True),
            zrep_snapshot(pair.a, filesystem=pair.fs, state="expired"),
            zrep_pair(pair.a, filesystem=pair.fs, state="absent"),
            zrep_failover(pair.a, filesystem=pair.fs, role="replica"),
        ):
            assert result.code == "busy"
            assert pid in result["msg"]
            assert "host2" in result["msg"]
        assert pair.dump() == before
        # What stays on this host does not concern it.
        assert not zrep_snapshot(pair.a, filesystem=pair.fs, state="expired", local_only=True).failed
        now = int(time.time())
        pair.a.zfs("set", f"zrep:sent={now}", f"{pair.fs}@zrep_000000")
        skipped = pair.sync(skip_busy=3600)
        assert [pid in note for note in skipped["notes"]] == [True]
    pair.sync()
    pair.assert_same()


@pytest.mark.acceptance(67)
@pytest.mark.parametrize("since", ["20200101000000", "nonsense", None])
@pytest.mark.parametrize("side", ["a", "b"])
def test_case_67_a_lock_that_a_dead_process_left(pair: Pair, side: str, since: str | None) -> None:
    """Given zrep:lock-pid of a dead process, then we take over."""
    host, dataset = (pair.a, pair.fs) if side == "a" else (pair.b, pair.dest)
    host.zfs("set", f"{PID}={DEAD}", dataset)
    if since:
        host.zfs("set", f"{TIME}={since}", dataset)
    pair.sync(script_locks="always")
    pair.assert_same()
    if side == "a":
        assert (local(host, dataset, PID), local(host, dataset, TIME)) == (None, None)


def test_a_number_that_was_given_out_again_on_the_replica_is_no_lock(pair: Pair) -> None:
    with locked(pair.b, pair.dest):
        pair.b.zfs("set", f"{TIME}=20200101000000", pair.dest)
        pair.sync()


# 68: ours


@pytest.mark.acceptance(68)
def test_case_68_it_is_there_before_anything_is_changed(pair: Pair) -> None:
    """Given we hold the lock, then the script's sync on that dataset refuses (live PID, local property), and after we
    finish both lock properties are gone."""
    install_script(pair.a)
    before = pair.a.run(["date", "+%Y%m%d%H%M%S"]).stdout.strip()
    with held(pair.a, verbs=("snapshot",)) as hold:
        running = start_module(pair.a, "zrep_sync", {"filesystem": pair.fs})
        hold.wait()
        owner = local(pair.a, pair.fs, PID)
        assert owner is not None
        assert "zrep_sync" in pair.a.read_file(f"/proc/{owner}/cmdline")
        after = pair.a.run(["date", "+%Y%m%d%H%M%S"]).stdout.strip()
        assert before <= (local(pair.a, pair.fs, TIME) or "") <= after
        assert not there(pair.a, GLOBAL)
        with pytest.raises(script.ScriptFailed, match="locked"):
            script.sync(pair)
        hold.go()
        assert not running.result().failed
    assert (local(pair.a, pair.fs, PID), local(pair.a, pair.fs, TIME)) == (None, None)
    script.sync(pair)


@contextmanager
def about_to_lock(pair: Pair, **options: object) -> Iterator[tuple[Running, Held]]:
    """A sync that has made its plan and asks who has the lock, which is held until the test lets it go."""
    with held(pair.a, n=2, verbs=("get",)) as hold:
        running = start_module(pair.a, "zrep_sync", {"filesystem": pair.fs, "script_locks": "always", **options})
        hold.wait()
        yield running, hold


@pytest.mark.acceptance(68)
def test_case_68_a_script_that_took_the_lock_before_us_keeps_it(pair: Pair) -> None:
    with about_to_lock(pair) as (running, hold), locked(pair.a, pair.fs) as pid:
        before = pair.dump()
        hold.go()
        result = running.result()
        assert result.code == "busy"
        assert pid in result["msg"]
        assert "nothing was changed" in result["msg"].lower()
        assert pair.dump() == before
    assert not there(pair.a, GLOBAL)


@pytest.mark.acceptance(25)
def test_case_25_busy_in_the_last_moment_is_skipped_too(pair: Pair) -> None:
    with about_to_lock(pair, skip_busy=3600) as (running, hold), locked(pair.a, pair.fs) as pid:
        hold.go()
        result = running.result()
        assert not result.failed, result["msg"]
        assert [pid in note for note in result["notes"]] == [True]
        assert result.actions == []


@pytest.mark.acceptance(68)
def test_case_68_a_script_that_came_and_went_before_we_had_the_lock(pair: Pair) -> None:
    """What we have seen is not so any more."""
    with about_to_lock(pair) as (running, hold):
        assert pair.a.read_file(GLOBAL).strip().isdigit()
        script.sync(pair)
        before = pair.dump()
        hold.go()
        result = running.result()
        assert result.code == "busy"
        assert "nothing was changed" in result["msg"].lower()
        assert pair.dump() == before
    pair.sync(script_locks="always")
    pair.assert_same()


@pytest.mark.acceptance(68)
def test_case_68_a_script_that_did_not_see_our_lock_keeps_its_own(pair: Pair) -> None:
    """It looks only once, if it sees no lock then, and may write its own over one that came meanwhile."""
    with held(pair.a, verbs=("snapshot",)) as hold:
        running = start_module(pair.a, "zrep_sync", {"filesystem": pair.fs, "script_locks": "always"})
        hold.wait()
        with locked(pair.a, pair.fs) as pid:
            hold.go()
            result = running.result()
            assert not result.failed
            assert any(pid in str(warning) for warning in result["warnings"])
            assert local(pair.a, pair.fs, PID) == pid


@pytest.mark.acceptance(68)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_case_68_after_a_crash_it_is_no_lock(pair: Pair, number: int) -> None:
    """Given we crash, then both lock properties are gone or stale by PID."""
    options = {"filesystem": pair.fs, "script_locks": "always"}
    with held(pair.a, verbs=("snapshot",), then="exit 1") as hold:
        kill_module(start_module(pair.a, "zrep_sync", options), hold, number)
    owner = local(pair.a, pair.fs, PID)
    assert (owner is None) == (number == signal.SIGTERM)
    if owner:
        pair.a.run(f"while kill -0 {owner} 2>/dev/null; do :; done")
    script.sync(pair)
    assert not there(pair.a, GLOBAL)


# 69: the global lock


@pytest.mark.acceptance(69)
@pytest.mark.parametrize("script_locks", ["auto", "always"])
def test_case_69_a_live_process_has_the_global_lock(pair: Pair, script_locks: str) -> None:
    """Given upstream's global lock file exists with a live PID, then we wait up to the retry limit and do not delete
    it."""
    with living(pair.a) as pid:
        pair.a.write_file(GLOBAL, f"{pid}\n")
        before = pair.dump(), identity(pair.a, GLOBAL)
        result = pair.try_sync(script_locks=script_locks, env={"Z_LOCK_RETRY": "1"})
        assert result.code == "busy"
        assert pid in result["msg"]
        assert GLOBAL in result["msg"]
        assert (pair.dump(), identity(pair.a, GLOBAL)) == before
        # Where no lock is written it is none of our business.
        assert not pair.try_sync(script_locks="never").failed
        assert identity(pair.a, GLOBAL) == before[1]


@pytest.mark.acceptance(69)
@pytest.mark.parametrize("at", ["a", "b"])
def test_case_69_a_move_waits_for_it_before_it_freezes_anything(pair: Pair, at: str) -> None:
    host, dataset, role = (pair.a, pair.fs, "replica") if at == "a" else (pair.b, pair.dest, "master")
    try:
        with living(host) as pid:
            host.write_file(GLOBAL, f"{pid}\n")
            before = pair.dump()
            result = zrep_failover(host, filesystem=dataset, role=role, env={"Z_LOCK_RETRY": "1"})
            assert result.code == "busy"
            assert pid in result["msg"]
            assert "Nothing was changed" in result["msg"]
            assert "guard" not in result["msg"]
            assert pair.dump() == before
        moved = zrep_failover(host, filesystem=dataset, role=role)
        assert not moved.failed, moved["msg"]
        assert not there(host, GLOBAL)
    finally:
        host.run(["rm", "-f", GLOBAL])


@pytest.mark.acceptance(69)
def test_case_69_a_live_process_lets_go_of_it_in_time(pair: Pair) -> None:
    with living(pair.a) as pid:
        pair.a.write_file(GLOBAL, f"{pid}\n")
        running = start_module(pair.a, "zrep_sync", {"filesystem": pair.fs}, env={"Z_LOCK_RETRY": "100"})
        # What it is going to put in its place lies beside it while it waits.
        pair.a.run(f"until ls {os.path.dirname(GLOBAL)}/.zrep.lock-* >/dev/null 2>&1; do :; done")
        assert pair.a.read_file(GLOBAL) == f"{pid}\n"
        pair.a.run(["rm", GLOBAL])
        result = running.result()
    assert not result.failed, result["msg"]
    assert not there(pair.a, GLOBAL)
    pair.assert_same()


@pytest.mark.acceptance(69)
@pytest.mark.parametrize("content", [f"{DEAD}\n", "", "rubbish\n"], ids=["dead", "empty", "rubbish"])
def test_case_69_a_global_lock_of_nobody_is_recovered_from(pair: Pair, content: str) -> None:
    """Given upstream's global lock file exists, (+) with a dead PID we recover. The script never would."""
    pair.a.write_file(GLOBAL, content)
    result = pair.try_sync(script_locks="always", env={"Z_LOCK_RETRY": "1"})
    assert not result.failed, result["msg"]
    assert not there(pair.a, GLOBAL)
    assert local(pair.a, pair.fs, PID) is None
    pair.assert_same()


def test_a_link_in_place_of_the_global_lock_is_not_followed(pair: Pair) -> None:
    pair.a.write_file("/tmp/victim", f"{DEAD}\n")
    pair.a.run(["ln", "-s", "/tmp/victim", GLOBAL])
    before = pair.dump()
    result = pair.try_sync()
    assert result.code == "bad_lock"
    assert GLOBAL in result["msg"]
    assert pair.dump() == before
    assert pair.a.run(["readlink", GLOBAL]).stdout.strip() == "/tmp/victim"
    assert pair.a.read_file("/tmp/victim") == f"{DEAD}\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_killed_while_it_holds_the_global_lock(pair: Pair, number: int) -> None:
    with held(pair.a, n=2, verbs=("get",), then="exit 1") as hold:
        kill_module(start_module(pair.a, "zrep_sync", {"filesystem": pair.fs, "script_locks": "always"}), hold, number)
    assert there(pair.a, GLOBAL) == (number == signal.SIGKILL)
    if number == signal.SIGKILL:
        owner = pair.a.read_file(GLOBAL).strip()
        pair.a.run(f"while kill -0 {owner} 2>/dev/null; do :; done")
    pair.sync(script_locks="always")
    assert not there(pair.a, GLOBAL)
    pair.assert_same()


# 70: many at once


@pytest.mark.acceptance(70)
@pytest.mark.slow
def test_case_70_eight_at_once_on_eight(pair: Pair, fresh, host1: Host, host2: Host) -> None:
    """Given eight parallel syncs of different datasets, (+) then none fails because of locking."""
    pairs = [pair, *(ready_pair(fresh, host1, host2, f"fs{number}") for number in range(7))]
    running = [start_module(host1, "zrep_sync", {"filesystem": made.fs, "script_locks": "always"}) for made in pairs]
    for process in running:
        result = process.result()
        assert not result.failed, result["msg"]
        assert not result.get("warnings"), result["warnings"]
    for made in pairs:
        made.assert_same()
        assert made.on_b() == ["zrep_000000", "zrep_000001"]
        assert (local(host1, made.fs, PID), local(host1, made.fs, TIME)) == (None, None)
    assert not there(host1, GLOBAL)


@pytest.mark.acceptance(70)
@pytest.mark.slow
@pytest.mark.parametrize("script_locks", ["never", "always"])
def test_case_70_ten_runs_of_all_at_once(lab: Lab, pair: Pair, fresh, script_locks: str) -> None:
    """Whoever comes too late is told so; nothing is sent twice."""
    host1, host2 = pair.a, pair.b
    pairs = [pair, *(ready_pair(fresh, host1, host2, f"fs{number}") for number in range(2))]
    options = {"filesystem": "all", "script_locks": script_locks}
    with lab.trace() as traces:
        running = [start_module(host1, "zrep_sync", options) for _number in range(10)]
        results = [process.result() for process in running]
        (trace, *_others) = [traces[name] for name in ("host1", "host2")]
    codes = {item["code"] for result in results for item in result["failed_filesystems"]}
    assert codes <= {"busy"}
    assert all(result["failed_filesystems"] or not result.failed for result in results)
    sent = [tuple(argv[2:]) for argv in trace.processes if argv[:2] == ["zfs", "send"]]
    assert len(sent) == len(set(sent)) >= len(pairs)
    done = [action for result in results for action in result.actions if action[1] == "send"]
    assert len(done) == len(sent)
    for made in pairs:
        made.assert_same()
        assert made.on_b() == made.on_a()
        assert (local(host1, made.fs, PID), local(host1, made.fs, TIME)) == (None, None)
    assert not there(host1, GLOBAL)
