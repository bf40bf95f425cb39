"""Whose colleague connections a client may have changed, and since when: what was asked before may be outdated.

Changes are counted. A question remembers the count at its start (`Changes.count`), and its response stands as long as
`Changes.unchanged` for the people that it names.

One person has several identities. A change is recorded for all that are known (`Changes.learn`). Any identity of
another kind may be the same person, so it is recorded for every identity of that kind. So may a userid that differs by
case only: servers show them in either case.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from aioconnections.records import Connection, Email, Identity, Key, Person, Userid

__all__ = ["Changes", "Touched", "ends_of"]

Touched: TypeAlias = tuple[Identity | Person, ...] | None
"""The people whose connections a request changes; None if they are not known. Empty if it changes no connection."""

_KINDS: tuple[type[Identity], ...] = (Userid, Key, Email)
_MOST = 100_000  # identities that are remembered for each purpose


class Changes:
    """The changes of one client, over all of its users.

    Attributes:
        count: number of changes so far.
    """

    __slots__ = ("_aliases", "_all", "_changed", "_kinds", "count")

    def __init__(self) -> None:
        self.count: int = 0
        self._all = 0  # number of the last change that may concern all people
        self._kinds: dict[type[Identity], int] = dict.fromkeys(_KINDS, 0)
        self._changed: dict[Identity | str, int] = {}
        self._aliases: dict[Identity, dict[type[Identity], Identity]] = {}

    def made(self, people: Touched) -> None:
        """Record that connections of `people` may have changed."""
        self.count += 1
        if people is None or len(self._changed) > _MOST:
            self._changed.clear()
            self._all = self.count
            return
        for person in people:
            identities = self._identities_of(person)
            for kind in _KINDS:
                identity = identities.get(kind)
                if identity is None:
                    self._kinds[kind] = self.count
                else:
                    self._changed[_folded(identity)] = self.count

    def unchanged(self, people: Iterable[Identity] | None, since: int) -> bool:
        """Whether none of `people` was concerned after the first `since` changes; None stands for people not known."""
        if self._all > since or (people is None and self.count > since):
            return False
        kinds, changed = self._kinds, self._changed
        return all(kinds[type(it)] <= since and changed.get(_folded(it), 0) <= since for it in people or ())

    def learn(self, person: Person) -> None:
        """Take note that the identities of a record name the same person.

        What contradicts it is forgotten, because an e-mail address may pass from one person to another.
        """
        own = _own_identities(person)
        if len(own) < 2:
            return
        merged = dict(own)
        for identity in own.values():
            former = self._aliases.get(identity, {})
            if any(merged.get(kind, it) != it for kind, it in former.items()):
                for it in former.values():
                    self._aliases.pop(it, None)
            else:
                merged |= former
        if len(self._aliases) > _MOST:
            self._aliases.clear()
        self._aliases |= dict.fromkeys(merged.values(), merged)

    def _identities_of(self, person: Identity | Person) -> dict[type[Identity], Identity]:
        """The known identities of a person, by kind."""
        own = _own_identities(person) if isinstance(person, Person) else {type(person): person}
        known = {kind: it for identity in own.values() for kind, it in self._aliases.get(identity, {}).items()}
        return known | own

    def __repr__(self) -> str:
        return f"Changes({self.count}, {len(self._aliases)} aliases)"


def ends_of(connection: Connection) -> Touched:
    """The two people of a connection; None if one of them has no identity."""
    ends = (connection.source, connection.target)
    return ends if all(map(_own_identities, ends)) else None


def _folded(identity: Identity) -> Identity | str:
    """A userid without its case; other identities compare without it."""
    return identity.value.casefold() if isinstance(identity, Userid) else identity


def _own_identities(person: Person) -> dict[type[Identity], Identity]:
    return {type(it): it for it in (person.userid, person.key, person.email) if it is not None}
