# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles command and schedule, on hosts that have neither."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Host, Lab
from tests.lab.processes import wait_until
from tests.system.ansible import changes, run_playbook
from tests.system.command import remove, start
from tests.system.moves import move
from tests.system.pairs import Pair, held, ready_pair

pytestmark = pytest.mark.system

COMMAND = "/usr/local/bin/zrep"
CRON = "/etc/cron.d/zrep"
SCRIPT = "#!/bin/sh\n# a script that was here before\necho it was called\n"
MINUTES = 150
"""Seconds: two ticks of cron, and what it takes to do the work."""


class Roles:
    """Roles of the collection on all hosts."""

    def __init__(self, lab: Lab, path: Path) -> None:
        self.lab = lab
        self.path = path

    def __call__(self, *names: str, options: tuple[str, ...] = (), ok: bool = True, **variables: object) -> str:
        roles = "".join(f"    - zfsops.zrep.{name}\n" for name in names)
        (self.path / "play.yml").write_text(f"- hosts: all\n  gather_facts: false\n  roles:\n{roles}", encoding="utf-8")
        (self.path / "vars.json").write_text(json.dumps(variables), encoding="utf-8")
        done = run_playbook(self.lab, str(self.path / "play.yml"), "-e", f"@{self.path}/vars.json", *options)
        said = done.stdout + done.stderr
        assert (done.returncode == 0) == ok, said
        assert "[WARNING]" not in said, said
        return said


@pytest.fixture
def roles(lab: Lab, host1: Host, host2: Host, tmp_path: Path) -> Iterator[Roles]:
    for host in (host1, host2):
        remove(host)
        # Ansible warns where it has to make it.
        host.run(["mkdir", "-p", "-m", "700", "/root/.ansible", "/root/.ansible/tmp"])
    yield Roles(lab, tmp_path)
    for host in (host1, host2):
        remove(host)
        host.run(
            f"rm -f {COMMAND}.script {CRON} /etc/default/zrep* /etc/systemd/system/zrep-job-* /tmp/said;"
            " rm -f /usr/local/share/man/man8/zrep.8 /usr/local/share/bash-completion/completions/zrep;"
            " pkill -x cron || :"
        )


def has(host: Host, path: str) -> bool:
    return host.run(["test", "-e", path], check=False).returncode == 0


def declared(pair: Pair, **more: object) -> dict[str, object]:
    return {
        "name": "prodfs",
        "master": {"host": pair.a.name, "filesystem": pair.fs},
        "replica": {"host": pair.b.name, "filesystem": pair.dest},
        **more,
    }


# -- command --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_is_installed_and_taken_away_again(roles: Roles, host1: Host) -> None:
    options = {"zrep_command_settings": {"ZREP_SAVE_COUNT": 7, "SSH": "ssh -p 22 -o 'x y'"}}
    assert changes(roles("command", options=("--check", "--diff"), **options)) > 0
    assert not has(host1, COMMAND)
    roles("command", **options)
    assert host1.run([COMMAND, "version"]).stdout.startswith("zrep ")
    settings = json.loads(host1.run([COMMAND, "config", "--json"]).stdout)
    assert "7" in json.dumps(settings)
    assert "ssh -p 22 -o 'x y'" in host1.run('. /etc/default/zrep; echo "$SSH"').stdout
    assert ".TH ZREP 8" in host1.read_file("/usr/local/share/man/man8/zrep.8")
    host1.run(["bash", "-n", "/usr/local/share/bash-completion/completions/zrep"])
    assert changes(roles("command", **options)) == 0
    assert changes(roles("command", zrep_command_state="absent")) > 0
    for path in (COMMAND, "/etc/default/zrep", "/usr/local/share/man/man8/zrep.8"):
        assert not has(host1, path)
    assert changes(roles("command", zrep_command_state="absent")) == 0


@pytest.mark.slow
def test_a_script_stays_or_is_replaced_and_comes_back(roles: Roles, host1: Host) -> None:
    host1.write_file(COMMAND, SCRIPT, 0o755)
    said = roles("command")
    assert "zrep_command_replace_script=true" in said
    assert host1.read_file(COMMAND) == SCRIPT
    roles("command", zrep_command_replace_script=True)
    assert host1.run([COMMAND, "version"]).stdout.startswith("zrep ")
    assert host1.read_file(f"{COMMAND}.script") == SCRIPT
    assert changes(roles("command", zrep_command_replace_script=True)) == 0
    roles("command", zrep_command_state="absent")
    assert host1.read_file(COMMAND) == SCRIPT
    assert changes(roles("command", zrep_command_state="absent")) == 0
    assert host1.read_file(COMMAND) == SCRIPT


@pytest.mark.parametrize("settings", [{"lower": "x"}, {"A B": "x"}, {"SSH": "two\nlines"}, {"SSH": ["a"]}, "nonsense"])
@pytest.mark.slow
def test_settings_that_cannot_be_written_are_refused(roles: Roles, host1: Host, settings: object) -> None:
    roles("command", ok=False, zrep_command_settings=settings)
    assert not has(host1, COMMAND)


# -- schedule -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_cron_follows_the_master(fresh, roles: Roles, host1: Host, host2: Host) -> None:
    """A real cron daemon on both hosts: each tick the replica follows; after a move nothing has to be changed."""
    pair = ready_pair(fresh, host1, host2)
    pairs = {"zrep_pairs": [declared(pair)], "zrep_schedule_jitter": 3}
    roles("command", "schedule", **pairs)
    assert changes(roles("command", "schedule", **pairs)) == 0
    for host in (host1, host2):
        # What cron would mail goes to a file.
        host.run(f"sed -i 's,exit status .*$,& >>/tmp/said,' {CRON}")
        host.run("cron")
    pair.write("by cron\n")
    wait_until(lambda: len(pair.on_b()) > 1, "cron pushes", MINUTES, 0.5)
    now = move(pair)
    before = len(now.on_b())
    now.write("by cron on the other host\n")
    wait_until(lambda: len(now.on_b()) > before, "cron of the new master pushes", MINUTES, 0.5)
    assert [has(host, "/tmp/said") for host in (host1, host2)] == [False, False]
    assert changes(roles("schedule", zrep_schedule_state="absent", **pairs)) > 0
    assert not has(host1, CRON)
    assert changes(roles("schedule", zrep_schedule_state="absent", **pairs)) == 0


def tick(host: Host) -> subprocess.CompletedProcess[str]:
    """What cron would do; what is on standard output would be mailed."""
    line = next(line for line in host.read_file(CRON).splitlines() if line.startswith("* "))
    return host.run(["sh", "-c", line.split(" root ", 1)[1]], check=False)


@pytest.mark.slow
def test_a_failure_is_said_and_nothing_else_is(fresh, roles: Roles, host1: Host, host2: Host) -> None:
    """The line of cron as it stands, without waiting for its time."""
    pair = ready_pair(fresh, host1, host2)
    roles("command", "schedule", zrep_pairs=[declared(pair)])
    assert (tick(host1).stdout, tick(host2).stdout) == ("", "")
    assert len(pair.on_b()) == 2
    host2.zfs("set", "readonly=off", pair.dest)
    host2.zfs("snapshot", f"{pair.dest}@own")
    host2.run(f"zfs mount {pair.dest}; echo x >/{pair.dest}/own; zfs snapshot {pair.dest}@own2")
    said = tick(host1).stdout
    assert pair.dest in said
    assert len(said.splitlines()) == 1
    assert tick(host2).stdout == ""


@pytest.mark.slow
def test_no_mail_for_what_another_run_works_on(fresh, roles: Roles, host1: Host, host2: Host) -> None:
    pair = ready_pair(fresh, host1, host2)
    roles("command", "schedule", zrep_pairs=[declared(pair)])
    with held(host1, verbs=("send",)) as hold:
        by_hand = start(host1, "sync", pair.fs)
        hold.wait()
        assert tick(host1).stdout == ""
        hold.go()
        assert by_hand.wait().status == 0


@pytest.mark.slow
def test_timers_of_systemd(fresh, roles: Roles, host1: Host, host2: Host) -> None:
    """What systemd itself says of the units; hosts without it are shown what would be, in check mode."""
    pair = ready_pair(fresh, host1, host2)
    pairs = [declared(pair, interval="5min")]
    said = roles("schedule", zrep_pairs=pairs, zrep_schedule_provider="systemd", options=("--check", "--diff"))
    assert "OnCalendar=*-*-* *:0/5:00" in said
    assert "NoNewPrivileges=true" in said
    assert "PrivateTmp" not in said.replace("(ProtectSystem, ProtectHome, PrivateTmp", "")
    refused = roles(
        "schedule", ok=False, zrep_pairs=[declared(pair, interval="1 * * * *")], zrep_schedule_provider="systemd"
    )
    assert "zrep_schedule_provider=cron" in refused


@pytest.mark.parametrize(
    "wrong",
    [
        {"zrep_schedule_provider": "at"},
        {"zrep_schedule_interval": "often"},
        {"zrep_schedule_name": "a.b"},
        {"zrep_schedule_jitter": -1},
        {"zrep_schedule_user": "root; id"},
    ],
    ids=str,
)
@pytest.mark.slow
def test_nonsense_is_refused_before_anything_changes(
    roles: Roles, host1: Host, fresh, host2: Host, wrong: dict
) -> None:
    pair = ready_pair(fresh, host1, host2)
    roles("schedule", ok=False, zrep_pairs=[declared(pair)], **wrong)
    assert not has(host1, CRON)
