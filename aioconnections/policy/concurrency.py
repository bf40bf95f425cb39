"""A bound on the requests under way: additive increase, multiplicative decrease.

An overloaded server responds with 429 or 503, or not in time. Latency alone never lowers the bound.
"""

from __future__ import annotations

__all__ = ["Concurrency"]

_DECREASE = 0.5


class Concurrency:
    """A bound between 1 and `most`, learned from how requests end.

    It starts at `most`. A refusal halves it, once for all requests under way at that moment. Below half of the refused
    value it grows by one with each good response; above, a bound of n grows by one with every n good responses.
    """

    __slots__ = ("_bound", "_cut_at", "_slow_from", "most")

    def __init__(self, most: int) -> None:
        self.most: int = most
        self._bound = float(most)
        self._slow_from = 1.0  # bound above which growth is slow
        self._cut_at = float("-inf")

    @property
    def bound(self) -> int:
        """Number of requests that may be under way now."""
        return int(self._bound)

    @property
    def is_full(self) -> bool:
        """Whether the bound is at `most`."""
        return self._bound >= self.most

    def answered(self) -> None:
        """Record a good response."""
        if self._bound < self.most:
            self._bound = min(float(self.most), self._bound + (1 if self._bound < self._slow_from else 1 / self._bound))

    def refused(self, started: float, now: float) -> None:
        """Record that a request started at `started` got 429 or 503, or no response in time."""
        if started >= self._cut_at:
            self._cut_at = now
            self._bound = self._slow_from = max(1.0, self._bound * _DECREASE)

    def restart(self, now: float) -> None:
        """Restart after an outage: from one, growing fast up to half of `most`."""
        self._cut_at = now
        self._slow_from = max(1.0, self.most * _DECREASE)
        self._bound = 1.0

    def __repr__(self) -> str:
        return f"Concurrency({self.bound} of {self.most})"
