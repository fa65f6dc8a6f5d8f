# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host of a lab: what a test does with it."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import network, pools, processes
from .errors import CommandFailed, LabError
from .files import Tree
from .launch import launch, listens
from .pools import REAL
from .processes import ProcessId, wait_until
from .state import HostState
from .trace import CHANGING, Trace, Tracer

if TYPE_CHECKING:
    from .lab import Lab


class Host:
    """A host of a running lab; made by Lab.add_host."""

    def __init__(self, lab: Lab, name: str, state: HostState) -> None:
        self.lab = lab
        self.name = name
        self.state = state
        self.disturbed = False  # a cable was touched through this object
        self._process: subprocess.Popen | None = None
        self._tracer = Tracer(self.run, self._root)

    def __repr__(self) -> str:
        return f"<Host {self.name}>"

    @property
    def pool(self) -> str:
        """Its first pool. LabError if it was made without one."""
        if self.state.pool is None:
            raise LabError(f"{self.name} has no pool")
        return self.state.pool

    @property
    def address(self) -> str:
        """Its IPv4 address."""
        return self.lab.address_of(self.state)

    @property
    def running(self) -> bool:
        """Whether its first process lives."""
        return self.state.init is not None and self.state.init.alive()

    @property
    def tree(self) -> Tree:
        """Its files: those of the running host, or what lies over the machine's while it is down."""
        return Tree(self._root() if self.running else self.directory / "upper")

    @property
    def directory(self) -> Path:
        """Its directory in the lab's tmpfs, as seen from the machine."""
        return self.lab.tmpfs / self.name

    # -- commands and files ----------------------------------------------------------------------------------

    def run(
        self,
        command: str | Sequence[str],
        *,
        check: bool = True,
        input: str | bytes | None = None,  # noqa: A002 - as subprocess calls it
        timeout: float = 60.0,
        text: bool = True,
    ) -> subprocess.CompletedProcess:
        """Run a program (a list: its exact arguments; a str: a shell text) as root, in / and a clean
        environment.

        :param timeout: seconds; after them everything that was started is killed and LabError raised.
        :param text: output (and input) as str, else bytes.
        Raises CommandFailed for another exit status than 0, unless ``check`` is False.
        """
        argv = self.argv(command)
        result = processes.run(argv, check=False, input=input, timeout=timeout, text=text)
        result.args = command if isinstance(command, str) else list(command)
        if check and result.returncode != 0:
            raise CommandFailed(self.name, result)
        return result

    def popen(self, command: str | Sequence[str], **options: Any) -> subprocess.Popen:
        """Start a program as ``run`` does, without waiting for it. ``options`` are those of subprocess.Popen.

        The process returned is a parent outside the host: to kill what runs, kill the process group (it leads
        one).
        """
        options.setdefault("start_new_session", True)
        return processes.popen(self.argv(command), **options)

    def argv(self, command: str | Sequence[str]) -> list[str]:
        """The command line that runs a command of the host from the machine. LabError if the host is down."""
        if not self.running or self.state.init is None:
            raise LabError(f"{self.name} is down")
        enter = ["nsenter", "-t", str(self.state.init.pid), "-m", "-u", "-i", "-n", "-p"]
        if self.state.systemd:
            enter.append("-C")
        return [*enter, "--", *(["sh", "-c", command] if isinstance(command, str) else command)]

    def zfs(self, *args: str) -> str:
        """Run the real zfs, uncounted; its standard output."""
        return self.run([REAL + "zfs", *args]).stdout

    def zpool(self, *args: str) -> str:
        """Run the real zpool, uncounted; its standard output."""
        return self.run([REAL + "zpool", *args]).stdout

    def read_file(self, path: str) -> str:
        """The text of a file."""
        return self.run(["cat", "--", path]).stdout

    def write_file(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file; its directory must exist."""
        self.run(["sh", "-c", 'cat >"$1" && chmod "$2" "$1"', "sh", path, f"{mode:o}"], input=text)

    def ask(self, path: str, request: bytes, timeout: float = 60.0) -> bytes | None:
        """Send a request to who listens at a unix socket of the host; the answer, or None if nobody does."""
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(self.tree.base) + path)
            except OSError:
                return None
            connection.settimeout(timeout)
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as stream:
                return stream.read()

    # -- the cable -------------------------------------------------------------------------------------------

    def cut(self, peer: Host | None = None, direction: str = "both") -> None:
        """Pull the cable: nothing is refused, everything stalls. The controller's ssh is cut too, ``run`` is
        not.

        With a ``peer``, only what goes between the two is lost: in ``both`` directions, or what comes ``in``
        from the peer, or what goes ``out`` to it.
        """
        self.disturbed = True
        if peer is None:
            self._set_cable(False)
            return
        if direction not in ("both", "in", "out"):
            raise ValueError(f"direction: both, in or out, not {direction!r}")
        if direction in ("both", "in"):
            self._block(peer)
        if direction in ("both", "out"):
            peer._block(self)

    def mend(self) -> None:
        """Undo every cut and delay of this host."""
        network.delay(self.lab.holder.pid, self.state.index, 0)
        if self.running:
            # An intercept may have pulled at the other end of the cable.
            self.run(["ip", "link", "set", "eth0", "up"])
            self._set_cable(True)
            for other in self.lab.hosts.values():
                if other is not self and other.running:
                    self._unblock(other)
                    other._unblock(self)
        self.disturbed = False

    def delay(self, milliseconds: float) -> None:
        """Have every packet to and from the host take so much longer, each way (a round trip: twice that)."""
        self.disturbed = True
        network.delay(self.lab.holder.pid, self.state.index, milliseconds)

    # -- pools -----------------------------------------------------------------------------------------------

    def add_pool(self, pool: str, size: int) -> None:
        """Make a pool on a new sparse file of ``size`` bytes."""
        pools.create(self.run, pool, size)

    def recreate_pool(self, pool: str | None = None) -> None:
        """Throw a pool away with all that is in it, holds and mounts included, and make it anew, empty."""
        pools.recreate(self.run, pool or self.pool, self.state.pool_size)

    def fill_pool(self, pool: str | None = None, leave: int = 0) -> None:
        """Have a pool run out of space: ``leave`` bytes stay available, or 0. Quick: it reserves, it writes
        nothing.
        """
        pools.fill(self.zfs, self.run, pool or self.pool, leave)

    def free_pool(self, pool: str | None = None) -> None:
        """Undo fill_pool."""
        pools.free(self.run, pool or self.pool)

    def reset(self) -> None:
        """As it was when it was made, in a moment: running, connected, its pool empty, no faults, nothing in
        /tmp.

        Kills what a test left running (not under systemd). Files elsewhere, users and keys stay as they are.
        """
        if not self.running:
            self.boot()
        if self.disturbed:
            self.mend()
        self.start_sshd()
        self.clear_faults()
        if not self.state.systemd:
            self._kill_leftovers()
        self.run("find /tmp -mindepth 1 -delete")
        if self.state.pool is not None:
            self.recreate_pool()

    # -- power and services ----------------------------------------------------------------------------------

    def kill(self) -> None:
        """Power off: every process is killed at once, nothing is written out. Its files and pools stay."""
        if self.state.init is not None:
            self.state.init.kill()
        self._reap()
        network.unplug(self.lab.holder.pid, self.state.index)
        self.state.init = None
        self.lab.save()

    def boot(self) -> None:
        """Power on: with the files and pools it had. Returns when pools are imported and sshd accepts."""
        if self.running:
            raise LabError(f"{self.name} is up")
        network.unplug(self.lab.holder.pid, self.state.index)
        self._reap()
        self.start()
        cache = self.directory / "upper/var/lib/zfs/zpool.cache"
        if self.state.pool is not None and cache.exists() and self.state.pool.encode() in cache.read_bytes():
            wait_until(
                lambda: self.run([REAL + "zpool", "list", self.pool], check=False).returncode == 0,
                f"{self.name} imports {self.pool}",
            )
        self.run([REAL + "zfs", "mount", "-a"])

    def start(self) -> None:
        """Start the first process, connect it, wait until zfs and sshd answer. (boot is what tests want.)"""
        self._process, pid = launch(
            self.lab.holder.pid,
            self.lab.state.directory / "fs" / self.name,
            self.name,
            self.state.systemd,
            self.state.cgroup,
        )
        try:
            self.state.init = ProcessId.of(pid)
            self.lab.save()
            network.plug(self.lab.holder.pid, self.lab.subnet, self.state.index, self.state.init.pid)
            wait_until(self._zfs_answers, f"zfs of {self.name} answers")
            wait_until(self._sshd_listens, f"sshd of {self.name} listens")
        except LabError as error:
            console = self.directory / "console.log"
            tail = console.read_text(errors="replace").strip().splitlines()[-3:] if console.exists() else []
            raise LabError(" | ".join([f"{self.name} does not start: {error}", *tail])) from None

    def stop_sshd(self) -> None:
        """Refuse new ssh connections (those that stand go on)."""
        if self.state.systemd:
            self.run(["systemctl", "stop", "ssh.service"])
        else:
            self.run('kill "$(cat /run/sshd.pid)"')
        wait_until(lambda: not self._sshd_listens(), f"sshd of {self.name} has stopped")

    def start_sshd(self) -> None:
        """Accept ssh connections again; nothing to do if it does."""
        if self._sshd_listens():
            return
        if self.state.systemd:
            self.run(["systemctl", "start", "ssh.service"])
        else:
            self.run(["/usr/sbin/sshd", "-E", "/run/lab/sshd.log"])
        wait_until(self._sshd_listens, f"sshd of {self.name} listens")

    # -- counting and interception ---------------------------------------------------------------------------

    def trace_start(self) -> None:
        """From now on note every zfs and zpool process and every ssh connection of the host."""
        self._tracer.start()

    def trace_stop(self) -> Trace:
        """What has been noted since trace_start."""
        return self._tracer.stop()

    @contextmanager
    def trace(self) -> Iterator[Trace]:
        """Trace a block; the Trace is filled when it ends."""
        self.trace_start()
        trace = Trace()
        try:
            yield trace
        finally:
            seen = self.trace_stop()
            trace.processes, trace.connections = seen.processes, seen.connections

    def intercept(
        self,
        action: str,
        n: int = 1,
        when: str = "before",
        program: str = "zfs",
        verbs: Sequence[str] = CHANGING,
    ) -> None:
        """Do something at the n-th command from now whose first argument is one of ``verbs``.

        :param action: shell text, run on the host ``before`` the command, or ``after`` it has ended. Its
            arguments are the command's, $PPID is who called it. It may ``exit``: before, the command is then
            never run. trace.POWER_OFF turns the host off.
        """
        self._tracer.intercept(action, n, when, program, verbs)

    def intercepted(self) -> bool:
        """Whether the n-th command has come."""
        return self._tracer.intercepted()

    def clear_faults(self) -> None:
        """End intercepts and traces."""
        self._tracer.clear()

    # -- inside ----------------------------------------------------------------------------------------------

    def _init(self) -> ProcessId:
        if self.state.init is None or not self.state.init.alive():
            raise LabError(f"{self.name} is down")
        return self.state.init

    def _kill_leftovers(self) -> None:
        self.run(_KILL_LEFTOVERS)

    def _set_cable(self, plugged: bool) -> None:
        network.set_link(self.lab.holder.pid, self.state.index, up=plugged)

    def _block(self, peer: Host) -> None:
        """Lose what comes from a peer."""
        network.block(self._init().pid, peer.address)

    def _unblock(self, peer: Host) -> None:
        network.unblock(self._init().pid, peer.address)

    def _root(self) -> Path:
        return Path(f"/proc/{self._init().pid}/root")

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait(timeout=10)
            self._process = None

    def _zfs_answers(self) -> bool:
        # nsenter fails too while the first process has not changed its root.
        self._init()
        return os.path.isdir(self._root() / "run/lab") and (
            self.run([REAL + "zpool", "list"], check=False).returncode == 0
        )

    def _sshd_listens(self) -> bool:
        return listens(self._init().pid, 22)


# Connections themselves stay: one that the controller keeps warm must not die under its next command.
_KILL_LEFTOVERS = """\
read -r keep </run/lab/sleep.pid
for directory in /proc/[0-9]*; do
    read -r pid name rest <"$directory/stat" || continue
    case $pid:$name: in
        1:*|$$:*|$keep:*|*:"(sshd"*|*:"(zfs-fuse)":*) ;;
        *) kill -9 "$pid" ;;
    esac
done 2>/dev/null
:
"""
