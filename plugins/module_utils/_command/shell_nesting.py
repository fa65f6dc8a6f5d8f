# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which compound commands of a shell text are open. Pure."""

from __future__ import annotations

import re

ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")

_OPENERS = {
    "if": "fi",
    "while": "done",
    "until": "done",
    "for": "done",
    "select": "done",
    "case": "in",
    "{": "}",
    "[[": "]]",
}
_WITH_WORDS = ("for", "select", "case", "[[")
"""Openers that words follow, not commands."""
_WITHOUT_COMMANDS = ("in", "pattern", "]]", "list")
_BETWEEN = {"then": "fi", "elif": "fi", "else": "fi", "do": "done"}
_CLOSERS = ("fi", "done", "}", "esac")
KEYWORDS = frozenset((*_OPENERS, *_BETWEEN, *_CLOSERS, "function"))
_TRANSPARENT = ("!", "time", "command", "builtin")
_IN_TESTS = ("(", ")", "()", "<", ">", "&&", "||", "|")
_IN_PATTERNS = ("(", "|")


class Confused(Exception):
    """Something ends that did not begin, or the other way round."""


class Nesting:
    """What is open, each known by what ends it, while tokens go by.

    ``case`` goes from ``in`` (its head) to ``pattern`` to ``esac`` (the commands of a pattern) and back. The value of
    an array is a ``list``.

    :param closer: what ends the text, if not the end of a line does.
    """

    def __init__(self, closer: str = "") -> None:
        self._closer = closer
        self._open: list[str] = []
        self._at_command = True
        self._names_function = False
        self._goes_on = False
        self._names_file = False
        self._is_empty = True
        self._head_words = 0

    @property
    def flat(self) -> bool:
        """Whether nothing is open."""
        return not self._open

    def newline(self) -> bool:
        """Go past the end of a line; whether the command goes on after it. Raises Confused."""
        self._check_file_named()
        if not (self._open or self._goes_on or self._closer):
            return False
        self._is_empty = self._at_command = True
        return True

    def end(self) -> None:
        """Go past the end of the text; raises Confused if something is open."""
        self._check_file_named()
        missing = self._top or self._closer or ("what follows" if self._goes_on else "")
        if missing:
            raise Confused(f"{missing} is missing where the text ends")

    def word(self, word: str) -> bool:
        """Go past a word; whether it is the name of a command or an assignment before one. Raises Confused."""
        self._is_empty = False
        if self._names_function:
            self._names_function = False
            self._at_command = self._goes_on = True
            return False
        if self._top in _WITHOUT_COMMANDS:
            self._word_inside(self._top, word)
            return False
        if not self._at_command or self._names_file:
            self._names_file = False
            return False
        self._goes_on = False
        if not self._keyword(word):
            # A number may belong to a redirection.
            self._at_command = word in _TRANSPARENT or word.isdigit() or bool(ASSIGNMENT.match(word))
        return True

    def operator(self, operator: str, makes_list: bool = False) -> None:
        """Go past an operator; raises Confused.

        :param makes_list: an assignment ends before it.
        """
        self._check_file_named()
        if self._top in _WITHOUT_COMMANDS:
            self._operator_inside(self._top, operator)
        elif operator == "()":
            # Its body may be on the next line.
            self._goes_on = self._at_command = not makes_list
        elif operator == "(":
            if not makes_list and not self._at_command:
                raise Confused("( is in the wrong place")
            self._open.append("list" if makes_list else ")")
            self._is_empty = True
        elif operator == ")":
            self._close(")")
        elif operator in (";;", ";&", ";;&"):
            self._close("esac")
            self._open.append("pattern")
        elif operator in (";", "&", "&&", "||", "|", "|&"):
            self._separate(operator)
        else:
            self._names_file = True
            self._is_empty = False

    def _separate(self, operator: str) -> None:
        if self._is_empty:
            raise Confused(f"{operator} follows nothing")
        self._is_empty = self._at_command = True
        self._goes_on = operator not in (";", "&")

    def _check_file_named(self) -> None:
        if self._names_file:
            raise Confused("a redirection goes nowhere")

    @property
    def _top(self) -> str:
        return self._open[-1] if self._open else ""

    def _close(self, closer: str) -> None:
        if self._top != closer:
            raise Confused(f"{closer} ends what did not begin")
        self._open.pop()
        self._is_empty = False
        # Closers of what is around it may follow at once.
        self._at_command = True
        self._goes_on = False

    def _keyword(self, word: str) -> bool:
        if word in _OPENERS:
            self._open.append(_OPENERS[word])
            self._at_command = word not in _WITH_WORDS
            self._head_words = 0
        elif word in _BETWEEN:
            if self._top != _BETWEEN[word]:
                raise Confused(f"{word} is part of nothing")
        elif word in _CLOSERS:
            self._close(word)
        elif word == "function":
            self._names_function = True
        else:
            return False
        return True

    def _word_inside(self, inside: str, word: str) -> None:
        """A word where no command can be."""
        if inside == "in":
            self._head_words += 1
            if self._head_words > 1:
                if word != "in":
                    raise Confused("in is missing after case")
                self._open[-1] = "pattern"
        elif word == {"pattern": "esac", "]]": "]]"}.get(inside):
            self._open[-1] = word
            self._close(word)

    def _operator_inside(self, inside: str, operator: str) -> None:
        if inside == "pattern" and operator == ")":
            self._open[-1] = "esac"
            self._is_empty = self._at_command = True
        elif inside == "list" and operator == ")":
            self._open.pop()
            self._is_empty = False
        elif operator not in {"pattern": _IN_PATTERNS, "]]": _IN_TESTS}.get(inside, ()):
            raise Confused(f"{operator} is in the wrong place")
