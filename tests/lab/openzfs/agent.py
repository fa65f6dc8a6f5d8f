# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs commands in a guest for the machine: python3 agent.py ADDRESS PORT

For each connection one program: a line of JSON (its arguments), then its standard input until the other side has no
more. Back come frames: a letter (o, e: output; x: the exit status, which ends it), the length in four bytes, the bytes.
If the connection ends early everything that was started is killed. A script of its own: it runs inside the guest.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading

CHUNK = 65536
CONNECT = "@connect"
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/sh",
    "TERM": "dumb",
    "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", ""),
    "OPENSSL_ia32cap": "~0x1000000000000000:~0x20",
}


def main() -> None:
    """Serve for ever."""
    server = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=64)
    while True:
        connection, _address = server.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def serve(connection: socket.socket) -> None:
    """One program."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("rb") as incoming, contextlib.suppress(OSError):
        line = incoming.readline()
        if not line:
            return
        if json.loads(line)[0] == CONNECT:
            connect(connection, incoming, json.loads(line)[1])
            return
        try:
            process = subprocess.Popen(
                [word.encode("utf-8", "surrogateescape") for word in json.loads(line)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            send(connection, b"e", f"{error}\n".encode())
            send(connection, b"x", struct.pack("!i", 127))
            return
        feeder = threading.Thread(target=feed, args=(incoming, process), daemon=True)
        feeder.start()
        try:
            drain(connection, process)
        except OSError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def connect(connection: socket.socket, incoming, path: str) -> None:
    """Instead of a program, whoever listens at a unix socket of the guest: all of the input, then all of the answer."""
    request = b""
    while True:
        kind, length = struct.unpack("!cI", incoming.read(5))
        if kind == b"c":
            break
        request += incoming.read(length)
    with socket.socket(socket.AF_UNIX) as local:
        try:
            local.connect(path)
        except OSError:
            send(connection, b"x", struct.pack("!i", 1))
            return
        local.sendall(request)
        local.shutdown(socket.SHUT_WR)
        while data := local.recv(CHUNK):
            send(connection, b"o", data)
    send(connection, b"x", struct.pack("!i", 0))


def feed(incoming, process) -> None:
    """Pass the input on. That it ends means that there is no more; that the connection breaks ends everything."""
    with contextlib.suppress(OSError, ValueError):
        while True:
            head = incoming.read(5)
            if len(head) < 5:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                return
            kind, length = struct.unpack("!cI", head)
            if kind == b"c":
                process.stdin.close()
                continue
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(incoming.read(length))
                process.stdin.flush()


def drain(connection: socket.socket, process) -> None:
    """Send what it prints, and how it ended. What it left behind in the background may keep its outputs open."""
    selector = selectors.DefaultSelector()
    selector.register(process.stdout, selectors.EVENT_READ, b"o")
    selector.register(process.stderr, selectors.EVENT_READ, b"e")
    while selector.get_map():
        for key, _events in selector.select():
            data = os.read(key.fd, CHUNK)
            if data:
                send(connection, key.data, data)
            else:
                selector.unregister(key.fileobj)
    send(connection, b"x", struct.pack("!i", process.wait()))


def send(connection: socket.socket, kind: bytes, data: bytes) -> None:
    connection.sendall(struct.pack("!cI", kind, len(data)) + data)


if __name__ == "__main__":
    main()
