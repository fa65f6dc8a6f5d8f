# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks, with real files and real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import locks
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import Busy
from ansible_collections.zfsops.zrep.plugins.module_utils._core.shell import Completed, Shell

from .builders import FS, HOST, PEER_HOST, master, replica, side

needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="no proc(5) on this system")


def take(rundir, filesystem=FS, tag="zrep"):
    return locks.Lock(str(rundir), tag, filesystem, HOST)


@pytest.fixture
def child():
    """Another process that lives until it is told to end."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def ended():
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_second_gets_busy_and_the_number_of_the_first(tmp_path):
    first = take(tmp_path)
    with pytest.raises(Busy) as caught:
        take(tmp_path)
    assert str(os.getpid()) in caught.value.message
    assert (caught.value.host, caught.value.dataset) == (HOST, FS)
    first.release()
    take(tmp_path).release()


def test_a_file_that_root_made_for_several_users_is_locked_instead(tmp_path, monkeypatch):
    """Each user has a run directory of his own."""
    shared, one, another = (tmp_path / name for name in ("shared", "one", "another"))
    for path in (shared, one, another):
        path.mkdir()
    monkeypatch.setattr(locks, "SHARED", str(shared))
    take(one)
    take(another)
    (shared / locks.file_name("zrep", FS)).touch()
    lock = take(one)
    with pytest.raises(Busy):
        take(another)
    take(another, tag="dc").release()
    lock.release()
    take(another).release()
    assert [path.name for path in shared.iterdir()] == [locks.file_name("zrep", FS)]


def test_a_link_in_place_of_a_file_of_several_users_is_not_followed(tmp_path, monkeypatch):
    (tmp_path / "shared").mkdir()
    (tmp_path / "victim").write_text("precious", encoding="ascii")
    (tmp_path / "shared" / locks.file_name("zrep", FS)).symlink_to(tmp_path / "victim")
    monkeypatch.setattr(locks, "SHARED", str(tmp_path / "shared"))
    take(tmp_path).release()
    assert (tmp_path / "victim").read_text(encoding="ascii") == "precious"


def test_other_filesystems_and_tags_are_free(tmp_path):
    held = [take(tmp_path), take(tmp_path, FS + "/child"), take(tmp_path, tag="dc")]
    for lock in held:
        lock.release()


def hold_in_another_process(rundir):
    """Lock in a process of its own; returns when it has the lock."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            take(rundir)
            os.write(writing, b"x")
            while True:
                time.sleep(60)
        finally:
            os._exit(1)
    os.close(writing)
    assert os.read(reading, 1) == b"x"
    os.close(reading)
    return pid


def test_another_process_is_kept_out_until_the_holder_dies(tmp_path):
    pid = hold_in_another_process(tmp_path)
    try:
        with pytest.raises(Busy) as caught:
            take(tmp_path)
        assert str(pid) in caught.value.message
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    take(tmp_path).release()


def test_the_programs_of_a_stream_keep_the_lock(tmp_path):
    lock = take(tmp_path)
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=(lock.descriptor,)
    )
    try:
        # As if the process that started them had died.
        os.close(lock.descriptor)
        with pytest.raises(Busy):
            take(tmp_path)
    finally:
        child.kill()
        child.communicate()
    take(tmp_path).release()


def test_other_programs_do_not_inherit_the_lock(tmp_path):
    lock = take(tmp_path)
    assert not os.get_inheritable(lock.descriptor)
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        lock.release()
        take(tmp_path).release()
    finally:
        other.kill()
        other.communicate()


def test_whether_somebody_finished_in_between(tmp_path):
    before = time.monotonic_ns()
    first = take(tmp_path)
    assert not first.used_since(before)
    first.release()
    after = time.monotonic_ns()
    second = take(tmp_path)
    assert second.used_since(before)
    assert not second.used_since(after)
    second.release()


@pytest.mark.parametrize("content", ["", "{", "[]", "5", '{"finished": "x"}', "\0\0", '{"pid": null}'])
def test_whatever_is_in_the_file_is_no_obstacle(tmp_path, content):
    lock = take(tmp_path)
    path = os.readlink(f"/proc/self/fd/{lock.descriptor}") if os.path.exists("/proc/self/fd") else ""
    lock.release()
    if not path:
        pytest.skip("cannot tell the name of an open file")
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)
    again = take(tmp_path)
    assert not again.used_since(1)
    again.release()


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path):
    take(tmp_path).release()
    (name,) = os.listdir(str(tmp_path))
    victim = tmp_path / "victim"
    victim.write_text("precious")
    os.remove(str(tmp_path / name))
    os.symlink(str(victim), str(tmp_path / name))
    with pytest.raises(OSError, match=r".*"):
        take(tmp_path)
    assert victim.read_text() == "precious"


# The script's lock


def locked_by(pid, since=None, source="local"):
    values = {"zrep:lock-pid": (str(pid), source)}
    if since is not None:
        values["zrep:lock-time"] = (since, source)
    return side(master(properties=values))


@pytest.mark.acceptance(66)
def test_case_66_a_live_process_of_the_script_is_respected(child):
    for since in (None, locks.lock_time(int(time.time()) + 5), "nonsense"):
        with pytest.raises(Busy) as caught:
            locks.check_script_lock(locked_by(child.pid, since))
        assert str(child.pid) in caught.value.message


@pytest.mark.acceptance(67)
def test_case_67_a_dead_process_of_the_script_is_not(ended):
    locks.check_script_lock(locked_by(ended))
    locks.check_script_lock(locked_by(ended, locks.lock_time(int(time.time()))))


@needs_proc
@pytest.mark.acceptance(67)
def test_case_67_a_process_number_that_was_given_out_again(child):
    """The process is younger than the lock, so it never took it."""
    locks.check_script_lock(locked_by(child.pid, "20200101000000"))


def test_our_own_lock_is_no_obstacle():
    locks.check_script_lock(locked_by(os.getpid()))


def test_a_lock_that_came_with_a_stream_is_none(child):
    locks.check_script_lock(locked_by(child.pid, source="received"))


@pytest.mark.parametrize("pid", ["", "x", "-1", "99999999999999999999"])
def test_nonsense_is_no_lock(pid):
    locks.check_script_lock(locked_by(pid))


def test_nobody_holds_a_lock():
    locks.check_script_lock(side(master()))
    locks.check_script_lock(side(replica()))


def test_process_1_lives_though_it_is_not_ours():
    with pytest.raises(Busy):
        locks.check_script_lock(locked_by(1))


def test_process_0_is_no_process():
    """Signals to 0 reach the group of the sender, so that the question alone says yes for ever."""
    locks.check_script_lock(locked_by(0))


def test_times_are_written_as_the_script_does(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        assert locks.lock_time(0) == "19700101000000"
    finally:
        monkeypatch.undo()
        time.tzset()


# The script's lock on another host: asked for through a shell, which is one of this host here


class Answer(Shell):
    """A shell that always gets the same answer."""

    def __init__(self, *answer):
        super().__init__(PEER_HOST)
        self.answer = answer

    def run(self, argv):
        return Completed(*self.answer)


def check_there(pid, since=None, shell=None):
    locks.check_script_lock_there(locked_by(pid, since), shell or Shell(PEER_HOST))


def stamp(ago=0):
    return locks.lock_time(int(time.time()) - ago)


# A clock that was put forward for the summer must not make a process look younger than its lock.
@pytest.mark.parametrize("since", [None, "nonsense", stamp(), stamp(3000)], ids=["none", "nonsense", "now", "before"])
@pytest.mark.acceptance(66)
def test_case_66_a_live_process_over_there(child, since):
    with pytest.raises(Busy) as caught:
        check_there(child.pid, since)
    assert str(child.pid) in caught.value.message
    assert "zfs inherit zrep:lock-pid" in caught.value.hint


@pytest.mark.acceptance(67)
def test_case_67_a_dead_process_over_there(ended):
    check_there(ended)
    check_there(ended, stamp())


@pytest.mark.acceptance(67)
def test_case_67_a_number_that_was_given_out_again_over_there(child):
    check_there(child.pid, stamp(2 * 86400))


@pytest.mark.acceptance(67)
def test_case_67_a_process_over_there_that_nobody_waits_for():
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    try:
        check_there(process.pid, stamp())
    finally:
        process.wait()


@pytest.mark.parametrize("answer", [(0, "", ""), (0, "S x 20260101000000", ""), (0, "S 5", "")])
def test_over_there_a_ps_that_cannot_tell_the_age(answer):
    with pytest.raises(Busy):
        check_there(5, "20200101000000", Answer(*answer))


def test_over_there_nobody_is_asked_where_nothing_is_set():
    locks.check_script_lock_there(side(master()), None)
    locks.check_script_lock_there(None, None)
