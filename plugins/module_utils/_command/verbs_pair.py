# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verbs that make, mend and unmake the record of a pair: init, clear, changeconfig, sentsync, setlastsent."""

from __future__ import annotations

import sys

from .._core import names, run_configure, run_pair, run_pull_pair, run_snapshot
from .._core.errors import BadInput
from .._core.model import Endpoint
from .._core.outcome import Outcome
from .._core.roles import check_exists
from .context import Context
from .variables import create_options, replica_properties


def init(context: Context) -> int:
    """Make a pair."""
    request, variables = context.request, context.variables
    filesystem, host, destination = request.operands
    wanted = request.values.get("savecount")
    options = {
        "savecount": None if wanted is None else names.check_savecount(wanted),
        "default_savecount": variables.number("ZREP_SAVE_COUNT"),
        "adopt": request.values.get("adopt"),
        "force": context.forced,
        "create_properties": create_options(variables),
        "peer_properties": replica_properties(variables),
        "recursive": context.settings.recursive or None,
        "hold": request.has("hold") or None,
    }
    peer = Endpoint(host, destination)
    if request.has("pull"):
        outcome = run_pull_pair.pair_pulled(context.settings, filesystem, peer, options, dry=request.dry)
    else:
        outcome = run_pair.pair_present(context.settings, filesystem, peer, options, request.dry)
    result = outcome.result(request.dry)
    if not result["changed"]:
        context.voice.tell(f"{filesystem} is paired with {host}:{destination} already; nothing to do")
    return context.finish(result)


def clear(context: Context) -> int:
    """Take this side out of its pair."""
    filesystem = names.check_dataset(context.request.operands[0])
    outcome = _clear(context, filesystem, dry=True)
    result = outcome.result(True)
    check_exists(outcome.done[0][0])
    if not result["changed"]:
        context.voice.tell(f"{filesystem} has nothing of a pair with the tag {context.settings.tag!r}; nothing to do")
    elif not context.request.dry:
        if not context.forced:
            _ask("; ".join(action["what"] for action in result["actions"]))
        result = _clear(context, filesystem, dry=False).result(False)
    return context.finish(result)


def _clear(context: Context, filesystem: str, dry: bool) -> Outcome:
    return run_pair.pair_absent(context.settings, filesystem, force=True, local_only=True, dry=dry)


def _ask(what: str) -> None:
    """Raise BadInput unless a person at a terminal agrees."""
    if sys.stdin is None or not sys.stdin.isatty() or sys.stderr is None:
        raise BadInput(f"this would {what}", left="nothing was changed", hint="-f says that this is wanted")
    sys.stderr.write(f"This will {what}.\nGo on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise BadInput("not confirmed", left="nothing was changed")


def changeconfig(context: Context) -> int:
    """Write the names of both sides into this one."""
    first, host, second = context.request.operands
    outcome = run_configure.configure(
        context.settings,
        first,
        Endpoint(host, second),
        is_destination=context.request.has("d"),
        force=context.forced,
        default_savecount=context.variables.number("ZREP_SAVE_COUNT"),
        dry=context.request.dry,
    )
    result = outcome.result(context.request.dry)
    if not result["changed"]:
        context.voice.tell(f"{first} is configured so already; nothing to do")
    return context.finish(result)


def sentsync(context: Context) -> int:
    """Complete a copy that was made by hand."""
    return _sent(context, context.request.operands[0])


def setlastsent(context: Context) -> int:
    """Record a snapshot as the last one sent."""
    first, *rest = context.request.operands
    return _sent(context, f"{first}@{_short(first, rest[0])}" if rest else first)


def _short(filesystem: str, named: str) -> str:
    """The snapshot in a second operand. The manual writes SNAP@FS, others FS@SNAP or @SNAP."""
    parts = [part for part in named.split("@") if part not in ("", filesystem)]
    if len(parts) != 1:
        raise BadInput(f"{named[:80]!r} is no snapshot of {filesystem[:80]!r}", hint="zrep help setlastsent")
    return parts[0]


def _sent(context: Context, target: str) -> int:
    filesystem, short = names.split_snapshot(target)
    if not short:
        raise BadInput(f"{target[:80]!r} names no snapshot", hint=f"zrep help {context.request.verb}")
    names.check_dataset(filesystem)
    local = context.request.has("L")
    outcome = run_snapshot.sent(context.settings, filesystem, short, local, context.request.dry)
    result = outcome.result(context.request.dry)
    if not result["changed"] and not result["failed_filesystems"]:
        context.voice.tell(f"{filesystem}: {short} is recorded as the last one sent already; nothing to do")
    return context.finish(result)
