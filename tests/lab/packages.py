# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that a lab needs, and their Debian packages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import LabError
from .processes import CLEAN_ENVIRONMENT, run

# An absolute path where this very file is meant; else a name looked for on the PATH.
NEEDED = {
    "zfs-fuse": "zfs-fuse",
    "zfs": "zfs-fuse",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ip": "iproute2",
    "unshare": "util-linux",
    "mount": "mount",
    "iptables": "iptables",
    "cron": "cron",
    "pgrep": "procps",
    "zstd": "zstd",
    "lz4": "lz4",
    "mbuffer": "mbuffer",
    "pv": "pv",
    "/usr/bin/python3": "python3",
}
NEEDED_BY_OPENZFS = {
    "debootstrap": "debootstrap",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}
NEEDED_BY_SYSTEMD = {"/lib/systemd/systemd": "systemd", "dbus-daemon": "dbus"}

POLICY = Path("/usr/sbin/policy-rc.d")
DAEMONS = ("zfs-fuse", "sshd")


def missing(systemd: bool = False, openzfs: bool = False) -> list[str]:
    """Names of the packages to install, sorted."""
    needed = NEEDED | (NEEDED_BY_SYSTEMD if systemd else {}) | (NEEDED_BY_OPENZFS if openzfs else {})
    return sorted({package for program, package in needed.items() if not _present(program)})


def ensure(systemd: bool = False, openzfs: bool = False) -> None:
    """Install what is missing, without starting a daemon on the machine. LabError names what could not be."""
    absent = missing(systemd, openzfs)
    if not absent:
        return
    wish = f"missing Debian packages: {' '.join(absent)}"
    if os.geteuid() != 0 or not _present("apt-get"):
        raise LabError(f"{wish}; install them, or be root on Debian so that the lab can")
    before = _daemons()
    # --no-remove: zfs-fuse conflicts with zfsutils-linux, and a machine's own ZFS must never be taken off it.
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "--no-remove", *absent]
    env = {**proxy_environment(), **CLEAN_ENVIRONMENT, "DEBIAN_FRONTEND": "noninteractive"}
    with _no_daemon_starts():
        if run(install, check=False, timeout=900, env=env).returncode != 0:
            run(["apt-get", "update", "-q"], check=False, timeout=300, env=env)
            result = run(install, check=False, timeout=900, env=env)
            if result.returncode != 0:
                lines = (result.stderr or result.stdout).strip().splitlines() or ["no reason given"]
                raise LabError(f"{wish}; apt-get install failed: {lines[-1]}")
    started = _daemons() - before
    if started:
        raise LabError(
            f"installing {' '.join(absent)} started daemons on the machine (pids {sorted(started)}): stop them"
        )


def _present(program: str) -> bool:
    return (
        os.path.exists(program)
        if program.startswith("/")
        else (shutil.which(program, path=CLEAN_ENVIRONMENT["PATH"]) is not None)
    )


def proxy_environment() -> dict[str, str]:
    """What apt may need of the caller's environment to reach its mirror."""
    return {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}


@contextmanager
def _no_daemon_starts() -> Iterator[None]:
    """Have Debian's package scripts start no service meanwhile; a policy that is there is put back."""
    saved = POLICY.read_bytes() if POLICY.exists() else None
    mode = POLICY.stat().st_mode & 0o777 if saved is not None else 0
    POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        if saved is None:
            POLICY.unlink(missing_ok=True)
        else:
            POLICY.write_bytes(saved)
            POLICY.chmod(mode)


def _daemons() -> set[int]:
    """Pids of the daemons that packages of ours might start, as far as the machine sees them."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "comm").read_text(encoding="ascii", errors="replace").strip() in DAEMONS:
                    found.add(int(entry.name))
            except OSError:
                continue
    return found
