"""The same wire over TLS on asyncio: what arrives is decrypted in the very callback that brings it.

asyncio has a TLS layer of its own; on requests as small as ours it costs more than the encryption does, and it hides
whether the server has said farewell before it closed the connection.
"""

from __future__ import annotations

import asyncio
import ssl

from aioconnections.transport.limits import no_descriptor, trust_was_unreadable
from aioconnections.transport.socketwire import Outbox, SocketWire
from aioconnections.transport.tls import RecordEnds

__all__ = ["SecureWire"]

_RECORD = 16 * 1024  # bytes that a record of TLS holds at most (RFC 8446, section 5.1)


class SecureWire(SocketWire):
    """A wire on asyncio that speaks TLS. It can be used once `agree` has returned.

    A connection that ends without the farewell of TLS may have been cut by anybody, so an answer that would end there
    is not complete (RFC 9112, section 9.8).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, outbox: Outbox, context: ssl.SSLContext, host: str) -> None:
        super().__init__(loop, outbox)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._agreed: asyncio.Future[Exception | None] = loop.create_future()  # what was wrong, if anything
        self._agreeing = True
        self._farewell = False
        self._backlog = b""  # plain text that cannot be encrypted before more has arrived
        self._plain = memoryview(bytearray(_RECORD))
        self._ends = RecordEnds()

    async def agree(self) -> None:
        """Wait for the handshake, and close the connection if there is none.

        Raises:
            OSError: it has failed; an `ssl.SSLCertVerificationError` if it was about the certificate.
        """
        try:
            failure = await self._agreed
        except BaseException:
            self.abort()
            raise
        if failure is not None:
            self.abort()
            raise failure

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected."""
        super().connection_made(transport)
        self._shake_hands()

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes have arrived, encrypted."""
        arrived = self._buffer[:nbytes]
        self._ends.feed(arrived)
        self._incoming.write(arrived)
        if self._agreeing:
            self._shake_hands()
        else:
            self._decrypt()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over: for sure only if the server has said so."""
        if exc is None and not self._farewell:
            exc = ConnectionResetError()
        self._settle(ConnectionResetError())
        super().connection_lost(exc)

    # what a lane calls

    def quiet(self) -> bool:
        """See `Wire.quiet`."""
        return super().quiet() and not self._amid_something()

    async def send(self, data: bytes) -> None:
        """See `Wire.send`."""
        await super().send(data)
        if self._backlog and not self.lost:
            self._drained = self._loop.create_future()
            await self._drained

    # inside

    def _amid_something(self) -> bool:
        return self._used and not self._ends.whole  # before it was used, that is the server's part of the handshake

    def _write(self, data: bytes) -> None:
        super()._write(self._encrypted(data))

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except OSError as error:
            unreadable = trust_was_unreadable(error)
            self._flush()  # the server is told why
            self._settle(no_descriptor() if unreadable else error)
        else:
            self._agreeing = False
            self._settle(None)
            self._decrypt()

    def _settle(self, failure: Exception | None) -> None:
        if not self._agreed.done():
            self._agreed.set_result(failure)

    def _decrypt(self) -> None:
        tls, incoming, plain = self._tls, self._incoming, self._plain
        try:
            while not self.lost:
                count: int = tls.read(_RECORD, plain)  # type: ignore[assignment] # typeshed knows less
                if not count:
                    self._farewell = True
                    self.eof_received()
                    self._transport.close()
                    break
                self._received(bytes(plain[:count]))
                if not incoming.pending and not tls.pending():
                    break  # asking once more would only raise
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self._break()
        if self._backlog:
            self._write(b"")
            if not self._backlog:
                self._wake_sender()
        elif self._outgoing.pending:
            self._flush()

    def _encrypted(self, data: bytes) -> bytes:
        """What to send for `data`, which waits if the server wants to agree anew before."""
        if self._backlog:
            data, self._backlog = self._backlog + data, b""
        try:
            while data:
                data = data[self._tls.write(data) :]
        except ssl.SSLWantReadError:
            self._backlog = data
        except ssl.SSLError:
            self._break()
        return self._outgoing.read()

    def _break(self) -> None:
        """What came is not what the other side has encrypted."""
        self._flush()
        self.eof_received()
        self._transport.abort()

    def _flush(self) -> None:
        self._transport.write(self._outgoing.read())
