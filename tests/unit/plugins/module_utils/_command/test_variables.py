# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables: which file is trusted, what wins, what values mean, what is refused."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.zfsops.zrep.plugins.module_utils._command import configuration_file, variables
from ansible_collections.zfsops.zrep.plugins.module_utils._command.variables import (
    TABLE,
    Variables,
    create_options,
    load,
    replica_properties,
    settings_of,
    warnings_of,
)
from ansible_collections.zfsops.zrep.plugins.module_utils._core import settings
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import BadInput, ZrepError
from ansible_collections.zfsops.zrep.plugins.module_utils._core.shell import host_name

from . import shells


@pytest.fixture
def path(tmp_path):
    return tmp_path / "default"


@pytest.fixture
def write(path):
    """A configuration file with a text, read together with an environment."""

    def run(text, environment=(), mode=0o644):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return load(dict(environment), str(path))

    return run


@pytest.fixture
def make(tmp_path):
    """Settings from an environment, with a directory of its own for locks."""

    def run(environment=(), **more):
        found = load({"ZREP_RUNDIR": str(tmp_path), **dict(environment)}, str(tmp_path / "none"))
        return settings_of(found, **more)

    return run


def refusal(text):
    """What pytest looks for in the message of a refusal."""
    return re.escape(text)


# -- the file --------------------------------------------------------------------------------------------------


def test_without_a_file_there_is_the_environment(tmp_path):
    for missing in (tmp_path / "none", tmp_path / "none" / "none"):
        found = load({"SSH": "ssh -4"}, str(missing))
        assert found.get("SSH") == "ssh -4"
        assert found.origin("SSH") == "environment"


def test_a_folder_that_is_a_file_holds_none(path, write):
    write("")
    assert load({}, str(path / "below")).get("SSH") == "ssh"


@pytest.mark.acceptance(65)
def test_case_65_the_file_wins_unless_it_says_otherwise(path, write):
    text = "ZREPTAG=dc\nSSH='ssh -p 224'\nexport MARK=\"seen\"\nZREP_SAVE_COUNT=${ZREP_SAVE_COUNT:-7}  # more\n"
    found = write(text, {"ZREPTAG": "x", "SSH": "y", "ZREP_FORCE": "-f"})
    assert (found.get("ZREPTAG"), found.origin("ZREPTAG")) == ("dc", f"{path}:1")
    assert (found.get("SSH"), found.origin("SSH")) == ("ssh -p 224", f"{path}:2")
    assert found.number("ZREP_SAVE_COUNT") == 7
    assert found.exported == {"MARK": "seen", "ZREPTAG": "dc", "SSH": "ssh -p 224"}
    assert (found.flag("ZREP_FORCE"), found.origin("ZREP_FORCE")) == (True, "environment")
    assert not found.complaints
    assert write(text, {"ZREP_SAVE_COUNT": "3"}).number("ZREP_SAVE_COUNT") == 3


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o620, 0o602])
def test_a_file_that_others_can_write_is_refused(path, write, mode):
    with pytest.raises(BadInput, match="write to it") as caught:
        write("ZREPTAG=dc", mode=mode)
    assert caught.value.left == "nothing was changed"
    assert f"chmod go-w {path}" in caught.value.hint
    assert f"{mode:o}" in caught.value.message


def test_a_file_of_somebody_else_is_refused(path, write, monkeypatch):
    write("ZREPTAG=dc")
    if os.geteuid() == 0:
        os.chown(path, 12345, 0)
    monkeypatch.setattr(configuration_file.os, "geteuid", lambda: 12346)
    with pytest.raises(BadInput, match="owns it") as caught:
        load({}, str(path))
    assert f"chown root {path}" in caught.value.hint


@pytest.mark.parametrize("owner", [0, 12345])
def test_a_file_of_root_or_ones_own_is_read(path, write, monkeypatch, owner):
    write("ZREPTAG=dc")
    if os.geteuid() == 0:
        os.chown(path, owner, 0)
        monkeypatch.setattr(configuration_file.os, "geteuid", lambda: 12345)
    assert load({}, str(path)).get("ZREPTAG") == "dc"


def test_what_is_no_file_is_refused_at_once(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(str(tmp_path / "pipe"))
    os.symlink("loop", str(tmp_path / "loop"))
    for name in ("folder", "pipe", "loop"):
        with pytest.raises(BadInput, match=refusal(str(tmp_path / name))):
            load({}, str(tmp_path / name))


def test_a_file_that_cannot_be_read_is_refused(path, write, monkeypatch):
    write("ZREPTAG=dc")

    def denied(*dummy):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(configuration_file.os, "open", denied)
    with pytest.raises(BadInput, match="Permission denied"):
        load({}, str(path))


def test_a_huge_file_is_refused(write):
    limit = configuration_file.SIZE_LIMIT
    assert write(b"A=1\n" + b"#" * (limit - 4)).settings["A"].value == "1"
    with pytest.raises(BadInput, match="more than 1048576 bytes"):
        write(b"A=1\n" + b"#" * (limit - 3))


def test_bytes_that_are_no_utf8_matter_outside_comments_only(write):
    found = write(b"# f\xfcr alle\nZREPTAG=dc\nGREETING='Gr\xfc\xdfe'\n")
    assert found.get("ZREPTAG") == "dc"
    assert "GREETING" not in found.settings
    assert "line 3" in found.complaints[0]
    with pytest.raises(BadInput, match="line 1: bytes that are no UTF-8"):
        write(b"ZREP_OUTFILTER='Gr\xfc\xdfe'\n")


def test_lines_that_do_not_matter_are_complained_about(path, write):
    found = write("umask 022\nZREPTAG=dc\nNAME=$(hostname)\n")
    assert found.get("ZREPTAG") == "dc"
    assert [text.partition(":")[0] for text in found.complaints] == [f"{path}, line 1", f"{path}, line 3"]


def test_a_file_of_something_else_does_not_fill_the_log(path, write):
    assert len(write("x\n" * 20).complaints) == 20
    complaints = write("x\n" * 25).complaints
    assert len(complaints) == 21
    assert complaints[-1] == f"{path}: 5 more lines were not understood"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("\nSSH=$(which ssh)", 2, "it may set SSH"),
        ("SSH = ssh", 1, "it may set SSH"),
        ("ZREPTAG=a b", 1, "it may set ZREPTAG"),
        ("if true; then\nZREPTAG=b\nSSH=x\nfi", 1, "it may set SSH and ZREPTAG"),
        ("set_up() {\nSSH=x\n}\n", 1, "it may set SSH"),
        ("read BBCP </x", 1, "it may set BBCP"),
        ("A=1\n: | : ${ZREP_R:=-R}", 2, "it may set ZREP_R"),
        ("ZREPTAG=dc\r\n", 1, "it may set ZREPTAG"),
        (". /etc/other", 1, "it may set any variable"),
        ("test -r /x && . /x", 1, "it may set any variable"),
        ("return", 1, "it may set any variable"),
        ("A=1\nB='", 2, "it may set any variable"),
        ('A=$(x)\nSSH="ssh $A"', 2, "it may set SSH"),
    ],
)
def test_lines_that_may_set_ours_stop_everything(path, write, text, line, what):
    with pytest.raises(BadInput, match=refusal(what)) as caught:
        write(text)
    assert caught.value.message.startswith(f"{path}, line {line}: ")
    assert caught.value.left == "nothing was changed"
    assert "NAME=${NAME:-VALUE}" in caught.value.hint


def test_lines_that_may_set_what_has_no_effect_do_not_stop(write):
    assert len(write("PERL_BIN=$(dirname /usr/bin/perl)\nmkdir -p $ZREP_RUNDIR\n").complaints) == 2


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ZREP_TAG", "is ZREPTAG meant?"),
        ("ZREP_FILTER", "ZREP_OUTFILTER or ZREP_INFILTER"),
        ("ZREP_LOCKFILE", "ZREP_RUNDIR"),
        ("ZREP_RECV_FLAGS", "ZREP_CREATE_FLAGS"),
        ("ZREP_SKEW", "clocks"),
        ("ZFSCMD", "PATH"),
        ("ZREP_SAVECOUNT", "is ZREP_SAVE_COUNT meant?"),
        ("ZREP_OUT_FILTER", "is ZREP_OUTFILTER meant?"),
    ],
)
def test_names_that_do_not_exist(path, write, name, meant):
    (complaint,) = write(f"\n{name}=x\n").complaints
    assert complaint.startswith(f"{name} ({path}:2) ")
    assert meant in complaint
    assert not write("", {name: "x"}).complaints


def test_other_names_are_none_of_our_business(write):
    assert not write("GZIP=-1\nZREP_SITE_OFFICE=x\nSSH_AUTH_SOCK=/x\n").complaints


# -- values ----------------------------------------------------------------------------------------------------


def test_every_variable_has_a_row(write):
    rows = write("SSH='ssh -4'\nA=1\n", {"ZREPTAG": "dc", "DEBUG": ""}).rows()
    assert [row.name for row in rows] == list(TABLE)
    assert all(row.effect for row in rows)
    by_name = {row.name: row for row in rows}
    assert by_name["SSH"].value == "ssh -4"
    assert by_name["SSH"].origin.endswith("default:1")
    assert by_name["ZREPTAG"][1:3] == ("dc", "environment")
    assert by_name["DEBUG"][1:3] == ("", "default")
    assert by_name["ZREP_SRC_HOST"][1:3] == (host_name(), "default")
    assert by_name["ZREP_INC_FLAG"].value == "-i"
    assert by_name["ZREP_RUNDIR"].value == settings.script_directory()
    assert {row.name: row for row in Variables({}).rows()}["ZREP_INC_FLAG"].value == "-I"


def test_the_script_s_variables_are_all_there():
    script = """
    BBCP DEBUG MBUFFER PERL_BIN SSH ZREPTAG ZREP_CHANGEDONLY ZREP_CREATE_FLAGS ZREP_DATEFORMAT ZREP_FORCE ZREP_INC_FLAG
    ZREP_INFILTER ZREP_INIT_REMOTE_PROPERTIES ZREP_OUTFILTER ZREP_PATH ZREP_R ZREP_RENAME_UNSENT ZREP_RESUME
    ZREP_RESUME_FLAGS ZREP_RUNDIR ZREP_SAVE_COUNT ZREP_SEND_FLAGS ZREP_SKIP_EXPIRE ZREP_SRC_HOST ZREP_VERBOSE
    Z_GLOBAL_PID Z_LOCK_RETRY Z_SETHOLD _ZREP_CHECKFILE
    """
    ours = {"ZREP_LOCKS", "ZREP_COMPRESS", "ZREP_BUFFER", "ZREP_RATE_LIMIT"}
    assert set(script.split()) | ours == set(TABLE)


def test_what_is_empty_is_not_set():
    found = load({"ZREPTAG": "", "ZREP_RENAME_UNSENT": "", "ZREP_R": ""}, "/nonexistent")
    assert found.get("ZREPTAG") == "zrep"
    assert found.origin("ZREPTAG") == "default"
    assert found.flag("ZREP_RENAME_UNSENT")
    assert not found.flag("ZREP_R")


@pytest.mark.parametrize(
    "name", ["ZREP_CHANGEDONLY", "ZREP_RESUME", "ZREP_R", "ZREP_VERBOSE", "ZREP_SKIP_EXPIRE", "DEBUG"]
)
@pytest.mark.parametrize("value", ["1", "yes", "no", "0", "-R"])
def test_any_value_switches_on(name, value):
    assert Variables({name: variables.Setting(value, "environment")}).flag(name)


@pytest.mark.parametrize(("value", "on"), [("", True), ("off", False), ("yes", True)])
def test_transfers_go_on_unless_that_is_switched_off(make, value, on):
    assert make({"ZREP_RESUME": value}).resume is on


def test_the_argument_line_switches_it_on_again():
    found = Variables({"ZREP_RESUME": variables.Setting("off", "environment")})
    assert not variables.settings_of(found).resume
    assert variables.settings_of(found, resume=True).resume


def test_flags_of_a_stream_that_goes_on(make):
    assert make({"ZREP_RESUME_FLAGS": "-c -L"}).resume_options == ("-c", "-L")
    with pytest.raises(BadInput, match=refusal("send option '-h' cannot be used for a stream that is resumed")):
        make({"ZREP_RESUME_FLAGS": "-h"})


@pytest.mark.parametrize(("value", "kept"), [("yes", True), ("no", False), ("YES", False), ("1", False)])
def test_unsent_snapshots_are_kept_for_yes_only(make, value, kept):
    assert make({"ZREP_RENAME_UNSENT": value}).rename_unsent is kept


@pytest.mark.parametrize("value", ["1", "no", "f", "-f "])
def test_force_is_no_guess(value):
    found = Variables({"ZREP_FORCE": variables.Setting(value, "environment")})
    with pytest.raises(BadInput, match=refusal(f"{value!r} cannot be used: expected -f")):
        found.flag("ZREP_FORCE")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ZREP_SAVE_COUNT", "0"),
        ("ZREP_SAVE_COUNT", "-1"),
        ("ZREP_SAVE_COUNT", "5 "),
        ("ZREP_SAVE_COUNT", "٣"),
        ("ZREP_SAVE_COUNT", "1000000000"),
        ("ZREP_SAVE_COUNT", "many"),
        ("Z_LOCK_RETRY", "-1"),
        ("Z_LOCK_RETRY", "1.5"),
    ],
)
def test_numbers_that_make_no_sense(write, name, value):
    found = write(f"{name}='{value}'\n")
    with pytest.raises(BadInput, match=refusal(f"{value!r} cannot be used")) as caught:
        found.number(name)
    assert f"({name}, " in caught.value.message
    assert "default:1)" in caught.value.message


@pytest.mark.parametrize(
    ("environment", "number"),
    [
        ({}, 5),
        ({"ZREP_SAVE_COUNT": "1"}, 1),
        ({"ZREP_SAVE_COUNT": "007"}, 7),
        ({"ZREP_SAVE_COUNT": "999999999"}, 999999999),
    ],
)
def test_numbers(environment, number):
    assert load(environment, "/nonexistent").number("ZREP_SAVE_COUNT") == number


def test_nobody_waits_for_a_lock_who_says_so(make):
    assert make({"Z_LOCK_RETRY": "0"}).lock_retry == 0
    assert make().lock_retry == 10


def test_options_win(make):
    found = Variables({"ZREPTAG": variables.Setting("x", "environment")})
    assert found.with_option("ZREPTAG", "dc").get("ZREPTAG") == "dc"
    assert found.with_option("ZREPTAG", "dc").origin("ZREPTAG") == "option"
    assert found.get("ZREPTAG") == "x"
    assert make({"ZREPTAG": "x"}, tag="dc").tag == "dc"


# -- what the core gets ----------------------------------------------------------------------------------------


def test_without_variables_the_core_has_its_defaults(make, tmp_path):
    expected = settings.make(environment={"ZREP_RUNDIR": str(tmp_path), "ZREP_PATH": ""})
    assert make() == expected


@pytest.mark.parametrize(
    ("environment", "field", "value"),
    [
        ({"ZREPTAG": "dc"}, "tag", "dc"),
        ({"ZREPTAG": "dc"}, "intermediates", False),
        ({"ZREPTAG": "dc", "ZREP_INC_FLAG": "-I"}, "intermediates", True),
        ({"ZREP_INC_FLAG": "-i"}, "intermediates", False),
        ({"SSH": "ssh -p '2 2'"}, "ssh", ("ssh", "-p", "2 2")),
        ({"ZREP_SRC_HOST": "x"}, "identity", "x"),
        ({"ZREP_SEND_FLAGS": "-c --raw"}, "send_options", ("-c", "--raw")),
        ({"ZREP_SKIP_EXPIRE": "no"}, "skip_expire", True),
        ({"ZREP_LOCKS": "script"}, "lock_properties", settings.ALWAYS),
        ({"ZREP_LOCKS": "off"}, "lock_properties", settings.NEVER),
        ({"ZREP_LOCKS": "auto"}, "lock_properties", settings.AUTO),
        ({"ZREP_OUTFILTER": " gzip -c "}, "out_filter", "gzip -c"),
        ({"ZREP_INFILTER": "gzip -d"}, "in_filter", "gzip -d"),
        ({"ZREP_INFILTER": "gzip -d"}, "out_filter", ""),
        ({"MBUFFER": "mbuffer -q"}, "out_filter", "mbuffer -q"),
        ({"MBUFFER": "mbuffer -q", "ZREP_OUTFILTER": "gzip"}, "out_filter", "gzip | mbuffer -q"),
        ({"MBUFFER": "mbuffer -q", "ZREP_INFILTER": "gzip -d"}, "in_filter", "mbuffer -q | gzip -d"),
        ({"BBCP": "bbcp -P 2"}, "bbcp", "bbcp -P 2"),
        ({"ZREP_COMPRESS": "zstd"}, "compress", "zstd"),
        ({}, "compress", "none"),
        ({"ZREP_BUFFER": "128M"}, "buffer", 128 << 20),
        ({"ZREP_RATE_LIMIT": "20m"}, "rate_limit", 20 << 20),
        ({"ZREP_RATE_LIMIT": "none"}, "rate_limit", 0),
        ({"ZREP_VERBOSE": "1"}, "progress", True),
        ({}, "progress", False),
        ({"ZREP_PATH": "/opt/zrep"}, "script_path", "/opt/zrep"),
        ({"Z_LOCK_RETRY": "3"}, "lock_retry", 3),
    ],
)
def test_what_the_core_gets(make, environment, field, value):
    assert getattr(make(environment), field) == value


def test_a_value_in_the_file_counts_as_one_in_the_environment(write, tmp_path):
    found = write(f"ZREP_RUNDIR={tmp_path}\nZREP_SKIP_EXPIRE=1\nZ_LOCK_RETRY=4\nunset ZREP_PATH\n", {"ZREP_PATH": "/x"})
    core = settings_of(found, verbose=True)
    assert os.path.dirname(core.rundir) == core.script_rundir == str(tmp_path)
    assert (core.skip_expire, core.lock_retry, core.progress, core.script_path) == (True, 4, True, "")


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"ZREPTAG": "A"}, "tag 'A' cannot be used"),
        ({"SSH": "ssh 'x"}, "No closing quotation"),
        ({"SSH": "''"}, "ssh is empty"),
        ({"SSH": " "}, "ssh is empty"),
        ({"ZREP_SRC_HOST": "-x"}, "begins with '-'"),
        ({"ZREP_SEND_FLAGS": "-R"}, "send option '-R'"),
        ({"ZREP_SEND_FLAGS": "'"}, "No closing quotation"),
        ({"ZREP_INC_FLAG": "-x"}, "expected -I or -i"),
        ({"ZREP_LOCKS": "yes"}, "expected auto or script or off"),
        ({"ZREP_OUTFILTER": "| gzip"}, "begins or ends with a pipe"),
        ({"ZREP_INFILTER": "gzip |"}, "begins or ends with a pipe"),
        ({"MBUFFER": "|mbuffer"}, "begins or ends with a pipe"),
        ({"BBCP": "'"}, "No closing quotation"),
        ({"ZREP_COMPRESS": "zip"}, "'zip' cannot be used: expected none, auto, zstd, lz4, gzip"),
        ({"ZREP_BUFFER": "1M; id"}, "expected a size such as 128M"),
        ({"ZREP_RATE_LIMIT": "$(id)"}, "expected bytes per second such as 20M"),
        ({"Z_LOCK_RETRY": "x"}, "expected a whole number from 0 on"),
        ({"ZREP_RUNDIR": "run"}, "begins with /"),
    ],
)
def test_what_the_core_must_not_get(make, environment, why):
    with pytest.raises(BadInput, match=refusal(why)) as caught:
        make(environment)
    (name,) = environment
    assert caught.value.message.endswith(f"({name}, environment)")
    assert caught.value.left == "nothing was changed"
    assert caught.value.hint


@pytest.mark.parametrize("tag", ["", "A", "-x"])
def test_a_tag_of_the_argument_line_is_checked(make, tag):
    with pytest.raises(BadInput, match="tag"):
        make({"ZREPTAG": "dc"}, tag=tag)


def test_what_is_outdated_is_said(write):
    assert list(warnings_of(write("SSH=x"))) == []
    (warning,) = warnings_of(write("\nMBUFFER=mbuffer"))
    assert "default:2" in warning
    assert "ZREP_OUTFILTER" in warning


# -- properties of replicas ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("", {}),
        ("-o compression=lz4 -o x:y='a b=c' -p", {"compression": "lz4", "x:y": "a b=c"}),
        ("-ocompression=lz4 -u", {"compression": "lz4"}),
        ("-o a=1 -o a=2", {"a": "2"}),
        ("-o canmount=", {"canmount": ""}),
    ],
)
def test_properties_of_a_replica_that_is_made(write, flags, found):
    assert create_options(write(f'ZREP_CREATE_FLAGS="{flags}"')) == found


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ("-s", "not '-s'"),
        ("-o a=1 -b 8k", "not '-b'"),
        ("-o", "not '-o'"),
        ("-o compression", "not 'compression'"),
        ("compression=lz4", "not 'compression=lz4'"),
        ("-o =x", "is empty"),
        ("-o A=x", "'A' is no name"),
        ("-o 'a=1", "No closing quotation"),
    ],
)
def test_flags_that_cannot_be_mapped(write, flags, why):
    found = write(f'ZREP_CREATE_FLAGS="{flags}"')
    with pytest.raises(BadInput, match=refusal(why)) as caught:
        create_options(found)
    assert "(ZREP_CREATE_FLAGS, " in caught.value.message
    assert ("refreservation=none" in caught.value.hint) is (flags == "-s")


def test_properties_of_every_replica(write):
    found = write("ZREP_INIT_REMOTE_PROPERTIES='compression=lz4  x:y=a=b'")
    assert replica_properties(found) == {"compression": "lz4", "x:y": "a=b"}
    assert replica_properties(write("")) == {}


@pytest.mark.parametrize("text", ["x", "=x", "A=b", "a=b -x=c"])
def test_properties_that_are_none(write, text):
    with pytest.raises(BadInput, match="ZREP_INIT_REMOTE_PROPERTIES, "):
        replica_properties(write(f"ZREP_INIT_REMOTE_PROPERTIES='{text}'"))


# -- any text --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


def refused(home, content):
    """Do all that a call does with a file; the refusal, if there is one."""
    (home / "file").write_bytes(content)
    (home / "file").chmod(0o644)
    try:
        found = load({"HOME": "/home/x"}, str(home / "file")).with_option("ZREP_RUNDIR", str(home))
        for use in (settings_of, create_options, replica_properties, Variables.rows):
            use(found)
    except ZrepError as error:
        return error
    return None


@given(content=st.binary(max_size=100))
def test_any_file_is_read_or_refused(home, content):
    error = refused(home, content)
    assert error is None or str(error).isprintable()


@given(
    name=st.sampled_from(sorted(TABLE)),
    value=st.text(st.characters(blacklist_characters="'", blacklist_categories=("Cs",)), max_size=40),
)
def test_any_value_is_used_or_refused(home, name, value):
    error = refused(home, f"{name}='{value}'\n".encode())
    assert error is None or name in str(error)


@given(text=shells.files)
def test_any_assignments_are_used_or_refused(home, text):
    error = refused(home, text.encode())
    assert error is None or error.left == "nothing was changed"
