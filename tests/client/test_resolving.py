"""Looking up many people: repeated people once, several addresses in one request, and always the same outcomes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx
import pytest
from server import Door, Place, in_time

from aioconnections import (
    Client,
    ConnectionsError,
    Email,
    Failed,
    Identity,
    InvalidInputError,
    Person,
    Rejected,
    Resolved,
    ResolveOutcome,
    Unprocessed,
    Userid,
)
from aioconnections.records import identity_of
from aioconnections.reference import Directory, Fault

pytestmark = pytest.mark.anyio

LARGE = Directory.generate(people=1_500, seed=5)
COMPARED = 10
Send = Callable[[httpx.Request], Awaitable[httpx.Response]]
Alter = Callable[[httpx.Request, Send], Awaitable[httpx.Response]]


def named_in(line: str) -> int:
    """The number of e-mail addresses in a request for profiles; 0 for any other request."""
    url = urlsplit(line.partition(" ")[2])
    if not url.path.endswith("/profile.do"):
        return 0
    return sum(text.count(",") + 1 for text in parse_qs(url.query).get("email", ()))


class Altered(httpx.AsyncBaseTransport):
    """Sends requests for several people through `alter`."""

    def __init__(self, door: Door, alter: Alter) -> None:
        self.door = door
        self._alter = alter

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if named_in(f"GET {request.url}") < 2:
            return await self.door.handle_async_request(request)
        return await self._alter(request, self.door.handle_async_request)


def altered_client(place: Place, alter: Alter, **options: Any) -> tuple[Client, Door]:
    door = Door(place.server)
    return place.client(900, transport=Altered(door, alter), **options), door


def emails(place: Place, numbers: Iterable[int]) -> list[Identity]:
    return [place.person(number, "email") for number in numbers]


def strangers(count: int) -> list[Identity]:
    return [Email(f"nobody.{number}@example.com") for number in range(count)]


def shuffled(*groups: list[Identity]) -> list[Identity]:
    """The people of all groups, in turn."""
    rest = [list(group) for group in groups]
    people: list[Identity] = []
    while any(rest):
        people += [group.pop(0) for group in rest if group]
    return people


def answers(outcomes: Iterable[ResolveOutcome]) -> dict[int, Any]:
    """What was found for each item."""
    found: dict[int, Any] = {}
    for it in outcomes:
        assert it.index not in found
        found[it.index] = it.profile if isinstance(it, Resolved) else (type(it), str(it.as_dict()["error"]))
    return found


_KNOWN: dict[tuple[str, str, Any], Any] = {}


async def one_by_one(place: Place, people: list[Any], version: str = "6.0", emails_are: str = "exposed") -> Any:
    """What a request for each person says; each person is asked for once in all tests."""
    found: dict[int, Any] = {}
    async with place.client(900) as client:
        for index, person in enumerate(people):
            key = version, emails_are, person
            try:
                if key not in _KNOWN:
                    _KNOWN[key] = await client.profile(person)
            except ConnectionsError as error:
                kind = Failed if isinstance(error, InvalidInputError) else Rejected
                _KNOWN[key] = kind, f"{type(error).__name__}: {error}"
            found[index] = _KNOWN[key]
    return found


@pytest.mark.parametrize("per_request", [1, 50])
async def test_each_item_is_parsed_once(per_request: int, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[object] = []

    def parse(item: Any) -> Identity:
        parsed.append(item)
        return identity_of(item)

    monkeypatch.setattr("aioconnections.client.client.identity_of", parse)
    place = Place(directory=LARGE)
    people = [*emails(place, range(30)), *emails(place, range(3)), Userid("x"), "invalid"]
    async with place.client(900) as client:
        tally = await client.resolve_many(people, per_request=per_request).drain()  # type: ignore[arg-type] # an invalid one
    assert (tally.resolved, tally.failed) == (34, 1)
    assert len(parsed) == len(people)


@pytest.mark.parametrize("version", ["4.5", "5.0", "6.0"])
@pytest.mark.parametrize("connections", [1, 16])
@pytest.mark.parametrize("ordered", [True, False])
async def test_several_addresses_in_one_request(version: str, connections: int, *, ordered: bool) -> None:
    place = Place(directory=LARGE, version=version)
    people = shuffled(emails(place, range(120)), strangers(8))
    async with place.client(900, max_connections=connections) as client:
        run = client.resolve_many(people, per_request=32, ordered=ordered)
        found = await run.collect()
    lines = place.doors[0].lines()
    assert answers(found) == await one_by_one(place, people, version)
    assert not ordered or [it.index for it in found] == list(range(len(people)))
    assert all(isinstance(it, Resolved) and it.item is people[it.index] and it.person is it.item for it in found)
    batched = [it for it in found if isinstance(it, Resolved) and it.via == "batch"]
    assert len(batched) == 120 - COMPARED
    assert all(it.attempts == 1 and it.as_dict()["via"] == "batch" for it in batched)
    batches = [number for number in map(named_in, lines) if number > 1]
    assert sum(batches) == 128
    assert max(batches) == 32
    assert len(batches) == 4
    assert len(lines) == len(batches) + COMPARED + 8 + 1, "comparisons, strangers, and whether addresses are hidden"


@pytest.mark.parametrize("emails_are", ["exposed", "hidden"])
@pytest.mark.parametrize("version", ["4.5", "6.0"])
async def test_userids_keys_and_invalid_items_are_asked_for_one_by_one(version: str, emails_are: str) -> None:
    place = Place(directory=LARGE, version=version, emails=emails_are)
    kinds = [[place.person(number, kind) for number in range(25)] for kind in ("userid", "key", "email")]
    people: list[Any] = shuffled(*kinds, [Userid("no such"), Email("no.such@example.com")])
    people[7:7] = [InvalidInputError("line 8: bad"), "ann"]
    async with place.client(900) as client:
        found = await client.resolve_many(people, per_request=30).collect()
    lines = place.doors[0].lines()
    got, expected = answers(found), await one_by_one(place, people, version, emails_are)
    assert [got.pop(index)[0] for index in (7, 8)] == [Failed, Failed]
    del expected[7], expected[8]
    assert got == expected
    asked = [number for number in map(named_in, lines) if number]
    if emails_are == "hidden":
        assert asked == [asked[0]], "one refused request, and no address after it"
        assert asked[0] > 1
    else:
        assert sum(asked) == 26 + COMPARED + 1
        assert len(asked) < 15


@pytest.mark.parametrize("per_request", [1, 50])
@pytest.mark.parametrize("connections", [1, 16])
@pytest.mark.parametrize("ordered", [True, False])
async def test_repeated_people_are_asked_for_once(per_request: int, connections: int, *, ordered: bool) -> None:
    place = Place(directory=LARGE)
    ann, bob = place.person(1), place.person(2)
    loud = Email(str(ann.email).upper())
    nobody = Email("nobody@example.com")
    person = Person(name="other", userid=bob.userid)
    people: list[Any] = [ann.email, loud, bob.userid, ann.email, nobody, person, nobody, bob.email, bob.key]
    async with place.client(900, max_connections=connections) as client:
        found = await client.resolve_many(people, per_request=per_request, ordered=ordered).collect()
    assert sum("/profile.do?" in line for line in place.doors[0].lines()) == 5, "one for each of the five identities"
    found.sort(key=lambda it: it.index)
    assert answers(found) == await one_by_one(place, people)
    assert [it.item for it in found] == people
    assert [it.person for it in found] == [*people[:5], bob.userid, *people[6:]]
    assert str(found[1].person) == str(loud), "each outcome names the person as given"
    shared = {it.index: it.of for it in found if isinstance(it, Resolved) and it.via == "duplicate"}
    assert shared == {1: 0, 3: 0, 5: 2, 6: 4}
    assert all(it.attempts == (0 if it.index in shared else 1) for it in found)


async def test_userids_are_repeated_only_if_equal_in_every_character() -> None:
    place = Place(directory=LARGE)
    userid = next(str(it.userid) for it in LARGE.people if str(it.userid) != str(it.userid).lower())
    async with place.client(900) as client:
        one, other = await client.resolve_many([Userid(userid), Userid(userid.lower())], ordered=True).collect()
    assert isinstance(one, Resolved)
    assert isinstance(other, Resolved)
    assert (one.profile is None, other.profile, other.via) == (False, None, "single")


@pytest.mark.parametrize("per_request", [1, 50])
async def test_what_failed_is_tried_again_for_the_next_item(per_request: int) -> None:
    place = Place(directory=LARGE, faults=[Fault("refuse", operation="profile", status=500, times=2)])
    ann = place.person(1, "email")
    async with place.client(900, max_attempts=1) as client:
        found = await client.resolve_many([ann] * 5, per_request=per_request, ordered=True).collect()
    assert [type(it) for it in found] == [Failed, Failed, Resolved, Resolved, Resolved]
    assert [it.of for it in found if isinstance(it, Resolved)] == [None, 2, 2]


async def test_people_who_came_long_ago_are_asked_for_again() -> None:
    place = Place(directory=LARGE)
    people = [place.person(number % 1_100, "userid") for number in range(1_200)]
    near = [place.person(number % 900, "userid") for number in range(1_000)]
    for source, requests in ((people, 1_200), (near, 900)):
        async with place.client(900) as client:
            await client.resolve_many(source).drain()
        assert sum("/profile.do?" in line for line in place.doors[-1].lines()) == requests


async def _as_one_address(request: httpx.Request, send: Send) -> httpx.Response:
    """A server that takes the list for one address."""
    return await send(
        httpx.Request("GET", re.sub(r"(email=)[^&]*", r"\1nobody", str(request.url)), headers=request.headers)
    )


async def _refusing(request: httpx.Request, send: Send) -> httpx.Response:
    del request, send
    await anyio.lowlevel.checkpoint()
    return httpx.Response(414, headers={"content-type": "text/html"}, text="<html>URI too long</html>")


async def _login_page(request: httpx.Request, send: Send) -> httpx.Response:
    del request, send
    await anyio.lowlevel.checkpoint()
    return httpx.Response(200, headers={"content-type": "text/html"}, text="<html>Log in</html>")


async def _breaking(request: httpx.Request, send: Send) -> httpx.Response:
    del send
    await anyio.lowlevel.checkpoint()
    raise httpx.ReadError("gone", request=request)


async def _without_addresses(request: httpx.Request, send: Send) -> httpx.Response:
    response = await send(request)
    text = re.sub(r"<email>[^<]*</email>", "", (await response.aread()).decode())
    text = re.sub(r'(class="email"[^>]*>)[^<]*', r"\1", text)
    return httpx.Response(200, headers={"content-type": response.headers["content-type"]}, text=text)


USELESS = [_as_one_address, _refusing, _login_page, _breaking, _without_addresses]


@pytest.mark.parametrize("alter", USELESS)
async def test_a_server_that_knows_no_lists_of_addresses(alter: Alter) -> None:
    place = Place(directory=LARGE)
    people = emails(place, range(100))
    client, door = altered_client(place, alter)
    async with client:
        run = client.resolve_many(people, per_request=25)
        found = await run.collect()
    assert run.stopped is None
    assert {it.via for it in found if isinstance(it, Resolved)} == {"single"}
    lines = door.lines()
    assert sum(named_in(line) == 1 for line in lines) - (3 if alter is _as_one_address else 0) == 100
    assert answers(found) == await one_by_one(place, people)


def _entries(text: str) -> tuple[str, list[str], str]:
    parts = re.split(r"(?=<entry>)|(?=</feed>)", text)
    return parts[0], parts[1:-1], parts[-1]


def _changing(change: Callable[[list[str]], list[str]]) -> Alter:
    async def alter(request: httpx.Request, send: Send) -> httpx.Response:
        response = await send(request)
        head, entries, end = _entries((await response.aread()).decode())
        assert len(entries) > 1
        text = "".join([head, *change(entries), end])
        return httpx.Response(200, headers={"content-type": response.headers["content-type"]}, text=text)

    return alter


def _swapped_names(entries: list[str]) -> list[str]:
    """Profiles with the job title of the next person."""
    titles = [re.search(r'class="title">([^<]*)', it) for it in entries]
    assert all(titles)
    return [
        it.replace(f'class="title">{mine[1]}', f'class="title">{mine[1]}, not')  # type: ignore[index] # asserted above
        for it, mine in zip(entries, titles, strict=True)
    ]


async def test_profiles_belong_to_the_addresses_that_they_show_and_not_to_places_in_the_response() -> None:
    place = Place(directory=LARGE)
    people = emails(place, range(100))
    client, door = altered_client(place, _changing(lambda entries: entries[::-1]))
    async with client:
        found = await client.resolve_many(people, per_request=25).collect()
    assert len(door.lines()) <= 5 + COMPARED
    assert answers(found) == await one_by_one(place, people)


async def test_a_difference_ends_requests_for_several_people() -> None:
    place = Place(directory=LARGE)
    people = emails(place, range(100))
    client, door = altered_client(place, _changing(_swapped_names))
    async with client:
        found = await client.resolve_many(people, per_request=25).collect()
    lines = door.lines()
    assert sum(named_in(line) > 1 for line in lines) == 1
    assert sum(named_in(line) == 1 for line in lines) == 100
    assert {it.via for it in found if isinstance(it, Resolved)} == {"single"}
    assert answers(found) == await one_by_one(place, people)


@pytest.mark.parametrize(
    "change",
    [
        lambda entries: entries[::2],
        lambda entries: [entries[0].replace("example.", "other.example."), *entries[1:]],
        lambda entries: [entries[-1].replace("<name>", "<name>Not "), *entries],
        lambda entries: [
            re.sub(r"<div .*</div>", "<div><p class='fn'>&#0;", entries[0], flags=re.DOTALL),
            *entries[1:],
        ],
    ],
    ids=["left out", "an alias", "two people with one address", "not well-formed"],
)
async def test_a_person_whom_the_response_does_not_name_is_asked_for_alone(
    change: Callable[[list[str]], list[str]],
) -> None:
    place = Place(directory=LARGE)
    people = emails(place, range(100))
    client, door = altered_client(place, _changing(change))
    async with client:
        run = client.resolve_many(people, per_request=25)
        found = await run.collect()
    assert run.stopped is None
    assert answers(found) == await one_by_one(place, people)
    named = sum(isinstance(it, Resolved) and it.via == "batch" for it in found)
    assert sum(named_in(line) == 1 for line in door.lines()) == 100 - named


@pytest.mark.parametrize("count", [1, 5, 19])
async def test_a_few_people_are_asked_for_one_by_one(count: int) -> None:
    place = Place(directory=LARGE)
    people = emails(place, range(count))
    async with place.client(900) as client:
        await client.resolve_many(people, per_request=25).drain()
    assert [named_in(line) for line in place.doors[0].lines()] == [1] * count


async def test_comparisons_that_fail_are_replaced_by_others() -> None:
    place = Place(directory=LARGE)
    people = emails(place, range(100))
    first = [str(it).replace("@", "%40") for it in people[:4]]

    class Failing(Door):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if named_in(f"GET {request.url}") == 1 and any(it in str(request.url) for it in first):
                return httpx.Response(409, headers={"content-type": "text/xml"})
            return await super().handle_async_request(request)

    async with place.client(900, transport=Failing(place.server)) as client:
        found = await client.resolve_many(people, per_request=25, ordered=True).collect()
    assert [type(it) for it in found] == [Failed] * 4 + [Resolved] * 96
    assert sum(it.via == "single" for it in found if isinstance(it, Resolved)) == COMPARED


@pytest.mark.parametrize("connections", [1, 3])
async def test_a_run_that_is_left_accounts_for_every_item(connections: int) -> None:
    place = Place(directory=LARGE)
    people = shuffled(emails(place, range(100)), emails(place, range(0, 100, 3)))
    for count in (1, 30, 80):
        async with place.client(900, max_connections=connections) as client:
            run = client.resolve_many(people, per_request=20)
            async with run:
                seen = [await anext(run) for _ in range(count)]
        left = [*seen, *run.undelivered]
        assert sorted(it.index for it in left) == list(range(run.tally.read))
        assert all(isinstance(it, Resolved | Unprocessed) and it.item is people[it.index] for it in left)


@pytest.mark.parametrize("per_request", [1, 50])
async def test_a_person_who_was_asked_for_when_the_run_was_left(per_request: int) -> None:
    """The items that wait for the response about the same person have an outcome too."""
    place, asked = Place(directory=LARGE), anyio.Event()

    class Silent(Door):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if "/profile.do" not in str(request.url):
                return await super().handle_async_request(request)
            asked.set()
            await anyio.sleep_forever()
            raise AssertionError

    people = [place.person(1, "email")] * 3
    async with place.client(900, transport=Silent(place.server)) as client:
        run = client.resolve_many(people, per_request=per_request, ordered=True)
        async with run:
            await asked.wait()
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
    assert [type(it) for it in run.undelivered] == [Unprocessed] * run.tally.read
    assert run.tally.read == 3


def test_an_item_of_a_slow_source_does_not_wait_for_others() -> None:
    async def main() -> None:
        place = Place(directory=LARGE)
        people, delivered = emails(place, range(5)), anyio.Event()

        async def source() -> AsyncIterator[Identity]:
            nonlocal delivered
            for person in people:
                yield person
                await delivered.wait()
                delivered = anyio.Event()

        async with place.client(900) as client, client.resolve_many(source(), per_request=25) as outcomes:
            begun = anyio.current_time()
            async for outcome in outcomes:
                assert isinstance(outcome, Resolved)
                delivered.set()
            assert anyio.current_time() - begun < 0.5

    in_time(main)


def test_an_async_source_that_is_faster_than_the_server() -> None:
    class Slow(Door):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await anyio.sleep(0.1)
            return await super().handle_async_request(request)

    async def main() -> None:
        place = Place(directory=LARGE)
        people, door = emails(place, range(150)), Slow(place.server)

        async def source() -> AsyncIterator[Identity]:
            for person in people:
                yield person

        async with place.client(900, max_connections=2, transport=door) as client:
            found = await client.resolve_many(source(), per_request=25, ordered=True).collect()
        assert len(door.lines()) < 50
        assert answers(found) == await one_by_one(place, people)

    in_time(main)


async def test_no_request_for_nobody() -> None:
    async with Place().client(3) as client:
        with pytest.raises(InvalidInputError, match="per_request must be at least 1, got 0"):
            client.resolve_many([], per_request=0)
        assert await client.resolve_many([], per_request=25).collect() == []
