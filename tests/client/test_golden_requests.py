"""What goes out for each operation, byte for byte: method, target and body."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import pytest
from doors import URL

from aioconnections import (
    Bearer,
    Client,
    Connection,
    ConnectionsError,
    Email,
    Invitation,
    Key,
    Pair,
    Person,
    Status,
    Userid,
)

pytestmark = pytest.mark.anyio

A, B, C = Email("a@example.com"), Userid("b 1"), Key("c")
P, S, T = "/profiles/atom", "http://www.ibm.com/xmlns/prod/sn", "connectionType=colleague"
UUID = "c 1"
REST = "&since=2020-01-02T00%3A00%3A00.000Z&sortBy=modified&page=1&ps=250"
INVITES = "/communities/service/atom/community/invites"
OAUTH_INVITES = "/communities/service/atom/oauth/community/invites"
RECORD = Connection("a 1", None, Person(), Person())
INVITATION = Invitation("i", UUID, edit_href=f"https://seen.example.com{INVITES}?communityUuid=c%201&userid=m")


class Ear(httpx.AsyncBaseTransport):
    """Hears requests, and answers that there is nothing."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.heard.append((f"{request.method} {request.url.raw_path.decode()}", await request.aread()))
        return httpx.Response(404, headers={"content-type": "text/xml"})


async def first(listing: Any) -> None:
    async for _ in listing:
        break


async def connection_of(client: Client, which: Connection | str) -> None:
    await client.connection(which)


CALLS: list[tuple[Callable[[Client], Awaitable[object]], str]] = [
    (lambda c: c.check(A, B), f"HEAD {P}/connection.do?{T}&sourceEmail=a%40example.com&targetUserid=b%201"),
    (lambda c: c.connection(B, C), f"GET {P}/connection.do?{T}&sourceUserid=b%201&targetKey=c"),
    (
        lambda c: c.connection(B, C, include_message=True),
        f"GET {P}/connection.do?{T}&sourceUserid=b%201&targetKey=c&inclMessage=true",
    ),
    *(
        (partial(connection_of, which=which), f"GET {P}/connection.do?connectionId=a%201")
        for which in (
            "a 1",
            f"https://x.example{P}/connection.do?connectionId=a%201&inclMessage=true#x",
            "connection.do?inclMessage=true&connectionId=a%201",
            "tag:profiles.ibm.com,2006:entrya 1",
            RECORD,
        )
    ),
    (
        lambda c: c.connection(f"https://x.example{P}/connection.do?{T}&sourceUserid=b%201&targetKey=c"),
        f"GET {P}/connection.do?{T}&sourceUserid=b%201&targetKey=c",
    ),
    (lambda c: c.connection(Pair(B, C)), f"GET {P}/connection.do?{T}&sourceUserid=b%201&targetKey=c"),
    (lambda c: c.connection((B, C)), f"GET {P}/connection.do?{T}&sourceUserid=b%201&targetKey=c"),
    (
        lambda c: c.accept(f"{P}/connection.do?connectionId=a%201&outputType=connection"),
        f"GET {P}/connection.do?connectionId=a%201&inclMessage=true",
    ),
    (lambda c: c.invite(A), f"POST {P}/connections.do?{T}&email=a%40example.com"),
    (lambda c: c.invite(B), f"POST {P}/connections.do?{T}&userid=b%201"),
    (lambda c: c.invite(C), f"POST {P}/connections.do?{T}&key=c"),
    (lambda c: c.invite(C, discover=True), f"GET {P}/profileService.do?key=c"),
    (lambda c: c.accept("x"), f"GET {P}/connection.do?connectionId=x&inclMessage=true"),
    (lambda c: c.remove(Pair(B, C)), f"GET {P}/connection.do?{T}&sourceUserid=b%201&targetKey=c"),
    (
        lambda c: first(
            c.colleagues(B, status=Status.PENDING, since=datetime(2020, 1, 2, tzinfo=UTC), sort_by="modified")
        ),
        f"GET {P}/connections.do?{T}&userid=b%201&outputType=connection&status=pending{REST}",
    ),
    (
        lambda c: first(c.colleagues_in_common(B, Userid("d"))),
        f"GET {P}/connectionsInCommon.do?{T}&userid=b%201,d&outputType=profile&format=lite&output=hcard&page=1&ps=250",
    ),
    (
        lambda c: first(c.search(name="A%", job_title="Chef*", active_users_only=False)),
        f"GET {P}/search.do?name=A%25&jobTitle=Chef%2A&activeUsersOnly=false&format=full&output=hcard&page=1&ps=250",
    ),
    (
        lambda c: first(
            c.search(
                text="t",
                email="e@x",
                userid="u",
                city="ci",
                country="co",
                organization="o",
                phone_number="p",
                tags="a,b",
                profile_type="d",
                school="s",
                page_size=9,
            )
        ),
        (
            f"GET {P}/search.do?search=t&email=e%40x&userid=u&city=ci&country=co&organization=o&phoneNumber=p"
            "&profileTags=a%2Cb&profileType=d&school=s&format=full&output=hcard&page=1&ps=9"
        ),
    ),
    (lambda c: c.me(), f"GET {P}/profileService.do"),
    (lambda c: c.service_document(C), f"GET {P}/profileService.do?key=c"),
    (lambda c: c.profile(A), f"GET {P}/profile.do?email=a%40example.com&format=full&output=hcard"),
    (
        lambda c: c.admin.connect(B, C),
        "PUT /profiles/admin/atom/connections.do?action=complete&sourceUserid=b%201&targetKey=c",
    ),
    (lambda c: c.admin.disconnect(B, C), f"HEAD {P}/connection.do?{T}&sourceUserid=b%201&targetKey=c"),
    (lambda c: c.community(UUID).invite(B), f"POST {INVITES}?communityUuid=c%201"),
    (lambda c: first(c.community(UUID).invitations()), f"GET {INVITES}?communityUuid=c%201&page=1&ps=50"),
    (lambda c: first(c.community_invitations.received()), f"GET {INVITES}/my?page=1&ps=50"),
    (lambda c: c.community_invitations.get(INVITATION), f"GET {INVITES}?communityUuid=c%201&userid=m"),
    (lambda c: c.community_invitations.decline(INVITATION), f"DELETE {INVITES}?communityUuid=c%201&userid=m"),
    (lambda c: c.community_invitations.revoke(INVITATION), f"DELETE {INVITES}?communityUuid=c%201&userid=m"),
]


@pytest.mark.parametrize(
    ("call", "line"), CALLS, ids=[line.partition("?")[0] + str(n) for n, (_, line) in enumerate(CALLS)]
)
async def test_the_first_request_of_each_operation(call: Callable[[Client], Awaitable[object]], line: str) -> None:
    ear = Ear()
    async with Client(URL, transport=ear, max_per_second=None) as client:
        with suppress(ConnectionsError):
            await call(client)
    assert ear.heard[0][0] == line
    assert bool(ear.heard[0][1]) is line.startswith(("POST", "PUT"))


OAUTH = ((P, "/profiles/oauth/atom"), ("/profiles/admin/", "/profiles/oauth/admin/"), (INVITES, OAUTH_INVITES))


@pytest.mark.parametrize(
    ("call", "line"), CALLS, ids=[line.partition("?")[0] + str(n) for n, (_, line) in enumerate(CALLS)]
)
async def test_a_token_goes_to_the_paths_of_oauth(call: Callable[[Client], Awaitable[object]], line: str) -> None:
    ear = Ear()
    async with Client(URL, auth=Bearer("t"), transport=ear, max_per_second=None, verify_login=False) as client:
        with suppress(ConnectionsError):
            await call(client)
    for plain, with_segment in OAUTH:
        line = line.replace(plain, with_segment)
    assert ear.heard[0][0] == line
    assert "/oauth" in line


def entry(status: str, content: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<entry xmlns="http://www.w3.org/2005/Atom">'
        f'<category term="connection" scheme="{S}/type"/><category term="colleague" scheme="{S}/connection/type"/>'
        f'<category term="{status}" scheme="{S}/status"/>{content}</entry>'
    ).encode()


async def test_bodies() -> None:
    ear = Ear()
    async with Client(URL, transport=ear, max_per_second=None) as client:
        for call in (
            client.invite(B, message="Zoë & I"),
            client.invite(B, message="<b>Hi</b>", message_type="html"),
            client.admin.connect(B, C, message="Meet"),
            client.community(UUID).invite(A, title="Come"),
            client.community(UUID).invite(B),
        ):
            with suppress(ConnectionsError):
                await call
    bodies = [body for _, body in ear.heard if body]
    assert bodies[0] == entry("pending", '<content type="text">Zoë &amp; I</content>')
    assert bodies[1] == entry("pending", '<content type="html">&lt;b&gt;Hi&lt;/b&gt;</content>')
    assert bodies[2] == entry("accepted", '<content type="text">Meet</content>')
    assert bodies[3] == invite("Come", "<email>a@example.com</email>")
    assert bodies[4] == invite("Invitation", f'<snx:userid xmlns:snx="{S}">b 1</snx:userid>')


def invite(title: str, who: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<entry xmlns="http://www.w3.org/2005/Atom">'
        f'<title type="text">{title}</title><category term="invite" scheme="{S}/type"/>'
        f"<contributor>{who}</contributor></entry>"
    ).encode()


ROW = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<entry xmlns="http://www.w3.org/2005/Atom">'
    "<id>tag:profiles.ibm.com,2006:entryx</id>"
    '<title type="text">Ann</title><updated>2020-01-02T03:04:05.678Z</updated>'
    f'<category term="connection" scheme="{S}/type"/><category term="colleague" scheme="{S}/connection/type"/>'
    f'<category term="%s" scheme="{S}/status"/>'
    '<content type="html">&lt;b&gt;Hi&lt;/b&gt;</content>'
    f'<link href="https://seen.example.com{P}/connection.do?connectionId=x&amp;inclMessage=true" rel="edit"/>'
    '<ns0:unknown xmlns:ns0="urn:x">kept</ns0:unknown></entry>'
)
XML, EMPTY = {"content-type": "application/atom+xml;charset=UTF-8"}, {"content-type": "text/html"}
SERVICE = (
    '<service xmlns="http://www.w3.org/2007/app"><workspace><collection>'
    f'<userid xmlns="{S}">me</userid></collection>'
    f'<link xmlns="http://www.w3.org/2005/Atom" rel="{S}/connections/colleague" '
    f'href="https://seen.example.com{P}/connections.do?{T}&amp;key=k&amp;lastMod=1"/></workspace></service>'
)
PENDING = httpx.Response(200, headers=XML, text=ROW % "pending")
MINE = httpx.Response(200, headers={"content-type": "application/atomsvc+xml; charset=UTF-8"}, text=SERVICE)
DONE = httpx.Response(200, headers=EMPTY)
MADE = httpx.Response(201, headers=EMPTY)
SEEN = httpx.Response(200, headers={"x-profiles-connection-status": "accepted"})
EDIT = f"{P}/connection.do?connectionId=x&inclMessage=true"
SIDES = "sourceUserid=b%201&targetKey=c"
MEMBER = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<entry xmlns="http://www.w3.org/2005/Atom">'
    f'<category term="person" scheme="{S}/type"/>'
    f'<contributor><snx:userid xmlns:snx="{S}">me</snx:userid></contributor>'
    f'<snx:role xmlns:snx="{S}" component="{S}/communities">member</snx:role></entry>'
).encode()

CONVERSATIONS: dict[str, tuple[Callable[[Client], Awaitable[object]], list[tuple[str, bytes, httpx.Response]]]] = {
    "accept": (
        lambda c: c.accept("x"),
        [(f"GET {EDIT}", b"", PENDING), (f"PUT {EDIT}", (ROW % "accepted").encode(), DONE)],
    ),
    "remove": (
        lambda c: c.remove("x"),
        [(f"GET {P}/connection.do?connectionId=x", b"", PENDING), (f"DELETE {EDIT}", b"", DONE)],
    ),
    "invite, as documented": (
        lambda c: c.invite(C, message="Hi", discover=True),
        [
            (f"GET {P}/profileService.do?key=c", b"", MINE),
            (
                f"POST {P}/connections.do?{T}&key=k&lastMod=1",
                entry("pending", '<content type="text">Hi</content>'),
                MADE,
            ),
        ],
    ),
    "disconnect": (
        lambda c: c.admin.disconnect(B, C),
        [
            (f"HEAD {P}/connection.do?{T}&{SIDES}", b"", SEEN),
            (f"DELETE /profiles/admin/atom/connections.do?{T}&{SIDES}", b"", DONE),
        ],
    ),
    "accept an invitation": (
        lambda c: c.community_invitations.accept(INVITATION),
        [
            (f"GET {P}/profileService.do", b"", MINE),
            ("POST /communities/service/atom/community/members?communityUuid=c%201", MEMBER, MADE),
        ],
    ),
}


class Mouth(Ear):
    """Says one thing after the other, and hears what was asked."""

    def __init__(self, answers: list[httpx.Response]) -> None:
        super().__init__()
        self.answers = iter(answers)
        self.headers: list[httpx.Headers] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.headers.append(request.headers)
        await super().handle_async_request(request)
        said = next(self.answers)
        return httpx.Response(said.status_code, headers=said.headers, content=said.content)


@pytest.mark.parametrize("name", CONVERSATIONS)
async def test_whole_conversations(name: str) -> None:
    call, steps = CONVERSATIONS[name]
    mouth = Mouth([answer for _, _, answer in steps])
    async with Client(URL, transport=mouth, max_per_second=None) as client:
        await call(client)
    assert mouth.heard == [(line, body) for line, body, _ in steps]
    for (_, body), headers in zip(mouth.heard, mouth.headers, strict=True):
        assert headers.get("content-type") == ("application/atom+xml" if body else None)
        assert "x-requested-with" not in headers
        assert "x-update-nonce" not in headers
