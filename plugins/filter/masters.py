# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: masters
short_description: Which filesystems of the declared pairs a host has to push, and how
version_added: 0.1.0
author:
  - zfsops.zrep authors (@zfsops)
description:
  - Picks out of C(zrep_pairs) the sides of a host that are the master now, in groups that one call of
    M(zfsops.zrep.zrep_sync) can handle.
positional: _input, host, seen
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
- name: Push what this host is master of
  zfsops.zrep.zrep_sync:
    filesystem: "{{ item.filesystems }}"
    tag: "{{ item.tag }}"
    rate_limit: "{{ item.rate_limit | default(omit, true) }}"
  loop: "{{ zrep_pairs | zfsops.zrep.masters(inventory_hostname, info.pairs) }}"
"""

RETURN = r"""
_value:
  description: Groups with the keys C(tag), C(compress), C(buffer), C(rate_limit) and C(filesystems).
  type: list
  elements: dict
"""

STREAMS = ("compress", "buffer", "rate_limit")


def masters(pairs: t.Any, host: str, seen: t.Any) -> list[dict[str, t.Any]]:
    """The filesystems that a host is to push, grouped by tag and by how streams are to go."""
    groups: dict[tuple[t.Any, ...], list[str]] = {}
    try:
        roles = {(facts["filesystem"], facts["tag"]): facts["role"] for facts in seen}
        for pair in pairs:
            tag = pair.get("tag", "zrep")
            for side in (pair["master"], pair["replica"]):
                if side["host"] == host and roles.get((side["filesystem"], tag)) == "master":
                    key = (tag, *(pair.get(name) for name in STREAMS))
                    groups.setdefault(key, []).append(side["filesystem"])
    except (TypeError, KeyError, AttributeError) as error:
        raise AnsibleFilterError(f"masters expects pairs as zrep_pairs declares them: {error!r}") from error
    return [dict(zip(("tag", *STREAMS), key), filesystems=list(dict.fromkeys(names))) for key, names in groups.items()]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"masters": masters}
