"""The metrics, as the in-memory reader of the SDK shows them."""

from __future__ import annotations

import gc
import warnings
import weakref

import anyio
import anyio.lowlevel
import httpx
import pytest
import trio
from doors import Script, Slow, answered, client_of, connected, no_connection, on_virtual_time, pairs, status
from recording import Recording
from server import Place

from aioconnections import AtomError, ServerError, Timeouts, Userid

pytestmark = pytest.mark.anyio

A, B = Userid("a"), Userid("b")
SERVER = ("server.address", "server.port")
CONNECTIONS = ("connections.example.com", 443)


async def test_requests_are_counted_by_status_and_their_duration_is_recorded() -> None:
    recording = Recording()

    async def answer(request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        return no_connection() if request.url.params["sourceUserid"] == "a3" else status("accepted")

    async with client_of(Script(answer), telemetry=recording.telemetry()) as client:
        await client.check_many(pairs(50)).collect()
        expected = {(200,): 50.0, (404,): 1.0}  # with the canary
        assert recording.values("aioconnections.requests", "http.response.status_code") == expected
        assert client.stats().responses == {200: 50, 404: 1}
    labels = ("http.request.method", "http.response.status_code", "error.type")
    durations = {("HEAD", 200, None): 49.0, ("HEAD", 404, None): 1.0, ("GET", 200, None): 1.0}
    assert recording.values("http.client.request.duration", *labels) == durations
    assert recording.values("http.client.request.duration", *SERVER) == {CONNECTIONS: 51.0}
    (point, *_) = recording.metrics()["http.client.request.duration"]
    assert tuple(point.explicit_bounds)[:3] == (0.005, 0.01, 0.025)  # seconds, as the conventions say
    assert recording.values("aioconnections.requests", "http.response.status_code") == expected  # after the end


def test_a_duration_is_that_of_the_request_in_seconds() -> None:
    recording = Recording()

    async def main() -> None:
        async with client_of(Slow(0.25), telemetry=recording.telemetry()) as client:
            await client.check_many(pairs(40)).collect()

    on_virtual_time(main)
    points = recording.metrics()["http.client.request.duration"]
    (heads,) = [point for point in points if dict(point.attributes)["http.request.method"] == "HEAD"]
    assert (heads.count, heads.min, heads.max) == (40, pytest.approx(0.25), pytest.approx(0.25))


def test_failures_retries_waits_and_an_outage_are_seen() -> None:
    recording = Recording()
    during: list[dict[tuple[object, ...], float]] = []

    async def main() -> None:
        began = trio.current_time()

        async def answer(_: httpx.Request) -> httpx.Response:
            await trio.sleep(0.01)
            if 5 < trio.current_time() - began < 50:
                raise httpx.ConnectError("refused")
            return status("accepted")

        def canary(_: httpx.Request) -> httpx.Response:
            if 5 < trio.current_time() - began < 50:
                raise httpx.ConnectError("refused")
            return httpx.Response(200, headers={"content-type": "application/atomsvc+xml"})

        async def look() -> None:
            await trio.sleep(30)
            during.append(recording.values("aioconnections.outage", *SERVER))
            during.append(recording.values("aioconnections.waiting.calls", *SERVER))

        client = client_of(Script(answer, canary), max_per_second=20, telemetry=recording.telemetry())
        async with client, trio.open_nursery() as nursery:
            nursery.start_soon(look)
            await client.check_many(pairs(200)).collect()
            stats = client.stats()
        retries = recording.values("aioconnections.retries", *SERVER)
        assert retries == {CONNECTIONS: float(stats.retries)}
        assert stats.retries > 0
        failures = recording.values("aioconnections.requests", "error.type")
        assert failures["ConnectFailedError",] == stats.failures["ConnectFailedError"] > 0

    on_virtual_time(main)
    assert during == [{CONNECTIONS: 1.0}, {CONNECTIONS: 0.0}]
    assert recording.values("aioconnections.outage", *SERVER) == {CONNECTIONS: 0.0}
    assert recording.values("aioconnections.waiting.time", *SERVER)[CONNECTIONS] > 45


def test_single_calls_that_wait_and_requests_under_way_are_seen() -> None:
    recording = Recording()

    async def main() -> None:
        client = client_of(Slow(1.0), max_connections=2, telemetry=recording.telemetry())
        async with client, anyio.create_task_group() as tasks:
            await client.check(A, B)
            for number in range(5):
                tasks.start_soon(client.check, A, Userid(f"c{number}"))
            await anyio.sleep(0.5)
            assert recording.values("http.client.active_requests", *SERVER) == {CONNECTIONS: 2.0}
            assert recording.values("aioconnections.waiting.calls", *SERVER) == {CONNECTIONS: 3.0}

    on_virtual_time(main)
    assert recording.values("aioconnections.waiting.time", *SERVER)[CONNECTIONS] == pytest.approx(1 + 1 + 2, abs=0.1)


async def test_calls_are_counted_by_their_verb_and_error() -> None:
    recording = Recording()
    script = Script(lambda _: answered(httpx.Response(500)))
    async with client_of(script, max_attempts=1, telemetry=recording.telemetry()) as client:
        with pytest.raises(ServerError):
            await client.check(A, B)
        with pytest.raises(AtomError):
            await client.me()
    place = Place()
    async with place.client(0, telemetry=recording.telemetry()) as client:
        _ = [profile async for profile in client.search(name="*")]
    counted = recording.values("aioconnections.calls", "aioconnections.verb", "error.type")
    assert counted == {("check", "ServerError"): 1.0, ("me", "AtomError"): 1.0, ("search", None): 1.0}


async def test_outcomes_are_counted_while_a_run_is_under_way_and_after_it() -> None:
    recording = Recording()
    labels = ("aioconnections.verb", "aioconnections.outcome", "aioconnections.status")
    async with client_of(Script(connected), max_connections=2, telemetry=recording.telemetry()) as client:
        async with client.check_many([*pairs(5), (A, A)]) as outcomes:
            async for _ in outcomes:
                break
            some = recording.values("aioconnections.outcomes", *labels)
            async for _ in outcomes:
                pass
            before = recording.values("aioconnections.outcomes", *labels)
        after = recording.values("aioconnections.outcomes", *labels)
        await client.invite_many([A], journal=None).collect()
        last = recording.values("aioconnections.outcomes", *labels)
    assert 1 <= sum(some.values()) < 6
    assert before == after == {("check_many", "checked", "accepted"): 5.0, ("check_many", "failed", None): 1.0}
    assert sum(last.values()) == 7
    assert recording.values("aioconnections.outcomes", *labels) == last


async def test_clients_of_one_server_share_their_figures_and_those_of_others_are_apart(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recording = Recording()
    first = client_of(Script(connected), telemetry=recording.telemetry())
    second = client_of(Script(connected), telemetry=recording.telemetry())  # an OpenTelemetry of its own
    async with first, second:
        await first.check(A, B)
        await second.check(A, B)
        await second.as_user(("bob", "secret")).check(A, B)
        assert recording.values("aioconnections.requests", *SERVER) == {CONNECTIONS: 6.0}
        assert recording.values("http.client.active_requests", *SERVER) == {CONNECTIONS: 0.0}
    assert recording.values("aioconnections.requests", *SERVER) == {CONNECTIONS: 6.0}
    assert caplog.text == ""  # the SDK warns of instruments that are made twice


async def test_a_client_that_is_closed_during_a_run_loses_no_outcome() -> None:
    recording = Recording()
    client = client_of(Script(connected), max_connections=2, telemetry=recording.telemetry())
    async with client, client.check_many(pairs(5)) as outcomes:
        async for _ in outcomes:
            break
        before = recording.values("aioconnections.outcomes")
        await client.aclose()
        closed = recording.values("aioconnections.outcomes")
        async for _ in outcomes:
            pass
    assert closed[()] >= before[()] >= 1
    assert recording.values("aioconnections.outcomes")[()] == outcomes.tally.read


async def test_the_instruments_keep_no_client_that_is_not_closed() -> None:
    recording = Recording()
    client = client_of(Script(connected), telemetry=recording.telemetry())
    await client.__aenter__()
    await client.check_many(pairs(5)).collect()
    gone = weakref.ref(client)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del client
        gc.collect()
    assert gone() is None
    assert recording.values("aioconnections.requests", *SERVER) == {CONNECTIONS: 6.0}
    assert recording.values("http.client.active_requests", *SERVER) == {CONNECTIONS: 0.0}


async def test_the_global_providers_are_the_default_and_record_nothing_without_an_sdk() -> None:
    from aioconnections import OpenTelemetry

    for trace_requests in (False, True):
        client = client_of(Script(connected), telemetry=OpenTelemetry(trace_requests=trace_requests))
        async with client:
            await client.check(A, B)
            assert len(await client.check_many(pairs(5)).collect()) == 5


def test_the_time_of_a_run_is_the_same_with_telemetry() -> None:
    async def main() -> None:
        for telemetry in (None, Recording().telemetry(), Recording().telemetry(trace_requests=True)):
            began = trio.current_time()
            client = client_of(Slow(0.1), max_connections=4, telemetry=telemetry, timeouts=Timeouts(run=60))
            async with client:
                await client.check_many(pairs(300)).collect()
            assert trio.current_time() - began == pytest.approx(10, abs=0.2)

    on_virtual_time(main)
