"""Where items of a run wait without a worker.

An item that waits for something that takes seconds (the settle time of a lost response, a canary) gives up its worker,
so that the other items go on. The number of items that wait like this is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio

__all__ = ["Parking"]


class Parking:
    """Counts the parked items of one run.

    Args:
        capacity: how many items may be parked before the run stops reading.
        changed: called after an item has parked, and after it has gone on.

    Attributes:
        parked: how many items are parked now.
        behind: how many outcomes wait for the turn of a parked item, in an ordered run.
        used: whether any item ever was.
    """

    __slots__ = ("_capacity", "_changed", "_closed", "_pressing", "behind", "parked", "used")

    def __init__(self, capacity: int, changed: Callable[[], object]) -> None:
        self.parked: int = 0
        self.behind: int = 0
        self.used: bool = False
        self._capacity = capacity
        self._changed = changed
        self._closed = False  # the run reads nothing more
        self._pressing = anyio.Event()

    @property
    def is_full(self) -> bool:
        """Whether the run must not read another item before a parked one goes on."""
        return self.held >= self._capacity

    @property
    def held(self) -> int:
        """How many items are read and hold up no other one: those that are parked, and those behind them."""
        return self.parked + self.behind if self.parked else 0

    @contextmanager
    def __call__(self) -> Generator[None]:
        """Park the current item for the duration of the block."""
        self.parked += 1
        self.used = True
        self._review()
        self._changed()
        try:
            yield
        finally:
            self.parked -= 1
            self._review()
            self._changed()

    def hold_behind(self, count: int) -> None:
        """Note how many outcomes wait for their turn."""
        self.behind = count
        self._review()

    def _review(self) -> None:
        if self._closed or self.is_full:
            self._pressing.set()
        elif self._pressing.is_set():
            self._pressing = anyio.Event()

    def close(self) -> None:
        """Note that the run reads nothing more: from now on it has nothing to do but its parked items."""
        self._closed = True
        self._pressing.set()

    @property
    def is_pressing(self) -> bool:
        """Whether the run can only go on when a parked item does: the parking is full, or the source has ended."""
        return self._pressing.is_set()

    async def until_pressing(self) -> None:
        """Wait until `is_pressing`."""
        await self._pressing.wait()

    def __repr__(self) -> str:
        return f"Parking({self.parked} of {self._capacity})"
