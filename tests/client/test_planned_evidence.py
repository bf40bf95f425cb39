"""Checks with a plan on servers whose lists are not reliable, and while connections change."""

from __future__ import annotations

import random
from collections import defaultdict
from itertools import permutations
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from backends import asyncio_and_in_full_trio
from server import Place

from aioconnections import (
    Checked,
    CheckOutcome,
    InconsistentListsError,
    Listed,
    Outcomes,
    Pair,
    Plan,
    ResponseError,
    Status,
)
from aioconnections.reference import Directory

pytestmark = [pytest.mark.anyio, pytest.mark.slow, asyncio_and_in_full_trio]

LARGE = Directory.generate(people=1_500, seed=5)
OUTSIDER = 900


def group(place: Place, size: int) -> list[Pair]:
    return [Pair(one, other) for one, other in permutations([it.userid for it in place.directory.people[:size]], 2)]  # type: ignore[arg-type] # all have one


async def checked(
    place: Place, pairs: list[Pair], user: int | None = OUTSIDER
) -> tuple[Outcomes[CheckOutcome], list[Checked]]:
    async with place.client(user) as client:
        run = client.check_many(pairs, plan=Plan(page_cost=1))
        found = await run.collect()
    outcomes = [it for it in found if isinstance(it, Checked)]
    assert sorted(it.index for it in outcomes) == list(range(len(pairs)))
    return run, outcomes


def wrong(place: Place, outcomes: list[Checked]) -> list[Checked]:
    """The outcomes that differ from what a check of an outsider says."""
    return [
        it
        for it in outcomes
        if (it.status == Status.ACCEPTED) is not (place.status(it.pair.source, it.pair.target) == Status.ACCEPTED)
    ]


@pytest.mark.parametrize("switches", [{"lists_omit": 0.1, "fault_seed": seed} for seed in range(3)], ids=str)
async def test_lists_that_leave_out_connections_are_found_out(switches: dict[str, Any]) -> None:
    place = Place(directory=LARGE, **switches)
    run, outcomes = await checked(place, group(place, 120))
    assert isinstance(run.stopped, InconsistentListsError)
    absent = [it for it in outcomes if it.via == "list" and it.status is None]
    assert run.stopped.doubtful == run.tally.doubtful == len(absent) > 0
    assert all(it.via == "list" and it.status is None for it in wrong(place, outcomes)), "all of them count as doubtful"
    assert f"{len(absent):,} outcomes without a connection" in str(run.stopped)


async def test_lists_without_inactive_people_are_found_out() -> None:
    place = Place(directory=LARGE, lists_omit_inactive=True)
    run, outcomes = await checked(place, group(place, 120))
    assert isinstance(run.stopped, InconsistentListsError)
    assert all(it.via == "list" and it.status is None for it in wrong(place, outcomes))


def wrong_to_administrators(place: Place, outcomes: list[Checked]) -> list[Checked]:
    """The outcomes that differ from what a check of an administrator says."""
    return [it for it in outcomes if (it.status and str(it.status)) != place.status(it.pair.source, it.pair.target)]


SWITCHES = [{"lists_omit_pending": True}, *({"lists_omit": 0.1, "fault_seed": seed} for seed in (1, 4, 6, 9))]


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
async def test_lists_that_leave_out_invitations_are_found_out(switches: dict[str, Any]) -> None:
    place = Place(directory=LARGE, **switches)
    run, outcomes = await checked(place, group(place, 40), user=None)
    assert isinstance(run.stopped, InconsistentListsError)
    assert wrong_to_administrators(place, outcomes) == [], "lists of both people are compared first"
    assert run.tally.doubtful == sum(it.status is None and it.via == "list" for it in outcomes)


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("share", "affected"), [(0.1, 77), (0.02, 27)])
async def test_how_often_lists_are_found_out(share: float, affected: int) -> None:
    """In a group, lists of both people of a pair are read, and compared before anything is concluded.

    A connection that both lists leave out is seen only if it is among those that are checked.
    """
    found_out = silent = both_sides = 0
    for seed in range(100):
        place = Place(directory=LARGE, lists_omit=share, fault_seed=seed)
        left_out = await omitted(place, 60)
        run, outcomes = await checked(place, group(place, 60))
        is_found_out = run.stopped is not None
        assert left_out or not is_found_out, "a false alarm"
        found_out += is_found_out
        silent += bool(wrong(place, outcomes)) and not is_found_out
        affected -= bool(left_out)
        both_sides += any((other, one) in left_out for one, other in left_out)
        assert is_found_out or all((other, one) in left_out for one, other in left_out)
    assert affected == 0, "else the directory has changed"
    assert silent <= both_sides
    assert silent <= 3
    assert found_out


async def omitted(place: Place, size: int) -> set[tuple[object, object]]:
    """The connections within a group that a list leaves out: whose list, and the other person."""
    people = [it.userid for it in place.directory.people[:size] if it.userid is not None]
    connected = {pair for pair in permutations(people, 2) if place.status(*pair) == Status.ACCEPTED}
    async with place.client(OUTSIDER) as client:
        for listed in await client.colleagues_many(people, status=Status.ACCEPTED).collect():
            assert isinstance(listed, Listed)
            for it in listed.connections:
                connected -= {(listed.person, it.source.userid), (listed.person, it.target.userid)}
    return {*connected}


async def test_every_status_was_true_at_some_moment_while_connections_change() -> None:
    place = Place(directory=LARGE)
    people = [it.userid for it in LARGE.people[:60]]
    pairs = group(place, 60)
    held: dict[frozenset[Any], set[str | None]] = defaultdict(set)
    for pair in pairs:
        held[frozenset((pair.source, pair.target))].add(place.status(pair.source, pair.target))
    source = random.Random(3)  # no secret
    changed = 0

    async def change() -> None:
        nonlocal changed
        async with place.client(None) as client:
            while True:
                one, other = source.sample(people, 2)
                assert one is not None
                assert other is not None
                try:
                    if place.status(one, other) == Status.ACCEPTED:
                        await client.admin.disconnect(one, other)
                    else:
                        await client.admin.connect(one, other)
                except ResponseError:
                    continue
                held[frozenset((one, other))].add(place.status(one, other))
                changed += 1
                await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(change)
        run, outcomes = await checked(place, pairs)
        tasks.cancel_scope.cancel()
    assert changed > 5
    for it in outcomes:
        statuses = held[frozenset((it.pair.source, it.pair.target))]
        visible = {status if status == Status.ACCEPTED else None for status in statuses}
        assert it.status in visible, it
    assert run.stopped is None, "changes explain the contradictions"
