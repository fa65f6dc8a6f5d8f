# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process of ours on a host, which does something there for as long as we give signs of life."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import threading
import typing as t

from .locks import SHARED
from .shell import Completed, Shell
from .ssh import is_link_failure, unreachable

BEAT_SECONDS = 4
SILENCE_SECONDS = 20
"""How long the other end waits for a sign of life; several beats, so that one late packet ends nothing."""

# The directory of our own runs on that host, as settings.private_directory() chooses it, and the file of a lock, as
# locks.Lock does.
FIND_RUNDIR = """\
umask 077
uid=$(id -u)
if [ -n "${ZREP_RUNDIR:-}" ]; then base=$ZREP_RUNDIR
elif [ "$uid" = 0 ] && [ -d /run ]; then base=/run
else base=${TMPDIR:-/tmp}; fi
if [ "$uid" = 0 ]; then directory=$base/zrep; else directory=$base/zrep-$uid; fi
find_file() {
    file=$directory/$1
    [ ! -w SHARED/"$1" ] || file=SHARED/"$1"
}
""".replace("SHARED", SHARED)


class Attendant:
    """Such a process, and our end of the talk with it. Use as a context manager.

    :param keep: descriptors of locks of this process, which live on while it does.
    """

    def __init__(self, shell: Shell, script: str, keep: t.Sequence[int] = ()) -> None:
        self._shell = shell
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._lock = threading.Lock()
        self._over = threading.Event()
        shell.connect()
        self._process = shell.start(("sh", "-c", script), self._complaints, keep)

    def __exit__(self, *dummy: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the process end."""
        if self._over.is_set():
            return
        self._over.set()
        self._tell("q")
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # It may be gone already.
                self._process.stdin.close()
        try:
            self._process.wait(SILENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._complaints.close()

    def _begin(self) -> None:
        """From now on give signs of life."""
        threading.Thread(target=self._send_beats, daemon=True).start()

    def _failed_to_start(self) -> None:
        """End it, and raise Unreachable if it did not answer because the connection broke."""
        done = Completed(self._process.wait(), "", self._said())
        self.close()
        if is_link_failure(done.status, done.err):
            raise unreachable(self._shell.host, done.err, ())

    def _answer(self) -> str:
        return self._process.stdout.readline().decode("utf-8", "replace") if self._process.stdout else ""

    def _tell(self, word: str) -> bool:
        try:
            with self._lock:
                if self._process.stdin is not None:
                    self._process.stdin.write(word.encode())
                    self._process.stdin.flush()
        except (OSError, ValueError):
            return False
        return True

    def _send_beats(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            if not self._tell("."):
                return

    def _said(self) -> str:
        self._complaints.seek(0)
        return self._complaints.read().decode("utf-8", "replace")
