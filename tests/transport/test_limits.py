"""Limits of this machine: recognizing them, and reducing the number of connections."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from transport.faulty import COMMON, Connection, StoppedClock, answer, ask, echo, serving, url
from transport.tls import CA

from aioconnections.errors import InvalidInputError, LocalLimitError
from aioconnections.protocol.messages import Origin, Request
from aioconnections.transport.as_httpx import LaneTransport
from aioconnections.transport.limits import LocalLimit, has_descriptors, local_limit_error
from aioconnections.transport.pool import LanePool
from aioconnections.transport.socketwire import SocketWire
from aioconnections.transport.tls import Trust
from aioconnections.transport.via_httpx import HttpxAdapter

EXHAUSTED = [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC]


def refused(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize("number", EXHAUSTED)
def test_exhausted_resources_are_recognized(number: int) -> None:
    error = local_limit_error([None, OSError("wrapped"), refused(number)])
    assert error is not None
    assert (error.sent, error.deterministic, error.__cause__) == ("no", False, None)


@pytest.mark.parametrize(
    "error",
    [
        refused(errno.ECONNREFUSED),
        refused(errno.EADDRNOTAVAIL),
        socket.gaierror(socket.EAI_NONAME, "unknown"),
        ssl.SSLError(errno.EMFILE, "a code of OpenSSL that means something else"),
        RuntimeError("cannot schedule new futures after shutdown"),
        OSError("no number"),
    ],
)
def test_other_errors_are_not_local_limits(error: Exception) -> None:
    assert local_limit_error([error]) is None


def test_a_thread_that_cannot_be_started() -> None:
    assert "thread" in str(local_limit_error([RuntimeError("can't start new thread")]))


def test_has_descriptors_leaves_descriptors_free() -> None:
    first = os.open(os.devnull, os.O_RDONLY)
    os.close(first)
    assert has_descriptors(20)
    again = os.open(os.devnull, os.O_RDONLY)
    os.close(again)
    assert again == first, "the lowest free descriptor"


class TestCeiling:
    def test_it_rises_slowly_and_is_lifted_at_the_maximum(self) -> None:
        clock, changes = StoppedClock(), list[int | None]()
        local_limit = LocalLimit(changes.append, 6, clock)
        for others in (5, 4, 3):
            local_limit.reached(others)
        assert changes == [5, 4, 3]
        clock.advance(29)
        assert changes == [5, 4, 3]
        for _ in range(10):
            clock.advance(30)
        assert changes == [5, 4, 3, 4, 5, None]
        assert clock.timers == []

    def test_a_further_failure_delays_the_rise(self) -> None:
        clock, changes = StoppedClock(), list[int | None]()
        local_limit = LocalLimit(changes.append, 6, clock)
        local_limit.reached(3)
        for _ in range(5):
            clock.advance(20)
            local_limit.reached(3)
        assert changes == [3]
        assert len(clock.timers) == 1

    def test_without_other_connections_it_is_lifted(self) -> None:
        clock, changes = StoppedClock(), list[int | None]()
        local_limit = LocalLimit(changes.append, 6, clock)
        local_limit.reached(0)
        assert changes == []
        local_limit.reached(2)
        local_limit.reached(0)
        assert changes == [2, None]
        assert clock.timers == []

    def test_after_an_opened_connection_one_more_attempt_is_made(self) -> None:
        clock, changes = StoppedClock(), list[int | None]()
        local_limit = LocalLimit(changes.append, 6, clock)
        local_limit.has_opened = True
        local_limit.reached(0)
        assert changes == [1]
        local_limit.reached(0)
        assert changes == [1, None]

    def test_the_maximum_is_not_a_limit(self) -> None:
        clock, changes = StoppedClock(), list[int | None]()
        LocalLimit(changes.append, 6, clock).reached(6)
        assert (changes, clock.timers) == ([], [])

    def test_close_cancels_the_timer(self) -> None:
        clock, changes = StoppedClock(), list[int | None]()
        local_limit = LocalLimit(changes.append, 6, clock)
        local_limit.reached(2)
        local_limit.close()
        local_limit.close()
        clock.advance(100)
        assert (changes, clock.timers) == ([2], [])


def test_a_certificate_file_that_cannot_be_opened_is_a_local_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    path = tmp_path / "ca.pem"
    CA.cert_pem.write_to_path(str(path))

    def load(*_: object, **__: object) -> None:
        raise refused(errno.EMFILE)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", load)
    with pytest.raises(LocalLimitError) as raised:
        Trust(path)
    assert raised.value.__context__ is None
    monkeypatch.undo()
    with pytest.raises(InvalidInputError):
        Trust(tmp_path / "none.pem")


Refuse = Callable[[OSError | None], None]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """A function that makes `socket.socket` raise an error, until it is called with None."""

    def call(error: OSError | None) -> None:
        def refusing(*_: object) -> socket.socket:
            assert error is not None
            raise error

        if error is None:
            monkeypatch.undo()
        else:
            monkeypatch.setattr(socket, "socket", refusing)

    return call


@pytest.mark.asyncio
@pytest.mark.parametrize("number", EXHAUSTED)
async def test_without_open_lanes_the_exchange_fails(refuse: Refuse, number: int) -> None:
    changes = list[int | None]()
    local_limit = LocalLimit(changes.append, 16, StoppedClock())
    async with serving(echo) as server, contextlib.aclosing(LanePool(local_limit=local_limit)) as lanes:
        refuse(refused(number))
        with pytest.raises(LocalLimitError) as raised:
            await ask(lanes, server)
        refuse(None)
        assert raised.value.sent == "no"
        assert changes == []
        assert (await ask(lanes, server)).status == 200


@pytest.mark.asyncio
async def test_an_idle_lane_elsewhere_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one connection can be open; an idle one of another origin is closed for it."""
    changes = list[int | None]()
    local_limit = LocalLimit(changes.append, 16, StoppedClock())
    async with (
        serving(echo) as one,
        serving(echo) as other,
        contextlib.aclosing(LanePool(local_limit=local_limit)) as lanes,
    ):
        open_socket = socket.socket

        def scarce(*arguments: Any, **accepted: Any) -> socket.socket:
            if one.open and not accepted:
                raise refused(errno.EMFILE)
            return open_socket(*arguments, **accepted)

        await ask(lanes, one)
        closed = SocketWire.closed

        async def closed_and_seen(wire: SocketWire) -> None:
            await closed(wire)
            await one.until(0)

        monkeypatch.setattr(socket, "socket", scarce)
        monkeypatch.setattr(SocketWire, "closed", closed_and_seen)
        assert (await ask(lanes, other)).status == 200
        assert changes == []
        monkeypatch.undo()


@pytest.mark.asyncio
async def test_a_lane_that_became_idle_is_used_and_not_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A freed descriptor may be used by a name lookup before the socket is opened."""
    changes = list[int | None]()
    local_limit = LocalLimit(changes.append, 16, StoppedClock())
    looking_up, answered = asyncio.Event(), asyncio.Event()
    addresses = asyncio.get_running_loop().getaddrinfo

    async def say(connection: Connection) -> None:
        while True:
            await connection.request()
            await looking_up.wait()
            await connection.say(answer(b"own"))

    async def lookup(*arguments: Any, **options: Any) -> Any:
        if server.connections:
            looking_up.set()
            await answered.wait()
        return await addresses(*arguments, **options)

    async with serving(say) as server, contextlib.aclosing(LanePool(local_limit=local_limit)) as lanes:
        origin = Origin("http", "localhost", server.origin.port)
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lookup)
        open_socket = socket.socket

        def scarce(*arguments: Any, **accepted: Any) -> socket.socket:
            if server.connections and not accepted:
                raise refused(errno.EMFILE)
            return open_socket(*arguments, **accepted)

        first = asyncio.create_task(lanes.exchange(origin, Request("GET", "/"), COMMON, 30))
        await server.until(1)
        monkeypatch.setattr(socket, "socket", scarce)
        second = asyncio.create_task(lanes.exchange(origin, Request("GET", "/"), COMMON, 30))
        assert (await first).body == b"own"
        answered.set()
        assert (await second).body == b"own"
        monkeypatch.undo()
        assert len(server.connections) == 1
        assert changes == []


@pytest.mark.asyncio
async def test_a_name_lookup_without_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: object) -> None:
        raise RuntimeError("can't start new thread")

    async with contextlib.aclosing(LanePool()) as lanes:
        monkeypatch.setattr(threading.Thread, "start", start)
        with pytest.raises(LocalLimitError, match="thread"):
            await lanes.exchange(Origin("http", "localhost", 80), Request("GET", "/"), COMMON, 30)
        monkeypatch.undo()


@pytest.mark.asyncio
async def test_lane_transport_raises_a_connect_error_of_httpx(refuse: Refuse) -> None:
    async with serving(echo) as server, httpx.AsyncClient(transport=LaneTransport()) as client:
        refuse(refused(errno.EMFILE))
        with pytest.raises(httpx.ConnectError, match="ulimit"):
            await client.get(url(server))
        refuse(None)
        assert (await client.get(url(server))).status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize("number", EXHAUSTED)
async def test_through_httpx_it_is_found_among_the_causes(anyio_backend: str, number: int) -> None:
    assert anyio_backend

    def handle(_: httpx.Request) -> httpx.Response:
        error = httpx.ConnectError("All connection attempts failed")
        error.__cause__ = OSError("All connection attempts failed")
        error.__cause__.__cause__ = ExceptionGroup("", [ConnectionRefusedError(), refused(number)])
        raise error

    engine = HttpxAdapter(httpx.MockTransport(handle))
    with pytest.raises(LocalLimitError) as raised:
        await engine.exchange(Origin("http", "c.example.com", 80), Request("GET", "/"), COMMON, 30)
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)
