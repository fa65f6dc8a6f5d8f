# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what the core says to users of the modules in the words of the command. Pure.

The core's messages name the call that goes on, as one would write it for a module. Who typed ``zrep`` is told what to
type.
"""

from __future__ import annotations

import re

from .vocabulary import VERBS

_MOVES = ("failover", "takeover")

_WORDS: tuple[tuple[str, str], ...] = (
    (r"zrep_pair filesystem=(\S+) peer_host=(\S+) peer_filesystem=(\S+) tag=(\S+)", r"zrep -t \4 init \1 \2 \3"),
    (r"repoint=(\S+)", r"--repoint \1"),
    (r"repoint(?= names)", "--repoint"),
    (r"zrep_pair role=replica force=true", "zrep init --pull -f"),
    (r"zrep_pair role=replica", "zrep init --pull"),
    (r"with direction=pull", "with zrep refresh"),
    (r"zrep_failover filesystem=(\S+) role=master force=true", r"zrep takeover -L \1"),
    (r"zrep_failover filesystem=(\S+) role=master", r"zrep takeover \1"),
    (r"zrep_failover filesystem=(\S+) role=replica", r"zrep failover \1"),
    (r"zrep_failover role=master", "zrep takeover"),
    (r"zrep_failover role=replica", "zrep failover"),
    (r"zrep_failover", "zrep failover or zrep takeover"),
    (r"the same with filesystem=(\S+)", r"the same with \1"),
    (r"(with )?role=master", "zrep takeover"),
    (r"(with )?role=replica", "zrep failover"),
    (r"diverged=(preserve|discard)", r"--\1"),
    (r"diverged=refuse", "neither --preserve nor --discard"),
    (r"but diverged is \w+", "but not --preserve"),
    (r"as preserve_as", "with --preserve-as"),
    (r"preserve_as", "--preserve-as"),
    (r"zrep_info( check_peer=true)?", "zrep doctor"),
    (r"zrep_sync", "zrep sync"),
    (r"zrep_snapshot state=rolled_back", "zrep sync FILESYSTEM@SNAPSHOT"),
    (r"zrep_snapshot state=expired", "zrep expire"),
    (r"zrep_snapshot state=sent", "zrep setlastsent"),
    (r"(zrep_snapshot )?state=(cloned|drilled)", "zrep drill"),
    (r"name as clone", "name with --clone"),
    (r"to mount it with mountpoint", "to mount it with --mountpoint"),
    (r"mountpoint(?= is given| ')", "--mountpoint"),
    (r"(zrep_pair )?state=absent filesystem=(\S+)", r"zrep clear \2"),
    (r"(zrep_pair )?state=absent( local_only=true)?", "zrep clear"),
    (r"zrep_pair state=present force=true", "zrep init -f"),
    (r"zrep_pair state=present", "zrep init"),
    (r"zrep_pair", "zrep init"),
    (r"without adopt", "without --adopt"),
    (r"adopt=(\S+)", r"--adopt \1"),
    (r"compress=(\w+)", r"ZREP_COMPRESS=\1"),
    (r"buffer=(\w+)", r"ZREP_BUFFER=\1"),
    (r"rate_limit=(\w+)", r"ZREP_RATE_LIMIT=\1"),
    (r"local_only=true removes", "zrep clear removes"),
    (r"local_only=true", "-L"),
    (r"peer_src_host", "the other host's ZREP_SRC_HOST"),
    (r"src_host", "ZREP_SRC_HOST"),
    (r"peer_host", "host"),
    (r"peer_filesystem", "the other side's filesystem"),
    (r"skip_busy", "-q"),
    (r"resume=false was given", "ZREP_RESUME is off"),
    (r"ssh(?= is empty| ')", "SSH"),
)
# A word inside the name of a dataset stays as it is.
_RULES = tuple((re.compile(rf"(?<![\w./:@-]){pattern}(?![\w/@-])"), words) for pattern, words in _WORDS)
_FORCE = re.compile(r"\bforce=true\b")
_FORCED = re.compile(r"\bforce (was given|out)\b")


def translate(text: str, verb: str = "") -> str:
    """A message of the core for somebody who typed a verb."""
    for pattern, words in _RULES:
        text = pattern.sub(words, text)
    flag = "-L" if verb in _MOVES else "-f"
    text = _FORCED.sub(rf"{flag} \1", text)
    return _FORCE.sub(flag if not verb or "f" in VERBS[verb].options else f"zrep sync {flag}", text)
