# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.zfsops.zrep.plugins.module_utils._core.locks import file_name as lock_file

DOCUMENTATION = r"""
name: trust
short_description: Whom a host of the declared pairs connects to, and whom it lets in for what
version_added: 0.1.0
author:
  - zfsops.zrep authors (@zfsops)
description:
  - Tells for one host which other hosts it connects to, and what each host that connects to it may ask for. The role
    C(trust) is made of that.
  - Both hosts of a pair connect to each other, unless it is declared with C(direction) V(pull). Then only the host that
    is declared as the replica connects.
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
  grants:
    description: What other hosts may do with the filesystems of this one.
    type: list
    elements: str
    default: [receive, send, move]
  mountpoints:
    description: By the name of a pair, where its filesystem may be mounted by order of the other host.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show whom this host connects to
  ansible.builtin.debug:
    msg: "{{ (zrep_pairs | zfsops.zrep.trust(inventory_hostname)).reaches | map(attribute='host') }}"
"""

RETURN = r"""
_value:
  description:
    - C(reaches) lists the hosts that this one connects to, each with C(host), C(label) for names of files, and
      C(addresses), by which the pairs know it.
    - C(admits) lists the hosts that connect to this one, each with C(host), C(label), and C(pairs), which is what the
      gate's configuration says of the pairs with that host.
    - C(peers) names all of them, C(filesystems) the filesystems of this host, and C(locks) the files that whoever works
      on them locks.
  type: dict
"""

DEFAULT_GRANTS = ("receive", "send", "move")


def trust(
    pairs: t.Any,
    host: str,
    grants: t.Sequence[str] = DEFAULT_GRANTS,
    mountpoints: t.Mapping[str, t.Sequence[str]] | None = None,
) -> dict[str, t.Any]:
    """Whom a host connects to, and whom it lets in for what."""
    reaches: dict[str, list[str]] = {}
    admits: dict[str, list[dict[str, t.Any]]] = {}
    filesystems: list[str] = []
    locks: list[str] = []
    try:
        for pair in pairs:
            for own, other in (("master", "replica"), ("replica", "master")):
                side, peer = pair[own], pair[other]
                if side["host"] != host:
                    continue
                filesystems.append(side["filesystem"])
                locks.append(lock_file(pair.get("tag", "zrep"), side["filesystem"]))
                pulled = pair.get("direction") == "pull"
                if not (pulled and own == "master"):
                    reaches.setdefault(peer["host"], []).extend(filter(None, [peer.get("address")]))
                if not (pulled and own == "replica"):
                    places = (mountpoints or {}).get(pair["name"], ())
                    admits.setdefault(peer["host"], []).append(_rules(pair, side, peer, grants, places))
    except (TypeError, KeyError, AttributeError) as error:
        raise AnsibleFilterError(f"trust expects pairs as zrep_pairs declares them: {error!r}") from error
    return {
        "reaches": [
            {"host": name, "label": label(name), "addresses": list(dict.fromkeys(addresses))}
            for name, addresses in sorted(reaches.items())
        ],
        "admits": [{"host": name, "label": label(name), "pairs": found} for name, found in sorted(admits.items())],
        "peers": [{"host": name, "label": label(name)} for name in sorted({*reaches, *admits})],
        "filesystems": list(dict.fromkeys(filesystems)),
        "locks": list(dict.fromkeys(locks)),
    }


def label(host: str) -> str:
    """A name for files of a host."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", host)


def _rules(
    pair: t.Mapping[str, t.Any],
    side: t.Mapping[str, t.Any],
    peer: t.Mapping[str, t.Any],
    grants: t.Sequence[str],
    places: t.Sequence[str],
) -> dict[str, t.Any]:
    properties = {**(pair.get("create_properties") or {}), **(pair.get("replica_properties") or {})}
    return {
        "filesystem": side["filesystem"],
        "peer_filesystem": peer["filesystem"],
        "tag": pair.get("tag", "zrep"),
        "grants": sorted(grants),
        "recursive": bool(pair.get("recursive")),
        "properties": sorted(f"{name}={value}" for name, value in properties.items()),
        "mountpoints": sorted(places),
    }


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"trust": trust}
