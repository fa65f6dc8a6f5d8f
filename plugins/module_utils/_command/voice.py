# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the command's words go: answers to standard output, messages for people to standard error."""

from __future__ import annotations

import json
import os
import sys
import typing as t

from .dialect import translate


class OutputLost(Exception):
    """Nobody reads the standard output any more."""


class Voice:
    """What the command says.

    :param quiet: nothing about success.
    :param debug: more about what is done.
    :param verb: what was typed, so that messages name what to type next.
    """

    def __init__(self, verb: str = "", quiet: bool = False, debug: bool = False) -> None:
        self.verb = verb
        self.quiet = quiet
        self.debug = debug

    @property
    def at_terminal(self) -> bool:
        """Whether a person reads the messages as they come."""
        try:
            return sys.stderr is not None and sys.stderr.isatty()
        except ValueError:
            return False  # It is closed.

    def answer(self, text: str, end: str = "\n") -> None:
        """Data that was asked for; raises OutputLost."""
        try:
            if sys.stdout is None:
                raise OutputLost
            sys.stdout.write(_encodable(text + end, sys.stdout.encoding or "utf-8"))
            sys.stdout.flush()
        except (OSError, ValueError):
            raise OutputLost from None

    def json(self, content: t.Any) -> None:
        """Data that was asked for, as JSON."""
        self.answer(json.dumps(content, indent=2, sort_keys=True))

    def tell(self, text: str) -> None:
        """What was done, for people."""
        if not self.quiet:
            _complain(text)

    def note(self, text: str) -> None:
        """What people should know although nothing is wrong."""
        _complain(translate(text, self.verb))

    def explain(self, text: str) -> None:
        """What only somebody who looks for a fault wants to know."""
        if self.debug:
            _complain(text)

    def warn(self, text: str) -> None:
        """What is not as it should be but did not stop the work."""
        _complain(f"zrep: warning: {translate(text, self.verb)}")

    def fail(self, text: str) -> None:
        """Why something was not done: one line."""
        _complain("zrep: {}".format(" ".join(translate(text, self.verb).split())))


def _encodable(text: str, encoding: str) -> str:
    """A text whose characters an output can carry: a value of a property may have others than the locale."""
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _complain(text: str) -> None:
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass  # Nobody reads it.


def secure_descriptors() -> None:
    """Have descriptors 0 to 2 point somewhere, so that no file or pipe of ours ends up as a program's output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def silence_exit() -> None:
    """Keep the interpreter from complaining at its end about an output that nobody reads."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
