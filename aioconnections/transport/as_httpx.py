"""Adapter from httpx to lanes: `LaneTransport` is a transport for any `AsyncClient` of httpx or httpx2.

``httpx.AsyncClient(transport=LaneTransport())`` works for any URL, with httpx's exceptions, its four timeouts and
bodies streamed both ways. For a request of httpx2, response and exceptions are of httpx2. It has the properties of
lanes: no response is given to the wrong request, and cancelling a request does not close the connection of another.
httpx decodes each piece of content in one step, so encoded content is passed on in pieces of 1 KiB, which gzip and
deflate expand to 1 MiB at most.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, cast, overload

import httpx

from aioconnections.clock import Clock, LoopClock
from aioconnections.errors import (
    CertificateError,
    ConnectFailedError,
    DeadlineError,
    InvalidInputError,
    LocalLimitError,
    TransportError,
    UsageError,
)
from aioconnections.protocol.messages import Origin
from aioconnections.reprs import safe_repr
from aioconnections.transport.concurrency import ConcurrencyLimiter
from aioconnections.transport.http1 import ResponseReader, foreign_head
from aioconnections.transport.httpx_family import HTTPX, Family, either, family_of
from aioconnections.transport.lane import Lane, OriginPool, TimedWait
from aioconnections.transport.limits import LocalLimit
from aioconnections.transport.pool import IDLE_SECONDS, LanePool
from aioconnections.transport.tls import Verify
from aioconnections.transport.wire import CONNECTION_LOST

if TYPE_CHECKING:
    import httpx2
    from httpx2 import AsyncBaseTransport as _Successor
else:
    _Successor = object  # a client of httpx2 takes any object with the methods of a transport

__all__ = ["LaneTransport"]

_Phase = Literal["pool", "connect", "write", "read"]

_NO_LIMIT = 1 << 62
_MAX_ORIGINS = 1000
_RETRY_DELAY = 0.05  # seconds before the next attempt to connect, when this machine allows no further connection
_CODED_PIECE = 1 << 10  # bytes
_REPEATABLE = frozenset({"HEAD", "GET", "PUT", "DELETE"})
_TIMEOUTS: dict[_Phase, type[httpx.TimeoutException]] = {
    "pool": httpx.PoolTimeout,
    "connect": httpx.ConnectTimeout,
    "write": httpx.WriteTimeout,
    "read": httpx.ReadTimeout,
}


class LaneUsageError(httpx.TransportError, UsageError):
    """The transport is closed, or belongs to another event loop or process."""


@cache
def _usage_error(family: Family) -> type[httpx.TransportError]:
    """`LaneUsageError` for a family."""
    if family is HTTPX:
        return LaneUsageError
    return type("LaneUsageError", (family(httpx.TransportError), UsageError), {"__doc__": LaneUsageError.__doc__})


class _Timeouts:
    """The four timeouts of a request, in seconds; infinite if httpx passes none."""

    def __init__(self, request: httpx.Request, family: Family) -> None:
        self.family = family
        self._seconds: dict[str, float | None] = request.extensions.get("timeout", {})

    def seconds(self, phase: _Phase) -> float:
        seconds = self._seconds.get(phase)
        return math.inf if seconds is None else seconds

    def error(self, phase: _Phase) -> httpx.TimeoutException:
        return self.family(_TIMEOUTS[phase])(f"the {phase} timeout of {self.seconds(phase):g} s has expired")


def _translated(error: TransportError, phase: _Phase, timeouts: _Timeouts) -> httpx.TransportError:
    if isinstance(error, DeadlineError):
        return timeouts.error(phase)
    if isinstance(error, ConnectFailedError | CertificateError):
        return timeouts.family(httpx.ConnectError)(str(error))
    lost = str(error) == CONNECTION_LOST
    return timeouts.family(httpx.ReadError if lost else httpx.RemoteProtocolError)(str(error))


@contextlib.contextmanager
def _translating(phase: _Phase, timeouts: _Timeouts) -> Generator[None]:
    try:
        yield
    except LocalLimitError:
        raise
    except TransportError as error:
        raise _translated(error, phase, timeouts) from None


class _Outgoing:
    """A request as bytes: the head, and the body framed as the head declares."""

    def __init__(self, request: httpx.Request, family: Family) -> None:
        self._family = family
        fields = request.headers.raw
        if "host" not in request.headers:
            fields = [(b"Host", request.url.netloc), *fields]
        self.chunked = request.headers.get("transfer-encoding", "").lower() == "chunked"
        length = request.headers.get("content-length")
        if (length is not None and not (length.isascii() and length.isdigit())) or (
            "transfer-encoding" in request.headers and (not self.chunked or length is not None)
        ):
            raise family(httpx.LocalProtocolError)(
                "the request must have a decimal Content-Length or Transfer-Encoding: chunked, but not both"
            )
        self._length = int(length or 0)
        self.stream = request.stream
        self.replayable = isinstance(request.stream, family(httpx.ByteStream))
        try:
            self.head = foreign_head(request.method.encode("ascii"), request.url.raw_path, fields)
        except (InvalidInputError, UnicodeError) as error:
            raise family(httpx.LocalProtocolError)(str(error)) from None

    async def body(self) -> AsyncGenerator[bytes]:
        """The body in pieces, framed."""
        missing = self._length
        refused = self._family(httpx.LocalProtocolError)
        if not isinstance(self.stream, self._family(httpx.AsyncByteStream)):
            raise TypeError("the request must have an asynchronous body, got a synchronous one")
        pieces = aiter(self.stream)
        try:
            async for piece in pieces:
                missing -= len(piece)
                if not self.chunked and missing < 0:
                    raise refused(f"the request body is longer than its Content-Length of {self._length}")
                if piece:
                    yield b"%x\r\n%b\r\n" % (len(piece), piece) if self.chunked else piece
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
        if self.chunked:
            yield b"0\r\n\r\n"
        elif missing:
            raise refused(f"the request body is shorter than its Content-Length of {self._length}")


class _Body:
    """The body of a response. Closing it returns the lane."""

    def __init__(self, transport: LaneTransport, lane: Lane, timeouts: _Timeouts, *, coded: bool) -> None:
        self._transport = transport
        self._coded = coded
        self._lane: Lane | None = lane
        self._timeouts = timeouts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (lane := self._lane) is not None:
            reader = lane.reader
            content = reader.take()
            if content:
                size = _CODED_PIECE if self._coded else len(content)
                for start in range(0, len(content), size):
                    yield content[start : start + size]
            elif reader.failure is not None:
                with _translating("read", self._timeouts):
                    raise lane.failure(self._timeouts.seconds("read"))
            elif reader.done:
                return
            else:
                await self._transport.wait_ready(lane, self._timeouts)

    async def aclose(self) -> None:
        lane, self._lane = self._lane, None
        if lane is not None:
            self._transport.release(lane)


class _Incoming(_Body, httpx.AsyncByteStream):
    """The body of a response for httpx."""


@cache
def _incoming(family: Family) -> type[_Incoming]:
    """`_Incoming` for a family."""
    if family is HTTPX:
        return _Incoming
    return cast("type[_Incoming]", type("_Incoming", (_Body, family(httpx.AsyncByteStream)), {}))


class LaneTransport(httpx.AsyncBaseTransport, _Successor):
    """Lanes as a transport for any `AsyncClient` of httpx or httpx2. Provisional: may change before 1.0.

    The read timeout limits the wait for the whole head of a response, and each wait for more of its body.

    It belongs to the event loop and the process of its first request: each `asyncio.run` needs a transport of its own.
    It may be created anywhere, and closed in any event loop.

    Args:
        max_connections: how many requests may run at once; further ones wait, up to the pool timeout.
        verify: True for the system's trust store, the path of certificates to trust, a context, or False for no
            verification at all, which warns.
        clock: source of time.
    """

    def __init__(self, *, max_connections: int = 100, verify: Verify = True, clock: Clock | None = None) -> None:
        clock = LoopClock() if clock is None else clock
        self._clock = clock
        self._slots = ConcurrencyLimiter(max_connections)
        local_limit = LocalLimit(self._slots.cap, max_connections, clock)
        self._pool = LanePool(
            max_connections=max_connections,
            verify=verify,
            clock=clock,
            local_limit=local_limit,
            owner="transport",
        )
        self._timer = self._pool.timer
        self._origins: dict[tuple[str, bytes, int | None], Origin] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection, in any event loop."""
        await self._pool.aclose()

    @safe_repr
    def __repr__(self) -> str:
        return f"LaneTransport({self._pool!r})"

    @overload
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response: ...

    @overload
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response: ...

    async def handle_async_request(self, request: httpx.Request | httpx2.Request) -> httpx.Response | httpx2.Response:
        """Send `request` and return the response as soon as its head is known.

        Raises:
            httpx.TransportError: as from httpx's own transport; one that is also a `UsageError` if this transport is
                closed, or was used in another event loop or process before. For a request of httpx2, its own class of
                this name.
        """
        family = family_of(request, httpx.Request) or HTTPX
        return await self._handle(cast("httpx.Request", request), family)

    async def _handle(self, request: httpx.Request, family: Family) -> httpx.Response:
        origin = self._origin(request.url, family)
        self._pool_of(origin, family)
        outgoing, timeouts = _Outgoing(request, family), _Timeouts(request, family)
        lane: Lane | None = None
        while lane is None:
            await self._acquire_slot(timeouts)
            try:
                lane = await self._exchange(origin, outgoing, timeouts, request.method)
            except LocalLimitError as error:
                self._slots.release()
                if self._slots.capped is None:
                    raise family(httpx.ConnectError)(str(error)) from None
                await self._clock.sleep(_RETRY_DELAY)  # then queue for one of the open connections
            except BaseException:
                self._slots.release()
                raise
        head = lane.reader.head
        assert head is not None  # noqa: S101 -- `_exchange` waits for it
        coded = any(name.lower() == b"content-encoding" for name, _ in head.fields)
        return family(httpx.Response)(
            head.framing.status,
            headers=list(head.fields),
            stream=_incoming(family)(self, lane, timeouts, coded=coded),
            extensions={"http_version": head.framing.version, "reason_phrase": head.framing.reason},
        )

    def release(self, lane: Lane) -> None:
        """Return the lane of a response that has been read or abandoned."""
        lane.release(IDLE_SECONDS)
        self._slots.release()

    async def wait_ready(self, lane: Lane, timeouts: _Timeouts) -> None:
        """Wait until more of the response has arrived."""
        self._timer.set(lane, self._timer.now() + timeouts.seconds("read"))
        try:
            await lane.wire.wait_ready()
        except BaseException:
            lane.drop()
            raise
        lane.deadline = math.inf

    def _origin(self, url: httpx.URL, family: Family) -> Origin:
        if url.scheme not in {"http", "https"} or not url.raw_host:
            unsupported = family(httpx.UnsupportedProtocol)
            raise unsupported("the URL of a request must begin with http:// or https:// and name a host")
        key = (url.scheme, url.raw_host, url.port)
        origin = self._origins.get(key)
        if origin is None:
            if len(self._origins) >= _MAX_ORIGINS:
                self._origins.clear()
            port = url.port or (443 if url.scheme == "https" else 80)
            origin = self._origins[key] = Origin(url.scheme, url.raw_host.decode("ascii"), port)
        return origin

    def _pool_of(self, origin: Origin, family: Family) -> OriginPool:
        try:
            return self._pool.origin_pool(origin)
        except UsageError as misuse:
            error = _usage_error(family)(str(misuse))
        raise error

    async def _acquire_slot(self, timeouts: _Timeouts) -> None:
        if self._slots.take():
            return
        with TimedWait(self._timer, "queued", self._timer.now() + timeouts.seconds("pool")) as wait:
            await self._slots.acquire()
        if wait.expired:
            raise timeouts.error("pool")

    async def _exchange(self, origin: Origin, outgoing: _Outgoing, timeouts: _Timeouts, method: str) -> Lane:
        """A lane on which the head of the response has arrived."""
        pool = self._pool_of(origin, timeouts.family)
        while (lane := pool.lend(self._timer.now())) is not None and not lane.wire.quiet():
            lane.drop()
        if lane is not None:
            try:
                return await self._exchange_on(lane, outgoing, timeouts, method)
            except either(httpx.RemoteProtocolError, httpx.ReadError):
                if not outgoing.replayable or (lane.wire.sent and method not in _REPEATABLE):
                    raise
        with _translating("connect", timeouts):
            lane = await self._pool.connect(pool, self._timer.now() + timeouts.seconds("connect"))
        return await self._exchange_on(lane, outgoing, timeouts, method)

    async def _exchange_on(self, lane: Lane, outgoing: _Outgoing, timeouts: _Timeouts, method: str) -> Lane:
        reader = lane.reader = ResponseReader(method, limit=_NO_LIMIT, whole=False)
        try:
            lane.wire.attach(reader)
            await self._send(lane, outgoing, timeouts)
            if not reader.ready:
                await self.wait_ready(lane, timeouts)
        except BaseException:
            lane.drop()
            raise
        if reader.head is None:
            lane.drop()
            with _translating("read", timeouts):
                raise lane.failure(timeouts.seconds("read"))
        return lane

    async def _send(self, lane: Lane, outgoing: _Outgoing, timeouts: _Timeouts) -> None:
        """Send the request; stop early if a response or the end of the connection arrives."""
        await self._write(lane, outgoing.head, timeouts)
        async with contextlib.aclosing(outgoing.body()) as pieces:
            async for piece in pieces:
                if lane.reader.ready or lane.wire.lost:
                    lane.must_close = True
                    return
                await self._write(lane, piece, timeouts)

    async def _write(self, lane: Lane, data: bytes, timeouts: _Timeouts) -> None:
        self._timer.set(lane, self._timer.now() + timeouts.seconds("write"))
        await lane.wire.send(data)
        lane.deadline = math.inf
        if lane.expired:
            raise timeouts.error("write")
