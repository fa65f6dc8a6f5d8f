# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verb: take both sides of a pair back to a snapshot."""

from __future__ import annotations

import contextlib

from . import names
from .guard import Guard
from .locks import check_script_lock
from .outcome import Outcome, carry_out_one
from .rewinding import plan_roll_back
from .roles import check_paired
from .session import Session, with_recorded_peer
from .settings import Settings


def roll_back(settings: Settings, filesystem: str, short: str, force: bool, dry: bool = False) -> Outcome:
    """Take both sides back to a snapshot, from whichever host. Raises what stands against it."""
    names.check_dataset(filesystem)
    names.check_snapshot(short)
    with Session(settings, dry) as session, contextlib.ExitStack() as stack:
        session.lock(filesystem)
        seen = session.look_here([filesystem])[filesystem]
        check_script_lock(check_paired(seen))
        seen = with_recorded_peer(seen)
        if not dry:
            stack.enter_context(Guard(session.peer(seen.peer_host), seen.tag, seen.peer_filesystem))
        # What was written a moment ago is given up as well, so it has to be seen.
        session.settle_pair(session.look_there([seen])[0])
        seen = with_recorded_peer(session.look_here([filesystem])[filesystem])
        return carry_out_one(session, seen, lambda pair: plan_roll_back(pair, short, force, session.now))
