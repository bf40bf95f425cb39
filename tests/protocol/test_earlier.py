"""What an earlier run has sent before it was killed: it is asked after, and what cannot be told is never done again."""

from __future__ import annotations

import pytest
from colleague_answers import (
    ADDRESS,
    ALREADY,
    BOB,
    BODY,
    CREATED,
    DONE,
    LATE,
    LOST,
    ME,
    NONE,
    PAIR,
    POST,
    fails,
    status,
)
from talk import answer, talk, targets

from aioconnections.errors import InDoubtError, NotFoundError
from aioconnections.outcomes import AlreadyExists, Connected, Invited, Removed
from aioconnections.protocol.colleagues import OnUnknown, connect, connection_body, disconnect, invite, remove
from aioconnections.protocol.communities import end_invitation, invite_to_community
from aioconnections.protocol.messages import Flow, Response, Sends
from aioconnections.records import Invitation, Status, Userid

GONE = answer(404)


def sent(times: int, age: float | None = 10.0) -> Sends:
    return Sends(times, lambda: age)


def inviting(earlier: Sends, on_unknown: OnUnknown = "recheck") -> Flow[Invited | AlreadyExists]:
    return invite(ADDRESS, lambda: ME, BOB, BODY, settle=30, on_unknown=on_unknown, earlier=earlier)


@pytest.mark.parametrize(
    ("stands", "result"),
    [("unconfirmed", Invited(person=BOB)), ("pending", AlreadyExists()), ("accepted", AlreadyExists())],
)
@pytest.mark.parametrize("times", [1, 2])
def test_an_invitation_that_may_have_gone_out_is_asked_after_first(times: int, stands: str, result: object) -> None:
    done, asked = talk(inviting(sent(times)), status(stands))
    assert done == result
    assert [request.method for request in asked] == ["HEAD"]
    assert asked[0].headers.get("cache-control") == "no-cache"


@pytest.mark.parametrize(("age", "pause"), [(0.0, 30.0), (10.0, 20.0), (30.0, 0.0), (800.0, 0.0), (None, 30.0)])
def test_the_time_to_settle_counts_from_when_it_was_sent(age: float | None, pause: float) -> None:
    assert talk(inviting(sent(1, age)), status("accepted"))[1][0].delay == pause


def test_it_is_sent_once_more_if_there_is_nothing() -> None:
    done, asked = talk(inviting(sent(1)), NONE, CREATED)
    assert done == Invited("793f", person=BOB)
    assert targets(asked)[1:] == [POST]
    done, asked = talk(inviting(sent(1)), NONE, ALREADY, status("unconfirmed"))  # the first one, arrived after all
    assert done == Invited(person=BOB)


@pytest.mark.parametrize("earlier", [sent(2), sent(3), sent(1, 900.1), sent(1, None)])
def test_it_is_never_sent_a_third_time_nor_after_fifteen_minutes_nor_when_the_time_cannot_be_told(
    earlier: Sends,
) -> None:
    assert type(fails(inviting(earlier), NONE)) is InDoubtError


def test_what_was_asked_after_and_not_made_counts_all_the_same() -> None:
    once = Sends(1, lambda: 10.0, settled=True)
    assert targets(talk(inviting(once), CREATED)[1]) == [POST]
    assert type(fails(inviting(once), LOST, NONE)) is InDoubtError
    assert talk(inviting(once), ALREADY, status("unconfirmed"))[0] == Invited(person=BOB)


def test_fifteen_minutes_may_pass_within_one_run_as_well() -> None:
    ages = iter([0.0, 901.0])
    assert type(fails(inviting(Sends(0, lambda: next(ages))), LATE, NONE)) is InDoubtError


@pytest.mark.parametrize("lost", [LOST, LATE, answer(500)])
def test_one_that_cannot_be_asked_after_stays_in_doubt(lost: Response | Exception) -> None:
    assert type(fails(inviting(sent(1)), lost)) is InDoubtError


def test_report_asks_nothing() -> None:
    flow = inviting(sent(1), "report")
    with pytest.raises(InDoubtError):
        next(flow)


def test_a_connection_that_is_gone_after_a_removal_was_sent_is_removed() -> None:
    assert talk(remove(ADDRESS, PAIR, earlier=sent(1)), GONE)[0] == Removed()
    assert type(fails(remove(ADDRESS, PAIR), GONE)) is NotFoundError
    assert talk(disconnect(ADDRESS, PAIR, earlier=sent(1)), NONE, GONE)[0] == Removed()
    assert talk(disconnect(ADDRESS, PAIR, earlier=sent(1)), status("accepted"), DONE)[0] == Removed(Status.ACCEPTED)


def test_that_two_people_are_connected_already_is_ones_own_doing_if_it_was_sent_before() -> None:
    body = connection_body("")
    assert talk(connect(ADDRESS, PAIR, body, earlier=sent(1)), ALREADY, status("accepted"))[0] == Connected(pair=PAIR)
    assert talk(connect(ADDRESS, PAIR, body), ALREADY)[0] == AlreadyExists()
    assert talk(connect(ADDRESS, PAIR, body, earlier=sent(1)), ALREADY, status("pending"))[0] == AlreadyExists()


def test_invitations_into_communities() -> None:
    invitation = Invitation("i", "c", edit_href="/communities/service/atom/community/invites?communityUuid=c&userid=m")
    assert talk(end_invitation(ADDRESS, invitation, earlier=sent(1)), GONE)[0] == Removed()
    with pytest.raises(InDoubtError):
        next(invite_to_community(ADDRESS, "c", Userid("u"), "Come", earlier=sent(1)))
