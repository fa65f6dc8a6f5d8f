# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names: what passes, what is refused, how serials count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.zfsops.zrep.plugins.module_utils._core import names
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import BadInput

HOSTILE = [
    "",
    "-rf",
    "--",
    "a b",
    "a\tb",
    "a\nb",
    "pool\n",
    "a'b",
    'a"b',
    "a;b",
    "a&b",
    "a|b",
    "a$b",
    "$(id)",
    "`id`",
    "a\\b",
    "a*",
    "a?",
    "a>b",
    "a\0b",
    "caf\u00e9",
    "\u0661",
    "pool\u2044fs",
]
"""What no name of any kind may be: options, blanks, shell syntax, letters and digits beyond ASCII."""

CHECKS = [
    names.check_dataset,
    names.check_snapshot,
    names.check_tag,
    names.check_host,
    names.check_property,
]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused(check, name):
    with pytest.raises(BadInput):
        check(name)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", [None, 5, ["pool"], b"pool"])
def test_what_is_no_text_is_refused(check, name):
    with pytest.raises(BadInput):
        check(name)


@pytest.mark.parametrize("check", CHECKS)
@given(st.text())
def test_no_accepted_name_is_an_option_or_shell_syntax(check, name):
    try:
        accepted = check(name)
    except BadInput:
        return
    assert accepted == name
    assert accepted
    assert not accepted.startswith("-")
    assert not set(accepted) & set(" \t\n\r\0'\"\\;&|$`<>()*?~#!={},")
    assert accepted.isascii()


@pytest.mark.parametrize("name", ["pool", "pool1/data", "p/a.b/c-d/e_f:g", "P0/0", "p/" + "x" * 253])
def test_datasets(name):
    assert names.check_dataset(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "pool/fs@snap",
        "pool/fs#mark",
        "/pool",
        "pool/",
        "pool//fs",
        "pool/../other",
        "pool/.",
        "..",
        "0pool",
        ".pool",
        "pool,other",
        "pool%fs",
        "p/" + "x" * 254,
    ],
)
def test_what_is_no_dataset(name):
    with pytest.raises(BadInput):
        names.check_dataset(name)


def test_a_refusal_names_the_option_and_shortens_the_value():
    with pytest.raises(BadInput) as caught:
        names.check_dataset("p/" + "x" * 1000, "peer_filesystem")
    assert "peer_filesystem" in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["zrep_000000", "zrep_00000c_unsent", "daily-2026-01-01_00:00", ".x", "0"])
def test_snapshots(name):
    assert names.check_snapshot(name) == name


@pytest.mark.parametrize("name", ["a@b", "a/b", "a,b", "a%b", "a#b"])
def test_what_is_no_snapshot(name):
    with pytest.raises(BadInput):
        names.check_snapshot(name)


@pytest.mark.parametrize("tag", ["zrep", "zrep-dc", "zrep_dc", "a", "0", "x" * 64, "org.example"])
def test_tags(tag):
    assert names.check_tag(tag) == tag


@pytest.mark.parametrize("tag", ["x" * 65, "Zrep", "a:b", "a@b", "a/b", "_a", ".a", "a,b", "a%b"])
def test_what_is_no_tag(tag):
    with pytest.raises(BadInput):
        names.check_tag(tag)


@pytest.mark.parametrize(
    "host",
    [
        "host2",
        "host2.example.org",
        "root@host2",
        "zrep-user@host2.example.org",
        "192.0.2.7",
        "root@192.0.2.7",
        "2001:db8::7",
        "::1",
        "root@2001:db8::7",
        "[2001:db8::7]",
        "fe80::1%eth0",
        "localhost",
        "h" * 255,
    ],
)
def test_hosts(host):
    assert names.check_host(host) == host


@pytest.mark.parametrize("host", ["@host", "user@", "-x@host", "user@-oProxyCommand=x", "a@b@c", "h/x", "h" * 256])
def test_what_is_no_host(host):
    with pytest.raises(BadInput):
        names.check_host(host)


@pytest.mark.parametrize("name", ["compression", "zrep:src-fs", "org.example:x_y", "xattr"])
def test_properties(name):
    assert names.check_property(name) == name


@pytest.mark.parametrize("name", ["a=b", "A", ":a", "a,b", "a/b", "a@b"])
def test_what_is_no_property(name):
    with pytest.raises(BadInput):
        names.check_property(name)


@pytest.mark.parametrize(
    ("value", "count"), [(1, 1), ("1", 1), (" 7 ", 7), ("005", 5), (999999999, 999999999), ("5\n", 5)]
)
def test_savecounts(value, count):
    assert names.check_savecount(value) == count


@pytest.mark.parametrize("value", [0, "0", "000", -1, "-1", "", " ", "-", "five", "5x", 1.5, "1.0", True, False, None])
def test_what_is_no_savecount(value):
    with pytest.raises(BadInput):
        names.check_savecount(value)


@pytest.mark.parametrize("value", ["1e3", "0x10", "+5", "1_000", "\u0665", "\u00b2", "9" * 10, "9" * 5000])
def test_numbers_that_only_python_could_read_are_no_savecount(value):
    with pytest.raises(BadInput):
        names.check_savecount(value)


@pytest.mark.parametrize(
    ("name", "pool", "parent", "parts"),
    [
        ("p", "p", "", ("p", "")),
        ("p/a/b", "p", "p/a", ("p/a/b", "")),
        ("p@s", "p", "", ("p", "s")),
        ("p/a@s", "p", "p", ("p/a", "s")),
    ],
)
def test_parts_of_names(name, pool, parent, parts):
    assert names.pool_of(name) == pool
    assert names.split_snapshot(name) == parts
    assert names.parent_of(parts[0]) == parent


@pytest.mark.parametrize(
    ("short", "serial", "unsent"),
    [
        ("zrep_000000", 0, False),
        ("zrep_00000a", 10, False),
        ("zrep_00000c_unsent", 12, True),
        ("zrep_ffffff", 0xFFFFFF, False),
        ("zrep_1000000", 0x1000000, False),
    ],
)
def test_own_snapshots(short, serial, unsent):
    assert names.parse_snapshot("zrep", short) == (serial, unsent)


@pytest.mark.parametrize(
    "short",
    [
        "daily-1",
        "zrep_",
        "zrep_00000",
        "zrep_00000A",
        "zrep_00000g",
        "zrep-000000",
        "azrep_000000",
        "zrep_000000 ",
        "zrep_000000\n",
        "zrep_000000_unsent_unsent",
        "zrep_zrep_000000",
        "000000",
    ],
)
def test_foreign_snapshots(short):
    assert names.parse_snapshot("zrep", short) is None


def test_a_name_that_only_begins_like_ours_is_foreign():
    assert names.parse_snapshot("zrep", "zrep_abcdef-mine") is None
    assert names.next_serial("zrep", ["zrep_000003", "zrep_abcdef-mine"]) == 4


@pytest.mark.acceptance(11)
def test_case_11_tags_are_namespaces():
    assert names.parse_snapshot("zrep", "zrep_dc_000001") is None
    assert names.parse_snapshot("zrep", "zrep-dc_000001") is None
    assert names.parse_snapshot("zrep_dc", "zrep_dc_000001") == (1, False)
    assert names.parse_snapshot("zrep_dc", "zrep_000001") is None
    assert names.snapshot_name("zrep-dc", 1) == "zrep-dc_000001"
    assert names.property_name("zrep-dc", "src-fs") == "zrep-dc:src-fs"


@pytest.mark.acceptance(5)
def test_case_05_the_serial_after_09_is_0a():
    assert names.next_serial("zrep", ["zrep_000008", "zrep_000009"]) == 10
    assert names.snapshot_name("zrep", 10) == "zrep_00000a"


@pytest.mark.acceptance(6)
def test_case_06_an_unsent_snapshot_keeps_its_serial():
    assert (
        names.snapshot_name("zrep", names.next_serial("zrep", ["zrep_00000b", "zrep_00000c_unsent"])) == "zrep_00000d"
    )


def test_serials_go_on_after_six_digits():
    last = ["zrep_fffffe", "zrep_ffffff"]
    assert names.snapshot_name("zrep", names.next_serial("zrep", last)) == "zrep_1000000"
    # By plain text 1000000 would sort before ffffff, and be made a second time.
    assert names.snapshot_name("zrep", names.next_serial("zrep", ["zrep_1000000", *last])) == "zrep_1000001"


def test_the_first_serial_is_0():
    assert names.next_serial("zrep", []) == 0
    assert names.next_serial("zrep", ["daily-1", "zrep_dc_000007"]) == 0


@given(st.integers(min_value=0, max_value=2**32), st.sampled_from(["zrep", "zrep_dc", "a.b-c"]))
def test_a_serial_survives_its_name(serial, tag):
    short = names.snapshot_name(tag, serial)
    assert names.check_snapshot(short) == short
    assert names.parse_snapshot(tag, short) == (serial, False)
    assert names.parse_snapshot(tag, short + names.UNSENT) == (serial, True)
    assert names.next_serial(tag, [short]) == serial + 1


@pytest.mark.acceptance(12)
def test_case_12_identity_is_the_name_before_the_first_dot():
    assert names.short_host("h.example.org") == "h"


@pytest.mark.parametrize(
    ("host", "short"),
    [
        ("h", "h"),
        ("root@h.example.org", "h"),
        ("192.0.2.7", "192.0.2.7"),
        ("root@192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("fe80::1%eth0.5", "fe80::1%eth0.5"),
        ("1.2.3", "1"),
        ("", ""),
    ],
)
def test_short_hosts(host, short):
    assert names.short_host(host) == short


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("h", "h", True),
        ("h", "H.example.org", True),
        ("root@h", "h.example.org", True),
        ("h", "g", False),
        ("h.example.org", "g.example.org", False),
        # An address may be anybody's.
        ("192.0.2.7", "h", True),
        ("h", "2001:db8::7", True),
        ("localhost", "h", True),
    ],
)
def test_spellings_of_one_host(one, other, same):
    for pair in ((one, other), (other, one)):
        assert names.same_host(*pair) is same
