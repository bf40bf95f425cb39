"""An engine over any httpx transport or client: its errors are translated."""

from __future__ import annotations

import gzip
import re
import socket
import ssl
import traceback
import zlib
from collections.abc import AsyncIterator, Iterator, MutableMapping
from typing import Any, Self

import anyio
import httpx
import httpx2
import pytest
import respx

from aioconnections.errors import (
    CertificateError,
    ConnectFailedError,
    ConnectionsError,
    DeadlineError,
    InvalidInputError,
    ProtocolError,
    ProxyError,
    TransportError,
    UsageError,
)
from aioconnections.protocol.messages import NO_HEADERS, Headers, Origin, Request, Response
from aioconnections.transport import Engine, via_httpx
from aioconnections.transport.http1 import CLOSED_EARLY
from aioconnections.transport.via_httpx import HttpxAdapter, HttpxEngine
from aioconnections.transport.wire import CONNECTION_LOST

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("either_httpx")]

COMMON = Headers([("User-Agent", "test"), ("Authorization", "Basic c2VjcmV0")])
REQUEST = Request("HEAD", "/profiles/atom/connection.do?sourceEmail=amy%40example.com")
NOWHERE = Origin("http", "c.example.com", 80)


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


def of_family(error: Exception) -> Exception:
    """The same error, of httpx or httpx2, whichever a test is for."""
    if type(error).__module__ != "httpx":
        return error
    kind: type[Exception] = getattr(httpx, type(error).__name__)
    twin = kind.__new__(kind, *error.args)
    twin.__dict__.update(vars(error))
    twin.__cause__ = error.__cause__
    return twin


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


UNRESOLVED = "the host name of the server could not be resolved; check the URL"
PROXY = "the proxy of the transport did not connect to the server"
NOT_SENT = "httpx refused to send the request: "
REFUSED = "the server refused the connection"
LOST_EARLY = "the connection was lost while it was being established"
NOT_SIGNED = "the server's certificate is not signed by a trusted CA; pass verify= or --ca-file"
UNTRUSTED = ssl.SSLCertVerificationError("amy")
UNTRUSTED.verify_code = 19
NO_NAME = OSError("All connection attempts failed")
NO_NAME.__cause__ = ExceptionGroup("", [OSError("x"), socket.gaierror(-2, "amy: Name or service not known")])


@pytest.mark.parametrize(
    ("raised", "kind", "sent", "message"),
    [
        (httpx.ConnectTimeout("amy"), DeadlineError, "no", "the connection was not established in time"),
        (httpx.PoolTimeout("amy"), DeadlineError, "no", "the connection was not established in time"),
        (httpx.ReadTimeout("amy"), DeadlineError, "maybe", "a timeout of the transport itself has expired"),
        (httpx.WriteTimeout("amy"), DeadlineError, "maybe", "a timeout of the transport itself has expired"),
        (httpx.ConnectError("amy"), ConnectFailedError, "no", "the server could not be reached"),
        (caused(httpx.ConnectError("amy"), ConnectionRefusedError()), ConnectFailedError, "no", REFUSED),
        (
            caused(httpx.ConnectError("amy"), NO_NAME),
            ConnectFailedError,
            "no",
            UNRESOLVED,
        ),
        (caused(httpx.ConnectError("amy"), ssl.SSLError("amy")), ConnectFailedError, "no", LOST_EARLY),
        (caused(httpx.ConnectError("amy"), UNTRUSTED), CertificateError, "no", NOT_SIGNED),
        (httpx.ProxyError("amy"), ProxyError, "no", PROXY),
        (httpx.ProxyError("407 amy"), ProxyError, "no", f"{PROXY} (HTTP 407)"),
        (
            httpx.UnsupportedProtocol("amy"),
            ConnectFailedError,
            "no",
            f"{NOT_SENT}UnsupportedProtocol",
        ),
        (
            httpx.LocalProtocolError("amy"),
            ConnectFailedError,
            "no",
            f"{NOT_SENT}LocalProtocolError",
        ),
        (httpx.InvalidURL("amy"), ConnectFailedError, "no", f"{NOT_SENT}InvalidURL"),
        (httpx.ReadError("amy"), ProtocolError, "maybe", CONNECTION_LOST),
        (httpx.WriteError("amy"), ProtocolError, "maybe", CONNECTION_LOST),
        (httpx.CloseError("amy"), ProtocolError, "maybe", CONNECTION_LOST),
        (httpx.RemoteProtocolError("amy"), ProtocolError, "maybe", CLOSED_EARLY),
        (httpx.StreamClosed(), ProtocolError, "maybe", CONNECTION_LOST),
        (ConnectionResetError("amy"), ProtocolError, "maybe", CONNECTION_LOST),
        (anyio.BrokenResourceError("amy"), ProtocolError, "maybe", CONNECTION_LOST),
        (anyio.ClosedResourceError("amy"), ProtocolError, "maybe", CONNECTION_LOST),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
@pytest.mark.parametrize("as_client", [True, False])
async def test_the_table_of_failures(
    raised: Exception, kind: type[TransportError], sent: str, message: str, *, as_client: bool
) -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        raise of_family(raised)

    transport = httpx.MockTransport(handle)
    error = await failure(HttpxAdapter(httpx.AsyncClient(transport=transport) if as_client else transport), NOWHERE)
    assert type(error) is kind
    assert error.sent == sent
    assert str(error) == message


# --- bodies ---


class Pieces(httpx.AsyncByteStream, httpx2.AsyncByteStream, AsyncIterator[bytes]):
    """A body that counts the pieces read and records whether it was closed."""

    def __init__(self, piece: bytes, times: int) -> None:
        self.piece, self.times, self.read, self.closed = piece, times, 0, False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self.read == self.times:
            raise StopAsyncIteration
        self.read += 1
        return self.piece

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("times", "fits"), [(10, True), (11, False), (1_000_000, False)])
async def test_a_body_is_read_up_to_its_limit(monkeypatch: pytest.MonkeyPatch, times: int, *, fits: bool) -> None:
    monkeypatch.setattr(via_httpx, "LARGEST_BODY", 100)
    body = Pieces(b"0123456789", times)
    engine = HttpxAdapter(httpx.MockTransport(lambda _: httpx.Response(200, stream=body)))
    if fits:
        assert len((await exchange(engine, NOWHERE)).body) == 100
    else:
        assert "larger than the limit of " in str(await failure(engine, NOWHERE))
        assert body.read == 11
    assert body.closed


@pytest.mark.parametrize(
    ("coding", "piece", "times", "content"),
    [
        ("gzip", gzip.compress(b"text", mtime=0), 1, b"text"),
        ("gzip", gzip.compress(b"text", mtime=0), 3, b"texttexttext"),
        ("deflate", zlib.compress(b"text"), 1, b"text"),
        ("Identity", b"text", 2, b"texttext"),
        ("gzip", b"", 0, b""),
        ("br", b"", 0, b""),
        ("br", b"text", 1, None),
        ("gzip", b"text", 1, None),
        ("gzip", gzip.compress(b"text", mtime=0)[:-1], 1, None),
    ],
)
async def test_a_compressed_body_is_decoded_if_it_can_be(
    coding: str, piece: bytes, times: int, content: bytes | None
) -> None:
    body = Pieces(piece, times)
    response = httpx.Response(200, headers={"Content-Encoding": coding}, stream=body)
    engine = HttpxAdapter(httpx.MockTransport(lambda _: response))
    if content is None:
        error = await failure(engine, NOWHERE)
        assert re.search("coding|encoded content .* incomplete", str(error))
        assert error.deterministic
    else:
        assert (await exchange(engine, NOWHERE)).body == content
    assert body.closed


async def test_a_small_body_that_inflates_to_a_large_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(via_httpx, "LARGEST_BODY", 1_000_000)
    body = Pieces(gzip.compress(bytes(2_000_000), mtime=0), 1)
    response = httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=body)
    assert "larger than the limit of " in str(
        await failure(HttpxAdapter(httpx.MockTransport(lambda _: response)), NOWHERE)
    )


async def test_a_transport_whose_responses_are_not_asynchronous() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x"

    engine = HttpxAdapter(httpx.MockTransport(lambda _: httpx.Response(200, content=pieces())))
    with pytest.raises(UsageError, match="asynchronous stream") as info:
        await exchange(engine, NOWHERE)
    assert_clean(info.value)


# --- what a caller may pass ---


async def test_through_an_asgi_application() -> None:
    async def app(scope: MutableMapping[str, Any], receive: object, send: Any) -> None:
        del receive
        status = (b"x-profiles-connection-status", b"pending") if scope["method"] == "HEAD" else (b"x", b"y")
        await send({"type": "http.response.start", "status": 200, "headers": [status]})
        await send({"type": "http.response.body", "body": b""})

    engine = HttpxAdapter(httpx.ASGITransport(app))
    response = await exchange(engine, NOWHERE)
    assert response.get(b"x-profiles-connection-status") == "pending"
    assert repr(engine) == "HttpxAdapter(ASGITransport)"


async def test_through_respx() -> None:
    if httpx.__name__ != "httpx":
        pytest.skip("respx mocks httpx alone")
    engine = HttpxEngine()
    async with respx.mock(assert_all_called=True) as router:
        router.head("http://c.example.com/profiles/atom/connection.do").respond(404)
        assert (await exchange(engine, NOWHERE)).status == 404
    await engine.aclose()


async def test_a_client_with_auth_or_cookies_is_refused() -> None:
    for login in ({"auth": ("amy", "x")}, {"auth": httpx.BasicAuth("amy", "x")}, {"cookies": {"LtpaToken2": "amy"}}):
        options: dict[str, Any] = dict(login)
        async with httpx.AsyncClient(**options) as client:
            with pytest.raises(InvalidInputError, match="http_client"):
                HttpxAdapter(client)


async def test_a_client_adds_nothing_to_the_request_and_keeps_no_cookie() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        cookies = [("Set-Cookie", "LtpaToken2=x; Path=/"), ("Set-Cookie", "gone=; Max-Age=0"), ("Location", "/login")]
        return httpx.Response(302, headers=cookies)

    async with httpx.AsyncClient(
        transport=httpx.MockTransport(handle),
        headers={"X-Theirs": "1", "User-Agent": "theirs"},
        params={"theirs": "1"},
        base_url="http://theirs.example",
        follow_redirects=True,
        trust_env=True,
    ) as client:
        engine = HttpxAdapter(client)
        client.cookies.set("own", "kept", domain="theirs.example")
        for _ in range(2):
            assert (await exchange(engine, NOWHERE)).status == 302
        assert [cookie.name for cookie in client.cookies.jar] == ["own"], "ours are removed"
        await engine.aclose()
        assert not client.is_closed

    assert len(seen) == 2
    for request in seen:
        assert str(request.url) == f"{NOWHERE}{REQUEST.target}"
        assert not {"x-theirs", "cookie"} & {*request.headers}
        assert request.headers.get_list("user-agent") == ["test"]
        assert request.headers.get_list("authorization") == ["Basic c2VjcmV0"]


async def test_a_closed_client_is_refused() -> None:
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200)))
    engine = HttpxAdapter(client)
    await client.aclose()
    with pytest.raises(UsageError, match="closed") as info:
        await exchange(engine, NOWHERE)
    assert_clean(info.value)


async def test_a_transport_is_closed_once_with_the_engine() -> None:
    closed = 0

    class Own(httpx.MockTransport):
        async def aclose(self) -> None:
            nonlocal closed
            closed += 1

    engine = HttpxAdapter(Own(lambda _: httpx.Response(200)))
    await engine.exchange(NOWHERE, REQUEST, NO_HEADERS, 1.0)
    await engine.aclose()
    await engine.aclose()
    assert closed == 1
