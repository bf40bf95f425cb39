"""How many requests a run is expected to take, from its pairs alone."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from itertools import islice, permutations, product

import pytest

from aioconnections.policy.estimate import Estimate, Estimator, avoidable
from aioconnections.policy.plan import Plan
from aioconnections.policy.witnesses import EXPECTED_LISTS
from aioconnections.records import Email, Identity, Userid

CONFIRMED = 50 + 100 + 2 * 10 + 1  # checks, invitations of ten people, and the rights of the user


def estimate(pairs: Iterable[tuple[Identity, Identity]], *, plan: Plan | None = None, price: float = 1.0) -> Estimate:
    estimator = Estimator(plan or Plan(), price)
    for pair in pairs:
        estimator.add(*pair)
    return estimator.end()


def people(count: int, kind: type[Identity] = Userid, first: int = 0) -> list[Identity]:
    return [kind(f"{number}@example.com") for number in range(first, first + count)]


def test_each_pair_takes_one_request_without_a_plan_and_so_does_the_login() -> None:
    pairs = zip(people(1_000), people(1_000, first=1_000), strict=True)
    assert estimate(pairs) == Estimate(1_000, 0, head=1_001, auto=1_001, lists=0, window=50_000)
    assert estimate([]) == Estimate(0, 0, head=1, auto=1, lists=0, window=50_000)


def test_all_pairs_of_a_group_take_a_list_for_each_person() -> None:
    found = estimate(permutations(people(300), 2))
    assert (found.pairs, found.head, found.lists) == (89_700, 89_701, 300)
    assert found.auto == 1 + CONFIRMED + round(300 * 4 / 3)


@pytest.mark.parametrize("swapped", [False, True])
def test_the_side_with_fewer_people_is_listed_and_some_of_the_other_side(*, swapped: bool) -> None:
    pairs = product(people(1_000), people(20, first=1_000))
    found = estimate(pair[::-1] if swapped else pair for pair in pairs)
    assert (found.lists, found.auto) == (20 + EXPECTED_LISTS, 1 + CONFIRMED + 267)


def test_both_sides_are_listed_if_neither_has_many_people() -> None:
    found = estimate(product(people(100), people(20, first=100)))
    assert (found.lists, found.auto) == (120, 1 + CONFIRMED + 160)


def test_pairs_are_checked_if_their_lists_take_as_many_requests_to_confirm() -> None:
    found = estimate(product(people(1), people(400, first=1)), price=2)
    assert (found.lists, found.auto) == (1, 1 + 1 + 1 + 2 + 50 + 400)


def test_there_are_trials_again_after_ten_times_as_many_pairs() -> None:
    plan = Plan(window_pairs=1_000)
    found = [estimate(product(people(1), people(count, first=1)), plan=plan).lists for count in (101_000, 102_000)]
    assert found == [1 + EXPECTED_LISTS, 1 + 2 * EXPECTED_LISTS]


def test_dear_lists_are_not_read() -> None:
    assert estimate(permutations(people(60), 2), price=100).lists == 0


def test_few_pairs_are_checked() -> None:
    group = [*permutations(people(18), 2)]
    assert len(group) == 306
    assert estimate(group[:299]).auto == 300
    assert estimate(group).lists == 18


def test_no_more_absent_people_are_checked_than_lists_answer() -> None:
    pairs = [(people(1)[0], person) for person in people(70, first=1)]
    found = estimate([*pairs, *zip(people(300, first=100), people(300, first=400), strict=True)])
    assert (found.lists, found.auto) == (1, 1 + 300 + 1 + 1 + 2 + 50 + 70)


def test_a_list_answers_pairs_that_come_after_the_window() -> None:
    pairs = product(people(2), people(5_000, first=10))
    found = estimate(pairs, plan=Plan(window_pairs=500))
    assert (found.lists, found.auto) == (2 + EXPECTED_LISTS, 1 + CONFIRMED + 243)


def test_absence_needs_a_userid_so_that_lists_of_both_sides_are_read() -> None:
    found = estimate(product(people(40, Email), people(20, Email, first=40)))
    assert (found.lists, found.auto) == (60, 1 + CONFIRMED + 80)
    one = people(1, Email)[0]
    assert estimate((one, other) for other in people(1_000, Email, first=1)).auto > 1_000


def test_a_pair_that_repeats_one_of_the_window_is_asked_once_with_a_plan() -> None:
    pairs = [*zip(people(100), people(100, first=100), strict=True)]
    found = estimate([*pairs, *pairs, pairs[0], pairs[1][::-1]])
    assert (found.pairs, found.repeated, found.head, found.auto) == (202, 101, 203, 102)
    assert estimate([*pairs, *pairs], plan=Plan(window_pairs=99)).repeated == 0


def test_lists_that_do_not_fit_in_memory_pay_for_waiting_pairs_alone() -> None:
    plan = Plan(window_pairs=1_000, memory_bytes=1 << 20)
    assert plan.memory_bytes // 2_400 == 436
    found = estimate(product(people(500), people(900, first=900)), plan=plan)
    assert (found.lists, found.auto) == (500 + 2 * EXPECTED_LISTS, 1 + CONFIRMED + 1_147)
    groups = [people(31, Email, first=100 * group) for group in range(16)]
    found = estimate((pair for group in groups for pair in permutations(group, 2)), plan=plan)
    checked = found.auto - 1 - CONFIRMED - found.lists * 4 / 3
    assert 1_500 < checked < 2 * 31 * 30, "of the last two groups; the people of 14 groups are known"


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_pairs() -> None:
    def peak(count: int) -> int:
        pairs = islice(((Userid(f"a{it}"), Userid(f"b{it}")) for it in range(count)), count)
        tracemalloc.start()
        try:
            estimate(pairs, plan=Plan(window_pairs=500))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(10_000) < peak(2_000) + 100_000


def test_what_is_shown_of_an_estimator() -> None:
    estimator = Estimator(Plan(), 1.0)
    estimator.add(*people(2))
    assert repr(estimator) == "Estimator(1 pairs, 0 checks, 0 lists)"


@pytest.mark.parametrize(
    ("pairs", "least"),
    [
        pytest.param([*permutations(people(40), 2)], 1_300, id="a group"),
        pytest.param([*product(people(60), people(20, first=60))], 900, id="the same targets"),
        pytest.param([*permutations(people(40, Email), 2)], 1_300, id="a group by e-mail address"),
        pytest.param([*permutations(people(32), 2)][:-1], 0, id="fewer than 1,000 pairs"),
        pytest.param([*product(people(300), people(4, first=300))], 600, id="more than half"),
        pytest.param([*product(people(1, Email), people(1_500, Email, first=1))], 0, id="one source by e-mail address"),
        pytest.param([*zip(people(1_500), people(1_500, first=1_500), strict=True)], 0, id="different people"),
    ],
)
def test_requests_that_a_plan_would_have_saved(pairs: list[tuple[Identity, Identity]], least: int) -> None:
    saved = avoidable(pairs, 1.2)
    assert saved >= least
    assert bool(saved) is bool(least)


def test_what_is_not_half_of_the_requests_is_not_worth_mentioning() -> None:
    strangers = [*zip(people(500, first=5_000), people(500, first=6_000), strict=True)]
    assert avoidable([*product(people(200), people(10, first=200)), *strangers], 1.2) == 1_576
    assert avoidable([*product(people(200), people(6, first=200)), *strangers], 1.2) == 0
