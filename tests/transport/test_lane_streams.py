"""Streamed response bodies."""

from __future__ import annotations

import contextlib
import gzip

import anyio
import pytest
from transport.faulty import COMMON, Connection, Server, StoppedClock, answer, ask, serving

from aioconnections.errors import DeadlineError, ProtocolError, UsageError
from aioconnections.protocol.messages import Request
from aioconnections.transport.lane import LaneStream
from aioconnections.transport.pool import LanePool

pytestmark = pytest.mark.anyio

CHUNKS = b"HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n"


def get(lanes: LanePool, server: Server, timeout: float = 30) -> contextlib.AbstractAsyncContextManager[LaneStream]:
    return lanes.stream(server.origin, Request("GET", "/"), COMMON, timeout)


async def read(lanes: LanePool, server: Server) -> bytes:
    async with get(lanes, server) as stream:
        return b"".join([piece async for piece in stream])


async def test_pieces_are_available_as_soon_as_they_arrive(lanes: LanePool) -> None:
    go_on = anyio.Event()

    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(CHUNKS)
        await go_on.wait()
        for piece in (b"one", b"two", b"three"):
            await connection.say(b"%x\r\n%b\r\n" % (len(piece), piece))
            await resumed[piece].wait()
        await connection.say(b"0\r\n\r\n")
        await connection.request()
        await connection.say(answer(b"next"))

    resumed = {piece: anyio.Event() for piece in (b"one", b"two", b"three")}
    async with serving(serve) as server:
        async with get(lanes, server) as stream:
            assert (stream.head.status, stream.head.get(b"x-a"), stream.head.body) == (200, "b", b"")
            go_on.set()
            pieces = []
            async for piece in stream:
                pieces.append(piece)
                resumed[piece].set()
            assert pieces == [b"one", b"two", b"three"]
        assert (await ask(lanes, server)).body == b"next"
        assert len(server.connections) == 1


@pytest.mark.parametrize("taken", [0, 1])
async def test_leaving_early_closes_the_connection(lanes: LanePool, taken: int) -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(CHUNKS + b"3\r\none\r\n")
        await connection.until_closed()

    async with serving(serve) as server:
        async with get(lanes, server) as stream:
            for _ in range(taken):
                assert await anext(stream) == b"one"
        await server.until(0)
        with pytest.raises(UsageError, match="only inside its async with block"):
            await anext(stream)


async def test_a_complete_unread_response_leaves_the_connection_usable(lanes: LanePool) -> None:
    async def serve(connection: Connection) -> None:
        while await connection.request():
            await connection.say(answer(b"hello"))

    async with serving(serve) as server:
        for _ in range(3):
            async with get(lanes, server):
                pass
        assert len(server.connections) == 1


async def test_encoded_content_is_decoded_incrementally(lanes: LanePool) -> None:
    text = b"0123456789" * 100_000
    coded = gzip.compress(text)

    async def serve(connection: Connection) -> None:
        while await connection.request():
            await connection.say(answer(coded, "Content-Encoding: gzip"))

    async with serving(serve) as server, get(lanes, server) as stream:
        pieces = [piece async for piece in stream]
        assert b"".join(pieces) == text
        assert max(map(len, pieces)) <= 64 * 1024


@pytest.mark.parametrize(
    "said",
    [
        answer(gzip.compress(b"hello")[:-2], "Content-Encoding: gzip"),
        answer(b"hello", "Content-Encoding: gzip"),
        answer(gzip.compress(bytes(5000)), "Content-Encoding: gzip"),
        answer(b"hello", "Content-Encoding: br"),
        answer(bytes(5000)),
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        CHUNKS + b"5\r\nhello\r\nzz",
    ],
    ids=["truncated", "mislabelled", "bomb", "unknown coding", "too long", "cut short", "bad chunks"],
)
async def test_a_faulty_body_is_a_protocol_error(anyio_backend: str, said: bytes) -> None:
    assert anyio_backend

    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(said)

    async with serving(serve) as server, contextlib.aclosing(LanePool(max_body=1000)) as lanes:
        with pytest.raises(ProtocolError) as raised:
            await read(lanes, server)
        assert (raised.value.sent, raised.value.status) == ("maybe", 200)
        assert raised.value.__context__ is None
        await server.until(0)
        assert "0 lent" in repr(lanes)


async def test_the_consumers_time_does_not_count(anyio_backend: str) -> None:
    assert anyio_backend
    clock = StoppedClock()
    last = anyio.Event()

    async def serve(connection: Connection) -> None:
        await connection.request()
        clock.advance(3)
        await connection.say(CHUNKS + b"3\r\none\r\n")
        await last.wait()
        await anyio.wait_all_tasks_blocked()
        clock.advance(6)
        await connection.say(b"3\r\ntwo\r\n")
        await connection.until_closed()

    lanes = LanePool(clock=clock)
    async with serving(serve) as server, contextlib.aclosing(lanes), get(lanes, server, timeout=10) as stream:
        clock.advance(1000)
        assert await anext(stream) == b"one"
        clock.advance(1000)
        last.set()
        assert await anext(stream) == b"two"
        async with anyio.create_task_group() as group:

            async def give_up() -> None:
                await anyio.wait_all_tasks_blocked()
                clock.advance(0.9)
                assert "1 lent" in repr(lanes)
                clock.advance(0.2)

            group.start_soon(give_up)
            with pytest.raises(DeadlineError) as raised:
                await anext(stream)
        assert (raised.value.sent, raised.value.status) == ("maybe", 200)


async def test_a_slow_consumer_slows_the_server_down(lanes: LanePool) -> None:
    sent = 0
    piece = b"x" * 100_000

    async def serve(connection: Connection) -> None:
        nonlocal sent
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\n")
        for _ in range(600):
            await connection.say(piece)
            sent += len(piece)

    async with serving(serve) as server, get(lanes, server) as stream:
        received = len(await anext(stream))
        await anyio.wait_all_tasks_blocked()
        assert sent < 30_000_000
        async for more in stream:
            received += len(more)
        assert received == 60_000_000
