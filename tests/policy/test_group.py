"""Edges of a group, from the lists of its members in any order and with any kind of identity."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioconnections import Connection, Edge, Email, Identity, Key, Person, Status, Userid
from aioconnections.policy.group import GroupLists

THEN = datetime(2026, 1, 31, tzinfo=UTC)


def person(number: int, *, email: bool = True) -> Person:
    """A person as entries describe them: never with a key."""
    address = Email(f"p{number}@example.com") if email else None
    return Person(name=f"Person {number}", userid=Userid(f"u{number}"), email=address)


def identity(number: int, kind: str) -> Identity:
    if kind == "key":
        return Key(f"k{number}")
    return Userid(f"u{number}") if kind == "userid" else Email(f"P{number}@example.com")


def listed(owner: int, others: list[int], *, email: bool = True, updated: datetime | None = THEN) -> list[Connection]:
    return [
        Connection(
            f"c{owner}-{other}",
            Status.ACCEPTED,
            person(owner, email=email),
            person(other, email=email),
            updated=updated,
        )
        for other in others
    ]


def pairs(group: GroupLists) -> list[tuple[str, str]]:
    return [(str(edge.source), str(edge.target)) for edge in group.edges()]


@given(st.data())
def test_each_pair_that_is_connected_is_an_edge_once_in_any_order_and_for_any_kind_of_identity(data: Any) -> None:
    count = data.draw(st.integers(1, 7))
    everyone = range(count + 3)  # three people are not in the group
    connected = data.draw(st.sets(st.sampled_from([*combinations(everyone, 2)])))
    kinds = data.draw(st.lists(st.sampled_from(["email", "userid", "key"]), min_size=count, max_size=count))
    email = data.draw(st.booleans()) or "email" in kinds
    group = GroupLists([identity(number, kinds[number]) for number in range(count)])
    for owner in data.draw(st.permutations(range(count))):
        others = [other for other in everyone if {(owner, other), (other, owner)} & connected]
        group.add(owner, listed(owner, others, email=email))
    expected = [
        Edge(
            identity(one, kinds[one]),
            identity(other, kinds[other]),
            status=Status.ACCEPTED,
            updated=THEN,
            seen_from="both",
            disputed=False,
        )
        for one, other in sorted(connected)
        if other < count
    ]
    assert list(group.edges()) == expected
    assert all(group.person(index).name == f"Person {index}" for pair in connected for index in pair if index < count)


def test_a_pair_that_only_one_of_two_lists_names_is_disputed() -> None:
    group = GroupLists([Userid("u0"), Userid("u1")])
    group.add(0, listed(0, [1]))
    group.add(1, [])
    (edge,) = group.edges()
    assert (edge.seen_from, edge.disputed) == ("one", True)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_pair_whose_other_list_could_not_be_read_is_not_disputed(order: tuple[int, int]) -> None:
    group = GroupLists([Userid("u0"), Email("p1@example.com")])
    for index in order:
        if index:
            group.skip(1)
        else:
            group.add(0, listed(0, [1]))
    (edge,) = group.edges()
    assert (edge.seen_from, edge.disputed) == ("one", False)
    assert group.person(1) == person(1), "the list of the other describes the member"


def test_two_members_whose_lists_could_not_be_read_have_no_edge() -> None:
    group = GroupLists([Userid("u0"), Userid("u1"), Userid("u2")])
    group.skip(0)
    group.skip(1)
    group.add(2, listed(2, [0]))
    assert pairs(group) == [("u0", "u2")]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_one_person_given_by_two_identities_is_one_end(order: tuple[int, ...]) -> None:
    group = GroupLists([Email("p0@example.com"), Userid("u0"), Userid("u2")])
    lists = {0: listed(0, [2]), 1: listed(0, [2]), 2: listed(2, [0])}
    for index in order:
        group.add(index, lists[index])
    assert pairs(group) == [("p0@example.com", "u2")]
    assert [edge.seen_from for edge in group.edges()] == ["both"]
    assert [group.same_as(index) for index in range(3)] == [None, 0, None]
    assert group.person(1) == person(0)


def test_the_list_of_another_shows_that_two_members_are_one_person() -> None:
    group = GroupLists([Key("k9"), Userid("u0"), Email("p0@example.com")])
    group.add(0, listed(9, [0]))
    assert group.same_as(2) == 1


def test_a_member_given_by_key_is_recognized_in_a_list_that_was_read_before_the_members_own() -> None:
    group = GroupLists([Userid("u0"), Key("k1")])
    assert [group.is_recognizable(index) for index in range(2)] == [True, False]
    group.add(0, listed(0, [5, 1], email=False))
    assert pairs(group) == []
    group.add(1, listed(1, [0], email=False))
    assert [edge.seen_from for edge in group.edges()] == ["both"]
    assert group.is_recognizable(1)
    assert group.person(1) == Person("Person 1", Userid("u1"), Key("k1"))


def test_a_member_given_by_an_alias_address_is_recognized_by_the_userid_of_their_own_list() -> None:
    group = GroupLists([Email("anna@example.com"), Userid("u1")])
    group.add(1, listed(1, [0]))
    group.add(0, listed(0, [1]))
    (edge,) = group.edges()
    assert (edge.source, edge.seen_from) == (Email("anna@example.com"), "both")


def test_lists_that_show_no_identity_match_nobody_and_break_nothing() -> None:
    group = GroupLists([Key("k0"), Userid("u1"), None])
    group.add(0, [Connection("c", Status.ACCEPTED, Person(name="Ann"), Person(name="Bob"))])
    group.add(1, listed(1, [0]))
    group.skip(2)
    assert pairs(group) == []
    assert not group.is_recognizable(0)
    assert group.person(0) == Person("Ann", key=Key("k0"))
    assert group.person(2) == Person()


def test_the_latest_time_counts_and_none_is_no_time() -> None:
    group = GroupLists([Userid("u0"), Userid("u1")])
    group.add(0, listed(0, [1], updated=None))
    assert [edge.updated for edge in group.edges()] == [None]
    group.add(1, listed(1, [0]))
    assert [edge.updated for edge in group.edges()] == [THEN]
