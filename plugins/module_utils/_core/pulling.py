# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulling: the steps of a sync that the replica starts, for a master that cannot reach it. Pure.

The invariants are those of pushing (see syncing.py). What differs is which of the two hosts is this one, and who has to
be asked whether he is what the other one takes him for.
"""

from __future__ import annotations

from . import names, trees
from .errors import NoCommonSnapshot, NotFound, NotPaired, PairedElsewhere, WrongRole
from .model import Common, Endpoint, Observed, Side
from .partial import recover
from .plan import Plan, predict
from .retention import plan_expiry
from .roles import UNTOUCHED, check_paired, master_lost, no_master
from .settings import Settings
from .state import HERE, PEER, State
from .steps import Step
from .syncing import (
    EXPIRE,
    SyncGoal,
    at,
    check_below,
    complete_record,
    end_of,
    find_base,
    is_fresh,
    remember_tree,
    roll_tree_back,
    transfer,
)


def plan_refresh(seen: Observed, goal: SyncGoal, settings: Settings) -> Plan:
    """The steps that bring this replica up to its master; raises what stands against it."""
    here = check_receiver(seen)
    before = State(seen.here, seen.there, unknown=not seen.asked)
    # What this side records is enough: a mark is set here first.
    if is_fresh(here, goal):
        return Plan(seen.filesystem, before, skipped=f"the last sync is younger than {goal.max_age} seconds")
    there = check_sender(here, seen)
    common = _base(there, here, goal.force)
    steps: list[Step] = list(remember_tree(there, here, PEER))
    here, there = at(here, predict(before, steps), HERE), at(there, predict(before, steps), PEER)
    below = check_below(there, here, goal.force)
    if trees.arrived(below, common):
        steps += complete_record(there, common, PEER)
    left = recover(there, here, common.here, settings, seen.features_there, PEER)
    steps += left.given_up
    if goal.force:
        steps += roll_tree_back(here, common, below, HERE)
    steps += left.resumed
    state = predict(before, steps)
    here, recorded = at(here, state, HERE), at(there, state, PEER)
    base = end_of(recorded, here, common)
    if not is_fresh(recorded, goal):
        steps += transfer(recorded, here, base, goal, settings, PEER)
    warnings = trees.remarks(steps)
    warnings += [] if there.is_master else [_incomplete(there)]
    if goal.expire:
        expiry, held = plan_expiry(predict(before, steps), here, there, EXPIRE)
        steps += expiry
        warnings += held
    return Plan(seen.filesystem, before, tuple(steps), tuple(warnings))


def _base(master: Side, replica: Side, force: bool) -> Common:
    try:
        return find_base(master, replica, force)
    except NoCommonSnapshot as error:
        error.hint = f"zrep_pair role=replica force=true on {replica.host} makes it, and moves aside what is there"
        raise


def check_receiver(seen: Observed) -> Side:
    """This side if it may pull; raises what stands against it."""
    here = check_paired(seen)
    if here.is_master or here.is_source:
        raise WrongRole(
            "is the {} of its pair, so there is nothing to pull".format("master" if here.is_master else "source"),
            host=here.host,
            dataset=here.filesystem,
            left=UNTOUCHED,
            hint="zrep_sync pushes from here; if the other side is to be the master, zrep_failover role=replica",
        )
    here.check_marks()
    return here


def check_sender(here: Side, seen: Observed) -> Side:
    """The other side if this one may pull from it; raises what stands against it.

    While a pair is made by hand its source is not marked as the master yet. It has to name both sides all the same.
    """
    there = _registered(here, seen)
    there.check_marks()
    source, destination = there.source, there.destination
    if source.filesystem == there.filesystem and _may_be(destination, here) and not _is(source, here):
        return there
    if not {source.filesystem, destination.filesystem} <= {here.filesystem, there.filesystem}:
        raise PairedElsewhere(
            f"replicates {source} to {destination}, not to {here.host}:{here.filesystem}",
            host=there.host,
            dataset=there.filesystem,
            left=UNTOUCHED,
            hint="zrep_info on both hosts shows who is whose",
        )
    if not there.is_master:
        raise no_master(here)
    raise WrongRole(
        f"says that it is the master, but names {source} as the source of the pair",
        host=there.host,
        dataset=there.filesystem,
        left=UNTOUCHED,
        hint="a move of the master ended half way: zrep_failover completes it on either host",
    )


def _registered(here: Side, seen: Observed) -> Side:
    there = seen.side_there
    if there is None:
        raise NotFound(
            "the master does not exist",
            host=seen.peer_host,
            dataset=seen.peer_filesystem,
            left=UNTOUCHED,
            hint=master_lost(here.filesystem),
        )
    if not there.names_peer:
        raise NotPaired(
            f"is not registered as the master of {here.host}:{here.filesystem}",
            host=there.host,
            dataset=there.filesystem,
            left=UNTOUCHED,
            hint="zrep_pair role=replica adopt=newest here registers it, if both sides have a snapshot in common",
        )
    return there


def _names_of(side: Side) -> tuple[str, str]:
    return side.identity, side.destination.host


def _may_be(endpoint: Endpoint, side: Side) -> bool:
    """Whether a record may mean this side, by whatever name of its host."""
    return endpoint.filesystem == side.filesystem and any(
        names.same_host(endpoint.host, name) for name in _names_of(side)
    )


def _is(endpoint: Endpoint, side: Side) -> bool:
    """Whether a record surely means this side."""
    known = {names.short_host(name).lower() for name in _names_of(side)}
    return endpoint.filesystem == side.filesystem and names.short_host(endpoint.host).lower() in known


def _incomplete(there: Side) -> str:
    return (
        f"{there.host}:{there.filesystem} is the source of the pair but not marked as its master: "
        "record the last snapshot as sent there, which completes the pair"
    )
