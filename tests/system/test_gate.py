# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs whose hosts let each other in through the gate alone live their whole life."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import Host
from tests.system import script
from tests.system.command import fails, install, ok
from tests.system.gated import gated
from tests.system.layouts import destroy
from tests.system.moves import assert_in_place, assert_works, done, make_master, move, turned
from tests.system.pairs import Pair, exists, local, make_pair, ready_pair
from tests.system.product import zrep_info, zrep_pair, zrep_snapshot, zrep_sync

pytestmark = pytest.mark.system


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Iterator[Pair]:
    """A pair that is not made yet, between hosts with gates."""
    name = fresh.create(host1)
    made = Pair(host1, name, host2, fresh.name(host2))
    with gated(made):
        yield made


def make(pair: Pair, **options: object) -> None:
    result = zrep_pair(
        pair.a, filesystem=pair.fs, peer_host=pair.b.name, peer_filesystem=pair.dest, tag=pair.tag, **options
    )
    assert not result.failed, result["msg"]


def test_a_pair_is_made_synced_and_moved_and_expires(pair: Pair) -> None:
    make(pair, savecount=2)
    for number in range(4):
        pair.write(f"{number}\n")
        pair.sync()
    pair.assert_same()
    assert pair.on_a() == pair.on_b() == ["zrep_000003", "zrep_000004"]
    other = move(pair)
    assert_in_place(other, savecount="2")
    assert_works(other)
    # Started on the replica.
    back = move(other, "b")
    assert_in_place(back, savecount="2")
    assert_works(back)
    result = zrep_info(pair.a, filesystem=[pair.fs], check_peer=True)
    assert [found["problems"] for found in result["pairs"]] == [[]]


@pytest.mark.slow
@pytest.mark.parametrize("diverged", ["preserve", "discard"])
def test_an_old_master_returns(pair: Pair, diverged: str) -> None:
    make(pair)
    pair.write("sent\n", "sent")
    pair.sync()
    pair.write("never sent\n", "last")
    done(make_master(pair, "b", "b", force=True))
    other = turned(pair)
    other.write("since\n", "since")
    done(make_master(pair, "b", "a", diverged=diverged))
    assert_works(other)


@pytest.mark.slow
def test_a_pair_is_pulled(pair: Pair) -> None:
    """By the side that becomes the replica."""
    result = zrep_pair(
        pair.b, filesystem=pair.dest, peer_host=pair.a.name, peer_filesystem=pair.fs, role="replica", savecount=1
    )
    assert not result.failed, result["msg"]
    for number in range(3):
        pair.write(f"{number}\n")
        result = zrep_sync(pair.b, filesystem=[pair.dest], direction="pull")
        assert not result.failed, result["msg"]
    pair.assert_same()
    assert pair.on_a() == pair.on_b() == ["zrep_000003"]


def test_a_pair_is_taken_apart(pair: Pair) -> None:
    make(pair)
    pair.sync()
    result = zrep_pair(pair.a, filesystem=pair.fs, peer_host=pair.b.name, peer_filesystem=pair.dest, state="absent")
    assert not result.failed, result["msg"]
    assert local(pair.b, pair.dest, "zrep:src-fs") is None


@pytest.mark.slow
def test_streams_pass_programs(pair: Pair) -> None:
    make(pair)
    large = "x" * 100000
    pair.write(large)
    result = pair.sync(compress="zstd", buffer="4M", rate_limit="512M")
    assert not result.get("warnings")
    pair.assert_same()
    pair.write(large + "y")
    result = zrep_sync(pair.b, filesystem=[pair.dest], direction="pull", compress="gzip", buffer="4M")
    assert not result.failed, result["msg"]
    pair.assert_same()


def test_a_filter_of_somebody_is_refused(pair: Pair) -> None:
    make(pair)
    pair.write("more\n")
    filters = {"ZREP_OUTFILTER": "cat", "ZREP_INFILTER": "touch /run/broken-in; cat"}
    assert "permission denied" in fails(pair.a, "sync", pair.fs, env=filters).err
    assert pair.b.run(["test", "-e", "/run/broken-in"], check=False).returncode == 1


@pytest.mark.slow
def test_a_tree(fresh, host1: Host, host2: Host) -> None:
    name = fresh.create(host1)
    host1.zfs("create", f"{name}/child")
    host1.zfs("create", f"{name}/child/below")
    made = Pair(host1, name, host2, fresh.name(host2))
    with gated(made, recursive=True):
        make(made, recursive=True)
        host1.zfs("unmount", f"{name}/child/below")
        host1.zfs("rename", f"{name}/child/below", f"{name}/moved")
        host1.zfs("create", f"{name}/new")
        made.sync()
        destroy(host1, f"{name}/child")
        made.sync()
        assert exists(host2, f"{made.dest}/moved")
        assert exists(host2, f"{made.dest}/new")
        assert not exists(host2, f"{made.dest}/child")
        assert_works(move(made))


@pytest.mark.slow
def test_what_a_replica_has_of_its_own_is_lost_only_where_that_is_granted(fresh, host1: Host, host2: Host) -> None:
    made = ready_pair(fresh, host1, host2)
    host2.run(f"zfs set readonly=off {made.dest}; zfs mount {made.dest}; echo own >/{made.dest}/own")
    host2.zfs("snapshot", f"{made.dest}@own")
    made.write("more\n")
    with gated(made):
        result = zrep_sync(host1, filesystem=[made.fs], force=True)
        assert result.failed
        assert "needs the grant force" in result["msg"] or "would need the grant force" in result["msg"]
        assert exists(host2, f"{made.dest}@own")
    with gated(made, grants=["receive", "send", "move", "force"]):
        result = zrep_sync(host1, filesystem=[made.fs], force=True)
        assert not result.failed, result["msg"]
    made.assert_same()


@pytest.mark.slow
def test_both_sides_are_rolled_back(fresh, host1: Host, host2: Host) -> None:
    made = ready_pair(fresh, host1, host2)
    made.sync()
    made.sync()
    with gated(made, grants=["receive", "send", "move", "force"]):
        result = zrep_snapshot(host1, filesystem=[made.fs], state="rolled_back", snapshot="zrep_000001")
        assert not result.failed, result["msg"]
    assert made.on_a() == made.on_b() == ["zrep_000000", "zrep_000001"]


# The script at the other end


def test_the_script_pushes_and_moves(fresh, host1: Host, host2: Host) -> None:
    made = Pair(host1, fresh.create(host1), host2, fresh.name(host2))
    install(host1)
    install(host2)
    with gated(made):
        script.init(made)
        made.write("one\n")
        # It says the names of the peer's commands as they are; what it does on its own host needs no gate.
        script.sync(made)
        made.assert_same()
        assert host1.run(["ssh", host2.name, f"zrep expire {made.dest}"], check=False).returncode == 0
        assert host1.run(["ssh", host2.name, f"zfs get -H -o value -s local zrep:master {made.dest}"]).stdout == ""
        host1.run(["ssh", host2.name, f"zfs get -H -o value receive_resume_token {made.dest}"], check=False)
        host1.run(["ssh", host2.name, f"zfs set zrep:sent=1700000000 {made.dest}@zrep_000001"])
        host1.run(["ssh", host2.name, f"zrep -t zrep -D -t zrep takeover -L {made.dest}"])
    assert local(host2, made.dest, "zrep:master") == "yes"


@pytest.mark.parametrize(("tag", "words"), [("zrep", ""), ("zrep", "-t zrep -D -t zrep"), ("dc", "-t dc")])
def test_the_script_pulls(fresh, host1: Host, host2: Host, tag: str, words: str) -> None:
    made = make_pair(fresh, host1, host2, tag=tag)
    install(host1)
    install(host2)
    made.write("more\n")
    with gated(made, grants=["send"]):
        assert script.refresh(made, words) == f"{tag}_000001"
    made.assert_same()


def test_the_script_takes_over(fresh, host1: Host, host2: Host) -> None:
    """It has the master's host do all the work, which connects back."""
    made = make_pair(fresh, host1, host2)
    install(host1)
    install(host2)
    made.write("more\n")
    with gated(made):
        done_ = host2.run(["ssh", host1.name, f"zrep failover {made.fs}"], check=False)
        assert done_.returncode == 0, done_.stderr
    assert local(host2, made.dest, "zrep:master") == "yes"
    ok(host2, "sync", made.dest)
