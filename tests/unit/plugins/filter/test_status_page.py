# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands on the status page: how pairs stand, the history of lags, and its plot."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.zfsops.zrep.plugins.filter.lag_history import lag_history
from ansible_collections.zfsops.zrep.plugins.filter.lag_plot import HEIGHT, LEFT, WIDTH, lag_plot
from ansible_collections.zfsops.zrep.plugins.filter.monitored_sides import monitored_sides
from ansible_collections.zfsops.zrep.plugins.filter.status_pairs import status_pairs

PAIR = {
    "name": "prodfs",
    "master": {"host": "a", "filesystem": "p/fs"},
    "replica": {"host": "b", "filesystem": "q/fs"},
    "max_lag": 300,
}


def side(filesystem, role, lag=10, problems=(), **more):
    return {
        "filesystem": filesystem,
        "tag": "zrep",
        "role": role,
        "last_sync": None if lag is None else 1000,
        "last_sync_iso": None if lag is None else "then",
        "lag_seconds": lag,
        "problems": list(problems),
        **more,
    }


def problem(severity, message="bent"):
    return {"severity": severity, "message": message, "hint": ""}


def the(found, pair=None, **more):
    status = status_pairs([pair or PAIR], found, **more)
    (told,) = status["pairs"]
    assert status["counts"][told["state"]] == 1
    return told


def both(master=(), replica=()):
    return {
        "a": [side("p/fs", "master", problems=master, unsent_bytes=2048)],
        "b": [side("q/fs", "replica", 20, replica)],
    }


def test_a_pair_as_declared():
    told = the(both())
    assert (told["master"], told["replica"], told["swapped"]) == ("a:p/fs", "b:q/fs", False)
    assert (told["state"], told["lag"], told["max_lag"], told["unsent_text"]) == ("ok", 10, 300, "2.0 KiB")


def test_after_a_move():
    told = the({"a": [side("p/fs", "replica")], "b": [side("q/fs", "master", 5)]})
    assert (told["master"], told["replica"], told["swapped"], told["lag"]) == ("b:q/fs", "a:p/fs", True, 5)


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (both([problem("warning")]), "warning"),
        (both([problem("warning")], [problem("error", "broken")]), "error"),
        ({"a": both()["a"]}, "warning"),
        ({}, "unknown"),
        ({"a": [], "b": []}, "unknown"),
        ({"a": [side("p/fs", "none", None)], "b": []}, "error"),
    ],
    ids=["warning", "error", "one is away", "both are away", "nothing found", "no pair"],
)
def test_the_state(found, state):
    assert the(found)["state"] == state


def test_what_both_sides_tell_is_told_once():
    assert len(the(both([problem("error")], [problem("error")]))["problems"]) == 1


def test_the_lag_is_known_from_the_replica_where_the_master_is_away():
    told = the({"b": both()["b"]})
    assert told["lag"] == 20
    assert told["problems"][0]["message"] == "a did not answer"


def test_the_limit_of_all():
    assert the(both(), {key: value for key, value in PAIR.items() if key != "max_lag"}, max_lag=60)["max_lag"] == 60


@pytest.mark.parametrize("nonsense", [None, [1], [{"name": "x"}]])
def test_nonsense(nonsense):
    with pytest.raises(AnsibleFilterError):
        status_pairs(nonsense, {})
    with pytest.raises(AnsibleFilterError):
        monitored_sides(nonsense, "a")


def status(time, **lags):
    return {"time": time, "pairs": [{"name": name, "lag": lag} for name, lag in lags.items()]}


def history(*samples):
    return "".join(json.dumps({"time": time, "pair": "x", "lag": lag}) + "\n" for time, lag in samples)


def test_a_history_grows_to_its_length_and_no_more():
    text = ""
    for time in range(5):
        text = lag_history(text, status(time, x=time, y=None), 3)
    samples = [json.loads(line) for line in text.splitlines()]
    assert [(sample["time"], sample["pair"]) for sample in samples] == [
        (time, name) for time in (2, 3, 4) for name in "xy"
    ]


@pytest.mark.parametrize("line", ["", "nonsense", "[]", '{"time": "x"}', '{"time": 1, "pair": "gone", "lag": 1}'])
def test_what_is_no_sample_of_a_pair_is_left_out(line):
    assert len(lag_history(line + "\n", status(9, x=1)).splitlines()) == 1


def test_a_plot():
    root = ElementTree.fromstring(lag_plot(history((0, 10), (60, 20), (120, 400), (180, 5)), "x", 300))
    assert len(root.findall("circle")) == 3
    assert len(root.findall("path[@class='late']")) == 1
    assert len(root.findall("path[@class='limit']")) == 1
    (curve,) = root.findall("path[@class='lag']")
    points = [tuple(map(float, point.split())) for point in re.findall(r"[ML]([\d.]+ [\d.]+)", curve.get("d"))]
    assert points[0][0] == LEFT
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert points[2][1] < points[1][1] < points[3][1]


def test_what_is_not_known_is_a_gap():
    root = ElementTree.fromstring(lag_plot(history((0, 10), (60, None), (120, 10)), "x"))
    assert root.find("path[@class='lag']").get("d").count("M") == 2
    assert root.find("path[@class='limit']") is None


@pytest.mark.parametrize("samples", [[], [(0, None)]])
def test_nothing_to_plot(samples):
    assert "<svg" not in lag_plot(history(*samples), "x")


@pytest.mark.parametrize("lag", [0, 1, 59, 60, 3600, 86400, 10**9])
def test_any_lag_can_be_plotted(lag):
    root = ElementTree.fromstring(lag_plot(history((1700000000, lag)), "x"))
    assert 2 <= len(root.findall("path[@class='grid']")) <= 6


def test_names_are_escaped():
    name = '"><script>&'
    text = history((0, 1)).replace('"x"', json.dumps(name))
    assert "<script" not in lag_plot(text, name)
    ElementTree.fromstring(lag_plot(text, name))


def test_a_host_with_both_sides_and_one_with_none():
    pair = {**PAIR, "direction": "pull", "replica": {"host": "a", "filesystem": "q/fs"}}
    assert [(found["filesystem"], found["reaches"]) for found in monitored_sides([pair], "a")] == [
        ("p/fs", False),
        ("q/fs", True),
    ]
    assert monitored_sides([pair], "c") == []


@pytest.mark.parametrize(
    "more", [{"tag": "a;b"}, {"replica": {"host": "b", "filesystem": "q/`x`"}}, {"max_lag": "soon"}]
)
def test_names_that_could_mean_something_else(more):
    with pytest.raises(AnsibleFilterError):
        monitored_sides([{**PAIR, **more}], "a")
