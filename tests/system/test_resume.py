# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transfers that are interrupted go on from where they were, on hosts whose zfs can keep what has arrived."""

from __future__ import annotations

import pytest

from tests.lab import Host
from tests.system.core import both_hold_the_same
from tests.system.interruptions import (
    INTERRUPTIONS,
    MEGABYTE,
    TOKEN,
    Transfer,
    create,
    fill,
    move,
    pull,
    push,
    wire_bytes,
)
from tests.system.pairs import Pair, exists, local, ready_pair, value
from tests.system.product import zrep_failover, zrep_pair

pytestmark = [pytest.mark.system, pytest.mark.needs("resume")]

SMALL = 8
"""Megabytes; some times of what is on its way between two hosts."""


@pytest.fixture(autouse=True)
def resumable(fresh, host2: Host) -> None:
    """These need a zfs that knows resume tokens."""
    asked = host2.run(["zfs", "get", "-H", "-o", "value", TOKEN, host2.pool], check=False)
    if asked.returncode != 0:
        pytest.skip("zfs of this lab has no resumable receive; needs the lab with OpenZFS")


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    return ready_pair(fresh, host1, host2)


def interrupted(transfer: Transfer, how: str, after: int) -> None:
    """Have a transfer end early: it says so, and keeps what has arrived."""
    said = INTERRUPTIONS[how](transfer, after)
    assert said.failed, "it was not interrupted"
    assert transfer.token != "-", said.failed["text"]


def goes_on_for_little(transfer: Transfer, pair: Pair, how: str, percent: int, megabytes: int) -> None:
    """What is sent twice is less than a fifth, and the replica ends with what the master has."""
    fill(pair.a, f"/{pair.fs}/big", megabytes)
    size = megabytes * MEGABYTE
    before = wire_bytes(transfer.sender)
    interrupted(transfer, how, size * percent // 100)
    assert set(pair.marks()[0]) <= {"zrep_000000"}
    again = transfer.run()
    assert again.well
    assert again.warnings == []
    assert size < wire_bytes(transfer.sender) - before < 1.2 * size
    assert transfer.token == "-"
    both_hold_the_same(pair)
    if transfer.verb == "sync":
        pair.assert_same()
        assert pair.marks()[0] == pair.marks()[1]


@pytest.mark.acceptance(30)
@pytest.mark.parametrize(
    ("how", "percent"),
    [
        ("killed sender", 50),
        ("killed receiver", 99),
        ("cut link", 50),
        # How much a full pool loses of what is on its way is too near to a fifth of so small a stream.
        pytest.param("full pool", 50, marks=pytest.mark.slow),
    ],
)
def test_case_30_an_interrupted_stream_goes_on(pair: Pair, how: str, percent: int) -> None:
    goes_on_for_little(push(pair), pair, how, percent, 24)


@pytest.mark.slow
@pytest.mark.parametrize("percent", [1, 50, 99])
@pytest.mark.parametrize("how", INTERRUPTIONS)
def test_a_large_stream_goes_on_wherever_it_was_interrupted(pair: Pair, how: str, percent: int) -> None:
    goes_on_for_little(push(pair), pair, how, percent, 200)


@pytest.mark.parametrize("kind", [pull, move])
def test_pulling_and_moving_go_on(pair: Pair, kind) -> None:
    goes_on_for_little(kind(pair), pair, "killed sender", 50, SMALL)


def test_a_move_whose_stream_breaks_leaves_production_alone(pair: Pair) -> None:
    fill(pair.a, f"/{pair.fs}/big", SMALL)
    interrupted(push(pair), "killed sender", SMALL * MEGABYTE // 3)
    interrupted(move(pair), "killed sender", SMALL * MEGABYTE // 3)
    assert value(pair.a, pair.fs, "readonly") == "off"
    assert local(pair.a, pair.fs, "zrep:master") == "yes"
    assert move(pair).run().well
    assert local(pair.b, pair.dest, "zrep:master") == "yes"
    both_hold_the_same(pair)


@pytest.mark.slow
def test_making_a_pair_goes_on(fresh, host1: Host, host2: Host) -> None:
    pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))
    host1.zfs("set", "compression=gzip", "test:of=ours", pair.fs)
    goes_on_for_little(create(pair), pair, "killed sender", 50, SMALL)
    assert value(host2, pair.dest, "readonly") == "on"
    assert value(host2, pair.dest, "compression") == "gzip"
    assert value(host2, pair.dest, "test:of") == "ours"
    assert value(host2, pair.dest, "mountpoint") == f"/{pair.dest}"
    assert local(host1, pair.fs, "zrep:master") == "yes"
    fill(host1, f"/{pair.fs}/more", 1)
    pair.sync()
    pair.assert_same()


@pytest.mark.slow
def test_interrupted_again_and_again(pair: Pair) -> None:
    fill(pair.a, f"/{pair.fs}/big", SMALL)
    for _time in range(3):
        interrupted(push(pair), "killed sender", 2 * MEGABYTE)
    assert pair.on_a() == ["zrep_000000", "zrep_000001"]
    assert push(pair).run().well
    pair.assert_same()
    assert list(pair.marks()[0]) == ["zrep_000000", "zrep_000001", "zrep_000002"]


@pytest.fixture
def half(pair: Pair) -> Pair:
    """A pair with an interrupted receive."""
    fill(pair.a, f"/{pair.fs}/big", SMALL)
    interrupted(push(pair), "killed sender", SMALL * MEGABYTE // 2)
    return pair


def test_what_nobody_can_complete_is_given_up_with_a_warning(half: Pair) -> None:
    half.a.zfs("destroy", f"{half.fs}@zrep_000001")
    said = push(half).run()
    assert said.well
    assert any("does not have the snapshot" in warning for warning in said.warnings)
    half.assert_same()


@pytest.mark.slow
def test_switched_off_it_begins_again(half: Pair) -> None:
    result = half.sync(resume=False)
    assert [action["action"] for action in result["actions"]][:1] == ["abandon"]
    half.assert_same()


def test_switched_off_nothing_is_kept(pair: Pair) -> None:
    fill(pair.a, f"/{pair.fs}/big", SMALL)
    said = push(pair).run(resume=False, out_filter=f"head -c {MEGABYTE}; pkill -KILL -f '^zfs send'")
    assert said.failed
    assert push(pair).token == "-"
    assert pair.on_a() == ["zrep_000000", "zrep_000001_unsent"]


@pytest.mark.slow
def test_a_token_never_reaches_a_shell_and_nothing_else_is_sent(half: Pair) -> None:
    """The replica's filesystem shows what its zfs says; here it is one that was made for another dataset."""
    secret = f"{half.a.pool}/secret"
    half.a.zfs("create", secret)
    fill(half.a, f"/{secret}/key", SMALL)
    half.a.zfs("snapshot", f"{secret}@now")
    half.b.zfs("receive", "-A", half.dest)
    stream = half.a.run(["zfs", "send", f"{secret}@now"], text=False).stdout
    half.b.run(["zfs", "receive", "-u", "-s", f"{half.dest}-x"], input=stream[: 4 * MEGABYTE], text=False, check=False)
    half.b.zfs("rename", half.dest, f"{half.dest}-kept")
    half.b.zfs("rename", f"{half.dest}-x", half.dest)
    said = push(half).run()
    assert said.failed
    assert said.failed["code"] in ("no_common_snapshot", "not_paired", "paired_elsewhere")
    assert not exists(half.b, f"{half.dest}@now")


@pytest.mark.slow
def test_force_goes_on_from_the_base(half: Pair) -> None:
    half.b.zfs("snapshot", f"{half.dest}@mine")
    half.sync(force=True)
    half.assert_same()


def test_a_replica_that_takes_over_gives_it_up(half: Pair) -> None:
    half.a.run("true")
    result = zrep_failover(half.b, filesystem=half.dest, role="master", force=True)
    assert not result.failed, result["msg"]
    assert push(half).token == "-"
    assert value(half.b, half.dest, "mounted") == "yes"


@pytest.mark.slow
def test_a_pair_that_is_taken_apart_leaves_nothing_half(half: Pair) -> None:
    result = zrep_pair(half.a, filesystem=half.fs, state="absent")
    assert not result.failed, result["msg"]
    assert push(half).token == "-"
    assert half.on_b() == ["zrep_000000"]
