"""Connections end: a request that meets one in its last moment is repeated where that does no harm."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from transport.faulty import Connection, Script, StoppedClock, answer, serving

from aioconnections import AlreadyExists, Client, InDoubtError, Pair, Removed, Status, Userid
from aioconnections.auth.credentials import Send
from aioconnections.protocol.messages import Headers

pytestmark = pytest.mark.anyio

DATA = Path(__file__).parent.parent / "data"
PAIR = Pair(Userid("ajones"), Userid("bsmith"))
SERVICE = answer(b"", "Content-Type: application/atomsvc+xml")
MISSING = answer(b"<error/>", "Content-Type: text/xml;charset=UTF-8", status="404 Not Found")
COLLEAGUES = answer(b"", "X-Profiles-Connection-Status: accepted")
EXISTS = answer(
    b'<error xmlns="http://www.ibm.com/xmlns/prod/sn"><message>CLFRN1168E: There is one already.</message></error>',
    "Content-Type: text/xml",
    status="400 Bad Request",
)


def breaking(verb: bytes, answers: dict[bytes, bytes]) -> Script:
    """Carries the first request with `verb` out, and closes instead of answering; the others are answered."""
    broken: list[bytes] = []

    async def serve(connection: Connection) -> None:
        while True:
            head = await connection.request()
            method = head.split(b" ")[0]
            if method == verb and not broken:
                broken.append(head)
                return
            await connection.say(SERVICE if b"profileService" in head else answers[method])

    return serve


async def seen(
    script: Script, call: Callable[[Client], Awaitable[object]], **options: Any
) -> tuple[object, list[list[str]], Client]:
    """What `call` gives, and the methods of the requests that each connection brought."""
    async with serving(script) as server:
        async with Client(str(server.origin), auth=("ajones", "secret"), max_connections=1, **options) as client:
            result = await call(client)
            stats = client.stats()
        methods = [[head.split()[0].decode() for head in connection.requests] for connection in server.connections]
        sent = sum(map(len, methods))
        assert stats.attempts == sent
        return result, methods, client


async def test_a_check_is_repeated_once_and_at_once(anyio_backend: str) -> None:
    """Without a pause, which this clock could not make, and without a doubt about the server: no second canary."""
    assert anyio_backend

    async def check(client: Client) -> object:
        status = await client.check(PAIR.source, PAIR.target)
        stats = client.stats()
        assert (stats.retries, stats.retries_left, dict(stats.failures)) == (1, 35, {"ProtocolError": 1})
        return status

    script = breaking(b"HEAD", {b"HEAD": COLLEAGUES})
    result, methods, _ = await seen(script, check, clock=StoppedClock(), max_per_second=None)
    assert result is Status.ACCEPTED
    assert methods == [["GET", "HEAD"], ["HEAD"]]


async def test_an_outcome_knows_of_the_repetition(anyio_backend: str) -> None:
    assert anyio_backend

    async def check(client: Client) -> object:
        async with client.check_many([PAIR]) as outcomes:
            return [outcome.attempts async for outcome in outcomes]

    result, _, _ = await seen(breaking(b"HEAD", {b"HEAD": COLLEAGUES}), check)
    assert result == [2]


async def test_a_repetition_keeps_to_the_rate(anyio_backend: str) -> None:
    """The clock advances only for what waits less than a second: the starts, and not the deadlines of the attempts."""
    assert anyio_backend
    clock, waits = StoppedClock(), list[float]()

    async def advance() -> None:
        while True:
            await anyio.lowlevel.checkpoint()
            wait = min((when - clock.now() for when, _ in clock.timers), default=10.0)
            if wait < 1:
                waits.append(wait)
                clock.advance(wait)

    script = breaking(b"HEAD", {b"HEAD": COLLEAGUES})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(advance)
        await seen(
            script, lambda client: client.check(PAIR.source, PAIR.target), clock=clock, max_per_second=10.0, burst=1
        )
        tasks.cancel_scope.cancel()
    assert waits == pytest.approx([0.1, 0.1])


async def test_a_removal_whose_answer_was_lost_was_made_though_the_repetition_finds_nothing(anyio_backend: str) -> None:
    assert anyio_backend
    entry = (DATA / "pending-with-message.atom").read_bytes()
    script = breaking(b"DELETE", {b"GET": answer(entry, "Content-Type: application/atom+xml"), b"DELETE": MISSING})
    result, methods, _ = await seen(script, lambda client: client.remove("c"))
    assert isinstance(result, Removed)
    assert [method for connection in methods for method in connection].count("DELETE") == 2


async def test_a_connection_that_an_administrator_made_is_asked_after(anyio_backend: str) -> None:
    assert anyio_backend
    script = breaking(b"PUT", {b"PUT": EXISTS, b"HEAD": MISSING})
    result, methods, _ = await seen(script, lambda client: client.admin.connect(PAIR.source, PAIR.target))
    assert isinstance(result, AlreadyExists)
    assert methods[0] == ["GET", "PUT"]
    assert methods[1][0] == "HEAD"


async def test_an_invitation_is_in_doubt_and_not_repeated(anyio_backend: str) -> None:
    assert anyio_backend

    async def invite(client: Client) -> object:
        with pytest.raises(InDoubtError):
            await client.invite(PAIR.target, on_unknown="report")
        return None

    _, methods, _ = await seen(breaking(b"POST", {b"GET": SERVICE, b"HEAD": MISSING}), invite)
    assert [method for connection in methods for method in connection].count("POST") == 1


async def test_the_requests_of_a_login_are_no_exception(anyio_backend: str) -> None:
    assert anyio_backend

    class Login:
        async def headers(self, send: Send, refused: Headers | None) -> Headers:
            assert refused is None
            for _ in range(2):
                assert (await send("GET", "/login")).status == 200
            return Headers([("Authorization", "Bearer x")])

    served: list[int] = []

    async def serve(connection: Connection) -> None:
        while True:
            head = await connection.request()
            served.append(connection.number)
            if len(served) == 2:
                return
            await connection.say(SERVICE if b"GET" in head else COLLEAGUES)

    async with serving(serve) as server, Client(str(server.origin), auth=Login()) as client:
        assert await client.check(PAIR.source, PAIR.target) is Status.ACCEPTED
    assert served == [0, 0, 1, 1, 1]
