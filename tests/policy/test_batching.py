"""How many people one request names, and what is remembered of people."""

from __future__ import annotations

import pytest

from aioconnections.policy.batching import COMPARISONS, FEWEST, Batches, ListedPeople, RecentProfiles, profiles_of
from aioconnections.records import Email, Person, Profile, Userid

ANN, BOB = (Profile(Person(name=name, email=Email(f"{name}@example.com"))) for name in ("ann", "bob"))


def proved(most: int) -> Batches:
    batches = Batches(most)
    for _ in range(COMPARISONS):
        assert batches.wants_comparison()
        assert batches.compared(ANN, ANN)
    return batches


def test_few_people_are_asked_for_one_by_one_until_batches_are_proved() -> None:
    batches = Batches(50)
    assert [batches.size(waiting) for waiting in (0, 1, FEWEST - 1, FEWEST, 49, 50, 51)] == [
        1,
        1,
        1,
        FEWEST,
        49,
        50,
        50,
    ]
    assert repr(batches) == "Batches(open, 0 agreed)"
    batches = proved(50)
    assert batches.are_proved
    assert [batches.size(waiting) for waiting in (0, 1, 2, 50, 51)] == [0, 1, 2, 50, 50]
    assert repr(batches) == "Batches(proved, 10 agreed)"


def test_a_fixed_number_of_profiles_is_compared() -> None:
    batches = Batches(50)
    assert [batches.wants_comparison() for _ in range(COMPARISONS + 1)] == [True] * COMPARISONS + [False]
    batches.not_compared()
    assert batches.wants_comparison()
    for _ in range(COMPARISONS):
        assert not batches.are_proved
        assert batches.compared(ANN, ANN)
    assert batches.are_proved
    assert not batches.wants_comparison()


@pytest.mark.parametrize("single", [BOB, None])
@pytest.mark.parametrize("batches", [Batches(50), proved(50)])
def test_one_difference_ends_batches(batches: Batches, single: Profile | None) -> None:
    assert not batches.compared(ANN, single)
    assert batches.are_over
    assert not batches.are_proved
    assert not batches.wants_comparison()
    assert batches.size(1_000) == 1
    assert repr(batches).startswith("Batches(over")


def test_three_useless_batches_in_a_row_end_them() -> None:
    batches = proved(50)
    for found in (0, 1, 2, 1, 0):
        batches.answered(found)
        assert not batches.are_over
    batches.answered(1)
    assert batches.are_over


def test_requests_for_one_person_are_no_batches() -> None:
    assert Batches(1).are_over


def test_a_profile_belongs_to_the_address_that_it_alone_shows() -> None:
    asked = [Email("ANN@example.com"), Email("bob@example.com"), Email("cid@example.com")]
    nameless, stranger = Profile(Person(name="x")), Profile(Person(email=Email("dora@example.com")))
    found = profiles_of(asked, [BOB, nameless, stranger, ANN])
    assert found == {asked[0]: ANN, asked[1]: BOB}
    assert profiles_of(asked, [BOB, ANN, Profile(Person(name="other", email=asked[0]))]) == {asked[1]: BOB}


def test_the_people_who_come_again_are_remembered() -> None:
    recent = RecentProfiles(2)
    recent.add(Userid("a"), 0, ANN)
    recent.add(Userid("b"), 1, None)
    assert recent.get(Userid("a")) == (0, ANN)
    recent.add(Userid("c"), 2, BOB)
    assert [recent.get(Userid(name)) for name in "abcA"] == [(0, ANN), None, (2, BOB), None]
    assert repr(recent) == "RecentProfiles(2 of 2)"


def test_what_lists_say_is_used_once_ten_profiles_agree() -> None:
    ann = Person(name="Ann", userid=Userid("ann"), email=Email("ann@example.com"))
    listed = ListedPeople([ann, ann])
    assert repr(listed) == "ListedPeople(open, 2 identities, 0 agreed)"
    for _ in range(COMPARISONS):
        assert not listed.are_proved
        assert listed.compared(ann, Profile(ann))
    assert listed.are_proved
    assert listed.get(Userid("ann")) == listed.get(Email("ann@example.com")) == ann
    assert repr(listed) == "ListedPeople(proved, 2 identities, 10 agreed)"
    assert not listed.compared(ann, None)
    assert listed.get(Userid("ann")) is None
    assert repr(listed) == "ListedPeople(over, 2 identities, 10 agreed)"
