"""A lane: one kept-alive connection that carries one request at a time.

A lane is in one of three states, and everything here is the way from one to the next:

- *lent*: somebody asked something over it, or is about to;
- *idle*: in the list of its pool, to be lent again;
- *dropped*: closed, and in no list any more.

`Watch` is the timer of all lanes of a pool. What it watches has a deadline, the end of the attempt for a lent lane,
of its rest for an idle one, and is told when it has passed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

import anyio

from aioconnections.clock import Clock, LoopClock, Timer
from aioconnections.errors import DeadlineError, ProtocolError, Sent, TransportError
from aioconnections.protocol.messages import Headers, Origin, Request
from aioconnections.transport.http1 import Answer, constant_part, request_bytes
from aioconnections.transport.wire import Wire

__all__ = ["Lane", "OriginPool", "Waiting", "Watch", "malformed"]

_NOTHING_ASKED = Answer("HEAD", limit=0)


def malformed(reason: str, status: int | None = None) -> ProtocolError:
    """The error for a response that is complete and not acceptable."""
    failure = ProtocolError(reason, sent="maybe", status=status)
    failure.deterministic = True
    return failure


class Watched(Protocol):
    """Something with a deadline; `math.inf` is none."""

    deadline: float
    state: str

    def expire(self) -> None:
        """The deadline has passed."""
        ...

    def drop(self) -> None:
        """Close it."""
        ...

    async def closed(self) -> None:
        """Wait until it is closed. To be called after `drop`."""
        ...


class Watch:
    """One timer for many deadlines: it is set to the earliest and looks at all of them when it goes off.

    Deadlines are mostly put off, seldom drawn near, so that it goes off every few seconds however many requests
    there are.
    """

    def __init__(self, clock: Clock) -> None:
        self.entries: set[Watched] = set()
        self.now: Callable[[], float] = clock.now
        self.at: float = math.inf
        self._clock = clock
        self._timer: Timer | None = None

    def settle(self) -> None:
        """Stay with the event loop that is running: its time is then cheaper to ask for."""
        if isinstance(self._clock, LoopClock):
            self.now = self._clock.here()

    def set(self, entry: Watched, deadline: float) -> None:
        """Tell `entry` once `deadline` has passed."""
        entry.deadline = deadline
        if deadline < self.at:
            self.arm(deadline)

    def stop(self) -> None:
        """Forget the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.at = math.inf

    def arm(self, when: float) -> None:
        """Look at all deadlines at `when`, or earlier."""
        self.stop()
        self.at = when
        self._timer = self._clock.call_at(when, self._sweep)

    def _sweep(self) -> None:
        self._timer, self.at = None, math.inf
        now = self.now()
        for entry in [entry for entry in self.entries if entry.deadline <= now]:
            entry.expire()
        earliest = min((entry.deadline for entry in self.entries), default=math.inf)
        if earliest < self.at:
            self.arm(earliest)


class Waiting:
    """A wait that a deadline ends: ``with Waiting(…) as waiting: …``, and then ask whether it is `over`."""

    def __init__(self, watch: Watch, state: str, deadline: float) -> None:
        self.state = state
        self.deadline: float = deadline
        self._watch = watch
        self._scope = anyio.CancelScope()

    def __enter__(self) -> Self:
        self._scope.__enter__()
        self._watch.entries.add(self)
        self._watch.set(self, self.deadline)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._watch.entries.discard(self)
        return bool(self._scope.__exit__(kind, error, trace))

    @property
    def over(self) -> bool:
        """Whether the wait was broken off."""
        return self._scope.cancelled_caught

    def expire(self) -> None:
        """The time is up."""
        self.drop()

    def drop(self) -> None:
        """Break the wait off."""
        self.deadline = math.inf
        self._scope.cancel()

    async def closed(self) -> None:
        """Whoever waits sees to that."""


class OriginPool:
    """What a pool knows of one origin: the lanes that wait there, and the constant part of a request's head."""

    __slots__ = ("_common", "_constant", "idle", "origin")

    def __init__(self, origin: Origin) -> None:
        self.origin: Origin = origin
        self.idle: list[Lane] = []
        self._common: Headers | None = None
        self._constant = b""

    def lend(self, now: float) -> Lane | None:
        """The lane that was used last of those that can be used. That it is quiet, its wire sees to."""
        idle = self.idle
        while idle:
            lane = idle[-1]
            if now < lane.deadline and not lane.wire.lost:
                idle.pop()
                lane.state = "lent"
                return lane
            lane.drop()
        return None

    def payload(self, request: Request, common: Headers) -> bytes:
        """The bytes of `request`. Requests come with the same `common` object many times over."""
        if common is not self._common:
            self._constant = constant_part(self.origin.authority, common)
            self._common = common
        return request_bytes(request, self._constant)


class Lane:
    """One connection to one pool.

    Attributes:
        answer: to what was asked last.
        deadline: when the attempt is over, or the rest.
        expired: the attempt took too long.
        unfit: it must not be used again, whatever the answer says of that.
        used: whether it has carried a request before the present one.
        wire: the connection itself.
    """

    __slots__ = (
        "_left",
        "_pool",
        "_watch",
        "answer",
        "deadline",
        "expired",
        "state",
        "unfit",
        "used",
        "wire",
    )

    def __init__(self, wire: Wire, pool: OriginPool, watch: Watch) -> None:
        self.wire: Wire = wire
        self.answer: Answer = _NOTHING_ASKED
        self.deadline: float = math.inf
        self.state: str = "lent"  # "idle", "dropped"
        self.used: bool = False
        self.unfit: bool = False
        self._pool = pool
        self._watch = watch
        self._left = math.inf
        self.expired: bool = False
        wire.on_lost = self._lost
        watch.entries.add(self)

    def failure(self) -> TransportError:
        """Why there is no answer."""
        status = self.answer.status
        sent: Sent = "maybe" if self.wire.sent else "no"
        if self.expired:
            return DeadlineError("the answer was not complete when its time was over", sent=sent, status=status)
        failure = ProtocolError(self.answer.failure or "there is no answer", sent=sent, status=status)
        failure.deterministic = self.answer.malformed
        return failure

    def release(self, rest: float) -> None:
        """The answer has been taken. Wait for the next request, for `rest` seconds unless the server said otherwise."""
        answer = self.answer
        head = answer.head
        if head is None or self.unfit or self.wire.lost or not answer.persistent:
            self.drop()
            return
        self._left = self._left - 1 if head.requests_left is None else head.requests_left
        if head.rest is not None:
            rest = head.rest
        if self._left <= 0 or rest <= 0:
            self.drop()
            return
        self.state = "idle"
        self.used = True
        self.answer = _NOTHING_ASKED  # what it held is not held any longer
        self._pool.idle.append(self)
        watch = self._watch
        self.deadline = until = watch.now() + rest
        if until < watch.at:
            watch.arm(until)

    def drop(self) -> None:
        """Close it. Doing so again does nothing."""
        if self.state != "dropped":
            self._leave()
            self.wire.abort()

    async def closed(self) -> None:
        """Wait until the socket is closed."""
        await self.wire.closed()

    def expire(self) -> None:
        """The time is up: for the attempt if there is one, else for the rest."""
        self.expired = self.state == "lent"
        self.drop()

    def _lost(self) -> None:
        self._leave()
        self._watch.entries.discard(self)

    def _leave(self) -> None:
        if self.state == "idle":
            self._pool.idle.remove(self)
        self.state = "dropped"
        self.deadline = math.inf
