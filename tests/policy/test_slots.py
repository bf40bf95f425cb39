"""Slots count the requests under way, below the lower of two limits."""

from __future__ import annotations

from aioconnections.policy.slots import Slots


def test_the_lower_of_limit_and_cap_applies_and_neither_changes_the_other() -> None:
    slots, seen = Slots(8), list[tuple[int, int, int | None]]()
    slots.free -= 3
    for step, limit in ((slots.cap, 2), (slots.change, 1), (slots.change, 6), (slots.cap, None)):
        step(limit)  # type: ignore[arg-type] # only `cap` accepts None
        seen.append((slots.limit, slots.free, slots.capped))
        assert slots.taken == 3
    assert seen == [(2, -1, 2), (1, -2, 2), (2, -1, 2), (6, 3, None)]
