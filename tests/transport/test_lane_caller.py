"""Callers that cancel, close, forget to close, or use another event loop or process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable

import anyio
import pytest
from transport.faulty import COMMON, Connection, answer, ask, echo, serving

from aioconnections.errors import ProtocolError, TransportError, UsageError
from aioconnections.protocol.messages import Origin, Request, Response
from aioconnections.transport import socketwire
from aioconnections.transport.pool import LanePool

NOWHERE = Origin("http", "127.0.0.1", 1)


async def serve(connection: Connection) -> None:
    while await connection.request():
        await connection.say(answer(b"hello"))


async def try_it(lanes: LanePool) -> None:
    with pytest.raises(TransportError):
        await lanes.exchange(NOWHERE, Request("GET", "/"), COMMON, 1)


@pytest.mark.anyio
async def test_closing_twice_is_allowed_and_ends_all_use(anyio_backend: str) -> None:
    assert anyio_backend
    lanes = LanePool()
    async with serving(serve) as server:
        await ask(lanes, server)
        await lanes.aclose()
        await server.until(0)
        await lanes.aclose()
        assert repr(lanes) == "<LanePool: closed>"
        with pytest.raises(UsageError, match="closed"):
            await ask(lanes, server)


@pytest.mark.anyio
async def test_closing_an_unused_pool(anyio_backend: str) -> None:
    assert anyio_backend
    await LanePool().aclose()


@pytest.mark.anyio
async def test_closing_ends_running_requests(anyio_backend: str) -> None:
    assert anyio_backend
    lanes = LanePool()
    async with serving(Connection.until_closed) as server, anyio.create_task_group() as group:

        async def fail() -> None:
            with pytest.raises(ProtocolError, match="the client closed the connection"):
                await ask(lanes, server)

        group.start_soon(fail)
        await server.until(1)
        await anyio.wait_all_tasks_blocked()
        await lanes.aclose()
        await server.until(0)


@pytest.mark.anyio
async def test_closing_ends_connection_attempts(anyio_backend: str) -> None:
    assert anyio_backend
    lanes = LanePool()
    async with serving(Connection.until_closed) as server, anyio.create_task_group() as group:

        async def fail() -> None:
            with pytest.raises(TransportError):
                await lanes.exchange(Origin("https", "127.0.0.1", server.origin.port), Request("GET", "/"), COMMON, 9)

        group.start_soon(fail)
        await server.until(1)
        assert repr(lanes) == "<LanePool: 1 opening, 0 lent, 0 idle>"
        await lanes.aclose()
        await server.until(0)


@pytest.mark.parametrize("first", ["asyncio", "trio"])
@pytest.mark.parametrize("second", ["asyncio", "trio"])
def test_a_second_event_loop_is_refused(first: str, second: str) -> None:
    lanes = LanePool()
    anyio.run(try_it, lanes, backend=first)

    async def refused() -> None:
        with pytest.raises(UsageError, match="another event loop"):
            await lanes.exchange(NOWHERE, Request("GET", "/"), COMMON, 1)
        await lanes.aclose()

    anyio.run(refused, backend=second)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.anyio
async def test_a_fork_is_refused_and_leaves_the_parent_alone(anyio_backend: str) -> None:
    assert anyio_backend
    lanes = LanePool()
    async with serving(serve) as server:
        await ask(lanes, server)
        child = os.fork()
        if child == 0:
            refused = False
            try:
                lanes.exchange(server.origin, Request("GET", "/"), COMMON, 1).send(None)
            except UsageError as error:
                refused = "forked" in str(error)
            except BaseException:  # noqa: BLE001, S110 -- the child must not come back
                pass
            del lanes
            os._exit(0 if refused else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0  # noqa: ASYNC222 -- it is at its end
        assert (await ask(lanes, server)).body == b"hello"
        assert len(server.connections) == 1
        await lanes.aclose()


def forget(lanes: list[LanePool]) -> None:
    lanes.clear()
    gc.collect()


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_forgotten_pool_closes_and_warns(anyio_backend: str) -> None:
    assert anyio_backend
    lanes = [LanePool()]
    async with serving(serve) as server:
        await ask(lanes[0], server)
        await anyio.wait_all_tasks_blocked()  # a cancelled trio timer keeps frames alive until it has run
        with pytest.warns(ResourceWarning, match="1 idle> was not closed"):
            forget(lanes)
        await server.until(0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_forgotten_pool_warns_after_its_event_loop_closed(backend: str) -> None:
    lanes = [LanePool()]

    async def use(origin: Origin) -> None:
        await lanes[0].connect(lanes[0].origin_pool(origin), 1e9)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        anyio.run(use, Origin("http", "127.0.0.1", listener.getsockname()[1]), backend=backend)
        with pytest.warns(ResourceWarning, match="1 lent, 0 idle> was not closed"):
            forget(lanes)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.asyncio
async def test_control_c_while_waiting_for_a_response() -> None:
    lanes = LanePool()
    async with serving(Connection.until_closed) as server:
        loop = asyncio.get_running_loop()
        task = loop.create_task(ask(lanes, server))
        loop.add_signal_handler(signal.SIGINT, task.cancel)
        await server.until(1)
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(asyncio.CancelledError):
            await task
        loop.remove_signal_handler(signal.SIGINT)
        await server.until(0)
        assert repr(lanes) == "<LanePool: 0 opening, 0 lent, 0 idle>"
    await lanes.aclose()


@pytest.mark.anyio
async def test_closing_prevents_a_repeated_request(anyio_backend: str) -> None:
    assert anyio_backend
    lanes, asked = LanePool(), anyio.Event()

    async def first_only(connection: Connection) -> None:
        await connection.request()
        await connection.say(answer(b"hello"))
        await connection.request()
        asked.set()
        await connection.until_closed()

    async def second() -> None:
        with pytest.raises(ProtocolError):
            await ask(lanes, server)

    async with serving(first_only) as server:
        await ask(lanes, server)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(second)
            await asked.wait()
            await lanes.aclose()
        await server.until(0)
        assert len(server.connections) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(("lane_count", "together"), [(3, False), (12, True)])
async def test_many_lanes_with_responses_in_one_iteration_send_together(
    monkeypatch: pytest.MonkeyPatch, lane_count: int, *, together: bool
) -> None:
    """A few send at once."""
    steps = []
    for step in ("request", "deliver"):
        real = getattr(socketwire.SocketWire, step)

        def noted(*arguments: object, real: Callable[..., object] = real, step: str = step) -> object:
            steps.append(step)
            return real(*arguments)

        monkeypatch.setattr(socketwire.SocketWire, step, noted)
    all_there, heads = asyncio.Event(), []

    async def serve_all(connection: Connection) -> None:
        heads.append(await connection.request())
        await all_there.wait()
        await connection.say(answer(b"hello"))
        await serve(connection)

    async def respond_in_one_iteration() -> None:
        while len(heads) < lane_count:  # noqa: ASYNC110 # the server has no event for it
            await asyncio.sleep(0)
        all_there.set()

    async def twice() -> None:
        for _ in range(2):
            assert (await ask(lanes, server)).body == b"hello"

    lanes = LanePool()
    async with serving(serve_all) as server:
        await asyncio.gather(respond_in_one_iteration(), *(twice() for _ in range(lane_count)))
    await lanes.aclose()
    order = ["request"] * lane_count + ["deliver"] * lane_count if together else ["request", "deliver"] * lane_count
    assert steps[2 * lane_count :] == order


@pytest.mark.asyncio
@pytest.mark.parametrize("other", [False, True])
async def test_a_request_cancelled_before_its_batch_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, *, other: bool
) -> None:
    """The batch at the end of the loop iteration omits its request."""
    monkeypatch.setattr(socketwire, "_BATCH_FROM", 0)
    lanes, heads = LanePool(), []

    async def note(connection: Connection) -> None:
        while head := await connection.request():
            heads.append(head.split()[:2])
            await connection.say(answer(b"hello"))

    def post(target: str) -> asyncio.Task[Response]:
        return asyncio.create_task(lanes.exchange(server.origin, Request("POST", target), COMMON, 20))

    async with serving(note) as server:
        await asyncio.gather(post("/1"), post("/2"))
        tasks = [post("/never"), *([post("/3")] if other else [])]
        await asyncio.sleep(0)  # each has made its request
        tasks[0].cancel()
        for task in tasks[1:]:
            assert (await task).status == 200
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        await server.until(1)
        assert (await ask(lanes, server, "POST", "/4")).status == 200
        assert sorted(heads) == [[b"POST", b"/%d" % n] for n in (1, 2, *([3] if other else []), 4)]
    await lanes.aclose()


@pytest.mark.asyncio
async def test_an_unsent_post_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is reset after the last check and before the first byte, so the POST was certainly not sent."""
    monkeypatch.setattr(socketwire, "readable", lambda _: lambda: False)
    loop = asyncio.get_running_loop()
    lanes = LanePool()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        origin = Origin("http", "127.0.0.1", listener.getsockname()[1])

        async def serve(task: asyncio.Task[Response]) -> socket.socket:
            connection, _ = await loop.sock_accept(listener)
            assert (await loop.sock_recv(connection, 1000)).startswith(b"POST")
            await loop.sock_sendall(connection, answer(b"hello"))
            assert (await task).body == b"hello"
            return connection

        def post() -> asyncio.Task[Response]:
            return loop.create_task(lanes.exchange(origin, Request("POST", "/"), COMMON, 20))

        first = await serve(post())
        first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        first.close()
        second = await serve(post())
        second.close()
    await lanes.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize("steps", range(16))
async def test_nothing_is_sent_after_closing_at_any_step(anyio_backend: str, steps: int) -> None:
    assert anyio_backend
    lanes = LanePool()

    async def one() -> None:
        with contextlib.suppress(TransportError, UsageError):
            await ask(lanes, server)

    async with serving(echo) as server:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            await lanes.aclose()
            sent = [len(connection.requests) for connection in server.connections]
        assert not lanes.timer.entries
        await server.until(0)
        assert [len(connection.requests) for connection in server.connections][: len(sent)] <= [1]
