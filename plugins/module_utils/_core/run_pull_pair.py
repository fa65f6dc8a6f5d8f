# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verb: make, adopt or mend a pair from the host of its replica. Only this host connects to the other one.

The plan is the one that the master's host would make: it is planned as if seen from there, and carried out from here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from . import names
from .errors import NotFound, ZrepError
from .guard import held_by_another
from .locks import check_script_lock, check_script_lock_there
from .mirror import flipped, mirrored
from .model import Dataset, Endpoint, Observed, Side
from .outcome import Outcome
from .pairing import PairGoal, plan_present
from .plan import Plan
from .roles import UNTOUCHED, master_lost
from .run_pull import hold_there
from .session import Session
from .settings import Settings


def pair_pulled(
    settings: Settings,
    filesystem: str,
    peer: Endpoint,
    options: t.Mapping[str, t.Any],
    peer_identity: str = "",
    dry: bool = False,
) -> Outcome:
    """Make this host's filesystem the replica of one on the peer, or mend the pair; raises what stands against it.

    :param options: the fields of PairGoal but for peer, time and reached_by. What is said there of a side and the other
        one means this host and the peer.
    :param peer_identity: the name under which the peer records itself, where that is not its host name.
    """
    names.check_dataset(filesystem)
    names.check_host(peer.host)
    names.check_dataset(peer.filesystem, "peer_filesystem")
    if peer_identity:
        names.check_host(peer_identity, "peer_src_host")
    with Session(settings, dry) as session, contextlib.ExitStack() as stack:
        goal = PairGoal(peer, session.now, **options)
        session.lock(filesystem)
        more = ["mountpoint"] + [
            name for name in list(goal.create_properties) + list(goal.peer_properties) if ":" not in name
        ]
        seen = session.look_here([filesystem], more)[filesystem]
        seen = dataclasses.replace(seen, peer_host=peer.host, peer_filesystem=peer.filesystem)
        side = seen.side_here
        if side is not None:
            check_script_lock(side)
        above = _above(session, filesystem) if side is None else None
        warnings: dict[str, str] = {}
        busy, host_name = hold_there(session, stack, [seen], warnings)
        if busy:
            raise held_by_another(peer.host, peer.filesystem)
        seen = session.look_there([seen], parents=side is not None and side.is_master, more=more)[0]
        check_script_lock_there(seen.side_there, session.peer(peer.host))
        seen = dataclasses.replace(seen, identity_there=peer_identity or _identity_there(session, seen, host_name))
        work = session.carry_out([(seen, plan_pulled(seen, goal, settings, above))])[0]
        work.warnings += warnings.values()
        return Outcome(session.now, [(seen, work)])


def plan_pulled(seen: Observed, goal: PairGoal, settings: Settings, above: Dataset | None = None) -> Plan:
    """The steps that make the pair as wanted, with this side as the replica of a new one.

    :param above: the dataset above the one on this host, where that does not exist yet.
    """
    side = seen.side_here
    if side is not None and side.is_master:
        return plan_present(seen, goal, settings)  # The roles were swapped since.
    if seen.there is None:
        raise NotFound(
            "no such filesystem or volume",
            host=seen.peer_host,
            dataset=seen.peer_filesystem,
            left=UNTOUCHED,
            hint=master_lost(side.filesystem) if side and side.registered else "create it there, or name another one",
        )
    theirs = dataclasses.replace(
        goal,
        peer=Endpoint(seen.identity, seen.filesystem),
        savecount=goal.savecount if goal.peer_savecount is None else goal.peer_savecount,
        peer_savecount=goal.savecount,
        reached_by=_reached_by(seen, side),
    )
    try:
        return flipped(plan_present(mirrored(seen, above), theirs, settings), seen)
    except ZrepError as error:
        error.host = seen.peer_host if error.host == seen.identity_there else error.host
        raise


def _reached_by(seen: Observed, side: Side | None) -> str:
    """How this host calls the peer: as it does already where that is only another spelling."""
    known = side.dataset.value(names.property_name(seen.tag, "src-host")) if side is not None else None
    same = known is not None and names.short_host(known).lower() == names.short_host(seen.peer_host).lower()
    return known if known is not None and same else seen.peer_host


def _above(session: Session, filesystem: str) -> Dataset | None:
    name = names.parent_of(filesystem)
    return session.look_at(session.here, [name]).get(name) if name else None


def _identity_there(session: Session, seen: Observed, host_name: str) -> str:
    """The name under which the peer records itself: as it did where it is the master, else its host name."""
    there = seen.side_there
    if there is not None and there.is_master and there.names_peer and there.source.filesystem == there.filesystem:
        return there.source.host
    if not host_name:
        done = session.peer(seen.peer_host).run(("uname", "-n"))
        host_name = done.out.strip() if done.status == 0 else seen.peer_host
    return names.check_host(names.short_host(host_name), "the host name of the peer")
