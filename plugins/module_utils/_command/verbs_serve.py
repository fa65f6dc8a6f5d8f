# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verbs for the script at the other end of a pair, which calls them while it pulls: _refreshpull, _refreshcomplete.

The stream is raw whatever filters are configured here: who calls puts one behind us, and takes it off at his end.
"""

from __future__ import annotations

import os

from .._core import names, run_serve
from .._core.errors import BadInput
from .context import Context

_OUT = 1


def refreshpull(context: Context) -> int:
    """Write a stream to the standard output, and nothing else."""
    snapshot, token = (*context.request.operands, "")[:2]
    filesystem, short = names.split_snapshot(snapshot)
    if os.isatty(_OUT):
        raise BadInput("the standard output is a terminal, and a stream is nothing to read", left="nothing was sent")
    said = run_serve.send(context.settings, filesystem, short, token, _OUT)
    if said:
        context.voice.tell(said)
    return 0


def refreshcomplete(context: Context) -> int:
    """Record that a snapshot arrived."""
    snapshot, assignment = context.request.operands
    filesystem, short = names.split_snapshot(snapshot)
    name, _dummy, value = assignment.partition("=")
    return context.finish(run_serve.complete(context.settings, filesystem, short, name, value).result(False))
