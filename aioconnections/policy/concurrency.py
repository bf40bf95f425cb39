"""How many requests may be under way: additive increase, multiplicative decrease.

A server that is asked too much says so with 429 or 503, or by not answering in time. That a server is merely slow says
nothing: latency alone never lowers the bound.
"""

from __future__ import annotations

__all__ = ["Concurrency"]

_DECREASE = 0.5


class Concurrency:
    """A bound between 1 and `most`, learned from how requests end.

    It begins at `most`. A refusal halves it, but only once for all requests that were under way at that moment. Below
    half of what was too much it grows by one with each good answer, above by one with each round of them.
    """

    __slots__ = ("_bound", "_cut_at", "_slow_from", "most")

    def __init__(self, most: int) -> None:
        self.most: int = most
        self._bound = float(most)
        self._slow_from = 1.0  # where growing becomes careful
        self._cut_at = float("-inf")

    @property
    def bound(self) -> int:
        """How many may be under way now."""
        return int(self._bound)

    @property
    def is_full(self) -> bool:
        """Whether there is nothing to grow."""
        return self._bound >= self.most

    def answered(self) -> None:
        """A request was answered well."""
        if self._bound < self.most:
            self._bound = min(float(self.most), self._bound + (1 if self._bound < self._slow_from else 1 / self._bound))

    def refused(self, started: float, now: float) -> None:
        """A request that had started at `started` was refused with 429 or 503, or not answered in time."""
        if started >= self._cut_at:
            self._cut_at = now
            self._bound = self._slow_from = max(1.0, self._bound * _DECREASE)

    def restart(self, now: float) -> None:
        """The server is back after an outage: begin with one, and grow fast to half of what there was."""
        self._cut_at = now
        self._slow_from = max(1.0, self.most * _DECREASE)
        self._bound = 1.0

    def __repr__(self) -> str:
        return f"Concurrency({self.bound} of {self.most})"
