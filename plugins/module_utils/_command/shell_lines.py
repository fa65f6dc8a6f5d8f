# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shell text in logical lines: how far each command reaches, and its words as they are written. Pure.

Nothing is understood here but where things end: quotes, expansions, comments, documents that follow a line, compound
commands. So an assignment within a condition or a function is never taken for one that always holds. Where that cannot
be told for certain, or shells differ, the whole text is given up: after a beginning that was missed, what depends on
a condition would look as if it did not.
"""

from __future__ import annotations

import re
import typing as t

from .shell_nesting import Confused, Nesting

JOINT = "\\\n"
DEPTH_LIMIT = 16
"""How deep expansions and commands may be nested."""

_ENDS = frozenset(" \t\n;&|<>()")
"""What ends a word."""
_BLANKS = re.compile(r"(?:[ \t]|\\\n)*")
_PLAIN = re.compile(r"[^ \t\n;&|<>()\\'\"`$}]+")
_OPERATOR = re.compile(r"\([ \t]*\)|;;&|;;|;&|;|&&|&>>|&>|&|\|\||\|&|\||<<<|<<-|<<|<>|<&|<|>>|>&|>\||>|\(|\)")
_ARITHMETIC = re.compile(r"[A-Za-z0-9_ \t+\-*/%<>=!&|^~?:,${}]")
_BACKQUOTED = re.compile(r"(?:[^\\`]|\\.)*`", re.DOTALL)
_DOCUMENTS = ("<<", "<<-")


class Lost(Exception):
    """It cannot be told where commands end.

    :param line: where that was noticed, counted from 1.
    """

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


class Token(t.NamedTuple):
    """A word, operator or document as it is written.

    :param leads: it is the name of a command, or an assignment before one.
    """

    raw: str
    operator: bool = False
    leads: bool = False


class Line(t.NamedTuple):
    """A logical line: from the beginning of a command to the end of the line on which it and its companions end.

    :param number: of the line of the text on which it begins, counted from 1.
    :param text: as it stands there, with comments.
    :param tokens: without comments; a document that follows a command is one token at the end.
    """

    number: int
    text: str
    tokens: list[Token]


def split(text: str) -> list[Line]:
    """The logical lines that are not empty; raises Lost."""
    return list(_Lexer(text).lines())


class _Lexer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def lines(self) -> t.Iterator[Line]:
        if "\0" in self._text:
            self._at = self._text.index("\0")
            raise self._lost("there is a NUL character")
        number, counted = 1, 0
        while self._at < len(self._text):
            start = self._at
            tokens = self._commands("")
            number, counted = number + self._text.count("\n", counted, start), start
            if tokens:
                yield Line(number, self._text[start : self._at].strip("\n"), tokens)

    def _commands(self, closer: str) -> list[Token]:
        """Tokens to the end of a logical line; for a closer to that, over as many lines as there are."""
        tokens: list[Token] = []
        nesting = Nesting(closer)
        line_start = 0
        try:
            while True:
                self._past_blanks()
                char = self._text[self._at : self._at + 1]
                if char in ("\n", ""):
                    self._at += 1
                    tokens += [self._document(*found) for found in _announced(tokens[line_start:])]
                    line_start = len(tokens)
                    if not char or not nesting.newline():
                        nesting.end()
                        return tokens
                elif char not in _ENDS:
                    raw = self._word()
                    tokens.append(Token(raw, leads=nesting.word(raw.replace(JOINT, ""))))
                elif char == closer and nesting.flat:
                    self._at += 1
                    if list(_announced(tokens[line_start:])):
                        raise Confused("a document begins and the line does not end")
                    return tokens
                else:
                    makes_list = self._text.endswith("=", 0, self._at)
                    operator = self._operator()
                    nesting.operator(operator, makes_list)
                    tokens.append(Token(operator, operator=True))
        except Confused as reason:
            raise self._lost(str(reason)) from None

    def _lost(self, why: str) -> Lost:
        return Lost(self._text.count("\n", 0, self._at) + 1, why)

    def _past_blanks(self) -> None:
        """Go past blanks, the joints of lines, and a comment."""
        self._at = t.cast("t.Match[str]", _BLANKS.match(self._text, self._at)).end()
        if self._text.startswith("#", self._at):
            end = self._text.find("\n", self._at)
            self._at = end if end >= 0 else len(self._text)

    def _operator(self) -> str:
        found = t.cast("t.Match[str]", _OPERATOR.match(self._text, self._at)).group()
        self._at += len(found)
        if found == "(" and self._text.startswith("(", self._at):
            raise self._lost("'((' means several things")
        if found == "<<" and self._text.startswith(JOINT, self._at):
            raise self._lost("an operator may go on on the next line")
        return found if found[-1] != ")" else found[0].rstrip(")") + ")"

    def _document(self, operator: str, delimiter: str) -> Token:
        """The lines up to the one that is a delimiter."""
        end = re.sub(r"[\"'\\]", "", delimiter)
        start = self._at
        while True:
            if self._at >= len(self._text):
                raise self._lost(f"the end of a document, {end[:40]!r}, is missing")
            newline = self._text.find("\n", self._at)
            newline = newline if newline >= 0 else len(self._text)
            line = self._text[self._at : newline]
            self._at = newline + 1
            if (line.lstrip("\t") if operator == "<<-" else line) == end:
                return Token(self._text[start : self._at], operator=True)
            if line.endswith("\\") and end == delimiter:
                raise self._lost("the lines of a document are joined")

    def _word(self) -> str:
        start = self._at
        while self._at < len(self._text) and self._text[self._at] not in _ENDS:
            self._piece(False)
        return self._text[start : self._at]

    def _piece(self, quoted: bool) -> None:
        """Go past plain characters, or past one and all that it begins."""
        plain = _PLAIN.match(self._text, self._at)
        if plain:
            self._at = plain.end()
            return
        char = self._text[self._at]
        self._at += 1
        if char == "\\":
            self._at += 1
            if self._at > len(self._text):
                raise self._lost("nothing follows the last backslash")
        elif char == "'" and not quoted:
            self._past("'")
        elif char == '"':
            self._to('"', True)
        elif char == "`":
            self._to_backquote()
        elif char == "$":
            self._dollar(quoted)

    def _past(self, mark: str) -> None:
        end = self._text.find(mark, self._at)
        if end < 0:
            raise self._lost(f"{mark} has no other one")
        self._at = end + 1

    def _to(self, closer: str, quoted: bool) -> None:
        """Go past a closer that is no part of what begins before it."""
        self._deeper()
        while not self._text.startswith(closer, self._at):
            if self._at >= len(self._text):
                raise self._lost(f"{closer} is missing where the text ends")
            if closer == "}" and quoted and self._text[self._at] == "'":
                raise self._lost("shells differ in what ' means in braces within quotes")
            self._piece(quoted)
        self._depth -= 1
        self._at += 1

    def _to_backquote(self) -> None:
        found = _BACKQUOTED.match(self._text, self._at)
        if not found:
            raise self._lost("` has no other one")
        self._at = found.end()

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEPTH_LIMIT:
            raise self._lost(f"more than {DEPTH_LIMIT} things are nested")

    def _dollar(self, quoted: bool) -> None:
        """Go past what a dollar sign begins."""
        following = self._text[self._at : self._at + 1]
        if self._text.startswith("((", self._at):
            self._arithmetic()
        elif following == "(":
            self._at += 1
            self._deeper()
            self._commands(")")
            self._depth -= 1
        elif following == "{":
            self._at += 1
            if self._text[self._at : self._at + 1] in (" ", "\t", "\n", "|", "("):
                raise self._lost("'${' may begin commands")
            self._to("}", quoted)
        elif following == "[" or self._text.startswith(JOINT, self._at):
            raise self._lost("shells differ in what a dollar sign means here")
        elif following == "'" and not quoted:
            start = self._at = self._at + 1
            self._past("'")
            if "\\" in self._text[start : self._at]:
                raise self._lost("shells differ in where $'...' ends")

    def _arithmetic(self) -> None:
        """Go past the end of ``$((``, if nothing in it can be taken for something else."""
        open_ones = 0
        while True:
            char = self._text[self._at : self._at + 1]
            if char not in ("(", ")") and not _ARITHMETIC.match(char):
                raise self._lost("'$((' means several things")
            open_ones += (char == "(") - (char == ")")
            self._at += 1
            if open_ones == 0:
                break
        if not self._text.endswith("))", 0, self._at):
            raise self._lost("'$((' means several things")


def _announced(tokens: t.Sequence[Token]) -> t.Iterator[tuple[str, str]]:
    """The documents that a line announces: operator and delimiter."""
    for index, token in enumerate(tokens):
        if token.operator and token.raw in _DOCUMENTS:
            delimiter = tokens[index + 1 : index + 2]
            if not delimiter or delimiter[0].operator:
                raise Confused(f"nothing follows {token.raw}")
            yield token.raw, delimiter[0].raw
