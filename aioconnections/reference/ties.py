"""What stands between people, computed when it is asked for.

Everybody sits on a circle, in the order of their numbers. A directory has a few hundred *rings*: distances at which two
people may know each other. So a relationship is a person and a ring; whether there is one, and of what kind, is a
function of the two. That makes both questions cheap in a directory of any size: what is between these two (one look-up
of their distance), and whom does this one know (a walk over the rings).

Some few people know everybody on their rings, and the innermost rings are complete, so nobody is alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aioconnections.records import Status
from aioconnections.reference.names import MESSAGES
from aioconnections.reference.numbers import draws, mix

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Row", "Ties"]

_MOST_RINGS = 256
_COMPLETE_RINGS = 3
_ONE_IN = 32  # relationships that exist on the other rings
_POPULAR_ONE_IN = 64
_FIRST_MOMENT = 1_483_228_800_000  # 2017-01-01T00:00:00Z, the time of the newest recordings
_BETWEEN_MOMENTS = 7_201_123
_MOMENTS = 4096  # they span eleven months

# From the side of who is first on the circle, and from the other side.
_KINDS = (
    (Status.ACCEPTED, Status.ACCEPTED),
    (Status.ACCEPTED, Status.ACCEPTED),
    (Status.UNCONFIRMED, Status.PENDING),
    (Status.PENDING, Status.UNCONFIRMED),
)


class Row(NamedTuple):
    """One of the two entries that make a relationship: what `source` sees (protocol page "Connection entry content").

    Attributes:
        number: the row's own number; the other side's row has another one.
        source: number of the person whose connections are looked at.
        target: number of the other one.
        status: as `source` sees it: who has invited sees unconfirmed, who was invited pending.
        updated: milliseconds since 1970.
        message: the text of the invitation, HTML.
    """

    number: int
    source: int
    target: int
    status: Status
    updated: int
    message: str


class Ties:
    """The relationships among `size` people."""

    def __init__(self, seed: int, size: int) -> None:
        self._size = size
        self._salt = mix(seed, 20)
        furthest = (size - 1) // 2  # at exactly half the circle a pair would be on its ring twice
        self._rings = min(_MOST_RINGS, furthest)
        distances: dict[int, None] = {}
        for draw in draws(seed, 21):
            if len(distances) == self._rings:
                break
            distances[1 + draw % furthest] = None
        self._distances = (*distances, *(size - distance for distance in distances))
        self._slots = {distance: slot for slot, distance in enumerate(self._distances)}

    def row(self, source: int, target: int) -> Row | None:
        """What `source` sees of `target`, if anything."""
        slot = self._slots.get((target - source) % self._size)
        return None if slot is None else self._row(source, slot)

    def rows_of(self, source: int) -> Iterator[Row]:
        """Everything that `source` sees."""
        rows = (self._row(source, slot) for slot in range(len(self._distances)))
        return (row for row in rows if row is not None)

    def row_numbered(self, number: int) -> Row | None:
        """The row with this number."""
        source, slot = divmod(number, len(self._distances))
        return self._row(source, slot) if 0 <= source < self._size else None

    def rows_at_random(self, *seed: int) -> Iterator[Row]:
        """Rows without end, the three statuses in equal parts."""
        chance = draws(*seed)
        wanted = 0
        statuses = tuple(Status)
        while True:
            source = next(chance) % self._size
            rings = self._rings if self._popular(source) else _COMPLETE_RINGS
            slot = next(chance) % rings + (self._rings if next(chance) & 1 else 0)
            row = self._row(source, slot)
            if row is not None and row.status is statuses[wanted]:
                wanted = (wanted + 1) % len(statuses)
                yield row

    def _row(self, source: int, slot: int) -> Row | None:
        """What `source` sees at this slot: the rings ahead come first, then the same rings behind."""
        rings = self._rings
        target = (source + self._distances[slot]) % self._size
        ring, first = (slot, source) if slot < rings else (slot - rings, target)
        traits = mix(self._salt + first * self._rings + ring)
        if ring >= _COMPLETE_RINGS and traits % _ONE_IN and not self._popular(source) and not self._popular(target):
            return None
        kind = (traits >> 8 if ring else first) & 3  # on the innermost ring all kinds in turn, however few people
        return Row(
            source * len(self._distances) + slot,
            source,
            target,
            _KINDS[kind][slot >= rings],
            _FIRST_MOMENT + (traits >> 16) % _MOMENTS * _BETWEEN_MOMENTS,
            MESSAGES[traits >> 32 & 3],
        )

    def _popular(self, number: int) -> bool:
        return (number ^ self._salt) % _POPULAR_ONE_IN == 0
