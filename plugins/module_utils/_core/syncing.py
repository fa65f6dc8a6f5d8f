# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pushing: from two observed sides and a goal to the steps of a sync. Pure.

Invariants that the steps keep:

* Nothing changes on either side before the peer was seen to be a replica of this very dataset that can take the stream.
* The base of a stream is the newest snapshot with the same GUID on both sides, whatever its name or marks.
* A mark follows the data: first the peer's, then ours. A run that died in between is completed from the GUIDs.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import names, trees
from .bookmarks import drop
from .encryption import next_options
from .errors import Diverged, NoCommonSnapshot, NotFound, PoolFull
from .holding import back_to, move_on
from .model import Common, Observed, Side, Snapshot, newest_base
from .partial import give_up, is_unborn, recover
from .plan import Plan, predict
from .retention import plan_expiry
from .roles import check_master, check_replica
from .settings import Settings
from .state import HERE, PEER, State
from .steps import Destroy, Mark, RenameSnapshot, Step, TakeSnapshot, Unmark
from .streams import Send, other

OVERWRITE = (
    "force=true overwrites it, after it was copied into a dataset of its own unless diverged=discard gives it up"
)

# Phases let many filesystems share commands; see execute.py.
PREPARE, SNAPSHOT, SEND, MARK_THERE, MARK_HERE, EXPIRE = range(6)


@dataclasses.dataclass(frozen=True)
class SyncGoal:
    """What a sync is to reach.

    :param now: the time of the run in epoch seconds, before anything is sent.
    :param max_age: a last sync younger than this many seconds is good enough.
    :param only_if_changed: without anything written since, only move the mark.
    :param send_only: send the newest snapshot there is instead of taking one.
    :param force: overwrite what the replica has of its own.
    :param diverged: with ``force``: PRESERVE that in a dataset of its own first, or DISCARD it.
    :param expire: apply the savecounts of both sides afterwards.
    """

    now: int
    max_age: int | None = None
    only_if_changed: bool = False
    send_only: bool = False
    force: bool = False
    diverged: str = "preserve"
    expire: bool = True


def is_fresh(here: Side, goal: SyncGoal) -> bool:
    """Whether the last sync is young enough, so that the peer need not be asked."""
    last = here.last_sent
    return goal.max_age is not None and last is not None and 0 <= goal.now - (last.sent or 0) < goal.max_age


def plan_sync(seen: Observed, goal: SyncGoal, settings: Settings) -> Plan:
    """The steps that bring the replica up to date; raises what stands against it."""
    here = check_master(seen)
    before = State(seen.here, seen.there, unknown=not seen.asked)
    if is_fresh(here, goal):
        return Plan(seen.filesystem, before, skipped=f"the last sync is younger than {goal.max_age} seconds")
    there = check_replica(here, seen)
    common = find_base(here, there, goal.force)
    steps: list[Step] = list(remember_tree(here, there))
    here, there = at(here, predict(before, steps), HERE), at(there, predict(before, steps), PEER)
    below = check_below(here, there, goal.force)
    if trees.arrived(below, common):
        steps += complete_record(here, common)
    left = recover(here, there, common.here, settings, seen.features_here)
    steps += left.given_up
    if goal.force:
        steps += roll_tree_back(there, common, below)
    steps += left.resumed
    state = predict(before, steps)
    recorded, there = at(here, state, HERE), at(there, state, PEER)
    # What is sent is known to arrive under its GUID, so this is the newest that the replica has by then.
    base = end_of(recorded, there, common)
    if is_fresh(recorded, goal):
        return Plan(seen.filesystem, before, tuple(steps))
    steps += transfer(recorded, there, base, goal, settings)
    warnings = trees.remarks(steps)
    if goal.expire:
        expiry, held = plan_expiry(predict(before, steps), here, there if there.registered else None, EXPIRE)
        steps += expiry
        warnings += held
    return Plan(seen.filesystem, before, tuple(steps), tuple(warnings))


def find_base(here: Side, there: Side, force: bool) -> Common:
    """The newest common snapshot, which must be the replica's newest unless its own ones may go."""
    common = newest_base(here, there)
    if common is None:
        size = here.dataset.number("referenced") or 0
        raise NoCommonSnapshot(
            f"shares no snapshot with {there.host}:{there.filesystem}, so only a new full copy helps; "
            f"it would move about {size} bytes",
            host=here.host,
            dataset=here.filesystem,
            left="nothing was changed",
            hint="zrep_pair state=present goes on with the first copy, which was interrupted"
            if is_unborn(there)
            else "zrep_pair state=present force=true makes it, and moves aside what is at the destination",
        )
    own = there.after(common.there)
    # Snapshots that differ in nothing from the base do no harm, unless a stream brings others of their names.
    changed = [found for found in own if found.written != 0]
    coming = {found.short for found in here.after(common.here)}
    if (changed or any(found.short in coming for found in own)) and not force:
        raise Diverged(
            "has {} of its own since the last common snapshot {}: {}".format(
                count(len(own), "snapshot"), common.there.short, ", ".join(found.short for found in own)
            ),
            host=there.host,
            dataset=there.filesystem,
            left="nothing was changed",
            hint=OVERWRITE,
        )
    if there.dataset.written and not force:
        raise Diverged(
            f"was written to since {there.snapshots[-1].short}: {there.dataset.written} bytes",
            host=there.host,
            dataset=there.filesystem,
            left="nothing was changed",
            hint=OVERWRITE,
        )
    return common


def at(side: Side, state: State, which: str) -> Side:
    """A side as it stands at some point of a plan."""
    return dataclasses.replace(side, dataset=state.side(which) or side.dataset)


def remember_tree(here: Side, there: Side, which: str = HERE) -> t.Iterator[Step]:
    """Have both sides record that the pair is a tree, where that is so or was said in this call.

    :param here: the sending side.
    :param which: which of the two hosts that is.
    """
    if here.recursive:
        yield from trees.remember(here, which)
        yield from trees.remember(there, other(which))


def check_below(here: Side, there: Side, force: bool) -> trees.Match:
    """What belongs together below the roots; refuses a tree that cannot be brought up to date."""
    if not here.recursive:
        return trees.Match([], [])
    trees.check_tree(here)
    found = trees.match(here, there)
    for branch in found.branches:
        if branch.receiver is not None:
            find_base(branch.sender, branch.receiver, force)
    return found


def end_of(sender: Side, receiver: Side, common: Common) -> Snapshot:
    """The snapshot of the sender at which the receiver stands, as both are or as a plan will have left them."""
    now = newest_base(sender, receiver)
    return now.here if now else common.here


def complete_record(here: Side, common: Common, which: str = HERE) -> t.Iterator[Step]:
    """Steps that record what arrived in a run that could not record it any more.

    :param here: the sending side, and ``common`` as seen from it.
    :param which: which of the two hosts that is.
    """
    name = names.parse_snapshot(here.tag, common.there.short)
    if name is None or name.unsent or common.here.bookmark:
        return
    why = "it arrived in an earlier run that could not record it"
    target = common.here.name
    if common.here.short != common.there.short:
        if not (names.parse_snapshot(here.tag, common.here.short) and here.by_short(common.there.short) is None):
            return
        new = common.there.short
        step = RenameSnapshot(which, target, why, phase=PREPARE, new_short=new, recursive=here.recursive)
        target = step.new_name
        yield step
    sent = common.there.sent or common.here.sent or common.here.creation
    if common.there.sent is None:
        yield Mark(other(which), common.there.name, why, phase=PREPARE, tag=here.tag, sent=sent)
    if common.here.sent is None:
        yield Mark(which, target, why, phase=PREPARE, tag=here.tag, sent=sent)


def roll_replica_back(there: Side, common: Common, which: str = PEER, root: Side | None = None) -> t.Iterator[Step]:
    """Throw away what the receiving side has of its own.

    :param root: the receiving side, if this is a dataset below it.
    :param which: which of the two hosts that is.
    """
    why = "force was given: what the replica has of its own is overwritten"
    return back_to(there, root or there, which, common.there, why, phase=PREPARE)


def roll_tree_back(there: Side, common: Common, below: trees.Match, which: str = PEER) -> t.Iterator[Step]:
    """Throw away what the receiving side has of its own, in its root and in what is below."""
    yield from roll_replica_back(there, common, which)
    for branch in below.branches:
        if branch.receiver is None or branch.common is None:
            continue
        if branch.receiver.after(branch.common.there) or branch.receiver.dataset.written != 0:
            yield from give_up(branch.receiver, which, "it goes back to what its peer has")
            yield from roll_replica_back(branch.receiver, branch.common, which, there)


def transfer(
    here: Side, there: Side, base: Snapshot, goal: SyncGoal, settings: Settings, which: str = HERE
) -> list[Step]:
    """What moves the data that is to be moved, or only the mark.

    :param here: the sending side.
    :param which: which of the two hosts that is.
    """
    if goal.send_only:
        own = here.own_snapshots
        newest = own[-1] if own else base
        if newest.createtxg <= base.createtxg:
            return []
        below = trees.bring(here, there, newest.short, goal.now, settings, which, taken=True)
        return below + send_steps(here, there, base, newest.name, goal.now, settings, which)
    held = there.by_guid(base.guid)
    same = not here.recursive or trees.in_shape(trees.match(here, there), here, there)
    unchanged = goal.only_if_changed and trees.unsent(here, base) == 0 and same
    if unchanged and base.sent is not None and held is not None:
        why = "nothing was written since"
        return [
            Mark(other(which), held.name, why, phase=MARK_THERE, tag=here.tag, sent=goal.now),
            Mark(which, base.name, why, phase=MARK_HERE, tag=here.tag, sent=goal.now),
        ]
    check_room(here, there, base)
    return push(here, there, base, goal.now, settings, which)


def push(
    here: Side,
    there: Side,
    base: Snapshot,
    now: int,
    settings: Settings,
    which: str = HERE,
    bookmark: bool = True,
) -> list[Step]:
    """Take a snapshot, send it from a base and record it on both sides.

    :param here: the sending side.
    :param which: which of the two hosts that is.
    :param bookmark: the sending side goes on to send, so it keeps a bookmark.
    """
    target = f"{here.filesystem}@{here.next_short}"
    lost = "it could not be sent"
    undo: Step
    tree = here.recursive
    if settings.rename_unsent:
        undo = RenameSnapshot(which, target, lost, new_short=here.next_short + names.UNSENT, recursive=tree)
    else:
        undo = Destroy(which, here.filesystem, lost, shorts=(here.next_short,), recursive=tree)
    take = TakeSnapshot(which, target, "a new state to send", phase=SNAPSHOT, undo=undo, recursive=tree)
    below = trees.bring(here, there, here.next_short, now, settings, which)
    return [take, *below, *send_steps(here, there, base, target, now, settings, which, bookmark)]


def send_steps(
    here: Side,
    there: Side,
    base: Snapshot,
    target: str,
    sent: int,
    settings: Settings,
    which: str = HERE,
    bookmark: bool = True,
) -> list[Step]:
    """Send a snapshot from a base and record it on both sides.

    :param here: the sending side.
    :param which: which of the two hosts that is.
    :param bookmark: the sending side goes on to send, so it keeps a bookmark.
    """
    _dummy, short = names.split_snapshot(target)
    arrived = f"{there.filesystem}@{short}"
    why = f"{there.host}:{there.filesystem} confirmed it"
    first = Send(
        which,
        target,
        f"the replica ends at {base.short}",
        phase=SEND,
        base=base.name,
        destination=there.filesystem,
        intermediates=settings.intermediates and not base.bookmark,
        options=next_options(here, there, base, settings.send_options),
        resumable=settings.resume,
    )
    sends: list[Step] = [first]
    between = [found for found in here.after(base) if found.name != target]
    if base.bookmark and settings.intermediates and between:
        # A stream from a bookmark brings one snapshot only.
        rest = dataclasses.replace(first, base=between[0].name, intermediates=True)
        sends = [dataclasses.replace(first, target=between[0].name), rest]
    return [
        *sends,
        Mark(other(which), arrived, why, phase=MARK_THERE, tag=here.tag, sent=sent),
        Mark(which, target, why, phase=MARK_HERE, tag=here.tag, sent=sent, bookmark=bookmark),
        *move_on(here, there, which, other(which), short, MARK_HERE),
        *(drop(here, which, f"{short} has one now", EXPIRE, keep=short) if bookmark else ()),
    ]


def check_room(here: Side, there: Side, base: Snapshot) -> None:
    """Refuse a transfer that the receiving pool surely cannot hold."""
    need, room = trees.unsent(here, base), there.dataset.number("available")
    if need is not None and room is not None and need > room:
        raise PoolFull(
            f"has {room} bytes free, {need} bytes were written on {here.host}:{here.filesystem} since {base.short}",
            host=there.host,
            dataset=there.filesystem,
            left="nothing was changed",
            hint="make room there and sync again",
        )


def plan_rewind(seen: Observed, short: str, force: bool) -> Plan:
    """Roll the replica back to a snapshot, so that the next sync starts from there; the master keeps everything."""
    here = check_master(seen)
    there = check_replica(here, seen)
    wanted = here.by_short(short)
    held = there.by_guid(wanted.guid) if wanted else None
    if wanted is None or held is None:
        host, filesystem = (here.host, here.filesystem) if wanted is None else (there.host, there.filesystem)
        raise NotFound(
            "has no snapshot {}{}".format(short, "" if wanted is None else " with the GUID that it has here"),
            host=host,
            dataset=filesystem,
            left="nothing was changed",
            hint="zrep_info check_peer=true shows which snapshots both sides hold",
        )
    own = [found for found in there.after(held) if here.by_guid(found.guid) is None]
    if own and not force:
        raise Diverged(
            "has {} that this side does not have: {}".format(
                count(len(own), "later snapshot"), ", ".join(found.short for found in own)
            ),
            host=there.host,
            dataset=there.filesystem,
            left="nothing was changed",
            hint=OVERWRITE,
        )
    if there.dataset.written and not force:
        raise Diverged(
            f"was written to since {there.snapshots[-1].short}: {there.dataset.written} bytes",
            host=there.host,
            dataset=there.filesystem,
            left="nothing was changed",
            hint=OVERWRITE,
        )
    why = f"the replica is to stand at {short}"
    steps: list[Step] = []
    # A mark that outlived its snapshot would be a lie, so the marks go first.
    marked = tuple(found.short for found in here.after(wanted) if found.sent is not None)
    if marked:
        steps.append(Unmark(HERE, here.filesystem, why, tag=here.tag, shorts=marked))
    later = there.after(held)
    if later or there.dataset.written:
        steps += give_up(there, PEER, f"the replica goes back to {short}")
        steps += back_to(there, there, PEER, held, why)
    for branch in trees.match(here, there).branches if here.recursive else ():
        steps += _rewind_branch(branch, there, short, why)
    return Plan(seen.filesystem, State(seen.here, seen.there), tuple(steps))


def _rewind_branch(branch: trees.Branch, there: Side, short: str, why: str) -> t.Iterator[Step]:
    wanted = branch.sender.by_short(short)
    held = branch.receiver.by_guid(wanted.guid) if wanted and branch.receiver else None
    later = branch.receiver.after(held) if branch.receiver and held else ()
    if branch.receiver is not None and held is not None and later:
        yield from back_to(branch.receiver, there, PEER, held, why)


def count(number: int, what: str) -> str:
    """A number with its noun."""
    return "{} {}{}".format(number, what, "" if number == 1 else "s")
