"""The main job: what stands between two people, for every pair of a source."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from aioconnections.bulk.verdicts import known, prove, undone
from aioconnections.errors import (
    AuthenticationError,
    BadRequestError,
    ConnectionsError,
    ForbiddenError,
    InvalidInputError,
)
from aioconnections.outcomes import Checked, CheckOutcome, Failed
from aioconnections.protocol.profiles import check_request, check_result
from aioconnections.records import Identity, Pair, Person
from aioconnections.session import Session

__all__ = ["CheckJob", "pair_of"]

_VERDICTS = (BadRequestError, ForbiddenError)


class CheckJob:
    """Checks each pair with one HEAD request."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.is_ready: Callable[[], bool] = session.is_proved

    async def ready(self) -> None:
        """Prove the login; see `Job`."""
        await prove(self._session)

    async def do(self, index: int, item: object) -> CheckOutcome:
        """The outcome of one pair."""
        session = self._session
        try:
            pair = pair_of(item)
            if session.emails.hidden:
                session.refuse_hidden(pair.source, pair.target)
        except InvalidInputError as error:
            return Failed(error.with_traceback(None), index=index, item=item)
        meter = session.meter()
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
        return cast("CheckOutcome", undone(unanswered, known(index, item, meter, pair=pair), _VERDICTS))


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
