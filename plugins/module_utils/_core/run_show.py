# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verb: show which pairs this host has, and what belongs to them. Changes nothing, takes no lock."""

from __future__ import annotations

import typing as t

from . import names, tables, zfs
from .errors import WrongRole, ZrepError
from .model import Observed, Side, Snapshot, unsent_bytes
from .roles import check_paired
from .session import Session, masters, registered
from .settings import Settings
from .shell import Shell

_T = t.TypeVar("_T")


class Shown(t.NamedTuple):
    """The pairs that were asked for, why some of them cannot be shown, and when this was, in epoch seconds."""

    pairs: list[Observed]
    failed: list[ZrepError]
    now: int


def show(settings: Settings, filesystems: t.Sequence[str] | None, only_masters: bool) -> Shown:
    """Look at pairs of this host.

    :param filesystems: which; None for all that are registered under the tag.
    :param only_masters: leave out those that this host is not to push.
    """
    failed: list[ZrepError] = []
    with Session(settings, dry=True) as session:
        if filesystems is None:
            pairs = registered(session.look_here(None).values())
        else:
            pairs = _named(session, filesystems, failed)
        return Shown(masters(pairs) if only_masters else pairs, failed, session.now)


def _named(session: Session, filesystems: t.Sequence[str], failed: list[ZrepError]) -> list[Observed]:
    wanted = [name for name in filesystems if _passes(names.check_dataset, name, failed)]
    return [pair for pair in session.look_here(wanted).values() if _passes(check_paired, pair, failed)]


def _passes(check: t.Callable[[_T], object], subject: _T, failed: list[ZrepError]) -> bool:
    try:
        check(subject)
    except ZrepError as error:
        error.left = ""  # Whoever only looks expects no change.
        failed.append(error)
        return False
    return True


def own_values(settings: Settings, filesystems: t.Sequence[str]) -> dict[str, dict[str, str]]:
    """All properties that filesystems of this host have of their own, by filesystem and name, written for people."""
    return tables.own_values(_answers(settings, zfs.own_values(filesystems)), filesystems)


def snapshots_below(settings: Settings, filesystems: t.Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """All snapshots of filesystems of this host and of those below them, with their dates, written for people."""
    return tables.snapshots_below(_answers(settings, zfs.list_snapshots(filesystems)), filesystems)


def _answers(settings: Settings, commands: t.Iterable[zfs.Argv]) -> str:
    shell = Shell(settings.identity)
    found = []
    for argv in commands:
        done = shell.run(argv)
        if done.status:
            raise zfs.failure(argv, done.status, done.err, shell.host)
        found.append(done.out)
    return "".join(found)


class Unsent(t.NamedTuple):
    """What the replica cannot have yet.

    :param since: the last snapshot that was sent, None if there is none.
    :param size: bytes written since then, None if ZFS cannot tell.
    """

    since: Snapshot | None
    size: int | None


def unsent(settings: Settings, filesystem: str) -> Unsent:
    """What was written on a master since its last sync, up to now; raises ZrepError if it is none."""
    names.check_dataset(filesystem)
    with Session(settings, dry=True) as session:
        found = _unsent(_pushing(session, filesystem))
        if found.size or found.since is None:
            return found
        # What zfs says lags behind, so only a zero has to be looked at twice.
        session.settle([filesystem])
        return _unsent(_pushing(session, filesystem))


def _pushing(session: Session, filesystem: str) -> Side:
    side = check_paired(session.look_here([filesystem])[filesystem])
    side.check_marks()
    if not side.is_master:
        raise WrongRole(
            "is a replica; what its master wrote since the last sync can only be told there",
            host=side.host,
            dataset=filesystem,
            hint=f"ask {side.source}",
        )
    return side


def _unsent(side: Side) -> Unsent:
    last = side.last_sent
    return Unsent(last, unsent_bytes(side, last))
