# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the user's that a stream passes: the shell text that runs one beside zfs, and what their ends mean. Pure.

A pipe of the shell tells only how its last member ended. Here both members say it, on a line of standard error.
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

# The user's text is a word for ``eval`` in a subshell, so that it cannot break what stands around it. The members have
# neither of the two descriptors: what one of them leaves running in the background would hold up the end.
_SENDING = (
    "{{ ended=$({{ {{ {zfs} {report}>&- {data}>&-; echo zfs=$? >&{report}; }} | "
    "{{ ({filter}) >&{data} {report}>&- {data}>&-; echo filter=$? >&{report}; }}; }} {report}>&1); }} {data}>&1; "
)
_RECEIVING = (
    "ended=$({{ {{ ({filter}) {report}>&-; echo filter=$? >&{report}; }} | "
    "{{ {zfs} >/dev/null {report}>&-; echo zfs=$? >&{report}; }}; }} {report}>&1); "
)
_FILTER = "if (set -o pipefail) 2>/dev/null; then set -o pipefail; fi; eval {text}"
_WORD = "zrep-stream:"
_VERDICT = f"echo {_WORD} $ended >&2; case $ended in *=0*=0) exit 0;; esac; exit 1"

_ZFS_SAYS = ("cannot ", "warning: cannot ", "internal error")
_NOT_RUN = (126, 127)


def sending(argv: zfs.Argv, text: str, keep: t.Collection[int] = ()) -> zfs.Argv:
    """A sending command whose stream passes a filter, if there is one.

    :param keep: descriptors that the command inherits, and which must reach its programs.
    """
    return _joined(_SENDING, argv, text, keep)


def receiving(argv: zfs.Argv, text: str, keep: t.Collection[int] = ()) -> zfs.Argv:
    """A receiving command whose stream passes a filter before, if there is one."""
    return _joined(_RECEIVING, argv, text, keep)


def _joined(template: str, argv: zfs.Argv, text: str, keep: t.Collection[int]) -> zfs.Argv:
    if not text:
        return argv
    # A shell need not know descriptors of more than one digit.
    report, data = [number for number in range(9, 2, -1) if number not in keep][:2]
    line = template.format(
        zfs=" ".join(shlex.quote(word) for word in argv),
        filter=_FILTER.format(text=shlex.quote(text)),
        report=report,
        data=data,
    )
    return ("sh", "-c", line + _VERDICT)


class Stage(t.NamedTuple):
    """How one end of a stream ended.

    :param zfs: the zfs command, with what it said itself.
    :param status: how the filter ended, None if there is none or nobody knows.
    :param said: what else was said.
    """

    zfs: Completed
    status: int | None = None
    said: str = ""

    @property
    def cut_off(self) -> bool:
        """Whether zfs ended because nobody took its stream any more."""
        return self.zfs.status == -signal.SIGPIPE or "Broken pipe" in self.zfs.err

    @property
    def filter_failed(self) -> bool:
        """Whether the filter failed for a reason of its own."""
        return (
            self.status not in (None, 0) and _signal(self.status) != signal.SIGPIPE and "Broken pipe" not in self.said
        )

    @property
    def filter_ended_early(self) -> bool:
        return self.status == 0 and self.cut_off


def stage(done: Completed) -> Stage:
    """Take apart how an end with a filter ended. Where its shell was killed, or the link broke, nobody knows."""
    lines = done.err.splitlines()
    words = [line.split()[1:] for line in lines if line.startswith(_WORD)]
    said = [line for line in lines if not line.startswith(_WORD)]
    statuses = dict(word.split("=") for word in words[-1]) if words else {}
    if not all(statuses.get(name, "").isdigit() for name in ("zfs", "filter")):
        return Stage(done._replace(err="\n".join(said)))
    status = int(statuses["zfs"])
    number = _signal(status)
    own = next((index for index, line in enumerate(said) if line.startswith(_ZFS_SAYS)), 0)
    return Stage(
        Completed(-number if number else status, "", "\n".join(said[own:])),
        int(statuses["filter"]),
        "\n".join(line for line in said if not line.startswith(_ZFS_SAYS)),
    )


def _signal(status: int | None) -> int:
    """The signal that a shell means by an exit status, 0 for none: 128 and more, or 256 and more."""
    number = status % 128 if status is not None and status > 128 else 0
    return number if number < 65 else 0


def culprit(sender: Stage, receiver: Stage) -> str:
    """Which filter is the first cause of a failure: OUT, IN, or an empty string for neither."""
    if sender.zfs.status and not sender.cut_off:
        return ""
    if sender.filter_failed or sender.filter_ended_early:
        return OUT
    return IN if receiver.filter_failed else ""


def failure(variable: str, text: str, found: Stage, host: str, dataset: str) -> FilterFailed:
    """The error that a filter failed."""
    status = found.status or 0
    said = " ".join(found.said.split())[:500] or "it said nothing"
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
        hint = f"try it by hand: zfs send SNAPSHOT | {text}" if variable == OUT else f"try {text!r} by hand on {host}"
    return FilterFailed(
        f"the filter {text!r} of {variable} {what}",
        argv=("sh", "-c", text),
        status=status,
        stderr=found.said,
        host=host,
        dataset=dataset,
        hint=f"{hint}; or unset {OUT} and {IN}",
    )


def suspicion(out_filter: str, in_filter: str, source: str, target: str) -> str:
    """A hint for a stream that failed although no filter says that it did."""
    passed = [
        f"{variable} ({text!r} on {host})"
        for variable, text, host in ((OUT, out_filter, source), (IN, in_filter, target))
        if text
    ]
    return "the stream passed {}: zfs has to receive what zfs sent".format(" and ".join(passed)) if passed else ""
