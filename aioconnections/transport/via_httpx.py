"""Engines over httpx: `HttpxEngine` lends its own connections, `DoorEngine` goes through what the caller brought.

A shared httpx pool spends more than ten times the CPU on each request, because every request walks all of its
connections; so `HttpxEngine` keeps transports of one connection each. Through a caller's transport or client go
proxies, HTTP/2, ASGI applications and mocks.

Exceptions of httpx become ours here and nowhere else, and outside of the ``except`` block: an exception of httpx holds
the request, and with it the password.
"""

from __future__ import annotations

import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import TypeAlias, cast

import anyio
import httpx

from aioconnections.errors import (
    CertificateError,
    ConnectFailedError,
    ConnectionsError,
    DeadlineError,
    InvalidInputError,
    ProtocolError,
    TransportError,
    UsageError,
)
from aioconnections.protocol.messages import Headers, Origin, Request, Response
from aioconnections.transport.tls import Trust, Verify

__all__ = ["DoorEngine", "HttpxEngine"]

_Send: TypeAlias = Callable[[httpx.Request], Awaitable[httpx.Response]]

_LARGEST_BODY = 64 * 1024 * 1024
_KEEPALIVE = 8.0  # the vendor's web server closes idle connections after 10 s
_CLOSING = 2.0  # seconds that closing a broken connection may take while the caller is being cancelled


class _Engine(ABC):
    """What both kinds share: one deadline around the whole exchange, bodies under a limit, errors translated."""

    async def exchange(self, origin: Origin, request: Request, common: Headers, timeout: float) -> Response:
        """Send one request and return its whole answer, as `Engine` says."""
        failure: ConnectionsError | None = None
        with anyio.move_on_after(timeout):
            try:
                return await self._carry(_message(origin, request, common))
            except ConnectionsError as error:
                failure = error.with_traceback(None)  # its frames hold the message
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
                failure = _translated(error)
            except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
                failure = _broken()
        raise failure or DeadlineError(f"no answer within {timeout:g} s", sent="maybe")

    @abstractmethod
    async def _carry(self, message: httpx.Request) -> Response:
        """Send and read to the end, or raise what httpx raises."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close what this engine owns."""


class HttpxEngine(_Engine):
    """Lends kept-alive connections of its own, the one used last first; they are opened when they are first needed.

    A connection is lent for one origin only: one that was made for plain HTTP checks no certificate.

    Raises:
        InvalidInputError: httpx cannot go through a proxy of this kind.
    """

    def __init__(self, *, verify: Verify = True, proxy: str | None = None) -> None:
        self._trust = Trust(verify)
        self._proxy = None if proxy is None else _proxy(proxy)
        self._idle: dict[tuple[str, bytes], list[httpx.AsyncHTTPTransport]] = {}
        self._lent = 0
        self._closed = False

    async def _carry(self, message: httpx.Request) -> Response:
        idle = self._idle.setdefault((message.url.scheme, message.url.netloc), [])
        lane = idle.pop() if idle else self._new(message)
        self._lent += 1
        whole = False
        try:
            response = await _answer(lane.handle_async_request, message)
            whole = True
            return response
        finally:
            self._lent -= 1
            if whole and not self._closed:
                idle.append(lane)
            else:  # httpx may take a connection for free that still owes an answer, so this one is not used again
                with anyio.move_on_after(_CLOSING, shield=True):
                    await lane.aclose()

    def _new(self, message: httpx.Request) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(
            verify=self._trust.context() if message.url.scheme == "https" or self._proxy else False,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_KEEPALIVE),
            proxy=self._proxy,
        )

    async def aclose(self) -> None:
        """Close every connection; one that is lent closes when it comes back."""
        self._closed = True
        for idle in self._idle.values():
            while idle:
                await idle.pop().aclose()

    def __repr__(self) -> str:
        return f"HttpxEngine({self._lent} lent, {sum(map(len, self._idle.values()))} idle)"


class DoorEngine(_Engine):
    """Goes through the caller's transport or client.

    A client's own credentials, cookies, default headers and redirects are not used: the request goes out as it is, so
    that one user's requests never carry another's login.

    Raises:
        InvalidInputError: the client carries a login or cookies.
    """

    def __init__(self, door: httpx.AsyncBaseTransport | httpx.AsyncClient) -> None:
        self._door = door
        self._closed = False
        if isinstance(door, httpx.AsyncClient):
            if door.auth is not None or door.cookies:
                raise InvalidInputError("http_client must not carry auth or cookies; pass auth to this client instead")
            self._send: _Send = partial(_through, door)
        else:
            self._send = door.handle_async_request

    async def _carry(self, message: httpx.Request) -> Response:
        return await _answer(self._send, message)

    async def aclose(self) -> None:
        """Close a transport, as httpx does with one that it is given; leave a client to its owner."""
        if isinstance(self._door, httpx.AsyncBaseTransport) and not self._closed:
            self._closed = True
            await self._door.aclose()

    def __repr__(self) -> str:
        return f"DoorEngine({type(self._door).__name__})"


async def _through(client: httpx.AsyncClient, message: httpx.Request) -> httpx.Response:
    """The answer that comes through a caller's client, whose cookie jar does not keep what the answer sets."""
    if client.is_closed:
        raise UsageError("http_client is closed")
    response = await client.send(message, stream=True, auth=None, follow_redirects=False)
    for cookie in response.cookies.jar:  # a login of this user, which the owner's own requests would carry
        with suppress(KeyError):
            client.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)
    return response


def _proxy(url: str) -> httpx.Proxy:
    with suppress(ValueError, httpx.InvalidURL):
        return httpx.Proxy(url)
    raise InvalidInputError("the proxy's URL is not one that httpx can use")


def _message(origin: Origin, request: Request, common: Headers) -> httpx.Request:
    headers = [("Host", origin.authority), ("Accept-Encoding", "identity"), *common, *request.headers]
    return httpx.Request(request.method, f"{origin}{request.target}", headers=headers, content=request.body)


async def _answer(send: _Send, message: httpx.Request) -> Response:
    """The whole answer, its body under the limit. The stream is read as it is: httpx would inflate without a limit."""
    response = await send(message)
    if not isinstance(response.stream, httpx.AsyncByteStream):
        raise UsageError("the transport's answers cannot be read asynchronously")
    try:
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.stream:
            size += len(chunk)
            if size > _LARGEST_BODY:
                raise ProtocolError("the body of the answer is larger than allowed", sent="maybe")
            chunks.append(chunk)
        if size and response.headers.get("content-encoding", "identity") != "identity":
            raise ProtocolError("the answer is compressed although that was not asked for", sent="maybe")
    finally:
        with anyio.move_on_after(_CLOSING, shield=True):
            await response.aclose()
    return Response(response.status_code, tuple(response.headers.raw), b"".join(chunks))


def _broken() -> ProtocolError:
    return ProtocolError("the connection broke off before the answer was complete", sent="maybe")


def _translated(error: Exception) -> TransportError:
    """Our error for one of httpx's: no text of it is kept, it may hold a URL."""
    match error:
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return ConnectFailedError("no connection came about in time")
        case httpx.TimeoutException():
            return DeadlineError("the transport's own timeout passed", sent="maybe")
        case httpx.ConnectError() | httpx.ProxyError():
            return _not_connected(error)
        case httpx.UnsupportedProtocol() | httpx.LocalProtocolError() | httpx.InvalidURL():
            return ConnectFailedError(f"httpx refused to send the request: {type(error).__name__}")
        case _:
            return _broken()


def _not_connected(error: Exception) -> TransportError:
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return CertificateError("the server's certificate was not accepted")
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return ConnectFailedError("the TLS handshake failed")
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return ConnectFailedError("the name of the server does not resolve")
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return ConnectFailedError("connection refused")
    return ConnectFailedError("no connection came about")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and everything that led to it, groups unfolded."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions:
                yield from _causes(inner)
        error = error.__cause__ or error.__context__
