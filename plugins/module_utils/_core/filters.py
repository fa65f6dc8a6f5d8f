# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that a stream passes: the shell text that runs them beside zfs, and what their ends mean. Pure.

A pipe of the shell tells only how its last member ended. Here all members say it, on a line of standard error.
"""

from __future__ import annotations

import shlex
import signal
import typing as t

from . import zfs
from .errors import FilterFailed
from .shell import Completed

OUT = "ZREP_OUTFILTER"
IN = "ZREP_INFILTER"


class Member(t.NamedTuple):
    """A program that a stream passes at one of its ends.

    :param text: shell text.
    :param wish: what it runs for: a variable, or an option with its value.
    :param program: the name that it puts before its complaints; empty for text of the user's.
    """

    text: str
    wish: str
    program: str = ""

    def __str__(self) -> str:
        if self.program:
            return f"{self.program}, which runs for {self.wish},"
        return f"the filter {self.text!r} of {self.wish}"


# The members have neither of the two descriptors: what one of them leaves running in the background would hold up the
# end.
_SENDING = "{{ ended=$({{ {members}; }} {report}>&1); }} {data}>&1; "
_RECEIVING = "ended=$({{ {members}; }} {report}>&1); "
_ZFS_SENDS = "{{ {zfs} {report}>&- {data}>&-; echo zfs=$? >&{report}; }}"
_ZFS_RECEIVES = "{{ {zfs} >/dev/null {report}>&-; echo zfs=$? >&{report}; }}"
_PASSED = "{{ ({text}) {report}>&- {data}>&-; echo {label}=$? >&{report}; }}"
_PASSED_LAST = "{{ ({text}) >&{data} {report}>&- {data}>&-; echo {label}=$? >&{report}; }}"
# The text is a word for ``eval`` in a subshell, so that it cannot break what stands around it.
_FILTER = "if (set -o pipefail) 2>/dev/null; then set -o pipefail; fi; eval {text}"
_WORD = "zrep-stream:"
_VERDICT = f"echo {_WORD} $ended >&2; case $ended in {{well}}) exit 0;; esac; exit 1"

_ZFS_SAYS = ("cannot ", "warning: cannot ", "internal error")
_NOT_RUN = (126, 127)


def sending(argv: zfs.Argv, members: t.Sequence[Member], keep: t.Collection[int] = ()) -> zfs.Argv:
    """A sending command whose stream passes programs, if there are any.

    :param keep: descriptors that the command inherits, and which must reach its programs.
    """
    return _joined(argv, members, keep, sends=True)


def receiving(argv: zfs.Argv, members: t.Sequence[Member], keep: t.Collection[int] = ()) -> zfs.Argv:
    """A receiving command whose stream passes programs before, if there are any."""
    return _joined(argv, members, keep, sends=False)


def _joined(argv: zfs.Argv, members: t.Sequence[Member], keep: t.Collection[int], sends: bool) -> zfs.Argv:
    if not members:
        return argv
    # A shell need not know descriptors of more than one digit.
    report, data = [number for number in range(9, 2, -1) if number not in keep][:2]
    words = {"zfs": " ".join(shlex.quote(word) for word in argv), "report": report, "data": data}
    parts = []
    for number, member in enumerate(members, 1):
        template = _PASSED_LAST if sends and number == len(members) else _PASSED
        text = _FILTER.format(text=shlex.quote(member.text))
        parts.append(template.format(text=text, label=_label(number), **words))
    parts = [_ZFS_SENDS.format(**words), *parts] if sends else [*parts, _ZFS_RECEIVES.format(**words)]
    line = (_SENDING if sends else _RECEIVING).format(members=" | ".join(parts), **words)
    return ("sh", "-c", line + _VERDICT.format(well="*=0" * len(parts)))


def _label(number: int) -> str:
    return f"filter{number}"


class Stage(t.NamedTuple):
    """How one end of a stream ended.

    :param zfs: the zfs command, with what it said itself.
    :param statuses: how the programs ended, in the order of the stream; empty if there are none or nobody knows.
    :param said: what else was said.
    """

    zfs: Completed
    statuses: tuple[int, ...] = ()
    said: str = ""

    @property
    def cut_off(self) -> bool:
        """Whether zfs ended because nobody took its stream any more."""
        # What the peer's end says about that may be lost: ssh has closed already, and knows its exit status only.
        wordless = self.zfs.status == 1 and not self.statuses and not self.zfs.err.strip()
        return self.zfs.status == -signal.SIGPIPE or "Broken pipe" in self.zfs.err or wordless


class Fault(t.NamedTuple):
    """A program that failed for a reason of its own, or ended before the stream did.

    Ours do the latter for one reason only, which is that nobody takes what they give (pv ends well then).

    :param said: what was said that may be its complaint.
    :param sends: it is one of the sending end.
    """

    member: Member
    status: int
    said: str
    sends: bool


def stage(done: Completed, members: t.Sequence[Member]) -> Stage:
    """Take apart how an end with programs ended. Where its shell was killed, or the link broke, nobody knows."""
    if not members:
        return Stage(done)
    lines = done.err.splitlines()
    words = [line.split()[1:] for line in lines if line.startswith(_WORD)]
    said = [line for line in lines if not line.startswith(_WORD)]
    statuses = dict(word.split("=") for word in words[-1] if word.count("=") == 1) if words else {}
    labels = [_label(number) for number in range(1, len(members) + 1)]
    if not all(statuses.get(name, "").isdigit() for name in ("zfs", *labels)):
        return Stage(done._replace(err="\n".join(said)))
    status = int(statuses["zfs"])
    number = _signal(status)
    own = next((index for index, line in enumerate(said) if line.startswith(_ZFS_SAYS)), 0)
    return Stage(
        Completed(-number if number else status, "", "\n".join(said[own:])),
        tuple(int(statuses[name]) for name in labels),
        "\n".join(line for line in said if not line.startswith(_ZFS_SAYS)),
    )


def _signal(status: int) -> int:
    """The signal that a shell means by an exit status, 0 for none: 128 and more, or 256 and more."""
    number = status % 128 if status > 128 else 0
    return number if number < 65 else 0


def culprit(
    sender: Stage, out_members: t.Sequence[Member], receiver: Stage, in_members: t.Sequence[Member]
) -> Fault | None:
    """The program that is the first cause of a failure, None if there is none."""
    if sender.zfs.status and not sender.cut_off:
        return None
    # At the sending end, what comes before the one that failed finds that nobody takes its stream.
    failed = _faults(sender, out_members, sends=True)[-1:]
    if not failed and sender.statuses[:1] == (0,) and sender.cut_off and not out_members[0].program:
        failed = [Fault(out_members[0], 0, sender.said, sends=True)]
    # At the receiving end, what comes after it gets a part only.
    failed += _faults(receiver, in_members, sends=False)
    return failed[0] if failed else None


def _faults(found: Stage, members: t.Sequence[Member], sends: bool) -> list[Fault]:
    """Programs that failed, but not because nobody took what they gave."""
    faults = []
    for member, status in zip(members, found.statuses):
        said = _said_by(member, found.said, members)
        if status and _signal(status) != signal.SIGPIPE and "Broken pipe" not in said:
            faults.append(Fault(member, status, said, sends))
    return faults


def _said_by(member: Member, said: str, members: t.Sequence[Member]) -> str:
    """What a program complained about, as far as the names before the lines tell."""
    lines = said.splitlines()
    own = [line for line in lines if member.program and line.lstrip().startswith(f"{member.program}:")]
    others = tuple(f"{other.program}:" for other in members if other.program and other != member)
    return "\n".join(own or [line for line in lines if not line.lstrip().startswith(others)])


def failure(fault: Fault, host: str, dataset: str) -> FilterFailed:
    """The error that a program of a stream failed."""
    member, status = fault.member, fault.status
    said = " ".join(fault.said.split())[:500] or "it said nothing"
    if status in _NOT_RUN:
        what = f"cannot be run ({said})"
        hint = f"install it on {host}, or put its folder on the PATH of a non-interactive shell there"
    else:
        if status == 0:
            what = "ended before the stream did"
        elif _signal(status):
            what = f"was killed by signal {_signal(status)} ({said})"
        else:
            what = f"failed with exit status {status} ({said})"
        text = member.text
        hint = f"try it by hand: zfs send SNAPSHOT | {text}" if fault.sends else f"try {text!r} by hand on {host}"
    other_way = f"do without {member.wish}" if member.program else f"unset {OUT} and {IN}"
    return FilterFailed(
        f"{member} {what}",
        argv=("sh", "-c", member.text),
        status=status,
        stderr=fault.said,
        host=host,
        dataset=dataset,
        hint=f"{hint}; or {other_way}",
    )


def suspicion(out_filter: str, in_filter: str, source: str, target: str) -> str:
    """A hint for a stream that failed although no filter says that it did."""
    passed = [
        f"{variable} ({text!r} on {host})"
        for variable, text, host in ((OUT, out_filter, source), (IN, in_filter, target))
        if text
    ]
    return "the stream passed {}: zfs has to receive what zfs sent".format(" and ".join(passed)) if passed else ""
