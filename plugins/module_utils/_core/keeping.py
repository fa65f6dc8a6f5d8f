# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forced syncs that lose nothing: what each replica has of its own is copied on its host before it is overwritten.

The copies are made one pair after the other. What then follows is planned from a new look, and is carried out with the
syncs of all other pairs.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import names
from .asking import divergence
from .errors import Diverged, ZrepError
from .execute import Work
from .model import Observed, Side, Snapshot
from .outcome import Outcome, Planner, Refused, joined, plan_pairs
from .overwriting import keep_goal, own_since, plan_keep
from .plan import Plan
from .returning import candidates, check_all_preserved
from .session import Session
from .sight import Sight
from .state import PEER
from .trees import parts


class Kept(t.NamedTuple):
    """A dataset that holds what a replica had of its own.

    :param filesystem: the master's.
    :param host: where the copy is.
    """

    filesystem: str
    host: str
    name: str


class Keeper:
    """The copies of one run.

    :param preserve: make them; else only look closely.
    """

    def __init__(self, session: Session, preserve: bool) -> None:
        self._session = session
        self._preserve = preserve
        self._begun: dict[str, Work] = {}
        self.kept: list[Kept] = []

    def plan_pairs(
        self, pairs: t.Iterable[Observed], planner: Planner, wanted: t.Mapping[str, str], outcome: Outcome
    ) -> list[tuple[Observed, Plan]]:
        """Preserve what has to be, and plan what follows; what stands against a pair is in the outcome.

        :param wanted: the snapshots that replicas are to go back to, by filesystem of the master.
        """
        plans: list[tuple[Observed, Plan]] = []
        for first, dummy in plan_pairs(self._session, pairs, planner, outcome):
            sight = Sight(self._session, first.filesystem, first.peer_host, first.peer_host)
            try:
                # What ZFS says about bytes written lags behind, and here it decides what is given up.
                seen = _plain(sight.settled())
                base = own_since(seen, wanted.get(seen.filesystem, "")) if self._preserve else None
                # What stands against it is found before anything is copied.
                plan = planner(seen)
                found = plan if base is None else self._keep(sight, base, planner, outcome)
            except ZrepError as error:
                outcome.refused.append(Refused(_plain(sight.seen), error))
                continue
            if found is not None:
                plans.append((_plain(sight.seen) if base is not None else seen, found))
        return plans

    def _keep(self, sight: Sight, base: Snapshot, planner: Planner, outcome: Outcome) -> Plan | None:
        seen = sight.seen
        side = t.cast(Side, seen.side_there)
        tried = candidates(side, base, keep_goal(self._session.now))
        copies = sight.datasets(PEER, [*tried, names.parent_of(tried[0])], tried if side.recursive else [])
        plan, name = plan_keep(seen, base, self._session.now, copies)
        work = self._session.carry_out([(seen, plan)])[0]
        if self._session.dry:
            sight.pretend(plan)
        if work.error is None:
            try:
                now = _plain(sight.both_again())
                whole = parts(t.cast(Side, now.side_there), base, now.side_here)
                check_all_preserved(whole, sight.copy(PEER, name))
                then = dataclasses.replace(planner(now), begun=tuple(work.undo))
            except ZrepError as error:
                self._session.take_back(work, error)
        if work.error is not None:
            outcome.done.append((seen, work))
            return None
        work.undo = []
        self._begun[seen.filesystem] = work
        self.kept.append(Kept(seen.filesystem, side.host, name))
        return then

    def complete(self, seen: Observed, work: Work) -> Work:
        """The work on a pair with what preceded it."""
        begun = self._begun.get(seen.filesystem)
        return work if begun is None else joined([begun, work])


def _plain(seen: Observed) -> Observed:
    """What was seen as a sync knows it, which does not ask the peer for its own name."""
    return dataclasses.replace(seen, identity_there="")


def tell_what_differs(session: Session, outcome: Outcome) -> None:
    """Complete errors about replicas that diverged by what they have of their own."""
    for refused in outcome.errors:
        error = refused.error
        if not isinstance(error, Diverged):
            continue
        try:
            peer = refused.seen.peer_host
            found = divergence(session, Sight(session, refused.seen.filesystem, peer, peer).settled())
        except ZrepError:
            continue  # That there is something is said already.
        if found is not None:
            error.message = f"{error.message}; {found.there.text()}"
            error.details["divergence"] = found.facts()
