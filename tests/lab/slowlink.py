# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A slow cable: carry the frames between two network links, each so many milliseconds late.

    python3 slowlink.py LINK LINK MILLISECONDS

Says "ready" when it carries, and ends when one of the links is removed. A stand-in for tc netem, which many
kernels are built without. A script of its own, not part of the package: it runs inside the lab's namespaces.
"""

from __future__ import annotations

import collections
import contextlib
import selectors
import socket
import sys
import time

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_VNET_HDR = 15
PACKET_OUTGOING = 4
# A header of checksum and segmentation details, then a frame that may be as large as the kernel's largest
# segment.
LARGEST = 10 + 65536 + 64
BUFFER = 16 * 1024 * 1024


def open_link(name: str) -> socket.socket:
    """A socket that sees and sends whole frames of one link. OSError if not permitted or no such link."""
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    # Frames between virtual links have checksums and segments left undone; the header says so, and is passed
    # on.
    link.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    link.bind((name, ETH_P_ALL))
    return link


def carry(names: tuple[str, str], seconds: float) -> None:
    """Carry frames both ways for ever. Raises OSError when a link goes."""
    links = tuple(open_link(name) for name in names)
    selector = selectors.DefaultSelector()
    for link, other in (links, links[::-1]):
        selector.register(link, selectors.EVENT_READ, other)
    print("ready", flush=True)
    # One delay for all, so frames leave in the order in which they came.
    waiting: collections.deque[tuple[float, socket.socket, bytes]] = collections.deque()
    while True:
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        for key, _events in selector.select(timeout):
            frame, origin = key.fileobj.recvfrom(LARGEST)  # type: ignore[union-attr]
            if origin[2] != PACKET_OUTGOING:
                waiting.append((time.monotonic() + seconds, key.data, frame))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _due, out, frame = waiting.popleft()
            # A full queue loses frames, as a real cable's would.
            with contextlib.suppress(BlockingIOError):
                out.send(frame)


def main() -> int:
    """Read the arguments and carry until a link goes."""
    try:
        carry((sys.argv[1], sys.argv[2]), float(sys.argv[3]) / 1000)
    except OSError as error:
        print(error, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
