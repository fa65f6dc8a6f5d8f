# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: sides
short_description: Which filesystems of a host belong to the declared pairs
version_added: 0.1.0
author:
  - zfsops.zrep authors (@zfsops)
description:
  - Picks one host's sides out of C(zrep_pairs), whether it was declared as master or as replica, in groups that one
    call of a module can handle.
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
    description: Seconds since the last sync that are tolerated where a pair does not say.
    type: int
"""

EXAMPLES = r"""
- name: Look at this host's sides of the declared pairs
  zfsops.zrep.zrep_info:
    filesystem: "{{ item.filesystems }}"
    tag: "{{ item.tag }}"
  loop: "{{ zrep_pairs | zfsops.zrep.sides(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description:
    - Groups with the keys C(tag), C(max_lag) and C(filesystems), and C(reaches), which says whether this host may
      connect to the other side. The master of a pair that is declared with C(direction) V(pull) may not.
  type: list
  elements: dict
"""


def sides(pairs: t.Any, host: str, max_lag: int | None = None) -> list[dict[str, t.Any]]:
    """A host's sides of the declared pairs, grouped by tag and tolerated lag."""
    groups: dict[tuple[str, int | None, bool], list[str]] = {}
    try:
        for pair in pairs:
            for name in ("master", "replica"):
                side = pair[name]
                if side["host"] == host:
                    reaches = name == "replica" or pair.get("direction") != "pull"
                    key = (pair.get("tag", "zrep"), pair.get("max_lag", max_lag), reaches)
                    groups.setdefault(key, []).append(side["filesystem"])
    except (TypeError, KeyError, AttributeError) as error:
        raise AnsibleFilterError(f"sides expects pairs as zrep_pairs declares them: {error!r}") from error
    return [
        {"tag": tag, "max_lag": lag, "reaches": reaches, "filesystems": list(dict.fromkeys(names))}
        for (tag, lag, reaches), names in groups.items()
    ]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"sides": sides}
