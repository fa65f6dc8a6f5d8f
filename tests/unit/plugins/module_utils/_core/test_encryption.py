# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw streams: chosen by what the replica has, never mixed with plain ones, and what stands still without a key.

What zfs shows here is what OpenZFS 2.3 was seen to show.
"""

from __future__ import annotations

import ast
import dataclasses
import pathlib

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import encryption, errors
from ansible_collections.zfsops.zrep.plugins.module_utils._core.creating import PairGoal
from ansible_collections.zfsops.zrep.plugins.module_utils._core.drilling import plan_cloned
from ansible_collections.zfsops.zrep.plugins.module_utils._core.encryption import asks_for_raw, served_options
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import Features
from ansible_collections.zfsops.zrep.plugins.module_utils._core.moving import plan_catch_up
from ansible_collections.zfsops.zrep.plugins.module_utils._core.pairing import plan_present
from ansible_collections.zfsops.zrep.plugins.module_utils._core.partial import Resume
from ansible_collections.zfsops.zrep.plugins.module_utils._core.repointing import plan_repoint
from ansible_collections.zfsops.zrep.plugins.module_utils._core.returning import plan_copy
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import PEER as THERE
from ansible_collections.zfsops.zrep.plugins.module_utils._core.streams import Copy, Send
from ansible_collections.zfsops.zrep.plugins.module_utils._core.swapping import MASTER, End, MoveGoal, mount
from ansible_collections.zfsops.zrep.plugins.module_utils._core.syncing import SyncGoal, plan_sync
from ansible_collections.zfsops.zrep.plugins.module_utils._core.trees import parts

from .builders import (
    HOST,
    MODERN,
    NOW,
    PEER,
    PEER_HOST,
    SETTINGS,
    TREE,
    dataset,
    demoted,
    master,
    observed_from_replica,
    own,
    replica,
    seen_at,
    sent,
    taken_over,
    with_below,
)
from .test_repointing import SETTINGS as THREE_SETTINGS
from .test_repointing import three
from .tokens import BOOLEAN, encoded, number, pair, token
from .tokens import packed as token_of

CRYPTIC = Features(MODERN.properties | {"keystatus", "ivsetguid"})
RAW_ASKED = dataclasses.replace(SETTINGS, send_options=("-Lw",))


def encrypted(found, ivset, key="available"):
    """The dataset as encrypted; the IV sets of its snapshots are those of equal numbers elsewhere."""
    properties = dict(found.properties, keystatus=found.properties["type"]._replace(value=key, source="none"))
    made = tuple(dataclasses.replace(one, ivset=ivset + number) for number, one in enumerate(found.snapshots))
    return dataclasses.replace(found, properties=properties, snapshots=made)


def options_of(here, there, settings=SETTINGS):
    plan = plan_sync(seen_at(HOST, here, there, CRYPTIC), SyncGoal(NOW), settings)
    return next(step.options for step in plan.steps if isinstance(step, Send))


READS_CODE = pytest.mark.skipif(not hasattr(ast, "unparse"), reason="reads the code, with what Python 3.9 has for it")
SOURCE = encrypted(master(*sent(0, 1)), 10)
BY_RAW = encrypted(replica(*sent(0, 1)), 10, "unavailable")
BELOW_ENCRYPTED = encrypted(replica(*sent(0, 1)), 70)
PLAIN = replica(*sent(0, 1))


@pytest.mark.parametrize(
    ("there", "options"), [(BY_RAW, ("-w",)), (PLAIN, ()), (BELOW_ENCRYPTED, ())], ids=["raw", "plain", "below"]
)
def test_a_replica_goes_on_as_it_came(there, options):
    assert options_of(SOURCE, there) == options


def test_raw_needs_no_key_and_is_not_asked_for_twice():
    locked = encrypted(master(*sent(0, 1)), 10, "unavailable")
    assert options_of(locked, BY_RAW) == ("-w",)
    assert options_of(locked, BY_RAW, RAW_ASKED) == ("-Lw",)


@pytest.mark.parametrize("there", [PLAIN, BELOW_ENCRYPTED])
def test_raw_and_plain_are_never_mixed(there):
    with pytest.raises(errors.BadInput) as caught:
        options_of(SOURCE, there, RAW_ASKED)
    assert caught.value.left == "nothing was changed"
    assert caught.value.host == PEER_HOST


def test_without_encryption_options_are_what_they_are():
    assert options_of(master(*sent(0, 1)), PLAIN, RAW_ASKED) == ("-Lw",)


@pytest.mark.parametrize(
    ("here", "there", "host"),
    [
        (encrypted(master(*sent(0, 1)), 10, "unavailable"), PLAIN, HOST),
        (SOURCE, encrypted(replica(*sent(0, 1)), 70, "unavailable"), PEER_HOST),
    ],
)
def test_a_plain_stream_needs_the_keys(here, there, host):
    with pytest.raises(errors.KeyAbsent) as caught:
        options_of(here, there)
    assert caught.value.host == host
    assert "zfs load-key" in caught.value.hint


def observed_without_replica(here, features):
    both = seen_at(HOST, here, PLAIN, CRYPTIC)
    return dataclasses.replace(both, there=None, there_parent=dataset("pool2"), features_there=features)


def test_a_first_copy_of_an_encrypted_source_is_raw():
    here = encrypted(dataset("pool1/data"), 10)
    plan = plan_present(observed_without_replica(here, CRYPTIC), PairGoal(PEER, NOW), SETTINGS)
    assert next(step.options for step in plan.steps if isinstance(step, Send)) == ("-w",)


def test_it_is_not_sent_where_nobody_could_encrypt_it():
    seen = observed_without_replica(SOURCE, MODERN)
    with pytest.raises(errors.Raw):
        plan_present(seen, PairGoal(PEER, NOW), SETTINGS)


@pytest.mark.parametrize(
    ("options", "raw"), [((), False), (("-Lec",), False), (("-w",), True), (("-cw",), True), (("--raw",), True)]
)
def test_who_asks_for_raw(options, raw):
    assert asks_for_raw(options) is raw


def test_a_planned_move_says_that_the_key_is_absent():
    with pytest.raises(errors.KeyAbsent) as caught:
        plan_catch_up(seen_at(PEER_HOST, SOURCE, BY_RAW, CRYPTIC), MoveGoal(MASTER, NOW), SETTINGS)
    assert caught.value.host == PEER_HOST
    assert "zfs load-key" in caught.value.hint


def test_what_is_locked_is_not_mounted():
    for key, steps in (("available", 1), ("unavailable", 0)):
        found = encrypted(replica(*sent(0, 1), properties={"canmount": "on", "mountpoint": "/x"}), 10, key)
        side = seen_at(HOST, SOURCE, found, CRYPTIC).side_there
        assert len(mount(End(side, THERE, CRYPTIC, HOST))) == steps


def test_what_is_preserved_is_copied_raw():
    found = encrypted(replica(*sent(0, 1), "mine+5"), 10, "unavailable")
    side = seen_at(HOST, SOURCE, found, CRYPTIC).side_there
    end = End(side, THERE, CRYPTIC, HOST)
    steps, _name = plan_copy(
        end, parts(side, side.by_short(own(1))), MoveGoal(MASTER, NOW), {"pool2": dataset("pool2")}
    )
    assert [step.options for step in steps if isinstance(step, Copy)] == [("-w",)]


def test_the_way_back_is_raw_too():
    old, new = encrypted(demoted(*sent(0, 1)), 10), encrypted(taken_over(*sent(0, 1)), 10)
    plan = plan_sync(seen_at(PEER_HOST, old, new, CRYPTIC), SyncGoal(NOW), SETTINGS)
    assert next(step.options for step in plan.steps if isinstance(step, Send)) == ("-w",)


KNOWN = {"keystatus": ("-", "none"), "receive_resume_token": ("-", "none")}


@pytest.mark.parametrize(("come", "options"), [(10, ("-w",)), (70, ()), (None, ("-w",))], ids=["raw", "plain", "new"])
def test_each_dataset_of_a_tree_goes_its_own_way(come, options):
    root = {"properties": {**TREE, **KNOWN}}
    here, there = (with_below(made(*sent(0), **root), x=[own(0)]) for made in (master, replica))
    here = here.put(encrypted(here.find("pool1/data/x"), 10))
    copy = there.find(f"{there.name}/x")
    # GUIDs are equal below equal names; the new one is there on one side alone.
    there = with_below(replica(*sent(0), **root)) if come is None else there.put(encrypted(copy, come))
    plan = plan_sync(seen_at(HOST, here, there, CRYPTIC), SyncGoal(NOW), SETTINGS)
    found = {step.target.partition("@")[0]: step.options for step in plan.steps if isinstance(step, Send)}
    assert found == {"pool1/data": (), "pool1/data/x": options}


def test_what_leads_to_a_new_master_goes_on_as_it_came():
    seen = three(["dr_000000*", "a_0", "dr_000001*+5", "a_1+5"], ["a_0", "a_1"], ["dr_000000*", "dr_000001*+5"])
    old = dataclasses.replace(seen.old, dataset=encrypted(seen.old.dataset, 10))
    by_short = {found.short: found.ivset for found in old.snapshots}
    copies = tuple(dataclasses.replace(found, ivset=by_short[found.short]) for found in seen.dest.snapshots)
    dest = dataclasses.replace(seen.dest, dataset=dataclasses.replace(seen.dest.dataset, snapshots=copies))
    bridge = plan_repoint(dataclasses.replace(seen, old=old, dest=dest), NOW, THREE_SETTINGS).bridge
    assert [step.options for step in bridge if isinstance(step, Send)] == [("-w",)]


# After a stream that was interrupted


def text_of(target, base, raw):
    """The token of an interrupted stream by GUIDs."""
    found = [number("fromguid", base), number("toguid", target)] + ([pair("rawok", BOOLEAN, b"")] if raw else [])
    return encoded(token_of(*found))


def streams(plan):
    return [step for step in plan.steps if isinstance(step, Send)]


@pytest.mark.parametrize(("come", "options"), [(10, ("-w",)), (70, ()), (None, ())], ids=["raw", "below", "plain"])
def test_what_follows_a_rest_goes_as_the_replica_came(come, options):
    there = replica(*sent(0), properties=token(own(1), own(0), raw=come == 10))
    here = encrypted(master(*sent(0), own(1)), 10)
    plan = plan_sync(
        seen_at(HOST, here, there if come is None else encrypted(there, come), CRYPTIC), SyncGoal(NOW), SETTINGS
    )
    rest, new = streams(plan)
    assert isinstance(rest, Resume)
    assert new.options == options


@pytest.mark.parametrize(("come", "options"), [(10, ("-w",)), (70, ())], ids=["raw", "plain"])
def test_what_follows_a_rest_below_goes_as_that_dataset_came(come, options):
    root = {"properties": {**TREE, **KNOWN}}
    here = with_below(master(*sent(0), own(1), **root), x=[own(0), own(1)])
    there = with_below(replica(*sent(0), **root), x=[own(0)])
    here = here.put(encrypted(here.find("pool1/data/x"), 10))
    copy = encrypted(there.find(f"{there.name}/x"), come)
    guids = [found.guid for found in here.find("pool1/data/x").snapshots]
    partial = {"receive_resume_token": (text_of(guids[1], guids[0], come == 10), "none")}
    made = dataset(copy.name, properties=partial).properties["receive_resume_token"]
    there = there.put(dataclasses.replace(copy, properties={**copy.properties, "receive_resume_token": made}))
    plan = plan_sync(seen_at(HOST, here, there, CRYPTIC), SyncGoal(NOW), SETTINGS)
    below = [step for step in streams(plan) if step.target.startswith("pool1/data/x@")]
    assert [type(step) for step in below] == [Resume, Send]
    assert below[1].options == options


# Nothing is left out


CORE = pathlib.Path(encryption.__file__).parent
DECIDED = {"first_options", "next_options", "served_options", "copy_options"}
STREAMS = {"Send", "Copy", "zfs.send", "zfs.copy"}
TAKEN_OVER = {
    # What was decided when the step was made.
    ("streams.py", "self.options"),
    # Copies of old versions, which know no encryption.
    ("streams.py", "zfs.copy(self.target, None, self.copy)"),
}


def calls(tree):
    return [found for found in ast.walk(tree) if isinstance(found, ast.Call)]


def named(node):
    return ast.unparse(node)


def modules():
    return [(path.name, ast.parse(path.read_text())) for path in sorted(CORE.glob("*.py"))]


@READS_CODE
def test_the_options_of_users_reach_a_stream_only_through_the_decision():
    allowed = DECIDED | {"asks_for_raw"}
    for name, tree in modules():
        inside = {node for call in calls(tree) if named(call.func) in allowed for node in ast.walk(call)}
        stray = [
            node.lineno
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and named(node) == "settings.send_options" and node not in inside
        ]
        assert not stray, f"{name}:{stray} uses send_options without encryption.py"


@READS_CODE
def test_every_stream_says_how_it_is_written():
    found = 0
    for name, tree in modules():
        for call in calls(tree):
            if named(call.func) not in STREAMS or (name, named(call)) in TAKEN_OVER:
                continue
            found += 1
            given = [named(word.value) for word in call.keywords if word.arg == "options"]
            given += [named(arg) for arg in call.args]
            assert any("options" in text for text in given), f"{name}:{call.lineno} leaves it open"
    assert found >= 8


def test_a_served_stream_that_is_not_raw_needs_the_keys():
    locked = encrypted(master(*sent(0, 1)), 10, "unavailable")
    side = seen_at(HOST, locked, PLAIN, CRYPTIC).side_here
    with pytest.raises(errors.KeyAbsent) as caught:
        served_options(side, ())
    assert "ZREP_SEND_FLAGS=-w" in caught.value.hint
    assert served_options(side, ("-w",)) == ("-w",)


def test_the_key_of_a_child_is_needed_to_serve_a_tree():
    here = with_below(master(*sent(0), properties=TREE), x=[own(0)])
    here = here.put(encrypted(here.find("pool1/data/x"), 10, "unavailable"))
    with pytest.raises(errors.KeyAbsent) as caught:
        served_options(seen_at(HOST, here, PLAIN, CRYPTIC).side_here, ())
    assert caught.value.dataset == "pool1/data/x"


def test_a_drill_says_that_the_key_is_absent():
    found = encrypted(replica(*sent(0, 1)), 10, "unavailable")
    seen = dataclasses.replace(observed_from_replica(found), asked=False)
    with pytest.raises(errors.KeyAbsent) as caught:
        plan_cloned(seen, f"{found.name}_drill", None, None, None, dataset("pool2"))
    assert f"zfs load-key {found.name}" in caught.value.hint
    assert caught.value.left == "nothing was changed"
