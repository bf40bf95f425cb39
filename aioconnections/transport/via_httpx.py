"""Adapters from engines to httpx: `HttpxEngine` has its own connections, `HttpxAdapter` uses what the caller passes.

What a caller passes may be of httpx2 as well; see `httpx_family`.

A shared httpx pool costs more than ten times the CPU per request, because each request walks all connections; so
`HttpxEngine` keeps transports of one connection each. A caller's transport or client gives access to proxies, HTTP/2,
ASGI applications and mocks.

Exceptions of httpx are translated only here, and raised outside the ``except`` block: an exception of httpx holds the
request, and with it the password.
"""

from __future__ import annotations

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
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

import anyio
import httpx

from aioconnections.errors import (
    ConnectFailedError,
    ConnectionsError,
    DeadlineError,
    InvalidInputError,
    LocalLimitError,
    ProtocolError,
    ProxyError,
    TransportError,
    UsageError,
)
from aioconnections.protocol.messages import Headers, Origin, Request, Response
from aioconnections.transport import RequestChain, StreamedResponse
from aioconnections.transport.connect import NOT_CONNECTED_IN_TIME, connect_error
from aioconnections.transport.http1 import (
    CLOSED_EARLY,
    LARGEST_BODY,
    NOT_HTTP,
    NOT_HTTP_BUT_TLS,
    Decoder,
    MalformedResponseError,
    body_too_large,
)
from aioconnections.transport.httpx_family import HTTPX, Family, either, family_of
from aioconnections.transport.lane import malformed, too_late
from aioconnections.transport.limits import LocalLimit, local_limit_error, no_descriptor, trust_unreadable
from aioconnections.transport.proxies import Proxy, not_connected, refusal
from aioconnections.transport.tls import ClientCert, Trust, Verify
from aioconnections.transport.tls_failures import client_certificate_error
from aioconnections.transport.wire import CONNECTION_LOST

if TYPE_CHECKING:
    from aioconnections.transport.httpx_family import AnyClient, AnyTransport

__all__ = ["HttpxAdapter", "HttpxEngine"]

T = TypeVar("T")
_Send: TypeAlias = Callable[[httpx.Request], Awaitable[httpx.Response]]

_BINARY = "illegal request line"  # h11's text for a response that begins with a control character, as TLS does
_IDLE_SECONDS = 8.0  # the vendor's web server closes idle connections after 10 s
_TUNNELLED = frozenset({"proxy.start_tls.started", "socks.start_tls.started"})  # events after the proxy has connected
_GATEWAY = frozenset({403, 502, 504})  # statuses by which a proxy refuses to pass on a request for an http URL
_CLOSE_TIMEOUT = 2.0  # seconds for closing a broken connection while the caller is being cancelled


class _Loan:
    """The right to send one request. Its user sets `complete` after reading the response to its end."""

    __slots__ = ("complete", "family", "fresh", "send")

    def __init__(self, send: _Send, family: Family, *, fresh: bool) -> None:
        self.send = send
        self.family = family
        self.fresh = fresh  # whether the connection is known to be new
        self.complete = False


class _Base(ABC):
    """Base of both engines: one deadline for the whole exchange, a limit on bodies, translated errors."""

    def __init__(self, local_limit: LocalLimit | None) -> None:
        self._local_limit = local_limit
        self._running = 0

    def _close_local_limit(self) -> None:
        if self._local_limit is not None:
            self._local_limit.close()

    @contextmanager
    def _counted(self) -> Generator[None]:
        """Count the running requests. If this machine allows no connection for one, the others are what it allows.

        Even without other requests, httpx may hold an idle connection that it did not use.
        """
        self._running += 1
        try:
            yield
        except LocalLimitError:
            if self._local_limit is not None:
                self._local_limit.reached(self._running - 1)
            raise
        else:
            if self._local_limit is not None:
                self._local_limit.has_opened = True
        finally:
            self._running -= 1

    async def exchange(
        self,
        origin: Origin,
        request: Request,
        common: Headers,
        timeout: float,
        chain: RequestChain | None = None,
    ) -> Response:
        """See `Engine.exchange`; `chain` is ignored."""
        del chain

        async def send() -> Response:
            async with self._lend(origin) as loan, _sent(loan, origin, request, common) as response:
                body = b"".join([chunk async for chunk in _body(response)])
                loan.complete = True
            return Response(response.status_code, tuple(response.headers.raw), body)

        with self._counted():
            return await _within(_Budget(timeout), send)

    @asynccontextmanager
    async def stream(
        self, origin: Origin, request: Request, common: Headers, timeout: float
    ) -> AsyncGenerator[StreamedResponse]:
        """See `Engine.stream`."""
        budget = _Budget(timeout)
        async with self._lend(origin) as loan, AsyncExitStack() as stack:
            stack.enter_context(self._counted())
            sent = _sent(loan, origin, request, common)
            response = await _within(budget, lambda: stack.enter_async_context(sent))
            async with aclosing(_body(response)) as chunks:
                yield _Stream(response, chunks, loan, budget)

    @abstractmethod
    def _lend(self, origin: Origin) -> AbstractAsyncContextManager[_Loan]:
        """The right to send one request to `origin` within the block."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the connections that this engine owns."""


class HttpxEngine(_Base):
    """An `Engine` over httpx connections of its own, opened on demand; the most recently used one is taken first.

    A connection serves one origin only: one that was opened for plain HTTP checks no certificate.

    Environment variables are not read: httpx is given `proxy`, or none.
    """

    def __init__(
        self,
        *,
        verify: Verify = True,
        client_cert: ClientCert | None = None,
        proxy: Proxy | None = None,
        local_limit: LocalLimit | None = None,
    ) -> None:
        super().__init__(local_limit)
        self._trust = Trust(verify, client_cert)
        self._proxy = proxy
        self._proxy_works = False  # whether it has passed on a request
        self._idle: dict[Origin, list[httpx.AsyncHTTPTransport]] = {}
        self._lent = 0
        self._closed = False

    @asynccontextmanager
    async def _lend(self, origin: Origin) -> AsyncGenerator[_Loan]:
        idle = self._idle.setdefault(origin, [])
        fresh = not idle
        transport = self._new_transport(origin) if fresh else idle.pop()
        send: _Send = transport.handle_async_request
        if self._proxy is not None:
            send = partial(self._through_proxy, self._proxy, origin, send)
        loan = _Loan(send, HTTPX, fresh=fresh)
        self._lent += 1
        try:
            yield loan
        finally:
            self._lent -= 1
            if loan.complete and not self._closed:
                idle.append(transport)
            else:  # httpx may consider a connection idle before its response has arrived, so it is not reused
                with anyio.move_on_after(_CLOSE_TIMEOUT, shield=True):
                    await transport.aclose()

    def _new_transport(self, origin: Origin) -> httpx.AsyncHTTPTransport:
        proxy, given = self._proxy, None
        if proxy is not None:
            context = self._trust.context() if proxy.scheme == "https" else None
            given = httpx.Proxy(proxy.url, auth=proxy.login() if proxy.login else None, ssl_context=context)
        return httpx.AsyncHTTPTransport(
            verify=self._trust.context() if origin.scheme == "https" else False,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_IDLE_SECONDS),
            proxy=given,
            trust_env=False,
        )

    async def _through_proxy(self, proxy: Proxy, origin: Origin, send: _Send, message: httpx.Request) -> httpx.Response:
        """Send a request through the proxy.

        Until the proxy has passed on a request, its failures are deterministic: its URL is probably wrong. Later, they
        are like those of the server.

        Raises:
            ProxyError: the proxy could not be reached, or did not pass the request on.
        """
        tunnelled = False

        async def trace(event: str, _: object) -> None:
            nonlocal tunnelled
            tunnelled = tunnelled or event in _TUNNELLED

        message.extensions = {**message.extensions, "trace": trace}
        failure: TransportError
        try:
            response = await send(message)
        except httpx.ProxyError as error:
            failure = refusal(proxy, origin, _proxy_status(error))
        except httpx.ConnectError as error:
            if tunnelled:  # the handshake with the server failed
                raise
            failure = not_connected(proxy, list(_causes(error)))
        else:
            status = response.status_code
            if origin.scheme == "https" or not (status == 407 or (status in _GATEWAY and not self._proxy_works)):
                self._proxy_works = True
                return response
            if status != 407 and Response(status, tuple(response.headers.raw)).is_own_form:
                return response
            failure = refusal(proxy, origin, status, certain=status == 407)
            with anyio.move_on_after(_CLOSE_TIMEOUT, shield=True):
                await response.aclose()
        if isinstance(failure, ProxyError) and not self._proxy_works:
            failure.deterministic = True
        raise failure

    async def aclose(self) -> None:
        """Close every idle connection; a lent one closes when it is returned."""
        self._closed = True
        self._close_local_limit()
        for idle in self._idle.values():
            while idle:
                await idle.pop().aclose()

    def __repr__(self) -> str:
        return f"HttpxEngine({self._lent} lent, {sum(map(len, self._idle.values()))} idle)"


class HttpxAdapter(_Base):
    """An `Engine` over the caller's transport or client.

    A client's own credentials, cookies, default headers and redirects are not used: the request is sent unchanged, so
    that the requests of one user never carry another user's credentials.

    Args:
        transport: a transport or a client of httpx or httpx2.
        local_limit: tracks how many connections this machine allows.

    Raises:
        InvalidInputError: `transport` is neither, or is a client that has auth or cookies.
    """

    def __init__(self, transport: AnyTransport | AnyClient, *, local_limit: LocalLimit | None = None) -> None:
        super().__init__(local_limit)
        family = family_of(transport, httpx.AsyncClient, httpx.AsyncBaseTransport)
        if family is None:
            raise InvalidInputError(
                "transport must be an AsyncBaseTransport and http_client an AsyncClient, of httpx or httpx2, "
                f"got {type(transport).__name__}"
            )
        self._family = family
        self._transport = cast("httpx.AsyncBaseTransport | httpx.AsyncClient", transport)
        self._closed = False
        if isinstance(transport, family(httpx.AsyncClient)):
            if transport.auth is not None or transport.cookies:
                raise InvalidInputError("http_client must not have auth or cookies; pass auth to this client instead")
            self._send: _Send = partial(_through_client, transport)
        else:
            self._send = cast("httpx.AsyncBaseTransport", transport).handle_async_request

    @asynccontextmanager
    async def _lend(self, origin: Origin) -> AsyncGenerator[_Loan]:  # noqa: ARG002 # it serves any origin
        yield _Loan(self._send, self._family, fresh=False)

    async def aclose(self) -> None:
        """Close the transport, as `httpx.AsyncClient` does; a client remains open, for its owner to close."""
        self._close_local_limit()
        if isinstance(self._transport, self._family(httpx.AsyncBaseTransport)) and not self._closed:
            self._closed = True
            await self._transport.aclose()

    def __repr__(self) -> str:
        return f"HttpxAdapter({type(self._transport).__name__})"


async def _through_client(client: httpx.AsyncClient, message: httpx.Request) -> httpx.Response:
    """The response from a caller's client; cookies that it sets are removed from the client's jar."""
    if client.is_closed:
        raise UsageError("http_client is closed")
    response = await client.send(message, stream=True, auth=None, follow_redirects=False)
    for cookie in response.cookies.jar:  # may hold the login of this user, which other requests must not carry
        with suppress(KeyError):
            client.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)
    return response


def _message(family: Family, origin: Origin, request: Request, common: Headers) -> httpx.Request:
    """The message for httpx. A final dot of the host is dropped: httpx would use it for TLS too."""
    headers = [("Host", origin.authority), *common, *request.headers]
    return family(httpx.Request)(request.method, f"{origin}{request.target}", headers=headers, content=request.body)


@asynccontextmanager
async def _sent(loan: _Loan, origin: Origin, request: Request, common: Headers) -> AsyncGenerator[httpx.Response]:
    """Send the request and yield the response once its head is known; close it at the end of the block."""
    response: httpx.Response | ProtocolError
    try:
        response = await loan.send(_message(loan.family, origin, request, common))
    except either(httpx.RemoteProtocolError) as error:
        response = _protocol_error(error)
    if isinstance(response, ProtocolError):
        response.reused = response.deterministic and not loan.fresh  # may be left over from an earlier response
        raise response
    if not isinstance(response.stream, loan.family(httpx.AsyncByteStream)):
        raise UsageError("transport must return responses with an asynchronous stream")
    try:
        yield response
    finally:
        with anyio.move_on_after(_CLOSE_TIMEOUT, shield=True):
            await response.aclose()


async def _body(response: httpx.Response) -> AsyncGenerator[bytes]:
    """The body, decoded in bounded steps and limited in size; httpx would inflate it without a limit."""
    coding = response.headers.get("content-encoding", "").strip().lower()
    decoder = None
    size = 0
    async for chunk in cast("httpx.AsyncByteStream", response.stream):
        if chunk and decoder is None and coding not in {"", "identity"}:
            decoder = Decoder(coding.encode())
        for piece in (chunk,) if decoder is None else decoder.feed(chunk):
            size += len(piece)
            if size > LARGEST_BODY:
                raise body_too_large(LARGEST_BODY)
            yield piece
    if decoder is not None:
        decoder.end()


class _Stream:
    """A response whose body is still arriving; see `StreamedResponse`."""

    def __init__(self, response: httpx.Response, chunks: AsyncGenerator[bytes], loan: _Loan, budget: _Budget) -> None:
        self._head = Response(response.status_code, tuple(response.headers.raw))
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
            self._loan.complete = True
            raise StopAsyncIteration
        return chunk


class _Budget:
    """The time left for waiting, in seconds."""

    __slots__ = ("left", "total")

    def __init__(self, seconds: float) -> None:
        self.total = self.left = seconds


async def _within(budget: _Budget, wait: Callable[[], Awaitable[T]]) -> T:
    """The result of `wait` within the time left; its errors are translated."""
    failure: ConnectionsError | None = None
    began = anyio.current_time()
    with anyio.move_on_after(budget.left):
        try:
            return await wait()
        except ConnectionsError as error:
            failure = error.with_traceback(None)  # its frames hold the message
        except MalformedResponseError as error:
            failure = malformed(str(error))
        except either(httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            failure = _translated(error)
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            failure = local_limit_error([error]) or _lost(error)
        finally:
            budget.left -= anyio.current_time() - began
    raise failure or too_late(budget.total, sent="maybe")


def _lost(error: Exception) -> TransportError:
    """The error for a lost connection. When the server checks certificates is not known here."""
    refusals = (client_certificate_error(cause, before_requests=False) for cause in _causes(error))
    return next(filter(None, refusals), None) or ProtocolError(CONNECTION_LOST, sent="maybe")


def _protocol_error(error: Exception) -> ProtocolError:
    """Distinguish invalid HTTP/1.1 from a connection that ended early: h11 and httpx have one class for both."""
    for cause in _causes(error):
        if type(cause).__module__.partition(".")[0] == "h11" and not str(cause).startswith("peer "):
            if str(cause) == _BINARY:
                return malformed(NOT_HTTP_BUT_TLS)
            return malformed(NOT_HTTP)
    return ProtocolError(CLOSED_EARLY, sent="maybe")


def _translated(error: Exception) -> TransportError:
    """The error that replaces one of httpx, without its text, which may hold a URL."""
    if isinstance(error, either(httpx.ConnectTimeout, httpx.PoolTimeout)):
        return DeadlineError(NOT_CONNECTED_IN_TIME, sent="no")
    if isinstance(error, either(httpx.TimeoutException)):
        return DeadlineError("a timeout of the transport itself has expired", sent="maybe")
    if isinstance(error, either(httpx.ConnectError, httpx.ProxyError)):
        return _not_connected(error)
    if isinstance(error, either(httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL)):
        return ConnectFailedError(f"httpx refused to send the request: {type(error).__name__}")
    if isinstance(error, either(httpx.RemoteProtocolError)):
        return _protocol_error(error)
    return _lost(error)


def _proxy_status(error: Exception) -> int | None:
    """The status of the proxy's response to CONNECT, at the beginning of the text; None for a SOCKS proxy."""
    code = str(error).partition(" ")[0]
    return int(code) if len(code) == 3 and code.isascii() and code.isdigit() else None


def _not_connected(error: Exception) -> TransportError:
    if isinstance(error, either(httpx.ProxyError)):  # of a caller's transport
        status = _proxy_status(error)
        shown = "" if status is None else f" (HTTP {status})"
        refused = ProxyError(f"the proxy of the transport did not connect to the server{shown}", status=status)
        refused.deterministic = status is not None and status < 500
        return refused
    causes = list(_causes(error))
    if any(trust_unreadable(cause, 2) for cause in causes):  # its socket has been closed
        causes = [no_descriptor()]
    return connect_error(causes)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and its causes, including the members of exception groups."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions:
                yield from _causes(inner)
        error = error.__cause__ or error.__context__
