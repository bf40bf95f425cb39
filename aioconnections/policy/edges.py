"""Remembers in bounded memory which people are connected, from the lists that a run has read.

A pair of people is connected if the list of either names the other. So one set of undirected edges, and the people
whose lists are in it, show for each pair with at least one of these people whether it is connected. An edge is a
digest of 64 bits in a sorted array, about 10 bytes; a set of Python objects takes ten times as much. Among n digests, a
pair that is not connected is taken for connected with a probability of n / 2**64: 10**-11 for 200 million edges.

Nothing is ever evicted: in a shuffled run every list is needed again equally soon, so a cache that evicts the list used
least recently reads every list many times. Once a list does not fit, the table admits no further list.

The table also compares lists with each other. For two people who are both listed, each list must name the other. An
undirected edge does not show which of the two lists named it, and a digest cannot be turned back into a pair, so the
table counts for each person the lists that named them before their own list was admitted.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b

from aioconnections.policy.digests import Digests, Numbers
from aioconnections.reprs import frozen, safe_repr

__all__ = ["Disagreement", "EdgeTable"]

_LISTED = 1 << 31  # in the value of a person; the other bits count the lists that named the person

# Upper bounds: 8.7 bytes for each edge, 13 for each person; see `Digests`. The rest is what malloc loses between arrays
# that grow, measured as growth of the process.
_BYTES_PER_EDGE = 10.5
_BYTES_PER_PERSON = 16.0  # with the array of values
_BYTES_AT_FIRST = 2048.0


@frozen
class Disagreement:
    """How the list of a person differs from the lists admitted before.

    Attributes:
        not_named_by: people in the list whose own lists do not name the person.
        not_named: number of admitted lists that name the person and whose owners are missing from the person's list.
            To find these owners, ask `EdgeTable.connects` for each listed person.
    """

    not_named_by: tuple[str, ...]
    not_named: int


class EdgeTable:
    """The edges between people, given by userid, and the people whose whole lists were admitted.

    Args:
        memory_bytes: the most memory that the table takes.
        key: secret of at most 64 bytes. With a random key, userids chosen by others cannot collide on purpose.

    Attributes:
        memory_bytes: the most memory that the table takes.
        lists: number of people whose lists were admitted.
        is_full: whether a list was refused; then the table admits no further list.
    """

    __slots__ = ("_edges", "_hash", "_people", "is_full", "lists", "memory_bytes")

    def __init__(self, memory_bytes: int, *, key: bytes = b"") -> None:
        if memory_bytes < 0:
            raise ValueError(f"memory_bytes is {memory_bytes}; expected 0 or more")
        self.memory_bytes: int = memory_bytes
        self.lists: int = 0
        self.is_full: bool = False
        self._hash = blake2b(digest_size=8, key=key)
        self._edges = Digests()
        self._people = Numbers("I")

    @property
    def bytes_used(self) -> int:
        """An upper bound of the memory that the table takes now."""
        return _bytes_needed(self._edges.count, self._people.count)

    def add(self, person: str, neighbours: Collection[str]) -> bool:
        """Admit the whole list of a person, or nothing; return whether it was admitted.

        A list that disagrees with earlier ones is admitted as well: call `disagreement` first. A second list of the
        same person adds edges and removes none.
        """
        if self.is_full or not self._fits(person, neighbours):
            self.is_full = True
            return False
        edges, people = self._edges, self._people
        for neighbour in neighbours:
            if neighbour == person or not edges.add(self._pair(person, neighbour)):
                continue  # an edge that is known was named before, so a repeated entry counts once
            digest = self._person(neighbour)
            value = people.get(digest)
            if value < _LISTED:
                people.set(digest, value + 1)
        digest = self._person(person)
        if people.get(digest) < _LISTED:
            people.set(digest, _LISTED)
            self.lists += 1
        return True

    def has_list(self, person: str) -> bool:
        """Whether the list of the person was admitted."""
        return self._people.get(self._person(person)) >= _LISTED

    def connects(self, one: str, other: str) -> bool:
        """Whether an admitted list says that two people are connected.

        False means that they are not connected only if the list of one of the two was admitted.
        """
        return self._pair(one, other) in self._edges

    def disagreement(self, person: str, neighbours: Collection[str]) -> Disagreement | None:
        """How the list of a person differs from the admitted ones; None if they agree.

        For a person whose list was admitted before, only `Disagreement.not_named_by` is compared.
        """
        named = 0
        missing: list[str] = []
        for neighbour in dict.fromkeys(neighbours):
            if neighbour != person and self.has_list(neighbour):
                if self.connects(person, neighbour):
                    named += 1
                else:
                    missing.append(neighbour)
        value = self._people.get(self._person(person))
        not_named = value - named if value < _LISTED else 0
        return Disagreement(tuple(missing), not_named) if missing or not_named else None

    def _fits(self, person: str, neighbours: Collection[str]) -> bool:
        """Whether the table with this list stays within its memory."""
        edges, people, most = self._edges, self._people, self.memory_bytes
        new = len(neighbours)
        if _bytes_needed(edges.count + new, people.count + new + 1) <= most:
            return True  # even if no edge is known yet
        if _bytes_needed(edges.count, people.count) > most:
            return False  # not even an empty list fits
        others = set(neighbours)
        new_people = sum(self._person(other) not in people for other in others | {person})
        new_edges = sum(self._pair(person, other) not in edges for other in others - {person})
        return _bytes_needed(edges.count + new_edges, people.count + new_people) <= most

    def _person(self, person: str) -> int:
        hashed = self._hash.copy()
        hashed.update(person.encode("utf-8", "surrogatepass"))
        return int.from_bytes(hashed.digest(), "big")

    def _pair(self, one: str, other: str) -> int:
        """The digest of two people in either order; the length of the first tells where the second begins."""
        if other < one:
            one, other = other, one
        hashed = self._hash.copy()
        hashed.update(f"{len(one)},{one}{other}".encode("utf-8", "surrogatepass"))
        return int.from_bytes(hashed.digest(), "big")

    @safe_repr
    def __repr__(self) -> str:
        full = ", full" if self.is_full else ""
        return f"EdgeTable({self._edges.count} edges of {self.lists} lists, {self.bytes_used} bytes{full})"


def _bytes_needed(edges: int, people: int) -> int:
    return int(_BYTES_AT_FIRST + _BYTES_PER_EDGE * edges + _BYTES_PER_PERSON * people)
