# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The argument line of the zrep command. Pure.

Flags may stand anywhere, before or after the verb and its operands, may be joined (``-vf``) and repeated, as the script
at the other end of a pair does. Whoever keeps to the order that the script wants is understood as well.
"""

from __future__ import annotations

import typing as t

from .._core.errors import BadInput
from .vocabulary import ALIASES, GLOBAL, VERBS, Option, Verb


class Request(t.NamedTuple):
    """What was asked for.

    :param verb: its name, never an alias.
    :param flags: letters and long words that were given and take no value.
    :param values: the values of those that take one.
    """

    verb: str
    operands: tuple[str, ...] = ()
    flags: frozenset[str] = frozenset()
    values: t.Mapping[str, str] = {}

    def has(self, name: str) -> bool:
        """Whether a flag or long word was given."""
        return name in self.flags or name in self.values

    @property
    def tag(self) -> str | None:
        return self.values.get("t")

    @property
    def dry(self) -> bool:
        return "dry-run" in self.flags


def parse(words: t.Sequence[str]) -> Request:
    """Understand an argument line, without the program's name; raises BadInput."""
    for word in words:
        if "\0" in word or _unprintable(word):
            raise BadInput(f"{word[:80]!r} holds characters that no name has")
    name, rest = _take_verb(list(words))
    verb = VERBS[name]
    known = {**verb.options, **GLOBAL}
    operands: list[str] = []
    flags: set[str] = set()
    values: dict[str, str] = {}
    while rest:
        word = rest.pop(0)
        if word == "--":
            operands += rest
            break
        if not word.startswith("-") or word == "-":
            operands.append(word)
            continue
        for option, value in _options(word, rest, known, name):
            if value is None:
                flags.add(option)
            else:
                values[option] = value
    _check_operands(name, verb, operands)
    return Request(name, tuple(operands), frozenset(flags), values)


def verb_of(words: t.Sequence[str]) -> str:
    """The verb of an argument line whatever else is wrong with that; empty if there is none."""
    try:
        return _take_verb(list(words))[0]
    except BadInput:
        return ""


def _unprintable(word: str) -> bool:
    return any(ord(char) < 32 or ord(char) == 127 for char in word)


def _take_verb(words: list[str]) -> tuple[str, list[str]]:
    """The verb, and the words without it. Before it there can be flags, of which -t takes a value."""
    position = 0
    while position < len(words):
        word = words[position]
        name = ALIASES.get(word, word)
        if name in VERBS:
            return name, words[:position] + words[position + 1 :]
        if not word.startswith("-") or word in ("-", "--"):
            raise BadInput(f"there is no verb {word[:80]!r}", hint="'zrep help' lists the verbs")
        position += 2 if _takes_next(word) else 1
    raise BadInput("a verb is missing", hint="'zrep help' lists the verbs")


def _takes_next(word: str) -> bool:
    """Whether a flag before the verb has its value in the next word: -t, alone or as the last of several letters."""
    return not word.startswith("--") and word.find("t") == len(word) - 1


def _options(
    word: str, rest: list[str], known: t.Mapping[str, Option], verb: str
) -> t.Iterator[tuple[str, str | None]]:
    """What one word with dashes says; takes a value that follows it from the rest."""
    if word.startswith("--"):
        name, given, value = word[2:].partition("=")
        option = known.get(name) if len(name) > 1 else None
        if option is None:
            raise _unknown(f"--{name}", verb)
        if given and not option.value:
            raise BadInput(f"--{name} takes no value", hint=_see(verb))
        yield name, _value(f"--{name}", option, value if given else None, rest, verb)
        return
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        option = known.get(letter)
        if option is None:
            raise _unknown(f"-{letter}", verb)
        yield letter, _value(f"-{letter}", option, letters or None, rest, verb)
        if option.value:
            return


def _value(shown: str, option: Option, attached: str | None, rest: list[str], verb: str) -> str | None:
    if not option.value:
        return None
    if attached is not None:
        return attached
    if not rest:
        raise BadInput(f"{shown} needs a value: {option.value}", hint=_see(verb))
    return rest.pop(0)


def _check_operands(name: str, verb: Verb, operands: t.Sequence[str]) -> None:
    if len(operands) < verb.least:
        raise BadInput(f"'zrep {name}' needs {verb.operands}", hint=_see(name))
    if verb.most is not None and len(operands) > verb.most:
        raise BadInput(
            "'zrep {}' takes {}, not {}".format(name, verb.operands or "no operands", " ".join(operands)[:200]),
            hint=_see(name),
        )


def _unknown(shown: str, verb: str) -> BadInput:
    return BadInput(f"'zrep {verb}' does not know {shown[:80]!r}", hint=_see(verb))


def _see(verb: str) -> str:
    return f"zrep help {verb}"
