# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands against a move is said before anything changes: all of it at once, and what to do about it.

Numbers are those of the behaviour reference's acceptance cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lab import MIB, Host
from tests.system import command
from tests.system.moves import (
    assert_in_place,
    assert_works,
    daily,
    done,
    live,
    make_master,
    move,
    side,
    turned,
)
from tests.system.pairs import Pair, dump, exists, ready_pair, refused
from tests.system.product import Result, zrep_failover, zrep_snapshot

pytestmark = pytest.mark.system


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    return ready_pair(fresh, host1, host2)


def big(host: Host, dataset: str, size: int = 4 * MIB) -> None:
    """Write so much that nothing can be compressed away, and that zfs knows about."""
    host.run(f"head -c {size} /dev/urandom >/{dataset}/big && sync /{dataset}/big")
    host.zfs("set", "my:commit=1", dataset)


# -- before a planned move -------------------------------------------------------------------------------------


def unregister(pair: Pair) -> None:
    for name in ("src-fs", "src-host", "dest-fs", "dest-host", "savecount"):
        pair.b.zfs("inherit", f"zrep:{name}", pair.dest)


def replace_snapshot(pair: Pair) -> None:
    pair.b.zfs("destroy", f"{pair.dest}@zrep_000000")
    pair.b.zfs("snapshot", f"{pair.dest}@zrep_000000")


def write_on_replica(pair: Pair) -> None:
    pair.b.zfs("set", "readonly=off", pair.dest)
    pair.b.zfs("mount", pair.dest)
    pair.b.write_file(f"/{pair.dest}/own", "own\n")
    pair.b.zfs("unmount", pair.dest)
    pair.b.zfs("set", "readonly=on", pair.dest)
    pair.b.zfs("snapshot", f"{pair.dest}@own")


def leave_no_room(pair: Pair) -> None:
    big(pair.a, pair.fs)
    pair.b.fill_pool(leave=MIB)


def bend_marks(pair: Pair) -> None:
    for host, dataset in (side(pair, "a"), side(pair, "b")):
        host.zfs("set", f"zrep:sent=on-{host.name}", f"{dataset}@zrep_000000")


# What is done: the codes of a call on A and of one on B, what the message names.
ALONE: dict[str, tuple[str, str, tuple[str, ...], Callable[[Pair], object]]] = {
    "no sshd": ("unreachable", "unreachable", ("ssh",), lambda pair: [pair.a.stop_sshd(), pair.b.stop_sshd()]),
    "replica gone": ("not_found", "not_found", ("{dest}",), lambda pair: pair.b.zfs("destroy", "-r", pair.dest)),
    "not registered": ("not_paired", "not_paired", ("{dest}",), unregister),
    "another pair": (
        "paired_elsewhere",
        "not_found",
        ("pool9/x",),
        lambda pair: pair.b.zfs("set", "zrep:src-fs=pool9/x", pair.dest),
    ),
    "nothing in common": ("no_common_snapshot", "no_common_snapshot", ("zrep_pair",), replace_snapshot),
    "replica modified": ("diverged", "diverged", ("host2:{dest}", "own", "diverged=preserve"), write_on_replica),
    "no room there": ("pool_full", "pool_full", ("host2:{dest}", "1048576"), leave_no_room),
    "master's pool full": ("pool_full", "pool_full", ("host1:{fs}",), lambda pair: pair.a.fill_pool()),
    "nonsense mark": (
        "bad_property",
        "bad_property",
        ("zrep:sent", "host2:{dest}@zrep_000000", "zfs inherit"),
        lambda pair: pair.b.zfs("set", "zrep:sent=soon", f"{pair.dest}@zrep_000000"),
    ),
}


@pytest.mark.parametrize("what", ALONE)
def test_each_by_itself(pair: Pair, what: str) -> None:
    on_a, on_b, words, bend = ALONE[what]
    bend(pair)
    words = tuple(word.format(fs=pair.fs, dest=pair.dest) for word in words)
    for at, code in (("a", on_a), ("b", on_b)):
        result = refused(pair, lambda at=at: make_master(pair, "b", at), code, *words)
        assert "nothing was changed" in result["msg"].lower()
        assert make_master(pair, "b", at, check=True).code == code


@pytest.mark.parametrize("at", ["a", "b"])
def test_everything_at_once(pair: Pair, at: str) -> None:
    """One look, one list: nobody likes to run into the next obstacle when the first is out of the way."""
    bend_marks(pair)
    write_on_replica(pair)
    leave_no_room(pair)
    result = refused(pair, lambda: make_master(pair, "b", at), "not_ready")
    problems = result["error"]["problems"]
    assert sorted(problem["code"] for problem in problems) == ["bad_property", "bad_property", "diverged", "pool_full"]
    for problem in problems:
        assert problem["message"] in result["msg"]
        assert problem["hint"] in result["msg"]
        assert problem["host"] in ("host1", "host2")
    for word in ("4 things", "on-host1", "on-host2", "own", str(MIB)):
        assert word in result["msg"]


@pytest.mark.parametrize("at", ["a", "b"])
def test_what_can_be_seen_without_the_peer_is_told_too(pair: Pair, at: str) -> None:
    bend_marks(pair)
    other = side(pair, "b" if at == "a" else "a")[0]
    other.stop_sshd()
    result = refused(pair, lambda: make_master(pair, "b", at), "not_ready", "ssh", f"on-{side(pair, at)[0].name}")
    assert [problem["code"] for problem in result["error"]["problems"]] == ["unreachable", "bad_property"]


# -- only one may connect to the other -------------------------------------------------------------------------

KEYS = "/root/.ssh/authorized_keys"


@pytest.fixture
def one_way(pair: Pair) -> Iterator[Pair]:
    """B may connect to A, A may not connect to B."""
    pair.b.run(f"mv {KEYS} {KEYS}.away")
    assert pair.a.run("ssh -o BatchMode=yes host2 true", check=False).returncode == 255
    yield pair
    pair.b.run(f"mv {KEYS}.away {KEYS}")


def test_only_the_replica_may_connect(one_way: Pair) -> None:
    """Both directions of a move work from there; the other end says which call that is."""
    pair = one_way
    pair.write("more")
    refused(
        pair, lambda: make_master(pair, "b", "a"), "unreachable", f"zrep_failover filesystem={pair.dest} role=master"
    )
    after = move(pair, "b")
    assert_in_place(after)
    after.write("on B\n", "b")
    after.sync()
    refused(
        pair, lambda: make_master(pair, "a", "a"), "unreachable", f"zrep_failover filesystem={pair.dest} role=replica"
    )
    back = move(after, "a")
    assert_in_place(back)
    assert pair.a.read_file(f"/{pair.fs}/b") == "on B\n"


def test_a_return_over_a_one_way_link(one_way: Pair) -> None:
    pair = one_way
    done(make_master(pair, "b", "b", force=True))
    pair.write("on A\n", "a")
    lost = live(pair.a, pair.fs)
    refused(pair, lambda: make_master(pair, "b", "a", diverged="preserve"), "unreachable")
    copy = done(make_master(pair, "b", "b", diverged="preserve"))["preserved"]
    pair.a.zfs("mount", copy)
    assert live(pair.a, copy) == lost
    assert_works(turned(pair))


@pytest.mark.acceptance(51)
def test_case_51_the_replica_is_away(pair: Pair) -> None:
    """(+) Given B unreachable, when failover runs on A, then A is still writable, master and unlocked afterwards,
    status 1."""
    pair.write("more")
    for away in (pair.b.stop_sshd, pair.b.cut):
        away()
        refused(
            pair, lambda: make_master(pair, "b", "a", ssh="ssh -o ConnectTimeout=1"), "unreachable", "host2", pair.dest
        )
        pair.b.start_sshd()
        pair.b.mend()
    assert_in_place(pair)
    assert_works(pair)


@pytest.mark.acceptance(52)
def test_case_52_the_script_is_not_needed_on_the_peer(pair: Pair) -> None:
    """(+) Given `zrep` missing on B, when failover runs on A, then A is not demoted. Ours needs nothing there but zfs,
    so it goes on and completes."""
    command.remove(pair.b)
    assert pair.b.run("command -v zrep", check=False).returncode != 0
    assert_in_place(move(pair))


@pytest.mark.acceptance(52)
@pytest.mark.parametrize("at", ["a", "b"])
def test_case_52_without_zfs_on_the_peer(pair: Pair, at: str) -> None:
    """Then A is not demoted, and nothing else is changed."""
    pair.write("more")
    before, wrong = pair.dump(), side(pair, "b" if at == "a" else "a")[0]
    wrong.run("mv /usr/sbin/zfs /usr/sbin/zfs.away")
    try:
        result = make_master(pair, "b", at)
    finally:
        wrong.run("mv /usr/sbin/zfs.away /usr/sbin/zfs")
    assert result.code == "no_zfs"
    assert wrong.name in result["msg"]
    assert pair.dump() == before
    assert_in_place(pair)
    assert_works(pair)


# -- what a caller may get wrong -------------------------------------------------------------------------------


def test_what_is_no_pair(pair: Pair, fresh) -> None:
    def call(name: str, **options: Any) -> Callable[[], Result]:
        return lambda: zrep_failover(pair.a, filesystem=name, **options)

    plain, missing = fresh.create(pair.a, "plain"), fresh.name(pair.a, "missing")
    for role in ("master", "replica"):
        for force in (False, True):
            refused(pair, call(plain, role=role, force=force), "not_paired", plain)
            refused(pair, call(missing, role=role, force=force), "not_found", missing)
    refused(pair, call(pair.fs, role="replica", tag="other"), "not_paired")


@pytest.mark.parametrize(
    "options",
    [
        {"role": "boss"},
        {"role": "replica", "diverged": "maybe"},
        {"role": "replica", "preserve_as": "pool1/kept"},
        {"role": "replica", "diverged": "discard", "preserve_as": "pool1/kept"},
        {"role": "master", "force": True, "diverged": "preserve"},
        {"role": "master", "force": True, "diverged": "discard"},
        {"role": "replica", "diverged": "preserve", "preserve_as": "pool1/$(touch /tmp/executed)"},
        {"role": "replica", "diverged": "preserve", "preserve_as": "-r"},
        {"role": "replica", "peer_src_host": "-oProxyCommand=touch"},
        {"role": "replica", "filesystem": "pool1/a;reboot"},
        {"role": "replica", "tag": "a b"},
    ],
    ids=str,
)
def test_options_are_refused_without_a_look(host1: Host, host2: Host, options: dict[str, Any]) -> None:
    with host1.trace() as here, host2.trace() as there:
        result = zrep_failover(host1, **{"filesystem": "pool1/x", **options})
    assert result.failed
    assert result.code in ("bad_input", "")  # What Ansible itself refuses has no code.
    assert here.processes == there.processes == []
    assert there.connections == []


def test_stepping_down_beside_a_healthy_replica(pair: Pair) -> None:
    """Nobody would be master."""
    for options in ({}, {"diverged": "discard"}):
        refused(pair, lambda options=options: make_master(pair, "b", "a", force=True, **options), "bad_input", "force")


def test_preserving_where_it_cannot_be(pair: Pair, fresh) -> None:
    done(make_master(pair, "b", "b", force=True))
    big(pair.a, pair.fs)
    taken, here = fresh.create(pair.a, "taken"), pair.a.pool

    def preserve(at: str, **options: Any) -> Callable[[], Result]:
        return lambda: make_master(pair, "b", at, diverged="preserve", **options)

    refused(pair, preserve("a", preserve_as=taken), "exists", taken, "preserve_as")
    refused(pair, preserve("b", preserve_as=pair.fs), "exists", pair.fs)
    refused(pair, preserve("a", preserve_as="pool9/kept"), "not_found", "pool9")
    refused(pair, preserve("b", preserve_as=f"{here}/missing/kept"), "not_found", f"{here}/missing")
    pair.a.fill_pool(leave=MIB)
    for at in "ab":
        refused(pair, preserve(at), "pool_full", "host1", here, str(MIB), "discard")
    pair.a.free_pool()
    assert not exists(pair.a, f"{pair.fs}_preserved_zrep_000000")
    assert not done(preserve("a")()).failed
    assert_works(turned(pair))


# -- properties that somebody bent -----------------------------------------------------------------------------

HOSTILE = (
    "x'`touch /tmp/executed`'$(touch /tmp/executed); touch /tmp/executed",
    "-oProxyCommand=touch /tmp/executed",
    "x\ntouch /tmp/executed",
    "x\tlocal\npool2\ttype\tfilesystem\t-",
)


@pytest.mark.parametrize(
    ("name", "bent"),
    daily([(name, bent) for name in ("src-fs", "src-host", "dest-fs", "dest-host") for bent in "ab"], 3),
)
def test_hostile_records_are_refused_by_name(pair: Pair, name: str, bent: str) -> None:
    host, dataset = side(pair, bent)
    for text in HOSTILE:
        host.zfs("set", f"zrep:{name}={text}", dataset)
        before = dump(pair.a, pair.b)
        for result in (
            make_master(pair, "b", "a"),
            make_master(pair, "b", "b"),
            make_master(pair, bent, bent, force=True),
            zrep_snapshot(pair.a, filesystem=pair.fs, state="rolled_back", snapshot="zrep_000000"),
        ):
            assert result.code == "bad_property", (text, result)
            assert f"zrep:{name}" in result["msg"]
            assert host.name in result["msg"]
            assert len(result["msg"]) < 1000
        assert dump(pair.a, pair.b) == before
    for each in (pair.a, pair.b):
        assert each.run(["test", "-e", "/tmp/executed"], check=False).returncode == 1


@pytest.mark.parametrize("bent", ["a", "b"])
def test_hostile_values_of_no_consequence(pair: Pair, bent: str) -> None:
    """Locks that are no process and a time that is none stand in nobody's way, and nobody runs them."""
    host, dataset = side(pair, bent)
    for name in ("lock-pid", "lock-time", "promoted"):
        host.zfs("set", f"zrep:{name}=1; touch /tmp/executed", dataset)
    move(move(pair, "b"), "b")
    for each in (pair.a, pair.b):
        assert each.run(["test", "-e", "/tmp/executed"], check=False).returncode == 1
