# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of datasets, snapshots, tags, properties and hosts: what is allowed, how they are built, how serials count.

Pure. Every name that reaches a command line or a shell has passed one of the ``check_`` functions, so none can be
taken for an option or for shell syntax. They are stricter than ZFS (see zfsprops(7), "zfs name component rules"):
spaces are refused, since the tools at the other end of a pair cannot carry them.
"""

from __future__ import annotations

import re
import typing as t

from .errors import BadInput

DEFAULT_TAG = "zrep"
DATASET_LIMIT = 255
"""Longest dataset name, snapshot part included, that ZFS accepts (ZFS_MAX_DATASET_NAME_LEN less the final NUL)."""
TAG_LIMIT = 64
UNSENT = "_unsent"

_DATASET = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]*(?:/[A-Za-z0-9_.:-]+)*\Z")
_SNAPNAME = re.compile(r"[A-Za-z0-9_.:-]+\Z")
_TAG = re.compile(r"[a-z0-9][a-z0-9._-]*\Z")
_HOST = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9:\[][A-Za-z0-9_.:%\[\]-]*\Z")
_PROPERTY = re.compile(r"[a-z0-9][a-z0-9:._-]*\Z")
_SERIAL = re.compile(r"(?P<serial>[0-9a-f]{6,})(?P<unsent>_unsent)?\Z")
_OF_SOME_TAG = re.compile(r"(?P<tag>[a-z0-9][a-z0-9._-]*)_[0-9a-f]{6,}(?:_unsent)?\Z")
_NUMBER = re.compile(r"[0-9]{1,20}\Z")
_ADDRESS = re.compile(r"(?:[0-9]+(?:\.[0-9]+){3}|[0-9A-Fa-f:%\[\]]*:[0-9A-Za-z.:%\[\]]*)\Z")


class SnapshotName(t.NamedTuple):
    """The short name of a snapshot of ours, taken apart."""

    serial: int
    unsent: bool


def check_dataset(name: str, what: str = "filesystem") -> str:
    """Return the name of a filesystem or volume if it is one; raise BadInput otherwise."""
    _check_text(name, what)
    if "@" in name or "#" in name:
        raise BadInput(f"{what} {name!r} names a snapshot or bookmark, not a filesystem or volume")
    if len(name) > DATASET_LIMIT:
        raise BadInput(f"{what} name is longer than {DATASET_LIMIT} characters: {_short(name)!r}")
    if not _DATASET.match(name) or any(part in (".", "..") for part in name.split("/")):
        raise BadInput(
            f"{what} {_short(name)!r} is no name that can be used: expected POOL/NAME from letters, digits and _ . : -"
        )
    return name


def check_snapshot(name: str, what: str = "snapshot") -> str:
    """Return the short name of a snapshot (the part after the ``@``) if it is one; raise BadInput otherwise."""
    _check_text(name, what)
    if not _SNAPNAME.match(name) or name.startswith("-"):
        raise BadInput(
            f"{what} {_short(name)!r} is no snapshot name that can be used: expected letters, digits and _ . : -"
        )
    return name


def check_tag(tag: str) -> str:
    """Return the tag if ZFS takes it as a property namespace and it cannot be confused; raise BadInput otherwise."""
    _check_text(tag, "tag")
    if len(tag) > TAG_LIMIT or not _TAG.match(tag):
        raise BadInput(
            f"tag {_short(tag)!r} cannot be used: expected at most {TAG_LIMIT} lower-case letters, digits and . _ -, "
            "without separators such as : @ /"
        )
    return tag


def check_host(host: str, what: str = "peer_host") -> str:
    """Return HOST or USER@HOST if it can be handed to ssh safely; raise BadInput otherwise."""
    _check_text(host, what)
    if len(host) > 255 or not _HOST.match(host):
        raise BadInput(f"{what} {_short(host)!r} is no host name that can be used: expected HOST or USER@HOST")
    return host


def check_property(name: str, what: str = "property") -> str:
    """Return the name of a ZFS property if it can be one; raise BadInput otherwise."""
    _check_text(name, what)
    if not _PROPERTY.match(name):
        raise BadInput(f"{what} {_short(name)!r} is no name of a ZFS property")
    return name


def parse_number(text: str | None) -> int | None:
    """A number as zfs prints it, None for anything else: ``str.isdigit`` alone takes more than ``int`` does."""
    return int(text) if text is not None and _NUMBER.match(text) else None


def check_savecount(value: t.Any, what: str = "savecount") -> int:
    """Return how many snapshots to keep: a whole number from 1 on; raise BadInput for anything else."""
    text = str(value).strip()
    if isinstance(value, bool) or not re.match(r"[0-9]{1,9}\Z", text) or int(text) < 1:
        raise BadInput(f"{what} {_short(str(value))!r} cannot be used: expected a whole number from 1 on")
    return int(text)


def _check_text(value: str, what: str) -> None:
    if not isinstance(value, str) or not value:
        raise BadInput(f"{what} is empty")
    if value.startswith("-"):
        raise BadInput(f"{what} {_short(value)!r} begins with '-' and would be taken for an option")


def _short(value: str) -> str:
    return value if len(value) <= 80 else value[:77] + "..."


def pool_of(dataset: str) -> str:
    """The pool a dataset or snapshot lies in."""
    return re.split(r"[/@]", dataset, maxsplit=1)[0]


def parent_of(dataset: str) -> str:
    """The dataset above, or an empty string for a pool."""
    return dataset.rpartition("/")[0]


def split_snapshot(name: str) -> tuple[str, str]:
    """``fs@snap`` as (``fs``, ``snap``); the second part is empty for a plain dataset."""
    dataset, _dummy, snapshot = name.partition("@")
    return dataset, snapshot


def property_name(tag: str, name: str) -> str:
    """The full name of one of our user properties."""
    return f"{tag}:{name}"


def snapshot_name(tag: str, serial: int) -> str:
    """The short name of the snapshot with this serial: six lower-case hexadecimal digits, more once they run out."""
    return f"{tag}_{serial:06x}"


def parse_snapshot(tag: str, short: str) -> SnapshotName | None:
    """Take a short snapshot name apart, or None if it is not one of this tag.

    Matched to its end: ``zrep_abcdef-mine`` and the snapshots of a tag ``zrep_dc`` are not ours.
    """
    head, found, tail = short.partition(tag + "_")
    match = _SERIAL.match(tail) if found and not head else None
    if match is None:
        return None
    return SnapshotName(int(match.group("serial"), 16), bool(match.group("unsent")))


def other_tags(tag: str, shorts: t.Iterable[str]) -> list[str]:
    """The tags that snapshots with these names may belong to, but for one; the newest of them last in, first out.

    What others call their snapshots can look the same, so that these are tags to ask about, and no more.
    """
    found = (_OF_SOME_TAG.match(short) for short in reversed(list(shorts)))
    tags = dict.fromkeys(match.group("tag") for match in found if match and len(match.group("tag")) <= TAG_LIMIT)
    return [name for name in tags if name != tag and not name.endswith("_preserved")]


def next_serial(tag: str, shorts: t.Iterable[str]) -> int:
    """The serial that follows the highest one among these short names; 0 if there is none."""
    parsed = (parse_snapshot(tag, short) for short in shorts)
    return max((found.serial for found in parsed if found), default=-1) + 1


def short_host(host: str) -> str:
    """The identity of a host: without user, cut at the first dot; addresses stay whole."""
    name = host.rpartition("@")[2]
    return name if _ADDRESS.match(name) else name.partition(".")[0]


def same_host(one: str, other: str) -> bool:
    """Whether two spellings may mean one host.

    Spellings differ legitimately: a side records what an administrator typed (full name, address, alias) or a short
    name after a role swap. Only two plain names that differ are surely two hosts.
    """
    first, second = short_host(one).lower(), short_host(other).lower()
    if first == second:
        return True
    return any(name == "localhost" or _ADDRESS.match(name) for name in (first, second))
