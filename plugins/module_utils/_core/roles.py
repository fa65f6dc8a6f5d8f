# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which side of a pair a dataset is, and whether it may act as such. Pure."""

from __future__ import annotations

from . import names
from .errors import BadInput, NotFound, NotPaired, PairedElsewhere, SplitBrain, WrongRole
from .model import Endpoint, Observed, Side

UNTOUCHED = "nothing was changed"


def check_exists(seen: Observed) -> Side:
    """This side if there is such a dataset."""
    here = seen.side_here
    if here is None:
        raise NotFound("no such filesystem or volume", host=seen.identity, dataset=seen.filesystem, left=UNTOUCHED)
    return here


def check_not_itself(here: Side, peer: Endpoint) -> None:
    """Refuse a peer that is this very filesystem."""
    if peer.filesystem == here.filesystem and names.short_host(peer.host) in ("localhost", here.identity):
        raise BadInput(
            "a filesystem cannot be its own replica", host=here.host, dataset=here.filesystem, left=UNTOUCHED
        )


def check_paired(seen: Observed) -> Side:
    """This side if it belongs to a pair, whatever its role."""
    here = check_exists(seen)
    if not here.registered:
        raise NotPaired(
            f"is not registered for replication under the tag {seen.tag!r}",
            host=seen.identity,
            dataset=seen.filesystem,
            left=UNTOUCHED,
            hint="create the pair with zrep_pair",
        )
    return here


def check_master(seen: Observed) -> Side:
    """This side of the pair if it may push; raises what stands against it."""
    here = check_paired(seen)
    if not here.is_master:
        raise WrongRole(
            f"is not the master of its pair, {here.source} is",
            host=seen.identity,
            dataset=seen.filesystem,
            left=UNTOUCHED,
            hint=f"sync on {here.source.host}, or fetch it from here with direction=pull",
        )
    here.check_marks()
    if not here.is_source:
        raise WrongRole(
            f"says that it is the master, but names {here.source} as the source of the pair",
            host=seen.identity,
            dataset=seen.filesystem,
            left=UNTOUCHED,
            hint="if a move of the master ended half way, zrep_failover completes it on either host, or with "
            "role=master here calls it off; if this host goes by another name, give it as src_host",
        )
    return here


def split_brain(side: Side, other: Side, hint: str, left: str = UNTOUCHED) -> SplitBrain:
    """The error that both sides of a pair are master."""
    return SplitBrain(
        f"both this and {other.host}:{other.filesystem} are master of the pair",
        host=side.host,
        dataset=side.filesystem,
        left=left,
        hint=hint,
    )


def no_master(side: Side) -> WrongRole:
    """The error that no side of a pair is master."""
    return WrongRole(
        "neither side of the pair is master",
        host=side.host,
        dataset=side.filesystem,
        left=UNTOUCHED,
        hint="zrep_failover role=master makes one",
    )


def master_lost(filesystem: str) -> str:
    """What to do on a replica whose master does not exist any more."""
    return (
        f"if it was lost: zrep_failover filesystem={filesystem} role=master force=true here makes this the master, "
        "zrep_pair sends it there again, and zrep_failover role=replica makes that the master"
    )


def check_replica(here: Side, seen: Observed) -> Side:
    """The other side if it may receive from this one; raises what stands against it."""
    there = seen.side_there
    if there is None:
        raise NotFound(
            "the replica does not exist",
            host=seen.peer_host,
            dataset=seen.peer_filesystem,
            left=UNTOUCHED,
            hint="make it anew, in full, with zrep_pair state=present",
        )
    if there.is_master:
        raise split_brain(
            here,
            there,
            "find out with zrep_info check_peer=true which side has what, then settle it with zrep_failover",
            left=UNTOUCHED + " and nothing was sent",
        )
    # A replica without a registration, or with part of one, is known by its GUIDs; zrep_pair completes it.
    if there.names_peer:
        source = there.source
        named = names.same_host(source.host, here.source.host) or there.source_name == here.source.host
        if source.filesystem != here.filesystem or not named:
            raise PairedElsewhere(
                f"is the replica of {source}, not of {here.source}",
                host=there.host,
                dataset=there.filesystem,
                left=UNTOUCHED,
                hint="give this master a destination of its own, or adopt it with zrep_pair adopt=newest",
            )
        if there.destination.filesystem != there.filesystem:
            raise there.bad_property(
                "dest-fs", there.destination.filesystem, f"the pair's replica is {there.filesystem}"
            )
    there.check_marks()
    return there
