#!/usr/bin/python
# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: zrep_pair
short_description: Make, change, adopt or remove a pair of replicated ZFS filesystems
version_added: 0.1.0
author:
  - zfsops.zrep authors (@zfsops)
description:
  - Makes a filesystem of this host the master of a pair, with a replica on another host, and sends the first full copy.
  - With O(role=replica) makes it the replica of one on another host, and fetches the first full copy. That host needs
    no more than C(zfs) and never connects to this one, as suits a backup server.
  - Mends and changes a pair that exists, whichever side is master now. A pair that the zrep script made is one like any
    other.
  - Adopts a replication that was made by other means, without sending everything again.
  - Removes a pair and leaves the data of both sides.
extends_documentation_fragment:
  - zfsops.zrep.common
  - zfsops.zrep.common.sending
  - zfsops.zrep.common.attributes
options:
  filesystem:
    description:
      - The filesystem or volume on this host. Where a new pair gets it as the replica (O(role=replica)), the dataset
        above it must exist.
    type: str
    required: true
  peer_host:
    description:
      - The other host, by a name or address that ssh on this host can use; V(USER@HOST) is possible.
      - Required with O(state=present).
    type: str
  peer_filesystem:
    description:
      - The filesystem or volume there. Where a new pair gets it as the replica, the dataset above it must exist.
      - Required with O(state=present).
    type: str
  state:
    description:
      - V(present) makes sure that the pair exists as described. On a host that is the replica of the pair by now,
        this is checked from there.
      - V(absent) takes the pair's properties and marks off both sides. Data, snapshots and C(readonly) stay as they
        are.
    type: str
    choices: [present, absent]
    default: present
  role:
    description:
      - What this host is to be when a pair is made. A pair that exists keeps its roles, whichever they are by now;
        M(zfsops.zrep.zrep_failover) moves them.
      - With V(replica), O(force), O(create_properties) and O(peer_properties) are about the filesystem on this host,
        since that is the replica, and O(adopt) fetches what is missing.
    type: str
    choices: [master, replica]
    default: master
  peer_src_host:
    description:
      - With O(role=replica), the name under which the other host records itself, if that is not its host name (its
        E(ZREP_SRC_HOST)).
    type: str
  savecount:
    description:
      - How many snapshots of the pair this side keeps.
      - A new pair gets 5 if nothing is said, an existing one keeps what it has.
      - For a new pair the environment variable E(ZREP_SAVE_COUNT) of the task counts if the task does not say.
    type: str
  peer_savecount:
    description:
      - How many snapshots of the pair the other side keeps. The default is the same as O(savecount).
    type: str
  recursive:
    description:
      - Whether all filesystems and volumes below O(filesystem) belong to the pair too. It is remembered with the pair,
        so that no other call needs to say it.
      - All of them are snapshotted in one moment. Those that are new on the master are copied to the replica, those
        that were renamed are renamed there.
      - What the master does not have any more, or has made anew under its old name, is moved aside on the replica, next
        to its root, as C(REPLICA_removed_TIME_NAME) or C(REPLICA_replaced_TIME_NAME). Nothing of it is destroyed.
      - Own mountpoints of what is below do not go along, so that nothing is ever mounted over a path of the other host.
      - An existing pair stays as it is if nothing is said.
    type: bool
  hold:
    description:
      - Whether the snapshot that both sides share last is held (C(zfs hold)) on both, so that nobody can destroy it by
        mistake. The next sync releases it and holds its own. Holds of others are not touched.
      - It is remembered with the pair. It costs four processes a sync.
      - An existing pair stays as it is if nothing is said.
    type: bool
  adopt:
    description:
      - Build on data that the other side already has, instead of a full copy. The name of a snapshot (the part after
        the C(@)), or V(newest).
      - The snapshot must be on both sides with the same GUID, and be the newest that is.
      - On an existing pair it points the pair to a replica that was moved to another place.
    type: str
  force:
    description:
      - With O(state=present), where the destination exists already, move it aside under the name
        C(DESTINATION_replaced_TIME), with everything in it, and make the replica in its place. If the copy fails,
        the old destination is moved back. Nothing of it is destroyed.
      - With O(adopt), roll the destination back to the common snapshot; B(what it has of its own since then is
        destroyed).
      - With O(state=absent), B(destroy the snapshots of the pair) on the sides that it is removed from.
    type: bool
    default: false
  local_only:
    description: With O(state=absent), remove the half of the pair on this host and leave the other host alone.
    type: bool
    default: false
  create_properties:
    description:
      - Native or user properties that the replica gets when it is made, whichever host it is on, for example
        V({"compression":"zstd"}).
    type: dict
    default: {}
  peer_properties:
    description:
      - Native or user properties that the replica always has, the one on the peer or, with O(role=replica), the one on
        this host. They are put right on every run.
    type: dict
    default: {}
  exclude_properties:
    description:
      - Properties of the master, native or user properties, that do not go along with the first copy; V(all) for none
        of them. It is remembered with the pair, and concerns what is below a tree too, also what is made there later.
      - Without it all properties that are set on the master itself go along, but for C(mountpoint). The replica is
        C(readonly). Versions of ZFS without C(receive -x) carry none at all.
    type: list
    elements: str
  keep_mountpoint:
    description:
      - Whether a side that becomes the master is mounted where the master was. It is remembered with the pair, and for
        each filesystem below it that has a mountpoint of its own.
      - As long as a side is the replica it keeps its own mountpoint, so that nothing is mounted over a path of its
        host. A planned move to a host where the path is in use is refused; one by force leaves the mountpoint there.
      - Without it each side keeps its own mountpoint at all times.
    type: bool
seealso:
  - module: zfsops.zrep.zrep_sync
  - module: zfsops.zrep.zrep_info
"""

EXAMPLES = r"""
- name: Replicate pool1/prodfs of this host to host2
  zfsops.zrep.zrep_pair:
    filesystem: pool1/prodfs
    peer_host: host2
    peer_filesystem: pool2/prodfs

- name: Keep a week of daily states on the replica, three here
  zfsops.zrep.zrep_pair:
    filesystem: pool1/prodfs
    peer_host: host2
    peer_filesystem: pool2/prodfs
    savecount: 3
    peer_savecount: 7

- name: A second destination under a tag of its own
  zfsops.zrep.zrep_pair:
    filesystem: pool1/prodfs
    peer_host: host2
    peer_filesystem: pool2/offsite
    tag: zrep-dc

- name: Replicate a filesystem with everything below it
  zfsops.zrep.zrep_pair:
    filesystem: pool1/projects
    peer_host: host2
    peer_filesystem: pool2/projects
    recursive: true
    hold: true

- name: Go on from a copy that was made by hand
  zfsops.zrep.zrep_pair:
    filesystem: pool1/manual
    peer_host: host2
    peer_filesystem: pool2/manual
    adopt: newest

- name: On a backup server, fetch a first copy of a client's filesystem and register both sides
  zfsops.zrep.zrep_pair:
    filesystem: pool1/fetched
    peer_host: host2
    peer_filesystem: pool2/data
    role: replica
    savecount: 30
    peer_savecount: 3

- name: The same, where a copy is there already and shares a snapshot with the client
  zfsops.zrep.zrep_pair:
    filesystem: pool1/copied
    peer_host: host2
    peer_filesystem: pool2/old
    role: replica
    adopt: newest

- name: Remove a pair and its snapshots, and leave the data
  zfsops.zrep.zrep_pair:
    filesystem: pool1/manual
    state: absent
    force: true
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode, in order.
  returned: always
  type: list
  elements: dict
  sample:
    - host: host2
      action: mark_sent
      target: pool2/prodfs@zrep_000000
      what: mark sent pool2/prodfs@zrep_000000
      why: host2:pool2/prodfs confirmed it
pair:
  description: The pair as it stands now, or would stand, seen from this host.
  returned: success
  type: dict
  contains:
    filesystem: {description: The dataset on this host., type: str, sample: pool1/prodfs}
    host: {description: The name under which this host records itself., type: str, sample: host1}
    tag: {description: The name space of the pair., type: str, sample: zrep}
    role: {description: "V(master), V(replica), or V(none) for no pair.", type: str, sample: master}
    peer_host: {description: The other host as recorded., type: str, sample: host2}
    peer_filesystem: {description: The dataset there., type: str, sample: pool2/prodfs}
    savecount: {description: How many snapshots this side keeps., type: int, sample: 5}
    readonly: {description: Whether the dataset on this host is readonly., type: bool, sample: false}
    mounted: {description: Whether the dataset on this host is mounted., type: bool, sample: true}
    last_snapshot: {description: The newest snapshot that the replica holds for sure., type: str, sample: zrep_000000}
    last_sync: {description: "When that was taken, in epoch seconds.", type: int, sample: 1795380401}
    last_sync_iso: {description: The same in ISO 8601., type: str, sample: '2026-11-22T20:46:41Z'}
    lag_seconds: {description: Seconds since then., type: int, sample: 12}
    unsent_bytes: {description: "Bytes written here since then, null where unknown.", type: int, sample: 0}
    unsent_snapshots: {description: Snapshots on the master since then., type: list, elements: str, sample: []}
    snapshots: {description: "The snapshots of the pair on this host, oldest first.", type: list, elements: dict}
error:
  description: What is wrong, as data, with a stable RV(ignore:code).
  returned: failure
  type: dict
  sample:
    code: exists
    host: host2
    dataset: pool2/prodfs
    message: the destination exists
    left: nothing was changed
    hint: name another destination
notes:
  description: Remarks for people.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule, env_fallback

from ansible_collections.zfsops.zrep.plugins.module_utils._core import names, run_pair, run_pull_pair
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import BadInput
from ansible_collections.zfsops.zrep.plugins.module_utils._core.model import Endpoint
from ansible_collections.zfsops.zrep.plugins.module_utils._core.module import (
    common_arguments,
    run,
    sending_arguments,
    single,
)
from ansible_collections.zfsops.zrep.plugins.module_utils._core.outcome import Outcome
from ansible_collections.zfsops.zrep.plugins.module_utils._core.settings import DEFAULT_SAVECOUNT, Settings


def arguments() -> dict:
    return dict(
        common_arguments(),
        **sending_arguments(),
        filesystem={"type": "str", "required": True},
        peer_host={"type": "str"},
        peer_filesystem={"type": "str"},
        state={"type": "str", "choices": ["present", "absent"], "default": "present"},
        role={"type": "str", "choices": ["master", "replica"], "default": "master"},
        peer_src_host={"type": "str"},
        savecount={"type": "str"},
        peer_savecount={"type": "str"},
        recursive={"type": "bool"},
        hold={"type": "bool"},
        adopt={"type": "str"},
        force={"type": "bool", "default": False},
        local_only={"type": "bool", "default": False},
        create_properties={"type": "dict", "default": {}},
        peer_properties={"type": "dict", "default": {}},
        exclude_properties={"type": "list", "elements": "str"},
        keep_mountpoint={"type": "bool"},
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(),
        required_if=[("state", "present", ("peer_host", "peer_filesystem"))],
        supports_check_mode=True,
    )
    params = module.params

    def work(settings: Settings) -> dict:
        if params["state"] == "absent":
            outcome = run_pair.pair_absent(
                settings, params["filesystem"], params["force"], params["local_only"], module.check_mode
            )
        else:
            outcome = present(settings, params, goal(), module.check_mode)
        return single(outcome, module.check_mode)

    def goal() -> dict:
        return {
            "savecount": count("savecount"),
            "peer_savecount": count("peer_savecount"),
            "recursive": params["recursive"],
            "hold": params["hold"],
            "default_savecount": names.check_savecount(default_savecount(), "ZREP_SAVE_COUNT"),
            "adopt": None if params["adopt"] is None else names.check_snapshot(params["adopt"], "adopt"),
            "force": params["force"],
            "create_properties": properties("create_properties"),
            "peer_properties": properties("peer_properties"),
            "exclude": excluded(),
            "keep_mountpoint": params["keep_mountpoint"],
        }

    def excluded() -> tuple | None:
        if params["exclude_properties"] is None:
            return None
        return tuple(
            sorted({names.check_property(name, "exclude_properties") for name in params["exclude_properties"]})
        )

    def count(name: str) -> int | None:
        return None if params[name] is None else names.check_savecount(params[name], name)

    def properties(name: str) -> dict:
        found = {}
        for key, value in params[name].items():
            if not isinstance(value, (str, int)) or isinstance(value, bool):
                raise BadInput(f"{name}: the value of {key} is neither text nor a whole number: {value!r}")
            found[names.check_property(str(key), name)] = str(value)
        return found

    run(module, work)


def present(settings: Settings, params: dict, goal: dict, dry: bool) -> Outcome:
    peer = Endpoint(params["peer_host"], params["peer_filesystem"])
    if params["role"] == "replica":
        identity = params["peer_src_host"] or ""
        return run_pull_pair.pair_pulled(settings, params["filesystem"], peer, goal, identity, dry)
    return run_pair.pair_present(settings, params["filesystem"], peer, goal, dry)


def default_savecount() -> str:
    try:
        return str(env_fallback("ZREP_SAVE_COUNT"))
    except Exception:
        return str(DEFAULT_SAVECOUNT)


if __name__ == "__main__":
    main()
