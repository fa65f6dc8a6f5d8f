# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks, driven by the one variable that declares the pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import pytest

from tests.lab import Host, Lab
from tests.system.ansible import changes, run_playbook
from tests.system.pairs import dump, exists, local, snapshots

PRODFS = {
    "name": "prodfs",
    "master": {"host": "host1", "filesystem": "pool1/prodfs"},
    "replica": {"host": "host2", "filesystem": "pool2/prodfs"},
}
HOME = {
    "name": "home",
    "master": {"host": "host2", "filesystem": "pool2/home"},
    "replica": {"host": "host1", "filesystem": "pool1/home"},
    "savecount": 3,
    "tag": "zrep-home",
}


class Playbooks:
    """The playbooks of the collection with declared pairs, on hosts that reach each other and get nothing else."""

    roles: ClassVar[dict[str, object]] = {"zrep_roles": []}

    def __init__(self, lab: Lab, path: Path) -> None:
        self.lab = lab
        self.path = path

    def __call__(self, name: str, pairs: object, *options: str, ok: bool = True) -> str:
        self.path.write_text(json.dumps({"zrep_pairs": pairs, **self.roles}), encoding="utf-8")
        done = run_playbook(self.lab, f"zfsops.zrep.{name}", "-e", f"@{self.path}", *options)
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def playbook(lab: Lab, host1: Host, host2: Host, tmp_path: Path) -> Playbooks:
    host1.zfs("create", "pool1/prodfs")
    host2.zfs("create", "pool2/home")
    return Playbooks(lab, tmp_path / "pairs.json")


@pytest.mark.slow
def test_pair_makes_both_directions_and_then_changes_nothing(playbook: Playbooks, host1: Host, host2: Host) -> None:
    assert changes(playbook("pair", [PRODFS, HOME])) == 2
    assert local(host1, "pool1/prodfs", "zrep:master") == "yes"
    assert local(host2, "pool2/home", "zrep-home:savecount") == "3"
    assert exists(host1, "pool1/home@zrep-home_000000")
    before = dump(host1, host2)
    assert changes(playbook("pair", [PRODFS, HOME])) == 0
    assert dump(host1, host2) == before


def test_check_mode_changes_nothing(playbook: Playbooks, host1: Host, host2: Host) -> None:
    before = dump(host1, host2)
    assert changes(playbook("pair", [PRODFS], "--check", "--diff")) == 1
    assert dump(host1, host2) == before


@pytest.mark.slow
def test_sync_pushes_from_the_master_of_each_pair(playbook: Playbooks, host1: Host, host2: Host) -> None:
    playbook("pair", [PRODFS, HOME])
    assert changes(playbook("sync", [PRODFS, HOME])) == 2
    assert snapshots(host2, "pool2/prodfs") == ["zrep_000000", "zrep_000001"]
    assert snapshots(host1, "pool1/home") == ["zrep-home_000000", "zrep-home_000001"]
    assert changes(playbook("sync", [PRODFS, HOME], "-e", "zrep_sync_max_age=3600")) == 0


@pytest.mark.slow
def test_status_tells_each_pair_once_and_what_is_wrong(playbook: Playbooks, host1: Host, host2: Host) -> None:
    playbook("pair", [PRODFS, HOME])
    healthy = playbook("status", [PRODFS, HOME], "-e", "zrep_status_fail=true")
    assert healthy.count("host1:pool1/prodfs") == 1
    assert healthy.count("host2:pool2/home") == 1
    host2.zfs("set", "readonly=off", "pool2/prodfs")
    assert "replica_writable" in playbook("status", [PRODFS, HOME])
    assert "replica_writable" in playbook("status", [PRODFS, HOME], "-e", "zrep_status_fail=true", ok=False)


def test_status_of_a_pair_whose_replica_is_away(playbook: Playbooks, host1: Host, host2: Host) -> None:
    playbook("pair", [PRODFS])
    host2.stop_sshd()
    output = playbook("status", [PRODFS], "-e", "zrep_hosts=host1")
    assert "host1:pool1/prodfs" in output
    assert "unreachable" in output


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (None, "zrep_pairs"),
        ([{"name": "prodfs"}], "missing required arguments"),
        ([{**PRODFS, "savecuont": 3}], "savecuont"),
        ([{**PRODFS, "replica": {"host": "host9", "filesystem": "pool2/prodfs"}}], "host9"),
    ],
    ids=["nothing", "no sides", "misspelt key", "unknown host"],
)
@pytest.mark.parametrize("name", ["pair", "status"])
def test_nonsense_is_refused_before_any_host_is_touched(
    playbook: Playbooks, host1: Host, host2: Host, name: str, pairs: object, said: str
) -> None:
    before = dump(host1, host2)
    assert said in playbook(name, pairs, ok=False)
    assert dump(host1, host2) == before


@pytest.mark.slow
def test_streams_go_as_each_pair_says_in_all_playbooks(playbook: Playbooks, host1: Host, host2: Host) -> None:
    """A limit that cannot be kept shows that it was handed on; where it can, everything goes well."""
    limited = {**PRODFS, "rate_limit": "512M", "compress": "zstd", "buffer": "4M"}
    programs = ("pv", "mbuffer")
    for host in (host1, host2):
        for name in programs:
            host.run(f"mv /usr/bin/{name} /usr/bin/{name}.away")
    try:
        assert "rate_limit=512M cannot be kept" in playbook("pair", [limited, HOME], ok=False)
        assert not exists(host2, "pool2/prodfs")
        playbook("pair", [PRODFS, HOME])
        assert "rate_limit=512M cannot be kept" in playbook("sync", [limited, HOME], ok=False)
        assert snapshots(host1, "pool1/home") == ["zrep-home_000000", "zrep-home_000001"]
        move = playbook("failover", [limited], "-e", "zrep_confirm=yes", ok=False)
        assert "rate_limit=512M cannot be kept" in move
        assert local(host1, "pool1/prodfs", "zrep:master") == "yes"
    finally:
        for host in (host1, host2):
            for name in programs:
                host.run(f"mv /usr/bin/{name}.away /usr/bin/{name}")
    playbook("sync", [limited, HOME])
    playbook("failover", [limited], "-e", "zrep_confirm=yes")
    assert local(host2, "pool2/prodfs", "zrep:master") == "yes"
    playbook("sync", [limited])
