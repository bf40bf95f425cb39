"""Checks with a journal: the express way of `CheckJob`, with a row for each outcome."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

from attrs import evolve

from aioconnections.bulk.flows import CheckJob, CurrentPair, pair_of
from aioconnections.bulk.job import NOT_DONE, ItemFeed, TimelineKeeper
from aioconnections.bulk.journalled import RunJournal
from aioconnections.errors import ConnectionsError, InvalidInputError, JournalError
from aioconnections.journal import Journal
from aioconnections.journal.items import NOTHING, pair_reference
from aioconnections.journal.stored import ItemHistory, checked_text, replay, to_stored
from aioconnections.outcomes import Checked, CheckOutcome, Failed, Outcome, Unprocessed
from aioconnections.policy.prices import Prices
from aioconnections.protocol.messages import Response
from aioconnections.protocol.profiles import check_result
from aioconnections.records import Pair
from aioconnections.session.call_context import CallContext, RunScope
from aioconnections.session.parking import Parking
from aioconnections.session.session import Session

__all__ = ["JournalledCheckJob"]


class JournalledCheckJob(CheckJob):
    """A job that checks pairs and records the outcomes in a journal.

    Items that an earlier run finished get their recorded outcomes. A chain takes only items of which no earlier run has
    a row, and settles a response only while the journal takes a row without a wait; otherwise the worker records the
    outcome.
    """

    def __init__(self, session: Session, run: RunScope, journal: Journal, prices: Prices | None = None) -> None:
        super().__init__(session, run, prices)
        self._journal = journal
        self._record = RunJournal(journal, "check", session, changes=False)
        self.keeper: TimelineKeeper | None = self._record

    def is_ready(self) -> bool:
        """See `Job`."""
        return self._record.is_open and super().is_ready()

    async def ready(self) -> None:
        """Verify the login, and open the journal for the signed-in user; see `Job`."""
        await super().ready()
        await self._record.open(self.run)

    async def do(self, index: int, item: object, parking: Parking, feed: ItemFeed[CheckOutcome]) -> CheckOutcome | None:
        """See `Job`."""
        history: ItemHistory | None = None
        if self.is_recorded(index):
            found = await self._find(index, item)
            if isinstance(found, Outcome):
                return found
            history = found
            feed = ItemFeed(_no_item, feed.deliver)  # the next item may be recorded too
        session = self.session
        context = CallContext(session.now, session.item_timeout, self.run, parking)
        outcome = await self.do_current(_RecordedPair(self, feed, context, self._journal, self._record), index, item)
        return None if outcome is None else await self._recorded(outcome, history)

    def is_recorded(self, index: int) -> bool:
        """See `CheckJob`."""
        return index <= self._journal.last_index

    async def recall(self, index: int, item: object) -> CheckOutcome | None:
        """See `CheckJob`."""
        found = await self._find(index, item)
        return found if isinstance(found, Outcome) else None

    async def _find(self, index: int, item: object) -> CheckOutcome | ItemHistory | None:
        """The outcome of an item that an earlier run has finished, else what it has recorded."""
        pair: Pair | None = None
        try:
            pair = _pair(item)
            history = await self._journal.history(index, _reference(pair))
            if history is not None and history.finished and history.stored is not None:
                outcome = _replayed(history, index, item, pair)
                return outcome if self._is_valid(outcome) else history
        except JournalError as error:
            self.learn(error)
            return Unprocessed(str(error), index=index, item=item, pair=pair)
        except BaseException:
            self.cut.append(Unprocessed(NOT_DONE, index=index, item=item, pair=pair))
            raise
        return history

    def _is_valid(self, outcome: CheckOutcome) -> bool:
        """Whether a recorded outcome stands.

        Until the end of a run, lists may turn out to be unreliable. So that a list does not name a person is valid only
        from a finished run.
        """
        is_concluded = isinstance(outcome, Checked) and outcome.via != "head" and outcome.status is None
        return not is_concluded or self._journal.was_finished

    def note(self, outcome: CheckOutcome) -> CheckOutcome | None:
        """See `CheckJob`."""
        if not self._journal.has_room:
            return None
        self._record.note(outcome)
        recorded_at = self._journal.note_check(outcome.index, _text_of(outcome), to_stored(outcome).to_text())
        return evolve(outcome, recorded_at=recorded_at)

    async def record(self, outcome: CheckOutcome) -> CheckOutcome:
        """See `CheckJob`."""
        return await self._recorded(outcome, None)

    async def _recorded(self, outcome: CheckOutcome, history: ItemHistory | None) -> CheckOutcome:
        """The same outcome, once its row is queued."""
        self._record.note(outcome)
        stored = to_stored(outcome)
        if not outcome.attempts and history is not None and history.equals(stored):
            return evolve(outcome, recorded_at=history.recorded_at)  # a new row would only change its time
        try:
            recorded_at = await self._journal.outcome(outcome.index, _text_of(outcome), stored, durable=False)
        except JournalError as error:
            self.learn(error)
            return outcome
        except BaseException:
            self.cut.append(outcome)
            raise
        return evolve(outcome, recorded_at=recorded_at)

    def recorded(self) -> AbstractContextManager[Callable[[int, object], Any]]:
        """See `Job`."""

        def reference(item: object) -> str | None:
            pair = _pair(item)
            return None if pair is None else pair_reference(pair)

        @contextmanager
        def valid() -> Generator[Callable[[int, object], Any]]:
            with self._record.recorded(reference) as find:

                def outcome(index: int, item: object) -> Any:
                    found = find(index, item)
                    return found if found is None or self._is_valid(found) else None

                yield outcome

        return valid()

    async def aclose(self, *, complete: int | None = None) -> None:
        """Write the queued rows and close the journal; see `Job`."""
        self.log_avoidable()
        await self._record.aclose(complete=complete if self.over is None else None)


class _RecordedPair(CurrentPair):
    """A `CurrentPair` whose outcomes are recorded."""

    __slots__ = ("_journal", "_record")

    def __init__(
        self,
        job: JournalledCheckJob,
        feed: ItemFeed[CheckOutcome],
        context: CallContext,
        journal: Journal,
        record: RunJournal,
    ) -> None:
        super().__init__(job, feed, context)
        self._journal = journal
        self._record = record

    def settle(self, response: Response) -> bool:
        """See `Items`."""
        journal = self._journal
        if not journal.has_room:
            return False
        try:
            status = check_result(self.request, response)
        except ConnectionsError:
            return False
        self.is_settled = True
        context, pair = self.context, self.pair
        attempts, elapsed, waited = context.attempts, context.elapsed, context.waited
        text = checked_text(status, attempts, elapsed, waited)
        recorded_at = journal.note_check(self.index, pair_reference(pair), text)
        repeats = self.job.repeats
        if repeats.counts:
            repeats.went_well()
        self.feed.deliver(
            Checked(
                status,
                index=self.index,
                item=self.item,
                pair=pair,
                attempts=attempts,
                elapsed=elapsed,
                waited=waited,
                recorded_at=recorded_at,
            )
        )
        return True

    def refuse(self, outcome: Failed) -> None:
        """See `CurrentPair`. There was room when the chain began its turn, and invalid items are few in one turn."""
        self._record.note(outcome)
        recorded_at = self._journal.note_check(outcome.index, _text_of(outcome), to_stored(outcome).to_text())
        self.feed.deliver(evolve(outcome, recorded_at=recorded_at))


def _pair(item: object) -> Pair | None:
    """The pair that an item stands for; None if it is invalid."""
    try:
        return pair_of(item)
    except InvalidInputError:
        return None


def _reference(pair: Pair | None) -> str:
    return NOTHING if pair is None else pair_reference(pair)


def _text_of(outcome: CheckOutcome) -> str:
    """The reference of an item. A pair that was refused before a request has one, though its outcome has no pair."""
    return _reference(outcome.pair or _pair(outcome.item))


def _no_item() -> None:
    """A feed of no items."""


def _replayed(history: ItemHistory, index: int, item: object, pair: Pair | None) -> CheckOutcome:
    assert history.stored is not None  # noqa: S101 # checked by the caller
    outcome = replay(history.stored, index=index, item=item, recorded_at=history.recorded_at, pair=pair)
    return cast("CheckOutcome", outcome)
