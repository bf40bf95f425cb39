"""Inviting, accepting, editing and removing, in process: the protocol pages "Invite" to "Retrieve one connection"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from aioconnections.records import Status
from aioconnections.reference import Directory, app

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.asyncio
PROFILES = "/profiles/atom/"
INVITE = f"{PROFILES}connections.do?connectionType=colleague"
CONNECTION = f"{PROFILES}connection.do"
ATOM, SNX = "{http://www.w3.org/2005/Atom}", "{http://www.ibm.com/xmlns/prod/sn}"

ALREADY_4_5 = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n\n\n\n\n\n\n\n\n<error xmlns="http://www.ibm.com/xmlns/prod/sn">\n'
    b"\t<code>\n\t\t\n\t</code>\n"
    b"\t<message>\n\t\tCLFRN1168E: A connection to this user already exists or is pending.\n\t</message>\n"
    b"\t<trace>\n\t\tOMITTED\n\t</trace>\n</error>\n\n\n"
)


@pytest.mark.parametrize(("version", "surrogate"), [("4.5", "no-store"), ("5.0", None), ("6.0", None)])
async def test_response_to_an_invitation_as_recorded(
    directory: Directory, ask: Any, invitation: Any, pair: Any, query: Any, version: Any, surrogate: str | None
) -> None:
    alice, bob = pair(None)
    server = app(directory, version=version)
    response = await ask(server, "POST", f"{INVITE}&key={bob.key}", user=alice, content=invitation())
    assert response.status_code == 201
    assert response.headers["content-length"] == "0"
    assert response.headers["content-type"] == "text/html"
    assert response.headers["cache-control"] == 'no-cache="set-cookie, set-cookie2"'
    assert response.headers["expires"] == "Thu, 01 Dec 1994 16:00:00 GMT"
    assert response.headers["content-language"] == "en-US"
    assert response.headers.get("surrogate-control") == surrogate
    base, _, location_id = response.headers["location"].partition("?connectionId=")
    assert base == f"https://connections.example.com{CONNECTION}"
    own = await ask(server, "GET", f"{CONNECTION}?{query(alice.key, bob.key)}", user=alice)
    theirs = await ask(server, "GET", f"{CONNECTION}?{query(bob.key, alice.key)}", user=bob)
    assert location_id.encode() not in own.content
    assert theirs.content.count(location_id.encode()) == 3
    assert (await ask(server, "GET", response.headers["location"], user=bob)).content == theirs.content


async def test_201_with_an_entry(directory: Directory, ask: Any, invitation: Any, pair: Any, parse: Any) -> None:
    alice, bob = pair(None)
    server = app(directory, invite_201_body="entry")
    response = await ask(server, "POST", f"{INVITE}&key={bob.key}", user=alice, content=invitation())
    assert response.status_code == 201
    entry = parse(response.content)
    assert entry.findtext(f"{ATOM}title") == bob.name
    assert entry.findall(f"{ATOM}category")[2].get("term") == "unconfirmed"
    assert "connectionId=" in response.headers["location"]


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("inviter", ["source", "target"])
async def test_repeated_invitation_is_refused(
    directory: Directory, ask: Any, invitation: Any, pair: Any, status: Status, inviter: str
) -> None:
    alice, bob = pair(status) if inviter == "source" else reversed(pair(status))
    server = app(directory, version="4.5")
    response = await ask(server, "POST", f"{INVITE}&key={bob.key}", user=alice, content=invitation())
    assert response.status_code == 400
    assert response.content == ALREADY_4_5
    assert server.commits == []


async def test_an_invitation_without_connection_type_is_accepted_on_request(
    directory: Directory, ask: Any, invitation: Any, pair: Any
) -> None:
    alice, bob = pair(None)
    url, content = f"/profiles/atom/connections.do?key={bob.key}", invitation()
    assert (await ask(app(directory), "POST", url, user=alice, content=content)).status_code == 400
    tolerant = app(directory, require_connection_type=False)
    other = await ask(tolerant, "POST", f"{url}&connectionType=friend", user=alice, content=content)
    assert other.status_code == 400
    assert (await ask(tolerant, "POST", url, user=alice, content=content)).status_code == 201
    assert tolerant.status(alice, bob) is Status.UNCONFIRMED


@pytest.mark.parametrize(
    "body",
    [
        '<entry xmlns="http://www.w3.org/2005/Atom"><id>tag:profiles.ibm.com,2006:entrynull</id>{rest}</entry>',
        '<?xml version="1.0"?>\n<a:entry xmlns:a="http://www.w3.org/2005/Atom">{a_rest}<b xmlns="junk"/></a:entry>',
    ],
)
@pytest.mark.parametrize("media_type", ["text/plain", "application/atom+xml;charset=UTF-8", None])
async def test_unusual_entries_are_accepted(
    directory: Directory, ask: Any, invitation: Any, pair: Any, body: str, media_type: str | None
) -> None:
    alice, bob = pair(None)
    rest = invitation("hi").decode().partition(">")[2].removesuffix("</entry>")
    a_rest = rest.replace("</content", "</a:content").replace("<c", "<a:c")
    content = body.format(rest=rest, a_rest=a_rest).encode()
    headers = {} if media_type is None else {"Content-Type": media_type}
    response = await ask(
        app(directory), "POST", f"{INVITE}&key={bob.key}", user=alice, content=content, headers=headers
    )
    assert response.status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"<entry/>",
        b'<entry xmlns="http://www.w3.org/2005/Atom"/>',
        b'<feed xmlns="http://www.w3.org/2005/Atom"/>',
        b'<entry xmlns="http://www.w3.org/2005/Atom">',
        b'<!DOCTYPE entry><entry xmlns="http://www.w3.org/2005/Atom"/>',
        b'<?xml version="1.0" encoding="klingon"?><entry xmlns="http://www.w3.org/2005/Atom"/>',
        b'<entry xmlns="http://www.w3.org/2005/Atom"><category term="profile" scheme="type"/></entry>',
        b"\xff\xfe",
    ],
)
async def test_invalid_invitation_is_refused(directory: Directory, ask: Any, pair: Any, body: bytes) -> None:
    alice, bob = pair(None)
    server = app(directory)
    response = await ask(server, "POST", f"{INVITE}&key={bob.key}", user=alice, content=body)
    assert response.status_code == 400
    assert b"CLFRN1172E" in response.content
    assert server.commits == []


@pytest.mark.parametrize("version", ["4.5", "6.0"])
@pytest.mark.parametrize(
    "invitee",
    ["", "&email=nobody%40example.com", "&key={bob.key}&userid=x", "&connectionType=friend", "&key={alice.key}"],
)
async def test_missing_ambiguous_or_unknown_invitee_is_refused(
    directory: Directory, ask: Any, invitation: Any, pair: Any, version: Any, invitee: str
) -> None:
    alice, bob = pair(None)
    url = INVITE + invitee.format(alice=alice, bob=bob)
    response = await ask(app(directory, version=version), "POST", url, user=alice, content=invitation())
    assert response.status_code == 400


async def test_hidden_address_of_an_invitee_is_refused(
    directory: Directory, ask: Any, invitation: Any, pair: Any
) -> None:
    alice, bob = pair(None)
    server = app(directory, emails="hidden")
    url = f"{INVITE}&email={quote(str(bob.email), safe='')}"
    assert (await ask(server, "POST", url, user=alice, content=invitation())).status_code == 400
    url = f"{INVITE}&userid={quote(str(bob.userid), safe='')}"
    assert (await ask(server, "POST", url, user=alice, content=invitation())).status_code == 201


async def test_invite_by_the_link_of_a_service_document(
    directory: Directory, ask: Any, invitation: Any, pair: Any, parse: Any
) -> None:
    alice, bob = pair(None)
    server = app(directory)
    document = await ask(server, "GET", f"{PROFILES}profileService.do?key={bob.key}", user=alice)
    (href,) = [
        link.get("href")
        for link in parse(document.content).iter(f"{ATOM}link")
        if link.get("rel") == "http://www.ibm.com/xmlns/prod/sn/connections/colleague"
    ]
    assert (await ask(server, "POST", href, user=alice, content=invitation())).status_code == 201
    assert server.status(bob, alice) is Status.PENDING


@pytest.mark.parametrize("kind", ["text", "html"])
async def test_message_is_shown(
    directory: Directory, ask: Any, invitation: Any, pair: Any, query: Any, parse: Any, kind: str
) -> None:
    alice, bob = pair(None)
    server = app(directory)
    message = "Grüße <b>R&amp;D</b>"
    content = invitation(message, kind=kind)
    await ask(server, "POST", f"{INVITE}&key={bob.key}", user=alice, content=content)
    for one, other in ((alice, bob), (bob, alice)):
        url = f"{CONNECTION}?{query(one.key, other.key)}&inclMessage=true"
        entry = parse((await ask(server, "GET", url, user=one)).content)
        shown = entry.findtext(f"{ATOM}content")
        assert shown == (message if kind == "html" else "Grüße &lt;b&gt;R&amp;amp;D&lt;/b&gt;")


async def test_a_put_replaces_the_message(
    directory: Directory, ask: Any, invitation: Any, pair: Any, query: Any, parse: Any
) -> None:
    bob, alice = pair(Status.PENDING)
    server = app(directory)
    url = f"{CONNECTION}?{query(bob.key, alice.key)}"
    edit = parse((await ask(server, "GET", url, user=bob)).content).findall(f"{ATOM}link")[1].get("href")
    for status, seen in (("pending", "pending"), ("accepted", "accepted"), ("accepted", "accepted")):
        response = await ask(server, "PUT", edit, user=bob, content=invitation("new", status=status))
        assert (response.status_code, response.content) == (200, b"")
        checked = await ask(server, "GET", f"{url}&inclMessage=true", user=bob)
        assert checked.headers["x-profiles-connection-status"] == seen
        assert parse(checked.content).findtext(f"{ATOM}content") == "new"
    assert [commit.verb for commit in server.commits] == ["edit", "accept", "edit"]


@pytest.mark.parametrize(
    ("seen", "statuses"),
    [
        (Status.UNCONFIRMED, {"accepted": 403, "unconfirmed": 200, "pending": 400}),
        (Status.PENDING, {"pending": 200, "unconfirmed": 400, "": 400}),
        (Status.ACCEPTED, {"pending": 400, "accepted": 200}),
    ],
)
async def test_put_accepts_only_as_the_invitee(
    directory: Directory, ask: Any, invitation: Any, pair: Any, query: Any, seen: Status, statuses: dict[str, int]
) -> None:
    one, other = pair(seen)
    server = app(directory)
    found = await ask(server, "GET", f"{CONNECTION}?{query(one.key, other.key)}", user=one)
    edit = found.text.partition("connectionId=")[2].partition('"')[0]
    for requested, status in statuses.items():
        content = invitation(status=requested)
        response = await ask(server, "PUT", f"{CONNECTION}?connectionId={edit}", user=one, content=content)
        assert response.status_code == status
        assert server.status(one, other) is seen
    incomplete = invitation().replace(b"connection/type", b"other")
    refused = await ask(server, "POST", f"{INVITE}&key={directory.people[9].key}", user=one, content=incomplete)
    assert refused.status_code == 400


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("remover", ["source", "target"])
async def test_either_side_removes_by_either_id(
    directory: Directory, ask: Any, pair: Any, query: Any, parse: Any, status: Status, remover: str
) -> None:
    one, other = pair(status)
    for looked_at in ((one, other), (other, one)):
        server = app(directory)
        user = one if remover == "source" else other
        found = await ask(server, "GET", f"{CONNECTION}?{query(*(person.key for person in looked_at))}", user="admin")
        own = parse(found.content).findall(f"{ATOM}link")[0].get("href")
        response = await ask(server, "DELETE", own, user=user)
        assert response.status_code == 200
        assert response.headers["content-length"] == "0"
        assert response.headers["content-type"] == "text/html"
        assert server.status(one, other) is server.status(other, one) is None
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            assert (await ask(server, method, own, user=user)).status_code == 404
        assert [(commit.verb, commit.actor) for commit in server.commits] == [("remove", str(user.userid))]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_other_people_cannot_change_a_connection(
    directory: Directory, ask: Any, invitation: Any, pair: Any, query: Any, parse: Any, method: str
) -> None:
    one, other = pair(Status.ACCEPTED)
    server = app(directory)
    found = await ask(server, "GET", f"{CONNECTION}?{query(one.key, other.key)}", user="admin")
    own = parse(found.content).findall(f"{ATOM}link")[0].get("href")
    outsider = next(person for person in directory.people if person not in (one, other))
    for user in (outsider, "admin"):
        response = await ask(server, method, own, user=user, content=invitation(status="accepted"))
        assert response.status_code == 403
        assert b"CLFRN1174E" in response.content
    assert (await ask(server, method, CONNECTION, user=one, content=invitation())).status_code == 400
    assert (await ask(server, method, f"{CONNECTION}?connectionId=junk", user=one)).status_code == 404
    assert server.status(one, other) is Status.ACCEPTED
    assert server.commits == []


async def test_administrator_can_be_invited(directory: Directory, ask: Any, invitation: Any) -> None:
    server = app(directory)
    bob = directory.people[4]
    assert (await ask(server, "POST", f"{INVITE}&key={bob.key}", user="admin", content=invitation())).status_code == 201
    listed = await ask(server, "GET", f"{INVITE}&key={bob.key}&status=pending&ps=250", user=bob)
    assert b"Connections Administrator" in listed.content
    listed = await ask(server, "GET", f"{INVITE}&userid=admin&status=unconfirmed", user="admin")
    assert listed.content.count(b"<entry>") == 1


async def test_long_body_is_refused(directory: Directory, ask: Any, pair: Any) -> None:
    alice, bob = pair(None)
    server = app(directory)
    response = await ask(server, "POST", f"{INVITE}&key={bob.key}", user=alice, content=b"<" * (2 << 20))
    assert response.status_code == 413
    response = await ask(server, "POST", f"{INVITE}&key=%zz", user=alice, content=b"")
    assert response.status_code == 400


async def test_disconnect_during_the_body_changes_nothing(directory: Directory, pair: Any) -> None:
    server = app(directory)
    _, bob = pair(None)
    said: Iterator[dict[str, Any]] = iter(
        [{"type": "http.request", "body": b"<entry", "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> dict[str, Any]:
        return next(said)

    async def send(_: Any) -> None:
        pytest.fail("a response was sent")

    scope = {"type": "http", "method": "POST", "path": f"{PROFILES}connections.do", "scheme": "http", "headers": []}
    await server({**scope, "query_string": f"connectionType=colleague&key={bob.key}".encode()}, receive, send)
    assert server.commits == []


async def test_cache_headers_can_be_disabled(directory: Directory, ask: Any, pair: Any, query: Any) -> None:
    one, other = pair(Status.ACCEPTED)
    server = app(directory, cache_headers=False)
    response = await ask(server, "GET", f"{CONNECTION}?{query(one.key, other.key)}", user=one)
    assert not {"cache-control", "expires"} & set(response.headers)
    assert "last-modified" in response.headers
