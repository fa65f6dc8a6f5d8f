# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pair lives through sequences of work, moves, forced takeovers, kills and lost links that nobody thought of.

A model knows which files have to be where. After each step both hosts are compared with it: nothing is lost that nobody
gave up, and there are no two writable masters unless somebody forced it.

A sequence that fails is printed as Python: put it into an ``@example`` of the test, and it is played again. With
ZFSOPS_RANDOM=200 in the environment so many sequences are tried, other ones each time, and the one that fails is made
as short as it can be; that takes longer than a test may otherwise (``--timeout 0``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.lab import Host
from tests.system import campaign
from tests.system.campaign import (
    AFTER,
    BEFORE,
    CUT,
    KILL,
    Call,
    Role,
    contents,
    describe,
    disarm,
    disturb,
    newest,
    preserved,
    roles,
    sums,
    two_writable_masters,
)
from tests.system.pairs import Pair, guids, held, local, ready_pair, value
from tests.system.product import Result, zrep_info

pytestmark = pytest.mark.system

A, B = "a", "b"
OPPOSITE = {A: B, B: A}

MASTER, OTHER = "the master", "the other"
"""The sides as a sequence names them: the newest master, and the side that is its replica or an older master."""

AGAIN, FROM_THE_OTHER_END, CALL_OFF, TAKE_OVER, TAKE_BACK = (
    "again",
    "from the other end",
    "call off",
    "take over",
    "take back",
)
"""What is done about a call that was disturbed."""

Files = dict[str, str]
"""The texts of files by their names."""


@dataclass
class World:
    """A pair, and what is known about it without asking.

    :param masters: the sides that are master, the newest last; with two of them, somebody forced it.
    :param frozen: masters that a move which died has left read-only, before somebody forced it.
    :param files: the files of each master.
    :param common: the files in the newest snapshot that both sides hold, which are those of a replica.
    :param maybe: what a replica may hold instead, because calls that send it were disturbed.
    :param known: the files in each snapshot that both sides had, by GUID.
    :param kept: what was preserved, and on which side.
    :param apart: whether the hosts cannot reach each other.
    :param target: the GUID of the snapshot to which both sides were last to go back.
    """

    pair: Pair
    files: dict[str, Files]
    common: Files
    masters: list[str] = field(default_factory=lambda: [A])
    frozen: set[str] = field(default_factory=set)
    maybe: list[Files] = field(default_factory=list)
    known: dict[str, Files] = field(default_factory=dict)
    kept: list[tuple[str, Files]] = field(default_factory=list)
    apart: bool = False
    target: str = ""
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def split(self) -> bool:
        return len(self.masters) == 2

    @property
    def master(self) -> str:
        return self.masters[-1]

    def side(self, word: str) -> str:
        """The side that is meant by MASTER or OTHER."""
        return self.master if word == MASTER else OPPOSITE[self.master]

    def at(self, side: str) -> tuple[Host, str]:
        """The host and the dataset of a side."""
        return (self.pair.a, self.pair.fs) if side == A else (self.pair.b, self.pair.dest)

    def call(self, word: str, module: str, **options: object) -> Call:
        """A call about the pair on one of its sides."""
        side = self.side(word)
        (host, dataset), (peer, _dataset) = self.at(side), self.at(OPPOSITE[side])
        return Call(host, peer, module, {"filesystem": dataset, **options})

    def set_common(self, files: Files) -> None:
        """Both sides hold these files in their newest common snapshot, which is the newest of the newest master."""
        host, dataset = self.at(self.master)
        self.common = dict(files)
        self.maybe = []
        self.known[newest(host)[dataset]] = self.common

    def set_master(self, side: str) -> None:
        """A side is the only master, and has the files that the newest one had."""
        self.files = {side: self.files[self.master]}
        self.masters = [side]

    def shared(self) -> list[tuple[str, str]]:
        """Name and GUID of the snapshots that both sides have, oldest first."""
        here, there = guids(*self.at(self.master)), guids(*self.at(OPPOSITE[self.master]))
        return [(name, guid) for name, guid in here.items() if guid in there.values()]

    def holds(self, side: str, guid: str) -> bool:
        """Whether something newer than a snapshot is held on a side, as a sender that died leaves it on zfs-fuse."""
        host, dataset = self.at(side)
        found = guids(host, dataset)
        newer = list(found)[list(found.values()).index(guid) + 1 :]
        return any(value(host, f"{dataset}@{name}", "userrefs") != "0" for name in newer)

    def really(self, side: str) -> Role:
        """What a side is, where that cannot be known."""
        return roles(self.pair)[0 if side == A else 1]

    def check_info(self, side: str) -> None:
        """Ask a side about both. That never fails, whatever became of them."""
        host, dataset = self.at(side)
        info = zrep_info(host, filesystem=dataset, check_peer=True)
        assert not info.failed, info["msg"]
        assert info["pairs"][0]["role"] == ("master" if side in self.masters else "replica")
        assert info["pairs"][0]["peer_reachable"] != self.apart

    def look(self, moment: str) -> None:
        """Fail if users could write on both sides though nobody forced it."""
        assert self.split or not two_writable_masters(self.pair), f"two writable masters {moment}"

    def check(self) -> None:
        """Compare both hosts with what is known."""
        for side, role in zip((A, B), roles(self.pair), strict=True):
            host, dataset = self.at(side)
            if role.writable:
                self.frozen.discard(side)
            is_master = side in self.masters
            assert (role.master, role.writable) == (is_master, is_master and side not in self.frozen), f"{side}: {role}"
            assert local(host, dataset, "zrep:lock-pid") is None
        self.check_info(A if next(self.numbers) % 2 else B)
        for side in self.masters:
            assert contents(*self.at(side)) == sums(self.files[side]), f"files of {side}"
        for side, files in self.kept:
            assert sums(files) in preserved(*self.at(side)), f"what {side} had of its own"


def expect(result: Result, *codes: str) -> None:
    """Fail unless a call was refused with one of these codes, or went well if there are none."""
    said = f"{result.code}: {result['msg']}" if result.failed else "it went well"
    assert result.failed == bool(codes), f"expected {codes or 'success'}, but {said}"
    assert not codes or result.code in codes, f"expected {codes}, but {said}"


# -- steps ---------------------------------------------------------------------------------------------------


class Step:
    """Something that happens to a pair. A frozen dataclass, so that it is printed as what makes it again."""

    def run(self, world: World) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Write(Step):
    """Somebody makes a file, and writes over another, on the newest or the oldest master."""

    newest: bool

    def run(self, world: World) -> None:
        side = world.masters[-1 if self.newest else 0]
        if side in world.frozen:
            return
        host, dataset = world.at(side)
        number = next(world.numbers)
        for name in (f"file-{number}", "file"):
            world.files[side][name] = f"{number} on {side}"
            host.write_file(f"/{dataset}/{name}", world.files[side][name])


class Verb(Step):
    """A call of a module on one side, and what becomes of it. What is known only changes in ``settle``."""

    at: str

    def call(self, world: World) -> Call:
        raise NotImplementedError

    def settle(self, world: World, result: Result) -> None:
        """Check how the call ended, and bring what is known up to date."""
        raise NotImplementedError

    def possible(self, world: World) -> bool:
        """Whether zfs can do it at all."""
        return True

    def run(self, world: World) -> None:
        if self.possible(world):
            self.settle(world, self.call(world).persist())


@dataclass(frozen=True)
class Sync(Verb):
    at: str

    def call(self, world: World) -> Call:
        return world.call(self.at, "zrep_sync")

    def settle(self, world: World, result: Result) -> None:
        if world.side(self.at) not in world.masters:
            expect(result, "wrong_role")
        elif world.apart:
            expect(result, "unreachable")
        elif world.split:
            expect(result, "split_brain")
        else:
            expect(result)
            world.set_common(world.files[world.master])


@dataclass(frozen=True)
class Snapshot(Verb):
    at: str

    def call(self, world: World) -> Call:
        return world.call(self.at, "zrep_snapshot")

    def settle(self, world: World, result: Result) -> None:
        expect(result, *([] if world.side(self.at) in world.masters else ["wrong_role"]))


@dataclass(frozen=True)
class Expire(Verb):
    at: str

    def call(self, world: World) -> Call:
        return world.call(self.at, "zrep_snapshot", state="expired")

    def settle(self, world: World, result: Result) -> None:
        if world.side(self.at) not in world.masters:
            expect(result)
        elif world.apart:
            expect(result, "unreachable")
        else:
            expect(result, *(["split_brain"] if world.split else []))


@dataclass(frozen=True)
class Move(Verb):
    """The other side becomes the master, as planned."""

    at: str

    def call(self, world: World) -> Call:
        return world.call(self.at, "zrep_failover", role="replica" if self.at == MASTER else "master")

    def settle(self, world: World, result: Result) -> None:
        if world.apart:
            as_wanted = self.at == OTHER and world.split
            expect(result, *([] if as_wanted else ["unreachable"]))
        elif world.split:
            expect(result, "split_brain")
        else:
            expect(result)
            world.set_master(OPPOSITE[world.master])
            world.set_common(world.files[world.master])


@dataclass(frozen=True)
class Stay(Verb):
    """The master is to be the master, which calls off a move that began."""

    at: str

    def call(self, world: World) -> Call:
        return world.call(self.at, "zrep_failover", role="master" if self.at == MASTER else "replica")

    def settle(self, world: World, result: Result) -> None:
        if world.apart:
            as_wanted = self.at == MASTER or not world.split
            expect(result, *([] if as_wanted else ["unreachable"]))
        else:
            expect(result, *(["split_brain"] if world.split else []))


@dataclass(frozen=True)
class TakeOver(Verb):
    """A side becomes the master, or stays it, without asking the other one."""

    at: str

    def call(self, world: World) -> Call:
        return world.call(self.at, "zrep_failover", role="master", force=True)

    def settle(self, world: World, result: Result) -> None:
        expect(result)
        side = world.side(self.at)
        old = OPPOSITE[side]
        if side in world.masters:
            if world.maybe and not world.split and world.really(old).master:
                # It had been given away completely when that was disturbed.
                world.masters = [old, side]
                world.files[old] = dict(world.files[side])
                world.set_common(world.files[side])
            return
        found = contents(*world.at(side))
        had = [files for files in (world.common, *world.maybe) if sums(files) == found]
        assert had, "it has neither what was sent nor what was being sent"
        world.files[side] = dict(had[0])
        if world.maybe and not world.really(old).master:
            assert world.files[side] == world.files[old], "the old master gave way though not everything was there"
            world.masters = [side]
            del world.files[old]
        else:
            world.masters = [old, side]
            if world.maybe and not world.really(old).writable:
                world.frozen.add(old)
        world.set_common(world.files[side])


@dataclass(frozen=True)
class Return(Verb):
    """A side gives way to the other one, whatever it has of its own."""

    at: str
    diverged: str

    def call(self, world: World) -> Call:
        return world.call(self.at, "zrep_failover", role="replica", diverged=self.diverged)

    def possible(self, world: World) -> bool:
        return not world.split or not world.holds(world.side(self.at), world.shared()[-1][1])

    def settle(self, world: World, result: Result) -> None:
        if world.apart or not world.split:
            (Move if self.at == MASTER else Stay)(self.at).settle(world, result)
            return
        expect(result)
        side = world.side(self.at)
        own = world.files.pop(side)
        if self.diverged == "preserve" and own != world.common:
            world.kept.append((side, own))
        world.masters = [OPPOSITE[side]]
        world.frozen.discard(side)


@dataclass(frozen=True)
class RollBack(Verb):
    """Both sides go back to the newest snapshot that both have, or to one that is so much older."""

    at: str
    back: int

    def call(self, world: World) -> Call:
        known = [found for found in world.shared() if found[1] in world.known]
        name, world.target = known[max(0, len(known) - 1 - self.back)]
        return world.call(self.at, "zrep_snapshot", state="rolled_back", snapshot=name)

    def possible(self, world: World) -> bool:
        if not any(guid in world.known for _name, guid in world.shared()):
            return False
        self.call(world)
        return not any(world.holds(side, world.target) for side in (A, B))

    def settle(self, world: World, result: Result) -> None:
        if world.apart:
            expect(result, "unreachable")
        elif world.split:
            expect(result, "split_brain")
        else:
            expect(result)
            host, dataset = world.at(world.master)
            assert newest(host)[dataset] == world.target
            world.files = {world.master: dict(world.known[world.target])}
            world.set_common(world.files[world.master])


@dataclass(frozen=True)
class Disturbed(Step):
    """A call is killed, or loses its peer, at the n-th command that changes a pool on a side; then something is done
    about it. A call that has fewer commands is just a call.
    """

    verb: Verb
    how: str
    on: str
    n: int
    when: str
    then: str

    def run(self, world: World) -> None:
        if not self.verb.possible(world):
            return
        call = self.verb.call(world)
        host, _dataset = world.at(world.side(self.on))
        how = KILL if world.apart else self.how
        never = "exit 1" if host is call.peer and (how, self.when) == (CUT, BEFORE) else ""
        look = ignore if isinstance(self.verb, TakeOver) else world.look
        with held(host, n=self.n, when=self.when, then=never) as hold:
            what = disturb(call, hold, how, look)
            disarm(host)
            if how == CUT:
                campaign.mend(call.host)
            if what.reached and isinstance(self.verb, (Sync, Move)):
                world.maybe.append(dict(world.files[world.master]))
            answer = self._answer()
            if what.reached and answer is not None:
                answer.run(world)
            else:
                self.verb.settle(world, call.persist())

    def _answer(self) -> Verb | None:
        """What is done about it, other than to make the same call again."""
        move = isinstance(self.verb, Move)
        if self.then == TAKE_OVER and isinstance(self.verb, (Sync, Move)):
            return TakeOver(OTHER)
        if self.then == TAKE_BACK and move:
            return TakeOver(MASTER)
        if self.then == CALL_OFF and move:
            return Stay(self.verb.at)
        if self.then == FROM_THE_OTHER_END and move:
            return Move(OTHER if self.verb.at == MASTER else MASTER)
        return None


def ignore(moment: str) -> None:
    """Look at nothing."""


@dataclass(frozen=True)
class Apart(Step):
    """Things happen while the hosts cannot reach each other."""

    steps: Sequence[Step]

    def run(self, world: World) -> None:
        hosts = (world.pair.a, world.pair.b)
        for here, there in (hosts, hosts[::-1]):
            campaign.cut(here, there)
        world.apart = True
        try:
            play(world, self.steps)
        finally:
            world.apart = False
            for host in hosts:
                campaign.mend(host)


def play(world: World, steps: Sequence[Step]) -> None:
    """Let things happen, and compare with what is known after each."""
    for step in steps:
        step.run(world)
        world.check()


# -- sequences -----------------------------------------------------------------------------------------------

EITHER = st.sampled_from([MASTER, OTHER])
DIVERGED = st.sampled_from(["preserve", "discard"])

SYNC = st.builds(Sync, st.just(MASTER))
MOVE = st.builds(Move, EITHER)
TAKE = st.builds(TakeOver, st.just(OTHER))
RETURN = st.builds(Return, st.just(OTHER), DIVERGED)
ROLL_BACK = st.builds(RollBack, EITHER, st.integers(0, 2))
WRITE = st.builds(Write, st.booleans())
ANYTHING = st.one_of(
    WRITE,
    st.builds(Snapshot, EITHER),
    st.builds(Sync, EITHER),
    st.builds(Expire, EITHER),
    MOVE,
    st.builds(TakeOver, EITHER),
    st.builds(Return, EITHER, DIVERGED),
    ROLL_BACK,
)


def disturbed(
    verbs: st.SearchStrategy[Verb], on: Sequence[str], commands: int, answers: Sequence[str] = (AGAIN,)
) -> st.SearchStrategy[Step]:
    """Calls that have so many commands on these sides, disturbed at one of them."""
    return st.builds(
        Disturbed,
        verb=verbs,
        how=st.sampled_from([KILL, CUT]),
        on=st.sampled_from(on),
        n=st.integers(1, commands),
        when=st.sampled_from([BEFORE, AFTER]),
        then=st.sampled_from(answers),
    )


BOTH = (MASTER, OTHER)
# Each is a few steps that lead somewhere; one alone would mostly find nothing to do, or be refused.
CHAPTERS = st.one_of(
    st.tuples(ANYTHING),
    st.tuples(st.builds(Apart, st.lists(ANYTHING, min_size=1, max_size=3))),
    st.tuples(WRITE, disturbed(MOVE, BOTH, 10, (AGAIN, FROM_THE_OTHER_END, CALL_OFF, TAKE_OVER, TAKE_BACK))),
    st.tuples(WRITE, disturbed(SYNC, BOTH, 3, (AGAIN, TAKE_OVER))),
    st.tuples(WRITE, st.one_of(ROLL_BACK, disturbed(ROLL_BACK, BOTH, 3))),
    st.tuples(st.one_of(TAKE, disturbed(TAKE, (OTHER,), 8)), WRITE, ANYTHING, WRITE, disturbed(RETURN, (OTHER,), 14)),
)
SEQUENCES = st.lists(CHAPTERS, min_size=3, max_size=5).map(
    lambda chapters: [step for part in chapters for step in part]
)

MANY = int(os.environ.get("ZFSOPS_RANDOM", "0"))
"""How many sequences to try that nobody has seen; 0 for the few that are the same each time."""

EVERYTHING = [
    Write(newest=True),
    Sync(MASTER),
    Move(MASTER),
    Write(newest=True),
    Move(MASTER),
    Snapshot(MASTER),
    Apart([Write(newest=True), Sync(MASTER), Move(OTHER), TakeOver(OTHER), Write(newest=True), Write(newest=False)]),
    Sync(MASTER),
    Move(OTHER),
    Return(OTHER, "preserve"),
    Sync(MASTER),
    Expire(MASTER),
    RollBack(OTHER, back=1),
    Disturbed(Move(OTHER), how=KILL, on=MASTER, n=8, when=AFTER, then=CALL_OFF),
]


@pytest.mark.both
def test_a_bit_of_everything(fresh, host1: Host, host2: Host) -> None:
    live_through(fresh, host1, host2, EVERYTHING)


@pytest.mark.slow
@given(sequence=SEQUENCES)
@settings(
    max_examples=MANY or 4,
    derandomize=not MANY,
    phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if MANY else [])],
    suppress_health_check=list(HealthCheck),
    deadline=None,
    database=None,
)
def test_whatever_happens(fresh, host1: Host, host2: Host, sequence: list[Step]) -> None:
    live_through(fresh, host1, host2, sequence)


def live_through(fresh, host1: Host, host2: Host, sequence: Sequence[Step]) -> None:
    """Play a sequence on a pair of its own."""
    pair = ready_pair(fresh, host1, host2, f"fs{next(NUMBERS)}")
    world = World(pair, files={A: {"file": "text\n"}}, common={})
    world.set_common(world.files[A])
    try:
        play(world, sequence)
        # However it stands then, two calls are enough to have a pair at work again.
        play(world, [Return(OTHER, "preserve"), Sync(MASTER)])
    except BaseException:
        print(describe(pair))
        for host in (host1, host2):
            campaign.mend(host)
        fresh.lab.reset()
        raise


NUMBERS = count()
