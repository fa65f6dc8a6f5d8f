# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of the modules' documentation, run as they stand there, through Ansible."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
import yaml

from tests.lab import Host, Lab
from tests.system.ansible import run_playbook

MODULES = Path(__file__).resolve().parents[2] / "plugins" / "modules"


def examples(module: str) -> list[dict]:
    """The tasks in a module's EXAMPLES."""
    for node in ast.parse((MODULES / f"{module}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "EXAMPLES":
            return yaml.safe_load(ast.literal_eval(node.value))
    raise LookupError(f"{module} has no EXAMPLES")


@pytest.fixture
def prepared(lab: Lab, host1: Host, host2: Host) -> Lab:
    """What the examples start from: a filesystem, and one with a copy that was made by hand."""
    host1.zfs("create", "pool1/prodfs")
    host1.zfs("create", "pool1/manual")
    host1.zfs("create", "-p", "pool1/projects/one")
    host1.zfs("snapshot", "pool1/manual@by-hand")
    host1.run("zfs send pool1/manual@by-hand | ssh host2 zfs receive -u pool2/manual")
    host2.zfs("create", "pool2/data")
    host2.zfs("create", "pool2/old")
    host2.zfs("snapshot", "pool2/old@by-hand")
    host2.run("zfs send pool2/old@by-hand | ssh host1 zfs receive -u pool1/copied")
    return lab


def test_every_module_has_examples_here() -> None:
    known = {"zrep_pair", "zrep_sync", "zrep_snapshot", "zrep_info", "zrep_failover"}
    assert {path.stem for path in MODULES.glob("zrep_*.py")} == known


@pytest.mark.slow
def test_examples_run_as_they_stand(prepared: Lab, tmp_path: Path) -> None:
    pair, sync = examples("zrep_pair"), examples("zrep_sync")
    # The last sync expires a snapshot that another example names.
    tasks = [*pair[:-1], *sync[:-1], *examples("zrep_snapshot"), *examples("zrep_info"), sync[-1], pair[-1]]
    playbook = tmp_path / "examples.yml"
    playbook.write_text(json.dumps([{"hosts": "host1", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    done = run_playbook(prepared, str(playbook))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout + done.stderr


@pytest.mark.slow
def test_examples_of_moves_run_as_they_stand(prepared: Lab, tmp_path: Path) -> None:
    """Each on the host that has the filesystem which it names."""
    pair, *_rest = examples("zrep_pair")
    # With several destinations it takes three hosts: test_repoint.py has them.
    moves = [task for task in examples("zrep_failover") if "repoint" not in task["zfsops.zrep.zrep_failover"]]
    plays = [{"hosts": "host1", "gather_facts": False, "tasks": [pair]}]
    for task in moves:
        pool = task["zfsops.zrep.zrep_failover"]["filesystem"].partition("/")[0]
        plays.append({"hosts": pool.replace("pool", "host"), "gather_facts": False, "tasks": [task]})
    playbook = tmp_path / "moves.yml"
    playbook.write_text(json.dumps(plays), encoding="utf-8")
    done = run_playbook(prepared, str(playbook))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("changed: [host") == len(plays)
