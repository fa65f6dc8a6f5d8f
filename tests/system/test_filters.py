# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams that pass programs of the user's: what arrives, and what is left where it does not.

The core is called with settings that name them. Streams that the replica fetches are those of a move started there, and
of a refresh.
"""

from __future__ import annotations

import itertools
import signal
import subprocess
from typing import Any

import pytest

from tests.lab import Host
from tests.system import product
from tests.system.core import WAYS, big_pair, both_hold_the_same, call, fetch, push, words
from tests.system.moves import LINK_GONE, daily, turned
from tests.system.pairs import Pair, guids, held, local

pytestmark = pytest.mark.system


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair with more to send than pipes hold."""
    return big_pair(fresh, host1, host2)


DIRECTIONS = pytest.mark.parametrize("way", WAYS)


@DIRECTIONS
def test_a_stream_passes_both_filters_each_on_its_host(pair: Pair, way: Any) -> None:
    said = way(pair, out_filter="gzip -c | tee /tmp/out.gz # small", in_filter="tee /tmp/in.gz |\ngzip -dc")
    assert said.well
    both_hold_the_same(pair)
    assert pair.on_b()[-1] == "zrep_000001"
    packed = [host.run(f"md5sum </tmp/{name}").stdout for host, name in ((pair.a, "out.gz"), (pair.b, "in.gz"))]
    assert packed[0] == packed[1]
    pair.a.run("gzip -t /tmp/out.gz")
    assert pair.a.run("ls /tmp/in.gz", check=False).returncode != 0
    assert pair.b.run("ls /tmp/out.gz", check=False).returncode != 0


@DIRECTIONS
@pytest.mark.parametrize("which", ["out_filter", "in_filter"])
def test_one_filter_is_enough(pair: Pair, way: Any, which: str) -> None:
    assert way(pair, **{which: "cat | cat"}).well
    both_hold_the_same(pair)


def test_the_first_copy_passes_them(fresh, host1: Host, host2: Host) -> None:
    pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))
    pair.write()
    more = {"peer": [host2.name, pair.dest], "options": {}}
    said = call(host1, "pair", pair.fs, more, out_filter="gzip -c", in_filter="tee /tmp/in.gz | gzip -dc")
    assert said.well
    both_hold_the_same(pair)
    host2.run("gzip -t /tmp/in.gz")


def test_two_datasets_of_one_host_have_both(fresh, host1: Host) -> None:
    pair = Pair(host1, fresh.create(host1), host1, fresh.name(host1, "copy"))
    pair.write()
    more = {"peer": [host1.name, pair.dest], "options": {}}
    assert call(host1, "pair", pair.fs, more, out_filter="gzip -c | tee /tmp/gz", in_filter="gzip -dc").well
    both_hold_the_same(pair)
    host1.run("gzip -t /tmp/gz")


FAILING = {
    "fails": ("false", "filter_failed", "exit status 1"),
    "reads all and fails": ("cat; exit 3", "filter_failed", "exit status 3"),
    "does not exist": ("no-such-program -c", "filter_failed", "cannot be run"),
    "is no command": ("gzip '", "filter_failed", "exit status 2"),
    "is killed": ("sh -c 'kill -9 $$'", "filter_failed", "signal 9"),
    "is denied": ("/etc/passwd", "filter_failed", "cannot be run"),
    "complains like zfs": ("sh -c 'echo permission denied >&2; exit 5'", "filter_failed", "exit status 5"),
    "takes only a part": ("head -c 100", None, ""),
    "takes a part and says nothing": ("head -c 100000; cat >/dev/null", "transfer_failed", "stream passed"),
    "changes something": ("tr a b", "transfer_failed", "stream passed"),
    "packs only": ("gzip -c", "transfer_failed", "stream passed"),
    "gives nothing": ("cat >/dev/null", "transfer_failed", "stream passed"),
}


@pytest.mark.parametrize(
    ("how", "which", "way"),
    daily(itertools.product(FAILING, ["out_filter", "in_filter"], WAYS), every=5),
)
def test_a_filter_that_fails_leaves_the_replica_as_it_was(pair: Pair, how: str, which: str, way: Any) -> None:
    text, code, said = FAILING[how]
    before = guids(pair.b, pair.dest), pair.marks()
    found = way(pair, **{which: text})
    failed = found.failed
    assert failed, "it went well"
    assert failed["code"] == code or (code is None and failed["code"] in ("filter_failed", "transfer_failed"))
    variable, host = ("ZREP_OUTFILTER", pair.a) if which == "out_filter" else ("ZREP_INFILTER", pair.b)
    for word in (variable, text, host.name, said, "zrep_000001_unsent"):
        assert word in failed["text"]
    if how == "reads all and fails":
        # What it passed on was whole, so it has arrived; the next run records that.
        assert pair.marks() == before[1]
    else:
        assert (guids(pair.b, pair.dest), pair.marks()) == before
    assert pair.on_a() == ["zrep_000000", "zrep_000001_unsent"]
    assert local(pair.a, pair.fs, "readonly") is None
    assert local(pair.a, pair.fs, "zrep:master") == "yes"
    # Nothing is in the way of the next one.
    assert push(pair).well
    both_hold_the_same(pair)


@DIRECTIONS
def test_a_receiver_that_refuses_is_no_fault_of_the_filters(pair: Pair, way: Any) -> None:
    """They fail because nobody takes what they give, each in its way."""
    pair.b.fill_pool()
    out = "python3 -c 'import sys, shutil; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)'"
    failed = way(pair, out_filter=out, in_filter="cat").failed
    assert failed["code"] == "pool_full", failed["text"]
    assert "zrep_000001_unsent" in failed["text"]
    pair.b.free_pool()
    assert push(pair).well


@DIRECTIONS
def test_a_sender_that_fails_is_no_fault_of_the_filters(pair: Pair, way: Any) -> None:
    pair.a.intercept("echo 'cannot send: I/O error' >&2; exit 1", verbs=("send",))
    failed = way(pair, out_filter="gzip -c", in_filter="gzip -dc").failed
    pair.a.clear_faults()
    assert failed["code"] == "transfer_failed"
    assert "'zfs send' failed: cannot send: I/O error" in failed["text"]
    assert pair.on_a()[-1] == "zrep_000001_unsent"


@DIRECTIONS
@pytest.mark.parametrize("where", ["a", "b"])
def test_no_zfs_is_told_from_no_filter(pair: Pair, way: Any, where: str) -> None:
    """What the shell says to both is the same."""
    host = pair.a if where == "a" else pair.b
    host.intercept("exit 127", verbs=("send", "receive"))
    failed = way(pair, out_filter="gzip -c", in_filter="gzip -dc").failed
    host.clear_faults()
    assert failed["code"] == "no_zfs"
    assert failed["host"] == host.name


@DIRECTIONS
def test_a_link_that_breaks_leaves_doubt_and_takes_nothing_back(pair: Pair, way: Any) -> None:
    peer, verb = (pair.b, "receive") if way is push else (pair.a, "send")
    peer.intercept(LINK_GONE, verbs=(verb,))
    failed = way(pair, out_filter="gzip -c", in_filter="gzip -dc").failed
    peer.clear_faults()
    peer.start_sshd()
    assert failed["code"] == "link_lost", failed["text"]
    assert pair.on_a()[-1] == "zrep_000001"
    assert push(pair).well
    both_hold_the_same(pair)


def test_one_that_outlives_its_killed_run_keeps_the_lock(pair: Pair) -> None:
    """Only the run dies. Its shell, its filter and its zfs still send, and nobody may work on the pair meanwhile."""
    product.install(pair.a)
    # More than the connection takes, so that the sender cannot end.
    pair.a.run(f"head -c 8000000 /dev/urandom >/{pair.fs}/bigger && sync /{pair.fs}/bigger")
    with held(pair.b, verbs=("receive",)) as hold:
        running = pair.a.popen(
            words("sync", pair.fs, {}, out_filter="cat"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        hold.wait()
        pair.a.run("kill -9 $(pgrep -of 'python3 -c .*run_sync')")
        assert push(pair).failed["code"] == "busy"
        hold.go()
        running.wait()
    pair.a.run("while pgrep -f '[z]fs send' >/dev/null; do :; done")
    assert push(pair).well
    both_hold_the_same(pair)


@pytest.mark.parametrize("way", ["sync", "takeover"])
def test_one_that_is_told_to_stop_leaves_no_programs(pair: Pair, way: str) -> None:
    """What it started here goes down with it, one after the other."""
    host, dataset = (pair.a, pair.fs) if way == "sync" else (pair.b, pair.dest)
    product.install(host)
    command = words(way, dataset, {}, out_filter="cat", in_filter="cat")
    with held(pair.b, verbs=("receive",)) as hold:
        running = host.popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        hold.wait()
        host.run("kill -TERM $(pgrep -of 'python3 -c .*run_sync')")
        hold.go()
        assert running.wait() == 128 + signal.SIGTERM
    for each in (pair.a, pair.b):
        each.run("while pgrep -f '[z]fs (send|receive)' >/dev/null; do :; done")
    assert push(pair).well
    both_hold_the_same(pair)


def test_a_move_back_passes_them_too(pair: Pair) -> None:
    """Whoever is the master by then: the filter belongs to the end of the stream, not to a host."""
    assert fetch(pair, out_filter="gzip -c", in_filter="gzip -dc").well
    now = turned(pair)
    now.write("new\n", "later")
    assert fetch(now, out_filter="gzip -c", in_filter="gzip -dc").well
    both_hold_the_same(turned(now))
