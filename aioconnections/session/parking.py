"""Parking: items of a run that wait without a worker.

An item that waits for seconds (for the settle time of a lost response, or a canary) gives up its worker, so that other
items continue. The number of parked items is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio

__all__ = ["Parking"]


class Parking:
    """Counts the parked items of one run.

    Args:
        capacity: number of parked items at which the run stops reading.
        changed: called after an item was parked, and after it continues.

    Attributes:
        parked: number of items parked now.
        behind: in an ordered run, number of outcomes that are held until a parked item is done.
        used: whether an item was ever parked.
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
        """Whether the run must not read another item before a parked item continues."""
        return self.held >= self._capacity

    @property
    def held(self) -> int:
        """Number of items that were read and need no worker: the parked ones, and those behind them."""
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
        """Record how many outcomes are held until a parked item is done."""
        self.behind = count
        self._review()

    def _review(self) -> None:
        if self._closed or self.is_full:
            self._pressing.set()
        elif self._pressing.is_set():
            self._pressing = anyio.Event()

    def close(self) -> None:
        """Record that the run reads nothing more, so that only its parked items are left."""
        self._closed = True
        self._pressing.set()

    @property
    def is_pressing(self) -> bool:
        """Whether the run waits for a parked item: the parking is full, or the source has ended."""
        return self._pressing.is_set()

    async def until_pressing(self) -> None:
        """Wait until `is_pressing`."""
        await self._pressing.wait()

    def __repr__(self) -> str:
        return f"Parking({self.parked} of {self._capacity})"
