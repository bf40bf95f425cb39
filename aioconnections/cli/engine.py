"""One bulk run from its first row to its last, however it ends.

Every row of the input becomes one row of the result. After an early end these are: what was finished and not taken yet,
what was cut off, and what was never read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeAlias, TypeVar, cast

from attrs import define, field

from aioconnections.bulk import Outcomes
from aioconnections.cli.interrupts import Signals
from aioconnections.cli.journals import WatchedJournal
from aioconnections.cli.progress import say
from aioconnections.cli.rows import BadRowError, Item, Row
from aioconnections.cli.source import Ahead
from aioconnections.cli.verbs import Options
from aioconnections.cli.writing import Writing
from aioconnections.client import Client
from aioconnections.errors import ConnectionsError, JournalDiskError, JournalError
from aioconnections.outcomes import Outcome, Unprocessed

__all__ = ["Engine", "Given"]

DoneT = TypeVar("DoneT")
ItemT = TypeVar("ItemT", bound=Item)
Given: TypeAlias = Ahead[ItemT | BadRowError] | Iterator[ItemT | BadRowError]

_LATEST = 10_000  # more than a run has under way
_NO_TIME = 0.05  # seconds; to close a journal takes less


@define
class Engine(Generic[ItemT]):
    """Runs a verb over rows.

    Attributes:
        writing: of the result.
        journal: of the run.
        signals: that have come.
        stopped: why it stopped early; None if it did not, or was interrupted.
        interrupted: whether a signal has ended it.
        begun: whether it has read a row.
        local_limit: how many connections could be open, if this machine has allowed no more.
        kept: whether nothing was done, so that the result of an earlier run stays where it is.
    """

    writing: Writing[ItemT]
    journal: WatchedJournal | None = None
    signals: Signals = field(factory=Signals)
    stopped: ConnectionsError | None = None
    interrupted: bool = False
    begun: bool = False
    local_limit: int | None = None
    kept: bool = False
    _deaf: bool = False
    _next: int = 0  # index of the first row that the client has not read
    _unsaid: dict[int, ItemT | BadRowError] = field(factory=dict)  # read, and without a row in the result
    _untried: deque[tuple[int, int]] = field(factory=lambda: deque[tuple[int, int]](maxlen=_LATEST))

    def __attrs_post_init__(self) -> None:
        write = self.writing.write
        self.writing.write = lambda row: self._deafly(lambda: write(row))

    def _deafly(self, do: Callable[[], DoneT]) -> DoneT:
        """Do something that blocks, for as long as a reader or a disk likes; meanwhile the loop hears nothing."""
        deaf, self._deaf = self._deaf, True
        try:
            return do()
        finally:
            self._deaf = deaf

    def flush(self) -> None:
        """Let the result be seen as far as it is written, and outlive this process, unless nobody waits any more."""
        if not self.signals.at_once:
            self._deafly(self.writing.flush)

    @property
    def unusable(self) -> JournalError | None:
        """What is wrong with the journal, if it kept the run from beginning."""
        stopped = self.stopped
        if self.begun or self.journal is None or not isinstance(stopped, JournalError):
            return None
        passes = isinstance(stopped, JournalDiskError) and self.journal.path.exists()
        return None if passes else stopped

    def line_of(self, index: int) -> int | None:
        """The line of the input with an item that was read lately and not tried; None if it cannot be told."""
        return dict(self._untried).get(index)

    async def do(self, client: Client, rows: Given[ItemT], options: Options) -> None:
        """Do it with every row, and write all of them even if the run ends early.

        Raises:
            asyncio.CancelledError: a second signal has come.
            KeyboardInterrupt: likewise, while a row was written.
        """
        with self._in_order():
            try:
                await self._run(client, rows, options)
                if self.stopped is None:
                    self.writing.release()
                elif self.unusable is None:
                    self._keep()
                    await self._leave(rows)
            except asyncio.CancelledError:
                if self.signals.at_once:
                    raise
                self.interrupted = True
            if self.interrupted:
                self._deaf = True
                self._keep()
                for row in rows.at_hand() if isinstance(rows, Ahead) else rows:
                    self._leave_next(row)

    @contextmanager
    def _in_order(self) -> Generator[None]:
        """See to signals: the first cancels the run, which waits for what was sent; the second that waiting, too."""
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None  # noqa: S101 # it is one

        def stop() -> None:
            task.cancel()
            if self.writing.verb.changes:
                say("aioconnections: waiting for the answers to what was sent; once more ends it at once")

        def hurry() -> None:
            if not task.done():
                task.cancel()
                loop.call_later(_NO_TIME, hurry)

        def hurry_from_outside() -> None:
            self.writing.write = _nowhere  # whoever reads the result may be what is waited for
            loop.call_soon_threadsafe(hurry)
            if self._deaf:  # elsewhere, in a task of the client or in the loop itself, it would leave things half done
                raise KeyboardInterrupt

        with self.signals.heard(lambda: loop.call_soon_threadsafe(stop), hurry_from_outside):
            yield

    async def _run(self, client: Client, rows: Given[ItemT], options: Options) -> None:
        outcomes: Outcomes[Outcome] | None = None
        try:
            async with client:
                outcomes = self.writing.verb.start(client, self._noted(rows), options)
                async with outcomes:
                    async for outcome in outcomes:
                        self._take(outcome)
        except OSError:
            self.writing.write = _nowhere  # what else is known is only counted
            raise
        finally:
            if outcomes is not None:
                self.stopped = outcomes.stopped or (None if self.journal is None else self.journal.failure)
                self.begun = outcomes.tally.read > 0
                self.local_limit = client.stats().local_limit
                self._next = max([outcomes.tally.read, *(index + 1 for index in self._unsaid)])
                for outcome in outcomes.undelivered:
                    self._take(outcome)
                self._settle()

    def _keep(self) -> None:
        """Only count what else is known, if nothing was done and there is a result of an earlier run."""
        if self.writing.held is not None:
            self.kept = True
            self.writing.held = None
            self.writing.write = _nowhere

    @property
    def _why(self) -> str:
        return "interrupted" if self.stopped is None else str(self.stopped)

    def _take(self, outcome: Outcome) -> None:
        row = self._unsaid.pop(outcome.index, None)
        if isinstance(outcome, Unprocessed) and row is not None:
            self._untried.append((outcome.index, row.line))
        self.writing.take(outcome)

    def _settle(self) -> None:
        """Write the rows that were cut off."""
        changes, journal = self.writing.verb.changes, self.journal
        for index, row in sorted(self._unsaid.items()):
            if changes and (journal is None or index in journal.in_doubt):
                self.writing.doubt(row, "cut off: whether it was done is not known")
            else:
                self._give_back(index, row)
        self._unsaid.clear()

    async def _leave(self, rows: Given[ItemT]) -> None:
        """Write the rows that were never read."""
        if isinstance(rows, Ahead):
            async for row in rows:
                self._leave_next(row)
        else:
            for row in rows:
                self._leave_next(row)
                await asyncio.sleep(0)  # for Ctrl-C

    def _leave_next(self, row: ItemT | BadRowError) -> None:
        index, self._next = self._next, self._next + 1
        self._give_back(index, row)

    def _give_back(self, index: int, row: ItemT | BadRowError) -> None:
        """Write what an earlier run has recorded of a row that this one has not come to, or that there is nothing."""
        past: Outcome | None = None
        if not isinstance(row, BadRowError) and self.journal is not None and not self.signals.at_once:
            journal, item = self.journal, row
            past = self._deafly(lambda: journal.recorded(index, item))
        if past is None:
            self.writing.leave([row], self._why)
        else:
            self.writing.take(past)

    def _noted(self, rows: Given[ItemT]) -> Iterable[ItemT] | AsyncIterable[ItemT]:
        """The rows for the client, which gives a `BadRowError` back."""
        noted = _noted_async(rows, self._unsaid) if isinstance(rows, Ahead) else _noted(rows, self._unsaid)
        return cast("Iterable[ItemT] | AsyncIterable[ItemT]", noted)


def _nowhere(row: Row) -> None:
    del row


def _noted(
    rows: Iterator[ItemT | BadRowError], unsaid: dict[int, ItemT | BadRowError]
) -> Iterator[ItemT | BadRowError]:
    for index, row in enumerate(rows):
        unsaid[index] = row
        yield row


async def _noted_async(
    rows: Ahead[ItemT | BadRowError], unsaid: dict[int, ItemT | BadRowError]
) -> AsyncIterator[ItemT | BadRowError]:
    index = 0
    async for row in rows:
        unsaid[index] = row
        yield row
        index += 1
