# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verbs that the script at the other end of a pair calls here while it pulls. The peer is not contacted."""

from __future__ import annotations

import contextlib
import signal
import time
import typing as t

from . import names, zfs
from .encryption import served_options
from .errors import BadInput, Busy, FilterFailed, NotFound, TransferFailed
from .locks import check_script_lock
from .outcome import Outcome
from .progress import progress_of, talkative, without
from .resuming import check_token, explain, snapshot_of
from .roles import check_exists
from .serving import check_wanted, plan_complete
from .session import Session
from .settings import Settings
from .shell import Children, Completed, Watch, pipeline

PAUSE_SECONDS = 0.1


def send(settings: Settings, filesystem: str, short: str, token: str = "", out: int = 1) -> str:
    """Stream the newest snapshot from the last one sent; raises before the first byte if that is not the wanted one.

    :param token: what the replica's interrupted receive says; only the rest is sent then.
    :param out: the file descriptor that the stream is written to, by zfs itself.
    :returns: what zfs remarked about it.
    """
    names.check_dataset(filesystem)
    names.check_snapshot(short)
    with Session(settings) as session:
        session.lock(filesystem)
        seen = session.look_here([filesystem])[filesystem]
        check_script_lock(check_exists(seen))
        base = check_wanted(seen, short)
        target = f"{filesystem}@{short}"
        if token:
            argv = _rest(session, target, token)
        else:
            here = check_exists(seen)
            options = served_options(here, settings.send_options)
            argv = zfs.send(target, base.name, settings.intermediates, False, options, here.recursive)
        limiter = session.limiter()
        session.keep_script_off(seen)
        return _stream(session, argv, target, out, limiter)


def _rest(session: Session, target: str, token: str) -> zfs.Argv:
    """The command that sends the rest of a stream; raises if that is a stream of anything else.

    The caller goes on to record the target as arrived, whatever the token completes.
    """
    check_token(token)
    host, dataset = session.here.host, names.split_snapshot(target)[0]
    if not session.features.modern:
        raise BadInput("zfs here cannot resume a stream", host=host, dataset=dataset, left="nothing was sent")
    argv = explain(token)
    done = session.here.run(argv)
    if done.status:
        raise zfs.failure(argv, done.status, done.err, host, dataset)
    found = snapshot_of(done.out + done.err)
    if found != target:
        raise NotFound(
            f"the interrupted receive is one of {found}, not of {target}",
            host=host,
            dataset=dataset,
            left="nothing was sent",
            hint="give up the interrupted receive on the replica with: zfs receive -A FILESYSTEM",
        )
    return zfs.resume(token)


def _stream(session: Session, argv: zfs.Argv, target: str, out: int, limiter: zfs.Argv) -> str:
    """Have zfs write a stream; returns what it remarked.

    :param limiter: a command that the stream passes, if any.
    """
    progress = progress_of(session.settings)
    telling: t.ContextManager[Watch | None] = contextlib.nullcontext()
    if progress:
        telling = progress.stream(target)
    host, keep = session.here.host, session.descriptors(names.split_snapshot(target)[0])
    with telling as watch:
        asked = talkative(argv) if watch and session.features.modern else argv
        done, *limited = pipeline([asked, *([limiter] if limiter else [])], host, Children(), keep, watch, out)
        said = without(done.err).strip()
        for last in limited:
            _check_limiter(last, done, limiter, host, target)
        _check(done._replace(err=said), argv, host, target)
    return said


def _check_limiter(last: Completed, done: Completed, limiter: zfs.Argv, host: str, target: str) -> None:
    """Raise what the program that a stream passed failed of, unless nobody took what it gave."""
    if (
        last.status in (0, -signal.SIGPIPE)
        or "Broken pipe" in last.err
        or (done.status > 0 and "Broken pipe" not in done.err)
    ):
        return
    raise FilterFailed(
        "{}, which limits the rate, ended with status {} ({})".format(
            limiter[0], last.status, " ".join(last.err.split())[:500] or "it said nothing"
        ),
        argv=limiter,
        status=last.status,
        stderr=last.err,
        host=host,
        dataset=target,
        hint="try it by hand: {}".format(" ".join(limiter)),
    )


def _check(done: Completed, argv: zfs.Argv, host: str, target: str) -> None:
    """Raise what a stream ended with."""
    if done.status == -signal.SIGPIPE or (done.status and "Broken pipe" in done.err):
        raise TransferFailed(
            "whoever takes the stream ended before it did",
            argv=argv,
            status=done.status,
            stderr=done.err,
            host=host,
            dataset=target,
            hint="look what was said there",
        )
    if done.status:
        raise zfs.failure(argv, done.status, done.err, host, target)


def complete(settings: Settings, filesystem: str, short: str, name: str, value: str) -> Outcome:
    """Record that the replica has a snapshot, as asked for by the name and value of a property."""
    names.check_dataset(filesystem)
    names.check_snapshot(short)
    with Session(settings) as session:
        _lock_patiently(session, filesystem)
        seen = session.look_here([filesystem])[filesystem]
        works = session.carry_out([(seen, plan_complete(seen, short, name, value))])
        return Outcome(session.now, list(zip([seen], works)))


def _lock_patiently(session: Session, filesystem: str) -> None:
    """Take the lock as soon as it is free: the script asks once and goes on as if the mark were there."""
    until = time.monotonic() + session.settings.lock_retry
    while True:
        try:
            session.lock(filesystem)
        except Busy:
            if time.monotonic() >= until:
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return
