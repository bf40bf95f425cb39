"""Draws the course of a run as SVG.

A drawing is stretched to the width of the screen, so it holds no text: the labels of its axes are HTML around it, at
equal distances. Each drawing has a text alternative, and the page has a table with the same figures.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from math import ceil, floor, log10

from attrs import frozen

from aioconnections.policy.timeline import PAUSES, TimelineBucket
from aioconnections.report.course import WIDTH, Course
from aioconnections.report.markup import clock_time, count, duration, latency, rate

__all__ = ["PAUSE_NAMES", "concurrency", "latencies", "pauses", "share_bar", "throughput"]

_HEIGHT = 200
_LANE = 40
_NARROWEST = 2.0
_HEADROOM = 1.04  # so that a limit is not drawn on the edge
_MOST_DECADES = 5
_FARTHEST_LIMIT = 4  # times the highest rate; a higher limit would leave no room for the rates

PAUSE_NAMES = {"outage": "Outage", "asked": "Asked to pause", "idle": "Idle"}

Values = Callable[[TimelineBucket], "float | None"]


@frozen
class _Series:
    """One line or area of a chart.

    Attributes:
        kind: class of the style sheet.
        name: its name in the legend.
        values: its value in each column; None for none.
        is_area: whether the space below is filled.
    """

    kind: str
    name: str
    values: list[float | None]
    is_area: bool = False


def throughput(course: Course) -> str:
    """Items and failures per second, and the limit."""
    columns = [bucket for _, bucket in course.columns]
    rates = [bucket.rate for bucket in columns]
    failures = [bucket.failed / bucket.seconds if bucket.seconds else 0.0 for bucket in columns]
    limits = [bucket.mean_limit for bucket in columns]
    highest, total = max(rates), course.total
    known = [limit for limit in limits if limit is not None]
    series = [_Series("done", "items per second", [*rates], is_area=True)]
    if total.failed:
        series.append(_Series("failed", "of these not done", [*failures], is_area=True))
    about_limit = "no limit"
    if known:
        about_limit = f"limit {rate(max(known))}"
        if min(known) <= _FARTHEST_LIMIT * highest:
            series.append(_Series("limit", about_limit, limits))
        else:
            about_limit += ", far above the rate"
    shown = [value for one in series for value in one.values if value is not None]
    about = f"Items per second over time: mean {rate(total.rate)}, highest {rate(highest)}; {about_limit}."
    return _linear(course, "Throughput", about, series, max(shown), rate)


def concurrency(course: Course) -> str:
    """Requests under way, and how many might be."""
    columns = [bucket for _, bucket in course.columns]
    busy: list[float | None] = [bucket.mean_under_way for bucket in columns]
    bound: list[float | None] = [bucket.mean_bound for bucket in columns]
    series = [
        _Series("busy", "requests under way", busy, is_area=True),
        _Series("limit", "bound", bound),
    ]
    highest = max(value for value in (*busy, *bound) if value is not None)
    about = (
        f"Requests under way over time: mean {course.total.mean_under_way:.1f}, highest bound {count(highest)}. The "
        f"bound falls after refusals and timeouts and recovers."
    )
    return _linear(course, "Requests under way", about, series, highest, lambda value: f"{value:,.3g}")


def latencies(course: Course) -> str | None:
    """Percentiles of the latency, on a logarithmic scale; None if no item has one."""
    shares = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    series = [_Series(name, name, [it.percentile(share) for _, it in course.columns]) for name, share in shares]
    known = [value for one in series for value in one.values if value is not None]
    if not known:
        return None
    low, high = floor(log10(min(known))), ceil(log10(max(known)))
    high = max(high, low + 1)
    step = ceil((high - low) / _MOST_DECADES)
    high = low + step * ceil((high - low) / step)
    labels = [latency(10.0**power) for power in range(high, low - 1, -step)]
    figures = ", ".join(f"{name} {latency(course.total.percentile(share))}" for name, share in shares)
    about = f"Latency of an item over time, without waits for the rate limit: {figures}. The scale is logarithmic."
    return _chart(
        course, "Latency", about, series, labels, lambda value: _HEIGHT * (high - log10(value)) / (high - low)
    )


def pauses(course: Course) -> str:
    """A lane for each reason of a pause."""
    lanes = [reason for reason in PAUSES if any(band.reason == reason for band in course.bands)]
    drawn = "".join(
        f'<path class="lane {reason}" d="{_bands(course, reason, number * _LANE + 4, _LANE - 8)}"/>'
        for number, reason in enumerate(lanes)
    )
    said = [
        f"{PAUSE_NAMES[reason]}: {duration(sum(it.seconds for it in course.bands if it.reason == reason))}"
        for reason in lanes
    ]
    labels = [PAUSE_NAMES[reason] for reason in lanes]
    height = _LANE * len(lanes)
    about = f"When nothing was sent. {'; '.join(said)}."
    return _figure(
        course, "Pauses and outages", about, "", labels, f"{_breaks(course, height)}{drawn}", height, kind="lanes"
    )


def share_bar(share: float) -> str:
    """A bar for a share from 0 to 1, without a text alternative: the number is beside it."""
    return (
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="track" width="100" height="8"/><rect class="done" width="{100 * share:.2f}" height="8"/></svg>'
    )


def _linear(
    course: Course, title: str, about: str, series: list[_Series], highest: float, label: Callable[[float], str]
) -> str:
    top = _nice(highest)
    labels = [label(top), label(top / 2), "0"]
    return _chart(course, title, about, series, labels, lambda value: _HEIGHT * (1 - value / top))


def _chart(
    course: Course, title: str, about: str, series: list[_Series], labels: list[str], y: Callable[[float], float]
) -> str:
    shading = "".join(
        f'<path class="band {reason}" d="{_bands(course, reason, 0, _HEIGHT)}"/>'
        for reason in PAUSES
        if any(band.reason == reason for band in course.bands)
    )
    steps = len(labels) - 1
    grid = "".join(f"M0 {_HEIGHT * line / steps:g}H{WIDTH}" for line in range(steps + 1))
    drawn = "".join(
        f'<path class="{one.kind}{" area" if one.is_area else " line"}" d="{_steps(course, one, y)}"/>'
        for one in series
    )
    legend = "".join(
        f'<span class="key"><svg viewBox="0 0 24 8" aria-hidden="true">{_swatch(one)}</svg> {escape(one.name)}</span>'
        for one in series
    )
    inner = f'{shading}<path class="grid" d="{grid}"/>{_breaks(course, _HEIGHT)}{drawn}'
    return _figure(course, title, about, legend, labels, inner, _HEIGHT)


def _swatch(series: _Series) -> str:
    if series.is_area:
        return f'<rect class="{series.kind} area" width="24" height="8"/>'
    return f'<path class="{series.kind} line" d="M0 4H24"/>'


def _figure(
    course: Course,
    title: str,
    about: str,
    legend: str,
    labels: list[str],
    drawing: str,
    height: int,
    kind: str = "plot",
) -> str:
    places = [WIDTH * quarter / 4 for quarter in range(5)]
    times = "".join(f"<span>{clock_time(course.at(x), course.span)}</span>" for x in places)
    names = "".join(f"<span>{escape(label)}</span>" for label in labels)
    return (
        f'<figure class="{kind} n{len(labels)}"><figcaption><h3>{escape(title)}</h3>'
        f'<p class="about">{escape(about)}</p><p class="legend">{legend}</p></figcaption>'
        f'<div class="y" aria-hidden="true">{names}</div>'
        f'<svg class="drawing" role="img" aria-label="{escape(about)}" viewBox="0 0 {WIDTH} {height}" '
        f'preserveAspectRatio="none">{drawing}</svg>'
        f'<div class="x" aria-hidden="true">{times}</div></figure>'
    )


def _steps(course: Course, series: _Series, y: Callable[[float], float]) -> str:
    """The path of a series. It is interrupted where columns are missing or have no value."""
    path: list[str] = []
    last_x: float | None = None
    last_y = begin_x = 0.0
    for (begin, _), value in zip(course.columns, series.values, strict=True):
        if value is None:
            _ended(path, last_x, begin_x, is_area=series.is_area)
            last_x = None
            continue
        left, right, height = course.x(begin), course.x(begin + course.width), y(value)
        if last_x is None or left - last_x > 0.05:
            _ended(path, last_x, begin_x, is_area=series.is_area)
            begin_x = left
            path.append(f"M{left:.1f} {height:.1f}")
        elif height != last_y:
            path.append(f"H{left:.1f}V{height:.1f}")
        last_x, last_y = right, height
    _ended(path, last_x, begin_x, is_area=series.is_area)
    return "".join(path)


def _ended(path: list[str], last_x: float | None, begin_x: float, *, is_area: bool) -> None:
    """End the part of a path that is under way, if any."""
    if last_x is not None:
        path.append(f"H{last_x:.1f}{f'V{_HEIGHT}H{begin_x:.1f}Z' if is_area else ''}")


def _bands(course: Course, reason: str, top: float, height: float) -> str:
    """Rectangles for the pauses of one reason: none narrower than can be seen, and none closer to the next."""
    spans: list[tuple[float, float]] = []
    for band in course.bands:
        if band.reason == reason:
            left, right = course.x(band.begin), course.x(band.end)
            right = max(right, left + _NARROWEST)
            if spans and left - spans[-1][1] < _NARROWEST:
                left = spans.pop()[0]
            spans.append((left, right))
    return "".join(f"M{left:.1f} {top}H{right:.1f}v{height}H{left:.1f}z" for left, right in spans)


def _breaks(course: Course, height: float) -> str:
    """Rectangles where the axis leaves out a time without a run."""
    path = "".join(f"M{x:.1f} 0h{width:.1f}v{height}H{x:.1f}z" for x, width, _ in course.breaks)
    return f'<path class="break" d="{path}"/>' if path else ""


def _nice(highest: float) -> float:
    """The end of an axis: not less than `highest`, and with few digits, also of its half."""
    if highest <= 0:
        return 1.0
    power = 10.0 ** floor(log10(highest))
    return next(step * power for step in (1.2, 1.6, 2, 3, 4, 6, 8, 10, 12) if step * power >= highest * _HEADROOM)
