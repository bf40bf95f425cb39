"""The spans of calls, listings, runs and requests, as the in-memory exporter of the SDK shows them."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import httpx
import pytest
from doors import (
    Script,
    answered,
    client_of,
    connected,
    no_connection,
    on_virtual_time,
    one_after_the_other,
    pairs,
    refusal,
    status,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode
from recording import Recording, attributes_of
from server import Place

from aioconnections import (
    BadRequestError,
    Email,
    Failed,
    NotFoundError,
    Pair,
    ServerError,
    ServerUnavailableError,
    Status,
    Timeouts,
    Userid,
)

pytestmark = pytest.mark.anyio

A, B, C = Userid("a"), Userid("b"), Userid("c")
HEAD = "HEAD /profiles/atom/connection.do"
CANARY = "GET /profiles/atom/profileService.do"


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    found: int = span.context.span_id
    return found


async def test_a_call_is_a_span_below_the_current_one_of_the_caller() -> None:
    recording = Recording()
    async with client_of(Script(connected), telemetry=recording.telemetry()) as client:
        with recording.tracer().start_as_current_span("request of a user"):
            assert await client.check(A, B) is Status.ACCEPTED
    outer, span = recording.span("request of a user"), recording.span("aioconnections.check")
    assert recording.names() == ["aioconnections.check", "request of a user"]  # no span per request
    assert parent_of(span) == id_of(outer)
    assert span.kind is SpanKind.INTERNAL
    assert span.status.status_code is StatusCode.UNSET
    assert attributes_of(span) == {"server.address": "connections.example.com", "server.port": 443}
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "aioconnections"


async def test_each_request_is_a_client_span_by_the_conventions_for_http() -> None:
    recording = Recording()
    telemetry = recording.telemetry(trace_requests=True)
    async with client_of(Script(connected), telemetry=telemetry) as client:
        await client.check(Email("ann@example.com"), B)
    call, request, canary = recording.span("aioconnections.check"), recording.span(HEAD), recording.span(CANARY)
    assert request.kind is canary.kind is SpanKind.CLIENT
    assert parent_of(request) == parent_of(canary) == id_of(call)
    assert attributes_of(request) == {
        "http.request.method": "HEAD",
        "url.full": "https://connections.example.com/profiles/atom/connection.do",
        "url.template": "/profiles/atom/connection.do",
        "server.address": "connections.example.com",
        "server.port": 443,
        "http.response.status_code": 200,
    }


async def test_that_a_connection_does_not_exist_is_no_error_and_a_foreign_404_is_one() -> None:
    recording = Recording()
    telemetry = recording.telemetry(trace_requests=True)
    async with client_of(Script(lambda _: answered(no_connection())), telemetry=telemetry) as client:
        assert await client.check(A, B) is None
    (found,) = recording.spans(HEAD)
    assert found.status.status_code is StatusCode.UNSET
    assert attributes_of(found)["http.response.status_code"] == 404
    assert "error.type" not in attributes_of(found)

    foreign = Recording()
    script = one_after_the_other(httpx.Response(404, text="SRVE0255E"), status("accepted"))
    async with client_of(script, telemetry=foreign.telemetry(trace_requests=True)) as client:
        await client.check(A, B)
    first = foreign.spans(HEAD)[0]
    assert first.status.status_code is StatusCode.ERROR
    assert attributes_of(first)["error.type"] == "404"


async def test_a_repeated_request_says_how_often_it_was_sent_before() -> None:
    recording = Recording()
    script = one_after_the_other(httpx.Response(503), httpx.ReadError("of ann@example.com"), status("accepted"))
    client = client_of(script, telemetry=recording.telemetry(trace_requests=True))
    async with client:
        await client.check(A, B)
    requests = [attributes_of(span) for span in recording.spans(HEAD)]
    assert [it.get("http.request.resend_count") for it in requests] == [None, 1, 2]
    assert [it.get("error.type") for it in requests] == ["503", "ProtocolError", None]
    assert [it.get("http.response.status_code") for it in requests] == [503, None, 200]
    states = [span.status.status_code for span in recording.spans(HEAD)]
    assert states == [StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET]


async def test_a_failed_call_has_the_class_of_the_error_and_no_text() -> None:
    recording = Recording()
    async with client_of(Script(lambda _: answered(refusal(404))), telemetry=recording.telemetry()) as client:
        with pytest.raises(NotFoundError):
            await client.remove(Pair(A, B))
    span = recording.span("aioconnections.remove")
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert attributes_of(span)["error.type"] == "NotFoundError"
    assert not span.events


async def test_callers_who_share_a_request_have_a_span_each_and_the_request_one() -> None:
    recording = Recording()
    go = anyio.Event()

    async def answer(_: httpx.Request) -> httpx.Response:
        await go.wait()
        return status("accepted")

    client = client_of(Script(answer), telemetry=recording.telemetry(trace_requests=True))
    async with client, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(client.check, A, B)
        await anyio.wait_all_tasks_blocked()
        go.set()
    calls = recording.spans("aioconnections.check")
    assert len(calls) == 3
    (request,) = recording.spans(HEAD)
    assert parent_of(request) in {id_of(call) for call in calls}


@pytest.mark.parametrize("trace_requests", [False, True])
async def test_a_run_is_one_span_that_counts_its_outcomes(*, trace_requests: bool) -> None:
    recording = Recording()

    async def answer(request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        return no_connection() if request.url.params["sourceUserid"] in {"a1", "a2"} else status("accepted")

    client = client_of(Script(answer), telemetry=recording.telemetry(trace_requests=trace_requests))
    async with client:
        with recording.tracer().start_as_current_span("job"):
            outcomes = client.check_many([*pairs(20), (A, A)])
            async with outcomes:
                with recording.tracer().start_as_current_span("of the consumer"):
                    found = [outcome async for outcome in outcomes]
    assert len(found) == 21
    run = recording.span("aioconnections.check_many")
    assert parent_of(run) == id_of(recording.span("job")) == parent_of(recording.span("of the consumer"))
    recorded = attributes_of(run)
    assert len(str(recorded.pop("aioconnections.run.id"))) == 8
    assert recorded == {
        "server.address": "connections.example.com",
        "server.port": 443,
        "aioconnections.items.read": 21,
        "aioconnections.retries": 0,
        "aioconnections.outcomes.checked.accepted": 18,
        "aioconnections.outcomes.checked.none": 2,
        "aioconnections.outcomes.failed": 1,
    }
    requests = recording.spans(HEAD)
    assert len(requests) == (20 if trace_requests else 0)
    assert {parent_of(span) for span in requests} == ({id_of(run)} if trace_requests else set())


async def test_retries_of_a_run_are_counted_and_name_their_item_span() -> None:
    recording = Recording()
    script = one_after_the_other(httpx.Response(503), status("accepted"), status("accepted"))
    client = client_of(script, max_connections=1, telemetry=recording.telemetry(trace_requests=True))
    async with client:
        await client.check_many(pairs(2)).collect()
    assert attributes_of(recording.span("aioconnections.check_many"))["aioconnections.retries"] == 1
    resends = [attributes_of(span).get("http.request.resend_count") for span in recording.spans(HEAD)]
    assert resends == [None, 1, None]


def test_a_run_that_stops_has_the_class_of_the_reason() -> None:
    recording = Recording()

    async def main() -> None:
        script = Script(lambda _: answered(httpx.Response(503)), canary=lambda _: httpx.Response(503))
        client = client_of(script, telemetry=recording.telemetry(), timeouts=Timeouts(outage=5), verify_login=False)
        async with client, client.check_many(pairs(10)) as outcomes:
            async for _ in outcomes:
                pass
        assert isinstance(outcomes.stopped, ServerUnavailableError)

    on_virtual_time(main)
    span = recording.span("aioconnections.check_many")
    assert span.status.status_code is StatusCode.ERROR
    assert attributes_of(span)["error.type"] == "ServerUnavailableError"


async def test_what_a_consumer_or_a_source_raises_ends_the_span_of_the_run() -> None:
    def source() -> object:
        yield from pairs(3)
        raise ZeroDivisionError("ann@example.com")

    recording = Recording()
    async with client_of(Script(connected), telemetry=recording.telemetry()) as client:
        with pytest.raises(ZeroDivisionError):
            await client.check_many(source()).collect()  # type: ignore[arg-type] # a generator
    span = recording.span("aioconnections.check_many")
    assert attributes_of(span)["error.type"] == "ZeroDivisionError"
    assert attributes_of(span)["aioconnections.outcomes.checked.accepted"] == 3
    assert not span.events


async def test_a_run_that_is_left_early_is_no_error() -> None:
    recording = Recording()
    client = client_of(Script(connected), telemetry=recording.telemetry())
    async with client, client.check_many(pairs(100)) as outcomes:
        async for _ in outcomes:
            break
    assert recording.span("aioconnections.check_many").status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("trace_requests", [False, True])
async def test_cancellation_ends_every_span(*, trace_requests: bool) -> None:
    recording = Recording()

    async def never(_: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    telemetry = recording.telemetry(trace_requests=trace_requests)
    client = client_of(Script(never), telemetry=telemetry, max_connections=4)
    async with client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.check, A, B)
        tasks.start_soon(client.check_many(pairs(10)).collect)
        tasks.start_soon(client.profile, A)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    for name in ("aioconnections.check", "aioconnections.check_many", "aioconnections.profile"):
        span = recording.span(name)
        assert attributes_of(span)["error.type"] == "cancelled"
        assert span.status.status_code is StatusCode.ERROR
    requests = [span for span in recording.spans() if span.kind is SpanKind.CLIENT and span.name != CANARY]
    assert len(requests) == (4 if trace_requests else 0)  # as many as there are connections
    assert all(attributes_of(span)["error.type"] == "cancelled" for span in requests)


async def test_a_listing_is_one_span_above_those_of_its_pages() -> None:
    recording = Recording()
    place = Place()
    async with place.client(0, telemetry=recording.telemetry(trace_requests=True)) as client:
        found = [it async for it in client.colleagues(place.person(0), page_size=1)]
    assert len(found) > 1
    listing = recording.span("aioconnections.colleagues")
    pages = recording.spans("GET /profiles/atom/connections.do")
    assert len(pages) > 1
    assert {parent_of(span) for span in pages} == {id_of(listing)}
    assert [attributes_of(span).get("http.request.resend_count") for span in pages] == [None] * len(pages)


@pytest.mark.parametrize("way", ["in a block", "without one", "failed"])
async def test_the_span_of_a_listing_that_is_left_early_ends(way: str) -> None:
    recording = Recording()
    place = Place()
    async with place.client(0, telemetry=recording.telemetry()) as client:
        if way == "in a block":
            async with client.colleagues(place.person(0), page_size=1) as connections:
                async for _ in connections:
                    break
                assert not recording.spans("aioconnections.colleagues")
        elif way == "without one":
            async for _ in client.colleagues(place.person(0), page_size=1):
                break
        else:
            with pytest.raises(BadRequestError):
                [it async for it in client.colleagues(Userid("unknown"))]
    span = recording.span("aioconnections.colleagues")
    assert attributes_of(span).get("error.type") == ("BadRequestError" if way == "failed" else None)


@pytest.mark.parametrize("propagate", [False, True])
async def test_the_trace_is_continued_by_the_server_on_demand_only(*, propagate: bool) -> None:
    sent: list[httpx.Headers] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers)
        return await answered(status("accepted"))

    recording = Recording()
    telemetry = recording.telemetry(trace_requests=True, propagate=propagate)
    async with client_of(Script(answer), telemetry=telemetry) as client:
        await client.check(A, B)
        await client.check_many(pairs(2)).collect()
    spans = recording.spans(HEAD)
    assert len(spans) == len(sent) == 3
    for span, headers in zip(spans, sent, strict=True):
        assert span.context is not None
        expected = f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}"
        assert headers.get("traceparent", "").rpartition("-")[0] == (expected if propagate else "")
        assert "baggage" not in headers


async def test_all_users_of_a_client_are_observed_and_two_clients_have_their_own_providers() -> None:
    first, second = Recording(), Recording()
    async with (
        client_of(Script(connected), telemetry=first.telemetry()) as one,
        client_of(Script(connected), telemetry=second.telemetry()) as other,
        client_of(Script(connected)) as silent,
    ):
        await one.as_user(("bob", "secret")).check(A, B)
        await other.check(A, C)
        await silent.check(A, C)
    assert first.names() == second.names() == ["aioconnections.check"]


async def test_cookies_and_traces_go_together() -> None:
    recording = Recording()

    async def answer(_: httpx.Request) -> httpx.Response:
        return await answered(status("accepted"))

    telemetry = recording.telemetry(trace_requests=True)
    async with client_of(Script(answer), cookies=True, telemetry=telemetry) as client:
        await client.check_many(pairs(3)).collect()
    assert len(recording.spans(HEAD)) == 3


async def test_a_failed_item_of_a_run_has_a_span_with_its_error() -> None:
    recording = Recording()
    script = Script(lambda _: answered(httpx.Response(500)))
    client = client_of(script, telemetry=recording.telemetry(trace_requests=True), max_attempts=1)
    async with client:
        (outcome,) = await client.check_many(pairs(1)).collect()
        with pytest.raises(ServerError):
            await client.check(A, B)
    assert isinstance(outcome, Failed)
    assert {attributes_of(span)["error.type"] for span in recording.spans(HEAD)} == {"500"}
