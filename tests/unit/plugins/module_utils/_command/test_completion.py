# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Completion for bash, as bash itself carries it out."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._command.completion import script
from ansible_collections.zfsops.zrep.plugins.module_utils._command.vocabulary import ALIASES, GLOBAL, VERBS

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")

SHOWN = [name for name, verb in VERBS.items() if not verb.hidden]
REGISTERED = ["pool1/data", "pool1/db"]
OF_TAG = ["pool1/other"]
DATASETS = ["pool1", "pool1/data", "pool1/db", "pool1/new"]
SNAPSHOTS = ["pool1/data@zrep_000001", "pool1/data@zrep_000002", "pool1/data@daily:1"]

PROGRAMS = {
    "zrep": """\
case "$*" in
    list) printf '%s\\n' {registered} ;;
    "-t dc list") printf '%s\\n' {of_tag} ;;
    *) echo "$@" >"$(dirname "$0")/called"; exit 1 ;;
esac
""",
    "zfs": """\
case "$*" in
    *snapshot*) printf '%s\\n' {snapshots} ;;
    *) printf '%s\\n' {datasets} ;;
esac
""",
}

ASK = """\
PATH=$1:$PATH
source "$1/completion"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
# To bash the @ belongs to what it completes, a colon does not.
case $COMP_CWORD:${COMP_WORDS[-1]}:${COMP_WORDS[-2]} in
    *:@:*) last=@ ;;
    *:*:@) last=@${COMP_WORDS[-1]} ;;
    *:::*) last= ;;
    *) last=${COMP_WORDS[-1]} ;;
esac
_zrep zrep "$last"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(name="room")
def make_room(tmp_path):
    """A directory with the script, and with programs that answer as those on a host do."""
    (tmp_path / "completion").write_text(script(), encoding="utf-8")
    lists = {"registered": REGISTERED, "of_tag": OF_TAG, "snapshots": SNAPSHOTS, "datasets": DATASETS}
    for name, text in PROGRAMS.items():
        answers = text.format(**{key: " ".join(found) for key, found in lists.items()})
        (tmp_path / name).write_text(f"#!/bin/sh\n{answers}", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    return tmp_path


@pytest.fixture(name="offered")
def make_offered(room):
    def offered(*words):
        """What is offered for the last word."""
        command = ["bash", "--norc", "-uc", ASK, "bash", str(room), "zrep", *words]
        done = subprocess.run(command, capture_output=True, check=False, cwd=str(room), text=True)
        assert done.stderr == ""
        return [line for line in done.stdout.splitlines() if line]

    return offered


def dashed(flags):
    return [f"-{flag}" if len(flag) == 1 else f"--{flag}" for flag in flags]


def test_verbs(offered):
    assert offered("") == SHOWN
    assert offered("st") == ["status"]
    assert offered("s") == [name for name in SHOWN if name.startswith("s")]
    assert offered("-t", "dc", "-R", "fail") == ["failover"]
    assert offered("-tdc", "fail") == ["failover"]
    assert offered("help", "ta") == ["takeover"]
    assert offered("_") == []
    assert offered("no-such-verb") == []


@pytest.mark.parametrize("name", [*SHOWN, *ALIASES])
def test_flags_are_those_of_the_verb(offered, name):
    verb = VERBS[ALIASES.get(name, name)]
    assert offered(name, "-") == dashed(verb.options) + dashed(GLOBAL)
    assert offered(name, "--") == [flag for flag in dashed(verb.options) if flag.startswith("--")]


def test_flags_before_the_verb(offered):
    assert offered("-") == dashed(GLOBAL)


@pytest.mark.parametrize("name", ["sync", "-S", "synconly", "snaponly", "expire", "-e", "refresh"])
def test_filesystems_or_all(offered, name):
    assert offered(name, "") == [*REGISTERED, "all"]
    assert offered(name, "pool1/d") == REGISTERED
    assert offered(name, "pool1/da") == ["pool1/data"]
    assert offered(name, "pool1/data", "a") == ["all"]


@pytest.mark.parametrize("name", ["failover", "takeover", "status", "list", "clear", "doctor", "drill", "check"])
def test_filesystems(offered, name):
    assert offered(name, "") == REGISTERED
    assert offered("-D", "-t", "dc", name, "") == OF_TAG
    assert offered(name, "-t", "dc", "") == OF_TAG


def test_where_a_dataset_need_not_be_registered(offered):
    assert offered("init", "") == DATASETS
    assert offered("changeconfig", "-f", "pool1/n") == ["pool1/new"]
    assert offered("init", "pool1/new", "host", "") == []
    assert offered("failover", "pool1/data", "no-such-host-anywhere") == []


@pytest.mark.parametrize("name", ["config", "version", "completion", "metrics"])
def test_verbs_without_operands(offered, name):
    assert offered(name, "") == []


def test_values_of_flags(offered, room):
    (room / "directory").mkdir()
    assert offered("init", "--adopt", "") == ["newest"]
    assert offered("sync", "-q", "") == []
    assert offered("sync", "-q", "60", "a") == ["all"]
    assert offered("failover", "--preserve-as", "pool1/n") == ["pool1/new"]
    assert offered("drill", "--mountpoint", "dir") == ["directory"]
    assert offered("-t", "") == []
    assert offered("sync", "-t", "") == []
    # The same letter takes a value with one verb and none with the other.
    assert offered("check", "-c", "") == []
    assert offered("sync", "-c", "a") == ["all"]


def test_what_follows_a_drills_filesystem_is_a_command(offered, room):
    (room / "my-check").write_text("", encoding="utf-8")
    assert offered("drill", "pool1/data", "--", "my-ch") == ["my-check"]
    assert offered("drill", "--clone", "pool1/x", "pool1/data", "my-ch") == ["my-check"]


def test_snapshots_of_which_bash_takes_only_the_end_for_a_word(offered):
    shorts = ["@" + name.partition("@")[2] for name in SNAPSHOTS]
    assert offered("sync", "pool1/data", "@") == shorts
    assert offered("sync", "pool1/data", "@", "zr") == shorts[:2]
    assert offered("sync", "pool1/data", "@", "daily", ":") == ["1"]
    assert offered("sync", "pool1/data", "@", "daily", ":", "1") == ["1"]
    assert offered("sentsync", "-L", "pool1/data", "@", "zrep_000002") == shorts[1:2]
    assert offered("sync", "pool1/x", "@", "y", "a") == ["all"]


def typed(room, line):
    """What the program is called with when a line is typed at a prompt, tabs included."""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(str(room))
        variables = {
            "PATH": f"{room}:{os.environ['PATH']}",
            "HOME": str(room),
            "TERM": "dumb",
            "PS1": "",
            "INPUTRC": "/",
        }
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], variables)
    said = b""
    for text in ("source completion; echo rea''dy\n", line + "\n", "exit\n"):
        os.write(terminal, text.encode())
        while text.startswith("source") and b"ready" not in said:
            said += os.read(terminal, 4096)
    while True:
        try:
            if not os.read(terminal, 4096):
                break
        except OSError:
            break
    os.close(terminal)
    os.waitpid(pid, 0)
    return (room / "called").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("zrep refr\tpool1/da\t", "refresh pool1/data"),
        ("zrep sync pool1/da\t", "sync pool1/data"),
        ("zrep sentsync pool1/data@zrep_000002\t -L", "sentsync pool1/data@zrep_000002 -L"),
        ("zrep sync pool1/data@d\t", "sync pool1/data@daily:1"),
        ("zrep sync pool1/data@daily:\t", "sync pool1/data@daily:1"),
        ("zrep prune\t--ol\t30 -f", "prune-preserved --older-than 30 -f"),
    ],
)
def test_at_a_prompt(room, line, words):
    assert typed(room, line).strip() == words
