"""The main job: what stands between two people, for every pair of a source."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict, cast

from aioconnections.errors import (
    AuthenticationError,
    BadRequestError,
    CertificateError,
    ConnectionsError,
    ForbiddenError,
    InvalidInputError,
    ServerError,
    ServerUnavailableError,
    ThrottledError,
    TransportError,
)
from aioconnections.outcomes import Checked, CheckOutcome, Failed, Rejected, Unprocessed
from aioconnections.protocol.profiles import check_request, check_result
from aioconnections.records import Identity, Pair, Person
from aioconnections.session import Meter, Session

__all__ = ["CheckJob"]


class CheckJob:
    """Checks each pair with one HEAD request."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.is_ready: Callable[[], bool] = session.is_proved

    async def ready(self) -> None:
        """Prove the login; see `Job`."""
        try:
            await self._session.prove()
        except CertificateError:
            raise
        except (TransportError, ServerError, ThrottledError) as error:
            raise ServerUnavailableError(f"{self._session.address.origin} does not answer: {error}") from None

    async def do(self, index: int, item: object) -> CheckOutcome:
        """The outcome of one pair."""
        try:
            pair = _pair(item)
        except InvalidInputError as error:
            return Failed(error.with_traceback(None), index=index, item=item)
        session = self._session
        meter = session.meter()
        try:
            request = check_request(session.address, pair)  # without `Session.run`: there is one request, always
            status = check_result(request, await session.ask(request, meter), proved=session.verifies)
        except ConnectionsError as error:
            unanswered = error.with_traceback(None)  # its frames would keep this item's request alive
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
        return _unanswered(unanswered, _known(index, item, pair, meter))


def _unanswered(error: ConnectionsError, known: _Known) -> CheckOutcome:
    if isinstance(error, BadRequestError | ForbiddenError):
        return Rejected(error, **known)
    if isinstance(error, AuthenticationError) and not known["attempts"]:
        return Unprocessed(str(error), **known)
    return Failed(error, **known)


def _known(index: int, item: object, pair: Pair, meter: Meter) -> _Known:
    return {
        "index": index,
        "item": item,
        "pair": pair,
        "attempts": meter.attempts,
        "elapsed": meter.elapsed,
        "waited": meter.waited,
    }


class _Known(TypedDict):
    """What every outcome says, whatever became of the item."""

    index: int
    item: object
    pair: Pair
    attempts: int
    elapsed: float
    waited: float


def _pair(item: object) -> Pair:
    if isinstance(item, Pair):
        return item
    if not isinstance(item, tuple):
        raise InvalidInputError(f"expected a Pair or a tuple of two identities, not {type(item).__name__}")
    people = cast("tuple[Identity | Person, ...]", item)  # Pair itself refuses whatever else they are
    if len(people) != 2:
        raise InvalidInputError(f"expected a tuple of two identities, not of {len(people)}")
    return Pair(*people)
