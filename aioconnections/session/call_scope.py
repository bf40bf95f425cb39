"""The part of a single call that all of its requests share: its deadline, and its place among the calls that wait."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from contextlib import contextmanager
from typing import TypeVar

import anyio

from aioconnections.clock import Clock
from aioconnections.errors import DeadlineError, OverloadedError, ServerUnavailableError

__all__ = ["CallScope", "WaitingCalls", "away"]

T = TypeVar("T")


class WaitingCalls:
    """Counts the single calls that wait before a request, and bounds them.

    Attributes:
        count: number of calls that wait now.
        most: limit on them; None for no limit.
    """

    __slots__ = ("count", "most")

    def __init__(self, most: int | None) -> None:
        self.count: int = 0
        self.most: int | None = most

    def __repr__(self) -> str:
        return f"WaitingCalls({self.count} of {'any number' if self.most is None else self.most})"


class CallScope:
    """A single call.

    Only the first wait of a call may find too many calls waiting. Later, a request may have been sent.

    Args:
        clock: gives the time.
        waiting: counts the calls that wait.
        timeout: seconds for the whole call, with all waits; None for no limit.

    Attributes:
        timeout: seconds for the whole call; None for no limit.
        until: the deadline.
        is_admitted: whether the call has sent a request, or was allowed to wait.
    """

    __slots__ = ("_clock", "_waiting", "is_admitted", "timeout", "until")

    def __init__(self, clock: Clock, waiting: WaitingCalls, timeout: float | None) -> None:
        self._clock = clock
        self._waiting = waiting
        self.timeout: float | None = timeout
        self.is_admitted: bool = False
        self.until: float = float("inf") if timeout is None else clock.now() + timeout

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return self._clock.now() >= self.until

    @contextmanager
    def queued(self) -> Generator[None]:
        """A block in which the call waits.

        Raises:
            OverloadedError: too many calls wait already, and nothing was sent.
        """
        waiting = self._waiting
        if not self.is_admitted and waiting.most is not None and waiting.count >= waiting.most:
            raise OverloadedError(
                f"{waiting.count} calls wait already, as many as max_waiting allows; nothing was sent, try again later"
            )
        self.is_admitted = True
        waiting.count += 1
        try:
            yield
        finally:
            waiting.count -= 1

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Await `awaitable`, at most until the deadline.

        Raises:
            DeadlineError: the deadline has passed.
        """
        if self.timeout is None:
            return await awaitable
        with anyio.CancelScope() as scope:
            timer = self._clock.call_at(self.until, scope.cancel)
            try:
                return await awaitable
            finally:
                timer.cancel()
        raise self.late()

    def check(self, moment: float) -> None:
        """Raise if nothing may happen at `moment` any more.

        Raises:
            DeadlineError: the deadline has passed by then.
        """
        if moment >= self.until:
            raise self.late()

    def late(self) -> DeadlineError:
        """The error for a call that is not done in time."""
        return DeadlineError(f"not done within the timeout of {self.timeout:g} s", sent="no")

    def __repr__(self) -> str:
        return f"CallScope(until {self.until:g})"


def away(late: DeadlineError) -> ServerUnavailableError:
    """The error for a call whose deadline has passed while the server was away, or had asked for a pause."""
    return ServerUnavailableError(f"the server is away, or asks for a pause: {late}")
