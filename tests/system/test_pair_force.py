# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A destination that exists, and copies that fail: nothing that was there is lost."""

from __future__ import annotations

import pytest

from tests.lab import MIB, Host
from tests.system.pairs import FAIL, dump, exists, guids, held, kill_module, local, make_pair, marks, snapshots
from tests.system.product import Result, start_module, zrep_pair, zrep_sync

pytestmark = pytest.mark.system


@pytest.fixture
def occupied(fresh, host2: Host) -> str:
    """A destination that has content, snapshots and a child with snapshots; not mounted, as a replica is."""
    dest = fresh.create(host2, "dest")
    host2.write_file(f"/{dest}/precious", "precious\n")
    host2.zfs("snapshot", f"{dest}@daily-1")
    host2.zfs("create", f"{dest}/child")
    host2.write_file(f"/{dest}/child/precious", "precious too\n")
    host2.zfs("snapshot", f"{dest}/child@daily-1")
    host2.zfs("unmount", dest)
    return dest


def create(host1: Host, source: str, dest: str, **options: object) -> Result:
    return zrep_pair(host1, filesystem=source, peer_host="host2", peer_filesystem=dest, **options)


@pytest.mark.acceptance(57)
@pytest.mark.parametrize("empty", [True, False])
def test_case_57_an_existing_destination_is_refused(
    fresh, host1: Host, host2: Host, occupied: str, empty: bool
) -> None:
    """Given an existing destination, when init runs without force, then it fails and nothing changes on either side."""
    source, dest = fresh.create(host1), fresh.create(host2, "empty") if empty else occupied
    before = dump(host1, host2)
    result = create(host1, source, dest)
    assert result.code == "exists"
    assert dest in result["msg"]
    assert dump(host1, host2) == before


def test_force_moves_the_old_destination_aside_whole(fresh, host1: Host, host2: Host, occupied: str) -> None:
    source = fresh.create(host1)
    kept = guids(host2, occupied), guids(host2, f"{occupied}/child")
    result = create(host1, source, occupied, force=True)
    assert not result.failed, result["msg"]
    aside = [name for name in host2.zfs("list", "-H", "-o", "name").split() if name.startswith(f"{occupied}_replaced_")]
    assert [name.endswith("/child") for name in aside] == [False, True]
    assert (guids(host2, aside[0]), guids(host2, aside[1])) == kept
    host2.zfs("mount", aside[1])
    assert host2.read_file(f"/{aside[1]}/precious") == "precious too\n"
    assert snapshots(host2, occupied) == ["zrep_000000"]
    again = create(host1, source, occupied, force=True)
    assert not again.changed


def assert_untouched(host2: Host, before: dict[str, list[str]]) -> None:
    """What was on the peer is there as it was, under its old names, and nothing else is."""
    assert dump(host2)["host2"] == before["host2"]


@pytest.mark.acceptance(58)
def test_case_58_the_receive_is_refused(fresh, host1: Host, host2: Host, occupied: str) -> None:
    """(+) Given init with force onto an existing destination (with children and snapshots) and the receive is refused
    or breaks off, then nothing on the destination is destroyed."""
    source = fresh.create(host1)
    before = dump(host1, host2)
    host2.intercept(FAIL, verbs=("receive",))
    result = create(host1, source, occupied, force=True)
    host2.clear_faults()
    assert result.failed
    assert_untouched(host2, before)
    assert dump(host1) == {"host1": before["host1"]}
    assert not create(host1, source, occupied, force=True).failed


@pytest.mark.acceptance(58)
def test_case_58_a_mounted_destination_goes_back_too(fresh, host1: Host, host2: Host, occupied: str) -> None:
    source = fresh.create(host1)
    for number in range(3):
        dest = fresh.create(host2, f"mounted{number}")
        host2.zfs("create", f"{dest}/child")
        before = dump(host1, host2)
        host2.intercept(FAIL, verbs=("receive",))
        result = create(host1, source, dest, force=True)
        host2.clear_faults()
        assert result.failed
        assert dump(host1, host2) == before


@pytest.mark.acceptance(58)
def test_case_58_the_pool_runs_full(fresh, host1: Host, host2: Host, occupied: str) -> None:
    source = fresh.create(host1)
    host1.run(f"head -c {8 * MIB} /dev/urandom >/{source}/big && sync /{source}/big")
    host1.zfs("snapshot", f"{source}@settle")
    before = dump(host1, host2)
    host2.fill_pool(leave=4 * MIB)
    result = create(host1, source, occupied, force=True)
    host2.free_pool()
    assert result.code == "pool_full"
    assert_untouched(host2, before)
    assert dump(host1) == {"host1": before["host1"]}


@pytest.mark.acceptance(58)
def test_case_58_the_pool_runs_full_during_the_stream(fresh, host1: Host, host2: Host, occupied: str) -> None:
    source = fresh.create(host1)
    host1.run(f"head -c {8 * MIB} /dev/urandom >/{source}/big && sync /{source}/big")
    host1.zfs("snapshot", f"{source}@settle")
    before = dump(host1, host2)
    reserve = "/run/lab/real/zfs create -o mountpoint=none -o reservation=357M pool2/other"
    host2.intercept(reserve, verbs=("receive",))
    result = create(host1, source, occupied, force=True)
    host2.clear_faults()
    assert result.failed
    assert exists(host2, "pool2/other")
    host2.zfs("destroy", "pool2/other")
    assert_untouched(host2, before)
    assert dump(host1) == {"host1": before["host1"]}


@pytest.mark.acceptance(58)
@pytest.mark.parametrize("when", ["before", "after"])
def test_case_58_the_link_breaks(fresh, host1: Host, host2: Host, occupied: str, when: str) -> None:
    """The connection is lost before or after the data arrived: nothing is lost, and the same call completes it."""
    source = fresh.create(host1)
    old = guids(host2, occupied), guids(host2, f"{occupied}/child")
    host2.intercept("pkill -KILL -f '^sshd: root'; exit 1", verbs=("receive",), when=when)
    result = create(host1, source, occupied, force=True)
    host2.clear_faults()
    assert result.failed
    names = [name for name in host2.zfs("list", "-H", "-o", "name").split() if name.startswith(occupied)]
    assert old in [(guids(host2, name), guids(host2, f"{name}/child")) for name in names if f"{name}/child" in names]
    result = create(host1, source, occupied, force=True)
    assert not result.failed, result["msg"]
    names = [name for name in host2.zfs("list", "-H", "-o", "name").split() if name.startswith(occupied)]
    assert old in [(guids(host2, name), guids(host2, f"{name}/child")) for name in names if f"{name}/child" in names]
    assert local(host1, source, "zrep:master") == "yes"
    assert not zrep_sync(host1, filesystem=source).failed


@pytest.mark.acceptance(58)
def test_case_58_the_module_is_killed_during_the_receive(fresh, host1: Host, host2: Host, occupied: str) -> None:
    source = fresh.create(host1)
    old = guids(host2, occupied), guids(host2, f"{occupied}/child")
    with held(host2, verbs=("receive",), then="exit 1") as hold:
        options = {"filesystem": source, "peer_host": "host2", "peer_filesystem": occupied, "force": True}
        kill_module(start_module(host1, "zrep_pair", options), hold)
    result = zrep_pair(host1, **options)
    assert not result.failed, result["msg"]
    names = [name for name in host2.zfs("list", "-H", "-o", "name").split() if name.startswith(occupied)]
    assert old in [(guids(host2, name), guids(host2, f"{name}/child")) for name in names if f"{name}/child" in names]
    assert not zrep_sync(host1, filesystem=source).failed


def test_a_failed_creation_without_force_leaves_nothing(fresh, host1: Host, host2: Host) -> None:
    source = fresh.create(host1)
    before = dump(host1, host2)
    host2.intercept(FAIL, verbs=("receive",))
    assert create(host1, source, fresh.name(host2)).failed
    host2.clear_faults()
    assert dump(host1, host2) == before


@pytest.mark.parametrize("n", range(1, 12))
def test_a_creation_killed_anywhere_is_completed_by_the_same_call(fresh, host1: Host, host2: Host, n: int) -> None:
    """Killed before its n-th changing command on the master; the last numbers lie behind its end."""
    source, dest = fresh.create(host1), fresh.name(host2)
    options = {"filesystem": source, "peer_host": "host2", "peer_filesystem": dest}
    host1.intercept("kill -9 $PPID; exit 1", n=n)
    running = start_module(host1, "zrep_pair", options)
    running.wait()
    host1.clear_faults()
    result = zrep_pair(host1, **options)
    assert not result.failed, result["msg"]
    assert local(host1, source, "zrep:master") == "yes"
    assert snapshots(host1, source) == snapshots(host2, dest) == ["zrep_000000"]
    assert marks(host1, source) == marks(host2, dest)
    assert local(host2, dest, "readonly") == "on"
    assert not zrep_pair(host1, **options).changed


@pytest.mark.parametrize("n", range(1, 8))
def test_a_creation_killed_during_the_peers_nth_command_is_completed(fresh, host1: Host, host2: Host, n: int) -> None:
    source, dest = fresh.create(host1), fresh.name(host2)
    options = {"filesystem": source, "peer_host": "host2", "peer_filesystem": dest}
    with held(host2, n=n, then="exit 1") as hold:
        kill_module(start_module(host1, "zrep_pair", options), hold)
    result = zrep_pair(host1, **options)
    assert not result.failed, result["msg"]
    assert local(host1, source, "zrep:master") == "yes"
    assert guids(host1, source) == guids(host2, dest)
    assert local(host2, dest, "readonly") == "on"
    assert marks(host1, source) == marks(host2, dest)


def test_the_replica_was_destroyed(fresh, host1: Host, host2: Host) -> None:
    """state=present makes it anew, in full."""
    pair = make_pair(fresh, host1, host2)
    pair.sync()
    host2.zfs("destroy", "-r", pair.dest)
    refused = pair.try_sync()
    assert refused.code == "not_found"
    assert "zrep_pair" in refused["msg"]
    result = create(host1, pair.fs, pair.dest)
    assert not result.failed, result["msg"]
    pair.sync()
    pair.assert_same()
    assert not create(host1, pair.fs, pair.dest).changed
