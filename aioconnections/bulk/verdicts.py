"""What all jobs share: the login proved first, and an outcome for an item that could not be done."""

from __future__ import annotations

from typing import TypedDict

from aioconnections.errors import (
    AnswerError,
    AuthenticationError,
    CertificateError,
    ConnectionsError,
    DeadlineError,
    ForeignAnswerError,
    InDoubtError,
    JournalError,
    LocalLimitError,
    ServerError,
    ServerUnavailableError,
    ThrottledError,
    TransportError,
)
from aioconnections.outcomes import Failed, InDoubt, Rejected, Unprocessed
from aioconnections.policy.retry import LONGEST_WISH
from aioconnections.records import Identity, Pair
from aioconnections.session import Session
from aioconnections.traffic import Meter, Run

__all__ = ["Known", "cut_off", "end_of_run", "known", "prove", "undone"]

_NOT_ITS_FAULT = (AuthenticationError, DeadlineError, JournalError, ServerUnavailableError)


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
    if isinstance(error, _NOT_ITS_FAULT) and not facts["attempts"]:
        return Unprocessed(str(error), **facts)
    return Failed(error, **facts)


def cut_off(facts: Known, *, sent: bool = False) -> InDoubt | Unprocessed:
    """The outcome of an item whose work was broken off, after a change may have been `sent` or before."""
    if sent:
        return InDoubt(InDoubtError("the run was left before it was known what became of it"), **facts)
    return Unprocessed("the run was left before it was done", **facts)


def end_of_run(error: ConnectionsError) -> ConnectionsError | None:
    """Why the run has to end, if what happened to one item means that no other will fare better."""
    if isinstance(error, AuthenticationError | ServerUnavailableError | JournalError | CertificateError):
        return error
    if isinstance(error, ForeignAnswerError) and error.wrong_address:
        return error
    if isinstance(error, ThrottledError | ServerError) and (error.retry_after or 0.0) > LONGEST_WISH:
        return ServerUnavailableError(f"the server asks for a pause of {error.retry_after:.0f} s")
    return None


async def prove(session: Session, run: Run) -> None:
    """Prove the login before a run, and while it goes on.

    Raises:
        ConnectionsError: the run has to stop, and why.
    """
    try:
        await session.prove(run)
    except (TransportError, ServerError, ThrottledError) as error:
        if isinstance(error, TransportError) and (error.deterministic or isinstance(error, LocalLimitError)):
            raise
        raise ServerUnavailableError(f"{session.address.origin} does not answer: {error}") from None
