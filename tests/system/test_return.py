# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two sides that both have something of their own: the facts to choose by, and how the loser follows the winner again.

Numbers are those of the behaviour reference's acceptance cases.
"""

from __future__ import annotations

import pytest

from tests.lab import Host
from tests.system import script
from tests.system.moves import (
    assert_in_place,
    assert_works,
    daily,
    done,
    live,
    make_master,
    move,
    readonly,
    record,
    side,
    start_move,
    turned,
    writable,
    writing,
)
from tests.system.pairs import FAIL, Pair, exists, files, guids, held, local, ready_pair, snapshots, value
from tests.system.product import zrep_snapshot

pytestmark = pytest.mark.system

CHOICES = [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """Both sides were made master, and both were written to since."""
    made = ready_pair(fresh, host1, host2)
    made.write("sent\n", "sent")
    made.sync()
    done(make_master(made, "b", "b", force=True))
    for host, dataset in (side(made, "a"), side(made, "b")):
        host.write_file(f"/{dataset}/sent", f"changed on {host.name}\n")
        host.run(f"head -c 200000 /dev/urandom >/{dataset}/only-{host.name}")
    return made


def toward(pair: Pair, winner: str) -> Pair:
    """The pair as it is when a side has won."""
    return pair if winner == "a" else turned(pair)


def copy_of(pair: Pair, winner: str, snapshot: str = "zrep_000001") -> str:
    """The dataset that preserves what the loser had of its own."""
    return f"{toward(pair, winner).dest}_preserved_{snapshot}"


def stored(host: Host, dataset: str) -> str:
    """Checksums of all files in the newest snapshot of a dataset."""
    return files(host, f"{dataset}@{snapshots(host, dataset)[-1]}")


@pytest.mark.acceptance(49)
@pytest.mark.parametrize("how", ["with its peer", "alone"])
def test_case_49_the_old_master_gives_in(pair: Pair, how: str) -> None:
    """Given S, when `failover -L a` runs on A, then A is rolled back to last sent, not master, src/dst reversed; then
    `sync b` from B succeeds."""
    on_b = live(pair.b, pair.dest)
    if how == "alone":
        pair.b.stop_sshd()
    result = done(make_master(pair, "b", "a", diverged="discard", force=how == "alone"))
    assert not exists(pair.a, copy_of(pair, "b"))
    assert result["preserved"] is None
    pair.b.start_sshd()
    assert_in_place(turned(pair))
    assert pair.on_a() == ["zrep_000000", "zrep_000001"]
    assert pair.a.read_file(f"/{pair.fs}/sent") == "sent\n"
    assert live(pair.b, pair.dest) == on_b
    script.sync(turned(pair))
    assert_works(turned(pair))


@pytest.mark.acceptance(49)
def test_case_49_the_script_gives_in_on_the_old_master(pair: Pair) -> None:
    """After its failover -L there is nothing left to choose, and our sync from B goes on."""
    after = script.failover_alone(pair)
    assert_in_place(after)
    for at in "ab":
        assert not done(make_master(pair, "b", at)).changed
    assert_works(after)


@pytest.mark.both
def test_the_facts_to_choose_by(pair: Pair) -> None:
    done(zrep_snapshot(pair.a, filesystem=pair.fs))
    pair.a.zfs("snapshot", f"{pair.fs}@daily-1")
    created = int(value(pair.a, f"{pair.fs}@zrep_000001", "creation"))
    before = pair.dump()
    modern = pair.a.state.kind == "openzfs"
    for winner, at in (("a", "a"), ("b", "b"), ("b", "a")):
        refused = make_master(pair, winner, at)
        assert refused.code == "split_brain"
        assert not refused.changed
        facts = refused["error"]["divergence"]
        assert (facts["common_snapshot"], facts["common_created"]) == ("zrep_000001", created)
        on_a, on_b = (facts["here"], facts["there"]) if at == "a" else (facts["there"], facts["here"])
        assert (on_a["host"], on_a["filesystem"]) == ("host1", pair.fs)
        assert (on_b["host"], on_b["filesystem"]) == ("host2", pair.dest)
        assert (on_a["snapshots"], on_b["snapshots"]) == (["zrep_000002", "daily-1"], [])
        assert 200000 < on_b["bytes"] < 1000000
        if modern:
            assert 200000 < on_a["bytes"] < 1000000
            assert all(one["files"] and not one["files_unknown_because"] for one in (on_a, on_b))
        else:
            # zfs-fuse counts from the newest snapshot of anybody, so of snapshots it cannot tell.
            assert on_a["bytes"] is None
            for one in (on_a, on_b):
                assert one["files"] is None
                assert one["files_unknown_because"] == "this version of zfs has no diff"
            assert "no diff" in refused["msg"]
        message = refused["msg"]
        for word in ("zrep_000001", "zrep_000002", "daily-1", str(on_b["bytes"]), "preserve", "discard"):
            assert word in message
        for host, dataset in (side(pair, "a"), side(pair, "b")):
            assert f"filesystem={dataset}" in message
            assert f"{host.name}:{dataset}" in message
    assert pair.dump() == before


@pytest.mark.parametrize(("winner", "at"), CHOICES)
def test_both_sets_of_files_exist_afterwards(pair: Pair, winner: str, at: str) -> None:
    """Whoever wins and wherever it is said, byte for byte."""
    after = toward(pair, winner)
    won, lost = live(after.a, after.fs), live(after.b, after.dest)
    assert won != lost
    result = done(make_master(pair, winner, at, diverged="preserve"))
    copy = copy_of(pair, winner)
    assert result["preserved"] == copy
    assert_in_place(after)
    assert live(after.a, after.fs) == won
    assert stored(after.b, copy) == lost
    # The copy is nobody's replica and is in nobody's way.
    assert record(after.b, copy).keys() == {"preserved-from"}
    assert value(after.b, copy, "readonly") == "on"
    with after.b.trace() as seen:
        after.sync()
    assert [argv for argv in seen.processes if argv[1] == "rollback"] == []
    assert_works(after)
    assert stored(after.b, copy) == lost
    again = done(make_master(pair, winner, at, diverged="preserve"))
    assert not again.changed
    assert again["preserved"] is None


@pytest.mark.both
def test_every_snapshot_of_its_own_is_in_the_copy(pair: Pair) -> None:
    """By its identity, whoever made it, and what was written after the last one too."""
    own = ["daily-1", "zrep_000002", "zrep_000003_unsent", "other_000001", "a b:c.d"]
    contents = {}
    for short in own:
        pair.write(short, "file")
        pair.a.zfs("snapshot", f"{pair.fs}@{short}")
        contents[short] = files(pair.a, f"{pair.fs}@{short}")
    pair.write("after the last one", "file")
    had, lost = guids(pair.a, pair.fs), live(pair.a, pair.fs)
    copy = done(make_master(pair, "b", "a", diverged="preserve"))["preserved"]
    kept = guids(pair.a, copy)
    assert list(kept)[:-1] == own
    assert {short: kept[short] for short in own} == {short: had[short] for short in own}
    for short in own:
        assert files(pair.a, f"{copy}@{short}") == contents[short]
    assert stored(pair.a, copy) == lost
    assert pair.on_a() == ["zrep_000000", "zrep_000001"]
    assert_works(turned(pair))


def test_the_copy_has_the_name_that_was_asked_for(pair: Pair) -> None:
    lost, name = live(pair.a, pair.fs), f"{pair.fs}-kept"
    result = done(make_master(pair, "b", "b", diverged="preserve", preserve_as=name))
    assert result["preserved"] == name
    assert stored(pair.a, name) == lost
    assert not exists(pair.a, copy_of(pair, "b"))
    assert not make_master(pair, "b", "b", diverged="preserve", preserve_as=name).changed


def test_a_second_time_it_gets_a_number(pair: Pair) -> None:
    """Here the same common snapshot is left a second time."""
    done(make_master(pair, "b", "a", diverged="preserve"))
    first = guids(pair.a, copy_of(pair, "b"))
    done(make_master(pair, "a", "a", force=True))
    pair.write("once more", "file")
    lost = live(pair.a, pair.fs)
    again = done(make_master(pair, "b", "a", diverged="preserve"))
    assert again["preserved"] == copy_of(pair, "b") + "_2"
    assert stored(pair.a, again["preserved"]) == lost
    assert guids(pair.a, copy_of(pair, "b")) == first


@pytest.mark.parametrize(("winner", "at"), daily(CHOICES))
def test_what_was_discarded_is_gone_and_the_rest_is_sent_as_an_increment(pair: Pair, winner: str, at: str) -> None:
    after = toward(pair, winner)
    won = live(after.a, after.fs)
    after.b.zfs("snapshot", f"{after.dest}@mine")
    result = done(make_master(pair, winner, at, diverged="discard"))
    (what,) = [step["what"] for step in result["actions"] if step["action"] == "rollback"]
    assert "mine" in what
    assert_in_place(after)
    sent = [step["what"] for step in after.sync()["actions"] if step["action"] == "send"]
    assert ["from zrep_000001" in text for text in sent] == [True]
    assert live(after.a, after.fs) == won
    after.assert_same()


def test_nothing_of_its_own_is_nothing_to_preserve(fresh, host1: Host, host2: Host) -> None:
    pair = ready_pair(fresh, host1, host2)
    pair.b.zfs("set", "atime=off", pair.dest)
    done(make_master(pair, "b", "b", force=True))
    assert make_master(pair, "b", "a").code == "split_brain"
    result = done(make_master(pair, "b", "a", diverged="preserve"))
    assert result["preserved"] is None
    assert not exists(host1, copy_of(pair, "b", "zrep_000000"))
    assert_in_place(turned(pair))
    assert_works(turned(pair))


@pytest.mark.parametrize("diverged", ["refuse", "preserve", "discard"])
def test_stepping_down_while_the_peer_is_away(pair: Pair, diverged: str) -> None:
    """The network is split: once it is back, nothing may be written here any more."""
    lost = live(pair.a, pair.fs)
    pair.b.stop_sshd()
    before = pair.dump()
    result = make_master(pair, "b", "a", force=True, diverged=diverged)
    pair.b.start_sshd()
    if diverged == "refuse":
        assert result.code == "diverged"
        assert "zrep_000001" in result["msg"]
        assert pair.dump() == before
        return
    done(result)
    assert not writable(pair.a, pair.fs)
    assert local(pair.a, pair.fs, "zrep:master") is None
    assert pair.a.read_file(f"/{pair.fs}/sent") == "sent\n"
    if diverged == "preserve":
        assert stored(pair.a, result["preserved"]) == lost
    assert_in_place(turned(pair))
    assert_works(turned(pair))


def test_after_both_stepped_down_either_can_be_master(fresh, host1: Host, host2: Host) -> None:
    pair = ready_pair(fresh, host1, host2)
    host2.stop_sshd()
    done(make_master(pair, "b", "a", force=True, diverged="discard"))
    host2.start_sshd()
    assert not writable(host1, pair.fs)
    assert not writable(host2, pair.dest)
    done(make_master(pair, "b", "b"))
    assert_works(turned(pair))


@pytest.mark.parametrize("at", ["a", "b"])
def test_a_replica_that_was_written_to_comes_back_the_same_way(fresh, host1: Host, host2: Host, at: str) -> None:
    """Nobody took over, but somebody wrote on the replica: a move is refused, a return brings it back."""
    pair = ready_pair(fresh, host1, host2)
    host2.zfs("set", "readonly=off", pair.dest)
    host2.zfs("mount", pair.dest)
    host2.write_file(f"/{pair.dest}/own", "own\n")
    host2.zfs("snapshot", f"{pair.dest}@own")
    lost = live(host2, pair.dest)
    before = pair.dump()
    for refused in (make_master(pair, "b", at), make_master(pair, "a", at)):
        assert refused.code == "diverged"
        assert "own" in refused["msg"]
        assert pair.dump() == before
    result = done(make_master(pair, "a", at, diverged="preserve"))
    assert stored(host2, result["preserved"]) == lost
    assert_in_place(pair)
    assert_works(pair)
    assert_in_place(move(pair, at))


# -- what can go wrong -----------------------------------------------------------------------------------------


def assert_nothing_lost(pair: Pair, lost: str) -> None:
    """The loser still is what it was: master, writable, with all its files."""
    assert live(pair.a, pair.fs) == lost
    assert local(pair.a, pair.fs, "zrep:master") == "yes"
    assert not readonly(pair.a, pair.fs)
    assert writable(pair.a, pair.fs)


@pytest.mark.parametrize(
    ("verb", "at"),
    daily([(verb, at) for verb in ("snapshot", "receive", "rollback") for at in "ab"], 3),
)
def test_a_return_that_fails_loses_nothing(pair: Pair, verb: str, at: str) -> None:
    lost = live(pair.a, pair.fs)
    pair.a.intercept(FAIL, verbs=(verb,))
    failed = make_master(pair, "b", at, diverged="preserve")
    pair.a.clear_faults()
    assert failed.failed
    assert_nothing_lost(pair, lost)
    result = done(make_master(pair, "b", at, diverged="preserve"))
    assert stored(pair.a, result["preserved"]) == lost
    assert_works(turned(pair))


def test_a_snapshot_taken_meanwhile_is_not_lost(pair: Pair) -> None:
    with held(pair.a, verbs=("receive",)) as hold:
        running = start_move(pair, "b", "a", diverged="preserve")
        hold.wait()
        pair.a.zfs("snapshot", f"{pair.fs}@meanwhile")
        guid = guids(pair.a, pair.fs)["meanwhile"]
        hold.go()
        refused = running.result()
    assert refused.code == "in_use"
    assert "meanwhile" in refused["msg"]
    assert guids(pair.a, pair.fs)["meanwhile"] == guid
    assert writable(pair.a, pair.fs)
    result = done(make_master(pair, "b", "a", diverged="preserve"))
    assert guids(pair.a, result["preserved"])["meanwhile"] == guid


def test_a_clone_keeps_its_snapshot(pair: Pair) -> None:
    pair.a.zfs("snapshot", f"{pair.fs}@mine")
    pair.a.zfs("clone", f"{pair.fs}@mine", f"{pair.fs}-clone")
    lost = live(pair.a, pair.fs)
    for diverged in ("discard", "preserve"):
        assert f"{pair.fs}-clone" in make_master(pair, "b", "a", diverged=diverged)["msg"]
        assert_nothing_lost(pair, lost)


def test_open_files_on_the_loser(pair: Pair) -> None:
    """What somebody is writing just now is not thrown away under his hands."""
    lost = live(pair.a, pair.fs)
    with writing(pair.a, f"/{pair.fs}/sent") as writer:
        refused = make_master(pair, "b", "b", diverged="discard")
        assert refused.code == "in_use"
        assert f"{writer.pid} (sh) /{pair.fs}/sent" in refused["msg"]
        assert_nothing_lost(pair, lost)
        writer.write("goes on")
    assert pair.a.read_file(f"/{pair.fs}/sent").endswith("goes on\n")
