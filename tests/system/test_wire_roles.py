# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script on the master's host pushes to us, and either end moves the roles.

Numbers are those of the behaviour reference's cases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab import Host
from tests.system import script
from tests.system.command import ok, start
from tests.system.moves import assert_in_place, assert_works, turned
from tests.system.pairs import Pair, held, ready_pair
from tests.system.wire import accepted, made, say, spoken

pytestmark = pytest.mark.system


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair with something new to send."""
    return made(fresh, host1, host2)


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


@pytest.mark.slow
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
