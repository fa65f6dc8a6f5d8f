# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Get the text of a configuration file, unless somebody else may have written it.

What it says becomes commands, often of root.
"""

from __future__ import annotations

import os
import shlex
import stat

from .._core.errors import BadInput

SIZE_LIMIT = 1024 * 1024
"""Bytes."""


def text_of(path: str) -> str:
    """The text of a file, empty if there is none; raises BadInput."""
    quoted = shlex.quote(path)
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise _refusal(path, "it is no regular file", f"rm {quoted}")
            if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
                why = f"user {found.st_uid} owns it and its mode is {stat.S_IMODE(found.st_mode):03o}, so that others "
                raise _refusal(path, f"{why}can write to it", f"chown root {quoted}; chmod go-w {quoted}")
            content = file.read(SIZE_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise _refusal(path, error.strerror or str(error), f"ls -lL {quoted}") from None
    if len(content) > SIZE_LIMIT:
        raise _refusal(path, f"it has more than {SIZE_LIMIT} bytes", "keep nothing but assignments in it")
    # A comment in an old encoding is no reason to stop; elsewhere such bytes are not understood.
    return content.decode("utf-8", "surrogateescape")


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file, and do not wait for the other end if it is a pipe."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _refusal(path: str, why: str, hint: str) -> BadInput:
    return BadInput(f"the configuration file {path} cannot be used: {why}", left="nothing was changed", hint=hint)
