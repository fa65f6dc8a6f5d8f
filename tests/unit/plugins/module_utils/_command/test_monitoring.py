# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The line of a monitoring plugin."""

from __future__ import annotations

import re

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._command import monitoring
from ansible_collections.zfsops.zrep.plugins.module_utils._command.monitoring import Limits

from .._core.builders import FS, NOW, dataset, master, replica, sent
from .facts import problem, told

OTHER = "pool1/other"
# One item of performance data as the guidelines write it: 'label'=value[unit];[warn];[crit];[min]
NUMBER = re.compile(r"'[^'=]+'=(U|[0-9]+s);[0-9]*;[0-9]*;0")


def aged(age, **more):
    """A healthy pair of that age in seconds."""
    return told(master(*sent(0)), last_sync=NOW - age, lag_seconds=max(age, 0), **more)


def verdict(*pairs, warning=None, critical=None):
    found = monitoring.verdict(pairs, Limits(warning, critical), NOW)
    assert "\n" not in found.line
    text, numbers = found.line.split(" | ")
    assert text.startswith("ZREP ")
    assert text.split()[1] == ("OK", "WARNING", "CRITICAL", "UNKNOWN")[found.status]
    assert len(numbers.split()) == len(pairs)
    assert all(NUMBER.fullmatch(number) for number in numbers.split())
    return found.status, text, numbers


def test_all_is_well():
    found = verdict(aged(42), aged(7, filesystem=OTHER), warning=300, critical=3600)
    assert found == (
        0,
        "ZREP OK - 2 pairs, oldest sync 42 s ago",
        f"'{FS}'=42s;300;3600;0 '{OTHER}'=7s;300;3600;0",
    )
    assert verdict(aged(10**6)) == (0, "ZREP OK - 1 pair, oldest sync 1000000 s ago", f"'{FS}'=1000000s;;;0")


@pytest.mark.parametrize(("age", "status"), [(0, 0), (300, 0), (301, 1), (3600, 1), (3601, 2)])
def test_a_limit_is_exceeded_by_what_is_greater(age, status):
    found = verdict(aged(age), warning=300, critical=3600)
    assert found[0] == status
    assert (f"{FS} was last synced {age} s ago" in found[1]) == bool(status)


def test_each_limit_alone():
    assert verdict(aged(400), warning=300)[0] == 1
    assert verdict(aged(400), critical=300)[0] == 2
    assert verdict(aged(1), critical=0)[0] == 2


def test_the_worst_decides_and_comes_first():
    status, text, _numbers = verdict(
        aged(1), aged(400, filesystem=OTHER), aged(4000, filesystem="pool1/x"), warning=300, critical=3600
    )
    assert status == 2
    assert text.index("pool1/x") < text.index(OTHER)
    assert FS not in text


def test_never_synced_is_critical():
    status, text, numbers = verdict(told(master()), aged(5, filesystem=OTHER))
    assert (status, text) == (2, f"ZREP CRITICAL - {FS} was never synced")
    assert numbers.startswith(f"'{FS}'=U;")


def test_what_is_not_registered_is_critical():
    assert verdict(told(dataset(FS)))[0] == verdict(told(None))[0] == 2


def test_readonly_on_the_wrong_side_is_a_warning():
    assert verdict(told(master(*sent(0), properties={"readonly": "on"})))[0] == 1
    assert verdict(told(replica(*sent(0), properties={"readonly": "off"})))[0] == 1
    assert verdict(told(replica(*sent(0))))[0] == 0


def test_a_record_that_makes_no_sense_is_critical():
    assert verdict(told(master(*sent(0), savecount="many")))[0] == 2


@pytest.mark.parametrize(("ahead", "status"), [(300, 0), (301, 1)])
def test_a_sync_in_the_future_is_no_fresh_sync(ahead, status):
    assert verdict(aged(-ahead), warning=300)[0] == status


def test_nothing_in_a_text_ends_it_early():
    evil = problem(message="holds 'a | b\nZREP OK'\x1b[2J", severity="warning")
    _status, text, _numbers = verdict(aged(1, problems=[evil]))
    assert text == "ZREP WARNING - holds 'a / b ZREP OK'\\x1b[2J"


def test_unknown():
    assert monitoring.unknown("no\nway | out") == (3, "ZREP UNKNOWN - no way / out")
