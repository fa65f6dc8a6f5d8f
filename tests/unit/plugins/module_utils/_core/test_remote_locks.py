# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks on another host with their real script: who holds what, for how long, and what several of them mean."""

from __future__ import annotations

import os
import shutil
import signal
import time

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import attending, remote_locks
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import Busy, Unreachable
from ansible_collections.zfsops.zrep.plugins.module_utils._core.locks import Lock
from ansible_collections.zfsops.zrep.plugins.module_utils._core.remote_locks import RemoteLocks
from ansible_collections.zfsops.zrep.plugins.module_utils._core.settings import private_directory
from ansible_collections.zfsops.zrep.plugins.module_utils._core.shell import PeerShell, Shell

from .builders import HOST

FIRST, SECOND, THIRD = (f"nosuchpool/{name}" for name in ("first", "second", "third"))
PATIENCE = 10
"""Seconds that anything here may take that is a matter of moments."""

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="no flock(1) on this system")


@pytest.fixture
def rundir(tmp_path, monkeypatch):
    monkeypatch.setenv("ZREP_RUNDIR", str(tmp_path))
    return private_directory(os.environ)


def hold(*filesystems, tag="zrep"):
    return RemoteLocks(Shell(HOST), tag, filesystems)


def take(rundir, filesystem, tag="zrep"):
    return Lock(rundir, tag, filesystem, HOST)


def soon_free(rundir, *filesystems):
    end = time.monotonic() + PATIENCE
    for filesystem in filesystems:
        while True:
            try:
                take(rundir, filesystem).release()
                break
            except Busy:
                assert time.monotonic() < end
                time.sleep(0.02)


def test_all_are_held_until_the_end(rundir):
    with hold(FIRST, SECOND) as found:
        assert (found.held, found.busy) == (True, set())
        assert found.host_name == os.uname().nodename
        for filesystem in (FIRST, SECOND):
            with pytest.raises(Busy):
                take(rundir, filesystem)
        take(rundir, THIRD).release()
        take(rundir, FIRST, tag="dc").release()
    soon_free(rundir, FIRST, SECOND)


def test_those_that_others_hold_are_named_and_the_rest_is_held(rundir):
    lock = take(rundir, SECOND)
    with hold(FIRST, SECOND, THIRD) as found:
        assert found.busy == {SECOND}
        for filesystem in (FIRST, THIRD):
            with pytest.raises(Busy):
                take(rundir, filesystem)
    lock.release()
    soon_free(rundir, FIRST, SECOND, THIRD)


def test_two_of_them_do_not_hold_the_same(rundir):
    with hold(FIRST), hold(FIRST, SECOND) as second:
        assert second.busy == {FIRST}


def test_whoever_looked_before_has_to_look_again(rundir):
    before = time.monotonic_ns()
    with hold(FIRST):
        pass
    soon_free(rundir)
    lock = take(rundir, FIRST)
    assert lock.used_since(before)
    lock.release()


def test_more_than_a_shell_has_descriptors(rundir):
    many = [f"nosuchpool/{number}" for number in range(40)]
    with hold(*many) as found:
        assert not found.busy
        with pytest.raises(Busy):
            take(rundir, many[0])
        with pytest.raises(Busy):
            take(rundir, many[-1])
    soon_free(rundir, *many)


def test_names_with_every_character_that_a_name_may_have(rundir):
    odd = "pool-1.x/a b:c_d/$(touch x)"
    with hold(odd) as found:
        assert found.held
        with pytest.raises(Busy):
            take(rundir, odd)
    soon_free(rundir, odd)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_they_end_with_what_holds_them(rundir, number):
    found = hold(FIRST, SECOND)
    os.killpg(found._process.pid, number)
    soon_free(rundir, FIRST, SECOND)
    found.close()


def test_they_end_when_the_other_end_is_gone(rundir):
    found = hold(FIRST, SECOND)
    found._process.stdin.close()
    soon_free(rundir, FIRST, SECOND)
    found._over.set()


def test_they_end_when_the_other_end_is_silent(rundir, monkeypatch):
    monkeypatch.setattr(remote_locks, "SILENCE_SECONDS", 1)
    monkeypatch.setattr(attending, "BEAT_SECONDS", 3600)
    found = hold(FIRST)
    soon_free(rundir, FIRST)
    found.close()


def test_without_flock_nothing_is_held_and_that_is_said(rundir, tmp_path, monkeypatch):
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "id", "mkdir", "uname", "dd", "cat", "timeout"):
        (tools / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setattr("ansible_collections.zfsops.zrep.plugins.module_utils._core.shell._SEARCH", ())
    with hold(FIRST) as found:
        assert (found.held, found.busy) == (False, set())
        assert found.host_name == os.uname().nodename


def test_a_host_that_is_away(rundir, tmp_path):
    program = tmp_path / "ssh"
    program.write_text("#!/bin/sh\necho 'ssh: connect to host hostb port 22: Connection refused' >&2; exit 255\n")
    program.chmod(0o755)
    with pytest.raises(Unreachable):
        RemoteLocks(PeerShell("hostb", [str(program)], str(tmp_path)), "zrep", [FIRST])
