"""The relationships and communities of a directory, computed from its seed on demand.

The people form a circle in the order of their numbers. A directory has up to 256 *rings*: distances on the circle at
which two people may be connected. A person and a ring identify a relationship, whose existence and status are derived
from the two. Both queries are cheap in a directory of any size: the status between two people takes one look-up of
their distance, and the colleagues of a person take one pass over the rings.

The innermost rings are complete, so all people have colleagues. A few popular people are connected on all rings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from aioconnections.records import Status
from aioconnections.reference.numbers import Guids, draws, mix

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Group", "RelationshipRow", "Relationships", "Role", "groups"]
_MAX_RINGS = 256
_COMPLETE_RINGS = 3
_ONE_IN = 32  # share of the possible relationships on the other rings
_POPULAR_ONE_IN = 64
_FIRST_DATE = 1_483_228_800_000  # 2017-01-01T00:00:00Z, the year of the newest recordings
_DATE_STEP = 7_201_123  # milliseconds
_DATES = 4096  # they span eleven months

# The statuses that the first person on the circle and the second one see.
_STATUSES = (
    (Status.ACCEPTED, Status.ACCEPTED),
    (Status.ACCEPTED, Status.ACCEPTED),
    (Status.UNCONFIRMED, Status.PENDING),
    (Status.PENDING, Status.UNCONFIRMED),
)

# Messages of invitations, as HTML.
_MESSAGES = (
    "",
    "Please add me to your colleagues.",
    "<p>Shall we stay in touch after the <b>R&amp;D</b> meeting?</p>",
    "Grüße aus Zürich – wir haben uns am Stand getroffen.",
)

Role: TypeAlias = Literal["owner", "member"]

_MIN_GROUPS, _MAX_GROUPS = 3, 200
_PEOPLE_PER_GROUP = 20
_PEOPLE_IN_GROUP = 8  # including the invitee
_TOPICS = (
    "Atom Readers", "Bicycle Commuters", "Café & Kuchen", "Data <Quality>", "Early Birds", "Facility News",
    "Green Roofs", "Hiking", "Ideas Wanted", "Jazz Band", "Küchenteam", "Lunch Talks",
)  # fmt: skip


class RelationshipRow(NamedTuple):
    """One of the two entries of a relationship, as `source` sees it (protocol page "Connection entry content").

    Attributes:
        number: number of the row; the row of the other side has a different one.
        source: number of the person who sees the row.
        target: number of the other person.
        status: unconfirmed for the inviter, pending for the invitee, or accepted.
        updated: milliseconds since 1970.
        message: message of the invitation as HTML.
    """

    number: int
    source: int
    target: int
    status: Status
    updated: int
    message: str


class Relationships:
    """The relationships among `size` people."""

    def __init__(self, seed: int, size: int) -> None:
        self._size = size
        self._salt = mix(seed, 20)
        furthest = (size - 1) // 2  # at exactly half the circle, a pair would be on its ring twice
        self._rings = min(_MAX_RINGS, furthest)
        distances: dict[int, None] = {}
        for draw in draws(seed, 21):
            if len(distances) == self._rings:
                break
            distances[1 + draw % furthest] = None
        self._distances = (*distances, *(size - distance for distance in distances))
        self._slots = {distance: slot for slot, distance in enumerate(self._distances)}

    def row(self, source: int, target: int) -> RelationshipRow | None:
        """The row of `source` about `target`."""
        slot = self._slots.get((target - source) % self._size)
        return None if slot is None else self._row(source, slot)

    def rows_of(self, source: int) -> Iterator[RelationshipRow]:
        """All rows of `source`."""
        rows = (self._row(source, slot) for slot in range(len(self._distances)))
        return (row for row in rows if row is not None)

    def row_numbered(self, number: int) -> RelationshipRow | None:
        """The row with this number."""
        source, slot = divmod(number, len(self._distances))
        return self._row(source, slot) if 0 <= source < self._size else None

    def rows_at_random(self, *seed: int) -> Iterator[RelationshipRow]:
        """An infinite sequence of rows in which the three statuses alternate."""
        numbers = draws(*seed)
        turn = 0
        statuses = tuple(Status)
        while True:
            source = next(numbers) % self._size
            rings = self._rings if self._is_popular(source) else _COMPLETE_RINGS
            slot = next(numbers) % rings + (self._rings if next(numbers) & 1 else 0)
            row = self._row(source, slot)
            if row is not None and row.status is statuses[turn]:
                turn = (turn + 1) % len(statuses)
                yield row

    def _row(self, source: int, slot: int) -> RelationshipRow | None:
        """The row of `source` at a slot: first the rings in ascending direction, then the same rings descending."""
        rings = self._rings
        target = (source + self._distances[slot]) % self._size
        ring, first = (slot, source) if slot < rings else (slot - rings, target)
        traits = mix(self._salt + first * self._rings + ring)
        if (
            ring >= _COMPLETE_RINGS
            and traits % _ONE_IN
            and not self._is_popular(source)
            and not self._is_popular(target)
        ):
            return None
        # On the innermost ring the statuses alternate, so that small directories have all of them.
        statuses = _STATUSES[(traits >> 8 if ring else first) & 3]
        return RelationshipRow(
            source * len(self._distances) + slot,
            source,
            target,
            statuses[slot >= rings],
            _FIRST_DATE + (traits >> 16) % _DATES * _DATE_STEP,
            _MESSAGES[traits >> 32 & 3],
        )

    def _is_popular(self, number: int) -> bool:
        return (number ^ self._salt) % _POPULAR_ONE_IN == 0


class Group(NamedTuple):
    """A community in terms of the numbers of people.

    Attributes:
        uuid: id of the community.
        title: name of the community.
        public: whether people can join without an invitation.
        roles: the role of each member.
        invited: the inviter of each person with a pending invitation.
    """

    uuid: str
    title: str
    public: bool
    roles: dict[int, Role]
    invited: dict[int, int]


def groups(seed: int, size: int) -> Iterator[Group]:
    """The communities of `size` people: every other one is public; each has two owners and one invitation."""
    uuids = Guids(seed, 50)
    for number in range(min(_MAX_GROUPS, max(_MIN_GROUPS, size // _PEOPLE_PER_GROUP))):
        numbers = draws(seed, 51, number)
        drawn: dict[int, None] = {}
        while len(drawn) < _PEOPLE_IN_GROUP:
            drawn[next(numbers) % size] = None
        *people, invited = drawn
        roles: dict[int, Role] = {person: "owner" if index < 2 else "member" for index, person in enumerate(people)}
        title = f"{_TOPICS[number % len(_TOPICS)]} {number // len(_TOPICS) + 1}"
        yield Group(uuids.write(number), title, not number & 1, roles, {invited: people[0]})
