"""A wire on asyncio: it writes without waiting and reads in the very callback that asyncio makes.

So an answer is complete, and the connection closed if anything follows it, before any task runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from aioconnections.transport.http1 import Answer
from aioconnections.transport.wire import AT_ONCE, OURS, RESET, SMALL, UNASKED, readable

__all__ = ["Outbox", "SocketWire"]

_MANY = 8  # lanes; with 64 of them on a fast server a dozen to all are answered in one turn
_FULL = 256 * 1024  # bytes of content that wait for a slow reader before reading pauses


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
        self._buffer = memoryview(bytearray(AT_ONCE))

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected."""
        self._transport = cast(asyncio.Transport, transport)
        self._readable = readable(transport.get_extra_info("socket"))

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
            self._give_up(UNASKED)
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
        self._bulky = self._bulky or len(data) > SMALL
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
        self._give_up(OURS)
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
        if self._drained is not None:
            self._wake_sender()
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                self._outbox.woken += 1
                waiter.set_result(None)
