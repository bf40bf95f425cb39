"""Records the spans and metrics of a test in memory, with the SDK of OpenTelemetry and providers of the test's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from aioconnections import OpenTelemetry

__all__ = ["Recording", "attributes_of"]


class Recording:
    """What an application records with an SDK.

    Attributes:
        tracers: the tracer provider.
        meters: the meter provider.
    """

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)

    def telemetry(self, *, trace_requests: bool = False, propagate: bool = False) -> OpenTelemetry:
        return OpenTelemetry(
            tracer_provider=self.tracers,
            meter_provider=self.meters,
            trace_requests=trace_requests,
            propagate=propagate,
        )

    def tracer(self) -> Tracer:
        """A tracer of the application."""
        return self.tracers.get_tracer("application")

    def spans(self, name: str | None = None) -> list[ReadableSpan]:
        """The spans that have ended, in that order; only those of one name if it is given."""
        return [span for span in self._exporter.get_finished_spans() if name is None or span.name == name]

    def span(self, name: str) -> ReadableSpan:
        """The only span of this name."""
        (found,) = self.spans(name)
        return found

    def names(self) -> list[str]:
        return [span.name for span in self.spans()]

    def metrics(self) -> Mapping[str, list[Any]]:
        """The data points of each metric."""
        data = self._reader.get_metrics_data()
        if data is None:
            return {}
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
        found = {metric.name: list(metric.data.data_points) for scope in scopes for metric in scope.metrics}
        assert len(found) == sum(len(scope.metrics) for scope in scopes)
        return found

    def values(self, name: str, *labels: str) -> dict[tuple[Any, ...], float]:
        """The figures of a metric by these attributes; the number of measurements of a histogram."""
        found: dict[tuple[Any, ...], float] = {}
        for point in self.metrics().get(name, []):
            key = tuple(dict(point.attributes).get(label) for label in labels)
            figure = point.value if isinstance(point, NumberDataPoint) else point.count
            found[key] = found.get(key, 0) + figure
        return found

    def texts(self) -> Iterator[str]:
        """Every text that has been recorded."""
        for span in self.spans():
            yield span.to_json()
            yield repr((span.name, span.attributes, span.events, span.links, span.status.description, span.resource))
        for name, points in self.metrics().items():
            yield repr((name, points))


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})
