"""What a client reports about its own work: a record per attempt, the progress of a run, statistics.

Reports contain no people, queries, headers or texts: of a request, only the path without its query is reported.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Protocol

from attrs import field

from aioconnections.outcomes import Tally
from aioconnections.protocol.address import Address
from aioconnections.protocol.messages import Headers, Origin, Request, Response
from aioconnections.reprs import frozen, safe_repr

__all__ = [
    "CANCELLED",
    "LOG",
    "Attempt",
    "Counts",
    "Gauges",
    "Instrumentation",
    "Observed",
    "ObservedRequest",
    "Observer",
    "Progress",
    "Stats",
    "Telemetry",
    "Wait",
]

CANCELLED = "cancelled"
"""What observers name in place of an error class if a call, a run or a request was cancelled."""

LOG = logging.getLogger("aioconnections")
LOG.addHandler(logging.NullHandler())  # so that nothing is printed unless the application configures logging


@frozen(kw_only=True)
class Attempt:
    """One request that was sent, and how it ended.

    Attributes:
        method: HTTP method.
        path: path without the query.
        status: HTTP status of the response; None without a response.
        error: name of the error class without a response, else None.
        elapsed: duration in seconds.
        number: number of the attempt within its item or call, from 1.
        run: id of the bulk run, or None.
    """

    method: str
    path: str
    status: int | None
    error: str | None
    elapsed: float
    number: int
    run: str | None


@frozen(kw_only=True)
class Progress:
    """The progress of a bulk run.

    Attributes:
        tally: counts of the items read so far.
        elapsed: seconds since the run began.
        rate: items finished per second, over about the last ten seconds.
        max_per_second: limit of requests per second; None for no limit.
        waiting_for_server: whether nothing is sent because the server is away or has asked for a pause.
        done: whether this is the last report.
    """

    tally: Tally
    elapsed: float
    rate: float
    max_per_second: float | None
    waiting_for_server: bool = False
    done: bool = False

    def time_left(self, total: int) -> float | None:
        """Estimated seconds until `total` items are finished; None if unknown.

        The estimate uses the rate so far, at most the rate limit.
        """
        finished = self.tally.read - self.tally.in_flight
        rate = self.rate if self.max_per_second is None else min(self.rate or self.max_per_second, self.max_per_second)
        return max(total - finished, 0) / rate if rate > 0 else None


@frozen(kw_only=True)
class Wait:
    """What the requests of a client wait for now, apart from the limits of rate and connections.

    Attributes:
        reason: ``"pause"``: the server asked for a pause with ``Retry-After``; ``"server"``: the server does not
            respond; ``"profiles"`` or ``"communities"``: this application does not respond; ``"shared"``: the shared
            store does not respond; ``"login"``: the login of this client is obtained or proved.
        lasted: seconds for which it has lasted; None for a pause and for the login.
        pause: seconds that the server asked for; None for other reasons, and if it asked another process.
        probe_in: seconds until the next probe, 0 while one is under way; None if none is sent.
        left: seconds until a pause ends, and otherwise until runs give up; None if there is no limit, or none is known.
    """

    reason: Literal["pause", "server", "profiles", "communities", "shared", "login"]
    lasted: float | None = None
    pause: float | None = None
    probe_in: float | None = None
    left: float | None = None


def _copy_of_statuses(counts: Mapping[int, int]) -> Mapping[int, int]:
    return dict(counts)


def _copy_of_names(counts: Mapping[str, int]) -> Mapping[str, int]:
    return dict(counts)


@frozen(kw_only=True)
class Stats:
    """Statistics of a client, over all of its users.

    Attributes:
        attempts: number of requests that were sent and have ended.
        responses: number of responses by HTTP status.
        failures: number of attempts without a response, by the name of the error class.
        retries: number of attempts that repeated an earlier one.
        retries_left: retries that remain before the server counts as away.
        probes: number of requests that only tested whether the server responds again.
        under_way: number of requests under way now.
        waiting: number of single calls that wait now, for a connection, the rate limit, the login or a server that
            is away; see `max_waiting` of `Client`. Requests of bulk runs do not count.
        bound: number of requests that may be under way now; below `max_connections` after the server has refused
            requests, or where this machine allows no further connection.
        local_limit: number of open connections when this machine last allowed no further one; None if that has not
            happened.
        max_connections: limit of requests under way.
        max_per_second: limit of requests per second; None for no limit.
        paced: requests per second that the server seems to allow, learned from its refusals; None if it has not
            refused any lately. Requests then start at the lower of this rate and `max_per_second`.
        waiting_for_server: whether nothing is sent because the server is away or has asked for a pause.
        wait: what requests wait for, besides the limits; None if they do not wait. `waiting_for_server` is True for the
            waits that concern the server or one of its applications.
        joined: number of single calls that asked what another call was asking already, and shared its request.
        cache_entries: number of statuses in the cache.
        cache_hits: number of checks that the cache answered.
        cache_stale: number of those whose status was older than its time, because the server was unavailable.
        cache_misses: number of checks that could use the cache and found no status in it.
    """

    attempts: int
    responses: Mapping[int, int] = field(converter=_copy_of_statuses)
    failures: Mapping[str, int] = field(converter=_copy_of_names)
    retries: int
    retries_left: int
    probes: int
    under_way: int
    bound: int
    max_connections: int
    max_per_second: float | None
    waiting_for_server: bool
    paced: float | None = None
    wait: Wait | None = None
    local_limit: int | None = None
    waiting: int = 0
    joined: int = 0
    cache_entries: int = 0
    cache_hits: int = 0
    cache_stale: int = 0
    cache_misses: int = 0


class Counts:
    """What a client has counted so far; it refers to no part of the client.

    Attributes:
        responses: number of responses by HTTP status.
        failures: number of attempts without a response, by the name of the error class.
        retries: number of attempts that repeated an earlier one.
        joined: number of single calls that shared the request of another.
        waited: seconds that requests have waited for a connection, the rate limit or a server that is away.
    """

    __slots__ = ("failures", "joined", "responses", "retries", "waited")

    def __init__(self) -> None:
        self.responses: defaultdict[int, int] = defaultdict(int)
        self.failures: defaultdict[str, int] = defaultdict(int)
        self.retries: int = 0
        self.joined: int = 0
        self.waited: float = 0.0

    def __repr__(self) -> str:
        return f"Counts({sum(self.responses.values())} responses, {sum(self.failures.values())} failures)"


class Gauges(Protocol):
    """The present state of a client, read in any thread."""

    @property
    def under_way(self) -> int:
        """Number of requests under way."""
        ...

    @property
    def waiting_calls(self) -> int:
        """Number of single calls that wait."""
        ...

    @property
    def is_away(self) -> bool:
        """Whether the server, or one of its applications, is away."""
        ...


class Observed(ABC):
    """A call, a listing or a run that is being observed."""

    @abstractmethod
    def current(self) -> AbstractContextManager[None]:
        """A block whose requests belong to it."""

    @abstractmethod
    def end(self, error: BaseException | None = None, *, tally: Tally | None = None, retries: int = 0) -> None:
        """Record its end; further calls have no effect.

        Args:
            error: why it failed, or ended early; None for success.
            tally: the count of a run.
            retries: the number of requests of a run that repeated an earlier one.
        """


class ObservedRequest(ABC):
    """A request that is being observed.

    Attributes:
        headers: headers to add to the request.
    """

    headers: Headers

    @abstractmethod
    def end(self, response: Response | None, error: str | None = None) -> None:
        """Record its end, with the response or the name of an error."""


class Observer(ABC):
    """Observes the calls, runs and requests of one client. No method raises or waits.

    Attributes:
        traces_requests: whether each request is to be passed to `request`.
    """

    traces_requests: bool

    @abstractmethod
    def watch(self, gauges: Callable[[], Gauges | None]) -> None:
        """Read the present state of the client from `gauges`, which gives None once the client is gone."""

    @abstractmethod
    def begin_call(self, verb: str) -> Observed:
        """Observe a single call or a listing."""

    @abstractmethod
    def begin_run(self, verb: str, run_id: str, tally: Callable[[], Tally]) -> Observed:
        """Observe a bulk run; `tally` gives its present count, in any thread."""

    @abstractmethod
    def request(
        self, origin: Origin, request: Request, resends: int | None, within: Observed | None
    ) -> ObservedRequest:
        """Observe a request that is about to be sent.

        Args:
            origin: where it is sent.
            request: the request.
            resends: how many times it was sent before; None if not known.
            within: the run it belongs to; None for the call that is current.
        """

    @abstractmethod
    def responded(self, method: str, status: int, seconds: float) -> None:
        """Record the duration of a request that got a response."""

    @abstractmethod
    def failed(self, method: str, error: str, seconds: float) -> None:
        """Record the duration of a request without a response; `error` is the name of the error class."""

    @abstractmethod
    def close(self) -> None:
        """Keep the final counts, and forget the client."""

    @contextmanager
    def call(self, verb: str) -> Generator[None]:
        """Observe the single call that is made in the block."""
        observed = self.begin_call(verb)
        try:
            with observed.current():
                yield
        except BaseException as error:
            observed.end(error)
            raise
        observed.end()


class Instrumentation(ABC):
    """Makes the observers of clients: the argument `telemetry` of `Client`."""

    @abstractmethod
    def observe(self, address: Address, counts: Counts) -> Observer:
        """An observer for a client that is entered.

        Args:
            address: the server.
            counts: what the client counts.
        """


class Telemetry:
    """Counts attempts, and reports each to a hook and the log.

    Attributes:
        on_attempt: the hook.
        counts: what was counted.
        responses: those of `counts`.
        failures: those of `counts`.
        observer: observes calls, runs and requests; None without one.
    """

    __slots__ = ("counts", "failures", "observer", "on_attempt", "responses")

    def __init__(self, on_attempt: Callable[[Attempt], object] | None = None) -> None:
        self.on_attempt: Callable[[Attempt], object] | None = on_attempt
        self.counts: Counts = Counts()
        self.responses: defaultdict[int, int] = self.counts.responses
        self.failures: defaultdict[str, int] = self.counts.failures
        self.observer: Observer | None = None

    def report(self, attempt: Attempt) -> None:
        """Report one attempt. An exception of the hook is logged and suppressed."""
        LOG.debug(
            "%s %s: %s in %.3f s, attempt %d, run %s",
            attempt.method,
            attempt.path,
            attempt.error if attempt.status is None else attempt.status,
            attempt.elapsed,
            attempt.number,
            attempt.run,
        )
        if self.on_attempt is not None:
            try:
                self.on_attempt(attempt)
            except Exception:  # raised by the caller's own code; the request continues
                LOG.warning("the hook on_attempt raised", exc_info=True)

    @safe_repr
    def __repr__(self) -> str:
        return f"Telemetry({self.counts!r})"
