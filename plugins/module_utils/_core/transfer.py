# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One stream: zfs send here, ssh, zfs receive there, and what their ends mean together."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import typing as t

from . import bbcp, filters, names, zfs
from .errors import LinkLost, NoZfs, TransferFailed, ZrepError
from .filters import Member
from .model import Features
from .progress import Progress, progress_of, talkative, without
from .settings import Settings
from .shell import Children, Completed, Ended, Shell, Watch, pipeline
from .ssh import is_link_failure
from .state import HERE
from .streams import Send


@dataclasses.dataclass(frozen=True)
class Way:
    """How streams go from host to host.

    :param out_filter: shell text of a program that they pass on the sending host, empty for none.
    :param in_filter: the same on the receiving host.
    :param bbcp: the words of a bbcp command that moves them instead of ssh, and without filters.
    :param progress: who is told how far they are.
    :param out_programs: what they pass on the sending host after the filter.
    :param in_programs: what they pass on the receiving host before the filter.
    """

    out_filter: str = ""
    in_filter: str = ""
    bbcp: tuple[str, ...] = ()
    progress: Progress | None = None
    out_programs: tuple[Member, ...] = ()
    in_programs: tuple[Member, ...] = ()

    @property
    def out_members(self) -> tuple[Member, ...]:
        """All that a stream passes on the sending host."""
        own = (Member(self.out_filter, filters.OUT),) if self.out_filter else ()
        return own + self.out_programs

    @property
    def in_members(self) -> tuple[Member, ...]:
        """All that a stream passes on the receiving host."""
        own = (Member(self.in_filter, filters.IN),) if self.in_filter else ()
        return self.in_programs + own

    @property
    def warning(self) -> str:
        """What people should know who asked for it."""
        useless = [name for name, text in ((filters.OUT, self.out_filter), (filters.IN, self.in_filter)) if text]
        passed = "{} moves the streams, so they do not pass {}".format(bbcp.VARIABLE, " and ".join(useless))
        return passed if self.bbcp and useless else ""


DIRECT = Way()


def way_of(settings: Settings) -> Way:
    """The way that settings ask for; raises BadInput."""
    return Way(
        settings.out_filter.strip(),
        settings.in_filter.strip(),
        bbcp.words(settings.bbcp),
        progress_of(settings),
    )


def run_stream(
    step: Send,
    here: Shell,
    peer: Shell,
    features: Features,
    lane: int,
    keep: t.Sequence[int],
    children: Children,
    way: Way,
) -> None:
    """Move one snapshot, whichever side sends; returns when both ends said that it went well.

    :param lane: which connection to the peer to use.
    :param keep: file descriptors of locks that live as long as the stream.
    :raises LinkLost: the connection broke; the data may have arrived or not.
    :raises ZrepError: the stream surely did not arrive, with the reason.
    """
    sender, receiver = (here, peer) if step.side == HERE else (peer, here)
    sending, receiving = step.commands((), features)
    telling: t.ContextManager[Watch | None] = contextlib.nullcontext()
    if way.progress:
        telling = way.progress.stream(step.target)
    peer.connect(lane)
    with telling as watch:
        # Within one host there is no connection that bbcp could replace.
        if way.bbcp and peer.remote:
            line = bbcp.command(way.bbcp, sending, receiving, peer.host, pushes=step.side == HERE)
            done = _by_bbcp(line, here.host, children, keep, watch)
            arrived = _arrived(step, receiver)
            error = bbcp.judge(done, arrived, sending, receiving, sender.host, receiver.host, step)
        else:
            asked = talkative(sending) if watch and features.modern else sending
            commands = [
                sender.command(filters.sending(asked, way.out_members, keep), lane),
                receiver.command(filters.receiving(receiving, way.in_members, keep), lane),
            ]
            sent, received = pipeline(commands, here.host, children, keep, watch)
            if _was_cut_off(step, sent, received, peer, lane):
                sent = Completed(-signal.SIGPIPE, "", "")
            ended = Ended(sent._replace(err=without(sent.err)), received)
            error = judge_filtered(ended, way, sending, receiving, sender.host, receiver.host, step)
        if error is not None:
            raise error


def _was_cut_off(step: Send, sent: Completed, received: Completed, peer: Shell, lane: int) -> bool:
    """Whether the peer's stream ended because this end stopped taking it: ssh puts it like a connection that broke."""
    return step.side != HERE and received.status > 0 and is_link_failure(sent.status, sent.err) and peer.stands(lane)


def _by_bbcp(
    line: t.Sequence[str], host: str, children: Children, keep: t.Sequence[int], watch: Watch | None
) -> Completed:
    try:
        (done,) = pipeline([line], host, children, keep, watch)
    except NoZfs as error:
        error.left = ""  # What came before it in its plan was done.
        raise
    return done


def _arrived(step: Send, receiver: Shell) -> bool | None:
    """Whether the snapshot is where it was to go, None if that cannot be found out."""
    short = names.split_snapshot(step.target)[1]
    try:
        asked = receiver.run(zfs.get_one("guid", f"{step.destination}@{short}"))
    except ZrepError:
        return None
    if asked.status == 0:
        return True
    return False if "does not exist" in asked.err else None


def judge_filtered(
    ended: Ended, way: Way, sending: zfs.Argv, receiving: zfs.Argv, source: str, target: str, step: Send
) -> ZrepError | None:
    """What the ends of a stream mean that may have passed filters, None for success."""
    sender = filters.stage(ended.sender, way.out_members)
    receiver = filters.stage(ended.receiver, way.in_members)
    error = judge(Ended(sender.zfs, receiver.zfs), sending, receiving, source, target, step)
    if error is not None and error.__class__ is not TransferFailed:
        return error  # zfs, or the connection, says clearly what it was.
    fault = filters.culprit(sender, way.out_members, receiver, way.in_members)
    if fault is not None:
        return filters.failure(fault, *((source, step.target) if fault.sends else (target, step.destination)))
    if error is not None:
        error.hint = error.hint or filters.suspicion(way.out_filter, way.in_filter, source, target)
    return error


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
    for done, host in ((receiver, target), (sender, source)):
        if done.status == 127:
            return NoZfs(
                "no program 'zfs' on the PATH of a non-interactive shell",
                host=host,
                hint="install ZFS there, or put its folder on that PATH",
            )
    if step.side != HERE and receiver.status > 0:
        # Our own receiver knows why it stopped; that the far sender's connection then broke says nothing.
        refused = zfs.failure(receiving, receiver.status, receiver.err, target, step.destination)
        if not isinstance(refused, TransferFailed):
            return refused
    far, command, peer = (receiver, receiving, target) if step.side == HERE else (sender, sending, source)
    if is_link_failure(far.status, far.err):
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
