"""What the requests of one client share, and the count of what a conversation cost."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from aioconnections.clock import Clock
from aioconnections.policy.limiter import Limiter
from aioconnections.policy.retry import Retry
from aioconnections.slots import Slots
from aioconnections.transport import Engine

__all__ = ["Meter", "Traffic"]


@frozen
class Traffic:
    """What all users of one client share.

    Attributes:
        attempt_timeout: seconds for one request, from connecting to the last byte of its answer.
        item_timeout: seconds for one conversation over all of its attempts; waiting for a slot or for the limiter
            does not count.
        chance: gives a number from 0 to 1.
    """

    engine: Engine
    slots: Slots
    limiter: Limiter
    retry: Retry
    clock: Clock
    chance: Callable[[], float]
    attempt_timeout: float
    item_timeout: float


class Meter:
    """What one conversation has cost so far; see `Outcome` for the meaning of its figures."""

    __slots__ = ("_now", "_started", "attempts", "waited")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._started = now()
        self.attempts: int = 0
        self.waited: float = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the start, less those `waited`."""
        return self.elapsed_at(self._now())

    def elapsed_at(self, moment: float) -> float:
        """The same, for somebody who has just looked at the clock."""
        return moment - self._started - self.waited
