# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which filesystems a host has to push, and how."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.zfsops.zrep.plugins.filter.masters import masters


def pair(name, here="host1", there="host2", **more):
    return {
        "name": name,
        "master": {"host": here, "filesystem": f"pool1/{name}"},
        "replica": {"host": there, "filesystem": f"pool2/{name}"},
        **more,
    }


def facts(filesystem, role="master", tag="zrep"):
    return {"filesystem": filesystem, "role": role, "tag": tag}


def test_the_sides_that_are_master_now_in_groups():
    pairs = [
        pair("a"),
        pair("b", tag="dc"),
        pair("c", compress="zstd"),
        pair("d", here="host2", there="host1", compress="zstd"),
        pair("e", rate_limit="20M", buffer="64M"),
        pair("f"),
    ]
    seen = [
        *(facts(f"pool1/{name}") for name in "ace"),
        facts("pool1/b", tag="dc"),
        facts("pool2/d"),
        facts("pool1/f", "replica"),
    ]
    none = {"compress": None, "buffer": None, "rate_limit": None}
    assert masters(pairs, "host1", seen) == [
        {**none, "tag": "zrep", "filesystems": ["pool1/a"]},
        {**none, "tag": "dc", "filesystems": ["pool1/b"]},
        {**none, "tag": "zrep", "compress": "zstd", "filesystems": ["pool1/c", "pool2/d"]},
        {**none, "tag": "zrep", "buffer": "64M", "rate_limit": "20M", "filesystems": ["pool1/e"]},
    ]
    assert masters(pairs, "host3", []) == []


@pytest.mark.parametrize("pairs", [None, [1], [{"name": "x"}], "abc"])
def test_nonsense_is_refused(pairs):
    with pytest.raises(AnsibleFilterError, match="masters expects pairs"):
        masters(pairs, "host1", [])
