"""Removal, and what an administrator does for others, driven by every answer and every way to lose one."""

from __future__ import annotations

import pytest
from colleague_answers import (
    ADDRESS,
    ALREADY,
    BOB,
    BUSY,
    CREATED,
    DONE,
    FORBIDDEN,
    FOREIGN,
    HEAD,
    INVALID,
    LOGIN,
    LOST,
    NONE,
    OAUTH,
    PAIR,
    UNSENT,
    entry,
    fails,
    status,
)
from talk import ATOM, HTML, answer, talk, targets

from aioconnections.errors import (
    AuthenticationError,
    BadRequestError,
    ConnectFailedError,
    ForbiddenError,
    ForeignResponseError,
    InDoubtError,
    NotFoundError,
    ServerError,
    ThrottledError,
    UnexpectedResponseError,
)
from aioconnections.outcomes import AlreadyExists, Connected, Removed
from aioconnections.protocol.colleagues import (
    connect,
    connection_body,
    disconnect,
    remove,
)
from aioconnections.protocol.messages import Response
from aioconnections.records import Key, Pair, Status

GET_C1 = "GET /profiles/atom/connection.do?connectionId=c1&inclMessage=true"
DELETE_C1 = "DELETE /profiles/atom/connection.do?connectionId=c1&inclMessage=true"


@pytest.mark.parametrize("was", Status)
@pytest.mark.parametrize("reply", [DONE, answer(204), NONE, Response(200, ((b"Transfer-Encoding", b"chunked"),))])
def test_removing_says_what_it_was(was: Status, reply: Response) -> None:
    done, asked = talk(remove(ADDRESS, "c1"), entry(was), reply)
    assert done == Removed(was)
    assert targets(asked) == [GET_C1.removesuffix("&inclMessage=true"), DELETE_C1]
    assert asked[1].body is None


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (FORBIDDEN, ForbiddenError),
        (answer(401), AuthenticationError),
        (FOREIGN, ForeignResponseError),
        (LOGIN, AuthenticationError),
    ],
)
def test_what_is_certainly_not_removed(reply: Response | Exception, kind: type[Exception]) -> None:
    assert type(fails(remove(ADDRESS, "c1"), entry("accepted"), reply)) is kind
    assert type(fails(remove(ADDRESS, "c1"), NONE)) is NotFoundError


def test_a_lost_removal_is_looked_at_and_deleted_twice_at_the_most() -> None:
    accepted = entry("accepted")
    assert talk(remove(ADDRESS, "c1"), accepted, LOST, NONE)[0] == Removed(Status.ACCEPTED)
    assert talk(remove(ADDRESS, "c1"), accepted, BUSY, NONE)[0] == Removed(Status.ACCEPTED)
    done, asked = talk(remove(ADDRESS, "c1"), accepted, LOST, accepted, NONE)
    assert done == Removed(Status.ACCEPTED)
    assert [(request.method, request.once) for request in asked[1::2]] == [("DELETE", True)] * 2
    assert fails(remove(ADDRESS, "c1"), accepted, BUSY, accepted, LOST, accepted) is LOST
    assert type(fails(remove(ADDRESS, "c1"), accepted, LOST, accepted, BUSY, accepted)) is ServerError
    assert type(fails(remove(ADDRESS, "c1"), accepted, LOST, BUSY)) is InDoubtError


@pytest.mark.parametrize("reply", [UNSENT, answer(429)])
def test_a_removal_that_was_certainly_not_made_is_not_looked_at(reply: Response | Exception) -> None:
    accepted = entry("accepted")
    kind = ThrottledError if isinstance(reply, Response) else type(reply)
    assert type(fails(remove(ADDRESS, "c1"), accepted, reply)) is kind
    assert type(fails(remove(ADDRESS, "c1"), accepted, LOST, accepted, reply)) is kind


T = "connectionType=colleague"
ADMIN_PUT = "PUT /profiles/admin/atom/connections.do?action=complete&sourceUserid=me&targetEmail=bob%40example.com"


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        (CREATED, Connected("793f", pair=PAIR)),
        (answer(201, entry("accepted").body, ATOM), Connected("c1", pair=PAIR)),
        (answer(201, "<html>", HTML), Connected(pair=PAIR)),
        (DONE, Connected(pair=PAIR)),
        (ALREADY, AlreadyExists()),
    ],
)
def test_connecting_is_one_put(reply: Response, result: object) -> None:
    done, asked = talk(connect(ADDRESS, PAIR, connection_body("")), reply)
    assert (done, targets(asked)) == (result, [ADMIN_PUT])
    assert asked[0].once


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (INVALID, BadRequestError),
        (FORBIDDEN, ForbiddenError),
        (answer(405), UnexpectedResponseError),
        (LOGIN, AuthenticationError),
        (UNSENT, ConnectFailedError),
    ],
)
def test_what_is_certainly_not_connected(reply: Response | Exception, kind: type[Exception]) -> None:
    assert type(fails(connect(ADDRESS, PAIR, b""), reply)) is kind


def test_a_lost_connecting_is_looked_at_and_put_twice_at_the_most() -> None:
    done, asked = talk(connect(ADDRESS, PAIR, b""), LOST, status("accepted"))
    assert (done, targets(asked)) == (Connected(pair=PAIR), [ADMIN_PUT, HEAD])
    assert talk(connect(ADDRESS, PAIR, b""), BUSY, NONE, CREATED)[0] == Connected("793f", pair=PAIR)
    assert talk(connect(ADDRESS, PAIR, b""), BUSY, NONE, ALREADY, status("accepted"))[0] == Connected(pair=PAIR)
    assert type(fails(connect(ADDRESS, PAIR, b""), LOST, NONE, LOST, NONE)) is InDoubtError
    assert type(fails(connect(ADDRESS, PAIR, b""), LOST, BUSY)) is InDoubtError


def test_disconnecting_says_what_it_was() -> None:
    done, asked = talk(disconnect(OAUTH, Pair(Key("k1"), BOB)), status("unconfirmed"), DONE)
    assert done == Removed(Status.UNCONFIRMED)
    assert targets(asked)[1] == (
        "DELETE /profiles/oauth/admin/atom/connections.do?connectionType=colleague"
        "&sourceKey=k1&targetEmail=bob%40example.com"
    )
    assert talk(disconnect(ADDRESS, PAIR), status("accepted"), LOST, NONE)[0] == Removed(Status.ACCEPTED)
    assert type(fails(disconnect(ADDRESS, PAIR), NONE, NONE)) is NotFoundError
    assert type(fails(disconnect(ADDRESS, PAIR), status("accepted"), FORBIDDEN)) is ForbiddenError
    again = status("accepted"), LOST, status("accepted")
    assert talk(disconnect(ADDRESS, PAIR), *again, DONE)[0] == Removed(Status.ACCEPTED)
    assert fails(disconnect(ADDRESS, PAIR), *again, *again[1:]) is LOST
    assert type(fails(disconnect(ADDRESS, PAIR), status("accepted"), LOST, LOST)) is InDoubtError


def test_what_the_administrator_cannot_see_is_removed_all_the_same() -> None:
    done, asked = talk(disconnect(ADDRESS, PAIR), NONE, DONE)
    assert (done, targets(asked)) == (
        Removed(),
        [HEAD, ADMIN_PUT.replace("PUT", "DELETE").replace("action=complete", T)],
    )
    assert asked[1].once
    assert talk(disconnect(ADDRESS, PAIR), NONE, answer(204))[0] == Removed()
    assert type(fails(disconnect(ADDRESS, PAIR), NONE, FORBIDDEN)) is ForbiddenError
    assert fails(disconnect(ADDRESS, PAIR), NONE, UNSENT) is UNSENT
    for lost in (LOST, BUSY):
        assert type(fails(disconnect(ADDRESS, PAIR), NONE, lost)) is InDoubtError
