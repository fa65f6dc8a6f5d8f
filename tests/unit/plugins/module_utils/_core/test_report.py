# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people and programs are told."""

from __future__ import annotations

import json

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import report
from ansible_collections.zfsops.zrep.plugins.module_utils._core.pairing import PairGoal, plan_present
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE, PEER, State
from ansible_collections.zfsops.zrep.plugins.module_utils._core.steps import Mark
from ansible_collections.zfsops.zrep.plugins.module_utils._core.syncing import SyncGoal, plan_sync

from .builders import (
    BEGIN,
    FS,
    HOST,
    NOW,
    PEER_FS,
    PEER_HOST,
    SETTINGS,
    dataset,
    guid_of,
    master,
    observed,
    own,
    replica,
    sent,
    side,
    time_of,
)
from .builders import PEER as PEER_ENDPOINT


def synced():
    seen = observed(master(*sent(0, 1)), replica(*sent(0, 1)))
    return seen, plan_sync(seen, SyncGoal(NOW), SETTINGS)


def test_actions_name_host_target_and_reason():
    seen, plan = synced()
    found = [report.action(step, seen) for step in plan.steps]
    assert {action["host"] for action in found} == {HOST, PEER_HOST}
    assert [action["action"] for action in found] == ["snapshot", "send", "mark_sent", "mark_sent"]
    assert all(action["why"] and action["what"] for action in found)


def test_an_action_of_the_peer_names_the_peer():
    seen = observed(master())
    assert report.action(Mark(PEER, f"{PEER_FS}@x", "why"), seen)["host"] == PEER_HOST
    assert report.action(Mark(HERE, f"{FS}@x", "why"), seen)["host"] == HOST


def test_the_difference_shows_both_sides_before_and_after():
    seen, plan = synced()
    here, there = report.difference(seen, plan.before, plan.after)
    assert here["before_header"] == here["after_header"] == f"{HOST}:{FS}"
    assert there["before_header"] == f"{PEER_HOST}:{PEER_FS}"
    assert here["before"]["snapshots"] == [own(0) + " sent", own(1) + " sent"]
    assert here["after"]["snapshots"] == [own(0) + " sent", own(1) + " sent", own(2) + " sent"]


def test_the_difference_has_neither_times_nor_guids():
    seen = observed(dataset(FS, *sent(0)))
    plan = plan_present(seen, PairGoal(PEER_ENDPOINT, NOW), SETTINGS)
    for state in ((plan.before, plan.after), (synced()[1].before, synced()[1].after)):
        text = json.dumps(report.difference(seen, *state))
        assert "lock-" not in text
        for number in (NOW, BEGIN, time_of(own(1)), guid_of(own(0)), guid_of(own(1)), guid_of(FS)):
            assert str(number) not in text


def test_no_difference_where_only_time_passed():
    seen = observed(master(*sent(0), written=0), replica(*sent(0)))
    plan = plan_sync(seen, SyncGoal(NOW, only_if_changed=True), SETTINGS)
    assert plan.steps
    assert report.difference(seen, plan.before, plan.after) == []


def test_the_difference_of_what_is_new():
    seen = observed(dataset(FS))
    plan = plan_present(seen, PairGoal(PEER_ENDPOINT, NOW), SETTINGS)
    here, there = report.difference(seen, plan.before, plan.after)
    assert there["before"] == {}
    assert there["after"]["readonly"] == "on"
    assert here["after"]["zrep:master"] == "yes"
    assert "zrep:master" not in here["before"]


def test_inherited_properties_are_not_shown():
    before = State(dataset(FS, properties={"zrep:dest-fs": ("x", "inherited")}), None)
    after = State(dataset(FS), None)
    assert report.difference(observed(None), before, after) == []


def test_facts_of_a_master():
    facts = report.pair_facts(observed(master(*sent(0), own(1), written=7)), NOW)
    assert facts["role"] == "master"
    assert (facts["filesystem"], facts["host"], facts["tag"]) == (FS, HOST, "zrep")
    assert (facts["peer_host"], facts["peer_filesystem"]) == (PEER_HOST, PEER_FS)
    assert facts["savecount"] == 5
    assert facts["last_snapshot"] == own(0)
    assert facts["last_sync"] == BEGIN
    assert facts["last_sync_iso"] == "2020-09-13T12:26:40Z"
    assert facts["lag_seconds"] == NOW - BEGIN
    assert facts["unsent_bytes"] == 7
    assert facts["unsent_snapshots"] == [own(1)]
    assert [found["name"] for found in facts["snapshots"]] == [own(0), own(1)]
    assert facts["snapshots"][0]["guid"] == str(guid_of(own(0)))


def test_facts_of_a_replica():
    facts = report.side_facts(side(replica(own(0) + "*!"), PEER_HOST), NOW)
    assert (facts["role"], facts["readonly"], facts["mounted"]) == ("replica", True, False)
    assert facts["unsent_bytes"] is None
    assert facts["snapshots"][0]["held"] is True


def test_facts_of_nothing():
    assert report.pair_facts(observed(None), NOW)["role"] == "none"
    facts = report.pair_facts(observed(dataset(FS)), NOW)
    assert (facts["role"], facts["savecount"], facts["last_sync"], facts["lag_seconds"]) == ("none", None, None, None)
    assert report.peer_facts(observed(master()), NOW) == {"exists": False}


def test_nonsense_does_not_keep_facts_from_being_told():
    facts = report.pair_facts(observed(master(properties={"zrep:savecount": "x", "zrep:dest-host": "a b"})), NOW)
    assert facts["savecount"] is None
    assert facts["peer_host"] == PEER_HOST


def test_a_clock_that_is_behind_makes_no_negative_lag():
    assert report.pair_facts(observed(master(*sent(0))), BEGIN - 100)["lag_seconds"] == 0


def test_facts_of_the_peer_and_what_is_common():
    seen = observed(master(*sent(0), own(1) + "+3", written=4), replica(own(0), "mine+5", written=6))
    common = report.peer_facts(seen, NOW)["common_snapshot"]
    assert common["name"] == common["peer_name"] == own(0)
    assert (common["later_here"], common["later_there"]) == ([own(1)], ["mine"])
    assert (common["bytes_since_here"], common["bytes_since_there"]) == (7, 11)
    assert report.peer_facts(observed(master(own(0)), replica()), NOW)["common_snapshot"] is None


def test_a_predicted_snapshot_has_no_made_up_guid():
    seen, plan = synced()
    newest = report.pair_facts(seen, NOW, plan.after)["snapshots"][-1]
    assert newest == {"name": own(2), "guid": None, "created": None, "sent": NOW, "held": False}


def test_times():
    assert report.iso(None) is None
    assert report.iso(0) == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize("moment", [10**12, 10**17, 10**30])
def test_a_time_beyond_all_calendars_is_no_crash(moment):
    """A mark is a property, so it may hold any number."""
    seen = observed(master())
    report.side_facts(side(Mark(HERE, f"{FS}@{own(0)}", "", sent=moment).apply(State(master(own(0)), None)).here), NOW)
    assert seen


def test_facts_are_plain_data():
    seen, plan = synced()
    json.dumps(report.pair_facts(seen, NOW, plan.after))
    json.dumps(report.peer_facts(seen, NOW))
