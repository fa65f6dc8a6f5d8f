# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading of what zfs writes for people. Pure.

Nothing is decided by it: a value may hold tabs and line breaks, and such a table cannot be taken apart for sure.
"""

from __future__ import annotations

import typing as t

from . import names


def own_values(text: str, datasets: t.Collection[str]) -> dict[str, dict[str, str]]:
    """The properties of each dataset in a table of name, property and value.

    zfs writes the rows of one dataset in one block. A line that cannot be a row there belongs to the value before it.
    """
    found: dict[str, dict[str, str]] = {name: {} for name in datasets}
    current = last = ""
    for line in text.rstrip("\n").split("\n"):
        dataset, first, rest = line.partition("\t")
        name, second, value = rest.partition("\t")
        if first and second and (dataset == current or not found.get(dataset, {"": ""})):
            current, last = dataset, name
            found[current][last] = value
        elif current:
            found[current][last] += "\n" + line
    return found


def snapshots_below(text: str, datasets: t.Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    """The snapshots of each dataset and of all below it, with their dates, in a table of both."""
    rows = [(name, date) for name, _dummy, date in (line.partition("\t") for line in text.split("\n")) if name]
    return {
        dataset: [row for row in rows if f"{names.split_snapshot(row[0])[0]}/".startswith(f"{dataset}/")]
        for dataset in datasets
    }
