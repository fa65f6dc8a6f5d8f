# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options and environment, and the private directory."""

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.zfsops.zrep.plugins.module_utils._core import settings
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import BadInput
from ansible_collections.zfsops.zrep.plugins.module_utils._core.shell import host_name


@pytest.fixture
def make(tmp_path):
    def build(environment=None, **options):
        return settings.make(environment=dict({"ZREP_RUNDIR": str(tmp_path)}, **(environment or {})), **options)

    return build


def test_defaults(make, tmp_path):
    found = make()
    assert found.tag == "zrep"
    assert found.identity == host_name()
    assert found.ssh == ("ssh",)
    assert found.intermediates
    assert found.rename_unsent
    assert not found.skip_expire
    assert found.parallel == 1
    assert found.lock_properties == settings.AUTO
    assert found.lock_retry == 10
    assert found.script_rundir == str(tmp_path)
    assert os.path.dirname(found.rundir) == str(tmp_path)


@pytest.mark.acceptance(15)
def test_case_15_only_the_default_tag_sends_intermediates(make):
    assert not make(tag="dc").intermediates
    assert make(tag="dc", intermediates=True).intermediates
    assert not make(intermediates=False).intermediates


@pytest.mark.acceptance(44)
@pytest.mark.parametrize(("value", "skip"), [("1", True), ("yes", True), ("", False)])
def test_case_44_expiry_can_be_switched_off(make, value, skip):
    assert make({"ZREP_SKIP_EXPIRE": value}).skip_expire is skip


@pytest.mark.acceptance(10)
def test_case_10_this_host_may_go_by_another_name(make):
    assert make(src_host="x").identity == "x"


@pytest.mark.parametrize(
    "options",
    [
        {"tag": ""},
        {"tag": "-x"},
        {"tag": "a:b"},
        {"src_host": "a b"},
        {"src_host": "-x"},
        {"parallel": 0},
        {"parallel": -1},
        {"parallel": settings.PARALLEL_LIMIT + 1},
        {"lock_properties": ""},
        {"lock_properties": "yes"},
        {"lock_properties": True},
        {"ssh": ""},
        {"ssh": "  "},
        {"ssh": "ssh 'open"},
        {"ssh": "'' -4"},
        {"ssh": "ssh\0"},
        {"bbcp": " "},
        {"bbcp": "bbcp 'open"},
        {"out_filter": "| gzip"},
        {"in_filter": "gzip |"},
        {"in_filter": "gzip\0"},
        {"compress": ""},
        {"compress": "zstd -19"},
        {"buffer": "0"},
        {"buffer": "1023K"},
        {"buffer": "2000G"},
        {"buffer": "-1M"},
        {"buffer": "128MB"},
        {"buffer": "128M\n"},
        {"buffer": "\u0661M"},
        {"rate_limit": "1.5M"},
        {"rate_limit": "16383"},
        {"rate_limit": "fast"},
        {"rate_limit": "9" * 5000},
    ],
)
def test_what_cannot_be_used(make, options):
    with pytest.raises(BadInput):
        make(**options)


@pytest.mark.parametrize("mode", [settings.AUTO, settings.ALWAYS, settings.NEVER])
def test_when_the_properties_of_the_script_are_written(make, mode):
    assert make(lock_properties=mode).lock_properties == mode


@pytest.mark.acceptance(69)
@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("30", 30), ("", 10)])
def test_case_69_how_long_the_global_lock_is_waited_for(make, text, seconds):
    assert make({"Z_LOCK_RETRY": text}).lock_retry == seconds


@pytest.mark.parametrize("text", ["x", "-1", "1.5", " 5", "5s"])
def test_how_long_it_cannot_be_waited_for(make, text):
    with pytest.raises(BadInput, match="Z_LOCK_RETRY"):
        make({"Z_LOCK_RETRY": text})


@pytest.mark.parametrize(
    ("user", "group", "more", "called", "expected"),
    [
        (0, 0, [], "root", "/var/run"),
        (1000, 1000, [1000], "root", "/tmp"),
        (1000, 0, [1000], "root", "/var/run"),
        (1000, 1000, [1000, 0], "root", "/var/run"),
        (1000, 1000, [1000, 0], "wheel", "/tmp"),
    ],
)
def test_where_the_script_keeps_its_lock(monkeypatch, user, group, more, called, expected):
    """It is at home where root is, and takes everybody for root whom id(1) shows with that word."""
    private = stat.S_IFDIR | 0o700
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(os, "getegid", lambda: group)
    monkeypatch.setattr(os, "getgroups", lambda: more)
    monkeypatch.setattr(settings.grp, "getgrgid", lambda number: settings.grp.struct_group((called, "x", number, [])))
    monkeypatch.setattr(os, "makedirs", lambda *dummy, **more: None)
    monkeypatch.setattr(os, "lstat", lambda path: os.stat_result((private, 0, 0, 1, user, group, 0, 0, 0, 0)))
    assert settings.make(environment={}).script_rundir == expected


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 0),
        ("none", 0),
        ("1048576", 1 << 20),
        ("1024k", 1 << 20),
        ("128M", 128 << 20),
        ("2G", 2 << 30),
        ("1T", 1 << 40),
    ],
)
def test_sizes_and_rates(make, text, number):
    found = make(buffer=text, rate_limit=text, compress="auto")
    assert (found.buffer, found.rate_limit, found.compress) == (number, number, "auto")


def test_what_streams_pass(make):
    found = make(out_filter=" gzip -c\n", in_filter="gzip -d | cat", bbcp="bbcp -P 2", progress=True)
    assert (found.out_filter, found.in_filter, found.bbcp, found.progress) == (
        "gzip -c",
        "gzip -d | cat",
        "bbcp -P 2",
        True,
    )
    found = make()
    assert (found.out_filter, found.in_filter, found.bbcp, found.progress) == ("", "", "", False)


def test_where_the_script_is(make):
    assert make().script_path == ""
    assert make({"ZREP_PATH": "/opt/zrep"}).script_path == "/opt/zrep"


def test_ssh_is_words_and_no_shell(make):
    assert make(ssh="ssh -p 2222 -o 'User=a b' ; id").ssh == ("ssh", "-p", "2222", "-o", "User=a b", ";", "id")


@pytest.mark.parametrize("word", ["-c", "-L", "-cLe", "-w", "--raw", "--compressed", "--large-block"])
def test_send_options(make, word):
    assert make(send_options=[word]).send_options == (word,)


@pytest.mark.parametrize(
    "word",
    [
        "",
        "c",
        "-",
        "--",
        "-i",
        "-I",
        "-R",
        "-t",
        "-n",
        "-v",
        "-P",
        "-p",
        "-S",
        "-cR",
        "-c -R",
        "-c;id",
        "p/a@1",
        "--raw=x",
        "-d3",
    ],
)
def test_send_options_that_change_what_a_stream_is(make, word):
    with pytest.raises(BadInput):
        make(send_options=["-c", word])


@pytest.mark.parametrize(
    "word", ["--replicate", "--props", "--dryrun", "--parsable", "--verbose", "--resume", "--saved"]
)
def test_long_names_of_send_options_that_change_what_a_stream_is(make, word):
    with pytest.raises(BadInput):
        make(send_options=[word])


@pytest.mark.parametrize("word", ["-d", "--redact", "-X", "--exclude"])
def test_send_options_that_would_swallow_the_next_word(make, word):
    with pytest.raises(BadInput):
        make(send_options=[word])


@pytest.mark.acceptance(26)
def test_case_26_the_shortest_limit_for_a_busy_filesystem():
    with pytest.raises(BadInput):
        settings.check_skip_busy(29)
    assert settings.check_skip_busy(30) == 30
    assert settings.check_skip_busy(None) is None


def test_settings_are_frozen(make):
    with pytest.raises(AttributeError):
        make().tag = "other"


# The private directory


def directory(base):
    return settings.private_directory({"ZREP_RUNDIR": str(base)})


def test_the_private_directory_is_made(tmp_path):
    path = directory(tmp_path / "new")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    assert directory(tmp_path / "new") == path


def test_users_have_directories_of_their_own(tmp_path, monkeypatch):
    mine = directory(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    assert "4321" in os.path.basename(_path_of(tmp_path))
    monkeypatch.undo()
    assert directory(tmp_path) == mine


def _path_of(base):
    """Where another user's directory would be; it is refused, since it cannot be made in that name."""
    with pytest.raises(BadInput) as caught:
        directory(base)
    return caught.value.message.partition("directory ")[2].partition(" ")[0]


def test_a_link_is_no_private_directory(tmp_path):
    path = directory(tmp_path)
    os.rename(path, path + "-real")
    os.symlink(path + "-real", path)
    with pytest.raises(BadInput):
        directory(tmp_path)


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_others_may_not_write_to_the_private_directory(tmp_path, mode):
    os.chmod(directory(tmp_path), mode)
    with pytest.raises(BadInput):
        directory(tmp_path)


def test_a_file_is_no_private_directory(tmp_path):
    path = directory(tmp_path)
    os.rmdir(path)
    with open(path, "w", encoding="utf-8"):
        pass
    with pytest.raises(BadInput):
        directory(tmp_path)


def test_the_directory_of_somebody_else_is_no_private_directory(tmp_path, monkeypatch):
    path = directory(tmp_path)
    other = os.path.join(os.path.dirname(path), "zrep-4321")
    os.mkdir(other, 0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    with pytest.raises(BadInput):
        directory(tmp_path)
