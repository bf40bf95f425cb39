"""The connections within a group of people."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from copy import copy
from types import TracebackType
from typing import Any, Self, cast

from aioconnections.bulk import Outcomes
from aioconnections.bulk.ahead import OwnedSource
from aioconnections.client.caller import PersonLike
from aioconnections.errors import ConnectionsError, InvalidInputError, UsageError
from aioconnections.outcomes import Count, Duplicate, Failed, Listed, ListOutcome, Rejected, Tally, Unprocessed
from aioconnections.policy.group import GroupLists
from aioconnections.records import Edge, Identity, Person, identity_of
from aioconnections.reprs import frozen, safe_repr

__all__ = ["Member", "Network"]


@frozen(kw_only=True)
class Member:
    """One member of a group.

    Attributes:
        index: zero-based position in the group.
        item: the object that the group gave.
        identity: the identity of the member in each `Edge`; None if the item names no person.
        person: what the lists say of the member, and the given identity.
        connections: number of connections in the member's list, within the group or not; None if it was not read.
        problem: why it was not read; None if it was, and for a member with the same identity as an earlier one.
        same_as: index of an earlier member who is the same person, and whose identity is in the edges; None if none is.
        is_recognizable: whether a userid or an e-mail address of the member is known. Lists name people by these two,
            so that the lists of others cannot show a member of whom only the key is known.
    """

    index: int
    item: object
    identity: Identity | None
    person: Person
    connections: int | None
    problem: Rejected | Failed | Unprocessed | None
    same_as: int | None
    is_recognizable: bool


class Network:
    """The connections within a group, for ``async for``, with or without ``async with``; see `Client.network`.

    The group and all lists are read before the first edge is given. A list that cannot be read is no exception: its
    member is in `problems`, and the edges that other lists show are given. If the run stops early, the iteration raises
    the reason after the last edge that is known.
    """

    def __init__(self, start: Callable[[list[PersonLike]], Outcomes[ListOutcome]], people: object) -> None:
        if isinstance(people, str | bytes) or not isinstance(people, Iterable | AsyncIterable):
            raise InvalidInputError(f"people must be an iterable or an async iterable, got {type(people).__name__}")
        self._start = start
        self._source = cast("Iterable[PersonLike] | AsyncIterable[PersonLike]", people)
        self._edges: tuple[Edge, ...] = ()
        self._left: Iterator[Edge] | None = None
        self._members: tuple[Member, ...] = ()
        self._begun = False
        self.tally: Tally = Tally()
        """The count of the outcomes of reading the lists."""
        self.stopped: ConnectionsError | None = None
        """Why the run stopped before all lists were read; None if it did not."""

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All edges; empty until the lists are read."""
        return self._edges

    @property
    def members(self) -> tuple[Member, ...]:
        """The members of the group, in their order; empty until the lists are read."""
        return self._members

    @property
    def problems(self) -> tuple[Member, ...]:
        """The members whose list could not be read. An edge between two of them is not known."""
        return tuple(member for member in self._members if member.problem is not None)

    def __aiter__(self) -> AsyncIterator[Edge]:
        return self

    async def __anext__(self) -> Edge:
        if self._left is None:
            await self.read()
        edge = next(self._left or iter(()), None)
        if edge is None:
            raise StopAsyncIteration if self.stopped is None else copy(self.stopped)
        return edge

    async def collect(self) -> list[Edge]:
        """All edges as a list.

        Raises:
            ConnectionsError: the run stopped early; `edges` holds those that are known.
            UsageError: the lists were read before, or are being read.
        """
        return [edge async for edge in self]

    async def read(self, sink: Callable[[ListOutcome], object] | None = None) -> None:
        """Read the group and the lists of its members.

        Args:
            sink: called with the outcome of each list.

        Raises:
            UsageError: the lists were read before, or are being read.
        """
        if self._begun:
            raise UsageError("the lists of a network are read only once")
        self._begun = True
        items = await self._items()
        given = [_identity(item) for item in items]
        group, count, sizes = GroupLists(given), Count(), dict[int, int]()
        problems: dict[int, Rejected | Failed | Unprocessed] = {}

        def take(outcome: ListOutcome) -> None:
            count.add(outcome)
            if sink is not None:
                sink(outcome)
            if isinstance(outcome, Listed):
                group.add(outcome.index, outcome.connections)
                sizes[outcome.index] = len(outcome.connections)
                return
            group.skip(outcome.index)
            if not isinstance(outcome, Duplicate):
                problems[outcome.index] = outcome

        run = self._start(items)
        await run.drain(take)
        self.stopped = run.stopped
        with run.unread() as account:
            for item in items[run.tally.read :]:
                take(account(item))
        self.tally = count.tally(len(items))
        self._members = tuple(
            Member(
                index=index,
                item=item,
                identity=given[index],
                person=group.person(index),
                connections=sizes.get(index),
                problem=problems.get(index),
                same_as=group.same_as(index),
                is_recognizable=group.is_recognizable(index),
            )
            for index, item in enumerate(items)
        )
        self._edges = tuple(group.edges())
        self._left = iter(self._edges)

    async def _items(self) -> list[PersonLike]:
        """Read the group."""
        source = self._source
        if not isinstance(source, AsyncIterable):
            return [*source]
        try:
            return [it async for it in source]
        finally:
            if isinstance(source, OwnedSource):
                source.close()

    async def to_arrow(self) -> Any:
        """A `pyarrow.Table` with a row for each edge, as in a CSV result of the command line.

        Its columns are ``source_userid``, ``source_key``, ``source_email``, ``source_name`` and likewise ``target_…``,
        ``status`` and ``seen_from`` (text), ``updated`` (timestamp in microseconds, UTC) and ``disputed`` (bool). The
        lists are read now, unless that was done. If the run stopped early, the table has the edges that are known, and
        `stopped` says why. Needs pyarrow, the extra ``[data]``.

        Raises:
            UsageError: pyarrow is missing, or the lists are being read.
        """
        from aioconnections.arrow.loading import pyarrow
        from aioconnections.arrow.results import edge_table

        _ = pyarrow()
        if self._left is None:
            await self.read()
        people = {member.identity: member.person for member in self._members if member.same_as is None}
        return edge_table([_edge_cells(edge, people) for edge in self._edges])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = iter(())

    @safe_repr
    def __repr__(self) -> str:
        return f"Network({len(self._members)} members, {len(self._edges)} edges)"


def _edge_cells(edge: Edge, people: Mapping[Identity | None, Person]) -> dict[str, object]:
    cells: dict[str, object] = {}
    for role, identity in (("source", edge.source), ("target", edge.target)):
        person = people[identity]
        for kind, found in (("userid", person.userid), ("key", person.key), ("email", person.email)):
            cells[f"{role}_{kind}"] = None if found is None else found.value
        cells[f"{role}_name"] = person.name
    status = None if edge.status is None else str(edge.status)
    return cells | {
        "status": status,
        "updated": edge.updated,
        "seen_from": edge.seen_from,
        "disputed": edge.disputed,
    }


def _identity(item: PersonLike) -> Identity | None:
    """The identity of an item; None if it names no person, for which the run gives a `Failed` outcome."""
    try:
        return identity_of(item)
    except InvalidInputError:
        return None
