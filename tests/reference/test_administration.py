"""The Administration API of Profiles, in process."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from aioconnections.records import Person, Status
from aioconnections.reference import Directory, app

pytestmark = pytest.mark.asyncio
ADMIN = "/profiles/admin/atom/"
APP = "{http://www.w3.org/2007/app}"


def _ends(source: Person, target: Person, kind: str = "userid") -> str:
    one, other = (quote(str(getattr(person, kind)), safe="") for person in (source, target))
    return f"source{kind.capitalize()}={one}&target{kind.capitalize()}={other}"


@pytest.mark.parametrize("kind", ["email", "userid", "key"])
@pytest.mark.parametrize("before", [None, Status.PENDING, Status.UNCONFIRMED])
async def test_connect_takes_effect_at_once(
    directory: Directory, ask: Any, invitation: Any, pair: Any, kind: str, before: Status | None
) -> None:
    one, other = pair(before)
    server = app(directory)
    url = f"{ADMIN}connections.do?action=complete&{_ends(one, other, kind)}"
    response = await ask(server, "PUT", url, user="admin", content=invitation("Meet", status="accepted"))
    assert response.status_code == 201
    assert server.status(one, other) is server.status(other, one) is Status.ACCEPTED
    again = await ask(server, "PUT", url, user="admin", content=invitation())
    assert again.status_code == 400
    assert b"CLFRN1168E" in again.content
    commit, *more = server.commits
    assert commit[2:6] == ("connect", "admin", str(one.userid), str(other.userid))
    assert more == []


async def test_connect_accepts_no_body_but_no_invalid_body(directory: Directory, ask: Any, pair: Any) -> None:
    one, other = pair(None)
    server = app(directory, invite_201_body="entry")
    url = f"{ADMIN}connections.do?action=complete&{_ends(one, other)}"
    assert (await ask(server, "PUT", url, user="admin", content=b"<x/>")).status_code == 400
    response = await ask(server, "PUT", url, user="admin")
    assert response.status_code == 201
    assert b'term="accepted"' in response.content


@pytest.mark.parametrize(
    "query",
    ["{ends}", "action=&{ends}", "action=complete", "action=complete&sourceKey={one.key}&targetKey={one.key}",
     "action=complete&sourceKey={one.key}&targetEmail=nobody%40example.com"],
)  # fmt: skip
async def test_incomplete_connect_is_refused(directory: Directory, ask: Any, pair: Any, query: str) -> None:
    one, other = pair(None)
    server = app(directory)
    url = f"{ADMIN}connections.do?{query.format(ends=_ends(one, other), one=one)}"
    assert (await ask(server, "PUT", url, user="admin")).status_code == 400
    assert server.commits == []


@pytest.mark.parametrize("status", list(Status))
async def test_disconnect_by_people_or_by_id(
    directory: Directory, ask: Any, pair: Any, query: Any, status: Status
) -> None:
    one, other = pair(status)
    for by_id in (False, True):
        server = app(directory)
        found = await ask(server, "GET", f"/profiles/atom/connection.do?{query(one.key, other.key)}", user="admin")
        connection_id = found.text.partition("connectionId=")[2].partition('"')[0]
        selection = f"connectionId={connection_id}&sourceKey=ignored" if by_id else _ends(one, other)
        response = await ask(server, "DELETE", f"{ADMIN}connections.do?{selection}", user="admin")
        assert (response.status_code, response.content) == (200, b"")
        assert server.status(one, other) is server.status(other, one) is None
        assert (await ask(server, "DELETE", f"{ADMIN}connections.do?{selection}", user="admin")).status_code == 404
        assert [commit.verb for commit in server.commits] == ["disconnect"]
    for wrong in ("", "sourceKey=x", "sourceKey=x&targetKey=y"):
        assert (await ask(app(directory), "DELETE", f"{ADMIN}connections.do?{wrong}", user="admin")).status_code == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_administrator_only(directory: Directory, ask: Any, pair: Any, method: str) -> None:
    one, other = pair(Status.ACCEPTED)
    server = app(directory)
    response = await ask(server, method, f"{ADMIN}connections.do?action=complete&{_ends(one, other)}", user=one)
    assert response.status_code == 403
    assert b"CLFRN1174E" in response.content
    assert (await ask(server, "GET", f"{ADMIN}profileService.do", user=one)).status_code == 403
    assert (await ask(server, method, f"{ADMIN}connections.do")).status_code == 401
    assert server.status(one, other) is Status.ACCEPTED


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_other_methods_are_not_allowed(directory: Directory, ask: Any, method: str) -> None:
    response = await ask(app(directory), method, f"{ADMIN}connections.do", user="admin")
    assert response.status_code == 405
    assert response.headers["allow"] == "PUT, DELETE"


async def test_the_service_document(directory: Directory, ask: Any, parse: Any) -> None:
    response = await ask(app(directory), "GET", f"{ADMIN}profileService.do", user="admin")
    assert response.headers["content-type"] == "application/atomsvc+xml; charset=UTF-8"
    collection = parse(response.content).find(f"{APP}workspace/{APP}collection")
    assert collection.get("href") == "https://connections.example.com/profiles/admin/atom/profiles.do"
    assert collection.findtext(f"{APP}accept") == "application/atom+xml;type=entry"
