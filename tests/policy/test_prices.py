"""What a page of a list costs in checks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.policy.prices import Prices

MANY = 1_000_000  # connections: the server takes no time


def prices(interval: float = 0.0, connections: int = 1, page_cost: float | None = None) -> Prices:
    return Prices(lambda: interval, connections, page_cost)


def test_without_other_bounds_the_price_is_that_of_the_time_of_the_server() -> None:
    assert prices().page == pytest.approx(0.1 / 0.02)


@pytest.mark.parametrize(
    ("interval", "connections", "price"),
    [
        (1.0, 1, 1.0),
        (1.0, MANY, 1.0),
        (0.05, 1, 0.1 / 0.05),  # the rate delays checks, and the server delays pages
        (0.01, MANY, 0.012 / 0.01),  # the client needs 12 ms for a page
        (0.0, 4, 0.1 / 0.02),  # the connections share the time of the server
        (0.0, 10, 0.012 / 0.002),
        (0.0, MANY, 0.012 / 30e-6),  # the client needs 30 microseconds for a check
    ],
)
def test_the_largest_of_rate_client_and_server_counts(interval: float, connections: int, price: float) -> None:
    assert prices(interval, connections).page == pytest.approx(price)


def test_the_rate_limit_of_now_counts() -> None:
    interval = [1.0]
    found = Prices(lambda: interval[0], MANY)
    assert found.page == 1
    interval[0] = 0.001
    assert found.page == pytest.approx(12)


def test_a_price_that_is_given_is_not_learned() -> None:
    found = prices(page_cost=2.5)
    found.checked(1.0)
    found.listed(60.0, 1)
    assert found.page == 2.5


def test_a_response_has_a_tenth_of_the_weight() -> None:
    found = prices()
    found.checked(0.12)
    assert found.page == pytest.approx(0.1 / 0.03)
    found.listed(2.2, 2)
    assert found.page == pytest.approx(0.2 / 0.03)


def test_a_list_without_a_page_teaches_nothing() -> None:
    found = prices()
    found.listed(30.0, 0)
    assert found.page == prices().page


@given(check=st.floats(0.001, 10), page=st.floats(0.02, 10), pages=st.integers(1, 5))
def test_the_price_approaches_the_times_of_the_server(check: float, page: float, pages: int) -> None:
    found = prices()
    for _ in range(200):
        found.checked(check)
        found.listed(page * pages, pages)
    assert found.page == pytest.approx(page / check, rel=1e-3)
