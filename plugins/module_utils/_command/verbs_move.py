# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verbs that move the master role: failover, takeover."""

from __future__ import annotations

import typing as t

from .._core import names, run_failover
from .._core.errors import BadInput
from .._core.swapping import DISCARD, MASTER, PRESERVE, REFUSE, REPLICA
from .context import Context


def failover(context: Context) -> int:
    """Give the master role to the other side."""
    target, short = names.split_snapshot(context.request.operands[0])
    alone = context.request.has("L")
    if short and not alone:
        raise BadInput(
            f"{context.request.operands[0]} names a snapshot, but a planned move goes to the newest state",
            left="nothing was changed",
            hint=f"zrep failover {target}; or, to give up all that is newer, zrep failover -L {target}@{short}",
        )
    # Who steps down alone has always gone back to the last snapshot sent. What that would lose is kept.
    return _move(context, target, REPLICA, PRESERVE if alone else REFUSE, short)


def takeover(context: Context) -> int:
    """Become the master."""
    return _move(context, context.request.operands[0], MASTER, REFUSE)


def _move(context: Context, filesystem: str, role: str, otherwise: str, short: str = "") -> int:
    request = context.request
    peer_host = request.operands[1] if len(request.operands) > 1 else ""
    moved = run_failover.failover(
        context.settings,
        filesystem,
        role,
        force=request.has("L"),
        diverged=_diverged(context, otherwise),
        preserve_as=request.values.get("preserve-as", ""),
        peer_host=names.check_host(peer_host, "HOST") if peer_host else "",
        base=names.check_snapshot(short) if short else "",
        alone=role == REPLICA and request.has("L"),
        dry=request.dry,
        repoint=[tag for tag in request.values.get("repoint", "").split(",") if tag],
    )
    result: dict[str, t.Any] = dict(
        moved.outcome.result(request.dry),
        loss=moved.loss,
        preserved=moved.preserved,
        other_destinations=[found.facts() for found in moved.others],
    )
    if moved.preserved and not request.has("json"):
        context.voice.tell(f"{filesystem}: what only this side had is in {moved.preserved}")
    if not result["changed"] and not result["failed_filesystems"]:
        context.voice.tell(f"{filesystem} is the {role} already; nothing to do")
    return context.finish(result)


def _diverged(context: Context, otherwise: str) -> str:
    request = context.request
    keep = request.has("preserve") or request.has("preserve-as")
    if keep and request.has("discard"):
        raise BadInput("--preserve and --discard contradict each other", left="nothing was changed")
    if keep:
        return PRESERVE
    return DISCARD if request.has("discard") else otherwise
