"""The bound on requests under way: first come, first served."""

from __future__ import annotations

from collections import deque

import anyio

__all__ = ["Slots"]


class Slots:
    """So many requests may be under way; who comes later waits in line.

    A released slot is handed to the first in line at once, so nobody who comes later can overtake.
    """

    __slots__ = ("_free", "_line")

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._line: deque[anyio.Event] = deque()

    def take(self) -> bool:
        """Take a slot at once, if one is free."""
        if not self._free:
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
        if self._line:
            self._line.popleft().set()
        else:
            self._free += 1

    def __repr__(self) -> str:
        return f"Slots({self._free} free, {len(self._line)} waiting)"
