"""Checks with a plan: fewer requests, and every outcome is what a check says."""

from __future__ import annotations

import math
import random
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import permutations, product
from pathlib import Path
from typing import Any

import anyio
import pytest
from server import Place

from aioconnections import (
    Checked,
    CheckOutcome,
    Failed,
    Identity,
    InvalidInputError,
    Journal,
    Outcomes,
    Pair,
    PairLike,
    Plan,
    Rejected,
    Status,
    Tally,
    Unprocessed,
    UsageError,
    Userid,
)
from aioconnections.policy.read_lists import ReadLists
from aioconnections.reference import Directory

pytestmark = pytest.mark.anyio

LARGE = Directory.generate(people=1_500, seed=5)
PLAN = Plan(page_cost=1)
LARGE_GROUP = pytest.param("6.0", 150, marks=pytest.mark.full)


def truth(place: Place, pair: Pair, user: int | None) -> Status | None:
    """What a check says of a pair to person `user`, or to the administrator."""
    one, other = place.directory.find(pair.source), place.directory.find(pair.target)
    assert one is not None
    assert other is not None
    status = place.status(one, other)
    is_visible = status == Status.ACCEPTED or user is None or place.person(user) in (one, other)
    return Status(status) if status is not None and is_visible else None


def statuses(outcomes: Iterable[CheckOutcome]) -> dict[int, Any]:
    """The status of each item; what is not `Checked` is given as it is."""
    found: dict[int, Any] = {}
    for outcome in outcomes:
        assert outcome.index not in found
        found[outcome.index] = outcome.status if isinstance(outcome, Checked) else outcome
    return found


def requests(place: Place) -> tuple[int, int]:
    """The number of checks, and of all requests, of the last client."""
    lines = place.doors[-1].lines()
    return sum(line.startswith("HEAD") for line in lines), len(lines)


def identities(place: Place, numbers: Iterable[int], kinds: tuple[str, ...] = ("userid",)) -> list[Identity]:
    return [place.person(number, kinds[number % len(kinds)]) for number in numbers]


def every_pair(people: list[Identity]) -> list[Pair]:
    return [Pair(one, other) for one, other in permutations(people, 2)]


@pytest.mark.parametrize(("version", "size"), [("4.5", 40), ("5.0", 40), ("6.0", 40), LARGE_GROUP])
@pytest.mark.parametrize("user", [None, 900])
async def test_all_pairs_of_a_group(version: str, size: int, user: int | None) -> None:
    place = Place(directory=LARGE, version=version)
    pairs = every_pair(identities(place, range(size)))
    most = 3 * size + 162 if user is None else size + 20 + 152
    async with place.client(user) as client:
        run = client.check_many(pairs, plan=PLAN)
        found = await run.collect()
    assert run.stopped is None
    assert statuses(found) == {index: truth(place, pair, user) for index, pair in enumerate(pairs)}
    assert requests(place)[1] <= most, "one list for each person, with invitations of ten or of all, and the checks"
    tally = run.tally
    assert tally == Tally.of(found)
    assert (tally.checked, tally.via_duplicate, tally.doubtful) == (len(pairs), 0, 0)
    assert tally.via_list == sum(it.via == "list" for it in found if isinstance(it, Checked))
    assert all(it.attempts == (0 if it.via == "list" else 1) for it in found if isinstance(it, Checked))


async def test_pairs_with_the_signed_in_user_are_checked_if_few_colleagues_confirm_the_lists() -> None:
    place = Place(directory=LARGE)
    pairs = every_pair(identities(place, range(40)))
    async with place.client(7) as client:
        found = await client.check_many(pairs, plan=PLAN).collect()
    assert statuses(found) == {index: truth(place, pair, 7) for index, pair in enumerate(pairs)}
    own = {index for index, pair in enumerate(pairs) if place.person(7, "userid") in (pair.source, pair.target)}
    assert {it.via for it in found if isinstance(it, Checked) and it.index in own} == {"head"}


@pytest.mark.parametrize("emails", ["exposed", "hidden"])
@pytest.mark.parametrize("kinds", [("email",), ("key",), ("userid", "key", "email")])
async def test_people_by_email_address_and_key(emails: str, kinds: tuple[str, ...]) -> None:
    place = Place(directory=LARGE, emails=emails)
    pairs = every_pair(identities(place, range(30), kinds))
    async with place.client(900) as client:
        found = await client.check_many(pairs, plan=PLAN).collect()
    got = statuses(found)
    for index, pair in enumerate(pairs):
        hidden = emails == "hidden" and "email" in (pair.source.kind, pair.target.kind)
        if hidden:
            assert isinstance(got[index], Failed | Rejected)
        else:
            assert got[index] == truth(place, pair, 900)
    if emails == "exposed":
        assert requests(place)[1] < 300, "of 870 pairs"


@pytest.mark.parametrize("sources_are_many", [True, False])
async def test_the_side_with_fewer_people_is_listed(*, sources_are_many: bool) -> None:
    place = Place(directory=LARGE)
    many, few = identities(place, range(100, 300)), identities(place, range(10))
    pairs = [Pair(*(pair if sources_are_many else pair[::-1])) for pair in product(many, few)]
    async with place.client(900) as client:
        found = await client.check_many(pairs, plan=PLAN).collect()
    assert statuses(found) == {index: truth(place, pair, 900) for index, pair in enumerate(pairs)}
    assert requests(place)[1] <= 10 + 20 + 150 + 200 + 2, "the lists of the other side are few enough to read"


@pytest.mark.parametrize("kind", ["email", "key"])
async def test_lists_of_the_other_side_show_the_userids_that_the_first_lists_need(kind: str) -> None:
    place = Place(directory=LARGE)
    many, few = identities(place, range(100, 160), (kind,)), identities(place, range(20), (kind,))
    pairs = [Pair(*pair) for pair in product(many, few)]
    async with place.client(900) as client:
        found = await client.check_many(pairs, plan=PLAN).collect()
    assert statuses(found) == {index: truth(place, pair, 900) for index, pair in enumerate(pairs)}
    assert requests(place)[1] <= 2 * (20 + 60) + 20 + 151, "not one for each of 1,200 pairs"


async def test_pairs_of_people_who_come_once_are_checked() -> None:
    place = Place(directory=LARGE)
    people = identities(place, range(200))
    pairs = [Pair(*two) for two in zip(people[::2], people[1::2], strict=True)]
    async with place.client(900) as client:
        found = await client.check_many(pairs, plan=PLAN).collect()
    assert statuses(found) == {index: truth(place, pair, 900) for index, pair in enumerate(pairs)}
    assert requests(place) == (100, 100)


async def test_a_shuffled_stream_with_a_small_window() -> None:
    place = Place(directory=LARGE)
    pairs = every_pair(identities(place, range(50)))
    random.Random(1).shuffle(pairs)  # no secret
    async with place.client(900) as client:
        found = await client.check_many(iter(pairs), plan=Plan(page_cost=1, window_pairs=200)).collect()
    assert statuses(found) == {index: truth(place, pair, 900) for index, pair in enumerate(pairs)}
    assert requests(place)[1] < 700, "of 2,450 pairs"


async def test_a_list_that_is_not_remembered_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not name the people who are given by key, so it tells nothing of them."""
    monkeypatch.setattr(ReadLists, "is_full", True)
    place = Place(directory=LARGE)
    sources, targets = identities(place, range(20)), identities(place, range(20, 60), ("key",))
    pairs = [Pair(*pair) for pair in product(sources, targets)]
    async with place.client(900) as client:
        found = await client.check_many(pairs, plan=PLAN).collect()
    assert statuses(found) == {index: truth(place, pair, 900) for index, pair in enumerate(pairs)}
    assert requests(place)[1] <= len(pairs) + 3 * len(sources) + 150 + 2


@pytest.mark.parametrize("connections", [1, 16])
@pytest.mark.parametrize("window", [1, 17, 300, 400])
@pytest.mark.parametrize("ordered", [True, False])
async def test_an_async_source_that_is_longer_than_the_window(connections: int, window: int, *, ordered: bool) -> None:
    place = Place(directory=LARGE)
    pairs = every_pair(identities(place, range(24)))

    async def source() -> AsyncIterator[Pair]:
        for pair in pairs:
            yield pair

    async with place.client(900, max_connections=connections) as client:
        run = client.check_many(source(), plan=Plan(page_cost=1, window_pairs=window), ordered=ordered)
        with anyio.fail_after(60):
            found = await run.collect()
    assert statuses(found) == {index: truth(place, pair, 900) for index, pair in enumerate(pairs)}


async def test_equal_pairs_are_asked_once() -> None:
    place = Place(directory=LARGE)
    one, other, third = identities(place, range(3))
    first, second = place.directory.people[:2]
    items: list[PairLike] = [Pair(one, other), (one, other), Pair(other, third), (first, second), Pair(one, other)]
    async with place.client(900) as client:
        found = await client.check_many(items, plan=PLAN, ordered=True).collect()
    assert requests(place) == (2, 2)
    assert [(it.index, it.via, it.of, it.item) for it in found if isinstance(it, Checked)] == [
        (0, "head", None, items[0]),
        (1, "duplicate", 0, items[1]),
        (2, "head", None, items[2]),
        (3, "duplicate", 0, items[3]),
        (4, "duplicate", 0, items[4]),
    ]
    assert Tally.of(found).via_duplicate == 3


@pytest.mark.parametrize("ordered", [True, False])
async def test_equal_pairs_that_cannot_be_sent(*, ordered: bool) -> None:
    place = Place(directory=LARGE, emails="hidden")
    first, second = (Pair(*identities(place, numbers, ("email",))) for numbers in ((0, 1), (2, 3)))
    others = every_pair(identities(place, range(20)))
    items = [first, *others[:100], second, second, *others[100:]]
    async with place.client(900) as client:
        run = client.check_many(items, plan=Plan(page_cost=1, window_pairs=50), ordered=ordered)
        found = await run.collect()
    assert sorted(it.index for it in found) == list(range(len(items)))
    assert {it.index for it in found if not isinstance(it, Checked)} == {0, 101, 102}


@pytest.mark.parametrize("ordered", [True, False])
async def test_outcomes_of_every_kind_from_an_async_source(*, ordered: bool) -> None:
    place = Place(directory=LARGE)
    pairs: list[Any] = every_pair(identities(place, range(40)))
    pairs[30] = InvalidInputError("line 31: bad")
    pairs[40] = ("a", "b")
    pairs[50:53] = [Pair(Userid("nobody-1"), pairs[50].source)] * 3

    async def source() -> AsyncIterator[Any]:
        for number, pair in enumerate(pairs):
            if number % 100 == 0:
                await anyio.lowlevel.checkpoint()
            yield pair

    async with place.client(900) as client:
        run = client.check_many(source(), plan=PLAN, ordered=ordered)
        found = await run.collect()
    got = statuses(found)
    assert not ordered or [it.index for it in found] == list(range(len(pairs)))
    assert {index for index, it in got.items() if isinstance(it, Failed)} == {30, 40}
    assert all(got[index] is None or isinstance(got[index], Rejected) for index in (50, 51, 52)), "a list may say None"
    for index, pair in enumerate(pairs):
        if index not in {30, 40, 50, 51, 52}:
            assert got[index] == truth(place, pair, 900)


async def test_no_more_is_read_than_the_window() -> None:
    place = Place(directory=LARGE)
    pairs = every_pair(identities(place, range(60)))
    taken = 0

    def source() -> Iterator[Pair]:
        nonlocal taken
        for pair in pairs:
            taken += 1
            yield pair

    most = 0
    async with (
        place.client(900) as client,
        client.check_many(source(), plan=Plan(page_cost=1, window_pairs=300)) as run,
    ):
        delivered = 0
        async for _ in run:
            delivered += 1
            most = max(most, taken - delivered)
            await anyio.lowlevel.checkpoint()
    assert delivered == len(pairs)
    assert 250 < most <= 301


async def test_a_run_that_is_left_accounts_for_every_item() -> None:
    place = Place(directory=LARGE)
    pairs = every_pair(identities(place, range(60)))
    async with place.client(900) as client:
        async with client.check_many(pairs, plan=PLAN) as run:
            first = [await anext(run) for _ in range(500)]
        rest = run.undelivered
    got = statuses([*first, *rest])
    assert sorted(got) == list(range(run.tally.read))
    assert run.tally.in_flight == 0
    for index, status in got.items():
        assert isinstance(status, Unprocessed) or status == truth(place, pairs[index], 900)


async def test_a_refused_login_ends_the_run_before_anything_is_planned() -> None:
    place = Place(directory=LARGE)
    async with place.client(900, auth=(str(place.person(900, "userid")), "wrong")) as client:
        run = client.check_many(every_pair(identities(place, range(30))), plan=PLAN)
        assert await run.collect() == []
    assert type(run.stopped).__name__ == "AuthenticationError"


@pytest.mark.parametrize("plan", ["both", None, 7, "HEAD"])
async def test_no_other_plan(plan: Any) -> None:
    async with Place().client(0) as client:
        with pytest.raises(InvalidInputError, match='plan must be "head", "auto" or a Plan'):
            client.check_many([], plan=plan)


async def journalled(place: Place, path: Path, pairs: list[Pair], count: int | None = None) -> list[CheckOutcome]:
    """The outcomes of a run with a journal, which is left after `count` of them."""
    async with place.client(900) as client:
        run = client.check_many(pairs, plan=PLAN, journal=Journal(path, max_age=math.inf))
        if count is None:
            return await run.collect()
        async with run:
            found = [await anext(run) for _ in range(count)]
        return [*found, *run.undelivered]


async def test_a_run_with_a_journal_continues(tmp_path: Path) -> None:
    place, path = Place(directory=LARGE), tmp_path / "run.sqlite"
    pairs = [*every_pair(identities(place, range(40))), *every_pair(identities(place, range(3)))]
    expected = {index: truth(place, pair, 900) for index, pair in enumerate(pairs)}
    first = await journalled(place, path, pairs, count=300)
    recorded = {it.index: it for it in first if isinstance(it, Checked) and it.recorded_at is not None}
    assert len(recorded) >= 300
    place.doors[-1].lines()
    second = await journalled(place, path, pairs)
    assert statuses(second) == expected
    for it in second:
        before = recorded.get(it.index)
        if before is not None and (before.via == "head" or before.status is not None):
            assert it.replayed
        elif before is not None:
            assert not it.replayed, "a list may turn out to be unreliable before the end of the run"
    place.doors[-1].lines()
    third = await journalled(place, path, pairs)
    assert all(it.replayed for it in third)
    assert [(it.index, it.as_dict()) for it in sorted(third, key=lambda it: it.index)] == [
        (it.index, it.as_dict() | {"replayed": True}) for it in sorted(second, key=lambda it: it.index)
    ]
    assert place.doors[-1].lines() == []


async def test_an_empty_source() -> None:
    async with Place().client(0) as client:
        run: Outcomes[CheckOutcome] = client.check_many([], plan="auto")
        assert await run.collect() == []
        assert run.tally == Tally()
        with pytest.raises(UsageError):
            await run.collect()
