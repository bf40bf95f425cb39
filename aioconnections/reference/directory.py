"""A generated directory: people, their relationships and communities.

Everything is computed from the seed on demand: a directory of a million people takes no more time to create and no more
memory than one of ten.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, overload

from attrs import frozen

from aioconnections.records import Email, Identity, Key, Person, Status, Userid, identity_of
from aioconnections.reference.numbers import Guids, draws
from aioconnections.reference.population import IdentifierKind, Population, ProfileDetails
from aioconnections.reference.relationships import Group, RelationshipRow, Relationships, groups

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Directory", "GeneratedCommunity"]

_MIN_PEOPLE, _MAX_PEOPLE = 10, 1_000_000
_KINDS: dict[type[Identity], IdentifierKind] = {Email: "email", Userid: "userid", Key: "key"}


@frozen(kw_only=True)
class GeneratedCommunity:
    """The initial state of a community.

    Attributes:
        uuid: id of the community.
        title: name of the community.
        public: whether people can join without an invitation.
        owners: the owners, at least one; only they invite.
        members: the members who are not owners.
        invited: the people with a pending invitation.
    """

    uuid: str
    title: str
    public: bool
    owners: tuple[Person, ...]
    members: tuple[Person, ...]
    invited: tuple[Person, ...]


class Directory:
    """Generated people and their relationships.

    Tests and tools use `people`, `communities`, `find`, `status`, `neighbours` and `sample_pairs`, which take and
    return records. The server uses numbers, which are cheaper: the number of a person is the index in `people`. The
    administrator has the next number.
    """

    def __init__(self, seed: int, population: Population, relationships: Relationships, connection_ids: Guids) -> None:
        self.seed = seed
        self._population = population
        self._relationships = relationships
        self._connection_ids = connection_ids

    @classmethod
    def generate(cls, *, people: int, seed: int) -> Directory:
        """Create a directory. The same arguments give the same directory on every machine.

        Args:
            people: number of people, from 10 to 1,000,000.
            seed: any integer.

        Raises:
            ValueError: `people` is out of range.
        """
        if not _MIN_PEOPLE <= people <= _MAX_PEOPLE:
            raise ValueError(f"people must be from {_MIN_PEOPLE} to {_MAX_PEOPLE:,}, got {people}")
        return cls(seed, Population(seed, people), Relationships(seed, people), Guids(seed, 30))

    @property
    def people(self) -> Sequence[Person]:
        """All people except the administrator. Each access computes a new `Person`; equal indexes give equal people."""
        return _PersonSequence(self._population, range(self._population.size))

    @property
    def communities(self) -> Sequence[GeneratedCommunity]:
        """The initial communities, 3 to 200."""
        return [
            GeneratedCommunity(
                uuid=group.uuid,
                title=group.title,
                public=group.public,
                owners=tuple(self.person(number) for number, role in group.roles.items() if role == "owner"),
                members=tuple(self.person(number) for number, role in group.roles.items() if role == "member"),
                invited=tuple(self.person(number) for number in group.invited),
            )
            for group in self.groups()
        ]

    def find(self, identity: Identity) -> Person | None:
        """The person with this identity; None if unknown. E-mail address and key ignore case, a userid does not."""
        number = self.number_of(identity)
        return None if number is None else self.person(number)

    def status(self, source: Identity | Person, target: Identity | Person) -> Status | None:
        """The status of `target` as `source` sees it; None without a connection or for an unknown person."""
        row = self._row_between(source, target)
        return None if row is None else row.status

    def neighbours(self, person: Identity | Person) -> Iterator[tuple[Person, Status]]:
        """All people with a connection to `person`, each with the status that `person` sees."""
        number = self.number_of(person)
        if number is not None:
            for row in self.rows_of(number):
                yield self.person(row.target), row.status

    def sample_pairs(self, count: int, *, seed: int = 0) -> Iterator[tuple[Person, Person]]:
        """Generate `count` pairs of people; the same arguments give the same pairs.

        Every other pair is connected, with equal shares of the three statuses. Pairs can repeat.
        """
        connected = self._relationships.rows_at_random(seed, 40)
        strangers = self._strangers(seed)
        for index in range(count):
            source, target = next(strangers) if index & 1 else next(connected)[1:3]
            yield self.person(source), self.person(target)

    # Methods for the server, which take and return numbers.

    @property
    def administrator(self) -> int:
        """The administrator's number."""
        return self._population.size

    def person(self, number: int) -> Person:
        """The person with this number."""
        return self._population.person(number)

    def groups(self) -> Iterator[Group]:
        """New copies of the initial communities."""
        return groups(self.seed, self._population.size)

    def details(self, number: int) -> ProfileDetails:
        """The other profile fields of this person."""
        return self._population.details(number)

    def number(self, kind: IdentifierKind, text: str) -> int | None:
        """The number of the person with this identifier; None if unknown. Surrounding spaces are ignored."""
        return self._population.number(kind, text.strip())

    def number_of(self, person: Identity | Person) -> int | None:
        """The number of this person; None if unknown."""
        identity = identity_of(person)
        return self.number(_KINDS[type(identity)], identity.value)

    def row(self, source: int, target: int) -> RelationshipRow | None:
        """The row of `source` about `target`; the administrator has no relationships."""
        return None if self.administrator in (source, target) else self._relationships.row(source, target)

    def rows_of(self, source: int) -> Iterator[RelationshipRow]:
        """All rows of `source`."""
        return iter(()) if source == self.administrator else self._relationships.rows_of(source)

    def connection_id(self, row: RelationshipRow) -> str:
        """The connection id of this row, a GUID."""
        return self._connection_ids.write(row.number)

    def row_with_id(self, connection_id: str) -> RelationshipRow | None:
        """The row with this connection id."""
        text = connection_id.strip().lower()
        number = self._connection_ids.read(text)
        row = None if number is None else self._relationships.row_numbered(number)
        return row if row is not None and self.connection_id(row) == text else None

    def _row_between(self, source: Identity | Person, target: Identity | Person) -> RelationshipRow | None:
        numbers = self.number_of(source), self.number_of(target)
        return None if numbers[0] is None or numbers[1] is None else self.row(numbers[0], numbers[1])

    def _strangers(self, seed: int) -> Iterator[tuple[int, int]]:
        numbers = (draw % self._population.size for draw in draws(seed, 41))
        while True:
            source, target = islice(numbers, 2)
            if source != target and self._relationships.row(source, target) is None:
                yield source, target

    def __repr__(self) -> str:
        return f"<Directory of {self._population.size:,} people>"


class _PersonSequence(Sequence[Person]):
    """The people with the numbers in a range."""

    def __init__(self, population: Population, numbers: range) -> None:
        self._population = population
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Person: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Person]: ...
    def __getitem__(self, index: int | slice) -> Person | Sequence[Person]:
        if isinstance(index, slice):
            return _PersonSequence(self._population, self._numbers[index])
        return self._population.person(self._numbers[index])

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, Person) or value.userid is None:
            return False
        number = self._population.number("userid", value.userid.value)
        return number is not None and number in self._numbers and self._population.person(number) == value

    def __repr__(self) -> str:
        return f"<{len(self):,} people>"
