# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks for pairs with ``direction: pull``: the backup server works, and its client never connects to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import Host, Lab
from tests.system.ansible import changes
from tests.system.layouts import destroy, one_way
from tests.system.pairs import Pair, dump, exists, local, snapshots, value
from tests.system.test_move_playbooks import YES
from tests.system.test_playbooks import HOME, Playbooks

pytestmark = pytest.mark.system

CLIENT = {
    "name": "client",
    "master": {"host": "host1", "filesystem": "pool1/data"},
    "replica": {"host": "host2", "filesystem": "pool2/data-copy"},
    "direction": "pull",
    "savecount": 3,
    "replica_savecount": 9,
}


@pytest.fixture
def pair(host1: Host, host2: Host) -> Pair:
    made = Pair(host1, "pool1/data", host2, "pool2/data-copy")
    host1.zfs("create", made.fs)
    made.write()
    return made


@pytest.fixture
def playbook(lab: Lab, pair: Pair, host1: Host, tmp_path: Path):
    with one_way(host1):
        yield Playbooks(lab, tmp_path / "pairs.json")


@pytest.mark.slow
def test_made_and_synced_beside_a_pair_that_pushes(playbook: Playbooks, pair: Pair) -> None:
    pair.b.zfs("create", "pool2/home")
    before = dump(pair.a, pair.b)
    assert changes(playbook("pair", [CLIENT, HOME], "--check")) == 2
    assert dump(pair.a, pair.b) == before
    assert changes(playbook("pair", [CLIENT, HOME])) == 2
    assert (value(pair.a, pair.fs, "zrep:savecount"), value(pair.b, pair.dest, "zrep:savecount")) == ("3", "9")
    assert local(pair.a, pair.fs, "zrep:master") == "yes"
    assert changes(playbook("pair", [CLIENT, HOME])) == 0
    pair.write("new\n")
    assert changes(playbook("sync", [CLIENT, HOME])) == 1  # One host does both.
    pair.assert_same()
    assert snapshots(pair.a, "pool1/home") == ["zrep-home_000000", "zrep-home_000001"]
    assert changes(playbook("sync", [CLIENT, HOME], "-e", "zrep_sync_max_age=3600")) == 0


@pytest.mark.slow
def test_status_is_what_the_server_sees(playbook: Playbooks, pair: Pair) -> None:
    playbook("pair", [CLIENT])
    healthy = playbook("status", [CLIENT], "-e", "zrep_status_fail=true")
    assert healthy.count("host1:pool1/data") == 1
    pair.b.zfs("snapshot", f"{pair.dest}@own")
    pair.b.run(f"zfs set readonly=off {pair.dest} && zfs mount {pair.dest} && echo x >/{pair.dest}/x && sync")
    pair.b.zfs("snapshot", f"{pair.dest}@own2")
    sick = playbook("status", [CLIENT], "-e", "zrep_status_fail=true", ok=False)
    assert "replica_writable" in sick
    assert "diverged" in sick


@pytest.mark.slow
def test_moves_and_drills_are_made_by_the_server(playbook: Playbooks, pair: Pair) -> None:
    playbook("pair", [CLIENT])
    playbook("drill", [CLIENT])
    playbook("failover", [CLIENT], *YES, "-e", "zrep_to=host2")
    assert local(pair.b, pair.dest, "zrep:master") == "yes"
    assert changes(playbook("pair", [CLIENT])) == 0
    pair.b.write_file(f"/{pair.dest}/file", "on the server\n")
    assert changes(playbook("sync", [CLIENT])) == 1
    playbook("failover", [CLIENT], *YES)
    assert local(pair.a, pair.fs, "zrep:master") == "yes"
    assert pair.a.read_file(f"/{pair.fs}/file") == "on the server\n"
    assert changes(playbook("failover", [CLIENT], *YES, "-e", "zrep_to=host1")) == 0


@pytest.mark.slow
def test_a_client_that_was_away_comes_back(playbook: Playbooks, pair: Pair) -> None:
    playbook("pair", [CLIENT])
    playbook("takeover", [CLIENT], *YES, "-e", "zrep_to=host2")
    pair.write("what only the client has\n")
    pair.b.write_file(f"/{pair.dest}/file", "meanwhile\n")
    playbook("failback", [CLIENT], *YES, ok=False)
    playbook("failback", [CLIENT], *YES, "-e", "zrep_diverged=preserve", "-e", "zrep_failback_move=true")
    assert local(pair.a, pair.fs, "zrep:master") == "yes"
    assert local(pair.b, pair.dest, "zrep:master") is None
    assert pair.a.read_file(f"/{pair.fs}/file") == "meanwhile\n"
    assert changes(playbook("sync", [CLIENT])) == 1
    pair.assert_same()


@pytest.mark.slow
def test_the_server_returns_as_the_replica_of_a_client_that_stays(playbook: Playbooks, pair: Pair) -> None:
    playbook("pair", [CLIENT])
    playbook("takeover", [CLIENT], *YES, "-e", "zrep_to=host2")
    pair.write("what only the client has\n")
    playbook("failback", [CLIENT], *YES, "-e", "zrep_to=host1", "-e", "zrep_diverged=discard")
    assert local(pair.b, pair.dest, "zrep:master") is None
    pair.assert_same()


@pytest.mark.slow
def test_a_client_that_was_lost(playbook: Playbooks, pair: Pair) -> None:
    """takeover, pair, failover: the recipe of the documentation."""
    playbook("pair", [CLIENT])
    destroy(pair.a, pair.fs)
    playbook("takeover", [CLIENT], *YES, "-e", "zrep_to=host2")
    playbook("pair", [CLIENT])
    assert exists(pair.a, pair.fs)
    playbook("failover", [CLIENT], *YES, "-e", "zrep_to=host1")
    assert local(pair.a, pair.fs, "zrep:master") == "yes"
    assert pair.a.read_file(f"/{pair.fs}/file") == "text\n"
    assert changes(playbook("sync", [CLIENT])) == 1
    pair.assert_same()
    assert changes(playbook("pair", [CLIENT])) == 0
