"""Opening a connection: name lookup, racing the addresses, TLS handshake, and errors for their failures."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import socket
import ssl
from collections.abc import Sequence

import anyio
from anyio.streams.tls import TLSStream

from aioconnections.clock import on_asyncio
from aioconnections.errors import CertificateError, ConnectFailedError, LocalLimitError, TransportError
from aioconnections.protocol.messages import Origin
from aioconnections.transport.limits import (
    UNTRUSTED_CODES,
    has_descriptors,
    local_limit_error,
    no_descriptor,
    trust_unreadable,
)
from aioconnections.transport.socketwire import Outbox, SecureWire, SocketWire
from aioconnections.transport.streamwire import RecordTrackingStream, StreamWire
from aioconnections.transport.wire import Wire

__all__ = ["NOT_CONNECTED_IN_TIME", "connect_error", "open_wire"]

NOT_CONNECTED_IN_TIME = "the connection was not established in time"

_ATTEMPT_DELAY = 0.25  # seconds before the next address joins the race (RFC 8305, section 5)

# OpenSSL's X509_V_ERR_ codes
_WRONG_HOST = frozenset({62, 64})
_NOT_YET_VALID, _EXPIRED = 9, 10

# OpenSSL's reasons for a failed handshake: the server speaks no TLS, or no version or cipher that we accept
_NOT_TLS = frozenset({"HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "WRONG_VERSION_NUMBER"})
_NO_COMMON_TLS = frozenset({"SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"})

_Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


async def open_wire(origin: Origin, context: ssl.SSLContext | None, outbox: Outbox) -> Wire:
    """Open a connection to `origin`.

    Args:
        origin: where to connect.
        context: TLS context; None for plain HTTP.
        outbox: batches what the wires on asyncio send.

    Raises:
        ConnectFailedError: the connection was not established.
        CertificateError: the server's certificate was refused.
        LocalLimitError: this machine allows no further connection.
    """
    if context is not None and not has_descriptors():  # the handshake could not load the trusted certificates
        raise LocalLimitError(str(local_limit_error([no_descriptor()])))
    try:
        return await (_open_socket(origin, context, outbox) if on_asyncio() else _open_stream(origin, context))
    except (OSError, UnicodeError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
        failure = connect_error(_causes(error))
    except (ImportError, LookupError, RuntimeError) as error:  # raised while a module is imported on first use
        limit = local_limit_error([error] if has_descriptors() else [no_descriptor()])
        if limit is None:
            raise
        failure = limit
    raise failure


def _causes(error: Exception) -> list[BaseException]:
    """The error and its causes: anyio wraps the errors of the addresses, in a group if there are several."""
    cause = error.__cause__
    return [error, *getattr(cause, "exceptions", () if cause is None else (cause,))]


def connect_error(causes: Sequence[BaseException]) -> TransportError:
    """The error for a failed connection. The texts of `causes` are not used, because they may quote the server."""
    if (limit := local_limit_error(causes)) is not None:
        return limit
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return CertificateError(_certificate_problem(getattr(cause, "verify_code", None)))
        if isinstance(cause, ssl.SSLError) and (refusal := _tls_refusal(cause)) is not None:
            return refusal
    return ConnectFailedError(_connect_problem(causes))


def _connect_problem(causes: Sequence[BaseException]) -> str:
    def includes(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if includes(socket.gaierror, UnicodeError):
        return "the host name of the server could not be resolved; check the URL"
    if includes(ConnectionRefusedError):
        return "the server refused the connection"
    if includes(ConnectionError, anyio.EndOfStream, anyio.BrokenResourceError, ssl.SSLError):
        return "the connection was lost while it was being established"
    return "the server could not be reached"


def _certificate_problem(code: int | None) -> str:
    if code in _WRONG_HOST:
        return "the server's certificate is for another host; check the host in the URL"
    if code in UNTRUSTED_CODES:
        return "the server's certificate is not signed by a trusted CA; pass verify= or --ca-file"
    if code == _EXPIRED:
        return "the server's certificate has expired"
    if code == _NOT_YET_VALID:
        return "the server's certificate is not valid yet; check the clock of this machine"
    return f"the server's certificate was refused (OpenSSL verify code {code})"


def _tls_refusal(error: ssl.SSLError) -> ConnectFailedError | None:
    """The error for a server with which no TLS handshake can succeed; None if it failed for another reason."""
    reason = getattr(error, "reason", None)
    if reason in _NOT_TLS:
        refusal = ConnectFailedError("the server does not speak TLS at this port; check the scheme and port of the URL")
    elif reason in _NO_COMMON_TLS:
        refusal = ConnectFailedError("the server and this client have no TLS version or cipher in common")
    else:
        return None
    refusal.deterministic = True
    return refusal


# --- asyncio ---


async def _open_socket(origin: Origin, context: ssl.SSLContext | None, outbox: Outbox) -> SocketWire:
    loop = asyncio.get_running_loop()
    secure = None if context is None else SecureWire(loop, outbox, context, origin.host)
    wire = secure or SocketWire(loop, outbox)
    sock = await _first_to_connect(loop, await _addresses(loop, origin))
    # asyncio owns the socket from here on, and closes it on cancellation
    await loop.create_connection(lambda: wire, sock=sock)
    if secure is not None:
        await secure.handshake()
    return wire


async def _addresses(loop: asyncio.AbstractEventLoop, origin: Origin) -> list[_Address]:
    """The addresses of `origin` in the resolver's order, with the address families interleaved."""
    try:
        literal = ipaddress.ip_address(origin.host)
    except ValueError:
        pass
    else:
        return [(socket.AF_INET if literal.version == 4 else socket.AF_INET6, (origin.host, origin.port))]
    found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    families: dict[socket.AddressFamily, list[_Address]] = {}
    for family, _, _, _, address in found:
        families.setdefault(family, []).append((family, address))
    return [entry for turn in itertools.zip_longest(*families.values()) for entry in turn if entry is not None]


async def _first_to_connect(loop: asyncio.AbstractEventLoop, addresses: Sequence[_Address]) -> socket.socket:
    """The socket that connects first; each attempt starts when the previous one fails, or after `_ATTEMPT_DELAY`."""
    connected: list[socket.socket] = []
    failures: list[OSError] = []

    async def attempt(address: _Address, finished: anyio.Event) -> None:
        try:
            connected.append(await _connect(loop, address))
        except OSError as error:
            failures.append(error)
        else:
            race.cancel_scope.cancel()
        finally:
            finished.set()

    try:
        if len(addresses) == 1:
            return await _connect(loop, addresses[0])
        async with anyio.create_task_group() as race:
            for address in addresses:
                finished = anyio.Event()
                race.start_soon(attempt, address, finished)
                with anyio.move_on_after(_ATTEMPT_DELAY):
                    await finished.wait()
    except BaseException:
        for sock in connected:
            sock.close()
        raise
    for late in connected[1:]:
        late.close()
    if connected:
        return connected[0]
    raise _decisive(failures)


def _decisive(failures: Sequence[OSError]) -> OSError:
    """The failure to report: one that shows a limit of this machine, else the first."""
    limits = (failure for failure in failures if local_limit_error([failure]) is not None)
    return next(limits, failures[0] if failures else OSError("no address"))


async def _connect(loop: asyncio.AbstractEventLoop, address: _Address) -> socket.socket:
    family, sockaddr = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        await loop.sock_connect(sock, sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock


# --- trio, and any other event loop of anyio ---


async def _open_stream(origin: Origin, context: ssl.SSLContext | None) -> StreamWire:
    socket_stream = await anyio.connect_tcp(origin.host, origin.port)
    if context is None:
        return StreamWire(socket_stream, socket_stream)
    tracked = RecordTrackingStream(socket_stream)
    try:
        stream = await TLSStream.wrap(tracked, server_side=False, hostname=origin.host, ssl_context=context)
    except BaseException as error:
        unreadable = trust_unreadable(error)
        await anyio.aclose_forcefully(socket_stream)
        if unreadable:
            raise no_descriptor() from None
        raise
    return StreamWire(socket_stream, stream, tracked.records)
