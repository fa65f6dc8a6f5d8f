# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans: steps in order, from an observed state to the state that they lead to. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from .state import State
from .steps import Step


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to do about one pair.

    :param filesystem: the dataset on this host.
    :param before: the pair as observed.
    :param steps: in order.
    :param warnings: what the caller should know though nothing is wrong with the plan.
    :param skipped: why there is nothing to do, if that needs a word.
    :param begun: what takes back what an earlier plan of the same run began, if this one fails.
    """

    filesystem: str
    before: State
    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()
    skipped: str = ""
    begun: tuple[Step, ...] = ()

    @property
    def after(self) -> State:
        return predict(self.before, self.steps)


def predict(state: State, steps: t.Iterable[Step]) -> State:
    """The state that steps lead to."""
    for step in steps:
        state = step.apply(state)
    return state
