# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run playbooks on the hosts of a lab, with the collection of this checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.lab import Lab


def playbook_command(lab: Lab, playbook: str, *options: str) -> list[str]:
    """The command that runs a playbook, given by its path or by its full name in the collection."""
    return [str(Path(sys.executable).parent / "ansible-playbook"), playbook, "-i", str(lab.inventory_path), *options]


def playbook_environment() -> dict[str, str]:
    """The environment that it needs."""
    return dict(
        os.environ,
        ANSIBLE_COLLECTIONS_PATH=str(Path(__file__).resolve().parents[2] / "build" / "live"),
        ANSIBLE_LOCALHOST_WARNING="0",
        ANSIBLE_NOCOLOR="1",
        ANSIBLE_PIPELINING="1",
    )


def run_playbook(lab: Lab, playbook: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook to its end."""
    return subprocess.run(
        playbook_command(lab, playbook, *options),
        env=playbook_environment(),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )


def changes(output: str) -> int:
    """How many changes the recap of a playbook counts over all hosts."""
    return sum(int(number) for number in re.findall(r"changed=(\d+)", output))
