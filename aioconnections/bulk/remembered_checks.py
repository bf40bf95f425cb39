"""Checks that use the remembered statuses of the client, and add to them."""

from __future__ import annotations

from aioconnections.bulk.flows import CheckJob, CurrentPair, pair_of
from aioconnections.bulk.job import ItemFeed
from aioconnections.errors import InvalidInputError
from aioconnections.outcomes import Checked, CheckOutcome
from aioconnections.protocol.messages import NO_CACHE, Request
from aioconnections.records import Pair, Status
from aioconnections.session.call_context import CallContext, RunScope
from aioconnections.session.parking import Parking
from aioconnections.session.session import Session

__all__ = ["RememberedCheckJob"]


class RememberedCheckJob(CheckJob):
    """A job that checks the pairs whose status is not remembered.

    Args:
        session: session of the signed-in user.
        run: the part of the run that its requests need.
        max_age: maximum age in seconds of a remembered status; with 0, the requests ask for no cached response.
    """

    def __init__(self, session: Session, run: RunScope, max_age: float) -> None:
        super().__init__(session, run)
        self._max_age = max_age
        if max_age == 0:
            self.headers = NO_CACHE

    async def do(self, index: int, item: object, parking: Parking, feed: ItemFeed[CheckOutcome]) -> CheckOutcome | None:
        """See `Job`."""
        session = self.session
        current = _RememberedPair(self, feed, CallContext(session.now, session.item_timeout, self.run, parking))
        try:
            found = self.remembered(index, item, pair_of(item)) if self.is_ready() else None
        except InvalidInputError:
            found = None  # it is refused below
        return await self.do_current(current, index, item) if found is None else found

    def remembered(self, index: int, item: object, pair: Pair) -> Checked | None:
        """The outcome of an item whose status is remembered; None if it has to be checked."""
        found = self.session.remembered(pair, self._max_age) if self._max_age else None
        if found is None:
            return None
        return Checked(found.status, index=index, item=item, pair=pair, via="cache", age=found.age)


class _RememberedPair(CurrentPair):
    """A `CurrentPair` whose status is remembered."""

    __slots__ = ("_remembered", "_session", "_since")

    def __init__(self, job: RememberedCheckJob, feed: ItemFeed[CheckOutcome], context: CallContext) -> None:
        super().__init__(job, feed, context)
        self._remembered = job.remembered
        self._session = job.session
        self._since = 0

    def set(self, index: int, item: object) -> Request:
        """See `CurrentPair`."""
        self._since = self._session.change_count
        return super().set(index, item)

    def advance(self) -> Request | None:
        """See `Items`."""
        while (request := super().advance()) is not None:
            found = self._remembered(self.index, self.item, self.pair)
            if found is None:
                return request
            self.is_settled = True
            self.feed.deliver(found)
        return None

    def checked(self, status: Status | None) -> Checked:
        """See `CurrentPair`."""
        self._session.remember(self.pair, status, asked_at=self.context.sent_at, since=self._since)
        return super().checked(status)
