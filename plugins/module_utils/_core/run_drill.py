# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verbs: make and remove the clone of a drill. Neither contacts the peer, and both work on either role."""

from __future__ import annotations

import typing as t

from . import names
from .drilling import MORE, RESULTS, Clone, check_mountpoint, clone_name, plan_cloned, plan_drilled
from .errors import BadInput
from .locks import check_script_lock
from .model import Dataset, Observed
from .outcome import Outcome
from .plan import Plan
from .report import iso
from .roles import check_paired
from .session import Session
from .settings import Settings


class Drilled(t.NamedTuple):
    """What became of a drill's clone.

    :param clone: the clone as it is or would be, None if there is none any more.
    :param existed: what was found under its name.
    """

    outcome: Outcome
    name: str
    clone: Clone | None
    existed: Dataset | None

    def result(self, dry: bool) -> dict[str, t.Any]:
        """The same as a module returns it."""
        found = self.outcome.result(dry)
        if found["failed_filesystems"]:
            return dict(found, clone=None)
        before, after = _shown(self.existed), _predicted(self.clone)
        if before != after:
            header = f"{self.outcome.done[0][0].identity}:{self.name}"
            found["diff"] += [{"before_header": header, "after_header": header, "before": before, "after": after}]
        clone = self.clone
        facts = clone and {
            "name": clone.name,
            "mountpoint": clone.mountpoint,
            "snapshot": clone.snapshot.short,
            "snapshot_created": clone.snapshot.creation,
            "snapshot_created_iso": iso(clone.snapshot.creation),
        }
        return dict(found, clone=facts)


def cloned(
    settings: Settings,
    filesystem: str,
    clone: str | None,
    short: str | None,
    mountpoint: str | None,
    dry: bool = False,
) -> Drilled:
    """Have a writable, mounted clone of a snapshot. Raises what stands against it."""
    name = _checked(filesystem, clone, short)
    if mountpoint is not None:
        check_mountpoint(mountpoint)
    with Session(settings, dry) as session:
        seen = _look(session, filesystem)
        above = names.parent_of(name)
        around = session.look_at(session.here, [name, above], _more(settings))
        found = around.get(name)
        plan, made = plan_cloned(seen, name, short, mountpoint, found, around.get(above))
        return Drilled(_carry_out(session, seen, plan), name, made, found)


def drilled(
    settings: Settings,
    filesystem: str,
    clone: str | None,
    short: str | None,
    result: str | None,
    seconds: int | None,
    dry: bool = False,
) -> Drilled:
    """Have no clone any more, and a record of the drill if there is a result. Raises what stands against it."""
    name = _checked(filesystem, clone, short)
    with Session(settings, dry) as session:
        seen = _look(session, filesystem)
        found = session.look_at(session.here, [name], _more(settings)).get(name)
        plan, dummy = plan_drilled(seen, name, short, _told(result, seconds), found, session.now)
        outcome = _carry_out(session, seen, plan)
        _say_what_keeps(outcome)
        return Drilled(outcome, name, None, found)


def _checked(filesystem: str, clone: str | None, short: str | None) -> str:
    names.check_dataset(filesystem)
    if short is not None:
        names.check_snapshot(short)
    return clone_name(filesystem, clone)


def _told(result: str | None, seconds: int | None) -> tuple[str, int] | None:
    if result is None and seconds is None:
        return None
    if result not in RESULTS:
        raise BadInput("result {!r} cannot be used: expected {}".format(result, " or ".join(RESULTS)))
    if seconds is None or seconds < 0:
        raise BadInput(f"seconds {seconds} cannot be used: expected how long the drill took")
    return result, seconds


def _look(session: Session, filesystem: str) -> Observed:
    session.lock(filesystem)
    seen = session.look_here([filesystem])[filesystem]
    check_script_lock(check_paired(seen))
    return seen


def _more(settings: Settings) -> tuple[str, ...]:
    return (*MORE, names.property_name(settings.tag, "drill-of"))


def _carry_out(session: Session, seen: Observed, plan: Plan) -> Outcome:
    outcome = Outcome(session.now)
    outcome.done = list(zip([seen], session.carry_out([(seen, plan)])))
    return outcome


def _say_what_keeps(outcome: Outcome) -> None:
    """Complete the error of a clone that could not be destroyed; zfs only advises to destroy all that hangs on it."""
    for dummy, work in outcome.done:
        if work.error is not None:
            busy = "busy" in work.error.message
            what = "stop what still uses the clone" if busy else "see to what was made below the clone"
            work.error.hint = work.error.hint or f"{what}, then run the same call again"


def _shown(found: Dataset | None) -> dict[str, t.Any]:
    if found is None:
        return {}
    return {"origin": found.value("origin"), "mountpoint": found.value("mountpoint"), "mounted": found.value("mounted")}


def _predicted(clone: Clone | None) -> dict[str, t.Any]:
    if clone is None:
        return {}
    mounted = None if clone.mountpoint is None else "yes"
    return {"origin": clone.snapshot.name, "mountpoint": clone.mountpoint, "mounted": mounted}
