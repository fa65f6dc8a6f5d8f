# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The argument line: every verb and flag in every form and order, and nothing that is not understood."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.zfsops.zrep.plugins.module_utils._command.arguments import Request, parse
from ansible_collections.zfsops.zrep.plugins.module_utils._command.vocabulary import ALIASES, GLOBAL, VERBS
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import BadInput

OPERAND = "pool1/fs"
VALUE = "60"
SPELLINGS = [(name, name) for name in VERBS] + list(ALIASES.items())
OPTIONS = [(name, flag) for name, verb in VERBS.items() for flag in {**verb.options, **GLOBAL}]
LETTERS = sorted({flag for verb in VERBS.values() for flag in verb.options if len(flag) == 1} | set(GLOBAL))


def operands(name):
    """As many operands as a verb needs."""
    return [f"{OPERAND}{number}" for number in range(VERBS[name].least)]


def options_of(name):
    return {**VERBS[name].options, **GLOBAL}


def dashed(flag):
    return f"-{flag}" if len(flag) == 1 else f"--{flag}"


def wanted(name, *flags, words=None, **values):
    return Request(name, tuple(operands(name) if words is None else words), frozenset(flags), values)


def refused(*words):
    with pytest.raises(BadInput) as caught:
        parse(words)
    return str(caught.value)


# Verbs


@pytest.mark.parametrize(("word", "name"), SPELLINGS)
def test_every_verb_and_every_other_word_for_it(word, name):
    assert parse([word, *operands(name)]) == wanted(name)


@pytest.mark.parametrize("name", VERBS)
def test_as_many_operands_as_a_verb_takes(name):
    verb = VERBS[name]
    most = verb.most if verb.most is not None else 50
    many = [f"{OPERAND}{number}" for number in range(most)]
    assert parse([name, *many]).operands == tuple(many)
    if verb.most is not None:
        assert "takes" in refused(name, *many, "more")
    if verb.least:
        assert f"'zrep {name}' needs {verb.operands}" in refused(name, *many[: verb.least - 1])


@pytest.mark.parametrize("words", [[], ["-D"], ["-t"], ["-t", "x"], ["-R", "-D"], ["-t", "sync"]])
def test_without_a_verb(words):
    assert "a verb is missing" in refused(*words)


@pytest.mark.parametrize("word", ["snyc", "", "-", "--", "SYNC", "sync all", "pool1/fs", "_refresh"])
def test_a_verb_that_is_none(word):
    assert "there is no verb" in refused(word, "sync", "all")


# Flags


@pytest.mark.parametrize(("name", "flag"), OPTIONS)
def test_every_flag_of_every_verb_in_every_place(name, flag):
    option, rest = options_of(name)[flag], operands(name)
    if not option.value:
        found = wanted(name, flag)
        for words in (
            [name, dashed(flag), *rest],
            [name, *rest, dashed(flag)],
            [name, dashed(flag), dashed(flag), *rest],
        ):
            assert parse(words) == found
        if len(flag) > 1:
            assert "takes no value" in refused(name, f"--{flag}=x", *rest)
        if dashed(flag) not in ALIASES:
            assert parse([dashed(flag), name, *rest]) == found
        return
    found = wanted(name, **{flag: VALUE})
    attached = f"-{flag}{VALUE}" if len(flag) == 1 else f"--{flag}={VALUE}"
    for said in ([dashed(flag), VALUE], [attached]):
        assert parse([name, *said, *rest]) == found
        assert parse([name, *rest, *said]) == found
        assert parse([name, dashed(flag), "other", *rest, *said]) == found
    if dashed(flag) not in ALIASES:
        assert parse([attached, name, *rest]) == found
    assert f"needs a value: {option.value}" in refused(name, *rest, dashed(flag))


@pytest.mark.parametrize(("name", "flag"), [(name, flag) for name, flag in OPTIONS if options_of(name)[flag].value])
@pytest.mark.parametrize("value", ["", "-f", "--", "all", "a=b", "x y", "=60"])
def test_any_value_is_taken_as_it_is(name, flag, value):
    assert parse([name, *operands(name), dashed(flag), value]).values == {flag: value}
    if len(flag) > 1:
        assert parse([name, f"--{flag}={value}", *operands(name)]).values == {flag: value}


def test_letters_can_be_joined():
    assert parse(["sync", "-fvrc", "all"]) == wanted("sync", "f", "v", "r", "c", words=["all"])
    assert parse(["sync", "all", "-vq60"]) == wanted("sync", "v", words=["all"], q="60")
    assert parse(["sync", "-vq", "60", "all"]) == wanted("sync", "v", words=["all"], q="60")
    assert parse(["status", "-vatdc"]) == wanted("status", "v", "a", t="dc")
    assert parse(["status", "-vat", "dc", "-D"]) == wanted("status", "v", "a", "D", t="dc")
    assert parse(["-RDt", "dc", "sync", "all"]) == wanted("sync", "R", "D", words=["all"], t="dc")
    assert parse(["-RDtdc", "sync", "all"]) == wanted("sync", "R", "D", words=["all"], t="dc")


@pytest.mark.acceptance(35)
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("-t x -R snaponly a", wanted("snaponly", "R", words=["a"], t="x")),
        ("-R -t x snaponly a", wanted("snaponly", "R", words=["a"], t="x")),
        ("-t x -D -t x expire a", wanted("expire", "D", words=["a"], t="x")),
        ("-t sync sync all", wanted("sync", words=["all"], t="sync")),
        ("-S -f -v -c -q 60 a b", wanted("sync", "f", "v", "c", words=["a", "b"], q="60")),
        ("sync a b -q 60 -c -v -f", wanted("sync", "f", "v", "c", words=["a", "b"], q="60")),
        ("-s -v -m -a", wanted("status", "v", "m", "a")),
        ("-C -f -d b host a", wanted("changeconfig", "f", "d", words=["b", "host", "a"])),
        ("failover -f -L a host", wanted("failover", "f", "L", words=["a", "host"])),
        ("-e -L all", wanted("expire", "L", words=["all"])),
        ("-h sync", wanted("help", words=["sync"])),
        ("--help", wanted("help", words=[])),
    ],
)
def test_case_35_lines_as_they_are_typed(line, found):
    assert parse(line.split()) == found


def test_after_two_dashes_everything_is_an_operand():
    line = ["drill", "--clone", "p/x", OPERAND, "--", "test", "-s", "--", "--clone"]
    assert parse(line) == wanted("drill", words=[OPERAND, "test", "-s", "--", "--clone"], clone="p/x")
    assert parse(["sync", "-q", "--", "--", "-f"]) == wanted("sync", words=["-f"], q="--")


def test_a_dash_alone_is_an_operand():
    assert parse(["sync", "-", "-f"]) == wanted("sync", "f", words=["-"])


@pytest.mark.parametrize("name", VERBS)
def test_flags_that_a_verb_does_not_have(name):
    known = options_of(name)
    for letter in [*LETTERS, "x", "é", "1"]:
        if letter not in known:
            assert f"'zrep {name}' does not know" in refused(name, *operands(name), f"-{letter}")
    for word in ("x", "force", "no-such", "f", "t", "jsonx", "js", "="):
        assert f"'zrep {name}' does not know" in refused(name, *operands(name), f"--{word}")
    assert f"zrep help {name}" in refused(name, *operands(name), "--no-such")


@pytest.mark.parametrize("word", ["a\0b", "a\nb", "\x1b[31m", "a\x7f", "\t"])
@pytest.mark.parametrize(
    "place", [["{}"], ["sync", "{}"], ["-t{}", "sync", "all"], ["sync", "all", "-q", "{}"], ["sync", "--{}"]]
)
def test_characters_that_no_name_has(word, place):
    assert "characters that no name has" in refused(*(part.replace("{}", word) for part in place))


def test_a_complaint_is_short_whatever_was_typed():
    for words in (["x" * 100000], ["sync", "--" + "x" * 100000], ["clear", *["y" * 1000] * 1000], ["a" * 5000 + "\n"]):
        assert len(refused(*words)) < 500


# In any order


@st.composite
def shuffled(draw):
    """A verb with some of its flags and as many operands as it takes: in the order of its help, and in another."""
    name = draw(st.sampled_from(sorted(VERBS)))
    verb = VERBS[name]
    known = options_of(name)
    flags = draw(st.lists(st.sampled_from(sorted(known)), unique=True))
    said = []
    for flag in flags:
        if not known[flag].value:
            said.append([dashed(flag)])
        elif draw(st.booleans()):
            said.append([dashed(flag), draw(st.sampled_from(["60", "dc", "p/x", "all", "sync"]))])
        else:
            said.append(["-{}{}" if len(flag) == 1 else "--{}={}"])
            said[-1] = [said[-1][0].format(flag, "60")]
    most = verb.least + 3 if verb.most is None else verb.most
    rest = operands(name) + ["more"] * draw(st.integers(0, most - verb.least))
    plain = [name] + [word for unit in said for word in unit] + rest
    movable = [unit for unit in said if len(unit) == 1 and unit[0] not in ALIASES]
    early = draw(st.permutations([unit for unit in movable if draw(st.booleans())]))
    late = [unit for unit in said if unit not in early] + [[word] for word in rest]
    order = draw(st.permutations(range(len(late))))
    keys = sorted(position for position, index in enumerate(order) if index >= len(late) - len(rest))
    mixed = [late[index] for index in order]
    for position, word in zip(keys, rest):
        mixed[position] = [word]
    return plain, [word for unit in early for word in unit] + [name] + [word for unit in mixed for word in unit]


@given(shuffled())
def test_order_does_not_matter(lines):
    plain, mixed = lines
    assert parse(mixed) == parse(plain)


WORDS = st.one_of(
    st.sampled_from(
        sorted(VERBS) + sorted(ALIASES) + ["all", "--", "-", "", "-t", "-tx", "60", "pool1/fs@zrep_000001"]
    ),
    st.sampled_from(sorted({dashed(flag) for _name, flag in OPTIONS})),
    st.text(alphabet="-=tfLqRDv a\0é", max_size=6),
    st.text(max_size=8),
)


@given(st.lists(WORDS, max_size=8))
@example(["-t"])
@example(["--="])
@example(["init", "--=", "a", "b"])
@example(["\ud800"])
def test_any_line_is_understood_or_refused(words):
    try:
        found = parse(words)
    except BadInput:
        return
    verb = VERBS[found.verb]
    assert verb.least <= len(found.operands)
    assert verb.most is None or len(found.operands) <= verb.most
    known = options_of(found.verb)
    assert all(not known[flag].value for flag in found.flags)
    assert all(known[flag].value for flag in found.values)
    assert parse(words) == found


# What was understood


def test_what_a_request_says():
    found = parse(["-t", "dc", "sync", "-q", "60", "--dry-run", "all"])
    assert (found.tag, found.dry) == ("dc", True)
    assert (found.has("q"), found.has("dry-run"), found.has("f"), found.has("60")) == (True, True, False, False)
    assert (parse(["sync", "all"]).tag, parse(["sync", "all"]).dry) == (None, False)
