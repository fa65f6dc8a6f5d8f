# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way that the streams of a run take: what was asked for, with the programs that both of its hosts have."""

from __future__ import annotations

import dataclasses
import typing as t

from . import bbcp, programs
from .errors import BadInput, NoZfs
from .programs import End, Wish
from .settings import Settings
from .shell import Shell
from .state import HERE
from .transfer import Way, way_of


class Ways:
    """Finds the way of streams. What a host has is asked once in a run, and only if something was asked for.

    :raises BadInput: bbcp cannot be read.
    """

    def __init__(self, settings: Settings, here: Shell) -> None:
        self._way = way_of(settings)
        self._wish = Wish(settings.compress, settings.buffer, settings.rate_limit)
        self._parallel = settings.parallel
        self._here = here
        self._has: dict[str, frozenset[str]] = {}
        self._told: set[str] = set()

    def way(self, side: str, peer: Shell, streams: int) -> tuple[Way, list[str]]:
        """The way of streams that a side sends, and what people should know about it.

        :param streams: how many there are.
        :raises ZrepError: they must not go, since their rate cannot be limited; or a host cannot be asked.
        """
        if self._way.bbcp and peer.remote:
            return self._way, _said(self._way.warning, self._of_no_use())
        if not self._wish:
            return self._way, _said(self._way.warning)
        sender, receiver = (self._here, peer) if side == HERE else (peer, self._here)
        choice = programs.choose(
            self._wish,
            self._end(sender),
            self._end(receiver) if self._wish.at_the_receiver else End(receiver.host, frozenset()),
            apart=peer.remote,
            streams=min(self._parallel, streams),
        )
        way = dataclasses.replace(self._way, out_programs=choice.out, in_programs=choice.into)
        return way, _said(self._way.warning, *choice.warnings)

    def news(self, warnings: t.Iterable[str]) -> list[str]:
        """Those of some warnings that nobody was told in this run; now he is."""
        new = [words for words in warnings if words not in self._told]
        self._told.update(new)
        return new

    def limiter(self) -> tuple[str, ...]:
        """The command that a stream passes which goes to whoever called this program, none for no limit."""
        member = programs.limit(self._wish, self._end(self._here), self._wish.rate) if self._wish.rate else None
        return tuple(member.text.split()) if member else ()

    def _end(self, shell: Shell) -> End:
        if shell.host not in self._has:
            try:
                said = shell.run(programs.LOOK).out
            except NoZfs:  # It cannot run any program but some.
                said = ""
            self._has[shell.host] = frozenset(said.split()) & frozenset(programs.KNOWN)
        return End(shell.host, self._has[shell.host])

    def _of_no_use(self) -> str:
        useless = [words for words in self._wish.words if not words.startswith("rate_limit")]
        if self._wish.rate:
            raise BadInput(
                f"{self._wish.words[-1]} cannot be kept, since {bbcp.VARIABLE} moves the streams",
                left="nothing was changed",
                hint=f"unset {bbcp.VARIABLE}, or give bbcp its own option -x and do without the limit here",
            )
        return "{} moves the streams, without {}".format(bbcp.VARIABLE, " and ".join(useless)) if useless else ""


def _said(*warnings: str) -> list[str]:
    return [words for words in warnings if words]
