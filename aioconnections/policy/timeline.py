"""The course of a run over time, in at most 1,000 buckets however long the run is.

A bucket holds sums over a span of time: items, requests, pauses, and a histogram of latencies. All buckets of a
timeline have the same width. When there are more than 1,000, the width doubles and neighbours are merged, which adds
their sums, so that no total changes. Spans without an observation have no bucket: a run that is resumed after a week
shows a gap.

Latencies are counted in classes whose bounds grow by a tenth, from 0.1 ms to a few hours. A percentile is the geometric
middle of its class, so it is within 5 % of an observed latency in that range.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from math import ceil, floor, isfinite, log, sqrt
from typing import Any, Literal, TypeAlias

from attrs import field

from aioconnections.reprs import define, safe_repr

__all__ = ["MOST_BUCKETS", "PAUSES", "PauseReason", "Timeline", "TimelineBucket", "TimelineRow"]

MOST_BUCKETS = 1_000
_WIDTH = 1  # seconds, of the buckets of a short run

PauseReason: TypeAlias = Literal["outage", "asked", "idle"]
PAUSES: tuple[PauseReason, ...] = ("outage", "asked", "idle")
"""Reasons of pauses: ``outage``, the server or the application does not respond, and only probes are sent; ``asked``,
the server has asked for a pause (``Retry-After``); ``idle``, nothing is sent for a reason on this side: no item is at
hand, the outcomes are not taken, or a shared rate gives no start."""

TimelineRow: TypeAlias = tuple[int, int, str]
"""Begin and width of a bucket in whole seconds, and its sums as text."""

_LEAST = 1e-4  # seconds; the upper bound of the first class of latencies
_GROWTH = 1.1
_PER_CLASS = 1 / log(_GROWTH)
_LAST_CLASS = 200


@define
class TimelineBucket:
    """Sums over a span of time.

    Attributes:
        seconds: how long the run was observed.
        done: number of items with a good outcome.
        failed: number of items with another outcome.
        requests: number of requests that ended.
        refused: number of responses 429 and 503 among them.
        lost: number of requests without a response among them.
        limited: seconds with a limit of requests per second.
        limit: the limit, summed over these seconds.
        under_way: number of requests under way, summed over the seconds.
        bound: number of requests that might be under way, summed over the seconds.
        paused: seconds of pauses, by their reason.
        latencies: number of items by the class of their latency.
    """

    seconds: float = 0.0
    done: int = 0
    failed: int = 0
    requests: int = 0
    refused: int = 0
    lost: int = 0
    limited: float = 0.0
    limit: float = 0.0
    under_way: float = 0.0
    bound: float = 0.0
    paused: dict[str, float] = field(factory=dict[str, float])
    latencies: dict[int, int] = field(factory=dict[int, int])

    def add(self, other: TimelineBucket) -> None:
        """Add the sums of another bucket."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for reason, seconds in other.paused.items():
            self.paused[reason] = self.paused.get(reason, 0.0) + seconds
        for number, count in other.latencies.items():
            self.latencies[number] = self.latencies.get(number, 0) + count

    def time(self, seconds: float) -> None:
        """Count one latency."""
        number = _class_of(seconds)
        self.latencies[number] = self.latencies.get(number, 0) + 1

    def percentile(self, share: float) -> float | None:
        """The latency in seconds that this share of the items, from 0 to 1, does not exceed; None without an item."""
        left = max(1, ceil(share * sum(self.latencies.values())))
        for number in sorted(self.latencies):
            left -= self.latencies[number]
            if left <= 0:
                return _LEAST * _GROWTH**number / sqrt(_GROWTH)
        return None

    @property
    def rate(self) -> float:
        """Items per second."""
        return self._mean(self.done + self.failed, self.seconds)

    @property
    def mean_limit(self) -> float | None:
        """Mean limit of requests per second; None without a limit."""
        return self._mean(self.limit, self.limited) if self.limited else None

    @property
    def mean_under_way(self) -> float:
        """Mean number of requests under way."""
        return self._mean(self.under_way, self.seconds)

    @property
    def mean_bound(self) -> float:
        """Mean number of requests that might be under way."""
        return self._mean(self.bound, self.seconds)

    @staticmethod
    def _mean(total: float, seconds: float) -> float:
        return total / seconds if seconds else 0.0

    def to_text(self) -> str:
        """The sums as JSON, with times in milliseconds."""
        sums = [round(getattr(self, name), 3) for name in _SUMS]
        paused = {reason: round(seconds, 3) for reason, seconds in sorted(self.paused.items())}
        return json.dumps([sums, paused, sorted(self.latencies.items())], separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> TimelineBucket:
        """Parse the result of `to_text`.

        Raises:
            ValueError: the text has another form.
        """
        try:
            sums, paused, latencies = json.loads(text)
            return cls(
                **{name: _number(value) for name, value in zip(_SUMS, sums, strict=True)},
                paused={str(reason): _number(seconds) for reason, seconds in paused.items()},
                latencies={_number(number): _number(count) for number, count in latencies},
            )
        except (TypeError, AttributeError):
            raise ValueError("not the sums of a bucket") from None


_SUMS = (
    "seconds",
    "done",
    "failed",
    "requests",
    "refused",
    "lost",
    "limited",
    "limit",
    "under_way",
    "bound",
)


class Timeline:
    """The buckets of a run, in the order of time.

    Attributes:
        width: width of the buckets in whole seconds: a power of two.
    """

    def __init__(self) -> None:
        self.width: int = _WIDTH
        self._buckets: dict[int, TimelineBucket] = {}  # by begin, in widths
        self._changed: set[int] = set()
        self._is_merged = False

    def add(self, at: float, bucket: TimelineBucket) -> None:
        """Add an observation that began at `at`, in seconds since 1970."""
        number = floor(at / self.width)
        self._bucket(number).add(bucket)
        while len(self._buckets) > MOST_BUCKETS:
            self._merge(2 * self.width)

    def absorb(self, other: Timeline) -> None:
        """Add all buckets of another timeline."""
        if other.width > self.width:
            self._merge(other.width)
        for begin, bucket in other:
            self.add(begin, bucket)

    def __iter__(self) -> Iterator[tuple[int, TimelineBucket]]:
        """The begin of each bucket, in whole seconds since 1970, and the bucket."""
        for number in sorted(self._buckets):
            yield number * self.width, self._buckets[number]

    def __len__(self) -> int:
        return len(self._buckets)

    @property
    def total(self) -> TimelineBucket:
        """The sums over all buckets."""
        total = TimelineBucket()
        for bucket in self._buckets.values():
            total.add(bucket)
        return total

    def changes(self) -> tuple[bool, list[TimelineRow]]:
        """The rows that have changed since the last call, and whether they replace all earlier rows."""
        is_merged, changed = self._is_merged, self._changed
        self._is_merged, self._changed = False, set()
        numbers = sorted(self._buckets if is_merged else changed)
        return is_merged, [(it * self.width, self.width, self._buckets[it].to_text()) for it in numbers]

    @classmethod
    def from_rows(cls, rows: Iterable[TimelineRow]) -> Timeline:
        """The timeline that gave these rows as its changes.

        Raises:
            ValueError: the rows are not those of a timeline.
        """
        timeline = cls()
        for begin, width, text in rows:
            if not timeline._buckets:
                timeline.width = width
            if width != timeline.width or width < 1 or begin % width:
                raise ValueError("not the rows of a timeline")
            timeline._buckets[begin // width] = TimelineBucket.from_text(text)
        return timeline

    def _bucket(self, number: int) -> TimelineBucket:
        self._changed.add(number)
        found = self._buckets.get(number)
        if found is None:
            found = self._buckets[number] = TimelineBucket()
        return found

    def _merge(self, width: int) -> None:
        """Widen the buckets to `width`, a multiple of the present width."""
        times = width // self.width
        before, self._buckets, self._changed = self._buckets, {}, set()
        self.width = width
        self._is_merged = True
        for number, bucket in before.items():
            self._bucket(number // times).add(bucket)

    @safe_repr
    def __repr__(self) -> str:
        return f"Timeline({len(self._buckets)} buckets of {self.width} s)"


def _class_of(seconds: float) -> int:
    """The number of the class of a latency: its upper bound is `_LEAST` times `_GROWTH` to that power."""
    if seconds <= _LEAST:
        return 0
    return min(ceil(log(seconds / _LEAST) * _PER_CLASS), _LAST_CLASS)


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise TypeError
    return value
