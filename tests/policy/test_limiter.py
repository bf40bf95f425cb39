"""The law of the limiter: in any window at most ``burst + rate × window`` starts, in order, and nothing wasted."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aioconnections.errors import InvalidInputError
from aioconnections.policy.limiter import Limiter

Step: TypeAlias = tuple[float, tuple[float | None, int | None] | None]
"""Seconds since the step before, and the change of rate and burst that it makes; None for a caller that asks."""

NEVER = float("-inf")
rates = st.one_of(st.none(), st.sampled_from([0.5, 1.0, 3.0, 10.0, 100.0]))
bursts = st.integers(1, 5)
pauses = st.one_of(st.just(0.0), st.floats(0, 3))
changes = st.tuples(rates, st.one_of(st.none(), bursts))
steps = st.lists(st.tuples(pauses, st.one_of(st.none(), st.none(), st.none(), changes)), max_size=40)


def play(rate: float | None, burst: int, script: list[Step]) -> list[tuple[float, float]]:
    """Every (asked, start) of a script that keeps the law."""
    limiter = Limiter(rate, burst)
    given_away: list[tuple[float, float]] = []
    now, most = 0.0, burst
    regimes: list[tuple[float, float | None]] = [(NEVER, rate)]
    for pause, change in script:
        now += pause
        if change is None:
            earliest = limiter.earliest(now)
            given_away.append((now, limiter.reserve(now)))
            assert given_away[-1][1] == earliest
            continue
        rate, fresh = change
        limiter.change(rate, now, fresh)
        most = max(most, fresh or 0)
        # starts that were given away stand, so the old rate is in force up to the last of them
        regimes.append((max([now, *(start for _, start in given_away)]), rate))
    law([start for _, start in given_away], regimes, most)
    return given_away


def law(starts: list[float], regimes: list[tuple[float, float | None]], burst: int) -> None:
    """In every window no more starts than the fastest rate allows that was in force in it."""
    for first, since in enumerate(starts):
        for last in range(first, len(starts)):
            until = starts[last]
            ends = [begin for begin, _ in regimes[1:]] + [float("inf")]
            in_force = [
                rate for (begin, rate), end in zip(regimes, ends, strict=True) if begin <= until and end >= since
            ]
            if None in in_force:
                break  # and so in every longer window
            fastest = max(rate for rate in in_force if rate is not None)
            assert last - first + 1 <= burst + fastest * (until - since) + 1e-6


@given(rates, bursts, steps)
@example(1.0, 1, [(0.0, None), (0.0, None), (0.0, (10.0, None)), (0.0, None)])
@example(10.0, 1, [(0.0, None), (0.0, None), (0.0, (1.0, None)), (0.0, None), (0.0, None)])
@example(10.0, 5, [(0.0, None)] * 5 + [(0.0, (10.0, 1)), (0.0, None)])
def test_never_more_than_burst_and_rate_allow_in_any_window(rate: float | None, burst: int, script: list[Step]) -> None:
    given_away = play(rate, burst, script)

    assert all(start >= asked for asked, start in given_away)
    starts = [start for _, start in given_away]
    assert starts == sorted(starts), "who asks first starts first"


@given(st.sampled_from([0.5, 3.0, 100.0]), bursts, st.lists(pauses, max_size=40))
def test_nobody_waits_longer_than_the_rate_demands(rate: float, burst: int, arrivals: list[float]) -> None:
    """Against a bucket that is counted out: each caller starts at the first moment that the law allows."""
    limiter, now, level, seen = Limiter(rate, burst), 0.0, 0.0, 0.0
    for pause in arrivals:
        now += pause
        start = limiter.reserve(now)

        ready = max(now, seen)
        level = max(0.0, level - rate * (ready - seen))
        expected = ready + max(0.0, level - (burst - 1)) / rate
        level, seen = max(0.0, level - rate * (expected - ready)) + 1, expected
        assert start == pytest.approx(expected, abs=1e-6)


def test_a_lone_caller_after_a_pause_starts_at_once() -> None:
    limiter = Limiter(2.0)
    assert limiter.reserve(0.0) == 0.0
    assert limiter.reserve(100.0) == 100.0


def test_many_at_once_start_on_schedule() -> None:
    limiter = Limiter(4.0, burst=3)
    assert [limiter.reserve(10.0) for _ in range(6)] == [10.0, 10.0, 10.0, 10.25, 10.5, 10.75]


def test_an_idle_hour_saves_up_no_more_than_the_burst() -> None:
    limiter = Limiter(1.0, burst=2)
    limiter.reserve(0.0)
    assert [limiter.reserve(3600.0) for _ in range(4)] == [3600.0, 3600.0, 3601.0, 3602.0]


def test_without_a_limit_everybody_starts_when_asking() -> None:
    limiter = Limiter(None)
    assert [limiter.reserve(t) for t in (1.0, 1.0, 1.5)] == [1.0, 1.0, 1.5]


def test_a_faster_rate_does_not_let_two_start_together() -> None:
    limiter = Limiter(1.0)
    assert [limiter.reserve(0.0) for _ in range(2)] == [0.0, 1.0]
    limiter.change(10.0, now=0.0)
    assert [limiter.reserve(0.0) for _ in range(2)] == pytest.approx([1.1, 1.2])


def test_a_slower_rate_counts_from_the_last_start_that_was_given_away() -> None:
    limiter = Limiter(10.0)
    assert [limiter.reserve(0.0) for _ in range(3)] == pytest.approx([0.0, 0.1, 0.2])
    limiter.change(1.0, now=0.0)
    assert [limiter.reserve(0.0) for _ in range(2)] == pytest.approx([1.2, 2.2])


def test_lifting_the_limit_keeps_the_order() -> None:
    limiter = Limiter(1.0)
    assert [limiter.reserve(0.0) for _ in range(2)] == [0.0, 1.0]
    limiter.change(None, now=0.0)
    assert [limiter.reserve(0.0), limiter.reserve(0.5), limiter.reserve(7.0)] == [1.0, 1.0, 7.0]


def test_a_limit_that_is_set_later_starts_afresh() -> None:
    limiter = Limiter(None)
    assert [limiter.reserve(5.0) for _ in range(100)] == [5.0] * 100
    limiter.change(2.0, now=5.0)
    assert [limiter.reserve(4.995) for _ in range(3)] == [5.0, 5.5, 6.0]
    assert limiter.max_per_second == 2.0


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), float("-inf")])
def test_a_rate_is_positive_and_finite(rate: float) -> None:
    with pytest.raises(InvalidInputError, match="max_per_second"):
        Limiter(rate)


@pytest.mark.parametrize("burst", [0, -3, 1.5, float("nan"), "2"])
def test_a_burst_is_a_whole_number(burst: int) -> None:
    with pytest.raises(InvalidInputError, match="burst"):
        Limiter(1.0, burst)


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 1), (5.0, 0)])
def test_a_change_that_is_refused_changes_nothing(rate: float, burst: int) -> None:
    limiter = Limiter(1.0)
    limiter.reserve(0.0)
    with pytest.raises(InvalidInputError):
        limiter.change(rate, 0.0, burst)
    assert repr(limiter) == "Limiter(max_per_second=1.0, burst=1)"
    assert limiter.reserve(0.0) == 1.0


@given(rates, bursts, st.lists(st.tuples(pauses, st.booleans()), max_size=40), st.randoms())
def test_starts_that_are_given_back_are_given_away_again_and_the_law_holds(
    rate: float | None, burst: int, script: list[tuple[float, bool]], dice: random.Random
) -> None:
    limiter, now, kept = Limiter(rate, burst), 0.0, list[float]()
    for pause, stays in script:
        now += pause
        kept.append(limiter.reserve(now))
        assert kept[-1] >= now
        if not stays:
            limiter.give_back(kept.pop(dice.randrange(len(kept))))
    law(sorted(kept), [(NEVER, rate)], burst)


@pytest.mark.parametrize("order", [1, -1])
def test_those_who_give_up_cost_the_others_nothing(order: int) -> None:
    limiter = Limiter(100.0)
    starts = [limiter.reserve(0.0) for _ in range(2000)]
    for start in starts[1::order] if order > 0 else starts[:0:order]:
        limiter.give_back(start)
    assert limiter.reserve(0.0) == pytest.approx(0.01)
    assert [limiter.reserve(4.995) for _ in range(3)] == pytest.approx([5.0, 5.01, 5.02], abs=1e-6)


def test_starts_of_a_former_rate_are_not_given_away_again() -> None:
    limiter = Limiter(100.0)
    starts = [limiter.reserve(0.0) for _ in range(101)]
    for start in starts[1:50]:
        limiter.give_back(start)
    limiter.change(1.0, now=0.0)
    for start in starts[50:]:
        limiter.give_back(start)
    assert [limiter.reserve(0.0) for _ in range(2)] == pytest.approx([2.0, 3.0])


def test_starts_are_strictly_spaced_at_burst_one() -> None:
    limiter = Limiter(3.0)
    starts = [limiter.reserve(0.0) for _ in range(1000)]
    assert all(later - earlier == pytest.approx(1 / 3) for earlier, later in pairwise(starts))


def test_the_earliest_start_may_be_one_that_was_given_back() -> None:
    limiter = Limiter(1.0)
    starts = [limiter.reserve(0.0) for _ in range(4)]
    for start in starts[1:3]:
        limiter.give_back(start)
    assert (limiter.earliest(0.5), limiter.earliest(1.5), limiter.earliest(2.5)) == (1.0, 2.0, 4.0)
