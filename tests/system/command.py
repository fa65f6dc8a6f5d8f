# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the zrep command on lab hosts, as it is built for users."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import weakref
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from tests.lab import Host

PROJECT = Path(__file__).resolve().parents[2]
PATH = "/usr/local/bin/zrep"

_installed: weakref.WeakSet[Host] = weakref.WeakSet()


class Said(NamedTuple):
    """How a call of the command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it answered, as JSON."""
        return json.loads(self.out)


@lru_cache(maxsize=1)
def executable() -> bytes:
    """The command as ``make zrep`` builds it."""
    spec = importlib.util.spec_from_file_location("build_zrep", PROJECT / "plugins" / "plugin_utils" / "executable.py")
    assert spec is not None
    assert spec.loader is not None
    builder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(builder)
    return builder.pack(builder.members(PROJECT / "plugins" / "module_utils"))


def install(host: Host) -> None:
    """Put the command on a host's PATH, once."""
    if host in _installed:
        return
    host.run(f"mkdir -p {os.path.dirname(PATH)} && cat > {PATH} && chmod 755 {PATH}", input=executable(), text=False)
    _installed.add(host)


def remove(host: Host) -> None:
    """Take the command off a host; the next call puts it back."""
    host.run(["rm", "-f", PATH])
    _installed.discard(host)


def zrep(host: Host, *words: str, env: Mapping[str, str] | None = None, timeout: float = 60, stdin: str = "") -> Said:
    """Run the command to its end, which must be one that somebody has thought of."""
    install(host)
    done = host.run(_words(words, env), check=False, timeout=timeout, input=stdin)
    _check_thought_of(done.stderr + done.stdout)
    return Said(done.returncode, done.stdout, done.stderr)


def _check_thought_of(said: str) -> None:
    assert "Traceback" not in said, said
    assert "internal error" not in said, said


def ok(host: Host, *words: str, **options: Any) -> Said:
    """Run the command; it must succeed."""
    said = zrep(host, *words, **options)
    assert said.status == 0, f"zrep {' '.join(words)}: exit {said.status}\n{said.err}{said.out}"
    return said


def fails(host: Host, *words: str, **options: Any) -> Said:
    """Run the command; it must refuse with one line on stderr and exit status 1."""
    said = zrep(host, *words, **options)
    assert said.status == 1, f"zrep {' '.join(words)}: exit {said.status}\n{said.err}{said.out}"
    complaints = [line for line in said.err.splitlines() if line.startswith("zrep: ")]
    assert complaints, said.err
    return said


def unchanged(pair: Any, *words: str, status: int = 1, **options: Any) -> str:
    """Run the command on the first host of a pair, where it changes nothing anywhere; what it said."""
    before = pair.dump()
    said = zrep(pair.a, *words, **options)
    assert said.status == status, said
    assert pair.dump() == before
    return said.out + said.err


class RunningCommand:
    """A command that was started and not yet waited for."""

    def __init__(self, host: Host, process: subprocess.Popen[str]) -> None:
        self.host = host
        self._process = process

    def wait(self, timeout: float = 60) -> Said:
        out, err = self._process.communicate(timeout=timeout)
        _check_thought_of(err + out)
        return Said(self._process.returncode, out, err)

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def signal(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the command and what it started but what has left its process group."""
        os.killpg(self._process.pid, number)


def start(
    host: Host, *words: str, env: Mapping[str, str] | None = None, through: tuple[str, ...] = ()
) -> RunningCommand:
    """Start the command as a program that can be killed.

    :param through: another program, which runs it.
    """
    install(host)
    process = host.popen(
        [*through, *_words(words, env)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return RunningCommand(host, process)


def _words(words: tuple[str, ...], env: Mapping[str, str] | None) -> list[str]:
    variables = [f"{name}={value}" for name, value in (env or {}).items()]
    return ["env", *variables, PATH, *words]
