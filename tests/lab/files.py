# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has of its own over the machine's files: written into its overlay before it starts."""

from __future__ import annotations

import os
import stat
import uuid
from pathlib import Path

from .keys import Key

# Emptied for the host: what is the machine's own there must neither be seen nor be started.
OWN_DIRECTORIES = (
    "root",
    "etc/ssh",
    "etc/ssh/sshd_config.d",
    "etc/ssh/ssh_config.d",
    "etc/ssh/lab_keys",
    "etc/zfs",
    "var/lib/zfs",
    "etc/systemd/system",
    "var/spool/cron",
    "var/log/journal",
    *(f"etc/rc{level}.d" for level in "0123456S"),
)

SSHD_CONFIG = """\
Include /etc/ssh/sshd_config.d/*.conf
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin yes
PasswordAuthentication yes
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
# Costs a tenth of a second on each connection, and tests make hundreds.
KexAlgorithms -sntrup761*
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp
PidFile /run/sshd.pid
# The lab counts connections by this log.
LogLevel VERBOSE
# The controller's key has a file of its own: tests may do as they please with root's .ssh.
AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/lab_keys/%u
"""
# Newer versions keep a client out for a while that failed to log in.
LENIENT = "PerSourcePenalties no\nMaxStartups 100\nMaxSessions 100\n"
SSH_CONFIG = "Include /etc/ssh/ssh_config.d/*.conf\n"

ZFS_UNIT = """\
[Unit]
Description=zfs-fuse of a lab host
Before=ssh.service
[Service]
Type=exec
ExecStart=/sbin/zfs-fuse -n --no-kstat-mount
KillMode=process
[Install]
WantedBy=multi-user.target
"""
SSH_UNIT = """\
[Unit]
Description=sshd of a lab host
[Service]
Type=exec
RuntimeDirectory=sshd
RuntimeDirectoryPreserve=yes
ExecStart=/usr/sbin/sshd -D -E /run/lab/sshd.log
KillMode=process
[Install]
WantedBy=multi-user.target
"""
AGENT_UNIT = """\
[Unit]
Description=agent of a lab guest
[Service]
Type=exec
EnvironmentFile=/run/lab/agent.env
ExecStart=/usr/bin/python3 -IS /run-lab/agent.py ${lab_control} 1
KillMode=process
[Install]
WantedBy=multi-user.target
"""
# Devices, seats, network and clock belong to the machine.
MASKED_UNITS = (
    "systemd-udevd.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udev-trigger.service",
    "systemd-logind.service",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "systemd-modules-load.service",
    "systemd-sysctl.service",
    "systemd-remount-fs.service",
    "systemd-binfmt.service",
    "systemd-hwdb-update.service",
    "systemd-pstore.service",
    "systemd-random-seed.service",
    "systemd-firstboot.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "sys-kernel-config.mount",
    "sys-fs-fuse-connections.mount",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "kmod-static-nodes.service",
    "getty.target",
    "getty-static.service",
    "console-getty.service",
    "systemd-ask-password-wall.path",
    "systemd-ask-password-console.path",
    "e2scrub_reap.service",
    "systemd-journald-audit.socket",
    "ifupdown-pre.service",
    "ifupdown-wait-online.service",
    "networking.service",
)


class Tree:
    """A directory that lies, or will lie, over the machine's root."""

    def __init__(self, base: Path) -> None:
        self.base = base

    def directory(self, name: str, own: bool = False) -> Path:
        """Make a directory with the mode of the machine's; ``own`` hides what the machine has in it."""
        path = self.base
        for part in Path(name).parts:
            path /= part
            if not path.is_dir():
                path.mkdir()
                lower = Path("/") / path.relative_to(self.base)
                path.chmod(stat.S_IMODE(lower.stat().st_mode) if lower.is_dir() else 0o755)
        if own:
            os.setxattr(path, "trusted.overlay.opaque", b"y")
        return path

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """Write a file, in one go for whoever reads it."""
        path = self.directory(str(Path(name).parent)) / Path(name).name
        temporary = path.with_name(path.name + ".lab-new")
        temporary.write_text(text, encoding="utf-8")
        temporary.chmod(mode)
        os.replace(temporary, path)

    def append(self, name: str, text: str) -> None:
        """Add to a file that may not be there yet."""
        path = self.directory(str(Path(name).parent)) / Path(name).name
        with open(path, "a", encoding="utf-8") as file:
            file.write(text)

    def symlink(self, name: str, target: str) -> None:
        """Make a symbolic link."""
        (self.directory(str(Path(name).parent)) / Path(name).name).symlink_to(target)


def prepare(
    tree: Tree, name: str, host_key: Key, controller_public: str, systemd: bool, lower: Path | None = None
) -> None:
    """Write everything that a host needs before its first start, its peers and their trust aside.

    :param lower: the root that a guest lies over; other hosts lie over the machine's.
    """
    for directory in OWN_DIRECTORIES:
        tree.directory(directory, own=True)
    tree.directory("root").chmod(0o700)
    tree.write("etc/hostname", name + "\n")
    tree.write("etc/machine-id", uuid.uuid4().hex + "\n", 0o444)
    tree.write("etc/shadow", _shadow(lower or Path("/")), 0o640)
    tree.write("etc/ssh/sshd_config", SSHD_CONFIG)
    tree.write("etc/ssh/ssh_config", SSH_CONFIG)
    tree.write("etc/ssh/ssh_host_ed25519_key", host_key.private, 0o600)
    tree.write("etc/ssh/ssh_host_ed25519_key.pub", host_key.public)
    tree.write("etc/ssh/lab_keys/root", controller_public, 0o600)
    if systemd:
        for unit in MASKED_UNITS:
            tree.symlink(f"etc/systemd/system/{unit}", "/dev/null")
        own = ("lab-agent.service", AGENT_UNIT) if lower else ("zfs-fuse.service", ZFS_UNIT)
        for unit, text in (own, ("ssh.service", SSH_UNIT)):
            tree.write(f"etc/systemd/system/{unit}", text)
            tree.symlink(f"etc/systemd/system/multi-user.target.wants/{unit}", f"/etc/systemd/system/{unit}")


def hosts_file(hosts: list[tuple[str, str]]) -> str:
    """/etc/hosts with (name, address) of every host; a dotted name is also known by its first part."""
    lines = ["127.0.0.1 localhost", "::1 localhost"]
    lines += [f"{address} {name}" + (f" {name.partition('.')[0]}" if "." in name else "") for name, address in hosts]
    return "\n".join(lines) + "\n"


def _shadow(lower: Path) -> str:
    """That of the root below, with a root without a password, but not locked: sshd lets no locked account in."""
    lines = (lower / "etc/shadow").read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(
        ":".join(["root", "*", *line.split(":")[2:]]) if line.startswith("root:") else line for line in lines
    )
