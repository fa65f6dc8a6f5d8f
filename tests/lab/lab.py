# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab: hosts with real ZFS on one machine."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import access, keys, network, packages, processes, state
from .errors import LabError
from .host import Host
from .openzfs import image
from .openzfs.guest import Guest
from .openzfs.image import OPENZFS
from .processes import ProcessId
from .state import HostState, LabState
from .teardown import CGROUP_PREFIX, cgroup2_mount, clean_stale, teardown
from .trace import Trace

MIB = 1024 * 1024
DEFAULT_POOL_SIZE = 400 * MIB
ZFS_FUSE = "zfs-fuse"
HOST_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}(\.[a-z0-9][a-z0-9-]{0,62})*", re.IGNORECASE)

# The lab's own first process: a mount namespace with the tmpfs of all files and pools, a network namespace
# with the bridge, a pid namespace whose end is the end of every host. It goes on only once it has been told
# that its pid is on disk: before that, it ends with the process that started it.
_HOLDER = """\
read -r pid _ </proc/self/stat
mount -t tmpfs -o mode=755,size=80% lab "$1" || exit
echo "$pid"
read -r _ || exit
exec sleep infinity >/dev/null 2>&1
"""


@dataclass(frozen=True)
class HostSpec:
    """A host as it is asked for. ``pool_size`` in bytes (sparse; at least 64 MiB); ``trust``: root may go by
    ssh, with known host keys, from and to every other host that has it too."""

    name: str
    pool: str | None = None
    pool_size: int = DEFAULT_POOL_SIZE
    systemd: bool = False
    trust: bool = True
    kind: str = ZFS_FUSE


class Lab:
    """A lab of any number of hosts. As a context manager it is gone at the end, however that comes.

    with Lab() as lab:
        host1 = lab.add_host("host1", pool="pool1")
        host1.zfs("create", "pool1/data")
    """

    def __init__(self, name: str | None = None) -> None:
        self.name = name or f"p{os.getpid()}-{secrets.token_hex(3)}"
        self.hosts: dict[str, Host] = {}
        self._state: LabState | None = None
        self._guardian: subprocess.Popen | None = None
        self._holder: subprocess.Popen | None = None
        self._lock = threading.Lock()

    @classmethod
    def attach(cls, name: str) -> Lab:
        """A lab that another process made. LabError if there is none of that name."""
        lab = cls(name)
        lab._state = state.load(name)
        lab.hosts = {key: _host_class(value.kind)(lab, key, value) for key, value in lab._state.hosts.items()}
        return lab

    def __enter__(self) -> Lab:
        self.up()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.down()

    # -- where things are ------------------------------------------------------------------------------------

    @property
    def state(self) -> LabState:
        """What is on disk about it. LabError if it is not up."""
        if self._state is None:
            raise LabError(f"lab {self.name} is not up")
        return self._state

    @property
    def holder(self) -> ProcessId:
        """The lab's first process. LabError if it is not up."""
        if self.state.holder is None:
            raise LabError(f"lab {self.name} is not up")
        return self.state.holder

    @property
    def subnet(self) -> int:
        """Number of its subnet. LabError if it is not up."""
        if self.state.subnet is None:
            raise LabError(f"lab {self.name} is not up")
        return self.state.subnet

    @property
    def tmpfs(self) -> Path:
        """The tmpfs with the hosts' files and pools, as seen from the machine."""
        return Path(f"/proc/{self.holder.pid}/root{self.state.directory}/fs")

    @property
    def ssh_config(self) -> Path:
        """For ``ssh -F``: the controller's way to the hosts, by name."""
        return self.state.directory / "ssh_config"

    @property
    def inventory_path(self) -> Path:
        """An Ansible inventory of the hosts."""
        return self.state.directory / "inventory.yml"

    def address_of(self, host: HostState) -> str:
        """A host's IPv4 address."""
        return network.address(self.subnet, host.index)

    # -- up and down -----------------------------------------------------------------------------------------

    def up(self) -> None:
        """Make the lab, without hosts. Installs missing packages if it can. LabError if that, or a namespace,
        fails.
        """
        packages.ensure()
        if os.geteuid() != 0:
            raise LabError("a lab needs root")
        clean_stale()
        self._state = state.create(self.name, ProcessId.of(os.getpid()))
        try:
            self._start_guardian()
            directory = self.state.directory
            for name in ("fs", "cp", "keys"):
                (directory / name).mkdir(mode=0o700)
            self._start_holder(directory / "fs")
            self.state.subnet = network.claim(self.holder.pid)
            self.save()
            keys.make_key(directory / "key", f"controller of lab {self.name}")
            access.write(self.state.directory, list(self.hosts.values()))
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Remove the lab with all its hosts. Nothing to do if it is not up."""
        if self._state is None:
            return
        teardown(self._state)
        self._dismiss_guardian()
        for process in (self._holder, *(host._process for host in self.hosts.values())):
            if process is not None:
                process.wait(timeout=10)
        self._state = self._holder = None
        self.hosts = {}

    def detach(self) -> None:
        """Let the lab outlive this process, until somebody takes it down."""
        self.state.owner = None
        self.save()
        self._dismiss_guardian()

    def save(self) -> None:
        """Bring the state on disk up to date."""
        with self._lock:
            self.state.save()

    # -- hosts -----------------------------------------------------------------------------------------------

    def add_host(
        self,
        name: str,
        pool: str | None = None,
        pool_size: int = DEFAULT_POOL_SIZE,
        systemd: bool = False,
        trust: bool = True,
    ) -> Host:
        """Add and start one host; see HostSpec."""
        return self.add_hosts([HostSpec(name, pool, pool_size, systemd, trust)])[0]

    def add_hosts(self, specs: Iterable[HostSpec]) -> list[Host]:
        """Add and start hosts, all at once; ready when it returns. LabError if one does not start."""
        new = [self._register(spec) for spec in specs]
        if any(host.state.systemd and host.state.kind != OPENZFS for host in new):
            packages.ensure(systemd=True)
        if any(host.state.kind == OPENZFS for host in new):
            image.ensure()
        self.save()
        _at_once(lambda host: access.prepare(self.state.directory, host), new)
        access.introduce(self.state.directory, list(self.hosts.values()), new)
        access.write(self.state.directory, list(self.hosts.values()))
        _at_once(_first_boot, new)
        return new

    def mend(self) -> None:
        """Undo every cut and delay of every host."""
        for host in self.hosts.values():
            host.mend()

    def reset(self) -> None:
        """Reset every host; see Host.reset."""
        _at_once(Host.reset, list(self.hosts.values()))

    @contextmanager
    def trace(self) -> Iterator[dict[str, Trace]]:
        """Trace a block on all running hosts; a Trace for each host name, filled when the block ends."""
        with ExitStack() as stack:
            yield {host.name: stack.enter_context(host.trace()) for host in self.hosts.values() if host.running}

    # -- inside ----------------------------------------------------------------------------------------------

    def _start_guardian(self) -> None:
        environment = {
            **processes.CLEAN_ENVIRONMENT,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "ZFSOPS_LAB_DIR": str(state.base_directory()),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self._guardian = processes.popen(
            [sys.executable, "-m", f"{__package__}.guardian", self.name],
            text=False,
            env=environment,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _dismiss_guardian(self) -> None:
        if self._guardian is not None:
            self._guardian.communicate(b".")
            self._guardian = None

    def _start_holder(self, mount_point: Path) -> None:
        self._holder = processes.popen(
            [
                "unshare",
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                _HOLDER,
                "sh",
                str(mount_point),
            ],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        with self._holder.stdin as stdin, self._holder.stdout as stdout:
            answer = stdout.readline().strip()
            if not answer.isdigit():
                raise LabError(f"this machine lets us make no namespaces: {answer or 'no answer'}")
            self.state.holder = ProcessId.of(int(answer))
            self.save()
            stdin.write("go\n")

    def _register(self, spec: HostSpec) -> Host:
        if spec.name in self.hosts:
            raise LabError(f"there is a {spec.name} already")
        if not HOST_NAME.fullmatch(spec.name):
            raise LabError(f"{spec.name!r} is no host name")
        if spec.pool is not None and spec.pool_size < 64 * MIB:
            raise LabError(f"pool {spec.pool}: {spec.pool_size} bytes are too few, zfs wants 64M")
        index = 1 + max((host.state.index for host in self.hosts.values()), default=0)
        if index > network.MAX_HOSTS:
            raise LabError(f"no more than {network.MAX_HOSTS} hosts in a lab")
        host_state = HostState(index, spec.pool, spec.pool_size, spec.systemd, spec.trust, kind=spec.kind)
        if spec.systemd and spec.kind != OPENZFS:
            host_state.cgroup = str(cgroup2_mount() / f"{CGROUP_PREFIX}{self.name}-{index}")
        self.state.hosts[spec.name] = host_state
        self.hosts[spec.name] = _host_class(spec.kind)(self, spec.name, host_state)
        return self.hosts[spec.name]


def _host_class(kind: str) -> type[Host]:
    return Guest if kind == OPENZFS else Host


def _first_boot(host: Host) -> None:
    host.start()
    if host.state.pool is not None:
        host.add_pool(host.state.pool, host.state.pool_size)


def _at_once(work: Callable[[Host], None], hosts: list[Host]) -> None:
    """Do the same for all hosts side by side; raises the first error when all have ended."""
    with ThreadPoolExecutor(max_workers=max(1, len(hosts))) as pool:
        list(pool.map(work, hosts))
