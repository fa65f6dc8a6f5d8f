# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the owner of a key may ask for: read from a file that only root can write. One file for each key."""

from __future__ import annotations

import json
import os
import re
import stat
import typing as t

from .._core import names
from .._core.errors import ZrepError
from .words import Refused

VERSION = 1
SIZE_LIMIT = 4 * 1024 * 1024
"""Bytes."""

RECEIVE = "receive"
SEND = "send"
MOVE = "move"
FORCE = "force"
GRANTS: dict[str, str] = {
    RECEIVE: "send streams into the filesystem, the first of which makes it",
    SEND: "have it snapshotted and sent",
    MOVE: "move the master role",
    FORCE: "throw away what only this side has: roll back, receive with -F, destroy and move aside",
}

_PROPERTY = re.compile(r"[a-z0-9][a-z0-9:._-]*=[\w@%+=:,./# -]{1,1024}\Z", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")
_PLACE = re.compile(r"/[\w@%+=:,./# -]{0,1023}\Z", re.ASCII)


class Pair(t.NamedTuple):
    """A filesystem of this host, and what the other end may do with it.

    :param peer_filesystem: what it is paired with.
    :param recursive: the grants hold for all that is below it, too.
    :param properties: assignments of further properties that it may get, as PROPERTY=VALUE.
    :param mountpoints: where it may be mounted by order of the other end.
    :param hosts: by which names the two hosts may be recorded; empty for any.
    """

    filesystem: str
    peer_filesystem: str
    tag: str
    grants: frozenset[str]
    recursive: bool = False
    properties: frozenset[str] = frozenset()
    mountpoints: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()

    def may(self, *grants: str) -> bool:
        """Whether any of these was granted."""
        return not self.grants.isdisjoint(grants)

    def has(self, dataset: str) -> bool:
        """Whether a dataset is the filesystem, or one below it that belongs to the pair."""
        return dataset == self.filesystem or (self.recursive and self.is_below(dataset))

    def is_below(self, dataset: str) -> bool:
        """Whether it is below the filesystem, and has a name that can be one."""
        if not dataset.startswith(self.filesystem + "/"):
            return False
        return _is_dataset(dataset)

    def is_kin(self, dataset: str) -> bool:
        """Whether it has the name of one that was moved aside, or that preserves what the filesystem had."""
        head, _dummy, rest = dataset[: len(self.filesystem)], "", dataset[len(self.filesystem) :]
        return head == self.filesystem and bool(_KIN.match(rest)) and _is_dataset(dataset)

    def is_above(self, dataset: str) -> bool:
        """Whether it is the one directly above."""
        return bool(dataset) and dataset == names.parent_of(self.filesystem)


_KIN = re.compile(
    r"(?:_(?:replaced|removed)_[0-9]{9,12}(?:_[A-Za-z0-9_.:-]+)?|_preserved_[A-Za-z0-9_.:-]+)(?:/[A-Za-z0-9_.:-]+)*\Z"
)


def _is_dataset(name: str) -> bool:
    try:
        names.check_dataset(name)
    except ZrepError:
        return False
    return True


class Rules(t.NamedTuple):
    """All that the owner of a key may ask for.

    :param name: whose key it is, for the log.
    :param exclude: properties that no stream of his may bring.
    :param zrep: the program for requests of the script.
    :param rundir: where this host's locks are, if not at the usual place.
    :param log_all: also what is admitted is logged.
    """

    name: str
    pairs: tuple[Pair, ...]
    exclude: tuple[str, ...] = ()
    zrep: str = ""
    rundir: str = ""
    log_all: bool = False


def load(path: str) -> Rules:
    """Read a file; raises Refused if there is none that can be trusted, or if it makes no sense."""
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise Refused(f"{path} is no regular file")
            if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
                raise Refused(f"others than its reader can write to {path}")
            content = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > SIZE_LIMIT:
        raise Refused(f"{path} is too long")
    try:
        return parse(json.loads(content.decode("utf-8")))
    except (ValueError, RecursionError) as error:
        raise Refused(f"{path} is no JSON: {error}") from None
    except Refused as error:
        raise Refused(f"{path}: {error}") from None


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def parse(found: t.Any) -> Rules:
    """Rules from what a file holds; raises Refused for anything that is not exactly as expected."""
    keys = {"version", "name", "pairs", "exclude", "zrep", "rundir", "log_all"}
    _check_keys(found, keys, {"version", "name", "pairs"}, "it")
    if found["version"] != VERSION or isinstance(found["version"], bool):
        raise Refused(f"its version is {found['version']!r}, not {VERSION}")
    name = found["name"]
    if not isinstance(name, str) or not _NAME.match(name):
        raise Refused(f"{name!r} is no name of a key")
    if not isinstance(found["pairs"], list):
        raise Refused("pairs is no list")
    for key in ("zrep", "rundir"):
        if key in found and not (isinstance(found[key], str) and _PLACE.match(found[key])):
            raise Refused(f"{key} is no absolute path")
    return Rules(
        name,
        tuple(_pair(item) for item in found["pairs"]),
        tuple(sorted(_texts(found, "exclude", re.compile(r"[a-z][a-z0-9:._-]*\Z")))),
        found.get("zrep", ""),
        found.get("rundir", ""),
        _truth(found, "log_all"),
    )


def _pair(found: t.Any) -> Pair:
    keys = {*Pair._fields}
    _check_keys(found, keys, {"filesystem", "peer_filesystem", "tag", "grants"}, "a pair")
    grants = frozenset(_texts(found, "grants", re.compile(r"[a-z]+\Z")))
    if not grants <= set(GRANTS):
        raise Refused("there is no grant {}".format(", ".join(sorted(grants - set(GRANTS)))))
    try:
        filesystem = names.check_dataset(found["filesystem"])
        peer = names.check_dataset(found["peer_filesystem"], "peer_filesystem")
        tag = names.check_tag(found["tag"])
        hosts = frozenset(names.check_host(host, "hosts") for host in _texts(found, "hosts", re.compile(r".+\Z")))
    except ZrepError as error:
        raise Refused(error.message) from None
    return Pair(
        filesystem,
        peer,
        tag,
        grants,
        _truth(found, "recursive"),
        frozenset(_texts(found, "properties", _PROPERTY)),
        frozenset(_texts(found, "mountpoints", _PLACE)),
        hosts,
    )


def _check_keys(found: t.Any, keys: set[str], needed: set[str], what: str) -> None:
    if not isinstance(found, dict):
        raise Refused(f"{what} is no mapping")
    unknown, missing = set(found) - keys, needed - set(found)
    if unknown or missing:
        problem = "unknown keys" if unknown else "no"
        raise Refused("{} has {} {}".format(what, problem, ", ".join(sorted(map(str, unknown or missing)))))


def _texts(found: t.Mapping[str, t.Any], key: str, shape: t.Pattern[str]) -> list[str]:
    values = found.get(key, [])
    if not isinstance(values, list) or not all(isinstance(text, str) and shape.match(text) for text in values):
        raise Refused(f"{key} holds something that it cannot")
    return values


def _truth(found: t.Mapping[str, t.Any], key: str) -> bool:
    value = found.get(key, False)
    if not isinstance(value, bool):
        raise Refused(f"{key} is neither true nor false")
    return value
