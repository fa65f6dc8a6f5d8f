# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb of a host that may connect to its master, and is not connected to: refresh."""

from __future__ import annotations

from .._core import run_pull
from .._core.settings import check_skip_busy
from .._core.swapping import DISCARD, PRESERVE
from .context import Context
from .verbs_sync import EVER


def refresh(context: Context) -> int:
    """Pull on the replica."""
    request = context.request
    targets, everything = context.targets
    options = {
        "force": context.forced,
        "diverged": DISCARD if request.has("discard") else PRESERVE,
        "only_if_changed": request.has("c") or context.variables.flag("ZREP_CHANGEDONLY"),
        "expire": not context.settings.skip_expire,
    }
    skip_busy = check_skip_busy(context.seconds("q"))
    if everything and skip_busy is None:
        skip_busy = EVER
    only = request.has("if-replica")
    outcome = run_pull.pull(context.settings, targets, everything, options, skip_busy, request.dry, only)
    if outcome.idle and context.voice.quiet:
        outcome.notes.clear()
    return context.finish(outcome.result(request.dry))
