"""A budget for retries: they stay a small share of the successful requests, so that they never become the load.

A client cannot tell a failing server from a failing request, but it can count: beyond an initial stock, one retry for
ten good responses.
"""

from __future__ import annotations

__all__ = ["RetryBudget"]

_STOCK = 35.0
_EARNED = 0.1


class RetryBudget:
    """The retries that a client may still make; a full outage costs at most the stock."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = _STOCK

    def earn(self) -> None:
        """Record a good response."""
        self._left = min(_STOCK, self._left + _EARNED)

    def spend(self) -> bool:
        """Take one retry; False if there is none left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True

    @property
    def left(self) -> int:
        """Number of retries left."""
        return int(self._left)

    @property
    def is_full(self) -> bool:
        """Whether the stock is full."""
        return self._left >= _STOCK

    def __repr__(self) -> str:
        return f"RetryBudget({self.left} left)"
