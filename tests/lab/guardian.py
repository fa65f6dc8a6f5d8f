# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes a lab when the process that made it is gone, however it went: python3 -m tests.lab.guardian NAME.

Its standard input is a pipe that only the maker holds open. Its end means that the maker has died; a byte
before that, that the lab is to stay or is down already.
"""

from __future__ import annotations

import signal
import sys

from .errors import LabError
from .state import load
from .teardown import teardown


def main(name: str) -> int:
    """Wait for the maker's end; then remove the lab."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Whoever ends a whole group of processes must not end the one that cleans up after them.
        signal.signal(number, signal.SIG_IGN)
    if not sys.stdin.buffer.read(1):
        try:
            teardown(load(name))
        except LabError:
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
