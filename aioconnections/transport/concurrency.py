"""Limit on concurrent requests, served first come, first served."""

from __future__ import annotations

from collections import deque

import anyio

from aioconnections.policy.slots import Slots

__all__ = ["ConcurrencyLimiter"]


class ConcurrencyLimiter(Slots):
    """Limits how many requests run at once; further callers wait in a queue.

    A released slot passes to the first waiter at once, so later callers cannot overtake. See `Slots` for the limit.

    Attributes:
        waiters: the callers that wait, in order.
    """

    __slots__ = ("waiters",)

    free: int

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.waiters: deque[anyio.Event] = deque()

    def change(self, limit: int) -> None:
        """Set how many requests the server can handle at once, and admit waiters if there are more."""
        super().change(limit)
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
