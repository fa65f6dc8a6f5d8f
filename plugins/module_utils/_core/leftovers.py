# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stream that failed has left at its receiver, which decides what is taken back."""

from __future__ import annotations

from . import zfs
from .errors import CommandFailed, LinkLost, NoCommonSnapshot, PartialReceive, Unreachable, ZrepError
from .partial import TOKEN, Abandon, Resume
from .resuming import read_token
from .shell import Shell
from .state import HERE
from .streams import Send, other

_USELESS = (
    "cannot resume send",
    "kernel modules must be upgraded",
    "does not match incremental source",
)
"""What zfs says of a token, at either end, with which nothing can be done any more."""


def useless(step: Send, error: ZrepError, receiver: str) -> Abandon | None:
    """The step that gives up an interrupted receive that zfs itself refused to complete, so that it blocks nobody."""
    said = (error.stderr if isinstance(error, CommandFailed) else "") + error.message
    if not isinstance(step, Resume) or not (
        isinstance(error, NoCommonSnapshot) or any(text in said for text in _USELESS)
    ):
        return None
    return Abandon(other(step.side), step.destination, "zfs refused to complete it", host=receiver, whole=not step.base)


def explain(error: ZrepError) -> None:
    """Say what it means that a receive that was taken for interrupted is in the way."""
    if isinstance(error, PartialReceive):
        error.hint = error.hint or (
            "a receive is still at work there, maybe one whose connection is gone: it ends when its host notices that; "
            "run it again then, or end that process"
        )


def kept(step: Send, error: ZrepError, receiver: Shell) -> bool:
    """Whether the receiver kept what had arrived of a stream that surely failed, so that the next run goes on."""
    if not step.resumable or isinstance(error, (LinkLost, Unreachable, PartialReceive)):
        return False
    try:
        done = receiver.run(zfs.get_one(TOKEN, step.destination))
    except ZrepError:
        return False
    return done.status == 0 and read_token(done.out.split("\t")[0].strip()) is not None


def host_of_receiver(step: Send, here: Shell, peer: Shell) -> Shell:
    """The shell on the host that receives."""
    return peer if step.side == HERE else here
