"""A client over lanes under ``opentelemetry-instrumentation-httpx``: one span per request, without the query.

The hook that removes the query is the one that the guide shows.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from importlib.resources import files
from typing import Any

import httpx
import pytest
from doors import URL, service_document, status
from opentelemetry.instrumentation import httpx as instrumentation
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.trace import SpanKind
from readme_blocks import blocks_of
from recording import Recording, attributes_of
from transport.faulty import echo, serving, url

from aioconnections import Client, LaneTransport, Userid

pytestmark = [pytest.mark.anyio, pytest.mark.source]

QUERY = "?email=ann%40example.com&message=hello"
GUIDE = files("aioconnections") / "guides" / "tuning.md"


@pytest.fixture(scope="module")
def redact() -> Any:
    """The hook of the guide."""
    (block,) = [block for block in blocks_of(GUIDE.read_text("utf-8")) if "def redact(" in block.text]
    kept = (ast.Import, ast.ImportFrom, ast.AsyncFunctionDef)
    tree = compile(block.text, GUIDE.name, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert isinstance(tree, ast.Module)
    tree.body = [statement for statement in tree.body if isinstance(statement, kept)]
    names: dict[str, Any] = {}
    exec(compile(tree, GUIDE.name, "exec"), names)  # noqa: S102 # our own guide
    return names["redact"]


@pytest.fixture(params=["", "http"], ids=["old names", "new names"])
def conventions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The names of attributes, which the instrumentation chooses once for a process."""
    from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability as Chosen

    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", request.param)
    monkeypatch.setattr(Chosen, "_initialized", False)
    yield
    Chosen._initialized = False


@pytest.mark.usefixtures("conventions")
@pytest.mark.parametrize(
    ("family", "instrumentor"), [("httpx", "HTTPXClientInstrumentor"), ("httpx2", "HTTPX2ClientInstrumentor")]
)
async def test_a_client_over_lanes_has_one_span_per_request_without_the_query(
    redact: Any, family: str, instrumentor: str
) -> None:
    if not hasattr(instrumentation, instrumentor):
        pytest.skip("the lowest version of the instrumentation does not know httpx2")
    recording = Recording()
    async with serving(echo) as server, import_module(family).AsyncClient(transport=LaneTransport()) as client:
        getattr(instrumentation, instrumentor).instrument_client(
            client,
            tracer_provider=recording.tracers,
            request_hook=redact,
        )
        for _ in range(3):
            response = await client.get(url(server, f"/profiles/atom/profile.do{QUERY}"))
            assert response.status_code == 200
            assert "traceparent" in response.text.lower()
    spans = recording.spans()
    assert [span.kind for span in spans] == [SpanKind.CLIENT] * 3
    full = {attributes_of(span)[name] for span in spans for name in ("http.url", "url.full")}
    assert full == {url(server, "/profiles/atom/profile.do")}
    assert not [text for text in recording.texts() if "ann" in text or "hello" in text]


async def test_without_the_hook_a_span_has_the_whole_url() -> None:
    """So the hook is needed."""
    recording = Recording()
    async with serving(echo) as server, httpx.AsyncClient(transport=LaneTransport()) as client:
        HTTPXClientInstrumentor.instrument_client(client, tracer_provider=recording.tracers)
        await client.get(url(server, f"/{QUERY}"))
    assert any("ann%40example.com" in text for text in recording.texts())


async def test_an_instrumented_client_under_ours_has_its_spans_below_those_of_our_calls() -> None:
    recording = Recording()

    def handle(request: httpx.Request) -> httpx.Response:
        return status("accepted") if request.method == "HEAD" else service_document()

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as http:
        HTTPXClientInstrumentor.instrument_client(http, tracer_provider=recording.tracers)
        async with Client(URL, http_client=http, auth=("ajones", "secret"), telemetry=recording.telemetry()) as client:
            await client.check_many([(Userid("a"), Userid("b"))]).collect()
    run = recording.span("aioconnections.check_many")
    requests = [span for span in recording.spans() if span.kind is SpanKind.CLIENT]
    assert run.context is not None
    assert len(requests) == 2
    assert {span.parent.span_id for span in requests if span.parent is not None} == {run.context.span_id}
