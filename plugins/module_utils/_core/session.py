# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run: this host, the peers it talks to, the locks it holds, and what it saw of each pair."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from . import names, zfs
from .errors import ZrepError
from .execute import Executor, Work
from .locks import Lock
from .model import Dataset, Features, Observed, Side
from .observe import FeatureMemory, look
from .partial import Abandon
from .plan import Plan
from .scriptlocks import ScriptLocks
from .settings import Settings
from .shell import Shell, peer_shell
from .state import PEER
from .streams import Send
from .ways import Ways


class Session:
    """Use as a context manager: it lets go of locks and connections at the end.

    :param dry: only look and plan; take no lock and change nothing.
    """

    def __init__(self, settings: Settings, dry: bool = False) -> None:
        self.settings = settings
        self.dry = dry
        self.now = int(time.time())
        self.here = Shell(settings.identity)
        self._ways = Ways(settings, self.here)
        self.features = Features()
        self._memory = FeatureMemory(settings.rundir, settings.identity)
        self._peers: dict[str, Shell] = {}
        self._locks: dict[str, Lock] = {}
        self._script = ScriptLocks(settings, self.here)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *dummy: object) -> None:
        self._script.release()
        for lock in self._locks.values():
            lock.release()
        for peer in self._peers.values():
            peer.close()

    # Locks

    def lock(self, filesystem: str) -> Lock | None:
        """Take the lock on a filesystem of this host; raises Busy. A dry session needs none."""
        if self.dry:
            return None
        lock = Lock(self.settings.rundir, self.settings.tag, filesystem, self.settings.identity)
        self._locks[filesystem] = lock
        return lock

    def descriptors(self, filesystem: str) -> tuple[int, ...]:
        """What a stream of this filesystem inherits, so that the lock lives as long as it does."""
        lock = self._locks.get(filesystem)
        return (lock.descriptor,) if lock else ()

    # Looking

    def look_here(self, filesystems: t.Sequence[str] | None, more: t.Sequence[str] = ()) -> dict[str, Observed]:
        """This host's side of pairs, by filesystem; those that do not exist included, with nothing seen.

        :param more: further native properties to read.
        """
        trees = None if self.settings.recursive else ()
        seen = look(self.here, self.settings.tag, filesystems, self._memory, more, trees)
        self.features = seen.features
        wanted = list(seen.datasets) if filesystems is None else filesystems
        return {name: self._observed(name, seen.datasets.get(name)) for name in wanted}

    def _observed(self, filesystem: str, dataset: Dataset | None) -> Observed:
        if self.settings.recursive and dataset is not None:
            dataset = _taken_for_tree(dataset, self.settings.tag)
        return Observed(self.settings.tag, self.settings.identity, filesystem, dataset, features_here=self.features)

    def settle(self, filesystems: t.Sequence[str] | None) -> bool:
        """Make what ZFS says about bytes written exact up to now.

        :param filesystems: None for all of this host, which not every zfs can.
        :returns: whether that is so now. A dry session does it too: it changes nothing, and predictions need it.
        """
        features = self._memory.recall(self.settings.identity) or Features()
        commands = None if filesystems == [] else zfs.settle(filesystems, self.settings.tag, features)
        if commands is None:
            return False
        self._run(commands)
        return True

    def settle_pair(self, seen: Observed) -> None:
        """The same for both sides of a pair that was seen."""
        self.settle([seen.filesystem])
        peer = self.peer(seen.peer_host)
        self._run(zfs.settle([seen.peer_filesystem], self.settings.tag, seen.features_there) or (), peer)

    def settle_there(self, host: str, filesystems: t.Sequence[str]) -> None:
        """Make what a peer's ZFS says about bytes written exact up to now."""
        features = self._memory.recall(host) or Features()
        self._run(zfs.settle(filesystems, self.settings.tag, features) or (), self.peer(host))

    def look_at(
        self, shell: Shell, datasets: t.Sequence[str], more: t.Sequence[str] = (), trees: t.Sequence[str] = ()
    ) -> dict[str, Dataset]:
        """Datasets of a host that are no pairs, by name, as far as they exist.

        :param trees: those of them of which all that is below is wanted too.
        """
        return look(shell, self.settings.tag, datasets, self._memory, more, trees).datasets

    def own_properties(self, dataset: str) -> list[str]:
        """The properties that a dataset of this host has of its own, whoever set them."""
        argv = zfs.own_properties(dataset)
        done = self.here.run(argv)
        if done.status:
            raise zfs.failure(argv, done.status, done.err, self.here.host, dataset)
        return done.out.split()

    def peer(self, host: str) -> Shell:
        """The shell on a peer; the connection is made when it is first used."""
        if host not in self._peers:
            self._peers[host] = peer_shell(host, self.settings.identity, self.settings.ssh, self.settings.rundir)
        return self._peers[host]

    def look_there(
        self, pairs: t.Sequence[Observed], parents: bool = False, more: t.Sequence[str] = ()
    ) -> list[Observed]:
        """Complete what was seen of pairs with one host by the other side of each, in one command.

        :param parents: where a dataset does not exist, look at the one above too: it may have to be created.
        """
        peer = self.peer(pairs[0].peer_host)
        wanted = _distinct(pair.peer_filesystem for pair in pairs)
        trees = [pair.peer_filesystem for pair in pairs if self._is_tree(pair)]
        seen = look(peer, self.settings.tag, wanted, self._memory, more, trees)
        datasets = dict(seen.datasets)
        above = _distinct(
            names.parent_of(pair.peer_filesystem) for pair in pairs if pair.peer_filesystem not in datasets
        )
        if parents and any(above):
            datasets.update(look(peer, self.settings.tag, [name for name in above if name], self._memory).datasets)
        datasets.update(
            (name, _taken_for_tree(datasets[name], self.settings.tag)) for name in trees if name in datasets
        )
        return [_with_peer(pair, datasets, seen.features) for pair in pairs]

    def _is_tree(self, seen: Observed) -> bool:
        side = seen.side_here
        return self.settings.recursive or (side is not None and side.recursive)

    # Doing

    def carry_out(self, plans: t.Sequence[tuple[Observed, Plan]]) -> list[Work]:
        """Carry out plans, or in a dry session only pretend; what became of each is in its Work."""
        works = [
            Work(
                plan,
                self.peer(seen.peer_host)
                if any(step.side == PEER or isinstance(step, Send) for step in plan.steps)
                else None,
                seen.features_here,
                seen.features_there,
                self.descriptors(seen.filesystem),
            )
            for seen, plan in plans
        ]
        refused = self._find_ways(works)
        for work in works:
            work.warnings += [step.warning(work.plan.before) for step in work.plan.steps if isinstance(step, Abandon)]
        if self.dry:
            for work in works:
                work.error = refused.get(work.plan.filesystem)
            return works
        executor = Executor(self.here, self.settings.parallel)
        refused.update(
            self._keep_script_off([seen for seen, plan in plans if plan.steps and seen.filesystem not in refused])
        )
        for work in works:
            if work.plan.filesystem in refused:
                executor.fail(work, refused[work.plan.filesystem])
        try:
            executor.carry_out(works)
        finally:
            lost = self._script.lost()
            for work in works:
                if work.plan.filesystem in lost:
                    work.warnings.append(_overtaken(work.plan.filesystem, lost[work.plan.filesystem]))
        return works

    def check_way(self, seen: Observed, plan: Plan) -> None:
        """Raise what stands against the streams of a plan, before anything is done for it."""
        for step in plan.steps:
            if isinstance(step, Send):
                self._ways.way(step.side, self.peer(seen.peer_host), 1)

    def _find_ways(self, works: t.Sequence[Work]) -> dict[str, ZrepError]:
        """Decide which way the streams of plans go; returns which plans may not be begun, and why."""
        refused: dict[str, ZrepError] = {}
        sending = {}
        for number, work in enumerate(works):
            sides = [step.side for step in work.plan.steps if isinstance(step, Send)]
            if sides:
                sending[number] = sides[0]
        for number, side in sending.items():
            work = works[number]
            try:
                work.way, warnings = self._ways.way(side, t.cast(Shell, work.peer), len(sending))
                work.warnings += self._ways.news(warnings)
            except ZrepError as error:
                error.left = error.left or "nothing was changed"
                refused[work.plan.filesystem] = error
        return refused

    def limiter(self) -> tuple[str, ...]:
        """The command that keeps a stream below the rate limit which leaves this program, none for no limit."""
        return self._ways.limiter()

    def keep_script_off(self, seen: Observed) -> None:
        """Hold the script's lock, where it is around, on a filesystem that no plan is about; raises if it is taken."""
        for error in self._keep_script_off([seen]).values():
            raise error

    def _keep_script_off(self, concerned: t.Sequence[Observed]) -> dict[str, ZrepError]:
        """Take the script's locks where it is around; returns what may not be worked on, and why.

        What was planned was seen before that, so it is looked at again: the lock is written only where something is to
        be done and nothing stands against it, and still nobody has worked in between.
        """
        refused: dict[str, ZrepError] = {}
        # What is yet to be made belongs to nobody.
        here = [seen for seen in concerned if seen.here is not None]
        new = {seen.filesystem: seen for seen in here if not self._script.holds(seen.filesystem)}
        if not new or not self._script.wanted:
            return refused
        refused.update(self._script.take(new, self.features))
        taken = [name for name in new if name not in refused]
        try:
            now = self.look_here(taken) if taken else {}
        except ZrepError as error:
            return dict.fromkeys(taken, error)
        found = {name: self._script.check_kept(new[name], now[name]) for name in taken}
        refused.update((name, error) for name, error in found.items() if error is not None)
        return refused

    def take_back(self, work: Work, error: ZrepError) -> None:
        """End a plan that went well for a reason that was found after it, and take back what it began."""
        Executor(self.here, 1).fail(work, error)

    def _run(self, commands: t.Iterable[zfs.Argv], shell: Shell | None = None) -> None:
        where = shell or self.here
        for argv in commands:
            done = where.run(argv)
            if done.status:
                raise zfs.failure(argv, done.status, done.err, where.host)


def _taken_for_tree(dataset: Dataset, tag: str) -> Dataset:
    return dataset if Side("", "", tag, dataset).recursive else dataset.as_tree(tag)


def _overtaken(filesystem: str, pid: int) -> str:
    return (
        f"{filesystem}: process {pid} put its lock in place of ours while this ran, as the script can if it begins in "
        "the same moment: both may have worked on it at once"
    )


def _distinct(words: t.Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))


def _with_peer(pair: Observed, datasets: t.Mapping[str, Dataset], features: Features) -> Observed:
    return dataclasses.replace(
        pair,
        there=datasets.get(pair.peer_filesystem),
        features_there=features,
        asked=True,
        there_parent=datasets.get(names.parent_of(pair.peer_filesystem)),
    )


def with_recorded_peer(seen: Observed) -> Observed:
    """What was seen, with the name of the other side as this one records it; raises BadProperty if that is nonsense."""
    side = seen.side_here
    if side is None or not side.registered:
        return seen
    peer = side.peer
    return dataclasses.replace(seen, peer_host=peer.host, peer_filesystem=peer.filesystem)


def registered(pairs: t.Iterable[Observed]) -> list[Observed]:
    """Those that are pairs of the tag, not children that inherit from one."""
    return [seen for seen in pairs if seen.side_here is not None and seen.side_here.registered]


def masters(pairs: t.Iterable[Observed]) -> list[Observed]:
    """Those that this host is to push: local masters that name it as their source.

    As with the script: what came here with its properties, in a pool that was moved or on a host that was renamed, is
    left alone.
    """
    found = []
    for seen in pairs:
        side = t.cast(Side, seen.side_here)
        host = side.dataset.value(names.property_name(side.tag, "src-host"))
        if side.is_master and host == side.identity:
            found.append(seen)
    return found


def is_replica(seen: Observed) -> bool:
    """Whether this host has the replica of a pair, and says so itself."""
    side = seen.side_here
    try:
        return side is not None and side.registered and not side.is_master and not side.is_source
    except ZrepError:
        return False  # What is wrong with its record is told by whoever works on it.


def replicas(pairs: t.Iterable[Observed]) -> list[Observed]:
    """Those that this host can pull: neither masters, nor sources of a pair that is being made from here."""
    found = []
    for seen in pairs:
        side = t.cast(Side, seen.side_here)
        host = side.dataset.value(names.property_name(side.tag, "src-host"))
        filesystem = side.dataset.value(names.property_name(side.tag, "src-fs"))
        if not side.is_master and (host, filesystem) != side.endpoint:
            found.append(seen)
    return found


def by_peer(pairs: t.Iterable[Observed]) -> list[list[Observed]]:
    """Pairs grouped by the host at the other end."""
    groups: dict[str, list[Observed]] = {}
    for seen in pairs:
        groups.setdefault(seen.peer_host, []).append(seen)
    return list(groups.values())
