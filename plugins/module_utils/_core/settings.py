# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options and environment, checked once and frozen."""

from __future__ import annotations

import dataclasses
import os
import shlex
import stat
import tempfile
import typing as t

from . import names
from .errors import BadInput
from .shell import host_name

DEFAULT_SAVECOUNT = 5
SKIP_BUSY_FLOOR = 30
"""Seconds; the smallest limit below which the script refuses to be quiet about a busy filesystem."""
PARALLEL_LIMIT = 32

_SEND_LETTERS = "bcDehLw"
_SEND_WORDS = ("--backup", "--compressed", "--dedup", "--embed", "--holds", "--large-block", "--raw")
"""The options of ``zfs send`` that say how a stream is written; those that decide what is in it are ours to choose."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to work, as opposed to what to reach.

    :param identity: the name under which this host records itself (``ZREP_SRC_HOST``).
    :param ssh: the ssh command as words (``SSH``).
    :param intermediates: whether incremental streams carry the snapshots between the base and the newest.
    :param rename_unsent: keep a snapshot that could not be sent under a suffixed name (``ZREP_RENAME_UNSENT``).
    :param skip_expire: never destroy a snapshot for its age (``ZREP_SKIP_EXPIRE``).
    :param lock_properties: write the script's lock properties too.
    :param parallel: how many streams run at a time.
    :param rundir: a private directory for locks and sockets.
    """

    tag: str = names.DEFAULT_TAG
    identity: str = ""
    ssh: tuple[str, ...] = ("ssh",)
    send_options: tuple[str, ...] = ()
    intermediates: bool = True
    rename_unsent: bool = True
    skip_expire: bool = False
    lock_properties: bool = False
    parallel: int = 1
    rundir: str = ""


def make(
    tag: str = names.DEFAULT_TAG,
    src_host: str | None = None,
    ssh: str = "ssh",
    send_options: t.Sequence[str] = (),
    intermediates: bool | None = None,
    rename_unsent: bool = True,
    lock_properties: bool = False,
    parallel: int = 1,
    environment: t.Mapping[str, str] | None = None,
) -> Settings:
    """Check everything that was asked for; raises BadInput."""
    variables = os.environ if environment is None else environment
    names.check_tag(tag)
    if parallel < 1 or parallel > PARALLEL_LIMIT:
        raise BadInput(f"parallel {parallel} cannot be used: expected 1 to {PARALLEL_LIMIT} streams at a time")
    identity = names.check_host(src_host, "src_host") if src_host else host_name()
    return Settings(
        tag=tag,
        identity=identity,
        ssh=_ssh_words(ssh),
        send_options=_send_options(send_options),
        # As the script does, so that the snapshots of one tag stay out of the replicas of another.
        intermediates=tag == names.DEFAULT_TAG if intermediates is None else intermediates,
        rename_unsent=rename_unsent,
        skip_expire=bool(variables.get("ZREP_SKIP_EXPIRE")),
        lock_properties=lock_properties,
        parallel=parallel,
        rundir=private_directory(variables),
    )


def check_skip_busy(seconds: int | None) -> int | None:
    """Return the quiet limit in seconds if it can be used; raises BadInput."""
    if seconds is not None and seconds < SKIP_BUSY_FLOOR:
        raise BadInput(f"skip_busy {seconds} cannot be used: expected at least {SKIP_BUSY_FLOOR} seconds")
    return seconds


def _ssh_words(text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise BadInput(f"ssh {text!r} cannot be read as a command: {error}") from None
    if not words:
        raise BadInput("ssh is empty")
    return words


def _send_options(words: t.Sequence[str]) -> tuple[str, ...]:
    for word in words:
        letters = word[1:] if word.startswith("-") and not word.startswith("--") else ""
        if word not in _SEND_WORDS and not (letters and set(letters) <= set(_SEND_LETTERS)):
            raise BadInput(
                "send option {!r} cannot be used: expected some of -{} {}".format(
                    word, " -".join(_SEND_LETTERS), " ".join(_SEND_WORDS)
                )
            )
    return tuple(words)


def private_directory(environment: t.Mapping[str, str]) -> str:
    """A directory that only this user can write to, made if need be; raises BadInput if it is somebody else's."""
    base = environment.get("ZREP_RUNDIR", "")
    if not base:
        base = "/run" if os.geteuid() == 0 and os.path.isdir("/run") else tempfile.gettempdir()
    path = os.path.join(base, "zrep" if os.geteuid() == 0 else f"zrep-{os.geteuid()}")
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        found = os.lstat(path)
    except OSError as error:
        raise BadInput(f"the run directory {path} cannot be used: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise BadInput(
            f"the run directory {path} cannot be used: "
            f"it must be a directory that only its owner, user {os.geteuid()}, can write to"
        )
    return path
