"""A rate limit for the start of requests: the generic cell rate algorithm.

Each caller gets its start time once and sleeps once; there is no polling and no task that refills tokens. In any window
there are at most ``burst + max_per_second × window`` starts.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Protocol

from aioconnections.errors import InvalidInputError

__all__ = ["Limiter", "Starts", "interval_of"]


class Starts(Protocol):
    """Assigns start times to requests; see `Limiter` for the meaning of the methods.

    Attributes:
        max_per_second: starts per second in the long run; None for no limit.
    """

    max_per_second: float | None

    @property
    def interval(self) -> float:
        """Seconds between two starts in the long run; 0 without a limit."""
        ...

    def earliest(self, now: float) -> float:
        """The start time that `reserve` would assign; infinite if no start is at hand."""
        ...

    def reserve(self, now: float) -> float:
        """Assign a start time, `now` or later; infinite if no start is at hand."""
        ...

    def give_back(self, start: float) -> None:
        """Return an assigned start that will not be used."""
        ...

    def change(self, max_per_second: float | None, now: float) -> None:
        """Change the rate from `now` on."""
        ...

    def restrain(self, per_second: float | None, now: float) -> None:
        """Keep to a rate below `max_per_second` from `now` on; None ends that."""
        ...


class Limiter:
    """Assigns start times to callers, first come, first served.

    A start that is given back goes to the next caller, so that a caller that gives up does not slow the others.

    Args:
        max_per_second: starts per second in the long run; None for no limit.
        burst: number of starts at once after a pause.

    Raises:
        InvalidInputError: `max_per_second` is not positive and finite, or `burst` is not an integer of at least 1.
    """

    __slots__ = ("_burst", "_interval", "_last", "_next", "_pace", "_returned", "_stale", "max_per_second")

    max_per_second: float | None
    """Starts per second in the long run; None for no limit. Set it through `change`."""

    def __init__(self, max_per_second: float | None, burst: int = 1) -> None:
        self._interval = interval_of(max_per_second)
        self._pace = 0.0  # interval imposed by the server
        self.max_per_second = max_per_second
        self._burst = _whole(burst)
        self._next = float("-inf")  # next start if all starts kept exactly to the rate
        self._last = float("-inf")  # last assigned start
        self._returned: list[float] = []  # unused starts, a heap
        self._stale = float("-inf")  # starts up to this one belong to an earlier rate

    @property
    def interval(self) -> float:
        """Seconds between two starts in the long run; 0 without a limit."""
        return self._interval

    def earliest(self, now: float) -> float:
        """The start time that `reserve` would assign."""
        while self._returned and self._returned[0] < now:
            heappop(self._returned)
        if self._returned:
            return self._returned[0]
        if self._next <= now:
            return now
        return max(now, self._last, self._next - (self._burst - 1) * self._interval)

    def reserve(self, now: float) -> float:
        """Assign a start time, `now` or later; the caller must not start earlier."""
        while self._returned:
            start = heappop(self._returned)
            if start >= now:
                return start
        following = self._next
        if following <= now:  # no other caller is ahead
            start = following = now
        else:
            start = max(now, self._last, following - (self._burst - 1) * self._interval)
            following = max(following, start)
        self._next = following + self._interval
        self._last = start
        return start

    def give_back(self, start: float) -> None:
        """Return an assigned start that will not be used."""
        if start > self._stale:
            heappush(self._returned, start)

    def change(self, max_per_second: float | None, now: float, burst: int | None = None) -> None:
        """Change the rate from `now` on. Assigned starts stay valid, and later ones follow them.

        Raises:
            InvalidInputError: as for a new limiter; nothing changes.
        """
        interval, burst = interval_of(max_per_second), self._burst if burst is None else _whole(burst)
        self._burst = burst
        self.max_per_second = max_per_second
        self._change(max(interval, self._pace), now)

    def restrain(self, per_second: float | None, now: float) -> None:
        """Keep to a rate below `max_per_second` from `now` on, because the server demands it; None ends that.

        Raises:
            InvalidInputError: `per_second` is not positive and finite.
        """
        self._pace = interval_of(per_second)
        self._change(max(interval_of(self.max_per_second), self._pace), now)

    def _change(self, interval: float, now: float) -> None:
        since = max(now, self._last)  # the old rate holds until the last assigned start
        owed = max(0.0, self._next - since) / self._interval if self._interval else 0.0
        self._next = since + owed * interval
        self._interval = interval
        self._returned.clear()
        self._stale = self._last

    def __repr__(self) -> str:
        return f"Limiter(max_per_second={self.max_per_second}, burst={self._burst})"


def interval_of(max_per_second: object) -> float:
    """Seconds between two starts at a rate; 0 for None.

    Raises:
        InvalidInputError: the rate is not positive and finite.
    """
    if max_per_second is None:
        return 0.0
    if not isinstance(max_per_second, int | float) or not 0 < max_per_second < float("inf"):
        raise InvalidInputError(
            f"max_per_second must be a positive number, or None for no limit, got {_shown(max_per_second)}"
        )
    return 1 / max_per_second


def _whole(burst: object) -> int:
    if isinstance(burst, int) and burst >= 1:
        return burst
    raise InvalidInputError(f"burst must be an integer of at least 1, got {_shown(burst)}")


def _shown(value: object) -> str:
    """A number, or the type of anything else, which may be a secret in the wrong place."""
    return str(value) if isinstance(value, int | float) else type(value).__name__
