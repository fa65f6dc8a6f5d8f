# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the script at the other end of a pair speaks to this command: over ssh, in every form that it is known to use.

In script.py stands what the script does around these calls.
"""

from __future__ import annotations

import subprocess

import pytest

from tests.lab import Host
from tests.system import script
from tests.system.command import install
from tests.system.moves import daily
from tests.system.pairs import Pair, ready_pair

# What stands before the verb: the script's own orders, and those that it makes of its flags when it calls on.
WORDS = [
    ("zrep", ""),
    ("zrep", "-R"),
    ("zrep", "-D"),
    ("zrep", "-R -D -D"),
    ("zrep", "-t zrep -D -t zrep"),
    ("zrep", "-D -t zrep -R -R"),
    ("dc", "-t dc"),
    ("dc", "-R -t dc"),
    ("dc", "-t dc -R"),
    ("dc", "-t dc -D -t dc"),
    ("dc", "-D -R -D -t dc -t dc -D"),
]
spoken = pytest.mark.parametrize(("tag", "words"), daily(WORDS, 3))


def made(fresh, a: Host, b: Host, tag: str = "zrep") -> Pair:
    """A pair with something new to send, and the command on both hosts."""
    pair = ready_pair(fresh, a, b, tag=tag)
    install(a)
    install(b)
    pair.write("more")
    return pair


def say(caller: Host, host: Host, line: str, text: bool = True) -> subprocess.CompletedProcess:
    """What the script's host says to the other one. Nobody is there who could answer a question."""
    return caller.run(["ssh", "-n", host.name, line], check=False, text=text)


def accepted(caller: Host, host: Host, line: str) -> str:
    """The same, which is expected to go well; what it answers."""
    done = say(caller, host, line)
    assert done.returncode == 0, done.stderr
    return done.stdout


def keep(pair: Pair, count: int) -> None:
    """Have both sides keep so many snapshots."""
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        host.zfs("set", f"{pair.tag}:savecount={count}", dataset)


def goes_on(pair: Pair) -> None:
    """The next refresh of the script gets through, with all that was written."""
    pair.write("after\n", "after")
    script.refresh(pair)
    pair.assert_same()


def large(pair: Pair) -> None:
    """More to send than fits into all the buffers on the way."""
    pair.a.run(f"head -c 4000000 /dev/urandom >/{pair.fs}/large")


def senders(host: Host) -> str:
    """What sends on a host."""
    return host.run(["pgrep", "-af", "zfs send"], check=False).stdout
