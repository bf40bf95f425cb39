"""The remembered statuses: their age, whose they are, and what removes them."""

from __future__ import annotations

import tracemalloc
from math import inf, nan
from typing import Any

import pytest

from aioconnections import Email, InvalidInputError, Pair, Status, StatusCache, Userid
from aioconnections.policy.changes import Changes
from aioconnections.policy.status_cache import Remembered, Statuses

ANN, BOB, EVE = Userid("ann"), Userid("bob"), Userid("eve")
PAIR = Pair(ANN, BOB)


def filled(status: Status | None = Status.ACCEPTED, **options: Any) -> tuple[Statuses, Changes]:
    changes = Changes()
    statuses = Statuses(StatusCache(**options), changes)
    statuses.put("me", PAIR, status, asked_at=100.0, since=0)
    return statuses, changes


@pytest.mark.parametrize(
    ("status", "now", "max_age", "unavailable", "age"),
    [
        (Status.ACCEPTED, 100.0, None, False, 0.0),
        (Status.ACCEPTED, 99.0, None, False, 0.0),
        (Status.PENDING, 160.0, None, False, 60.0),
        (Status.ACCEPTED, 160.1, None, False, None),
        (None, 115.0, None, False, 15.0),
        (None, 115.1, None, False, None),
        (Status.ACCEPTED, 130.0, 30.0, False, 30.0),
        (Status.ACCEPTED, 130.1, 30.0, False, None),
        (Status.ACCEPTED, 161.0, 900.0, False, None),
        (Status.ACCEPTED, 260.0, None, True, 160.0),
        (Status.ACCEPTED, 260.1, None, True, None),
        (Status.ACCEPTED, 200.0, 99.0, True, None),
        (None, 215.0, None, True, 115.0),
        (None, 215.1, None, True, None),
    ],
)
def test_how_old_a_status_may_be(
    status: Status | None, now: float, max_age: float | None, age: float | None, *, unavailable: bool
) -> None:
    statuses, _ = filled(status, stale_while_unavailable=100)
    found = statuses.find("me", PAIR, now, max_age=max_age, unavailable=unavailable)
    assert found == (None if age is None else Remembered(status, age))
    assert statuses.hits == (age is not None)
    assert statuses.stale == (age is not None and age > (15 if status is None else 60))


def test_it_belongs_to_one_viewer_and_one_direction() -> None:
    statuses, _ = filled()
    assert statuses.find("other", PAIR, 100.0, max_age=None) is None
    assert statuses.find("me", Pair(BOB, ANN), 100.0, max_age=None) is None
    assert statuses.find("me", Pair(Email("ann@example.com"), BOB), 100.0, max_age=None) is None
    assert len(statuses) == 1


def test_a_change_removes_it_and_what_was_asked_before_is_not_stored() -> None:
    statuses, changes = filled()
    changes.made((EVE,))
    assert statuses.find("me", PAIR, 100.0, max_age=None) is not None
    changes.made((BOB,))
    assert statuses.find("me", PAIR, 100.0, max_age=None) is None
    assert repr(statuses) == "Statuses(0 of 100000)"
    statuses.put("me", PAIR, None, asked_at=101.0, since=changes.count - 1)
    assert len(statuses) == 0
    statuses.put("me", PAIR, None, asked_at=101.0, since=changes.count)
    assert statuses.find("me", PAIR, 101.0, max_age=None) == (None, 0.0)


def test_an_earlier_response_that_comes_late_replaces_none() -> None:
    statuses, _ = filled()
    statuses.put("me", PAIR, None, asked_at=99.0, since=0)
    assert statuses.find("me", PAIR, 100.0, max_age=None) == (Status.ACCEPTED, 0.0)
    statuses.put("me", PAIR, None, asked_at=100.5, since=0)
    assert statuses.find("me", PAIR, 100.5, max_age=None) == (None, 0.0)


def test_the_least_recently_used_are_removed() -> None:
    statuses, _ = filled(max_entries=3)
    pairs = [Pair(ANN, Userid(f"b{number}")) for number in range(3)]
    for pair in pairs[:2]:
        statuses.put("me", pair, None, asked_at=100.0, since=0)
    statuses.find("me", PAIR, 100.0, max_age=None)
    statuses.put("me", pairs[2], None, asked_at=100.0, since=0)
    assert len(statuses) == 3
    assert statuses.find("me", pairs[0], 100.0, max_age=None) is None
    assert statuses.find("me", PAIR, 100.0, max_age=None) is not None


def test_the_options_and_their_defaults() -> None:
    assert repr(StatusCache()) == (
        "StatusCache(ttl=60.0, negative_ttl=15.0, max_entries=100000, stale_while_unavailable=0.0)"
    )


@pytest.mark.parametrize("name", ["ttl", "negative_ttl", "stale_while_unavailable"])
@pytest.mark.parametrize("value", [-1, inf, nan, True, "60", None])
def test_seconds_that_are_none(name: str, value: object) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(InvalidInputError, match=f"{name} must be a number of seconds of at least 0, got"):
        StatusCache(**options)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, None])
def test_a_bound_that_is_none(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="max_entries must be an integer of at least 1, got"):
        StatusCache(max_entries=value)


@pytest.mark.slow
def test_the_memory_of_a_full_cache() -> None:
    """With the pairs, each of two people of its own: 63 MB for the default of 100,000 statuses on CPython 3.11."""
    count = 20_000
    statuses = Statuses(StatusCache(max_entries=count), Changes())
    tracemalloc.start()
    try:
        for number in range(2 * count):
            pair = Pair(Email(f"source{number}@example.com"), Email(f"target{number}@example.com"))
            statuses.put("me", pair, Status.ACCEPTED, asked_at=float(number), since=0)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(statuses) == count
    assert used / count < 700
