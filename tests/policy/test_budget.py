"""How much may be tried again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aioconnections.policy.budget import RetryBudget


def test_a_full_outage_is_paid_for_thirty_five_times() -> None:
    budget = RetryBudget()
    assert budget.is_full
    assert sum(budget.spend() for _ in range(1000)) == 35
    assert repr(budget) == "RetryBudget(0 left)"


def test_ten_good_answers_earn_a_retry() -> None:
    budget = RetryBudget()
    while budget.spend():
        pass
    for _ in range(11):
        budget.earn()
    assert budget.left == 1
    assert [budget.spend(), budget.spend()] == [True, False]


@given(st.lists(st.booleans(), max_size=2000))
def test_retries_are_never_more_than_the_store_and_a_tenth_of_what_went_well(steps: list[bool]) -> None:
    budget, retries = RetryBudget(), 0
    for well in steps:
        if well:
            budget.earn()
        else:
            retries += budget.spend()
    assert retries <= 35 + steps.count(True) * 0.1
    assert budget.left <= 35
