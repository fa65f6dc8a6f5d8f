# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at a host whose zfs is new, old, or has nothing to show."""

from __future__ import annotations

import dataclasses
import json
import os

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors, observe, zfs
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import Features
from ansible_collections.zfsops.zrep.plugins.module_utils._core.observe import FeatureMemory, look
from ansible_collections.zfsops.zrep.plugins.module_utils._core.shell import Completed, Shell

from .builders import HOST, MODERN, OLD

VALUES = {"type": "filesystem", "guid": "7", "createtxg": "1", "creation": "5"}


class Host(Shell):
    """Answers like ``zfs get`` of a version that knows some properties, and keeps what it was asked."""

    def __init__(self, datasets=(), unknown=(), absent="cannot open '{}': dataset does not exist\n", extra=""):
        super().__init__(HOST)
        self.datasets = datasets
        self.unknown = unknown
        self.absent = absent
        self.extra = extra
        self.asked = []
        self.version = ""

    def run(self, argv):
        if argv[0] == "cat":
            return Completed(0, f"{self.version}\n", "") if self.version else Completed(1, "", "cat: no such file\n")
        self.asked.append(tuple(argv))
        position = argv.index("name,property,value,source") + 1
        properties, names = argv[position].split(","), argv[position + 1 :]
        for name in properties:
            if name in self.unknown:
                return Completed(2, "", f"bad property list: invalid property '{name}'\nusage:\n\tget ...\n")
        shown = [name for name in self.datasets if not names or name.partition("@")[0] in names]
        complaints = "".join(self.absent.format(name) for name in names if name not in self.datasets) + self.extra
        rows = "".join(f"{name}\t{key}\t{VALUES.get(key, '-')}\t-\n" for name in shown for key in properties)
        return Completed(1 if complaints else 0, rows, complaints)


@pytest.fixture
def memory(tmp_path):
    return FeatureMemory(str(tmp_path))


def test_one_command_shows_all(memory):
    host = Host(["p/a", "p/a@1", "p/b"])
    seen = look(host, "zrep", ["p/a", "p/b"], memory)
    assert set(seen.datasets) == {"p/a", "p/b"}
    assert [found.short for found in seen.datasets["p/a"].snapshots] == ["1"]
    assert seen.features.properties == MODERN.properties | set(zfs.ENCRYPTION)
    assert len(host.asked) == 1 or all("unique" not in argv for argv in host.asked)


def test_everything_is_one_command(memory):
    host = Host(["p", "p/a", "p/a@1"])
    assert set(look(host, "zrep", None, memory).datasets) == {"p", "p/a"}
    assert len(host.asked) == 1
    assert "-r" not in host.asked[0]


def test_a_known_host_is_asked_once(memory):
    memory.remember(HOST, MODERN)
    host = Host(["p/a", "p/a/child"])
    assert set(look(host, "zrep", ["p/a", "p/a/child"], memory).datasets) == {"p/a", "p/a/child"}
    assert len(host.asked) == 1


def test_an_old_host_is_asked_again_without_what_it_does_not_know(memory):
    host = Host(["p/a"], unknown=("written", "receive_resume_token"))
    seen = look(host, "zrep", ["p/a"], memory)
    assert seen.features == OLD
    assert not seen.features.modern
    assert len(host.asked) == 3
    assert "unique" in host.asked[-1][-2].split(",")
    again = Host(["p/a"], unknown=host.unknown)
    assert look(again, "zrep", ["p/a"], memory).features == OLD
    assert len(again.asked) == 1


def test_the_oldest_host_knows_none_of_the_optional_properties(memory):
    host = Host(["p/a"], unknown=("written", "receive_resume_token", "unique"))
    assert look(host, "zrep", ["p/a"], memory).features == Features()


def test_a_memory_that_is_wrong_does_no_harm(memory):
    memory.remember(HOST, MODERN)
    host = Host(["p/a"], unknown=("receive_resume_token",))
    assert not look(host, "zrep", ["p/a"], memory).features.modern
    assert not memory.recall(HOST).modern


def test_an_old_host_is_not_asked_for_parent_and_child_at_once(memory):
    """It would show the child twice."""
    memory.remember(HOST, OLD)
    host = Host(["p/a", "p/a/b"])
    assert set(look(host, "zrep", ["p/a", "p/a/b"], memory).datasets) == {"p/a", "p/a/b"}
    assert [argv[-1] for argv in host.asked] == ["p/a", "p/a/b"]


def test_a_property_that_must_be_known_is_not_left_out(memory):
    with pytest.raises(errors.BadInput) as caught:
        look(Host(["p/a"], unknown=("nosuch",)), "zrep", ["p/a"], memory, more=("nosuch",))
    assert "nosuch" in caught.value.message
    with pytest.raises(errors.BadInput):
        look(Host(["p/a"], unknown=("guid",)), "zrep", ["p/a"], memory)


def test_what_does_not_exist_is_left_out(memory):
    seen = look(Host(["p/a"]), "zrep", ["p/a", "p/b"], memory)
    assert set(seen.datasets) == {"p/a"}
    assert look(Host([]), "zrep", ["p/a"], memory).datasets == {}


def test_a_host_without_pools(memory):
    assert look(Host([], extra="no datasets available\n"), "zrep", None, memory).datasets == {}


@pytest.mark.parametrize(
    ("absent", "kind"),
    [
        ("cannot open '{}': permission denied\n", errors.Denied),
        ("cannot open '{}': I/O error\n", errors.CommandFailed),
        ("internal error: failed to initialize ZFS library\n", errors.CommandFailed),
    ],
)
def test_another_complaint_is_no_absence(memory, absent, kind):
    with pytest.raises(kind) as caught:
        look(Host(["p/a"], absent=absent), "zrep", ["p/a", "p/b"], memory)
    assert caught.value.host == HOST


@pytest.mark.parametrize("status", [1, 255, -9])
def test_an_end_without_words_is_no_absence(memory, status):
    """What was killed, or a link that broke quietly, says nothing about datasets."""

    class Quiet(Host):
        def run(self, argv):
            return Completed(status, "", "")

    with pytest.raises(errors.ZrepError):
        look(Quiet(), "zrep", ["p/a"], memory)


# What is remembered


def test_memory_outlives_the_run(tmp_path):
    FeatureMemory(str(tmp_path)).remember("root@host.example.org", OLD)
    assert FeatureMemory(str(tmp_path)).recall("root@host.example.org") == OLD
    assert FeatureMemory(str(tmp_path)).recall("other") is None


def test_the_version_is_asked_for_once_and_kept(tmp_path):
    host = Host(["p/a"])
    host.version = "2.3.9-1"
    assert look(host, "zrep", ["p/a"], FeatureMemory(str(tmp_path))).features.version == "2.3.9-1"
    host.version = "2.4.0-1"
    assert look(host, "zrep", ["p/a"], FeatureMemory(str(tmp_path))).features.version == "2.3.9-1"


def test_a_new_version_of_this_host_is_noticed_at_once(tmp_path, monkeypatch):
    FeatureMemory(str(tmp_path)).remember(HOST, dataclasses.replace(MODERN, version="2.2.0-1"))
    (tmp_path / "version").write_text("2.2.0-1\n")
    monkeypatch.setattr(observe, "VERSION", str(tmp_path / "version"))
    assert FeatureMemory(str(tmp_path), HOST).recall(HOST) == MODERN
    (tmp_path / "version").write_text("2.3.9-1\n")
    assert FeatureMemory(str(tmp_path), HOST).recall(HOST) is None
    assert FeatureMemory(str(tmp_path), "other").recall(HOST) == MODERN


def test_names_of_hosts_stay_in_the_directory(tmp_path):
    FeatureMemory(str(tmp_path / "run")).remember("x", MODERN)
    os.mkdir(str(tmp_path / "run"))
    FeatureMemory(str(tmp_path / "run")).remember("../../x", MODERN)
    assert os.listdir(str(tmp_path)) == ["run"]


@pytest.mark.parametrize("content", ["", "{", "{}", "5", '"written"', "null"])
def test_a_broken_memory_is_none(tmp_path, content):
    FeatureMemory(str(tmp_path)).remember(HOST, MODERN)
    (name,) = os.listdir(str(tmp_path))
    (tmp_path / name).write_text(content)
    assert FeatureMemory(str(tmp_path)).recall(HOST) is None


def test_only_what_is_known_is_believed(tmp_path):
    FeatureMemory(str(tmp_path)).remember(HOST, MODERN)
    (name,) = os.listdir(str(tmp_path))
    known = {"asked": list(zfs.OPTIONAL), "known": ["unique", "evil", 5]}
    (tmp_path / name).write_text(json.dumps(known))
    assert FeatureMemory(str(tmp_path)).recall(HOST) == OLD


@pytest.mark.parametrize("known", [["written"], {"asked": ["written"], "known": ["written"]}, 5])
def test_what_another_version_of_ours_remembered_is_not_believed(tmp_path, known):
    FeatureMemory(str(tmp_path)).remember(HOST, MODERN)
    (name,) = os.listdir(str(tmp_path))
    (tmp_path / name).write_text(json.dumps(known))
    assert FeatureMemory(str(tmp_path)).recall(HOST) is None


@pytest.mark.parametrize("unknown", [("written", "receive_resume_token", "keystatus", "ivsetguid"), ("keystatus",)])
def test_what_came_together_is_refused_together(memory, unknown):
    host = Host(["p/a"], unknown)
    features = look(host, "zrep", ["p/a"], memory).features
    assert not set(zfs.ENCRYPTION) & features.properties
    assert not any(set(zfs.ENCRYPTION) & set(argv[6].split(",")) for argv in host.asked[-1:])
    assert len(host.asked) <= 3


def test_an_old_memory_is_none(tmp_path):
    FeatureMemory(str(tmp_path)).remember(HOST, MODERN)
    (name,) = os.listdir(str(tmp_path))
    long_ago = os.stat(str(tmp_path / name)).st_mtime - observe.REMEMBER_SECONDS - 60
    os.utime(str(tmp_path / name), (long_ago, long_ago))
    assert FeatureMemory(str(tmp_path)).recall(HOST) is None
