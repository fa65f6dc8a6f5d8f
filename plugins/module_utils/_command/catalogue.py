# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every variable of the zrep command, as data."""

from __future__ import annotations

import typing as t


class Variable(t.NamedTuple):
    """A variable.

    :param default: its value where it is not set, empty if that is nothing or depends on something.
    :param effect: what it is for, for people.
    :param works: whether it has an effect here; the script knows some that cannot have any.
    """

    default: str
    effect: str
    works: bool = True


TABLE: dict[str, Variable] = {
    "SSH": Variable("ssh", "how the other host is reached: a command with options"),
    "ZREPTAG": Variable("zrep", "the tag under which pairs are registered, as -t"),
    "ZREP_SRC_HOST": Variable("", "the name under which this host records itself"),
    "ZREP_SAVE_COUNT": Variable("5", "how many snapshots a new pair keeps on each side"),
    "ZREP_SKIP_EXPIRE": Variable("", "any value: no snapshot is destroyed for its age"),
    "ZREP_RENAME_UNSENT": Variable(
        "yes", "yes: a snapshot that could not be sent is renamed; anything else: destroyed"
    ),
    "ZREP_CHANGEDONLY": Variable("", "any value: sync only what was written to, as sync -c"),
    "ZREP_FORCE": Variable("", "-f: as -f with every verb"),
    "ZREP_R": Variable("", "any value: with all filesystems below, as -R"),
    "ZREP_RESUME": Variable("yes", "off: a transfer that was interrupted starts again; anything else: it goes on"),
    "ZREP_VERBOSE": Variable("", "any value: say how far transfers are, as sync -v"),
    "ZREP_SEND_FLAGS": Variable("", "more options for zfs send, such as -c or --raw"),
    "ZREP_RESUME_FLAGS": Variable("", "more options for zfs send of a stream that goes on, such as -c"),
    "ZREP_INC_FLAG": Variable("", "-I: send the snapshots in between too; -i: only the newest"),
    "ZREP_CREATE_FLAGS": Variable("", "-o PROPERTY=VALUE, any number of them: properties of a replica that init makes"),
    "ZREP_INIT_REMOTE_PROPERTIES": Variable(
        "", "PROPERTY=VALUE, any number of them: properties that init sets on a replica"
    ),
    "ZREP_OUTFILTER": Variable("", "a command that streams pass on the sending host"),
    "ZREP_INFILTER": Variable("", "a command that streams pass on the receiving host"),
    "ZREP_COMPRESS": Variable(
        "none", "auto, zstd, lz4 or gzip: streams are compressed where both hosts have a program for it"
    ),
    "ZREP_BUFFER": Variable("none", "a size such as 128M: streams are buffered at each end that has mbuffer"),
    "ZREP_RATE_LIMIT": Variable(
        "none", "bytes per second such as 20M that a run may send; it takes pv or mbuffer on the sending host"
    ),
    "MBUFFER": Variable("", "deprecated: a command that streams pass on both hosts, between the two filters"),
    "BBCP": Variable("", "the bbcp command, which moves streams instead of ssh; filters do nothing then"),
    "ZREP_DATEFORMAT": Variable("%Y/%m/%d-%H:%M:%S", "how status writes dates, as date(1) does; %s: in epoch seconds"),
    "ZREP_RUNDIR": Variable("", "where the script keeps its lock; our locks and sockets are in a folder in it"),
    "Z_LOCK_RETRY": Variable("10", "for how many seconds the script's lock is waited for"),
    "ZREP_LOCKS": Variable("auto", "script: take the script's locks too; off: never; auto: where the script is around"),
    "ZREP_PATH": Variable("zrep", "where the script is, for ZREP_LOCKS=auto; the other host's zrep is never called"),
    "DEBUG": Variable("", "any value: say more about what is done, as -D"),
    "PERL_BIN": Variable("", "no effect: perl is not needed for the time", works=False),
    "Z_GLOBAL_PID": Variable(
        "", "no effect: one process does all the work, so that none has to share its lock", works=False
    ),
    "_ZREP_CHECKFILE": Variable("", "no effect: what a version of ZFS can do is found out without a file", works=False),
    "Z_SETHOLD": Variable("", "no effect, nor has it one in the script", works=False),
}

GUESSED: dict[str, str] = {
    "ZREP_TAG": "is ZREPTAG meant?",
    "ZREP_FILTER": "is ZREP_OUTFILTER or ZREP_INFILTER meant?",
    "ZREP_RECV_FLAGS": "ZREP_CREATE_FLAGS has properties for a new replica",
    "ZREP_LOCKFILE": "the script's lock is in ZREP_RUNDIR",
    "ZREP_SKEW": "clocks are not compared",
    "ZFSCMD": "the first zfs on PATH is run",
}
"""Variables that people believe in, and what to do instead."""
