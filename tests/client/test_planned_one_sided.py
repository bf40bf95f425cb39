"""Checks with a plan of a few people with many others, where only the lists of the few answer pairs."""

from __future__ import annotations

from itertools import product
from typing import Any

import httpx
import pytest
from backends import asyncio_and_in_full_trio
from doors import refusal
from server import Door, Place

from aioconnections import Checked, CheckOutcome, InconsistentListsError, Outcomes, Pair, Plan, Status
from aioconnections.reference import Directory

pytestmark = [pytest.mark.anyio, pytest.mark.slow, asyncio_and_in_full_trio]

LARGE = Directory.generate(people=1_500, seed=5)
OUTSIDER = 1_499
POPULAR = max(range(300), key=lambda it: sum(1 for _ in LARGE.neighbours(LARGE.people[it])))
JOBS = {
    "5 x 200": product(range(5), range(5, 205)),
    "200 x 5": product(range(5, 205), range(5)),
    "1 x 1,000": ((POPULAR, it) for it in range(1_000) if it != POPULAR),
    "300 x 10": product(range(10, 310), range(10)),
}
NUMBERS = {name: [*numbers] for name, numbers in JOBS.items()}
OMISSIONS: list[dict[str, Any]] = [{"lists_omit": 0.02}, {"lists_omit": 0.1}, {"lists_omit_inactive": True}]


class RefusingOthers(Door):
    """Refuses the lists of all people but a few, who are given by number."""

    def __init__(self, place: Place, few: range) -> None:
        super().__init__(place.server)
        self._few = {place.person(it, "userid").value for it in few}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        is_list = request.url.path.endswith("/connections.do")
        if is_list and request.url.params["userid"] not in self._few:
            return refusal(403)
        return await super().handle_async_request(request)


def pairs_of(place: Place, job: str) -> list[Pair]:
    return [Pair(place.person(one, "userid"), place.person(other, "userid")) for one, other in NUMBERS[job]]


async def checked(
    place: Place, pairs: list[Pair], user: int | None = OUTSIDER, door: Door | None = None
) -> tuple[Outcomes[CheckOutcome], list[Checked], int]:
    """The run, its outcomes, and the number of requests."""
    async with place.client(user) if door is None else place.client(user, transport=door) as client:
        run = client.check_many(pairs, plan=Plan(page_cost=1))
        found = [it for it in await run.collect() if isinstance(it, Checked)]
        sent = client.stats().attempts
    assert sorted(it.index for it in found) == list(range(len(pairs)))
    return run, found, sent


def wrong(place: Place, outcomes: list[Checked], user: int | None = OUTSIDER) -> list[Checked]:
    """The outcomes that differ from what a check says."""
    visible = ("accepted",) if user is not None else ("accepted", "pending", "unconfirmed")
    found: list[Checked] = []
    for it in outcomes:
        status = place.status(it.pair.source, it.pair.target)
        if (it.status and str(it.status)) != (status if status in visible else None):
            found.append(it)
    return found


@pytest.mark.parametrize("job", NUMBERS)
@pytest.mark.parametrize("omission", OMISSIONS, ids=str)
async def test_what_lists_leave_out_is_found_out_before_anything_is_concluded(
    job: str, omission: dict[str, Any]
) -> None:
    for seed in range(3):
        place = Place(directory=LARGE, fault_seed=seed, **omission)
        run, outcomes, _ = await checked(place, pairs_of(place, job))
        assert wrong(place, outcomes) == []
        assert run.tally.via_list < len(outcomes) / 2, "the lists are found out"
        assert run.stopped is None or isinstance(run.stopped, InconsistentListsError)


@pytest.mark.parametrize("job", NUMBERS)
async def test_reliable_lists_save_most_requests(job: str) -> None:
    place = Place(directory=LARGE)
    pairs = pairs_of(place, job)
    run, outcomes, sent = await checked(place, pairs)
    assert wrong(place, outcomes) == []
    assert (run.stopped, run.tally.doubtful) == (None, 0)
    assert sent < 30 + 150 + 20 + 200, "lists of the few, checks, invitations, and lists of the others"
    assert run.tally.via_list > len(pairs) - 160


@pytest.mark.parametrize("switches", [{}, {"lists_omit": 0.02}, {"lists_omit_pending": True}], ids=str)
async def test_to_an_administrator_invitations_count_as_well(switches: dict[str, Any]) -> None:
    place = Place(directory=LARGE, **switches)
    pairs = pairs_of(place, "300 x 10")
    run, outcomes, _ = await checked(place, pairs, user=None)
    assert wrong(place, outcomes, user=None) == []
    assert (run.tally.via_list > len(pairs) / 2) is (not switches)


@pytest.mark.parametrize("omission", [{}, {"lists_omit": 0.1}, {"lists_omit_inactive": True}], ids=str)
async def test_without_lists_of_others_people_who_are_in_no_list_are_checked(omission: dict[str, Any]) -> None:
    place = Place(directory=LARGE, **omission)
    run, outcomes, sent = await checked(place, pairs_of(place, "300 x 10"), door=RefusingOthers(place, range(10)))
    assert (run.stopped, wrong(place, outcomes)) == (None, [])
    assert {it.via for it in outcomes if it.status is None} == {"head"}
    assert {it.via for it in outcomes if it.status is Status.ACCEPTED} >= ({"list"} if not omission else set())
    assert sent < len(outcomes) + 50 + 20 + 150, "people in lists, lists of the few, and those that are refused"


@pytest.mark.parametrize("omission", [{}, {"lists_omit": 0.1}], ids=str)
async def test_the_pairs_of_the_user(omission: dict[str, Any]) -> None:
    place = Place(directory=LARGE, **omission)
    run, outcomes, _ = await checked(place, pairs_of(place, "1 x 1,000"), user=POPULAR)
    assert wrong(place, outcomes, user=None) == []
    assert (run.tally.via_list > 800) is (not omission)
