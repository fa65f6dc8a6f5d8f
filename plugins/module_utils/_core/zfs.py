# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every zfs command line that we issue, and the reading of all that it prints. Pure.

A function that builds commands returns a list of them: what a modern zfs does in one command an old one may do in
several. Options are described in zfs(8) and its pages of the same names.
"""

from __future__ import annotations

import shlex
import typing as t

from . import names, permissions
from .errors import (
    BadProperty,
    CommandFailed,
    Denied,
    Diverged,
    Exists,
    NoCommonSnapshot,
    NotFound,
    PartialReceive,
    PoolFull,
    TransferFailed,
    ZrepError,
)
from .model import INHERITED, LOCAL, USER_PROPERTIES, Dataset, Features, Property, Snapshot

Argv = t.Tuple[str, ...]

ARGUMENT_BYTES = 60000
"""How many bytes of names go into one command; far below any ARG_MAX, and a remote command is one word of a shell."""

LATEST = 99_999_999_999
"""The latest time in epoch seconds that is taken for one; it lies some thousand years ahead."""

NATIVE = ("type", "guid", "createtxg", "creation", "used", "referenced", "available", "mounted", "readonly", "userrefs")
ENCRYPTION = ("keystatus", "ivsetguid")
"""Native properties of encryption, which came together."""
OPTIONAL = ("written", "receive_resume_token", *ENCRYPTION, "unique")
"""Native properties that not every version knows, in the order in which they came; ``unique`` stands in where
``written`` is missing."""


# Reading


def wanted_properties(tag: str, features: Features | None, more: t.Iterable[str] = ()) -> tuple[str, ...]:
    """The properties to ask for; without known features all, so that the answer tells what is missing."""
    if features is None:
        optional: t.Iterable[str] = OPTIONAL[:-1]
    else:
        known = [name for name in OPTIONAL if name in features.properties]
        optional = [name for name in known if name != "unique" or "written" not in known]
    user = (names.property_name(tag, name) for name in USER_PROPERTIES)
    wanted = NATIVE + tuple(optional) + tuple(user)
    return wanted + tuple(name for name in more if name not in wanted)


def get(properties: t.Iterable[str], datasets: t.Iterable[str] = (), trees: bool = False) -> Argv:
    """Ask for datasets with their snapshots; without names, for everything on the host.

    :param trees: and for everything below them.
    """
    found = tuple(datasets)
    depth = (("-r",) if trees else ("-r", "-d", "1")) if found else ()
    return ("zfs", "get", "-Hp", *depth, "-o", "name,property,value,source", ",".join(properties), *found)


def get_one(name: str, dataset: str) -> Argv:
    """Ask for the value and source of one property of one dataset."""
    return ("zfs", "get", "-Hp", "-o", "value,source", name, dataset)


def get_locks(tag: str, datasets: t.Sequence[str]) -> list[Argv]:
    """Ask who holds the script's lock on datasets."""
    return _many(("zfs", "get", "-Hp", "-o", "name,property,value,source", ",".join(_locks(tag))), datasets)


def parse_locks(text: str, tag: str, host: str) -> dict[str, tuple[int | None, str | None]]:
    """The process that holds the script's lock on each dataset, alive or not, and since when."""
    pid, since = _locks(tag)
    found = {}
    for name, values in _blocks(text, (pid, since), host):
        local = {key: own.value for key, own in values.items() if own.source == LOCAL}
        found[name] = (names.parse_number(local.get(pid)) or None, local.get(since))
    return found


def _locks(tag: str) -> tuple[str, str]:
    return names.property_name(tag, "lock-pid"), names.property_name(tag, "lock-time")


RECORD = ("src-fs", "src-host", "dest-fs", "dest-host", "master")
"""The properties that say what a dataset is in a pair."""


def get_records(tags: t.Sequence[str], dataset: str) -> Argv:
    """Ask what a dataset is in the pairs of several tags."""
    return ("zfs", "get", "-Hp", "-o", "name,property,value,source", ",".join(_records(tags)), dataset)


def parse_records(text: str, tags: t.Sequence[str], host: str) -> dict[str, Property]:
    """All properties that were asked for; raises BadProperty if a value breaks the table."""
    return next((values for _name, values in _blocks(text, _records(tags), host)), {})


def _records(tags: t.Sequence[str]) -> tuple[str, ...]:
    return tuple(names.property_name(tag, name) for tag in tags for name in RECORD)


def own_properties(dataset: str) -> Argv:
    """Ask which properties a dataset has of its own, one name a line."""
    return ("zfs", "get", "-H", "-s", "local,received", "-o", "property", "all", dataset)


def own_values(datasets: t.Sequence[str]) -> list[Argv]:
    """Ask for all that datasets have of their own, whoever set it, written for people."""
    return _many(("zfs", "get", "-H", "-s", "local,received", "-o", "name,property,value", "all"), datasets)


def list_snapshots(datasets: t.Sequence[str]) -> list[Argv]:
    """Ask for all snapshots of datasets and of those below them with their dates, written for people."""
    return _many(("zfs", "list", "-H", "-r", "-t", "snapshot", "-o", "name,creation"), datasets)


def unknown_property(stderr: str) -> str | None:
    """The property that this version of zfs does not know, if that is what it complained about."""
    _head, found, tail = stderr.partition("invalid property '")
    return tail.partition("'")[0] if found else None


def complaints(stderr: str) -> list[str]:
    """What ``get`` complained about, but for datasets that do not exist and pools that are not there.

    A dataset that could not be opened for another reason must never pass for one that is absent. A connection may add
    lines of its own, such as a banner, to what zfs says.
    """
    absent = [line for line in stderr.splitlines() if line.strip() == "no datasets available" or _is_absent(line)]
    other = [line for line in stderr.splitlines() if line.strip() and line not in absent]
    return other if not absent or any(_is_complaint(line) for line in other) else []


def _is_absent(line: str) -> bool:
    return line.startswith("cannot open '") and line.rstrip().endswith("dataset does not exist")


def _is_complaint(line: str) -> bool:
    return line.lower().startswith(("cannot ", "internal error", "bad property", "permission denied", "unable to "))


def parse_get(text: str, properties: t.Sequence[str], tag: str, host: str) -> dict[str, Dataset]:
    """Datasets by name from what ``get`` printed; raises BadProperty if a value breaks the table.

    A user property may hold tabs and newlines, and on a replica its sender wrote it, so a value could pretend to be
    rows of its own. Such a table cannot have each dataset once with exactly the properties asked for, in order.
    """
    plain: dict[str, dict[str, Property]] = {}
    snapshots: dict[str, list[Snapshot]] = {}
    bookmarks: dict[str, list[Snapshot]] = {}
    for name, values in _blocks(text, properties, host):
        if "#" in name:
            # They are listed with the rest by versions that have them.
            dataset, short = name.split("#", 1)
            bookmarks.setdefault(dataset, []).append(_bookmark(dataset, short, values, host))
            continue
        dataset, short = names.split_snapshot(name)
        if short:
            snapshots.setdefault(dataset, []).append(_snapshot(dataset, short, values, tag, host))
        else:
            plain[name] = values
    found = {}
    for name, values in plain.items():
        own, marks = (
            tuple(sorted(kind.get(name, ()), key=lambda snapshot: snapshot.createtxg))
            for kind in (snapshots, bookmarks)
        )
        found[name] = Dataset(name, values["type"].value, _whole(values, "guid", name, host), values, own, marks)
    return found


def _blocks(text: str, properties: t.Sequence[str], host: str) -> t.Iterator[tuple[str, dict[str, Property]]]:
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    seen = set()
    for start in range(0, len(lines), len(properties)):
        rows = [line.split("\t") for line in lines[start : start + len(properties)]]
        name = rows[0][0]
        for index, wanted in enumerate(properties):
            row = rows[index] if index < len(rows) else []
            if len(row) != 4 or row[0] != name or row[1] != wanted or name in seen:
                raise _broken_table(name, properties[max(index - 1, 0)], wanted, host)
        seen.add(name)
        yield name, {row[1]: Property(row[2], _source(row[3])) for row in rows}


def _broken_table(name: str, before: str, wanted: str, host: str) -> BadProperty:
    suspect = before if ":" in before else wanted
    return BadProperty(
        f"property {suspect} (or {wanted}) holds a tab or line break, which no value of ours has",
        host=host,
        dataset=name,
        left="nothing was changed",
        hint=f"look at it with 'zfs get {suspect} {name}' and put it right with zfs set or zfs inherit",
    )


def _source(text: str) -> str:
    if text.startswith("inherited"):
        return INHERITED
    return "none" if text == "-" else text


def _snapshot(dataset: str, short: str, values: t.Mapping[str, Property], tag: str, host: str) -> Snapshot:
    name = f"{dataset}@{short}"
    mark = values[names.property_name(tag, "sent")]
    sent = names.parse_number(mark.value) if mark.source == LOCAL else None
    if sent is not None and sent > LATEST:
        sent = None
    return Snapshot(
        dataset,
        short,
        _whole(values, "guid", name, host),
        _whole(values, "createtxg", name, host),
        _whole(values, "creation", name, host),
        sent,
        _number(values, "written"),
        _number(values, "userrefs") or 0,
        mark.value if mark.source == LOCAL and sent is None else None,
        ivset=_number(values, "ivsetguid"),
    )


def _bookmark(dataset: str, short: str, values: t.Mapping[str, Property], host: str) -> Snapshot:
    guid, txg, creation = (
        _whole(values, name, f"{dataset}#{short}", host) for name in ("guid", "createtxg", "creation")
    )
    return Snapshot(dataset, short, guid, txg, creation, bookmark=True, ivset=_number(values, "ivsetguid"))


def _whole(values: t.Mapping[str, Property], name: str, dataset: str, host: str) -> int:
    """A number that every dataset has, unless it was destroyed at that moment; raises BadProperty."""
    found = _number(values, name)
    if found is None:
        raise BadProperty(
            f"zfs says {values[name].value[:60]!r} for its {name}, which is no number",
            host=host,
            dataset=dataset,
            left="nothing was changed",
            hint="run it again; if it stays so, look at it with: zfs get all",
        )
    return found


def _number(values: t.Mapping[str, Property], name: str) -> int | None:
    found = values.get(name)
    return None if found is None else names.parse_number(found.value)


# Changing


def snapshot(targets: t.Sequence[str], features: Features, recursive: bool = False) -> list[Argv]:
    """Take snapshots; those of one pool in one transaction where zfs can.

    :param recursive: of all datasets below too, each target with its own in one transaction.
    """
    head: Argv = ("zfs", "snapshot", *_recursively(recursive))
    if not features.modern:
        return [(*head, target) for target in targets]
    commands: list[Argv] = []
    for pool in dict.fromkeys(names.pool_of(target) for target in targets):
        commands += _many(head, [target for target in targets if names.pool_of(target) == pool])
    return commands


def _recursively(wanted: bool) -> Argv:
    return ("-r",) if wanted else ()


def set_properties(values: t.Mapping[str, str], targets: t.Sequence[str], features: Features) -> list[Argv]:
    """Set the same properties on all targets."""
    pairs = [f"{name}={value}" for name, value in values.items()]
    if features.modern:
        return _many(("zfs", "set", *tuple(pairs)), targets)
    return [command for pair in pairs for command in _many(("zfs", "set", pair), targets)]


def inherit(properties: t.Iterable[str], targets: t.Sequence[str]) -> list[Argv]:
    """Take properties off all targets; zfs takes one property a command."""
    return [command for name in properties for command in _many(("zfs", "inherit", name), targets)]


def destroy_snapshots(targets: t.Sequence[str], features: Features, recursive: bool = False) -> list[Argv]:
    """Destroy snapshots; those of one dataset in one command where zfs can. Never touches a clone or a hold.

    :param recursive: those of the same names of the datasets below too; it can destroy nothing but snapshots.
    """
    head: Argv = ("zfs", "destroy", *_recursively(recursive))
    if not features.modern:
        return [(*head, target) for target in targets]
    commands: list[Argv] = []
    for dataset in dict.fromkeys(names.split_snapshot(target)[0] for target in targets):
        shorts = [names.split_snapshot(target)[1] for target in targets if names.split_snapshot(target)[0] == dataset]
        commands += [(*head, "{}@{}".format(dataset, ",".join(part))) for part in _chunks(shorts)]
    return commands


_MARK_AND_BOOKMARK = """\
tell() {
cat <<'END'
local words = (...)["argv"]
for number = 3, #words do
    local failed = zfs.sync.set_prop(words[number], words[1], words[2])
    if failed ~= 0 then error(failed) end
    local bookmark = string.gsub(words[number], "@", "#")
    failed = zfs.sync.bookmark(words[number], bookmark)
    if failed ~= 0 and failed ~= 17 then error(failed) end
end
END
}
pool=$1 name=$2 value=$3
shift 3
if tell | zfs program "$pool" - "$name" "$value" "$@" >/dev/null 2>&1; then exit; fi
zfs set "$name=$value" "$@" || exit
for target; do
    zfs bookmark "$target" "${target%@*}#${target#*@}" || echo "$target has no bookmark" >&2
done
exit 0
"""


def mark_and_bookmark(name: str, value: str, targets: t.Sequence[str]) -> list[Argv]:
    """Set a property on snapshots and make a bookmark of the same name for each: one process for each pool.

    A channel program (zfs-program(8)) does both, where zfs has them and we are root; elsewhere it takes one command
    more for each snapshot. That a bookmark cannot be made is no failure.
    """
    commands: list[Argv] = []
    for pool in dict.fromkeys(names.pool_of(target) for target in targets):
        own = [target for target in targets if names.pool_of(target) == pool]
        commands += _many(("sh", "-c", _MARK_AND_BOOKMARK, "sh", pool, name, value), own)
    return commands


def destroy_bookmark(name: str) -> Argv:
    """Destroy one bookmark; zfs takes one a command."""
    return ("zfs", "destroy", name)


# Of a hold nobody can ask cheaply whether it is there.
_HOLD = """\
verb=$1 tag=$2 recursively=$3 failed=0
shift 3
for name; do
    said=$(zfs "$verb" $recursively "$tag" "$name" 2>&1) && continue
    case $said in
        *"tag already exists"*|*"no such tag"*) ;;
        *) printf '%s\\n' "$said" >&2; failed=1 ;;
    esac
done
exit $failed
"""


def hold(tag: str, targets: t.Sequence[str], recursive: bool = False) -> list[Argv]:
    """Keep snapshots from being destroyed; one that is held so already stays as it is."""
    return _many(("sh", "-c", _HOLD, "sh", "hold", tag, "-r" if recursive else ""), targets)


def release(tag: str, targets: t.Sequence[str], recursive: bool = False) -> list[Argv]:
    """Take holds of this name off snapshots; one that is not held so stays as it is."""
    return _many(("sh", "-c", _HOLD, "sh", "release", tag, "-r" if recursive else ""), targets)


def rename(old: str, new: str, recursive: bool = False) -> Argv:
    """Rename a dataset or a snapshot; recursively the snapshots of that name of the datasets below too."""
    return ("zfs", "rename", *_recursively(recursive), old, new)


def rollback(target: str) -> Argv:
    """Throw away what is newer than a snapshot, later snapshots included; refuses where a clone hangs on one."""
    return ("zfs", "rollback", "-r", target)


def unmount(dataset: str) -> Argv:
    return ("zfs", "unmount", dataset)


def send(
    target: str,
    base: str | None,
    intermediates: bool,
    properties: bool,
    options: t.Iterable[str],
    replicate: bool = False,
) -> Argv:
    """Stream a snapshot; from a base, with the snapshots between (``-I``) or without (``-i``).

    :param replicate: with all that is below, in one stream (``-R``).
    """
    increment = ("-I" if intermediates else "-i", base) if base else ()
    more = ("-R",) if replicate else ("-p",) if properties else ()
    return ("zfs", "send", *tuple(options), *more, *increment, target)


def resume(token: str, options: t.Iterable[str] = ()) -> Argv:
    """Go on with the stream that a token belongs to."""
    return ("zfs", "send", *options, "-t", token)


def receive(dataset: str, properties: t.Mapping[str, str], exclude: t.Iterable[str], resumable: bool = False) -> Argv:
    """Receive a stream without mounting anything and without rolling anything back.

    :param properties: what the dataset gets with it, over what the stream brings.
    :param exclude: properties that the stream may not bring.
    :param resumable: if it is interrupted, keep what has arrived.
    """
    options: list[str] = ["-s"] if resumable else []
    for name in exclude:
        options += ["-x", name]
    for name, value in properties.items():
        options += ["-o", f"{name}={value}"]
    return ("zfs", "receive", "-u", *tuple(options), dataset)


def abandon(dataset: str) -> Argv:
    """Give up what an interrupted receive has left; refuses while a receive is at work."""
    return ("zfs", "receive", "-A", dataset)


def copy(
    target: str,
    base: str | None,
    dataset: str,
    properties: t.Mapping[str, str] | None = None,
    intermediates: bool = False,
    options: t.Iterable[str] = (),
) -> Argv:
    """Copy a snapshot into a dataset of the same host, on whichever host that is: two commands and a pipe there."""
    sending = send(target, base, intermediates, False, options)
    receiving = receive(dataset, properties or {}, ())
    line = " | ".join(" ".join(shlex.quote(word) for word in command) for command in (sending, receiving))
    return ("sh", "-c", line)


def mount(dataset: str) -> Argv:
    return ("zfs", "mount", dataset)


def mount_if_needed(dataset: str) -> Argv:
    """Mount a dataset that perhaps is: newer versions mount one whose mountpoint is set, older ones do not."""
    script = '[ "$(zfs get -H -o value mounted "$1")" = yes ] || zfs mount "$1"'
    return ("sh", "-c", script, "sh", dataset)


def list_mounted(dataset: str) -> Argv:
    """Ask which filesystems are mounted, a dataset and those below it: "yes" or "no" and the name, parents first."""
    return ("zfs", "list", "-H", "-r", "-o", "mounted,name", "-t", "filesystem", dataset)


MOUNT_AGAIN = """\
unmounted() { [ "$(zfs get -H -o value mounted "$1")" = no ]; }
mount_again() {
    tab=$(printf '\\t')
    set --
    while IFS=$tab read -r was name; do
        [ "$was" = yes ] || continue
        # What is mounted below an empty place is in the way of what belongs there.
        for failed; do case $name in "$failed"/*) continue 2 ;; esac; done
        [ "$status" = 0 ] || unmounted "$name" || continue
        zfs mount "$name" </dev/null || ! unmounted "$name" || { status=1; set -- "$@" "$name"; }
    done
    return "$status"
}
status=0
"""
"""A function in shell that reads what list_mounted printed, and mounts again what was mounted then and is not now.

While nothing went wrong that is all of it but legacy mounts; only then are single filesystems asked for.
"""

# What must not end half way is in the background: it goes on to its end whatever becomes of us and of this shell.
_REMOUNT = (
    MOUNT_AGAIN
    + """\
trap '' HUP INT PIPE TERM
mounted=$("$@") || exit
{
    zfs unmount "$0" || status=$?
    printf '%s\\n' "$mounted" | mount_again
} &
wait $!
"""
)


def remount(dataset: str) -> Argv:
    """Take a filesystem out of its users' hands for a moment; fails while anybody has a file of it open.

    Unmounting takes the filesystems below it along. Whatever was mounted is mounted again, also if it fails.
    """
    return ("sh", "-c", _REMOUNT, dataset, *list_mounted(dataset))


_OCCUPIED = """\
for path; do
    [ ! -e "$path" ] || [ -d "$path" ] && [ -z "$(ls -A "$path")" ] || printf '%s\\0' "$path"
done
"""


def occupied(paths: t.Sequence[str]) -> Argv:
    """Ask which paths hold something that a mount would hide: each of them and a NUL."""
    return ("sh", "-c", _OCCUPIED, "sh", *paths)


def diff(base: str, dataset: str, limit: int) -> Argv:
    """The files that changed since a snapshot, with the time of each change; at most so many lines."""
    command = " ".join(shlex.quote(word) for word in ("zfs", "diff", "-FHt", base, dataset))
    return ("sh", "-c", f"{command} | head -n {int(limit)}")


def settle(datasets: t.Sequence[str] | None, tag: str, features: Features) -> list[Argv] | None:
    """Bring all that was written so far into the numbers that zfs shows; changes nothing.

    They lag behind by a transaction group, some seconds. Versions without ``zpool sync`` commit one for taking away a
    property that is not there.

    :param datasets: of which pools; None for all, which only newer versions can: the answer is None where they cannot.
    """
    if features.modern:
        return [("zpool", "sync", *dict.fromkeys(names.pool_of(name) for name in datasets or ()))]
    return None if datasets is None else inherit((names.property_name(tag, "settle"),), datasets)


def clone(target: str, dataset: str, properties: t.Mapping[str, str]) -> Argv:
    """Make a dataset that starts with the content of a snapshot of the same pool; fails if the name is taken."""
    options = [word for name, value in properties.items() for word in ("-o", f"{name}={value}")]
    return ("zfs", "clone", *tuple(options), target, dataset)


def destroy_dataset(dataset: str) -> Argv:
    """Destroy one dataset by itself; refuses if it has snapshots or children, or if somebody uses it."""
    return ("zfs", "destroy", dataset)


def _many(head: Argv, targets: t.Sequence[str]) -> list[Argv]:
    return [head + tuple(part) for part in _chunks(targets)]


def _chunks(words: t.Sequence[str]) -> t.Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for word in words:
        if part and size + len(word) > ARGUMENT_BYTES:
            yield part
            part, size = [], 0
        part.append(word)
        size += len(word) + 1
    if part:
        yield part


# Failing

_FAILURES: tuple[tuple[str, type[ZrepError]], ...] = (
    ("permission denied", Denied),
    ("does not have permission", Denied),
    ("insufficient privileges", Denied),
    ("out of space", PoolFull),
    ("no space left", PoolFull),
    ("quota exceeded", PoolFull),
    ("has been modified", Diverged),
    ("most recent snapshot of", Diverged),
    ("does not match incremental source", NoCommonSnapshot),
    ("contains partially-complete state", PartialReceive),
    ("already exists", Exists),
    ("destination '", Exists),
    ("destination has snapshots", Exists),
    ("does not exist", NotFound),
    ("could not find any snapshots", NotFound),
    ("no such pool", NotFound),
)


def failure(argv: Argv, status: int, stderr: str, host: str, dataset: str = "") -> ZrepError:
    """The error that a failed command means."""
    said = " ".join(line.strip() for line in stderr.splitlines() if line.strip() and not line.startswith("\t"))
    # What follows is advice with a token, which goes on by itself.
    said = said.partition(" Partially received snapshot is saved.")[0]
    said = said.partition(" usage: ")[0][:500] or f"no message, exit status {status}"
    called = _called(argv)
    message = f"'{called}' failed: {said}"
    lowered = " ".join(stderr.lower().split())
    for pattern, kind in _FAILURES:
        if pattern in lowered:
            if issubclass(kind, CommandFailed):
                hint = permissions.advice(called, argv, said, host, dataset) if kind is Denied else ""
                return kind(message, argv=argv, status=status, stderr=stderr, host=host, dataset=dataset, hint=hint)
            return kind(message, host=host, dataset=dataset)
    kind = TransferFailed if "zfs send" in called or "zfs receive" in called else CommandFailed
    return kind(message, argv=argv, status=status, stderr=stderr, host=host, dataset=dataset)


def _called(argv: Argv) -> str:
    """What people call a command."""
    if argv[:3] == ("sh", "-c", _REMOUNT):
        return "zfs unmount; zfs mount"
    if argv[:3] == ("sh", "-c", _MARK_AND_BOOKMARK):
        return "zfs set"
    if argv[:3] == ("sh", "-c", _HOLD):
        return f"zfs {argv[4]}"
    return argv[2] if argv[0] == "sh" else " ".join(argv[:2])
