# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verb: write the names of both sides of a pair into this one. The peer is not contacted."""

from __future__ import annotations

from . import names
from .configuring import plan_configure
from .locks import check_script_lock
from .model import Endpoint
from .outcome import Outcome
from .roles import check_exists
from .session import Session
from .settings import DEFAULT_SAVECOUNT, Settings


def configure(
    settings: Settings,
    filesystem: str,
    peer: Endpoint,
    is_destination: bool = False,
    force: bool = False,
    default_savecount: int = DEFAULT_SAVECOUNT,
    dry: bool = False,
) -> Outcome:
    """Record who is the source of the pair and who its destination; raises what stands against it.

    :param is_destination: this side is the destination, the peer the source.
    :param force: also where there is no snapshot of the pair yet.
    :param default_savecount: what this side gets if its savecount is missing or nonsense.
    """
    names.check_dataset(filesystem)
    names.check_host(peer.host)
    names.check_dataset(peer.filesystem, "peer_filesystem")
    names.check_savecount(default_savecount)
    with Session(settings, dry) as session:
        session.lock(filesystem)
        seen = session.look_here([filesystem])[filesystem]
        check_script_lock(check_exists(seen))
        plan = plan_configure(seen, peer, is_destination, force, default_savecount)
        return Outcome(session.now, list(zip([seen], session.carry_out([(seen, plan)]))))
