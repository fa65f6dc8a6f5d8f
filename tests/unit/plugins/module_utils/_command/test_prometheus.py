# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus' text, read back by the parsers of its own client: the lenient one, and the strict one of OpenMetrics."""

from __future__ import annotations

import re

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_strictly
from prometheus_client.parser import text_string_to_metric_families as read

from ansible_collections.zfsops.zrep.plugins.module_utils._command import prometheus

from .._core.builders import FS, HOST, NOW, PEER_FS, PEER_HOST, master, own, replica, sent
from .facts import told

WHICH = {"filesystem": FS, "tag": "zrep"}
ALONE = {
    "zrep_pair_info",
    "zrep_master",
    "zrep_last_sync_timestamp_seconds",
    "zrep_lag_seconds",
    "zrep_unsent_bytes",
    "zrep_snapshots",
    "zrep_readonly",
    "zrep_problems",
    "zrep_collected_timestamp_seconds",
}
WITH_PEER = {"zrep_peer_reachable", "zrep_split_brain"}


def samples(*pairs):
    """Labels and value of each sample, by name of the metric."""
    text = prometheus.exposition(prometheus.families(pairs, "zrep", NOW))
    assert text.endswith("\n")
    families = list(read(text))
    assert [(family.name, family.type) for family in families] == [
        (family.name, family.type) for family in read_strictly(text + "# EOF\n")
    ]
    assert {family.type for family in families} == {"gauge"}
    assert all(family.documentation.endswith(".") for family in families)
    assert len({family.name for family in families}) == len(families)
    return {family.name: [(one.labels, one.value) for one in family.samples] for family in families}


def one(found, name):
    ((labels, value),) = found[name]
    assert labels == WHICH
    return value


def test_a_master():
    found = samples(told(master(*sent(0, 1), own(2)), last_sync=NOW - 42, lag_seconds=42))
    assert set(found) == ALONE
    assert found["zrep_pair_info"] == [
        (dict(WHICH, role="master", peer_host=PEER_HOST, peer_filesystem=PEER_FS), 1),
    ]
    assert one(found, "zrep_last_sync_timestamp_seconds") == NOW - 42
    assert one(found, "zrep_lag_seconds") == 42
    assert one(found, "zrep_unsent_bytes") == 4096
    assert one(found, "zrep_snapshots") == 3
    assert one(found, "zrep_readonly") == 0
    assert found["zrep_problems"] == [(dict(WHICH, severity="error"), 0), (dict(WHICH, severity="warning"), 0)]
    assert found["zrep_collected_timestamp_seconds"] == [({"tag": "zrep"}, NOW)]


def test_a_replica_says_nothing_of_unsent_bytes():
    found = samples(told(replica(*sent(0)), filesystem=FS))
    assert set(found) == ALONE - {"zrep_unsent_bytes"}
    assert one(found, "zrep_readonly") == 1


def test_what_is_not_known_is_left_out():
    found = samples(told(master()))
    assert set(found) == ALONE - {"zrep_last_sync_timestamp_seconds", "zrep_lag_seconds", "zrep_unsent_bytes"}
    assert found["zrep_problems"][0][1] == 1


def test_no_pairs():
    assert set(samples()) == {"zrep_collected_timestamp_seconds"}


@pytest.mark.parametrize(("other", "split"), [(None, 0), ("yes", 1)])
def test_with_the_peer(other, split):
    found = samples(told(master(*sent(0)), replica(*sent(0), properties={"zrep:master": other}), asked=True))
    assert set(found) == ALONE | WITH_PEER
    assert one(found, "zrep_peer_reachable") == 1
    assert one(found, "zrep_split_brain") == split


def test_of_a_peer_that_is_away_nothing_is_said():
    found = samples(told(master(*sent(0)), asked=True, reachable=False))
    assert set(found) == ALONE | WITH_PEER - {"zrep_split_brain"}
    assert one(found, "zrep_peer_reachable") == 0


@pytest.mark.parametrize(("result", "value"), [("passed", 1), ("failed", 0)])
def test_the_last_drill(result, value):
    found = samples(told(master(*sent(0), properties={"zrep:drill": f"1650000000 {result} 5 zrep_000000"})))
    assert one(found, "zrep_last_drill_timestamp_seconds") == 1650000000
    assert one(found, "zrep_last_drill_success") == value
    assert one(found, "zrep_last_drill_age_seconds") == max(NOW - 1650000000, 0)


def test_both_sides_call_a_pair_by_one_name():
    here = told(master(*sent(0)), peer_host=f"root@{PEER_HOST}.example.org")
    there = dict(
        told(master(*sent(0))), host=PEER_HOST, filesystem=PEER_FS, peer_host=HOST, peer_filesystem=FS, role="replica"
    )
    found = samples(here, there)["zrep_master"]
    assert [(labels["pair"], value) for labels, value in found] == [
        (f"{HOST}:{FS} {PEER_HOST}:{PEER_FS}", 1),
        (f"{HOST}:{FS} {PEER_HOST}:{PEER_FS}", 0),
    ]


RUN = {"role": "master", "time": NOW - 5, "ok": True, "seconds": 1.5, "size": 8192}


def test_the_last_run():
    found = samples(told(master(*sent(0)), run=RUN))
    assert one(found, "zrep_last_run_timestamp_seconds") == NOW - 5
    assert one(found, "zrep_last_run_success") == 1
    assert one(found, "zrep_last_transfer_duration_seconds") == 1.5
    assert one(found, "zrep_last_transfer_written_bytes") == 8192
    assert one(samples(told(master(*sent(0)), run=dict(RUN, ok=False))), "zrep_last_run_success") == 0


@pytest.mark.parametrize("run", [None, dict(RUN, role="replica")], ids=["none", "before the roles changed"])
def test_nothing_is_said_of_a_run_that_was_none_of_this_role(run):
    assert set(samples(told(master(*sent(0)), run=run))) == ALONE


def test_several_pairs_share_the_head_of_a_metric():
    found = samples(told(master(*sent(0))), told(master(*sent(0)), filesystem="pool1/other"))
    assert [labels["filesystem"] for labels, _value in found["zrep_readonly"]] == [FS, "pool1/other"]


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\nb", "a\\nb", 'x\\"} 1\nzrep_fake{a="', "ü"])
def test_a_label_may_hold_anything(text):
    found = samples(told(master(*sent(0)), peer_host=text))
    assert found["zrep_pair_info"][0][0]["peer_host"] == text


def test_names_follow_the_rules():
    """prometheus.io/docs/practices/naming: a prefix, base units at the end, no total for what is no counter."""
    for family in prometheus.families([told(master(*sent(0)))], "zrep", NOW):
        assert re.fullmatch(r"zrep_[a-z]+(_[a-z]+)*", family.name)
        assert not re.search(r"_(total|count|sum|bucket|ms|minutes|percent|kilobytes|gauge)$", family.name)
