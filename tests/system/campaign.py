# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disturb an operation before and after every command that changes a pool, on whichever host that command runs.

Nobody lists the commands: an undisturbed run of the operation shows how many there are on each host. A disturbance is
that the module is killed, or that it loses its peer. Afterwards the same call has to reach the goal, and the call after
that has to find nothing left to do. From beginning to end no two sides may be writable masters.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from tests.lab import CHANGING, Host, LabError
from tests.lab.processes import wait_until
from tests.system.layouts import admit, refuse
from tests.system.pairs import Held, Pair, files, held, local, snapshots
from tests.system.product import Result, Running, run_module, start_module, zrep_sync

KILL, CUT = "kill", "cut"
BEFORE, AFTER = "before", "after"

PATIENCE = 30
"""For how many seconds what a killed run left behind may keep the filesystem busy. Mostly it is far less than one."""
MANY = 10
"""After so many failed points a campaign is given up: it has shown what it can show."""

# Whatever sshd runs but the process that listens, which goes by its path.
_HANG_UP = "pkill -KILL -f '^sshd(-session)?: [^/]' || :"

# What is mounted is writable if the kernel says so: of a mount, zfs-fuse shows readonly=off whatever it is.
_LOOK = """\
/run/lab/real/zfs get -Hp -o property,value,source "$2:master,readonly,mounted" "$1" 2>/dev/null
test -w "/$1" && echo may-write
"""

_DESCRIBE = f"""\
{_LOOK}
/run/lab/real/zfs get -H -s local -o property,value all "$1"
/run/lab/real/zfs list -H -r -t all -o name,used,referenced "$1"
ls "/$1"
"""

_FILES = 'cd "/$1" && find . -type f -exec md5sum {} + | sort'


# -- looking -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Role:
    """What one side of a pair is at a moment."""

    master: bool
    writable: bool

    @classmethod
    def of(cls, host: Host, dataset: str, tag: str = "zrep") -> Role:
        """Look at one side; one that does not exist is nothing."""
        lines = host.run(["sh", "-c", _LOOK, "sh", dataset, tag], check=False).stdout.splitlines()
        seen = dict(line.split("\t", 1) for line in lines if "\t" in line)
        if not seen:
            return cls(master=False, writable=False)
        mounted = seen["mounted"].startswith("yes")
        writable = "may-write" in lines if mounted else not seen["readonly"].startswith("on")
        return cls(seen[f"{tag}:master"] == "yes\tlocal", writable)


def roles(pair: Pair) -> tuple[Role, Role]:
    """What both sides of a pair are now."""
    return Role.of(pair.a, pair.fs, pair.tag), Role.of(pair.b, pair.dest, pair.tag)


def two_writable_masters(pair: Pair) -> bool:
    """Whether users could write on both sides, and each side would take itself for the one that counts."""
    return all(role.master and role.writable for role in roles(pair))


def sums(texts: Mapping[str, str]) -> dict[str, str]:
    """Names and checksums of files with these texts, as ``contents`` and ``stored`` find them."""
    return {name: hashlib.md5(text.encode()).hexdigest() for name, text in texts.items()}


def contents(host: Host, dataset: str) -> dict[str, str]:
    """Names and checksums of the files of a mounted filesystem."""
    return _listed(host.run(["sh", "-c", _FILES, "sh", dataset]).stdout)


def stored(host: Host, snapshot: str) -> dict[str, str]:
    """Names and checksums of the files in a snapshot."""
    return _listed(files(host, snapshot))


def _listed(text: str) -> dict[str, str]:
    rows = (line.split("  ./", 1) for line in text.splitlines())
    return {name: checksum for checksum, name in rows}


def preserved(host: Host, dataset: str) -> list[dict[str, str]]:
    """The files of each dataset that preserves what this one had of its own. One without a snapshot preserves none."""
    names = host.zfs("list", "-H", "-o", "name", "-r", host.pool).splitlines()
    copies = [name for name in names if name.startswith(f"{dataset}_preserved_")]
    newest_of = {copy: snapshots(host, copy)[-1:] for copy in copies}
    return [stored(host, f"{copy}@{short[0]}") if short else {} for copy, short in newest_of.items()]


def describe(pair: Pair) -> str:
    """Both sides for a person who has to find out what went wrong."""
    lines = []
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        shown = host.run(["sh", "-c", _DESCRIBE, "sh", dataset, pair.tag], check=False)
        text = " | ".join(" ".join(line.split()) for line in (shown.stdout + shown.stderr).splitlines())
        lines.append(f"{host.name}: {text}")
    return "\n".join(lines)


def check_roles(pair: Pair) -> None:
    """Fail unless one side is the master, the other the replica, and nobody's lock is left."""
    master, replica = roles(pair)
    assert (master.master, master.writable) == (True, True), f"{pair.a.name} is no master: {master}"
    assert (replica.master, replica.writable) == (False, False), f"{pair.b.name} is no replica: {replica}"
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        assert local(host, dataset, f"{pair.tag}:lock-pid") is None


def cannot_sync(pairs: Sequence[Pair]) -> dict[str, str]:
    """Sync pairs that have the same hosts, all in one call. What is wrong, by the filesystem of the master, with those
    that failed or are not equal afterwards.
    """
    here, there = pairs[0].a, pairs[0].b
    result = zrep_sync(here, filesystem=[pair.fs for pair in pairs])
    assert "failed_filesystems" in result, result["msg"]
    wrong = {item["filesystem"]: item["text"] for item in result["failed_filesystems"]}
    mine, theirs = newest(here), newest(there)
    for pair in pairs:
        if mine.get(pair.fs) != theirs.get(pair.dest):
            wrong.setdefault(pair.fs, "the two sides are not equal after a sync")
    return wrong


def newest(host: Host) -> dict[str, str]:
    """The GUID of the newest snapshot of each dataset of a host."""
    seen: dict[str, dict[str, str]] = {}
    for row in host.zfs("get", "-Hp", "-r", "-o", "name,property,value", "createtxg,guid", host.pool).splitlines():
        name, prop, text = row.split("\t")
        seen.setdefault(name, {})[prop] = text
    found = sorted((int(one["createtxg"]), name, one["guid"]) for name, one in seen.items() if "@" in name)
    return {name.partition("@")[0]: guid for _txg, name, guid in found}


# -- doing ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """One call of a module on a host."""

    host: Host
    peer: Host
    module: str
    options: Mapping[str, Any]

    def run(self) -> Result:
        """Make it."""
        return run_module(self.host, self.module, self.options)

    def start(self) -> Running:
        """Begin it, as a program that can be killed."""
        return start_module(self.host, self.module, self.options)

    def persist(self, seconds: float = PATIENCE) -> Result:
        """Make it until nobody works on the filesystem any more: what was killed may need a moment to end."""
        results: list[Result] = []

        def answered() -> bool:
            results.append(self.run())
            return results[-1].code != "busy"

        wait_until(answered, f"{self.module} is not refused as busy", timeout=seconds, interval=0.1)
        return results[-1]


@dataclass(frozen=True)
class Scene:
    """The state in which an operation starts: a pair, and the texts of the files that matter.

    :param kept: what the master has to hold in the end.
    :param own: what else the side that becomes the replica has.
    """

    pair: Pair
    kept: Mapping[str, str]
    own: Mapping[str, str] = field(default_factory=dict)


class Operation:
    """Something that is disturbed. A name for the report, how to get to its start, the call, and its goal."""

    name: str
    split = False
    """Whether both sides may be writable masters, because somebody forced it."""

    def prepare(self, fresh: Any, a: Host, b: Host, base: str) -> Scene:
        """Bring a new pair into the state in which the operation starts."""
        raise NotImplementedError

    def call(self, pair: Pair) -> Call:
        """The call that is disturbed, and made again."""
        raise NotImplementedError

    def once_more(self, pair: Pair) -> Call:
        """A call that must find nothing left to do."""
        return self.call(pair)

    def ends_as(self, pair: Pair) -> Pair | None:
        """The pair in the roles that it ends in; None if it cannot be synced then, because there are two masters."""
        return pair

    def check(self, scene: Scene) -> None:
        """Fail unless what else belongs to the goal is reached: roles and the master's files are checked anyway."""


# -- disturbing ----------------------------------------------------------------------------------------------


def cut(here: Host, there: Host) -> None:
    """Break every connection from one host to the other, and let no new one come about until ``mend``.

    Whoever uses them is told at once: to wait until silence means loss would take a quarter of a minute each time.
    """
    refuse(here)
    there.run(_HANG_UP)


def mend(here: Host) -> None:
    """Undo ``cut``."""
    admit(here)


@dataclass(frozen=True)
class Point:
    """A moment in a call: before or after the n-th command of a host that changes a pool."""

    host: Host
    n: int
    when: str

    def __str__(self) -> str:
        return f"{self.when} command {self.n} of {self.host.name}"


@dataclass(frozen=True)
class Disturbed:
    """What became of a call that was to be disturbed.

    :param reached: false if it ended before it came to the command.
    :param result: what it still could say for itself; None if it was killed.
    """

    reached: bool
    result: Result | None


def points(call: Call, hosts: Sequence[Host]) -> tuple[Result, list[Point]]:
    """Make a call undisturbed; what it returned, and every point at which it could have been disturbed."""
    with ExitStack() as stack:
        traces = [(host, stack.enter_context(host.trace())) for host in hosts]
        result = call.run()
    found = [
        Point(host, n, when)
        for host, trace in traces
        for n in range(1, changing(trace.processes) + 1)
        for when in (BEFORE, AFTER)
    ]
    return result, found


def changing(commands: Sequence[Sequence[str]]) -> int:
    """How many of these commands change a pool."""
    return sum(argv[0] == "zfs" and argv[1] in CHANGING for argv in commands if len(argv) > 1)


def disturb(call: Call, hold: Held, how: str, look: Callable[[str], None]) -> Disturbed:
    """Make a call, and kill it or cut it off from its peer while a command is held.

    :param look: is called whenever something may have come to light, with words for the moment.

    What is killed on its own host takes the command along. On the other host the command goes on by itself.
    """
    running = call.start()
    wait_until(
        lambda: hold.host.intercepted() or running.ended, f"{call.module} comes to the command, or ends", timeout=60
    )
    if not hold.host.intercepted():
        return Disturbed(reached=False, result=running.result())
    hold.wait()
    look("as it was to be disturbed")
    if how == KILL:
        running.signal()
        running.wait()
        look("when it was dead")
        if hold.host is not call.host:
            hold.go()
        return Disturbed(reached=True, result=None)
    cut(call.host, call.peer)
    look("when the link was cut")
    hold.go()
    result = running.result()
    look("when it had lost its peer")
    return Disturbed(reached=True, result=result)


def disarm(host: Host) -> None:
    """Have the commands from now on pass by, and those that have come count to their end: they may not have yet."""
    host.run("cd /run/lab && : >hook.new && mv hook.new hook")


# -- the campaign --------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """How a campaign went."""

    title: str
    points: int = 0
    failures: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        seconds = time.monotonic() - self.began
        return f"{self.title}: {self.points - len(self.failures)} of {self.points} points, {seconds:.0f} s"


class Campaign:
    """One operation, disturbed in one way at all of its points.

    :param fresh: the fixture of that name.
    """

    def __init__(self, operation: Operation, how: str, when: str, fresh: Any, a: Host, b: Host) -> None:
        self._operation = operation
        self._how = how
        self._when = when
        self._fresh = fresh
        self._hosts = (a, b)
        self._scene: Scene | None = None
        self._said: list[str] = []
        self._ended: dict[str, tuple[Point | None, Pair]] = {}

    def run(self) -> Tally:
        """Go through all points. A point that fails does not keep the others from being tried."""
        tally = Tally(f"{self._operation.name}, {self._how} {self._when}")
        try:
            for number, point in enumerate(self._discover(), 1):
                tally.points += 1
                try:
                    self._try(point, f"fs{number}")
                except (AssertionError, LabError) as error:
                    tally.failures.append(self._report(point, error))
                    self._clear()
                    self._sync(tally)
                    self._fresh.lab.reset()
                if len(tally.failures) >= MANY:
                    break
            self._sync(tally)
        finally:
            self._clear()
        return tally

    def _clear(self) -> None:
        for host in self._hosts:
            host.clear_faults()
            mend(host)

    def _sync(self, tally: Tally) -> None:
        """Sync all pairs that have ended well; together, because it takes as long as everything else otherwise."""
        if self._ended:
            wrong = cannot_sync([pair for _point, pair in self._ended.values()])
            for filesystem, text in wrong.items():
                point, pair = self._ended[filesystem]
                tally.failures.append(f"{tally.title} {point}, synced afterwards: {text}\n{describe(pair)}")
        self._ended = {}

    def _discover(self) -> list[Point]:
        """Run the operation undisturbed, which has to reach the goal as well."""
        scene = self._operation.prepare(self._fresh, *self._hosts, "fs0")
        result, found = points(self._operation.call(scene.pair), self._hosts)
        assert not result.failed, result["msg"]
        assert result.changed
        self._finish(scene, None)
        return [point for point in found if point.when == self._when]

    def _try(self, point: Point, base: str) -> None:
        self._said = []
        self._scene = scene = self._operation.prepare(self._fresh, *self._hosts, base)
        call = self._operation.call(scene.pair)
        # A command that was on its way when the link went never comes.
        never = "exit 1" if point.host is call.peer and (self._how, point.when) == (CUT, BEFORE) else ""
        with held(point.host, n=point.n, when=point.when, then=never) as hold:
            what = disturb(call, hold, self._how, self._look)
            self._hear("disturbed", what.result)
            assert what.reached, "it never came to that command"
            disarm(point.host)
            if self._how == CUT:
                mend(call.host)
            result = call.persist()
        self._hear("again", result)
        assert not result.failed, "the same call fails"
        self._finish(scene, point)

    def _finish(self, scene: Scene, point: Point | None) -> None:
        """Check that the goal is reached, and that nothing is left to do."""
        self._look("after it was made again")
        last = self._operation.once_more(scene.pair).run()
        self._hear("once more", last)
        assert not last.failed, "the call after that fails"
        assert not last.changed, f"the call after that still finds something to do: {last.actions}"
        self._operation.check(scene)
        ended = self._operation.ends_as(scene.pair)
        if ended is not None:
            check_roles(ended)
            assert contents(ended.a, ended.fs) == sums(scene.kept), "files of the master"
            self._ended[ended.fs] = (point, ended)

    def _look(self, moment: str) -> None:
        if self._scene is not None and not self._operation.split:
            assert not two_writable_masters(self._scene.pair), f"two writable masters {moment}"

    def _hear(self, what: str, result: Result | None) -> None:
        if result is not None:
            outcome = f"failed ({result.code}): {result['msg']}" if result.failed else f"changed={result.changed}"
            self._said.append(f"{what}: {outcome}")

    def _report(self, point: Point, error: Exception) -> str:
        state = describe(self._scene.pair) if self._scene else ""
        return "\n".join([f"{self._operation.name}, {self._how} {point}: {error}", *self._said, state])
