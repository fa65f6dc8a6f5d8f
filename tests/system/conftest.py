# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the system tests: hosts with real ZFS.

Every pytest process (each worker of pytest-xdist too) has a lab of its own, made when first asked for. Where
none can be made the tests are skipped and say why; with ZFSOPS_LAB_REQUIRED=1 they fail instead.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = str(Path(__file__).resolve().parents[2])
if PROJECT not in sys.path:
    sys.path.insert(0, PROJECT)

from tests.lab import Host, HostSpec, Lab, LabError  # noqa: E402


class Fresh:
    """What one test works with: a lab in its first state, and dataset names that no other test uses."""

    def __init__(self, lab: Lab, prefix: str) -> None:
        self.lab = lab
        self.prefix = prefix

    def name(self, host: Host, base: str = "fs") -> str:
        """A dataset name in the host's pool; nothing is made."""
        return f"{host.pool}/{self.prefix}-{base}"

    def create(self, host: Host, base: str = "fs", **properties: str) -> str:
        """Make a dataset in the host's pool; its name."""
        options = [word for key, value in properties.items() for word in ("-o", f"{key}={value}")]
        dataset = self.name(host, base)
        host.zfs("create", *options, dataset)
        return dataset


# Which ZFS the two hosts have.
KINDS = {
    "zfs-fuse": ("zfs-fuse", "zfs-fuse"),
    "openzfs": ("openzfs", "openzfs"),
    "mixed": ("zfs-fuse", "openzfs"),
}


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config) -> Iterator[Lab]:
    """host1 with pool1 and host2 with pool2; root of each may go to the other."""
    yield from lab_of_two(pytestconfig)


def lab_of_two(config: pytest.Config, systemd: bool = False) -> Iterator[Lab]:
    """What a fixture has to yield that is a lab with these two hosts, run by systemd or not."""
    made = Lab()
    kinds = KINDS[config.getoption("--zfs")]
    try:
        made.up()
        made.add_hosts(
            [HostSpec(f"host{n}", f"pool{n}", systemd=systemd, kind=kind) for n, kind in enumerate(kinds, 1)]
        )
    except LabError as error:
        made.down()
        if os.environ.get("ZFSOPS_LAB_REQUIRED") == "1":
            raise
        pytest.skip(f"no lab: {error}")
    try:
        yield made
    finally:
        made.down()


@pytest.fixture
def fresh(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Fresh]:
    """The lab in its first state: pools empty, hosts up and connected, no faults. Cleaned again after the
    test.
    """
    prefix = re.sub(r"[^A-Za-z0-9]+", "-", request.node.name.removeprefix("test_")).strip("-")[:40]
    before = _access(lab)
    try:
        yield Fresh(lab, prefix)
    finally:
        lab.reset()
    assert _access(lab) == before, "this test has changed for those after it who may connect to whom, and how"


def _access(lab: Lab) -> dict[str, list[str]]:
    """What says who may connect to each host, and how it connects to others, by its file."""
    patterns = ("root/.ssh/authorized_keys", "root/.ssh/config", "etc/ssh/ssh_config.d/*", "etc/zrep", "etc/zrep/**/*")
    # The base of a host has another name after it was switched off.
    bases = {name: lab.hosts[name].tree.base for name in ("host1", "host2")}
    return {
        f"{name}:/{file.relative_to(base)}": _lines(file) if file.is_file() else []
        for name, base in bases.items()
        for pattern in patterns
        for file in base.glob(pattern)
    }


def _lines(file: Path) -> list[str]:
    """But for the keys of the lab's hosts: whoever adds a host adds one."""
    return [line for line in file.read_text(encoding="utf-8").splitlines() if not _HOST_KEY.fullmatch(line)]


_HOST_KEY = re.compile(r"ssh-ed25519 \S+ root@\S+")


@pytest.fixture
def host1(lab: Lab, fresh: Fresh) -> Host:
    """The first host of the lab, with pool1."""
    return lab.hosts["host1"]


@pytest.fixture
def host2(lab: Lab, fresh: Fresh) -> Host:
    """The second host of the lab, with pool2."""
    return lab.hosts["host2"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what campaigns (campaign.py) have recorded, also where they went well."""
    reports = [report for found in terminalreporter.stats.values() for report in found if hasattr(report, "when")]
    lines = [text for report in reports for name, text in report.user_properties if name == "campaign"]
    if lines:
        terminalreporter.section("campaigns")
        for line in sorted(set(lines)):
            terminalreporter.line(line)
