# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
import typing as t
import zlib

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: schedule
short_description: When a host has to run the zrep command for the declared pairs
version_added: 0.1.0
author:
  - zfsops.zrep authors (@zfsops)
description:
  - Finds out of C(zrep_pairs) the jobs of one host, each with its times for cron and for systemd.
  - Both hosts of a pair get a job that pushes where the host is the master and does nothing where it is not, so that a
    move of the master changes no schedule. Of a pair that is declared with C(direction) V(pull), the host that is
    declared as the replica does all the work; it gets one more job, which pulls.
positional: _input, host
options:
  _input:
    description: The pairs as C(zrep_pairs) declares them.
    type: list
    elements: dict
    required: true
  host:
    description: The name of the host in the inventory.
    type: str
    required: true
  interval:
    description: The interval of a pair that does not say, such as V(5min), V(2h), V(1d), or five fields as for cron.
    type: str
    default: 1min
  jitter:
    description: Seconds by which jobs may begin later, always by the same on one host.
    type: int
    default: 0
  patience:
    description:
      - Seconds since the last sync for which a filesystem that another run works on is no error, where the pair does
        not say C(max_lag).
    type: int
    default: 3600
"""

EXAMPLES = r"""
- name: Show the jobs of this host
  ansible.builtin.debug:
    msg: "{{ zrep_pairs | zfsops.zrep.schedule(inventory_hostname, interval='5min') }}"
"""

RETURN = r"""
_value:
  description:
    - Jobs with the keys C(name), C(arguments) of the command, C(cron) and C(delay) in seconds for cron, C(calendar) for
      systemd, which is empty where it cannot say the same, and C(filesystems).
  type: list
  elements: dict
"""

_SPAN = re.compile(r"([1-9][0-9]{0,3}) ?(min|m|h|d)(?:in|inutes?|ours?|ays?)?\Z")
_FIELD = re.compile(r"[0-9A-Za-z*/,-]+\Z")
_UNSAFE = re.compile(r"[^A-Za-z0-9]+")


def schedule(
    pairs: t.Any, host: str, interval: str = "1min", jitter: int = 0, patience: int = 3600
) -> list[dict[str, t.Any]]:
    """The jobs of a host."""
    jobs: dict[tuple[str, str, str, int], list[str]] = {}
    try:
        for pair in pairs:
            for verb, filesystem in _work(pair, host):
                key = (
                    verb,
                    pair.get("tag") or "zrep",
                    pair.get("interval") or interval,
                    pair.get("max_lag") or patience,
                )
                jobs.setdefault(key, []).append(filesystem)
    except (TypeError, KeyError, AttributeError) as error:
        raise AnsibleFilterError(f"schedule expects pairs as zrep_pairs declares them: {error!r}") from error
    return [_job(host, int(jitter), *key, list(dict.fromkeys(found))) for key, found in jobs.items()]


def _work(pair: t.Any, host: str) -> t.Iterator[tuple[str, str]]:
    """What a host does for a pair, and for which filesystem of its own."""
    for side in ("master", "replica"):
        if pair[side]["host"] != host:
            continue
        if pair.get("direction") != "pull":
            yield "sync", pair[side]["filesystem"]
        elif side == "replica":
            yield "sync", pair[side]["filesystem"]
            yield "refresh", pair[side]["filesystem"]


def _job(
    host: str, jitter: int, verb: str, tag: str, interval: str, patience: int, filesystems: list[str]
) -> dict[str, t.Any]:
    cron, calendar = times(interval)
    only = {"sync": "--if-master", "refresh": "--if-replica"}[verb]
    words = [verb, tag, interval, *([] if patience == 3600 else [str(patience)])]
    name = "-".join(_UNSAFE.sub("-", word).strip("-") or "x" for word in words)
    return {
        "name": name,
        "arguments": ["-t", tag, verb, only, "-q", str(patience), *filesystems],
        "cron": cron,
        "calendar": calendar,
        "delay": zlib.crc32(f"{host} {name}".encode()) % (jitter + 1),
        "filesystems": filesystems,
    }


def times(interval: str) -> tuple[str, str]:
    """The fields of cron, and the calendar of systemd, for an interval."""
    text = str(interval).strip()
    fields = text.split()
    if len(fields) == 5 and all(_FIELD.match(field) for field in fields):
        return " ".join(fields), ""
    found = _SPAN.match(text)
    if found is None:
        raise AnsibleFilterError(
            f"interval {text!r} cannot be used: expected something like 5min, 2h or 1d, or five fields as for cron"
        )
    number, unit = int(found.group(1)), found.group(2)
    if unit in ("min", "m") and 60 % number == 0:
        minute = "*" if number == 1 else f"*/{number}" if number < 60 else "0"
        return f"{minute} * * * *", f"*-*-* *:0/{number}:00" if number < 60 else "*-*-* *:00:00"
    if unit == "h" and 24 % number == 0:
        hour = "*" if number == 1 else f"*/{number}" if number < 24 else "0"
        return f"0 {hour} * * *", f"*-*-* 0/{number}:00:00" if number < 24 else "*-*-* 00:00:00"
    if unit == "d" and number == 1:
        return "0 0 * * *", "*-*-* 00:00:00"
    raise AnsibleFilterError(
        f"interval {text!r} cannot be used: it has to divide an hour or a day evenly, such as 5min, 15min, 2h or 1d"
    )


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"schedule": schedule}
