# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may log in where: keys, known hosts, and the controller's own way in."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .processes import run


@dataclass(frozen=True)
class Key:
    """An ssh key pair as text."""

    private: str
    public: str


def make_key(path: Path, comment: str) -> Key:
    """Make an ed25519 key pair at ``path`` and ``path``.pub, without a passphrase."""
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
    return read_key(path)


def read_key(path: Path) -> Key:
    """Read what make_key made."""
    return Key(path.read_text(encoding="ascii"), path.with_name(path.name + ".pub").read_text(encoding="ascii"))


def known_hosts_line(names: Iterable[str], public: str) -> str:
    """The line that vouches for a host key under these names."""
    return f"{','.join(names)} {' '.join(public.split()[:2])}\n"


def ssh_config(directory: Path, hosts: Iterable[tuple[str, str]]) -> str:
    """The controller's configuration: (name, address) of each host, host keys strictly checked."""
    entries = [f"Host {name} {address}\n  HostName {address}\n  HostKeyAlias {name}\n" for name, address in hosts]
    common = (
        "Host *\n  User root\n"
        f"  IdentityFile {directory}/key\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {directory}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
        "  StrictHostKeyChecking yes\n  BatchMode yes\n"
    )
    return "".join(entries) + common


def inventory(directory: Path, hosts: Iterable[tuple[str, str]]) -> str:
    """An Ansible inventory (YAML) of (name, address)."""
    lines = [
        "all:",
        "  vars:",
        "    ansible_user: root",
        "    ansible_python_interpreter: /usr/bin/python3",
        f"    ansible_ssh_common_args: {json.dumps(f'-F {directory}/ssh_config')}",
        # Warm connections are kept with the lab, so that they can be ended with it.
        f"    ansible_control_path_dir: {json.dumps(f'{directory}/cp')}",
        "  hosts:",
    ]
    for name, address in hosts:
        lines += [f"    {name}:", f"      ansible_host: {address}"]
    return "\n".join(lines) + "\n"
