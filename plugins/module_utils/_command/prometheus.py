# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of pairs in Prometheus' text format (prometheus.io/docs, "Exposition formats", version 0.0.4). Pure."""

from __future__ import annotations

import typing as t

from .._core import names
from .._core.errors import SplitBrain
from .._core.health import ERROR, WARNING

Facts = t.Mapping[str, t.Any]
Labels = t.Dict[str, str]


class Family(t.NamedTuple):
    """One metric with its samples. All are gauges: each tells what is so now."""

    name: str
    meaning: str
    samples: list[tuple[Labels, float]]


def exposition(families: t.Iterable[Family]) -> str:
    """The text; a metric of which nothing is known is left out."""
    lines = []
    for family in families:
        if family.samples:
            meaning = family.meaning.replace("\\", r"\\").replace("\n", r"\n")
            lines += [f"# HELP {family.name} {meaning}", f"# TYPE {family.name} gauge"]
            lines += [f"{family.name}{_labels(labels)} {value}" for labels, value in family.samples]
    return "".join(line + "\n" for line in lines)


def _labels(labels: Labels) -> str:
    return "{{{}}}".format(",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()))


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def families(pairs: t.Sequence[Facts], tag: str, now: int) -> list[Family]:
    """The metrics of pairs; each is what zrep_info returns, with ``run`` as the journal keeps it.

    :param now: when they were looked at, in epoch seconds.
    """
    found = [
        Family("zrep_pair_info", "A pair of this host, with its other side.", [(_names(facts), 1) for facts in pairs]),
        Family(
            "zrep_master",
            "Whether this side is the master. Both sides have the same label pair, so of each pair there is to be one.",
            [(dict(_which(facts), pair=pair_name(facts)), int(facts["role"] == "master")) for facts in pairs],
        ),
    ]
    for name, meaning, number in _NUMBERS:
        values = [(_which(facts), number(dict(facts, now=now))) for facts in pairs]
        found.append(Family(name, meaning, [(labels, value) for labels, value in values if value is not None]))
    found.append(Family("zrep_problems", "What is wrong with the pair.", list(_problems(pairs))))
    found.append(Family("zrep_collected_timestamp_seconds", "When this was looked at.", [({"tag": tag}, now)]))
    return found


def pair_name(facts: Facts) -> str:
    """What both sides of a pair call it, whichever is the master, and by whatever address each knows the other."""
    ends = ((facts["host"], facts["filesystem"]), (facts.get("peer_host"), facts.get("peer_filesystem")))
    return " ".join(sorted("{}:{}".format(names.short_host(host or ""), filesystem) for host, filesystem in ends))


def _which(facts: Facts) -> Labels:
    return {"filesystem": facts["filesystem"], "tag": facts["tag"]}


def _names(facts: Facts) -> Labels:
    peer = {name: facts.get(name) or "" for name in ("peer_host", "peer_filesystem")}
    return dict(_which(facts), role=facts["role"], **peer)


def _problems(pairs: t.Iterable[Facts]) -> t.Iterator[tuple[Labels, int]]:
    for facts in pairs:
        for severity in (ERROR, WARNING):
            number = sum(problem["severity"] == severity for problem in facts["problems"])
            yield dict(_which(facts), severity=severity), number


def _run(facts: Facts, name: str) -> t.Any:
    """Of the last run that this host made for the pair, unless the roles have changed since."""
    run = facts.get("run") or {}
    return run.get(name) if run.get("role") == facts["role"] else None


def _run_ok(facts: Facts) -> int | None:
    ok = _run(facts, "ok")
    return None if ok is None else int(ok)


def _drill(facts: Facts, name: str) -> t.Any:
    return (facts.get("drill") or {}).get(name)


def _drill_passed(facts: Facts) -> int | None:
    result = _drill(facts, "result")
    return None if result is None else int(result == "passed")


def _drill_age(facts: Facts) -> int | None:
    ended, now = _drill(facts, "time"), facts.get("now")
    return None if ended is None or now is None else max(now - ended, 0)


def _split(facts: Facts) -> int | None:
    """Whether both sides are master; not known if the other one was not seen."""
    if not facts.get("peer_reachable"):
        return None
    return int(any(problem["code"] == SplitBrain.code for problem in facts["problems"]))


def _reachable(facts: Facts) -> int | None:
    return int(facts["peer_reachable"]) if "peer_reachable" in facts else None


_NUMBERS: tuple[tuple[str, str, t.Callable[[Facts], float | None]], ...] = (
    (
        "zrep_last_sync_timestamp_seconds",
        "When the newest snapshot was taken that the replica holds for sure.",
        lambda facts: facts.get("last_sync"),
    ),
    (
        "zrep_lag_seconds",
        "How long before zrep_collected_timestamp_seconds the last sync was.",
        lambda facts: facts.get("lag_seconds"),
    ),
    (
        "zrep_unsent_bytes",
        "What was written on the master since the last sync, as far as ZFS has committed it.",
        lambda facts: facts.get("unsent_bytes"),
    ),
    (
        "zrep_snapshots",
        "How many snapshots of the pair this side has.",
        lambda facts: len(facts.get("snapshots", ())),
    ),
    (
        "zrep_readonly",
        "Whether nothing can be written to this side, which is right for a replica only.",
        lambda facts: int(bool(facts.get("readonly"))),
    ),
    ("zrep_last_drill_timestamp_seconds", "When the last drill ended.", lambda facts: _drill(facts, "time")),
    ("zrep_last_drill_age_seconds", "How long before zrep_collected_timestamp_seconds that was.", _drill_age),
    ("zrep_last_drill_success", "Whether the last drill passed.", _drill_passed),
    (
        "zrep_last_run_timestamp_seconds",
        "When a run of this host last worked on the pair, whether or not there was something to send.",
        lambda facts: _run(facts, "time"),
    ),
    ("zrep_last_run_success", "Whether that run went well.", _run_ok),
    (
        "zrep_last_transfer_duration_seconds",
        "How long the streams of the last transfer took.",
        lambda facts: _run(facts, "seconds"),
    ),
    (
        "zrep_last_transfer_written_bytes",
        "What had been written on the master before the last transfer, as far as ZFS had committed it.",
        lambda facts: _run(facts, "size"),
    ),
    ("zrep_peer_reachable", "Whether the other side answered.", _reachable),
    ("zrep_split_brain", "Whether both sides are master.", _split),
)
