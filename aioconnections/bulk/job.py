"""What is done with each item of a run, and what all kinds of it share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from hashlib import blake2b
from typing import Any, Generic, Literal, Protocol, TypedDict, TypeVar

from attrs import frozen

from aioconnections.errors import (
    AuthenticationError,
    CertificateError,
    ConnectionsError,
    DeadlineError,
    ForeignResponseError,
    InDoubtError,
    JournalError,
    LocalLimitError,
    ResponseError,
    ServerError,
    ServerUnavailableError,
    ThrottledError,
    TransportError,
)
from aioconnections.outcomes import Failed, InDoubt, Outcome, Rejected, Unprocessed
from aioconnections.policy.repeats import RepeatedFailures
from aioconnections.policy.retry import LONGEST_RETRY_AFTER
from aioconnections.protocol.messages import Flow, Sends
from aioconnections.records import Identity, Pair
from aioconnections.session.call_context import CallContext, RunScope
from aioconnections.session.parking import Parking
from aioconnections.session.session import Session
from aioconnections.session.telemetry import LOG

__all__ = ["Job", "Known", "SessionJob", "WorkItem", "cut_off", "digest_of", "end_of_run", "known", "prove", "undone"]

OutT_co = TypeVar("OutT_co", bound=Outcome, covariant=True)


class Job(Protocol[OutT_co]):
    """What is done with each item of a run.

    Attributes:
        run: what its requests know of the run.
        changes: whether it changes something on the server, so that what was sent has to be waited for.
        over: why the run has to end, as an item has shown; None as long as none has.
    """

    run: RunScope
    changes: bool
    over: ConnectionsError | None

    @property
    def cut(self) -> Sequence[OutT_co]:
        """Outcomes of the items whose work was broken off."""
        ...

    def is_ready(self) -> bool:
        """Whether `ready` would return at once."""
        ...

    async def ready(self) -> None:
        """Return once the next item may be read.

        Raises:
            ConnectionsError: the run has to stop, and why.
        """
        ...

    async def do(self, index: int, item: object, parking: Parking) -> OutT_co:
        """The outcome of one item; it never raises because of the item. Long waits go through `parking`."""
        ...

    async def aclose(self, *, complete: bool = False) -> None:
        """End the job. `complete` says that the source is exhausted and each outcome was delivered.

        Raises:
            ConnectionsError: an outcome could not be recorded.
        """
        ...

    def recorded(self) -> AbstractContextManager[Callable[[int, object], OutT_co | None]]:
        """After `aclose`: looks up what is recorded of an item that was not read; indices must ascend."""
        ...


@frozen
class WorkItem(Generic[OutT_co]):
    """Whom an item is about, and the conversation about them.

    Attributes:
        begin: begins the conversation, told what is known of earlier sends.
        pair: what the outcome says of it.
        person: likewise.
        people: whom the requests name.
        ref: what names it where neither a pair nor a person does.
        digest: of the message that goes with it.
    """

    begin: Callable[[Sends], Flow[OutT_co]]
    pair: Pair | None = None
    person: Identity | None = None
    people: tuple[Identity, ...] = ()
    ref: tuple[Literal["connection_id", "invitation_href"], str] | None = None
    digest: str | None = None


def digest_of(body: bytes) -> str:
    """What stands for a message in a journal, which holds no texts."""
    return blake2b(body, digest_size=16).hexdigest()


class SessionJob:
    """A job that needs a login, and ends where nothing can be done any more.

    Attributes:
        over: why the run has to end; None as long as it has not.
        cut: outcomes of the items whose work was broken off.
        repeats: identical failures since the last success.
    """

    changes: bool = False

    def __init__(self, session: Session, run: RunScope) -> None:
        self.session: Session = session
        self.run: RunScope = run
        self.over: ConnectionsError | None = None
        self.cut: list[Any] = []
        self.repeats: RepeatedFailures = RepeatedFailures()
        self._proved = False

    def is_ready(self) -> bool:
        """See `Job`."""
        return self.over is None and self.session.is_proved()

    async def ready(self) -> None:
        """Prove the login; see `Job`."""
        if self.over is not None:
            raise copy(self.over)
        try:
            await prove(self.session, self.run)
        except TransportError as error:  # one odd response does not end a run whose login was proved before
            if not self._proved or self.noticed(error, "canary"):
                raise
        else:
            self._proved = True
            self.repeats.went_well("canary")

    async def aclose(self, *, complete: bool = False) -> None:
        """See `Job`."""

    def recorded(self) -> AbstractContextManager[Callable[[int, object], Any]]:
        """See `Job`; nothing is recorded."""
        return nullcontext(_nothing)

    def learn(self, error: ConnectionsError) -> None:
        """What happened to one item may mean the end of the run."""
        self.end(end_of_run(error) or self.run.ended)

    def noticed(self, error: ConnectionsError, about: str = "") -> bool:
        """Count a failure that may come for every item; whether it ends the run, at once for items that wait."""
        if not self.repeats.failed(error, about):
            return False
        if self.over is None:
            LOG.warning("run %s ends: the same %s came again and again", self.run.id, type(error).__name__)
            self.over = copy(error)
            self.run.end(float("-inf"), DeadlineError(f"the run was stopped: {error}", sent="no"))
        return True

    def end(self, why: ConnectionsError | None) -> None:
        """End the run, unless there is no reason; the first one counts, but for the end that it has in any case."""
        if self.over is None or (why is not None and self.over is self.run.ended):
            self.over = why


def _nothing(index: int, item: object) -> None:
    del index, item


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


def known(
    index: int, item: object, context: CallContext, *, pair: Pair | None = None, person: Identity | None = None
) -> Known:
    """What is known of an item once its conversation is over."""
    return {
        "index": index,
        "item": item,
        "pair": pair,
        "person": person,
        "attempts": context.attempts,
        "elapsed": context.elapsed,
        "waited": context.waited,
    }


def undone(
    error: ConnectionsError, facts: Known, verdicts: tuple[type[ResponseError], ...]
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
    if isinstance(error, ForeignResponseError) and error.wrong_address:
        return error
    if isinstance(error, ThrottledError | ServerError) and (error.retry_after or 0.0) > LONGEST_RETRY_AFTER:
        return ServerUnavailableError(f"the server asks for a pause of {error.retry_after:.0f} s")
    return None


async def prove(session: Session, run: RunScope) -> None:
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
