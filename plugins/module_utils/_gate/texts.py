# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which texts of shell are admitted: those that our own end sends, and no other. Pure but for what the keeper looks at.

None is judged by what it looks like. What a text is about is read from it, checked, and then the text is made anew by
the very function that makes it at the other end. Only if that is the same is it run, so whatever runs is a text of
this host's own.
"""

from __future__ import annotations

import re
import typing as t

from .._core import asking, filters, guard, locks, names, programs, remote_locks, zfs
from .._core.encryption import RAW
from .._core.filters import Member
from .rules import FORCE, MOVE, RECEIVE, SEND, Rules
from .words import Refused, split
from .zfs_requests import Argv, Gatekeeper

_STRANGE = "this text of shell is none of ours"
_GUARD = "trap "
_ZFS_IN_STREAM = re.compile(
    r"\{ (zfs (?:send|receive) .*?)(?: >/dev/null)? ([3-9])>&-(?: [3-9]>&-)?; echo zfs=\$\? >&\2; \}"
)
_PROGRAM_IN_STREAM = re.compile(r"; eval ((?:[^\s'\"]|'[^']*'|\"'\")+)\) ")
_DESCRIPTOR_IN_STREAM = re.compile(r"\) (?:>&[3-9] )?[3-9]>&- ([3-9])>&-;")


class Texts:
    """Decides about ``sh -c``."""

    def __init__(self, rules: Rules, keeper: Gatekeeper) -> None:
        self._rules = rules
        self._keeper = keeper

    def admit(self, argv: t.Sequence[str]) -> list[Argv]:
        """The command that is run; raises Refused."""
        if len(argv) < 3 or argv[1] != "-c":
            raise Refused("of sh only 'sh -c TEXT' is admitted")
        text, rest = argv[2], tuple(argv[3:])
        for decide in self._by_arguments() if rest else self._by_text():
            found = decide(text, rest)
            if found is not None:
                if found != tuple(argv) and decide != self._stream:
                    break
                return [found]
        raise Refused(_STRANGE)

    def _by_arguments(self) -> tuple[t.Callable[[str, Argv], Argv | None], ...]:
        return (self._marks, self._holds, self._mounting, self._remounting, self._places, self._holders)

    def _by_text(self) -> tuple[t.Callable[[str, Argv], Argv | None], ...]:
        return (
            self._program_look,
            self._lock_question,
            self._locks,
            self._guard,
            self._changes,
            self._copy,
            self._stream,
        )

    # Texts that get arguments

    def _marks(self, text: str, rest: Argv) -> Argv | None:
        model = zfs.mark_and_bookmark("n", "v", ["p@s"])[0]
        if text != model[2] or len(rest) < 5:
            return None
        _sh, pool, name, value, *targets = rest
        for target in targets:
            self._keeper.check_assignment(f"{name}={value}", target)
            if "@" not in target or names.pool_of(target) != pool:
                raise Refused(f"{target[:300]} is no snapshot in {pool[:300]}")
        return zfs.mark_and_bookmark(name, value, targets)[0]

    def _holds(self, text: str, rest: Argv) -> Argv | None:
        if text != zfs.hold("t", ["p@s"])[0][2] or len(rest) < 5 or rest[1] not in ("hold", "release"):
            return None
        _sh, verb, tag, recursively, *targets = rest
        if recursively not in ("", "-r"):
            raise Refused(_STRANGE)
        for target in targets:
            self._keeper.check_hold(tag, target, bool(recursively))
        make = zfs.hold if verb == "hold" else zfs.release
        return make(tag, targets, bool(recursively))[0]

    def _mounting(self, text: str, rest: Argv) -> Argv | None:
        if text != zfs.mount_if_needed("d")[2] or len(rest) != 2:
            return None
        self._keeper.check_mount(rest[1])
        return zfs.mount_if_needed(rest[1])

    def _remounting(self, text: str, rest: Argv) -> Argv | None:
        if text != zfs.remount("d")[2]:
            return None
        self._keeper.of(rest[0], MOVE, FORCE)
        return zfs.remount(rest[0])

    def _places(self, text: str, rest: Argv) -> Argv | None:
        if text != zfs.occupied([])[2]:
            return None
        for path in rest[1:]:
            if not any(path in pair.mountpoints and pair.may(MOVE) for pair in self._rules.pairs):
                raise Refused(f"{path[:300]} is no mountpoint on the list of this key")
        return zfs.occupied(rest[1:])

    def _holders(self, text: str, rest: Argv) -> Argv | None:
        if text != asking.ask_holders("/")[2] or len(rest) != 3:
            return None
        for pair in self._rules.pairs:
            argv = ("zfs", "get", "-Hp", "-o", "value", "mountpoint", pair.filesystem)
            if pair.may(MOVE, FORCE) and self._keeper.ask(argv)[1].strip("\n") == rest[1]:
                return asking.ask_holders(rest[1])
        raise Refused(f"nothing on the list of this key is mounted at {rest[1][:300]}")

    # Texts that get none

    def _program_look(self, text: str, dummy: Argv) -> Argv | None:
        return programs.LOOK if text == programs.LOOK[2] else None

    def _lock_question(self, text: str, dummy: Argv) -> Argv | None:
        found = re.match(r"ps -o stat= -o etimes= -p ([0-9]{1,10}) ", text, re.ASCII)
        return locks.ask(int(found[1])) if found else None

    def _locks(self, text: str, dummy: Argv) -> Argv | None:
        found = re.search(r"^        for name in (.*); do$", text, re.MULTILINE)
        if not found:
            return None
        known = {
            locks.file_name(pair.tag, pair.filesystem) for pair in self._rules.pairs if pair.may(SEND, RECEIVE, MOVE)
        }
        files = split(found[1])
        if not set(files) <= known:
            raise Refused("it locks what is not on the list of this key")
        return ("sh", "-c", remote_locks.script(files))

    def _guard(self, text: str, dummy: Argv) -> Argv | None:
        for pair in self._rules.pairs:
            if pair.may(MOVE, FORCE) and text.startswith(_GUARD):
                ours = [guard.script(pair.tag, pair.filesystem, lock) for lock in (True, False)]
                if text in ours:
                    return ("sh", "-c", ours[ours.index(text)])
        return None

    def _changes(self, text: str, dummy: Argv) -> Argv | None:
        head, found, count = text.rpartition(" | head -n ")
        if not found or not re.match(r"[0-9]{1,6}\Z", count, re.ASCII) or not head.startswith("zfs diff "):
            return None
        words = split(head)
        self._keeper.admit(words)
        return zfs.diff(words[-2], words[-1], int(count))

    def _copy(self, text: str, dummy: Argv) -> Argv | None:
        """What one side has of its own is copied beside it."""
        first, found, second = text.partition(" | ")
        if not found or not (first.startswith("zfs send ") and second.startswith("zfs receive ")):
            return None
        sending, receiving = split(first), split(second)
        base = next((word for option, word in zip(sending, sending[1:]) if option in ("-i", "-I")), None)
        target, copy = sending[-1], receiving[-1]
        self._keeper.of(target, MOVE, FORCE)
        self._keeper.of_kin(copy, MOVE, FORCE)
        if "@" not in target or "@" in copy or (base and base.partition("@")[0] != target.partition("@")[0]):
            raise Refused("only snapshots of one filesystem are copied")
        if base:
            self._keeper.of(base)
        values = dict(
            word.split("=", 1) for option, word in zip(receiving, receiving[1:]) if option == "-o" and "=" in word
        )
        for name, value in values.items():
            if name != "origin":
                self._keeper.check_assignment(f"{name}={value}", copy)
            elif value != base:
                raise Refused("a copy starts from where its stream does")
        raw = (RAW,) if RAW in sending else ()
        return zfs.copy(target, base, copy, values, "-I" in sending, raw)

    def _stream(self, text: str, dummy: Argv) -> Argv | None:
        """A stream that passes programs of ours at this end."""
        found = _ZFS_IN_STREAM.search(text)
        if not found:
            return None
        words = split(found[1])
        sends = words[1] == "send"
        members = [Member(split(word)[0], "") for word in _PROGRAM_IN_STREAM.findall(text)]
        for member in members:
            if not programs.is_ours(member.text):
                raise Refused(f"the program {member.text[:200]!r} is not admitted for streams")
        report = int(found[2])
        others = [int(number) for number in _DESCRIPTOR_IN_STREAM.findall(text)]
        keep = [number for number in range(3, 10) if number not in (report, *others[:1])]
        joined = filters.sending if sends else filters.receiving
        if joined(tuple(words), members, keep)[2] != text:
            return None
        (admitted,) = self._keeper.admit(words)
        # The same text with the command that is run instead of the one that was asked for.
        return joined(admitted, members, keep)
