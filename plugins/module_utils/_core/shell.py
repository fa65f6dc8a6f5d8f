# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run programs here or on the peer, the latter through one warm ssh connection a peer.

The only file that starts processes. A program gets a list of words, never a line of shell; for the peer each word is
quoted once for its login shell. Nothing ever asks for a password or for trust in a host key, and no wait for the
network is without an end.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import tempfile
import typing as t

from .errors import NoZfs
from .names import short_host
from .ssh import is_link_failure, unreachable

CONNECT_SECONDS = 10
ALIVE_SECONDS = 5
ALIVE_PROBES = 3
"""A connection silent for ALIVE_SECONDS * ALIVE_PROBES is given up (ssh_config(5), ServerAliveInterval)."""
PERSIST_SECONDS = 30
"""How long a connection outlives a process that was killed before it could close it (ControlPersist)."""

_SEARCH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


if t.TYPE_CHECKING:
    Process = subprocess.Popen[bytes]
else:
    Process = subprocess.Popen


class Completed(t.NamedTuple):
    """How a program ended: exit status, what it printed and what it complained about."""

    status: int
    out: str
    err: str


class Shell:
    """Programs on this host.

    :param host: how people call the host in messages.
    """

    remote = False
    """Whether what runs there is reached through ssh."""

    def __init__(self, host: str) -> None:
        self.host = host

    def connect(self, lane: int = 0) -> None:
        """Make sure that a connection stands; raises Unreachable with the reason.

        :param lane: which of several connections. All short commands share the first, streams side by side have others.
        """

    def stands(self, lane: int = 0) -> bool:
        """Whether a connection that was made still stands, as far as that can be known at once."""
        return True

    def command(self, argv: t.Sequence[str], lane: int = 0) -> list[str]:
        """The words to start here so that ``argv`` runs on the shell's host."""
        return list(argv)

    def run(self, argv: t.Sequence[str]) -> Completed:
        """Run to its end; raises NoZfs if there is no such program, Unreachable if the host cannot be talked to."""
        return self._finish(argv, _communicate(_start(self.command(argv), self.host)))

    def start(self, argv: t.Sequence[str], complaints: t.IO[bytes], keep: t.Sequence[int] = ()) -> Process:
        """Start a program that we talk to while it runs. It is in a session of its own, so what ends us spares it.

        :param complaints: a file for its standard error.
        :param keep: file descriptors that it inherits. (ssh closes them.)
        """
        command = self.command(argv)
        return _start(command, self.host, stdin=subprocess.PIPE, err=complaints, keep=keep, own_session=True)

    def _finish(self, argv: t.Sequence[str], done: Completed) -> Completed:
        if done.status == 127:
            raise NoZfs(
                f"no program {argv[0]!r} on the PATH of a non-interactive shell",
                host=self.host,
                left="nothing was changed",
                hint="install ZFS there, or put its folder on that PATH",
            )
        return done

    def close(self) -> None:
        """Let go of what was kept open."""


class PeerShell(Shell):
    """Programs on another host, through ssh.

    :param ssh: the ssh command with options of its own, as words; they win over ours.
    :param rundir: a private directory for the sockets of connections.
    """

    remote = True

    def __init__(self, host: str, ssh: t.Sequence[str], rundir: str) -> None:
        super().__init__(host)
        self._ssh = list(ssh)
        self._socket = os.path.join(rundir, f"ssh-{os.getpid()}-{id(self) & 0xFFFFFFFF:x}")
        self._lanes: set[int] = set()
        # Another program than OpenSSH's may know none of its options; it gets a connection for each command.
        self._shared = os.path.basename(self._ssh[0]) == "ssh"

    def _options(self) -> list[str]:
        if not self._shared:
            return []
        settings = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "ConnectTimeout": CONNECT_SECONDS,
            "ServerAliveInterval": ALIVE_SECONDS,
            "ServerAliveCountMax": ALIVE_PROBES,
        }
        return ["-x", "-a", "-T", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))]

    def _through(self, lane: int) -> list[str]:
        return ["-S", f"{self._socket}-{lane}"] if self._shared else []

    def command(self, argv: t.Sequence[str], lane: int = 0) -> list[str]:
        words = " ".join(shlex.quote(word) for word in argv)
        return [*self._ssh, *self._options(), *self._through(lane), self.host, words]

    def connect(self, lane: int = 0) -> None:
        if lane in self._lanes or not self._shared:
            return
        master = [*self._through(lane), "-M", "-o", f"ControlPersist={PERSIST_SECONDS}", "-f", "-N", self.host]
        # The connection stays behind in the background with our stderr, so a pipe would never end.
        with tempfile.TemporaryFile() as complaints:
            process = _start([*self._ssh, *self._options(), *master], self.host, out=subprocess.DEVNULL, err=complaints)
            if _wait(process) != 0:
                raise unreachable(self.host, _read(complaints), self._ssh)
        self._lanes.add(lane)

    def stands(self, lane: int = 0) -> bool:
        return self._shared and self._tell(lane, "check").status == 0

    def run(self, argv: t.Sequence[str]) -> Completed:
        self.connect()
        done = _communicate(_start(self.command(argv), self.host))
        if is_link_failure(done.status, done.err):
            raise unreachable(self.host, done.err, self._ssh)
        return self._finish(argv, done)

    def close(self) -> None:
        for lane in sorted(self._lanes):
            self._tell(lane, "exit")
        self._lanes.clear()

    def _tell(self, lane: int, word: str) -> Completed:
        """Tell the process that keeps a connection."""
        return _communicate(_start([*self._ssh, *self._through(lane), "-O", word, self.host], self.host))


def peer_shell(host: str, identity: str, ssh: t.Sequence[str], rundir: str) -> Shell:
    """The shell for a peer; a peer that is this very host needs no ssh."""
    if host == "localhost" or host == identity:
        return Shell(host)
    return PeerShell(host, ssh, rundir)


class Ended(t.NamedTuple):
    """How the two ends of a pipeline ended."""

    sender: Completed
    receiver: Completed


class Children:
    """The programs of streams in other threads, so that the main thread can end them when it is told to stop."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []
        self._stopping = False

    def add(self, *processes: subprocess.Popen[bytes]) -> None:
        self._running.extend(processes)
        if self._stopping:
            self.stop()

    def remove(self, *processes: subprocess.Popen[bytes]) -> None:
        self._running = [found for found in self._running if found not in processes]

    def stop(self) -> None:
        """End them all, and any that would still be started."""
        self._stopping = True
        for process in list(self._running):
            if process.poll() is None:
                process.kill()


Watch = t.Callable[[t.IO[bytes]], t.ContextManager[None]]
"""What is done while the programs of a pipeline run; gets the file with the complaints of the first."""


def pipeline(
    commands: t.Sequence[t.Sequence[str]],
    host: str,
    children: Children,
    keep: t.Sequence[int] = (),
    watch: Watch | None = None,
    out: int = subprocess.DEVNULL,
) -> list[Completed]:
    """Connect programs with pipes of the kernel and wait for all of them.

    :param keep: file descriptors that all inherit, so that a lock lives as long as they do. (ssh closes them.)
    :param out: a file descriptor of ours that becomes the standard output of the last one.
    """
    with contextlib.ExitStack() as stack:
        # Complaints go to files: a program that writes many of them must not wait for us to read.
        complaints = [stack.enter_context(tempfile.TemporaryFile()) for _command in commands]
        processes = _start_joined(commands, host, complaints, keep, out)
        children.add(*processes)
        try:
            with watch(complaints[0]) if watch else contextlib.nullcontext():
                # The last one first: what it refuses ends the others.
                for process in reversed(processes):
                    process.wait()
        except BaseException:
            _kill(*processes)
            raise
        finally:
            children.remove(*processes)
        return [Completed(process.returncode, "", _read(file)) for process, file in zip(processes, complaints)]


def _start_joined(
    commands: t.Sequence[t.Sequence[str]],
    host: str,
    complaints: t.Sequence[t.IO[bytes]],
    keep: t.Sequence[int],
    last: int,
) -> list[Process]:
    processes: list[Process] = []
    source: _Stream = subprocess.DEVNULL
    try:
        for number, command in enumerate(commands, 1):
            out = last if number == len(commands) else subprocess.PIPE
            processes.append(_start(command, host, stdin=source, out=out, err=complaints[number - 1], keep=keep))
            _close(source)
            source = processes[-1].stdout
    except BaseException:
        _close(source)
        _kill(*processes)
        raise
    return processes


def _close(stream: _Stream) -> None:
    if stream is not None and not isinstance(stream, int):
        stream.close()


def host_name() -> str:
    """The identity of this host: its node name cut at the first dot."""
    return short_host(os.uname().nodename)


def _environment() -> dict[str, str]:
    """Ours with messages in the one language that we can read, and with the folders where zfs is kept."""
    return dict(os.environ, LC_ALL="C", PATH=os.pathsep.join(search_path()))


def search_path() -> list[str]:
    """The folders where programs of this host are looked for."""
    path = os.environ.get("PATH", "").split(os.pathsep)
    return [part for part in path if part] + [part for part in _SEARCH if part not in path]


_Stream = t.Union[int, t.IO[t.Any], None]


def _start(
    argv: t.Sequence[str],
    host: str,
    stdin: _Stream = subprocess.DEVNULL,
    out: _Stream = subprocess.PIPE,
    err: _Stream = subprocess.PIPE,
    keep: t.Sequence[int] = (),
    own_session: bool = False,
) -> Process:
    environment = _environment()
    try:
        # A stream needs two programs joined by a pipe, which run_command of AnsibleModule cannot do without a shell.
        return subprocess.Popen(  # pylint: disable=ansible-bad-function
            list(argv),
            stdin=stdin,
            stdout=out,
            stderr=err,
            env=environment,
            pass_fds=tuple(keep),
            start_new_session=own_session,
        )
    except FileNotFoundError:
        raise NoZfs(
            f"no program {argv[0]!r} on this host",
            host=host,
            left="nothing was changed",
            hint="install it or put its folder on the PATH ({})".format(environment["PATH"]),
        ) from None
    except OSError as error:
        raise NoZfs(f"cannot run {argv[0]!r}: {error.strerror}", host=host, left="nothing was changed") from None


def _communicate(process: subprocess.Popen[bytes]) -> Completed:
    try:
        out, err = process.communicate()
    except BaseException:
        _kill(process)
        raise
    return Completed(process.returncode, _text(out), _text(err))


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait()
    except BaseException:
        _kill(process)
        raise


def _kill(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        if process.poll() is None:
            process.kill()
    for process in processes:
        process.wait()


def _read(file: t.IO[bytes]) -> str:
    file.seek(0)
    return _text(file.read())


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "replace")
