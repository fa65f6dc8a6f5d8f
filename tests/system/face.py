# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same calls through the other face: what a module is asked for, as a line of the zrep command.

With ZFSOPS_FACE=command the tests that call modules call the command wherever it has words for what they want, so
that what is proven of the modules is proven of the command.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.lab import Host
from tests.system import command

CHOSEN = os.environ.get("ZFSOPS_FACE", "modules")


class Line(NamedTuple):
    """A line of the command.

    :param env: what only a variable can say.
    """

    words: list[str]
    env: dict[str, str]


class _NoWords(Exception):
    """The command cannot say this."""


def run(host: Host, module: str, options: Mapping[str, Any], check: bool, env: Mapping[str, str]) -> dict | None:
    """What the module would return, from the command; None if the command has no words for the call."""
    try:
        line = _LINES[module](dict(options))
    except (_NoWords, KeyError):
        return None
    verb, *rest = line.words
    flags = [] if verb in _SPEECHLESS else ["--json"]
    said = command.zrep(host, verb, *flags, *["--dry-run"] * check, *rest, env={**env, **line.env})
    assert said.status in (0, 1), said
    found = json.loads(said.out) if flags else _heard(said, host)
    if said.status:
        found.update(failed=True, msg=said.err)
        if found.get("failed_filesystems"):
            found["error"] = found["failed_filesystems"][0]
    assert bool(found.get("failed_filesystems")) == bool(said.status) or not flags, said
    found["pair"] = (found.get("pairs") or [None])[0]
    return found


_SPEECHLESS = ("clear",)
"""Verbs that answer nothing."""


def _heard(said: command.Said, host: Host) -> dict:
    lines = [line for line in (said.out + said.err).splitlines() if line.startswith((f"{host.name}:", "would "))]
    return {"changed": bool(lines), "actions": []}


def _only(options: dict[str, Any], *known: str) -> None:
    """Raise if something else is wanted."""
    if any(value not in (None, False, [], {}) for name, value in options.items() if name not in known):
        raise _NoWords


def _common(options: dict[str, Any]) -> Line:
    words = ["-t", options.pop("tag")] if "tag" in options else []
    env = {}
    for name, variable in (("ssh", "SSH"), ("src_host", "ZREP_SRC_HOST")):
        if name in options:
            env[variable] = options.pop(name)
    if "send_options" in options:
        env["ZREP_SEND_FLAGS"] = " ".join(options.pop("send_options"))
    if options.get("intermediates") is not None:
        env["ZREP_INC_FLAG"] = "-I" if options.pop("intermediates") else "-i"
    if options.pop("rename_unsent", True) in (False, "no"):
        env["ZREP_RENAME_UNSENT"] = "no"
    locks = {True: "script", "always": "script", False: "off", "never": "off"}.get(options.pop("script_locks", None))
    if locks:
        env["ZREP_LOCKS"] = locks
    return Line(words, env)


def _names(options: dict[str, Any]) -> list[str]:
    found = options.pop("filesystem")
    names = [found] if isinstance(found, str) else list(found)
    if not names:
        raise _NoWords
    return [part for name in names for part in name.split(",")]


def _pair(options: dict[str, Any]) -> Line:
    words, env = _common(options)
    if options.pop("state", "present") == "absent":
        _only(options, "filesystem", "force", "local_only")
        if not (options.get("force") and options.get("local_only")):
            raise _NoWords
        return Line(["clear", *words, "-f", *_names(options)], env)
    for name, variable, form in (
        ("create_properties", "ZREP_CREATE_FLAGS", "-o {}={}"),
        ("peer_properties", "ZREP_INIT_REMOTE_PROPERTIES", "{}={}"),
    ):
        values = options.pop(name, {}) or {}
        if any(" " in str(text) for text in values.values()):
            raise _NoWords
        if values:
            env[variable] = " ".join(form.format(*pair) for pair in values.items())
    words += ["--pull"] * (options.pop("role", "master") == "replica")
    _only(options, "filesystem", "peer_host", "peer_filesystem", "force", "adopt", "savecount")
    words += ["-f"] * bool(options.get("force"))
    for name in ("adopt", "savecount"):
        if options.get(name) is not None:
            words += [f"--{name}", str(options[name])]
    return Line(["init", *words, options["filesystem"], options["peer_host"], options["peer_filesystem"]], env)


def _sync(options: dict[str, Any]) -> Line:
    words, env = _common(options)
    if not options.pop("expire", True):
        env["ZREP_SKIP_EXPIRE"] = "1"
    verb = "refresh" if options.pop("direction", "auto") == "pull" else "sync"
    _only(options, "filesystem", "force", "only_if_changed", "skip_busy", "send_only")
    if options.pop("send_only", False):
        if verb == "refresh":
            raise _NoWords
        _only(options, "filesystem")
        return Line(["synconly", *words, *_names(options)], env)
    words += ["-f"] * bool(options.get("force")) + ["-c"] * bool(options.get("only_if_changed"))
    if options.get("skip_busy") is not None:
        words += ["-q", str(options["skip_busy"])]
    return Line([verb, *words, *_names(options)], env)


def _snapshot(options: dict[str, Any]) -> Line:
    words, env = _common(options)
    state = options.pop("state", "present")
    if state == "expired":
        _only(options, "filesystem", "local_only")
        return Line(["expire", *words, *["-L"] * bool(options.get("local_only")), *_names(options)], env)
    if state == "sent":
        _only(options, "filesystem", "snapshot", "local_only")
        (filesystem,) = _names(options)
        local = ["-L"] * bool(options.get("local_only"))
        return Line(["sentsync", *words, *local, "{}@{}".format(filesystem, options["snapshot"])], env)
    raise _NoWords


def _failover(options: dict[str, Any]) -> Line:
    words, env = _common(options)
    _only(options, "filesystem", "role", "force", "diverged", "preserve_as", "repoint")
    verb = "takeover" if options["role"] == "master" else "failover"
    diverged = options.get("diverged", "refuse")
    if options.get("force") and verb == "failover" and diverged == "refuse":
        raise _NoWords  # The command preserves then.
    words += ["-L"] * bool(options.get("force"))
    if diverged != "refuse":
        words.append(f"--{diverged}")
    if options.get("repoint"):
        words += ["--repoint", ",".join(options["repoint"])]
    if options.get("preserve_as"):
        words += ["--preserve-as", options["preserve_as"]]
    return Line([verb, *words, *_names(options)], env)


_LINES = {"zrep_pair": _pair, "zrep_sync": _sync, "zrep_snapshot": _snapshot, "zrep_failover": _failover}
