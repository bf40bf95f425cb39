"""What all jobs share: the login proved first, and an outcome for an item that could not be done."""

from __future__ import annotations

from typing import TypedDict

from aioconnections.errors import (
    AnswerError,
    AuthenticationError,
    CertificateError,
    ConnectionsError,
    InDoubtError,
    ServerError,
    ServerUnavailableError,
    ThrottledError,
    TransportError,
)
from aioconnections.outcomes import Failed, InDoubt, Rejected, Unprocessed
from aioconnections.records import Identity, Pair
from aioconnections.session import Session
from aioconnections.traffic import Meter

__all__ = ["Known", "known", "prove", "undone"]


class Known(TypedDict):
    """What every outcome says, whatever became of the item."""

    index: int
    item: object
    pair: Pair | None
    person: Identity | None
    attempts: int
    elapsed: float
    waited: float


def known(index: int, item: object, meter: Meter, *, pair: Pair | None = None, person: Identity | None = None) -> Known:
    """What is known of an item once its conversation is over."""
    return {
        "index": index,
        "item": item,
        "pair": pair,
        "person": person,
        "attempts": meter.attempts,
        "elapsed": meter.elapsed,
        "waited": meter.waited,
    }


def undone(
    error: ConnectionsError, facts: Known, verdicts: tuple[type[AnswerError], ...]
) -> InDoubt | Rejected | Failed | Unprocessed:
    """The outcome of an item whose conversation ended with `error`.

    Args:
        error: its traceback is dropped, because its frames would keep the requests alive.
        facts: from `known`.
        verdicts: what counts as the server's word on the item itself.
    """
    error.with_traceback(None)
    if isinstance(error, InDoubtError):
        return InDoubt(error, **facts)
    if isinstance(error, verdicts):
        return Rejected(error, **facts)
    if isinstance(error, AuthenticationError) and not facts["attempts"]:
        return Unprocessed(str(error), **facts)
    return Failed(error, **facts)


async def prove(session: Session) -> None:
    """Prove the login before a run, and while it goes on.

    Raises:
        ConnectionsError: the run has to stop, and why.
    """
    try:
        await session.prove()
    except CertificateError:
        raise
    except (TransportError, ServerError, ThrottledError) as error:
        raise ServerUnavailableError(f"{session.address.origin} does not answer: {error}") from None
