#!/usr/bin/python
# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: zrep_info
short_description: Tell how pairs of replicated ZFS filesystems stand
version_added: 0.1.0
author:
  - zfsops.zrep authors (@zfsops)
description:
  - Returns role, peer, last sync, lag, unsent bytes, snapshots and problems of the pairs of this host.
  - With O(check_peer), looks at the other side too and compares both by the GUIDs of their snapshots.
  - Changes nothing, takes no lock, and does not fail because a peer is away.
extends_documentation_fragment:
  - zfsops.zrep.common
  - zfsops.zrep.common.attributes
attributes:
  check_mode:
    details:
      - This module changes nothing.
  diff_mode:
    support: N/A
    details:
      - This module changes nothing.
options:
  filesystem:
    description: The filesystems to tell about. The default is all of the tag.
    type: list
    elements: str
    default: []
  all:
    description: Tell about every pair of the tag on this host, which is the default if O(filesystem) names none.
    type: bool
    default: false
  check_peer:
    description: Ask the other side of each pair too.
    type: bool
    default: false
  max_lag:
    description: A last sync older than this many seconds is a problem.
    type: int
seealso:
  - module: zfsops.zrep.zrep_pair
  - module: zfsops.zrep.zrep_sync
"""

EXAMPLES = r"""
- name: How do the pairs of this host stand
  zfsops.zrep.zrep_info:
  register: zrep

- name: Compare one pair with its peer
  zfsops.zrep.zrep_info:
    filesystem: pool1/prodfs
    check_peer: true
    max_lag: 300
  register: prodfs

- name: Stop here if anything is wrong with it
  ansible.builtin.assert:
    that: prodfs.problems == 0
    fail_msg: "{{ prodfs.pairs | map(attribute='problems') | flatten | map(attribute='message') | join('; ') }}"
"""

RETURN = r"""
pairs:
  description: One entry for each filesystem.
  returned: success
  type: list
  elements: dict
  contains:
    filesystem: {description: The dataset on this host., type: str, sample: pool1/prodfs}
    host: {description: The name under which this host records itself., type: str, sample: host1}
    tag: {description: The name space of the pair., type: str, sample: zrep}
    role: {description: "V(master), V(replica), or V(none) for no pair.", type: str, sample: master}
    peer_host: {description: The other host as recorded., type: str, sample: host2}
    peer_filesystem: {description: The dataset there., type: str, sample: pool2/prodfs}
    savecount: {description: "How many snapshots this side keeps, null if that is nonsense.", type: int, sample: 5}
    promoted:
      description:
        - When this side was made the master, in epoch seconds, null if that is not recorded. Of two masters the younger
          one counts, and the other is reported as C(superseded).
      type: int
      sample: 1795380000
    promoted_iso: {description: The same in ISO 8601., type: str, sample: '2026-11-22T20:40:00Z'}
    readonly: {description: Whether the dataset on this host is readonly., type: bool, sample: false}
    mounted: {description: Whether the dataset on this host is mounted., type: bool, sample: true}
    busy: {description: Whether a process of the zrep script holds its lock., type: bool, sample: false}
    last_snapshot: {description: The newest snapshot that the replica holds for sure., type: str, sample: zrep_000001}
    last_sync: {description: "When that was taken, in epoch seconds.", type: int, sample: 1795380401}
    last_sync_iso: {description: The same in ISO 8601., type: str, sample: '2026-11-22T20:46:41Z'}
    lag_seconds: {description: Seconds since then., type: int, sample: 12}
    hold: {description: "Whether the pair holds the snapshot that both sides share last.", type: bool, sample: false}
    receive_begun:
      description:
        - Whether a receive into this side began and has not ended. If none is running it was interrupted, and the next
          sync goes on from there; C(zfs receive -A) gives it up.
      type: bool
      sample: false
    zfs:
      description: What the zfs of this host is.
      type: dict
      contains:
        version: {description: "Of its kernel module, null where it has none.", type: str, sample: 2.3.9-1}
        can:
          description: "What it can do of V(resume), V(bookmarks), V(encryption), as its own answers showed."
          type: list
          elements: str
          sample: [resume, bookmarks, encryption]
    unsent_bytes: {description: "Bytes written here since then, null where unknown.", type: int, sample: 0}
    unsent_snapshots: {description: Snapshots on the master since then., type: list, elements: str, sample: []}
    drill:
      description: The last drill on this side, null if none is recorded.
      type: dict
      contains:
        time: {description: "When it was recorded, in epoch seconds.", type: int, sample: 1795380000}
        time_iso: {description: The same in ISO 8601., type: str, sample: '2026-11-22T20:40:00Z'}
        result: {description: "V(passed) or V(failed).", type: str, sample: passed}
        seconds: {description: How long it took., type: int, sample: 42}
        snapshot: {description: The snapshot that was tried., type: str, sample: zrep_000001}
    snapshots:
      description: The snapshots of the pair on this host, oldest first.
      type: list
      elements: dict
      contains:
        name: {description: The part after the C(@)., type: str, sample: zrep_000001}
        guid: {description: "The identity that the snapshot has on both sides, as text: it needs 64 bits.", type: str}
        created: {description: Epoch seconds., type: int}
        sent: {description: "When the receiver confirmed it, null if it did not.", type: int}
        held: {description: Whether a hold keeps it., type: bool}
    peer_reachable: {description: "Whether the peer answered. With O(check_peer).", type: bool, sample: true}
    peer:
      description:
        - The other side as it showed itself, with the same keys, and RV(ignore:common_snapshot), the newest snapshot
          that both sides hold. With O(check_peer).
      type: dict
    divergence:
      description:
        - What each side has of its own since RV(ignore:common_snapshot), if there are two masters or the replica was
          written to, null otherwise. C(here) and C(there) have the later C(snapshots), the C(bytes) written, when it
          was C(last_written), and the C(files) that changed where ZFS can tell; C(changed_on_both) those of both sides.
        - The first thousand files of each side. With O(check_peer).
      type: dict
    healthy: {description: Whether nothing is wrong., type: bool, sample: true}
    problems:
      description: Everything that is wrong, as far as what was seen can tell.
      type: list
      elements: dict
      contains:
        code: {description: A word for programs., type: str, sample: lag}
        severity: {description: "V(error) or V(warning).", type: str, sample: error}
        host: {description: Where it is wrong., type: str, sample: host1}
        message: {description: What is wrong., type: str}
        hint: {description: What mends it., type: str}
problems:
  description: How many problems there are in all.
  returned: success
  type: int
  sample: 0
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.zfsops.zrep.plugins.module_utils._core import run_info
from ansible_collections.zfsops.zrep.plugins.module_utils._core.errors import BadInput
from ansible_collections.zfsops.zrep.plugins.module_utils._core.module import common_arguments, run
from ansible_collections.zfsops.zrep.plugins.module_utils._core.settings import Settings


def arguments() -> dict:
    return dict(
        common_arguments(),
        filesystem={"type": "list", "elements": "str", "default": []},
        all={"type": "bool", "default": False},
        check_peer={"type": "bool", "default": False},
        max_lag={"type": "int"},
    )


def main() -> None:
    module = AnsibleModule(argument_spec=arguments(), supports_check_mode=True)
    params = module.params

    def work(settings: Settings) -> dict:
        filesystems = [name for name in params["filesystem"] if name != "all"]
        everything = params["all"] or not params["filesystem"] or params["filesystem"] == ["all"]
        if everything and filesystems:
            raise BadInput("all pairs were asked for and some by name: {}".format(", ".join(filesystems)))
        if params["max_lag"] is not None and params["max_lag"] < 0:
            raise BadInput("max_lag {} cannot be used: expected seconds from 0 on".format(params["max_lag"]))
        return run_info.info(settings, filesystems, everything, params["check_peer"], params["max_lag"])

    run(module, work)


if __name__ == "__main__":
    main()
