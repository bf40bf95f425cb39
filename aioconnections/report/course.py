"""Prepares the course of a run for charts: columns, a time axis with breaks, and bands for pauses."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from attrs import frozen

from aioconnections.policy.timeline import PAUSES, PauseReason, Timeline, TimelineBucket

__all__ = ["WIDTH", "Course", "PauseBand"]

WIDTH = 1_000  # units of a chart from left to right
_MOST_COLUMNS = 250  # as many as a small screen can show
_BREAK = 24.0  # units of a break of the axis
_MOST_BREAKS = 10 * _BREAK  # units of all breaks
_LONGEST_GAP = 30  # seconds that are shown in full length; longer if that is less than a twentieth of the run


@frozen
class PauseBand:
    """A time without requests, as far as the buckets show it.

    Attributes:
        reason: see `PAUSES`.
        begin: seconds since 1970.
        end: seconds since 1970.
        seconds: length of the pause within that.
    """

    reason: PauseReason
    begin: float
    end: float
    seconds: float


@frozen
class _Segment:
    """A part of the time axis without a break."""

    begin: float
    end: float
    x: float


class Course:
    """The course of a run.

    Args:
        timeline: the recorded buckets, at least one.

    Attributes:
        columns: begin and sums of each column of a chart.
        width: seconds of a column.
        bands: the pauses.
        breaks: x at which the axis leaves out a time without a run, its width there, and the time in seconds.
        total: the sums over the run.
    """

    width: int
    columns: list[tuple[int, TimelineBucket]]

    def __init__(self, timeline: Timeline) -> None:
        self.total: TimelineBucket = timeline.total
        self.bands: list[PauseBand] = [band for reason in PAUSES for band in _bands(timeline, reason)]
        self.width, self.columns = _columns(timeline)
        self.breaks: list[tuple[float, float, float]] = []
        self._segments = self._laid_out(self.columns)
        self._scale = _scale_of(self._segments)

    @property
    def span(self) -> float:
        """Seconds from the begin to the end of the axis, with the breaks."""
        return self._segments[-1].end - self._segments[0].begin

    def x(self, at: float) -> float:
        """The place of a time on the axis, from 0 to `WIDTH`."""
        which = max(0, bisect_right(self._segments, at, key=lambda segment: segment.begin) - 1)
        segment = self._segments[which]
        return segment.x + (min(max(at, segment.begin), segment.end) - segment.begin) * self._scale

    def at(self, x: float) -> float:
        """The time at a place of the axis; in a break, the end of the break."""
        segment = self._segments[0]
        for following in self._segments[1:]:
            if x <= segment.x + (segment.end - segment.begin) * self._scale:
                break
            segment = following
        return min(segment.begin + max(0.0, x - segment.x) / self._scale, segment.end)

    def figures(self, most: int) -> list[tuple[float, float, TimelineBucket]]:
        """Begin, end and sums of at most `most` parts of the run."""
        each = -(-len(self.columns) // most)
        parts: list[tuple[float, float, TimelineBucket]] = []
        for first in range(0, len(self.columns), each):
            group = self.columns[first : first + each]
            total = TimelineBucket()
            for _, bucket in group:
                total.add(bucket)
            parts.append((group[0][0], group[-1][0] + self.width, total))
        return parts

    def _laid_out(self, columns: list[tuple[int, TimelineBucket]]) -> list[_Segment]:
        longest = max(_LONGEST_GAP, 2 * self.width, len(columns) * self.width / 20)
        spans: list[list[float]] = []  # begin and end
        for begin, _ in columns:
            if not spans or begin - spans[-1][1] > longest:
                spans.append([begin, begin])
            spans[-1][1] = begin + self.width
        gap = min(_BREAK, _MOST_BREAKS / max(1, len(spans) - 1))
        scale = (WIDTH - gap * (len(spans) - 1)) / sum(end - begin for begin, end in spans)
        segments: list[_Segment] = []
        x = 0.0
        for first, last in spans:
            if segments:
                self.breaks.append((x, gap, first - segments[-1].end))
                x += gap
            segments.append(_Segment(first, last, x))
            x += (last - first) * scale
        return segments


def _scale_of(segments: list[_Segment]) -> float:
    last = segments[-1]
    return (WIDTH - last.x) / (last.end - last.begin)


def _columns(timeline: Timeline) -> tuple[int, list[tuple[int, TimelineBucket]]]:
    """The width and the sums of the columns: the buckets, or several of them in each."""
    width, found = timeline.width, list(timeline)
    while len(found) > _MOST_COLUMNS:
        width *= 2
        merged: dict[int, TimelineBucket] = {}
        for begin, bucket in found:
            merged.setdefault(begin // width * width, TimelineBucket()).add(bucket)
        found = list(merged.items())
    return width, found


def _bands(timeline: Timeline, reason: PauseReason) -> Iterator[PauseBand]:
    """The pauses for one reason; those in adjacent buckets are one."""
    begin = end = seconds = 0.0
    for at, bucket in timeline:
        paused = bucket.paused.get(reason, 0.0)
        if not paused:
            continue
        if seconds and at > end:
            yield PauseBand(reason, begin, end, seconds)
            seconds = 0.0
        if not seconds:
            begin = at
        end = at + timeline.width
        seconds += paused
    if seconds:
        yield PauseBand(reason, begin, end, seconds)
