# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate as a program: what it logs, what it says, what it runs."""

from __future__ import annotations

import json
import os
import syslog

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._gate import main as room

RULES = {"version": 1, "name": "host1", "pairs": []}


@pytest.fixture
def gate(tmp_path, monkeypatch, capsys):
    """Ask something; the exit status, the complaint, the log, and what took the place of the process."""
    logged, executed = [], []
    path = tmp_path / "rules"
    path.write_text(json.dumps(RULES))
    path.chmod(0o600)
    monkeypatch.setattr(syslog, "openlog", lambda *_words: None)
    monkeypatch.setattr(syslog, "syslog", lambda level, line: logged.append((level, line)))
    monkeypatch.setattr(os, "execvp", lambda _file, argv: executed.append((argv, dict(os.environ))))

    def ask(request, rules=None, **environment):
        if rules is not None:
            path.write_text(json.dumps(rules))
        caller = {"SSH_ORIGINAL_COMMAND": request, "SSH_CONNECTION": "192.0.2.1 5 192.0.2.2 22", **environment}
        with monkeypatch.context() as inner:
            inner.setattr(os, "environ", {"HOME": "/root", **caller})
            status = room.main(["--config", str(path)])
        return status, capsys.readouterr(), logged, executed

    return ask


def test_a_refusal_is_one_line_in_the_log(gate):
    status, said, logged, executed = gate("zfs list tank\nreboot\x1b[2J \u00e9")
    assert status == 77
    assert executed == []
    assert said.err == "zrep gate: permission denied: it has control characters\n"
    ((level, line),) = logged
    assert level == syslog.LOG_WARNING
    assert line == ("refused host1 from 192.0.2.1 (it has control characters): zfs list tank\\nreboot\\x1b[2J \\xe9")


def test_what_is_long_is_cut_in_the_log(gate):
    _status, _said, ((_level, line),), _executed = gate("x" * 50000)
    assert len(line) < 1200


def test_nothing_of_the_callers_environment_reaches_what_is_run(gate):
    _status, _said, logged, ((argv, environment),) = gate("uname -n", LD_PRELOAD="/tmp/x", PATH="/tmp", LC_ALL="de_DE")
    assert argv == ("uname", "-n")
    assert environment == {"HOME": "/root", "LC_ALL": "C", "PATH": room._PATH}
    assert logged == []


def test_what_is_admitted_can_be_logged_too(gate):
    _status, _said, logged, _executed = gate("uname -n", {**RULES, "log_all": True})
    assert logged == [(syslog.LOG_INFO, "admitted host1 from 192.0.2.1: uname -n")]


def test_rules_that_make_no_sense_let_nothing_in(gate):
    status, said, logged, executed = gate("uname -n", {"version": 9})
    assert (status, executed) == (77, [])
    assert len(logged) == 1
    assert "permission denied" in said.err


def test_what_nobody_has_thought_of_lets_nothing_in(gate, monkeypatch):
    monkeypatch.setattr(room, "admit", lambda *_words: 1 / 0)
    status, said, ((level, line),), executed = gate("uname -n")
    assert (status, executed, level) == (77, [], syslog.LOG_ERR)
    assert "ZeroDivisionError" in line
    assert "Traceback" not in said.err


@pytest.mark.parametrize("words", [[], ["--config"], ["--config", "a", "b"], ["-x", "a"]])
def test_it_is_started_by_sshd_only(words, capsys):
    assert room.main(words) == 1
    assert "usage" in capsys.readouterr().err
