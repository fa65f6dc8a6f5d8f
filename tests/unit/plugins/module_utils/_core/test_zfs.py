# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines, the reading of what zfs prints, and the meaning of its complaints."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.zfsops.zrep.plugins.module_utils._core import errors, zfs
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import Features, Property

from .builders import MODERN, OLD

WANTED = zfs.wanted_properties("zrep", MODERN)
USER = [name for name in WANTED if name.startswith("zrep:")]
NATIVE_VALUES = {
    "type": "filesystem",
    "guid": "1234",
    "createtxg": "7",
    "creation": "1600000000",
    "used": "10",
    "referenced": "10",
    "available": "1000",
    "mounted": "yes",
    "readonly": "off",
    "userrefs": "-",
    "written": "5",
    "receive_resume_token": "-",
}


# Asking


def test_an_unknown_host_is_asked_for_what_modern_ones_know():
    wanted = zfs.wanted_properties("zrep", None)
    assert {"written", "receive_resume_token"} <= set(wanted)
    assert "unique" not in wanted


def test_a_known_host_is_asked_for_what_it_knows():
    assert "written" in zfs.wanted_properties("zrep", MODERN)
    assert "unique" in zfs.wanted_properties("zrep", OLD)
    assert "written" not in zfs.wanted_properties("zrep", OLD)
    assert not set(zfs.OPTIONAL) & set(zfs.wanted_properties("zrep", Features()))


def test_unique_only_stands_in_for_written():
    assert "unique" not in zfs.wanted_properties("zrep", Features(frozenset(("written", "unique"))))


def test_further_properties_come_last_and_once():
    wanted = zfs.wanted_properties("t", MODERN, ("readonly", "compression"))
    assert wanted[-1] == "compression"
    assert len(set(wanted)) == len(wanted)
    assert {"t:src-fs", "t:master", "t:lock-pid", "t:sent"} <= set(wanted)


def test_get_of_some_and_of_all():
    assert zfs.get(("type", "guid"), ("p/a", "p/b")) == (
        "zfs",
        "get",
        "-Hp",
        "-r",
        "-d",
        "1",
        "-o",
        "name,property,value,source",
        "type,guid",
        "p/a",
        "p/b",
    )
    assert zfs.get(("type",)) == ("zfs", "get", "-Hp", "-o", "name,property,value,source", "type")


# Changing


def test_snapshots_of_one_pool_share_a_command():
    targets = ["p/a@s", "q/x@s", "p/b@s"]
    assert zfs.snapshot(targets, MODERN) == [("zfs", "snapshot", "p/a@s", "p/b@s"), ("zfs", "snapshot", "q/x@s")]
    assert zfs.snapshot(targets, OLD) == [("zfs", "snapshot", target) for target in targets]


def test_properties_share_a_command():
    values = {"zrep:a": "1", "zrep:b": "2"}
    assert zfs.set_properties(values, ["p/a", "p/b"], MODERN) == [
        ("zfs", "set", "zrep:a=1", "zrep:b=2", "p/a", "p/b"),
    ]
    assert zfs.set_properties(values, ["p/a", "p/b"], OLD) == [
        ("zfs", "set", "zrep:a=1", "p/a", "p/b"),
        ("zfs", "set", "zrep:b=2", "p/a", "p/b"),
    ]
    assert zfs.set_properties(values, [], MODERN) == []


def test_inherit_takes_one_property_a_command():
    assert zfs.inherit(("zrep:a", "zrep:b"), ["p/a", "p/b"]) == [
        ("zfs", "inherit", "zrep:a", "p/a", "p/b"),
        ("zfs", "inherit", "zrep:b", "p/a", "p/b"),
    ]


def test_destroy_never_reaches_further_than_named():
    targets = ["p/a@1", "p/b@1", "p/a@2"]
    assert zfs.destroy_snapshots(targets, MODERN) == [("zfs", "destroy", "p/a@1,2"), ("zfs", "destroy", "p/b@1")]
    assert zfs.destroy_snapshots(targets, OLD) == [("zfs", "destroy", target) for target in targets]


def test_other_changes():
    assert zfs.rename("p/a@1", "p/a@2") == ("zfs", "rename", "p/a@1", "p/a@2")
    assert zfs.rollback("p/a@1") == ("zfs", "rollback", "-r", "p/a@1")
    assert zfs.unmount("p/a") == ("zfs", "unmount", "p/a")


def test_a_clone_and_its_end():
    assert zfs.clone("p/a@x", "p/b", {}) == ("zfs", "clone", "p/a@x", "p/b")
    assert zfs.clone("p/a@x", "p/b", {"k": "v w", "l": ""})[2:6] == ("-o", "k=v w", "-o", "l=")
    assert zfs.destroy_dataset("p/b") == ("zfs", "destroy", "p/b")


def test_send_in_full_and_from_a_base():
    assert zfs.send("p/a@1", None, True, False, ()) == ("zfs", "send", "p/a@1")
    assert zfs.send("p/a@2", "p/a@1", True, False, ("-c",)) == ("zfs", "send", "-c", "-I", "p/a@1", "p/a@2")
    assert zfs.send("p/a@2", "p/a@1", False, False, ()) == ("zfs", "send", "-i", "p/a@1", "p/a@2")
    assert zfs.send("p/a@1", None, False, True, ()) == ("zfs", "send", "-p", "p/a@1")


def test_receive_neither_mounts_nor_rolls_back():
    assert zfs.receive("q/a", {}, ()) == ("zfs", "receive", "-u", "q/a")
    assert zfs.receive("q/a", {"readonly": "on"}, ("mountpoint",)) == (
        "zfs",
        "receive",
        "-u",
        "-x",
        "mountpoint",
        "-o",
        "readonly=on",
        "q/a",
    )


def test_settle_costs_one_process():
    assert zfs.settle(["p/a", "p/b", "q/x"], "zrep", MODERN) == [("zpool", "sync", "p", "q")]
    assert zfs.settle(["p/a", "p/b"], "zrep", OLD) == [("zfs", "inherit", "zrep:settle", "p/a", "p/b")]


@pytest.mark.parametrize(
    "build",
    [
        lambda targets: zfs.snapshot(targets, MODERN),
        lambda targets: zfs.set_properties({"zrep:a": "1"}, targets, MODERN),
        lambda targets: zfs.inherit(("zrep:a",), targets),
        lambda targets: zfs.destroy_snapshots(targets, MODERN),
    ],
)
def test_long_lists_are_cut_and_nothing_is_lost(build):
    targets = [f"p/a@{number:0200d}" for number in range(1000)]
    commands = build(targets)
    assert len(commands) > 1
    assert all(sum(len(word) + 1 for word in argv) < 2 * zfs.ARGUMENT_BYTES for argv in commands)
    said = " ".join(" ".join(argv) for argv in commands)
    assert all(said.count(target.partition("@")[2]) == 1 for target in targets)


# Reading


def rows(name, values):
    """One dataset as ``zfs get -Hp`` prints it; nothing is escaped."""
    return "".join(
        f"{name}\t{wanted}\t{values.get(wanted, ('-', '-'))[0]}\t{values.get(wanted, ('-', '-'))[1]}\n"
        for wanted in WANTED
    )


def values_of(**user):
    found = {name: (value, "-") for name, value in NATIVE_VALUES.items()}
    found.update({"zrep:" + name.replace("_", "-"): value for name, value in user.items()})
    return found


def parse(text):
    return zfs.parse_get(text, WANTED, "zrep", "hosta")


def test_a_dataset_with_its_snapshots():
    first, second = values_of(sent=("1600000060", "local")), values_of(sent=("1600000000", "local"))
    first.update(guid=("22", "-"), createtxg=("9", "-"), userrefs=("1", "-"))
    second.update(guid=("11", "-"), createtxg=("8", "-"), userrefs=("0", "-"), written=("-", "-"))
    text = rows("p/a", values_of(dest_fs=("q/b", "local"))) + rows("p/a@a", first) + rows("p/a@b", second)
    found = parse(text)["p/a"]
    assert (found.name, found.type, found.guid) == ("p/a", "filesystem", 1234)
    assert found.properties["zrep:dest-fs"] == Property("q/b", "local")
    # By createtxg, not by name or place.
    assert [snapshot.name for snapshot in found.snapshots] == ["p/a@b", "p/a@a"]
    one, two = found.snapshots
    assert (one.guid, one.createtxg, one.sent, one.written, one.holds) == (11, 8, 1600000000, None, 0)
    assert (two.guid, two.creation, two.sent, two.written, two.holds) == (22, 1600000000, 1600000060, 5, 1)


def test_nothing_printed_is_nothing_found():
    assert parse("") == {}


def test_only_a_local_mark_counts():
    for source in ("received", "inherited from p/a"):
        text = rows("p/a", values_of()) + rows("p/a@one", values_of(sent=("1600000000", source)))
        snapshot = parse(text)["p/a"].snapshots[0]
        assert (snapshot.sent, snapshot.bad_mark) == (None, None)


def test_a_mark_that_is_no_time_is_kept_as_such():
    text = rows("p/a", values_of()) + rows("p/a@one", values_of(sent=("yesterday", "local")))
    snapshot = parse(text)["p/a"].snapshots[0]
    assert (snapshot.sent, snapshot.bad_mark) == (None, "yesterday")


@pytest.mark.parametrize("value", ["\u00b2", "9" * 5000], ids=["superscript", "5000 digits"])
def test_a_mark_that_only_looks_like_a_number_is_no_time(value):
    """Digits that int() refuses: superscripts, and more of them than Python reads."""
    text = rows("p/a", values_of()) + rows("p/a@one", values_of(sent=(value, "local")))
    snapshot = parse(text)["p/a"].snapshots[0]
    assert (snapshot.sent, snapshot.bad_mark) == (None, value)


def test_sources_are_told_apart():
    text = rows("p/a", values_of(src_fs=("x", "inherited from p"), dest_fs=("y", "received"), master=("yes", "local")))
    found = parse(text)["p/a"]
    assert found.source("zrep:src-fs") == "inherited"
    assert found.source("zrep:dest-fs") == "received"
    assert found.source("zrep:master") == "local"
    assert found.source("zrep:sent") == "none"


PLAIN_TEXT = st.text(st.characters(blacklist_characters="\t\n", blacklist_categories=("Cs",)), max_size=30)


@given(st.dictionaries(st.sampled_from(["p/a", "p/b", "p/b/c"]), st.dictionaries(st.sampled_from(USER), PLAIN_TEXT)))
def test_what_was_printed_is_what_is_read(datasets):
    text = ""
    for name, user in datasets.items():
        values = values_of()
        values.update({key: (value, "local") for key, value in user.items()})
        text += rows(name, values)
    found = parse(text)
    assert set(found) == set(datasets)
    for name, user in datasets.items():
        for key in USER:
            expected = Property(user[key], "local") if key in user else Property("-", "none")
            assert found[name].properties[key] == expected


def forged_rows():
    """Lines as an attacker would write them: real rows of the table, whole, cut and joined with other text."""
    name = st.sampled_from(["p/a", "p/b", "p/victim", "p/a@one", "p/victim@one", ""])
    row = st.builds(
        "{}\t{}\t{}\t{}".format,
        name,
        st.sampled_from(WANTED),
        st.sampled_from(["yes", "1", "p/victim", "9999", "-"]),
        st.sampled_from(["local", "-", "received"]),
    )
    block = st.builds(
        lambda name, guid: rows(name, dict(values_of(master=("yes", "local")), guid=(guid, "-"))).rstrip("\n"),
        name,
        st.sampled_from(["1234", "666"]),
    )
    return st.lists(st.one_of(row, block, st.sampled_from(["x", "", "\t", "yes\tlocal", "\r"])), min_size=1, max_size=5)


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.sampled_from(USER), forged_rows()), min_size=1, max_size=3),
)
def test_a_value_cannot_pretend_to_be_rows(attacks):
    names = ["p/a", "p/victim", "p/a@one"]
    tables = [values_of(), values_of(), values_of()]
    for number, key, lines in attacks:
        tables[number][key] = ("\n".join(lines), "local")
    assume(any("\n" in value or "\t" in value for table in tables for value, dummy in table.values()))
    text = "".join(rows(name, table) for name, table in zip(names, tables))
    with pytest.raises(errors.BadProperty):
        parse(text)


@given(st.sampled_from(USER), st.text(max_size=60))
def test_any_value_is_read_as_it_is_or_refused(key, value):
    assume(value < "\ud800" or value.isprintable())
    table = values_of()
    table[key] = (value, "local")
    text = rows("p/a", table) + rows("p/victim", values_of())
    try:
        found = parse(text)
    except errors.BadProperty:
        assert "\t" in value or "\n" in value
        return
    assert set(found) == {"p/a", "p/victim"}
    assert found["p/a"].properties[key].value == value
    assert found["p/victim"].local("zrep:master") is None
    assert (found["p/a"].guid, found["p/victim"].guid) == (1234, 1234)


def test_a_value_that_closes_one_dataset_and_opens_another_is_refused():
    table = values_of()
    rest = rows("p/a", values_of()).split("\n")
    position = WANTED.index("zrep:dest-fs")
    table["zrep:dest-fs"] = ("x\tlocal\n" + "\n".join(rest[position + 1 :]) + rows("p/victim", values_of()), "local")
    with pytest.raises(errors.BadProperty):
        parse(rows("p/a", table))


def test_a_broken_table_names_the_property_to_look_at():
    table = values_of(dest_fs=("q/b\nmore", "local"))
    with pytest.raises(errors.BadProperty) as caught:
        parse(rows("p/a", table))
    assert "zrep:dest-fs" in caught.value.message
    assert caught.value.host == "hosta"


@pytest.mark.parametrize("lines", [1, 3, len(WANTED) - 1])
def test_a_table_that_ends_early_is_refused(lines):
    text = "".join(line + "\n" for line in rows("p/a", values_of()).splitlines()[:lines])
    with pytest.raises(errors.BadProperty):
        parse(text)


def test_a_dataset_shown_twice_is_refused():
    with pytest.raises(errors.BadProperty):
        parse(rows("p/a", values_of()) + rows("p/a", values_of()))


# Failing


def test_the_property_that_an_old_zfs_does_not_know():
    said = "bad property list: invalid property 'nosuch'\nusage:\n\tget [-rHp] ..."
    assert zfs.unknown_property(said) == "nosuch"
    assert zfs.unknown_property("cannot open 'p/a': dataset does not exist") is None


@pytest.mark.parametrize(
    ("stderr", "complaints"),
    [
        ("", []),
        ("cannot open 'p/a': dataset does not exist\ncannot open 'q/b': dataset does not exist\n", []),
        ("no datasets available\n", []),
        (
            "cannot open 'p/a': dataset does not exist\ncannot open 'p/b': I/O error\n",
            ["cannot open 'p/b': I/O error"],
        ),
        ("cannot open 'p/b': permission denied", ["cannot open 'p/b': permission denied"]),
        ("zfs: something else", ["zfs: something else"]),
        # A connection may greet.
        ("Welcome to hostb\ncannot open 'p/a': dataset does not exist", []),
    ],
)
def test_only_absence_is_no_complaint(stderr, complaints):
    assert zfs.complaints(stderr) == complaints


def test_bookmarks_are_no_snapshots():
    found = parse(rows("p/a", values_of()) + rows("p/a#mark", values_of()))
    assert found["p/a"].snapshots == ()
    assert set(found) == {"p/a"}


FAILURES = [
    ("get", "cannot open 'X': dataset does not exist", errors.NotFound),
    ("get", "cannot open 'nosuch': no such pool", errors.NotFound),
    (
        "destroy",
        "cannot destroy snapshot pool1/src@h: it's being held. Run 'zfs holds -r pool1/src@h' to see holders.",
        errors.CommandFailed,
    ),
    ("destroy", "cannot destroy 'pool1/src@a': snapshot has dependent clones", errors.CommandFailed),
    ("snapshot", "cannot create snapshot 'pool1/src@a': dataset already exists", errors.Exists),
    (
        "receive",
        "cannot receive new filesystem stream: destination 'pool1/dst' exists\nmust specify -F to overwrite it",
        errors.Exists,
    ),
    (
        "receive",
        "cannot receive new filesystem stream: destination has snapshots (eg. pool1/dst@a)",
        errors.Exists,
    ),
    (
        "receive",
        "cannot receive incremental stream: destination pool1/dst has been modified\nsince most recent snapshot",
        errors.Diverged,
    ),
    (
        "receive",
        "cannot receive incremental stream: most recent snapshot of pool1/dst does not\nmatch incremental source",
        errors.Diverged,
    ),
    ("receive", "cannot receive new filesystem stream: out of space", errors.PoolFull),
    ("receive", "cannot receive: destination pool1/lim/full space quota exceeded.", errors.PoolFull),
    ("snapshot", "cannot create snapshot 'p/a@1': out of space", errors.PoolFull),
    ("receive", "cannot receive: failed to read from stream", errors.TransferFailed),
    ("receive", "cannot receive incremental stream: dataset is busy", errors.TransferFailed),
    ("send", "warning: cannot send 'p/a@1': I/O error", errors.TransferFailed),
    ("set", "cannot set property for 'p/a': permission denied", errors.Denied),
    ("receive", "cannot receive new filesystem stream: permission denied", errors.Denied),
    ("rollback", "cannot rollback to 'p/a@1': clones of previous snapshots exist", errors.CommandFailed),
    ("set", "", errors.CommandFailed),
]


@pytest.mark.parametrize(("verb", "stderr", "kind"), FAILURES)
def test_what_a_complaint_means(verb, stderr, kind):
    argv = ("zfs", verb, "pool1/dst")
    found = zfs.failure(argv, 1, stderr, "hostb", "pool1/dst")
    assert found.__class__ is kind
    assert (found.host, found.dataset) == ("hostb", "pool1/dst")
    assert f"zfs {verb}" in found.message
    if isinstance(found, errors.CommandFailed):
        assert (found.argv, found.status, found.stderr) == (argv, 1, stderr)


def test_what_failed_is_named_where_it_was_more_than_one_command():
    remount = zfs.failure(zfs.remount("pool1/src"), 1, "cannot unmount '/pool1/src': Device busy", "hosta", "pool1/src")
    assert remount.__class__ is errors.CommandFailed
    assert remount.message == "'zfs unmount; zfs mount' failed: cannot unmount '/pool1/src': Device busy"
    copying = zfs.failure(zfs.copy("pool1/src@b", None, "pool1/kept"), 1, "broken", "hosta", "pool1/src")
    assert copying.__class__ is errors.TransferFailed
    assert "'zfs send pool1/src@b | zfs receive -u pool1/kept' failed" in copying.message


def test_no_name_becomes_part_of_the_script_that_remounts():
    scripts = {zfs.remount(name)[2] for name in ("pool1/src", "pool1/$(id) a")}
    assert len(scripts) == 1
    assert zfs.remount("pool1/$(id) a")[3:] == ("pool1/$(id) a", *zfs.list_mounted("pool1/$(id) a"))


def test_a_complaint_is_quoted_without_the_usage_text():
    said = "invalid option 'z'\nusage:\n\tset <property=value> ...\n"
    assert "property=value" not in str(zfs.failure(("zfs", "set"), 2, said, "hosta"))


def test_a_failure_without_words_says_its_status():
    assert "exit status 9" in str(zfs.failure(("zfs", "set"), 9, "\n", "hosta"))


def test_a_long_complaint_is_cut():
    assert len(str(zfs.failure(("zfs", "set"), 1, "x" * 10000, "hosta"))) < 1000


def test_error_facts_and_text():
    error = errors.BadInput("is wrong", host="h", dataset="p/a", left="nothing was changed", hint="try again")
    text = str(error).lower()
    for part in ("h:p/a", "is wrong", "nothing was changed", "try again"):
        assert part in text
    assert error.facts() == {
        "code": "bad_input",
        "message": "is wrong",
        "host": "h",
        "dataset": "p/a",
        "left": "nothing was changed",
        "hint": "try again",
    }
    assert "hint" not in errors.BadInput("is wrong").facts()


def test_only_a_lost_link_leaves_doubt():
    assert errors.TransferFailed.certain
    assert not errors.LinkLost.certain


def test_codes_are_unique():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ZrepError)]
    assert len({kind.code for kind in kinds}) == len(kinds)
