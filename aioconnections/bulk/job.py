"""What a bulk run does with each item, and what all jobs share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from datetime import datetime
from hashlib import blake2b
from typing import Any, Generic, Literal, NotRequired, Protocol, TypedDict, TypeVar

from attrs import frozen

from aioconnections.errors import (
    AuthenticationError,
    ConnectionsError,
    DeadlineError,
    ForeignResponseError,
    InDoubtError,
    JournalError,
    LocalLimitError,
    ResponseError,
    ServerError,
    ServerUnavailableError,
    SharedStoreError,
    ThrottledError,
    TransportError,
)
from aioconnections.outcomes import Failed, InDoubt, Outcome, Rejected, Tally, Unprocessed
from aioconnections.policy.changes import Touched
from aioconnections.policy.repeats import RepeatedFailures
from aioconnections.policy.retry import LONGEST_RETRY_AFTER
from aioconnections.policy.timeline import Timeline
from aioconnections.protocol.messages import Flow, Sends
from aioconnections.records import Identity, Pair
from aioconnections.session.call_context import CallContext, RunScope
from aioconnections.session.parking import Parking
from aioconnections.session.session import Session
from aioconnections.session.telemetry import LOG

__all__ = [
    "NOT_DONE",
    "Backlog",
    "ItemFeed",
    "Job",
    "Known",
    "SessionJob",
    "TimelineKeeper",
    "WorkItem",
    "cut_off",
    "digest_of",
    "end_of_run",
    "known",
    "prove",
    "undone",
]

OutT_co = TypeVar("OutT_co", bound=Outcome, covariant=True)
OutT = TypeVar("OutT", bound=Outcome)


NOT_DONE = "the run was left before this item was done"


@frozen
class ItemFeed(Generic[OutT]):
    """The items of a run that are ready, and its outcomes. Neither function waits or needs a task.

    Attributes:
        take: the index of the next item, and the item, if a worker may read it now; else None.
        deliver: delivers the outcome of an item that was taken.
    """

    take: Callable[[], tuple[int, object] | None]
    deliver: Callable[[OutT], object]


class TimelineKeeper(Protocol):
    """Keeps the course of a run over time, with that of earlier runs."""

    @property
    def timeline(self) -> Timeline | None:
        """The timeline to add to; None before the journal is open, and if it keeps none."""
        ...

    def save_timeline(self) -> None:
        """Record what has changed in the timeline. Does not wait."""
        ...


class Job(Protocol[OutT_co]):
    """What is done with each item of a run.

    Attributes:
        run: the part of the run that its requests need.
        changes: whether it changes something on the server, so that the run waits for responses to sent changes.
        over: why the run has to end; None if it has not.
        keeper: keeps the course of the run; None without a journal.
        avoidable: see `Outcomes`.
    """

    run: RunScope
    changes: bool
    over: ConnectionsError | None
    keeper: TimelineKeeper | None
    avoidable: tuple[int, int]

    @property
    def cut(self) -> Sequence[OutT_co]:
        """Outcomes of the items that were interrupted."""
        ...

    def is_ready(self) -> bool:
        """Whether `ready` would return at once."""
        ...

    async def ready(self) -> None:
        """Return once the next item may be read.

        Raises:
            ConnectionsError: why the run has to stop.
        """
        ...

    async def do(self, index: int, item: object, parking: Parking, feed: ItemFeed[Any]) -> OutT_co | None:
        """The outcome of one item; never raises because of the item. Long waits use `parking`.

        A job may take further items from `feed` and deliver outcomes to it. It returns the outcome of the last item
        that it has taken, or None if that was delivered too.
        """
        ...

    async def aclose(self, *, complete: int | None = None) -> None:
        """End the job.

        Args:
            complete: number of items, if the source is exhausted and each outcome was delivered; otherwise None.

        Raises:
            ConnectionsError: an outcome could not be recorded, or an earlier run has recorded more items.
        """
        ...

    def recorded(self) -> AbstractContextManager[Callable[[int, object], OutT_co | None]]:
        """After `aclose`: a function that looks up the recorded outcome of an item not read; indices must ascend."""
        ...


class Backlog(Protocol[OutT_co]):
    """Items of a run that wait together, because what is done for one may answer others.

    Attributes:
        window: number of items that may be read and not delivered.
        verdict: set at the end of a run whose outcomes are not all reliable, and then why.
    """

    window: int
    verdict: ConnectionsError | None

    def begin(self, deliver: Callable[[OutT_co], object], call: Callable[[], object]) -> None:
        """Begin the run.

        Args:
            deliver: delivers an outcome.
            call: to be called when `has_work` has become true, except within the other methods.
        """
        ...

    def add(self, index: int, item: object) -> None:
        """Add an item, or deliver its outcome."""
        ...

    def make_room(self) -> None:
        """Take note that no more items come before outcomes were delivered."""
        ...

    def flush(self) -> None:
        """Do not let the items so far wait for more, because the source is slow."""
        ...

    def close(self) -> None:
        """Do not wait for more items: the source has ended, or is not read any more."""
        ...

    def has_work(self) -> bool:
        """Whether there is something to do now."""
        ...

    def take(self) -> Callable[[Parking], Awaitable[None]]:
        """The next piece of work, if `has_work`: a function that does it, and never raises because of an item."""
        ...

    def give_up(self, reason: str = NOT_DONE) -> None:
        """Deliver an outcome for each item that waits: `reason` says why it is not done."""
        ...

    def completed(self, tally: Tally) -> Tally:
        """The same counts, with those of which only the backlog knows."""
        ...


@frozen
class WorkItem(Generic[OutT_co]):
    """A parsed item.

    Attributes:
        begin: begins the conversation, given what is known about earlier sends.
        pair: pair of the outcome, if it has one.
        person: person of the outcome, if it has one.
        people: the people that the requests name.
        ref: the name of an item that is neither a pair nor a person.
        digest: digest of the message that is sent with the item.
        touches: whose connections the item changes.
    """

    begin: Callable[[Sends], Flow[OutT_co]]
    pair: Pair | None = None
    person: Identity | None = None
    people: tuple[Identity, ...] = ()
    ref: tuple[Literal["connection_id", "invitation_href"], str] | None = None
    digest: str | None = None
    touches: Touched = ()


def digest_of(body: bytes) -> str:
    """The digest of a message, which a journal holds instead of its text."""
    return blake2b(body, digest_size=16).hexdigest()


class SessionJob:
    """A job that needs a login, and ends the run when no further item can succeed.

    Attributes:
        over: why the run has to end; None if it has not.
        keeper: see `Job`.
        avoidable: see `Job`.
        cut: outcomes of the items that were interrupted.
        repeats: identical failures since the last success.
    """

    changes: bool = False

    def __init__(self, session: Session, run: RunScope) -> None:
        self.session: Session = session
        self.run: RunScope = run
        self.over: ConnectionsError | None = None
        self.keeper: TimelineKeeper | None = None
        self.avoidable: tuple[int, int] = (0, 0)
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
        except TransportError as error:  # one unexpected response does not end a run whose login was proved before
            if not self._proved or self.noticed(error, "canary"):
                raise
        else:
            self._proved = True
            self.repeats.went_well("canary")

    async def aclose(self, *, complete: int | None = None) -> None:
        """See `Job`."""

    def recorded(self) -> AbstractContextManager[Callable[[int, object], Any]]:
        """See `Job`; nothing is recorded."""
        return nullcontext(_nothing)

    def learn(self, error: ConnectionsError) -> None:
        """End the run if the failure of one item means that no other can succeed."""
        self.end(end_of_run(error) or self.run.ended)

    def noticed(self, error: ConnectionsError, about: str = "") -> bool:
        """Count a failure that may concern every item; returns whether it ends the run."""
        if not self.repeats.failed(error, about):
            return False
        if self.over is None:
            LOG.warning("run %s ends after repeated identical failures: %s", self.run.id, type(error).__name__)
            self.over = copy(error)
            self.run.end(float("-inf"), DeadlineError(f"the run was stopped: {error}", sent="no"))
        return True

    def end(self, why: ConnectionsError | None) -> None:
        """Set why the run has to end, if there is a reason. A later reason replaces only the end of the run itself."""
        if self.over is None or (why is not None and self.over is self.run.ended):
            self.over = why


def _nothing(index: int, item: object) -> None:
    del index, item


_NOT_DUE_TO_THE_ITEM = (AuthenticationError, DeadlineError, JournalError, ServerUnavailableError, SharedStoreError)


class Known(TypedDict):
    """The attributes that every outcome has; `recorded_at` only in a run with a journal."""

    index: int
    item: object
    pair: Pair | None
    person: Identity | None
    attempts: int
    elapsed: float
    waited: float
    recorded_at: NotRequired[datetime]


def known(
    index: int, item: object, context: CallContext, *, pair: Pair | None = None, person: Identity | None = None
) -> Known:
    """The common attributes of an outcome, after the conversation."""
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
        error: its traceback is dropped, because its frames keep the requests alive.
        facts: from `known`.
        verdicts: errors by which the server refuses the item itself.
    """
    error.with_traceback(None)
    if isinstance(error, InDoubtError):
        return InDoubt(error, **facts)
    if isinstance(error, verdicts):
        return Rejected(error, **facts)
    if isinstance(error, _NOT_DUE_TO_THE_ITEM) and not facts["attempts"]:
        return Unprocessed(str(error), **facts)
    return Failed(error, **facts)


def cut_off(facts: Known, *, sent: bool = False) -> InDoubt | Unprocessed:
    """The outcome of an interrupted item; `sent` says whether a change may have been sent."""
    if sent:
        return InDoubt(InDoubtError("the run was left before the result of the change was known"), **facts)
    return Unprocessed(NOT_DONE, **facts)


def end_of_run(error: ConnectionsError) -> ConnectionsError | None:
    """Why the run has to end, if this failure of one item means that no other can succeed."""
    if isinstance(error, AuthenticationError | ServerUnavailableError | SharedStoreError | JournalError):
        return error
    if isinstance(error, TransportError) and error.blocks_all_requests:
        return error
    if isinstance(error, ForeignResponseError) and error.wrong_address:
        return error
    if isinstance(error, ThrottledError | ServerError) and (error.retry_after or 0.0) > LONGEST_RETRY_AFTER:
        return ServerUnavailableError(f"the server asks for a pause of {error.retry_after:.0f} s")
    return None


async def prove(session: Session, run: RunScope) -> None:
    """Prove the login before and during a run.

    Raises:
        ConnectionsError: the run has to stop, and why.
    """
    try:
        await session.prove(run)
    except (TransportError, ServerError, ThrottledError) as error:
        if isinstance(error, TransportError) and (error.deterministic or isinstance(error, LocalLimitError)):
            raise
        raise ServerUnavailableError(f"{session.address.origin} is not available: {error}") from None
