# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``-R`` asks for: a filesystem with all that are below it, as one.

Without any below it that is the filesystem alone, so the flag does no harm there. A tree is refused before anything is
done: whoever wants it all must not get the top alone.
"""

from __future__ import annotations

from .._core import names
from .._core.errors import BadInput
from .._core.session import Session, masters, registered, replicas, with_recorded_peer
from .._core.shell import Shell
from .context import Context

_FIRST = ("init", "failover", "takeover", "_refreshpull")
"""Verbs of one filesystem, whose other operands name something else."""
_MANY = ("sync", "synconly", "snaponly", "expire", "refresh")
_FROM_PEER = ("takeover", "refresh")
"""Verbs that send what the other side has."""
_SHOWN = 5


def check_no_trees(context: Context) -> None:
    """Raise if a verb that -R means something to is about a filesystem that has others below it."""
    request = context.request
    if request.verb not in (*_FIRST, *_MANY):
        return
    with Session(context.settings, dry=True) as session:
        filesystems = _wanted(context, session)
        for filesystem in filesystems:
            _check(session.here, filesystem)
        if request.verb in _FROM_PEER and not request.has("L"):
            for found in session.look_here(filesystems).values() if filesystems else ():
                seen = with_recorded_peer(found)
                if seen.peer_host:
                    _check(session.peer(seen.peer_host), seen.peer_filesystem)


def _wanted(context: Context, session: Session) -> list[str]:
    verb = context.request.verb
    named, everything = context.targets
    if everything or (verb == "expire" and not named):
        pairs = registered(session.look_here(None).values())
        if verb == "refresh":
            return [seen.filesystem for seen in replicas(pairs)]
        both = verb == "expire" and everything
        return [seen.filesystem for seen in (pairs if both else masters(pairs))]
    operands = context.request.operands[:1] if verb in _FIRST else named
    return [names.check_dataset(names.split_snapshot(name)[0]) for name in operands]


def _check(shell: Shell, filesystem: str) -> None:
    """Raise if a filesystem has others below it. What does not exist has none, and is complained about elsewhere."""
    done = shell.run(("zfs", "list", "-H", "-r", "-t", "filesystem,volume", "-o", "name", filesystem))
    below = [name for name in done.out.split() if name != filesystem]
    if below:
        more = ", ..." if len(below) > _SHOWN else ""
        raise BadInput(
            "-R is given, but it has filesystems below it, and whole trees cannot be replicated yet: {}{}".format(
                ", ".join(below[:_SHOWN]), more
            ),
            host=shell.host,
            dataset=filesystem,
            left="nothing was changed",
            hint="leave -R out (and unset ZREP_R) for this filesystem alone; those below it can be pairs of their own",
        )
