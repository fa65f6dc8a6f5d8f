# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The face of the core towards Ansible: common options, check mode, diff mode, results, errors."""

from __future__ import annotations

import signal
import typing as t

from ansible.module_utils.basic import AnsibleModule, env_fallback

from . import programs
from . import settings as settings_room
from .errors import BadInput, ZrepError
from .outcome import Outcome
from .settings import ALWAYS, AUTO, NEVER, Settings

ALL = "all"
_WRITTEN_AS_BOOLEANS = {"true": ALWAYS, "false": NEVER}
"""Words for what the option script_locks is; Ansible makes them of booleans, too, since they are choices."""


def common_arguments() -> dict[str, t.Any]:
    """The options that all modules share; documented in the fragment zfsops.zrep.common."""
    return {
        "tag": {"type": "str", "default": "zrep", "fallback": (env_fallback, ["ZREPTAG"])},
        "ssh": {"type": "str", "default": "ssh", "fallback": (env_fallback, ["SSH"])},
        "src_host": {"type": "str", "fallback": (env_fallback, ["ZREP_SRC_HOST"])},
    }


def sending_arguments() -> dict[str, t.Any]:
    """The options of modules that move data; documented in the fragment zfsops.zrep.sending."""
    return {
        "send_options": {"type": "list", "elements": "str", "default": []},
        "intermediates": {"type": "bool"},
        "rename_unsent": {"type": "bool", "default": True, "fallback": (env_fallback, ["ZREP_RENAME_UNSENT"])},
        "compress": {"type": "str", "default": programs.NONE, "choices": list(programs.WAYS)},
        "buffer": {"type": "str"},
        "rate_limit": {"type": "str"},
        "resume": {"type": "bool", "default": True},
        "script_locks": {"type": "str", "default": AUTO, "choices": [AUTO, ALWAYS, NEVER, *_WRITTEN_AS_BOOLEANS]},
    }


def make_settings(params: t.Mapping[str, t.Any]) -> Settings:
    """Checked settings from a module's parameters; raises BadInput."""
    found = params.get("script_locks", AUTO)
    return settings_room.make(
        tag=params["tag"],
        ssh=params["ssh"],
        src_host=params["src_host"],
        send_options=params.get("send_options") or (),
        intermediates=params.get("intermediates"),
        rename_unsent=params.get("rename_unsent", True),
        lock_properties=_WRITTEN_AS_BOOLEANS.get(found, found),
        recursive=bool(params.get("recursive")),
        parallel=params.get("parallel", 1),
        compress=params.get("compress", programs.NONE),
        buffer=params.get("buffer") or "",
        rate_limit=params.get("rate_limit") or "",
        resume=params.get("resume", True),
    )


def targets(params: t.Mapping[str, t.Any]) -> tuple[list[str], bool]:
    """The filesystems that were asked for, and whether that is all of them; raises BadInput."""
    named = [str(name) for name in params["filesystem"]]
    if not named:
        raise BadInput("filesystem is empty", hint="name filesystems, or say 'all'")
    if ALL in named and len(named) > 1:
        raise BadInput("filesystem names {!r} beside others: {}".format(ALL, ", ".join(named)))
    return ([], True) if named == [ALL] else (named, False)


def run(module: AnsibleModule, work: t.Callable[[Settings], dict[str, t.Any]]) -> None:
    """Do a module's work and end it with its result, or with one sentence that says what is wrong.

    The result of the work is returned as it is, unless filesystems in it failed.
    """
    # A job that is cancelled ends the module by a signal; what it started must end with it.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        result = work(make_settings(module.params))
    except ZrepError as error:
        module.fail_json(msg=str(error), error=error.facts(), actions=[])
    except OSError as error:
        module.fail_json(msg="{}: {}".format(error.filename or "system error", error.strerror or error), actions=[])
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    if not module._diff:
        result.pop("diff", None)
    failed = result.get("failed_filesystems")
    if failed:
        module.fail_json(msg=_failure(failed), error=failed[0], **result)
    module.exit_json(**result)


def single(outcome: Outcome, dry: bool) -> dict[str, t.Any]:
    """The result of a module that works on one pair."""
    result = outcome.result(dry)
    result["pair"] = (result.pop("pairs") or [None])[0]
    return result


def _failure(failed: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    sentences = [
        item["text"] if item["filesystem"] in item["text"] else "{}: {}".format(item["filesystem"], item["text"])
        for item in failed
    ]
    if len(sentences) == 1:
        return str(sentences[0])
    return "{} filesystems failed: {}".format(len(sentences), " | ".join(sentences))


def _stop(number: int, dummy: object) -> None:
    raise SystemExit(128 + number)
