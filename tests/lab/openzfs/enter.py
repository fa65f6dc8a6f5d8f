# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command in a guest: python3 enter.py ADDRESS PORT -- COMMAND ARGUMENT...

The other end of agent.py, with the standard input, outputs and exit status of the command. A script of its own: it runs
in the lab's network.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import sys
import threading

CHUNK = 65536
LOST = 125


def main() -> int:
    """Run it; its exit status, as a shell has it, or LOST if the guest went."""
    address, port, _dashes, *command = sys.argv[1:]
    try:
        connection = socket.create_connection((address, int(port)), 10)
    except OSError as error:
        print(f"the guest does not answer: {error}", file=sys.stderr)
        return LOST
    connection.settimeout(None)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(json.dumps(command).encode("ascii") + b"\n")
    threading.Thread(target=feed, args=(connection,), daemon=True).start()
    with contextlib.suppress(ConnectionError), connection.makefile("rb") as incoming:
        while True:
            head = incoming.read(5)
            if len(head) < 5:
                break
            kind, length = struct.unpack("!cI", head)
            data = incoming.read(length)
            if kind == b"x":
                (status,) = struct.unpack("!i", data)
                return status if status >= 0 else 128 - status
            write(1 if kind == b"o" else 2, data)
    print("the guest has gone", file=sys.stderr)
    return LOST


def feed(connection: socket.socket) -> None:
    """Pass the input on until it ends."""
    with contextlib.suppress(OSError):
        while True:
            data = os.read(0, CHUNK)
            if not data:
                connection.sendall(struct.pack("!cI", b"c", 0))
                return
            connection.sendall(struct.pack("!cI", b"i", len(data)) + data)


def write(descriptor: int, data: bytes) -> None:
    """Write everything; whoever does not want it any more ends us."""
    while data:
        data = data[os.write(descriptor, data) :]


if __name__ == "__main__":
    code = main()
    # The thread that reads the input may be in the middle of it.
    os._exit(code)
