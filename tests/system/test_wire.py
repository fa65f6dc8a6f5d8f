# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the script at the other end of a pair says to this command over ssh, in every form that it is known to use.

Numbers are those of the behaviour reference's cases. In script.py stands what the script does around these calls.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab import Host
from tests.lab.processes import wait_until
from tests.system import script
from tests.system.command import install, ok, start
from tests.system.moves import assert_in_place, assert_works, turned
from tests.system.pairs import FAIL, Pair, files, guids, held, local, marks, ready_pair, snapshots

pytestmark = pytest.mark.system

SECONDS = 30

# What stands before the verb: the script's own orders, and those that it makes of its flags when it calls on.
WORDS = [
    ("zrep", ""),
    ("zrep", "-R"),
    ("zrep", "-D"),
    ("zrep", "-R -D -D"),
    ("zrep", "-t zrep -D -t zrep"),
    ("zrep", "-D -t zrep -R -R"),
    ("dc", "-t dc"),
    ("dc", "-R -t dc"),
    ("dc", "-t dc -R"),
    ("dc", "-t dc -D -t dc"),
    ("dc", "-D -R -D -t dc -t dc -D"),
]
spoken = pytest.mark.parametrize(("tag", "words"), WORDS)


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair with something new to send."""
    return made(fresh, host1, host2)


def made(fresh, a: Host, b: Host, tag: str = "zrep") -> Pair:
    pair = ready_pair(fresh, a, b, tag=tag)
    install(a)
    install(b)
    pair.write("more")
    return pair


def say(caller: Host, host: Host, line: str, text: bool = True) -> subprocess.CompletedProcess:
    """What the script's host says to the other one. Nobody is there who could answer a question."""
    return caller.run(["ssh", "-n", host.name, line], check=False, text=text)


def accepted(caller: Host, host: Host, line: str) -> str:
    """The same, which is expected to go well; what it answers."""
    done = say(caller, host, line)
    assert done.returncode == 0, done.stderr
    return done.stdout


def keep(pair: Pair, count: int) -> None:
    """Have both sides keep so many snapshots."""
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        host.zfs("set", f"{pair.tag}:savecount={count}", dataset)


# -- the script pulls from us --------------------------------------------------------------------------------


@spoken
@pytest.mark.acceptance(32, 33, 34, 35)
def test_a_refresh_in_every_form(fresh, host1: Host, host2: Host, tag: str, words: str) -> None:
    pair = made(fresh, host1, host2, tag)
    keep(pair, 1)
    before = local(host1, f"{pair.fs}@{tag}_000000", f"{tag}:sent")
    assert script.refresh(pair, words) == f"{tag}_000001"
    pair.assert_same()
    assert before is not None
    assert pair.on_a() == pair.on_b() == [f"{tag}_000001"]


@pytest.mark.acceptance(34)
@pytest.mark.parametrize("tag", ["zrep", "dc"])
def test_round_after_round(fresh, host1: Host, host2: Host, tag: str) -> None:
    """Neither side is left with more than it keeps, and our own sync and refresh take turns with the script's."""
    pair = made(fresh, host1, host2, tag)
    keep(pair, 2)
    for number in range(1, 7):
        pair.write(f"{number}\n", f"file{number}")
        if number % 3 == 1:
            script.refresh(pair)
        elif number % 3 == 2:
            ok(host2, "-t", tag, "refresh", pair.dest)
        else:
            ok(host1, "-t", tag, "sync", pair.fs)
        pair.assert_same()
    assert pair.on_a() == pair.on_b() == [f"{tag}_000005", f"{tag}_000006"]


@pytest.mark.acceptance(32)
@pytest.mark.parametrize("words", ["", "-D", "-D -R -t zrep"])
def test_case_32_one_name_and_nothing_else(pair: Pair, words: str) -> None:
    for number, variables in enumerate(("", "DEBUG=1", "DEBUG=1 ZREP_VERBOSE=1"), 1):
        said = say(pair.b, pair.a, f"{variables} zrep {words} snaponly {pair.fs}")
        assert (said.returncode, said.stdout) == (0, f"{pair.fs}@zrep_{number:06x}\n")


def test_several_names_of_which_one_cannot_be_had(pair: Pair) -> None:
    said = say(pair.b, pair.a, f"zrep snaponly {pair.fs} {pair.a.pool}/nothing")
    assert said.returncode == 1
    assert said.stdout == f"{pair.fs}@zrep_000001\n"
    assert "nothing" in said.stderr


@pytest.mark.acceptance(33)
@pytest.mark.parametrize("variables", ["", "DEBUG=1", "ZREP_OUTFILTER=rev", "ZREP_VERBOSE=1 DEBUG=1"])
def test_case_33_the_stream_is_raw(pair: Pair, variables: str) -> None:
    """Whatever this host makes its own streams pass, or says: the caller takes this one as it comes."""
    name = accepted(pair.b, pair.a, f"zrep snaponly {pair.fs}").strip()
    done = say(pair.b, pair.a, f"{variables} zrep -D _refreshpull {name}", text=False)
    assert done.returncode == 0, done.stderr
    pair.b.run(["zfs", "receive", "-u", pair.dest], input=done.stdout, text=False)
    assert guids(pair.a, pair.fs) == guids(pair.b, pair.dest)
    assert files(pair.a, name) == files(pair.b, f"{pair.dest}@zrep_000001")
    # To have streamed it is no proof that it arrived.
    assert marks(pair.a, pair.fs).keys() == {"zrep_000000"}


def test_filters_of_the_caller(pair: Pair) -> None:
    script.refresh(pair, out_filter="gzip -1", in_filter="gzip -d")
    pair.assert_same()


@pytest.mark.acceptance(33)
@pytest.mark.parametrize(
    "words",
    [
        "{fs}@zrep_000001",
        "{fs}@zrep_000000",
        "{fs}@zrep_000007",
        "{fs}@mine",
        "{fs}",
        "{fs}@",
        "{pool}/nothing@zrep_000002",
        "-t dc {fs}@zrep_000002",
        "{fs}@zrep_000002 ;id",
        "{fs}@zrep_000002 $(id)",
        "{fs}@zrep_000002 1-ABC",
        "{fs}@zrep_000002 -n",
        "{fs}@zrep_000002 1-abc-def",
    ],
)
def test_case_33_what_is_refused_leaves_no_byte(pair: Pair, words: str) -> None:
    """Not the newest snapshot, none of the pair, none at all; no token, or one of a zfs that resumes nothing."""
    pair.a.zfs("snapshot", f"{pair.fs}@mine")
    for _number in range(2):
        accepted(pair.b, pair.a, f"zrep snaponly {pair.fs}")
    line = words.format(fs=pair.fs, pool=pair.a.pool)
    quoted = " ".join("'" + word + "'" for word in line.split())
    before = pair.dump()
    done = say(pair.b, pair.a, f"zrep _refreshpull {quoted}", text=False)
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"zrep: " in done.stderr
    assert pair.dump() == before


def test_nothing_is_streamed_before_something_was_sent(pair: Pair) -> None:
    pair.a.zfs("inherit", "zrep:sent", f"{pair.fs}@zrep_000000")
    name = accepted(pair.b, pair.a, f"zrep snaponly {pair.fs}").strip()
    done = say(pair.b, pair.a, f"zrep _refreshpull {name}")
    assert (done.returncode, done.stdout) == (1, "")


def test_nothing_is_streamed_to_a_terminal(pair: Pair) -> None:
    name = accepted(pair.b, pair.a, f"zrep snaponly {pair.fs}").strip()
    done = pair.b.run(["ssh", "-tt", pair.a.name, f"zrep _refreshpull {name}"], check=False)
    assert done.returncode == 1
    assert "terminal" in done.stdout
    assert len(done.stdout) < 1000


def test_nobody_gets_in_between_while_it_streams(pair: Pair) -> None:
    name = accepted(pair.b, pair.a, f"zrep snaponly {pair.fs}").strip()
    with held(pair.a, verbs=("send",)) as hold:
        streaming = pair.b.popen(["ssh", "-n", pair.a.name, f"zrep _refreshpull {name}"], stdout=subprocess.DEVNULL)
        hold.wait()
        for line in (f"snaponly {pair.fs}", f"_refreshpull {name}", f"expire -L {pair.fs}"):
            done = say(pair.b, pair.a, f"zrep {line}")
            assert (done.returncode, done.stdout) == (1, "")
            assert "another process" in done.stderr
        hold.go()
        assert streaming.wait(60) == 0
    assert snapshots(pair.a, pair.fs) == ["zrep_000000", "zrep_000001"]


def test_the_script_on_our_host_sees_that_it_streams(pair: Pair) -> None:
    name = accepted(pair.b, pair.a, f"zrep snaponly {pair.fs}").strip()
    with held(pair.a, verbs=("send",)) as hold:
        line = f"ZREP_LOCKS=script zrep _refreshpull {name}"
        streaming = pair.b.popen(["ssh", "-n", pair.a.name, line], stdout=subprocess.DEVNULL)
        hold.wait()
        with pytest.raises(script.ScriptFailed, match="locked"):
            script.sync(pair)
        hold.go()
        assert streaming.wait(60) == 0
    assert local(pair.a, pair.fs, "zrep:lock-pid") is None
    goes_on(pair)


@pytest.mark.parametrize(
    "words",
    [
        "{fs}@zrep_000001 zrep:master=yes",
        "{fs}@zrep_000001 dc:sent=1700000000",
        "{fs}@zrep_000001 readonly=on",
        "{fs}@zrep_000001 zrep:sent=",
        "{fs}@zrep_000001 zrep:sent=yes",
        "{fs}@zrep_000001 zrep:sent=$(id)",
        "{fs}@zrep_000009 zrep:sent=1700000000",
        "{fs}@zrep_000000 zrep:sent=1700000000",
        "{fs}@mine zrep:sent=1700000000",
        "{fs} zrep:sent=1700000000",
        "{fs}@zrep_000001",
    ],
)
def test_nothing_but_a_mark_is_recorded(pair: Pair, words: str) -> None:
    """And none on what is older than the last one sent, as when two replicas' hosts pull at once."""
    ok(pair.a, "sync", pair.fs)
    pair.a.zfs("snapshot", f"{pair.fs}@mine")
    before = pair.dump()
    quoted = " ".join("'" + word + "'" for word in words.format(fs=pair.fs).split())
    done = say(pair.b, pair.a, f"zrep _refreshcomplete {quoted}")
    assert (done.returncode, done.stdout) == (1, "")
    assert pair.dump() == before


def test_a_mark_is_recorded_once_and_again(pair: Pair) -> None:
    name = accepted(pair.b, pair.a, f"zrep snaponly {pair.fs}").strip()
    for _number in range(2):
        assert accepted(pair.b, pair.a, f"zrep _refreshcomplete {name} zrep:sent=1700000000") == ""
        assert local(pair.a, name, "zrep:sent") == "1700000000"


def test_a_replica_gives_nothing_away(pair: Pair) -> None:
    ok(pair.a, "sync", pair.fs)
    before = pair.dump()
    for line in (
        f"snaponly {pair.dest}",
        f"_refreshpull {pair.dest}@zrep_000001",
        f"_refreshcomplete {pair.dest}@zrep_000001 zrep:sent=1700000000",
    ):
        done = say(pair.a, pair.b, f"zrep {line}")
        assert (done.returncode, done.stdout) == (1, "")
    assert pair.dump() == before


# -- it breaks ------------------------------------------------------------------------------------------------


def goes_on(pair: Pair) -> None:
    """The next refresh of the script gets through, with all that was written."""
    pair.write("after\n", "after")
    script.refresh(pair)
    pair.assert_same()


def large(pair: Pair) -> None:
    """More to send than fits into all the buffers on the way."""
    pair.a.run(f"head -c 4000000 /dev/urandom >/{pair.fs}/large")


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


def senders(host: Host) -> str:
    """What sends on a host."""
    return host.run(["pgrep", "-af", "zfs send"], check=False).stdout


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


# -- the script pushes to us, and moves roles ----------------------------------------------------------------


@contextmanager
def without_a_word_back(host: Host, caller: Host) -> Iterator[None]:
    """Whatever a host does, it does not connect to the one that called it."""
    with caller.trace() as trace:
        yield
    assert [one for one in trace.connections if one.source == host.address] == []


@spoken
@pytest.mark.acceptance(35)
def test_the_replica_expires_by_itself(fresh, host1: Host, host2: Host, tag: str, words: str) -> None:
    """So the script ends a sync, with and without -L."""
    pair = made(fresh, host1, host2, tag)
    for number, flag in enumerate(("", "-L"), 1):
        pair.write(f"{number}\n")
        pair.sync(expire=False)
        host2.zfs("set", f"{tag}:savecount=1", pair.dest)
        with without_a_word_back(host2, host1):
            assert accepted(host1, host2, f"zrep {words} expire {flag} {pair.dest}") == ""
        assert pair.on_b() == [f"{tag}_{number:06x}"]
    assert len(pair.on_a()) == 3


def test_a_sync_of_the_script_to_our_replica(pair: Pair) -> None:
    pair.b.zfs("set", "zrep:savecount=1", pair.dest)
    script.sync(pair)
    accepted(pair.a, pair.b, f"zrep expire {pair.dest}")
    pair.assert_same()
    assert pair.on_b() == ["zrep_000001"]


def test_all_that_is_registered_here(fresh, host1: Host, host2: Host) -> None:
    """Replicas too; one that is in use does not stop the others."""
    assert ok(host2, "expire", "all") == (0, "", "no filesystem on host2 belongs to a pair with the tag 'zrep'\n")
    pairs = [ready_pair(fresh, host1, host2, base) for base in ("a", "b", "c")]
    for pair in pairs:
        pair.write("new\n")
        pair.sync(expire=False)
        host2.zfs("set", "zrep:savecount=1", pair.dest)
    ok(host2, "expire")
    assert pairs[0].on_b() == ["zrep_000000", "zrep_000001"]
    with held(host2, verbs=("destroy",)) as hold:
        first = start(host2, "expire", pairs[1].dest)
        hold.wait()
        said = say(host1, host2, "zrep expire all")
        assert said.returncode == 1
        assert pairs[1].dest in said.stderr
        assert pairs[0].on_b() == pairs[2].on_b() == ["zrep_000001"]
        hold.go()
        assert first.wait().status == 0
    assert pairs[1].on_b() == ["zrep_000001"]


@spoken
@pytest.mark.acceptance(47)
def test_case_47_a_takeover_of_the_script(fresh, host1: Host, host2: Host, tag: str, words: str) -> None:
    """Given N, when upstream on B runs takeover, then our A performs the failover: the script only asks for that."""
    pair = made(fresh, host1, host2, tag)
    for _number in range(2):
        assert accepted(host2, host1, f"zrep {words} failover {pair.fs}") == ""
        assert_in_place(turned(pair))
    assert_works(turned(pair))


@spoken
@pytest.mark.acceptance(46)
def test_case_46_a_failover_of_the_script(fresh, host1: Host, host2: Host, tag: str, words: str) -> None:
    """It steps down by itself, and then tells us to take over, without an answer to whatever we might ask."""
    pair = made(fresh, host1, host2, tag)
    script.failover(pair, dies_after="no master here")
    with without_a_word_back(host2, host1):
        for _number in range(2):
            assert accepted(host1, host2, f"zrep {words} takeover -L {pair.dest}") == ""
            assert_in_place(turned(pair))
    assert_works(turned(pair))


def test_there_and_back_with_the_script_at_one_end(pair: Pair) -> None:
    """Every other move is the script's."""
    now = pair
    for mover in (host_by_script, host_by_us, host_by_us, host_by_script):
        mover(now)
        now = turned(now)
        assert_in_place(now)
        if now.a is pair.b:
            script.refresh(now)
        else:
            script.sync(now)
        now.assert_same()


def host_by_script(pair: Pair) -> None:
    script.failover(pair, dies_after="no master here")
    accepted(pair.a, pair.b, f"zrep takeover -L {pair.dest}")


def host_by_us(pair: Pair) -> None:
    accepted(pair.b, pair.a, f"zrep failover {pair.fs}")


def test_what_nobody_says_is_refused(pair: Pair) -> None:
    before = pair.dump()
    for line in ("", "-t", "-x snaponly {fs}", "_refresh {fs}", "_refreshpull", "_refreshpull {fs}@a b c", "-R"):
        done = say(pair.b, pair.a, f"zrep {line.format(fs=pair.fs)}")
        assert done.returncode == 1
        assert done.stdout == ""
        assert re.match(r"zrep: ", done.stderr)
    assert pair.dump() == before
