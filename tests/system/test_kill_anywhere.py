# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every operation is killed, and cut off from its peer, before and after every command that changes a pool.

How that goes is in campaign.py; here is what is disturbed, and what has to be reached all the same.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from tests.lab import Host
from tests.system.campaign import (
    AFTER,
    BEFORE,
    CUT,
    KILL,
    Call,
    Campaign,
    Operation,
    Scene,
    contents,
    preserved,
    roles,
    sums,
)
from tests.system.lines import Line
from tests.system.moves import turned
from tests.system.pairs import Pair, ready_pair, value
from tests.system.product import zrep_failover

pytestmark = pytest.mark.system

SENT = {"file": "text\n"}
"""What ready_pair puts into a filesystem, and sends."""


# -- starts --------------------------------------------------------------------------------------------------


def write(host: Host, dataset: str, texts: dict[str, str]) -> None:
    """Write files; they need not have reached the disk."""
    host.run("\n".join(f"printf %s '{text}' >/{dataset}/{name}" for name, text in texts.items()))


def synced(fresh: Any, a: Host, b: Host, base: str, texts: dict[str, str], savecount: int = 5) -> Pair:
    """A pair that has one snapshot more than ready_pair makes for each of these files, all of them sent."""
    pair = ready_pair(fresh, a, b, base)
    zfs, here, there = "/run/lab/real/zfs", [], []
    newest = "zrep_000000"
    for number, (name, text) in enumerate(texts.items(), 1):
        newest = f"zrep_{number:06x}"
        here += [
            f"printf %s '{text}' >/{pair.fs}/{name}",
            f"{zfs} snapshot {pair.fs}@{newest}",
            f"{zfs} set zrep:sent={1700000000 + number} {pair.fs}@{newest}",
        ]
        there.append(f"{zfs} set zrep:sent={1700000000 + number} {pair.dest}@{newest}")
    here += [f"{zfs} set zrep:savecount={savecount} {pair.fs}", f"{zfs} send -I zrep_000000 {pair.fs}@{newest}"]
    there = [f"{zfs} receive -u {pair.dest}", *there, f"{zfs} set zrep:savecount={savecount} {pair.dest}"]
    stream = a.run("\n".join(["set -e", *here]), text=False).stdout
    b.run("\n".join(["set -e", *there]), input=stream, text=False)
    return pair


# -- operations ----------------------------------------------------------------------------------------------


class Create(Operation):
    name = "create"

    def prepare(self, fresh: Any, a: Host, b: Host, base: str) -> Scene:
        pair = Pair(a, fresh.create(a, base), b, fresh.name(b, f"{base}-copy"))
        write(a, pair.fs, SENT)
        return Scene(pair, SENT)

    def call(self, pair: Pair) -> Call:
        options = {"filesystem": pair.fs, "peer_host": pair.b.name, "peer_filesystem": pair.dest}
        return Call(pair.a, pair.b, "zrep_pair", options)


class Sync(Operation):
    """With something to send, and something to expire on both sides."""

    name = "sync"
    options: ClassVar[dict[str, Any]] = {}

    def prepare(self, fresh: Any, a: Host, b: Host, base: str) -> Scene:
        pair = synced(fresh, a, b, base, {"more": "1"}, savecount=1)
        write(a, pair.fs, {"new": "2"})
        return Scene(pair, {**SENT, "more": "1", "new": "2"})

    def call(self, pair: Pair) -> Call:
        return Call(pair.a, pair.b, "zrep_sync", {"filesystem": pair.fs, **self.options})

    def once_more(self, pair: Pair) -> Call:
        return Call(pair.a, pair.b, "zrep_sync", {"filesystem": pair.fs, "max_age": 3600})

    def check(self, scene: Scene) -> None:
        pair = scene.pair
        assert len(pair.on_b()) == 1
        # A sender that is killed, or loses its receiver, leaves its snapshots held on zfs-fuse until the host boots,
        # and what is held is never destroyed. On the replica there is no such excuse.
        *older, _last = pair.on_a()
        assert all(value(pair.a, f"{pair.fs}@{short}", "userrefs") != "0" for short in older)
        pair.assert_same()


class SyncWithLocks(Sync):
    name = "sync with the script's locks"
    options: ClassVar[dict[str, Any]] = {"script_locks": True}


class Refresh(Sync):
    """The same, pulled; there is no zrep where the master is."""

    name = "refresh"

    def call(self, pair: Pair) -> Call:
        return Line(pair.b, pair.a, "refresh", {"filesystem": pair.dest})


class Expire(Operation):
    name = "expire"

    def prepare(self, fresh: Any, a: Host, b: Host, base: str) -> Scene:
        texts = {"one": "1", "two": "2", "three": "3"}
        return Scene(synced(fresh, a, b, base, texts, savecount=2), {**SENT, **texts})

    def call(self, pair: Pair) -> Call:
        return Call(pair.a, pair.b, "zrep_snapshot", {"filesystem": pair.fs, "state": "expired"})

    def check(self, scene: Scene) -> None:
        assert scene.pair.on_a() == scene.pair.on_b() == ["zrep_000002", "zrep_000003"]


class RollBack(Operation):
    """To the last but one that both have, with snapshots and files after it on the master."""

    name = "rollback"

    def prepare(self, fresh: Any, a: Host, b: Host, base: str) -> Scene:
        pair = synced(fresh, a, b, base, {"one": "1", "two": "2", "three": "3"})
        write(a, pair.fs, {"given-up": "4"})
        return Scene(pair, {**SENT, "one": "1", "two": "2"})

    def call(self, pair: Pair) -> Call:
        options = {"filesystem": pair.fs, "state": "rolled_back", "snapshot": "zrep_000002"}
        return Call(pair.a, pair.b, "zrep_snapshot", options)

    def check(self, scene: Scene) -> None:
        assert scene.pair.on_a() == scene.pair.on_b() == [f"zrep_00000{number}" for number in range(3)]


class PlannedFromTheMaster(Operation):
    name = "planned failover from the master"

    def prepare(self, fresh: Any, a: Host, b: Host, base: str) -> Scene:
        pair = ready_pair(fresh, a, b, base)
        write(a, pair.fs, {"more": "1"})
        return Scene(pair, {**SENT, "more": "1"})

    def call(self, pair: Pair) -> Call:
        return Call(pair.a, pair.b, "zrep_failover", {"filesystem": pair.fs, "role": "replica"})

    def ends_as(self, pair: Pair) -> Pair:
        return turned(pair)


class PlannedFromTheReplica(PlannedFromTheMaster):
    name = "planned failover from the replica"

    def call(self, pair: Pair) -> Call:
        return Call(pair.b, pair.a, "zrep_failover", {"filesystem": pair.dest, "role": "master"})


class TakeOver(Operation):
    """The old master lives on and is told nothing."""

    name = "forced takeover"
    split = True

    def prepare(self, fresh: Any, a: Host, b: Host, base: str) -> Scene:
        pair = ready_pair(fresh, a, b, base)
        write(a, pair.fs, {"unsent": "1"})
        return Scene(pair, SENT, own={**SENT, "unsent": "1"})

    def call(self, pair: Pair) -> Call:
        options = {"filesystem": pair.dest, "role": "master", "force": True}
        return Call(pair.b, pair.a, "zrep_failover", options)

    def ends_as(self, pair: Pair) -> None:
        return None

    def check(self, scene: Scene) -> None:
        pair = scene.pair
        old, new = roles(pair)
        assert (old.master, old.writable) == (new.master, new.writable) == (True, True)
        assert contents(pair.b, pair.dest) == sums(scene.kept)
        assert contents(pair.a, pair.fs) == sums(scene.own)


class Return(Operation):
    """After a takeover both sides were written to, and took a snapshot, which got the same name."""

    split = True
    diverged: str

    def prepare(self, fresh: Any, a: Host, b: Host, base: str) -> Scene:
        pair = ready_pair(fresh, a, b, base)
        taken = zrep_failover(b, filesystem=pair.dest, role="master", force=True)
        assert not taken.failed, taken["msg"]
        for host, dataset, text in ((a, pair.fs, "old"), (b, pair.dest, "new")):
            write(host, dataset, {"snapped": text})
            host.zfs("snapshot", f"{dataset}@zrep_000001")
            write(host, dataset, {"last": text})
        kept, own = ({**SENT, "snapped": text, "last": text} for text in ("new", "old"))
        return Scene(pair, kept, own)

    def call(self, pair: Pair) -> Call:
        options = {"filesystem": pair.fs, "role": "replica", "diverged": self.diverged}
        return Call(pair.a, pair.b, "zrep_failover", options)

    def ends_as(self, pair: Pair) -> Pair:
        return turned(pair)

    def check(self, scene: Scene) -> None:
        pair = scene.pair
        assert preserved(pair.a, pair.fs) == ([sums(scene.own)] if self.diverged == "preserve" else [])


class ReturnAndPreserve(Return):
    name = "return with preserve"
    diverged = "preserve"


class ReturnAndDiscard(Return):
    name = "return with discard"
    diverged = "discard"


OPERATIONS = (
    PlannedFromTheMaster(),
    PlannedFromTheReplica(),
    ReturnAndPreserve(),
    ReturnAndDiscard(),
    Create(),
    SyncWithLocks(),
    Sync(),
    Refresh(),
    RollBack(),
    TakeOver(),
    Expire(),
)


def _campaigns() -> list[Any]:
    """Each operation in each way; for every day those that show the most, by turns, the rest in ``make campaign``.

    To be killed after a command is mostly the same as before the next one, and to lose the peer before one as after the
    last.
    """
    found = []
    for number, operation in enumerate(OPERATIONS):
        for how, when in ((KILL, BEFORE), (CUT, AFTER), (KILL, AFTER), (CUT, BEFORE)):
            turn = {(KILL, BEFORE): 0, (CUT, AFTER): 1}.get((how, when))
            marks = [] if turn == number % 4 else [pytest.mark.slow]
            if isinstance(operation, TakeOver):
                # Not many points: the sample of the other kind of ZFS.
                marks = [] if (how, when) == (KILL, BEFORE) else [pytest.mark.slow]
                marks += [pytest.mark.both]
            name = f"{how}-{when}-{operation.name}".replace(" ", "-")
            found.append(pytest.param(operation, how, when, marks=marks, id=name))
    return found


@pytest.mark.parametrize(("operation", "how", "when"), _campaigns())
def test_disturbed_anywhere(
    fresh, host1: Host, host2: Host, operation: Operation, how: str, when: str, record_property: Any
) -> None:
    tally = Campaign(operation, how, when, fresh, host1, host2).run()
    record_property("campaign", str(tally))
    print(tally)
    assert tally.points
    assert not tally.failures, "\n\n".join([str(tally), *tally.failures])
