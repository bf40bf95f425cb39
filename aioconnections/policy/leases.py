"""Starts that a store has granted to this process, one lease at a time.

Processes that share a rate get their starts from one store, by its time. A lease holds the starts of about `LEASE`
seconds, so that few requests to the store are needed. It is used up by the time for which it was granted: a start that
comes more than `LATEST` seconds late is discarded, because later starts belong to other processes.

The difference between the two clocks is not known exactly, since a reply takes time. The one that is assumed makes each
start late by the time of the fastest recent reply at most, and never early, unless the clocks drift apart.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable
from math import ceil, inf

from attrs import frozen

from aioconnections.errors import InvalidInputError
from aioconnections.policy.limiter import Limiter, interval_of

__all__ = ["LATEST", "LEASE", "Grant", "LeasedStarts", "shared_interval"]

LEASE = 0.2  # seconds
LATEST = 0.02  # seconds
_CLOCK_HOLDS = 10.0  # seconds: then the clocks are compared again, because they drift apart
_MOST_PER_SECOND = 1e6  # a store counts in microseconds
_LEAST_PER_SECOND = 1e-5
_SHORTEST_WAIT = 0.005  # seconds between two requests for a lease, if the first was not granted


@frozen
class Grant:
    """The reply of a store to a request for starts.

    Attributes:
        now: the time of the store, in seconds.
        starts: the granted starts, by its time, ascending.
        interval: seconds between two starts of all processes in the long run.
        wait: seconds until another request can be granted.
    """

    now: float
    starts: tuple[float, ...]
    interval: float
    wait: float = 0.0


class LeasedStarts:
    """The starts of this process; see `Limiter` for the methods of a limiter.

    Args:
        max_per_second: starts per second that this process allows all processes together.
        burst: number of starts at once after a pause, likewise.
        on_need: called when starts may be needed: `wanted` says how many.
        share: while the store is away, requests start at one part in `share` of the rate; None if none start.

    Attributes:
        max_per_second: see above. Set it through `change`.
        burst: see above.
        late: number of starts that were discarded.
        not_before: time before which no lease is granted; it is looked then whether starts are needed.
        used: number of starts since the last request for a lease.

    Raises:
        InvalidInputError: see `shared_interval`.
    """

    __slots__ = (
        "_asked_at", "_behind", "_clocks", "_delay", "_granted_interval", "_is_away", "_is_needed", "_last",
        "_least", "_on_need", "_own_interval", "_pace", "_ready", "_share", "_spare", "_spare_from",
        "_used_per_second", "burst", "late", "max_per_second", "not_before", "used",
    )  # fmt: skip

    def __init__(
        self, max_per_second: float | None, burst: int, on_need: Callable[[], object], share: int | None = None
    ) -> None:
        self._own_interval = self._granted_interval = shared_interval(max_per_second)
        self.max_per_second: float | None = max_per_second
        self.burst: int = burst
        self.late: int = 0
        self.not_before: float = -inf
        self._on_need = on_need
        self._share = share
        self._spare = None if share is None else Limiter(1 / (self._own_interval * share))
        self._spare_from = -inf  # first start while the store is away
        self._is_away = False
        self._pace = 0.0  # interval imposed by the server
        self._ready: deque[float] = deque()  # granted starts, by the time of the store
        self._least = 0  # number of starts at which more are requested
        self._is_needed = False  # whether that was said
        self._last = -inf  # last assigned start
        self.used: int = 0
        self._asked_at = -inf
        self._used_per_second = 0.0  # until then
        self._clocks = [(-inf, inf), (-inf, inf)]  # for two periods: begin, and least difference
        self._behind = inf  # the time here minus the time of the store: the least difference of both
        self._delay = 0.0  # by how much replies came later than the fastest one, lately

    @property
    def lead(self) -> float:
        """Seconds before which no start is of use, because the reply may not be here by then.

        Without it, a process whose event loop is busy would discard most starts that were due at once.
        """
        return min(max(0.0, self._delay - LATEST / 2), LEASE)

    @property
    def own_interval(self) -> float:
        """Seconds between two starts, as far as this process decides."""
        return self._own_interval

    @property
    def granted_interval(self) -> float:
        """Seconds between two starts of all processes in the long run, as the store said last."""
        return self._granted_interval

    @property
    def interval(self) -> float:
        """Seconds between two starts of all processes in the long run."""
        return max(self._granted_interval, self._pace)

    @property
    def is_away(self) -> bool:
        """Whether the store is away. Setting it discards the starts at hand."""
        return self._is_away

    @is_away.setter
    def is_away(self, is_away: bool) -> None:
        if is_away:
            self._clocks, self._behind = [(-inf, inf), (-inf, inf)], inf  # it may come back with another clock
            self._ready.clear()
        if self._spare is not None:
            self._spare_from = self._last + self._spare.interval
        self._is_away = is_away

    def earliest(self, now: float) -> float:
        """See `Starts`."""
        if self._is_away and self._spare is not None:
            return self._spare.earliest(max(now, self._spare_from))
        ready = self._ready
        while ready:
            start = ready[0] + self._behind
            if start >= now - LATEST:
                return max(start, now, self._last + self._pace)
            ready.popleft()
            self.late += 1
        if now >= self.not_before:  # else they are requested then
            self._on_need()
        return inf

    def reserve(self, now: float) -> float:
        """See `Starts`."""
        if self._is_away and self._spare is not None:
            self._last = self._spare.reserve(max(now, self._spare_from))
            return self._last
        start = self.earliest(now)
        if start < inf:
            self._ready.popleft()
            self._last = start
            self.used += 1
            if not self._is_needed and len(self._ready) <= self._least:
                self._is_needed = True
                self._on_need()
        return start

    def give_back(self, start: float) -> None:
        """See `Starts`."""
        if self._is_away and self._spare is not None:
            self._spare.give_back(start)
        elif start < inf:
            insort(self._ready, start - self._behind)
            self.used -= 1

    def change(self, max_per_second: float | None, now: float) -> None:
        """See `Starts`; the starts that were granted stay valid.

        Raises:
            InvalidInputError: see `shared_interval`.
        """
        self._own_interval = shared_interval(max_per_second)
        self.max_per_second = max_per_second
        if self._spare is not None and self._share is not None:
            self._spare.change(1 / (self._own_interval * self._share), now)
        self._on_need()

    def restrain(self, per_second: float | None, now: float) -> None:
        """See `Starts`; other processes find out on their own."""
        self._pace = interval_of(per_second)
        if self._spare is not None:
            self._spare.restrain(per_second, now)

    def wanted(self, now: float, waiting: int) -> int:
        """How many starts to request at `now`, if `waiting` requests wait for one.

        It is as many as are likely to be used within the time of a lease; none while half of the last one is left.
        """
        if now < self.not_before or (not self._is_needed and len(self._ready) > max(self._least, waiting)):
            return 0
        demand = min(waiting + int(self._rate(now) * LEASE), self._most)
        return max(0, demand - len(self._ready))

    def asked(self, now: float) -> None:
        """Note that a lease is requested at `now`."""
        self._used_per_second = self._rate(now)
        self._asked_at, self.used = now, 0

    def granted(self, grant: Grant, now: float) -> None:
        """Take the starts of a lease that arrives at `now`."""
        current, previous = self._clocks
        difference = now - grant.now
        if now - current[0] > _CLOCK_HOLDS:
            current, previous = (now, inf), current
        self._clocks = [(current[0], min(current[1], difference)), previous]
        self._behind = min(self._clocks[0][1], previous[1])
        self._delay = max(self._delay / 2, difference - self._behind)
        self._is_needed = False
        self._granted_interval = grant.interval
        ready = self._ready
        is_sorted = not ready or not grant.starts or ready[-1] <= grant.starts[0]
        ready.extend(grant.starts)
        if not is_sorted:
            self._ready = deque(sorted(ready))
        self._least = len(self._ready) // 2
        if not grant.starts:
            self.not_before = now + max(grant.wait, _SHORTEST_WAIT)

    def take_unused(self, now: float) -> tuple[float, ...]:
        """The starts that can be given back to the store, by its time; this process has them no more."""
        unused = tuple(start for start in self._ready if start + self._behind > now + LATEST)
        self._ready.clear()
        return unused

    def _rate(self, now: float) -> float:
        """Starts that are used per second, over about the time of a lease."""
        since = max(now - self._asked_at, 1e-9)
        weight = min(1.0, since / LEASE)
        return self._used_per_second * (1 - weight) + self.used / since * weight

    @property
    def _most(self) -> int:
        """The number of starts in a lease."""
        return max(1, ceil(LEASE / self.interval))

    def __len__(self) -> int:
        return len(self._ready)

    def __repr__(self) -> str:
        return f"LeasedStarts(max_per_second={self.max_per_second}, {len(self._ready)} at hand)"


def shared_interval(max_per_second: float | None) -> float:
    """Seconds between two starts at a rate that processes share.

    Raises:
        InvalidInputError: the rate is not positive and finite, or too low or too high for a store.
    """
    if max_per_second is None:
        raise InvalidInputError("max_per_second must be a number if the rate is shared with other processes, got None")
    interval = interval_of(max_per_second)
    if not _LEAST_PER_SECOND <= max_per_second <= _MOST_PER_SECOND:
        raise InvalidInputError(
            "max_per_second must be between 0.00001 and 1,000,000 if the rate is shared with other processes, "
            f"got {max_per_second:g}"
        )
    return interval
