# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties that somebody changed to nonsense, or worse, on either side: refused by name, and never executed."""

from __future__ import annotations

import pytest

from tests.lab import CommandFailed, Host
from tests.system.pairs import Pair, dump, ready_pair
from tests.system.product import zrep_info, zrep_pair, zrep_snapshot, zrep_sync

pytestmark = pytest.mark.system

# Each would leave a file behind if a shell got hold of it.
HOSTILE = {
    "substitution": "$(touch /tmp/executed)",
    "semicolon": "x; touch /tmp/executed",
    "quote": "x'`touch /tmp/executed`'",
    "option": "-oProxyCommand=touch /tmp/executed",
    "newline": "x\ntouch /tmp/executed",
    "tab": "x\ttouch",
    "row": "x\tlocal\npool2\ttype\tfilesystem\t-",
    "long": "A" * 8192,
    "snapshot": "pool2/x@y",
    "nothing": " ",
}
NAMES = ("src-fs", "src-host", "dest-fs", "dest-host", "savecount")


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair with something to send."""
    made = ready_pair(fresh, host1, host2)
    made.write("more")
    return made


def bend(host: Host, target: str, name: str, value: str) -> None:
    """Set a property; as much of the value as this zfs takes."""
    try:
        host.zfs("set", f"{name}={value}", target)
    except CommandFailed:
        host.zfs("set", f"{name}={value[:1000]}", target)


def refuses_everything(pair: Pair, name: str, host: Host) -> None:
    """No module changes anything or runs what is in the property; each says which property it is, and where."""
    before = dump(pair.a, pair.b)
    here = {"filesystem": pair.fs}
    results = [
        zrep_sync(pair.a, **here),
        zrep_sync(pair.a, **here, force=True),
        zrep_snapshot(pair.a, **here, state="expired"),
    ]
    if name != "savecount":
        results.append(zrep_pair(pair.a, **here, peer_host="host2", peer_filesystem=pair.dest))
    for result in results:
        assert result.failed
        assert result.code in ("bad_property", "wrong_role", "paired_elsewhere"), result["msg"]
        assert f"zrep:{name}" in result["msg"] or result.code != "bad_property"
        assert host.name in result["msg"]
        assert len(result["msg"]) < 1000
    assert any(f"zrep:{name}" in result["msg"] for result in results)
    told = zrep_info(pair.a, **here, check_peer=True)
    if told.failed:
        assert f"zrep:{name}" in told["msg"]
    else:
        assert any(f"zrep:{name}" in problem["message"] for problem in told["pairs"][0]["problems"])
    zrep_sync(pair.a, filesystem="all")
    assert dump(pair.a, pair.b) == before
    for each in (pair.a, pair.b):
        assert each.run(["test", "-e", "/tmp/executed"], check=False).returncode == 1


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_names_of_the_destination_there(pair: Pair, kind: str) -> None:
    """On a replica, the sender of the stream wrote the properties."""
    bend(pair.b, pair.dest, "zrep:dest-fs", HOSTILE[kind])
    refuses_everything(pair, "dest-fs", pair.b)


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_names_of_the_destination_here(pair: Pair, kind: str) -> None:
    bend(pair.a, pair.fs, "zrep:dest-host", HOSTILE[kind])
    refuses_everything(pair, "dest-host", pair.a)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side", ["here", "there"])
@pytest.mark.parametrize("kind", ["semicolon", "row"])
def test_each_property_on_each_side(pair: Pair, name: str, side: str, kind: str) -> None:
    host, dataset = (pair.a, pair.fs) if side == "here" else (pair.b, pair.dest)
    bend(host, dataset, f"zrep:{name}", HOSTILE[kind])
    refuses_everything(pair, name, host)


@pytest.mark.parametrize("side", ["here", "there"])
def test_a_count_that_is_nonsense_is_no_pair_as_it_should_be(pair: Pair, side: str) -> None:
    host, dataset = (pair.a, pair.fs) if side == "here" else (pair.b, pair.dest)
    bend(host, dataset, "zrep:savecount", "many")
    result = zrep_pair(pair.a, filesystem=pair.fs, peer_host="host2", peer_filesystem=pair.dest)
    assert result.code == "bad_property"


@pytest.mark.parametrize("side", ["here", "there"])
@pytest.mark.parametrize("mark", ["yesterday", "-1", "$(touch /tmp/executed)", "1\n2"])
def test_marks_that_are_no_times(pair: Pair, side: str, mark: str) -> None:
    host, dataset = (pair.a, pair.fs) if side == "here" else (pair.b, pair.dest)
    bend(host, f"{dataset}@zrep_000000", "zrep:sent", mark)
    refuses_everything(pair, "sent", host)


@pytest.mark.parametrize("value", ["maybe", "no", "yes; touch /tmp/executed"])
def test_a_master_that_is_neither_yes_nor_absent_is_none(pair: Pair, value: str) -> None:
    bend(pair.b, pair.dest, "zrep:master", value)
    pair.sync()
    bend(pair.a, pair.fs, "zrep:master", value)
    before = pair.dump()
    assert pair.try_sync().code == "wrong_role"
    assert pair.dump() == before


@pytest.mark.parametrize("value", ["abc", "-1", "99999999999999999999", "$(touch /tmp/executed)"])
def test_locks_that_are_no_process(pair: Pair, value: str) -> None:
    bend(pair.a, pair.fs, "zrep:lock-pid", value)
    bend(pair.a, pair.fs, "zrep:lock-time", value)
    pair.sync()
    pair.assert_same()
    assert pair.a.run(["test", "-e", "/tmp/executed"], check=False).returncode == 1


def test_values_to_set_reach_zfs_as_they_are(pair: Pair) -> None:
    """What is no name is quoted, not refused: a property of the user's own may hold anything."""
    value = "a 'b' \"c\" $(touch /tmp/executed) `touch /tmp/executed` ; \\ * ~ -x"
    result = zrep_pair(
        pair.a, filesystem=pair.fs, peer_host="host2", peer_filesystem=pair.dest, peer_properties={"my:note": value}
    )
    assert not result.failed, result["msg"]
    assert pair.b.zfs("get", "-H", "-o", "value", "my:note", pair.dest).rstrip("\n") == value
    for host in (pair.a, pair.b):
        assert host.run(["test", "-e", "/tmp/executed"], check=False).returncode == 1


def test_foreign_snapshots_with_any_name(pair: Pair) -> None:
    """They are of no concern: names with spaces and the like are left alone and go along."""
    pair.a.zfs("snapshot", f"{pair.fs}@a b:c_d-e.f")
    pair.sync()
    pair.assert_same()
    assert "a b:c_d-e.f" in pair.on_b()
