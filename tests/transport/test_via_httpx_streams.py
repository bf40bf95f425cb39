"""Streamed response bodies through httpx."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing

import anyio
import httpx
import pytest
import trio
from doors import on_virtual_time
from transport.faulty import COMMON, Connection, Server, answer, serving

from aioconnections.errors import DeadlineError, ProtocolError
from aioconnections.protocol.messages import Origin, Request
from aioconnections.transport import Engine, StreamedResponse
from aioconnections.transport.via_httpx import HttpxAdapter, HttpxEngine

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("either_httpx")]

CHUNKS = b"HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n"


def get(engine: Engine, origin: Origin, timeout: float = 30) -> AbstractAsyncContextManager[StreamedResponse]:
    return engine.stream(origin, Request("GET", "/"), COMMON, timeout)


async def test_pieces_are_available_as_soon_as_they_arrive_and_the_connection_is_kept() -> None:
    taken = {piece: anyio.Event() for piece in (b"one", b"two", b"three")}

    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(CHUNKS)
        for piece, event in taken.items():
            await connection.say(b"%x\r\n%b\r\n" % (len(piece), piece))
            await event.wait()
        await connection.say(b"0\r\n\r\n")
        await connection.request()
        await connection.say(answer(b"next"))

    async with serving(serve) as server, aclosing(HttpxEngine()) as engine:
        async with get(engine, server.origin) as stream:
            assert (stream.head.status, stream.head.get(b"x-a"), stream.head.body) == (200, "b", b"")
            pieces = []
            async for piece in stream:
                pieces.append(piece)
                taken[piece].set()
            assert pieces == list(taken)
        assert (await engine.exchange(server.origin, Request("GET", "/"), COMMON, 30)).body == b"next"
        assert len(server.connections) == 1


# httpcore leaves the generators of an unfinished body to the garbage collector, which makes trio warn
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
async def test_leaving_early_closes_the_connection() -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(CHUNKS + b"3\r\none\r\n")
        await connection.until_closed()

    async with serving(serve) as server, aclosing(HttpxEngine()) as engine:
        async with get(engine, server.origin) as stream:
            async for _ in stream:
                break
        await server.until(0)
        assert "0 lent, 0 idle" in repr(engine)


async def test_an_incomplete_or_stalled_body() -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(CHUNKS + b"3\r\none\r\n")
        if connection.number:
            await connection.until_closed()

    async with serving(serve) as server, aclosing(HttpxEngine()) as engine:
        with pytest.raises(ProtocolError, match="the server closed the connection"):
            await read(engine, server)
        with pytest.raises(DeadlineError):
            await read(engine, server, timeout=0.05)
        assert "0 lent, 0 idle" in repr(engine)


async def read(engine: Engine, server: Server, timeout: float = 30) -> bytes:
    async with get(engine, server.origin, timeout) as stream:
        return b"".join([piece async for piece in stream])


def test_the_time_that_the_consumer_takes_does_not_count() -> None:
    async def body() -> AsyncIterator[bytes]:
        for piece in (b"one", b"two"):
            await trio.sleep(0.4)
            yield piece

    async def main() -> None:
        engine = HttpxAdapter(httpx.MockTransport(lambda _: httpx.Response(200, content=body())))
        pieces = []
        async with get(engine, Origin("http", "localhost", 80), timeout=1) as stream:
            async for piece in stream:
                pieces.append(piece)
                await trio.sleep(100)
        assert pieces == [b"one", b"two"]

    on_virtual_time(main)


async def test_an_exception_of_the_consumer_passes_unchanged() -> None:
    async def consume() -> None:
        async with get(engine, Origin("http", "localhost", 80)) as stream:
            assert [piece async for piece in stream] == [b"x"]
            raise OSError("the consumer's own")

    engine = HttpxAdapter(httpx.MockTransport(lambda _: httpx.Response(200, content=b"x")))
    with pytest.raises(OSError, match="the consumer's own"):
        await consume()
