# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What doctor says to people about pairs and about this host. Pure."""

from __future__ import annotations

import re
import typing as t

from .columns import printable
from .dialect import translate

Facts = t.Mapping[str, t.Any]

_NO_VERB = re.compile(r"^-f\b")
"""What is refused for a problem of a pair is a sync, so that is what a flag alone is meant for."""
_SPANS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def in_words_of_command(problem: t.Mapping[str, str]) -> dict[str, str]:
    """A problem as the core tells it, with the calls of the command that mend it."""
    hint = _NO_VERB.sub("zrep sync -f", translate(problem["hint"]))
    return dict(problem, message=translate(problem["message"]), hint=hint)


def pair(facts: Facts, synced: str) -> list[str]:
    """A pair: how it stands, and each thing that is wrong with it.

    :param synced: when its last sync was, for people.
    """
    problems = facts["problems"]
    parts = [_role(facts)]
    if facts["role"] != "none":
        age = facts["lag_seconds"]
        parts.append(f"last sync {synced}" + ("" if age is None else f", {span(age)} ago"))
    if facts.get("unsent_bytes") is not None:
        parts.append("{} not sent yet".format(size(facts["unsent_bytes"])))
    if facts.get("busy"):
        parts.append("the script works on it")
    begun = [side for side in (facts, facts.get("peer") or {}) if side.get("receive_begun")]
    if begun:
        parts.append("a receive has begun and not ended; if none is running, the next sync goes on from there")
    parts.append(_count(len(problems)))
    return ["{}: {}".format(facts["filesystem"], "; ".join(parts)), *_listed(problems)]


def this_host(name: str, problems: t.Sequence[t.Mapping[str, str]]) -> list[str]:
    """What is wrong with a host, whatever the pair; nothing if nothing is."""
    return [f"{name}: {_count(len(problems))}", *_listed(problems)] if problems else []


def _role(facts: Facts) -> str:
    peer = printable("{}:{}".format(facts.get("peer_host") or "?", facts.get("peer_filesystem") or "?"))
    if facts["role"] == "master":
        return f"master of {peer}"
    return f"replica of {peer}" if facts["role"] == "replica" else "no pair"


def _count(number: int) -> str:
    return "{} problem{}".format(number, "" if number == 1 else "s") if number else "ok"


def _listed(problems: t.Iterable[t.Mapping[str, str]]) -> t.Iterator[str]:
    for problem in problems:
        where, text = problem["host"], printable(" ".join(problem["message"].split()))
        yield "  {}: {}".format(problem["severity"], text if not where or where in text else f"{where}: {text}")
        if problem["hint"]:
            yield "    mend: {}".format(printable(problem["hint"]))


def span(seconds: int) -> str:
    """A span of time in its two greatest units."""
    parts: list[str] = []
    for unit, length in _SPANS:
        number, seconds = divmod(seconds, length)
        if number or (unit == "s" and not parts):
            parts.append(f"{number} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def size(number: int) -> str:
    """A size in bytes for people."""
    if number < 1024:
        return f"{number} bytes"
    amount = float(number)
    for unit in _UNITS:
        amount /= 1024
        if amount < 999.95 or unit == _UNITS[-1]:
            break
    return f"{amount:.1f} {unit}"
