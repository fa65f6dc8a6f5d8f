# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of status and list: what programs cut into columns."""

from __future__ import annotations

import os
import time

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._command import columns
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import BadInput

DEFAULT = "%Y/%m/%d-%H:%M:%S"
MOMENT = 1795380401
"""2026-11-22T20:46:41Z"""


@pytest.fixture(autouse=True)
def zone(monkeypatch):
    """A time zone that is neither UTC nor a whole number of hours from it."""
    monkeypatch.setenv("TZ", "XXX-05:30")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
    assert os.environ.get("TZ") != "XXX-05:30"


def test_a_date_is_local():
    assert columns.date(MOMENT, DEFAULT) == "2026/11/23-02:16:41"


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [("%s", str(MOMENT)), ("at %s", f"at {MOMENT}"), ("%%s %d", "%s 23"), ("%%%s", f"%{MOMENT}"), ("plain", "plain")],
)
def test_the_number_itself_is_shown_on_every_c_library(pattern, shown):
    assert columns.date(MOMENT, pattern) == shown


def test_never():
    assert columns.date(None, DEFAULT) == "[NEVER]"


def test_a_pattern_that_cannot_be_used():
    with pytest.raises(BadInput, match="ZREP_DATEFORMAT"):
        columns.date(10**18, DEFAULT)


def test_status():
    assert columns.status("pool1/a", "X") == "pool1/a" + 45 * " " + " last: X"
    long = "p" * 60
    assert columns.status(long, "X") == f"{long} last: X"


def test_status_of_both_ends_has_its_columns():
    line = columns.status_of_ends("pool1/a", "host2:pool2/copy", "2026/11/23-02:16:41")
    assert line == "pool1/a                  ->host2:pool2/copy                   2026/11/23-02:16"
    assert (line.index("->"), line.index("2026")) == (25, 25 + 2 + 35)


@pytest.mark.parametrize(("synced", "shown"), [("[NEVER]", "[NEVER]"), ("1795380401", "1795380401"), ("1:2:3", "1:2")])
def test_status_of_both_ends_cuts_the_date_at_its_last_colon(synced, shown):
    assert columns.status_of_ends("a", "h:b", synced).split()[-1] == shown


@pytest.mark.parametrize("length", [34, 35, 36, 80])
def test_a_long_name_does_not_run_into_the_date(length):
    destination = "d" * length
    line = columns.status_of_ends("a", destination, "X")
    assert line[27:].split() == [destination, "X"]
    assert line.index("X") == 27 + max(length + 1, 35)


def test_properties():
    found = columns.properties("pool1/a", {"quota": "10G", "my:note": "a\nb\x1b[2J"}, "pool1/a@zrep_000001")
    assert found == ["pool1/a:", "my:note\ta\\nb\\x1b[2J", "quota\t10G", "last synced snapshot: pool1/a@zrep_000001"]
    assert columns.properties("pool1/a", {}, "")[-1] == "last synced snapshot: [NEVER]"


def test_snapshots_have_a_header_if_there_are_any():
    assert columns.snapshots([]) == []
    assert columns.snapshots([("pool1/a@x", "Sun Nov 22 20:46 2026")]) == [
        "NAME       CREATION",
        "pool1/a@x  Sun Nov 22 20:46 2026",
    ]


def test_what_can_be_read_stays_as_it_is():
    assert columns.printable("Grüße, %s \\ 'x'") == "Grüße, %s \\ 'x'"
    assert columns.printable("a\tb\r\x7f\x9b") == "a\\tb\\r\\x7f\\x9b"
