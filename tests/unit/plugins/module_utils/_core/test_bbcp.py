# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""bbcp: its command line, and what its end means."""

from __future__ import annotations

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import bbcp, errors
from ansible_collections.zfsops.zrep.plugins.module_utils._core.shell import Completed
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE, PEER
from ansible_collections.zfsops.zrep.plugins.module_utils._core.streams import Send

from .builders import FS, HOST, MODERN, PEER_FS, PEER_HOST, own

STEP = Send(HERE, f"{FS}@{own(1)}", "why", base=f"{FS}@{own(0)}", destination=PEER_FS)
SENDING, RECEIVING = STEP.commands((), MODERN)
BBCP = ("bbcp", "-s", "8")


def test_its_options_are_words():
    assert bbcp.words("bbcp -s 8 -S 'ssh -p 22 %H bbcp'") == ("bbcp", "-s", "8", "-S", "ssh -p 22 %H bbcp")
    assert bbcp.words("") == ()
    with pytest.raises(errors.BadInput, match="BBCP"):
        bbcp.words("bbcp 'x")


def test_it_sends():
    assert bbcp.command(BBCP, SENDING, RECEIVING, PEER_HOST, pushes=True) == [
        *("bbcp", "-s", "8", "-N", "io"),
        "zfs send -i pool1/data@zrep_000000 pool1/data@zrep_000001",
        "hostb:zfs receive -u pool2/copy",
    ]


def test_it_fetches():
    assert bbcp.command(BBCP, SENDING, RECEIVING, PEER_HOST, pushes=False) == [
        *("bbcp", "-s", "8", "-N", "io"),
        "hostb:zfs send -i pool1/data@zrep_000000 pool1/data@zrep_000001",
        "zfs receive -u pool2/copy",
    ]


@pytest.mark.parametrize(
    ("sending", "receiving", "pushes", "number", "word"),
    [
        # Before the first slash, bbcp would take these for a user and a host.
        (("zfs", "send", "pool1@a"), RECEIVING, True, 3, "/usr/bin/env zfs send pool1@a"),
        (("zfs", "send", "po:ol/fs@a"), RECEIVING, True, 3, "/usr/bin/env zfs send po:ol/fs@a"),
        (SENDING, ("zfs", "receive", "-o", "a:b=c", "p/a"), False, 4, "/usr/bin/env zfs receive -o a:b=c p/a"),
        # After a host it looks for no other one.
        (SENDING, ("zfs", "receive", "-o", "a:b=c", "p/a"), True, 4, "hostb:zfs receive -o a:b=c p/a"),
        (("zfs", "send", "pool1@a"), RECEIVING, False, 3, "hostb:zfs send pool1@a"),
    ],
)
def test_nothing_is_taken_for_a_host_that_is_none(sending, receiving, pushes, number, word):
    assert bbcp.command(("bbcp",), sending, receiving, PEER_HOST, pushes)[number] == word


@pytest.mark.parametrize(
    ("host", "before"),
    [
        ("hostb", "hostb:"),
        ("zrep@hostb", "zrep@hostb:"),
        ("fd00::2", "[fd00::2]:"),
        ("zrep@fd00::2", "zrep@[fd00::2]:"),
        ("[fd00::2]", "[fd00::2]:"),
    ],
)
def test_hosts(host, before):
    assert bbcp.command(("bbcp",), SENDING, RECEIVING, host, pushes=True)[4] == before + "zfs receive -u pool2/copy"


@pytest.mark.parametrize("word", ["comment=two words", "", "a\tb"])
def test_what_it_cannot_carry_is_refused(word):
    """It knows no quotes."""
    with pytest.raises(errors.BadInput, match="blanks"):
        bbcp.command(("bbcp",), SENDING, ("zfs", "receive", "-o", word, "p/a"), PEER_HOST, pushes=True)


def verdict(status, err, arrived, side=HERE):
    step = Send(side, STEP.target, "why", base=STEP.base, destination=PEER_FS)
    return bbcp.judge(Completed(status, "", err), arrived, SENDING, RECEIVING, HOST, PEER_HOST, step)


@pytest.mark.parametrize("status", [0, 11])
def test_a_snapshot_that_is_there_has_arrived(status):
    assert verdict(status, "", arrived=True) is None


@pytest.mark.parametrize("status", [0, 11])
def test_if_nobody_can_tell_there_is_doubt(status):
    error = verdict(status, "", arrived=None)
    assert isinstance(error, errors.LinkLost)
    assert (error.host, error.dataset) == (PEER_HOST, PEER_FS)


@pytest.mark.parametrize(
    ("status", "err", "kind", "host"),
    [
        (11, "bbcp: cannot receive incremental stream: destination has been modified", errors.Diverged, PEER_HOST),
        (11, "warning: cannot send 'p/a': Broken pipe\ncannot receive: out of space", errors.PoolFull, PEER_HOST),
        (11, "cannot receive: out of space\nwarning: cannot send 'p/a': Broken pipe", errors.PoolFull, PEER_HOST),
        (11, "cannot receive: failed to read\ncannot send 'p/a': permission denied", errors.Denied, HOST),
        (11, "cannot send 'pool1/data': permission denied", errors.Denied, HOST),
        (11, "warning: cannot send 'pool1/data@x': Broken pipe", errors.TransferFailed, HOST),
        (11, "bbcp: Connection refused", errors.TransferFailed, HOST),
        (0, "", errors.TransferFailed, HOST),
    ],
)
def test_a_snapshot_that_is_not_there_has_not(status, err, kind, host):
    error = verdict(status, err, arrived=False)
    assert error.__class__ is kind
    assert error.host == host
    assert getattr(error, "certain", True)


def test_the_error_says_what_is_missing_where():
    error = verdict(3, "bbcp: no\nroute", arrived=False, side=PEER)
    assert "status 3 (bbcp: no route)" in error.message
    assert "zrep_000001 did not arrive at hostb:pool2/copy" in error.message
    assert (error.host, error.dataset) == (PEER_HOST, PEER_FS)
    assert "BBCP" in error.hint


def test_the_error_says_what_the_end_that_failed_complained_about():
    error = verdict(3, "cannot receive: out of space\nwarning: cannot send 'p/a': Broken pipe\n", arrived=False)
    assert error.message.endswith("cannot receive: out of space")
