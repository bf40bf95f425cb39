"""The main job: what stands between two people, for every pair of a source."""

from __future__ import annotations

from typing import cast

from aioconnections.bulk.job import SessionJob, Subject
from aioconnections.bulk.verdicts import known, undone
from aioconnections.errors import (
    AuthenticationError,
    BadRequestError,
    ConnectionsError,
    ForbiddenError,
    InvalidInputError,
)
from aioconnections.outcomes import Checked, CheckOutcome, Failed, Outcome
from aioconnections.protocol.messages import Flow, Sends
from aioconnections.protocol.profiles import check_request, check_result
from aioconnections.records import Identity, Pair, Person
from aioconnections.traffic import Meter

__all__ = ["CheckJob", "pair_of"]

_VERDICTS = (BadRequestError, ForbiddenError)


class CheckJob(SessionJob[CheckOutcome]):
    """Checks each pair with one HEAD request."""

    def understand(self, item: object) -> Subject[CheckOutcome]:
        """See `SessionJob`."""
        return Subject(_never, pair=self._pair(item))

    def _pair(self, item: object) -> Pair:
        pair = pair_of(item)
        if self.session.emails.hidden:
            self.session.refuse_hidden(pair.source, pair.target)
        return pair

    async def do(self, index: int, item: object) -> CheckOutcome:
        """The outcome of one pair."""
        try:
            pair = self._pair(item)
        except InvalidInputError as error:
            return Failed(error.with_traceback(None), index=index, item=item)
        return await self._check(index, item, pair, self.session.meter(self.run))

    async def carry_out(
        self, index: int, item: object, subject: Subject[CheckOutcome], meter: Meter, earlier: Sends
    ) -> Outcome:
        """See `SessionJob`."""
        del earlier
        assert subject.pair is not None  # noqa: S101 # it was made in `understand`
        return await self._check(index, item, subject.pair, meter)

    async def _check(self, index: int, item: object, pair: Pair, meter: Meter) -> CheckOutcome:
        session = self.session
        try:
            request = check_request(session.address, pair)  # without `Session.run`: there is one request, always
            status = check_result(request, await session.ask(request, meter), proved=session.verifies)
        except ConnectionsError as error:
            unanswered = error
        else:
            return Checked(
                status,
                index=index,
                item=item,
                pair=pair,
                attempts=meter.attempts,
                elapsed=meter.elapsed,
                waited=meter.waited,
            )
        if isinstance(unanswered, AuthenticationError):
            session.refused(unanswered)
        unanswered = await session.explained(unanswered, pair.source, pair.target)
        self.learn(unanswered)
        return cast("CheckOutcome", undone(unanswered, known(index, item, meter, pair=pair), _VERDICTS))


def _never(_: Sends) -> Flow[CheckOutcome]:
    """A check needs no conversation: it is one request."""
    raise NotImplementedError


def pair_of(item: object) -> Pair:
    """The pair that an item is.

    Raises:
        InvalidInputError: it is none.
    """
    if isinstance(item, Pair):
        return item
    if not isinstance(item, tuple):
        raise InvalidInputError(f"expected a Pair or a tuple of two identities, not {type(item).__name__}")
    people = cast("tuple[Identity | Person, ...]", item)  # Pair itself refuses whatever else they are
    if len(people) != 2:
        raise InvalidInputError(f"expected a tuple of two identities, not of {len(people)}")
    return Pair(*people)
