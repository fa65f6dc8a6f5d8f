# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pair as its other host sees it: what one side plans, the other can carry out. Pure."""

from __future__ import annotations

import dataclasses

from .model import Dataset, Observed
from .plan import Plan
from .state import State
from .steps import Step
from .streams import other


def mirrored(seen: Observed, parent_here: Dataset | None = None) -> Observed:
    """What the peer would see.

    :param parent_here: the dataset above the one on this host, where that may have to be created.
    """
    if not seen.identity_there:
        raise ValueError("the peer's own name is not known")
    return dataclasses.replace(
        seen,
        identity=seen.identity_there,
        filesystem=seen.peer_filesystem,
        here=seen.there,
        peer_host=seen.identity,
        peer_filesystem=seen.filesystem,
        there=seen.here,
        there_parent=parent_here,
        features_here=seen.features_there,
        features_there=seen.features_here,
        identity_there=seen.identity,
        readonly_above=frozenset(other(side) for side in seen.readonly_above),
    )


def flipped(plan: Plan, seen: Observed) -> Plan:
    """A plan of the peer as one of this host."""
    return dataclasses.replace(
        plan,
        filesystem=seen.filesystem,
        before=State(seen.here, seen.there, unknown=plan.before.unknown),
        steps=tuple(_flipped(step) for step in plan.steps),
        begun=tuple(_flipped(step) for step in plan.begun),
    )


def _flipped(step: Step) -> Step:
    return dataclasses.replace(step, side=other(step.side), undo=None if step.undo is None else _flipped(step.undo))
