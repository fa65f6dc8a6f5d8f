# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of both sides written into this one, for a pair that is set up or mended by hand. Pure.

Neither the role nor the data is touched: what makes the pair work is done by whoever does it by hand.
"""

from __future__ import annotations

import typing as t

from . import names
from .errors import BadProperty, NotFound
from .model import LOCAL, RECEIVED, Endpoint, Observed, Side
from .plan import Plan
from .roles import UNTOUCHED, check_exists, check_not_itself
from .state import HERE, State
from .steps import Restore, SetProperties


def plan_configure(seen: Observed, peer: Endpoint, is_destination: bool, force: bool, default_savecount: int) -> Plan:
    """Write who is the source of the pair and who its destination; raises what stands against it.

    :param is_destination: this side is the destination, the peer the source.
    :param force: also where there is no snapshot of the pair yet.
    :param default_savecount: what a side gets whose savecount is missing or nonsense.
    """
    here = check_exists(seen)
    check_not_itself(here, peer)
    if not force and not here.own_snapshots:
        raise NotFound(
            f"has no snapshot of the tag {seen.tag!r}, so it does not look like one side of a pair",
            host=here.host,
            dataset=here.filesystem,
            left=UNTOUCHED,
            hint="force=true writes the names all the same",
        )
    source, destination = (peer, here.endpoint) if is_destination else (here.endpoint, peer)
    wanted = {
        "src-fs": source.filesystem,
        "src-host": source.host,
        "dest-fs": destination.filesystem,
        "dest-host": destination.host,
        "savecount": str(_savecount(here, default_savecount)),
    }
    values = {names.property_name(seen.tag, name): value for name, value in wanted.items()}
    changed = {name: value for name, value in values.items() if not _is_own(here, name, value)}
    state = State(seen.here, None, unknown=True)
    if not changed:
        return Plan(seen.filesystem, state)
    before = tuple((name, here.dataset.local(name)) for name in changed)
    undo = Restore(HERE, here.filesystem, "not all of it could be written", values=before)
    step = SetProperties(HERE, here.filesystem, "as asked for", values=tuple(changed.items()), undo=undo)
    return Plan(seen.filesystem, state, (step,), tuple(_warnings(here, peer, is_destination)))


def _savecount(here: Side, default: int) -> int:
    """What this side keeps already, by whatever property, since that is what applies to it now."""
    try:
        return here.savecount
    except BadProperty:
        return default


def _is_own(here: Side, name: str, value: str) -> bool:
    """Whether a property has a value by itself: what comes from above goes when the pair above does."""
    return here.dataset.value(name) == value and here.dataset.source(name) in (LOCAL, RECEIVED)


def _warnings(here: Side, peer: Endpoint, is_destination: bool) -> t.Iterator[str]:
    place = f"{here.host}:{here.filesystem}"
    if is_destination and here.is_master:
        undo = f"zfs inherit {here.tag}:master {here.filesystem}"
        yield f"{place} is still marked as the master, although {peer} is its source now; if that is right: {undo}"
    elif is_destination and not here.readonly:
        yield f"{place} can be written to, which would part it from its source: zfs set readonly=on {here.filesystem}"
