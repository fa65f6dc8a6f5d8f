# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs whose roles are moved on the stage, and what has to be true of them in the end."""

from __future__ import annotations

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import Endpoint
from ansible_collections.zfsops.zrep.plugins.module_utils._core.syncing import SyncGoal, plan_sync

from .builders import (
    FS,
    HOST,
    MODERN,
    OLD,
    PEER_FS,
    PEER_HOST,
    SETTINGS,
    Naming,
    master,
    named,
    other_host,
    replica,
    seen_at,
    sent,
)
from .stage import Stage

PLAIN = Naming()
NAMINGS = {
    "plain": PLAIN,
    "one name for both": Naming(FS, FS),
    "full name": Naming(replica_as="hostb.example.org"),
    "full names": Naming(FS, PEER_FS, "hostb.example.org", "hosta.example.org"),
    "addresses": Naming(FS, PEER_FS, "10.0.0.2", "10.0.0.1"),
    "user": Naming(FS, PEER_FS, "zrep@hostb"),
}
MISTAKEN = {
    "full name": Naming(FS, FS, "hostb.example.org"),
    "addresses": Naming(FS, FS, "10.0.0.2", "10.0.0.1"),
    "user": Naming(FS, FS, "zrep@hostb"),
}
"""Where both filesystems have one name, and a master names its peer in other words than the peer itself."""
ALIAS = Naming(FS, PEER_FS, "standby")
"""Where the master reaches its replica by a name that does not tell whose it is."""

GIVEN, TAKEN = (HOST, "replica"), (PEER_HOST, "master")
CALLED_OFF, GIVEN_BACK = (HOST, "master"), (PEER_HOST, "replica")
CALLS = (GIVEN, TAKEN, CALLED_OFF, GIVEN_BACK)

versions = pytest.mark.parametrize("features", [MODERN, OLD], ids=["modern", "old"])
namings = pytest.mark.parametrize("naming", NAMINGS.values(), ids=NAMINGS.keys())
from_either_end = pytest.mark.parametrize("call", [GIVEN, TAKEN], ids=["given away", "taken"])


def pair(naming=PLAIN, features=MODERN, guards=False, production=None, copy=None):
    production, copy = named(naming, production or master(*sent(0, 1)), copy or replica(*sent(0, 1)))
    return Stage(production, copy, features, guards)


def split(mine=(), written=0, features=MODERN, guards=False):
    """Two masters: the second took over while the first was away, and the first has content of its own."""
    found = Stage(
        master(*sent(0, 1), *mine, written=written), replica(*sent(0, 1)), features, guards=guards, forced=True
    )
    found.call(PEER_HOST, "master", force=True)
    return found


def winner(call):
    """Which host is to be master."""
    host, role = call
    return host if role == "master" else other_host(host)


def check_roles(stage, naming, host):
    """One master, and it can be written; the other side follows it; nothing was given up."""
    known = {HOST: naming.replica_as, PEER_HOST: naming.master_as}
    new, old = stage.side(host), stage.side(other_host(host))
    assert stage.masters() == [host]
    assert new.source == new.endpoint
    assert new.destination == Endpoint(known[host], old.filesystem)
    assert old.source == Endpoint(known[old.host], new.filesystem)
    assert old.destination.filesystem == old.filesystem
    assert not new.readonly
    assert new.mounted
    assert old.frozen
    assert stage.given_up == []


def check_sync(stage, host):
    """The pair is replicated again, from its new master."""
    seen = seen_at(host, stage.on[HOST], stage.on[PEER_HOST], stage.features)
    after = plan_sync(seen, SyncGoal(stage.now, expire=False), SETTINGS).after
    assert after.here.snapshots[-1].guid == after.there.snapshots[-1].guid


def check_marks(stage):
    """Both sides say that the newest snapshot is at the other one, or the script would not find the base."""
    last = [stage.side(host).last_sent for host in (HOST, PEER_HOST)]
    assert [found.guid for found in last] == [stage.on[host].snapshots[-1].guid for host in (HOST, PEER_HOST)]
    assert last[0].guid == last[1].guid
    assert last[0].sent == last[1].sent


def moments(make, call):
    """How often something can come in between."""
    stage = make()
    stage.call(*call)
    return range(stage.moments)


def failures(make, call, again, naming):
    """The moments at which a call that dies there is not made good by another one, with the reason."""
    found = {}
    for end in moments(make, call):
        stage = make()
        assert stage.killed(*call, end)
        try:
            stage.call(*again)
            check_roles(stage, naming, winner(again))
            check_sync(stage, winner(again))
            if winner(again) == winner(call):
                check_marks(stage)
        except (errors.ZrepError, AssertionError) as error:
            found[end] = error
    return found
