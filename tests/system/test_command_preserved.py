# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What moves preserved, listed and given up: nothing else is ever destroyed."""

from __future__ import annotations

import time

import pytest

from tests.lab import Host
from tests.system.command import fails, ok, start, zrep
from tests.system.moves import turned
from tests.system.pairs import Pair, exists, held, local, ready_pair, snapshots, value

pytestmark = pytest.mark.system


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair of which the former master, host1, has its own content in a dataset beside it."""
    made = ready_pair(fresh, host1, host2)
    part(made)
    ok(host1, "failover", "--preserve", made.fs)
    assert snapshots(host1, copy(made))
    return turned(made)


def part(pair: Pair) -> None:
    """Have both sides be master, each with something of its own."""
    pair.write("only here\n", "old")
    ok(pair.b, "takeover", "-L", pair.dest)


def copy(pair: Pair, host: str = "host1") -> str:
    """The preserved dataset of the former master."""
    return f"{pair.fs if pair.a.name == host else pair.dest}_preserved_zrep_000000"


def prune(pair: Pair, *words: str, **options: object) -> dict:
    return ok(pair.b, "prune-preserved", "--json", *words, **options).json


def names(found: dict) -> list[str]:
    return [item["name"] for item in found["preserved"]]


# Listed


def test_without_force_it_is_only_listed(pair: Pair) -> None:
    before = pair.dump()
    said = ok(pair.b, "prune-preserved")
    assert said.out.startswith(f"{copy(pair)}  20")
    assert said.out.endswith(f" bytes  of host1:{pair.dest}\n")
    found = prune(pair)
    assert pair.dump() == before
    assert (found["changed"], found["actions"], found["failed_filesystems"]) == (False, [], [])
    (item,) = found["preserved"]
    assert item.pop("created_iso").endswith("Z")
    assert 0 <= item.pop("age_seconds") < 300
    assert time.time() - 300 < item.pop("created") <= time.time()
    assert item.pop("used") > 0
    assert item == {"name": copy(pair), "source": f"host1:{pair.dest}", "destroyed": False}


def test_the_other_side_and_another_tag_have_nothing_preserved(pair: Pair) -> None:
    assert ok(pair.a, "prune-preserved", "-f").out == ""
    assert ok(pair.b, "-t", "dc", "prune-preserved", "-f").out == ""
    assert exists(pair.b, copy(pair))


def test_operands_limit_what_is_meant(pair: Pair) -> None:
    pair.b.zfs("create", "pool1/other")
    assert names(prune(pair, pair.dest)) == names(prune(pair, copy(pair))) == [copy(pair)]
    assert names(prune(pair, "pool1/other", "-f")) == []
    assert exists(pair.b, copy(pair))
    assert "pool1/none: no such filesystem" in fails(pair.b, "prune-preserved", "pool1/none").err
    assert "no name that can be used" in fails(pair.b, "prune-preserved", "-f", "pool1/$(reboot)").err
    assert exists(pair.b, copy(pair))


def test_what_is_young_stays(pair: Pair) -> None:
    assert names(prune(pair, "-f", "--older-than", "1")) == []
    for days in ("x", "-1", "1.5", ""):
        assert "--older-than" in fails(pair.b, "prune-preserved", "-f", "--older-than", days).err
    assert exists(pair.b, copy(pair))
    assert names(prune(pair, "-f", "--older-than", "0")) == [copy(pair)]
    assert not exists(pair.b, copy(pair))


# Destroyed


@pytest.mark.parametrize("env", [{}, {"ZREP_LOCKS": "script"}], ids=["plain", "script locks"])
def test_with_force_it_is_destroyed_and_nothing_else(pair: Pair, env: dict[str, str]) -> None:
    before = pair.dump()
    found = prune(pair, "-f", env=env)
    assert [(item["name"], item["destroyed"]) for item in found["preserved"]] == [(copy(pair), True)]
    assert found["changed"]
    mine = (f"{copy(pair)}\t", f"{copy(pair)}@")
    kept = {host: [line for line in lines if not line.startswith(mine)] for host, lines in before.items()}
    assert pair.dump() == kept
    assert prune(pair, "-f")["changed"] is False
    pair.write("after\n")
    ok(pair.a, "sync", pair.fs)
    pair.assert_same()


def test_one_that_is_mounted_goes(pair: Pair) -> None:
    pair.b.zfs("mount", copy(pair))
    assert pair.b.read_file(f"/{copy(pair)}/old") == "only here\n"
    prune(pair, "-f")
    assert not exists(pair.b, copy(pair))


def test_one_that_somebody_looks_at_stays_whole(pair: Pair) -> None:
    pair.b.zfs("mount", copy(pair))
    before = pair.dump()
    user = pair.b.popen(f"cd /{copy(pair)} && exec sleep 300")
    said = fails(pair.b, "prune-preserved", "-f")
    assert "busy" in said.err
    assert pair.dump() == before
    user.kill()
    user.wait(10)
    pair.b.run("pkill sleep", check=False)
    prune(pair, "-f")
    assert not exists(pair.b, copy(pair))


def child(pair: Pair) -> None:
    pair.b.zfs("create", f"{copy(pair)}/child")


def clone(pair: Pair) -> None:
    pair.b.zfs("clone", f"{copy(pair)}@{snapshots(pair.b, copy(pair))[0]}", "pool1/mine")


def pair_of_its_own(pair: Pair) -> None:
    ok(pair.b, "changeconfig", "-f", copy(pair), "host2", "pool2/kept")


def pair_with_another_tag(pair: Pair) -> None:
    ok(pair.b, "-t", "dc", "changeconfig", "-f", copy(pair), "host2", "pool2/kept")


def about(pair: Pair) -> list[str]:
    """All that the host of the preserved dataset shows of it."""
    return sorted(line for line in pair.dump()["host1"] if copy(pair) in line)


@pytest.mark.parametrize(
    ("hang", "said"),
    [
        (child, "has others below it"),
        (clone, "has clones: pool1/mine"),
        (pair_of_its_own, "zfs inherit zrep:preserved-from"),
        (pair_with_another_tag, "one side of a pair by now: it has dc:dest-fs"),
    ],
)
def test_what_hangs_on_it_keeps_it_but_not_others(fresh, pair: Pair, hang, said: str) -> None:
    other = ready_pair(fresh, pair.b, pair.a, "other")
    part(other)
    ok(pair.b, "failover", "--preserve", other.fs)
    hang(pair)
    before = about(pair)
    refused = fails(pair.b, "prune-preserved", "-f")
    assert said in refused.err
    assert copy(pair) in refused.err
    assert about(pair) == before
    assert not exists(pair.b, copy(other))
    assert names(prune(pair)) == [copy(pair)]


def test_one_whose_mark_was_taken_off_is_anybodys(pair: Pair) -> None:
    pair.b.zfs("inherit", "zrep:preserved-from", copy(pair))
    before = pair.dump()
    assert names(prune(pair, "-f", copy(pair))) == []
    pair.b.zfs("set", f"zrep:preserved-from={pair.dest}@zrep_000000", "pool1")
    assert value(pair.b, copy(pair), "zrep:preserved-from") == f"{pair.dest}@zrep_000000"
    assert copy(pair) not in names(prune(pair))
    pair.b.zfs("inherit", "zrep:preserved-from", "pool1")
    assert pair.dump() == before


# While a move is under way


def test_a_move_of_the_filesystem_keeps_it(pair: Pair) -> None:
    lock = "/run/zrep/lock-zrep-" + pair.dest.replace("/", "%")
    holder = pair.b.popen(f"exec 9>>{lock}; flock 9; echo held; exec sleep 300", stdout=-1, text=True)
    assert holder.stdout.readline() == "held\n"
    before = pair.dump()
    assert "works on it" in fails(pair.b, "prune-preserved", "-f").err
    assert pair.dump() == before
    assert names(prune(pair)) == [copy(pair)]


def test_what_a_move_that_died_took_for_it_goes_too(fresh, host1: Host, host2: Host) -> None:
    pair = ready_pair(fresh, host1, host2)
    part(pair)
    with held(host1, verbs=("rollback",), then="exit 1") as hold:
        move = start(host1, "failover", "--preserve", pair.fs)
        hold.wait()
        move.signal()
        move.wait()
    taken = [short for short in snapshots(host1, pair.fs) if "_preserved_" in short]
    assert len(taken) == 1
    # A move that goes on would use it; given up before, nothing of the attempt is left.
    assert zrep(host1, "prune-preserved", "-f").status == 0
    assert not exists(host1, copy(pair))
    assert snapshots(host1, pair.fs) == ["zrep_000000"]
    assert local(host1, pair.fs, "zrep:master") == "yes"
    assert host1.read_file(f"/{pair.fs}/old") == "only here\n"
    ok(host1, "failover", "--preserve", pair.fs)
    host1.zfs("mount", copy(pair))
    assert host1.read_file(f"/{copy(pair)}/old") == "only here\n"
