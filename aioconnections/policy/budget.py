"""How much may be tried again: retries are a small part of what goes well, so that they never become the load.

A client alone cannot see whether the server fails or only one request does. It can see how much of all that it sends is
sent for a second time: beyond a store for bad moments, one retry for ten good answers.
"""

from __future__ import annotations

__all__ = ["RetryBudget"]

_STORE = 35.0
_EARNED = 0.1


class RetryBudget:
    """The retries that a client may still make; a full outage costs no more than the store."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = _STORE

    def earn(self) -> None:
        """A request was answered well."""
        self._left = min(_STORE, self._left + _EARNED)

    def spend(self) -> bool:
        """Take one retry; False if there is none left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True

    @property
    def left(self) -> int:
        """How many retries there are now."""
        return int(self._left)

    @property
    def is_full(self) -> bool:
        """Whether there is nothing to earn."""
        return self._left >= _STORE

    def __repr__(self) -> str:
        return f"RetryBudget({self.left} left)"
