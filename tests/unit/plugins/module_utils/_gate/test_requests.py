# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which requests are admitted, and what is run for them. The hosts of the system tests say more of them."""

from __future__ import annotations

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.zfsops.zrep.plugins.module_utils._core import (
    asking,
    filters,
    guard,
    locks,
    programs,
    remote_locks,
    zfs,
)
from ansible_collections.zfsops.zrep.plugins.module_utils._core.filters import Member
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import Features
from ansible_collections.zfsops.zrep.plugins.module_utils._gate.requests import admit
from ansible_collections.zfsops.zrep.plugins.module_utils._gate.rules import GRANTS, Pair, Rules
from ansible_collections.zfsops.zrep.plugins.module_utils._gate.words import Refused

MODERN = Features(frozenset(["written"]))
OWN = "tank/a"
PAIR = Pair(OWN, "pool/b", "zrep", frozenset(["receive", "send", "move"]))
ALL = PAIR._replace(grants=frozenset(GRANTS))


def nothing_there(_argv):
    return 1, ""


def asked(answer):
    return lambda _argv: (0, answer)


def run(argv, pair=PAIR, ask=nothing_there, **more):
    """What is run for a command of our own end."""
    line = argv if isinstance(argv, str) else " ".join(map(shlex.quote, argv))
    return admit(line, Rules("peer", (pair,), **more), ask)


def refused(argv, pair=PAIR, ask=nothing_there):
    with pytest.raises(Refused) as found:
        run(argv, pair, ask)
    return str(found.value)


def same(argv):
    """A command with its flags together, as far as they are letters."""
    if argv[0] != "zfs":
        return tuple(argv)
    flags = [word for word in argv[2:] if re.match("-[a-zA-Z]+$", word) and word not in ("-o", "-x", "-d", "-i", "-I")]
    return (*argv[:2], *sorted("".join(flags).replace("-", "")), *(word for word in argv[2:] if word not in flags))


OURS = [
    zfs.get(("type", "zrep:master"), [OWN]),
    zfs.get_one("readonly", "tank"),
    *zfs.snapshot([f"{OWN}@zrep_000001"], MODERN),
    *zfs.set_properties({"zrep:src-fs": OWN, "zrep:dest-host": "host2", "readonly": "on"}, [OWN], MODERN),
    *zfs.set_properties({"zrep:sent": "17"}, [f"{OWN}@zrep_000001"], MODERN),
    *zfs.inherit(["readonly", "zrep:master"], [OWN]),
    *zfs.destroy_snapshots([f"{OWN}@zrep_000001", f"{OWN}@zrep_000002"], MODERN),
    zfs.destroy_bookmark(f"{OWN}#zrep_000001"),
    *zfs.hold("zrep:base", [f"{OWN}@zrep_000001"]),
    *zfs.release("zrep:base", [f"{OWN}@zrep_000000"]),
    zfs.rename(f"{OWN}@zrep_000001", f"{OWN}@zrep_000001_unsent"),
    zfs.send(f"{OWN}@zrep_000002", f"{OWN}@zrep_000001", True, False, ("-w", "-Lce")),
    zfs.send(f"{OWN}@zrep_000002", f"{OWN}#zrep_000001", False, True, ()),
    zfs.abandon(OWN),
    zfs.remount(OWN),
    zfs.unmount(OWN),
    *zfs.mark_and_bookmark("zrep:sent", "17", [f"{OWN}@zrep_000001"]),
    zfs.copy(f"{OWN}@own", f"{OWN}@zrep_000001", f"{OWN}_preserved_zrep_000001", {}, options=("-w",)),
    zfs.copy(f"{OWN}@own", f"{OWN}@zrep_000001", f"{OWN}_preserved_zrep_000001", {"origin": f"{OWN}@zrep_000001"}),
    zfs.diff(f"{OWN}@zrep_000001", OWN, 1000),
    ("sh", "-c", guard.script("zrep", OWN)),
    ("sh", "-c", guard.script("zrep", OWN, lock=False)),
    ("sh", "-c", remote_locks.script([locks.file_name("zrep", OWN)])),
    locks.ask(1234),
    programs.LOOK,
    ("zpool", "sync", "tank"),
    ("uname", "-n"),
]


@pytest.mark.parametrize("argv", OURS, ids=lambda argv: " ".join(argv)[:60])
def test_what_our_end_says_is_run_as_it_is(argv):
    (found,) = run(argv)
    assert same(found) == same(argv)


@pytest.mark.parametrize("argv", OURS, ids=lambda argv: " ".join(argv)[:60])
def test_the_same_of_another_dataset_is_refused(argv):
    other = Pair("tank/other", "pool/b", "zrep", frozenset(GRANTS))
    if not any(OWN.replace("/", "%") in word or OWN in word for word in argv):
        return
    refused(argv, other)


@pytest.mark.parametrize("argv", OURS, ids=lambda argv: " ".join(argv)[:60])
@pytest.mark.parametrize("more", [";id", "\nid"])
def test_a_text_that_is_ours_but_for_a_bit_is_refused(argv, more):
    if argv[:2] == ("sh", "-c"):
        refused((*argv[:2], argv[2] + more, *argv[3:]))


def test_a_stream_is_received_without_mounting_and_without_what_is_excluded():
    assert run("zfs recv -s tank/a") == [("zfs", "receive", "-su", OWN)]
    (argv,) = run(zfs.receive(OWN, {"readonly": "on"}, ["mountpoint"], True), exclude=("mountpoint", "sharenfs"))
    assert argv == ("zfs", "receive", "-su", "-x", "mountpoint", "-o", "readonly=on", "-x", "sharenfs", OWN)


def test_minus_f_is_for_what_is_not_there():
    assert run("zfs recv -u -o readonly=on -F tank/a")
    assert "force" in refused("zfs recv -u -F tank/a", ask=asked(OWN))
    assert run("zfs recv -u -F tank/a", ALL, asked(OWN))


@pytest.mark.parametrize(
    ("argv", "grant"),
    [
        (zfs.rollback(f"{OWN}@zrep_000001"), "force"),
        (zfs.rename(OWN, f"{OWN}_replaced_1700000000"), "force"),
        (zfs.destroy_dataset(OWN), "force"),
        (zfs.receive(OWN, {}, ()), "receive"),
        (zfs.send(f"{OWN}@zrep_000001", None, False, False, ()), "send"),
        (zfs.inherit(["readonly"], [OWN])[0], "move"),
        (("sh", "-c", guard.script("zrep", OWN)), "move"),
        ("zrep failover tank/a", "move"),
        ("zrep snaponly tank/a", "send"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_each_grant_is_for(argv, grant):
    assert run(argv, PAIR._replace(grants=frozenset([grant])), asked("/tank/a\tdefault"))
    refused(argv, PAIR._replace(grants=frozenset(GRANTS) - {grant, "move", "force", "send"} | {"receive"} - {grant}))


@pytest.mark.parametrize(
    ("properties", "target"), [({"readonly": "on"}, OWN), ({"canmount": "noauto"}, f"{OWN}/below")]
)
def test_who_only_reads_cannot_freeze(properties, target):
    argv = zfs.set_properties(properties, [target], MODERN)[0]
    for grant in ("receive", "move"):
        assert run(argv, PAIR._replace(grants=frozenset([grant]), recursive=True))
    refused(argv, PAIR._replace(grants=frozenset(["send"]), recursive=True))


def test_a_tree_is_a_grant_of_its_own():
    deep = zfs.get(("type",), [OWN], trees=True)
    assert "below" in refused(deep)
    assert [same(argv) for argv in run(deep, PAIR._replace(recursive=True))] == [same(deep)]


@pytest.mark.parametrize(
    ("tag", "target", "recursive"),
    [
        ("mine", f"{OWN}@zrep_000001", False),
        ("zrep:base", f"{OWN}@daily", False),
        ("zrep:base", f"{OWN}@zrep_000001", True),
    ],
)
def test_only_the_pairs_own_holds_on_its_own_snapshots(tag, target, recursive):
    refused(zfs.hold(tag, [target], recursive)[0])
    refused(zfs.release(tag, [target], recursive)[0])


def test_which_zfs_it_is_may_be_asked():
    assert run(("cat", "/sys/module/zfs/version")) == [("cat", "/sys/module/zfs/version")]
    refused(("cat", "/etc/shadow"))
    refused(("cat", "/sys/module/zfs/version", "/etc/shadow"))


def test_of_what_is_above_nothing_else_is_seen():
    argv = zfs.get(("guid", "type"), [OWN, "tank"])
    assert run(argv) == [
        ("zfs", "get", "-Hp", "-o", "name,property,value,source", "guid,type", "tank"),
        ("zfs", "get", "-Hpr", "-d", "1", "-o", "name,property,value,source", "guid,type", OWN),
    ]
    refused("zfs get -Hp all tank")
    refused("zfs list tank")


def test_programs_of_streams():
    ours = [Member("mbuffer -q -s 128k -m 4194304", "", ""), Member("zstd -dqc", "", "")]
    argv = filters.receiving(zfs.receive(OWN, {}, ()), ours)
    assert run(argv) == [argv]
    (excluding,) = run(argv, exclude=("mountpoint",))
    assert excluding == filters.receiving(("zfs", "receive", "-u", "-x", "mountpoint", OWN), ours)
    assert run(filters.sending(zfs.send(f"{OWN}@a", None, False, False, ()), [Member("zstd -qc", "", "")]))
    for text in (
        "id",
        "zstd -dqc; id",
        "zstd -dqc -o /etc/passwd",
        "mbuffer -q -s 128k -m 1 -o /x",
        "pv -q -L 1 /etc/shadow",
    ):
        assert "not admitted" in refused(filters.receiving(zfs.receive(OWN, {}, ()), [Member(text, "", "")]))
    refused(filters.receiving(("zfs", "receive", "-u", "tank/other"), ours))


def test_a_mount_where_a_stream_wants_it_is_refused():
    assert run(zfs.mount(OWN), ask=asked("/tank/a\tdefault\n"))
    assert run(zfs.mount_if_needed(OWN), ask=asked("/tank/a\tlocal\n"))
    assert "brought" in refused(zfs.mount(OWN), ask=asked("/etc/cron.d\treceived\n"))
    assert "brought" in refused(zfs.mount_if_needed(OWN), ask=asked("/etc/cron.d\treceived\n"))
    assert run(zfs.mount(OWN), PAIR._replace(mountpoints=frozenset(["/srv"])), asked("/srv\treceived\n"))


def test_a_takeover_mounts_as_little_where_a_stream_wants_it():
    assert "brought" in refused("zrep takeover -L tank/a", ask=asked("/etc/cron.d\treceived\n"))


def test_a_rollback_takes_no_clones_along():
    assert run("zfs rollback -Rr tank/a@zrep_000001", ALL) == [("zfs", "rollback", "-r", "tank/a@zrep_000001")]


def test_files_that_are_open_are_told_of_the_pair_only():
    argv = asking.ask_holders("/tank/a")
    assert run(argv, ask=asked("/tank/a\n")) == [argv]
    refused(argv, ask=asked("/tank/b\n"))


def test_tokens():
    assert "token" in refused("zfs send -t 1-0-0-789c")
    assert "token" in refused("zrep _refreshpull tank/a@zrep_000001 1-0-0-789c")


@pytest.mark.parametrize("words", ["", "-R ", "-D ", "-t zrep -D -t zrep "])
@pytest.mark.parametrize(
    "call",
    [
        "expire tank/a",
        "expire -L tank/a",
        "snaponly tank/a",
        "_refreshpull tank/a@zrep_000001",
        "_refreshcomplete tank/a@zrep_000001 zrep:sent=17",
        "takeover -L tank/a",
        "failover tank/a",
    ],
)
def test_what_the_script_says(words, call):
    pair = PAIR._replace(recursive=True)
    recursive = ("-R",) if "-R" in words else ()
    expected = ("/opt/zrep", "-t", "zrep", *recursive, *call.split())
    assert run(f"zrep {words}{call}", pair, asked("/tank/a\tdefault"), zrep="/opt/zrep") == [expected]
    refused(f"zrep -t other {call}", pair)


DATASET = re.compile(r"[A-Za-z][\w.:-]*(?:/[\w.:-]+)+")
VOCABULARY = """
zfs zrep sh -c get set list send receive destroy rollback rename mount snapshot inherit -r -R -F -f -u -d 1 -o -x -t -H
-Hp -i -I all name,value zrep:master=yes readonly=on zrep:sent=1 mountpoint=/etc tank tank/a tank/b tank/a@zrep_000001
tank/a@x tank/b@zrep_000001 tank/a/c tank/a_old tank/a_replaced_1700000000 tank/../b tank/a#zrep_000001 -t zrep expire
failover takeover -L snaponly zpool sync uname -n origin=tank/b@x -V
"""
PIECES = st.sampled_from([*VOCABULARY.split(), "; id", "'tank/a tank/b'", "$(id)", "'"])


@given(st.lists(PIECES, min_size=1, max_size=9), st.sampled_from([PAIR, ALL, ALL._replace(recursive=True)]))
def test_whatever_is_run_names_nothing_but_the_pair(pieces, pair):
    try:
        commands = run(" ".join(pieces), pair, asked("/tank/a\tdefault"))
    except Refused:
        return
    assert commands
    for argv in commands:
        assert argv[0] in ("zfs", "zrep", "zpool", "uname")
        for word in argv[1:]:
            for name in DATASET.findall(word.partition("@")[0]):
                if not name.startswith("pool/"):
                    assert pair.has(name) or pair.is_kin(name) or pair.is_below(name), argv
        if "tank" in argv:
            assert argv[:2] in (("zfs", "get"), ("zpool", "sync"))
            assert not any(word.startswith("-") and "r" in word for word in argv)


@given(st.sampled_from(OURS), st.integers(0, 5000), st.text(max_size=3))
def test_a_request_that_was_changed_somewhere_makes_no_trouble(argv, at, text):
    line = " ".join(map(shlex.quote, argv))
    at = at % (len(line) + 1)
    try:
        commands = run(line[:at] + text + line[at:], PAIR, asked(""))
    except Refused:
        return
    for found in commands:
        if found[0] == "sh":
            assert any(found[:2] == ours[:2] and found[2][:20] == ours[2][:20] for ours in OURS)
