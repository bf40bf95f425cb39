"""What a command measures of its run, for the live view and the summary: times, rates and the time left.

Memory is bounded and independent of the number of items. One outcome costs an addition to a histogram; all else is
computed twice a second, when the run reports its progress.
"""

from __future__ import annotations

from collections import deque
from math import ceil, exp, log

from attrs import define, field

from aioconnections.outcomes import Outcome, Unprocessed

__all__ = ["Meter", "Rate", "TimeLeft", "Times"]

_SHORTEST = 1e-4  # seconds: the first class of the histogram
_WIDTH = 0.05  # classes are 5 % wide
_CLASSES = ceil(log(1e8) / _WIDTH)  # up to 10,000 s
_WINDOW = 30.0  # seconds of the times shown during a run
_RECENT = 5.0  # seconds of the rate shown
_SLOWLY = 20.0  # seconds over which the rate for the time left is averaged
_CLOSER = 0.2  # part of the way by which the time left approaches a new estimate
_SETTLED = 5.0  # seconds of work after which the estimate changes slowly
_BELOW = 0.9  # requests per item; with fewer, the rate limit says little about items


class Times:
    """The times that items took: a histogram, for percentiles over the whole run and over the last seconds."""

    __slots__ = ("_counts", "_marks")

    def __init__(self) -> None:
        self._counts = [0] * _CLASSES
        self._marks: deque[tuple[float, list[int]]] = deque()

    def add(self, seconds: float) -> None:
        """Add the time of one item."""
        place = int(log(seconds / _SHORTEST) / _WIDTH) if seconds > _SHORTEST else 0
        self._counts[min(place, _CLASSES - 1)] += 1

    def mark(self, now: float) -> None:
        """Called twice a second; `now` is the time since the run began."""
        marks = self._marks
        marks.append((now, self._counts.copy()))
        while len(marks) > 1 and now - marks[1][0] >= _WINDOW:
            _ = marks.popleft()

    def recent(self, *parts: float) -> tuple[float, ...]:
        """The percentiles of the last 30 seconds, in seconds, for parts of 1; empty without any items."""
        if not self._marks:
            return ()
        now, latest = self._marks[-1]
        since, before = self._marks[0]
        if now - since < _WINDOW:  # the run is younger
            return _percentiles(latest, parts)
        return _percentiles([count - earlier for count, earlier in zip(latest, before, strict=True)], parts)

    def overall(self, *parts: float) -> tuple[float, ...]:
        """The percentiles of the whole run; see `recent`."""
        return _percentiles(self._counts, parts)


def _percentiles(counts: list[int], parts: tuple[float, ...]) -> tuple[float, ...]:
    total = sum(counts)
    return tuple(_at(counts, part * total) for part in parts) if total else ()


def _at(counts: list[int], rank: float) -> float:
    """The middle of the class that holds the item of this rank."""
    seen = 0
    for place, count in enumerate(counts):
        seen += count
        if count and seen >= rank:
            return _SHORTEST * exp((place + 0.5) * _WIDTH)
    return _SHORTEST * exp(_CLASSES * _WIDTH)


@define
class Rate:
    """How fast a number has grown over the last seconds."""

    _samples: deque[tuple[float, int]] = field(factory=deque[tuple[float, int]])

    def note(self, now: float, count: int) -> float:
        """Take note of the number, and return its growth per second."""
        samples = self._samples
        samples.append((now, count))
        while len(samples) > 2 and now - samples[1][0] >= _RECENT:
            _ = samples.popleft()
        since, before = samples[0]
        return (count - before) / (now - since) if now > since else 0.0


@define
class TimeLeft:
    """Estimates when a run will be done, and lets the estimate change slowly.

    Outcomes of an earlier run take no time, and waits for the server say nothing about the rate: neither counts.
    """

    _at: float = 0.0
    _done: int = 0
    _replayed: int = 0
    _average: float = 0.0  # items per second, of which `_weight` is known
    _weight: float = 0.0
    _active: float = 0.0  # seconds with work
    _shown: float | None = None

    def note(
        self,
        now: float,
        *,
        total: int,
        finished: int,
        replayed: int,
        limit: float | None,
        requests: int | None,
        waiting: bool,
    ) -> float | None:
        """Take note of a report, and return the seconds of work left; None if they are not known.

        Args:
            now: seconds since the run began.
            total: number of items.
            finished: number of finished items.
            replayed: number of those whose outcome comes from an earlier run.
            limit: limit of requests per second, if any.
            requests: number of requests so far; None if it is about the number of items.
            waiting: whether nothing is sent.
        """
        seconds, done = now - self._at, max(finished - replayed, self._done)
        new, is_replaying = done - self._done, replayed != self._replayed
        self._at, self._done, self._replayed = now, done, replayed
        if seconds > 0 and done and (new or not waiting):  # before the first item, the login is proved
            self._active += seconds
            faded = exp(-seconds / _SLOWLY)
            self._average = self._average * faded + new / seconds * (1 - faded)
            self._weight = self._weight * faded + 1 - faded
            if self._shown is not None:
                self._shown = max(0.0, self._shown - seconds)
        rate = self._average / self._weight if self._weight else 0.0
        if limit is not None and (requests is None or requests >= _BELOW * done):
            rate = min(rate or limit, limit)
        if rate <= 0:
            self._shown = None
            return None
        estimate = max(total - finished, 0) / rate
        if self._shown is None or is_replaying or self._active < _SETTLED:
            self._shown = estimate
        elif not waiting:
            self._shown += (estimate - self._shown) * _CLOSER
        return self._shown


@define
class Meter:
    """What a command measures of its run.

    Attributes:
        times: how long the items took.
        replayed: number of outcomes of an earlier run.
        sent: number of items for which requests were sent.
        waited: seconds that these items waited for a connection and for the rate limit.
        held: seconds during which the run waited for the server, to half a second.
    """

    times: Times = field(factory=Times)
    replayed: int = 0
    sent: int = 0
    waited: float = 0.0
    held: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Measure one outcome."""
        if outcome.replayed:
            self.replayed += 1
        elif outcome.attempts and not isinstance(outcome, Unprocessed):
            self.sent += 1
            self.waited += outcome.waited
            self.times.add(outcome.elapsed)
