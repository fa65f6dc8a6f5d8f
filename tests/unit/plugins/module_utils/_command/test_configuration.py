# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the configuration file: what is understood, what is not, and that shells agree."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.zfsops.zrep.plugins.module_utils._command.configuration import PATH, Setting, read

from . import shells
from .shells import ENVIRONMENT, NAMES

REAL = """\
# Configuration of zrep on this host. Don't edit on a Friday.
ZREPTAG=dc   # the other one is "dr"
SSH='/nonexistent/ssh-wrapper -p 224 -o LogLevel=ERROR'
A="-c -e"; export B="${B:-seen} by \\"all\\""
if [ -r /nonexistent/extra ]; then
    . /nonexistent/extra
fi
A=${A:-"-o x=y \\
  -o z=1"}
"""
"""Of this everything but the condition is understood."""

UNDERSTOOD = [
    ("", {}),
    ("A=", {"A": ""}),
    ("A=x", {"A": "x"}),
    ("A=x # c\n#B=y\n", {"A": "x"}),
    ("A=x#y", {"A": "x#y"}),
    ("A=x;B=y ;SSH=z;\n", {"A": "x", "B": "y", "SSH": "z"}),
    ("A=x B=$A", {"A": "x", "B": "x"}),
    ("  \tA=x  \t\n\n", {"A": "x"}),
    ("A='a b'\"c d\"e\\ f", {"A": "a bc de f"}),
    ("A='a\nb'\nB=\"c\nd\"", {"A": "a\nb", "B": "c\nd"}),
    ("A='it'\\''s'", {"A": "it's"}),
    ("A='a\\\nb'", {"A": "a\\\nb"}),
    ("A=a\\\nb\\\n", {"A": "ab"}),
    ("A=a \\\n  B=c", {"A": "a", "B": "c"}),
    ('A="a\\\nb"', {"A": "ab"}),
    ('A="\\$B \\\\ \\" \\` \\x"', {"A": '$B \\ " ` \\x'}),
    ("# it's \\\nA=x", {"A": "x"}),
    ("A=$B", {"A": "from outside"}),
    ("A=${B}s", {"A": "from outsides"}),
    ("A=${A:-v}${SSH-w}${SSH:-x}${B:+y}${A+z}", {"A": "vxy"}),
    ("SSH=${SSH:-ssh -p 22}", {"SSH": "ssh -p 22"}),
    ("B=${B:-v}", {}),
    ("B=v", {"B": "v"}),
    ("A=${A:-\"a  b\"}'c'", {"A": "a  bc"}),
    ('A="${A:-"a $B"} c"', {"A": "a from outside c"}),
    ("A=${A:-${SSH:-${ZREPTAG:-x}}}", {"A": "x"}),
    ("A=${A:-a\\}b}", {"A": "a}b"}),
    ('A="${A:-a\\}b\\c}"', {"A": "a}b\\c"}),
    ("A=${A:-gzip | cat; x & y}", {"A": "gzip | cat; x & y"}),
    (": ${A:=v} \"${SSH:=a b}\" ${B:=no}", {"A": "v", "SSH": "a b"}),
    ("A=${B:-${SSH:=no}}", {"A": "from outside"}),
    ("A=${B:?must be set}", {"A": "from outside"}),
    ("export A", {}),
    ("export A='b c' B", {"A": "b c"}),
    ("export 'A=b c'", {"A": "b c"}),
    ("export A=\"$B\"", {"A": "from outside"}),
    ("readonly A=1", {"A": "1"}),
    ("A=1\nunset A B", {"B": None}),
    ("A=~", {"A": "/home/x"}),
    ("A=~/y:~/z", {"A": "/home/x/y:/home/x/z"}),
    ("A=\"~\"'~'\\~ B=a~/", {"A": "~~~", "B": "a~/"}),
    ("A=[*]?{a,b}=!^%+@", {"A": "[*]?{a,b}=!^%+@"}),
    ("A=\"$\" B=$ SSH=\"$ /\"", {"A": "$", "B": "$", "SSH": "$ /"}),
    ("A=é\u00a0\u2028x", {"A": "é\u00a0\u2028x"}),
]  # fmt: skip

NOT_UNDERSTOOD = [
    ("A=$(hostname)", "no command is run"),
    ('A="`hostname`"', "no command is run"),
    ("A=$((1+1))", "nothing is calculated"),
    *((f"A={text}", "means something to a shell") for text in ("$1", "$$", "$?", "$@", '"$#"', "$'a'", '$"a"')),
    ("A=$RANDOM", "RANDOM is known to a shell only"),
    ("A=${HOSTNAME%%.*}", "HOSTNAME is known to a shell only"),
    ("A=${B%x}", "such an expansion needs a shell"),
    ("A=${#B}", "such an expansion needs a shell"),
    ("A=${A:?must be set}", "A has to be set before"),
    ("A=b c", "'c' would be a command"),
    ("A= c", "'c' would be a command"),
    ("A = b", "no assignment"),
    ("A+=b", "no assignment"),
    ("A=(b c)", "'(' needs a shell"),
    ("A=b|c", "'|' needs a shell"),
    ("A=b&", "'&' needs a shell"),
    ("A=b >c", "'>' needs a shell"),
    ("A=b\r\n", "carriage return"),
    ("A=b\x1b", "control character"),
    ("A=b\udcff", "no UTF-8"),
    ("A=~root", "home directory"),
    ("A=''~", "home directory"),
    ("export A=$B", "double quotation marks"),
    ("export A=b*", "pattern"),
    ("export A={b,c}", "pattern"),
    ("export A=1 B=$A", "shells differ"),
    ("export A=1 A=2", "shells differ"),
    ("export", "prints"),
    ("export -n A", "no name"),
    ("unset -f A", "names"),
    ("A=1; readonly A; A=2", "readonly"),
    ("IFS=: A=1", "belongs to the shell"),
    ("declare -x A=1", "no command is run"),
    (": && A=1", "'&&' needs a shell"),
    ("false && A=1", "no command is run"),
    ("if false; then A=1; fi", "'if' needs a shell"),
    ("if false\nthen\nA=1\nfi", "'if' needs a shell"),
    ("f() {\nA=1\n}", "no command is run"),
    ("f()\n{\nA=1\n}", "no command is run"),
    ("{\n: <<x\nA=1\nx\n: <<y\nA=2\ny\n}", "'{' needs a shell"),
    ("function f\n{\nA=1\n}", "'function' needs a shell"),
    ("(\nA=1\n)", "'(' needs a shell"),
    ("{ A=1\n}", "'{' needs a shell"),
    ("case x in\ny) A=1;;\nesac", "'case' needs a shell"),
    ("while false\ndo\nA=1\ndone", "'while' needs a shell"),
    (": <<x\nA=1\nx", "'<<' needs a shell"),
    (": <<-'x y'; A=2\nA=1\n\tx y\n", "'<<-' needs a shell"),
    (": ||\nA=1", "'||' needs a shell"),
    ("A=1; B=2; C=$(x)", "no command is run"),
]

LOST = [
    "A='b",
    'A="b',
    "A=${B",
    "A=$(b",
    "A=`b",
    "A=b\\",
    "if true",
    "fi",
    "A=1\n}\n",
    "A=1;;",
    ";A=1",
    "A=1; ;B=2",
    "A=1 >\nB=2",
    "cat <<x\nA=1\n",
    "cat <<x\nA=1\\\nx\n",
    "A=$(cat <<x)",
    "((A=1))",
    "A=$[1]",
    "A=$'it\\'s'",
    'A="${B:-it\'s}"',
    "false &\\\n& A=1",
    "cat <<\\\n-x\nA=1\n\tx\nA=2\n-x\n",
    "case x\nA=1",
    "A=1\0",
    "A=" + "${A:-" * 100 + "}" * 100,
]


def values(found):
    return {name: setting.value for name, setting in found.settings.items() if name in NAMES}


def changed(found):
    """The variables that differ from the environment; None for those that are not set any more."""
    new = values(found)
    names = [name for name in NAMES if new.get(name) != ENVIRONMENT.get(name)]
    return {name: new.get(name) for name in names}


def gave_up(shell, complaint):
    """Whether a shell ended before the file did. Only bash goes on after most errors."""
    return bool(re.search(r"rror|unexpected|readonly|parameter|^[0-9]+$" if "bash" in shell else ".", complaint))


@pytest.fixture(scope="module")
def compare(tmp_path_factory):
    """Have shells read a text too, and fail where they make something else of it."""
    tmp_path = tmp_path_factory.mktemp("files")
    folder = tmp_path / "cwd"
    folder.mkdir()

    def run(text, found):
        (tmp_path / "file").write_bytes(text.encode())
        unclear = {name for complaint in found.complaints for name in complaint.mentions}
        inherited = {name: value for name, value in ENVIRONMENT.items() if name not in found.removed}
        for shell in shells.SHELLS:
            said = shells.source(shell, tmp_path / "file", folder)
            if found.complaints and gave_up(shell, said.complaint):
                continue
            for ours, theirs in (
                (values(found), said.values),
                (dict(inherited, **found.exported), said.environment),
            ):
                assert {name: ours.get(name) for name in set(NAMES) - unclear} == {
                    name: theirs.get(name) for name in set(NAMES) - unclear
                }, shell
            assert found.complaints or not said.complaint, shell

    return run


# -- examples --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "expected"), UNDERSTOOD)
def test_what_is_understood(compare, text, expected):
    found = read(text, ENVIRONMENT)
    assert found.complaints == []
    assert changed(found) == expected
    compare(text, found)


@pytest.mark.parametrize(("text", "why"), NOT_UNDERSTOOD)
def test_what_is_not_understood_has_no_effect(text, why):
    found = read(f"ZREPTAG=before\n{text}\nSSH=after", ENVIRONMENT)
    (complaint,) = found.complaints
    assert why in complaint.why
    assert complaint.line == 2
    assert "A" in complaint.mentions or "A=" not in text
    assert complaint.anything is (":?" in text)
    assert {name: value for name, value in changed(found).items() if name != "A"} == {
        "ZREPTAG": "before",
        "SSH": "after",
    }
    assert values(found).get("A") == ("1" if "readonly" in why and "A=2" not in text else None)


@pytest.mark.parametrize("text", LOST)
def test_where_ends_cannot_be_told_nothing_is_taken(text):
    found = read(f"ZREPTAG=before\n{text}", ENVIRONMENT)
    (complaint,) = found.complaints
    assert complaint.anything
    assert complaint.line >= 2
    assert changed(found) == {}
    assert found.exported == {}


@pytest.mark.parametrize(
    "text",
    [
        ". /nonexistent",
        "[ -r /nonexistent ] && . /nonexistent",
        "A=1 source /nonexistent",
        "2>/dev/null . /nonexistent",
        "if true; then . /nonexistent; fi",
        "eval A=1",
        "true && return",
        "exit",
        "export $A",
        "export $(cat /nonexistent)",
        'declare -x "$A"',
        "read `A`",
        ": ${A:?}",
        "com\\\nmand . x",
        "command . x",
    ],
)
def test_what_may_set_any_variable(text):
    (complaint,) = read(text, {}).complaints
    assert complaint.anything


@pytest.mark.parametrize(
    "text",
    [
        "mkdir -p /var/run/x",
        'echo "$SSH" . exit',
        "find . -name x",
        "A=$(. /nonexistent)",
        "export A=$(x) B",
        "# . x\nx",
    ],
)
def test_what_may_not_set_any_variable(text):
    (complaint,) = read(text, {}).complaints
    assert not complaint.anything
    assert "SSH" not in complaint.mentions


@pytest.mark.parametrize(
    ("text", "mentions"),
    [
        ("read SSH <x", {"read", "SSH", "x"}),
        ("x $SSH ${SSH} ${SSH:-y}", {"x", "y"}),
        ("x ${SSH:=y}", {"x", "SSH", "y"}),
        ("x ${SSH=y}", {"x", "SSH", "y"}),
        ("x 'SSH'=y", {"x", "SSH", "y"}),
        ("x S'S'H=y", {"x", "S", "H", "SSH", "y"}),
        ("x S\\\nSH=y", {"x", "S", "SH", "SSH", "y"}),
        ("x # SSH", {"x"}),
        ("x <<y\nSSH\ny", {"x", "y", "SSH"}),
    ],
)
def test_mentions_are_names_that_may_be_set(text, mentions):
    (complaint,) = read(text, {}).complaints
    assert complaint.mentions == mentions


@pytest.mark.parametrize("text", ["A=$(x)\nB=$A", "f() { A=1; }\nA=2\nf\nB=$A", "A=$(x)\nA=1\nB=${A:-2}"])
def test_what_depends_on_something_unclear_is_unclear(text):
    found = read(text, {})
    assert "B" not in found.settings
    assert "depends on A" in found.complaints[-1].why


def test_a_line_is_taken_as_a_whole_or_not_at_all():
    found = read("A=1; export B=2; unset SSH; x", ENVIRONMENT)
    assert changed(found) == {}
    assert found.exported == {}
    assert found.removed == frozenset()


def test_where_a_value_comes_from():
    found = read("# c\n\nA='x\ny'\nSSH=z B=${B:-q}\n", {"B": "v", "HOME": "/"}, "/the/file")
    assert found.settings == {
        "HOME": Setting("/", "environment"),
        "A": Setting("x\ny", "/the/file:3"),
        "SSH": Setting("z", "/the/file:5"),
        "B": Setting("v", "/the/file:5"),
    }


def test_what_programs_get():
    text = "A=1; export A; ZREPTAG=no; B=changed; export SSH=\nunset X Y; Y=3; unset Z; export Z=4\n"
    text += "export Q; unset Q; Q=1\n"
    found = read(text, {"B": "v", "X": "1", "Y": "2", "Z": "3", "SSH": "4"})
    assert found.exported == {"A": "1", "B": "changed", "SSH": "", "Z": "4"}
    assert found.removed == {"X", "Y"}


def test_a_complaint_is_one_line_without_what_a_terminal_obeys():
    (complaint,) = read("\nfoo \x1b[31m\n", {}).complaints
    shown = str(complaint)
    assert shown.startswith(f"{PATH}, line 2: ")
    assert "\x1b" not in shown
    assert "\\x1b[31m" in shown
    (complaint,) = read("foo " + "bar" * 100, {}).complaints
    assert str(complaint).endswith("...")
    assert len(complaint.shown) == 120


def test_the_home_directory_has_to_be_known():
    for home in ({}, {"HOME": ""}, {"HOME": "/"}):
        found = read("A=~/x", home)
        assert "home directory" in found.complaints[0].why or "known to a shell" in found.complaints[0].why


def test_values_cannot_grow_without_end():
    text = "A=xxxxxxxx\n" + "A=$A$A$A$A\n" * 30
    found = read(text, {})
    assert "too long" in found.complaints[0].why
    assert len(found.settings["A"].value) < 2**18


def test_a_real_file(compare):
    found = read(REAL, ENVIRONMENT)
    assert [(complaint.line, complaint.anything) for complaint in found.complaints] == [(5, True)]
    assert changed(found) == {
        "ZREPTAG": "dc",
        "SSH": "/nonexistent/ssh-wrapper -p 224 -o LogLevel=ERROR",
        "A": "-c -e",
        "B": 'from outside by "all"',
    }
    compare(REAL, found)


# -- any text --------------------------------------------------------------------------------------------------


@given(st.text(max_size=200))
def test_any_text_is_read(text):
    found = read(text, ENVIRONMENT)
    assert all(str(complaint).isprintable() for complaint in found.complaints)


odd_text = st.text("AB=$\\{}()'\"`\n;&|<>#~:-+? \tifthencasesadoe", max_size=60)


@given(odd_text)
def test_any_shell_text_is_read(text):
    read(text, ENVIRONMENT)


@st.composite
def mutated(draw):
    """A real file into which somebody typed with eyes closed."""
    text = REAL
    for _round in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.sampled_from([0, 0, 1, 1, 3, 20]))
        text = text[:start] + draw(st.one_of(st.just(""), odd_text.map(lambda found: found[:3]))) + text[end:]
    return text


@given(text=mutated())
def test_any_damaged_file_is_read(text):
    read(text, ENVIRONMENT)


# -- what shells make of it ------------------------------------------------------------------------------------


@given(text=shells.plain_files)
@example('A="${A:-"a b"}${B:-\\}}"\n')
def test_shells_agree_with_what_is_understood(compare, text):
    found = read(text, ENVIRONMENT)
    if not found.complaints:
        compare(text, found)


@given(text=mutated().map(lambda text: text.replace("    . /nonexistent/extra", "")))
def test_shells_agree_about_damaged_files(compare, text):
    found = read(text, ENVIRONMENT)
    if not found.complaints:
        compare(text, found)


@given(text=shells.files)
@example("true &&\nA=1\nfalse &&\nB=1\n")
@example("f() {\nA=1\n}\nB=1\nf\nSSH=2\n")
@example("if true; then\nA=1\nelse\nB=2; fi # x\nSSH=2\n")
def test_shells_agree_about_what_no_complaint_mentions(compare, text):
    found = read(text, ENVIRONMENT)
    if not any(complaint.anything for complaint in found.complaints):
        compare(text, found)
