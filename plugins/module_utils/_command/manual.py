# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual page zrep(8), as man(7) has it. Pure."""

from __future__ import annotations

import typing as t

from .catalogue import TABLE
from .help import usage
from .vocabulary import GLOBAL, VERBS, Option, Verb


def page(version: str) -> str:
    """The whole page."""
    shown = {name: verb for name, verb in VERBS.items() if not verb.hidden}
    return "".join(f"{line}\n" for line in _lines(version, shown))


def _lines(version: str, shown: t.Mapping[str, Verb]) -> t.Iterator[str]:
    yield f'.TH ZREP 8 "" "zfsops.zrep {version}" "System administration"'
    yield from (".SH NAME", r"zrep \- replicate ZFS filesystems between two hosts, with failover")
    yield from (".SH SYNOPSIS", r".B zrep", r"[\-t TAG] [\-R] [\-D] VERB [FLAGS] [OPERANDS]", ".SH VERBS")
    for name, verb in shown.items():
        yield from (".SS " + _text(usage(name)), _text(verb.does[0].upper() + verb.does[1:] + "."))
        if verb.more:
            yield from (".PP", _text(verb.more))
        if verb.aliases:
            yield from (".PP", _text("Other words for it: {}".format(", ".join(verb.aliases))))
        yield from _options(verb.options)
        for line, does in verb.examples:
            yield from (".PP", _text(does) + ":", ".PP", ".nf", ".RS", _text(line), ".RE", ".fi")
    yield from (".SH FLAGS WITH EVERY VERB", *_options(GLOBAL))
    yield ".SH SETTINGS"
    yield _text("In the environment, or in /etc/default/zrep; zrep config shows what they come to.")
    for name, variable in TABLE.items():
        if variable.works:
            default = f" (default: {variable.default})" if variable.default else ""
            yield from (".TP", ".B " + _text(name), _text(variable.effect + default))
    yield from (".SH EXIT STATUS", "0 if all went well, 1 if something did not, 128+n after signal n.")


def _options(options: t.Mapping[str, Option]) -> t.Iterator[str]:
    for name, option in options.items():
        dashed = f"-{name}" if len(name) == 1 else f"--{name}"
        yield from (".TP", ".B " + _text(f"{dashed} {option.value}".rstrip()), _text(option.meaning))


def _text(text: str) -> str:
    """Text that roff takes for nothing else."""
    line = text.replace("\\", r"\e").replace("-", r"\-")
    return "\\&" + line if line[:1] in (".", "'") else line
