"""The engine over httpx against a scripted server on loopback."""

from __future__ import annotations

import re
import socket
import ssl
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import anyio
import anyio.lowlevel
import pytest
import trustme
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.stapled import MultiListener
from anyio.streams.tls import TLSListener

from aioconnections.errors import (
    CertificateError,
    ConnectFailedError,
    ConnectionsError,
    DeadlineError,
    ProtocolError,
    TransportError,
)
from aioconnections.protocol.messages import Headers, Origin, Request, Response
from aioconnections.transport import Engine
from aioconnections.transport.proxies import Proxy
from aioconnections.transport.via_httpx import HttpxEngine

pytestmark = pytest.mark.anyio

COMMON = Headers([("User-Agent", "test"), ("Authorization", "Basic c2VjcmV0")])
REQUEST = Request("HEAD", "/profiles/atom/connection.do?sourceEmail=amy%40example.com")
NOWHERE = Origin("http", "c.example.com", 80)
OK = b"HTTP/1.1 200 OK\r\nX-Profiles-Connection-Status: accepted\r\nContent-Length: 0\r\n\r\n"

Handle: TypeAlias = Callable[[ByteStream], Awaitable[None]]


class Server:
    """Reads requests, lets a script respond, and counts its connections."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.heads: list[bytes] = []
        self.body = b""
        self.opened = 0
        self.origin = NOWHERE
        self._open = 0
        self._changed = anyio.Event()

    async def talk(self, stream: ByteStream) -> None:
        self.opened += 1
        self._open += 1
        reader = BufferedByteReceiveStream(stream)
        try:
            async with stream:
                while True:
                    self.heads.append(await reader.receive_until(b"\r\n\r\n", 65536))
                    if length := re.search(rb"(?i)content-length: (\d+)", self.heads[-1]):
                        self.body = await reader.receive_exactly(int(length[1]))
                    await self.handle(stream)
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        finally:
            self._open -= 1
            self._changed.set()

    async def quiet(self) -> None:
        """Return once every connection is closed."""
        while self._open:
            self._changed = anyio.Event()
            await self._changed.wait()


@asynccontextmanager
async def serving(handle: Handle, context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(handle)
    plain = await anyio.create_tcp_listener(local_host="127.0.0.1", family=socket.AF_INET)
    scheme = "http" if context is None else "https"
    server.origin = Origin(scheme, "127.0.0.1", port_of(plain))
    listener = plain if context is None else TLSListener(plain, context, standard_compatible=False)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, server.talk)
        yield server
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def closing(engine: Engine) -> AsyncIterator[Engine]:
    try:
        yield engine
    finally:
        await engine.aclose()


def saying(*parts: bytes) -> Handle:
    async def handle(stream: ByteStream) -> None:
        for part in parts:
            await stream.send(part)

    return handle


def then_closing(*parts: bytes) -> Handle:
    async def handle(stream: ByteStream) -> None:
        await saying(*parts)(stream)
        await stream.aclose()

    return handle


async def silent(stream: ByteStream) -> None:
    await stream.receive()  # until the client closes


async def exchange(engine: Engine, origin: Origin, request: Request = REQUEST, timeout: float = 60.0) -> Response:
    return await engine.exchange(origin, request, COMMON, timeout)


async def failure(engine: Engine, origin: Origin, request: Request = REQUEST, timeout: float = 60.0) -> TransportError:
    """The error of an exchange: ours, without a reference to httpx or to the request."""
    with pytest.raises(TransportError) as info:
        await engine.exchange(origin, request, COMMON, timeout)
    assert_clean(info.value)
    return info.value


def assert_clean(error: ConnectionsError) -> None:
    assert error.__cause__ is None
    assert error.__context__ is None
    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "amy" not in shown.replace(__file__, "")
    assert "c2VjcmV0" not in shown
    assert "httpx.Re" not in shown
    assert "<Request(" not in shown


def port_of(listener: MultiListener[SocketStream]) -> int:
    return listener.extra(SocketAttribute.local_port)  # noqa: S610 # not Django's


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


# --- requests and responses ---


async def test_the_request_is_sent_exactly() -> None:
    target = "/a/profiles/atom/connection.do?s=%C3%A9%2B%26%25%20%22%27%2F%23%F0%9F%A6%80&t=-._~"
    async with serving(saying(OK)) as server, closing(HttpxEngine()) as engine:
        request = Request("HEAD", target, Headers([("Cache-Control", "no-cache")]))
        response = await exchange(engine, server.origin, request)
    first, *fields = server.heads[0].decode().rstrip().split("\r\n")
    assert first == f"HEAD {target} HTTP/1.1"
    assert {name.lower(): value for name, value in (line.split(": ") for line in fields)} == {
        "host": server.origin.authority,
        "user-agent": "test",
        "authorization": "Basic c2VjcmV0",
        "cache-control": "no-cache",
    }
    assert response.status == 200
    assert response.get(b"x-profiles-connection-status") == "accepted"
    assert response.body == b""


async def test_bodies_in_both_directions() -> None:
    chunked = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"
    async with serving(saying(*chunked)) as server, closing(HttpxEngine()) as engine:
        response = await exchange(engine, server.origin, Request("POST", "/x", body=b"<entry/>"))
    assert server.body == b"<entry/>"
    assert (response.status, response.body) == (201, b"abcde")


@pytest.mark.parametrize("status", [204, 301, 302, 401, 404, 429, 500, 599])
async def test_a_response_of_any_status_is_returned(status: int) -> None:
    head = f"HTTP/1.1 {status} X\r\nLocation: /login\r\nSet-Cookie: LtpaToken2=x\r\nContent-Length: 0\r\n\r\n"
    async with serving(saying(head.encode())) as server, closing(HttpxEngine()) as engine:
        for _ in range(2):
            response = await exchange(engine, server.origin)
            assert (response.status, response.get(b"location")) == (status, "/login")
    assert len(server.heads) == 2, "redirects are not followed"
    assert not any(b"cookie" in head.lower() for head in server.heads), "cookies are not kept"


# --- connections ---


async def test_a_connection_is_reused() -> None:
    async with serving(saying(OK)) as server:
        engine = HttpxEngine()
        for _ in range(3):
            await exchange(engine, server.origin)
        assert server.opened == 1
        assert repr(engine) == "HttpxEngine(0 lent, 1 idle)"
        await engine.aclose()
        await engine.aclose()
        assert repr(engine) == "HttpxEngine(0 lent, 0 idle)"
        await server.quiet()


async def test_as_many_connections_as_concurrent_requests() -> None:
    async with serving(saying(OK)) as server, closing(HttpxEngine()) as engine:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(exchange, engine, server.origin)
        assert server.opened == 5
        assert repr(engine) == "HttpxEngine(0 lent, 5 idle)"
        await exchange(engine, server.origin)
        assert server.opened == 5


async def test_a_connection_that_the_server_closes_is_replaced() -> None:
    bye = OK.replace(b"Content", b"Connection: close\r\nContent")
    async with serving(then_closing(bye)) as server, closing(HttpxEngine()) as engine:
        for _ in range(3):
            assert (await exchange(engine, server.origin)).status == 200
        assert server.opened == 3


async def test_a_lent_connection_is_closed_after_the_engine_when_it_is_returned() -> None:
    asked, go = anyio.Event(), anyio.Event()

    async def handle(stream: ByteStream) -> None:
        asked.set()
        await go.wait()
        await stream.send(OK)

    engine = HttpxEngine()
    async with serving(handle) as server:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(exchange, engine, server.origin)
            await asked.wait()
            assert repr(engine) == "HttpxEngine(1 lent, 0 idle)"
            await engine.aclose()
            go.set()
        assert repr(engine) == "HttpxEngine(0 lent, 0 idle)"
        await server.quiet()


async def test_a_connection_belongs_to_one_origin() -> None:
    """One that was opened for plain HTTP checks no certificate, so it must never be lent for https."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with (
        serving(saying(OK)) as plain,
        serving(saying(OK), context) as tls,
        closing(HttpxEngine()) as engine,
    ):
        await exchange(engine, plain.origin)
        assert type(await failure(engine, tls.origin)) is CertificateError
        await exchange(engine, plain.origin)
        assert (plain.opened, len(tls.heads)) == (1, 0)


# --- cancellation and deadlines ---


@pytest.mark.parametrize("parts", [[], [b"HTTP/1.1 200 OK\r\n"], [OK.replace(b"h: 0", b"h: 9"), b"half"]])
async def test_a_deadline_covers_the_whole_exchange(parts: list[bytes]) -> None:
    async def handle(stream: ByteStream) -> None:
        await saying(*parts)(stream)
        await silent(stream)

    async with serving(handle) as server, closing(HttpxEngine()) as engine:
        error = await failure(engine, server.origin, Request("GET", "/x?amy"), timeout=0.05)
        assert type(error) is DeadlineError
        assert (error.sent, str(error)) == ("maybe", "no complete response within 0.05 s")
        assert repr(engine) == "HttpxEngine(0 lent, 0 idle)", "its response is still due"
        server.handle = saying(OK)
        assert (await exchange(engine, server.origin)).status == 200
        assert server.opened == 2


async def test_a_hundred_cancellations_leak_nothing() -> None:
    async with serving(silent) as server, closing(HttpxEngine()) as engine:
        for turn in range(100):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(exchange, engine, server.origin)
                for _ in range(turn):
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
        assert repr(engine) == "HttpxEngine(0 lent, 0 idle)"
        await server.quiet()
        assert server.opened > 0
        server.handle = saying(OK)
        assert (await exchange(engine, server.origin)).status == 200


# --- failures ---


async def test_refused() -> None:
    async with closing(HttpxEngine()) as engine:
        error = await failure(engine, Origin("http", "127.0.0.1", closed_port()))
    assert type(error) is ConnectFailedError
    assert str(error) == "the server refused the connection"


@pytest.mark.parametrize(
    "handle",
    [
        then_closing(),
        then_closing(b"HTTP/1.1 200 OK\r\nX-Pro"),
        then_closing(OK.replace(b"h: 0", b"h: 9"), b"half"),
        then_closing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
        saying(b"garbage, amy!\r\n\r\n"),
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: amy\r\n\r\n"),
        saying(b"HTTP/1.1 200 OK\r\nX: " + b"amy" * 50_000 + b"\r\n\r\n"),
        saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\namy\r\n"),
    ],
)
async def test_incomplete_and_invalid_responses(handle: Handle) -> None:
    async with serving(handle) as server, closing(HttpxEngine()) as engine:
        error = await failure(engine, server.origin, Request("GET", "/x?amy"))
        assert type(error) is ProtocolError
        assert error.sent == "maybe"
        assert repr(engine) == "HttpxEngine(0 lent, 0 idle)"
        server.handle = saying(OK)
        assert (await exchange(engine, server.origin)).status == 200


async def test_an_untrusted_certificate() -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    context, ours, theirs = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(ours)
    stranger.configure_trust(theirs)
    async with serving(saying(OK), context) as server:
        async with closing(HttpxEngine(verify=ours)) as engine:
            assert (await exchange(engine, server.origin)).status == 200
        async with closing(HttpxEngine(verify=theirs)) as engine:
            error = await failure(engine, server.origin)
            assert type(error) is CertificateError
            assert str(error) == ("the server's certificate is not signed by a trusted CA; pass verify= or --ca-file")
        assert len(server.heads) == 1, "credentials are sent only to the verified server"


async def test_a_connection_closed_during_the_handshake() -> None:
    async with closing(HttpxEngine(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))) as engine:

        async def hang_up(stream: ByteStream) -> None:
            await stream.aclose()

        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", family=socket.AF_INET)
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, hang_up)
            error = await failure(engine, Origin("https", "127.0.0.1", port_of(listener)))
            tasks.cancel_scope.cancel()
    assert isinstance(error, ConnectFailedError)


# --- proxies ---


async def test_through_a_proxy() -> None:
    async with (
        serving(saying(OK)) as server,
        closing(HttpxEngine(proxy=Proxy.of("http_proxy", str(server.origin)))) as engine,
    ):
        assert (await exchange(engine, NOWHERE)).status == 200
    assert server.heads[0].startswith(b"HEAD http://c.example.com/profiles/atom/connection.do?")
