"""Checks with a plan in situations that once gave wrong outcomes, or lost some."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import permutations

import anyio
import httpx
import pytest
from doors import on_virtual_time
from server import Door, Place

from aioconnections import Checked, Pair, Plan, Rejected, Status, Userid
from aioconnections.reference import Directory, Fault

LARGE = Directory.generate(people=1_500, seed=5)
OUTSIDER = 900
PLAN = Plan(page_cost=1)


def group(place: Place, size: int, first: int = 0) -> list[Pair]:
    people = [place.person(number, "userid") for number in range(first, first + size)]
    return [Pair(one, other) for one, other in permutations(people, 2)]


def test_pairs_of_a_list_that_waits_are_accounted_for_when_the_run_is_left() -> None:
    """The next proof of the login is due, and its response does not come."""
    place = Place(directory=LARGE)

    async def source() -> AsyncIterator[Pair]:
        await anyio.sleep(700)
        place.server.faults = [Fault("stall", operation="service document")]
        for pair in group(place, 25):
            yield pair
        await anyio.sleep(10_000)

    async def main() -> None:
        async with place.client(OUTSIDER) as client:
            run = client.check_many(source(), plan=PLAN)
            found: list[int] = []
            with anyio.move_on_after(705):
                async with run:
                    found += [it.index async for it in run]
        found += [it.index for it in run.undelivered]
        assert sorted(found) == list(range(600))
        assert (run.tally.read, run.tally.in_flight) == (600, 0)

    on_virtual_time(main)


@pytest.mark.anyio
async def test_an_invitation_that_is_accepted_between_two_lists_is_in_one_of_them() -> None:
    number = max(range(1_500), key=lambda it: sum(1 for _ in LARGE.neighbours(LARGE.people[it])))
    place = Place(directory=LARGE)
    me = place.person(number, "userid")
    invited = [it.userid for it, status in LARGE.neighbours(LARGE.people[number]) if status != Status.ACCEPTED][:20]
    accepted = 0
    statuses: list[str] = []

    class Accepting(Door):
        """Lets the invitations be accepted after the first list was read, and before the next one."""

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal accepted
            status = request.url.params.get("status", "")
            if status and status not in statuses:
                statuses.append(status)
                if len(statuses) == 2:
                    async with place.client(None) as administrator:
                        for person in invited:
                            assert person is not None
                            accepted += 1
                            await administrator.admin.connect(me, person)
            return await super().handle_async_request(request)

    pairs = [Pair(me, place.person(other, "userid")) for other in range(1_500) if other != number]
    before = [place.status(pair.source, pair.target) for pair in pairs]
    async with place.client(number, transport=Accepting(place.server)) as client:
        run = client.check_many(pairs, plan=PLAN)
        found = await run.collect()
    assert accepted == len(invited) > 5
    assert run.tally.via_list > 1_000
    for it in found:
        assert isinstance(it, Checked)
        now = place.status(it.pair.source, it.pair.target)
        assert (it.status and str(it.status)) in (before[it.index], now)


@pytest.mark.anyio
@pytest.mark.parametrize("is_first", [True, False])
async def test_an_invitation_of_the_user_by_email_address_says_nothing_about_others(*, is_first: bool) -> None:
    place = Place(directory=LARGE)
    user = 7
    invited = next(it for it, status in LARGE.neighbours(LARGE.people[user]) if status != Status.ACCEPTED)
    assert invited.userid is not None
    own = Pair(place.person(user, "email"), invited.userid)
    others = group(place, 40, first=100)
    async with place.client(user) as client:
        run = client.check_many([own, *others] if is_first else [*others, own], plan=Plan(page_cost=1))
        found = await run.collect()
    assert (run.stopped, run.tally.doubtful) == (None, 0)
    assert run.tally.via_list > 1_000
    assert {it.status for it in found if isinstance(it, Checked) and it.pair == own} <= {
        Status.PENDING,
        Status.UNCONFIRMED,
    }


@pytest.mark.anyio
async def test_unknown_people_do_not_end_the_use_of_lists() -> None:
    place = Place(directory=LARGE)
    people = [*(Userid(f"left-{number}") for number in range(7)), *(place.person(it, "userid") for it in range(50))]
    async with place.client(OUTSIDER) as client:
        run = client.check_many([Pair(one, other) for one, other in permutations(people, 2)], plan=PLAN)
        found = await run.collect()
    assert run.tally.via_list > 2_000
    assert all(isinstance(it, Checked | Rejected) or str(it.pair).count("left-") for it in found), (
        "an unknown person is rejected"
    )
    for it in found:
        if isinstance(it, Checked) and "left-" not in str(it.pair):
            is_accepted = place.status(it.pair.source, it.pair.target) == Status.ACCEPTED
            assert (it.status is Status.ACCEPTED) is is_accepted


@pytest.mark.anyio
@pytest.mark.parametrize("version", ["4.5", "6.0"])
async def test_a_userid_in_another_case_is_another_person(version: str) -> None:
    place = Place(directory=LARGE, version=version)
    pairs = group(place, 100)
    colleague = next(
        it
        for it in pairs
        if place.status(it.source, it.target) == Status.ACCEPTED and it.target.value != it.target.value.swapcase()
    )
    variant = Pair(colleague.source, Userid(colleague.target.value.swapcase()))
    async with place.client(OUTSIDER) as client:
        found = await client.check_many([*pairs[:2_000], variant], plan=PLAN, ordered=True).collect()
    last = found[-1]
    assert isinstance(last, Rejected) or (isinstance(last, Checked) and last.status is None)
    assert getattr(last, "via", "head") == "head"
