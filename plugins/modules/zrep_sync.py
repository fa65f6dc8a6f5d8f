#!/usr/bin/python
# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: zrep_sync
short_description: Bring the replicas of ZFS filesystems up to date
version_added: 0.1.0
author:
  - zfsops.zrep authors (@zfsops)
description:
  - Pushes what was written on filesystems of which this host is master to their replicas, or pulls what was written on
    the masters of its own replicas, as O(direction) says.
  - Nothing changes on either side before the peer was seen to be a replica that can take the stream, so that repeated
    runs while it is away leave nothing behind.
  - A run that was killed is completed by the next one, whatever it had reached.
  - A filesystem that fails does not stop the others; the module fails at the end and names those.
extends_documentation_fragment:
  - zfsops.zrep.common
  - zfsops.zrep.common.sending
  - zfsops.zrep.common.attributes
attributes:
  idempotent:
    support: partial
    details:
      - With O(max_age) a replica that is young enough is left alone. Without it every run takes and sends a snapshot.
      - With O(only_if_changed) and nothing written, the time of the last sync moves on both sides, which is a change.
options:
  filesystem:
    description:
      - The filesystems of this host to sync, or V(all) for every one of which this host is master under the tag, with
        O(direction=pull) for every one of which it is the replica.
      - V(FS@SNAP) rolls the replica of V(FS) back to a snapshot that both sides hold. The master keeps everything, and
        the next sync goes on from there. Later snapshots of the replica are destroyed; those that the master does not
        hold, and what was written there, only with O(force).
    type: list
    elements: str
    required: true
  direction:
    description: Which of the two hosts this one is to be.
    type: str
    choices:
      push: This host is the master, takes a snapshot and sends it. A filesystem of which it is the replica is refused.
      pull:
        - This host is the replica. It connects to the master's host, where no more is needed than C(zfs), takes the
          snapshot there and fetches it. For a backup server that may connect to its clients, but not they to it. A
          filesystem of which this host is the master is refused.
        - The data is fetched with the options that this task gives; both sides are expired by their own savecounts.
      auto: The same as V(push), so that a host that becomes the replica never begins to pull by itself.
    default: auto
  max_age:
    description:
      - A replica whose last sync is younger than this many seconds is up to date, and neither host changes. What this
        host has recorded decides; the other one is not asked.
      - The default is to sync always.
    type: int
  only_if_changed:
    description:
      - Where nothing was written since the last sync, take no snapshot and only move the time of the last sync.
      - Where ZFS cannot tell whether something was written, it syncs.
    type: bool
    default: false
  skip_busy:
    description:
      - A filesystem on which another process works is no error if its last sync is at most this many seconds old; it is
        skipped with a note, and the others are synced. At least 30.
    type: int
  send_only:
    description: Send the newest snapshot of the pair that there is, as M(zfsops.zrep.zrep_snapshot) takes it, instead
      of taking one.
    type: bool
    default: false
  force:
    description:
      - Roll the replica back to the last common snapshot before sending, although it was written to or has snapshots
        of its own. What becomes of that says O(diverged).
    type: bool
    default: false
  diverged:
    description:
      - What becomes, with O(force), of what only the replica has.
      - V(preserve) copies it into a dataset of its own first, beside the replica, RV(preserved). Where zfs can make
        that a clone it costs the difference, elsewhere a full copy; without room for that nothing is changed. The
        replica is read-only from then on.
      - V(discard) gives it up. B(What was written there, and snapshots that only the replica has, are destroyed.)
      - Where the replica has nothing of its own there is nothing to preserve.
    type: str
    choices: [preserve, discard]
    default: preserve
  expire:
    description:
      - Destroy snapshots of the pair that the savecounts of the two sides do not cover, once the data has arrived.
      - The environment variable E(ZREP_SKIP_EXPIRE) of the task, if it is set, turns it off.
    type: bool
    default: true
  parallel:
    description: How many streams run at a time.
    type: int
    default: 1
seealso:
  - module: zfsops.zrep.zrep_pair
  - module: zfsops.zrep.zrep_snapshot
"""

EXAMPLES = r"""
- name: Sync one filesystem
  zfsops.zrep.zrep_sync:
    filesystem: pool1/prodfs

- name: Sync whatever this host is master of, unless that happened in the last five minutes
  zfsops.zrep.zrep_sync:
    filesystem: all
    max_age: 300
    parallel: 2

- name: From a schedule, where the run before may still be at work
  zfsops.zrep.zrep_sync:
    filesystem: all
    skip_busy: 600
    only_if_changed: true

- name: On a host where the script is still at work, under a name by which it is not noticed
  zfsops.zrep.zrep_sync:
    filesystem: all
    max_age: 300
    script_locks: always

- name: On a backup server, fetch what is new on all clients
  zfsops.zrep.zrep_sync:
    filesystem: all
    direction: pull
    max_age: 3600

- name: Roll the replica back to an earlier snapshot
  zfsops.zrep.zrep_sync:
    filesystem: pool1/prodfs@zrep_000000

- name: Go on, and keep what somebody wrote on the replica in a dataset beside it
  zfsops.zrep.zrep_sync:
    filesystem: pool1/prodfs
    force: true

- name: Go on, and throw away what somebody wrote on the replica
  zfsops.zrep.zrep_sync:
    filesystem: pool1/prodfs
    force: true
    diverged: discard
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode, in order.
  returned: always
  type: list
  elements: dict
  sample:
    - host: host1
      action: send
      target: pool1/prodfs@zrep_000001
      what: send pool1/prodfs@zrep_000001 from zrep_000000 to pool2/prodfs
      why: the replica ends at zrep_000000
pairs:
  description: Each pair as it stands now, or would stand, as RV(zfsops.zrep.zrep_pair#module:pair) has it.
  returned: always
  type: list
  elements: dict
failed_filesystems:
  description: Which filesystems failed, and why.
  returned: always
  type: list
  elements: dict
  sample:
    - filesystem: pool1/prodfs
      code: unreachable
      host: host2
      message: 'cannot be reached by ssh: it does not answer'
      text: 'host2: cannot be reached by ssh: it does not answer.'
preserved:
  description: The datasets that hold what replicas had of their own before they were overwritten.
  returned: always
  type: list
  elements: dict
  sample:
    - filesystem: pool1/prodfs
      host: host2
      name: pool2/prodfs_preserved_zrep_000001
error:
  description: What is wrong, as data; the first of RV(failed_filesystems) where several things are.
  returned: failure
  type: dict
notes:
  description: Remarks for people, such as which filesystems were skipped and why.
  returned: always
  type: list
  elements: str
  sample: ['pool1/prodfs: the last sync is younger than 300 seconds']
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.zfsops.zrep.plugins.module_utils._core import run_pull, run_sync
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import BadInput
from ansible_collections.zfsops.zrep.plugins.module_utils._core.module import (
    common_arguments,
    run,
    sending_arguments,
    targets,
)
from ansible_collections.zfsops.zrep.plugins.module_utils._core.settings import Settings, check_skip_busy


def arguments() -> dict:
    return dict(
        common_arguments(),
        **sending_arguments(),
        filesystem={"type": "list", "elements": "str", "required": True},
        direction={"type": "str", "choices": ["auto", "push", "pull"], "default": "auto"},
        max_age={"type": "int"},
        only_if_changed={"type": "bool", "default": False},
        skip_busy={"type": "int"},
        send_only={"type": "bool", "default": False},
        force={"type": "bool", "default": False},
        diverged={"type": "str", "choices": ["preserve", "discard"], "default": "preserve"},
        expire={"type": "bool", "default": True},
        parallel={"type": "int", "default": 1},
    )


def main() -> None:
    module = AnsibleModule(argument_spec=arguments(), supports_check_mode=True)
    params = module.params

    def work(settings: Settings) -> dict:
        filesystems, everything = targets(params)
        goal = {
            name: params[name] for name in ("max_age", "only_if_changed", "send_only", "force", "diverged", "expire")
        }
        goal["expire"] = goal["expire"] and not settings.skip_expire
        if goal["max_age"] is not None and goal["max_age"] < 0:
            raise BadInput("max_age {} cannot be used: expected seconds from 0 on".format(goal["max_age"]))
        verb = run_pull.pull if params["direction"] == "pull" else run_sync.sync
        outcome = verb(settings, filesystems, everything, goal, check_skip_busy(params["skip_busy"]), module.check_mode)
        return dict(outcome.result(module.check_mode), preserved=outcome.preserved)

    run(module, work)


if __name__ == "__main__":
    main()
