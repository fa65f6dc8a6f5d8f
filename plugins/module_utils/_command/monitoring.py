# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The line of a monitoring plugin and its exit status. Pure.

Form and numbers: monitoring-plugins.org, "Monitoring Plugins Development Guidelines", on output, performance data and
thresholds. A threshold is exceeded by what is greater.
"""

from __future__ import annotations

import typing as t

from .._core.health import ERROR
from .columns import printable

OK, WARNING, CRITICAL, UNKNOWN = range(4)
_NAMES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
AHEAD_SECONDS = 300
"""How far the clock of the host that recorded a sync may be ahead of ours before the age of it means nothing."""

Facts = t.Mapping[str, t.Any]


class Limits(t.NamedTuple):
    """The age of the last sync in seconds beyond which it is told; None for any age."""

    warning: int | None = None
    critical: int | None = None


class Verdict(t.NamedTuple):
    """An exit status and the line that goes with it."""

    status: int
    line: str


def unknown(why: str) -> Verdict:
    """Nothing could be found out."""
    return Verdict(UNKNOWN, f"ZREP UNKNOWN - {_plain(why)}")


def verdict(pairs: t.Sequence[Facts], limits: Limits, now: int) -> Verdict:
    """What is to be told of pairs; each is what zrep_info returns."""
    findings = [found for facts in pairs for found in _findings(facts, limits, now)]
    worst = max((status for status, _text in findings), default=OK)
    if worst == OK:
        text = _healthy(pairs)
    else:
        # What is worst comes first, since a pager shows the first words.
        listed = sorted(findings, key=lambda found: -found[0])
        text = "; ".join(dict.fromkeys(found for _status, found in listed))
    numbers = " ".join(_performance(facts, limits) for facts in pairs)
    return Verdict(worst, f"ZREP {_NAMES[worst]} - {_plain(text)} | {numbers}")


def _findings(facts: Facts, limits: Limits, now: int) -> t.Iterator[tuple[int, str]]:
    for problem in facts["problems"]:
        yield (CRITICAL if problem["severity"] == ERROR else WARNING), problem["message"]
    synced, age = facts.get("last_sync"), facts.get("lag_seconds")
    if synced is None or age is None:
        return  # Which is a problem by itself.
    if synced > now + AHEAD_SECONDS:
        yield WARNING, f"{facts['filesystem']} was last synced {synced - now} s in the future: clocks differ"
    for status, limit in ((CRITICAL, limits.critical), (WARNING, limits.warning)):
        if limit is not None and age > limit:
            yield status, f"{facts['filesystem']} was last synced {age} s ago, more than {limit} s"
            return


def _healthy(pairs: t.Sequence[Facts]) -> str:
    oldest = max(facts["lag_seconds"] for facts in pairs)
    return "{} pair{}, oldest sync {} s ago".format(len(pairs), "" if len(pairs) == 1 else "s", oldest)


def _performance(facts: Facts, limits: Limits) -> str:
    """``'label'=value;warning;critical;least``; an age that is not known is written as U."""
    age = facts.get("lag_seconds")
    value = "U" if age is None else f"{age}s"
    bounds = ("" if limit is None else str(limit) for limit in limits)
    return "'{}'={};{};0".format(facts["filesystem"], value, ";".join(bounds))


def _plain(text: str) -> str:
    """One line without the character that ends the text for people."""
    return printable(" ".join(text.split())).replace("|", "/")
