# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role monitor: what node_exporter finds, what others are told, the page about all pairs; and that it all goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.lab import Host, Lab
from tests.system import command
from tests.system.ansible import changes, run_playbook
from tests.system.pairs import FAIL

PRODFS = {
    "name": "prodfs",
    "master": {"host": "host1", "filesystem": "pool1/prodfs"},
    "replica": {"host": "host2", "filesystem": "pool2/prodfs"},
    "max_lag": 300,
}
HOSTILE = {
    "name": '<b>home</b> & "co"',
    "master": {"host": "host2", "filesystem": "pool2/home"},
    "replica": {"host": "host1", "filesystem": "pool1/home"},
    "tag": "zrep-home",
}
TEXTFILES = "/var/lib/prometheus/node-exporter"
PLAY = [
    {
        "name": "Watch over the pairs",
        "hosts": "all",
        "gather_facts": False,
        "roles": [{"role": "zfsops.zrep.monitor"}],
    }
]
PUT = (
    "/usr/local/sbin/zrep-metrics",
    "/etc/cron.d/zrep-metrics",
    "/etc/nagios/nrpe.d/zrep.cfg",
    "/etc/zrep.rules.yml",
    "/etc/zrep.dashboard.json",
)
PATHS = {
    "zrep_monitor_nrpe_directory": "/etc/nagios/nrpe.d",
    "zrep_monitor_rules_path": "/etc/zrep.rules.yml",
    "zrep_monitor_dashboard_path": "/etc/zrep.dashboard.json",
}

Run = Callable[..., str]


@pytest.fixture
def run(lab: Lab, host1: Host, host2: Host, tmp_path: Path) -> Run:
    """Run a playbook, ours by default, with variables; what it printed."""
    play = tmp_path / "monitor.yml"
    play.write_text(json.dumps(PLAY), encoding="utf-8")

    def call(*options: str, playbook: str = str(play), ok: bool = True, **variables: object) -> str:
        given = tmp_path / "variables.json"
        given.write_text(json.dumps({"zrep_pairs": [PRODFS, HOSTILE], "zrep_roles": [], **variables}), encoding="utf-8")
        done = run_playbook(lab, playbook, "-e", f"@{given}", *options)
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        assert "WARNING" not in done.stderr, done.stderr
        return done.stdout + done.stderr

    return call


@pytest.fixture
def hosts(host1: Host, host2: Host) -> list[Host]:
    host1.zfs("create", "pool1/prodfs")
    host2.zfs("create", "pool2/home")
    found = [host1, host2]
    for host in found:
        command.install(host)
        host.run(f"rm -rf {TEXTFILES} {' '.join(PUT)}; mkdir -p /etc/nagios/nrpe.d /etc/cron.d")
    return found


def exists(host: Host, path: str) -> bool:
    return host.run(["test", "-e", path], check=False).returncode == 0


def collected(host: Host) -> dict[str, dict[str, float]]:
    """What node_exporter would read: by metric and filesystem."""
    text = host.run(f"cat {TEXTFILES}/*.prom").stdout
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[sample.labels.get("filesystem", "")] = sample.value
    return found


@pytest.mark.slow
def test_from_nothing_to_watched_and_back(run: Run, hosts: list[Host]) -> None:
    one, other = hosts
    run(playbook="zfsops.zrep.pair")
    before = one.run("find /etc /usr/local /var/lib/prometheus 2>/dev/null | sort", check=False).stdout
    assert changes(run("--check", "--diff", **PATHS)) > 0
    assert one.run("find /etc /usr/local /var/lib/prometheus 2>/dev/null | sort", check=False).stdout == before

    assert changes(run(**PATHS)) > 0
    for host in hosts:
        host.run("/usr/local/sbin/zrep-metrics")
    assert changes(run(**PATHS)) == 0

    here, there = collected(one), collected(other)
    assert here["zrep_master"] == {"pool1/prodfs": 1, "pool1/home": 0}
    assert there["zrep_master"] == {"pool2/prodfs": 0, "pool2/home": 1}
    assert here["zrep_max_lag_seconds"] == {"pool1/prodfs": 300}
    assert here["zrep_peer_reachable"] == {"pool1/prodfs": 1, "pool1/home": 1}
    assert here["zrep_split_brain"] == {"pool1/prodfs": 0, "pool1/home": 0}
    assert set(here["zrep_declared"]) == {"pool1/prodfs", "pool1/home"}
    assert 0 <= here["zrep_lag_seconds"]["pool1/prodfs"] < 300

    checks = one.read_file("/etc/nagios/nrpe.d/zrep.cfg").splitlines()
    line = next(found for found in checks if found.startswith("command[check_zrep_prodfs]="))
    assert line.endswith("zrep check -t zrep -w 300 -c 900 pool1/prodfs")
    assert one.run(line.partition("=")[2]).stdout.startswith("ZREP OK")
    assert "* * * * * root /usr/local/sbin/zrep-metrics" in one.read_file("/etc/cron.d/zrep-metrics")

    assert changes(run(zrep_monitor_state="absent", **PATHS)) > 0
    for host in hosts:
        assert not any(exists(host, path) for path in PUT)
        assert host.run(["ls", "-A", TEXTFILES]).stdout == ""
    assert changes(run(zrep_monitor_state="absent", **PATHS)) == 0


@pytest.mark.slow
def test_what_cannot_be_collected_leaves_what_was(run: Run, hosts: list[Host]) -> None:
    run(playbook="zfsops.zrep.pair")
    run()
    one = hosts[0]
    one.run("/usr/local/sbin/zrep-metrics")
    before = one.read_file(f"{TEXTFILES}/zrep-tag-zrep.prom")
    one.intercept(FAIL, verbs=("get",))
    assert one.run("/usr/local/sbin/zrep-metrics", check=False).returncode == 1
    one.clear_faults()
    assert one.read_file(f"{TEXTFILES}/zrep-tag-zrep.prom") == before


@pytest.mark.slow
def test_a_tag_that_is_not_declared_any_more(run: Run, hosts: list[Host]) -> None:
    run(playbook="zfsops.zrep.pair")
    run()
    one = hosts[0]
    one.run("/usr/local/sbin/zrep-metrics")
    assert exists(one, f"{TEXTFILES}/zrep-tag-zrep-home.prom")
    assert changes(run(zrep_pairs=[PRODFS])) > 0
    assert not exists(one, f"{TEXTFILES}/zrep-tag-zrep-home.prom")
    assert exists(one, f"{TEXTFILES}/zrep-tag-zrep.prom")
    assert changes(run(zrep_pairs=[PRODFS])) == 0


@pytest.mark.slow
def test_a_master_that_may_not_connect_does_not_ask(run: Run, hosts: list[Host]) -> None:
    run(zrep_pairs=[{**PRODFS, "direction": "pull"}])
    assert "--peer" not in hosts[0].read_file("/usr/local/sbin/zrep-metrics").split("\n", 3)[3]
    assert "collect zrep --peer" in hosts[1].read_file("/usr/local/sbin/zrep-metrics")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"zrep_monitor_provider": "corn"}, "must be one of"),
        ({"zrep_monitor_interval": 0}, "1 to 30 minutes"),
        ({"zrep_monitor_interval": "often"}, "zrep_monitor_interval"),
        ({"zrep_monitor_textfile_directory": "relative"}, "begin with a slash"),
        ({"zrep_monitor_user": "root; reboot"}, "a user's name"),
        ({"zrep_pairs": [{**PRODFS, "tag": "a b"}]}, "cannot be used"),
        ({"zrep_pairs": [{**PRODFS, "master": {"host": "host1", "filesystem": "p/$(reboot)"}}]}, "cannot be used"),
        ({"zrep_pairs": "x"}, "zrep_pairs"),
    ],
)
@pytest.mark.slow
def test_nonsense_is_refused(run: Run, hosts: list[Host], variables: dict[str, object], said: str) -> None:
    assert said in run(ok=False, **variables)
    assert not any(exists(host, path) for host in hosts for path in PUT)


@pytest.mark.slow
def test_the_page(run: Run, hosts: list[Host], tmp_path: Path) -> None:
    page = tmp_path / "status.html"
    run(playbook="zfsops.zrep.pair")
    for _time in range(2):
        assert changes(run(playbook="zfsops.zrep.status", zrep_status_page=str(page))) == 0
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 2
    assert "host1:pool1/prodfs" in text
    assert "host2:pool2/home" in text
    assert "&lt;b&gt;home&lt;/b&gt;" in text
    assert "<b>home" not in text
    assert "What is wrong" not in text
    assert not any(word in text for word in ("http://", "https://", "<script", "src=", "url("))
    samples = [json.loads(line) for line in (tmp_path / "status.html.history").read_text().splitlines()]
    assert [sample["pair"] for sample in samples] == [PRODFS["name"], HOSTILE["name"]] * 2
    assert all(sample["lag"] >= 0 for sample in samples)

    hosts[1].zfs("set", "readonly=off", "pool2/prodfs")
    run(playbook="zfsops.zrep.status", zrep_status_page=str(page))
    assert "What is wrong" in page.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_page_of_a_host_that_is_away(run: Run, hosts: list[Host], tmp_path: Path) -> None:
    page = tmp_path / "status.html"
    run(playbook="zfsops.zrep.pair")
    run(playbook="zfsops.zrep.status", zrep_status_page=str(page), zrep_hosts="host1")
    assert "host2 did not answer" in page.read_text(encoding="utf-8")


@pytest.mark.slow
def test_check_mode_writes_no_page(run: Run, hosts: list[Host], tmp_path: Path) -> None:
    page = tmp_path / "status.html"
    run("--check", playbook="zfsops.zrep.status", zrep_status_page=str(page))
    assert not page.exists()
