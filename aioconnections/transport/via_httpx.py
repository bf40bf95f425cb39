"""Engines over httpx: `HttpxEngine` lends its own connections, `HttpxAdapter` goes through what the caller brought.

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
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from functools import partial
from importlib import import_module
from typing import TypeAlias, TypeVar, cast

import anyio
import httpx

from aioconnections.errors import (
    CertificateError,
    ConnectFailedError,
    ConnectionsError,
    DeadlineError,
    InvalidInputError,
    LocalLimitError,
    ProtocolError,
    TransportError,
    UsageError,
)
from aioconnections.protocol.messages import Headers, Origin, Request, Response
from aioconnections.transport import StreamedResponse
from aioconnections.transport.connect import tls_refusal
from aioconnections.transport.http1 import BadAnswerError, Decoder
from aioconnections.transport.lane import malformed
from aioconnections.transport.limits import Ceiling, local_limit, no_descriptor, trust_was_unreadable
from aioconnections.transport.tls import Trust, Verify

__all__ = ["HttpxAdapter", "HttpxEngine"]

T = TypeVar("T")
_Send: TypeAlias = Callable[[httpx.Request], Awaitable[httpx.Response]]

_LARGEST_BODY = 64 * 1024 * 1024
_KEEPALIVE = 8.0  # the vendor's web server closes idle connections after 10 s
_CLOSING = 2.0  # seconds that closing a broken connection may take while the caller is being cancelled


class _Loan:
    """A way to send one message. Whoever has read the answer to its end says so with `whole`."""

    __slots__ = ("fresh", "send", "whole")

    def __init__(self, send: _Send, *, fresh: bool) -> None:
        self.send = send
        self.fresh = fresh  # whether the connection is known not to have served before
        self.whole = False


class _Engine(ABC):
    """What both kinds share: one deadline around the whole exchange, bodies under a limit, errors translated."""

    def __init__(self, ceiling: Ceiling | None) -> None:
        self._ceiling = ceiling
        self._under_way = 0

    def _close_ceiling(self) -> None:
        if self._ceiling is not None:
            self._ceiling.close()

    @contextmanager
    def _counted(self) -> Generator[None]:
        """A request is under way; where this machine allows no connection for it, the others show how many it does.

        Without another request there may be an idle connection all the same, which httpx has not come to use.
        """
        self._under_way += 1
        try:
            yield
        except LocalLimitError:
            if self._ceiling is not None:
                self._ceiling.reached(self._under_way - 1)
            raise
        else:
            if self._ceiling is not None:
                self._ceiling.has_opened = True
        finally:
            self._under_way -= 1

    async def exchange(self, origin: Origin, request: Request, common: Headers, timeout: float) -> Response:
        """Send one request and return its whole answer, as `Engine` says."""

        async def carry() -> Response:
            async with self._lend(origin) as loan, _answered(loan, origin, request, common) as answer:
                body = b"".join([chunk async for chunk in _body(answer)])
                loan.whole = True
            return Response(answer.status_code, tuple(answer.headers.raw), body)

        with self._counted():
            return await _within(_Budget(timeout), carry)

    @asynccontextmanager
    async def stream(
        self, origin: Origin, request: Request, common: Headers, timeout: float
    ) -> AsyncGenerator[StreamedResponse]:
        """Send one request and hand its answer over while it arrives, as `Engine` says."""
        budget = _Budget(timeout)
        async with self._lend(origin) as loan, AsyncExitStack() as stack:
            stack.enter_context(self._counted())
            arriving = _answered(loan, origin, request, common)
            answer = await _within(budget, lambda: stack.enter_async_context(arriving))
            async with aclosing(_body(answer)) as chunks:
                yield _Stream(answer, chunks, loan, budget)

    @abstractmethod
    def _lend(self, origin: Origin) -> AbstractAsyncContextManager[_Loan]:
        """Something to send one message to `origin` with, taken back at the end of the block."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close what this engine owns."""


class HttpxEngine(_Engine):
    """Lends kept-alive connections of its own, the one used last first; they are opened when they are first needed.

    A connection is lent for one origin only: one that was made for plain HTTP checks no certificate.

    Raises:
        InvalidInputError: httpx cannot go through a proxy of this kind.
    """

    def __init__(self, *, verify: Verify = True, proxy: str | None = None, ceiling: Ceiling | None = None) -> None:
        super().__init__(ceiling)
        self._trust = Trust(verify)
        self._proxy = None if proxy is None else _proxy(proxy)
        self._idle: dict[Origin, list[httpx.AsyncHTTPTransport]] = {}
        self._lent = 0
        self._closed = False

    @asynccontextmanager
    async def _lend(self, origin: Origin) -> AsyncGenerator[_Loan]:
        idle = self._idle.setdefault(origin, [])
        fresh = not idle
        lane = self._new(origin) if fresh else idle.pop()
        loan = _Loan(lane.handle_async_request, fresh=fresh)
        self._lent += 1
        try:
            yield loan
        finally:
            self._lent -= 1
            if loan.whole and not self._closed:
                idle.append(lane)
            else:  # httpx may take a connection for free that still owes an answer, so this one is not used again
                with anyio.move_on_after(_CLOSING, shield=True):
                    await lane.aclose()

    def _new(self, origin: Origin) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(
            verify=self._trust.context() if origin.scheme == "https" or self._proxy else False,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_KEEPALIVE),
            proxy=self._proxy,
        )

    async def aclose(self) -> None:
        """Close every connection; one that is lent closes when it comes back."""
        self._closed = True
        self._close_ceiling()
        for idle in self._idle.values():
            while idle:
                await idle.pop().aclose()

    def __repr__(self) -> str:
        return f"HttpxEngine({self._lent} lent, {sum(map(len, self._idle.values()))} idle)"


class HttpxAdapter(_Engine):
    """Goes through the caller's transport or client.

    A client's own credentials, cookies, default headers and redirects are not used: the request goes out as it is, so
    that one user's requests never carry another's login.

    Raises:
        InvalidInputError: it is neither, or the client carries a login or cookies.
    """

    def __init__(self, door: httpx.AsyncBaseTransport | httpx.AsyncClient, *, ceiling: Ceiling | None = None) -> None:
        super().__init__(ceiling)
        self._door = door
        self._closed = False
        if isinstance(door, httpx.AsyncClient):
            if door.auth is not None or door.cookies:
                raise InvalidInputError("http_client must not carry auth or cookies; pass auth to this client instead")
            self._send: _Send = partial(_through, door)
        elif isinstance(door, httpx.AsyncBaseTransport):
            self._send = door.handle_async_request
        else:
            raise InvalidInputError("transport is an httpx.AsyncBaseTransport, and http_client an httpx.AsyncClient")

    @asynccontextmanager
    async def _lend(self, origin: Origin) -> AsyncGenerator[_Loan]:  # noqa: ARG002 # the door takes any
        yield _Loan(self._send, fresh=False)

    async def aclose(self) -> None:
        """Close a transport, as httpx does with one that it is given; leave a client to its owner."""
        self._close_ceiling()
        if isinstance(self._door, httpx.AsyncBaseTransport) and not self._closed:
            self._closed = True
            await self._door.aclose()

    def __repr__(self) -> str:
        return f"HttpxAdapter({type(self._door).__name__})"


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
    problem = "the proxy's URL is not one that httpx can use"
    with suppress(ValueError, httpx.InvalidURL):
        proxy = httpx.Proxy(url)
        if not proxy.url.scheme.startswith("socks"):
            return proxy
        problem = 'a SOCKS proxy needs one more package: pip install "httpx[socks]"'
        with suppress(ImportError):
            import_module("socksio")  # httpx would only look for it when something is to be sent
            return proxy
    raise InvalidInputError(problem)


def _message(origin: Origin, request: Request, common: Headers) -> httpx.Request:
    headers = [("Host", origin.authority), *common, *request.headers]
    return httpx.Request(request.method, f"{origin}{request.target}", headers=headers, content=request.body)


@asynccontextmanager
async def _answered(loan: _Loan, origin: Origin, request: Request, common: Headers) -> AsyncGenerator[httpx.Response]:
    """The answer once its head is there; closed at the end of the block."""
    answer: httpx.Response | ProtocolError
    try:
        answer = await loan.send(_message(origin, request, common))
    except httpx.RemoteProtocolError as error:
        answer = _broken_protocol(error)
    if isinstance(answer, ProtocolError):
        answer.reused = answer.deterministic and not loan.fresh  # it may be what an earlier response left behind
        raise answer
    if not isinstance(answer.stream, httpx.AsyncByteStream):
        raise UsageError("the transport's answers cannot be read asynchronously")
    try:
        yield answer
    finally:
        with anyio.move_on_after(_CLOSING, shield=True):
            await answer.aclose()


async def _body(answer: httpx.Response) -> AsyncGenerator[bytes]:
    """The body, decoded in steps and under the limit: httpx itself would inflate it without one."""
    coding = answer.headers.get("content-encoding", "").strip().lower()
    decoder = None
    size = 0
    async for chunk in cast("httpx.AsyncByteStream", answer.stream):
        if chunk and decoder is None and coding not in {"", "identity"}:
            decoder = Decoder(coding.encode())
        for piece in (chunk,) if decoder is None else decoder.feed(chunk):
            size += len(piece)
            if size > _LARGEST_BODY:
                raise BadAnswerError("the body of the answer is larger than allowed")
            yield piece
    if decoder is not None:
        decoder.end()


class _Stream:
    """An answer whose body is still arriving; see `StreamedResponse`."""

    def __init__(self, answer: httpx.Response, chunks: AsyncGenerator[bytes], loan: _Loan, budget: _Budget) -> None:
        self._head = Response(answer.status_code, tuple(answer.headers.raw))
        self._chunks = chunks
        self._loan = loan
        self._budget = budget

    @property
    def head(self) -> Response:
        return self._head

    def __aiter__(self) -> _Stream:
        return self

    async def __anext__(self) -> bytes:
        chunk = await _within(self._budget, lambda: anext(self._chunks, None))
        if chunk is None:
            self._loan.whole = True
            raise StopAsyncIteration
        return chunk


class _Budget:
    """The time that is left for waiting."""

    __slots__ = ("left", "whole")

    def __init__(self, seconds: float) -> None:
        self.whole = self.left = seconds


async def _within(budget: _Budget, wait: Callable[[], Awaitable[T]]) -> T:
    """What `wait` returns, within the time that is left; its errors become ours."""
    failure: ConnectionsError | None = None
    began = anyio.current_time()
    with anyio.move_on_after(budget.left):
        try:
            return await wait()
        except ConnectionsError as error:
            failure = error.with_traceback(None)  # its frames hold the message
        except BadAnswerError as error:
            failure = malformed(str(error))
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            failure = _translated(error)
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            failure = local_limit([error]) or _broken()
        finally:
            budget.left -= anyio.current_time() - began
    raise failure or DeadlineError(f"no answer within {budget.whole:g} s", sent="maybe")


def _broken() -> ProtocolError:
    return ProtocolError("the connection broke off before the answer was complete", sent="maybe")


def _broken_protocol(error: httpx.RemoteProtocolError) -> ProtocolError:
    """Tell what is not valid HTTP/1.1 from a connection that ended early: h11 and httpx have one class for both."""
    for cause in _causes(error):
        if type(cause).__module__.partition(".")[0] == "h11" and not str(cause).startswith("peer "):
            return malformed("what came is not valid HTTP")
    return _broken()


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
        case httpx.RemoteProtocolError():
            return _broken_protocol(error)
        case _:
            return _broken()


def _not_connected(error: Exception) -> TransportError:
    causes = list(_causes(error))
    if any(trust_was_unreadable(cause, 2) for cause in causes):  # its socket is closed by now
        causes = [no_descriptor()]
    if (limit := local_limit(causes)) is not None:
        return limit
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return CertificateError("the server's certificate was not accepted")
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return tls_refusal(cause) or ConnectFailedError("the TLS handshake failed")
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
