"""A client over a transport or a client of httpx2 does what it does over one of httpx."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest
from server import DIRECTORY

from aioconnections import (
    AuthenticationError,
    Checked,
    Client,
    ConnectFailedError,
    Email,
    InDoubtError,
    InvalidInputError,
    LaneTransport,
    NotFoundError,
    Status,
    UsageError,
)
from aioconnections.reference import app

pytestmark = pytest.mark.anyio

URL = "https://connections.example.com"
PEOPLE = DIRECTORY.people


@pytest.fixture(params=["transport", "http_client"])
async def doors(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[Any]:
    """Makes the argument of a client that leads to this transport."""
    assert anyio_backend
    async with AsyncExitStack() as stack:

        async def door(transport: httpx2.AsyncBaseTransport) -> dict[str, Any]:
            if request.param == "transport":
                return {"transport": transport}
            return {"http_client": await stack.enter_async_context(httpx2.AsyncClient(transport=transport))}

        yield door


async def client_of(doors: Any, number: int = 0, **options: Any) -> Client:
    door = await doors(httpx2.ASGITransport(app(DIRECTORY)))
    login = (str(PEOPLE[number].userid), "secret")
    return Client(URL, **{"auth": login, "max_per_second": None} | door | options)


async def test_checks_listings_changes_and_another_user(doors: Any) -> None:
    pairs = [(PEOPLE[0], other) for other in PEOPLE[1:30]]
    async with await client_of(doors) as client:
        outcomes = await client.check_many(pairs, ordered=True).collect()
        found = [outcome.status for outcome in outcomes if isinstance(outcome, Checked)]
        assert found == [DIRECTORY.status(*pair) for pair in pairs]
        assert [it async for it in client.colleagues(PEOPLE[0], page_size=3)]
        stranger = next(other for (_, other), status in zip(pairs, found, strict=True) if status is None)
        await client.invite(stranger, message="Hello")
        assert await client.check(PEOPLE[0], stranger) is Status.UNCONFIRMED
        other = client.as_user((str(stranger.userid), "secret"))
        assert await other.check(stranger, PEOPLE[0]) is Status.PENDING
        with pytest.raises(NotFoundError):
            await client.remove("no such connection")
        assert (await client.me()).userid == PEOPLE[0].userid


async def test_a_wrong_password_is_sent_once(doors: Any) -> None:
    async with await client_of(doors, auth=("ajones", "wrong")) as client:
        for _ in range(2):
            with pytest.raises(AuthenticationError):
                await client.check(PEOPLE[0], PEOPLE[1])
        assert client.stats().responses == {401: 1}


async def test_an_error_of_httpx2_becomes_ours_and_holds_no_request(doors: Any) -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError(f"refused {request.url}", request=request)

    door = await doors(httpx2.MockTransport(refuse))
    async with Client(URL, auth=("ajones", "secret"), max_attempts=1, **door) as client:
        with pytest.raises(ConnectFailedError) as caught:
            await client.check(PEOPLE[0], Email("ann@example.com"))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def test_a_lost_response_of_a_change_is_in_doubt(doors: Any) -> None:
    inner = httpx2.ASGITransport(app(DIRECTORY))

    class Losing(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.method == "POST":
                raise httpx2.ReadError("lost", request=request)
            return await inner.handle_async_request(request)

    stranger = next(other for other in PEOPLE[1:] if DIRECTORY.status(PEOPLE[0], other) is None)
    async with Client(URL, auth=(str(PEOPLE[0].userid), "secret"), **await doors(Losing())) as client:
        with pytest.raises(InDoubtError):
            await client.invite(stranger, on_unknown="report")


async def test_whether_client_and_transport_are_closed(doors: Any) -> None:
    client = await client_of(doors)
    async with client:
        await client.me()
    with pytest.raises(UsageError):
        await client.me()


async def test_a_client_of_httpx2_with_a_login_and_a_synchronous_one_are_refused() -> None:
    wrong: Any
    async with httpx2.AsyncClient(auth=("ajones", "secret")) as http:
        with pytest.raises(InvalidInputError, match="must not have auth or cookies"):
            Client(URL, http_client=http)
    with (
        httpx2.Client() as wrong,
        pytest.raises(InvalidInputError, match="of httpx or httpx2, got Client"),
    ):
        Client(URL, http_client=wrong)


async def test_lanes_serve_clients_of_both_at_once() -> None:
    """One transport may be under both; each gets its own classes."""
    import httpx

    transport = LaneTransport()
    async with httpx.AsyncClient(transport=transport) as one, httpx2.AsyncClient(transport=transport) as other:
        with pytest.raises(httpx.UnsupportedProtocol):
            await one.get("ftp://connections.example.com")
        with pytest.raises(httpx2.UnsupportedProtocol):
            await other.get("ftp://connections.example.com")
        await transport.aclose()
        with pytest.raises(httpx.TransportError) as first:
            await one.get(URL)
        with pytest.raises(httpx2.TransportError) as second:
            await other.get(URL)
    assert isinstance(first.value, UsageError)
    assert isinstance(second.value, UsageError)


WITHOUT = """
import sys
sys.modules["httpx2"] = None
import asyncio
import httpx
from aioconnections import Client, LaneTransport
from aioconnections.reference import Directory, app

async def main():
    directory = Directory.generate(people=20, seed=1)
    transport = httpx.ASGITransport(app(directory))
    async with Client("https://connections.example.com", auth=("admin", "secret"), transport=transport) as client:
        await client.check(*directory.people[:2])
    async with httpx.AsyncClient(transport=LaneTransport()) as http:
        try:
            await http.get("ftp://connections.example.com")
        except httpx.UnsupportedProtocol:
            print("done")

asyncio.run(main())
"""

ALIASED = """
import httpx2
httpx2.alias_httpx()
""" + WITHOUT.replace('sys.modules["httpx2"] = None\n', "")

UNUSED = """
import sys
import httpx
from aioconnections import Client, LaneTransport
Client("https://connections.example.com", transport=httpx.MockTransport(lambda _: httpx.Response(200)))
LaneTransport()
print("done" if "httpx2" not in sys.modules else "imported")
"""


@pytest.mark.slow
@pytest.mark.parametrize("code", [WITHOUT, ALIASED, UNUSED], ids=["not installed", "in place of httpx", "not used"])
def test_httpx2_is_neither_needed_nor_imported_and_may_take_the_place_of_httpx(code: str) -> None:
    if code == ALIASED and not hasattr(httpx2, "alias_httpx"):
        pytest.skip("the lowest version of httpx2 cannot take the place of httpx")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("done", "")
