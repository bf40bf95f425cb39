"""The one source of time. Whoever waits is given a `Clock`, so that a test can pass an hour in a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio

__all__ = ["Clock", "LoopClock", "Timer", "is_cancelled", "on_asyncio", "within"]


class Timer(Protocol):
    """Something that will happen."""

    def cancel(self) -> object:
        """It will not, unless it has."""
        ...


class Clock(Protocol):
    """What the library asks of time; all of it in seconds."""

    def now(self) -> float:
        """A time that never goes back; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return once at least `seconds` have passed."""
        ...

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call `callback`, which must neither wait nor raise, once `now` has reached `when`."""
        ...


async def within(clock: Clock, seconds: float, something: Awaitable[object]) -> bool:
    """Await `something`, no longer than `seconds` by `clock`; whether it came to its end."""
    with anyio.CancelScope() as scope:
        timer = clock.call_at(clock.now() + seconds, scope.cancel)
        try:
            await something
        finally:
            timer.cancel()
    return not scope.cancelled_caught


def on_asyncio() -> bool:
    """Whether the caller runs in a task of asyncio."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


def is_cancelled() -> bool:
    """Whether the current task is being cancelled, as opposed to code that raised a cancellation of its own."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return True  # trio: only a cancelled scope raises Cancelled
    return task is None or task.cancelling() > 0


class LoopClock:
    """The time of the event loop that is running."""

    def now(self) -> float:
        """The loop's own time."""
        try:
            return asyncio.get_running_loop().time()  # anyio's detour costs more than a whole answer head
        except RuntimeError:
            return anyio.current_time()

    def here(self) -> Callable[[], float]:
        """`now` for a caller that stays with the loop that is running."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return self.now
        # asyncio's own loops add nothing to the system's clock but a call
        return time.monotonic if type(loop).time is asyncio.BaseEventLoop.time else loop.time

    async def sleep(self, seconds: float) -> None:
        """Wait as the loop waits."""
        await anyio.sleep(seconds)

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """A timer of the loop on asyncio, a system task on trio."""
        try:
            return asyncio.get_running_loop().call_at(when, callback)
        except RuntimeError:
            return _trio_timer(when, callback)

    def __repr__(self) -> str:
        return "LoopClock()"


def _trio_timer(when: float, callback: Callable[[], object]) -> Timer:
    import trio

    scope = trio.CancelScope()

    async def wait() -> None:
        with scope:
            await trio.sleep_until(when)
            callback()

    trio.lowlevel.spawn_system_task(wait)
    return scope
