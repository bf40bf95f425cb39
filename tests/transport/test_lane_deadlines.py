"""The timeout covers the whole attempt and applies at every step."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator

import anyio
import pytest
from transport.faulty import COMMON, Connection, Script, Server, StoppedClock, answer, ask, serving

from aioconnections.errors import DeadlineError
from aioconnections.protocol.messages import Origin, Request
from aioconnections.transport.pool import LanePool

pytestmark = pytest.mark.anyio

STALLS = {
    "before a byte": (b"", None),
    "in the status line": (b"HTTP/1.1 2", None),
    "after the status": (b"HTTP/1.1 200 OK\r\n", None),
    "after the headers": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 200),
    "half of the body": (b"HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\nhell", 503),
    "between chunks": (b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", 201),
    "informational": (b"HTTP/1.1 100 Continue\r\n\r\n", None),
}


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
async def timed(anyio_backend: str, clock: StoppedClock) -> AsyncIterator[LanePool]:
    assert anyio_backend
    async with contextlib.aclosing(LanePool(clock=clock)) as lanes:
        yield lanes


@contextlib.asynccontextmanager
async def stalling(data: bytes) -> AsyncIterator[tuple[Server, anyio.Event]]:
    """A server that sends `data` to the first request and then stalls; the event is set once it is sent."""
    said = anyio.Event()

    async def serve(connection: Connection) -> None:
        while True:
            await connection.request()
            if connection.number:
                await connection.say(answer(b"fine"))
            else:
                await connection.say(data)
                said.set()
                await connection.until_closed()

    async with serving(serve) as server:
        yield server, said


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("said", "status"), STALLS.values(), ids=STALLS.keys())
async def test_a_stall_ends_with_the_deadline(
    timed: LanePool, clock: StoppedClock, method: str, said: bytes, status: int | None
) -> None:
    async with stalling(said) as (server, stalled), anyio.create_task_group() as group:

        async def give_up() -> None:
            await stalled.wait()
            clock.advance(9.9)
            assert "1 lent" in repr(timed)
            clock.advance(0.2)

        group.start_soon(give_up)
        with pytest.raises(DeadlineError) as raised:
            await ask(timed, server, method, timeout=10)
        assert (raised.value.sent, raised.value.status) == ("maybe", status)
        assert raised.value.__context__ is None
        await server.until(0)
        assert (await ask(timed, server)).body == b"fine"
        assert len(server.connections) == 2


async def test_a_slow_response_ends_with_the_deadline(timed: LanePool, clock: StoppedClock) -> None:
    """Each byte soon follows the previous one, but all together take too long."""

    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\n")
        for _ in range(100):
            clock.advance(0.25)
            await connection.say(b"X: y\r\n")
            await anyio.lowlevel.checkpoint()
        raise AssertionError("the client is still there")

    async with serving(serve) as server:
        with pytest.raises(DeadlineError):
            await ask(timed, server, timeout=10)
        assert 1010 <= clock.time <= 1012


async def test_a_black_hole_ends_with_the_deadline(timed: LanePool, clock: StoppedClock) -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # more than its queue takes: further connections are not accepted
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        origin = Origin("http", "127.0.0.1", listener.getsockname()[1])
        async with anyio.create_task_group() as group:

            async def give_up() -> None:
                await anyio.wait_all_tasks_blocked()
                assert repr(timed) == "<LanePool: 1 opening, 0 lent, 0 idle>"
                clock.advance(11)

            group.start_soon(give_up)
            with pytest.raises(DeadlineError) as raised:
                await timed.exchange(origin, Request("GET", "/"), COMMON, 10)
        assert raised.value.sent == "no"
        assert raised.value.__context__ is None
        assert repr(timed) == "<LanePool: 0 opening, 0 lent, 0 idle>"


async def test_a_server_that_does_not_read_ends_with_the_deadline(timed: LanePool, clock: StoppedClock) -> None:
    over = anyio.Event()

    async def serve(_: Connection) -> None:
        await over.wait()

    async with serving(serve) as server, anyio.create_task_group() as group:

        async def give_up() -> None:
            await server.until(1)
            await anyio.wait_all_tasks_blocked()
            clock.advance(11)

        group.start_soon(give_up)
        with pytest.raises(DeadlineError) as raised:
            await ask(timed, server, "PUT", body=bytes(50_000_000), timeout=10)
        assert raised.value.sent == "maybe"
        over.set()


async def test_many_deadlines_take_one_timer(timed: LanePool, clock: StoppedClock) -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.until_closed()

    async with serving(serve) as server, anyio.create_task_group() as group:

        async def fail(timeout: float) -> None:
            with pytest.raises(DeadlineError):
                await ask(timed, server, timeout=timeout)

        for timeout in (10, 5, 20, 10):
            group.start_soon(fail, timeout)
        await anyio.wait_all_tasks_blocked()
        await server.until(4)
        assert [when for when, _ in clock.timers] == [1005]
        clock.advance(5)
        await server.until(3)
        assert [when for when, _ in clock.timers] == [1010]
        clock.advance(5)
        await server.until(1)
        clock.advance(10)
        await server.until(0)
    assert not clock.timers


async def test_the_loops_own_clock_ends_an_attempt(anyio_backend: str) -> None:
    assert anyio_backend
    script: Script = Connection.until_closed
    async with serving(script) as server, contextlib.aclosing(LanePool()) as lanes:
        with pytest.raises(DeadlineError):
            await ask(lanes, server, timeout=0.01)
