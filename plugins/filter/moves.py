# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: moves
short_description: Which host has to do what to move the masters of the declared pairs
version_added: 0.1.0
author:
  - zfsops.zrep authors (@zfsops)
description:
  - Plans what the playbooks C(failover), C(takeover), C(failback) and C(drill) do, from what is declared and what was
    seen.
positional: _input, seen
options:
  _input:
    description: The pairs as C(zrep_pairs) declares them.
    type: list
    elements: dict
    required: true
  seen:
    description: The pairs that M(zfsops.zrep.zrep_info) returned, by the name of the host in the inventory.
    type: dict
    required: true
  kind:
    description: What is to be done.
    type: str
    choices: [failover, takeover, failback, drill]
    required: true
  to:
    description:
      - The host that is to be the master, or with V(failback) to stay it; or such hosts by the names of their pairs.
    type: raw
  hosts:
    description: The hosts of the play.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Show what a planned move of all pairs would do
  ansible.builtin.debug:
    msg: "{{ zrep_pairs | zfsops.zrep.moves({'host1': host1.pairs, 'host2': host2.pairs}, kind='failover') }}"
"""

RETURN = r"""
_value:
  description:
    - For each pair its C(name) and C(tag), whether anything is C(needed), and what stands against it as C(refused).
    - C(old) and C(new) are the master before and after, with C(host) and C(filesystem). C(call) is the side whose
      C(role) is to be changed, and says whether with C(force). C(sync) is the side that brings the replica up to date
      afterwards, and in which C(direction). C(hooks) are the sides whose hooks run, with their
      roles C(before) and C(after). C(deed) says it for people.
    - With V(drill) there are C(host) and C(filesystem) of the replica instead.
    - C(before), C(after), C(drill_check), C(compress), C(buffer) and C(rate_limit) as the pair declares them.
  type: list
  elements: dict
"""

DECLARED = ("before", "after", "drill_check")
STREAMS = ("compress", "buffer", "rate_limit")
MASTER = "master"
REPLICA = "replica"
DRILL = "drill"


class Side(t.NamedTuple):
    """One side of a declared pair, with what was seen of it.

    :param role: None if its host was not looked at.
    :param promoted: when it was made the master, as far as that is known.
    """

    host: str
    filesystem: str
    role: str | None
    promoted: int

    @property
    def facts(self) -> dict[str, str]:
        return {"host": self.host, "filesystem": self.filesystem}

    def __str__(self) -> str:
        return f"{self.host}:{self.filesystem}"


Sides = t.Tuple[Side, Side]
"""The sides as they were declared, the master first."""


class Refusal(Exception):
    """Why nothing is done about a pair.

    :param known: what was found out nevertheless.
    """

    def __init__(self, why: str, known: dict[str, t.Any] | None = None) -> None:
        super().__init__(why)
        self.known = known or {}


def moves(
    pairs: t.Any, seen: t.Any, kind: str, to: t.Any = None, hosts: t.Sequence[str] | None = None
) -> list[dict[str, t.Any]]:
    """What has to be done about each of the declared pairs."""
    if kind not in PLANNERS:
        raise AnsibleFilterError("moves expects kind to be one of {}".format(", ".join(PLANNERS)))
    try:
        return _one_master_each([_move(pair, seen, kind, to, hosts) for pair in pairs])
    except (TypeError, KeyError, AttributeError) as error:
        raise AnsibleFilterError(f"moves expects pairs as zrep_pairs declares them: {error!r}") from error


def _move(pair: t.Any, seen: t.Any, kind: str, to: t.Any, hosts: t.Sequence[str] | None) -> dict[str, t.Any]:
    declared = (_side(pair, MASTER, seen), _side(pair, REPLICA, seen))
    wanted = (to.get(pair["name"]) if isinstance(to, dict) else to) or None
    found: dict[str, t.Any] = {"name": pair["name"], "tag": pair.get("tag", "zrep"), "needed": False, "refused": ""}
    found.update((key, pair.get(key)) for key in (*DECLARED, *STREAMS))
    try:
        found.update(PLANNERS[kind](declared, wanted, hosts))
        if kind != DRILL:
            found["sync"] = dict(found["new"], direction="push")
        if kind in PLANNED and pair.get("direction") == "pull":
            found.update(_by_worker(found, declared[1]))
        found["deed"] = _deed(found, kind)
    except Refusal as error:
        found.update(error.known, refused="{}: {}".format(pair["name"], error))
    return found


def _one_master_each(found: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Refuse to make several destinations of one filesystem its master, each under its own tag."""
    for move in found:
        rivals = [
            other["name"]
            for other in found
            if other is not move
            and all(one["needed"] and one["call"]["role"] == MASTER for one in (move, other) if "call" in one)
            and "call" in other
            and "call" in move
            and other["old"] == move["old"]
            and other["new"] != move["new"]
        ]
        if rivals and not move["refused"]:
            move["refused"] = (
                "{}: {host}:{filesystem} would get several masters, another one with {}; choose with zrep_pair_names "
                "or zrep_to".format(move["name"], ", ".join(rivals), **move["old"])
            )
    return found


def _deed(found: dict[str, t.Any], kind: str) -> str:
    """What would be done, for whoever has to agree."""
    places = {key: "{host}:{filesystem}".format(**found[key]) for key in ("old", "new") if key in found}
    return DEEDS[kind].format(name=found["name"], **places)


def _side(pair: t.Any, name: str, seen: t.Any) -> Side:
    host, filesystem = pair[name]["host"], pair[name]["filesystem"]
    for facts in seen.get(host) or ():
        if facts["filesystem"] == filesystem and facts["tag"] == pair.get("tag", "zrep"):
            return Side(host, filesystem, facts["role"], facts.get("promoted") or 0)
    return Side(host, filesystem, None, 0)


def _failover(declared: Sides, to: str | None, *_dummy: t.Any) -> dict[str, t.Any]:
    """The replica becomes the master, or the named host does; both hosts have to be there."""
    _check_both(declared, "; if it is dead, the playbook takeover does without it")
    masters = [side for side in declared if side.role == MASTER]
    if len(masters) == len(declared):
        raise Refusal("both {} and {} say that they are the master; the playbook failback ends that".format(*declared))
    if to is None and not masters:
        raise Refusal("neither {} nor {} is the master; say with zrep_to which is to be".format(*declared))
    new = _named(declared, to) if to else _other(declared, masters[0])
    ordered = sorted(declared, key=lambda side: side.role != MASTER)
    return _facts(declared, new, new, [_hook(side, MASTER if side == new else REPLICA) for side in ordered])


def _takeover(declared: Sides, to: str | None, hosts: t.Sequence[str] | None) -> dict[str, t.Any]:
    """The side that survived becomes the master; the other one is never spoken to."""
    there = [side for side in declared if hosts is None or side.host in hosts]
    new = _named(declared, to) if to else there[0] if len(there) == 1 else declared[1]
    found = _facts(declared, new, new, [_hook(new, MASTER)], force=True)
    try:
        _check_seen(new)
    except Refusal as error:
        hint = "" if to or new.role else "; zrep_to names the host that survived, if it is the other one"
        raise Refusal(f"{error}{hint}", found) from None
    return found


def _failback(declared: Sides, to: str | None, *_dummy: t.Any) -> dict[str, t.Any]:
    """The old master returns as a replica; of two masters the one that was made so later stays."""
    _check_both(declared)
    masters = [side for side in declared if side.role == MASTER]
    if not masters:
        raise Refusal("neither {} nor {} is the master; the playbook failover with zrep_to makes one".format(*declared))
    # Where a takeover left no record, the declared replica is the one that took over.
    new = _named(declared, to) if to else max(masters, key=lambda side: (side.promoted, side == declared[1]))
    if new.role != MASTER:
        raise Refusal(f"{new} is not the master, so nothing can follow it; the playbook failover makes it the master")
    old = _other(declared, new)
    return _facts(declared, new, old, [_hook(old, REPLICA)])


def _drill(declared: Sides, *_dummy: t.Any) -> dict[str, t.Any]:
    """The replica is drilled, wherever it is now."""
    for side in reversed(declared):
        if side.role == REPLICA:
            return dict(side.facts, needed=True)
    seen = " and ".join("{} is {}".format(side, side.role or "not within reach") for side in declared)
    raise Refusal(f"there is no replica to drill: {seen}")


PLANNERS: dict[str, t.Callable[..., dict[str, t.Any]]] = {
    "failover": _failover,
    "takeover": _takeover,
    "failback": _failback,
    DRILL: _drill,
}
PLANNED = ("failover", "failback")
"""What both hosts take part in."""


DEEDS = {
    "failover": "{name}: the master moves from {old} to {new}",
    "takeover": "{name}: {new} becomes the master; {old} is not contacted, and what only it has is missing then",
    "failback": "{name}: {old} becomes the replica of {new}",
    "drill": "{name}: a clone of the replica is tried",
}


def _facts(declared: Sides, new: Side, caller: Side, hooks: list[dict[str, t.Any]], **more: bool) -> dict[str, t.Any]:
    """:param new: who is the master afterwards.
    :param caller: on whose host the role is changed.
    """
    role = MASTER if caller == new else REPLICA
    return {
        "old": _other(declared, new).facts,
        "new": new.facts,
        "call": dict(caller.facts, role=role, force=more.get("force", False)),
        "needed": caller.role != role,
        "hooks": hooks,
    }


def _by_worker(found: dict[str, t.Any], worker: Side) -> dict[str, t.Any]:
    """The same where one host alone may connect to the other one, and so does all the work."""
    role = MASTER if found["new"] == worker.facts else REPLICA
    return {
        "call": dict(found["call"], **worker.facts, role=role),
        "sync": dict(worker.facts, direction="push" if role == MASTER else "pull"),
    }


def _hook(side: Side, after: str) -> dict[str, t.Any]:
    return dict(side.facts, before=side.role, after=after)


def _check_both(declared: Sides, more: str = "") -> None:
    for side in declared:
        try:
            _check_seen(side)
        except Refusal as error:
            raise Refusal(f"{error}{more if side.role is None else ''}") from None


def _check_seen(side: Side) -> None:
    if side.role is None:
        raise Refusal(f"{side.host} is needed and could not be looked at (not reachable, or left out with --limit)")
    if side.role not in (MASTER, REPLICA):
        raise Refusal(f"{side} belongs to no pair; the playbook pair makes it")


def _named(declared: Sides, host: str) -> Side:
    for side in declared:
        if side.host == host:
            return side
    raise Refusal("{} is neither {} nor {}".format(host, *(side.host for side in declared)))


def _other(declared: Sides, side: Side) -> Side:
    return declared[1] if side == declared[0] else declared[0]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"moves": moves}
