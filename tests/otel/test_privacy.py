"""Nothing about a person, no text and no secret is in a span or a metric, whatever the server sends."""

from __future__ import annotations

import base64
from contextlib import suppress
from urllib.parse import quote

import anyio.lowlevel
import httpx
import pytest
from doors import Script, client_of, service_configs, service_document, status
from recording import Recording
from server import Place

from aioconnections import Bearer, Connection, ConnectionsError, Email, Invite, Key, Pair, Person, Status, Userid
from aioconnections.protocol.address import Address

pytestmark = pytest.mark.anyio

MESSAGE, PASSWORD, TOKEN = "Let us meet at the old bridge", "Tr0ub4dor&3", "t0ken-of-zoe"


def hidden_of(place: Place) -> set[str]:
    """Everything that the directory knows of its people, as it is and as a URL encodes it."""
    people = [
        value
        for person in place.directory.people
        for value in (person.name, person.userid, person.key, person.email)
        if value is not None
    ]
    texts = {str(getattr(value, "value", value)) for value in people}
    texts |= {group.uuid for group in place.directory.communities}
    texts |= {MESSAGE, PASSWORD, "secret", base64.b64encode(b"admin:secret").decode()}
    return texts | {quote(text, safe="") for text in texts}


async def work(place: Place, recording: Recording) -> None:
    """A call of every kind, some of which the server refuses."""
    telemetry = recording.telemetry(trace_requests=True, propagate=True)
    person, other = place.person(0), place.person(1)
    one, two = place.strangers(2)
    group = place.directory.communities[0]
    async with place.client(one, telemetry=telemetry) as client:
        with suppress(ConnectionsError):
            await client.invite(place.person(two), message=MESSAGE)
        await client.invite_many([Invite(person.email, MESSAGE), other.key], journal=None).collect()
        await client.check(person.email, other.email)
        await client.connection(person.email, other.email, include_message=True)
        pairs = [Pair(person, each) for each in place.directory.people[1:20]]
        await client.check_many([*pairs, (person.email, Email("unknown@example.com"))]).collect()
        await client.check_many(pairs, plan="auto").collect()
        for found in (
            client.colleagues(person.email),
            client.search(name="*"),
            client.search(email=f"{person.email.value}"),
            client.colleagues_in_common(person.userid, other.userid),
            client.community_invitations.received(),
            client.community(group.uuid).invitations(),
        ):
            with suppress(ConnectionsError):
                _ = [each async for each in found]
        await client.profile(person.email)
        await client.service_document(person.key)
        await client.me()
        await client.resolve_many([person.email, other.userid]).collect()
        await client.colleagues_many([person.email]).collect()
        for refused in (
            client.remove(Pair(person, other)),
            client.accept("no such connection"),
            client.profile(Key("x")),
        ):
            with suppress(ConnectionsError):
                await refused
        with suppress(ConnectionsError):
            await client.admin.connect(person, other)
        with suppress(ConnectionsError):
            await client.community(group.uuid).invite(other.email, title=MESSAGE)
        with suppress(ConnectionsError):
            await client.as_user((f"{person.userid.value}", PASSWORD)).check(person, other)


async def test_nothing_personal_is_recorded() -> None:
    place, recording = Place(), Recording()
    await work(place, recording)
    hidden, texts = hidden_of(place), list(recording.texts())
    assert len(recording.spans()) > 60
    assert len({name for name in recording.names() if name.startswith("aioconnections.")}) > 15
    found = {text for text in hidden if any(text in recorded for recorded in texts)}
    assert not found


async def test_the_paths_and_texts_of_a_hostile_server_are_not_recorded() -> None:
    """The server redirects to, and links to, paths that name people, and names them in its errors."""
    recording = Recording()
    zoe = "zoe.secretive@example.com"

    def answer_now(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/atom/connection.do") and request.method == "HEAD":
            return httpx.Response(
                301, headers={"location": f"/profiles/people/{zoe}/connection?{request.url.query.decode()}"}
            )
        if zoe in path and request.method == "HEAD":
            return status("accepted")
        document = f'<error xmlns="http://www.ibm.com/xmlns/prod/sn"><code>{zoe}</code><message>{zoe}</message></error>'
        return httpx.Response(400, headers={"content-type": "text/xml", "x-name": zoe}, text=document)

    async def answer(request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        if TOKEN in request.url.path:
            raise httpx.ConnectError(f"{zoe} {TOKEN}")
        return answer_now(request)

    def canary(request: httpx.Request) -> httpx.Response:
        return service_configs() if request.url.path.endswith("serviceconfigs") else service_document()

    client = client_of(Script(answer, canary), auth=Bearer(TOKEN), telemetry=recording.telemetry(trace_requests=True))
    async with client:
        await client.check(Email(zoe), Userid("b"))
        await client.check_many([(Email(zoe), Userid(f"b{number}")) for number in range(5)]).collect()
        linked = f"https://connections.example.com/profiles/atom/people/{zoe}/{TOKEN}"
        for call in (
            client.profile(Email(zoe)),
            client.remove(linked),
            client.connection(linked),
            client.accept(linked),
        ):
            with suppress(ConnectionsError):
                await call
        with suppress(ConnectionsError):
            await client.remove(Connection("1", Status.PENDING, Person(), Person(), self_href=linked, edit_href=linked))
    texts = list(recording.texts())
    redirected = recording.spans("HEAD")
    assert redirected
    assert {dict(span.attributes or {})["url.full"] for span in redirected} == {
        "https://connections.example.com/REDACTED"
    }
    for hidden in (zoe, quote(zoe, safe=""), TOKEN, "secretive"):
        assert not [text for text in texts if hidden in text], hidden


@pytest.mark.parametrize("auth", ["basic", "oauth"])
@pytest.mark.parametrize("context", ["", "/social"])
async def test_every_request_of_ours_has_a_template(auth: str, context: str) -> None:
    place, recording = Place(auth=auth, context=context), Recording()
    await work(place, recording)
    asked = {line.split(" ")[1].partition("?")[0] for door in place.doors for line, _ in door.asked}
    address = Address.of(place.url)
    assert {path for path in asked if address.template_of(path) is None} == set()
    assert len(asked) >= 10


@pytest.mark.parametrize(
    "path",
    [
        "/profiles/atom/ann@example.com/connection.do",
        "/profiles/atom/connection.do/ann",
        "/profiles/html/profileView.do",
        "/social/profiles/atom/connection.do",
        "/communities/service/atom/community/invites/ann",
        "/",
    ],
)
def test_another_path_has_none(path: str) -> None:
    assert Address.of("https://connections.example.com").template_of(f"{path}?email=ann@example.com") is None
