# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that make streams smaller, smoother or slower: which are used, given what both hosts have. Pure.

Compression and buffers are worth having: where they cannot be had, streams go without and people are told. A rate limit
is a promise: where it cannot be kept, nothing is sent.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .errors import BadInput, NoProgram
from .filters import Member

NONE = "none"
AUTO = "auto"
FORMATS: dict[str, tuple[str, ...]] = {"zstd": ("zstd",), "lz4": ("lz4",), "gzip": ("pigz", "gzip")}
"""The programs that write and read each format, in the order in which ``auto`` tries them."""
WAYS = (NONE, AUTO, *FORMATS)
# The stronger levels of gzip are slower than most networks.
_PACKING = {"zstd": "zstd -qc", "lz4": "lz4 -qc", "pigz": "pigz -1qc", "gzip": "gzip -1qc"}
_UNPACKING = {name: f"{name} -dqc" for name in _PACKING}

LIMITERS = ("pv", "mbuffer")
KNOWN = (*_PACKING, *LIMITERS)

LEAST_BUFFER = 1 << 20
MOST_BUFFER = 1 << 40
LEAST_RATE = 1 << 14

LOOK = ("sh", "-c", "for name in {}; do command -v $name >/dev/null && echo $name; done; :".format(" ".join(KNOWN)))
"""The command that asks a host which of them it has."""

_SIZE = re.compile(r"([0-9]{1,15})([KMGT]?)\Z", re.ASCII)
_UNITS = ("", "K", "M", "G", "T")


def check_compress(text: str) -> str:
    """Return a way of compression that exists; raises BadInput."""
    if text not in WAYS:
        raise BadInput("{!r} cannot be used: expected {}".format(text[:80], ", ".join(WAYS)))
    return text


def check_buffer(text: str) -> int:
    """The size of a buffer in bytes, 0 for none; raises BadInput."""
    return _size(text, "a size such as 128M", LEAST_BUFFER, MOST_BUFFER)


def check_rate(text: str) -> int:
    """A rate in bytes per second, 0 for none; raises BadInput."""
    return _size(text, "bytes per second such as 20M", LEAST_RATE, MOST_BUFFER)


def _size(text: str, what: str, least: int, most: int) -> int:
    if text in ("", NONE):
        return 0
    found = _SIZE.match(text.upper())
    number = int(found[1]) << 10 * _UNITS.index(found[2]) if found else 0
    if not least <= number <= most:
        raise BadInput(
            f"{text[:80]!r} cannot be used: expected {what}, from {in_units(least)} to {in_units(most)}, or {NONE}"
        )
    return number


def in_units(number: int) -> str:
    """A number of bytes as it can be written in an option."""
    unit = 0
    while number and number % 1024 == 0 and unit < len(_UNITS) - 1:
        number //= 1024
        unit += 1
    return f"{number}{_UNITS[unit]}"


@dataclasses.dataclass(frozen=True)
class Wish:
    """What streams are to pass.

    :param compress: a format, AUTO or NONE.
    :param buffer: the size of a buffer at each end in bytes, 0 for none.
    :param rate: how many bytes per second all streams of a run may send together, 0 for any number.
    """

    compress: str = NONE
    buffer: int = 0
    rate: int = 0

    def __bool__(self) -> bool:
        return self.compress != NONE or bool(self.buffer or self.rate)

    @property
    def at_the_receiver(self) -> bool:
        """Whether it matters what the receiving host has."""
        return self.compress != NONE or bool(self.buffer)

    @property
    def words(self) -> list[str]:
        """What was asked for, as it was written."""
        found = {
            f"compress={self.compress}": self.compress != NONE,
            f"buffer={in_units(self.buffer)}": self.buffer,
            f"rate_limit={in_units(self.rate)}": self.rate,
        }
        return [words for words, wanted in found.items() if wanted]


class End(t.NamedTuple):
    """One end of a stream: a host, and which of the programs it has."""

    host: str
    has: frozenset[str]

    def first(self, names: t.Iterable[str]) -> str:
        """The first of some programs that it has, empty if none."""
        return next((name for name in names if name in self.has), "")


class Choice(t.NamedTuple):
    """What streams pass at their two ends, in their order, and what people should know."""

    out: tuple[Member, ...]
    into: tuple[Member, ...]
    warnings: tuple[str, ...]


def choose(wish: Wish, sender: End, receiver: End, apart: bool = True, streams: int = 1) -> Choice:
    """What streams pass; raises NoProgram if the rate limit cannot be kept.

    A limit holds for what leaves the host, so it comes last there. What is buffered is compressed already.

    :param apart: the ends are two hosts; within one there is nothing to be gained by compression.
    :param streams: how many streams at most run at a time.
    """
    out: list[Member] = []
    into: list[Member] = []
    warnings: list[str] = []
    if wish.compress != NONE and apart:
        packing, unpacking, why = _compression(wish, sender, receiver)
        out += packing
        into += unpacking
        warnings += [why] if why else []
    rate = wish.rate // max(streams, 1)
    limiter = limit(wish, sender, rate)
    if wish.buffer and "mbuffer" in sender.has:
        limits = rate if limiter is not None else 0
        out.append(Member(_mbuffer(wish.buffer, limits), " and ".join(wish.words[-2 if limits else -1 :]), "mbuffer"))
    elif limiter is not None:
        out.append(limiter)
    if wish.buffer and "mbuffer" in receiver.has:
        into.insert(0, Member(_mbuffer(wish.buffer), _words(wish, "buffer"), "mbuffer"))
    if wish.buffer:
        without = [end.host for end in dict.fromkeys((sender, receiver)) if "mbuffer" not in end.has]
        warnings += [_not_buffered(wish, without)] if without else []
    return Choice(tuple(out), tuple(into), tuple(warnings))


_OURS = re.compile(r"(?:pv -q -L|mbuffer -q -s (?:4k|16k|128k) -m) ([0-9]{1,13})(?: -R [0-9]{1,13})?\Z", re.ASCII)


def is_ours(text: str) -> bool:
    """Whether this is the text of a program that ``choose`` can come to."""
    found = _OURS.match(text)
    ours = (*_PACKING.values(), *_UNPACKING.values())
    return text in ours or (found is not None and int(found[1]) <= MOST_BUFFER)


def limit(wish: Wish, sender: End, rate: int) -> Member | None:
    """What keeps a stream below a rate, None if there is none; raises NoProgram if nothing can."""
    if not wish.rate:
        return None
    text = {"pv": f"pv -q -L {rate}", "mbuffer": _mbuffer(LEAST_BUFFER, rate)}
    program = sender.first(LIMITERS)
    if not program:
        raise NoProgram(
            "{} cannot be kept: neither {} is installed".format(_words(wish, "rate_limit"), " nor ".join(LIMITERS)),
            host=sender.host,
            left="nothing was changed",
            hint=f"install {LIMITERS[0]} or {LIMITERS[1]} on {sender.host}, on the PATH of a non-interactive shell",
        )
    return Member(text[program], _words(wish, "rate_limit"), program)


def _compression(wish: Wish, sender: End, receiver: End) -> tuple[list[Member], list[Member], str]:
    formats = tuple(FORMATS) if wish.compress == AUTO else (wish.compress,)
    words = _words(wish, "compress")
    for name in formats:
        packer, unpacker = sender.first(FORMATS[name]), receiver.first(FORMATS[name])
        if packer and unpacker:
            return [Member(_PACKING[packer], words, packer)], [Member(_UNPACKING[unpacker], words, unpacker)], ""
    if wish.compress == AUTO:
        lists = " and ".join(
            "{} has {}".format(end.host, ", ".join(name for name in _PACKING if name in end.has) or "none")
            for end in (sender, receiver)
        )
        why = f"{sender.host} and {receiver.host} have no program for it in common ({lists})"
    else:
        without = [end.host for end in (sender, receiver) if not end.first(FORMATS[wish.compress])]
        why = "{} is not installed on {}".format(wish.compress, " and ".join(without))
    return [], [], f"streams are not compressed ({words}): {why}"


def _mbuffer(size: int, rate: int = 0) -> str:
    # Its pauses are as long as a block takes.
    block = "128k" if not rate else "16k" if rate >= LEAST_BUFFER else "4k"
    limited = f" -R {rate}" if rate else ""
    return f"mbuffer -q -s {block} -m {size}{limited}"


def _not_buffered(wish: Wish, hosts: t.Sequence[str]) -> str:
    return "streams are not buffered on {} ({}): mbuffer is not installed there".format(
        " and ".join(hosts), _words(wish, "buffer")
    )


def _words(wish: Wish, name: str) -> str:
    return next(words for words in wish.words if words.startswith(name))
