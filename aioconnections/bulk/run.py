"""Bulk runs: source → workers → outcomes, bounded at every joint.

Workers pull the source themselves, so nothing is read before somebody is there to work on it, and never more than the
window is read ahead of the consumer. Whoever enters the block owns the workers: when it is left, for whatever reason,
they are gone.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from copy import copy
from types import TracebackType
from typing import Generic, Self, TypeVar

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from aioconnections.bulk.job import Job
from aioconnections.bulk.reporting import Reporter
from aioconnections.clock import Timer, is_cancelled, within
from aioconnections.errors import (
    ConnectionsError,
    DeadlineError,
    InvalidInputError,
    ServerUnavailableError,
    UsageError,
)
from aioconnections.outcomes import Count, Outcome, Tally
from aioconnections.session.parking import Parking
from aioconnections.session.runtime import Runtime
from aioconnections.session.telemetry import Progress

__all__ = ["Outcomes"]

OutT = TypeVar("OutT", bound=Outcome)

_MOST_PARKED = 20_000


class Outcomes(Generic[OutT]):
    """The outcomes of a bulk run: ``async with client.check_many(pairs) as outcomes: async for outcome in outcomes``.

    They come as they complete, or in the order of the source. Every item that was read gets exactly one; the iteration
    ends when the source does, or when the run stopped early, and then `stopped` says why. An exception of the source is
    raised, unchanged, after everything that had been read was given.

    Leaving the block early ends the run: nothing more is read or sent, and questions under way are cancelled. Changes
    that were sent already get as long as one attempt may take, so that it is known and recorded what became of them;
    `undelivered` has what was not taken, for every item that was read. The source remains the caller's, who may go on
    reading it, and closes it if it wants to be closed.
    """

    def __init__(
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
    ) -> None:
        self._job = job
        self._runtime = runtime
        self._admit = admit  # raises a `UsageError` where the client cannot be used
        self._run_timeout = run_timeout
        self._reporter = Reporter(job.run, runtime, on_progress)
        self._items, self._asked = _iterators(source)
        self._lock = anyio.Lock()  # an async source is asked by one worker at a time
        self._asking: anyio.CancelScope | None = None
        self._parking: Parking
        self._workers = workers
        self._window = 2 * workers
        self._ordered = ordered
        self._tasks: TaskGroup | None = None
        self._entered = False
        self._running = 0  # tasks: workers, and items that are parked
        self._read = 0
        self._given = 0
        self._count = Count()
        self._ready: deque[OutT] = deque()
        self._early: dict[int, OutT] = {}  # finished before their turn, in an ordered run
        self._undelivered: tuple[OutT, ...] = ()  # when the block was left
        self._turn = 0  # index of the outcome that an ordered run gives next
        self._ended = False  # nothing more is read
        self._cancelled = False  # from outside: the outcomes are not complete
        self._exhausted = False  # because the source had no more
        self._failure: BaseException | None = None  # of the source, or a defect of ours: raised at the end
        self._news: anyio.Event | None = None  # the consumer waits for it
        self._listening = False
        self._room: anyio.Event | None = None  # workers wait for it
        self._timer: Timer | None = None  # of the deadline of the run
        self.stopped: ConnectionsError | None = None
        """Why the run stopped before the source ended; None if it did not."""

    @property
    def tally(self) -> Tally:
        """What became of the items so far, whether or not the consumer has seen them yet."""
        return self._count.tally(self._read)

    async def __aenter__(self) -> Self:
        if self._entered:
            raise UsageError("a bulk run can be entered only once")
        self._entered = True
        self._admit()
        # not before: a run that is never entered must not wait for the garbage collector to say so
        self._parking = Parking(_capacity(self._workers, self._runtime.limiter.max_per_second), self._rebalance)
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._running = 1
        if self._run_timeout is not None:
            clock = self._runtime.clock
            why = DeadlineError(f"the run was not done within {self._run_timeout:g} s", sent="no")
            self._job.run.end_at(clock.now() + self._run_timeout, why)
            self._timer = clock.call_at(self._job.run.until, lambda: self._expire(why))
        self._reporter.start(lambda: self.tally, self._break_off)
        self._tasks.start_soon(self._start, self._tasks)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tasks is None:
            return
        tasks, self._tasks = self._tasks, None
        self._read_nothing_more()
        if self._timer is not None:
            self._timer.cancel()
        try:
            try:
                if self._running and self._job.changes:
                    await self._settle()
            finally:  # asyncio's own cancelling goes through every shield
                tasks.cancel_scope.cancel()
                # without the exception: a task group would wrap it, and the caller's own exception passes unchanged
                await tasks.__aexit__(None, None, None)
        finally:
            complete = self._exhausted and kind is None and self._given == self._read
            for outcome in self._job.cut:
                self._give(outcome)
            undelivered = self.undelivered
            self._undelivered = tuple(sorted(undelivered, key=lambda it: it.index)) if self._ordered else undelivered
            self._ready.clear()
            self._early.clear()
            try:
                with anyio.CancelScope(shield=True):
                    await self._job.aclose(complete=complete)
            except ConnectionsError as failure:
                self._stop(failure)
            finally:
                self._reporter.end(self.stopped)

    async def _settle(self) -> None:
        """Let changes that were sent come to an end, as long as an attempt may take; nothing more is sent."""
        runtime, run = self._runtime, self._job.run
        run.end(runtime.clock.now(), DeadlineError("the run has ended", sent="no"))
        self._end()
        with anyio.CancelScope(shield=True):
            await within(runtime.clock, runtime.attempt_timeout, run.until_settled())

    @property
    def undelivered(self) -> tuple[OutT, ...]:
        """Outcomes that are there and were not taken.

        After leaving the block early, those that nobody will take: with those that were taken, one for each item that
        was read. What was not sent, or was only a question, is `Unprocessed`, and a change that was sent without an
        answer in time is `InDoubt`.
        """
        return *self._undelivered, *self._ready, *(self._early[index] for index in sorted(self._early))

    def __aiter__(self) -> AsyncIterator[OutT]:
        return self

    async def __anext__(self) -> OutT:
        while not self._ready:
            if self._tasks is None:
                raise UsageError("outcomes are read inside of their own `async with` block")
            if not self._running:
                if self._cancelled:
                    await anyio.lowlevel.checkpoint()  # where the same cancellation reaches the consumer
                    raise UsageError("the bulk run was cancelled")
                failure, self._failure = self._failure, None
                raise failure or StopAsyncIteration
            if self._listening:
                raise UsageError("the outcomes of one run can be read by one task only")
            self._listening = True
            self._news = news = anyio.Event()
            try:
                await news.wait()
            finally:
                self._news = None
                self._listening = False
        self._given += 1
        if self._room is not None and self._read - self._given - self._parking.held <= self._window - self._workers:
            self._make_room()
        return self._ready.popleft()

    async def _start(self, tasks: TaskGroup) -> None:
        """Start the workers, once the job says that it makes sense."""
        try:
            await self._job.ready()
            self._hire(tasks)
        except BaseException as error:
            if not self._ends_with(error):
                raise
        finally:
            self._leave()

    def _hire(self, tasks: TaskGroup) -> None:
        """Start one more worker. Only a worker with an item does so: there are few more workers than items."""
        self._running += 1
        tasks.start_soon(self._work)

    @property
    def _working(self) -> int:
        """How many workers there are. A parked item has none."""
        return self._running - self._parking.parked

    def _rebalance(self) -> None:
        """An item has parked, and its worker with it, or gone on: start another worker if one is missing."""
        if self._ended or self._tasks is None or not self._has_room():
            return
        if self._room is not None:
            self._make_room()
        elif self._working < self._workers:
            self._hire(self._tasks)

    async def _work(self) -> None:
        job, parking = self._job, self._parking
        try:
            while not self._ended:
                if not job.is_ready():
                    await job.ready()
                    continue
                if self._items is not None and not parking.parked and self._read - self._given < self._window:
                    taken = self._pull()  # the way of nearly every item: nothing to wait for
                else:
                    taken = await self._take()
                if taken is None:
                    return
                if self._running - parking.parked < self._workers and self._tasks is not None:
                    self._hire(self._tasks)
                self._give(await job.do(*taken, parking))
                if (parking.used or job.over is not None) and self._is_superfluous():
                    return
        except BaseException as error:
            if not self._ends_with(error):
                raise
        finally:
            self._leave()

    def _ends_with(self, error: BaseException) -> bool:
        """End the run because of `error`; False if it only says that the task is being cancelled."""
        if isinstance(error, ConnectionsError) and not isinstance(error, UsageError):
            self._stop(error)
        elif isinstance(error, Exception) or _is_its_own(error):
            self._break_off(error)
        else:
            self._cancelled = True
            return False
        return True

    def _is_superfluous(self) -> bool:
        """Whether a worker that has done an item has to end: the run is over, or another one has taken its place."""
        if self._job.over is not None and self._tasks is not None:  # else the consumer has left, and that is why
            self._stop(copy(self._job.over))
        return self._working > self._workers

    async def _take(self) -> tuple[int, object] | None:
        """The next item and its index, once there is room for its outcome; None if nothing more is read."""
        if self._items is not None:
            return self._pull() if await self._roomy() else None
        async with self._lock:
            return await self._ask() if await self._roomy() else None

    def _has_room(self) -> bool:
        """Whether one more item may be read. Parked items do not count: there is a bound of their own for them."""
        parking = self._parking
        return self._read - self._given - parking.held < self._window and not parking.is_full

    def _make_room(self) -> None:
        """Wake the workers that wait for room."""
        if self._room is not None:
            self._room.set()
            self._room = None

    async def _roomy(self) -> bool:
        """Wait until one more may be read; False if nothing more is."""
        while not self._ended and not self._has_room():
            if self._room is None:
                self._room = anyio.Event()
            await self._room.wait()
        return not self._ended

    def _pull(self) -> tuple[int, object] | None:
        assert self._items is not None  # noqa: S101 # the caller has looked
        try:
            item = next(self._items)
            self._read += 1
            return self._read - 1, item
        except StopIteration:
            self._exhausted = True
            self._read_nothing_more()
        except BaseException as error:  # raised to the consumer after the outcomes of all that was read
            if not self._ends_with_source(error):
                raise
        return None

    async def _ask(self) -> tuple[int, object] | None:
        assert self._asked is not None  # noqa: S101 # one of the two is there
        try:
            with anyio.CancelScope() as self._asking:  # a run that stops does not wait for a source that is silent
                item = await anext(self._asked)
                self._read += 1
                return self._read - 1, item
        except StopAsyncIteration:
            self._exhausted = True
            self._read_nothing_more()
        except BaseException as error:
            if not self._ends_with_source(error):
                raise
        return None

    def _ends_with_source(self, error: BaseException) -> bool:
        """Break off because the source raised `error`; False if it only says that the task is being cancelled."""
        if not (isinstance(error, Exception) or _is_its_own(error)):
            return False
        self._break_off(error)
        return True

    def _give(self, outcome: OutT) -> None:
        """Hand an outcome to the consumer, in its turn."""
        self._count.add(outcome)
        if self._ordered:
            self._early[outcome.index] = outcome
            while (following := self._early.pop(self._turn, None)) is not None:
                self._turn += 1
                self._ready.append(following)
            if self._parking.used:
                self._parking.hold_behind(len(self._early))
        else:
            self._ready.append(outcome)
        news = self._news
        if news is not None:  # wake the consumer, once
            self._news = None
            news.set()

    def _stop(self, error: ConnectionsError) -> None:
        timely = isinstance(error, DeadlineError)  # an end that is known, before which whoever can start may
        if self.stopped is None or (isinstance(self.stopped, DeadlineError) and not timely):
            self.stopped = error
        if not timely or self._job.run.ended is None:
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
        """Read nothing more; wake the workers that wait to read."""
        self._read_nothing_more()
        if self._asking is not None:
            self._asking.cancel()
        if self._room is not None:
            self._room.set()

    def _read_nothing_more(self) -> None:
        self._ended = True
        self._parking.close()

    def _leave(self) -> None:
        self._running -= 1
        if self._running:
            return
        for index in sorted(self._early):  # whose turn never comes: a defect left a gap before them
            self._ready.append(self._early.pop(index))
        if self._news is not None:
            self._news.set()

    def __del__(self) -> None:
        if not getattr(self, "_entered", True):
            warnings.warn("a bulk run was never entered: nothing was done", RuntimeWarning, stacklevel=2, source=self)

    def __repr__(self) -> str:
        state = "stopped" if self.stopped else "running" if self._running else "done"
        return f"Outcomes({state}, {self._read} read, {self._given} given)"


def _is_its_own(error: BaseException) -> bool:
    """Whether code raised a cancellation although its task is not being cancelled: then its work is not complete."""
    return isinstance(error, anyio.get_cancelled_exc_class()) and not is_cancelled()


def _capacity(workers: int, max_per_second: float | None) -> int:
    """How many items of a run may be parked: those of two seconds, but within bounds."""
    per_second = float("inf") if max_per_second is None else max_per_second
    return int(min(max(2 * workers, 2 * per_second), _MOST_PARKED))


def _iterators(
    source: Iterable[object] | AsyncIterable[object],
) -> tuple[Iterator[object] | None, AsyncIterator[object] | None]:
    """The one of the two that `source` can give."""
    if isinstance(source, AsyncIterable):
        return None, aiter(source)
    if not isinstance(source, str | bytes):
        with suppress(TypeError):
            return iter(source), None
    raise InvalidInputError(
        f"the source of a bulk run is an iterable or an async iterable, not {type(source).__name__}"
    )
