"""Time, sleep and timers. Code that waits takes a `Clock`, so that a test can replace it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio

__all__ = ["Clock", "LoopClock", "Timer", "is_cancelled", "on_asyncio", "within"]


class Timer(Protocol):
    """A scheduled callback."""

    def cancel(self) -> object:
        """Prevent the call, unless it has been made."""
        ...


class Clock(Protocol):
    """Time, sleep and timers, in seconds. Only `now` must work in any thread."""

    def now(self) -> float:
        """A monotonic time; only differences are meaningful."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return once at least `seconds` have passed."""
        ...

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call `callback`, which must neither wait nor raise, once `now` has reached `when`."""
        ...


async def within(clock: Clock, seconds: float, awaitable: Awaitable[object]) -> bool:
    """Await `awaitable` for at most `seconds` by `clock`; return whether it finished."""
    with anyio.CancelScope() as scope:
        timer = clock.call_at(clock.now() + seconds, scope.cancel)
        try:
            await awaitable
        finally:
            timer.cancel()
    return not scope.cancelled_caught


def on_asyncio() -> bool:
    """Whether the caller runs in an asyncio task."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


def is_cancelled() -> bool:
    """Whether the current task is being cancelled; False if code raised a cancellation error by itself."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return True  # trio: only a cancelled scope raises Cancelled
    return task is None or task.cancelling() > 0


class LoopClock:
    """The time of the running event loop."""

    def now(self) -> float:
        """The time of the loop."""
        try:
            return asyncio.get_running_loop().time()  # anyio's indirection costs more than parsing a response head
        except RuntimeError:
            return anyio.current_time()

    def here(self) -> Callable[[], float]:
        """The time of the running event loop, cheaper than `now` and valid in any thread."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            import trio

            return trio.lowlevel.current_clock().current_time
        # asyncio's own loops only wrap the system's clock
        return time.monotonic if type(loop).time is asyncio.BaseEventLoop.time else loop.time

    async def sleep(self, seconds: float) -> None:
        """Sleep in the event loop."""
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
