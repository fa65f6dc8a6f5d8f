# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script's global lock, with real files and real processes. Only the clock is not real: nothing is waited for."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import globallock
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import BadLock, Busy
from ansible_collections.zfsops.zrep.plugins.module_utils._core.globallock import global_lock

from .builders import HOST

SECONDS = 10
GARBAGE = [b"", b"\n", b"x\n", b"-5\n", b"0\n", b"1 2\n", b"\xff\xfe", b"5" * 64]


class Clock:
    """Stands in for the module time: to sleep is to let the clock go on, and to do something if the test wants it."""

    def __init__(self):
        self.now = 1000.0
        self.during = {}
        self.always = lambda: None

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.always()
        for moment in sorted(self.during):
            if self.now >= moment:
                self.during.pop(moment)()

    @property
    def waited(self):
        return self.now - 1000.0

    def after(self, seconds, call):
        self.during[1000.0 + seconds] = call


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(globallock, "time", made)
    return made


@pytest.fixture
def path(tmp_path):
    return tmp_path / "zrep.lock"


@pytest.fixture
def child():
    """Another process that lives until it is told to end."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    yield process.pid
    process.kill()
    process.communicate()


@pytest.fixture
def dead():
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def hold(tmp_path, seconds=SECONDS):
    return global_lock(str(tmp_path), seconds, HOST)


def take(path, seconds=SECONDS):
    """Take the lock and see that it is ours, whatever was there before."""
    with hold(path.parent, seconds):
        assert path.read_text() == f"{os.getpid()}\n"
    assert os.listdir(str(path.parent)) == []


def test_it_has_our_number_as_long_as_it_is_held(path, clock):
    with hold(path.parent):
        # Whoever reads it finds the number, also as another user.
        assert path.read_text() == f"{os.getpid()}\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert os.listdir(str(path.parent)) == ["zrep.lock"]
    assert os.listdir(str(path.parent)) == []
    assert clock.waited == 0


def test_it_never_is_without_a_number(path, monkeypatch):
    """The script ends for good when it reads an empty one."""
    seen = []
    link = os.link

    def linked(*names):
        link(*names)
        seen.append(path.read_text())

    monkeypatch.setattr(os, "link", linked)
    take(path)
    assert seen == [f"{os.getpid()}\n"]


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_it_is_let_go_of_whatever_happens(path, error):
    with pytest.raises(error), hold(path.parent):
        raise error
    assert os.listdir(str(path.parent)) == []


@pytest.mark.acceptance(69)
@pytest.mark.parametrize("seconds", [0, 1, 10])
def test_case_69_a_live_process_is_waited_for_and_left_alone(path, clock, child, seconds):
    path.write_text(f"{child}\n")
    before = path.stat()
    with pytest.raises(Busy) as caught, hold(path.parent, seconds):
        pytest.fail("both hold it")
    assert str(child) in caught.value.message
    assert str(path) in caught.value.message
    assert caught.value.host == HOST
    assert caught.value.left == "nothing was changed"
    assert f"rm {path}" in caught.value.hint
    assert seconds <= clock.waited <= seconds + 2 * globallock.POLL_SECONDS
    assert path.stat() == before
    assert path.read_text() == f"{child}\n"
    assert os.listdir(str(path.parent)) == ["zrep.lock"]


def test_a_live_process_that_ends_in_time(path, clock, child):
    path.write_text(f"{child}\n")
    clock.after(5, lambda: os.unlink(str(path)))
    take(path)
    assert 5 <= clock.waited < 6


def test_a_live_process_that_is_killed_while_it_holds_it(path, clock):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    path.write_text(f"{process.pid}\n")

    def kill():
        process.kill()
        process.communicate()

    clock.after(5, kill)
    take(path)
    assert 5 <= clock.waited < 6


@pytest.mark.acceptance(69)
def test_case_69_what_a_dead_process_left_is_removed_at_once(path, clock, dead):
    path.write_text(f"{dead}\n")
    take(path, seconds=0)
    assert clock.waited == 0


def test_our_own_number_that_somebody_else_had_before(path, clock):
    path.write_text(f"{os.getpid()}\n")
    take(path, seconds=0)


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="no proc(5) on this system")
def test_a_number_that_was_given_out_again(path, clock, child):
    path.write_text(f"{child}\n")
    os.utime(str(path), (time.time() - 86400, time.time() - 86400))
    take(path, seconds=0)


@pytest.mark.acceptance(69)
@pytest.mark.parametrize("seconds", [0, 10])
@pytest.mark.parametrize("content", GARBAGE)
def test_case_69_one_without_a_number_is_removed_when_it_stays_so(path, clock, content, seconds):
    path.write_bytes(content)
    seen = []
    clock.always = lambda: seen.append(path.read_bytes())
    take(path, seconds)
    patience = max(seconds, globallock.WRITING_SECONDS)
    assert patience <= clock.waited <= patience + 2 * globallock.POLL_SECONDS
    assert set(seen) == {content}


def test_one_without_a_number_gets_it_in_the_end(path, clock, child):
    path.write_bytes(b"")
    clock.after(5, lambda: path.write_text(f"{child}\n"))
    with pytest.raises(Busy) as caught, hold(path.parent):
        pytest.fail("both hold it")
    assert str(child) in caught.value.message
    assert path.read_text() == f"{child}\n"


def test_one_without_a_number_that_is_a_new_one_again_and_again(path, clock):
    """Each was made a moment ago, so none of them is known to be left alone."""
    path.write_bytes(b"")

    def renew():
        (path.parent / "new").write_bytes(b"")
        os.replace(str(path.parent / "new"), str(path))

    clock.always = renew
    with pytest.raises(Busy, match=str(path)), hold(path.parent):
        pytest.fail("both hold it")
    assert clock.waited >= SECONDS


@pytest.mark.parametrize("target", ["victim", "nothing"])
def test_a_link_in_its_place_is_not_followed(path, clock, dead, target):
    victim = path.parent / "victim"
    victim.write_text(f"{dead}\n")
    os.symlink(str(path.parent / target), str(path))
    with pytest.raises(BadLock) as caught, hold(path.parent):
        pytest.fail("a link is no lock")
    assert str(path) in caught.value.message
    assert f"rm {path}" in caught.value.hint
    assert path.is_symlink()
    assert victim.read_text() == f"{dead}\n"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_something_else_in_its_place(path, clock, make):
    make(str(path))
    with pytest.raises(BadLock, match=str(path)), hold(path.parent):
        pytest.fail("that is no lock")
    assert path.exists()


def test_no_directory_for_it(path):
    with pytest.raises(BadLock) as caught, hold(path.parent / "nowhere"):
        pytest.fail("where is it?")
    assert str(path.parent / "nowhere") in caught.value.message
    assert "ZREP_RUNDIR" in caught.value.hint


def test_no_room_for_it(path, monkeypatch):
    def full(*dummy):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(BadLock, match="No space left"), hold(path.parent):
        pytest.fail("it is not there")
    assert os.listdir(str(path.parent)) == []


def test_a_dead_one_that_may_not_be_removed(path, clock, dead, monkeypatch):
    path.write_text(f"{dead}\n")
    unlink = os.unlink

    def refuse(name):
        if name == str(path):
            raise PermissionError(1, "Operation not permitted", name)
        unlink(name)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(BadLock, match="Operation not permitted"), hold(path.parent):
        pytest.fail("it is still there")
    assert os.listdir(str(path.parent)) == ["zrep.lock"]


def replace(path, content):
    os.unlink(str(path))
    path.write_bytes(content)


# Of two that find a dead one, the second must not remove what the first has put there.
@pytest.mark.parametrize("change", [replace, lambda path, content: path.write_bytes(content)])
@pytest.mark.parametrize("old", ["dead", "garbage"])
def test_somebody_else_takes_it_in_the_moment_of_removal(path, clock, dead, child, monkeypatch, change, old):
    path.write_text(f"{dead}\n" if old == "dead" else "")
    flock = globallock.fcntl.flock
    taken = []

    def late(file, operation):
        flock(file, operation)
        if not taken:
            taken.append(change(path, b"%d\n" % child))

    monkeypatch.setattr(globallock.fcntl, "flock", late)
    with pytest.raises(Busy) as caught, hold(path.parent):
        pytest.fail("both hold it")
    assert taken
    assert str(child) in caught.value.message
    assert path.read_text() == f"{child}\n"


def test_somebody_else_is_removing_it(path, clock, dead):
    path.write_text(f"{dead}\n")
    with open(str(path), "rb") as file:
        globallock.fcntl.flock(file, globallock.fcntl.LOCK_EX)
        clock.after(5, file.close)
        take(path)
    assert 5 <= clock.waited < 6


def test_one_that_is_not_ours_any_more_is_left_alone(path, child):
    """Somebody removed ours by hand, and the script took it then."""
    with hold(path.parent):
        replace(path, b"%d\n" % child)
    assert path.read_text() == f"{child}\n"


def fork(work):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid


@pytest.mark.acceptance(69)
def test_case_69_several_recover_at_once_and_one_holds_it(path, dead):
    path.write_text(f"{dead}\n")
    inside = path.parent / "inside"
    ready, go = os.pipe()

    def work():
        os.close(go)
        os.read(ready, 1)
        for _round in range(5):
            with hold(path.parent, 60):
                os.mkdir(str(inside))  # Fails if another one is inside.
                os.rmdir(str(inside))

    running = [fork(work) for _number in range(8)]
    os.close(go)
    os.close(ready)
    assert [os.waitpid(pid, 0)[1] for pid in running] == [0] * 8
    assert os.listdir(str(path.parent)) == []


def test_what_we_leave_when_we_are_killed_stops_none_of_us(path):
    """The script would not get on; the time in which that can happen is short."""
    reading, writing = os.pipe()

    def work():
        with hold(path.parent):
            os.write(writing, b"x")
            signal.pause()

    pid = fork(work)
    assert os.read(reading, 1) == b"x"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert path.read_text() == f"{pid}\n"
    take(path, seconds=0)
