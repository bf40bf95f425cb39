"""Which failures are tried again, how often, and after which pause."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.errors import (
    CertificateError,
    ConnectFailedError,
    DeadlineError,
    ProtocolError,
    TransportError,
)
from aioconnections.policy.retry import Retry

STATUSES = [200, 201, 204, 301, 302, 400, 401, 403, 404, 405, 408, 409, 418, 429, 500, 501, 502, 503, 504, 505, 599]
IDEMPOTENT_AGAIN = {429, 502, 503, 504}
POST_AGAIN = {429}  # "nothing was done"; after the others a POST is in doubt

NEVER_SENT = [ConnectFailedError("refused")]
MAYBE_SENT = [DeadlineError("late", sent="maybe"), ProtocolError("broken", sent="maybe")]


@pytest.mark.parametrize("attempt", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("idempotent", [True, False])
def test_the_table_of_answers(status: int, attempt: int, *, idempotent: bool) -> None:
    passing = IDEMPOTENT_AGAIN if idempotent else POST_AGAIN
    expected = status in passing and attempt < 4
    assert Retry(4).after_answer(attempt, status, None, idempotent=idempotent) is expected


@pytest.mark.parametrize(
    ("error", "idempotent", "again"),
    [
        *((error, idempotent, True) for error in NEVER_SENT for idempotent in (True, False)),
        *((error, True, True) for error in MAYBE_SENT),
        *((error, False, False) for error in MAYBE_SENT),
        (DeadlineError("no time left", sent="no"), False, True),
        *((CertificateError("not accepted"), idempotent, False) for idempotent in (True, False)),
    ],
)
def test_the_table_of_failures(error: TransportError, *, idempotent: bool, again: bool) -> None:
    retry = Retry(4)
    assert [retry.after_failure(n, error, idempotent=idempotent) for n in (1, 3, 4)] == [again, again, False]


@pytest.mark.parametrize(("wish", "again"), [(None, True), (0.0, True), (300.0, True), (300.1, False), (1e9, False)])
def test_a_wish_beyond_five_minutes_ends_it(wish: float | None, *, again: bool) -> None:
    assert Retry().after_answer(1, 503, wish, idempotent=True) is again


def test_one_attempt_means_no_retry() -> None:
    retry = Retry(1)
    assert not retry.after_answer(1, 503, None, idempotent=True)
    assert not retry.after_failure(1, ConnectFailedError("refused"), idempotent=True)


@given(st.integers(1, 100_000), st.one_of(st.none(), st.floats(0, 300)), st.floats(0, 1))
def test_a_pause_is_within_its_bounds(attempt: int, wish: float | None, chance: float) -> None:
    pause = Retry().pause(attempt, wish, lambda: chance)
    assert (wish or 0.0) <= pause <= max(wish or 0.0, 8.0)


def test_the_ceiling_doubles_up_to_eight_seconds() -> None:
    ceilings = [Retry().pause(attempt, None, lambda: 1.0) for attempt in range(1, 9)]
    assert ceilings == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert Retry().pause(3, None, lambda: 0.0) == 0.0, "full jitter starts at nothing"
    assert Retry().pause(3, None, lambda: 0.5) == 0.5


def test_the_wish_of_the_server_is_the_least() -> None:
    assert Retry().pause(1, 5.0, lambda: 1.0) == 5.0
    assert Retry().pause(6, 5.0, lambda: 1.0) == 8.0


@pytest.mark.parametrize("attempts", [0, -1])
def test_at_least_one_attempt(attempts: int) -> None:
    with pytest.raises(ValueError, match="max_attempts"):
        Retry(attempts)
