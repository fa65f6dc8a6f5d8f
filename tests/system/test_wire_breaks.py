# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the script asked us for breaks half way. Numbers are those of the behaviour reference's cases."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.lab import Host
from tests.lab.processes import wait_until
from tests.system import script
from tests.system.command import ok
from tests.system.pairs import FAIL, Pair, held
from tests.system.wire import accepted, goes_on, large, made, senders

pytestmark = pytest.mark.system

SECONDS = 30


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair with something new to send."""
    return made(fresh, host1, host2)


HALF = '/run/lab/real/zfs "$@" | head -c 50000; kill -{signal} $PPID; {then}'


@pytest.mark.acceptance(37)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_case_37_the_sending_command_ends_half_way(pair: Pair, number: int) -> None:
    large(pair)
    # Whoever is killed outright cannot end what he started.
    then = "exit 1" if number == signal.SIGKILL else "exec sleep 1000"
    pair.a.intercept(HALF.format(signal=int(number), then=then), verbs=("send",))
    with pytest.raises(script.ScriptFailed):
        script.refresh(pair)
    pair.a.clear_faults()
    assert set(pair.marks()[0]) == {"zrep_000000"}
    assert pair.on_b() == ["zrep_000000"]
    goes_on(pair)


@pytest.mark.acceptance(37)
def test_case_37_the_receiving_end_breaks(pair: Pair) -> None:
    pair.b.intercept(FAIL, verbs=("receive",))
    with pytest.raises(script.ScriptFailed):
        script.refresh(pair)
    pair.b.clear_faults()
    assert set(pair.marks()[0]) == {"zrep_000000"}
    goes_on(pair)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_told_to_stop_it_takes_its_stream_along(pair: Pair, number: int) -> None:
    name = accepted(pair.b, pair.a, f"zrep snaponly {pair.fs}").strip()
    with held(pair.a, verbs=("send",)) as hold:
        streaming = pair.a.popen(["zrep", "_refreshpull", name], stdout=subprocess.DEVNULL)
        hold.wait()
        pair.a.run(["pkill", f"-{int(number)}", "-f", "zrep _refreshpull"])
        assert streaming.wait(60) == 128 + number
        assert senders(pair.a) == ""
    goes_on(pair)


def test_a_reader_that_goes_away_ends_it(pair: Pair) -> None:
    large(pair)
    name = accepted(pair.b, pair.a, f"zrep snaponly {pair.fs}").strip()
    line = f"{{ zrep _refreshpull {name}; echo $? >/tmp/status; }} | head -c 1000 >/dev/null"
    done = pair.a.run(line)
    assert pair.a.read_file("/tmp/status") == "1\n"
    assert "Traceback" not in done.stderr
    goes_on(pair)


def test_a_connection_that_breaks_ends_it(pair: Pair) -> None:
    large(pair)
    name = accepted(pair.b, pair.a, f"zrep snaponly {pair.fs}").strip()
    taking = pair.b.popen(f"ssh -n {pair.a.name} zrep _refreshpull {name} | {{ head -c 1000; exec sleep 1000; }}")
    wait_until(lambda: senders(pair.a) != "", "it streams", SECONDS)
    pair.b.run("pkill -KILL -x ssh; pkill -KILL -x sleep")
    taking.wait(60)
    wait_until(lambda: senders(pair.a) == "", "the sender has ended", SECONDS)
    goes_on(pair)


@pytest.mark.parametrize("tag", ["zrep", "dc"])
@pytest.mark.parametrize("done", ["receive", "set"])
def test_the_script_dies_before_we_hear_that_it_arrived(fresh, host1: Host, host2: Host, tag: str, done: str) -> None:
    """Names and marks disagree then; by the GUIDs our own refresh, or a sync, finds what both sides have."""
    pair = made(fresh, host1, host2, tag)
    name = accepted(host2, host1, f"zrep -t {tag} snaponly {pair.fs}").strip()
    host2.run(f"ssh -n {host1.name} zrep -t {tag} _refreshpull {name} | zfs receive {pair.dest}")
    if done == "set":
        host2.zfs("set", f"{tag}:sent=1700000000", f"{pair.dest}@{tag}_000001")
    pair.write("after\n", "after")
    ok(host2, "-t", tag, "refresh", pair.dest)
    pair.assert_same()
    assert set(pair.marks()[0]) == set(pair.marks()[1]) == {f"{tag}_{number:06x}" for number in range(3)}
    script.refresh(pair)
    pair.assert_same()
