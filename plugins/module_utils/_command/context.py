# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every verb gets, and how what became of its work is told."""

from __future__ import annotations

import typing as t

from .._core.errors import BadInput, ZrepError
from .._core.settings import Settings
from .arguments import Request
from .dialect import translate
from .variables import Variables
from .voice import Voice

ALL = "all"
_RECORDS = ("mark_sent", "unmark_sent", "drop_bookmark")
"""Actions that only write down what another one did."""


class Context(t.NamedTuple):
    """One call of the command."""

    request: Request
    variables: Variables
    settings: Settings
    voice: Voice

    @property
    def targets(self) -> tuple[list[str], bool]:
        """The filesystems that were named, and whether that is all of them; raises BadInput."""
        named = list(dict.fromkeys(self.request.operands))
        if ALL in named and len(named) > 1:
            raise BadInput(
                "{!r} stands beside other filesystems: {}".format(ALL, ", ".join(named)),
                hint=f"zrep {self.request.verb} {ALL}",
            )
        return ([], True) if named == [ALL] else (named, False)

    def seconds(self, name: str) -> int | None:
        """A value in whole seconds, None if it was not given; raises BadInput."""
        text = self.request.values.get(name)
        if text is None:
            return None
        if not text.isascii() or not text.isdigit() or len(text) > 9:
            raise BadInput(f"-{name} {text[:80]!r} cannot be used: expected a whole number of seconds")
        return int(text)

    @property
    def forced(self) -> bool:
        return self.request.has("f") or self.variables.flag("ZREP_FORCE")

    def finish(self, result: t.Mapping[str, t.Any]) -> int:
        """Tell what became of the work, as a module returns it; the exit status."""
        for warning in result.get("warnings", ()):
            self.voice.warn(warning)
        for note in result.get("notes", ()):
            self.voice.note(note)
        failures = [self._in_our_words(failed) for failed in result.get("failed_filesystems", ())]
        for failed in failures:
            text, name = failed["text"], failed["filesystem"]
            self.voice.fail(text if name in text else f"{name}: {text}")
        if self.request.has("json"):
            shown = {key: value for key, value in result.items() if key != "diff"}
            self.voice.json(dict(shown, failed_filesystems=failures))
        else:
            self._tell_actions(result.get("actions", ()))
        return 1 if failures else 0

    def _in_our_words(self, failed: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """A failure whose texts name calls of the command."""
        spoken = ("text", "message", "left", "hint")
        return {key: translate(value, self.request.verb) if key in spoken else value for key, value in failed.items()}

    def _tell_actions(self, actions: t.Iterable[t.Mapping[str, str]]) -> None:
        for action in actions:
            line = "{host}: {what}".format(**action)
            if self.request.dry:
                self.voice.answer("would {}, because {}".format(line, translate(action["why"], self.request.verb)))
            elif action["action"] not in _RECORDS or self.voice.debug:
                self.voice.tell(line)


def as_failure(error: ZrepError, filesystem: str = "") -> dict[str, t.Any]:
    """An error as one of the ``failed_filesystems`` of a result."""
    return dict(error.facts(), filesystem=filesystem or error.dataset, text=str(error))
