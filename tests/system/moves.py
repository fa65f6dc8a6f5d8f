# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves of the master role: how the tests ask for them, and what the two sides are then, by effect.

A pair's sides are called "a", the master when the pair was made, and "b", its replica.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.lab import Host
from tests.system.pairs import Pair
from tests.system.product import Result, Running, start_module, zrep_failover

# The link of an ssh server breaks and stays away.
LINK_GONE = "pkill -KILL sshd; exit 1"


def daily(rows: Iterable[Any], every: int = 2) -> list[Any]:
    """The rows of a table of which only some are for every day; the others are part of ``make test-all``."""
    tuples = [row if isinstance(row, tuple) else (row,) for row in rows]
    return [pytest.param(*row, marks=[pytest.mark.slow] * bool(i % every)) for i, row in enumerate(tuples)]


def turned(pair: Pair) -> Pair:
    """The same pair with the roles exchanged."""
    return Pair(pair.b, pair.dest, pair.a, pair.fs, pair.tag)


def side(pair: Pair, which: str) -> tuple[Host, str]:
    """The host and the dataset of a side."""
    return (pair.a, pair.fs) if which == "a" else (pair.b, pair.dest)


def wish(pair: Pair, master: str, at: str, **options: Any) -> dict[str, Any]:
    """The options of a call on one side that wants one of the sides to be the master."""
    role = "master" if at == master else "replica"
    return {"filesystem": side(pair, at)[1], "role": role, "tag": pair.tag, **options}


def make_master(pair: Pair, master: str, at: str, **options: Any) -> Result:
    """Ask on one side for one of the sides to be the master."""
    return zrep_failover(side(pair, at)[0], **wish(pair, master, at, **options))


def start_move(pair: Pair, master: str, at: str, **options: Any) -> Running:
    """The same as a program of its own, which can be killed."""
    return start_module(side(pair, at)[0], "zrep_failover", wish(pair, master, at, **options))


def move(pair: Pair, at: str = "a", **options: Any) -> Pair:
    """Make B the master, which is expected to go well; the pair as it is then."""
    done(make_master(pair, "b", at, **options))
    return turned(pair)


def done(result: Result) -> Result:
    """A result that is expected to be none of a failure."""
    assert not result.failed, result["msg"]
    return result


# -- what is so ----------------------------------------------------------------------------------------------


def record(host: Host, dataset: str, tag: str = "zrep") -> dict[str, str]:
    """All properties of the tag that are set on this very dataset, but for the time when it was promoted."""
    lines = host.zfs("get", "-Hp", "-s", "local", "-o", "property,value", "all", dataset).splitlines()
    rows = (line.split("\t", 1) for line in lines)
    found = {name.partition(":")[2]: text for name, text in rows if name.startswith(f"{tag}:")}
    return {name: text for name, text in found.items() if name != "promoted"}


def readonly(host: Host, dataset: str) -> bool:
    """Whether readonly is on for this very dataset. zfs-fuse shows a mounted one as off, but only temporarily."""
    shown = host.zfs("get", "-Hp", "-o", "value,source", "readonly", dataset).split()
    return shown in (["on", "local"], ["off", "temporary"])


def mounted(host: Host, dataset: str) -> bool:
    """Whether the kernel has it mounted in its place."""
    return host.run(["mountpoint", "-q", f"/{dataset}"], check=False).returncode == 0


def writable(host: Host, dataset: str) -> bool:
    """Whether a user can write there: a file is written, and removed again."""
    try_it = 'mountpoint -q "/$1" && echo try >"/$1/try" && rm "/$1/try"'
    return host.run(["sh", "-c", try_it, "sh", dataset], check=False).returncode == 0


def live(host: Host, dataset: str) -> str:
    """Checksums of all files of a mounted filesystem."""
    return host.run(["sh", "-c", 'cd "/$1" && find . -type f -exec md5sum {} + | sort', "sh", dataset]).stdout


def assert_in_place(pair: Pair, **more: str) -> None:
    """A is the master, mounted and writable, B is its replica, on which nothing can be written, and both say so.

    :param more: what else they say.
    """
    wanted = {
        "src-fs": pair.fs,
        "src-host": pair.a.name,
        "dest-fs": pair.dest,
        "dest-host": pair.b.name,
        "savecount": "5",
        **more,
    }
    assert record(pair.a, pair.fs, pair.tag) == {**wanted, "master": "yes"}
    assert record(pair.b, pair.dest, pair.tag) == wanted
    assert not readonly(pair.a, pair.fs)
    assert readonly(pair.b, pair.dest)
    assert writable(pair.a, pair.fs)
    assert not writable(pair.b, pair.dest)


def assert_works(pair: Pair) -> None:
    """What is written on A arrives on B with the next sync, so nothing is locked either."""
    pair.write("it works\n", "works")
    pair.sync()
    pair.assert_same()


# -- programs that use it ------------------------------------------------------------------------------------

_WRITER = 'exec 3>>"$1" && echo $$ && while read -r line; do echo "$line" >&3 && echo written || echo failed; done'


class Writer:
    """A program that has a file open for writing, and writes when it is told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = self._hear()
        """Its number on its host."""

    def write(self, line: str) -> None:
        """Have it write a line, which is expected to go well."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        assert self._hear() == "written"

    def _hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def writing(host: Host, path: str) -> Iterator[Writer]:
    """A program on a host has a file open for writing, all the time."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = host.popen(["sh", "-c", _WRITER, "sh", path], **pipes)
    try:
        yield Writer(process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
