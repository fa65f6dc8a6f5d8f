# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each module once through ansible itself: what the quick way of product.py returns is what a user gets."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import Host, Lab
from tests.system.pairs import Pair, ready_pair
from tests.system.product import PROJECT, Result, run_module

pytestmark = pytest.mark.system

# What differs from one moment, or one filesystem, to the next.
_MOVING = re.compile(
    r'"(lag_seconds|last_sync|last_sync_iso|created|created_iso|guid|sent|unsent_bytes)": ("[^"]*"|\d+|null)'
)


@pytest.fixture(scope="session")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which this checkout is the collection zfsops.zrep."""
    path = tmp_path_factory.mktemp("collections")
    place = path / "ansible_collections" / "zfsops" / "zrep"
    place.mkdir(parents=True)
    for name in ("plugins", "meta", "galaxy.yml"):
        (place / name).symlink_to(PROJECT / name)
    return path


def ansible(lab: Lab, collections: Path, host: str, module: str, options: dict, *arguments: str) -> Result:
    """Run a module ad hoc on a host, with the controller's Ansible."""
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible"),
            host,
            "-i",
            str(lab.inventory_path),
            "-m",
            f"zfsops.zrep.{module}",
            "-a",
            json.dumps(options),
            *arguments,
        ],
        env=dict(
            os.environ,
            ANSIBLE_COLLECTIONS_PATH=str(collections),
            ANSIBLE_LOAD_CALLBACK_PLUGINS="1",
            ANSIBLE_STDOUT_CALLBACK="ansible.builtin.oneline",
            ANSIBLE_NOCOLOR="1",
        ),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    assert " => " in done.stdout, done.stdout + done.stderr
    # What it prints of a result does not say again that it failed.
    return Result(json.loads(done.stdout[done.stdout.rindex(" => {") + 4 :]), failed=done.returncode != 0)


def comparable(result: Result, pair: Pair) -> str:
    """A result without what Ansible adds, the names of the pair, and what moves."""
    kept = {key: value for key, value in result.items() if key not in ("invocation", "ansible_facts")}
    kept.setdefault("changed", False)
    kept.setdefault("failed", False)
    kept.pop("diff", None)
    text = json.dumps(kept, sort_keys=True).replace(pair.dest, "DEST").replace(pair.fs, "FS")
    return _MOVING.sub(r'"\1": 0', text)


@pytest.mark.parametrize(
    ("module", "options"),
    [
        ("zrep_pair", {"savecount": 3}),
        ("zrep_sync", {}),
        ("zrep_snapshot", {}),
        ("zrep_info", {"check_peer": True}),
        ("zrep_sync", {"filesystem": "pool1/none"}),
    ],
    ids=str,
)
def test_ansible_returns_the_same(
    lab: Lab, fresh, host1: Host, host2: Host, collections: Path, module: str, options: dict
) -> None:
    texts = []
    for base in ("one", "two"):
        pair = ready_pair(fresh, host1, host2, base)
        wanted = {"filesystem": pair.fs, **options}
        if module == "zrep_pair":
            wanted.update(peer_host="host2", peer_filesystem=pair.dest)
        if base == "one":
            result = run_module(host1, module, wanted)
        else:
            result = ansible(lab, collections, "host1", module, wanted)
        texts.append(comparable(result, pair))
    assert texts[0] == texts[1]


def test_check_mode_by_ansible(lab: Lab, fresh, host1: Host, host2: Host, collections: Path) -> None:
    pair = ready_pair(fresh, host1, host2)
    before = pair.dump()
    result = ansible(lab, collections, "host1", "zrep_sync", {"filesystem": [pair.fs]}, "--check", "--diff")
    assert result.changed
    assert pair.dump() == before
    assert result.actions == pair.sync().actions
