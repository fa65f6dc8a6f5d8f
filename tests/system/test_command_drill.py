# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command's drill: whatever becomes of the check, the clone is gone afterwards and the record says what it was."""

from __future__ import annotations

import signal
import time

import pytest

from tests.lab import Host
from tests.lab.processes import wait_until
from tests.system.command import RunningCommand, fails, ok, start, zrep
from tests.system.pairs import Pair, dump, exists, local, ready_pair, value

pytestmark = pytest.mark.system


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    made = ready_pair(fresh, host1, host2)
    made.write("second\n")
    made.sync()
    return made


def clone(pair: Pair) -> str:
    return f"{pair.dest}_drill"


def record(pair: Pair) -> list[str] | None:
    """Result, seconds and snapshot of the last drill."""
    text = local(pair.b, pair.dest, "zrep:drill")
    if text is None:
        return None
    moment, *words = text.split()
    assert time.time() - 300 < int(moment) <= time.time()
    return words


def check(pair: Pair, text: str) -> str:
    """Put a check on the replica's host; its path."""
    pair.b.write_file("/tmp/check", f"#!/bin/sh\n{text}\n", 0o755)
    return "/tmp/check"


def result_of(pair: Pair) -> str:
    """What the last drill came to, where only that is of interest and the clone must be gone."""
    assert not exists(pair.b, clone(pair))
    found = record(pair)
    return found[0] if found else "none"


# Passed, or not


def test_a_check_that_passes(pair: Pair) -> None:
    before = [line for lines in pair.dump().values() for line in lines if "zrep:drill" not in line]
    program = check(pair, 'cat "$2/file"; echo "$1 $2" >&2; echo changed >"$2/file"')
    said = ok(pair.b, "drill", pair.dest, program, "word")
    assert said.out == "second\n"
    assert f"word /{clone(pair)}\n" in said.err
    assert f"{pair.dest}: zrep_000001 is cloned to /{clone(pair)}" in said.err
    assert "the drill passed after" in said.err
    result, seconds, snapshot = record(pair)
    assert (result, snapshot) == ("passed", "zrep_000001")
    assert 0 <= int(seconds) < 30
    assert not exists(pair.b, clone(pair))
    assert [line for lines in pair.dump().values() for line in lines if "zrep:drill" not in line] == before


def test_without_a_check_it_is_enough_that_it_can_be_read(pair: Pair) -> None:
    said = ok(pair.b, "drill", pair.dest)
    assert said.out == ""
    assert result_of(pair) == "passed"


@pytest.mark.parametrize(
    "words", [["true"], ["--", "test", "-d"], ["--", "sh", "-c", 'test "$0" = "$ZREP_DRILL_DIRECTORY"']]
)
def test_a_check_is_any_command(pair: Pair, words: list[str]) -> None:
    ok(pair.b, "drill", pair.dest, *words)
    assert result_of(pair) == "passed"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("exit 3", "ended with exit status 3"),
        ("kill -9 $$", "was ended by signal 9"),
        ("cat; exit 1", "ended with exit status 1"),
        ('test -e "$1/lost"', "ended with exit status 1"),
    ],
)
def test_a_check_that_fails(pair: Pair, text: str, told: str) -> None:
    program = check(pair, text)
    said = zrep(pair.b, "drill", pair.dest, program, stdin="nobody reads this")
    assert said.status == 1
    assert told in said.err
    assert said.out == ""
    assert result_of(pair) == "failed"


def test_a_check_that_cannot_be_started(pair: Pair) -> None:
    assert "'no-such-program' cannot be run: No such file" in fails(pair.b, "drill", pair.dest, "no-such-program").err
    assert result_of(pair) == "failed"
    pair.b.write_file("/tmp/check", "", 0o644)
    assert "'/tmp/check' cannot be run: Permission denied" in fails(pair.b, "drill", pair.dest, "/tmp/check").err
    assert result_of(pair) == "failed"


def test_a_check_that_takes_a_while_is_timed(pair: Pair) -> None:
    ok(pair.b, "drill", pair.dest, check(pair, "sleep 2"))
    assert 2 <= int(record(pair)[1]) <= 10


def test_a_master_can_be_drilled_and_the_other_side_is_not_needed(pair: Pair) -> None:
    pair.b.kill()
    ok(pair.a, "drill", pair.fs, "--", "test", "-d")
    assert local(pair.a, pair.fs, "zrep:drill").split()[1] == "passed"


def test_names_and_places(pair: Pair) -> None:
    program = check(pair, 'test "$1" = /mnt/drill && cat "$1/file"')
    words = ["drill", "--clone", "pool2/rehearsal", "--mountpoint", "/mnt/drill", pair.dest, program]
    assert ok(pair.b, *words).out == "second\n"
    assert not exists(pair.b, "pool2/rehearsal")
    assert result_of(pair) == "passed"


def test_another_tag_has_a_record_of_its_own(fresh, host1: Host, host2: Host) -> None:
    other = ready_pair(fresh, host1, host2, tag="dc")
    ok(host2, "-t", "dc", "drill", other.dest)
    assert local(host2, other.dest, "dc:drill").endswith(" dc_000000")
    assert local(host2, other.dest, "zrep:drill") is None


def test_a_dry_run_says_what_would_be_done(pair: Pair) -> None:
    before = pair.dump()
    said = ok(pair.b, "drill", "--dry-run", pair.dest, "true")
    assert f"would host2: clone {pair.dest}@zrep_000001 as {clone(pair)}" in said.out
    assert "would run true with the clone's directory" in said.out
    assert f"would destroy {clone(pair)} again and record the result" in said.out
    assert pair.dump() == before


# Refused


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["pool2/none"], "no such filesystem"),
        (["pool2"], "in the pool of its filesystem"),
        (["pool2/plain"], "not registered"),
        (["{dest}@zrep_000001"], "names a snapshot"),
        (["--clone", "pool9/x", "{dest}"], "in the pool of its filesystem"),
        (["--clone", "{dest}/x", "{dest}"], "outside the replicated filesystem"),
        (["--clone", "pool2/no/such", "{dest}"], "give another name with --clone"),
        (["--mountpoint", "relative", "{dest}"], "--mountpoint 'relative' cannot be used"),
    ],
)
def test_what_cannot_be_done_is_refused(pair: Pair, words: list[str], told: str) -> None:
    pair.b.zfs("create", "pool2/plain")
    before = pair.dump()
    said = fails(pair.b, "drill", *(word.format(dest=pair.dest) for word in words), "true")
    assert told in said.err
    assert pair.dump() == before


def test_what_is_no_clone_of_a_drill_is_left_alone(pair: Pair) -> None:
    pair.b.zfs("create", clone(pair))
    pair.b.write_file(f"/{clone(pair)}/mine", "mine\n")
    before = pair.dump()
    for dry in ([], ["--dry-run"]):
        assert "no clone of a drill" in fails(pair.b, "drill", *dry, pair.dest, "true").err
    assert pair.dump() == before


def test_two_drills_at_once_do_not_meet(pair: Pair) -> None:
    first = start(pair.b, "drill", pair.dest, check(pair, "until [ -e /tmp/go ]; do sleep 0.1; done; cat $1/file"))
    wait_until(lambda: exists(pair.b, clone(pair)), "the clone is there")
    assert "works on it" in fails(pair.b, "drill", pair.dest, "true").err
    ok(pair.b, "drill", "--clone", "pool2/second", pair.dest, "true")
    pair.b.write_file("/tmp/go", "")
    said = first.wait()
    assert (said.status, said.out) == (0, "second\n")


# Meanwhile


def test_syncs_go_on_while_a_check_runs(pair: Pair) -> None:
    running = start(pair.b, "drill", pair.dest, check(pair, "until [ -e /tmp/go ]; do sleep 0.1; done; cat $1/file"))
    wait_until(lambda: exists(pair.b, clone(pair)), "the clone is there")
    pair.write("third\n")
    ok(pair.a, "sync", pair.fs)
    pair.b.write_file("/tmp/go", "")
    said = running.wait()
    assert (said.status, said.out) == (0, "second\n")
    assert record(pair)[2] == "zrep_000001"
    pair.assert_same()


def test_the_end_of_a_drill_waits_for_its_turn(pair: Pair) -> None:
    lock = "/run/zrep/lock-zrep-" + pair.dest.replace("/", "%")
    program = check(
        pair, f"(exec 9>>{lock}; flock 9; echo >/tmp/locked; exec sleep 4) & until [ -e /tmp/locked ]; do :; done"
    )
    ok(pair.b, "drill", pair.dest, program)
    assert result_of(pair) == "passed"


# Told to stop


# It lets go of the output, which the tests read to its end.
WAITING = 'exec >/dev/null 2>&1; echo $$ >/tmp/pid; sleep 300 & echo $! >/tmp/child; cd "$1"; wait'


def waiting(pair: Pair, text: str = WAITING) -> RunningCommand:
    """A drill whose check waits, with a child, in the clone."""
    running = start(pair.b, "drill", pair.dest, check(pair, text))
    wait_until(lambda: pair.b.run("test -s /tmp/child", check=False).returncode == 0, "the check runs")
    return running


def lives(pair: Pair, name: str) -> bool:
    return pair.b.run(f"kill -0 $(cat /tmp/{name})", check=False).returncode == 0


def tell(pair: Pair, number: int) -> None:
    """Send a signal to the command alone."""
    pair.b.run(["pkill", f"-{number}", "-f", f"zrep drill {pair.dest}"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_told_to_stop_it_ends_the_check_and_leaves_no_clone(pair: Pair, number: int) -> None:
    running = waiting(pair)
    tell(pair, number)
    assert running.wait().status == 128 + number
    assert not lives(pair, "pid")
    assert not lives(pair, "child")
    assert result_of(pair) == "failed"
    assert record(pair)[2] == "zrep_000001"


def test_a_check_that_will_not_stop_is_killed(pair: Pair) -> None:
    running = waiting(pair, f"trap '' TERM; {WAITING}; {WAITING}")
    began = time.monotonic()
    tell(pair, signal.SIGTERM)
    assert running.wait().status == 128 + signal.SIGTERM
    assert time.monotonic() - began < 40
    assert not lives(pair, "pid")
    assert result_of(pair) == "failed"


@pytest.mark.slow
def test_killed_it_is_cleared_up_by_the_next_one(pair: Pair) -> None:
    running = waiting(pair)
    tell(pair, signal.SIGKILL)
    running.wait()
    assert exists(pair.b, clone(pair))
    assert record(pair) is None
    # The check outlived its drill and is still in the clone.
    said = fails(pair.b, "drill", pair.dest, "true")
    assert "stop what still uses the clone" in said.err
    pair.b.run("kill $(cat /tmp/pid) $(cat /tmp/child)")
    pair.write("third\n")
    ok(pair.a, "sync", pair.fs)
    dry = ok(pair.b, "drill", "--dry-run", pair.dest).out
    assert f"would host2: destroy clone {clone(pair)}" in dry
    said = ok(pair.b, "drill", pair.dest, "ls")
    assert "left behind by a drill that was killed" in said.err
    assert result_of(pair) == "passed"
    assert record(pair)[2] == "zrep_000002"


def test_what_a_check_leaves_running_in_the_clone_is_told(pair: Pair) -> None:
    program = check(pair, 'cd "$1"; sleep 300 >/dev/null 2>&1 & echo $! >/tmp/child')
    said = fails(pair.b, "drill", pair.dest, program)
    assert "stop what still uses the clone" in said.err
    assert value(pair.b, clone(pair), "zrep:drill-of") == pair.dest
    assert record(pair) is None
    pair.b.run("kill $(cat /tmp/child)")
    before = dump(pair.a)
    ok(pair.b, "drill", pair.dest)
    assert result_of(pair) == "passed"
    assert dump(pair.a) == before
