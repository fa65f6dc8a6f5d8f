# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the two ends of a stream mean together."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors
from ansible_collections.zfsops.zrep.plugins.module_utils._core.shell import Completed, Ended
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE, PEER
from ansible_collections.zfsops.zrep.plugins.module_utils._core.streams import Send
from ansible_collections.zfsops.zrep.plugins.module_utils._core.transfer import judge

from .builders import FS, HOST, MODERN, PEER_FS, PEER_HOST, own

STEP = Send(HERE, f"{FS}@{own(1)}", "why", base=f"{FS}@{own(0)}", destination=PEER_FS)
SENDING, RECEIVING = STEP.commands((), MODERN)

OK = (0, "")
PIPE = (1, "warning: cannot send 'pool1/data@zrep_000001': Broken pipe")
KILLED_BY_PIPE = (-13, "")
CUT = (1, "cannot receive: failed to read from stream")
MODIFIED = (
    1,
    "cannot receive incremental stream: destination pool2/copy has been modified\nsince most recent snapshot",
)


def verdict(sender, receiver, step=STEP):
    ended = Ended(Completed(sender[0], "", sender[1]), Completed(receiver[0], "", receiver[1]))
    return judge(ended, SENDING, RECEIVING, HOST, PEER_HOST, step)


def test_both_ends_went_well():
    assert verdict(OK, OK) is None


@pytest.mark.parametrize(
    ("sender", "receiver", "kind", "host"),
    [
        # The receiver refuses; the sender only notices that nobody listens.
        (PIPE, MODIFIED, errors.Diverged, PEER_HOST),
        (KILLED_BY_PIPE, MODIFIED, errors.Diverged, PEER_HOST),
        (OK, MODIFIED, errors.Diverged, PEER_HOST),
        (PIPE, (1, "cannot receive incremental stream: out of space"), errors.PoolFull, PEER_HOST),
        (PIPE, (1, "cannot receive incremental stream: permission denied"), errors.Denied, PEER_HOST),
        # The sender fails; the receiver only sees a stream that ends too early.
        ((1, "cannot open 'pool1/data@zrep_000000': dataset does not exist"), CUT, errors.NotFound, HOST),
        ((1, "warning: cannot send 'pool1/data@zrep_000001': I/O error"), CUT, errors.TransferFailed, HOST),
        ((1, "cannot send 'pool1/data': permission denied"), CUT, errors.Denied, HOST),
        ((1, "cannot send: I/O error"), OK, errors.TransferFailed, HOST),
        # Nobody says why.
        ((-9, ""), CUT, errors.TransferFailed, PEER_HOST),
        ((-9, ""), OK, errors.TransferFailed, HOST),
        # The other host has no zfs.
        (PIPE, (127, "sh: 1: zfs: not found"), errors.NoZfs, PEER_HOST),
    ],
)
def test_the_first_cause_counts(sender, receiver, kind, host):
    error = verdict(sender, receiver)
    assert error.__class__ is kind
    assert error.host == host
    assert getattr(error, "certain", True)


@pytest.mark.parametrize(
    "said",
    [
        "client_loop: send disconnect: Broken pipe",
        "Timeout, server hostb not responding.",
        "Connection to hostb closed by remote host.",
        "ssh: connect to host hostb port 22: Connection refused",
        "kex_exchange_identification: read: Connection reset by peer",
        "mux_client_request_session: read from master failed: Broken pipe",
    ],
)
@pytest.mark.parametrize("sender", [OK, PIPE, KILLED_BY_PIPE])
def test_a_lost_link_leaves_doubt(sender, said):
    error = verdict(sender, (255, said))
    assert isinstance(error, errors.LinkLost)
    assert not error.certain


def test_a_receiving_end_that_was_killed_leaves_doubt():
    error = verdict(PIPE, (-9, ""))
    assert isinstance(error, errors.LinkLost)
    assert "signal 9" in error.message


def test_a_link_that_broke_without_a_word_leaves_doubt():
    """ssh may be told to be quiet; zfs itself never ends with 255."""
    error = verdict(PIPE, (255, ""))
    assert isinstance(error, errors.LinkLost)


FROM_PEER = dataclasses.replace(STEP, side=PEER)
LOST = (255, "mux_client_request_session: read from master failed: Broken pipe")


@pytest.mark.parametrize("sender", [LOST, (255, ""), KILLED_BY_PIPE])
@pytest.mark.parametrize(
    ("said", "kind"),
    [("out of space", errors.PoolFull), ("permission denied", errors.Denied), (MODIFIED[1], errors.Diverged)],
)
def test_a_receiver_on_this_host_knows_why_it_stopped(sender, said, kind):
    """The connection of the far sender may break because of that, before or after it ends."""
    error = verdict(sender, (1, f"cannot receive: {said}"), FROM_PEER)
    assert error.__class__ is kind


def test_a_receiver_on_this_host_that_only_saw_the_stream_end_leaves_doubt():
    assert isinstance(verdict(LOST, CUT, FROM_PEER), errors.LinkLost)
