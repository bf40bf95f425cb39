"""Turns: which request starts next, and when.

A request needs a slot, which bounds the requests under way, and a start, which the rate limit assigns. It gets both at
once, when both are there. Single calls and bulk runs wait in two queues, each in order of arrival:

- A start is assigned when it is due, and not before, so that a single call which has just arrived can have it.
- Single calls go first, but of ten turns one belongs to the runs, if one of their requests waits.
- Runs leave one slot to the single calls, unless there is only one.
"""

from __future__ import annotations

from collections import OrderedDict
from copy import copy
from math import inf

import anyio

from aioconnections.clock import Clock, Timer
from aioconnections.errors import ConnectionsError
from aioconnections.policy.limiter import Starts
from aioconnections.policy.slots import Slots

__all__ = ["Turns"]

_BETWEEN_RUNS = 9  # turns of single calls between two turns of runs
_LATE = 0.01  # seconds: starts that were due not longer ago are not lost if the event loop is busy


class Turns(Slots):
    """Gives turns to the requests of single calls and bulk runs.

    Args:
        limit: number of slots.
        limiter: limits the rate.
        clock: source of time.

    Attributes:
        singles: the single calls that wait, in order.
        runs: the requests of runs that wait, in order.
        in_runs: number of slots that runs hold.
        due: when the next request that waits starts, if it waits only for the rate limit; else None. Infinite if no
            start is at hand: `review` is called when that changes.
    """

    __slots__ = ("_clock", "_failed", "_limiter", "_singles_since", "_timer", "due", "in_runs", "runs", "singles")

    free: int

    def __init__(self, limit: int, limiter: Starts, clock: Clock) -> None:
        super().__init__(limit)
        self.singles: OrderedDict[anyio.Event, None] = OrderedDict()
        self.runs: OrderedDict[anyio.Event, None] = OrderedDict()
        self.in_runs: int = 0
        self._limiter = limiter
        self._clock = clock
        self._singles_since = 0  # turns of single calls since the last one of a run
        self.due: float | None = None
        self._timer: Timer | None = None  # for that time
        self._failed: dict[anyio.Event, ConnectionsError] = {}  # waits that ended without a turn

    @property
    def needed(self) -> int:
        """The number of requests that would start now if the rate limit allowed it."""
        return min(max(self.free, 0), len(self.singles) + len(self.runs))

    def change(self, limit: int) -> None:
        """See `Slots`; further slots go to those who wait."""
        super().change(limit)
        self.review()

    def take(self, moment: float, *, in_run: bool) -> bool:
        """Take a turn at `moment` without waiting; False if there is none."""
        if self.free <= 0 or self.due is not None or self.singles:
            return False
        if in_run and (self.runs or not self._has_room_for_run()):
            return False
        if self._limiter.earliest(moment) > moment:
            return False
        self._limiter.reserve(moment)
        self._note(in_run=in_run)
        return True

    async def wait(self, *, in_run: bool) -> None:
        """Wait for a turn, after the earlier requests of the same kind.

        Raises:
            ConnectionsError: see `fail`.
        """
        queue, granted = self.runs if in_run else self.singles, anyio.Event()
        queue[granted] = None
        self.review()
        try:
            await granted.wait()
        except BaseException:
            if self._failed.pop(granted, None) is not None:
                pass
            elif granted.is_set():  # granted and cancelled in the same loop iteration: pass the slot on
                self.release(in_run=in_run)
            else:
                del queue[granted]
                self.review()
            raise
        if self._failed and (error := self._failed.pop(granted, None)) is not None:
            raise copy(error)

    def fail(self, error: ConnectionsError, *, runs: bool) -> None:
        """End the waits of the single calls with `error`, and also those of the requests of `runs`."""
        for queue in (self.singles, self.runs) if runs else (self.singles,):
            while queue:
                waits = queue.popitem(last=False)[0]
                self._failed[waits] = error
                waits.set()
        self.review()

    def release(self, *, in_run: bool) -> None:
        """Return the slot of a request that has ended."""
        self.free += 1
        self.in_runs -= in_run
        if self.singles or self.runs:
            self.review()

    def earliest(self, moment: float) -> float:
        """The time before which no request starts that waits from `moment` on, as far as it is known."""
        start = self._limiter.earliest(moment)
        return moment if start == inf else start

    def review(self) -> None:
        """Give turns to those who wait, after something has changed."""
        now = self._clock.now()
        moment = now if self.due is None else min(now, self.due)  # it may be late, because the event loop was busy
        self._give(max(moment, now - _LATE), now)

    def _on_time(self, due: float) -> None:
        self.due = self._timer = None
        now = max(self._clock.now(), due)  # asyncio rounds
        self._give(max(due, now - _LATE), now)

    def _give(self, moment: float, now: float) -> None:
        """Give the turns whose starts lie between `moment` and `now`, and set the timer to the next one."""
        while (queue := self._next()) is not None:
            start = self._limiter.earliest(moment)
            if start > now:
                self._call_at(start)
                return
            moment = self._limiter.reserve(moment)
            self._note(in_run=queue is self.runs)
            queue.popitem(last=False)[0].set()
        if self._timer is not None:
            self._timer.cancel()
        self.due = self._timer = None

    def _next(self) -> OrderedDict[anyio.Event, None] | None:
        """The queue whose first request is next; None if no request waits that could have a slot."""
        if self.free <= 0:
            return None
        runs = self.runs if self.runs and self._has_room_for_run() else None
        if self.singles and (runs is None or self._singles_since < _BETWEEN_RUNS):
            return self.singles
        return runs

    def _has_room_for_run(self) -> bool:
        return self.in_runs < max(1, self.limit - 1)

    def _note(self, *, in_run: bool) -> None:
        """Count a turn."""
        self.free -= 1
        self.in_runs += in_run
        self._singles_since = 0 if in_run else self._singles_since + 1

    def _call_at(self, due: float) -> None:
        if self._timer is not None:
            if self.due == due:
                return
            self._timer.cancel()
        self.due = due
        self._timer = None if due == inf else self._clock.call_at(due, lambda: self._on_time(due))

    def __repr__(self) -> str:
        return f"Turns({self.free} free, {len(self.singles)} single calls and {len(self.runs)} of runs waiting)"
