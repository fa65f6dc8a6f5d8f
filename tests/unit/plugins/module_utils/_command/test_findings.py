# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What doctor says."""

from __future__ import annotations

import re

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._command import findings

from .._core.builders import (
    FS,
    MIRRORED,
    PEER_FS,
    PEER_HOST,
    dataset,
    master,
    own,
    replica,
    sent,
    taken_over,
)
from .facts import problem, told


def test_a_healthy_master_is_one_line():
    assert findings.pair(told(master(*sent(0)), last_sync=5, lag_seconds=42), "today") == [
        f"{FS}: master of {PEER_HOST}:{PEER_FS}; last sync today, 42 s ago; 4.0 KiB not sent yet; ok"
    ]


def test_a_replica_has_nothing_to_send():
    facts = told(replica(*sent(0)), lag_seconds=5)
    (line,) = findings.pair(facts, "today")
    assert "replica of" in line
    assert "not sent" not in line
    assert line.endswith("5 s ago; ok")


def test_each_problem_and_what_mends_it():
    facts = told(master(), problems=[problem(hint=""), problem("warning", message="x\ny | \x1b")])
    head, *rest = findings.pair(facts, "[NEVER]")
    assert head.endswith("last sync [NEVER]; 2 problems")
    assert rest == [
        "  error: hosta: pool1/data is bent",
        "  warning: hosta: x y | \\x1b",
        "    mend: straighten it",
    ]


def test_a_host_is_not_named_twice():
    assert findings.this_host("h", [problem(host="h", message="h:pool1/x is bent", hint="")]) == [
        "h: 1 problem",
        "  error: h:pool1/x is bent",
    ]
    assert findings.this_host("h", []) == []


def test_what_is_no_pair():
    head, *rest = findings.pair(told(dataset(FS)), "[NEVER]")
    assert head == f"{FS}: no pair; 1 problem"
    assert rest
    assert findings.pair(told(None), "[NEVER]")[0] == f"{FS}: no pair; 1 problem"


def test_the_script_at_work():
    (line,) = findings.pair(told(master(*sent(0)), busy=True), "today")
    assert "the script works on it" in line


SECOND = {"zrep:master": "yes"}
BENT = {
    "no pair": (dataset(FS), None),
    "gone": (master(*sent(0)), None),
    "never": (master(), replica()),
    "wrong source": (master(*sent(0), properties={"zrep:src-host": "other"}), replica(*sent(0))),
    "readonly": (master(*sent(0), properties={"readonly": "on"}), replica(*sent(0))),
    "writable": (master(*sent(0)), replica(*sent(0), properties={"readonly": "off"})),
    "two masters": (master(*sent(0)), replica(*sent(0), properties=SECOND)),
    "superseded": (master(*sent(0)), taken_over(*sent(0))),
    "none": (master(*sent(0), properties={"zrep:master": None}), replica(*sent(0))),
    "another's": (master(*sent(0)), replica(*sent(0), properties={"zrep:src-fs": "pool9/x"})),
    "nothing common": (master(*sent(1)), replica(*sent(0))),
    "own data": (master(*sent(0)), replica(*sent(0), written=5)),
    "not marked": (master(own(0)), replica(*sent(0), own(1))),
    "savecount": (master(*sent(0), savecount="x"), replica(*sent(0))),
    "both mirrored": (master(*sent(0), properties=MIRRORED), replica(*sent(0))),
}
OF_MODULES = re.compile(
    r"zrep_(pair|sync|info|failover|snapshot)|\b(role|state|force|diverged|adopt|filesystem|check_peer|local_only)=|src_host"
)


@pytest.mark.parametrize("what", BENT)
def test_what_mends_is_said_in_words_of_the_command(what):
    here, there = BENT[what]
    found = told(here, there, asked=True)["problems"]
    assert found
    for one in (findings.in_words_of_command(item) for item in found):
        assert not OF_MODULES.search(one["hint"] + one["message"]), one
        assert not one["hint"].startswith("-"), one


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (86399, "23 h 59 min"),
        (86400, "1 d"),
        (100 * 86400 + 7200, "100 d 2 h"),
    ],
)
def test_spans_of_time(seconds, shown):
    assert findings.span(seconds) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1000 * 1024, "1.0 MiB"),
        (5 * 1024**4, "5.0 TiB"),
        (10**22, "8673.6 EiB"),
    ],
)
def test_sizes(number, shown):
    assert findings.size(number) == shown
