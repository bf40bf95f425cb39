"""Checks with a plan on servers that give no usable lists: then pairs are checked one by one."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from itertools import permutations
from typing import Any

import anyio
import httpx
import pytest
from doors import on_virtual_time, refusal
from server import Door, Place

from aioconnections import (
    AuthenticationError,
    Checked,
    Pair,
    PairLike,
    Plan,
    ServerUnavailableError,
    Status,
    Unprocessed,
    Userid,
)
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


async def test_a_login_that_is_refused_for_lists_alone() -> None:
    place = Place(directory=LARGE)
    pairs = group(place)
    refused = httpx.Response(401, headers={"www-authenticate": 'Basic realm="lists"'})
    async with place.client(OUTSIDER, transport=Tampering(place.server, lambda *_: refused)) as client:
        run = client.check_many(pairs, plan=Plan(page_cost=1))
        found = await run.collect()
        assert await client.check(pairs[0].source, pairs[0].target) is None
    assert run.stopped is None
    assert {(type(it), getattr(it, "via", None)) for it in found} == {(Checked, "head")}


async def test_a_list_that_names_its_owner() -> None:
    def tamper(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        owner = request.url.params["userid"]
        return rewritten(response, r"(connection/target.*?<snx:userid>)[^<]*", rf"\g<1>{owner}")

    place = Place(directory=LARGE)
    pairs = group(place)
    async with place.client(OUTSIDER, transport=Tampering(place.server, tamper)) as client:
        run = client.check_many(pairs, plan=Plan(page_cost=1))
        found = await run.collect()
    assert run.stopped is None
    assert {(type(it), getattr(it, "via", None)) for it in found} == {(Checked, "head")}


async def test_an_administrator_whose_first_lists_have_no_invitations() -> None:
    place = Place(directory=LARGE)
    people = [place.person(number, "userid") for number in range(40)]
    async with place.client(None) as client:
        for person in people[:13]:
            for other, status in list(LARGE.neighbours(person)):
                if status != Status.ACCEPTED:
                    await client.admin.disconnect(person, other)
        run = client.check_many(group(place, 40), plan=Plan(page_cost=1))
        found = await run.collect()
    assert run.tally.via_list > 500
    for it in found:
        assert isinstance(it, Checked)
        assert (it.status and str(it.status)) == place.status(it.pair.source, it.pair.target)


@pytest.mark.parametrize("are_shown", [0, 2])
async def test_invitations_in_lists_that_most_checks_do_not_show(are_shown: int) -> None:
    """The lists are those of an administrator; of the checks of invitations, the third and fourth may show them too."""
    place = Place(directory=LARGE)
    pairs = group(place, 40)
    administrator = httpx.BasicAuth("admin", "secret")
    invitations = 0

    class Generous(Door):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal invitations
            query = request.url.params
            is_list = request.url.path.endswith("/connections.do")
            if request.method == "HEAD":
                ends = (Userid(query["sourceUserid"]), Userid(query["targetUserid"]))
                is_list = place.status(*ends) in {"pending", "unconfirmed"} and invitations - 2 in range(are_shown)
                invitations += place.status(*ends) in {"pending", "unconfirmed"}
            if is_list:
                request = next(administrator.auth_flow(request))
                request.headers.pop("cookie", None)
            return await super().handle_async_request(request)

    async with place.client(OUTSIDER, transport=Generous(place.server), max_connections=1) as client:
        run = client.check_many(pairs, plan=Plan(page_cost=1))
        found = await run.collect()
    assert invitations > 2
    assert (run.tally.via_list > 1_000) is (are_shown == 0)
    assert (run.stopped, run.tally.checked) == (None, len(pairs))
    for it in found:
        assert isinstance(it, Checked)
        assert (it.status == Status.ACCEPTED) is (place.status(it.pair.source, it.pair.target) == Status.ACCEPTED)


def without(response: httpx.Response, *userids: str) -> httpx.Response:
    """The same list without the entries that contain all these userids."""
    entries = re.findall(r"(?s)<entry.*?</entry>", response.text)
    hidden = [it for it in entries if all(f"<snx:userid>{userid}<" in it for userid in userids)]
    text = response.text
    for it in hidden:
        text = text.replace(it, "")
    text = re.sub(r"(totalResults>)(\d+)", lambda it: f"{it[1]}{int(it[2]) - len(hidden)}", text)
    headers = {name: value for name, value in response.headers.items() if name.lower() != "content-length"}
    return httpx.Response(response.status_code, headers=headers, text=text)


@pytest.mark.parametrize("is_hidden", [True, False])
@pytest.mark.parametrize("window", [1, 1_000], ids=["checked before lists are read", "checked to confirm the lists"])
async def test_an_invitation_that_a_check_shows_and_no_list_refutes_the_lists(window: int, *, is_hidden: bool) -> None:
    """To an administrator, whose lists show all other invitations."""
    place = Place(directory=LARGE)
    pairs = group(place, 40)
    first = next(it for it in pairs if place.status(it.source, it.target) == Status.PENDING)
    third = next(it.source for it in pairs if it.source not in (first.source, first.target))

    def order(pair: Pair) -> tuple[bool, bool]:
        """First the invitation, or the person whose list comes first, from which an administrator concludes nothing."""
        ends = (pair.source, pair.target)
        return (pair != first if window == 1 else third not in ends, first.source not in ends)

    pairs = sorted(pairs, key=order)
    userids = (first.source.value, first.target.value)
    door = Tampering(place.server, lambda _, it: without(it, *userids) if is_hidden else None)
    async with place.client(None, transport=door, max_connections=1) as client:
        run = client.check_many(pairs, plan=Plan(page_cost=1, window_pairs=window))
        found = await run.collect()
    assert run.stopped is None, "nothing was concluded before"
    assert (run.tally.via_list > 0) is not is_hidden
    for it in found:
        assert isinstance(it, Checked)
        assert (it.status and str(it.status)) == place.status(it.pair.source, it.pair.target)


async def test_one_person_whom_the_server_does_not_know() -> None:
    place = Place(directory=LARGE)
    source = max(LARGE.people[:300], key=lambda person: sum(1 for _ in LARGE.neighbours(person)))
    targets = [it for it in LARGE.people if it not in (source, LARGE.people[OUTSIDER])]
    pairs: list[PairLike] = [(source, Userid("left-1")), *((source, it) for it in targets)]
    async with place.client(OUTSIDER) as client:
        run = client.check_many(pairs, plan=Plan(page_cost=1))
        await run.drain()
        assert run.tally.via_list > 1_300
        assert client.stats().attempts < 170 + 180, "another check takes the place of the one that gave no status"


@pytest.mark.parametrize("version", ["4.5", "6.0"])
async def test_lists_say_nothing_about_a_person_whom_the_server_has_rejected(version: str) -> None:
    place = Place(directory=LARGE, version=version)
    unknown = Userid("left-1")
    people = [place.person(number, "userid") for number in range(40)]
    about = [Pair(unknown, it) for it in people]
    pairs = [*group(place, 40), *about]
    async with place.client(OUTSIDER, max_connections=1) as client:
        run = client.check_many([about[0], *pairs], plan=Plan(page_cost=1, window_pairs=400))
        found = [
            it for it in await run.collect() if it.pair is not None and unknown in (it.pair.source, it.pair.target)
        ]
    assert len(found) == 41
    names = {it.via if isinstance(it, Checked) else type(it).__name__ for it in found}
    assert names == {"Rejected"} if version == "6.0" else names <= {"head", "list", "duplicate"}
    assert run.tally.via_list > 1_000
    assert sum(line.startswith("HEAD") for line in place.doors[-1].lines()) < 250


def test_a_slow_source_gets_its_first_outcome_after_seconds() -> None:
    place = Place(directory=LARGE)
    first: list[float] = []

    async def source() -> AsyncIterator[Pair]:
        for pair in group(place, 12):
            await anyio.sleep(0.4)
            yield pair

    async def main() -> None:
        async with place.client(OUTSIDER) as client:
            began = anyio.current_time()
            async with client.check_many(source(), plan=Plan(page_cost=1)) as run:
                async for _ in run:
                    first.append(anyio.current_time() - began)  # noqa: PERF401 # the time of each

    on_virtual_time(main)
    assert len(first) == 132
    assert first[0] < 7


def test_a_login_that_is_lost_after_the_end_of_the_source_ends_the_run() -> None:
    """Ten minutes after the last proof, another one is due; checks alone may not show that the login is lost."""
    place = Place(directory=LARGE)
    people = [place.person(number, "userid") for number in range(600)]
    pairs = [Pair(one, other) for one, other in zip(people[::2], people[1::2], strict=True)]
    proofs = 0

    class Losing(Door):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal proofs
            if request.method == "HEAD":
                await anyio.sleep(5)
            elif request.url.path.endswith("profileService.do"):
                proofs += 1
                if proofs > 1:
                    return refusal(401)
            return await super().handle_async_request(request)

    async def main() -> None:
        async with place.client(OUTSIDER, transport=Losing(place.server), max_connections=1) as client:
            run = client.check_many(pairs, plan=Plan(page_cost=1))
            found = await run.collect()
        assert isinstance(run.stopped, AuthenticationError)
        assert sum(isinstance(it, Checked) for it in found) < 200

    on_virtual_time(main)


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
