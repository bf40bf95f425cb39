"""Fault injection, in process and over TCP."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import anyio
import httpx
import pytest

from aioconnections.records import Email, Status
from aioconnections.reference import Directory, Fault, app
from aioconnections.reference.server import listening

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioconnections.reference import App

CHECK = "/profiles/atom/connection.do?"
INVITE = "/profiles/atom/connections.do?connectionType=colleague"
SERVICE = "/profiles/atom/profileService.do"
ADMIN = "admin@example.com"
LOGIN = "Authorization: Basic YWRtaW46c2VjcmV0\r\n"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("retry_after", "form", "header"),
    [
        (7, "seconds", "7"),
        (0.5, "seconds", "0.5"),
        (37, "imf-fixdate", "Sun, 06 Nov 1994 08:49:37 GMT"),
        (37, "rfc850", "Sunday, 06-Nov-94 08:49:37 GMT"),
        (37, "asctime", "Sun Nov  6 08:49:37 1994"),
        ("soon", "seconds", "soon"),
        (None, "seconds", None),
    ],
)
async def test_refusal_by_a_front_end(
    directory: Directory, ask: Any, retry_after: Any, form: Any, header: str | None
) -> None:
    fault = Fault("refuse", status=429, retry_after=retry_after, retry_after_form=form)
    server = app(directory, faults=[fault], clock=lambda: 784_111_740)
    response = await ask(server, "GET", SERVICE, user="admin")
    assert response.status_code == 429
    assert response.headers["content-type"].startswith("text/html")
    assert response.headers.get("retry-after") == header
    assert server.requests.by_status == {429: 1}


@pytest.mark.asyncio
async def test_login_page_and_missing_application(directory: Directory, ask: Any) -> None:
    server = app(directory, faults=[Fault("login", times=1), Fault("missing")])
    login, missing = [await ask(server, "GET", SERVICE, user="admin") for _ in range(2)]
    assert (login.status_code, login.headers["content-type"]) == (200, "text/html;charset=UTF-8")
    assert b"j_password" in login.content
    assert missing.status_code == 404
    assert "SRVE0255E" in missing.text
    head = await ask(server, "HEAD", SERVICE, user="admin")
    assert (head.status_code, head.content) == (404, b"")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "struck"),
    [
        (Fault("refuse"), "1111111111"),
        (Fault("refuse", times=2), "1100000000"),
        (Fault("refuse", every=3), "0010010010"),
        (Fault("refuse", every=4, times=1), "0001000000"),
        (Fault("refuse", operation="invite"), "0000000000"),
        (Fault("refuse", operation="check"), "1111111111"),
        (Fault("refuse", chance=0), "0000000000"),
    ],
)
async def test_affected_requests(
    directory: Directory, ask: Any, query: Any, pair: Any, fault: Fault, struck: str
) -> None:
    server = app(directory, faults=[fault])
    one, other = pair(Status.ACCEPTED)
    url = CHECK + query(one.key, other.key)
    statuses = [(await ask(server, "HEAD", url, user="admin")).status_code for _ in range(10)]
    assert "".join(str(int(status == 503)) for status in statuses) == struck
    assert server.struck == [struck.count("1")]


@pytest.mark.asyncio
async def test_chance_is_reproducible(directory: Directory, ask: Any) -> None:
    async def statuses(seed: int) -> list[int]:
        server = app(directory, faults=[Fault("refuse", chance=0.5)], fault_seed=seed)
        return [(await ask(server, "HEAD", SERVICE, user="admin")).status_code for _ in range(60)]

    first = await statuses(1)
    assert first == await statuses(1) != await statuses(2)
    assert 10 < Counter(first)[503] < 50


@pytest.mark.asyncio
async def test_affected_people(directory: Directory, ask: Any, query: Any, pair: Any, invitation: Any) -> None:
    bob, alice = pair(Status.PENDING)
    others = [person for person in directory.people if person not in (alice, bob)]
    server = app(directory)
    found = await ask(server, "GET", CHECK + query(alice.key, bob.key), user=alice)
    by_id = f"{CHECK}connectionId={found.text.partition('connectionId=')[2].partition('<')[0].partition(chr(34))[0]}"
    server.faults = [Fault("refuse", person=bob)]
    community = next(c for c in directory.communities if bob not in (*c.owners, *c.members, *c.invited))
    invites = f"/communities/service/atom/community/invites?communityUuid={community.uuid}"
    entry = (
        '<entry xmlns="http://www.w3.org/2005/Atom"><category scheme="http://www.ibm.com/xmlns/prod/sn/type" '
        'term="invite"/><contributor><email>{}</email></contributor></entry>'
    )
    for met, (method, url, user, content) in (
        (True, ("HEAD", CHECK + query(alice.key, bob.email), "admin", b"")),
        (True, ("HEAD", CHECK + query(bob.userid, others[0].key), "admin", b"")),
        (True, ("GET", by_id, "admin", b"")),
        (True, ("GET", SERVICE, bob, b"")),
        (True, ("POST", f"{INVITE}&key={bob.key}", others[1], invitation())),
        (True, ("POST", invites, community.owners[0], entry.format(bob.email).encode())),
        (False, ("POST", invites, community.owners[0], entry.format(ADMIN).encode())),
        (False, ("HEAD", CHECK + query(alice.key, others[0].email), "admin", b"")),
        (False, ("GET", SERVICE, alice, b"")),
    ):
        response = await ask(server, method, url, user=user, content=content)
        assert (response.status_code == 503) is met, (method, url)


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["refuse", "login", "missing", "reset"])
@pytest.mark.parametrize("at", ["request", "commit"])
async def test_before_or_after_the_commit(
    directory: Directory, ask: Any, pair: Any, invitation: Any, kind: Any, at: Any
) -> None:
    alice, bob = pair(None)
    server = app(directory, faults=[Fault(kind, at=at, operation="invite", times=1)])
    url = f"{INVITE}&key={bob.key}"
    if kind == "reset":
        with pytest.raises(ConnectionResetError):
            await ask(server, "POST", url, user=alice, content=invitation())
        assert server.requests.by_status == {0: 1}
    else:
        response = await ask(server, "POST", url, user=alice, content=invitation())
        assert response.status_code == {"refuse": 503, "login": 200, "missing": 404}[kind]
    assert server.status(alice, bob) is (Status.UNCONFIRMED if at == "commit" else None)
    again = await ask(server, "POST", url, user=alice, content=invitation())
    assert again.status_code == (400 if at == "commit" else 201)


@pytest.mark.anyio
@pytest.mark.parametrize("at", ["request", "commit", "half"])
async def test_delay(directory: Directory, ask: Any, at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(anyio, "sleep", sleep)
    server = app(directory, faults=[Fault("delay", at=at, seconds=3600), Fault("delay", at=at, seconds=1)])
    response = await ask(server, "GET", SERVICE, user="admin")
    assert response.content.endswith(b"</service>")
    assert slept == [3600, 1]
    server.faults = [*server.faults, Fault("refuse", at="request")]
    assert (await ask(server, "GET", SERVICE, user="admin")).status_code == 503


async def _exchange(url: str, request: bytes) -> tuple[bytes, Exception | None]:
    """The response to a request, and the error that ended it."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    got = b""
    try:
        while chunk := await reader.read(65536):
            got += chunk
    except ConnectionResetError as error:
        return got, error
    else:
        return got, None
    finally:
        writer.close()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("at", "begins", "total"), [("request", b"", {0: 1}), ("commit", b"", {0: 1}), ("half", b"HTTP/1.1 200", {200: 1})]
)
async def test_reset_over_tcp(directory: Directory, at: Any, begins: bytes, total: dict[int, int]) -> None:
    server = app(directory, faults=[Fault("reset", at=at)])
    request = f"GET {SERVICE} HTTP/1.1\r\nHost: h\r\n{LOGIN}\r\n".encode()
    async with listening(server) as url:
        got, error = await _exchange(url, request)
        assert isinstance(error, ConnectionResetError)
        assert got.startswith(begins)
        assert b"</service>" not in got
        server.faults = []
        async with httpx.AsyncClient(base_url=url, auth=("admin", "secret"), trust_env=False) as client:
            assert (await client.get(SERVICE)).status_code == 200
    assert server.requests.by_status == Counter(total) + Counter({200: 1})


@pytest.mark.asyncio
async def test_reset_after_the_client_disconnected(directory: Directory) -> None:
    server = app(directory, faults=[Fault("reset")])

    async def late(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            while (await receive())["type"] != "http.disconnect":
                pass
        await server(scope, receive, send)

    async with listening(cast("App", late)) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET {SERVICE} HTTP/1.1\r\nHost: h\r\n{LOGIN}\r\n".encode())
        writer.close()
        await writer.wait_closed()
        await _until(lambda: server.requests.by_status == {0: 1})


@pytest.mark.asyncio
@pytest.mark.parametrize("at", ["request", "commit", "half"])
async def test_stall_lasts_until_the_client_disconnects(directory: Directory, at: Any) -> None:
    server = app(directory, faults=[Fault("stall", at=at)])
    host_and_login = f"Host: h\r\n{LOGIN}\r\n"
    async with listening(server) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET {SERVICE} HTTP/1.1\r\n{host_and_login}".encode())
        if at == "half":
            await reader.readuntil(b"<service ")
        writer.close()
        await writer.wait_closed()
        await _until(lambda: server.requests.total == 1)
    assert server.struck == [1]


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # the server runs in this loop and has no event for it
        await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_commit_after_the_client_disconnected(directory: Directory, pair: Any, invitation: Any) -> None:
    _, bob = pair(None)
    server = app(directory, faults=[Fault("stall", at="commit")])
    body = invitation()
    head = f"POST {INVITE}&key={bob.key} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n{LOGIN}\r\n"
    async with listening(server) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(head.encode() + body)
        await writer.drain()
        await _until(lambda: bool(server.commits))
        writer.close()
        await writer.wait_closed()
    assert [commit.verb for commit in server.commits] == ["invite"]


def test_invalid_faults(directory: Directory) -> None:
    for wrong in (
        {"kind": "flood"},
        {"kind": "refuse", "at": "half"},
        {"kind": "refuse", "operation": "dance"},
        {"kind": "refuse", "every": 0},
        {"kind": "refuse", "chance": 2},
        {"kind": "refuse", "status": 199},
        {"kind": "delay", "seconds": -1},
        {"kind": "refuse", "person": {"name": "Ada"}},
        {"kind": "refuse", "person": "Ada"},
        {"kind": "refuse", "nonsense": 1},
        {},
    ):
        with pytest.raises(ValueError, match=r"."):
            Fault.from_dict(wrong)
    with pytest.raises(ValueError, match=r"^person must have one member, email, userid or key, got {'name': 'Ada'}$"):
        Fault.from_dict({"kind": "refuse", "person": {"name": "Ada"}})
    with pytest.raises(ValueError, match=r"^the person of a fault must be in the directory, got nobody@example\.com$"):
        app(directory, faults=[Fault("refuse", person=Email("nobody@example.com"))])


@pytest.mark.asyncio
async def test_faults_are_set_over_http(directory: Directory, ask: Any) -> None:
    server: App = app(directory, auth="form")
    bob = directory.people[0]
    faults = [Fault("refuse", person=bob.email, retry_after=3), Fault("delay", operation="check", seconds=0.5)]
    content = [fault.as_dict() for fault in faults]
    response = await ask(server, "PUT", "/reference/faults", user="admin", json=content)
    assert response.status_code == 200
    assert response.json() == [{**fault, "struck": 0} for fault in content]
    assert list(server.faults) == faults
    assert (await ask(server, "GET", SERVICE, user=bob)).status_code == 503
    shown = await ask(server, "GET", "/reference/faults", user="admin")
    assert [fault["struck"] for fault in shown.json()] == [1, 0]
    assert (await ask(server, "PUT", "/reference/faults", user="admin", json=shown.json())).status_code == 200
    for wrong in (b"", b"{}", b"[1]", b'[{"kind": "flood"}]', b"3"):
        refused = await ask(server, "PUT", "/reference/faults", user="admin", content=wrong)
        assert (refused.status_code == 400) is (wrong != b"{}")
    for user in (None, bob, "nobody"):
        assert (await ask(server, "GET", "/reference/faults", user=user)).status_code == 401
    assert (await ask(server, "GET", "/reference/faults", headers={"Authorization": "Basic !"})).status_code == 401
