"""The communities that a directory begins with: computed from its seed, and few, so that they are a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from aioconnections.reference.names import TOPICS
from aioconnections.reference.numbers import Guids, draws

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Group", "Role", "groups"]

Role: TypeAlias = Literal["owner", "member"]
_FEWEST, _MOST = 3, 200
_PEOPLE_EACH = 20
_MEMBERS = 8


class Group(NamedTuple):
    """A community, its people by number.

    Attributes:
        uuid: its id.
        title: its name.
        public: whether everybody may join.
        roles: who belongs to it.
        invited: by whom each person was invited who has not answered yet.
    """

    uuid: str
    title: str
    public: bool
    roles: dict[int, Role]
    invited: dict[int, int]


def groups(seed: int, size: int) -> Iterator[Group]:
    """The communities of `size` people: every other one public, with two owners, some members and one invitation."""
    uuids = Guids(seed, 50)
    for number in range(min(_MOST, max(_FEWEST, size // _PEOPLE_EACH))):
        chance = draws(seed, 51, number)
        drawn: dict[int, None] = {}
        while len(drawn) < _MEMBERS:
            drawn[next(chance) % size] = None
        *people, invited = drawn
        roles: dict[int, Role] = {person: "owner" if place < 2 else "member" for place, person in enumerate(people)}
        title = f"{TOPICS[number % len(TOPICS)]} {number // len(TOPICS) + 1}"
        yield Group(uuids.write(number), title, not number & 1, roles, {invited: people[0]})
