# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams that are interrupted after so many bytes, which a filter counts: no clock has a say in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from tests.lab import Host
from tests.lab.processes import wait_until
from tests.system import product
from tests.system.core import Said, words
from tests.system.pairs import Pair, value

MEGABYTE = 1 << 20
SECONDS = 300
"""For a stream of some hundred megabytes between two slow hosts."""
TOKEN = "receive_resume_token"
SENDER, RECEIVER = "^zfs send", "^zfs receive"
IMPATIENT = ["ssh", "-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2", "-o", "ConnectTimeout=5"]


@dataclasses.dataclass(frozen=True)
class Transfer:
    """A call that moves data, and the two ends of its stream."""

    caller: Host
    verb: str
    filesystem: str
    sender: Host
    receiver: Host
    replica: str
    more: dict[str, Any] = dataclasses.field(default_factory=dict)

    def run(self, **settings: Any) -> Said:
        """Make the call."""
        product.install(self.caller)
        command = words(self.verb, self.filesystem, self.more, **settings)
        return Said(self.caller.run(command, timeout=SECONDS))

    @property
    def token(self) -> str:
        """What the receiver says about an interrupted receive."""
        return value(self.receiver, self.replica, TOKEN)


def push(pair: Pair) -> Transfer:
    """The master sends."""
    return Transfer(pair.a, "sync", pair.fs, pair.a, pair.b, pair.dest)


def pull(pair: Pair) -> Transfer:
    """The replica has the master send."""
    return Transfer(pair.b, "refresh", pair.dest, pair.a, pair.b, pair.dest)


def move(pair: Pair) -> Transfer:
    """The replica takes the master's role, and what that still has."""
    return Transfer(pair.b, "takeover", pair.dest, pair.a, pair.b, pair.dest)


def create(pair: Pair) -> Transfer:
    """A pair is made."""
    more = {"peer": [pair.b.name, pair.dest], "options": {}}
    return Transfer(pair.a, "pair", pair.fs, pair.a, pair.b, pair.dest, more)


def fill(host: Host, path: str, megabytes: int) -> None:
    """Write so much that cannot be compressed."""
    host.run(f"head -c {megabytes * MEGABYTE} /dev/urandom >{path}; sync", timeout=SECONDS)


def wire_bytes(host: Host) -> int:
    """All that a host has sent to others since it is up, down to the last header."""
    return int(host.run("cat /sys/class/net/eth0/statistics/tx_bytes").stdout)


def killed_sender(transfer: Transfer, after: int) -> Said:
    return transfer.run(out_filter=f"head -c {after}; pkill -KILL -f '{SENDER}'")


def killed_receiver(transfer: Transfer, after: int) -> Said:
    return transfer.run(in_filter=f"head -c {after}; pkill -KILL -f '{RECEIVER}'")


def full_pool(transfer: Transfer, after: int) -> Said:
    """The receiving pool becomes full on the way; there is room again afterwards."""
    host = transfer.receiver
    filler = f"{host.pool}/filler"
    host.zfs("create", "-o", "mountpoint=none", filler)
    used, room = (f"$(zfs get -Hpo value {name} {host.pool})" for name in ("used", "available"))
    # zfs takes some megabytes into its memory before it writes; what is not on the disk by then is lost.
    on_its_way = min(4 * MEGABYTE, max(after // 10, 2 * MEGABYTE))
    there = int(host.zfs("get", "-Hpo", "value", "used", host.pool)) + max(after - on_its_way, 0)
    arrived = f"until zpool sync {host.pool}; [ {used} -gt {there} ]; do :; done"
    full = f"{{ {arrived}; zfs set refreservation=$(({room} - {MEGABYTE // 4})) {filler}; }} </dev/null"
    said = transfer.run(in_filter=f"head -c {after}; {full}; cat")
    host.zfs("destroy", filler)
    return said


def cut_link(transfer: Transfer, after: int) -> Said:
    """The cable between the two is pulled, and put back when the caller has given up."""
    sender, receiver = transfer.sender, transfer.receiver
    receiver.run("rm -f /tmp/at /tmp/go; mkfifo /tmp/at /tmp/go")
    product.install(transfer.caller)
    in_filter = f"head -c {after}; echo >/tmp/at; read -r _ </tmp/go; cat"
    command = words(transfer.verb, transfer.filesystem, transfer.more, in_filter=in_filter, ssh=IMPATIENT)
    running = transfer.caller.popen(command, stdout=-1, stderr=-1, text=True)
    receiver.run("read -r _ </tmp/at", timeout=SECONDS)
    sender.cut(receiver)
    out, err = running.communicate(timeout=SECONDS)
    sender.mend()
    receiver.run("echo go >/tmp/go", timeout=SECONDS)
    ended = lambda: receiver.run(["pgrep", "-f", RECEIVER], check=False).returncode != 0  # noqa: E731
    wait_until(ended, "the receiver notices", SECONDS, 0.2)
    running.stdout, running.stderr = out, err  # type: ignore[assignment]
    return Said(running)  # type: ignore[arg-type]


INTERRUPTIONS: dict[str, Callable[[Transfer, int], Said]] = {
    "killed sender": killed_sender,
    "killed receiver": killed_receiver,
    "cut link": cut_link,
    "full pool": full_pool,
}
