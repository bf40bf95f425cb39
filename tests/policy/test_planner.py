"""What the planner asks and when, and how much more that costs than the best plan."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from math import ceil
from random import Random
from statistics import mean
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections.policy.planner import Check, List, Planner, _ExcludedPeople, _SpentChecks

PAGE = 250
Graph: TypeAlias = tuple[list[int], list[tuple[int, int]]]


def asked(planner: Planner[str]) -> list[Check | List[str]]:
    """What the planner says until it waits."""
    return list(iter(planner.next, None))


def checks(*numbers: int) -> list[Check]:
    return [Check(number) for number in numbers]


def planner_of(*pairs: str, window: int = 100, page_price: float = 1.0) -> Planner[str]:
    """A planner with pairs of people who are named by one letter."""
    planner: Planner[str] = Planner(window, page_price, PAGE)
    for number, pair in enumerate(pairs):
        planner.add(number, pair[0], pair[1])
    return planner


# --- when something is decided


def test_nothing_is_decided_before_the_window_is_full() -> None:
    planner = planner_of("ab", "cd", window=3)
    assert (planner.next(), planner.waiting, planner.is_full) == (None, 2, False)
    planner.add(2, "e", "f")
    assert planner.is_full
    assert asked(planner) == checks(0), "one place is free now"
    assert planner.waiting == 2
    assert repr(planner) == "Planner(2 of 3 pairs, 1.33 checks a list)"


def test_after_the_end_of_the_source_everything_is_decided_the_oldest_first() -> None:
    planner = planner_of("ab", "cd", "ef")
    planner.close()
    assert asked(planner) == checks(0, 1, 2)
    planner.add(1, "c", "d")
    assert asked(planner) == checks(1), "a pair that comes back waits for nothing"
    assert (planner.waiting, planner.next()) == (0, None)


def test_a_flush_decides_about_the_pairs_held_and_about_no_later_one() -> None:
    planner = planner_of("ab", "cd", "ce")
    planner.flush()
    planner.add(3, "f", "g")
    assert asked(planner) == [List("c", (1, 2)), Check(0)]
    assert planner.waiting == 1
    planner.flush()
    assert asked(planner) == checks(3)
    planner.flush()
    planner.add(4, "h", "i")
    assert asked(planner) == []


def test_a_list_answers_all_pairs_of_the_person_on_either_side() -> None:
    planner = planner_of("ax", "xb", "cd", "xc", "ab")
    planner.close()
    assert asked(planner) == [List("x", (0, 1, 3)), *checks(2, 4)]


def test_the_person_with_the_most_pairs_for_the_price_comes_first() -> None:
    planner = planner_of("ax", "bx", "by", "cx", "cy", "cz")
    planner.close()
    assert asked(planner) == [List("x", (0, 1, 3)), List("y", (2, 4)), *checks(5)]
    planner = planner_of("a1", "a2", "a3", "a4", "a5", "b6", "b7", "b8")
    planner.know("a", 4 * PAGE)
    planner.close()
    assert asked(planner) == [List("b", (5, 6, 7)), List("a", (0, 1, 2, 3, 4))]


def test_counts_that_lists_of_others_lower_are_corrected() -> None:
    planner = planner_of("xa", "xb", "xc", "xd", "ya", "yb", "yc", "ze", "zf")
    planner.close()
    assert asked(planner) == [List("x", (0, 1, 2, 3)), List("y", (4, 5, 6)), List("z", (7, 8))]
    planner = planner_of("xa", "xb", "xy", "ya", "yb", "wz", "vz", page_price=1.1)
    planner.close()
    assert asked(planner) == [List("x", (0, 1, 2)), List("y", (3, 4)), List("z", (5, 6))]


def test_equals_are_listed_in_the_order_in_which_they_came() -> None:
    planner = planner_of("ca", "cb", "xy", "xz", "ef", "eg")
    planner.close()
    assert asked(planner) == [List("c", (0, 1)), List("x", (2, 3)), List("e", (4, 5))]


def test_a_person_whose_list_would_not_answer_a_pair_is_not_listed_for_it() -> None:
    planner = planner_of("ab", "ac")
    for number, other in enumerate("bcd", start=2):
        planner.add(number, None, other)
    planner.add(5, None, None)
    planner.close()
    assert asked(planner) == [List("a", (0, 1)), *checks(2, 3, 4, 5)]
    planner.add(6, "x", None)
    planner.add(7, None, "x")
    assert asked(planner) == [List("x", (6, 7))]


def test_equal_pairs_count_each_and_a_pair_of_the_same_person_is_checked() -> None:
    planner = planner_of("ab", "cc", "ba", "cc", "cc")
    planner.close()
    assert asked(planner) == [List("a", (0, 2)), *checks(1, 3, 4)]


def test_numbers_are_unique_among_the_pairs_held() -> None:
    planner = planner_of("ab")
    with pytest.raises(ValueError, match=r"^pair 0 is already held; give each pair its own number$"):
        planner.add(0, "c", "d")
    assert planner.waiting == 1
    planner.close()
    assert asked(planner) == checks(0)
    planner.add(0, "c", "d")
    assert asked(planner) == checks(0)


def test_a_number_may_be_given_to_another_pair_when_it_is_no_longer_held() -> None:
    planner = planner_of("xy", "xa", "xb", "yc", "yd")
    planner.close()
    assert planner.next() == List("x", (0, 1, 2))
    planner.add(0, "e", "f")
    assert asked(planner) == [List("y", (3, 4)), Check(0)]


@pytest.mark.parametrize("again", ["xy", "cd"])
def test_a_number_that_comes_back_is_given_once(again: str) -> None:
    planner = planner_of("xa", "xb", "ya", "yd")
    planner.close()
    assert planner.next() == List("x", (0, 1))
    planner.exclude("x")
    planner.add(0, again[0], again[1])
    planner.add(1, "a", "b")
    planner.know("a", 1)
    found = asked(planner)
    given = [number for it in found for number in ([it.number] if isinstance(it, Check) else it.numbers)]
    assert sorted(given) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1.0, 250), "window is 0; expected at least 1"),
        ((1, 0.0, 250), "page_price is 0.0; expected a positive number"),
        ((1, float("inf"), 250), "page_price is inf; expected a positive number"),
        ((1, float("nan"), 250), "page_price is nan; expected a positive number"),
        ((1, 1.0, 0), "page_size is 0; expected at least 1"),
    ],
)
def test_impossible_arguments_are_refused(arguments: tuple[int, float, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Planner(*arguments)
    planner = planner_of()
    with pytest.raises(ValueError, match="expected"):
        planner.page_price = -1
    with pytest.raises(ValueError, match="expected"):
        planner.page_size = -1
    planner.page_size = PAGE
    assert (planner.page_price, planner.page_size) == (1.0, PAGE)


# --- prices


@pytest.mark.parametrize(("pages", "pairs", "is_listed"), [(1, 1, True), (3, 2, False), (3, 3, True), (30, 29, False)])
def test_a_list_of_known_length_is_read_when_checks_cost_as_much(pages: int, pairs: int, *, is_listed: bool) -> None:
    planner = planner_of(*(f"x{chr(300 + number)}" for number in range(pairs)))
    planner.know("x", pages * PAGE)
    planner.flush()
    assert planner.next() == (List("x", tuple(range(pairs))) if is_listed else Check(0))


def test_an_empty_list_has_a_page() -> None:
    planner = planner_of("ab", page_price=2.0)
    planner.know("a", 0)
    planner.close()
    assert asked(planner) == checks(0)


@pytest.mark.parametrize("price", [0.1, 0.9, 1.3, 2.0, 3.9, 7.5, 40.0])
def test_a_list_of_unknown_length_is_expected_to_have_a_page_and_a_third(price: float) -> None:
    for spare in (-1, 0):
        pairs = max(1, ceil(price * 4 / 3) + spare)
        planner = planner_of(*(f"x{chr(300 + number)}" for number in range(pairs)), page_price=price)
        planner.close()
        is_listed = pairs >= price * 4 / 3
        assert isinstance(planner.next(), List) is is_listed


@pytest.mark.parametrize(("before", "after"), [(100.0, 1.0), (1.0, 100.0), (3.0, 2.2), (2.2, 3.0), (2.0, 1.9)])
def test_the_price_of_now_counts(before: float, after: float) -> None:
    planner = planner_of(page_price=before)
    plan: list[str] = []
    for name, count in [("x", 2), ("y", 3), ("z", 4)]:
        for number in range(count):
            planner.add(len(plan), name, f"{name}{number}")
            plan.append(name)
    planner.page_price = after
    assert planner.page_price == after
    planner.close()
    listed = [it.person for it in asked(planner) if isinstance(it, List)]
    assert listed == [name for name in "zyx" if plan.count(name) >= after * 4 / 3]


def test_many_small_changes_of_the_price_are_one_large_one() -> None:
    planner = planner_of(*(f"x{chr(300 + number)}" for number in range(50)), page_price=100.0)
    while planner.page_price > 37.6:
        planner.page_price -= 0.1
        planner.flush()
        planner.add(1000 + int(planner.page_price * 10), "v", "w")
        assert not isinstance(planner._best(), List)
    planner.page_price = 37.4
    planner.exclude("v")
    planner.exclude("w")
    planner.flush()
    assert planner.next() == List("x", tuple(range(50)))


def test_lengths_that_were_seen_change_what_unknown_ones_are_expected_to_be() -> None:
    planner = planner_of("xa", "xb", "xc", "yd", "ye", window=5)
    for number in range(200):
        planner.know(f"u{number}", 10 * PAGE)
    assert asked(planner) == checks(0), "lists are long here"
    assert repr(planner) == "Planner(4 of 5 pairs, 9.51 checks a list)"
    for number in range(1000):
        planner.know(f"v{number}", 0)
    planner.close()
    assert repr(planner) == "Planner(4 of 5 pairs, 1.00 checks a list)", "the most recent lists count"
    assert asked(planner) == [List("x", (1, 2)), List("y", (3, 4))]


def test_the_same_length_of_the_same_person_counts_once() -> None:
    planner = planner_of()
    for _ in range(100):
        planner.know("a", 10 * PAGE)
    assert repr(planner) == "Planner(0 of 100 pairs, 2.00 checks a list)"
    planner.know("a", 11 * PAGE)
    assert repr(planner) == "Planner(0 of 100 pairs, 2.64 checks a list)"


def test_candidates_get_their_place_when_unknown_lists_become_cheap() -> None:
    planner = planner_of(page_price=1.0)
    for number in range(200):
        planner.know(f"u{number}", 10 * PAGE)
    for number, pair in enumerate(["xa", "xb", "ka", "kb", "kc", "kd"]):
        planner.add(number, pair[0], pair[1])
    planner.know("k", 4 * PAGE)
    for number in range(1000):
        planner.know(f"v{number}", 1)
    planner.flush()
    assert asked(planner)[0] == List("x", (0, 1))


def test_unknown_lists_that_become_cheap_come_before_known_ones() -> None:
    planner = planner_of(page_price=0.1)
    for number in range(200):
        planner.know(f"u{number}", 10 * PAGE)
    planner.know("k", 4 * PAGE)
    for number, pair in enumerate(["xa", "xb", "xc", "kd", "ke", "kf", "kg"]):
        planner.add(number, pair[0], pair[1])
    for number in range(1000):
        planner.know(f"v{number}", 1)
    planner.flush()
    assert [planner.next() for _ in range(2)] == [List("x", (0, 1, 2)), List("k", (3, 4, 5, 6))]


def test_known_lists_come_before_unknown_ones_that_become_long() -> None:
    planner = planner_of("xa", "xb", "xc", "kd", "ke", page_price=0.1)
    planner.know("k", 1)
    for number in range(200):
        planner.know(f"u{number}", 10 * PAGE)
    planner.flush()
    assert [planner.next() for _ in range(2)] == [List("k", (3, 4)), List("x", (0, 1, 2))]


def test_a_count_that_grows_moves_its_person_ahead() -> None:
    planner = planner_of(*(f"y{other}" for other in "abcdefg"), *(f"x{other}" for other in "hijklmno"))
    planner.flush()
    assert asked(planner) == [List("x", tuple(range(7, 15))), List("y", tuple(range(7)))]


def test_a_person_who_reaches_the_price_comes_before_one_who_does_not() -> None:
    planner = planner_of(page_price=7.0)
    planner.know("x", 1)
    planner.know("z", 2 * PAGE)
    for number in range(13):
        planner.add(number, "z", f"y{number}")
    for number in range(13, 20):
        planner.add(number, "x", f"y{number}")
    planner.flush()
    assert planner.next() == List("x", (13, 14, 15, 16, 17, 18, 19))


def test_a_smaller_page_makes_lists_cost_more() -> None:
    planner = planner_of("xa", "xb", "yc", "yd", "ye")
    planner.know("y", 200)
    planner.page_size = 50
    assert planner.page_size == 50
    assert repr(planner) == "Planner(5 of 100 pairs, 3.69 checks a list)"
    planner.close()
    assert asked(planner) == checks(0, 1, 2, 3, 4)


def test_a_larger_page_makes_lists_cost_less() -> None:
    planner: Planner[str] = Planner(100, 1.0, 20)
    for number, other in enumerate("abc"):
        planner.add(number, "x", other)
    planner.know("z", 2000)
    planner.page_size = 1000
    planner.close()
    assert asked(planner) == [List("x", (0, 1, 2))]


def test_how_many_lengths_are_known_is_bounded() -> None:
    planner = planner_of(window=3)
    for name in "abcd":
        planner.know(name, 10 * PAGE)
    for number, name in enumerate(["a1", "a2", "a3", "a4", "d5", "d6", "d7", "d8"]):
        planner.add(number, name[0], name[1])
    planner.close()
    assert planner.next() == List("a", (0, 1, 2, 3)), "the length was dropped for later ones"
    assert asked(planner) == checks(4, 5, 6, 7)


# --- spent checks


def test_a_person_who_comes_again_and_again_is_listed_when_the_checks_have_cost_as_much() -> None:
    planner = planner_of(window=1)
    planner.know("x", 5 * PAGE)
    for number in range(4):
        planner.add(number, *(["x", f"y{number}"] if number % 2 else [f"y{number}", "x"]))
        assert asked(planner) == checks(number)
    planner.add(4, "y", "x")
    assert asked(planner) == [List("x", (4,))]


def test_spent_checks_count_while_pairs_wait_and_after_they_have_gone() -> None:
    planner = planner_of("xa", "bc", "de", window=3, page_price=3.0)
    assert asked(planner) == checks(0)
    planner.add(3, "x", "f")
    assert asked(planner) == checks(1)
    planner.add(4, "x", "g")
    planner.add(5, "x", "h")
    assert asked(planner) == [List("x", (3, 4, 5))]


@pytest.mark.parametrize("end", [Planner[str].close, Planner[str].window_only])
def test_spent_checks_pay_off_only_with_pairs_to_come(end: Callable[[Planner[str]], None]) -> None:
    planner = planner_of(window=2, page_price=4.0)
    for number in range(4):
        planner.add(number, "x", f"y{number}")
        planner.next()
    assert planner.waiting == 1
    end(planner)
    planner.add(4, "x", "a")
    planner.add(5, "x", "b")
    planner.flush()
    assert asked(planner) == checks(3, 4, 5)
    planner.add(6, "x", "c")
    planner.flush()
    assert asked(planner) == checks(6), "those of people without pairs do not count either"


def test_checks_are_no_longer_counted_where_they_cannot_pay_off() -> None:
    planner = planner_of(window=2, page_price=2.0)
    planner.add(0, "x", "a")
    planner.window_only()
    for number in range(1, 10):
        planner.add(number, "x", f"y{number}")
        assert asked(planner) == checks(number - 1)


def test_checks_of_people_without_pairs_are_no_longer_counted_where_they_cannot_pay_off() -> None:
    planner = planner_of("xa", window=1)
    assert asked(planner) == checks(0)
    planner.window_only()
    planner.add(1, "x", "b")
    assert asked(planner) == checks(1)


def test_without_memory_for_lists_the_window_still_pays() -> None:
    planner = planner_of("xa", "xb", window=3)
    planner.window_only()
    assert planner.next() is None
    planner.add(2, "c", "d")
    assert asked(planner) == [List("x", (0, 1))]


def test_spent_checks_are_kept_for_many_people() -> None:
    spent = _SpentChecks()
    for number in range(50_000):
        spent.put(number, number % 7 + 1)
        spent.put(50_000 + number, 1)
    found = [spent.get(number) for number in range(50_000)]
    assert sum(count == number % 7 + 1 for number, count in enumerate(found)) >= 47_000
    assert sum(spent.get(number) > 0 for number in range(1_000_000, 1_050_000)) <= 50
    assert len(spent._cells) * spent._cells.itemsize == 1 << 20


def test_many_people_who_come_once_are_not_taken_for_each_other() -> None:
    spent = _SpentChecks()
    taken = 0
    for number in range(600_000, 700_000):
        taken += spent.get(number)
        spent.put(number, 1)
    assert taken <= 30


def _number_as_hash(number: int) -> int:
    """A hash that leads to the same two cells for every number."""
    return number << 30 | 2 << 46


def test_a_large_count_gives_way_in_the_end_and_is_at_most_65_535(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioconnections.policy.planner._hashed", _number_as_hash)
    spent = _SpentChecks()
    spent.put(1, 100_000)
    assert spent.get(1) == 65_535
    spent.put(1, 3)
    spent.put(2, 5)
    assert (spent.get(1), spent.get(2), spent.get(3)) == (3, 5, 0)
    spent.put(3, 1)
    spent.put(3, 1)
    assert (spent.get(1), spent.get(2), spent.get(3)) == (1, 5, 0)
    spent.put(3, 1)
    assert (spent.get(1), spent.get(2), spent.get(3)) == (0, 5, 1)
    spent.put(2, 6)
    assert (spent.get(2), spent.get(3)) == (6, 1)
    spent.put(3, 9)
    spent.put(4, 7)
    assert [spent.get(number) for number in (2, 3, 4)] == [0, 9, 7]
    spent.put(4, 8)
    assert [spent.get(number) for number in (2, 3, 4)] == [0, 9, 8]


# --- the rest of a list


@pytest.mark.parametrize(
    ("total", "unresolved", "goes_on"),
    [(0, 0, True), (250, 0, True), (251, 0, False), (251, 1, True), (1500, 4, False), (1500, 5, True), (501, 1, False)],
)
def test_the_other_pages_are_read_if_checks_cost_as_much(total: int, unresolved: int, *, goes_on: bool) -> None:
    assert planner_of().goes_on(total, unresolved) is goes_on
    assert planner_of(page_price=2.0).goes_on(total, 2 * unresolved) is goes_on


def test_the_page_size_that_the_server_gave_is_believed() -> None:
    planner = planner_of()
    assert planner.goes_on(500, 1)
    assert not planner.goes_on(500, 3, page_size=100)
    assert planner.goes_on(500, 4, page_size=100)
    assert planner.page_size == PAGE


def test_checks_spent_on_the_owner_count_for_the_other_pages() -> None:
    planner = planner_of(window=1, page_price=2.0)
    said: list[Check | List[str]] = []
    for number in range(3):
        planner.add(number, "x", f"y{number}")
        said += asked(planner)
    assert said == [*checks(0, 1), List("x", (2,))]
    assert not planner.goes_on(2 * PAGE, 1)
    assert planner.goes_on(2 * PAGE, 0, person="x"), "two checks were spent"
    assert not planner.goes_on(3 * PAGE, 1, person="x")
    planner.add(4, "x", "z")
    assert not planner.goes_on(3 * PAGE, 1, person="x"), "where pairs wait, too"
    assert planner.goes_on(3 * PAGE, 2, person="x")
    planner.close()
    assert not planner.goes_on(2 * PAGE, 1, person="x")


def test_checks_spent_on_an_owner_with_pairs_count_for_the_other_pages() -> None:
    planner = planner_of("xa", "xb", window=2, page_price=2.0)
    assert asked(planner) == checks(0)
    assert planner.goes_on(2 * PAGE, 1, person="x")
    assert not planner.goes_on(2 * PAGE, 0, person="x")


def test_a_list_that_is_abandoned_is_chosen_again_only_for_its_whole_price() -> None:
    planner = planner_of("xa", "xb", window=2)
    assert planner.next() == List("x", (0, 1))
    assert not planner.goes_on(5 * PAGE, 2, person="x")
    planner.add(0, "x", "a")
    planner.add(1, "x", "b")
    assert asked(planner) == checks(0)
    for number in range(2, 4):
        planner.add(number, "x", f"c{number}")
        assert asked(planner) == checks(number - 1)
    planner.add(4, "x", "c4")
    assert planner.next() == List("x", (3, 4))
    assert planner.goes_on(5 * PAGE, 1, person="x")


# --- people and runs without lists


def test_an_excluded_person_is_never_listed_and_the_other_side_may_be() -> None:
    planner = planner_of("xa", "xb", "xc", "ya", "yd")
    planner.exclude("x")
    planner.know("x", 1)
    planner.page_price = 0.5
    planner.exclude("nobody here")
    planner.close()
    planner.add(5, "x", "e")
    assert [it.person for it in asked(planner) if isinstance(it, List)] == [*"abcye"]
    planner = planner_of("xa", "xb")
    planner.exclude("x")
    planner.close()
    assert asked(planner) == checks(0, 1)
    planner.add(2, "x", "a")
    planner.add(3, "x", "b")
    assert asked(planner) == checks(2, 3), "also when the person comes again"


def test_none_of_many_excluded_people_is_forgotten_and_few_others_are_taken_for_one() -> None:
    excluded = _ExcludedPeople()
    assert 0 not in excluded
    for number in range(10_000):
        excluded.add(number)
    assert all(number in excluded for number in range(10_000))
    assert sum(number in excluded for number in range(10_000, 60_000)) <= 10
    assert len(excluded._bits) == 1 << 17


def test_people_who_came_before_are_not_listed_in_a_run_without_lists() -> None:
    planner = planner_of("xa", "xb")
    planner.heads_only()
    assert asked(planner) == checks(0, 1)


def test_without_lists_everything_is_checked_at_once_in_the_order_added() -> None:
    planner = planner_of("xa", "xb", "xc", "cd")
    planner.heads_only()
    assert repr(planner) == "Planner(4 of 100 pairs, heads only)"
    planner.add(9, "x", "d")
    planner.know("x", 1)
    planner.page_price = 0.01
    planner.exclude("a")
    planner.flush()
    planner.add(8, "x", "e")
    assert asked(planner) == checks(0, 1, 2, 3, 9, 8)
    planner.close()
    planner.add(0, "x", "a")
    assert asked(planner) == checks(0)


# --- against the best plan


def best_plan(graph: Graph, page_price: float) -> float:
    """The price of the cheapest lists and checks that answer every pair."""
    pages, pairs = graph
    everyone = range(len(pages))
    return min(
        sum(pages[person] * page_price for person in listed)
        + sum(one not in listed and other not in listed for one, other in pairs)
        for size in range(len(pages) + 1)
        for listed in map(set, combinations(everyone, size))
    )


def price_of_plan(graph: Graph, page_price: float) -> float:
    """The price of what the planner asks if the whole job is in one window."""
    pages, pairs = graph
    planner: Planner[int] = Planner(1000, page_price, PAGE)
    for person, count in enumerate(pages):
        planner.know(person, count * PAGE)
    for number, (one, other) in enumerate(pairs):
        planner.add(number, one, other)
    planner.close()
    price, left = 0.0, set(range(len(pairs)))
    while (said := planner.next()) is not None:
        if isinstance(said, Check):
            price += 1
            left.remove(said.number)
        else:
            price += pages[said.person] * page_price
            assert all(said.person in pairs[number] for number in said.numbers)
            left.difference_update(said.numbers)
    assert not left
    return price


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    people = draw(st.integers(2, 8))
    pages = draw(st.lists(st.integers(1, 6), min_size=people, max_size=people))
    return pages, draw(st.lists(st.sampled_from([*combinations(range(people), 2)]), unique=True))


@given(graphs(), st.sampled_from([0.2, 0.5, 1.0, 1.5, 3.0]))
def test_the_plan_of_one_window_costs_at_most_three_times_the_best(graph: Graph, page_price: float) -> None:
    assert price_of_plan(graph, page_price) <= 3 * best_plan(graph, page_price) + 1e-9


def test_the_plan_of_one_window_costs_little_more_than_the_best_on_average() -> None:
    random = Random(14)
    ratios: list[float] = []
    for _ in range(200):
        people = random.randint(4, 8)
        pages = [random.choice([1, 1, 1, 1, 1, 1, 2, 2, 3, 6]) for _ in range(people)]
        density = random.random()
        pairs = [pair for pair in combinations(range(people), 2) if random.random() < density] or [(0, 1)]
        random.shuffle(pairs)
        page_price = random.choice([0.3, 0.5, 1.0, 1.0, 1.0, 1.5, 2.5])
        ratios.append(price_of_plan((pages, pairs), page_price) / best_plan((pages, pairs), page_price))
    assert mean(ratios) <= 1.05
    assert max(ratios) <= 1.5
