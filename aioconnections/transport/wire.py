"""One connection, seen from the two event loops: bytes go out, and what arrives is fed to an answer.

`Wire` is all that a lane needs to know of either. `SocketWire` is asyncio's: it writes without waiting and reads in
the very callback that asyncio makes, so an answer is complete, and the connection closed if anything follows it,
before any task runs. `StreamWire` does the same over anyio's streams, for trio.

A wire never raises what the network does: it fails the answer instead. Only being cancelled comes out of it.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, cast

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSAttribute

from aioconnections.transport.http1 import Answer

__all__ = ["RESET", "SocketWire", "StreamWire", "Wire"]

_FULL = 256 * 1024  # bytes of content that wait for a slow reader before reading pauses
_AT_ONCE = 64 * 1024
RESET = "the connection was reset before the answer was complete"
_OURS = "the connection was closed on this side before the answer was complete"


class Wire(Protocol):
    """One open connection.

    Attributes:
        lost: it cannot be used any more.
        on_lost: called once the socket is closed, whoever closed it.
        sent: whether something of the request that was asked last may have left.
    """

    lost: bool
    on_lost: Callable[[], object] | None
    sent: bool

    def quiet(self) -> bool:
        """Whether nothing has arrived, the end of the connection included, that nobody asked for."""
        ...

    def ask(self, answer: Answer, payload: bytes) -> Awaitable[object]:
        """Send `payload`; what arrives from now on belongs to `answer`. To be awaited until that is ready."""
        ...

    def attach(self, answer: Answer) -> None:
        """What arrives from now on belongs to `answer`; a request is about to be sent piece by piece."""
        ...

    def more(self) -> Awaitable[object]:
        """To be awaited until the answer is ready again."""
        ...

    async def send(self, data: bytes) -> None:
        """Send more of the request, and wait while too much of it is under way."""
        ...

    def abort(self) -> None:
        """Close at once, without a farewell. Whoever waits is woken, and finds the answer failed."""
        ...

    async def closed(self) -> None:
        """Wait until the socket is closed. To be called after `abort`."""
        ...


def _readable(sock: socket.socket) -> Callable[[], object]:
    """A cheap way to ask whether `sock` has something to read, now."""
    if not hasattr(select, "poll"):
        return lambda: select.select([sock], [], [], 0)[0]
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return partial(poll.poll, 0)


class SocketWire(asyncio.BufferedProtocol):
    """A wire on asyncio.

    It reads into a buffer of its own: what asyncio would allocate for each read, 256 KiB, costs more than all the
    rest of an answer to HEAD. What lies in the buffer is copied before anything else can be read into it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.lost: bool = False
        self.sent: bool = False
        self.on_lost: Callable[[], object] | None = None
        self._future = loop.create_future
        self._answer: Answer | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._gone: asyncio.Future[None] = loop.create_future()
        self._reading = self._writable = True
        self._buffer = memoryview(bytearray(_AT_ONCE))

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected."""
        self._transport = cast(asyncio.Transport, transport)
        self._readable = _readable(transport.get_extra_info("socket"))

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 # asyncio passes it
        """Where to put what arrives."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes have arrived."""
        self._received(bytes(self._buffer[:nbytes]))

    def _received(self, data: bytes) -> None:
        """Feed the answer; without one, nobody asked for this."""
        answer = self._answer
        if answer is None:
            self.abort()
            return
        answer.feed(data)
        if answer.ready:
            self._wake(answer)
            if answer.buffered > _FULL and self._reading and self._answer is not None:
                self._reading = False
                self._transport.pause_reading()

    def eof_received(self) -> None:
        """The server will send no more: asyncio closes the connection."""
        self.lost = True

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over, which may be how an answer ends."""
        self.lost = True
        answer = self._answer
        if answer is not None:
            if exc is None:
                answer.eof()
            else:
                answer.fail(RESET)
            self._wake(answer)
        self.resume_writing()
        if not self._gone.done():
            self._gone.set_result(None)
        if self.on_lost is not None:
            self.on_lost()

    def pause_writing(self) -> None:
        """Too much waits to be sent."""
        self._writable = False

    def resume_writing(self) -> None:
        """It has been sent."""
        self._writable = True
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # what a lane calls

    def quiet(self) -> bool:
        """See `Wire.quiet`."""
        return not (self.lost or self._readable())

    def ask(self, answer: Answer, payload: bytes) -> asyncio.Future[None]:
        """See `Wire.ask`."""
        waiter = self._waiter = self._future()
        transport = self._transport
        self._answer = answer
        transport.write(payload)
        # asyncio sends at once; if that fails the transport is closing already, and nothing has left
        self.sent = not transport.is_closing()
        return waiter

    def attach(self, answer: Answer) -> None:
        """See `Wire.attach`."""
        self.sent = True
        self._answer = answer

    def more(self) -> asyncio.Future[None]:
        """See `Wire.more`."""
        if not self._reading:
            self._reading = True
            if not self._transport.is_closing():
                self._transport.resume_reading()
        waiter = self._waiter = self._future()
        return waiter

    async def send(self, data: bytes) -> None:
        """See `Wire.send`."""
        self._transport.write(data)
        if not self._writable and not self.lost:
            self._drained = self._future()
            await self._drained

    def abort(self) -> None:
        """See `Wire.abort`."""
        self.lost = True
        if self._answer is not None:
            self._answer.fail(_OURS)
            self._wake(self._answer)
        self.resume_writing()
        self._transport.abort()

    async def closed(self) -> None:
        """See `Wire.closed`."""
        await asyncio.shield(self._gone)

    def _wake(self, answer: Answer) -> None:
        if answer.done or answer.failure is not None:
            self._answer = None
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)


class StreamWire:
    """A wire over anyio's streams."""

    def __init__(self, socket_stream: ByteStream, stream: ByteStream) -> None:
        self.lost: bool = False
        self.sent: bool = False
        self.on_lost: Callable[[], object] | None = None
        self._stream = stream
        self._socket_stream = socket_stream
        self._answer: Answer | None = None
        self._raw = raw = socket_stream.extra(SocketAttribute.raw_socket)  # noqa: S610 -- not Django's
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._readable = _readable(raw)
        self._tls = stream.extra(TLSAttribute.ssl_object, None)  # noqa: S610 -- not Django's

    def quiet(self) -> bool:
        """See `Wire.quiet`."""
        return not (self.lost or self._readable() or self._decrypted())

    def _decrypted(self) -> bool:
        """Whether surplus lies in what TLS has read already, where the socket does not show it."""
        if self._tls is None:
            return False
        try:
            self._tls.read(1)
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError:
            pass
        return True

    async def ask(self, answer: Answer, payload: bytes) -> None:
        """See `Wire.ask`."""
        self.attach(answer)
        await self.send(payload)
        if not answer.ready:
            await self.more()

    def attach(self, answer: Answer) -> None:
        """See `Wire.attach`."""
        self.sent = True
        self._answer = answer

    async def more(self) -> None:
        """See `Wire.more`."""
        answer = self._answer
        if answer is None:
            return
        try:
            while not answer.ready:
                answer.feed(await self._stream.receive(_AT_ONCE))
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            self.lost = True
            answer.eof()
        except (anyio.BrokenResourceError, OSError):
            self.lost = True
            answer.fail(RESET)
        if answer.done or answer.failure is not None:
            self._answer = None

    async def send(self, data: bytes) -> None:
        """See `Wire.send`."""
        try:
            await self._stream.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError):
            self.lost = True  # an answer may have come all the same; if not, reading says what is wrong

    def abort(self) -> None:
        """See `Wire.abort`."""
        self.lost = True
        if self._answer is not None:
            self._answer.fail(_OURS)
            self._answer = None
        # the first step of closing a socket closes it; whoever waits for it is woken
        closing = self._socket_stream.aclose()
        try:
            closing.send(None)
        except StopIteration:
            pass
        except RuntimeError:  # the event loop is gone
            self._raw.close()
        closing.close()  # what is left of it is a courtesy to other tasks
        if self.on_lost is not None:
            self.on_lost()

    async def closed(self) -> None:
        """It is already."""
