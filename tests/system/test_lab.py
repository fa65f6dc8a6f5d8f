# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab itself: what the other system tests rely on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import MIB, POWER_OFF, CommandFailed, Connection, Host, HostSpec, Lab, LabError, clean_stale
from tests.lab.processes import wait_until

pytestmark = pytest.mark.system
PROJECT = Path(__file__).resolve().parents[2]


def ssh(host: Host, target: str, *command: str, options: str = "") -> subprocess.CompletedProcess:
    """From one host to another, never asking."""
    words = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=2", *options.split(), target, *command]
    return host.run(words, check=False)


def command_line(*arguments: str) -> subprocess.CompletedProcess:
    """Run ``python3 -m tests.lab``."""
    return subprocess.run(
        [sys.executable, "-m", "tests.lab", *arguments], cwd=PROJECT, capture_output=True, text=True, timeout=120
    )


def traces_of(name: str) -> list[str]:
    """What the machine still has of a lab: its directory, mounts, control groups and processes."""
    found = [str(path) for path in Path("/run/zfsops-lab").glob(name)]
    found += [line for line in Path("/proc/self/mounts").read_text().splitlines() if f"/zfsops-lab/{name}" in line]
    found += [str(path) for path in Path("/sys/fs/cgroup").rglob(f"zfsops-lab-{name}-*")]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f"/zfsops-lab/{name}/" in words or words.rstrip().endswith(f"guardian {name}"):
                found.append(f"{entry.name}: {words}")
    return found


def links() -> set[str]:
    """The machine's network links that belong to labs."""
    return {path.name for path in Path("/sys/class/net").glob("zlab*")}


# -- hosts are hosts -----------------------------------------------------------------------------------------


def test_hosts_have_names_and_pools_of_their_own(host1: Host, host2: Host) -> None:
    for host, pool in ((host1, "pool1"), (host2, "pool2")):
        assert host.run("hostname").stdout == host.name + "\n"
        assert host.zpool("list", "-H", "-o", "name") == pool + "\n"
        assert host.run(["test", "-d", f"/{pool}"], check=False).returncode == 0


@pytest.mark.parametrize("directory", ["/etc", "/root", "/tmp", "/run", "/var/lib/zfs", "/dev/shm", "/usr/local/bin"])
def test_files_are_seen_by_one_host_only(host1: Host, host2: Host, directory: str) -> None:
    path = f"{directory}/only-on-host1"
    host1.write_file(path, "text\n")
    assert host1.read_file(path) == "text\n"
    assert host2.run(["test", "-e", path], check=False).returncode == 1
    assert not Path(path).exists()
    host1.run(["rm", path])


def test_users_and_processes_are_seen_by_one_host_only(host1: Host, host2: Host) -> None:
    host1.run(["useradd", "-m", "someone"])
    assert host2.run(["id", "someone"], check=False).returncode != 0
    with host1.popen(["sleep", "1234567"]) as process:
        host1.run("until pgrep -f '^sleep 1234567'; do :; done")
        assert host2.run(["pgrep", "-f", "^sleep 1234567"], check=False).returncode == 1
        os.killpg(process.pid, signal.SIGKILL)
    host1.run(["userdel", "-r", "someone"], check=False)


def test_mounts_of_the_machine_are_gone(host1: Host) -> None:
    mounts = [line.split()[1] for line in host1.read_file("/proc/mounts").splitlines()]
    assert {path for path in mounts if not path.startswith(("/proc", "/sys", "/dev", "/run"))} == {
        "/",
        "/tmp",
        "/disks",
        "/pool1",
    }


def test_root_of_the_machine_has_nothing_in_a_host(host1: Host) -> None:
    with tempfile.NamedTemporaryFile(dir="/root") as mine:
        seen = host1.run("ls -A /root").stdout.split()
    # What tests that used this host before have left there, such as Ansible's directory, is the host's own.
    assert ".ssh" in seen
    assert Path(mine.name).name not in seen


def test_run_passes_arguments_input_and_status_exactly(host1: Host) -> None:
    words = ["a b", "", "*", "$HOME", "'", '"', "-n", "--", "ä", "line\nbreak"]
    assert host1.run(["printf", "%s\\0", *words]).stdout.split("\0")[:-1] == words
    assert host1.run("cat; exit 3", check=False, input="in").stdout == "in"
    assert host1.run(["cat"], input=b"\0\xff", text=False).stdout == b"\0\xff"
    with pytest.raises(CommandFailed, match="host1: echo oops >&2; exit 7: exit status 7: oops") as caught:
        host1.run("echo oops >&2; exit 7")
    assert caught.value.result.returncode == 7


def test_run_ends_what_takes_too_long(host1: Host) -> None:
    with pytest.raises(LabError, match=r"no end within 0\.2 s"):
        host1.run("sleep 7654321; :", timeout=0.2)
    wait_until(lambda: host1.run(["pgrep", "-f", "^sleep 7654321"], check=False).returncode == 1, "sleep is gone")


def test_environment_of_a_command_is_clean(host1: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZREP_SECRET", "x")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    environment = host1.run("env").stdout
    assert "ZREP_SECRET" not in environment
    assert "LANG" not in environment


# -- ssh -----------------------------------------------------------------------------------------------------


def test_root_may_go_to_the_other_host_and_finds_zfs(host1: Host, host2: Host) -> None:
    for source, target in ((host1, host2), (host2, host1), (host1, host1)):
        result = ssh(source, target.name, "hostname; zfs list -H -o name; command -v python3")
        assert result.stdout.split() == [target.name, target.pool, "/usr/bin/python3"], result.stderr
        assert ssh(source, target.address, "true").returncode == 0


def test_replication_between_two_hosts(host1: Host, host2: Host, fresh) -> None:
    source = fresh.create(host1)
    target = fresh.name(host2)
    host1.write_file(f"/{source}/file", "content\n")
    host1.zfs("snapshot", f"{source}@one")
    host1.run(f"zfs send {source}@one | ssh host2 zfs receive {target}")
    guid = ["get", "-Ho", "value", "guid"]
    assert host2.zfs(*guid, f"{target}@one") == host1.zfs(*guid, f"{source}@one")
    host2.zfs("mount", "-a")
    assert host2.read_file(f"/{target}/file") == "content\n"


def test_controller_checks_host_keys(lab: Lab) -> None:
    def login(*options: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["ssh", "-F", str(lab.ssh_config), *options, "host1", "hostname"], capture_output=True, text=True
        )

    assert login().stdout == "host1\n"
    assert "verification failed" in login("-o", "HostKeyAlias=other").stderr


def test_without_trust_keys_are_unknown_and_passwords_asked(lab: Lab) -> None:
    with Lab() as other:
        one, two = other.add_hosts([HostSpec("one", trust=False), HostSpec("two", trust=False)])
        assert "Host key verification failed" in ssh(one, "two", "true").stderr
        refused = ssh(one, "two", "true", options="-o StrictHostKeyChecking=no")
        assert "Permission denied (publickey,password)" in refused.stderr
        assert two.run("ls -A /root").stdout == ""
        assert other.address_of(one.state) != lab.address_of(lab.hosts["host1"].state)


@pytest.mark.usefixtures("lab")
def test_a_host_added_later_is_known_to_all() -> None:
    with Lab() as other:
        first = other.add_host("first")
        late = other.add_host("late.example.org", pool="tank")
        assert late.run("hostname").stdout == "late.example.org\n"
        for name in ("late.example.org", "late"):
            assert ssh(first, name, "hostname").stdout == "late.example.org\n"
        assert ssh(late, "first", "hostname").stdout == "first\n"


# -- faults --------------------------------------------------------------------------------------------------


def test_cut_and_mend(host1: Host, host2: Host) -> None:
    host1.cut()
    assert ssh(host1, "host2", "true").returncode == 255
    assert ssh(host2, "host1", "true").returncode == 255
    host1.mend()
    assert ssh(host1, "host2", "true").returncode == 0


def test_a_connection_outlives_a_short_cut(host1: Host, host2: Host) -> None:
    with host1.popen(["ssh", "host2", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write("before\n")
        process.stdin.flush()
        assert process.stdout.readline() == "before\n"
        host2.cut()
        process.stdin.write("meanwhile\n")
        process.stdin.flush()
        assert process.poll() is None
        host2.mend()
        assert process.stdout.readline() == "meanwhile\n"
        process.stdin.close()
        assert process.wait() == 0


@pytest.mark.parametrize("direction", ["both", "in", "out"])
def test_cut_between_two_hosts_only(lab: Lab, host1: Host, host2: Host, direction: str) -> None:
    host1.cut(host2, direction)
    assert ssh(host1, "host2", "true").returncode == 255
    reached = subprocess.run(["ssh", "-F", str(lab.ssh_config), "host1", "true"], capture_output=True)
    assert reached.returncode == 0
    host1.mend()
    assert ssh(host1, "host2", "true").returncode == 0


def test_delay_makes_packets_late_and_loses_none(host1: Host) -> None:
    def round_trip() -> float:
        # Milliseconds that the kernel has measured on a connection, not the time of a test.
        text = ssh(host1, "host2", "head -c 3000000 /dev/zero; ss -tin state established sport = :22 >&2")
        assert len(text.stdout) == 3000000
        return min(float(word[4:].split("/")[0]) for word in text.stderr.split() if word.startswith("rtt:"))

    host1.delay(40)
    assert round_trip() >= 80
    host1.delay(0)
    assert ssh(host1, "host2", "true").returncode == 0


def test_full_pool(host1: Host, fresh) -> None:
    dataset = fresh.create(host1)
    host1.fill_pool(leave=MIB)
    assert int(host1.zfs("get", "-Hpo", "value", "available", dataset)) <= MIB
    write = f"head -c 8000000 /dev/urandom >/{dataset}/file && sync /{dataset}/file"
    assert "No space left" in host1.run(write, check=False).stderr
    host1.free_pool()
    assert host1.run(write, check=False).returncode == 0


def test_stopped_sshd_refuses(host1: Host, host2: Host) -> None:
    host2.stop_sshd()
    assert "Connection refused" in ssh(host1, "host2", "true").stderr
    host2.start_sshd()
    assert ssh(host1, "host2", "true").returncode == 0


def test_a_host_comes_back_with_its_data(host1: Host, host2: Host, fresh) -> None:
    dataset = fresh.create(host1)
    host1.zfs("set", "zrep:master=yes", dataset)
    host1.write_file(f"/{dataset}/file", "content\n")
    host1.run(["sync", f"/{dataset}/file"])
    host1.zfs("snapshot", f"{dataset}@one")
    host1.run("echo kept >/etc/kept; echo lost >/run/lost")
    host1.kill()
    assert not host1.running
    with pytest.raises(LabError, match="host1 is down"):
        host1.run("true")
    assert ssh(host2, "host1", "true").returncode == 255
    host1.boot()
    assert host1.zfs("get", "-Ho", "value", "zrep:master", dataset) == "yes\n"
    assert host1.zfs("list", "-Ht", "snapshot", "-o", "name") == f"{dataset}@one\n"
    assert host1.read_file(f"/{dataset}/file") == "content\n"
    assert host1.run("cat /etc/kept /run/lost", check=False).stdout == "kept\n"
    assert ssh(host2, "host1", "hostname").stdout == "host1\n"


def test_reset_leaves_nothing_of_a_test(lab: Lab, host1: Host, host2: Host, fresh) -> None:
    dataset = fresh.create(host1)
    host1.zfs("snapshot", f"{dataset}@one")
    host1.zfs("hold", "tag", f"{dataset}@one")
    host1.run(f"cd /{dataset}; (sleep 2345678 >/dev/null 2>&1 &); echo x >/tmp/x")
    host1.intercept("exit 9")
    host2.cut()
    host2.kill()
    lab.reset()
    assert host1.run(
        "zfs create pool1/x && zfs list -H -o name; ls -A /tmp; pgrep -f '^sleep 2345678'", check=False
    ).stdout.split() == ["pool1", "pool1/x"]
    assert ssh(host1, "host2", "true").returncode == 0


# -- counting and interception -------------------------------------------------------------------------------


def test_trace_sees_every_process_and_connection(lab: Lab, host1: Host) -> None:
    with lab.trace() as traces:
        host1.run(["zfs", "list", "-H", "pool1", "-o", "name"])
        host1.run(
            "/sbin/zpool list >/dev/null;for n in 1 2 3; do /usr/sbin/zfs get -H all pool1 & done >/dev/null; wait"
        )
        assert host1.run(["zfs", "list", "no such\nname"], check=False).returncode == 1
        host1.zfs("list")  # the lab's own are not counted
        ssh(host1, "host2", "zfs list; zfs list")
        ssh(host1, "host2", "true", options="-o IdentityFile=/dev/null -o IdentitiesOnly=yes")
    assert traces["host1"].processes[:2] == [["zfs", "list", "-H", "pool1", "-o", "name"], ["zpool", "list"]]
    assert traces["host1"].processes[2:5] == [["zfs", "get", "-H", "all", "pool1"]] * 3
    assert traces["host1"].processes[5:] == [["zfs", "list", "no such\nname"]]
    assert traces["host1"].count("zfs") == 5
    assert traces["host2"].processes == [["zfs", "list"]] * 2
    assert traces["host2"].connections == [Connection(host1.address, "root"), Connection(host1.address, None)]
    assert traces["host1"].connections == []
    # Afterwards the real programs are back.
    assert "lab" not in host1.run("grep /usr/sbin/ /proc/mounts; head -c 4 /sbin/zfs | tail -c 3", check=False).stdout


def test_trace_is_transparent(host1: Host) -> None:
    cases = [
        "zfs list nothing",
        "zfs list -H -o name | cat",
        "zfs",
        "zpool create",
        "cat </dev/null | zfs receive pool1/x",
    ]
    plain = [host1.run(case, check=False) for case in cases]
    with host1.trace():
        traced = [host1.run(case, check=False) for case in cases]
    assert traced == plain or [vars(one) for one in traced] == [vars(one) for one in plain]


def test_trace_of_an_ordinary_user(host1: Host) -> None:
    with host1.trace() as trace:
        host1.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "zfs", "list"], check=False)
    assert trace.processes == [["zfs", "list"]]


def test_intercept_before_the_nth_command(host1: Host) -> None:
    host1.intercept("exit 9", n=2)
    commands = "zfs list pool1 >/dev/null; for name in a b c; do zfs create pool1/$name; echo $?; done"
    assert not host1.intercepted()
    assert host1.run(commands).stdout.split() == ["0", "9", "0"]
    assert host1.intercepted()
    assert host1.zfs("list", "-H", "-o", "name", "-r", "pool1").split() == ["pool1", "pool1/a", "pool1/c"]


def test_intercept_after_a_command_kills_the_caller(host1: Host) -> None:
    host1.intercept("kill -9 $PPID", when="after", verbs=["snapshot"])
    result = host1.run(
        ["sh", "-c", "zfs create pool1/a; zfs snapshot pool1/a@one; zfs snapshot pool1/a@two"], check=False
    )
    assert result.returncode in (-9, 137)
    assert host1.zfs("list", "-Ht", "snapshot", "-o", "name") == "pool1/a@one\n"


def test_intercept_can_turn_the_power_off(host1: Host) -> None:
    host1.intercept(POWER_OFF, verbs=["destroy"])
    host1.run("zfs create pool1/a; zfs destroy pool1/a", check=False)
    wait_until(lambda: not host1.running, "host1 is off")
    host1.boot()
    assert host1.zfs("list", "-H", "-o", "name").split() == ["pool1", "pool1/a"]


# -- systemd -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def systemd_host(lab: Lab) -> Iterator[Host]:
    """A host with systemd, in a lab of its own."""
    assert lab.hosts
    with Lab() as other:
        spec = HostSpec("unit", "tank", systemd=True, kind=lab.hosts["host1"].state.kind)
        yield other.add_hosts([spec])[0]
    assert traces_of(other.name) == []


def test_systemd_runs(systemd_host: Host) -> None:
    state = systemd_host.run(["systemctl", "is-system-running", "--wait"], check=False).stdout.strip()
    assert state in ("running", "degraded")
    assert systemd_host.zpool("list", "-H", "-o", "name") == "tank\n"


def test_timers_run(systemd_host: Host) -> None:
    systemd_host.write_file(
        "/etc/systemd/system/t.service", "[Service]\nType=oneshot\nExecStart=/bin/touch /run/timer-ran\n"
    )
    systemd_host.write_file("/etc/systemd/system/t.timer", "[Timer]\nOnActiveSec=0\nAccuracySec=1us\n")
    systemd_host.run("systemctl daemon-reload && systemctl start t.timer")
    wait_until(lambda: systemd_host.run("test -e /run/timer-ran", check=False).returncode == 0, "the timer has run")


def test_systemd_host_stops_sshd_and_reboots(systemd_host: Host) -> None:
    systemd_host.zfs("create", "tank/kept")
    systemd_host.stop_sshd()
    systemd_host.start_sshd()
    systemd_host.kill()
    systemd_host.boot()
    assert "tank/kept" in systemd_host.zfs("list", "-H", "-o", "name").split()


# -- labs ----------------------------------------------------------------------------------------------------


def test_two_labs_at_once_do_not_meet(lab: Lab, host1: Host) -> None:
    with Lab() as other:
        twin = other.add_host("host1", pool="pool1")
        twin.zfs("create", "pool1/only-here")
        assert "only-here" not in host1.zfs("list")
        assert other.subnet != lab.subnet
        assert ssh(twin, host1.address, "true").returncode == 255


def test_names_are_taken_once(lab: Lab) -> None:
    with pytest.raises(LabError, match=f"a lab named {lab.name} exists"):
        Lab(lab.name).up()
    with pytest.raises(LabError, match="lab name"):
        Lab("../x").up()
    with pytest.raises(LabError, match="there is a host1 already"):
        lab.add_host("host1")


def test_nothing_is_left_after_a_failure(lab: Lab) -> None:
    assert lab.hosts
    other = Lab()
    before = links()
    with pytest.raises(RuntimeError, match="boom"), other:
        other.add_host("host1", pool="pool1", systemd=True)
        raise RuntimeError("boom")
    assert traces_of(other.name) == []
    assert links() <= before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_of_a_killed_controller(lab: Lab, number: signal.Signals) -> None:
    name = f"killed-{lab.name}-{int(number)}"
    script = (
        "import sys\nfrom tests.lab import *\n"
        "with Lab(sys.argv[1]) as lab:\n"
        "    lab.add_host('host1', pool='pool1'); lab.add_host('unit', systemd=True)\n"
        "    print(lab.subnet, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, name],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        subnet = process.stdout.readline().strip()
        assert f"zlab{subnet}" in links()
        assert traces_of(name)
        process.send_signal(number)
        process.wait()
    wait_until(lambda: traces_of(name) == [] and f"zlab{subnet}" not in links(), f"{name} is gone")


def test_stale_labs_are_removed(lab: Lab) -> None:
    """Even the guardian is dead, and what it watched over."""
    name = f"stale-{lab.name}"
    assert command_line("up", "--name", name, "--hosts", "1").returncode == 0
    made = Lab.attach(name)
    made.holder.kill()
    assert traces_of(name)
    assert name in clean_stale()
    assert traces_of(name) == []


# -- command line --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def named(lab: Lab) -> Iterator[Callable[..., subprocess.CompletedProcess]]:
    """A lab made by the command line; call it with a command and its arguments."""
    name = f"cli-{lab.name}"
    up = command_line("up", "--name", name, "--host", "host1:tank", "--host", "b.example.org:bk", "--pool-size", "64M")
    assert up.returncode == 0, up.stderr
    yield lambda command, *arguments: command_line(command, "--name", name, *arguments)
    assert command_line("down", "--name", name).returncode == 0
    assert traces_of(name) == []


def test_exec_passes_arguments_and_status_exactly(named: Callable) -> None:
    words = ["a b", "", "*", "$HOME", "'", "-n", "--name", "--", "line\nbreak"]
    assert named("exec", "host1", "printf", "%s\\0", *words).stdout.split("\0")[:-1] == words
    assert named("exec", "host1", "sh", "-c", "exit 42").returncode == 42
    assert named("exec", "b.example.org", "zfs", "list", "-H", "-o", "name").stdout == "bk\n"


def test_command_line_faults(named: Callable) -> None:
    through = ["exec", "host1", "ssh", "-oBatchMode=yes", "-oConnectTimeout=2", "b", "true"]
    assert named(*through).returncode == 0
    for broken, mended in (
        (["cut", "b.example.org"], ["mend", "b.example.org"]),
        (["cut", "host1", "--peer", "b.example.org"], ["mend", "host1"]),
        (["stop-sshd", "b.example.org"], ["start-sshd", "b.example.org"]),
        (["kill", "b.example.org"], ["boot", "b.example.org"]),
    ):
        assert named(*broken).returncode == 0
        assert named(*through).returncode == 255, broken
        result = named(*mended)
        assert result.returncode == 0, result.stderr
        assert named(*through).returncode == 0, mended
    assert named("fill", "tank@host1").returncode == 0
    assert named("exec", "host1", "zfs", "get", "-Hpo", "value", "available", "tank").stdout == "0\n"
    assert named("free", "tank@host1").returncode == 0
    assert named("delay", "host1", "5").returncode == 0
    assert named(*through).returncode == 0


def test_errors_are_one_line_and_status_2(named: Callable) -> None:
    for arguments in (["exec", "nobody", "true"], ["fill", "tank"], ["boot", "host1"], ["exec", "host1"]):
        result = named(*arguments)
        assert result.returncode == 2
        assert len(result.stderr.splitlines()) == 1
        assert result.stderr.startswith("lab: ")
    assert "no lab named" in command_line("down", "--name", "nothing-of-this-name").stderr


def test_ansible_reaches_the_hosts(lab: Lab) -> None:
    pytest.importorskip("ansible")
    ansible = Path(sys.executable).with_name("ansible")
    if not ansible.exists():
        pytest.skip("no ansible command next to this python")
    result = subprocess.run(
        [str(ansible), "-i", str(lab.inventory_path), "all", "-o", "-m", "ping"],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        timeout=120,
    )
    assert result.stdout.count("pong") == 2, result.stdout + result.stderr
