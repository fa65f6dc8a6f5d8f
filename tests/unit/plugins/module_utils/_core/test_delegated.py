# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import zfs
from ansible_collections.zfsops.zrep.plugins.module_utils._core.delegated import is_left_out, took_effect
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import CommandFailed, Denied, Unreachable
from ansible_collections.zfsops.zrep.plugins.module_utils._core.freezing import Mount
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import Features
from ansible_collections.zfsops.zrep.plugins.module_utils._core.shell import Completed
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE
from ansible_collections.zfsops.zrep.plugins.module_utils._core.steps import Inherit

SET = zfs.set_properties({"readonly": "on"}, ["pool/a"], Features())[0]
OFF = zfs.set_properties({"readonly": "off"}, ["pool/a"], Features())[0]
INHERIT = zfs.inherit(["readonly"], ["pool/a", "pool/b"])[0]
# As OpenZFS 2.3.9 says it.
MOUNT = "cannot set mount attributes for 'pool/a': mount failed\n"
SET_SAYS = MOUNT + "property may be set but unable to remount filesystem\n"


class Host:
    """Answers what its datasets have."""

    host = "hosta"

    def __init__(self, *answers):
        self.answers = list(answers)

    def run(self, argv):
        assert argv[:2] == ("zfs", "get")
        answer = self.answers.pop(0)
        return Completed(0 if answer else 1, answer, "")


@pytest.mark.parametrize(
    ("argv", "said", "answers", "expected"),
    [
        (SET, SET_SAYS, ["on\tlocal\n"], ""),
        (OFF, SET_SAYS, ["off\tlocal\n"], ""),
        (INHERIT, MOUNT, ["off\tdefault\n", "on\tinherited from pool\n"], ""),
        (
            INHERIT,
            MOUNT,
            ["off\tdefault\n", "on\ttemporary\n"],
            "mounted read-only until root runs on hosta: zfs unmount pool/b && zfs mount pool/b",
        ),
        # It is as it was, it can still be written, or nobody knows.
        (SET, SET_SAYS, ["off\tdefault\n"], None),
        (SET, SET_SAYS, ["off\ttemporary\n"], None),
        (SET, SET_SAYS, [""], None),
        # Something else went wrong, or something else was asked for.
        (SET, MOUNT + "cannot set property for 'pool/a': permission denied\n", [], None),
        (SET, "", [], None),
        (zfs.inherit(["mountpoint"], ["pool/a"])[0], MOUNT, [], None),
        (zfs.mount("pool/a"), MOUNT, [], None),
    ],
)
def test_what_a_refused_remount_leaves(argv, said, answers, expected):
    assert took_effect(Host(*answers), argv, Completed(1, "", said)) == expected


def test_only_to_mount_is_left_to_root():
    denied = zfs.failure(zfs.mount("pool/a"), 1, "cannot mount 'pool/a': Insufficient privileges", "hosta")
    assert isinstance(denied, Denied)
    mount, inherit = Mount(HERE, "pool/a", "why"), Inherit(HERE, "pool/a", "why", properties=("readonly",))
    assert is_left_out(mount, denied)
    assert not is_left_out(inherit, denied)
    assert not is_left_out(mount, CommandFailed("mountpoint is not empty"))
    assert not is_left_out(mount, Unreachable("gone"))
