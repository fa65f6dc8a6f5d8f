# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions that are only asked when something is wrong: what changed on two sides, who has files open."""

from __future__ import annotations

import dataclasses
import typing as t

from . import zfs
from .diverging import FILES_LIMIT, Changes, Divergence, FileChange, Listing, parse_diff
from .errors import ZrepError
from .model import Observed, Side, Snapshot, newest_common
from .session import Session
from .shell import Shell
from .trees import Part, parts

HOLDERS_SHOWN = 20

# The files of a mount that processes have open or stand in, with the process's number and name (proc(5)).
_HOLDERS = """\
find /proc -maxdepth 3 '(' -path '/proc/[0-9]*/fd/*' -o -path '/proc/[0-9]*/cwd' ')' \
    '(' -lname "$1" -o -lname "$1/*" ')' 2>/dev/null | head -n "$2" | while read -r link; do
    pid=${link#/proc/}
    pid=${pid%%/*}
    read -r name </proc/$pid/comm
    echo "$pid ($name) $(readlink "$link")"
done
"""


def divergence(session: Session, seen: Observed) -> Divergence | None:
    """What both sides have of their own, None if they share no snapshot. Needs the property ``mountpoint``."""
    here, there = seen.side_here, seen.side_there
    common = newest_common(here, there) if here and there else None
    if here is None or there is None or common is None:
        return None
    mine = _changes(session.here, tuple(parts(here, common.here, there)))
    theirs = _changes(session.peer(seen.peer_host), tuple(parts(there, common.there, here)))
    return Divergence(common, mine, theirs)


def _changes(shell: Shell, whole: tuple[Part, ...]) -> Changes:
    """What a side, and what is below it, has of its own."""
    root = whole[0].side
    files: tuple[FileChange, ...] | None = ()
    reason, complete = "", True
    for part in whole:
        if part is not whole[0] and not part.has_own:
            continue
        prefix = part.below(root.filesystem)[1:]
        found = _listing(shell, part.side, part.base) if part.base else Listing((FileChange(prefix, "added", 0),))
        complete = complete and found.complete
        if found.files is None:
            files, reason = None, found.reason + (f": {prefix}" if prefix else "")
        elif files is not None:
            inner = prefix + "/" if prefix and part.base else ""
            files += tuple(change._replace(path=inner + change.path) for change in found.files)
    return Changes(root, t.cast(Snapshot, whole[0].base), Listing(files, reason, complete), whole)


def _listing(shell: Shell, side: Side, base: Snapshot) -> Listing:
    if side.dataset.written == 0 and not any(found.written != 0 for found in side.after(base)):
        return Listing(())
    if not side.mounted:
        return Listing(None, "its key is not loaded" if side.locked else "it is not mounted")
    try:
        done = shell.run(zfs.diff(base.name, side.filesystem, FILES_LIMIT))
    except ZrepError as error:
        return Listing(None, error.message)
    if done.err.strip() and not done.out:
        if "unrecognized command" in done.err:
            return Listing(None, "this version of zfs has no diff")
        return Listing(None, done.err.strip().splitlines()[0])
    found = parse_diff(done.out, side.dataset.value("mountpoint") or "")
    return dataclasses.replace(found, complete=found.complete and not done.err.strip())


def ask_holders(mountpoint: str) -> zfs.Argv:
    """Ask which processes have files of a mount open."""
    return ("sh", "-c", _HOLDERS, "sh", mountpoint, str(HOLDERS_SHOWN))


def holders(shell: Shell, side: Side) -> list[str]:
    """Who has files of a mounted side open: number and name of the process, and the file. Empty if that is unknown."""
    mountpoint = side.dataset.value("mountpoint") or ""
    if not side.mounted or not mountpoint.startswith("/"):
        return []
    try:
        done = shell.run(ask_holders(mountpoint))
    except ZrepError:
        return []
    return done.out.splitlines()
