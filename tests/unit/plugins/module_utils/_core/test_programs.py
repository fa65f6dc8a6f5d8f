# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which programs a stream passes, given what both hosts have; what is told where it passes none."""

from __future__ import annotations

import dataclasses
import subprocess

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors, programs
from ansible_collections.zfsops.zrep.plugins.module_utils._core.plan import Plan
from ansible_collections.zfsops.zrep.plugins.module_utils._core.programs import KNOWN, LOOK, End, Wish, choose, in_units
from ansible_collections.zfsops.zrep.plugins.module_utils._core.session import Session
from ansible_collections.zfsops.zrep.plugins.module_utils._core.settings import NEVER, Settings
from ansible_collections.zfsops.zrep.plugins.module_utils._core.shell import Completed
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE, PEER, State
from ansible_collections.zfsops.zrep.plugins.module_utils._core.streams import Send
from ansible_collections.zfsops.zrep.plugins.module_utils._core.ways import Ways

from .builders import FS, HOST, PEER_FS, PEER_HOST, master, observed, own, replica
from .test_way import Here, Peer

ALL = frozenset(KNOWN)


def chosen(wish, here=ALL, there=ALL, **more):
    found = choose(wish, End("a", frozenset(here)), End("b", frozenset(there)), **more)
    return [member.text for member in found.out], [member.text for member in found.into], list(found.warnings)


def test_nothing_was_asked_for():
    assert not Wish()
    assert chosen(Wish()) == ([], [], [])


@pytest.mark.parametrize(
    ("compress", "here", "there", "packing", "unpacking"),
    [
        ("zstd", ALL, ALL, "zstd -qc", "zstd -dqc"),
        ("lz4", ALL, ALL, "lz4 -qc", "lz4 -dqc"),
        ("gzip", ALL, ALL, "pigz -1qc", "pigz -dqc"),
        # One format, whoever writes or reads it.
        ("gzip", {"gzip"}, {"pigz"}, "gzip -1qc", "pigz -dqc"),
        ("auto", ALL, ALL, "zstd -qc", "zstd -dqc"),
        ("auto", ALL, {"lz4", "gzip"}, "lz4 -qc", "lz4 -dqc"),
        ("auto", {"zstd", "pigz"}, {"lz4", "gzip"}, "pigz -1qc", "gzip -dqc"),
    ],
)
def test_both_ends_compress_in_the_same_way(compress, here, there, packing, unpacking):
    assert chosen(Wish(compress), here, there) == ([packing], [unpacking], [])


@pytest.mark.parametrize(
    ("compress", "here", "there", "words"),
    [
        ("zstd", ALL, ALL - {"zstd"}, "zstd is not installed on b"),
        ("zstd", ALL - {"zstd"}, ALL, "zstd is not installed on a"),
        ("lz4", (), (), "lz4 is not installed on a and b"),
        ("auto", {"zstd"}, {"lz4", "pv"}, "a has zstd and b has lz4"),
        ("auto", {"zstd"}, {"pv"}, "a has zstd and b has none"),
    ],
)
def test_what_only_one_end_has_is_not_used_and_that_is_told(compress, here, there, words):
    out, into, (warning,) = chosen(Wish(compress), here, there)
    assert (out, into) == ([], [])
    assert warning.startswith(f"streams are not compressed (compress={compress}): ")
    assert words in warning


def test_within_one_host_nothing_is_compressed():
    assert chosen(Wish("zstd"), apart=False) == ([], [], [])
    assert chosen(Wish("zstd"), (), (), apart=False) == ([], [], [])


def test_a_buffer_is_at_each_end_that_can_have_one():
    wish = Wish(buffer=128 << 20)
    mbuffer = "mbuffer -q -s 128k -m 134217728"
    assert chosen(wish) == ([mbuffer], [mbuffer], [])
    out, into, (warning,) = chosen(wish, ALL, ())
    assert (out, into) == ([mbuffer], [])
    assert "not buffered on b (buffer=128M)" in warning
    assert chosen(wish, (), ALL)[:2] == ([], [mbuffer])
    assert "on a and b" in chosen(wish, (), ())[2][0]


@pytest.mark.parametrize(
    ("has", "text"),
    [
        (ALL, "pv -q -L 2097152"),
        ({"pv"}, "pv -q -L 2097152"),
        ({"mbuffer"}, "mbuffer -q -s 16k -m 1048576 -R 2097152"),
    ],
)
def test_a_limit_is_kept_by_what_the_sender_has(has, text):
    assert chosen(Wish(rate=2 << 20), has, ()) == ([text], [], [])


def test_a_limit_that_cannot_be_kept_is_refused():
    with pytest.raises(errors.NoProgram) as found:
        chosen(Wish("zstd", 1 << 20, 1 << 20), {"zstd", "gzip"}, ALL)
    assert found.value.host == "a"
    for word in ("rate_limit=1M", "pv", "mbuffer", "Nothing was changed", "on a"):
        assert word in str(found.value)


def test_a_limit_is_shared_by_streams_that_run_at_a_time():
    assert chosen(Wish(rate=1 << 20), streams=4)[0] == ["pv -q -L 262144"]
    assert chosen(Wish(rate=1 << 20), {"mbuffer"}, streams=4)[0] == ["mbuffer -q -s 4k -m 1048576 -R 262144"]


def test_the_order_of_all_three():
    """What is buffered and limited is what goes through the network."""
    out, into, warnings = chosen(Wish("zstd", 16 << 20, 2 << 20))
    assert out == ["zstd -qc", "mbuffer -q -s 16k -m 16777216 -R 2097152"]
    assert into == ["mbuffer -q -s 128k -m 16777216", "zstd -dqc"]
    assert warnings == []
    out, into, warnings = chosen(Wish("zstd", 16 << 20, 2 << 20), {"zstd", "pv"})
    assert out == ["zstd -qc", "pv -q -L 2097152"]
    assert len(warnings) == 1
    wishes = [member.wish for member in choose(Wish("zstd", 16 << 20, 2 << 20), End("a", ALL), End("b", ALL)).out]
    assert wishes == ["compress=zstd", "buffer=16M and rate_limit=2M"]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (1023, "1023"), (1024, "1K"), (1536 << 10, "1536K"), (1 << 40, "1T")],
)
def test_sizes_are_told_as_they_can_be_written(number, text):
    assert in_units(number) == text


def test_a_shell_tells_what_there_is(tmp_path):
    for name in ("zstd", "pv"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "mbuffer").write_text("this cannot be run")
    done = subprocess.run(
        ["/bin/sh", *LOOK[1:]], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["zstd", "pv"]


# -- the ways of a run -------------------------------------------------------------------------------------------


def has(*names):
    return Completed(0, "welcome to this host\n" + "\n".join(names) + "\n", "")


@pytest.fixture
def hosts():
    """Two hosts that have all the programs, with the commands that they are asked."""
    return Here([], has(*KNOWN)), Peer([], has(*KNOWN))


def test_nobody_is_asked_if_nothing_was_asked_for(hosts):
    here, peer = hosts
    way, warnings = Ways(Settings(), here).way(HERE, peer, 1)
    assert (way.out_members, way.in_members, warnings) == ((), (), [])
    assert (here.log, peer.log) == ([], [])


def test_each_host_is_asked_once(hosts):
    here, peer = hosts
    ways = Ways(Settings(compress="zstd", out_filter="rev"), here)
    for _time in range(2):
        way, dummy = ways.way(HERE, peer, 1)
    assert (here.log, peer.log) == ([LOOK], [LOOK])
    assert [member.text for member in way.out_members] == ["rev", "zstd -qc"]


def test_for_a_limit_only_the_sender_is_asked(hosts):
    here, peer = hosts
    ways = Ways(Settings(rate_limit=1 << 20), here)
    assert ways.way(PEER, peer, 1)[0].out_programs[0].program == "pv"
    assert (here.log, peer.log) == ([], [LOOK])
    ways.way(HERE, peer, 1)
    assert here.log == [LOOK]


def test_the_sending_side_decides_who_compresses(hosts):
    here, peer = hosts
    peer.answer = has("gzip")
    ways = Ways(Settings(compress="gzip"), here)
    for side, packing, unpacking in ((HERE, "pigz -1qc", "gzip -dqc"), (PEER, "gzip -1qc", "pigz -dqc")):
        way, dummy = ways.way(side, peer, 1)
        assert ([m.text for m in way.out_members], [m.text for m in way.in_members]) == ([packing], [unpacking])


def test_a_host_that_runs_no_shell_has_nothing(hosts):
    here, peer = hosts
    peer.answer = errors.NoZfs("no program 'sh'")
    way, (warning,) = Ways(Settings(compress="zstd"), here).way(HERE, peer, 1)
    assert way.out_members == ()
    assert f"on {PEER_HOST}" in warning


def test_a_warning_is_told_once(hosts):
    here, peer = hosts
    peer.answer = has()
    ways = Ways(Settings(compress="zstd", buffer=1 << 20), here)
    said = [ways.way(HERE, peer, 1)[1] for _time in range(2)]
    assert [len(ways.news(warnings)) for warnings in said] == [2, 0]


def test_a_limit_is_shared_by_as_many_streams_as_can_run_at_a_time(hosts):
    here, peer = hosts
    ways = Ways(Settings(rate_limit=1 << 20, parallel=4), here)
    rates = [ways.way(HERE, peer, streams)[0].out_programs[0].text.split()[-1] for streams in (1, 2, 9)]
    assert rates == ["1048576", "524288", "262144"]


def test_bbcp_takes_no_programs(hosts):
    here, peer = hosts
    way, (warning,) = Ways(Settings(bbcp="bbcp", compress="zstd", buffer=1 << 20), here).way(HERE, peer, 1)
    assert (way.out_members, way.in_members) == ((), ())
    assert "without compress=zstd and buffer=1M" in warning
    assert (here.log, peer.log) == ([], [])
    with pytest.raises(errors.BadInput, match="rate_limit=1M cannot be kept"):
        Ways(Settings(bbcp="bbcp", rate_limit=1 << 20), here).way(HERE, peer, 1)


def test_a_stream_to_whoever_called_is_limited_too(hosts):
    here, dummy = hosts
    assert Ways(Settings(rate_limit=1 << 20), here).limiter() == ("pv", "-q", "-L", "1048576")
    assert Ways(Settings(compress="zstd"), here).limiter() == ()
    here.answer = has("gzip")
    with pytest.raises(errors.NoProgram):
        Ways(Settings(rate_limit=1 << 20), here).limiter()


STEP = Send(HERE, f"{FS}@{own(1)}", "why", base=f"{FS}@{own(0)}", destination=PEER_FS)


@pytest.mark.parametrize("dry", [False, True])
def test_a_plan_whose_stream_must_not_go_is_not_begun(tmp_path, monkeypatch, dry):
    """The others are carried out, and a prediction fails where the run would."""
    settings = Settings(identity=HOST, rundir=str(tmp_path), rate_limit=1 << 20, lock_properties=NEVER)
    seen = observed(master(), replica())
    other = dataclasses.replace(seen, filesystem="pool1/other")
    plans = [(seen, Plan(FS, State(None, None), (STEP,))), (other, Plan("pool1/other", State(None, None), ()))]
    with Session(settings, dry) as session:
        monkeypatch.setattr(session.here, "run", lambda argv: has("zstd"))
        refused, done = session.carry_out(plans)
        with pytest.raises(errors.NoProgram):
            session.check_way(*plans[0])
        session.check_way(*plans[1])
    assert isinstance(refused.error, errors.NoProgram)
    assert refused.error.left == "nothing was changed"
    assert (refused.done, done.error) == ([], None)


@pytest.mark.parametrize("check", [programs.check_buffer, programs.check_rate, programs.check_compress])
@pytest.mark.parametrize("text", ["1M; id", "$(id)", "-1", "1M 2M", "x" * 5000])
def test_what_could_mean_something_to_a_shell_is_refused(check, text):
    with pytest.raises(errors.BadInput) as found:
        check(text)
    assert len(str(found.value)) < 300
