"""Which lists are read to find out whether others leave people out, and when there were enough of them."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from aioconnections.policy.witnesses import EXPECTED_LISTS, LEAST_WAITING, MOST_LISTS, RENEWED_AFTER, TRIALS, Witnesses
from aioconnections.records import Userid


class World:
    """People whose lists name each other, and the lists that were read."""

    def __init__(self, colleagues: dict[Userid, list[Userid]]) -> None:
        self.colleagues = colleagues
        self.listed: set[Userid] = set()
        self.refused: set[Userid] = set()
        self.invited: dict[Userid, list[Userid]] = {}
        self.witnesses = Witnesses(self.listed.__contains__, Random(1).random)

    def read(self, people: list[Userid]) -> None:
        for it in people:
            if it not in self.refused:
                self.listed.add(it)
                self.witnesses.read(it, self.colleagues.get(it, []), self.invited.get(it, []))

    def rounds(self, others: dict[Userid, int]) -> list[int]:
        """The number of lists read at a time, until no more are wanted."""
        found: list[int] = []
        while wanted := self.witnesses.next({it: count for it, count in others.items() if it not in self.listed}):
            assert len(set(wanted)) == len(wanted)
            self.read(wanted)
            found.append(len(wanted))
        return found


def people(count: int, first: int = 0) -> list[Userid]:
    return [Userid(f"u{number}") for number in range(first, first + count)]


def with_hubs(others: list[Userid], *, hubs: int, each: int = 3) -> dict[Userid, list[Userid]]:
    """Each of the others has `each` colleagues, one of them among a few who have many."""
    hub = people(hubs, first=10_000)
    strangers = iter(people(len(others) * each, first=20_000))
    return {it: [*(next(strangers) for _ in range(each - 1)), hub[number % hubs]] for number, it in enumerate(others)}


def test_the_numbers_are_those_of_the_documentation() -> None:
    assert (TRIALS, RENEWED_AFTER) == (150, 10)
    assert 0.048 < 0.98**TRIALS < 0.05
    assert TRIALS < EXPECTED_LISTS < MOST_LISTS


@pytest.mark.parametrize("count", [1, EXPECTED_LISTS])
def test_the_lists_of_a_few_are_all_read(count: int) -> None:
    others = people(count)
    world = World({})
    assert world.rounds(dict.fromkeys(others, 5)) == [count]
    assert not world.witnesses.have_vouched, "nothing is known about others"
    assert world.listed == set(others)
    assert world.rounds({Userid("new"): 5}) == [1]


def test_of_many_a_sample_is_read_and_then_the_lists_of_people_whom_several_name() -> None:
    others = people(1_000)
    world = World(with_hubs(others, hubs=7))
    assert world.rounds(dict.fromkeys(others, 1)) == [TRIALS, 7]
    assert world.witnesses.have_vouched
    assert len(world.listed & set(others)) == TRIALS
    assert world.witnesses.lists == TRIALS + 7
    assert repr(world.witnesses) == "Witnesses(157 lists, vouched)"


def test_lists_that_were_read_before_need_no_others() -> None:
    others = people(1_000)
    world = World(with_hubs(others, hubs=7))
    world.listed.update(people(7, first=10_000))
    assert world.rounds(dict.fromkeys(others, 1)) == [TRIALS]
    assert world.witnesses.have_vouched


def test_each_trial_gets_a_list_even_if_one_person_is_named_by_no_more_than_one() -> None:
    others = people(1_000)
    world = World(with_hubs(others, hubs=1_000))
    assert world.rounds(dict.fromkeys(others, 1)) == [TRIALS, TRIALS]
    assert world.witnesses.have_vouched


def test_a_person_whose_trials_others_have_covered_is_not_read() -> None:
    others = people(200)
    first, second = people(2, first=10_000)
    colleagues = {it: [first] if number % 3 == 0 else [first, second] for number, it in enumerate(others)}
    world = World(colleagues)
    assert world.rounds(dict.fromkeys(others, 1)) == [TRIALS, 1]
    assert first in world.listed


def test_the_most_useful_list_comes_first_after_others_were_chosen() -> None:
    others = people(1_000)
    large, medium, small = people(3, first=10_000)
    colleagues = {
        it: [large, medium] if number % 10 < 4 else [large] if number % 10 < 6 else [medium, small]
        for number, it in enumerate(others)
    }
    for number, it in enumerate(others):
        if number % 10 == 9:
            colleagues[it] = [small]
    world = World(colleagues)
    world.rounds(dict.fromkeys(others, 1))
    assert world.witnesses.have_vouched


def test_people_of_more_pairs_are_sampled_more_often() -> None:
    others = dict.fromkeys(people(1_000), 1) | dict.fromkeys(people(100, first=1_000), 50)
    world = World({})
    first = world.witnesses.next(others)
    assert sum(others[it] == 50 for it in first) > 60
    assert sum(others[it] == 1 for it in first) > 20


def test_one_who_has_no_colleagues_is_replaced_until_too_many_lists_were_read() -> None:
    others = people(1_000)
    world = World(with_hubs(others, hubs=1))
    lonely = set(Random(4).sample(others, 500))
    for it in lonely:
        del world.colleagues[it]
    found = world.rounds(dict.fromkeys(others, 1))
    assert world.witnesses.have_vouched
    assert TRIALS + 100 < sum(found) < MOST_LISTS
    assert len(world.listed - lonely) == TRIALS + 1


@pytest.mark.parametrize("are_refused", [True, False])
def test_without_enough_trials_nothing_is_vouched_for(*, are_refused: bool) -> None:
    others = people(5_000)
    world = World({} if not are_refused else with_hubs(others, hubs=1))
    if are_refused:
        world.refused.update(others)
    assert sum(world.rounds(dict.fromkeys(others, 1))) == MOST_LISTS
    assert not world.witnesses.have_vouched
    assert world.witnesses.next(dict.fromkeys(others, 1)) == []
    assert not world.witnesses.conclude()
    assert repr(world.witnesses) == f"Witnesses({MOST_LISTS} lists, open)"


def test_a_list_that_cannot_be_read_is_replaced_by_that_of_another_colleague() -> None:
    others = people(1_000)
    world = World(with_hubs(others, hubs=1))
    world.refused.add(Userid("u10000"))
    assert world.rounds(dict.fromkeys(others, 1)) == [TRIALS, 1, TRIALS]
    assert world.witnesses.have_vouched


def test_invitations_are_looked_for_as_well() -> None:
    others = people(1_000)
    world = World(with_hubs(others, hubs=2))
    invited = people(3, first=30_000)
    world.invited = {it: [invited[number % 3]] for number, it in enumerate(others) if number % 5 == 0}
    assert world.rounds(dict.fromkeys(others, 1)) == [TRIALS, 5]
    assert world.witnesses.have_vouched
    assert world.listed.issuperset(invited)


@pytest.mark.parametrize(("each", "have_vouched"), [(20, True), (5, False)])
def test_few_invitations_may_lack_a_list_of_the_other_side(each: int, *, have_vouched: bool) -> None:
    others = people(151)
    world = World(with_hubs(others, hubs=1))
    known, unknown = people(2, first=30_000)
    world.invited = {it: [known if number % each else unknown] for number, it in enumerate(others)}
    world.refused.add(unknown)
    world.witnesses.next(dict.fromkeys(people(30, first=40_000), 1))
    world.rounds(dict.fromkeys(others, 1))
    assert world.witnesses.have_vouched is have_vouched


def test_a_list_of_one_invited_person_is_awaited() -> None:
    others = people(1_000)
    world = World(with_hubs(others, hubs=1))
    known, unread = people(2, first=30_000)
    world.invited = {it: [known if number else unread] for number, it in enumerate(others)}
    weights = dict.fromkeys(others, 1) | {others[0]: 10**9}
    world.read(world.witnesses.next(weights))
    world.listed.update([Userid("u10000"), known])
    assert others[0] in world.listed
    assert world.witnesses.next(weights) == [unread]
    assert not world.witnesses.have_vouched


def test_other_lists_say_nothing() -> None:
    others = people(1_000)
    world = World(with_hubs(others, hubs=1))
    world.listed.add(Userid("u10000"))
    world.read(others)
    assert world.rounds(dict.fromkeys(people(1_000, first=2_000), 1)) != []
    assert not world.witnesses.have_vouched


def test_there_are_other_trials_after_ten_times_as_many_pairs() -> None:
    others = people(1_000)
    world = World(with_hubs(others, hubs=1))
    witnesses = world.witnesses
    assert not witnesses.conclude()
    waiting = 2 * LEAST_WAITING
    world.rounds(dict.fromkeys(others, waiting // 1_000))
    most = sum(witnesses.conclude() for _ in range(50 * waiting))
    assert RENEWED_AFTER * waiting * 0.8 < most <= RENEWED_AFTER * waiting
    assert not witnesses.have_vouched
    assert world.rounds({it: 1 for it in others if it not in world.listed}) == [TRIALS]
    again = sum(witnesses.conclude() for _ in range(RENEWED_AFTER * most + 1))
    assert again == RENEWED_AFTER * most


def test_lists_are_worth_no_more_than_the_checks_that_they_save() -> None:
    witnesses = Witnesses(lambda _: False, Random(1).random)
    many = dict.fromkeys(people(1_000), 1)
    assert witnesses.are_worth(many, 1_000 / EXPECTED_LISTS - 0.1)
    assert not witnesses.are_worth(many, 1_000 / EXPECTED_LISTS + 0.1)
    few = dict.fromkeys(people(2), 10)
    assert witnesses.are_worth(few, 9.9)
    assert not witnesses.are_worth(few, 10)
    witnesses.spent = 1
    assert witnesses.are_worth(few, 10), "checks that were made for want of lists count"
    witnesses.next(Counter(people(EXPECTED_LISTS - 1)))
    assert witnesses.are_worth(many, 500), "one list is missing"
