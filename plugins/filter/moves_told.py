# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: moves_told
short_description: What became of moves and drills, for people
version_added: 0.1.0
author:
  - zfsops.zrep authors (@zfsops)
description:
  - Turns the variable C(zrep_summary), which the playbooks C(failover), C(takeover), C(failback) and C(drill) set, into
    lines.
positional: _input
options:
  _input:
    description: The entries of C(zrep_summary).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Tell what became of the moves
  ansible.builtin.debug:
    msg: "{{ zrep_summary | zfsops.zrep.moves_told }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

SENTENCES = {
    "moved": "{name}: moved from {old_master} to {new_master}",
    "taken over": "{name}: {new_master} took over from {old_master}",
    "returned": "{name}: {old_master} returned as the replica of {new_master}",
    "unchanged": "{name}: {new_master} is the master already",
    "passed": "{name}: the drill on {replica} with {snapshot} passed",
    "failed": "{name}: FAILED",
    "not tried": "{name}: left alone, because an earlier pair failed",
}


def moves_told(summary: t.Any) -> list[str]:
    """The lines that tell what became of each pair."""
    try:
        return [line for entry in summary for line in _lines(entry)] or ["no pairs"]
    except (TypeError, KeyError, AttributeError) as error:
        raise AnsibleFilterError(f"moves_told expects the entries of zrep_summary: {error!r}") from error


def _lines(entry: dict[str, t.Any]) -> t.Iterator[str]:
    said = SENTENCES[entry["result"]].format(**entry)
    seconds = {what: number for what, number in (entry.get("seconds") or {}).items() if number is not None}
    if seconds:
        parts = ", ".join(f"{what} {number} s" for what, number in seconds.items())
        said += f" in {sum(seconds.values()):.1f} s" + (f" ({parts})" if len(seconds) > 1 else "")
    yield said + (" (check mode: nothing was changed)" if entry.get("check_mode") else "")
    loss = entry.get("loss")
    if loss:
        yield "    ! what was written on {} after {} ({}, {} s before the takeover) is missing".format(
            entry["old_master"], loss["since_iso"], loss["snapshot"], loss["age_seconds"]
        )
    if entry.get("preserved"):
        yield "    what only {} had is in {}".format(entry["old_master"], entry["preserved"])
    for other in entry.get("others") or ():
        yield f"    {_other(other)}"
    for failure in entry.get("failures") or ():
        yield f"    ! {failure}"
    if entry["result"] == "failed" and entry.get("kind"):
        yield f"    {_standing(entry)}"


def _other(found: dict[str, t.Any]) -> str:
    """What another destination of the filesystem has for a master now."""
    where = "{host}:{filesystem}".format(**found) if found["host"] else "a destination that is not known"
    if found["follows"]:
        return "the tag {tag} goes from {master_host} to {}".format(where, **found)
    return "! the tag {tag} still goes from {master_host} to {}; zrep_repoint has it follow".format(where, **found)


def _standing(entry: dict[str, t.Any]) -> str:
    """How things are after what failed."""
    if entry["kind"] == "takeover":
        return "{} did not take over".format(entry["new_master"])
    if entry["kind"] == "failback":
        return "{} did not return, and its services were not started again".format(entry["old_master"])
    if entry["master"] is None:
        return "nobody is known to be the master now; zrep_info on both hosts tells more"
    if entry["master"] == entry["old_master"]:
        return "nothing was moved: {} is still the master".format(entry["master"])
    return "{} is the master now".format(entry["master"])


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"moves_told": moves_told}
