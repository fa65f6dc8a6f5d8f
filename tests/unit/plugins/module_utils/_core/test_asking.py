# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions for when something is wrong: what changed on a side, and who has its files open."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import asking, errors
from ansible_collections.zfsops.zrep.plugins.module_utils._core.shell import Completed, Shell

from .builders import FS, HOST, PEER_FS, PEER_HOST, master, own, replica, seen_at, sent, side, taken_over
from .recorder import Recorder

needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="no proc(5) on this system")

ROW = "1650000000.5\tM\tF\t/pool1/data/a\n"


class Answering(Recorder):
    """Gives the same answer to everything."""

    def __init__(self, host, out="", err="", status=0):
        super().__init__(host, [])
        self.answer = Completed(status, out, err)

    def run(self, argv):
        super().run(argv)
        return self.answer


class Session:
    """The two hosts of a pair."""

    def __init__(self, here, there):
        self.here, self.there = here, there

    def peer(self, host):
        assert host == PEER_HOST
        return self.there


def divergence(here, there, production=None, copy=None):
    mounted = {"mountpoint": "/pool1/data"}
    production = production or master(*sent(0), own(1) + "+5", properties=mounted)
    copy = copy or taken_over(*sent(0), own(1) + "=theirs+3", properties={"mountpoint": "/pool2/copy"})
    return asking.divergence(Session(here, there), seen_at(HOST, production, copy))


# What changed


def test_each_side_is_asked_on_its_own_host():
    here, there = Answering(HOST, ROW), Answering(PEER_HOST, ROW.replace("pool1/data", "pool2/copy"))
    found = divergence(here, there)
    assert found.both == ["a"]
    ((dummy, *mine),) = here.log
    ((dummy, *theirs),) = there.log
    assert mine == ["sh", "-c", f"zfs diff -FHt {FS}@{own(0)} {FS} | head -n 1000"]
    assert theirs == ["sh", "-c", f"zfs diff -FHt {PEER_FS}@{own(0)} {PEER_FS} | head -n 1000"]


def test_a_side_with_nothing_of_its_own_is_not_asked():
    here, there = Answering(HOST, ROW), Answering(PEER_HOST, ROW)
    found = divergence(here, there, copy=replica(*sent(0)))
    assert there.log == []
    assert found.there.listing.files == ()


@pytest.mark.parametrize(
    ("out", "err", "reason"),
    [
        ("", "unrecognized command 'diff'\nusage: zfs command args ...\n", "this version of zfs has no diff"),
        ("", "\nUnable to obtain diffs: permission denied\nmore\n", "Unable to obtain diffs: permission denied"),
    ],
)
def test_why_files_cannot_be_told(out, err, reason):
    found = divergence(Answering(HOST, out, err), Answering(PEER_HOST))
    assert (found.here.listing.files, found.here.listing.reason) == (None, reason)
    assert found.both is None


def test_an_answer_that_broke_off_is_not_complete():
    found = divergence(Answering(HOST, ROW, "Unable to obtain diffs: I/O error\n"), Answering(PEER_HOST))
    assert found.here.listing.files
    assert not found.here.listing.complete


def test_a_side_that_is_not_mounted_is_not_asked():
    here = Answering(HOST, ROW)
    found = divergence(here, Answering(PEER_HOST), master(*sent(0), properties={"mounted": "no"}))
    assert (here.log, found.here.listing.reason) == ([], "it is not mounted")


def test_a_host_that_went_away_is_no_failure():
    gone = Recorder(PEER_HOST, [], {"diff": errors.Unreachable("is gone")})
    assert divergence(Answering(HOST, ROW), gone).there.listing.reason == "is gone"


def test_strangers_have_no_point_at_which_they_parted():
    assert divergence(Answering(HOST), Answering(PEER_HOST), master("mine")) is None


# Who has files open


def opened(mountpoint, **properties):
    return side(master(properties=dict(properties, mountpoint=mountpoint and str(mountpoint))))


@needs_proc
def test_who_has_a_file_open_or_stands_in_a_folder(tmp_path):
    (tmp_path / "in").mkdir()
    program = "import sys; file = open(sys.argv[1], 'w'); print('open', flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "a file")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=str(tmp_path / "in"),
    )
    try:
        assert child.stdout.readline() == b"open\n"
        found = asking.holders(Shell(HOST), opened(tmp_path))
    finally:
        child.communicate(b"\n")
    names = {line.partition(") ")[2] for line in found}
    assert names == {str(tmp_path / "in"), str(tmp_path / "a file")}
    assert {line.split()[0] for line in found} == {str(child.pid)}
    assert asking.holders(Shell(HOST), opened(tmp_path)) == []


@needs_proc
def test_what_lies_beside_is_nobodys_business(tmp_path):
    (tmp_path / "data").mkdir()
    with open(str(tmp_path / "database"), "w", encoding="utf-8"):
        assert asking.holders(Shell(HOST), opened(tmp_path / "data")) == []


@pytest.mark.parametrize(
    "properties", [{"mounted": "no"}, {"mountpoint": "legacy"}, {"mountpoint": "none"}, {"mountpoint": None}]
)
def test_what_is_not_mounted_by_zfs_is_not_looked_for(properties):
    here = Answering(HOST, "1 (sh) /x\n")
    assert asking.holders(here, opened(**dict({"mountpoint": "/pool1/data"}, **properties))) == []
    assert here.log == []


def test_a_host_that_cannot_be_asked_is_no_failure():
    gone = Recorder(HOST, [], {"find": errors.Unreachable("is gone")})
    assert asking.holders(gone, opened("/pool1/data")) == []
