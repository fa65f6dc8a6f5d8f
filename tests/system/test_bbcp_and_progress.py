# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams that bbcp moves, and what people are told about streams."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest

from tests.lab import Host
from tests.system import product
from tests.system.core import WAYS, big_pair, both_hold_the_same, push, words
from tests.system.pairs import Pair, exists, guids, held, snapshots

pytestmark = pytest.mark.system


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair with more to send than pipes hold."""
    return big_pair(fresh, host1, host2)


DIRECTIONS = pytest.mark.parametrize("way", WAYS)

# -- bbcp --------------------------------------------------------------------------------------------------------

# In the place of bbcp, which is not in Debian: with -N io its source and target are programs, one of them on another
# host. As bbcp does, it parts their words at blanks, looks for a host up to the first slash, and minds how both end.
BBCP = """#!/usr/bin/python3
import re, subprocess, sys
*options, flag, io, source, target = sys.argv[1:]
assert (flag, io) == ("-N", "io"), sys.argv
with open("/tmp/bbcp", "a") as log:
    log.write(" ".join(options) + "|" + source + "|" + target + "\\n")
def command(spec):
    host, program = re.match(r"(?:([^/:]*):)?(.*)", spec).groups()
    return (["ssh", host] if host else []) + program.split(" ")
sender = subprocess.Popen(command(source), stdout=subprocess.PIPE)
receiver = subprocess.Popen(command(target), stdin=sender.stdout, stdout=subprocess.DEVNULL)
sender.stdout.close()
sys.exit(17 if receiver.wait() or sender.wait() else 0)
"""


@pytest.fixture
def bbcp(pair: Pair) -> None:
    for host in (pair.a, pair.b):
        host.write_file("/usr/local/bin/bbcp", BBCP, 0o755)


@DIRECTIONS
def test_bbcp_moves_a_stream(pair: Pair, bbcp: None, way: Any) -> None:
    said = way(pair, bbcp="bbcp -s 8", out_filter="false")
    assert said.well
    both_hold_the_same(pair)
    assert said.warnings == ["BBCP moves the streams, so they do not pass ZREP_OUTFILTER"]
    host = pair.a if way is push else pair.b
    options, source, target = host.read_file("/tmp/bbcp").strip().split("|")
    assert options == "-s 8"
    sending = f"zfs send -I {pair.fs}@zrep_000000 {pair.fs}@zrep_000001"
    receiving = f"zfs receive -u {pair.dest}"
    if way is push:
        assert (source, target) == (sending, f"{pair.b.name}:{receiving}")
    else:
        assert (source, target) == (f"{pair.a.name}:{sending}", receiving)


@DIRECTIONS
@pytest.mark.parametrize("how", ["the receiver refuses", "it fails", "it lies", "it does not exist"])
def test_bbcp_that_moved_nothing(pair: Pair, bbcp: None, way: Any, how: str) -> None:
    before = guids(pair.b, pair.dest), pair.marks()
    program = {"it fails": "false", "it lies": "true", "it does not exist": "no-such-bbcp"}.get(how, "bbcp")
    if how == "the receiver refuses":
        pair.b.fill_pool()
    failed = way(pair, bbcp=program).failed
    if how == "the receiver refuses":
        pair.b.free_pool()
        assert failed["code"] == "pool_full"
    else:
        assert failed["code"] == ("no_zfs" if how == "it does not exist" else "transfer_failed")
        assert program in failed["text"] or "did not arrive" in failed["text"]
    assert "zrep_000001_unsent" in failed["text"]
    assert (guids(pair.b, pair.dest), pair.marks()) == before
    assert pair.on_a() == ["zrep_000000", "zrep_000001_unsent"]
    assert push(pair, bbcp="bbcp").well
    both_hold_the_same(pair)


# -- progress ----------------------------------------------------------------------------------------------------


def test_in_a_log_each_stream_is_a_line(pair: Pair) -> None:
    """This zfs cannot say how much it is."""
    said = push(pair, progress=True)
    assert said.well
    (line,) = said.err.splitlines()
    assert line.startswith(f"sent {pair.fs}@zrep_000001 in ")
    assert push(pair).err == ""


def test_on_a_terminal_a_long_stream_is_told(pair: Pair) -> None:
    """As long as it takes the test to see it."""
    product.install(pair.a)
    other, screen = os.openpty()
    with held(pair.b, verbs=("receive",)) as hold, os.fdopen(other, "rb", buffering=0) as seen:
        running = pair.a.popen(
            words("sync", pair.fs, {}, progress=True),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=screen,
        )
        hold.wait()
        shown = b""
        while b"so far" not in shown:
            shown += seen.read(1000)
        hold.go()
        assert running.wait(60) == 0
        os.write(screen, b"END\n")
        os.close(screen)
        while not shown.endswith(b"END\r\n"):
            shown += seen.read(1000)
    assert shown.startswith(f"\r{pair.fs}: ".encode())
    # The line is gone.
    assert shown.rpartition(b"so far")[2].rstrip(b"END\r\n").strip(b"\r ") == b""
    assert exists(pair.b, f"{pair.dest}@zrep_000001")
    assert snapshots(pair.b, pair.dest)[-1] == "zrep_000001"
