"""Looking up people whom lists have named: no request for them, once some were compared."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from attrs import evolve
from server import Place

from aioconnections import (
    Connection,
    Email,
    InvalidInputError,
    Key,
    Listed,
    Person,
    Profile,
    Resolved,
    ResolveOutcome,
    Userid,
)
from aioconnections.reference import Directory, Fault

pytestmark = pytest.mark.anyio

LARGE = Directory.generate(people=400, seed=5)
COMPARED = 10


async def lists(place: Place, numbers: range = range(20)) -> list[Listed]:
    """The lists of some people, as the administrator reads them."""
    async with place.client(399) as client:
        outcomes = await client.colleagues_many([place.person(number) for number in numbers]).collect()
    assert all(isinstance(it, Listed) for it in outcomes)
    return [it for it in outcomes if isinstance(it, Listed)]


def targets(found: list[Listed]) -> list[Person]:
    """Each colleague in the lists, once."""
    people = {it.target.userid: it.target for listed in found for it in listed.connections}
    return [it for it in people.values() if it.userid is not None]


def resolved(outcomes: list[ResolveOutcome]) -> list[Resolved]:
    found = [it for it in outcomes if isinstance(it, Resolved)]
    assert found == outcomes
    return found


def names(found: list[Resolved]) -> list[str | None]:
    return [it.profile.person.name if it.profile else None for it in found]


@pytest.mark.parametrize("version", ["4.5", "5.0", "6.0"])
@pytest.mark.parametrize("per_request", [1, 50])
@pytest.mark.parametrize("connections", [1, 8])
async def test_people_in_lists_are_not_asked_for(version: str, per_request: int, connections: int) -> None:
    place = Place(directory=LARGE, version=version)
    listed = await lists(place)
    people = targets(listed)
    assert len(people) > 100
    async with place.client(399, max_connections=connections) as client:
        run = client.resolve_many(people, listed=listed, per_request=per_request, ordered=True)
        found = resolved(await run.collect())
    requests = sum("/profile.do?" in line for line in place.doors[-1].lines())
    assert COMPARED <= requests < COMPARED + connections
    assert names(found) == [it.name for it in people]
    assert [it.profile.person.userid for it in found if it.profile] == [it.userid for it in people]
    assert [it.as_dict()["name"] for it in found] == [it.name for it in people]
    asked = [it for it in found if it.via == "single"]
    assert len(asked) == requests
    assert all(it.via == "list" and it.attempts == 0 for it in found[-50:])
    assert found[-1].profile == Profile(people[-1]), "nothing but the person"


@pytest.mark.parametrize("kind", ["userid", "email"])
@pytest.mark.parametrize("per_request", [1, 50])
async def test_each_identity_that_a_list_shows_counts(kind: Any, per_request: int) -> None:
    place = Place(directory=LARGE)
    people = targets(await lists(place))
    known = [getattr(it, kind) for it in people]
    assert len(known) > 100
    assert None not in known
    async with place.client(399, max_connections=1) as client:
        found = resolved(
            await client.resolve_many(known, listed=people, per_request=per_request, ordered=True).collect()
        )
    assert {it.via for it in found[COMPARED:]} <= {"list"}
    assert [it.person for it in found] == known


async def test_connections_and_people_may_be_mixed_and_a_repeated_person_is_a_duplicate() -> None:
    place = Place(directory=LARGE)
    listed = await lists(place)
    mixed: list[Person | Connection | Listed] = [*listed[:5], *listed[5].connections, *targets(listed[6:])]
    people = targets(listed)[:30]
    async with place.client(399, max_connections=1) as client:
        found = resolved(await client.resolve_many([*people, *people], listed=mixed, ordered=True).collect())
    assert [it.via for it in found] == ["single"] * COMPARED + ["list"] * 20 + ["duplicate"] * 30


@pytest.mark.parametrize("per_request", [1, 50])
@pytest.mark.parametrize("late", [False, True])
async def test_after_a_difference_lists_are_not_used(
    per_request: int, caplog: pytest.LogCaptureFixture, *, late: bool
) -> None:
    place = Place(directory=LARGE)
    people = targets(await lists(place))[:40]
    changed = [evolve(people[0], name="Old Name"), *people[1:]]
    order = [*people[1:6], people[0], *people[6:]] if late else people
    with caplog.at_level(logging.WARNING):
        async with place.client(399, max_connections=1) as client:
            found = resolved(
                await client.resolve_many(order, listed=changed, per_request=per_request, ordered=True).collect()
            )
    assert all(it.via == "single" for it in found)
    assert names(found) == [it.name for it in order]
    assert caplog.text.count("a profile is different from what a list says") == 1


async def test_a_person_whom_the_directory_does_not_know_is_a_difference() -> None:
    place = Place(directory=LARGE)
    people = targets(await lists(place))[:40]
    gone = Person(name="Gone Long Ago", userid=Userid("gone"))
    async with place.client(399, max_connections=1) as client:
        found = resolved(await client.resolve_many([gone, *people], listed=[gone, *people], ordered=True).collect())
    assert found[0].profile is None
    assert all(it.via == "single" for it in found)


async def test_failed_requests_compare_nothing() -> None:
    place = Place(directory=LARGE, faults=[Fault("refuse", operation="profile", status=500, times=5)])
    people = targets(await lists(place))[:40]
    async with place.client(399, max_connections=1, max_attempts=1) as client:
        found = await client.resolve_many(people, listed=people, ordered=True).collect()
    assert [getattr(it, "via", "failed") for it in found] == ["failed"] * 5 + ["single"] * COMPARED + ["list"] * 25


async def test_people_whom_lists_describe_differently_or_without_a_name_are_asked_for() -> None:
    place = Place(directory=LARGE)
    people = targets(await lists(place))[:40]
    two_names = evolve(people[20], name="Another Name")
    nameless = evolve(people[21], name=None)
    shared = [
        evolve(people[22], email=Email("shared@example.com")),
        evolve(people[23], email=Email("SHARED@example.com")),
    ]
    key_only = Person(name="No Userid", key=Key("some-key"))
    listed = [*people[:21], two_names, nameless, *shared, key_only, *people[24:]]
    asked: list[Person | Email | Key] = [*people, Email("shared@example.com"), Key("some-key")]
    async with place.client(399, max_connections=1) as client:
        found = resolved(await client.resolve_many(asked, listed=listed, ordered=True).collect())
    alone = [it.index for it in found if it.via == "single"]
    assert alone == [*range(COMPARED), 20, 21, 40, 41]
    assert [it.profile for it in found[40:]] == [None, None]


@pytest.mark.parametrize("wrong", [7, None, [7], ["ann@example.com"], [Userid("ann")]])
async def test_what_is_no_list_is_refused(wrong: Any) -> None:
    async with Place(directory=LARGE).client(399) as client:
        with pytest.raises(InvalidInputError, match="listed"):
            client.resolve_many([], listed=wrong)
