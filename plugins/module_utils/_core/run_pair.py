# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verbs: make, adopt or mend a pair; take one apart."""

from __future__ import annotations

import dataclasses
import typing as t

from . import names
from .errors import NotPaired, ZrepError
from .locks import check_script_lock
from .model import Endpoint, Side
from .outcome import Outcome, carry_out_one
from .pairing import PairGoal, belongs_above, plan_absent, plan_present
from .roles import UNTOUCHED, check_exists
from .session import Session, registered, with_recorded_peer
from .settings import Settings


def pair_present(
    settings: Settings, filesystem: str, peer: Endpoint, options: t.Mapping[str, t.Any], dry: bool = False
) -> Outcome:
    """Make, adopt or mend a pair; raises what stands against it.

    :param options: the fields of PairGoal but for peer and time.
    """
    names.check_dataset(filesystem)
    names.check_host(peer.host)
    names.check_dataset(peer.filesystem, "peer_filesystem")
    with Session(settings, dry) as session:
        goal = PairGoal(peer, session.now, **options)
        session.lock(filesystem)
        seen = session.look_here([filesystem], ["mountpoint"])[filesystem]
        check_exists(seen)
        seen = dataclasses.replace(seen, peer_host=peer.host, peer_filesystem=peer.filesystem)
        check_script_lock(t.cast(Side, seen.side_here))
        more = [name for name in list(goal.create_properties) + list(goal.peer_properties) if ":" not in name]
        return carry_out_one(session, seen, lambda pair: plan_present(pair, goal, settings), parents=True, more=more)


def pair_absent(settings: Settings, filesystem: str, force: bool, local_only: bool, dry: bool = False) -> Outcome:
    """Take a pair apart and leave the data. Raises what stands against it.

    :param force: destroy the pair's snapshots too.
    :param local_only: leave the other side alone.
    """
    names.check_dataset(filesystem)
    with Session(settings, dry) as session:
        session.lock(filesystem)
        seen = session.look_here([filesystem])[filesystem]
        side = seen.side_here
        if side is not None:
            check_script_lock(side)
            if force and belongs_above(side):
                raise _belongs_above(session, side)
        # A removal that died may have left only part of the registration, after it was through with the peer.
        if side is None or not side.names_peer or local_only:
            own = session.own_properties(filesystem) if force and side is not None else []
            of_tag = [name for name in own if name.startswith(names.property_name(settings.tag, ""))]
            plan = plan_absent(seen, force, of_tag)
            return Outcome(session.now, list(zip([seen], session.carry_out([(seen, plan)]))))
        try:
            seen = with_recorded_peer(seen)
            return carry_out_one(session, seen, lambda pair: plan_absent(pair, force))
        except ZrepError as error:
            if not error.hint.startswith("local_only"):
                error.hint = f"local_only=true removes this half alone. {error.hint}".strip()
            raise


def _belongs_above(session: Session, side: Side) -> ZrepError:
    """The error that a dataset is part of the pair of one above it, whose snapshots must not be destroyed singly."""
    parts = side.filesystem.split("/")
    above = ["/".join(parts[:length]) for length in range(len(parts) - 1, 0, -1)]
    found = [seen.filesystem for seen in registered(session.look_here(above).values())]
    pair = max(found, key=len, default=above[0])
    return NotPaired(
        f"is no pair of its own, all that it shows of one is inherited from {pair}",
        host=side.host,
        dataset=side.filesystem,
        left=UNTOUCHED,
        hint=f"state=absent filesystem={pair} takes that pair apart",
    )
