# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timers of the roles schedule and monitor, on hosts that systemd runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Host, Lab
from tests.lab.processes import wait_until
from tests.system import command
from tests.system.ansible import changes
from tests.system.conftest import lab_of_two
from tests.system.moves import make_master, turned
from tests.system.pairs import Pair, held, ready_pair
from tests.system.test_monitor_role import TEXTFILES, collected
from tests.system.test_roles import CRON, Roles, declared, has

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

JOB = "zrep-job-sync-zrep-1min"
SYSTEMD = {"zrep_schedule_provider": "systemd"}
UNITS = "/etc/systemd/system"
OFTEN = f"{UNITS}/{JOB}.timer.d/often.conf"


@pytest.fixture(scope="module")
def lab(pytestconfig: pytest.Config) -> Iterator[Lab]:
    """As the lab of all tests, but for what runs its hosts."""
    yield from lab_of_two(pytestconfig, systemd=True)


@pytest.fixture
def roles(lab: Lab, host1: Host, host2: Host, tmp_path: Path) -> Iterator[Roles]:
    """Hosts with the command, which have no units of the roles before and after."""
    for host in (host1, host2):
        command.install(host)
        journal(host)
    yield Roles(lab, tmp_path)
    for host in (host1, host2):
        host.run(
            "systemctl stop 'zrep-*.timer' 'zrep-*.service'; systemctl disable -q zrep-metrics.timer;"
            f" rm -rf {UNITS}/zrep-* {UNITS}/timers.target.wants {CRON} {TEXTFILES} /usr/local/sbin/zrep-metrics"
            " /var/lib/systemd/timers/stamp-zrep-*;"
            " systemctl daemon-reload; systemctl reset-failed; :",
            check=False,
        )


@pytest.fixture
def pair(fresh, host1: Host, host2: Host) -> Pair:
    return ready_pair(fresh, host1, host2)


def show(host: Host, unit: str, name: str) -> str:
    """A property of a unit."""
    return host.run(["systemctl", "show", "-p", name, "--value", unit]).stdout.strip()


def start(host: Host, unit: str = f"{JOB}.service") -> bool:
    """Have systemd run a service once; whether it went well."""
    return host.run(["systemctl", "start", unit], check=False).returncode == 0


def by_hand_only(host: Host, name: str = JOB) -> None:
    """Stop a timer, which may have started a run already."""
    host.run(f"systemctl stop {name}.timer")
    wait_until(lambda: show(host, f"{name}.service", "ActiveState") == "inactive", "no run is at work", 60)


def journal(host: Host) -> list[str]:
    """What is new in the journal from the services of the roles."""
    host.run("journalctl --sync")
    names = ["-t", "zrep", "-t", "zrep-metrics"]
    # Its exit status is 1 where there is nothing.
    done = host.run(["journalctl", "-q", *names, "-o", "cat", "--cursor-file=/run/lab/journal"], check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


def left(host: Host) -> str:
    """All that systemd, and its directories, have of the role."""
    return host.run(
        "systemctl list-units --all --plain --no-legend 'zrep-*'; systemctl list-unit-files --no-legend 'zrep-*';"
        f" find {UNITS} /var/lib/systemd/timers /run/systemd -name '*zrep-*'",
        check=False,
    ).stdout


def often(host: Host) -> None:
    """Have a timer of the role elapse every three seconds too, so that a test need not wait for the minute."""
    host.run(["mkdir", "-p", os.path.dirname(OFTEN)])
    host.write_file(OFTEN, "[Timer]\nOnCalendar=*:*:0/3\n")
    host.run("systemctl daemon-reload")


@pytest.mark.slow
def test_replicas_follow_by_timers_and_go_on_after_a_move(roles: Roles, pair: Pair) -> None:
    """Nothing has to be changed: the new master pushes, and the old one neither does nor says anything."""
    hosts = (pair.a, pair.b)
    pairs = {"zrep_pairs": [declared(pair)], **SYSTEMD}
    assert changes(roles("schedule", options=("--check", "--diff"), **pairs)) > 0
    assert not any(left(host) for host in hosts)
    roles("schedule", **pairs)
    assert changes(roles("schedule", **pairs)) == 0
    for host in hosts:
        assert show(host, f"{JOB}.timer", "ActiveState") == "active"
        assert show(host, f"{JOB}.timer", "UnitFileState") == "enabled"
        assert re.search(r"OnCalendar=\*-\*-\* \*:0?0/1:00 ", show(host, f"{JOB}.timer", "TimersCalendar"))
        often(host)
    pair.write("by a timer\n")
    wait_until(lambda: len(pair.on_b()) > 1, "a timer has pushed", 60, 0.2)
    # One that meets a run is to be tried again, and these come more often than any.
    wait_until(lambda: not make_master(pair, "b", at="a").failed, "the master has moved", 60, 0.2)
    now = turned(pair)
    before = len(now.on_b())
    now.write("by a timer of the other host\n")
    wait_until(lambda: len(now.on_b()) > before, "a timer of the new master has pushed", 60, 0.2)
    for host in hosts:
        ran = show(host, f"{JOB}.service", "ExecMainStartTimestampMonotonic")
        wait_until(
            lambda host=host, ran=ran: show(host, f"{JOB}.service", "ExecMainStartTimestampMonotonic") != ran,
            f"{host.name} has run once more",
            60,
        )
        assert show(host, f"{JOB}.service", "Result") == "success"
        # Where a run met the move.
        assert [line for line in journal(host) if "skipped, another process" not in line] == []


@pytest.mark.slow
def test_a_service_is_confined_and_does_its_work(roles: Roles, pair: Pair) -> None:
    roles("schedule", zrep_pairs=[declared(pair)], **SYSTEMD)
    by_hand_only(pair.a)
    pair.a.run(["mkdir", f"{UNITS}/{JOB}.service.d"])
    pair.a.write_file(
        f"{UNITS}/{JOB}.service.d/look.conf",
        "[Service]\nExecStartPre=/bin/sh -c 'cat /proc/self/status >/run/lab/status'\n"
        "ExecStartPre=/bin/sh -c 'readlink /proc/self/ns/mnt >/run/lab/mounts'\n"
        "ExecStartPre=-/bin/sh -c 'unshare -m true && touch /run/lab/escaped'\n",
    )
    pair.a.run("systemctl daemon-reload")
    pair.write("confined\n")
    assert start(pair.a), journal(pair.a)
    pair.assert_same()
    status = pair.a.read_file("/run/lab/status")
    assert re.search(r"^NoNewPrivs:\s1$", status, re.MULTILINE)
    assert re.search(r"^Seccomp:\s2$", status, re.MULTILINE)
    assert not has(pair.a, "/run/lab/escaped")
    # In the mounts of the host, not in some of its own: what zfs mounts is there for all.
    assert pair.a.read_file("/run/lab/mounts") == pair.a.run("readlink /proc/1/ns/mnt").stdout
    for kind in ("service", "timer"):
        done = pair.a.run(["systemd-analyze", "verify", "--man=no", f"{UNITS}/{JOB}.{kind}"])
        assert JOB not in done.stdout + done.stderr
    exposure = pair.a.run(["systemd-analyze", "security", "--no-pager", f"{JOB}.service"], check=False).stdout
    assert float(re.search(r"exposure level for \S+: ([0-9.]+)", exposure).group(1)) < 8.5, exposure


@pytest.mark.slow
def test_a_run_leaves_alone_what_another_works_on(roles: Roles, pair: Pair) -> None:
    roles("schedule", zrep_pairs=[declared(pair)], **SYSTEMD)
    by_hand_only(pair.a)
    before = len(pair.on_b())
    with held(pair.a, verbs=("send",)) as hold:
        by_hand = command.start(pair.a, "sync", pair.fs)
        hold.wait()
        assert start(pair.a), journal(pair.a)
        (said,) = journal(pair.a)
        assert f"{pair.fs}: skipped, another process" in said
        hold.go()
        assert by_hand.wait().status == 0
    assert len(pair.on_b()) == before + 1
    with held(pair.a, verbs=("send",)) as hold:
        pair.a.run(f"systemctl start --no-block {JOB}.service")
        hold.wait()
        first = show(pair.a, f"{JOB}.service", "MainPID")
        # As a timer that elapses meanwhile.
        pair.a.run(f"systemctl start --no-block {JOB}.service")
        assert show(pair.a, f"{JOB}.service", "MainPID") == first != "0"
        hold.go()
        wait_until(lambda: show(pair.a, f"{JOB}.service", "ActiveState") == "inactive", "the run has ended")
    assert show(pair.a, f"{JOB}.service", "Result") == "success"
    assert len(pair.on_b()) == before + 2


def test_a_failure_is_said_once_and_the_timer_goes_on(roles: Roles, pair: Pair) -> None:
    roles("schedule", zrep_pairs=[declared(pair)], **SYSTEMD)
    for host in (pair.a, pair.b):
        by_hand_only(host)
    pair.b.stop_sshd()
    assert not start(pair.a)
    (said,) = journal(pair.a)
    assert pair.fs in said
    assert show(pair.a, f"{JOB}.service", "ActiveState") == "failed"
    # The host of the replica has nothing to do, whoever can be reached.
    assert start(pair.b)
    assert journal(pair.b) == []
    pair.b.start_sshd()
    pair.a.run(f"systemctl start {JOB}.timer")
    often(pair.a)
    before = len(pair.on_b())
    pair.write("once more\n")
    wait_until(lambda: len(pair.on_b()) > before, "the timer has tried again", 60, 0.2)
    wait_until(lambda: show(pair.a, f"{JOB}.service", "Result") == "success", "it went well", 60)


@pytest.mark.slow
def test_nothing_is_left(roles: Roles, pair: Pair) -> None:
    """Of timers that are taken away, that another one follows, and that cron follows; not even that they failed."""
    hosts = (pair.a, pair.b)
    pairs = [declared(pair)]
    roles("schedule", zrep_pairs=pairs, **SYSTEMD)
    often(pair.a)
    pair.write("so that it has run\n")
    wait_until(lambda: len(pair.on_b()) > 1, "a timer has pushed", 60, 0.2)
    by_hand_only(pair.a)
    pair.a.run(["rm", "-r", os.path.dirname(OFTEN)])
    pair.b.stop_sshd()
    pair.a.run("systemctl daemon-reload")
    assert not start(pair.a)
    pair.b.start_sshd()

    slower = [declared(pair, interval="5min")]
    roles("schedule", zrep_pairs=slower, **SYSTEMD)
    for host in hosts:
        assert JOB not in left(host)
        assert show(host, "zrep-job-sync-zrep-5min.timer", "ActiveState") == "active"
    roles("schedule", zrep_pairs=slower)
    for host in hosts:
        assert left(host) == ""
        assert has(host, CRON)
    roles("schedule", zrep_pairs=slower, zrep_schedule_provider="auto")
    for host in hosts:
        assert not has(host, CRON)
        assert show(host, "zrep-job-sync-zrep-5min.timer", "ActiveState") == "active"
    absent = {"zrep_pairs": slower, "zrep_schedule_state": "absent"}
    assert changes(roles("schedule", **absent)) > 0
    assert changes(roles("schedule", **absent)) == 0
    for host in hosts:
        assert left(host) == ""


@pytest.mark.slow
def test_metrics_are_collected_by_a_timer(roles: Roles, pair: Pair) -> None:
    hosts = (pair.a, pair.b)
    pairs = {"zrep_pairs": [declared(pair)], "zrep_monitor_provider": "systemd"}
    roles("monitor", **pairs)
    assert changes(roles("monitor", **pairs)) == 0
    for host in hosts:
        assert show(host, "zrep-metrics.timer", "ActiveState") == "active"
        assert start(host, "zrep-metrics.service"), journal(host)
        assert journal(host) == []
        assert list(collected(host)["zrep_peer_reachable"].values()) == [1]
        done = host.run(f"systemd-analyze verify --man=no {UNITS}/zrep-metrics.service {UNITS}/zrep-metrics.timer")
        assert "zrep-metrics" not in done.stdout + done.stderr
    pair.a.run(f"rm {TEXTFILES}/zrep-tag-zrep.prom; mkdir -p {UNITS}/zrep-metrics.timer.d")
    pair.a.write_file(f"{UNITS}/zrep-metrics.timer.d/often.conf", "[Timer]\nOnCalendar=*:*:0/3\nAccuracySec=1us\n")
    pair.a.run("systemctl daemon-reload")
    wait_until(lambda: has(pair.a, f"{TEXTFILES}/zrep-tag-zrep.prom"), "the timer has collected", 60, 0.2)
    by_hand_only(pair.a, "zrep-metrics")
    pair.a.run(f"rm -r {UNITS}/zrep-metrics.timer.d; rm /usr/local/sbin/zrep-metrics; systemctl daemon-reload")
    assert not start(pair.a, "zrep-metrics.service")
    assert changes(roles("monitor", zrep_monitor_state="absent", **pairs)) > 0
    assert changes(roles("monitor", zrep_monitor_state="absent", **pairs)) == 0
    for host in hosts:
        assert left(host) == ""
