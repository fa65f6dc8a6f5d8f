# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.zfsops.zrep.plugins.plugin_utils.amounts import span, volume

DOCUMENTATION = r"""
name: status_table
short_description: A table of replicated pairs for people
version_added: 0.1.0
author:
  - zfsops.zrep authors (@zfsops)
description:
  - Turns what M(zfsops.zrep.zrep_info) returned on several hosts into the lines of a table, one line for each pair,
    followed by what is wrong and what mends it.
  - A pair that two hosts tell about is told once, from the side of its master. What the replica found out is told with
    it where the master did not ask its peer.
positional: _input
options:
  _input:
    description: The pairs that M(zfsops.zrep.zrep_info) returned on all hosts, in one list.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the pairs of this host
  ansible.builtin.debug:
    msg: "{{ zrep.pairs | zfsops.zrep.status_table }}"
"""

RETURN = r"""
_value:
  description: The lines of the table.
  type: list
  elements: str
"""

HEADINGS = ("MASTER", "REPLICA", "TAG", "LAST SYNC", "LAG", "UNSENT", "STATE")


def status_table(pairs: t.Any) -> list[str]:
    """The lines of a table of pairs."""
    if not isinstance(pairs, (list, tuple)) or not all(isinstance(pair, dict) for pair in pairs):
        raise AnsibleFilterError("status_table expects a list of pairs as zfsops.zrep.zrep_info returns them")
    told = _once(pairs)
    if not told:
        return ["no pairs"]
    rows = [HEADINGS] + [_row(pair) for pair in told]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    for pair in told:
        for problem in pair.get("problems") or ():
            lines.append("! {}".format(problem["message"]))
            if problem.get("hint"):
                lines.append("    to mend it: {}".format(problem["hint"]))
    return lines


def _once(pairs: t.Sequence[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Each pair once: what the master says, or the replica where no master does."""
    masters = [pair for pair in pairs if pair.get("role") == "master"]
    found: dict[t.Any, list[tuple[dict[str, t.Any], list[dict[str, t.Any]]]]] = {}
    for master in masters:
        key = (master["peer_filesystem"], master["filesystem"], master["tag"])
        found.setdefault(key, []).append((master, []))
    hosts = [pair["host"] for pair in pairs if pair.get("host")]
    others = []
    for pair in pairs:
        if pair.get("role") != "master":
            key = (pair["filesystem"], pair.get("peer_filesystem"), pair["tag"])
            _covered(pair, found.get(key, []), hosts, others).append(pair)
    joined = [_joined(master, covered) for same_names in found.values() for master, covered in same_names]
    return sorted(joined + others, key=lambda pair: (str(pair.get("host")), str(pair["filesystem"]), str(pair["tag"])))


def _covered(
    replica: dict[str, t.Any],
    masters: list[tuple[dict[str, t.Any], list[dict[str, t.Any]]]],
    hosts: list[str],
    others: list[dict[str, t.Any]],
) -> list[dict[str, t.Any]]:
    """Where a replica belongs: with its master, out of those with the right filesystems, or with the others.

    Hosts may have recorded each other by names that they do not call themselves, but never both by the same, nor by
    that of a third one.
    """
    possible = []
    for master, covered in masters:
        named = ((master.get("peer_host"), replica.get("host")), (replica.get("peer_host"), master.get("host")))
        if any(_same_host(name, host) for name, host in named):
            return covered
        names = [name for name, _itself in named]
        if not (_same_host(*names) or any(_same_host(name, host) for name in names for host in hosts)):
            possible.append(covered)
    return possible[0] if len(possible) == 1 else others


def _same_host(name: t.Any, host: t.Any) -> bool:
    """Whether two names may be of one host, of which one may be without a domain."""
    if not name or not host:
        return False
    name, host = str(name).rpartition("@")[2].lower(), str(host).lower()
    return name == host or name.startswith(f"{host}.") or host.startswith(f"{name}.")


def _joined(master: dict[str, t.Any], others: t.Sequence[dict[str, t.Any]]) -> dict[str, t.Any]:
    """What a master says, with what its replicas found out that it did not look for."""
    if "peer_reachable" in master:
        return master
    problems = list(master.get("problems") or ())
    for other in others:
        known = [problem["code"] for problem in problems]
        problems += [problem for problem in other.get("problems") or () if problem["code"] not in known]
    return dict(master, problems=problems)


def _row(pair: dict[str, t.Any]) -> tuple[str, ...]:
    # Of a filesystem that does not exist nothing is known but its name.
    this = "{}:{}".format(pair.get("host") or "?", pair["filesystem"])
    other = "{}:{}".format(pair.get("peer_host") or "?", pair.get("peer_filesystem") or "?")
    master, replica = (this, other) if pair.get("role") == "master" else (other, this)
    codes = [problem["code"] for problem in pair.get("problems") or ()]
    return (
        master,
        replica,
        str(pair["tag"]),
        pair.get("last_sync_iso") or "never",
        span(pair.get("lag_seconds")),
        volume(pair.get("unsent_bytes")),
        ", ".join(dict.fromkeys(codes)) or "ok",
    )


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"status_table": status_table}
