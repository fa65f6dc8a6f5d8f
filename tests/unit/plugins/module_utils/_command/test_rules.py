# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alert rules and the dashboard of the role monitor ask for nothing but what is there to be asked for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.zfsops.zrep.plugins.module_utils._command import prometheus

from .._core.builders import NOW, master, replica, sent
from .facts import told

ROLE = (
    next(found for found in Path(__file__).resolve().parents if (found / "galaxy.yml").exists()) / "roles" / "monitor"
)
RULES = yaml.safe_load((ROLE / "files" / "zrep.rules.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
DASHBOARD = json.loads((ROLE / "files" / "zrep.dashboard.json").read_text(encoding="utf-8"))
EXPRESSIONS = [
    *((rule["alert"], rule["expr"]) for rule in RULES),
    *((panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]),
    *(("variable", one["query"]) for one in DASHBOARD["templating"]["list"] if one["type"] == "query"),
]


def known():
    """Each metric with its labels: what the command can say, and what the role declares."""
    drill = {"zrep:drill": "1650000000 passed 5 zrep_000000"}
    run = {"role": "master", "time": NOW, "ok": True, "seconds": 1.0, "size": 1}
    pair = told(master(*sent(0), properties=drill), replica(*sent(0)), asked=True, lag_seconds=1, run=run)
    found = {
        family.name: set(labels)
        for family in prometheus.families([pair], "zrep", NOW)
        for labels, _value in family.samples
    }
    declared = (ROLE / "templates" / "zrep-declared.prom.j2").read_text(encoding="utf-8")
    found.update((name, {"filesystem", "tag", "name"}) for name in re.findall(r"# TYPE (\w+) gauge", declared))
    return found


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_every_metric_exists(title, expression):
    names = re.findall(r"\bzrep_\w+", expression)
    assert names
    assert set(names) <= set(known())


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_every_label_exists(title, expression):
    labels = {"instance"}.union(*known().values())
    grouped = re.findall(r"\b(?:by|on|group_left)\s*\(([^)]*)\)", expression)
    picked = re.findall(r"[{,]\s*(\w+)\s*=~?", expression)
    assert {word.strip() for words in grouped for word in words.split(",")} | set(picked) <= labels


@pytest.mark.parametrize(("title", "expression"), [found for found in EXPRESSIONS if found[0] != "variable"])
def test_prometheus_would_understand_it(title, expression):
    parser = pytest.importorskip("promql_parser")
    parser.parse(re.sub(r"\$__\w+|\$\{\w+(:\w+)?\}", "5m", expression))


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_brackets_match(title, expression):
    bare = re.sub(r'"[^"]*"', "", expression)
    for opening, closing in ("()", "{}", "[]"):
        assert bare.count(opening) == bare.count(closing)


def test_what_people_are_told():
    for rule in RULES:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "description"}
        labels = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        aggregated = re.match(r"\(?\s*(?:max|sum|count|time\(\) - max) by \(([^)]*)\)", rule["expr"])
        if aggregated:
            assert labels <= {word.strip() for word in aggregated.group(1).split(",")}
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_panels_do_not_overlap():
    taken = [
        (x, y)
        for at in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _y in taken) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
