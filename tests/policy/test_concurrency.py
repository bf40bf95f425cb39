"""How many requests may be under way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aioconnections.policy.concurrency import Concurrency


def grown(concurrency: Concurrency, answers: int) -> int:
    for _ in range(answers):
        concurrency.answered()
    return concurrency.bound


def test_it_begins_at_the_most_and_stays_there_while_all_goes_well() -> None:
    assert grown(Concurrency(16), 100) == 16


def test_a_refusal_halves_it_once_for_all_that_were_under_way() -> None:
    concurrency = Concurrency(16)
    for _ in range(16):
        concurrency.refused(started=1.0, now=2.0)
    assert concurrency.bound == 8
    concurrency.refused(started=2.0, now=3.0)
    assert concurrency.bound == 4


def test_it_never_falls_below_one() -> None:
    concurrency = Concurrency(16)
    for moment in range(100):
        concurrency.refused(started=moment, now=moment + 1)
    assert concurrency.bound == 1


def test_it_grows_by_one_with_each_round_of_good_answers() -> None:
    concurrency = Concurrency(16)
    concurrency.refused(started=0, now=1)
    assert grown(concurrency, 8) == 8
    assert grown(concurrency, 1) == 9
    assert grown(concurrency, 200) == 16


def test_after_an_outage_it_grows_fast_to_half_and_then_with_care() -> None:
    concurrency = Concurrency(16)
    concurrency.restart(now=100.0)
    assert concurrency.bound == 1
    assert grown(concurrency, 7) == 8
    assert grown(concurrency, 8) == 8
    concurrency.refused(started=99.0, now=101.0)  # of before the outage: it says nothing of now
    assert concurrency.bound == 8
    assert repr(concurrency) == "Concurrency(8 of 16)"


@given(st.integers(1, 300), st.lists(st.booleans(), max_size=300))
def test_it_stays_between_one_and_the_most(most: int, steps: list[bool]) -> None:
    concurrency = Concurrency(most)
    for moment, well in enumerate(steps):
        if well:
            concurrency.answered()
        else:
            concurrency.refused(moment, moment + 1)
        assert 1 <= concurrency.bound <= most
