# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of all that is on a host are its pairs, and with whom."""

from __future__ import annotations

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import BadProperty, NotFound
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import Observed
from ansible_collections.zfsops.zrep.plugins.module_utils._core.roles import check_exists
from ansible_collections.zfsops.zrep.plugins.module_utils._core.session import (
    by_peer,
    masters,
    registered,
    with_recorded_peer,
)

from .builders import FS, HOST, PEER_FS, PEER_HOST, dataset, master, observed, replica


def seen(found, identity=HOST):
    return Observed("zrep", identity, found.name, found)


def chosen(choose, *found):
    return [pair.filesystem for pair in choose([seen(one) for one in found])]


@pytest.mark.acceptance(8)
def test_case_08_children_that_inherit_are_not_listed():
    child = dataset(FS + "/child", properties={"zrep:dest-fs": ("x", "inherited"), "zrep:master": ("yes", "inherited")})
    assert chosen(registered, master(), child, dataset("pool1"), replica()) == [FS, PEER_FS]
    assert chosen(masters, master(), child) == [FS]


@pytest.mark.acceptance(10)
def test_case_10_masters_are_those_that_name_this_host():
    found = master(properties={"zrep:src-host": "x"})
    assert chosen(masters, found) == []
    assert [pair.filesystem for pair in masters([seen(found, "x")])] == [FS]


@pytest.mark.acceptance(7)
def test_case_07_a_received_master_is_not_among_the_masters():
    assert chosen(masters, replica(properties={"zrep:master": ("yes", "received"), "zrep:src-host": HOST})) == []


def test_nonsense_in_one_pair_does_not_hide_the_others():
    assert chosen(masters, master(properties={"zrep:dest-host": "a b"}), replica()) == [FS]


def test_the_recorded_peer():
    found = with_recorded_peer(seen(master()))
    assert (found.peer_host, found.peer_filesystem) == (PEER_HOST, PEER_FS)
    assert with_recorded_peer(seen(dataset(FS))).peer_host == ""
    with pytest.raises(BadProperty):
        with_recorded_peer(seen(master(properties={"zrep:dest-host": "-oProxyCommand=x"})))


def test_pairs_by_peer():
    pairs = [observed(master(), peer_host=host) for host in ("b", "c", "b")]
    assert [[pair.peer_host for pair in group] for group in by_peer(pairs)] == [["b", "b"], ["c"]]


def test_check_exists():
    assert check_exists(seen(master())).filesystem == FS
    with pytest.raises(NotFound):
        check_exists(Observed("zrep", HOST, FS, None))
