"""The starts of one process that shares a rate; no store and no clock, the test says what time it is."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.errors import InvalidInputError
from aioconnections.policy.leases import LATEST, LEASE, Grant, LeasedStarts

EPOCH = 1_790_000_000.0  # the time of the store when ours is 0


class Needs:
    """Counts how often starts were needed."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def leased(max_per_second: float = 100, *, share: int | None = None) -> tuple[LeasedStarts, Needs]:
    needs = Needs()
    return LeasedStarts(max_per_second, 1, needs, share), needs


def grant(first: float, count: int, *, now: float, interval: float = 0.01) -> Grant:
    """Starts from `first` on, by our time, granted at `now`."""
    return Grant(EPOCH + now, tuple(EPOCH + first + number * interval for number in range(count)), interval)


def taken(starts: LeasedStarts, now: float) -> list[float]:
    """All starts that are there at `now`."""
    found = []
    while (start := starts.reserve(now)) < inf:
        found.append(round(start, 4))
    return found


def test_without_a_lease_there_is_no_start_and_one_is_needed() -> None:
    starts, needs = leased()
    assert starts.earliest(0.0) == inf
    assert starts.reserve(0.0) == inf
    assert needs.count == 2
    starts.give_back(inf)
    assert len(starts) == 0


def test_the_starts_of_a_lease_are_assigned_in_order() -> None:
    starts, _ = leased()
    starts.granted(grant(0.1, 3, now=0.0), 0.0)
    assert starts.earliest(0.0) == pytest.approx(0.1, abs=1e-5)
    assert taken(starts, 0.0) == [0.1, 0.11, 0.12]


def test_a_slow_reply_makes_starts_late_and_never_early() -> None:
    starts, _ = leased()
    starts.granted(grant(0.1, 1, now=0.0), 0.004)  # the reply took at most 4 ms
    assert starts.reserve(0.004) == pytest.approx(0.104, abs=1e-5)
    starts.granted(grant(0.2, 1, now=0.15), 0.151)  # and this one 1 ms
    assert starts.reserve(0.151) == pytest.approx(0.201, abs=1e-5)
    starts.granted(grant(0.3, 1, now=0.25), 0.28)  # a slow one teaches nothing
    assert starts.reserve(0.28) == pytest.approx(0.301, abs=1e-5)


def test_clocks_that_drift_apart_are_compared_again() -> None:
    starts, _ = leased()
    for second in range(100):  # ours gains 0.1 ms in a second
        now = second * 1.0001
        starts.granted(Grant(EPOCH + second, (EPOCH + second,), 0.01), now)
        assert now <= starts.reserve(now) <= now + 0.002
    assert starts.late == 0


def test_a_start_that_comes_too_late_is_discarded() -> None:
    starts, needs = leased()
    starts.granted(grant(0.0, 5, now=0.0), 0.0)
    assert taken(starts, 0.025) == [0.025, 0.025, 0.03, 0.04]  # due at 10, 20, 30 and 40 ms
    assert starts.late == 1
    assert needs.count


def test_discarded_starts_are_counted() -> None:
    starts, _ = leased()
    starts.granted(grant(0.0, 10, now=0.0), 0.0)
    assert starts.earliest(0.051) == pytest.approx(0.051, abs=1e-5)
    assert starts.late == 4  # 0, 10, 20 and 30 ms
    assert len(starts) == 6


def test_more_starts_are_requested_when_half_of_them_are_used() -> None:
    starts, needs = leased()
    starts.asked(0.0)
    starts.granted(grant(0.0, 4, now=0.0), 0.0)
    starts.reserve(0.0)
    assert needs.count == 0
    starts.reserve(0.01)
    assert needs.count == 1


def test_as_many_starts_are_wanted_as_will_be_used() -> None:
    starts, _ = leased(100)
    assert starts.wanted(0.0, 3) == 3
    assert starts.wanted(0.0, 1000) == 20  # those of a lease
    starts.asked(0.0)
    starts.granted(grant(0.0, 20, now=0.0), 0.0)
    assert starts.wanted(0.0, 5) == 0
    for number in range(12):
        starts.reserve(number / 100)
    assert starts.wanted(0.12, 0) == 4  # 12 were used since, 8 are left
    assert starts.wanted(10.0, 0) == 0  # not used for long


def test_no_starts_are_wanted_while_half_of_a_lease_is_left() -> None:
    starts, needs = leased(100)
    starts.asked(0.0)
    starts.granted(grant(0.0, 20, now=0.0), 0.0)
    assigned = [starts.reserve(number / 100) for number in range(9)]
    assert starts.wanted(0.09, 0) == 0
    assert starts.wanted(0.09, 10) == 0  # there is more than one for each
    assert starts.wanted(0.09, 11) == 8
    assert needs.count == 0
    assigned.append(starts.reserve(0.09))
    assert needs.count == 1
    starts.give_back(assigned.pop())  # before the task asks, which nothing else would wake
    assert starts.wanted(0.09, 5) > 0


def test_a_lease_that_was_not_granted_is_not_requested_again_at_once() -> None:
    starts, needs = leased()
    starts.granted(Grant(EPOCH, (), 0.01, wait=0.3), 0.0)
    assert starts.wanted(0.29, 5) == 0
    assert starts.not_before == pytest.approx(0.3)
    before = needs.count
    assert starts.earliest(0.29) == inf
    assert needs.count == before  # the task that asks the store looks again then
    assert starts.earliest(0.3) == inf
    assert needs.count == before + 1
    assert starts.wanted(0.3, 5) == 5
    starts.granted(Grant(EPOCH + 0.3, (), 0.01), 0.3)
    assert starts.not_before > 0.3  # a store that gives no time is not asked in a loop


def test_a_start_that_is_given_back_is_assigned_again() -> None:
    starts, _ = leased()
    starts.granted(grant(0.1, 2, now=0.0), 0.0)
    first = starts.reserve(0.0)
    starts.give_back(first)
    assert starts.reserve(0.0) == pytest.approx(first, abs=1e-5)


def test_late_replies_ask_for_later_starts() -> None:
    starts, _ = leased()
    starts.granted(grant(0.0, 0, now=0.0), 0.0)
    assert starts.lead == 0.0
    starts.granted(grant(0.0, 0, now=1.0), 1.06)  # 60 ms later than the fastest
    assert starts.lead == pytest.approx(0.06 - LATEST / 2, abs=1e-5)
    starts.granted(grant(0.0, 0, now=2.0), 2.0)
    assert starts.lead == pytest.approx(0.03 - LATEST / 2, abs=1e-5)
    starts.granted(grant(0.0, 0, now=3.0), 5.0)
    assert starts.lead == LEASE  # none is granted for a later time


def test_unused_starts_are_given_back_to_the_store_by_its_time() -> None:
    starts, _ = leased()
    starts.granted(grant(0.0, 10, now=0.0), 0.0)
    starts.reserve(0.0)
    unused = starts.take_unused(0.03)
    assert [round(start - EPOCH, 3) for start in unused] == [0.06, 0.07, 0.08, 0.09]  # the others come too late
    assert starts.reserve(0.03) == inf


def test_starts_that_others_gave_back_are_put_in_order() -> None:
    starts, _ = leased()
    starts.granted(grant(0.2, 2, now=0.0), 0.0)
    starts.granted(grant(0.1, 2, now=0.0), 0.0)
    assert taken(starts, 0.0) == [0.1, 0.11, 0.2, 0.21]


def test_the_rate_is_the_one_that_the_store_says() -> None:
    starts, needs = leased(100)
    assert starts.interval == pytest.approx(0.01)
    starts.granted(Grant(EPOCH, (), 0.05), 0.0)
    assert starts.interval == pytest.approx(0.05)
    assert starts.granted_interval == pytest.approx(0.05)
    starts.change(200, 0.0)
    assert starts.own_interval == pytest.approx(0.005)
    assert needs.count == 1  # the store must hear of it
    assert starts.max_per_second == 200


def test_a_pace_that_the_server_demands_holds_here() -> None:
    starts, _ = leased(100)
    starts.restrain(10, 0.0)
    starts.granted(grant(0.0, 5, now=0.0), 0.0)
    assert starts.reserve(0.0) == 0.0
    assert starts.earliest(0.0) == pytest.approx(0.1)
    assert starts.interval == pytest.approx(0.1)
    assert starts.wanted(0.0, 100) <= 2
    starts.restrain(None, 0.0)
    assert starts.earliest(0.0) == pytest.approx(0.01, abs=1e-5)


def test_a_rate_that_is_shared_has_a_number() -> None:
    with pytest.raises(InvalidInputError, match="max_per_second must be a number"):
        LeasedStarts(None, 1, Needs())
    starts, _ = leased()
    for value in (None, 0, -1, inf):
        with pytest.raises(InvalidInputError):
            starts.change(value, 0.0)
    assert starts.max_per_second == 100


@pytest.mark.parametrize("value", [1e-6, 5e-324, 1_000_001, 1e9, 1e308])
def test_a_rate_that_a_store_cannot_count_is_refused(value: float) -> None:
    starts, _ = leased()
    with pytest.raises(InvalidInputError, match=r"between 0\.00001 and 1,000,000"):
        starts.change(value, 0.0)
    assert starts.own_interval == 0.01
    for allowed in (1e-5, 1_000_000):
        starts.change(allowed, 0.0)


def test_while_the_store_is_away_nothing_starts() -> None:
    starts, _ = leased()
    starts.granted(grant(0.0, 5, now=0.0), 0.0)
    starts.is_away = True
    assert starts.is_away
    assert starts.reserve(0.0) == inf


def test_while_the_store_is_away_a_share_of_the_rate_is_left() -> None:
    starts, _ = leased(100, share=4)
    starts.granted(grant(0.0, 5, now=0.0), 0.0)
    assert starts.reserve(0.0) == 0.0
    starts.is_away = True
    assert starts.earliest(0.0) == pytest.approx(0.04)
    assert [round(starts.reserve(0.0), 4) for _ in range(3)] == [0.04, 0.08, 0.12]
    starts.give_back(0.12)
    assert round(starts.reserve(0.0), 4) == 0.12
    starts.restrain(5, 0.12)
    assert starts.reserve(0.12) >= 0.12 + 0.2
    starts.restrain(None, 0.5)
    starts.change(10, 0.5)
    one, other = starts.reserve(1.0), starts.reserve(1.0)
    assert other - one == pytest.approx(0.4)
    starts.is_away = False
    assert starts.reserve(1.0) == inf


def test_the_text_form_says_how_many_starts_there_are() -> None:
    assert repr(leased()[0]) == "LeasedStarts(max_per_second=100, 0 at hand)"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["lease", "reserve", "give back", "return"]),
            st.floats(0.0, 0.3),
            st.integers(0, 30),
            st.floats(0.0, 0.05),
        ),
        max_size=60,
    )
)
def test_no_start_is_used_twice_early_or_too_late(steps: list[tuple[str, float, int, float]]) -> None:
    starts, _ = leased()
    now, following, granted, used = 0.0, 0.0, 0, []
    assigned: list[float] = []
    returned = 0
    for what, passes, count, delay in steps:
        now += passes
        if what == "lease":
            asked = now
            now += delay
            following = max(following, asked)
            starts.granted(grant(following, count, now=asked), now)
            following += count * 0.01
            granted += count
        elif what == "reserve":
            start = starts.reserve(now)
            if start < inf:
                assert start >= now
                assigned.append(start)
        elif what == "give back" and assigned:
            starts.give_back(assigned.pop())
        elif what == "return":
            returned += len(starts.take_unused(now))
    used = sorted(assigned)
    assert len(used) + returned + starts.late + len(starts) <= granted
    for first in range(len(used)):  # late by at most `LATEST`, so a window holds few more than its own
        for last in range(first, len(used)):
            assert last - first + 1 <= (used[last] - used[first] + LATEST + 0.05) / 0.01 + 2


def test_a_lease_is_short() -> None:
    assert 0.05 <= LEASE <= 0.5
