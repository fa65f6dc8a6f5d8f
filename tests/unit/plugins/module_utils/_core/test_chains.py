# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several programs at one end of a stream: real shells run them, and the one that failed first is found."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import filters
from ansible_collections.zfsops.zrep.plugins.module_utils._core.filters import OUT, Member, Stage
from ansible_collections.zfsops.zrep.plugins.module_utils._core.shell import Completed

from .test_filters import BROKEN, INVALID, LONG, SHELLS

shells = pytest.mark.parametrize("shell", SHELLS)
OWN = Member("tr a-z A-Z", OUT)
ZSTD = Member("zstd -qc", "compress=zstd", "zstd")
UNZSTD = Member("zstd -dqc", "compress=zstd", "zstd")
MBUFFER = Member("mbuffer -q -m 1048576", "buffer=1M", "mbuffer")
PV = Member("pv -q -L 1048576", "rate_limit=1M", "pv")
CHAINS = [(ZSTD,), (ZSTD, MBUFFER), (OWN, ZSTD, PV)]


@shells
@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_a_stream_passes_all_in_their_order(shell, length, tmp_path):
    members = [Member(f"cat; echo {number}", "x", "cat") for number in range(length)]
    said = "".join(f"{number}\n" for number in range(length))
    argv = filters.sending(("echo", "data"), members)
    done = subprocess.run([shell, *argv[1:]], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"data\n{said}")
    assert filters.stage(Completed(0, "", done.stderr), members) == Stage(Completed(0, "", ""), (0,) * length)
    argv = filters.receiving(("tee", str(tmp_path / "file")), members)
    done = subprocess.run([shell, *argv[1:]], input="data\n", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / "file").read_text() == f"data\n{said}"


@shells
@pytest.mark.parametrize("sends", [True, False])
@pytest.mark.parametrize(("length", "which"), [(n, i) for n in (1, 2, 3) for i in range(n)])
@pytest.mark.parametrize(
    ("text", "status"), [("exit 3", 3), ("cat >/dev/null; exit 4", 4), ("kill -9 $$", None), ("no-such-program", 127)]
)
def test_the_one_that_fails_is_found(shell, sends, length, which, text, status):
    """Whatever its end does to the others."""
    bad = Member(text if status is not None else f"sh -c '{text}'", "bad", "bad")
    members = [bad if number == which else Member("cat", "good", "cat") for number in range(length)]
    argv = filters.sending(LONG, members) if sends else filters.receiving(("cat",), members)
    data = b"" if sends else b"\0" * 300000
    done = subprocess.run([shell, *argv[1:]], input=data, capture_output=True, check=False)
    assert done.returncode == 1
    found = filters.stage(Completed(1, "", done.stderr.decode()), members)
    well = Stage(Completed(0, "", ""))
    fault = (
        filters.culprit(found, members, Stage(Completed(1, "", INVALID)), [])
        if sends
        else filters.culprit(well, [], found, members)
    )
    assert fault.member == bad
    assert fault.sends == sends
    assert status is None or fault.status == status


def end(zfs=(0, ""), statuses=(), said=""):
    return Stage(Completed(zfs[0], "", zfs[1]), statuses, said)


OUT_OF_MEMORY = "mbuffer: fatal: Could not allocate enough memory (966367641600 requested): Cannot allocate memory"
NOBODY_TAKES = "mbuffer: error: outputThread: error writing to <stdout> at offset 0x10000: Broken pipe"
PREMATURE = "/*stdin*\\ : Read error (39) : premature end "
REFUSED = (1, INVALID)
CUT = (1, BROKEN)


@pytest.mark.parametrize(
    ("sender", "receiver", "blamed"),
    [
        # Both ends of each: zfs | zstd | mbuffer ... mbuffer | zstd -d | zfs
        (end(statuses=(0, 0)), end(REFUSED, (0, 0)), None),
        (end(CUT, (141, 1), OUT_OF_MEMORY), end(REFUSED, (0, 1), PREMATURE), (MBUFFER, True)),
        (end(CUT, (137, 0)), end(REFUSED, (0, 1), PREMATURE), (ZSTD, True)),
        (end(CUT, (141, 137)), end(REFUSED, (0, 1), PREMATURE), (MBUFFER, True)),
        (end(CUT, (141, 1), NOBODY_TAKES), end(REFUSED, (1, 0), OUT_OF_MEMORY), (MBUFFER, False)),
        (end(CUT, (141, 1), NOBODY_TAKES), end(REFUSED, (1, 137), NOBODY_TAKES), (UNZSTD, False)),
        (end(CUT, (141, 1), NOBODY_TAKES), end(REFUSED, (1, 141), NOBODY_TAKES), None),
        (end(statuses=(0, 0)), end(REFUSED, (0, 1), "zstd: /*stdin*\\: unsupported format "), (UNZSTD, False)),
        # What was received was whole, but somebody says that he failed.
        (end(statuses=(0, 1), said="mbuffer: error: x"), end(statuses=(0, 0)), (MBUFFER, True)),
        # zfs failed by itself.
        (end((1, "cannot send: I/O error"), (0, 0)), end(REFUSED, (0, 1), PREMATURE), None),
        (end((-9, ""), (0, 0)), end(REFUSED, (0, 1), PREMATURE), None),
        # The peer's end was cut off, and its words were lost on the way.
        (end((1, "")), end(REFUSED, (3, 1), "zstd: /*stdin*\\: unexpected end of file "), (MBUFFER, False)),
        # The shell was killed, or the link broke.
        (end((255, "")), end(REFUSED, (0, 0)), None),
    ],
)
def test_who_is_to_blame(sender, receiver, blamed):
    fault = filters.culprit(sender, (ZSTD, MBUFFER), receiver, (MBUFFER, UNZSTD))
    assert (None if fault is None else (fault.member, fault.sends)) == blamed


def test_one_of_ours_that_ends_early_has_found_that_nobody_takes_its_stream():
    """As pv does, which ends well then; a filter of the user's that ends well too early has lost something."""
    for members, blamed in (((PV,), None), ((OWN,), OWN)):
        fault = filters.culprit(end(CUT, (0,)), members, end(REFUSED), ())
        assert (fault and fault.member) == blamed
    assert filters.culprit(end(CUT, (141, 0)), (OWN, PV), end(REFUSED), ()) is None


def test_one_that_does_not_say_that_nobody_takes_its_stream_is_not_blamed_before_the_one_that_failed():
    fault = filters.culprit(end(CUT, (1, 1), OUT_OF_MEMORY), (OWN, MBUFFER), end(REFUSED), ())
    assert fault.member == MBUFFER


def test_a_complaint_is_that_of_the_program_whose_name_it_has():
    said = f"pigz: abort: write error on <stdout> (Broken pipe)\n{OUT_OF_MEMORY}"
    pigz = Member("pigz -1qc", "compress=gzip", "pigz")
    fault = filters.culprit(end(CUT, (32, 1), said), (pigz, MBUFFER), end(REFUSED), ())
    assert fault.said == OUT_OF_MEMORY
    message = str(filters.failure(fault, "hosta", "p/a"))
    assert "hosta:p/a: mbuffer, which runs for buffer=1M, failed with exit status 1 (mbuffer: fatal:" in message
    assert "do without buffer=1M" in message


needed = pytest.mark.skipif(
    not all(shutil.which(name) for name in ("zstd", "mbuffer", "pv")), reason="needs zstd, mbuffer and pv"
)


@needed
@shells
@pytest.mark.parametrize("chain", CHAINS)
def test_what_real_programs_do_when_nobody_takes_their_stream(shell, chain):
    argv = filters.sending(("cat", "/dev/urandom"), chain)
    line = [shell, *argv[1:]]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.read(10)
        process.stdout.close()
        said = process.stderr.read().decode()
        process.wait(60)
    found = filters.stage(Completed(process.returncode, "", said), chain)
    assert process.returncode == 1
    assert filters.culprit(found, chain, end(REFUSED), ()) is None


@needed
@shells
def test_what_real_programs_do_when_the_stream_ends_too_early(shell):
    """Without a word from the sender, so that it is the decompressor who says so."""
    members = (MBUFFER, UNZSTD)
    data = bytes(range(256)) * 1000
    packed = subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout
    argv = filters.receiving(("cat",), members)
    done = subprocess.run([shell, *argv[1:]], input=packed[:-20], capture_output=True, check=False)
    found = filters.stage(Completed(done.returncode, "", done.stderr.decode()), members)
    assert done.returncode == 1
    assert filters.culprit(end(), (), found, members).member == UNZSTD
