#!/usr/bin/python
# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: zrep_snapshot
short_description: Take, expire, record, return to or try out snapshots of replicated ZFS filesystems
version_added: 0.1.0
author:
  - zfsops.zrep authors (@zfsops)
description:
  - Takes the next snapshot of a pair without sending it, for example while a database is paused for a moment;
    M(zfsops.zrep.zrep_sync) with O(zfsops.zrep.zrep_sync#module:send_only) sends it.
  - Destroys snapshots of a pair that its savecounts do not cover.
  - Records a snapshot as the last one that the replica holds, which completes a replication that was made by hand.
  - Takes both sides of a pair back to a snapshot that both hold.
  - Makes and removes the clone of a drill, which proves that a replica could take over without touching the master, and
    keeps a record of it.
extends_documentation_fragment:
  - zfsops.zrep.common
  - zfsops.zrep.common.attributes
attributes:
  idempotent:
    support: partial
    details:
      - O(state=present) without O(snapshot) takes a snapshot on every run, unless O(only_if_changed) finds nothing
        written.
      - O(state=drilled) with O(result) records the drill anew, with the time, as long as there is a clone to remove.
options:
  filesystem:
    description:
      - The filesystems, or V(all) for every one of which this host is master under the tag.
      - With any O(state) but V(present) and V(expired) exactly one.
    type: list
    elements: str
    required: true
  state:
    description:
      - V(present) takes a snapshot. This host must be the master.
      - V(expired) B(destroys snapshots of the pair) that have had their time, on both sides if this host is the master
        and on this side if it is the replica. The last one sent, newer ones, the base that both sides share, and
        snapshots of other tags or tools always stay.
      - V(sent) records O(snapshot) as the last one sent. Later marks are taken off, and the side that the pair names as
        its source becomes master if nobody is.
      - V(rolled_back) takes both sides back to O(snapshot) and B(destroys everything newer), on either host's call. The
        pair is usable at once afterwards.
      - V(cloned) makes a writable, mounted clone of O(snapshot), on either side of the pair and without contacting the
        other one. Syncs go on meanwhile; the snapshot cannot be destroyed as long as the clone exists. Something else
        under the name O(clone) is a reason to refuse.
      - V(drilled) B(destroys that clone), and with O(result) records in the property C(TAG:drill) what became of the
        drill. Nothing but a clone of this very filesystem that V(cloned) made is ever destroyed, and nothing that hangs
        on it.
    type: str
    choices: [present, expired, sent, rolled_back, cloned, drilled]
    default: present
  snapshot:
    description:
      - The name of a snapshot, the part after the C(@). Required with O(state=sent) and O(state=rolled_back).
      - With O(state=present) the default is the next in the pair's sequence.
      - With O(state=cloned) the default is the newest one here that is recorded as sent, or else the pair's newest one.
      - With O(state=drilled) the default is the one that was cloned. If the clone is gone already, it is the same as
        with O(state=cloned).
    type: str
  only_if_changed:
    description: With O(state=present), take no snapshot where nothing was written since the pair's newest one.
    type: bool
    default: false
  local_only:
    description: With O(state=expired) or O(state=sent), leave the other side alone.
    type: bool
    default: false
  force:
    description:
      - With O(state=rolled_back), also B(destroy newer snapshots that are not the pair's own), such as those of other
        tags or tools. Without it they are a reason to refuse.
    type: bool
    default: false
  clone:
    description:
      - With O(state=cloned) or O(state=drilled), the name of the clone, in the pool of the filesystem.
      - The default is the name of the filesystem with C(_drill) at the end.
    type: str
  mountpoint:
    description:
      - With O(state=cloned), the directory on which the clone is mounted. Required where the dataset above the clone
        has none to inherit.
      - The clone is mounted at once, but not when the host boots.
    type: path
  result:
    description:
      - With O(state=drilled), whether the drill went well. It is recorded with the time and O(seconds).
      - Without it nothing is recorded.
    type: str
    choices: [passed, failed]
  seconds:
    description: With O(result), how long the drill took.
    type: int
seealso:
  - module: zfsops.zrep.zrep_sync
  - module: zfsops.zrep.zrep_info
"""

EXAMPLES = r"""
- name: Take a snapshot while the database is paused
  zfsops.zrep.zrep_snapshot:
    filesystem: pool1/prodfs
  register: taken

- name: Send it afterwards
  zfsops.zrep.zrep_sync:
    filesystem: pool1/prodfs
    send_only: true

- name: Apply the savecounts of both sides now
  zfsops.zrep.zrep_snapshot:
    filesystem: all
    state: expired

- name: Record a snapshot as sent
  zfsops.zrep.zrep_snapshot:
    filesystem: pool1/prodfs
    state: sent
    snapshot: zrep_000001

- name: Take both sides back to how they were
  zfsops.zrep.zrep_snapshot:
    filesystem: pool1/prodfs
    state: rolled_back
    snapshot: zrep_000001

- name: Begin a drill
  zfsops.zrep.zrep_snapshot:
    filesystem: pool1/prodfs
    state: cloned
  register: drill

- name: See whether the data is fit to take over
  ansible.builtin.command:
    cmd: "find {{ drill.clone.mountpoint }} -type f -size +0"
  changed_when: false

- name: End the drill and keep a record of it
  zfsops.zrep.zrep_snapshot:
    filesystem: pool1/prodfs
    state: drilled
    result: passed
    seconds: 2
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode, in order.
  returned: always
  type: list
  elements: dict
  sample:
    - host: host1
      action: snapshot
      target: pool1/prodfs@zrep_000001
      what: snapshot pool1/prodfs@zrep_000001
      why: as asked for
snapshots:
  description: The full names of the snapshots that were taken, or would be.
  returned: always
  type: list
  elements: str
  sample: [pool1/prodfs@zrep_000001]
clone:
  description: The clone of the drill.
  returned: with O(state=cloned)
  type: dict
  contains:
    name:
      description: The dataset.
      type: str
      sample: pool2/prodfs_drill
    mountpoint:
      description: The directory on which it is mounted; null for a volume.
      type: str
      sample: /pool2/prodfs_drill
    snapshot:
      description: The snapshot that it was made from, the part after the C(@).
      type: str
      sample: zrep_00002a
    snapshot_created:
      description: When that was taken, in epoch seconds.
      type: int
      sample: 1795388075
    snapshot_created_iso:
      description: The same in ISO 8601, UTC.
      type: str
      sample: "2026-11-22T21:34:35Z"
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
error:
  description: What is wrong, as data; the first of RV(failed_filesystems) where several things are.
  returned: failure
  type: dict
notes:
  description: Remarks for people.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.zfsops.zrep.plugins.module_utils._core import run_drill, run_rollback, run_snapshot
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import BadInput
from ansible_collections.zfsops.zrep.plugins.module_utils._core.module import common_arguments, run, targets
from ansible_collections.zfsops.zrep.plugins.module_utils._core.settings import Settings

MANY = ("present", "expired")
"""The states that may concern several filesystems at a time."""
MEANT_FOR = {
    "force": ("rolled_back",),
    "clone": ("cloned", "drilled"),
    "mountpoint": ("cloned",),
    "result": ("drilled",),
    "seconds": ("drilled",),
}
"""Options that belong to some states: with others they would be read as something that they do not say."""


def arguments() -> dict:
    return dict(
        common_arguments(),
        filesystem={"type": "list", "elements": "str", "required": True},
        state={
            "type": "str",
            "choices": ["present", "expired", "sent", "rolled_back", "cloned", "drilled"],
            "default": "present",
        },
        snapshot={"type": "str"},
        only_if_changed={"type": "bool", "default": False},
        local_only={"type": "bool", "default": False},
        force={"type": "bool", "default": False},
        clone={"type": "str"},
        mountpoint={"type": "path"},
        result={"type": "str", "choices": ["passed", "failed"]},
        seconds={"type": "int"},
    )


def check(params: dict, filesystems: list) -> None:
    """Refuse options that contradict each other."""
    state = params["state"]
    if state not in MANY and len(filesystems) != 1:
        raise BadInput(f"state={state} works on exactly one filesystem")
    for name, states in MEANT_FOR.items():
        if params[name] not in (None, False) and state not in states:
            raise BadInput(
                "{} says nothing with state={}".format("force=true" if name == "force" else name, state),
                hint="it belongs to state={}".format(" or state=".join(states)),
            )
    if state == "rolled_back" and params["local_only"]:
        raise BadInput(
            "state=rolled_back works on both sides, so local_only=true does not fit",
            hint="leave it out, or use zrep_sync with FILESYSTEM@SNAPSHOT, which takes the replica back alone",
        )


def on_one(settings: Settings, params: dict, filesystem: str, dry: bool) -> dict:
    """The states that concern one filesystem at a time."""
    state, short = params["state"], params["snapshot"]
    if state == "rolled_back":
        return run_rollback.roll_back(settings, filesystem, short, params["force"], dry).result(dry)
    if state == "cloned":
        return run_drill.cloned(settings, filesystem, params["clone"], short, params["mountpoint"], dry).result(dry)
    if state == "drilled":
        ended = run_drill.drilled(
            settings, filesystem, params["clone"], short, params["result"], params["seconds"], dry
        ).result(dry)
        ended.pop("clone")
        return ended
    return run_snapshot.sent(settings, filesystem, short, params["local_only"], dry).result(dry)


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(),
        required_if=[("state", "sent", ("snapshot",)), ("state", "rolled_back", ("snapshot",))],
        required_together=[("result", "seconds")],
        supports_check_mode=True,
    )
    params = module.params
    dry = module.check_mode

    def work(settings: Settings) -> dict:
        filesystems, everything = targets(params)
        check(params, filesystems)
        if params["state"] == "expired":
            result = run_snapshot.expire(settings, filesystems, everything, params["local_only"], dry).result(dry)
        elif params["state"] == "present":
            result = run_snapshot.take(
                settings, filesystems, everything, params["snapshot"], params["only_if_changed"], dry
            ).result(dry)
        else:
            result = on_one(settings, params, filesystems[0], dry)
        result["snapshots"] = [step["target"] for step in result["actions"] if step["action"] == "snapshot"]
        return result

    run(module, work)


if __name__ == "__main__":
    main()
