"""Requests through a scripted proxy: who is blamed for a failure, before and after the proxy has worked."""

from __future__ import annotations

import base64
import contextlib
import ssl
from collections.abc import AsyncIterator

import anyio
import pytest
from anyio.streams.tls import TLSStream
from transport.faulty import COMMON, Connection, Server, serving
from transport.tls import CA, server_context, trusting

from aioconnections.errors import CertificateError, ConnectFailedError, ProxyError, TransportError
from aioconnections.protocol.messages import Origin, Request, Response
from aioconnections.transport.proxies import Proxy
from aioconnections.transport.via_httpx import HttpxEngine

pytestmark = pytest.mark.anyio

FAR = Origin("https", "c.example.com", 443)
OPEN = Origin("http", "c.example.com", 80)
REQUEST = Request("HEAD", "/profiles/atom/connection.do?sourceEmail=amy%40example.com")
OK = b"HTTP/1.1 200 OK\r\nX-Profiles-Connection-Status: accepted\r\nContent-Length: 0\r\n\r\n"
LOGIN = base64.b64encode(b"amy:gehe1m")


def refusing(status: int, *fields: bytes) -> bytes:
    return b"HTTP/1.1 %d No\r\n%sContent-Length: 0\r\n\r\n" % (status, b"".join(field + b"\r\n" for field in fields))


class Tunnel:
    """Passes CONNECT on to a TLS server with a certificate for `host`, unless it is to refuse."""

    def __init__(self, host: str = "c.example.com") -> None:
        self.context = server_context(CA.issue_cert(host))
        self.refuses = 0

    async def __call__(self, connection: Connection) -> None:
        await connection.request()
        if self.refuses:
            await connection.say(refusing(self.refuses))
            return
        await connection.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with contextlib.suppress(OSError, ssl.SSLError, anyio.BrokenResourceError, anyio.EndOfStream):
            stream = await TLSStream.wrap(
                connection.stream, server_side=True, ssl_context=self.context, standard_compatible=False
            )
            inner = Connection(stream, 0)
            await inner.request()
            await inner.say(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            await inner.until_closed()


@contextlib.asynccontextmanager
async def engine_through(server: Server) -> AsyncIterator[HttpxEngine]:
    url = f"{server.origin.scheme}://amy:gehe1m@{server.origin.authority}"
    async with contextlib.aclosing(HttpxEngine(verify=trusting(), proxy=Proxy.of("HTTPS_PROXY", url))) as engine:
        yield engine


async def ask(engine: HttpxEngine, origin: Origin) -> Response:
    return await engine.exchange(origin, REQUEST, COMMON, 60.0)


async def failure(engine: HttpxEngine, origin: Origin) -> TransportError:
    with pytest.raises(TransportError) as info:
        await ask(engine, origin)
    assert (info.value.__cause__, info.value.__context__) == (None, None)
    assert "gehe1m" not in str(info.value)
    return info.value


async def test_a_tunnel_carries_the_login_of_the_proxy_and_not_of_the_user() -> None:
    async with serving(Tunnel()) as server, engine_through(server) as engine:
        assert (await ask(engine, FAR)).status == 200
        (connect,) = server.connections[0].requests
    assert connect.startswith(b"CONNECT c.example.com:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic " + LOGIN in connect
    assert b"example.com%40" not in connect
    assert b"sourceEmail" not in connect


async def test_a_failed_handshake_behind_a_tunnel_is_the_servers() -> None:
    async with serving(Tunnel("other.example.com")) as server, engine_through(server) as engine:
        error = await failure(engine, FAR)
    assert type(error) is CertificateError
    assert "the server's certificate is for another host" in str(error)


async def test_a_connection_lost_in_the_handshake_behind_a_tunnel_is_the_servers() -> None:
    async def hang_up(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 Connection established\r\n\r\n")

    async with serving(hang_up) as server, engine_through(server) as engine:
        error = await failure(engine, FAR)
    assert type(error) is ConnectFailedError


@pytest.mark.parametrize(("status", "deterministic"), [(502, False), (503, False), (403, True), (407, True)])
async def test_a_proxy_that_has_worked_may_work_again(status: int, *, deterministic: bool) -> None:
    """Before, its failures are final: its URL is probably wrong."""
    tunnel = Tunnel()
    async with serving(tunnel) as server, engine_through(server) as engine:
        tunnel.refuses = status
        error = await failure(engine, FAR)
        assert (type(error), error.status, error.sent, error.deterministic) == (ProxyError, status, "no", True)
        tunnel.refuses = 0
        assert (await ask(engine, FAR)).status == 200
        tunnel.refuses = status
        error = await failure(engine, FAR)
        assert isinstance(error, ProxyError)
        assert error.deterministic is deterministic
        assert error.proxy == server.origin.authority


async def test_an_open_request_that_the_proxy_has_passed_on_may_be_refused_by_the_server() -> None:
    answers = iter([refusing(502), OK, refusing(502), refusing(407)])

    async def say(connection: Connection) -> None:
        await connection.request()
        await connection.say(next(answers))

    async with serving(say) as server, engine_through(server) as engine:
        first = await failure(engine, OPEN)
        assert (type(first), first.sent, first.deterministic) == (ProxyError, "maybe", True)
        assert (await ask(engine, OPEN)).status == 200
        assert (await ask(engine, OPEN)).status == 502
        assert (await failure(engine, OPEN)).sent == "no"
    assert server.connections[0].requests[0].startswith(b"HEAD http://c.example.com/profiles/atom/connection.do?")


@pytest.mark.parametrize("status", [403, 502])
async def test_a_refusal_in_the_form_of_connections_is_not_the_proxys(status: int) -> None:
    async def say(connection: Connection) -> None:
        await connection.request()
        await connection.say(refusing(status, b"Content-Type: text/xml"))

    async with serving(say) as server, engine_through(server) as engine:
        assert (await ask(engine, OPEN)).status == status


async def test_an_https_proxy_is_trusted_as_the_server_is() -> None:
    async def say(connection: Connection) -> None:
        await connection.request()
        await connection.say(OK)

    async with serving(say, server_context(CA.issue_cert("127.0.0.1"))) as server, engine_through(server) as engine:
        assert (await ask(engine, OPEN)).status == 200
    other = server_context(CA.issue_cert("other.example.com"))
    async with serving(say, other) as server, engine_through(server) as engine:
        error = await failure(engine, OPEN)
    assert str(error) == (
        f"the certificate of the proxy at {server.origin.authority} (HTTPS_PROXY) was refused; "
        "check HTTPS_PROXY, or pass verify= or --ca-file"
    )

    async def speak_no_tls(connection: Connection) -> None:
        await connection.more()
        await connection.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(speak_no_tls) as plain:
        proxy = Proxy.of("HTTPS_PROXY", f"https://{plain.origin.authority}")
        async with contextlib.aclosing(HttpxEngine(verify=trusting(), proxy=proxy)) as engine:
            error = await failure(engine, OPEN)
    assert f"{error}".endswith("(HTTPS_PROXY) does not speak TLS; check the scheme in HTTPS_PROXY")


async def test_variables_of_the_environment_are_not_read_by_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    async def say(connection: Connection) -> None:
        await connection.request()
        await connection.say(OK)

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "c.example.com")
    async with serving(say) as server, engine_through(server) as engine:
        assert (await ask(engine, OPEN)).status == 200
    assert len(server.connections) == 1
