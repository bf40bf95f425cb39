"""A lane: one kept-alive connection that carries one request at a time.

A lane is in one of three states:

- *lent*: a caller uses it for a request;
- *idle*: in the list of its origin pool, ready to be lent again;
- *dropped*: closed, and in no list.

`DeadlineTimer` is the one timer of all lanes of a pool. The deadline of a lent lane is the end of the attempt, that of
an idle lane the end of its idle time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol, Self

import anyio

from aioconnections.clock import Clock, LoopClock, Timer
from aioconnections.errors import DeadlineError, ProtocolError, Sent, TransportError, UsageError
from aioconnections.protocol.messages import NO_HEADERS, Headers, Origin, Request, Response
from aioconnections.transport.http1 import (
    NOT_HTTP_BUT_TLS,
    Decoder,
    MalformedResponseError,
    ResponseReader,
    body_too_large,
    constant_part,
    request_bytes,
)
from aioconnections.transport.tls_failures import speaks_tls
from aioconnections.transport.wire import Wire

__all__ = ["DeadlineTimer", "Lane", "LaneStream", "OriginPool", "TimedWait", "malformed", "too_late"]

_NO_REQUEST = ResponseReader("HEAD", limit=0)


def malformed(reason: str, status: int | None = None) -> ProtocolError:
    """The error for a response that is not acceptable; the same request would fail again."""
    failure = ProtocolError(reason, sent="maybe", status=status)
    failure.deterministic = True
    return failure


def too_late(timeout: float, *, sent: Sent, status: int | None = None) -> DeadlineError:
    """The error for a response that was not complete within `timeout` seconds."""
    return DeadlineError(f"no complete response within {timeout:.3g} s", sent=sent, status=status)


class _TimerEntry(Protocol):
    """An object with a deadline; `math.inf` means none."""

    deadline: float
    state: str

    def expire(self) -> None:
        """Act on the passed deadline."""
        ...

    def drop(self) -> None:
        """Close the connection, or cancel the wait."""
        ...

    async def closed(self) -> None:
        """Wait until `drop` has taken effect. Call it after `drop`."""
        ...


class DeadlineTimer:
    """One timer for many deadlines: set to the earliest, it checks all of them when it fires.

    Most deadlines move later before they pass, so it fires only every few seconds, for any number of requests.
    """

    def __init__(self, clock: Clock) -> None:
        self.entries: set[_TimerEntry] = set()
        self.now: Callable[[], float] = clock.now
        self.fires_at: float = math.inf
        self._clock = clock
        self._timer: Timer | None = None

    def bind(self) -> None:
        """Read the time from the running event loop directly, which is faster."""
        if isinstance(self._clock, LoopClock):
            self.now = self._clock.here()

    def set(self, entry: _TimerEntry, deadline: float) -> None:
        """Call the `expire` of `entry` once `deadline` has passed."""
        entry.deadline = deadline
        if deadline < self.fires_at:
            self.arm(deadline)

    def stop(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.fires_at = math.inf

    def arm(self, when: float) -> None:
        """Check all deadlines at `when` at the latest."""
        self.stop()
        self.fires_at = when
        self._timer = self._clock.call_at(when, self._sweep)

    def _sweep(self) -> None:
        self._timer, self.fires_at = None, math.inf
        now = self.now()
        for entry in [entry for entry in self.entries if entry.deadline <= now]:
            entry.expire()
        earliest = min((entry.deadline for entry in self.entries), default=math.inf)
        if earliest < self.fires_at:
            self.arm(earliest)


class TimedWait:
    """Cancels the block at a deadline: ``with TimedWait(…) as wait: …``, and afterwards check `wait.expired`."""

    def __init__(self, timer: DeadlineTimer, state: str, deadline: float) -> None:
        self.state = state
        self.deadline: float = deadline
        self._timer = timer
        self._scope = anyio.CancelScope()

    def __enter__(self) -> Self:
        self._scope.__enter__()
        self._timer.entries.add(self)
        self._timer.set(self, self.deadline)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._timer.entries.discard(self)
        return bool(self._scope.__exit__(kind, error, trace))

    @property
    def expired(self) -> bool:
        """Whether the block was cancelled."""
        return self._scope.cancelled_caught

    def expire(self) -> None:
        """Cancel the block."""
        self.drop()

    def drop(self) -> None:
        """Cancel the block."""
        self.deadline = math.inf
        self._scope.cancel()

    async def closed(self) -> None:
        """Return at once: the cancelled block cleans up after itself."""


class OriginPool:
    """The idle lanes of one origin, and the constant part of the head of its requests."""

    __slots__ = ("_common", "_constant", "idle", "origin")

    def __init__(self, origin: Origin) -> None:
        self.origin: Origin = origin
        self.idle: list[Lane] = []
        self._common: Headers | None = None
        self._constant = b""

    def lend(self, now: float) -> Lane | None:
        """The usable lane that was used last, or None. Its wire checks for unsolicited data."""
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
        """The bytes of `request`. Many requests share the same `common` object, so its bytes are cached."""
        if common is not self._common:
            self._constant = constant_part(self.origin.authority, common)
            self._common = common
        if request.method == "HEAD" and request.headers is NO_HEADERS:  # nearly every request of a bulk check
            return b"HEAD %b%b\r\n" % (request.target.encode("ascii"), self._constant)
        return request_bytes(request, self._constant)


class Lane:
    """One kept-alive connection of an origin pool.

    Attributes:
        deadline: end of the attempt or of the idle time.
        expired: the attempt took too long.
        must_close: the connection must not be used again, even if the response allows it.
        reader: reads the response to the latest request.
        used: whether it has carried a request before the current one.
        wire: the connection itself.
    """

    __slots__ = (
        "_pool",
        "_requests_left",
        "_timer",
        "deadline",
        "expired",
        "must_close",
        "reader",
        "state",
        "used",
        "wire",
    )

    def __init__(self, wire: Wire, pool: OriginPool, timer: DeadlineTimer) -> None:
        self.wire: Wire = wire
        self.reader: ResponseReader = _NO_REQUEST
        self.deadline: float = math.inf
        self.state: str = "lent"  # or "idle", "dropped"
        self.used: bool = False
        self.must_close: bool = False
        self._pool = pool
        self._timer = timer
        self._requests_left = math.inf
        self.expired: bool = False
        wire.on_lost = self._lost
        timer.entries.add(self)

    def failure(self, timeout: float) -> TransportError:
        """The error that says why there is no complete response; `timeout` is the limit that it had, in seconds."""
        status = self.reader.status
        sent: Sent = "maybe" if self.wire.sent else "no"
        if self.expired:
            return too_late(timeout, sent=sent, status=status)
        refusal = self.wire.refusal
        if refusal is not None and status is None:
            if self.used:
                refusal.sent = sent
            return refusal
        if self.reader.failure == NOT_HTTP_BUT_TLS and not self.used:
            return speaks_tls()
        failure = ProtocolError(self.reader.failure or "there is no response", sent=sent, status=status)
        failure.deterministic = self.reader.malformed
        return failure

    def release(self, idle_seconds: float) -> None:
        """Return to the pool, or close if the connection cannot be used again.

        An idle time declared by the server takes precedence over `idle_seconds`.
        """
        head = self.reader.head
        if head is not None and head.idle_seconds is not None:
            idle_seconds = head.idle_seconds
        if idle_seconds <= 0 or not self.is_reusable():
            self.drop()
            return
        self._requests_left = self._left()
        self.state = "idle"
        self.used = True
        self.reader = _NO_REQUEST  # frees the content
        self._pool.idle.append(self)
        timer = self._timer
        self.deadline = until = timer.now() + idle_seconds
        if until < timer.fires_at:
            timer.arm(until)

    def is_reusable(self) -> bool:
        """Whether another request may follow the response that `reader` has read."""
        reader = self.reader
        head = reader.head
        return (
            head is not None
            and reader.persistent
            and not self.must_close
            and not self.wire.lost
            and head.idle_seconds != 0
            and self._left() > 0
        )

    def _left(self) -> float:
        """Number of further requests that the server accepts after the current one."""
        head = self.reader.head
        declared = None if head is None else head.requests_left
        return self._requests_left - 1 if declared is None else declared

    def begin_next(self, reader: ResponseReader, deadline: float) -> None:
        """Prepare for a further request at once, without a return to the pool; the lane must be reusable."""
        self._requests_left = self._left()
        self.used = True
        self.reader = reader
        self.deadline = deadline
        if deadline < self._timer.fires_at:
            self._timer.arm(deadline)

    def drop(self) -> None:
        """Close the connection. Further calls do nothing."""
        if self.state != "dropped":
            self._leave()
            self.wire.abort()

    async def closed(self) -> None:
        """Wait until the socket is closed."""
        await self.wire.closed()

    def expire(self) -> None:
        """Close the connection at the end of the attempt or of the idle time."""
        self.expired = self.state == "lent"
        self.drop()

    def _lost(self) -> None:
        self._leave()
        self._timer.entries.discard(self)

    def _leave(self) -> None:
        if self.state == "idle":
            self._pool.idle.remove(self)
        self.state = "dropped"
        self.deadline = math.inf


class LaneStream:
    """A `StreamedResponse` over a lane; iterable once and only inside its block.

    The time of the attempt runs while the consumer waits for bytes, and stops while it processes them. Meanwhile the
    lane reads ahead up to 256 KiB.
    """

    def __init__(self, lane: Lane, timer: DeadlineTimer, timeout: float, limit: int) -> None:
        head = lane.reader.head
        assert head is not None  # noqa: S101 -- the caller waits for the head
        self._lane: Lane | None = lane
        self._timer = timer
        self._timeout = timeout
        self._seconds_left = lane.deadline - timer.now()
        self._limit = limit
        self._size = 0
        self._coding = head.framing.coding
        self._decoder: Decoder | None = None
        self._decoded: Iterator[bytes] = iter(())
        self.head: Response = head.empty_response
        lane.deadline = math.inf

    def __aiter__(self) -> LaneStream:
        return self

    async def __anext__(self) -> bytes:
        lane = self._lane
        if lane is None:
            raise UsageError("the response can be read only inside its async with block")
        try:
            piece = await self._next(lane)
        except MalformedResponseError as error:
            failure = malformed(str(error), self.head.status)
        else:
            if piece is None:
                raise StopAsyncIteration
            return piece
        lane.drop()
        raise failure

    async def _next(self, lane: Lane) -> bytes | None:
        reader = lane.reader
        while True:
            for piece in self._decoded:
                self._size += len(piece)
                if self._size > self._limit:
                    raise body_too_large(self._limit)
                return piece
            content = reader.take()
            if content and not self._coding:
                return content
            if content:
                self._decoder = self._decoder or Decoder(self._coding)
                self._decoded = self._decoder.feed(content)
            elif reader.failure is not None:
                raise lane.failure(self._timeout)
            elif reader.done:
                if self._decoder is not None:
                    self._decoder.end()
                return None
            else:
                await self._wait(lane)

    async def _wait(self, lane: Lane) -> None:
        begun = self._timer.now()
        self._timer.set(lane, begun + self._seconds_left)
        await lane.wire.wait_ready()
        if lane.state == "lent":
            lane.deadline = math.inf
        self._seconds_left -= self._timer.now() - begun

    def close(self) -> None:
        """End the iteration: the lane may carry other responses from now on."""
        self._lane = None
