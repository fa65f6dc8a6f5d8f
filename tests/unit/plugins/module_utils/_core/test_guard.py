# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard's protocol with its real script: who holds what, for how long, and when zfs would be called.

No zfs can be found by these guards. What they would have called is read from the shell's own trace; that it thaws a
filesystem is for the system tests to show.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import attending, guard, shell, zfs
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import Busy, Unreachable
from ansible_collections.zfsops.zrep.plugins.module_utils._core.guard import Guard
from ansible_collections.zfsops.zrep.plugins.module_utils._core.locks import Lock
from ansible_collections.zfsops.zrep.plugins.module_utils._core.settings import private_directory
from ansible_collections.zfsops.zrep.plugins.module_utils._core.shell import Shell

from .builders import HOST, MODERN, OLD, master, side

FS = "nosuchpool/data"
TOOLS = ("sh", "id", "mkdir", "uname", "dd", "timeout")
PATIENCE = 10
"""Seconds that anything here may take that is a matter of moments."""

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="no flock(1) on this system")


@pytest.fixture(autouse=True)
def tools(tmp_path, monkeypatch):
    """A PATH with what the script needs, and no zfs."""
    found = tmp_path / "tools"
    found.mkdir()
    for name in (*TOOLS, "flock"):
        if shutil.which(name):
            (found / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(found))
    monkeypatch.setattr(shell, "_SEARCH", ())
    return found


@pytest.fixture
def rundir(tmp_path, monkeypatch):
    monkeypatch.setenv("ZREP_RUNDIR", str(tmp_path))
    return private_directory(os.environ)


class Traced(Shell):
    """Has the shell tell each command that it runs."""

    QUIET = "exec >/dev/null 2>&1\n"

    def __init__(self):
        super().__init__(HOST)
        self.trace = tempfile.TemporaryFile()  # noqa: SIM115 - it is read after the guard has ended

    def start(self, argv, complaints, keep=()):
        program, dummy, script = argv
        assert self.QUIET in script
        return super().start((program, "-xc", script.replace(self.QUIET, "")), self.trace, keep)

    def _traced(self):
        self.trace.seek(0)
        lines = [line.lstrip("+ ") for line in self.trace.read().decode().splitlines() if line.startswith("+")]
        assert "uname -n" in lines
        return [line for line in lines if line.startswith("zfs")]

    def calls(self):
        """The zfs commands that change something."""
        return [line for line in self._traced() if not line.startswith(("zfs list", "zfs get"))]

    def questions(self):
        """Those that ask for many datasets."""
        return [line for line in self._traced() if line.startswith("zfs list")]


def hold(filesystem=FS, tag="zrep", **more):
    return Guard(Shell(HOST), tag, filesystem, **more)


def take(rundir, filesystem=FS, tag="zrep"):
    return Lock(rundir, tag, filesystem, HOST)


def number_of(rundir):
    """The process that holds the only lock file."""
    (name,) = [name for name in os.listdir(rundir) if name.startswith("lock-")]
    with open(os.path.join(rundir, name), encoding="utf-8") as file:
        return json.load(file)["pid"]


def kill(rundir):
    """Kill a guard with all that it started."""
    os.killpg(number_of(rundir), signal.SIGKILL)


def soon_free(rundir):
    end = time.monotonic() + PATIENCE
    while True:
        try:
            take(rundir).release()
            return
        except Busy:
            assert time.monotonic() < end
            time.sleep(0.02)


# Holding


def test_a_guard_holds_its_filesystem_and_says_where_it_runs(rundir):
    with hold() as found:
        assert found.held
        assert found.host_name == os.uname().nodename
        assert not found.armed


def test_a_run_there_meets_the_guard_and_its_number(rundir):
    with hold():
        with pytest.raises(Busy) as caught:
            take(rundir)
        assert f"({number_of(rundir)})" in caught.value.message
    take(rundir).release()


def test_a_guard_meets_a_run_there(rundir):
    lock = take(rundir)
    with pytest.raises(Busy) as caught:
        hold()
    assert (caught.value.host, caught.value.dataset) == (HOST, FS)
    assert caught.value.left == "nothing was changed"
    lock.release()
    hold().close()


def test_a_second_move_meets_the_guard_of_the_first(rundir):
    with hold(), pytest.raises(Busy):
        hold()
    hold().close()


def test_a_guard_that_was_refused_leaves_the_lock_to_its_holder(rundir):
    lock = take(rundir)
    for _attempt in range(2):
        with pytest.raises(Busy):
            hold()
    with pytest.raises(Busy):
        take(rundir)
    assert number_of(rundir) == os.getpid()
    lock.release()


def test_other_filesystems_and_tags_are_free(rundir):
    with hold(), hold(FS + "/child"), hold(tag="dc"):
        take(rundir, "nosuchpool/other").release()


def test_whoever_looked_before_looks_again(rundir):
    """A guard cannot tell when its move ended, so any time counts as before it."""
    hold().close()
    lock = take(rundir)
    assert lock.used_since(time.monotonic_ns() + 10**15)
    lock.release()


def test_where_flock_is_missing_it_holds_nothing_and_guards_all_the_same(rundir, tools):
    (tools / "flock").unlink()
    with hold() as found:
        assert not found.held
        assert found.host_name
        found.arm(side(master()), MODERN)
        assert found.armed
        found.disarm()
        take(rundir).release()


def test_where_the_run_directory_cannot_be_used_it_holds_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZREP_RUNDIR", str(tmp_path / "file"))
    with hold() as found:
        assert not found.held
        assert found.host_name


def test_a_guard_beside_our_own_lock_keeps_that_alive(rundir):
    """It outlives what kills us, and so does the lock: nobody gets in before it has thawed the filesystem."""
    lock = take(rundir)
    found = hold(lock=False, keep=(lock.descriptor,))
    assert not found.held
    lock.release()
    with pytest.raises(Busy):
        take(rundir)
    found.close()
    take(rundir).release()


# Ending


def test_a_guard_ends_once(rundir):
    found = hold()
    found.close()
    found.close()
    take(rundir).release()


def test_a_guard_that_is_killed_holds_nothing(rundir):
    found = hold()
    kill(rundir)
    soon_free(rundir)
    found.close()


def test_a_guard_ends_with_the_process_that_started_it(rundir):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            hold()
            os.write(writing, b"x")
            time.sleep(60)
        finally:
            os._exit(1)
    os.close(writing)
    try:
        assert os.read(reading, 1) == b"x"
        with pytest.raises(Busy):
            take(rundir)
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    soon_free(rundir)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_a_guard_is_not_told_to_stop(rundir, number):
    """A terminal that is closed, or the ^C of a person, is meant for the move."""
    with hold() as found:
        os.kill(number_of(rundir), number)
        found.arm(side(master()), MODERN)
        found.disarm()
        with pytest.raises(Busy):
            take(rundir)


def test_a_guard_whose_other_end_is_silent_ends(rundir, monkeypatch):
    monkeypatch.setattr(guard, "SILENCE_SECONDS", 1)
    monkeypatch.setattr(attending, "BEAT_SECONDS", 3600)
    found = hold()
    soon_free(rundir)
    with pytest.raises(Unreachable):
        found.disarm()
    found.close()


def test_signs_of_life_keep_it(rundir, monkeypatch):
    monkeypatch.setattr(guard, "SILENCE_SECONDS", 2)
    monkeypatch.setattr(attending, "BEAT_SECONDS", 0.1)
    with hold() as found:
        time.sleep(2.5)
        found.arm(side(master()), MODERN)
        found.disarm()


# Arming


def test_arming_and_disarming_are_confirmed(rundir):
    with hold() as found:
        for _attempt in range(2):
            found.arm(side(master()), MODERN)
            assert found.armed
            found.disarm()
            assert not found.armed


@pytest.mark.parametrize("word", ["arm", "disarm"])
def test_a_guard_that_was_killed_cannot_be_armed_or_disarmed(rundir, word):
    with hold() as found:
        if word == "disarm":
            found.arm(side(master()), MODERN)
        kill(rundir)
        with pytest.raises(Unreachable) as caught:
            found.disarm() if word == "disarm" else found.arm(side(master()), MODERN)
        assert (caught.value.host, caught.value.dataset) == (HOST, FS)
        assert caught.value.left == ("nothing was changed" if word == "arm" else "")


@pytest.mark.parametrize("disarmed", [False, True])
def test_a_guard_that_is_not_armed_never_calls_zfs(rundir, disarmed):
    where = Traced()
    found = Guard(where, "zrep", FS)
    if disarmed:
        found.arm(side(master()), MODERN)
        found.disarm()
    found.close()
    assert where.calls() == []


@pytest.mark.parametrize(
    ("properties", "calls"),
    [
        ({"mounted": "no"}, [f"zfs inherit readonly {FS}"]),
        ({"mounted": "no", "readonly": ("on", "inherited")}, [f"zfs inherit readonly {FS}"]),
        ({"mounted": "no", "readonly": "on"}, [f"zfs inherit readonly {FS}"]),
        ({"mounted": "no", "readonly": "off"}, [f"zfs set readonly=off {FS}"]),
        ({"mounted": "yes"}, [f"zfs inherit readonly {FS}", f"zfs mount {FS}"]),
        ({"mounted": "yes", "readonly": "off"}, [f"zfs set readonly=off {FS}", f"zfs mount {FS}"]),
    ],
)
@pytest.mark.parametrize("features", [MODERN, OLD], ids=["modern", "old"])
def test_an_armed_guard_would_give_it_back_as_it_was(rundir, features, properties, calls):
    where = Traced()
    found = Guard(where, "zrep", FS)
    found.arm(side(master(properties=properties)), features)
    found.close()
    assert where.calls() == calls


@pytest.mark.parametrize(("features", "mounted", "asks"), [(MODERN, "yes", 0), (OLD, "no", 0), (OLD, "yes", 1)])
def test_what_is_mounted_below_is_only_asked_where_freezing_unmounts_it(rundir, features, mounted, asks):
    where = Traced()
    found = Guard(where, "zrep", FS)
    found.arm(side(master(properties={"mounted": mounted})), features)
    found.close()
    assert where.questions() == asks * [" ".join(zfs.list_mounted(FS))]


def test_an_armed_guard_that_hears_nothing_more_calls_zfs(rundir, monkeypatch):
    monkeypatch.setattr(guard, "SILENCE_SECONDS", 1)
    monkeypatch.setattr(attending, "BEAT_SECONDS", 3600)
    where = Traced()
    found = Guard(where, "zrep", FS)
    found.arm(side(master(properties={"mounted": "no"})), MODERN)
    soon_free(rundir)
    assert where.calls() == [f"zfs inherit readonly {FS}"]
    found.close()


# Where none can be had


class Answering(Shell):
    """Runs something else than what it is told."""

    def __init__(self, script):
        super().__init__(HOST)
        self.script = script

    def start(self, argv, complaints, keep=()):
        return super().start(("sh", "-c", self.script), complaints, keep)


def test_a_host_that_cannot_be_reached_is_said_so():
    refused = "echo 'ssh: connect to host hosta port 22: Connection refused' >&2; exit 255"
    with pytest.raises(Unreachable) as caught:
        Guard(Answering(refused), "zrep", FS)
    assert "nothing listens" in caught.value.message


@pytest.mark.parametrize("script", ["exit 1", "echo 'not allowed'; exit 1", "echo 'not allowed' >&2; exit 126"])
def test_where_only_some_commands_are_allowed_there_is_no_guard(script):
    with Guard(Answering(script), "zrep", FS) as found:
        assert not found.held
        assert found.host_name == ""
        found.arm(side(master()), MODERN)
        assert not found.armed
        found.disarm()


# Where the link breaks while it is told to let go


def test_a_guard_that_does_not_confirm_that_it_lets_go_promises_nothing():
    """It may have heard that, and its answer was lost, or not."""
    script = "echo ready no hosta; dd bs=1 count=1; echo armed; dd bs=1 count=1"
    with Guard(Answering(script.replace("count=1", "count=1 >/dev/null 2>&1")), "zrep", FS) as found:
        found.arm(side(master(properties={"mounted": "no"})), MODERN)
        assert found.armed
        with pytest.raises(Unreachable) as caught:
            found.disarm()
        assert "writable" not in str(caught.value)
        assert not found.armed


def test_a_guard_that_could_not_be_told_to_let_go_is_still_armed(rundir):
    with hold() as found:
        found.arm(side(master()), MODERN)
        kill(rundir)
        soon_free(rundir)
        with pytest.raises(Unreachable):
            found.disarm()
        assert found.armed
