"""Runs with a journal: intents and outcomes are recorded, and the next run resumes an interrupted one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any, Generic, TypeVar

import anyio
from attrs import evolve

from aioconnections.bulk.flows import FlowJob
from aioconnections.bulk.job import ItemFeed, Known, SessionJob, TimelineKeeper, WorkItem, cut_off, known
from aioconnections.errors import (
    AuthenticationError,
    ConnectionsError,
    ForeignResponseError,
    InDoubtError,
    InvalidInputError,
    JournalError,
    ThrottledError,
    TransportError,
    UnexpectedResponseError,
)
from aioconnections.journal import Journal
from aioconnections.journal.items import NOTHING, item_reference
from aioconnections.journal.stored import ItemHistory, moment, replay, settles, stored_text, to_stored
from aioconnections.outcomes import Duplicate, Failed, InDoubt, Outcome, Unprocessed
from aioconnections.policy.timeline import Timeline
from aioconnections.protocol.messages import Sends
from aioconnections.protocol.profiles import signed_in
from aioconnections.session.call_context import CallContext, RunScope
from aioconnections.session.parking import Parking
from aioconnections.session.session import Session

__all__ = ["JournalledJob", "RunJournal"]

OutT = TypeVar("OutT", bound=Outcome)

_LOG_LOST = "the log of the journal was lost, so the change may have been sent, and is not sent again"


class JournalledJob(SessionJob, Generic[OutT]):
    """Wraps another job, and records its intents and outcomes in a journal.

    Items that an earlier run finished get their recorded outcomes. A change that it may have sent is verified before
    it is retried; if the verification fails, the item stays in doubt, and nothing is sent.
    """

    def __init__(self, job: FlowJob[OutT], journal: Journal, verb: str) -> None:
        super().__init__(job.session, job.run)
        self.changes: bool = job.changes
        self._job = job
        self._journal = journal
        self._record = RunJournal(journal, verb, job.session, changes=job.changes)
        self.keeper: TimelineKeeper | None = self._record

    def is_ready(self) -> bool:
        """See `Job`."""
        return self._record.is_open and self.over is None and self._job.is_ready()

    async def ready(self) -> None:
        """Verify the login, and open the journal for the signed-in user; see `Job`."""
        await super().ready()
        await self._job.ready()
        await self._record.open(self.run)

    async def do(self, index: int, item: object, parking: Parking, feed: ItemFeed[Any]) -> None:
        """Process an item, and further ones while its outcome is not on the disk; see `Job`.

        The outcome of one item and the intent of the next are then in the same commit.
        """
        unwritten = _Unwritten(self, feed.deliver)
        try:
            while True:
                outcome = await self._process(index, item, parking, unwritten)
                if outcome is not None:
                    feed.deliver(outcome)
                taken = feed.take() if self.is_ready() and not parking.used else None
                if taken is None:
                    return await unwritten.wait()
                index, item = taken
        except BaseException:
            self.cut.extend(unwritten.take())
            raise

    async def _process(self, index: int, item: object, parking: Parking, unwritten: _Unwritten) -> Outcome | None:
        """The outcome of one item; None if it is in `unwritten`."""
        record = _Record(self._journal, index)
        work = self._parsed(item)
        touches = () if isinstance(work, InvalidInputError) else work.touches
        context = self.session.context(
            self.run, parking, before_send=record.intend, not_made=record.not_made, touches=touches
        )
        if isinstance(work, InvalidInputError):
            facts, duplicate_of = partial(known, index, item, context), None
        else:
            facts = partial(known, index, item, context, pair=work.pair, person=work.person)
            record.text = _reference(work)
            duplicate_of = self._job.duplicate_of(index, work)
        record.facts = facts
        history: ItemHistory | None = None
        outcome: Outcome | None = None
        is_looked_up = local = is_queued = False
        try:
            history = record.history = await self._journal.history(index, record.text)
            is_looked_up = True
            if history is not None and history.finished and history.stored is not None:
                return _replayed(history, facts())
            if isinstance(work, InvalidInputError):
                outcome, local = Failed(work, **record.dated()), True
            elif duplicate_of is not None:
                same: Any = record.dated()  # a duplicate has a person
                outcome = Duplicate(duplicate_of, **same)
            else:
                outcome = await self._carry_out(work, context, record)
            self._record.note(outcome)
            if local and history is not None and history.equals(to_stored(outcome)):
                return evolve(outcome, recorded_at=history.recorded_at)  # a new row would only change its time
            if not self.changes:
                recorded_at = await self._journal.outcome(index, record.text, to_stored(outcome), durable=False)
                return evolve(outcome, recorded_at=recorded_at)
            self._journal.note_outcome(index, record.text, stored_text(outcome), record.now, unwritten.written)
            unwritten.add(outcome, context)
            is_queued = True
        except JournalError as error:
            self.learn(error)
            return _unrecorded(outcome) or Unprocessed(str(error), **facts())
        except BaseException:
            sent = context.has_intent or not is_looked_up or (history is not None and history.in_doubt)
            self.cut.append(_unrecorded(outcome) or cut_off(facts(), sent=sent))
            raise
        finally:
            if not is_queued:
                context.settle()
            del record.facts  # the context refers to the record: without this cycle, both are freed at once
        return None

    def _parsed(self, item: object) -> WorkItem[OutT] | InvalidInputError:
        try:
            return self._job.parse(item)
        except InvalidInputError as error:
            return error.with_traceback(None)

    async def _carry_out(self, work: WorkItem[OutT], context: CallContext, record: _Record) -> Outcome:
        history = record.history
        doubt = history is not None and history.in_doubt

        def age() -> float | None:
            """Seconds since the change was last sent, in this run or an earlier one."""
            since = context.since_change()
            if since is not None or history is None or not doubt:
                return since or 0.0
            return None if history.age is None else history.age + context.lasted

        outcome = await self._job.carry_out(work, context, Sends(record.sent_before, age, not doubt), record.dated)
        self.end(self._job.over)
        if record.intended == context.changes > 0 and not (doubt and _is_possibly_made(outcome)):
            return outcome  # it is the outcome of the last change, and all earlier changes are settled
        if history is not None and history.log_lost:
            return _log_lost(outcome, record)
        return _still_in_doubt(outcome, record) if doubt or record.intended else outcome

    def recorded(self) -> AbstractContextManager[Callable[[int, object], Any]]:
        """See `Job`."""

        def reference(item: object) -> str | None:
            work = self._parsed(item)
            return None if isinstance(work, InvalidInputError) else _reference(work)

        return self._record.recorded(reference)

    async def aclose(self, *, complete: int | None = None) -> None:
        """Write the queued rows and close the journal; see `Job`."""
        await self._record.aclose(complete=complete if self.over is None else None)


class RunJournal:
    """The journal of one run.

    Args:
        journal: the journal.
        verb: what the run does.
        session: session of the signed-in user.
        changes: whether the run changes something on the server.

    Attributes:
        is_open: whether the journal is open.
    """

    def __init__(self, journal: Journal, verb: str, session: Session, *, changes: bool) -> None:
        self.is_open: bool = False
        self._journal = journal
        self._verb = verb
        self._session = session
        self._changes = changes
        self._was_open = False
        self._unsettled = 0  # outcomes that are not final

    async def open(self, run: RunScope) -> None:
        """Open the journal for the signed-in user, unless it is open.

        Raises:
            ConnectionsError: the journal cannot be used, or the user is not known.
        """
        if self.is_open:
            return
        session = self._session
        me = session.me
        if me is None and session.signs_in:
            with suppress(UnexpectedResponseError):  # a server that does not name the signed-in user
                me = await session.run(signed_in(session.address), session.context(run))
        userid = None if me is None else me.value
        origin = str(session.address.origin)
        await self._journal.open(verb=self._verb, origin=origin, userid=userid, changes=self._changes)
        self.is_open = self._was_open = True

    @property
    def timeline(self) -> Timeline | None:
        """See `TimelineKeeper`."""
        return self._journal.timeline if self.is_open else None

    def save_timeline(self) -> None:
        """See `TimelineKeeper`."""
        self._journal.save_timeline()

    def note(self, outcome: Outcome) -> None:
        """Count an outcome that is not final: with one, the run is not finished."""
        self._unsettled += not settles(outcome)

    @contextmanager
    def recorded(self, reference: Callable[[object], str | None]) -> Generator[Callable[[int, object], Any]]:
        """See `Job`; `reference` gives the reference of an item, or None if it is invalid."""
        origin = str(self._session.address.origin)
        with self._journal.recorded(verb=self._verb, origin=origin, opened=self._was_open) as find:

            def outcome(index: int, item: object) -> Outcome | None:
                text = reference(item)
                return None if text is None else find(index, text, item)

            yield outcome

    async def aclose(self, *, complete: int | None) -> None:
        """Write the queued rows and close the journal; see `Job`."""
        if self.is_open:
            self.is_open = False
            try:
                if complete is not None:
                    await self._journal.refuse_shorter(complete)
                    if not self._unsettled:
                        await self._journal.finish()
            finally:
                await self._journal.aclose()


class _Unwritten:
    """The outcomes of one worker whose rows are queued. Each is delivered once its row is on the disk."""

    __slots__ = ("_deliver", "_job", "_outcomes", "_written")

    def __init__(self, job: SessionJob, deliver: Callable[[Any], object]) -> None:
        self._job = job
        self._deliver = deliver
        self._outcomes: deque[tuple[Outcome, CallContext]] = deque()
        self._written: anyio.Event | None = None

    def add(self, outcome: Outcome, context: CallContext) -> None:
        """Add an outcome after its row was queued."""
        self._outcomes.append((outcome, context))

    def written(self, failure: JournalError | None) -> None:
        """Deliver the first outcome: its row is on the disk, or could not be written."""
        if not self._outcomes:  # the worker was cancelled
            return
        outcome, context = self._outcomes.popleft()
        if failure is not None:
            self._job.learn(failure)
            outcome = evolve(outcome, recorded_at=None)
        context.settle()
        self._deliver(outcome)
        if self._written is not None and not self._outcomes:
            self._written.set()

    async def wait(self) -> None:
        """Wait until all outcomes are delivered."""
        if self._outcomes:
            self._written = anyio.Event()
            await self._written.wait()

    def take(self) -> list[Outcome]:
        """Remove all outcomes, which are then not delivered here."""
        taken = list(self._outcomes)
        self._outcomes.clear()
        for _, context in taken:
            context.settle()
        return [evolve(outcome, recorded_at=None) for outcome, _ in taken]


class _Record:
    """The journal's record of one item while it is processed.

    Attributes:
        text: reference of the item.
        facts: returns the attributes that every outcome of the item has; set before anything is sent.
        history: what earlier runs recorded; None before the look-up, or if they recorded nothing.
        now: the time of the outcome's row; see `dated`.
        intended: number of the last change of this run whose intent is recorded.
    """

    __slots__ = ("_journal", "facts", "history", "index", "intended", "now", "text")

    facts: Callable[[], Known]

    def __init__(self, journal: Journal, index: int) -> None:
        self.index: int = index
        self.text: str = NOTHING
        self.history: ItemHistory | None = None
        self.now: int = 0
        self.intended: int = 0
        self._journal = journal

    def dated(self) -> Known:
        """The attributes of an outcome that is recorded now."""
        facts = self.facts()
        self.now = self._journal.now()
        facts["recorded_at"] = moment(self.now)
        return facts

    @property
    def sent_before(self) -> int:
        """Number of changes that earlier runs sent and that may have been made."""
        if self.history is None:
            return 0
        sends = self.history.sends
        return sends if self.history.in_doubt else max(0, sends - 1)  # the last change failed, so it was not made

    async def intend(self, number: int) -> None:
        """Record that change `number` is about to be sent.

        Raises:
            ConnectionsError: the change must not be sent, or the intent could not be recorded.
        """
        if self.history is not None and self.history.log_lost:
            raise _not_sent_again(number)
        await self._journal.intent(self.index, self.text, send=self.sent_before + number)
        self.intended = number

    async def not_made(self, reason: ConnectionsError) -> None:
        """Record that the last change was not made, so that the item is not in doubt if the run is killed now."""
        stored = to_stored(Failed(reason, **self.facts()))
        await self._journal.outcome(self.index, self.text, stored, durable=True)


def _unrecorded(outcome: Outcome | None) -> Outcome | None:
    """The same outcome, if its row could not be queued."""
    return None if outcome is None else evolve(outcome, recorded_at=None)


def _replayed(history: ItemHistory, facts: Known) -> Outcome:
    assert history.stored is not None  # noqa: S101 # checked by the caller
    return replay(
        history.stored,
        index=facts["index"],
        item=facts["item"],
        recorded_at=history.recorded_at,
        pair=facts["pair"],
        person=facts["person"],
    )


def _reference(work: WorkItem[Any]) -> str:
    return item_reference(pair=work.pair, person=work.person, ref=work.ref, digest=work.digest)


def _not_sent_again(number: int) -> ConnectionsError:
    """The error that prevents a change whose earlier intent may be lost.

    The flow handles the first error as a lost response, and verifies the change; the second error ends the flow.
    """
    if number == 1:
        return TransportError(_LOG_LOST, sent="maybe")
    return InDoubtError(_LOG_LOST)


def _log_lost(outcome: Outcome, record: _Record) -> Outcome:
    """The outcome of an item whose intent may be lost: in doubt, unless the verification settled it."""
    if not isinstance(outcome, InDoubt | Failed | Unprocessed):
        return outcome
    why: BaseException | str | None = outcome.reason if isinstance(outcome, Unprocessed) else outcome.error
    if isinstance(outcome, InDoubt):  # the error of the verification, if it failed
        why = outcome.error.__cause__
    doubt = InDoubtError(f"{_LOG_LOST}: {why}" if why else _LOG_LOST)
    return InDoubt(doubt, **record.dated())


def _still_in_doubt(outcome: Outcome, record: _Record) -> Outcome:
    """Replace a failure by `InDoubt`, because a change was sent before."""
    if isinstance(outcome, Unprocessed):
        reason = outcome.reason
    elif isinstance(outcome, Failed):
        reason = str(outcome.error)
    else:
        return outcome
    doubt = InDoubtError(f"the change may have been sent before, and could not be verified: {reason}")
    return InDoubt(doubt, **record.dated())


def _is_possibly_made(outcome: Outcome) -> bool:
    """Whether the change may have been made, although the outcome is a failure."""
    error = outcome.error if isinstance(outcome, Failed) else None
    refused = isinstance(error, AuthenticationError | ForeignResponseError | ThrottledError)
    return error is not None and not refused and getattr(error, "sent", None) != "no"
