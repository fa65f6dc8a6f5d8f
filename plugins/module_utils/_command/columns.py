# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of status and list, as programs that were written for the script expect them. Pure."""

from __future__ import annotations

import re
import time
import typing as t

from .._core.errors import BadInput

NEVER = "[NEVER]"
NAME_WIDTH = 52
SOURCE_WIDTH = 25
DESTINATION_WIDTH = 35


def date(moment: int | None, pattern: str) -> str:
    """A time in epoch seconds in the local time zone, as strftime(3) writes it; ``%s`` is the number itself."""
    if moment is None:
        return NEVER
    # Not every C library knows %s, and those that do guess in the hour that clocks go through twice.
    known = re.sub("%.", lambda match: str(moment) if match.group() == "%s" else match.group(), pattern)
    try:
        return time.strftime(known, time.localtime(moment))
    except (ValueError, OverflowError, OSError) as error:
        raise BadInput(f"ZREP_DATEFORMAT {pattern[:80]!r} cannot be used: {error}") from None


def status(filesystem: str, synced: str) -> str:
    """A line of status."""
    return f"{filesystem:<{NAME_WIDTH}} last: {synced}"


def status_of_ends(source: str, destination: str, synced: str) -> str:
    """A line of status with both ends, without seconds where the date ends with them."""
    ends = f"{printable(source):<{SOURCE_WIDTH}}->{printable(destination):<{DESTINATION_WIDTH}}"
    # A long name would run into the date.
    return ends + " " * (not ends.endswith(" ")) + (synced.rpartition(":")[0] or synced)


def properties(filesystem: str, values: t.Mapping[str, str], last: str) -> list[str]:
    """A filesystem with its properties, by name, and the last snapshot that was synced."""
    rows = [f"{name}\t{printable(value)}" for name, value in sorted(values.items())]
    return [f"{filesystem}:", *rows, f"last synced snapshot: {last or NEVER}"]


def snapshots(rows: t.Sequence[tuple[str, str]]) -> list[str]:
    """Names and dates as ``zfs list`` shows them; it shows no header if there are none."""
    table = [("NAME", "CREATION"), *rows] if rows else []
    width = max((len(name) for name, _dummy in table), default=0)
    return [f"{name:<{width}}  {moment}" for name, moment in table]


def printable(text: str) -> str:
    """A value that somebody else wrote on one line, without what a terminal would obey."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
