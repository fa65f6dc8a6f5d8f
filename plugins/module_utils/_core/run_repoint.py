# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give one of the other destinations of an old master to the new one, once the move is through."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from . import names
from .errors import NotPaired, Unreachable, ZrepError
from .execute import Executor, Work
from .guard import Guard, not_held
from .locks import check_script_lock, check_script_lock_there
from .model import Dataset, Endpoint, Features, Observed, Side
from .observe import FeatureMemory, look
from .others import adopting, is_sender
from .plan import Plan
from .repointing import Three, check_not_one_of_them, plan_repoint
from .roles import UNTOUCHED
from .session import Session
from .settings import Settings
from .shell import Shell
from .state import HERE, State
from .steps import Step
from .streams import Send
from .ways import Ways


class Place(t.NamedTuple):
    """One side of a move.

    :param known_as: its host as the new master knows it.
    :param reached_as: its host as this one reaches it; empty if it is not to be asked.
    :param predicted: what it will be, where nothing is changed.
    """

    endpoint: Endpoint
    known_as: str
    reached_as: str
    predicted: Dataset | None = None


class Repointed(t.NamedTuple):
    """What became of one destination.

    :param place: the destination as the new master records it.
    :param works: what was done, with the two hosts where it was.
    """

    place: Endpoint
    works: list[tuple[Observed, Work]]
    warnings: list[str]

    @property
    def error(self) -> ZrepError | None:
        return next((work.error for _seen, work in self.works if work.error is not None), None)


def repoint(settings: Settings, new: Place, old: Place, tag: str, dry: bool) -> Repointed:
    """Have a destination of the old master follow the new one; raises what stands against it, before any change.

    :param settings: those of the move, which is under another tag.
    """
    names.check_tag(tag)
    own = dataclasses.replace(settings, tag=tag, intermediates=tag == names.DEFAULT_TAG)
    with Session(own, dry) as session, contextlib.ExitStack() as stack:
        return _Repointing(own, session, stack, new, old).go()


class _Seen(t.NamedTuple):
    """A dataset that was looked at, and the host where that was."""

    shell: Shell
    features: Features
    dataset: Dataset | None


class _Repointing:
    """One destination on its way to the new master."""

    def __init__(
        self, settings: Settings, session: Session, stack: contextlib.ExitStack, new: Place, old: Place
    ) -> None:
        self._settings = settings
        self._session = session
        self._stack = stack
        self._new = new
        self._old = old
        self._memory = FeatureMemory(settings.rundir, settings.identity)
        self._works: list[tuple[Observed, Work]] = []
        self._warnings: list[str] = []

    def go(self) -> Repointed:
        if not self._new.reached_as:
            raise Unreachable(
                f"was not asked, so that nothing can be given to it under the tag {self._settings.tag}",
                host=self._new.known_as,
                dataset=self._new.endpoint.filesystem,
                left=UNTOUCHED,
                hint="run it again when it answers",
            )
        for place in (self._new, self._old):
            self._hold(place)
        new_seen = self._look(self._new)
        old_seen = self._look(self._old) if self._old.reached_as else None
        new, old = self._side(self._new, new_seen), self._side(self._old, old_seen)
        if new is None:
            raise self._unknown()
        place = self._destination(new, old)
        endpoint = place.endpoint
        check_not_one_of_them(endpoint, (self._new.endpoint, self._old.endpoint), self._settings.tag)
        dest_seen = self._look(place)
        dest = self._side(place, dest_seen)
        for side, seen in ((new, new_seen), (old, old_seen), (dest, dest_seen)):
            if side is not None and seen is not None:
                _check_script_lock(side, seen.shell)
        masters = [
            Endpoint(host, side.endpoint.filesystem)
            for side in (self._new, self._old)
            for host in (side.endpoint.host, side.known_as, side.reached_as)
            if host
        ]
        three = Three(new, old, endpoint, dest, tuple(masters), new_seen.features, dest_seen.features)
        plan = plan_repoint(three, self._session.now, self._settings)
        pools = {"new": new_seen, "old": old_seen, "dest": dest_seen}
        parts: list[tuple[str, str, t.Sequence[Step]]] = [
            ("old", "dest", plan.bridge),
            ("new", "dest", plan.register),
            ("old", "dest", plan.release),
            ("new", "dest", plan.take),
            ("old", "dest", plan.forget),
        ]
        self._carry_out([part for part in parts if part[2]], pools, endpoint)
        return Repointed(endpoint, self._works, self._warnings)

    # Looking

    def _hold(self, place: Place) -> None:
        """Keep other runs off one side under this tag."""
        if self._session.dry or not place.reached_as:
            return
        filesystem = place.endpoint.filesystem
        if self._is_here(place):
            self._session.lock(filesystem)
            return
        guard = self._stack.enter_context(Guard(self._shell(place), self._settings.tag, filesystem))
        if not guard.held:
            self._warnings.append(not_held(place.reached_as, filesystem))

    def _is_here(self, place: Place) -> bool:
        return place.reached_as == self._settings.identity

    def _shell(self, place: Place) -> Shell:
        return self._session.here if self._is_here(place) else self._session.peer(place.reached_as)

    def _look(self, place: Place) -> _Seen:
        name = place.endpoint.filesystem
        shell = self._shell(place)
        seen = look(shell, self._settings.tag, [name], self._memory)
        if shell is self._session.here:
            self._session.features = seen.features
        found = seen.datasets.get(name)
        return _Seen(shell, seen.features, _as_predicted(found, place.predicted) if found else None)

    def _side(self, place: Place, seen: _Seen | None) -> Side | None:
        if seen is None or seen.dataset is None:
            return None
        return Side(place.reached_as, place.endpoint.host, self._settings.tag, seen.dataset)

    def _destination(self, new: Side, old: Side | None) -> Place:
        """The destination; its endpoint is as the new master is to record it."""
        if old is not None and is_sender(old) and (old.names_peer or not is_sender(new)):
            found, by = old.destination, self._old
        elif is_sender(new):
            found, by = new.destination, self._new
        elif old is None and new.registered:
            # What came here with the old master's properties.
            found, by = new.destination, self._old
        else:
            raise self._unknown()
        for side in (self._new, self._old):
            if _same_machine(found.host, side) or (side is by and found.host == "localhost"):
                known_as = side.known_as if by is self._old else found.host
                return Place(Endpoint(known_as, found.filesystem), known_as, side.reached_as)
        return Place(found, found.host, found.host)

    def _unknown(self) -> NotPaired:
        new, old = self._new.endpoint, self._old.endpoint
        asked = f"neither it nor {old} sends" if self._old.reached_as else "it does not send"
        return NotPaired(
            f"{asked} anywhere under the tag {self._settings.tag!r}",
            host=new.host,
            dataset=new.filesystem,
            left=UNTOUCHED,
            hint=f"if there is such a destination, this gives it to {new.host}: "
            + adopting(new, None, self._settings.tag),
        )

    # Doing

    def _carry_out(
        self,
        parts: t.Sequence[tuple[str, str, t.Sequence[Step]]],
        pools: t.Mapping[str, _Seen | None],
        place: Endpoint,
    ) -> None:
        known = {name: seen.dataset for name, seen in pools.items() if seen is not None}
        if parts and not self._session.dry:
            here = next((found for found in (self._new, self._old) if self._is_here(found)), self._new)
            name = here.endpoint.filesystem
            dataset = known["new" if here is self._new else "old"]
            self._session.keep_script_off(Observed(self._settings.tag, self._settings.identity, name, dataset))
        for first, second, steps in parts:
            one, two = t.cast(_Seen, pools[first]), t.cast(_Seen, pools[second])
            side = self._new if first == "new" else self._old
            plan = Plan(side.endpoint.filesystem, State(known[first], known[second]), tuple(steps))
            seen = Observed(
                self._settings.tag,
                side.reached_as,
                plan.filesystem,
                known[first],
                place.host,
                place.filesystem,
                known[second],
                asked=True,
            )
            work = Work(plan, two.shell, one.features, two.features, self._session.descriptors(plan.filesystem))
            self._works.append((seen, work))
            if any(isinstance(step, Send) for step in steps):
                work.way, warnings = _ways(self._settings, one.shell).way(HERE, two.shell, 1)
                work.warnings += warnings
            if not self._session.dry:
                Executor(one.shell, 1).carry_out([work])
            if work.error is not None:
                return
            known[first], known[second] = plan.after.here, plan.after.there


def _ways(settings: Settings, sender: Shell) -> Ways:
    """How streams of a host go; bbcp only from this one, since it does not relay."""
    return Ways(dataclasses.replace(settings, bbcp="") if sender.remote else settings, sender)


def _same_machine(host: str, place: Place) -> bool:
    """Whether a recorded name is one of those that a side's host is known by; addresses are not looked up."""
    return names.short_host(host).lower() in {
        names.short_host(name).lower() for name in (place.endpoint.host, place.known_as, place.reached_as) if name
    }


def _check_script_lock(side: Side, shell: Shell) -> None:
    if shell.remote:
        check_script_lock_there(side, shell)
    else:
        check_script_lock(side)


def _as_predicted(found: Dataset, predicted: Dataset | None) -> Dataset:
    """A dataset as it was looked at under this tag, with what a move under another tag will have changed."""
    if predicted is None:
        return found
    known = {snapshot.guid: snapshot for snapshot in found.snapshots}
    snapshots = tuple(
        known.get(snapshot.guid) or dataclasses.replace(snapshot, sent=None, bad_mark=None)
        for snapshot in predicted.snapshots
    )
    native = {name: value for name, value in predicted.properties.items() if ":" not in name}
    return dataclasses.replace(found, snapshots=snapshots, properties=dict(found.properties, **native))
