# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What two sides of a pair have of their own since the snapshot that they share: the facts to choose a winner by. Pure.

Times are epoch seconds and ISO 8601 in UTC, sizes are bytes, unknown values are None.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .model import Common, Side, Snapshot
from .report import iso
from .trees import Part

FILES_LIMIT = 1000
"""How many changed files of a side are read and reported."""
FILES_SHOWN = 10
"""How many of them a message names."""

_KINDS = {"+": "added", "-": "removed", "M": "changed", "R": "renamed"}
_ROW = re.compile(
    r"(?P<time>[0-9]+)(?:\.[0-9]+)?\t(?P<kind>[-+MR])\t(?P<type>.)\t(?P<path>[^\t]*)(?:\t(?P<new>[^\t]*))?\Z"
)
_OCTAL = re.compile(r"\\0?([0-7]{3})")


class FileChange(t.NamedTuple):
    """A file that changed, by its path below the mount point."""

    path: str
    kind: str
    time: int


@dataclasses.dataclass(frozen=True)
class Listing:
    """What ``zfs diff`` says about one side.

    :param files: the files that changed, None if it cannot tell.
    :param reason: why it cannot.
    :param complete: false if there are more than were read.
    """

    files: tuple[FileChange, ...] | None
    reason: str = ""
    complete: bool = True


def parse_diff(text: str, mountpoint: str) -> Listing:
    """Read the rows of ``zfs diff -FHt`` (zfs-diff(8)). Directories that only changed their content are left out."""
    rows = text.splitlines()
    found: list[FileChange] = []
    prefix = mountpoint.rstrip("/") + "/"
    for row in rows:
        match = _ROW.match(row)
        if match is None or (match.group("kind") == "M" and match.group("type") == "/"):
            continue
        # A changed file may have a change in its number of links there instead of a new name.
        path = _plain(match.group("new" if match.group("kind") == "R" else "path") or match.group("path"))
        inner = path[len(prefix) :] if path.startswith(prefix) else path
        found.append(FileChange(inner, _KINDS[match.group("kind")], int(match.group("time"))))
    return Listing(tuple(found), complete=len(rows) < FILES_LIMIT)


def _plain(path: str) -> str:
    """A path without the octal numbers that zfs writes for unusual characters."""
    raw = _OCTAL.sub(lambda match: chr(int(match.group(1), 8)), path)
    try:
        return raw.encode("latin-1").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return path


@dataclasses.dataclass(frozen=True)
class Changes:
    """What one side has of its own since the common snapshot."""

    side: Side
    base: Snapshot
    listing: Listing
    whole: tuple[Part, ...] = ()
    """The side and what is below it, where that belongs to the pair."""

    @property
    def size(self) -> int | None:
        sizes = [part.size for part in self.whole or (Part(self.side, self.base),)]
        return None if None in sizes else sum(size or 0 for size in sizes)

    @property
    def below(self) -> list[str]:
        """The names of what is below the side and has something of its own."""
        return [part.below(self.side.filesystem)[1:] for part in self.whole[1:] if part.has_own]

    @property
    def last_written(self) -> int | None:
        """When it was last written, None if nothing was or ZFS cannot tell."""
        times = [found.time for found in self.listing.files or ()]
        written = [
            found.creation
            for part in self.whole or (Part(self.side, self.base),)
            for found in (part.side.after(part.base) if part.base else part.side.snapshots)
            if found.written
        ]
        return max(times + written, default=None)

    def facts(self) -> dict[str, t.Any]:
        files = self.listing.files
        return {
            "host": self.side.host,
            "filesystem": self.side.filesystem,
            "snapshots": [found.short for found in self.side.after(self.base)],
            "bytes": self.size,
            "changed_below": self.below,
            "last_written": self.last_written,
            "last_written_iso": iso(self.last_written),
            "promoted_iso": iso(self.side.promoted or None),
            "files": None if files is None else [f"{found.kind} {found.path}" for found in files],
            "files_complete": self.listing.complete,
            "files_unknown_because": self.listing.reason,
        }

    def text(self) -> str:
        later = [found.short for found in self.side.after(self.base)]
        parts = [
            "{} later {}{}".format(len(later), _plural("snapshot", len(later)), f" ({_some(later)})" if later else "")
        ]
        if self.size is not None:
            parts.append(f"{self.size} bytes written")
        if self.below:
            parts.append(f"changes below it in {_some(self.below)}")
        if self.last_written is not None:
            parts.append(f"last written {iso(self.last_written)}")
        files = self.listing.files
        if files is None:
            parts.append(f"which files changed cannot be told ({self.listing.reason})")
        else:
            more = "" if self.listing.complete else "at least "
            names = ": " + _some([f"{found.kind} {found.path}" for found in files]) if files else ""
            parts.append("{}{} {} changed{}".format(more, len(files), _plural("file", len(files)), names))
        return "{}:{} has {}".format(self.side.host, self.side.filesystem, ", ".join(parts))


@dataclasses.dataclass(frozen=True)
class Divergence:
    """Both sides since their newest common snapshot."""

    common: Common
    here: Changes
    there: Changes

    @property
    def both(self) -> list[str] | None:
        """The files that changed on both sides, None if that cannot be told."""
        if self.here.listing.files is None or self.there.listing.files is None:
            return None
        mine = {found.path for found in self.here.listing.files}
        return sorted(mine.intersection(found.path for found in self.there.listing.files))

    def facts(self) -> dict[str, t.Any]:
        return {
            "common_snapshot": self.common.here.short,
            "common_created": self.common.here.creation,
            "common_created_iso": iso(self.common.here.creation),
            "here": self.here.facts(),
            "there": self.there.facts(),
            "changed_on_both": self.both,
        }

    def text(self) -> str:
        both = self.both
        sentences = [
            f"the newest common snapshot is {self.common.here.short} of {iso(self.common.here.creation)}",
            self.here.text(),
            self.there.text(),
        ]
        if both is not None:
            sentences.append("no file changed on both" if not both else f"changed on both: {_some(both)}")
        return "; ".join(sentences)


def _some(words: t.Sequence[str]) -> str:
    shown = ", ".join(words[:FILES_SHOWN])
    return shown if len(words) <= FILES_SHOWN else f"{shown} and {len(words) - FILES_SHOWN} more"


def _plural(noun: str, number: int) -> str:
    return noun if number == 1 else noun + "s"
