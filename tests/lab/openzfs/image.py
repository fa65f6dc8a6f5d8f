# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What guests are made of: a kernel with its ZFS modules, and a root file system of Debian. Kept between runs.

The kernel is taken ready made from the folder that ZREP_OPENZFS_LAB names (linux.xz, spl.ko.xz, zfs.ko.xz), or built by
build-kernel from Debian's sources, which takes ten minutes or more. The root file system is made by debootstrap in one.
"""

from __future__ import annotations

import fcntl
import lzma
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import packages
from ..errors import LabError
from ..processes import CLEAN_ENVIRONMENT, run

OPENZFS = "openzfs"
SUITE = "trixie"
MIRROR = "http://deb.debian.org/debian"
FIRST = ("systemd-sysv", "openssh-server", "openssh-client", "python3", "iproute2", "kmod", "procps", "psmisc")
SECOND = ("zfsutils-linux", "cron", "lz4", "mbuffer", "pv", "zstd")
"""What has to be installed by the system itself once it stands."""
KERNEL = ("linux", "spl.ko", "zfs.ko")
READY_MADE = "ZREP_OPENZFS_LAB"
# A change of what is in it makes a new one.
VERSION = "1"
HOUR = 3600
# Keeps programs to registers that the guests' kernel saves whole.
TUNABLES = (
    "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ,-AVX2,-AVX,-AVX_Fast_Unaligned_Load,-XSAVE,-XSAVEC,-ERMS"
)


def directory() -> Path:
    """Where it is kept; ZFSOPS_LAB_CACHE names another folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("ZFSOPS_LAB_CACHE") or Path(cache) / "zfsops-zrep") / f"openzfs-{SUITE}-{VERSION}"


def ready() -> Path:
    """The directory with everything in it. LabError if it is not complete."""
    if not _complete():
        raise LabError(f"there is no OpenZFS lab in {directory()} yet (make test-openzfs makes one)")
    return directory()


def at_hand() -> bool:
    """Whether it is there, or can be without building a kernel."""
    return _complete() or bool(os.environ.get(READY_MADE))


def ensure() -> None:
    """Make what is missing. LabError if that does not work."""
    if _complete():
        return
    packages.ensure(openzfs=True)
    with _alone():
        if not all((directory() / name).exists() for name in KERNEL):
            _take_kernel() if os.environ.get(READY_MADE) else _build_kernel()
        if not (directory() / "root").exists():
            _make_root()


def _complete() -> bool:
    return all((directory() / name).exists() for name in (*KERNEL, "root"))


@contextmanager
def _alone() -> Iterator[None]:
    directory().mkdir(mode=0o755, parents=True, exist_ok=True)
    with open(directory() / ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _take_kernel() -> None:
    source = Path(os.environ[READY_MADE])
    for name in KERNEL:
        new = directory() / f"{name}.new"
        try:
            with lzma.open(source / f"{name}.xz") as packed, open(new, "wb") as file:
                shutil.copyfileobj(packed, file)
        except (OSError, lzma.LZMAError) as error:
            raise LabError(f"{READY_MADE}: {source / name}.xz: {error}") from None
        new.chmod(0o755 if name == "linux" else 0o644)
        new.rename(directory() / name)


def _build_kernel() -> None:
    script = Path(__file__).with_name("build-kernel")
    run(["sh", str(script), str(directory())], timeout=2 * HOUR, env=_environment())


def _make_root() -> None:
    new = directory() / "root.new"
    shutil.rmtree(new, ignore_errors=True)
    debootstrap = ["debootstrap", "--variant=minbase", "--components=main,contrib", f"--include={','.join(FIRST)}"]
    result = run([*debootstrap, SUITE, str(new), MIRROR], check=False, timeout=HOUR, env=_environment())
    if result.returncode == 0:
        shutil.copyfile("/etc/resolv.conf", new / "etc/resolv.conf")
        policy = new / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
        policy.chmod(0o755)
        install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *SECOND]
        result = run(["chroot", str(new), *install], check=False, timeout=HOUR, env=_environment())
    if result.returncode != 0:
        lines = [line for line in (result.stdout + result.stderr).splitlines() if line.startswith(("E:", "W:"))]
        raise LabError(f"no root file system: {' '.join(lines[-3:]) or f'see {new}/debootstrap/debootstrap.log'}")
    shutil.rmtree(new / "var/cache/apt/archives", ignore_errors=True)
    new.rename(directory() / "root")


def _environment() -> dict[str, str]:
    return {**packages.proxy_environment(), **CLEAN_ENVIRONMENT, "DEBIAN_FRONTEND": "noninteractive"}
