# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb that clears up what moves preserved: prune-preserved."""

from __future__ import annotations

from .._core import run_preserved
from .._core.errors import BadInput
from .context import Context

DAY = 86400


def prune_preserved(context: Context) -> int:
    """List or destroy datasets that a move preserved."""
    request = context.request
    days = request.values.get("older-than", "0")
    if not days.isascii() or not days.isdigit() or len(days) > 6:
        raise BadInput(f"--older-than {days[:80]!r} cannot be used: expected a whole number of days")
    found = run_preserved.preserved(context.settings, list(request.operands), int(days) * DAY, destroy=request.has("f"))
    if not request.has("json"):
        for item in found["preserved"]:
            context.voice.answer("{name}  {created_iso}  {used} bytes  of {source}".format(**item))
    return context.finish(found)
