# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten hosts and forty pairs in a ring: what a host has to do comes from its own pairs, whatever else is declared."""

from __future__ import annotations

import pytest

from ansible_collections.zfsops.zrep.plugins.filter.monitored_sides import monitored_sides
from ansible_collections.zfsops.zrep.plugins.filter.schedule import schedule
from ansible_collections.zfsops.zrep.plugins.filter.sides import sides
from ansible_collections.zfsops.zrep.plugins.filter.status_table import status_table
from ansible_collections.zfsops.zrep.plugins.filter.syncs import syncs
from ansible_collections.zfsops.zrep.plugins.filter.trust import trust

HOSTS = [f"host{number}" for number in range(10)]


def ring(more: dict | None = None) -> list[dict]:
    return [
        {
            "name": f"{host}-{number}",
            "master": {"host": host, "filesystem": f"tank/own{number}"},
            "replica": {"host": HOSTS[(at + 1) % 10], "filesystem": f"tank/copy{number}"},
            **(more or {}),
        }
        for number in range(4)
        for at, host in enumerate(HOSTS)
    ]


def seen(pairs: list[dict], host: str) -> list[dict]:
    """What zrep_info says on a host."""
    return [
        {"filesystem": pair[side]["filesystem"], "tag": "zrep", "role": side}
        for pair in pairs
        for side in ("master", "replica")
        if pair[side]["host"] == host
    ]


FILTERS = {
    "sides": sides,
    "monitored_sides": monitored_sides,
    "schedule": schedule,
    "trust": trust,
    "syncs": lambda pairs, host: syncs(pairs, host, seen(pairs, host)),
}


@pytest.mark.parametrize("direction", ["push", "pull"])
@pytest.mark.parametrize("name", FILTERS)
def test_pairs_of_others_do_not_matter(name: str, direction: str) -> None:
    pairs = ring({"direction": direction})
    for host in HOSTS:
        own = [pair for pair in pairs if host in (pair["master"]["host"], pair["replica"]["host"])]
        assert len(own) == 8
        found = FILTERS[name](pairs, host)
        assert found
        assert found == FILTERS[name](own, host)


def test_each_host_has_the_same_to_do() -> None:
    pairs = ring()
    for host in HOSTS:
        (looked_at,) = sides(pairs, host)
        assert len(looked_at["filesystems"]) == 8
        (job,) = schedule(pairs, host)
        assert job["filesystems"] == looked_at["filesystems"]
        trusted = trust(pairs, host)
        assert len(trusted["peers"]) == len(trusted["reaches"]) == len(trusted["admits"]) == 2
        assert [len(admitted["pairs"]) for admitted in trusted["admits"]] == [4, 4]
        (sync,) = syncs(pairs, host, seen(pairs, host))
        assert len(sync["filesystems"]) == 4


# All hosts call their filesystems the same, so that only the names of hosts tell the pairs apart.


def told(pair: dict, side: str, **names: str) -> dict:
    """What the host of a side of a pair says of it."""
    other = {"master": "replica", "replica": "master"}[side]
    return {
        "role": side,
        "tag": "zrep",
        "host": pair[side]["host"],
        "filesystem": pair[side]["filesystem"],
        "peer_host": pair[other]["host"],
        "peer_filesystem": pair[other]["filesystem"],
        "problems": [{"code": side, "message": f"{side} of {pair['name']}"}],
        **names,
    }


def table(pairs: list[dict], away: tuple[str, ...] = (), **names: str) -> list[str]:
    sides_of = [(pair, side) for pair in pairs for side in ("master", "replica")]
    return status_table([told(pair, side, **names) for pair, side in sides_of if pair[side]["host"] not in away])


def test_each_pair_is_told_once_with_what_its_own_replica_says() -> None:
    pairs = ring()
    lines = table(pairs)
    rows = [line.split()[:2] for line in lines[1:41]]
    assert sorted(rows) == sorted(
        [f"{pair[side]['host']}:{pair[side]['filesystem']}" for side in ("master", "replica")] for pair in pairs
    )
    said = list(zip(lines[41::2], lines[42::2], strict=True))
    assert sorted(said) == sorted((f"! master of {pair['name']}", f"! replica of {pair['name']}") for pair in pairs)


def test_pairs_of_a_host_that_is_away_are_told_by_the_others() -> None:
    lines = table(ring(), away=("host3",))
    for number in range(4):
        assert any(line.startswith(f"host3:tank/own{number} ") for line in lines)
        assert f"! replica of host3-{number}" in lines


def test_hosts_may_know_each_other_by_other_names() -> None:
    (pair,) = [pair for pair in ring() if pair["name"] == "host0-0"]
    sides_of = {"master": "192.0.2.7", "replica": "zrep@192.0.2.8"}
    assert len(status_table([told(pair, side, peer_host=name) for side, name in sides_of.items()])) == 4
    short = {"master": {**pair["master"], "host": "host0.example.org"}}
    assert len(status_table([told({**pair, **short}, "master"), told(pair, "replica")])) == 4
