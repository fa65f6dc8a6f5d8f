# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd says of the units that the roles write, without running them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ansible_collections.zfsops.zrep.plugins.filter.schedule import schedule, times

ROLES = Path(__file__).resolve().parents[4] / "roles"
ANALYZE = shutil.which("systemd-analyze")

pytestmark = pytest.mark.skipif(ANALYZE is None, reason="there is no systemd-analyze")

PAIR = {
    "name": "prodfs",
    "master": {"host": "host1", "filesystem": "pool1/prod.fs:1"},
    "replica": {"host": "host2", "filesystem": "pool2/prod_fs"},
}
VARIABLES = {
    "ansible_managed": "Ansible managed",
    "zrep_schedule_name": "zrep",
    "zrep_schedule_user": "root",
    "zrep_schedule_command": "/bin/true",
    "zrep_schedule_jitter": 20,
    "zrep_monitor_user": "root",
    "zrep_monitor_collector": "/bin/true",
    "zrep_monitor_interval": 5,
}


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ANALYZE, *words], capture_output=True, text=True, check=False)


def render(role: str, template: str, **variables: object) -> str:
    environment = Environment(loader=FileSystemLoader(ROLES / role / "templates"), undefined=StrictUndefined)
    environment.filters["comment"] = lambda text: f"# {text}"
    return environment.get_template(f"{template}.j2").render(**VARIABLES, **variables)


@pytest.mark.parametrize("interval", ["1min", "5min", "30min", "60min", "1h", "2h", "12h", "24h", "1d"])
def test_calendars_are_understood(interval: str) -> None:
    said = analyze("calendar", times(interval)[1])
    assert said.returncode == 0, said.stderr


@pytest.mark.parametrize("host", ["host1", "host2"])
@pytest.mark.parametrize("more", [{}, {"interval": "5min", "tag": "zrep-dr", "max_lag": 900}, {"direction": "pull"}])
def test_units_of_the_schedule(tmp_path: Path, host: str, more: dict) -> None:
    jobs = schedule([{**PAIR, **more}], host)
    # The master of a pair that is pulled has nothing to do.
    assert bool(jobs) == (host == "host2" or "direction" not in more)
    for job in jobs:
        check(tmp_path, f"zrep-job-{job['name']}", {kind: render("schedule", kind, item=(job, kind)) for kind in KINDS})


def test_units_of_the_monitor(tmp_path: Path) -> None:
    check(tmp_path, "zrep-metrics", {kind: render("monitor", f"zrep-metrics.{kind}") for kind in KINDS})


KINDS = ("service", "timer")


def check(directory: Path, name: str, units: dict[str, str]) -> None:
    """Neither errors nor warnings, and a confinement that is worth the name."""
    for kind, text in units.items():
        (directory / f"{name}.{kind}").write_text(text, encoding="utf-8")
    paths = [str(directory / f"{name}.{kind}") for kind in units]
    said = analyze("verify", "--man=no", *paths)
    about = [line for line in (said.stdout + said.stderr).splitlines() if name in line]
    assert (said.returncode, about) == (0, [])
    # 10 stands for none. What zfs and ssh need, root and the host's mounts above all, leaves it at that.
    said = analyze("security", "--offline=true", "--threshold=85", "--no-pager", paths[0])
    assert said.returncode == 0 or "unrecognized option" in said.stderr, said.stdout + said.stderr
