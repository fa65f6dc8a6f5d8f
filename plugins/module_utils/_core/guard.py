# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold a filesystem of a host while another host changes the roles of its pair.

A small shell process runs on the filesystem's host for as long as the move lasts. It holds the same lock file as our
own runs there, so that none of them gets in between. While it is armed it also is a dead man's switch: if the move's
process dies, or the link breaks, or stays silent, it makes the filesystem writable again, so that a move that ended
half way leaves production at work.
"""

from __future__ import annotations

import shlex
import typing as t

from . import zfs
from .attending import FIND_RUNDIR, SILENCE_SECONDS, Attendant
from .errors import Busy, Unreachable
from .locks import file_name
from .model import Features, Side
from .roles import UNTOUCHED
from .shell import Shell

# One byte is read at a time: a longer read could take away what is meant for the next one.
_SCRIPT = """\
trap '' HUP PIPE INT
{find_rundir}held=no
if {lock} && mkdir -p "$directory" && [ -O "$directory" ] && command -v flock >/dev/null; then
    find_file {name}
    exec 9>>"$file"
    flock -n 9 || {{ echo busy; exit 0; }}
    # Whoever looked before he had the lock looks again: the time of our end, that of all times.
    printf '{{"pid": %s, "finished": 9223372036854775807}}' $$ >"$file"
    held=yes
fi
echo ready "$held" "$(uname -n)"
limit="timeout {silence}"
command -v timeout >/dev/null || limit=
thaw=
mounted=
{mount_again}
while word=$($limit dd bs=1 count=1 2>/dev/null); do
    case $word in
    .) ;;
    i) thaw=inherit; echo armed ;;
    o) thaw=off; echo armed ;;
    m) mounted={itself} ;;
    b) mounted=$({list_mounted}) || mounted={itself} ;;
    d) thaw=; echo disarmed ;;
    *) break ;;
    esac
done
exec >/dev/null 2>&1
case $thaw in
inherit) {inherit} ;;
off) {off} ;;
*) exit ;;
esac
printf '%s\\n' "$mounted" | mount_again
"""


def script(tag: str, filesystem: str, lock: bool = True) -> str:
    """The text of the process that holds a filesystem.

    :param lock: it takes the lock as well.
    """
    return _SCRIPT.format(
        find_rundir=FIND_RUNDIR,
        lock="true" if lock else "false",
        name=shlex.quote(file_name(tag, filesystem)),
        silence=SILENCE_SECONDS,
        mount_again=zfs.MOUNT_AGAIN,
        itself=shlex.quote(f"yes\t{filesystem}"),
        list_mounted=_line(zfs.list_mounted(filesystem)),
        inherit=_line(zfs.inherit(("readonly",), [filesystem])[0]),
        off=_line(zfs.set_properties({"readonly": "off"}, [filesystem], Features())[0]),
    )


class Guard(Attendant):
    """Holds one filesystem. Use as a context manager.

    :param shell: the filesystem's host.
    :param lock: take the lock there; not needed where this process holds it.
    :param keep: descriptors of locks of this process, which live on while the guard does.
    :raises Busy: somebody else works on it.
    :raises Unreachable: the host cannot be talked to.
    """

    def __init__(self, shell: Shell, tag: str, filesystem: str, lock: bool = True, keep: t.Sequence[int] = ()) -> None:
        self._filesystem = filesystem
        self.armed = False
        super().__init__(shell, script(tag, filesystem, lock), keep)
        words = self._answer().split()
        if words[:1] == ["busy"]:
            self.close()
            raise held_by_another(shell.host, filesystem)
        if words[:1] != ["ready"]:
            self._failed_to_start()
        self.held = words[1:2] == ["yes"]
        self.host_name = words[2] if len(words) > 2 else ""
        """What the host calls itself; empty if the guard could not be started there."""
        self._begin()

    def __enter__(self) -> Guard:
        return self

    def arm(self, side: Side, features: Features) -> None:
        """From now on the filesystem is made as writable as it was seen if this process or the link dies.

        Where freezing takes a remount, the filesystems below it are mounted again as well.
        """
        if not self.host_name:
            return
        if side.mounted:
            self._tell("m" if features.modern else "b")
        if not self._tell("o" if side.dataset.local("readonly") == "off" else "i") or not self._answers("armed"):
            raise self._silent(UNTOUCHED)
        self.armed = True

    def disarm(self) -> None:
        """Not any more. Raises Unreachable if that is not confirmed; unless it is still armed, nobody knows then."""
        if not self.host_name:
            return
        self.armed = not self._tell("d")
        if self.armed or not self._answers("disarmed"):
            raise self._silent()

    def _silent(self, left: str = "") -> Unreachable:
        return Unreachable(
            "the guard that holds it during the move does not answer",
            host=self._shell.host,
            dataset=self._filesystem,
            left=left,
            hint="run it again",
        )

    def _answers(self, word: str) -> bool:
        return self._answer().strip() == word


def held_by_another(host: str, filesystem: str) -> Busy:
    """The error that another run of ours works on a filesystem of another host."""
    return Busy(
        "another process works on it",
        host=host,
        dataset=filesystem,
        left="nothing was changed",
        hint="try again when it is done",
    )


def not_held(host: str, filesystem: str) -> str:
    """What it means where a guard could not take the lock."""
    return f"{host} could not lock {filesystem} for us, so nothing keeps a run there from getting in between"


def _line(argv: zfs.Argv) -> str:
    return " ".join(shlex.quote(word) for word in argv)
