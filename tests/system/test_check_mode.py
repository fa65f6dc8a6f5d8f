# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode tells the truth: it changes nothing, says what the run then does, and a second run has nothing to do.

Each row of the table is a module with options in a situation. ``{fs}``, ``{dest}`` and ``{other}`` stand for the
pair's master, its replica, and a dataset on the peer that does not exist or, in some situations, does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.lab import Host
from tests.system import script
from tests.system.pairs import Pair, dump, ready_pair
from tests.system.product import Result, run_module

pytestmark = pytest.mark.system

HERE = {"peer_host": "host2", "peer_filesystem": "{dest}"}


class Row(NamedTuple):
    """:param idempotent: whether a second run changes nothing.
    :param refused: the code of the error that check mode and the run end with."""

    situation: str
    module: str
    options: dict[str, Any]
    idempotent: bool = True
    refused: str = ""
    on: str = "a"


TABLE = [
    Row("bare", "zrep_pair", HERE),
    Row("bare", "zrep_pair", {**HERE, "savecount": 3, "peer_savecount": 7, "tag": "dc"}),
    Row("bare", "zrep_pair", {**HERE, "create_properties": {"compression": "on"}, "peer_properties": {"quota": "90M"}}),
    Row("bare", "zrep_pair", {**HERE, "adopt": "newest"}, refused="not_found"),
    Row("bare", "zrep_pair", {"state": "absent"}),
    Row("occupied", "zrep_pair", HERE, refused="exists"),
    Row("occupied", "zrep_pair", {**HERE, "force": True}),
    Row("copied by hand", "zrep_pair", {**HERE, "adopt": "newest"}),
    Row("copied by hand", "zrep_pair", {**HERE, "adopt": "base"}),
    Row("copied by hand", "zrep_pair", {**HERE, "adopt": "other"}, refused="no_common_snapshot"),
    Row("half made", "zrep_pair", HERE),
    Row("arrived, not registered", "zrep_pair", HERE),
    Row("paired", "zrep_pair", HERE),
    Row("paired", "zrep_pair", {**HERE, "savecount": 2}),
    Row("paired", "zrep_pair", {**HERE, "peer_savecount": 2, "peer_properties": {"compression": "on"}}),
    Row("paired", "zrep_pair", {**HERE, "peer_filesystem": "{other}"}, refused="paired_elsewhere"),
    Row("paired", "zrep_pair", {"state": "absent"}),
    Row("paired", "zrep_pair", {"state": "absent", "force": True}),
    Row("paired", "zrep_pair", {"state": "absent", "local_only": True, "force": True}),
    Row("paired", "zrep_pair", {"state": "absent"}, on="b"),
    Row("bent", "zrep_pair", HERE),
    Row("moved", "zrep_pair", {**HERE, "peer_filesystem": "{other}", "adopt": "newest"}),
    Row("replica gone", "zrep_pair", HERE),
    Row("bare", "zrep_sync", {}, refused="not_paired"),
    Row("paired", "zrep_sync", {}, idempotent=False),
    Row("written", "zrep_sync", {}, idempotent=False),
    Row("written", "zrep_sync", {"filesystem": "all", "parallel": 2}, idempotent=False),
    Row("written", "zrep_sync", {"max_age": 3600}),
    Row("old", "zrep_sync", {"max_age": 3600}),
    Row("written", "zrep_sync", {"send_only": True}),
    Row("snapshots waiting", "zrep_sync", {"send_only": True}),
    Row("snapshots waiting", "zrep_sync", {"intermediates": False}, idempotent=False),
    Row("paired", "zrep_sync", {"only_if_changed": True}, idempotent=False),
    Row("full", "zrep_sync", {}, idempotent=False),
    Row("full", "zrep_sync", {"expire": False}, idempotent=False),
    Row("diverged", "zrep_sync", {}, refused="diverged"),
    Row("diverged", "zrep_sync", {"force": True}, idempotent=False),
    Row("arrived, not recorded", "zrep_sync", {}, idempotent=False),
    Row("full", "zrep_sync", {"filesystem": "{fs}@zrep_000002"}),
    Row("full", "zrep_sync", {"filesystem": "{fs}@zrep_000009"}, refused="not_found"),
    Row("both master", "zrep_sync", {}, refused="split_brain"),
    Row("paired", "zrep_sync", {}, refused="wrong_role", on="b"),
    Row("replica gone", "zrep_sync", {}, refused="not_found"),
    Row("paired", "zrep_snapshot", {}, idempotent=False),
    Row("paired", "zrep_snapshot", {"filesystem": "all"}, idempotent=False),
    Row("paired", "zrep_snapshot", {"snapshot": "mine"}),
    Row("paired", "zrep_snapshot", {"only_if_changed": True}),
    Row("paired", "zrep_snapshot", {}, refused="wrong_role", on="b"),
    Row("full", "zrep_snapshot", {"state": "expired"}),
    Row("full", "zrep_snapshot", {"state": "expired", "local_only": True}),
    Row("full", "zrep_snapshot", {"state": "expired"}, on="b"),
    Row("both master", "zrep_snapshot", {"state": "expired"}, refused="split_brain"),
    Row("full", "zrep_snapshot", {"state": "sent", "snapshot": "zrep_000003"}),
    Row("full", "zrep_snapshot", {"state": "sent", "snapshot": "zrep_000003", "local_only": True}),
    Row(
        "snapshots waiting", "zrep_snapshot", {"state": "sent", "snapshot": "zrep_000001"}, refused="no_common_snapshot"
    ),
    Row("arrived, not recorded", "zrep_snapshot", {"state": "sent", "snapshot": "zrep_000001"}),
    Row("full", "zrep_snapshot", {"state": "rolled_back", "snapshot": "zrep_000002"}),
    Row("full", "zrep_snapshot", {"state": "rolled_back", "snapshot": "zrep_000002"}, on="b"),
    Row("full", "zrep_snapshot", {"state": "rolled_back", "snapshot": "zrep_000009"}, refused="not_found"),
    Row("diverged", "zrep_snapshot", {"state": "rolled_back", "snapshot": "zrep_000000"}, refused="diverged"),
    Row("diverged", "zrep_snapshot", {"state": "rolled_back", "snapshot": "zrep_000000", "force": True}, on="b"),
    Row("both master", "zrep_snapshot", {"state": "rolled_back", "snapshot": "zrep_000000"}, refused="split_brain"),
    Row("paired", "zrep_failover", {"role": "master"}),
    Row("paired", "zrep_failover", {"role": "replica"}, on="b"),
    Row("written", "zrep_failover", {"role": "replica"}),
    Row("written", "zrep_failover", {"role": "master"}, on="b"),
    Row("written", "zrep_failover", {"role": "master", "force": True}, on="b"),
    Row("paired", "zrep_failover", {"role": "replica", "force": True}, refused="bad_input"),
    Row("full", "zrep_failover", {"role": "replica"}),
    Row("snapshots waiting", "zrep_failover", {"role": "master"}, on="b"),
    Row("arrived, not recorded", "zrep_failover", {"role": "replica"}),
    Row("frozen", "zrep_failover", {"role": "replica"}),
    Row("frozen", "zrep_failover", {"role": "master"}),
    Row("frozen", "zrep_failover", {"role": "replica"}, on="b"),
    Row("nobody master", "zrep_failover", {"role": "master"}),
    Row("nobody master", "zrep_failover", {"role": "master"}, on="b"),
    Row("two written masters", "zrep_failover", {"role": "replica"}, refused="split_brain"),
    Row("two written masters", "zrep_failover", {"role": "replica", "diverged": "discard"}),
    Row("two written masters", "zrep_failover", {"role": "replica", "diverged": "preserve"}),
    Row("two written masters", "zrep_failover", {"role": "master", "diverged": "preserve"}, on="b"),
    Row("two written masters", "zrep_failover", {"role": "replica", "diverged": "preserve"}, on="b"),
    Row(
        "two written masters",
        "zrep_failover",
        {"role": "replica", "diverged": "preserve", "preserve_as": "{other}"},
        refused="not_found",
    ),
    Row("diverged", "zrep_failover", {"role": "replica"}, refused="diverged"),
    Row("diverged", "zrep_failover", {"role": "replica", "diverged": "preserve"}, on="b"),
    Row("peer away", "zrep_failover", {"role": "replica"}, refused="unreachable"),
    Row("peer away", "zrep_failover", {"role": "replica", "force": True, "diverged": "discard"}),
    Row("peer away", "zrep_failover", {"role": "replica", "force": True, "diverged": "preserve"}),
    Row("replica gone", "zrep_failover", {"role": "replica"}, refused="not_found"),
    Row("bare", "zrep_failover", {"role": "master"}, refused="not_paired"),
]


def name_of(row: Row) -> str:
    said = " ".join(f"{key}={value}" for key, value in row.options.items() if key not in HERE)
    return f"{row.module[5:]} {said} {row.situation} {row.on}".replace("  ", " ")


# -- situations ------------------------------------------------------------------------------------------------


def bare(pair: Pair) -> None:
    pair.a.zfs("create", pair.fs)
    pair.write()


def occupied(pair: Pair) -> None:
    bare(pair)
    pair.b.zfs("create", pair.dest)
    pair.b.zfs("snapshot", f"{pair.dest}@daily")
    pair.b.zfs("unmount", pair.dest)


def copied_by_hand(pair: Pair) -> None:
    bare(pair)
    pair.a.zfs("snapshot", f"{pair.fs}@base")
    pair.a.run(f"zfs send {pair.fs}@base | ssh host2 zfs receive -u {pair.dest}")


def half_made(pair: Pair) -> None:
    """A creation died after it had registered the pair here and taken the snapshot."""
    bare(pair)
    for name, text in {
        "src-fs": pair.fs,
        "src-host": "host1",
        "dest-fs": pair.dest,
        "dest-host": "host2",
        "savecount": "5",
    }.items():
        pair.a.zfs("set", f"zrep:{name}={text}", pair.fs)
    pair.a.zfs("snapshot", f"{pair.fs}@zrep_000000")


def arrived_not_registered(pair: Pair) -> None:
    half_made(pair)
    pair.a.run(f"zfs send {pair.fs}@zrep_000000 | ssh host2 zfs receive -u {pair.dest}")


def written(pair: Pair) -> None:
    pair.write("more")


def old(pair: Pair) -> None:
    pair.write("more")
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        host.zfs("set", "zrep:sent=1000000000", f"{dataset}@zrep_000000")


def bent(pair: Pair) -> None:
    pair.b.zfs("set", "readonly=off", pair.dest)
    pair.b.zfs("inherit", "zrep:savecount", pair.dest)


def moved(pair: Pair) -> None:
    pair.b.zfs("rename", pair.dest, f"{pair.dest}-other")


def replica_gone(pair: Pair) -> None:
    pair.b.zfs("destroy", "-r", pair.dest)


def snapshots_waiting(pair: Pair) -> None:
    for number in (1, 2):
        pair.a.zfs("snapshot", f"{pair.fs}@zrep_00000{number}")


def full(pair: Pair) -> None:
    """Six are on both sides, five are to be kept."""
    for number in range(1, 6):
        pair.a.zfs("snapshot", f"{pair.fs}@zrep_00000{number}")
    pair.sync(send_only=True, expire=False)


def diverged(pair: Pair) -> None:
    pair.b.zfs("set", "readonly=off", pair.dest)
    pair.b.zfs("mount", pair.dest)
    pair.b.write_file(f"/{pair.dest}/own", "own")
    pair.b.zfs("unmount", pair.dest)
    pair.b.zfs("set", "readonly=on", pair.dest)
    pair.b.zfs("snapshot", f"{pair.dest}@own")


def arrived_not_recorded(pair: Pair) -> None:
    pair.a.zfs("snapshot", f"{pair.fs}@zrep_000001")
    pair.a.run(f"zfs send -I {pair.fs}@zrep_000000 {pair.fs}@zrep_000001 | ssh host2 zfs receive -u {pair.dest}")


def both_master(pair: Pair) -> None:
    pair.b.zfs("set", "zrep:master=yes", pair.dest)


def frozen(pair: Pair) -> None:
    """The script died in a move, before it swapped the roles."""
    pair.write("more")
    script.failover(pair, dies_after="mark here")


def nobody_master(pair: Pair) -> None:
    pair.write("more")
    script.failover(pair, dies_after="no master here")


def two_written_masters(pair: Pair) -> None:
    script.takeover_alone(pair)
    pair.write("on A")
    pair.a.zfs("snapshot", f"{pair.fs}@own")
    pair.b.write_file(f"/{pair.dest}/file", "on B")
    for host, dataset in ((pair.a, pair.fs), (pair.b, pair.dest)):
        host.zfs("set", "my:commit=1", dataset)


def peer_away(pair: Pair) -> None:
    pair.write("more")
    pair.a.zfs("set", "my:commit=1", pair.fs)
    pair.b.stop_sshd()


WITHOUT_PAIR: list[Callable[[Pair], None]] = [bare, occupied, copied_by_hand, half_made, arrived_not_registered]
WITH_PAIR: list[Callable[[Pair], None]] = [
    written,
    old,
    bent,
    moved,
    replica_gone,
    snapshots_waiting,
    full,
    diverged,
    arrived_not_recorded,
    both_master,
    frozen,
    nobody_master,
    two_written_masters,
    peer_away,
]


def prepare(situation: str, fresh, host1: Host, host2: Host) -> Pair:
    name = re.sub(r"\W+", "_", situation)
    without = {function.__name__: function for function in WITHOUT_PAIR}
    if name in without:
        pair = Pair(host1, fresh.name(host1), host2, fresh.name(host2, "copy"))
        without[name](pair)
        return pair
    pair = ready_pair(fresh, host1, host2)
    if name != "paired":
        {function.__name__: function for function in WITH_PAIR}[name](pair)
    return pair


# -- the test --------------------------------------------------------------------------------------------------


def told(result: Result) -> dict[str, Any]:
    """What check mode and the run must agree on. The times of the two runs, also in names, may differ by a second."""
    kept = {
        name: result.get(name) for name in ("changed", "actions", "diff", "notes", "snapshots", "failed", "preserved")
    }
    kept["codes"] = sorted({item["code"] for item in result.get("failed_filesystems") or ()} | {result.code})
    return json.loads(re.sub(r"(_replaced_|_preserved_|:promoted=|:promoted\": \")\d{9,}", r"\1TIME", json.dumps(kept)))


UNSETTLED = [
    Row("written", "zrep_sync", {"only_if_changed": True}, idempotent=False),
    Row("written", "zrep_snapshot", {"only_if_changed": True}),
]


@pytest.mark.parametrize("row", UNSETTLED, ids=name_of)
def test_check_mode_sees_what_was_written_just_now(fresh, host1: Host, host2: Host, row: Row) -> None:
    test_check_mode_says_what_the_run_then_does(fresh, host1, host2, row)


@pytest.mark.parametrize("row", TABLE, ids=name_of)
def test_check_mode_says_what_the_run_then_does(fresh, host1: Host, host2: Host, row: Row) -> None:
    pair = prepare(row.situation, fresh, host1, host2)
    host, own, peer = (host1, pair.fs, pair.dest) if row.on == "a" else (host2, pair.dest, pair.fs)
    names = {"fs": own, "dest": peer, "other": f"{peer}-other"}
    options = {"filesystem": own, **row.options}
    options = {key: value.format(**names) if isinstance(value, str) else value for key, value in options.items()}

    before = dump(host1, host2)
    checked = run_module(host, row.module, options, check=True)
    assert dump(host1, host2) == before
    done = run_module(host, row.module, options)
    assert done.code == row.refused, done.get("msg")
    assert told(checked) == told(done)
    after = dump(host1, host2)
    assert done.changed == (after != before)
    if row.idempotent:
        again = run_module(host, row.module, options)
        assert not again.changed
        assert dump(host1, host2) == after
