# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration file of the zrep command, as installations of the script have it. Pure.

The script runs the file as shell code. Here it is only read: assignments, with or without ``export``, with quotes and
parameter expansion. A line is understood as a whole, or has no effect and is reported with its number. Nothing is taken
for understood on which shells differ. So what is taken over without a complaint is what the script works with.
"""

from __future__ import annotations

import re
import typing as t

from . import shell_lines
from .shell_lines import JOINT, Token
from .shell_nesting import ASSIGNMENT, KEYWORDS
from .shell_words import NotUnderstood, belongs_to_shells, expand

PATH = "/etc/default/zrep"
ENVIRONMENT = "environment"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_BARE_NAME = re.compile(r"(?<![A-Za-z0-9_$])(?<!\$\{)[A-Za-z_][A-Za-z0-9_]*|(?<=\$\{)[A-Za-z_][A-Za-z0-9_]*(?=:?=)")
"""A name that is not only looked up: it may be that of a variable that is set."""
_DEMAND = re.compile(r"\$\{[A-Za-z0-9_]+:?\?")
"""The script ends if the variable is not set."""
_QUOTING = re.compile(r"\\\n|[\"'\\]")
_ELSEWHERE = (".", "source", "eval", "return", "exit")
"""Commands after which anything may be set, or after which the rest of the file does not count."""
_DECLARING = ("export", "readonly", "typeset", "declare", "local", "unset", "read", "let")
_SHOWN = 120
"""Characters of a line that a complaint shows."""


class Setting(t.NamedTuple):
    """The value of a variable and where it comes from: ``environment``, the place in the file, or ``option``."""

    value: str
    origin: str


class Complaint(t.NamedTuple):
    """A line of the file that was not understood and has no effect.

    :param line: its number, counted from 1.
    :param mentions: names of variables that it may set.
    :param anything: it may set variables that it does not name, or keep the rest of the file from counting.
    """

    path: str
    line: int
    text: str
    why: str
    mentions: frozenset[str] = frozenset()
    anything: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {self.why}: {self.shown}"

    @property
    def place(self) -> str:
        return f"{self.path}, line {self.line}"

    @property
    def shown(self) -> str:
        """The text on one line, without what a terminal would obey."""
        return _shown(self.text)


class Configuration(t.NamedTuple):
    """What a file and the environment say together.

    :param settings: by name of the variable.
    :param exported: what programs get that the script starts, as far as the file says it.
    :param removed: variables of the environment that they do not get.
    """

    settings: dict[str, Setting]
    complaints: list[Complaint]
    exported: dict[str, str]
    removed: frozenset[str]


def read(text: str, environment: t.Mapping[str, str], path: str = PATH) -> Configuration:
    """Read a configuration file. As in the script, it overrides the environment unless it says ``${X:-value}``."""
    reader = _Reader(environment, path)
    try:
        lines = shell_lines.split(text)
    except shell_lines.Lost as lost:
        reader.lost(lost.line, text.split("\n")[lost.line - 1], f"only a shell can read this file ({lost})")
    else:
        for line in lines:
            reader.line(line)
    return reader.result()


def _shown(text: str) -> str:
    line = " ".join(text.split())
    line = "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in line)
    return line if len(line) <= _SHOWN else line[: _SHOWN - 3] + "..."


class _Reader:
    """The variables while lines go by."""

    def __init__(self, environment: t.Mapping[str, str], path: str) -> None:
        self._path = path
        self._environment = environment
        self._settings = {name: Setting(value, ENVIRONMENT) for name, value in environment.items()}
        self._exported = set(environment)
        self._readonly: set[str] = set()
        self._unclear: set[str] = set()
        self._complaints: list[Complaint] = []

    def result(self) -> Configuration:
        kept = self._exported & set(self._settings)
        exported = {name: self._settings[name].value for name in kept if self._settings[name].origin != ENVIRONMENT}
        removed = frozenset(set(self._environment) - kept)
        return Configuration(self._settings, self._complaints, exported, removed)

    def line(self, line: shell_lines.Line) -> None:
        """Carry out a logical line if all of it is understood."""
        work = _Work(self._settings, self._readonly, self._unclear, f"{self._path}:{line.number}")
        try:
            work.line(line.tokens)
        except NotUnderstood as reason:
            self.complain(line.number, line.text, str(reason), line.tokens)
            return
        for name, setting in work.changes.items():
            if setting is None:
                self._settings.pop(name, None)
            else:
                self._settings[name] = setting
        self._readonly |= work.readonly
        self._exported = (self._exported - work.withdrawn) | work.exported

    def complain(self, number: int, text: str, why: str, tokens: t.Sequence[Token]) -> None:
        mentions = _mentions(tokens)
        # For good: a function may be defined here and called at any time.
        self._unclear |= mentions
        self._complaints.append(Complaint(self._path, number, text, why, mentions, _may_set_anything(tokens)))

    def lost(self, number: int, text: str, why: str) -> None:
        self._complaints.append(Complaint(self._path, number, text, why, anything=True))


def _mentions(tokens: t.Sequence[Token]) -> frozenset[str]:
    """Names that stand there otherwise than for a value."""
    written = " ".join(token.raw for token in tokens)
    return frozenset(_BARE_NAME.findall(written)) | frozenset(_BARE_NAME.findall(_QUOTING.sub("", written)))


def _may_set_anything(tokens: t.Sequence[Token]) -> bool:
    """Whether variables may be set that are not named, or the rest of the file may not count."""
    declares = False
    for token in tokens:
        word = token.raw.replace(JOINT, "")
        if (token.leads and word in _ELSEWHERE) or _DEMAND.search(word):
            return True
        if token.operator or token.leads:
            declares = word in _DECLARING
        elif declares and word.lstrip("\"'").startswith(("$", "`")):
            return True
    return False


class _Work:
    """What one logical line does; nothing of it counts if anything in it is not understood."""

    def __init__(self, settings: t.Mapping[str, Setting], readonly: set[str], unclear: set[str], origin: str) -> None:
        self._settings = settings
        self._readonly = readonly
        self._unclear = unclear
        self._origin = origin
        self._waiting: set[str] = set()
        self.changes: dict[str, Setting | None] = {}
        self.readonly: set[str] = set()
        self.exported: set[str] = set()
        self.withdrawn: set[str] = set()

    def line(self, tokens: t.Sequence[Token]) -> None:
        """Carry out commands that are parted by semicolons; raises NotUnderstood."""
        words: list[str] = []
        for token in tokens:
            if not token.operator:
                words.append(token.raw)
                continue
            if words:
                self._command(words)
            if token.raw != ";" or not words:
                raise NotUnderstood(f"{token.raw!r} needs a shell")
            words = []
        if words:
            self._command(words)

    def value(self, name: str) -> str | None:
        if name in self._unclear:
            raise NotUnderstood(f"it depends on {name}, which a line that was not understood may have set")
        if name in self._waiting:
            raise NotUnderstood(f"shells differ in which value of {name} this means")
        found = self.changes[name] if name in self.changes else self._settings.get(name)
        return found.value if found else None

    def assign(self, name: str, value: str) -> None:
        self._check_free(name)
        self.changes[name] = Setting(value, self._origin)

    def _check_free(self, name: str) -> None:
        if belongs_to_shells(name):
            raise NotUnderstood(f"{name} belongs to the shell")
        if name in self._readonly or name in self.readonly:
            raise NotUnderstood(f"{name} was made readonly before")

    def _command(self, words: t.Sequence[str]) -> None:
        first, *rest = words
        if ASSIGNMENT.match(first):
            self._assignments(words)
        elif first in ("export", "readonly"):
            self._declare(first, rest)
        elif first == "unset":
            self._unset(rest)
        elif first == ":":
            for word in rest:
                expand(word, self)
        elif first in KEYWORDS:
            raise NotUnderstood(f"{first!r} needs a shell")
        else:
            raise NotUnderstood("this is no assignment, and no command is run")

    def _assignments(self, words: t.Sequence[str]) -> None:
        for word in words:
            match = ASSIGNMENT.match(word)
            if match is None:
                raise NotUnderstood(
                    f"{_shown(word)!r} would be a command, and no command is run; a value with blanks "
                    "needs quotation marks"
                )
            self.assign(match.group(1), expand(word[match.end() :], self, value=True))

    def _declare(self, command: str, words: t.Sequence[str]) -> None:
        """``export`` and ``readonly``: all words are expanded before the first one counts."""
        if not words:
            raise NotUnderstood(f"{command} without a name prints variables")
        found = []
        for word in words:
            name, value = self._declaration(word)
            if name in self._waiting:
                raise NotUnderstood(f"shells differ in which of the words for {name} counts")
            self._waiting.add(name)
            found.append((name, value))
        self._waiting = set()
        for name, value in found:
            if value is not None:
                self.assign(name, value)
            self._check_free(name)
            (self.exported if command == "export" else self.readonly).add(name)

    def _declaration(self, word: str) -> tuple[str, str | None]:
        match = ASSIGNMENT.match(word)
        if match:
            return match.group(1), expand(word[match.end() :], self, value=True, argument=True)
        whole = expand(word, self, argument=True) if word[0] in "\"'" else word
        match = ASSIGNMENT.match(whole)
        if match:
            return match.group(1), whole[match.end() :]
        if not _NAME.match(whole):
            raise NotUnderstood(f"{_shown(word)!r} is no name of a variable")
        return whole, None

    def _unset(self, words: t.Sequence[str]) -> None:
        names = list(words[1:] if words[:1] == ["-v"] else words)
        if not names or not all(_NAME.match(name) for name in names):
            raise NotUnderstood("unset needs names of variables")
        for name in names:
            self._check_free(name)
            self.changes[name] = None
            self.exported.discard(name)
            self.withdrawn.add(name)
