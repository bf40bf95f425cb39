"""Requests that follow one another on a lane: each gets its own response, and every fault ends the chain."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import cast

import pytest
from transport.faulty import COMMON, Connection, serving
from transport.tls import CA, server_context

from aioconnections.errors import DeadlineError, ProtocolError
from aioconnections.protocol.messages import Origin, Request, Response
from aioconnections.transport.pool import LanePool
from aioconnections.transport.socketwire import Outbox, SocketWire

pytestmark = pytest.mark.anyio

LOCALHOST = server_context(CA.issue_cert("localhost", "127.0.0.1"))
FORGED = b"HTTP/1.1 200 OK\r\nX-Target: forged\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def anyio_backend() -> str:
    """On trio, a lane leaves every response to the caller."""
    return "asyncio"


def response_to(head: bytes, *fields: str) -> bytes:
    target = head.split(b" ")[1].decode()
    return "\r\n".join(["HTTP/1.1 200 OK", f"X-Target: {target}", *fields, "Content-Length: 0", "", ""]).encode()


class Chain:
    """Asks for /1 to /`last`, and records the target that each response names."""

    def __init__(self, last: int) -> None:
        self.seen: list[str | None] = []
        self._last = last
        self.number = 0

    def first(self) -> Request:
        return Request("HEAD", "/0")

    def settle(self, response: Response) -> bool:
        self.seen.append(response.get(b"x-target"))
        return True

    def next_request(self) -> Request | None:
        if self.number == self._last:
            return None
        self.number += 1
        return Request("HEAD", f"/{self.number}")

    def take_back(self) -> None:
        self.number -= 1

    @property
    def expected(self) -> list[str]:
        return [f"/{number}" for number in range(len(self.seen))]

    async def to_the_end(self, pool: LanePool, origin: Origin) -> None:
        """Ask until each target has its response: after an error again, as a caller does."""
        while True:
            with contextlib.suppress(ProtocolError):
                response = await pool.exchange(origin, Request("HEAD", f"/{self.number}"), COMMON, 20, self)
                if len(self.seen) == self.number:  # the last response was left to the caller
                    self.seen.append(response.get(b"x-target"))
                if self.number == self._last:
                    return
                self.number += 1


@pytest.mark.parametrize("secure_server", [False, True], ids=["plain", "TLS"])
async def test_requests_follow_on_one_connection(lanes: LanePool, secure: LanePool, *, secure_server: bool) -> None:
    async def serve(connection: Connection) -> None:
        while True:
            await connection.say(response_to(await connection.request()))

    pool, chain = secure if secure_server else lanes, Chain(500)
    async with serving(serve, LOCALHOST if secure_server else None) as server:
        response = await pool.exchange(server.origin, chain.first(), COMMON, 20, chain)
        assert response.get(b"x-target") == "/500"
        assert chain.seen == chain.expected
        assert (len(chain.seen), len(server.connections)) == (501, 1)


@pytest.mark.parametrize("surplus", [FORGED, b"\r\n", FORGED[:20], b"x" * 100_000], ids=len)
@pytest.mark.parametrize("apart", [False, True], ids=["in one write", "in two writes"])
@pytest.mark.parametrize("secure_server", [False, True], ids=["plain", "TLS"])
async def test_surplus_is_never_the_response_to_the_next_request(
    lanes: LanePool, secure: LanePool, surplus: bytes, *, apart: bool, secure_server: bool
) -> None:
    async def serve(connection: Connection) -> None:
        while True:
            head = await connection.request()
            if not head.split(b" ")[1].endswith(b"3"):
                await connection.say(response_to(head))
            elif apart:  # under TLS, two records that may arrive in one read
                await connection.say(response_to(head))
                await connection.say(surplus)
            else:
                await connection.say(response_to(head) + surplus)

    pool, chain = secure if secure_server else lanes, Chain(40)
    async with serving(serve, LOCALHOST if secure_server else None) as server:
        await chain.to_the_end(pool, server.origin)
        assert (len(chain.seen), chain.seen) == (41, chain.expected)
        assert len(server.connections) > 3


async def test_no_lane_of_many_takes_surplus_for_a_response(lanes: LanePool) -> None:
    async def serve(connection: Connection) -> None:
        for number in range(1000):
            response = response_to(await connection.request())
            await connection.say(response + FORGED if number % 7 == 6 else response)

    chains = [Chain(60) for _ in range(24)]
    async with serving(serve) as server:
        await asyncio.gather(*(chain.to_the_end(lanes, server.origin) for chain in chains))
        assert [chain.seen for chain in chains] == [chain.expected for chain in chains]
        assert {len(chain.seen) for chain in chains} == {61}


class RecordedLane:
    """Records what a batch asks of it."""

    def __init__(self, name: str, log: list[str], failure: Exception | None = None) -> None:
        self._name = name
        self._log = log
        self._failure = failure

    def follow(self) -> bytes | None:
        failure, self._failure = self._failure, None
        self._log.append(f"choose {self._name}")
        if failure is not None:
            raise failure
        return None if self._name == "woken" else self._name.encode()

    def deliver(self, payload: bytes) -> None:
        self._log.append(f"send {payload.decode()}")

    def take_back(self) -> None:
        self._log.append(f"take back {self._name}")


async def batched(monkeypatch: pytest.MonkeyPatch, step: float, *names: str, failing: str = "") -> list[str]:
    """What happens in which order if choosing each request takes `step` seconds."""
    loop, outbox, seconds = asyncio.get_running_loop(), Outbox(), itertools.count()
    log: list[str] = []
    errors: list[object] = []
    loop.set_exception_handler(lambda _, context: errors.append(context["exception"]))
    for name in names:
        outbox.decide_later(cast("SocketWire", RecordedLane(name, log, ValueError() if name == failing else None)))
    with monkeypatch.context() as patch:
        patch.setattr(loop, "time", lambda: step * next(seconds))
        for _ in range(4):
            await asyncio.sleep(0)
    loop.set_exception_handler(None)
    assert len(errors) == bool(failing)
    return log


async def test_requests_of_several_lanes_are_sent_together(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = await batched(monkeypatch, 0.0, "a", "woken", "b")
    assert sent == ["choose a", "choose woken", "choose b", "send a", "send b"]


async def test_no_request_waits_for_a_slow_source(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = await batched(monkeypatch, 0.1, "a", "woken", "b")
    assert sent == ["choose a", "send a", "choose woken", "choose b", "send b"]


async def test_requests_chosen_before_the_source_blocked_are_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class Blocked(RecordedLane):
        def follow(self) -> bytes | None:
            now.append(now[-1] + 1)
            return super().follow()

    loop, outbox, now, log = asyncio.get_running_loop(), Outbox(), [0.0], list[str]()
    for kind, name in ((RecordedLane, "a"), (RecordedLane, "b"), (Blocked, "c"), (RecordedLane, "d")):
        outbox.decide_later(cast("SocketWire", kind(name, log)))
    with monkeypatch.context() as patch:
        patch.setattr(loop, "time", lambda: now[-1])
        await asyncio.sleep(0)
    assert log == ["choose a", "choose b", "choose c", "take back a", "take back b", "send c", "choose d", "send d"]


async def test_an_unexpected_error_delays_no_request_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = await batched(monkeypatch, 0.0, "a", "b", "c", failing="b")
    assert sent == ["choose a", "choose b", "send a", "choose c", "send c"]


@pytest.mark.parametrize("field", ["Connection: close", "Keep-Alive: timeout=5, max=0", "Keep-Alive: timeout=0"])
async def test_a_chain_ends_where_the_connection_does(lanes: LanePool, field: str) -> None:
    async def serve(connection: Connection) -> None:
        while True:
            head = await connection.request()
            await connection.say(response_to(head, *([field] if head.split(b" ")[1] == b"/5" else [])))

    chain = Chain(9)
    async with serving(serve) as server:
        response = await lanes.exchange(server.origin, chain.first(), COMMON, 20, chain)
        assert response.get(b"x-target") == "/5"
        assert chain.seen == [f"/{number}" for number in range(5)]  # the last one is left to the caller


async def test_a_connection_that_is_closed_between_two_requests_is_replaced(lanes: LanePool) -> None:
    async def serve(connection: Connection) -> None:
        for _ in range(7):
            await connection.say(response_to(await connection.request()))
        await connection.stream.aclose()

    chain = Chain(30)
    async with serving(serve) as server:
        await chain.to_the_end(lanes, server.origin)
        assert (len(chain.seen), chain.seen) == (31, chain.expected)


async def test_each_request_has_a_deadline_of_its_own(lanes: LanePool) -> None:
    async def serve(connection: Connection) -> None:
        while True:
            head = await connection.request()
            if head.split(b" ")[1] == b"/3":
                await connection.until_closed()
            await connection.say(response_to(head))

    chain = Chain(9)
    async with serving(serve) as server:
        with pytest.raises(DeadlineError, match=r"within 0\.2 s"):
            await lanes.exchange(server.origin, chain.first(), COMMON, 0.2, chain)
        assert (chain.number, chain.seen) == (3, ["/0", "/1", "/2"])


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("error", [LookupError("on purpose"), asyncio.CancelledError("on purpose")])
async def test_an_error_of_the_owner_is_raised_and_closes_the_lane(
    lanes: LanePool, error: BaseException, *, early: bool
) -> None:
    async def serve(connection: Connection) -> None:
        while True:
            await connection.say(response_to(await connection.request()))

    class Failing(Chain):
        def settle(self, response: Response) -> bool:
            if early:
                raise error
            return super().settle(response)

        def next_request(self) -> Request | None:
            raise error

    async with serving(serve) as server:
        with pytest.raises(type(error), match="on purpose"):
            await lanes.exchange(server.origin, Request("HEAD", "/0"), COMMON, 20, Failing(5))
        assert "0 idle" in repr(lanes)


@pytest.mark.parametrize("after", range(6))
async def test_a_cancelled_chain_sends_nothing_more(lanes: LanePool, after: int) -> None:
    targets: list[bytes] = []

    async def serve(connection: Connection) -> None:
        while True:
            head = await connection.request()
            targets.append(head.split(b" ")[1])
            await connection.say(response_to(head))

    task: asyncio.Task[Response]

    class Cancelling(Chain):
        def settle(self, response: Response) -> bool:
            if self.number == after:
                task.cancel()
            return super().settle(response)

    chain = Cancelling(1000)
    async with serving(serve) as server:
        task = asyncio.create_task(lanes.exchange(server.origin, chain.first(), COMMON, 20, chain))
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.05)
        assert targets == [b"/%d" % number for number in range(after + 1)]
        assert "0 idle" in repr(lanes)


async def test_a_response_with_a_body_is_left_to_the_caller(lanes: LanePool) -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    chain = Chain(1)
    async with serving(serve) as server:
        assert (await lanes.exchange(server.origin, Request("GET", "/"), COMMON, 20, chain)).body == b"hi"
        assert chain.seen == []
