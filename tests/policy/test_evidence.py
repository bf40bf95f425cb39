"""When lists of colleagues may answer in place of checks, and whether invitations of other people are visible."""

from __future__ import annotations

from itertools import product

import pytest

from aioconnections.policy.evidence import (
    ABSENT_CHECKS,
    INVITATION_CHECKS,
    INVITED,
    PRESENT_CHECKS,
    Evidence,
    Invitations,
)
from aioconnections.records import Status

ACCEPTED, PENDING, UNCONFIRMED = Status.ACCEPTED, Status.PENDING, Status.UNCONFIRMED
ANYTHING = (None, *Status)


def agree(evidence: Evidence, *, present: int = 0, absent: int = 0) -> None:
    """Checks that say the same as the lists."""
    for listed, count in ((ACCEPTED, present), (None, absent)):
        for _ in range(count):
            assert evidence.wants(listed)
            assert evidence.checked(listed, listed)


def test_nothing_is_known_at_first() -> None:
    evidence = Evidence()
    assert (evidence.standing, evidence.concludes_absence) == ("open", True)
    assert repr(evidence) == "Evidence(open, 0 present, 0 absent)"


@pytest.mark.parametrize("absent_first", [False, True])
def test_lists_are_proved_by_50_people_in_lists_and_100_who_are_not(*, absent_first: bool) -> None:
    assert (PRESENT_CHECKS, ABSENT_CHECKS) == (50, 100)
    evidence = Evidence()
    if absent_first:
        agree(evidence, absent=100)
        agree(evidence, present=49)
    else:
        agree(evidence, present=50)
        agree(evidence, absent=99)
    assert evidence.standing == "open"
    agree(evidence, present=absent_first, absent=not absent_first)
    assert repr(evidence) == "Evidence(proved, 50 present, 100 absent)"


@pytest.mark.parametrize(("listed", "other", "most"), [(ACCEPTED, None, 50), (None, ACCEPTED, 100)])
def test_no_more_checks_are_made_than_prove_the_lists(listed: Status | None, other: Status | None, most: int) -> None:
    evidence = Evidence()
    assert [evidence.wants(listed) for _ in range(most + 2)] == [True] * most + [False] * 2
    assert evidence.wants(other), "the two kinds count apart"


@pytest.mark.parametrize("listed", ANYTHING)
def test_a_check_that_failed_is_replaced_by_one_more(listed: Status | None) -> None:
    evidence = Evidence()
    while evidence.wants(listed):
        pass
    evidence.failed(listed)
    assert evidence.wants(listed)
    assert not evidence.wants(listed)


@pytest.mark.parametrize(("listed", "status"), [*product(ANYTHING, ANYTHING)])
def test_a_check_contradicts_a_list_unless_it_says_the_same_or_shows_an_invitation_that_no_list_has(
    listed: Status | None, status: Status | None
) -> None:
    evidence = Evidence()
    is_new_invitation = listed is None and status in INVITED
    assert evidence.checked(listed, status) is (listed == status or is_new_invitation)
    assert evidence.concludes_absence is not is_new_invitation
    present, absent = listed == status is not None, listed is status is None
    assert repr(evidence) == f"Evidence(open, {present:d} present, {absent:d} absent)"


def test_a_contradiction_does_not_count_as_a_confirmation() -> None:
    evidence = Evidence()
    agree(evidence, present=49, absent=100)
    assert not evidence.checked(ACCEPTED, None)
    assert repr(evidence) == "Evidence(open, 49 present, 100 absent)"
    assert evidence.checked(PENDING, PENDING), "an invitation that a list and a check show"
    assert evidence.standing == "proved"


@pytest.mark.parametrize("status", [PENDING, UNCONFIRMED])
def test_after_an_invitation_that_no_list_has_people_in_lists_suffice(status: Status) -> None:
    evidence = Evidence()
    assert evidence.checked(None, status)
    agree(evidence, present=49)
    assert evidence.standing == "open"
    agree(evidence, present=1)
    assert (evidence.standing, evidence.concludes_absence) == ("proved", False)


def test_an_invitation_in_the_last_check_proves_lists_whose_people_are_confirmed() -> None:
    """No further check would be made that could do it."""
    evidence = Evidence()
    agree(evidence, present=50, absent=99)
    assert evidence.wants(None)
    assert evidence.checked(None, PENDING)
    assert not evidence.wants(None)
    assert (evidence.standing, evidence.concludes_absence) == ("proved", False)


def test_an_invitation_may_be_found_after_the_lists_are_proved() -> None:
    evidence = Evidence()
    agree(evidence, present=50, absent=100)
    assert evidence.checked(None, PENDING)
    assert (evidence.standing, evidence.concludes_absence) == ("proved", False)


@pytest.mark.parametrize("listed", [ACCEPTED, None])
def test_lists_that_are_proved_need_no_check(listed: Status | None) -> None:
    evidence = Evidence()
    agree(evidence, present=50, absent=100)
    evidence.failed(listed)
    assert not evidence.wants(listed)
    assert [evidence.believes(it) for it in ANYTHING] == [True] * 4


def test_lists_that_are_refuted_are_never_proved() -> None:
    evidence = Evidence()
    agree(evidence, present=50, absent=99)
    evidence.refute()
    assert evidence.checked(None, None)
    assert evidence.standing == "refuted"
    assert not evidence.wants(PENDING)
    assert all(evidence.disbelieves(it) and not evidence.believes(it) for it in ANYTHING)
    assert not evidence.wants(ACCEPTED)
    assert not evidence.wants(None)


def test_proved_lists_can_be_refuted() -> None:
    evidence = Evidence()
    agree(evidence, present=50, absent=100)
    evidence.refute()
    assert repr(evidence) == "Evidence(refuted, 50 present, 100 absent)"


def test_invitations_are_read_until_they_are_known_to_be_invisible() -> None:
    invitations = Invitations()
    assert (invitations.are_visible, invitations.are_read) == (None, True)
    assert repr(invitations) == "Invitations(None)"
    for _ in range(9):
        invitations.listed(0)
    assert invitations.are_read
    invitations.listed(0)
    assert (invitations.are_visible, invitations.are_read) == (False, False)


def confirm(evidence: Evidence, count: int) -> None:
    """Checks that show the invitations in lists."""
    for _ in range(count):
        assert evidence.wants(PENDING)
        assert evidence.checked(PENDING, PENDING)


@pytest.mark.parametrize(("shown", "needed"), [(1, 1), (4, 4), (10, 10), (500, 10)])
def test_lists_with_invitations_answer_after_ten_of_these_are_confirmed_or_all(shown: int, needed: int) -> None:
    assert INVITATION_CHECKS == 10
    evidence = Evidence()
    evidence.shows(shown)
    agree(evidence, present=50, absent=100)
    for _ in range(needed):
        assert [it for it in ANYTHING if evidence.believes(it)] == [ACCEPTED]
        confirm(evidence, 1)
    assert all(evidence.believes(it) for it in ANYTHING)
    evidence.shows(500)
    assert evidence.believes(None) is (needed == 10), "more are shown than before"


def test_ten_checks_of_invitations_are_among_those_of_people_in_lists() -> None:
    evidence = Evidence()
    evidence.shows(20)
    confirm(evidence, 10)
    agree(evidence, present=40, absent=100)
    assert evidence.believes(UNCONFIRMED)
    assert not evidence.wants(PENDING)


def test_further_checks_of_invitations_are_ordinary_ones() -> None:
    evidence = Evidence()
    assert [evidence.wants(PENDING) for _ in range(52)] == [True] * 50 + [False] * 2


def test_an_invitation_that_lists_with_invitations_lack_contradicts_them() -> None:
    evidence = Evidence()
    evidence.shows(1)
    assert evidence.shows_invitations
    assert not evidence.checked(None, PENDING)
    assert evidence.concludes_absence


def test_if_there_are_invitations_one_must_have_been_in_a_list() -> None:
    evidence = Evidence()
    agree(evidence, present=50, absent=100)
    evidence.has_invitations = True
    assert [it for it in ANYTHING if evidence.believes(it)] == [ACCEPTED]
    assert not evidence.disbelieves(None), "one may come"
    evidence.shows(1)
    confirm(evidence, 1)
    assert evidence.believes(None)


def test_invitations_that_checks_do_not_show_are_of_no_importance() -> None:
    evidence = Evidence()
    evidence.shows(5)
    agree(evidence, present=50, absent=100)
    evidence.ignore_invitations()
    assert not evidence.shows_invitations
    assert evidence.believes(None)


def test_without_conclusions_from_absence_the_people_in_lists_are_believed() -> None:
    evidence = Evidence()
    agree(evidence, present=50, absent=99)
    assert not evidence.disbelieves(None)
    assert evidence.checked(None, PENDING)
    assert (evidence.believes(None), evidence.disbelieves(None), evidence.believes(PENDING)) == (False, True, True)


def test_invitations_that_a_check_shows_are_visible() -> None:
    invitations = Invitations()
    invitations.listed(1)
    invitations.checked(is_shown=True)
    assert (invitations.are_visible, invitations.are_read) == (True, True)
    invitations.listed(5)
    for _ in range(3):
        invitations.checked(is_shown=False)
    invitations.refused()
    assert invitations.are_visible
    assert repr(invitations) == "Invitations(True)"


def test_invitations_that_three_checks_do_not_show_are_invisible() -> None:
    invitations = Invitations()
    invitations.listed(3)
    invitations.checked(is_shown=False)
    invitations.checked(is_shown=False)
    assert invitations.are_visible is None
    invitations.checked(is_shown=False)
    assert invitations.are_visible is False


def test_one_check_that_shows_an_invitation_outweighs_those_that_do_not() -> None:
    invitations = Invitations()
    invitations.listed(3)
    invitations.checked(is_shown=False)
    invitations.checked(is_shown=False)
    invitations.checked(is_shown=True)
    assert invitations.are_visible


def test_a_server_that_refuses_to_list_invitations_may_show_them_in_checks() -> None:
    invitations = Invitations()
    invitations.refused()
    assert (invitations.are_visible, invitations.are_read) == (False, False)
    invitations.listed(2)
    invitations.checked(is_shown=True)
    assert invitations.are_visible


def test_lists_without_invitations_prove_nothing_if_another_list_has_some() -> None:
    invitations = Invitations()
    for found in (1, *[0] * 20):
        invitations.listed(found)
    assert invitations.are_visible is None
    assert invitations.are_read


def test_a_list_with_invitations_is_never_the_reason_to_read_no_more() -> None:
    invitations = Invitations()
    for _ in range(10):
        invitations.listed(1)
    assert invitations.are_read


@pytest.mark.parametrize("may_be", [True, False])
@pytest.mark.parametrize("are", [True, False, None])
def test_invitations_are_expected_unless_they_are_known_or_likely_to_be_hidden(
    *, are: bool | None, may_be: bool
) -> None:
    invitations = Invitations()
    invitations.are_visible, invitations.may_be_visible = are, may_be
    assert invitations.are_expected is (may_be if are is None else are)
