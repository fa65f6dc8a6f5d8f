#!/usr/bin/python
# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: zrep_failover
short_description: Give a host the role of master or of replica in a pair
version_added: 0.1.0
author:
  - zfsops.zrep authors (@zfsops)
description:
  - Says that this host is the master, or the replica, of a pair of ZFS filesystems, and moves the roles if they are
    not so.
  - A planned move freezes the old master, sends what is left, proves that both sides are equal by the GUIDs of their
    snapshots, and swaps the roles, the old master first. It can be started on either host. If it cannot be completed,
    the old master stays what it was, writable.
  - What stands against a planned move is found before anything is changed, and all of it is reported at once.
  - With O(force=true) a replica becomes the master without its peer, for when that is dead. What is missing then is
    reported as RV(loss).
  - A master that comes back after such a takeover is told that there are two (a split brain), with the facts to
    choose between them. O(diverged) says what becomes of what it has of its own since the newest common snapshot; it
    is then rolled back to that and follows the new master incrementally.
  - A move that was killed, or lost its link, is completed by the same call again, from either end, from wherever it
    got to.
extends_documentation_fragment:
  - zfsops.zrep.common
  - zfsops.zrep.common.sending
  - zfsops.zrep.common.attributes
options:
  filesystem:
    description: The filesystem or volume on this host.
    type: str
    required: true
  role:
    description:
      - The role that this host is to have.
      - V(master) on the replica, or V(replica) on the master, is a planned move.
      - V(master) on a master that a move left read-only makes it writable again and so calls the move off.
    type: str
    choices: [master, replica]
    required: true
  force:
    description:
      - With O(role=master), do not contact the peer at all and become the master alone. What was written there since
        the last sync is missing here, and as long as nobody can tell the old master, there may be two.
      - With O(role=replica), step down alone if the peer does not answer, at the newest snapshot that it is known to
        have, so that nothing can be written here when the network comes back. If it answers and is a healthy replica,
        this is refused, since nobody would be master.
    type: bool
    default: false
  diverged:
    description:
      - What becomes of what the side that is to be the replica has of its own since the newest common snapshot.
      - V(refuse) changes nothing and says what there is on each side.
      - V(preserve) copies it into a dataset of its own first, RV(preserved). Where zfs can make that a clone, it
        costs what differs; an old version makes a full copy.
      - V(discard) throws it away.
    type: str
    choices: [refuse, preserve, discard]
    default: refuse
  preserve_as:
    description:
      - The dataset that O(diverged=preserve) makes, in the pool of the filesystem.
      - By default the filesystem's name with C(_preserved_) and the name of the common snapshot, with a number after
        it where that is taken.
    type: str
  peer_src_host:
    description: The name under which the peer records itself, if that is not its host name (its E(ZREP_SRC_HOST)).
    type: str
  repoint:
    description:
      - Tags of other destinations of the filesystem that are to follow the new master. From then on it sends to
        them, incrementally, and the old master does not any more.
      - The base is a snapshot that the new master and the destination hold with the same GUID. If the newest at the
        destination is not known to the new master, the old one sends one increment more, up to a snapshot that both
        masters have. Nothing is rolled back or destroyed there.
      - What stands against it is found before the move. A destination that is ahead of the new master, or that
        shares no snapshot with anybody, is refused with the call that goes on.
      - The new master must be able to connect to the destination by the name that the old one has recorded.
      - Other destinations are left alone. They are reported as RV(other_destinations).
      - It can be said in a call in which nothing is left to move.
    type: list
    elements: str
    default: []
notes:
  - While a move is under way, a small process on each host holds the filesystem's lock there. On the host of the old
    master it is a dead man's switch as well. If the move is killed or loses its link before the swap of the roles
    begins, that process makes the filesystem writable again. If it is killed during the swap itself, the old master
    may stay read-only until the next call.
  - Versions of ZFS before OpenZFS need a remount. It takes the filesystems below along for a moment; all that was
    mounted is mounted again, also if the move fails.
  - A filesystem that programs have open for writing is not moved; they are named in the error.
seealso:
  - module: zfsops.zrep.zrep_info
  - module: zfsops.zrep.zrep_snapshot
"""

EXAMPLES = r"""
- name: Make this host the master, planned, whichever host is now
  zfsops.zrep.zrep_failover:
    filesystem: pool2/prodfs
    role: master

- name: Give the master role back, started on the host that has it
  zfsops.zrep.zrep_failover:
    filesystem: pool2/prodfs
    role: replica

- name: The master is dead, take over without it
  zfsops.zrep.zrep_failover:
    filesystem: pool2/prodfs
    role: master
    force: true

- name: The old master is back, keep what only it has in a dataset of its own and let it follow the new one
  zfsops.zrep.zrep_failover:
    filesystem: pool1/prodfs
    role: replica
    diverged: preserve

- name: Make this host the master, and send to the destination that has the tag offsite from here as well
  zfsops.zrep.zrep_failover:
    filesystem: pool2/prodfs
    role: master
    repoint: [offsite]
"""

RETURN = r"""
changed:
  description: Whether anything was changed on either host.
  type: bool
  returned: always
actions:
  description: What was done or, in check mode, would be done, with host, action, target, what and why.
  type: list
  elements: dict
  returned: always
  sample:
    - host: host1
      action: set
      target: pool1/prodfs
      what: set readonly=on on pool1/prodfs
      why: nothing may be written after the last sync
pair:
  description: The pair as it stands now, as RV(zfsops.zrep.zrep_info#module:pairs) describes it.
  type: dict
  returned: unless it failed
loss:
  description:
    - What is missing after a takeover without the peer. All that was written on the old master after C(since)
      (C(since_iso)), the time of the newest C(snapshot) here, C(age_seconds) ago. How much that is only the old
      master knows; C(usual_bytes_per_sync) says what syncs brought before.
  type: dict
  returned: with O(force=true) on a replica
preserved:
  description: The dataset that holds what the old side had of its own.
  type: str
  returned: with O(diverged=preserve), if it had anything
other_destinations:
  description:
    - Where the filesystem is sent to under other tags. Each has C(tag), C(host) and C(filesystem), C(master_host) and
      C(master_filesystem) that send there, whether that is the new master (C(follows)), and whether this call made it
      so (C(repointed)).
    - After a takeover that did not contact the old master, C(host) is null where nothing but the tag is known.
  type: list
  elements: dict
  returned: unless it failed
  sample:
    - tag: offsite
      host: host3
      filesystem: pool3/prodfs
      master_host: host2
      master_filesystem: pool2/prodfs
      follows: true
      repointed: true
notes:
  description: Remarks for people.
  type: list
  elements: str
  returned: always
error:
  description:
    - What went wrong, for programs, with a C(code).
    - C(divergence) has the facts of a split brain, C(problems) everything that stands against a planned move,
      C(holders) who has files open.
  type: dict
  returned: on failure
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.zfsops.zrep.plugins.module_utils._core.module import (
    common_arguments,
    run,
    sending_arguments,
    single,
)
from ansible_collections.zfsops.zrep.plugins.module_utils._core.run_failover import failover
from ansible_collections.zfsops.zrep.plugins.module_utils._core.settings import Settings


def arguments() -> dict:
    return dict(
        common_arguments(),
        **sending_arguments(),
        filesystem={"type": "str", "required": True},
        role={"type": "str", "choices": ["master", "replica"], "required": True},
        force={"type": "bool", "default": False},
        diverged={"type": "str", "choices": ["refuse", "preserve", "discard"], "default": "refuse"},
        preserve_as={"type": "str"},
        peer_src_host={"type": "str"},
        repoint={"type": "list", "elements": "str", "default": []},
    )


def main() -> None:
    module = AnsibleModule(argument_spec=arguments(), supports_check_mode=True)
    params = module.params

    def work(settings: Settings) -> dict:
        moved = failover(
            settings,
            params["filesystem"],
            params["role"],
            force=params["force"],
            diverged=params["diverged"],
            preserve_as=params["preserve_as"] or "",
            peer_identity=params["peer_src_host"] or "",
            dry=module.check_mode,
            repoint=params["repoint"],
        )
        return dict(
            single(moved.outcome, module.check_mode),
            loss=moved.loss,
            preserved=moved.preserved,
            other_destinations=[found.facts() for found in moved.others],
        )

    run(module, work)


if __name__ == "__main__":
    main()
