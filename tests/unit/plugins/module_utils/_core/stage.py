# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hosts whose pair is moved, without ZFS: each step takes effect as it predicts, and a run can be killed anywhere.

The verb is the real one, so are its planners and what it sees of a pair. Only what it looks at and what it changes is
simulated, one transaction after another: an old zfs sets one property at a time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
from unittest import mock

from ansible_collections.zfsops.zrep.plugins.module_utils._core import names, run_failover, run_pull, steps, streams
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import Busy, Unreachable
from ansible_collections.zfsops.zrep.plugins.module_utils._core.execute import Work
from ansible_collections.zfsops.zrep.plugins.module_utils._core.freezing import Remount
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import Observed, Property, Side
from ansible_collections.zfsops.zrep.plugins.module_utils._core.settings import NEVER, Settings
from ansible_collections.zfsops.zrep.plugins.module_utils._core.shell import Completed, Shell
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE, State, with_properties

from .builders import HOST, MODERN, NOW, PEER_HOST, as_old, dataset, other_host

NAMES = {
    HOST: (HOST, "hosta.example.org", "10.0.0.1", "fd00::1", "production"),
    PEER_HOST: (PEER_HOST, "hostb.example.org", "10.0.0.2", "fd00::2", "standby"),
}
"""The names under which each host can be reached; the first is its own."""


class Killed(BaseException):
    """What a process meets that is killed: nobody in it can do anything about it."""


class Stage:
    """The two hosts, and what is true of them whoever does what.

    :param on: the dataset of the pair on each host.
    :param guards: whether a guard outlives the process that armed it.
    :param apart: whether the hosts cannot reach each other.
    :param forced: two masters are what was asked for.
    """

    def __init__(self, production, copy, features=MODERN, guards=False, apart=False, forced=False):
        if not features.modern:
            production, copy = as_old(production), as_old(copy)
        self.on = {HOST: production, PEER_HOST: copy}
        self.others = {
            host: {names.parent_of(found.name): dataset(names.parent_of(found.name))} for host, found in self.on.items()
        }
        self.features = features
        self.guards = guards
        self.apart = apart
        self.forced = forced
        self.moments = 0
        self.end = self.caller = None
        self.given_up = []
        self.now = NOW
        self._guids = itertools.count(2**40)

    def moment(self):
        """Something is about to happen; the process may die before."""
        if self.moments == self.end:
            raise Killed
        self.moments += 1

    def side(self, host):
        return Side(host, host, "zrep", self.on[host])

    def masters(self):
        return [host for host in self.on if self.side(host).is_master]

    def kept(self, host):
        """The GUIDs of all snapshots of a host."""
        return {found.guid for one in (self.on[host], *self.others[host].values()) for found in one.snapshots}

    def change(self, host, step):
        """Carry out one step that was planned on a host, as a row of transactions."""
        for part in transactions(step, self.features):
            self.moment()
            self._apply(host, part)
            assert self.forced or len(self.masters()) < 2
            assert self.forced or self.side(HOST).readonly or self.side(PEER_HOST).readonly

    def _apply(self, host, step):
        there = other_host(host)
        where = host if step.side == HERE else there
        before = self.on[where]
        if isinstance(step, streams.Copy):
            self._copy(where, step)
        if isinstance(step, steps.SetProperties) and step.target in self.others[where]:
            self._set_other(where, step.target, dict(step.values))
        after = step.apply(State(self.on[host], self.on[there]))
        self.on[host], self.on[there] = (self._real(found) for found in (after.here, after.there))
        if isinstance(step, steps.Rollback):
            # What was written since the newest snapshot goes too, which is of no interest to a prediction.
            self._set(where, {"written": "0", "unique": "0"})
            gone = {found.guid for found in before.snapshots} - self.kept(where)
            self.given_up += [found.short for found in before.snapshots if found.guid in gone]
            self.given_up += [found for found in (before.written,) if found]
        if isinstance(step, (steps.Inherit, steps.Restore)):
            self._reset(where)

    def _real(self, found):
        """A dataset whose predicted snapshots have become real ones."""
        made = [
            snapshot if snapshot.guid > 0 else dataclasses.replace(snapshot, guid=next(self._guids), creation=self.now)
            for snapshot in found.snapshots
        ]
        return dataclasses.replace(found, snapshots=tuple(made))

    def _set(self, host, values):
        known = {name: value for name, value in values.items() if self.on[host].value(name) is not None}
        state = with_properties(State(self.on[host], None), HERE, self.on[host].name, known)
        self.on[host] = state.here

    def _set_other(self, host, name, values):
        state = with_properties(State(self.others[host][name], None), HERE, name, values)
        self.others[host][name] = state.here

    def above(self, host):
        """What a filesystem has for readonly without a value of its own."""
        found = self.others[host][names.parent_of(self.on[host].name)].properties["readonly"]
        return found if found.source == "default" else Property(found.value, "inherited")

    def _reset(self, host):
        if self.on[host].value("readonly") is None:
            properties = dict(self.on[host].properties, readonly=self.above(host))
            self.on[host] = dataclasses.replace(self.on[host], properties=properties)

    def _copy(self, host, step):
        """zfs refuses what does not continue the copy, or would replace it."""
        source = self.on[host]
        shorts = [found.short for found in source.snapshots]
        first, last = shorts.index(step.base.partition("@")[2]), shorts.index(step.target.partition("@")[2])
        if step.new:
            assert step.copy not in self.others[host]
            self.others[host][step.copy] = dataset(step.copy)
            arrived = source.snapshots[last : last + 1]
        else:
            assert self.others[host][step.copy].snapshots[-1].guid == source.snapshots[first].guid
            arrived = source.snapshots[first + 1 : last + 1]
        copy = self.others[host][step.copy]
        self.others[host][step.copy] = dataclasses.replace(copy, snapshots=copy.snapshots + arrived)
        self._set_other(host, step.copy, dict(step.values))

    def thaw(self, host, value, mount):
        """What an armed guard does when it is left alone."""
        self._set(host, {"readonly": value})
        self._reset(host)
        if mount:
            self._set(host, {"mounted": "yes"})

    # Calls

    def call(self, host, role, end=None, **options):
        """Give a host a role; with ``end`` the process dies before that moment."""
        with self._playing(run_failover, host, end) as settings:
            return run_failover.failover(settings, self.on[host].name, role, **options)

    def refresh(self, host, end=None, **options):
        """Pull on a host; what stands against it is raised."""
        dry = options.pop("dry", False)
        with self._playing(run_pull, host, end, "RemoteLocks", _RemoteLocks) as settings:
            outcome = run_pull.pull(settings, [self.on[host].name], False, options, dry=dry)
        if outcome.errors:
            raise outcome.errors[0].error
        return outcome

    @contextlib.contextmanager
    def _playing(self, verb, host, end, holder="Guard", stand_in=None):
        self.caller, self.moments, self.end = host, 0, end
        self.now += 60
        with contextlib.ExitStack() as stack:
            for name, double in (("Session", _Session), (holder, stand_in or _Guard)):
                stack.enter_context(mock.patch.object(verb, name, functools.partial(double, self)))
            yield Settings(identity=host, lock_properties=NEVER)

    def killed(self, host, role, end, **options):
        """The same, and whether the process was killed."""
        try:
            self.call(host, role, end, **options)
        except Killed:
            return True
        return False


def transactions(step, features):
    """The changes that a step is made of, none of which can be divided."""
    if isinstance(step, Remount):
        return [steps.SetProperties(step.side, step.target, "", values=(("mounted", word),)) for word in ("no", "yes")]
    if isinstance(step, steps.Inherit):
        return [dataclasses.replace(step, properties=(name,)) for name in step.properties]
    if isinstance(step, steps.Restore):
        old = tuple(pair for pair in step.values if pair[1] is not None)
        gone = [(pair,) for pair in step.values if pair[1] is None]
        together = ([old] if old else []) if features.modern else [(pair,) for pair in old]
        return [dataclasses.replace(step, values=values) for values in together + gone]
    if isinstance(step, streams.Copy) and not features.modern:
        told = [steps.SetProperties(step.side, step.copy, "", values=(pair,)) for pair in step.values]
        return [dataclasses.replace(step, values=()), *told]
    if isinstance(step, steps.SetProperties) and not features.modern:
        return [dataclasses.replace(step, values=(pair,)) for pair in step.values]
    return [step]


class _Shell(Shell):
    def __init__(self, stage, caller, host):
        super().__init__(host)
        found = [machine for machine, known in NAMES.items() if host.rpartition("@")[2] in known]
        self.machine = found[0] if found else caller
        self._stage = stage
        self._away = stage.apart and self.machine != caller

    def connect(self, lane=0):
        if self._away:
            raise Unreachable("cannot be reached by ssh", host=self.host, hint="look why")

    def run(self, argv):
        self.connect()
        if argv[0] == "uname":
            return Completed(0, f"{self.machine}.example.org\n", "")
        if argv[:2] == ("zfs", "get"):
            return Completed(0, "\t".join(self._stage.above(self.machine)) + "\n", "")
        return Completed(1, "", "no such program")


class _Session:
    """What a run sees and does, on the stage."""

    def __init__(self, stage, settings, dry):
        self._stage, self.settings, self.dry, self.now = stage, settings, dry, stage.now
        self.here = _Shell(stage, settings.identity, settings.identity)

    def __enter__(self):
        return self

    def __exit__(self, *dummy):
        pass

    def lock(self, filesystem):
        pass

    def descriptors(self, filesystem):
        return ()

    def settle(self, filesystems):
        pass

    def settle_pair(self, seen):
        pass

    def peer(self, host):
        return _Shell(self._stage, self.settings.identity, host)

    def look_here(self, filesystems, more=()):
        self._stage.moment()
        (name,) = filesystems
        found = self._stage.on[self.settings.identity]
        seen = Observed(self.settings.tag, self.settings.identity, name, found, features_here=self._stage.features)
        return {name: seen}

    def look_there(self, pairs, more=()):
        self._stage.moment()
        shell = self.peer(pairs[0].peer_host)
        shell.connect()
        found = self._stage.on[shell.machine]
        features = self._stage.features
        return [
            dataclasses.replace(
                pair,
                there=found if found.name == pair.peer_filesystem else None,
                asked=True,
                features_there=features,
            )
            for pair in pairs
        ]

    def look_at(self, shell, wanted, more=(), trees=()):
        self._stage.moment()
        known = self._stage.others[shell.machine]
        return {name: known[name] for name in wanted if name in known}

    def check_way(self, seen, plan):
        pass

    def carry_out(self, plans):
        return [self._carry_out(seen, plan) for seen, plan in plans]

    def _carry_out(self, seen, plan):
        work = Work(plan, None, seen.features_here, seen.features_there)
        for step in () if self.dry else plan.steps:
            self._stage.change(self.settings.identity, step)
            work.passed(step)
        return work

    def take_back(self, work, error):
        work.error = error
        for step in reversed(work.undo):
            self._stage.change(self.settings.identity, step)
            work.done.append(step)


class _Guard(contextlib.AbstractContextManager):
    """Thaws if it is still armed when its process is no more; whoever takes it holds the lock of his own filesystem."""

    held = True

    def __init__(self, stage, shell, tag, filesystem, lock=True, keep=()):
        shell.connect()
        if lock and shell.machine == stage.caller and filesystem == stage.on[shell.machine].name:
            raise Busy("another process works on it", host=shell.host, dataset=filesystem)
        self._stage, self._machine = stage, shell.machine
        self.host_name = f"{shell.machine}.example.org"
        self._thaw = None

    @property
    def armed(self):
        return self._thaw is not None

    def arm(self, side, features):
        self._thaw = ("off" if side.dataset.local("readonly") == "off" else None, side.mounted)

    def disarm(self):
        self._stage.moment()
        self._thaw = None

    def __exit__(self, *dummy):
        if self.armed and self._stage.guards:
            self._stage.thaw(self._machine, *self._thaw)


class _RemoteLocks(contextlib.AbstractContextManager):
    """Whoever takes them holds the lock of his own filesystem."""

    held = True

    def __init__(self, stage, shell, tag, filesystems):
        shell.connect()
        own = stage.on[shell.machine].name
        self.busy = {name for name in filesystems if shell.machine == stage.caller and name == own}
        self.host_name = f"{shell.machine}.example.org"

    def __exit__(self, *dummy):
        pass
