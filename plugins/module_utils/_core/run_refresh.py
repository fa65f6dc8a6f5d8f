# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verb: bring a replica of this host up to date by pulling. Only this host connects to the other one."""

from __future__ import annotations

import contextlib

from . import names
from .guard import Guard, not_held
from .locks import check_script_lock
from .outcome import Outcome
from .pulling import check_receiver, plan_refresh
from .session import Session
from .settings import Settings
from .sight import Sight
from .syncing import SyncGoal


def refresh(settings: Settings, filesystem: str, force: bool = False, dry: bool = False) -> Outcome:
    """Have the master take a snapshot and pull it; raises what stands against it before anything is changed.

    :param force: throw away what this replica has of its own.
    """
    names.check_dataset(filesystem)
    with Session(settings, dry) as session, contextlib.ExitStack() as stack:
        goal = SyncGoal(session.now, force=force, expire=not settings.skip_expire)
        session.lock(filesystem)
        sight = Sight(session, filesystem, "")
        check_script_lock(check_receiver(sight.seen))
        complaint = _hold(sight, stack, dry)
        seen = sight.both()
        sight.check_script_lock_there()
        works = session.carry_out([(seen, plan_refresh(seen, goal, settings))])
        works[0].warnings += [complaint] if complaint else []
        return Outcome(session.now, list(zip([seen], works)))


def _hold(sight: Sight, stack: contextlib.ExitStack, dry: bool) -> str:
    """Keep other runs off the master until the end; returns why that could not be done, if so."""
    if dry:
        sight.peer.connect()
        return ""
    seen = sight.seen
    guard = stack.enter_context(Guard(sight.peer, seen.tag, seen.peer_filesystem))
    return "" if guard.held else not_held(seen.peer_host, seen.peer_filesystem)
