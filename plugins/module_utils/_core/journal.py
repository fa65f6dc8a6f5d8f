# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the last sync of each filesystem went, kept in the run directory for those who watch.

Nothing is decided by it. What cannot be written is not kept, what cannot be read is not known, and a boot forgets it.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import typing as t

from . import trees
from .errors import Busy
from .model import Observed, Side
from .outcome import Outcome
from .settings import Settings
from .streams import Send


class Run(t.NamedTuple):
    """The last run that worked on a filesystem.

    :param role: what this side was then.
    :param time: when it ended, in epoch seconds.
    :param ok: whether it went well.
    :param seconds: how long the streams of the last transfer took, None if there was none.
    :param size: what had been written on the master before that transfer, in bytes, None if that is not known.
    """

    role: str
    time: int
    ok: bool
    seconds: float | None = None
    size: int | None = None


def recall(settings: Settings, filesystem: str) -> Run | None:
    """How the last run on a filesystem went, None if that is not known."""
    try:
        with open(_path(settings, filesystem), encoding="utf-8") as file:
            found = json.load(file)
        seconds, size = found["seconds"], found["size"]
        return Run(
            str(found["role"]),
            int(found["time"]),
            bool(found["ok"]),
            None if seconds is None else float(seconds),
            None if size is None else int(size),
        )
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return None


def note(settings: Settings, outcome: Outcome, role: str) -> None:
    """Keep how a run went.

    :param role: which side it works for; what was refused because this host is the other one is no failure.
    """
    now = int(time.time())
    for seen, work in outcome.done:
        sent = work.error is None and any(isinstance(step, Send) for step in work.done)
        _keep(settings, seen, role, now, work.error is None, (work.streamed, _written(seen)) if sent else None)
    for seen, error in outcome.refused:
        if not isinstance(error, Busy):  # Whoever works on it tells how that went.
            _keep(settings, seen, role, now, False, None)


def _keep(
    settings: Settings, seen: Observed, role: str, now: int, ok: bool, moved: tuple[float, int | None] | None
) -> None:
    side = seen.side_here
    if side is None or not side.registered or side.role != role:
        return
    before = recall(settings, seen.filesystem)
    run = Run(role, now, ok, before.seconds, before.size) if before else Run(role, now, ok)
    if moved is not None:
        run = run._replace(seconds=moved[0], size=moved[1])
    _write(settings, seen.filesystem, run)


def _written(seen: Observed) -> int | None:
    """What the master had to send, as far as its ZFS had committed it."""
    sender: Side | None = next((side for side in (seen.side_here, seen.side_there) if side and side.is_master), None)
    return trees.unsent(sender, sender.last_sent) if sender is not None and sender.last_sent is not None else None


def _write(settings: Settings, filesystem: str, run: Run) -> None:
    if not settings.rundir:
        return
    name = ""
    try:
        handle, name = tempfile.mkstemp(dir=settings.rundir)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(run._asdict(), file)
        os.replace(name, _path(settings, filesystem))
    except OSError:
        if name and os.path.exists(name):
            os.unlink(name)


def _path(settings: Settings, filesystem: str) -> str:
    return os.path.join(settings.rundir, "run-{}-{}.json".format(settings.tag, filesystem.replace("/", "%")))
