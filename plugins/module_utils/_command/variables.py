# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the variables of the zrep command are set to, where that comes from, and what it means to the core.

They are those of the script, from the environment and from its configuration file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import typing as t

from .._core import names, programs
from .._core import settings as settings_room
from .._core.errors import BadInput
from .._core.settings import ALWAYS, AUTO, NEVER, Settings, words
from .._core.shell import host_name
from . import configuration
from .catalogue import GUESSED, TABLE
from .configuration import ENVIRONMENT, Complaint, Setting
from .configuration_file import text_of

DEFAULT = "default"
OPTION = "option"
COMPLAINTS_SHOWN = 20

_LEAST = {"ZREP_SAVE_COUNT": 1}
_NUMBER = re.compile(r"[0-9]{1,9}\Z")


class Row(t.NamedTuple):
    """One line of what ``zrep config`` prints: the value that counts."""

    name: str
    value: str
    origin: str
    effect: str


@dataclasses.dataclass(frozen=True)
class Variables:
    """All variables with their values.

    :param complaints: what has no effect in the configuration file, such as names that were guessed; texts for people.
    :param exported: what programs that we start get beside our environment.
    :param removed: what they do not get of it.
    """

    settings: t.Mapping[str, Setting]
    complaints: t.Sequence[str] = ()
    exported: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    removed: frozenset[str] = frozenset()

    def get(self, name: str) -> str:
        """The value of a variable of ours, its default where nobody sets it. As in the script, empty is not set."""
        found = self.settings.get(name)
        return (found.value if found else "") or TABLE[name].default

    def flag(self, name: str) -> bool:
        """Whether a variable switches something on; raises BadInput for a value that could mean anything.

        Any value does, as in the script, but for three: a snapshot that could not be sent is kept for ``yes`` only,
        data is given up for ``-f`` only, and what is on by itself is switched off by ``off``.
        """
        value = self.get(name)
        if name == "ZREP_RENAME_UNSENT":
            return value == "yes"
        if name == "ZREP_RESUME":
            return value != "off"
        if name == "ZREP_FORCE" and value not in ("", "-f"):
            raise self.refuse(name, "expected -f, or nothing")
        return bool(value)

    def number(self, name: str) -> int:
        """Its value as a whole number; raises BadInput."""
        value, least = self.get(name), _LEAST.get(name, 0)
        if not _NUMBER.match(value) or int(value) < least:
            raise self.refuse(name, f"expected a whole number from {least} on")
        return int(value)

    def origin(self, name: str) -> str:
        """Where its value comes from: ``environment``, ``default``, ``option``, or a place in the file."""
        found = self.settings.get(name)
        return found.origin if found and found.value else DEFAULT

    def place(self, name: str) -> str:
        """Who says so, for people."""
        return "-t" if self.origin(name) == OPTION else f"{name}, {self.origin(name)}"

    def refuse(self, name: str, why: str) -> BadInput:
        """The error that its value cannot be used."""
        return _refusal(f"{self.get(name)[:80]!r} cannot be used: {why} ({self.place(name)})")

    def rows(self) -> list[Row]:
        """All of them, in the order of the table, with what they come to where nobody sets them."""
        unset = {
            "ZREP_SRC_HOST": host_name(),
            "ZREP_INC_FLAG": "-I" if self.get("ZREPTAG") == names.DEFAULT_TAG else "-i",
            "ZREP_RUNDIR": settings_room.script_directory(),
        }
        return [
            Row(name, self.get(name) or unset.get(name, ""), self.origin(name), known.effect)
            for name, known in TABLE.items()
        ]

    def with_option(self, name: str, value: str) -> Variables:
        """The same with a value of the argument line, which wins over all others."""
        return dataclasses.replace(self, settings=dict(self.settings, **{name: Setting(value, OPTION)}))


def _refusal(message: str, hint: str = "") -> BadInput:
    hint = hint or "zrep config shows all variables and where they come from"
    return BadInput(message, left="nothing was changed", hint=hint)


# -- reading ---------------------------------------------------------------------------------------------------


def load(environment: t.Mapping[str, str], path: str = configuration.PATH) -> Variables:
    """Read the environment and the configuration file.

    :raises BadInput: the file cannot be read, or somebody else can write it, or a line of it that only a shell can
        make sense of may set a variable of ours. To go on with another value than the one meant could do harm.
    """
    found = configuration.read(text_of(path), environment, path)
    for complaint in found.complaints:
        _check_harmless(complaint)
    complaints = [str(complaint) for complaint in found.complaints[:COMPLAINTS_SHOWN]]
    if len(found.complaints) > COMPLAINTS_SHOWN:
        complaints.append(f"{path}: {len(found.complaints) - COMPLAINTS_SHOWN} more lines were not understood")
    complaints += _guesses(found.settings)
    return Variables(found.settings, complaints, found.exported, found.removed)


def _check_harmless(complaint: Complaint) -> None:
    """Refuse to work with another value than the one that a line gives to a variable of ours."""
    ours = sorted(name for name in complaint.mentions if name in TABLE and TABLE[name].works)
    if ours or complaint.anything:
        what = "it may set {}".format(" and ".join(ours)) if ours else "it may set any variable"
        raise BadInput(
            f"{complaint.place}: {complaint.why}, but {what}: {complaint.shown}",
            left="nothing was changed",
            hint="the file is read and not run, so write NAME='VALUE' there, or NAME=${NAME:-VALUE} for a value that "
            "the environment may override",
        )


def _guesses(settings: t.Mapping[str, Setting]) -> t.Iterator[str]:
    """What is wrong with names in the file that look like ours."""
    for name, (_value, origin) in settings.items():
        if origin == ENVIRONMENT or name in TABLE:
            continue
        advice = GUESSED.get(name) or (_resembling(name) if name.startswith("ZREP") else "")
        if advice:
            yield f"{name} ({origin}) is no variable of this command; {advice}"


def _resembling(name: str) -> str:
    import difflib  # It takes a while to load, and hardly anybody needs it.

    meant = difflib.get_close_matches(name, TABLE, 1, 0.85)
    return f"is {meant[0]} meant?" if meant else ""


# -- what they come to -----------------------------------------------------------------------------------------


def settings_of(
    variables: Variables,
    tag: str | None = None,
    verbose: bool = False,
    recursive: bool = False,
    resume: bool = False,
) -> Settings:
    """Checked settings; raises BadInput.

    :param tag: what was said on the argument line, which counts most.
    :param verbose: tell how far transfers are.
    :param recursive: with all filesystems below.
    :param resume: the argument line asks for transfers that go on where they were interrupted.
    """
    chosen = variables if tag is None else variables.with_option("ZREPTAG", names.check_tag(tag))
    found = {}
    for name, (option, read) in _OPTIONS.items():
        if chosen.get(name):
            with _blaming(chosen, name):
                found[option] = read(chosen.get(name))
    if not os.path.isabs(chosen.get("ZREP_RUNDIR") or "/"):
        raise chosen.refuse("ZREP_RUNDIR", "expected a path that begins with /")
    chosen.number("Z_LOCK_RETRY")
    return settings_room.make(
        rename_unsent=chosen.flag("ZREP_RENAME_UNSENT"),
        resume=resume or chosen.flag("ZREP_RESUME"),
        progress=verbose or chosen.flag("ZREP_VERBOSE"),
        recursive=recursive,
        out_filter=_filter(chosen, "ZREP_OUTFILTER", "MBUFFER"),
        in_filter=_filter(chosen, "MBUFFER", "ZREP_INFILTER"),
        environment={name: chosen.get(name) for name in _LEFT_TO_THE_CORE if chosen.origin(name) != DEFAULT},
        **found,
    )


_LEFT_TO_THE_CORE = ("ZREP_SKIP_EXPIRE", "ZREP_RUNDIR", "Z_LOCK_RETRY", "ZREP_PATH")


def _one_of(meanings: t.Mapping[str, t.Any]) -> t.Callable[[str], t.Any]:
    def read(text: str) -> t.Any:
        if text not in meanings:
            raise BadInput("{!r} cannot be used: expected {}".format(text[:80], " or ".join(meanings)))
        return meanings[text]

    return read


_OPTIONS: dict[str, tuple[str, t.Callable[[str], t.Any]]] = {
    "ZREPTAG": ("tag", names.check_tag),
    "ZREP_SRC_HOST": ("src_host", lambda text: names.check_host(text, "host")),
    "SSH": ("ssh", lambda text: settings_room.check_command(text, "ssh")),
    "ZREP_SEND_FLAGS": ("send_options", lambda text: settings_room.check_send_options(words(text, "the list"))),
    "ZREP_RESUME_FLAGS": ("resume_options", lambda text: settings_room.check_resume_options(words(text, "the list"))),
    "ZREP_INC_FLAG": ("intermediates", _one_of({"-I": True, "-i": False})),
    "ZREP_LOCKS": ("lock_properties", _one_of({"auto": AUTO, "script": ALWAYS, "off": NEVER})),
    "ZREP_COMPRESS": ("compress", programs.check_compress),
    "ZREP_BUFFER": ("buffer", lambda text: (programs.check_buffer(text), text)[1]),
    "ZREP_RATE_LIMIT": ("rate_limit", lambda text: (programs.check_rate(text), text)[1]),
    "BBCP": ("bbcp", lambda text: settings_room.check_command(text, "bbcp")),
}
"""For each variable the core's option, and what makes its value of the text or raises BadInput."""


@contextlib.contextmanager
def _blaming(variables: Variables, name: str) -> t.Iterator[None]:
    """Say in a BadInput which variable it is about, and where that is set."""
    try:
        yield
    except BadInput as error:
        raise _refusal(f"{error.message} ({variables.place(name)})", error.hint) from None


def _filter(variables: Variables, *stages: str) -> str:
    """Shell text for the middle of a pipe."""
    found = []
    for name in stages:
        with _blaming(variables, name):
            found.append(settings_room.check_filter(variables.get(name), "the filter"))
    return " | ".join(filter(None, found))


def warnings_of(variables: Variables) -> t.Iterator[str]:
    """What works and should be said in another way."""
    if variables.flag("MBUFFER"):
        yield f"MBUFFER ({variables.origin('MBUFFER')}) is outdated; put it into ZREP_OUTFILTER and ZREP_INFILTER"


# -- properties of replicas ------------------------------------------------------------------------------------


def create_options(variables: Variables) -> dict[str, str]:
    """The properties that ZREP_CREATE_FLAGS gives a replica that is made; raises BadInput for other flags."""
    found: dict[str, str] = {}
    with _blaming(variables, "ZREP_CREATE_FLAGS"):
        flags = words(variables.get("ZREP_CREATE_FLAGS"), "the list")
        while flags:
            flag = flags.pop(0)
            if flag in ("-p", "-u"):
                continue  # Parents have to exist, and nothing is mounted anyway.
            if not flag.startswith("-o") or (flag == "-o" and not flags):
                raise BadInput(f"expected -o PROPERTY=VALUE, not {flag[:80]!r}", hint=_INSTEAD.get(flag, ""))
            found.update([_property(flag[2:] or flags.pop(0))])
    return found


_INSTEAD = {"-s": "for a sparse volume write -o refreservation=none"}


def replica_properties(variables: Variables) -> dict[str, str]:
    """The properties that ZREP_INIT_REMOTE_PROPERTIES gives every new replica; raises BadInput."""
    name = "ZREP_INIT_REMOTE_PROPERTIES"
    with _blaming(variables, name):
        return dict(_property(word) for word in variables.get(name).split())


def _property(word: str) -> tuple[str, str]:
    name, sign, value = word.partition("=")
    if not sign:
        raise BadInput(f"expected PROPERTY=VALUE, not {word[:80]!r}")
    return names.check_property(name), value
