# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people and programs are told: actions, the pair as it stands, the difference between before and after. Pure.

Times are epoch seconds and ISO 8601 in UTC, sizes are bytes, unknown values are None.
"""

from __future__ import annotations

import datetime
import typing as t

from . import names, trees
from .drilling import last_drill, parse_record
from .encryption import knows_encryption
from .errors import ZrepError
from .model import Dataset, Features, Observed, Side, newest_common
from .partial import is_partial
from .state import HERE, State
from .steps import Step


def action(step: Step, seen: Observed) -> dict[str, str]:
    """One step as it was or would be done."""
    return {
        "host": seen.identity if step.side == HERE else seen.peer_host,
        "action": step.action,
        "target": step.target,
        "what": step.describe(),
        "why": step.why,
    }


def pair_facts(seen: Observed, now: int, state: State | None = None) -> dict[str, t.Any]:
    """The pair as this host sees it, observed or predicted."""
    here = seen.here if state is None else state.here
    if here is None:
        return {"filesystem": seen.filesystem, "tag": seen.tag, "role": "none"}
    side = Side(seen.identity, seen.identity, seen.tag, here)
    facts = dict({"filesystem": seen.filesystem, "host": seen.identity, "tag": seen.tag}, **side_facts(side, now))
    facts.update(_peer_name(side, seen))
    if state is None:
        facts["zfs"] = _zfs_facts(seen.features_here)
    return facts


def _zfs_facts(features: Features) -> dict[str, t.Any]:
    """What the zfs of a host is and can do."""
    can = {"resume": features.modern, "bookmarks": features.modern, "encryption": knows_encryption(features.properties)}
    return {"version": features.version or None, "can": [name for name, known in can.items() if known]}


def _peer_name(side: Side, seen: Observed) -> dict[str, t.Any]:
    try:
        peer = side.peer if side.registered else None
    except ZrepError:
        peer = None
    return {
        "peer_host": peer.host if peer else seen.peer_host or None,
        "peer_filesystem": peer.filesystem if peer else seen.peer_filesystem or None,
    }


def side_facts(side: Side, now: int) -> dict[str, t.Any]:
    """One side by itself."""
    last = side.last_sent
    sent = last.sent if last else None
    try:
        savecount: int | None = side.savecount if side.registered else None
    except ZrepError:
        savecount = None
    return {
        "role": side.role,
        "promoted": side.promoted or None,
        "promoted_iso": iso(side.promoted or None),
        "savecount": savecount,
        "readonly": side.readonly,
        "mounted": side.mounted,
        "last_snapshot": last.short if last else None,
        "last_sync": sent,
        "last_sync_iso": iso(sent),
        "lag_seconds": None if sent is None else max(now - sent, 0),
        "recursive": side.recursive,
        "hold": side.holding,
        "receive_begun": is_partial(side),
        "below": [found.filesystem[len(side.filesystem) + 1 :] for found in side.members],
        "unsent_bytes": trees.unsent(side, last) if side.is_master else None,
        "unsent_snapshots": [found.short for found in side.after(last)] if last and side.is_master else [],
        "drill": _drill_facts(side),
        "snapshots": [
            {
                "name": found.short,
                # A snapshot that was only just made, or would be, was not looked at: that would cost another command.
                "guid": str(found.guid) if found.guid > 0 else None,
                "created": found.creation if found.guid > 0 else None,
                "sent": found.sent,
                "held": bool(found.holds),
            }
            for found in side.own_snapshots
        ],
    }


def _drill_facts(side: Side) -> dict[str, t.Any] | None:
    """What became of the last drill on a side."""
    last = last_drill(side)
    return None if last is None else dict(last._asdict(), time_iso=iso(last.time))


def peer_facts(seen: Observed, now: int) -> dict[str, t.Any]:
    """The other side as the peer showed it, and what both have in common."""
    here, there = seen.side_here, seen.side_there
    if there is None:
        return {"exists": False}
    facts = dict({"exists": True, "zfs": _zfs_facts(seen.features_there)}, **side_facts(there, now))
    common = newest_common(here, there) if here else None
    facts["common_snapshot"] = (
        None
        if common is None or here is None
        else {
            "name": common.here.short,
            "peer_name": common.there.short,
            "guid": str(common.here.guid),
            "created": common.here.creation,
            "created_iso": iso(common.here.creation),
            "later_here": [found.short for found in here.after(common.here)],
            "later_there": [found.short for found in there.after(common.there)],
            "bytes_since_here": trees.unsent(here, common.here),
            "bytes_since_there": trees.unsent(there, common.there),
        }
    )
    return facts


def iso(moment: int | None) -> str | None:
    """A time in epoch seconds as ISO 8601 in UTC."""
    if moment is None:
        return None
    try:
        return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None  # Beyond all calendars.


def difference(seen: Observed, before: State, after: State) -> list[dict[str, t.Any]]:
    """The two sides before and after, as Ansible's diff mode wants them; without times, which always differ."""
    found = []
    for host, filesystem, old, new in (
        (seen.identity, seen.filesystem, before.here, after.here),
        (seen.peer_host, seen.peer_filesystem, before.there, after.there),
    ):
        first, second = _shown(old, seen.tag), _shown(new, seen.tag)
        if first != second:
            header = f"{host}:{filesystem}"
            found.append({"before_header": header, "after_header": header, "before": first, "after": second})
    return found


def _shown(dataset: Dataset | None, tag: str) -> dict[str, t.Any]:
    if dataset is None:
        return {}
    ours = {
        name: found.value
        for name, found in sorted(dataset.properties.items())
        if name.startswith(tag + ":") and found.source in ("local", "received") and found.value != "-"
    }
    drill = names.property_name(tag, "drill")
    ours.pop(names.property_name(tag, "promoted"), None)  # A time, which a prediction cannot know.
    record = parse_record(ours.get(drill))
    if record is not None:
        ours[drill] = str(record).partition(" ")[2]
    if dataset.children:
        ours["below"] = ", ".join(found.name[len(dataset.name) + 1 :] for found in dataset.children)
    return dict(
        ours,
        readonly=dataset.value("readonly") or "off",
        snapshots=[found.short + (" sent" if found.sent is not None else "") for found in dataset.snapshots],
    )
