# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks that meet the sync which cron has just started."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lab import Host, Lab
from tests.system.ansible import playbook_command, playbook_environment
from tests.system.pairs import held, local
from tests.system.product import start_module
from tests.system.test_playbooks import PRODFS, Playbooks

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.fixture
def paired(lab: Lab, host1: Host, host2: Host, tmp_path: Path) -> Playbooks:
    """A pair with something to send."""
    host1.zfs("create", "pool1/prodfs")
    playbook = Playbooks(lab, tmp_path / "pairs.json")
    playbook("pair", [PRODFS])
    host1.write_file("/pool1/prodfs/file", "new\n")
    return playbook


@pytest.mark.parametrize("name", ["failover", "pair", "sync", "unpair"])
def test_waits_for_a_run_that_is_under_way(paired: Playbooks, host1: Host, host2: Host, name: str) -> None:
    command = playbook_command(
        paired.lab, f"zfsops.zrep.{name}", "-e", f"@{paired.path}", "-e", "zrep_confirm=yes", "--diff"
    )
    with held(host2, verbs=("receive",)) as hold:
        syncing = start_module(host1, "zrep_sync", {"filesystem": "pool1/prodfs"})
        hold.wait()
        playing = subprocess.Popen(
            command, env=playbook_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        said = ""
        for line in playing.stdout:
            said += line
            if "RETRYING" in line:
                break
        hold.go()
    said += playing.stdout.read()
    assert playing.wait() == 0, said
    assert "RETRYING" in said
    masters = [local(host1, "pool1/prodfs", "zrep:master"), local(host2, "pool2/prodfs", "zrep:master")]
    assert syncing.result()["changed"]
    assert masters == {"failover": [None, "yes"], "unpair": [None, None]}.get(name, ["yes", None])


def test_does_not_wait_where_that_is_not_wanted(paired: Playbooks, host1: Host, host2: Host) -> None:
    with held(host2, verbs=("receive",)) as hold:
        syncing = start_module(host1, "zrep_sync", {"filesystem": "pool1/prodfs"})
        hold.wait()
        refused = paired("failover", [PRODFS], "-e", "zrep_confirm=yes", "-e", "zrep_patience=0", ok=False)
        hold.go()
    assert "another process works on it" in refused
    assert syncing.result()["changed"]
