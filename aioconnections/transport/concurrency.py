"""Limit on concurrent requests, served first come, first served."""

from __future__ import annotations

from collections import deque

import anyio

__all__ = ["ConcurrencyLimiter"]


class ConcurrencyLimiter:
    """Limits how many requests run at once; further callers wait in a queue.

    The limit is the lower of two bounds: what the server can handle, set by `change`, and how many connections this
    machine allows, set by `cap`. Neither changes the other. Both may change at any time; a lower limit takes effect as
    requests end.

    A released slot passes to the first waiter at once, so later callers cannot overtake.

    Attributes:
        free: number of free slots; negative while more requests run than a lowered limit allows.
        waiters: the callers that wait, in order.
    """

    __slots__ = ("_bound", "_cap", "_limit", "free", "waiters")

    def __init__(self, limit: int) -> None:
        self._bound = limit
        self._cap: int | None = None
        self._limit = limit
        self.free: int = limit
        self.waiters: deque[anyio.Event] = deque()

    @property
    def taken(self) -> int:
        """How many requests are running."""
        return self._limit - self.free

    @property
    def capped(self) -> int | None:
        """How many connections this machine allows; None if no limit has been reached."""
        return self._cap

    def cap(self, most: int | None) -> None:
        """Set how many connections this machine allows; None for any number."""
        self._cap = most
        self.change(self._bound)

    def change(self, limit: int) -> None:
        """Set how many requests the server can handle at once."""
        self._bound = limit
        if self._cap is not None and self._cap < limit:
            limit = self._cap
        self.free += limit - self._limit
        self._limit = limit
        while self.free > 0 and self.waiters:
            self.free -= 1
            self.waiters.popleft().set()

    def take(self) -> bool:
        """Take a slot without waiting; False if none is free."""
        if self.free <= 0:
            return False
        self.free -= 1
        return True

    async def acquire(self) -> None:
        """Take a slot, after all earlier waiters."""
        if self.take():
            return
        granted = anyio.Event()
        self.waiters.append(granted)
        try:
            await granted.wait()
        except BaseException:
            if granted.is_set():  # granted and cancelled in the same loop iteration: pass the slot on
                self.release()
            else:
                self.waiters.remove(granted)
            raise

    def release(self) -> None:
        """Pass the slot to the first waiter, or free it."""
        if self.waiters and self.free >= 0:
            self.waiters.popleft().set()
        else:
            self.free += 1

    def __repr__(self) -> str:
        return f"ConcurrencyLimiter({self.free} free, {len(self.waiters)} waiting)"
