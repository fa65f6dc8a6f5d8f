# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import typing as t

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: lag_history
short_description: Add a sample of each pair's lag to a history of bounded length
version_added: 0.1.0
author:
  - zfsops.zrep authors (@zfsops)
description:
  - Takes the text of a file of JSON lines, and returns it with one sample more of each pair. What cannot be read is
    left out, and so are pairs that are not told of any more.
positional: _input
options:
  _input:
    description: The text, empty for a new file.
    type: str
    required: true
  status:
    description: What P(zfsops.zrep.status_pairs#filter) returned.
    type: dict
    required: true
  samples:
    description: How many samples of each pair are kept.
    type: int
    default: 500
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ '' | zfsops.zrep.lag_history(zrep_pairs | zfsops.zrep.status_pairs({'host1': zrep.pairs})) }}"
"""

RETURN = r"""
_value:
  description: The lines, oldest first, each an object with C(time), C(pair), and C(lag), which is null where it was
    not known.
  type: str
"""


def lag_history(text: t.Any, status: t.Any, samples: int = 500) -> str:
    """The text of a history with one sample more."""
    if samples < 2:
        raise AnsibleFilterError(f"lag_history keeps 2 samples or more, not {samples}")
    kept = read(text)
    kept += [{"time": status["time"], "pair": pair["name"], "lag": pair["lag"]} for pair in status["pairs"]]
    told = {pair["name"] for pair in status["pairs"]}
    found: list[dict[str, t.Any]] = []
    counts: dict[str, int] = {}
    for sample in reversed(kept):
        name = sample["pair"]
        counts[name] = counts.get(name, 0) + 1
        if name in told and counts[name] <= samples:
            found.append(sample)
    return "".join(json.dumps(sample, sort_keys=True) + "\n" for sample in reversed(found))


def read(text: t.Any) -> list[dict[str, t.Any]]:
    """The samples of a history, as far as they can be read."""
    found = []
    for line in str(text or "").splitlines():
        try:
            sample = json.loads(line)
            lag = sample["lag"]
            found.append(
                {
                    "time": int(sample["time"]),
                    "pair": str(sample["pair"]),
                    "lag": None if lag is None else max(int(lag), 0),
                }
            )
        except (ValueError, TypeError, KeyError, OverflowError):
            continue
    return found


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"lag_history": lag_history}
