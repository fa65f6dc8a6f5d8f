# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the script's locks are taken, how, and what becomes of what somebody else holds."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import globallock, locks, scriptlocks, session, shell
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import Busy, CommandFailed, NotFound, Unreachable
from ansible_collections.zfsops.zrep.plugins.module_utils._core.plan import Plan
from ansible_collections.zfsops.zrep.plugins.module_utils._core.scriptlocks import (
    AT_ONCE,
    ScriptLocks,
    is_ours,
    script_is_around,
)
from ansible_collections.zfsops.zrep.plugins.module_utils._core.session import Session
from ansible_collections.zfsops.zrep.plugins.module_utils._core.settings import ALWAYS, AUTO, NEVER, Settings
from ansible_collections.zfsops.zrep.plugins.module_utils._core.shell import Completed, Shell
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE, State
from ansible_collections.zfsops.zrep.plugins.module_utils._core.steps import SetProperties

from .builders import FS, HOST, MODERN, OLD, master, observed, own, sent

PID, TIME = "zrep:lock-pid", "zrep:lock-time"
OTHER = "pool1/other"


class Pool(Shell):
    """The lock properties of filesystems, and the commands that come for them.

    :param log: the properties and the filesystems of each command, and whether the global lock was held meanwhile.
    :param failing: words of a command, and what zfs says then; or an error.
    """

    def __init__(self, rundir, filesystems):
        super().__init__(HOST)
        self.values = {name: {} for name in filesystems}
        self.log = []
        self.failing = {}
        self.rundir = rundir

    def run(self, argv):
        lock = self.rundir / globallock.NAME
        self.log.append((*argv[1:], lock.read_text().strip() if lock.exists() else "no global lock"))
        for words, said in self.failing.items():
            if words in " ".join(argv):
                if isinstance(said, Exception):
                    raise said
                return Completed(1, "", said)
        return Completed(0, getattr(self, argv[1])(list(argv[2:])), "")

    def get(self, words):
        assert words[:3] == ["-Hp", "-o", "name,property,value,source"]
        properties = words[3].split(",")
        rows = [(name, prop, self.values[name].get(prop)) for name in words[4:] for prop in properties]
        return "".join(
            "{}\t{}\t{}\t{}\n".format(name, prop, value or "-", "local" if value else "-") for name, prop, value in rows
        )

    def set(self, words):
        pairs = [word.split("=") for word in words if "=" in word]
        for name in words[len(pairs) :]:
            self.values[name].update(pairs)
        return ""

    def inherit(self, words):
        for name in words[1:]:
            self.values[name].pop(words[0], None)
        return ""

    @property
    def verbs(self):
        return [words[0] for words in self.log]


@pytest.fixture
def pool(tmp_path):
    return Pool(tmp_path, [FS, OTHER])


@pytest.fixture
def held(pool):
    return made(pool)


def made(pool, mode=ALWAYS, **more):
    values = {"identity": HOST, "lock_properties": mode, "script_rundir": str(pool.rundir), "lock_retry": 0}
    return ScriptLocks(Settings(**{**values, **more}), pool)


@pytest.fixture
def child():
    """Another process that lives until it is told to end."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    yield process.pid
    process.kill()
    process.communicate()


def ours(pool, name):
    return pool.values[name].get(PID) == str(os.getpid())


# Taking and letting go


@pytest.mark.acceptance(68)
@pytest.mark.parametrize("features", [MODERN, OLD])
def test_case_68_both_properties_are_set_under_the_global_lock(pool, held, features):
    before = locks.lock_time(int(time.time()))
    assert held.take([FS, OTHER], features) == {}
    for name in (FS, OTHER):
        assert ours(pool, name)
        assert before <= pool.values[name][TIME] <= locks.lock_time(int(time.time()))
    # A number beside the time of one who is dead would look like that of a younger process: no lock.
    sets = [words[1:-1] for words in pool.log if words[0] == "set"]
    pairs = [word.partition("=")[0] for words in sets for word in words if "=" in word]
    assert pairs == [TIME, PID]
    assert len(sets) == (1 if features is MODERN else 2)
    assert {words[-1] for words in pool.log} == {str(os.getpid())}
    assert os.listdir(str(pool.rundir)) == []


@pytest.mark.acceptance(68)
def test_case_68_both_are_gone_afterwards(pool, held):
    held.take([FS, OTHER], MODERN)
    pool.log.clear()
    held.release()
    assert pool.values == {FS: {}, OTHER: {}}
    # The number last: without it there is no lock.
    assert [words[:2] for words in pool.log] == [("inherit", TIME), ("inherit", PID)]
    assert pool.log[0][-1] == "no global lock"
    held.release()
    assert pool.verbs == ["inherit", "inherit"]


def test_what_is_held_is_not_taken_again(pool, held):
    held.take([FS], MODERN)
    pool.log.clear()
    assert held.take([FS], MODERN) == {}
    assert pool.log == []


@pytest.mark.acceptance(66)
def test_case_66_a_live_one_is_left_and_the_others_are_taken(pool, held, child):
    pool.values[FS] = {PID: str(child), TIME: locks.lock_time(int(time.time()))}
    before = dict(pool.values[FS])
    refused = held.take([FS, OTHER], MODERN)
    assert list(refused) == [FS]
    assert isinstance(refused[FS], Busy)
    assert refused[FS].dataset == FS
    assert str(child) in refused[FS].message
    assert ours(pool, OTHER)
    held.release()
    assert pool.values == {FS: before, OTHER: {}}


@pytest.mark.acceptance(67)
@pytest.mark.parametrize("since", ["20200101000000", "nonsense"])
@pytest.mark.parametrize("pid", ["4194000", "garbage", "0"])
def test_case_67_a_dead_one_is_taken_over(pool, held, pid, since):
    pool.values[FS] = {PID: pid, TIME: since}
    assert held.take([FS], MODERN) == {}
    assert ours(pool, FS)


@pytest.mark.acceptance(69)
def test_case_69_a_global_lock_that_is_not_to_be_had(pool, held, child, monkeypatch):
    """It is waited for once, not for each of many filesystems."""
    many = [f"pool1/{number}" for number in range(3 * AT_ONCE)]
    (pool.rundir / globallock.NAME).write_text(f"{child}\n")
    waits = []
    monkeypatch.setattr(
        scriptlocks, "global_lock", lambda *args: (waits.append(args), globallock.global_lock(*args))[1]
    )
    refused = held.take(many, MODERN)
    assert len(waits) == 1
    assert list(refused) == many
    assert [error.dataset for error in refused.values()] == many
    assert {type(error) for error in refused.values()} == {Busy}
    assert pool.log == []
    held.release()
    assert pool.log == []


def test_the_global_lock_is_let_go_of_between_many(tmp_path):
    """Each filesystem costs a commit, and the script waits for seconds only."""
    many = [f"pool1/{number}" for number in range(2 * AT_ONCE + 1)]
    pool = Pool(tmp_path, many)
    assert made(pool).take(many, MODERN) == {}
    assert all(ours(pool, name) for name in many)
    assert pool.verbs == ["get", "set"] * 3
    assert max(len(words) for words in pool.log if words[0] == "set") <= AT_ONCE + 4


def test_one_that_cannot_be_locked_does_not_stop_the_others(pool, held):
    pool.failing = {f"{PID}={os.getpid()} {FS}": "cannot set property: permission denied"}
    refused = held.take([FS, OTHER], MODERN)
    assert list(refused) == [FS]
    assert refused[FS].code == "denied"
    assert refused[FS].dataset == FS
    assert ours(pool, OTHER)


def test_a_value_that_breaks_the_table_does_not_stop_the_others(pool, held, child):
    """It could pretend that nobody has the lock on the next one."""
    pool.values[FS] = {PID: f"1\tlocal\n{OTHER}\t{PID}\t-\t-\n{OTHER}\t{TIME}\t-"}
    pool.values[OTHER] = {PID: str(child)}
    refused = held.take([FS, OTHER], MODERN)
    assert (refused[FS].code, refused[OTHER].code) == ("bad_property", "busy")


def test_one_that_is_not_there(pool, held):
    pool.failing = {f",{TIME} gone": "cannot open 'gone': dataset does not exist"}
    refused = held.take(["gone", FS], MODERN)
    assert list(refused) == ["gone"]
    assert isinstance(refused["gone"], NotFound)
    assert ours(pool, FS)


def test_a_release_that_fails_is_no_failure(pool, held):
    """Once this process has ended it is nobody's lock."""
    held.take([FS], MODERN)
    pool.failing = {"inherit": "pool is suspended"}
    held.release()
    pool.failing = {"inherit": Unreachable("never mind")}
    held.take([OTHER], MODERN)
    held.release()


# What somebody else does meanwhile


def test_a_lock_that_replaced_ours_is_told_and_stays(pool, held, child):
    """The script does that if it saw no lock before ours was there."""
    held.take([FS, OTHER], MODERN)
    assert held.lost() == {}
    pool.values[FS][PID] = str(child)
    assert held.lost() == {FS: child}
    assert held.lost() == {}
    held.release()
    assert pool.values == {FS: {PID: str(child), TIME: pool.values[FS][TIME]}, OTHER: {}}


def test_nothing_is_asked_where_nothing_is_held(pool, held):
    assert held.lost() == {}
    held.release()
    assert pool.log == []


def test_what_cannot_be_asked_is_still_ours(pool, held):
    held.take([FS], MODERN)
    pool.failing = {"get": "internal error: out of memory"}
    assert held.lost() == {}
    pool.failing = {}
    held.release()
    assert pool.values[FS] == {}


BEFORE = master(*sent(0, 1), own(2))


def checked(held, now, before=BEFORE):
    return held.check_kept(observed(before), observed(now))


def locked(*words, pid=None, **properties):
    found = {PID: str(pid or os.getpid()), TIME: "20260101000000", **properties}
    return master(*(words or (*sent(0, 1), own(2))), properties=found)


@pytest.mark.parametrize(
    "now",
    [
        locked(),
        # Those of others are none of the script's.
        locked(*sent(0, 1), own(2), "daily-1"),
        locked(*sent(0, 1), own(2), **{"dc:sent": "1"}),
    ],
)
def test_nobody_worked_on_it(held, now):
    assert checked(held, now) is None


@pytest.mark.parametrize(
    "now",
    [
        locked(*sent(0, 1), own(2), own(3)),
        locked(*sent(0, 1, 2)),
        locked(*sent(1), own(2)),
        locked(*sent(0, 1), "zrep_000002=another"),
        locked(*sent(0, 1), own(2), **{"zrep:savecount": "7"}),
        locked(*sent(0, 1), own(2), **{"zrep:master": ("yes", "received")}),
        None,
    ],
)
def test_somebody_worked_on_it(held, now):
    error = checked(held, now)
    assert isinstance(error, Busy)
    assert (error.host, error.dataset, error.left) == (HOST, FS, "nothing was changed")


def test_somebody_took_it_in_this_moment(pool, held, child):
    held.take([FS], MODERN)
    error = checked(held, locked(pid=child))
    assert isinstance(error, Busy)
    assert str(child) in error.message
    pool.log.clear()
    held.release()
    assert pool.log == []


# In a run


class Run(Session):
    """A run that sees what the test says, and works on a Pool."""

    now_seen = BEFORE

    def look_here(self, filesystems, more=()):
        return {FS: observed(self.now_seen)}


STEP = SetProperties(HERE, FS, "the test wants it", values=(("zrep:savecount", "9"),))


@pytest.fixture
def run(pool, monkeypatch, tmp_path):
    monkeypatch.setattr(session, "Shell", lambda host: pool)
    values = {"identity": HOST, "script_rundir": str(tmp_path), "rundir": str(tmp_path), "lock_retry": 0}

    def start(mode=ALWAYS, dry=False):
        return Run(Settings(lock_properties=mode, **values), dry)

    return start


def carry_out(started, *steps):
    seen = observed(BEFORE)
    with started as running:
        running.now_seen = locked()
        (work,) = running.carry_out([(seen, Plan(FS, State(seen.here, None), steps))])
    return work


@pytest.mark.acceptance(68)
def test_case_68_the_lock_is_there_while_we_work_and_gone_afterwards(pool, run):
    seen = []
    setting = pool.set
    pool.set = lambda words: (seen.append(ours(pool, FS)), setting(words))[1]
    assert carry_out(run(), STEP).error is None
    assert seen[-1] is True
    assert pool.values[FS] == {"zrep:savecount": "9"}
    assert pool.verbs == ["get", "set", "set", "set", "get", "inherit", "inherit"]


@pytest.mark.parametrize(
    ("mode", "dry", "steps"), [(NEVER, False, [STEP]), (ALWAYS, True, [STEP]), (ALWAYS, False, [])]
)
def test_where_no_lock_is_needed(pool, run, mode, dry, steps):
    carry_out(run(mode, dry), *steps)
    assert not any(PID in " ".join(words) for words in pool.log)
    assert os.listdir(str(pool.rundir)) == []


@pytest.mark.acceptance(66)
def test_case_66_what_the_script_holds_is_not_worked_on(pool, run, child):
    pool.values[FS] = {PID: str(child)}
    work = carry_out(run(), STEP)
    assert isinstance(work.error, Busy)
    assert work.done == []
    assert pool.values[FS] == {PID: str(child)}


def test_what_was_worked_on_in_between_is_not_worked_on(pool, run):
    started = run()
    started.look_here = lambda filesystems: {FS: observed(locked(*sent(0, 1, 2)))}
    work = carry_out(started, STEP)
    assert isinstance(work.error, Busy)
    assert work.done == []
    assert pool.values[FS] == {}


def test_what_cannot_be_looked_at_again_is_not_worked_on(pool, run):
    def fail(filesystems):
        raise CommandFailed("no")

    started = run()
    started.look_here = fail
    work = carry_out(started, STEP)
    assert isinstance(work.error, CommandFailed)
    assert work.done == []
    assert pool.values[FS] == {}


def test_who_took_it_over_while_we_worked_is_told(pool, run, child):
    setting = pool.set

    def overtaken(words):
        pool.values[FS][PID] = str(child)
        return ""

    pool.set = lambda words: overtaken(words) if "zrep:savecount=9" in words else setting(words)
    work = carry_out(run(), STEP)
    assert work.error is None
    assert len(work.warnings) == 1
    assert str(child) in work.warnings[0]
    assert FS in work.warnings[0]
    assert pool.values[FS][PID] == str(child)


# Where the script is


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host with nothing on its PATH."""
    monkeypatch.setattr(shell, "_SEARCH", ())
    for name in ("bin", "run"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("PATH", f"relative::{tmp_path}/empty:{tmp_path}/bin")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def around(host, **more):
    return script_is_around(Settings(script_rundir=str(host / "run"), **more))


def install(host, text="#!/bin/sh\n", mode=0o755, folder="bin"):
    (host / folder).mkdir(exist_ok=True)
    (host / folder / "zrep").write_text(text)
    (host / folder / "zrep").chmod(mode)


def archive(path, *names):
    with open(str(path), "wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "a") as packed:
            for name in names:
                packed.writestr(name, "")
    path.chmod(0o755)


def test_no_script(host):
    assert not around(host)


def test_a_script_on_the_path(host):
    install(host)
    assert around(host)


def test_a_script_where_programs_are_whatever_the_path_says(host, monkeypatch):
    """A task of Ansible often has a shorter PATH than the shell of an admin."""
    install(host, folder="sbin")
    assert not around(host)
    monkeypatch.setattr(shell, "_SEARCH", (str(host / "sbin"),))
    assert around(host)


@pytest.mark.parametrize("mode", [0o644, 0o000])
def test_a_text_of_that_name_is_no_program(host, mode):
    install(host, mode=mode)
    assert not around(host)


def test_a_folder_of_that_name_is_no_program(host):
    (host / "bin" / "zrep").mkdir()
    assert not around(host)


def test_a_folder_that_the_path_does_not_name_from_the_root_counts_for_nothing(host):
    install(host, folder="relative")
    assert not around(host)


def test_our_own_command_is_not_the_script(host):
    archive(host / "bin" / "zrep", "__main__.py", "zfsops_zrep/_core/__init__.py")
    assert is_ours(str(host / "bin" / "zrep"))
    assert not around(host)
    install(host, folder="relative")
    assert around(host, script_path=f"{host}/relative/zrep -t x")


@pytest.mark.parametrize("names", [[], ["__main__.py"], ["zfsops_zrep/__init__.py"]])
def test_another_archive_may_be_anything(host, names):
    archive(host / "bin" / "zrep", *names)
    assert around(host)


def test_one_that_cannot_be_read_may_be_anything(host, monkeypatch):
    install(host)

    def refuse(*dummy):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(zipfile, "ZipFile", refuse)
    assert around(host)


def test_a_script_that_only_its_users_know(host):
    install(host, folder="opt")
    assert not around(host)
    assert not around(host, script_path="opt/zrep")
    assert around(host, script_path=str(host / "opt" / "zrep"))


def test_a_script_that_is_taking_a_lock(host):
    (host / "run" / "zrep.lock").write_text("1\n")
    assert around(host)
    os.unlink(str(host / "run" / "zrep.lock"))
    os.symlink("nowhere", str(host / "run" / "zrep.lock"))
    assert around(host)


@pytest.mark.parametrize(
    ("mode", "installed", "wanted"),
    [
        (ALWAYS, False, True),
        (ALWAYS, True, True),
        (NEVER, True, False),
        (NEVER, False, False),
        (AUTO, False, False),
        (AUTO, True, True),
    ],
)
def test_when_they_are_taken(host, tmp_path, mode, installed, wanted):
    if installed:
        install(host)
    assert made(Pool(tmp_path / "run", []), mode).wanted is wanted
