# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
import typing as t

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: monitored_sides
short_description: What a host has to watch over
version_added: 0.1.0
author:
  - zfsops.zrep authors (@zfsops)
description:
  - Picks one host's sides out of C(zrep_pairs), with what is needed to watch over each.
  - Refuses names that could mean something else to the programs that read them.
positional: _input
options:
  _input:
    description: The pairs as C(zrep_pairs) declares them.
    type: list
    elements: dict
    required: true
  host:
    description: The name of the host in the inventory.
    type: str
    required: true
  max_lag:
    description: Seconds since the last sync that are tolerated where a pair does not say, 0 for any number.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Show them
  ansible.builtin.debug:
    msg: "{{ zrep_pairs | zfsops.zrep.monitored_sides(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description:
    - One entry for each side, with the keys C(name), C(tag), C(filesystem), C(max_lag), which is 0 for any, and
      C(reaches), which says whether this host may connect to the other side.
  type: list
  elements: dict
"""

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")
_DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/ -]*\Z")


def monitored_sides(pairs: t.Any, host: str, max_lag: int = 0) -> list[dict[str, t.Any]]:
    """A host's sides of the declared pairs."""
    found = []
    try:
        for pair in pairs:
            tag = _checked(pair.get("tag") or "zrep", _TAG, "tag")
            lag = pair.get("max_lag")
            for name in ("master", "replica"):
                # What is wrong about one side is told by both hosts, so that nothing is done on either.
                filesystem = _checked(pair[name]["filesystem"], _DATASET, "filesystem")
                if pair[name]["host"] == host:
                    found.append(
                        {
                            "name": str(pair["name"]),
                            "tag": tag,
                            "filesystem": filesystem,
                            "max_lag": int(max_lag if lag is None else lag),
                            "reaches": name == "replica" or pair.get("direction") != "pull",
                        }
                    )
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise AnsibleFilterError(f"monitored_sides expects pairs as zrep_pairs declares them: {error!r}") from error
    return found


def _checked(value: t.Any, pattern: re.Pattern[str], what: str) -> str:
    if not isinstance(value, str) or not pattern.match(value):
        raise AnsibleFilterError(f"the {what} {str(value)[:80]!r} of a pair in zrep_pairs cannot be used")
    return value


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"monitored_sides": monitored_sides}
