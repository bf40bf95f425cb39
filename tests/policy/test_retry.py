"""Which failures are tried again, how often, and after which pause."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.errors import (
    CertificateError,
    ConnectFailedError,
    DeadlineError,
    LocalLimitError,
    ProtocolError,
    TransportError,
)
from aioconnections.policy.retry import Retry, RetryBudget

STATUSES = [200, 201, 204, 301, 302, 400, 401, 403, 404, 405, 408, 409, 418, 429, 500, 501, 502, 503, 504, 505, 599]
REPEATABLE_AGAIN = {429, 502, 503, 504}
POST_AGAIN = {429}  # "nothing was done"; after the others a POST is in doubt

NEVER_SENT = [ConnectFailedError("refused")]
LOCAL = LocalLimitError("no descriptor is left")


def deterministic(error: TransportError, *, reused: bool = False) -> TransportError:
    error.deterministic = True
    if isinstance(error, ProtocolError):
        error.reused = reused
    return error


FOR_GOOD = [
    CertificateError("not accepted"),
    deterministic(ConnectFailedError("no TLS")),
    deterministic(ProtocolError("no HTTP", sent="maybe")),
]
MAYBE_SENT = [DeadlineError("late", sent="maybe"), ProtocolError("broken", sent="maybe")]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("repeatable", [True, False])
def test_the_table_of_answers(status: int, *, repeatable: bool) -> None:
    passing = REPEATABLE_AGAIN if repeatable else POST_AGAIN
    assert Retry(4).after_response(status, None, repeatable=repeatable) is (status in passing)


@pytest.mark.parametrize(
    ("error", "repeatable", "again"),
    [
        *((error, repeatable, True) for error in NEVER_SENT for repeatable in (True, False)),
        *((error, True, True) for error in MAYBE_SENT),
        *((error, False, False) for error in MAYBE_SENT),
        (DeadlineError("no time left", sent="no"), False, True),
        *((error, repeatable, False) for error in FOR_GOOD for repeatable in (True, False)),
        *((LOCAL, repeatable, False) for repeatable in (True, False)),
        (deterministic(ProtocolError("no HTTP", sent="maybe"), reused=True), True, True),
        (deterministic(ProtocolError("no HTTP", sent="maybe"), reused=True), False, False),
    ],
)
def test_the_table_of_failures(error: TransportError, *, repeatable: bool, again: bool) -> None:
    assert Retry(4).after_failure(error, repeatable=repeatable) is again


@pytest.mark.parametrize(
    ("retry_after", "again"), [(None, True), (0.0, True), (300.0, True), (300.1, False), (1e9, False)]
)
def test_a_longer_pause_than_five_minutes_ends_the_retries(retry_after: float | None, *, again: bool) -> None:
    assert Retry().after_response(503, retry_after, repeatable=True) is again


@given(st.integers(1, 100_000), st.floats(0, 1))
def test_a_pause_is_within_its_bounds(attempt: int, chance: float) -> None:
    assert 0.0 <= Retry().pause(attempt, lambda: chance) <= 8.0


def test_the_ceiling_doubles_up_to_eight_seconds() -> None:
    ceilings = [Retry().pause(attempt, lambda: 1.0) for attempt in range(1, 9)]
    assert ceilings == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert Retry().pause(3, lambda: 0.0) == 0.0, "full jitter starts at nothing"
    assert Retry().pause(3, lambda: 0.5) == 0.5


@pytest.mark.parametrize("attempts", [0, -1])
def test_at_least_one_attempt(attempts: int) -> None:
    with pytest.raises(ValueError, match="max_attempts"):
        Retry(attempts)


def test_a_full_outage_costs_thirty_five_retries() -> None:
    budget = RetryBudget()
    assert budget.is_full
    assert sum(budget.spend() for _ in range(1000)) == 35
    assert repr(budget) == "RetryBudget(0 left)"


def test_ten_good_responses_earn_a_retry() -> None:
    budget = RetryBudget()
    while budget.spend():
        pass
    for _ in range(11):
        budget.earn()
    assert budget.left == 1
    assert [budget.spend(), budget.spend()] == [True, False]


@given(st.lists(st.booleans(), max_size=2000))
def test_retries_never_exceed_the_stock_and_a_tenth_of_the_good_responses(steps: list[bool]) -> None:
    budget, retries = RetryBudget(), 0
    for well in steps:
        if well:
            budget.earn()
        else:
            retries += budget.spend()
    assert retries <= 35 + steps.count(True) * 0.1
    assert budget.left <= 35
