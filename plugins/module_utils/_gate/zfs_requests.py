# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which zfs commands are admitted: their grammar, and what may be said of which dataset.

What is not written here is refused: an option, a property, a value, a name. Nothing is changed while that is decided;
some requests need a look at the dataset first.
"""

from __future__ import annotations

import re
import typing as t

from .._core import names
from .._core.errors import ZrepError
from .._core.holding import hold_name
from .._core.model import PRESERVED_FROM, USER_PROPERTIES
from .._core.resuming import read_token
from .._core.zfs import NATIVE, OPTIONAL
from .rules import FORCE, MOVE, RECEIVE, SEND, Pair, Rules
from .words import Refused

Argv = t.Tuple[str, ...]
Ask = t.Callable[[Argv], t.Tuple[int, str]]
"""Runs a zfs command that only looks; its exit status and what it printed."""


class Form(t.NamedTuple):
    """How a zfs command may be written.

    :param letters: its flags.
    :param valued: its options that take a value, with what that may be.
    """

    letters: str = ""
    valued: t.Mapping[str, str] = {}


_COLUMNS = r"[a-z_,:-]{1,200}"
_ASSIGNMENT = r"[a-z0-9][a-z0-9:._-]*=.*"
_TYPES = r"(?:filesystem|volume|snapshot)(?:,(?:filesystem|volume|snapshot))*"
FORMS: dict[str, Form] = {
    "get": Form("Hpr", {"-d": "1", "-o": _COLUMNS, "-s": "(?:local|received)(?:,received)?"}),
    "list": Form("Hpr", {"-d": "1", "-o": _COLUMNS, "-t": _TYPES}),
    "snapshot": Form("r"),
    "set": Form(),
    "inherit": Form(),
    "destroy": Form("r"),
    "rename": Form("r"),
    "rollback": Form("Rr"),
    "send": Form("RDLPbcenpvw", {"-i": r"\S+", "-I": r"\S+", "-t": "[0-9a-f-]+"}),
    "receive": Form("AFsuv", {"-o": _ASSIGNMENT, "-x": "[a-z0-9][a-z0-9:._-]*"}),
    "create": Form("s", {"-o": _ASSIGNMENT, "-V": "[0-9]{1,20}"}),
    "mount": Form(),
    "unmount": Form(),
    "diff": Form("FHt"),
}
SYNONYMS = {"recv": "receive"}

_PROPERTIES = re.compile(r"[a-z0-9][a-z0-9:._-]*(?:,[a-z0-9][a-z0-9:._-]*)*\Z")
_VALUE = re.compile(r"[\w@%+=:,./# -]{1,1024}\Z", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,20}\Z")


class Parsed(t.NamedTuple):
    """A zfs command taken apart.

    :param flags: its letters.
    :param options: options with their values, in their order.
    :param words: what follows.
    """

    verb: str
    flags: frozenset[str]
    options: tuple[tuple[str, str], ...]
    words: tuple[str, ...]

    def values(self, option: str) -> list[str]:
        return [value for name, value in self.options if name == option]

    def again(self, words: t.Iterable[str], without: str = "", options: t.Iterable[tuple[str, str]] = ()) -> Argv:
        """The command, written anew for these words.

        :param without: letters and options that are left out.
        :param options: more of them.
        """
        flags = "".join(sorted(self.flags - set(without)))
        every = [*(pair for pair in self.options if pair[0][1] not in without), *options]
        head = ("zfs", self.verb, *((f"-{flags}",) if flags else ()))
        return (*head, *(word for pair in every for word in pair), *words)


def parse(argv: t.Sequence[str]) -> Parsed:
    """Take a zfs command apart; raises Refused."""
    verb = SYNONYMS.get(argv[1], argv[1]) if len(argv) > 1 else ""
    form = FORMS.get(verb)
    if form is None:
        raise Refused("'zfs {}' is not admitted".format(argv[1][:40] if len(argv) > 1 else ""))
    flags: set[str] = set()
    options: list[tuple[str, str]] = []
    rest = list(argv[2:])
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        if word in form.valued:
            value = rest.pop(0) if rest else ""
            if not re.match(rf"(?:{form.valued[word]})\Z", value, re.ASCII):
                raise Refused(f"'{word} {value[:80]}' of 'zfs {verb}' is not admitted")
            options.append((word, value))
        elif len(word) > 1 and set(word[1:]) <= set(form.letters):
            flags.update(word[1:])
        else:
            raise Refused(f"{word[:40]!r} of 'zfs {verb}' is not admitted")
    if any(word.startswith("-") or not word for word in rest):
        raise Refused("an option after a name is not admitted")
    return Parsed(verb, frozenset(flags), tuple(options), tuple(rest))


class Gatekeeper:
    """Decides about zfs commands. The methods named after them return what is run, or raise Refused."""

    def __init__(self, rules: Rules, ask: Ask) -> None:
        self._rules = rules
        self.ask = ask

    def admit(self, argv: t.Sequence[str]) -> list[Argv]:
        """The commands that are run instead of this one, which differ from it where that is safer."""
        parsed = parse(argv)
        decide: t.Callable[[Parsed], list[Argv]] = getattr(self, f"_{parsed.verb}")
        return decide(parsed)

    # Whose a dataset is

    def of(self, name: str, *grants: str) -> Pair:
        """The pair to which a dataset, a snapshot or a bookmark belongs, and which has one of these grants."""
        dataset, short = _taken_apart(name)
        pairs = [pair for pair in self._rules.pairs if pair.has(dataset)]
        return self._granted(pairs, name, grants, short)

    def of_kin(self, name: str, *grants: str) -> Pair:
        """The pair from which a dataset comes that was moved aside, or that preserves something."""
        dataset, short = _taken_apart(name)
        return self._granted([pair for pair in self._rules.pairs if pair.is_kin(dataset)], name, grants, short)

    def _granted(self, pairs: t.Sequence[Pair], name: str, grants: t.Sequence[str], short: str) -> Pair:
        if not pairs:
            raise Refused(f"{name[:300]} is not on the list of this key")
        granted = [pair for pair in pairs if not grants or pair.may(*grants)]
        if not granted:
            raise Refused("{} would need the grant {}".format(name[:300], " or ".join(grants)))
        # A filesystem can be in pairs of several tags; its snapshots tell them apart.
        tagged = [pair for pair in granted if names.parse_snapshot(pair.tag, short)]
        return (tagged or granted)[0]

    def pairs_of(self, name: str, *grants: str) -> list[Pair]:
        """All pairs that a dataset belongs to with one of these grants; raises Refused if there are none."""
        self.of(name, *grants)
        dataset = _taken_apart(name)[0]
        return [pair for pair in self._rules.pairs if pair.has(dataset) and (not grants or pair.may(*grants))]

    def _exists(self, dataset: str) -> bool:
        return self.ask(("zfs", "list", "-H", "-o", "name", dataset))[0] == 0

    # Looking

    def _get(self, parsed: Parsed) -> list[Argv]:
        if len(parsed.words) < 2 or not _PROPERTIES.match(parsed.words[0]):
            raise Refused("'zfs get' without a name is not admitted")
        return self._look(parsed, parsed.words[:1], parsed.words[1:])

    def _list(self, parsed: Parsed) -> list[Argv]:
        if not parsed.words:
            raise Refused("'zfs list' without a name is not admitted")
        return self._look(parsed, (), parsed.words)

    def _look(self, parsed: Parsed, before: t.Sequence[str], found: t.Sequence[str]) -> list[Argv]:
        """Of what is above a filesystem only that itself is seen, and not what else is below it."""
        deep = "r" in parsed.flags and not parsed.values("-d")
        above, ours = [], []
        for name in found:
            if any(pair.is_above(name) for pair in self._rules.pairs) and not self._is_ours(name):
                self._check_above(parsed, before, name)
                above.append(name)
                continue
            pairs = [self.of_kin(name)] if self._is_kin(name) else self.pairs_of(name)
            if deep and not any(pair.recursive for pair in pairs):
                raise Refused(f"what is below {name[:300]} is not on the list of this key")
            ours.append(name)
        commands = [parsed.again([*before, *above], without="rd")] if above else []
        return commands + ([parsed.again([*before, *ours])] if ours else [])

    def _check_above(self, parsed: Parsed, before: t.Sequence[str], name: str) -> None:
        """What our own end asks of it: whether it is there, how full it is, whether it is read-only."""
        tags = [pair.tag for pair in self._rules.pairs if pair.is_above(name)]
        user = {f"{tag}:{short}" for tag in tags for short in (*USER_PROPERTIES, PRESERVED_FROM)}
        known = {*NATIVE, *OPTIONAL, "mountpoint", *user}
        if parsed.verb != "get" or not set(before[0].split(",")) <= known:
            raise Refused(f"{name[:300]} is not on the list of this key")

    def _is_ours(self, name: str) -> bool:
        return any(pair.has(name) for pair in self._rules.pairs)

    def _is_kin(self, name: str) -> bool:
        dataset = _taken_apart(name)[0]
        return not self._is_ours(dataset) and any(pair.is_kin(dataset) for pair in self._rules.pairs)

    # Snapshots

    def _snapshot(self, parsed: Parsed) -> list[Argv]:
        for name in _some(parsed):
            pair = self.of(name, SEND, MOVE, FORCE)
            self._check_own_snapshot(name, (SEND, MOVE, FORCE))
            self._check_recursion(parsed, pair)
        return [parsed.again(parsed.words)]

    def _check_own_snapshot(self, name: str, grants: t.Sequence[str]) -> None:
        dataset, short = _taken_apart(name)
        pairs = self.pairs_of(dataset, *grants)
        if not any(is_own_snapshot(pair.tag, short) for pair in pairs):
            raise Refused(f"{name[:300]} is not the name of a snapshot of the pair")

    def check_hold(self, tag: str, target: str, recursive: bool) -> None:
        """Whether a snapshot of a pair may be held, or let go, under this name; raises Refused."""
        self._check_own_snapshot(target, ())
        pairs = [pair for pair in self.pairs_of(_taken_apart(target)[0]) if hold_name(pair.tag) == tag]
        if not pairs:
            raise Refused(f"{tag[:80]!r} is no name for holds of the pair")
        if recursive and not any(pair.recursive for pair in pairs):
            raise Refused(f"what is below {target[:300]} is not on the list of this key")

    def _check_recursion(self, parsed: Parsed, pair: Pair) -> None:
        if "r" in parsed.flags and not pair.recursive:
            raise Refused(f"-r is not admitted: what is below {pair.filesystem} is not on the list of this key")

    def _destroy(self, parsed: Parsed) -> list[Argv]:
        (name,) = _some(parsed, 1)
        if "#" in name:
            self.of(name)
            self._check_own_snapshot(name.replace("#", "@"), ())
            return [parsed.again([name])] if not parsed.flags else _refuse("-r of a bookmark is not admitted")
        if "@" in name:
            dataset, shorts = name.split("@", 1)
            for short in shorts.split(","):
                pair = self.of(f"{dataset}@{short}")
                self._check_own_snapshot(f"{dataset}@{short}", ())
                self._check_recursion(parsed, pair)
            return [parsed.again([name])]
        pair = self.of(name, FORCE)
        if name == pair.filesystem and "r" in parsed.flags and not pair.recursive:
            raise Refused(f"what is below {name} is not on the list of this key")
        return [parsed.again([name])]

    def _rollback(self, parsed: Parsed) -> list[Argv]:
        (name,) = _some(parsed, 1)
        self.of(name, FORCE)
        if "@" not in name:
            raise Refused("'zfs rollback' needs a snapshot")
        # The script says -R as well, which takes clones along wherever they are.
        return [parsed.again([name], without="R")]

    def _rename(self, parsed: Parsed) -> list[Argv]:
        old, new = _some(parsed, 2)
        if "@" in old or "@" in new:
            for name in (old, new):
                self._check_own_snapshot(name, (SEND, MOVE, FORCE))
            if old.split("@")[0] != new.split("@")[0]:
                raise Refused("a snapshot stays with its dataset")
            self._check_recursion(parsed, self.of(old, SEND, MOVE, FORCE))
            return [parsed.again([old, new])]
        if parsed.flags:
            raise Refused("-r of a dataset is not admitted")
        for name in (old, new):
            (self.of_kin if self._is_kin(name) else self.of)(name, RECEIVE, MOVE, FORCE)
        if self._is_root(old) or self._is_root(new):
            # A filesystem as a whole is only moved aside, and back.
            self.of(old if self._is_root(old) else new, FORCE)
        return [parsed.again([old, new])]

    def _is_root(self, name: str) -> bool:
        return any(pair.filesystem == name for pair in self._rules.pairs)

    # Properties

    def _set(self, parsed: Parsed) -> list[Argv]:
        targets = [word for word in parsed.words if "=" not in word]
        assignments = parsed.words[: len(parsed.words) - len(targets)]
        if not assignments or not targets or not all("=" in word for word in assignments):
            raise Refused("'zfs set' needs assignments, and then names")
        for target in targets:
            for assignment in assignments:
                self.check_assignment(assignment, target)
        return [parsed.again(parsed.words)]

    def check_assignment(self, assignment: str, target: str) -> None:
        """Whether a property may get this value; raises Refused."""
        name, _dummy, value = assignment.partition("=")
        if self._is_kin(target):
            self.of_kin(target, RECEIVE, MOVE, FORCE)
            kin = [pair for pair in self._rules.pairs if pair.is_kin(target) and pair.may(RECEIVE, MOVE, FORCE)]
            fine = any(_is_mark_of_kin(pair, name, value) for pair in kin)
        elif "@" in target:
            pairs = self.pairs_of(target)
            fine = any(name == f"{pair.tag}:sent" and _DIGITS.match(value) for pair in pairs)
        else:
            if name == "readonly":
                # To freeze what is only read from here would stop production.
                self.of(target, *((RECEIVE, MOVE) if value == "on" else (MOVE,)))
            pairs = self.pairs_of(target)
            fine = any(_may_be_set(pair, name, value, target) for pair in pairs)
        if not fine or not _VALUE.match(value):
            raise Refused(f"'{assignment[:120]}' is not admitted on {target[:300]}")

    def _inherit(self, parsed: Parsed) -> list[Argv]:
        name, *targets = parsed.words or ("",)
        if not targets:
            raise Refused("'zfs inherit' needs a property and names")
        for target in targets:
            pairs = self.pairs_of(target)
            if not any(_may_be_inherited(pair, name, target) for pair in pairs):
                raise Refused(f"to take {name[:80]!r} off {target[:300]} is not admitted")
        return [parsed.again(parsed.words)]

    # Streams

    def _send(self, parsed: Parsed) -> list[Argv]:
        if parsed.values("-t"):
            if parsed.words or len(parsed.options) > 1:
                raise Refused("a token stands alone")
            self.check_token(parsed.values("-t")[0])
            return [parsed.again(())]
        (name,) = _some(parsed, 1)
        pair = self.of(name, SEND, MOVE)
        if "@" not in name:
            raise Refused("only snapshots are sent")
        if "R" in parsed.flags and not pair.recursive:
            raise Refused(f"what is below {pair.filesystem} is not on the list of this key")
        bases = parsed.values("-i") + parsed.values("-I")
        for base in bases:
            if re.split("[@#]", base)[0] not in ("", name.split("@")[0]) or not re.search("[@#]", base):
                raise Refused(f"a stream of {name[:300]} does not start from {base[:300]}")
            _taken_apart(base if base[0] not in "@#" else f"{name.split('@')[0]}{base}")
        if len(bases) > 1:
            raise Refused("a stream starts from one snapshot")
        return [parsed.again([name])]

    def check_token(self, text: str) -> None:
        """Whether a token asks for a snapshot that may be sent; raises Refused. It can ask for anything."""
        token = read_token(text)
        for pair in self._rules.pairs if token else ():
            deep = () if pair.recursive else ("-d", "1")
            argv = ("zfs", "get", "-Hp", "-r", *deep, "-o", "name,value", "guid", pair.filesystem)
            rows = [line.split("\t") for line in self.ask(argv)[1].splitlines() if pair.may(SEND, MOVE)]
            for row in rows:
                name = row[0].partition("@")[0]
                if "@" in row[0] and pair.has(name) and token and row[1:] == [str(token.target)]:
                    return
        raise Refused("the token asks for nothing that may be sent")

    def _receive(self, parsed: Parsed) -> list[Argv]:
        (name,) = _some(parsed, 1)
        pair = self.of(name, RECEIVE)
        if "@" in name or "#" in name:
            raise Refused("streams go into filesystems")
        if "A" in parsed.flags:
            return [("zfs", "receive", "-A", name)]
        if "F" in parsed.flags and not pair.may(FORCE) and self._exists(name):
            raise Refused(f"-F is not admitted: {name} exists, and the grant {FORCE} was not given")
        for assignment in parsed.values("-o"):
            self.check_assignment(assignment, name)
        excluded = [("-x", found) for found in self._rules.exclude if found not in self._said(parsed)]
        # Whatever it brings, it is not mounted by that.
        again = parsed._replace(flags=parsed.flags | {"u"}).again([name], options=excluded)
        return [again]

    def _said(self, parsed: Parsed) -> list[str]:
        return [*parsed.values("-x"), *(found.partition("=")[0] for found in parsed.values("-o"))]

    def _create(self, parsed: Parsed) -> list[Argv]:
        (name,) = _some(parsed, 1)
        self.of(name, RECEIVE)
        for assignment in parsed.values("-o"):
            self.check_assignment(assignment, name)
        return [parsed.again([name])]

    # Mounts

    def _mount(self, parsed: Parsed) -> list[Argv]:
        (name,) = _some(parsed, 1)
        self.check_mount(name)
        return [parsed.again([name])]

    def check_mount(self, name: str) -> None:
        """Whether a filesystem may be mounted where it says; raises Refused. A stream may have said it."""
        pair = self.of(name, MOVE)
        self._check_no_snapshot(name)
        status, said = self.ask(("zfs", "get", "-Hp", "-o", "value,source", "mountpoint", name))
        place, _dummy, source = said.rstrip("\n").partition("\t")
        origin = source.replace("inherited from ", "")
        received = source == "received" or (origin != source and self._is_ours(origin) and self._brought(origin))
        if status or (received and place not in pair.mountpoints and place not in ("none", "legacy")):
            raise Refused(f"{name} would be mounted at {place[:300]}, which a stream has brought")

    def _brought(self, name: str) -> bool:
        return self.ask(("zfs", "get", "-Hp", "-o", "source", "mountpoint", name))[1].strip() == "received"

    def _unmount(self, parsed: Parsed) -> list[Argv]:
        (name,) = _some(parsed, 1)
        pair = self.of(name, MOVE, FORCE, RECEIVE)
        self._check_no_snapshot(name)
        if name == pair.filesystem and not pair.may(MOVE, FORCE):
            raise Refused(f"to unmount {name} would need the grant {MOVE}")
        return [parsed.again([name])]

    def _check_no_snapshot(self, name: str) -> None:
        if "@" in name or "#" in name:
            raise Refused("snapshots are not mounted")

    def _diff(self, parsed: Parsed) -> list[Argv]:
        base, name = _some(parsed, 2)
        self.of(name, MOVE, FORCE)
        self._check_no_snapshot(name)
        if base.partition("@")[0] != name:
            raise Refused("only what changed in one filesystem is told")
        _taken_apart(base)
        return [parsed.again([base, name])]


def is_own_snapshot(tag: str, short: str) -> bool:
    """Whether a snapshot has a name that runs under this tag give."""
    return names.parse_snapshot(tag, short) is not None or bool(
        re.match(re.escape(tag) + r"_preserved_[0-9]{1,20}\Z", short)
    )


def _some(parsed: Parsed, count: int = 0) -> tuple[str, ...]:
    """The names in a command: so many, or any number."""
    if not parsed.words or (count and len(parsed.words) != count):
        raise Refused(f"'zfs {parsed.verb}' has not the names that it needs")
    return parsed.words


def _refuse(why: str) -> t.NoReturn:
    raise Refused(why)


def _taken_apart(name: str) -> tuple[str, str]:
    """The dataset and the short name in a name that can be one; raises Refused."""
    dataset, mark, short = name, "", ""
    for mark in "@#":
        if mark in name:
            dataset, _dummy, short = name.partition(mark)
            break
    try:
        names.check_dataset(dataset)
        if dataset != name:
            names.check_snapshot(short)
    except ZrepError:
        raise Refused(f"{name[:300]!r} is no name that is admitted") from None
    return dataset, short


def _is_mark_of_kin(pair: Pair, name: str, value: str) -> bool:
    if name == f"{pair.tag}:{PRESERVED_FROM}":
        return value.partition("@")[0] == pair.filesystem or pair.is_below(value.partition("@")[0])
    return (name, value) in (("readonly", "on"), ("canmount", "noauto"))


_LOCKS = ("lock-pid", "lock-time")
_SNAPSHOTS_ONLY = ("sent",)


def _may_be_set(pair: Pair, name: str, value: str, target: str) -> bool:
    """Whether a filesystem of a pair may get this value."""
    if f"{name}={value}" in pair.properties:
        return True
    if name == "readonly":
        return (value == "on" and pair.may(RECEIVE, MOVE)) or (value == "off" and pair.may(MOVE))
    if name == "canmount":
        return value == "noauto" and target != pair.filesystem and pair.may(RECEIVE, MOVE)
    if name == "mountpoint":
        return pair.may(MOVE) and value in pair.mountpoints
    tag, _dummy, short = name.partition(":")
    if tag != pair.tag:
        return False
    if short == PRESERVED_FROM:
        return _is_mark_of_kin(pair, name, value)
    return short in USER_PROPERTIES and short not in (*_LOCKS, *_SNAPSHOTS_ONLY) and _is_record(pair, short, value)


def _is_record(pair: Pair, short: str, value: str) -> bool:
    """Whether a value can be one of the pair's record."""
    if short in ("src-fs", "dest-fs"):
        return value in (pair.filesystem, pair.peer_filesystem)
    if short in ("src-host", "dest-host", "src-name"):
        return _is_host(value) and (not pair.hosts or value in pair.hosts)
    if short in ("savecount", "promoted", "lastsenttime"):
        return bool(_DIGITS.match(value))
    if short == "lastsent":
        return value.partition("@")[0] == pair.filesystem
    if short == "master":
        return value == "yes" and pair.may(MOVE, SEND)
    if short == "recursive":
        return value == "no" or (value == "yes" and pair.recursive)
    if short == "mountpoint":
        return value in pair.mountpoints
    return True


def _is_host(value: str) -> bool:
    """Whether it can be another host: a peer that is this very host would be worked on without ssh and any gate."""
    try:
        names.check_host(value)
    except ZrepError:
        return False
    name = value.rpartition("@")[2].lower().strip("[]")
    return name not in ("localhost", "::1") and not name.startswith("127.")


def _may_be_inherited(pair: Pair, name: str, target: str) -> bool:
    """Whether a property may be taken off a dataset or a snapshot of a pair."""
    if "@" in target:
        return name == f"{pair.tag}:sent"
    if name == "readonly":
        return pair.may(MOVE) or target != pair.filesystem
    if name == "mountpoint":
        return pair.may(RECEIVE)
    tag, _dummy, short = name.partition(":")
    return tag == pair.tag and short not in _LOCKS and bool(_PROPERTIES.match(name)) and "," not in name
