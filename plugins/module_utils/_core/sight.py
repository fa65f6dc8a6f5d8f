# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both sides of one pair, looked at as often as a move needs it."""

from __future__ import annotations

import dataclasses
import typing as t

from . import names, zfs
from .locks import check_script_lock_there
from .model import PRESERVED_FROM, Dataset, Observed, Side
from .plan import Plan
from .session import Session, with_recorded_peer
from .shell import Shell
from .state import HERE
from .swapping import wrong_places

MORE = ("canmount", "mountpoint")
"""What a move wants to know beyond the usual."""


class Sight:
    """What was seen of a pair last. A dry session sees what its plans predict.

    :param peer_identity: the name under which the peer records itself, where that is not its host name.
    :param peer_host: the name to reach the peer by, where that is not the recorded one.
    """

    def __init__(self, session: Session, filesystem: str, peer_identity: str, peer_host: str = "") -> None:
        self._session = session
        self._filesystem = filesystem
        self._peer_identity = peer_identity
        self._predicted = False
        self._above: frozenset[str] = frozenset()
        self._occupied: frozenset[str] = frozenset()
        self.host_name = ""
        """What the peer calls itself, as far as somebody has found out."""
        seen = with_recorded_peer(self._look_here())
        self.seen = dataclasses.replace(seen, peer_host=peer_host) if peer_host else seen

    @property
    def peer(self) -> Shell:
        return self._session.peer(self.seen.peer_host)

    def shell(self, side: str) -> Shell:
        """The shell on the host of one side."""
        return self._session.here if side == HERE else self.peer

    def pretend(self, plan: Plan) -> None:
        """From now on the pair is as a plan would leave it."""
        self._predicted = True
        self.seen = dataclasses.replace(self.seen, here=plan.after.here, there=plan.after.there)

    def here_again(self) -> Observed:
        """This side as it is now."""
        if not self._predicted:
            now = self._look_here()
            known = self.seen
            self.seen = dataclasses.replace(
                now, peer_host=known.peer_host, peer_filesystem=known.peer_filesystem, readonly_above=self._above
            )
            self.seen = dataclasses.replace(self.seen, occupied=self._occupied)
        return self.seen

    def both(self) -> Observed:
        """Both sides, this one as it was seen last."""
        if self._predicted:
            return self.seen
        seen = self._session.look_there([self.seen], more=MORE)[0]
        self.seen = dataclasses.replace(seen, identity_there=self._identity_there(seen))
        return self.seen

    def both_again(self) -> Observed:
        """Both sides as they are now."""
        self.here_again()
        return self.both()

    def settled(self) -> Observed:
        """Both sides with all that was written up to now in the numbers that zfs shows."""
        self._session.settle_pair(self.seen)
        return self.both_again()

    def ask_above(self, side: str) -> Observed:
        """Find out whether one side would inherit ``readonly=on`` if it had no value of its own."""
        filesystem = self.seen.filesystem if side == HERE else self.seen.peer_filesystem
        modern = (self.seen.features_here if side == HERE else self.seen.features_there).modern
        above = names.parent_of(filesystem)
        found = self.shell(side).run(zfs.get_one("readonly", above)).out.split() if above else []
        # A fuse mount shows "off", temporarily, where the property is on: see Side.readonly.
        if found[:1] == ["on"] or (not modern and found == ["off", "temporary"]):
            self._above |= {side}
        self.seen = dataclasses.replace(self.seen, readonly_above=self._above)
        return self.seen

    def ask_places(self, side: str) -> Observed:
        """Find out whether one side's host has something where the side is to be mounted once it is the master."""
        found = self.seen.side_here if side == HERE else self.seen.side_there
        paths = [one.place for one in wrong_places(found)] if found else []
        if paths:
            argv = zfs.occupied(paths)
            done = self.shell(side).run(argv)
            if done.status:
                raise zfs.failure(argv, done.status, done.err, self.shell(side).host)
            self._occupied = frozenset(path for path in done.out.split("\0") if path)
        self.seen = dataclasses.replace(self.seen, occupied=self._occupied)
        return self.seen

    def datasets(self, side: str, wanted: t.Iterable[str], trees: t.Sequence[str] = ()) -> dict[str, Dataset]:
        """Other datasets on the host of one side, as far as they exist.

        :param trees: those of them of which all that is below is wanted too.
        """
        more = (names.property_name(self.seen.tag, PRESERVED_FROM),)
        return self._session.look_at(self.shell(side), [name for name in wanted if name], more, trees)

    def copy(self, side: str, name: str | None) -> Dataset | None:
        """The dataset that a plan copied one side to."""
        if name is None:
            return None
        if self._predicted:
            return _copied(self.seen.here if side == HERE else self.seen.there, name)
        tree = self.seen.side_here is not None and self.seen.side_here.recursive
        return self.datasets(side, [name], [name] if tree else []).get(name)

    def check_script_lock_there(self) -> None:
        """Raise Busy while a process of the script on the peer holds its lock."""
        check_script_lock_there(self.seen.side_there, self.peer)

    def _look_here(self) -> Observed:
        return self._session.look_here([self._filesystem], MORE)[self._filesystem]

    def _identity_there(self, seen: Observed) -> str:
        """The name under which the peer records itself: as it does where it is the master, else its host name."""
        there: Side | None = seen.side_there
        if self._peer_identity:
            return self._peer_identity
        if there is not None and there.is_master:
            source = there.source
            # Half demoted, where both filesystems have one name, it already names this host there.
            if source.filesystem == there.filesystem and not names.same_host(source.host, seen.identity):
                return source.host
        if not self.host_name:
            done = self.peer.run(("uname", "-n"))
            self.host_name = done.out.strip() if done.status == 0 else seen.peer_host
        return names.check_host(names.short_host(self.host_name), "the host name of the peer")


def _copied(source: Dataset | None, name: str) -> Dataset:
    """The copy of a dataset as a plan would leave it."""
    found = Dataset(name, "filesystem", 0, {}, source.snapshots if source else ())
    for child in source.children if source else ():
        place = name + child.name[len(source.name if source else "") :]
        found = found.put(Dataset(place, child.type, 0, {}, child.snapshots))
    return found
