# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of any state, followed step by step: what holds wherever a run is killed.

States are made by hypothesis, plans are carried out by ``predict``. What is checked are the promises of the design:

1. a second run has nothing to do;
2. from every step at which a run can be killed the same call reaches the goal;
3. without force nothing is thrown away but surplus snapshots of the pair's own tag;
4. what both sides have in common is never destroyed.
"""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.zfsops.zrep.plugins.module_utils._core import names
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import Diverged, PartialReceive
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import newest_common
from ansible_collections.zfsops.zrep.plugins.module_utils._core.pairing import PairGoal, plan_present
from ansible_collections.zfsops.zrep.plugins.module_utils._core.plan import predict
from ansible_collections.zfsops.zrep.plugins.module_utils._core.snapshots import plan_expire
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE
from ansible_collections.zfsops.zrep.plugins.module_utils._core.steps import (
    Destroy,
    Mark,
    MoveAside,
    Rollback,
)
from ansible_collections.zfsops.zrep.plugins.module_utils._core.streams import Send
from ansible_collections.zfsops.zrep.plugins.module_utils._core.syncing import SyncGoal, plan_sync

from .builders import (
    FS,
    MODERN,
    NOW,
    OLD,
    PEER,
    PEER_FS,
    PEER_HOST,
    SETTINGS,
    dataset,
    guid_of,
    later,
    master,
    observed,
    own,
    replica,
    side,
)
from .tokens import token

LONG = 10**9
"""Seconds; a max_age that every sync of these tests is within."""


@st.composite
def histories(draw):
    """Words for the snapshots of a master and of a replica that can take a stream from it.

    The replica holds some of what the master has, up to a base; there its own snapshots may follow. Marks and names
    are as runs leave them that were killed or failed anywhere: on one side, on both or on neither, with or without
    the suffix of what could not be sent.
    """
    serial = 0
    here, there = [], []
    length = draw(st.integers(1, 8))
    base = draw(st.integers(0, length - 1))
    for position in range(length):
        if draw(st.integers(0, 3)) == 0:
            word = f"daily-{position}"
            here.append(word + draw(st.sampled_from(["", "!", "+5"])))
            if position == base or (position < base and draw(st.booleans())):
                there.append(word)
            continue
        identity = own(serial)
        serial += 1
        unsent = draw(st.integers(0, 3)) == 0
        name = identity + names.UNSENT if unsent else identity
        # A mark here without one there only comes from the first copy of the script; the base may lack both.
        marks = draw(st.sampled_from([("", ""), ("", "*"), ("*", "*"), ("*", "")])) if position <= base else ("", "")
        more = draw(st.sampled_from(["", "", "!", "+7"]))
        here.append(f"{name}={identity}{'' if unsent else marks[0]}{more}")
        if position == base or (position < base and draw(st.booleans())):
            # With -I it travels under the name that it has by then; a stream in doubt has brought it under its own.
            travelled = name if draw(st.booleans()) else identity
            there.append(f"{travelled}={identity}{marks[1] if travelled == identity else ''}")
    return here, there


COUNTS = st.sampled_from(["1", "2", "3", "5"])


@st.composite
def pairs(draw, theirs=False):
    """Pairs that can be synced, or with ``theirs`` pairs whose replica may have content of its own."""
    here, there = draw(histories())
    if theirs:
        there += draw(st.lists(st.sampled_from(["mine-1+9", "mine-2", "mine-3+1"]), unique=True, max_size=2))
    sizes = st.sampled_from([0, 4096])
    features = draw(st.sampled_from([MODERN, OLD]))
    return observed(
        master(*here, savecount=draw(COUNTS), written=draw(sizes)),
        replica(
            *there,
            savecount=draw(COUNTS),
            written=draw(sizes) if theirs else 0,
            properties=draw(interrupted(here)) if features.modern else {},
        ),
        features=features,
    )


@st.composite
def interrupted(draw, here):
    """Maybe what an interrupted receive has left: of any snapshot from any other one, or of one that is gone."""
    identities = [word.rstrip("*!").split("+")[0].rpartition("=")[2].rstrip("*!") for word in here]
    if draw(st.booleans()):
        return {}
    return token(draw(st.sampled_from([*identities, "gone"])), draw(st.sampled_from([*identities, None])))


@st.composite
def goals(draw):
    return SyncGoal(
        NOW,
        only_if_changed=draw(st.booleans()),
        send_only=draw(st.booleans()),
        expire=draw(st.booleans()),
    )


def in_step(state, both_marked=True):
    """The replica ends where the master was last sent, both marked, and there is one master."""
    here, there = side(state.here), side(state.there, PEER_HOST)
    last = here.last_sent
    found = there.by_guid(last.guid) if last else None
    assert here.is_master
    assert not there.is_master
    assert last is not None
    assert there.snapshots[-1].guid == last.guid
    if both_marked:
        assert found.sent is not None
        assert found.sent == last.sent


def prefixes(plan):
    for done in range(len(plan.steps) + 1):
        yield predict(plan.before, plan.steps[:done])


def failed_streams(plan):
    """The states after a stream that surely did not arrive, with what was begun taken back."""
    for done, step in enumerate(plan.steps):
        if isinstance(step, Send):
            undo = [before.undo for before in plan.steps[:done] if before.undo]
            yield predict(predict(plan.before, plan.steps[:done]), reversed(undo))


def throws_nothing_away(plan):
    tag = "zrep"
    state = plan.before
    for step in plan.steps:
        assert not isinstance(step, (Rollback, MoveAside))
        if isinstance(step, Destroy):
            found = side(state.side(step.side))
            last = found.last_sent
            kept = [snapshot for snapshot in found.own_snapshots if snapshot.short not in step.shorts]
            for short in step.shorts:
                assert names.parse_snapshot(tag, short)
                snapshot = found.by_short(short)
                assert not snapshot.holds
                assert not found.is_master or snapshot.createtxg < last.createtxg
            assert len(kept) >= min(found.savecount, len(found.own_snapshots))
        state = step.apply(state)


def keeps_the_base(plan):
    state = plan.before
    for step in plan.steps:
        before = newest_common(side(state.here), side(state.there))
        state = step.apply(state)
        assert side(state.here).by_guid(before.here.guid) is not None
        assert side(state.there).by_guid(before.here.guid) is not None


# Syncs


@given(pairs(), goals())
def test_a_sync_can_be_repeated_wherever_it_was_killed(seen, goal):
    for state in prefixes(plan_sync(seen, goal, SETTINGS)):
        again = plan_sync(later(seen, state), dataclasses.replace(goal, now=NOW + 60, send_only=False), SETTINGS)
        in_step(again.after)


@given(pairs(), goals())
def test_a_sync_can_be_repeated_after_its_stream_failed(seen, goal):
    for settings in (SETTINGS, dataclasses.replace(SETTINGS, rename_unsent=False)):
        for state in failed_streams(plan_sync(seen, goal, settings)):
            again = plan_sync(later(seen, state), dataclasses.replace(goal, now=NOW + 60), settings)
            in_step(again.after)


@given(pairs(), goals())
def test_after_a_sync_another_has_nothing_to_do(seen, goal):
    plan = plan_sync(seen, dataclasses.replace(goal, send_only=False), SETTINGS)
    again = plan_sync(later(seen, plan.after), SyncGoal(NOW + 60, max_age=LONG), SETTINGS)
    assert again.steps == ()


@given(pairs(), goals())
def test_after_a_sync_there_is_nothing_left_to_send(seen, goal):
    goal = dataclasses.replace(goal, only_if_changed=False)
    plan = plan_sync(seen, goal, SETTINGS)
    again = plan_sync(later(seen, plan.after), dataclasses.replace(goal, send_only=True), SETTINGS)
    assert not any(isinstance(step, Send) for step in again.steps)


@given(pairs(), goals())
def test_a_sync_without_force_throws_nothing_away(seen, goal):
    plan = plan_sync(seen, goal, SETTINGS)
    throws_nothing_away(plan)
    keeps_the_base(plan)


@given(pairs(theirs=True), goals())
def test_what_the_replica_has_of_its_own_is_kept_or_named(seen, goal):
    base = newest_common(seen.side_here, seen.side_there)
    later_there = seen.side_there.after(base.there)
    harmless = not seen.there.written and all(found.written == 0 for found in later_there)
    try:
        plan = plan_sync(seen, goal, SETTINGS)
    except Diverged:
        assert not harmless
    else:
        assert harmless
        throws_nothing_away(plan)
        keeps_the_base(plan)


@given(pairs(theirs=True), goals())
def test_force_loses_only_what_it_names(seen, goal):
    goal = dataclasses.replace(goal, force=True)
    plan = plan_sync(seen, goal, SETTINGS)
    keeps_the_base(plan)
    base = newest_common(seen.side_here, seen.side_there)
    (rollback,) = [step for step in plan.steps if isinstance(step, Rollback)]
    assert rollback.side != HERE
    assert set(rollback.loses) == {found.short for found in seen.side_there.after(base.there)}
    for state in prefixes(plan):
        again = plan_sync(later(seen, state), dataclasses.replace(goal, now=NOW + 60, send_only=False), SETTINGS)
        in_step(again.after)


@given(pairs(), goals())
def test_a_mark_follows_the_data(seen, goal):
    """First the replica's, then ours, and neither before the snapshot is on both sides."""
    plan = plan_sync(seen, goal, SETTINGS)
    state = plan.before
    for step in plan.steps:
        state = step.apply(state)
        if isinstance(step, Mark):
            found = next(one for one in state.side(step.side).snapshots if one.name == step.target)
            theirs = side(state.there).by_guid(found.guid)
            assert side(state.here).by_guid(found.guid) is not None
            assert theirs is not None
            assert theirs.sent == step.sent


@given(pairs())
def test_expiry_alone_keeps_the_base_and_settles(seen):
    plan = plan_expire(seen)
    throws_nothing_away(plan)
    keeps_the_base(plan)
    for state in prefixes(plan):
        assert plan_expire(later(seen, state)).after.here.snapshots == plan.after.here.snapshots
    assert plan_expire(later(seen, plan.after)).steps == ()


@given(pairs())
def test_alone_each_side_keeps_what_the_other_needs(seen):
    """A side that cannot ask the other goes by its marks; the newest snapshot sent stays on both."""
    synced = later(seen, plan_sync(seen, SyncGoal(NOW, expire=False), SETTINGS).after)
    last = synced.side_here.last_sent
    for found, name in ((synced.here, FS), (synced.there, PEER_FS)):
        alone = dataclasses.replace(synced, here=found, filesystem=name, there=None, asked=False)
        assert side(plan_expire(alone).after.here).by_guid(last.guid) is not None


# Pairs


@st.composite
def unpaired(draw):
    """A filesystem with snapshots of whatever kind, and nothing at the destination."""
    words = draw(st.lists(st.sampled_from([own(0), own(3), "daily", own(4) + "_unsent"]), unique=True))
    return observed(
        dataset(FS, *words, kind=draw(st.sampled_from(["filesystem", "volume"]))),
        features=draw(st.sampled_from([MODERN, OLD])),
    )


@st.composite
def pair_goals(draw):
    counts = st.sampled_from([None, 1, 4])
    return PairGoal(
        PEER,
        NOW,
        savecount=draw(counts),
        peer_savecount=draw(counts),
        peer_properties=draw(st.dictionaries(st.sampled_from(["compression", "atime"]), st.just("off"))),
    )


@given(unpaired(), pair_goals())
def test_a_creation_can_be_repeated_wherever_it_was_killed(seen, goal):
    plan = plan_present(seen, goal, SETTINGS)
    throws_nothing_away(plan)
    for state in prefixes(plan):
        again = plan_present(later(seen, state), dataclasses.replace(goal, now=NOW + 60), SETTINGS)
        throws_nothing_away(again)
        in_step(again.after)
        end = later(seen, again.after)
        assert plan_present(end, goal, SETTINGS).steps == ()
        assert plan_sync(end, SyncGoal(NOW + 120, max_age=LONG), SETTINGS).steps == ()


@given(unpaired(), pair_goals())
def test_a_creation_whose_stream_failed_leaves_the_filesystem_as_it_was(seen, goal):
    for state in failed_streams(plan_present(seen, goal, SETTINGS)):
        assert state.here.snapshots == seen.here.snapshots
        assert side(state.here).role == "none"


@st.composite
def replicated(draw):
    """Two datasets with a replication between them that somebody else made."""
    seen = draw(pairs())

    def bare(found):
        kept = {name: value for name, value in found.properties.items() if not name.startswith("zrep:")}
        unmarked = tuple(dataclasses.replace(snapshot, sent=None) for snapshot in found.snapshots)
        return dataclasses.replace(found, properties=kept, snapshots=unmarked)

    return dataclasses.replace(seen, here=bare(seen.here), there=bare(seen.there))


@given(replicated(), pair_goals())
def test_an_adoption_can_be_repeated_wherever_it_was_killed(seen, goal):
    goal = dataclasses.replace(goal, adopt="newest")
    try:
        plan = plan_present(seen, goal, SETTINGS)
    except PartialReceive:
        assert seen.there.value("receive_resume_token")
        return
    throws_nothing_away(plan)
    keeps_the_base(plan)
    for state in prefixes(plan):
        again = plan_present(later(seen, state), dataclasses.replace(goal, now=NOW + 60), SETTINGS)
        in_step(again.after)
        assert plan_present(later(seen, again.after), goal, SETTINGS).steps == ()


@given(pairs(), pair_goals())
def test_a_pair_is_mended_once_and_nothing_is_sent(seen, goal):
    plan = plan_present(seen, goal, SETTINGS)
    throws_nothing_away(plan)
    assert not any(isinstance(step, Send) for step in plan.steps)
    for state in prefixes(plan):
        again = plan_present(later(seen, state), goal, SETTINGS)
        assert plan_present(later(seen, again.after), goal, SETTINGS).steps == ()
    assert plan_present(later(seen, plan.after), goal, SETTINGS).steps == ()


def test_these_histories_begin_with_something_in_common():
    """Otherwise none of the above would prove anything."""
    seen = observed(master(own(0) + "*"), replica(own(0) + "*"))
    assert newest_common(seen.side_here, seen.side_there).here.guid == guid_of(own(0))
