"""How fast requests may start: the generic cell rate algorithm.

Each caller computes its start once, when it asks, and sleeps once; nobody polls and no tokens are handed out by a task.
The promise: in any window there are never more starts than ``burst + max_per_second × window``.
"""

from __future__ import annotations

from heapq import heappop, heappush

from aioconnections.errors import InvalidInputError

__all__ = ["Limiter"]


class Limiter:
    """Gives every caller the time at which it may start, in the order in which they ask.

    A start that is given back goes to whoever asks next, so that those who give up cost the others nothing.

    Args:
        max_per_second: starts per second in the long run; None for no limit.
        burst: how many may start at once after a pause.

    Raises:
        InvalidInputError: `max_per_second` is not positive and finite, or `burst` is no whole number from 1 on.
    """

    __slots__ = ("_burst", "_interval", "_last", "_next", "_pace", "_returned", "_stale", "max_per_second")

    max_per_second: float | None
    """Starts per second in the long run; None for no limit. Set it through `change`."""

    def __init__(self, max_per_second: float | None, burst: int = 1) -> None:
        self._interval = _interval(max_per_second)
        self._pace = 0.0  # the interval that the server imposes
        self.max_per_second = max_per_second
        self._burst = _whole(burst)
        self._next = float("-inf")  # when the next one would start if all of them kept exactly to the rate
        self._last = float("-inf")  # the last start that was given away
        self._returned: list[float] = []  # starts that nobody will use, a heap
        self._stale = float("-inf")  # starts up to this one belong to a former rate

    @property
    def interval(self) -> float:
        """Seconds between two starts in the long run; 0 without a limit."""
        return self._interval

    def reserve(self, now: float) -> float:
        """The time, `now` or later, at which this caller may start; it must not start earlier."""
        while self._returned:
            start = heappop(self._returned)
            if start >= now:
                return start
        following = self._next
        if following <= now:  # nobody is ahead
            start = following = now
        else:
            start = max(now, self._last, following - (self._burst - 1) * self._interval)
            following = max(following, start)
        self._next = following + self._interval
        self._last = start
        return start

    def give_back(self, start: float) -> None:
        """Nothing starts at `start`, which this limiter gave away."""
        if start > self._stale:
            heappush(self._returned, start)

    def change(self, max_per_second: float | None, now: float, burst: int | None = None) -> None:
        """Another rate from `now` on. Starts that were given away stand, and the later ones follow them.

        Raises:
            InvalidInputError: as for a new limiter; nothing changes then.
        """
        interval, burst = _interval(max_per_second), self._burst if burst is None else _whole(burst)
        self._burst = burst
        self.max_per_second = max_per_second
        self._change(max(interval, self._pace), now)

    def restrain(self, per_second: float | None, now: float) -> None:
        """Keep to a lower rate than `max_per_second` from `now` on, because the server asks for it; None: no longer.

        Raises:
            InvalidInputError: it is not positive and finite.
        """
        self._pace = _interval(per_second)
        self._change(max(_interval(self.max_per_second), self._pace), now)

    def _change(self, interval: float, now: float) -> None:
        since = max(now, self._last)  # until the last start that was given away, the old rate goes on
        owed = max(0.0, self._next - since) / self._interval if self._interval else 0.0
        self._next = since + owed * interval
        self._interval = interval
        self._returned.clear()
        self._stale = self._last

    def __repr__(self) -> str:
        return f"Limiter(max_per_second={self.max_per_second}, burst={self._burst})"


def _interval(max_per_second: object) -> float:
    if max_per_second is None:
        return 0.0
    if not isinstance(max_per_second, int | float) or not 0 < max_per_second < float("inf"):
        raise InvalidInputError("max_per_second must be a positive number, or None for no limit")
    return 1 / max_per_second


def _whole(burst: object) -> int:
    if isinstance(burst, int) and burst >= 1:
        return burst
    raise InvalidInputError("burst must be a whole number, at least 1")
