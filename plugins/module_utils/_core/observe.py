# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at one side, or at all pairs of a side, in one zfs command."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
import typing as t

from . import names, zfs
from .errors import BadInput
from .model import Dataset, Features
from .shell import Shell

REMEMBER_SECONDS = 86400
"""How long the answer about a host's properties is believed; an upgrade without a reboot is noticed after that."""


class Look(t.NamedTuple):
    """What a host showed: the datasets by name, and what its zfs can do."""

    datasets: dict[str, Dataset]
    features: Features


def look(
    shell: Shell, tag: str, filesystems: t.Sequence[str] | None, memory: FeatureMemory, more: t.Sequence[str] = ()
) -> Look:
    """Read datasets with their snapshots and our properties in one command.

    :param filesystems: which; those that do not exist are left out of the answer. None asks for everything on the host.
    :param more: further native properties to read.
    :raises ZrepError: zfs refused, the host cannot be reached, or a property breaks the table.
    """
    if filesystems is None:
        return _look_once(shell, tag, (), memory, more)
    found: dict[str, Dataset] = {}
    rest = list(filesystems)
    features = Features()
    while rest:
        known = memory.recall(shell.host)
        part = rest if known is not None and known.modern else _unrelated(rest)
        seen = _look_once(shell, tag, part, memory, more)
        features = seen.features
        found.update((name, seen.datasets[name]) for name in part if name in seen.datasets)
        rest = [name for name in rest if name not in part]
    return Look(found, features)


def _unrelated(filesystems: t.Sequence[str]) -> list[str]:
    """Names of which none is the child of another: an old zfs shows a child twice if it is asked for both."""
    return [name for name in filesystems if names.parent_of(name) not in filesystems]


def _look_once(
    shell: Shell, tag: str, filesystems: t.Sequence[str], memory: FeatureMemory, more: t.Sequence[str]
) -> Look:
    features = memory.recall(shell.host)
    refused: list[str] = []
    while True:
        properties = tuple(name for name in zfs.wanted_properties(tag, features, more) if name not in refused)
        argv = zfs.get(properties, filesystems)
        done = shell.run(argv)
        unknown = zfs.unknown_property(done.err) if done.status else None
        if unknown is None:
            break
        if unknown in refused or unknown not in zfs.OPTIONAL:
            raise BadInput(f"zfs there knows no property {unknown!r}", host=shell.host)
        # The first answer about an unknown host, or an old one about a host that changed.
        refused.append(unknown)
        features = Features(frozenset(name for name in zfs.OPTIONAL if name not in refused))
    complaints = zfs.complaints(done.err) if done.status else []
    if done.status and (complaints or not done.err.strip()):
        raise zfs.failure(argv, done.status, "\n".join(complaints), shell.host)
    if features is None:
        features = Features(frozenset(zfs.OPTIONAL[:2]))
    memory.remember(shell.host, features)
    return Look(zfs.parse_get(done.out, properties, tag, shell.host), features)


class FeatureMemory:
    """What zfs on each host can do, kept between runs in the run directory: asking costs a process.

    A wrong memory does no harm: a property that is unknown after all is asked for once more without it.
    """

    def __init__(self, rundir: str) -> None:
        self._rundir = rundir
        self._known: dict[str, Features] = {}

    def _path(self, host: str) -> str:
        return os.path.join(self._rundir, "features-{}.json".format(re.sub(r"[^A-Za-z0-9.@-]", "_", host)))

    def recall(self, host: str) -> Features | None:
        if host not in self._known:
            path = self._path(host)
            try:
                if time.time() - os.stat(path).st_mtime > REMEMBER_SECONDS:
                    return None
                with open(path, encoding="utf-8") as file:
                    properties = json.load(file)
            except (OSError, ValueError):
                return None
            if not isinstance(properties, list):
                return None
            self._known[host] = Features(frozenset(name for name in zfs.OPTIONAL if name in properties))
        return self._known[host]

    def remember(self, host: str, features: Features) -> None:
        if self._known.get(host) == features:
            return
        self._known[host] = features
        try:
            handle, name = tempfile.mkstemp(dir=self._rundir)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(sorted(features.properties), file)
            os.replace(name, self._path(host))
        except OSError:
            pass  # Only costs a question next time.
