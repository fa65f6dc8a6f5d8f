# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the script at the other end may have from a master: a stream, and a mark that it arrived. Pure.

The script pulls in several calls, each a process of its own here, between which anything can happen. So each of them
looks at what is so now, and refuses what does not fit any more.
"""

from __future__ import annotations

from . import names
from .errors import BadInput, Busy, NoCommonSnapshot, NotFound
from .model import Observed, Side, Snapshot
from .plan import Plan
from .roles import UNTOUCHED, check_master, check_paired
from .state import HERE, State
from .steps import Mark
from .zfs import LATEST


def check_served(seen: Observed) -> Side:
    """This side if a replica may pull from it: as the master, or as the source of a pair that is not complete yet."""
    here = check_paired(seen)
    if not here.is_source:
        here = check_master(seen)
    here.check_marks()
    return here


def check_wanted(seen: Observed, short: str) -> Snapshot:
    """The snapshot from which the stream of the newest one starts; raises if that is not the wanted one.

    What the replica has is known from our own record alone: it ends at the last one sent.
    """
    here = check_served(seen)
    wanted = _own(here, short)
    newest = here.own_snapshots[-1]
    if wanted != newest:
        raise Busy(
            f"{short} is not the newest snapshot of the pair, {newest.short} is",
            host=here.host,
            dataset=here.filesystem,
            left="nothing was sent",
            hint="refresh again",
        )
    base = here.last_sent
    if base is None:
        raise NoCommonSnapshot(
            "no snapshot is recorded as sent, so nothing is known to be at the replica",
            host=here.host,
            dataset=here.filesystem,
            left="nothing was sent",
            hint="record the one that both sides have with zrep_snapshot state=sent",
        )
    if base.createtxg >= newest.createtxg:
        raise NotFound(
            f"has nothing to send: {base.short} is recorded as sent and is the newest",
            host=here.host,
            dataset=here.filesystem,
            left="nothing was sent",
            hint="refresh again",
        )
    return base


def plan_complete(seen: Observed, short: str, name: str, value: str) -> Plan:
    """Record that the replica has a snapshot, as the script there asks for it by the name and value of a property."""
    prop = names.property_name(seen.tag, "sent")
    if name != prop:
        raise BadInput(f"property {name[:80]!r} may not be set from outside, only {prop} may", left=UNTOUCHED)
    sent = names.parse_number(value)
    if not sent or sent > LATEST:
        raise BadInput(f"{prop} {value[:80]!r} cannot be used: expected a time in epoch seconds", left=UNTOUCHED)
    here = check_served(seen)
    wanted = _own(here, short)
    last = here.last_sent
    if last is not None and wanted.createtxg < last.createtxg:
        raise Busy(
            f"{last.short}, which is newer than {short}, is recorded as sent already",
            host=here.host,
            dataset=here.filesystem,
            left=UNTOUCHED,
            hint="refresh again",
        )
    state = State(seen.here, None, unknown=True)
    if wanted.sent == sent:
        return Plan(seen.filesystem, state)
    mark = Mark(HERE, wanted.name, "the replica has it", tag=seen.tag, sent=sent)
    return Plan(seen.filesystem, state, (mark,))


def _own(here: Side, short: str) -> Snapshot:
    """A snapshot of the pair by its name."""
    if names.parse_snapshot(here.tag, short) is None:
        raise BadInput(
            f"snapshot {short[:80]!r} is not named as one of this pair, such as {names.snapshot_name(here.tag, 1)}",
            host=here.host,
            dataset=here.filesystem,
            left=UNTOUCHED,
        )
    found = here.by_short(short)
    if found is None:
        raise NotFound(
            f"has no snapshot {short}", host=here.host, dataset=here.filesystem, left=UNTOUCHED, hint="refresh again"
        )
    return found
