# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the system tests do and see beside the modules: pairs, snapshots, properties, whole pools, held commands."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.lab import CHANGING, Host
from tests.system.product import Result, Running, zrep_pair, zrep_sync

# What moves by itself, or lags behind by a transaction group.
VOLATILE = {
    "available",
    "compressratio",
    "creation",
    "logicalreferenced",
    "logicalused",
    "refcompressratio",
    "snapshots_changed",
    "referenced",
    "unique",
    "used",
    "usedbychildren",
    "usedbydataset",
    "usedbyrefreservation",
    "usedbysnapshots",
    "written",
}


def snapshots(host: Host, dataset: str) -> list[str]:
    """The short names of a dataset's snapshots, oldest first."""
    return list(guids(host, dataset))


def guids(host: Host, dataset: str) -> dict[str, str]:
    """The GUID of each snapshot of a dataset, oldest first."""
    lines = host.zfs("get", "-Hp", "-r", "-d", "1", "-o", "name,property,value", "createtxg,guid", dataset)
    found: dict[str, dict[str, str]] = {}
    for line in lines.splitlines():
        name, prop, value = line.split("\t")
        if name.startswith(f"{dataset}@"):
            found.setdefault(name.partition("@")[2], {})[prop] = value
    return {name: found[name]["guid"] for name in sorted(found, key=lambda name: int(found[name]["createtxg"]))}


def local(host: Host, target: str, name: str) -> str | None:
    """The value of a property if it was set on this very dataset or snapshot."""
    value = host.zfs("get", "-Hp", "-s", "local", "-o", "value", name, target).rstrip("\n")
    return value or None


def own_properties(host: Host, target: str, tag: str = "zrep") -> list[str]:
    """The names of the properties of a tag that a dataset or snapshot has of its own."""
    names = host.zfs("get", "-H", "-s", "local,received", "-o", "property", "all", target).split()
    return sorted(name for name in names if name.startswith(f"{tag}:"))


def value(host: Host, target: str, name: str) -> str:
    """The value of a property whatever its source; "-" if there is none."""
    return host.zfs("get", "-Hp", "-o", "value", name, target).rstrip("\n")


def marks(host: Host, dataset: str, tag: str = "zrep") -> dict[str, str]:
    """The sent marks of a dataset's snapshots."""
    lines = host.zfs("get", "-Hp", "-r", "-s", "local", "-o", "name,value", f"{tag}:sent", dataset)
    pairs = (line.split("\t") for line in lines.splitlines())
    return {name.partition("@")[2]: mark for name, mark in pairs if name.startswith(f"{dataset}@")}


def exists(host: Host, target: str) -> bool:
    """Whether there is such a dataset or snapshot."""
    return target in host.zfs("list", "-H", "-t", "all", "-o", "name").splitlines()


def dump(*hosts: Host) -> dict[str, list[str]]:
    """Everything in the pools of hosts that somebody could have changed: datasets and snapshots with their GUIDs and
    all their properties, and the content of mounted filesystems.
    """
    found = {}
    for host in hosts:
        properties = host.zfs("get", "-Hp", "-o", "name,property,value,source", "all").splitlines()
        lines = [line for line in properties if line.split("\t")[1:2] and line.split("\t")[1] not in VOLATILE]
        lines += host.zfs("get", "-Hp", "-o", "name,property,value", "guid").splitlines()
        files = f"find /{host.pool} -type f -exec md5sum {{}} + | sort"
        found[host.name] = lines + host.run(files).stdout.splitlines()
    return found


@dataclass(frozen=True)
class Pair:
    """A pair of the lab: ``fs`` on host ``a`` is the master, ``dest`` on host ``b`` the replica."""

    a: Host
    fs: str
    b: Host
    dest: str
    tag: str = "zrep"

    def sync(self, **options: object) -> Result:
        """Sync it, which is expected to go well."""
        result = self.try_sync(**options)
        assert not result.failed, result["msg"]
        return result

    def try_sync(self, **options: object) -> Result:
        """Sync it."""
        return zrep_sync(self.a, **{"filesystem": self.fs, "tag": self.tag, **options})

    def write(self, text: str = "text\n", name: str = "file") -> None:
        """Write a file on the master."""
        self.a.write_file(f"/{self.fs}/{name}", text)

    def on_a(self) -> list[str]:
        """The snapshots of the master."""
        return snapshots(self.a, self.fs)

    def on_b(self) -> list[str]:
        """The snapshots of the replica."""
        return snapshots(self.b, self.dest)

    def marks(self) -> tuple[dict[str, str], dict[str, str]]:
        """The sent marks of master and replica."""
        return marks(self.a, self.fs, self.tag), marks(self.b, self.dest, self.tag)

    def dump(self) -> dict[str, list[str]]:
        """Everything on both hosts."""
        return dump(self.a, self.b)

    def assert_same(self) -> None:
        """Both sides end at the same snapshot, with the same mark, and the replica holds what the master has."""
        here, there = guids(self.a, self.fs), guids(self.b, self.dest)
        last = list(there)[-1]
        assert list(here)[-1] == last
        assert here[last] == there[last]
        own, other = self.marks()
        assert own[last] == other[last]
        assert files(self.a, f"{self.fs}@{last}") == files(self.b, f"{self.dest}@{last}")


def refused(pair: Pair, call: Callable[[], Result], code: str, *words: str) -> Result:
    """Make a call, which is refused with this code and these words and changes nothing anywhere."""
    before = pair.dump()
    result = call()
    assert result.failed
    assert not result.changed
    assert result.code == code, result["msg"]
    for word in words:
        assert word in result["msg"]
    assert pair.dump() == before
    return result


def files(host: Host, snapshot: str) -> str:
    """Checksums of all files in a snapshot, which is looked at through a clone."""
    return host.run(["sh", "-c", _FILES, "sh", snapshot, f"{host.pool}/looked-at"], timeout=30).stdout


# fuse lets go of a filesystem a moment after it was unmounted; until then it is busy.
_FILES = """\
zfs=/run/lab/real/zfs
$zfs clone "$1" "$2" && cd "/$2" && find . -type f -exec md5sum {} + | sort && cd / || exit
until error=$($zfs destroy "$2" 2>&1); do
    case $error in *busy*) ;; *) echo "$error" >&2; exit 1 ;; esac
done
"""


def make_pair(fresh, a: Host, b: Host, base: str = "fs", tag: str = "zrep", **options: object) -> Pair:
    """Make a filesystem with a file in it, and with zrep_pair a pair of it."""
    pair = Pair(a, fresh.create(a, base), b, fresh.name(b, f"{base}-copy"), tag)
    pair.write()
    result = zrep_pair(
        a, **{"filesystem": pair.fs, "peer_host": b.name, "peer_filesystem": pair.dest, "tag": tag, **options}
    )
    assert not result.failed, result["msg"]
    return pair


def ready_pair(fresh, a: Host, b: Host, base: str = "fs", tag: str = "zrep") -> Pair:
    """The same as make_pair, down to the properties, but quickly and without zrep_pair: for tests of other things."""
    pair = Pair(a, fresh.name(a, base), b, fresh.name(b, f"{base}-copy"), tag)
    # Before this second: a mark that is moved within it would be no change.
    now = int(time.time()) - 2
    config = {"src-fs": pair.fs, "src-host": a.name, "dest-fs": pair.dest, "dest-host": b.name, "savecount": "5"}
    first = f"{tag}_000000"

    def configure(dataset: str) -> list[str]:
        sets = [f"$zfs set {tag}:{name}={text} {dataset}" for name, text in config.items()]
        return [*sets, f"$zfs set {tag}:sent={now} {dataset}@{first}"]

    make = [
        # To look at files is no change then.
        f"$zfs create -o atime=off {pair.fs}",
        f"echo text >/{pair.fs}/file",
        f"$zfs snapshot {pair.fs}@{first}",
        *configure(pair.fs),
        f"$zfs set {tag}:master=yes {pair.fs}",
        f"$zfs send {pair.fs}@{first}",
    ]
    receive = [f"$zfs receive -u {pair.dest}", *configure(pair.dest), f"$zfs set readonly=on {pair.dest}"]
    head = ["set -e", "zfs=/run/lab/real/zfs"]
    stream = a.run("\n".join(head + make), text=False).stdout
    b.run("\n".join(head + receive), input=stream, text=False)
    return pair


# -- faults --------------------------------------------------------------------------------------------------

# For intercept(): the command fails and does nothing. It takes what it is sent, so that the sender has ended by then: a
# snapshot that is still being sent is busy.
FAIL = "cat >/dev/null; echo 'made to fail by the test' >&2; exit 1"


class Held:
    """A command that stands still until it is let go."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def wait(self) -> None:
        """Return once the command has come."""
        self.host.run("read -r _ </tmp/held-reached", timeout=30)

    def go(self) -> None:
        """Let the command go on."""
        self.host.run("echo go >/tmp/held-go", timeout=30)


@contextmanager
def held(
    host: Host, n: int = 1, when: str = "before", verbs: Sequence[str] = CHANGING, then: str = ""
) -> Iterator[Held]:
    """Hold the n-th of these commands on a host; when it is let go, ``then`` is run before it."""
    host.run("rm -f /tmp/held-*; mkfifo /tmp/held-reached /tmp/held-go")
    host.intercept(f"echo >/tmp/held-reached; read -r _ </tmp/held-go; {then}", n=n, when=when, verbs=verbs)
    try:
        yield Held(host)
    finally:
        host.clear_faults()


def kill_module(running: Running, hold: Held, number: int = signal.SIGKILL) -> None:
    """Kill a module, with what it started on its own host, while it waits for a held command; then let that go on."""
    hold.wait()
    running.signal(number)
    running.wait()
    if hold.host is not running.host:
        hold.go()
