# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After everything was set up on OpenZFS, and the master has moved."""

from __future__ import annotations

import pytest

FILESYSTEMS = {"host1": "pool1/prodfs", "host2": "pool2/prodfs"}


@pytest.fixture
def filesystem(host):
    return FILESYSTEMS[host.check_output("hostname")]


def test_openzfs_is_what_was_tested(host):
    assert host.check_output("zfs version").startswith("zfs-2.")


def test_each_side_has_the_role_that_it_moved_to(host, filesystem):
    value = host.check_output("zfs get -H -o value -s local zrep:master %s", filesystem)
    assert value == ("yes" if filesystem == "pool2/prodfs" else "")


def test_what_was_written_before_and_after_is_on_both(host, filesystem):
    assert host.file(f"/{filesystem}/file").content_string == "prodfs\n"
    assert host.file(f"/{filesystem}/below/after").content_string == "after the move\n"


def test_the_replica_was_made_with_the_properties_that_were_declared(host, filesystem):
    expected = "zstd" if filesystem == "pool2/prodfs" else None
    value = host.check_output("zfs get -H -o value compression %s", filesystem)
    assert expected is None or value == expected


def test_the_snapshot_that_both_share_is_held(host, filesystem):
    held = host.check_output("zfs list -H -o name -t snapshot -S createtxg -d 1 %s", filesystem).split()[0]
    assert host.check_output("zfs holds -H %s", held)


def test_all_is_well(host):
    done = host.run("zrep doctor")
    assert done.rc == 0, done.stdout + done.stderr
