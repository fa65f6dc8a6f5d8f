# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of each host of declared pairs."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.zfsops.zrep.plugins.filter.schedule import schedule, times


def pair(name, **more):
    return {
        "name": name,
        "master": {"host": "host1", "filesystem": f"pool1/{name}"},
        "replica": {"host": "host2", "filesystem": f"pool2/{name}"},
        **more,
    }


def said(jobs):
    return [" ".join(job["arguments"]) for job in jobs]


def test_both_hosts_have_one_job_for_all_that_go_together():
    pairs = [pair("a"), pair("b"), pair("c", tag="dc"), pair("d", interval="5min", max_lag=60)]
    assert said(schedule(pairs, "host1")) == [
        "-t zrep sync --if-master -q 3600 pool1/a pool1/b",
        "-t dc sync --if-master -q 3600 pool1/c",
        "-t zrep sync --if-master -q 60 pool1/d",
    ]
    assert said(schedule(pairs, "host2"))[0] == "-t zrep sync --if-master -q 3600 pool2/a pool2/b"
    assert schedule(pairs, "elsewhere") == []
    assert len({job["name"] for job in schedule(pairs, "host1")}) == 3


def test_of_a_pulled_pair_only_the_host_of_the_replica_works():
    pairs = [pair("a", direction="pull")]
    assert schedule(pairs, "host1") == []
    assert said(schedule(pairs, "host2")) == [
        "-t zrep sync --if-master -q 3600 pool2/a",
        "-t zrep refresh --if-replica -q 3600 pool2/a",
    ]


@pytest.mark.parametrize(
    ("interval", "cron", "calendar"),
    [
        ("1min", "* * * * *", "*-*-* *:0/1:00"),
        ("5 minutes", "*/5 * * * *", "*-*-* *:0/5:00"),
        ("60min", "0 * * * *", "*-*-* *:00:00"),
        ("1h", "0 * * * *", "*-*-* 0/1:00:00"),
        ("6h", "0 */6 * * *", "*-*-* 0/6:00:00"),
        ("1d", "0 0 * * *", "*-*-* 00:00:00"),
        ("*/10 8-18 * * mon-fri", "*/10 8-18 * * mon-fri", ""),
    ],
)
def test_intervals_for_cron_and_for_systemd(interval, cron, calendar):
    assert times(interval) == (cron, calendar)


@pytest.mark.parametrize(
    "interval", ["", "0min", "7min", "5h", "2d", "often", "* * * *", "* * * * %", "* * * * *; id", "1min\n* * * * *"]
)
def test_nonsense_is_refused(interval):
    with pytest.raises(AnsibleFilterError, match="cannot be used"):
        times(interval)


def test_the_delay_of_a_host_is_the_same_each_time_and_in_bounds():
    hosts = [f"host{number}" for number in range(50)]
    pairs = [pair("a", master={"host": host, "filesystem": "p/a"}) for host in hosts]
    delays = [schedule(pairs, host, jitter=20)[0]["delay"] for host in hosts]
    assert delays == [schedule(pairs, host, jitter=20)[0]["delay"] for host in hosts]
    assert set(delays) <= set(range(21))
    assert len(set(delays)) > 5
    assert schedule(pairs, "host1")[0]["delay"] == 0


@pytest.mark.parametrize("pairs", [5, [{}], [{"master": 1}], None])
def test_what_are_no_pairs(pairs):
    with pytest.raises(AnsibleFilterError, match="zrep_pairs"):
        schedule(pairs, "host1")
