"""What a client reports about its own work: a record per attempt, the progress of a run, statistics.

Reports contain no people, queries, headers or texts: of a request, only the path without its query is reported.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping

from attrs import field

from aioconnections.outcomes import Tally
from aioconnections.reprs import frozen, safe_repr

__all__ = ["LOG", "Attempt", "Progress", "Stats", "Telemetry"]

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
        waiting_for_server: whether nothing is sent because the server is away or has asked for a pause.
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
    local_limit: int | None = None
    waiting: int = 0
    joined: int = 0
    cache_entries: int = 0
    cache_hits: int = 0
    cache_stale: int = 0
    cache_misses: int = 0


class Telemetry:
    """Counts attempts, and reports each to a hook and the log."""

    __slots__ = ("failures", "joined", "on_attempt", "responses", "retries")

    def __init__(self, on_attempt: Callable[[Attempt], object] | None = None) -> None:
        self.on_attempt: Callable[[Attempt], object] | None = on_attempt
        self.responses: defaultdict[int, int] = defaultdict(int)
        self.failures: defaultdict[str, int] = defaultdict(int)
        self.retries: int = 0
        self.joined: int = 0

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
        return f"Telemetry({sum(self.responses.values())} responses, {sum(self.failures.values())} failures)"
