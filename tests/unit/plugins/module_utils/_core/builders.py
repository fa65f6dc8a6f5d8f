# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of datasets as ZFS would show them, written short.

A snapshot is one word: ``NAME[=IDENTITY][*][!][+BYTES]``

* equal identities mean equal GUIDs; without one the name is the identity, so equal names are equal snapshots;
* ``*`` carries the local mark ``sent``, ``!`` carries a hold, ``+BYTES`` were written before it (otherwise none).

So ``zrep_000002_unsent=zrep_000002`` is the snapshot 2 after it was renamed.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t
import zlib

from ansible_collections.zfsops.zrep.plugins.module_utils._core import names
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import (
    LOCAL,
    RECEIVED,
    Dataset,
    Endpoint,
    Features,
    Observed,
    Property,
    Side,
    Snapshot,
)
from ansible_collections.zfsops.zrep.plugins.module_utils._core.session import with_recorded_peer
from ansible_collections.zfsops.zrep.plugins.module_utils._core.settings import Settings

HOST = "hosta"
FS = "pool1/data"
PEER_HOST = "hostb"
PEER_FS = "pool2/copy"
PEER = Endpoint(PEER_HOST, PEER_FS)
TAG = "zrep"

BEGIN = 1600000000
"""When snapshot 0 was made, and each later serial a minute after the one before."""
NOW = 1700000000

MODERN = Features(frozenset(("written", "receive_resume_token")))
OLD = Features(frozenset(("unique",)))
SETTINGS = Settings(identity=HOST)
SIZE = 50000
ROOM = 10**9

_WORD = re.compile(r"(?P<name>[^=*!+]+)(?:=(?P<identity>[^*!+]+))?(?P<sent>\*)?(?P<hold>!)?(?:\+(?P<written>\d+))?\Z")


def guid_of(identity):
    return zlib.crc32(identity.encode()) + 1


def own(serial, tag=TAG):
    """The word for an unmarked snapshot of the pair."""
    return names.snapshot_name(tag, serial)


def sent(*serials):
    """The words for snapshots that were sent."""
    return [own(serial) + "*" for serial in serials]


def time_of(short, tag=TAG):
    found = names.parse_snapshot(tag, short)
    return BEGIN + 60 * (found.serial if found else 0)


def snapshots(dataset, *words, tag=TAG):
    found = []
    for position, word in enumerate(words):
        parts = _WORD.match(word)
        name, identity = parts.group("name"), parts.group("identity") or parts.group("name")
        found.append(
            Snapshot(
                dataset,
                name,
                guid_of(identity),
                100 + 10 * position,
                time_of(name, tag),
                sent=time_of(identity, tag) if parts.group("sent") else None,
                written=int(parts.group("written") or 0),
                holds=1 if parts.group("hold") else 0,
            )
        )
    return tuple(found)


def dataset(name, *words, tag=TAG, kind="filesystem", written=0, properties=None):
    """A dataset that belongs to no pair. Properties are values, or pairs of value and source; None takes one away."""
    values = {
        "type": (kind, "none"),
        "guid": (str(guid_of(name)), "none"),
        "referenced": (str(SIZE), "none"),
        "available": (str(ROOM), "none"),
        "mounted": ("yes", "none"),
        "readonly": ("off", "default"),
        "written": (str(written), "none"),
        "receive_resume_token": ("-", "none"),
    }
    values.update(properties or {})
    found = {
        key: Property(value, LOCAL) if isinstance(value, str) else Property(*value)
        for key, value in values.items()
        if value is not None
    }
    return Dataset(name, kind, guid_of(name), found, snapshots(name, *words, tag=tag))


def registration(tag=TAG, source=LOCAL, savecount="5"):
    values = {
        "src-fs": FS,
        "src-host": HOST,
        "dest-fs": PEER_FS,
        "dest-host": PEER_HOST,
        "savecount": savecount,
    }
    return {names.property_name(tag, name): (value, source) for name, value in values.items()}


def master(*words, tag=TAG, savecount="5", written=4096, properties=None, **more):
    values = registration(tag, LOCAL, savecount)
    values[names.property_name(tag, "master")] = ("yes", LOCAL)
    values.update(properties or {})
    return dataset(FS, *words, tag=tag, written=written, properties=values, **more)


def replica(*words, tag=TAG, savecount="5", written=0, properties=None, **more):
    values = registration(tag, RECEIVED, savecount)
    values.update({"readonly": ("on", LOCAL), "mounted": ("no", "none")})
    values.update(properties or {})
    return dataset(PEER_FS, *words, tag=tag, written=written, properties=values, **more)


MIRRORED = {
    "zrep:src-fs": PEER_FS,
    "zrep:src-host": PEER_HOST,
    "zrep:dest-fs": FS,
    "zrep:dest-host": HOST,
}


def taken_over(*words, **more):
    """The former replica after it was made master alone."""
    properties = dict(MIRRORED, **{"zrep:master": "yes", "zrep:promoted": "1650000000"})
    properties.update({"readonly": ("off", "default"), "mounted": "yes"})
    properties.update(more.pop("properties", {}))
    return replica(*words, properties=properties, **more)


def demoted(*words, **more):
    """The former master after a move that ended before the other side was promoted."""
    return master(*words, written=0, properties=dict(MIRRORED, **{"zrep:master": None, "readonly": "on"}), **more)


def observed(here, there=None, tag=TAG, features=MODERN, parent=None, **more):
    """What the host of the master sees."""
    known = {
        "filesystem": FS,
        "peer_host": PEER_HOST,
        "peer_filesystem": PEER_FS,
        "there_parent": dataset("pool2") if parent is None else parent,
        "asked": True,
        "features_here": features,
        "features_there": features,
    }
    known.update(more)
    return Observed(tag, HOST, here=here, there=there, **known)


def observed_from_replica(here, there=None, tag=TAG):
    """What the host of the replica sees."""
    return Observed(tag, PEER_HOST, PEER_FS, here, HOST, FS, there, asked=True)


class Naming(t.NamedTuple):
    """What the two datasets of a pair are called, and how each host calls the other in its records."""

    fs: str = FS
    peer_fs: str = PEER_FS
    replica_as: str = PEER_HOST
    master_as: str = HOST


def named(naming, production, copy):
    """The two datasets of a pair under other names; returns both."""
    record = {"zrep:src-fs": naming.fs, "zrep:dest-fs": naming.peer_fs, "zrep:dest-host": naming.replica_as}
    theirs = dict(record, **{"zrep:src-host": naming.master_as})
    return _under(naming.fs, production, record), _under(naming.peer_fs, copy, theirs)


def _under(name, found, record):
    properties = {
        key: Property(record[key], value.source) if key in record else value for key, value in found.properties.items()
    }
    taken = tuple(dataclasses.replace(snapshot, dataset=name) for snapshot in found.snapshots)
    return dataclasses.replace(found, name=name, snapshots=taken, properties=properties)


def as_old(found):
    """A dataset as a zfs shows it that knows no property ``written``."""
    unknown = ("written", "receive_resume_token")
    properties = {name: value for name, value in found.properties.items() if name not in unknown}
    properties["unique"] = found.properties["written"]
    taken = tuple(dataclasses.replace(snapshot, written=None) for snapshot in found.snapshots)
    return dataclasses.replace(found, snapshots=taken, properties=properties)


def other_host(host):
    return PEER_HOST if host == HOST else HOST


def seen_at(host, production, copy, features=MODERN, **more):
    """A pair with one dataset on HOST and the other on PEER_HOST, as one of the two sees it when a role is moved."""
    here, there = (production, copy) if host == HOST else (copy, production)
    seen = Observed(
        TAG,
        host,
        here.name,
        here,
        there=there,
        asked=True,
        features_here=features,
        features_there=features,
        identity_there=other_host(host),
    )
    return dataclasses.replace(with_recorded_peer(seen), **more)


def places(host, steps):
    """The steps of a plan that was made on a host as (host, action) pairs."""
    return [(host if step.side == "here" else other_host(host), step.action) for step in steps]


def later(seen, state):
    """What would be observed after steps led to a state: snapshots have a time of creation, and a GUID above 0."""
    return dataclasses.replace(seen, here=_real(state.here), there=_real(state.there))


def _real(found):
    if found is None:
        return None
    made = [
        snapshot
        if snapshot.guid > 0
        else dataclasses.replace(snapshot, guid=2**70 - snapshot.guid, creation=snapshot.creation or NOW)
        for snapshot in found.snapshots
    ]
    below = tuple(t.cast(Dataset, _real(child)) for child in found.children)
    return dataclasses.replace(found, snapshots=tuple(made), children=below)


TREE = {"zrep:recursive": "yes"}


def with_below(root, **words):
    """A root, with datasets below it: of each its name, "_" for "/", and its snapshots; the root's own record apart."""
    made = [below(root, name.replace("_", "/"), *words[name]) for name in words]
    for child in made:
        root = root.put(child)
    return root


def below(root, name, *words, **more):
    """A dataset below a root. Snapshots of equal names are equal only below the same name."""
    full = f"{root.name}/{name}"
    known = [word if "=" in word or not word else _of(name, word) for word in words]
    properties = {"readonly": (root.properties["readonly"].value, "inherited"), **more.pop("properties", {})}
    return dataset(full, *known, properties=properties, **more)


def _of(name, word):
    parts = _WORD.match(word)
    return word.replace(parts.group("name"), f"{parts.group('name')}={parts.group('name')}-of-{name}", 1)


def side(found, host=HOST, tag=TAG):
    return Side(host, host, tag, found)


def shorts(found):
    return [snapshot.short for snapshot in found.snapshots]


def marked(found):
    return [snapshot.short for snapshot in found.snapshots if snapshot.sent is not None]


def actions(plan):
    """The steps of a plan as (side, action) pairs."""
    return [(step.side, step.action) for step in plan.steps]


def printed(found, properties):
    """Datasets, or triples of name and properties, as ``zfs get -Hp -o name,property,value,source`` prints them."""
    lines = []
    for name, values in found:
        for wanted in properties:
            value = values.get(wanted, Property("-", "none"))
            lines.append("\t".join((name, wanted, value.value, "-" if value.source == "none" else value.source)))
    return "".join(line + "\n" for line in lines)
