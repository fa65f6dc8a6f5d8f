# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verb: list or destroy the datasets of this host in which moves preserved what a side had of its own."""

from __future__ import annotations

import dataclasses
import typing as t

from . import names
from .errors import NotFound, ZrepError
from .model import Dataset, Observed
from .outcome import Outcome, Refused
from .plan import Plan
from .preserving import MARK, ORIGIN, Preserved, find_preserved, plan_prune
from .roles import UNTOUCHED
from .session import Session
from .settings import NEVER, Settings


def preserved(
    settings: Settings, filesystems: t.Sequence[str], older_seconds: int, destroy: bool = False
) -> dict[str, t.Any]:
    """The preserved datasets of this host that are old enough; with ``destroy`` they are destroyed.

    :param filesystems: only what was preserved from these, or these themselves; none for all.
    :param older_seconds: how old they are at least.
    """
    for name in filesystems:
        names.check_dataset(name)
    # The script knows nothing of these datasets, and they may be gone before a property could be taken off again.
    settings = dataclasses.replace(settings, lock_properties=NEVER)
    with Session(settings, dry=not destroy) as session:
        outcome = Outcome(session.now)
        before = session.now - older_seconds
        datasets = _datasets(session)
        found = find_preserved(datasets, settings.tag, filesystems, before)
        outcome.refused += _unknown(session, filesystems, datasets)
        if destroy and found:
            _destroy(session, found, filesystems, before, outcome)
        result = outcome.result(not destroy)
        facts = [item.facts(settings.identity, session.now) for item in found]
    gone = {seen.filesystem for seen, work in outcome.done if work.error is None}
    listed = [dict(item, destroyed=item["name"] in gone) for item in facts]
    return dict({key: value for key, value in result.items() if key not in ("pairs", "diff")}, preserved=listed)


def _datasets(session: Session) -> dict[str, Dataset]:
    """Everything on this host."""
    more = (ORIGIN, names.property_name(session.settings.tag, MARK))
    return {name: seen.here for name, seen in session.look_here(None, more).items() if seen.here is not None}


def _unknown(session: Session, filesystems: t.Sequence[str], datasets: t.Mapping[str, Dataset]) -> t.Iterator[Refused]:
    """Names that mean nothing here: neither a dataset nor what one was preserved from."""
    sources = {item.source for item in find_preserved(datasets, session.settings.tag, (), session.now)}
    for name in filesystems:
        if name not in datasets and name not in sources:
            error = NotFound("no such filesystem or volume", host=session.here.host, dataset=name, left=UNTOUCHED)
            yield Refused(_seen(session, name, None), error)


def _seen(session: Session, name: str, dataset: Dataset | None) -> Observed:
    tag, identity = session.settings.tag, session.settings.identity
    return Observed(tag, identity, name, dataset, features_here=session.features)


def _destroy(
    session: Session, found: t.Sequence[Preserved], filesystems: t.Sequence[str], before: int, outcome: Outcome
) -> None:
    locked = _lock(session, found, outcome)
    # Looked at again: a move that was under way may have gone on until now.
    datasets = _datasets(session)
    plans: list[tuple[Observed, Plan]] = []
    for item in find_preserved(datasets, session.settings.tag, filesystems, before):
        if item.source not in locked:
            continue
        seen = _seen(session, item.dataset.name, item.dataset)
        try:
            own = session.own_properties(item.dataset.name)
            plans.append((seen, plan_prune(seen, item, datasets, own)))
        except ZrepError as error:
            outcome.refused.append(Refused(seen, error))
    outcome.done = list(zip([seen for seen, dummy in plans], session.carry_out(plans)))


def _lock(session: Session, found: t.Sequence[Preserved], outcome: Outcome) -> set[str]:
    """Keep moves of the filesystems off meanwhile: one may be under way, and rely on what it has preserved so far."""
    locked: set[str] = set()
    for item in found:
        if item.source in locked:
            continue
        try:
            session.lock(item.source)
            locked.add(item.source)
        except ZrepError as error:
            outcome.refused.append(Refused(_seen(session, item.dataset.name, item.dataset), error))
    return locked
