# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several hosts with real ZFS on one machine, for the system tests.

See Lab and Host, and ``python3 -m tests.lab --help``.
"""

from __future__ import annotations

from .errors import CommandFailed, LabError
from .host import Host
from .lab import MIB, HostSpec, Lab
from .teardown import clean_stale
from .trace import CHANGING, POWER_OFF, Connection, Trace

__all__ = [
    "CHANGING",
    "MIB",
    "POWER_OFF",
    "CommandFailed",
    "Connection",
    "Host",
    "HostSpec",
    "Lab",
    "LabError",
    "Trace",
    "clean_stale",
]
