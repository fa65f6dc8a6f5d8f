# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From two hosts that know nothing of each other to a pair that replicates, is watched, and is taken apart again."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from tests.lab import Host, Lab
from tests.system.ansible import changes
from tests.system.command import remove
from tests.system.pairs import Pair, exists, local
from tests.system.test_playbooks import PRODFS, Playbooks

# Eight playbooks, one after the other.
pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(900)]

MADE = (
    "/usr/local/bin/zrep",
    "/etc/cron.d/zrep",
    "/etc/zrep/ssh/config",
    "/usr/local/sbin/zrep-metrics",
)


class Everything(Playbooks):
    roles: ClassVar[dict[str, object]] = {}


@pytest.fixture
def bare(lab: Lab, host1: Host, host2: Host, tmp_path: Path):
    """Hosts without keys of each other; what the lab had given them is put back."""
    for host in (host1, host2):
        remove(host)
        host.run(
            "mkdir -p /root/kept; mv /root/.ssh/* /root/kept/; mv /etc/ssh/ssh_known_hosts /root/kept/ 2>/dev/null; :"
        )
    host1.zfs("create", "pool1/prodfs")
    assert host1.run(["ssh", "-o", "BatchMode=yes", "host2", "true"], check=False).returncode != 0
    yield Everything(lab, tmp_path / "pairs.json")
    for host in (host1, host2):
        remove(host)
        host.run(
            "mkdir -p /root/.ssh; [ ! -e /root/kept/ssh_known_hosts ] || mv /root/kept/ssh_known_hosts /etc/ssh/;"
            " mv /root/kept/* /root/.ssh/; rmdir /root/kept; rm -rf /etc/zrep /etc/cron.d/zrep*"
        )


def there(host: Host) -> list[str]:
    return [path for path in MADE if host.run(["test", "-e", path], check=False).returncode == 0]


def test_one_playbook_and_one_variable(bare: Playbooks, host1: Host, host2: Host) -> None:
    bare("pair", [PRODFS], "--check")
    assert there(host1) == there(host2) == []
    bare("pair", [PRODFS])
    pair = Pair(host1, "pool1/prodfs", host2, "pool2/prodfs")
    assert there(host1) == there(host2) == list(MADE)
    assert changes(bare("pair", [PRODFS])) == 0
    # With these keys and the line that cron has.
    pair.write("new\n")
    line = next(line for line in host1.read_file("/etc/cron.d/zrep").splitlines() if line.startswith("* "))
    assert host1.run(["sh", "-c", line.split(" root ", 1)[1]]).stdout == ""
    pair.assert_same()
    # And the other way round, once the master has moved.
    bare("failover", [PRODFS], "-e", "zrep_to=host2", "-e", "zrep_confirm=yes")
    now = Pair(host2, "pool2/prodfs", host1, "pool1/prodfs")
    now.write("from there\n")
    assert host2.run(["sh", "-c", line.split(" root ", 1)[1].replace("pool1", "pool2")]).stdout == ""
    now.assert_same()
    assert changes(bare("pair", [PRODFS])) == 0
    refused = bare("unpair", [PRODFS], ok=False)
    assert "zrep_confirm=yes" in refused
    bare("unpair", [PRODFS], "-e", "zrep_confirm=yes")
    assert there(host1) == there(host2) == []
    for host, dataset in ((host1, "pool1/prodfs"), (host2, "pool2/prodfs")):
        assert exists(host, dataset)
        assert local(host, dataset, "zrep:master") is None
        assert local(host, dataset, "zrep:src-host") is None
    assert changes(bare("unpair", [PRODFS], "-e", "zrep_confirm=yes")) == 0
