"""A wire over anyio's streams, for trio."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSAttribute

from aioconnections.errors import CertificateError
from aioconnections.transport.http1 import ResponseReader
from aioconnections.transport.tls import RecordTracker
from aioconnections.transport.tls_failures import checks_before_requests, client_certificate_error
from aioconnections.transport.wire import (
    CLOSED_LOCALLY,
    CONNECTION_LOST,
    READ_SIZE,
    SMALL_WRITE,
    UNSOLICITED,
    Followers,
    readable,
)

__all__ = ["RecordTrackingStream", "StreamWire"]

_HANDSHAKE_RECORD = b"\x16"  # RFC 8446, section 5.1


class StreamWire:
    """A wire over anyio's streams; if `stream` speaks TLS, it does so over `tracked`."""

    def __init__(
        self, socket_stream: ByteStream, stream: ByteStream, tracked: RecordTrackingStream | None = None
    ) -> None:
        self.lost: bool = False
        self.sent: bool = False
        self.on_lost: Callable[[], object] | None = None
        self.refusal: CertificateError | None = None
        self._stream = stream
        self._socket_stream = socket_stream
        self._send_begun = False  # part of the request has been sent
        self._used = False  # before the first request, TLS data may arrive as part of the handshake
        self._reader: ResponseReader | None = None
        self._raw = raw = socket_stream.extra(SocketAttribute.raw_socket)  # noqa: S610 -- not Django's
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._readable = readable(raw)
        self._tls = stream.extra(TLSAttribute.ssl_object, None)  # noqa: S610 -- not Django's
        self._tracked = tracked

    def quiet(self) -> bool:
        """See `Wire.quiet`."""
        return not (self.lost or self._readable() or self._has_tls_surplus())

    def _has_tls_surplus(self) -> bool:
        """Whether TLS has buffered surplus data, which the socket does not show."""
        if self._tls is None:
            return False
        if self._tracked is not None and not self._tracked.records.at_boundary:
            return True
        try:
            self._tls.read(1)
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError:
            pass
        return True

    async def request(self, reader: ResponseReader, payload: bytes, followers: Followers | None = None) -> None:
        """See `Wire.request`; `followers` is ignored."""
        del followers
        self.sent = False
        if self._used and not self.quiet():
            self.lost = True
            reader.fail(UNSOLICITED)
            return
        self.attach(reader)
        await self.send(payload)
        if not reader.ready:
            await self.wait_ready()

    def attach(self, reader: ResponseReader) -> None:
        """See `Wire.attach`."""
        self.sent = self._used = True
        self._send_begun = False
        self._reader = reader

    async def wait_ready(self) -> None:
        """See `Wire.wait_ready`."""
        reader = self._reader
        if reader is None:
            return
        try:
            while not reader.ready:
                reader.feed(await self._stream.receive(READ_SIZE))
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            self.lost = True
            reader.eof()
        except (
            anyio.BrokenResourceError,
            anyio.BusyResourceError,
            OSError,
        ) as error:  # TLS may have to write during our own write
            self.lost = True
            if self._tls is not None:
                self.refusal = client_certificate_error(error, before_requests=checks_before_requests(self._tls))
            reader.fail(CONNECTION_LOST)
        if reader.done or reader.failure is not None:
            self._reader = None

    async def send(self, data: bytes) -> None:
        """See `Wire.send`."""
        begun, self._send_begun = self._send_begun, True
        if len(data) <= SMALL_WRITE and not begun:  # the system accepts it at once
            await self._send(data)
            return
        done = False
        async with anyio.create_task_group() as group:

            async def listen() -> None:
                await self.wait_ready()
                if not done:
                    self.lost = True  # the server may never read the rest, so no request may follow it
                    group.cancel_scope.cancel()

            group.start_soon(listen)
            await self._send(data)
            done = True
            group.cancel_scope.cancel()

    async def _send(self, data: bytes) -> None:
        try:
            await self._stream.send(data)
            self.lost = self.lost or (self._tracked is not None and self._tracked.send_failed)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError):
            self.lost = True  # a response may have arrived nevertheless; if not, reading finds the reason

    def abort(self) -> None:
        """See `Wire.abort`."""
        self.lost = True
        if self._reader is not None:
            self._reader.fail(CLOSED_LOCALLY)
            self._reader = None
        # the first step of the coroutine closes the socket and wakes its waiters
        closing = self._socket_stream.aclose()
        try:
            closing.send(None)
        except StopIteration:
            pass
        except RuntimeError:  # the event loop is closed
            self._raw.close()
        closing.close()  # the rest of the coroutine only yields to other tasks
        if self.on_lost is not None:
            self.on_lost()

    async def closed(self) -> None:
        """Return at once: `abort` has closed the socket."""


class RecordTrackingStream(ByteStream):
    """A stream that tracks the TLS records in what it receives.

    Attributes:
        is_answered: whether the server has sent more of a handshake than an alert.
        records: the boundaries of the records.
        send_failed: whether the connection was lost while data was sent.
    """

    def __init__(self, stream: ByteStream) -> None:
        self.is_answered: bool = False
        self.records: RecordTracker = RecordTracker()
        self.send_failed: bool = False
        self._stream = stream

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Receive from the wrapped stream and track the records."""
        data = await self._stream.receive(max_bytes)
        self.records.feed(data)
        self.is_answered = self.is_answered or data.startswith(_HANDSHAKE_RECORD)
        return data

    async def send(self, item: bytes) -> None:
        """Send, unless the connection is lost: what arrived before, such as an alert, can still be received."""
        if not self.send_failed:
            try:
                await self._stream.send(item)
            except anyio.BrokenResourceError:
                self.send_failed = True

    async def send_eof(self) -> None:
        """Delegate to the wrapped stream."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Delegate to the wrapped stream."""
        await self._stream.aclose()
