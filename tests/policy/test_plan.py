"""The options of a plan."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest
from attrs.exceptions import FrozenInstanceError

from aioconnections import InvalidInputError, Plan
from aioconnections.errors import ConnectionsError


def test_defaults() -> None:
    assert repr(Plan()) == "Plan(window_pairs=50000, memory_bytes=268435456, page_cost=None)"


@pytest.mark.parametrize(
    "options",
    [
        {"window_pairs": 1},
        {"window_pairs": 10**9},
        {"memory_bytes": 1 << 20},
        {"page_cost": 3},
        {"page_cost": 1.33},
        {"page_cost": 5e-324},
        {"page_cost": None},
    ],
)
def test_valid_values_are_kept(options: dict[str, Any]) -> None:
    plan = Plan(**options)
    assert {name: getattr(plan, name) for name in options} == options


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("window_pairs", 0, "an integer of at least 1, got 0"),
        ("window_pairs", -5, "an integer of at least 1, got -5"),
        ("window_pairs", True, "an integer of at least 1, got True"),
        ("window_pairs", 1e4, "an integer of at least 1, got 10000.0"),
        ("window_pairs", "50000", "an integer of at least 1, got '50000'"),
        ("window_pairs", None, "an integer of at least 1, got None"),
        ("memory_bytes", (1 << 20) - 1, "an integer of at least 1,048,576, got 1048575"),
        ("memory_bytes", 2.0**28, "an integer of at least 1,048,576, got 268435456.0"),
        ("page_cost", 0, "a positive number or None, got 0"),
        ("page_cost", 0.0, "a positive number or None, got 0.0"),
        ("page_cost", -1.5, "a positive number or None, got -1.5"),
        ("page_cost", nan, "a positive number or None, got nan"),
        ("page_cost", inf, "a positive number or None, got inf"),
        ("page_cost", -inf, "a positive number or None, got -inf"),
        ("page_cost", True, "a positive number or None, got True"),
        ("page_cost", "2", "a positive number or None, got '2'"),
    ],
)
def test_an_invalid_value_is_refused_by_name(name: str, value: object, expected: str) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(InvalidInputError) as caught:
        Plan(**options)
    assert str(caught.value) == f"{name} must be {expected}"
    assert isinstance(caught.value, ConnectionsError)


def test_a_cost_that_is_too_large_for_a_float_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="page_cost must be a positive number or None, got 1000"):
        Plan(page_cost=10**309)


def test_values_are_given_by_name_and_do_not_change() -> None:
    with pytest.raises(TypeError, match="positional"):
        Plan(1000)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue] # this is refused
    with pytest.raises(FrozenInstanceError):
        Plan().window_pairs = 1  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue] # this is refused
