# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a word of a shell text comes to: quotes, parameters, home directories. Pure.

Only that is understood on which the shells agree. No command is run, and nothing is looked up but variables.
"""

from __future__ import annotations

import re
import typing as t

VALUE_LIMIT = 128 * 1024
"""Characters that the variables in a word may come to. Linux hands no more to a program (MAX_ARG_STRLEN)."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-=+?]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_UNDECODABLE = re.compile(r"[\ud800-\udfff]")
_AFTER_LONE_DOLLAR = frozenset(("", *" /.,:%+="))
_PATTERNS = frozenset("*?[{")
_SPLITTING = re.compile(r"[\s*?\[\\]")

_OWN = re.compile(
    r"(?:_|BASH(?:OPTS|PID|_.*)?|COLUMNS|COMP_WORDBREAKS|DIRSTACK|ENV|EPOCH(?:REALTIME|SECONDS)|ERRNO|EUID|FUNCNAME|GROUPS"
    r"|HISTCMD|HISTSIZE|IFS|JOBMAX|KSH(?:[EU]?[GU]ID|_VERSION)|LINENO|LINES|MAILCHECK|OLDPWD|OPT(?:ARG|ERR|IND)|PATHSEP"
    r"|PGRP|PIPESTATUS|POSIXLY_CORRECT|PPID|PS[1-4]|PWD|S?RANDOM|REPLY|SECONDS|SHELLOPTS|SHLVL|TMOUT|UID|USER_ID)\Z"
)
_GIVEN = ("FCEDIT", "HOME", "HOSTNAME", "HOSTTYPE", "MACHTYPE", "OSTYPE", "PATH", "SHELL", "TERM")
"""Variables that some shell sets if nobody else has."""


class NotUnderstood(Exception):
    """Something that only a shell could make sense of."""


class Scope(t.Protocol):
    """The variables that a word may name. Both methods raise NotUnderstood."""

    def value(self, name: str) -> str | None:
        """What a variable holds, None if it is not set."""

    def assign(self, name: str, value: str) -> None:
        """Give it a value."""


def expand(word: str, scope: Scope, value: bool = False, argument: bool = False) -> str:
    """What a word comes to; raises NotUnderstood.

    :param value: it is what follows the ``=`` of an assignment.
    :param argument: it is part of a command's argument, where shells may part or replace what expansions yield.
    """
    found = _CONTROL.search(word)
    if found:
        what = "a carriage return, as files from DOS have," if found.group() == "\r" else "a control character"
        raise NotUnderstood(f"{what} would be part of it")
    if _UNDECODABLE.search(word):
        raise NotUnderstood("bytes that are no UTF-8 would be part of it")
    return _Word(word, scope, value, argument).run()


def belongs_to_shells(name: str) -> bool:
    """Whether some shell sets a variable by itself, checks what it is set to, or obeys it."""
    return bool(_OWN.match(name))


class _Word:
    def __init__(self, text: str, scope: Scope, value: bool, argument: bool) -> None:
        self._text = text
        self._at = 0
        self._scope = scope
        self._argument = argument
        self._home_may_follow = value
        # What an expansion does not use is not expanded, but its end has to be found.
        self._used = True
        self._room = VALUE_LIMIT

    def run(self) -> str:
        """All of the word."""
        return self._plain("")

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise NotUnderstood("something has no end")
        char = self._text[self._at : self._at + 1]
        self._at += 1
        return char

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _plain(self, end: str) -> str:
        """Text outside quotes, up to an end that is left."""
        found: list[str] = []
        while self._at < len(self._text) and self._peek() != end:
            may_be_home, self._home_may_follow = self._home_may_follow, False
            char = self._next()
            if char == "\\":
                # A joint is as if it were not there.
                self._home_may_follow = may_be_home and self._peek() == "\n"
                found.append(self._next().replace("\n", ""))
            elif char == "'":
                found.append(self._single())
            elif char == '"':
                found.append(self._double())
            elif char in "$`":
                found.append(self._expansion(char, False))
            elif char == "~":
                found.append(self._tilde(may_be_home, end))
            else:
                self._check_plain(char, end)
                self._home_may_follow = char == ":" and not end
                found.append(char)
        return "".join(found)

    def _check_plain(self, char: str, end: str) -> None:
        if self._argument and char in _PATTERNS:
            raise NotUnderstood(f"{char} is part of a pattern")
        if end and char in "()\n{":
            raise NotUnderstood(f"shells differ in what {char!r} means in braces")

    def _single(self) -> str:
        end = self._text.find("'", self._at)
        if end < 0:
            raise NotUnderstood("something has no end")
        start, self._at = self._at, end + 1
        return self._text[start:end]

    def _double(self) -> str:
        """Text up to the other double quotation mark."""
        found: list[str] = []
        while True:
            char = self._next()
            if char == '"':
                return "".join(found)
            if char == "\\":
                found.append(self._escaped('$`"\\'))
            else:
                found.append(self._expansion(char, True))

    def _escaped(self, special: str) -> str:
        """What a backslash between double quotation marks and the character after it come to."""
        char = self._next()
        if char == "\n":
            return ""
        return char if char in special else f"\\{char}"

    def _tilde(self, may_be_home: bool, end: str) -> str:
        if may_be_home and (self._peek() in ("", "/", ":")):
            home = self._value("HOME") or ""
            if not home or home.endswith("/"):
                raise NotUnderstood("the home directory is not known, or shells differ in how they write it")
            return home
        if may_be_home or end or not self._follows_plain_text():
            raise NotUnderstood("~ may mean a home directory")
        return "~"

    def _follows_plain_text(self) -> bool:
        return bool(re.match(r"[A-Za-z0-9_./,@%+-]", self._text[max(self._at - 2, 0) : self._at - 1]))

    def _expansion(self, char: str, quoted: bool) -> str:
        """A character, and the expansion that it may begin."""
        if char == "`":
            raise NotUnderstood("no command is run")
        if char != "$":
            return char
        following = self._peek()
        if following == "(":
            raise NotUnderstood("no command is run, and nothing is calculated")
        if following == "{":
            self._at += 1
            return self._checked(self._braces(quoted), quoted)
        match = _NAME.match(self._text, self._at)
        if match:
            self._at = match.end()
            return self._checked(self._value(match.group()) or "", quoted)
        if following in _AFTER_LONE_DOLLAR or (quoted and following == '"'):
            return char
        raise NotUnderstood(f"{char + following!r} means something to a shell")

    def _checked(self, value: str, quoted: bool) -> str:
        if self._argument and not quoted and _SPLITTING.search(value):
            raise NotUnderstood("some shells would part or replace what it comes to: it needs double quotation marks")
        return value

    def _braces(self, quoted: bool) -> str:
        """``${NAME}``, or with an operator that gives a value where there is none, or another where there is one."""
        match = _NAME.match(self._text, self._at)
        if match is None:
            raise NotUnderstood("such an expansion needs a shell")
        self._at = match.end()
        name, value = match.group(), self._value(match.group())
        operator = _OPERATOR.match(self._text, self._at)
        if operator is None:
            self._end_of_braces()
            return value or ""
        self._at = operator.end()
        present = bool(value) if operator.group().startswith(":") else value is not None
        wants_word = present if operator.group().endswith("+") else not present
        word = self._word_in_braces(quoted, wants_word)
        self._end_of_braces()
        if not wants_word:
            return "" if operator.group().endswith("+") else (value or "")
        if self._used and operator.group().endswith("="):
            self._scope.assign(name, word)
        if self._used and operator.group().endswith("?"):
            raise NotUnderstood(f"{name} has to be set before")
        return word

    def _end_of_braces(self) -> None:
        if self._next() != "}":
            raise NotUnderstood("such an expansion needs a shell")

    def _word_in_braces(self, quoted: bool, used: bool) -> str:
        before, self._used = self._used, self._used and used
        # Patterns and blanks in the word are seen in what the whole comes to.
        argument, self._argument = self._argument, False
        word = self._quoted_in_braces() if quoted else self._plain("}")
        self._used, self._argument = before, argument
        return word

    def _quoted_in_braces(self) -> str:
        """Text up to the closing brace of an expansion that is between double quotation marks."""
        found: list[str] = []
        while self._peek() != "}":
            char = self._next()
            if char == '"':
                found.append(self._quoted_again())
            elif char == "\\":
                found.append(self._escaped('$`"\\}'))
            else:
                found.append(self._expansion(char, True))
        return "".join(found)

    def _quoted_again(self) -> str:
        found: list[str] = []
        while self._peek() != '"':
            char = self._next()
            if char in "\\'{}~":
                raise NotUnderstood(f"shells differ in what {char} means in quotes within quotes")
            found.append(self._expansion(char, True))
        self._at += 1
        return "".join(found)

    def _value(self, name: str) -> str | None:
        if not self._used:
            return None
        value = self._scope.value(name)
        if belongs_to_shells(name) or (value is None and name in _GIVEN):
            raise NotUnderstood(f"{name} is known to a shell only")
        self._room -= len(value or "")
        if self._room < 0:
            raise NotUnderstood("the value is too long")
        return value
