# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script on the replica's host pulls from us. Numbers are those of the behaviour reference's cases."""

from __future__ import annotations

import subprocess

import pytest

from tests.lab import Host
from tests.system import script
from tests.system.command import ok
from tests.system.pairs import Pair, files, guids, held, local, marks, snapshots
from tests.system.wire import accepted, goes_on, keep, made, say, spoken

pytestmark = pytest.mark.system


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair with something new to send."""
    return made(fresh, host1, host2)


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
