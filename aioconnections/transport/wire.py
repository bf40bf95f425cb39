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
from aioconnections.transport.tlsrecords import RecordEnds

__all__ = ["RESET", "Outbox", "SocketWire", "StreamWire", "Wire"]

_MANY = 8  # lanes; with 64 of them on a fast server a dozen to all are answered in one turn
_FULL = 256 * 1024  # bytes of content that wait for a slow reader before reading pauses
_AT_ONCE = 64 * 1024
_SMALL = 4 * 1024  # bytes that the system takes at once, where nothing else is under way
RESET = "the connection was reset before the answer was complete"
_UNASKED = "the server spoke, or hung up, before it was asked"
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
        """Send `payload`, unless the wire is not quiet; what arrives afterwards belongs to `answer`.

        To be awaited until the answer is ready. If nothing was sent it has failed, and `sent` says so.
        """
        ...

    def attach(self, answer: Answer) -> None:
        """What arrives from now on belongs to `answer`; a request is about to be sent piece by piece.

        Whoever does that makes sure that the wire is quiet.
        """
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


class Outbox:
    """Lets many lanes that ask in one turn of asyncio's loop send at the end of it, all at once.

    A server with nothing to do sleeps, and whoever sends has to wake it, which costs more than the sending. Were each
    of many lanes to send between other work, most of them would. Few lanes send at once: there is little to win, and
    waiting for each other would hold them up.

    Attributes:
        woken: how many lanes were answered and have not asked again: about so many will, in this turn.
    """

    def __init__(self) -> None:
        self.woken: int = 0
        self._asked: list[tuple[SocketWire, bytes]] = []

    def put(self, wire: SocketWire, payload: bytes) -> None:
        """Have `wire` deliver `payload`, at once or soon."""
        if self.woken:
            self.woken -= 1
        if self._asked or self.woken >= _MANY:
            self.put_off(wire, payload)
        else:
            wire.deliver(payload)

    def put_off(self, wire: SocketWire, payload: bytes) -> None:
        """Have `wire` deliver `payload` in the next turn."""
        if not self._asked:
            asyncio.get_running_loop().call_soon(self._send)
        self._asked.append((wire, payload))

    def _send(self) -> None:
        self.woken = 0  # some of them may never have asked again
        asked, self._asked = iter(self._asked), []
        try:
            for wire, payload in asked:
                wire.deliver(payload)
        finally:  # if one has raised, which none should, the others still have their turn
            for wire, payload in asked:
                self.put_off(wire, payload)


class SocketWire(asyncio.BufferedProtocol):
    """A wire on asyncio.

    It reads into a buffer of its own: what asyncio would allocate for each read, 256 KiB, costs more than all the
    rest of an answer to HEAD. What lies in the buffer is copied before anything else can be read into it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, outbox: Outbox) -> None:
        self.lost: bool = False
        self.sent: bool = False
        self.on_lost: Callable[[], object] | None = None
        self._loop = loop
        self._outbox = outbox
        self._asked: Answer | None = None  # its request has not been delivered
        self._answer: Answer | None = None  # what arrives belongs to it
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._gone: asyncio.Future[None] = loop.create_future()
        self._reading = self._writable = True
        self._used = self._bulky = False
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
        if self._answer is not None and exc is None:
            self._answer.eof()
            self._wake(self._answer)
        self._give_up(RESET)
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
        self._wake_sender()

    def _wake_sender(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # what a lane calls

    def quiet(self) -> bool:
        """See `Wire.quiet`."""
        return not (self.lost or self._readable())

    def ask(self, answer: Answer, payload: bytes) -> asyncio.Future[None]:
        """See `Wire.ask`."""
        self.sent = False
        self._asked = answer
        waiter = self._waiter = self._loop.create_future()
        self._outbox.put(self, payload)
        return waiter

    def deliver(self, payload: bytes) -> None:
        """Send what was asked, unless somebody has given up on it meanwhile."""
        answer, waiter = self._asked, self._waiter
        if answer is None or waiter is None or waiter.cancelled():
            return
        if self.lost or self._amid_something():
            self._give_up(_UNASKED)
            self.abort()
            return
        if self._readable():
            # the loop has to read that first: it belongs to nobody, and mostly it is the end of the connection
            self._outbox.put_off(self, payload)
            return
        self._asked, self._answer = None, answer
        self._used = True
        self._write(payload)
        # asyncio sends at once; if that fails the transport is closing already, and nothing has left
        self.sent = not self._transport.is_closing()

    def _amid_something(self) -> bool:
        """Whether part of something lies here that nobody asked for."""
        return False

    def _write(self, data: bytes) -> None:
        self._bulky = self._bulky or len(data) > _SMALL
        self._transport.write(data)

    def attach(self, answer: Answer) -> None:
        """See `Wire.attach`."""
        self.sent = self._used = True
        self._answer = answer

    def more(self) -> asyncio.Future[None]:
        """See `Wire.more`."""
        self._resume_reading()
        waiter = self._waiter = self._loop.create_future()
        return waiter

    async def send(self, data: bytes) -> None:
        """See `Wire.send`."""
        self._write(data)
        self._bulky = True  # many small pieces are no less
        if not self._writable and not self.lost:
            self._drained = self._loop.create_future()
            await self._drained

    def abort(self) -> None:
        """See `Wire.abort`."""
        self.lost = True
        self._give_up(_OURS)
        self.resume_writing()
        self._transport.abort()

    async def closed(self) -> None:
        """See `Wire.closed`."""
        await asyncio.shield(self._gone)

    def _give_up(self, reason: str) -> None:
        """Nothing will come any more."""
        for answer in (self._answer, self._asked):
            if answer is not None:
                answer.fail(reason)
                self._wake(answer)
        self._asked = None

    def _resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def _wake(self, answer: Answer) -> None:
        if answer.done or answer.failure is not None:
            self._answer = None
            self._resume_reading()
            if self._bulky:
                self._bulky = False
                # a server that answers before it has read all is not asked again behind what it may never read
                self.lost = self.lost or bool(self._transport.get_write_buffer_size())
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                self._outbox.woken += 1
                waiter.set_result(None)


class StreamWire:
    """A wire over anyio's streams."""

    def __init__(self, socket_stream: ByteStream, stream: ByteStream, ends: RecordEnds | None = None) -> None:
        self.lost: bool = False
        self.sent: bool = False
        self.on_lost: Callable[[], object] | None = None
        self._stream = stream
        self._socket_stream = socket_stream
        self._used = False  # before that, TLS has things to say unasked
        self._answer: Answer | None = None
        self._raw = raw = socket_stream.extra(SocketAttribute.raw_socket)  # noqa: S610 -- not Django's
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._readable = _readable(raw)
        self._tls = stream.extra(TLSAttribute.ssl_object, None)  # noqa: S610 -- not Django's
        self._ends = ends

    def quiet(self) -> bool:
        """See `Wire.quiet`."""
        return not (self.lost or self._readable() or self._decrypted())

    def _decrypted(self) -> bool:
        """Whether surplus lies in what TLS has read already, where the socket does not show it."""
        if self._tls is None:
            return False
        if self._ends is not None and not self._ends.whole:
            return True
        try:
            self._tls.read(1)
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError:
            pass
        return True

    async def ask(self, answer: Answer, payload: bytes) -> None:
        """See `Wire.ask`."""
        self.sent = False
        if self._used and not self.quiet():
            self.lost = True
            answer.fail(_UNASKED)
            return
        self.attach(answer)
        await self.send(payload)
        if not answer.ready:
            await self.more()

    def attach(self, answer: Answer) -> None:
        """See `Wire.attach`."""
        self.sent = self._used = True
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
