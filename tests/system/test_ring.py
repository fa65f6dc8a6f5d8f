# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten hosts and forty pairs in a ring: what the playbooks do on a host depends on its own pairs alone."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.lab import Host, HostSpec, Lab
from tests.system.ansible import changes, playbook_command, playbook_environment
from tests.system.pairs import local, snapshots

# Eight playbooks, half of them on ten hosts: seven minutes with all roles.
pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(1800)]

LARGE = [f"ring{number}" for number in range(10)]
SMALL = [f"small{number}" for number in range(3)]
"""The least in which each host has two others that it shares pairs with, as in any larger ring."""
PAIRS = 4
ROLES = ["command", "trust", "schedule", "monitor"]
MIB = 1024 * 1024

Work = dict[str, tuple[int, int]]
"""By host: how many tasks it had, and how many items of their loops."""


class Ring:
    """Hosts of which each is the master of four pairs whose replicas are on the next."""

    def __init__(self, lab: Lab, names: list[str], path: Path, roles: list[str]) -> None:
        self.lab = lab
        self.hosts = [lab.hosts[name] for name in names]
        self.nexts = [*self.hosts[1:], self.hosts[0]]
        self.path = path
        path.mkdir()
        known = yaml.safe_load(lab.inventory_path.read_text(encoding="utf-8"))
        (group,) = known.values()
        group["hosts"] = {name: group["hosts"][name] for name in names}
        self._write("inventory.yml", known)
        self._write("variables.yml", {"zrep_pairs": self.pairs(), "zrep_roles": roles})

    def _write(self, name: str, content: object) -> None:
        (self.path / name).write_text(json.dumps(content), encoding="utf-8")

    def pairs(self) -> list[dict[str, object]]:
        """They are declared one after the other of each host, not by hosts, and all hosts call theirs the same."""
        return [
            {
                "name": f"{host.name}-{number}",
                "master": {"host": host.name, "filesystem": f"tank/own{number}"},
                "replica": {"host": following.name, "filesystem": f"tank/copy{number}"},
            }
            for number in range(PAIRS)
            for host, following in zip(self.hosts, self.nexts, strict=True)
        ]

    def __call__(self, name: str, *options: str) -> tuple[str, Work]:
        """Run a playbook on all of its hosts; what it said and how much it did."""
        command = playbook_command(self.lab, f"zfsops.zrep.{name}", "-e", f"@{self.path}/variables.yml", *options)
        command[command.index("-i") + 1] = str(self.path / "inventory.yml")
        done = subprocess.run(
            command,
            env={**playbook_environment(), "ANSIBLE_FORKS": "10", "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "true"},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr
        return done.stdout, work(done.stdout)


def work(output: str) -> Work:
    """What each host did, out of what a playbook said."""
    items = Counter(
        re.findall(r"^(?:ok|changed|skipping): \[([^]\s]+)(?: -> [^]]+)?\] => \(item=", output, re.MULTILINE)
    )
    recap = re.findall(r"^(\S+) +: ok=(\d+) .*skipped=(\d+) ", output, re.MULTILINE)
    assert recap, output
    return {name: (int(ok) + int(skipped), items[name]) for name, ok, skipped in recap}


def same(small: Work, large: Work) -> None:
    """No host of the large ring does more than one of the small. What is done once counts for the first of each."""
    assert len(large) - len(small) == len(LARGE) - len(SMALL)
    assert set(large.values()) == set(small.values())


@pytest.fixture(params=[[], ROLES], ids=["pairs alone", "all roles"])
def rings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Ring, Ring]]:
    """A small and a large one, without a host in common. With the role trust, its hosts have no keys before."""
    trust = "trust" not in request.param
    with Lab() as lab:
        lab.add_hosts(HostSpec(name, "tank", pool_size=128 * MIB, trust=trust) for name in (*SMALL, *LARGE))
        for name in (*SMALL, *LARGE):
            host = lab.hosts[name]
            for number in range(PAIRS):
                host.zfs("create", f"tank/own{number}")
        yield tuple(Ring(lab, names, tmp_path / names[0], request.param) for names in (SMALL, LARGE))


def test_work_on_a_host_does_not_grow_with_the_inventory(rings: tuple[Ring, Ring]) -> None:
    large = rings[1]
    first = [ring("pair") for ring in rings]
    same(*(done for _said, done in first))
    for host, following in zip(large.hosts, large.nexts, strict=True):
        for number in range(PAIRS):
            replicated(host, following, number)

    again = [ring("pair") for ring in rings]
    assert [changes(said) for said, _done in again] == [0, 0]
    same(*(done for _said, done in again))

    status = [ring("status", "-e", "zrep_status_fail=true") for ring in rings]
    same(*(done for _said, done in status))
    said = status[1][0]
    for pair in large.pairs():
        assert len(re.findall(rf"{pair['master']['host']}:{pair['master']['filesystem']}\b", said)) == 1

    synced = [ring("sync") for ring in rings]
    same(*(done for _said, done in synced))
    assert changes(synced[1][0]) == len(LARGE)


def replicated(host: Host, following: Host, number: int) -> None:
    """A pair of the ring is there."""
    assert local(host, f"tank/own{number}", "zrep:master") == "yes"
    assert local(following, f"tank/copy{number}", "zrep:src-host") == host.name
    assert snapshots(following, f"tank/copy{number}") == ["zrep_000000"]
