# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Here and not in pyproject.toml, because ansible-test brings a configuration of pytest of its own."""

from __future__ import annotations

MARKERS = (
    "acceptance(*cases): the numbers of the cases of the behaviour reference that this test proves",
    "slow: part of `make test-all`, not of `make test`",
    "system: needs root and a lab of ZFS hosts",
)


def pytest_configure(config):
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
