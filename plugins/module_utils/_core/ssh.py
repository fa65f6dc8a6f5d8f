# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it means when ssh complains. Pure."""

from __future__ import annotations

import typing as t

from .errors import Unreachable


def is_link_failure(status: int, stderr: str) -> bool:
    """Whether ssh lost its connection, as opposed to a remote program that ended with the same 255.

    A shared connection that dies takes its users with it without a word; a program that fails says something.
    """
    return status == 255 and (not stderr.strip() or any(found[0] in stderr for found in _REASONS))


_REASONS = (
    ("Could not resolve hostname", "its name does not resolve", "check the name, or DNS and /etc/hosts on this host"),
    ("Connection refused", "nothing listens on its ssh port", "check that sshd runs there, and the port"),
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host key is not the one recorded here",
        "find out why; if the host was rebuilt, record its new key in known_hosts",
    ),
    (
        "Host key verification failed",
        "its host key is not known here",
        "record its key in known_hosts of the user who runs this, after checking it",
    ),
    (
        "host key is known",
        "its host key is not known here",
        "record its key in known_hosts of the user who runs this, after checking it",
    ),
    ("Permission denied", "it does not accept our key", "put this user's public key into its authorized_keys"),
    (
        "Too many authentication failures",
        "it does not accept our key",
        "put this user's public key into its authorized_keys",
    ),
    ("timed out", "it does not answer", "check that it is up and that no firewall drops the connection"),
    ("Timeout", "it does not answer", "check that it is up and that no firewall drops the connection"),
    ("not responding", "it stopped answering", "check that it is up and that no firewall drops the connection"),
    ("No route to host", "there is no route to it", "check the network between the two hosts"),
    ("Network is unreachable", "there is no route to it", "check the network between the two hosts"),
    ("Connection closed", "it closed the connection", "look into the log of its sshd"),
    ("Connection reset", "it closed the connection", "look into the log of its sshd"),
    ("Connection to", "the connection broke", "check the network between the two hosts"),
    ("kex_exchange_identification", "it closed the connection", "look into the log of its sshd"),
    ("mux_client", "the connection broke", "check the network between the two hosts"),
    ("ControlSocket", "the connection broke", "check the network between the two hosts"),
    ("Broken pipe", "the connection broke", "check the network between the two hosts"),
)


def unreachable(host: str, stderr: str, ssh: t.Sequence[str]) -> Unreachable:
    """The error that a complaint of ssh means."""
    said = " ".join(line.strip() for line in stderr.splitlines() if line.strip() and not line.startswith("@"))
    for pattern, reason, hint in _REASONS:
        if pattern in stderr:
            return Unreachable(
                f"cannot be reached by ssh: {reason} ({said[:300]})",
                host=host,
                hint="{}; try: {} {} true".format(hint, " ".join(ssh), host),
            )
    return Unreachable(
        "cannot be reached by ssh: {}".format(said[:300] or "no reason given"),
        host=host,
        hint="try: {} {} true".format(" ".join(ssh), host),
    )
