"""Latency and the number of connections for a rate: Little's law within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.doctor.proposal import FASTEST, MOST_CONNECTIONS, percentile, proposal


@pytest.mark.parametrize(
    ("p95", "rate", "connections", "per_second"),
    [
        (0.0, 100, 2, 100),
        (0.0005, 100, 2, 100),
        (0.010, 100, 2, 100),
        (0.011, 100, 3, 100),
        (0.030, 100, 4, 100),
        (0.150, 100, 16, 100),
        (0.155, 100, 17, 100),
        (0.630, 100, 64, 100),
        (0.700, 100, 64, 90),
        (3.000, 100, 64, 21),
        (63.00, 100, 64, 1),
        (0.150, None, 16, 100),
        (0.150, 1_000, 16, 100),
        (0.150, 10, 3, 10),
        (2.000, 0.5, 2, 0.5),
    ],
)
def test_table(p95: float, rate: float | None, connections: int, per_second: float) -> None:
    found = proposal(p95=p95, rate=rate)
    assert found.max_connections == connections
    assert found.per_second == pytest.approx(per_second)
    assert found.limited is (found.per_second < min(rate or 100, 100))


@given(st.floats(0, 600), st.none() | st.floats(0.01, 10_000))
def test_never_above_100_per_second_nor_64_connections(p95: float, rate: float | None) -> None:
    found = proposal(p95=p95, rate=rate)
    assert 0 < found.per_second <= min(FASTEST, rate or FASTEST)
    assert 2 <= found.max_connections <= MOST_CONNECTIONS
    assert found.limited or (found.max_connections - 1) >= found.per_second * p95 - 1e-3


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.05, 1), (0.051, 2), (0.5, 10), (0.95, 19), (0.951, 20), (1.0, 20)]
)
def test_percentiles_of_twenty(share: float, expected: int) -> None:
    assert percentile([float(number) for number in range(20, 0, -1)], share) == expected


def test_percentiles_of_one() -> None:
    assert percentile([0.3], 0.5) == percentile([0.3], 0.95) == 0.3
