# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One stream: zfs send here, ssh, zfs receive there, and what their ends mean together."""

from __future__ import annotations

import typing as t

from . import zfs
from .errors import LinkLost, NoZfs, TransferFailed, ZrepError
from .model import Features
from .shell import Children, Ended, Shell, is_link_failure, pipeline
from .state import HERE
from .streams import Send


def run_stream(
    step: Send,
    here: Shell,
    peer: Shell,
    features: Features,
    lane: int,
    keep: t.Sequence[int],
    children: Children,
) -> None:
    """Move one snapshot, whichever side sends; returns when both ends said that it went well.

    :param lane: which connection to the peer to use.
    :param keep: file descriptors of locks that live as long as the stream.
    :raises LinkLost: the connection broke; the data may have arrived or not.
    :raises ZrepError: the stream surely did not arrive, with the reason.
    """
    sending, receiving = step.commands((), features)
    peer.connect(lane)
    sender, receiver = (here, peer) if step.side == HERE else (peer, here)
    ended = pipeline(sender.command(sending, lane), receiver.command(receiving, lane), here.host, children, keep)
    error = judge(ended, sending, receiving, sender.host, receiver.host, step)
    if error is not None:
        raise error


def judge(
    ended: Ended, sending: zfs.Argv, receiving: zfs.Argv, source: str, target: str, step: Send
) -> ZrepError | None:
    """What two exit statuses and two complaints mean, None for success.

    The first cause counts: a receiver that refuses leaves the sender with a broken pipe, a sender that fails leaves the
    receiver with an incomplete stream.
    """
    sender, receiver = ended
    if sender.status == 0 and receiver.status == 0:
        return None
    if receiver.status == 127:
        return NoZfs(
            "no program 'zfs' on the PATH of a non-interactive shell",
            host=target,
            hint="install ZFS there, or put its folder on that PATH",
        )
    if step.side != HERE and receiver.status > 0:
        # Our own receiver knows why it stopped; that the far sender's connection then broke says nothing.
        refused = zfs.failure(receiving, receiver.status, receiver.err, target, step.destination)
        if not isinstance(refused, TransferFailed):
            return refused
    far, command, peer = (receiver, receiving, target) if step.side == HERE else (sender, sending, source)
    if is_link_failure(far):
        return LinkLost(
            f"the connection to {peer} broke during the stream ({_brief(far.err)})",
            argv=command,
            status=255,
            stderr=far.err,
            host=source if step.side == HERE else target,
            dataset=step.target if step.side == HERE else step.destination,
            hint="run it again: what arrived will be recognised",
        )
    if receiver.status < 0:
        return LinkLost(
            f"the receiving end was killed by signal {-receiver.status}",
            argv=receiving,
            status=receiver.status,
            stderr=receiver.err,
            host=target,
            dataset=step.destination,
            hint="run it again: what arrived will be recognised",
        )
    sender_is_cause = sender.status > 0 and "Broken pipe" not in sender.err and sender.err.strip() != ""
    if receiver.status and not sender_is_cause:
        return zfs.failure(receiving, receiver.status, receiver.err, target, step.destination)
    return zfs.failure(sending, sender.status, sender.err, source, step.target)


def _brief(stderr: str) -> str:
    return " ".join(stderr.split())[:200] or "ssh gave no reason"
