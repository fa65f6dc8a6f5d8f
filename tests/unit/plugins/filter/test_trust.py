# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a host of the declared pairs connects to, and whom it lets in for what."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.zfsops.zrep.plugins.filter.trust import trust
from ansible_collections.zfsops.zrep.plugins.module_utils._gate.rules import parse

PAIR = {
    "name": "prodfs",
    "master": {"host": "host1", "filesystem": "pool1/prodfs"},
    "replica": {"host": "host2", "filesystem": "pool2/prodfs", "address": "root@host2.example.org"},
}


def names(found):
    return [item["host"] for item in found]


def test_both_hosts_of_a_pair_connect_to_each_other():
    for host, other in (("host1", "host2"), ("host2", "host1")):
        found = trust([PAIR], host)
        assert names(found["reaches"]) == names(found["admits"]) == names(found["peers"]) == [other]
    assert trust([PAIR], "host1")["reaches"][0]["addresses"] == ["root@host2.example.org"]
    assert names(trust([PAIR], "host3")["peers"]) == []
    assert trust([PAIR], "host3")["locks"] == []


def test_of_a_pair_that_is_pulled_the_server_connects():
    pulled = {**PAIR, "direction": "pull"}
    client, server = trust([pulled], "host1"), trust([pulled], "host2")
    assert (names(client["reaches"]), names(client["admits"])) == ([], ["host2"])
    assert (names(server["reaches"]), names(server["admits"])) == (["host1"], [])


def test_what_it_says_is_what_the_gate_understands():
    pair = {**PAIR, "recursive": True, "create_properties": {"compression": "zstd"}, "tag": "dc"}
    (admitted,) = trust([pair], "host2", ["send"], {"prodfs": ["/srv/prod"]})["admits"]
    (rule,) = parse({"version": 1, "name": admitted["label"], "pairs": admitted["pairs"]}).pairs
    assert (rule.filesystem, rule.peer_filesystem, rule.tag) == ("pool2/prodfs", "pool1/prodfs", "dc")
    assert rule.grants == {"send"}
    assert rule.recursive
    assert rule.properties == {"compression=zstd"}
    assert rule.mountpoints == {"/srv/prod"}


def test_hosts_with_several_pairs_have_one_key():
    other = {**PAIR, "name": "home", "master": PAIR["replica"], "replica": PAIR["master"]}
    found = trust([PAIR, other], "host1")
    assert names(found["reaches"]) == ["host2"]
    assert len(found["admits"][0]["pairs"]) == 2


def test_a_name_that_is_no_name_of_a_file():
    pair = {**PAIR, "replica": {"host": "2001:db8::1/x", "filesystem": "pool2/a"}}
    assert trust([pair], "host1")["reaches"][0]["label"] == "2001_db8__1_x"


@pytest.mark.parametrize("pairs", [None, [1], [{"name": "a"}], "text"])
def test_what_are_no_pairs(pairs):
    with pytest.raises(AnsibleFilterError):
        trust(pairs, "host1")
