# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks that move the master: hooks in the right order on the right host, a yes, the summary."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Host, Lab
from tests.system.ansible import changes, playbook_command, playbook_environment, run_playbook
from tests.system.pairs import Pair, dump, exists, local, ready_pair, snapshots, value
from tests.system.product import zrep_info

pytestmark = pytest.mark.system

YES = ("-e", "zrep_confirm=yes")
SLOW = pytest.mark.slow


class Run:
    """What a playbook said."""

    def __init__(self, status: int, output: str) -> None:
        self.status = status
        self.output = output

    @property
    def summary(self) -> list[dict[str, Any]]:
        """What it handed on to the next job of a workflow."""
        return json.loads(re.findall(r"\tRUN: (\{.*\})", self.output)[-1])["zrep_summary"]

    @property
    def results(self) -> list[tuple[str, str]]:
        return [(entry["name"], entry["result"]) for entry in self.summary]

    def says(self, text: str) -> bool:
        """Whether a text is in the output, wherever Ansible broke its lines."""
        return " ".join(text.split()) in " ".join(self.output.replace('\\"', '"').split())


class Bench:
    """Pairs, the variables for the playbooks, and a log that hooks write on each host."""

    def __init__(self, lab: Lab, fresh: Any, path: Path) -> None:
        self.lab = lab
        self.host1, self.host2 = lab.hosts["host1"], lab.hosts["host2"]
        self.path = path
        self.prodfs = ready_pair(fresh, self.host1, self.host2)
        self._fresh = fresh
        self.pairs = [self.declare("prodfs", self.prodfs)]
        self.variables: dict[str, Any] = {}

    def declare(self, name: str, pair: Pair, **more: Any) -> dict[str, Any]:
        return {
            "name": name,
            "master": {"host": pair.a.name, "filesystem": pair.fs},
            "replica": {"host": pair.b.name, "filesystem": pair.dest},
            "tag": pair.tag,
            **more,
        }

    def second_pair(self, **more: Any) -> Pair:
        """Another pair of another tag, declared after the first one."""
        pair = ready_pair(self._fresh, self.host1, self.host2, base="home", tag="zrep-home")
        self.pairs.append(self.declare("home", pair, **more))
        return pair

    def __call__(self, name: str, *options: str, ok: bool = True) -> Run:
        done = run_playbook(self.lab, f"zfsops.zrep.{name}", "-e", self._written(), *options)
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        return Run(done.returncode, done.stdout + done.stderr)

    def _written(self) -> str:
        variables = self.path / "variables.json"
        given = {"zrep_pairs": self.pairs, "zrep_roles": [], **self.variables}
        variables.write_text(json.dumps(given), encoding="utf-8")
        return f"@{variables}"

    def at_a_terminal(self, name: str, answer: str) -> Run:
        """Run a playbook as somebody does who sits at a terminal and types an answer to its question."""
        command = playbook_command(self.lab, f"zfsops.zrep.{name}", "-e", self._written())
        here, there = pty.openpty()
        # Its first terminal, so that it is in the foreground of it.
        process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *command],
            env=playbook_environment(),
            stdin=there,
            stdout=there,
            stderr=there,
        )
        os.close(there)
        output = b""
        try:
            while data := os.read(here, 4096):
                output += data
                if b"(yes/no)?" in output and answer:
                    time.sleep(0.5)  # It throws away what was typed before it asked.
                    os.write(here, answer.encode() + b"\r")
                    answer = ""
        except OSError:
            pass  # How a terminal says that nobody is at its other end.
        os.close(here)
        return Run(process.wait(60), output.decode())

    def hook(self, word: str) -> str:
        """A command that logs a word, who is master at that moment, and what it was told."""
        return f"sh -c 'echo {word} $(date +%s%N) {_MASTER} $ZREP_ROLE $ZREP_PAIR >>/tmp/hooks'"

    def task_file(self, word: str) -> str:
        """The same as a task file; in Ansible's own words where it runs and what for."""
        path = self.path / f"{word}.yml"
        said = f"echo {word} $(date +%s%N) {_MASTER} $ZREP_ROLE {{{{ zrep_move.name }}}} >>/tmp/hooks"
        path.write_text(json.dumps([{"name": word, "ansible.builtin.shell": said}]), encoding="utf-8")
        return str(path)

    def log(self) -> list[tuple[str, str, str, str, str]]:
        """What hooks logged, in the order in which they ran: host, word, master=yes or -, role, pair."""
        lines = []
        for host in (self.host1, self.host2):
            for line in host.run("cat /tmp/hooks 2>/dev/null || :").stdout.splitlines() if host.running else ():
                word, moment, *rest = line.split(" ")
                lines.append((int(moment), (host.name, word, *rest)))
        return [entry for _moment, entry in sorted(lines)]


_MASTER = "$(zfs get -H -o value zrep:master $ZREP_FILESYSTEM)"


@pytest.fixture
def bench(lab: Lab, fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("ANSIBLE_SHOW_CUSTOM_STATS", "1")
    monkeypatch.chdir(tmp_path)
    return Bench(lab, fresh, tmp_path)


def with_hooks(bench: Bench) -> None:
    bench.variables.update(
        zrep_before={"master": bench.hook("stop"), "replica": [bench.task_file("ready")]},
        zrep_after={"master": [bench.task_file("start"), bench.hook("announce")], "replica": bench.hook("tidy")},
    )


def is_master(host: Host, filesystem: str) -> bool:
    return local(host, filesystem, "zrep:master") == "yes"


# Planned


@pytest.mark.slow
def test_failover_moves_with_hooks_of_both_kinds_on_both_hosts(bench: Bench) -> None:
    with_hooks(bench)
    pair = bench.prodfs
    pair.write("last words\n")
    done = bench("failover", *YES)
    assert is_master(pair.b, pair.dest)
    assert not is_master(pair.a, pair.fs)
    assert pair.b.read_file(f"/{pair.dest}/file") == "last words\n"
    assert bench.log() == [
        ("host1", "stop", "yes", "master", "prodfs"),
        ("host2", "ready", "-", "replica", "prodfs"),
        ("host2", "start", "yes", "master", "prodfs"),
        ("host2", "announce", "yes", "master", "prodfs"),
        ("host1", "tidy", "-", "replica", "prodfs"),
    ]
    (entry,) = done.summary
    assert entry["result"] == "moved"
    assert (entry["old_master"], entry["new_master"]) == (f"host1:{pair.fs}", f"host2:{pair.dest}")
    assert entry["master"] == entry["new_master"]
    assert all(0 < entry["seconds"][what] < 60 for what in ("before", "move", "after"))
    assert (entry["failures"], entry["loss"], entry["preserved"]) == ([], None, None)
    assert done.says(f"prodfs: moved from host1:{pair.fs} to host2:{pair.dest}")


@pytest.mark.slow
def test_failover_to_a_named_host_happens_once(bench: Bench) -> None:
    with_hooks(bench)
    bench("failover", *YES, "-e", "zrep_to=host2")
    before, log = dump(bench.host1, bench.host2), bench.log()
    again = bench("failover", "-e", "zrep_to=host2")
    assert again.results == [("prodfs", "unchanged")]
    assert changes(again.output) == 0
    assert dump(bench.host1, bench.host2) == before
    assert bench.log() == log
    # A run that was stopped between the move and its hooks leaves them to do.
    bench("failover", "-e", "zrep_to=host2", "-e", "zrep_run_after=true")
    assert [entry[:2] for entry in bench.log()[len(log) :]] == [
        ("host2", "start"),
        ("host2", "announce"),
        ("host1", "tidy"),
    ]
    assert dump(bench.host1, bench.host2) == before
    assert bench("failover", *YES, "-e", "zrep_to=host1").results == [("prodfs", "moved")]
    assert is_master(bench.host1, bench.prodfs.fs)


@pytest.mark.parametrize("answer", [(), ("-e", "zrep_confirm=no"), ("-e", "awx_job_id=7")], ids=["none", "no", "awx"])
@pytest.mark.parametrize("name", ["failover", pytest.param("takeover", marks=SLOW)])
def test_without_a_yes_nothing_is_touched(bench: Bench, name: str, answer: tuple[str, ...]) -> None:
    with_hooks(bench)
    before = dump(bench.host1, bench.host2)
    refused = bench(name, *answer, ok=False)
    assert refused.says("zrep_confirm=yes")
    assert ("nobody could be asked" in refused.output) == ("no" not in str(answer))
    assert dump(bench.host1, bench.host2) == before
    assert bench.log() == []


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["yes", "no"])
def test_at_a_terminal_somebody_is_asked(bench: Bench, answer: str) -> None:
    with_hooks(bench)
    done = bench.at_a_terminal("failover", answer)
    assert done.says(f"prodfs: the master moves from host1:{bench.prodfs.fs} to host2:{bench.prodfs.dest}")
    assert (done.status == 0) == (answer == "yes")
    assert is_master(bench.host2, bench.prodfs.dest) == (answer == "yes")
    assert len(bench.log()) == (5 if answer == "yes" else 0)


@pytest.mark.slow
@SLOW
def test_failback_asks_too(bench: Bench) -> None:
    bench("takeover", *YES)
    before = dump(bench.host1, bench.host2)
    assert bench("failback", "-e", "zrep_diverged=discard", ok=False).says("zrep_confirm=yes")
    assert dump(bench.host1, bench.host2) == before


@pytest.mark.slow
def test_check_mode_asks_nobody_and_changes_nothing(bench: Bench) -> None:
    with_hooks(bench)
    before = dump(bench.host1, bench.host2)
    done = bench("failover", "--check", "--diff")
    assert done.results == [("prodfs", "moved")]
    assert done.summary[0]["check_mode"] is True
    assert done.says("nothing was changed")
    assert dump(bench.host1, bench.host2) == before
    assert bench.log() == []


@pytest.mark.slow
@pytest.mark.parametrize("role", ["master", "replica"])
def test_a_before_hook_that_fails_leaves_all_as_it_was(bench: Bench, role: str) -> None:
    """What was stopped on the master is started again; a pair that comes later is left alone."""
    with_hooks(bench)
    bench.second_pair()
    bench.variables["zrep_before"][role] = [bench.hook("first"), "sh -c 'echo no way >&2; exit 3'", bench.hook("never")]
    before = dump(bench.host1, bench.host2)
    done = bench("failover", *YES, ok=False)
    assert dump(bench.host1, bench.host2) == before
    assert done.results == [("prodfs", "failed"), ("home", "not tried")]
    assert done.summary[0]["master"] == f"host1:{bench.prodfs.fs}"
    assert "no way" in done.summary[0]["failures"][0]
    assert done.says("nothing was moved")
    words = [(host, word) for host, word, *_rest in bench.log()]
    if role == "master":
        assert words == [("host1", "first"), ("host1", "start"), ("host1", "announce")]
    else:
        assert words == [
            ("host1", "stop"),
            ("host2", "first"),
            ("host1", "start"),
            ("host1", "announce"),
            ("host2", "tidy"),
        ]


@pytest.mark.slow
def test_a_move_that_fails_starts_production_again(bench: Bench) -> None:
    with_hooks(bench)
    pair = bench.prodfs
    user = pair.a.popen(f"exec 3>>/{pair.fs}/open; exec sleep 300")
    done = bench("failover", *YES, ok=False)
    user.kill()
    assert done.results == [("prodfs", "failed")]
    assert done.says("nothing was moved")
    assert "open" in done.summary[0]["failures"][0]
    assert is_master(pair.a, pair.fs)
    assert value(pair.a, pair.fs, "readonly") == "off"
    assert [entry[:4] for entry in bench.log()][2:] == [
        ("host1", "start", "yes", "master"),
        ("host1", "announce", "yes", "master"),
        ("host2", "tidy", "-", "replica"),
    ]


@pytest.mark.slow
def test_an_after_hook_that_fails_is_told_but_the_move_counts(bench: Bench) -> None:
    with_hooks(bench)
    bench.variables["zrep_after"]["master"] = "false"
    done = bench("failover", *YES, ok=False)
    assert done.results == [("prodfs", "moved")]
    assert "after the move, on host2 as master" in done.summary[0]["failures"][0]
    assert is_master(bench.host2, bench.prodfs.dest)
    assert [entry[1] for entry in bench.log()] == ["stop", "ready", "tidy"]


@pytest.mark.slow
def test_a_host_that_is_lost_on_the_way_stops_the_move(bench: Bench) -> None:
    with_hooks(bench)
    bench.second_pair()
    bench.variables["zrep_before"]["replica"] = "sh -c 'kill -9 $(pgrep -x sshd)'"
    before = dump(bench.host1, bench.host2)
    done = bench("failover", *YES, ok=False)
    assert dump(bench.host1, bench.host2) == before
    assert done.results == [("prodfs", "failed"), ("home", "failed")]
    assert done.summary[0]["failures"] == ["host2 was lost on the way"]
    assert [entry[:2] for entry in bench.log()] == [("host1", "stop"), ("host1", "start"), ("host1", "announce")]


def test_what_stands_against_a_move_is_found_before_hooks_run(bench: Bench) -> None:
    with_hooks(bench)
    pair = bench.prodfs
    pair.b.zfs("snapshot", f"{pair.dest}@own")
    pair.b.zfs("destroy", f"{pair.dest}@zrep_000000")
    before = dump(bench.host1, bench.host2)
    bench("failover", *YES, ok=False)
    assert dump(bench.host1, bench.host2) == before
    assert bench.log() == []


@pytest.mark.slow
def test_a_planned_move_needs_both_hosts(bench: Bench) -> None:
    with_hooks(bench)
    bench.host1.kill()
    refused = bench("failover", *YES, ok=False)
    assert refused.says("host1 is needed and could not be looked at")
    assert refused.says("takeover")
    assert bench.log() == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-e", "zrep_pair_names=homes"), "no such pair: homes"),
        (("-e", "zrep_to=host3"), "no such pair on host3"),
        (("-e", '{"zrep_pair_names": ["prodfs", "none"]}'), "no such pair: none"),
        (("--limit", "host2"), "host1 is needed and could not be looked at"),
        (("-e", '{"zrep_before": {"slave": "true"}}'), "slave"),
        (("-e", '{"zrep_before": {"master": "missing.yml"}}'), "There is no such task file"),
    ],
    ids=["name", "host", "names", "limit", "role", "task file"],
)
def test_nonsense_is_refused_before_anything_is_touched(bench: Bench, options: tuple[str, ...], said: str) -> None:
    before = dump(bench.host1, bench.host2)
    assert bench("failover", *YES, *options, ok=False).says(said)
    assert dump(bench.host1, bench.host2) == before


@pytest.mark.slow
def test_some_pairs_by_name_and_hooks_of_their_own(bench: Bench) -> None:
    """A task file is looked for where ansible-playbook runs."""
    with_hooks(bench)
    home = bench.second_pair(before={"master": Path(bench.task_file("own")).name}, after={})
    done = bench("failover", *YES, "-e", "zrep_pair_names=home")
    assert done.results == [("home", "moved")]
    assert local(home.b, home.dest, "zrep-home:master") == "yes"
    assert is_master(bench.host1, bench.prodfs.fs)
    assert [entry[:2] for entry in bench.log()] == [("host1", "own")]
    both = bench("failover", *YES, "-e", "zrep_pair_names=prodfs,home", "-e", "zrep_to=host2")
    assert both.results == [("prodfs", "moved"), ("home", "unchanged")]


# Without the old master


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [(), ("-e", "zrep_to=host2"), ("--limit", "host2")],
    ids=["declared", "to", "limit"],
)
def test_takeover_never_speaks_to_the_dead_master(bench: Bench, options: tuple[str, ...]) -> None:
    with_hooks(bench)
    pair = bench.prodfs
    bench.host1.kill()
    done = bench("takeover", *YES, *options)
    assert "unreachable=1" not in done.output
    assert is_master(pair.b, pair.dest)
    (entry,) = done.summary
    assert entry["result"] == "taken over"
    assert entry["old_master"] == f"host1:{pair.fs}"
    assert entry["loss"]["snapshot"] == "zrep_000000"
    assert entry["loss"]["since_iso"] in done.output
    assert bench.log() == [
        ("host2", "ready", "-", "replica", "prodfs"),
        ("host2", "start", "yes", "master", "prodfs"),
        ("host2", "announce", "yes", "master", "prodfs"),
    ]
    assert bench("takeover", *options).results == [("prodfs", "unchanged")]


@pytest.mark.slow
@SLOW
def test_a_survivor_that_is_the_declared_master_takes_over_too(bench: Bench) -> None:
    pair = bench.prodfs
    bench("failover", *YES)
    bench.host2.kill()
    assert bench("takeover", *YES, ok=False).says("zrep_to names the host that survived")
    assert bench("takeover", *YES, "-e", "zrep_to=host1").results == [("prodfs", "taken over")]
    assert is_master(pair.a, pair.fs)


@pytest.mark.slow
def test_each_takeover_is_for_itself(bench: Bench) -> None:
    """One that fails keeps no other one from being done."""
    home = bench.second_pair(before={"replica": "true"})
    bench.variables["zrep_before"] = {"replica": "false"}
    bench.host1.kill()
    done = bench("takeover", *YES, ok=False)
    assert done.results == [("prodfs", "failed"), ("home", "taken over")]
    assert local(home.b, home.dest, "zrep-home:master") == "yes"
    assert not is_master(bench.prodfs.b, bench.prodfs.dest)


# Back again


@pytest.fixture
def split(bench: Bench) -> Bench:
    """host1 has written something that was never synced, and host2 took over."""
    bench.prodfs.write("only here\n", "lost")
    bench("takeover", *YES)
    bench.host2.write_file(f"/{bench.prodfs.dest}/new", "since the takeover\n")
    with_hooks(bench)
    return bench


@pytest.mark.slow
def test_failback_refuses_to_lose_anything_and_tells_the_facts(split: Bench) -> None:
    before = dump(split.host1, split.host2)
    refused = split("failback", *YES, ok=False)
    assert refused.says("newest common snapshot")
    assert dump(split.host1, split.host2) == before
    assert split.log() == []


@pytest.mark.slow
def test_the_old_master_returns_and_nothing_is_lost(split: Bench) -> None:
    pair = split.prodfs
    done = split("failback", *YES, "-e", "zrep_diverged=preserve")
    (entry,) = done.summary
    assert entry["result"] == "returned"
    assert (entry["old_master"], entry["new_master"]) == (f"host1:{pair.fs}", f"host2:{pair.dest}")
    assert entry["preserved"] in done.output
    split.host1.zfs("mount", entry["preserved"])
    assert split.host1.read_file(f"/{entry['preserved']}/lost") == "only here\n"
    assert is_master(pair.b, pair.dest)
    assert not is_master(pair.a, pair.fs)
    assert snapshots(pair.a, pair.fs)[-1] == snapshots(pair.b, pair.dest)[-1] != "zrep_000000"
    assert [entry[:4] for entry in split.log()] == [
        ("host1", "stop", "yes", "master"),
        ("host1", "tidy", "-", "replica"),
    ]
    before = split.log()
    assert split("failback").results == [("prodfs", "unchanged")]
    assert split.log() == before


@pytest.mark.slow
def test_the_master_role_moves_back_if_that_was_asked_for(split: Bench) -> None:
    pair = split.prodfs
    done = split("failback", *YES, "-e", "zrep_diverged=discard", "-e", "zrep_failback_move=true")
    assert done.results == [("prodfs", "returned"), ("prodfs", "moved")]
    assert is_master(pair.a, pair.fs)
    assert pair.a.read_file(f"/{pair.fs}/new") == "since the takeover\n"
    assert [entry[:4] for entry in split.log()] == [
        ("host1", "stop", "yes", "master"),
        ("host1", "tidy", "-", "replica"),
        ("host2", "stop", "yes", "master"),
        ("host1", "ready", "-", "replica"),
        ("host1", "start", "yes", "master"),
        ("host1", "announce", "yes", "master"),
        ("host2", "tidy", "-", "replica"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("home", ["host1", pytest.param("host2", marks=SLOW)])
def test_what_stands_against_the_way_back_is_told_after_the_return(bench: Bench, fresh, home: str) -> None:
    ends = (bench.host1, bench.host2) if home == "host1" else (bench.host2, bench.host1)
    pair = ready_pair(fresh, *ends, base="home")
    bench.pairs.append(bench.declare("home", pair, after={"replica": f"zfs snapshot {pair.fs}@stray"}))
    pair.b.zfs("set", "zrep:master=yes", pair.dest)
    done = bench("failback", *YES, "-e", "zrep_diverged=discard", "-e", "zrep_failback_move=true", ok=False)
    assert done.results == [("prodfs", "unchanged"), ("home", "returned"), ("the way back", "failed")]
    (failure,) = done.summary[-1]["failures"]
    assert "stray" in failure
    assert not is_master(pair.a, pair.fs)


@pytest.mark.slow
@SLOW
def test_the_side_to_keep_can_be_named(split: Bench) -> None:
    done = split("failback", *YES, "-e", "zrep_diverged=discard", "-e", "zrep_to=host1")
    assert done.results == [("prodfs", "returned")]
    assert done.summary[0]["new_master"] == f"host1:{split.prodfs.fs}"
    assert not is_master(split.host2, split.prodfs.dest)


@pytest.mark.slow
def test_services_of_a_master_that_could_not_return_stay_stopped(split: Bench) -> None:
    """It is not the master that counts, so nothing may be started there."""
    user = split.host1.popen(f"exec 3>>/{split.prodfs.fs}/open; exec sleep 300")
    done = split("failback", *YES, "-e", "zrep_diverged=discard", ok=False)
    user.kill()
    assert done.results == [("prodfs", "failed")]
    assert [entry[1] for entry in split.log()] == ["stop"]


# Drills


def drills(bench: Bench) -> dict[str, Any] | None:
    pair = bench.prodfs
    return zrep_info(pair.b, filesystem=pair.dest)["pairs"][0]["drill"]


@pytest.mark.slow
def test_a_drill_runs_the_check_on_a_clone_and_leaves_a_record(bench: Bench) -> None:
    pair = bench.prodfs
    check = bench.path / "check.yml"
    task = {"name": "Use it", "ansible.builtin.shell": "cat {{ zrep_drill }}/file >/tmp/seen; echo x >$ZREP_CLONE/file"}
    check.write_text(json.dumps([task]), encoding="utf-8")
    bench.variables["zrep_drill_check"] = ["test -w /proc/self/cwd", "check.yml", f"test -d /{pair.dest}_drill"]
    before = dump(bench.host1)
    done = bench("drill")
    assert done.results == [("prodfs", "passed")]
    assert (done.summary[0]["replica"], done.summary[0]["snapshot"]) == (f"host2:{pair.dest}", "zrep_000000")
    assert bench.host2.read_file("/tmp/seen") == "text\n"
    assert not exists(bench.host2, f"{pair.dest}_drill")
    assert dump(bench.host1) == before
    found = drills(bench)
    assert (found["result"], found["snapshot"]) == ("passed", "zrep_000000")
    assert 1 <= found["seconds"] == done.summary[0]["seconds"]["check"] < 60


@pytest.mark.slow
def test_a_check_that_fails_is_recorded_and_fails_the_play(bench: Bench) -> None:
    home = bench.second_pair(drill_check="true")
    bench.variables["zrep_drill_check"] = "sh -c 'echo $ZREP_CLONE is no good >&2; exit 1'"
    done = bench("drill", ok=False)
    assert done.results == [("prodfs", "failed"), ("home", "passed")]
    assert f"/{bench.prodfs.dest}_drill is no good" in done.summary[0]["failures"][0]
    assert drills(bench)["result"] == "failed"
    for pair in (bench.prodfs, home):
        assert not exists(pair.b, f"{pair.dest}_drill")


@pytest.mark.slow
def test_a_drill_needs_no_production(bench: Bench) -> None:
    bench.host1.kill()
    bench.variables["zrep_drill_check"] = "true"
    assert bench("drill").results == [("prodfs", "passed")]
    assert drills(bench)["result"] == "passed"


@pytest.mark.slow
def test_what_a_drill_that_was_killed_left_is_no_hindrance(bench: Bench) -> None:
    pair = bench.prodfs
    pair.b.zfs("clone", "-o", f"zrep:drill-of={pair.dest}", f"{pair.dest}@zrep_000000", f"{pair.dest}_drill")
    pair.sync()
    assert bench("drill").summary[0]["snapshot"] == "zrep_000001"
    assert not exists(pair.b, f"{pair.dest}_drill")


@pytest.mark.slow
def test_what_is_no_clone_of_a_drill_is_left_alone_and_the_drill_fails(bench: Bench) -> None:
    pair = bench.prodfs
    pair.b.zfs("create", f"{pair.dest}_drill")
    before = dump(bench.host1, bench.host2)
    done = bench("drill", ok=False)
    assert "no clone of a drill" in done.summary[0]["failures"][0]
    assert dump(bench.host1, bench.host2) == before


@pytest.mark.slow
@SLOW
def test_a_drill_in_check_mode_changes_nothing(bench: Bench) -> None:
    bench.variables["zrep_drill_check"] = bench.hook("checked")
    before = dump(bench.host1, bench.host2)
    assert bench("drill", "--check").results == [("prodfs", "passed")]
    assert dump(bench.host1, bench.host2) == before
    assert bench.log() == []


@SLOW
def test_the_replica_is_drilled_wherever_it_is_and_mounted_where_it_may(bench: Bench) -> None:
    bench("failover", *YES)
    bench.host1.zfs("set", "mountpoint=none", "pool1")
    bench.variables.update(zrep_drill_check="test -f /mnt/drills/prodfs/file", zrep_drill_mountpoint="/mnt/drills")
    done = bench("drill")
    assert done.summary[0]["replica"] == f"host1:{bench.prodfs.fs}"


@pytest.mark.slow
def test_a_pair_without_a_replica_keeps_no_other_one_from_its_drill(bench: Bench) -> None:
    home = bench.second_pair()
    bench.host2.zfs("set", "zrep:master=yes", bench.prodfs.dest)
    done = bench("drill", ok=False)
    assert sorted(done.results) == [("home", "passed"), ("prodfs", "failed")]
    assert "there is no replica to drill" in done.output
    assert zrep_info(home.b, filesystem=home.dest, tag=home.tag)["pairs"][0]["drill"]["result"] == "passed"
