"""Finds the connections within a group of people in the lists of its members.

The entries of a list name people by userid and e-mail address, never by key, and a server may hide e-mail addresses.
So a member is recognized by every identity that is known of them: the given one, and those that the member's own list
shows for its source. A member whose own list was not read yet may be one of the people in other lists: these people
are kept until all identities are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypeAlias, cast

from attrs import asdict, evolve

from aioconnections.records import Connection, Edge, Email, Identity, Key, Person, Status, Userid

__all__ = ["GroupLists"]

_Sight: TypeAlias = tuple[Status | None, datetime | None]


class GroupLists:
    """The members of a group, and what their lists say.

    Args:
        given: the identity of each member; None for an item that names no person.
    """

    def __init__(self, given: Sequence[Identity | None]) -> None:
        self._given = given
        self._people: list[Person] = [_person(identity) for identity in given]
        self._first: list[int] = list(range(len(given)))  # an earlier member who is the same person, or the member
        self._members: dict[Identity, int] = {}
        self._read: set[int] = set()
        self._open = {index for index, it in enumerate(given) if it is not None and not isinstance(it, Userid)}
        self._seen: dict[tuple[int, int], _Sight] = {}  # by the owner of the list and the member in it
        self._waiting: dict[Identity, list[tuple[int, _Sight]]] = {}  # people in lists who may be members
        for index, person in enumerate(self._people):
            self._learn(index, person)

    def add(self, index: int, connections: Iterable[Connection]) -> None:
        """Take note of the whole list of a member."""
        self._read.add(index)
        for number, connection in enumerate(connections):
            if not number:
                self._learn(index, connection.source)
                self._settle(index)
            self._see(index, connection)
        self._settle(index)

    def skip(self, index: int) -> None:
        """Take note that the list of a member could not be read."""
        self._settle(index)

    def person(self, index: int) -> Person:
        """What is known of a member."""
        return self._people[self._root(index)]

    def same_as(self, index: int) -> int | None:
        """The index of an earlier member who is the same person; None if there is none."""
        first = self._root(index)
        return None if first == index else first

    def is_recognizable(self, index: int) -> bool:
        """Whether an identity of the member is known that the lists of others may show."""
        person = self.person(index)
        return person.userid is not None or person.email is not None

    def edges(self) -> Iterator[Edge]:
        """The connected pairs of members, each once, in the order of the members."""
        roots = [self._root(index) for index in range(len(self._given))]
        read = {roots[index] for index in self._read}
        pairs: dict[tuple[int, int], dict[int, _Sight]] = {}
        for (owner, member), sight in self._seen.items():
            one, other = roots[owner], roots[member]
            if one != other:
                pairs.setdefault((min(one, other), max(one, other)), {})[one] = sight
        for pair in sorted(pairs):
            sights = pairs[pair]
            source, target = cast("list[Identity]", [self._given[index] for index in pair])  # an edge needs identities
            status, updated = next(iter(sights.values()))
            yield Edge(
                source,
                target,
                status=status,
                updated=max((at for _, at in sights.values() if at is not None), default=updated),
                seen_from="both" if len(sights) == 2 else "one",
                disputed=len(sights) == 1 and read.issuperset(pair),
            )

    def _learn(self, index: int, person: Person) -> None:
        """Take note of the identities of a member."""
        for identity in _identities(person):
            self._join(self._members.setdefault(identity, index), index)
            for owner, sight in self._waiting.pop(identity, ()):
                self._seen.setdefault((owner, index), sight)
        self._describe(self._root(index), person)

    def _describe(self, index: int, person: Person) -> None:
        """Add what is not known of a member yet."""
        known = self._people[index]
        news = {
            name: value
            for name, value in asdict(person, recurse=False).items()
            if value is not None and getattr(known, name) is None
        }
        if news:
            self._people[index] = evolve(known, **news)

    def _see(self, owner: int, connection: Connection) -> None:
        """Take note of one person in the list of `owner`."""
        target, sight = connection.target, (connection.status, connection.updated)
        identities = [*_identities(target)]
        members = [self._members[identity] for identity in identities if identity in self._members]
        if members:
            member = members[0]
            self._learn(member, target)
            self._seen.setdefault((owner, member), sight)
        elif self._open and identities:
            self._waiting.setdefault(identities[0], []).append((owner, sight))

    def _settle(self, index: int) -> None:
        """Expect no further identities of a member from the member's own list."""
        self._open.discard(index)
        if not self._open:
            self._waiting.clear()

    def _join(self, one: int, other: int) -> None:
        """Take note that two members are the same person."""
        first, second = sorted((self._root(one), self._root(other)))
        if first != second:
            self._first[second] = first
            self._describe(first, self._people[second])

    def _root(self, index: int) -> int:
        while self._first[index] != index:
            index = self._first[index]
        return index


def _person(identity: Identity | None) -> Person:
    match identity:
        case Userid():
            return Person(userid=identity)
        case Email():
            return Person(email=identity)
        case Key():
            return Person(key=identity)
        case _:
            return Person()


def _identities(person: Person) -> Iterator[Identity]:
    """All identities of a person, the most reliable first."""
    yield from (it for it in (person.userid, person.key, person.email) if it is not None)
