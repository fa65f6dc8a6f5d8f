# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verbs that show how the pairs of this host stand: status, list, getlastsent, uptodate."""

from __future__ import annotations

import time
import typing as t

from .._core import names, report, run_show
from .._core.errors import ZrepError
from .._core.model import Side
from . import columns
from .context import Context

Facts = t.Dict[str, t.Any]


def status(context: Context) -> int:
    """When each filesystem was last synced."""
    request = context.request
    shown = _show(context, request.has("m") or not (request.has("a") or request.operands))
    if request.has("json"):
        context.voice.json(_facts(shown))
    else:
        pattern = date_pattern(context)
        for side in _sides(shown):
            last = side.last_sent
            synced = columns.date(last.sent if last else None, pattern)
            context.voice.answer(_status_line(side, synced, request.has("v")))
    return _tell_failed(context, shown.failed)


def date_pattern(context: Context) -> str:
    """How people want dates to be written."""
    # The configuration file may have named another time zone than the one that this process began with.
    time.tzset()
    return context.variables.get("ZREP_DATEFORMAT") or ""


def _status_line(side: Side, synced: str, with_ends: bool) -> str:
    if not with_ends:
        return columns.status(side.filesystem, synced)
    # As they stand there: a name that cannot be used is no reason to show nothing.
    source, host, filesystem = (
        side.dataset.value(names.property_name(side.tag, name)) or "" for name in ("src-fs", "dest-host", "dest-fs")
    )
    return columns.status_of_ends(source, f"{host}:{filesystem}", synced)


def list_pairs(context: Context) -> int:
    """The filesystems that are registered."""
    request = context.request
    shown = _show(context, request.has("L") or (request.has("s") and not request.operands))
    filesystems = [seen.filesystem for seen in shown.pairs]
    values = run_show.own_values(context.settings, filesystems) if request.has("v") else {}
    snapshots = run_show.snapshots_below(context.settings, filesystems) if request.has("s") else {}
    if request.has("json"):
        context.voice.json(_with_more(_facts(shown), values, snapshots))
        return _tell_failed(context, shown.failed)
    for side in _sides(shown):
        context.voice.answer("".join(line + "\n" for line in _listed(context, side, values, snapshots)), end="")
    return _tell_failed(context, shown.failed)


def _with_more(
    pairs: list[Facts],
    values: t.Mapping[str, t.Mapping[str, str]],
    snapshots: t.Mapping[str, t.Sequence[tuple[str, str]]],
) -> list[Facts]:
    for facts in pairs:
        if facts["filesystem"] in values:
            facts["properties"] = values[facts["filesystem"]]
        if facts["filesystem"] in snapshots:
            below = snapshots[facts["filesystem"]]
            facts["all_snapshots"] = [{"name": name, "creation": creation} for name, creation in below]
    return pairs


def _listed(
    context: Context,
    side: Side,
    values: t.Mapping[str, t.Mapping[str, str]],
    snapshots: t.Mapping[str, t.Sequence[tuple[str, str]]],
) -> list[str]:
    request = context.request
    if not (request.has("v") or request.has("s")):
        return [side.filesystem]
    lines = []
    if request.has("v"):
        last = side.last_sent
        lines += columns.properties(side.filesystem, values[side.filesystem], last.name if last else "")
        lines += [] if request.operands else [""]
    if request.has("s"):
        lines += columns.snapshots(snapshots[side.filesystem])
    return lines


def getlastsent(context: Context) -> int:
    """The last snapshot that was sent."""
    shown = run_show.show(context.settings, context.request.operands, False)
    for side in _sides(shown):
        last = side.last_sent
        context.voice.answer(last.name if last else "")
    return _tell_failed(context, shown.failed)


def uptodate(context: Context) -> int:
    """Whether the replica has everything."""
    filesystem = context.request.operands[0]
    found = run_show.unsent(context.settings, filesystem)
    if found.since is None:
        why = "was never synced"
    elif found.size is None:
        why = f"zfs cannot tell what was written since {found.since.short} was sent"
    elif found.size:
        why = f"{found.size} bytes were written since {found.since.short} was sent"
    else:
        return 0
    context.voice.fail(f"{filesystem}: {why}")
    return 1


def _show(context: Context, only_masters: bool) -> run_show.Shown:
    named, _everything = context.targets
    return run_show.show(context.settings, named or None, only_masters)


def _sides(shown: run_show.Shown) -> t.Iterator[Side]:
    return (t.cast(Side, seen.side_here) for seen in shown.pairs)


def _facts(shown: run_show.Shown) -> list[Facts]:
    return [report.pair_facts(seen, shown.now) for seen in shown.pairs]


def _tell_failed(context: Context, failed: t.Sequence[ZrepError]) -> int:
    for error in failed:
        context.voice.fail(str(error))
    return 1 if failed else 0
