"""The telemetry of a client, as its caller asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from attrs import field

from aioconnections.errors import InvalidInputError, UsageError
from aioconnections.protocol.address import Address
from aioconnections.reprs import frozen
from aioconnections.session.telemetry import Counts, Instrumentation, Observer

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["OpenTelemetry"]


@frozen(kw_only=True)
class OpenTelemetry(Instrumentation):
    """Spans and metrics of a client, through the API of OpenTelemetry.

    ``Client(url, auth=…, telemetry=OpenTelemetry())``

    It needs the package of the extra ``[otel]``. Without a provider, nothing is recorded: the application chooses the
    SDK and its exporters.

    Each call, listing and run is a span, named by its verb, such as ``aioconnections.check_many``. It is a child of the
    caller's current span. That of a run counts its outcomes and retries. A failed one has the status ``ERROR`` and the
    class of the error in ``error.type``; what was cancelled has ``cancelled`` there.

    With `trace_requests`, each request is a client span by the semantic conventions for HTTP. ``url.full`` has no
    query, and no path that is unknown to this package. A 404 by which the application says that a connection or a
    person does not exist is no error, as the conventions allow. A check then takes several times the CPU.

    The metrics are ``http.client.request.duration`` and ``http.client.active_requests`` of the conventions, and
    ``aioconnections.requests``, ``.retries``, ``.calls``, ``.outcomes``, ``.waiting.calls``, ``.waiting.time`` and
    ``.outage``.

    One object may serve any number of clients.

    Args:
        tracer_provider: makes the spans; by default the global one.
        meter_provider: makes the metrics; by default the global one.
        trace_requests: make a span of each request, too.
        propagate: send the header ``traceparent`` with each request that is traced, for a gateway that continues the
            trace. Baggage is never sent.

    Raises:
        InvalidInputError: a provider is something else, or `propagate` is set without `trace_requests`.
        UsageError: the package is missing.
    """

    tracer_provider: TracerProvider | None = field(default=None, repr=False)
    meter_provider: MeterProvider | None = field(default=None, repr=False)
    trace_requests: bool = False
    propagate: bool = False

    def __attrs_post_init__(self) -> None:
        try:
            from aioconnections.otel import observing
        except ImportError:
            raise UsageError('OpenTelemetry needs more packages; run: pip install "aioconnections[otel]"') from None
        for name in ("trace_requests", "propagate"):
            value = cast("object", getattr(self, name))
            if not isinstance(value, bool):
                raise InvalidInputError(f"{name} must be True or False, got {type(value).__name__}")
        if self.propagate and not self.trace_requests:
            raise InvalidInputError("propagate needs spans of requests; pass trace_requests=True as well")
        observing.check_providers(self.tracer_provider, self.meter_provider)

    def observe(self, address: Address, counts: Counts) -> Observer:
        """See `Instrumentation`."""
        from aioconnections.otel.observing import ClientObserver

        return ClientObserver(
            address,
            counts,
            tracer_provider=self.tracer_provider,
            meter_provider=self.meter_provider,
            traces_requests=self.trace_requests,
            propagates=self.propagate,
        )
