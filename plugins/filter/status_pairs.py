# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.zfsops.zrep.plugins.plugin_utils.amounts import span, volume

DOCUMENTATION = r"""
name: status_pairs
short_description: How all declared pairs stand, for a page about them
version_added: 0.1.0
author:
  - zfsops.zrep authors (@zfsops)
description:
  - Joins the pairs that C(zrep_pairs) declares with what M(zfsops.zrep.zrep_info) returned of them on several hosts.
  - A pair is told of whether or not its hosts answered.
positional: _input
options:
  _input:
    description: The pairs as C(zrep_pairs) declares them.
    type: list
    elements: dict
    required: true
  found:
    description: By name of the host in the inventory, the pairs that M(zfsops.zrep.zrep_info) returned there. Hosts
      that did not answer are not in it.
    type: dict
    required: true
  max_lag:
    description: Seconds since the last sync that are tolerated where a pair does not say.
    type: int
"""

EXAMPLES = r"""
- name: Show them
  ansible.builtin.debug:
    msg: "{{ zrep_pairs | zfsops.zrep.status_pairs({'host1': zrep.pairs}) }}"
"""

RETURN = r"""
_value:
  description:
    - C(time) and C(time_iso), when this was put together, C(counts) by state, and C(pairs), in the order in which
      they are declared, each with C(name), C(tag), C(master), C(replica), C(state), which is V(ok), V(warning),
      V(error) or V(unknown), C(lag), C(max_lag) in seconds, C(problems), and what people read.
  type: dict
"""

STATES = ("error", "warning", "unknown", "ok")


def status_pairs(pairs: t.Any, found: t.Any, max_lag: int | None = None) -> dict[str, t.Any]:
    """How all declared pairs stand."""
    try:
        told = [_pair(pair, found, pair.get("max_lag", max_lag)) for pair in pairs]
    except (TypeError, KeyError, AttributeError) as error:
        raise AnsibleFilterError(
            f"status_pairs expects pairs as zrep_pairs declares them and what zrep_info returned: {error!r}"
        ) from error
    now = int(time.time())
    return {
        "time": now,
        "time_iso": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now)),
        "counts": {state: sum(pair["state"] == state for pair in told) for state in STATES},
        "pairs": told,
    }


def _pair(pair: t.Any, found: t.Any, limit: int | None) -> dict[str, t.Any]:
    tag = pair.get("tag") or "zrep"
    sides = []
    problems: list[dict[str, t.Any]] = []
    for name in ("master", "replica"):
        host, filesystem = pair[name]["host"], pair[name]["filesystem"]
        answer = found.get(host)
        facts = next((one for one in answer or () if (one["filesystem"], one["tag"]) == (filesystem, tag)), None)
        if answer is None:
            problems.append({"severity": "warning", "message": f"{host} did not answer", "hint": ""})
        sides.append({"name": f"{host}:{filesystem}", "facts": facts or {}})
        known = [problem["message"] for problem in problems]
        problems += [one for one in (facts or {}).get("problems") or () if one["message"] not in known]
    seen = [side["facts"] for side in sides if side["facts"]]
    if seen and not problems and all(facts.get("role") == "none" for facts in seen):
        problems.append(
            {"severity": "error", "message": "it is declared, but no pair", "hint": "run the playbook pair"}
        )
    roles = [side["facts"].get("role") for side in sides]
    swapped = roles[1] == "master" and roles[0] != "master"
    master, replica = reversed(sides) if swapped else sides
    # Either side records the last sync; the master also knows what came since.
    best = next((side["facts"] for side in (master, replica) if side["facts"].get("last_sync") is not None), {})
    drill = max(
        (facts["drill"] for facts in seen if facts.get("drill")), key=lambda drill: drill.get("time") or 0, default=None
    )
    return {
        "name": str(pair["name"]),
        "tag": tag,
        "master": master["name"],
        "replica": replica["name"],
        "swapped": swapped,
        "state": _state(seen, problems),
        "last_sync_iso": best.get("last_sync_iso"),
        "lag": best.get("lag_seconds"),
        "lag_text": span(best.get("lag_seconds")),
        "max_lag": limit,
        "max_lag_text": span(limit),
        "unsent_text": volume(master["facts"].get("unsent_bytes")),
        "drill_text": "never" if drill is None else "{}, {}".format(drill.get("result"), drill.get("time_iso")),
        "problems": problems,
    }


def _state(seen: t.Sequence[t.Any], problems: t.Sequence[t.Any]) -> str:
    severities = [problem["severity"] for problem in problems]
    if "error" in severities:
        return "error"
    if not seen:
        return "unknown"
    return "warning" if severities else "ok"


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"status_pairs": status_pairs}
