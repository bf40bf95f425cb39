"""A response in a form that is not acceptable is not asked for again and again, neither for one pair nor for each."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import pytest
from doors import everything
from transport.faulty import Connection, answer, serving
from transport.faulty import Script as Serve

from aioconnections import (
    Checked,
    Client,
    ConnectFailedError,
    Failed,
    Pair,
    ProtocolError,
    TransportError,
    Unprocessed,
    Userid,
)

LOGIN = ("ajones", "secret")
PAIRS = [Pair(Userid(f"a{number}"), Userid(f"b{number}")) for number in range(300)]
SERVICE = answer(b"", "Content-Type: application/atomsvc+xml;charset=UTF-8")
FRONT_END = (
    "Date: Tue, 07 Jul 2026 10:11:12 GMT",
    "Server: IBM_HTTP_Server",
    "X-Profiles-Connection-Status: accepted",
    "Set-Cookie: JSESSIONID=0000Qx; Path=/; Secure; HttpOnly",
    "Content-Language: en-US",
)
GOOD = answer(b"", *FRONT_END)
TWICE = answer(b"", *FRONT_END, "content-length: 0")
UNCLEAR = answer(b"", *FRONT_END, "Content-Length: 7")

MALFORMED = {
    "unequal lengths": UNCLEAR,
    "a length and chunks": answer(b"", *FRONT_END, "Transfer-Encoding: chunked"),
    "another protocol": b"220 mail.example.com ESMTP ready\r\n",
    "a version that does not exist": GOOD.replace(b"HTTP/1.1", b"HTTP/1.7"),
    "a head without end": GOOD[:-2] + b"X: " + b"x" * 70_000,
    "NUL in a field": GOOD.replace(b"en-US", b"en\0US"),
}


def saying(data: bytes, *, canary: bytes = SERVICE) -> Serve:
    async def serve(connection: Connection) -> None:
        while True:
            head = await connection.request()
            await connection.say(canary if b"profileService.do" in head else data)

    return serve


def heads_of(connections: list[Connection]) -> list[bytes]:
    """The checks that the server was sent."""
    return [head for one in connections for head in one.requests if head.startswith(b"HEAD")]


def client(url: object, **options: Any) -> Client:
    return Client(str(url), **{"auth": LOGIN, "max_per_second": None, "max_connections": 1} | options)


@pytest.mark.anyio
@pytest.mark.parametrize("canary", [SERVICE, answer(b"", "content-length:0", "Content-Type: application/atomsvc+xml")])
async def test_equal_content_lengths_are_one_and_cost_no_further_attempt(anyio_backend: str, canary: bytes) -> None:
    assert anyio_backend
    async with serving(saying(TWICE, canary=canary)) as server:
        async with client(server.origin, max_connections=16) as ours:
            outcomes = await everything(ours.check_many(PAIRS))
        assert len(server.connections) <= 16
    assert [type(outcome) for outcome in outcomes] == [Checked] * 300
    assert {outcome.attempts for outcome in outcomes} == {1}


@pytest.mark.anyio
@pytest.mark.parametrize("said", MALFORMED.values(), ids=MALFORMED.keys())
async def test_the_same_malformed_response_five_times_stops_a_run(
    anyio_backend: str, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert anyio_backend
    caplog.set_level(logging.WARNING, "aioconnections")
    async with serving(saying(said)) as server, client(server.origin) as ours:
        run = ours.check_many(itertools.cycle(PAIRS))
        outcomes = await everything(run)
        checks = heads_of(server.connections)
    assert isinstance(run.stopped, ProtocolError)
    assert run.stopped.deterministic
    assert [type(outcome) for outcome in outcomes] == [Failed] * 5
    assert len(set(checks)) == 5
    assert len(checks) <= 10, "at most once more for each pair, on a fresh connection"
    assert [record.getMessage() for record in caplog.records if "identical failures" in record.getMessage()] == [
        f"run {next(iter(_runs(caplog)))} ends after repeated identical failures: ProtocolError"
    ]


def _runs(caplog: pytest.LogCaptureFixture) -> set[str]:
    return {record.getMessage().split()[1] for record in caplog.records if record.getMessage().startswith("run ")}


@pytest.mark.anyio
async def test_on_many_connections_only_what_is_under_way_is_added(anyio_backend: str) -> None:
    assert anyio_backend
    async with serving(saying(UNCLEAR)) as server, client(server.origin, max_connections=16) as ours:
        run = ours.check_many(itertools.cycle(PAIRS))
        outcomes = await everything(run)
        checks = heads_of(server.connections)
    assert isinstance(run.stopped, ProtocolError)
    assert len(outcomes) == run.tally.read
    assert {type(outcome) for outcome in outcomes} <= {Failed, Unprocessed}
    assert len(checks) <= 2 * (4 + 16)


@pytest.mark.anyio
@pytest.mark.parametrize("login", [LOGIN, None])
async def test_a_run_of_fewer_than_five_pairs_ends_by_itself(anyio_backend: str, login: tuple[str, str] | None) -> None:
    assert anyio_backend
    async with serving(saying(UNCLEAR)) as server, client(server.origin, auth=login) as ours:
        run = ours.check_many(PAIRS[:4])
        outcomes = await everything(run)
    assert run.stopped is None
    assert [(type(outcome), type(outcome.error)) for outcome in outcomes] == [(Failed, ProtocolError)] * 4
    assert max(outcome.attempts for outcome in outcomes) <= 2


@pytest.mark.anyio
async def test_a_malformed_response_on_a_fresh_connection_is_not_asked_for_again(anyio_backend: str) -> None:
    assert anyio_backend
    async with serving(saying(UNCLEAR)) as server, client(server.origin, auth=None) as ours:
        with pytest.raises(ProtocolError) as raised:
            await ours.check(PAIRS[0].source, PAIRS[0].target)
        assert (raised.value.deterministic, raised.value.reused, ours.stats().attempts) == (True, False, 1)
        assert len(heads_of(server.connections)) == 1


@pytest.mark.anyio
async def test_a_success_between_lets_a_run_go_on(anyio_backend: str) -> None:
    assert anyio_backend

    async def serve(connection: Connection) -> None:
        while True:
            head = await connection.request()
            number = int(head.partition(b"sourceUserid=a")[2].partition(b"&")[0] or 0)
            good = b"profileService" in head or number % 5 == 4
            await connection.say(SERVICE if b"profileService" in head else GOOD if good else UNCLEAR)

    async with serving(serve) as server, client(server.origin) as ours:
        run = ours.check_many(PAIRS)
        outcomes = await everything(run)
    assert run.stopped is None
    assert [type(outcome) for outcome in outcomes] == ([Failed] * 4 + [Checked]) * 60


@pytest.mark.anyio
@pytest.mark.parametrize(("odd", "stops"), [(1, False), (4, False), (5, True)])
async def test_a_canary_that_is_malformed_now_and_then_ends_no_run(
    anyio_backend: str, odd: int, *, stops: bool
) -> None:
    """After a connection was cut in the middle of a response, the login is proved again."""
    assert anyio_backend
    cut: list[bytes] = []
    left = odd

    async def serve(connection: Connection) -> None:
        nonlocal left
        while True:
            head = await connection.request()
            if b"profileService" not in head:
                if not cut and connection.number:
                    cut.append(head)
                    return
                await connection.say(GOOD)
                if not connection.number:
                    return
            elif cut and left:
                left -= 1
                await connection.say(UNCLEAR)
            else:
                await connection.say(SERVICE)

    async with serving(serve) as server, client(server.origin, max_attempts=1) as ours:
        run = ours.check_many(PAIRS)
        outcomes = await everything(run)
    assert (run.stopped is not None) is stops
    assert len(outcomes) == (run.tally.read if stops else 300)
    assert sum(isinstance(outcome, Failed) for outcome in outcomes) == 1


@pytest.mark.anyio
async def test_a_run_does_not_begin_where_the_canary_is_malformed(anyio_backend: str) -> None:
    assert anyio_backend
    async with serving(saying(GOOD, canary=UNCLEAR)) as server, client(server.origin) as ours:
        run = ours.check_many(PAIRS)
        assert await everything(run) == []
        assert sum(len(one.requests) for one in server.connections) == 1
    assert isinstance(run.stopped, ProtocolError)


@pytest.mark.anyio
async def test_https_at_a_plain_port_ends_at_the_first_attempt(anyio_backend: str) -> None:
    assert anyio_backend

    async def serve(connection: Connection) -> None:
        await connection.more()
        await connection.say(answer(b"<html>Bad Request</html>", status="400 Bad Request"))

    async with serving(serve) as server:
        url = str(server.origin).replace("http", "https")
        for login in (LOGIN, None):
            async with client(url, auth=login) as ours:
                run = ours.check_many(PAIRS)
                await everything(run)
                assert ours.stats().attempts == 1
            assert isinstance(run.stopped, TransportError)
            assert (run.stopped.deterministic, run.stopped.sent) == (True, "no")
            assert "does not speak TLS" in str(run.stopped)


@pytest.mark.anyio
@pytest.mark.parametrize("login", [LOGIN, None], ids=["login", "no login"])
async def test_http_to_a_tls_port_ends_at_the_first_attempt(anyio_backend: str, login: tuple[str, str] | None) -> None:
    assert anyio_backend

    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"\x15\x03\x03\x00\x02\x02\x28")

    async with serving(serve) as server, client(server.origin, auth=login) as ours:
        run = ours.check_many(PAIRS)
        await everything(run)
        assert ours.stats().attempts == 1
    assert isinstance(run.stopped, ConnectFailedError)
    assert (run.stopped.deterministic, run.stopped.sent) == (True, "no")
    assert str(run.stopped) == "the server speaks https at this port; use an https URL"
