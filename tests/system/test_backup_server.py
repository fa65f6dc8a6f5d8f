# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup server that may connect to its client, and not the other way round.

Numbers are those of the behaviour reference's cases.
"""

from __future__ import annotations

import pytest

from tests.lab import Host
from tests.system import script
from tests.system.command import fails, install, ok, remove, zrep
from tests.system.layouts import cannot_connect, destroy, one_way
from tests.system.moves import assert_in_place, assert_works, turned
from tests.system.pairs import Pair, local, ready_pair, snapshots

pytestmark = pytest.mark.system


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair with something new to send; there is no zrep on the master's host."""
    made = ready_pair(fresh, host1, host2)
    remove(host1)
    made.write("more")
    return made


@pytest.mark.parametrize("pull", ["ours", "script"])
def test_a_pair_that_the_backup_server_makes(fresh, host1: Host, host2: Host, pull: str) -> None:
    """On B: init to A, failover to A; from then on refresh."""
    pair = Pair(host1, fresh.name(host1, "client"), host2, fresh.create(host2))
    install(host1)
    host2.write_file(f"/{pair.dest}/file", "text\n")
    with cannot_connect(host1):
        ok(host2, "init", pair.dest, host1.name, pair.fs)
        ok(host2, "failover", pair.dest)
        assert_in_place(pair)
        for number in range(3):
            pair.write(f"{number}\n")
            refresh(pair, pull)
            pair.assert_same()
    assert_in_place(pair)


def refresh(pair: Pair, who: str) -> None:
    if who == "ours":
        ok(pair.b, "refresh", pair.dest)
    else:
        script.refresh(pair)


@pytest.mark.acceptance(59)
@pytest.mark.parametrize("pull", ["ours", "script"])
def test_case_59_data_that_was_copied_by_hand(fresh, host1: Host, host2: Host, pull: str) -> None:
    """Given the steps of 8.7 "existing data", then refresh works; master is set on A by sentsync."""
    pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))
    pair.write()
    with cannot_connect(host1):
        host1.zfs("snapshot", f"{pair.fs}@zrep_000001")
        ok(host1, "changeconfig", "-f", pair.fs, host2.name, pair.dest)
        host2.run(f"ssh {host1.name} zfs send {pair.fs}@zrep_000001 | zfs receive -u {pair.dest}")
        ok(host2, "changeconfig", "-f", "-d", pair.dest, host1.name, pair.fs)
        if pull == "ours":
            # Whoever forgets what comes next gets his data all the same, and is told.
            pair.write("early\n")
            said = ok(host2, "refresh", pair.dest)
            assert f"{host1.name}:{pair.fs} is the source" in said.err
            pair.assert_same()
            assert local(host1, pair.fs, "zrep:master") is None
        newest = pair.on_a()[-1]
        ok(host1, "sentsync", "-L", f"{pair.fs}@{newest}")
        assert local(host1, pair.fs, "zrep:master") == "yes"
        host2.zfs("set", "readonly=on", pair.dest)
        for number in range(2):
            pair.write(f"{number}\n")
            refresh(pair, pull)
            pair.assert_same()
    assert_in_place(pair)
    assert_works(pair)


def test_snapshots_before_the_pair_is_complete(fresh, host1: Host, host2: Host) -> None:
    """The source may take them although it is not marked as master yet; a sync may not."""
    pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))
    ok(host1, "changeconfig", "-f", pair.fs, host2.name, pair.dest)
    assert ok(host1, "snaponly", pair.fs).out == f"{pair.fs}@zrep_000000\n"
    assert zrep(host1, "snaponly", "all").out == ""
    fails(host1, "sync", pair.fs)


def test_a_client_that_was_lost(fresh, host1: Host, host2: Host) -> None:
    """Its backup becomes the first copy of a new one."""
    pair = ready_pair(fresh, host1, host2)
    destroy(host1, pair.fs)
    again = Pair(host1, f"{pair.fs}-again", host2, pair.dest)
    with cannot_connect(host1):
        ok(host2, "clear", "-f", pair.dest)
        assert snapshots(host2, pair.dest) == []
        ok(host2, "init", pair.dest, host1.name, again.fs)
        ok(host2, "failover", pair.dest)
        again.write("new\n", "new")
        ok(host2, "refresh", pair.dest)
    again.assert_same()
    assert_in_place(again)
    assert host1.read_file(f"/{again.fs}/file") == "text\n"


def test_a_move_from_the_backup_server_and_back(pair: Pair) -> None:
    with cannot_connect(pair.a):
        ok(pair.b, "refresh", pair.dest)
        ok(pair.b, "takeover", pair.dest)
        assert_in_place(turned(pair))
        fails(pair.b, "refresh", pair.dest)
        ok(pair.b, "failover", pair.dest)
        pair.write("back\n")
        ok(pair.b, "refresh", pair.dest)
    pair.assert_same()
    assert_in_place(pair)


def test_that_nobody_tried_is_a_proof(host1: Host, host2: Host) -> None:
    with pytest.raises(AssertionError, match="tried to connect"), one_way(host1):
        host1.run(["ssh", host2.name, "true"], check=False)


@pytest.mark.slow
def test_pairs_that_are_made_by_pulling_and_refreshed_together(fresh, host1: Host, host2: Host) -> None:
    """init --pull, refresh all; then one is given up without a word to the others."""
    pairs = [Pair(host1, fresh.create(host1, name), host2, fresh.name(host2, name)) for name in ("one", "other")]
    remove(host1)
    with one_way(host1):
        for pair in pairs:
            pair.write()
            plan = ok(host2, "init", "--pull", "--dry-run", pair.dest, host1.name, pair.fs)
            assert f"would {host1.name}: snapshot {pair.fs}@zrep_000000" in plan.out
            ok(host2, "init", "--pull", "--savecount", "5", pair.dest, host1.name, pair.fs)
            assert_in_place(pair)
            assert "nothing to do" in ok(host2, "init", "--pull", pair.dest, host1.name, pair.fs).err
            pair.write("more\n")
        assert ok(host2, "refresh", "-q", "3600", "all").err == ""
        for pair in pairs:
            pair.assert_same()
            assert pair.on_b() == ["zrep_000000", "zrep_000001"]
        ok(host2, "refresh", "-c", pairs[0].dest)
        assert pairs[0].on_b() == ["zrep_000000", "zrep_000001"]
        ok(host2, "refresh", f"{pairs[0].dest}@zrep_000000")
        assert pairs[0].on_b() == ["zrep_000000"]
        destroy(host1, pairs[1].fs)
        said = fails(host2, "refresh", "all")
        assert pairs[1].fs in said.err
        pairs[0].assert_same()
        said = fails(host2, "init", "--pull", pairs[1].dest, host1.name, pairs[1].fs)
        assert f"zrep takeover -L {pairs[1].dest}" in said.err
        ok(host2, "takeover", "-L", pairs[1].dest)
        ok(host2, "init", "--pull", pairs[1].dest, host1.name, pairs[1].fs)
        ok(host2, "failover", pairs[1].dest)
        ok(host2, "refresh", "all")
        pairs[1].assert_same()
        assert_in_place(pairs[1])


def test_what_the_refusals_advise(pair: Pair) -> None:
    assert "zrep refresh" in fails(pair.b, "sync", pair.dest).err
    assert "no filesystem" in ok(pair.a, "refresh", "all").err
    assert ok(pair.a, "refresh", "-q", "60", "all").err == ""
    assert "all" in fails(pair.b, "refresh", "all", pair.dest).err
