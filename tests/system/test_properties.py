# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which properties go along with a pair, and where whichever side is master is mounted."""

from __future__ import annotations

import pytest

from tests.lab import Host
from tests.system.moves import done, make_master, move
from tests.system.pairs import Pair, local, refused, value
from tests.system.product import zrep_pair

pytestmark = pytest.mark.system


def declare(pair: Pair, **options: object):
    return zrep_pair(pair.a, filesystem=pair.fs, peer_host=pair.b.name, peer_filesystem=pair.dest, **options)


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    return Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))


@pytest.mark.needs("modern")
@pytest.mark.parametrize(
    ("exclude", "compression", "own"),
    [(None, "gzip", "ours"), (["compression"], "off", "ours"), (["all"], "off", "-")],
    ids=["nothing", "one", "all"],
)
def test_what_goes_along(pair: Pair, exclude: list[str] | None, compression: str, own: str) -> None:
    pair.b.zfs("set", "compression=off", pair.b.pool)
    pair.a.zfs("set", "compression=gzip", "test:of=ours", pair.fs)
    options = {} if exclude is None else {"exclude_properties": exclude}
    done(declare(pair, **options))
    assert value(pair.b, pair.dest, "compression") == compression
    assert value(pair.b, pair.dest, "test:of") == own
    assert not declare(pair, **options).changed
    assert not declare(pair).changed


@pytest.mark.both
def test_whichever_side_is_master_is_mounted_there(pair: Pair) -> None:
    pair.a.zfs("set", "mountpoint=/srv/data", pair.fs)
    pair.a.write_file("/srv/data/file", "text\n")
    done(declare(pair, keep_mountpoint=True))
    assert not declare(pair, keep_mountpoint=True).changed
    assert value(pair.b, pair.dest, "mountpoint") == f"/{pair.dest}"
    now = move(pair)
    assert pair.b.read_file("/srv/data/file") == "text\n"
    pair.b.write_file("/srv/data/file", "new\n")
    move(now, at="b")
    assert pair.a.read_file("/srv/data/file") == "new\n"
    assert done(declare(pair, keep_mountpoint=False)).changed
    assert local(pair.b, pair.dest, "zrep:mountpoint") == "none"


def test_a_path_that_is_in_use_is_not_hidden(pair: Pair) -> None:
    pair.a.zfs("set", "mountpoint=/srv/used", pair.fs)
    done(declare(pair, keep_mountpoint=True))
    pair.b.run("mkdir -p /srv/used && echo precious >/srv/used/file")
    refused(pair, lambda: make_master(pair, "b", "a"), "exists", "/srv/used")
    # In an outage the filesystem comes up where it is.
    done(make_master(pair, "b", "b", force=True))
    assert pair.b.read_file("/srv/used/file") == "precious\n"
    pair.b.run(["rm", "-r", "/srv/used"])
    assert value(pair.b, pair.dest, "mountpoint") == f"/{pair.dest}"
    assert value(pair.b, pair.dest, "mounted") == "yes"


@pytest.mark.needs("modern")
def test_what_is_below_a_tree_keeps_its_own_place(pair: Pair) -> None:
    pair.a.zfs("create", "-o", "mountpoint=/srv/tree", f"{pair.fs}/web")
    pair.a.write_file("/srv/tree/file", "web\n")
    pair.a.zfs("set", "mountpoint=/srv/root", pair.fs)
    done(declare(pair, recursive=True, keep_mountpoint=True))
    move(pair)
    assert value(pair.b, pair.dest, "mountpoint") == "/srv/root"
    assert pair.b.read_file("/srv/tree/file") == "web\n"
