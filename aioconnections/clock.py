"""The one source of time. Whoever waits is given a `Clock`, so that a test can pass an hour in a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import anyio

__all__ = ["Clock", "LoopClock"]


class Clock(Protocol):
    """What the library asks of time; all of it in seconds."""

    def now(self) -> float:
        """A time that never goes back; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return once at least `seconds` have passed."""
        ...


class LoopClock:
    """The time of the event loop that is running when it is made."""

    def __init__(self) -> None:
        # asked several times per request: the loop's own function costs a twentieth of anyio.current_time()
        try:
            self._now: Callable[[], float] = asyncio.get_running_loop().time
        except RuntimeError:
            self._now = anyio.current_time

    def now(self) -> float:
        """The loop's own time."""
        return self._now()

    async def sleep(self, seconds: float) -> None:
        """Wait as the loop waits."""
        await anyio.sleep(seconds)
