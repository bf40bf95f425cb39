"""Bulk runs: source → workers → outcomes, with a bound on each queue.

Each worker takes its items from the source itself, when it is free. An async source is read by a task of its own, so
that items are at hand without a wait. A run with a `Backlog` is read by one task, which adds the items to the backlog,
and its workers take their work from there. No source is read more than the window ahead of the consumer. The tasks
belong to the `async with` block of the run: when it is left, all of them have ended.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from inspect import isawaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from aioconnections.bulk.ahead import OwnedSource, ReadAhead, is_raised_by_code
from aioconnections.bulk.job import NOT_DONE, Backlog, ItemFeed, Job
from aioconnections.bulk.recording import Recorder
from aioconnections.bulk.reporting import Reporter
from aioconnections.clock import Timer, within
from aioconnections.errors import (
    ConnectionsError,
    DeadlineError,
    InvalidInputError,
    JournalError,
    ServerUnavailableError,
    UsageError,
)
from aioconnections.outcomes import Count, Outcome, Tally, Unprocessed
from aioconnections.policy.timeline import Timeline
from aioconnections.reprs import safe_repr
from aioconnections.session.parking import Parking
from aioconnections.session.runtime import Runtime
from aioconnections.session.telemetry import Progress

if TYPE_CHECKING:
    from aioconnections.arrow.results import Gives
    from aioconnections.bulk.table_rows import TableRows

__all__ = ["Outcomes"]

OutT = TypeVar("OutT", bound=Outcome)

_MAX_PARKED = 1_000
_MAX_BUFFERED = 4_096
_LINGER = 0.5  # seconds after which a backlog does not wait for a source that gives nothing
_LONGEST_WAIT = 5.0  # seconds that the first item of a slow source waits for others
_AT_ONCE = 256  # items that are added to a backlog before other tasks run


class Outcomes(Generic[OutT]):
    """The outcomes of a bulk run, which starts when it is entered.

    ``async with client.check_many(pairs) as outcomes: async for outcome in outcomes: ...``, or in one call
    ``await client.check_many(pairs).collect()`` and ``await client.check_many(pairs).drain(sink)``. `batches` iterates
    over lists of outcomes.

    Outcomes are delivered as they complete, or in the order of the source. Each item that was read has exactly one. The
    iteration ends with the source, or when the run stops early; `stopped` then says why. An exception of the source is
    raised unchanged after the outcomes of all items read before it. An async source is read by one task of the run.

    Leaving the block early ends the run: nothing more is read or sent, and pending requests are cancelled. Changes that
    were sent may take as long as one attempt, so that their outcome is known and recorded. `undelivered` holds the
    outcomes of all items that were read and not delivered, and `unread` accounts for the rest of the source. The source
    still belongs to the caller, who may read on or close it.
    """

    def __init__(  # noqa: PLR0913 # keyword-only options of one caller
        self,
        job: Job[OutT],
        source: Iterable[object] | AsyncIterable[object],
        runtime: Runtime,
        *,
        admit: Callable[[], object],
        workers: int,
        ordered: bool,
        run_timeout: float | None = None,
        on_progress: Callable[[Progress], object] | None = None,
        backlog: Backlog[OutT] | None = None,
        gives: Gives = "check",
    ) -> None:
        self._job = job
        self._backlog = backlog
        self._runtime = runtime
        self._admit = admit  # raises a `UsageError` if the client cannot be used here
        self._run_timeout = run_timeout
        self._reporter = Reporter(job.run, runtime, on_progress)
        self._gives: Gives = gives
        self._owned = source if isinstance(source, OwnedSource) else None
        self._recorder: Recorder | None = None
        self._recorded: list[Outcome] | None = None
        self._items = _iterator(source)
        self._ahead = self._items if isinstance(self._items, ReadAhead) else None
        self._buffer: deque[object] = deque() if self._ahead is None else self._ahead.items
        self._most_buffered = min(workers, _MAX_BUFFERED)
        self._lock: anyio.Lock  # one worker at a time waits for an item of an async source
        self._readers = 0  # tasks that read the source: for an async one, and for a backlog
        self._parking: Parking
        self._workers = workers
        self._window = 2 * workers if backlog is None else max(2 * workers, backlog.window)
        # A synchronous source is read on once there is room for all workers; an async one sooner, to have items ready.
        self._low = self._window - (workers if self._ahead is None else max(1, workers // 4))
        self._ordered = ordered
        self._tasks: TaskGroup | None = None
        self._entered = False
        self._running = 0  # tasks: workers, and items that are parked
        self._spare: list[anyio.Event] = []  # tasks that wait until another worker is needed
        self._read = 0  # without the items in the buffer
        self._delivered = 0
        self._count = Count()
        self._ready: deque[OutT] = deque()
        self._early: dict[int, OutT] = {}  # finished before their turn, in an ordered run
        self._gathered: list[OutT] = []  # delivered, but not yet in a batch of `arrow_batches`
        self._undelivered: tuple[OutT, ...] = ()  # set when the block is left
        self._turn = 0  # index of the next outcome of an ordered run
        self._ended = False  # nothing more is read
        self._cancelled = False  # from outside: the outcomes are not complete
        self._exhausted = False  # the source has no more items
        self._feed: ItemFeed[OutT]
        self._postponed: BaseException | None = None  # of the source, raised where it may end a worker
        self._failure: BaseException | None = None  # of the source or an internal error: raised after the outcomes
        self._arrival: anyio.Event | None = None  # the consumer waits for it
        self._consuming = False
        self._room: anyio.Event | None = None  # workers wait for it
        self._timer: Timer | None = None  # for the run timeout
        self._accounted = 0  # items passed to `unread`
        self.stopped: ConnectionsError | None = None
        """Why the run stopped before the end of the source; None if it did not."""
        self.table: Any = None
        """The table that `to_arrow` has made; if it raised an exception, with the outcomes before that; else None."""

    @property
    def tally(self) -> Tally:
        """The count of the outcomes so far, delivered or not."""
        count = self._count.copy()  # before the number of items read: another thread may ask while both grow
        tally = count.tally(self._read + len(self._buffer))
        return tally if self._backlog is None else self._backlog.completed(tally)

    def record_timeline(self) -> None:
        """Keep the course of the run in `timeline`, and in its journal if it has one; call this before entering it."""
        if self._recorder is None:
            self._recorder = Recorder(self._runtime, self._job.keeper)
            self._recorded = self._recorder.delivered

    @property
    def timeline(self) -> Timeline | None:
        """The course of the run, with a journal also of earlier runs; None without `record_timeline`."""
        return None if self._recorder is None else self._recorder.timeline

    @property
    def avoidable(self) -> tuple[int, int]:
        """After checks without a plan: how many requests one would have saved, of how many; zeros unless worthwhile."""
        return self._job.avoidable

    async def __aenter__(self) -> Self:
        if self._entered:
            raise UsageError("a bulk run can be entered only once")
        self._entered = True
        self._admit()
        # Created here, not in `__init__`: a run may be made outside the event loop.
        self._lock = anyio.Lock()
        # Nor is the parking: it refers to the run, and the cycle would delay the warning of `__del__`.
        self._parking = Parking(_capacity(self._workers, self._runtime.limiter.max_per_second), self._rebalance)
        self._feed = ItemFeed(self._take_ready, self._deliver)
        if self._backlog is not None:
            self._backlog.begin(self._deliver, self._call_workers)
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._running = 1
        if self._run_timeout is not None:
            clock = self._runtime.clock
            why = DeadlineError(f"the run was not done within {self._run_timeout:g} s", sent="no")
            self._job.run.end_at(clock.now() + self._run_timeout, why)
            self._timer = clock.call_at(self._job.run.until, lambda: self._expire(why))
        self._reporter.start(lambda: self.tally, self._break_off)
        if self._recorder is not None:
            self._recorder.start()
        with self._reporter.current():
            self._tasks.start_soon(self._start, self._tasks)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tasks is None:
            return
        tasks, self._tasks = self._tasks, None
        self._stop_reading()
        if self._timer is not None:
            self._timer.cancel()
        try:
            try:
                if self._running and self._job.changes:
                    await self._settle()
            finally:  # Task.cancel() of asyncio ignores shields
                tasks.cancel_scope.cancel()
                # Without the exception, which the task group would wrap: the caller's exception passes unchanged.
                await tasks.__aexit__(None, None, None)
        finally:
            is_complete = self._exhausted and kind is None and self._delivered == self._read and not self._gathered
            is_complete = is_complete and (self._backlog is None or self._backlog.verdict is None)
            if isinstance(self._job.over, JournalError):  # raised while the run was ending
                self._stop(copy(self._job.over))
            for outcome in self._job.cut:
                self._deliver(outcome)
            if self._backlog is not None:
                self._backlog.give_up()
                if self._backlog.verdict is not None:
                    self._stop(copy(self._backlog.verdict))
            self._keep_undelivered()
            self._end_helpers()
            try:
                with anyio.CancelScope(shield=True):
                    await self._job.aclose(complete=self._read if is_complete else None)
            except ConnectionsError as failure:
                self._stop(failure)
            finally:
                self._reporter.end(self.stopped, error)

    def _keep_undelivered(self) -> None:
        """Keep the outcomes that were not delivered, for `undelivered`."""
        self._give_up_buffer()
        undelivered = self.undelivered
        self._undelivered = tuple(sorted(undelivered, key=lambda it: it.index)) if self._ordered else undelivered
        self._gathered.clear()
        self._ready.clear()
        self._early.clear()

    def _end_helpers(self) -> None:
        """Close the source if it is the run's own, and record the end of the course, before the journal is closed."""
        if self._owned is not None:
            self._owned.close()
        if self._recorder is not None:
            self._recorder.end()

    async def _settle(self) -> None:
        """Send nothing more, and wait at most one attempt's timeout for the responses to changes that were sent."""
        runtime, run = self._runtime, self._job.run
        run.end(runtime.clock.now(), DeadlineError("the run has ended", sent="no"))
        self._end()
        with anyio.CancelScope(shield=True):
            await within(runtime.clock, runtime.attempt_timeout, run.until_settled())

    @property
    def undelivered(self) -> tuple[OutT, ...]:
        """The outcomes that were not delivered.

        After the block, each item that was read has one outcome, either delivered or here. An interrupted item is
        `InDoubt` if a change was sent and its response did not arrive in time, and `Unprocessed` otherwise.
        """
        rest = *self._undelivered, *self._gathered, *self._ready
        return *rest, *(self._early[index] for index in sorted(self._early))

    def __aiter__(self) -> AsyncIterator[OutT]:
        return self

    async def __anext__(self) -> OutT:
        while not self._ready:
            if self._tasks is None:
                raise UsageError("the outcomes of a bulk run can be read only inside its `async with` block")
            if not self._running and not self._readers:
                if self._cancelled:
                    await anyio.lowlevel.checkpoint()  # the same cancellation reaches the consumer here
                    raise UsageError("the bulk run was cancelled")
                failure, self._failure = self._failure, None
                raise failure or StopAsyncIteration
            if self._consuming:
                raise UsageError("the outcomes of one run can be read by one task only")
            self._consuming = True
            self._arrival = arrival = anyio.Event()
            try:
                await arrival.wait()
            finally:
                self._arrival = None
                self._consuming = False
        self._delivered += 1
        if self._room is not None:
            self._review_room()
        return self._ready.popleft()

    def _review_room(self) -> None:
        """Wake the tasks that wait for room once there is enough of it."""
        if self._room is not None and self._ahead_of_consumer <= self._low:
            self._make_room()

    def batches(self) -> AsyncIterator[list[OutT]]:
        """Iterate over lists of all outcomes that are ready, for consumers that take many at once.

        ``async for batch in outcomes.batches(): ...`` takes the place of ``async for outcome in outcomes: ...``, inside
        the ``async with`` block. No list is empty, and none has more outcomes than the run may read ahead: twice
        `max_connections`, and more if items wait for the server. The outcomes of a list count as delivered.
        """
        return _Batches(self, self._take_all)

    def _take_all(self) -> list[OutT]:
        """All outcomes that are ready, which count as delivered from now on."""
        batch = list(self._ready)
        self._ready.clear()
        self._delivered += len(batch)
        self._review_room()
        return batch

    async def collect(self) -> list[OutT]:
        """Run to the end and return all outcomes as a list; for thousands of items, not for millions.

        The run is entered and left here: call this instead of ``async with``. If the run stops early, the list has the
        outcomes so far, and `stopped` says why. If the source or cancellation raises an exception, `undelivered` holds
        the outcomes of all items that were read.

        Raises:
            UsageError: the run was entered before.
        """
        outcomes: list[OutT] = []
        try:
            await self.drain(outcomes.append)
        except BaseException:
            self._undelivered = (*outcomes, *self._undelivered)
            raise
        return outcomes

    async def drain(self, sink: Callable[[OutT], object] | None = None) -> Tally:
        """Run to the end, pass each outcome to `sink`, and return the tally.

        The run is entered and left here: call this instead of ``async with``. If the run stops early, `stopped` says
        why. If an exception is raised, `undelivered` holds the outcomes that `sink` was not called with.

        Args:
            sink: a function, or an async function, which is awaited before it is called again; None only counts. An
                exception that it raises ends the run and is raised unchanged.

        Raises:
            UsageError: the run was entered before.
        """
        async with self:
            async for outcome in self:
                if sink is not None:
                    result = sink(outcome)
                    if isawaitable(result):
                        await result
        return self.tally

    async def to_arrow(self, *, rows: int = 10_000) -> Any:
        """Run to the end and return a `pyarrow.Table` with a row for each outcome, in the order of their delivery.

        The run is entered and left here: call this instead of ``async with``. If the source of the run is a table, its
        columns come first, with their types and values; otherwise the people of each item, in
        columns such as ``source_email``. Then come the columns of the outcome, which replace those of the same names:

        - ``index`` (int64) and ``outcome`` (text), as in `Outcome.as_dict`;
        - what outcomes of this kind of run say besides: ``status``, ``via``, ``was``, ``connection_id``, ``name``,
          ``found_…`` (text), ``duplicate_of``, ``connections`` (int64), ``age`` (duration);
        - ``error`` (text), ``attempts`` (int64), ``elapsed``, ``waited`` (durations in microseconds), ``replayed``
          (bool), ``recorded_at`` (timestamp in microseconds, UTC).

        The columns are the same for every run of this kind, also without rows. If the run stops early, the table has
        the outcomes so far, and `stopped` says why. If an exception is raised, `table` has the outcomes before it, and
        `undelivered` those after. Needs pyarrow, the extra ``[data]``.

        Args:
            rows: number of rows of each batch of the table.

        Raises:
            UsageError: the run was entered before, or pyarrow is missing.
            InvalidInputError: `rows` is below 1.
        """
        from aioconnections.bulk.arrow_batches import ArrowBatches, joined

        gathering = ArrowBatches(self, self._gathered, self._gives, self._source_table, rows)
        batches: list[Any] = []
        try:
            async with self:
                async for batch in gathering:
                    batches.append(batch)  # noqa: PERF401 # kept if an exception is raised
                schema = await gathering.schema()
        finally:
            self.table = joined(batches, gathering.known_schema)
        self.table = joined(batches, schema)
        return self.table

    def arrow_batches(self, rows: int = 10_000) -> AsyncIterator[Any]:
        """Iterate over the outcomes as record batches of pyarrow, with the columns of `to_arrow`, in bounded memory.

        ``async with run: async for batch in run.arrow_batches(): writer.write_batch(batch)``. The outcomes of a batch
        count as delivered.

        Args:
            rows: number of rows of each batch but the last.

        Raises:
            UsageError: pyarrow is missing.
            InvalidInputError: `rows` is below 1.
        """
        from aioconnections.bulk.arrow_batches import ArrowBatches

        return ArrowBatches(self, self._gathered, self._gives, self._source_table, rows)

    @property
    def _source_table(self) -> TableRows | None:
        """The table that is the source; no other source is opened by the run."""
        return cast("TableRows | None", self._owned)

    @contextmanager
    def unread(self, reason: str | None = None) -> Generator[Callable[[object], OutT | Unprocessed]]:
        """Account for the items that the run did not read, after it has ended.

        ``with outcomes.unread() as account: rest = [account(item) for item in source]``

        The function must get the remaining items of the source in order. It returns the outcome that the journal has
        recorded for the item, `replayed`, or `Unprocessed`. The journal is read while it is called, which blocks. If
        the run could not begin, the journal must be of the same verb and server; the user cannot be compared then.

        Args:
            reason: reason of the `Unprocessed` outcomes; by default why the run stopped.

        Raises:
            UsageError: the run has not ended.
        """
        if self._tasks is not None or not self._entered:
            raise UsageError("the unread items of a bulk run can be accounted for only after its end")
        why = reason or (str(self.stopped) if self.stopped else "the run ended before this item was read")
        with self._job.recorded() as recorded:

            def account(item: object) -> OutT | Unprocessed:
                index = self._read + self._accounted
                self._accounted += 1
                return recorded(index, item) or Unprocessed(why, index=index, item=item)

            yield account

    async def _start(self, tasks: TaskGroup) -> None:
        """Start the first worker, and the reader of an async source, once the job is ready."""
        try:
            await self._job.ready()
            if self._ahead is not None:
                self._readers += 1
                tasks.start_soon(self._read_ahead, self._ahead)
            if self._backlog is None:
                self._start_worker(tasks)
            else:
                self._readers += 1
                tasks.start_soon(self._read_into, self._backlog)
        except BaseException as error:
            if not self._ends_with(error):
                raise
        finally:
            self._task_ended()

    def _start_worker(self, tasks: TaskGroup) -> None:
        """Start one more worker. A worker does so when it gets an item, so that idle workers are few."""
        self._running += 1
        if self._spare:
            self._spare.pop().set()
        else:
            tasks.start_soon(self._work_when_needed)

    @property
    def _working(self) -> int:
        """The number of workers, without those whose item is parked."""
        return self._running - self._parking.parked

    def _rebalance(self) -> None:
        """Start a worker if one is missing, after an item has parked with its worker, or resumed."""
        if self._backlog is not None:
            self._make_room()
            self._call_workers()
            return
        if self._tasks is None or ((self._ended or not self._has_room()) and not self._buffer):
            return
        workers_wait = self._room is not None and self._ahead is None
        self._make_room()
        if not workers_wait and self._working < self._workers:
            self._start_worker(self._tasks)

    async def _work_when_needed(self) -> None:
        """Work, and wait while there are enough workers: to start a task takes as long as a request."""
        while True:
            await self._work()
            if self._ended:
                return
            needed = anyio.Event()
            self._spare.append(needed)
            try:
                await needed.wait()
            except BaseException:
                if needed.is_set():  # it counts as running already
                    self._task_ended()
                else:
                    self._spare.remove(needed)
                raise

    def _call_workers(self) -> None:
        """Start a worker if there is work in the backlog and one is missing. That worker starts the next one."""
        backlog = self._backlog
        if backlog is not None and self._tasks is not None and self._working < self._workers and backlog.has_work():
            self._start_worker(self._tasks)

    async def _work_off(self, backlog: Backlog[OutT]) -> None:
        """Do the work of the backlog as far as there is some."""
        job, parking = self._job, self._parking
        while backlog.has_work():
            if not job.is_ready() and not job.run.is_over:
                await job.ready()
                continue
            unit = backlog.take()
            self._call_workers()
            await unit(parking)
            if (parking.used or job.over is not None) and self._is_superfluous():
                return

    async def _read_into(self, backlog: Backlog[OutT]) -> None:
        """Read the source into the backlog, as far as there is room."""
        clock, ahead, since = self._runtime.clock, self._ahead, 0
        flushed_at = clock.now()
        try:
            while True:
                if not self._buffer and not self._has_room():
                    backlog.make_room()
                    self._call_workers()
                if ahead is None and not await self._wait_for_room():
                    return
                if ahead is not None and not ahead.is_ready:
                    self._make_room()
                    is_slow = not await within(clock, _LINGER, ahead.until_ready())
                    if is_slow or clock.now() - flushed_at > _LONGEST_WAIT:
                        flushed_at = clock.now()
                        backlog.flush()
                        self._call_workers()
                        await ahead.until_ready()
                taken = self._pull()
                if taken is None:
                    return
                backlog.add(*taken)
                self._call_workers()
                since += 1
                if since % _AT_ONCE == 0:
                    await anyio.lowlevel.checkpoint()
        except BaseException as error:
            if not self._ends_with(error):
                raise
        finally:
            self._readers -= 1
            backlog.close()
            self._call_workers()
            self._review_end()

    async def _work(self) -> None:
        job, parking = self._job, self._parking
        try:
            if self._backlog is not None:
                await self._work_off(self._backlog)
                return
            while not self._ended or self._postponed is not None or self._buffer:
                if not job.is_ready() and not self._ended:
                    await job.ready()
                    continue
                taken = self._pull() if self._is_at_hand() else await self._take()
                if taken is None:
                    return
                if self._running - parking.parked < self._workers and self._tasks is not None:
                    self._start_worker(self._tasks)
                outcome = await job.do(*taken, parking, self._feed)
                if outcome is not None:
                    self._deliver(outcome)
                if (parking.used or job.over is not None) and self._is_superfluous():
                    return
        except BaseException as error:
            if not self._ends_with(error):
                raise
        finally:
            self._task_ended()

    def _ends_with(self, error: BaseException) -> bool:
        """End the run because of `error`; False if it is the cancellation of this task."""
        if isinstance(error, ConnectionsError) and not isinstance(error, UsageError):
            self._stop(error)
        elif isinstance(error, Exception) or is_raised_by_code(error):
            self._break_off(error)
        else:
            self._cancelled = True
            return False
        return True

    def _is_superfluous(self) -> bool:
        """Whether a worker that has finished an item has to end: the run is over, or it has been replaced."""
        if self._job.over is not None and self._tasks is not None:  # else the run ends because its block was left
            self._stop(copy(self._job.over))
        return self._working > self._workers

    def _is_at_hand(self) -> bool:
        """Whether a worker may take an item without a wait, as for nearly every item."""
        if self._ahead is not None:
            return bool(self._buffer)
        return not self._parking.parked and self._read - self._delivered < self._window

    async def _take(self) -> tuple[int, object] | None:
        """Wait for the next item, and return it with its index; None if nothing more is read."""
        if self._ahead is None:
            return self._pull() if await self._wait_for_room() else None
        async with self._lock:
            self._make_room()
            await self._ahead.until_ready()
            return self._pull() if self._buffer or not self._ended else None

    @property
    def _ahead_of_consumer(self) -> int:
        """Number of items that were read and not delivered. Parked items do not count; they have their own bound."""
        return self._read + len(self._buffer) - self._delivered - self._parking.held

    def _has_room(self) -> bool:
        """Whether one more item may be read."""
        return (
            self._ahead_of_consumer < self._window
            and not self._parking.is_full
            and len(self._buffer) < self._most_buffered
        )

    def _make_room(self) -> None:
        """Wake the tasks that wait for room."""
        if self._room is not None:
            self._room.set()
            self._room = None

    async def _wait_for_room(self) -> bool:
        """Wait until one more item may be read; False if nothing more is read."""
        while not self._ended and not self._has_room():
            if self._room is None:
                self._room = anyio.Event()
            await self._room.wait()
        return not self._ended

    def _pull(self) -> tuple[int, object] | None:
        if self._postponed is not None:
            error, self._postponed = self._postponed, None
            if not self._ends_with_source(error):
                raise error
            return None
        try:
            item = next(self._items)
            self._read += 1
            return self._read - 1, item
        except StopIteration:
            self._exhausted = True
            self._stop_reading()
        except BaseException as error:  # raised to the consumer after the outcomes
            if not self._ends_with_source(error):
                raise
        return None

    def _take_ready(self) -> tuple[int, object] | None:
        """The next item and its index, if a worker could read it now; None otherwise. See `ItemFeed`."""
        parking = self._parking
        if (
            self._ended
            or self._postponed is not None
            or self._job.over is not None
            or self._running - parking.parked < self._workers
            or self._read - self._delivered >= self._window + (parking.held if parking.parked else 0)
            or (parking.parked and parking.is_full)
            or (self._ahead is not None and not self._buffer)
        ):
            return None
        try:
            item = next(self._items)
        except StopIteration:
            self._exhausted = True
            self._stop_reading()
            return None
        except Exception as error:  # noqa: BLE001 -- raised to the consumer after the outcomes
            self._break_off(error)
            return None
        except BaseException as error:  # noqa: BLE001 -- whether it ends the run is decided in the task of the worker
            self._postponed = error
            return None
        self._read += 1
        return self._read - 1, item

    async def _read_ahead(self, ahead: ReadAhead) -> None:
        try:
            await ahead.read(self._wait_for_room)
        except BaseException as error:
            if not self._ends_with(error):
                raise
        finally:
            self._readers -= 1
            self._review_end()

    def _ends_with_source(self, error: BaseException) -> bool:
        """Break off because the source raised `error`; False if it is the cancellation of this task."""
        if not (isinstance(error, Exception) or is_raised_by_code(error)):
            return False
        self._break_off(error)
        return True

    def _deliver(self, outcome: OutT) -> None:
        """Queue an outcome for the consumer, in its turn if the run is ordered."""
        self._count.add(outcome)
        if self._recorded is not None and not outcome.replayed:
            self._recorded.append(outcome)
        if self._ordered:
            self._early[outcome.index] = outcome
            while (following := self._early.pop(self._turn, None)) is not None:
                self._turn += 1
                self._ready.append(following)
            if self._parking.used:
                self._parking.hold_behind(len(self._early))
        else:
            self._ready.append(outcome)
        arrival = self._arrival
        if arrival is not None:  # wake the consumer, once
            self._arrival = None
            arrival.set()

    def _stop(self, error: ConnectionsError) -> None:
        timed_out = isinstance(error, DeadlineError)
        if self.stopped is None or (isinstance(self.stopped, DeadlineError) and not timed_out):
            self.stopped = error
        if not timed_out or self._job.run.ended is None:
            away = isinstance(error, ServerUnavailableError)
            why = error if away else DeadlineError(f"the run was stopped: {error}", sent="no")
            self._job.run.end(self._runtime.clock.now(), why)
        self._end()

    def _expire(self, why: DeadlineError) -> None:
        self._job.run.end(self._runtime.clock.now(), why)
        self._stop(why)

    def _break_off(self, failure: BaseException) -> None:
        if self._failure is None:
            self._failure = failure
        self._end()

    def _end(self) -> None:
        """Read nothing more; wake the tasks that wait to read."""
        self._stop_reading()
        if self._ahead is not None:
            self._ahead.stop()
        if self._room is not None:
            self._room.set()

    def _stop_reading(self) -> None:
        self._ended = True
        self._parking.close()

    def _task_ended(self) -> None:
        self._running -= 1
        self._review_end()

    def _review_end(self) -> None:
        """Tell the consumer if no outcome is to come, after a task has ended."""
        if self._running or self._readers:
            return
        if self._ahead is not None and self._ahead.failure is not None:  # the run ended before a worker met it
            self._break_off(self._ahead.failure)
        if self._backlog is not None:  # its workers have ended before their time
            self._backlog.give_up(NOT_DONE if self.stopped is None else str(self.stopped))
        self._give_up_buffer()
        for index in sorted(self._early):  # an internal error left a gap before these
            self._ready.append(self._early.pop(index))
        if self._arrival is not None:
            self._arrival.set()

    def _give_up_buffer(self) -> None:
        """Give an outcome to the items that were read and that no worker can take any more."""
        while self._buffer:
            index, item = self._read, self._buffer.popleft()
            self._read += 1
            self._deliver(cast("OutT", Unprocessed(NOT_DONE, index=index, item=item)))

    def __del__(self) -> None:
        if not getattr(self, "_entered", True):
            warnings.warn("a bulk run was never entered: nothing was done", RuntimeWarning, stacklevel=2, source=self)

    @safe_repr
    def __repr__(self) -> str:
        state = "stopped" if self.stopped else "running" if self._running else "done"
        return f"Outcomes({state}, {self._read} read, {self._delivered} delivered)"


class _Batches(Generic[OutT]):
    """See `Outcomes.batches`."""

    def __init__(self, outcomes: AsyncIterator[OutT], others: Callable[[], list[OutT]]) -> None:
        self._outcomes = outcomes
        self._others = others

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[OutT]:
        first = await anext(self._outcomes)
        return [first, *self._others()]


def _capacity(workers: int, max_per_second: float | None) -> int:
    """How many items of a run may be parked: as many as start in two seconds, within bounds."""
    per_second = float("inf") if max_per_second is None else max_per_second
    return int(min(max(2 * workers, 2 * per_second), _MAX_PARKED))


def _iterator(source: Iterable[object] | AsyncIterable[object]) -> Iterator[object]:
    """The iterator of `source`; a `ReadAhead` if it is async."""
    if isinstance(source, AsyncIterable):
        return ReadAhead(aiter(source))
    if not isinstance(source, str | bytes):
        with suppress(TypeError):
            return iter(source)
    raise InvalidInputError(
        f"the source of a bulk run must be an iterable or an async iterable, got {type(source).__name__}"
    )
