# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs that only look, on both ends of pairs: status, list, getlastsent, uptodate, doctor, check, metrics."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.lab import Host, Lab
from tests.system.command import fails, ok, zrep
from tests.system.pairs import FAIL, Pair, ready_pair
from tests.system.test_budgets import counted

pytestmark = pytest.mark.system

UTC = {"TZ": "UTC"}
T = 1795380401
T_SHOWN = "2026/11/22-20:46:41"


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair that was synced at T."""
    made = ready_pair(fresh, host1, host2)
    synced(made, T)
    return made


@pytest.fixture
def unsynced(fresh, host1: Host, host2: Host) -> Pair:
    """Another pair, in the list after the first one, of which no sync is recorded."""
    made = ready_pair(fresh, host1, host2, "never")
    for host, dataset in ((made.a, made.fs), (made.b, made.dest)):
        host.zfs("inherit", "zrep:sent", f"{dataset}@zrep_000000")
    return made


def synced(pair: Pair, moment: int) -> None:
    """Have both sides of a pair say that it was last synced then."""
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        host.zfs("set", f"zrep:sent={moment}", f"{dataset}@zrep_000000")


def ends(pair: Pair, shown: str) -> str:
    """The line of ``status -v``."""
    return f"{pair.fs:<25}->".ljust(27) + f"{pair.b.name}:{pair.dest}".ljust(35).ljust(len(pair.dest) + 7) + shown


# -- status ----------------------------------------------------------------------------------------------------


@pytest.mark.acceptance(62)
@pytest.mark.parametrize("words", [["status"], ["-s"], ["status", "-m"], ["status", "{fs}"], ["-t", "zrep", "status"]])
def test_case_62_a_line_of_status(pair: Pair, words: list[str]) -> None:
    """Given status on a host with one master synced at epoch T, then one line: name padded to 52, 'last: ' and T in the
    configured format."""
    said = ok(pair.a, *[word.format(fs=pair.fs) for word in words], env=UTC)
    assert said == (0, f"{pair.fs:<52} last: {T_SHOWN}\n", "")
    said = ok(pair.a, *[word.format(fs=pair.fs) for word in words], env={"ZREP_DATEFORMAT": "%s at %Y", **UTC})
    assert said.out == f"{pair.fs:<52} last: {T} at 2026\n"


def test_status_is_in_local_time(pair: Pair) -> None:
    assert ok(pair.a, "status", env={"TZ": "XXX-05:30"}).out.endswith("last: 2026/11/23-02:16:41\n")


@pytest.mark.parametrize("flags", [["-v", "-a"], ["-a", "-v"], ["-av"], ["-v", "{name}"], ["{name}", "-v"]])
def test_status_with_both_ends_on_either_side(pair: Pair, flags: list[str]) -> None:
    for host, name in ((pair.a, pair.fs), (pair.b, pair.dest)):
        said = ok(host, "status", *[flag.format(name=name) for flag in flags], env=UTC)
        assert said == (0, ends(pair, "2026/11/22-20:46") + "\n", "")


def test_a_replica_is_in_status_if_it_is_asked_for(pair: Pair) -> None:
    assert ok(pair.b, "status") == (0, "", "")
    line = f"{pair.dest:<52} last: {T_SHOWN}\n"
    assert ok(pair.b, "status", "-a", env=UTC).out == ok(pair.b, "status", pair.dest, env=UTC).out == line
    assert ok(pair.b, "status", "-a", "-m").out == ok(pair.b, "status", "-m", pair.dest).out == ""
    assert ok(pair.a, "status", "-m", "-v", "-a", env=UTC).out == ends(pair, "2026/11/22-20:46") + "\n"


def test_each_pair_has_its_own_date(pair: Pair, unsynced: Pair) -> None:
    lines = ok(pair.a, "status", env=UTC).out.splitlines()
    assert lines == [f"{pair.fs:<52} last: {T_SHOWN}", f"{unsynced.fs:<52} last: [NEVER]"]
    assert ok(pair.b, "status", "-v", "-a", env=UTC).out.splitlines() == [
        ends(pair, "2026/11/22-20:46"),
        ends(unsynced, "[NEVER]"),
    ]


@pytest.mark.parametrize("verb", ["status", "list", "doctor"])
def test_one_that_cannot_be_shown_does_not_hide_the_others(pair: Pair, fresh, verb: str) -> None:
    plain, gone = fresh.create(pair.a, "plain"), fresh.name(pair.a, "gone")
    bad = [] if verb == "doctor" else ["-1", "pool1/ü", f"{pair.fs}@zrep_000000"]
    said = zrep(pair.a, verb, "--", gone, plain, *bad, pair.fs)
    assert said.status == 1
    assert pair.fs in said.out
    assert len(said.out.splitlines()) == (1 if verb != "doctor" else 6)
    for name in (gone, plain):
        assert name in (said.out if verb == "doctor" else said.err)
    assert len(said.err.splitlines()) == len([] if verb == "doctor" else [gone, plain, *bad])


def test_status_in_json(pair: Pair, unsynced: Pair) -> None:
    found = ok(pair.a, "status", "--json").json
    assert [facts["filesystem"] for facts in found] == [pair.fs, unsynced.fs]
    assert [facts["last_sync"] for facts in found] == [T, None]
    said = fails(pair.b, "status", "--json", pair.dest, "pool2/gone")
    (facts,) = said.json
    assert (facts["role"], facts["peer_host"], facts["peer_filesystem"]) == ("replica", "host1", pair.fs)


# -- list ------------------------------------------------------------------------------------------------------


@pytest.mark.acceptance(63)
def test_case_63_list_and_getlastsent(pair: Pair, unsynced: Pair) -> None:
    """Given list, list -L, list -v, then the sets of 3.9; getlastsent prints the last sent name."""
    both = f"{pair.fs}\n{unsynced.fs}\n"
    assert ok(pair.a, "list") == ok(pair.a, "-l") == ok(pair.a, "list", "-L") == (0, both, "")
    assert ok(pair.b, "list").out == f"{pair.dest}\n{unsynced.dest}\n"
    assert ok(pair.b, "list", "-L") == (0, "", "")
    for host, name in ((pair.a, pair.fs), (pair.b, pair.dest)):
        assert ok(host, "list", name).out == f"{name}\n"
        assert ok(host, "getlastsent", name) == (0, f"{name}@zrep_000000\n", "")
    assert ok(pair.a, "lastsent", unsynced.fs) == (0, "\n", "")


def test_getlastsent_of_what_is_no_pair(pair: Pair, fresh) -> None:
    for name in (fresh.create(pair.a, "plain"), "pool1/gone"):
        assert fails(pair.a, "getlastsent", name).out == ""


def test_list_with_properties(pair: Pair, unsynced: Pair) -> None:
    pair.a.zfs("set", "my:note=with two words", pair.fs)
    host = pair.a
    blocks = ok(host, "list", "-v").out.split("\n\n")
    assert blocks[2] == ""
    for block, one in zip(blocks, (pair, unsynced), strict=False):
        head, *rows, last = block.splitlines()
        assert head == f"{one.fs}:"
        raw = host.zfs("get", "-H", "-s", "local,received", "-o", "property,value", "all", one.fs)
        assert rows == sorted(raw.splitlines())
        assert "zrep:master\tyes" in rows
        assert last == f"last synced snapshot: {one.fs + '@zrep_000000' if one is pair else '[NEVER]'}"
    assert "my:note\twith two words" in blocks[0]
    assert ok(host, "list", "-v", pair.fs).out == blocks[0] + "\n"
    replicas = ok(pair.b, "-v", "list", pair.dest).out
    assert "zrep:master" not in replicas
    assert f"last synced snapshot: {pair.dest}@zrep_000000" in replicas


def test_a_property_with_line_breaks_is_shown_on_one(pair: Pair) -> None:
    pair.a.zfs("set", "my:note=a\nzrep:fake\tb", pair.fs)
    lines = ok(pair.a, "list", "-v", pair.fs).out.splitlines()
    assert "my:note\ta\\nzrep:fake\\tb" in lines
    assert ok(pair.a, "list", "-v", "--json").json[0]["properties"]["my:note"] == "a\nzrep:fake\tb"


def test_a_property_in_a_locale_that_has_no_letters_for_it(pair: Pair) -> None:
    pair.a.zfs("set", "my:note=Größe", pair.fs)
    assert "my:note\tGröße" in ok(pair.a, "list", "-v", pair.fs).out.splitlines()
    plain = ok(pair.a, "list", "-v", pair.fs, env={"PYTHONIOENCODING": "ascii"})
    assert "my:note\tGr\\xf6\\xdfe" in plain.out.splitlines()


def test_list_with_snapshots(pair: Pair, unsynced: Pair) -> None:
    pair.a.zfs("create", f"{pair.fs}/child")
    for name in (f"{pair.fs}@by-hand", f"{pair.fs}/child@x"):
        pair.a.zfs("snapshot", name)
    said = ok(pair.a, "list", "-s")
    as_zfs = [pair.a.zfs("list", "-r", "-t", "snapshot", "-o", "name,creation", one.fs) for one in (pair, unsynced)]
    assert re.sub(" +\n", "\n", said.out) == re.sub(" +\n", "\n", "".join(as_zfs))
    assert ok(pair.a, "list", "-s", pair.fs).out.splitlines() == said.out.splitlines()[:4]
    assert ok(pair.b, "list", "-s") == (0, "", "")
    assert ok(pair.b, "list", "-s", pair.dest).out.splitlines()[1].startswith(f"{pair.dest}@zrep_000000 ")
    found = ok(pair.a, "list", "-s", "--json").json
    assert {item["name"] for item in found[0]["all_snapshots"]} >= {f"{pair.fs}/child@x", f"{pair.fs}@by-hand"}


@pytest.mark.acceptance(8, 11)
def test_cases_8_and_11_children_and_other_tags_are_no_pairs(pair: Pair, fresh) -> None:
    pair.a.zfs("create", f"{pair.fs}/child")
    other = ready_pair(fresh, pair.a, pair.b, "other", tag="zrep-dc")
    for verb in ("list", "status"):
        assert [line.split()[0] for line in ok(pair.a, verb).out.splitlines()] == [pair.fs]
        assert [line.split()[0] for line in ok(pair.a, "-t", "zrep-dc", verb).out.splitlines()] == [other.fs]
        fails(pair.a, verb, f"{pair.fs}/child")
        fails(pair.a, verb, other.fs)
    assert ok(pair.a, "list", env={"ZREPTAG": "zrep-dc"}).out == f"{other.fs}\n"
    assert ok(pair.a, "list", "-v").out.count("last synced") == 1


# -- uptodate --------------------------------------------------------------------------------------------------


def test_uptodate_answers_for_the_last_sync(pair: Pair) -> None:
    assert ok(pair.a, "uptodate", pair.fs) == (0, "", "")
    pair.write("more\n" * 1000)
    assert "bytes were written since zrep_000000 was sent" in fails(pair.a, "uptodate", pair.fs).err
    # The script would say yes now: nothing was written since the newest snapshot.
    pair.a.zfs("snapshot", f"{pair.fs}@by-hand")
    said = fails(pair.a, "uptodate", pair.fs)
    assert said.out == ""
    assert pair.fs in said.err
    ok(pair.a, "sync", pair.fs)
    ok(pair.a, "uptodate", pair.fs)


def test_uptodate_without_a_yes(pair: Pair, unsynced: Pair, fresh) -> None:
    assert "never synced" in fails(pair.a, "uptodate", unsynced.fs).err
    assert f"{pair.a.name}:{pair.fs}" in fails(pair.b, "uptodate", pair.dest).err
    assert "not registered" in fails(pair.a, "uptodate", fresh.create(pair.a, "plain")).err
    assert "no such" in fails(pair.a, "uptodate", "pool1/gone").err


# -- doctor ----------------------------------------------------------------------------------------------------


def test_doctor_finds_nothing_on_either_side(pair: Pair) -> None:
    before = pair.dump()
    for host, name, role, peer in (
        (pair.a, pair.fs, "master", f"{pair.b.name}:{pair.dest}"),
        (pair.b, pair.dest, "replica", f"{pair.a.name}:{pair.fs}"),
    ):
        said = ok(host, "doctor", env=UTC)
        assert said.out.startswith(f"{name}: {role} of {peer}; last sync {T_SHOWN}, ")
        assert said.out.endswith("; ok\n")
        assert said.err == ""
        assert ok(host, "doctor", name, env=UTC).out == said.out
        assert ok(host, "doctor", "--json").json["problems"] == 0
    assert pair.dump() == before


def test_doctor_names_the_call_that_mends(pair: Pair) -> None:
    pair.b.zfs("set", "readonly=off", pair.dest)
    ok(pair.a, "doctor", "-L")
    said = zrep(pair.a, "doctor", pair.fs)
    assert said.status == 1
    head, what, mend = said.out.splitlines()
    assert head.endswith("; 1 problem")
    assert what == f"  warning: host2: {pair.dest} is a replica but not readonly"
    call = mend.rpartition("zfs set ")[2].split()
    pair.b.zfs("set", *call)
    ok(pair.a, "doctor")


def test_doctor_speaks_the_words_of_the_command(pair: Pair) -> None:
    """What it says of a master that was set readonly by hand is typed as it stands, and mends it."""
    pair.a.zfs("unmount", pair.fs)
    pair.a.zfs("set", "readonly=on", pair.fs)
    said = zrep(pair.a, "doctor", "--json")
    assert said.status == 1
    (problem,) = said.json["pairs"][0]["problems"]
    assert problem["code"] == "master_readonly"
    ok(pair.a, *problem["hint"].rpartition("zrep ")[2].split())
    ok(pair.a, "doctor")


def test_doctor_without_the_other_side(pair: Pair) -> None:
    pair.b.cut()
    ok(pair.a, "doctor", "-L")
    said = zrep(pair.a, "doctor")
    assert said.status == 1
    assert "host2" in said.out.splitlines()[1]
    assert said.err == ""


@pytest.fixture
def configured(host1: Host) -> Iterator[Host]:
    """A host with a line in its configuration that only a shell would understand."""
    host1.write_file("/etc/default/zrep", "ZREP_DATEFORMAT=%s\nif true; then echo; fi\n")
    yield host1
    host1.run("rm -f /etc/default/zrep")


def test_doctor_looks_at_this_host_too(pair: Pair, configured: Host) -> None:
    said = zrep(configured, "doctor")
    assert said.status == 1
    assert said.err == ""
    head, what, _mend, line = said.out.splitlines()
    assert head == "host1: 1 problem"
    assert "/etc/default/zrep, line 2" in what
    assert line.startswith(f"{pair.fs}: ")
    assert f"last sync {T}, " in line
    found = zrep(configured, "doctor", "--json").json
    assert (found["problems"], [item["code"] for item in found["local"]]) == (1, ["configuration"])


def test_doctor_where_zfs_does_not_answer(pair: Pair) -> None:
    pair.a.intercept(FAIL, verbs=("get",))
    said = zrep(pair.a, "doctor")
    pair.a.clear_faults()
    assert said.status == 1
    assert said.out.startswith("host1: 1 problem\n")
    assert "made to fail by the test" in said.out


def test_doctor_where_nothing_is_registered(fresh, host1: Host) -> None:
    said = ok(host1, "-t", "nothing", "doctor")
    assert said.out == "no filesystem of host1 is registered under the tag 'nothing'\n"


# -- check -----------------------------------------------------------------------------------------------------


def checked(host: Host, *words: str) -> tuple[int, str]:
    """Exit status and line of ``zrep check``, which says nothing anywhere else."""
    said = zrep(host, "check", *words)
    assert said.err == ""
    (line,) = said.out.splitlines()
    assert line.split()[:2] == ["ZREP", ("OK", "WARNING", "CRITICAL", "UNKNOWN")[said.status]]
    return said.status, line


@pytest.mark.parametrize("side", ["a", "b"])
def test_check_tells_the_age_on_either_side(pair: Pair, side: str) -> None:
    host, name = (pair.a, pair.fs) if side == "a" else (pair.b, pair.dest)
    synced(pair, int(time.time()) - 1000)
    status, line = checked(host, "-w", "5000", "-c", "9000")
    assert status == 0
    found = re.fullmatch(rf"ZREP OK - 1 pair, oldest sync (\d+) s ago \| '{name}'=(\d+)s;5000;9000;0", line)
    assert found, line
    assert 1000 <= int(found[1]) == int(found[2]) < 1100
    assert checked(host, name, "-w", "900", "-c", "9000")[0] == 1
    assert checked(host, "-w", "100", "-c900")[0] == 2
    assert checked(host)[0] == 0


def test_check_of_what_is_wrong(pair: Pair, unsynced: Pair, fresh) -> None:
    status, line = checked(pair.a)
    assert (status, line.partition(" | ")[0]) == (2, f"ZREP CRITICAL - {unsynced.fs} was never synced")
    assert f"'{unsynced.fs}'=U;;;0" in line
    assert checked(pair.a, fresh.create(pair.a, "plain"))[0] == 2
    assert checked(pair.a, "pool1/gone")[0] == 2
    synced(pair, int(time.time()))
    pair.a.zfs("unmount", pair.fs)
    pair.a.zfs("set", "readonly=on", pair.fs)
    status, line = checked(pair.a, pair.fs)
    assert (status, "readonly" in line) == (1, True)


@pytest.mark.parametrize(
    "words",
    [
        ["-w", "x"],
        ["-w", "10", "-c", "5"],
        ["--bogus"],
        ["-c"],
        ["-t", "UPPER"],
        ["-t", "nothing"],
        ["-1"],
        ["pool1/a b"],
    ],
)
def test_check_of_nonsense_is_unknown(pair: Pair, words: list[str]) -> None:
    assert checked(pair.a, *words)[0] == 3


def test_check_where_zfs_does_not_answer_is_unknown(pair: Pair) -> None:
    pair.a.intercept(FAIL, verbs=("get",))
    status, line = checked(pair.a)
    pair.a.clear_faults()
    assert status == 3
    assert "made to fail by the test" in line


# -- metrics ---------------------------------------------------------------------------------------------------


def measured(host: Host, *words: str) -> dict[str, dict[str, float]]:
    """What ``zrep metrics`` says, by metric and filesystem."""
    families = text_string_to_metric_families(ok(host, "metrics", *words).out)
    return {
        family.name: {sample.labels.get("filesystem", ""): sample.value for sample in family.samples}
        for family in families
    }


def test_metrics_of_either_side(pair: Pair, unsynced: Pair) -> None:
    began = int(time.time())
    pair.a.zfs("set", "zrep:drill=1795380000 passed 5 zrep_000000", pair.fs)
    for host, name, other in ((pair.a, pair.fs, unsynced.fs), (pair.b, pair.dest, unsynced.dest)):
        found = measured(host)
        assert found["zrep_pair_info"] == {name: 1, other: 1}
        assert found["zrep_last_sync_timestamp_seconds"] == {name: T}
        assert found["zrep_snapshots"] == {name: 1, other: 1}
        assert found["zrep_readonly"][name] == (host is pair.b)
        assert ("zrep_unsent_bytes" in found) == (host is pair.a)
        assert began <= found["zrep_collected_timestamp_seconds"][""] <= time.time()
        assert not {"zrep_split_brain", "zrep_peer_reachable"} & set(found)
        assert ("zrep_last_drill_success" in found) == (host is pair.a)


def test_metrics_of_both_sides(pair: Pair) -> None:
    found = measured(pair.a, "--peer")
    assert found["zrep_peer_reachable"] == {pair.fs: 1}
    assert found["zrep_split_brain"] == {pair.fs: 0}
    pair.b.zfs("set", "zrep:master=yes", pair.dest)
    assert measured(pair.a, "--peer")["zrep_split_brain"] == {pair.fs: 1}
    pair.b.cut()
    found = measured(pair.a, "--peer")
    assert found["zrep_peer_reachable"] == {pair.fs: 0}
    assert "zrep_split_brain" not in found


@pytest.mark.slow
def test_metrics_of_the_last_run(pair: Pair) -> None:
    began = int(time.time())
    pair.a.write_file(f"/{pair.fs}/new", "x" * 300000)
    ok(pair.a, "sync", pair.fs)
    found, other = measured(pair.a), measured(pair.b)
    assert found["zrep_master"] == {pair.fs: 1}
    assert other["zrep_master"] == {pair.dest: 0}
    assert found["zrep_last_run_success"] == {pair.fs: 1}
    assert began <= found["zrep_last_run_timestamp_seconds"][pair.fs] <= time.time()
    assert 0 < found["zrep_last_transfer_duration_seconds"][pair.fs] < 60
    assert found["zrep_last_transfer_written_bytes"][pair.fs] >= 0
    assert not any("_last_run_" in name or "_transfer_" in name for name in other)
    pair.b.cut()
    fails(pair.a, "sync", pair.fs)
    failed = measured(pair.a)
    pair.b.mend()
    assert failed["zrep_last_run_success"] == {pair.fs: 0}
    assert failed["zrep_last_transfer_duration_seconds"] == found["zrep_last_transfer_duration_seconds"]
    ok(pair.a, "failover", pair.fs)
    assert "zrep_last_run_success" not in measured(pair.a)


def test_metrics_that_cannot_be_had_leave_nothing(pair: Pair) -> None:
    pair.a.intercept(FAIL, verbs=("get",))
    assert fails(pair.a, "metrics").out == ""
    pair.a.clear_faults()


# -- cost ------------------------------------------------------------------------------------------------------

COSTS = {
    # What is typed: zfs processes, connections.
    ("status",): (1, 0),
    ("status", "-v", "-a"): (1, 0),
    ("list",): (1, 0),
    ("list", "-v"): (2, 0),
    ("list", "-s"): (2, 0),
    ("check", "-w", "300", "-c", "3600"): (1, 0),
    ("metrics",): (1, 0),
    ("metrics", "--peer"): (2, 1),
    ("doctor", "-L"): (1, 0),
    ("doctor",): (2, 1),
}


def test_what_looking_at_many_pairs_costs(lab: Lab, fresh, host1: Host, host2: Host) -> None:
    pairs = [ready_pair(fresh, host1, host2, f"fs{number}") for number in range(3)]
    ok(host1, "doctor")
    spent = {}
    for words in COSTS:
        with counted(lab) as cost:
            said = ok(host1, *words)
        assert all(pair.fs in said.out for pair in pairs)
        spent[words] = (cost.zfs, cost.connections)
    assert spent == COSTS
    with counted(lab) as cost:
        ok(host1, "status", *[pair.fs for pair in pairs])
    assert (cost.zfs, cost.connections) == (1, 0)


def test_what_uptodate_costs(lab: Lab, pair: Pair) -> None:
    ok(pair.a, "uptodate", pair.fs)
    with counted(lab) as cost:
        ok(pair.a, "uptodate", pair.fs)
    # Looking, what it takes to have exact numbers, looking again.
    assert (cost.zfs, cost.connections) == (3, 0)
