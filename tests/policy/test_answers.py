"""What a run remembers of its checks, and when a response holds for the other way round."""

from __future__ import annotations

import tracemalloc
from itertools import count

import pytest

from aioconnections import Email, Identity, Key, Pair, Status, Userid
from aioconnections.policy.answers import BOTH_WAYS, CONNECTED_BOTH_WAYS, Answer, Answers, Kind

ACCEPTED, PENDING, UNCONFIRMED = Status.ACCEPTED, Status.PENDING, Status.UNCONFIRMED
LARGE = 1 << 20
A, B = Userid("uid=Ä,o=x"), Userid("b")
SWAPPED = {None: None, ACCEPTED: ACCEPTED, PENDING: UNCONFIRMED, UNCONFIRMED: PENDING}


_NUMBERS = count(1)


def ask(answers: Answers, *statuses: Status | None, kind: Kind = "other") -> None:
    """Ask about new people in both ways; the second response is the first one from the other side."""
    for status in statuses:
        ask_both_ways(answers, status, SWAPPED[status], kind)


def ask_both_ways(answers: Answers, status: Status | None, reverse: Status | None, kind: Kind = "other") -> None:
    number = next(_NUMBERS)
    one, other = Userid(f"one {number}"), Userid(f"other {number}")
    answers.add(Pair(one, other), Answer(status, number), kind)
    answers.add(Pair(other, one), Answer(reverse, number), kind)


def proved(kind: Kind = "other", *more: Status) -> Answers:
    answers = Answers(LARGE)
    ask(answers, *[ACCEPTED] * CONNECTED_BOTH_WAYS, *[None] * (BOTH_WAYS - CONNECTED_BOTH_WAYS), *more, kind=kind)
    return answers


@pytest.mark.parametrize("status", [None, *Status])
@pytest.mark.parametrize("index", [0, 1, 2**40])
def test_the_same_pair_is_found(status: Status | None, index: int) -> None:
    answers = Answers(LARGE)
    answers.add(Pair(A, B), Answer(status, index), "own")
    assert answers.find(Pair(A, B), "other") == (status, index)
    assert answers.find(Pair(B, A), "own") is None
    assert repr(answers) == f"Answers(1 of {answers.most})"


@pytest.mark.parametrize(
    ("one", "other", "are_equal"),
    [
        (Email("A@x.com"), Email("a@X.com"), True),
        (Key("AB"), Key("ab"), Key("AB") == Key("ab")),
        (Userid("a"), Userid("A"), False),
        (Userid("a@x.com"), Email("a@x.com"), False),
    ],
)
def test_identities_are_compared_as_elsewhere(one: Identity, other: Identity, *, are_equal: bool) -> None:
    answers = Answers(LARGE)
    answers.add(Pair(one, B), Answer(None, 1), "other")
    assert (Pair(one, B) == Pair(other, B)) is are_equal
    assert (answers.find(Pair(other, B), "other") is not None) is are_equal


def test_nothing_holds_the_other_way_before_enough_pairs_were_asked_in_both_ways() -> None:
    assert (BOTH_WAYS, CONNECTED_BOTH_WAYS) == (300, 30)
    answers = Answers(LARGE)
    ask(answers, *[ACCEPTED] * 30, *[None] * 269)
    answers.add(Pair(A, B), Answer(ACCEPTED, 7), "other")
    assert not answers.may_turn("other")
    assert answers.find(Pair(B, A), "other") is None
    ask(answers, None)
    assert answers.may_turn("other")
    assert answers.find(Pair(B, A), "other") == (ACCEPTED, 7)


def test_people_without_a_connection_prove_nothing_alone() -> None:
    answers = Answers(LARGE)
    ask(answers, *[None] * 1_000, *[ACCEPTED] * 29)
    assert not answers.may_turn("other")


@pytest.mark.parametrize("status", [PENDING, UNCONFIRMED])
def test_invitations_are_turned_round_after_thirty_of_them(status: Status) -> None:
    answers = proved("other", *[PENDING] * 29)
    answers.add(Pair(A, B), Answer(status, 7), "other")
    assert answers.find(Pair(B, A), "other") is None
    assert answers.turned(Answer(None, 3), "other") == (None, 3)
    ask(answers, UNCONFIRMED)
    assert answers.find(Pair(B, A), "other") == (SWAPPED[status], 7)
    assert answers.turned(Answer(status, 9), "other") == (SWAPPED[status], 9)


@pytest.mark.parametrize(
    ("one", "reverse"), [(ACCEPTED, None), (None, ACCEPTED), (PENDING, PENDING), (PENDING, None), (None, UNCONFIRMED)]
)
def test_one_pair_with_different_responses_is_enough_to_turn_nothing_round(
    one: Status | None, reverse: Status | None
) -> None:
    answers = proved()
    ask_both_ways(answers, one, reverse)
    assert not answers.may_turn("other")
    answers.add(Pair(A, B), Answer(None, 7), "other")
    assert answers.find(Pair(B, A), "other") is None
    assert answers.find(Pair(A, B), "other") == (None, 7)


def test_pairs_of_the_user_are_judged_apart() -> None:
    answers = proved("own")
    assert (answers.may_turn("own"), answers.may_turn("other")) == (True, False)


def test_a_full_memory_takes_no_more() -> None:
    answers = Answers(50)
    for number in range(4):
        answers.add(Pair(Userid(f"{number}"), B), Answer(ACCEPTED, number), "other")
    found = [answers.find(Pair(Userid(f"{number}"), B), "other") for number in range(4)]
    assert [it is not None for it in found] == [True, True, False, False]


def test_the_memory_is_bounded() -> None:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        answers = Answers(LARGE)
        number = 0
        for number in range(answers.most + 10):
            answers.add(Pair(Userid(f"{number}"), B), Answer(None, number), "other")
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 0.7 * LARGE < taken <= LARGE


def test_addresses_that_differ_by_more_than_case_share_nothing() -> None:
    answers = Answers(1 << 20)
    answers.add(Pair(Userid("x"), Email("weiß@example.com")), Answer(Status.ACCEPTED, 0), "other")
    assert answers.find(Pair(Userid("x"), Email("WEIẞ@example.com")), "other") == Answer(Status.ACCEPTED, 0)
    assert answers.find(Pair(Userid("x"), Email("weiss@example.com")), "other") is None
