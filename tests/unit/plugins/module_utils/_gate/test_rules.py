# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the owner of a key may ask for, as a file says it."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._gate.rules import Pair, load, parse
from ansible_collections.zfsops.zrep.plugins.module_utils._gate.words import Refused

PAIR = {"filesystem": "tank/a", "peer_filesystem": "pool/b", "tag": "zrep", "grants": ["send"]}
RULES = {"version": 1, "name": "host1", "pairs": [PAIR]}


def test_a_file_is_read(tmp_path):
    path = tmp_path / "rules"
    path.write_text(json.dumps(RULES))
    path.chmod(0o644)
    (pair,) = load(str(path)).pairs
    assert pair == Pair("tank/a", "pool/b", "zrep", frozenset(["send"]))


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o646])
def test_one_that_others_can_write_to_is_refused(tmp_path, mode):
    path = tmp_path / "rules"
    path.write_text(json.dumps(RULES))
    path.chmod(mode)
    with pytest.raises(Refused, match="can write"):
        load(str(path))


def test_no_file_and_a_pipe_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("none", "pipe", "."):
        with pytest.raises(Refused):
            load(str(tmp_path / name))


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "null", '{"version": 1}', "[" * 100000])
def test_what_is_no_file_of_ours_is_refused(tmp_path, text):
    path = tmp_path / "rules"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(Refused):
        load(str(path))


@pytest.mark.parametrize(
    "more",
    [
        {"version": 2},
        {"version": True},
        {"name": "a b"},
        {"name": "../a"},
        {"pairs": {}},
        {"pairs": ["tank/a"]},
        {"unknown": 1},
        {"zrep": "zrep"},
        {"log_all": "yes"},
        {"pairs": [{**PAIR, "grants": ["all"]}]},
        {"pairs": [{**PAIR, "grants": "send"}]},
        {"pairs": [{**PAIR, "filesystem": "tank/a@b"}]},
        {"pairs": [{**PAIR, "filesystem": "-r"}]},
        {"pairs": [{**PAIR, "filesystem": 1}]},
        {"pairs": [{**PAIR, "tag": "a:b"}]},
        {"pairs": [{**PAIR, "recursive": 1}]},
        {"pairs": [{**PAIR, "mountpoints": ["srv"]}]},
        {"pairs": [{**PAIR, "properties": ["compression"]}]},
        {"pairs": [{"filesystem": "tank/a"}]},
    ],
    ids=str,
)
def test_nonsense_is_refused(more):
    with pytest.raises(Refused):
        parse({**RULES, **more})


def test_whose_a_dataset_is():
    flat = Pair("tank/a", "pool/b", "zrep", frozenset())
    tree = flat._replace(recursive=True)
    assert flat.has("tank/a")
    assert not flat.has("tank/a/b")
    assert tree.has("tank/a/b")
    for name in ("tank", "tank/ab", "tank/a/", "tank/a//b", "tank/a/../b", "tank/a/b@c", "tank/a/b c", ""):
        assert not tree.has(name)
    for name in ("tank/a_replaced_1700000000", "tank/a_removed_1700000000_b", "tank/a_preserved_zrep_000001/b"):
        assert flat.is_kin(name)
    for name in ("tank/a_old", "tank/a_replaced_x", "tank/ab_replaced_1700000000", "tank/a_replaced_1700000000/../b"):
        assert not flat.is_kin(name)
