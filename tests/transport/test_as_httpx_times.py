"""The four timeouts of httpx over lanes, and the queue for a slot."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import anyio
import httpx
import pytest
from anyio.abc import SocketAttribute
from transport.faulty import Connection, StoppedClock, echo, serving, url

from aioconnections.transport.as_httpx import LaneTransport

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("either_httpx")]

CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SECONDS = {"connect": 1, "read": 2, "write": 3, "pool": 4}


@contextlib.asynccontextmanager
async def timed(clock: StoppedClock, places: int = 1) -> AsyncIterator[httpx.AsyncClient]:
    transport = LaneTransport(max_connections=places, clock=clock)
    async with httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(**SECONDS), trust_env=False) as client:
        yield client


async def passing(clock: StoppedClock, seconds: float) -> None:
    await anyio.wait_all_tasks_blocked()
    clock.advance(seconds - 0.1)
    await anyio.wait_all_tasks_blocked()
    clock.advance(0.2)


@pytest.mark.parametrize("said", [b"", CHUNKS + b"3\r\none\r\n"], ids=["head", "body"])
async def test_read_timeout(anyio_backend: str, said: bytes) -> None:
    assert anyio_backend
    clock = StoppedClock()

    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(said)
        await connection.until_closed()

    async with serving(serve) as server, timed(clock) as client, anyio.create_task_group() as group:
        group.start_soon(passing, clock, 2)
        with pytest.raises(httpx.ReadTimeout):
            await client.get(url(server))
        await server.until(0)


async def test_write_timeout(anyio_backend: str) -> None:
    assert anyio_backend
    clock = StoppedClock()
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)  # noqa: S610 -- not Django's
    # the listener does not accept, so nothing is read: anyio on asyncio would read from an accepted socket at once
    async with listener, timed(clock) as client, anyio.create_task_group() as group:
        group.start_soon(passing, clock, 3)
        with pytest.raises(httpx.WriteTimeout):
            await client.post(f"http://127.0.0.1:{port}/", content=bytes(50_000_000))


async def test_connect_timeout(anyio_backend: str) -> None:
    assert anyio_backend
    clock = StoppedClock()
    async with serving(Connection.until_closed) as server, timed(clock) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(passing, clock, 1)
            with pytest.raises(httpx.ConnectTimeout):
                await client.get(f"https://127.0.0.1:{server.origin.port}/")
        await server.until(0)


async def test_pool_timeout_loses_no_slot(anyio_backend: str) -> None:
    assert anyio_backend
    clock = StoppedClock()
    async with serving(echo) as server, timed(clock) as client:
        async with client.stream("GET", url(server)), anyio.create_task_group() as group:
            group.start_soon(passing, clock, 4)
            with pytest.raises(httpx.PoolTimeout):
                await client.get(url(server))
        for _ in range(3):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await client.get(url(server))
            assert (await client.get(url(server))).status_code == 200


async def test_every_waiter_gets_a_slot(anyio_backend: str) -> None:
    assert anyio_backend
    answered = 0

    async def get() -> None:
        nonlocal answered
        response = await client.get(url(server))
        answered += response.status_code == 200

    async with serving(echo) as server, timed(StoppedClock(), places=2) as client:
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(get)
        assert answered == 20
        assert len(server.connections) <= 2
