"""Paths, methods, logins and the service document, in process."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

from aioconnections.records import Status
from aioconnections.reference import ADMINISTRATOR, Directory, app

pytestmark = pytest.mark.asyncio
CHECK = "/profiles/atom/connection.do?"
SERVICE = "/profiles/atom/profileService.do"
ATOM, APP, SNX = (
    "{http://www.w3.org/2005/Atom}",
    "{http://www.w3.org/2007/app}",
    "{http://www.ibm.com/xmlns/prod/sn}",
)
SN = "http://www.ibm.com/xmlns/prod/sn"


async def test_all_people_sign_in_by_any_identity(directory: Directory, ask: Any, parse: Any) -> None:
    server = app(directory)
    for person in directory.people[:60]:
        for name in (person.email, person.userid, person.key):
            response = await ask(server, "GET", SERVICE, user=str(name))
            assert parse(response.content).findtext(f".//{SNX}userid") == str(person.userid)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        b"Basic " + b64encode(b"admin:wrong"),
        b"Basic " + b64encode(b"nobody@example.com:secret"),
        b"Basic " + b64encode(b"admin"),
        b"Basic " + b64encode("é:secret".encode("latin-1")),
        b"Basic !!!",
        b"Basic",
        b"",
        b"Bearer token",
        b64encode(b"admin:secret"),
    ],
)
async def test_unknown_user_gets_a_challenge(directory: Directory, ask: Any, authorization: bytes | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.decode()}
    response = await ask(app(directory), "GET", SERVICE, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Basic realm="lotus-connections"'
    assert response.headers["content-type"] == "text/html;charset=ISO-8859-1"
    assert response.content == b"\n"
    assert "set-cookie" not in response.headers


async def test_login_scheme_ignores_case(directory: Directory, ask: Any) -> None:
    headers = {"Authorization": "bASIC " + b64encode(b"admin:secret").decode()}
    assert (await ask(app(directory), "GET", SERVICE, headers=headers)).status_code == 200


async def test_cookies_as_recorded(directory: Directory, ask: Any) -> None:
    server = app(directory)
    tokens = [(await ask(server, "GET", SERVICE, user=person)).cookies["LtpaToken2"] for person in directory.people[:9]]
    assert len(set(tokens)) == 9
    assert all(any(character in "".join(tokens) for character in special) for special in "/+=")


async def test_bearer_tokens_are_accepted_on_oauth_paths(
    directory: Directory, ask: Any, query: Any, pair: Any, parse: Any
) -> None:
    source, target = pair(Status.PENDING)
    server = app(directory, auth="oauth", tokens={"t0ken": source, "other": target.email})
    path = CHECK.replace("/atom/", "/oauth/atom/") + query(source.userid, target.userid)
    bearer = {"Authorization": "Bearer t0ken"}
    response = await ask(server, "GET", path, headers=bearer)
    assert response.headers["x-profiles-connection-status"] == "pending"
    # protocol: links need not have the segment, and here they do not
    assert "/oauth/" not in parse(response.content).find(f"{ATOM}link").get("href")
    other = await ask(
        server, "GET", SERVICE.replace("/atom/", "/oauth/atom/"), headers={"Authorization": "Bearer other"}
    )
    assert parse(other.content).findtext(f".//{SNX}userid") == str(target.userid)
    for wrong in ({"Authorization": "Bearer t1ken"}, {"Authorization": "Basic t0ken"}, {}):
        refused = await ask(server, "GET", path, headers=wrong)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == 'Bearer realm="lotus-connections"'
    assert (await ask(server, "GET", SERVICE, headers=bearer)).status_code == 401
    assert (await ask(app(directory), "GET", path, user="admin")).status_code == 401


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"version": "7.0"}, "version"),
        ({"emails": "shown"}, "emails"),
        ({"auth": "digest"}, "auth"),
        ({"auth": "oauth"}, "tokens"),
        ({"tokens": {"t": ADMINISTRATOR}}, "tokens"),
        ({"token_paths": "both"}, "token_paths"),
        ({"front_end_status": 200}, "front_end_status requires front_end_pages=True"),
        ({"front_end_status": 199, "front_end_pages": True}, "front_end_status"),
        ({"context": "social"}, r"context must be empty or a path such as /social, got 'social'"),
        ({"context": "/social/"}, "context must be"),
        ({"link_base": "inner.example.com"}, "link_base must be a URL such as"),
        ({"link_base": "https://inner.example.com/?a"}, "link_base must be a URL such as"),
    ],
)
async def test_invalid_options_are_refused(directory: Directory, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        app(directory, **options)


async def test_token_of_an_unknown_person_is_refused(directory: Directory) -> None:
    stranger = Directory.generate(people=10, seed=99).people[0]
    with pytest.raises(ValueError, match=f"^the person of a token must be in the directory, got {stranger.userid}$"):
        app(directory, auth="oauth", tokens={"t": stranger})


@pytest.mark.parametrize("context", ["", "/context", "/a/b", "/profiles"])
async def test_paths_may_have_a_prefix(directory: Directory, ask: Any, context: str) -> None:
    server = app(directory, context=context)
    response = await ask(server, "GET", context + SERVICE, user="admin")
    assert response.status_code == 200
    assert f'href="https://connections.example.com{context}/profiles/atom/connections.do?'.encode() in response.content


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/profiles/atom/connections.doo",
        "/profiles/atom/",
        "/profiles/connection.do",
        "/profiles/basic/atom/connection.do",
        "/Profiles/atom/connection.do",
        "/profiles/atom/Connection.do",
        "/profiles/atom/x/connection.do",
        "/profiles/atom/<script>",
    ],
)
async def test_unknown_path_gets_the_page_of_the_application_server(directory: Directory, ask: Any, path: str) -> None:
    server = app(directory)
    for user in (None, "admin"):
        response = await ask(server, "GET", path, user=user)
        assert response.status_code == 404
        assert response.headers["content-type"].startswith("text/html")
        assert "SRVE0255E" in response.text
        assert "<script>" not in response.text
    assert server.requests.by_path == {}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_other_methods_are_not_allowed(directory: Directory, ask: Any, method: str) -> None:
    server = app(directory)
    response = await ask(server, method, SERVICE, user="admin", content=b"<entry/>")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD"
    assert (await ask(server, method, SERVICE)).status_code == 401


async def test_requests_are_counted(directory: Directory, ask: Any, query: Any, pair: Any) -> None:
    server = app(directory)
    assert server.requests.total == 0
    source, target = pair(Status.ACCEPTED)
    for _ in range(3):
        await ask(server, "HEAD", CHECK + query(source.key, target.key), user="admin")
    await ask(server, "GET", SERVICE)
    await ask(server, "GET", "/elsewhere")
    assert server.requests.by_status == {200: 3, 401: 1, 404: 1}
    assert server.requests.by_path == {"/profiles/atom/connection.do": 3, SERVICE: 1}
    assert server.requests.total == 5
    assert repr(server.requests) == "<Requests: {200: 3, 401: 1, 404: 1}>"
    assert server.directory is directory


@pytest.mark.parametrize("version", ["4.5", "5.0", "6.0"])
async def test_the_service_document_as_recorded(directory: Directory, ask: Any, parse: Any, version: Any) -> None:
    person = directory.people[3]
    response = await ask(app(directory, version=version), "GET", SERVICE, user=person)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/atomsvc+xml; charset=UTF-8"
    assert response.headers["last-modified"] == "Tue, 28 Feb 2017 23:04:05 GMT"
    assert response.content.startswith(b'<?xml version="1.0"?><service ')
    service = parse(response.content)
    assert service.tag == f"{APP}service"
    assert service.find(f"{ATOM}generator").get("version") == f"{version}.0.0"
    workspace = service.find(f"{APP}workspace")
    assert workspace.findtext(f"{ATOM}title") == person.name
    collection = workspace.find(f"{APP}collection")
    assert collection.findtext(f"{SNX}userid") == str(person.userid)
    href = urlsplit(collection.get("href"))
    assert href.path == "/profiles/atom/profile.do"
    assert parse_qs(href.query) == {"userid": [str(person.userid)], "output": ["vcard"]}
    assert service.find(f".//{APP}accept") is None
    links = {link.get("rel"): link.get("href") for link in workspace.iter(f"{ATOM}link")}
    colleagues = urlsplit(links[f"{SN}/connections/colleague"])
    assert colleagues.path == "/profiles/atom/connections.do"
    assert parse_qs(colleagues.query)["key"] == [str(person.key)]
    assert links[f"{SN}/service/communities"] == "https%3A%2F%2Fconnections.example.com%2Fcommunities"
    assert unquote(links[f"{SN}/service/files"]) == "https://connections.example.com/files"


async def test_service_document_of_another_person(directory: Directory, ask: Any, parse: Any) -> None:
    server = app(directory)
    for person in directory.people[:40]:
        for selector in ("email", "userid", "key"):
            value = quote(str(getattr(person, selector)), safe="")
            response = await ask(server, "GET", f"{SERVICE}?{selector}={value}", user="admin")
            assert parse(response.content).findtext(f".//{SNX}userid") == str(person.userid)
    head = await ask(server, "HEAD", f"{SERVICE}?key={directory.people[0].key}", user="admin")
    get = await ask(server, "GET", f"{SERVICE}?key={directory.people[0].key}", user="admin")
    assert head.headers.multi_items() == get.headers.multi_items()
    assert head.content == b""


async def test_service_document_of_the_administrator(directory: Directory, ask: Any, parse: Any) -> None:
    response = await ask(app(directory), "GET", SERVICE, user="admin")
    assert parse(response.content).findtext(f".//{SNX}userid") == "admin"


@pytest.mark.parametrize("selection", ["userid=nobody", "key=", "email=a%40example.com&userid=admin"])
async def test_service_document_of_an_unknown_person_is_refused(directory: Directory, ask: Any, selection: str) -> None:
    response = await ask(app(directory), "GET", f"{SERVICE}?{selection}", user="admin")
    assert response.status_code == 400
    assert b"CLFRN1172E" in response.content


async def test_service_document_by_a_hidden_address_is_refused(directory: Directory, ask: Any) -> None:
    value = quote(str(directory.people[0].email), safe="")
    assert (await ask(app(directory, emails="hidden"), "GET", f"{SERVICE}?email={value}")).status_code == 401
    assert (
        await ask(app(directory, emails="hidden"), "GET", f"{SERVICE}?email={value}", user="admin")
    ).status_code == 400


async def test_lifespan(directory: Directory) -> None:
    asked = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return next(asked)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app(directory)({"type": "lifespan"}, receive, send)
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(ValueError, match="websocket"):
        await app(directory)({"type": "websocket"}, receive, send)
