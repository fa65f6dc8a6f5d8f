# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams that are compressed, buffered and limited by the programs that the hosts have, and those that lack one."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.lab import Host
from tests.system import product
from tests.system.command import fails, install, ok, zrep
from tests.system.core import WAYS, big_pair, both_hold_the_same, call, fetch, pull, push, words
from tests.system.moves import LINK_GONE, assert_in_place, daily, make_master, turned
from tests.system.pairs import Pair, dump, guids, held
from tests.system.product import zrep_pair, zrep_sync

pytestmark = pytest.mark.system

MIB = 1 << 20
DIRECTIONS = pytest.mark.parametrize("way", WAYS)


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair with more to send than pipes hold."""
    return big_pair(fresh, host1, host2)


@contextmanager
def missing(host: Host, *names: str) -> Iterator[None]:
    """Programs are not installed on a host."""
    paths = [host.run(f"command -v {name}").stdout.strip() for name in names if host.run(f"command -v {name}").stdout]
    for path in paths:
        host.run(f"mv {path} {path}.away")
    try:
        yield
    finally:
        for path in paths:
            host.run(f"mv {path}.away {path}")


def sent_bytes(host: Host) -> int:
    """How many bytes a host has put on the network."""
    (line,) = [line for line in host.read_file("/proc/net/dev").splitlines() if "eth0:" in line]
    return int(line.partition(":")[2].split()[8])


# -- what arrives ------------------------------------------------------------------------------------------------


@DIRECTIONS
@pytest.mark.parametrize("compress", ["auto", "zstd", "lz4", "gzip"])
def test_what_is_compressed_arrives_as_it_was_and_is_less_on_the_wire(pair: Pair, way: Any, compress: str) -> None:
    pair.a.run(f"yes same | head -c 8000000 >/{pair.fs}/big; sync /{pair.fs}/big")
    before = sent_bytes(pair.a)
    said = way(pair, compress=compress)
    assert said.well
    assert said.warnings == []
    both_hold_the_same(pair)
    assert sent_bytes(pair.a) - before < 2_000_000


def test_what_is_not_compressed_is_all_on_the_wire(pair: Pair) -> None:
    """So that the test before can tell."""
    pair.a.run(f"yes same | head -c 8000000 >/{pair.fs}/big; sync /{pair.fs}/big")
    before = sent_bytes(pair.a)
    assert push(pair).well
    assert sent_bytes(pair.a) - before > 8_000_000


@DIRECTIONS
def test_all_of_them_together(pair: Pair, way: Any) -> None:
    more = {"out_filter": "tr ab ba", "in_filter": "tr ab ba"}
    said = way(pair, compress="zstd", buffer=16 * MIB, rate_limit=64 * MIB, **more)
    assert said.well
    assert said.warnings == []
    both_hold_the_same(pair)


@pytest.mark.parametrize("without", [(), ("pv",), ("mbuffer",)])
def test_the_limit_is_kept_by_a_program_that_stands_in_the_way(pair: Pair, without: tuple[str, ...]) -> None:
    """It is seen at work, with a stream that goes on as long as the test looks."""
    product.install(pair.a)
    pair.a.run(f"head -c 8000000 /dev/urandom >/{pair.fs}/bigger && sync /{pair.fs}/bigger")
    with missing(pair.a, *without), held(pair.b, verbs=("receive",)) as hold:
        running = pair.a.popen(
            words("sync", pair.fs, {}, rate_limit=50 * MIB), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        hold.wait()
        # The receiving command is held up as soon as it runs, the sending one may have to start yet.
        seen = pair.a.run("until pgrep -a -x 'pv|mbuffer'; do :; done").stdout
        hold.go()
        assert running.wait(60) == 0
    assert str(50 * MIB) in seen
    assert (" -R " in seen) == (without == ("pv",))
    both_hold_the_same(pair)


def test_the_first_copy_and_the_options_of_the_modules(fresh, host1: Host, host2: Host) -> None:
    pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))
    pair.a.run(f"yes same | head -c 8000000 >/{pair.fs}/big; sync /{pair.fs}/big")
    options = {"compress": "zstd", "buffer": "8M", "rate_limit": "100M"}
    asked = {"filesystem": pair.fs, "peer_host": host2.name, "peer_filesystem": pair.dest, **options}
    clean = dump(host1, host2)
    predicted = zrep_pair(host1, check=True, **asked)
    assert dump(host1, host2) == clean
    before = sent_bytes(host1)
    made = zrep_pair(host1, **asked)
    assert not made.failed, made["msg"]
    assert sent_bytes(host1) - before < 2_000_000
    assert (made.changed, made.actions) == (True, predicted.actions)
    pair.assert_same()
    again = zrep_pair(host1, **asked)
    assert (again.changed, again.get("warnings")) == (False, None)
    pair.write("new\n", "new")
    assert zrep_sync(host1, filesystem=[pair.fs], **options).changed
    assert not zrep_sync(host1, filesystem=[pair.fs], max_age=3600, **options).changed
    pair.assert_same()


@pytest.mark.parametrize("at", ["a", "b"])
def test_a_move_passes_them_whoever_starts_it(pair: Pair, at: str) -> None:
    result = make_master(pair, "b", at, compress="zstd", buffer="8M", rate_limit="100M")
    assert not result.failed, result["msg"]
    both_hold_the_same(turned(pair))
    assert_in_place(turned(pair))


def test_two_datasets_of_one_host(fresh, host1: Host) -> None:
    pair = Pair(host1, fresh.create(host1), host1, fresh.name(host1, "copy"))
    pair.write()
    more = {"peer": [host1.name, pair.dest], "options": {}}
    with missing(host1, "zstd"):
        said = call(host1, "pair", pair.fs, more, compress="zstd", buffer=MIB, rate_limit=64 * MIB)
    assert said.well
    assert said.warnings == []
    both_hold_the_same(pair)


def test_what_it_costs(pair: Pair) -> None:
    """No zfs process and no connection."""
    counted = []
    for options in ({}, {"compress": "zstd", "buffer": "8M", "rate_limit": "100M"}):
        pair.write(f"{options}\n", "new")
        with pair.a.trace() as here, pair.b.trace() as there:
            assert zrep_sync(pair.a, filesystem=[pair.fs], **options).changed
        counted.append((here.count(), there.count(), len(there.connections)))
    assert counted[0] == counted[1]


# -- a program is missing ----------------------------------------------------------------------------------------


@DIRECTIONS
@pytest.mark.parametrize("where", ["a", "b"])
def test_without_the_programs_streams_go_as_they_are_and_that_is_told(pair: Pair, way: Any, where: str) -> None:
    host = pair.a if where == "a" else pair.b
    with missing(host, "zstd", "mbuffer"):
        said = way(pair, compress="zstd", buffer=MIB)
    assert said.well
    both_hold_the_same(pair)
    assert len(said.warnings) == 2
    for words_, name in zip(said.warnings, ("compress=zstd", "buffer=1M"), strict=True):
        assert name in words_
        assert f"on {host.name}" in words_ or f"not installed on {host.name}" in words_


def test_what_is_predicted_is_told_too(pair: Pair) -> None:
    with missing(pair.b, "lz4"):
        predicted = zrep_sync(pair.a, check=True, filesystem=[pair.fs], compress="lz4")
        done = zrep_sync(pair.a, filesystem=[pair.fs], compress="lz4")
    assert predicted["warnings"] == done["warnings"]
    assert "lz4 is not installed on host2" in str(done["warnings"])
    assert predicted.actions == done.actions


@DIRECTIONS
def test_a_limit_that_cannot_be_kept_is_refused_and_nothing_changes(pair: Pair, way: Any) -> None:
    before = dump(pair.a, pair.b)
    with missing(pair.a, "pv", "mbuffer"):
        failed = way(pair, rate_limit=MIB).failed
    assert failed["code"] == "no_program", failed["text"]
    assert failed["host"] == pair.a.name
    assert failed["left"] == "nothing was changed"
    assert dump(pair.a, pair.b) == before
    # What the receiver has does not matter.
    with missing(pair.b, "pv", "mbuffer"):
        assert way(pair, rate_limit=64 * MIB).well


@pytest.mark.parametrize("at", ["a", "b"])
@pytest.mark.parametrize("check", [False, True])
def test_a_move_whose_limit_cannot_be_kept_is_refused(pair: Pair, at: str, check: bool) -> None:
    before = dump(pair.a, pair.b)
    with missing(pair.a, "pv", "mbuffer"):
        result = make_master(pair, "b", at, rate_limit="1M", check=check) if check else None
        result = result or make_master(pair, "b", at, rate_limit="1M")
    assert result.code == "no_program", result
    assert "othing was changed" in result["msg"]
    assert result["actions"] == []
    assert dump(pair.a, pair.b) == before
    assert_in_place(pair)


def test_a_prediction_fails_where_the_run_would(pair: Pair) -> None:
    before = dump(pair.a, pair.b)
    with missing(pair.a, "pv", "mbuffer"):
        results = [zrep_sync(pair.a, check=check, filesystem=[pair.fs], rate_limit="1M") for check in (True, False)]
        # Nothing is to be sent, so nothing has to be limited.
        assert not zrep_sync(pair.a, filesystem=[pair.fs], max_age=3600, rate_limit="1M").failed
    assert [result.code for result in results] == ["no_program"] * 2
    assert [result["actions"] for result in results] == [[], []]
    assert dump(pair.a, pair.b) == before


@pytest.mark.parametrize(
    "options",
    [{"buffer": "1M; touch /tmp/x"}, {"rate_limit": "$(touch /tmp/x)"}, {"buffer": "1"}, {"rate_limit": "1K"}],
)
def test_what_is_no_size_is_refused(pair: Pair, options: dict[str, str]) -> None:
    before = dump(pair.a, pair.b)
    result = zrep_sync(pair.a, filesystem=[pair.fs], **options)
    assert result.code == "bad_input"
    assert dump(pair.a, pair.b) == before
    assert pair.a.run("ls /tmp/x", check=False).returncode != 0


# -- failures ----------------------------------------------------------------------------------------------------

BROKEN = {
    "does not start": "#!/bin/sh\nexit 3\n",
    "fails half way": "#!/bin/sh\nhead -c 100000\nexit 4\n",
    "is killed": "#!/bin/sh\nhead -c 100000\nkill -9 $$\n",
}
PROGRAMS = {"zstd": {"compress": "zstd"}, "mbuffer": {"buffer": MIB}, "pv": {"rate_limit": 512 * MIB}}


@contextmanager
def broken(host: Host, name: str, text: str) -> Iterator[None]:
    path = f"/usr/local/sbin/{name}"
    host.write_file(path, text, 0o755)
    try:
        yield
    finally:
        host.run(["rm", path])


@pytest.mark.parametrize(
    ("how", "name", "where", "way"),
    daily([row for row in itertools.product(BROKEN, PROGRAMS, "ab", WAYS) if row[1:3] != ("pv", "b")], every=7),
)
def test_whichever_fails_the_transfer_has_failed_and_who_is_told(
    pair: Pair, how: str, name: str, where: str, way: Any
) -> None:
    """Each beside the two others."""
    host = pair.a if where == "a" else pair.b
    before = guids(pair.b, pair.dest), pair.marks()
    options: dict[str, Any] = {key: value for found in PROGRAMS.values() for key, value in found.items()}
    if name == "pv":
        del options["buffer"]  # Else mbuffer does that, too.
    with broken(host, name, BROKEN[how]):
        failed = way(pair, **options).failed
    assert failed, "it went well"
    assert failed["code"] == "filter_failed", failed["text"]
    assert (failed["host"], failed["message"].partition(",")[0]) == (host.name, name), failed["text"]
    assert (guids(pair.b, pair.dest), pair.marks()) == before
    assert pair.on_a() == ["zrep_000000", "zrep_000001_unsent"]
    assert push(pair).well
    both_hold_the_same(pair)


OPTIONS: dict[str, Any] = {"compress": "zstd", "buffer": MIB, "rate_limit": 512 * MIB}


@DIRECTIONS
def test_a_receiver_that_refuses_is_no_fault_of_theirs(pair: Pair, way: Any) -> None:
    pair.b.fill_pool()
    failed = way(pair, **OPTIONS).failed
    assert failed["code"] == "pool_full", failed["text"]
    pair.b.free_pool()
    assert push(pair, **OPTIONS).well


@DIRECTIONS
def test_a_sender_that_fails_is_no_fault_of_theirs(pair: Pair, way: Any) -> None:
    pair.a.intercept("echo 'cannot send: I/O error' >&2; exit 1", verbs=("send",))
    failed = way(pair, **OPTIONS).failed
    pair.a.clear_faults()
    assert failed["code"] == "transfer_failed"
    assert "'zfs send' failed: cannot send: I/O error" in failed["text"]


@DIRECTIONS
@pytest.mark.parametrize("options", [OPTIONS, {"rate_limit": 512 * MIB}], ids=["all", "limit"])
def test_a_link_that_breaks_is_told_as_such(pair: Pair, way: Any, options: dict[str, Any]) -> None:
    peer, verb = (pair.b, "receive") if way is push else (pair.a, "send")
    peer.intercept(LINK_GONE, verbs=(verb,))
    failed = way(pair, **options).failed
    peer.clear_faults()
    peer.start_sshd()
    assert failed["code"] == "link_lost", failed["text"]
    assert pair.on_a()[-1] == "zrep_000001"
    assert push(pair, **options).well
    both_hold_the_same(pair)


@pytest.mark.parametrize("way", ["sync", "takeover", "refresh"])
@pytest.mark.parametrize("number", [9, 15])
def test_one_that_is_killed_with_a_full_buffer_is_completed_by_the_next(pair: Pair, way: str, number: int) -> None:
    """What is in the buffers of one that was killed may arrive yet, whoever works on the pair then."""
    host, dataset = (pair.a, pair.fs) if way == "sync" else (pair.b, pair.dest)
    product.install(host)
    pair.a.run(f"head -c 8000000 /dev/urandom >/{pair.fs}/bigger && sync /{pair.fs}/bigger")
    with held(pair.b, verbs=("receive",)) as hold:
        running = host.popen(words(way, dataset, {}, **OPTIONS), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        hold.wait()
        host.run(f"kill -{number} $(pgrep -of 'python3 -c .*run_sync')")
        hold.go()
        running.wait(60)
    for each in (pair.a, pair.b):
        each.run("while pgrep -f '[z]fs (send|receive)' >/dev/null; do :; done")
    said = push(pair, **OPTIONS)
    assert said.well
    both_hold_the_same(pair)


# -- the command -------------------------------------------------------------------------------------------------


def test_the_command_has_variables_for_them(pair: Pair) -> None:
    env = {"ZREP_COMPRESS": "zstd", "ZREP_BUFFER": "8M", "ZREP_RATE_LIMIT": "100M"}
    pair.a.run(f"yes same | head -c 8000000 >/{pair.fs}/big; sync /{pair.fs}/big")
    before = sent_bytes(pair.a)
    ok(pair.a, "sync", pair.fs, env=env)
    assert sent_bytes(pair.a) - before < 2_000_000
    both_hold_the_same(pair)
    pair.write("new\n", "new")
    ok(pair.b, "refresh", pair.dest, env=env)
    both_hold_the_same(pair)
    shown = ok(pair.a, "config", env=env).out
    for name, value in env.items():
        assert any(name in line and value in line for line in shown.splitlines())


def test_the_command_warns_and_refuses_in_its_own_words(pair: Pair) -> None:
    with missing(pair.b, "zstd"):
        assert "ZREP_COMPRESS=zstd" in ok(pair.a, "sync", pair.fs, env={"ZREP_COMPRESS": "zstd"}).err
    before = dump(pair.a, pair.b)
    with missing(pair.a, "pv", "mbuffer"):
        said = fails(pair.a, "sync", pair.fs, env={"ZREP_RATE_LIMIT": "1M"})
    assert "ZREP_RATE_LIMIT=1M cannot be kept" in said.err
    assert "ZREP_RATE_LIMIT, environment" in fails(pair.a, "sync", pair.fs, env={"ZREP_RATE_LIMIT": "fast"}).err
    assert dump(pair.a, pair.b) == before


def test_progress_is_told_beside_them(pair: Pair) -> None:
    said = push(pair, progress=True, **OPTIONS)
    assert said.well
    assert said.err.startswith(f"sent {pair.fs}@zrep_000001 in ")


def test_a_stream_that_the_script_fetches_is_limited(pair: Pair) -> None:
    """It comes out of the command as it is otherwise; without a program for the limit nothing comes out."""
    install(pair.a)
    name = ok(pair.a, "snaponly", pair.fs).out.strip()
    plain = pair.a.run(f"zrep _refreshpull {name} | md5sum").stdout
    limited = pair.a.run(f"ZREP_RATE_LIMIT=512M zrep _refreshpull {name} | md5sum").stdout
    assert limited == plain
    with missing(pair.a, "pv", "mbuffer"):
        said = zrep(pair.a, "_refreshpull", name, env={"ZREP_RATE_LIMIT": "512M"})
    assert (said.status, said.out) == (1, "")
    assert "ZREP_RATE_LIMIT=512M" in said.err
    assert os.path.isabs(pair.a.run("command -v pv").stdout.strip())


@pytest.mark.parametrize("verb", [fetch, pull])
def test_streams_from_the_peer_are_limited_there(pair: Pair, verb: Any) -> None:
    """Which is where they leave a host."""
    with broken(pair.b, "pv", "#!/bin/sh\nexit 9\n"):
        assert verb(pair, rate_limit=512 * MIB).well
    both_hold_the_same(pair)
