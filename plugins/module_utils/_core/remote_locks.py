# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold our own locks on filesystems of another host, all of them by one process there.

A connection carries ten processes at a time and no more (sshd_config(5), MaxSessions), so one for each filesystem would
not do.
"""

from __future__ import annotations

import shlex
import typing as t

from .attending import FIND_RUNDIR, SILENCE_SECONDS, Attendant
from .locks import file_name
from .shell import Shell

# Each lock is held by a reader of a pipe into which nothing is written, and which ends with the process that would:
# however that ends, the locks are let go of. (A plain shell has too few descriptors to hold them all by itself.)
_SCRIPT = """\
trap '' HUP PIPE INT
{find_rundir}exec 7<&0 8>&1
locks() {{
    exec 6<&0
    if mkdir -p "$directory" && [ -O "$directory" ] && command -v flock >/dev/null; then
        for name in {names}; do
            find_file "$name"
            exec 9>>"$file"
            if flock -n 9; then
                # Whoever looked before he had the lock looks again: the time of our end, that of all times.
                printf '{{"pid": %s, "finished": 9223372036854775807}}' $$ >"$file"
                cat <&6 >/dev/null 7<&- 8>&- &
            else
                echo busy "$name" >&8
            fi
        done
        held=yes
    else
        held=no
    fi
    exec 9>&-
    echo ready "$held" "$(uname -n)" >&8
    exec 7<&- 8>&-
    wait
}}
talk() {{
    exec 0<&7 7<&- 8>&- 2>/dev/null
    limit="timeout {silence}"
    command -v timeout >/dev/null || limit=
    while word=$($limit dd bs=1 count=1); do
        [ "$word" = . ] || exit 0
    done
}}
talk | locks
"""


def script(files: t.Iterable[str]) -> str:
    """The text of the process that holds the locks on these files."""
    names = " ".join(map(shlex.quote, files))
    return _SCRIPT.format(find_rundir=FIND_RUNDIR, names=names, silence=SILENCE_SECONDS)


class RemoteLocks(Attendant):
    """Use as a context manager.

    :param shell: the host of the filesystems.
    :raises Unreachable: it cannot be talked to.
    """

    def __init__(self, shell: Shell, tag: str, filesystems: t.Iterable[str]) -> None:
        files = {file_name(tag, name): name for name in filesystems}
        super().__init__(shell, script(list(files)))
        self.busy: set[str] = set()
        """Filesystems that somebody else works on."""
        words = self._answer().split()
        while words[:1] == ["busy"]:
            self.busy.update(files[name] for name in words[1:2] if name in files)
            words = self._answer().split()
        if words[:1] != ["ready"]:
            self._failed_to_start()
        self.held = words[1:2] == ["yes"]
        """Whether locks could be taken there at all."""
        self.host_name = words[2] if len(words) > 2 else ""
        """What the host calls itself; empty if nothing could be started there."""
        self._begin()

    def __enter__(self) -> RemoteLocks:
        return self
