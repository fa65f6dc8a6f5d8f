# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verbs that take, send and expire snapshots: sync, synconly, snaponly, expire."""

from __future__ import annotations

from .._core import names, run_snapshot, run_sync
from .._core.errors import BadInput
from .._core.settings import check_skip_busy
from .._core.swapping import DISCARD, PRESERVE
from .context import Context

EVER = 10**10
"""Seconds. Whoever syncs all leaves to another run what that works on, however long it takes, unless -q says more."""


def sync(context: Context) -> int:
    """Push, or roll a replica back where a snapshot is named."""
    request = context.request
    operands = _joined(request.operands, context.settings.tag)
    targets, everything = context._replace(request=request._replace(operands=operands)).targets
    options = {
        "force": context.forced,
        "diverged": DISCARD if request.has("discard") else PRESERVE,
        "only_if_changed": request.has("c") or context.variables.flag("ZREP_CHANGEDONLY"),
        "expire": not context.settings.skip_expire,
    }
    skip_busy = check_skip_busy(context.seconds("q"))
    if everything and skip_busy is None:
        skip_busy = EVER
    only = request.has("if-master")
    outcome = run_sync.sync(context.settings, targets, everything, options, skip_busy, request.dry, only)
    if outcome.idle and context.voice.quiet:
        outcome.notes.clear()  # The same line of cron runs on both hosts, and one of them may have nothing to do.
    if not request.dry and not request.has("json"):
        for kept in outcome.preserved:
            context.voice.tell("{filesystem}: what only {host} had is in {name} there".format(**kept))
    return context.finish(dict(outcome.result(request.dry), preserved=outcome.preserved))


def _joined(operands: tuple[str, ...], tag: str) -> tuple[str, ...]:
    """``FILESYSTEM SNAPSHOT`` as one word."""
    if len(operands) == 2 and "@" not in operands[0] and names.parse_snapshot(tag, operands[1].lstrip("@")):
        return ("{}@{}".format(operands[0], operands[1].lstrip("@")),)
    return operands


def synconly(context: Context) -> int:
    """Send the newest snapshot there is."""
    targets, everything = context.targets
    _check_no_snapshots(targets)
    options = {"send_only": True, "expire": not context.settings.skip_expire}
    outcome = run_sync.sync(context.settings, targets, everything, options, None, context.request.dry)
    return context.finish(outcome.result(context.request.dry))


def snaponly(context: Context) -> int:
    """Take snapshots and print their names and nothing else."""
    targets, everything = context.targets
    if not targets and not everything:
        return 0  # As the script does; its manual shows the verb without operands.
    outcome = run_snapshot.take(context.settings, targets, everything, None, False, context.request.dry, source=True)
    result = outcome.result(context.request.dry)
    if context.request.dry:
        return context.finish(result)
    made = [action["target"] for action in result["actions"] if action["action"] == "snapshot"]
    if made:
        context.voice.answer("\n".join(made))
    return context.finish(dict(result, actions=[]))


def expire(context: Context) -> int:
    """Apply the savecounts."""
    targets, everything = context.targets
    outcome = run_snapshot.expire(
        context.settings,
        targets,
        everything or not targets,
        context.request.has("L"),
        context.request.dry,
        replicas=everything,
    )
    return context.finish(outcome.result(context.request.dry))


def _check_no_snapshots(targets: list[str]) -> None:
    for name in targets:
        if "@" in name:
            raise BadInput(f"{name[:80]!r} is a snapshot; this verb chooses the newest one by itself")
