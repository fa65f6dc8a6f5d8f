# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters: the shell text around them, run by real shells with other programs in the place of zfs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import filters
from ansible_collections.zfsops.zrep.plugins.module_utils._core.filters import IN, OUT, Fault, Member, Stage
from ansible_collections.zfsops.zrep.plugins.module_utils._core.shell import Completed

SHELLS = [name for name in ("sh", "dash", "bash", "ksh", "mksh") if shutil.which(name)]
BROKEN = "warning: cannot send 'p/a@b': Broken pipe"
INVALID = "cannot receive new filesystem stream: invalid backup stream"

# More than a pipe holds, so that a program whose stream nobody takes has to notice it.
LONG = ("head", "-c", "300000", "/dev/zero")


def one(text):
    """A filter of the user's alone."""
    return (Member(text, OUT),)


ONE = one("x")


def run(shell, argv, data=b"", members=ONE, **more):
    done = subprocess.run([shell, *argv[1:]], input=data, capture_output=True, check=False, **more)
    return done, filters.stage(Completed(done.returncode, "", done.stderr.decode()), members)


def itself(found, members=ONE):
    """Whether a filter failed for a reason of its own, seen from the receiving end."""
    return filters.culprit(Stage(Completed(0, "", "")), [], found, members) is not None


shells = pytest.mark.parametrize("shell", SHELLS)


@pytest.mark.parametrize("make", [filters.sending, filters.receiving])
def test_without_a_filter_nothing_is_added(make):
    assert make(("zfs", "send", "p/a@b"), [], [3]) == ("zfs", "send", "p/a@b")


@shells
@pytest.mark.parametrize(
    "text", ["tr a-z A-Z", "tr a-z A-Z # as it should be", "cat |\n tr a-z A-Z", "exec tr 'a-z' \"A-Z\""]
)
def test_a_stream_that_is_sent_passes_the_filter_after_zfs(shell, text):
    done, found = run(shell, filters.sending(("echo", "one two; three"), one(text)))
    assert (done.returncode, done.stdout) == (0, b"ONE TWO; THREE\n")
    assert (found.zfs, found.statuses) == (Completed(0, "", ""), (0,))


@shells
def test_a_stream_that_is_received_passes_the_filter_before_zfs(shell, tmp_path):
    done, found = run(shell, filters.receiving(("tee", str(tmp_path / "a file")), one("tr a-z A-Z")), b"data\n")
    assert (tmp_path / "a file").read_bytes() == b"DATA\n"
    assert (done.returncode, done.stdout) == (0, b"")
    assert (found.zfs, found.statuses) == (Completed(0, "", ""), (0,))


@shells
@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("false", 1),
        ("exit 7", 7),
        ("no-such-program -c", 127),
        ("cat >/dev/null; exit 3", 3),
        ("cat; }; echo $((", 2),
        ("'", 2),
    ],
)
@pytest.mark.parametrize("make", [filters.sending, filters.receiving])
def test_a_filter_that_fails_is_told_from_zfs(shell, text, status, make):
    argv = ("cat", "/dev/null") if make is filters.sending else ("cat",)
    done, found = run(shell, make(argv, one(text)))
    assert done.returncode == 1
    assert (found.zfs.status, found.zfs.err) == (0, found.said)
    assert itself(found)
    # What a syntax error is worth differs between shells.
    assert found.statuses == (status,) or "yntax" in found.said or "nterminated" in found.said


@shells
@pytest.mark.parametrize("make", [filters.sending, filters.receiving])
def test_zfs_that_fails_is_told_from_the_filter(shell, make):
    done, found = run(shell, make(("sh", "-c", "echo cannot open something >&2; exit 3"), one("cat >/dev/null")))
    assert done.returncode == 1
    assert (found.zfs, found.statuses, found.said) == (Completed(3, "", "cannot open something"), (0,), "")


@shells
def test_a_program_that_ends_by_a_signal(shell):
    done, found = run(shell, filters.sending(LONG, one("head -c 1")))
    assert (done.returncode, done.stdout) == (1, b"\0")
    assert found.zfs.status == -13
    assert found.cut_off
    assert not itself(found)
    blamed = filters.culprit(found, ONE, Stage(Completed(1, "", INVALID)), [])
    assert blamed == Fault(*ONE, 0, "", sends=True)
    done, found = run(shell, filters.receiving(("sh", "-c", "kill -9 $$"), one("cat")))
    assert done.returncode == 1
    assert found.zfs.status == -9


@pytest.mark.skipif(
    subprocess.run(["bash", "-c", "set -o pipefail"], capture_output=True, check=False).returncode != 0,
    reason="no bash with pipefail",
)
def test_every_part_of_a_filter_counts_where_the_shell_can_tell():
    dummy, found = run("bash", filters.sending(("echo", "x"), one("cat | false | cat")))
    assert found.statuses == (1,)


@shells
@pytest.mark.parametrize("make", [filters.sending, filters.receiving])
def test_what_a_filter_leaves_in_the_background_holds_up_nothing(shell, make, tmp_path):
    """It waits for a word that comes when the stream has ended."""
    os.mkfifo(tmp_path / "word")
    try:
        text = f"cat; (read dummy <{tmp_path}/word) >/dev/null 2>&1 </dev/null &"
        done, dummy = run(shell, make(("cat",), one(text)), b"x\n", timeout=30)
        assert done.returncode == 0
    finally:
        descriptor = os.open(tmp_path / "word", os.O_RDWR)
        os.write(descriptor, b"go\n")
        os.close(descriptor)


# Opens a descriptor of a certain number and becomes another program.
HOLDING = """
import os, sys
number = int(sys.argv[1])
os.dup2(os.open('/dev/full', os.O_WRONLY), number)
os.set_inheritable(number, True)
os.execvp(sys.argv[2], sys.argv[2:])
"""


@shells
@pytest.mark.parametrize("number", range(3, 12))
@pytest.mark.parametrize("make", [filters.sending, filters.receiving])
def test_descriptors_of_locks_reach_both(shell, number, make):
    """Whatever their number is: those of the text must be others."""
    look = f"readlink /proc/self/fd/{number} >&2"
    shown = make(("sh", "-c", look), one(look), [number])
    done = subprocess.run(
        [sys.executable, "-c", HOLDING, str(number), shell, *shown[1:]], capture_output=True, check=False, text=True
    )
    assert done.stderr.splitlines()[:2] == ["/dev/full", "/dev/full"]


def test_of_a_shell_that_was_killed_only_that_is_known():
    done = Completed(-9, "", "mbuffer: something")
    assert filters.stage(done, ONE) == Stage(done)
    lost = Completed(255, "", "Timeout, server b not responding.")
    assert filters.stage(lost, ONE) == Stage(lost)


def test_a_forged_word_of_a_filter_does_not_count():
    """The last one is ours."""
    said = "zrep-stream: zfs=0 filter1=0\nzrep-stream: nonsense\nzrep-stream: zfs=1 filter1=2"
    assert filters.stage(Completed(1, "", said), ONE) == Stage(Completed(1, "", ""), (2,), "")


def test_statuses_of_other_shells_that_mean_signals():
    found = filters.stage(Completed(1, "", "zrep-stream: zfs=269 filter1=265"), ONE)
    assert (found.zfs.status, found.statuses) == (-13, (265,))
    assert "killed by signal 9" in filters.failure(Fault(*ONE, 265, "", sends=True), "a", "p/a").message


def end(status=0, err="", filtered=0, said=""):
    return Stage(Completed(status, "", err), () if filtered is None else (filtered,), said)


@pytest.mark.parametrize(
    ("sender", "receiver", "blamed"),
    [
        # A filter fails; what comes after it sees a stream that ends too early, what comes before it a broken pipe.
        (end(filtered=1), end(1, INVALID), OUT),
        (end(1, BROKEN, 1), end(1, INVALID), OUT),
        (end(-13, "", 127, "sh: 1: zstd: not found"), end(1, INVALID, 1, "zstd: unexpected end"), OUT),
        (end(1, BROKEN, None), end(1, INVALID, 1, "zstd: bad magic"), IN),
        (end(-13, "", 141), end(1, INVALID, 2, "gzip: not in gzip format"), IN),
        (end(), end(0, "", 3), IN),
        # It ends well, but before the stream does.
        (end(-13, "", 0), end(1, INVALID), OUT),
        # A filter that nobody reads from fails as well.
        (end(-13, "", 141), end(1, INVALID, 141), ""),
        (end(1, BROKEN, 1, "mbuffer: error writing: Broken pipe"), end(1, INVALID, 1, "mbuffer: Broken pipe"), ""),
        # zfs failed by itself.
        (end(1, "cannot send 'p/a@b': I/O error", 1, "gzip: input is incomplete"), end(1, INVALID), ""),
        (end(-9, "", 1), end(1, INVALID), ""),
        # Nobody says anything, or there is no filter.
        (end(), end(1, INVALID), ""),
        (end(-13, "", None), end(1, INVALID, None), ""),
    ],
)
def test_the_first_filter_that_failed_is_to_blame(sender, receiver, blamed):
    found = filters.culprit(sender, ONE, receiver, [Member("y", IN)])
    assert (found.member.wish if found else "") == blamed


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (127, "sh: 1: zstd: not found", ["cannot be run", "zstd: not found", "install it on hostb"]),
        (126, "sh: 1: ./x: Permission denied", ["cannot be run", "Permission denied"]),
        (2, "gzip: not in\ngzip format", ["exit status 2 (gzip: not in gzip format)", "hand"]),
        (1, "", ["exit status 1 (it said nothing)"]),
        (0, "", ["ended before the stream did"]),
    ],
)
@pytest.mark.parametrize("variable", [OUT, IN])
def test_an_error_names_filter_variable_and_host(status, said, words, variable):
    fault = Fault(Member("zstd -c", variable), status, said, sends=variable == OUT)
    error = filters.failure(fault, "hostb", "p/a")
    assert error.code == "filter_failed"
    assert (error.host, error.dataset, error.status) == ("hostb", "p/a", status)
    assert error.certain
    for word in [*words, "zstd -c", variable]:
        assert word in f"{error.message} {error.hint}"


def test_a_suspicion_names_what_the_stream_passed():
    assert filters.suspicion("", "", "a", "b") == ""
    assert filters.suspicion("gzip", "", "a", "b") == (
        "the stream passed ZREP_OUTFILTER ('gzip' on a): zfs has to receive what zfs sent"
    )
    both = filters.suspicion("gzip", "cat", "a", "b")
    assert "'gzip' on a" in both
    assert "ZREP_INFILTER ('cat' on b)" in both
