# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole life of a pair under a user who is not root, with nothing but what the role trust gives him."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.lab import Host
from tests.system import command
from tests.system.ansible import changes
from tests.system.pairs import held, local
from tests.system.product import start_module
from tests.system.test_trust import KEYS, Trust, trust

__all__ = ["trust"]

# zfs-fuse has no zfs allow.
pytestmark = [pytest.mark.system, pytest.mark.needs("delegation"), pytest.mark.timeout(900)]

FS, COPY = "pool1/prodfs", "pool2/prodfs"


@pytest.fixture
def somebody(host1: Host) -> Iterator[str]:
    """Has had the name of the user before: his account."""
    host1.run("useradd --create-home --comment Somebody --shell /bin/bash --password '*' zrep")
    yield host1.run(["getent", "passwd", "zrep"]).stdout
    host1.run(["userdel", "--remove", "zrep"])


@pytest.fixture
def delegated(trust: Trust) -> Iterator[Callable[..., str]]:
    """The role with that user, taken back whatever happened: what it allows on a pool outlives all datasets."""
    role = functools.partial(trust, zrep_trust_user="zrep")
    yield role
    role(zrep_trust_state="absent")


def zrep(host: Host, *words: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command as that user."""
    done = host.run(["runuser", "-u", "zrep", "--", command.PATH, *words], check=False)
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done


def files(host: Host, dataset: str) -> str:
    return host.run(f"cd /{dataset} && sha256sum *").stdout


def mount(host: Host, dataset: str) -> None:
    """What root has to do, as the warning says."""
    host.run(f"zfs unmount {dataset} 2>/dev/null; zfs mount {dataset}")


def is_writable(host: Host, dataset: str) -> bool:
    return host.run(["touch", f"/{dataset}/probe"], check=False).returncode == 0


# The Molecule scenario of that name does the same with all roles.
@pytest.mark.slow
def test_the_whole_life(delegated: Callable[..., str], host1: Host, host2: Host) -> None:
    allowed = [host.zfs("allow", name) for host, name in ((host1, FS), (host2, "pool2"))]
    keys = [host.read_file(KEYS) for host in (host1, host2)]
    delegated()
    assert changes(delegated()) == 0
    host1.write_file(f"/{FS}/file", "one\n")
    zrep(host1, "init", FS, "host2", COPY)
    # What was given above the replica, which was still to be made, is enough.
    assert changes(delegated()) == 0
    for number in range(7):
        host1.write_file(f"/{FS}/file", f"{number}\n")
        zrep(host1, "sync", "all")
    assert len(host2.zfs("list", "-H", "-o", "name", "-t", "snapshot", "-r", COPY).split()) == 5
    mount(host2, COPY)
    assert files(host1, FS) == files(host2, COPY)
    # Mounted read-only it is the master, but not writable, until root has mounted it.
    moved = zrep(host1, "failover", FS)
    assert "until root runs on host2: zfs unmount pool2/prodfs && zfs mount pool2/prodfs" in moved.stderr
    assert not is_writable(host1, FS)
    mount(host2, COPY)
    assert is_writable(host2, COPY)
    host2.write_file(f"/{COPY}/file", "there\n")
    zrep(host2, "sync", "all")
    assert files(host1, FS) == files(host2, COPY)
    # Back to what was mounted writable once it takes nobody's help.
    assert "root" not in zrep(host2, "failover", COPY).stderr
    assert is_writable(host1, FS)
    assert not is_writable(host2, COPY)
    assert local(host1, FS, "zrep:master") == "yes"
    zrep(host1, "doctor")
    zrep(host2, "doctor")
    # The old master comes back from a takeover.
    zrep(host2, "takeover", "-L", COPY)
    host2.write_file(f"/{COPY}/file", "survivor\n")
    zrep(host1, "failover", "-L", "--discard", FS)
    zrep(host2, "sync", "all")
    assert files(host1, FS) == files(host2, COPY)
    zrep(host2, "clear", "-f", COPY)
    delegated(zrep_trust_state="absent")
    assert [host.zfs("allow", name) for host, name in ((host1, FS), (host2, "pool2"))] == allowed
    assert [host.read_file(KEYS) for host in (host1, host2)] == keys
    assert host1.run(["id", "zrep"], check=False).returncode != 0
    assert changes(delegated(zrep_trust_state="absent")) == 0


def test_a_permission_that_is_missing_is_named_before_anything_is_changed(
    delegated: Callable[..., str], host1: Host, host2: Host
) -> None:
    delegated()
    host1.zfs("unallow", "-u", "zrep", "snapshot", FS)
    refused = zrep(host1, "init", FS, "host2", COPY, ok=False)
    assert f"as root on host1: zfs allow -u USER mount,snapshot {FS}" in refused.stderr
    assert host2.zfs("list", "-H", "-o", "name") == "pool2\n"
    host1.zfs("allow", "-u", "zrep", "snapshot", FS)
    zrep(host1, "init", FS, "host2", COPY)
    found = json.loads(zrep(host1, "status", "--json", FS).stdout)
    assert FS in json.dumps(found)


def test_root_and_a_user_who_was_there_before_keep_each_other_off(
    somebody: str, delegated: Callable[..., str], host1: Host, host2: Host
) -> None:
    delegated()
    assert changes(delegated()) == 0
    zrep(host1, "init", FS, "host2", COPY)
    with held(host1, verbs=("send",)) as hold:
        by_root = start_module(host1, "zrep_sync", {"filesystem": FS})
        hold.wait()
        for host, words in ((host1, ("sync", FS)), (host1, ("failover", FS)), (host2, ("failover", COPY))):
            assert "another process" in zrep(host, *words, ok=False).stderr
        hold.go()
        result = by_root.result()
    assert not result.failed, result["msg"]
    zrep(host1, "sync", FS)
    zrep(host1, "failover", FS)
    assert local(host2, COPY, "zrep:master") == "yes"
    delegated(zrep_trust_state="absent")
    assert host1.run(["getent", "passwd", "zrep"]).stdout == somebody
    assert host1.run("ls -A /home/zrep/.ssh; ls -d /var/lib/zrep*", check=False).stdout == ""
