"""Opening a connection: name lookup, the race of addresses, the TLS handshake, and what their failures mean."""

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
from aioconnections.transport.limits import has_descriptors, local_limit, no_descriptor, trust_was_unreadable
from aioconnections.transport.secure import SecureWire
from aioconnections.transport.socketwire import Outbox, SocketWire
from aioconnections.transport.streamwire import Followed, StreamWire
from aioconnections.transport.wire import Wire

__all__ = ["open_wire", "tls_refusal"]

_HEAD_START = 0.25  # seconds before the next address joins the race (RFC 8305, section 5)

_BROKE_OFF = "the connection broke off while it was being set up"

# OpenSSL's X509_V_ERR_ codes
_WRONG_HOST = frozenset({62, 64})
_UNTRUSTED = frozenset({2, 18, 19, 20, 21})
_NOT_NOW = frozenset({9, 10})

# OpenSSL's reasons for a handshake that fails because the other side speaks no TLS, or no version of it that we accept
_NO_TLS = frozenset({"HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "WRONG_VERSION_NUMBER"})
_OTHER_TLS = frozenset({"SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"})

_Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


async def open_wire(origin: Origin, context: ssl.SSLContext | None, outbox: Outbox) -> Wire:
    """A new connection to `origin`, over TLS if there is a `context`.

    Args:
        origin: where to.
        context: what to speak TLS with; None for plain HTTP.
        outbox: what wires on asyncio send through.

    Raises:
        ConnectFailedError: it did not come about.
        CertificateError: the server's certificate was not accepted.
        LocalLimitError: this machine allows no further connection.
    """
    if context is not None and not has_descriptors():  # it would begin without the certificates that it trusts
        raise LocalLimitError(str(local_limit([no_descriptor()])))
    try:
        return await (_open_socket(origin, context, outbox) if on_asyncio() else _open_stream(origin, context))
    except (OSError, UnicodeError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
        failure = local_limit(_causes(error)) or _meaning(error)
    except (ImportError, LookupError, RuntimeError) as error:  # of a module that is imported when it is first needed
        limit = local_limit([error] if has_descriptors() else [no_descriptor()])
        if limit is None:
            raise
        failure = limit
    raise failure


def _meaning(error: Exception) -> TransportError:
    """Our word for what went wrong; the foreign one may quote what the server sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return CertificateError(f"the server's certificate was not accepted: {_reason(error.verify_code)}")
    if isinstance(error, socket.gaierror | UnicodeError):
        return ConnectFailedError("the name of the server could not be looked up")
    if isinstance(error, ssl.SSLError):
        return tls_refusal(error) or ConnectFailedError(_BROKE_OFF)
    if any(isinstance(one, ConnectionRefusedError) for one in _causes(error)):
        return ConnectFailedError("the server refused the connection")
    if isinstance(error, ConnectionError | anyio.EndOfStream | anyio.BrokenResourceError):
        return ConnectFailedError(_BROKE_OFF)
    return ConnectFailedError("the server could not be reached")


def _causes(error: Exception) -> list[BaseException | None]:
    """The error itself, and what it wraps: anyio's holds what the addresses said, in a group if there were several."""
    cause = error.__cause__
    return [error, *getattr(cause, "exceptions", (cause,))]


def tls_refusal(error: ssl.SSLError) -> ConnectFailedError | None:
    """The error for a server that will never agree on TLS with us; None if the handshake failed in another way."""
    reason = getattr(error, "reason", None)
    if reason in _NO_TLS:
        refusal = ConnectFailedError("the server does not speak TLS at this port; check the scheme and port of the URL")
    elif reason in _OTHER_TLS:
        refusal = ConnectFailedError("the server and this client have no version or cipher of TLS in common")
    else:
        return None
    refusal.deterministic = True
    return refusal


def _reason(code: int) -> str:
    if code in _WRONG_HOST:
        return "it is for another host"
    if code in _UNTRUSTED:
        return "nobody whom this machine trusts has signed it"
    return "it is not valid at this time" if code in _NOT_NOW else f"OpenSSL's reason is {code}"


# --- asyncio ---


async def _open_socket(origin: Origin, context: ssl.SSLContext | None, outbox: Outbox) -> SocketWire:
    loop = asyncio.get_running_loop()
    secure = None if context is None else SecureWire(loop, outbox, context, origin.host)
    wire = secure or SocketWire(loop, outbox)
    sock = await _first_to_connect(loop, await _addresses(loop, origin))
    # asyncio owns the socket from here on, and closes it if this is cancelled
    await loop.create_connection(lambda: wire, sock=sock)
    if secure is not None:
        await secure.agree()
    return wire


async def _addresses(loop: asyncio.AbstractEventLoop, origin: Origin) -> list[_Address]:
    """Where to connect to, in the resolver's order but with the address families taking turns."""
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
    """The socket that connects first; each address starts when the one before has failed or had its head start."""
    connected: list[socket.socket] = []
    failures: list[OSError] = []

    async def attempt(address: _Address, settled: anyio.Event) -> None:
        try:
            connected.append(await _connect(loop, address))
        except OSError as error:
            failures.append(error)
        else:
            race.cancel_scope.cancel()
        finally:
            settled.set()

    try:
        if len(addresses) == 1:
            return await _connect(loop, addresses[0])
        async with anyio.create_task_group() as race:
            for address in addresses:
                settled = anyio.Event()
                race.start_soon(attempt, address, settled)
                with anyio.move_on_after(_HEAD_START):
                    await settled.wait()
    except BaseException:
        for sock in connected:
            sock.close()
        raise
    for late in connected[1:]:
        late.close()
    if connected:
        return connected[0]
    raise _first_to_tell(failures)


def _first_to_tell(failures: Sequence[OSError]) -> OSError:
    """Of what the addresses said, that this machine has come to a limit; else what the first said."""
    limits = (failure for failure in failures if local_limit([failure]) is not None)
    return next(limits, failures[0] if failures else OSError("no address"))


async def _connect(loop: asyncio.AbstractEventLoop, address: _Address) -> socket.socket:
    family, where = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        await loop.sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


# --- trio, or whatever else anyio runs on ---


async def _open_stream(origin: Origin, context: ssl.SSLContext | None) -> StreamWire:
    socket_stream = await anyio.connect_tcp(origin.host, origin.port)
    if context is None:
        return StreamWire(socket_stream, socket_stream)
    followed = Followed(socket_stream)
    try:
        stream = await TLSStream.wrap(followed, server_side=False, hostname=origin.host, ssl_context=context)
    except BaseException as error:
        unreadable = trust_was_unreadable(error)
        await anyio.aclose_forcefully(socket_stream)
        if unreadable:
            raise no_descriptor() from None
        raise
    return StreamWire(socket_stream, stream, followed.ends)
