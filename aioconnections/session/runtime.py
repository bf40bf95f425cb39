"""What the requests of one client share, and what is known of the call or run that a request belongs to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from typing import TypeVar

import anyio
from attrs import frozen

from aioconnections.clock import Clock
from aioconnections.errors import ConnectionsError, DeadlineError
from aioconnections.policy.limiter import Limiter
from aioconnections.policy.retry import Retry
from aioconnections.session.applications import Applications, Monitor
from aioconnections.session.availability import Availability
from aioconnections.session.parking import Parking
from aioconnections.session.telemetry import Telemetry
from aioconnections.transport import Engine
from aioconnections.transport.concurrency import ConcurrencyLimiter

__all__ = ["CallContext", "CanaryContext", "Emails", "Run", "Runtime"]

T = TypeVar("T")


class Emails:
    """Whether the server hides e-mail addresses, which is asked once for everybody.

    Attributes:
        hidden: None as long as nobody knows.
        asking: held by whoever asks.
    """

    __slots__ = ("asking", "hidden")

    def __init__(self) -> None:
        self.hidden: bool | None = None
        self.asking: anyio.Lock = anyio.Lock()


@frozen
class Runtime:
    """What all users of one client share.

    Attributes:
        attempt_timeout: seconds for one request, from connecting to the last byte of its answer.
        item_timeout: seconds for one conversation over all of its attempts; waiting for a slot or for the limiter
            does not count.
        chance: gives a number from 0 to 1.
    """

    engine: Engine
    slots: ConcurrencyLimiter
    limiter: Limiter
    retry: Retry
    availability: Availability
    applications: Applications
    telemetry: Telemetry
    emails: Emails
    clock: Clock
    chance: Callable[[], float]
    attempt_timeout: float
    item_timeout: float

    @property
    def is_waiting(self) -> bool:
        """Whether requests wait for the server, or for one of its applications."""
        return self.applications.away or not self.availability.is_clear(self.clock.now())


class Run:
    """One bulk run, as far as its requests must know it.

    Attributes:
        id: names it in the log.
        until: no request of it starts after this time.
        ended: why, once one could not start because of that; else None.
    """

    __slots__ = ("_over", "_quiet", "_sent", "_waiting", "_why", "ended", "id", "until")

    def __init__(self, run_id: str) -> None:
        self.id: str = run_id
        self.until: float = float("inf")
        self.ended: ConnectionsError | None = None
        self._why: ConnectionsError = DeadlineError("the run has ended", sent="no")
        self._over = False
        self._waiting: set[anyio.CancelScope] = set()
        self._sent = 0  # changes that went out, and of which nothing is known yet
        self._quiet: anyio.Event | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing of it starts any more."""
        return self._over or self.ended is not None

    def end_at(self, moment: float, why: ConnectionsError) -> None:
        """Start no request from `moment` on; `why` is what whoever wants to is told."""
        self.until = moment
        self._why = why

    def end(self, now: float, why: ConnectionsError) -> None:
        """Start no request from now on, and let nobody wait for a chance to; what is under way goes on."""
        if now < self.until:
            self.end_at(now, why)
        self._over = True
        for scope in self._waiting:
            scope.cancel()

    async def wait(self, something: Awaitable[T]) -> T:
        """What `something` gives, unless the run ends meanwhile.

        Raises:
            ConnectionsError: it has, and why.
        """
        with anyio.CancelScope() as scope:
            if self._over:
                scope.cancel()
            self._waiting.add(scope)
            try:
                return await something
            finally:
                self._waiting.discard(scope)
        self.ended = self._why
        raise copy(self._why)

    def begun(self) -> None:
        """A change of one more item is about to be sent."""
        self._sent += 1

    def settled(self) -> None:
        """What became of it is known, and recorded."""
        self._sent -= 1
        if not self._sent and self._quiet is not None:
            self._quiet.set()

    async def quiet(self) -> None:
        """Wait until nothing that was sent is unknown."""
        while self._sent:
            self._quiet = anyio.Event()
            await self._quiet.wait()

    def check(self, moment: float) -> None:
        """Let a request start at `moment`, or refuse.

        Raises:
            ConnectionsError: the run is over by then, and why.
        """
        if moment >= self.until:
            self.ended = self._why
            raise copy(self._why)

    def __repr__(self) -> str:
        return f"Run({self.id}, {self._sent} sent)"


class CallContext:
    """What one conversation has cost so far; see `Outcome` for the meaning of its figures.

    Attributes:
        run: that it belongs to; None for a single call, which does not wait for a server that is away any longer than
            an item may take.
        intends: whether a change was about to be sent, or was.
        before_change: awaited before each attempt at a change, with the number of the change within the conversation.
        changes: how many changes the conversation has come to.
        changed_at: when the last of them was sent; None as long as none was.
        proving: whether this is the canary, which says nothing of the requests that it goes before.
        parking: where the item waits without its worker; None for a single call.
        sent_at: when the last request was sent.
        is_canary: whether its requests look after an application, so that they do not wait for it.
        refuted: awaited when a change that was sent was certainly not made, with the reason.
    """

    __slots__ = (
        "_changed_before",
        "_now",
        "_started",
        "attempts",
        "before_change",
        "changed_at",
        "changes",
        "intends",
        "parking",
        "proving",
        "refuted",
        "run",
        "sent_at",
        "waited",
    )

    is_canary: bool = False

    def __init__(
        self,
        now: Callable[[], float],
        run: Run | None = None,
        parking: Parking | None = None,
        *,
        proving: bool = False,
    ) -> None:
        self._now = now
        self._started = now()
        self.attempts: int = 0
        self.waited: float = 0.0
        self.run: Run | None = run
        self.parking: Parking | None = parking
        self.before_change: Callable[[int], Awaitable[None]] | None = None
        self.changes: int = 0
        self.changed_at: float | None = None
        self.sent_at: float = float("-inf")
        self.refuted: Callable[[ConnectionsError], Awaitable[None]] | None = None
        self._changed_before: float | None = None
        self.intends: bool = False
        self.proving: bool = proving

    @property
    def elapsed(self) -> float:
        """Seconds since the start, less those `waited`."""
        return self.elapsed_at(self._now())

    def elapsed_at(self, moment: float) -> float:
        """The same, for somebody who has just looked at the clock."""
        return moment - self._started - self.waited

    async def change(self, moment: float) -> None:
        """A change is about to be sent, at `moment`.

        Raises:
            ConnectionsError: it must not be.
        """
        run = self.run
        if run is not None and not self.intends:
            run.begun()
        self.intends = True
        if self.before_change is not None:
            await self.before_change(self.changes)
            moment = self._now()
            if run is not None:
                run.check(moment)  # it may have ended meanwhile
        self._changed_before, self.changed_at = self.changed_at, moment

    async def not_made(self, reason: ConnectionsError) -> None:
        """The change that was sent last was certainly not made."""
        self.changed_at = self._changed_before
        if self.refuted is not None:
            await self.refuted(reason)
        self.settle()

    def attempt(self, moment: float) -> None:
        """A request is sent at `moment`."""
        self.attempts += 1
        self.sent_at = moment

    def settle(self) -> None:
        """What became of the changes is known, and recorded; or nobody will ever know."""
        if self.intends and self.run is not None:
            self.intends = False
            self.run.settled()

    async def wait(self, something: Awaitable[T]) -> T:
        """What `something` gives; in a run, unless that ends meanwhile.

        Raises:
            ConnectionsError: it has, and why.
        """
        return await (something if self.run is None else self.run.wait(something))

    def parked(self) -> AbstractContextManager[None]:
        """A block for a wait of seconds: the worker of the item, if there is one, goes on with other items."""
        return nullcontext() if self.parking is None else self.parking()

    @property
    def lasted(self) -> float:
        """Seconds since the start."""
        return self._now() - self._started

    def since_change(self) -> float | None:
        """Seconds since a change was sent last; None if none was."""
        return None if self.changed_at is None else self._now() - self.changed_at


class CanaryContext(CallContext):
    """The meter of a canary, which tells `monitor` when it is sent.

    Attributes:
        first: number and time of its first request; None as long as none was sent.
    """

    __slots__ = ("_monitor", "first")

    is_canary = True

    def __init__(self, now: Callable[[], float], run: Run | None, monitor: Monitor) -> None:
        super().__init__(now, run, proving=True)
        self._monitor = monitor
        self.first: tuple[int, float] | None = None

    def attempt(self, moment: float) -> None:
        """See `CallContext`."""
        super().attempt(moment)
        number = self._monitor.application.canary_sent(moment)
        if self.first is None:
            self.first = number, moment
