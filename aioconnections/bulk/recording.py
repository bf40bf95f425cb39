"""Records the course of a run over time: samples twice a second what is counted anyway.

Nothing is recorded before the first request of the run, so that a run which only repeats recorded outcomes leaves no
trace. Requests and refusals are those of the whole client, because its users share one server and one limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from aioconnections.bulk.job import TimelineKeeper
from aioconnections.clock import Timer
from aioconnections.outcomes import Failed, InDoubt, Outcome, Rejected, Unprocessed
from aioconnections.policy.timeline import PauseReason, Timeline, TimelineBucket
from aioconnections.reprs import safe_repr
from aioconnections.session.runtime import Runtime

__all__ = ["Recorder"]

_INTERVAL = 0.5  # seconds
_SAVED_AFTER = 10  # samples
_IDLE_AFTER = 5.0  # seconds without a request, which are not yet a pause
_REFUSED = (429, 503)

wall: Callable[[], float] = time.time  # replaced in tests on virtual time


class Recorder:
    """Records the course of one run.

    Args:
        runtime: shared by the requests of the run.
        keeper: keeps the timeline in a journal; None to keep it in memory.

    Attributes:
        delivered: the outcomes since the last sample; the run adds each one.
        timeline: the course of the run so far.
    """

    def __init__(self, runtime: Runtime, keeper: TimelineKeeper | None) -> None:
        self.delivered: list[Outcome] = []
        self.timeline: Timeline = Timeline()
        self._runtime = runtime
        self._keeper = keeper
        self._timer: Timer | None = None
        self._sampled_at = 0.0
        self._counts = (0, 0, 0)
        self._before = (0, 0, 0)  # the counts when the run began
        self._begun = datetime.now(UTC)
        self._quiet = 0.0  # seconds without a request
        self._unsaved = 0  # samples

    def start(self) -> None:
        """Begin to record."""
        self._sampled_at = self._runtime.clock.now()
        self._counts = self._before = self._counted()
        self._begun = datetime.now(UTC)
        self._schedule()

    def end(self) -> None:
        """Record the rest, and save it."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        self._sample()
        self._save()

    def _schedule(self) -> None:
        self._timer = self._runtime.clock.call_at(self._runtime.clock.now() + _INTERVAL, self._tick)

    def _tick(self) -> None:
        self._schedule()
        self._sample()
        self._unsaved += 1
        if self._unsaved >= _SAVED_AFTER:
            self._save()

    def _save(self) -> None:
        self._unsaved = 0
        kept = None if self._keeper is None else self._keeper.timeline
        if self._keeper is None or kept is None:
            return
        if kept is not self.timeline:  # the journal was opened meanwhile
            kept.absorb(self.timeline)
            self.timeline = kept
        self._keeper.save_timeline()

    def _sample(self) -> None:
        now, counts = self._runtime.clock.now(), self._counted()
        elapsed = now - self._sampled_at
        requests, refused, lost = (new - old for new, old in zip(counts, self._counts, strict=True))
        since, self._sampled_at, self._counts = self._sampled_at, now, counts
        bucket = TimelineBucket(elapsed, requests=requests, refused=refused, lost=lost)
        for outcome in self.delivered:
            if self._is_of_earlier_run(outcome):
                continue
            if isinstance(outcome, Rejected | Failed | InDoubt | Unprocessed):
                bucket.failed += 1
            else:
                bucket.done += 1
            if outcome.attempts:
                bucket.time(outcome.elapsed)
        self.delivered.clear()
        runtime = self._runtime
        if counts == self._before and not runtime.turns.taken and not runtime.is_waiting:
            return
        interval = runtime.limiter.interval
        if interval:
            bucket.limited, bucket.limit = elapsed, elapsed / interval
        bucket.under_way = elapsed * runtime.turns.taken
        bucket.bound = elapsed * runtime.turns.limit
        bucket.paused = self._pauses(bucket, since, now)
        self.timeline.add(wall() - elapsed, bucket)

    def _is_of_earlier_run(self, outcome: Outcome) -> bool:
        """Whether an earlier run has counted it: such as an invalid item, which each run refuses without a request."""
        recorded_at = None if outcome.attempts else outcome.recorded_at
        return recorded_at is not None and recorded_at < self._begun

    def _pauses(self, bucket: TimelineBucket, since: float, now: float) -> dict[str, float]:
        runtime, outage = self._runtime, self._runtime.availability.outage
        held = min(now, outage.held_until) - since
        reason: PauseReason
        if outage.away or runtime.applications.away:
            reason, seconds = "outage", now - since
        elif held > 0:
            reason, seconds = "asked", held
        else:
            is_quiet = not (bucket.requests or bucket.done or runtime.turns.taken)
            self._quiet = self._quiet + bucket.seconds if is_quiet else 0.0
            if self._quiet < max(_IDLE_AFTER, 2 * runtime.limiter.interval):
                return {}
            reason, seconds = "idle", bucket.seconds
        return {reason: seconds}

    def _counted(self) -> tuple[int, int, int]:
        """The number of requests that have ended, of refusals, and of requests without a response."""
        responses, failures = self._runtime.telemetry.responses, self._runtime.telemetry.failures
        lost = sum(failures.values())
        return sum(responses.values()) + lost, sum(responses.get(status, 0) for status in _REFUSED), lost

    @safe_repr
    def __repr__(self) -> str:
        return f"Recorder({self.timeline!r})"
