# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verb: tell how pairs stand."""

from __future__ import annotations

import typing as t

from . import names, report
from .asking import divergence
from .diverging import Divergence
from .errors import Busy, ZrepError
from .health import problems, went_apart
from .locks import check_script_lock
from .model import Observed
from .session import Session, by_peer, registered, with_recorded_peer
from .settings import Settings

MORE = ("mountpoint",)


def info(
    settings: Settings,
    filesystems: t.Sequence[str],
    everything: bool,
    check_peer: bool,
    max_lag: int | None,
    compare: bool = True,
) -> dict[str, t.Any]:
    """The pairs of this host as they stand, with everything that is wrong with them. Changes nothing, takes no lock.

    :param max_lag: seconds since the last sync that are tolerated.
    :param compare: find out what the sides of a pair that went apart have of their own, which takes a while.
    """
    for name in filesystems:
        names.check_dataset(name)
    with Session(settings, dry=True) as session:
        if everything:
            pairs = registered(session.look_here(None).values())
        else:
            pairs = list(session.look_here(list(dict.fromkeys(filesystems))).values())
        answers: dict[str, tuple[Observed, ZrepError | None]] = {seen.filesystem: (seen, None) for seen in pairs}
        for group in by_peer(_with_peers(pairs)):
            for seen in group:
                answers[seen.filesystem] = (seen, None)
            if check_peer:
                answers.update(_ask(session, group))
        facts = [
            _facts(seen, error, _divergence(session, seen) if compare else None, session.now, max_lag, check_peer)
            for seen, error in answers.values()
        ]
        return {"pairs": facts, "problems": sum(len(found["problems"]) for found in facts)}


def _with_peers(pairs: t.Iterable[Observed]) -> t.Iterator[Observed]:
    for seen in pairs:
        try:
            known = with_recorded_peer(seen)
        except ZrepError:
            continue  # The nonsense itself is among the pair's problems.
        if known.peer_host:
            yield known


def _ask(session: Session, group: list[Observed]) -> dict[str, tuple[Observed, ZrepError | None]]:
    try:
        return {seen.filesystem: (seen, None) for seen in session.look_there(group)}
    except ZrepError as error:
        return {seen.filesystem: (seen, error) for seen in group}


def _divergence(session: Session, seen: Observed) -> Divergence | None:
    """What the sides of a pair that went apart have of their own, up to now."""
    if not seen.asked or not went_apart(seen):
        return None
    try:
        session.settle_pair(seen)
        again = with_recorded_peer(session.look_here([seen.filesystem], MORE)[seen.filesystem])
        return divergence(session, session.look_there([again], more=MORE)[0])
    except ZrepError:
        return None  # That they went apart is told all the same.


def _facts(
    seen: Observed, error: ZrepError | None, apart: Divergence | None, now: int, max_lag: int | None, check_peer: bool
) -> dict[str, t.Any]:
    facts = report.pair_facts(seen, now)
    found = problems(seen, now, max_lag, error, apart)
    side = seen.side_here
    if side is not None and side.registered:
        try:
            check_script_lock(side)
            facts["busy"] = False
        except Busy:
            facts["busy"] = True
    if check_peer:
        facts["peer_reachable"] = error is None and seen.asked
        facts["peer"] = report.peer_facts(seen, now) if facts["peer_reachable"] else None
        facts["divergence"] = apart.facts() if apart else None
    facts["problems"] = [problem.facts() for problem in found]
    facts["healthy"] = not found
    return facts
