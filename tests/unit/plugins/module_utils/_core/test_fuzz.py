# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a zfs prints, or the sender of a replica wrote into a property, is understood or refused, and no more."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.zfsops.zrep.plugins.module_utils._core import (
    diverging,
    drilling,
    names,
    progress,
    resuming,
    tables,
    zfs,
)
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import ZrepError
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import Side

from .builders import MODERN

TAG = "zrep"
PROPERTIES = zfs.wanted_properties(TAG, MODERN)
HEADS = ["p/a", "p/b", "p/a@zrep_000001", "p/a@x", "p/a#b", "", "p"]
VALUES = ["1", "-", "", "yes", "on", "18446744073709551615", "99999999999999999999999", "-1", "1e3", "٣", "filesystem"]

text = st.text(max_size=200)
cell = st.one_of(st.sampled_from(VALUES), st.text(st.characters(blacklist_characters="\t\n"), max_size=12))


@st.composite
def answers(draw):
    """What ``get`` could print, with nonsense in any cell."""
    lines = []
    for head in draw(st.lists(st.sampled_from(HEADS), max_size=4)):
        broken = draw(st.sets(st.integers(0, len(PROPERTIES) - 1), max_size=3))
        for number, name in enumerate(PROPERTIES):
            plain = {"type": "filesystem", "mounted": "yes", "readonly": "off"}.get(name, "7")
            value = draw(cell) if number in broken else plain
            lines.append("\t".join([head, name, value, draw(st.sampled_from(["-", "local", "received", "odd"]))]))
    return "".join(line + "\n" for line in lines)


LOOKS = (
    lambda side: side.peer,
    lambda side: side.savecount,
    lambda side: side.check_marks(),
    lambda side: side.next_short,
    lambda side: (side.role, side.lock_pid, side.promoted, side.readonly, side.mounted, side.last_sent),
)


def read(said):
    for dataset in zfs.parse_get(said, PROPERTIES, TAG, "host").values():
        for look in LOOKS:
            with contextlib.suppress(ZrepError):
                look(Side("host", "host", TAG, dataset))


@settings(max_examples=300)
@given(answers())
def test_datasets_with_nonsense_in_any_cell(said):
    with contextlib.suppress(ZrepError):
        read(said)


def hear(said):
    meter = progress.Meter("p/a@x", 0.0)
    for number, line in enumerate(said.encode("utf-8", "replace").splitlines(True), 1):
        meter.hear(line, float(number))
        meter.line(float(number))
    meter.summary(9.0)


READERS = {
    "datasets": read,
    "unknown property": zfs.unknown_property,
    "complaints": zfs.complaints,
    "failure of a command": lambda said: zfs.failure(("zfs", "receive", "p/a"), 1, said, "host"),
    "changed files": lambda said: diverging.parse_diff(said, "/p/a"),
    "record of a drill": drilling.parse_record,
    "what a token is for": resuming.snapshot_of,
    "number": names.parse_number,
    "snapshot": lambda said: names.parse_snapshot(TAG, said),
    "properties of a dataset": lambda said: tables.own_values(said, ["p/a", "p/b"]),
    "snapshots for people": lambda said: tables.snapshots_below(said, ["p/a", "p/b"]),
    "how far a stream is": hear,
}


@pytest.mark.parametrize("reader", READERS)
@given(text)
def test_any_text(reader, said):
    with contextlib.suppress(ZrepError):
        READERS[reader](said)
        READERS[reader](f"cannot open '{said}': dataset does not exist")
        READERS[reader](f"M\t{said}\nR\t/p/a/x\t->\t{said}")
