# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams that bbcp moves over connections of its own: its command line, and what its end means. Pure.

With ``-N io`` both its source and its target are programs. It runs them without a shell, their words parted at blanks.
"""

from __future__ import annotations

import re
import shlex
import typing as t

from . import names, zfs
from .errors import BadInput, LinkLost, TransferFailed, ZrepError
from .shell import Completed
from .state import HERE
from .streams import Send

VARIABLE = "BBCP"

_LOOKS_REMOTE = re.compile(r"[^/]*[:@]")
"""Up to the first slash of a source or target, bbcp looks for a user and a host."""


def words(text: str) -> tuple[str, ...]:
    """The bbcp program with options of its own; raises BadInput."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise BadInput(f"{VARIABLE} {text!r} cannot be read as a command: {error}") from None


def command(bbcp: t.Sequence[str], sending: zfs.Argv, receiving: zfs.Argv, host: str, pushes: bool) -> list[str]:
    """The command that moves a stream to another host, or from it.

    :param pushes: the stream starts on this host.
    :raises BadInput: bbcp cannot run the programs as they are to be run.
    """
    source, target = _program(sending), _program(receiving)
    if pushes:
        return [*bbcp, "-N", "io", _here(source), f"{_address(host)}:{target}"]
    return [*bbcp, "-N", "io", f"{_address(host)}:{source}", _here(target)]


def _program(argv: zfs.Argv) -> str:
    for word in argv:
        if not word or re.search(r"\s", word):
            raise BadInput(
                f"{word!r} cannot be handed to bbcp, which parts words at blanks",
                hint=f"unset {VARIABLE} for this call",
            )
    return " ".join(argv)


def _here(program: str) -> str:
    return f"/usr/bin/env {program}" if _LOOKS_REMOTE.match(program) else program


def _address(host: str) -> str:
    user, at, name = host.rpartition("@")
    return f"{user}{at}[{name}]" if ":" in name and not name.startswith("[") else host


def judge(
    done: Completed, arrived: bool | None, sending: zfs.Argv, receiving: zfs.Argv, source: str, target: str, step: Send
) -> ZrepError | None:
    """What the end of bbcp means, None for success.

    :param arrived: whether the snapshot is where it was to go, None if that could not be found out. It counts more than
        the exit status, of which nothing is known about both programs.
    """
    if arrived:
        return None
    if arrived is None:
        return LinkLost(
            f"bbcp ended with status {done.status}, and whether the snapshot arrived could not be asked",
            argv=sending,
            status=done.status,
            stderr=done.err,
            host=target,
            dataset=step.destination,
            hint="run it again: what arrived will be recognised",
        )
    failed = _said_by("send", done.err, "receive")
    if failed and "Broken pipe" not in failed:
        return zfs.failure(sending, done.status, failed, source, step.target)
    refused = _said_by("receive", done.err, "send")
    if refused:
        return zfs.failure(receiving, done.status, refused, target, step.destination)
    said = " ".join(done.err.split())[:500] or "it said nothing"
    return TransferFailed(
        f"bbcp ended with status {done.status} ({said}), and "
        f"{names.split_snapshot(step.target)[1]} did not arrive at {target}:{step.destination}",
        argv=sending,
        status=done.status,
        stderr=done.err,
        host=source if step.side == HERE else target,
        dataset=step.target if step.side == HERE else step.destination,
        hint=f"try {VARIABLE} by hand, or unset it",
    )


def _said_by(verb: str, stderr: str, other: str) -> str:
    """What one of two zfs commands complained about, as far as it can be told from what else was said."""
    _before, found, said = stderr.partition(f"cannot {verb}")
    return found + re.split(rf"[^\n]*cannot {other}", said)[0]
