# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role schedule on hosts whose cron calls the script."""

from __future__ import annotations

import pytest

from tests.lab import Host
from tests.system.ansible import changes
from tests.system.test_roles import CRON, Roles, has, roles
from tests.system.test_trust import PRODFS

__all__ = ["roles"]

pytestmark = pytest.mark.system

USERS = "/var/spool/cron/crontabs/root"
SYSTEM = "/etc/cron.d/replication"
MARK = "# replaced by zfsops.zrep: "
JOBS = (
    "*/5 * * * * /usr/local/bin/zrep sync -q 300 all",
    "0 * * * * . /etc/profile; zrep -S pool1/prodfs >/dev/null",
    "*/5 * * * * /usr/local/bin/zrep -t dr refresh pool1/prodfs",
)
OTHERS = (
    "# */5 * * * * zrep sync all",
    "0 5 * * * /usr/local/bin/zrep status -a",
    "0 5 * * * /usr/local/bin/zrep-report sync all",
    "@daily rsync -a /home backup:",
)
PAIRS = [PRODFS]


@pytest.fixture
def tables(host1: Host):
    """What cron had before, as it was."""
    users = "\n".join([*OTHERS, *JOBS]) + "\n"
    system = "MAILTO=root\n" + JOBS[0].replace("* * /", "* * root /") + "\n"
    host1.run("mkdir -p /var/spool/cron/crontabs /etc/cron.d")
    host1.write_file(USERS, users, 0o600)
    host1.write_file(SYSTEM, system)
    yield {USERS: users, SYSTEM: system}
    host1.run(["rm", "-f", USERS, SYSTEM])


def found(host: Host, tables: dict[str, str]) -> dict[str, str]:
    return {path: host.read_file(path) for path in tables}


@pytest.mark.slow
def test_the_jobs_of_the_script_stay_or_are_put_out_of_action_and_come_back(
    roles: Roles, tables: dict[str, str], host1: Host
) -> None:
    said = roles("schedule", zrep_pairs=PAIRS)
    assert f"{SYSTEM}, {USERS}: jobs that call zrep already" in said
    assert found(host1, tables) == tables
    options = {"zrep_pairs": PAIRS, "zrep_schedule_replace_script": True}
    assert changes(roles("schedule", options=("--check",), **options)) == 1
    assert found(host1, tables) == tables
    assert changes(roles("schedule", **options)) == 1
    now = found(host1, tables)
    assert now[USERS].splitlines() == [*OTHERS, *(MARK + job for job in JOBS)]
    assert now[SYSTEM] == tables[SYSTEM].replace("*/5", MARK + "*/5")
    assert host1.run(["stat", "-c", "%a", USERS]).stdout.strip() == "600"
    assert changes(roles("schedule", **options)) == 0
    roles("schedule", zrep_schedule_state="absent", **options)
    assert found(host1, tables) == tables
    assert changes(roles("schedule", zrep_schedule_state="absent", **options)) == 0


@pytest.mark.slow
def test_a_file_of_somebody_else_is_not_overwritten(roles: Roles, host1: Host) -> None:
    host1.write_file(CRON, JOBS[0] + "\n")
    said = roles("schedule", zrep_pairs=PAIRS, ok=False)
    assert "not of this role" in said
    roles("schedule", zrep_pairs=PAIRS, zrep_schedule_state="absent")
    assert host1.read_file(CRON) == JOBS[0] + "\n"
    roles("schedule", zrep_pairs=PAIRS, zrep_schedule_name="zrep-pairs", zrep_schedule_replace_script=True)
    assert host1.read_file(CRON) == MARK + JOBS[0] + "\n"
    roles("schedule", zrep_pairs=PAIRS, zrep_schedule_name="zrep-pairs", zrep_schedule_state="absent")
    assert host1.read_file(CRON) == JOBS[0] + "\n"
    assert not has(host1, "/etc/cron.d/zrep-pairs")
