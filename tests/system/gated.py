# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lab hosts that let each other in through the gate alone."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from typing import Any

from tests.lab import Host
from tests.system import command
from tests.system.pairs import Pair

KEYS = "/root/.ssh/authorized_keys"
BOTH = ["receive", "send", "move"]


def rules_for(host: Host, pairs: list[Pair], grants: list[str], **more: Any) -> dict[str, Any]:
    """What the other end may do on a host, which has one side of each of these pairs."""
    found = []
    for pair in pairs:
        own, other = (pair.fs, pair.dest) if pair.a is host else (pair.dest, pair.fs)
        found.append({"filesystem": own, "peer_filesystem": other, "tag": pair.tag, "grants": grants, **more})
    return {"version": 1, "name": "peer", "pairs": found}


def close(host: Host, rules: dict[str, Any]) -> None:
    """From now on a host admits what these rules say, to whoever has a key for root."""
    command.install(host)
    host.run("mkdir -p /etc/zrep/gate")
    host.run("cat >/etc/zrep/gate/peer.json", input=json.dumps(rules))
    forced = 'restrict,command="/usr/local/bin/zrep gate --config /etc/zrep/gate/peer.json" '
    host.run(f"cp -n {KEYS} {KEYS}.open; sed 's|^|{forced}|' {KEYS}.open >{KEYS}")


def open_again(host: Host) -> None:
    """As it was before."""
    host.run(f"[ ! -e {KEYS}.open ] || mv {KEYS}.open {KEYS}; rm -rf /etc/zrep/gate; rmdir /etc/zrep 2>/dev/null || :")


@contextlib.contextmanager
def gated(*pairs: Pair, grants: list[str] | None = None, **more: Any) -> Iterator[None]:
    """Between the hosts of these pairs nothing is admitted but what they need."""
    hosts = {host.name: host for pair in pairs for host in (pair.a, pair.b)}.values()
    try:
        for host in hosts:
            close(host, rules_for(host, list(pairs), BOTH if grants is None else grants, **more))
        yield
    finally:
        for host in hosts:
            open_again(host)


def ask(caller: Host, host: Host, line: str, *options: str, stdin: str = "") -> subprocess.CompletedProcess:
    """What somebody with the key says to the other host."""
    words = ["ssh", "-o", "BatchMode=yes", *options, host.name, *([line] if line else [])]
    return caller.run(words, check=False, input=stdin, timeout=30)
