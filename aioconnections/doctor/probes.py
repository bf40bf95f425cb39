"""The lowest steps to a server, each apart: name lookup, TCP to every address, TLS handshakes. For asyncio only.

Lanes do all of this at once, and report the first failure. Here every address is tried, and a handshake reports its
version and the certificates even if it fails. No request is sent.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeAlias, TypeVar, cast

import anyio

from aioconnections.reprs import frozen

__all__ = [
    "VERSIONS",
    "Handshake",
    "Reached",
    "SocketAddress",
    "accepted_versions",
    "look_up",
    "reach",
    "shake_hands",
    "shown_address",
    "unverified",
]

T = TypeVar("T")

SocketAddress: TypeAlias = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]

VERSIONS: dict[str, ssl.TLSVersion] = {
    "TLS 1.0": ssl.TLSVersion.TLSv1,
    "TLS 1.1": ssl.TLSVersion.TLSv1_1,
    "TLS 1.2": ssl.TLSVersion.TLSv1_2,
    "TLS 1.3": ssl.TLSVersion.TLSv1_3,
}
"""Versions of TLS, as people write them."""

_DER = 2  # the argument of `public_bytes` for this format, which has no public name
_SAME = {"TLSv1": "TLS 1.0", "TLSv1.1": "TLS 1.1", "TLSv1.2": "TLS 1.2", "TLSv1.3": "TLS 1.3"}


@frozen
class Reached:
    """Whether a TCP connection to one address was opened.

    Attributes:
        address: the address.
        seconds: how long that took; None if it failed.
        failure: why it failed; None if it did not, or if there was no response in time.
    """

    address: SocketAddress
    seconds: float | None
    failure: OSError | None = None


@frozen
class Handshake:
    """The result of one TLS handshake.

    Attributes:
        version: the version, as in ``TLS 1.3``; None if the handshake failed.
        cipher: name of the cipher suite; None if it failed.
        chain: the certificates that the server sent, in DER, its own first; empty if it sent none.
        failure: why it failed; None if it did not.
        answered: whether the server accepted a version and a cipher, even if the handshake failed later.
    """

    version: str | None
    cipher: str | None
    chain: tuple[bytes, ...]
    failure: OSError | None
    answered: bool


def shown_address(address: SocketAddress) -> str:
    """An address and its port, as in a URL."""
    host, port = address[1][:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def look_up(host: str, port: int) -> list[SocketAddress]:
    """All addresses of a host, in the order of the resolver, each once.

    Raises:
        OSError: the name cannot be resolved.
        UnicodeError: it is not a valid name.
    """
    found = await _in_daemon(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    internet = (socket.AF_INET, socket.AF_INET6)
    addresses = [cast("SocketAddress", (family, address)) for family, *_, address in found if family in internet]
    return list(dict.fromkeys(addresses))


async def _in_daemon(call: Callable[[], T]) -> T:
    """The result of a blocking call. Its thread does not delay the end of the process if it is given up."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():  # given up
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type] # None only if that is the result

    def run() -> None:
        result, error = None, None
        try:
            result = call()
        except Exception as raised:  # noqa: BLE001 # passed on to the caller
            error = raised
        with suppress(RuntimeError):  # the loop was closed
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, daemon=True).start()
    return await future


async def reach(addresses: Sequence[SocketAddress], seconds: float) -> list[Reached]:
    """Open a TCP connection to each address, all at once, within `seconds`, and close it."""
    results: dict[SocketAddress, Reached] = {}

    async def attempt(address: SocketAddress) -> None:
        begun = anyio.current_time()
        try:
            (await _connect(address)).close()
        except OSError as error:
            results[address] = Reached(address, None, error)
        else:
            results[address] = Reached(address, anyio.current_time() - begun)

    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as attempts:
            for address in addresses:
                attempts.start_soon(attempt, address)
    return [results.get(address) or Reached(address, None) for address in addresses]


async def _connect(address: SocketAddress) -> socket.socket:
    sock = socket.socket(address[0], socket.SOCK_STREAM)
    try:
        sock.setblocking(False)  # noqa: FBT003 # the method has no other form
        await asyncio.get_running_loop().sock_connect(sock, address[1])
    except BaseException:
        sock.close()
        raise
    return sock


async def shake_hands(address: SocketAddress, context: ssl.SSLContext, server_name: str) -> Handshake:
    """Do one TLS handshake and close the connection, without a request.

    Raises:
        OSError: no connection was opened.
    """
    loop = asyncio.get_running_loop()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=server_name)
    failure: OSError | None = None
    with await _connect(address) as sock:
        try:
            while not _advance(tls):
                await loop.sock_sendall(sock, outgoing.read())
                received = await loop.sock_recv(sock, 65_536)
                if received:
                    incoming.write(received)
                else:
                    incoming.write_eof()
        except OSError as error:  # an `ssl.SSLError` is one
            failure = error
        with suppress(OSError):
            await loop.sock_sendall(sock, outgoing.read())  # the end of the handshake, or an alert
        cipher = tls.cipher()
    done = failure is None and cipher is not None
    return Handshake(
        version=_SAME.get(tls.version() or "", tls.version()) if done else None,
        cipher=cipher[0] if done and cipher is not None else None,
        chain=_chain(tls),
        failure=failure,
        answered=cipher is not None,
    )


def _advance(tls: ssl.SSLObject) -> bool:
    """Continue a handshake with what has arrived; False if it needs more."""
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _chain(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """The certificates that the server sent. Before Python 3.13 the method belongs to the inner object only."""
    inner: object = getattr(tls, "_sslobj", tls)
    get: Callable[[], Sequence[object] | None] | None = getattr(inner, "get_unverified_chain", None)
    found: list[bytes] = []
    with suppress(ValueError):
        for certificate in (get() if get is not None else None) or ():
            encode: Callable[[int], object] | None = getattr(certificate, "public_bytes", None)
            der = certificate if encode is None else encode(_DER)
            if isinstance(der, bytes):
                found.append(der)
    return tuple(found)


def unverified(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A context that accepts any certificate and any cipher, for a handshake after which nothing is sent.

    Args:
        version: the only version to offer; None for all that are usual.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    with suppress(ssl.SSLError):  # another library than OpenSSL
        context.set_ciphers("ALL:@SECLEVEL=0")  # outdated versions need it
    if version is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # they are offered to find out, not to be used
            context.minimum_version = context.maximum_version = version
    return context


async def accepted_versions(address: SocketAddress, server_name: str, seconds: float) -> dict[str, bool]:
    """Which versions of TLS the server accepts, by one handshake each; within `seconds`, and without those unknown."""
    accepted: dict[str, bool] = {}
    with anyio.move_on_after(seconds), suppress(OSError):
        for name, version in VERSIONS.items():
            try:
                context = unverified(version)
            except ValueError:  # this machine does not support it
                continue
            accepted[name] = (await shake_hands(address, context, server_name)).answered
    return accepted
