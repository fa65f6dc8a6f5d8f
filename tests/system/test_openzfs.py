# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only newer versions of ZFS can do, or do differently."""

from __future__ import annotations

import pytest

from tests.lab import Host
from tests.system.moves import assert_in_place, move
from tests.system.pairs import Pair, guids, local, make_pair, ready_pair
from tests.system.product import zrep_info, zrep_pair

pytestmark = pytest.mark.system


@pytest.mark.acceptance(7)
@pytest.mark.needs("modern")
def test_case_07_a_received_master_is_no_master(fresh, host1: Host, host2: Host) -> None:
    """As a stream of the script leaves it that carries the properties of the master."""
    pair = ready_pair(fresh, host1, host2)
    host1.zfs("snapshot", f"{pair.fs}@zrep_000001")
    stream = [
        "sh",
        "-c",
        f"zfs send -R -I zrep_000000 {pair.fs}@zrep_000001 | ssh {host2.name} zfs receive -u {pair.dest}",
    ]
    host1.run(stream)
    assert host2.zfs("get", "-H", "-o", "value,source", "zrep:master", pair.dest) == "yes\treceived\n"
    (found,) = zrep_info(host2, filesystem=[pair.dest])["pairs"]
    assert found["role"] == "replica"
    pair.sync()
    pair.assert_same()


@pytest.mark.acceptance(31)
@pytest.mark.needs("volumes")
def test_case_31_volumes(fresh, host1: Host, host2: Host) -> None:
    pair = Pair(host1, fresh.name(host1, "vol"), host2, fresh.name(host2, "copy"))
    host1.zfs("create", "-V", "8M", "-o", "volmode=none", pair.fs)
    assert not zrep_pair(host1, filesystem=pair.fs, peer_host=host2.name, peer_filesystem=pair.dest).failed
    pair.sync()
    now = move(pair)
    assert local(host2, pair.dest, "zrep:master") == "yes"
    move(now, at="b")
    here, there = guids(host1, pair.fs), guids(host2, pair.dest)
    assert here == there


@pytest.mark.needs("bookmarks")
def test_a_base_remains_when_the_snapshot_is_destroyed(fresh, host1: Host, host2: Host) -> None:
    pair = make_pair(fresh, host1, host2)
    pair.sync()
    pair.write("new\n")
    for short in pair.on_a():
        host1.zfs("destroy", f"{pair.fs}@{short}")
    pair.sync()
    pair.assert_same()
    assert zrep_pair(host1, filesystem=pair.fs, state="absent").changed
    assert host1.zfs("list", "-H", "-t", "bookmark", "-o", "name", "-r", pair.fs) == ""


@pytest.mark.needs("mixed")
def test_an_old_and_a_new_version_go_together(fresh, host1: Host, host2: Host) -> None:
    """With what both of them can do: made, synced, moved to the newer one and back."""
    pair = make_pair(fresh, host1, host2)
    pair.write("new\n")
    pair.sync()
    pair.assert_same()
    now = move(pair)
    assert_in_place(now)
    host2.write_file(f"/{pair.dest}/file", "newer\n")
    back = move(now, at="b")
    assert_in_place(back)
    assert host1.read_file(f"/{pair.fs}/file") == "newer\n"
