# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that move data: their commands and the state that they lead to, whichever side sends."""

from __future__ import annotations

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import HERE, PEER, State
from ansible_collections.zfsops.zrep.plugins.module_utils._core.streams import Copy, Send, other

from .builders import FS, MODERN, OLD, PEER_FS, guid_of, marked, master, own, replica, sent, shorts

KEPT = "pool1/kept"


def test_the_other_side():
    assert (other(HERE), other(PEER)) == (PEER, HERE)


@pytest.mark.parametrize("which", [HERE, PEER])
def test_either_side_can_send(which):
    """A move that is called on the replica's host pulls."""
    production, copy = master(*sent(0), own(1)), replica(*sent(0))
    before = State(production, copy) if which == HERE else State(copy, production)
    step = Send(which, f"{FS}@{own(1)}", "why", base=f"{FS}@{own(0)}", destination=PEER_FS, intermediates=True)
    assert step.commands((), MODERN) == [
        ("zfs", "send", "-I", f"{FS}@{own(0)}", f"{FS}@{own(1)}"),
        ("zfs", "receive", "-u", PEER_FS),
    ]
    after = step.apply(before)
    assert after.side(which) == production
    arrived = after.side(other(which))
    assert shorts(arrived) == [own(0), own(1)]
    assert arrived.snapshots[-1].guid == guid_of(own(1))
    assert arrived.snapshots[-1].name == f"{PEER_FS}@{own(1)}"
    assert marked(arrived) == [own(0)]


def test_streams_of_the_two_directions_are_not_of_one_group():
    assert Send(HERE, "p@1", "why").group == Send(HERE, "q@1", "why").group
    assert Send(HERE, "p@1", "why").group != Send(PEER, "p@1", "why").group


def copy(base=0, last=1, **more):
    return Copy(HERE, f"{FS}@{own(last)}", "why", base=f"{FS}@{own(base)}", copy=KEPT, **more)


def test_a_new_copy_starts_as_a_clone_of_the_common_snapshot():
    """So it costs what differs. Nothing of it is mounted, and nothing of the source's properties goes along."""
    (argv,) = copy(values=(("readonly", "on"), ("zrep:preserved-from", f"{FS}@{own(0)}"))).commands((), MODERN)
    line = (
        f"zfs send -i {FS}@{own(0)} {FS}@{own(1)} | zfs receive -u -o origin={FS}@{own(0)} -o readonly=on "
        f"-o zrep:preserved-from={FS}@{own(0)} {KEPT}"
    )
    assert argv == ("sh", "-c", line)


def test_a_new_copy_is_a_full_one_where_zfs_knows_no_origin():
    commands = copy(values=(("readonly", "on"), ("a:b", "c"))).commands((), OLD)
    assert commands == [
        ("sh", "-c", f"zfs send {FS}@{own(1)} | zfs receive -u {KEPT}"),
        ("zfs", "set", "readonly=on", KEPT),
        ("zfs", "set", "a:b=c", KEPT),
    ]


@pytest.mark.parametrize(("features", "flag"), [(MODERN, "-I"), (OLD, "-i")], ids=["modern", "old"])
def test_what_follows_comes_with_all_between_or_one_by_one(features, flag):
    (argv,) = copy(1, 3, new=False).commands((), features)
    assert argv == ("sh", "-c", f"zfs send {flag} {FS}@{own(1)} {FS}@{own(3)} | zfs receive -u {KEPT}")


def test_no_name_becomes_a_word_of_the_shell():
    (argv,) = Copy(HERE, "p@a b", "why", base="p@$(id)", copy="p/;x").commands((), MODERN)
    assert "'p@a b'" in argv[2]
    assert "'p@$(id)'" in argv[2]
    assert argv[2].endswith("'p/;x'")


def test_a_copy_is_no_part_of_the_pair():
    before = State(master(*sent(0), own(1)), replica(*sent(0)))
    assert copy().apply(before) == before


def test_each_says_what_it_does():
    assert copy().describe() == f"copy what {FS}@{own(1)} has since {own(0)} to {KEPT}"
    assert Send(HERE, f"{FS}@{own(1)}", "why", base=f"{FS}@{own(0)}", destination=PEER_FS).describe() == (
        f"send {FS}@{own(1)} from {own(0)} to {PEER_FS}"
    )
    assert "in full" in Send(HERE, f"{FS}@{own(1)}", "why", destination=PEER_FS).describe()
