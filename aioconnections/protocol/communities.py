"""Conversations about invitations into communities.

The query of an invitation's links is used unchanged: the ``userid`` in it is an internal id of Communities.
"""

from __future__ import annotations

from attrs import evolve

from aioconnections import atom
from aioconnections.errors import ConnectionsError, InvalidInputError, TransportError
from aioconnections.outcomes import Accepted, AlreadyExists, Invited, Removed
from aioconnections.protocol.address import Address
from aioconnections.protocol.colleagues import ATOM, doubt_about, posted
from aioconnections.protocol.entries import invitation_entry, invitation_from, lone_entry, member_entry, query_value
from aioconnections.protocol.messages import NEVER_SENT, NO_CACHE, Flow, Request, Response, Sends, encode
from aioconnections.protocol.responses import error_of, expect, is_missing
from aioconnections.records import Identity, Invitation

__all__ = ["accept_invitation", "end_invitation", "get_invitation", "invite_to_community"]

_MEMBER = 417  # documented: already a member
_ALREADY = (409, _MEMBER)  # assumed: the response for an existing invitation is neither documented nor recorded


def invite_to_community(
    address: Address, community: str, person: Identity, title: str, *, earlier: Sends = NEVER_SENT
) -> Flow[Invited | AlreadyExists]:
    """Invite a person into a community, as an owner.

    Page "Creating a community invitation programmatically": 201 and ``Location``, with the entry or without a body.

    Raises:
        ResponseError: the server's verdict.
        TransportError: the invitation was certainly not sent.
        InDoubtError: the response was lost.
        InvalidInputError: the person is identified by key, or the title contains characters that XML cannot represent.
    """
    target = f"{address.communities}/community/invites?communityUuid={encode(community)}"
    request = Request("POST", target, ATOM, atom.write_entry(invitation_entry(person, title)), once=True)
    if earlier.times:  # the effect of a second invitation is not documented
        raise doubt_about("invitation")
    response = yield from _posted(request, "invitation")
    if response.status in _ALREADY:
        return AlreadyExists()
    if response.status != 201:
        expect(request, response, 200)
    return Invited(person=person)


def get_invitation(address: Address, invitation: Invitation) -> Flow[Invitation | None]:
    """The current state of an invitation; None if it no longer exists. Page "Retrieving an invitation".

    Raises:
        ResponseError: the server refuses.
        AtomError: the response cannot be read.
    """
    request = Request("GET", _target(address, invitation), NO_CACHE)
    response = yield request
    if is_missing(response):
        return None
    expect(request, response, 200)
    entry = lone_entry(response, address.url_of(request.target))
    return None if entry is None else invitation_from(entry)


def accept_invitation(address: Address, me: Identity, invitation: Invitation) -> Flow[Accepted]:
    """Become a member of the community of an invitation.

    Page "Adding a member programmatically"; that this accepts an invitation is inferred from the vendor's own client.

    Raises:
        InvalidInputError: the invitation has no `community_uuid`, or `me` is a key.
        ResponseError: the server's verdict.
        InDoubtError: the response was lost.
    """
    if invitation.community_uuid is None:
        raise InvalidInputError("this invitation has no community_uuid; pass one from a listing")
    target = f"{address.communities}/community/members?communityUuid={encode(invitation.community_uuid)}"
    request = Request("POST", target, ATOM, atom.write_entry(member_entry(me)), once=True)
    response = yield from _posted(request, "acceptance")
    if response.status not in (201, _MEMBER):
        expect(request, response, 200)
    return Accepted()


def end_invitation(address: Address, invitation: Invitation, *, earlier: Sends = NEVER_SENT) -> Flow[Removed]:
    """Decline an invitation as the invitee, or revoke it as an owner.

    Page "Declining or revoking an invitation" specifies 204; 200 is recorded for similar requests. After a lost
    response the invitation is deleted once more; after a second one it is fetched, and counts as ended if it no longer
    exists.

    Raises:
        ResponseError: the server's verdict; `NotFoundError` if the invitation does not exist.
        TransportError: the invitation still exists, or the request was not sent.
        InDoubtError: verification did not settle whether the change was made.
    """
    request = Request("DELETE", _target(address, invitation), once=True)
    lost = earlier.times > 0
    failure: ConnectionsError | None = None
    for attempt in (request, evolve(request, once=False)):
        try:
            response = yield attempt
        except TransportError as error:
            if failure is None or error.sent == "maybe":  # what may have arrived says more
                failure = error
            lost = lost or error.sent == "maybe"
            continue
        except ConnectionsError as error:  # an error of the repetition says nothing about the first request
            if not lost:
                raise
            failure = error
            continue
        if lost and is_missing(response):
            return Removed()
        says_nothing = lost and response.status in (401, 429)  # a refusal of the repetition alone
        if response.status < 500 and not says_nothing:
            expect(request, response, 200, 204)
            return Removed()
        lost, failure = True, error_of(request, response)
    assert failure is not None  # noqa: S101 # set by every attempt that does not return or raise
    if lost and (yield from _still_there(address, invitation)) is None:
        return Removed()
    raise failure


def _still_there(address: Address, invitation: Invitation) -> Flow[Invitation | None]:
    try:
        return (yield from get_invitation(address, invitation))
    except ConnectionsError as error:
        raise doubt_about("removal") from error.with_traceback(None)


def _target(address: Address, invitation: Invitation) -> str:
    """The request target of an invitation; its links may lead elsewhere, and then only their parameters are used.

    Raises:
        InvalidInputError: the invitation has no link that leads to an invitation.
    """
    hrefs = [href for href in (invitation.edit_href, invitation.self_href) if href]
    if not hrefs:
        raise InvalidInputError("this invitation has neither an edit link nor a self link; pass one from a listing")
    for href in hrefs:
        if (target := address.follow(href)) is not None:
            return target
    for href in hrefs:
        community, member = query_value(href, "communityUuid"), query_value(href, "userid")
        if community and member:
            query = f"communityUuid={encode(community)}&userid={encode(member)}"
            return f"{address.communities}/community/invites?{query}"
    raise InvalidInputError("the links of this invitation lead to another server; pass one from a listing")


def _posted(request: Request, what: str) -> Flow[Response]:
    """The response to a POST.

    Raises:
        InDoubtError: there is no response, or it does not say whether the change was made.
    """
    response = yield from posted(request)
    if response is None:
        raise doubt_about(what)
    return response
