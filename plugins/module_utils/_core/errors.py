# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, one class for each thing that a caller can act on.

Every error says what is wrong, on which host and dataset, what was left untouched, and the call that goes on.
"""

from __future__ import annotations

import typing as t


class ZrepError(Exception):
    """Base of all errors that a user may meet.

    :param message: what is wrong, one sentence without the host's name.
    :param host: the host on which it is wrong, as people call it.
    :param dataset: the filesystem or volume concerned.
    :param left: what state the hosts are in now ("nothing was changed", ...).
    :param hint: the exact call, or the deed, that would go on from here.
    """

    code = "error"

    def __init__(self, message: str, *, host: str = "", dataset: str = "", left: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.host = host
        self.dataset = dataset
        self.left = left
        self.hint = hint
        self.details: dict[str, t.Any] = {}
        """More about it, for results that machines read."""

    @property
    def where(self) -> str:
        """The place, as a prefix of a message."""
        place = ":".join(part for part in (self.host, self.dataset) if part)
        return f"{place}: " if place else ""

    def __str__(self) -> str:
        sentences = [self.where + self.message]
        if self.left:
            sentences.append(self.left[0].upper() + self.left[1:])
        if self.hint:
            sentences.append(f"To go on: {self.hint}")
        return ". ".join(sentence.rstrip(".") for sentence in sentences) + "."

    def facts(self) -> dict[str, t.Any]:
        """The error as data, for results that machines read."""
        found = {
            "code": self.code,
            "message": self.message,
            "host": self.host,
            "dataset": self.dataset,
            "left": self.left,
            "hint": self.hint,
        }
        return dict({key: value for key, value in found.items() if value}, **self.details)


class BadInput(ZrepError):
    """A name or value that the caller gave cannot be used."""

    code = "bad_input"


class BadProperty(ZrepError):
    """A property on a pool holds what no program of ours would have written."""

    code = "bad_property"


class NotFound(ZrepError):
    """A dataset, snapshot or pool does not exist."""

    code = "not_found"


class NotPaired(ZrepError):
    """The filesystem is not registered under this tag."""

    code = "not_paired"


class PairedElsewhere(ZrepError):
    """The filesystem is registered, but to another peer than the one named."""

    code = "paired_elsewhere"


class WrongRole(ZrepError):
    """The operation belongs to the other side of the pair."""

    code = "wrong_role"


class SplitBrain(ZrepError):
    """Both sides say that they are the master."""

    code = "split_brain"


class Exists(ZrepError):
    """Something stands where we would have to create."""

    code = "exists"


class NoCommonSnapshot(ZrepError):
    """The two sides share no snapshot, so no incremental stream is possible."""

    code = "no_common_snapshot"


class Diverged(ZrepError):
    """The replica has content of its own that a sync would throw away."""

    code = "diverged"


class Busy(ZrepError):
    """Another process works on this pair."""

    code = "busy"


class BadLock(ZrepError):
    """The script's lock file cannot be used, or is none that the script would have made."""

    code = "bad_lock"


class InUse(ZrepError):
    """Somebody has files open that must not be written any more."""

    code = "in_use"


class PartialReceive(ZrepError):
    """A receive that was interrupted waits to be resumed, and nothing else can be received until then."""

    code = "partial_receive"


class NotReady(ZrepError):
    """Several things stand against a move; ``problems`` has each as an error of its own."""

    code = "not_ready"

    def __init__(self, problems: t.Sequence[ZrepError], host: str, dataset: str) -> None:
        listed = "; ".join(f"({number}) {found.where}{found.message}" for number, found in enumerate(problems, 1))
        hints = "; ".join(f"({number}) {found.hint}" for number, found in enumerate(problems, 1) if found.hint)
        super().__init__(
            f"{len(problems)} things stand against moving the master: {listed}",
            host=host,
            dataset=dataset,
            left="nothing was changed",
            hint=hints,
        )
        self.details = {"problems": [found.facts() for found in problems]}


class PoolFull(ZrepError):
    """There is no room for what would have to be received."""

    code = "pool_full"


class Unreachable(ZrepError):
    """The peer cannot be talked to."""

    code = "unreachable"


class NoZfs(ZrepError):
    """The host answers but has no zfs command for us."""

    code = "no_zfs"


class NoProgram(ZrepError):
    """A program is not installed without which what was asked for must not be done."""

    code = "no_program"


class CommandFailed(ZrepError):
    """A zfs command ended with an error that has no class of its own.

    :param argv: the command as it was run.
    :param status: its exit status.
    :param stderr: what it said.
    """

    code = "command_failed"

    def __init__(
        self,
        message: str,
        *,
        argv: tuple[str, ...] = (),
        status: int = 0,
        stderr: str = "",
        host: str = "",
        dataset: str = "",
        left: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, host=host, dataset=dataset, left=left, hint=hint)
        self.argv = argv
        self.status = status
        self.stderr = stderr


class Denied(CommandFailed):
    """The user lacks a privilege that zfs asks for."""

    code = "denied"


class TransferFailed(CommandFailed):
    """A stream did not arrive.

    :param certain: the receiver said so; false where the link broke and the data may have arrived all the same.
    """

    code = "transfer_failed"
    certain = True


class FilterFailed(TransferFailed):
    """A program that the stream was to pass on its way failed."""

    code = "filter_failed"


class LinkLost(TransferFailed):
    """The connection broke while a stream was under way: the outcome is not known here."""

    code = "link_lost"
    certain = False


class KeyAbsent(ZrepError):
    """An encrypted dataset cannot be used for something since its key is not loaded."""

    code = "key_absent"


class Raw(ZrepError):
    """A raw stream of an encrypted dataset cannot be received there."""

    code = "no_encryption"
