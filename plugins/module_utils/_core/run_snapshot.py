# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verbs: take, expire or record single snapshots."""

from __future__ import annotations

import typing as t

from . import names
from .errors import BadInput, ZrepError
from .locks import check_script_lock
from .model import Observed
from .outcome import Outcome, Refused, plan_each, plan_pairs
from .plan import Plan
from .roles import check_paired
from .session import Session, masters, registered, with_recorded_peer
from .settings import Settings
from .snapshots import plan_expire, plan_sent, plan_take


def take(
    settings: Settings,
    filesystems: t.Sequence[str],
    everything: bool,
    short: str | None,
    only_if_changed: bool,
    dry: bool = False,
    source: bool = False,
) -> Outcome:
    """Take the next snapshot of each filesystem, or the named one where it does not exist.

    :param source: it is enough to be named as the source of the pair; the record of the role may still be missing.
    """
    if short is not None:
        names.check_snapshot(short)
    return _each(
        settings,
        filesystems,
        everything,
        dry,
        lambda seen, dummy: plan_take(seen, short, only_if_changed, source),
        local_only=True,
        settle=only_if_changed,
    )


def expire(
    settings: Settings,
    filesystems: t.Sequence[str],
    everything: bool,
    local_only: bool,
    dry: bool = False,
    replicas: bool = False,
) -> Outcome:
    """Apply the savecounts: of both sides on a master, of this side on a replica.

    :param replicas: everything means that too which this host is not master of.
    """
    if settings.skip_expire:
        raise BadInput(
            "ZREP_SKIP_EXPIRE is set, so nothing may be expired",
            left="nothing was changed",
            hint="unset it, or leave this out",
        )
    return _each(
        settings, filesystems, everything, dry, lambda seen, dummy: plan_expire(seen), local_only, replicas=replicas
    )


def sent(settings: Settings, filesystem: str, short: str, local_only: bool, dry: bool = False) -> Outcome:
    """Record a snapshot as the last one sent."""
    names.check_snapshot(short)
    return _each(
        settings, [filesystem], False, dry, lambda seen, now: plan_sent(seen, short, now), local_only, always_ask=True
    )


def _each(
    settings: Settings,
    filesystems: t.Sequence[str],
    everything: bool,
    dry: bool,
    planner: t.Callable[[Observed, int], Plan],
    local_only: bool,
    always_ask: bool = False,
    settle: bool = False,
    replicas: bool = False,
) -> Outcome:
    """Lock, look, plan and act for each filesystem; what stands against one does not stop the others."""
    for name in filesystems:
        names.check_dataset(name)
    with Session(settings, dry) as session:
        outcome = Outcome(session.now)
        if everything:
            pairs = registered(session.look_here(None).values())
            filesystems = [seen.filesystem for seen in (pairs if replicas else masters(pairs))]
        filesystems = list(dict.fromkeys(filesystems))
        free = _lock(session, filesystems, outcome)
        if settle:
            session.settle(free)
        seen_all = session.look_here(free) if free else {}
        alone, together = _split(seen_all.values(), local_only, always_ask, outcome)

        def plan(seen: Observed) -> Plan:
            return planner(seen, session.now)

        plans = plan_each(alone, plan, outcome) + plan_pairs(session, together, plan, outcome)
        outcome.done = list(zip([seen for seen, dummy in plans], session.carry_out(plans)))
        outcome.notes += [f"{seen.filesystem}: {found.skipped}" for seen, found in plans if found.skipped]
        if everything and not filesystems and replicas:
            outcome.notes.append(
                f"no filesystem on {settings.identity} belongs to a pair with the tag {settings.tag!r}"
            )
        elif everything and not filesystems:
            outcome.note_no_master(settings)
        return outcome


def _lock(session: Session, filesystems: t.Sequence[str], outcome: Outcome) -> list[str]:
    free = []
    for name in filesystems:
        try:
            session.lock(name)
        except ZrepError as error:
            outcome.refused.append(
                Refused(Observed(session.settings.tag, session.settings.identity, name, None), error)
            )
        else:
            free.append(name)
    return free


def _split(
    pairs: t.Iterable[Observed], local_only: bool, always_ask: bool, outcome: Outcome
) -> tuple[list[Observed], list[Observed]]:
    """Those that concern this side alone, and those for which the peer is asked."""
    alone: list[Observed] = []
    together: list[Observed] = []
    for seen in pairs:
        try:
            side = check_paired(seen)
            check_script_lock(side)
            known = with_recorded_peer(seen)
        except ZrepError as error:
            outcome.refused.append(Refused(seen, error))
        else:
            ask = not local_only and (always_ask or side.is_master)
            (together if ask else alone).append(known)
    return alone, together
