"""A response in a form that is not acceptable is not asked for again and again, neither for one pair nor for each."""

from __future__ import annotations

import pytest
from transport.faulty import Connection, answer, serving

from aioconnections import Checked, Client, Pair, Userid

pytestmark = pytest.mark.anyio

PAIRS = [Pair(Userid(f"a{number}"), Userid(f"b{number}")) for number in range(300)]
SERVICE = answer(b"", "Content-Type: application/atomsvc+xml;charset=UTF-8")
FRONT_END = (
    "Date: Tue, 07 Jul 2026 10:11:12 GMT",
    "Server: IBM_HTTP_Server",
    "X-Profiles-Connection-Status: accepted",
    "Set-Cookie: JSESSIONID=0000Qx; Path=/; Secure; HttpOnly",
    "content-length: 0",
    "Content-Language: en-US",
)


@pytest.mark.parametrize("verb", ["HEAD", "every"])
async def test_equal_content_lengths_are_one_and_cost_no_further_attempt(anyio_backend: str, verb: str) -> None:
    assert anyio_backend
    twice = answer(b"", *FRONT_END)
    assert twice.lower().count(b"content-length: 0\r\n") == 2
    service = SERVICE if verb == "HEAD" else SERVICE.replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n")

    async def serve(connection: Connection) -> None:
        while True:
            head = await connection.request()
            await connection.say(service if b"profileService.do" in head else twice)

    async with serving(serve) as server:
        async with Client(str(server.origin), auth=("ajones", "secret"), max_per_second=None) as client:
            outcomes = await everything(client)
        assert len(server.connections) <= 16
    assert [type(outcome) for outcome in outcomes] == [Checked] * 300
    assert {outcome.attempts for outcome in outcomes} == {1}


async def everything(client: Client) -> list[object]:
    async with client.check_many(PAIRS) as run:
        return [outcome async for outcome in run]
