# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a stream goes: which programs are started, what their ends mean, and who is told."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import shlex
import tempfile

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors, execute, transfer
from ansible_collections.zfsops.zrep.plugins.module_utils._core.plan import Plan
from ansible_collections.zfsops.zrep.plugins.module_utils._core.progress import Progress
from ansible_collections.zfsops.zrep.plugins.module_utils._core.session import Session
from ansible_collections.zfsops.zrep.plugins.module_utils._core.settings import NEVER, Settings
from ansible_collections.zfsops.zrep.plugins.module_utils._core.shell import Children, Completed, Shell
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE, PEER, State
from ansible_collections.zfsops.zrep.plugins.module_utils._core.streams import Send
from ansible_collections.zfsops.zrep.plugins.module_utils._core.transfer import DIRECT, Way, run_stream, way_of

from .builders import FS, HOST, MODERN, OLD, PEER_FS, PEER_HOST, SETTINGS, master, observed, own, replica

STEP = Send(HERE, f"{FS}@{own(1)}", "why", base=f"{FS}@{own(0)}", destination=PEER_FS)
FROM_PEER = dataclasses.replace(STEP, side=PEER)
SENDING, RECEIVING = STEP.commands((), MODERN)
OK = Completed(0, "", "")


class Here(Shell):
    """Keeps what it is told, and gives an answer to whatever it is asked."""

    def __init__(self, log, answer=OK, host=HOST):
        super().__init__(host)
        self.log = log
        self.answer = answer

    def connect(self, lane=0):
        self.log.append(("connect", lane))

    def run(self, argv):
        self.log.append(tuple(argv))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class Peer(Here):
    remote = True

    def __init__(self, log, answer=OK, gone=False):
        super().__init__(log, answer, PEER_HOST)
        self.gone = gone

    def stands(self, lane=0):
        self.log.append(("stands", lane))
        return not self.gone

    def command(self, argv, lane=0):
        return ["ssh", str(lane), self.host, shlex.join(argv)]


class Programs:
    """Programs that end as they are told; keeps which were started."""

    def __init__(self, *ends):
        self.ends = ends
        self.started = []

    def pipeline(self, commands, host, children, keep=(), watch=None):
        assert host == HOST
        self.started = [list(command) for command in commands]
        self.keep = list(keep)
        ends = self.ends or [OK] * len(commands)
        with contextlib.ExitStack() as stack:
            complaints = stack.enter_context(tempfile.TemporaryFile())
            if watch:
                stack.enter_context(watch(complaints))
        if isinstance(ends[0], BaseException):
            raise ends[0]
        return list(ends)


@pytest.fixture
def stream(monkeypatch):
    """Runs a stream with programs that end in certain ways; returns what was started."""

    def run(*ends, way=DIRECT, step=STEP, here=None, peer=None, features=MODERN, keep=(7,)):
        programs = Programs(*ends)
        monkeypatch.setattr(transfer, "pipeline", programs.pipeline)
        run_stream(step, here or Here([]), peer or Peer([]), features, 3, keep, Children(), way)
        assert programs.keep == list(keep)
        return programs.started

    return run


def by_filter(status_of_zfs, status_of_filter, said=""):
    ended = f"zrep-stream: zfs={status_of_zfs} filter1={status_of_filter}"
    return Completed(0 if status_of_zfs == status_of_filter == 0 else 1, "", f"{said}\n{ended}\n")


def test_without_a_filter_the_data_path_is_two_programs(stream):
    assert stream() == [list(SENDING), ["ssh", "3", PEER_HOST, shlex.join(RECEIVING)]]
    assert stream(step=FROM_PEER) == [["ssh", "3", PEER_HOST, shlex.join(SENDING)], list(RECEIVING)]


@pytest.mark.parametrize("step", [STEP, FROM_PEER])
@pytest.mark.parametrize("which", ["out", "in", "both"])
def test_a_filter_runs_beside_zfs_on_the_host_of_its_end(stream, step, which):
    way = Way(out_filter="" if which == "in" else "gzip -c", in_filter="" if which == "out" else "gzip -dc")
    ends = [OK if which == "in" else by_filter(0, 0), OK if which == "out" else by_filter(0, 0)]
    sender, receiver = stream(*ends, way=way, step=step)
    here, there = (sender, receiver) if step is STEP else (receiver, sender)
    assert there[:3] == ["ssh", "3", PEER_HOST]
    words = {"here": here, "there": shlex.split(there[3])}
    sending, receiving = (words["here"], words["there"]) if step is STEP else (words["there"], words["here"])
    assert (sending == list(SENDING)) == (which == "in")
    assert (receiving == list(RECEIVING)) == (which == "out")
    if which != "in":
        assert sending[:2] == ["sh", "-c"]
        assert "gzip -c" in sending[2]
        assert shlex.join(SENDING) in sending[2]
    if which != "out":
        assert receiving[:2] == ["sh", "-c"]
        assert "gzip -dc" in receiving[2]
        assert shlex.join(RECEIVING) in receiving[2]


BOTH = Way(out_filter="gzip -c", in_filter="gzip -dc")
BROKEN = "warning: cannot send 'x': Broken pipe"
INVALID = "cannot receive: invalid backup stream"
MODIFIED = "cannot receive incremental stream: destination has been modified"


@pytest.mark.parametrize(
    ("sender", "receiver", "kind", "host", "words"),
    [
        (by_filter(0, 1), by_filter(1, 0, INVALID), errors.FilterFailed, HOST, "ZREP_OUTFILTER"),
        (by_filter(1, 127, BROKEN), by_filter(1, 1, INVALID), errors.FilterFailed, HOST, "ZREP_OUTFILTER"),
        (by_filter(1, 141, BROKEN), by_filter(1, 127, INVALID), errors.FilterFailed, PEER_HOST, "ZREP_INFILTER"),
        # Both zfs were content, and a filter was not.
        (by_filter(0, 1), by_filter(0, 0), errors.FilterFailed, HOST, "ZREP_OUTFILTER"),
        (by_filter(0, 0), by_filter(0, 1), errors.FilterFailed, PEER_HOST, "ZREP_INFILTER"),
        # zfs says what it was; what a filter said before does not count.
        (by_filter(1, 141, BROKEN), by_filter(1, 141, MODIFIED), errors.Diverged, PEER_HOST, "modified"),
        (by_filter(1, 1, BROKEN), by_filter(1, 1, MODIFIED), errors.Diverged, PEER_HOST, "modified"),
        (
            by_filter(1, 141, BROKEN),
            by_filter(1, 2, f"gpg: key: Permission denied\n{INVALID}"),
            errors.FilterFailed,
            PEER_HOST,
            "Permission denied",
        ),
        (
            by_filter(1, 0, "cannot open 'x': dataset does not exist"),
            by_filter(1, 0, INVALID),
            errors.NotFound,
            HOST,
            "",
        ),
        # There is no zfs, which is something else than no filter.
        (by_filter(127, 0, "sh: 1: zfs: not found"), by_filter(1, 0, INVALID), errors.NoZfs, HOST, "'zfs'"),
        (by_filter(0, 0), by_filter(127, 0, "sh: 1: zfs: not found"), errors.NoZfs, PEER_HOST, "'zfs'"),
        # Nobody knows whether it arrived.
        (by_filter(0, 0), Completed(255, "", "Timeout, server hostb not responding."), errors.LinkLost, HOST, "broke"),
        (by_filter(1, 1, BROKEN), Completed(255, "", ""), errors.LinkLost, HOST, "broke"),
        (by_filter(0, 0), by_filter(137, 0), errors.LinkLost, PEER_HOST, "signal 9"),
        # Nobody says that the filters are to blame, but they may be.
        (
            by_filter(0, 0),
            by_filter(1, 0, INVALID),
            errors.TransferFailed,
            PEER_HOST,
            "the stream passed ZREP_OUTFILTER",
        ),
    ],
)
def test_what_the_ends_of_a_filtered_stream_mean(stream, sender, receiver, kind, host, words):
    with pytest.raises(errors.ZrepError) as found:
        stream(sender, receiver, way=BOTH)
    assert found.value.__class__ is kind
    assert found.value.host == host
    assert words in str(found.value)


LOST = Completed(255, "", "mux_client_request_session: read from master failed: Broken pipe")


@pytest.mark.parametrize(
    ("received", "way", "kind"),
    [
        (Completed(1, "", INVALID), DIRECT, errors.TransferFailed),
        (by_filter(1, 1, INVALID), BOTH, errors.FilterFailed),
        (by_filter(1, 0, INVALID), BOTH, errors.TransferFailed),
    ],
)
@pytest.mark.parametrize("sent", [LOST, Completed(255, "", "")])
def test_a_stream_from_the_peer_that_this_end_cut_off(stream, sent, received, way, kind):
    """ssh says the same as of a connection that broke; but that stands."""
    peer = Peer([])
    with pytest.raises(errors.TransferFailed) as found:
        stream(sent, received, way=way, step=FROM_PEER, peer=peer)
    assert found.value.__class__ is kind
    assert found.value.host == HOST
    assert ("stands", 3) in peer.log
    with pytest.raises(errors.LinkLost):
        stream(sent, received, way=way, step=FROM_PEER, peer=Peer([], gone=True))


def test_a_stream_to_the_peer_whose_connection_stands_may_have_arrived(stream):
    """Its receiver may have been killed after it was through."""
    for gone in (False, True):
        with pytest.raises(errors.LinkLost):
            stream(OK, Completed(255, "", ""), peer=Peer([], gone=gone))
    with pytest.raises(errors.LinkLost):
        stream(Completed(255, "", ""), OK, step=FROM_PEER)


def test_without_filters_nobody_suspects_them(stream):
    with pytest.raises(errors.TransferFailed) as found:
        stream(OK, Completed(1, "", INVALID))
    assert "stream passed" not in str(found.value)


BBCP = Way(out_filter="gzip -c", bbcp=("bbcp", "-s", "4"))


@pytest.mark.parametrize("step", [STEP, FROM_PEER])
def test_bbcp_takes_the_place_of_the_pipe(stream, step):
    ((*words, source, target),) = stream(way=BBCP, step=step)
    assert words == ["bbcp", "-s", "4", "-N", "io"]
    assert (source, target) == (
        (shlex.join(SENDING), f"{PEER_HOST}:{shlex.join(RECEIVING)}")
        if step is STEP
        else (f"{PEER_HOST}:{shlex.join(SENDING)}", shlex.join(RECEIVING))
    )


def test_after_bbcp_the_snapshot_is_looked_for(stream):
    look = ("zfs", "get", "-Hp", "-o", "value,source", "guid", f"{PEER_FS}@{own(1)}")
    here, peer = Here([]), Peer([])
    stream(Completed(1, "", ""), way=BBCP, here=here, peer=peer)
    assert (here.log, peer.log) == ([], [("connect", 3), look])
    stream(Completed(1, "", ""), way=BBCP, step=FROM_PEER, here=here)
    assert here.log == [look]
    with pytest.raises(errors.TransferFailed, match="did not arrive"):
        stream(OK, way=BBCP, peer=Peer([], Completed(1, "", "cannot open 'x': dataset does not exist")))
    for answer in (Completed(1, "", "internal error"), errors.Unreachable("is gone", host=PEER_HOST)):
        with pytest.raises(errors.LinkLost):
            stream(OK, way=BBCP, peer=Peer([], answer))


def test_within_one_host_bbcp_has_nothing_to_replace(stream):
    assert stream(way=Way(bbcp=("bbcp",)), peer=Here([])) == [list(SENDING), list(RECEIVING)]


def test_where_there_is_no_bbcp_what_came_before_may_have_changed_something(stream):
    with pytest.raises(errors.NoZfs) as found:
        stream(errors.NoZfs("no program 'bbcp'", left="nothing was changed"), way=BBCP)
    assert found.value.left == ""


def test_what_settings_ask_for():
    assert way_of(Settings()) == DIRECT
    way = way_of(Settings(out_filter=" gzip -c ", in_filter="\n", bbcp="bbcp -s 8"))
    assert way == Way("gzip -c", "", ("bbcp", "-s", "8"))
    with pytest.raises(errors.BadInput):
        way_of(Settings(bbcp="bbcp '"))


def test_bbcp_that_cannot_be_read_is_refused_before_anything_else():
    with pytest.raises(errors.BadInput):
        Session(dataclasses.replace(SETTINGS, bbcp="bbcp '"))


@pytest.mark.parametrize(
    ("settings", "warning"),
    [
        (Settings(bbcp="bbcp", out_filter="gzip", in_filter="cat"), "do not pass ZREP_OUTFILTER and ZREP_INFILTER"),
        (Settings(bbcp="bbcp", in_filter="cat"), "BBCP moves the streams, so they do not pass ZREP_INFILTER"),
        (Settings(bbcp="bbcp"), ""),
        (Settings(out_filter="gzip", in_filter="cat"), ""),
    ],
)
def test_filters_that_bbcp_makes_useless(settings, warning, tmp_path):
    assert warning in way_of(settings).warning
    assert bool(way_of(settings).warning) == bool(warning)
    settings = dataclasses.replace(settings, identity=HOST, rundir=str(tmp_path))
    seen = observed(master(), replica())
    plans = [(seen, Plan(FS, State(None, None), steps)) for steps in ((), (STEP,), (STEP,))]
    with Session(settings, dry=True) as session:
        works = session.carry_out(plans)
    assert [bool(work.warnings) for work in works] == [False, bool(warning), False]


def test_a_run_sends_the_way_that_its_settings_ask_for(monkeypatch, tmp_path):
    ways = []
    monkeypatch.setattr(execute, "run_stream", lambda *args: ways.append(args[-1]))
    settings = Settings(identity=HOST, rundir=str(tmp_path), out_filter="gzip", bbcp="bbcp", lock_properties=NEVER)
    with Session(settings) as session:
        (work,) = session.carry_out([(observed(master(), replica()), Plan(FS, State(None, None), (STEP,)))])
    assert work.error is None
    assert ways == [Way(out_filter="gzip", bbcp=("bbcp",))]


SAID = f"full\t{FS}@{own(1)}\t2048\nsize\t2048\n"


@pytest.mark.parametrize("step", [STEP, FROM_PEER])
@pytest.mark.parametrize("way", [DIRECT, BOTH])
def test_a_sender_that_can_is_asked_how_far_it_is(stream, step, way):
    screen = io.StringIO()
    ends = [by_filter(0, 0)] * 2 if way is BOTH else [OK] * 2
    told = dataclasses.replace(way, progress=Progress(screen, lambda: 5))
    sender, dummy = stream(*ends, way=told, step=step)
    assert "zfs send -v -P -i" in " ".join(sender)
    assert screen.getvalue() == f"sent {FS}@{own(1)} in 0 s\n"
    sender, dummy = stream(*ends, way=told, step=step, features=OLD)
    assert "zfs send -i" in " ".join(sender)


def test_what_a_sender_says_about_its_progress_is_no_reason(stream):
    """It failed because the receiver refused, which is no complaint of its own."""
    told = Way(progress=Progress(io.StringIO()))
    with pytest.raises(errors.TransferFailed) as found:
        stream(Completed(1, "", SAID), Completed(1, "", INVALID), way=told)
    assert found.value.host == PEER_HOST


def test_nobody_is_told_that_a_stream_was_sent_which_failed(stream):
    screen = io.StringIO()
    with pytest.raises(errors.TransferFailed):
        stream(Completed(1, "", SAID), Completed(1, "", INVALID), way=Way(progress=Progress(screen)))
    assert screen.getvalue() == ""
