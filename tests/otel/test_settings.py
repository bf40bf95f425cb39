"""How telemetry is turned on, and what a broken provider does to the work: nothing."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from doors import Script, client_of, connected, pairs
from opentelemetry.context import Context
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.trace import NoOpTracerProvider
from recording import Recording

from aioconnections import InvalidInputError, OpenTelemetry, Status, Userid

A, B = Userid("a"), Userid("b")

WITHOUT = """
import sys
sys.modules["opentelemetry"] = None
import aioconnections
try:
    aioconnections.OpenTelemetry()
except aioconnections.UsageError as error:
    print(error)
"""

UNUSED = """
import sys
import aioconnections
client = aioconnections.Client("https://connections.example.com")
assert aioconnections.OpenTelemetry
print(sorted(name for name in sys.modules if name.startswith("opentelemetry")))
"""


def output_of(code: str) -> str:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=60)
    return run.stdout.strip()


@pytest.mark.slow
def test_without_the_package_one_line_says_what_to_install() -> None:
    assert output_of(WITHOUT) == 'OpenTelemetry needs more packages; run: pip install "aioconnections[otel]"'


@pytest.mark.slow
def test_the_package_is_imported_only_if_telemetry_is_used() -> None:
    assert output_of(UNUSED) == "[]"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"tracer_provider": "x"}, "tracer_provider must be a TracerProvider of opentelemetry, or None for the global"),
        ({"meter_provider": TracerProvider}, "meter_provider must be a MeterProvider of opentelemetry"),
        ({"trace_requests": "yes"}, "trace_requests must be True or False, got str"),
        ({"propagate": True}, "pass trace_requests=True as well"),
    ],
)
def test_invalid_settings_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInputError, match=text):
        OpenTelemetry(**options)


def test_a_client_takes_nothing_else_as_telemetry() -> None:
    wrong: Any = TracerProvider(shutdown_on_exit=False)
    with pytest.raises(InvalidInputError, match="telemetry must be an OpenTelemetry or None, got TracerProvider"):
        client_of(Script(connected), telemetry=wrong)


def test_the_settings_show_their_switches() -> None:
    shown = repr(Recording().telemetry(trace_requests=True))
    assert shown == "OpenTelemetry(trace_requests=True, propagate=False)"


class Broken(SpanProcessor):
    """Fails at the beginning or the end of each span."""

    def __init__(self, at: str) -> None:
        self._at = at

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        del span, parent_context
        if self._at == "start":
            raise ZeroDivisionError

    def on_end(self, span: ReadableSpan) -> None:
        del span
        if self._at == "end":
            raise ZeroDivisionError


class BrokenExporter(SpanExporter):
    def export(self, spans: object) -> Any:
        raise ZeroDivisionError(spans)


class BrokenHistogram:
    def record(self, *_: object, **__: object) -> None:
        raise ZeroDivisionError


def broken_tracers(at: str) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(BrokenExporter()) if at == "export" else Broken(at))
    return provider


async def work(telemetry: OpenTelemetry) -> None:
    async with client_of(Script(connected), telemetry=telemetry) as client:
        assert await client.check(A, B) is Status.ACCEPTED
        async with client.check_many(pairs(20)) as outcomes:
            found = [outcome async for outcome in outcomes]
        assert outcomes.stopped is None
        assert outcomes.tally.checked == len(found) == 20


@pytest.mark.anyio
@pytest.mark.parametrize("trace_requests", [False, True])
@pytest.mark.parametrize("at", ["start", "end", "export"])
async def test_a_provider_that_raises_harms_no_request(
    at: str, caplog: pytest.LogCaptureFixture, *, trace_requests: bool
) -> None:
    recording = Recording()
    await work(
        OpenTelemetry(
            tracer_provider=broken_tracers(at), meter_provider=recording.meters, trace_requests=trace_requests
        )
    )
    assert recording.values("aioconnections.outcomes", "aioconnections.outcome") == {("checked",): 20.0}
    ours = [record for record in caplog.records if record.name == "aioconnections"]
    assert len(ours) == (0 if at == "export" else 1)  # the SDK logs what an exporter raises


@pytest.mark.anyio
async def test_a_meter_that_raises_harms_no_request(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    meters = MeterProvider(shutdown_on_exit=False)
    monkeypatch.setattr(
        "opentelemetry.sdk.metrics._internal.Meter.create_histogram", lambda *_, **__: BrokenHistogram()
    )
    await work(OpenTelemetry(meter_provider=meters))
    assert [record.levelname for record in caplog.records if record.name == "aioconnections"] == ["WARNING"]


@pytest.mark.anyio
async def test_providers_that_do_nothing() -> None:
    await work(
        OpenTelemetry(
            tracer_provider=NoOpTracerProvider(),
            meter_provider=NoOpMeterProvider(),
            trace_requests=True,
            propagate=True,
        )
    )
