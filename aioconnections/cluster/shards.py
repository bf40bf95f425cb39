"""Shards of an input: each row belongs to exactly one of them, which each machine finds out on its own.

A row belongs to a shard by its source person as the row names it, so all pairs of one source are in one shard, where a
plan can use a list of colleagues for them. The rule must never change: shards of one input may be processed by
different versions of this package. It depends neither on the machine nor on ``PYTHONHASHSEED``.
"""

from __future__ import annotations

import re
from hashlib import blake2b

from attrs import field

from aioconnections.errors import InvalidInputError
from aioconnections.records import Identity, Userid
from aioconnections.reprs import frozen

__all__ = ["MOST_SHARDS", "Shard"]

MOST_SHARDS = 100_000
"""Maximum number of shards. The index of a Kubernetes job has the same limit."""

_WRITTEN = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
_ADVICE = "write it as 3/16: the number of the shard, from 1, and the number of shards"


def _not_above_most(shard: object, attribute: object, of: int) -> None:
    del shard, attribute
    if not 1 <= of <= MOST_SHARDS:
        raise InvalidInputError(f"{of:,} shards are not possible; the number of shards is from 1 to {MOST_SHARDS:,}")


def _within(shard: Shard, attribute: object, number: int) -> None:
    del attribute
    if not 1 <= number <= shard.of:
        raise InvalidInputError(f"there is no shard {number} of {shard.of}; shards are numbered from 1 to {shard.of}")


@frozen
class Shard:
    """One of several parts of an input.

    Attributes:
        number: number of the shard, from 1.
        of: number of shards.

    Raises:
        InvalidInputError: there is no such shard.
    """

    of: int = field(validator=_not_above_most, kw_only=True)
    number: int = field(validator=_within)

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard that is written as in ``3/16``; leading zeros are allowed.

        Raises:
            InvalidInputError: the text has another form, or there is no such shard.
        """
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise InvalidInputError(f"{text[:40]!r} is not a shard; {_ADVICE}")
        return cls(int(found[1]), of=int(found[2]))

    def holds(self, source: Identity) -> bool:
        """Whether rows with this source person belong to the shard.

        E-mail addresses and keys may differ in case, as in comparisons of identities. A person who is identified in two
        ways may be in two shards.
        """
        value = source.value if isinstance(source, Userid) else source.value.lower()
        return self._is_at(f"{source.kind}:{value}")

    def holds_row(self, row: int) -> bool:
        """Whether a row without a readable source person belongs to the shard; `row` is its number, from 1."""
        return self._is_at(f"row:{row}")

    def _is_at(self, place: str) -> bool:
        digest = blake2b(place.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"
