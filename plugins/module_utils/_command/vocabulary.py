# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the zrep command: its verbs with all that may be said with each, and what they mean. Data.

The script's words keep their meaning. Words with two dashes are new.
"""

from __future__ import annotations

import typing as t


class Option(t.NamedTuple):
    """A flag or long option.

    :param meaning: one sentence for people.
    :param value: how people write the value that it takes, empty if it takes none.
    """

    meaning: str
    value: str = ""


class Verb(t.NamedTuple):
    """What can be said with a verb.

    :param does: one sentence for the list of verbs.
    :param operands: how people write what follows.
    :param least: how many operands it needs at least.
    :param most: how many it takes at most, None for any number.
    :param options: what it knows, by letter or by long word.
    :param aliases: other words for it.
    :param more: what else there is to know.
    :param examples: complete command lines, with what they do.
    :param hidden: it is spoken between hosts only.
    """

    does: str
    operands: str = ""
    least: int = 0
    most: int | None = 0
    options: t.Mapping[str, Option] = {}
    aliases: tuple[str, ...] = ()
    more: str = ""
    examples: tuple[tuple[str, str], ...] = ()
    hidden: bool = False


GLOBAL: dict[str, Option] = {
    "t": Option("the tag of the pair; default: ZREPTAG, else zrep", "TAG"),
    "R": Option("with all filesystems below"),
    "D": Option("say more about what is done"),
}
"""What may be said with every verb, anywhere."""

_JSON = {"json": Option("answer in JSON")}
_DRY = {"dry-run": Option("print what would be done, and change nothing")}
_LOCAL = {"L": Option("on this host alone, without the other one")}
_MOVE = {
    **_LOCAL,
    "f": Option("nothing but compatible: a move never overwrites what only the other side has"),
    "preserve": Option("keep what the side that becomes the replica has of its own, in a dataset beside it"),
    "preserve-as": Option("the same, in a dataset of this name", "DATASET"),
    "discard": Option("throw away what the side that becomes the replica has of its own"),
    "repoint": Option("have its destinations under these tags follow the new master; commas between them", "TAG"),
    **_JSON,
    **_DRY,
}

VERBS: dict[str, Verb] = {
    "init": Verb(
        "make a pair: register both sides, send the first full copy",
        "FILESYSTEM HOST DESTINATION | --pull FILESYSTEM HOST SOURCE",
        3,
        3,
        {
            "pull": Option(
                "this side becomes the replica; fetch the first full copy from the source on the other host"
            ),
            "f": Option("make room at the destination by moving what is there aside; nothing is destroyed"),
            "v": Option("say how far the transfer is"),
            "adopt": Option("build on data that is there already: a common snapshot, or 'newest'", "SNAPSHOT"),
            "savecount": Option("how many snapshots both sides keep; default: ZREP_SAVE_COUNT, else 5", "N"),
            "hold": Option("hold the snapshot that both sides share last, so that nobody destroys it by mistake"),
            **_JSON,
            **_DRY,
        },
        ("-i",),
        more="Run again after an interruption it goes on where it was. On a complete pair it changes nothing. "
        "With --pull only this host connects to the other one, on which no zrep is needed; go on with 'zrep refresh'.",
        examples=(
            ("zrep init pool1/prodfs host2 pool2/prodfs", "replicate pool1/prodfs to host2"),
            ("zrep init --pull backup/data client1 data/fs", "on a backup server that may connect to its client"),
        ),
    ),
    "sync": Verb(
        "take a snapshot, send it to the replica, expire old ones on both sides",
        "FILESYSTEM... | all | FILESYSTEM@SNAPSHOT | FILESYSTEM SNAPSHOT",
        1,
        None,
        {
            "f": Option("overwrite what the replica has of its own, after it was copied into a dataset beside it"),
            "discard": Option("with -f: throw it away instead"),
            "v": Option("say how far the transfer is"),
            "r": Option("go on with a transfer that was interrupted, which is so without it, too"),
            "c": Option("without changes since the last sync only record that it is up to date"),
            "q": Option("say nothing of success; a filesystem in use is no error if synced so recently", "SECONDS"),
            "if-master": Option("leave out those that this host is the replica of"),
            **_JSON,
            **_DRY,
        },
        ("-S",),
        more="'all' is every filesystem that this host is master of. One that fails does not stop the others, and one "
        "that another run works on is left to that; with -q it is an error if its last sync is older. "
        "With a snapshot the replica is rolled back to it; this side keeps everything.",
        examples=(
            ("zrep sync -q 3600 all", "for cron: silent unless something is wrong"),
            ("zrep sync pool1/prodfs@zrep_00000a", "roll the replica back to that snapshot"),
        ),
    ),
    "synconly": Verb(
        "send the newest snapshot there is, without taking one",
        "FILESYSTEM... | all",
        1,
        None,
        {**_JSON, **_DRY},
        examples=(("zrep synconly pool1/db pool1/log", "send what 'zrep snaponly pool1/db pool1/log' took"),),
    ),
    "snaponly": Verb(
        "take the next snapshot and print its name, without sending it",
        "[FILESYSTEM... | all]",
        0,
        None,
        _DRY,
        examples=(("zrep snaponly pool1/db pool1/log", "while the database pauses; send with synconly"),),
    ),
    "refresh": Verb(
        "on the replica: have the master take a snapshot and pull it",
        "FILESYSTEM... | all | FILESYSTEM@SNAPSHOT",
        1,
        None,
        {
            "f": Option("overwrite what this replica has of its own, after it was copied into a dataset beside it"),
            "discard": Option("with -f: throw it away instead"),
            "v": Option("say how far the transfer is"),
            "r": Option("go on with a transfer that was interrupted, which is so without it, too"),
            "c": Option("without changes since the last sync only record that it is up to date"),
            "q": Option("say nothing of success; a filesystem in use is no error if synced so recently", "SECONDS"),
            "if-replica": Option("leave out those that this host is the master of"),
            **_JSON,
            **_DRY,
        },
        more="Only this host connects to the other one, on which no zrep is needed: its zfs is enough. 'all' is every "
        "filesystem that this host is the replica of; one that fails does not stop the others, and one that another "
        "run works on is left to that; with -q it is an error if its last sync is older. "
        "With a snapshot this side is rolled back to it; the master keeps everything.",
        examples=(
            ("zrep refresh backup/client1/data", "on a backup server that may connect to its client"),
            ("zrep refresh -q 7200 all", "the same for all clients from cron: silent unless something is wrong"),
        ),
    ),
    "failover": Verb(
        "on the master: give the role to the other side",
        "FILESYSTEM[@SNAPSHOT] [HOST]",
        1,
        2,
        _MOVE,
        more="Freezes the filesystem, sends what is left, proves that both sides are equal, swaps the roles. If "
        "anything stands in the way, all is as before. With -L it steps down alone: goes back to the last snapshot "
        "sent, or to the one named, and keeps what came after it in a dataset beside it unless --discard is given. "
        "HOST is another name under which the other side can be reached. Destinations of the filesystem under other "
        "tags are named in the end; --repoint has them sent to by the new master, incrementally.",
        examples=(
            ("zrep failover pool1/prodfs", "a planned move, on the master"),
            ("zrep failover --repoint zrep-dc pool1/prodfs", "and the destination of zrep-dc follows the new master"),
            ("zrep failover -L pool1/prodfs", "on an old master that is back: accept the other side as master"),
        ),
    ),
    "takeover": Verb(
        "on the replica: become the master",
        "FILESYSTEM [HOST]",
        1,
        2,
        _MOVE,
        more="The same planned move, started from the other end. With -L it becomes the master at once, without "
        "asking the other side, and says what may be missing. Destinations of the filesystem under other tags are "
        "named in the end; --repoint has them sent to by this side, incrementally, also when the move is long over.",
        examples=(
            ("zrep takeover pool2/prodfs", "a planned move, on the replica"),
            ("zrep takeover -L pool2/prodfs", "the master's host is dead"),
        ),
    ),
    "status": Verb(
        "when each filesystem was last synced",
        "[FILESYSTEM...]",
        0,
        None,
        {
            "v": Option("with source and destination"),
            "a": Option("replicas too"),
            "m": Option("only filesystems that this host is master of, which is the default without filesystems"),
            **_JSON,
        },
        ("-s",),
        examples=(("zrep status -v -a", "all pairs of this host with both their ends"),),
    ),
    "list": Verb(
        "the filesystems that are registered here",
        "[FILESYSTEM...]",
        0,
        None,
        {
            "v": Option("with their properties"),
            "L": Option("only those that this host is master of"),
            "s": Option("all snapshots of each and of what is below it; without filesystems of those of -L"),
            **_JSON,
        },
        ("-l",),
        examples=(("zrep list -L", "what 'zrep sync all' would sync"),),
    ),
    "getlastsent": Verb(
        "print the last snapshot that was sent",
        "FILESYSTEM",
        1,
        1,
        aliases=("lastsent",),
        examples=(("zrep getlastsent pool1/prodfs", "prints pool1/prodfs@zrep_00000a"),),
    ),
    "expire": Verb(
        "destroy the pairs' snapshots that their savecounts do not cover",
        "[FILESYSTEM... | all]",
        0,
        None,
        {**_LOCAL, **_JSON, **_DRY},
        ("-e",),
        more="Without operands: what this host is master of; 'all': every registered filesystem.",
        examples=(("zrep expire -L pool2/prodfs", "apply the replica's savecount on the replica"),),
    ),
    "uptodate": Verb(
        "whether nothing was written since the last sync: exit status 0, else 1",
        "FILESYSTEM",
        1,
        1,
        more="Only the master can tell. Where zfs cannot say what was written, that is no 'yes'.",
        examples=(("zrep uptodate pool1/prodfs && echo safe", "the replica has everything"),),
    ),
    "clear": Verb(
        "take this side out of its pair: destroy the pair's snapshots here, remove its properties, keep the data",
        "FILESYSTEM",
        1,
        1,
        {"f": Option("do not ask"), **_JSON, **_DRY},
        more="The other side is left alone; without the snapshots only a new full copy makes a pair of them again.",
        examples=(("zrep clear -f pool2/prodfs", "forget the pair on this host"),),
    ),
    "changeconfig": Verb(
        "write the names of both sides of a pair into this one, without asking the other",
        "FILESYSTEM HOST DESTINATION | -d DESTINATION HOST FILESYSTEM",
        3,
        3,
        {
            "f": Option("also where there is no snapshot of the pair yet"),
            "d": Option("this side is the destination"),
            **_JSON,
            **_DRY,
        },
        ("-C",),
        examples=(("zrep changeconfig -f data/fs backupsrv backup/data", "prepare data/fs to be pulled by backupsrv"),),
    ),
    "sentsync": Verb(
        "record a snapshot as sent, on both sides, and this side as master: completes a copy made by hand",
        "FILESYSTEM@SNAPSHOT",
        1,
        1,
        {**_LOCAL, **_JSON, **_DRY},
        examples=(("zrep sentsync -L data/fs@zrep_000001", "the backup server copied it by hand"),),
    ),
    "setlastsent": Verb(
        "record a snapshot as the last one sent",
        "FILESYSTEM@SNAPSHOT | FILESYSTEM SNAPSHOT",
        1,
        2,
        {**_LOCAL, **_JSON, **_DRY},
        examples=(("zrep setlastsent pool1/prodfs zrep_00000a", "after a rollback of both sides by hand"),),
    ),
    "doctor": Verb(
        "is this pair healthy, what is wrong, which call mends it",
        "[FILESYSTEM...]",
        0,
        None,
        {**_LOCAL, **_JSON},
        more="Without operands: all that is registered here. Asks the other side too, unless -L is given, and looks at "
        "the settings and the run directory of this host. Exit status 0 if all is well, 1 if anything is wrong, be it "
        "only worth a warning.",
        examples=(("zrep doctor pool1/prodfs", "look at both sides of one pair"),),
    ),
    "check": Verb(
        "the age of the last sync as a monitoring plugin: one line, exit status 0 to 3",
        "[FILESYSTEM...]",
        0,
        None,
        {
            "w": Option("warn if it is older", "SECONDS"),
            "c": Option("critical if it is older", "SECONDS"),
        },
        more="Without operands: all that is registered here. Looks at this host alone, on a replica at its records. "
        "CRITICAL as well: never synced, not registered, a record that makes no sense. WARNING as well: a master that "
        "is readonly, a replica that is not. UNKNOWN: nothing is registered, the arguments make no sense, zfs cannot "
        "be asked.",
        examples=(("zrep check -w 300 -c 3600", "for Nagios and Icinga"),),
    ),
    "metrics": Verb(
        "the state of all pairs as text for Prometheus",
        options={"peer": Option("ask the other sides too")},
        more="Without --peer this host alone is looked at. The collector must not see half a file, nor an empty one if "
        "this fails: write another one first, and rename that.",
        examples=(("zrep metrics > zrep.new && mv zrep.new zrep.prom", "in the directory of node_exporter's files"),),
    ),
    "drill": Verb(
        "prove that the replica could take over, without touching production",
        "FILESYSTEM [COMMAND [ARGUMENT...]]",
        1,
        None,
        {
            "clone": Option("name of the clone; default: one beside the filesystem", "DATASET"),
            "mountpoint": Option("where to mount the clone", "DIRECTORY"),
            **_DRY,
        },
        more="Clones the newest snapshot, mounts the clone, runs the command with the directory as its last argument "
        "(and in ZREP_DRILL_DIRECTORY), removes the clone and records the result. Without a command it is enough that "
        "the clone can be mounted and read. Write -- before a command that has flags of its own. The clone of a volume "
        "is below /dev/zvol. Exit status 0 if the drill passed, 1 if it did not.",
        examples=(
            ("zrep drill pool2/prodfs /usr/local/sbin/check-copy", "passes if that ends with exit status 0"),
            ("zrep drill pool2/prodfs -- ls -A", "print what is in the copy"),
        ),
    ),
    "prune-preserved": Verb(
        "destroy datasets in which a move preserved what one side had of its own",
        "[FILESYSTEM...]",
        0,
        None,
        {
            "older-than": Option("only those that are older than so many days", "DAYS"),
            "f": Option("destroy them; without it they are only listed"),
            **_JSON,
        },
        more="FILESYSTEM is the one that something was preserved of, or the preserved dataset itself. One that has "
        "others below it, clones or holds, that somebody uses, or that belongs to a pair is left alone.",
        examples=(("zrep prune-preserved --older-than 30 -f", "for cron: give up what nobody asked for in a month"),),
    ),
    "config": Verb(
        "every setting, its value, and where that comes from",
        options=_JSON,
        examples=(("zrep config", "what /etc/default/zrep and the environment come to"),),
    ),
    "completion": Verb(
        "print completion of this command for bash",
        examples=(("zrep completion > /usr/share/bash-completion/completions/zrep", "for all users of this host"),),
    ),
    "manual": Verb(
        "print the manual page",
        examples=(("zrep manual > /usr/local/share/man/man8/zrep.8", "for all users of this host"),),
    ),
    "version": Verb("the version of this command"),
    "help": Verb("explain a verb", "[VERB]", 0, 1, aliases=("-h", "--help")),
    "gate": Verb(
        "as the forced command of a key: run what the other end of a pair asks for, and refuse anything else",
        options={"config": Option("what the owner of the key may ask for", "FILE")},
        more="The command of a key in authorized_keys. The request is that of SSH_ORIGINAL_COMMAND; no shell sees it. "
        "What is refused is logged (authpriv), and ends with exit status 77. The collection's role trust sets it up.",
        examples=(("zrep gate --config /etc/zrep/gate/host1.json", 'in authorized_keys: restrict,command="..." KEY'),),
    ),
    "_refreshpull": Verb("send a snapshot to standard output", "FILESYSTEM@SNAPSHOT [TOKEN]", 1, 2, hidden=True),
    "_refreshcomplete": Verb("record a snapshot as sent", "FILESYSTEM@SNAPSHOT PROPERTY=VALUE", 2, 2, hidden=True),
}

ALIASES: dict[str, str] = {alias: name for name, verb in VERBS.items() for alias in verb.aliases}
