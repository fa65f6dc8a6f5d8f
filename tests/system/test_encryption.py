# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encrypted datasets: their streams are raw by themselves, and the replica's host needs no key until it takes over."""

from __future__ import annotations

import pytest

from tests.lab import Host
from tests.system.moves import assert_in_place, done, make_master, turned
from tests.system.pairs import Pair, guids, local, value
from tests.system.product import zrep_info, zrep_pair, zrep_snapshot

pytestmark = [pytest.mark.system, pytest.mark.needs("raw")]

KEY = "/root/lab.key"
ENCRYPTED = ("-o", "encryption=on", "-o", "keyformat=passphrase", "-o", f"keylocation=file://{KEY}")


@pytest.fixture
def source(fresh, host1: Host, host2: Host) -> str:
    """An encrypted filesystem on host1. host2 gets the key on demand."""
    host1.write_file(KEY, "correct horse battery\n")
    host2.run(f"rm -f {KEY}")
    name = fresh.name(host1)
    host1.zfs("create", *ENCRYPTED, name)
    host1.write_file(f"/{name}/file", "secret\n")
    return name


@pytest.fixture
def pair(fresh, source: str, host1: Host, host2: Host) -> Pair:
    pair = Pair(host1, source, host2, fresh.name(host2, "copy"))
    done(zrep_pair(host1, filesystem=pair.fs, peer_host=host2.name, peer_filesystem=pair.dest))
    return pair


def give_key(host: Host, *datasets: str) -> None:
    host.write_file(KEY, "correct horse battery\n")
    for dataset in datasets:
        host.zfs("load-key", dataset)


def assert_equal(pair: Pair) -> None:
    """Both sides end at the same snapshot."""
    assert list(guids(pair.a, pair.fs).values())[-1] == list(guids(pair.b, pair.dest).values())[-1]


def test_a_host_without_the_key_holds_the_replica(pair: Pair) -> None:
    """Made and synced raw, also while the master has no key; a planned move there is refused with the reason."""
    assert value(pair.b, pair.dest, "encryption") == value(pair.a, pair.fs, "encryption") != "off"
    assert value(pair.b, pair.dest, "keystatus") == "unavailable"
    pair.write("more\n")
    pair.sync()
    assert_equal(pair)
    pair.a.zfs("unmount", pair.fs)
    pair.a.zfs("unload-key", pair.fs)
    pair.sync()
    assert_equal(pair)
    pair.a.zfs("load-key", pair.fs)
    pair.a.zfs("mount", pair.fs)
    before = pair.dump()
    for check in (True, False):
        refused = make_master(pair, "b", "b", check=check)
        assert refused.code == "key_absent"
        assert f"zfs load-key {pair.dest}" in refused["msg"]
    assert pair.dump() == before
    give_key(pair.b, pair.dest)
    now = turned(pair)
    done(make_master(pair, "b", "b"))
    assert_in_place(now)
    assert pair.b.read_file(f"/{pair.dest}/file") == "more\n"
    now.write("from b\n")
    now.sync()
    assert_equal(now)
    done(make_master(now, "b", "a"))
    assert_in_place(pair)
    assert pair.a.read_file(f"/{pair.fs}/file") == "from b\n"


def test_a_takeover_without_the_key_says_what_it_takes(pair: Pair) -> None:
    """The role counts; what nobody can read waits for its key. Then the old master returns, and nothing is lost."""
    pair.write("mine\n")
    taken = done(make_master(pair, "b", "b", force=True))
    assert any(
        f"zfs load-key {pair.dest} && zfs mount {pair.dest}" in warning for warning in map(str, taken["warnings"])
    )
    assert local(pair.b, pair.dest, "zrep:master") == "yes"
    assert value(pair.b, pair.dest, "mounted") == "no"
    give_key(pair.b, pair.dest)
    pair.b.zfs("mount", pair.dest)
    pair.b.write_file(f"/{pair.dest}/other", "theirs\n")
    back = done(make_master(pair, "b", "a", diverged="preserve"))
    copy = back["preserved"]
    assert value(pair.a, copy, "encryption") != "off"
    pair.a.zfs("mount", copy)
    assert pair.a.read_file(f"{value(pair.a, copy, 'mountpoint')}/file") == "mine\n"
    now = turned(pair)
    now.sync()
    assert_equal(now)
    assert pair.a.read_file(f"/{pair.fs}/other") == "theirs\n"


@pytest.mark.slow
def test_a_drill_needs_the_key(pair: Pair) -> None:
    """Refused before a clone is made; with the key it is as ever."""
    before = pair.dump()
    refused = zrep_snapshot(pair.b, filesystem=pair.dest, state="cloned")
    assert refused.code == "key_absent"
    assert f"zfs load-key {pair.dest}" in refused["msg"]
    assert pair.dump() == before
    give_key(pair.b, pair.dest)
    made = done(zrep_snapshot(pair.b, filesystem=pair.dest, state="cloned"))
    assert pair.b.read_file(f"{made['clone']['mountpoint']}/file") == "secret\n"
    done(zrep_snapshot(pair.b, filesystem=pair.dest, state="drilled", result="passed", seconds=1))


def test_a_replica_that_came_plain_stays_plain(fresh, source: str, host1: Host, host2: Host) -> None:
    """Adopted as it stands; what would mix both, or needs a key that is not there, is refused."""
    pair = Pair(host1, source, host2, fresh.name(host2, "copy"))
    host1.zfs("snapshot", f"{pair.fs}@first")
    host1.run(f"zfs send {pair.fs}@first | ssh {host2.name} zfs receive -u {pair.dest}")
    done(zrep_pair(host1, filesystem=pair.fs, peer_host=host2.name, peer_filesystem=pair.dest, adopt="newest"))
    assert value(host2, pair.dest, "encryption") == "off"
    pair.write("plain\n")
    pair.sync()
    pair.assert_same()
    refused = pair.try_sync(send_options=["-w"])
    assert refused.code == "bad_input"
    assert "do not mix" in refused["msg"]
    host1.zfs("unmount", pair.fs)
    host1.zfs("unload-key", pair.fs)
    assert pair.try_sync().code == "key_absent"
    assert_equal(pair)


@pytest.mark.slow
def test_each_dataset_of_a_tree_as_it_is(fresh, host1: Host, host2: Host, source: str) -> None:
    """A plain root with an encrypted child, whose key the other host does not have."""
    root = fresh.create(host1, "tree")
    pair = Pair(host1, root, host2, fresh.name(host2, "copy"))
    host1.zfs("create", *ENCRYPTED, f"{root}/secret")
    host1.zfs("create", f"{root}/plain")
    options = {"peer_host": host2.name, "peer_filesystem": pair.dest, "recursive": True}
    done(zrep_pair(host1, filesystem=root, **options))
    for name in ("secret", "plain"):
        host1.write_file(f"/{root}/{name}/file", f"{name}\n")
    pair.sync()
    for name, status in (("secret", "unavailable"), ("plain", "-")):
        assert_equal(Pair(host1, f"{root}/{name}", host2, f"{pair.dest}/{name}"))
        assert value(host2, f"{pair.dest}/{name}", "keystatus") == status
    refused = make_master(pair, "b", "a")
    assert refused.code == "key_absent"
    assert f"zfs load-key {pair.dest}/secret" in refused["msg"]
    assert not zrep_info(host1, filesystem=[root], check_peer=True)["problems"]
    taken = done(make_master(pair, "b", "b", force=True))
    assert any(f"zfs load-key {pair.dest}/secret" in warning for warning in map(str, taken["warnings"]))
    assert value(host2, f"{pair.dest}/secret", "mounted") == "no"
