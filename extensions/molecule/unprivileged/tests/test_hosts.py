# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After everything was set up for a user who is not root, and that user has moved the master."""

from __future__ import annotations

import pytest


@pytest.fixture
def filesystem(host):
    return {"host1": "pool1/prodfs", "host2": "pool2/prodfs"}[host.check_output("hostname")]


def test_the_user_has_permissions_and_no_password(host, filesystem):
    assert host.user("zrep").password in ("*", "!", "!*")
    allowed = host.check_output("zfs allow %s", filesystem)
    assert "user zrep " in allowed
    assert "mount,mountpoint,readonly,receive" in allowed


def test_its_keys_are_its_own(host):
    keys = host.file("/etc/zrep/ssh/keys")
    assert keys.user == "zrep"
    assert keys.mode == 0o700
    line = host.check_output("grep gate /var/lib/zrep/.ssh/authorized_keys")
    assert line.startswith("restrict,")
    assert not host.file("/root/.ssh/authorized_keys").exists or not host.file("/root/.ssh/authorized_keys").contains(
        "gate"
    )


def test_cron_runs_as_that_user(host):
    assert " zrep said=" in host.file("/etc/cron.d/zrep").content_string


def test_each_side_has_the_role_that_it_moved_to(host, filesystem):
    value = host.check_output("zfs get -H -o value -s local zrep:master %s", filesystem)
    assert value == ("yes" if filesystem == "pool2/prodfs" else "")


def test_what_was_written_after_the_move_is_on_both(host, filesystem):
    assert host.file(f"/{filesystem}/after").content_string == "after the move\n"


def test_all_is_well(host):
    done = host.run("runuser -u zrep -- zrep doctor")
    assert done.rc == 0, done.stdout + done.stderr
