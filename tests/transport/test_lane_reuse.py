"""Reuse of connections: every request gets its own response, whatever arrives in between."""

from __future__ import annotations

import contextlib
import socket
import threading
from ssl import SSLContext

import anyio
import pytest
from transport.faulty import COMMON, Connection, StoppedClock, answer, ask, echo, serving

from aioconnections.errors import ConnectFailedError, ProtocolError
from aioconnections.protocol.messages import Origin, Request
from aioconnections.transport import pool
from aioconnections.transport.connect import open_wire
from aioconnections.transport.pool import LanePool
from aioconnections.transport.socketwire import Outbox
from aioconnections.transport.wire import Wire

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("sending")]

METHODS = ["HEAD", "GET", "POST", "PUT", "DELETE"]
FORGED = b"HTTP/1.1 200 OK\r\nX-Forged: yes\r\nContent-Length: 0\r\n\r\n"
SURPLUS = {
    "line end": b"\r\n",
    "NUL": b"\0",
    "part of a response": b"HTTP/1.1 200 OK\r\nX-Forged",
    "response": FORGED,
    "response after a line end": b"\r\n" + FORGED,
    "two responses": FORGED * 2,
    "informational response": b"HTTP/1.1 100 Continue\r\n\r\n",
    "request timeout": b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "chunks": b"3\r\nabc\r\n0\r\n\r\n",
    "body": b"<html>not for you</html>",
    "a lot": b"x" * 300_000,
}
BODYLESS = {"204 No Content", "304 Not Modified"}


def own(head: bytes, status: str = "200 OK") -> bytes:
    """The response to this request; it names the target."""
    method, target = head.split(b" ")[:2]
    bodyless = method == b"HEAD" or status in BODYLESS
    length = b"" if status in BODYLESS else b"Content-Length: %d\r\n" % len(target)
    said = b"HTTP/1.1 %b\r\nX-Target: %b\r\n%b\r\n" % (status.encode(), target, length)
    return said if bodyless else said + target


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("surplus", SURPLUS.values(), ids=SURPLUS.keys())
@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("apart", [False, True], ids=["in the same read", "while idle"])
async def test_surplus_is_never_a_response(
    lanes: LanePool, method: str, surplus: bytes, status: str, *, apart: bool
) -> None:
    requests = 6
    said = [anyio.Event() for _ in range(requests)]
    taken = [anyio.Event() for _ in range(requests)]

    async def serve(connection: Connection) -> None:
        while True:
            head = await connection.request()
            number = int(head.split(b" ")[1][1:])
            try:
                if apart:
                    await connection.say(own(head, status))
                    await taken[number].wait()
                    await connection.say(surplus)
                else:
                    await connection.say(own(head, status) + surplus)
            finally:
                said[number].set()

    async with serving(serve) as server:
        for number in range(requests):
            response = await ask(lanes, server, method, f"/{number}")
            taken[number].set()
            assert response.get(b"x-target") == f"/{number}"
            assert response.get(b"x-forged") is None
            await said[number].wait()
        assert len(server.connections) == requests


async def test_after_an_early_response_the_connection_is_closed(lanes: LanePool) -> None:
    """The server may never read the rest of the request, so no other request follows it."""

    async def serve(connection: Connection) -> None:
        await connection.more()
        await connection.say(answer(b"", status="413 Content Too Large"))
        await answered[connection.number].wait()  # without reading on

    answered = [anyio.Event() for _ in range(3)]
    async with serving(serve) as server:
        for number in range(3):
            assert (await ask(lanes, server, "POST", body=b"x" * 30_000_000)).status == 413
            assert "0 idle" in repr(lanes)
            answered[number].set()
            await server.until(0)
            assert len(server.connections) == number + 1


async def test_after_a_large_request_the_connection_is_reused(lanes: LanePool) -> None:
    async with serving(echo) as server:
        for _ in range(3):
            response = await ask(lanes, server, "POST", body=b"x" * 3_000_000)
            assert len(response.body) > 3_000_000
        assert "1 idle" in repr(lanes)
        assert len(server.connections) == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("surplus", SURPLUS.values(), ids=SURPLUS.keys())
async def test_surplus_that_the_event_loop_has_not_read_is_never_a_response(
    lanes: LanePool, method: str, surplus: bytes
) -> None:
    """It arrives while the loop is busy, and the next request is made before the loop reads it."""
    go_on, said = threading.Event(), threading.Event()
    heads = []

    def serve(listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(ConnectionError):
                if not (head := connection.recv(65536)):
                    return
                heads.append(head)
                connection.sendall(own(head))
                go_on.wait(30)
                connection.sendall(surplus[:1000])
                said.set()
                while connection.recv(65536):
                    """Wait for the client to close."""

    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = Origin("http", "127.0.0.1", listener.getsockname()[1])
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        try:
            for number in range(4):
                response = await lanes.exchange(origin, Request(method, f"/{number}"), COMMON, 30)
                assert response.get(b"x-target") == f"/{number}"
                go_on.set()
                said.wait(30)  # blocks the loop
                go_on.clear()
                said.clear()
            assert len(heads) == 4
        finally:
            await lanes.aclose()
            go_on.set()
            socket.create_connection(listener.getsockname()).close()
            server.join(30)


@pytest.mark.parametrize("method", METHODS)
async def test_bytes_before_the_first_request_are_never_a_response(
    lanes: LanePool, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = anyio.Event()

    async def serve(connection: Connection) -> None:
        await connection.say(FORGED)
        said.set()
        await connection.until_closed()

    async def open_slowly(origin: Origin, context: SSLContext | None, outbox: Outbox) -> Wire:
        wire = await open_wire(origin, context, outbox)
        await said.wait()
        return wire

    monkeypatch.setattr(pool, "open_wire", open_slowly)
    async with serving(serve) as server:
        with pytest.raises(ConnectFailedError, match="the server sent data or closed"):
            await ask(lanes, server, method)
        await server.until(0)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("method", METHODS)
async def test_a_connection_that_was_closed_while_idle_is_not_used(lanes: LanePool, method: str, how: str) -> None:
    taken = [anyio.Event() for _ in range(5)]

    async def serve(connection: Connection) -> None:
        await connection.say(own(await connection.request()))
        await taken[connection.number].wait()
        if how == "reset":
            await connection.reset()

    async with serving(serve) as server:
        for number in range(5):
            response = await ask(lanes, server, method, f"/{number}")
            assert response.get(b"x-target") == f"/{number}"
            taken[number].set()
            await server.until(0)
        assert len(server.connections) == 5


@pytest.mark.parametrize("how", ["close", "reset", "garbage"])
@pytest.mark.parametrize("method", METHODS)
async def test_a_connection_that_is_lost_during_its_second_request(lanes: LanePool, method: str, how: str) -> None:
    """The pool does not repeat the request; the next one gets a new connection."""

    async def serve(connection: Connection) -> None:
        await connection.say(own(await connection.request()))
        head = await connection.request()
        if how == "reset":
            await connection.reset()
        elif how == "garbage":
            await connection.say(b"garbage")
        else:
            assert head

    async with serving(serve) as server:
        assert (await ask(lanes, server, method, "/0")).get(b"x-target") == "/0"
        with pytest.raises(ProtocolError) as raised:
            await ask(lanes, server, method, "/1")
        assert (raised.value.sent, raised.value.reused) == ("maybe", True)
        assert len(server.connections) == 1
        assert (await ask(lanes, server, method, "/2")).get(b"x-target") == "/2"


async def test_a_fresh_connection_on_demand(lanes: LanePool) -> None:
    async with serving(echo) as server:
        await ask(lanes, server)
        assert "1 idle" in repr(lanes)
        await lanes.exchange(server.origin, Request("GET", "/", fresh=True), COMMON, 30)
        assert "2 idle" in repr(lanes)
        assert [len(connection.requests) for connection in server.connections] == [1, 1]


async def test_a_failure_on_a_new_connection_is_not_marked_as_reused(lanes: LanePool) -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()

    async with serving(serve) as server:
        with pytest.raises(ProtocolError) as raised:
            await ask(lanes, server, "GET")
        assert (raised.value.sent, raised.value.status, raised.value.reused) == ("maybe", None, False)
        assert len(server.connections) == 1


async def test_the_lane_used_last_is_used_first(lanes: LanePool) -> None:
    both = anyio.Event()

    async def serve(connection: Connection) -> None:
        while True:
            head = await connection.request()
            if connection.number:
                both.set()
            await both.wait()
            await connection.say(own(head))

    async with serving(serve) as server:
        async with anyio.create_task_group() as group:
            group.start_soon(ask, lanes, server)
            group.start_soon(ask, lanes, server)
        assert repr(lanes) == "<LanePool: 0 opening, 0 lent, 2 idle>"
        for _ in range(5):
            await ask(lanes, server)
        assert sorted(len(connection.requests) for connection in server.connections) == [1, 6]


@pytest.mark.parametrize(
    ("said", "lasting", "over"),
    [("", 7.9, 8.1), ("timeout=5", 3.9, 4.1), ("timeout=20", 18.9, 19.1), ("timeout=9999", 59.9, 60.1)],
)
async def test_an_idle_connection_is_closed_before_the_server_does(
    anyio_backend: str, said: str, lasting: float, over: float
) -> None:
    assert anyio_backend
    clock = StoppedClock()

    async def serve(connection: Connection) -> None:
        while await connection.request():
            await connection.say(answer(b"", f"Keep-Alive: {said}"))

    async with serving(serve) as server, contextlib.aclosing(LanePool(clock=clock)) as lanes:
        await ask(lanes, server)
        clock.advance(lasting)
        await ask(lanes, server)
        assert len(server.connections) == 1
        clock.advance(over)
        await server.until(0)
        assert repr(lanes) == "<LanePool: 0 opening, 0 lent, 0 idle>"
        assert not clock.timers
        await ask(lanes, server)
        assert len(server.connections) == 2


async def test_keep_alive_max_is_respected(lanes: LanePool) -> None:
    async def serve(connection: Connection) -> None:
        for left in (2, 1, 0):
            await connection.request()
            await connection.say(answer(b"", f"Keep-Alive: max={left}"))
        await connection.until_closed()

    async with serving(serve) as server:
        for _ in range(9):
            await ask(lanes, server)
        assert [len(connection.requests) for connection in server.connections] == [3, 3, 3]


async def test_a_single_keep_alive_max_is_counted_down(lanes: LanePool) -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(answer(b"", "Keep-Alive: max=2"))
        while await connection.request():
            await connection.say(answer())

    async with serving(serve) as server:
        for _ in range(6):
            await ask(lanes, server)
        assert [len(connection.requests) for connection in server.connections] == [3, 3]


async def test_no_more_connections_are_kept_than_allowed(anyio_backend: str) -> None:
    assert anyio_backend

    async def serve(connection: Connection) -> None:
        while await connection.request():
            await connection.say(answer())

    async with contextlib.AsyncExitStack() as stack, contextlib.aclosing(LanePool(max_connections=2)) as lanes:
        servers = [await stack.enter_async_context(serving(serve)) for _ in range(4)]
        for server in servers:
            await ask(lanes, server)
        await servers[0].until(0)
        await servers[1].until(0)
        assert [server.open for server in servers] == [0, 0, 1, 1]


async def test_unused_origins_are_forgotten(lanes: LanePool) -> None:
    async def serve(connection: Connection) -> None:
        while await connection.request():
            await connection.say(answer())

    async with serving(serve) as server:
        await ask(lanes, server)
        for number in range(2500):
            lanes.origin_pool(Origin("http", f"host{number}.example", 80))
        await ask(lanes, server)
        assert len(server.connections) == 1


async def test_a_server_that_closes_at_once_gets_no_request(lanes: LanePool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(_: Connection) -> None:
        """Hang up."""

    async def open_slowly(origin: Origin, context: SSLContext | None, outbox: Outbox) -> Wire:
        wire = await open_wire(origin, context, outbox)
        while not server.connections:
            await anyio.lowlevel.checkpoint()
        await server.until(0)
        return wire

    monkeypatch.setattr(pool, "open_wire", open_slowly)
    async with serving(serve) as server:
        with pytest.raises(ConnectFailedError, match="the server sent data or closed"):
            await ask(lanes, server, "POST")
