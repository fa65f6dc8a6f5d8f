# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulling with the modules, on a backup server to which nobody may connect.

Numbers are those of the behaviour reference's cases.
"""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from tests.lab import Host, Lab
from tests.system import face, script
from tests.system.command import install, remove
from tests.system.layouts import destroy, one_way, roll_back
from tests.system.pairs import (
    FAIL,
    Pair,
    dump,
    exists,
    guids,
    held,
    kill_module,
    local,
    marks,
    ready_pair,
    refused,
    snapshots,
    value,
)
from tests.system.product import Result, start_module, zrep_failover, zrep_info, zrep_pair, zrep_snapshot, zrep_sync
from tests.system.test_budgets import counted

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def one_way_only(fresh, host1: Host):
    """host2 may connect to host1; that host1 never tries to connect to host2 is shown at the end of each test."""
    remove(host1)
    with one_way(host1):
        yield


@pytest.fixture
def client(fresh, host1: Host, host2: Host) -> Pair:
    """A filesystem on the client with something in it, and a name for its copy on the backup server."""
    pair = Pair(host1, fresh.create(host1), host2, fresh.name(host2, "copy"))
    pair.write()
    return pair


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    """A pair with something new to pull."""
    made = ready_pair(fresh, host1, host2)
    made.write("more\n")
    return made


def declare(pair: Pair, **options: object) -> Result:
    """Have the backup server make or mend a pair."""
    wanted = {"filesystem": pair.dest, "peer_host": pair.a.name, "peer_filesystem": pair.fs, "role": "replica"}
    return zrep_pair(pair.b, **{**wanted, "tag": pair.tag, **options})


def made(pair: Pair, **options: object) -> Pair:
    """The same, which is expected to go well and to change something."""
    result = declare(pair, **options)
    assert not result.failed, result["msg"]
    assert result.changed
    return pair


def pull(pair: Pair, **options: object) -> Result:
    """Have the backup server pull, which is expected to go well."""
    result = try_pull(pair, **options)
    assert not result.failed, result["msg"]
    return result


def try_pull(pair: Pair, **options: object) -> Result:
    return zrep_sync(pair.b, **{"filesystem": pair.dest, "direction": "pull", "tag": pair.tag, **options})


def as_modules_say(*words: str) -> tuple[str, ...]:
    """Words of a hint, which the command puts in words of its own."""
    return words if face.CHOSEN == "modules" else ()


def assert_backup_layout(pair: Pair) -> None:
    """A: master, from A to B; B: no master, readonly. That is what the script goes on from."""
    tag = pair.tag
    assert local(pair.a, pair.fs, f"{tag}:master") == "yes"
    assert local(pair.b, pair.dest, f"{tag}:master") is None
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        found = [value(host, dataset, f"{tag}:{name}") for name in ("src-host", "src-fs", "dest-host", "dest-fs")]
        assert found == [pair.a.name, pair.fs, pair.b.name, pair.dest]
    # What the property says while a fuse mount has its own opinion.
    readonly = [
        zrep_info(host, filesystem=name, tag=tag)["pairs"][0]["readonly"]
        for host, name in ((pair.a, pair.fs), (pair.b, pair.dest))
    ]
    assert readonly == [False, True]


# -- making a pair --------------------------------------------------------------------------------------------


@pytest.mark.both
@pytest.mark.acceptance(7)
@pytest.mark.parametrize("tag", ["zrep", "dc"])
def test_a_first_copy_is_fetched_and_both_sides_registered(client: Pair, tag: str) -> None:
    pair = Pair(client.a, client.fs, client.b, client.dest, tag)
    before = pair.dump()
    predicted = declare(pair, check=True, savecount=9, peer_savecount=3)
    assert predicted.changed
    assert pair.dump() == before
    result = declare(pair, savecount=9, peer_savecount=3)
    assert not result.failed, result["msg"]
    assert result["pair"]["role"] == "replica"
    assert result["actions"] == predicted["actions"]
    assert result.get("diff") == predicted.get("diff")
    pair.assert_same()
    assert_backup_layout(pair)
    assert (value(pair.a, pair.fs, f"{tag}:savecount"), value(pair.b, pair.dest, f"{tag}:savecount")) == ("3", "9")
    assert pair.on_a() == pair.on_b() == [f"{tag}_000000"]
    assert value(pair.b, pair.dest, "mounted") == "no"
    before = pair.dump()
    assert not declare(pair, savecount=9, peer_savecount=3).changed
    assert not declare(pair, savecount=9, peer_savecount=3, check=True).changed
    assert pair.dump() == before


@pytest.mark.slow
@pytest.mark.parametrize("who", ["ours", "script"])
def test_whoever_pulls_goes_on_from_it(client: Pair, who: str) -> None:
    pair = made(client)
    if who == "script":
        install(pair.a)
    for number in range(3):
        pair.write(f"{number}\n")
        if who == "script":
            script.refresh(pair)
        else:
            pull(pair)
        pair.assert_same()
    assert_backup_layout(pair)
    if who == "script":
        remove(pair.a)
    assert not declare(pair).changed


def test_a_change_of_what_is_declared_is_made_from_there(client: Pair) -> None:
    pair = made(client)
    pair.b.zfs("set", "readonly=off", pair.dest)
    result = declare(pair, savecount=2, peer_savecount=4, peer_properties={"atime": "off"})
    assert result.changed
    assert value(pair.b, pair.dest, "zrep:savecount") == "2"
    assert value(pair.a, pair.fs, "zrep:savecount") == "4"
    assert (value(pair.b, pair.dest, "readonly"), value(pair.b, pair.dest, "atime")) == ("on", "off")
    assert not declare(pair, savecount=2, peer_savecount=4, peer_properties={"atime": "off"}).changed


def test_under_another_name_of_the_host(client: Pair) -> None:
    """How the server calls its client is for the server to know; the client records itself as it always does."""
    address = client.b.run(f"getent ahostsv4 {client.a.name} | cut -d' ' -f1 | head -n 1").stdout.strip()
    client.b.run(f"ssh-keyscan -H {address} 2>/dev/null >>~/.ssh/known_hosts")
    pair = made(client, peer_host=address)
    assert value(pair.a, pair.fs, "zrep:src-host") == pair.a.name
    assert value(pair.b, pair.dest, "zrep:src-host") == address
    assert not declare(pair, peer_host=address).changed
    pair.write("new\n")
    pull(pair)
    pair.assert_same()


def test_data_that_is_on_both_sides_is_adopted(client: Pair) -> None:
    """Copied by hand, by another tool, or by whatever came before: nothing is sent again."""
    a, b = client.a, client.b
    a.zfs("snapshot", f"{client.fs}@daily-1")
    b.run(f"ssh {a.name} zfs send {client.fs}@daily-1 | zfs receive -u {client.dest}")
    client.write("since\n")
    refused(client, lambda: declare(client), "exists", *as_modules_say("adopt=newest"))
    predicted = declare(client, adopt="newest", check=True)
    result = declare(client, adopt="newest")
    assert not result.failed, result["msg"]
    assert result["actions"] == predicted["actions"]
    sends = [step["what"] for step in result["actions"] if step["action"] == "send"]
    assert sends == [f"send {client.fs}@zrep_000000 from daily-1 to {client.dest}"]
    client.assert_same()
    assert_backup_layout(client)
    assert not declare(client, adopt="newest").changed
    pull(client)
    client.assert_same()


@pytest.mark.acceptance(59)
def test_case_59_a_copy_with_a_snapshot_of_the_pair_is_only_registered(client: Pair) -> None:
    """Existing data as the manual converts it, in one call instead of six on two hosts."""
    client.a.zfs("snapshot", f"{client.fs}@zrep_000001")
    client.b.run(f"ssh {client.a.name} zfs send {client.fs}@zrep_000001 | zfs receive -u {client.dest}")
    result = declare(client, adopt="newest")
    assert not result.failed, result["msg"]
    assert "send" not in {action for _host, action, _target in result.actions}
    assert_backup_layout(client)
    client.write("new\n")
    pull(client)
    client.assert_same()
    assert client.on_b() == ["zrep_000001", "zrep_000002"]


def test_what_is_in_the_way_is_moved_aside_and_back_if_the_copy_fails(client: Pair) -> None:
    # What is mounted again a moment ago is busy for fuse.
    client.b.zfs("create", "-o", "mountpoint=none", client.dest)
    known = value(client.b, client.dest, "guid")
    refused(client, lambda: declare(client), "exists", *as_modules_say("force=true"))
    client.b.intercept(FAIL, verbs=("receive",))
    assert declare(client, force=True).failed
    client.b.clear_faults()
    assert value(client.b, client.dest, "guid") == known
    assert client.on_a() == []
    assert value(client.a, client.fs, "zrep:src-host") == "-"
    pair = made(client, force=True)
    pair.assert_same()
    (aside,) = [name for name in client.b.zfs("list", "-H", "-o", "name").split() if "_replaced_" in name]
    assert value(client.b, aside, "guid") == known


@pytest.mark.parametrize(("where", "number"), [("a", 1), ("a", 6), ("a", 7), ("a", 8), ("b", 1), ("b", 3), ("b", 8)])
def test_a_creation_that_was_killed_is_completed(client: Pair, where: str, number: int) -> None:
    """Before the client's record, snapshot, mark and role; before the copy, the server's record and its mark."""
    wanted = {"filesystem": client.dest, "peer_host": client.a.name, "peer_filesystem": client.fs, "role": "replica"}
    with held(getattr(client, where), n=number) as hold:
        kill_module(start_module(client.b, "zrep_pair", wanted), hold)
    result = declare(client)
    assert not result.failed, result["msg"]
    client.assert_same()
    assert_backup_layout(client)
    assert client.on_a() == ["zrep_000000"]


def test_what_stands_against_it(client: Pair) -> None:
    nowhere = Pair(client.a, f"{client.fs}-nowhere", client.b, client.dest)
    refused(nowhere, lambda: declare(nowhere), "not_found", f"{client.a.name}:{client.fs}-nowhere")
    orphan = Pair(client.a, client.fs, client.b, f"{client.b.pool}/no/such")
    refused(orphan, lambda: declare(orphan), "not_found", f"{client.b.name}:{client.b.pool}/no")
    pair = made(client)
    other = Pair(client.a, client.fs, client.b, f"{client.dest}-other")
    refused(other, lambda: declare(other), "paired_elsewhere")
    client.a.stop_sshd()
    refused(pair, lambda: declare(pair), "unreachable", client.a.name)
    client.a.start_sshd()


# -- pulling --------------------------------------------------------------------------------------------------


@pytest.mark.acceptance(34)
def test_case_34_pulled_recorded_and_expired_on_both_sides(lab: Lab, pair: Pair) -> None:
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        host.zfs("set", "zrep:savecount=1", dataset)
    before = pair.dump()
    predicted = pull(pair, check=True)
    assert pair.dump() == before
    with counted(lab) as cost:
        result = pull(pair)
    assert result["actions"] == predicted["actions"]
    assert result.get("diff") == predicted.get("diff")
    assert cost.zfs <= 9, cost.commands
    assert cost.connections == 1
    pair.assert_same()
    assert pair.on_a() == pair.on_b() == ["zrep_000001"]


def test_a_replica_that_is_young_enough_is_left_alone(lab: Lab, pair: Pair) -> None:
    pull(pair)
    with counted(lab) as cost:
        result = pull(pair, max_age=3600)
    assert not result.changed
    assert (cost.zfs, cost.connections) == (1, 0)
    assert pull(pair, max_age=0).changed


def test_without_changes_only_the_time_moves(pair: Pair) -> None:
    pull(pair)
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        host.zfs("set", "zrep:sent=1700000000", f"{dataset}@zrep_000001")
    result = pull(pair, only_if_changed=True)
    assert [action for _host, action, _target in result.actions] == ["mark_sent", "mark_sent"]
    one, other = pair.marks()
    assert one == other
    assert int(one["zrep_000001"]) > 1700000000
    pair.write("a change of the last moment\n")
    pull(pair, only_if_changed=True)
    pair.assert_same()
    assert pair.on_b()[-1] == "zrep_000002"


def test_what_was_taken_before_is_fetched(pair: Pair) -> None:
    assert not zrep_snapshot(pair.a, filesystem=pair.fs).failed
    pair.write("later\n")
    pull(pair, send_only=True)
    pair.assert_same()
    assert pair.on_b() == ["zrep_000000", "zrep_000001"]
    assert not pull(pair, send_only=True).changed


@pytest.mark.acceptance(23)
def test_case_23_what_the_replica_has_of_its_own(pair: Pair) -> None:
    pair.b.run(f"zfs set readonly=off {pair.dest} && zfs mount {pair.dest} && echo x >/{pair.dest}/own")
    pair.b.zfs("snapshot", f"{pair.dest}@own")
    refused(pair, lambda: try_pull(pair), "diverged", *as_modules_say("force=true"))
    before = pair.dump()
    assert pull(pair, force=True, check=True).changed
    assert pair.dump() == before
    result = pull(pair, force=True)
    pair.assert_same()
    (kept,) = result["preserved"]
    assert kept["host"] == pair.b.name
    assert kept["filesystem"] == pair.dest
    assert "own" in snapshots(pair.b, kept["name"])
    pair.b.run(f"zfs mount {kept['name']} || :")
    assert pair.b.read_file(f"/{kept['name']}/own") == "x\n"


def test_what_the_replica_has_of_its_own_is_given_up_if_so_asked(pair: Pair) -> None:
    pair.b.run(f"zfs set readonly=off {pair.dest} && zfs mount {pair.dest} && echo x >/{pair.dest}/own")
    assert try_pull(pair, diverged="discard").code == "bad_input"
    assert not pull(pair, force=True, diverged="discard")["preserved"]
    pair.assert_same()


def test_the_replica_is_rolled_back_to_a_snapshot(pair: Pair) -> None:
    for number in range(2):
        pair.write(f"{number}\n")
        pull(pair)
    assert pull(pair, filesystem=f"{pair.dest}@zrep_000001").changed
    assert pair.on_b() == ["zrep_000000", "zrep_000001"]
    assert list(marks(pair.a, pair.fs)) == ["zrep_000000", "zrep_000001"]
    assert pair.on_a()[-1] == "zrep_000002"
    pull(pair)
    pair.assert_same()


@pytest.mark.acceptance(36)
def test_case_36_whoever_is_not_the_replica_is_refused(pair: Pair) -> None:
    refused(
        pair,
        lambda: zrep_sync(pair.a, filesystem=pair.fs, direction="pull"),
        "wrong_role",
        *as_modules_say("zrep_sync"),
    )
    for direction in ("auto", "push"):
        call = {"filesystem": pair.dest, "direction": direction}
        refused(pair, lambda call=call: zrep_sync(pair.b, **call), "wrong_role", *as_modules_say("direction=pull"))
    found = zrep_sync(pair.a, filesystem="all", direction="pull")
    assert not found.changed
    assert "no filesystem" in found["notes"][0]


@pytest.mark.acceptance(37)
@pytest.mark.parametrize("rename", [True, False])
def test_case_37_a_receive_that_fails(pair: Pair, rename: bool) -> None:
    """(+) A's last sent is unchanged and the next pull succeeds."""
    pair.b.intercept(FAIL, verbs=("receive",))
    result = try_pull(pair, rename_unsent=rename)
    pair.b.clear_faults()
    assert result.failed
    assert set(pair.marks()[0]) == {"zrep_000000"}
    assert pair.on_a() == ["zrep_000000"] + ["zrep_000001_unsent"] * rename
    pull(pair)
    pair.assert_same()


@pytest.mark.acceptance(21)
@pytest.mark.acceptance(22)
@pytest.mark.parametrize("tag", ["zrep", "dc"])
def test_cases_21_and_22_what_arrived_unrecorded_is_recorded(fresh, host1: Host, host2: Host, tag: str) -> None:
    pair = ready_pair(fresh, host1, host2, tag=tag)
    pair.write("more\n")
    pull(pair)
    arrived = f"{tag}_000001"
    host1.zfs("inherit", f"{tag}:sent", f"{pair.fs}@{arrived}")
    host2.zfs("inherit", f"{tag}:sent", f"{pair.dest}@{arrived}")
    host1.zfs("rename", f"{pair.fs}@{arrived}", f"{pair.fs}@{arrived}_unsent")
    pair.write("most\n")
    pull(pair)
    pair.assert_same()
    assert pair.on_a() == pair.on_b() == [f"{tag}_00000{number}" for number in range(3)]
    assert pair.marks()[0].keys() == pair.marks()[1].keys() == set(pair.on_a())


def test_case_24_all_of_several_clients_share_commands_and_one_connection(
    lab: Lab, fresh, host1: Host, host2: Host
) -> None:
    pairs = [ready_pair(fresh, host1, host2, f"fs{number}") for number in range(4)]
    pull(pairs[0], filesystem="all")
    for pair in pairs:
        pair.write("more\n")
    with counted(lab) as cost:
        result = pull(pairs[0], filesystem="all")
    assert len(result["pairs"]) == 4
    # A current zfs takes the snapshots of one pool in one command.
    assert cost.zfs - (cost.count("snapshot") - 1) <= 4 * 4 + 6, cost.commands
    assert cost.connections == 1
    for pair in pairs:
        pair.assert_same()
        pair.write("most\n")
    with counted(lab) as cost:
        pull(pairs[0], filesystem="all", parallel=2)
    assert cost.connections <= 1 + 2
    host2.zfs("set", "zrep:savecount=nonsense", pairs[1].dest)
    host1.zfs("inherit", "zrep:sent", f"{pairs[2].fs}@zrep_000000")
    for pair in pairs:
        pair.write("again\n")
    result = try_pull(pairs[0], filesystem="all")
    assert [item["filesystem"] for item in result["failed_filesystems"]] == [pairs[1].dest]
    for pair in (pairs[0], pairs[2], pairs[3]):
        pair.assert_same()


def test_many_more_than_a_connection_carries(fresh, host1: Host, host2: Host) -> None:
    """sshd allows ten processes at a time on one connection."""
    pairs = [ready_pair(fresh, host1, host2, f"fs{number}") for number in range(12)]
    with held(host2, verbs=("receive",)) as hold:
        first = start_module(host2, "zrep_sync", {"filesystem": "all", "direction": "pull"})
        hold.wait()
        # All of them are held at both ends meanwhile.
        busy = zrep_sync(host1, filesystem=[pairs[0].fs, pairs[11].fs])
        assert [item["code"] for item in busy["failed_filesystems"]] == ["busy", "busy"]
        again = try_pull(pairs[0], filesystem="all", skip_busy=10**6)
        assert not again.failed, again["msg"]
        assert not again.changed
        assert len(again["notes"]) == 12
        hold.go()
        assert not first.result().failed
    for pair in pairs:
        assert snapshots(host2, pair.dest)[-1] == "zrep_000001"
    assert not zrep_sync(host2, filesystem="all", direction="pull").failed


def test_a_run_on_the_master_keeps_a_pull_off(fresh, host1: Host, host2: Host) -> None:
    one, other = (ready_pair(fresh, host1, host2, name) for name in ("one", "other"))
    host1.run("mkdir -p /run/zrep")
    lock = f"/run/zrep/lock-zrep-{one.fs.replace('/', '%')}"
    holder = host1.popen(f"exec flock {lock} sh -c 'echo held >/tmp/has-it; exec sleep 1000'")
    try:
        host1.run("until [ -s /tmp/has-it ]; do :; done; rm /tmp/has-it", timeout=30)
        result = try_pull(one, filesystem=[one.dest, other.dest])
        assert [(item["filesystem"], item["code"]) for item in result["failed_filesystems"]] == [(one.dest, "busy")]
        assert not pull(one, skip_busy=10**6).changed
        other.assert_same()
    finally:
        holder.kill()
        host1.run(f"fuser -k {lock}", check=False)
        holder.wait()


# -- trees ----------------------------------------------------------------------------------------------------


def test_a_tree_is_fetched_as_one_and_follows_what_becomes_of_it(client: Pair) -> None:
    client.a.zfs("create", f"{client.fs}/child")
    client.a.write_file(f"/{client.fs}/child/file", "child\n")
    before = client.dump()
    predicted = declare(client, recursive=True, check=True)
    assert client.dump() == before
    result = declare(client, recursive=True)
    assert not result.failed, result["msg"]
    assert result["actions"] == predicted["actions"]
    assert_backup_layout(client)
    assert not declare(client, recursive=True).changed
    client.a.zfs("create", f"{client.fs}/new")
    client.a.write_file(f"/{client.fs}/new/file", "new\n")
    client.write("more\n")
    predicted = pull(client, check=True)
    assert pull(client)["actions"] == predicted["actions"]
    for name in ("", "/child", "/new"):
        last = {host.name: guids(host, dataset + name)["zrep_000001"] for host, dataset in _both(client)}
        assert last[client.a.name] == last[client.b.name]
    refused(client, lambda: declare(client, recursive=True, savecount="x"), "bad_input")
    assert not zrep_failover(client.b, filesystem=client.dest, role="master").failed
    assert not zrep_failover(client.b, filesystem=client.dest, role="replica").failed
    pull(client)
    client.assert_same()


def _both(pair: Pair) -> list[tuple[Host, str]]:
    return [(pair.a, pair.fs), (pair.b, pair.dest)]


# -- the script -----------------------------------------------------------------------------------------------


def test_where_the_script_is_on_the_server_it_is_kept_off(client: Pair) -> None:
    """Its lock is written while a pull works on a replica; there is nothing to write it on before that is made."""
    assert not declare(client, script_locks="always").failed
    assert not declare(client, script_locks="always", adopt="newest").changed
    client.write("new\n")
    with held(client.b, verbs=("receive",)) as hold:
        running = start_module(
            client.b, "zrep_sync", {"filesystem": client.dest, "direction": "pull", "script_locks": "always"}
        )
        hold.wait()
        assert local(client.b, client.dest, "zrep:lock-pid")
        hold.go()
        assert not running.result().failed
    assert local(client.b, client.dest, "zrep:lock-pid") is None
    client.assert_same()


@pytest.mark.acceptance(66)
@pytest.mark.parametrize("where", ["a", "b"])
def test_case_66_a_script_at_work_on_either_side_is_not_disturbed(pair: Pair, where: str) -> None:
    host, dataset = (pair.a, pair.fs) if where == "a" else (pair.b, pair.dest)
    sleeper = host.popen("echo $$; exec sleep 1000", stdout=subprocess.PIPE, text=True)
    try:
        host.zfs("set", f"zrep:lock-pid={sleeper.stdout.readline().strip()}", dataset)
        host.zfs("set", "zrep:lock-time=20990101000000", dataset)
        refused(pair, lambda: try_pull(pair), "busy", dataset)
        refused(pair, lambda: declare(pair, savecount=7, peer_savecount=7), "busy", dataset)
        assert not pull(pair, skip_busy=10**6).changed
    finally:
        os.killpg(sleeper.pid, signal.SIGKILL)
        sleeper.wait()
    pull(pair)
    pair.assert_same()


# -- the life of a pair ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("earlier", [False, True])
def test_a_client_that_was_lost_gets_its_data_back(pair: Pair, earlier: bool) -> None:
    """The backup takes over, sends everything to the new client, and hands the role back."""
    pull(pair)
    destroy(pair.a, pair.fs)
    refused(pair, lambda: declare(pair), "not_found", *as_modules_say("role=master force=true"))
    assert try_pull(pair).code == "not_found"
    assert not zrep_failover(pair.b, filesystem=pair.dest, role="master", force=True).failed
    if earlier:
        roll_back(pair.b, f"{pair.dest}@zrep_000000")
    again = declare(pair)
    assert not again.failed, again["msg"]
    assert exists(pair.a, pair.fs)
    moved = zrep_failover(pair.b, filesystem=pair.dest, role="replica")
    assert not moved.failed, moved["msg"]
    assert_backup_layout(pair)
    assert pair.a.read_file(f"/{pair.fs}/file") == ("text\n" if earlier else "more\n")
    pair.write("it goes on\n")
    pull(pair)
    pair.assert_same()
    assert not declare(pair).changed


def test_a_client_that_was_lost_comes_back_elsewhere(pair: Pair) -> None:
    pull(pair)
    destroy(pair.a, pair.fs)
    again = Pair(pair.a, f"{pair.fs}-again", pair.b, pair.dest)
    assert zrep_pair(pair.b, filesystem=pair.dest, state="absent", local_only=True).changed
    options = {"filesystem": pair.dest, "peer_host": pair.a.name, "peer_filesystem": again.fs}
    result = zrep_pair(pair.b, **options)
    assert not result.failed, result["msg"]
    assert not zrep_failover(pair.b, filesystem=pair.dest, role="replica").failed
    assert_backup_layout(again)
    assert pair.a.read_file(f"/{again.fs}/file") == "more\n"
    again.write("it goes on\n")
    pull(again)
    again.assert_same()
    assert not zrep_pair(pair.b, **options, role="replica").changed


def test_moves_drills_and_the_end_are_all_made_from_the_backup_server(client: Pair) -> None:
    pair = made(client)
    pair.write("1\n")
    pull(pair)
    assert not zrep_info(pair.b, filesystem=pair.dest, check_peer=True)["problems"]
    assert not zrep_snapshot(pair.b, filesystem=pair.dest, state="cloned").failed
    assert not zrep_snapshot(pair.b, filesystem=pair.dest, state="drilled").failed
    assert not zrep_snapshot(pair.b, filesystem=pair.dest, state="expired").failed
    assert not zrep_failover(pair.b, filesystem=pair.dest, role="master").failed
    assert local(pair.b, pair.dest, "zrep:master") == "yes"
    assert declare(pair)["actions"] == []
    assert try_pull(pair).code == "wrong_role"
    pair.b.write_file(f"/{pair.dest}/file", "on the server\n")
    assert not zrep_sync(pair.b, filesystem=pair.dest).failed
    assert not zrep_failover(pair.b, filesystem=pair.dest, role="replica").failed
    assert_backup_layout(pair)
    # The client is gone for a while, and what it had of its own is kept when it comes back.
    pair.write("only here\n")
    assert not zrep_failover(pair.b, filesystem=pair.dest, role="master", force=True).failed
    pair.b.write_file(f"/{pair.dest}/file", "after the takeover\n")
    assert zrep_failover(pair.b, filesystem=pair.dest, role="master").code in ("split_brain", "diverged")
    back = zrep_failover(pair.b, filesystem=pair.dest, role="master", diverged="preserve")
    assert not back.failed, back["msg"]
    assert exists(pair.a, back["preserved"])
    assert not zrep_failover(pair.b, filesystem=pair.dest, role="replica").failed
    assert_backup_layout(pair)
    assert pair.a.read_file(f"/{pair.fs}/file") == "after the takeover\n"
    pull(pair)
    pair.assert_same()
    gone = zrep_pair(pair.b, filesystem=pair.dest, state="absent")
    assert not gone.failed, gone["msg"]
    assert value(pair.a, pair.fs, "zrep:src-host") == value(pair.b, pair.dest, "zrep:src-host") == "-"
    before = dump(pair.a, pair.b)
    assert not zrep_pair(pair.b, filesystem=pair.dest, state="absent").changed
    assert dump(pair.a, pair.b) == before
