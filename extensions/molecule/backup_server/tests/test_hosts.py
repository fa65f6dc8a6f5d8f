# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After the server has fetched what is new."""

from __future__ import annotations

import pytest

CLIENTS = ["client1", "client2"]


@pytest.fixture
def is_server(host):
    return host.check_output("hostname") == "backup"


@pytest.mark.parametrize("client", CLIENTS)
def test_the_server_has_what_the_clients_wrote(host, is_server, client):
    place = f"/tank/{client}" if is_server else "/data/fs"
    assert host.file(f"{place}/later").content_string == "later\n"


def test_the_clients_stay_masters(host, is_server):
    for dataset in [f"tank/{client}" for client in CLIENTS] if is_server else ["data/fs"]:
        value = host.check_output("zfs get -H -o value -s local zrep:master %s", dataset)
        assert value == ("" if is_server else "yes")


def test_only_the_server_has_jobs(host, is_server):
    assert host.file("/etc/cron.d/zrep").exists == is_server


def test_no_client_gets_in_anywhere(host, is_server):
    keys = host.run("ls /etc/zrep/ssh/keys").stdout.split()
    admitted = host.run("grep -v ^# /root/.ssh/authorized_keys").stdout.split("\n")
    ours = [line for line in admitted if "zrep gate" in line]
    assert len(keys) == (4 if is_server else 0)
    assert len(ours) == (0 if is_server else 1)


@pytest.mark.parametrize("client", CLIENTS)
def test_the_server_can_read_and_nothing_else(host, is_server, client):
    if not is_server:
        pytest.skip("it cannot connect at all")
    for request in ("zfs destroy data/fs", "zfs rollback data/fs@zrep_000000", "zfs set readonly=on data/fs", "sh"):
        refused = host.run("ssh -F /etc/zrep/ssh/config %s %s", client, request)
        assert refused.rc == 77, request
    assert host.run("ssh -F /etc/zrep/ssh/config %s 'zfs list -H -o name data/fs'", client).stdout == "data/fs\n"


def test_all_is_well(host, is_server):
    if is_server:
        done = host.run("zrep doctor")
        assert done.rc == 0, done.stdout + done.stderr
