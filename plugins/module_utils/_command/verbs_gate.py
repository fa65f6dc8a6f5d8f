# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate where something stands before its verb. As a key's command it is started by entry.py, without all this."""

from __future__ import annotations

from .._gate.main import main
from .context import Context


def gate(context: Context) -> int:
    """Run what the other end asks for, if it may."""
    path = context.request.values.get("config")
    return main(["--config", path] if path else [])
