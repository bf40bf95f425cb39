"""The bound on requests under way: first come, first served."""

from __future__ import annotations

from collections import deque

import anyio

__all__ = ["ConcurrencyLimiter"]


class ConcurrencyLimiter:
    """So many requests may be under way; who comes later waits in line.

    The bound is the lower of two: what the server bears, which `change` sets, and how many connections this machine
    allows, which `cap` sets. Neither changes the other.

    A released slot is handed to the first in line at once, so nobody who comes later can overtake. The bound may change
    at any time: a lower one is reached as requests end.
    """

    __slots__ = ("_bound", "_cap", "_free", "_limit", "_line")

    def __init__(self, limit: int) -> None:
        self._bound = limit
        self._cap: int | None = None
        self._limit = limit
        self._free = limit  # below zero while more are under way than the bound now allows
        self._line: deque[anyio.Event] = deque()

    @property
    def taken(self) -> int:
        """How many requests are under way."""
        return self._limit - self._free

    @property
    def capped(self) -> int | None:
        """How many connections this machine allows; None if it has not come to its limit."""
        return self._cap

    def cap(self, most: int | None) -> None:
        """This machine allows so many connections from now on; None for any number."""
        self._cap = most
        self.change(self._bound)

    def change(self, limit: int) -> None:
        """Another bound from now on."""
        self._bound = limit
        if self._cap is not None and self._cap < limit:
            limit = self._cap
        self._free += limit - self._limit
        self._limit = limit
        while self._free > 0 and self._line:
            self._free -= 1
            self._line.popleft().set()

    def take(self) -> bool:
        """Take a slot at once, if one is free."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    async def acquire(self) -> None:
        """Take a slot, after those who came before."""
        if self.take():
            return
        turn = anyio.Event()
        self._line.append(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():  # the slot came and the cancellation too: hand it on
                self.release()
            else:
                self._line.remove(turn)
            raise

    def release(self) -> None:
        """Give the slot to the first in line, or back."""
        if self._line and self._free >= 0:
            self._line.popleft().set()
        else:
            self._free += 1

    def __repr__(self) -> str:
        return f"ConcurrencyLimiter({self._free} free, {len(self._line)} waiting)"
