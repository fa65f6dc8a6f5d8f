# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command of a key in authorized_keys: runs what the other end of a pair asks for, if it may.

sshd(8) puts the request into SSH_ORIGINAL_COMMAND. No shell sees it, and nothing of the caller's environment reaches
what is run.
"""

from __future__ import annotations

import os
import sys
import syslog
import typing as t

from .._core.errors import ZrepError
from .requests import admit
from .rules import Rules, load
from .words import Refused
from .zfs_requests import Argv

USAGE = 'usage, in authorized_keys: restrict,command="zrep gate --config FILE" KEY'
REFUSED = 77
"""Exit status of what is refused (sysexits.h, EX_NOPERM). Neither ssh nor a shell ends with it by itself."""
LOGGED = 1000
"""Characters of a request in the log."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KEPT = ("HOME", "USER", "LOGNAME", "TZ")


def main(words: t.Sequence[str]) -> int:
    """Do what the key is for; returns the exit status if no other program took this process's place."""
    if len(words) != 2 or words[0] != "--config":
        sys.stderr.write(f"zrep gate: {USAGE}\n")
        return 1
    request = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    caller = os.environ.get("SSH_CONNECTION", "").partition(" ")[0]
    name = ""
    try:
        rules = load(words[1])
        name = rules.name
        _forget_the_caller(rules)
        commands = admit(request, rules, _ask)
    except Refused as error:
        _log(syslog.LOG_WARNING, "refused", name, caller, request, str(error))
        _complain(f"permission denied: {error}")
        return REFUSED
    except Exception as error:  # Whatever nobody has thought of is no reason to let it in.
        _log(syslog.LOG_ERR, "failed", name, caller, request, f"{type(error).__name__}: {error}")
        _complain("permission denied: internal error")
        return REFUSED
    if rules.log_all:
        _log(syslog.LOG_INFO, "admitted", name, caller, request, "")
    return _run(commands)


def _forget_the_caller(rules: Rules) -> None:
    """Make the environment one that nobody but this host has a say in."""
    kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
    place = {"ZREP_RUNDIR": rules.rundir} if rules.rundir else {}
    os.environ.clear()
    os.environ.update({**kept, **place, "PATH": _PATH, "LC_ALL": "C"})


def _ask(argv: Argv) -> tuple[int, str]:
    # Most requests do without, and each is a start of its own.
    from .._core.shell import Shell

    done = Shell("").run(argv)
    return done.status, done.out


def _run(commands: t.Sequence[Argv]) -> int:
    """Run them; the last one takes the place of this process."""
    for argv in commands[:-1]:
        from .._core.shell import Shell

        try:
            done = Shell("").run(argv)
        except ZrepError as error:
            _complain(error.message)
            return 127
        sys.stdout.write(done.out)
        sys.stderr.write(done.err)
        if done.status:
            return done.status
    sys.stdout.flush()
    sys.stderr.flush()
    argv = commands[-1]
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        _complain(f"cannot run {argv[0]}: {error.strerror}")
    return 127


def _complain(text: str) -> None:
    try:
        sys.stderr.write(f"zrep gate: {_visible(text)}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # Nobody reads it.


def _log(level: int, what: str, name: str, caller: str, request: str, why: str) -> None:
    """One line in the log of those who watch who gets in."""
    cut = request if len(request) <= LOGGED else f"{request[:LOGGED]}..."
    reason = f" ({_visible(why)[:LOGGED]})" if why else ""
    syslog.openlog(
        "zrep-gate", syslog.LOG_PID, syslog.LOG_AUTHPRIV if hasattr(syslog, "LOG_AUTHPRIV") else syslog.LOG_AUTH
    )
    syslog.syslog(
        level, "{} {} from {}{}: {}".format(what, name or "?", _visible(caller) or "?", reason, _visible(cut))
    )


def _visible(text: str) -> str:
    """Without anything that a terminal or a log would take for more than a character of this line."""
    return text.encode("unicode_escape").decode("ascii")
