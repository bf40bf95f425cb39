"""Wires on asyncio, plain and TLS. They write without waiting and parse in the callback that delivers the bytes.

So a response is complete, and a connection with surplus data is closed, before any task runs.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import Any, cast

from aioconnections.errors import CertificateError
from aioconnections.transport.http1 import ResponseReader
from aioconnections.transport.limits import no_descriptor, trust_unreadable
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

__all__ = ["Outbox", "SecureWire", "SocketWire"]

_BATCH_FROM = 8  # lanes; with 64 lanes on a fast server about a dozen responses arrive per loop iteration
_LONGEST_BATCH = 0.00025  # seconds that a request waits while the requests of other lanes are chosen
_BLOCKED = 0.01  # seconds; if choosing one request takes longer, the source was blocked
_READ_AHEAD = 256 * 1024  # bytes of content buffered for a slow consumer before reading pauses
_RECORD = 16 * 1024  # largest content of a TLS record, in bytes (RFC 8446, section 5.1)


class Outbox:
    """Batches the requests that many lanes make in one iteration of the event loop, and sends them at its end.

    A write that wakes an idle server costs the sender more than the write itself. If many lanes wrote between other
    work, most writes would wake it. The requests of a few lanes are sent without delay, because batching would gain
    little.

    Attributes:
        expected: how many lanes got a response and have not sent their next request; most will, in this iteration.
        pending: the wires that deliver in the next iteration, with their payloads.
        has_woken: whether a task was woken since the last decision about the wires whose response was settled.
        read_buffer: buffer into which the wires read, one after another; each copies its data before the next reads.
        record_buffer: the same for decrypted TLS records.
    """

    def __init__(self) -> None:
        self.read_buffer: memoryview = memoryview(bytearray(READ_SIZE))
        self.record_buffer: memoryview = memoryview(bytearray(_RECORD))
        self.expected: int = 0
        self.has_woken: bool = False
        self._settled: list[SocketWire] = []
        self.pending: list[tuple[SocketWire, bytes]] = []

    def defer(self, wire: SocketWire, payload: bytes) -> None:
        """Have `wire` deliver `payload` in the next iteration of the loop."""
        if not self.pending:
            asyncio.get_running_loop().call_soon(self._flush)
        self.pending.append((wire, payload))

    def decide_later(self, wire: SocketWire) -> None:
        """Have `wire` send what follows on its settled response, after the tasks that this iteration wakes.

        Such a task may learn that nothing more may be sent, for example because the login was refused.
        """
        if not self._settled:
            asyncio.get_running_loop().call_soon(self._decide)
        self._settled.append(wire)

    def _decide(self, *, again: bool = False) -> None:
        if self.has_woken and not again:  # the task may have been woken after this call was scheduled
            asyncio.get_running_loop().call_soon(partial(self._decide, again=True))
            return
        self.has_woken = False
        settled, self._settled = iter(self._settled), []
        now = asyncio.get_running_loop().time
        moment = now()
        until = moment + _LONGEST_BATCH
        chosen: list[tuple[SocketWire, bytes]] = []
        try:
            for wire in settled:
                payload = wire.follow()
                begun, moment = moment, now()
                if moment - begun > _BLOCKED:
                    for earlier, _ in chosen:
                        earlier.take_back()
                    chosen.clear()
                if payload is not None:
                    chosen.append((wire, payload))
                    if moment >= until:
                        self._deliver(chosen)
                        moment = now()
                        until = moment + _LONGEST_BATCH
        finally:  # as in `_flush`
            for wire in settled:
                self.decide_later(wire)
            self._deliver(chosen)

    def _flush(self) -> None:
        self.expected = 0  # some lanes may never send another request
        requests, self.pending = self.pending, []
        self._deliver(requests)

    def _deliver(self, requests: list[tuple[SocketWire, bytes]]) -> None:
        """Send all of `requests`, one straight after another, and empty the list."""
        pending = iter(requests.copy())
        requests.clear()
        try:
            for wire, payload in pending:
                wire.deliver(payload)
        finally:  # if one unexpectedly raises, the others are delivered later
            for wire, payload in pending:
                self.defer(wire, payload)


class SocketWire(asyncio.BufferedProtocol):
    """A plain wire on asyncio.

    It reads into the buffer that all wires of its pool share. asyncio would allocate 256 KiB per read, which costs more
    than all other work on a response to HEAD; and a buffer for each of many wires would defeat the caches of the CPU.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, outbox: Outbox) -> None:
        self.lost: bool = False
        self.sent: bool = False
        self.on_lost: Callable[[], object] | None = None
        self.refusal: CertificateError | None = None
        self._loop = loop
        self._outbox = outbox
        self._next_reader: ResponseReader | None = None  # its request has not been delivered
        self._reader: ResponseReader | None = None  # receives what arrives
        self._waiter: asyncio.Future[None] | None = None
        self._followers: Followers | None = None
        self._drained: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] = loop.create_future()
        self._reading = self._writable = True
        self._used = self._large_write = False
        # Another kind of loop might fill the buffers of several wires before it delivers the first.
        shared = isinstance(loop, asyncio.SelectorEventLoop)
        self._buffer = outbox.read_buffer if shared else memoryview(bytearray(READ_SIZE))

    # --- called by asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast(asyncio.Transport, transport)
        self._write: Callable[[bytes], None] = self._transport.write
        self._readable = readable(transport.get_extra_info("socket"))

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 # asyncio passes it
        """The buffer for the next read."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Feed the first `nbytes` of the buffer to the reader; without one they are unsolicited: close the wire."""
        reader = self._reader
        if reader is None:
            self.abort()
            return
        reader.feed(bytes(self._buffer[:nbytes]))
        if reader.ready:
            self._wake(reader)
            if reader.buffered > _READ_AHEAD and self._reading and self._reader is not None:
                self._reading = False
                self._transport.pause_reading()

    def eof_received(self) -> None:
        """Note that the server sends no more; asyncio then closes the connection."""
        self.lost = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is closed, which may be the regular end of a response."""
        self.lost = True
        if self._reader is not None and exc is None:
            self._reader.eof()
            self._wake(self._reader)
        self._fail(CONNECTION_LOST)
        self.resume_writing()
        if not self._closed.done():
            self._closed.set_result(None)
        if self.on_lost is not None:
            self.on_lost()

    def pause_writing(self) -> None:
        """Note that the write buffer is full."""
        self._writable = False

    def resume_writing(self) -> None:
        """Note that the write buffer has room."""
        self._writable = True
        self._wake_sender()

    def _wake_sender(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # --- called by a lane ---

    def quiet(self) -> bool:
        """See `Wire.quiet`."""
        return not (self.lost or self._readable())

    def request(
        self, reader: ResponseReader, payload: bytes, followers: Followers | None = None
    ) -> asyncio.Future[None]:
        """See `Wire.request`."""
        self.sent = False
        self._followers = followers
        self._next_reader = reader
        waiter = self._waiter = self._loop.create_future()
        outbox = self._outbox
        if outbox.expected:
            outbox.expected -= 1
        if outbox.pending or outbox.expected >= _BATCH_FROM:
            outbox.defer(self, payload)
        else:
            self.deliver(payload)
        return waiter

    def deliver(self, payload: bytes) -> None:
        """Send `payload`, unless its request has been cancelled."""
        reader, waiter = self._next_reader, self._waiter
        if reader is None or waiter is None or waiter.cancelled():
            return
        if self.lost:
            self._fail(UNSOLICITED)
            self.abort()
            return
        if self._readable():
            # let the loop read the unsolicited data first, which is usually the end of the connection
            self._outbox.defer(self, payload)
            return
        self._next_reader, self._reader = None, reader
        self._used = True
        if len(payload) > SMALL_WRITE:
            self._large_write = True
        self._write(payload)
        # asyncio sends at once; if that fails, the transport is closing and nothing was sent
        self.sent = not self._transport.is_closing()

    def attach(self, reader: ResponseReader) -> None:
        """See `Wire.attach`."""
        self.sent = self._used = True
        self._followers = None
        self._reader = reader

    def wait_ready(self) -> asyncio.Future[None]:
        """See `Wire.wait_ready`."""
        if not self._reading:
            self._resume_reading()
        waiter = self._waiter = self._loop.create_future()
        return waiter

    async def send(self, data: bytes) -> None:
        """See `Wire.send`."""
        self._write(data)
        self._large_write = True  # many small parts may add up
        if not self._writable and not self.lost:
            self._drained = self._loop.create_future()
            await self._drained

    def abort(self) -> None:
        """See `Wire.abort`."""
        self.lost = True
        if not self._loop.is_running():
            _abort_now(self._transport, self._loop)
            return
        self._fail(CLOSED_LOCALLY)
        self.resume_writing()
        self._transport.abort()

    async def closed(self) -> None:
        """See `Wire.closed`."""
        await asyncio.shield(self._closed)

    def _fail(self, reason: str) -> None:
        for reader in (self._reader, self._next_reader):
            if reader is not None:
                reader.fail(reason)
                self._wake(reader)
        self._next_reader = None

    def _resume_reading(self) -> None:
        self._reading = True
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _wake(self, reader: ResponseReader) -> None:
        if reader.done or reader.failure is not None:
            self._reader = None
            if not self._reading:
                self._resume_reading()
            if self._large_write:
                self._large_write = False
                # a server that responds early may never read the rest, so no request may follow it
                self.lost = self.lost or bool(self._transport.get_write_buffer_size())
        if self._drained is not None:
            self._wake_sender()
        waiter = self._waiter
        if waiter is not None:
            if self._followers is not None and reader.done and not waiter.done() and self._followers.settle():
                self._outbox.decide_later(self)
                return
            self._end_wait(waiter)

    def _end_wait(self, waiter: asyncio.Future[None]) -> None:
        """Wake the task that waits."""
        self._waiter = self._followers = None
        if not waiter.done():
            self._outbox.expected += 1
            self._outbox.has_woken = True
            waiter.set_result(None)

    def follow(self) -> bytes | None:
        """The request to `deliver` after a response that was settled; None if there is none.

        If there is none, the task that waits is woken.
        """
        waiter, followers = self._waiter, self._followers
        if waiter is None or waiter.done() or followers is None:
            return None
        following = followers.following()
        if following is None:
            self._end_wait(waiter)
            return None
        self.sent = False
        self._next_reader, payload = following
        return payload

    def take_back(self) -> None:
        """Wake the task that waits, in place of the delivery of the payload that `follow` has returned."""
        waiter, followers = self._waiter, self._followers
        if self._next_reader is None or waiter is None or waiter.done() or followers is None:
            return  # the connection was lost, or the task was cancelled
        self._next_reader = None
        followers.take_back()
        self._end_wait(waiter)


class SecureWire(SocketWire):
    """A wire on asyncio that speaks TLS. It can be used once `handshake` has returned.

    It decrypts in the callback that delivers the bytes. For small requests, asyncio's own TLS layer costs more than the
    encryption, and it does not report whether the server sent close_notify.

    A connection that ends without close_notify may have been cut by an attacker, so a response that would end there
    is incomplete (RFC 9112, section 9.8).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, outbox: Outbox, context: ssl.SSLContext, host: str) -> None:
        super().__init__(loop, outbox)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._handshake_result: asyncio.Future[Exception | None] = loop.create_future()
        self._in_handshake = True
        self._close_notify = False
        self._backlog = b""  # plain text that cannot be encrypted before more data has arrived
        self._encrypted = self._buffer
        self._buffer = outbox.record_buffer  # for decrypted data, which is copied at once on any loop
        self._records = RecordTracker()

    @property
    def is_answered(self) -> bool:
        """Whether the server has accepted the version and the ciphers of this client."""
        return self._tls.cipher() is not None

    async def handshake(self) -> None:
        """Wait for the handshake; close the connection if it fails.

        Raises:
            OSError: it failed; an `ssl.SSLCertVerificationError` if the certificate was refused.
        """
        try:
            failure = await self._handshake_result
        except BaseException:
            self.abort()
            raise
        if failure is not None:
            self.abort()
            raise failure

    # --- called by asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        super().connection_made(transport)
        self._write = self._write_encrypted
        self._continue_handshake()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 # asyncio passes it
        """The buffer for the next read."""
        return self._encrypted

    def buffer_updated(self, nbytes: int) -> None:
        """Decrypt the first `nbytes` of the buffer."""
        arrived = self._encrypted[:nbytes]
        self._records.feed(arrived)
        self._incoming.write(arrived)
        if self._in_handshake:
            self._continue_handshake()
        else:
            self._decrypt()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is closed; only close_notify makes that a regular end."""
        if exc is None and not self._close_notify:
            exc = ConnectionResetError()
        self._finish_handshake(ConnectionResetError())
        super().connection_lost(exc)

    # --- called by a lane ---

    def quiet(self) -> bool:
        """See `Wire.quiet`."""
        return super().quiet() and not self._has_partial_record()

    async def send(self, data: bytes) -> None:
        """See `Wire.send`."""
        await super().send(data)
        if self._backlog and not self.lost:
            self._drained = self._loop.create_future()
            await self._drained

    def deliver(self, payload: bytes) -> None:
        """Send `payload`, unless its request has been cancelled or unsolicited data has arrived."""
        if self._has_partial_record():
            self.eof_received()
        super().deliver(payload)

    # --- internal ---

    def _has_partial_record(self) -> bool:
        """Whether part of an unsolicited TLS record has arrived."""
        return self._used and not self._records.at_boundary  # before the first use it belongs to the handshake

    def _continue_handshake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except OSError as error:
            unreadable = trust_unreadable(error)
            self._flush()  # sends the alert that tells the server why
            self._finish_handshake(no_descriptor() if unreadable else error)
        else:
            self._in_handshake = False
            self._finish_handshake(None)
            self._decrypt()

    def _finish_handshake(self, failure: Exception | None) -> None:
        if not self._handshake_result.done():
            self._handshake_result.set_result(failure)

    def _decrypt(self) -> None:
        tls, incoming = self._tls, self._incoming
        try:
            while not self.lost:
                count: int = tls.read(_RECORD, self._buffer)  # type: ignore[assignment] # typeshed is less precise
                if not count:
                    self._close_notify = True
                    self.eof_received()
                    self._transport.close()
                    break
                super().buffer_updated(count)
                if not incoming.pending and not tls.pending():
                    break  # another read would only raise
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.refusal: CertificateError | None = client_certificate_error(
                error, before_requests=checks_before_requests(tls)
            )
            self._abort_tls()
        if self._backlog:
            self._write(b"")
            if not self._backlog:
                self._wake_sender()
        elif self._outgoing.pending:
            self._flush()

    def _write_encrypted(self, data: bytes) -> None:
        """Encrypt and write `data`; part of it waits if the server demands a new handshake first."""
        if self._backlog:
            data, self._backlog = self._backlog + data, b""
        try:
            while data:
                data = data[self._tls.write(data) :]
        except ssl.SSLWantReadError:
            self._backlog = data
        except ssl.SSLError:
            self._abort_tls()
        self._transport.write(self._outgoing.read())

    def _abort_tls(self) -> None:
        """Close the connection after a TLS error."""
        self._flush()
        self.eof_received()
        self._transport.abort()

    def _flush(self) -> None:
        self._transport.write(self._outgoing.read())


def _abort_now(transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
    """Close a transport whose event loop does not run.

    A transport closes its socket in the next iteration of its loop. A loop that was closed accepts no more calls, and
    a stopped one may never run again, so the call of the transport is made at once.
    """
    call_soon = loop.call_soon

    def call_now(callback: Callable[..., object], *args: Any, context: Context | None = None) -> None:
        if getattr(callback, "__self__", None) is transport:
            callback(*args)
        elif not loop.is_closed():
            call_soon(callback, *args, context=context)

    with suppress(AttributeError, RuntimeError):  # loops that are not written in Python close their sockets themselves
        loop.call_soon = call_now  # type: ignore[assignment,method-assign] # there is no other way to close the socket
        try:
            transport.abort()
        finally:
            del loop.call_soon
