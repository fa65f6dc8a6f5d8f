# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amounts as filters write them for people."""

from __future__ import annotations


def span(value: int | None) -> str:
    """A number of seconds."""
    if value is None:
        return "-"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if value >= 2 * size:
            return f"{value // size} {unit}"
    return f"{value} s"


def volume(value: int | None) -> str:
    """A number of bytes."""
    if value is None:
        return "-"
    for unit, size in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value} B"
