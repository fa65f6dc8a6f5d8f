# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start a host's first process, and see what listens in its network."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .errors import LabError
from .processes import popen


def launch(holder: int, directory: Path, name: str, systemd: bool, cgroup: str | None) -> tuple[subprocess.Popen, int]:
    """Start a host in the lab whose first process is ``holder``.

    :param directory: the host's, as the holder sees it; see host-init.sh.
    :param cgroup: the control group that the host shall live in.
    Returns the process that waits for it, and the pid of the host's first process. LabError if it does not
    start.
    """
    script = Path(__file__).with_name("host-init.sh")
    unshare = ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child"]
    if systemd:
        unshare.append("--cgroup")
    argv = [*unshare, "sh", str(script), str(directory), name, "systemd" if systemd else "plain"]
    if cgroup is not None:
        # In its group before it makes the namespace, which would else have the machine's as its root.
        argv = ["sh", "-c", 'echo 0 >"$1/cgroup.procs" && shift && exec "$@"', "sh", cgroup, *argv]
    return start_first_process(holder, argv, name)


def start_first_process(holder: int, argv: list[str], name: str) -> tuple[subprocess.Popen, int]:
    """Run a command in the lab whose first output is a pid; see launch."""
    process = popen(
        ["nsenter", "-t", str(holder), "-m", "-n", "-p", *argv],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    with process.stdout as stdout:
        answer = stdout.readline().strip()
    if not answer.isdigit():
        process.wait(timeout=10)
        raise LabError(f"{name} does not start: {answer or 'no answer'}")
    return process, int(answer)


def listens(pid: int, port: int) -> bool:
    """Whether anything listens on a TCP port in the network namespace of ``pid``."""
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}", encoding="ascii") as file:
            for line in file:
                fields = line.split()
                # State 0A is LISTEN.
                if fields[1].endswith(f":{port:04X}") and fields[3] == "0A":
                    return True
    return False
