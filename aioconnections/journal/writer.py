"""The thread that uses the database: commits queued rows in groups, and reads between the commits.

Tasks only append to queues and wait. The thread calls into the event loop only through `tell`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import anyio
from attrs import evolve

from aioconnections.errors import JournalDiskError, JournalError, UsageError
from aioconnections.journal.database import os_errors
from aioconnections.journal.file import link
from aioconnections.journal.holding import Held, Statement
from aioconnections.journal.opening import Opened, OpenRequest, begin
from aioconnections.journal.reading import fold
from aioconnections.policy.timeline import TimelineRow

__all__ = ["HistoryPage", "JournalEntry", "Tell", "ThreadReply", "Writer"]

JournalEntry: TypeAlias = tuple[int, str, str, str, int]
"""Index, kind, item, data, and microseconds of the wall clock."""
HistoryPage: TypeAlias = dict[int, tuple[str, int, int | None, int | None, str | None, int | None]]
"""By index: item, number of sends, number and time of the row with the last intent, data and time of the outcome after
it."""
Tell: TypeAlias = Callable[[Callable[[], object]], object]
"""Schedules a call in the event loop; thread-safe."""

ValueT = TypeVar("ValueT")

FULL = 2048  # rows that are committed without waiting for more
LINGER = 0.1  # maximum batching delay for non-durable rows, in seconds
BACKLOG = 8192  # queued rows; the caller that adds one more waits for the commit

_SIZES = (64, 32, 16, 8, 4, 2, 1)  # rows per statement; each statement releases the GIL, so fewer are faster
_INSERT = {size: f"INSERT INTO entry VALUES {', '.join(['(?, ?, ?, ?, ?, ?, ?)'] * size)}" for size in _SIZES}  # noqa: S608
_PAGE = """
SELECT fold.idx, coalesce(stored.item, sent.item), coalesce(fold.sends, 0), fold.intent, sent.wall,
    CASE WHEN fold.outcome > coalesce(fold.intent, 0) THEN stored.data END, stored.wall,
    (fold.intent IS NULL) = (sent.seq IS NULL) AND (fold.outcome IS NULL) = (stored.seq IS NULL)
FROM temp.fold
LEFT JOIN entry AS sent ON sent.seq = fold.intent
LEFT JOIN entry AS stored ON stored.seq = fold.outcome
WHERE fold.idx BETWEEN ? AND ?
"""


class ThreadReply(Generic[ValueT]):
    """A result that the thread provides. The thread sets `failure` and `value`; only the event loop uses the rest."""

    __slots__ = ("_calls", "done", "failure", "value")

    def __init__(self) -> None:
        self._calls: list[Callable[[], object]] = []
        self.done: bool = False
        self.failure: Exception | None = None
        self.value: ValueT | None = None

    async def wait(self) -> ValueT | None:
        """Wait for the value, or raise the failure; any number of tasks may wait."""
        if not self.done:
            try:
                future = asyncio.get_running_loop().create_future()
            except RuntimeError:  # Trio
                event = anyio.Event()
                self.call(event.set)
                await event.wait()
            else:  # half the cost of an event
                self.call(partial(_wake, future))
                await future
        if self.failure is not None:
            raise copy(self.failure)
        return self.value

    def call(self, function: Callable[[], object]) -> None:
        """Call a function once there is a result."""
        self._calls.append(function)

    def settle(self) -> None:
        """Call the functions, which also wake the waiting tasks."""
        self.done = True
        for function in self._calls:
            function()


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():  # else the task was cancelled
        future.set_result(None)


class Writer:
    """The queue and the thread of an open journal.

    Attributes:
        opening: settled once the journal is open or cannot be opened; its value is the open journal.
        closed: settled once the thread has closed the journal.
        failure: why no more rows can be written.
        last_index: the greatest index that an earlier run recorded; -1 if there is none.
        committing_since: when the commit under way began, by `time.monotonic`; None if there is none.
    """

    def __init__(self, path: Path, request: OpenRequest, tell: Tell, soon: Tell) -> None:
        self._path = path
        self._request = evolve(request, is_wanted=lambda: not self._closing)
        self.tell: Tell = tell
        self._soon = soon
        self._wake = threading.Condition(threading.Lock())
        self._entries: deque[JournalEntry] = deque()  # its methods are thread-safe
        self._awaited: ThreadReply[None] = ThreadReply()  # for the rows of this turn of the event loop
        self._replies: list[ThreadReply[None]] = []  # settled after the next commit
        self._queries: list[tuple[int, int, ThreadReply[HistoryPage]]] = []
        self._timeline: dict[int, TimelineRow] = {}  # changed rows, by begin
        self._replaces_timeline = False
        self._idle = True  # the next row wakes the thread
        self._pressing = False  # write the queued rows and run the queries without delay
        self._press_is_due = False  # `_press_due` is scheduled
        self._is_quiet = False  # no row that a caller waits for was added since the last turn of the event loop
        self._closing = False
        self.opening: ThreadReply[Opened] = ThreadReply()
        self.closed: ThreadReply[None] = ThreadReply()
        self.failure: JournalDiskError | None = None
        self.last_index: int = -1
        self.committing_since: float | None = None
        self.thread: threading.Thread = threading.Thread(target=self._main, name="aioconnections-journal", daemon=True)

    def add(self, entry: JournalEntry, *, durable: bool) -> ThreadReply[None] | None:
        """Queue a row. The reply is settled once the row is on the disk; None means that the caller need not wait."""
        self._refuse_late()
        if not durable and len(self._entries) < BACKLOG:
            self.queue(entry)
            return None
        self._entries.append(entry)
        self._is_quiet = False
        reply = self._awaited
        if not self._press_is_due:
            self._press_is_due = True
            self._soon(self._press_due)
        return reply

    @property
    def has_room(self) -> bool:
        """Whether a row can be queued without a wait."""
        return self.failure is None and not self._closing and len(self._entries) < BACKLOG

    def queue(self, entry: JournalEntry) -> None:
        """Queue a row that need not be durable, without the lock; call this only while there is room."""
        entries = self._entries
        entries.append(entry)
        if self._idle or (len(entries) >= FULL and not self._pressing):
            with self._wake:
                self._idle = False
                self._pressing = self._pressing or len(entries) >= FULL
                self._wake.notify()

    def note_timeline(self, rows: list[TimelineRow], *, replace: bool) -> None:
        """Write these rows of the timeline with the next commit, or when the journal is closed."""
        with self._wake:
            if replace:
                self._timeline.clear()
                self._replaces_timeline = True
            self._timeline.update({row[0]: row for row in rows})

    def _press_due(self) -> None:
        """Write the rows that callers wait for, once a turn of the event loop has added none: larger commits cost less.

        Callers add few rows before they all wait, so this comes soon.
        """
        if self._press_is_due and not self._is_quiet:
            self._is_quiet = True
            self._soon(self._press_due)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        if not self._press_is_due:  # `close` has done this
            return
        self._press_is_due = False
        reply, self._awaited = self._awaited, ThreadReply()
        with self._wake:
            self._replies.append(reply)
            self._press()

    def ask(self, first: int, last: int) -> ThreadReply[HistoryPage]:
        """Query what earlier runs recorded for the indices from `first` to `last`."""
        reply: ThreadReply[HistoryPage] = ThreadReply()
        with self._wake:
            self._refuse_late()
            self._queries.append((first, last, reply))
            self._press()
        return reply

    def close(self) -> None:
        """Write what is queued, then end; see `closed`."""
        self._hand_over()
        with self._wake:
            self._closing = True
            self._press()

    def _refuse_late(self) -> None:
        if self._closing:
            raise UsageError("the journal is not open")

    def _press(self) -> None:
        if not self._pressing:
            self._pressing = True
            self._wake.notify()

    def _main(self) -> None:
        opened: Opened | None = None
        try:
            opened = self._open()
            self._settle(self.opening)
            while self._turn(opened):
                pass
        except Exception as error:  # noqa: BLE001 # raised by Journal.open
            self.opening.failure = error
        finally:
            if opened is not None:
                with suppress(Exception):  # durable rows are on the disk already; `closed` must be settled
                    opened.close()
            self._settle(self.opening)
            self._settle(self.closed)

    def _settle(self, reply: ThreadReply[Any]) -> None:
        with suppress(RuntimeError):  # the event loop is closed, and no task waits
            self.tell(reply.settle)

    def _open(self) -> Opened:
        opened = begin(self._path, self._request)
        try:
            with os_errors(self._path.name):
                fold(opened.held.db)
                ((last,),) = opened.held.db.execute("SELECT max(idx) FROM temp.fold")
        except BaseException:
            opened.close()
            raise
        self.last_index = -1 if last is None else last
        self.opening.value = opened
        return opened

    def _turn(self, opened: Opened) -> bool:
        """Write the queued rows and run the queries; False once the journal is closing."""
        with self._wake:
            self._idle = True  # before the rows are counted, so that `queue` sees it or the row is counted
            while not self._entries and not self._pressing:
                self._wake.wait()
            self._idle = False
            if not self._pressing:
                self._wake.wait_for(lambda: self._pressing, LINGER)
            entries = [self._entries.popleft() for _ in range(len(self._entries))]
            replies, self._replies = self._replies, []
            queries, self._queries = self._queries, []
            self._pressing = closing = self._closing
            timeline: list[Statement] = []
            if entries or closing:
                rows, self._timeline = self._timeline, {}
                timeline = opened.held.timeline_statements(rows.values(), replace=self._replaces_timeline)
                self._replaces_timeline = False
        if entries or timeline:
            self._commit(opened.held, entries, timeline)
        for written in replies:
            written.failure = self.failure
            self._settle(written)
        for first, last, reply in queries:
            self._read_history(opened.held, first, last, reply)
        return not closing

    def _commit(self, held: Held, entries: list[JournalEntry], timeline: list[Statement]) -> None:
        if self.failure is None:
            self.committing_since = time.monotonic()
            try:
                _write(held, entries, timeline)
            except Exception as error:  # noqa: BLE001 # after any failure, no later row may be written
                self.failure = JournalDiskError(f"the journal {self._path.name} could not be written: {error}")
            finally:
                self.committing_since = None

    def _read_history(self, held: Held, first: int, last: int, reply: ThreadReply[HistoryPage]) -> None:
        try:
            with os_errors(self._path.name):
                page: HistoryPage = {}
                rows = held.db.execute(_PAGE, (first, last))
                for index, item, sends, intent, wall, data, stored_at, complete in rows:
                    if not complete:
                        raise JournalError(f"the journal {self._path.name} is damaged: verified rows are missing")  # noqa: TRY301
                    page[index] = (item, sends, intent, wall, data, stored_at)
                reply.value = page
        except Exception as error:  # noqa: BLE001 # raised by `wait`
            reply.failure = error
        self._settle(reply)


def _write(held: Held, entries: list[JournalEntry], timeline: list[Statement]) -> None:
    seq, chain = held.mark.seq, held.mark.chain
    values: list[Any] = []
    for index, kind, item, data, wall in entries:
        seq += 1
        chain = link(chain, seq, index, kind, item, data, wall)
        values += (seq, index, kind, item, data, wall, chain)
    held.commit((*_statements(values), *timeline), seq, chain)


def _statements(values: list[Any]) -> Iterator[Statement]:
    """Insert rows with few statements, in fixed sizes so that SQLite can cache the prepared statements."""
    begin, rows = 0, len(values) // 7
    for size in _SIZES:
        while rows >= size:
            yield _INSERT[size], tuple(values[begin : begin + 7 * size])
            begin, rows = begin + 7 * size, rows - size
