# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user who is not root cannot do although ``zfs allow`` has it: Linux lets nobody else mount (zfs-allow(8)).

So a filesystem that is to be mounted is left to root, with a warning. One that is mounted is frozen all the same:
OpenZFS changes the mounted filesystem itself with the property ``readonly``, files that are open included. What fails
then is the remount that ``zfs`` does after it. Made writable it is in the same way, unless it was mounted read-only.
"""

from __future__ import annotations

from . import zfs
from .errors import Denied, Unreachable, ZrepError
from .shell import Completed, Shell
from .steps import Step


def took_effect(shell: Shell, argv: zfs.Argv, done: Completed) -> str | None:
    """Whether a command that failed has changed ``readonly`` of all its datasets.

    ``zfs get`` says ``temporary`` where a mounted filesystem is not as the property has it (zfsprops(7)).

    :returns: None if it has not, or if what was to be frozen can still be written; else what root has to do now,
        which mostly is nothing.
    :raises Unreachable: the host cannot be talked to any more.
    """
    wanted = _readonly_wanted(argv)
    if wanted is None or not only_remount_failed(done.err):
        return None
    to_do = []
    for dataset in _datasets(argv):
        found = shell.run(zfs.get_one("readonly", dataset))
        value, _tab, source = found.out.strip().partition("\t")
        if (
            found.status
            or (source != "temporary" and wanted not in ("", value))
            or (source == "temporary" and wanted == "on")
        ):
            return None
        if source == "temporary":
            to_do.append(f"zfs unmount {dataset} && zfs mount {dataset}")
    return f"mounted read-only until root runs on {shell.host}: {'; '.join(to_do)}" if to_do else ""


def only_remount_failed(stderr: str) -> bool:
    """Whether ``zfs set`` and ``zfs inherit`` complain of nothing but the remount."""
    # zfs_mount_at() and zfs_prop_set_list() of libzfs 2.3.
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return bool(lines) and all(
        (line.startswith("cannot set mount attributes for '") and line.endswith("': mount failed"))
        or line == "property may be set but unable to remount filesystem"
        for line in lines
    )


def is_left_out(step: Step, error: ZrepError) -> bool:
    """Whether the plan goes on without a step that failed, with a warning."""
    return not isinstance(error, Unreachable) and (step.optional or (not step.delegable and isinstance(error, Denied)))


def _readonly_wanted(argv: zfs.Argv) -> str | None:
    """What a command sets ``readonly`` to, nothing for what is inherited; None if it is another command."""
    if argv[:3] == ("zfs", "inherit", "readonly"):
        return ""
    values = [word.partition("=")[2] for word in argv if word.startswith("readonly=")]
    return values[0] if argv[:2] == ("zfs", "set") and values else None


def _datasets(argv: zfs.Argv) -> tuple[str, ...]:
    return argv[3:] if argv[1] == "inherit" else tuple(word for word in argv[2:] if "=" not in word)
