# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shell text for the reader of the configuration file, and what the shells of this machine make of it."""

from __future__ import annotations

import shutil
import subprocess
from typing import NamedTuple

from hypothesis import strategies as st

SHELLS = [path for path in map(shutil.which, ("dash", "bash", "ksh93", "ksh", "mksh")) if path] or ["/bin/sh"]
ENV, PRINTF = shutil.which("env"), shutil.which("printf")

NAMES = ("A", "B", "SSH", "ZREPTAG")
ENVIRONMENT = {"HOME": "/home/x", "PATH": "/nonexistent", "B": "from outside", "SSH": ""}
"""No program can be found there, so nothing but what is built into a shell can run."""


class Said(NamedTuple):
    """What a shell made of a file.

    :param values: the variables of NAMES that are set.
    :param environment: those of them that its programs get.
    :param complaint: what it said besides, or how it ended.
    """

    values: dict
    environment: dict
    complaint: str


def source(shell, path, folder):
    """Have a shell source a file; ``folder`` is where it runs."""
    # mksh has none of its own.
    printf = PRINTF if shell.endswith("mksh") else "printf"
    shown = "".join(f'{printf} "%s\\0" "${{{name}+{name}=}}${{{name}-}}"; ' for name in NAMES)
    done = subprocess.run(
        [shell, "-c", f'set -C; . "$0"; {printf} "\\0+++\\0"; {shown} {printf} "%s\\0" ---; exec {ENV} -0', str(path)],
        env=ENVIRONMENT,
        cwd=str(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    shown = done.stdout.decode("utf-8", "surrogateescape").rpartition("\0+++\0")[2]
    values, _mark, environment = shown.partition("\0---\0")
    return Said(_pairs(values), _pairs(environment), done.stderr.decode(errors="replace") or str(done.returncode or ""))


def _pairs(text):
    rows = (row.partition("=") for row in text.split("\0"))
    return {name: value for name, found, value in rows if found and name in NAMES}


# -- words -------------------------------------------------------------------------------------------------------

names = st.sampled_from(NAMES)
plain = st.text("abz09_/.,:%+=@^!-~*?[]{}#", min_size=1, max_size=4)
anything = st.text("ab \t\n\"\\$;&|<>(){}#~*'é`", max_size=5)
escaped = st.sampled_from(" \t\n\"'\\$`a;&|#~:=*}{").map("\\{}".format)
single = anything.filter(lambda text: "'" not in text).map("'{}'".format)
home = st.sampled_from(["$HOME", "${HOME}", "~", "~/x", "a:~/x", "~root", ":~", "$"])
odd = st.one_of(
    st.sampled_from(
        ["$1", "$$", "$?", "$@", "$#", "$(echo a)", "`echo b`", "$((1+1))", "$'a'", '$"a"', "$PWD", "$RANDOM"]
    ),
    st.sampled_from(["${#A}", "${A%x}", "${A?}", "${A:?}", "${A", "'", '"', "\\"]),
)
parameter = st.one_of(names.map("${}".format), names.map("${{{}}}".format))
operators = st.sampled_from(["-", ":-", "=", ":=", "+", ":+"])


def braced(words):
    return st.builds("${{{}{}{}}}".format, names, operators, words)


def seldom(usual, rare):
    """Each piece is one that every file could have, or one time in twenty another one."""
    return st.integers(0, 19).flatmap(lambda dice: rare if dice == 7 else usual)


def joined(pieces, most):
    return st.lists(pieces, max_size=most).map("".join)


def _in_double(deeper):
    text = st.text("ab \t\n;&|<>(){}#~*é", min_size=1, max_size=4)
    quoted = joined(st.one_of(text, parameter), 2).map('"{}"'.format)
    inner = joined(st.one_of(text.filter(lambda found: "}" not in found), escaped, parameter, quoted, deeper), 2)
    return joined(seldom(st.one_of(text, st.just("'"), escaped, parameter, braced(inner)), st.one_of(odd, home)), 3)


def _word(deeper):
    double = _in_double(braced(plain)).map('"{}"'.format)
    blanks = st.sampled_from([" ", "a b", "  a", "|", " | ", ";", "&", "<", "(a)"])
    inner = joined(st.one_of(plain, escaped, single, double, parameter, blanks, deeper), 3)
    usual = st.one_of(plain, escaped, single, double, parameter, braced(inner), home)
    return joined(seldom(usual, odd), 4)


words = st.recursive(plain, _word, max_leaves=6)

# -- files -------------------------------------------------------------------------------------------------------

assignment = st.builds("{}={}".format, names, words)
in_quotes = st.builds("{}={}".format, names, st.text("ab ~*'", max_size=4)).map('"{}"'.format)
declared = st.one_of(names, assignment, in_quotes)
joints = st.sampled_from([" ", "  ", "\t", " \\\n"])


def _several(things):
    return st.builds("{}{}{}".format, things, joints, things)


def _command(command, arguments):
    return st.builds("{}{}{}".format, st.just(command), joints, arguments)


simple = st.one_of(
    assignment,
    _several(assignment),
    _command("export", declared),
    _command("export", _several(declared)),
    _command("readonly", declared),
    _command(":", words),
    _command("unset", names),
)
others = st.one_of(
    st.sampled_from(["true", "false", "export", "f", "return", "A=1 true", "A=1 :", "a=1 . ./none"]),
    _command("export", words),
    _command("true", words),
)
ends = st.sampled_from(["\n", "\n", "\n", ";", " ; ", "  \n", " # a b' c\n", "# d\n", "\n\n# 'e\\\n", ";\n"])
compound = st.sampled_from(
    [
        "if true; then\n{}\nfi",
        "if false; then {}; else {}; fi",
        "false && {}",
        "false &&\n{}",
        "true || {}",
        "f() {{ {}; }}",
        "f()\n{{\n{}\n}}",
        "( {} )",
        "{{ {}; }}",
        "case a in b) {} ;; (c|d)\n{}\n;; esac",
        "while false; do {}\ndone",
        "for i in; do\n{}\ndone",
        ": <<E\n{}\nE",
        ": <<'E' ; {}\nA=x\nE",
        "A=$(\n{}\n)",
        "A=(\n{}\n)",
        "{} | true",
        "true | {}",
        "! {}",
        "eval '{}'",
        "{}>/dev/null",
        "[[ -n a &&\n b ]] || {}",
    ]
)
commands = st.recursive(
    seldom(simple, others),
    lambda deeper: st.builds(lambda text, *parts: text.format(*parts), compound, deeper, deeper),
    max_leaves=3,
)


def _file(lines):
    return joined(st.builds("{}{}".format, lines, seldom(ends, st.just("\r\n"))), 5)


plain_files = _file(simple)
files = _file(st.one_of(simple, commands))
