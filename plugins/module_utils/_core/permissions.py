# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command needs that was refused, and who gives it."""

from __future__ import annotations

import typing as t

GATE = "zrep gate:"
"""How the gate of a host begins what it says."""

# zfs-allow(8), the abilities included that a command "must also have".
_NEEDED = {
    "snapshot": ("mount", "snapshot"),
    "send": ("send", "snapshot", "hold"),
    "receive": ("create", "mount", "receive"),
    "create": ("create", "mount"),
    "destroy": ("destroy", "mount"),
    "rollback": ("mount", "rollback"),
    "rename": ("create", "mount", "rename"),
    "clone": ("clone", "create", "mount"),
    "bookmark": ("bookmark",),
    "diff": ("diff",),
    "hold": ("hold",),
    "release": ("release",),
}
_MOUNTING = ("mount", "unmount", "umount")


def advice(called: str, argv: t.Sequence[str], said: str, host: str, dataset: str) -> str:
    """Who has to do what, so that a command that was denied is not the next time; empty if nobody knows.

    :param called: what people call the command, such as ``zfs set``.
    """
    if GATE in said:
        return f"if it should be allowed, run the role trust again: it writes what {host} lets this key do"
    words = called.split()
    verb = words[1].rstrip(";") if words[:1] == ["zfs"] and len(words) > 1 else ""
    if verb in _MOUNTING:
        return f"only root can mount and unmount on Linux: run it as root on {host}"
    needed = _NEEDED.get(verb) or (_of_properties(argv) if verb in ("set", "inherit") else ())
    if not needed:
        return ""
    where = dataset.partition("@")[0] or "FILESYSTEM"
    return f"as root on {host}: zfs allow -u USER {','.join(needed)} {where}, where USER is who runs this there"


def _of_properties(argv: t.Sequence[str]) -> tuple[str, ...]:
    if argv[0] == "sh":
        return ("bookmark", "userprop")
    words = [word for word in argv[2:] if word[:1] != "-"]
    names = [word.partition("=")[0] for word in words if "=" in word] or words[:1]
    return tuple(sorted({"userprop" if ":" in name else name for name in names}))
