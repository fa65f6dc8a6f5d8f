# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody has got root on one host of a pair, and with it the key for the other one."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import pytest

from tests.lab import Host
from tests.system.gated import ask, gated
from tests.system.pairs import Pair, ready_pair

pytestmark = pytest.mark.system

REFUSED = 77
PROBE = "/run/lab-broken-in"

# Says many things over one connection, and tells how each of them ended.
_SPEAKER = """
import concurrent.futures, json, subprocess, sys
host, lines = json.load(sys.stdin)
ssh = ["ssh", "-o", "BatchMode=yes", "-S", "/run/attack"]
subprocess.run([*ssh, "-M", "-f", "-N", host], check=True, stdout=subprocess.DEVNULL)
def say(line):
    # What ssh itself would take for an option does not reach the other host as one.
    line = " " + line if line.startswith("-") else line
    done = subprocess.run([*ssh, host, line], input=b"", capture_output=True, timeout=60)
    return [done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")]
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    ended = list(pool.map(say, lines))
subprocess.run([*ssh, "-O", "exit", host], stderr=subprocess.DEVNULL)
print(json.dumps(ended))
"""


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Iterator[Pair]:
    """A pair that can be moved, on a host with others that host1 has nothing to do with."""
    made = ready_pair(fresh, host1, host2)
    host2.run(
        f"zfs create -p {host2.pool}/secret/below; zfs snapshot -r {host2.pool}/secret@one;"
        f"zfs create {made.dest}-other; zfs create {made.dest}/child; zfs snapshot {made.dest}/child@one;"
        f"echo password >/{host2.pool}/secret/file; zfs set zrep:sent=5 {host2.pool}/secret@one"
    )
    with gated(made):
        yield made


def everything(host: Host) -> list[str]:
    """All that a host's zfs knows, but for what changes while nobody does anything."""
    moving = ("used", "available", "referenced", "creation", "compressratio", "usedby", "unique", "written")
    lines = host.run(
        "zfs list -H -t all -o name; zfs get -Hp all; cat /etc/passwd /root/.ssh/*; ls /run /etc /root"
    ).stdout
    return [
        line for line in lines.splitlines() if not line.split("\t")[1:2] or not line.split("\t")[1].startswith(moving)
    ]


def say(pair: Pair, lines: list[str]) -> list[tuple[str, int, str, str]]:
    """What becomes of requests to the replica's host."""
    done = pair.a.run(["python3", "-c", _SPEAKER], input=json.dumps([pair.b.name, lines]), timeout=300)
    return [(line, *ended) for line, ended in zip(lines, json.loads(done.stdout), strict=True)]


def requests(pair: Pair) -> list[str]:
    """What is surely refused."""
    own, pool = pair.dest, pair.b.pool
    others = [
        f"{pool}/secret",
        f"{own}-other",
        pool,
        f"{own}/child",
        f"{own}/../secret",
        f"{pool}/secret/below",
        "*",
        "",
    ]
    found = []
    for other in others:
        found += [
            f"zfs get -Hp -r -d 1 -o name,property,value,source guid,used {other}/x",
            f"zfs list {other}@one",
            f"zfs send {other}@one",
            f"zfs send -i {other or pool}@zero {own}@zrep_000000",
            f"zfs receive -u {other}",
            f"zfs receive -u {other}/new",
            f"zfs set readonly=on {other}",
            f"zfs set zrep:sent=1 {other}@one",
            f"zfs set zrep:sent=1 {own}@zrep_000000 {other}@one",
            f"zfs inherit readonly {other}",
            f"zfs destroy {other}",
            f"zfs destroy -r {other}",
            f"zfs destroy {other}@one",
            f"zfs rollback -r {other}@one",
            f"zfs rename {other} {own}",
            f"zfs rename {own} {other}",
            f"zfs mount {other}",
            f"zfs unmount {other}",
            f"zfs snapshot {other}@zrep_000009",
            f"zrep expire {other}",
            f"zrep snaponly {other}",
            f"zrep _refreshpull {other}@one",
            f"zrep failover {other}",
        ]
    # What it may name, but not do.
    found += [
        f"zfs destroy {own}",
        f"zfs destroy -r {own}",
        f"zfs destroy -R {own}@zrep_000000",
        f"zfs destroy -r {own}@zrep_000000",
        f"zfs destroy {own}@zrep_000000%zrep_000009",
        f"zfs destroy {own}@daily",
        f"zfs rollback -r {own}@zrep_000000",
        f"zfs rollback -Rr {own}@zrep_000000",
        f"zfs receive -F {own}",
        f"zfs receive -d {own}",
        f"zfs receive -e {own}",
        f"zfs receive -o mountpoint=/etc {own}",
        f"zfs receive -o exec=on {own}",
        f"zfs receive -u {own}/child",
        f"zfs send -R {own}@zrep_000000",
        f"zfs send -t 1-abc-def-789c {own}",
        "zfs send -t 1-0-10-789c",
        f"zfs snapshot -r {own}@zrep_000009",
        f"zfs snapshot {own}@mine",
        f"zfs set mountpoint=/etc {own}",
        f"zfs set sharenfs=on {own}",
        f"zfs set exec=on {own}",
        f"zfs set setuid=on {own}",
        f"zfs set zrep:src-fs={pool}/secret {own}",
        f"zfs set zrep:dest-fs={pool}/secret {own}",
        f"zfs set zrep:recursive=yes {own}",
        f"zfs set zrep:mountpoint=/etc {own}",
        f"zfs set zrep:lock-pid=1 {own}",
        f"zfs set other:master=yes {own}",
        f"zfs set zrep:dest-host=localhost {own}",
        f"zfs set zrep:src-host=root@127.0.0.1 {own}",
        f"zfs set 'zrep:dest-host=-oProxyCommand=reboot' {own}",
        f"zfs set 'zrep:exclude=a\nb' {own}",
        f"zfs inherit -r readonly {own}",
        f"zfs inherit -S readonly {own}",
        f"zfs inherit mounted {own}",
        f"zfs get -r all {own}",
        f"zfs get -rHp all {pool}",
        f"zfs list -r {own}",
        f"zfs mount -a -O {own}",
        "zfs mount -a",
        f"zfs unmount -f {own}",
        f"zfs unmount /{own}",
        f"zfs rename {own} {own}_old",
        f"zfs rename {own}@zrep_000000 {own}@mine",
        f"zfs rename -r {own}@zrep_000000 {own}@zrep_000009",
        f"zfs clone {own}@zrep_000000 {own}_clone",
        f"zfs promote {own}",
        f"zfs allow everyone destroy {own}",
        f"zfs share {own}",
        "zfs upgrade -a",
        "zfs get all",
        "zfs list",
        "zfs",
        "zpool",
        f"zpool destroy {pool}",
        f"zpool export {pool}",
        "zpool list",
        "zpool sync",
        "zpool sync other",
        "zrep",
        "zrep sync all",
        "zrep expire all",
        "zrep expire",
        f"zrep clear -f {own}",
        f"zrep init {own} host1 pool1/x",
        f"zrep -t other expire {own}",
        f"zrep -R expire {own}",
        f"zrep drill {own} touch {PROBE}",
        f"zrep takeover {own}",
        f"zrep failover -L {own}",
        f"zrep changeconfig -f {own} host1 pool1/x",
        f"zrep _refreshcomplete {own}@zrep_000000 readonly=off",
        f"zrep _refreshcomplete {own}@zrep_000000 zrep:master=yes",
        "zrep gate --config /etc/passwd",
        f"/usr/local/bin/zrep expire {own}",
        f"ZREPTAG=x zrep expire {own}",
        f"env zfs list {own}",
        f"sudo zfs list {own}",
        "sh",
        "sh -i",
        "bash",
        "bash -i",
        "/bin/sh -c id",
        f"sh -c 'touch {PROBE}'",
        f"sh -c 'zfs list {own}; touch {PROBE}'",
        "cat /etc/shadow",
        "scp -t /tmp",
        "rsync --server . /",
        "internal-sftp",
        "/usr/lib/openssh/sftp-server",
        "exit",
        "id",
        "uname -a",
        "true",
    ]
    # What a shell would make more of.
    good = f"zfs get -Hp -o value,source readonly {own}"
    for more in [
        f"; touch {PROBE}",
        f";touch {PROBE}",
        f" && touch {PROBE}",
        f" || touch {PROBE}",
        f" | touch {PROBE}",
        f" & touch {PROBE}",
        f"\ntouch {PROBE}",
        f"\rtouch {PROBE}",
        f" $(touch {PROBE})",
        f" `touch {PROBE}`",
        f" <(touch {PROBE})",
        f" >{PROBE}",
        f" 2>{PROBE}",
        " </etc/shadow",
        " ${IFS}x",
        " $HOME",
        " *",
        " ?",
        " [a]",
        " {a,b}",
        " ~root",
        " #",
        " !x",
        " \\x",
        ' "x"',
        " 'x",
        " --",
        " -r",
        "\t-r",
        "\x1b[2J",
        " \u00e9",
        " \u2028x",
    ]:
        found += [good + more, more.strip() + " " + good, good.replace("readonly", "readonly" + more)]
    return found


def test_nothing_but_the_pair_can_be_reached(pair: Pair) -> None:
    before = everything(pair.b)
    lines = requests(pair)
    assert len(set(lines)) > 300
    for line, status, out, err in say(pair, lines):
        assert (status, out) == (REFUSED, ""), (line, status, out, err)
        assert err.startswith("zrep gate: permission denied: ")
        assert err.count("\n") == 1
        assert err.isascii()
    assert everything(pair.b) == before


def test_what_is_admitted_shows_nothing_else(pair: Pair) -> None:
    """The dataset above can be looked at, what else is below it cannot."""
    line = f"zfs get -Hp -r -d 1 -o name,property,value,source guid,type {pair.dest} {pair.b.pool}"
    ((_line, status, out, _err),) = say(pair, [line])
    assert status == 0
    shown = {row.split("\t")[0] for row in out.splitlines()}
    assert shown <= {pair.b.pool, pair.dest, f"{pair.dest}/child", *(f"{pair.dest}@{short}" for short in pair.on_b())}
    assert {pair.b.pool, pair.dest} <= shown


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.slow
def test_what_was_changed_at_random(pair: Pair, seed: int) -> None:
    """Requests of ours with something of them replaced change nothing but the pair."""
    dice = random.Random(seed)
    own, pool = pair.dest, pair.b.pool
    good = [
        f"zfs set zrep:sent=1700000000 {own}@zrep_000000",
        f"zfs inherit zrep:settle {own}",
        f"zfs get -Hp -r -d 1 -o name,property,value,source guid {own}",
        f"zfs destroy {own}@zrep_00000a",
        f"zfs receive -u {own}",
        f"zfs send {own}@zrep_000000",
        f"zfs mount {own}",
        f"zrep -t zrep expire -L {own}",
        f"zfs rename {own}@zrep_00000a {own}@zrep_00000b",
    ]
    strange = [
        *";|&$`<>(){}[]*?!#~\\\"'\n\t\r -=@/%,:",
        "-r",
        "-R",
        "-F",
        " -f ",
        "all",
        f" {pool}/secret",
        "/child",
        "-other",
    ]
    strange += [
        f"{pool}/secret@one",
        "..",
        "//",
        "$(reboot)",
        "zfs",
        "destroy",
        "rollback",
        "sh -c ",
        f" touch {PROBE} ",
    ]

    def changed(line: str) -> str:
        for _number in range(dice.randint(1, 3)):
            at = dice.randrange(len(line) + 1)
            line = line[:at] + dice.choice(strange) + line[at + dice.choice((0, 0, 1, 5)) :]
        return line.replace("\0", "")

    def others() -> list[str]:
        return [line for line in everything(pair.b) if not line.startswith((f"{own}\t", f"{own}@")) and line != own]

    before = others()
    ended = say(pair, [changed(dice.choice(good)) for _number in range(120)])
    assert sum(status == REFUSED for _line, status, _out, _err in ended) > 60
    assert not any(
        "Traceback" in err or "internal error" in err or "password" in out for _line, _status, out, err in ended
    )
    assert others() == before


@pytest.mark.parametrize("options", [["-tt"], ["-A"], ["-o", "SetEnv=PATH=/tmp LD_PRELOAD=/tmp/x"]], ids=str)
def test_no_shell_and_no_terminal(pair: Pair, options: list[str]) -> None:
    done = ask(pair.a, pair.b, "", *options, stdin=f"touch {PROBE}\n")
    assert done.returncode != 0
    assert "nothing to run" in done.stderr or "PTY allocation request failed" in done.stderr
    assert pair.b.run(["test", "-e", PROBE], check=False).returncode == 1


def test_nothing_is_forwarded(pair: Pair) -> None:
    pair.b.run("command -v python3")
    refused = ask(pair.a, pair.b, "", "-W", "127.0.0.1:22")
    assert refused.returncode != 0
    assert "prohibited" in refused.stderr or "failed" in refused.stderr
    listening = ask(pair.a, pair.b, "true", "-o", "ExitOnForwardFailure=yes", "-R", "2222:127.0.0.1:22")
    assert listening.returncode == 255
    assert "forwarding failed" in listening.stderr
    subsystem = ask(pair.a, pair.b, "sftp", "-s")
    assert subsystem.returncode == REFUSED
