# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb of a host that may connect to its master, and is not connected to: refresh."""

from __future__ import annotations

from .._core import run_refresh
from .context import Context


def refresh(context: Context) -> int:
    """Pull on the replica."""
    filesystem = context.request.operands[0]
    outcome = run_refresh.refresh(context.settings, filesystem, context.forced, dry=context.request.dry)
    return context.finish(outcome.result(context.request.dry))
