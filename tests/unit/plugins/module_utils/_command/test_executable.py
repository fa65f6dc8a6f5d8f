# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The executable: how it is built, how it starts."""

from __future__ import annotations

import importlib
import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._command import entry, main, vocabulary

ROOT = pathlib.Path(__file__).resolve().parents[5]
SOURCE = ROOT / "plugins" / "module_utils"
PRINTED = ("help", "version", "config", "completion", "manual")


@pytest.fixture(scope="module")
def builder():
    spec = importlib.util.spec_from_file_location("build_zrep", ROOT / "plugins" / "plugin_utils" / "executable.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def executable(builder, tmp_path_factory):
    target = tmp_path_factory.mktemp("built") / "zrep"
    builder.build(target, SOURCE)
    return target


def run(executable, *words, options=()):
    return subprocess.run(
        [sys.executable, *options, str(executable), *words], capture_output=True, text=True, check=False
    )


def test_same_input_same_bytes(builder, executable, tmp_path):
    copy = tmp_path / "source"
    for name, content in builder.members(SOURCE).items():
        path = copy / name.replace("zfsops_zrep/", "")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    builder.build(tmp_path / "again", copy)
    assert (tmp_path / "again").read_bytes() == executable.read_bytes()
    changed = dict(builder.members(SOURCE), **{"zfsops_zrep/_core/plan.py": b""})
    assert builder.pack(changed) != executable.read_bytes()


def test_it_can_be_run_by_anybody(executable):
    assert executable.stat().st_mode & 0o777 == 0o755
    assert executable.read_bytes().startswith(b"#!/usr/bin/env python3\n")


def test_version_is_that_of_the_collection_and_loads_nothing_else(executable):
    said = run(executable, "version", options=("-X", "importtime"))
    galaxy = (ROOT / "galaxy.yml").read_text(encoding="utf-8")
    assert re.search(r"^version: (\S+)$", galaxy, re.MULTILINE).group(1) == entry.VERSION
    assert said.stdout.splitlines()[0] == f"zrep {entry.VERSION} (zfsops.zrep)"
    assert len(said.stdout.splitlines()) == 3
    loaded = set(re.findall(r"\b(zfsops_zrep\S*|subprocess|dataclasses)\s*$", said.stderr, re.MULTILINE))
    assert loaded == {"zfsops_zrep", "zfsops_zrep._command", "zfsops_zrep._command.entry"}


def test_nothing_but_the_standard_library(executable):
    said = run(executable, "help", options=("-I", "-S"))
    assert said.returncode == 0
    assert said.stderr == ""


def test_a_second_word_after_version_is_refused(executable):
    said = run(executable, "version", "x")
    assert said.returncode == 1
    assert said.stdout == ""


@pytest.mark.parametrize("verb", [verb for verb in vocabulary.VERBS if verb not in PRINTED])
def test_every_verb_has_a_deed(verb):
    module, function = main.DEEDS[verb]
    assert callable(getattr(importlib.import_module(f"{main.__package__}.{module}"), function))


def test_no_deed_without_a_verb():
    assert set(main.DEEDS) == set(vocabulary.VERBS) - set(PRINTED)
