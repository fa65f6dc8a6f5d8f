# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves of the master where the surroundings are not as usual, and moves that are told to stop."""

from __future__ import annotations

import signal

import pytest

from tests.lab import Host
from tests.lab.processes import wait_until
from tests.system.pairs import Pair, held, local, ready_pair
from tests.system.product import start_module, zrep_failover, zrep_pair, zrep_sync

pytestmark = pytest.mark.system


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair that was synced once, with something new to send."""
    made = ready_pair(fresh, host1, host2)
    made.sync()
    made.write("more")
    return made


def writable(host: Host, path: str) -> bool:
    """Whether a file can be made in a folder."""
    return host.run(["touch", f"{path}/written"], check=False).returncode == 0


@pytest.mark.parametrize("force", [False, True])
def test_the_dataset_above_the_new_master_is_readonly(pair: Pair, force: bool) -> None:
    """A pool that is readonly as a whole must not make a master of a filesystem that nobody can write to."""
    place = f"/srv/{pair.dest.rpartition('/')[2]}"
    pair.b.zfs("set", f"mountpoint={place}", pair.dest)
    pair.b.zfs("set", "readonly=on", pair.b.pool)
    result = zrep_failover(pair.b, filesystem=pair.dest, role="master", force=force)
    assert not result.failed, result["msg"]
    assert writable(pair.b, place)
    assert not zrep_failover(pair.b, filesystem=pair.dest, role="master", force=force).changed
    pair.b.zfs("inherit", "readonly", pair.b.pool)


def test_a_peer_that_is_known_by_another_name(pair: Pair) -> None:
    """What an administrator typed as the peer's name stays the name to reach it by, and the pair works after a swap."""
    for command in (
        f"echo '{pair.b.address} backup' >>/etc/hosts",
        'sed -n "s/^host2,/backup,/p" /root/.ssh/known_hosts >>/root/.ssh/known_hosts.new',
        "cat /root/.ssh/known_hosts.new >>/root/.ssh/known_hosts; rm /root/.ssh/known_hosts.new",
    ):
        pair.a.run(command)
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        host.zfs("set", "zrep:dest-host=backup", dataset)
    assert not zrep_failover(pair.a, filesystem=pair.fs, role="replica").failed
    assert local(pair.a, pair.fs, "zrep:src-host") == "backup"
    assert local(pair.b, pair.dest, "zrep:src-host") == "host2"
    assert not zrep_failover(pair.b, filesystem=pair.dest, role="master").changed
    assert not zrep_sync(pair.b, filesystem=pair.dest).failed
    assert not zrep_failover(pair.a, filesystem=pair.fs, role="master").failed
    pair.write("again")
    pair.sync()
    pair.assert_same()
    pair.a.run("sed -i /backup/d /etc/hosts /root/.ssh/known_hosts")


def test_both_sides_on_one_host(fresh, host1: Host) -> None:
    one, other = fresh.create(host1, "local"), fresh.name(host1, "local-copy")
    assert not zrep_pair(host1, filesystem=one, peer_host="localhost", peer_filesystem=other).failed
    for master, replica in ((other, one), (one, other)):
        result = zrep_failover(host1, filesystem=master, role="master")
        assert not result.failed, result["msg"]
        assert (local(host1, master, "zrep:master"), local(host1, replica, "zrep:master")) == ("yes", None)
        assert writable(host1, f"/{master}")
        assert not writable(host1, f"/{replica}")
        assert not zrep_sync(host1, filesystem=master).failed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("start", ["a", "b"])
def test_a_move_that_is_told_to_stop_leaves_production_at_work(pair: Pair, start: str, number: int) -> None:
    host, filesystem, role = (pair.a, pair.fs, "replica") if start == "a" else (pair.b, pair.dest, "master")
    with held(pair.b, verbs=("receive",)) as hold:
        running = start_module(host, "zrep_failover", {"filesystem": filesystem, "role": role})
        hold.wait()
        assert not writable(pair.a, f"/{pair.fs}")
        running.signal(number)
        if start == "a":
            hold.go()
        running.wait()
    wait_until(lambda: writable(pair.a, f"/{pair.fs}"), "the master is writable again")
    assert local(pair.a, pair.fs, "zrep:master") == "yes"
    result = zrep_failover(host, filesystem=filesystem, role=role)
    assert not result.failed, result["msg"]
    assert local(pair.b, pair.dest, "zrep:master") == "yes"
