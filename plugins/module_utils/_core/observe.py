# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at one side, or at all pairs of a side, in one zfs command."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import tempfile
import time
import typing as t

from . import names, zfs
from .errors import BadInput
from .model import Dataset, Features, Side
from .shell import Shell

REMEMBER_SECONDS = 86400
"""How long the answer about a host's properties is believed; an upgrade without a reboot is noticed after that."""


class Look(t.NamedTuple):
    """What a host showed: the datasets by name, and what its zfs can do."""

    datasets: dict[str, Dataset]
    features: Features


def look(
    shell: Shell,
    tag: str,
    filesystems: t.Sequence[str] | None,
    memory: FeatureMemory,
    more: t.Sequence[str] = (),
    trees: t.Collection[str] | None = (),
) -> Look:
    """Read datasets with their snapshots and our properties in one command.

    A tree that is a pair is read with all that is below it, in a command of its own where it was not known to be one.

    :param filesystems: which; those that do not exist are left out of the answer. None asks for everything on the host.
    :param more: further native properties to read.
    :param trees: those of them that are known to be trees, None for all pairs.
    :raises ZrepError: zfs refused, the host cannot be reached, or a property breaks the table.
    """
    if filesystems is None:
        seen = _look_once(shell, tag, (), memory, more)
        all_pairs = trees is None
        return seen._replace(datasets={name: _grown(name, seen.datasets, tag, all_pairs) for name in seen.datasets})
    known = filesystems if trees is None else trees
    features = Features()
    found: dict[str, Dataset] = {}
    for part in _parts([name for name in filesystems if name not in known], _in_line, shell, memory):
        seen = _look_once(shell, tag, part, memory, more)
        features = seen.features
        found.update((name, seen.datasets[name]) for name in part if name in seen.datasets)
    deep = [name for name in filesystems if name in known or _is_tree(found.get(name), tag)]
    for part in _parts(deep, _below, shell, memory):
        seen = _look_once(shell, tag, part, memory, more, trees=True)
        features = seen.features
        found.update((name, _with_children(name, seen.datasets)) for name in part if name in seen.datasets)
    return Look(found, features)


def _is_tree(dataset: Dataset | None, tag: str, pairs: bool = False) -> bool:
    side = Side("", "", tag, dataset) if dataset is not None else None
    return side is not None and (side.recursive or (pairs and side.registered))


def _grown(name: str, datasets: t.Mapping[str, Dataset], tag: str, pairs: bool) -> Dataset:
    """A dataset, with those below it if it is the root of a tree; or, if so asked, of any pair."""
    return _with_children(name, datasets) if _is_tree(datasets[name], tag, pairs) else datasets[name]


def _with_children(name: str, datasets: t.Mapping[str, Dataset]) -> Dataset:
    below = sorted(found for found in datasets if _below(found, name))
    return dataclasses.replace(datasets[name], children=tuple(datasets[found] for found in below))


def _below(name: str, above: str) -> bool:
    return name.startswith(above + "/")


def _in_line(name: str, above: str) -> bool:
    return names.parent_of(name) == above


def _parts(
    filesystems: t.Sequence[str], shown_by: t.Callable[[str, str], bool], shell: Shell, memory: FeatureMemory
) -> t.Iterator[list[str]]:
    """Names that one command may ask for: an old zfs shows a dataset twice if another one shows it as well."""
    rest = list(filesystems)
    while rest:
        known = memory.recall(shell.host)
        modern = known is not None and known.modern
        part = [name for name in rest if modern or not any(shown_by(name, above) for above in rest)]
        yield part
        rest = [name for name in rest if name not in part]


def _look_once(
    shell: Shell,
    tag: str,
    filesystems: t.Sequence[str],
    memory: FeatureMemory,
    more: t.Sequence[str],
    trees: bool = False,
) -> Look:
    features = memory.recall(shell.host)
    refused: list[str] = []
    while True:
        properties = tuple(name for name in zfs.wanted_properties(tag, features, more) if name not in refused)
        argv = zfs.get(properties, filesystems, trees)
        done = shell.run(argv)
        unknown = zfs.unknown_property(done.err) if done.status else None
        if unknown is None:
            break
        if unknown in refused or unknown not in zfs.OPTIONAL:
            raise BadInput(f"zfs there knows no property {unknown!r}", host=shell.host)
        # The first answer about an unknown host, or an old one about a host that changed.
        refused.append(unknown)
        if unknown == "receive_resume_token" or unknown in zfs.ENCRYPTION:
            # What came together, or later, is not asked for one by one.
            refused += [name for name in zfs.ENCRYPTION if name not in refused]
        features = Features(frozenset(name for name in zfs.OPTIONAL if name not in refused))
    complaints = zfs.complaints(done.err) if done.status else []
    if done.status and (complaints or not done.err.strip()):
        raise zfs.failure(argv, done.status, "\n".join(complaints), shell.host)
    if features is None:
        features = Features(frozenset(zfs.OPTIONAL[:-1]))
    if memory.recall(shell.host) != features:
        features = dataclasses.replace(features, version=version(shell))
        memory.remember(shell.host, features)
    return Look(zfs.parse_get(done.out, properties, tag, shell.host), features)


VERSION = "/sys/module/zfs/version"
ASK_VERSION = ("cat", VERSION)


def version(shell: Shell) -> str:
    """The version of the kernel module of a host, without a zfs process; empty if that does not say."""
    done = shell.run(ASK_VERSION)
    return done.out.strip()[:80] if done.status == 0 else ""


def version_here() -> str:
    """The same of this host."""
    try:
        with open(VERSION, encoding="utf-8") as file:
            return file.read().strip()[:80]
    except OSError:
        return ""


class FeatureMemory:
    """What zfs on each host can do, and its version, kept between runs in the run directory: asking costs a process.

    A wrong memory does no harm: a property that is unknown after all is asked for once more without it. What a newer
    zfs can do more is known on this host at once, and of another host after a day at most.

    :param own: how this host is called.
    """

    def __init__(self, rundir: str, own: str = "") -> None:
        self._rundir = rundir
        self._own = own
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
                    known = json.load(file)
            except (OSError, ValueError):
                return None
            # What another version of ours remembered says nothing about properties that it did not ask for.
            if not isinstance(known, dict) or known.get("asked") != list(zfs.OPTIONAL):
                return None
            properties, was = known.get("known") or (), str(known.get("version", ""))
            if host == self._own and was != version_here():
                return None
            self._known[host] = Features(frozenset(name for name in zfs.OPTIONAL if name in properties), was)
        return self._known[host]

    def remember(self, host: str, features: Features) -> None:
        if self._known.get(host) == features:
            return
        self._known[host] = features
        try:
            handle, name = tempfile.mkstemp(dir=self._rundir)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                known = {"asked": list(zfs.OPTIONAL), "known": sorted(features.properties), "version": features.version}
                json.dump(known, file)
            os.replace(name, self._path(host))
        except OSError:
            pass  # Only costs a question next time.
