# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give a host its files and keys, and tell hosts and controller of each other."""

from __future__ import annotations

from pathlib import Path

from . import files, keys
from .host import Host
from .openzfs import image
from .openzfs.image import OPENZFS


def prepare(lab: Path, host: Host) -> None:
    """Write the keys and files of a host that has not run yet. ``lab`` is the lab's directory."""
    if host.state.cgroup is not None:
        Path(host.state.cgroup).mkdir(exist_ok=True)
    for name in ("upper", "work", "root", "disks"):
        (host.directory / name).mkdir(parents=True)
    host_key = keys.make_key(_host_key(lab, host), host.name)
    if host.state.trust:
        keys.make_key(_root_key(lab, host), f"root@{host.name}")
    controller = keys.read_key(lab / "key")
    guest = host.state.kind == OPENZFS
    lower = image.ready() / "root" if guest else None
    files.prepare(host.tree, host.name, host_key, controller.public, host.state.systemd, lower)
    if guest:
        host.tree.write("etc/ssh/sshd_config.d/lab.conf", files.LENIENT)


def introduce(lab: Path, hosts: list[Host], new: list[Host]) -> None:
    """Tell all hosts each other's names, and those that trust each other's keys. What they have stays."""
    names = files.hosts_file(_addresses(hosts))
    for host in hosts:
        host.tree.write("etc/hosts", names)
    trusting = [host for host in hosts if host.state.trust]
    for host in trusting:
        added = trusting if host in new else [other for other in trusting if other in new]
        if host in new:
            own = keys.read_key(_root_key(lab, host))
            host.tree.directory("root/.ssh").chmod(0o700)
            host.tree.write("root/.ssh/id_ed25519", own.private, 0o600)
            host.tree.write("root/.ssh/id_ed25519.pub", own.public)
        publics = [keys.read_key(_root_key(lab, other)).public for other in added]
        host.tree.append("root/.ssh/authorized_keys", "".join(publics))
        host.tree.append("root/.ssh/known_hosts", "".join(_known(lab, other) for other in added))


def write(lab: Path, hosts: list[Host]) -> None:
    """The controller's known hosts, ssh configuration and inventory."""
    addresses = _addresses(hosts)
    (lab / "known_hosts").write_text("".join(_known(lab, host) for host in hosts), encoding="ascii")
    (lab / "ssh_config").write_text(keys.ssh_config(lab, addresses), encoding="ascii")
    (lab / "inventory.yml").write_text(keys.inventory(lab, addresses), encoding="ascii")


def _known(lab: Path, host: Host) -> str:
    names = dict.fromkeys([host.name, host.name.partition(".")[0], host.address])
    return keys.known_hosts_line(names, keys.read_key(_host_key(lab, host)).public)


def _addresses(hosts: list[Host]) -> list[tuple[str, str]]:
    return [(host.name, host.address) for host in hosts]


def _host_key(lab: Path, host: Host) -> Path:
    return lab / "keys" / f"{host.name}.host"


def _root_key(lab: Path, host: Host) -> Path:
    return lab / "keys" / f"{host.name}.root"
