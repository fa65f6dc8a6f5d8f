# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the modules of the collection on a lab host, as Ansible does but without a controller.

What Ansible sends to a host is a zip file of the module with what it imports and a start that sets the arguments and
runs the module as the main program. Here the same files lie on the host already and the same start is made, with the
host's own Python, which takes a tenth of the time. test_real_ansible.py shows that both come to the same.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import tarfile
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ansible

from tests.lab import Host
from tests.system import face

PROJECT = Path(__file__).resolve().parents[2]
HOME = "/opt/zfsops-tests"
COLLECTION = "ansible_collections/zfsops/zrep"
PYTHON = "/usr/bin/python3"
SOCKET = "/tmp/module-server"

_installed: weakref.WeakSet[Host] = weakref.WeakSet()


class Result(dict):
    """What a module returned."""

    @property
    def failed(self) -> bool:
        return bool(self.get("failed"))

    @property
    def changed(self) -> bool:
        return bool(self.get("changed"))

    @property
    def code(self) -> str:
        """The code of the error, or of the one filesystem that failed; empty if nothing did."""
        if self.get("error"):
            return self["error"]["code"]
        codes = {item["code"] for item in self.get("failed_filesystems") or ()}
        assert len(codes) <= 1, f"several errors: {codes}"
        return codes.pop() if codes else ""

    @property
    def actions(self) -> list[tuple[str, str, str]]:
        """Host, action and target of each action."""
        return [(step["host"], step["action"], step["target"]) for step in self["actions"]]


class Running:
    """A module that was started and not yet waited for."""

    def __init__(self, host: Host, process: subprocess.Popen[str], arguments: str) -> None:
        self.host = host
        self._process = process
        assert process.stdin is not None
        process.stdin.write(arguments)
        process.stdin.close()
        process.stdin = None

    def result(self, timeout: float = 60) -> Result:
        """Wait for its end."""
        out, err = self._process.communicate(timeout=timeout)
        return parse(out, err)

    def wait(self, timeout: float = 60) -> None:
        """Wait for its end where it is not expected to answer, because it is killed."""
        self._process.communicate(timeout=timeout)

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself, or what killed it is through."""
        return self._process.poll() is not None

    def signal(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the module and to all that it started but what has left its process group."""
        os.killpg(self._process.pid, number)


def run_module(
    host: Host,
    module: str,
    options: Mapping[str, Any],
    *,
    check: bool = False,
    env: Mapping[str, str] | None = None,
    timeout: float = 60,
) -> Result:
    """Run a module to its end, or have the command do the same."""
    install(host)
    if face.CHOSEN == "command":
        found = face.run(host, module, options, check, env or {})
        if found is not None:
            return Result(found)
    request = {"module": module, "arguments": _arguments(options, check), "env": dict(env or {})}
    answer = host.ask(SOCKET, json.dumps(request).encode(), timeout)
    if answer is None:
        # A host that is reset has lost its server.
        host.run(f"rm -f {SOCKET}; exec {PYTHON} {HOME}/module_server.py {SOCKET} >/dev/null </dev/null")
        answer = host.ask(SOCKET, json.dumps(request).encode(), timeout)
    assert answer is not None, f"{host.name}: no module server"
    out, err = json.loads(answer)
    return parse(out, err)


def start_module(
    host: Host, module: str, options: Mapping[str, Any], *, check: bool = False, env: Mapping[str, str] | None = None
) -> Running:
    """Start a module as a program of its own, which can be killed."""
    install(host)
    process = host.popen(_command(module, env), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return Running(host, process, _arguments(options, check))


def parse(out: str, err: str) -> Result:
    """The result in what a module printed. A traceback, or anything beside the result, is no answer."""
    assert err == "", f"on stderr: {err}\non stdout: {out}"
    result = Result(json.loads(out))
    assert "exception" not in result, result["exception"]
    assert "Traceback" not in out, out
    assert not result.failed or result.get("msg"), "failed without a word"
    return result


def _command(module: str, env: Mapping[str, str] | None) -> list[str]:
    variables = [f"{name}={value}" for name, value in (env or {}).items()]
    return ["env", *variables, PYTHON, f"{HOME}/module_server.py", module]


def _arguments(options: Mapping[str, Any], check: bool) -> str:
    internal = {"_ansible_check_mode": check, "_ansible_diff": True, "_ansible_remote_tmp": "/tmp"}
    return json.dumps({"ANSIBLE_MODULE_ARGS": {**internal, **options}})


def _module(name: str) -> Callable[..., Result]:
    def call(
        host: Host,
        *,
        check: bool = False,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        **options: Any,
    ) -> Result:
        return run_module(host, name, options, check=check, env=env, timeout=timeout)

    call.__name__ = name
    call.__doc__ = f"Run {name} on a host with these options."
    return call


zrep_pair = _module("zrep_pair")
zrep_sync = _module("zrep_sync")
zrep_snapshot = _module("zrep_snapshot")
zrep_failover = _module("zrep_failover")
zrep_info = _module("zrep_info")


def install(host: Host) -> None:
    """Put the collection and what it uses of Ansible on a host, once."""
    if host in _installed:
        return
    host.run(["mkdir", "-p", HOME])
    host.run(["tar", "-x", "-C", HOME], input=_archive(), text=False)
    _installed.add(host)


def _archive() -> bytes:
    """A tar file of the Python files that Ansible would send."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for root, prefix in (
            (Path(ansible.__file__).parent / "module_utils", "ansible/module_utils"),
            (PROJECT / "plugins", f"{COLLECTION}/plugins"),
        ):
            for path in sorted(root.rglob("*.py")):
                tar.add(path, f"{prefix}/{path.relative_to(root)}")
        for name, text in {
            "module_server.py": Path(__file__).with_name("module_server.py").read_text(encoding="utf-8"),
            "ansible/__init__.py": "",
            **{f"{path}/__init__.py": "" for path in ("ansible_collections", "ansible_collections/zfsops", COLLECTION)},
        }.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()
