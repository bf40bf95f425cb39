"""A wire over anyio's streams, for trio."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSAttribute

from aioconnections.transport.http1 import Answer
from aioconnections.transport.tls import RecordEnds
from aioconnections.transport.wire import AT_ONCE, OURS, RESET, SMALL, UNASKED, readable

__all__ = ["Followed", "StreamWire"]


class StreamWire:
    """A wire over anyio's streams."""

    def __init__(self, socket_stream: ByteStream, stream: ByteStream, ends: RecordEnds | None = None) -> None:
        self.lost: bool = False
        self.sent: bool = False
        self.on_lost: Callable[[], object] | None = None
        self._stream = stream
        self._socket_stream = socket_stream
        self._begun = False  # something of the request has been sent
        self._used = False  # before that, TLS has things to say unasked
        self._answer: Answer | None = None
        self._raw = raw = socket_stream.extra(SocketAttribute.raw_socket)  # noqa: S610 -- not Django's
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._readable = readable(raw)
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
            answer.fail(UNASKED)
            return
        self.attach(answer)
        await self.send(payload)
        if not answer.ready:
            await self.more()

    def attach(self, answer: Answer) -> None:
        """See `Wire.attach`."""
        self.sent = self._used = True
        self._begun = False
        self._answer = answer

    async def more(self) -> None:
        """See `Wire.more`."""
        answer = self._answer
        if answer is None:
            return
        try:
            while not answer.ready:
                answer.feed(await self._stream.receive(AT_ONCE))
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            self.lost = True
            answer.eof()
        except (anyio.BrokenResourceError, anyio.BusyResourceError, OSError):  # TLS may want to write while we do
            self.lost = True
            answer.fail(RESET)
        if answer.done or answer.failure is not None:
            self._answer = None

    async def send(self, data: bytes) -> None:
        """See `Wire.send`."""
        begun, self._begun = self._begun, True
        if len(data) <= SMALL and not begun:  # the system takes it at once
            await self._send(data)
            return
        done = False
        async with anyio.create_task_group() as group:

            async def listen() -> None:
                await self.more()
                if not done:
                    self.lost = True  # it is not asked again behind what it may never read
                    group.cancel_scope.cancel()

            group.start_soon(listen)
            await self._send(data)
            done = True
            group.cancel_scope.cancel()

    async def _send(self, data: bytes) -> None:
        try:
            await self._stream.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError):
            self.lost = True  # an answer may have come all the same; if not, reading says what is wrong

    def abort(self) -> None:
        """See `Wire.abort`."""
        self.lost = True
        if self._answer is not None:
            self._answer.fail(OURS)
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


class Followed(ByteStream):
    """A stream that notes where the records of TLS end in what it receives."""

    def __init__(self, stream: ByteStream) -> None:
        self.ends: RecordEnds = RecordEnds()
        self._stream = stream

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """As its stream, and follow what comes."""
        data = await self._stream.receive(max_bytes)
        self.ends.feed(data)
        return data

    async def send(self, item: bytes) -> None:
        """As its stream."""
        await self._stream.send(item)

    async def send_eof(self) -> None:
        """As its stream."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """As its stream."""
        await self._stream.aclose()
