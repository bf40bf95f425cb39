"""Through httpx: invalid responses are distinguished from connections that ended early."""

from __future__ import annotations

import pytest
from anyio.abc import ByteStream
from transport.test_via_httpx import COMMON, OK, closing, exchange, failure, saying, serving

from aioconnections.errors import ProtocolError
from aioconnections.protocol.messages import Request
from aioconnections.transport.via_httpx import HttpxEngine

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("lines", [b"Content-Length: 0\r\ncontent-length: 0", b"Content-Length: 0, 0"])
async def test_equal_lengths_are_one(lines: bytes) -> None:
    twice = OK.replace(b"Content-Length: 0", lines)
    async with serving(saying(twice)) as server, closing(HttpxEngine()) as engine:
        for _ in range(2):
            response = await exchange(engine, server.origin)
            assert (response.status, response.get(b"content-length")) == (200, "0")
        assert server.opened == 1


@pytest.mark.parametrize(
    ("said", "deterministic"),
    [
        (b"220 mail.example.com ESMTP\r\n\r\n", True),
        (OK.replace(b"Content-Length: 0", b"Content-Length: 1\r\nContent-Length: 2"), True),
        (OK.replace(b"HTTP/1.1", b"HTTX/1.1"), True),
        (OK.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"zz\r\n", True),
        (OK.replace(b"Content-Length: 0", b"Content-Length: 9") + b"breaks", False),
        (OK.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"9\r\nbreaks", False),
        (OK[:30], False),
        (b"", False),
    ],
)
async def test_invalid_http_is_distinguished_from_a_lost_connection(said: bytes, *, deterministic: bool) -> None:
    async def handle(stream: ByteStream) -> None:
        if said:
            await stream.send(said)
        await stream.aclose()

    async with serving(handle) as server, closing(HttpxEngine()) as engine:
        request = Request("GET", "/profiles/atom/profileService.do")
        with pytest.raises(ProtocolError) as raised:
            await engine.exchange(server.origin, request, COMMON, 30)
        error = raised.value
        assert (error.deterministic, error.reused, error.sent) == (deterministic, False, "maybe")


async def test_invalid_http_on_a_reused_connection_may_be_left_over() -> None:
    said = [OK, b"no HTTP\r\n\r\n"]

    async def handle(stream: ByteStream) -> None:
        await stream.send(said.pop(0))

    async with serving(handle) as server, closing(HttpxEngine()) as engine:
        await exchange(engine, server.origin)
        error = await failure(engine, server.origin)
        assert isinstance(error, ProtocolError)
        assert error.deterministic
        assert error.reused
