# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The help: everything that the command understands is in it, and what it shows is understood."""

from __future__ import annotations

import re
import shlex

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._command.arguments import parse
from ansible_collections.zfsops.zrep.plugins.module_utils._command.help import WIDTH, explain, overview, usage
from ansible_collections.zfsops.zrep.plugins.module_utils._command.vocabulary import ALIASES, GLOBAL, VERBS

SHOWN = [name for name, verb in VERBS.items() if not verb.hidden]
EXAMPLES = [(name, line, does) for name, verb in VERBS.items() for line, does in verb.examples]


def dashed(flag):
    return f"-{flag}" if len(flag) == 1 else f"--{flag}"


def flat(text):
    return " ".join(text.split())


def test_the_overview_has_every_verb_and_every_common_flag():
    lines = overview().splitlines()
    for name, verb in VERBS.items():
        found = [line for line in lines if re.match(rf"  {name} ", line)]
        assert len(found) == (0 if verb.hidden else 1)
        assert verb.hidden or verb.does in flat(overview())
    for flag, option in GLOBAL.items():
        assert f"-{flag} {option.value}".strip() in flat(overview())
        assert option.meaning in flat(overview())


@pytest.mark.parametrize("name", VERBS)
def test_every_option_of_every_verb_is_explained(name):
    verb, text = VERBS[name], explain(name)
    for flag, option in verb.options.items():
        shown = f"{dashed(flag)} {option.value}".strip()
        assert f"[{shown}]" in text.splitlines()[0]
        assert f"{shown} {option.meaning}" in flat(text)
    assert ("Flags:" in text) == bool(verb.options)
    assert verb.operands in usage(name)
    assert flat(verb.more) in flat(text)
    for alias in verb.aliases:
        assert re.search(rf"Other words for it: .*{alias}\b", text)


@pytest.mark.parametrize("name", SHOWN)
def test_every_verb_says_what_it_does_in_one_sentence(name):
    verb = VERBS[name]
    assert verb.does
    assert not verb.does.endswith(".")
    assert len(verb.does) < 110
    for option in verb.options.values():
        assert option.meaning
        assert option.meaning[0].islower()
        assert not option.meaning.endswith(".")
        assert option.value == option.value.upper()


@pytest.mark.parametrize("name", [*SHOWN, ""])
def test_no_line_is_too_wide_for_a_terminal(name):
    lines = (explain(name) if name else overview()).splitlines()
    examples = [line for line in lines if "   # " in line]
    for line in lines[1:] if name else lines:
        assert line == line.rstrip()
        assert len(line) <= (120 if line in examples else WIDTH), line


@pytest.mark.parametrize(("name", "line", "does"), EXAMPLES)
def test_every_example_is_understood(name, line, does):
    program, *words = shlex.split(re.split(r" (?:>|&&|\|) ", line)[0])
    assert program == "zrep"
    assert parse(words).verb == name
    assert f"{line}" in explain(name)
    assert f"# {does}" in explain(name)


def test_every_verb_that_does_something_has_an_example():
    without = {name for name in SHOWN if not VERBS[name].examples}
    assert without == {"version", "help"}


def test_the_usage_lines_are_understood():
    """With something in place of the words in capitals, of which the first way to write them is taken."""
    for name in SHOWN:
        flags, dummy, operands = (
            usage(name).partition(VERBS[name].operands) if VERBS[name].operands else (usage(name), "", "")
        )
        operands = VERBS[name].operands.partition(" | ")[0]
        line = re.sub(r"[A-Z]{2,}", "x", f"{flags} {operands}".replace("[", "").replace("]", "").replace("...", ""))
        assert parse(line.split()[1:]).verb == name


def test_words_do_not_collide():
    assert len(ALIASES) == sum(len(verb.aliases) for verb in VERBS.values())
    for verb in VERBS.values():
        assert not set(verb.options) & set(GLOBAL)
        assert verb.most is None or verb.least <= verb.most


def test_what_people_look_for_is_said():
    assert "nothing is destroyed" in flat(explain("init"))
    assert "3600" in explain("sync")
    assert "zrep help VERB" in overview()
