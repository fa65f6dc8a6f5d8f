# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a lab host: start modules from a process that has everything imported already.

A module needs some tenths of a second to start, most of it for imports, and the tests start more than a thousand. Each
one runs in a process of its own, forked from this one, with an environment of its own. The other end is in product.py.

Called as ``module_server.py SOCKET``, it goes into the background once it listens. As ``module_server.py MODULE`` it
runs one module with the arguments on its standard input, like any program.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import socket
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from ansible.module_utils import basic

MODULES = "ansible_collections.zfsops.zrep.plugins.modules."


def run(module: str, arguments: bytes) -> None:
    """Run a module as the program that Ansible sends to a host does."""
    basic._ANSIBLE_ARGS = arguments
    basic._ANSIBLE_PROFILE = "legacy"
    runpy.run_module(MODULES + module, run_name="__main__", alter_sys=True)


def serve(path: str) -> None:
    """Answer requests until killed."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(16)
        if os.fork():
            return
        os.setsid()
        # Whoever started this waits until nobody can write to it any more.
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        while True:
            connection = listener.accept()[0]
            if not os.fork():
                listener.close()
                answer(connection)
                os._exit(0)
            connection.close()
            reap()


def reap() -> None:
    """Forget children that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def answer(connection: socket.socket) -> None:
    """Run the module that is asked for, and send back what it printed."""
    with (
        connection,
        connection.makefile("rb") as stream,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        request = json.loads(stream.read())
        child = os.fork()
        if not child:
            connection.detach()
            os.environ.update(request["env"])
            for number, file in ((0, os.open(os.devnull, os.O_RDONLY)), (1, out.fileno()), (2, err.fileno())):
                os.dup2(file, number)
            status = 1
            try:
                run(request["module"], request["arguments"].encode())
            except SystemExit as error:
                status = error.code if isinstance(error.code, int) else 1
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        os.waitpid(child, 0)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
        connection.sendall(json.dumps(texts).encode())


def main() -> None:
    if not sys.argv[1].startswith("/"):
        run(sys.argv[1], sys.stdin.buffer.read())
        return
    # For their imports; as __main__ they run anew each time.
    for name in ("zrep_info", "zrep_pair", "zrep_snapshot", "zrep_sync"):
        __import__(MODULES + name)
        del sys.modules[MODULES + name]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    serve(sys.argv[1])


if __name__ == "__main__":
    main()
