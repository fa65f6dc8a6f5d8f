# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong in the lab."""

from __future__ import annotations

import subprocess


class LabError(Exception):
    """The lab cannot do what was asked; the text is one clear line for a person."""


class CommandFailed(LabError):
    """A command run on a host ended with another status than 0; ``result`` holds status and output."""

    def __init__(self, where: str, result: subprocess.CompletedProcess) -> None:
        self.result = result
        stderr = result.stderr or b""
        text = stderr if isinstance(stderr, str) else stderr.decode(errors="replace")
        command = result.args if isinstance(result.args, str) else " ".join(result.args)
        super().__init__(f"{where}: {command}: exit status {result.returncode}: {text.strip()}")
