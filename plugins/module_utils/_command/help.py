# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``zrep help`` prints. Pure."""

from __future__ import annotations

import textwrap
import typing as t

from .vocabulary import GLOBAL, VERBS, Option, Verb

WIDTH = 96


def overview() -> str:
    """All verbs, one line each."""
    lines = ["usage: zrep [-t TAG] [-R] [-D] VERB [FLAGS] [OPERANDS]", ""]
    shown = {name: verb for name, verb in VERBS.items() if not verb.hidden}
    width = max(len(name) for name in shown)
    for name, verb in shown.items():
        lines += _columns(name, verb.does, width)
    lines += ["", "Flags with every verb:", *_options(GLOBAL), "", "'zrep help VERB' explains a verb."]
    return "\n".join(lines)


def explain(name: str) -> str:
    """One verb with all that can be said with it."""
    verb = VERBS[name]
    lines = [f"usage: {usage(name)}", "", *textwrap.wrap(_sentence(verb.does), WIDTH)]
    if verb.more:
        lines += ["", *textwrap.wrap(verb.more, WIDTH)]
    if verb.aliases:
        lines += ["", "Other words for it: {}".format(", ".join(verb.aliases))]
    if verb.options:
        lines += ["", "Flags:", *_options(verb.options)]
    if verb.examples:
        width = max(len(line) for line, _dummy in verb.examples)
        lines += ["", "Examples:" if len(verb.examples) > 1 else "Example:"]
        lines += [f"  {line.ljust(width)}   # {does}" for line, does in verb.examples]
    return "\n".join(lines)


def usage(name: str) -> str:
    """The form of a verb, one line."""
    verb = VERBS[name]
    return " ".join(filter(None, ["zrep", name, _flags(verb), verb.operands]))


def _flags(verb: Verb) -> str:
    return " ".join(f"[{_shown(name, option)}]" for name, option in verb.options.items())


def _shown(name: str, option: Option) -> str:
    dashed = f"-{name}" if len(name) == 1 else f"--{name}"
    return f"{dashed} {option.value}" if option.value else dashed


def _options(options: t.Mapping[str, Option]) -> t.Iterator[str]:
    shown = {_shown(name, option): option.meaning for name, option in options.items()}
    width = max(len(text) for text in shown)
    for text, meaning in shown.items():
        yield from _columns(text, meaning, width)


def _columns(left: str, right: str, width: int) -> t.Iterator[str]:
    indent = " " * (width + 4)
    first, *more = textwrap.wrap(right, WIDTH - len(indent))
    yield f"  {left.ljust(width)}  {first}"
    for line in more:
        yield indent + line


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
