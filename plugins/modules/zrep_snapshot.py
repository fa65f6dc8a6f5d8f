#!/usr/bin/python
# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: zrep_snapshot
short_description: Take, expire, record or return to snapshots of replicated ZFS filesystems
version_added: 0.1.0
author:
  - zfsops.zrep authors (@zfsops)
description:
  - Takes the next snapshot of a pair without sending it, for example while a database is paused for a moment;
    M(zfsops.zrep.zrep_sync) with O(zfsops.zrep.zrep_sync#module:send_only) sends it.
  - Destroys snapshots of a pair that its savecounts do not cover.
  - Records a snapshot as the last one that the replica holds, which completes a replication that was made by hand.
  - Takes both sides of a pair back to a snapshot that both hold.
extends_documentation_fragment:
  - zfsops.zrep.common
  - zfsops.zrep.common.attributes
attributes:
  idempotent:
    support: partial
    details:
      - O(state=present) without O(snapshot) takes a snapshot on every run, unless O(only_if_changed) finds nothing
        written.
options:
  filesystem:
    description:
      - The filesystems, or V(all) for every one of which this host is master under the tag.
      - With O(state=sent) or O(state=rolled_back) exactly one.
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
    type: str
    choices: [present, expired, sent, rolled_back]
    default: present
  snapshot:
    description:
      - The name of a snapshot, the part after the C(@). Required with O(state=sent) and O(state=rolled_back).
      - With O(state=present) the default is the next in the pair's sequence.
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

from ansible_collections.zfsops.zrep.plugins.module_utils._core import run_rollback, run_snapshot
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import BadInput
from ansible_collections.zfsops.zrep.plugins.module_utils._core.module import common_arguments, run, targets
from ansible_collections.zfsops.zrep.plugins.module_utils._core.settings import Settings

ONE = ("sent", "rolled_back")
"""The states that concern one filesystem at a time."""


def arguments() -> dict:
    return dict(
        common_arguments(),
        filesystem={"type": "list", "elements": "str", "required": True},
        state={"type": "str", "choices": ["present", "expired", "sent", "rolled_back"], "default": "present"},
        snapshot={"type": "str"},
        only_if_changed={"type": "bool", "default": False},
        local_only={"type": "bool", "default": False},
        force={"type": "bool", "default": False},
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(),
        required_if=[("state", "sent", ("snapshot",)), ("state", "rolled_back", ("snapshot",))],
        supports_check_mode=True,
    )
    params = module.params
    dry = module.check_mode

    def work(settings: Settings) -> dict:
        filesystems, everything = targets(params)
        if params["state"] in ONE and len(filesystems) != 1:
            raise BadInput("state={} works on exactly one filesystem".format(params["state"]))
        if params["force"] and params["state"] != "rolled_back":
            raise BadInput("force=true says nothing with state={}".format(params["state"]))
        if params["state"] == "rolled_back":
            if params["local_only"]:
                raise BadInput(
                    "state=rolled_back works on both sides, so local_only=true does not fit",
                    hint="leave it out, or use zrep_sync with FILESYSTEM@SNAPSHOT, which takes the replica back alone",
                )
            outcome = run_rollback.roll_back(settings, filesystems[0], params["snapshot"], params["force"], dry)
        elif params["state"] == "sent":
            outcome = run_snapshot.sent(settings, filesystems[0], params["snapshot"], params["local_only"], dry)
        elif params["state"] == "expired":
            outcome = run_snapshot.expire(settings, filesystems, everything, params["local_only"], dry)
        else:
            outcome = run_snapshot.take(
                settings, filesystems, everything, params["snapshot"], params["only_if_changed"], dry
            )
        result = outcome.result(dry)
        result["snapshots"] = [step["target"] for step in result["actions"] if step["action"] == "snapshot"]
        return result

    run(module, work)


if __name__ == "__main__":
    main()
