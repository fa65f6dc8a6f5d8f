# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import zfs
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import Features

MODERN = Features(frozenset({"receive_resume_token"}))


def hint(argv, said="cannot do it: permission denied\n", dataset="pool/a@one"):
    return zfs.failure(argv, 1, said, "hosta", dataset).hint


@pytest.mark.parametrize(
    ("argv", "permissions"),
    [
        (("zfs", "snapshot", "pool/a@one"), "mount,snapshot"),
        (("zfs", "receive", "-u", "pool/a"), "create,mount,receive"),
        (("zfs", "send", "pool/a@one"), "send,snapshot,hold"),
        (("zfs", "destroy", "pool/a@one"), "destroy,mount"),
        (("zfs", "rollback", "-r", "pool/a@one"), "mount,rollback"),
        (zfs.set_properties({"readonly": "on"}, ["pool/a"], MODERN)[0], "readonly"),
        (zfs.set_properties({"zrep:master": "yes", "readonly": "off"}, ["pool/a"], MODERN)[0], "readonly,userprop"),
        (zfs.inherit(["zrep:master"], ["pool/a"])[0], "userprop"),
        (zfs.inherit(["readonly"], ["pool/a"])[0], "readonly"),
        (zfs.hold("zrep", ["pool/a@one"])[0], "hold"),
    ],
    ids=str,
)
def test_what_zfs_allow_has_to_give_is_named(argv, permissions):
    assert hint(argv) == (
        f"as root on hosta: zfs allow -u USER {permissions} pool/a, where USER is who runs this there"
    )


def test_the_filesystem_may_be_unknown():
    assert "zfs allow -u USER mount,snapshot FILESYSTEM" in hint(("zfs", "snapshot", "pool/a@one"), dataset="")


@pytest.mark.parametrize("argv", [zfs.mount("pool/a"), ("zfs", "unmount", "pool/a")])
def test_what_only_root_can_do_is_left_to_root(argv):
    assert hint(argv) == "only root can mount and unmount on Linux: run it as root on hosta"


def test_a_gate_is_no_matter_of_zfs():
    said = "zrep gate: permission denied: pool/a is not on the list of this key\n"
    assert hint(("zfs", "get", "all"), said) == (
        "if it should be allowed, run the role trust again: it writes what hosta lets this key do"
    )


def test_nothing_is_advised_where_nobody_knows():
    assert hint(("zfs", "list")) == ""
    assert hint(("zfs", "snapshot", "pool/a@one"), "out of space") == ""
