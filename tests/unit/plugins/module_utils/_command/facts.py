# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs as run_info tells them."""

from __future__ import annotations

from ansible_collections.zfsops.zrep.plugins.module_utils._core import report
from ansible_collections.zfsops.zrep.plugins.module_utils._core.health import problems

from .._core.builders import NOW, observed


def told(here, there=None, asked=False, reachable=True, **more):
    """What zrep_info returns of a pair, with its real facts and problems."""
    seen = observed(here, there, asked=asked and reachable)
    found = dict(report.pair_facts(seen, NOW), busy=False)
    if asked:
        found.update(peer_reachable=reachable)
    found["problems"] = [problem.facts() for problem in problems(seen, NOW)]
    found.update(more)
    return found


def problem(severity="error", code="lag", message="pool1/data is bent", hint="straighten it", host="hosta"):
    return {"code": code, "severity": severity, "host": host, "message": message, "hint": hint}
