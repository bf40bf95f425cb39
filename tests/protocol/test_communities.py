"""Invitations into communities, driven by every answer that the pages list and every way to lose one."""

from __future__ import annotations

import pytest
from talk import ATOM, HTML, answer, error, talk, targets

from aioconnections.errors import (
    AuthenticationError,
    BadRequestError,
    ConnectFailedError,
    ConnectionsError,
    ForbiddenError,
    ForeignResponseError,
    InDoubtError,
    InvalidInputError,
    NotFoundError,
    ProtocolError,
    ServerError,
    ServerUnavailableError,
    ThrottledError,
    TransportError,
)
from aioconnections.outcomes import Accepted, AlreadyExists, Invited, Removed
from aioconnections.protocol.address import Address
from aioconnections.protocol.communities import (
    accept_invitation,
    end_invitation,
    get_invitation,
    invite_to_community,
)
from aioconnections.protocol.messages import Flow, Response
from aioconnections.records import Email, Invitation, Key, Userid

ADDRESS = Address.of("https://c.example.com")
OAUTH = Address.of("https://c.example.com", oauth=True)
HREF = "https://visible.example.com/communities/service/atom/community/invites?communityUuid=c%201&userid=m1"
INVITATION = Invitation("i1", "c 1", edit_href=HREF)
LOST = ProtocolError("the connection was reset", sent="maybe")
UNSENT = ConnectFailedError("refused")
THERE = answer(
    200,
    '<entry xmlns="http://www.w3.org/2005/Atom"><title>Come</title>'
    '<category term="invite" scheme="http://www.ibm.com/xmlns/prod/sn/type"/></entry>',
    ATOM,
)
GONE = error(404, "The invitation does not exist.", "404")
FOREIGN = ForeignResponseError(404, None, "a page of the web server")  # what the session makes of such a page
EMPTY_201 = answer(201, b"", HTML, Location="https://c.example.com/x")
POST = "POST /communities/service/atom/community/invites?communityUuid=c%201"
JOIN = "POST /communities/service/atom/community/members?communityUuid=c%201"
DELETE = "DELETE /communities/service/atom/community/invites?communityUuid=c%201&userid=m1"


@pytest.mark.parametrize(
    ("edit", "own"),
    [
        ("https://inner.example.com/ctx/communities/x?communityUuid=c%201&userid=m1", None),
        ("https://evil.example.com/x", HREF),
        ("https://evil.example.com/x", "https://evil.example.com/x?userid=m1&communityUuid=c%201"),
    ],
)
def test_a_link_that_leads_elsewhere_is_replaced_by_its_parameters(edit: str, own: str | None) -> None:
    invitation = Invitation("i1", "c 1", edit_href=edit, self_href=own)
    assert targets(talk(end_invitation(ADDRESS, invitation), answer(204))[1]) == [DELETE]
    assert targets(talk(get_invitation(ADDRESS, invitation), THERE)[1]) == [DELETE.replace("DELETE", "GET")]


@pytest.mark.parametrize("href", ["https://evil.example.com/x?communityUuid=c", "https://[broken?userid=m1"])
def test_an_invitation_without_a_usable_link_is_refused_before_anything_is_sent(href: str) -> None:
    with pytest.raises(InvalidInputError, match="lead to another server"):
        next(end_invitation(ADDRESS, Invitation("i", "c", edit_href=href)))


def fails(flow: Flow[object], *answers: Response | Exception) -> ConnectionsError:
    with pytest.raises(ConnectionsError) as caught:
        talk(flow, *answers)
    return caught.value


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        (EMPTY_201, Invited(person=Email("ann@example.com"))),
        (answer(201, '<entry xmlns="http://www.w3.org/2005/Atom"/>', ATOM), Invited(person=Email("ann@example.com"))),
        (answer(200), Invited(person=Email("ann@example.com"))),
        (error(409, "Invited already."), AlreadyExists()),
        (error(417, "A member already."), AlreadyExists()),
    ],
)
@pytest.mark.parametrize("address", [ADDRESS, OAUTH])
def test_inviting_is_one_post(reply: Response, result: object, address: Address) -> None:
    done, asked = talk(invite_to_community(address, "c 1", Email("ann@example.com"), "Come"), reply)
    assert done == result
    assert targets(asked) == [POST.replace("/atom/", "/atom/oauth/") if address.segment else POST]
    assert asked[0].once
    assert b"ann@example.com" in (asked[0].body or b"")


REFUSALS = [
    (error(400, "Unknown user.", "400"), BadRequestError),
    (answer(401), AuthenticationError),
    (answer(200, "<html>Log in</html>", HTML), AuthenticationError),
    (answer(403), ForbiddenError),
    (error(404, "The community does not exist."), NotFoundError),
    (answer(429), ThrottledError),
    (UNSENT, ConnectFailedError),
    (LOST, InDoubtError),
    (answer(503), InDoubtError),
]


@pytest.mark.parametrize(("reply", "kind"), REFUSALS)
def test_what_does_not_invite_or_accept(reply: Response | Exception, kind: type[Exception]) -> None:
    assert type(fails(invite_to_community(ADDRESS, "c 1", Userid("u"), "Come"), reply)) is kind
    assert type(fails(accept_invitation(ADDRESS, Userid("u"), INVITATION), reply)) is kind


@pytest.mark.parametrize("reply", [EMPTY_201, answer(200), answer(201, "<html>", HTML), error(417, "Already.")])
def test_accepting_is_joining(reply: Response) -> None:
    done, asked = talk(accept_invitation(ADDRESS, Userid("me"), INVITATION), reply)
    assert (done, targets(asked)) == (Accepted(), [JOIN])
    assert b"me</" in (asked[0].body or b"")


def test_what_communities_cannot_be_told() -> None:
    for flow in (
        invite_to_community(ADDRESS, "c 1", Key("k"), "Come"),
        accept_invitation(ADDRESS, Key("k"), INVITATION),
        accept_invitation(ADDRESS, Userid("me"), Invitation("i1", None)),
        end_invitation(ADDRESS, Invitation("i1", "c 1")),
        get_invitation(ADDRESS, Invitation("i1", "c 1")),
    ):
        with pytest.raises(InvalidInputError):
            next(flow)


@pytest.mark.parametrize("reply", [answer(200, b"", HTML), answer(204)])
def test_ending_uses_the_address_as_it_is(reply: Response) -> None:
    done, asked = talk(end_invitation(ADDRESS, INVITATION), reply)
    assert (done, targets(asked)) == (Removed(), [DELETE])
    assert targets(talk(end_invitation(OAUTH, INVITATION), reply)[1]) == [DELETE.replace("/atom/", "/atom/oauth/")]
    only_self = Invitation("i1", "c 1", self_href=HREF)
    assert targets(talk(end_invitation(ADDRESS, only_self), reply)[1]) == [DELETE]


@pytest.mark.parametrize("lost", [LOST, answer(503)])
def test_gone_after_a_lost_answer_is_ended(lost: Response | Exception) -> None:
    done, asked = talk(end_invitation(ADDRESS, INVITATION), lost, GONE)
    assert (done, targets(asked)) == (Removed(), [DELETE, DELETE])
    assert [request.once for request in asked] == [True, False]
    assert talk(end_invitation(ADDRESS, INVITATION), lost, answer(204))[0] == Removed()
    assert fails(end_invitation(ADDRESS, INVITATION), lost, FOREIGN, THERE) is FOREIGN
    assert talk(end_invitation(ADDRESS, INVITATION), lost, FOREIGN, GONE)[0] == Removed()


@pytest.mark.parametrize("lost", [LOST, answer(503)])
@pytest.mark.parametrize("again", [LOST, UNSENT, answer(500), answer(429), answer(401)])
def test_when_the_second_answer_says_nothing_it_asks(lost: Response | Exception, again: Response | Exception) -> None:
    done, asked = talk(end_invitation(ADDRESS, INVITATION), lost, again, GONE)
    assert (done, targets(asked)) == (Removed(), [DELETE, DELETE, DELETE.replace("DELETE", "GET")])
    assert not isinstance(fails(end_invitation(ADDRESS, INVITATION), lost, again, THERE), InDoubtError)
    for silent in (LOST, UNSENT, answer(500), answer(401), FOREIGN):
        doubt = fails(end_invitation(ADDRESS, INVITATION), lost, again, silent)
        assert type(doubt) is InDoubtError
        assert isinstance(doubt.__cause__, ConnectionsError)


def test_a_deletion_that_cannot_be_sent_again_is_no_less_in_doubt() -> None:
    closed = ServerUnavailableError("away")
    assert type(fails(end_invitation(ADDRESS, INVITATION), LOST, closed, closed)) is InDoubtError
    assert talk(end_invitation(ADDRESS, INVITATION), LOST, closed, GONE)[0] == Removed()
    assert fails(end_invitation(ADDRESS, INVITATION), LOST, closed, THERE) is closed
    assert fails(end_invitation(ADDRESS, INVITATION), closed) is closed


def test_what_never_left_is_no_doubt() -> None:
    assert fails(end_invitation(ADDRESS, INVITATION), UNSENT, UNSENT) is UNSENT
    assert type(fails(end_invitation(ADDRESS, INVITATION), UNSENT, answer(429))) is ThrottledError
    assert type(fails(end_invitation(ADDRESS, INVITATION), UNSENT, answer(401))) is AuthenticationError
    assert type(fails(end_invitation(ADDRESS, INVITATION), UNSENT, LOST, THERE)) is ProtocolError
    assert type(fails(end_invitation(ADDRESS, INVITATION), answer(500), answer(500), THERE)) is ServerError


def test_what_may_have_left_is_never_called_unsent() -> None:
    error = fails(end_invitation(ADDRESS, INVITATION), LOST, UNSENT, THERE)
    assert isinstance(error, TransportError)
    assert error.sent == "maybe"  # the first request may still arrive


def test_gone_before_anything_was_sent_was_not_there() -> None:
    assert type(fails(end_invitation(ADDRESS, INVITATION), GONE)) is NotFoundError
    assert type(fails(end_invitation(ADDRESS, INVITATION), UNSENT, GONE)) is NotFoundError
    assert type(fails(end_invitation(ADDRESS, INVITATION), answer(403))) is ForbiddenError


def test_getting_one() -> None:
    found, asked = talk(get_invitation(ADDRESS, INVITATION), THERE)
    assert found is not None
    assert found.title == "Come"
    assert targets(asked) == [DELETE.replace("DELETE", "GET")]
    assert asked[0].headers.get("Cache-Control") == "no-cache"
    assert talk(get_invitation(ADDRESS, INVITATION), GONE)[0] is None
    assert talk(get_invitation(ADDRESS, INVITATION), answer(200, '<?xml version="1.0"?>', ATOM))[0] is None
    assert fails(get_invitation(ADDRESS, INVITATION), FOREIGN) is FOREIGN
    assert type(fails(get_invitation(ADDRESS, INVITATION), answer(403))) is ForbiddenError
