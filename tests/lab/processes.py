# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, recognise, wait for and end processes of the machine."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import LabError

# Nothing of the caller's environment reaches a host: no pyenv, no LANG, no proxies.
CLEAN_ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/sh",
    "TERM": "dumb",
}


@dataclass(frozen=True)
class ProcessId:
    """A process, told apart from a later one with the same pid by its start time (clock ticks since boot)."""

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """Identify a running process. Raises LabError if there is none."""
        start = _start_time(pid)
        if start is None:
            raise LabError(f"process {pid} has ended")
        return cls(pid, start)

    def alive(self) -> bool:
        """Whether it still runs (a zombie does not)."""
        return _start_time(self.pid) == self.start

    def kill(self, timeout: float = 10.0) -> None:
        """SIGKILL it and wait, up to ``timeout`` seconds, until it has ended. Nothing to do if it has
        already.
        """
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            # The handle is taken first: what it names can no longer be exchanged for another process.
            if _start_time(self.pid) != self.start:
                return
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            poller = select.poll()
            poller.register(handle, select.POLLIN)
            if not poller.poll(timeout * 1000):
                raise LabError(f"process {self.pid} did not end within {timeout:g} s of SIGKILL")
        except ProcessLookupError:
            return
        finally:
            os.close(handle)


def _start_time(pid: int) -> int | None:
    """Start time of a running process in clock ticks since boot, or None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            # The name in parentheses may hold anything; fields are counted from behind it.
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def run(
    argv: Sequence[str],
    *,
    check: bool = True,
    input: str | bytes | None = None,  # noqa: A002 - as subprocess calls it
    timeout: float = 60.0,
    text: bool = True,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess:
    """Run a program of the machine with a clean environment and collect its output.

    :param timeout: seconds; after them the whole process group is killed and LabError raised.
    :param text: output as str (UTF-8, undecodable bytes kept as surrogates), else bytes.
    """
    process = popen(
        argv,
        text=text,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(input, timeout)
    except BaseException as error:
        # nsenter does not pass a signal on to what it started, which shares its process group.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise LabError(f"{' '.join(argv)}: no end within {timeout:g} s") from None
        raise
    result: subprocess.CompletedProcess = subprocess.CompletedProcess(list(argv), process.returncode, stdout, stderr)
    if check and result.returncode != 0:
        message = stderr if isinstance(stderr, str) else stderr.decode(errors="replace")
        raise LabError(f"{' '.join(argv)}: exit status {result.returncode}: {message.strip()}")
    return result


def popen(
    argv: Sequence[str], *, text: bool = True, env: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen:
    """Start a program of the machine with a clean environment. Raises LabError if it is not installed."""
    decoding: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape"} if text else {}
    try:
        return subprocess.Popen(list(argv), env=dict(CLEAN_ENVIRONMENT if env is None else env), **decoding, **options)
    except FileNotFoundError:
        raise LabError(f"{argv[0]}: not installed") from None


def wait_until(condition: Callable[[], bool], what: str, timeout: float = 20.0, interval: float = 0.01) -> None:
    """Look at a condition every ``interval`` seconds until it holds. LabError after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not so after {timeout:g} s")
        time.sleep(interval)
