# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of the last run of each filesystem, for those who watch."""

from __future__ import annotations

import os

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import journal
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import Busy, Unreachable
from ansible_collections.zfsops.zrep.plugins.module_utils._core.execute import Work
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import Features
from ansible_collections.zfsops.zrep.plugins.module_utils._core.outcome import Outcome, Refused
from ansible_collections.zfsops.zrep.plugins.module_utils._core.settings import Settings
from ansible_collections.zfsops.zrep.plugins.module_utils._core.syncing import SyncGoal, plan_sync

from .builders import FS, NOW, master, observed, own, replica, sent


@pytest.fixture
def settings(tmp_path):
    return Settings(tag="zrep", rundir=str(tmp_path))


def worked(settings, error=None, streamed=1.5):
    """A master with something to send, and what became of it."""
    seen = observed(master(*sent(0), own(1)), replica(*sent(0)), asked=True)
    plan = plan_sync(seen, SyncGoal(NOW), settings)
    work = Work(plan, None, Features(), Features(), streamed=streamed, error=error)
    work.done = [] if error else list(plan.steps)
    return Outcome(NOW, done=[(seen, work)])


def test_a_transfer(settings):
    journal.note(settings, worked(settings), "master")
    found = journal.recall(settings, FS)
    assert (found.role, found.ok, found.seconds, found.size) == ("master", True, 1.5, 4096)
    assert found.time > NOW
    assert len(os.listdir(settings.rundir)) == 1


def test_what_fails_leaves_the_numbers_of_the_last_transfer(settings):
    journal.note(settings, worked(settings), "master")
    journal.note(settings, worked(settings, Unreachable("away"), 99.0), "master")
    found = journal.recall(settings, FS)
    assert (found.ok, found.seconds, found.size) == (False, 1.5, 4096)


def test_what_was_refused(settings):
    seen = observed(master(*sent(0)))
    journal.note(settings, Outcome(NOW, refused=[Refused(seen, Busy("somebody else"))]), "master")
    assert journal.recall(settings, FS) is None
    journal.note(settings, Outcome(NOW, refused=[Refused(seen, Unreachable("away"))]), "master")
    found = journal.recall(settings, FS)
    assert (found.ok, found.seconds, found.size) == (False, None, None)


def test_a_side_that_is_not_worked_for_has_no_run(settings):
    seen = observed(replica(*sent(0)))
    journal.note(settings, Outcome(NOW, refused=[Refused(seen, Unreachable("away"))]), "master")
    assert os.listdir(settings.rundir) == []


def test_a_directory_that_cannot_be_written_to_stops_nothing(tmp_path):
    gone = Settings(tag="zrep", rundir=str(tmp_path / "gone"))
    journal.note(gone, worked(gone), "master")
    assert journal.recall(gone, FS) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"role": 1, "time": "x", "ok": 1, "seconds": null, "size": null}', "\0"]
)
def test_nonsense_is_not_known(settings, text):
    with open(journal._path(settings, FS), "w", encoding="utf-8") as file:
        file.write(text)
    assert journal.recall(settings, FS) is None
