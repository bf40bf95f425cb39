"""The same failure has the same error, with the same words, over lanes, through httpx and through httpx2."""

from __future__ import annotations

import contextlib
import gc
import gzip
import socket

import httpx2
import pytest
import trustme
from transport.faulty import COMMON, Connection, Script, serving
from transport.tls import CA, server_context, trusting

from aioconnections.errors import (
    CertificateError,
    ConnectFailedError,
    DeadlineError,
    ProtocolError,
    TransportError,
)
from aioconnections.protocol.messages import Origin, Request
from aioconnections.transport.pool import LanePool
from aioconnections.transport.via_httpx import HttpxAdapter, HttpxEngine

# httpcore leaves the generators of an unfinished body to the garbage collector, which makes trio warn
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"),
]

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"
BOMB = gzip.compress(bytes(65 * 1024 * 1024))
GZIP = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"


async def failures(origin: Origin, timeout: float = 30) -> list[TransportError]:
    """The error of a request to `origin` over lanes, and those through httpx and a transport of httpx2."""
    found = []
    context = trusting()
    for engine in (
        LanePool(verify=context),
        HttpxEngine(verify=context),
        HttpxAdapter(httpx2.AsyncHTTPTransport(verify=context, trust_env=False)),
    ):
        async with contextlib.aclosing(engine):
            with pytest.raises(TransportError) as raised:
                await engine.exchange(origin, Request("GET", "/"), COMMON, timeout)
            found.append(raised.value)
    gc.collect()  # such warnings then belong to this test
    return found


def check(found: list[TransportError], kind: type[TransportError], words: str) -> None:
    assert [(type(error), str(error)) for error in found] == [(kind, words)] * 3
    assert len({error.deterministic for error in found}) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (HELLO, "the server closed the connection before the response was complete"),
        (HELLO[:20], "the server closed the connection before the response was complete"),
        (b"", "the server closed the connection before the response was complete"),
        (None, "the connection was lost before the response was complete"),
        (b"220 mail.example.com ESMTP\r\n\r\n", "the response is not valid HTTP/1.0 or HTTP/1.1"),
        (GZIP % len(BOMB) + BOMB, "the response body is larger than the limit of 67108864 bytes"),
        (GZIP % 5 + b"hello", "the response content is not valid in its declared content coding"),
        (GZIP % 20 + BOMB[:20], "the encoded content of the response is incomplete"),
        (
            (GZIP % 5).replace(b"gzip", b"br") + b"hello",
            "the response has a content coding other than gzip and deflate",
        ),
    ],
    ids=["in the body", "in the head", "no byte", "reset", "not HTTP", "too large", "not gzip", "cut gzip", "brotli"],
)
async def test_faulty_responses(anyio_backend: str, sent: bytes | None, words: str) -> None:
    assert anyio_backend

    async def script(connection: Connection) -> None:
        await connection.request()
        if sent is None:
            await connection.say(HELLO[:20])
            await connection.reset()
        else:
            await connection.say(sent)

    async with serving(script) as server:
        check(await failures(server.origin), ProtocolError, words)


async def test_late_responses(anyio_backend: str) -> None:
    assert anyio_backend
    script: Script = Connection.until_closed
    async with serving(script) as server:
        check(await failures(server.origin, timeout=0.05), DeadlineError, "no complete response within 0.05 s")


async def test_a_refused_connection(anyio_backend: str) -> None:
    assert anyio_backend
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    check(await failures(Origin("http", "127.0.0.1", port)), ConnectFailedError, "the server refused the connection")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        (CA.issue_cert("other.example"), "is for another host; check the host in the URL"),
        (trustme.CA().issue_cert("localhost"), "is not signed by a trusted CA; pass verify= or --ca-file"),
    ],
    ids=["wrong host", "untrusted"],
)
async def test_refused_certificates(anyio_backend: str, certificate: trustme.LeafCert, words: str) -> None:
    assert anyio_backend
    async with serving(Connection.until_closed, server_context(certificate)) as server:
        origin = Origin("https", "localhost", server.origin.port)
        check(await failures(origin), CertificateError, f"the server's certificate {words}")


async def test_a_server_without_tls(anyio_backend: str) -> None:
    assert anyio_backend

    async def script(connection: Connection) -> None:
        await connection.more()
        await connection.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(script) as server:
        found = await failures(Origin("https", "localhost", server.origin.port))
        check(
            found,
            ConnectFailedError,
            "the server does not speak TLS at this port; check the scheme and port of the URL",
        )


@pytest.mark.slow
@pytest.mark.parametrize("alert", [b"", b"\x15\x03\x03\x00\x02\x02\x50"], ids=["closed", "internal error"])
async def test_a_connection_that_is_lost_during_the_handshake(anyio_backend: str, alert: bytes) -> None:
    assert anyio_backend

    async def script(connection: Connection) -> None:
        await connection.more()
        if alert:
            await connection.say(alert)

    async with serving(script) as server:
        found = await failures(Origin("https", "localhost", server.origin.port))
        check(found, ConnectFailedError, "the connection was lost while it was being established")
