"""The door for other people's httpx clients: our lanes as a transport of httpx.

``httpx.AsyncClient(transport=LaneTransport())`` works for any URL, with httpx's exceptions, its four timeouts and
bodies streamed both ways, and has what lanes have: no answer is given to the wrong request, and no connection is lost
to a cancelled one. Content is handed over as it came; httpx decodes it, each piece in one step. So content with a
coding is handed over in pieces of 1 KiB, of which gzip and deflate make 1 MiB at most.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from types import TracebackType
from typing import Literal, Self

import httpx

from aioconnections.clock import Clock, LoopClock
from aioconnections.errors import (
    CertificateError,
    ConnectFailedError,
    DeadlineError,
    InvalidInputError,
    LocalLimitError,
    TransportError,
)
from aioconnections.protocol.messages import Origin
from aioconnections.transport.concurrency import ConcurrencyLimiter
from aioconnections.transport.http1 import Answer, foreign_head
from aioconnections.transport.lane import Lane, Waiting
from aioconnections.transport.limits import Ceiling
from aioconnections.transport.pool import REST, Lanes
from aioconnections.transport.tls import Verify
from aioconnections.transport.wire import RESET

__all__ = ["LaneTransport"]

Phase = Literal["pool", "connect", "write", "read"]

_NO_LIMIT = 1 << 62
_PAUSE = 0.05  # seconds before a connection is tried for again, where this machine allowed none
_CODED_PIECE = 1 << 10
_REPEATABLE = frozenset({"HEAD", "GET", "PUT", "DELETE"})
_TOO_LATE: dict[Phase, type[httpx.TimeoutException]] = {
    "pool": httpx.PoolTimeout,
    "connect": httpx.ConnectTimeout,
    "write": httpx.WriteTimeout,
    "read": httpx.ReadTimeout,
}


def _meaning(error: TransportError, phase: Phase) -> httpx.TransportError:
    """Httpx's word for `error`."""
    if isinstance(error, DeadlineError):
        return _TOO_LATE[phase](str(error))
    if isinstance(error, ConnectFailedError | CertificateError):
        return httpx.ConnectError(str(error))
    return httpx.ReadError(str(error)) if str(error) == RESET else httpx.RemoteProtocolError(str(error))


@contextlib.contextmanager
def _translating(phase: Phase) -> Generator[None]:
    try:
        yield
    except LocalLimitError:
        raise
    except TransportError as error:
        raise _meaning(error, phase) from None


class _Times:
    """The four timeouts of a request, in seconds; httpx leaves one out, or says None, where there is none."""

    def __init__(self, request: httpx.Request) -> None:
        self._seconds: dict[str, float | None] = request.extensions.get("timeout", {})

    def until(self, phase: Phase, now: float) -> float:
        seconds = self._seconds.get(phase)
        return float("inf") if seconds is None else now + seconds


class _Outgoing:
    """A request as bytes: the head, and the body framed as the head says."""

    def __init__(self, request: httpx.Request) -> None:
        fields = request.headers.raw
        if "host" not in request.headers:
            fields = [(b"Host", request.url.netloc), *fields]
        self.chunked = request.headers.get("transfer-encoding", "").lower() == "chunked"
        length = request.headers.get("content-length")
        if (length is not None and not (length.isascii() and length.isdigit())) or (
            "transfer-encoding" in request.headers and (not self.chunked or length is not None)
        ):
            raise httpx.LocalProtocolError("the request does not say clearly how it is framed")
        self._left = int(length or 0)
        self.stream = request.stream
        self.replayable = isinstance(request.stream, httpx.ByteStream)
        try:
            self.head = foreign_head(request.method.encode("ascii"), request.url.raw_path, fields)
        except (InvalidInputError, UnicodeError) as error:
            raise httpx.LocalProtocolError(str(error)) from None

    async def body(self) -> AsyncGenerator[bytes]:
        """The body, piece by piece as it is provided."""
        left = self._left
        if not isinstance(self.stream, httpx.AsyncByteStream):
            raise TypeError("an asynchronous transport needs an asynchronous body")
        pieces = aiter(self.stream)
        try:
            async for piece in pieces:
                left -= len(piece)
                if not self.chunked and left < 0:
                    raise httpx.LocalProtocolError("the body is longer than the request declares")
                if piece:
                    yield b"%x\r\n%b\r\n" % (len(piece), piece) if self.chunked else piece
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
        if self.chunked:
            yield b"0\r\n\r\n"
        elif left:
            raise httpx.LocalProtocolError("the body is shorter than the request declares")


class _Incoming(httpx.AsyncByteStream):
    """The body of an answer. Closing it gives the lane back."""

    def __init__(self, transport: LaneTransport, lane: Lane, times: _Times, *, coded: bool) -> None:
        self._transport = transport
        self._coded = coded
        self._lane: Lane | None = lane
        self._times = times

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (lane := self._lane) is not None:
            answer = lane.answer
            content = answer.take()
            if content:
                size = _CODED_PIECE if self._coded else len(content)
                for start in range(0, len(content), size):
                    yield content[start : start + size]
            elif answer.failure is not None:
                with _translating("read"):
                    raise lane.failure()
            elif answer.done:
                return
            else:
                await self._transport.arrival(lane, self._times)

    async def aclose(self) -> None:
        lane, self._lane = self._lane, None
        if lane is not None:
            self._transport.give_back(lane)


class LaneTransport(httpx.AsyncBaseTransport):
    """Lanes for any `httpx.AsyncClient`.

    A read timeout covers the head of an answer as a whole, and each wait for more of the body.

    Args:
        max_connections: how many requests may be under way at once; further ones wait, for the pool timeout at most.
        verify: True for the system's trust store, a path of certificates to trust, a context, or False for no
            verification at all, which gives a warning.
        clock: where time comes from.
    """

    def __init__(self, *, max_connections: int = 100, verify: Verify = True, clock: Clock | None = None) -> None:
        clock = LoopClock() if clock is None else clock
        self._clock = clock
        self._places = ConcurrencyLimiter(max_connections)
        ceiling = Ceiling(self._places.cap, max_connections, clock)
        self._lanes = Lanes(max_connections=max_connections, verify=verify, clock=clock, ceiling=ceiling)
        self._watch = self._lanes.watch
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
        """Close every connection."""
        await self._lanes.aclose()

    def __repr__(self) -> str:
        return f"LaneTransport({self._lanes!r})"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` and return the answer as soon as its head is known.

        Raises:
            httpx.TransportError: as httpx's own transport does.
            UsageError: closed, or used from a second event loop or process.
        """
        origin = self._origin(request.url)
        outgoing, times = _Outgoing(request), _Times(request)
        lane: Lane | None = None
        while lane is None:
            await self._place(times)
            try:
                lane = await self._answered(origin, outgoing, times, request.method)
            except LocalLimitError as error:
                self._places.release()
                if self._places.capped is None:
                    raise httpx.ConnectError(str(error)) from None
                await self._clock.sleep(_PAUSE)  # and then wait in line for one of the connections that are open
            except BaseException:
                self._places.release()
                raise
        head = lane.answer.head
        assert head is not None  # noqa: S101 -- which is what "answered" means
        coded = any(name.lower() == b"content-encoding" for name, _ in head.fields)
        return httpx.Response(
            head.status,
            headers=list(head.fields),
            stream=_Incoming(self, lane, times, coded=coded),
            extensions={"http_version": head.version, "reason_phrase": head.reason},
        )

    def give_back(self, lane: Lane) -> None:
        """The answer has been read, or will not be."""
        lane.release(REST)
        self._places.release()

    async def arrival(self, lane: Lane, times: _Times) -> None:
        """Wait until there is more of the answer."""
        self._watch.set(lane, times.until("read", self._watch.now()))
        try:
            await lane.wire.more()
        except BaseException:
            lane.drop()
            raise
        lane.deadline = float("inf")

    def _origin(self, url: httpx.URL) -> Origin:
        if url.scheme not in {"http", "https"} or not url.raw_host:
            raise httpx.UnsupportedProtocol("the URL of a request begins with http:// or https:// and names a host")
        key = (url.scheme, url.raw_host, url.port)
        origin = self._origins.get(key)
        if origin is None:
            if len(self._origins) >= 1000:
                self._origins.clear()
            port = url.port or (443 if url.scheme == "https" else 80)
            origin = self._origins[key] = Origin(url.scheme, url.raw_host.decode("ascii"), port)
        return origin

    async def _place(self, times: _Times) -> None:
        """Wait for one of the places."""
        if self._places.take():
            return
        with Waiting(self._watch, "queued", times.until("pool", self._watch.now())) as waiting:
            await self._places.acquire()
        if waiting.over:
            raise httpx.PoolTimeout("no connection was free before the time was over")

    async def _answered(self, origin: Origin, outgoing: _Outgoing, times: _Times, method: str) -> Lane:
        """A lane on which the head of the answer has arrived."""
        site = self._lanes.enter(origin)
        while (lane := site.lend(self._watch.now())) is not None and not lane.wire.quiet():
            lane.drop()
        if lane is not None:
            try:
                return await self._ask(lane, outgoing, times, method)
            except (httpx.RemoteProtocolError, httpx.ReadError):
                if not outgoing.replayable or (lane.wire.sent and method not in _REPEATABLE):
                    raise
        with _translating("connect"):
            lane = await self._lanes.connect(site, times.until("connect", self._watch.now()))
        return await self._ask(lane, outgoing, times, method)

    async def _ask(self, lane: Lane, outgoing: _Outgoing, times: _Times, method: str) -> Lane:
        answer = lane.answer = Answer(method, limit=_NO_LIMIT, whole=False)
        try:
            lane.wire.attach(answer)
            await self._send(lane, outgoing, times)
            if not answer.ready:
                await self.arrival(lane, times)
        except BaseException:
            lane.drop()
            raise
        if answer.head is None:
            lane.drop()
            with _translating("read"):
                raise lane.failure()
        return lane

    async def _send(self, lane: Lane, outgoing: _Outgoing, times: _Times) -> None:
        """Send the request; stop if the answer, or the end of the connection, comes before its end."""
        await self._write(lane, outgoing.head, times)
        async with contextlib.aclosing(outgoing.body()) as pieces:
            async for piece in pieces:
                if lane.answer.ready or lane.wire.lost:
                    lane.unfit = True
                    return
                await self._write(lane, piece, times)

    async def _write(self, lane: Lane, data: bytes, times: _Times) -> None:
        self._watch.set(lane, times.until("write", self._watch.now()))
        await lane.wire.send(data)
        lane.deadline = float("inf")
        if lane.expired:
            with _translating("write"):
                raise lane.failure()
