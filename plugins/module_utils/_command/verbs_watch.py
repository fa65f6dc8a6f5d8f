# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verbs that watch over pairs: doctor, check, metrics."""

from __future__ import annotations

import contextlib
import tempfile
import time
import typing as t

from .._core import journal, run_info
from .._core.errors import BadInput, ZrepError
from .._core.health import ERROR, WARNING, Problem, from_error
from . import columns, findings, monitoring, prometheus
from .context import Context
from .dialect import translate
from .monitoring import Limits
from .verbs_show import date_pattern
from .voice import OutputLost, Voice


def doctor(context: Context) -> int:
    """What is wrong, and which call mends it."""
    here = list(_here(context))
    found: dict[str, t.Any] = {"pairs": []}
    try:
        found = _look(context, check_peer=not context.request.has("L"))
    except BadInput:
        raise
    except ZrepError as error:
        here.append(from_error(error, context.settings.identity))
    pairs = [
        dict(facts, problems=[findings.in_words_of_command(problem) for problem in facts["problems"]])
        for facts in found["pairs"]
    ]
    local = [findings.in_words_of_command(problem.facts()) for problem in here]
    number = len(local) + sum(len(facts["problems"]) for facts in pairs)
    if context.request.has("json"):
        context.voice.json({"pairs": pairs, "local": local, "problems": number})
    else:
        _tell(context, pairs, local)
    return 1 if number else 0


def _look(context: Context, check_peer: bool, compare: bool = True) -> dict[str, t.Any]:
    named, _everything = context.targets
    return run_info.info(context.settings, named, not named, check_peer, None, compare)


def _here(context: Context) -> t.Iterator[Problem]:
    """What is wrong with this host, whatever the pair."""
    host, rundir = context.settings.identity, context.settings.rundir
    for complaint in context.variables.complaints:
        yield Problem(
            "configuration", WARNING, host, f"{complaint}, which has no effect", "'zrep config' shows what has"
        )
    try:
        with tempfile.TemporaryFile(dir=rundir):
            pass
    except OSError as error:
        why = f"the run directory {rundir} cannot be written to: {error.strerror}"
        yield Problem("run_directory", ERROR, host, why, "ZREP_RUNDIR names another place for it")


def _tell(context: Context, pairs: t.Sequence[t.Mapping[str, t.Any]], local: t.Sequence[t.Mapping[str, str]]) -> None:
    lines = findings.this_host(context.settings.identity, local)
    pattern = date_pattern(context)
    for facts in pairs:
        lines += findings.pair(facts, columns.date(facts.get("last_sync"), pattern))
    if not lines:
        lines = [_nothing(context)]
    context.voice.answer("\n".join(lines))


def _nothing(context: Context) -> str:
    return f"no filesystem of {context.settings.identity} is registered under the tag {context.settings.tag!r}"


def check(context: Context) -> int:
    """The state of pairs as a monitoring plugin tells it. Where it fails, ``give_up`` answers."""
    limits = Limits(context.seconds("w"), context.seconds("c"))
    if limits.warning is not None and limits.critical is not None and limits.warning > limits.critical:
        raise BadInput(f"-w {limits.warning} is more than -c {limits.critical}, so it would never be told")
    pairs = _look(context, check_peer=False)["pairs"]
    found = monitoring.verdict(pairs, limits, int(time.time())) if pairs else monitoring.unknown(_nothing(context))
    context.voice.answer(found.line)
    return found.status


def give_up(voice: Voice, why: str) -> int:
    """Tell monitoring that nothing could be found out; the exit status."""
    found = monitoring.unknown(translate(why))
    with contextlib.suppress(OutputLost):
        voice.answer(found.line)
    return found.status


def metrics(context: Context) -> int:
    """The state of all pairs for Prometheus."""
    now = int(time.time())
    pairs = _look(context, check_peer=context.request.has("peer"), compare=False)["pairs"]
    for facts in pairs:
        run = journal.recall(context.settings, facts["filesystem"])
        facts["run"] = run._asdict() if run else None
    families = prometheus.families(pairs, context.settings.tag, now)
    context.voice.answer(prometheus.exposition(families), end="")
    return 0
