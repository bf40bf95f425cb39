"""A transport that meets more than one event loop or process: refused with advice, and closed from anywhere."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Iterator

import anyio
import httpx
import pytest
import trio
from anyio.from_thread import BlockingPortal, start_blocking_portal
from transport.faulty import Connection, Server, answer, serving, url
from transport.tls import CA, server_context, trusting

from aioconnections.errors import UsageError
from aioconnections.transport.as_httpx import LaneTransport

ADVICE = r"belongs to another event loop; create one in each event loop \(each asyncio\.run has its own\), or call"


async def serve(connection: Connection) -> None:
    while not (await connection.request()).startswith(b"GET /never"):
        await connection.say(answer(b"hello"))
    await connection.until_closed()


class Elsewhere:
    """A server in a thread of its own, which outlives the event loops of the test."""

    def __init__(self, portal: BlockingPortal, server: Server) -> None:
        self.url = url(server)
        self._portal = portal
        self._server = server

    def until(self, open_connections: int) -> None:
        self._portal.call(self._server.until, open_connections)


@pytest.fixture(params=["http", "https"])
def server(request: pytest.FixtureRequest) -> Iterator[Elsewhere]:
    tls = server_context(CA.issue_cert("127.0.0.1")) if request.param == "https" else None
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serving(serve, tls)) as running:
        yield Elsewhere(portal, running)
        gc.collect()  # what was not closed warns, and warnings are errors


def lanes() -> tuple[LaneTransport, httpx.AsyncClient]:
    transport = LaneTransport(verify=trusting())
    return transport, httpx.AsyncClient(transport=transport, trust_env=False)


async def get(client: httpx.AsyncClient, server: Elsewhere) -> None:
    assert (await client.get(server.url)).text == "hello"


@pytest.mark.parametrize("first", ["asyncio", "trio"])
@pytest.mark.parametrize("second", ["asyncio", "trio"])
def test_one_transport_over_two_event_loops_is_an_httpx_error_with_advice_and_can_be_closed(
    server: Elsewhere, first: str, second: str
) -> None:
    """As with two `asyncio.run`: the first event loop has ended when the second one closes. Warnings are errors."""
    transport, client = lanes()

    async def later() -> None:
        with pytest.raises(httpx.TransportError, match=f"this transport {ADVICE}") as caught:
            await get(client, server)
        assert isinstance(caught.value, UsageError)
        assert str(caught.value.request.url) == server.url
        await client.aclose()

    anyio.run(get, client, server, backend=first)
    server.until(1)
    anyio.run(later, backend=second)
    server.until(0)
    assert repr(transport) == "LaneTransport(<LanePool: closed>)"


@pytest.mark.parametrize("ended", [False, True])
def test_aclose_after_a_loop_that_was_stopped_in_the_middle_of_a_request(server: Elsewhere, *, ended: bool) -> None:
    """Its tasks were never cancelled, so they still wait for the response when the connection is closed."""
    transport, client = lanes()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(get(client, server))
    task = loop.create_task(client.get(f"{server.url}never"))
    while "1 lent" not in repr(transport):
        loop.run_until_complete(asyncio.sleep(0))
    if ended:
        task._log_destroy_pending = False  # type: ignore[attr-defined] # here it is meant to be
        loop.close()
    asyncio.run(client.aclose())
    server.until(0)
    if not ended:
        with pytest.raises(httpx.ConnectError, match="the client was closed"):
            loop.run_until_complete(task)
        loop.close()


@pytest.mark.parametrize("first", ["asyncio", "trio"])
@pytest.mark.parametrize("second", ["asyncio", "trio"])
def test_aclose_from_an_event_loop_in_another_thread(server: Elsewhere, first: str, second: str) -> None:
    """The sockets belong to an event loop that runs, so they are closed there."""
    transport, client = lanes()
    used, closed = threading.Event(), threading.Event()
    where: list[int] = []
    close = type(transport._pool)._close_all

    async def noted() -> None:
        where.append(threading.get_ident())
        await close(transport._pool)

    transport._pool._close_all = noted  # type: ignore[method-assign]

    async def use() -> None:
        await get(client, server)
        used.set()
        await anyio.to_thread.run_sync(closed.wait)

    thread = threading.Thread(target=lambda: anyio.run(use, backend=first))
    thread.start()
    try:
        used.wait()
        anyio.run(client.aclose, backend=second)
        server.until(0)
        assert where == [thread.ident]
    finally:
        closed.set()
        thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_transport_made_before_a_fork_works_in_the_child_unless_it_was_used(server: Elsewhere) -> None:
    """As with gunicorn's --preload, and Celery."""
    _, unused = lanes()
    _, used = lanes()

    async def in_the_child() -> None:
        await get(unused, server)
        await unused.aclose()
        with pytest.raises(httpx.TransportError, match="was used before the process was forked; create one in each"):
            await get(used, server)
        await used.aclose()

    async def in_the_parent() -> None:
        await get(used, server)
        child = os.fork()
        if child == 0:
            try:
                asyncio.events._set_running_loop(None)
                asyncio.run(in_the_child())
            except BaseException:  # noqa: BLE001 -- the child must not return to pytest
                os._exit(1)
            os._exit(0)
        assert await anyio.to_thread.run_sync(os.waitpid, child, 0) == (child, 0)
        await get(used, server)
        await used.aclose()
        await unused.aclose()

    asyncio.run(in_the_parent())
    server.until(0)


def test_a_transport_in_a_thread_without_an_event_loop_says_so() -> None:
    transport, client = lanes()
    with pytest.raises(UsageError, match="must be used in an event loop, and none runs in this thread"):
        transport._pool._affinity.check()
    trio.run(client.aclose)
