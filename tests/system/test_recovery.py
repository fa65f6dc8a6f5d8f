# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Syncs that fail, are killed or lose their link: what is left, and that the next one goes on from there.

Numbers are those of the behaviour reference's acceptance cases.
"""

from __future__ import annotations

import signal

import pytest

from tests.lab import POWER_OFF, Host
from tests.lab.processes import wait_until
from tests.system import script
from tests.system.pairs import FAIL, Pair, dump, guids, held, kill_module, ready_pair, value
from tests.system.product import start_module

pytestmark = pytest.mark.system

LOSE_LINK = "pkill -KILL -f '^sshd: root'; exit 1"
LOST = "ssh -o ConnectTimeout=1"


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair that was synced once, with something new to send."""
    made = ready_pair(fresh, host1, host2)
    made.sync()
    made.write("more")
    return made


def options(pair: Pair) -> dict[str, object]:
    return {"filesystem": pair.fs, "tag": pair.tag}


# -- the peer cannot take it -----------------------------------------------------------------------------------


@pytest.mark.acceptance(17)
def test_case_17_both_sides_master(pair: Pair) -> None:
    """Given B reports local master=yes, when sync runs, then status 1 and no data is sent; (+) no snapshot or lock
    remains."""
    pair.b.zfs("set", "zrep:master=yes", pair.dest)
    before = pair.dump()
    for _attempt in range(2):
        assert pair.try_sync().code == "split_brain"
        assert pair.dump() == before
    assert pair.try_sync(force=True).code == "split_brain"
    assert pair.dump() == before


@pytest.mark.acceptance(18)
@pytest.mark.parametrize("how", ["refuses", "is silent", "is off"])
def test_case_18_the_peer_is_away(pair: Pair, how: str) -> None:
    """Given B unreachable, when sync runs, then status 1; (+) no new snapshot piles up per attempt."""
    before = pair.dump()
    if how == "refuses":
        pair.b.stop_sshd()
    elif how == "is silent":
        pair.b.cut()
    else:
        pair.b.kill()
    for _attempt in range(3 if how == "refuses" else 1):
        for more in ({}, {"script_locks": True}):
            refused = pair.try_sync(ssh=LOST, **more)
            assert refused.code == "unreachable"
            assert "host2" in refused["msg"]
            assert dump(pair.a) == {"host1": before["host1"]}
    if how == "is off":
        pair.b.boot()
    else:
        pair.b.start_sshd()
        pair.b.mend()
    assert dump(pair.b)["host2"][:30] == before["host2"][:30]
    pair.sync()
    assert pair.on_a() == pair.on_b() == ["zrep_000000", "zrep_000001", "zrep_000002"]


@pytest.mark.acceptance(19)
@pytest.mark.parametrize("keep", [True, False])
def test_case_19_the_receive_fails(pair: Pair, keep: bool) -> None:
    """Given receive fails, then A's new snapshot is renamed _unsent (or destroyed with ZREP_RENAME_UNSENT=no), status
    1, last sent unchanged."""
    sent, replica = pair.marks()[0], dump(pair.b)
    pair.b.intercept(FAIL, verbs=("receive",))
    result = pair.try_sync(env={} if keep else {"ZREP_RENAME_UNSENT": "no"})
    pair.b.clear_faults()
    assert result.code == "transfer_failed"
    assert "made to fail by the test" in result["msg"]
    assert pair.on_a() == ["zrep_000000", "zrep_000001", *(["zrep_000002_unsent"] if keep else [])]
    assert pair.marks()[0] == sent
    assert dump(pair.b) == replica


@pytest.mark.acceptance(20)
@pytest.mark.parametrize("by", ["us", "the script"])
def test_case_20_an_unsent_snapshot_goes_along_later(pair: Pair, by: str) -> None:
    """Given an _unsent snapshot from case 19, when the next sync succeeds with -I, then it is on B too under the
    suffixed name."""
    pair.b.intercept(FAIL, verbs=("receive",))
    if by == "us":
        assert pair.try_sync().failed
    else:
        with pytest.raises(script.ScriptFailed):
            script.sync(pair)
    pair.b.clear_faults()
    pair.sync()
    assert pair.on_b() == ["zrep_000000", "zrep_000001", "zrep_000002_unsent", "zrep_000003"]
    assert set(pair.marks()[1]) == {"zrep_000000", "zrep_000001", "zrep_000003"}
    pair.assert_same()
    script.sync(pair)


# -- the data arrived, the record did not ----------------------------------------------------------------------


def received(pair: Pair) -> list[str]:
    """Sync, which is expected to go well, and count the streams that the replica took."""
    with pair.b.trace() as seen:
        pair.sync()
    return [argv[1] for argv in seen.processes if argv[1] in ("receive", "rollback")]


@pytest.mark.acceptance(21)
def test_case_21_renamed_on_the_master_after_it_arrived(pair: Pair) -> None:
    """(+) Given the data arrived but A recorded failure (B has 000002, A has 000002_unsent, same GUID), when sync runs,
    then it recovers without -f and both are marked."""
    short = script.snaponly(pair)
    pair.a.run(f"zfs send -I {pair.fs}@zrep_000001 {pair.fs}@{short} | ssh host2 zfs receive {pair.dest}")
    pair.a.zfs("rename", f"{pair.fs}@{short}", f"{pair.fs}@{short}_unsent")
    assert received(pair) == ["receive"]
    assert pair.on_a() == pair.on_b() == [f"zrep_00000{number}" for number in range(4)]
    assert pair.marks()[0] == pair.marks()[1]
    assert set(pair.marks()[0]) == set(pair.on_a())
    pair.assert_same()


@pytest.mark.acceptance(22)
@pytest.mark.parametrize("tag", ["zrep", "dc"])
@pytest.mark.parametrize("where", ["before the mark there", "before the mark here"])
def test_case_22_killed_between_data_and_mark(fresh, host1: Host, host2: Host, tag: str, where: str) -> None:
    """(+) Given a crash after receive and before marking, with a custom tag, when sync runs, then it recovers."""
    pair = ready_pair(fresh, host1, host2, tag=tag)
    pair.write("more")
    host = host2 if where == "before the mark there" else host1
    # A current zfs marks and bookmarks by a program of its own.
    with held(host, verbs=("set", "program"), then="exit 1") as hold:
        kill_module(start_module(host1, "zrep_sync", options(pair)), hold)
    first = f"{tag}_000001"
    assert guids(host1, pair.fs)[first] == guids(host2, pair.dest)[first]
    assert first not in pair.marks()[0]
    # Nothing is sent twice: the next run records it, and sends what is new since.
    assert received(pair) == ["receive"]
    assert pair.on_a() == pair.on_b() == [f"{tag}_00000{number}" for number in range(3)]
    assert pair.marks()[0] == pair.marks()[1]
    pair.assert_same()


@pytest.mark.acceptance(22)
def test_case_22_recording_is_all_that_is_left_to_do(pair: Pair) -> None:
    """With a replica that is young enough once that is recorded, nothing at all is sent."""
    with held(pair.b, verbs=("set",), then="exit 1") as hold:
        kill_module(start_module(pair.a, "zrep_sync", options(pair)), hold)
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        for short in ("zrep_000000", "zrep_000001"):
            host.zfs("set", "zrep:sent=1000000000", f"{dataset}@{short}")
    with pair.b.trace() as seen:
        result = pair.sync(max_age=3600)
    assert seen.count("zfs", "receive") == 0
    assert [action for _host, action, _target in result.actions] == ["mark_sent", "mark_sent"]
    assert pair.on_a() == pair.on_b()
    assert pair.marks()[0] == pair.marks()[1]


@pytest.mark.parametrize("keep", [True, False])
def test_the_link_is_lost_after_the_data_arrived(pair: Pair, keep: bool) -> None:
    """Nobody could tell the master; it must not take back what arrived in a way that cannot be mended."""
    pair.b.intercept(LOSE_LINK, verbs=("receive",), when="after")
    assert pair.try_sync(rename_unsent=keep).failed
    pair.b.clear_faults()
    assert pair.on_b()[-1] == "zrep_000002"
    assert received(pair) == ["receive"]
    assert pair.marks()[0] == pair.marks()[1]
    pair.assert_same()


def test_a_lost_link_is_called_one(pair: Pair) -> None:
    pair.b.intercept(LOSE_LINK, verbs=("receive",), when="after")
    result = pair.try_sync()
    pair.b.clear_faults()
    assert result.code == "link_lost"


@pytest.mark.parametrize("n", range(1, 5))
def test_a_master_that_loses_its_power_goes_on_where_it_was(pair: Pair, n: int) -> None:
    """At its n-th changing command (snapshot, mark, destroy, destroy), with nothing written out."""
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        host.zfs("set", "zrep:savecount=1", dataset)
    pair.a.intercept(POWER_OFF, n=n)
    start_module(pair.a, "zrep_sync", options(pair)).wait()
    boot(pair.a)
    pair.write("and more")
    pair.sync()
    pair.assert_same()
    assert pair.on_a() == pair.on_b()


def boot(host: Host) -> None:
    """Turn a host on that has lost its power."""
    wait_until(lambda: not host.running, f"{host.name} is off")
    host.boot()
    host.clear_faults()


@pytest.mark.parametrize("n", range(1, 5))
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_at_any_command_of_the_replica(pair: Pair, n: int, number: int) -> None:
    """The n-th changing command there: receive, mark, destroy, destroy."""
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        host.zfs("set", "zrep:savecount=1", dataset)
    with held(pair.b, n=n, then="exit 1") as hold:
        kill_module(start_module(pair.a, "zrep_sync", options(pair)), hold, number)
    pair.sync()
    pair.assert_same()
    assert len(pair.on_b()) == 1
    # A send that is killed leaves its temporary holds behind on zfs-fuse, and what is held is never destroyed.
    *older, _last = pair.on_a()
    assert all(value(pair.a, f"{pair.fs}@{short}", "userrefs") != "0" for short in older)


def test_the_peer_loses_its_power_during_the_receive(pair: Pair) -> None:
    pair.b.intercept(POWER_OFF, verbs=("receive",), when="after")
    quick = "ssh -o ServerAliveInterval=1 -o ServerAliveCountMax=1 -o ConnectTimeout=1"
    assert pair.try_sync(ssh=quick).failed
    boot(pair.b)
    pair.sync()
    pair.assert_same()


def test_the_pool_of_the_replica_is_full(pair: Pair) -> None:
    pair.a.run(f"head -c 8000000 /dev/urandom >/{pair.fs}/big && sync /{pair.fs}/big")
    pair.b.fill_pool(leave=2000000)
    result = pair.try_sync()
    assert result.code == "pool_full"
    assert pair.on_b() == ["zrep_000000", "zrep_000001"]
    pair.b.free_pool()
    pair.sync()
    pair.assert_same()
