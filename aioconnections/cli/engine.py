"""One bulk run of a command, from the first row of the input to the last, however it ends.

Each row of the input becomes one row of the result: the run gives an outcome for each row that it has read, and
accounts for the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeAlias, TypeVar, cast

from attrs import define, field

from aioconnections.bulk import Outcomes
from aioconnections.cli.interrupts import Signals
from aioconnections.cli.progress import say
from aioconnections.cli.verbs import RunArguments
from aioconnections.cli.writing import Writing
from aioconnections.client import Client
from aioconnections.errors import ConnectionsError, JournalDiskError, JournalError, JournalMismatchError
from aioconnections.files.rows import BadRowError, Item
from aioconnections.files.source import Ahead
from aioconnections.journal import Journal
from aioconnections.outcomes import Outcome, Tally
from aioconnections.policy.timeline import Timeline

__all__ = ["CommandRun", "InputItems", "client_items"]

ItemT = TypeVar("ItemT", bound=Item)
InputItems: TypeAlias = Ahead[ItemT | BadRowError] | Iterator[ItemT | BadRowError]

_RETRY = 0.05  # seconds between two cancellations; closing a journal takes less


@define
class CommandRun(Generic[ItemT]):
    """Runs a verb over the rows of an input.

    Attributes:
        writing: writes the result.
        journal: records the run.
        signals: signals received so far.
        stopped: the error that stopped the run early; None if it was not stopped, or was interrupted.
        interrupted: whether a signal has ended the run.
        begun: whether the run has read a row.
        succeeded: whether the server has responded to a request for a row.
        requests: number of requests that the run has sent, with those for the login and for lists.
        retries: number of those that repeated an earlier one.
        avoidable: see `Outcomes`.
        found_in_lists: number of pairs whose status a list has shown.
        local_limit: number of connections that this machine allows; None if it has refused none.
        kept: whether nothing was done, so that the result of an earlier run is kept.
        timeline: the course of the run, for a report; None before its end, and without a report.
        mismatch: number of the line that differs from the journal; None if none does, or if the row has no line.
    """

    writing: Writing[ItemT]
    journal: Journal | None = None
    signals: Signals = field(factory=Signals)
    stopped: ConnectionsError | None = None
    interrupted: bool = False
    begun: bool = False
    succeeded: bool = False
    requests: int = 0
    retries: int = 0
    avoidable: tuple[int, int] = (0, 0)
    local_limit: int | None = None
    found_in_lists: int = 0
    kept: bool = False
    timeline: Timeline | None = None
    mismatch: int | None = None

    @property
    def resumable(self) -> bool:
        """Whether there is a journal to resume from."""
        return self.journal is not None and self.journal.path.exists()

    @property
    def ended_early(self) -> bool:
        """Whether an error or a signal has ended the run."""
        return self.stopped is not None or self.interrupted

    @property
    def unusable(self) -> JournalError | None:
        """The error of the journal that prevented the run from starting, if any."""
        stopped = self.stopped
        if self.begun or self.journal is None or not isinstance(stopped, JournalError):
            return None
        is_temporary = isinstance(stopped, JournalDiskError) and self.journal.path.exists()
        return None if is_temporary else stopped

    async def do(self, client: Client, rows: InputItems[ItemT], arguments: RunArguments) -> None:
        """Run the verb, and write a row for each row of the input, even if the run ends early.

        Raises:
            asyncio.CancelledError: a second signal has arrived.
            KeyboardInterrupt: likewise, while a row was written.
        """
        with self._handling_signals():
            outcomes: Outcomes[Outcome] | None = None
            try:
                async with client:
                    outcomes = self.writing.verb.start(client, client_items(rows), arguments)
                    if self.writing.report is not None or arguments["journal"] is not None:
                        outcomes.record_timeline()
                    await self._write_outcomes(client, outcomes)
                if self.stopped is None:
                    self.writing.release()
                elif self.unusable is None:
                    self._keep()
                    await self._write_unread(outcomes, rows)
            except asyncio.CancelledError:
                if self.signals.at_once or outcomes is None:
                    raise
                self.interrupted = True
                self._keep()
                self.signals.interruptible(self._write_unread_at_hand)(outcomes, rows)

    @contextmanager
    def _handling_signals(self) -> Generator[None]:
        """The first signal cancels the run, which then waits for pending requests; the second cancels the wait."""
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None  # noqa: S101 # this runs in a task

        def cancel() -> None:
            task.cancel()
            if self.writing.verb.changes:
                say("aioconnections: waiting for responses to pending requests; a second signal ends the run at once")

        def cancel_again() -> None:
            if not task.done():
                task.cancel()
                loop.call_later(_RETRY, cancel_again)

        def stop_at_once() -> None:
            self.writing.discard()  # the task may be blocked on the reader of the result
            loop.call_soon_threadsafe(cancel_again)

        with self.signals.during_run(lambda: loop.call_soon_threadsafe(cancel), stop_at_once):
            yield

    async def _write_outcomes(self, client: Client, outcomes: Outcomes[Outcome]) -> None:
        try:
            async with outcomes:
                async for outcome in outcomes:
                    self._write(outcome, outcomes.stopped)
        except OSError:
            self.writing.discard()
            raise
        finally:
            self._note_end(client, outcomes.stopped, outcomes.tally)
            self.timeline, self.avoidable = outcomes.timeline, outcomes.avoidable
            for outcome in outcomes.undelivered:
                self._write(outcome, self.stopped)

    def _note_end(self, client: Client, stopped: ConnectionsError | None, tally: Tally) -> None:
        """Take note of how the run has ended; `tally` counts the items that it has read."""
        self.stopped = stopped
        self.begun = tally.read > 0
        self.succeeded = tally.read > tally.in_flight + tally.failed + tally.unprocessed
        stats = client.stats()
        self.requests, self.retries, self.local_limit = stats.attempts, stats.retries, stats.local_limit
        self.found_in_lists = tally.via_list

    def _write(self, outcome: Outcome, stopped: ConnectionsError | None) -> None:
        if isinstance(stopped, JournalMismatchError) and stopped.index == outcome.index:
            self.mismatch = cast("Item", outcome.item).line or None
        self.writing.take(outcome)

    def _keep(self) -> None:
        """Keep the result of an earlier run if nothing was done: count the rows, but do not write them."""
        if self.writing.held is not None:
            self.kept = True
            self.writing.discard()

    async def _write_unread(self, outcomes: Outcomes[Outcome], rows: InputItems[ItemT]) -> None:
        with outcomes.unread() as account:

            def account_and_write(row: ItemT | BadRowError) -> None:
                self.writing.take(account(row))

            write = self.signals.interruptible(account_and_write)
            if isinstance(rows, Ahead):
                async for row in rows:
                    write(row)
            else:
                for row in rows:
                    write(row)
                    await asyncio.sleep(0)  # lets a signal cancel this task

    def _write_unread_at_hand(self, outcomes: Outcomes[Outcome], rows: InputItems[ItemT]) -> None:
        with outcomes.unread("interrupted" if self.stopped is None else None) as account:
            for row in rows.at_hand() if isinstance(rows, Ahead) else rows:
                self.writing.take(account(row))


def client_items(rows: InputItems[ItemT]) -> Iterable[ItemT] | AsyncIterable[ItemT]:
    """The rows for the client, which gives a `Failed` outcome for a `BadRowError`."""
    return cast("Iterable[ItemT] | AsyncIterable[ItemT]", rows)
