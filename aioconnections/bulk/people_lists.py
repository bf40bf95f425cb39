"""Reads the lists of one person within a run of checks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from aioconnections.errors import (
    AuthenticationError,
    BadRequestError,
    ConnectionsError,
    ForbiddenError,
    IncompleteListError,
    UnexpectedResponseError,
)
from aioconnections.policy.prices import Prices
from aioconnections.policy.read_lists import ListsOf
from aioconnections.protocol.listing import Colleague, whole_lean_colleagues
from aioconnections.protocol.profiles import administration_request, check
from aioconnections.records import Identity, Pair, Status, Userid
from aioconnections.session.call_context import RunScope
from aioconnections.session.parking import Parking
from aioconnections.session.session import Session

__all__ = ["GoesOn", "PeopleLists"]

GoesOn = Callable[[set[Identity], int, int], bool]
"""Whether to read on after the first page: called with the people on it, the total, and the number of entries on it."""


class PeopleLists:
    """Reads lists of colleagues, and checks pairs that are no items of the run.

    Args:
        session: session of the signed-in user.
        run: the part of the run that its requests need.
        prices: learns from the times of lists.
    """

    def __init__(self, session: Session, run: RunScope, prices: Prices) -> None:
        self._session = session
        self._run = run
        self._prices = prices

    async def read(
        self, person: Identity, parking: Parking, *, invitations: bool = False, goes_on: GoesOn | None = None
    ) -> ListsOf | None:
        """The lists of a person; None if `goes_on` ended the first one.

        Args:
            person: the person.
            parking: frees the worker during long waits.
            invitations: whether to read the person's invitations too. They are None if the server refuses them.
            goes_on: see `GoesOn`.

        Raises:
            IncompleteListError: a list is not complete, or an entry lacks a userid or the status of the list.
            UnexpectedResponseError: an entry belongs to the list of another person.
            ConnectionsError: there is no complete response to one of the requests.
        """
        found: list[Colleague] | None = None
        if invitations:  # first: one that is accepted meanwhile is in the list of colleagues then
            with suppress(ForbiddenError, BadRequestError, AuthenticationError):
                found = [
                    it
                    for status in (Status.PENDING, Status.UNCONFIRMED)
                    for it in await self._read(person, status, parking) or ()
                ]
        colleagues = await self._read(person, Status.ACCEPTED, parking, goes_on)
        if colleagues is None:
            return None
        entries = [*colleagues, *(found or ())]
        shown_as = frozenset(it.source.userid for it in entries)
        if len(shown_as) > 1 or (isinstance(person, Userid) and shown_as - {person}):
            raise UnexpectedResponseError(200, None, "the entries of a list belong to another person")
        if any(it.person.userid in shown_as for it in entries):
            raise UnexpectedResponseError(200, None, "a list names its owner")
        people = tuple(it.person for it in colleagues)
        return ListsOf(
            person,
            shown_as,
            people,
            None if found is None else tuple((it.person, it.status) for it in found if it.status is not None),
        )

    async def _read(
        self, person: Identity, status: Status, parking: Parking, goes_on: GoesOn | None = None
    ) -> list[Colleague] | None:
        """One whole list; None if `goes_on` ended it."""
        session, context = self._session, self._session.context(self._run, parking)
        pager = whole_lean_colleagues(session.address, person, status=status)
        is_left = False

        def continues(records: list[Colleague]) -> bool:
            nonlocal is_left
            if goes_on is not None and pager.total is not None:
                named: set[Identity] = {it.person.userid for it in records if it.person.userid is not None}
                named |= {it.person.email for it in records if it.person.email is not None}
                is_left = not goes_on(named, pager.total, pager.page_size)
            return not is_left

        begun = session.now()
        records = await session.whole(pager, context, continues, concerns_login=False)
        self._prices.listed(session.now() - begun, context.attempts)
        if is_left:
            return None
        if not pager.is_complete or any(it.status is not status or it.person.userid is None for it in records):
            raise IncompleteListError(pager.found, pager.total)
        return records

    async def is_administrator(self, parking: Parking) -> bool:
        """Whether the signed-in user may use the Administration API; True if that cannot be found out."""
        session, context = self._session, self._session.context(self._run, parking)
        try:
            response = await session.send(administration_request(session.address), context)
        except AuthenticationError:
            return False
        except ConnectionsError:
            return True
        return response.status == 200

    async def status(self, pair: Pair, parking: Parking) -> Status | None:
        """The status of a pair, by a check that is no item.

        Raises:
            ConnectionsError: the check gave none.
        """
        session = self._session
        return await session.run(check(session.address, pair), session.context(self._run, parking))
