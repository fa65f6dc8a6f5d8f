# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command's clear: what it takes away, all that it leaves alone, and whom it asks before."""

from __future__ import annotations

import pytest

from tests.lab import Host
from tests.system.command import PATH, fails, install, ok, unchanged
from tests.system.pairs import Pair, dump, exists, local, own_properties, ready_pair, snapshots

pytestmark = pytest.mark.system


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    return ready_pair(fresh, host1, host2)


FOREIGN = ("daily-1", "zrep_dc_000000", "zrep_abcdef-mine", "zrep-000001", "xzrep_000001", "zrep_00000")


def dress(host: Host, dataset: str) -> None:
    """Give a side all that could be taken for a part of its pair."""
    for short in (*FOREIGN, "zrep_000001_unsent", "zrep_1000000"):
        host.zfs("snapshot", f"{dataset}@{short}")
    for name in ("zrep:lock-pid=4194000", "zrep:lastsent=x", "zrep:note=mine", "zrep:drill=nonsense"):
        host.zfs("set", name, dataset)
    for name in ("xzrep:bar=1", "zrep_dc:master=yes", "zrep-dc:dest-fs=x", "zrepx:y=1"):
        host.zfs("set", name, dataset)
    host.zfs("set", "zrep:sent=1", f"{dataset}@daily-1")


def check_cleared(host: Host, dataset: str) -> None:
    assert snapshots(host, dataset) == list(FOREIGN)
    assert own_properties(host, dataset) == []
    assert own_properties(host, f"{dataset}@daily-1") == []
    assert own_properties(host, dataset, "zrep_dc") == ["zrep_dc:master"]
    assert own_properties(host, dataset, "zrep-dc") == ["zrep-dc:dest-fs"]
    assert own_properties(host, dataset, "xzrep") == ["xzrep:bar"]
    assert own_properties(host, dataset, "zrepx") == ["zrepx:y"]


@pytest.mark.acceptance(61)
@pytest.mark.parametrize("side", ["master", "replica"])
def test_case_61_clear(pair: Pair, side: str) -> None:
    """No snapshot @TAG_hhhhhh and no TAG:* local property remains, data and readonly unchanged, B untouched; (+) other
    tags and foreign names survive."""
    pair.write("second\n")
    pair.sync()
    host, dataset, other = (pair.a, pair.fs, pair.b) if side == "master" else (pair.b, pair.dest, pair.a)
    dress(host, dataset)
    host.zfs("mount", "-a")
    before, readonly = dump(other), host.zfs("get", "-H", "readonly", dataset)
    dry = ok(host, "clear", "-f", "--dry-run", dataset).out
    for word in (f"destroy {dataset}@zrep_000000,zrep_000001,", "zrep:note", "zrep:drill", "zrep:dest-fs"):
        assert word in dry
    assert "zrep_dc" not in dry
    ok(host, "clear", "-f", dataset)
    check_cleared(host, dataset)
    assert dump(other) == before
    assert host.zfs("get", "-H", "readonly", dataset) == readonly
    assert host.read_file(f"/{dataset}/file") == "second\n"
    before = pair.dump()
    assert "nothing to do" in ok(host, "clear", "-f", dataset).err
    assert pair.dump() == before


def test_clear_of_one_tag_leaves_the_other(pair: Pair) -> None:
    other = Pair(pair.a, pair.fs, pair.b, f"{pair.dest}-dc", "dc")
    ok(pair.a, "-t", "dc", "init", pair.fs, "host2", other.dest)
    ok(pair.a, "clear", "-f", pair.fs)
    assert own_properties(pair.a, pair.fs) == []
    assert snapshots(pair.a, pair.fs) == ["dc_000000"]
    pair.write("more\n")
    ok(pair.a, "sync", "-t", "dc", pair.fs)
    other.assert_same()


def without_snapshots(pair: Pair) -> None:
    pair.a.zfs("destroy", f"{pair.fs}@zrep_000000")


def without_properties(pair: Pair) -> None:
    for name in own_properties(pair.a, pair.fs):
        pair.a.zfs("inherit", name, pair.fs)


def without_a_peer(pair: Pair) -> None:
    for name in ("dest-fs", "dest-host"):
        pair.a.zfs("inherit", f"zrep:{name}", pair.fs)


def with_nonsense(pair: Pair) -> None:
    pair.a.zfs("set", "zrep:dest-host=-oProxyCommand=x", pair.fs)
    pair.a.zfs("set", "zrep:savecount=many", pair.fs)
    pair.a.zfs("set", "zrep:sent=never", f"{pair.fs}@zrep_000000")


def with_a_peer_that_is_down(pair: Pair) -> None:
    pair.b.kill()


@pytest.mark.parametrize(
    "break_it", [without_snapshots, without_properties, without_a_peer, with_nonsense, with_a_peer_that_is_down]
)
def test_clear_of_half_a_record(pair: Pair, break_it) -> None:
    break_it(pair)
    ok(pair.a, "clear", "-f", pair.fs)
    assert own_properties(pair.a, pair.fs) == []
    assert snapshots(pair.a, pair.fs) == []
    assert pair.a.read_file(f"/{pair.fs}/file") == "text\n"


def test_clear_of_what_belongs_to_the_pair_above(pair: Pair) -> None:
    child = f"{pair.fs}/a/b"
    pair.a.zfs("create", f"{pair.fs}/a")
    pair.a.zfs("create", child)
    pair.a.zfs("snapshot", f"{child}@zrep_000000")
    said = unchanged(pair, "clear", "-f", child)
    assert f"inherited from {pair.fs}" in said
    assert f"zrep clear {pair.fs} takes" in said


def test_nested_pairs_are_cleared_one_by_one(pair: Pair) -> None:
    inner = Pair(pair.a, f"{pair.fs}/inner", pair.b, f"{pair.dest}-inner")
    pair.a.zfs("create", inner.fs)
    inner.write()
    ok(pair.a, "init", inner.fs, "host2", inner.dest)
    ok(pair.a, "clear", "-f", inner.fs)
    assert own_properties(pair.a, inner.fs) == []
    assert snapshots(pair.a, inner.fs) == []
    assert snapshots(pair.a, pair.fs) == ["zrep_000000"]
    # Made anew below a parent that is a pair; then the parent goes and the child stays one.
    ok(pair.a, "init", "-f", inner.fs, "host2", inner.dest)
    ok(pair.a, "clear", "-f", pair.fs)
    assert own_properties(pair.a, pair.fs) == []
    assert snapshots(pair.a, pair.fs) == []
    inner.write("more\n")
    ok(pair.a, "sync", inner.fs)
    inner.assert_same()


def test_clear_of_nothing_is_refused(pair: Pair) -> None:
    assert "no such filesystem" in unchanged(pair, "clear", "-f", "pool1/none")
    assert "names a snapshot" in unchanged(pair, "clear", "-f", f"{pair.fs}@zrep_000000")


def test_clear_destroys_nothing_that_others_depend_on(pair: Pair) -> None:
    pair.a.zfs("clone", "-o", "canmount=off", f"{pair.fs}@zrep_000000", "pool1/clone")
    said = fails(pair.a, "clear", "-f", pair.fs)
    assert "dependent clones" in said.err
    assert exists(pair.a, "pool1/clone")
    assert local(pair.a, pair.fs, "zrep:master") == "yes"
    pair.a.zfs("destroy", "pool1/clone")
    ok(pair.a, "clear", "-f", pair.fs)
    assert own_properties(pair.a, pair.fs) == []


def test_clear_without_force_and_without_a_terminal_is_refused(pair: Pair) -> None:
    said = unchanged(pair, "clear", pair.fs, stdin="y\n")
    assert f"this would destroy {pair.fs}@zrep_000000" in said
    assert "-f says" in said


TERMINAL = """\
import os, pty, sys
pid, terminal = pty.fork()
if not pid:
    os.execv(sys.argv[2], sys.argv[2:])
said = b""
typed = False
try:
    while True:
        part = os.read(terminal, 4096)
        if not part:
            break
        said += part
        if said.endswith(b"] ") and not typed:
            typed = os.write(terminal, sys.argv[1].encode())
except OSError:
    pass
print(said.decode(), end="")
status = os.waitpid(pid, 0)[1]
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 99)
"""


@pytest.mark.parametrize(
    ("typed", "status"), [("y\n", 0), ("yes\n", 0), ("Y\n", 0), ("n\n", 1), ("\n", 1), ("\x04", 1), ("\x03", 130)]
)
def test_clear_at_a_terminal_asks(pair: Pair, typed: str, status: int) -> None:
    install(pair.a)
    before = pair.dump()
    done = pair.a.run(["python3", "-c", TERMINAL, typed, PATH, "clear", pair.fs], check=False)
    assert f"This will destroy {pair.fs}@zrep_000000; take zrep:master" in done.stdout
    assert "Go on? [y/N]" in done.stdout
    assert "Traceback" not in done.stdout
    assert done.returncode == status
    assert (pair.dump() == before) == bool(status)
    assert (own_properties(pair.a, pair.fs) == []) == (not status)
