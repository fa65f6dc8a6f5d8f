# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of the pairs that a run was asked about, and how runs with peers get there."""

from __future__ import annotations

import dataclasses
import typing as t

from . import report
from .errors import ZrepError
from .execute import Work
from .locks import check_script_lock_there
from .model import Observed
from .plan import Plan
from .session import Session, by_peer
from .settings import Settings

Planner = t.Callable[[Observed], Plan]


class Refused(t.NamedTuple):
    """A pair about which nothing was done, and why."""

    seen: Observed
    error: ZrepError


@dataclasses.dataclass
class Outcome:
    """What became of each filesystem that was asked for.

    :param done: pairs that were worked on, or would be, with what happened.
    :param refused: pairs for which nothing was done, with the reason.
    :param more: what was done besides, between other hosts or under other tags.
    :param notes: remarks for people.
    :param idle: all were asked for and there is none.
    :param preserved: datasets that hold what replicas had of their own before they were overwritten.
    """

    now: int
    done: list[tuple[Observed, Work]] = dataclasses.field(default_factory=list)
    refused: list[Refused] = dataclasses.field(default_factory=list)
    more: list[tuple[Observed, Work]] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    idle: bool = False
    preserved: list[dict[str, str]] = dataclasses.field(default_factory=list)

    def note_no_master(self, settings: Settings) -> None:
        """Remark that all were asked for and there is none."""
        self.idle = True
        self.notes.append(f"no filesystem on {settings.identity} is master of a pair with the tag {settings.tag!r}")

    def note_no_replica(self, settings: Settings) -> None:
        """Remark that all were asked for that this host can pull, and there is none."""
        self.idle = True
        self.notes.append(
            f"no filesystem on {settings.identity} is the replica of a pair with the tag {settings.tag!r}"
        )

    @property
    def errors(self) -> list[Refused]:
        failed = [Refused(seen, work.error) for seen, work in self.done if work.error is not None]
        return self.refused + failed

    def forget(self, failed: Refused) -> None:
        """Take one of the errors out, with the pair that it concerns."""
        self.refused = [found for found in self.refused if found is not failed]
        self.done = [(seen, work) for seen, work in self.done if work.error is not failed.error]

    def result(self, dry: bool) -> dict[str, t.Any]:
        """The outcome as a module returns it."""
        actions, differences, pairs, warnings = [], [], [], []
        for seen, work in self.done + self.more:
            steps = work.plan.steps if dry and work.error is None else work.done
            actions += [report.action(step, seen) for step in steps]
            warnings += list(work.plan.warnings) + work.warnings
            if work.error is None:
                differences += report.difference(seen, work.plan.before, work.plan.after)
        pairs += [report.pair_facts(seen, self.now, work.plan.after) for seen, work in self.done if work.error is None]
        pairs += [
            report.pair_facts(refused.seen, self.now) for refused in self.refused if refused.seen.here is not None
        ]
        return {
            "changed": bool(actions),
            "actions": actions,
            "pairs": pairs,
            "diff": differences,
            "notes": self.notes,
            "warnings": warnings,
            "failed_filesystems": [
                dict(refused.error.facts(), filesystem=refused.seen.filesystem, text=str(refused.error))
                for refused in self.errors
            ],
        }


def plan_pairs(
    session: Session,
    pairs: t.Iterable[Observed],
    planner: Planner,
    outcome: Outcome,
    parents: bool = False,
    more: t.Sequence[str] = (),
) -> list[tuple[Observed, Plan]]:
    """Ask each peer once and plan; what stands against a pair lands among the refused.

    The script looks at the lock of the side that it runs on and at no other, so that a sync can get in between what
    the other end does. Here both count.
    """
    plans: list[tuple[Observed, Plan]] = []

    def plan(seen: Observed) -> Plan:
        check_script_lock_there(seen.side_there, session.peer(seen.peer_host))
        return planner(seen)

    for group in by_peer(pairs):
        try:
            seen_there = session.look_there(group, parents, more)
        except ZrepError as error:
            outcome.refused += [Refused(seen, error) for seen in group]
            continue
        plans += plan_each(seen_there, plan, outcome)
    return plans


def plan_each(pairs: t.Iterable[Observed], planner: Planner, outcome: Outcome) -> list[tuple[Observed, Plan]]:
    """Plan what was seen; what stands against a pair lands among the refused."""
    plans: list[tuple[Observed, Plan]] = []
    for seen in pairs:
        try:
            plans.append((seen, planner(seen)))
        except ZrepError as error:
            outcome.refused.append(Refused(seen, error))
    return plans


def carry_out_one(
    session: Session, seen: Observed, planner: Planner, parents: bool = False, more: t.Sequence[str] = ()
) -> Outcome:
    """Plan and carry out one pair; an error is raised, not reported."""
    outcome = Outcome(session.now)
    plans = plan_pairs(session, [seen], planner, outcome, parents, more)
    if outcome.refused:
        raise outcome.refused[0].error
    outcome.done = list(zip([pair for pair, dummy in plans], session.carry_out(plans)))
    return outcome


def joined(works: t.Sequence[Work]) -> Work:
    """Several plans of one pair as one, for the report."""
    first, last = works[0], works[-1]
    steps = tuple(step for work in works for step in work.plan.steps)
    plan = Plan(first.plan.filesystem, first.plan.before, steps, skipped=last.plan.skipped)
    joined = Work(plan, first.peer, first.features_here, first.features_there)
    joined.done = [step for work in works for step in work.done]
    joined.warnings = [warning for work in works for warning in work.warnings]
    joined.streamed = sum(work.streamed for work in works)
    joined.error = next((work.error for work in works if work.error is not None), None)
    return joined
