# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts about a pair, each with its reason and what mends it. Pure."""

from __future__ import annotations

import typing as t

from .diverging import Changes, Divergence, Listing
from .errors import BadProperty, ZrepError
from .model import Observed, Side, newest_common
from .report import iso
from .roles import check_replica, master_lost
from .syncing import check_below, find_base
from .trees import arrived, match, parts

ERROR = "error"
WARNING = "warning"


class Problem(t.NamedTuple):
    """Something that is wrong with a pair.

    :param code: a word for programs.
    :param severity: ``error`` if replication does not work or data is at stake, ``warning`` otherwise.
    """

    code: str
    severity: str
    host: str
    message: str
    hint: str

    def facts(self) -> dict[str, str]:
        return dict(self._asdict())


def from_error(error: ZrepError, host: str = "") -> Problem:
    """An error of some check as a problem."""
    where = ":".join(part for part in (error.host, error.dataset) if part)
    text = f"{where} {error.message}" if where else error.message
    return Problem(error.code, ERROR, error.host or host, text, error.hint)


def problems(
    seen: Observed,
    now: int,
    max_lag: int | None = None,
    unreachable: ZrepError | None = None,
    divergence: Divergence | None = None,
) -> list[Problem]:
    """Everything that is wrong with a pair, as far as what was observed can tell.

    :param max_lag: seconds since the last sync that are tolerated.
    :param unreachable: why the peer could not be asked, if it should have been.
    :param divergence: what was found out about two sides that went apart.
    """
    here = seen.side_here
    if here is None:
        return [Problem("not_found", ERROR, seen.identity, f"{seen.filesystem} does not exist", "")]
    if not here.registered:
        return [
            Problem(
                "not_paired",
                ERROR,
                seen.identity,
                f"{seen.filesystem} is not registered under the tag {seen.tag!r}",
                "create the pair with zrep_pair",
            )
        ]
    found = _nonsense(here)
    if not found:
        found += _this_side(here, now, max_lag)
    if unreachable is not None:
        found.append(from_error(unreachable, seen.peer_host))
    elif seen.asked and not any(problem.code == BadProperty.code for problem in found):
        found += _both_sides(here, seen, divergence)
    return found


def went_apart(seen: Observed) -> bool:
    """Whether it is worth the commands to find out what each side has of its own."""
    here, there = seen.side_here, seen.side_there
    common = newest_common(here, there) if here and there else None
    if here is None or there is None or common is None or not (here.registered and there.registered):
        return False
    if here.is_master and there.is_master:
        return True
    replica, base = (there, common.there) if here.is_master else (here, common.here)
    return any(part.has_own for part in parts(replica, base, here if replica is there else there))


def _nonsense(side: Side) -> list[Problem]:
    found = []
    checks: tuple[t.Callable[[], t.Any], ...] = (
        lambda: side.source,
        lambda: side.destination,
        lambda: side.registered and side.peer,
        lambda: side.savecount,
        side.check_marks,
    )
    for check in checks:
        try:
            check()
        except BadProperty as error:
            found.append(from_error(error))
    return list(dict.fromkeys(found))


def _this_side(here: Side, now: int, max_lag: int | None) -> list[Problem]:
    found: list[Problem] = []
    last = here.last_sent
    if here.is_master:
        if not here.is_source:
            found.append(
                Problem(
                    "wrong_source",
                    ERROR,
                    here.host,
                    f"{here.filesystem} is master but names {here.source} as the source",
                    "if a move of the master ended half way, zrep_failover completes it, or with role=master here "
                    "calls it off; if this host goes by another name, give it as src_host",
                )
            )
        if here.readonly:
            found.append(
                Problem(
                    "master_readonly",
                    WARNING,
                    here.host,
                    f"{here.filesystem} is master but readonly",
                    f"if no move is under way, this makes it writable: zrep_failover filesystem={here.filesystem} "
                    "role=master",
                )
            )
    elif not here.readonly:
        found.append(
            Problem(
                "replica_writable",
                WARNING,
                here.host,
                f"{here.filesystem} is a replica but not readonly",
                f"zfs set readonly=on {here.filesystem}",
            )
        )
    if last is None:
        found.append(
            Problem(
                "never_synced",
                ERROR,
                here.host,
                f"{here.filesystem} was never synced",
                "sync it with zrep_sync on the master",
            )
        )
    elif max_lag is not None and now - (last.sent or 0) > max_lag:
        found.append(
            Problem(
                "lag",
                ERROR,
                here.host,
                f"{here.filesystem} was last synced {now - (last.sent or 0)} seconds ago, {max_lag} are tolerated",
                "look at what the schedule's last run said, or sync now",
            )
        )
    return found


def _both_sides(here: Side, seen: Observed, divergence: Divergence | None) -> list[Problem]:
    there = seen.side_there
    if there is None:
        return [
            Problem(
                "peer_missing",
                ERROR,
                seen.peer_host,
                f"{seen.peer_filesystem} does not exist",
                "zrep_pair here makes it anew" if here.is_master else master_lost(here.filesystem),
            )
        ]
    found = _nonsense(there)
    if found:
        return found
    if here.is_master == there.is_master:
        if here.is_master:
            return [
                _failure(lambda: check_replica(here, seen)),
                *_superseded(here, there),
                *_diverged(here, there, divergence),
            ]
        return [
            Problem(
                "no_master",
                ERROR,
                here.host,
                f"neither {here.host}:{here.filesystem} nor {there.host}:{there.filesystem} is master",
                "zrep_failover role=master makes one",
            )
        ]
    master, replica = (here, there) if here.is_master else (there, here)
    if here.is_master:
        found += _try(lambda: check_replica(here, seen))
        if not there.readonly:
            found.append(
                Problem(
                    "replica_writable",
                    WARNING,
                    there.host,
                    f"{there.filesystem} is a replica but not readonly",
                    f"zrep_pair on the master mends it, or: zfs set readonly=on {there.filesystem}",
                )
            )
    return found + _try(lambda: find_base(master, replica, False)) + _below(master, replica)


def _below(master: Side, replica: Side) -> list[Problem]:
    """What is wrong below the roots of a tree."""
    if master.recursive != replica.recursive:
        tree, other = (master, replica) if master.recursive else (replica, master)
        return [
            Problem(
                "tree_unknown",
                WARNING,
                other.host,
                f"{tree.host}:{tree.filesystem} says that all that is below belongs to the pair, {other.host} does not",
                "zrep_pair on the master has both say the same; give it recursive=true or recursive=false",
            )
        ]
    found = _try(lambda: check_below(master, replica, False))
    common = newest_common(master, replica)
    if found or common is None or arrived(match(master, replica), common):
        return found
    return [
        Problem(
            "tree_incomplete",
            WARNING,
            replica.host,
            f"{replica.filesystem} has {common.here.short}, but not of all that {master.filesystem} has below",
            "the next sync completes it",
        )
    ]


def _superseded(here: Side, there: Side) -> list[Problem]:
    """Which of two masters is the older one, where that is recorded."""
    if here.promoted == there.promoted:
        return []
    older, newer = (here, there) if here.promoted < there.promoted else (there, here)
    return [
        Problem(
            "superseded",
            ERROR,
            older.host,
            f"{older.filesystem} is superseded: {newer.host}:{newer.filesystem} became the master at "
            f"{iso(newer.promoted)} without it",
            f"zrep_failover filesystem={older.filesystem} role=replica on {older.host} makes it follow, with "
            "diverged=preserve to keep what it has of its own",
        )
    ]


def _diverged(here: Side, there: Side, divergence: Divergence | None) -> list[Problem]:
    """What a split brain cost so far."""
    common = newest_common(here, there)
    if common is None:
        return []
    if divergence is None:
        unknown = Listing(None, "they were not asked for")
        divergence = Divergence(common, Changes(here, common.here, unknown), Changes(there, common.there, unknown))
    hint = "choose the side to keep, then run zrep_failover role=replica diverged=preserve on the other one"
    return [Problem("diverged", ERROR, here.host, divergence.text(), hint)]


def _try(check: t.Callable[[], t.Any]) -> list[Problem]:
    try:
        check()
    except ZrepError as error:
        return [from_error(error)]
    return []


def _failure(check: t.Callable[[], t.Any]) -> Problem:
    return _try(check)[0]
