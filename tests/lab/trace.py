# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""See, count and intercept the zfs processes of a host, and count the ssh connections it accepts.

While a trace or an intercept is on, zfs-wrapper.sh is mounted over the host's zfs and zpool, however they are
called. It writes down its arguments and becomes the real program. With neither on, nothing stands in between.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# The zfs commands that change a pool, for intercept().
CHANGING = (
    "create",
    "destroy",
    "snapshot",
    "snap",
    "rollback",
    "clone",
    "promote",
    "rename",
    "set",
    "inherit",
    "receive",
    "recv",
    "hold",
    "release",
    "allow",
    "unallow",
    "bookmark",
    "program",
    "mount",
    "unmount",
    "umount",
    "upgrade",
)

# An action for intercept(): the host loses its power, at once and with nothing written out.
POWER_OFF = "/usr/bin/python3 -c 'import ctypes; ctypes.CDLL(None).reboot(0x4321fedc)'"

_CONNECTION = re.compile(r"Connection from (\S+) port (\d+) on ")
_ACCEPTED = re.compile(r"Accepted \S+ for (\S+) from (\S+) port (\d+)")

_INSTALL = """\
umask 022
# Never rewritten in place: a shell may be reading it.
cat > /run/lab/wrapper.new && chmod 755 /run/lab/wrapper.new && mv /run/lab/wrapper.new /run/lab/wrapper
for program in zfs zpool; do
    grep -q " /usr/sbin/$program " /proc/self/mountinfo || mount --bind /run/lab/wrapper /usr/sbin/$program
done
"""
_REMOVE = "umount -l /usr/sbin/zfs; umount -l /usr/sbin/zpool; :"


@dataclass(frozen=True)
class Connection:
    """An ssh connection that a host's sshd took: from which address, and as whom it got in (None: it did
    not).
    """

    source: str
    user: str | None


@dataclass
class Trace:
    """What ran and what came in while a trace was on; filled when it ends."""

    processes: list[list[str]] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)

    def count(self, *words: str) -> int:
        """How many processes there were whose arguments begin so: count(), count("zpool"), count("zfs",
        "list").
        """
        return sum(argv[: len(words)] == list(words) for argv in self.processes)


class Tracer:
    """The traces and intercepts of one host. ``run`` runs a shell text there; ``root()`` is its root
    directory.
    """

    def __init__(self, run: Callable[..., object], root: Callable[[], Path]) -> None:
        self._run = run
        self._root = root

    def start(self) -> None:
        """Begin a trace; one that is on begins anew."""
        self._install(
            "rm -rf /run/lab/trace; mkdir -m 1777 /run/lab/trace; : >/run/lab/trace/order;"
            " chmod 666 /run/lab/trace/order; stat -c %s /run/lab/sshd.log >/run/lab/trace/from"
        )

    def stop(self) -> Trace:
        """End the trace and say what it saw. An empty Trace if none was on."""
        lab = self._root() / "run/lab"
        trace = Trace()
        order = lab / "trace/order"
        if order.exists():
            for pid in order.read_text(encoding="ascii").split():
                argv = (lab / "trace" / pid).read_bytes().decode("utf-8", "surrogateescape")
                trace.processes.append(argv.split("\0")[:-1])
            with open(lab / "sshd.log", "rb") as log:
                log.seek(int((lab / "trace/from").read_text(encoding="ascii")))
                trace.connections = _connections(log.read().decode(errors="replace"))
        self._run("rm -rf /run/lab/trace;" + ("" if (lab / "hook").exists() else _REMOVE))
        return trace

    def intercept(self, action: str, n: int, when: str, program: str, verbs: Sequence[str]) -> None:
        """See Host.intercept."""
        if when not in ("before", "after"):
            raise ValueError(f"when: before or after, not {when!r}")
        patterns = "|".join(shlex.quote(f"{program}:{verb}") for verb in verbs)
        # Making a directory succeeds for one process only: numbers stay right however many run at once.
        hook = (
            f"case $program:${{1-}} in\n{patterns})\n"
            "    ticket=1\n"
            "    while ! mkdir /run/lab/tickets/$ticket 2>/dev/null; do\n"
            # The end of the intercept takes the directory away.
            "        if ! [ -d /run/lab/tickets ]; then ticket=0; break; fi\n"
            "        ticket=$((ticket + 1))\n"
            "    done\n"
            f"    if [ $ticket -eq {int(n)} ]; then lab_when={when}; fi ;;\n"
            "esac\n"
            f"lab_action() {{\n{action}\n}}\n"
        )
        self._install(
            f"rm -rf /run/lab/tickets; mkdir -m 1777 /run/lab/tickets; printf %s {shlex.quote(hook)} >/run/lab/hook"
        )

    def intercepted(self) -> bool:
        """Whether the n-th command of the current intercept has come by (so that its action has begun)."""
        lab = self._root() / "run/lab"
        match = (
            re.search(r"-eq (\d+) ", (lab / "hook").read_text(encoding="utf-8")) if (lab / "hook").exists() else None
        )
        return match is not None and (lab / "tickets" / match[1]).is_dir()

    def clear(self) -> None:
        """End traces and intercepts."""
        lab = self._root() / "run/lab"
        if (lab / "hook").exists() or (lab / "trace").exists():
            self._run(f"rm -rf /run/lab/hook /run/lab/tickets /run/lab/trace; {_REMOVE}")

    def _install(self, before: str) -> None:
        wrapper = Path(__file__).with_name("zfs-wrapper.sh").read_text(encoding="utf-8")
        self._run(f"{before}\n{_INSTALL}", input=wrapper)


def _connections(log: str) -> list[Connection]:
    """The connections of a piece of sshd log, in their order."""
    users = {(match[2], match[3]): match[1] for match in _ACCEPTED.finditer(log)}
    return [Connection(match[1], users.get((match[1], match[2]))) for match in _CONNECTION.finditer(log)]
