"""Every way to sign in, through the client, against the reference server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from doors import URL

from aioconnections import AuthenticationError, Bearer, Checked, Client, Ltpa, OAuth2, Pair, Person, Tokens
from aioconnections.reference import Directory, app

pytestmark = pytest.mark.asyncio


class Watched(httpx.ASGITransport):
    """Goes to a reference server, and keeps what is asked."""

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        self.requests: list[httpx.Request] = []
        self.statuses: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        response = await super().handle_async_request(request)
        self.statuses.append(response.status_code)
        return response


@pytest.fixture(scope="module")
def directory() -> Directory:
    return Directory.generate(people=200, seed=7)


@pytest.fixture
def alice(directory: Directory) -> Person:
    return directory.people[0]


@asynccontextmanager
async def connected(door: httpx.AsyncBaseTransport, auth: Any, **options: Any) -> AsyncIterator[Client]:
    async with Client(URL, auth=auth, transport=door, max_per_second=None, **options) as client:
        yield client


def pairs(directory: Directory) -> Iterator[Pair]:
    return (Pair(directory.people[0], other) for other in directory.people[1:100])


async def cookie_of(server: Any, person: Person) -> str:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url=URL) as http:
        answer = await http.get("/profiles/atom/profileService.do", auth=(str(person.email), "secret"))
        return answer.cookies["LtpaToken2"]


@pytest.mark.parametrize("auth", ["basic", "form"])
async def test_a_cookie_signs_in_and_is_sent_raw(directory: Directory, alice: Person, auth: Any) -> None:
    server = app(directory, auth=auth)
    value = await cookie_of(server, alice)
    door = Watched(server)
    async with connected(door, Ltpa(value)) as client:
        assert (await client.me()).userid == alice.userid
        assert await client.check(*directory.people[:2]) is directory.status(*directory.people[:2])
    assert {request.headers["cookie"] for request in door.requests} == {f"LtpaToken2={value}"}
    assert not any("authorization" in request.headers for request in door.requests)


@pytest.mark.parametrize(("auth", "status"), [("basic", 401), ("form", 302)])
async def test_a_cookie_that_is_not_good_costs_one_refusal(directory: Directory, auth: Any, status: int) -> None:
    door = Watched(app(directory, auth=auth))
    async with connected(door, Ltpa("AAAA")) as client, client.check_many(pairs(directory)) as outcomes:
        assert [outcome async for outcome in outcomes if isinstance(outcome, Checked)] == []
    assert isinstance(outcomes.stopped, AuthenticationError)
    assert door.statuses == [status]


async def test_a_cookie_is_renewed_by_its_owner(directory: Directory, alice: Person) -> None:
    server = app(directory)
    calls = 0

    async def renew() -> dict[str, str]:
        nonlocal calls
        calls += 1
        return {"LtpaToken2": await cookie_of(server, alice)}

    door = Watched(server)
    async with connected(door, Ltpa("AAAA", renew=renew)) as client:
        assert (await client.me()).userid == alice.userid
    assert calls == 1
    assert door.statuses.count(401) == 1


async def test_a_token_is_renewed_by_its_owner(directory: Directory, alice: Person) -> None:
    async def renew() -> str:
        return "good"

    door = Watched(app(directory, auth="oauth", tokens={"good": alice}))
    async with connected(door, Bearer("old", renew=renew)) as client:
        assert (await client.me()).userid == alice.userid
    assert door.statuses.count(401) == 1


async def test_tokens_are_got_and_renewed_at_the_server(directory: Directory, alice: Person) -> None:
    stored: list[Tokens] = []
    server = app(directory, auth="oauth", refresh_tokens={"r0": alice})
    door = Watched(server)
    async with connected(door, OAuth2("app", "secret", "r0", on_tokens=stored.append)) as client:
        assert (await client.me()).userid == alice.userid
        server.expire_tokens()
        async with client.check_many(pairs(directory)) as outcomes:
            checked = [outcome async for outcome in outcomes]
        assert outcomes.tally.checked == len(checked) == 99
    assert len(stored) == 2
    to_provider = [request for request in door.requests if request.url.path.startswith("/oauth2/")]
    assert len(to_provider) == 2
    assert not any({"authorization", "cookie"} & set(request.headers) for request in to_provider)
    others = [request.url.path for request in door.requests if request not in to_provider]
    assert all(path.startswith("/profiles/oauth/atom/") for path in others)
    assert 1 <= door.statuses.count(401) <= 16  # those under way when the tokens expired


@pytest.mark.parametrize("context", ["", "/ctx"])
@pytest.mark.parametrize("paths", ["oauth", "ordinary"])
async def test_tokens_are_got_below_the_base_url_and_sent_to_the_chosen_paths(
    directory: Directory, alice: Person, context: str, paths: Any
) -> None:
    server = app(directory, auth="oauth", refresh_tokens={"r0": alice}, token_paths=paths, context=context)
    auth = OAuth2("app", "secret", "r0", oauth_paths=paths == "oauth")
    url = f"https://connections.example.com{context}"
    async with Client(url, auth=auth, transport=httpx.ASGITransport(server)) as client:
        assert (await client.me()).userid == alice.userid
    segment = "/oauth" if paths == "oauth" else ""
    assert set(server.requests.by_path) == {
        f"{context}/oauth2/endpoint/connectionsProvider/token",
        f"{context}/profiles{segment}/atom/profileService.do",
    }


async def test_one_credential_for_both_kinds_of_paths_is_two_logins(directory: Directory, alice: Person) -> None:
    server = app(directory, auth="oauth", refresh_tokens={"r0": alice}, tokens={"t0": alice})
    wrong, right = (OAuth2("app", "secret", "r0", access_token="t0", oauth_paths=oauth) for oauth in (False, True))
    transport = httpx.ASGITransport(server)
    async with Client("https://connections.example.com", auth=wrong, transport=transport) as client:
        assert (await client.as_user(right).me()).userid == alice.userid
        with pytest.raises(AuthenticationError):
            await client.me()


async def test_a_stored_token_that_has_expired_costs_one_refusal(directory: Directory, alice: Person) -> None:
    door = Watched(app(directory, auth="oauth", refresh_tokens={"r0": alice}))
    auth = OAuth2("app", "secret", "r0", access_token="old")
    async with connected(door, auth) as client, client.check_many(pairs(directory)) as outcomes:
        assert len([outcome async for outcome in outcomes]) == outcomes.tally.checked == 99
    assert door.statuses.count(401) == 1


@pytest.mark.parametrize(
    ("secret", "refresh", "word"), [("secret", "spent", "invalid_grant"), ("x", "r0", "invalid_client")]
)
async def test_a_refused_refresh_stops_everything(
    directory: Directory, alice: Person, secret: str, refresh: str, word: str
) -> None:
    door = Watched(app(directory, auth="oauth", refresh_tokens={"r0": alice}))
    async with connected(door, OAuth2("app", secret, refresh)) as client:
        async with client.check_many(pairs(directory)) as outcomes:
            assert [outcome async for outcome in outcomes if isinstance(outcome, Checked)] == []
        assert isinstance(outcomes.stopped, AuthenticationError)
        assert word in str(outcomes.stopped)
        with pytest.raises(AuthenticationError):
            await client.check(*directory.people[:2])
    assert len(door.requests) == 1


async def test_an_endpoint_elsewhere_is_sent_the_form_and_nothing_else(directory: Directory, alice: Person) -> None:
    server = app(directory, auth="oauth", refresh_tokens={"r0": alice})
    door = Watched(server)
    url = "https://sso.example.com/oauth2/endpoint/connectionsProvider/token"
    async with connected(door, OAuth2("app", "secret", "r0", token_url=url)) as client:
        await client.check(*directory.people[:2])
    assert [request.url.host for request in door.requests].count("sso.example.com") == 1
    assert str(door.requests[0].url) == url


async def test_what_the_server_sets_is_never_sent_back(directory: Directory, alice: Person) -> None:
    door = Watched(app(directory))
    async with connected(door, (str(alice.email), "secret")) as client:
        async with client.check_many(pairs(directory)) as outcomes:
            assert len([outcome async for outcome in outcomes]) == 99
        assert [person async for person in client.colleagues(alice)]
    assert not any("cookie" in request.headers for request in door.requests)
