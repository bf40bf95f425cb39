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
from aioconnections.errors import ConnectFailedError, LocalLimitError, TransportError
from aioconnections.protocol.messages import Origin
from aioconnections.transport.limits import (
    has_descriptors,
    local_limit_error,
    no_descriptor,
    trust_unreadable,
)
from aioconnections.transport.socketwire import Outbox, SecureWire, SocketWire
from aioconnections.transport.streamwire import RecordTrackingStream, StreamWire
from aioconnections.transport.tls_failures import certificate_error, handshake_error
from aioconnections.transport.wire import Wire

__all__ = ["NOT_CONNECTED_IN_TIME", "connect_error", "open_wire"]

NOT_CONNECTED_IN_TIME = "the connection was not established in time"

_ATTEMPT_DELAY = 0.25  # seconds before the next address joins the race (RFC 8305, section 5)

_Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


async def open_wire(origin: Origin, context: ssl.SSLContext | None, outbox: Outbox) -> Wire:
    """Open a connection to `origin`.

    Args:
        origin: where to connect.
        context: TLS context; None for plain HTTP.
        outbox: batches what the wires on asyncio send.

    Raises:
        ConnectFailedError: the connection was not established.
        CertificateError: the server's certificate was refused, or the server refused or misses that of the client.
        LocalLimitError: this machine allows no further connection.
    """
    if context is not None and not has_descriptors():  # the handshake could not load the trusted certificates
        raise LocalLimitError(str(local_limit_error([no_descriptor()])))
    handshake = _Handshake()
    try:
        if on_asyncio():
            return await _open_socket(origin, context, outbox, handshake)
        return await _open_stream(origin, context, handshake)
    except (OSError, UnicodeError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
        failure = connect_error(_causes(error), answered=handshake.answered)
    except (ImportError, LookupError, RuntimeError) as error:  # raised while a module is imported on first use
        limit = local_limit_error([error] if has_descriptors() else [no_descriptor()])
        if limit is None:
            raise
        failure = limit
    raise failure


class _Handshake:
    """How far the TLS handshake has come; see `handshake_error`."""

    answered: bool = False


def _causes(error: Exception) -> list[BaseException]:
    """The error and its causes: anyio wraps the errors of the addresses, in a group if there are several."""
    cause = error.__cause__
    return [error, *getattr(cause, "exceptions", () if cause is None else (cause,))]


def connect_error(causes: Sequence[BaseException], *, answered: bool | None = None) -> TransportError:
    """The error for a failed connection. The texts of `causes` are not used, because they may quote the server.

    `answered` is that of `handshake_error`.
    """
    if (limit := local_limit_error(causes)) is not None:
        return limit
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return certificate_error(cause)
        if isinstance(cause, ssl.SSLError) and (failure := handshake_error(cause, answered=answered)) is not None:
            return failure
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


# --- asyncio ---


async def _open_socket(
    origin: Origin, context: ssl.SSLContext | None, outbox: Outbox, handshake: _Handshake
) -> SocketWire:
    loop = asyncio.get_running_loop()
    secure = None if context is None else SecureWire(loop, outbox, context, origin.server_name)
    wire = secure or SocketWire(loop, outbox)
    sock = await _first_to_connect(loop, await _addresses(loop, origin))
    # asyncio owns the socket from here on, and closes it on cancellation
    await loop.create_connection(lambda: wire, sock=sock)
    if secure is not None:
        try:
            await secure.handshake()
        except ssl.SSLError:
            handshake.answered = secure.is_answered
            raise
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


async def _open_stream(origin: Origin, context: ssl.SSLContext | None, handshake: _Handshake) -> StreamWire:
    socket_stream = await anyio.connect_tcp(origin.host, origin.port)
    if context is None:
        return StreamWire(socket_stream, socket_stream)
    tracked = RecordTrackingStream(socket_stream)
    try:
        stream = await TLSStream.wrap(tracked, server_side=False, hostname=origin.server_name, ssl_context=context)
    except BaseException as error:
        unreadable = trust_unreadable(error)
        handshake.answered = tracked.is_answered
        await anyio.aclose_forcefully(socket_stream)
        if unreadable:
            raise no_descriptor() from None
        raise
    return StreamWire(socket_stream, stream, tracked)
