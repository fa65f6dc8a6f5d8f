# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of every day as people and cron type them. Numbers are those of the behaviour reference's cases.

What the command shares with the modules is proven with ZFSOPS_FACE=command (see face.py); here is what only it says.
"""

from __future__ import annotations

import re

import pytest

from tests.lab import Host
from tests.system import script
from tests.system.command import fails, ok, start, zrep
from tests.system.pairs import FAIL, Pair, guids, held, local, ready_pair

pytestmark = pytest.mark.system


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair with something new to send."""
    made = ready_pair(fresh, host1, host2)
    made.write("more")
    return made


# -- words -----------------------------------------------------------------------------------------------------


def test_init_makes_a_pair_and_again_changes_nothing(fresh, host1: Host, host2: Host) -> None:
    pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))
    said = ok(host1, "init", pair.fs, host2.name, pair.dest)
    assert said.out == ""
    pair.assert_same()
    before = pair.dump()
    again = ok(host1, "-i", pair.fs, host2.name, pair.dest)
    assert "nothing to do" in again.err
    assert pair.dump() == before
    script.sync(pair)
    ok(host1, "sync", pair.fs)
    pair.assert_same()


@pytest.mark.acceptance(9, 10)
def test_cases_9_and_10_variables_at_init(fresh, host1: Host, host2: Host) -> None:
    """Given ZREP_SAVE_COUNT=9 at init, then savecount=9 on both sides; ZREP_SRC_HOST is the recorded name, and sync all
    with the same setting includes the dataset."""
    pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))
    name = {"ZREP_SRC_HOST": "alias"}
    ok(host1, "init", pair.fs, host2.name, pair.dest, env={"ZREP_SAVE_COUNT": "9", **name})
    for host, dataset in ((host1, pair.fs), (host2, pair.dest)):
        assert local(host, dataset, "zrep:savecount") == "9"
    assert local(host1, pair.fs, "zrep:src-host") == "alias"
    pair.write("new")
    ok(host1, "sync", "all", env=name)
    assert pair.on_b() == ["zrep_000000", "zrep_000001"]
    ok(host1, "sync", "all")
    assert pair.on_b() == ["zrep_000000", "zrep_000001"]


@pytest.mark.parametrize(
    "words", [["sync", "{fs}"], ["-S", "all"], ["-v", "sync", "-c", "{fs}"], ["sync", "{fs}", "-vf"]]
)
def test_sync_in_every_order(pair: Pair, words: list[str]) -> None:
    said = ok(pair.a, *[word.format(fs=pair.fs) for word in words])
    assert said.out == ""
    assert pair.fs in said.err
    pair.assert_same()
    assert pair.on_b() == ["zrep_000000", "zrep_000001"]


@pytest.mark.acceptance(29)
@pytest.mark.parametrize("words", [["{fs}@zrep_000001"], ["{fs}", "zrep_000001"]])
def test_case_29_sync_to_a_snapshot_in_one_word_and_in_two(pair: Pair, words: list[str]) -> None:
    for text in "123":
        pair.write(text)
        ok(pair.a, "sync", pair.fs)
    ok(pair.a, "sync", *[word.format(fs=pair.fs) for word in words])
    assert pair.on_b() == ["zrep_000000", "zrep_000001"]
    assert pair.on_a() == ["zrep_000000", "zrep_000001", "zrep_000002", "zrep_000003"]
    assert set(pair.marks()[0]) == {"zrep_000000", "zrep_000001"}
    ok(pair.a, "sync", pair.fs)
    assert pair.on_b()[-1] == "zrep_000004"
    pair.assert_same()


@pytest.mark.acceptance(14, 32)
def test_snaponly_prints_names_and_synconly_sends_them(pair: Pair) -> None:
    assert ok(pair.a, "snaponly", pair.fs).out == f"{pair.fs}@zrep_000001\n"
    said = ok(pair.a, "-D", "snaponly", "all", env={"DEBUG": "1"})
    assert said.out == f"{pair.fs}@zrep_000002\n"
    assert zrep(pair.a, "snaponly") == (0, "", "")
    assert pair.on_b() == ["zrep_000000"]
    ok(pair.a, "synconly", pair.fs)
    assert pair.on_b() == ["zrep_000000", "zrep_000001", "zrep_000002"]
    pair.assert_same()
    fails(pair.a, "synconly")
    fails(pair.a, "sync")


@pytest.mark.acceptance(64)
@pytest.mark.parametrize("words", [[], ["frobnicate"], ["sync", "-x", "all"], ["-t"], ["sync", "all", "pool1/a"]])
def test_case_64_what_is_not_understood_is_refused(pair: Pair, words: list[str]) -> None:
    """Given no verb or an unknown verb, then usage is shown; (+) status non-zero."""
    before = pair.dump()
    said = fails(pair.a, *words)
    assert said.out == ""
    assert "help" in said.err or "zrep sync all" in said.err
    assert pair.dump() == before


def test_a_plan_is_printed_and_nothing_is_done(pair: Pair) -> None:
    before = pair.dump()
    said = ok(pair.a, "sync", "--dry-run", pair.fs)
    assert f"would {pair.a.name}: snapshot {pair.fs}@zrep_000001" in said.out
    assert pair.dump() == before
    found = ok(pair.a, "sync", "--dry-run", "--json", "all").json
    assert found["changed"]
    assert ok(pair.a, "snaponly", "--dry-run", pair.fs).out.startswith("would ")
    assert pair.dump() == before


def test_json_says_what_was_done_and_what_failed(pair: Pair) -> None:
    found = ok(pair.a, "sync", "--json", pair.fs).json
    assert found["changed"]
    assert [action["action"] for action in found["actions"]].count("send") == 1
    assert found["pairs"][0]["last_snapshot"] == "zrep_000001"
    said = fails(pair.a, "sync", "--json", f"{pair.a.pool}/nothing")
    assert said.json["failed_filesystems"][0]["code"] == "not_found"
    pair.b.zfs("snapshot", f"{pair.dest}@own")
    pair.b.run(f"zfs set readonly=off {pair.dest} && zfs mount {pair.dest} && echo x >/{pair.dest}/own")
    (failure,) = fails(pair.a, "sync", "--json", pair.fs).json["failed_filesystems"]
    assert failure["hint"].startswith("-f ")


# -- several filesystems ---------------------------------------------------------------------------------------


@pytest.mark.acceptance(24)
def test_case_24_one_that_fails_does_not_stop_the_others(fresh, host1: Host, host2: Host) -> None:
    pairs = [ready_pair(fresh, host1, host2, base) for base in ("a", "b", "c")]
    for pair in pairs:
        pair.write("new")
    host2.zfs("destroy", "-r", pairs[1].dest)
    said = fails(host1, "sync", "-q", "3600", "all")
    (line,) = said.err.splitlines()
    assert line.startswith("zrep: ")
    assert pairs[1].dest in line
    assert pairs[0].on_b() == pairs[2].on_b() == ["zrep_000000", "zrep_000001"]


@pytest.mark.acceptance(25, 26)
def test_cases_25_and_26_a_busy_filesystem_is_excused_if_it_was_synced_lately(fresh, host1: Host, host2: Host) -> None:
    busy, other = (ready_pair(fresh, host1, host2, base) for base in ("busy", "other"))
    for pair in (busy, other):
        pair.write("new")
    with held(host2, verbs=("receive",)) as hold:
        first = start(host1, "sync", busy.fs)
        hold.wait()
        said = ok(host1, "sync", "-q", "60", busy.fs, other.fs)
        assert busy.fs in said.err
        assert other.on_b() == ["zrep_000000", "zrep_000001"]
        fails(host1, "sync", busy.fs)
        host1.zfs("set", "zrep:sent=1000000000", f"{busy.fs}@zrep_000000")
        fails(host1, "sync", "-q60", busy.fs, other.fs)
        hold.go()
        assert first.wait().status == 0
    fails(host1, "sync", "-q", "29", "all")


def test_success_is_silent_with_q(pair: Pair) -> None:
    assert ok(pair.a, "sync", "-q", "3600", "all") == (0, "", "")
    assert pair.on_b() == ["zrep_000000", "zrep_000001"]
    # Here is no master: cron runs the same line on both hosts.
    assert ok(pair.b, "sync", "-q", "3600", "all") == (0, "", "")


def test_a_failure_is_one_line_that_says_what_to_do_in_words_of_the_command(pair: Pair) -> None:
    pair.b.write_file(f"/{pair.b.pool}/note", "")
    pair.b.run(f"zfs set readonly=off {pair.dest} && zfs mount {pair.dest} && echo x >/{pair.dest}/own")
    pair.b.zfs("snapshot", f"{pair.dest}@own")
    said = fails(pair.a, "sync", pair.fs)
    (line,) = said.err.splitlines()
    assert "-f overwrites" in line
    assert not re.search(r"force=|zrep_[a-z]", line.replace("zrep_0", ""))


def test_a_replica_is_rolled_back_only_if_asked(pair: Pair) -> None:
    pair.b.run(f"zfs set readonly=off {pair.dest} && zfs mount {pair.dest} && echo x >/{pair.dest}/own")
    pair.b.zfs("snapshot", f"{pair.dest}@own")
    fails(pair.a, "sync", pair.fs)
    assert "own" in pair.on_b()
    ok(pair.a, "sync", pair.fs, "-f")
    pair.assert_same()


@pytest.mark.acceptance(19)
@pytest.mark.parametrize("rename", ["yes", "no"])
def test_case_19_a_snapshot_that_could_not_be_sent(pair: Pair, rename: str) -> None:
    pair.b.intercept(FAIL, verbs=("receive",))
    fails(pair.a, "sync", pair.fs, env={"ZREP_RENAME_UNSENT": rename})
    pair.b.clear_faults()
    assert pair.on_a() == ["zrep_000000"] + ["zrep_000001_unsent"] * (rename == "yes")
    ok(pair.a, "sync", pair.fs)
    assert guids(pair.a, pair.fs)[pair.on_a()[-1]] == guids(pair.b, pair.dest)[pair.on_b()[-1]]
    pair.assert_same()


# -- configuration ---------------------------------------------------------------------------------------------


@pytest.mark.acceptance(65)
def test_case_65_the_configuration_file(fresh, host1: Host, host2: Host) -> None:
    """Given /etc/default/zrep with ZREPTAG=..., SSH=..., export X=... and X=${X:-v} lines, then they take effect."""
    host1.write_file("/usr/local/bin/ssh-wrapper", '#!/bin/sh\necho "$MARK" >>/tmp/wrapped\nexec ssh "$@"\n', 0o755)
    host1.write_file(
        "/etc/default/zrep",
        "# of the site\nZREPTAG=dc\nSSH='/usr/local/bin/ssh-wrapper -o LogLevel=ERROR'\nexport MARK=\"seen\"\n"
        "ZREP_SAVE_COUNT=${ZREP_SAVE_COUNT:-7}  # more\n",
    )
    try:
        pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"), "dc")
        ok(host1, "init", pair.fs, host2.name, pair.dest)
        assert local(host1, pair.fs, "dc:savecount") == "7"
        assert set(host1.read_file("/tmp/wrapped").split()) == {"seen"}
        other = fresh.create(host1, "other")
        ok(host1, "init", other, host2.name, f"{other.replace('pool1', 'pool2')}-copy", env={"ZREP_SAVE_COUNT": "3"})
        assert local(host1, other, "dc:savecount") == "3"
        shown = ok(host1, "config").out
        assert re.search(r"^ZREPTAG=dc\s.*/etc/default/zrep:2", shown, re.MULTILINE)
        host1.write_file("/etc/default/zrep", "SSH=$(touch /tmp/was-run; echo ssh)\n")
        said = fails(host1, "sync", "all")
        assert "/etc/default/zrep" in said.err
        assert host1.run("test -e /tmp/was-run", check=False).returncode == 1
    finally:
        host1.run("rm -f /etc/default/zrep /usr/local/bin/ssh-wrapper /tmp/wrapped")
