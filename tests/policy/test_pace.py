"""How fast a server lets us be, learned from its refusals."""

from __future__ import annotations

import pytest

from aioconnections.policy.pace import Pace

LATENCY = 0.02


def meet(pace: Pace, phases: list[tuple[float, float]], most: float = 200.0, burst: float = 5.0) -> tuple[float, float]:
    """Send to a gateway that lets through so many per second for so long; which part of that was used, and refused."""
    under_way: list[tuple[float, float, bool]] = []
    now = began = 0.0
    tokens, good, refused = burst, 0, 0
    for allowed, seconds in phases:
        began += seconds
        while now < began:
            while under_way and under_way[0][0] <= now:
                ended, started, well = under_way.pop(0)
                if well:
                    pace.answered(ended, most)
                else:
                    pace.refused(started, ended, most)
            step = 1 / min(most, pace.per_second or most)
            tokens = min(burst, tokens + step * allowed)
            now += step
            well = tokens >= 1
            tokens -= well
            good, refused = good + well, refused + (not well)
            under_way.append((now + LATENCY, now, well))
    return good / sum(allowed * seconds for allowed, seconds in phases), refused / (good + refused)


@pytest.mark.parametrize(
    "phases",
    [[(100, 60), (10, 60), (100, 60)], [(100, 60)], [(150, 300)], [(10, 300)], [(50, 60), (5, 60), (50, 60), (5, 60)]],
)
def test_a_gateway_that_counts_is_used_to_the_full_and_refuses_little(phases: list[tuple[float, float]]) -> None:
    used, refused = meet(Pace(), phases)
    assert used >= 0.85
    assert refused <= 0.05


def test_while_nothing_is_refused_nothing_changes() -> None:
    pace = Pace()
    assert not any(pace.answered(moment / 10, 100.0) for moment in range(1000))
    assert pace.per_second is None
    assert repr(pace) == "Pace(free)"


def test_all_who_were_under_way_count_once() -> None:
    pace = Pace()
    for moment in range(300):
        pace.answered(moment / 100, None)
    assert pace.refused(started=2.9, now=3.0, most=None)
    first = pace.per_second
    assert first == pytest.approx(95, rel=0.15)
    assert not pace.refused(started=2.95, now=3.6, most=None)
    assert not pace.refused(started=3.1, now=3.2, most=None)
    assert pace.per_second == first
    assert repr(pace).endswith("/s)")


def restrained() -> Pace:
    """A pace of a half per second, where nothing else limits the rate."""
    pace = Pace()
    for moment in (-4.0, -2.0, 0.0):
        pace.answered(moment, None)
    for tenth in range(10, 61, 5):
        assert pace.refused(tenth / 10, tenth / 10, None)
    assert pace.per_second == 0.5  # never less
    return pace


def test_without_a_rate_and_before_much_was_answered_a_refusal_says_nothing() -> None:
    pace = Pace()
    assert not pace.refused(0.0, 1.0, None)
    pace.answered(1.0, None)
    assert not pace.refused(1.5, 2.0, None)
    assert pace.is_free


def test_time_in_which_the_client_asked_for_nothing_does_not_lower_it() -> None:
    pace = Pace()
    for moment in range(300):
        pace.answered(moment / 100, 100.0)
    assert pace.refused(started=33.0, now=33.1, most=100.0)  # the first request after half a minute of silence
    assert pace.per_second is not None
    assert pace.per_second >= 50
    assert pace.refused(started=33.7, now=33.8, most=100.0)
    assert pace.per_second >= 25


def test_it_is_given_up_once_it_holds_nobody_back() -> None:
    pace = restrained()
    for tenth in range(600):
        pace.answered(6 + tenth / 10, 100.0)
    assert repr(pace) == "Pace(free)"


def test_it_is_given_up_where_somebody_else_is_slower() -> None:
    pace = restrained()
    for moment in range(7, 100):
        pace.answered(float(moment), None)
    assert repr(pace) == "Pace(free)"


def test_before_much_was_answered_a_refusal_halves_it() -> None:
    pace = Pace()
    pace.answered(0.0, 100.0)
    pace.refused(0.0, 0.1, 100.0)
    assert pace.per_second == 50.0
    pace.refused(0.5, 0.7, 100.0)
    assert pace.per_second == 25.0
