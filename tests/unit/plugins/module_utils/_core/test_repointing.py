# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other destinations of a filesystem: how they are found, and how one is given to a new master."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors, names, zfs
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import LOCAL, RECEIVED, Endpoint, Property, Side
from ansible_collections.zfsops.zrep.plugins.module_utils._core.others import candidates, is_sender, read
from ansible_collections.zfsops.zrep.plugins.module_utils._core.plan import predict
from ansible_collections.zfsops.zrep.plugins.module_utils._core.repointing import Three, plan_repoint
from ansible_collections.zfsops.zrep.plugins.module_utils._core.settings import Settings
from ansible_collections.zfsops.zrep.plugins.module_utils._core.state import State

from .builders import MODERN, NOW, OLD, dataset, printed, shorts

OLD_FS, NEW_FS, DEST = "pool1/fs", "pool2/fs", "pool3/fs"
PLACE = Endpoint("hostc", DEST)
SETTINGS = Settings(identity="hostb", tag="dr", intermediates=False)


def record(fs=OLD_FS, host="hosta", master=True, source=LOCAL, dest=DEST):
    values = {"src-fs": fs, "src-host": host, "dest-fs": dest, "dest-host": "hostc", "savecount": "7"}
    found = {f"dr:{name}": (value, source) for name, value in values.items()}
    return dict(found, **({"dr:master": ("yes", LOCAL)} if master else {}))


def three(old=(), new=(), dest=(), **more):
    def side(host, name, words, properties):
        return Side(host, host, "dr", dataset(name, *words, tag="dr", properties=properties))

    readonly = {"readonly": ("on", LOCAL)}
    return Three(
        side("hostb", NEW_FS, new, more.get("record_new", {})),
        side("hosta", OLD_FS, old, more.get("record_old", record())) if old else None,
        PLACE,
        side("hostc", DEST, dest, dict(more.get("record_dest", record(master=False)), **readonly)) if dest else None,
        (Endpoint("hosta", OLD_FS), Endpoint("hostb", NEW_FS)),
        MODERN,
        MODERN,
    )


def after(seen):
    """The three as the steps leave them."""
    plan = plan_repoint(seen, NOW, SETTINGS)
    state = predict(State(seen.old.dataset if seen.old else None, seen.dest.dataset), plan.bridge)
    both = predict(State(seen.new.dataset, state.there), plan.register + plan.take)
    old = predict(State(state.here, None), plan.release + plan.forget).here
    return dataclasses.replace(
        seen,
        new=dataclasses.replace(seen.new, dataset=both.here),
        dest=dataclasses.replace(seen.dest, dataset=both.there),
        old=dataclasses.replace(seen.old, dataset=old) if seen.old else None,
    )


def kinds(steps):
    return [step.action for step in steps]


# Finding


def test_tags_are_told_from_names():
    shorts_ = ["zrep_000001", "dr_000001", "zrep_dc_000002_unsent", "daily-1", "dr_000002", "zrep_preserved_1700000000"]
    assert names.other_tags("zrep", shorts_) == ["dr", "zrep_dc"]
    assert names.other_tags("dr", shorts_) == ["zrep_dc", "zrep"]
    side = Side("hosta", "hosta", "zrep", dataset(OLD_FS, "dr_000001"))
    assert candidates(side, ["more"]) == ["more", "dr"]


def answer(properties):
    text = printed([(OLD_FS, {name: Property(*value) for name, value in properties.items()})], RECORDS)
    return zfs.parse_records(text, ["dr"], "hosta")


RECORDS = [f"dr:{name}" for name in zfs.RECORD]
SIDE = Side("hosta", "hosta", "zrep", dataset(OLD_FS))


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (record(), "destinations"),
        (record(master=False), "destinations"),
        (record("pool9/fs", "hostz", master=False, source=RECEIVED), "elsewhere"),
        (dict(record("pool9/fs", "hostz", master=False, dest=OLD_FS), **{"dr:dest-host": ("hosta", LOCAL)}), "sources"),
        ({}, None),
        (record(dest="no such@name"), None),
    ],
)
def test_what_a_side_is_under_another_tag(found, kind):
    told = read(SIDE, ["dr"], answer(found))._asdict()
    assert {name: list(tags) for name, tags in told.items() if tags} == ({kind: ["dr"]} if kind else {})


def test_a_value_that_pretends_to_be_rows_is_refused():
    with pytest.raises(errors.BadProperty):
        answer(dict(record(), **{"dr:src-fs": (f"x\n{OLD_FS}\tdr:src-host\tevil", LOCAL)}))


# Giving


@pytest.mark.parametrize(
    ("old", "new", "dest", "bridge"),
    [
        # The streams of the first tag brought what the destination has.
        (["dr_000000*", "a_0", "dr_000001*+5", "a_1+5"], ["a_0", "dr_000000", "dr_000001", "a_1"], 2, []),
        # They brought nothing of the other tag: only the old master has something in common with each.
        (["dr_000000*", "a_0", "dr_000001*+5", "a_1+5"], ["a_0", "a_1"], 2, ["send"]),
        # The destination ends with an older one than both masters know.
        (["dr_000000*", "dr_000001*+5", "dr_000002+5", "a_1+5"], ["dr_000000", "a_1"], 2, ["send"]),
    ],
)
def test_a_destination_follows_and_only_moves_forward(old, new, dest, bridge):
    words = ["dr_000000*", "dr_000001*+5"][:dest]
    seen = three(old, new, words)
    plan = plan_repoint(seen, NOW, SETTINGS)
    assert kinds(plan.bridge) == bridge
    assert "rollback" not in kinds(plan.register)
    found = after(seen)
    assert found.new.is_master
    assert found.new.destination == found.dest.destination == PLACE
    assert found.dest.source == found.new.source == Endpoint("hostb", NEW_FS)
    assert shorts(found.dest.dataset)[:dest] == ["dr_000000", "dr_000001"]
    assert all(name.startswith("dr_") for name in shorts(found.dest.dataset))
    assert found.new.last_sent.guid == found.dest.snapshots[-1].guid
    assert found.new.savecount == 7
    assert not found.old.registered
    assert not is_sender(found.old)
    assert plan_repoint(found, NOW, SETTINGS) == plan_repoint(found, NOW, SETTINGS).__class__()


def test_the_next_serial_is_new_to_the_destination():
    """The new master has never had snapshots of this tag."""
    found = after(three(["dr_000041*", "a_1+5"], ["a_1"], ["dr_000041*"]))
    assert shorts(found.dest.dataset) == ["dr_000041", "dr_000042"]


@pytest.mark.parametrize("master", [True, False])
def test_the_old_master_lets_go_before_the_new_one_takes(master):
    plan = plan_repoint(
        three(["dr_000000*"], ["dr_000000"], ["dr_000000*"], record_old=record(master=master)), NOW, SETTINGS
    )
    assert kinds(plan.release) == ["inherit"] * master
    assert kinds(plan.take) == ["set"]
    assert plan.forget[-1].properties[-1] == "dr:dest-fs"


@pytest.mark.parametrize(
    ("seen", "error"),
    [
        (three(["dr_0"], ["dr_0"]), errors.NotFound),
        (three(["dr_0"], ["dr_0"], ["dr_0"], record_dest=record("x", "hostz", master=False)), errors.PairedElsewhere),
        (three(["dr_0"], ["dr_0"], ["dr_0"], record_dest=record()), errors.SplitBrain),
        (three(["dr_0", "dr_1+5"], ["dr_0"], ["dr_0", "dr_1+5"]), errors.Diverged),
        (three((), ["dr_0"], ["dr_0", "dr_1+5"]), errors.Diverged),
        (three(["dr_0"], ["dr_0"], ["other"]), errors.NoCommonSnapshot),
        (three((), ["dr_0"], ["other"]), errors.NoCommonSnapshot),
    ],
    ids=["none", "another's", "a master", "ahead", "ahead, nobody to ask", "a stranger", "a stranger, nobody to ask"],
)
def test_refused(seen, error):
    with pytest.raises(error) as caught:
        plan_repoint(seen, NOW, SETTINGS)
    assert caught.value.left == "nothing was changed"
    if error in (errors.Diverged, errors.NoCommonSnapshot):
        assert f"filesystem={NEW_FS} peer_host=hostc peer_filesystem={DEST} tag=dr" in caught.value.hint


def test_a_half_written_record_of_a_run_that_died_is_known():
    mixed = dict(record(master=False), **{"dr:src-fs": (NEW_FS, LOCAL)})
    found = after(three(["dr_000000*"], ["dr_000000"], ["dr_000000*"], record_dest=mixed))
    assert found.dest.source == Endpoint("hostb", NEW_FS)


def test_features_of_old_versions_make_no_difference_to_the_plan():
    seen = three(["dr_000000*"], ["dr_000000"], ["dr_000000*"])
    old = dataclasses.replace(seen, features_new=OLD, features_dest=OLD)
    assert plan_repoint(old, NOW, SETTINGS) == plan_repoint(seen, NOW, SETTINGS)
