# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a pair of the script was taken over, and synced once as cron does."""

from __future__ import annotations

import pytest

TABLE = "/var/spool/cron/crontabs/root"


@pytest.fixture
def filesystem(host):
    return {"host1": "pool1/prodfs", "host2": "pool2/prodfs"}[host.check_output("hostname")]


def test_the_command_stands_where_the_script_was(host):
    assert host.check_output("zrep version").startswith("zrep ")
    assert host.file("/usr/local/bin/zrep.script").contains("the script was called")


def test_cron_calls_the_script_no_more(host):
    assert host.file(TABLE).content_string.startswith("# replaced by zfsops.zrep: */5 * * * * /usr/local/bin/zrep sync")
    assert host.file(TABLE).mode == 0o600


def test_no_full_copy_was_sent(host, filesystem):
    """The snapshots of the script are still there, and the next one goes on from them."""
    names = host.check_output("zfs list -H -o name -t snapshot -s name -r %s", filesystem).split()
    assert [name.partition("@")[2] for name in names] == ["zrep_000000", "zrep_00000a", "zrep_00000b"]


def test_the_record_is_as_the_script_has_it(host, filesystem):
    lines = host.check_output("zfs get -H -o property,value -s local all %s", filesystem).splitlines()
    record = dict(line.split("\t") for line in lines)
    assert record["zrep:src-fs"] == "pool1/prodfs"
    assert record["zrep:dest-host"] == "host2"
    assert record.get("zrep:master") == ("yes" if filesystem == "pool1/prodfs" else None)


def test_all_is_well(host):
    done = host.run("zrep doctor")
    assert done.rc == 0, done.stdout + done.stderr
