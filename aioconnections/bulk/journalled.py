"""A run that survives whatever ends it: what it did is in its journal, and the next run goes on from there."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar

from attrs import evolve

from aioconnections.bulk.flows import FlowJob
from aioconnections.bulk.job import Known, SessionJob, WorkItem, cut_off, known
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
from aioconnections.journal.stored import ItemHistory, replay, settles, to_stored
from aioconnections.outcomes import Duplicate, Failed, InDoubt, Outcome, Unprocessed
from aioconnections.protocol.messages import Sends
from aioconnections.protocol.profiles import signed_in
from aioconnections.session.call_context import CallContext
from aioconnections.session.parking import Parking

__all__ = ["JournalledJob"]

OutT = TypeVar("OutT", bound=Outcome)

_LOG_LOST = "the log of the journal was lost, so this may have been sent, and is not sent again"


class JournalledJob(SessionJob, Generic[OutT]):
    """Another job, whose intents and outcomes go into a journal.

    What an earlier run has finished is given again. What it may have sent is asked after before anything else, and
    whatever keeps that from being told leaves it in doubt: nothing is ever sent because of ignorance.
    """

    def __init__(self, job: FlowJob[OutT], journal: Journal, verb: str) -> None:
        super().__init__(job.session, job.run)
        self.changes: bool = job.changes
        self._job = job
        self._journal = journal
        self._verb = verb
        self._open = False
        self._opened = False  # at any time
        self._unsettled = 0  # outcomes that leave something to ask or to do

    def is_ready(self) -> bool:
        """See `Job`."""
        return self._open and self.over is None and self._job.is_ready()

    async def ready(self) -> None:
        """Prove the login, and open the journal for whoever has signed in; see `Job`."""
        await super().ready()
        await self._job.ready()
        if not self._open:
            session = self.session
            me = session.me
            if me is None and session.signs_in:
                with suppress(UnexpectedResponseError):  # a server that does not say who has signed in
                    me = await session.run(signed_in(session.address), session.context(self.run))
            userid = None if me is None else me.value
            origin = str(session.address.origin)
            await self._journal.open(verb=self._verb, origin=origin, userid=userid, changes=self.changes)
            self._open = self._opened = True

    async def do(self, index: int, item: object, parking: Parking) -> Outcome:
        """The outcome of one item; see `Job`."""
        record = _Record(self._journal, index, item)
        context = self.session.context(self.run, parking, before_send=record.intend, not_made=record.not_made)
        wanted = self._parsed(item)
        if isinstance(wanted, InvalidInputError):
            facts, text, first = known(index, item, context), NOTHING, None
        else:
            facts = known(index, item, context, pair=wanted.pair, person=wanted.person)
            text = _reference(wanted)
            first = self._job.duplicate_of(index, wanted)
        record.text, record.facts = (
            text,
            lambda: known(index, item, context, pair=facts["pair"], person=facts["person"]),
        )
        history: ItemHistory | None = None
        outcome: Outcome | None = None
        looked = local = False
        try:
            history = record.history = await self._journal.history(index, text)
            looked = True
            if history is not None and history.finished and history.stored is not None:
                return replay(
                    history.stored,
                    index=index,
                    item=item,
                    recorded_at=history.recorded_at,
                    pair=facts["pair"],
                    person=facts["person"],
                )
            if isinstance(wanted, InvalidInputError):
                outcome, local = Failed(wanted, **facts), True
            elif first is not None:
                outcome = Duplicate(first, **facts)
            else:
                outcome = await self._carry_out(wanted, context, record)
            self._unsettled += not (local or settles(outcome))
            stored = to_stored(outcome)
            if local and history is not None and history.equals(stored):  # it would only make it look younger
                return evolve(outcome, recorded_at=history.recorded_at)
            recorded_at = await self._journal.outcome(index, text, stored, durable=self.changes)
        except JournalError as error:
            self.learn(error)
            return outcome or Unprocessed(str(error), **facts)
        except BaseException:
            sent = context.has_intent or not looked or (history is not None and history.in_doubt)
            self.cut.append(outcome or cut_off(facts, sent=sent))
            raise
        finally:
            context.settle()
        return evolve(outcome, recorded_at=recorded_at)

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

        outcome = await self._job.carry_out(
            record.index, record.item, work, context, Sends(record.sent_before, age, not doubt)
        )
        self.end(self._job.over)
        if record.intended == context.changes > 0 and not (doubt and _may_be_made(outcome)):
            return outcome  # of the last change that the conversation came to, and whatever was before is settled
        if history is not None and history.log_lost:
            return _log_lost(outcome, context)
        return _still_in_doubt(outcome, context) if doubt or record.intended else outcome

    @contextmanager
    def recorded(self) -> Generator[Callable[[int, object], Any]]:
        """See `Job`."""
        origin = str(self.session.address.origin)
        with self._journal.recorded(verb=self._verb, origin=origin, opened=self._opened) as find:

            def outcome(index: int, item: object) -> Outcome | None:
                work = self._parsed(item)
                return None if isinstance(work, InvalidInputError) else find(index, _reference(work), item)

            yield outcome

    async def aclose(self, *, complete: bool = False) -> None:
        """Write what is left to write; see `Job`."""
        if self._open:
            self._open = False
            try:
                if complete and self.over is None and not self._unsettled:
                    await self._journal.finish()
            finally:
                await self._journal.aclose()


class _Record:
    """One item in the journal while it is processed: its history, and the intents of this run.

    Attributes:
        text: identifies the item.
        facts: gives what its outcome says in any case.
        history: from earlier runs; None before the look-up, or without one.
        intended: number of the last change whose intent is recorded.
    """

    def __init__(self, journal: Journal, index: int, item: object) -> None:
        self.index: int = index
        self.item: object = item
        self.text: str = NOTHING
        self.facts: Callable[[], Known] | None = None
        self.history: ItemHistory | None = None
        self.intended: int = 0
        self._journal = journal

    @property
    def sent_before(self) -> int:
        """How many changes earlier runs sent that may have been made."""
        if self.history is None:
            return 0
        return self.history.sends if self.history.in_doubt else max(0, self.history.sends - 1)  # a failure was not made

    async def intend(self, number: int) -> None:
        """Record that change `number` is about to be sent.

        Raises:
            ConnectionsError: it must not be sent, or could not be recorded.
        """
        if self.history is not None and self.history.log_lost:
            raise _not_sent_again(number)
        await self._journal.intent(self.index, self.text, send=self.sent_before + number)
        self.intended = number

    async def not_made(self, reason: ConnectionsError) -> None:
        """Record that the last change was certainly not made: if the run is killed now, the item is not in doubt."""
        assert self.facts is not None  # noqa: S101 # set before anything is sent
        await self._journal.outcome(self.index, self.text, to_stored(Failed(reason, **self.facts())), durable=True)


def _reference(work: WorkItem[Any]) -> str:
    return item_reference(pair=work.pair, person=work.person, ref=work.ref, digest=work.digest)


def _not_sent_again(number: int) -> ConnectionsError:
    """Why a change of which an intent may be lost is not sent.

    Its conversation takes the first one for a lost answer, so that it asks; the second one ends it.
    """
    if number == 1:
        return TransportError(_LOG_LOST, sent="maybe")
    return InDoubtError(_LOG_LOST)


def _log_lost(outcome: Outcome, context: CallContext) -> Outcome:
    """What is stored of an item of which an intent may be lost: in doubt, unless asking has settled it."""
    if not isinstance(outcome, InDoubt | Failed | Unprocessed):
        return outcome
    why: BaseException | str | None = outcome.reason if isinstance(outcome, Unprocessed) else outcome.error
    if isinstance(outcome, InDoubt):  # why asking did not settle it, if that failed
        why = outcome.error.__cause__
    doubt = InDoubtError(f"{_LOG_LOST}: {why}" if why else _LOG_LOST)
    return InDoubt(doubt, **known(outcome.index, outcome.item, context, pair=outcome.pair, person=outcome.person))


def _still_in_doubt(outcome: Outcome, context: CallContext) -> Outcome:
    """What is stored of an item of which something was sent before: not that it was not done."""
    if isinstance(outcome, Unprocessed):
        reason = outcome.reason
    elif isinstance(outcome, Failed):
        reason = str(outcome.error)
    else:
        return outcome
    doubt = InDoubtError(f"it may have been sent before, and what became of it could not be asked: {reason}")
    facts = known(outcome.index, outcome.item, context, pair=outcome.pair, person=outcome.person)
    return InDoubt(doubt, **facts)


def _may_be_made(outcome: Outcome) -> bool:
    """Whether the change may have been made that this outcome is about."""
    error = outcome.error if isinstance(outcome, Failed) else None
    refused = isinstance(error, AuthenticationError | ForeignResponseError | ThrottledError)
    return error is not None and not refused and getattr(error, "sent", None) != "no"
