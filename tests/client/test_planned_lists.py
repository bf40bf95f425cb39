"""Checks with a plan on servers that give no usable lists: then pairs are checked one by one."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import permutations
from typing import Any

import httpx
import pytest
from doors import on_virtual_time, refusal
from server import Door, Place

from aioconnections import Checked, Pair, Plan, ServerUnavailableError, Status, Unprocessed
from aioconnections.reference import Directory

pytestmark = pytest.mark.anyio

LARGE = Directory.generate(people=1_500, seed=5)
OUTSIDER = 900
HTML = httpx.Response(404, headers={"content-type": "text/html"}, content=b"<html><body>Not found</body></html>")


class Tampering(Door):
    """Replaces the responses to requests for lists."""

    def __init__(self, server: Any, tamper: Callable[[httpx.Request, httpx.Response], httpx.Response | None]) -> None:
        super().__init__(server)
        self._tamper = tamper

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if not request.url.path.endswith("/connections.do"):
            return response
        await response.aread()
        return self._tamper(request, response) or response


def rewritten(response: httpx.Response, pattern: str, replacement: str) -> httpx.Response:
    """The same response with another body."""
    headers = {name: value for name, value in response.headers.items() if name.lower() != "content-length"}
    return httpx.Response(response.status_code, headers=headers, text=re.sub(pattern, replacement, response.text))


TAMPERINGS: dict[str, Callable[[httpx.Request, httpx.Response], httpx.Response | None]] = {
    "refused": lambda *_: refusal(403),
    "invalid": lambda *_: refusal(400),
    "a page of a front end": lambda *_: HTML,
    "broken": lambda _, it: httpx.Response(200, headers=it.headers, content=it.content[:-20]),
    "a total that is too large": lambda _, it: rewritten(it, r"totalResults>\d+<", "totalResults>4999<"),
    "no total": lambda _, it: rewritten(it, r"<[a-zA-Z:]*totalResults>\d+</[a-zA-Z:]*totalResults>", ""),
    "without userids": lambda _, it: rewritten(it, r"(?s)<snx:userid>.*?</snx:userid>", ""),
    "of another person": lambda _, it: rewritten(it, r"<snx:userid>", "<snx:userid>X"),
    "of pending connections": lambda _, it: rewritten(it, 'term="accepted"', 'term="pending"'),
}


def group(place: Place, size: int = 24) -> list[Pair]:
    people = [place.person(number, "userid") for number in range(size)]
    return [Pair(one, other) for one, other in permutations(people, 2)]


@pytest.mark.parametrize("tamper", TAMPERINGS)
async def test_lists_that_cannot_be_used(tamper: str) -> None:
    place = Place(directory=LARGE)
    pairs = group(place)
    door = Tampering(place.server, TAMPERINGS[tamper])
    async with place.client(OUTSIDER, transport=door, max_attempts=1) as client:
        run = client.check_many(pairs, plan=Plan(page_cost=1))
        found = await run.collect()
    assert run.stopped is None
    assert sorted(it.index for it in found) == list(range(len(pairs)))
    for it in found:
        assert isinstance(it, Checked)
        assert it.via == "head"
        assert (it.status == Status.ACCEPTED) is (place.status(it.pair.source, it.pair.target) == Status.ACCEPTED)
    lists = [line for line in door.lines() if "/connections.do" in line]
    assert 0 < len(lists) <= 12 * len({line.partition("userid=")[2] for line in lists})


async def test_invitations_of_others_that_are_refused() -> None:
    def tamper(request: httpx.Request, _: httpx.Response) -> httpx.Response | None:
        return refusal(403) if "status=accepted" not in str(request.url) else None

    place = Place(directory=LARGE)
    pairs = group(place, 40)
    async with place.client(OUTSIDER, transport=Tampering(place.server, tamper)) as client:
        run = client.check_many(pairs, plan=Plan(page_cost=1))
        found = await run.collect()
    assert run.tally.via_list > 1_000
    for it in found:
        assert isinstance(it, Checked)
        assert (it.status == Status.ACCEPTED) is (place.status(it.pair.source, it.pair.target) == Status.ACCEPTED)


def test_a_server_that_goes_away_in_the_middle_of_a_list() -> None:
    place = Place(directory=LARGE)
    pairs = group(place, 40)
    asked = 0

    class Away(Door):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal asked
            asked += 1
            if asked > 30:
                raise httpx.ConnectError("refused", request=request)
            return await super().handle_async_request(request)

    async def main() -> None:
        async with place.client(OUTSIDER, transport=Away(place.server)) as client:
            run = client.check_many(pairs, plan=Plan(page_cost=1))
            found = await run.collect()
        assert isinstance(run.stopped, ServerUnavailableError)
        assert sorted(it.index for it in [*found, *run.undelivered]) == list(range(run.tally.read))
        assert run.tally.in_flight == 0
        for it in found:
            assert isinstance(it, Unprocessed) or not isinstance(it, Checked) or it.via == "head"

    on_virtual_time(main)
