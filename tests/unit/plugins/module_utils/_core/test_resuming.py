# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading resume tokens: real ones, and all that could be said in place of one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.zfsops.zrep.plugins.module_utils._core.resuming import LIMIT, Token, read_token

from .builders import guid_of
from .tokens import BOOLEAN, encoded, number, packed, pair, text

# As OpenZFS 2.3.9 said them.
FULL = (
    "1-c4d8b9ed4-c0-789c636064000310a500c4ec50360710e72765a52697303030419460caa7a515a7968064b4e0f26c48f2499525a9c540"
    "fa828a0e56fd25f9e9a599290c0c67d39337db76dc67344092e704cbe725e6a6323014e4e7e718eaa72496243a5415a516c41b8001c44d00"
    "f61719a7"
)
INCREMENT = (
    "1-cc31fd33a-e8-789c636064000310a501c49c50360710a715e5e7a69766a63040c1178d054adf931fe52900d9ec48eaf293b252934b18"
    "1858a0ea30e4d3d28a534b40326a70793624f9a4ca92d462209da1aa81557f493ec41566454b04363bbddf618024cf0996cf4bcc4d656028"
    "c8cfcf31d44f492c4974a82a4a2d8837000123889b00e52a2164"
)


def test_tokens_of_a_real_zfs():
    assert read_token(FULL) == Token(0x1DF883DB36367CD, None, False)
    assert read_token(INCREMENT) == Token(0xB8EF42B310A47236, 0x6EE263F722A028F4, False)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("raw", [True, False])
def test_what_a_token_asks_for(order, raw):
    assert read_token(text("a", "b", raw, order)) == Token(guid_of("a"), guid_of("b"), raw)
    assert read_token(text("a", None, raw, order)) == Token(guid_of("a"), None, raw)


GUID = number("toguid", 5)
NONSENSE = {
    "nothing": "",
    "none": "-",
    "a command": "1-a-c0-$(reboot)",
    "a quote": FULL + "'",
    "a line more": FULL + "\n",
    "a second version": "2" + FULL[1:],
    "capitals": FULL.upper(),
    "half a byte": FULL[:-1],
    "cut": FULL[:-8],
    "not compressed": "1-c4d8b9ed4-4-00000000",
    "no length": FULL.replace("-c0-", "--"),
    "another length": FULL.replace("-c0-", "-c1-"),
    "too long": FULL + "00" * LIMIT,
    "a bomb": encoded(packed(GUID) + bytes(10 * LIMIT)),
    "another encoding": encoded(packed(GUID, header=bytes([1, 1, 0, 0]))),
    "no target": encoded(packed(number("fromguid", 5))),
    "a target in words": encoded(packed(pair("toguid", 9, b"5\0\0\0\0\0\0\0"))),
    "a base in words": encoded(packed(GUID, pair("fromguid", BOOLEAN, b""))),
    "two targets": encoded(packed(GUID, number("toguid", 6))),
    "no end": encoded(packed(GUID)[:-4]),
    "a pair beyond the end": encoded(packed(GUID)[:-8]),
    "a name beyond its pair": encoded(packed(GUID.replace(b"\x07\0", b"\xff\0"))),
}


@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_no_token(said):
    assert read_token(said) is None


@given(st.binary(max_size=300))
def test_any_content_is_read_or_refused(content):
    found = read_token(encoded(packed(GUID)[:12] + content))
    assert found is None or isinstance(found.target, int)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(said):
    assert read_token(said) is None
