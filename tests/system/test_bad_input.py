# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a caller may get wrong, and peers that cannot be used: refused with a word, before anything changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.lab import MIB, Host
from tests.system.pairs import Pair, dump, ready_pair, refused
from tests.system.product import Result, run_module, zrep_info, zrep_pair, zrep_snapshot, zrep_sync

pytestmark = pytest.mark.system

BAD_NAMES = {
    "empty": "",
    "snapshot": "pool1/fs@snap",
    "bookmark": "pool1/fs#mark",
    "option": "-r",
    "space": "pool1/a b",
    "quote": "pool1/a'b",
    "double quote": 'pool1/a"b',
    "semicolon": "pool1/a;reboot",
    "newline": "pool1/a\nb",
    "substitution": "pool1/$(reboot)",
    "slash": "/pool1/a",
    "slashes": "pool1//a",
    "dots": "pool1/../a",
    "long": "pool1/" + "x" * 300,
    "accent": "pool1/ä",
}


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    return ready_pair(fresh, host1, host2)


def without_looking(host1: Host, host2: Host, calls: list[Callable[[], Result]]) -> None:
    """Calls that are refused before any zfs command is run or any host is asked."""
    with host1.trace() as here, host2.trace() as there:
        for call in calls:
            result = call()
            assert result.failed, result
            assert result.code == "bad_input", result["msg"]
            assert len(result["msg"]) < 500
    assert here.processes == there.processes == []
    assert there.connections == []


@pytest.mark.parametrize("kind", BAD_NAMES)
def test_names_of_filesystems(fresh, host1: Host, host2: Host, kind: str) -> None:
    name = BAD_NAMES[kind]
    good = fresh.name(host1)
    calls: list[Callable[[], Result]] = [
        lambda: zrep_pair(host1, filesystem=name, peer_host="host2", peer_filesystem="pool2/x"),
        lambda: zrep_pair(host1, filesystem=good, peer_host="host2", peer_filesystem=name),
        lambda: zrep_info(host1, filesystem=[name]),
        lambda: zrep_snapshot(host1, filesystem=[name]),
    ]
    if kind != "snapshot":
        calls.append(lambda: zrep_sync(host1, filesystem=[name]))
    without_looking(host1, host2, calls)


@pytest.mark.parametrize("name", ["-x", "a b", "a'b", "a;b", "a\nb", "a@b", "", "a/b", "$(reboot)"])
def test_names_of_snapshots(pair: Pair, name: str) -> None:
    calls: list[Callable[[], Result]] = [
        lambda: zrep_snapshot(pair.a, filesystem=[pair.fs], snapshot=name),
        lambda: zrep_snapshot(pair.a, filesystem=[pair.fs], state="sent", snapshot=name),
        lambda: zrep_pair(pair.a, filesystem=pair.fs, peer_host="host2", peer_filesystem=pair.dest, adopt=name),
    ]
    if name:
        calls.append(lambda: zrep_sync(pair.a, filesystem=[f"{pair.fs}@{name}"]))
    without_looking(pair.a, pair.b, calls)


@pytest.mark.parametrize("tag", ["", "-x", "A", "a:b", "a/b", "a@b", "a b", "a;b", "a\nb", "ä", "x" * 200])
def test_tags(host1: Host, host2: Host, tag: str) -> None:
    calls = [
        lambda: zrep_pair(host1, filesystem="pool1/x", peer_host="host2", peer_filesystem="pool2/x", tag=tag),
        lambda: zrep_sync(host1, filesystem="all", tag=tag),
    ]
    without_looking(host1, host2, calls)


@pytest.mark.parametrize("count", [0, -1, "text", "", "1.5", "5x", "0x10", "9" * 20])
def test_counts(host1: Host, host2: Host, count: object) -> None:
    place = {"filesystem": "pool1/x", "peer_host": "host2", "peer_filesystem": "pool2/x"}
    calls = [
        lambda: zrep_pair(host1, **place, savecount=count),
        lambda: zrep_pair(host1, **place, peer_savecount=count),
    ]
    if count != "":
        calls.append(lambda: zrep_pair(host1, **place, env={"ZREP_SAVE_COUNT": str(count)}))
    without_looking(host1, host2, calls)


@pytest.mark.parametrize(
    "options",
    [
        {"peer_host": "-oProxyCommand=reboot"},
        {"peer_host": "a b"},
        {"peer_host": "host2;reboot"},
        {"peer_host": ""},
        {"src_host": "-x"},
        {"src_host": "a b"},
        {"ssh": ""},
        {"ssh": "ssh 'open"},
        {"send_options": ["-R"]},
        {"send_options": ["; reboot"]},
        {"send_options": ["pool1/other"]},
        {"send_options": ["--exclude=x"]},
        {"peer_properties": {"a b": "c"}},
        {"peer_properties": {"-r": "c"}},
        {"create_properties": {"compression": ["on"]}},
    ],
    ids=str,
)
def test_other_options_of_a_pair(host1: Host, host2: Host, options: dict[str, Any]) -> None:
    place = {"filesystem": "pool1/x", "peer_host": "host2", "peer_filesystem": "pool2/x"}
    without_looking(host1, host2, [lambda: run_module(host1, "zrep_pair", {**place, **options})])


@pytest.mark.parametrize(
    "options",
    [
        {"parallel": 0},
        {"parallel": -1},
        {"parallel": 1000},
        {"max_age": -1},
        {"skip_busy": 29},
        {"filesystem": []},
        {"filesystem": ["all", "pool1/x"]},
    ],
    ids=str,
)
def test_other_options_of_a_sync(host1: Host, host2: Host, options: dict[str, Any]) -> None:
    without_looking(host1, host2, [lambda: run_module(host1, "zrep_sync", {"filesystem": "all", **options})])


def test_what_ansible_refuses(host1: Host) -> None:
    for result in (
        zrep_sync(host1),
        zrep_sync(host1, filesystem="all", direction="sideways"),
        zrep_sync(host1, filesystem="all", max_age="soon"),
        zrep_pair(host1, filesystem="pool1/x", state="present"),
        zrep_pair(host1, filesystem="pool1/x", state="gone"),
        zrep_snapshot(host1, filesystem="pool1/x", state="sent"),
        zrep_info(host1, unknown=1),
    ):
        assert result.failed


def test_a_filesystem_that_does_not_exist(pair: Pair, fresh) -> None:
    missing = fresh.name(pair.a, "missing")
    refused(pair, lambda: zrep_sync(pair.a, filesystem=[missing]), "not_found", missing)
    refused(pair, lambda: zrep_sync(pair.a, filesystem=[f"{missing}@x"]), "not_found", missing)
    refused(pair, lambda: zrep_snapshot(pair.a, filesystem=[missing]), "not_found", missing)
    for options in ({}, {"force": True}, {"adopt": "newest"}):
        refused(
            pair,
            lambda options=options: zrep_pair(
                pair.a, filesystem=missing, peer_host="host2", peer_filesystem="pool2/x", **options
            ),
            "not_found",
            missing,
        )


def test_roles(pair: Pair, fresh) -> None:
    elsewhere = {"peer_host": "host2", "peer_filesystem": fresh.name(pair.b, "elsewhere")}
    refused(pair, lambda: zrep_sync(pair.b, filesystem=[pair.dest]), "wrong_role", "host1")
    refused(pair, lambda: zrep_snapshot(pair.b, filesystem=[pair.dest]), "wrong_role")
    refused(pair, lambda: zrep_pair(pair.a, filesystem=pair.fs, **elsewhere), "paired_elsewhere", pair.dest)
    itself = {"peer_host": "host1", "peer_filesystem": pair.fs}
    refused(pair, lambda: zrep_pair(pair.a, filesystem=pair.fs, **itself), "bad_input", "own replica")
    plain = fresh.create(pair.a, "plain")
    taken = {"peer_host": "host2", "peer_filesystem": pair.dest}
    refused(pair, lambda: zrep_pair(pair.a, filesystem=plain, **taken), "exists")
    pair.b.zfs("set", "zrep:master=yes", pair.dest)
    refused(pair, pair.try_sync, "split_brain", "host1", "host2")
    refused(pair, lambda: zrep_pair(pair.a, filesystem=pair.fs, **taken), "split_brain")
    refused(pair, lambda: zrep_pair(pair.a, filesystem=plain, **taken, force=True), "exists", "master")


# -- peers that cannot be used ---------------------------------------------------------------------------------

UNKNOWN = "ssh -o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null"
OTHER_KEY = "ssh -o UserKnownHostsFile=/tmp/known -o GlobalKnownHostsFile=/dev/null"
NO_KEY = "ssh -o IdentityFile=/dev/null -o IdentitiesOnly=yes"


@pytest.mark.parametrize(
    ("ssh", "peer", "word"),
    [
        ("ssh", "nowhere.invalid", "resolve"),
        ("ssh -p 9", "host2", "port"),
        (UNKNOWN, "host2", "host key"),
        (OTHER_KEY, "host2", "host key"),
        (NO_KEY, "host2", "key"),
        ("ssh", "nobody-there@host2", "key"),
        ("ssh -o ConnectTimeout=1", "192.0.2.1", "reach"),
        ("/nowhere/ssh", "host2", "/nowhere/ssh"),
    ],
    ids=[
        "does not resolve",
        "refuses",
        "unknown key",
        "changed key",
        "asks for a password",
        "unknown user",
        "no route",
        "no ssh",
    ],
)
def test_peers_that_cannot_be_reached(pair: Pair, fresh, ssh: str, peer: str, word: str) -> None:
    key = pair.a.run("ssh-keygen -q -t ed25519 -N '' -f /tmp/other && cut -d' ' -f1,2 /tmp/other.pub").stdout
    pair.a.write_file("/tmp/known", f"host2 {key}")
    plain = fresh.create(pair.a, "plain")
    pair.a.zfs("set", f"zrep:dest-host={peer}", pair.fs)
    code = "no_zfs" if ssh == "/nowhere/ssh" else "unreachable"
    refused(pair, lambda: pair.try_sync(ssh=ssh), code, word)
    refused(
        pair,
        lambda: zrep_pair(pair.a, filesystem=plain, peer_host=peer, peer_filesystem="pool2/new", ssh=ssh),
        code,
        word,
    )
    refused(pair, lambda: zrep_snapshot(pair.a, filesystem=[pair.fs], state="expired", ssh=ssh), code, word)
    refused(pair, lambda: zrep_pair(pair.a, filesystem=pair.fs, state="absent", ssh=ssh), code, "local_only")


def test_a_peer_without_zfs_on_its_path(pair: Pair, fresh) -> None:
    """A user's PATH without /usr/sbin is how that happens."""
    pair.b.run("id someone >/dev/null 2>&1 || useradd -m -p '*' someone; mkdir -p ~someone/.ssh")
    pair.b.write_file("/home/someone/.ssh/authorized_keys", pair.a.run("cat /root/.ssh/*.pub").stdout)
    pair.b.run("chown -R someone: ~someone/.ssh")
    plain = fresh.create(pair.a, "plain")
    peer = {"peer_host": "someone@host2", "peer_filesystem": "pool2/new"}
    refused(pair, lambda: zrep_pair(pair.a, filesystem=plain, **peer), "no_zfs", "host2", "PATH")
    pair.a.zfs("set", "zrep:dest-host=someone@host2", pair.fs)
    refused(pair, pair.try_sync, "no_zfs", "host2", "PATH")
    pair.b.run(["userdel", "-r", "someone"], check=False)


def test_pools_that_are_missing_or_full(pair: Pair, fresh) -> None:
    plain = fresh.create(pair.a, "plain")
    pair.a.run(f"head -c {4 * MIB} /dev/urandom >/{plain}/big && sync /{plain}/big")
    pair.a.zfs("set", "my:commit=1", plain)

    def make(dest: str, **options: object) -> Result:
        return zrep_pair(pair.a, filesystem=plain, peer_host="host2", peer_filesystem=dest, **options)

    refused(pair, lambda: make("pool9/new"), "not_found", "pool9")
    refused(pair, lambda: make("pool2/missing/new"), "not_found", "pool2/missing")
    refused(pair, lambda: make("pool2", force=True), "exists", "pool")
    pair.b.fill_pool(leave=MIB)
    refused(pair, lambda: make("pool2/new"), "pool_full", "host2", "pool2")
    pair.b.free_pool()
    pair.b.fill_pool(leave=MIB)
    pair.a.run(f"head -c {4 * MIB} /dev/urandom >/{pair.fs}/big && sync /{pair.fs}/big")
    pair.a.zfs("set", "my:commit=1", pair.fs)
    refused(pair, pair.try_sync, "pool_full", "host2")
    before = dump(pair.b)
    pair.b.free_pool()
    assert dump(pair.b) != before
    pair.sync()
    pair.assert_same()
