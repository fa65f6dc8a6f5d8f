# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After everything was set up and the masters have moved."""

from __future__ import annotations

import pytest

ROLES = {"host1": {"prodfs": "replica", "home": "master"}, "host2": {"prodfs": "master", "home": "replica"}}


def name(host):
    return host.check_output("hostname")


def test_the_command_is_there_for_everybody(host):
    command = host.file("/usr/local/bin/zrep")
    assert command.mode == 0o755
    assert command.user == "root"
    assert host.check_output("zrep version").startswith("zrep ")


def test_each_side_has_the_role_that_it_moved_to(host):
    for pair, role in ROLES[name(host)].items():
        value = host.check_output("zfs get -H -o value -s local zrep:master pool%s/%s", name(host)[-1], pair)
        assert value == ("yes" if role == "master" else "")


@pytest.mark.parametrize("pair", ["prodfs", "home"])
def test_what_was_written_before_and_after_is_on_both(host, pair):
    place = f"/pool{name(host)[-1]}/{pair}"
    assert host.file(f"{place}/file").content_string == f"{pair}\n"
    assert host.file(f"{place}/after").content_string == "after the move\n"


def test_all_is_well(host):
    done = host.run("zrep doctor")
    assert done.rc == 0, done.stdout + done.stderr


def test_cron_has_the_jobs(host):
    jobs = host.file("/etc/cron.d/zrep")
    assert jobs.mode == 0o644
    assert "* * * * *" in jobs.content_string
    assert "*/5 * * * *" in jobs.content_string
    assert host.file("/etc/cron.d/zrep-metrics").exists


def test_the_key_opens_no_shell(host):
    lines = host.file("/root/.ssh/authorized_keys").content_string.splitlines()
    keys = [line for line in lines if line and not line.startswith("#") and "zrep" in line]
    assert keys
    assert all("restrict," in line and "command=" in line for line in keys)
    other = "host2" if name(host) == "host1" else "host1"
    assert host.run("ssh -F /etc/zrep/ssh/config %s cat /etc/shadow", other).rc != 0
