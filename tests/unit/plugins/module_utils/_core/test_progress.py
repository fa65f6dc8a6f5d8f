# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far streams are: what is understood of it, how it is put, where it is shown."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import tempfile
import termios
import threading

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import progress
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import TransferFailed
from ansible_collections.zfsops.zrep.plugins.module_utils._core.progress import Meter, Progress
from ansible_collections.zfsops.zrep.plugins.module_utils._core.settings import Settings

MIB = 1 << 20
GIB = 1 << 30
TARGET = "pool1/fs@zrep_00000a"
ONE = f"incremental\tzrep_000009\t{TARGET}\t{4 * GIB}\nsize\t{4 * GIB}\n".encode()
SEVERAL = (
    f"incremental\tpool1/fs@zrep_000008\tpool1/fs@zrep_000009\t{1 * GIB}\n"
    f"incremental\tzrep_000009\t{TARGET}\t{3 * GIB}\n"
    f"size\t{4 * GIB}\n"
).encode()


def at(done, target=TARGET):
    return f"12:59:59\t{done}\t{target}\n".encode()


def heard(*said, began=100.0):
    """A meter that heard one thing a second."""
    meter = Meter(TARGET, began)
    for seconds, words in enumerate(said, 1):
        meter.hear(words, began + seconds)
    return meter


def test_a_sending_command_is_asked_to_talk():
    assert progress.talkative(("zfs", "send", "-p", "p/a@b")) == ("zfs", "send", "-v", "-P", "-p", "p/a@b")


def test_what_it_says_about_progress_is_no_complaint():
    said = (ONE + at(5) + b"warning: cannot send 'p/a@b': Broken pipe\n" + at(6)).decode()
    assert progress.without(said) == "warning: cannot send 'p/a@b': Broken pipe"
    full = f"full\t{TARGET}\t123\nsize\t123\n"
    assert progress.without(full) == ""
    for other in ("full of errors", "size matters", "12:00 is high noon", "", "one\ntwo"):
        assert progress.without(other) == other


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ([], "pool1/fs: 7 s so far"),
        ([ONE], "pool1/fs: 7 s so far"),
        ([ONE + at(GIB)], "pool1/fs: 25 % 1.0 GiB of 4.0 GiB, 1.0 GiB/s, 3 s left"),
        ([ONE, at(0)], "pool1/fs: 0 % 0 B of 4.0 GiB, 0 B/s"),
        ([ONE, at(GIB), at(3 * GIB)], "pool1/fs: 75 % 3.0 GiB of 4.0 GiB, 1.0 GiB/s, 1 s left"),
        # An estimate is one: it may be too low.
        ([ONE, at(5 * GIB)], "pool1/fs: 99 % 5.0 GiB of 4.0 GiB, 2.5 GiB/s"),
        ([b"size\t0\n" + at(0)], "pool1/fs: 99 % 0 B of 0 B, 0 B/s"),
        ([at(GIB)], "pool1/fs: 1.0 GiB, 1.0 GiB/s"),
        # Each snapshot of a stream is counted from nothing.
        ([SEVERAL, at(GIB // 2, "pool1/fs@zrep_000009")], "pool1/fs: 12 % 512 MiB of 4.0 GiB, 256 MiB/s, 14 s left"),
        ([SEVERAL, at(GIB)], "pool1/fs: 50 % 2.0 GiB of 4.0 GiB, 1.0 GiB/s, 2 s left"),
        # A line may come in pieces, or be something else.
        ([ONE, at(GIB)[:12], at(GIB)[12:]], "pool1/fs: 25 % 1.0 GiB of 4.0 GiB, 341 MiB/s, 9 s left"),
        ([b"banner\n\nsize\tx\nfull\t\n12:00:00\n" + ONE, b"12:00:00\tx\ty\n"], "pool1/fs: 0 % 0 B of 4.0 GiB, 0 B/s"),
    ],
)
def test_the_line(said, line):
    assert heard(*said).line(107.0) == line


def test_the_rate_is_that_of_late():
    meter = heard(
        ONE, *[at(number * MIB) for number in range(1, 100)], *[at(99 * MIB + number) for number in range(20)]
    )
    assert meter.line(0).endswith(f"1 B/s, {progress.duration(4 * GIB - 99 * MIB - 19)} left")


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ([], f"sent {TARGET} in 14 s"),
        ([ONE], f"sent {TARGET}: 4.0 GiB in 14 s"),
        ([ONE, at(GIB)], f"sent {TARGET}: 4.0 GiB in 14 s"),
        ([ONE, at(5 * GIB)], f"sent {TARGET}: 5.0 GiB in 14 s"),
        ([at(GIB)], f"sent {TARGET} in 14 s"),
    ],
)
def test_the_summary(said, line):
    assert heard(*said).summary(114.0) == line


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (99.94 * MIB, "99.9 MiB"),
        (99.96 * MIB, "100 MiB"),
        (1023.9 * MIB, "1024 MiB"),
        (1023.96 * MIB, "1.0 GiB"),
        (1 << 60, "1024 PiB"),
    ],
)
def test_sizes(number, text):
    assert progress.size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (0.4, "0 s"), (119.4, "119 s"), (119.6, "2 min 0 s"), (3725, "62 min 5 s"), (7260, "2 h 1 min")],
)
def test_durations(seconds, text):
    assert progress.duration(seconds) == text


class Screen(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self._terminal = terminal

    def isatty(self):
        return self._terminal

    @property
    def text(self):
        """What a person sees: what was written later covers what was written before."""
        shown = ""
        for part in self.getvalue().split("\r"):
            shown = part + shown[len(part) :]
        return shown.rstrip(" ")


@pytest.fixture
def complaints():
    with tempfile.TemporaryFile() as file:
        yield file


def test_in_a_log_a_stream_is_one_line_at_its_end(complaints):
    screen = Screen(terminal=False)
    times = iter([100, 107, 114])
    with Progress(screen, lambda: next(times)).stream(TARGET) as watch:
        with watch(complaints):
            complaints.write(ONE + at(GIB))
            complaints.flush()
            assert screen.getvalue() == ""
        assert screen.getvalue() == ""
    assert screen.getvalue() == f"sent {TARGET}: 4.0 GiB in 14 s\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_of_a_stream_that_failed_it_is_not_said_that_it_was_sent(complaints, terminal):
    screen = Screen(terminal)
    with pytest.raises(TransferFailed), Progress(screen).stream(TARGET) as watch:
        with watch(complaints):
            pass
        raise TransferFailed("it broke")
    assert screen.getvalue() == ""


def test_the_position_of_the_file_stays_where_it_is(complaints):
    """The sending command writes there."""
    with Progress(Screen(terminal=False)).stream(TARGET) as watch, watch(complaints):
        complaints.write(ONE)
        complaints.flush()
    assert complaints.tell() == len(ONE)


def test_a_quick_stream_leaves_a_terminal_alone(complaints):
    screen = Screen(terminal=True)
    with Progress(screen).stream(TARGET) as watch, watch(complaints):
        pass
    assert screen.getvalue() == ""


def test_a_long_stream_is_shown_on_a_terminal_until_it_ends(complaints):
    screen = Screen(terminal=True)
    seconds = 100
    told = Progress(screen, lambda: seconds)
    meter = Meter(TARGET, 100)
    pauses, seen = [], []

    def is_over(pause):
        """What happens while it waits."""
        nonlocal seconds
        pauses.append(pause)
        seen.append(screen.text)
        seconds += 2
        if len(pauses) == 2:
            complaints.write(ONE + at(GIB))
            complaints.flush()
        return len(pauses) == 4

    told.tell(meter, complaints, is_over)
    assert pauses == [2, 1, 1, 1]
    assert seen == [
        "",
        "pool1/fs: 2 s so far",
        "pool1/fs: 25 % 1.0 GiB of 4.0 GiB, 256 MiB/s, 12 s left",
        "pool1/fs: 25 % 1.0 GiB of 4.0 GiB, 171 MiB/s, 18 s left",
    ]
    told.hide(meter)
    assert screen.text == ""
    assert screen.getvalue().endswith("\r")
    assert "\n" not in screen.getvalue()


def test_a_terminal_is_told_until_the_programs_have_ended(complaints, monkeypatch):
    """It is told in a thread, which ends before the stream is judged."""
    begun, ended = threading.Event(), []

    def tell(self, meter, file, is_over):
        begun.set()
        ended.append((file, is_over(60)))
        self.show(meter)

    monkeypatch.setattr(Progress, "tell", tell)
    screen = Screen(terminal=True)
    with Progress(screen, lambda: 100).stream(TARGET) as watch:
        with watch(complaints):
            assert begun.wait(60)
            assert ended == []
        assert ended == [(complaints, True)]
        assert screen.text == ""


def test_of_several_streams_the_first_is_shown():
    screen = Screen(terminal=True)
    told = Progress(screen, lambda: 110)
    first, second = Meter("pool1/a@x", 100), Meter("pool1/b@x", 101)
    told.show(first)
    told.show(second)
    assert screen.text == "pool1/a: 10 s so far"
    told.show(first)
    assert screen.text == "pool1/a: 10 s so far (and 1 more)"
    told.hide(second)
    assert screen.text == "pool1/a: 10 s so far (and 1 more)"
    told.show(first)
    assert screen.text == "pool1/a: 10 s so far"
    told.show(second)
    told.hide(first)
    assert screen.text == ""
    told.show(second)
    assert screen.text == "pool1/b: 9 s so far"


@pytest.fixture
def terminal():
    """A terminal of 40 columns, and the other end of it."""
    other, own = pty.openpty()
    with os.fdopen(own, "w", encoding="utf-8") as screen:
        fcntl.ioctl(own, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
        yield screen, other
    os.close(other)


def test_a_line_is_not_longer_than_the_terminal(terminal):
    screen, other = terminal
    Progress(screen, lambda: 110).show(Meter("pool1/" + "x" * 50 + "@y", 100))
    # It is no terminal of this process, which therefore may write.
    assert os.read(other, 1000) == ("\rpool1/" + "x" * 33).encode()


def test_a_terminal_that_is_gone_is_no_error(terminal):
    screen, _other = terminal
    told = Progress(screen, lambda: 110)
    screen.close()
    told.show(Meter(TARGET, 100))


def test_who_wants_to_know(monkeypatch):
    assert progress.progress_of(Settings()) is None
    assert progress.progress_of(Settings(progress=True)) is not None
    monkeypatch.setattr(progress.sys, "stderr", None)
    assert progress.progress_of(Settings(progress=True)) is None
