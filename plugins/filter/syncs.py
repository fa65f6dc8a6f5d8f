# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: syncs
short_description: Which filesystems a host has to push or pull for the declared pairs
version_added: 0.1.0
author:
  - zfsops.zrep authors (@zfsops)
description:
  - Finds out of C(zrep_pairs), and of the roles as they are now, what one host has to do so that all replicas are up to
    date, in groups that one call of M(zfsops.zrep.zrep_sync) can handle.
  - The master of a pair pushes. Of a pair that is declared with C(direction) V(pull), the host that is declared as the
    replica does all the work. It pulls, or pushes if it is the master by now.
positional: _input, host
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
  seen:
    description: The pairs that M(zfsops.zrep.zrep_info) returned on that host.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Do what this host has to do
  zfsops.zrep.zrep_sync:
    filesystem: "{{ item.filesystems }}"
    tag: "{{ item.tag }}"
    direction: "{{ item.direction }}"
    rate_limit: "{{ item.rate_limit | default(omit, true) }}"
  loop: "{{ zrep_pairs | zfsops.zrep.syncs(inventory_hostname, zrep.pairs) }}"
"""

RETURN = r"""
_value:
  description: Groups with the keys C(tag), C(direction), C(compress), C(buffer), C(rate_limit) and C(filesystems).
  type: list
  elements: dict
"""

STREAMS = ("compress", "buffer", "rate_limit")
KEYS = ("tag", "direction", *STREAMS)
DIRECTIONS = {"master": "push", "replica": "pull"}


def syncs(pairs: t.Any, host: str, seen: t.Any) -> list[dict[str, t.Any]]:
    """What a host has to sync, grouped by tag, direction and how streams are to go."""
    groups: dict[tuple[t.Any, ...], list[str]] = {}
    try:
        roles = {(facts["filesystem"], facts["tag"]): facts.get("role") for facts in seen}
        for pair in pairs:
            tag, pulls = pair.get("tag", "zrep"), pair.get("direction") == "pull"
            for name in ("master", "replica"):
                side = pair[name]
                direction = DIRECTIONS.get(str(roles.get((side["filesystem"], tag))))
                works = name == "replica" if pulls else direction == "push"
                if side["host"] == host and works and direction:
                    key = (tag, direction, *(pair.get(option) for option in STREAMS))
                    groups.setdefault(key, []).append(side["filesystem"])
    except (TypeError, KeyError, AttributeError) as error:
        raise AnsibleFilterError(f"syncs expects pairs as zrep_pairs declares them: {error!r}") from error
    return [dict(zip(KEYS, key), filesystems=list(dict.fromkeys(names))) for key, names in groups.items()]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"syncs": syncs}
