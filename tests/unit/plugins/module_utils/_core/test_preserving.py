# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preserved datasets: how they are known, what is never destroyed, what goes with them."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors
from ansible_collections.zfsops.zrep.plugins.module_utils._core.preserving import find_preserved, plan_prune

from .builders import FS, HOST, MODERN, NOW, OLD, TAG, dataset, master, observed, sent

COPY = f"{FS}_preserved_zrep_000001"
MARK = f"{FS}@zrep_000001"
DAY = 86400


def copy(*words, name=COPY, age=DAY, mark=MARK, **properties):
    values = {"creation": (str(NOW - age), "none"), "used": ("4096", "none"), "mounted": ("no", "none")}
    values.update({"zrep:preserved-from": mark, "readonly": "on"})
    values.update(properties)
    return dataset(name, *words, properties=values)


def host(*found):
    return {one.name: one for one in (dataset("pool1"), *found)}


def find(datasets, *wanted, before=NOW, tag=TAG):
    return [item.dataset.name for item in find_preserved(datasets, tag, wanted, before)]


def prune(datasets, name=COPY, own=()):
    (item,) = find_preserved(datasets, TAG, [name], NOW)
    seen = dataclasses.replace(observed(datasets[name], None, asked=False), filesystem=name)
    return plan_prune(seen, item, datasets, own)


def commands(plan, features=MODERN):
    return [" ".join(command) for step in plan.steps for command in step.commands((), features)]


# Known


def test_what_says_so_is_found_oldest_first():
    newer = copy("a", name="pool1/kept", age=10)
    datasets = host(master(*sent(0, 1)), newer, copy("b"), dataset("pool1/other", "c"))
    assert find(datasets) == [COPY, "pool1/kept"]


@pytest.mark.parametrize(
    "mark",
    [
        (MARK, "inherited"),
        (MARK, "received"),
        ("-", "none"),
        None,
        "yes",
        FS,
        f"{FS}@",
        "@zrep_000001",
        f"-r {FS}@zrep_000001",
        f"{FS}@zrep_000001@x",
        "a b@zrep_000001",
    ],
)
def test_what_does_not_say_so_is_not(mark):
    assert find(host(copy("a", mark=mark))) == []


def test_another_tag_is_another_mark():
    assert find(host(copy("a")), tag="dc") == []


def test_only_what_is_wanted_and_old_enough():
    datasets = host(copy("a"), copy("b", name="pool1/kept", mark="pool1/other@zrep_000009", age=10 * DAY))
    assert find(datasets, FS) == [COPY]
    assert find(datasets, "pool1/other") == find(datasets, "pool1/kept") == ["pool1/kept"]
    assert find(datasets, "pool1/kept", COPY) == ["pool1/kept", COPY]
    assert find(datasets, "pool1") == []
    assert find(datasets, before=NOW - 2 * DAY) == ["pool1/kept"]
    assert find(datasets, before=NOW - DAY) == ["pool1/kept", COPY]
    assert find(datasets, before=NOW - DAY - 1) == ["pool1/kept"]


def test_what_is_told():
    (item,) = find_preserved(host(copy("a")), TAG, (), NOW)
    assert item.facts(HOST, NOW) == {
        "name": COPY,
        "source": f"{HOST}:{FS}",
        "created": NOW - DAY,
        "created_iso": "2023-11-13T22:13:20Z",
        "age_seconds": DAY,
        "used": 4096,
    }


# Destroyed


@pytest.mark.parametrize("features", [MODERN, OLD])
def test_its_snapshots_go_then_it_goes(features):
    plan = prune(host(master(*sent(0, 1)), copy("a", "b")))
    snapshots = [f"{COPY}@a,b"] if features is MODERN else [f"{COPY}@a", f"{COPY}@b"]
    assert commands(plan, features) == [f"zfs destroy {name}" for name in [*snapshots, COPY]]
    assert plan.after.here is None


def test_one_that_is_mounted_is_unmounted_first_and_mounted_again_if_it_cannot_go():
    plan = prune(host(copy("a", mounted=("yes", "none"))))
    assert commands(plan)[0] == f"zfs unmount {COPY}"
    assert plan.steps[0].undo.commands((), MODERN) == [("zfs", "mount", COPY)]


def test_one_without_snapshots():
    assert commands(prune(host(copy()))) == [f"zfs destroy {COPY}"]


def test_nothing_is_destroyed_with_what_hangs_on_it():
    plan = prune(host(master(*sent(0, 1)), copy("a", "b", mounted=("yes", "none"))))
    assert not [word for command in commands(plan) for word in command.split() if word in ("-r", "-R", "-f")]


def child():
    return [dataset(f"{COPY}/child")]


def clone():
    return [dataset("pool1/mine", properties={"origin": (f"{COPY}@a", "none")})]


@pytest.mark.parametrize(
    ("others", "own", "kind", "said"),
    [
        (child(), (), errors.Exists, "others below it: " + COPY + "/child"),
        (clone(), (), errors.Exists, "clones: pool1/mine"),
        ([], ("zrep:preserved-from", "zrep:dest-fs"), errors.PairedElsewhere, "zrep:dest-fs"),
        ([], ("zrep:preserved-from", "dc:dest-fs"), errors.PairedElsewhere, "dc:dest-fs"),
    ],
)
def test_what_hangs_on_it_keeps_it(others, own, kind, said):
    with pytest.raises(kind) as caught:
        prune(host(copy("a"), *others), own=own)
    assert said in caught.value.message
    assert (caught.value.host, caught.value.dataset, caught.value.left) == (HOST, COPY, "nothing was changed")
    assert caught.value.hint


def test_a_hold_keeps_it():
    with pytest.raises(errors.InUse) as caught:
        prune(host(copy("a", "b!", "c")))
    assert "holds: b" in caught.value.message


def test_others_of_a_similar_name_do_not():
    similar = [
        dataset(f"{COPY}2/child"),
        dataset("pool1/mine", properties={"origin": (f"{COPY}2@a", "none")}),
        dataset("pool1/plain", properties={"origin": ("-", "none")}),
    ]
    assert commands(prune(host(copy("a"), *similar), own=("zrep:preserved-from", "dest-fs:x")))


# Left behind


def test_what_was_only_taken_to_preserve_it_goes_too():
    taken = f"{TAG}_preserved_1700000000"
    plan = prune(host(master(*sent(0, 1), taken), copy("own", taken)))
    assert commands(plan)[-1] == f"zfs destroy {FS}@{taken}"
    assert plan.steps[-1].optional


@pytest.mark.parametrize(
    "word",
    [
        f"{TAG}_preserved_1700000000=another",
        f"{TAG}_preserved_1700000000*",
        f"{TAG}_preserved_1700000000!",
        f"{TAG}_preserved_mine",
        f"x{TAG}_preserved_1700000000",
        f"{TAG}_preserved_1700000000-mine",
        f"{TAG}_000002",
        "daily",
    ],
)
def test_anything_else_on_the_filesystem_stays(word):
    copied = word.rstrip("*!").partition("=")[0]
    plan = prune(host(master(*sent(0, 1), word), copy(copied)))
    assert commands(plan)[-1] == f"zfs destroy {COPY}"


def test_where_the_filesystem_is_gone_there_is_nothing_left():
    assert commands(prune(host(copy("a"))))[-1] == f"zfs destroy {COPY}"
