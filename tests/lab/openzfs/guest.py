# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of a lab that is a machine of its own, with OpenZFS in its kernel."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path

from .. import network
from ..errors import LabError
from ..files import Tree
from ..host import Host
from ..launch import start_first_process
from ..pools import REAL
from ..processes import ProcessId, wait_until
from . import image

PORT = 1
MEMORY = "1024M"
HERE = Path(__file__).parent


class Guest(Host):
    """The same to a test as any other host of a lab."""

    @property
    def tree(self) -> Tree:
        """Its files, as they lie over those of its root file system. While it runs it may not notice changes."""
        return Tree(self.directory / "upper")

    @property
    def control(self) -> str:
        """Its address on a line of its own, which no fault of the network concerns."""
        return network.control_address(self.state.index, 2)

    def argv(self, command: str | Sequence[str]) -> list[str]:
        """The command line that runs a command of the host from the machine. LabError if the host is down."""
        if not self.running:
            raise LabError(f"{self.name} is down")
        enter = [
            "nsenter",
            "-t",
            str(self.lab.holder.pid),
            "-n",
            "--",
            "/usr/bin/python3",
            "-IS",
            str(HERE / "enter.py"),
        ]
        words = ["sh", "-c", command] if isinstance(command, str) else list(command)
        return [*enter, self.control, str(PORT), "--", *words]

    def ask(self, path: str, request: bytes, timeout: float = 60.0) -> bytes | None:
        """Send a request to who listens at a unix socket of the host; the answer, or None if nobody does."""
        done = self.run(["@connect", path], input=request, check=False, timeout=timeout, text=False)
        return done.stdout if done.returncode == 0 else None

    def boot(self) -> None:
        """Power on: with the files and pools it had. Returns when pools are imported and sshd accepts."""
        if self.running:
            raise LabError(f"{self.name} is up")
        network.unplug(self.lab.holder.pid, self.state.index)
        self._reap()
        self.start()

    def start(self) -> None:
        """Start its kernel, and wait until zfs and sshd answer."""
        ready = image.ready()
        holder, index = self.lab.holder.pid, self.state.index
        directory = self.lab.state.directory / "fs" / self.name
        shutil.rmtree(self.directory / "uml", ignore_errors=True)
        (self.directory / "uml").mkdir()
        own = self.tree.directory("run-lab")
        for name in ("agent.py", "guest-init.sh"):
            shutil.copyfile(HERE / name, own / name)
        for name in ("spl.ko", "zfs.ko"):
            shutil.copyfile(ready / name, own / name)
        (own / "guest-init.sh").rename(own / "init")
        (own / "init").chmod(0o755)
        mac = network.plug_taps(holder, self.lab.subnet, index)
        parameters = [
            f"mem={MEMORY}",
            # What newer processors have more in their registers does not always survive in a guest.
            f"GLIBC_TUNABLES={image.TUNABLES}",
            # Without gro a packet that the machine leaves to the card to cut up is lost, every time.
            f"vec0:transport=tap,ifname=h{index},depth=128,gro=1,mac={mac}",
            f"vec1:transport=tap,ifname=c{index},depth=128,gro=1",
            f"lab_name={self.name}",
            f"lab_address={self.address}",
            f"lab_control={self.control}",
            f"lab_disks={directory}/disks",
            f"lab_mode={'systemd' if self.state.systemd else 'plain'}",
        ]
        script = [
            "sh",
            str(HERE / "guest-start.sh"),
            str(directory),
            str(ready / "root"),
            str(ready / "linux"),
            *parameters,
        ]
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        self._process, pid = start_first_process(holder, [*unshare, *script], self.name)
        try:
            self.state.init = ProcessId.of(pid)
            self.lab.save()
            wait_until(self._zfs_answers, f"zfs of {self.name} answers", timeout=60, interval=0.1)
            wait_until(self._sshd_listens, f"sshd of {self.name} listens", interval=0.1)
        except LabError as error:
            console = self.directory / "console.log"
            tail = console.read_text(errors="replace").strip().splitlines()[-3:] if console.exists() else []
            raise LabError(" | ".join([f"{self.name} does not start: {error}", *tail])) from None

    # -- inside ----------------------------------------------------------------------------------------------

    def _kill_leftovers(self) -> None:
        self.run(_KILL_LEFTOVERS, check=False)

    def _set_cable(self, plugged: bool) -> None:
        network.set_socket(self.lab.holder.pid, self.state.index, plugged)

    def _block(self, peer: Host) -> None:
        """Lose what comes from a peer: the guest's kernel cannot drop it, so the peer does not send it."""
        peer.run(["ip", "route", "replace", "blackhole", self.address])

    def _unblock(self, peer: Host) -> None:
        peer.run(["ip", "route", "del", "blackhole", self.address], check=False)

    def _root(self) -> Path:
        """A copy of what the tracer has noted in the guest, which the machine cannot look into."""
        copy = self.lab.state.directory / f"trace-{self.name}"
        shutil.rmtree(copy, ignore_errors=True)
        packed = self.run("cd / && tar -cf - --exclude=real run/lab", check=False, text=False).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(copy, filter="data")
        return copy

    def _zfs_answers(self) -> bool:
        self._init()
        return self.run([REAL + "zpool", "list"], check=False, timeout=20).returncode == 0

    def _sshd_listens(self) -> bool:
        return self.run("grep -q ':0016 00000000:0000 0A' /proc/net/tcp", check=False).returncode == 0


# What belongs to the kernel has no command line; the first process and the agent stay, and connections do.
_KILL_LEFTOVERS = """\
read -r agent </run/lab/agent.pid
for directory in /proc/[0-9]*; do
    read -r pid name _ parent _ <"$directory/stat" || continue
    [ -s "$directory/cmdline" ] || { read -r line <"$directory/cmdline"; [ -n "$line" ]; } || continue
    case $pid:$parent:$name in
        1:*|$$:*|$agent:*|*:$agent:*|*:"(sshd"*|*:1:"(sleep)") ;;
        *) kill -9 "$pid" ;;
    esac
done 2>/dev/null
:
"""
