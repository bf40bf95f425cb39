"""The main job: what stands between two people, for every pair of a source."""

from __future__ import annotations

from typing import cast

from aioconnections.bulk.job import SessionJob
from aioconnections.bulk.verdicts import cut_off, known, undone
from aioconnections.errors import (
    AuthenticationError,
    BadRequestError,
    ConnectionsError,
    ForbiddenError,
    InvalidInputError,
)
from aioconnections.outcomes import Checked, CheckOutcome, Failed
from aioconnections.parking import Parking
from aioconnections.protocol.address import Address
from aioconnections.protocol.messages import Flow
from aioconnections.protocol.profiles import check, check_request, check_result
from aioconnections.records import Identity, Pair, Person

__all__ = ["CheckJob", "checked", "pair_of"]

_VERDICTS = (BadRequestError, ForbiddenError)


class CheckJob(SessionJob):
    """Checks each pair with one HEAD request: the main job, on the shortest way there is."""

    async def do(self, index: int, item: object, parking: Parking) -> CheckOutcome:
        """The outcome of one pair."""
        try:
            pair = pair_of(item)
            if self.session.emails.hidden:
                self.session.refuse_hidden(pair.source, pair.target)
        except InvalidInputError as error:
            return Failed(error.with_traceback(None), index=index, item=item)
        meter = self.session.meter(self.run, parking)
        session = self.session
        try:
            request = check_request(session.address, pair)  # without `Session.run`: there is one request, always
            status = check_result(request, await session.ask(request, meter))
        except ConnectionsError as error:
            unanswered = error
        except BaseException:
            self.cut.append(cut_off(known(index, item, meter, pair=pair)))
            raise
        else:
            if self.repeats.counts:
                self.repeats.went_well()
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
        facts = known(index, item, meter, pair=pair)
        try:
            unanswered = await session.explained(unanswered, pair.source, pair.target)
        except BaseException:
            self.cut.append(undone(unanswered, facts, _VERDICTS))
            raise
        self.learn(unanswered)
        if isinstance(unanswered, _VERDICTS):
            self.repeats.went_well()
        else:
            self.noticed(unanswered)
        return cast("CheckOutcome", undone(unanswered, facts, _VERDICTS))


def checked(address: Address, pair: Pair) -> Flow[Checked]:
    """The same as a conversation, for a run that keeps a journal."""
    return Checked((yield from check(address, pair)))


def pair_of(item: object) -> Pair:
    """The pair that an item is.

    Raises:
        InvalidInputError: it is none, or it is an error of this kind itself: why a source has no pair in its place.
    """
    if isinstance(item, Pair):
        return item
    if isinstance(item, InvalidInputError):
        raise item
    if not isinstance(item, tuple):
        raise InvalidInputError(f"expected a Pair or a tuple of two identities, not {type(item).__name__}")
    people = cast("tuple[Identity | Person, ...]", item)  # Pair itself refuses whatever else they are
    if len(people) != 2:
        raise InvalidInputError(f"expected a tuple of two identities, not of {len(people)}")
    return Pair(*people)
