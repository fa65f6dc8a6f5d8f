# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much hypothesis tries: the same everywhere, so that a change is to blame for a failure and not the dice.

``--hypothesis-profile=explore`` throws them, and looks further. The tests share their process with ansible-test too.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# A slow machine is no failure, and nothing is kept in the checkout.
COMMON = {"deadline": None, "database": None, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("steady", derandomize=True, max_examples=100, **COMMON)
settings.register_profile("explore", max_examples=3000, **COMMON)
settings.load_profile("steady")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    # ansible-test forks a process for each test, since some change what others import. Ours do not, as they show
    # without ansible-test, and thousands of forks take more time than the tests themselves.
    if config.pluginmanager.has_plugin("ansible_forked"):
        config.pluginmanager.unregister(name="ansible_forked")
