# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  tag:
    description:
      - The name space of the pair. Its properties are named C(TAG:master), C(TAG:dest-fs) and so on, its snapshots
        C(TAG_000000). One filesystem may have several destinations, each with a tag of its own.
      - Lower-case letters, digits, and C(. _ -).
      - If the task does not say, the environment variable E(ZREPTAG) of the task counts.
    type: str
    default: zrep
  ssh:
    description:
      - The ssh command, with options if need be, by which this host reaches the other one, for example
        V(ssh -p 224 -l replication).
      - It never asks for a password and never trusts an unknown host key, so keys and C(known_hosts) have to be in
        place for the user who runs the module.
      - If the task does not say, the environment variable E(SSH) of the task counts.
    type: str
    default: ssh
  src_host:
    description:
      - The name under which this host records itself in the properties of its pairs.
      - Where it is set at all, it has to be the same for every run on that host.
      - The default is the node name up to the first dot. If the task does not say, the environment variable
        E(ZREP_SRC_HOST) of the task counts.
    type: str
requirements:
  - Python 3.8 or later on the managed host.
  - A C(zfs) command on the managed host and on its peer, found by a non-interactive shell.
  - The managed host reaches its peer by ssh, with a key and a known host key.
notes:
  - Must run as root, or as a user with the necessary permissions by C(zfs allow).
  - Filesystem stands for volume too, where nothing else is said.
"""

    SENDING = r"""
options:
  send_options:
    description:
      - Further options for C(zfs send), without values, for example V(-c) or V(--raw). Those that decide what a stream
        contains are chosen by the module and refused here.
    type: list
    elements: str
    default: []
  intermediates:
    description:
      - Whether incremental streams carry the snapshots between the last one sent and the newest, those of other tools
        included (C(zfs send -I) instead of C(-i)).
      - The default is V(true) for the tag V(zrep) and V(false) for any other, so that the snapshots of one tag do not
        gather at the destinations of another.
    type: bool
  compress:
    description:
      - How streams are compressed between two hosts, for networks that are slower than the hosts. The program has to be
        installed on both; where it is not, there is a warning and the stream goes as it is. Within one host nothing is
        compressed.
      - Where datasets are compressed and ZFS can send the blocks as they are, O(send_options=-c) has nearly the same
        effect and costs nothing; for encrypted ones sent with O(send_options=--raw) compression is of no use.
    type: str
    choices:
      none: Not at all.
      auto: In the first of the other ways for which both hosts have a program.
      zstd: With C(zstd).
      lz4: With C(lz4), which takes little of the processor and compresses less.
      gzip: With C(pigz) or else C(gzip), each host with what it has.
    default: none
  buffer:
    description:
      - The size of a buffer for streams, for example V(128M), at each end on which C(mbuffer) is installed. There is a
        warning for ends on which it is not. It evens out the pauses that C(zfs) makes on either side.
      - Bytes, with V(K), V(M), V(G) or V(T) for powers of 1024, at least V(1M). By default, or with V(none), there is
        no buffer.
    type: str
  rate_limit:
    description:
      - How many bytes per second may leave the sending host, for example V(20M), after compression. At least V(16K).
      - It holds for all streams of a run together; those that can run at a time get equal parts of it.
      - It takes C(pv) or C(mbuffer) on the sending host. Without either nothing is sent and nothing changed.
      - By default, or with V(none), there is no limit.
    type: str
  rename_unsent:
    description:
      - What becomes of a snapshot that was taken for a sync and could not be sent. With V(true) it is kept under its
        name with C(_unsent) at the end, as a point to recover files from; with V(false) it is destroyed.
      - If the task does not say, the environment variable E(ZREP_RENAME_UNSENT) of the task counts.
    type: bool
    default: true
  resume:
    description:
      - Whether a transfer that was interrupted goes on from where it was. What has arrived stays at the receiver then,
        and the next run sends the rest, before anything new. That needs a ZFS on both hosts that can resume (OpenZFS
        0.7 and later); on others nothing changes.
      - What an interrupted receive has left keeps other programs from sending there, until it is completed by the next
        run or given up with C(zfs receive -A).
      - With V(false) nothing is kept. What is there already, or belongs to something that the sender does not have any
        more, is given up with a warning; nobody could read it.
    type: bool
    default: true
  script_locks:
    description:
      - Whether to write the lock properties of the zrep script while working, so that a script on this host keeps off.
        Those of the script are always respected, on both hosts. Writing them costs six more C(zfs) commands, three
        of which wait for the pool.
      - The script's global lock is taken for the moment in which they are written. It lies in the directory that the
        environment variable E(ZREP_RUNDIR) of the task names, by default where the script has it, and is waited for as
        many seconds as E(Z_LOCK_RETRY) says, by default 10.
    type: str
    choices:
      auto:
        - If the script is on this host. That is so if a program C(zrep), other than the command of this collection,
          is on the PATH, in one of the usual folders or at the absolute path in the environment variable E(ZREP_PATH)
          of the task, or if the script's global lock exists.
      always: In any case, for example for a script under another name.
      never: In no case.
      "true": The same as V(always).
      "false": The same as V(never).
    default: auto
"""

    ATTRIBUTES = r"""
attributes:
  check_mode:
    description: Can run in C(check_mode) and return what it would do without changing anything.
    support: full
    details:
      - The peer is contacted and everything is checked, so that a run in check mode fails where the real one would.
  diff_mode:
    description: Returns details on what has changed, or would change in C(check_mode), when in diff mode.
    support: full
  idempotent:
    description: When run twice, the second run changes nothing.
    support: full
  action_group:
    description: Options of all modules of the group can be given together with C(module_defaults).
    support: full
    membership:
      - zfsops.zrep.zrep
    details:
      - Use C(group/zfsops.zrep.zrep) in C(module_defaults).
"""
