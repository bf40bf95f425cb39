"""When lists of colleagues may answer in place of checks, and whether invitations of other people are visible."""

from __future__ import annotations

from itertools import product

import pytest

from aioconnections.policy.evidence import ABSENT_CHECKS, PRESENT_CHECKS, Evidence, Invitations
from aioconnections.records import Status

ACCEPTED, PENDING, UNCONFIRMED = Status.ACCEPTED, Status.PENDING, Status.UNCONFIRMED
ANYTHING = (None, *Status)


def agree(evidence: Evidence, *, present: int = 0, absent: int = 0) -> None:
    """Checks that say the same as the lists."""
    for listed, count in ((ACCEPTED, present), (None, absent)):
        for _ in range(count):
            assert evidence.wants(present=listed is not None)
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


@pytest.mark.parametrize(("present", "most"), [(True, 50), (False, 100)])
def test_no_more_checks_are_made_than_prove_the_lists(*, present: bool, most: int) -> None:
    evidence = Evidence()
    assert [evidence.wants(present=present) for _ in range(most + 2)] == [True] * most + [False] * 2
    assert evidence.wants(present=not present), "the two kinds count apart"


@pytest.mark.parametrize("present", [True, False])
def test_a_check_that_failed_is_replaced_by_one_more(*, present: bool) -> None:
    evidence = Evidence()
    while evidence.wants(present=present):
        pass
    evidence.failed(present=present)
    assert evidence.wants(present=present)
    assert not evidence.wants(present=present)


@pytest.mark.parametrize(("listed", "status"), [*product(ANYTHING, ANYTHING)])
def test_a_check_contradicts_a_list_unless_it_says_the_same_or_shows_an_invitation_that_no_list_has(
    listed: Status | None, status: Status | None
) -> None:
    evidence = Evidence()
    is_new_invitation = listed is None and status in (PENDING, UNCONFIRMED)
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
    assert evidence.wants(present=False)
    assert evidence.checked(None, PENDING)
    assert not evidence.wants(present=False)
    assert (evidence.standing, evidence.concludes_absence) == ("proved", False)


def test_an_invitation_may_be_found_after_the_lists_are_proved() -> None:
    evidence = Evidence()
    agree(evidence, present=50, absent=100)
    assert evidence.checked(None, PENDING)
    assert (evidence.standing, evidence.concludes_absence) == ("proved", False)


@pytest.mark.parametrize("present", [True, False])
def test_lists_that_are_proved_need_no_check(*, present: bool) -> None:
    evidence = Evidence()
    agree(evidence, present=50, absent=100)
    evidence.failed(present=present)
    assert not evidence.wants(present=present)


def test_lists_that_are_refuted_are_never_proved() -> None:
    evidence = Evidence()
    agree(evidence, present=50, absent=99)
    evidence.refute()
    assert evidence.checked(None, None)
    assert evidence.standing == "refuted"
    assert not evidence.wants(present=True)
    assert not evidence.wants(present=False)


def test_proved_lists_can_be_refuted() -> None:
    evidence = Evidence()
    agree(evidence, present=50, absent=100)
    evidence.refute()
    assert repr(evidence) == "Evidence(refuted, 50 present, 100 absent)"


def test_invitations_are_read_until_they_are_known_to_be_invisible() -> None:
    invitations = Invitations()
    assert (invitations.are_visible, invitations.are_read) == (None, True)
    assert repr(invitations) == "Invitations(None)"
    assert [invitations.listed(0) for _ in range(9)] == [0] * 9
    assert invitations.are_read
    invitations.listed(0)
    assert (invitations.are_visible, invitations.are_read) == (False, False)


def test_three_invitations_are_checked() -> None:
    invitations = Invitations()
    assert [invitations.listed(found) for found in (1, 0, 5, 5)] == [1, 0, 2, 0]


def test_invitations_that_a_check_shows_are_visible() -> None:
    invitations = Invitations()
    invitations.listed(1)
    invitations.checked(is_shown=True)
    assert (invitations.are_visible, invitations.are_read) == (True, True)
    assert invitations.listed(5) == 0
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
    assert invitations.listed(2) == 0
    invitations.checked(is_shown=True)
    assert invitations.are_visible


def test_a_check_of_an_invitation_that_failed_is_replaced_by_another() -> None:
    invitations = Invitations()
    assert invitations.listed(5) == 3
    invitations.failed()
    assert invitations.listed(5) == 1


@pytest.mark.parametrize("fails", [False, True])
def test_lists_without_invitations_prove_nothing_if_another_list_has_some(*, fails: bool) -> None:
    """Whether they are visible remains open even if the check of the invitation fails."""
    invitations = Invitations()
    assert invitations.listed(1) == 1
    if fails:
        invitations.failed()
    for _ in range(20):
        invitations.listed(0)
    assert invitations.are_visible is None
    assert invitations.listed(3) == 2 + fails


def test_a_list_with_invitations_is_never_the_reason_to_read_no_more() -> None:
    invitations = Invitations()
    for _ in range(10):
        invitations.listed(1)
        invitations.failed()
        assert invitations.listed(0) == 0
    assert invitations.listed(1) == 1
    assert invitations.are_read
