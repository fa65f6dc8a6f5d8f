# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command as a program: in poor surroundings, told to stop, many at once."""

from __future__ import annotations

import signal

import pytest

from tests.lab import Host
from tests.lab.processes import wait_until
from tests.system.command import PATH, install, ok, start, zrep
from tests.system.pairs import Pair, held, ready_pair

pytestmark = pytest.mark.system

SECONDS = 30


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair with something new to send."""
    made = ready_pair(fresh, host1, host2)
    made.write("more")
    return made


@pytest.mark.parametrize(
    "line",
    [
        "env -i {zrep} sync -q 3600 all",
        "env -i /usr/bin/python3 {zrep} sync -q 3600 all",
        "cd / && env -u HOME {zrep} sync -q 3600 all",
        "{zrep} sync -q 3600 all <&-",
        "{zrep} sync -q 3600 all >&-",
        "{zrep} sync -q 3600 all 2>&-",
        "{zrep} sync -q 3600 all <&- >&- 2>&-",
        "LC_ALL=C LANG=C PYTHONIOENCODING=ascii {zrep} sync -q 3600 all",
        "{zrep} sync -q 3600 all >/dev/full",
    ],
)
def test_poor_surroundings(pair: Pair, line: str) -> None:
    install(pair.a)
    done = pair.a.run(line.format(zrep=PATH), check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    pair.assert_same()
    assert pair.on_b() == ["zrep_000000", "zrep_000001"]


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full", "| true"])
@pytest.mark.parametrize("words", ["list", "snaponly {fs}", "sync --json {fs}", "help", "version", "config"])
def test_an_answer_that_nobody_reads(pair: Pair, words: str, redirection: str) -> None:
    """It ends with a word about that at most, and what was asked for is done."""
    install(pair.a)
    line = f"{{ {PATH} {words.format(fs=pair.fs)}; echo $? >/tmp/status; }} {redirection}"
    done = pair.a.run(line, check=False)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    if redirection != "| true":
        assert pair.a.read_file("/tmp/status") == "1\n"
    if "fs" in words:
        assert pair.on_a() == ["zrep_000000", "zrep_000001"]
    ok(pair.a, "sync", pair.fs)
    pair.assert_same()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_told_to_stop(pair: Pair, number: int) -> None:
    """Children end, the lock goes, and the next run goes on."""
    with held(pair.b, verbs=("receive",)) as hold:
        running = start(pair.a, "sync", pair.fs)
        hold.wait()
        pair.a.run(f"pkill -{int(number)} -f 'bin/[z]rep sync'")
        said = running.wait()
        hold.go()
    assert said.status == 128 + number
    wait_until(lambda: not _children(pair.a), "its programs have ended", SECONDS)
    wait_until(lambda: zrep(pair.a, "sync", pair.fs).status == 0, "the filesystem is free", SECONDS)
    pair.assert_same()


def _children(host: Host) -> str:
    return host.run("pgrep -af 'zfs [s]end|[s]sh .*zfs receive' || true").stdout


@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], ["-q", "3600"]])
def test_ten_at_once_on_twenty_pairs(fresh, host1: Host, host2: Host, flags: list[str]) -> None:
    """No failure but that a filesystem is in use, and nothing is sent twice."""
    pairs = [ready_pair(fresh, host1, host2, f"fs{number}") for number in range(20)]
    for pair in pairs:
        pair.write("new")
    with host1.trace() as seen:
        running = [start(host1, "sync", *flags, "all") for _number in range(10)]
        said = [one.wait(240) for one in running]
    assert [one.status for one in said] == [0] * 10, [one.err for one in said]
    assert not any(line.startswith("zrep: ") for one in said for line in one.err.splitlines())
    sends = [argv for argv in seen.processes if argv[1] == "send"]
    assert len({argv[-1] for argv in sends}) == len(sends)
    for pair in pairs:
        pair.assert_same()
    # Whoever came later may have taken another snapshot, but nobody left one behind that was not sent.
    assert not [name for pair in pairs for name in pair.on_a() if "unsent" in name]


def test_a_signal_that_is_ignored_stays_so(pair: Pair) -> None:
    """Whoever says nohup wants it to go on when the terminal is gone."""
    install(pair.a)
    with held(pair.b, verbs=("receive",)) as hold:
        running = start(pair.a, "sync", pair.fs, through=("nohup",))
        hold.wait()
        pair.a.run("pkill -HUP -f 'bin/[z]rep sync'")
        hold.go()
        assert running.wait().status == 0
    pair.assert_same()
