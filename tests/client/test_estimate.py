"""Estimates of the requests of a run, compared with the requests that the server gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import permutations, product
from typing import TypeAlias

import pytest
from server import Place

from aioconnections import Identity, Pair, Plan
from aioconnections.policy.estimate import Estimate, Estimator
from aioconnections.reference import Directory

pytestmark = pytest.mark.anyio

LARGE = Directory.generate(people=1_500, seed=5)
PLAN = Plan(page_cost=1)
POPULAR = max(range(100), key=lambda it: sum(1 for _ in LARGE.neighbours(LARGE.people[it])))
FACTOR = 1.25  # by which the requests of a run may differ from the estimate

Person: TypeAlias = Callable[[int], Identity]
People: TypeAlias = Iterable[tuple[Identity, Identity]]
Job: TypeAlias = Callable[[Person], People]


def estimate(pairs: Iterable[Pair]) -> Estimate:
    estimator = Estimator(PLAN, 1.0)
    for pair in pairs:
        estimator.add(pair.source, pair.target)
    return estimator.end()


def requests(place: Place) -> int:
    """The number of requests of the last client; the log leaves out the one that proves the login."""
    return len(place.doors[-1].lines()) + 1


def group(person: Person) -> People:
    return permutations(map(person, range(40)), 2)


def same_targets(person: Person) -> People:
    return product(map(person, range(100, 160)), map(person, range(20)))


def own_targets(person: Person) -> People:
    return ((person(one), person(100 + 60 * one + other)) for one in range(20) for other in range(60))


def one_source(person: Person) -> People:
    return ((person(POPULAR), person(other)) for other in range(850) if other != POPULAR)


def once_each(person: Person) -> People:
    return ((person(one), person(one + 400)) for one in range(400))


def repeated(person: Person) -> People:
    return [*once_each(person)] * 2


JOBS = [group, same_targets, own_targets, one_source, once_each, repeated]


@pytest.mark.parametrize("kind", ["userid", pytest.param("email", marks=pytest.mark.slow)])
@pytest.mark.parametrize("job", JOBS)
async def test_a_plan_takes_about_as_many_requests_as_estimated(job: Job, kind: str) -> None:
    place = Place(directory=LARGE)
    pairs = [Pair(*pair) for pair in job(lambda number: place.person(number, kind))]
    expected = estimate(pairs)
    async with place.client(1_499, max_connections=16) as client:
        tally = await client.check_many(pairs, plan=PLAN).drain()
    assert tally.checked == len(pairs)
    sent = requests(place)
    assert sent / FACTOR <= expected.auto <= sent * FACTOR
    assert (tally.via_list > 0) is (expected.lists > 0) or kind == "email"


async def test_for_an_administrator_invitations_come_on_top() -> None:
    place = Place(directory=LARGE)
    pairs = [Pair(*pair) for pair in group(lambda number: place.person(number, "userid"))]
    expected = estimate(pairs)
    async with place.client(None, max_connections=16) as client:
        await client.check_many(pairs, plan=PLAN).drain()
    sent = requests(place)
    assert expected.auto / FACTOR <= sent <= (expected.auto + 2 * expected.lists) * FACTOR


@pytest.mark.parametrize("job", [group, once_each, repeated])
async def test_without_a_plan_the_estimate_is_exact(job: Job) -> None:
    place = Place(directory=LARGE)
    pairs = [Pair(*pair) for pair in job(lambda number: place.person(number, "userid"))]
    async with place.client(1_499) as client:
        await client.check_many(pairs).drain()
    assert requests(place) == estimate(pairs).head
