"""Follows the calls, runs and requests of one client as spans, and records their metrics.

A failure of a provider, a processor or an exporter never reaches the caller: the first one of a client is logged.
Exceptions are recorded by the name of their class alone, because their texts may name people.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

from opentelemetry.context import attach, detach
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    TracerProvider,
    get_tracer,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from aioconnections._version import __version__
from aioconnections.errors import InvalidInputError
from aioconnections.otel.metering import Figures, Labels, Live, instruments_of, outcomes_of, server_labels
from aioconnections.outcomes import Tally
from aioconnections.protocol.address import Address
from aioconnections.protocol.messages import NO_HEADERS, Headers, Origin, Request, Response
from aioconnections.session.telemetry import (
    CANCELLED,
    LOG,
    Counts,
    Gauges,
    Observed,
    ObservedRequest,
    Observer,
)

__all__ = ["ClientObserver", "check_providers"]

T = TypeVar("T")

_PREFIX = "aioconnections."
_REDACTED = "/REDACTED"  # in place of a path that may name a person
_LOOK_UPS = frozenset({"HEAD", "GET"})


def check_providers(tracer_provider: object, meter_provider: object) -> None:
    """Refuse what is no provider.

    Raises:
        InvalidInputError: one of them is something else.
    """
    for name, value, kind in (
        ("tracer_provider", tracer_provider, TracerProvider),
        ("meter_provider", meter_provider, MeterProvider),
    ):
        if value is not None and not isinstance(value, kind):
            raise InvalidInputError(
                f"{name} must be a {kind.__name__} of opentelemetry, or None for the global one, "
                f"got {type(value).__name__}"
            )


def _error_type(error: BaseException) -> str:
    return type(error).__name__ if isinstance(error, Exception | KeyboardInterrupt | SystemExit) else CANCELLED


class _Quiet:
    """Runs telemetry, whose failure must not end a request; logs the first failure."""

    def __init__(self) -> None:
        self._failed = False

    def run(self, action: Callable[[], T]) -> T | None:
        """The result of `action`; None if it fails."""
        try:
            return action()
        except Exception:  # noqa: BLE001 # raised by a provider of the caller's choice
            self.failed()
            return None

    def failed(self) -> None:
        """Log the exception that is being handled, if it is the first."""
        if not self._failed:
            self._failed = True
            LOG.warning("OpenTelemetry raised; further failures of this client are not logged", exc_info=True)


class _ObservedSpan(Observed):
    """A call, a listing or a run as a span."""

    def __init__(self, quiet: _Quiet, span: Span | None, on_end: Callable[[str | None, Tally | None], object]) -> None:
        self.span = span
        self._quiet = quiet
        self._on_end = on_end
        self._ended = False

    @contextmanager
    def current(self) -> Generator[None]:
        """See `Observed`."""
        if self.span is None:
            yield
            return
        token = attach(set_span_in_context(self.span))
        try:
            yield
        finally:
            detach(token)

    def end(self, error: BaseException | None = None, *, tally: Tally | None = None, retries: int = 0) -> None:
        """See `Observed`."""
        if self._ended:
            return
        self._ended = True
        kind = None if error is None else _error_type(error)
        self._quiet.run(lambda: self._on_end(kind, tally))
        if self.span is not None:
            span = self.span
            self._quiet.run(lambda: _end_span(span, kind, {} if tally is None else _figures_of(tally, retries)))


def _figures_of(tally: Tally, retries: int) -> Labels:
    figures: Labels = {f"{_PREFIX}items.read": tally.read, f"{_PREFIX}retries": retries}
    for (kind, status), count in outcomes_of(tally).items():
        figures[f"{_PREFIX}outcomes.{kind}" + ("" if status is None else f".{status}")] = count
    return figures


def _end_span(span: Span, error: str | None, attributes: Labels) -> None:
    try:
        span.set_attributes(attributes)
        if error is not None:
            span.set_attribute("error.type", error)
            span.set_status(Status(StatusCode.ERROR))
    finally:
        span.end()


class _RequestSpan(ObservedRequest):
    """A request as a client span."""

    def __init__(self, quiet: _Quiet, span: Span | None, method: str, headers: Headers) -> None:
        self.headers: Headers = headers
        self._quiet = quiet
        self._span = span
        self._method = method

    def end(self, response: Response | None, error: str | None = None) -> None:
        """See `ObservedRequest`."""
        span = self._span
        if span is None:
            return
        found: Labels = {}
        if response is not None:
            found["http.response.status_code"] = response.status
            absent = response.status == 404 and self._method in _LOOK_UPS and response.is_own_form
            if response.status >= 400 and not absent:
                error = str(response.status)
        self._quiet.run(lambda: _end_span(span, error, found))


class ClientObserver(Observer):
    """Observes one client; see `OpenTelemetry` for the arguments."""

    def __init__(
        self,
        address: Address,
        counts: Counts,
        *,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
        traces_requests: bool,
        propagates: bool,
    ) -> None:
        self.traces_requests: bool = traces_requests
        self._address = address
        self._server = server_labels(address.origin)
        self._quiet = _Quiet()
        self._propagator = TraceContextTextMapPropagator() if propagates else None
        self._tracer: Tracer = get_tracer("aioconnections", __version__, tracer_provider)
        self._instruments = instruments_of(meter_provider)
        self._live = Live()
        self._figures = Figures(address.origin, counts, self._live)
        self._instruments.enter(self._figures)
        self._labels: dict[tuple[str, int | str], Labels] = {}  # of the histogram

    def watch(self, gauges: Callable[[], Gauges | None]) -> None:
        """See `Observer`."""
        self._live.gauges = gauges

    def begin_call(self, verb: str) -> Observed:
        """See `Observer`."""

        def ended(error: str | None, _: Tally | None) -> None:
            labels = {**self._server, f"{_PREFIX}verb": verb}
            self._instruments.calls.add(1, labels if error is None else {**labels, "error.type": error})

        span = self._quiet.run(lambda: self._tracer.start_span(_PREFIX + verb, attributes=self._server))
        return _ObservedSpan(self._quiet, span, ended)

    def begin_run(self, verb: str, run_id: str, tally: Callable[[], Tally]) -> Observed:
        """See `Observer`."""

        def ended(_: str | None, final: Tally | None) -> None:
            self._instruments.run_ended(self._figures, self._live, run_id, final or tally())

        self._live.runs[run_id] = verb, tally
        attributes = {**self._server, f"{_PREFIX}run.id": run_id}
        span = self._quiet.run(lambda: self._tracer.start_span(_PREFIX + verb, attributes=attributes))
        return _ObservedSpan(self._quiet, span, ended)

    def request(
        self, origin: Origin, request: Request, resends: int | None, within: Observed | None
    ) -> ObservedRequest:
        """See `Observer`."""
        template = self._address.template_of(request.target) if origin == self._address.origin else None
        attributes: Labels = {
            "http.request.method": request.method,
            "url.full": f"{origin}{template or _REDACTED}",
            **server_labels(origin),
        }
        if template is not None:
            attributes["url.template"] = template
        if resends:
            attributes["http.request.resend_count"] = resends
        parent = within.span if isinstance(within, _ObservedSpan) else None

        def start() -> Span:
            return self._tracer.start_span(
                request.method if template is None else f"{request.method} {template}",
                context=None if parent is None else set_span_in_context(parent),
                kind=SpanKind.CLIENT,
                attributes=attributes,
            )

        span = self._quiet.run(start)
        headers = None if span is None else self._quiet.run(lambda: self._headers(span))
        return _RequestSpan(self._quiet, span, request.method, headers or NO_HEADERS)

    def _headers(self, span: Span) -> Headers:
        """The headers that continue the trace."""
        if self._propagator is None:
            return NO_HEADERS
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, set_span_in_context(span))
        return Headers(carrier.items())

    def responded(self, method: str, status: int, seconds: float) -> None:
        """See `Observer`."""
        labels = self._labels.get((method, status))
        if labels is None:
            labels = self._labels[method, status] = {
                **self._server,
                "http.request.method": method,
                "http.response.status_code": status,
                **({"error.type": str(status)} if status >= 400 and status != 404 else {}),
            }
        try:
            self._instruments.record(seconds, labels)
        except Exception:  # noqa: BLE001 # raised by a provider of the caller's choice
            self._quiet.failed()

    def failed(self, method: str, error: str, seconds: float) -> None:
        """See `Observer`."""
        labels = self._labels.get((method, error))
        if labels is None:
            labels = self._labels[method, error] = {
                **self._server,
                "http.request.method": method,
                "error.type": error,
            }
        try:
            self._instruments.record(seconds, labels)
        except Exception:  # noqa: BLE001 # raised by a provider of the caller's choice
            self._quiet.failed()

    def close(self) -> None:
        """See `Observer`."""
        self._instruments.leave(self._figures)
