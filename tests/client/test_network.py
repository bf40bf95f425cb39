"""The connections within a group: every edge once, and each member whose list is missing reported."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import pytest
from doors import client_of
from server import Place

from aioconnections import (
    AuthenticationError,
    Edge,
    Email,
    Failed,
    InvalidInputError,
    Journal,
    Key,
    ListOutcome,
    Person,
    PersonLike,
    Progress,
    Rejected,
    Status,
    Unprocessed,
    UsageError,
    Userid,
)
from aioconnections.reference import Directory

pytestmark = pytest.mark.anyio

VERSIONS = ("4.5", "5.0", "6.0")
KINDS = ("userid", "key", "email")


def truth(place: Place, count: int) -> list[tuple[int, int]]:
    """The accepted pairs among the first `count` people."""
    person = place.person
    return [
        (one, other)
        for one, other in combinations(range(count), 2)
        if place.status(person(one), person(other)) == Status.ACCEPTED
    ]


def numbers(place: Place, edges: list[Edge]) -> list[tuple[int, int]]:
    index = {
        identity: number
        for number, it in enumerate(place.directory.people)
        for identity in (it.userid, it.key, it.email)
        if identity is not None
    }
    return [(index[edge.source], index[edge.target]) for edge in edges]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("emails", ["exposed", "hidden"])
@pytest.mark.parametrize("user", [None, 0, 50])
async def test_every_edge_of_a_group_is_found_once_with_one_list_per_person(
    version: str, emails: str, user: int | None
) -> None:
    place = Place(version=version, emails=emails)
    kinds = KINDS if emails == "exposed" else KINDS[:2]
    group = [place.person(number, kinds[number % len(kinds)]) for number in range(24)]
    async with place.client(user) as client:
        network = client.network(group)
        edges = await network.collect()
    assert numbers(place, edges) == truth(place, 24)
    assert {(edge.status, edge.seen_from, edge.disputed) for edge in edges} == {(Status.ACCEPTED, "both", False)}
    assert all(edge.updated is not None for edge in edges)
    assert network.edges == tuple(edges)
    assert len(place.doors[-1].lines()) == 24, "all pairs would take 276 requests"
    assert network.problems == ()
    assert [member.identity for member in network.members] == group
    assert all(member.is_recognizable and member.same_as is None for member in network.members)
    assert [member.person.name for member in network.members] == [it.name for it in place.directory.people[:24]]
    assert (network.tally.read, network.tally.listed, network.stopped) == (24, 24, None)


async def test_a_large_group_takes_as_many_requests_as_its_lists_have_pages() -> None:
    place = Place(directory=Directory.generate(people=400, seed=5), max_ps=20)
    async with place.client(None) as client:
        network = client.network(place.directory.people[:100])
        edges = await network.collect()
    assert numbers(place, edges) == truth(place, 100)
    sizes = [member.connections for member in network.members]
    assert len(place.doors[-1].lines()) == sum(-(-(size or 1) // 20) for size in sizes)


async def test_a_network_is_read_by_async_for_from_any_source() -> None:
    place = Place()

    async def source() -> AsyncIterator[PersonLike]:
        for person in place.directory.people[:8]:
            yield person

    seen: list[Progress] = []
    outcomes: list[ListOutcome] = []
    async with place.client(None) as client:
        found = [edge async for edge in client.network(source(), on_progress=seen.append)]
        assert seen[-1].tally.listed == 8
        async with client.network(iter(place.directory.people[:8])) as network:
            assert [edge async for edge in network] == found
        assert await client.network([]).collect() == []
        group: list[Any] = [*place.directory.people[:8], "nobody"]
        again = client.network(group)
        await again.read(outcomes.append)
        assert [*again.edges] == found
    assert sorted((it.index, it.kind) for it in outcomes) == [*((n, "listed") for n in range(8)), (8, "failed")]
    assert numbers(place, found) == truth(place, 8)
    assert repr(network) == f"Network(8 members, {len(found)} edges)"


async def test_a_network_can_be_left_early_and_is_read_once() -> None:
    place = Place()
    async with place.client(None) as client:
        network = client.network(place.directory.people[:8])
        async for edge in network:
            assert edge == network.edges[0]
            break
        rest = [edge async for edge in network]
        assert [network.edges[0], *rest] == list(network.edges)
        with pytest.raises(UsageError, match="read only once"):
            await network.read()


@pytest.mark.parametrize("people", ["a@example.com", b"a", 3, None])
async def test_what_is_no_group_is_refused_at_once(people: Any) -> None:
    async with Place().client(None) as client:
        with pytest.raises(InvalidInputError, match="people must be an iterable or an async iterable"):
            client.network(people)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_person_without_a_list_is_reported_and_the_other_lists_still_show_edges(version: str) -> None:
    place = Place(version=version)
    group: list[Any] = [place.person(n, "userid") for n in range(8)]
    group[2:2] = [Userid("no-one"), Person(name="Ann"), Email("nobody@example.com")]
    async with place.client(None) as client:
        network = client.network(group)
        edges = await network.collect()
    assert numbers(place, edges) == truth(place, 8)
    problems = {member.index: type(member.problem) for member in network.problems}
    assert problems == {2: Rejected, 3: Failed, 4: Rejected}
    assert [member.identity for member in network.problems] == [Userid("no-one"), None, Email("nobody@example.com")]
    assert network.members[2].connections is None


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_group_by_e_mail_address_on_a_server_that_hides_them_has_only_problems(version: str) -> None:
    place = Place(version=version, emails="hidden")
    async with place.client(None) as client:
        network = client.network([place.person(n, "email") for n in range(4)])
        assert await network.collect() == []
    assert len(network.problems) == 4
    assert all("hides e-mail addresses" in str(member.problem) for member in network.problems)


async def test_an_edge_to_someone_whose_list_fails_is_seen_from_one_side() -> None:
    place = Place()
    broken = str(place.person(0).userid)

    class Refusing(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.params.get("userid") == broken:
                return httpx.Response(403, headers={"content-type": "text/xml;charset=UTF-8"}, content=b"<error/>")
            return await door.handle_async_request(request)

    place.client(None)
    door = place.doors[-1]
    async with client_of(Refusing(), auth=("admin", "secret")) as client:
        network = client.network(place.directory.people[:8])
        edges = await network.collect()
    assert numbers(place, edges) == truth(place, 8)
    for edge, (one, _) in zip(edges, truth(place, 8), strict=True):
        assert (edge.seen_from, edge.disputed) == ("one" if one == 0 else "both", False)
    assert [member.index for member in network.problems] == [0]


async def test_two_lists_that_disagree_make_a_disputed_edge() -> None:
    place = Place(directory=Directory.generate(people=16, seed=4))
    one, other = truth(place, 16)[0]
    people = [place.person(one), place.person(other)]

    class Separating(httpx.AsyncBaseTransport):
        """Ends the connection after the list of the first was read."""

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.params.get("userid") == str(people[1].userid):
                async with place.client(None) as admin:
                    await admin.admin.disconnect(*people)
            return await door.handle_async_request(request)

    place.client(None)
    door = place.doors[-1]
    async with client_of(Separating(), auth=("admin", "secret"), max_connections=1) as client:
        (edge,) = await client.network(people).collect()
    assert (edge.source, edge.target) == (people[0].userid, people[1].userid)
    assert (edge.seen_from, edge.disputed) == ("one", True)


async def test_one_person_by_two_identities_is_one_member() -> None:
    place = Place()
    group = [place.person(n, "email") for n in range(6)]
    group += [place.person(2, "key"), Email(str(group[0]).upper())]
    async with place.client(None) as client:
        network = client.network(group)
        edges = await network.collect()
    assert numbers(place, edges) == truth(place, 6)
    assert [member.same_as for member in network.members] == [None] * 6 + [2, 0]
    assert network.problems == ()
    assert network.tally.duplicate == 1


async def test_a_member_of_whom_only_the_key_is_known_is_said_to_be_unrecognizable() -> None:
    place = Place(version="6.0")
    async with place.client(None) as client:
        network = client.network([Key("none"), place.person(0, "userid")])
        await network.collect()
    assert [member.is_recognizable for member in network.members] == [False, True]


async def test_a_run_that_stops_raises_after_what_is_known(tmp_path: Path) -> None:
    place = Place()
    people = place.directory.people[:6]
    path = tmp_path / "network.sqlite"
    async with place.client(0) as client:
        await client.network(people[:3], journal=Journal(path)).collect()
    async with place.client(0, auth=(str(place.person(0).userid), "wrong")) as client:
        network = client.network(people, journal=Journal(path))
        with pytest.raises(AuthenticationError):
            await network.collect()
    assert isinstance(network.stopped, AuthenticationError)
    assert len(network.members) == 6
    assert {type(member.problem) for member in network.problems} <= {Unprocessed, Failed}
    assert network.problems


async def test_a_network_goes_on_from_the_journal_of_an_earlier_run(tmp_path: Path) -> None:
    place = Place()
    people = [place.person(n, "email") for n in range(12)]
    path = tmp_path / "network.sqlite"
    async with place.client(None, max_connections=2) as client:
        async with client.colleagues_many(people, journal=Journal(path)) as run:
            for _ in range(4):
                await anext(run)
        place.doors[-1].lines()
        done = run.tally.listed
        network = client.network(people, journal=Journal(path))
        edges = await network.collect()
        assert len(place.doors[-1].lines()) == 12 - done
    assert numbers(place, edges) == truth(place, 12)
    assert {edge.seen_from for edge in edges} == {"both"}
