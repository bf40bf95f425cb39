"""`LaneTransport` under `httpx.AsyncClient` behaves as httpx documents its transports."""

from __future__ import annotations

import gzip
import json
import socket
import zlib
from collections.abc import AsyncIterator

import anyio
import httpx
import pytest
from transport.faulty import Connection, answer, echo, serving, url

from aioconnections.errors import UsageError
from aioconnections.transport.as_httpx import LaneTransport

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("either_httpx")]

CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
async def client(anyio_backend: str) -> AsyncIterator[httpx.AsyncClient]:
    assert anyio_backend
    transport = LaneTransport()
    async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
        yield client
        assert "0 opening, 0 lent" in repr(transport)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "REPORT"])
async def test_any_method(client: httpx.AsyncClient, method: str) -> None:
    async with serving(echo) as server:
        for _ in range(3):
            response = await client.request(method, url(server, "/a?b=c%20d"))
            assert response.status_code == 200
            if method != "HEAD":
                assert response.text.startswith(f"{method} /a?b=c%20d HTTP/1.1\r\nHost: 127.0.0.1:")
        assert len(server.connections) == 1


async def test_the_parts_of_a_response(client: httpx.AsyncClient) -> None:
    async with serving(echo) as server:
        response = await client.get(url(server), headers=[(b"X-Mine", b"\xe4")])
        assert (response.http_version, response.reason_phrase, response.encoding) == ("HTTP/1.1", "OK", "utf-8")
        assert response.headers.get_list("x-twice") == ["1", "2"]
        assert response.cookies["a"] == "b"
        assert b"X-Mine: \xe4\r\n" in response.content
        assert response.elapsed.total_seconds() > 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [({"content": b"bytes"}, b"bytes"), ({"json": {"a": 1}}, b'{"a":1}'), ({"data": {"a": "b c"}}, b"a=b+c")],
    ids=["bytes", "json", "form"],
)
async def test_bodies(client: httpx.AsyncClient, content: dict[str, object], expected: bytes) -> None:
    async with serving(echo) as server:
        response = await client.post(url(server), **content)  # type: ignore[arg-type]
        assert response.content.endswith(b"\r\n\r\n" + expected)
        assert f"content-length: {len(expected)}" in response.text.lower()


async def test_a_streamed_request_body(client: httpx.AsyncClient) -> None:
    received = b""
    halfway = anyio.Event()

    async def serve(connection: Connection) -> None:
        nonlocal received
        head = await connection.request()
        assert b"Transfer-Encoding: chunked\r\n" in head
        while not received.endswith(b"0\r\n\r\n"):
            received += await connection.more()
            if b"one" in received:
                halfway.set()
        await connection.say(answer(b"done"))

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        await halfway.wait()
        yield b""
        yield b"twelve bytes"

    async with serving(serve) as server:
        assert (await client.post(url(server), content=pieces())).text == "done"
        assert received == b"3\r\none\r\nc\r\ntwelve bytes\r\n0\r\n\r\n"


async def test_a_body_of_many_megabytes(client: httpx.AsyncClient) -> None:
    async def serve(connection: Connection) -> None:
        await connection.say(answer(b"%d" % len(await connection.request())))

    async with serving(serve) as server:
        assert int((await client.put(url(server), content=bytes(20_000_000))).text) > 20_000_000


async def test_a_streamed_response_body(client: httpx.AsyncClient) -> None:
    go_on = anyio.Event()

    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(CHUNKS + b"3\r\none\r\n")
        await go_on.wait()
        await connection.say(b"3\r\ntwo\r\n0\r\n\r\n")
        await connection.request()
        await connection.say(answer(b"next"))

    async with serving(serve) as server:
        async with client.stream("GET", url(server)) as response:
            pieces = response.aiter_bytes()
            assert await anext(pieces) == b"one"
            go_on.set()
            assert await anext(pieces) == b"two"
            with pytest.raises(StopAsyncIteration):
                await anext(pieces)
        assert (await client.get(url(server))).text == "next"
        assert len(server.connections) == 1


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_highly_compressed_content_is_inflated_in_small_steps(client: httpx.AsyncClient, coding: str) -> None:
    size = 1 << 24
    content = gzip.compress(bytes(size)) if coding == "gzip" else zlib.compress(bytes(size))
    head = f"HTTP/1.1 200 OK\r\nContent-ENCODING: {coding}\r\nContent-Length: {len(content)}\r\n\r\n"

    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(head.encode() + content)

    async with serving(serve) as server, client.stream("GET", url(server)) as response:
        pieces = [len(piece) async for piece in response.aiter_bytes()]
    assert sum(pieces) == size
    assert max(pieces) <= 1 << 21


async def test_leaving_a_stream_early_closes_the_connection(client: httpx.AsyncClient) -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(CHUNKS + b"3\r\none\r\n")
        await connection.until_closed()

    async with serving(serve) as server:
        async with client.stream("GET", url(server)) as response:
            assert response.status_code == 200
        await server.until(0)


async def test_httpx_decodes(client: httpx.AsyncClient) -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(answer(gzip.compress(b"hello"), "Content-Encoding: gzip"))

    async with serving(serve) as server:
        assert (await client.get(url(server))).text == "hello"


async def test_httpx_handles_redirects_cookies_and_auth(client: httpx.AsyncClient) -> None:
    async def serve(connection: Connection) -> None:
        while head := await connection.request():
            if head.startswith(b"GET /old"):
                await connection.say(answer(b"", "Location: /new", "Set-Cookie: a=b", status="302 Found"))
            else:
                await connection.say(answer(head))

    async with serving(serve) as server:
        response = await client.get(url(server, "/old"), follow_redirects=True, auth=("u", "p"))
        assert response.url.path == "/new"
        assert "Cookie: a=b" in response.text
        assert "Authorization: Basic" in response.text


async def test_a_response_to_head_and_its_surplus(client: httpx.AsyncClient) -> None:
    said = [anyio.Event() for _ in range(3)]

    async def serve(connection: Connection) -> None:
        while head := await connection.request():
            number = int(head.split(b" ")[1][1:])
            await connection.say(answer(json.dumps({"for": number}).encode(), f"X-For: {number}"))
            said[number].set()

    async with serving(serve) as server:
        for number, event in enumerate(said):
            response = await client.head(url(server, f"/{number}"))
            assert (response.headers["x-for"], response.content) == (str(number), b"")
            await event.wait()
        assert len(server.connections) == 3


# --- failures ---


@pytest.mark.parametrize("bad", ["ftp://127.0.0.1/", "http:///", "/relative"])
async def test_unsupported_protocol(client: httpx.AsyncClient, bad: str) -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        await client.get(bad)


async def test_connect_error(client: httpx.AsyncClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(httpx.ConnectError) as raised:
        await client.get(f"http://127.0.0.1:{port}/")
    assert raised.value.request.url.port == port


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"", "RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel", "RemoteProtocolError"),
        (b"garbage", "RemoteProtocolError"),
        (None, "ReadError"),
    ],
    ids=["nothing", "half a head", "half a body", "garbage", "reset"],
)
async def test_read_failures(client: httpx.AsyncClient, said: bytes | None, expected: str) -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        if said is None:
            await connection.reset()
        else:
            await connection.say(said)

    async with serving(serve) as server:
        with pytest.raises(httpx.TransportError) as raised:
            await client.get(url(server))
        assert raised.type is getattr(httpx, expected)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "5", "Transfer-Encoding": "chunked"},
        {"Transfer-Encoding": "gzip"},
        {"Content-Length": "five"},
        {"X": "a\r\nY: b"},
        {"X Y": "a"},
        {"Content-Length": "4"},
        {"Content-Length": "6"},
    ],
)
async def test_an_invalid_request_is_a_local_protocol_error(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    async def serve(connection: Connection) -> None:
        await connection.until_closed()

    async with serving(serve) as server:
        with pytest.raises(httpx.LocalProtocolError):
            await client.post(url(server), content=b"hello", headers=headers)
        await server.until(0)


async def test_a_body_that_fails_fails_the_request(client: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        raise ZeroDivisionError

    async with serving(Connection.until_closed) as server:
        with pytest.raises(ZeroDivisionError):
            await client.post(url(server), content=pieces())
        await server.until(0)


@pytest.mark.parametrize("size", [2_000, 10_000, 30_000_000])
async def test_an_early_response_is_returned(client: httpx.AsyncClient, size: int) -> None:
    answered = anyio.Event()

    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(answer(b"too large", status="413 Content Too Large"))
        await answered.wait()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * size
            await anyio.lowlevel.checkpoint()

    async with serving(serve) as server:
        assert (await client.post(url(server), content=endless())).status_code == 413
        answered.set()
        await server.until(0)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_stale_connection(client: httpx.AsyncClient, method: str) -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(answer(b"hello"))
        await connection.request()

    async with serving(serve) as server:
        await client.request(method, url(server))
        if method == "GET":
            assert (await client.request(method, url(server))).text == "hello"
        else:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.request(method, url(server))
        assert len(server.connections) == (2 if method == "GET" else 1)


async def test_closed() -> None:
    async with LaneTransport() as transport:
        pass
    with pytest.raises(UsageError, match="closed"):
        await transport.handle_async_request(httpx.Request("GET", "http://127.0.0.1:1/"))


async def test_a_request_without_host_gets_one(client: httpx.AsyncClient) -> None:
    async with serving(echo) as server:
        request = client.build_request("GET", url(server))
        del request.headers["host"]
        assert f"Host: 127.0.0.1:{server.origin.port}\r\n" in (await client.send(request)).text


async def test_a_synchronous_body_is_refused(anyio_backend: str) -> None:
    assert anyio_backend
    async with serving(Connection.until_closed) as server, LaneTransport() as transport:
        with pytest.raises(TypeError, match="asynchronous body"):
            await transport.handle_async_request(httpx.Request("POST", url(server), content=iter([b"x"])))
        assert "0 lent" in repr(transport)
