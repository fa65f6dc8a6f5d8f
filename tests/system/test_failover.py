# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planned moves of the master role, from either end, and what a move that died leaves for the next one.

Numbers are those of the behaviour reference's acceptance cases.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import MIB, Host
from tests.lab.processes import wait_until
from tests.system import script
from tests.system.moves import (
    assert_in_place,
    assert_works,
    daily,
    done,
    live,
    make_master,
    mounted,
    move,
    readonly,
    side,
    start_move,
    turned,
)
from tests.system.pairs import Pair, dump, held, local, make_pair, ready_pair
from tests.system.product import zrep_info, zrep_snapshot, zrep_sync

pytestmark = pytest.mark.system

BOTH_ENDS = pytest.mark.parametrize("at", ["a", "b"])


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair with something that was not sent yet."""
    made = ready_pair(fresh, host1, host2)
    made.write("never sent before\n", "last")
    return made


def script_pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair that the script made."""
    made = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))
    script.init(made)
    return made


@pytest.mark.both
@pytest.mark.acceptance(46)
@BOTH_ENDS
def test_case_46_a_planned_move(pair: Pair, at: str) -> None:
    """Given state N, when `failover a` runs on A, then state N' of 8.2 on both sides, data identical, B mounted and
    writable, A read-only; on either end's call."""
    content = live(pair.a, pair.fs)
    result = done(make_master(pair, "b", at))
    assert result.changed
    assert result["pair"]["role"] == ("replica" if at == "a" else "master")
    after = turned(pair)
    assert_in_place(after)
    # The one property that is ours and not the script's: it tells the newer of two masters.
    assert local(pair.b, pair.dest, "zrep:promoted").isdigit()
    assert local(pair.a, pair.fs, "zrep:promoted") is None
    assert pair.on_a() == pair.on_b() == ["zrep_000000", "zrep_000001"]
    assert pair.marks()[0] == pair.marks()[1]
    assert set(pair.marks()[0]) == {"zrep_000000", "zrep_000001"}
    after.assert_same()
    assert live(pair.b, pair.dest) == content
    assert_works(after)


@pytest.mark.acceptance(46)
@pytest.mark.parametrize("tag", daily(["zrep-dc", "dc"]))
def test_case_46_under_another_tag(fresh, host1: Host, host2: Host, tag: str) -> None:
    pair = ready_pair(fresh, host1, host2, tag=tag)
    pair.write("more")
    after = move(pair, "b", script_locks=True)
    assert_in_place(after)
    assert_works(after)
    assert local(host1, pair.fs, f"{tag}:lock-pid") is None


@pytest.mark.acceptance(47)
def test_case_47_the_script_goes_on_after_our_move(pair: Pair) -> None:
    """Given N, when upstream on B runs `takeover b`, then our A performs failover and calls B back; same result. Seen
    from the script: with what our move left, its own verbs go on."""
    after = move(pair)
    after.write("written on B\n", "b")
    script.sync(after)
    after.assert_same()
    back = script.failover(after)
    assert_in_place(back)
    back.assert_same()
    assert_works(back)


@pytest.mark.acceptance(47)
@BOTH_ENDS
def test_case_47_we_go_on_after_a_move_of_the_script(fresh, host1: Host, host2: Host, at: str) -> None:
    pair = script_pair(fresh, host1, host2)
    pair.write("more")
    script.sync(pair)
    after = script.failover(pair)
    assert_in_place(after)
    for host, dataset in (side(after, "a"), side(after, "b")):
        assert zrep_info(host, filesystem=dataset, check_peer=True)["pairs"][0]["healthy"]
    assert_works(after)
    assert not make_master(after, "a", at).changed
    back = move(after, at)
    assert_in_place(back)
    assert_works(back)


@pytest.mark.acceptance(50)
@BOTH_ENDS
def test_case_50_and_back_again(pair: Pair, at: str) -> None:
    """Given N', when failover runs on B, then A is master again and A's readonly is no longer local."""
    after = move(pair)
    after.write("written on B\n", "b")
    content = live(pair.b, pair.dest)
    back = move(after, at)
    assert_in_place(back)
    assert live(pair.a, pair.fs) == content
    assert pair.a.zfs("get", "-H", "-o", "value,source", "readonly", pair.fs).split() == ["off", "default"]
    assert_works(back)
    assert_in_place(move(back, at))


@pytest.mark.acceptance(55)
@pytest.mark.parametrize("made", ["by zrep_pair", "by the script"])
def test_case_55_right_after_the_creation(fresh, host1: Host, host2: Host, made: str) -> None:
    """Given init only (no sync), a planned move works too; the forced one is in test_takeover.py."""
    pair = script_pair(fresh, host1, host2) if made == "by the script" else make_pair(fresh, host1, host2)
    after = move(pair)
    assert_in_place(after)
    assert pair.marks()[0] == pair.marks()[1]
    script.sync(after)
    assert_works(after)


@pytest.mark.acceptance(56)
def test_case_56_names_differ(pair: Pair) -> None:
    """Given names differ (`a`, `b`), then after failover A has `src-fs=b`, `dest-fs=a` and B the same."""
    assert pair.fs.partition("/")[2] != pair.dest.partition("/")[2]
    move(pair)
    for host, dataset in (side(pair, "a"), side(pair, "b")):
        assert local(host, dataset, "zrep:src-fs") == pair.dest
        assert local(host, dataset, "zrep:dest-fs") == pair.fs
        assert local(host, dataset, "zrep:src-host") == "host2"
        assert local(host, dataset, "zrep:dest-host") == "host1"


@pytest.fixture
def tank(fresh, host1: Host, host2: Host) -> Iterator[str]:
    """A pool of one name on both hosts."""
    for host in (host1, host2):
        host.add_pool("tank", 64 * MIB)
    yield "tank"
    destroy = ["/run/lab/real/zpool", "destroy", "-f", "tank"]
    for host in (host1, host2):
        # fuse lets go of a filesystem a moment after it was unmounted.
        wait_until(lambda host=host: "busy" not in host.run(destroy, check=False).stderr, "tank is destroyed")


@BOTH_ENDS
def test_both_sides_may_have_the_same_name(tank: str, host1: Host, host2: Host, at: str) -> None:
    pair = Pair(host1, f"{tank}/fs", host2, f"{tank}/fs")
    host1.zfs("create", pair.fs)
    script.init(pair)
    after = move(pair, at)
    assert_in_place(after)
    assert live(host1, pair.fs) == live(host2, pair.dest)
    # Of a record in which only the names of the hosts change, half is still whole.
    script.failover(after, dies_after="src-fs there" if at == "a" else "dest-fs here")
    back = move(after, at)
    assert_in_place(back)
    back.sync()


@BOTH_ENDS
@pytest.mark.parametrize("master", ["a", "b"])
def test_nothing_to_do(pair: Pair, master: str, at: str) -> None:
    if master == "b":
        move(pair)
    before = pair.dump()
    result = done(make_master(pair, master, at))
    assert not result.changed
    assert result["actions"] == []
    assert result["diff"] == []
    assert result["pair"]["role"] == ("master" if at == master else "replica")
    assert (result["loss"], result["preserved"]) == (None, None)
    assert pair.dump() == before
    # Nor with options that are for another situation.
    options = {"force": True} if at == master else {"diverged": "preserve"}
    assert not done(make_master(pair, master, at, **options)).changed
    assert pair.dump() == before


def test_snapshots_and_writes_of_all_kinds_go_along(pair: Pair) -> None:
    pair.a.zfs("snapshot", f"{pair.fs}@daily-1")
    done(zrep_snapshot(pair.a, filesystem=pair.fs))
    pair.a.zfs("snapshot", f"{pair.fs}@a b:c.d")
    pair.a.run(f"head -c 300000 /dev/urandom >/{pair.fs}/binary")
    content = live(pair.a, pair.fs)
    after = move(pair, "b")
    assert pair.on_a() == pair.on_b()
    assert pair.on_b()[1:4] == ["daily-1", "zrep_000001", "a b:c.d"]
    assert live(pair.b, pair.dest) == content
    assert_works(after)


@BOTH_ENDS
def test_a_snapshot_that_comes_in_between_is_not_left_behind(pair: Pair, at: str) -> None:
    """Somebody's schedule takes one when the last sync is through: the two sides are not equal then, so no move."""
    with held(pair.b, verbs=("set",), when="after") as hold:
        running = start_move(pair, "b", at)
        hold.wait()
        pair.a.zfs("snapshot", f"{pair.fs}@daily-1")
        hold.go()
        refused = running.result()
    assert refused.code == "busy"
    assert "daily-1" in refused["msg"]
    assert_in_place(pair)
    after = move(pair, at)
    assert "daily-1" in pair.on_b()
    assert_works(after)


def test_a_master_that_is_not_mounted_or_was_set_writable(pair: Pair, fresh) -> None:
    content = live(pair.a, pair.fs)
    pair.a.zfs("unmount", pair.fs)
    move(pair, "b")
    assert not mounted(pair.a, pair.fs)
    assert live(pair.b, pair.dest) == content
    other = ready_pair(fresh, pair.a, pair.b, "other")
    other.a.zfs("set", "readonly=off", other.fs)
    assert_in_place(move(move(other), "b"))


@pytest.mark.acceptance(28)
@pytest.mark.acceptance(27)
def test_cases_27_and_28_after_a_move(pair: Pair) -> None:
    """Only the new master pushes, and without change the mark moves on both sides."""
    pair.b.zfs("set", "atime=off", pair.dest)  # To look at files is no change then.
    after = move(pair)
    before = pair.dump()
    assert zrep_sync(pair.a, filesystem=pair.fs).code == "wrong_role"
    assert done(zrep_sync(pair.a, filesystem="all")).actions == []
    assert pair.dump() == before
    last = pair.on_b()[-1]
    for host, dataset in (side(pair, "a"), side(pair, "b")):
        host.zfs("set", "zrep:sent=1000000000", f"{dataset}@{last}")
    result = after.sync(only_if_changed=True)
    assert [action for _host, action, _target in result.actions] == ["mark_sent", "mark_sent"]
    here, there = after.marks()
    assert here == there
    assert int(here[last]) > 1000000000


@pytest.mark.acceptance(29)
def test_case_29_after_a_move(pair: Pair) -> None:
    """The new master rolls its replica back, and a following sync brings it forward again."""
    after = move(pair)
    after.write("more")
    after.sync()
    done(zrep_sync(after.a, filesystem=f"{after.fs}@zrep_000001"))
    assert after.on_b() == ["zrep_000000", "zrep_000001"]
    assert set(after.marks()[0]) == {"zrep_000000", "zrep_000001"}
    assert_works(after)
    assert after.on_b()[-1] == "zrep_000003"


# -- a move that died ------------------------------------------------------------------------------------------

# Where the script has turned half of a record round, that side says something else than what it is. Only the other
# side, whose record is whole, knows who is whose.
TORN_HERE = ("dest-fs here", "dest-host here", "src-fs here")
TORN_THERE = ("src-fs there", "src-host there", "dest-fs there")
TORN = TORN_HERE + TORN_THERE


def died(fresh, host1: Host, host2: Host, step: str, at: str) -> Pair:
    """A pair of which the script died while it moved it."""
    pair = ready_pair(fresh, host1, host2, f"{step}-{at}".replace(" ", "-"))
    pair.write("never sent before\n", "last")
    script.failover(pair, dies_after=step)
    return pair


@pytest.mark.acceptance(53)
@pytest.mark.parametrize("step", daily(script.MOVE, 3))
def test_case_53_a_move_that_died_is_completed(fresh, host1: Host, host2: Host, step: str) -> None:
    """(+) Given interrupted role flip with both sides non-master, when the failover task is repeated, then it
    completes. From whichever of its steps, and from either end, as far as that knows its peer."""
    ends = {"a", "b"} - ({"a"} if step in TORN_HERE else set()) - ({"b"} if step in TORN_THERE else set())
    for at in sorted(ends):
        pair = died(fresh, host1, host2, step, at)
        done(make_master(pair, "b", at))
        assert_in_place(turned(pair))
        assert host2.read_file(f"/{pair.dest}/last") == "never sent before\n"
    turned(pair).assert_same()
    assert not make_master(pair, "b", "b").changed


@pytest.mark.acceptance(53)
@pytest.mark.parametrize("step", daily(TORN))
def test_case_53_an_end_that_does_not_know_its_peer_refuses(fresh, host1: Host, host2: Host, step: str) -> None:
    at = "a" if step in TORN_HERE else "b"
    pair = died(fresh, host1, host2, step, at)
    before = dump(host1, host2)
    result = make_master(pair, "b", at, diverged="discard")
    assert result.code in ("bad_property", "paired_elsewhere", "not_found"), result["msg"]
    assert dump(host1, host2) == before


@pytest.mark.acceptance(53)
@pytest.mark.parametrize("step", daily([step for step in script.MOVE[:9] if step not in TORN], 3))
def test_case_53_a_move_that_died_is_called_off(fresh, host1: Host, host2: Host, step: str) -> None:
    """While A still is the master, role=master there makes it writable again, and so does role=replica on B."""
    at = "b" if step in ("readonly", "mark there") else "a"
    pair = died(fresh, host1, host2, step, at)
    assert readonly(host1, pair.fs)
    content = live(host1, pair.fs)
    done(make_master(pair, "a", at))
    assert_in_place(pair)
    assert live(host1, pair.fs) == content
    assert not make_master(pair, "a", "a").changed
    assert_works(pair)


@pytest.mark.acceptance(53)
@pytest.mark.parametrize(("step", "at"), [("no master here", "a"), ("dest-host there", "b")])
def test_case_53_nobody_master_ends_as_asked(fresh, host1: Host, host2: Host, step: str, at: str) -> None:
    """Nothing was written on either side since, so the old master may as well be the new one."""
    pair = died(fresh, host1, host2, step, at)
    done(make_master(pair, "a", at))
    assert_in_place(pair)
    assert_works(pair)
