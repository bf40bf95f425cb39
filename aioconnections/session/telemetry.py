"""What a client tells about its own work: one record per attempt, one per moment of a run, one for all of it.

Nothing here names a person, a query, a header or a text: a path without its query is all that is told of a request.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping

from attrs import field, frozen

from aioconnections.outcomes import Tally

__all__ = ["LOG", "Attempt", "Progress", "Stats", "Telemetry"]

LOG = logging.getLogger("aioconnections")
LOG.addHandler(logging.NullHandler())  # who has not asked for it sees nothing of it


@frozen(kw_only=True)
class Attempt:
    """One request that was sent, and how it ended.

    Attributes:
        method: of the request.
        path: of the request, without its query.
        status: HTTP status of the answer; None if none came.
        error: name of the error's class if no answer came, else None.
        elapsed: seconds that it took.
        number: which attempt of its item or call it was, from 1.
        run: id of the bulk run that it belongs to, or None.
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
    """Where a bulk run stands.

    Attributes:
        tally: what became of the items that were read so far.
        elapsed: seconds since the run began.
        rate: items that were finished per second over the last ten seconds or so.
        max_per_second: how many requests may start per second; None for no limit.
        waiting_for_server: whether nothing is sent because the server is away or has asked for a pause.
        done: whether this is the last word.
    """

    tally: Tally
    elapsed: float
    rate: float
    max_per_second: float | None
    waiting_for_server: bool = False
    done: bool = False

    def time_left(self, total: int) -> float | None:
        """Seconds until `total` items are finished; None if that cannot be told.

        It goes by the rate so far, and never expects more than the rate limit allows.
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
    """What a client has done so far, for all of its users together.

    Attributes:
        attempts: requests that were sent and have ended.
        answers: how many of them ended with which HTTP status.
        failures: how many ended without an answer, by the name of the error's class.
        retries: how many were a further attempt.
        retries_left: how many may still be tried again before the server counts as away.
        probes: how many only looked whether the server is back.
        under_way: requests that are under way now.
        bound: how many may be under way now; less than `max_connections` where the server has refused some, or this
            machine allows no more connections.
        local_limit: how many connections were open when this machine allowed no further one, the last time; None if
            that has not happened.
        max_connections: how many may be under way at the most.
        max_per_second: how many may start per second; None for no limit.
        waiting_for_server: whether nothing is sent because the server is away or has asked for a pause.
    """

    attempts: int
    answers: Mapping[int, int] = field(converter=_copy_of_statuses)
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


class Telemetry:
    """Counts attempts, and tells of each to whoever wants to know: a hook, the log."""

    __slots__ = ("answers", "failures", "on_attempt", "retries")

    def __init__(self, on_attempt: Callable[[Attempt], object] | None = None) -> None:
        self.on_attempt: Callable[[Attempt], object] | None = on_attempt
        self.answers: defaultdict[int, int] = defaultdict(int)
        self.failures: defaultdict[str, int] = defaultdict(int)
        self.retries: int = 0

    def tell(self, attempt: Attempt) -> None:
        """Tell of one attempt. What a hook raises is logged, and goes no further."""
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
            except Exception:  # of the caller's own code; a request must not die of it
                LOG.warning("the hook on_attempt has raised", exc_info=True)

    def __repr__(self) -> str:
        return f"Telemetry({sum(self.answers.values())} answers, {sum(self.failures.values())} failures)"
