# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One side taken out of its pair alone: all that it has of its own goes, what belongs to a pair above it stays."""

from __future__ import annotations

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core.pairing import belongs_above, plan_absent

from .builders import FS, dataset, master, observed, own, registration, replica, sent, side

INHERITED = {name: (value, "inherited") for name, (value, _source) in registration().items()}


def child(**more):
    """A dataset below one that is a pair."""
    return dataset(FS, own(0), properties={**INHERITED, "zrep:master": ("yes", "inherited"), **more})


def test_a_child_of_a_pair_belongs_to_that():
    assert belongs_above(side(child()))
    assert belongs_above(side(child(**{"zrep:savecount": "9"})))
    assert belongs_above(side(child(**{"zrep:lock-pid": "1"})))


@pytest.mark.parametrize("source", ["local", "received"])
@pytest.mark.parametrize("name", ["src-fs", "src-host", "dest-host", "dest-fs", "master"])
def test_half_a_record_of_its_own_is_a_record(name, source):
    assert not belongs_above(side(child(**{f"zrep:{name}": ("x", source)})))


def test_what_is_no_child_belongs_to_nobody():
    for found in (master(*sent(0)), replica(*sent(0)), dataset(FS, own(0))):
        assert not belongs_above(side(found))


def test_all_properties_of_the_tag_go_each_once_and_what_names_the_other_side_last():
    seen = observed(master(*sent(0)), None, asked=False)
    names = ["zrep:dest-fs", "zrep:note", "zrep:drill-of", "zrep:master"]
    taken = plan_absent(seen, True, names).steps[-1].properties
    assert taken[:3] == ("zrep:note", "zrep:drill-of", "zrep:master")
    assert taken[-1] == "zrep:dest-fs"
    assert len(taken) == len(set(taken)) == 8


def test_properties_that_only_somebody_else_set_go_as_well():
    seen = observed(dataset(FS), None, asked=False)
    assert plan_absent(seen, True).steps == ()
    (step,) = plan_absent(seen, True, ["zrep:note"]).steps
    assert step.properties == ("zrep:note",)
