# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The zrep command from its argument line to its exit status.

Exit status: 0 for success, 1 if anything asked for was not done, 128 + n if signal n ended it. ``check`` has those of
monitoring plugins.
"""

from __future__ import annotations

import importlib
import os
import signal
import traceback
import typing as t

from .._core.errors import BadInput, ZrepError
from . import completion, manual
from . import help as help_texts
from .arguments import Request, parse, verb_of
from .context import Context, as_failure
from .entry import ANSWER
from .variables import Variables, load, settings_of, warnings_of
from .vocabulary import ALIASES, VERBS
from .voice import OutputLost, Voice, secure_descriptors, silence_exit

ABOUT_ITSELF: dict[str, t.Callable[[], str]] = {
    "completion": completion.script,
    "manual": lambda: manual.page(ANSWER.split()[1]),
    "version": lambda: ANSWER,
}
"""What needs no settings."""

DEEDS: dict[str, tuple[str, str]] = {
    "init": ("verbs_pair", "init"),
    "clear": ("verbs_pair", "clear"),
    "changeconfig": ("verbs_pair", "changeconfig"),
    "sentsync": ("verbs_pair", "sentsync"),
    "setlastsent": ("verbs_pair", "setlastsent"),
    "sync": ("verbs_sync", "sync"),
    "synconly": ("verbs_sync", "synconly"),
    "snaponly": ("verbs_sync", "snaponly"),
    "expire": ("verbs_sync", "expire"),
    "refresh": ("verbs_pull", "refresh"),
    "failover": ("verbs_move", "failover"),
    "takeover": ("verbs_move", "takeover"),
    "prune-preserved": ("verbs_prune", "prune_preserved"),
    "status": ("verbs_show", "status"),
    "list": ("verbs_show", "list_pairs"),
    "getlastsent": ("verbs_show", "getlastsent"),
    "uptodate": ("verbs_show", "uptodate"),
    "doctor": ("verbs_watch", "doctor"),
    "check": ("verbs_watch", "check"),
    "metrics": ("verbs_watch", "metrics"),
    "drill": ("verbs_drill", "drill"),
    "gate": ("verbs_gate", "gate"),
    "_refreshpull": ("verbs_serve", "refreshpull"),
    "_refreshcomplete": ("verbs_serve", "refreshcomplete"),
}
"""The file and function of each verb, loaded when it is asked for: reading them all takes longer than most verbs do.
The other verbs only print what the command knows by itself.
"""


def main(words: t.Sequence[str]) -> int:
    """Run the command; returns its exit status."""
    secure_descriptors()
    voice = Voice()
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # As nohup(1) has it.
                signal.signal(number, _stop)
        return _run(parse(words), voice)
    except ZrepError as error:
        return _refuse(words, voice, str(error))
    except OutputLost:
        voice.fail("nobody reads the standard output; what was asked for was done")
        return 1
    except OSError as error:
        return _refuse(words, voice, "{}: {}".format(error.filename or "system error", error.strerror or error))
    except Exception as error:
        # Nobody has thought of this. A person at three in the morning is not helped by a traceback, an author is.
        if voice.debug:
            traceback.print_exc()
        why = f"internal error, please report it with what -D adds: {type(error).__name__}: {error}"
        return _refuse(words, voice, why)
    finally:
        silence_exit()


def _refuse(words: t.Sequence[str], voice: Voice, why: str) -> int:
    """Say why something was not done; the exit status."""
    if verb_of(words) == "check":
        from .verbs_watch import give_up

        return give_up(voice, why)
    voice.fail(why)
    return 1


def _run(request: Request, voice: Voice) -> int:
    if request.verb == "help":
        return _help(request, voice)
    if request.verb in ABOUT_ITSELF:
        voice.answer(ABOUT_ITSELF[request.verb](), end="")
        return 0
    variables = load(os.environ)
    os.environ.update(variables.exported)
    for name in variables.removed:
        os.environ.pop(name, None)
    voice.verb = request.verb
    voice.quiet = request.verb in ("sync", "refresh") and request.has("q") and not request.has("v")
    voice.debug = request.has("D") or variables.flag("DEBUG")
    for complaint in variables.complaints if request.verb != "doctor" else ():  # It has them among the rest.
        voice.warn(str(complaint))
    for warning in warnings_of(variables):
        voice.explain(f"zrep: {warning}")
    if request.verb == "config":
        return _config(request, variables, voice)
    told = request.has("v") or (voice.at_terminal and not voice.quiet)
    tree = request.has("R") or variables.flag("ZREP_R")
    settings = settings_of(variables, request.tag, told, tree, request.has("r"))
    context = Context(request, variables, settings, voice)
    try:
        return _deed(request.verb)(context)
    except ZrepError as error:
        if not request.has("json"):
            raise
        return context.finish({"failed_filesystems": [as_failure(error)], "changed": False, "actions": []})


def _deed(verb: str) -> t.Callable[[Context], int]:
    module, function = DEEDS[verb]
    found: t.Callable[[Context], int] = getattr(importlib.import_module(f".{module}", __package__), function)
    return found


def _help(request: Request, voice: Voice) -> int:
    if not request.operands:
        voice.answer(help_texts.overview())
        return 0
    name = ALIASES.get(request.operands[0], request.operands[0])
    if name not in VERBS:
        raise BadInput(f"there is no verb {name[:80]!r}", hint="'zrep help' lists the verbs")
    voice.answer(help_texts.explain(name))
    return 0


def _config(request: Request, variables: Variables, voice: Voice) -> int:
    rows = variables.rows()
    if request.has("json"):
        voice.json([row._asdict() for row in rows])
        return 0
    width = max(len(f"{row.name}={row.value}") for row in rows)
    for row in rows:
        voice.answer("{}  # {}: {}".format(f"{row.name}={row.value}".ljust(min(width, 48)), row.origin, row.effect))
    return 0


def _stop(number: int, dummy: object) -> None:
    # A second signal must not keep what the first one ends from ending well.
    for again in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(again, signal.SIG_IGN)
    raise SystemExit(128 + number)
