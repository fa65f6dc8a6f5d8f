# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves of the master where the surroundings are not as usual, and moves that fail or are told to stop meanwhile."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.lab import Host
from tests.lab.processes import wait_until
from tests.system.moves import assert_in_place, daily, done, make_master, mounted, move, start_move, writing
from tests.system.pairs import FAIL, Pair, held, kill_module, local, ready_pair
from tests.system.product import start_module, zrep_failover, zrep_pair, zrep_sync

pytestmark = pytest.mark.system

GUARD_SECONDS = 30  # After so long a guard that heard nothing from its move has done its work.


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


# -- filesystems below -----------------------------------------------------------------------------------------


class Below:
    """Filesystems of the master's host below that of a pair: three that are mounted and one that is not."""

    def __init__(self, pair: Pair) -> None:
        self.host = pair.a
        self.mounted = [f"{pair.fs}/{name}" for name in ("child", "child/of it", "with a space")]
        self.apart = f"{pair.fs}/apart"
        for name in (*self.mounted, self.apart):
            self.host.zfs("create", name)
        self.host.zfs("unmount", self.apart)

    def as_before(self) -> bool:
        return all(mounted(self.host, name) for name in self.mounted) and not mounted(self.host, self.apart)


@pytest.fixture
def below(pair: Pair) -> Below:
    return Below(pair)


@pytest.mark.parametrize("at", ["a", "b"])
def test_what_is_mounted_below_stays_mounted(pair: Pair, below: Below, at: str) -> None:
    assert below.as_before()
    assert_in_place(move(pair, at))
    assert below.as_before()


@pytest.mark.parametrize("where", ["itself", "below"])
def test_what_is_mounted_below_somebody_who_writes_stays_mounted(pair: Pair, below: Below, where: str) -> None:
    log = f"/{pair.fs}/log" if where == "itself" else f"/{below.mounted[0]}/log"
    with writing(pair.a, log) as writer:
        refused = make_master(pair, "b", "a")
        assert refused.code == "in_use"
        assert refused["error"]["holders"] == [f"{writer.pid} (sh) {log}"]
        assert "already mounted" not in refused["msg"]
        assert below.as_before()
        writer.write("goes on")
    assert_in_place(pair)


@pytest.mark.parametrize(
    ("at", "command"),
    daily(
        [
            ("a", {"verbs": ("unmount",)}),
            ("b", {"verbs": ("mount",)}),
            ("a", {"verbs": ("mount",), "n": 2}),
            ("b", {"verbs": ("snapshot",)}),
        ]
    ),
    ids=str,
)
def test_what_is_mounted_below_is_so_after_a_move_that_failed(
    pair: Pair, below: Below, at: str, command: dict[str, Any]
) -> None:
    pair.a.intercept(FAIL, **command)
    assert make_master(pair, "b", at).failed
    pair.a.clear_faults()
    wait_until(below.as_before, "what is below is mounted")
    assert_in_place(pair)
    done(make_master(pair, "b", at))
    assert below.as_before()


def test_what_an_unmount_that_failed_took_away_is_mounted_again(pair: Pair, below: Below) -> None:
    """Who steps down alone has no guard, which would do that too."""
    pair.b.stop_sshd()
    pair.a.intercept('/run/lab/real/zfs "$@"; exit 1', verbs=("unmount",))
    refused = make_master(pair, "b", "a", force=True, diverged="discard")
    pair.a.clear_faults()
    pair.b.start_sshd()
    assert refused.failed
    assert below.as_before()
    assert_in_place(pair)


@pytest.mark.parametrize(("at", "number"), daily([("a", 1), ("b", 2), ("b", 1), ("a", 3)]))
def test_what_is_mounted_below_is_so_after_a_move_that_was_killed(
    pair: Pair, below: Below, at: str, number: int
) -> None:
    """With all that it had begun, before anything was mounted again, or in the middle of that."""
    with held(pair.a, verbs=("mount",), n=number, then="exit 1") as hold:
        kill_module(start_move(pair, "b", at), hold)
        wait_until(below.as_before, "what is below is mounted", GUARD_SECONDS)
    assert_in_place(pair)


def test_a_filesystem_that_is_in_use_by_nobody_knows_whom(pair: Pair) -> None:
    """No process has a file open: what is mounted inside keeps it from being unmounted."""
    inside = f"/{pair.fs}/inside"
    pair.a.run(f"mkdir {inside} && mount -t tmpfs none {inside}")
    refused = make_master(pair, "b", "a")
    pair.a.run(f"umount {inside}")
    assert refused.code == "in_use"
    assert refused["error"]["holders"] == []
    assert f"findmnt -R /{pair.fs}" in refused["error"]["hint"]
    assert "stop them" not in refused["msg"]
    assert_in_place(pair)


def test_a_filesystem_that_cannot_be_frozen_for_another_reason(pair: Pair) -> None:
    """Nobody is said to use it."""
    pair.a.intercept("echo 'permission denied' >&2; exit 1", verbs=("unmount",))
    refused = make_master(pair, "b", "a")
    pair.a.clear_faults()
    assert refused.code == "denied"
    assert "holders" not in refused["error"]
    assert_in_place(pair)


# -- told to stop ----------------------------------------------------------------------------------------------


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
