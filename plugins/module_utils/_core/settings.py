# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options and environment, checked once and frozen."""

from __future__ import annotations

import dataclasses
import grp
import os
import shlex
import stat
import tempfile
import typing as t

from . import names, programs
from .errors import BadInput
from .shell import host_name

DEFAULT_SAVECOUNT = 5
SKIP_BUSY_FLOOR = 30
"""Seconds; the smallest limit below which the script refuses to be quiet about a busy filesystem."""
PARALLEL_LIMIT = 32
DEFAULT_LOCK_RETRY = 10

AUTO = "auto"
ALWAYS = "always"
NEVER = "never"

_SEND_LETTERS = "bcDehLw"
_SEND_WORDS = ("--backup", "--compressed", "--dedup", "--embed", "--holds", "--large-block", "--raw")
"""The options of ``zfs send`` that say how a stream is written; those that decide what is in it are ours to choose."""
_RESUME_LETTERS = "ceLw"
_RESUME_WORDS = ("--compressed", "--embed", "--large-block", "--raw")
"""Those of them that zfs takes together with a token."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to work, as opposed to what to reach.

    :param identity: the name under which this host records itself (``ZREP_SRC_HOST``).
    :param ssh: the ssh command as words (``SSH``).
    :param intermediates: whether incremental streams carry the snapshots between the base and the newest.
    :param rename_unsent: keep a snapshot that could not be sent under a suffixed name (``ZREP_RENAME_UNSENT``).
    :param skip_expire: never destroy a snapshot for its age (``ZREP_SKIP_EXPIRE``).
    :param lock_properties: write the script's lock properties too: ALWAYS, NEVER, or AUTO where the script is around.
    :param recursive: what is worked on are trees, also where their pairs do not say so (``-R``).
    :param parallel: how many streams run at a time.
    :param rundir: a private directory for locks and sockets.
    :param out_filter: shell text that streams pass on the sending host (``ZREP_OUTFILTER``).
    :param in_filter: shell text that streams pass on the receiving host (``ZREP_INFILTER``).
    :param bbcp: shell text of the bbcp program that moves streams instead of ssh (``BBCP``).
    :param progress: tell people on a terminal how far a stream is.
    :param compress: how streams are compressed between two hosts, where both have the programs.
    :param buffer: the size in bytes of a buffer for streams at each end where it can be had, 0 for none.
    :param rate_limit: how many bytes per second all streams of a run may send together, 0 for any number.
    :param script_rundir: where the script keeps its global lock (``ZREP_RUNDIR``).
    :param lock_retry: how many seconds to wait for that lock (``Z_LOCK_RETRY``).
    :param script_path: where the script is, if its users had to say so (``ZREP_PATH``).
    :param resume: whether receivers keep what has arrived of a stream that is interrupted, and the next run goes on.
    :param resume_options: further options of ``zfs send`` for a stream that is resumed (``ZREP_RESUME_FLAGS``).
    """

    tag: str = names.DEFAULT_TAG
    identity: str = ""
    ssh: tuple[str, ...] = ("ssh",)
    send_options: tuple[str, ...] = ()
    intermediates: bool = True
    rename_unsent: bool = True
    skip_expire: bool = False
    lock_properties: str = AUTO
    recursive: bool = False
    parallel: int = 1
    rundir: str = ""
    out_filter: str = ""
    in_filter: str = ""
    bbcp: str = ""
    progress: bool = False
    compress: str = programs.NONE
    buffer: int = 0
    rate_limit: int = 0
    script_rundir: str = ""
    lock_retry: int = DEFAULT_LOCK_RETRY
    script_path: str = ""
    resume: bool = True
    resume_options: tuple[str, ...] = ()


SSH_CONFIGURATION = "/etc/zrep/ssh/config"
"""How the role \"trust\" has this host reach the others; it counts where nothing is said of ssh."""


def _own_configuration(path: str = SSH_CONFIGURATION) -> tuple[str, ...]:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    # It says which programs ssh runs.
    return ("-F", path) if found.st_uid == 0 and not found.st_mode & 0o022 else ()


def make(
    tag: str = names.DEFAULT_TAG,
    src_host: str | None = None,
    ssh: str = "ssh",
    send_options: t.Sequence[str] = (),
    intermediates: bool | None = None,
    rename_unsent: bool = True,
    lock_properties: str = AUTO,
    parallel: int = 1,
    environment: t.Mapping[str, str] | None = None,
    out_filter: str = "",
    in_filter: str = "",
    bbcp: str = "",
    progress: bool = False,
    recursive: bool = False,
    compress: str = programs.NONE,
    buffer: str = "",
    rate_limit: str = "",
    resume: bool = True,
    resume_options: t.Sequence[str] = (),
) -> Settings:
    """Check everything that was asked for; raises BadInput."""
    variables = os.environ if environment is None else environment
    names.check_tag(tag)
    if parallel < 1 or parallel > PARALLEL_LIMIT:
        raise BadInput(f"parallel {parallel} cannot be used: expected 1 to {PARALLEL_LIMIT} streams at a time")
    if lock_properties not in (AUTO, ALWAYS, NEVER):
        raise BadInput(f"the lock properties {lock_properties!r} cannot be used: expected {AUTO}, {ALWAYS} or {NEVER}")
    identity = names.check_host(src_host, "src_host") if src_host else host_name()
    return Settings(
        tag=tag,
        identity=identity,
        ssh=(*words(check_command(ssh, "ssh"), "ssh"), *(_own_configuration() if ssh == "ssh" else ())),
        send_options=check_send_options(send_options),
        # As the script does, so that the snapshots of one tag stay out of the replicas of another.
        intermediates=tag == names.DEFAULT_TAG if intermediates is None else intermediates,
        rename_unsent=rename_unsent,
        skip_expire=bool(variables.get("ZREP_SKIP_EXPIRE")),
        lock_properties=lock_properties,
        recursive=recursive,
        parallel=parallel,
        rundir=private_directory(variables),
        script_rundir=variables.get("ZREP_RUNDIR") or script_directory(),
        lock_retry=_lock_retry(variables.get("Z_LOCK_RETRY") or str(DEFAULT_LOCK_RETRY)),
        script_path=variables.get("ZREP_PATH", ""),
        out_filter=check_filter(out_filter, "out_filter"),
        in_filter=check_filter(in_filter, "in_filter"),
        bbcp=check_command(bbcp, "bbcp") if bbcp else "",
        progress=progress,
        compress=_named("compress", programs.check_compress, compress),
        buffer=_named("buffer", programs.check_buffer, buffer),
        rate_limit=_named("rate_limit", programs.check_rate, rate_limit),
        resume=resume,
        resume_options=check_resume_options(resume_options),
    )


def check_skip_busy(seconds: int | None) -> int | None:
    """Return the quiet limit in seconds if it can be used; raises BadInput."""
    if seconds is not None and seconds < SKIP_BUSY_FLOOR:
        raise BadInput(f"skip_busy {seconds} cannot be used: expected at least {SKIP_BUSY_FLOOR} seconds")
    return seconds


def words(text: str, what: str) -> list[str]:
    """The words that a shell would make of a text; raises BadInput."""
    if "\0" in text:
        raise BadInput(f"{what} {text!r} holds a NUL character")
    try:
        return shlex.split(text)
    except ValueError as error:
        raise BadInput(f"{what} {text!r} cannot be read as a command: {error}") from None


def check_command(text: str, what: str) -> str:
    """Return a text that names a program, maybe with options; raises BadInput."""
    if not any(words(text, what)[:1]):
        raise BadInput(f"{what} is empty")
    return text


def check_filter(text: str, what: str) -> str:
    """Return shell text for the middle of a pipe, without blanks around it, if it can be one; raises BadInput."""
    text = text.strip()
    if "\0" in text:
        raise BadInput(f"{what} {text!r} holds a NUL character")
    if text.startswith("|") or text.endswith("|"):
        raise BadInput(f"{what} {text!r} begins or ends with a pipe, which comes by itself")
    return text


def check_send_options(options: t.Sequence[str]) -> tuple[str, ...]:
    """Return options of ``zfs send`` that say how a stream is written; raises BadInput for others."""
    for word in options:
        letters = word[1:] if word.startswith("-") and not word.startswith("--") else ""
        if word not in _SEND_WORDS and not (letters and set(letters) <= set(_SEND_LETTERS)):
            raise BadInput(
                "send option {!r} cannot be used: expected some of -{} {}".format(
                    word, " -".join(_SEND_LETTERS), " ".join(_SEND_WORDS)
                )
            )
    return tuple(options)


_Checked = t.TypeVar("_Checked")


def _named(option: str, check: t.Callable[[str], _Checked], text: str) -> _Checked:
    try:
        return check(text)
    except BadInput as error:
        raise BadInput(f"{option} {error.message}") from None


def check_resume_options(options: t.Sequence[str]) -> tuple[str, ...]:
    """Return options of ``zfs send`` that go with a stream that is resumed; raises BadInput for others."""
    for word in check_send_options(options):
        if word not in _RESUME_WORDS and not set(word[1:]) <= set(_RESUME_LETTERS):
            raise BadInput(
                "send option {!r} cannot be used for a stream that is resumed: expected some of -{} {}".format(
                    word, " -".join(_RESUME_LETTERS), " ".join(_RESUME_WORDS)
                )
            )
    return tuple(options)


def _lock_retry(text: str) -> int:
    seconds = names.parse_number(text)
    if seconds is None:
        raise BadInput(f"Z_LOCK_RETRY {text[:80]!r} cannot be used: expected a whole number of seconds")
    return seconds


def script_directory() -> str:
    """Where the script keeps its lock if nothing is said: it looks for the word root in what id(1) prints."""
    groups = {os.getegid(), *os.getgroups()}
    return "/var/run" if os.geteuid() == 0 or (0 in groups and _name_of_group_0() == "root") else "/tmp"


def _name_of_group_0() -> str:
    try:
        return grp.getgrgid(0).gr_name
    except KeyError:
        return ""


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
