"""The laws of a timeline: bounded, no total changes, and percentiles within their stated error."""

from __future__ import annotations

from math import ceil, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.policy.timeline import MOST_BUCKETS, Timeline, TimelineBucket

WALL = 1_796_000_000.0  # seconds since 1970

latencies = st.lists(st.floats(1e-4, 9_000), min_size=1, max_size=40)
times = st.lists(st.floats(0, 1e9), min_size=1, max_size=60)


def bucket(count: int, *seconds: float) -> TimelineBucket:
    one = TimelineBucket(0.5, done=count, requests=count + 1, paused={"asked": 0.25}, limited=0.5, limit=50.0)
    for latency in seconds:
        one.time(latency)
    return one


def kept(timeline: Timeline) -> Timeline:
    """The same timeline, as a journal gives it back."""
    _, rows = timeline.changes()
    return Timeline.from_rows(rows)


@given(times, st.integers(1, 40))
def test_totals_stay_the_same_and_buckets_are_few(starts: list[float], times_each: int) -> None:
    timeline = Timeline()
    for start in starts:
        for step in range(times_each):
            timeline.add(start + step, bucket(step, 0.02))
    count = len(starts) * times_each
    assert len(timeline) <= MOST_BUCKETS
    total = timeline.total
    assert (total.seconds, total.paused) == (0.5 * count, {"asked": 0.25 * count})
    assert total.done == len(starts) * sum(range(times_each))
    assert total.requests == total.done + count
    assert sum(total.latencies.values()) == count
    begins = [begin for begin, _ in timeline]
    assert all(begin % timeline.width == 0 for begin in begins)
    assert begins == sorted(set(begins))


def test_the_width_doubles_when_the_run_goes_on() -> None:
    timeline, widths = Timeline(), list[int]()
    for second in range(8_001):
        timeline.add(WALL + second, bucket(1))
        widths.append(timeline.width)
        assert len(timeline) <= MOST_BUCKETS
    assert [widths.index(width) for width in (1, 2, 4, 8)] == [0, 1_000, 2_000, 4_000]
    assert timeline.total.done == 8_001
    assert len(timeline) >= 500


def test_a_week_without_a_run_is_a_gap() -> None:
    timeline = Timeline()
    for begin in (WALL, WALL + 7 * 86_400):
        for second in range(100):
            timeline.add(begin + second, bucket(1))
    assert (timeline.width, len(timeline)) == (1, 200)


@given(latencies, st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_within_five_percent_of_an_observed_latency(seconds: list[float], share: float) -> None:
    exact = sorted(seconds)[ceil(share * len(seconds)) - 1]
    found = bucket(1, *seconds).percentile(share)
    assert found == pytest.approx(exact, rel=0.05)


def test_latencies_out_of_range_count_as_the_nearest() -> None:
    assert bucket(1, 0.0).percentile(0.5) == pytest.approx(1e-4, rel=0.05)
    assert bucket(1, 1e9).percentile(0.5) == pytest.approx(19_000, rel=0.1)
    assert TimelineBucket().percentile(0.5) is None


@given(times)
def test_rows_give_the_same_timeline_again(starts: list[float]) -> None:
    timeline = Timeline()
    for start in starts:
        timeline.add(start, bucket(3, 0.25, 2.0))
    twin = kept(timeline)
    assert list(twin) == list(timeline)
    assert (len(twin), repr(twin)) == (len(timeline), repr(timeline))


def test_only_what_changed_is_written_until_buckets_are_merged() -> None:
    timeline = Timeline()
    for second in range(MOST_BUCKETS):
        timeline.add(second, bucket(1))
    replaces, rows = timeline.changes()
    assert (replaces, len(rows)) == (False, MOST_BUCKETS)
    assert timeline.changes() == (False, [])
    timeline.add(0.5, bucket(1))
    replaces, rows = timeline.changes()
    assert (replaces, [row[:2] for row in rows]) == (False, [(0, 1)])
    timeline.add(MOST_BUCKETS, bucket(1))
    replaces, rows = timeline.changes()
    assert (replaces, len(rows), rows[-1][:2]) == (True, 501, (1_000, 2))


def test_a_timeline_takes_up_another() -> None:
    """A resumed run adds to the buckets of the first one, whichever are wider."""
    long, short = Timeline(), Timeline()
    for second in range(3_000):
        long.add(WALL + second, bucket(1, 0.1))
    short.add(WALL + 10_000, bucket(2, 0.2))
    for first, other in ((kept(long), short), (kept(short), long)):
        first.absorb(other)
        assert (first.width, first.total.done) == (4, 3_002)
        assert list(first)[-1][0] == (WALL + 10_000) // 4 * 4


def test_means_over_a_bucket() -> None:
    one = bucket(40)
    one.failed, one.under_way, one.bound = 10, 4.0, 8.0
    assert (one.rate, one.mean_limit, one.mean_under_way, one.mean_bound) == (100.0, 100.0, 8.0, 16.0)
    assert (TimelineBucket().rate, TimelineBucket().mean_limit) == (0.0, None)


@pytest.mark.parametrize(
    "rows",
    [
        [(0, 1, "")],
        [(0, 1, "[]")],
        [(0, 1, "5")],
        [(0, 1, "[[1],{},[]]")],
        [(0, 1, TimelineBucket(inf).to_text())],
        [(0, 1, TimelineBucket().to_text().replace("0.0", "true", 1))],
        [(0, 1, TimelineBucket().to_text()[:-3] + "[5]]")],
        [(1, 2, TimelineBucket().to_text())],
        [(0, 0, TimelineBucket().to_text())],
        [(0, 1, TimelineBucket().to_text()), (2, 2, TimelineBucket().to_text())],
    ],
)
def test_rows_of_another_form_are_refused(rows: list[tuple[int, int, str]]) -> None:
    with pytest.raises(ValueError, match=r"not the (rows|sums)|Expecting|unpack|shorter"):
        Timeline.from_rows(rows)
