"""Who there is and what stands between them, the truth that the server tells.

Nothing is stored: a directory of a million people is made at once and takes no more memory than one of ten.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, overload

from attrs import frozen

from aioconnections.records import Email, Identity, Key, Person, Status, Userid, identity_of
from aioconnections.reference.groups import Group, groups
from aioconnections.reference.numbers import Guids, draws
from aioconnections.reference.population import Details, Kind, Population
from aioconnections.reference.ties import Row, Ties

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Community", "Directory"]

_FEWEST, _MOST = 10, 1_000_000
_KINDS: dict[type[Identity], Kind] = {Email: "email", Userid: "userid", Key: "key"}


@frozen(kw_only=True)
class Community:
    """A community. Its owners invite people; to a public one everybody may come uninvited.

    Attributes:
        uuid: its id.
        title: its name.
        public: whether it is for everybody.
        owners: at least one.
        members: those who are not owners.
        invited: who was invited and has not answered.
    """

    uuid: str
    title: str
    public: bool
    owners: tuple[Person, ...]
    members: tuple[Person, ...]
    invited: tuple[Person, ...]


class Directory:
    """Invented people and their relationships.

    For tests and tools there are `people`, `communities`, `find`, `status`, `neighbours` and `sample_pairs`, in terms
    of records; the server itself goes by numbers, which is cheaper: a person's place in `people`, and one more for the
    administrator.
    """

    def __init__(self, seed: int, population: Population, ties: Ties, connection_ids: Guids) -> None:
        self.seed = seed
        self._population = population
        self._ties = ties
        self._connection_ids = connection_ids

    @classmethod
    def generate(cls, *, people: int, seed: int) -> Directory:
        """A directory that is the same for the same arguments, on every machine.

        Args:
            people: how many, 10 to 1,000,000.
            seed: any whole number.

        Raises:
            ValueError: `people` is out of range.
        """
        if not _FEWEST <= people <= _MOST:
            raise ValueError(f"a directory has {_FEWEST} to {_MOST} people, not {people}")
        return cls(seed, Population(seed, people), Ties(seed, people), Guids(seed, 30))

    @property
    def people(self) -> Sequence[Person]:
        """Everybody but the administrator. Each is made when asked for; two of the same number are equal."""
        return _People(self._population, range(self._population.size))

    @property
    def communities(self) -> Sequence[Community]:
        """The communities, as they are at the beginning: 3 to 200 of them."""
        return [
            Community(
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
        """Whose identity this is: e-mail and key in any case, a userid exactly."""
        number = self.number_of(identity)
        return None if number is None else self.person(number)

    def status(self, source: Identity | Person, target: Identity | Person) -> Status | None:
        """What `source` sees of `target`; None if there is nothing, or nobody."""
        row = self._row_between(source, target)
        return None if row is None else row.status

    def neighbours(self, who: Identity | Person) -> Iterator[tuple[Person, Status]]:
        """Everybody with whom `who` has something, and what `who` sees of it."""
        number = self.number_of(who)
        if number is not None:
            for row in self.rows_of(number):
                yield self.person(row.target), row.status

    def sample_pairs(self, count: int, *, seed: int = 0) -> Iterator[tuple[Person, Person]]:
        """`count` pairs of two people each, the same for the same arguments.

        Every other pair is connected, with the three statuses in equal parts. A pair can come more than once.
        """
        connected = self._ties.rows_at_random(seed, 40)
        strangers = self._strangers(seed)
        for index in range(count):
            source, target = next(strangers) if index & 1 else next(connected)[1:3]
            yield self.person(source), self.person(target)

    # by number

    @property
    def administrator(self) -> int:
        """The administrator's number."""
        return self._population.size

    def person(self, number: int) -> Person:
        """The person with this number."""
        return self._population.person(number)

    def groups(self) -> Iterator[Group]:
        """The communities, new ones with every call."""
        return groups(self.seed, self._population.size)

    def details(self, number: int) -> Details:
        """What the profile of this person holds besides."""
        return self._population.details(number)

    def number(self, kind: Kind, text: str) -> int | None:
        """Whose identifier this is; blanks around it do not count."""
        return self._population.number(kind, text.strip())

    def number_of(self, who: Identity | Person) -> int | None:
        """The number of this person."""
        identity = identity_of(who)
        return self.number(_KINDS[type(identity)], identity.value)

    def row(self, source: int, target: int) -> Row | None:
        """What `source` sees of `target`."""
        nobody = self._population.size
        return None if nobody in (source, target) else self._ties.row(source, target)

    def rows_of(self, source: int) -> Iterator[Row]:
        """Everything that `source` sees."""
        return iter(()) if source == self.administrator else self._ties.rows_of(source)

    def connection_id(self, row: Row) -> str:
        """The id of this row, a GUID."""
        return self._connection_ids.write(row.number)

    def row_with_id(self, connection_id: str) -> Row | None:
        """The row with this id."""
        text = connection_id.strip().lower()
        number = self._connection_ids.read(text)
        row = None if number is None else self._ties.row_numbered(number)
        return row if row is not None and self.connection_id(row) == text else None

    def _row_between(self, source: Identity | Person, target: Identity | Person) -> Row | None:
        numbers = self.number_of(source), self.number_of(target)
        return None if numbers[0] is None or numbers[1] is None else self.row(numbers[0], numbers[1])

    def _strangers(self, seed: int) -> Iterator[tuple[int, int]]:
        chance = (draw % self._population.size for draw in draws(seed, 41))
        while True:
            source, target = islice(chance, 2)
            if source != target and self._ties.row(source, target) is None:
                yield source, target

    def __repr__(self) -> str:
        return f"<Directory of {self._population.size:,} people>"


class _People(Sequence[Person]):
    """The people with the numbers of a range."""

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
            return _People(self._population, self._numbers[index])
        return self._population.person(self._numbers[index])

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, Person) or value.userid is None:
            return False
        number = self._population.number("userid", value.userid.value)
        return number is not None and number in self._numbers and self._population.person(number) == value

    def __repr__(self) -> str:
        return f"<{len(self):,} people>"
