# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command's verbs that write the record of a pair: changeconfig, sentsync, setlastsent."""

from __future__ import annotations

import time

import pytest

from tests.lab import Host
from tests.system.command import ok, unchanged
from tests.system.pairs import Pair, dump, guids, local, marks, own_properties, ready_pair, value

pytestmark = pytest.mark.system
ROLES = ("src-fs", "src-host", "dest-fs", "dest-host")


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    return ready_pair(fresh, host1, host2)


def roles(host: Host, dataset: str, tag: str = "zrep") -> list[str | None]:
    return [local(host, dataset, f"{tag}:{name}") for name in ROLES]


# changeconfig


@pytest.mark.acceptance(60)
def test_case_60_changeconfig(pair: Pair) -> None:
    """The four role properties change, snapshots and master do not; (+) savecount is kept."""
    pair.a.zfs("set", "zrep:savecount=9", pair.fs)
    before, there = guids(pair.a, pair.fs), dump(pair.b)
    kept = marks(pair.a, pair.fs), local(pair.a, pair.fs, "readonly"), local(pair.a, pair.fs, "zrep:master")
    ok(pair.a, "changeconfig", pair.fs, "elsewhere.example.org", "tank/copy")
    assert roles(pair.a, pair.fs) == [pair.fs, "host1", "tank/copy", "elsewhere.example.org"]
    assert local(pair.a, pair.fs, "zrep:savecount") == "9"
    assert guids(pair.a, pair.fs) == before
    assert (marks(pair.a, pair.fs), local(pair.a, pair.fs, "readonly"), local(pair.a, pair.fs, "zrep:master")) == kept
    assert dump(pair.b) == there


def test_changeconfig_of_a_destination_names_itself_last(pair: Pair) -> None:
    pair.b.zfs("set", "readonly=off", pair.dest)
    said = ok(pair.b, "-C", "-d", pair.dest, "root@client", "tank/data")
    assert roles(pair.b, pair.dest) == ["tank/data", "root@client", pair.dest, "host2"]
    assert f"zfs set readonly=on {pair.dest}" in said.err
    assert value(pair.b, pair.dest, "readonly") == "off"
    assert local(pair.b, pair.dest, "zrep:master") is None


def test_changeconfig_warns_of_a_master_that_becomes_a_destination(pair: Pair) -> None:
    said = ok(pair.a, "changeconfig", "-d", pair.fs, "host2", pair.dest)
    assert f"zfs inherit zrep:master {pair.fs}" in said.err
    assert local(pair.a, pair.fs, "zrep:master") == "yes"


@pytest.mark.parametrize("there", [None, "0", "many"])
def test_changeconfig_mends_a_savecount_that_is_none(pair: Pair, there: str | None) -> None:
    pair.a.zfs(*(["inherit", "zrep:savecount"] if there is None else ["set", f"zrep:savecount={there}"]), pair.fs)
    ok(pair.a, "changeconfig", pair.fs, "host2", pair.dest, env={"ZREP_SAVE_COUNT": "7"})
    assert local(pair.a, pair.fs, "zrep:savecount") == "7"


def test_changeconfig_without_a_snapshot_needs_force(fresh, host1: Host, host2: Host) -> None:
    pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))
    host1.zfs("snapshot", f"{pair.fs}@zrep_dc_000000")
    host1.zfs("snapshot", f"{pair.fs}@zrep_abcdef-mine")
    assert "-f writes the names" in unchanged(pair, "changeconfig", pair.fs, "host2", pair.dest)
    ok(host1, "changeconfig", "-f", pair.fs, "host2", pair.dest)
    assert roles(host1, pair.fs) == [pair.fs, "host1", pair.dest, "host2"]
    assert local(host1, pair.fs, "zrep:savecount") == "5"
    assert local(host1, pair.fs, "zrep:master") is None


def test_changeconfig_twice_changes_nothing(pair: Pair) -> None:
    assert "nothing to do" in unchanged(pair, "changeconfig", pair.fs, "host2", pair.dest, status=0)
    dry = unchanged(pair, "changeconfig", "--dry-run", pair.fs, "host3", pair.dest, status=0)
    assert f"would host1: set zrep:dest-host=host3 on {pair.fs}" in dry
    ok(pair.a, "changeconfig", pair.fs, "host3", pair.dest)
    unchanged(pair, "changeconfig", pair.fs, "host3", pair.dest, status=0)


def test_changeconfig_on_a_child_does_not_rely_on_its_parent(pair: Pair) -> None:
    child = f"{pair.fs}/child"
    pair.a.zfs("create", child)
    ok(pair.a, "changeconfig", "-f", child, "host2", f"{pair.dest}-child")
    assert own_properties(pair.a, child) == sorted(f"zrep:{name}" for name in (*ROLES, "savecount"))


@pytest.mark.parametrize("host", ["localhost", "host1", "root@host1.example.org"])
@pytest.mark.parametrize("flags", [["-f"], ["-f", "-d"]])
def test_changeconfig_refuses_a_filesystem_as_its_own_replica(pair: Pair, host: str, flags: list[str]) -> None:
    assert "its own replica" in unchanged(pair, "changeconfig", *flags, pair.fs, host, pair.fs)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pool1/none", "host2", "pool2/x"], "no such filesystem"),
        (["{fs}@snap", "host2", "pool2/x"], "names a snapshot"),
        (["{fs}", "-oProxyCommand=x", "pool2/x"], "does not know"),
        (["--", "{fs}", "-oProxyCommand=x", "pool2/x"], "taken for an option"),
        (["{fs}", "a host", "pool2/x"], "no host name"),
        (["{fs}", "host2", "pool2/$(reboot)"], "no name that can be used"),
        (["{fs}", "host2"], "needs FILESYSTEM HOST DESTINATION"),
    ],
)
def test_changeconfig_refuses_names_that_are_none(pair: Pair, words: list[str], said: str) -> None:
    assert said in unchanged(pair, "changeconfig", *(word.format(fs=pair.fs) for word in words))


def test_changeconfig_respects_the_lock_of_the_script(pair: Pair) -> None:
    pid = pair.a.run("sleep 300 >/dev/null 2>&1 & echo $!").stdout.strip()
    pair.a.zfs("set", f"zrep:lock-pid={pid}", pair.fs)
    for words in (["changeconfig", pair.fs, "host3", pair.dest], ["clear", "-f", pair.fs]):
        assert pid in unchanged(pair, *words)


# sentsync, setlastsent


@pytest.mark.acceptance(59)
def test_case_59_a_backup_server_with_existing_data(fresh, host1: Host, host2: Host) -> None:
    """Given the steps of 8.7 "existing data", then refresh works; master is set on A by sentsync."""
    pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "backup"))
    pair.write()
    # The server may connect to its client, the client to nobody.
    host2.stop_sshd()
    host1.zfs("snapshot", f"{pair.fs}@zrep_000001")
    ok(host1, "changeconfig", "-f", pair.fs, "host2", pair.dest)
    host2.run(f"ssh host1 zfs send {pair.fs}@zrep_000001 | zfs receive -u {pair.dest}")
    ok(host2, "changeconfig", "-f", "-d", pair.dest, "host1", pair.fs)
    assert local(host1, pair.fs, "zrep:master") is None
    before = dump(host2)
    ok(host1, "sentsync", "-L", f"{pair.fs}@zrep_000001")
    assert dump(host2) == before
    assert local(host1, pair.fs, "zrep:master") == "yes"
    assert list(marks(host1, pair.fs)) == ["zrep_000001"]
    host2.zfs("set", "readonly=on", pair.dest)
    pair.write("second\n")
    ok(host2, "refresh", pair.dest)
    pair.assert_same()
    assert pair.on_b() == ["zrep_000001", "zrep_000002"]


def half_made(fresh, host1: Host, host2: Host) -> Pair:
    """A pair that was copied and configured by hand, without a mark and without a master."""
    made = ready_pair(fresh, host1, host2)
    host1.zfs("inherit", "zrep:master", made.fs)
    for host, dataset in ((host1, made.fs), (host2, made.dest)):
        host.zfs("inherit", "zrep:sent", f"{dataset}@zrep_000000")
    return made


def test_sentsync_completes_both_sides(fresh, host1: Host, host2: Host) -> None:
    pair = half_made(fresh, host1, host2)
    assert "would host1: set zrep:master=yes" in unchanged(
        pair, "sentsync", "--dry-run", f"{pair.fs}@zrep_000000", status=0
    )
    before = int(time.time())
    ok(host1, "sentsync", f"{pair.fs}@zrep_000000")
    here, there = pair.marks()
    assert here == there
    assert before <= int(here["zrep_000000"]) <= time.time()
    assert local(host1, pair.fs, "zrep:master") == "yes"
    assert local(host2, pair.dest, "zrep:master") is None
    assert "nothing to do" in unchanged(pair, "sentsync", f"{pair.fs}@zrep_000000", status=0)
    pair.write("more\n")
    ok(host1, "sync", pair.fs)
    pair.assert_same()


def test_sentsync_takes_the_mark_off_what_came_later(pair: Pair) -> None:
    for number in (1, 2):
        pair.write(f"{number}\n")
        pair.sync()
    ok(pair.a, "sentsync", "-L", f"{pair.fs}@zrep_000001")
    assert list(marks(pair.a, pair.fs)) == ["zrep_000000", "zrep_000001"]
    assert list(marks(pair.b, pair.dest)) == ["zrep_000000", "zrep_000001", "zrep_000002"]
    ok(pair.a, "sentsync", f"{pair.fs}@zrep_000001")
    assert pair.marks()[0] == pair.marks()[1]


def test_sentsync_makes_no_second_master(pair: Pair) -> None:
    ok(pair.b, "sentsync", f"{pair.dest}@zrep_000000")
    assert local(pair.b, pair.dest, "zrep:master") is None


@pytest.mark.parametrize("verb", ["sentsync", "setlastsent"])
@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("{fs}", "names no snapshot"),
        ("{fs}@", "names no snapshot"),
        ("{fs}@zrep_00000f", "has no snapshot zrep_00000f"),
        ("{fs}@daily-1", "is not named as one of this pair"),
        ("{fs}@only-here_000001", "is not named as one of this pair"),
        ("pool1/none@zrep_000000", "no such filesystem"),
    ],
)
def test_what_is_no_snapshot_of_the_pair_is_refused(pair: Pair, verb: str, target: str, said: str) -> None:
    pair.a.zfs("snapshot", f"{pair.fs}@daily-1")
    assert said in unchanged(pair, verb, target.format(fs=pair.fs))


def test_a_snapshot_that_the_other_side_does_not_hold_is_refused(pair: Pair) -> None:
    pair.a.zfs("snapshot", f"{pair.fs}@zrep_000001")
    said = unchanged(pair, "setlastsent", pair.fs, "zrep_000001")
    assert f"host2:{pair.dest}: does not hold zrep_000001" in said
    assert "zrep doctor" in said


@pytest.mark.parametrize(
    "operands",
    [
        ["{fs}", "zrep_000001"],
        ["{fs}@zrep_000001"],
        ["{fs}", "zrep_000001@{fs}"],
        ["{fs}", "{fs}@zrep_000001"],
        ["{fs}", "@zrep_000001"],
    ],
)
def test_setlastsent_in_all_the_words_that_are_written_anywhere(pair: Pair, operands: list[str]) -> None:
    for number in (1, 2):
        pair.write(f"{number}\n")
        pair.sync()
    ok(pair.a, "setlastsent", *(word.format(fs=pair.fs) for word in operands))
    assert [list(found) for found in pair.marks()] == [["zrep_000000", "zrep_000001"]] * 2


def test_setlastsent_of_another_filesystem_is_refused(pair: Pair) -> None:
    assert "is no snapshot of" in unchanged(pair, "setlastsent", pair.fs, "pool1/other@zrep_000000")


@pytest.mark.parametrize("told", [False, True])
def test_after_a_rollback_of_both_sides_by_hand_sync_goes_on(pair: Pair, told: bool) -> None:
    for number in (1, 2, 3):
        pair.write(f"{number}\n")
        pair.sync()
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        host.zfs("rollback", "-r", f"{dataset}@zrep_000001")
    if told:
        assert "nothing to do" in unchanged(pair, "setlastsent", pair.fs, "zrep_000001", status=0)
    pair.write("another\n")
    ok(pair.a, "sync", pair.fs)
    pair.assert_same()
    assert pair.on_b() == ["zrep_000000", "zrep_000001", "zrep_000002"]
    assert pair.a.read_file(f"/{pair.fs}/file") == "another\n"
