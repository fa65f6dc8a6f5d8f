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
from .mirror import flipped, mirrored
from .model import Observed, Side, Snapshot
from .outcome import Outcome, Planner, Refused, joined, plan_pairs
from .overwriting import keep_goal, own_since, plan_keep
from .plan import Plan
from .returning import candidates, check_all_preserved
from .session import Session
from .sight import Sight
from .state import HERE, PEER
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
    :param at: on which host the replicas are.
    """

    def __init__(self, session: Session, preserve: bool, at: str = PEER) -> None:
        self._session = session
        self._preserve = preserve
        self._at = at
        self._begun: dict[str, Work] = {}
        self._named: dict[str, str] = {}
        self.kept: list[Kept] = []

    def plan_pairs(
        self, pairs: t.Iterable[Observed], planner: Planner, wanted: t.Mapping[str, str], outcome: Outcome
    ) -> list[tuple[Observed, Plan]]:
        """Preserve what has to be, and plan what follows; what stands against a pair is in the outcome.

        :param wanted: the snapshots that replicas are to go back to, by filesystem of the master.
        """
        seen = [first for first, dummy in plan_pairs(self._session, pairs, planner, outcome)]
        return self.plan_seen(seen, planner, wanted, outcome)

    def plan_seen(
        self, pairs: t.Iterable[Observed], planner: Planner, wanted: t.Mapping[str, str], outcome: Outcome
    ) -> list[tuple[Observed, Plan]]:
        """The same for pairs of which both sides were seen already, and nothing stands against their plans."""
        plans: list[tuple[Observed, Plan]] = []
        for first in pairs:
            sight = Sight(self._session, first.filesystem, first.peer_host, first.peer_host)
            self._named[first.filesystem] = first.identity_there
            try:
                # What ZFS says about bytes written lags behind, and here it decides what is given up.
                seen = self._plain(sight.settled())
                base = own_since(self._view(seen), wanted.get(seen.filesystem, "")) if self._preserve else None
                # What stands against it is found before anything is copied.
                plan = planner(seen)
                found = plan if base is None else self._keep(sight, base, planner, outcome)
            except ZrepError as error:
                outcome.refused.append(Refused(self._plain(sight.seen), error))
                continue
            if found is not None:
                plans.append((self._plain(sight.seen) if base is not None else seen, found))
        return plans

    def _plain(self, seen: Observed) -> Observed:
        """What was seen as the planner of a sync knows it, which asks for no names of hosts."""
        return dataclasses.replace(seen, identity_there=self._named[seen.filesystem])

    def _view(self, seen: Observed) -> Observed:
        """A pair as the master's host sees it."""
        if self._at == PEER:
            return seen
        return mirrored(dataclasses.replace(seen, identity_there=seen.identity_there or seen.peer_host))

    def _keep(self, sight: Sight, base: Snapshot, planner: Planner, outcome: Outcome) -> Plan | None:
        seen = sight.seen
        view = self._view(seen)
        side = t.cast(Side, view.side_there)
        tried = candidates(side, base, keep_goal(self._session.now))
        copies = sight.datasets(self._at, [*tried, names.parent_of(tried[0])], tried if side.recursive else [])
        plan, name = plan_keep(view, base, self._session.now, copies)
        plan = plan if self._at == PEER else flipped(plan, seen)
        work = self._session.carry_out([(seen, plan)])[0]
        if self._session.dry:
            sight.pretend(plan)
        if work.error is None:
            try:
                now = self._plain(sight.both_again())
                then_seen = self._view(now)
                whole = parts(t.cast(Side, then_seen.side_there), base, then_seen.side_here)
                check_all_preserved(whole, sight.copy(self._at, name))
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


def tell_what_differs(session: Session, outcome: Outcome, at: str = PEER) -> None:
    """Complete errors about replicas that diverged by what they have of their own.

    :param at: on which host the replicas are.
    """
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
            own = found.here if at == HERE else found.there
            error.message = f"{error.message}; {own.text()}"
            error.details["divergence"] = found.facts()
