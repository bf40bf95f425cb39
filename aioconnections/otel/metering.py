"""The instruments of the metrics, one set for each meter provider.

An instrument of one name may be made once only, so all clients of a provider share a set, and those of one server share
its figures. What clients count anyway is read when the metrics are collected, in any thread; only the duration of a
request and the end of a call are recorded when they happen.

The instruments hold the counts of a client, and no part of it: a client that is not closed can be collected, and its
counts remain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable
from threading import RLock
from typing import TypeAlias
from weakref import WeakKeyDictionary, ref

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Histogram, MeterProvider, Observation, get_meter
from opentelemetry.metrics import Counter as CounterInstrument
from opentelemetry.trace import INVALID_SPAN, set_span_in_context

from aioconnections._version import __version__
from aioconnections.outcomes import Tally
from aioconnections.protocol.messages import Origin
from aioconnections.session.telemetry import Counts, Gauges

__all__ = ["Figures", "Instruments", "Labels", "instruments_of", "outcomes_of"]

Labels: TypeAlias = dict[str, str | int]
Outcome: TypeAlias = tuple[str, str, str | None]
"""Verb, class of the outcome, and status of a connection that was checked."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)  # as the conventions say
_STATUS = "status_"
_NO_OUTCOMES = frozenset({"read", "in_flight", "checked", "via_list", "via_duplicate", "via_cache", "doubtful"})
# A request of a chain is settled in a callback whose current span may be any: no exemplar refers to it.
_NO_SPAN = set_span_in_context(INVALID_SPAN, Context())


def server_labels(origin: Origin) -> Labels:
    """The attributes that name a server."""
    return {"server.address": origin.server_name.partition("%")[0], "server.port": origin.port}


def outcomes_of(tally: Tally) -> dict[tuple[str, str | None], int]:
    """The outcomes of a run, by class and status."""
    found: dict[tuple[str, str | None], int] = {}
    for name, count in tally.as_dict().items():
        if count and name not in _NO_OUTCOMES:
            status = name.removeprefix(_STATUS)
            found["checked" if status != name else name, status if status != name else None] = count
    return found


class Figures:
    """The figures of one client.

    Attributes:
        counts: what the client counts.
        outcomes: the outcomes of runs that have ended.
        live: the part that exists as long as the client does.
        is_closed: whether the client was closed.
    """

    __slots__ = ("counts", "is_closed", "live", "origin", "outcomes")

    def __init__(self, origin: Origin, counts: Counts, live: Live) -> None:
        self.origin: Origin = origin
        self.counts: Counts = counts
        self.outcomes: Counter[Outcome] = Counter()
        self.live: ref[Live] = ref(live)
        self.is_closed: bool = False

    @property
    def is_final(self) -> bool:
        """Whether nothing is counted any more: the client is gone, or was closed and has no run."""
        live = self.live()
        return live is None or (self.is_closed and not live.runs)


class Live:
    """What belongs to a client as long as it is used.

    Attributes:
        gauges: gives the present state of the client.
        runs: the runs under way: verb, and the function that gives the tally.
    """

    def __init__(self) -> None:
        self.gauges: Callable[[], Gauges | None] = lambda: None
        self.runs: dict[str, tuple[str, Callable[[], Tally]]] = {}


class _Total:
    """The sum over the clients of one server."""

    def __init__(self, origin: Origin) -> None:
        self.labels = server_labels(origin)
        self.responses: Counter[int] = Counter()
        self.failures: Counter[str] = Counter()
        self.outcomes: Counter[Outcome] = Counter()
        self.retries = 0
        self.waited = 0.0
        self.under_way = 0
        self.waiting_calls = 0
        self.is_away = False

    def add(self, figures: Figures) -> None:
        """Add what a client has counted."""
        counts = figures.counts
        self.responses.update(dict(counts.responses))
        self.failures.update(dict(counts.failures))
        self.outcomes.update(figures.outcomes)
        self.retries += counts.retries
        self.waited += counts.waited

    def add_live(self, live: Live) -> None:
        """Add the present state of a client."""
        for verb, tally in list(live.runs.values()):
            self.outcomes.update({(verb, *kind): count for kind, count in outcomes_of(tally()).items()})
        gauges = live.gauges()
        if gauges is not None:
            self.under_way += gauges.under_way
            self.waiting_calls += gauges.waiting_calls
            self.is_away |= gauges.is_away

    def copy(self) -> _Total:
        """A copy, to add live figures to."""
        twin = object.__new__(_Total)
        twin.__dict__.update(self.__dict__)
        twin.responses, twin.failures, twin.outcomes = (
            Counter(self.responses),
            Counter(self.failures),
            Counter(self.outcomes),
        )
        return twin


class Instruments:
    """The instruments of one meter provider.

    Attributes:
        duration: of each request.
        calls: number of single calls.
    """

    def __init__(self, provider: MeterProvider | None) -> None:
        self._lock = RLock()  # a callback may be interrupted by the end of a client in the same thread
        self._ended: dict[Origin, _Total] = {}
        self._clients: list[Figures] = []
        meter = get_meter("aioconnections", __version__, meter_provider=provider)
        self.duration: Histogram = meter.create_histogram(
            "http.client.request.duration",
            "s",
            "Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self.calls: CounterInstrument = meter.create_counter(
            "aioconnections.calls", "{call}", "Single calls and listings that have ended."
        )
        observed = meter.create_observable_counter
        observed("aioconnections.requests", [self._requests], "{request}", "Requests that have ended.")
        observed("aioconnections.retries", [self._retries], "{request}", "Requests that repeated an earlier one.")
        observed("aioconnections.outcomes", [self._outcomes], "{item}", "Items of bulk runs that have an outcome.")
        observed(
            "aioconnections.waiting.time",
            [self._waited],
            "s",
            "Time that requests have waited for a connection, the rate limit or a server that is away.",
        )
        present = meter.create_observable_up_down_counter
        present("http.client.active_requests", [self._under_way], "{request}", "Number of active HTTP requests.")
        present("aioconnections.waiting.calls", [self._waiting_calls], "{call}", "Single calls that wait now.")
        meter.create_observable_gauge(
            "aioconnections.outage",
            [self._outage],
            "1",
            "1 while the server or one of its applications is away, else 0.",
        )

    def record(self, seconds: float, labels: Labels) -> None:
        """Record the duration of a request."""
        self.duration.record(seconds, labels, _NO_SPAN)

    def enter(self, figures: Figures) -> None:
        """Add the figures of a client."""
        with self._lock:
            self._clients.append(figures)
            self._fold()

    def leave(self, figures: Figures) -> None:
        """Keep the counts of a client that is closed."""
        with self._lock:
            figures.is_closed = True
            self._fold()

    def run_ended(self, figures: Figures, live: Live, run_id: str, tally: Tally) -> None:
        """Keep the outcomes of a run."""
        with self._lock:
            begun = live.runs.pop(run_id, None)
            if begun is not None:
                figures.outcomes.update({(begun[0], *kind): count for kind, count in outcomes_of(tally).items()})
                self._fold()

    def _fold(self) -> None:
        """Add the final figures of clients to the sums, and forget these clients."""
        for figures in [each for each in self._clients if each.is_final]:
            self._clients.remove(figures)
            self._ended.setdefault(figures.origin, _Total(figures.origin)).add(figures)

    def _totals(self) -> list[_Total]:
        with self._lock:
            self._fold()
            totals = {origin: total.copy() for origin, total in self._ended.items()}
            for figures in self._clients:
                total = totals.setdefault(figures.origin, _Total(figures.origin))
                total.add(figures)
                live = figures.live()
                if live is not None:
                    total.add_live(live)
            return list(totals.values())

    def _requests(self, _: CallbackOptions) -> Iterable[Observation]:
        for total in self._totals():
            for status, count in total.responses.items():
                yield Observation(count, {**total.labels, "http.response.status_code": status})
            for error, count in total.failures.items():
                yield Observation(count, {**total.labels, "error.type": error})

    def _outcomes(self, _: CallbackOptions) -> Iterable[Observation]:
        for total in self._totals():
            for (verb, kind, status), count in total.outcomes.items():
                labels = {**total.labels, "aioconnections.verb": verb, "aioconnections.outcome": kind}
                if status is not None:
                    labels["aioconnections.status"] = status
                yield Observation(count, labels)

    def _each(self, figure: Callable[[_Total], float]) -> Generator[Observation]:
        for total in self._totals():
            yield Observation(figure(total), total.labels)

    def _retries(self, _: CallbackOptions) -> Iterable[Observation]:
        return self._each(lambda total: total.retries)

    def _waited(self, _: CallbackOptions) -> Iterable[Observation]:
        return self._each(lambda total: total.waited)

    def _under_way(self, _: CallbackOptions) -> Iterable[Observation]:
        return self._each(lambda total: total.under_way)

    def _waiting_calls(self, _: CallbackOptions) -> Iterable[Observation]:
        return self._each(lambda total: total.waiting_calls)

    def _outage(self, _: CallbackOptions) -> Iterable[Observation]:
        return self._each(lambda total: int(total.is_away))


_lock = RLock()
_of_provider: WeakKeyDictionary[MeterProvider, Instruments] = WeakKeyDictionary()
_of_process: list[Instruments] = []  # those of the global provider, once they are made


def instruments_of(provider: MeterProvider | None) -> Instruments:
    """The instruments of a meter provider; None for the global one."""
    with _lock:
        if provider is None:
            if not _of_process:
                _of_process.append(Instruments(None))
            return _of_process[0]
        found = _of_provider.get(provider)
        if found is None:
            found = _of_provider[provider] = Instruments(provider)
        return found
