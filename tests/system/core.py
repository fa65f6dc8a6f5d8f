# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Call the core on lab hosts with settings for which modules have no options, and three ways to have a stream."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.lab import Host
from tests.system import product
from tests.system.pairs import Pair, files, guids, ready_pair

CALL = """
import dataclasses, json, signal, sys
sys.path.insert(0, {home!r})
from ansible_collections.zfsops.zrep.plugins.module_utils._core import run_failover, run_pair, run_pull, run_sync
from ansible_collections.zfsops.zrep.plugins.module_utils._core import settings
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import ZrepError
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import Endpoint

def stop(number, dummy):
    raise SystemExit(128 + number)

signal.signal(signal.SIGTERM, stop)
asked = json.loads(sys.argv[1])
wanted = dataclasses.replace(settings.make(), **asked["settings"])
try:
    if asked["verb"] == "sync":
        outcome = run_sync.sync(wanted, [asked["filesystem"]], False, {{}})
    elif asked["verb"] == "refresh":
        outcome = run_pull.pull(wanted, [asked["filesystem"]], False, {{}})
    elif asked["verb"] == "takeover":
        outcome = run_failover.failover(wanted, asked["filesystem"], "master").outcome
    else:
        outcome = run_pair.pair_present(wanted, asked["filesystem"], Endpoint(*asked["peer"]), asked["options"])
    result = outcome.result(False)
except ZrepError as error:
    result = {{"failed_filesystems": [dict(error.facts(), text=str(error))], "warnings": []}}
print(json.dumps(result))
"""


class Said:
    """What became of a call of the core."""

    def __init__(self, done: subprocess.CompletedProcess) -> None:
        assert "Traceback" not in done.stderr, done.stderr
        result = json.loads(done.stdout)
        self.warnings: list[str] = result["warnings"]
        self.failed: dict[str, Any] = (result["failed_filesystems"] or [{}])[0]
        self.err: str = done.stderr

    @property
    def well(self) -> bool:
        assert not self.failed, self.failed["text"]
        return True


def words(verb: str, filesystem: str, more: dict[str, Any], **settings: Any) -> list[str]:
    asked = {"verb": verb, "filesystem": filesystem, "settings": settings, **more}
    return [product.PYTHON, "-c", CALL.format(home=product.HOME), json.dumps(asked)]


def call(host: Host, verb: str, filesystem: str, more: dict[str, Any] | None = None, **settings: Any) -> Said:
    product.install(host)
    return Said(host.run(words(verb, filesystem, more or {}, **settings)))


def big_pair(fresh, a: Host, b: Host) -> Pair:
    """A pair with more to send than pipes hold, and a bit that a filter could change."""
    made = ready_pair(fresh, a, b)
    a.run(f"head -c 1000000 /dev/urandom >/{made.fs}/big; echo aaaa >/{made.fs}/small; sync /{made.fs}/big")
    return made


def both_hold_the_same(pair: Pair) -> None:
    """Master and replica end with the same snapshot and hold the same."""
    here, there = guids(pair.a, pair.fs), guids(pair.b, pair.dest)
    last = list(here)[-1]
    assert (last, here[last]) == (list(there)[-1], there[last])
    assert files(pair.a, f"{pair.fs}@{last}") == files(pair.b, f"{pair.dest}@{last}")


def push(pair: Pair, **settings: Any) -> Said:
    """The master sends."""
    return call(pair.a, "sync", pair.fs, **settings)


def fetch(pair: Pair, **settings: Any) -> Said:
    """The replica has the master send what it still has, and takes its role."""
    return call(pair.b, "takeover", pair.dest, **settings)


def pull(pair: Pair, **settings: Any) -> Said:
    """The replica has the master take a snapshot and send it."""
    return call(pair.b, "refresh", pair.dest, **settings)


WAYS = [push, fetch, pull]
