# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of which only one may connect to the other, and datasets that go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab import Host
from tests.lab.processes import wait_until

_REFUSE = "OUTPUT -p tcp --syn --dport 22 -j REJECT --reject-with tcp-reset"
# For a kernel without a packet filter: ssh itself does not get out, and leaves a mark.
_TRIED = "/run/lab/tried"
_CONFIG = "/etc/ssh/ssh_config.d/refuse.conf"


def refuse(host: Host) -> None:
    """From now on no new ssh connection comes about from a host; those that stand go on."""
    if _has_filter(host):
        host.run(f"iptables -w -I {_REFUSE}")
    else:
        host.write_file(_CONFIG, f"Host *\n    ProxyCommand echo >>{_TRIED}\n")


def admit(host: Host) -> None:
    """Undo ``refuse``, however often it was called."""
    host.run(f"while iptables -w -D {_REFUSE} 2>/dev/null; do :; done; rm -f {_CONFIG} {_TRIED}")


@contextmanager
def cannot_connect(host: Host) -> Iterator[None]:
    """A host from which no ssh connection comes about."""
    refuse(host)
    try:
        assert host.run(["ssh", "-o", "ConnectTimeout=5", host.name, "true"], check=False).returncode == 255
        yield
    finally:
        admit(host)


@contextmanager
def one_way(host: Host) -> Iterator[None]:
    """A host from which no ssh connection comes about, and that is shown not to have tried to make one."""
    with cannot_connect(host):
        if _has_filter(host):
            host.run("iptables -w -Z OUTPUT")
            yield
            tried = host.run("iptables -w -nvxL OUTPUT").stdout.splitlines()[2].split()[0] != "0"
        else:
            host.run(f"rm {_TRIED}")
            yield
            tried = host.run(f"test -e {_TRIED}", check=False).returncode == 0
        assert not tried, f"{host.name} tried to connect to another host"


def _has_filter(host: Host) -> bool:
    return host.run("iptables -w -L OUTPUT", check=False).returncode == 0


def roll_back(host: Host, snapshot: str) -> None:
    """Roll back to a snapshot, as soon as fuse lets go of what was used."""
    argv = ["/run/lab/real/zfs", "rollback", "-r", snapshot]
    wait_until(lambda: host.run(argv, check=False).returncode == 0, f"back at {snapshot}")


def destroy(host: Host, dataset: str) -> None:
    """Destroy a dataset with all that it has. fuse lets go of one a moment after it was used."""
    argv = ["/run/lab/real/zfs", "destroy", "-r", dataset]
    wait_until(lambda: host.run(argv, check=False).returncode == 0, f"{dataset} is no more")
