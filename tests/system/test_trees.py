# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole trees: a filesystem with everything below it as one pair."""

from __future__ import annotations

import pytest

from tests.lab import Host
from tests.system.command import ok
from tests.system.moves import assert_in_place, done, make_master, move
from tests.system.pairs import FAIL, Pair, exists, files, guids, local, refused, snapshots, value
from tests.system.product import zrep_info, zrep_pair, zrep_snapshot

pytestmark = pytest.mark.system

BELOW = ("a", "a/b", "c")
SAYS = {"recursive": "yes"}


def below(host: Host, root: str) -> list[str]:
    """The names of what is below a dataset, without its own."""
    found = host.zfs("list", "-H", "-r", "-t", "filesystem,volume", "-o", "name", root).split()
    return [name[len(root) + 1 :] for name in found if name != root]


# Fuse lets go of what was written to a moment after that; until then it is busy.
PATIENTLY = 'until e=$("$@" 2>&1); do case $e in *busy*) ;; *) echo "$e" >&2; exit 1 ;; esac; done'


def patiently(host: Host, *words: str) -> None:
    """Run a zfs command, again as long as something is busy."""
    host.run(["sh", "-c", PATIENTLY, "sh", "zfs", *words])


def make_tree(fresh, a: Host, b: Host, **options: object) -> Pair:
    """A pair of which a, a/b and c are part, with a file in each."""
    pair = Pair(a, fresh.create(a), b, fresh.name(b, "copy"))
    for name in ("", *BELOW):
        if name:
            a.zfs("create", f"{pair.fs}/{name}")
        pair.write(f"{name}\n", f"{name}/file" if name else "file")
    wish = {"filesystem": pair.fs, "peer_host": b.name, "peer_filesystem": pair.dest, "recursive": True, **options}
    done(zrep_pair(a, **wish))
    again = zrep_pair(a, **wish)
    assert not again.changed, again
    return pair


def assert_same_tree(pair: Pair) -> None:
    """Both sides consist of the same datasets, which end at the same snapshot and hold the same."""
    pair.assert_same()
    assert below(pair.a, pair.fs) == below(pair.b, pair.dest)
    for name in below(pair.a, pair.fs):
        here, there = guids(pair.a, f"{pair.fs}/{name}"), guids(pair.b, f"{pair.dest}/{name}")
        last = list(here)[-1]
        assert list(there)[-1] == last
        assert here[last] == there[last]
        assert files(pair.a, f"{pair.fs}/{name}@{last}") == files(pair.b, f"{pair.dest}/{name}@{last}")


@pytest.mark.acceptance(45)
def test_the_life_of_a_tree(fresh, host1: Host, host2: Host) -> None:
    """Made, synced, expired, moved there and back: nothing but the creation says that it is a tree."""
    pair = make_tree(fresh, host1, host2, savecount=2)
    assert_same_tree(pair)
    assert local(host2, pair.dest, "zrep:recursive") == "yes"
    for name in BELOW:
        assert value(host2, f"{pair.dest}/{name}", "readonly") == "on"
        assert value(host2, f"{pair.dest}/{name}", "mounted") == "no"
    for number in range(3):
        pair.write(f"{number}\n", "a/b/file")
        pair.sync()
    assert_same_tree(pair)
    for host, root in ((host1, pair.fs), (host2, pair.dest)):
        for name in ("", *(f"/{name}" for name in BELOW)):
            assert snapshots(host, root + name) == ["zrep_000002", "zrep_000003"]
    now = move(pair)
    assert_in_place(now, **SAYS, savecount="2")
    assert_same_tree(now)
    for name in BELOW:
        host2.write_file(f"/{pair.dest}/{name}/new", "new\n")
    back = move(now, at="b")
    assert_in_place(back, **SAYS, savecount="2")
    assert_same_tree(back)
    assert host1.read_file(f"/{pair.fs}/a/b/new") == "new\n"
    assert not pair.sync(max_age=3600).changed


@pytest.mark.both
def test_children_that_come_and_go(fresh, host1: Host, host2: Host) -> None:
    """New ones, removed ones, one made anew under an old name, a renamed one with what is below it."""
    pair = make_tree(fresh, host1, host2)
    host1.zfs("create", "-p", f"{pair.fs}/n/m")
    pair.write("new\n", "n/m/file")
    patiently(host1, "rename", f"{pair.fs}/a", f"{pair.fs}/z")
    patiently(host1, "destroy", "-r", f"{pair.fs}/c")
    host1.zfs("create", f"{pair.fs}/c")
    result = pair.sync()
    assert_same_tree(pair)
    (aside,) = [name for name in host2.zfs("list", "-H", "-o", "name").split() if "_replaced_" in name]
    assert files(host2, f"{aside}@zrep_000000").endswith("./file\n")
    assert value(host2, aside, "readonly") == "on"
    assert aside in str(result["warnings"])
    # What was renamed is not sent again.
    assert any(action[1] == "rename_dataset" and action[2] == f"{pair.dest}/a" for action in result.actions)
    assert snapshots(host2, f"{pair.dest}/z/b") == ["zrep_000000", "zrep_000001"]
    patiently(host1, "destroy", "-r", f"{pair.fs}/n")
    pair.sync()
    assert_same_tree(pair)
    (gone,) = [name for name in host2.zfs("list", "-H", "-o", "name").split() if name.endswith("_n")]
    assert exists(host2, f"{gone}/m@zrep_000001")


def test_check_mode_tells_what_a_move_does(fresh, host1: Host, host2: Host) -> None:
    pair = make_tree(fresh, host1, host2)
    predicted = done(make_master(pair, "b", "b", check=True))
    assert local(host2, pair.dest, "zrep:master") is None
    assert done(make_master(pair, "b", "b")).actions == predicted.actions


def test_nothing_is_mounted_over_a_path_of_the_other_host(fresh, host1: Host, host2: Host) -> None:
    host2.run("mkdir -p /srv/precious /srv/moved && echo host2 | tee /srv/precious/file >/srv/moved/file")
    pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))
    host1.zfs("create", "-o", "mountpoint=/srv/precious/web", f"{pair.fs}/web")
    host1.zfs("create", f"{pair.fs}/web/logs")
    host1.write_file("/srv/precious/web/logs/file", "web\n")
    peer = {"peer_host": host2.name, "peer_filesystem": pair.dest}
    done(zrep_pair(host1, filesystem=pair.fs, recursive=True, **peer))
    host1.zfs("set", "mountpoint=/srv/moved", f"{pair.fs}/web")
    pair.sync()
    host2.run("zfs mount -a", check=False)
    assert host2.run("find /srv -type f | sort").stdout == "/srv/moved/file\n/srv/precious/file\n"
    assert value(host2, f"{pair.dest}/web/logs", "mountpoint") == f"/{pair.dest}/web/logs"
    now = move(pair)
    assert host2.read_file(f"/{pair.dest}/web/logs/file") == "web\n"
    assert host2.read_file("/srv/moved/file") == "host2\n"
    move(now, at="b")
    assert host1.read_file("/srv/moved/logs/file") == "web\n"


def test_what_only_an_old_master_has_is_preserved_as_a_tree(fresh, host1: Host, host2: Host) -> None:
    pair = make_tree(fresh, host1, host2)
    done(make_master(pair, "b", "b", force=True))
    pair.write("mine\n", "a/b/mine")
    host1.zfs("create", f"{pair.fs}/solo")
    pair.write("alone\n", "solo/file")
    host2.write_file(f"/{pair.dest}/a/b/theirs", "theirs\n")
    result = refused(pair, lambda: make_master(pair, "b", "a"), "split_brain")
    facts = result["error"]["divergence"]
    assert {"a/b", "solo"} <= set(facts["here"]["changed_below"])
    assert "a/b" in facts["there"]["changed_below"]
    done(make_master(pair, "b", "a", diverged="preserve"))
    copy = f"{pair.fs}_preserved_zrep_000000"
    assert {"a", "a/b", "solo"} <= set(below(host1, copy))
    last = snapshots(host1, f"{copy}/a/b")[-1]
    assert "./mine" in files(host1, f"{copy}/a/b@{last}")
    host1.zfs("mount", copy)
    host1.zfs("mount", f"{copy}/solo")
    assert host1.read_file(f"/{copy}/solo/file") == "alone\n"
    assert not exists(host1, f"{pair.fs}/solo")
    turned = Pair(host2, pair.dest, host1, pair.fs)
    turned.sync()
    assert_same_tree(turned)
    assert not make_master(pair, "b", "a").changed


def test_a_child_of_the_replica_that_was_written_to(fresh, host1: Host, host2: Host) -> None:
    pair = make_tree(fresh, host1, host2)
    host2.run(
        f"zfs set readonly=off {pair.dest} && zfs mount {pair.dest} && zfs mount {pair.dest}/c && "
        f"echo x >/{pair.dest}/c/x && zfs unmount {pair.dest} && zfs set readonly=on {pair.dest} && "
        f"zfs snapshot {pair.dest}/c@own"
    )
    pair.write("more\n")
    refused(pair, pair.try_sync, "diverged", pair.dest)
    pair.sync(force=True)
    assert_same_tree(pair)


def test_a_pair_becomes_a_tree_and_is_one_no_more(fresh, host1: Host, host2: Host) -> None:
    pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))
    host1.zfs("create", f"{pair.fs}/a")
    wish = {"filesystem": pair.fs, "peer_host": host2.name, "peer_filesystem": pair.dest}
    done(zrep_pair(host1, **wish))
    pair.sync()
    assert below(host2, pair.dest) == []
    assert zrep_pair(host1, **wish, recursive=True).changed
    assert not zrep_pair(host1, **wish).changed
    pair.sync()
    assert_same_tree(pair)
    assert zrep_pair(host1, **wish, recursive=False).changed
    host1.zfs("create", f"{pair.fs}/later")
    pair.sync()
    assert below(host2, pair.dest) == ["a"]


def test_a_tree_with_a_pair_of_its_tag_in_it_is_refused(fresh, host1: Host, host2: Host) -> None:
    inner = make_tree(fresh, host1, host2)
    outer = Pair(host1, inner.fs.rpartition("/")[0], host2, fresh.name(host2, "outer"))
    wish = {"filesystem": outer.fs, "peer_host": host2.name, "peer_filesystem": outer.dest, "recursive": True}
    refused(outer, lambda: zrep_pair(host1, **wish), "paired_elsewhere", inner.fs)


def test_both_sides_go_back(fresh, host1: Host, host2: Host) -> None:
    pair = make_tree(fresh, host1, host2)
    pair.write("wrong\n", "a/b/file")
    pair.sync()
    done(zrep_snapshot(host1, filesystem=pair.fs, state="rolled_back", snapshot="zrep_000000", force=True))
    assert host1.read_file(f"/{pair.fs}/a/b/file") == "a/b\n"
    assert snapshots(host2, f"{pair.dest}/a/b") == ["zrep_000000"]
    pair.sync()
    assert_same_tree(pair)


def test_the_making_of_a_tree_that_breaks_off_goes_on(fresh, host1: Host, host2: Host) -> None:
    pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))
    for name in BELOW:
        host1.zfs("create", f"{pair.fs}/{name}")
    wish = {"filesystem": pair.fs, "peer_host": host2.name, "peer_filesystem": pair.dest, "recursive": True}
    host2.intercept(FAIL, n=3, verbs=("receive",))
    assert zrep_pair(host1, **wish).failed
    done(zrep_pair(host1, **wish))
    assert_same_tree(pair)


def test_an_interrupted_sync_is_made_good_by_the_next(fresh, host1: Host, host2: Host) -> None:
    pair = make_tree(fresh, host1, host2)
    pair.write("new\n", "c/file")
    host2.intercept(FAIL, n=3, verbs=("receive",))
    assert pair.try_sync().failed
    assert "zrep_000001" not in pair.on_b()
    pair.sync()
    assert_same_tree(pair)


def test_what_is_known_of_a_tree(fresh, host1: Host, host2: Host) -> None:
    pair = make_tree(fresh, host1, host2)
    (found,) = zrep_info(host1, filesystem=[pair.fs], check_peer=True)["pairs"]
    assert found["recursive"] is True
    assert found["below"] == list(BELOW)
    assert found["problems"] == []
    host2.zfs("destroy", "-r", f"{pair.dest}/c")
    (found,) = zrep_info(host1, filesystem=[pair.fs], check_peer=True)["pairs"]
    assert [problem["code"] for problem in found["problems"]] == ["tree_incomplete"]
    pair.sync()
    assert_same_tree(pair)


def test_a_tree_is_taken_apart(fresh, host1: Host, host2: Host) -> None:
    pair = make_tree(fresh, host1, host2)
    host1.zfs("snapshot", f"{pair.fs}/a@mine")
    done(zrep_pair(host1, filesystem=pair.fs, state="absent", force=True))
    assert snapshots(host1, f"{pair.fs}/a") == ["mine"]
    assert snapshots(host2, f"{pair.dest}/a") == []
    assert below(host2, pair.dest) == list(BELOW)


# The command


def test_a_tree_by_the_word_of_the_script(fresh, host1: Host, host2: Host) -> None:
    pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))
    host1.zfs("create", "-p", f"{pair.fs}/a/b")
    ok(host1, "-R", "init", pair.fs, host2.name, pair.dest)
    pair.write("new\n", "a/b/file")
    ok(host1, "sync", "all")
    assert_same_tree(pair)
    assert ok(host1, "-R", "snaponly", pair.fs).out == f"{pair.fs}@zrep_000002\n"
    assert exists(host1, f"{pair.fs}/a/b@zrep_000002")
    ok(host1, "synconly", "-R", pair.fs)
    assert_same_tree(pair)
    ok(host1, "expire", "-R")
    ok(host2, "-R", "takeover", pair.dest)
    ok(host2, "-R", "failover", pair.dest)
    assert_in_place(pair, **SAYS)
    assert_same_tree(pair)


def test_a_pair_of_the_script_that_always_got_the_flag(fresh, host1: Host, host2: Host) -> None:
    """The script remembers nothing; the first call with the flag does."""
    pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))
    host1.zfs("create", "-p", f"{pair.fs}/a/b")
    ok(host1, "init", pair.fs, host2.name, pair.dest)
    ok(host1, "sync", pair.fs, env={"ZREP_R": "-R"})
    assert_same_tree(pair)
    pair.write("new\n", "a/b/file")
    ok(host1, "sync", pair.fs)
    assert_same_tree(pair)
