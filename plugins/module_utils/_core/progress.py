# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell people how far streams are: on a terminal by one line that changes in place, in a log by one line at the end.

The data is not looked at: ``zfs send -vP`` says on its standard error once a second how far it is, on whichever host it
runs. Where a version cannot say it, only the time is told. (The kernel counts bytes of processes, but not of the right
ones: ssh hands a stream to the process that keeps the shared connection, the daemon of zfs-fuse moves it by itself.)
"""

from __future__ import annotations

import collections
import contextlib
import os
import re
import sys
import threading
import time
import typing as t

from . import names, zfs
from .settings import Settings
from .shell import Watch

FIRST_SECONDS = 2
"""Streams that are through before that are not shown on a terminal."""
NEXT_SECONDS = 1
WINDOW = 10
"""Over how many readings a rate is taken."""

_SAYS = re.compile(r"(?:(?:full|incremental)\t.*|size\t\d+|\d\d:\d\d:\d\d\t.*)\Z")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def talkative(argv: zfs.Argv) -> zfs.Argv:
    """A sending command that says how far it is."""
    return (*argv[:2], "-v", "-P", *argv[2:])


def without(stderr: str) -> str:
    """What a talkative command said besides."""
    return "\n".join(line for line in stderr.splitlines() if not _SAYS.match(line))


class Meter:
    """How far one stream is.

    :param target: the snapshot that is sent.
    :param began: when, in seconds of the clock that later readings use.
    """

    def __init__(self, target: str, began: float) -> None:
        self.target = target
        self.began = began
        self.total: int | None = None
        self._starts: dict[str, int] = {}
        self._planned = 0
        self._done: int | None = None
        self.heard = 0
        """How many bytes of what the sending command said were taken in."""
        self._rest = ""
        self._readings: collections.deque[tuple[float, int]] = collections.deque([(began, 0)], maxlen=WINDOW)

    def hear(self, said: bytes, now: float) -> None:
        """Take in what the sending command has said since the last time."""
        self.heard += len(said)
        *lines, self._rest = (self._rest + said.decode("utf-8", "replace")).split("\n")
        for line in lines:
            self._hear_line(line.split("\t"))
        if self._done is not None:
            self._readings.append((now, self._done))

    def _hear_line(self, words: t.Sequence[str]) -> None:
        number = names.parse_number(words[-1])
        if words[0] in ("full", "incremental") and len(words) > 2 and number is not None:
            self._starts[names.split_snapshot(words[-2])[1]] = self._planned
            self._planned += number
        elif words[0] == "size" and number is not None:
            self.total = number
        elif len(words) == 3 and _SAYS.match("\t".join(words)):
            # It counts from nothing for each of the snapshots that a stream carries.
            before = self._starts.get(names.split_snapshot(words[2])[1], 0)
            self._done = before + (names.parse_number(words[1]) or 0)

    @property
    def moved(self) -> int | None:
        """How many bytes a stream that is through has moved, None if it did not say."""
        return None if self.total is None else max(self.total, self._done or 0)

    def line(self, now: float) -> str:
        """How far it is, in some words."""
        name = names.split_snapshot(self.target)[0]
        if self._done is None:
            return f"{name}: {duration(now - self.began)} so far"
        if self.total is None:
            return f"{name}: {size(self._done)}, {size(self._rate())}/s"
        share = min(99, self._done * 100 // self.total) if self.total else 99
        words = f"{name}: {share} % {size(self._done)} of {size(self.total)}, {size(self._rate())}/s"
        left = self.total - self._done
        return f"{words}, {duration(left / self._rate())} left" if left > 0 and self._rate() else words

    def _rate(self) -> float:
        (first, before), (last, done) = self._readings[0], self._readings[-1]
        return max(0, done - before) / (last - first) if last > first else 0

    def summary(self, now: float) -> str:
        """What was sent, for a stream that is through."""
        moved = "" if self.moved is None else f": {size(self.moved)}"
        return f"sent {self.target}{moved} in {duration(now - self.began)}"


def size(number: float) -> str:
    """A number of bytes, for people."""
    unit = 0
    while number >= 1023.95 and unit < len(_UNITS) - 1:
        number /= 1024
        unit += 1
    return f"{number:.0f} {_UNITS[unit]}" if unit == 0 or number >= 99.95 else f"{number:.1f} {_UNITS[unit]}"


def duration(seconds: float) -> str:
    """A length of time, for people."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Progress:
    """Tells about the streams of a run, which may be several at a time.

    :param screen: where to: a terminal, or anything else for a log.
    """

    def __init__(self, screen: t.TextIO, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._screen = screen
        self._clock = clock
        self._on_terminal = screen.isatty()
        self._lock = threading.Lock()
        self._running: list[Meter] = []
        self._shown = 0

    @contextlib.contextmanager
    def stream(self, target: str) -> t.Iterator[Watch]:
        """Tell about a stream as long as the body lasts; if that raises nothing, the stream is through.

        The body gets what has to be done while the programs run.
        """
        meter = Meter(target, self._clock())
        yield lambda complaints: self._watching(meter, complaints)
        if not self._on_terminal:
            with self._lock:
                self._write(meter.summary(self._clock()) + "\n")

    @contextlib.contextmanager
    def _watching(self, meter: Meter, complaints: t.IO[bytes]) -> t.Iterator[None]:
        """Tell how far a stream is while the body waits for its end.

        :param complaints: the file with what the sending command says.
        """
        over = threading.Event()
        teller = threading.Thread(target=self.tell, args=(meter, complaints, over.wait), daemon=True)
        if self._on_terminal:
            teller.start()
        try:
            yield
        finally:
            over.set()
            if self._on_terminal:
                teller.join()
            self._listen(meter, complaints)
            self.hide(meter)

    def tell(self, meter: Meter, complaints: t.IO[bytes], is_over: t.Callable[[float], bool]) -> None:
        """Show a stream from time to time.

        :param is_over: waits for so many seconds, or until the stream is through, and says whether it is.
        """
        pause = FIRST_SECONDS
        while not is_over(pause):
            self._listen(meter, complaints)
            self.show(meter)
            pause = NEXT_SECONDS

    def _listen(self, meter: Meter, complaints: t.IO[bytes]) -> None:
        # The file is the command's too: to seek in it would move where that writes.
        heard = b""
        while True:
            more = os.pread(complaints.fileno(), 1 << 20, meter.heard + len(heard))
            if not more:
                break
            heard += more
        meter.hear(heard, self._clock())

    def show(self, meter: Meter) -> None:
        """Put on the terminal how far a stream is; of several, the one that was shown first."""
        with self._lock:
            if meter not in self._running:
                self._running.append(meter)
            if meter is self._running[0]:
                others = len(self._running) - 1
                self._draw(meter.line(self._clock()) + (f" (and {others} more)" if others else ""))

    def hide(self, meter: Meter) -> None:
        """Take a stream off the terminal."""
        with self._lock:
            if meter in self._running:
                if meter is self._running[0]:
                    self._draw("")
                self._running.remove(meter)

    def _draw(self, line: str) -> None:
        if not self._in_foreground():
            return
        line = line[: max(20, self._columns() - 1)]
        self._write("\r" + line.ljust(self._shown) + ("" if line else "\r"))
        self._shown = len(line)

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._screen.fileno()).columns or 80
        except (OSError, ValueError):
            return 80

    def _in_foreground(self) -> bool:
        """Whether the terminal is ours: a command in the background would write into what its user types."""
        try:
            return os.tcgetpgrp(self._screen.fileno()) == os.getpgrp()
        except (OSError, ValueError):
            return True

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # Nobody looks any more.
            self._screen.write(text)
            self._screen.flush()


def progress_of(settings: Settings) -> Progress | None:
    """What tells people about streams, if anybody wants to know."""
    screen: t.TextIO | None = sys.stderr
    return Progress(screen) if settings.progress and screen is not None else None
