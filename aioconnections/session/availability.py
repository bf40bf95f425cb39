"""The state of the server as the requests of a client show it, and the waits while it is away or asks for a pause.

`policy.outage`, `policy.concurrency` and `policy.pace` hold the state; this module updates them and does the waiting.
There is no background task: one of the waiting requests sends the probes, and another takes over if it is cancelled.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

import anyio

from aioconnections.clock import Clock
from aioconnections.errors import (
    DeadlineError,
    LocalLimitError,
    ServerUnavailableError,
    TransportError,
)
from aioconnections.policy.concurrency import Concurrency
from aioconnections.policy.limiter import Starts
from aioconnections.policy.outage import Outage
from aioconnections.policy.pace import Pace
from aioconnections.policy.retry import LONGEST_RETRY_AFTER, RetryBudget
from aioconnections.policy.slots import Slots
from aioconnections.session.telemetry import LOG, Wait
from aioconnections.shared import SharedState

__all__ = ["Availability", "Probe", "WaitingRoom"]

Probe: TypeAlias = Callable[[], Awaitable[bool]]
"""Sends a small request; returns whether the server, or the application, responds."""

_REFUSALS = frozenset({429, 503})
_AWAY = frozenset({502, 503, 504})


class WaitingRoom:
    """Where requests wait for the end of one outage; one of the waiting requests sends the probes.

    Args:
        name: name of the server or application, for messages.
        outage: state of the outage.
        clock: gives the time.
        max_outage: seconds after which waiting ends with an error; None for no limit.
        on_recovery: called after a successful probe.

    Attributes:
        probes: number of probes sent.
    """

    def __init__(
        self, name: str, outage: Outage, clock: Clock, max_outage: float | None, on_recovery: Callable[[], object]
    ) -> None:
        self.probes: int = 0
        self._name = name
        self._outage = outage
        self._clock = clock
        self._max_outage = float("inf") if max_outage is None else max_outage
        self._on_recovery = on_recovery
        self._waiting = 0
        self._probing = False
        self._changed = anyio.Event()

    @property
    def is_probing(self) -> bool:
        """Whether one of the waiting requests sends the probes."""
        return self._probing

    def wait(self, reason: Literal["server", "profiles", "communities"], now: float) -> Wait | None:
        """What requests wait for: the end of an outage, for which `reason` stands, or of a pause; None for neither."""
        outage = self._outage
        if outage.away:
            lasted = 0.0 if outage.since is None else now - outage.since
            probe_in = max(0.0, outage.probe_at - now, outage.held_until - now)
            left = None if self._max_outage == float("inf") else max(0.0, self._max_outage - lasted)
            return Wait(reason=reason, lasted=lasted, probe_in=probe_in, left=left)
        if now < outage.held_until:
            return Wait(reason="pause", pause=outage.pause, left=outage.held_until - now)
        return None

    async def clear(self, probe: Probe, until: float) -> None:
        """Wait until requests may be sent, at most until the time `until`.

        Raises:
            ServerUnavailableError: `until` is reached, or the outage lasts longer than `max_outage`.
        """
        outage, now = self._outage, self._clock.now
        if not self._waiting and outage.since is not None and now() - outage.since >= self._max_outage:
            outage.since = now()  # no request waited meanwhile: `max_outage` counts from now
        self._waiting += 1
        try:
            while not outage.is_clear(moment := now()):
                self._check(moment, until)
                if not outage.away:
                    await self._clock.sleep(outage.held_until - moment)
                elif self._probing:
                    await self._changed.wait()
                else:
                    await self._probe(probe, until)
        finally:
            self._waiting -= 1

    def _check(self, now: float, until: float) -> None:
        outage = self._outage
        if not outage.away:
            if outage.held_until > until:
                raise ServerUnavailableError(f"{self._name} asks for a pause of {outage.held_until - now:.0f} s")
        elif outage.since is not None and now >= min(until, outage.since + self._max_outage):
            raise ServerUnavailableError(f"{self._name} has been away for {now - outage.since:.0f} s")

    async def _probe(self, probe: Probe, until: float) -> None:
        """Wait for the time of the next probe, send it, and notify the other waiting requests."""
        outage, now = self._outage, self._clock.now
        self._probing = True
        try:
            last = min(until, (outage.since or 0.0) + self._max_outage)
            due = min(max(outage.probe_at, outage.held_until), last)
            await self._clock.sleep(max(0.0, due - now()))
            if now() >= last:
                return
            self.probes += 1
            there = await probe()
            outage.probed(now(), there=there)
            if there:
                LOG.info("%s responds again, after %d probes", self._name, self.probes)
                self._on_recovery()
        finally:
            self._probing = False
            changed, self._changed = self._changed, anyio.Event()
            changed.set()


class Availability:
    """The state of the server as the requests of one client show it.

    Attributes:
        is_clear: tells whether requests may be sent at a given time.
        doubts: number of events after which the server may have lost a login: refused connections, malformed
            responses, outages. A login that was proved before the last of them is proved again.
        steady: whether one more good response would leave this state unchanged.
    """

    def __init__(
        self,
        clock: Clock,
        slots: Slots,
        shared: SharedState,
        chance: Callable[[], float],
        *,
        most: int,
        max_outage: float | None,
    ) -> None:
        self.budget: RetryBudget = RetryBudget()
        self.outage: Outage = Outage(chance)
        self.is_clear: Callable[[float], bool] = self.outage.is_clear
        self.concurrency: Concurrency = Concurrency(most)
        self.pace: Pace = Pace()
        self.doubts: int = 0
        self.steady: bool = True
        self._clock = clock
        self._slots = slots
        self._shared = shared
        self._limiter: Starts = shared.starts
        self._room = WaitingRoom("the server", self.outage, clock, max_outage, self.recovered)

    def went_well(self, now: float, *, proving: bool = False) -> None:
        """Record a response that is not a refusal.

        The response to a canary (`proving`) does not end an outage: it says nothing about the requests that follow.
        """
        if not proving:
            self.outage.answered()
        self.budget.earn()
        self.concurrency.answered()
        self._slots.change(self.concurrency.bound)
        if self.pace.answered(now, self._limiter.max_per_second):
            self._limiter.restrain(self.pace.per_second, now)
        self.steady = self.budget.is_full and self.concurrency.is_full and self.pace.is_free and self.outage.is_over

    def refused(self, status: int, requested_pause: float | None, started: float, now: float) -> None:
        """Record a 429 or 5xx response to a request started at `started`, with the ``Retry-After`` seconds if any."""
        self.steady = False
        if requested_pause is not None and status in _REFUSALS:
            self.outage.hold(requested_pause, now)
            self._shared.pause(min(requested_pause, LONGEST_RETRY_AFTER))
        if status in _REFUSALS:
            self._slow_down(started, now)
        if status in _AWAY:
            self._count_failure(now)

    def failed(self, error: TransportError, started: float, now: float) -> None:
        """Record that a request started at `started` got no response."""
        if isinstance(error, LocalLimitError) or error.blocks_all_requests:
            return  # waiting would not help
        self.steady = False
        if isinstance(error, DeadlineError):
            self._slow_down(started, now)
        else:
            self.doubts += 1
        self._count_failure(now)

    def may_retry(self, now: float) -> bool:
        """Spend one retry of the budget; if none is left, count the server as away and return False."""
        self.steady = False
        if self.budget.spend():
            return True
        self.give_up(now)
        return False

    def give_up(self, now: float) -> None:
        """Count the server as away before the usual number of failures in a row."""
        self.steady = False
        if not self.outage.away:
            self.outage.begin(now)
            self._shared.went_away()
            LOG.warning("too many retries: no requests are sent until a probe succeeds")

    def _count_failure(self, now: float) -> None:
        was = self.outage.away
        self.outage.failed(now)
        if self.outage.away and not was:
            self._shared.went_away()
            LOG.warning("the server does not respond: no requests are sent until a probe succeeds")

    def heard_of_pause(self, seconds: float) -> None:
        """Record that the server has asked another process for a pause of `seconds`."""
        self.steady = False
        self.outage.hold(seconds, self._clock.now(), spread=False)

    def heard_of_outage(self) -> None:
        """Record that the server does not respond to another process."""
        if not self.outage.away:
            self.steady = False
            self.outage.begin(self._clock.now())
            LOG.warning("the server does not respond to another process: no requests are sent until a probe succeeds")

    async def clear(self, probe: Probe, until: float) -> None:
        """Wait until requests may be sent; see `WaitingRoom.clear`."""
        await self._room.clear(probe, until)

    @property
    def is_probing(self) -> bool:
        """Whether a request probes the server."""
        return self._room.is_probing

    @property
    def probes(self) -> int:
        """Number of probes sent."""
        return self._room.probes

    def wait(self, now: float) -> Wait | None:
        """What requests wait for; see `WaitingRoom.wait`."""
        return self._room.wait("server", now)

    def recovered(self) -> None:
        """Record the end of an outage of the server or of an application."""
        self.doubts += 1
        self.concurrency.restart(self._clock.now())
        self._slots.change(self.concurrency.bound)

    def _slow_down(self, started: float, now: float) -> None:
        self.concurrency.refused(started, now)
        self._slots.change(self.concurrency.bound)
        if self.pace.refused(started, now, self._limiter.max_per_second):
            self._limiter.restrain(self.pace.per_second, now)

    def __repr__(self) -> str:
        return f"Availability({self.outage!r}, {self.concurrency!r}, {self.budget!r})"
