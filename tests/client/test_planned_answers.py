"""Checks with a plan that share the response to one check: equal pairs, and the same people the other way round."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from doors import refusal
from server import Door, Place

from aioconnections import Checked, CheckOutcome, Journal, Pair, Plan, Rejected, Status, Userid
from aioconnections.reference import Directory

pytestmark = pytest.mark.anyio

LARGE = Directory.generate(people=1_500, seed=5)
OUTSIDER = 900
SMALL = Plan(page_cost=100, window_pairs=10)  # no list is read for so few pairs of each person


def couples(place: Place, count: int, wanted: Callable[[str | None], bool] = bool) -> list[Pair]:
    """Pairs of people of whom each is in one pair."""
    found: list[Pair] = []
    used = {place.person(OUTSIDER, "userid")}
    for one in LARGE.people:
        others = (it.userid for it, status in LARGE.neighbours(one) if it.userid not in used and wanted(str(status)))
        other = None if one.userid in used else next(others, None)
        if one.userid is not None and other is not None and len(found) < count:
            used |= {one.userid, other}
            found.append(Pair(one.userid, other))
    assert len(found) == count
    return found


def both_ways(pairs: list[Pair]) -> list[Pair]:
    return [pair for it in pairs for pair in (it, Pair(it.target, it.source))]


def heads(place: Place) -> int:
    lines = place.doors[-1].lines()
    assert all(line.startswith("HEAD") for line in lines)
    return len(lines)


def assert_true(place: Place, found: list[CheckOutcome], user: int | None) -> None:
    assert sorted(it.index for it in found) == list(range(len(found)))
    for it in found:
        assert isinstance(it, Checked)
        status = place.status(it.pair.source, it.pair.target)
        visible = status if user is None or status == Status.ACCEPTED else None
        assert (it.status and str(it.status)) == visible


@pytest.mark.parametrize("connections", [1, 16])
async def test_equal_pairs_of_the_whole_run_are_asked_once(connections: int) -> None:
    place = Place(directory=LARGE)
    pairs = couples(place, 100)
    async with place.client(None, max_connections=connections) as client:
        run = client.check_many([*pairs, *pairs[::-1], *pairs], plan=SMALL)
        found = await run.collect()
    assert heads(place) == 100
    assert_true(place, found, None)
    assert {it.index: it.of for it in found if isinstance(it, Checked) and it.via == "duplicate"} == {
        **{100 + number: 99 - number for number in range(100)},
        **{200 + number: number for number in range(100)},
    }
    assert (run.tally.via_duplicate, run.tally.checked) == (200, 300)


async def test_what_is_no_answer_is_asked_again() -> None:
    place = Place(directory=LARGE)
    unknown = Pair(Userid("left-1"), place.person(3, "userid"))
    async with place.client(OUTSIDER) as client:
        found = await client.check_many([unknown, *couples(place, 60), unknown, unknown], plan=SMALL).collect()
    assert sum(isinstance(it, Rejected) for it in found) == 3
    assert heads(place) == 62, "the last two wait together"


@pytest.mark.parametrize("user", [None, OUTSIDER])
@pytest.mark.parametrize("connections", [1, 8])
async def test_both_ways_are_asked_until_the_server_has_shown_that_they_agree(
    user: int | None, connections: int
) -> None:
    place = Place(directory=LARGE)
    pairs = both_ways(couples(place, 450))
    async with place.client(user, max_connections=connections) as client:
        run = client.check_many(pairs, plan=SMALL, ordered=True)
        found = await run.collect()
    assert_true(place, found, user)
    assert 750 <= heads(place) <= 750 + connections
    shared = [it for it in found if isinstance(it, Checked) and it.via == "duplicate"]
    assert len(shared) >= 150 - connections
    assert min(it.index for it in shared) >= 600 - 2 * connections
    for it in shared:
        assert it.of is not None
        first = found[it.of]
        assert isinstance(first, Checked)
        assert first.via == "head"
        assert (first.pair.source, first.pair.target) == (it.pair.target, it.pair.source)
        assert it.attempts == 0


async def test_both_ways_are_always_asked_of_a_server_that_shows_them_differently() -> None:
    place = Place(directory=LARGE)
    pairs = both_ways(couples(place, 400, lambda it: it == Status.ACCEPTED))
    hidden = pairs[41]

    class OneSided(Door):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await super().handle_async_request(request)
            is_hidden = request.url.params.get("sourceUserid") == hidden.source.value
            return refusal(404) if is_hidden else response

    async with place.client(OUTSIDER, transport=OneSided(place.server)) as client:
        run = client.check_many(pairs, plan=SMALL)
        found = await run.collect()
    assert {it.via for it in found if isinstance(it, Checked)} == {"head"}
    assert [it.index for it in found if isinstance(it, Checked) and it.status is None] == [41]


@pytest.mark.parametrize("fails", [True, False])
async def test_a_pair_that_waits_for_the_other_way_round_is_asked_if_that_fails(*, fails: bool) -> None:
    place = Place(directory=LARGE)
    proof, last = both_ways(couples(place, 350)), couples(place, 351)[-1]

    class Failing(Door):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await super().handle_async_request(request)
            is_last = request.url.params.get("sourceUserid") == last.source.value
            return refusal(400) if is_last and fails else response

    door = Failing(place.server)
    async with place.client(OUTSIDER, transport=door, max_connections=2) as client:
        run = client.check_many([*proof, *both_ways([last])], plan=SMALL, ordered=True)
        *_, one, other = await run.collect()
    assert isinstance(one, Rejected) is fails
    assert isinstance(other, Checked)
    assert other.via == ("head" if fails else "duplicate")
    assert (other.status == Status.ACCEPTED) is (place.status(last.target, last.source) == Status.ACCEPTED)


async def test_a_run_with_a_journal_shares_only_what_it_has_asked_itself(tmp_path: Path) -> None:
    place = Place(directory=LARGE)
    absent = couples(place, 40, lambda it: it != Status.ACCEPTED)
    present = couples(place, 40, lambda it: it == Status.ACCEPTED)
    pairs = [*absent, *present, *absent, *present]
    path = tmp_path / "run.sqlite"
    runs: list[list[CheckOutcome]] = []
    asked: list[int] = []
    for count in (140, None, None):
        async with place.client(OUTSIDER) as client:
            run = client.check_many(pairs, plan=SMALL, journal=Journal(path, max_age=math.inf))
            async with run:
                runs.append([it async for it in run] if count is None else [await anext(run) for _ in range(count)])
            runs[-1] += run.undelivered
        asked.append(heads(place))
    assert asked[0] == 80
    unread = len(pairs) - len(runs[0])
    again = asked[1] - unread
    assert 0 < again <= 40, "that two people are not connected is asked again until a run is finished"
    assert asked[2] == 0
    for found in runs[1:]:
        assert_true(place, found, OUTSIDER)
    assert all(it.replayed for it in runs[2])
