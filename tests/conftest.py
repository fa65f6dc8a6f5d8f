# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Here and not in pyproject.toml, because ansible-test brings a configuration of pytest of its own."""

from __future__ import annotations

import pytest

MARKERS = (
    "both: proven with every kind of ZFS of the lab",
    "needs(*features): what zfs must be able to do for this test: see FEATURES",
    "acceptance(*cases): the numbers of the cases of the behaviour reference that this test proves",
    "slow: part of `make test-all`, not of `make test`",
    "system: needs root and a lab of ZFS hosts",
)


def pytest_configure(config):
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


# What the kinds of ZFS in the lab can do that tests ask for with the marker ``needs``.
FEATURES = {
    "zfs-fuse": {"holds", "fuse"},
    "openzfs": {
        "bookmarks",
        "delegation",
        "diff",
        "encryption",
        "holds",
        "modern",
        "raw",
        "resume",
        "volumes",
        "written",
    },
    "mixed": {"holds", "mixed"},
}


def pytest_addoption(parser):
    parser.addoption("--zfs", choices=sorted(FEATURES), default="zfs-fuse", help="the ZFS of the lab's hosts")
    parser.addoption(
        "--rows", type=int, help="of a system test with more rows, mark all but so many (2 or more) as slow"
    )


# Before pytest itself leaves out what -m does not ask for.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    can = FEATURES[config.getoption("--zfs")]
    kept, without = [], []
    for item in items:
        needed = {word for marker in item.iter_markers("needs") for word in marker.args}
        (kept if needed <= can else without).append(item)
    if without:
        config.hook.pytest_deselected(items=without)
        items[:] = kept
    if config.getoption("--rows"):
        sample_rows(items, config.getoption("--rows"))


def sample_rows(items, wanted):
    """Of each test leave the first row, the last, and others at equal distances; mark the rest as slow."""
    rows = {}
    for item in items:
        if item.get_closest_marker("system") and not item.get_closest_marker("slow"):
            rows.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for found in rows.values():
        taken = {round(i * (len(found) - 1) / (wanted - 1)) for i in range(wanted)}
        for number, item in enumerate(found):
            if len(found) > wanted and number not in taken:
                item.add_marker("slow")
