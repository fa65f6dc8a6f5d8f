# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that are joined by pipes."""

from __future__ import annotations

import contextlib
import os

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import shell
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import NoZfs
from ansible_collections.zfsops.zrep.plugins.module_utils._core.shell import Children, pipeline


def sh(text):
    return ["sh", "-c", text]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_each_tells_how_it_ended_and_what_it_complained_about(number, tmp_path):
    commands = [sh("echo data; echo first >&2; exit 3"), sh("cat; echo second >&2"), sh(f"cat >{tmp_path}/x; exit 5")]
    ended = pipeline(commands[-number:], "hosta", Children())
    assert [(done.status, done.err) for done in ended] == [(3, "first\n"), (0, "second\n"), (5, "")][-number:]
    assert (tmp_path / "x").read_text() == ("data\n" if number == 3 else "")


def test_a_sender_notices_that_nobody_reads():
    sender, receiver = pipeline([sh("exec cat /dev/zero"), sh("exec head -c 1")], "hosta", Children())
    assert (sender.status, receiver.status) == (-13, 0)


def test_complaints_of_any_length_hold_up_nothing():
    sender, receiver = pipeline([sh("head -c 300000 /dev/zero >&2; echo x"), sh("cat >&2")], "hosta", Children())
    assert (len(sender.err), receiver.err) == (300000, "x\n")


def test_who_watches_gets_the_complaints_of_the_first_while_they_run(tmp_path):
    os.mkfifo(tmp_path / "go")
    seen = []

    @contextlib.contextmanager
    def watch(complaints):
        with open(tmp_path / "go", "w", encoding="utf-8") as go:
            go.write("on\n")
        yield
        seen.append(os.pread(complaints.fileno(), 100, 0))

    pipeline([sh(f"read -r word <{tmp_path}/go; echo $word >&2"), sh("echo no >&2")], "hosta", Children(), (), watch)
    assert seen == [b"on\n"]


def test_where_one_does_not_exist_the_others_are_ended(monkeypatch):
    """They would hang."""
    started = []
    start = shell._start

    def keeping(*args, **more):
        started.append(start(*args, **more))
        return started[-1]

    monkeypatch.setattr(shell, "_start", keeping)
    # Neither ends because the other did, nor because nobody reads what it might say, as tail does.
    endless = ["sleep", "1000"]
    with pytest.raises(NoZfs, match="no-such-program"):
        pipeline([endless, endless, ["no-such-program"], ["cat"]], "hosta", Children())
    assert [process.returncode for process in started] == [-9, -9]


def test_a_watcher_that_fails_ends_them():
    class Fails(contextlib.ExitStack):
        def __init__(self, dummy):
            raise KeyError("x")

    with pytest.raises(KeyError):
        pipeline([["sleep", "1000"], ["cat"]], "hosta", Children(), (), Fails)


def test_programs_that_are_to_stop_are_ended():
    """Also those that would still be started."""
    children = Children()
    children.stop()
    sender, receiver = pipeline([["sleep", "1000"], ["sleep", "1000"]], "hosta", children)
    assert (sender.status, receiver.status) == (-9, -9)


def test_locks_live_as_long_as_they_do(tmp_path):
    lock = os.open(tmp_path / "lock", os.O_WRONLY | os.O_CREAT)
    try:
        look = sh(f"readlink /proc/self/fd/{lock} >&2")
        for kept in ([lock], []):
            held = [str(tmp_path / "lock") + "\n" if kept else ""] * 2
            assert [done.err for done in pipeline([look, look], "hosta", Children(), kept)] == held
    finally:
        os.close(lock)
