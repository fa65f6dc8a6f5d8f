# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the core says to users of the modules, in the words of the command: nothing of it names a module."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._command.dialect import translate
from ansible_collections.zfsops.zrep.plugins.module_utils._command.vocabulary import ALIASES, VERBS
from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors

CORE = Path(errors.__file__).parent
FACE = "module.py"
"""The file that only modules use."""
NAME = "pool1/fs"
"""Stands for whatever is put into a text."""

OPTIONS = (
    "check_peer",
    "local_only",
    "max_lag",
    "only_if_changed",
    "peer_filesystem",
    "peer_host",
    "peer_src_host",
    "preserve_as",
    "rename_unsent",
    "script_locks",
    "send_only",
    "skip_busy",
    "src_host",
)
OF_MODULES = re.compile(
    r"zrep_(failover|info|pair|snapshot|sync)\b|\b(adopt|diverged|filesystem|force|role|state)=|\bforce\b|\b({})\b".format(
        "|".join(OPTIONS)
    )
)


def texts(path):
    """All texts in a file that somebody may read, with something in place of what is put into them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            silent.add(id(node.value))  # A docstring.
        if isinstance(node, ast.JoinedStr):
            silent.update(id(part) for part in node.values)
    for node in ast.walk(tree):
        if id(node) in silent:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else NAME for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not re.fullmatch(r"\w+", node.value):
            yield node.value
        yield from names_of_values(node)


def names_of_values(node):
    """What a value is called in the complaint that it cannot be used."""
    found = []
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        found = node.args[1:2] if called.startswith("check_") else []
    elif isinstance(node, ast.FunctionDef) and "what" in [argument.arg for argument in node.args.args]:
        found = node.args.defaults
    for argument in found:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield f"{argument.value} {NAME!r} cannot be used"


def variants(text):
    """A text with each of the words that can stand in it."""
    for word, values in (("role=", ("master", "replica")), ("diverged=", ("refuse", "preserve", "discard"))):
        if word + NAME in text:
            return [found for value in values for found in variants(text.replace(word + NAME, word + value))]
    return [text]


SAID = [
    (path.name, text)
    for path in sorted(CORE.glob("*.py"))
    if path.name != FACE
    for found in texts(path)
    for text in variants(found)
]


def test_the_walk_finds_what_it_is_to_find():
    found = {text for _file, text in SAID if OF_MODULES.search(text)}
    assert len(found) > 50
    for wanted in (
        "create the pair with zrep_pair",
        f"zrep_failover filesystem={NAME} role=replica on {NAME} makes it follow, with diverged=preserve to keep",
        f"if only {NAME} can connect to this host, run there: zrep_failover filesystem={NAME} role=master",
        f"peer_filesystem {NAME!r} cannot be used",
        "diverged=discard",
    ):
        assert any(wanted in text for text in found)


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_nothing_names_a_module_or_an_option_of_one(verb):
    left = {(file, translate(text, verb)) for file, text in SAID if OF_MODULES.search(translate(text, verb))}
    assert left == set()


def test_all_verbs_that_are_named_exist():
    for file, text in SAID:
        for verb in re.findall(r"\bzrep ([a-z][a-z-]*)", translate(text)):
            assert verb in VERBS, (file, text)


def test_all_flags_that_are_named_exist():
    """Those of the verb where one is named before, else of any."""
    known = {flag for verb in VERBS.values() for flag in verb.options} | {"R", "t", "D"}
    for file, text in SAID:
        if not OF_MODULES.search(text):
            continue  # A flag in it is one of zfs, ssh or another program.
        told = translate(text)
        for verb, flag in re.findall(r"\bzrep ([a-z-]+) --?([a-zA-Z-]+)", told):
            assert flag in VERBS[verb].options, (file, text)
        for flag in re.findall(r"(?<!\S)--?([a-zA-Z-]+)", told):
            assert flag in known, (file, text)


@pytest.mark.parametrize(
    ("text", "verb", "told"),
    [
        ("force=true throws them away", "sync", "-f throws them away"),
        ("force=true throws them away", "doctor", "zrep sync -f throws them away"),
        ("if b is dead, force=true makes this side", "takeover", "if b is dead, -L makes this side"),
        ("zrep_pair state=present force=true makes it", "failover", "zrep init -f makes it"),
        ("leave force out, then the roles", "failover", "leave -L out, then the roles"),
        ("force was given: it makes room", "init", "-f was given: it makes room"),
        ("run there: zrep_failover filesystem=p/a role=master", "failover", "run there: zrep takeover p/a"),
        ("If b is: the same with filesystem=p/b on b", "doctor", "If b is: the same with p/b on b"),
        ("or with role=master here calls it off", "sync", "or zrep takeover here calls it off"),
        ("adopt=zrep_00000a takes that", "init", "--adopt zrep_00000a takes that"),
        ("state=absent filesystem=p/a takes", "clear", "zrep clear p/a takes"),
        ("skip_busy 20 cannot be used", "sync", "-q 20 cannot be used"),
        ("peer_host 'a b' is no host name", "init", "host 'a b' is no host name"),
        ("mountpoint 'x' cannot be used", "drill", "--mountpoint 'x' cannot be used"),
        ("give another name as clone.", "drill", "give another name with --clone."),
        ("ssh 'x cannot be read as a command", "sync", "SSH 'x cannot be read as a command"),
        ("cannot be reached by ssh: no answer; try: ssh -p 22 b true", "sync", None),
        ("zfs set readonly=on pool1/fs", "doctor", None),
        ("has mountpoint=none, so it would not be mounted", "drill", None),
    ],
)
def test_what_is_told(text, verb, told):
    assert translate(text, verb) == (text if told is None else told)


@pytest.mark.parametrize(
    "name",
    [
        "pool1/zrep_sync",
        "pool1/src_host",
        "pool1/zrep_pair/x",
        "zrep_info/fs",
        "zrep_sync@zrep_000001",
        "p/zrep_pair-2",
    ],
)
def test_names_of_datasets_stay_as_they_are(name):
    text = f"hosta:{name}: is not the master of its pair, hostb:{name} is"
    assert translate(text, "sync") == text


def test_what_was_translated_stays_so():
    for _file, text in SAID:
        once = translate(text, "sync")
        assert translate(once, "sync") == once


def test_aliases_are_no_verbs_of_their_own():
    assert not set(ALIASES) & set(VERBS)
