"""Invitations, acceptance and removal, driven by every answer that the pages list and every way to lose one."""

from __future__ import annotations

import pytest
from colleague_answers import (
    ADDRESS,
    ALREADY,
    BOB,
    BODY,
    BUSY,
    CREATED,
    DONE,
    FORBIDDEN,
    FOREIGN,
    HEAD,
    INVALID,
    LATE,
    LOGIN,
    LOST,
    ME,
    NONE,
    OAUTH,
    PAIR,
    POST,
    UNSENT,
    entry,
    fails,
    status,
)
from talk import ATOM, HTML, answer, talk, targets

from aioconnections.atom import Entry, Reader
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
    ResponseError,
    ServerError,
    ThrottledError,
    UnexpectedResponseError,
)
from aioconnections.outcomes import Accepted, AlreadyExists, Invited
from aioconnections.protocol.address import Address
from aioconnections.protocol.colleagues import (
    ConnectionRef,
    OnUnknown,
    accept,
    connection_body,
    get,
    invitation_body,
    invite,
    remove,
)
from aioconnections.protocol.entries import connection_from
from aioconnections.protocol.messages import Flow, Response
from aioconnections.records import Connection, Email, Identity, Key, Pair, Person, Status, Userid


def inviting(
    *, discover: bool = False, on_unknown: OnUnknown = "recheck", me: Identity | None = ME, address: Address = ADDRESS
) -> Flow[Invited | AlreadyExists]:
    return invite(address, lambda: me, BOB, BODY, discover=discover, settle=7, on_unknown=on_unknown)


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        (CREATED, Invited("793f", person=BOB)),
        (answer(201, entry("pending").body, ATOM), Invited("c1", person=BOB)),
        (
            answer(201, entry("pending").body, ATOM, Location="https://c.example.com/x?connectionId=9"),
            Invited("9", person=BOB),
        ),
        (answer(201, entry("pending").body, ATOM, Location="https://c.example.com/x"), Invited("c1", person=BOB)),
        (answer(201, entry("pending").body.replace(b"tag:profiles", b"urn"), ATOM), Invited("c1", person=BOB)),
        (answer(201, entry("pending").body.replace(b'"connection"', b'"profile"'), ATOM), Invited(person=BOB)),
        (answer(201, entry("pending").body[:-9], ATOM), Invited(person=BOB)),
        (answer(201, b'<?xml version="1.0"?>', ATOM), Invited(person=BOB)),
        (answer(201, "<html>whatever it says</html>", HTML), Invited(person=BOB)),  # the status line has decided
        (Response(201, ((b"Content-Type", b"text/html"), (b"Transfer-Encoding", b"chunked"))), Invited(person=BOB)),
        (answer(201, Location="https://c.example.com/no/id"), Invited(person=BOB)),
        (
            answer(201, Location="/profiles/atom/connection.do?inclMessage=true&connectionId=9"),
            Invited("9", person=BOB),
        ),
        (answer(201, Location="https://[broken?connectionId=9"), Invited("9", person=BOB)),
        (DONE, Invited(person=BOB)),
        (ALREADY, AlreadyExists()),
    ],
)
def test_an_invitation_is_one_post(reply: Response, result: object) -> None:
    done, asked = talk(inviting(), reply)
    assert done == result
    assert targets(asked) == [POST]
    assert asked[0].once
    assert asked[0].body == BODY
    assert asked[0].headers.get("content-type") == "application/atom+xml"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (INVALID, BadRequestError),
        (answer(400), BadRequestError),
        (answer(401), AuthenticationError),
        (answer(302, Location="https://sso.example.com/login"), AuthenticationError),
        (LOGIN, AuthenticationError),
        (FORBIDDEN, ForbiddenError),
        (FOREIGN, ForeignResponseError),
        (answer(409), UnexpectedResponseError),
        (answer(429), ThrottledError),
        (answer(204), UnexpectedResponseError),
        (UNSENT, ConnectFailedError),
    ],
)
def test_what_is_certainly_no_invitation(reply: Response | Exception, kind: type[Exception]) -> None:
    assert type(fails(inviting(), reply)) is kind


@pytest.mark.parametrize("lost", [LOST, LATE, BUSY, answer(500), answer(502), answer(504)])
@pytest.mark.parametrize(
    ("stands", "result"),
    [("unconfirmed", Invited(person=BOB)), ("pending", AlreadyExists()), ("accepted", AlreadyExists())],
)
def test_a_lost_answer_is_asked_for(lost: Response | Exception, stands: str, result: object) -> None:
    done, asked = talk(inviting(), lost, status(stands))
    assert done == result
    assert targets(asked) == [POST, HEAD]
    assert asked[1].delay == 7
    assert asked[1].headers.get("cache-control") == "no-cache"


def test_it_is_sent_again_only_where_there_is_nothing_and_once() -> None:
    done, asked = talk(inviting(), LOST, NONE, CREATED)
    assert (done, targets(asked)) == (Invited("793f", person=BOB), [POST, HEAD, POST])
    done, asked = talk(inviting(), LOST, NONE, LOST, status("unconfirmed"))
    assert (done, targets(asked)) == (Invited(person=BOB), [POST, HEAD, POST, HEAD])
    assert isinstance(fails(inviting(), LOST, NONE, LOST, NONE), InDoubtError)


def test_the_second_one_may_meet_the_first() -> None:
    done, asked = talk(inviting(), LOST, NONE, ALREADY, status("unconfirmed"))
    assert done == Invited(person=BOB)
    assert [request.delay for request in asked] == [0, 7, 0, 0]
    assert talk(inviting(), LOST, NONE, ALREADY, status("pending"))[0] == AlreadyExists()


def test_somebody_who_does_not_ask_is_told_that_it_is_in_doubt() -> None:
    assert isinstance(fails(inviting(on_unknown="report"), LOST), InDoubtError)


def test_who_is_not_known_to_have_invited_is_asked_for() -> None:
    service = '<service xmlns="http://www.w3.org/2007/app">{}</service>'
    mine = service.format('<userid xmlns="http://www.ibm.com/xmlns/prod/sn">me</userid>')
    kind = "application/atomsvc+xml; charset=UTF-8"
    done, asked = talk(inviting(me=None), LOST, answer(200, mine, kind), status("unconfirmed"))
    assert (done, targets(asked)) == (Invited(person=BOB), [POST, "GET /profiles/atom/profileService.do", HEAD])
    for unsettled in (answer(200, service.format(""), kind), answer(401), BUSY, NONE):
        doubt = fails(inviting(me=None), LOST, unsettled)
        assert type(doubt) is InDoubtError
        assert isinstance(doubt.__cause__, ConnectionsError)
    assert isinstance(fails(inviting(me=None, on_unknown="report"), BUSY), InDoubtError)


@pytest.mark.parametrize(
    "unsettled", [BUSY, UNSENT, LOST, INVALID, FORBIDDEN, answer(401), answer(200, "<html>", HTML), answer(429)]
)
def test_what_keeps_from_asking_says_nothing_of_the_invitation(unsettled: Response | Exception) -> None:
    doubt = fails(inviting(), LOST, unsettled)
    assert type(doubt) is InDoubtError
    assert isinstance(doubt.__cause__, ConnectionsError)


@pytest.mark.parametrize("address", [ADDRESS, OAUTH])
def test_the_documented_way_goes_through_the_service_document(address: Address) -> None:
    href = "https://visible.example.com/profiles/atom/connections.do?connectionType=colleague&amp;key=k1&amp;lastMod=5"
    document = answer(
        200,
        '<service xmlns="http://www.w3.org/2007/app" xmlns:a="http://www.w3.org/2005/Atom"><workspace><a:link href="'
        + href
        + '" rel="http://www.ibm.com/xmlns/prod/sn/connections/colleague"/></workspace></service>',
        "application/atomsvc+xml; charset=UTF-8",
    )
    done, asked = talk(inviting(discover=True, address=address), document, CREATED)
    assert done == Invited("793f", person=BOB)
    assert targets(asked) == [
        f"GET {address.profiles}/profileService.do?email=bob%40example.com",
        f"POST {address.profiles}/connections.do?connectionType=colleague&key=k1&lastMod=5",
    ]


@pytest.mark.parametrize(("userid", "is_used"), [("BOB-1", True), ("me", False), ("", True)])
def test_the_service_document_of_another_person_names_no_feed_to_post_to(userid: str, *, is_used: bool) -> None:
    document = answer(
        200,
        '<service xmlns="http://www.w3.org/2007/app" xmlns:a="http://www.w3.org/2005/Atom"'
        f' xmlns:s="http://www.ibm.com/xmlns/prod/sn"><workspace><collection><s:userid>{userid}</s:userid></collection>'
        '<a:link href="/profiles/atom/connections.do?connectionType=colleague&amp;key=k1"'
        ' rel="http://www.ibm.com/xmlns/prod/sn/connections/colleague"/></workspace></service>',
        "application/atomsvc+xml",
    )
    flow = invite(ADDRESS, lambda: ME, Userid("bob-1"), BODY, discover=True)
    _, asked = talk(flow, document, CREATED)
    named = "key=k1" if is_used else "userid=bob-1"
    assert targets(asked)[1] == f"POST /profiles/atom/connections.do?connectionType=colleague&{named}"


@pytest.mark.parametrize(
    "document",
    [
        NONE,
        INVALID,
        answer(200, '<?xml version="1.0"?>', ATOM),
        answer(200, '<service xmlns="http://www.w3.org/2007/app"/>', "application/atomsvc+xml"),
    ],
)
def test_nobody_has_no_feed_to_post_to(document: Response) -> None:
    assert type(fails(inviting(discover=True), document)) is NotFoundError


@pytest.mark.parametrize(
    ("which", "query"),
    [
        (PAIR, "connectionType=colleague&sourceUserid=me&targetEmail=bob%40example.com"),
        (" c/1 ", "connectionId=c%2F1"),
        (Connection("c1", None, Person(), Person()), "connectionId=c1"),
    ],
)
def test_one_connection(which: ConnectionRef, query: str) -> None:
    found, asked = talk(get(ADDRESS, which, message=True), entry("accepted"))
    assert found is not None
    assert (found.id, found.status, found.message) == ("c1", Status.ACCEPTED, "Hello &lt;b&gt;")
    assert targets(asked) == [f"GET /profiles/atom/connection.do?{query}&inclMessage=true"]
    assert asked[0].headers.get("cache-control") == "no-cache"
    assert talk(get(ADDRESS, which), NONE)[0] is None
    assert talk(get(ADDRESS, which), answer(404, b"", HTML))[0] is None


def between(source: str, target: str) -> Response:
    """An entry that names two people by userid."""
    sn = "http://www.ibm.com/xmlns/prod/sn"
    ends = "".join(
        f'<contributor s:rel="{sn}/connection/{role}"><s:userid>{userid}</s:userid></contributor>'
        for role, userid in (("source", source), ("target", target))
        if userid
    )
    return entry("pending", extra=f'<s:connection xmlns:s="{sn}">{ends}</s:connection>')


def known(source: str | None, target: str | None) -> Connection:
    one, other = (Person(userid=None if it is None else Userid(it)) for it in (source, target))
    return Connection("c1", None, one, other)


@pytest.mark.parametrize(
    ("which", "source", "target"),
    [
        (Pair(Userid("a"), Userid("b")), "a", "c"),
        (Pair(Userid("a"), Userid("b")), "c", "b"),
        (Pair(Userid("a"), Userid("b")), "b", "a"),
        (Pair(Userid("a"), Email("b@x")), "c", "b"),
        (known("a", "b"), "a", "c"),
        (known("a", "b"), "c", "d"),
        (known("a", None), "c", "d"),
    ],
)
def test_an_entry_of_other_people_is_no_answer(which: ConnectionRef, source: str, target: str) -> None:
    for flow in (get(ADDRESS, which), accept(ADDRESS, which), remove(ADDRESS, which)):
        error = fails(flow, between(source, target))
        assert type(error) is UnexpectedResponseError
        assert "the response is about a connection of other people" in str(error)
    doubt = fails(accept(ADDRESS, which), between("", ""), LOST, between(source, target))
    assert type(doubt) is InDoubtError


@pytest.mark.parametrize(
    ("which", "source", "target"),
    [
        (Pair(Userid("a"), Userid("b")), "A", "b"),
        (Pair(Userid("a"), Userid("b")), "a", ""),
        (Pair(Email("a@x"), Key("b")), "c", "d"),
        (known("a", "b"), "b", "a"),
        (known(None, None), "c", "d"),
        (known("a", None), "c", "a"),
        ("c1", "c", "d"),
    ],
)
def test_an_entry_may_name_its_people_otherwise(which: ConnectionRef, source: str, target: str) -> None:
    found, _ = talk(get(ADDRESS, which), between(source, target))
    assert found is not None
    assert found.status is Status.PENDING


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (FOREIGN, ForeignResponseError),
        (INVALID, BadRequestError),
        (LOGIN, AuthenticationError),
        (answer(200, '<?xml version="1.0"?>', ATOM), UnexpectedResponseError),
        (BUSY, ServerError),
    ],
)
def test_no_connection_and_no_answer_are_told_apart(reply: Response | Exception, kind: type[ResponseError]) -> None:
    assert type(fails(get(ADDRESS, PAIR), reply)) is kind


@pytest.mark.parametrize("nameless", ["", "  ", Connection(None, None, Person(), Person())])
def test_a_connection_without_an_id_cannot_be_asked_for(nameless: ConnectionRef) -> None:
    for flow in (get(ADDRESS, nameless), accept(ADDRESS, nameless), remove(ADDRESS, nameless)):
        with pytest.raises(InvalidInputError):
            next(flow)


GET_C1 = "GET /profiles/atom/connection.do?connectionId=c1&inclMessage=true"
PUT_C1 = "PUT /profiles/atom/connection.do?connectionId=c1&inclMessage=true"


@pytest.mark.parametrize("reply", [DONE, answer(200), answer(204)])
def test_accepting_changes_the_status_and_nothing_else(reply: Response) -> None:
    strange = '<x:y xmlns:x="urn:x" z="1">kept</x:y>'
    done, asked = talk(accept(ADDRESS, "c1"), entry("pending", extra=strange), reply)
    assert done == Accepted()
    assert targets(asked) == [GET_C1, PUT_C1]
    assert asked[1].once
    (before, after) = (Reader(), Reader())
    before.feed(entry("accepted", extra=strange).body)
    after.feed(asked[1].body or b"")
    assert after.close().entries == before.close().entries


def test_the_address_to_put_to_is_the_entrys_own_or_else_made_of_its_id() -> None:
    assert targets(talk(accept(ADDRESS, PAIR), entry("pending", edit=None), DONE)[1])[1] == (
        "PUT /profiles/atom/connection.do?connectionId=c1"
    )
    assert targets(talk(accept(OAUTH, PAIR), entry("pending"), DONE)[1])[1] == PUT_C1.replace(
        "/profiles/", "/profiles/oauth/"
    )
    elsewhere = entry("pending", edit="https://evil.example.com/connection.do?connectionId=evil")
    assert targets(talk(accept(ADDRESS, PAIR), elsewhere, DONE)[1])[1] == (
        "PUT /profiles/atom/connection.do?connectionId=c1"
    )
    relative = entry("pending", edit="connection.do?connectionId=c1&amp;a=b")
    assert targets(talk(accept(ADDRESS, PAIR), relative, DONE)[1])[1] == (
        "PUT /profiles/atom/connection.do?connectionId=c1&a=b"
    )


def test_what_is_accepted_already_is_left_alone_and_ones_own_invitation_cannot_be() -> None:
    assert talk(accept(ADDRESS, "c1"), entry("accepted"))[0] == Accepted()
    assert type(fails(accept(ADDRESS, "c1"), entry("unconfirmed"))) is InvalidInputError
    assert type(fails(accept(ADDRESS, "c1"), NONE)) is NotFoundError


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (INVALID, BadRequestError),
        (answer(401), AuthenticationError),
        (LOGIN, AuthenticationError),
        (FORBIDDEN, ForbiddenError),
        (NONE, NotFoundError),
        (answer(429), ThrottledError),
        (UNSENT, ConnectFailedError),
    ],
)
def test_what_is_certainly_not_accepted(reply: Response | Exception, kind: type[Exception]) -> None:
    assert type(fails(accept(ADDRESS, "c1"), entry("pending"), reply)) is kind


@pytest.mark.parametrize("lost", [LOST, BUSY])
def test_a_lost_acceptance_is_looked_at_and_put_twice_at_the_most(lost: Response | Exception) -> None:
    pending, accepted = entry("pending"), entry("accepted")
    done, asked = talk(accept(ADDRESS, "c1"), pending, lost, accepted)
    assert (done, targets(asked)) == (Accepted(), [GET_C1, PUT_C1, GET_C1])
    done, asked = talk(accept(ADDRESS, "c1"), pending, lost, pending, DONE)
    assert (done, targets(asked)) == (Accepted(), [GET_C1, PUT_C1, GET_C1, PUT_C1])
    assert talk(accept(ADDRESS, "c1"), pending, lost, pending, lost, accepted)[0] == Accepted()
    for last in (pending, NONE, BUSY):
        assert type(fails(accept(ADDRESS, "c1"), pending, lost, pending, lost, last)) is InDoubtError
    assert type(fails(accept(ADDRESS, "c1"), pending, lost, NONE)) is NotFoundError
    assert type(fails(accept(ADDRESS, "c1"), pending, lost, UNSENT)) is InDoubtError


def test_what_is_posted() -> None:
    (entry_of_invitation,) = _entries(invitation_body("Hi <b>you</b>", "html"))
    assert connection_from(entry_of_invitation).status is Status.PENDING
    assert entry_of_invitation.content is not None
    assert (entry_of_invitation.content.type, entry_of_invitation.content.value) == ("html", "Hi <b>you</b>")
    (entry_of_connection,) = _entries(connection_body("Hi"))
    assert connection_from(entry_of_connection).status is Status.ACCEPTED
    with pytest.raises(InvalidInputError):
        invitation_body("\x00")
    with pytest.raises(InvalidInputError, match="text or html"):
        invitation_body("<b>Hi</b>", "xhtml")  # type: ignore[arg-type] # a call that type checkers must refuse


def _entries(body: bytes) -> list[Entry]:
    reader = Reader()
    return [*reader.feed(body), *reader.close().entries]
