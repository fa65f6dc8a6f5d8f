# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the zrep command starts. ``version`` is answered without loading anything else."""

from __future__ import annotations

import sys

VERSION = "0.1.0"
ANSWER = f"""zrep {VERSION} (zfsops.zrep)
https://galaxy.ansible.com/ui/repo/published/zfsops/zrep/
https://github.com/zfsops/zrep
"""


def start() -> None:
    """Run the command with the arguments of this process, and end it."""
    if sys.argv[1:] == ["version"]:
        try:
            sys.stdout.write(ANSWER)
            sys.stdout.flush()
        except (OSError, AttributeError):
            pass  # Nobody reads it.
        else:
            raise SystemExit(0)
    if sys.argv[1:2] == ["gate"]:
        # Each request of the other end is a start of its own.
        from .._gate.main import main as gate

        raise SystemExit(gate(sys.argv[2:]))
    from .main import main

    raise SystemExit(main(sys.argv[1:]))
