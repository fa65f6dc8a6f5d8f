#!/usr/bin/env python
# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of the scenario's lab for Ansible; none while there is no lab."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.lab import Lab, LabError

NAME = os.environ.get("LAB_NAME", "molecule-default")


def hosts() -> dict[str, object]:
    """What Ansible expects of an inventory that is a program."""
    try:
        lab = Lab.attach(NAME)
    except LabError:
        return {"_meta": {"hostvars": {}}, "all": {"hosts": []}}
    given = {
        "ansible_user": "root",
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_common_args": f"-F {lab.ssh_config}",
    }
    names = sorted(lab.hosts)
    return {"_meta": {"hostvars": dict.fromkeys(names, given)}, "all": {"hosts": names}}


if __name__ == "__main__":
    print(json.dumps(hosts()))
