"""Conversations that create, accept and remove colleague connections.

A change whose response was lost is verified before it is sent again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, TypeVar

from aioconnections import atom
from aioconnections.errors import (
    BadRequestError,
    ConnectionsError,
    InDoubtError,
    InvalidInputError,
    NotFoundError,
    TransportError,
    UnexpectedResponseError,
)
from aioconnections.outcomes import Accepted, AlreadyExists, Connected, Invited, Removed
from aioconnections.protocol.address import Address
from aioconnections.protocol.discovery import service_document_of
from aioconnections.protocol.entries import (
    accepted_entry,
    connected_entry,
    connection_from,
    connection_id,
    ends_of,
    invite_entry,
    lone_entry,
    may_be,
    person_from,
    query_value,
)
from aioconnections.protocol.messages import NEVER_SENT, NO_CACHE, Flow, Headers, Request, Response, Sends, encode
from aioconnections.protocol.profiles import check, pair_query, signed_in
from aioconnections.protocol.responses import error_of, expect, is_missing
from aioconnections.records import Connection, Identity, Pair, Status

__all__ = [
    "ATOM",
    "ConnectionRef",
    "OnUnknown",
    "accept",
    "connect",
    "connection_body",
    "disconnect",
    "doubt_about",
    "get",
    "invitation_body",
    "invite",
    "posted",
    "remove",
]

R = TypeVar("R")

ConnectionRef: TypeAlias = Connection | Pair | str
"""A connection: a record, the pair of its source and target, or its bare id."""
OnUnknown: TypeAlias = Literal["recheck", "report"]

ATOM = Headers([("Content-Type", "application/atom+xml")])
_ALREADY = "CLFRN1168E"  # recorded: "A connection to this user already exists or is pending", with an empty <code>
_MOST_PUTS = 2
_MOST_POSTS = 2
_MOST_DELETES = 2
_LONGEST_DOUBT = 900.0  # seconds; later, a declined invitation looks like "no connection" too


def get(address: Address, which: ConnectionRef, *, message: bool = False) -> Flow[Connection | None]:
    """One connection, seen from its source; None if none is visible.

    Pages "Checking whether two people are colleagues" and "Retrieving a connection". `message` requests the text of the
    invitation, which the server gives to the source only.

    Raises:
        ResponseError: the server refuses.
        AtomError: the response cannot be read.
    """
    entry = yield from _entry(address, which, message=message)
    return None if entry is None else connection_from(entry)


def invite(
    address: Address,
    me: Callable[[], Identity | None],
    person: Identity,
    body: bytes,
    *,
    discover: bool = False,
    settle: float = 30.0,
    on_unknown: OnUnknown = "recheck",
    earlier: Sends = NEVER_SENT,
) -> Flow[Invited | AlreadyExists]:
    """Invite a person, at most once.

    Page "Inviting a person to become a colleague". With `discover`, the person's service document names the feed to
    post to, as the page describes; otherwise, or if that link leads elsewhere or the document is of another person, the
    well-known address is used.

    `me` gives the signed-in user, if known. After a lost response the conversation waits `settle` seconds, checks the
    connection without caches, and invites once more only if there is none; with ``on_unknown="report"`` it gives up at
    once. A change sent by an `earlier` run is treated like a lost response. After fifteen minutes nothing is sent
    again, because an invitation that has been declined since then cannot be told from one that was never made.

    Raises:
        ResponseError: the server's verdict.
        TransportError: the invitation was certainly not sent.
        InDoubtError: the response was lost, and verification did not settle whether the invitation was made.
    """
    target = f"{address.profiles}/connections.do?connectionType=colleague&{person.kind}={encode(person.value)}"
    if discover:
        document = yield from service_document_of(address, person)
        if document is None or document.colleagues_href is None:
            raise NotFoundError(404, None, "the service document of this person contains no link to a colleague feed")
        if may_be([person], [document.userid]):  # else the document is of another person
            target = address.follow(document.colleagues_href) or target
    request = Request("POST", target, ATOM, body, once=True)
    sent, pause = earlier.times, settle - (earlier.age() or 0.0)
    doubt = sent > 0 and not earlier.settled
    while True:
        if doubt:
            if on_unknown == "report":
                break
            own = me() or (yield from _settling("invitation", signed_in(address)))
            verification = check(address, Pair(own, person), headers=NO_CACHE, delay=max(pause, 0.0))
            status = yield from _settling("invitation", verification)
            if status is not None:
                return Invited(person=person) if status is Status.UNCONFIRMED else AlreadyExists()
            age = earlier.age()
            if sent >= _MOST_POSTS or age is None or age > _LONGEST_DOUBT:
                break
        response = yield from posted(request)
        done = None if response is None else _invited(request, response, person)
        if done is not None and not (
            sent and isinstance(done, AlreadyExists)
        ):  # it may be the first invitation, which arrived
            return done
        sent, pause, doubt = sent + 1, settle if done is None else 0.0, True
    raise doubt_about("invitation")


def accept(address: Address, which: ConnectionRef) -> Flow[Accepted]:
    """Accept an invitation.

    Page "Accept an invitation to become a colleague": fetch the entry, change only its status, and put it back, because
    the server drops elements that are missing from the request. After a lost response the entry is fetched again, and
    put again if it is still pending.

    Raises:
        InvalidInputError: the signed-in user is the inviter.
        ResponseError: the server's verdict; `NotFoundError` if the invitation does not exist, or no longer exists.
        InDoubtError: the response was lost, and verification did not settle whether the change was made.
    """
    fetching = _entry(address, which, message=True)
    for _ in range(_MOST_PUTS):
        entry = yield from fetching
        if entry is None:
            raise NotFoundError(404, None, "there is no such invitation, or the inviter has withdrawn it")
        connection = connection_from(entry)
        if connection.status is Status.ACCEPTED:
            return Accepted()
        if connection.status is Status.UNCONFIRMED:
            raise InvalidInputError("only the invitee can accept an invitation")
        request = Request(
            "PUT", _edit_target(address, connection), ATOM, atom.write_entry(accepted_entry(entry)), once=True
        )
        response = yield from posted(request)
        if response is not None:
            expect(request, response, 200, 204)
            return Accepted()
        fetching = _settling("acceptance", _entry(address, which, message=True))
    entry = yield from fetching
    if entry is not None and connection_from(entry).status is Status.ACCEPTED:
        return Accepted()
    raise doubt_about("acceptance")


def remove(address: Address, which: ConnectionRef, *, earlier: Sends = NEVER_SENT) -> Flow[Removed]:
    """Decline, withdraw or remove a connection; the request is the same, and the result says which it was.

    Pages "Deleting connections" and "Accept an invitation to become a colleague" (declining). The connection is fetched
    first, for its status and edit link; a connection that no longer exists when it is deleted counts as removed.

    Raises:
        ResponseError: the server's verdict; `NotFoundError` if there is no such connection.
        TransportError: the connection still exists, or no request was sent.
        InDoubtError: the response was lost, and verification did not settle whether the change was made.
    """
    entry = yield from _entry(address, which)
    if entry is None:
        if earlier.times:
            return Removed()  # its former status cannot be known
        raise NotFoundError(404, None, "there is no such connection")
    connection = connection_from(entry)
    request = Request("DELETE", _edit_target(address, connection), once=True)
    yield from _deleted(request, "removal", lambda: _entry(address, which))
    return Removed(connection.status)


def connect(
    address: Address, pair: Pair, body: bytes, *, earlier: Sends = NEVER_SENT
) -> Flow[Connected | AlreadyExists]:
    """Connect two people, as an administrator.

    Page "Creating a colleague connection using the Administration API": PUT, 201.

    Raises:
        ResponseError: the server's verdict; `ForbiddenError` if the user is not an administrator.
        InDoubtError: the response was lost, and verification did not settle whether the change was made.
    """
    target = f"{address.administration}/connections.do?action=complete&{pair_query(pair)}"
    request = Request("PUT", target, ATOM, body, once=True)
    for again in (earlier.times > 0, True):
        response = yield from posted(request)
        if response is not None and not _is_already(request, response):
            if response.status != 201:
                expect(request, response, 200)
            return Connected(_created_id(response), pair=pair)
        if response is not None and not again:
            return AlreadyExists()
        status = yield from _settling("connection", check(address, pair, headers=NO_CACHE))
        if status is Status.ACCEPTED:
            return Connected(pair=pair)
        if response is not None:
            return AlreadyExists()  # it is not accepted, so this request did not create it
    raise doubt_about("connection")


def disconnect(address: Address, pair: Pair, *, earlier: Sends = NEVER_SENT) -> Flow[Removed]:
    """Remove the connection of two people, as an administrator.

    Page "Deleting a colleague connection using the Administration API".

    Raises:
        ResponseError: the server's verdict; `NotFoundError` if there is no connection.
        InDoubtError: the response was lost, and verification did not settle whether the change was made.
    """
    was = yield from check(address, pair, headers=NO_CACHE)
    target = f"{address.administration}/connections.do?connectionType=colleague&{pair_query(pair)}"
    if was is None:  # a connection that is not accepted may be hidden from administrators (inferred)
        request = Request("DELETE", target, once=True)
        response = yield from posted(request)
        if response is None:
            raise doubt_about("removal")
        if not (earlier.times and is_missing(response)):
            expect(request, response, 200, 204)
        return Removed()
    request = Request("DELETE", target, once=True)
    yield from _deleted(request, "removal", lambda: check(address, pair, headers=NO_CACHE))
    return Removed(was)


def invitation_body(message: str, kind: Literal["text", "html"] = "text") -> bytes:
    """The body of an invitation with this message.

    Raises:
        InvalidInputError: the message is not text, contains characters that XML cannot represent, or has an unknown
            type.
    """
    if kind not in ("text", "html"):
        raise InvalidInputError(f"message_type must be text or html, got {kind!r:.60}")
    return atom.write_entry(invite_entry(_text(message), kind))


def connection_body(message: str) -> bytes:
    """The body of an administrator's request to connect two people.

    Raises:
        InvalidInputError: the message is not text, or contains characters that XML cannot represent.
    """
    return atom.write_entry(connected_entry(_text(message)))


def _text(message: object) -> str:
    if not isinstance(message, str):
        raise InvalidInputError(f"message must be text, got {type(message).__name__}")
    return message


def _entry(address: Address, which: ConnectionRef, *, message: bool = False) -> Flow[atom.Entry | None]:
    """The entry of a connection; None if there is no connection."""
    request = Request("GET", _target(address, which, message=message), NO_CACHE)
    response = yield request
    if is_missing(response):
        return None
    expect(request, response, 200)
    entry = lone_entry(response, address.url_of(request.target))
    if entry is None:
        raise UnexpectedResponseError(200, None, "the response contains no connection")
    if not _is_about(entry, which):
        raise UnexpectedResponseError(200, None, "the response is about a connection of other people")
    return entry


def _is_about(entry: atom.Entry, which: ConnectionRef) -> bool:
    """Whether an entry may be that of a connection: it names no other people, as far as userids are known.

    A change follows the link in the entry, so with a response that a cache has mixed up it would concern other people.
    """
    if isinstance(which, str):
        return True
    ends = [person_from(end).userid for end in ends_of(entry)]
    if isinstance(which, Pair):
        return may_be([which.source, which.target], ends)
    people = [which.source.userid, which.target.userid]
    return may_be(people, ends) or may_be(people[::-1], ends)  # an id may name the row of either person


def _target(address: Address, which: ConnectionRef, *, message: bool) -> str:
    if isinstance(which, Pair):
        query = f"connectionType=colleague&{pair_query(which)}"
    else:
        own = which if isinstance(which, str) else which.id
        if not own or not own.strip():
            raise InvalidInputError("this connection has no id; pass the pair of its source and target")
        query = f"connectionId={encode(own.strip())}"
    return f"{address.profiles}/connection.do?{query}{'&inclMessage=true' if message else ''}"


def _edit_target(address: Address, connection: Connection) -> str:
    """The request target for a change: that of the edit link, or of the id if the link leads to another server."""
    linked = None if connection.edit_href is None else address.follow(connection.edit_href)
    return linked or _target(address, connection, message=False)


def _deleted(request: Request, what: str, fetch: Callable[[], Flow[object]]) -> Flow[None]:
    """Delete a resource; one that no longer exists counts as deleted. After a lost response, `fetch` verifies.

    The request is repeated here and not by the session, where a refused repetition would hide that the first response
    was lost.

    Raises:
        ResponseError: the server's verdict; for a `ServerError`, the resource still exists.
        TransportError: the resource still exists.
        InDoubtError: verification did not settle whether the change was made.
    """
    failure: ConnectionsError | None = None
    for _ in range(_MOST_DELETES):
        try:
            response = yield request
        except TransportError as lost:
            if lost.sent == "no":
                raise
            failure = lost
        else:
            if is_missing(response):
                return
            if response.status < 500:
                expect(request, response, 200, 204)
                return
            failure = error_of(request, response)
        if (yield from _settling(what, fetch())) is None:
            return
    assert failure is not None  # noqa: S101 # set by every attempt that does not return or raise
    raise failure


def _settling(what: str, verification: Flow[R]) -> Flow[R]:
    """The result of `verification`, which follows a change whose response was lost.

    Raises:
        InDoubtError: verification failed; the cause is its error, which says nothing about the change itself.
    """
    try:
        return (yield from verification)
    except ConnectionsError as error:
        raise doubt_about(what) from error.with_traceback(None)


def doubt_about(what: str) -> InDoubtError:
    """The error for a change that may have been made, such as an ``invitation``."""
    return InDoubtError(
        f"the {what} was sent, but its response was lost; it may have been made: do not repeat it, look first"
    )


def posted(request: Request) -> Flow[Response | None]:
    """The response to a change; None if there is none, or a 5xx, so that the change may have been made."""
    try:
        response = yield request
    except TransportError as lost:
        if lost.sent == "no":
            raise
        return None
    return None if response.status >= 500 else response


def _invited(request: Request, response: Response, person: Identity) -> Invited | AlreadyExists:
    if _is_already(request, response):
        return AlreadyExists()
    if response.status != 201:
        expect(request, response, 200)
    return Invited(_created_id(response), person=person)


def _created_id(response: Response) -> str | None:
    """The id in the response to a creation: in ``Location``, as recorded, or in the entry that the pages specify."""
    found = query_value(response.get(b"location"), "connectionId")
    if found is not None or not response.body:
        return found
    try:
        entry = lone_entry(response)
    except ConnectionsError:
        return None  # the status line has decided
    return None if entry is None else connection_id(entry)


def _is_already(request: Request, response: Response) -> bool:
    if response.status != 400:
        return False
    error = error_of(request, response)
    return isinstance(error, BadRequestError) and error.code == _ALREADY
