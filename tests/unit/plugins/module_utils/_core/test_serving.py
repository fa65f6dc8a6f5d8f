# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the script at the other end may have: what is refused, what is streamed, what is recorded."""

from __future__ import annotations

import dataclasses
import os
import stat
import threading
import time

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors, run_serve, zfs
from ansible_collections.zfsops.zrep.plugins.module_utils._core.locks import Lock
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import LOCAL, Property
from ansible_collections.zfsops.zrep.plugins.module_utils._core.observe import FeatureMemory
from ansible_collections.zfsops.zrep.plugins.module_utils._core.resuming import check_token, snapshot_of
from ansible_collections.zfsops.zrep.plugins.module_utils._core.serving import check_wanted, plan_complete
from ansible_collections.zfsops.zrep.plugins.module_utils._core.settings import Settings

from .builders import (
    FS,
    HOST,
    MODERN,
    NOW,
    OLD,
    TAG,
    actions,
    dataset,
    later,
    marked,
    master,
    observed,
    observed_from_replica,
    own,
    printed,
    replica,
    sent,
)

SENT = "zrep:sent"
WANTED = own(1)


def alone(found):
    return observed(found, None, asked=False)


# What may be pulled


@pytest.mark.acceptance(33)
def test_case_33_the_newest_snapshot_from_the_last_one_sent():
    assert check_wanted(alone(master(*sent(0, 1), "daily", own(2))), own(2)).name == f"{FS}@{own(1)}"


@pytest.mark.acceptance(33)
@pytest.mark.parametrize(
    ("words", "short", "error"),
    [
        ([*sent(0), own(1), own(2)], own(1), errors.Busy),
        ([*sent(0), own(1), own(2) + "_unsent"], own(1), errors.Busy),
        ([*sent(0)], own(1), errors.NotFound),
        ([*sent(0, 1)], own(1), errors.NotFound),
        ([*sent(0), own(1), "later*"], own(1), errors.NotFound),
        ([own(0), own(1)], own(1), errors.NoCommonSnapshot),
        ([*sent(0), "daily"], "daily", errors.BadInput),
        ([*sent(0), "other_000001"], "other_000001", errors.BadInput),
    ],
)
def test_case_33_nothing_else(words, short, error):
    with pytest.raises(error):
        check_wanted(alone(master(*words)), short)


def test_a_source_that_is_not_marked_as_master_yet_may_be_pulled_from():
    found = master(*sent(0), own(1), properties={"zrep:master": None})
    assert check_wanted(alone(found), own(1)).short == own(0)


def test_nobody_pulls_from_a_replica_nor_from_what_is_no_pair():
    with pytest.raises(errors.WrongRole):
        check_wanted(observed_from_replica(replica(*sent(0), own(1))), own(1))
    with pytest.raises(errors.NotPaired):
        check_wanted(alone(dataset(FS, *sent(0), own(1))), own(1))
    with pytest.raises(errors.NotFound):
        check_wanted(alone(None), own(1))


def test_marks_that_are_nonsense_tell_nobody_where_a_stream_begins():
    found = master(*sent(0), own(1))
    bad = dataclasses.replace(found.snapshots[0], sent=None, bad_mark="x")
    with pytest.raises(errors.BadProperty):
        check_wanted(alone(dataclasses.replace(found, snapshots=(bad, found.snapshots[1]))), own(1))


# What may be recorded


@pytest.mark.acceptance(34)
def test_case_34_what_arrived_is_recorded_and_again_changes_nothing():
    seen = alone(master(*sent(0), own(1)))
    plan = plan_complete(seen, own(1), SENT, str(NOW))
    assert actions(plan) == [("here", "mark_sent")]
    assert plan.after.here.snapshots[-1].sent == NOW
    assert plan_complete(later(seen, plan.after), own(1), SENT, str(NOW)).steps == ()
    assert plan_complete(later(seen, plan.after), own(1), SENT, str(NOW + 1)).steps != ()


def test_what_is_older_than_the_last_one_sent_is_not_recorded():
    with pytest.raises(errors.Busy):
        plan_complete(alone(master(*sent(0), own(1), *sent(2))), own(1), SENT, str(NOW))


def test_the_newest_need_not_be_the_one_that_arrived():
    plan = plan_complete(alone(master(*sent(0), own(1), own(2))), own(1), SENT, str(NOW))
    assert marked(plan.after.here) == [own(0), own(1)]


@pytest.mark.parametrize(
    ("short", "name", "value", "error"),
    [
        (own(1), "zrep:master", "yes", errors.BadInput),
        (own(1), "other:sent", str(NOW), errors.BadInput),
        (own(1), "sent", str(NOW), errors.BadInput),
        (own(1), "", str(NOW), errors.BadInput),
        (own(1), SENT, "", errors.BadInput),
        (own(1), SENT, "0", errors.BadInput),
        (own(1), SENT, "-1", errors.BadInput),
        (own(1), SENT, "yes", errors.BadInput),
        (own(1), SENT, "1;reboot", errors.BadInput),
        (own(1), SENT, "9" * 12, errors.BadInput),
        ("daily", SENT, str(NOW), errors.BadInput),
        (own(2), SENT, str(NOW), errors.NotFound),
    ],
)
def test_nothing_else_is_recorded(short, name, value, error):
    with pytest.raises(error):
        plan_complete(alone(master(*sent(0), own(1), "daily")), short, name, value)


def test_a_replica_records_nothing():
    with pytest.raises(errors.WrongRole):
        plan_complete(observed_from_replica(replica(*sent(0), own(1))), own(1), SENT, str(NOW))


# Tokens


@pytest.mark.parametrize("token", ["", "-", "-t", "1-ab;reboot", "1-ab ", "1-AB", "$(x)", "1-ab\n", "a" * 70000])
def test_what_is_no_token(token):
    with pytest.raises(errors.BadInput):
        check_token(token)


def test_the_snapshot_of_a_token():
    said = "resume token contents:\nnvlist version: 0\n\tobject = 0x3\n\ttoname = pool1/data@zrep_000001\n\tx = y\n"
    assert snapshot_of(said) == "pool1/data@zrep_000001"
    assert snapshot_of("cannot resume send: resume token is corrupt") is None


# The stream itself, with a program that says what it was called with in place of zfs

_ZFS = """\
#!/bin/sh
case $1:$2 in
get:*) cat {directory}/table ;;
send:-n) cat {directory}/token ;;
send:*) ls -l /proc/$$/fd >{directory}/fds; echo remark >&2; echo "$@"; exec cat {directory}/after ;;
set:*) echo "$@" >>{directory}/set ;;
*) exit 1 ;;
esac
"""


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A directory whose files are what zfs says; it becomes the run directory too."""
    program = tmp_path / "bin" / "zfs"
    program.parent.mkdir()
    program.write_text(_ZFS.format(directory=tmp_path))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", "{}:{}".format(program.parent, os.environ["PATH"]))
    (tmp_path / "after").write_text("")
    show(tmp_path, master(*sent(0), own(1)))
    return tmp_path


def show(directory, found, features=MODERN):
    """Have zfs know a dataset."""
    FeatureMemory(str(directory)).remember(HOST, features)
    rows = [(found.name, found.properties)]
    for one in found.snapshots:
        values = {"guid": one.guid, "createtxg": one.createtxg, "creation": one.creation, "written": one.written}
        shown = {name: Property(str(value), "none") for name, value in values.items()}
        if one.sent is not None:
            shown[SENT] = Property(str(one.sent), LOCAL)
        rows.append((one.name, shown))
    (directory / "table").write_text(printed(rows, zfs.wanted_properties(TAG, features)))


def settings(host, **more):
    return Settings(identity=HOST, rundir=str(host), **more)


def streamed(host, short=WANTED, token="", **more):
    """What came out of a pull, and what was remarked."""
    with open(host / "out", "wb") as out:
        said = run_serve.send(settings(host, **more), FS, short, token, out.fileno())
    return (host / "out").read_text(), said


@pytest.mark.acceptance(33)
def test_case_33_zfs_writes_the_stream_by_itself(host):
    assert streamed(host) == (f"send -I {FS}@{own(0)} {FS}@{own(1)}\n", "remark")
    assert streamed(host, intermediates=False)[0] == f"send -i {FS}@{own(0)} {FS}@{own(1)}\n"
    assert streamed(host, send_options=("-c", "-L"))[0].startswith("send -c -L -I ")


def test_the_stream_is_raw_whatever_filter_is_configured(host):
    """Whoever calls puts his own filter behind it."""
    assert streamed(host, out_filter="rev")[0].startswith("send -I ")


@pytest.mark.acceptance(33)
def test_case_33_no_byte_is_written_where_it_is_refused(host):
    with pytest.raises(errors.NotFound):
        streamed(host, own(7))
    assert (host / "out").read_text() == ""


def test_the_rest_of_a_stream(host):
    (host / "token").write_text(f"resume token contents:\n\ttoname = {FS}@{own(1)}\n")
    assert streamed(host, token="1-ab-cd")[0] == "send -t 1-ab-cd\n"


@pytest.mark.parametrize("said", [f"\ttoname = {FS}@{own(0)}\n", "\ttoname = pool9/secret@x\n", "nothing\n"])
def test_the_rest_of_another_stream_would_be_recorded_as_this_one(host, said):
    (host / "token").write_text(said)
    with pytest.raises(errors.NotFound):
        streamed(host, token="1-ab-cd")
    assert (host / "out").read_text() == ""


@pytest.mark.parametrize("token", ["-n", "1-ab;reboot", "$(reboot)"])
def test_what_is_no_token_reaches_no_command(host, token):
    (host / "token").write_text(f"\ttoname = {FS}@{own(1)}\n")
    with pytest.raises(errors.BadInput, match="no resume token"):
        streamed(host, token=token)
    assert (host / "out").read_text() == ""


def test_the_script_on_this_host_works_on_it(host):
    lock = {"zrep:lock-pid": str(os.getppid()), "zrep:lock-time": "20990101000000"}
    show(host, master(*sent(0), own(1), properties=lock))
    with pytest.raises(errors.Busy):
        streamed(host)
    assert (host / "out").read_text() == ""


def test_a_zfs_that_cannot_resume(host):
    show(host, master(*sent(0), own(1)), OLD)
    with pytest.raises(errors.BadInput, match="cannot resume"):
        streamed(host, token="1-ab-cd")


def test_a_reader_that_goes_away(host):
    (host / "after").write_text("x" * 10_000_000)
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(errors.TransferFailed, match="ended before it did"):
        run_serve.send(settings(host), FS, own(1), out=writing)
    os.close(writing)


def test_a_stream_that_fails_says_why(host):
    program = host / "bin" / "zfs"
    program.write_text(program.read_text().replace("echo remark", "echo 'cannot send: I/O error' >&2; exit 1; echo"))
    with pytest.raises(errors.TransferFailed, match="I/O error"):
        streamed(host)


def test_the_lock_lives_as_long_as_the_stream(host):
    streamed(host)
    assert "lock-zrep-" in (host / "fds").read_text()


def test_nobody_else_works_on_it_meanwhile(host):
    lock = Lock(str(host), TAG, FS, HOST)
    with pytest.raises(errors.Busy):
        streamed(host)
    lock.release()
    assert streamed(host)[0]


@pytest.mark.acceptance(34)
def test_case_34_a_mark_waits_until_nobody_works_on_it(host, monkeypatch):
    """The script asks for it once and never again."""
    lock = Lock(str(host), TAG, FS, HOST)
    waiting = threading.Event()
    pause = time.sleep
    monkeypatch.setattr(run_serve.time, "sleep", lambda seconds: (waiting.set(), pause(seconds)))
    release = threading.Thread(target=lambda: (waiting.wait(30), lock.release()))
    release.start()
    run_serve.complete(settings(host), FS, own(1), SENT, str(NOW))
    release.join()
    assert waiting.is_set()
    assert (host / "set").read_text() == f"set {SENT}={NOW} {FS}@{own(1)}\n"


def test_a_mark_does_not_wait_for_ever(host):
    lock = Lock(str(host), TAG, FS, HOST)
    with pytest.raises(errors.Busy):
        run_serve.complete(settings(host, lock_retry=0), FS, own(1), SENT, str(NOW))
    lock.release()
    assert not (host / "set").exists()
