"""Cancellation at any point leaks nothing, and leaves the pool ready for the next request."""

from __future__ import annotations

import contextlib
import gc
import random
import ssl
import sys
from pathlib import Path

import anyio
import pytest
import trustme
from anyio.lowlevel import checkpoint
from transport.faulty import Connection, Server, StoppedClock, answer, ask, serving

from aioconnections.errors import ProtocolError
from aioconnections.transport.pool import LanePool

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("sending")]

METHODS = ["HEAD", "GET", "POST", "PUT", "DELETE"]
SOME, ALL = 5_000, 100_000
RESPONSES = 50  # per connection


async def serve(connection: Connection) -> None:
    """Respond with the target, sometimes in two pieces, and close after a number of responses."""
    for number in range(RESPONSES):
        method, target = (await connection.request()).split(b" ")[:2]
        said = answer(target, f"X-Target: {target.decode()}")
        if method == b"HEAD":
            said = said[: -len(target)]
        if number % 3 == 0:
            await connection.say(said[:20])
            await checkpoint()
            said = said[20:]
        await connection.say(said)


def open_files() -> int:
    """The number of open descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def storm(lanes: LanePool, server: Server, requests: int, dice: random.Random) -> int:
    """Send `requests`, cancel most after a random number of steps, and return the number of responses.

    The server closes without announcing it, so a request may cross the close.
    """
    numbers = iter(range(requests))
    answered = crossed = 0

    async def cancel(scope: anyio.CancelScope, steps: int) -> None:
        for _ in range(steps):
            await checkpoint()
        scope.cancel()

    async def work() -> None:
        nonlocal answered, crossed
        for number in numbers:
            async with anyio.create_task_group() as group:
                group.start_soon(cancel, group.cancel_scope, dice.choice((0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 40)))
                try:
                    response = await ask(lanes, server, dice.choice(METHODS), f"/{number}")
                except ProtocolError as error:
                    if not error.reused:
                        raise
                    crossed += 1
                else:
                    assert response.get(b"x-target") == f"/{number}"
                    answered += 1
                group.cancel_scope.cancel()

    async with anyio.create_task_group() as workers:
        for _ in range(8):
            workers.start_soon(work)
    assert crossed <= requests // RESPONSES
    return answered


async def check_storm(lanes: LanePool, requests: int, tls: ssl.SSLContext | None = None) -> None:
    """Run a storm of cancellations, and check the pool afterwards."""
    dice = random.Random(requests)
    async with serving(serve, tls) as server:
        assert (await ask(lanes, server)).status == 200
        answered = await storm(lanes, server, requests, dice)
        assert 0 < answered < requests
        assert "0 opening, 0 lent" in repr(lanes)
        for number in range(20):  # the stopped clock shows that nothing waits for a timer
            assert (await ask(lanes, server, "GET", f"/{number}")).body == b"/%d" % number
        await lanes.aclose()
        await server.until(0)


@pytest.mark.parametrize(
    "requests", [pytest.param(SOME, id="some"), pytest.param(ALL, id="all", marks=pytest.mark.full)]
)
@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_a_storm_of_cancellations(anyio_backend: str, requests: int) -> None:
    assert anyio_backend
    gc.collect()
    tasks = len(anyio.get_running_tasks())
    before = open_files() if sys.platform == "linux" else 0
    async with contextlib.aclosing(LanePool(max_connections=8, clock=StoppedClock())) as lanes:
        await check_storm(lanes, requests)
    gc.collect()
    if sys.platform == "linux":
        assert open_files() <= before
    assert len(anyio.get_running_tasks()) <= tasks


@pytest.mark.slow
async def test_a_storm_of_cancellations_over_tls(anyio_backend: str) -> None:
    assert anyio_backend
    authority = trustme.CA()
    context, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(trusting)
    async with contextlib.aclosing(LanePool(max_connections=8, verify=trusting, clock=StoppedClock())) as lanes:
        await check_storm(lanes, 500, context)


@pytest.mark.parametrize("steps", range(12))
async def test_cancelled_after_every_number_of_steps(lanes: LanePool, steps: int) -> None:
    """Cancelled while connecting, waiting or receiving, the connection is closed or stays usable."""
    async with serving(serve) as server:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def cancel() -> None:
                    for _ in range(steps):
                        await checkpoint()
                    scope.cancel()

                group.start_soon(cancel)
                await ask(lanes, server, "GET", "/0")
        assert "0 opening, 0 lent" in repr(lanes)
        assert (await ask(lanes, server, "GET", "/1")).body == b"/1"
