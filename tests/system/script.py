# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the zrep script does to the pools, command by command, as its documented behaviour has it.

The script itself may not be distributed, so it stands in the tests as the sequence of zfs commands that it is known to
run. It judges snapshots by their names and sorts them as text, like the script; the tests rely on that.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from tests.lab import CommandFailed
from tests.system.pairs import Pair


class ScriptFailed(Exception):
    """The script would have ended with status 1."""


def init(pair: Pair, savecount: int = 5) -> None:
    """Make the pair as the script does on a zfs that cannot receive with ``-o``."""
    tag = pair.tag
    config = {
        "src-fs": pair.fs,
        "src-host": pair.a.name,
        "dest-fs": pair.dest,
        "dest-host": pair.b.name,
        "savecount": str(savecount),
    }
    for name, text in config.items():
        pair.a.zfs("set", f"{tag}:{name}={text}", pair.fs)
    first = f"{tag}_000000"
    pair.a.zfs("snapshot", f"{pair.fs}@{first}")
    # Not mounted: zfs-fuse does not make a mounted filesystem read-only, a real one would.
    pair.a.run(f"zfs send {pair.fs}@{first} | ssh {pair.b.name} zfs receive -u -F {pair.dest}")
    pair.b.zfs("set", "readonly=on", pair.dest)
    for name, text in config.items():
        pair.b.zfs("set", f"{tag}:{name}={text}", pair.dest)
    # On the master only: a replica that was never synced has no mark.
    pair.a.zfs("set", f"{tag}:sent={int(time.time())}", f"{pair.fs}@{first}")
    pair.a.zfs("set", f"{tag}:master=yes", pair.fs)


def snaponly(pair: Pair) -> str:
    """Take the next snapshot; its short name."""
    names = _snapshots(pair.a, pair.fs, pair.tag)
    if not names:
        raise ScriptFailed("no snapshot to count on from")
    serial = int(re.search(r"_([0-9a-f]{6})", names[-1])[1], 16) + 1
    short = f"{pair.tag}_{serial:06x}"
    pair.a.zfs("snapshot", f"{pair.fs}@{short}")
    return short


def sync(pair: Pair, only_send: bool = False) -> None:
    """Sync a pair, or send what ``snaponly`` took."""
    _check(pair)
    _through(_replicate(pair, only_send))
    expire(pair)


def failover(pair: Pair, dies_after: str = "") -> Pair:
    """Move the master role to the replica, started on the master; the pair as it stands then.

    :param dies_after: the step, one of MOVE, after which nothing more is done.
    """
    for step in _move(pair):
        if step == dies_after:
            break
    return Pair(pair.b, pair.dest, pair.a, pair.fs, pair.tag)


def refresh(pair: Pair, words: str | None = None, out_filter: str = "", in_filter: str = "") -> str:
    """Pull, started on the replica; the short name of the snapshot that arrived.

    The master's zrep takes the snapshot, streams it and records that it arrived. That is the one that is tested, since
    the script is not at hand.

    :param words: what is said to it before the verb, if that is more than the tag.
    :param out_filter: what the replica has the stream pass on the master, and undoes with the other one.
    """
    b, tag = pair.b, pair.tag
    if _local(b, pair.dest, f"{tag}:master") == "yes":
        raise ScriptFailed("master")
    host, source = _any(b, pair.dest, f"{tag}:src-host"), _any(b, pair.dest, f"{tag}:src-fs")
    if words is None:
        words = f"-t {tag}" if tag != "zrep" else ""
    zrep = f"zrep {words}".strip()
    # As a shell takes it: without the line break at its end.
    name = b.run(f"printf %s \"$(ssh {host} '{zrep} snaponly {source}')\"").stdout
    if f"@{tag}_" not in name:
        raise ScriptFailed(f"no snapshot: {name!r}")
    short = name.partition("@")[2]
    now = int(time.time())
    behind = f"| {out_filter}" if out_filter else ""
    before = f"{in_filter} |" if in_filter else ""
    try:
        b.run(f"ssh {host} '{zrep} _refreshpull {name} {behind}' | {before} zfs receive {pair.dest}")
    except CommandFailed as error:
        raise ScriptFailed(str(error)) from None
    b.run(f"zfs set {tag}:sent={now} {pair.dest}@{short}", check=False)
    b.run(["ssh", host, f"{zrep} _refreshcomplete {name} {tag}:sent={now}"], check=False)
    _expire(b, pair.dest, tag)
    b.run(["ssh", host, f"{zrep} expire -L {source}"], check=False)
    return short


MOVE = (
    "readonly",
    "snapshot",
    "stream",
    "mark there",
    "mark here",
    "dest-fs here",
    "dest-host here",
    "src-fs here",
    "src-host here",
    "no master here",
    "writable there",
    "src-fs there",
    "src-host there",
    "dest-fs there",
    "dest-host there",
    "master there",
    "mounted there",
)
"""The steps of a move in their order."""


def takeover_alone(pair: Pair) -> Pair:
    """``takeover -L``: make the replica the master without a word to the other side; the pair as it stands then."""
    _through(_promote(pair))
    return Pair(pair.b, pair.dest, pair.a, pair.fs, pair.tag)


def failover_alone(pair: Pair) -> Pair:
    """``failover -L``: make the master a replica without a word to the other side. It goes back to the last snapshot
    that was sent, and what came after that is lost; the pair as it stands then.
    """
    _check(pair)
    pair.a.zfs("set", "readonly=on", pair.fs)
    pair.a.zfs("rollback", "-Rr", f"{pair.fs}@{_last_sent(pair)}")
    _through(_demote(pair))
    return Pair(pair.b, pair.dest, pair.a, pair.fs, pair.tag)


def _check(pair: Pair) -> None:
    """What stands before the verbs of a master."""
    if _local(pair.a, pair.fs, f"{pair.tag}:master") != "yes":
        raise ScriptFailed("not master")
    owner = _local(pair.a, pair.fs, f"{pair.tag}:lock-pid")
    if owner and pair.a.run(["kill", "-0", owner], check=False).returncode == 0:
        raise ScriptFailed("locked")


# Each of these says after each step which one it was.


def _through(steps: Iterator[str]) -> None:
    for _step in steps:
        pass


def _move(pair: Pair) -> Iterator[str]:
    _check(pair)
    pair.a.zfs("set", "readonly=on", pair.fs)
    yield "readonly"
    yield from _replicate(pair)
    yield from _demote(pair)
    yield from _promote(pair)


def _replicate(pair: Pair, only_send: bool = False) -> Iterator[str]:
    """Take a snapshot, unless told otherwise, send the newest one and mark it."""
    a, b, tag = pair.a, pair.b, pair.tag
    base = _last_sent(pair)
    if base is None:
        raise ScriptFailed("no sent snapshot")
    short = _snapshots(a, pair.fs, tag)[-1] if only_send else snaponly(pair)
    yield "snapshot"
    if _local(b, pair.dest, f"{tag}:master") == "yes":
        raise ScriptFailed("split brain")
    if short == base:
        return
    increment = "-I" if tag == "zrep" else "-i"
    now = int(time.time())
    try:
        a.run(f"zfs send {increment} {pair.fs}@{base} {pair.fs}@{short} | ssh {b.name} zfs receive {pair.dest}")
    except CommandFailed as error:
        a.zfs("rename", f"{pair.fs}@{short}", f"{pair.fs}@{short}_unsent")
        raise ScriptFailed(str(error)) from None
    yield "stream"
    b.zfs("set", f"{tag}:sent={now}", f"{pair.dest}@{short}")
    yield "mark there"
    a.zfs("set", f"{tag}:sent={now}", f"{pair.fs}@{short}")
    yield "mark here"


def _demote(pair: Pair) -> Iterator[str]:
    a, tag = pair.a, pair.tag
    peer, destination = _any(a, pair.fs, f"{tag}:dest-host"), _any(a, pair.fs, f"{tag}:dest-fs")
    turned = {"dest-fs": pair.fs, "dest-host": a.name, "src-fs": destination, "src-host": peer}
    for name, text in turned.items():
        a.zfs("set", f"{tag}:{name}={text}", pair.fs)
        yield f"{name} here"
    a.zfs("inherit", f"{tag}:master", pair.fs)
    yield "no master here"


def _promote(pair: Pair) -> Iterator[str]:
    b, tag = pair.b, pair.tag
    peer, source = _any(b, pair.dest, f"{tag}:src-host"), _any(b, pair.dest, f"{tag}:src-fs")
    b.zfs("inherit", "readonly", pair.dest)
    yield "writable there"
    turned = {"src-fs": pair.dest, "src-host": b.name, "dest-fs": source, "dest-host": peer, "master": "yes"}
    for name, text in turned.items():
        b.zfs("set", f"{tag}:{name}={text}", pair.dest)
        yield f"{name} there"
    if _any(b, pair.dest, "mounted") != "yes":
        b.zfs("mount", pair.dest)
    yield "mounted there"


def expire(pair: Pair) -> None:
    """Destroy what the savecounts of the two sides do not cover."""
    last = _last_sent(pair)
    count = int(_any(pair.a, pair.fs, f"{pair.tag}:savecount"))
    names = _snapshots(pair.a, pair.fs, pair.tag)
    before = names[: names.index(last)]
    for short in before[: max(0, len(before) - (count - 1))]:
        pair.a.zfs("destroy", "-r", f"{pair.fs}@{short}")
    _expire(pair.b, pair.dest, pair.tag)


def _expire(host, dataset: str, tag: str) -> None:
    """Destroy what the savecount of a replica does not cover."""
    count = int(_any(host, dataset, f"{tag}:savecount"))
    for short in _snapshots(host, dataset, tag)[:-count]:
        host.zfs("destroy", "-r", f"{dataset}@{short}")


def _snapshots(host, dataset: str, tag: str) -> list[str]:
    """Snapshots of the tag in the order of their text; whatever follows the six digits counts too."""
    lines = host.zfs("list", "-H", "-r", "-d", "1", "-t", "snapshot", "-o", "name", dataset).splitlines()
    shorts = [line.partition("@")[2] for line in lines]
    return sorted(short for short in shorts if re.match(rf"{tag}_[0-9a-f]{{6}}", short))


def _last_sent(pair: Pair) -> str | None:
    lines = pair.a.zfs("get", "-H", "-r", "-s", "local", "-o", "name", f"{pair.tag}:sent", pair.fs).splitlines()
    return max(lines).partition("@")[2] if lines else None


def _local(host, dataset: str, name: str) -> str:
    return host.zfs("get", "-H", "-o", "value", "-s", "local", name, dataset).strip()


def _any(host, dataset: str, name: str) -> str:
    return host.zfs("get", "-H", "-o", "value", name, dataset).strip()
