# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role trust, on hosts that do not know each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Host, Lab
from tests.system import command
from tests.system.ansible import changes, run_playbook
from tests.system.command import fails, ok
from tests.system.pairs import exists, local

pytestmark = pytest.mark.system

PLAY = """
- hosts: all
  gather_facts: false
  roles:
    - zfsops.zrep.trust
"""
PRODFS = {
    "name": "prodfs",
    "master": {"host": "host1", "filesystem": "pool1/prodfs"},
    "replica": {"host": "host2", "filesystem": "pool2/prodfs"},
}
KEYS = "/root/.ssh/authorized_keys"
FOREIGN = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA somebody\n"


class Trust:
    """The role on all hosts."""

    def __init__(self, lab: Lab, path: Path) -> None:
        self.lab = lab
        self.path = path
        (path / "play.yml").write_text(PLAY, encoding="utf-8")

    def __call__(self, *options: str, ok: bool = True, pairs: object = None, **variables: object) -> str:
        values = {"zrep_pairs": [PRODFS] if pairs is None else pairs, **variables}
        (self.path / "vars.json").write_text(json.dumps(values), encoding="utf-8")
        done = run_playbook(self.lab, str(self.path / "play.yml"), "-e", f"@{self.path}/vars.json", *options)
        said = done.stdout + done.stderr
        assert (done.returncode == 0) == ok, said
        assert "WARNING" not in said, said
        return said


@pytest.fixture
def trust(lab: Lab, host1: Host, host2: Host, tmp_path: Path) -> Iterator[Trust]:
    """The role, and two hosts with the command that have nothing of ssh but what somebody else needs."""
    for host in (host1, host2):
        command.install(host)
        host.run(
            f"mv /root/.ssh /root/.ssh.lab; mkdir -m 700 /root/.ssh; echo '{FOREIGN.strip()}' >{KEYS}; chmod 600 {KEYS}"
        )
    host1.zfs("create", "pool1/prodfs")
    try:
        yield Trust(lab, tmp_path)
    finally:
        for host in (host1, host2):
            host.run("rm -rf /etc/zrep /root/.ssh; mv /root/.ssh.lab /root/.ssh")


def files(host: Host) -> str:
    """All that the role could have touched."""
    return host.run(
        "find /etc/zrep /root/.ssh -type f -exec sha256sum {} + 2>/dev/null | sort;"
        " stat -c '%A %U %n' /etc/zrep /root/.ssh /root/.ssh/*; sha256sum /etc/ssh/* /etc/passwd",
        check=False,
    ).stdout


@pytest.mark.slow
def test_from_nothing_to_a_pair_and_back(trust: Trust, host1: Host, host2: Host) -> None:
    before = [files(host1), files(host2)]
    assert changes(trust("--check", "--diff")) > 0
    assert [files(host1), files(host2)] == before
    trust()
    assert changes(trust()) == 0
    for host in (host1, host2):
        line = host.run(["grep", "command=", KEYS]).stdout
        assert line.startswith('restrict,from="')
        assert FOREIGN in host.run(["cat", KEYS]).stdout
    # Nothing has to be said for the keys to be used, by either face.
    ok(host1, "init", "pool1/prodfs", "host2", "pool2/prodfs")
    ok(host1, "failover", "pool1/prodfs")
    ok(host2, "sync", "pool2/prodfs")
    assert local(host2, "pool2/prodfs", "zrep:master") == "yes"
    said = host1.run("ssh -F /etc/zrep/ssh/config host2 zfs list pool2", check=False)
    assert said.returncode == 77
    assert changes(trust(zrep_trust_state="absent")) > 0
    assert [files(host1), files(host2)] == before
    assert changes(trust(zrep_trust_state="absent")) == 0


@pytest.mark.slow
def test_a_rebuilt_host_is_refused_until_the_role_has_run_again(
    trust: Trust, host1: Host, host2: Host, lab: Lab
) -> None:
    trust()
    ok(host1, "init", "pool1/prodfs", "host2", "pool2/prodfs")
    host2.run(
        "cp -a /etc/ssh /etc/ssh.lab; rm /etc/ssh/ssh_host_*;"
        " ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key"
    )
    known = lab.ssh_config.with_name("known_hosts")
    kept = known.read_text(encoding="ascii")
    try:
        host2.stop_sshd()
        host2.start_sshd()
        assert "host key" in fails(host1, "sync", "pool1/prodfs").err
        # The administrator has checked the new key, and the controller knows it.
        public = " ".join(host2.run(["cat", "/etc/ssh/ssh_host_ed25519_key.pub"]).stdout.split()[:2])
        lines = [line for line in kept.splitlines() if not line.startswith("host2")]
        known.write_text("\n".join([*lines, f"host2,{host2.address} {public}", ""]), encoding="ascii")
        assert changes(trust()) == 1
        ok(host1, "sync", "pool1/prodfs")
    finally:
        known.write_text(kept, encoding="ascii")
        host2.run("rm -rf /etc/ssh; mv /etc/ssh.lab /etc/ssh")
        host2.stop_sshd()
        host2.start_sshd()


@pytest.mark.slow
def test_new_keys(trust: Trust, host1: Host, host2: Host) -> None:
    trust()
    old = host1.run(["cat", "/etc/zrep/ssh/keys/host2.pub"]).stdout.split()[1]
    trust(zrep_trust_rotate=True)
    new = host1.run(["cat", "/etc/zrep/ssh/keys/host2.pub"]).stdout.split()[1]
    admitted = host2.run(["cat", KEYS]).stdout
    assert new != old
    assert new in admitted
    assert old not in admitted
    assert changes(trust()) == 0


@pytest.mark.slow
def test_one_way(trust: Trust, host1: Host, host2: Host) -> None:
    """The server reaches its client, which has no key for the server and lets itself be read only."""
    pulled = {**PRODFS, "direction": "pull"}
    trust(pairs=[pulled], zrep_trust_grants=["send"])
    assert host1.run("ls /etc/zrep/ssh/keys").stdout == ""
    assert "command=" not in host2.run(["cat", KEYS]).stdout
    ok(host2, "init", "--pull", "pool2/prodfs", "host1", "pool1/prodfs")
    ok(host2, "refresh", "pool2/prodfs")
    assert exists(host2, "pool2/prodfs@zrep_000001")
    assert "grant" in fails(host2, "takeover", "pool2/prodfs").err
    assert changes(trust(pairs=[pulled], zrep_trust_grants=["send"])) == 0


@pytest.mark.slow
def test_plain(trust: Trust, host1: Host) -> None:
    trust(zrep_trust_mode="plain")
    assert host1.run("ssh -F /etc/zrep/ssh/config host2 echo any command").stdout == "any command\n"
    assert changes(trust(zrep_trust_mode="plain")) == 0


@pytest.mark.parametrize(
    ("variables", "said"),
    [({"zrep_trust_mode": "open"}, "zrep_trust_mode"), ({"zrep_trust_grants": ["all"]}, "zrep_trust_grants")],
    ids=str,
)
@pytest.mark.slow
def test_nonsense_is_refused(trust: Trust, host1: Host, variables: dict, said: str) -> None:
    before = files(host1)
    assert said in trust(ok=False, **variables)
    assert files(host1) == before
